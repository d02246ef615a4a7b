"""Which recordings there are, and what their pictures are called."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What a folder is searched for, whatever the case; files named outright are always tried.
EXTENSIONS = (
    ".aif", ".aifc", ".aiff", ".bwf", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".wav",
    ".wave",
)  # fmt: skip


class Recording(NamedTuple):
    """A recording's file: `path` as the caller can open it, `name` relative to its source."""

    path: str
    name: str

    @property
    def stem(self) -> str:
        """The file's name without folders and extension."""
        return os.path.splitext(os.path.basename(self.name))[0]


def find_recordings(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, recursive: bool = True
) -> list[Recording]:
    """List the recordings in files and folders: each once, sorted by name.

    Raises
    ------
    FileNotFoundError
        A source is not there.
    DatasetError
        There is no recording in any of them.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    folders = [os.fspath(source) for source in sources]
    found: dict[str, Recording] = {}
    for source in folders:
        if os.path.isdir(source):
            recordings = [
                Recording(os.path.join(source, *name.split("/")), name)
                for name in _walk(source, recursive)
            ]
        elif os.path.lexists(source):
            recordings = [Recording(source, os.path.basename(source))]
        else:
            import errno

            message = "expected a recording or a folder of recordings, found nothing"
            raise FileNotFoundError(errno.ENOENT, message, source)
        for recording in recordings:
            found.setdefault(os.path.abspath(recording.path), recording)
    if not found:
        looked = ", ".join(folders) or "no source"
        known = " ".join(extension[1:] for extension in EXTENSIONS)
        raise DatasetError(f"{looked}: expected recordings ({known}), found none")
    return sorted(found.values(), key=lambda recording: (recording.name, recording.path))


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
        for entry in found:
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if recursive:
                    waiting.append(name)
            elif entry.name.lower().endswith(EXTENSIONS):
                yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def picture_names(
    recordings: Sequence[Recording], folders: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Names, relative with "/", of the recordings' pictures in their `folders`; and notes.

    A picture is called ``<stem>.png``. Recordings that would share a name keep their
    extension (``x.wav.png``), and those that still would, as many of their folders' names
    as tell them apart (``site1__x.wav.png``). Where the case of letters alone does, which some
    systems do not see, they are numbered (``X.wav.png``, ``x.wav~2.png``).

    Raises
    ------
    DatasetError
        Nothing of this tells them apart.
    """
    names = [_join(f, f"{r.stem}.png") for r, f in zip(recordings, folders, strict=True)]
    notes: list[str] = []
    twins: Counter[str] = Counter()
    numbers = []
    for recording in recordings:
        path = os.path.abspath(recording.path).casefold()
        twins[path] += 1
        numbers.append(f"~{twins[path]}" if twins[path] > 1 else "")
    for depth in range(64):
        # Two names that differ in case only are one file on some systems.
        count = Counter(name.casefold() for name in names)
        clashing = [i for i, name in enumerate(names) if count[name.casefold()] > 1]
        if not clashing:
            return names, notes
        old = [names[i] for i in clashing]
        for i in clashing:
            parts = os.path.abspath(recordings[i].path).split(os.sep)
            names[i] = _join(folders[i], "__".join(parts[-1 - depth :]) + f"{numbers[i]}.png")
        notes.append(
            f"{len(clashing)} recordings share {len(set(old))} picture names, so they keep "
            f"{'their folder' if depth else 'the extension'} in it ({old[0]}: {names[clashing[0]]})"
        )
    paths = ", ".join(sorted(recordings[i].path for i in clashing))
    raise DatasetError(f"{paths}: expected recordings whose pictures can be named apart")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
