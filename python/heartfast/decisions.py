"""Decisions by other rules than the highest probability, and what each of them costs.

A clinician prefers false alarms to misses. So a class may have a threshold, above which it is
decided whatever else is likely: the highest one at which a wanted share of its recordings was
found (sensitivity). Or mistakes have costs, and what costs least on average is decided.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import UsageError
from heartfast.operating import TARGETS, Point, curves, threshold

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    # A table's path, or the cost of each pair (actual, predicted).
    Costs = str | os.PathLike[str] | Mapping[tuple[str, str], float]

MAX_COST = 1e9


class Rule(NamedTuple):
    """How decisions are made: by thresholds of classes, by costs, or by neither.

    `points` are those of the classes with a threshold; `costs` float64 (k, k) are of deciding
    (column) where something is the case (row).
    """

    classes: tuple[str, ...]
    points: tuple[Point, ...] = ()
    costs: Array | None = None

    def decide(self, probabilities: Array) -> NDArray[np.intp]:
        """Decide on a class, int (n,), for probabilities float64 (n, k).

        Of classes at or above their threshold, the one that is the most so (by the ratio) is
        decided; where there is none, the most probable of the classes without a threshold.
        By costs, the class whose expected cost is the least. The first among equals.
        """
        import numpy as np

        if self.costs is not None:
            # einsum, not BLAS: a row's result must not depend on the rows beside it.
            expected = np.einsum("nk,kj->nj", probabilities, self.costs)
            return np.asarray(expected.argmin(axis=1))
        if not self.points:
            return np.asarray(probabilities.argmax(axis=1))
        thresholds = np.full(len(self.classes), np.inf)
        for point in self.points:
            thresholds[self.classes.index(point.label)] = max(point.threshold, 1e-300)
        excess = probabilities / thresholds
        others = np.where(np.isinf(thresholds), probabilities, -1.0)
        if np.isfinite(thresholds).all():  # of nothing but alarms, the nearest
            others = excess
        alarm = (excess >= 1).any(axis=1)
        return np.asarray(np.where(alarm, excess.argmax(axis=1), others.argmax(axis=1)))


def make_rule(
    classes: Sequence[str],
    operating: Mapping[str, Any],
    *,
    sensitivity: Mapping[str, float] | None = None,
    costs: Costs | None = None,
) -> Rule:
    """Make a rule of what a caller asks for; `ValueError` says what is wrong with it."""
    if sensitivity and costs is not None:
        raise UsageError("expected a sensitivity or costs, found both")
    points = [threshold(operating, label, value) for label, value in (sensitivity or {}).items()]
    matrix = None if costs is None else cost_matrix(costs, classes)
    return Rule(tuple(classes), tuple(points), matrix)


def cost_matrix(costs: Costs, classes: Sequence[str]) -> Array:
    """Return costs, float64 (k, k), of deciding (column) where something is the case (row).

    Parameters
    ----------
    costs
        Pairs (actual, predicted) and the cost of each, which is else 1 for a mistake and 0 for
        none; or the path of a CSV with a column `actual`, a column for each class that may be
        decided and a row for each class that may be the case.

    Raises
    ------
    ValueError
        A pair names no two classes, or a cost is not a number from 0 to 1e9.
    DatasetError
        The table does not have these rows, columns and numbers.
    """
    import os

    import numpy as np

    if isinstance(costs, str | os.PathLike):
        return _read_costs(costs, classes)
    matrix = 1.0 - np.eye(len(classes))
    for pair, cost in costs.items():
        if not all(label in classes for label in pair):
            raise UsageError(
                f"cost: expected classes of {', '.join(classes)}, found {':'.join(pair)}"
            )
        matrix[classes.index(pair[0]), classes.index(pair[1])] = _cost(cost, ":".join(pair))
    return matrix


def _read_costs(path: str | os.PathLike[str], classes: Sequence[str]) -> Array:
    import numpy as np

    from heartfast.errors import DatasetError
    from heartfast.tables import read_table, warn_of

    table = read_table(path, ("actual", *classes), "a table of costs")
    warn_of(table)
    rows = dict(zip(table.column("actual"), table.records(), strict=True))
    if (
        len(table.header) != len(classes) + 1
        or len(table.rows) != len(classes)
        or set(rows) != set(classes)
    ):
        raise DatasetError(
            f"{table.where}: expected a row and a column for each of {', '.join(classes)}, found "
            f"rows {', '.join(table.column('actual'))} and columns {', '.join(table.header[1:])}"
        )
    try:
        return np.array(
            [[_cost(table.with_point(rows[a][b]), f"{a}:{b}") for b in classes] for a in classes]
        )
    except ValueError as error:
        raise DatasetError(f"{table.where}: {error}") from None


def _cost(value: object, pair: str) -> float:
    try:
        cost = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        cost = math.nan
    if not 0 <= cost <= MAX_COST:
        raise UsageError(f"cost of {pair}: expected 0 to {MAX_COST:g}, found {value!r}")
    return cost


class Choice(NamedTuple):
    """What deciding by a rule does: a row of the table of choices.

    `sensitivity` and `specificity` are by class (NaN for one without recordings), `alarms` how
    many of 100 recordings are decided to be of each class, `wrong` how many of 100 are
    decided wrongly and `cost` what a recording costs, by the costs asked for (else the share
    that is wrong).
    """

    name: str
    sensitivity: dict[str, float]
    specificity: dict[str, float]
    alarms: dict[str, float]
    wrong: float
    cost: float

    def to_dict(self) -> dict[str, object]:
        """Return it ready for JSON, None for what is undefined."""

        def defined(shares: dict[str, float]) -> dict[str, float | None]:
            return {label: None if math.isnan(x) else x for label, x in shares.items()}

        shares = {"sensitivity": self.sensitivity, "specificity": self.specificity}
        return self._asdict() | {name: defined(values) for name, values in shares.items()}


def choices(
    actual: NDArray[np.intp],
    oof: Array,
    rules: Iterable[tuple[str, Rule]],
    costs: Array | None = None,
) -> list[Choice]:
    """Compare rules on out-of-fold probabilities, (n, k) or (repeats, n, k)."""
    import numpy as np

    found = []
    for name, one in rules:
        k = len(one.classes)
        repeats = oof.reshape(-1, k)
        truth = np.tile(actual, len(repeats) // len(actual))
        confusion = np.zeros((k, k))
        np.add.at(confusion, (truth, one.decide(repeats)), 1)
        found.append(choice(name, confusion, one.classes, costs))
    return found


def choice(
    name: str, confusion: NDArray[Any], classes: Sequence[str], costs: Array | None = None
) -> Choice:
    """Return what a confusion table, actual (k) by decided (k), says of how it was decided."""
    import numpy as np

    prices = 1.0 - np.eye(len(classes)) if costs is None else costs
    total, hits = confusion.sum(), np.diag(confusion)
    support, alarms = confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = hits / support
        specificity = 1 - (alarms - hits) / (total - support)
    return Choice(
        name=name,
        sensitivity=dict(zip(classes, sensitivity.tolist(), strict=True)),
        specificity=dict(zip(classes, specificity.tolist(), strict=True)),
        alarms=dict(zip(classes, (100 * alarms / total).tolist(), strict=True)),
        wrong=float(100 * (1 - hits.sum() / total)),
        cost=float((confusion * prices).sum() / total),
    )


def standard_choices(
    actual: NDArray[np.intp],
    oof: Array,
    classes: Sequence[str],
    groups: ArrayLike | None = None,
    targets: Sequence[float] = TARGETS,
) -> list[Choice]:
    """Return the table for a report: the most probable class, and each class at each target."""
    names = tuple(classes)
    found = curves(actual, oof, names, groups)
    rules = [("most probable", Rule(names))]
    rules += [
        (f"{label} found {target:.0%}", Rule(names, (threshold(found, label, target),)))
        for label in found
        for target in targets
    ]
    return choices(actual, oof, rules)


def choices_table(rows: Sequence[Choice]) -> list[list[str]]:
    """Return choices as cells, a header first, for `format_text` or a page."""
    classes = list(rows[0].sensitivity) if rows else []
    header = ["decision", *(f"{label} found" for label in classes)]
    header += [*(f"{label} alarms in 100" for label in classes), "wrong in 100"]
    return [
        header,
        *(
            [
                row.name,
                *("undefined" if math.isnan(x) else f"{x:.0%}" for x in row.sensitivity.values()),
                *(f"{x:.1f}" for x in row.alarms.values()),
                f"{row.wrong:.1f}",
            ]
            for row in rows
        ),
    ]
