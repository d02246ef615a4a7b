"""Recordings that are copies of each other, changed or not, as groups."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from heartfast.errors import DatasetError, DecodeError
from heartfast.groups import components
from heartfast.heads import part_of
from heartfast.images import decode
from heartfast.parallel import for_each
from heartfast.progress import Progress
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.images import Picture, PictureSet
    from heartfast.progress import ProgressCallback


def join_duplicates(
    pictures: Sequence[Picture],
    files: PictureSet,
    *,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[Picture], list[str]]:
    """Give pictures of copies of one recording the same group, and with them their groups.

    It is that of the first in order that has one, else the name of the first; what has no copy is
    left as it is. Pictures that cannot be read are not compared. Copies are those of
    `heartfast.fingerprint.find_copies`: another level, some noise or a shift hide none.

    Returns
    -------
    pictures : list of Picture
    notes : list of str
        What was joined, if anything was.
    """
    from heartfast.fingerprint import find_copies, fingerprint

    courses: list[NDArray[np.float32] | None] = []

    def read(picture: Picture) -> NDArray[np.float32] | None:
        try:
            return fingerprint(*decode(files.read_bytes(picture.name), picture.name))
        except (DecodeError, OSError):
            return None

    def take(course: NDArray[np.float32] | None) -> None:
        courses.append(course)
        if progress:
            progress(Progress("compare", len(courses), len(pictures)))

    for_each(read, pictures, take, jobs=jobs)
    readable = [i for i, course in enumerate(courses) if course is not None]
    pairs = [
        (readable[pair.first], readable[pair.second])
        for pair in find_copies([course for course in courses if course is not None])
    ]
    if not pairs:
        return list(pictures), []
    first_of: dict[str, int] = {}
    known = [
        (i, first_of.setdefault(picture.group, i))
        for i, picture in enumerate(pictures)
        if picture.group
    ]
    number = components(len(pictures), [*pairs, *known])
    joined = {number[i] for i, _ in pairs}
    name: dict[int, str] = {}
    for index, picture in zip(number, pictures, strict=True):
        if picture.group:
            name.setdefault(index, picture.group)
    for index, picture in zip(number, pictures, strict=True):
        name.setdefault(index, picture.name)
    copies = {i for pair in pairs for i in pair}
    one, other = (pictures[i].name for i in pairs[0])
    note = (
        f"{len(copies)} recordings are copies of others or nearly so, and stay together in "
        f"{counted(len(joined), 'group')} ({one} and {other}, ...), each on one side of a split; "
        "--no-join-duplicates lets them apart"
    )
    return [
        picture._replace(group=name[index]) if index in joined else picture
        for index, picture in zip(number, pictures, strict=True)
    ], [note]


def require_one_label(pictures: PictureSet, labelled: Sequence[Picture], where: str) -> None:
    """Raise `DatasetError` where the same part of a recording has two labels."""
    labels: dict[str, str] = {}
    torn = {
        p.sha256 for p in labelled if p.sha256 and labels.setdefault(p.sha256, p.label) != p.label
    }
    seen: dict[tuple[object, ...], Picture] = {}
    for picture in labelled:
        if picture.sha256 in torn:
            part = part_of(io.BytesIO(pictures.read_bytes(picture.name)))
            first = seen.setdefault((picture.sha256, part), picture)
            if first.label != picture.label:
                raise DatasetError(
                    f"{where}: expected one label for each recording, found {first.label!r} for "
                    f"{first.name!r} and {picture.label!r} for {picture.name!r}, which are of the "
                    f"same bytes (sha256 {picture.sha256[:12]}); correct the label, or remove one "
                    "of the recordings, and convert again with --prune"
                )
