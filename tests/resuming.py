"""What tests of runs that are continued have in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

HEARTFAST = str(Path(sys.executable).parent / "heartfast")
# Frames close together, so that there is time to be killed.
SLOW = ["--overlap", "98"]
SINKS = {
    "dir": [],
    "tar": ["--to", "tar"],
    "zip": ["--to", "zip"],
    "tar shards": ["--to", "tar", "--shard-mb", "0.05"],
    "zip shards, synced": ["--to", "zip", "--shard-mb", "0.05", "--fsync"],
    "dir, segments": ["--segment-s", "0.7"],
    "zip, segments": ["--to", "zip", "--shard-mb", "0.05", "--segment-s", "0.7"],
}


def corpus(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for k in range(count):
        path = folder / f"{k % 5}" / f"{k:03}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 3000 + 500 * (k % 7)), 4000)
    (folder / "bad.wav").write_bytes(b"RIFF")
    cut = (folder / "0" / "000.wav").read_bytes()
    (folder / "none.flac").write_bytes(b"fLaC" + cut[:99])
    return folder


def convert(recordings: Path, out: Path, *options: str, **more) -> subprocess.CompletedProcess[str]:
    command = [HEARTFAST, "convert", str(recordings), "-o", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)


def tree(folder: Path) -> dict[str, bytes]:
    """All files, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
