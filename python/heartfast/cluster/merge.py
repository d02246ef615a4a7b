"""What tasks have written down, joined: one manifest and one table of pictures and of errors."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from heartfast.cluster.plan_file import AGAIN, Planned, finished, read_plan
from heartfast.cluster.task import Part, pictures_in
from heartfast.errors import ConfigMismatchError, DatasetError, UsageError
from heartfast.files import refuse_dash, remove_tree
from heartfast.manifest import MANIFEST, require_own
from heartfast.places import SCRATCH, Folder, Store, open_place, scratch
from heartfast.remarks import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from heartfast.remarks import Counted

_HEAD = b"file_name,label,group,source,sample_rate,duration_s,sha256\n"
# Parts that are read ahead.
_AHEAD = 8
# Ranges of missing tasks that a message names.
_SHOWN = 8


class Merged(NamedTuple):
    """What a conversion in tasks has made, all of it together.

    `gone` counts recordings of an earlier plan that are not among the sources any more; those that
    have another name now do not count.
    """

    out: str
    recordings: int
    pictures: int
    duration_s: float
    failed: int
    silenced: tuple[int, int]
    tasks: int
    remarks: list[Counted]
    notes: list[str]
    gone: int = 0

    def to_dict(self) -> dict[str, object]:
        """The result as JSON can hold it."""
        return self._asdict()


def merge(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
) -> Merged:
    """Join what the shares of a conversion have written down.

    Parameters
    ----------
    sources : path or sequence of path
        Folders or URLs that shares have written to: one that all did, or several.
    out : path, optional
        Where the manifest and tables belong; by default into the only source.

    Returns
    -------
    Merged

    Raises
    ------
    OSError
        A source cannot be read, or `out` not written.
    DatasetError
        Parts are missing, or there twice, or damaged.
    ConfigMismatchError
        The sources are of different settings or recordings.

    Notes
    -----
    The table of pictures has the columns of Hugging Face's ImageFolder, as `convert` writes it.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=8, recordings=1)
    >>> for shard in ("1/2", "2/2"):
    ...     done = heartfast.convert(folder + "/wav", folder + "/png", shard=shard, shard_mb=0.1)
    >>> heartfast.merge([folder + "/png"]).pictures
    8
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    names = [os.fspath(source) for source in sources]
    out = None if out is None else os.fspath(out)
    for name in (*names, *([] if out is None else [out])):
        refuse_dash(name, "a folder or URL")
    places = [open_place(name) for name in names]
    if not places:
        raise UsageError("sources: expected at least one, found none")
    if out is None and len(places) > 1:
        raise UsageError("out: expected a place for what several sources are joined to, found none")
    plans = [read_plan(place) for place in places]
    for place, plan in zip(places, plans, strict=True):
        if plan != plans[0]:
            raise ConfigMismatchError(
                f"{place}: expected settings and recordings as of {places[0]}, found others"
            )
    place = open_place(out) if out is not None else places[0]
    if isinstance(place, Folder) and all(str(place) != str(each) for each in places):
        _require_own_tables(place.path, json.dumps(plans[0].header))
    return merge_parts(places, plans[0], place)


def _require_own_tables(folder: str, header: str) -> None:
    """Raise unless the tables in a folder, if there are some, are of the same conversion."""
    if os.path.exists(os.path.join(folder, MANIFEST)):
        require_own(folder, header)
        return
    for name in ("metadata.csv", "errors.jsonl"):
        if os.path.lexists(os.path.join(folder, name)):
            message = f"expected no tables of other pictures, found {name!r} in it"
            raise FileExistsError(errno.EEXIST, message, folder)


