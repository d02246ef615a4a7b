"""Who does tasks: this process, or the machines of a Ray cluster."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, TypeVar

from heartfast.errors import HeartfastError, UsageError
from heartfast.extras import require_package
from heartfast.places import check_url

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

R = TypeVar("R")

ENGINES = ("local", "ray")
# How often Ray does a task whose machine or process has gone.
_RETRIES = 10
# Tasks that wait, for each core that works: so that none has to.
_AHEAD = 2


def check_engine(engine: str, address: str | None) -> None:
    """Raise unless there is such an engine, with what it needs, and an address only for Ray."""
    if engine not in ENGINES:
        raise UsageError(f"engine: expected local or ray, found {engine!r}")
    if address is not None and engine != "ray":
        raise UsageError(f"address: expected it with engine ray, found {address!r} with {engine}")
    if address is not None and "://" in address:
        check_url(address)  # it will be in messages
    if engine == "ray":
        require_package("ray", "engine ray")


def run_all(
    function: Callable[..., R],
    calls: Iterable[tuple[Any, ...]],
    *,
    engine: str,
    address: str | None = None,
    jobs: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[R]:
    """Give `function(*call, jobs)` of each call, as they end.

    Here that is one call after the other, with `jobs` threads; on Ray one a core, each with one
    thread, wherever there is a core. The function and all that it gets and returns is pickled
    then. When the caller goes away, or `stop` is set, what is in hand is broken off with the
    connection to Ray; where that is the caller's own, it ends on its own, and nobody gets it.

    Raises
    ------
    HeartfastError
        Ray is not installed, cannot be reached, or has lost a task too often.
    """
    if engine == "local":
        return (function(*call, jobs) for call in calls if stop is None or not stop.is_set())
    return _on_ray(function, calls, address, stop)


def _on_ray(
    function: Callable[..., R],
    calls: Iterable[tuple[Any, ...]],
    address: str | None,
    stop: threading.Event | None,
) -> Iterator[R]:
    ray, ours = connect(address)
    remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_pickled)
    remote = remote.options(name=function.__name__)
    shared: dict[int, Any] = {}

    def reference(value: Any) -> Any:
        """Send what is the same for all calls once."""
        if not isinstance(value, tuple):
            return value
        if id(value) not in shared:
            shared[id(value)] = value, ray.put(value)
        return shared[id(value)][1]

    waiting: list[Any] = []
    calls = iter(calls)
    more = True
    try:
        while stop is None or not stop.is_set():
            room = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))) + 1
            while more and len(waiting) < room:
                call = next(calls, None)
                if call is None:
                    more = False
                else:
                    waiting.append(remote.remote(function, *map(reference, call), 1))
            if not waiting:
                return
            ended, waiting = ray.wait(waiting, num_returns=1, timeout=0.2)
            for one in ended:
                yield _result(ray, one)
    finally:
        # Not `ray.cancel`: it ends this process where a task ends in the same moment (seen with
        # 2.60, "Tried to complete task that was not pending").
        if ours:
            ray.shutdown()


def _pickled(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Call a function for somebody else: arrays as they are would lie in Ray's memory."""
    return pickle.dumps(function(*arguments))


def _result(ray: Any, one: Any) -> Any:
    try:
        return pickle.loads(ray.get(one))  # noqa: S301 - of our own task
    except ray.exceptions.RayTaskError as error:
        # What the function raised, without the text of its process.
        raise error.cause from None
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise HeartfastError(f"ray: expected a task to end, found: {said[0]}") from None


def connect(address: str | None) -> tuple[Any, bool]:
    """Return Ray, connected, and whether it was not before.

    It is connected to `address`, else as it finds one, else to one that it starts here.

    Raises
    ------
    HeartfastError
        It is not installed, or cannot be reached.
    """
    import logging
    import os

    # Nothing of how it is used is sent anywhere, and its warnings are not the user's.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    ours = not ray.is_initialized()
    if ours:
        local: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (OSError, RuntimeError, ValueError) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise HeartfastError(
                f"ray: expected a cluster at {address or 'this machine'}, found: {said[0]}"
            ) from None
    return ray, ours
