"""Titles: composed letters, fonts of the machine, and what no font has.

Oracles: Unicode's own composition (`unicodedata`), and the same letters drawn with the font itself.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image

import heartfast
from heartfast.errors import HeartfastWarning

SR = 4000
Y = np.zeros(SR, np.float32)
# Nobody has a letter there, and nobody will.
NOWHERE = "\u0378"


def top(png: bytes) -> np.ndarray:
    """The rows of the title."""
    figure = heartfast.Figure(png)
    image = np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(int)
    return image[: figure.axes["plot"][1] - 2]


def title(text: str, **options: object) -> np.ndarray:
    return top(heartfast.figure(Y, SR, title=text, **options).png)


@pytest.mark.parametrize(
    "text",
    [
        "M\u00fcller", "\u00c5ngstr\u00f6m caf\u00e9", "Vi\u1ec7t Nam \u1ed5n",
        "\u0391\u03b8\u03ae\u03bd\u03b1 \u03ca", "\u0439\u0451 \u0407", "\u1e9b\u0307 \u0150",
    ],
)  # fmt: skip
def test_decomposed_letters_are_drawn_as_composed_ones(text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    assert apart != unicodedata.normalize("NFC", text)
    together = title(unicodedata.normalize("NFC", text))
    np.testing.assert_array_equal(title(apart), together)
    assert (together != title(text.encode("ascii", "ignore").decode())).any()


def test_marks_in_any_order_and_in_labels_too() -> None:
    # Two marks in the other order are the same letter.
    np.testing.assert_array_equal(title("e\u0302\u0323"), title("\u1ec7"))
    drawn = [
        heartfast.figure(Y, SR, xlab=text, ylab=text, intervals=[(0, 0.5, text)]).png
        for text in ("Gro\u0308\u00dfe", "Gr\u00f6\u00dfe")
    ]
    image = [np.asarray(Image.open(io.BytesIO(png))) for png in drawn]
    np.testing.assert_array_equal(*image)


@pytest.mark.parametrize("mark", "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030c")
@pytest.mark.parametrize("letter", ["q", "Q", "\u0431", "\u0434"])
def test_marks_without_a_composed_letter_stand_above_it(letter: str, mark: str) -> None:
    text = letter + mark
    assert len(unicodedata.normalize("NFC", text)) == 2, "there is none"
    # In front, so that the letters stand where they stand without the mark.
    plain, marked = title("n" + letter + "n"), title("n" + text + "n")
    added = marked < plain - 40
    assert added.any()
    # Nothing of the letters is gone or moved, and what is added is above this letter.
    assert not (marked > plain + 40).any()
    rows, columns = np.nonzero(added)
    ink = np.flatnonzero((title(letter) < 128).any(axis=1))
    assert rows.max() < ink.min() + 2
    assert np.ptp(columns) < 14


def test_what_has_no_shape_is_not_drawn() -> None:
    np.testing.assert_array_equal(title("a\u200bb\u200e\ufe0f\u00adc"), title("abc"))
    # A wide space is no box, whichever font has it.
    spaced = title("\u3000")[:-8]  # above what else is beside the plot
    assert (spaced == 255).all()


def run(code: str, folder: os.PathLike[str] | str, **environment: str) -> list[object]:
    """What a process prints that finds fonts in this folder only."""
    settings = os.path.join(os.fspath(folder), "..", "fonts.conf")
    with open(settings, "w") as file:
        file.write(
            f"<fontconfig><dir>{folder}</dir><cachedir>{folder}/../cache</cachedir></fontconfig>"
        )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FONTCONFIG_FILE": settings, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def fonts(tmp_path):
    """A folder with a font that has Georgian."""
    import shutil

    import matplotlib

    folder = tmp_path / "fonts"
    folder.mkdir()
    source = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    shutil.copy(source, folder / "Aaa.ttf")
    (folder / "broken.ttf").write_bytes(b"\0\1\0\0\0\4" + bytes(300))
    (folder / "text.otf").write_text("no font")
    return folder


def apart(one: list[list[int]], other: list[list[int]]) -> float:
    """How far the titles of two pictures are apart in gray levels, wherever they stand.

    To a quarter of a pixel, in which their letters may begin elsewhere.
    """
    inks = []
    for rows in (one, other):
        drawn = np.array(rows)[:-8]  # what else is beside the plot
        down, across = np.nonzero(drawn < 255)
        inks.append(drawn[down.min() : down.max() + 1, across.min() :])
    height, width = (min(ink.shape[k] for ink in inks) for k in (0, 1))
    if abs(inks[0].shape[0] - inks[1].shape[0]) > 1:
        return 255.0
    shown = slice(0, min(width, 60))
    return float(np.abs(inks[0][:height, shown] - inks[1][:height, shown]).mean())


DRAW = """
import io, json, sys, warnings, heartfast, numpy as np
from PIL import Image
def rows(**options):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        figure = heartfast.figure(np.zeros(4000), 4000, **options)
    image = np.asarray(Image.open(io.BytesIO(figure.png)).convert("L"))
    said = [str(w.message) for w in warned]
    return image[: figure.axes["plot"][1] - 2].tolist(), said, figure.axes.get("fonts")
