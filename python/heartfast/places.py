"""Folders, and prefixes in object stores, as places to read from and write to.

A file gets its name there at once, when it is complete. Stores are S3, Google Cloud Storage,
Azure and, to read from, HTTP, by obstore; their credentials come from the environment, as it
finds them, and are in no name or message.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import DatasetError, HeartfastError
from heartfast.files import is_url, make_folders, read_file, remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore.store import ObjectStore

# What begins the names of folders that are not to stay.
SCRATCH = ".heartfast-task-"
# Requests that a server has not answered, or with 5xx, are repeated for so long.
_RETRY_S = 120
# Where the libraries of stores look for another server than the usual one.
_ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT", "GOOGLE_ENDPOINT_URL",
)  # fmt: skip
# A message of a store's may be a page of XML.
_LONGEST = 300


class Found(NamedTuple):
    """A file in a place; its `name` is relative to it."""

    name: str
    size: int
    mtime_ns: int


def check_url(url: str) -> None:
    """Raise `ValueError` where a URL has what would end up in tables and messages.

    A user and password, or a query, which may be a signature.
    """
    scheme, _, rest = url.partition("://")
    if "@" in rest.partition("/")[0]:
        raise ValueError(
            f"{scheme}://...@...: expected a URL without user and password, which come from the "
            "environment, found some"
        )
    if scheme.lower().startswith("http") and re.search(r"[?#]", rest):
        shown = re.split(r"[?#]", url)[0]
        raise ValueError(f"{shown}: expected a URL without a query (?...), found one")


def open_place(path: str) -> Folder | Store:
    """Give the folder or prefix of this path or URL."""
    return Store(path) if is_url(path) else Folder(path)


class Folder:
    """A folder of a file system, which may not be there yet."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return self.path

    def list(self, below: str) -> Iterator[Found]:
        """Files in a folder in here, not those in its subfolders, by name."""
        folder = os.path.join(self.path, below)
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # of a task that ends just now
                known = os.stat(os.path.join(folder, name))
                if not os.path.isdir(os.path.join(folder, name)):
                    yield Found(
                        f"{below}/{name}" if below else name, known.st_size, known.st_mtime_ns
                    )

    def read(self, name: str, length: int | None = None) -> bytes:
        """Read a file, or its first bytes."""
        path = os.path.join(self.path, *name.split("/"))
        return read_file(path, "what convert --shard leaves", -1 if length is None else length)

    def put(self, name: str, file: str) -> None:
        """Make a file of the same file system the one of this name, in place of an older one."""
        target = os.path.join(self.path, *name.split("/"))
        make_folders(os.path.dirname(target))
        os.replace(file, target)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, *name.split("/")))


class Store:
    """A prefix in an object store, or a single object."""

    def __init__(self, url: str) -> None:
        check_url(url)
        _require_obstore()
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def walk(self) -> Iterator[Found]:
        """All objects in here, in the store's order."""
        import obstore

        with self._failures(""):
            for page in obstore.list(_store(self.url), chunk_size=1000):
                for meta in page:
                    yield _found(meta)

    def list(self, below: str) -> Iterator[Found]:
        """Objects in a folder in here, not those in its subfolders, by name."""
        import obstore

        with self._failures(below):
            page = obstore.list_with_delimiter(_store(self.url), below or None)
        yield from sorted(map(_found, page["objects"]))

    def head(self) -> Found | None:
        """Look whether the place itself is an object."""
        import obstore

        above, _, name = self.url.rpartition("/")
        if above.endswith(":/"):
            return None  # a whole bucket
        with self._failures(""):
            try:
                return _found(obstore.head(_store(above), _decoded(above, name)))._replace(
                    name=name
                )
            except FileNotFoundError:
                return None

    def read(self, name: str, length: int | None = None) -> bytes:
        """Read an object, or its first bytes."""
        import obstore

        with self._failures(name):
            store = _store(self.url)
            if length is None:
                return obstore.get(store, name).bytes().to_bytes()
            return obstore.get_range(store, name, start=0, length=length).to_bytes()

    def put(self, name: str, file: str) -> None:
        """Upload a file; the object is there when all of it is, in place of an older one."""
        from pathlib import Path

        import obstore

        with self._failures(name):
            obstore.put(_store(self.url), name, Path(file), chunk_size=16 << 20)
        os.unlink(file)

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""
        import obstore

        with self._failures(name), contextlib.suppress(FileNotFoundError):
            obstore.delete(_store(self.url), name)

    def _failures(self, name: str) -> contextlib.AbstractContextManager[None]:
        return failures(f"{self.url}/{name}" if name else self.url)


