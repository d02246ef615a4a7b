"""Write the pictures of docs/figures.md, from the real recordings beside the checkout.

    python tools/doc_figures.py ../shared/data

Pictures only: no recording goes into the repository.
"""

import io
import sys
from pathlib import Path

from PIL import Image

import heartfast

data, out = Path(sys.argv[1]), Path(__file__).parent.parent / "docs/images"
out.mkdir(parents=True, exist_ok=True)
cats, pascal = data / "soundgen_reference", data / "pascal"


def draw(path: Path, **options: object) -> heartfast.Figure:
    """The figure of a recording, under its name."""
    y, sr = heartfast.load(path)
    return heartfast.figure(y, sr, title=path.stem, **options)


heart = pascal / "set_a/normal__201102081321.flac"
intervals = heartfast.read_intervals(pascal / "set_a_timing.csv")[heart.stem]
draw(heart, preset="heart", intervals=intervals, colorbar=True).save(out / "preset-heart.png")
draw(cats / "dog_barking_1.wav", preset="published").save(out / "preset-published.png")
draw(cats / "cat_1.wav", preset="speech", xlim=(5, 6.6)).save(out / "preset-speech.png")
draw(cats / "cat_1.wav", preset="bird", xlim=(5, 6.6)).save(out / "preset-bird.png")
dark = draw(cats / "dog_barking_1.wav", theme="dark", y_scale="mel", grid=True, colorbar=True)
dark.save(out / "figure-dark.png")

names = ["cat_1", "cat_10", "cat_105", "dog_barking_0", "dog_barking_10", "dog_barking_105"]
sheet = Image.new("RGB", (2 * 600, 6 * 333), "white")
for row, name in enumerate(names):
    figure = draw(cats / f"{name}.wav", preset="published")
    ours = Image.open(io.BytesIO(figure.png))
    with Image.open(cats / f"{name}.png") as theirs:
        for column, image in enumerate((ours, theirs)):
            small = image.convert("RGB").resize((600, 333), Image.Resampling.LANCZOS)
            sheet.paste(small, (600 * column, 333 * row))
# 64 colours are a third of the bytes, and nobody sees it.
sheet.quantize(64).save(out / "soundgen-sheet.png", optimize=True)
