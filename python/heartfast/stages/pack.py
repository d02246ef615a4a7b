"""Pictures into a training set and a test set that share no group."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from heartfast.files import replacing
from heartfast.errors import DatasetError
from heartfast.groups import picture_groups
from heartfast.labels import check_label
from heartfast.progress import Progress
from heartfast.seeds import check_seed
from heartfast.tables import METADATA, METADATA_COLUMNS, format_csv, format_text, write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.images import Picture, PictureSet
    from heartfast.progress import ProgressCallback


FILES = ("train.zip", "test.zip", "test_actual.csv", "test_metadata.csv")


class Side(NamedTuple):
    """How much of a class is on one side of the split."""

    recordings: int
    groups: int


class Packing(NamedTuple):
    """What `pack` wrote.

    Attributes
    ----------
    out : str
        The folder of ``train.zip``, ``test.zip``, ``test_actual.csv``, ``test_metadata.csv``.
    table : dict of class name to (train Side, test Side)
    notes : list of str
    """

    out: str
    table: dict[str, tuple[Side, Side]]
    notes: list[str]

    @property
    def classes(self) -> list[str]:
        """The class names, sorted."""
        return list(self.table)

    def to_dict(self) -> dict[str, object]:
        """The split as JSON can hold it."""
        table = {
            name: {"train": train._asdict(), "test": test._asdict()}
            for name, (train, test) in self.table.items()
        }
        return {"out": self.out, "classes": table, "notes": self.notes}

    def to_text(self) -> str:
        """The table of classes, groups and recordings on each side."""
        header = ["class", "recordings to train", "groups", "recordings to test", "groups"]
        rows = [
            [name, *(str(count) for side in sides for count in side)]
            for name, sides in self.table.items()
        ]
        return format_text([header, *rows])


def pack(
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    test_size: float = 0.2,
    seed: int = 0,
    groups: bool = True,
    progress: ProgressCallback | None = None,
) -> Packing:
    """Split pictures into ``train.zip`` and ``test.zip``, by class and with groups kept whole.

    Recordings with the same bytes count as one group, too. ``train.zip`` holds a folder per
    class and ``metadata.csv``, ``test.zip`` the pictures flat and unlabelled;
    ``test_actual.csv`` has row_id (the place of the picture in ``test.zip``, sorted by name,
    from 0), one 0/1 column per class and file_name; ``test_metadata.csv`` the rest that is
    known of the test pictures. The files are the same bytes every time.

    Parameters
    ----------
    images : path
        What `convert` wrote, or any folder or ZIP of class folders with PNGs or JPEGs.
        Pictures without a label are left out.
    out : path
        Folder for the four files, of which none may be there yet.
    test_size : float
        The share of each class, over 0 and under 1, that the test set should come closest to.
    seed : int
        Chooses among the equally good splits.
    groups : bool
        Keep groups whole. Without, the same patient may be on both sides, and every figure
        that is measured on the test set is too good.
    progress : callable, optional

    Raises
    ------
    DatasetError
        No labelled pictures, or a class with fewer than two groups.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=20, recordings=2)
    >>> png = heartfast.convert(folder + "/wav", folder + "/png", labels="folders").out
    >>> heartfast.pack(png, folder + "/sets").classes
    ['extrasystole', 'murmur', 'normal']
    """
    from heartfast.images import PictureSet

    if not 0 < test_size < 1:
        raise ValueError(f"test_size: expected a share over 0 and under 1, found {test_size}")
    check_seed(seed)
    folder = os.fspath(out)
    for name in FILES:
        if os.path.exists(path := os.path.join(folder, name)):
            # Sets of two splits side by side would share recordings.
            raise FileExistsError(errno.EEXIST, "expected no such file yet, found one", path)
    with PictureSet(images) as pictures:
        labelled = [p for p in pictures.pictures if p.label]
        for label, name in {p.label: p.name for p in labelled}.items():
            check_label(label, f"{images}: {name}")
        notes = []
        if len(labelled) < len(pictures):
            notes.append(f"{len(pictures) - len(labelled)} pictures without a label are left out")
        if not labelled:
            raise DatasetError(f"{images}: expected pictures in class folders, found none")
        if not any(p.group for p in labelled):
            notes.append("no groups are known: each recording counts as its own")
        sources = {p.source for p in labelled if p.source}
        if len(sources) > 1:
            notes.append(
                f"{len(sources)} sources are on both sides of the split: where they differ in "
                "their classes, a model may recognise the source"
            )
        group_of = picture_groups(labelled, pictures, use_groups=groups)
        in_test = _split([p.label for p in labelled], group_of, test_size, seed)
        rows = list(zip(_flat_names(labelled), labelled, in_test, strict=True))
        train = {name: p for name, p, tested in rows if not tested}
        test = {name: p for name, p, tested in rows if tested}
        if not groups:
            shared = {p.group for p in train.values()} & {p.group for p in test.values()} - {""}
            notes.append(f"groups are ignored: {len(shared)} have recordings on both sides")
        table = _count(labelled, group_of, in_test)
        _write_train(folder, pictures, train, progress)
        _write_test(folder, pictures, test, list(table), progress)
    return Packing(folder, table, notes)


def _split(
    labels: Sequence[str], group_of: Sequence[int], test_size: float, seed: int
) -> list[bool]:
    """Whether each picture goes to the test set.

    From a shuffled list, groups join the test set as long as that brings it closer to its
    share of every class; the best of several shuffles counts. Only labels and groups are
    looked at, never a picture.
    """
    import numpy as np

    classes, label_number = np.unique(labels, return_inverse=True)
    groups, group_number = np.unique(group_of, return_inverse=True)
    counts: NDArray[np.int64] = np.zeros((len(groups), len(classes)), dtype=np.int64)
    np.add.at(counts, (group_number, label_number), 1)
    for name, n in zip(classes, (counts > 0).sum(axis=0), strict=True):
        if n < 2:
            raise DatasetError(
                f"class {str(name)!r}: expected at least 2 groups, one for each side, found {n}"
            )
    shares = counts / counts.sum(axis=0)
    rng = np.random.Generator(np.random.PCG64(seed))
    best: tuple[float, NDArray[np.bool_]] | None = None
    # Where no split with that share has every class on both sides, one nearer to halves may.
    for share in np.linspace(test_size, 0.5, 5):
        # Many groups are easy to split evenly, and a shuffle of them takes long.
        for _ in range(max(1, min(64, 100_000 // len(groups)))):
            chosen = np.zeros(len(groups), dtype=bool)
            missing = np.full(len(classes), share)
            for g in rng.permutation(len(groups)):
                left = missing - shares[g]
                if left @ left < missing @ missing:
                    chosen[g] = True
                    missing = left
            cost = float(missing @ missing)
            both_sides = shares[chosen].any(axis=0).all() and shares[~chosen].any(axis=0).all()
            if both_sides and (best is None or cost < best[0]):
                best = cost, chosen
        if best is not None:
            break
    if best is None:
        raise DatasetError(
            f"test_size {test_size}: expected to find a split with every class on both sides, "
            f"found none; {len(groups)} groups are too few"
        )
    return [bool(here) for here in best[1][group_number]]


def _count(
    pictures: Sequence[Picture], group_of: Sequence[int], in_test: Sequence[bool]
) -> dict[str, tuple[Side, Side]]:
    table = {}
    rows = list(zip(pictures, group_of, in_test, strict=True))
    for name in sorted({p.label for p in pictures}):
        members = [
            [group for p, group, here in rows if p.label == name and here == side]
            for side in (False, True)
        ]
        train, test = (Side(len(groups), len(set(groups))) for groups in members)
        table[name] = (train, test)
    return table


def _write_train(
    folder: str,
    pictures: PictureSet,
    members: Mapping[str, Picture],
    progress: ProgressCallback | None,
) -> None:
    named = {f"{p.label}/{name}": p for name, p in members.items()}
    named = dict(sorted(named.items()))
    rows = (_metadata_row(name, p) for name, p in named.items())
    metadata = format_csv(METADATA_COLUMNS, rows).encode("utf-8", "surrogateescape")
    path = os.path.join(folder, "train.zip")
    _write_zip(path, pictures, named, {METADATA: metadata}, progress)


def _write_test(
    folder: str,
    pictures: PictureSet,
    members: Mapping[str, Picture],
    classes: Sequence[str],
    progress: ProgressCallback | None,
) -> None:
    members = dict(sorted(members.items()))
    _write_zip(os.path.join(folder, "test.zip"), pictures, members, {}, progress)
    actual = (
        [row, *(int(p.label == label) for label in classes), name]
        for row, (name, p) in enumerate(members.items())
    )
    write_csv(os.path.join(folder, "test_actual.csv"), ["row_id", *classes, "file_name"], actual)
    rows = (_metadata_row(name, p) for name, p in members.items())
    write_csv(os.path.join(folder, "test_metadata.csv"), METADATA_COLUMNS, rows)


def _flat_names(pictures: Sequence[Picture]) -> list[str]:
    """Each picture's name without its folders, where that tells it apart, else with them."""
    full = [_portable(p.name) for p in pictures]
    base = [name.rpartition("/")[2] for name in full]
    count = Counter(name.casefold() for name in base)
    # First those that keep their names, which others then must not take.
    taken = {name.casefold() for name in base if count[name.casefold()] == 1}
    names = []
    for name, path in zip(base, full, strict=True):
        flat = name
        if count[name.casefold()] > 1:
            stem, dot, extension = path.replace("/", "__").rpartition(".")
            number = 1
            while (flat := f"{stem}{f'~{number}' if number > 1 else ''}{dot}{extension}") and (
                flat.casefold() in taken
            ):
                number += 1
            taken.add(flat.casefold())
        names.append(flat)
    return names


def _portable(name: str) -> str:
    """A name that a ZIP can hold: bytes that are not UTF-8, and backslashes, as %XX."""
    return re.sub(r"[\\\udc80-\udcff]", lambda found: f"%{ord(found[0]) & 0xFF:02X}", name)


def _metadata_row(name: str, picture: Picture) -> list[str]:
    return [name, *(getattr(picture, column) for column in METADATA_COLUMNS[1:])]


def _write_zip(
    path: str,
    pictures: PictureSet,
    members: Mapping[str, Picture],
    tables: Mapping[str, bytes],
    progress: ProgressCallback | None,
) -> None:
    """Write a ZIP whose bytes depend on its content only: sorted, without times or owners."""
    import zipfile

    def member(name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        info.create_system = 3  # Unix, wherever it is written
        info.external_attr = 0o644 << 16
        return info

    stage = os.path.basename(path)
    with replacing(path) as partial, zipfile.ZipFile(partial, "x") as archive:
        for done, (name, picture) in enumerate(members.items(), start=1):
            archive.writestr(member(name), pictures.read_bytes(picture.name))
            if progress:
                progress(Progress(stage, done, len(members)))
        for name, content in tables.items():
            archive.writestr(member(name), content)
