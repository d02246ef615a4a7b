"""Many calls on a few threads: results in order, progress and Ctrl-C on the main one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

MOST_JOBS = 1024

T = TypeVar("T")
R = TypeVar("R")


def cores(jobs: int | None) -> int:
    """Return `jobs`, or where it is None the number of cores this process may use."""
    if jobs is not None:
        if jobs < 1:
            raise ValueError(f"jobs: expected at least 1, found {jobs}")
        return min(jobs, MOST_JOBS)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    is set, for long calls to look at.
    """
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    workers = cores(jobs)
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 64 * workers:  # a million futures would fill the memory
                take(waiting.popleft().result())
        while waiting:
            take(waiting.popleft().result())
    except BaseException:
        if stop is not None:
            stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
