"""Pictures into a training set and a test set that share no group."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from heartfast import duplicates
from heartfast.announcing import announced
from heartfast.errors import DatasetError, UsageError
from heartfast.files import holding, replacing, require_empty, zip_member
from heartfast.groups import digest, group_numbers, split_groups
from heartfast.labels import check_label
from heartfast.matching import flat_names
from heartfast.naming import name_groups
from heartfast.parallel import for_each
from heartfast.partition import kept_note, side_to_test
from heartfast.progress import Progress
from heartfast.seeds import check_seed
from heartfast.tables import METADATA, METADATA_COLUMNS, format_csv, format_text, write_csv
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from heartfast.images import Picture, PictureSet
    from heartfast.progress import ProgressCallback

FILES = ("train.zip", "test.zip", "test_actual.csv", "test_metadata.csv")
# Pictures are read ahead of the ZIP that they go to, on threads: so many bytes at a time.
READ_AHEAD = 64 << 20


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
    errors : list of (name, message)
        The pictures that could not be read, which are on neither side.
    """

    out: str
    table: dict[str, tuple[Side, Side]]
    notes: list[str]
    errors: list[tuple[str, str]]

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
        return {"out": self.out, "classes": table, "notes": self.notes, "errors": self.errors}

    def to_text(self) -> str:
        """The table of classes, groups and recordings on each side."""
        header = ["class", "recordings to train", "groups", "recordings to test", "groups"]
        rows = [
            [name, *(str(count) for side in sides for count in side)]
            for name, sides in self.table.items()
        ]
        return format_text([header, *rows])


