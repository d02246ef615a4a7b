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

from heartfast.errors import DatasetError, HeartfastError, UsageError
from heartfast.extras import require_package
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
# What becomes part of requests as it is.
_IN_HEADERS = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_TOKEN", "AWS_REGION",
    "AWS_DEFAULT_REGION",
)  # fmt: skip
_HOST = r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
_AUTHORITY = re.compile(f"(?:{_HOST})?")
_ENDPOINT = re.compile(rf"https?://{_HOST}(?:/[\w./~%-]*)?", re.ASCII | re.IGNORECASE)
# Of what the libraries of stores say nothing is passed on: it may hold a key, in parts, escaped or
# as bytes. What it is about is told by these, the first that fits.
_STATUS = re.compile(r"status[^0-9<>\"]{0,40}\b([45]\d\d)\b", re.IGNORECASE)
_CODES = (
    "AccessDenied", "AuthorizationHeaderMalformed", "ExpiredToken", "InternalError",
    "InvalidAccessKeyId", "NoSuchBucket", "NoSuchKey", "PermanentRedirect", "RequestTimeTooSkewed",
    "ServiceUnavailable", "SignatureDoesNotMatch", "SlowDown",
)  # fmt: skip
_REASONS = (
    ("ConnectionRefused|Connection refused", "connection refused"),
    ("dns error|failed to lookup|Name or service not known", "no such host"),
    ("certificate|UnknownIssuer", "a certificate that is not trusted"),
    ("TimedOut|timed out|timeout", "no answer in time"),
    ("ConnectionReset|IncompleteMessage|connection closed", "a connection that broke off"),
    ("scheme is not allowed", "http:// where only https:// is allowed"),
    ("credential|service account|pem file|private_key", "credentials that cannot be used"),
    ("error sending request", "no answer"),
)


class Found(NamedTuple):
    """A file in a place; its `name` is relative to it."""

    name: str
    size: int
    mtime_ns: int


def check_url(url: str) -> None:
    """Raise `UsageError`, which does not show it, where a URL has what no table is to have.

    That is a user or password, or a query, which may be a signature.
    """
    scheme, _, rest = url.strip().partition("://")
    authority, _, path = rest.partition("/")
    web = scheme.lower().startswith("http")
    if "@" in authority or (web and "@" in path) or not _AUTHORITY.fullmatch(authority):
        raise UsageError(
            f"{scheme}://...: expected a URL without user and password, which come from the "
            "environment, and with a host or bucket; found another (@ in a path is %40)"
        )
    # In a store "?" may be part of a name, and is part of a pattern.
    if re.search(r"[?#]" if web else r"[?&#][^/]*=", rest):
        raise UsageError(f"{scheme}://{authority}/...: expected a URL without a query, found one")


def check_environment() -> None:
    """Raise `DatasetError`, without its value, for a variable that a library would panic at."""
    for name in (*_ENDPOINTS, *_IN_HEADERS):
        value = os.environ.get(name, "")
        if name in _IN_HEADERS:
            if not (value.isascii() and value.isprintable()):
                raise DatasetError(f"{name}: expected printable ASCII, found other characters")
        elif value and not _ENDPOINT.fullmatch(value):
            raise DatasetError(
                f"{name}: expected http(s)://HOST[:PORT][/PATH], without user, password and query, "
                "found another text"
            )


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

    def put_new(self, name: str, file: str) -> bool:
        """`put`, unless there is a file of this name; return whether it was put."""
        target = os.path.join(self.path, *name.split("/"))
        try:
            os.link(file, target)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                return False
            self.put(name, file)
        return True

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, *name.split("/")))


class Store:
    """A prefix in an object store, or a single object."""

    def __init__(self, url: str) -> None:
        check_url(url)
        require_package("obstore", "URLs")
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

    def put_new(self, name: str, file: str) -> bool:
        """`put`, unless there is an object of this name; return whether it was put."""
        from pathlib import Path

        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError

        with self._failures(name):
            try:
                obstore.put(_store(self.url), name, Path(file), mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            except NotSupportedError:  # a store that cannot compare
                self.put(name, file)
        return True

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
    check_environment()
    with failures(url):
        return from_url(url, retry_config=retry, client_options=options)


@contextlib.contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn errors and panics of a store's library into those of files, with the URL as their name.

    Nothing of what they say is in them, nor in what they come from.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, HeartfastError, UsageError):
        raise  # ours are fit to be seen
    except BaseException as error:  # a panic is no Exception
        if isinstance(error, OSError) and error.filename:
            raise
        failure = _failure(error, where)
        try:
            raise failure from None
        finally:
            failure.__context__ = None


def _failure(error: BaseException, where: str) -> OSError | DatasetError:
    import errno

    import obstore.exceptions as known

    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "nothing there", where)
    denied = PermissionError, known.PermissionDeniedError, known.UnauthenticatedError
    if isinstance(error, denied):
        return PermissionError(errno.EACCES, "no access", where)
    if isinstance(error, ValueError):
        return DatasetError(f"{where}: expected a URL that a store has, found another")
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, os.strerror(error.errno), where)
    return OSError(errno.EIO, f"expected a store to answer, found {_reason(error)}", where)


def _reason(error: BaseException) -> str:
    """What a library's error is about, in words of our own."""
    text = str(error)
    if status := _STATUS.search(text):
        code = next((code for code in _CODES if code in text), "")
        return f"status {status[1]}{code and f' ({code})'}"
    for pattern, words in _REASONS:
        if re.search(pattern, text):
            return words
    return f"a failure of its library ({type(error).__name__})"