def read_url(url: str) -> bytes:
    """Read an object."""
    above, _, name = url.rpartition("/")
    return Store(above).read(name)


@contextlib.contextmanager
def scratch(place: Folder | Store) -> Iterator[str]:
    """Give a folder for files that are to be put into a place, in there if that is a folder."""
    above = None
    if isinstance(place, Folder):
        make_folders(place.path)
        above = place.path
    folder = tempfile.mkdtemp(".part", SCRATCH, above)
    try:
        yield folder
    finally:
        remove_tree(folder)


def reader(url: str, size: int) -> Callable[[int, int], bytes]:
    """Return what reads `length` bytes of an object from `start` on, as the core asks for them."""
    import obstore

    _require_obstore()
    above, _, name = url.rpartition("/")

    def read(start: int, length: int) -> bytes:
        with failures(url):
            store, path = _store(above), _decoded(above, name)
            if start == 0 and length >= size:
                # Servers that know no ranges are read so, too.
                return obstore.get(store, path).bytes().to_bytes()
            return obstore.get_range(store, path, start=start, length=length).to_bytes()

    return read


def _decoded(url: str, name: str) -> str:
    from urllib.parse import unquote

    return unquote(name) if url.lower().startswith("http") else name


def _found(meta: Any) -> Found:
    # Some answers have no fractions of seconds.
    return Found(meta["path"], meta["size"], int(meta["last_modified"].timestamp()) * 10**9)


def _require_obstore() -> None:
    import importlib.util

    if importlib.util.find_spec("obstore") is None:
        raise HeartfastError(
            "URLs: expected the package obstore, which reads object stores, found none; "
            "pip install 'heartfast[cloud]'"
        )


@lru_cache(maxsize=64)
def _store(url: str) -> ObjectStore:
    """Open the store of a URL, once in a process: it keeps its connections."""
    from datetime import timedelta

    from obstore.store import from_url

    retry: Any = {"max_retries": 20, "retry_timeout": timedelta(seconds=_RETRY_S)}
    options: Any = {"timeout": timedelta(seconds=_RETRY_S)}
    # Who names a server by http:// means it; else there is no way without encryption.
    servers = [url, *(os.environ.get(name, "") for name in _ENDPOINTS)]
    if any(server.lower().startswith("http:") for server in servers):
        options["allow_http"] = True
    with failures(url):
        return from_url(url, retry_config=retry, client_options=options)


@contextlib.contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn errors of a store into those of files, with the URL as their name and no secret."""
    import errno

    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        if error.filename:
            raise
        denied = isinstance(error, PermissionError)
        number, text = (errno.EACCES, "no access") if denied else (errno.ENOENT, "nothing there")
        raise type(error)(number, text, where) from None
    except ValueError as error:
        raise DatasetError(f"{where}: {_plain(error)}") from None
    except Exception as error:
        import obstore.exceptions as known

        if not isinstance(error, known.BaseError):
            raise
        if isinstance(error, known.PermissionDeniedError | known.UnauthenticatedError):
            raise PermissionError(errno.EACCES, "no access", where) from None
        raise OSError(errno.EIO, _plain(error), where) from None


def _plain(error: Exception) -> str:
    """Return the first lines of a message without queries, which may be signatures."""
    text = " ".join(str(error).partition("Debug source:")[0].split())
    text = re.sub(r"\?[^\s\"')]+", "", text)
    text = re.sub(r"//[^/\s@]+@", "//", text)
    return text[:_LONGEST] or type(error).__name__
