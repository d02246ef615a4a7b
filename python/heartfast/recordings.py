"""Which recordings there are, and what their pictures are called."""

from __future__ import annotations

import os
import stat
from collections import Counter
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from heartfast.errors import DatasetError, warn
from heartfast.files import is_url
from heartfast.limits import Limits
from heartfast.names import folded, is_clutter
from heartfast.patterns import expand, is_folder, is_pattern
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from heartfast._core import Archive, _Remote

T = TypeVar("T")

# What a folder or an archive is searched for, whatever the case; files named outright are always
# tried.
EXTENSIONS = (
    ".aif", ".aifc", ".aiff", ".au", ".bwf", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg",
    ".rf64", ".snd", ".w64", ".wav", ".wave",
)  # fmt: skip
_NOTHING = "expected a recording or a folder of recordings, found nothing"
_SEPARATORS = (os.sep, os.altsep or os.sep)


class Recording(NamedTuple):
    """A recording's file: its `name` is relative to its source.

    Its `place` is the folder that it was found in, with a separator at its end, which a million
    recordings share; or its whole path. A `member` of an archive is known by its place in there;
    its path and its name are as if the archive were a folder; what stands on standard input is
    read from memory. Of an object in a store, `known` is what its list says: size and time of the
    last change in ns.
    """

    place: str
    name: str
    member: tuple[Archive, int] | _Remote | None = None
    known: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """The recording as the caller can open it."""
        if not self.place.endswith(_SEPARATORS):
            return self.place
        windows = os.sep != "/" and not is_url(self.place)
        return self.place + (self.name.replace("/", os.sep) if windows else self.name)

    @property
    def stem(self) -> str:
        """The file's name without folders and extension."""
        return _stem(self.name)


class _Odd(Recording):
    """A path on a list that ends in a separator, as that of no file does."""

    __slots__ = ()

    @property
    def path(self) -> str:
        return self.place


def _stem(name: str) -> str:
    base = name.rpartition("/")[2]
    stem, _, _ = base.rpartition(".")
    return stem if stem.strip(".") else base  # ".wav" is a hidden file without an extension


def find_recordings(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = True,
    any_extension: bool = False,
    limits: Limits | None = None,
    notes: list[str] | None = None,
) -> list[Recording]:
    """List the recordings in files, folders and archives (ZIP, tar): each once, sorted by name.

    An archive is searched where it is named outright, and not in a folder, where it may be a
    second copy of what lies beside it. With `any_extension` everything in a folder or an archive
    counts as a recording, except what is hidden or left by a system (``__MACOSX``, ``Thumbs.db``).

    A source that is not there is a pattern if it has ``*``, ``?`` or ``[...]``, with ``**`` for
    any folders; what matches counts as named outright. ``-`` is a recording on standard input, or
    a list, a path a line or with a NUL behind each; one that is not there then fails as a recording
    does. What was passed over or guessed is said in `notes`, or by a warning.

    Raises
    ------
    FileNotFoundError
        A source is not there, or no file that matches.
    DatasetError
        There is no recording in any of them, or no list on standard input.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    paths = [os.fspath(source) for source in sources]
    recordings = [*search(paths, recursive, any_extension, limits, notes)]
    if is_single(paths):
        recordings.sort(key=itemgetter(1))
    else:
        recordings.sort(key=lambda recording: (recording.name, recording.path))
    if not recordings:
        raise nothing_found(paths, any_extension)
    return recordings


def require_recordings(
    sources: Sequence[str], recursive: bool, any_extension: bool, limits: Limits | None = None
) -> None:
    """Raise `DatasetError` where a source that is no list has no recording in it."""
    for source in sources:
        if source == "-":
            continue
        if next(search([source], recursive, any_extension, limits), None) is None:
            raise DatasetError(
                f"{source}: expected recordings in every source, or all of its pictures would be "
                "removed, found none; check that its drive is mounted, or leave the source out"
            )


def is_single(paths: Sequence[str]) -> bool:
    """Whether there is one source, in which nothing can be found twice."""
    return len(paths) == 1 and paths[0] != "-" and not is_pattern(paths[0])


def nothing_found(paths: Sequence[str], any_extension: bool) -> DatasetError:
    """Return the error for sources without a recording."""
    looked = ", ".join(paths) or "no source"
    known = "with any name" if any_extension else " ".join(e[1:] for e in EXTENSIONS)
    return DatasetError(f"{looked}: expected recordings ({known}), found none")


def search(
    paths: Sequence[str],
    recursive: bool,
    any_extension: bool,
    limits: Limits | None = None,
    notes: list[str] | None = None,
) -> Iterator[Recording]:
    """Give what `find_recordings` lists, as it is found: each once, in no order."""
    look = _Search(recursive, any_extension, limits or Limits(), notes)
    if is_single(paths):
        return (recording for _, found in _named(paths, look) for recording in found)
    return _each_once(_named(paths, look))


class _Search(NamedTuple):
    """What counts as a recording, and where to say what was passed over."""

    recursive: bool
    any_extension: bool
    limits: Limits
    notes: list[str] | None

    def note(self, text: str) -> None:
        if self.notes is not None:
            self.notes.append(text)
        else:
            warn(text)

    def wants(self, name: str) -> bool:
        """Whether a file in a store or archive, by its name in there, is one to convert."""
        known = self.any_extension or name.lower().endswith(EXTENSIONS)
        return known and (self.recursive or "/" not in name)

    def passes_over(
        self, where: str, found: Iterable[T], name_of: Callable[[T], str] = str
    ) -> Iterator[T]:
        """Leave out what is hidden or a system's; recordings among the latter are said."""
        count = 0
        for one in found:
            name = name_of(one)
            if not is_clutter(name):
                yield one
            elif "/." not in f"/{name}":
                count += name.lower().endswith(EXTENSIONS)
        if count:
            self.note(
                f"{where}: passed over {counted(count, 'recording')} that macOS left (__MACOSX)"
            )


