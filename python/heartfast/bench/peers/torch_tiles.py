"""Tiles with torch.stft and Pillow: python torch_tiles.py WAVS PICTURES."""

import sys
import wave
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

torch.set_num_threads(1)


@cache
def gaussian(n):
    t = torch.linspace(-0.5, 0.5, n, dtype=torch.float64)
    floor = torch.tensor(-12.0, dtype=torch.float64).exp()
    return (((-12 * t**2).exp() - floor) / (1 - floor)).float()


source, out = map(Path, sys.argv[1:])
out.mkdir()
for path in sorted(source.glob("*.wav")):
    with wave.open(str(path)) as file:
        sr = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    y = torch.from_numpy(pcm.astype(np.float32))
    n = int(0.05 * sr + 0.5)
    with torch.inference_mode():
        spectrum = torch.stft(
            y, n, int(n / 2 + 0.5), window=gaussian(n), pad_mode="constant", return_complex=True
        )
        magnitude = spectrum.abs()
        peak = magnitude.max()
        level = magnitude.clamp_(min=1e-4 * peak).log10_()
        gray = (level - peak.log10()).mul_(255 / 4).add_(255.5).to(torch.uint8).flip(0)
    Image.fromarray(gray.numpy()).save(out / f"{path.stem}.png")
