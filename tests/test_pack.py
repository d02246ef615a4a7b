"""The split: groups whole, classes in proportion, the same bytes every time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import heartfast
from heartfast.groups import split_groups
from heartfast.images import Picture
from heartfast.matching import flat_names

FILES = ("test.zip", "test_actual.csv", "test_metadata.csv", "train.zip")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    heartfast.synth.write_corpus(folder / "wav", patients=40, recordings=3, unlabelled=2)
    heartfast.convert(folder / "wav", folder / "png", labels=folder / "wav/labels.csv")
    return folder / "png"


def rows(data: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data, newline="")))


def test_content_of_the_sets(images: Path, tmp_path: Path) -> None:
    packing = heartfast.pack(images, tmp_path, test_size=0.25)
    known = {
        row["file_name"].split("/")[-1]: row for row in rows((images / "metadata.csv").read_text())
    }
    train = zipfile.ZipFile(tmp_path / "train.zip")
    test = zipfile.ZipFile(tmp_path / "test.zip")
    metadata = {row["file_name"]: row for row in rows(train.read("metadata.csv").decode())}
    pictures = [name for name in train.namelist() if name.endswith(".png")]
    assert sorted(metadata) == sorted(pictures)
    for name in pictures:
        folder, base = name.split("/")
        assert metadata[name] | {"file_name": ""} == known[base] | {"file_name": ""}
        assert folder == known[base]["label"]
        assert train.read(name) == (images / folder / base).read_bytes()
    actual = rows((tmp_path / "test_actual.csv").read_text())
    assert [row["file_name"] for row in actual] == test.namelist() == sorted(test.namelist())
    assert [row["row_id"] for row in actual] == [str(i) for i in range(len(actual))]
    for row in actual:
        ones = [name for name in packing.classes if row[name] == "1"]
        assert ones == [known[row["file_name"]]["label"]]
    both = {metadata[name]["group"] for name in pictures} & {
        known[name]["group"] for name in test.namelist()
    }
    assert both == set()
    labelled = [name for name, row in known.items() if row["label"]]
    assert len(pictures) + len(test.namelist()) == len(labelled) == len(known) - 2
    for name, (left, right) in packing.table.items():
        members = [row for row in known.values() if row["label"] == name]
        assert left.recordings + right.recordings == len(members)
        assert left.groups + right.groups == len({row["group"] for row in members})


def test_train_zip_is_an_image_folder(images: Path, tmp_path: Path) -> None:
    packing = heartfast.pack(images, tmp_path)
    zipfile.ZipFile(tmp_path / "train.zip").extractall(tmp_path / "train")
    # torchvision.datasets.ImageFolder: every folder at the top is a class and holds pictures.
    folders = sorted(entry for entry in (tmp_path / "train").iterdir() if entry.is_dir())
    assert [folder.name for folder in folders] == packing.classes
    for folder in folders:
        found = list(folder.iterdir())
        assert len(found) == packing.table[folder.name][0].recordings
        assert all(path.suffix == ".png" for path in found)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_train_zip_loads_in_datasets(images: Path, tmp_path: Path, form: str) -> None:
    heartfast.pack(images, tmp_path)
    archive = zipfile.ZipFile(tmp_path / "train.zip")
    archive.extractall(tmp_path / "train")
    where = {"folder": "data_dir='train'", "zip": "data_files='train.zip'"}[form]
    code = f"""
import datasets, hashlib, json
rows = datasets.load_dataset("imagefolder", {where}, split="train", cache_dir="cache")
print(json.dumps([[row["label"], str(row["group"]), row["sha256"], row["image"].size,
                   hashlib.sha256(row["image"].tobytes()).hexdigest()] for row in rows]))
