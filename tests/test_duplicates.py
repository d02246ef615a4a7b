"""Copies of recordings, also changed ones, are one group; other recordings are left as they are."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.duplicates import join_duplicates
from heartfast.images import PictureSet
from heartfast.synth import heart_sound

CLASSES = ("AS", "MR", "MS", "MVP", "N")
SR = 4000


@pytest.fixture(scope="module")
def yaseen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Forty recordings as Yaseen's; of three in four there are copies at another level, with noise
    and cut. And what each is a copy of."""
    root = tmp_path_factory.mktemp("copies")
    rng = np.random.default_rng(0)
    origin: dict[str, int] = {}
    for index in range(40):
        y, _ = heart_sound(duration_s=6.0, sr=SR, seed=index)
        label = CLASSES[index % 5]
        for copy in range(1 if index % 4 == 0 else 3):
            changed = y * rng.uniform(0.3, 1.0) if copy else y
            noise = np.sqrt(np.mean(changed**2)) * 10 ** (-30 / 20)
            changed = changed + rng.normal(0, noise, len(y)) * bool(copy)
            name = f"New_{label}_{len(origin):03d}"
            path = root / f"wav/{label}_New_3" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.clip(changed[copy * 800 :], -1, 1), SR)
            origin[f"{label}/{name}.png"] = index
    heartfast.convert(root / "wav", root / "png", labels="yaseen")
    return root, origin


def test_copies_are_joined_and_others_are_not(yaseen):
    root, origin = yaseen
    with PictureSet(root / "png") as files:
        joined, notes = join_duplicates(files.pictures, files)
        again, _ = join_duplicates(joined, files)
    assert again == joined
    group_of = {picture.name: picture.group for picture in joined}
    copied = {index for index in origin.values() if list(origin.values()).count(index) > 1}
    for name, index in origin.items():
        mine = [other for other, of in origin.items() if of == index]
        # The name of the first, or nothing where there is no copy.
        assert group_of[name] == (min(mine) if index in copied else "")
    count = sum(index in copied for index in origin.values())
    assert notes[0].startswith(
        f"{count} recordings are copies of others or nearly so, and stay together in {len(copied)}"
    )


def test_groups_of_copies_are_joined(yaseen):
    root, origin = yaseen
    with PictureSet(root / "png") as files:
        names = [picture.name for picture in files.pictures]
        first = next(i for i, name in enumerate(names) if origin[name] == 1)
        second = next(i for i, name in enumerate(names) if origin[name] == 1 and i > first)
        alone = next(i for i, name in enumerate(names) if origin[name] == 0)
        known = {first: "", second: "ann", alone: "ann"}
        pictures = [p._replace(group=known.get(i, "")) for i, p in enumerate(files.pictures)]
        joined, _ = join_duplicates(pictures, files)
    assert joined[first].group == joined[second].group == joined[alone].group == "ann"


def test_pack_keeps_copies_on_one_side(yaseen, tmp_path):
    root, origin = yaseen

    def torn(folder: Path) -> set[int]:
        with zipfile.ZipFile(folder / "train.zip") as archive:
            train = {origin[name] for name in archive.namelist() if name in origin}
        with zipfile.ZipFile(folder / "test.zip") as archive:
            of = {name.rpartition("/")[2]: index for name, index in origin.items()}
            return train & {of[name] for name in archive.namelist()}

    packing = heartfast.pack(root / "png", tmp_path / "joined", test_size=0.3)
    assert torn(tmp_path / "joined") == set()
    assert any("copies of others" in note for note in packing.notes)
    with open(tmp_path / "joined/test_metadata.csv", newline="") as file:
        assert any(row["group"] for row in csv.DictReader(file))
    packing = heartfast.pack(root / "png", tmp_path / "apart", test_size=0.3, join_duplicates=False)
    assert torn(tmp_path / "apart")
    assert not any("copies of others" in note for note in packing.notes)
    # Groups that are ignored are not looked for.
    packing = heartfast.pack(root / "png", tmp_path / "ignored", test_size=0.3, groups=False)
    assert not any("copies of others" in note for note in packing.notes)


@pytest.mark.usefixtures("few_candidates")
def test_train_keeps_copies_in_one_fold(yaseen):
    root, origin = yaseen
    quick = {"folds": 2, "repeats": 1, "trials": 1, "time_budget": 5}
    result = heartfast.train(root / "png", **quick)
    assert result.n_groups == len(set(origin.values()))
    assert heartfast.train(root / "png", **quick, join_duplicates=False).n_groups == len(origin)


def test_pictures_that_cannot_be_read_are_not_compared(yaseen, tmp_path):
    root, origin = yaseen
    folder = tmp_path / "N"
    folder.mkdir()
    for name in origin:
        if name.startswith("N/"):
            (folder / name.removeprefix("N/")).write_bytes((root / "png" / name).read_bytes())
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "none.png").write_bytes(b"")
    with PictureSet(tmp_path) as files:
        joined, _ = join_duplicates(files.pictures, files)
        assert [p.name for p in joined] == [p.name for p in files.pictures]
    assert [p.group for p in joined if p.name in ("N/broken.png", "N/none.png")] == ["", ""]
    assert len({p.group for p in joined} - {""}) == 6


def test_nothing_is_joined_where_nothing_is_a_copy(tmp_path):
    heartfast.synth.write_corpus(tmp_path / "wav", patients=30, recordings=2)
    heartfast.convert(tmp_path / "wav", tmp_path / "png", labels=tmp_path / "wav/labels.csv")
    with PictureSet(tmp_path / "png") as files:
        assert join_duplicates(files.pictures, files) == (files.pictures, [])
        assert join_duplicates([], files) == ([], [])


def test_real_recordings_are_hardly_ever_joined(shared_data, tmp_path):
    """Why it is done unasked: at most one in a hundred of PASCAL B's 461 is called a copy."""
    heartfast.convert(shared_data / "pascal/set_b", tmp_path, labels="pascal")
    with PictureSet(tmp_path) as files:
        labelled = [picture._replace(group="") for picture in files.pictures if picture.label]
        joined, _ = join_duplicates(labelled, files)
    assert sum(bool(picture.group) for picture in joined) <= len(labelled) / 100
