"""Which recordings there are, and what their pictures are called."""

from __future__ import annotations

import os
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from heartfast._core import Archive

# What a folder or an archive is searched for, whatever the case; files named outright are always
# tried.
EXTENSIONS = (
    ".aif", ".aifc", ".aiff", ".au", ".bwf", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg",
    ".rf64", ".snd", ".w64", ".wav", ".wave",
)  # fmt: skip


class Recording(NamedTuple):
    """A recording's file: `path` as the caller can open it, `name` relative to its source.

    A `member` of an archive is known by its place in there; its path and its name are as if
    the archive were a folder.
    """

    path: str
    name: str
    member: tuple[Archive, int] | None = None

    @property
    def stem(self) -> str:
        """The file's name without folders and extension."""
        return _stem(self.name)


def _stem(name: str) -> str:
    base = name.rpartition("/")[2]
    stem, _, _ = base.rpartition(".")
    return stem if stem.strip(".") else base  # ".wav" is a hidden file without an extension


def find_recordings(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, recursive: bool = True
) -> list[Recording]:
    """List the recordings in files, folders and archives (ZIP, tar): each once, sorted by name.

    An archive is searched where it is named outright, and not in a folder, where it may be a
    second copy of what lies beside it.

    Raises
    ------
    FileNotFoundError
        A source is not there.
    DatasetError
        There is no recording in any of them.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    paths = [os.fspath(source) for source in sources]
    found = [_search(source, recursive) for source in paths]
    recordings = found[0] if len(found) == 1 else _each_once(paths, found)
    if not recordings:
        looked = ", ".join(paths) or "no source"
        known = " ".join(extension[1:] for extension in EXTENSIONS)
        raise DatasetError(f"{looked}: expected recordings ({known}), found none")
    recordings.sort(key=itemgetter(1, 0))
    return recordings


def _each_once(sources: Sequence[str], found: Sequence[list[Recording]]) -> list[Recording]:
    """Join what was found in the sources, one of which may be in another."""
    paths: dict[str, Recording] = {}
    for source, recordings in zip(sources, found, strict=True):
        top = os.path.abspath(source)
        below = os.path.join(top, "")
        for recording in recordings:
            path = top if recording.path == source else below + recording.name
            paths.setdefault(path, recording)
    return list(paths.values())


def _search(source: str, recursive: bool) -> list[Recording]:
    if os.path.isdir(source):
        below = os.path.join(source, "")
        names = _walk(source, recursive)
        if os.sep != "/":
            return [Recording(below + name.replace("/", os.sep), name) for name in names]
        return [Recording(below + name, name) for name in names]
    if not os.path.lexists(source):
        import errno

        message = "expected a recording or a folder of recordings, found nothing"
        raise FileNotFoundError(errno.ENOENT, message, source)
    name = os.path.basename(source)
    if not name.lower().endswith(EXTENSIONS):
        from heartfast._core import open_archive

        opened = open_archive(source)
        if opened is not None:
            return [*_members(source, *opened, recursive)]
    return [Recording(source, name)]


def _members(
    source: str, archive: Archive, names: Sequence[str], recursive: bool
) -> Iterator[Recording]:
    for i, name in enumerate(names):
        if not name:
            # What could not be listed: as if it were a recording, it fails by name.
            yield Recording(source, os.path.basename(source), (archive, i))
            continue
        known = name.lower().endswith(EXTENSIONS) and "/." not in f"/{name}"
        if known and (recursive or "/" not in name):
            yield Recording(os.path.join(source, *name.split("/")), name, (archive, i))


def _walk(root: str, recursive: bool) -> Iterator[str]:
    """Names, with "/", of the recordings under a folder; a loop of links is entered once."""
    waiting = [""]
    seen = set()
    while waiting:
        below = waiting.pop()
        folder = os.path.join(root, below) if below else root
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            if not below:
                raise
            # As if it were a recording: then it fails by name, and is no silent gap.
            yield below
            continue
        prefix = f"{below}/" if below else ""
        for entry in found:
            name = entry.name
            if name.startswith("."):
                continue
            if _is_folder(entry):
                if recursive:
                    waiting.append(prefix + name)
            elif name.lower().endswith(EXTENSIONS):
                yield prefix + name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def picture_names(
    recordings: Sequence[Recording],
    folders: Sequence[str],
    clean: Callable[[str], str] | None = None,
) -> tuple[list[str], list[str]]:
    """Names, relative with "/", of the recordings' pictures in their `folders`; and notes.

    A picture is called ``<stem>.png``. Recordings that would share a name keep their
    extension (``x.wav.png``), and those that still would, as many of their folders' names
    as tell them apart (``site1__x.wav.png``). Where the case of letters alone does, which some
    systems do not see, they are numbered (``X.wav.png``, ``x.wav~2.png``). Where not every name
    is possible, `clean` makes it so.

    Raises
    ------
    DatasetError
        Nothing of this tells them apart.
    """
    clean = clean or str
    names = [
        clean(f"{folder}/{_stem(r.name)}.png" if folder else f"{_stem(r.name)}.png")
        for r, folder in zip(recordings, folders, strict=True)
    ]
    # Two names that differ in case only are one file on some systems.
    if len({name.casefold() for name in names}) == len(names):
        return names, []
    notes: list[str] = []
    twins: Counter[str] = Counter()
    numbers = []
    for recording in recordings:
        path = os.path.abspath(recording.path).casefold()
        twins[path] += 1
        numbers.append(f"~{twins[path]}" if twins[path] > 1 else "")
    for depth in range(64):
        count = Counter(name.casefold() for name in names)
        clashing = [i for i, name in enumerate(names) if count[name.casefold()] > 1]
        if not clashing:
            return names, notes
        old = [names[i] for i in clashing]
        for i in clashing:
            parts = os.path.abspath(recordings[i].path).split(os.sep)
            name = "__".join(parts[-1 - depth :]) + f"{numbers[i]}.png"
            names[i] = clean(f"{folders[i]}/{name}" if folders[i] else name)
        notes.append(
            f"{len(clashing)} recordings share {len(set(old))} picture names, so they keep "
            f"{'their folder' if depth else 'the extension'} in it ({old[0]}: {names[clashing[0]]})"
        )
    paths = ", ".join(sorted(recordings[i].path for i in clashing))
    raise DatasetError(f"{paths}: expected recordings whose pictures can be named apart")
