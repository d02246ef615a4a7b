"""One task: its recordings into pictures, these and what became of them into their place.

It is done by the same batch as on one machine, in a folder of its own. First pictures get their
names, then what the task has written down (its part): so who finds the part, finds all of it; and
a task that is done twice leaves the same bytes under the same names.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import _core
from heartfast.cluster.plan import Row
from heartfast.cluster.plan_file import AGAIN, PARTS
from heartfast.conversion import BatchOptions
from heartfast.errors import ConfigMismatchError
from heartfast.files import is_url, read_file
from heartfast.intervals import of_recordings
from heartfast.parallel import cores, for_each
from heartfast.places import Folder, Store, open_place, reader, scratch
from heartfast.recordings import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heartfast._core import SpectrogramConfig
    from heartfast.intervals import Interval
    from heartfast.limits import Limits
    from heartfast.remarks import Counted
    from heartfast.selection import Selection

# Threads to a core that read from a store or write to one: they mostly wait.
_WAITING = 8
# Failures that may be gone the next time, as in the core.
_PASSING = ("missing", "permission", "io", "internal")
# Between tries, after those that a request has of its own.
_PAUSES_S = (1, 5, 15)
_TABLES = ("manifest.jsonl", "metadata.csv", "errors.jsonl")


class Work(NamedTuple):
    """What all tasks of a conversion have in common; `header` has all its settings, as JSON."""

    out: str
    header: str
    to: str
    config: SpectrogramConfig
    png: str
    selection: Selection
    limits: Limits
    marks: dict[str, list[Interval]]
    shard_bytes: int
    features: bool


class Part(NamedTuple):
    """What a task has done: the first line of what it writes down.

    `archives` are the files that it has of its own, of pictures and features; `lengths` are the
    bytes of the manifest, table of pictures and table of errors that follow.
    """

    recordings: int
    pictures: int
    duration_s: float
    failed: int
    silenced: tuple[int, int]
    remarks: list[Counted]
    notes: list[str]
    archives: list[str]
    lengths: tuple[int, ...]


class _PassingError(OSError):
    """A store did not answer."""


def part_name(header: str, number: int, rows: bytes) -> str:
    """Return the name of a task's part: its number, and a mark of all that it comes from."""
    mark = sha256(b"%s%d%s" % (header.encode(), number, rows)).hexdigest()[:16]
    return f"{PARTS}/{number:06}-{mark}"


def run_task(work: Work, number: int, rows: bytes, jobs: int | None) -> Part:
    """Do a task on `jobs` threads, and commit it; more than once where a store does not answer.

    Raises
    ------
    OSError
        The pictures cannot be written.
    ConfigMismatchError
        Here is another version of heartfast than where the work comes from.
    """
    import time

    version = json.loads(work.header)["heartfast"]
    if version != _core.__version__:
        raise ConfigMismatchError(
            f"heartfast: expected version {version} on every machine, found {_core.__version__}"
        )
    for pause_s in _PAUSES_S:
        try:
            return _run(work, number, rows, jobs, last=False)
        except OSError:  # noqa: PERF203 a try is a task
            time.sleep(pause_s)
    return _run(work, number, rows, jobs, last=True)


def _run(work: Work, number: int, rows: bytes, jobs: int | None, last: bool) -> Part:
    place = open_place(work.out)
    with scratch(place) as folder:
        listed = [Row(*row) for row in json.loads(rows)]
        far = is_url(listed[0].archive or listed[0].path)
        packed = work.to in ("zip", "tar")
        outcome = _core.convert(
            _recordings(listed, work.limits),
            work.config,
            BatchOptions(
                folder=folder,
                header="{}",
                to=work.to if packed else "dir",
                shard_bytes=work.shard_bytes if packed else None,
                fsync=False,
                check=False,
                overwrite=False,
                prune=False,
                png=work.png,
                selection=work.selection,
                limits=work.limits,
                max_errors=None,
                threads=cores(jobs) * (_WAITING if far else 1),
                intervals=of_recordings(work.marks, map(_stem_of, listed))[0],
            ),
            None,
        )
        if outcome["interrupted"]:
            raise KeyboardInterrupt
        failures = outcome["failures"]
        if far and not last and any(kind == "io" for _, kind, *_ in failures):
            # Not the recording's failure, unless it stays so.
            raise _PassingError(f"{failures[0][0]}: {failures[0][2]}")
        tables = [_read(os.path.join(folder, name)) for name in _TABLES]
        tables[0] = tables[0].partition(b"\n")[2]
        archives: list[str] = []
        if work.features:
            from heartfast.cluster.feature_table import feature_table_name, write_features

            path = os.path.join(folder, "features")
            write_features(path, folder, work.to, tables[1])
            archives.append(feature_table_name(number))
            place.put(archives[0], path)
        if packed:
            names, tables[0] = _commit_archives(place, folder, number, work.to, tables[0])
        elif work.to == "parquet":
            names = _commit_parquet(place, folder, number, tables[1])
        else:
            names = _commit_files(place, folder, tables[0])
        part = Part(
            len(listed), outcome["pictures"], outcome["duration_s"], len(failures),
            outcome["silenced"], outcome["remarks"], outcome["notes"], archives + names,
            tuple(map(len, tables)),
        )  # fmt: skip
        path = os.path.join(folder, "part")
        with open(path, "wb") as file:
            file.write(json.dumps(part._asdict()).encode() + b"\n")
            file.writelines(tables)
        name = part_name(work.header, number, rows)
        again = any(kind in _PASSING for _, kind, *_ in failures)
        if work.to == "dir":
            _remove_left(place, name + AGAIN, tables[0])
        place.put(name + AGAIN * again, path)
        if not again:
            place.delete(name + AGAIN)  # of an earlier time
        return part


