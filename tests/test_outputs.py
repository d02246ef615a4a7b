"""No verb and no function writes its results over what it reads."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest

import heartfast
from heartfast.cli import main

QUICK = ("--folds", "2", "--repeats", "1", "--trials", "1", "--jobs", "1")


def contents(root: Path) -> dict[str, str]:
    """Every file below a folder, and the digest of what is in it."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory, with_few_candidates):
    """Recordings, their pictures, a model, scores, a page, and sets."""
    root = tmp_path_factory.mktemp("outputs")
    heartfast.synth.write_corpus(root / "wav", patients=12, recordings=2)
    heartfast.convert(root / "wav", root / "png", labels="folders")
    with with_few_candidates():
        heartfast.train(root / "png", root / "model", folds=2, repeats=1, trials=1)
    heartfast.pack(root / "png", root / "sets", test_size=0.4)
    heartfast.score(root / "model", root / "sets/test.zip", root / "scores.csv")
    (root / "ward").mkdir()
    for path in sorted((root / "wav").glob("*/*.wav"))[:3]:
        shutil.copy(path, root / "ward")
    with zipfile.ZipFile(root / "ward.zip", "w") as archive:
        for path in sorted((root / "ward").iterdir()):
            archive.write(path, path.name)
    return root


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A copy that may be harmed, as the current folder."""
    shutil.copytree(made, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def refused(place: Path, capsys, *command: object) -> str:
    """Run a command that must fail in one line and leave every byte as it was."""
    before = contents(place)
    capsys.readouterr()
    code = main([str(word) for word in command])
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (1, 1), said
    assert "expected " in said
    assert contents(place) == before
    return said


def commands() -> list[tuple[str, ...]]:
    wav = str(next(Path("ward").glob("*.wav")))
    png = str(next(Path("png").glob("*/*.png")))
    return [
        ("score", "model", "ward", "-o", wav),
        ("score", "model", "ward/*.wav", "-o", wav),
        ("score", "model", "ward.zip", "-o", "ward.zip"),
        ("score", "model", wav, "-o", wav),
        ("score", "model", "ward", "-o", "model"),
        ("score", "model", "png", "-o", png),
        ("score", "model", "png", "-o", "png/metadata.csv"),
        ("score", "model", "sets/test.zip", "-o", "sets/test.zip"),
        ("score", "model", "sets/test.zip", "--costs", "costs.csv", "-o", "costs.csv"),
        ("score", "model", "wav/normal", "-o", wav),  # no input, but a recording
        ("train", "png", "-o", png),
        ("train", "png", "-o", "png/metadata.csv"),
        ("train", "png", "-o", "png/manifest.jsonl"),
        ("train", "sets/train.zip", "-o", "sets/train.zip"),
        ("evaluate", "scores.csv", "sets/test_actual.csv", "--html", "scores.csv"),
        ("evaluate", "scores.csv", "sets/test_actual.csv", "--html", "sets/test_actual.csv"),
        ("evaluate", "scores.csv", "sets/test_actual.csv", "--html", "sets/test_metadata.csv"),
        ("evaluate", "scores.csv", "sets/test_actual.csv", "--html", "sets/train.zip"),
        ("audit", "png", "--html", png),
        ("audit", "png", "--html", "png/metadata.csv"),
        ("audit", "sets", "--html", "sets/test_metadata.csv"),
        ("audit", "sets", "--images", "png", "--html", "png/metadata.csv"),
        ("audit", "png", "--html", wav),
        ("gallery", "png", "-o", png),
        ("gallery", "png", "-o", "png/metadata.csv"),
        ("gallery", "png", "--audio", "wav", "-o", "wav/labels.csv"),
        ("gallery", "png", "-o", str(next(Path("wav").glob("*/*.wav")))),
        ("gallery", "png", "--scores", "scores.csv", "-o", "scores.csv"),
        ("convert", "ward", "-o", "ward", "--overwrite"),
        ("convert", "ward", "-o", ".", "--overwrite"),
        ("convert", "ward.zip", "-o", ".", "--overwrite"),
        ("convert", "ward", "-o", wav),
        ("pack", "png", "-o", "png"),
        ("pack", "png", "-o", "."),
        ("run", "wav", "--labels", "folders", "-o", "wav", *QUICK),
    ]


def test_every_verb_refuses_its_input(place, capsys):
    (place / "costs.csv").write_text("actual,normal\nnormal,0\n")
    for command in commands():
        refused(place, capsys, *command)


def test_identity_is_that_of_files_and_not_of_names(place, capsys):
    wav = next((place / "ward").glob("*.wav"))
    (place / "soft.csv").symlink_to(wav)
    (place / "again").symlink_to("ward")
    (place / "ward/more").mkdir()
    (place / "ward/more/notes.txt").write_text("of the ward")
    names = [
        place / "ward/../ward" / wav.name,
        place / "soft.csv",
        place / "again" / wav.name,
        place / "again/more/notes.txt",
        f"./ward//{wav.name}",
    ]
    for name in names:
        refused(place, capsys, "score", "model", "ward", "-o", name)
        refused(place, capsys, "score", "model", "again", "-o", name)
        with pytest.raises(OSError, match="expected "):
            heartfast.score("model", Path("ward"), name)
    os.link(place / "scores.csv", place / "hard.html")
    actual = "sets/test_actual.csv"
    assert "found the input" in refused(
        place, capsys, "evaluate", "scores.csv", actual, "--html", "hard.html"
    )


def test_functions_refuse_it_as_well(place):
    png = next((place / "png").glob("*/*.png"))
    before = contents(place)
    for call in (
        lambda: heartfast.score("model", "png", png),
        lambda: heartfast.score("model", [str(png)], png),
        lambda: heartfast.train("png", png),
        lambda: heartfast.gallery("png", output=png),
        lambda: heartfast.convert("ward", place, overwrite=True),
        lambda: heartfast.convert("wav", "png", labels="png/metadata.csv", overwrite=True),
    ):
        with pytest.raises(OSError, match="expected "):
            call()
    assert contents(place) == before


def test_results_are_replaced_also_beside_the_input(place, capsys):
    for name in ("ward/scores.csv", "scores.csv"):
        for _ in range(2):
            assert main(["score", "model", "ward", "-o", name]) == 0
    for _ in range(2):
        assert main(["gallery", "png"]) == 0
        assert main(["audit", "png", "--html", "png/audit.html"]) in (0, 3)
        actual = ["scores2.csv", "sets/test_actual.csv"]
        assert main(["score", "model", "sets/test.zip", "-o", actual[0]]) == 0
        assert main(["evaluate", *actual, "--html", "report.html"]) == 0
    assert (place / "png/audit.html").read_text().startswith("<!doctype html>")
    # Another kind of result beside the input is none of the same.
    assert "an earlier table of scores" in refused(
        place, capsys, "score", "model", "png", "-o", "png/audit.html"
    )


def test_tables_of_other_pictures_are_not_merged_over(place, capsys):
    for shard in ("1/2", "2/2"):
        heartfast.convert("wav", f"part{shard[0]}", shard=shard, shard_mb=0.1)
    said = refused(place, capsys, "merge", "part1", "part2", "-o", "png")
    assert "png: expected the settings of the pictures in there" in said
    (place / "tables").mkdir()
    (place / "tables/metadata.csv").write_text("mine\n")
    said = refused(place, capsys, "merge", "part1", "part2", "-o", "tables")
    assert "expected no tables of other pictures" in said
    for _ in range(2):
        assert main(["merge", "part1", "part2", "-o", "merged"]) == 0


def test_what_writes_files_by_itself_keeps_recordings(place):
    from heartfast.bundle import Bundle
    from heartfast.stages.audit import write_audit

    wav = next((place / "ward").glob("*.wav"))
    before = contents(place)
    audited = heartfast.audit("png")
    for call in (lambda: Bundle.load("model").save(wav), lambda: write_audit(wav, audited)):
        with pytest.raises(OSError, match="found data of another kind"):
            call()
    assert contents(place) == before
