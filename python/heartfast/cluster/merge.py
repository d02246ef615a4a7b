"""What tasks have written down, joined: one manifest and one table of pictures and of errors."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from heartfast.cluster.plan_file import AGAIN, Planned, finished, read_plan
from heartfast.cluster.task import Part
from heartfast.errors import ConfigMismatchError, DatasetError, UsageError
from heartfast.files import remove_tree
from heartfast.manifest import MANIFEST
from heartfast.places import SCRATCH, Folder, Store, open_place, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = b"file_name,label,group,source,sample_rate,duration_s,sha256\n"
# Parts that are read ahead.
_AHEAD = 8
# Ranges of missing tasks that a message names.
_SHOWN = 8


class Merged(NamedTuple):
    """What a conversion in tasks has made, all of it together."""

    out: str
    recordings: int
    pictures: int
    duration_s: float
    failed: int
    silenced: tuple[int, int]
    tasks: int

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
    places = [open_place(os.fspath(source)) for source in sources]
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
    return merge_parts(
        places, plans[0], open_place(os.fspath(out)) if out is not None else places[0]
    )


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
    totals = [0, 0, 0.0, 0, 0, 0]
    archives: set[str] = set()
    with scratch(out) as folder, contextlib.ExitStack() as files:
        paths = [os.path.join(folder, name) for name in ("manifest", "metadata", "errors")]
        tables = [files.enter_context(open(path, "wb")) for path in paths]
        tables[0].write(json.dumps(plan.header).encode() + b"\n")
        tables[1].write(_HEAD)
        for part, texts in _read_ahead([where[name] for name in names]):
            texts[1] = texts[1].removeprefix(_HEAD)
            for table, text in zip(tables, texts, strict=True):
                table.write(text)
            row = (part.recordings, part.pictures, part.duration_s, part.failed, *part.silenced)
            totals = [a + b for a, b in zip(totals, row, strict=True)]
            archives.update(part.archives)
        files.close()
        if totals[3]:
            out.put("errors.jsonl", paths[2])
        else:
            out.delete("errors.jsonl")
        out.put("metadata.csv", paths[1])
        out.put(MANIFEST, paths[0])
    for place, name in strangers:
        place.delete(name)
    for place in places:
        _tidy(place, archives)
    recordings, pictures, duration_s, failed, *silenced = totals
    return Merged(
        str(out), int(recordings), int(pictures), float(duration_s), int(failed),
        (int(silenced[0]), int(silenced[1])), len(names),
    )  # fmt: skip


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
