"""A split that a dataset already has is kept from its folders to the figures."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.images import PictureSet

PARTS = {"train": 6, "val": 3, "test": 4}


def corpus(folder: Path) -> Path:
    seed = 0
    for part, count in PARTS.items():
        for label, frequency in (("low", 100), ("high", 700)):
            for i in range(count):
                seed += 1
                rng = np.random.Generator(np.random.PCG64(seed))
                time = np.arange(4000 + 40 * seed) / 4000
                y = np.sin(2 * np.pi * frequency * time) + rng.normal(0, 0.3, len(time))
                path = folder / part / label / f"r{i}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, y / 4, 4000)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split")
    corpus(folder / "wav")
    soundfile.write(folder / "wav/test/unknown.wav", np.zeros(4000), 4000)
    heartfast.convert(folder / "wav", folder / "images", labels="folders")
    return folder / "images"


def truth(path: Path) -> dict[str, str]:
    with open(path, newline="") as file:
        return {
            row["file_name"]: next(name for name in ("high", "low") if row[name] == "1")
            for row in csv.DictReader(file)
        }


def test_convert_keeps_it_in_folders(images: Path) -> None:
    with PictureSet(images) as pictures:
        assert {(p.name.split("/")[0], p.label) for p in pictures.pictures} == {
            ("test", "low"), ("test", "high"), ("val", "low"), ("val", "high"),
            ("train", "low"), ("train", "high"), ("unlabelled", ""),
        }  # fmt: skip
        assert {name.split("/")[0] for name, part in pictures.parts.items() if part} == set(PARTS)


@pytest.mark.parametrize("with_table", [True, False])
def test_pack_keeps_it(images: Path, tmp_path: Path, with_table: bool) -> None:
    source = images
    if not with_table:
        source = tmp_path / "downloaded.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted(images.rglob("*.png")):
                name = path.relative_to(images).as_posix().replace("val/", "Validation/")
                archive.write(path, f"data/{name}")
    packed = heartfast.pack(source, tmp_path / "sets", test_size=0.9)
    assert packed.classes == ["high", "low"]
    assert {name: (a.recordings, b.recordings) for name, (a, b) in packed.table.items()} == {
        "high": (9, 4), "low": (9, 4),
    }  # fmt: skip
    assert any(
        "the folders train, val, test are a split, which is kept: test is the test set" in note
        for note in packed.notes
    )
    tested = {p.read_bytes() for p in (images / "test").rglob("*.png")}
    with zipfile.ZipFile(tmp_path / "sets/test.zip") as archive:
        assert {archive.read(name) for name in archive.namelist()} == tested
        assert truth(tmp_path / "sets/test_actual.csv").keys() == set(archive.namelist())


def test_without_a_labelled_test_set_val_is_it(images: Path, tmp_path: Path) -> None:
    for path in sorted(images.rglob("*.png")):
        part, label, name = (*path.relative_to(images).parts, "")[:3]
        if part == "test":
            label, name = "", f"{label}_{name}"  # flat, as competitions have it
        target = tmp_path / "in" / part / label / name
        if part != "unlabelled":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    packed = heartfast.pack(tmp_path / "in", tmp_path / "sets")
    assert {a.recordings for a, _ in packed.table.values()} == {6}
    assert {b.recordings for _, b in packed.table.values()} == {3}
    assert any("8 pictures without a label" in note for note in packed.notes)


@pytest.mark.usefixtures("few_candidates")
def test_train_leaves_the_test_set_out(images: Path) -> None:
    done = heartfast.train(images, folds=2, repeats=1, trials=1)
    assert done.classes == ("high", "low")
    assert done.n_recordings == 18
    assert not any(name.startswith("test/") for name in done.names)
    assert any("its 8 pictures are not trained on" in note for note in done.notes)


def test_audit_looks_at_its_sides(images: Path, tmp_path: Path) -> None:
    copy = tmp_path / "images"
    for path in images.rglob("*.png"):
        target = copy / path.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (copy / "test/low/again.png").write_bytes((copy / "train/low/r0.png").read_bytes())
    found = heartfast.audit(copy)
    (across,) = [one for one in found.findings if one.check == "copies across the split"]
    assert across.level == "red"
    assert across.text.startswith("1 pair of recordings are copies of each other")
    packed = heartfast.pack(copy, tmp_path / "sets")
    assert any("on both sides of that split" in note for note in packed.notes)


@pytest.mark.usefixtures("few_candidates")
def test_run_keeps_it(tmp_path: Path) -> None:
    corpus(tmp_path / "wav")
    done = heartfast.run(
        tmp_path / "wav", tmp_path / "out", labels="folders", folds=2, repeats=1, trials=1
    )
    assert done.evaluation.n_recordings == 8
    assert done.evaluation.classes == ("high", "low")
    assert sum("are a split, which is kept" in note for note in done.notes) == 1


def test_a_class_that_is_never_trained_on_is_an_error(images: Path, tmp_path: Path) -> None:
    for part, label in (("train", "low"), ("test", "low"), ("test", "high")):
        target = tmp_path / "in" / part / label
        target.mkdir(parents=True)
        for path in (images / part / label).glob("*.png"):
            (target / path.name).write_bytes(path.read_bytes())
    with pytest.raises(heartfast.DatasetError, match="every class in the folder train, found none"):
        heartfast.pack(tmp_path / "in", tmp_path / "sets")
