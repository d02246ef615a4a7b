"""Folders and files of results: nothing is overwritten by mistake or half-written."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the name of a file to write; it becomes `path` once the block ends well."""
    target = os.fspath(path)
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    partial = f"{target}.{os.urandom(4).hex()}.part"
    try:
        yield partial
        os.replace(partial, target)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        if isinstance(error, OSError) and error.filename in (None, partial):
            # A full disk names no file, and the temporary name means nothing to the user.
            error.filename = target
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it; makes the folder."""
    with replacing(path) as partial, open(partial, "xb") as file:
        file.write(data)


def require_empty(folder: str | os.PathLike[str]) -> None:
    """Raise `FileExistsError` unless a folder for results is new or empty."""
    try:
        with os.scandir(folder) as entries:
            found = next(entries, None)
    except FileNotFoundError:
        return
    if found is not None:
        message = f"expected a new or empty folder, found {found.name!r} in it"
        raise FileExistsError(errno.EEXIST, message, os.fspath(folder))
