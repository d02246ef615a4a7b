"""A long unattended run, watched: `make soak`.

    python benches/soak.py [--recordings 200000] [--bad 0.01] [--folder FOLDER]

Makes tiny recordings, some of them bad in ten ways, converts them by `heartfast convert`, and
looks at the process as it goes: its memory, and the manifest's growth. Then every good recording
must have its row and its picture, every bad one its line of errors, and a second run nothing to do;
and from the end of the warm-up to the last message, the largest and the smallest memory must be
less than 20 MB apart.
"""

from __future__ import annotations

import argparse
import contextlib
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
from typing import NamedTuple

HEARTFAST = Path(sys.executable).parent / "heartfast"
RATE, SAMPLES = 4000, 400
# Between the largest and the smallest memory (resident) after the warm-up.
MOST_MB = 20


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


def memory_mb(pid: int) -> tuple[float, float]:
    """What is resident now, and the most that ever was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    known = dict(line.split(":", 1) for line in lines)
    if "VmRSS" not in known:
        raise ProcessLookupError  # it has ended
    now, most = (int(known[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


class Sample(NamedTuple):
    """A look at the process."""

    at: float
    mb: float
    most_mb: float
    manifest: int


def ended(messages: Path) -> bool:
    """Whether the line with the number of pictures is there, which is the last one."""
    with messages.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        return b" pictures in " in file.read()


def watch(command: list[str], out: Path) -> tuple[int, list[Sample], float]:
    """Run it, and look at it every tenth of a second from where it has a manifest."""
    samples = []
    start = time.monotonic()
    with open(out.parent / "messages", "w") as messages:
        process = subprocess.Popen(command, stderr=messages)
        # Until it has said its last word: what a process frees as it exits is no growth.
        while process.poll() is None and not ended(out.parent / "messages"):
            try:
                size = (out / "manifest.jsonl").stat().st_size
                now = time.monotonic() - start
                samples.append(Sample(now, *memory_mb(process.pid), size))
            except (FileNotFoundError, ProcessLookupError):
                pass
            time.sleep(0.1)
        process.wait()
    return process.returncode, samples, time.monotonic() - start


def alone(source: Path, scratch: Path) -> float:
    """MB that converting one recording takes at most."""
    out = scratch / "alone"
    command = [str(HEARTFAST), "convert", str(next(source.rglob("*.wav"))), "-o", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    most = 0.0
    # Not by `wait4`, which counts what this process had when it forked, too.
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            most = memory_mb(process.pid)[1]
        time.sleep(0.001)
    return most


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

        print(f"{good} converted, {len(bad)} named, {seconds:.0f} s wall, "
              f"{1e6 * seconds / options.recordings:.0f} us a recording")  # fmt: skip
        # After a tenth of the time caches are filled; the last samples are of the tables.
        memory = [sample.mb for sample in samples[len(samples) // 10 :]]
        apart = max(memory) - min(memory)
        print(f"memory: {min(memory):.1f} to {max(memory):.1f} MB, {apart:.1f} MB apart")
        base = alone(source, Path(scratch))
        for what, mb in (("working", max(memory)), ("at most", samples[-1].most_mb)):
            each = (mb - base) / options.recordings
            print(f"  {what} {mb:.1f} MB: {base:.1f} and {1e6 * each:.0f} bytes a recording, "
                  f"{base + 1e6 * each:.0f} MB for a million")  # fmt: skip
        print("manifest, by tenths of the time (s, MB of memory, MB of manifest):")
        for k in range(1, 11):
            at, mb, _, size = samples[len(samples) * k // 10 - 1]
            print(f"  {at:7.1f} {mb:7.1f} {size / 1e6:8.2f}")
        size = (out / "manifest.jsonl").stat().st_size
        print(
            f"  in the end {size / 1e6:.2f} MB, {size / options.recordings:.0f} bytes a recording"
        )

        code, samples, seconds = watch(command, out)
        assert code == 3, code
        said = (Path(scratch) / "messages").read_text()
        print(f"once more, with nothing to do: {seconds:.1f} s, {samples[-1].most_mb:.0f} MB")
        print("  " + said.splitlines()[-1])
        assert apart < MOST_MB, f"memory that is {apart:.1f} MB apart, over {MOST_MB}"


if __name__ == "__main__":
    main()
