"""What `train` takes: the ranges of its arguments, checked before anything is read."""

from __future__ import annotations

from heartfast.augment import MOST_COPIES
from heartfast.errors import UsageError
from heartfast.fitting.data import CLASS_WEIGHTS
from heartfast.leaderboard import METRICS
from heartfast.protocols import PROTOCOLS
from heartfast.seeds import check_seed

MAX_COUNT = 1000  # of folds and repeats; seeds count up from the given one by the latter
MAX_BUDGET_S = 10**7  # what a timer takes, on any system


def check_training(
    *,
    metric: str,
    trials: int,
    folds: int,
    repeats: int,
    seed: int,
    cv: str = "group",
    class_weight: str | None = None,
    augment: int = 0,
    embed: object = None,
    time_budget: float | None = None,
) -> None:
    """Raise `ValueError` where `train` would not take one of these."""
    choices = (
        ("metric", metric, METRICS),
        ("cv", cv, PROTOCOLS),
        ("class_weight", class_weight or CLASS_WEIGHTS[0], CLASS_WEIGHTS),
    )
    for name, value, known in choices:
        if value not in known:
            raise UsageError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    if trials < 1:
        raise UsageError(f"trials: expected at least 1, found {trials}")
    for name, count, least in (("folds", folds, 2), ("repeats", repeats, 1)):
        if not least <= count <= MAX_COUNT:
            raise UsageError(f"{name}: expected {least} to {MAX_COUNT}, found {count}")
    most = MOST_COPIES if embed is None else 0
    if not 0 <= augment <= most:
        with_network = " beside a network" if embed is not None else ""
        raise UsageError(f"augment: expected 0 to {most} copies{with_network}, found {augment}")
    if time_budget is not None and not 0 < time_budget <= MAX_BUDGET_S:
        raise UsageError(
            f"time_budget: expected seconds above 0, at most {MAX_BUDGET_S}, found {time_budget}"
        )
    check_seed(seed)
