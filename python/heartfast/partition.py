"""A split into train, val and test that a dataset already has, as folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The folder of recordings without a label, in what `convert` writes and in what it reads.
UNLABELLED = "unlabelled"

TRAIN, VAL, TEST = "train", "val", "test"
# What such folders are called, in any case.
_PARTS = {
    "train": TRAIN, "training": TRAIN,
    "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL,
    "test": TEST, "testing": TEST, "eval": TEST, "evaluation": TEST,
}  # fmt: skip


def part_of(folder: str) -> str:
    """Return which part of a split a folder of this name is: "train", "val", "test" or ""."""
    return _PARTS.get(folder.casefold(), "")


def find_split(folders: Iterable[str], *, labelled: bool = False) -> int | None:
    """Find the depth at which folders, given with "/" and relative, are the parts of a split.

    They are if all of them are called so, there are two different parts at least, and in one of
    them are folders, which are the classes, unless these are known otherwise (`labelled`). A class
    may be called ``train``: then others are called otherwise, or there are no folders in it.

    Examples
    --------
    >>> from heartfast.partition import find_split
    >>> find_split(["train/cat", "train/dog", "test"])
    0
    >>> find_split(["data/train/cat", "data/val/cat"])
    1
    >>> find_split(["train/day1", "car/day1"]), find_split(["train", "test"])
    (None, None)
    """
    parts = [folder.split("/") for folder in set(folders) if folder]
    depth = 0
    while parts and all(len(part) > depth for part in parts):
        tops = {part[depth] for part in parts}
        named = tops - {UNLABELLED} if depth == 0 else tops
        kinds = {part_of(top) for top in named}
        if len(kinds) > 1 and "" not in kinds:
            deeper = any(len(part) > depth + 1 for part in parts)
            return depth if deeper or labelled else None
        if len(tops) > 1:
            return None
        depth += 1
    return None


def looks_like_split(labels: Iterable[str]) -> bool:
    """Whether classes are called as the parts of a split are."""
    kinds = {part_of(label) for label in set(labels) if label}
    return len(kinds) > 1 and "" not in kinds


def split_note(where: str, labels: Iterable[str]) -> str:
    """Say that classes may be none."""
    named = ", ".join(sorted({label for label in labels if label}))
    return (
        f"{where}: the folders {named} are taken for classes, as there are no class folders in "
        "them; if they are the parts of a split, put class folders into them"
    )


def side_to_test(parts: Iterable[str]) -> str:
    """Return which part of a split is the test set: "test", else "val", "" if there is none."""
    found = set(parts)
    if TRAIN not in found:
        return ""
    return next((part for part in (TEST, VAL) if part in found), "")


def kept_note(parts: Iterable[str], tested: str) -> str:
    """Say that a split is kept, of whose parts one is `tested`."""
    found = set(parts)
    named = ", ".join(part for part in (TRAIN, VAL, TEST) if part in found)
    return f"the folders {named} are a split, which is kept: {tested} is the test set"
