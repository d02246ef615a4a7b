"""Recordings to choose from, and their pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

import heartfast

FORMATS = {
    "pcm.wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "x.flac": ("FLAC", "PCM_16"),
    "x.aiff": ("AIFF", "PCM_24"),
}


def noise(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(n).normal(0, 0.1, (n, channels)).astype(np.float32)


def write(path: Path, y: np.ndarray, sr: int = 4000) -> Path:
    kind, subtype = FORMATS.get(path.name, ("WAV", "FLOAT"))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, sr, format=kind, subtype=subtype)
    return path


def drawn(y: np.ndarray, sr: int, folder: Path) -> np.ndarray:
    """The picture of samples that are a recording of their own."""
    path = write(folder / f"{len(list(folder.glob('*')))}.own.wav", y, sr)
    result = heartfast.convert(path, path.with_suffix(".out"))
    return pixels(path.with_suffix(".out") / result.records[0].file_name)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def provenance(path: Path) -> dict[str, object]:
    with Image.open(path) as image:
        image.load()
        return json.loads(image.info["heartfast"])


def windows(n: int, length: int, hop: int) -> list[tuple[int, int]]:
    """Where segments are, by what is said of them."""
    found = []
    start = end = 0
    while end < n:
        end = min(start + length, n)
        found.append((start, end))
        start += hop
    return found
