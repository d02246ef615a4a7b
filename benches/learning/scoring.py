"""Recordings scored a second and core, whole process: `python benches/learning/scoring.py [MODEL]`.

PASCAL's set B (4 kHz, 16 bit) five times over, from WAV to scores.csv, start-up included, on one
core. MODEL is what `heartfast train` saved (a blend is the slowest kind), by default on these.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from statistics import median

from corpora import FOLDERS, SHARED, pictures, save, say

import heartfast

COPIES, RUNS = 5, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    model = parser.parse_args().model
    found = sorted((SHARED / FOLDERS["pascal_b"][0]).glob("*.wav"))
    if not found:
        sys.exit(f"{SHARED}: expected the recordings of pascal_b, found none; see README.md")
    if model is None:
        model = os.path.join(tempfile.mkdtemp(), "model.heartfast")
        heartfast.train(pictures("pascal_b"), model)
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for copy in range(COPIES):
            for path in found:
                shutil.copy(path, os.path.join(folder, f"{copy}_{path.name}"))
        scores = os.path.join(tempfile.mkdtemp(), "scores.csv")
        command = [sys.executable, "-m", "heartfast", "score", model, folder, "-o", scores]
        for _ in range(RUNS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*command, "--jobs", "1"], check=True, stderr=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            rates.append(COPIES * len(found) / seconds)
            say(f"{rates[-1]:.0f} a second of CPU time")
    save("scoring", {"recordings": COPIES * len(found), "per_cpu_second": rates})
    print(f"{median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f}) recordings a CPU second")


if __name__ == "__main__":
    main()
