"""Every candidate on every fold, as far as the time goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.fitting import BLEND, BLENDED, PRIOR, QUICK, SINGLE, Settings, Stopped, blended
from heartfast.fitting.pooling import blend_weights
from heartfast.models import pooled
from heartfast.parallel import for_each
from heartfast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting import Fitted
    from heartfast.models import Model
    from heartfast.progress import ProgressCallback
    from heartfast.protocols import Plan

    Array = NDArray[np.float64]

BUDGET, INTERRUPTED = "time budget", "interrupted"
OTHER = "by the other protocol"  # the quick candidate's name there


class Tested(NamedTuple):
    """A candidate's out-of-fold probabilities (repeats, n, k), and the seconds of all its folds."""

    oof: Array
    fit_seconds: float
    score_seconds: float


class Comparison(NamedTuple):
    """What became of the candidates.

    `tested` has those with all folds, by name, and the quick one by another protocol as `OTHER`;
    `ended` says what ended it early, `BUDGET` or `INTERRUPTED`, else it is None.
    """

    tested: dict[str, Tested]
    ended: str | None

    @property
    def left_out(self) -> list[str]:
        """Candidates that were not done."""
        return [name for name in (*SINGLE, BLEND) if name not in self.tested]


class _Result(NamedTuple):
    inner: Array | None
    predicted: Array
    fit_seconds: float
    score_seconds: float


def compare(
    plan: Plan,
    other: Plan | None,
    settings: Settings,
    *,
    jobs: int | None,
    until: float | None,
    keep_interrupted: bool,
    progress: ProgressCallback | None,
    engine: str = "local",
    address: str | None = None,
) -> Comparison:
    """Test all candidates by one protocol, and the quick one by another, too.

    Parameters
    ----------
    until
        When to stop, by `time.monotonic`; None goes on to the end. What is in hand then is lost.
    keep_interrupted
        Whether Ctrl-C does the same, once there is more than the class prior; else it is raised.
    engine, address
        Who fits: this process on `jobs` threads, or a Ray cluster, a fit a core. The results are
        the same, where processors round alike.
    """
    import threading

    tasks = [(name, plan, index) for name in SINGLE for index in range(len(plan.splits))]
    if other is not None:
        after = (list(SINGLE).index(QUICK) + 1) * len(plan.splits)
        tasks[after:after] = [(OTHER, other, index) for index in range(len(other.splits))]
    results: dict[tuple[str, int], _Result] = {}
    done = 0

    def fit(task: tuple[str, Plan, int]) -> tuple[str, int, _Result]:
        name, on, index = task
        if name != PRIOR:  # there is always something to compare with
            settings.go_on()
        result = _test(QUICK if name == OTHER else name, on, index, settings)
        results[name, index] = result  # counts also where an earlier one is still in hand
        return name, index, result

    def take(found: tuple[str, int, _Result]) -> None:
        nonlocal done
        done += 1
        name, index, result = found
        results[name, index] = result
        if progress:
            progress(Progress("train", done, len(tasks)))

    ended = None
    timer = None
    if until is not None:
        timer = threading.Timer(max(0.0, until - time.monotonic()), settings.stop.set)
        timer.daemon = True
        timer.start()
    try:
        if engine == "local":
            for_each(fit, tasks, take, jobs=jobs, stop=settings.stop)
        else:
            from heartfast.cluster.engine import run_all

            told = {name: value for name, value in settings._asdict().items() if name != "stop"}
            shared = plan, other, told
            # At once, and here: there is always something to compare with.
            for task in tasks[: len(plan.splits)]:
                take(fit(task))
            rest = tasks[len(plan.splits) :]
            calls = ((shared, name, on is plan, index) for name, on, index in rest)
            for found in run_all(
                _fit_apart, calls, engine=engine, address=address, stop=settings.stop
            ):
                take(found)
            settings.go_on()
    except Stopped:
        ended = BUDGET
    except KeyboardInterrupt:
        if not keep_interrupted or not _whole(QUICK, plan, dict(results)):
            raise
        ended = INTERRUPTED
    finally:
        if timer is not None:
            timer.cancel()
    settings = settings._replace(stop=threading.Event())
    return Comparison(_tested(plan, other, dict(results), settings), ended)