"""
    # In a process of its own: it reads its settings, and warns, when it is imported.
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "1")
    environment = {**os.environ, **offline, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    wanted = []
    for row in rows(archive.read("metadata.csv").decode()):
        picture = Image.open(io.BytesIO(archive.read(row["file_name"])))
        pixels = hashlib.sha256(picture.tobytes()).hexdigest()
        # Groups that look like numbers become numbers there: 007 is 7.
        group = row["group"].lstrip("0")
        wanted.append([row["label"], group, row["sha256"], list(picture.size), pixels])
    assert sorted(json.loads(ran.stdout)) == sorted(wanted)


def test_same_seed_same_bytes_other_seed_other_split(images: Path, tmp_path: Path) -> None:
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        heartfast.pack(images, tmp_path / place, seed=seed)
    for name in FILES:
        a, b, c = ((tmp_path / place / name).read_bytes() for place in "abc")
        assert a == b
        assert a != c
    info = zipfile.ZipFile(tmp_path / "a/train.zip").infolist()[0]
    assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_no_group_says_what_it_does(images: Path, tmp_path: Path) -> None:
    packing = heartfast.pack(images, tmp_path, groups=False)
    assert any("groups are ignored" in note for note in packing.notes)
    train = rows(zipfile.ZipFile(tmp_path / "train.zip").read("metadata.csv").decode())
    test = rows((tmp_path / "test_metadata.csv").read_text())
    shared = {row["group"] for row in train} & {row["group"] for row in test}
    assert shared
    torn = sum(row["group"] in shared for row in test)
    expected = f"{len(shared)} have recordings on both sides, and {torn} of the {len(test)} "
    assert any(expected in note for note in packing.notes)


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_copies_of_a_recording_stay_together(tmp_path: Path) -> None:
    # Foreign pictures without metadata: four of each class are each there five times.
    for label in ("a", "b"):
        for i in range(20):
            picture(tmp_path / f"in/{label}/{i}.png", seed=i % 4 + 10 * (label == "b"))
    heartfast.pack(tmp_path / "in", tmp_path / "out")
    sides = []
    for name in ("train.zip", "test.zip"):
        archive = zipfile.ZipFile(tmp_path / "out" / name)
        files = [n for n in archive.namelist() if n.endswith(".png")]
        sides.append({hashlib.sha256(archive.read(n)).hexdigest() for n in files})
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


def testflat_names_stay_apart(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for i in range(6):
            picture(tmp_path / f"in/{label}/{i}.png", seed=i + 10 * (label == "b"))
    heartfast.pack(tmp_path / "in", tmp_path / "out", test_size=0.5)
    names = zipfile.ZipFile(tmp_path / "out/test.zip").namelist()
    assert len(set(names)) == len(names) == 6
    assert all("/" not in name for name in names)


@given(
    st.lists(
        st.sampled_from(["A/x.png", "B/x.png", "A__x.png", "B/A__x.png", "A/X.png", "C/y.png",
                         "A__X~2.png", "A/A__x.png", "B/B__x.png", "z.png"]),
        unique=True,
    )
)  # fmt: skip
def testflat_names_are_one_to_one(names) -> None:
    flat = flat_names([Picture(name, "") for name in names])
    assert len({name.casefold() for name in flat}) == len(names)
    assert all("/" not in name and name.endswith(".png") for name in flat)


def test_a_class_with_one_group_is_refused(tmp_path: Path) -> None:
    for i in range(6):
        picture(tmp_path / f"in/a/{i}.png", seed=i)
    picture(tmp_path / "in/b/0.png", seed=9)
    with pytest.raises(heartfast.DatasetError, match=r"in: class 'b': expected at least 2 groups"):
        heartfast.pack(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out/train.zip").exists()


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=12, max_size=90
    ),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 5),
)
def test_split_keeps_groups_whole_and_classes_on_both_sides(members, share, seed) -> None:
    groups = [group for group, _ in members]
    labels = [label for _, label in members]
    per_class = Counter(label for _, label in set(members))
    try:
        in_test = split_groups(labels, groups, share, seed)
    except heartfast.DatasetError:
        # Then a class has hardly any groups, or shares them with another.
        assert min(per_class.values()) < 5 or len(set(groups)) < 8
        return
    sides: dict[int, set[bool]] = {}
    for group, here in zip(groups, in_test, strict=True):
        sides.setdefault(group, set()).add(here)
    assert all(len(side) == 1 for side in sides.values())
    for label in set(labels):
        here = {side for name, side in zip(labels, in_test, strict=True) if name == label}
        assert here == {True, False}


@settings(max_examples=30, deadline=None)
@given(n=st.integers(40, 200), share=st.floats(0.1, 0.9))
def test_split_meets_the_share_where_recordings_are_their_own_groups(n, share) -> None:
    labels = ["a"] * n + ["b"] * (n // 2)
    in_test = np.array(split_groups(labels, range(len(labels)), share, 0))
    for size, part in ((n, in_test[:n]), (n // 2, in_test[n:])):
        assert abs(part.sum() - share * size) <= 1


def test_pascal_patients_are_on_one_side(shared_data: Path, tmp_path: Path) -> None:
    heartfast.convert(shared_data / "pascal/set_b", tmp_path / "png", labels="pascal")
    packing = heartfast.pack(tmp_path / "png", tmp_path / "sets")

    # The patient is the number before the 13-digit time, read here from the names alone.
    def patients(name: str) -> set[str]:
        names = zipfile.ZipFile(tmp_path / "sets" / name).namelist()
        fields = [n.split("/")[-1].split("_") for n in names if n.endswith(".png")]
        return {
            fields[i][j - 1]
            for i in range(len(fields))
            for j in range(1, len(fields[i]))
            if len(fields[i][j].removesuffix(".png")) == 13
            and fields[i][j].removesuffix(".png").isdigit()
        }

    train, test = patients("train.zip"), patients("test.zip")
    assert len(train) + len(test) == 165
    assert not train & test
    for left, right in packing.table.values():
        assert right.recordings / (left.recordings + right.recordings) == pytest.approx(
            0.2, abs=0.02
        )


def test_any_number_of_threads_gives_the_same_bytes(images: Path, tmp_path: Path) -> None:
    # From a ZIP, too, whose members share one file; with windows of a few pictures each.
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(images.rglob("*.*")):
            archive.write(path, path.relative_to(images))
    for place, source, jobs in (("a", images, 1), ("b", images, 3), ("c", tmp_path / "in.zip", 2)):
        heartfast.pack(source, tmp_path / place, jobs=jobs)
    for name in FILES:
        a, b, c = ((tmp_path / place / name).read_bytes() for place in "abc")
        assert a == b == c
    with pytest.raises(ValueError, match="jobs: expected at least 1, found 0"):
        heartfast.pack(images, tmp_path / "d", jobs=0)


def test_more_pictures_than_are_read_ahead(tmp_path: Path) -> None:
    # Three pictures of 40 MB a class, of which two at a time are held.
    for label in ("a", "b"):
        for i in range(3):
            path = tmp_path / f"in/{label}/{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.write(f"{label}{i}".encode())
                file.truncate(40 << 20)
    heartfast.pack(tmp_path / "in", tmp_path / "out", test_size=0.4, jobs=2)
    packed = {}
    for name in ("train.zip", "test.zip"):
        archive = zipfile.ZipFile(tmp_path / "out" / name)
        for member in archive.namelist():
            if member.endswith(".png"):
                packed[archive.read(member)[:2]] = (archive.getinfo(member).file_size, member)
    assert sorted(packed) == [b"a0", b"a1", b"a2", b"b0", b"b1", b"b2"]
    assert {size for size, _ in packed.values()} == {40 << 20}
    for start, (_, member) in packed.items():
        assert member.endswith(f"{chr(start[1])}.png")


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_pictures_that_cannot_be_read_leave_the_others(tmp_path: Path, form: str) -> None:
    for label in ("a", "b"):
        for i in range(8):
            picture(tmp_path / f"in/{label}/{i}.png", seed=i + 10 * (label == "b"))
    heartfast.pack(tmp_path / "in", tmp_path / "whole")
    if form == "folder":
        source = tmp_path / "in"
        os.symlink("nowhere", source / "a/link.png")
        os.mkfifo(source / "b/pipe.png")
        bad = ["a/link.png", "b/pipe.png"]
    else:
        source = tmp_path / "in.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted((tmp_path / "in").rglob("*.png")):
                archive.write(path, path.relative_to(tmp_path / "in"))
            archive.writestr("a/damaged.png", b"some bytes that will not be these")
        data = source.read_bytes()
        source.write_bytes(data.replace(b"will not be these", b"have become other", 1))
        bad = ["a/damaged.png"]
    packing = heartfast.pack(source, tmp_path / "out")
    assert [name for name, _ in packing.errors] == bad
    first, message = packing.errors[0]
    assert f"could not be read: {len(bad)}, the first: {first}: {message}" in packing.notes[0]
    assert packing.to_dict()["errors"] == packing.errors
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_file_that_is_no_picture_is_not_looked_into(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for i in range(4):
            path = tmp_path / f"in/{label}/{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"no picture {label}{i}".encode())
    packing = heartfast.pack(tmp_path / "in", tmp_path / "out")
    assert packing.errors == []
    assert sum(row.recordings for sides in packing.table.values() for row in sides) == 8


def test_only_unreadable_pictures(tmp_path: Path) -> None:
    (tmp_path / "in/a").mkdir(parents=True)
    os.symlink("nowhere", tmp_path / "in/a/x.png")
    with pytest.raises(
        heartfast.DatasetError, match=r"found 1 that are not, the first: a/x\.png: "
    ):
        heartfast.pack(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_folder_must_be_new_or_empty(images: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="expected a new or empty folder, found 'notes"):
        heartfast.pack(images, tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]
