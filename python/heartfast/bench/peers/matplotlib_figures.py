"""Figures with matplotlib: python matplotlib_figures.py WAVS PICTURES.

As lean as it gets with axes and an oscillogram: one figure, whose artists get the next recording's
data; a picture instead of a mesh, an envelope instead of all samples, and the PNG at zlib's fastest
level.
"""

import sys
import wave
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

source, out = map(Path, sys.argv[1:])
out.mkdir()
figure = Figure(figsize=(9, 5), dpi=100)
canvas = FigureCanvasAgg(figure)
upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
figure.subplots_adjust(left=0.07, right=0.985, top=0.93, bottom=0.09, hspace=0.04)
upper.set_ylabel("Frequency (kHz)")
lower.set_xlabel("Time (s)")
picture = upper.imshow(
    np.zeros((2, 2)), origin="lower", aspect="auto", cmap="gray_r", vmin=-80, vmax=0,
    interpolation="bilinear",
)  # fmt: skip
(line,) = lower.plot([], [], linewidth=0.7)
for path in sorted(source.glob("*.wav")):
    with wave.open(str(path)) as file:
        sr = file.getframerate()
        y = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    n = int(0.05 * sr + 0.5)
    hop = int(n / 2 + 0.5)
    t = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    window = ((np.exp(-12 * t**2) - np.exp(-12)) / (1 - np.exp(-12))).astype(np.float32)
    padded = np.pad(y, n // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n)[::hop]
    power = np.abs(np.fft.rfft(frames * window)) + 1e-20
    db = 20 * np.log10(power / power.max()).T
    seconds = len(y) / sr
    picture.set_data(db)
    picture.set_extent((0, seconds, 0, sr / 2000))
    upper.set_title(path.stem)
    # The smallest and the largest sample of each column of pixels.
    group = max(1, len(y) // 820)
    parts = y[: len(y) // group * group].reshape(-1, group)
    envelope = np.stack([parts.min(axis=1), parts.max(axis=1)], axis=1).ravel()
    line.set_data(np.linspace(0, seconds, envelope.size), envelope)
    peak = np.abs(y).max() or 1
    lower.set_xlim(0, seconds)
    lower.set_ylim(-peak, peak)
    canvas.print_png(out / f"{path.stem}.png", pil_kwargs={"compress_level": 1})
