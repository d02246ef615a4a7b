"""The gallery's page as it is written: what stands in it, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from PIL import Image, PngImagePlugin

import heartfast
from heartfast.cards import Card, natural, write_cards
from heartfast.heads import read_head
from heartfast.sounds import find_sound

ROOT = Path(__file__).resolve().parent.parent
HEARTFAST = Path(sys.executable).parent / "heartfast"
HOSTILE = '<img src=x onerror=alert(1)> & "q" 100%#?'


def index_of(page: Path | str) -> dict:
    text = Path(page).read_text()
    block = re.search(r'<script type="application/json" id="index">(.*?)</script>', text, re.DOTALL)
    return json.loads(block[1])


def column(index: dict, name: str) -> list:
    """A field of all pictures, as the page reads it."""
    values = index[name] if isinstance(index[name], list) else [index[name]] * index["count"]
    return [index[f"{name}s"][value] for value in values] if f"{name}s" in index else values


def pictures_of(page: Path | str) -> list[Path]:
    index, place = index_of(page), Path(page).parent
    return [
        place / unquote(folder + file)
        for folder, file in zip(column(index, "folder"), column(index, "file"), strict=True)
    ]


def recordings_of(page: Path | str) -> list[Path]:
    index, place = index_of(page), Path(page).parent
    stems = [re.sub(r"\.[^.]*$", "", file) for file in column(index, "file")]
    names = column(index, "recording")
    return [
        place / unquote(folder + (stem + name if name.startswith(".") else name))
        for folder, stem, name in zip(column(index, "place"), stems, names, strict=True)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    heartfast.synth.write_corpus(folder / "wav", patients=6, recordings=2, duration_s=(2, 3))
    heartfast.convert(folder / "wav", folder / "png", labels="folders")
    return folder


def scores_for(names: list[str], classes=("extrasystole", "murmur", "normal")) -> str:
    rng = np.random.default_rng(1)
    head = ",".join(["row_id", *(f"Prediction.{name}" for name in classes), "file_name"])
    rows = [
        ",".join([str(i), *map(repr, rng.dirichlet([1.0] * len(classes)).tolist()), name])
        for i, name in enumerate(names)
    ]
    return "\n".join([head, *rows]) + "\n"


def test_links_lead_to_pictures_and_recordings_from_wherever_the_page_is(
    made: Path, tmp_path: Path
) -> None:
    for page in (None, tmp_path / "deep" / "page.html"):
        result = heartfast.gallery(made / "png", output=page)
        assert (result.pictures, result.sounds, result.scored) == (12, 12, 0)
        pictures, recordings = pictures_of(result.path), recordings_of(result.path)
        assert sorted(p.resolve() for p in pictures) == sorted((made / "png").rglob("*.png"))
        for picture, recording in zip(pictures, recordings, strict=True):
            assert recording.resolve().with_suffix("").name == picture.stem
            assert recording.is_file()
        text = Path(result.path).read_text()
        assert str(made) not in text


def test_seconds_of_a_tile_are_those_at_its_edges(tmp_path: Path) -> None:
    """Independent of the formula: a click's column, against the time that the line has there."""
    sr = 4000
    y = np.zeros(2 * sr, np.float32)
    y[int(1.3 * sr)] = 1.0
    heartfast.synth.write_wav(tmp_path / "click.wav", y, sr)
    for size in ({}, {"size": (64, 333)}, {"center": False}, {"overlap": 80.0, "window_ms": 20}):
        config = heartfast.SpectrogramConfig(**size)
        heartfast.convert(tmp_path / "click.wav", tmp_path / "out", config=config, overwrite=True)
        path = tmp_path / "out/click.png"
        head = read_head(str(path))
        levels = np.asarray(Image.open(path)).astype(float)
        loud = levels.sum(axis=0)
        centre = (loud * (np.arange(len(loud)) + 0.5)).sum() / loud.sum() / len(loud)
        assert head.left + centre * (head.right - head.left) == pytest.approx(1.3, abs=0.015)


def test_figures_say_where_their_plot_is(tmp_path: Path) -> None:
    axes = {"size": [900, 500], "plot": [90, 50, 810, 350], "xlim": [0.0, 2.0]}
    made = {"duration_s": 2.0, "sample_rate": 4000, "config": {}, "axes": axes}
    for broken in (None, {"plot": [1, 2, 3]}, {"xlim": [0, "x"]}, {"size": [0, 0]}, {"size": 3}):
        info = PngImagePlugin.PngInfo()
        text = json.dumps(made | {"axes": axes | broken} if broken else made)
        info.add_itxt("heartfast", text)
        Image.new("L", (900, 500)).save(tmp_path / "x.png", pnginfo=info)
        head = read_head(str(tmp_path / "x.png"))
        assert head.plot.ratio == pytest.approx(1.8)
        if not broken:
            assert head.plot[1:] == pytest.approx((0.1, 0.1, 0.9, 0.7))
            assert (head.left, head.right) == (0, 2)
        else:
            assert (head.left, head.right) == (None, None)


