"""Which task has which recordings: listed once, named, and cut by size, in little memory.

The list is on the disk, so that ten million recordings take hardly more memory than a hundred
thousand; with labels, some bytes each. Only a table of labels is joined in memory. The same
recordings and settings always give the same plan, whoever makes it.
"""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from heartfast.cluster.spool import Sorted, repeated
from heartfast.corpora import Label, each
from heartfast.errors import UsageError
from heartfast.files import is_url, webdataset_name
from heartfast.labels import read_labels
from heartfast.names import folded, is_utf8
from heartfast.naming import groups_by_pattern, name_groups
from heartfast.recordings import Recording, nothing_found, picture_name, picture_names, search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heartfast.limits import Limits

T = TypeVar("T")

# What a recording costs beside its bytes, in bytes; and unless they are larger than asked for,
# there are as many tasks as this, of LEAST at least.
_EACH = 8 << 10
_TASKS, _LEAST = 256, 64 << 20


class Row(NamedTuple):
    """A recording in a task: where it is, and what its picture is called.

    `archive` is the path of the one that it is a `member` of, or None; `size` is in bytes.
    """

    path: str
    archive: str | None
    member: int
    size: int
    mtime_ns: int
    file_name: str
    label: str
    group: str
    source: str


class Request(NamedTuple):
    """What is to be listed, and how that is named and cut.

    `keep_together` says that pictures of one recording are a group; `packed`, that they come into
    archives; `room` is that of `picture_names`; `shares` is on how many machines tasks are done
    that do not know of each other.
    """

    sources: list[str]
    recursive: bool
    any_extension: bool
    labels: str
    group_regex: str | None
    keep_together: bool
    packed: bool
    room: int
    shard_bytes: int
    shares: int = 1


# A recording as it stands in the list: name, place, its number in an archive or -1, size, time.
_Listed = tuple[str, str, int, int, int]


_NONE = Label()


class _Again(Iterable[T]):
    """What a function gives, from the beginning each time that it is gone through."""

    def __init__(self, give: Callable[[], Iterator[T]]) -> None:
        self._give = give

    def __iter__(self) -> Iterator[T]:
        return self._give()


