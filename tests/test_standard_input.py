"""``-`` is standard input or output in every verb, in a real process, or it is refused."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast

NAMES = ("a", "other1", "other2")


def heartfast_with(data: bytes, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "heartfast", *arguments],
        input=data,
        capture_output=True,
        cwd=cwd,
        check=False,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for seed, name in enumerate(NAMES):
        noise = np.random.Generator(np.random.PCG64(seed)).normal(0, 0.1, 4000)
        soundfile.write(tmp_path / f"d/{name}.wav", noise, 4000)
    return tmp_path / "d"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, with_few_candidates) -> Path:
    folder = tmp_path_factory.mktemp("model")
    heartfast.synth.write_corpus(folder / "wav", patients=24, recordings=1)
    heartfast.convert(folder / "wav", folder / "png", labels=folder / "wav/labels.csv")
    with with_few_candidates():
        heartfast.train(folder / "png", folder / "m", folds=2, repeats=1, trials=1)
    return folder / "m"


def drawn(out: Path) -> list[str]:
    return sorted(path.stem for path in out.rglob("*.png"))


@pytest.mark.parametrize(
    "data",
    [
        b"a.wav\n", b"a.wav", b"a.wav\r\n", b"\xef\xbb\xbfa.wav\r\n", b"a.wav\0", b"./a.wav\n\n",
        "a.wav\r\n".encode("utf-16"), "\ufeffa.wav\r\n".encode("utf-16-be"),
        "a.wav\r\n".encode("utf-16-le"), "./a.wav".encode("utf-16-be"),
    ],
)  # fmt: skip
def test_lists_of_any_system(data: bytes, folder: Path) -> None:
    ran = heartfast_with(data, "convert", "-", "-o", "../out", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert drawn(folder.parent / "out") == ["a"]


def test_names_of_one_letter_are_no_utf16(folder: Path) -> None:
    (folder / "a.wav").rename(folder / "a")
    (folder / "other1.wav").rename(folder / "b")
    ran = heartfast_with(b"a\0b\0", "convert", "-", "-o", "../out", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert drawn(folder.parent / "out") == ["a", "b"]


def test_nothing_is_searched_before_all_of_a_list_is_text() -> None:
    from heartfast.standard_input import listed_paths

    for data in (b"/\0.\0\0", b"/\n.\n\x01", b"/\0.\0\x01\x02\0"):
        with pytest.raises(
            heartfast.DatasetError, match="expected a recording, or a list of paths"
        ):
            next(listed_paths(data, print))


def test_folders_that_are_called_like_a_format(folder: Path) -> None:
    (folder / "ID3").mkdir()
    (folder / "a.wav").rename(folder / "ID3/a.wav")
    for data in (b"ID3/a.wav\0other1.wav\0", b"ID3/a.wav\nother1.wav\n"):
        ran = heartfast_with(data, "convert", "-", "-o", "../out", "--overwrite", cwd=folder)
        assert ran.returncode == 0, ran.stderr
        assert drawn(folder.parent / "out") == ["a", "other1"]


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(64)) + b"/\0.\0\0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR/\0.\0",
        b"a.wav\n\x01b.wav\n",
        b"a.wav\0\0b.wav\0", b"a" * 100_000 + b"\n", b"PK\3\4\0\0/\0.\0", b"%PDF-1.7\n\x00\x01/\0",
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(data: bytes, folder: Path, model: Path) -> None:
    before = sorted(folder.iterdir())
    for verb in (["convert"], ["score", os.fspath(model)]):
        ran = heartfast_with(data, *verb, "-", "-o", "../out", cwd=folder)
        assert ran.returncode == 1
        assert b"standard input: expected a recording, or a list of paths" in ran.stderr
        assert ran.stderr.count(b"\n") == 1
        assert not (folder.parent / "out").exists()
        assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF"])
def test_a_recording_on_standard_input_is_one_recording(kind: str, folder: Path) -> None:
    data = io.BytesIO()
    y, sr = soundfile.read(folder / "a.wav")
    soundfile.write(data, np.tile(y, 8), 8 * sr, format=kind)
    ran = heartfast_with(data.getvalue(), "convert", "-", "-o", "../out", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    (path,) = (folder.parent / "out").glob("*.png")
    assert path.name == "stdin.png"
    named = folder.parent / f"named.{kind.lower()}"
    named.write_bytes(data.getvalue())
    done = heartfast.convert(named, folder.parent / "named")
    (same,) = Path(done.out).glob("*.png")
    assert path.read_bytes() == same.read_bytes()
    # Another one takes its place, and the same one is known.
    again = heartfast_with(data.getvalue(), "convert", "-", "-o", "../out", cwd=folder)
    assert b"1 recordings by an earlier run" in again.stderr
    short = (folder / "a.wav").read_bytes()
    other = heartfast_with(short, "convert", "-", "-o", "../out", cwd=folder)
    assert other.returncode == 0
    assert b"earlier run" not in other.stderr


def test_score_reads_a_recording_and_writes_to_standard_output(folder: Path, model: Path) -> None:
    data = (folder / "a.wav").read_bytes()
    ran = heartfast_with(
        data, "score", os.fspath(model), "-", "-o", "-", "--columns", "full", cwd=folder
    )
    assert ran.returncode == 0, ran.stderr
    (row,) = csv.DictReader(io.StringIO(ran.stdout.decode()))
    assert row["file_name"] == "stdin"
    named = heartfast.score(model, folder / "a.wav")
    assert [float(row[f"Prediction.{label}"]) for label in named.classes] == named.probabilities[
        0
    ].tolist()
    assert not (folder / "-").exists()
    names = b"a.wav\nother1.wav\n"
    listed = heartfast_with(names, "score", os.fspath(model), "-", "-o", "x", cwd=folder)
    assert listed.returncode == 0, listed.stderr
    assert len((folder / "x").read_text().splitlines()) == 3


def test_tables_on_standard_input(folder: Path) -> None:
    table = b"file_name,label\na.wav,cat\nother1.wav,dog\nother2.wav,dog\n"
    ran = heartfast_with(table, "convert", ".", "-o", "../out", "--labels", "-", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert (folder.parent / "out/cat/a.png").is_file()
    (folder / "scores").write_text("file_name,Prediction.a,Prediction.b\nx,0.9,0.1\ny,0.2,0.8\n")
    truth = b"file_name,label\nx,a\ny,b\n"
    ran = heartfast_with(truth, "evaluate", "scores", "-", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert b"2 recordings in 2 groups" in ran.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "convert . -o -", "convert . -o ../o --to zip -o -", "merge -", "merge . -o -",
        "pack - -o o",
        "pack . -o -", "train - -o m", "train . -o -", "score - x -o y", "audit -",
        "audit . --html -",
        "gallery -", "gallery . -o -", "gallery . --audio -", "run . --labels folders -o -",
        "info -", "demo -o -", "evaluate - -", "evaluate - x --html -", "score m - -o - --json",
    ],
)  # fmt: skip
def test_everything_else_is_refused(arguments: str, folder: Path) -> None:
    (folder / "-").write_bytes(b"a file of that name")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    ran = heartfast_with(b"a.wav\n", *arguments.split(), cwd=folder)
    assert ran.returncode == 2, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_functions_refuse_it_too(folder: Path) -> None:
    for call in (
        lambda: heartfast.convert(folder, "-"),
        lambda: heartfast.pack(folder, "-"),
        lambda: heartfast.gallery("-"),
        lambda: heartfast.audit("-"),
    ):
        with pytest.raises(heartfast.errors.UsageError, match="standard input or output"):
            call()
