"""Remarks about recordings that were read although something was odd, as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Kind, how many recordings have such a remark, what the first is called, and what it says.
Counted = tuple[str, int, str, str]

# What is said of one recording, and of several.
_KINDS = {
    "silenced": (
        "has samples that are no finite numbers: they count as silence",
        "have samples that are no finite numbers: they count as silence",
    ),
    "cut": ("is shorter than its header says", "are shorter than their headers say"),
    "size": (
        "has a size in its header that does not fit the file",
        "have sizes in their headers that do not fit the files",
    ),
    "stream": (
        "has pages, frames or packets that do not fit together",
        "have pages, frames or packets that do not fit together",
    ),
    "extra": ("has data that is not read", "have data that is not read"),
}


def sentence(kind: str, text: str) -> str:
    """Say what is odd about a recording, to follow its name."""
    return f"{_KINDS[kind][0]} ({text})"


def notes(counted: Iterable[Counted]) -> list[str]:
    """Say it of many recordings, a line for each kind."""
    lines = []
    for kind, count, first, text in counted:
        one, many = _KINDS[kind]
        said = f"{count} recordings {many}, the first: " if count > 1 else f"1 recording {one}: "
        lines.append(f"{said}{first} ({text})")
    return lines


def joined(one: Iterable[Counted], other: Iterable[Sequence[object]]) -> list[Counted]:
    """Add the counts of recordings that come after the others."""
    kinds = {kind: (kind, count, first, text) for kind, count, first, text in one}
    for row in other:
        kind, count, first, text = str(row[0]), int(str(row[1])), str(row[2]), str(row[3])
        known = kinds.get(kind, (kind, 0, first, text))
        kinds[kind] = (kind, known[1] + count, known[2], known[3])
    return list(kinds.values())