def _stem_of(row: Row) -> str:
    return Recording(row.path, row.path).stem


def _recordings(rows: list[Row], limits: Limits) -> Iterator[_core._Row]:
    for row in rows:
        origin: Any = row.path
        if row.archive is not None:
            origin = _open(row.archive, limits), row.member
        elif is_url(row.path):
            origin = reader(row.path, row.size), row.size, row.mtime_ns
        yield origin, row.path, row.file_name, row.label, row.group, row.source


@lru_cache(maxsize=4)
def _open(path: str, limits: Limits) -> Any:
    """Open an archive, once in a process: it is listed for that."""
    import errno

    origin: Any = path
    if is_url(path):
        known = Store(path).head()
        origin = known and (reader(path, known.size), known.size, known.mtime_ns)
    opened = origin and _core.open_archive(origin, limits)
    if not opened:
        raise FileNotFoundError(errno.ENOENT, "expected the archive that was listed", path)
    return opened[0]


def _read(path: str) -> bytes:
    try:
        return read_file(path)
    except FileNotFoundError:
        return b""  # nothing has failed


def _commit_archives(
    place: Folder | Store, folder: str, number: int, kind: str, manifest: bytes
) -> tuple[list[str], bytes]:
    """Put archives where they belong; return their names, and the manifest with these in it."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(f".{kind}"))
    final = [f"pictures-{number:06}{f'-{i:03}' if i else ''}.{kind}" for i in range(len(names))]
    for name, named in zip(names, final, strict=True):
        place.put(named, os.path.join(folder, name))

    def name_of(found: re.Match[bytes]) -> bytes:
        return b', "archive": "%s", "end": %s}\n' % (final[int(found[1])].encode(), found[2])

    return final, re.sub(rb', "shard": (\d+), "end": (\d+)}\n', name_of, manifest)


def _commit_files(place: Folder | Store, folder: str, manifest: bytes) -> list[str]:
    names = [name for line in manifest.splitlines() for name, *_ in json.loads(line)["pictures"]]

    def put(name: str) -> None:
        place.put(name, os.path.join(folder, *name.split("/")))

    jobs = 1 if isinstance(place, Folder) else 2 * _WAITING
    for_each(put, names, lambda _: None, jobs=jobs)
    return []  # none is one of several pictures


def _remove_left(place: Folder | Store, earlier: str, manifest: bytes) -> None:
    """Remove the pictures of an earlier try of the task that this one has not."""
    try:
        lines = manifest_of(place.read(earlier))
    except FileNotFoundError:
        return
    for name in pictures_in(lines) - pictures_in(manifest):
        place.delete(name)


def manifest_of(part: bytes) -> bytes:
    """Return the lines of the manifest that are in a part."""
    first, _, rest = part.partition(b"\n")
    return rest[: json.loads(first)["lengths"][0]]


def pictures_in(manifest: bytes) -> set[str]:
    """Return the names of all pictures that lines of a manifest tell of.

    Names that lead out of the place are left out: pictures are removed by these.
    """
    names = (name for line in manifest.splitlines() for name, *_ in json.loads(line)["pictures"])
    return {name for name in names if not {"", ".."} & set(name.split("/"))}


def _commit_parquet(place: Folder | Store, folder: str, number: int, metadata: bytes) -> list[str]:
    from heartfast.cluster.parquet import write_parquet

    path = os.path.join(folder, "pictures.parquet")
    write_parquet(path, folder, metadata)
    name = f"pictures-{number:06}.parquet"
    place.put(name, path)
    return [name]
