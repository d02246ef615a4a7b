"""A model that depends on every feature, and recordings to try it on."""

from __future__ import annotations

import json
import wave

import numpy as np

import heartfast
from heartfast.bundle import Bundle
from heartfast.features import feature_names
from heartfast.models import LinearModel
from heartfast.selection import Selection


def bundle(config: heartfast.SpectrogramConfig | None = None, **selected: object) -> Bundle:
    """A model whose probabilities depend on every feature."""
    rng = np.random.Generator(np.random.PCG64(0))
    width = len(feature_names())
    weights = rng.normal(size=(3, width))
    model = LinearModel(np.zeros(width), np.full(width, 500.0), weights, np.zeros(3))
    config = config or heartfast.SpectrogramConfig()
    return Bundle(
        model=model,
        name="x",
        classes=("a", "b", "c"),
        config=json.loads(json.dumps(config.to_dict())),
        leaderboard=[],
        training={},
        selection=Selection(**selected),  # type: ignore[arg-type]
    )


def write(path, seed, rate=4000, channels=1, seconds=3.0):
    """A WAV file of noise and tones."""
    rng = np.random.Generator(np.random.PCG64(seed))
    t = np.arange(int(seconds * rate)) / rate
    waves = [np.sin(2 * np.pi * (60 + 90 * c + 40 * seed) * t) for c in range(channels)]
    samples = 9000 * np.stack(waves, axis=1) + rng.normal(0, 800, (len(t), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(np.rint(samples).astype("<i2").tobytes())


def write_recordings(folder):
    """Three recordings of different channels, rates and lengths, and one that is none."""
    write(folder / "b" / "2.wav", 1, rate=8000)
    write(folder / "a" / "1.wav", 2, channels=2, seconds=12.3)
    write(folder / "1.wav", 3, channels=2)
    (folder / "a" / "0.wav").write_bytes(b"RIFF not really")
    return folder
