"""A long unattended run, watched: `make soak`.

    python benches/soak.py [--recordings 200000] [--bad 0.01] [--folder FOLDER]

Makes tiny recordings, some of them bad in ten ways, converts them by `heartfast convert`, and
looks at the process as it goes: its memory, and the manifest's growth. Then every good recording
must have its row and its picture, every bad one its line of errors, and a second run nothing to do.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEARTFAST = Path(sys.executable).parent / "heartfast"
RATE, SAMPLES = 4000, 400


def wav(rng: random.Random) -> bytes:
    n = 2 * SAMPLES
    form = struct.pack("<4sI2H2I2H", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    data = struct.pack("<4sI", b"data", n) + rng.randbytes(n)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def spoilt(kind: int, good: bytes) -> bytes | None:
    """A recording that is none, or `None` for one that is not there."""
    return [
        b"",
        b"RIFF",
        good[:33],
        b"<html>not found</html>",
        b"fLaC" + good[:60],
        b"OggS" + bytes(60),
        good[:22] + b"\0\0" + good[24:],  # no channels
        good[:24] + bytes(4) + good[28:],  # no sample rate
        good[:20] + b"\x31\0" + good[22:],  # GSM
        None,
    ][kind]


def make(folder: Path, count: int, share: float) -> set[str]:
    """Write the recordings, a thousand to a folder; return the names of the bad ones."""
    rng, bad = random.Random(0), set()
    for k in range(count):
        name = f"{k // 1000:04}/{k:07}.wav"
        path = folder / name
        if k % 1000 == 0:
            path.parent.mkdir(parents=True)
        data: bytes | None = wav(rng)
        if rng.random() < share:
            bad.add(name)
            data = spoilt(len(bad) % 10, data or b"")
        if data is None:
            path.symlink_to("nowhere")
        else:
            path.write_bytes(data)
    return bad


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def watch(command: list[str], out: Path) -> tuple[int, list[tuple[float, float, int]], float]:
    """Run it; every quarter of a second: time, MB of memory, bytes of the manifest."""
    samples = []
    start = time.monotonic()
    with open(out.parent / "messages", "w") as messages:
        process = subprocess.Popen(command, stderr=messages)
        while process.poll() is None:
            manifest = out / "manifest.jsonl"
            try:
                size = manifest.stat().st_size
                samples.append((time.monotonic() - start, rss_mb(process.pid), size))
            except (FileNotFoundError, ProcessLookupError):
                pass
            time.sleep(0.25)
    return process.returncode, samples, time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=200_000)
    parser.add_argument("--bad", type=float, default=0.01)
    parser.add_argument("--folder", type=Path, help="for the recordings and pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        source, out = Path(scratch) / "in", Path(scratch) / "out"
        print(f"making {options.recordings} recordings", flush=True)
        bad = make(source, options.recordings, options.bad)
        command = [str(HEARTFAST), "convert", str(source), "-o", str(out)]
        code, samples, seconds = watch(command, out)
        with (out / "metadata.csv").open(newline="") as file:
            rows = {row["file_name"] for row in csv.DictReader(file)}
        named = {
            os.path.relpath(json.loads(line)["path"], source)
            for line in (out / "errors.jsonl").read_text().splitlines()
        }
        pictures = sum(1 for _ in out.rglob("*.png"))
        good = options.recordings - len(bad)
        assert code == 3, code
        assert named == bad, (len(named), len(bad))
        assert len(rows) == pictures == good, (len(rows), pictures, good)

        # After a tenth of the time caches are filled; the last samples are of the tables.
        warm = samples[len(samples) // 10 :]
        memory = [mb for _, mb, _ in warm]
        print(f"{good} converted, {len(bad)} named, {seconds:.0f} s wall, "
              f"{1e6 * seconds / options.recordings:.0f} us a recording")  # fmt: skip
        # What the end of the work frees is no growth.
        rise = max(later - min(memory[: k + 1]) for k, later in enumerate(memory))
        print(
            f"memory: {min(memory):.1f} to {max(memory):.1f} MB; it rose by {rise:.1f} MB at most"
        )
        print("manifest, by tenths of the time (s, MB of memory, MB of manifest):")
        for k in range(1, 11):
            at, mb, size = samples[len(samples) * k // 10 - 1]
            print(f"  {at:7.1f} {mb:7.1f} {size / 1e6:8.2f}")
        size = (out / "manifest.jsonl").stat().st_size
        print(
            f"  in the end {size / 1e6:.2f} MB, {size / options.recordings:.0f} bytes a recording"
        )

        code, samples, seconds = watch(command, out)
        assert code == 3, code
        said = (Path(scratch) / "messages").read_text()
        print(
            f"once more, with nothing to do: {seconds:.1f} s, {max(s[1] for s in samples):.0f} MB"
        )
        print("  " + said.splitlines()[-1])


if __name__ == "__main__":
    main()
