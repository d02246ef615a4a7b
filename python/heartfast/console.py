"""What the command line shows on standard error: progress on a terminal, notes, errors."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from heartfast.conversion import Failed
    from heartfast.progress import Progress, ProgressCallback

# Failed files that are named on the terminal where a file has all of them.
MOST_ERRORS = 20
# Where no one watches, how far it is gets a line so often.
EVERY_S = 30.0

# What the command line was asked for: errors only, or all there is to say.
quiet = False
verbose = False


def say(line: str) -> None:
    """Write a line to standard error, with what cannot be shown escaped."""
    if sys.stderr is None:  # it may be closed
        return
    try:
        sys.stderr.write(printable(line, sys.stderr.encoding) + "\n")
        sys.stderr.flush()
    except OSError:
        sys.stderr = None  # its reader has gone; the work and its exit code are as they were


def inform(line: str) -> None:
    """Write a line that is no error."""
    if not quiet:
        say(line)


def write(text: str) -> None:
    """Write to standard output; a reader who has gone, as after `| head`, needs no more."""
    if sys.stdout is None:  # it may be closed
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Nor does the interpreter, at its end.
        sys.stdout = None
        if not isinstance(error, BrokenPipeError):
            error.filename = "standard output"
            raise


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output, as `write` does with text."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        sys.stdout = None
        if not isinstance(error, BrokenPipeError):
            error.filename = "standard output"
            raise


def printable(line: str, encoding: str = "utf-8") -> str:
    """`line` with escapes for what is not to reach a terminal, or cannot.

    Names come from strangers' disks, and control characters in them are commands.
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def say_notes(notes: Iterable[str]) -> None:
    """Write notes, one a line."""
    for note in notes:
        inform(f"note: {note}")


def say_errors(errors: Sequence[tuple[str, str]], where: str = "") -> None:
    """Name failed files: (path, message) pairs; only the first, where a file has all of them."""
    named = errors[:MOST_ERRORS] if where and not verbose else errors
    for path, message in named:
        say(f"failed: {path}: {message}")
    if len(errors) > len(named):
        say(f"failed: {len(errors) - len(named)} more, see {where}")


def say_failed(errors: Sequence[Failed], folder: str = "") -> None:
    """Say which recordings failed, and that `folder` has all of them, if there is one."""
    where = f"{folder}/errors.jsonl" if folder else ""
    say_errors([(error.path, error.message) for error in errors], where)


def say_kinds(errors: Sequence[Failed]) -> None:
    """A table of how many failed for which kind of reason, where it is not one line anyway."""
    from collections import Counter

    from heartfast.tables import format_text

    kinds = Counter(error.kind for error in errors)
    if len(errors) > 1:
        rows = [(kind, str(count)) for kind, count in kinds.most_common()]
        for line in format_text([("kind", "failed"), *rows]).split("\n"):
            say(line)


def explain(error: BaseException) -> str:
    """Return why a command failed, in one line; what is no error of heartfast's is a defect."""
    from heartfast.errors import HeartfastError, UsageError

    if isinstance(error, OSError):
        if error.filename is None:
            return str(error)
        return f"{error.filename or repr('')}: {error.strerror}"
    if isinstance(error, HeartfastError | UsageError):
        say_failed(getattr(error, "errors", ()))
        return str(error)
    if isinstance(error, MemoryError):
        return "expected more memory, found none left; fewer --jobs need less"
    if verbose:
        import traceback

        for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
            say(line)
    said = " ".join(str(error).split())
    where = "" if verbose else " (-v shows where)"
    return f"internal error, please report it: {type(error).__name__}: {said}{where}"


@contextlib.contextmanager
def progress_bars() -> Iterator[ProgressCallback | None]:
    """Give a progress callback: bars on a terminal, elsewhere a line now and then."""
    if sys.stderr is None or quiet:
        yield None
    elif sys.stderr.isatty():
        with _bars() as update:
            yield update
    else:
        with _lines() as update:
            yield update


@contextlib.contextmanager
def _lines() -> Iterator[ProgressCallback]:
    """Write how far it is every `EVERY_S` seconds, also while nothing is reported."""
    import threading
    import time

    last: list[Progress] = []
    over = threading.Event()
    start = time.monotonic()

    def watch() -> None:
        while not over.wait(EVERY_S):
            say(_line(last[0] if last else None, time.monotonic() - start))

    def update(report: Progress) -> None:
        last[:] = [report]

    with contextlib.suppress(RuntimeError):  # there may be no thread left
        threading.Thread(target=watch, name="heartfast-progress", daemon=True).start()
    try:
        yield update
    finally:
        over.set()


def _line(report: Progress | None, seconds: float) -> str:
    time = f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 60 else f"{seconds:.0f} s"
    if report is None:
        return f"{time}: at work"
    failed = f", {report.failed} failed" if report.failed else ""
    return f"{time}: {report.stage}: {report.done} of {report.total}{failed}"


@contextlib.contextmanager
def _bars() -> Iterator[ProgressCallback]:
    """Draw a bar per stage."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed and speed >= 1 else "", style="cyan")

    bars = Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(""),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def update(report: Progress) -> None:
        if report.stage not in tasks:
            tasks[report.stage] = bars.add_task(report.stage, total=report.total, failed="")
        failed = f"{report.failed} failed" if report.failed else ""
        task = tasks[report.stage]
        bars.update(task, completed=report.done, total=report.total, failed=failed)

    with bars:
        yield update