@pytest.mark.parametrize("name", ["nothing.png", "text.png", "cut.png", "photo.jpg"])
def test_a_head_that_says_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "text.png":
        path.write_bytes(b"no picture")
    if name == "cut.png":
        path.write_bytes(b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffiTXt")
    if name == "photo.jpg":
        Image.new("L", (30, 20)).save(path)
    head = read_head(str(path))
    assert (head.plot.ratio, head.seconds, head.left) == (None, None, None)


KINDS = [
    *[("WAV", c, "audio/wav") for c in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ALAW")],
    *[("WAV", c, "") for c in ("DOUBLE", "IMA_ADPCM", "MS_ADPCM", "GSM610")],
    *[("WAVEX", "PCM_16", "audio/wav"), ("RF64", "PCM_16", "audio/wav"), ("W64", "PCM_16", "")],
    *[("AIFF", "PCM_16", "audio/aiff"), ("AU", "PCM_16", "audio/basic")],
    *[("CAF", "PCM_16", "audio/x-caf"), ("FLAC", "PCM_16", "audio/flac")],
    *[("OGG", "VORBIS", "audio/ogg"), ("MP3", "MPEG_LAYER_III", "audio/mpeg")],
]


@pytest.mark.parametrize(("container", "codec", "kind"), KINDS)
def test_what_a_recording_is_stands_in_its_head(
    tmp_path: Path, container: str, codec: str, kind: str
) -> None:
    path = str(tmp_path / "sound")  # whatever its name
    soundfile.write(path, np.zeros(8000, np.float32), 8000, format=container, subtype=codec)
    sound = find_sound(path)
    assert sound.type == kind
    assert sound.reason.startswith("browser cannot play ")
    if container in ("WAV", "FLAC"):
        try:
            soundfile.write(path, np.zeros(8000), 2000, format=container, subtype=codec)
        except soundfile.LibsndfileError:
            return
        assert find_sound(path).type == ""


def test_recordings_that_are_not_to_be_had(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    (tmp_path / "x.wav").write_text("what is this")
    os.mkfifo(tmp_path / "pipe.wav")
    reasons = {
        "": "no recording",
        "gone.wav": "recording not found",
        "a.zip/deep/x.wav": "recording in an archive",
        "x.wav": "browser cannot play this format",
        "pipe.wav": "recording not found",
    }
    for name, reason in reasons.items():
        assert find_sound(str(tmp_path / name) if name else "") == ("", reason)


def test_scores_by_name_by_the_truth_beside_them_or_by_place(made: Path, tmp_path: Path) -> None:
    names = sorted(p.relative_to(made / "png").as_posix() for p in (made / "png").rglob("*.png"))
    flat = [name.rpartition("/")[2] for name in names]
    full = scores_for(names)
    short = "\n".join(line.rpartition(",")[0] for line in full.splitlines()) + "\n"
    table = tmp_path / "scores.csv"
    found = []
    for text in (
        full,
        scores_for(flat),
        scores_for([n.replace(".png", ".wav") for n in names]),
        short,
    ):
        table.write_text(text)
        result = heartfast.gallery(made / "png", output=tmp_path / "g.html", scores=table)
        assert result.scored == 12
        index = index_of(result.path)
        files = [p.resolve().relative_to(made / "png").as_posix() for p in pictures_of(result.path)]
        found.append(dict(zip(files, index["scores"], strict=True)))
    assert found[0] == found[1] == found[2] == found[3]
    expected = np.loadtxt(full.splitlines(), delimiter=",", skiprows=1, usecols=(1, 2, 3))
    for name, row in zip(names, expected, strict=True):
        assert found[0][name] == pytest.approx(row, abs=1e-4)
    # A part of them, by the truth that `pack` puts beside.
    table.write_text("\n".join(short.splitlines()[:3]) + "\n")
    truth = "row_id,extrasystole,murmur,normal,file_name\n0,0,0,1,{}\n1,0,1,0,{}\n"
    (tmp_path / "test_actual.csv").write_text(truth.format(flat[5], flat[3]))
    result = heartfast.gallery(made / "png", output=tmp_path / "g.html", scores=table)
    index = index_of(result.path)
    files = [p.name for p in pictures_of(result.path)]
    scored = {file for file, row in zip(files, index["scores"], strict=True) if row}
    assert scored == {flat[5], flat[3]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table of scores with columns Prediction.<class>"),
        ("a,b\n1,2\n", "expected a table of scores with columns Prediction.<class>, found a, b"),
        (
            "file_name,Prediction.a\nFIRST,zwei\n",
            "line 2: expected a probability in column Prediction.a",
        ),
        ("file_name,Prediction.a\nFIRST,nan\n", "found 'nan'"),
        ("row_id,Prediction.a\n0,0.5\n", "expected a column file_name"),
        ("Prediction.a\n0.5\n", "expected a column file_name or row_id"),
        (
            "file_name,Prediction.a\nother.png,1\n",
            "names of the pictures, found 1 others, the first",
        ),
        ('row_id,"Prediction.a\n', "expected a"),
    ],
)
def test_scores_that_do_not_fit_are_one_clear_line(
    made: Path, tmp_path: Path, text: str, message: str
) -> None:
    table = tmp_path / "scores.csv"
    first = min(path.name for path in (made / "png").rglob("*.png"))
    table.write_text(text.replace("FIRST", first))
    ran = subprocess.run(
        [HEARTFAST, "gallery", made / "png", "-o", tmp_path / "g.html", "--scores", table],
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert message in ran.stderr
    assert str(table) in ran.stderr
    assert not (tmp_path / "g.html").exists()


def test_bad_arguments_are_one_clear_line(made: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/zzz.wav").write_bytes(b"")
    heartfast.convert(made / "wav", tmp_path / "zip", labels="folders", to="zip")
    png = made / "png"
    for arguments, message in {
        (tmp_path / "missing",): "expected a folder of pictures, found nothing",
        (png / "metadata.csv",): "expected a folder of pictures, found a file",
        (tmp_path / "empty",): "expected pictures (PNG, JPEG), found none",
        (tmp_path / "zip",): "found pictures.zip, which is to be unpacked first",
        (png, "--scores", tmp_path / "missing.csv"): "expected a table of scores",
        (png, "--audio", tmp_path / "missing"): "expected a recording or a folder of recordings",
        (png, "--audio", tmp_path / "empty"): "expected recordings",
        (png, "--audio", tmp_path / "other"): "expected recordings of the pictures' names",
        (png, "-o", tmp_path / "empty"): "expected a file to write, found a folder",
    }.items():
        ran = subprocess.run([HEARTFAST, "gallery", *arguments], capture_output=True, text=True)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
        assert message in ran.stderr
    with pytest.raises(ValueError, match="gallery: expected pictures as files"):
        heartfast.convert(made / "wav", tmp_path / "x", to="zip", gallery=True)
    assert not (tmp_path / "x").exists()


def test_recordings_elsewhere_are_found_by_name(tmp_path: Path) -> None:
    y, sr = heartfast.synth.heart_sound("normal", duration_s=3.0, seed=2)
    for name in ("site1/a.wav", "site2/a.wav", "site2/deep/b.wav"):
        (tmp_path / "wav" / name).parent.mkdir(parents=True, exist_ok=True)
        heartfast.synth.write_wav(tmp_path / "wav" / name, y, sr)
    heartfast.convert(tmp_path / "wav", tmp_path / "png", segment_s=1.0)
    (tmp_path / "wav").rename(tmp_path / "moved")
    gone = heartfast.gallery(tmp_path / "png")
    assert (gone.pictures, gone.sounds) == (9, 0)
    assert column(index_of(gone.path), "sound") == [["", "recording not found"]] * 9
    found = heartfast.gallery(tmp_path / "png", audio=tmp_path / "moved")
    assert found.sounds == 9
    index = index_of(found.path)
    for picture, path, start, left in zip(
        pictures_of(found.path),
        recordings_of(found.path),
        column(index, "start"),
        column(index, "left"),
        strict=True,
    ):
        assert path.resolve().parent.name == picture.resolve().parent.name
        assert path.stem == picture.stem.rpartition("_")[0]
        assert start == int(picture.stem.rpartition("_")[2]) / 1000
        assert left == pytest.approx(start - 0.0125)


def test_any_folder_of_pictures_will_do(tmp_path: Path) -> None:
    y, sr = heartfast.synth.heart_sound("normal", duration_s=2.0, seed=2)
    for folder in ("owls", "frogs/green"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("RGB", (90, 60)).save(tmp_path / folder / "x.jpg")
        heartfast.synth.write_wav(tmp_path / folder / "x.wav", y, sr)
        Image.new("L", (90, 45)).save(tmp_path / folder / "y.png")
    result = heartfast.gallery(tmp_path)
    index = index_of(result.path)
    assert (result.pictures, result.sounds, index["facet"]) == (4, 2, "class")
    assert index["labels"] == ["frogs", "owls"]
    assert sorted(str(plot[0]) for plot in column(index, "plot")) == ["2.0", "2.0", "None", "None"]
    # Without labels it is by folder.
    heartfast.convert(tmp_path, tmp_path / "out", gallery=True)
    index = index_of(tmp_path / "out/gallery.html")
    assert (index["facet"], index["labels"]) == ("folder", ["frogs/green", "owls"])


def test_names_do_nothing(tmp_path: Path) -> None:
    y, sr = heartfast.synth.heart_sound("normal", duration_s=2.0, seed=2)
    place = tmp_path / "wav" / "<b onclick=alert(1)>"
    place.mkdir(parents=True)
    heartfast.synth.write_wav(place / f"{HOSTILE}.wav", y, sr)
    heartfast.synth.write_wav(os.fsdecode(os.fsencode(place) + b"/\xff\xfe.wav"), y, sr)
    heartfast.convert(tmp_path / "wav", tmp_path / "png", labels="folders", gallery=True)
    text = (tmp_path / "png/gallery.html").read_text()
    assert "<img src=x" not in text
    assert text.count("</script>") == 2
    assert all(path.is_file() for path in pictures_of(tmp_path / "png/gallery.html")[:1])
    card = Card(str(tmp_path / "x.png"), title="</script><script>alert(1)</script>", label="<b>")
    write_cards(tmp_path / "page.html", [card], title="<i>&</i>")
    text = (tmp_path / "page.html").read_text()
    assert text.count("</script>") == 2
    assert "<b>" not in text.partition("<body>")[0]
    assert "&lt;i&gt;&amp;&lt;/i&gt;" in text
    assert index_of(tmp_path / "page.html")["title"] == "</script><script>alert(1)</script>"


def test_a_page_may_run_its_own_script_only(made: Path, tmp_path: Path) -> None:
    import base64
    import hashlib

    text = Path(heartfast.gallery(made / "png", output=tmp_path / "g.html").path).read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    policy = policy.replace("&#39;", "'")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?://|@import|url\(", text)


def test_convert_goes_on_with_a_gallery_in_its_folder(made: Path, tmp_path: Path) -> None:
    command = [HEARTFAST, "convert", made / "wav", "-o", tmp_path / "out", "--gallery"]
    for _ in range(2):
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "the gallery is in" in ran.stderr
    assert index_of(tmp_path / "out/gallery.html")["count"] == 12
    subprocess.run([*command[:-1], "--overwrite"], check=True, capture_output=True)
    assert not (tmp_path / "out/gallery.html").exists()


def test_natural_order() -> None:
    names = ["b10", "b9", "B 2", "a", "b9a", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "a", "b9", "b9a", "b10", "B 2"]


def test_a_notebook_shows_a_dozen(tmp_path: Path) -> None:
    y, sr = heartfast.synth.heart_sound("normal", duration_s=2.0, seed=2)
    (tmp_path / "wav").mkdir()
    for name in (HOSTILE.replace("/", ""), *(f"a{k}" for k in range(19))):
        heartfast.synth.write_wav(tmp_path / "wav" / f"{name}.wav", y, sr)
    (tmp_path / "wav/bad.wav").write_bytes(b"RIFF")
    result = heartfast.convert(tmp_path / "wav", tmp_path / "out")
    page = result._repr_html_()
    assert page.count('src="data:image/png;base64,') == 12
    assert "20 pictures of 0.7 minutes" in page
    assert "1 failed" in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page  # it is the first by name
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    packed = heartfast.convert(tmp_path / "wav", tmp_path / "tar", to="tar")
    assert "20 pictures" in packed._repr_html_()
    for path in (tmp_path / "out").glob("*.png"):
        path.unlink()
    assert "<img" not in result._repr_html_()


def test_the_examples_of_the_documentation(tmp_path: Path, monkeypatch) -> None:
    from heartfast.options import make_parser

    text = (ROOT / "docs/gallery.md").read_text()
    commands = re.findall(r"^heartfast (.*?) *(?:#.*)?$", text, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        assert make_parser().parse_args(shlex.split(command)).verb in ("convert", "gallery")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)  # noqa: S102
    assert Path(names["page"]).is_file()
    images = set(re.findall(r"images/[\w-]+\.png", text))
    assert all((ROOT / "docs" / image).stat().st_size < 300_000 for image in images)
