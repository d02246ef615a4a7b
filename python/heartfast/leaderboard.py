"""The candidates' figures, side by side, with intervals and paired differences to the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.crossvalidation import OTHER
from heartfast.fitting import QUICK
from heartfast.metrics import LOSSES, estimate, group_sums, interval, logloss, resampled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.crossvalidation import Tested
    from heartfast.metrics import GroupSums
    from heartfast.protocols import Plan

    Array = NDArray[np.float64]
    Interval = tuple[float, float]

METRICS = ("logloss", "macro_f1", "balanced_accuracy", "macro_auc", "brier")
NAMES = {
    "logloss": "logloss",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "AUC",
    "brier": "Brier",
}
PROTOCOL_NAMES = {
    "group": "groups kept whole",
    "source": "a source left out in turn",
    "random": "random folds (too good)",
}
TIMES = ("fit_seconds", "score_seconds")


class LeaderboardRow(NamedTuple):
    """One candidate; each `_ci` is a 95 % interval from resampling whole groups.

    The figures are means over the repeats. `logloss_sd` is the spread between folds. `macro_auc`
    is the area under the ROC curve of each class against the rest, averaged; by source it is that
    inside each source, averaged. `difference` is how much larger the metric that was asked for is
    than the best row's; its interval is from the same resamples. `fit_seconds` and
    `score_seconds` are of all folds, a blend's with those of its members.
    """

    model: str
    logloss: float
    logloss_sd: float
    logloss_ci: Interval
    macro_f1: float
    macro_f1_ci: Interval
    balanced_accuracy: float
    balanced_accuracy_ci: Interval
    macro_auc: float
    macro_auc_ci: Interval
    brier: float
    brier_ci: Interval
    difference: float
    difference_ci: Interval
    fit_seconds: float
    score_seconds: float

    def without_times(self) -> dict[str, object]:
        """Return what the same seed gives again."""
        return {name: value for name, value in self._asdict().items() if name not in TIMES}


def rank(metric: str) -> Callable[[LeaderboardRow], float]:
    """Return the key that sorts a leaderboard, best first."""
    sign = 1 if metric in LOSSES else -1
    return lambda row: sign * float(getattr(row, metric))


def make_rows(
    tested: Mapping[str, Tested],
    plan: Plan,
    groups: NDArray[np.intp],
    *,
    metric: str,
    seed: int,
) -> list[LeaderboardRow]:
    """Return a row for each of these candidates, in their order.

    `groups` (n,) are what is resampled, which by a random protocol are not those of the folds.
    """
    sums = {name: _sums(plan, each.oof, groups) for name, each in tested.items()}
    spreads = {name: resampled(each, seed) for name, each in sums.items()}
    values = {name: estimate(sums[name], spread=spreads[name])[0] for name in tested}

    def badness(name: str) -> float:
        value = values[name][metric].value or 0.0
        return value if metric in LOSSES else -value

    best = min(tested, key=badness)
    rows = []
    for name, each in tested.items():
        found: dict[str, Any] = {}
        for other in METRICS:
            value, low, high = values[name][other]
            found |= {other: value, f"{other}_ci": (low, high)}
        difference = interval(
            (values[name][metric].value or 0.0) - (values[best][metric].value or 0.0),
            spreads[name][metric] - spreads[best][metric],
        )
        rows.append(
            LeaderboardRow(
                model=name,
                logloss_sd=_spread_of_folds(plan, each.oof),
                difference=difference.value or 0.0,
                difference_ci=(difference.low or 0.0, difference.high or 0.0),
                fit_seconds=each.fit_seconds,
                score_seconds=each.score_seconds,
                **found,
            )
        )
    return rows


def compare_naive(
    plan: Plan,
    other: Plan | None,
    tested: Mapping[str, Tested],
    groups: NDArray[np.intp],
    seed: int,
) -> dict[str, Any] | None:
    """Return the quick candidate's figures by both protocols; None without the other one."""
    if other is None or OTHER not in tested:
        return None

    def figures(plan: Plan, oof: Array) -> dict[str, object]:
        overall, _ = estimate(_sums(plan, oof, groups), seed=seed)
        return {name: overall[name]._asdict() for name in METRICS}

    return {
        "model": QUICK,
        plan.protocol: figures(plan, tested[QUICK].oof),
        other.protocol: figures(other, tested[OTHER].oof),
    }


def format_rows(rows: Sequence[LeaderboardRow], best: str, metric: str) -> str:
    """Return the rows, best first, as two aligned tables."""
    from heartfast.tables import format_text

    def figure(row: LeaderboardRow, name: str) -> str:
        low, high = getattr(row, f"{name}_ci")
        return f"{getattr(row, name):.3f} ({low:.3f}-{high:.3f})"

    def difference(row: LeaderboardRow) -> str:
        if row.model == best:
            return ""
        low, high = row.difference_ci
        return f"{row.difference:+.3f} ({low:+.3f} to {high:+.3f})"

    ordered = sorted(rows, key=rank(metric))
    names = [("* " if row.model == best else "  ") + row.model for row in ordered]
    first = [["model", "logloss (95 % interval)", "macro-F1", "balanced accuracy"]]
    second = [
        ["model", "AUC", "Brier", f"{NAMES[metric]} against the best", "seconds to fit, score"]
    ]
    for name, row in zip(names, ordered, strict=True):
        first.append([name, *(figure(row, each) for each in METRICS[:3])])
        times = f"{row.fit_seconds:.1f}, {row.score_seconds:.1f}"
        second.append([name, *(figure(row, each) for each in METRICS[3:]), difference(row), times])
    return format_text(first) + "\n\n" + format_text(second)


def format_naive(naive: Mapping[str, Any]) -> str:
    """Return a quick candidate's figures by two protocols, one below the other."""
    from heartfast.tables import format_text

    shown = ("logloss", "macro_f1", "macro_auc")
    table = [[f"the same {naive['model']}", *(NAMES[name] for name in shown)]]
    for protocol, words in PROTOCOL_NAMES.items():
        if protocol in naive:
            figures = [naive[protocol][name] for name in shown]
            cells = [f"{f['value']:.3f} ({f['low']:.3f}-{f['high']:.3f})" for f in figures]
            table.append([f"  {words}", *cells])
    return format_text(table)


def _sums(plan: Plan, oof: Array, groups: NDArray[np.intp]) -> GroupSums:
    # By source each has another model, whose scores are its own.
    strata = plan.data.sources if plan.protocol == "source" else None
    return group_sums(plan.data.actual, oof, groups, strata=strata)


def _spread_of_folds(plan: Plan, oof: Array) -> float:
    import numpy as np

    actual = plan.data.actual
    losses = [logloss(actual[held], oof[repeat, held]) for repeat, (_, held) in plan.splits]
    return float(np.std(losses))