def _named(sources: Iterable[str], look: _Search) -> Iterator[tuple[str, Iterator[Recording]]]:
    """The sources, those on a list too, each with the recordings in it."""
    for source in sources:
        if source == "-":
            yield from _on_standard_input(look)
        elif is_pattern(source) and not is_url(source) and not os.path.lexists(source):
            matching = expand(source)
            if not matching:
                import errno

                message = "expected recordings that match this pattern, found none"
                raise FileNotFoundError(errno.ENOENT, message, source)
            for path in matching:
                yield path, _search(path, look)
        else:
            source = _as_spelled(source)
            yield source, _search(source, look)


def _as_spelled(path: str) -> str:
    """Return a path as it is on the disk, where it is there with letters composed otherwise."""
    if path.isascii() or is_url(path) or os.path.lexists(path):
        return path
    found = expand(path)
    return found[0] if len(found) == 1 else path


def _on_standard_input(look: _Search) -> Iterator[tuple[str, Iterator[Recording]]]:
    from heartfast import standard_input

    data = standard_input.read_standard_input("a list of recordings, or one")
    if standard_input.is_sound(data):
        sound = standard_input.sound_reader(data)
        yield "-", iter([Recording("-", standard_input.NAME, sound, sound[1:])])
        return
    for path in map(_as_spelled, standard_input.listed_paths(data, look.note)):
        yield path, _search(path, look, listed=True)


def _each_once(found: Iterable[tuple[str, Iterator[Recording]]]) -> Iterator[Recording]:
    """Join what was found in the sources, one of which may be in another."""
    seen: set[str] = set()
    for source, recordings in found:
        top = source if is_url(source) else os.path.abspath(source)
        below = os.path.join(top, "")
        for recording in recordings:
            path = top if recording.path == source else below + recording.name
            if path not in seen:
                seen.add(path)
                yield recording


def _search(source: str, look: _Search, *, listed: bool = False) -> Iterator[Recording]:
    if is_url(source):
        yield from _search_store(source, look)
        return
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISDIR(mode):
        below = os.path.join(source, "")
        for name in look.passes_over(source, _walk(source, look)):
            yield Recording(below, name)
        return
    if not mode and not listed and not os.path.lexists(source):
        import errno

        raise FileNotFoundError(errno.ENOENT, _NOTHING, source)
    name = os.path.basename(source.rstrip("/")) or source
    if mode and not name.lower().endswith(EXTENSIONS):
        from heartfast._core import open_archive

        opened = open_archive(source, look.limits)
        if opened is not None:
            yield from _members(source, *opened, look)
            return
    yield (_Odd if source.endswith(_SEPARATORS) else Recording)(source, name)


def _search_store(url: str, look: _Search) -> Iterator[Recording]:
    from heartfast.places import Store, reader

    store = Store(url)
    # What is called like a file is looked for as one first; in S3 a folder is no more than a name.
    like_a_file = url.lower().endswith((*EXTENSIONS, ".zip", ".tar"))
    found = store.head() if like_a_file else None
    if found is None:
        below = store.url + "/"
        anything = False
        for known in look.passes_over(url, store.walk(), attrgetter("name")):
            anything = True
            if look.wants(known.name):
                yield Recording(below, known.name, None, known[1:])
        if anything:
            return
        found = None if like_a_file or url.endswith("/") else store.head()
    if found is None:
        import errno

        raise FileNotFoundError(errno.ENOENT, _NOTHING, url)
    if not found.name.lower().endswith(EXTENSIONS):
        from heartfast._core import open_archive

        opened = open_archive((reader(url, found.size), *found[1:]), look.limits)
        if opened is not None:
            yield from _members(url, *opened, look)
            return
    yield Recording(url, found.name, None, found[1:])


