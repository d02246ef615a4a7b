"""Which recordings must stay together: those of one group, and those with the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heartfast.images import Picture, PictureSet


def group_numbers(keys: Iterable[tuple[str, str]]) -> list[int]:
    """Number the groups of recordings, from 0 in the order in which they first appear.

    Recordings belong together that share a group or a digest, also by way of others. An
    empty string is unknown; a recording with nothing known is its own group.

    Parameters
    ----------
    keys
        The group and the digest of each recording.

    Examples
    --------
    >>> from heartfast.groups import group_numbers
    >>> group_numbers([("p1", "aa"), ("", ""), ("p2", "aa"), ("p2", "bb"), ("", "")])
    [0, 1, 0, 0, 2]
    """
    parents: list[int] = []

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    first: dict[tuple[int, str], int] = {}
    for i, key in enumerate(keys):
        parents.append(i)
        for pair in enumerate(key):
            if pair[1]:
                parents[root(i)] = root(first.setdefault(pair, i))
    number: dict[int, int] = {}
    return [number.setdefault(root(i), len(number)) for i in range(len(parents))]


def picture_groups(
    pictures: Sequence[Picture], files: PictureSet, *, use_groups: bool = True
) -> list[int]:
    """Number the groups of pictures; `use_groups` False keeps only the same bytes together.

    The bytes are the recording's, by the `sha256` of `metadata.csv`, else the picture's own.
    """
    import hashlib

    def digest(picture: Picture) -> str:
        return picture.sha256 or hashlib.sha256(files.read_bytes(picture.name)).hexdigest()

    return group_numbers((p.group if use_groups else "", digest(p)) for p in pictures)
