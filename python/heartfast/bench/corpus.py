"""The recordings of the benchmarks: heart sounds that the package makes, always the same.

    python benches/corpus.py FOLDER [--quick]

Corpus M is 400 recordings at 4 kHz (2 to 12 s) and 100 at 44.1 kHz (8 s), 16-bit mono WAV,
3,496 s together. The quick one has the same shape and 8 recordings.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from heartfast.synth import CLASSES, heart_sound, write_wav

# Recordings at 4 kHz and at 44.1 kHz.
CORPORA = {"M": (400, 100), "quick": (6, 2)}


def write(folder: Path, name: str) -> list[Path]:
    """Write the corpus `name` to `folder/name`, unless it is there; its files, sorted."""
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="8 recordings instead of 500")
    arguments = parser.parse_args()
    files = write(arguments.folder, "quick" if arguments.quick else "M")
    print(f"{len(files)} recordings in {files[0].parent}")
