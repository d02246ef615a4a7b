"""Files that stages read and write: none overwritten by mistake, half-written or waited for."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from heartfast.errors import UsageError

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    Path = str | os.PathLike[str]
    _Identity = tuple[int, int]


# Of object stores, and of files on the web.
_SCHEMES = ("s3://", "s3a://", "gs://", "az://", "azure://", "abfs://", "abfss://",
            "http://", "https://")  # fmt: skip


_SPECIAL = "a pipe, a socket or a device, which is not opened; give a file, or - for standard input"


def is_url(path: str) -> bool:
    """Whether a path is the URL of something in an object store."""
    return path[:8].lower().startswith(_SCHEMES)


def check_urls(paths: Iterable[str]) -> None:
    """Raise `UsageError` for a URL with a password or a query; see `places.check_url`."""
    for path in filter(is_url, paths):
        from heartfast.places import check_url

        check_url(path)


def refuse_dash(path: Path, expected: str) -> None:
    """Raise `UsageError` for ``-``, standard input or output, where a name is `expected`."""
    if os.fspath(path) == "-":
        raise UsageError(
            f"-: expected {expected}, found the sign for standard input or output, which is not "
            "taken here (./- is a file of that name)"
        )


def require_file(path: Path, expected: str) -> None:
    """Raise `OSError`, which says what was `expected`, unless `path` is a file to be read.

    A pipe, a socket or a device is none, and is not opened: a reader of a pipe may wait for ever,
    and opening a device may change it.
    """
    refuse_dash(path, expected)
    name = os.fspath(path)
    check_urls([name])  # it would be in the message
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        found = "a link to nothing" if os.path.islink(name) else "nothing"
        raise FileNotFoundError(errno.ENOENT, f"expected {expected}, found {found}", name) from None
    except OSError as error:
        message = f"expected {expected}, found: {error.strerror}"
        raise OSError(error.errno, message, name) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, f"expected {expected}, found a folder", name)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"expected {expected}, found {_SPECIAL}", name)
    if not os.access(name, os.R_OK):
        message = f"expected {expected}, found one that may not be read"
        raise PermissionError(errno.EACCES, message, name)


def open_file(path: Path, expected: str = "a file") -> BinaryIO:
    """Open a file to be read; raises as `require_file` does."""
    require_file(path, expected)

    def opener(name: str, flags: int) -> int:
        # Something else may have its name by now: then this does not wait.
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    file = open(path, "rb", opener=opener)  # noqa: SIM115 the caller's
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, f"expected {expected}, found {_SPECIAL}", os.fspath(path))
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: Path, expected: str = "a file", most: int = -1) -> bytes:
    """Read a file, or up to `most` bytes of it; raises as `require_file` does."""
    with open_file(path, expected) as file:
        try:
            return file.read(most)
        except OSError as error:
            error.filename = os.fspath(path)  # a disk that cannot read names no file
            raise


# The kinds of results that are single files.
_RESULTS = {"model": "model", "scores": "table of scores", "page": "page"}


def require_output(path: Path, *inputs: object, kind: str) -> None:
    """Raise `OSError` unless `path` can become a file of results, before any work is done.

    A file that is there will be replaced, but none that work is done on, or that something else
    made: not one of the `inputs` (files, folders, patterns; what is no path does not count), by
    whatever name; inside a folder of theirs, or where it is no text, only an earlier result.
    `kind` is ``model``, ``scores`` or ``page``; beside the inputs it is one of the same kind.
    """
    refuse_dash(path, "a file to write")
    name = os.fspath(path)
    if "\0" in name:
        raise UsageError(f"{name!r}: expected the name of a file to write, found a NUL in it")
    if os.path.isdir(name) or not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, "expected a file to write, found a folder", name)
    if os.path.exists(name):
        if not os.path.isfile(name):
            # The file that is to take its name would replace it, /dev/null for everyone.
            message = "expected a file to write, found a pipe, a socket or a device"
            raise FileExistsError(errno.EEXIST, message, name)
        _require_replaceable(name, inputs, kind)
    folder = os.path.dirname(os.path.abspath(name))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, "expected a folder, found a file", folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        message = "expected a folder that may be written to, found one that may not"
        raise PermissionError(errno.EACCES, message, folder)


def _require_replaceable(name: str, inputs: Iterable[object], kind: str) -> None:
    files, folders = _identities(inputs)
    own = os.stat(name)
    if (own.st_dev, own.st_ino) in files:
        message = "expected another file to write than the input, found the input"
        raise FileExistsError(errno.EEXIST, message, name)
    # A link's own place counts, and the place of what it leads to.
    above = [os.path.dirname(os.path.abspath(name)), os.path.dirname(os.path.realpath(name))]
    inside = any(_identity(each) in folders for place in above for each in _upwards(place))
    found = _result_kind(name)
    if inside and found not in (kind, "empty"):
        message = (
            f"expected a new file or an earlier {_RESULTS[kind]} in the folder of the input, found "
            "another file; choose another name"
        )
        raise FileExistsError(errno.EEXIST, message, name)
    if found == "foreign":
        message = "expected a new file or an earlier result, found data of another kind"
        raise FileExistsError(errno.EEXIST, message, name)


def require_apart(out: Path, sources: Iterable[Path]) -> None:
    """Raise `OSError` where a folder for results is, or holds, one of the `sources`.

    Starting anew removes what is in there.
    """
    folder = _identity(os.path.realpath(out))
    for source in sources:
        given = os.fspath(source)
        if folder and "\0" not in given and os.path.exists(given):
            real = os.path.realpath(given)
            if any(_identity(place) == folder for place in (real, *_upwards(real))):
                message = f"expected a folder apart from the input, found {given!r} in it"
                raise FileExistsError(errno.EEXIST, message, os.fspath(out))


def _identities(inputs: Iterable[object]) -> tuple[set[_Identity], set[_Identity]]:
    """What the inputs are, as files and as folders; of a pattern the folder that it is below."""
    from heartfast.patterns import is_pattern

    files: set[_Identity] = set()
    folders: set[_Identity] = set()
    for given in inputs:
        if not isinstance(given, str | os.PathLike):
            continue
        place = os.fspath(given)
        while place and is_pattern(place) and not os.path.exists(place):
            place = os.path.dirname(place) or os.curdir
        identity = None if "\0" in place else _identity(place)
        if identity:
            (folders if os.path.isdir(place) else files).add(identity)
    return files, folders


def _identity(path: str) -> _Identity | None:
    """Device and inode, which links and other spellings of a name have in common."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _upwards(folder: str) -> Iterator[str]:
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        folder = above
        yield folder


