"""Names with ``*``, ``?``, ``[...]`` and ``**``, where no shell has expanded them."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from heartfast.names import comparable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAGIC = re.compile(r"[*?[]")


def is_pattern(name: str) -> bool:
    """Whether a name has characters of a pattern; a file may have them, too."""
    return _MAGIC.search(name) is not None


def expand(pattern: str) -> list[str]:
    """List the paths that match a pattern, sorted.

    As a shell does: ``**`` is any number of folders, none of them too, and nothing but a dot
    matches the dot of a hidden name. A loop of links is entered once. A name that is there as it
    is written means that file or folder only, and brackets that match nothing are letters.
    """
    drive, rest = os.path.splitdrive(pattern)
    parts = rest.replace(os.sep, "/").split("/")
    first = "" if parts[0] else drive + os.sep
    return sorted({*_matches(first or drive, [part for part in parts if part])})


def _matches(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """Paths below a folder that match; the folder itself, if there are no more parts."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        while rest[:1] == ["**"]:  # means no more than one
            rest = rest[1:]
        for below in _folders(folder):
            # Last, it matches files as well.
            yield from _matches(below, rest or ["*"])
        return
    path = os.path.join(folder, part)
    names = [part] if os.path.lexists(path) else _matching(folder, part)
    for name in names:
        yield from _matches(os.path.join(folder, name), rest)


def _matching(folder: str, part: str) -> list[str]:
    """Names in a folder that match a part of a pattern, however their letters are composed."""
    wanted = comparable(part)
    names = [
        entry.name
        for entry in _entries(folder)
        if part.startswith(".") or not entry.name.startswith(".")
    ]
    for pattern in (wanted, wanted.replace("[", "[[]")):
        if found := [name for name in names if fnmatch.fnmatch(comparable(name), pattern)]:
            return found
    return []


def _folders(root: str) -> Iterator[str]:
    """The folder and all below, hidden ones left out, each once."""
    waiting = [root]
    seen = set()
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder or os.curdir)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield folder
            waiting += [
                os.path.join(folder, entry.name)
                for entry in _entries(folder)
                if not entry.name.startswith(".") and is_folder(entry)
            ]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return list(entries)
    except OSError:  # a file, or a folder that may not be read
        return []


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
