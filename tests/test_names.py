"""Names that look the same are the same, and what systems leave behind is no recording."""

from __future__ import annotations

import csv
import os
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import heartfast
from heartfast.cli import main
from heartfast.names import comparable, is_clutter, name_of_text, text_of_name
from heartfast.patterns import expand
from heartfast.recordings import find_recordings

COMPOSED = "M\u00fcller"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def wav(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.Generator(np.random.PCG64(seed)).normal(0, 0.1, 2000)
    with open(path, "wb") as file:  # soundfile takes no names of any bytes
        soundfile.write(file, noise, 4000, format="WAV")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@given(st.text())
def test_spellings_of_a_name_are_one(text: str) -> None:
    assert comparable(unicodedata.normalize("NFD", text)) == comparable(
        unicodedata.normalize("NFC", text)
    )


@given(st.binary(max_size=12).map(os.fsdecode), st.sampled_from(["", "%E9", "%25E9", "%2525FF"]))
def test_any_name_is_text_and_back(name: str, more: str) -> None:
    for whole in (name + more, more + name):
        text = text_of_name(whole)
        text.encode("utf-8")
        assert name_of_text(text) == whole


def test_decomposed_names_match_a_table(tmp_path: Path) -> None:
    wav(tmp_path / f"in/{DECOMPOSED}.wav")
    table = tmp_path / "labels.csv"
    table.write_text(f"file_name,label,group\n{COMPOSED}.wav,{DECOMPOSED},{DECOMPOSED}\n", "utf-8")
    done = heartfast.convert(tmp_path / "in", tmp_path / "out", labels=table)
    assert not done.notes
    (row,) = rows(tmp_path / "out/metadata.csv")
    # The file keeps its own bytes; classes and groups are one, however they were typed.
    assert row["file_name"] == f"{COMPOSED}/{DECOMPOSED}.png"
    assert (row["label"], row["group"]) == (COMPOSED, COMPOSED)
    assert (tmp_path / "out" / row["file_name"]).is_file()


def test_names_that_differ_only_in_that_are_told_apart(tmp_path: Path) -> None:
    for seed, name in enumerate((COMPOSED, DECOMPOSED)):
        wav(tmp_path / f"in/{name}.wav", seed)
    table = tmp_path / "labels.csv"
    table.write_text(f"file_name,label\n{COMPOSED}.wav,a\n{DECOMPOSED}.wav,b\n", "utf-8")
    done = heartfast.convert(tmp_path / "in", tmp_path / "out", labels=table)
    assert {r.recording[-14:]: r.label for r in done.records} == {
        str(tmp_path / f"in/{COMPOSED}.wav")[-14:]: "a",
        str(tmp_path / f"in/{DECOMPOSED}.wav")[-14:]: "b",
    }
    # In one folder they would be one file on macOS.
    done = heartfast.convert(tmp_path / "in", tmp_path / "flat")
    names = [unicodedata.normalize("NFC", record.file_name) for record in done.records]
    assert len(set(names)) == 2
    assert any("share 1 picture name" in note for note in done.notes)


def test_classes_of_folders_are_one_however_composed(tmp_path: Path) -> None:
    for seed, folder in enumerate((COMPOSED, DECOMPOSED)):
        wav(tmp_path / f"in{seed}/{folder}/r{seed}.wav", seed)
    done = heartfast.convert(
        [tmp_path / "in0", tmp_path / "in1"], tmp_path / "out", labels="folders"
    )
    assert {record.label for record in done.records} == {COMPOSED}
    heartfast.convert(tmp_path / "in1", tmp_path / "tree")
    (picture,) = (tmp_path / "tree").rglob("*.png")
    assert picture.parent.name == DECOMPOSED


def test_metadata_matches_what_a_zip_or_a_mac_has_renamed(tmp_path: Path) -> None:
    from heartfast.images import PictureSet

    wav(tmp_path / f"in/cat/{COMPOSED}.wav")
    out = Path(heartfast.convert(tmp_path / "in", tmp_path / "out", labels="folders").out)
    (out / f"cat/{COMPOSED}.png").rename(out / f"cat/{DECOMPOSED}.png")
    with PictureSet(out) as pictures:
        (picture,) = pictures.pictures
        assert picture.label == "cat"
        assert pictures.read_bytes(picture.name).startswith(b"\x89PNG")
        assert not pictures.unlisted


def test_intervals_match_and_those_of_nothing_are_counted(tmp_path: Path) -> None:
    wav(tmp_path / f"in/{DECOMPOSED}.wav")
    table = tmp_path / "beats.csv"
    table.write_text(
        f"file_name,start,end,label\n{COMPOSED}.wav,0.1,0.2,S1\nother.wav,0,0.1,S2\n", "utf-8"
    )
    config = heartfast.SpectrogramConfig(figure=heartfast.FigureConfig(width=400, height=200))
    done = heartfast.convert(tmp_path / "in", tmp_path / "a", config=config, intervals=table)
    assert done.notes == ["intervals: 1 name of no recording here ('other', ...)"]
    plain = heartfast.convert(tmp_path / "in", tmp_path / "b", config=config)
    drawn = [next(Path(one.out).rglob("*.png")).read_bytes() for one in (done, plain)]
    assert drawn[0] != drawn[1]


def test_groups_of_a_pattern_are_composed(tmp_path: Path) -> None:
    for seed, name in enumerate((COMPOSED, DECOMPOSED)):
        wav(tmp_path / f"in/{name}_{seed}.wav", seed)
    done = heartfast.convert(tmp_path / "in", tmp_path / "out", group_regex=f"^({DECOMPOSED})_")
    assert {record.group for record in done.records} == {COMPOSED}


def test_brackets_in_a_folder_are_letters(tmp_path: Path) -> None:
    folder = tmp_path / "20160916 [-37.5 141.3]"
    path = os.fspath(wav(folder / "x [-37.5 141.3].wav"))
    assert expand(f"{folder}/*.wav") == [path]
    assert expand(f"{folder}/x [[]*.wav") == [path]
    assert expand(f"{tmp_path}/2016*/x [-37.5 *.wav") == [path]
    assert expand(f"{tmp_path}/**/*[-37.5 141.3].wav") == [path]
    wav(folder / "a.wav")
    wav(folder / "b.wav")
    # Where brackets mean letters that are there, they are a class of these, as in a shell.
    assert [Path(p).name for p in expand(f"{folder}/[ab].wav")] == ["a.wav", "b.wav"]
    assert find_recordings(f"{folder}/*.wav")[0].path == os.fspath(folder / "a.wav")


def test_patterns_match_decomposed_names(tmp_path: Path) -> None:
    path = os.fspath(wav(tmp_path / DECOMPOSED / f"{DECOMPOSED}.wav"))
    assert expand(f"{tmp_path}/{COMPOSED}/{COMPOSED[:2]}*.wav") == [path]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("__MACOSX/x.wav", True), ("a/__macosx/x.wav", True), ("a/._x.wav", True),
        (".DS_Store", True), ("a/Thumbs.db", True), ("desktop.ini", True), (".hidden/x.wav", True),
        ("x.wav", False), ("my__MACOSX/x.wav", False), ("a/b.c/x.wav", False),
        ("Thumbs.db.wav", False),
    ],
)  # fmt: skip
def test_what_systems_leave(name: str, left: bool) -> None:
    assert is_clutter(name) is left