@announced
def pack(
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    test_size: float = 0.2,
    seed: int = 0,
    groups: bool = True,
    group_regex: str | None = None,
    join_duplicates: bool = True,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Packing:
    """Split pictures into ``train.zip`` and ``test.zip``, by class and with groups kept whole.

    Recordings with the same bytes count as one group, too. ``train.zip`` holds a folder per
    class and ``metadata.csv``, ``test.zip`` the pictures flat and unlabelled;
    ``test_actual.csv`` has row_id (the place of the picture in ``test.zip``, sorted by name,
    from 0), one 0/1 column per class and file_name; ``test_metadata.csv`` the rest that is
    known of the test pictures. The files are the same bytes every time, for any `jobs`, and
    there are all four of them or none.

    Where the folders of `images` are a split already (``train``, ``val``, ``test`` around class
    folders), it is kept: ``test``, or ``val`` if there is no ``test`` with labels, is the test set.

    Parameters
    ----------
    images : path
        What `convert` wrote (not as tar), or any folder or ZIP of class folders with PNGs or JPEGs.
        Pictures without a label are left out, and those whose file cannot be read; a file that
        is no picture is not.
    out : path
        A new or empty folder.
    test_size : float
        The share of each class, over 0 and under 1, that the test set should come closest to.
    seed : int
        Chooses among the equally good splits.
    groups : bool
        Keep groups whole. Without, the same patient may be on both sides, and every figure
        that is measured on the test set is too good.
    group_regex : str, optional
        Takes groups from the names of pictures, as `convert` does from those of recordings.
    join_duplicates : bool
        Look for recordings that are copies of others or nearly so (see `heartfast.duplicates`), and
        keep them together; the groups in the tables then are those. Not without `groups`.
    jobs : int, optional
        Threads; by default one per core.
    progress : callable, optional

    Returns
    -------
    Packing
        A picture that cannot be read is in its `errors` and leaves the others alone.

    Raises
    ------
    OSError
        `images` is missing, or `out` cannot be written or is not empty.
    DatasetError
        No labelled pictures, none that can be read, a class with fewer than two groups, two
        labels for the same bytes, or a pattern that matches no name.
    ValueError
        An argument out of range, or no regular expression.

    Notes
    -----
    The split has the aim of scikit-learn's `StratifiedGroupKFold`, for one part of any size.
    `train.zip` follows torchvision's and Hugging Face's ImageFolder.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=20, recordings=2)
    >>> png = heartfast.convert(folder + "/wav", folder + "/png", labels="folders").out
    >>> heartfast.pack(png, folder + "/sets").classes
    ['extrasystole', 'murmur', 'normal']
    """
    check_split(test_size=test_size, seed=seed)
    require_empty(out)
    with holding(out):
        require_empty(out)  # nobody can have come in between
        return pack_into(
            os.fspath(out),
            images,
            test_size=test_size,
            seed=seed,
            groups=groups,
            group_regex=group_regex,
            join_duplicates=join_duplicates,
            jobs=jobs,
            progress=progress,
        )


def check_split(*, test_size: float, seed: int) -> None:
    """Raise `ValueError` where `pack` would not take one of these."""
    if not 0 < test_size < 1:
        raise UsageError(f"test_size: expected a share over 0 and under 1, found {test_size}")
    check_seed(seed)


def pack_into(
    folder: str,
    images: str | os.PathLike[str],
    *,
    test_size: float,
    seed: int,
    groups: bool = True,
    group_regex: str | None = None,
    join_duplicates: bool = True,
    jobs: int | None,
    progress: ProgressCallback | None,
) -> Packing:
    """`pack` into a folder that may hold other files already."""
    from heartfast.images import PictureSet

    with PictureSet(images) as pictures:
        labelled = [p for p in pictures.pictures if p.label]
        for label, name in {p.label: p.name for p in labelled}.items():
            check_label(label, f"{images}: {name}")
        notes = [*pictures.notes]
        if unlabelled := len(pictures) - len(labelled):
            notes.append(f"{counted(unlabelled, 'picture')} without a label, left out")
        if not labelled:
            raise DatasetError(f"{images}: expected pictures in class folders, found none")
        labelled, found = name_groups(labelled, [p.name for p in labelled], group_regex)
        notes += found
        labelled, contents, errors = _read_all(pictures, labelled, jobs, progress)
        duplicates.require_one_label(pictures, labelled, f"{images}: {METADATA}")
        if errors:
            first = ": ".join(errors[0])
            if not labelled:
                raise DatasetError(
                    f"{images}: expected readable pictures, found {len(errors)} that are not, the "
                    f"first: {first}"
                )
            notes.append(f"pictures that could not be read: {len(errors)}, the first: {first}")
        if groups and join_duplicates:
            labelled, joined = duplicates.join_duplicates(
                labelled, pictures, jobs=jobs, progress=progress
            )
            notes += joined
        own = sum(not p.group for p in labelled)
        if own == len(labelled) and not found:
            notes.append("no groups are known: each recording counts as its own")
        elif 0 < own < len(labelled):
            notes.append(f"{counted(own, 'recording')} without a known group, each its own")
        parts = [pictures.parts.get(p.name, "") for p in labelled]
        tested_part = side_to_test(parts)
        sources = {p.source for p in labelled if p.source}
        if len(sources) > 1:
            notes.append(
                f"{len(sources)} sources are on both sides of the split: where they differ in "
                "their classes, a model may recognise the source"
            )
        group_of = group_numbers(
            (p.group if groups else "", content.digest)
            for p, content in zip(labelled, contents, strict=True)
        )
        if tested_part:
            in_test = [part == tested_part for part in parts]
            notes.append(f"{kept_note(parts, tested_part)}; test_size does not count")
            notes += _kept(os.fspath(images), labelled, group_of, in_test)
        else:
            try:
                in_test = split_groups([p.label for p in labelled], group_of, test_size, seed)
            except DatasetError as error:
                raise DatasetError(f"{images}: {error}") from None
        rows = list(zip(flat_names(labelled), labelled, in_test, strict=True))
        train = {f"{p.label}/{name}": p for name, p, tested in rows if not tested}
        test = {name: p for name, p, tested in rows if tested}
        if not groups and not tested_part:
            notes.append(_torn(train.values(), test.values()))
        table = _count(labelled, group_of, in_test)
        sizes = {p.name: content.size for p, content in zip(labelled, contents, strict=True)}
        reader = _Reader(pictures, sizes, jobs)
        with ExitStack() as stack:
            # All get their names when all are complete: half a split is of no use.
            paths = [stack.enter_context(replacing(os.path.join(folder, name))) for name in FILES]
            _write_train(paths[0], reader, train, progress)
            _write_test(paths[1:], reader, test, list(table), progress)
    return Packing(folder, table, notes, errors)


def _kept(
    where: str, pictures: Sequence[Picture], group_of: Sequence[int], in_test: Sequence[bool]
) -> list[str]:
    """Say what is on both sides of a split that others made.

    Raises
    ------
    DatasetError
        A class has no recording to train on.
    """
    trained = {p.label for p, tested in zip(pictures, in_test, strict=True) if not tested}
    if unseen := sorted({p.label for p in pictures} - trained):
        raise DatasetError(
            f"{where}: expected recordings of every class in the folder train, found none of "
            f"{unseen[0]!r}"
        )
    sides = [
        {group for group, side in zip(group_of, in_test, strict=True) if side == tested}
        for tested in (False, True)
    ]
    if not (shared := sides[0] & sides[1]):
        return []
    spoiled = sum(
        group in shared for group, tested in zip(group_of, in_test, strict=True) if tested
    )
    return [
        f"{counted(len(shared), 'group')} of recordings (patients, or copies) on both sides of "
        f"that split, with {spoiled} of the {sum(in_test)} recordings to test: figures of the test "
        "set will be too good"
    ]


def _torn(train: Collection[Picture], test: Collection[Picture]) -> str:
    """Say what becomes of groups that nobody keeps whole."""
    shared = {p.group for p in train} & {p.group for p in test} - {""}
    known = sum(p.group in shared for p in test)
    said = f"groups are ignored: {len(shared)} have recordings on both sides"
    if not shared:
        return said
    return (
        f"{said}, and {known} of the {len(test)} recordings to test are of a group that is trained "
        "on: figures of the test set will be too good (train shows whole groups and random folds)"
    )


class _Content(NamedTuple):
    """What is remembered of a picture's file: the recording's digest, and bytes."""

    digest: str
    size: int


def _read_all(
    pictures: PictureSet,
    labelled: Sequence[Picture],
    jobs: int | None,
    progress: ProgressCallback | None,
) -> tuple[list[Picture], list[_Content], list[tuple[str, str]]]:
    """Read pictures once: those that can be read, what is in them, and the others' errors."""
    kept: list[Picture] = []
    contents: list[_Content] = []
    errors = list(pictures.refused.items())

    def read(picture: Picture) -> tuple[Picture, _Content | str]:
        found = pictures.read_or_reason(picture.name)
        if isinstance(found, str):
            return picture, found
        return picture, _Content(digest(picture, found), len(found))

    def take(result: tuple[Picture, _Content | str]) -> None:
        picture, found = result
        if isinstance(found, str):
            errors.append((picture.name, found))
        else:
            kept.append(picture)
            contents.append(found)
        if progress:
            done = len(kept) + len(errors)
            progress(Progress("read", done, len(labelled), len(errors)))

    for_each(read, labelled, take, jobs=jobs)
    return kept, contents, errors


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
    path: str,
    reader: _Reader,
    members: Mapping[str, Picture],
    progress: ProgressCallback | None,
) -> None:
    members = dict(sorted(members.items()))
    rows = (_metadata_row(name, p) for name, p in members.items())
    metadata = format_csv(METADATA_COLUMNS, rows).encode("utf-8", "surrogateescape")
    _write_zip(path, reader, members, {METADATA: metadata}, "train.zip", progress)


