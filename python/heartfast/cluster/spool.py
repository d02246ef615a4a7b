"""Lists that are sorted, and looked through for what is there twice, on the disk."""

from __future__ import annotations

import heapq
import marshal
import os
from array import array
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T", bound=tuple[object, ...])

_PIECE = 100_000  # items that are sorted in memory
_BLOCK = 1000  # items that are read at a time
_PARTS = 64  # of hashes, each of which fits into memory


class Sorted(Generic[T]):
    """Tuples of numbers and text in order, to be gone through any number of times."""

    def __init__(self, items: Iterable[T], folder: str) -> None:
        self._pieces: list[str] = []
        self._only: list[T] = []
        items = iter(items)
        while piece := sorted(islice(items, _PIECE)):
            if len(piece) < _PIECE and not self._pieces:
                self._only = piece
                return
            path = os.path.join(folder, f"piece-{len(self._pieces)}")
            with open(path, "wb") as file:
                for start in range(0, len(piece), _BLOCK):
                    marshal.dump(piece[start : start + _BLOCK], file)
            self._pieces.append(path)

    def __iter__(self) -> Iterator[T]:
        if not self._pieces:
            return iter(self._only)
        return heapq.merge(*map(_read, self._pieces))


def _read(path: str) -> Iterator[T]:
    with open(path, "rb") as file:
        while True:
            try:
                block: list[T] = marshal.load(file)  # noqa: S302 written above
            except EOFError:
                return
            yield from block


def repeated(keys: Iterable[str], folder: str) -> set[int]:
    """Return the places of keys that others are like; as good as never of one that is alone.

    In memory are hashes of 64 bits, a part of them at a time.
    """
    parts = [array("q") for _ in range(_PARTS)]
    paths = [os.path.join(folder, f"hashes-{i}") for i in range(_PARTS)]
    for path in paths:
        open(path, "wb").close()

    def put_away(i: int) -> None:
        with open(paths[i], "ab") as file:
            parts[i].tofile(file)
        del parts[i][:]

    for at, key in enumerate(keys):
        i = (mark := hash(key)) % _PARTS
        parts[i].extend((mark, at))
        if len(parts[i]) >= 1 << 14:
            put_away(i)
    found: set[int] = set()
    for i, path in enumerate(paths):
        marks = array("q")
        if size := os.path.getsize(path):
            with open(path, "rb") as file:
                marks.fromfile(file, size // marks.itemsize)
        marks.extend(parts[i])
        first: dict[int, int] = {}
        for mark, at in zip(marks[::2], marks[1::2], strict=True):
            if first.setdefault(mark, at) != at:
                found.update((first[mark], at))
        os.unlink(path)
    return found
