"""The recordings of the benchmarks: heart sounds that the package makes, always the same.

    python -m heartfast.bench.corpus FOLDER [NAME]

Corpus M is 400 recordings at 4 kHz (2 to 12 s) and 100 at 44.1 kHz (8 s), 16-bit mono WAV,
3,496 s together. Corpus L is M ten times over, as files of its own. The quick ones have the
same shape: 8 recordings, and 16 for the large one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from heartfast.synth import CLASSES, heart_sound, write_wav

# Recordings at 4 kHz and at 44.1 kHz.
CORPORA = {"M": (400, 100), "quick": (6, 2)}
# Corpora that are another so many times.
COPIES = {"L": ("M", 10), "quick-L": ("quick", 2)}


def write(folder: Path, name: str) -> list[Path]:
    """Write the corpus `name` to `folder/name`, unless it is there; its files, sorted."""
    if name in COPIES:
        original, times = COPIES[name]
        return copy(write(folder, original), folder / name, times)
    folder = folder / name
    manifest = folder / "corpus.json"
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.Generator(np.random.PCG64(0))
        low, high = CORPORA[name]
        # Uniform, but for the exponent that makes the sum of corpus M 3,496 s.
        lengths = rng.permutation(2 + 10 * np.linspace(0, 1, low) ** 1.11)
        for i, seconds in enumerate(lengths):
            y, sr = heart_sound(CLASSES[i % 3], seed=i, duration_s=seconds)
            write_wav(folder / f"low_{i:03}.wav", y, sr)
        for i in range(high):
            y, sr = heart_sound(CLASSES[i % 3], seed=low + i, duration_s=8, sr=44100)
            # Hiss of a microphone at -56 dB: else most of the picture is black above 2 kHz,
            # and its compression easy.
            y += (0.0016 * rng.standard_normal(y.size)).astype(np.float32)
            write_wav(folder / f"high_{i:03}.wav", y, sr)
        total = {"recordings": low + high, "seconds": round(lengths.sum() + 8 * high, 1)}
        manifest.write_text(json.dumps(total) + "\n", encoding="ascii")  # last: it is complete
    return sorted(folder.glob("*.wav"))


def copy(files: list[Path], folder: Path, times: int) -> list[Path]:
    """Copy files under new names, unless they are there: links would be one file to a cache."""
    complete = folder / "corpus.json"
    if not complete.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(times):
            for path in files:
                shutil.copyfile(path, folder / f"{i:04}_{path.name}")
        complete.write_text(json.dumps({"recordings": times * len(files)}) + "\n", encoding="ascii")
    return sorted(folder.glob("*.wav"))


def main() -> None:
    """The command line of this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", choices=[*CORPORA, *COPIES], nargs="?", default="M")
    arguments = parser.parse_args()
    files = write(arguments.folder, arguments.name)
    sys.stdout.write(f"{len(files)} recordings in {files[0].parent}\n")


if __name__ == "__main__":
    main()