def _write_test(
    paths: Sequence[str],
    reader: _Reader,
    members: Mapping[str, Picture],
    classes: Sequence[str],
    progress: ProgressCallback | None,
) -> None:
    archive, actual, metadata = paths
    members = dict(sorted(members.items()))
    _write_zip(archive, reader, members, {}, "test.zip", progress)
    truth = (
        [row, *(int(p.label == label) for label in classes), name]
        for row, (name, p) in enumerate(members.items())
    )
    write_csv(actual, ["row_id", *classes, "file_name"], truth)
    rows = (_metadata_row(name, p) for name, p in members.items())
    write_csv(metadata, METADATA_COLUMNS, rows)


def _metadata_row(name: str, picture: Picture) -> list[str]:
    return [name, *(getattr(picture, column) for column in METADATA_COLUMNS[1:])]


class _Reader(NamedTuple):
    """Reads pictures on threads, in order, and not further ahead than fits the memory."""

    pictures: PictureSet
    sizes: Mapping[str, int]
    jobs: int | None

    def each(self, names: Sequence[str], take: Callable[[bytes], None]) -> None:
        """Give the files of these pictures to `take`, one after the other."""
        first = ahead = 0
        for last, name in enumerate(names, start=1):
            ahead += self.sizes[name]
            if ahead >= READ_AHEAD or last == len(names):
                for_each(self.pictures.read_bytes, names[first:last], take, jobs=self.jobs)
                first, ahead = last, 0


def _write_zip(
    path: str,
    reader: _Reader,
    members: Mapping[str, Picture],
    tables: Mapping[str, bytes],
    stage: str,
    progress: ProgressCallback | None,
) -> None:
    """Write a ZIP whose bytes depend on its content only: sorted, without times or owners."""
    import zipfile

    names = iter(members)
    with zipfile.ZipFile(path, "x") as archive:

        def write(data: bytes) -> None:
            archive.writestr(zip_member(next(names)), data)
            if progress:
                progress(Progress(stage, len(archive.filelist), len(members)))

        reader.each([picture.name for picture in members.values()], write)
        for name, content in tables.items():
            archive.writestr(zip_member(name), content)