"""


@pytest.mark.parametrize("fontconfig", [True, False])
def test_a_font_of_the_machine_is_found(fonts, tool, fontconfig: bool) -> None:
    environment = {}
    if fontconfig:
        tool("fc-match")
    else:
        # Without the program, the usual folders are searched: here only this one.
        home = fonts.parent / "home"
        (home / ".local/share").mkdir(parents=True)
        (home / ".local/share/fonts").symlink_to(fonts)
        os.mkfifo(fonts / "pipe.ttf")  # never opened
        environment = {"PATH": str(home), "HOME": str(home), "XDG_DATA_HOME": ""}
        environment["XDG_DATA_HOME"] = str(home / ".local/share")
    code = DRAW + (
        f"for font in (None, {str(fonts / 'Aaa.ttf')!r}):\n"
        "    print(json.dumps(rows(title='\\u10d0\\u10d1\\u10d2', font=font)))\n"
        "print(json.dumps(rows(title='\\u0378\\u0379\\u0378')))\n"
        "print(json.dumps(rows(title='Plain')))"
    )
    found, with_it, boxes, plain = run(code, fonts, **environment)
    # The same letters, not boxes, and nothing to say but which font.
    assert apart(found[0], with_it[0]) < 10
    assert apart(found[0], boxes[0]) > 30
    assert found[1] == []
    assert (found[2], with_it[2]) == (["Aaa.ttf"], None)
    assert plain[1:] == [[], None]


def test_characters_that_no_font_has_are_named(fonts) -> None:
    code = DRAW + "print(json.dumps(rows(title='\\u9332\\u97f3 1 \\u0378')))"
    ((_, said, used),) = run(code, fonts)
    assert used is None
    assert said == [
        "titles and labels: expected characters of the fonts at hand, found U+0378 \u9332 (U+9332) "
        "\u97f3 (U+97F3): drawn as boxes; name a font that has them with font (--font)"
    ]


def test_convert_notes_them_once(tmp_path) -> None:
    recordings = tmp_path / "in"
    recordings.mkdir()
    for name in (f"a{NOWHERE}.wav", f"b{NOWHERE}.wav", "c.wav"):
        heartfast.synth.write_wav(recordings / name, Y, SR)
    config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig())
    notes = heartfast.convert(recordings, tmp_path / "out", config=config).notes
    assert [note for note in notes if "--font" in note] == [
        "titles and labels: expected characters of the fonts at hand, found U+0378 in 2 figures: "
        "drawn as boxes; name a font that has them with font (--font)"
    ]
    # Tiles have no titles.
    assert heartfast.convert(recordings, tmp_path / "tiles").notes == []


def test_figures_and_batches_warn_of_them() -> None:
    with pytest.warns(HeartfastWarning, match=r"found U\+0378: drawn as boxes"):
        heartfast.figure(Y, SR, title=NOWHERE)
    with pytest.warns(HeartfastWarning, match=r"found U\+0378: drawn as boxes"):
        heartfast.spectrogram(Y, SR).figure(ylab=NOWHERE)
    file = io.BytesIO()
    import soundfile

    soundfile.write(file, Y, SR, format="WAV")
    config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig())
    batch = {"bytes": [file.getvalue()] * 2, "path": [f"x{NOWHERE}.wav"] * 2}
    with pytest.warns(HeartfastWarning, match=r"found U\+0378 in 2 figures"):
        heartfast.convert_batch(batch, config=config)


def test_pictures_do_not_depend_on_the_number_of_threads(fonts, tmp_path) -> None:
    recordings = tmp_path / "in"
    recordings.mkdir()
    for k in range(12):
        heartfast.synth.write_wav(recordings / f"{chr(0x10D0 + k)}{chr(0x5D0 + k)}.wav", Y, SR)
    code = (
        "import hashlib, json, pathlib, sys, heartfast\n"
        "config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig())\n"
        "for jobs in (1, 4):\n"
        f"    out = pathlib.Path({str(tmp_path)!r}, str(jobs))\n"
        f"    heartfast.convert({str(recordings)!r}, out, config=config, jobs=jobs)\n"
        "    print(json.dumps({p.name: hashlib.sha256(p.read_bytes()).hexdigest()\n"
        "        for p in out.glob('*.png')}))"
    )
    one, four = run(code, fonts)
    assert len(one) == 12
    assert one == four


def test_a_title_of_macos_and_one_of_linux_make_one_figure(tmp_path) -> None:
    drawn = []
    config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig(width=400, height=200))
    for form in ("NFC", "NFD"):
        folder = tmp_path / form
        folder.mkdir()
        name = unicodedata.normalize(form, "M\u00fcller \u00e9t\u00e9")
        heartfast.synth.write_wav(folder / f"{name}.wav", Y, SR)
        heartfast.convert(folder, tmp_path / f"out-{form}", config=config)
        (png,) = (tmp_path / f"out-{form}").glob("*.png")
        drawn.append(png.read_bytes())
    assert drawn[0] == drawn[1]
