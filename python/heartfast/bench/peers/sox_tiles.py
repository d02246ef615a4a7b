"""Tiles with `sox spectrogram -r`, a process per recording: python sox_tiles.py WAVS PICTURES.

sox has no Gaussian window, and a picture of any other height than 2^k + 1 takes it up to 26
times as long, so its tiles have the height of that kind that is nearest to ours.
"""

import math
import subprocess
import sys
import wave
from pathlib import Path

source, out = map(Path, sys.argv[1:])
out.mkdir()
for path in sorted(source.glob("*.wav")):
    with wave.open(str(path)) as file:
        sr = file.getframerate()
    n = int(0.05 * sr + 0.5)
    height = 2 ** round(math.log2(n / 2)) + 1
    frames_per_s = sr / int(n / 2 + 0.5)
    tile = ["-r", "-m", "-z80", f"-y{height}", f"-X{frames_per_s}", "-o", out / f"{path.stem}.png"]
    subprocess.run(["sox", path, "-n", "spectrogram", *tile], check=True)