def test_writers_and_readers_pass_over_the_same(tmp_path: Path) -> None:
    for seed, name in enumerate(("x.wav", "__MACOSX/x.wav", "__MACOSX/._x.wav", ".DS_Store")):
        wav((tmp_path / "in" / name).with_suffix(".wav"), seed)
    done = heartfast.convert(tmp_path / "in", tmp_path / "out", gallery=True, any_extension=True)
    assert done.pictures == 1
    assert done.notes == [f"{tmp_path}/in: passed over 1 recording that macOS left (__MACOSX)"]
    assert heartfast.gallery(tmp_path / "out").pictures == 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(find_recordings(tmp_path / "in")) == 1
    assert [w.category for w in caught] == [heartfast.errors.HeartfastWarning]


def test_a_hidden_recording_has_a_picture_that_is_seen(tmp_path: Path) -> None:
    path = wav(tmp_path / ".x.wav")
    done = heartfast.convert(path, tmp_path / "out")
    assert [record.file_name for record in done.records] == ["%2Ex.png"]
    assert heartfast.gallery(tmp_path / "out").pictures == 1


@pytest.mark.skipif(os.name == "nt", reason="needs names of any bytes")
@pytest.mark.parametrize("options", [{"to": "parquet"}, {"features": True}, {"to": "tar"}])
def test_a_name_that_is_no_utf8_costs_itself_only(options, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for seed, name in enumerate((b"a", b"b", b"lat\xe9")):
        wav(Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name + b".wav")), seed)
    done = heartfast.convert(tmp_path / "in", tmp_path / "out", segment_s=0.2, **options)
    assert (done.pictures, done.failed) == (9, 0)
    if options == {"to": "parquet"}:
        import pyarrow.parquet as pq

        (path,) = (tmp_path / "out").glob("*.parquet")
        names = pq.read_table(path).column("file_name").to_pylist()
        assert names[-1].startswith("lat%E9")
        assert pq.read_table(path).column("image").to_pylist()[-1]["bytes"].startswith(b"\x89PNG")
    if "to" not in options or options["to"] == "parquet":
        assert any("no UTF-8" in note for note in done.notes)
    if "features" in options:
        from heartfast.cluster.feature_table import read_features

        names = [picture.name for picture in read_features(os.fspath(tmp_path / "out")).pictures]
        assert sum(os.fsdecode(b"lat\xe9") in name for name in names) == 3


def test_the_command_line_draws_a_mac_folder(tmp_path: Path, capsys) -> None:
    wav(tmp_path / "in/__MACOSX/x.wav")
    assert main(["convert", f"{tmp_path}/in", "-o", f"{tmp_path}/out"]) == 1
    assert "expected recordings" in capsys.readouterr().err


def test_a_source_is_found_however_it_is_composed(tmp_path: Path) -> None:
    path = wav(tmp_path / DECOMPOSED / f"{DECOMPOSED}.wav")
    (found,) = find_recordings(tmp_path / COMPOSED / f"{COMPOSED}.wav")
    assert found.path == os.fspath(path)
    with pytest.raises(FileNotFoundError):
        find_recordings(tmp_path / COMPOSED / f"{COMPOSED}s.wav")