def _members(
    source: str, archive: Archive, names: Sequence[str], look: _Search
) -> Iterator[Recording]:
    below = os.path.join(source, "")
    for i, name in look.passes_over(source, enumerate(names), itemgetter(1)):
        if not name:
            # What could not be listed: as if it were a recording, it fails by name.
            yield Recording(source, os.path.basename(source), (archive, i))
        elif look.wants(name):
            yield Recording(below, name, (archive, i))


def _walk(root: str, look: _Search) -> Iterator[str]:
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
            if is_folder(entry):
                if look.recursive:
                    waiting.append(prefix + name)
            elif look.any_extension or name.lower().endswith(EXTENSIONS):
                yield prefix + name


# Bytes of a name that every usual file system takes.
_LONGEST = 255


def _shortened(name: str, most: int) -> str:
    """The name in so many bytes at most: its start, with a mark of all of it."""
    if len(name) * 4 <= most or len(os.fsencode(name)) <= most:
        return name
    from hashlib import sha256

    mark = f"~{sha256(os.fsencode(name)).hexdigest()[:12]}"
    start = name[: most - len(mark)]
    while len(os.fsencode(start)) > most - len(mark):
        start = start[:-1]  # whole letters
    return start + mark


def _differ(names: Sequence[str]) -> bool:
    """Whether all surely differ by more than case: by hashes, a quarter at a time, for memory."""
    parts = (
        {found for name in names if (found := hash(folded(name))) % 4 == part} for part in range(4)
    )
    return sum(len(part) for part in parts) == len(names)


def picture_name(
    folder: str, stem: str, clean: Callable[[str], str] | None = None, room: int = 0
) -> str:
    """Name a picture as `picture_names` does where it shares its name with no other."""
    if stem.startswith("."):
        stem = f"%2E{stem[1:]}"  # a hidden picture would be seen by no reader
    most = _LONGEST - len(".png") - room
    return f"{_folder_name(folder, clean)}{_shortened(clean(stem) if clean else stem, most)}.png"


@lru_cache(maxsize=1024)
def _folder_name(folder: str, clean: Callable[[str], str] | None) -> str:
    if not folder:
        return ""
    parts = (clean(folder) if clean else folder).split("/")
    return "".join(f"{_shortened(part, _LONGEST)}/" for part in parts)


def picture_names(
    recordings: Sequence[Recording],
    folders: Sequence[str],
    clean: Callable[[str], str] | None = None,
    room: int = 0,
) -> tuple[list[str], list[str]]:
    """Names, relative with "/", of the recordings' pictures in their `folders`; and notes.

    A picture is called ``<stem>.png``. Recordings that would share a name keep their
    extension (``x.wav.png``), and those that still would, as many of their folders' names
    as tell them apart (``site1__x.wav.png``). Where the case of letters alone does, which some
    systems do not see, they are numbered (``X.wav.png``, ``x.wav~2.png``). Where not every name
    is possible, `clean` makes it so. Names of more than 255 bytes, less `room` for what is put
    behind the stem later, end in a mark instead: ``~`` and 12 digits of the whole one's SHA-256.

    Raises
    ------
    DatasetError
        Nothing of this tells them apart.
    """
    names = [
        picture_name(folder, r.stem, clean, room)
        for r, folder in zip(recordings, folders, strict=True)
    ]
    # Names that differ in case only, or in how letters are composed, are one file on some systems.
    if _differ(names):
        return names, []
    notes: list[str] = []
    twins: Counter[str] = Counter()
    numbers = []
    for recording in recordings:
        path = folded(os.path.abspath(recording.path))
        twins[path] += 1
        numbers.append(f"~{twins[path]}" if twins[path] > 1 else "")
    for depth in range(64):
        count = Counter(map(folded, names))
        clashing = [i for i, name in enumerate(names) if count[folded(name)] > 1]
        if not clashing:
            return names, notes
        old = [names[i] for i in clashing]
        for i in clashing:
            parts = os.path.abspath(recordings[i].path).split(os.sep)
            stem = "__".join(parts[-1 - depth :]) + numbers[i]
            names[i] = picture_name(folders[i], stem, clean, room)
        shared = counted(len(set(map(folded, old))), "picture name")
        notes.append(
            f"{len(clashing)} recordings share {shared}, so they keep "
            f"{'their folder' if depth else 'the extension'} in it ({old[0]}: {names[clashing[0]]})"
        )
    paths = ", ".join(sorted(recordings[i].path for i in clashing))
    raise DatasetError(f"{paths}: expected recordings whose pictures can be named apart")