class Plan:
    """Tasks, by number. As a context manager it removes its files at the end.

    Attributes
    ----------
    recordings, tasks : int
    counts : array
        Recordings of each task.
    notes : list of str
    names_not_utf8 : int
        Pictures whose names are no UTF-8.

    Raises
    ------
    OSError
        A source is missing, or a store cannot be read.
    DatasetError
        No recordings, or labels that do not fit them.
    """

    def __init__(self, request: Request, limits: Limits) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="heartfast-plan-")
        try:
            self._request = request
            self._clean = webdataset_name if request.packed else None
            self._listed: Sorted[_Listed] = Sorted(self._list(limits), self._folder.name)
            self._labels, found = self._label()
            self._found = self._said + found
            self.notes = self._found
            self._rows = open(os.path.join(self._folder.name, "rows"), "w+b")  # noqa: SIM115 closed at the end
            self._names: dict[int, str] = {}
            self._write()
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._folder.cleanup()

    def task(self, number: int) -> bytes:
        """Return the rows of a task, as a list in JSON."""
        begin, end = self._begins[number : number + 2]
        self._rows.seek(begin)
        return self._rows.read(end - begin)

    def _list(self, limits: Limits) -> Iterator[_Listed]:
        sources, recursive, any_extension = self._request[:3]
        archives: dict[str, tuple[int, int]] = {}
        self.recordings = self._bytes = 0
        self._said: list[str] = []
        found = search(sources, recursive, any_extension, limits, self._said)
        for place, name, member, known in found:
            recording = Recording(place, name)
            if place == "-":
                raise UsageError(
                    "standard input: expected a list of recordings, or one machine and files "
                    "(engine local, to dir, zip or tar), found a recording for tasks"
                )
            if member is not None and len(member) == 2:
                path = _archive(place)
                if path not in archives:
                    archives[path] = known or _stat(path)
                size, mtime_ns = member[0].size(member[1]), archives[path][1]
            else:
                size, mtime_ns = known or _stat(recording.path)
            self.recordings += 1
            self._bytes += size + _EACH
            number = -1 if member is None or len(member) > 2 else member[1]
            yield name, place, number, size, mtime_ns
        if not self.recordings:
            raise nothing_found(sources, any_extension)

    def _recordings(self) -> Iterator[Recording]:
        for name, place, member, *_ in self._listed:
            # The archive itself is not open any more, nor asked for.
            yield Recording(place, name, cast("Any", (None, member)) if member >= 0 else None)

    def _label(self) -> tuple[Sequence[Label], list[str]]:
        """Return what is known of each recording: few objects, each for many."""
        request = self._request
        if request.labels == "none" and request.group_regex is None:
            return (), []
        labels, notes = read_labels(request.labels, _Again(self._recordings), request.sources)
        names = (recording.name for recording in self._recordings())
        if request.group_regex is None:
            labels, found = name_groups(labels, names, None)
        else:
            groups, found = groups_by_pattern(request.group_regex, names)
            pairs = zip(labels, groups, strict=True)
            labels = each(lambda pair: pair[0]._replace(group=pair[1]), pairs)
        return labels, notes + found

    def _folder_of(self, at: int, name: str) -> str:
        if self._request.labels == "none":
            return os.path.dirname(name)
        return self._labels[at].folder

    def _write(self) -> None:
        """Write all tasks, once more as long as there are pictures that would share a name."""
        while True:
            names = (folded(name) for name in self._cut())
            places = repeated(names, self._folder.name) | self._names.keys()
            if len(places) == len(self._names):
                return
            same = [one for one in enumerate(self._recordings()) if one[0] in places]
            folders = [self._folder_of(at, recording.name) for at, recording in same]
            named = [recording for _, recording in same]
            names_of, notes = picture_names(named, folders, self._clean, self._request.room)
            self._names = {at: name for (at, _), name in zip(same, names_of, strict=True)}
            self.notes = [*self._found, *notes]

    def _cut(self) -> Iterator[str]:
        """Write all tasks; gives the names of the pictures."""
        request = self._request
        most = min(request.shard_bytes, max(self._bytes // _TASKS, _LEAST))
        most = max(1, min(most, self._bytes // request.shares))
        self._rows.seek(0)
        self._begins, self.counts = array("Q", [0]), array("L")
        self.names_not_utf8 = 0
        rows: list[Row] = []
        weight = 0
        whole = lru_cache(maxsize=1024)(_whole)
        for at, (name, place, member, size, mtime_ns) in enumerate(self._listed):
            if rows and weight + size + _EACH > most:
                self._end(rows)
                weight = 0
            weight += size + _EACH
            # Who does the task may work elsewhere.
            recording = Recording(whole(place), name)
            label, group, source, _ = self._labels[at] if self._labels else _NONE
            picture = self._names.get(at) or picture_name(
                self._folder_of(at, name), recording.stem, self._clean, request.room
            )
            self.names_not_utf8 += not is_utf8(picture)
            if request.keep_together and not group:
                group = picture.removesuffix(".png")
            archive = _archive(recording.place) if member >= 0 else None
            rows.append(
                Row(recording.path, archive, member, size, mtime_ns, picture, label, group, source)
            )
            yield picture
        self._end(rows)
        self._rows.truncate()
        self.tasks = len(self.counts)

    def _end(self, rows: list[Row]) -> None:
        self._rows.write(json.dumps(rows).encode())
        self._begins.append(self._rows.tell())
        self.counts.append(len(rows))
        rows.clear()


def _whole(place: str) -> str:
    """Return the place of recordings as it is called from everywhere."""
    if is_url(place):
        return place
    whole = os.path.abspath(place)
    return os.path.join(whole, "") if place.endswith(os.sep) else whole


def _archive(place: str) -> str:
    """Return the path of the archive whose members have this place."""
    return place.rstrip(os.sep if os.sep != "/" else "/")


def _stat(path: str) -> tuple[int, int]:
    try:
        known = os.stat(path)
    except (OSError, ValueError):
        return 0, 0  # it fails by name where it is read
    return known.st_size, known.st_mtime_ns
