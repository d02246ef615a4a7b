"""A conversion in tasks: planned here, done by an engine, merged here."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from heartfast import remarks
from heartfast.cluster.engine import run_all
from heartfast.cluster.merge import archives_in, merge_parts
from heartfast.cluster.plan import Plan, Request
from heartfast.cluster.plan_file import (
    PLAN,
    finished,
    read_plan,
    require_empty,
    require_plan,
    write_plan,
)
from heartfast.cluster.task import Work, manifest_of, part_name, pictures_in, run_task
from heartfast.conversion import Conversion, Converted, Failed
from heartfast.errors import StoppedError, UsageError
from heartfast.files import is_url
from heartfast.places import Folder, Store, check_url, open_place
from heartfast.progress import Progress
from heartfast.recordings import require_recordings
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heartfast.progress import ProgressCallback
    from heartfast.remarks import Counted


def parse_shard(text: str | None) -> tuple[int, int]:
    """Read ``I/N``; None is everything, 1/1.

    Raises
    ------
    ValueError
        It is not of this form, or I is not one of 1 to N.
    """
    number, _, count = ("1/1" if text is None else text).partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise UsageError(f"shard: expected I/N with I from 1 to N, found {text!r}")


class TasksConversion(Conversion):
    """What `convert` did in tasks: as `Conversion`, read from the place when it is asked for.

    Attributes
    ----------
    tasks, done : int
        How many there are, and how many of them are done: all, unless a share was asked for.
    """

    def __init__(
        self,
        out: str,
        totals: dict[str, float],
        known: int,
        notes: list[str],
        odd: list[Counted],
        tasks: int,
        done: int,
    ) -> None:
        self.out = out
        self.pictures = int(totals["pictures"])
        self.duration_s = totals["duration_s"]
        self._failed = int(totals["failed"])
        self.known = known
        self.notes = notes
        self.remarks = odd
        self.tasks, self.done = tasks, done

    @property
    def failed(self) -> int:
        """How many recordings failed."""
        return self._failed

    @property
    def errors(self) -> list[Failed]:
        """Those that failed, from `errors.jsonl`; none before everything is merged."""
        if not self._failed or self.done < self.tasks:
            return []
        lines = open_place(self.out).read("errors.jsonl").splitlines()
        return [Failed(**json.loads(line)) for line in lines]

    @property
    def records(self) -> list[Converted]:
        """The pictures, sorted by name; none before everything is merged."""
        if self.done < self.tasks:
            return []
        lines = open_place(self.out).read("manifest.jsonl").splitlines()[1:]
        return sorted(
            Converted(
                name, entry["label"], entry["group"], entry["source"], entry["sample_rate"],
                duration_s, entry["sha256"], entry["path"],
            )
            for entry in map(json.loads, lines)
            for name, duration_s, *_ in entry["pictures"]
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """The result as JSON can hold it; errors stand in `errors.jsonl`."""
        return {
            "out": self.out,
            "pictures": self.pictures,
            "duration_s": self.duration_s,
            "known": self.known,
            "failed": self._failed,
            "notes": self.notes,
            "tasks": self.tasks,
            "done": self.done,
        }


def convert_in_tasks(
    request: Request,
    work: Work,
    *,
    engine: str,
    address: str | None,
    shard: str | None,
    jobs: int | None,
    overwrite: bool,
    max_errors: int | None,
    progress: ProgressCallback | None,
) -> TasksConversion:
    """Convert what is not done yet of all tasks, or of a share of them; merge if that is all.

    Raises
    ------
    OSError
        A source is missing, or a store does not answer.
    HeartfastError
        As `heartfast.convert` does; or the engine cannot do it.
    KeyboardInterrupt
        What is in hand then is done anew the next time.
    """
    share, shares = parse_shard(shard)
    for url in filter(is_url, (*request.sources, work.out)):
        check_url(url)
    place = open_place(work.out)
    if not is_url(work.out):
        work = work._replace(out=os.path.abspath(work.out))  # who does a task may work elsewhere
    if overwrite:
        clear_place(place)
    elif require_plan(place, work.header):
        # What is not among the sources any more is removed: a drive may not be mounted.
        require_recordings(*request[:3], work.limits)
    with Plan(request._replace(shares=shares), work.limits) as plan:
        names = [part_name(work.header, number, plan.task(number)) for number in range(plan.tasks)]
        write_plan(place, work.header, names, replace=shares == 1)
        there = finished(place)
        mine = range(share - 1, plan.tasks, shares)
        waiting = [number for number in mine if names[number] not in there]
        total = sum(plan.counts[number] for number in mine)
        known = total - sum(plan.counts[number] for number in waiting)
        done, failed = known, 0
        totals = {"pictures": 0.0, "duration_s": 0.0, "failed": 0.0}

        def report() -> None:
            if progress:
                progress(Progress("convert", done, total, failed))

        def calls() -> Iterator[tuple[Work, int, bytes]]:
            for number in waiting:
                yield work, number, plan.task(number)

        report()
        try:
            for part in run_all(run_task, calls(), engine=engine, address=address, jobs=jobs):
                done += part.recordings
                failed += part.failed
                totals["pictures"] += part.pictures
                totals["duration_s"] += part.duration_s
                totals["failed"] += part.failed
                report()
                if max_errors is not None and failed > max_errors:
                    raise StoppedError(
                        f"{place}: expected at most {max_errors} errors, found {failed} in {done} "
                        f"of {total} recordings; the same command goes on from there"
                    )
        except KeyboardInterrupt:
            message = f"{done} of {total} recordings are done, the same command goes on from there"
            raise KeyboardInterrupt(message) from None
        notes = plan.notes
        if plan.names_not_utf8 and (work.features or work.to == "parquet"):
            notes.append(
                f"{counted(plan.names_not_utf8, 'picture')} with a name that is no UTF-8: Parquet "
                "has such bytes as %E9"
            )
        if shares > 1:
            notes.append(
                f"{len(mine)} of {plan.tasks} tasks are done here; once all shares are, "
                f"heartfast merge {place} joins them"
            )
            return TasksConversion(str(place), totals, known, notes, [], plan.tasks, len(mine))
        merged = merge_parts([place], read_plan(place), place)
        if merged.gone:
            notes.append(
                f"{merged.gone} recordings of earlier runs are not among the sources: their "
                "pictures and rows are removed"
            )
        with_silenced, silenced = merged.silenced
        if silenced:
            notes.append(
                f"{with_silenced} recordings have {silenced} samples that are no finite numbers: "
                "they count as silence"
            )
        notes += remarks.notes(merged.remarks) + merged.notes
        totals, tasks = merged._asdict(), plan.tasks
        return TasksConversion(str(place), totals, known, notes, merged.remarks, tasks, tasks)


def clear_place(place: Folder | Store) -> None:
    """Remove what an earlier conversion in tasks has made; nothing without a plan.

    Raises
    ------
    OSError
        Something cannot be removed; or there are other files, and no plan.
    """
    try:
        plan = read_plan(place)
    except FileNotFoundError:
        require_empty(place)
        return
    if plan.header["settings"]["to"] == "dir":
        for name in finished(place):
            for picture in pictures_in(manifest_of(place.read(name))):
                place.delete(picture)
    for name in (*archives_in(place), "manifest.jsonl", "metadata.csv", "errors.jsonl"):
        place.delete(name)
    for name in finished(place):
        place.delete(name)
    place.delete(PLAN)
