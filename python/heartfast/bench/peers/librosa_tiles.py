"""Tiles with librosa and Pillow: python librosa_tiles.py WAVS PICTURES."""

import sys
from pathlib import Path

import librosa
import numpy as np
from PIL import Image

source, out = map(Path, sys.argv[1:])
out.mkdir()
for path in sorted(source.glob("*.wav")):
    y, sr = librosa.load(path, sr=None)
    n = int(0.05 * sr + 0.5)
    t = np.linspace(-0.5, 0.5, n)
    window = (np.exp(-12 * t**2) - np.exp(-12)) / (1 - np.exp(-12))
    spectrum = librosa.stft(y, n_fft=n, hop_length=int(n / 2 + 0.5), window=window)
    db = librosa.amplitude_to_db(np.abs(spectrum), ref=np.max, top_db=80)
    gray = np.rint(255 * (1 + db[::-1] / 80)).astype(np.uint8)
    Image.fromarray(gray).save(out / f"{path.stem}.png")