def merge_parts(places: Sequence[Folder | Store], plan: Planned, out: Folder | Store) -> Merged:
    """Join the parts of a plan, and remove what is of an earlier one."""
    names = plan.parts
    where: dict[str, tuple[Folder | Store, str]] = {}
    strangers: list[tuple[Folder | Store, str]] = []
    wanted = set(names)
    for place in places:
        found = finished(place)
        for file in found:
            name = file.removesuffix(AGAIN)
            if name not in wanted or (file != name and name in found):
                strangers.append((place, file))
            elif name in where:
                raise DatasetError(
                    f"{place}/{name}: expected the part of a task once, found it in "
                    f"{where[name][0]}, too"
                )
            else:
                where[name] = place, file
    missing = [number for number, name in enumerate(names, 1) if name not in where]
    if missing:
        raise DatasetError(
            f"{', '.join(map(str, places))}: expected all {len(names)} tasks, found no part of "
            f"{len(missing)}: {_ranges(missing)}; the same commands go on from there"
        )
    earlier = _Earlier(strangers)
    totals = [0, 0, 0.0, 0, 0, 0]
    odd: list[Counted] = []
    notes: dict[str, int] = {}
    archives: set[str] = set()
    with scratch(out) as folder, contextlib.ExitStack() as files:
        paths = [os.path.join(folder, name) for name in ("manifest", "metadata", "errors")]
        tables = [files.enter_context(open(path, "wb")) for path in paths]
        tables[0].write(json.dumps(plan.header).encode() + b"\n")
        tables[1].write(_HEAD)
        for part, texts in _read_ahead([where[name] for name in names]):
            earlier.see(texts[0])
            texts[1] = texts[1].removeprefix(_HEAD)
            for table, text in zip(tables, texts, strict=True):
                table.write(text)
            row = (part.recordings, part.pictures, part.duration_s, part.failed, *part.silenced)
            totals = [a + b for a, b in zip(totals, row, strict=True)]
            odd = joined(odd, part.remarks)
            for note in part.notes:
                notes[note] = notes.get(note, 0) + 1
            archives.update(part.archives)
        files.close()
        if totals[3]:
            out.put("errors.jsonl", paths[2])
        else:
            out.delete("errors.jsonl")
        out.put("metadata.csv", paths[1])
        out.put(MANIFEST, paths[0])
    if plan.header["settings"]["to"] == "dir":
        earlier.remove_pictures()
    for place, name in strangers:
        place.delete(name)
    for place in places:
        _tidy(place, archives)
    recordings, pictures, duration_s, failed, *silenced = totals
    return Merged(
        str(out), int(recordings), int(pictures), float(duration_s), int(failed),
        (int(silenced[0]), int(silenced[1])), len(names), odd, _counted_notes(notes),
        earlier.gone(),
    )  # fmt: skip


def _counted_notes(notes: dict[str, int]) -> list[str]:
    """Each note of tasks once, with the number of tasks that have it where these are several."""
    return [
        note if count == 1 else f"{note} (in each of {count} tasks)"
        for note, count in notes.items()
    ]


class _Earlier:
    """What parts of an earlier plan tell of, and those of this plan do not."""

    def __init__(self, parts: Sequence[tuple[Folder | Store, str]]) -> None:
        self._pictures: dict[str, Folder | Store] = {}
        self._recordings: dict[str, str] = {}
        self._found: set[str] = set()
        for place, name in parts:
            try:
                _, (manifest, *_) = _read(place, name)
            except DatasetError:
                continue  # it is damaged, and nothing is known of it
            self._pictures.update(dict.fromkeys(pictures_in(manifest), place))
            for entry in map(json.loads, manifest.splitlines()):
                self._recordings[entry["path"]] = entry["sha256"]
        self._digests = set(self._recordings.values())

    def see(self, manifest: bytes) -> None:
        """Take away what these lines tell of."""
        if not self._recordings:
            return
        for entry in map(json.loads, manifest.splitlines()):
            self._recordings.pop(entry["path"], None)
            if entry["sha256"] in self._digests:
                self._found.add(entry["sha256"])
            for picture, *_ in entry["pictures"]:
                self._pictures.pop(picture, None)

    def remove_pictures(self) -> None:
        for picture, place in self._pictures.items():
            place.delete(picture)

    def gone(self) -> int:
        """Count recordings whose bytes are under no name any more, and that had a picture."""
        return sum(bool(s) and s not in self._found for s in self._recordings.values())


def _read_ahead(
    parts: Sequence[tuple[Folder | Store, str]],
) -> Iterator[tuple[Part, list[bytes]]]:
    waiting: deque[Future[tuple[Part, list[bytes]]]] = deque()
    with ThreadPoolExecutor(_AHEAD) as threads:
        for one in parts:
            waiting.append(threads.submit(_read, *one))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(place: Folder | Store, name: str) -> tuple[Part, list[bytes]]:
    first, _, rest = place.read(name).partition(b"\n")
    try:
        part = Part(**json.loads(first))
        if sum(part.lengths) != len(rest):
            raise ValueError(f"{len(rest)} bytes instead of {sum(part.lengths)}")
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{place}/{name}: expected a part of heartfast's, found: {error}"
        ) from None
    texts, at = [], 0
    for length in part.lengths:
        texts.append(rest[at : at + length])
        at += length
    return part, texts


def _tidy(place: Folder | Store, archives: set[str]) -> None:
    """Remove archives of earlier plans, and folders of tasks that were killed."""
    for name in archives_in(place):
        if name not in archives:
            place.delete(name)
    if isinstance(place, Folder):
        for name in os.listdir(place.path):
            if name.startswith(SCRATCH):
                remove_tree(os.path.join(place.path, name))


def archives_in(place: Folder | Store) -> list[str]:
    """Names of the archives of pictures, and tables of features, that are there."""
    import re

    pattern = re.compile(r"pictures-\d{6,}(-\d{3,})?\.(zip|tar|parquet)|features-\d{6,}\.parquet")
    return [found.name for found in place.list("") if pattern.fullmatch(found.name)]


def _ranges(numbers: Sequence[int]) -> str:
    """Name numbers in order, those in a row as a range."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    shown = ", ".join(" to ".join(map(str, ends)) for ends in ranges[:_SHOWN])
    return shown + (" and others" if len(ranges) > _SHOWN else "")
