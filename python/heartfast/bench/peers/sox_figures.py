"""Figures with `sox spectrogram`, a process per recording: python sox_figures.py WAVS PICTURES.

They have axes and a scale of decibels, but no oscillogram. At other than 2^k + 1 rows sox takes
many times as long: 257 are the faster of the two numbers that are near.
"""

import subprocess
import sys
from pathlib import Path

source, out = map(Path, sys.argv[1:])
out.mkdir()
for path in sorted(source.glob("*.wav")):
    # 144 more pixels are axes and the scale.
    figure = ["-x756", "-y257", "-z80", "-t", path.stem, "-o", out / f"{path.stem}.png"]
    subprocess.run(["sox", path, "-n", "spectrogram", *figure], check=True)
