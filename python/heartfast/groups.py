"""Which recordings stay together, of one group or with the same bytes; and how they are split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.errors import DatasetError
from heartfast.parallel import for_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

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
    first: dict[tuple[int, str], int] = {}
    count = 0
    links = []
    for key in keys:
        links += [(count, first.setdefault(pair, count)) for pair in enumerate(key) if pair[1]]
        count += 1
    return components(count, links)


def components(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Number the connected parts of a graph, from 0 in the order in which they first appear."""
    parents = list(range(count))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for i, j in links:
        parents[root(i)] = root(j)
    number: dict[int, int] = {}
    return [number.setdefault(root(i), len(number)) for i in range(count)]


def digest(picture: Picture, data: bytes) -> str:
    """Digest of a picture's recording, by the `sha256` of `metadata.csv`, else of its own bytes."""
    import hashlib

    return picture.sha256 or hashlib.sha256(data).hexdigest()


def picture_groups(
    pictures: Sequence[Picture], files: PictureSet, *, jobs: int | None = None
) -> list[int]:
    """Number the groups of pictures; those without a digest are read for it on `jobs` threads."""
    digests: list[str] = []
    for_each(
        lambda picture: picture.sha256 or digest(picture, files.read_bytes(picture.name)),
        pictures,
        digests.append,
        jobs=jobs,
    )
    return group_numbers((p.group, d) for p, d in zip(pictures, digests, strict=True))


def split_groups(
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
