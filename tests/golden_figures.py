"""The golden figures, and the commands that made them.

    python tests/golden_figures.py       # draws them anew: look at each before it is committed

The recording is synthetic, and so are its intervals.
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

import heartfast
from heartfast.cli import main

GOLDEN = Path(__file__).parent / "golden"

# A name, and the options of: heartfast convert heart.wav -o OUT --png small --figure ...; where
# these have no size, it is --width 600 --height 340.
COMMANDS = {
    "plain": "",
    "heart": "--preset heart --colorbar --intervals heart.csv",
    "published": "--preset published --title 'As published'",
    "speech": "--preset speech",
    "bird": "--preset bird",
    "dark": "--theme dark --grid --colorbar --osc db",
    "log": "--y-scale log --fmin 20 --colormap turbo --osc none",
    "mel": "--y-scale mel --colormap cividis --grid",
    "bark": "--y-scale bark --colormap seewave --ylim 0,1500",
    "erb": "--y-scale erb --colormap heat --contrast -0.2 --brightness 0.1",
    "small": "--width 300 --height 200 --xlim 0.5,1.2 --dynamic-range 50",
    "dense": "--width 400 --height 240 --scale 2 --colormap plasma --xlab Zeit --ylab ''",
}


def make_sources(folder: Path) -> None:
    """The recording and its intervals."""
    y, sr = heartfast.synth.heart_sound("murmur", seed=7, duration_s=2.5)
    heartfast.synth.write_wav(folder / "heart.wav", y, sr)
    rows = ["start,end,label", "0.1,0.2,S1", "0.44,0.54,S2", "1.1,1.2,S1", "1.46,1.46,S2"]
    (folder / "heart.csv").write_text("\n".join(rows) + "\n")


def draw(name: str, folder: Path) -> Path:
    """Run the command of that name in the folder of its sources; the path of its picture."""
    out = folder / name
    words = shlex.split(COMMANDS[name].replace("heart.csv", str(folder / "heart.csv")))
    size = [] if "--width" in words else ["--width", "600", "--height", "340"]
    source = str(folder / "heart.wav")
    code = main(["convert", source, "-o", str(out), "--png", "small", "--figure", *size, *words])
    if code:
        raise SystemExit(code)
    return out / "heart.png"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        make_sources(Path(scratch))
        for name in COMMANDS:
            (GOLDEN / f"{name}.png").write_bytes(draw(name, Path(scratch)).read_bytes())