def _result_kind(path: str) -> str:
    """Say which kind of result a file is: model, scores, page; or empty, text, or foreign."""
    import zipfile

    with open(path, "rb") as file:
        head = file.read(4096)
        if head.startswith(b"PK"):
            try:
                with zipfile.ZipFile(file) as archive:
                    return "model" if "bundle.json" in archive.namelist() else "foreign"
            except Exception:  # a damaged one may raise nearly anything
                return "foreign"
    if b"\0" in head:
        return "foreign"
    if head[:15].lower() == b"<!doctype html>" and b"heartfast" in head.partition(b"</title>")[0]:
        return "page"
    if b"Prediction." in head.partition(b"\n")[0]:
        return "scores"
    return "text" if head else "empty"


def require_empty(folder: Path) -> None:
    """Raise `FileExistsError` unless a folder for results is new or empty."""
    refuse_dash(folder, "a folder to write to")
    try:
        with os.scandir(folder) as entries:
            found = next(entries, None)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        message = "expected a new or empty folder, found a file"
        raise NotADirectoryError(errno.ENOTDIR, message, os.fspath(folder)) from None
    if found is not None:
        message = f"expected a new or empty folder, found {found.name!r} in it"
        raise FileExistsError(errno.EEXIST, message, os.fspath(folder))


def make_folders(path: Path) -> None:
    """Make a folder and those above it, as `os.makedirs` does, which a thousand of them exhaust."""
    waiting = [os.fspath(path)]
    while waiting:
        try:
            os.mkdir(waiting[-1])
        except FileNotFoundError:
            above = os.path.dirname(waiting[-1])
            if above in ("", waiting[-1]) or os.path.isdir(above):  # as in /proc
                raise
            waiting.append(above)
            continue
        except OSError:
            if not os.path.isdir(waiting[-1]):
                raise
        waiting.pop()


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Give each folder with the names in it, as `os.walk` does, and raise what it passes over.

    Folders that are taken from the second list are not entered. Links are files.
    """
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        folders: list[str] = []
        files: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
        yield folder, folders, files
        waiting += [os.path.join(folder, name) for name in reversed(folders)]


def remove_tree(root: Path) -> None:
    """Remove a folder with all in it, as far as that is possible."""
    made = []
    with contextlib.suppress(OSError):
        for folder, _, files in walk(root):
            made.append(folder)
            for name in files:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other commands from working in it until the block ends.

    After a failure, a folder that was made for it and is empty is removed.

    Raises
    ------
    OSError
        Another command is at work in there; or the folder is not the same at the end.
    """
    name = os.fspath(folder)
    made = not os.path.lexists(name)
    os.makedirs(name, exist_ok=True)
    try:
        with _held(name):
            yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(name)
        raise


@contextlib.contextmanager
def _held(name: str) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows opens no folders
        yield
        return
    held = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another run is at work in this folder"
            raise OSError(errno.EBUSY, message, name) from None
        except OSError:
            pass  # a file system that knows no locks
        yield
        known = os.fstat(held)
        try:
            same = os.path.samestat(known, os.stat(name))
        except FileNotFoundError:
            same = False
        if not same:
            message = "expected the folder that this run began in, found another or none"
            raise OSError(errno.ESTALE, message, name)
    finally:
        os.close(held)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Give the name of a file to write; it becomes `path` once the block ends well."""
    target = os.fspath(path)
    make_folders(os.path.dirname(target) or ".")
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


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it; makes the folder."""
    with replacing(path) as partial, open(partial, "xb") as file:
        file.write(data)


def portable_name(name: str) -> str:
    """Change a name into one that archives can hold: bytes not UTF-8, and backslashes, as %XX."""
    if name.isascii() and "\\" not in name:
        return name
    import re

    return re.sub(r"[\\\udc80-\udcff]", lambda found: f"%{ord(found[0]) & 0xFF:02X}", name)


def webdataset_name(name: str) -> str:
    """Change a picture's name into one for archives, where a key ends at the first dot."""
    folder, slash, base = portable_name(name).rpartition("/")
    stem, dot, extension = base.rpartition(".")
    return folder + slash + stem.replace(".", "%2E") + dot + extension


def zip_member(name: str) -> zipfile.ZipInfo:
    """Describe a ZIP member without time, owner or system: equal content gives equal bytes."""
    import zipfile

    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3  # Unix, wherever it is written
    info.external_attr = 0o644 << 16
    return info
