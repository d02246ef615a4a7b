"""Many calls on a few threads: results in order, progress and Ctrl-C on the main one."""

from __future__ import annotations

import errno
import math
import os
from typing import TYPE_CHECKING, TypeVar

from heartfast.errors import UsageError

if TYPE_CHECKING:
    import queue
    import threading
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

MOST_JOBS = 1024
AHEAD = 64  # calls per thread that wait for it; a million would fill the memory
GRACE_S = 0.5  # for calls in hand when work is broken off, before they are left to themselves
_NAME = "heartfast-work"
# Where Linux tells of control groups.
_PROC, _CGROUPS = "/proc", "/sys/fs/cgroup"

T = TypeVar("T")
R = TypeVar("R")


def cores(jobs: int | None) -> int:
    """Return `jobs`, or where it is None the number of cores this process may use."""
    if jobs is not None:
        if jobs < 1:
            raise UsageError(f"jobs: expected at least 1, found {jobs}")
        return min(jobs, MOST_JOBS)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, _quota()))


def _quota() -> int:
    """Return the cores that the control groups of this process allow it, rounded up."""
    try:
        with open(f"{_PROC}/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return MOST_JOBS
    least = float(MOST_JOBS)
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 names no controllers. In a container the path may be that of the host.
        roots = (_CGROUPS,) if not controllers else (f"{_CGROUPS}/{controllers}", f"{_CGROUPS}/cpu")
        for root in roots:
            place = os.path.normpath(root + path)
            place = place if place.startswith(root) else root
            while place.startswith(root):
                least = min(least, _limit(place, version=1 if controllers else 2))
                place = os.path.dirname(place)
    return math.ceil(least)


def _limit(folder: str, version: int) -> float:
    """Return the cores that one control group allows, in all its processes together."""
    names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    try:
        words = []
        for name in names:
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                words += file.read().split()
        quota, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):  # "max" is no number
        return MOST_JOBS
    return quota / period if quota > 0 and period > 0 else MOST_JOBS


def for_each(
    function: Callable[[T], R],
    items: Iterable[T],
    take: Callable[[R], None],
    *,
    jobs: int | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Compute `function(item)` on `jobs` threads; `take` gets the results here, in order.

    Where anything raises or the caller is interrupted, calls not begun are dropped and `stop`
    is set, for long calls to look at. A call that does not (one fit of a library's can take
    minutes) is not waited for: it ends on its own, and nobody takes its result.
    """
    import queue
    import threading
    import time
    from collections import deque
    from concurrent.futures import Future

    workers = cores(jobs)
    tasks: queue.SimpleQueue[tuple[Future[R], Callable[[T], R], T] | None] = queue.SimpleQueue()
    threads: list[threading.Thread] = []
    waiting: deque[Future[R]] = deque()
    patience = None
    try:
        for item in items:
            future: Future[R] = Future()
            waiting.append(future)
            tasks.put((future, function, item))
            if len(threads) < workers:
                thread = threading.Thread(target=_work, args=(tasks,), name=_NAME, daemon=True)
                if _started(thread, needed=not threads):
                    threads.append(thread)
                else:
                    workers = len(threads)
            if len(waiting) > AHEAD * workers:
                take(waiting.popleft().result())
        while waiting:
            take(waiting.popleft().result())
    except BaseException:
        patience = GRACE_S
        if stop is not None:
            stop.set()
        for future in waiting:
            future.cancel()
        raise
    finally:
        for _ in threads:
            tasks.put(None)
        start = time.monotonic()
        for thread in threads:
            left = None if patience is None else max(0.0, start + patience - time.monotonic())
            thread.join(left)


def _started(thread: threading.Thread, *, needed: bool) -> bool:
    """Start a thread; where the system gives no more, those that there are do the work."""
    try:
        thread.start()
    except RuntimeError as error:
        if needed:
            message = f"expected the system to give a thread to work on, found: {error}"
            raise OSError(errno.EAGAIN, message) from None
        return False
    return True


def _work(tasks: queue.SimpleQueue[tuple[Future[R], Callable[[T], R], T] | None]) -> None:
    while (task := tasks.get()) is not None:
        future, function, item = task
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(function(item))
        except BaseException as error:  # the caller's, who takes the result
            future.set_exception(error)


def working() -> bool:
    """Whether a call that was not waited for is still in hand."""
    import sys
    import threading

    core = sys.modules.get("heartfast._core")
    if core is not None and core.left_behind():
        return True
    return any(thread.name == _NAME for thread in threading.enumerate())