def end_of_comparison(start: float, time_budget: float | None, plan: Plan) -> float | None:
    """When to stop comparing, by `time.monotonic`, to be done so many seconds after `start`.

    Fitting on everything, which comes then, takes as long as two folds, or less.
    """
    if time_budget is None:
        return None
    now, folds = time.monotonic(), len(plan.splits)
    return now + max(0.0, start + time_budget - now) * folds / (folds + 2)


def refit(
    best: str,
    tested: Collection[str],
    plan: Plan,
    settings: Settings,
    *,
    jobs: int | None,
) -> Model:
    """Fit one on everything, in threads, so that Ctrl-C is answered; a blend is of the tested."""
    settings = _of(plan, settings)
    names = [name for name in BLENDED if name in tested] if best == BLEND else [best]
    fitted: list[Fitted] = []
    for_each(
        lambda name: SINGLE[name](plan.data, settings),
        names,
        fitted.append,
        jobs=jobs,
        stop=settings.stop,
    )
    return blended(fitted, plan.data, settings) if best == BLEND else fitted[0].model


def _of(plan: Plan, settings: Settings) -> Settings:
    return settings._replace(by_source=plan.protocol == "source")


def _test(name: str, plan: Plan, index: int, settings: Settings) -> _Result:
    _, (rows, held_out) = plan.splits[index]
    start = time.perf_counter()
    fitted = SINGLE[name](plan.data.part(rows), _of(plan, settings))
    middle = time.perf_counter()
    predicted = fitted.model.predict_proba(plan.data.features[held_out])
    return _Result(fitted.inner, predicted, middle - start, time.perf_counter() - middle)


def _fit_apart(
    shared: tuple[Plan, Plan, dict[str, Any]], name: str, chosen: bool, index: int, _: int
) -> tuple[str, int, _Result]:
    """Test a candidate on a fold in a process of an engine's."""
    import threading

    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    plan, other, told = shared
    settings = Settings(stop=threading.Event(), **told)
    on = plan if chosen else other
    with threadpool_limits(1, user_api="blas"):
        result = _test(QUICK if name == OTHER else name, on, index, settings)
    return name, index, result


def _whole(name: str, plan: Plan, results: dict[tuple[str, int], _Result]) -> list[_Result]:
    """Return the results of all folds, or nothing while one is missing."""
    found = [results.get((name, index)) for index in range(len(plan.splits))]
    known = [result for result in found if result is not None]
    return known if len(known) == len(found) else []


def _tested(
    plan: Plan,
    other: Plan | None,
    results: dict[tuple[str, int], _Result],
    settings: Settings,
) -> dict[str, Tested]:
    """Put together the folds of those candidates that have all of them, and blend those."""
    whole = {name: found for name in SINGLE if (found := _whole(name, plan, results))}
    if len(members := [whole[name] for name in BLENDED if name in whole]) > 1:
        together = zip(*members, strict=True)
        whole[BLEND] = [_blend(each, plan, index, settings) for index, each in enumerate(together)]
    tested = {name: _assembled(plan, found) for name, found in whole.items()}
    if other is not None and (found := _whole(OTHER, other, results)):
        tested[OTHER] = _assembled(other, found)
    return tested


def _blend(members: tuple[_Result, ...], plan: Plan, index: int, settings: Settings) -> _Result:
    """Blend what was predicted for one fold; nothing is fitted but the weights."""
    start = time.perf_counter()
    data = plan.data.part(plan.splits[index][1][0])
    weights = blend_weights([member.inner for member in members], data, _of(plan, settings))
    predicted = pooled([member.predicted for member in members], weights)
    own = time.perf_counter() - start
    return _Result(
        None,
        predicted,
        own + sum(member.fit_seconds for member in members),
        sum(member.score_seconds for member in members),
    )


def _assembled(plan: Plan, found: list[_Result]) -> Tested:
    """Put the folds' predictions where their recordings are."""
    import numpy as np

    oof = np.zeros((plan.repeats, len(plan.data.actual), plan.data.k))
    for (repeat, (_, held_out)), result in zip(plan.splits, found, strict=True):
        oof[repeat, held_out] = result.predicted
    return Tested(
        oof, sum(each.fit_seconds for each in found), sum(each.score_seconds for each in found)
    )
