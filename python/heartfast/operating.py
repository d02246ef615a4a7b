"""Operating points: what a threshold on the probability of a class finds, and what it costs.

What is known of them comes from probabilities that cross-validation gave to recordings it had not
been fitted on, and is kept in the bundle: a curve for each class.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

MOST_POINTS = 200  # of a curve: steps of half a percent
POINT = ("threshold", "sensitivity", "specificity", "precision", "alarms")
TARGETS = (0.8, 0.9, 0.95)  # the sensitivities that tables show
MOST_RECORDINGS = 10_000_000  # of a class, in a bundle
DOUBT = 0.025  # at each end of a 95 % interval


class Point(NamedTuple):
    """What a threshold does for one class, "alarm" being a probability at or above it.

    `sensitivity` is the share of the class's recordings with an alarm, `low` the lower end
    of its 95 % interval, `specificity` the share of the others without one, `precision` the
    share of alarms that are right, `alarms` their number in 100 recordings. The last two hold
    where classes are as frequent as in the recordings that the curve is of.
    """

    label: str
    threshold: float
    sensitivity: float
    low: float
    specificity: float
    precision: float
    alarms: float

    def describe(self) -> str:
        """Say in a sentence what the threshold does."""
        return (
            f"{self.label} is decided from a probability of {self.threshold:.3g}: in "
            f"cross-validation that found {self.sensitivity:.0%} of its recordings (95 % "
            f"interval from {self.low:.0%}), at {self.alarms:.0f} alarms in 100 recordings, of "
            f"which {self.precision:.0%} were right"
        )


def curves(
    actual: NDArray[np.intp], oof: Array, classes: Sequence[str], groups: ArrayLike | None = None
) -> dict[str, object]:
    """Follow every class over its thresholds, for a bundle (JSON) and for charts.

    Parameters
    ----------
    actual
        int (n,), the index of each recording's class.
    oof
        float64 (n, k), or (repeats, n, k), whose repeats are taken together: probabilities from
        models that had not seen the recording.
    classes
        The k names.
    groups
        (n,) labels of any kind; without, each recording is its own.

    Returns
    -------
    dict
        For each class `recordings` and `groups` (how many have it) and the lists of `POINT`,
        from the highest threshold to the lowest, at most `MOST_POINTS` long. Thresholds are
        probabilities of recordings of the class, because between these sensitivity stays.
    """
    import numpy as np

    repeats = oof.reshape(-1, len(actual), len(classes))
    members = np.arange(len(actual)) if groups is None else np.asarray(groups)
    found: dict[str, object] = {}
    for index, label in enumerate(classes):
        positive = actual == index
        hits = np.sort(repeats[:, positive, index].ravel())[::-1]
        rest = np.sort(repeats[:, ~positive, index].ravel())[::-1]
        if not len(hits):
            continue
        ranks = np.linspace(1, len(hits), min(len(hits), MOST_POINTS))
        thresholds = np.unique(hits[np.ceil(ranks - 1e-9).astype(int) - 1])[::-1]
        # In falling order, those at or above a threshold come before the first that is below.
        true = np.searchsorted(-hits, -thresholds, side="right")
        false = np.searchsorted(-rest, -thresholds, side="right")
        found[label] = {
            "recordings": int(positive.sum()),
            "groups": len(np.unique(members[positive])),
            "threshold": thresholds.tolist(),
            "sensitivity": (true / len(hits)).tolist(),
            "specificity": (1 - false / len(rest) if len(rest) else np.ones(len(true))).tolist(),
            "precision": (true / (true + false)).tolist(),
            "alarms": (100 * (true + false) / (len(hits) + len(rest))).tolist(),
        }
    return found


def check_curves(operating: Mapping[str, object], classes: Sequence[str]) -> None:
    """Raise `ValueError` unless a bundle's `operating` is empty or what `curves` gives."""
    for label, curve in operating.items():
        if label not in classes:
            known = ", ".join(classes[:10])
            raise ValueError(f"expected operating points of {known}, found {label[:40]!r}")
        if not isinstance(curve, dict) or set(curve) != {"recordings", "groups", *POINT}:
            raise ValueError(f"expected operating points of {label!r} with {', '.join(POINT)}")
        counts = curve["recordings"], curve["groups"]
        if not all(type(count) is int and 1 <= count <= MOST_RECORDINGS for count in counts):
            expected = f"counts of at least 1 for {label!r}, at most {MOST_RECORDINGS}"
            raise ValueError(f"expected {expected}, found {counts!r:.60}")
        lengths = {len(curve[name]) if isinstance(curve[name], list) else 0 for name in POINT}
        if len(lengths) != 1 or not 1 <= max(lengths) <= MOST_POINTS:
            raise ValueError(f"expected 1 to {MOST_POINTS} operating points of {label!r}")
        for name in POINT:
            top = 100 if name == "alarms" else 1
            if not all(type(x) in (int, float) and 0 <= x <= top for x in curve[name]):
                raise ValueError(f"expected {name} of {label!r} to be numbers from 0 to {top}")
        for name, step in (("threshold", -1), ("sensitivity", 1)):
            values = [step * x for x in curve[name]]
            if values != sorted(values):
                raise ValueError(f"expected {name} of {label!r} to be in order")


def threshold(operating: Mapping[str, Any], label: str, sensitivity: float) -> Point:
    """Return the highest threshold at which at least this share of a class was found.

    Raises
    ------
    ValueError
        The class has no curve, or the sensitivity is not above 0 and at most 1.

    References
    ----------
    `low`: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), of as many trials as there are
    groups with the class: recordings of one patient are alike, and say little more than one.
    """
    if label not in operating:
        known = ", ".join(operating) or "none: it was trained without"
        raise UsageError(
            f"sensitivity: expected a class that has thresholds ({known}), found {label!r}"
        )
    if not 0 < sensitivity <= 1:
        raise UsageError(f"sensitivity of {label!r}: expected above 0 to 1, found {sensitivity}")
    curve = operating[label]
    reached = curve["sensitivity"]
    # 0.95 is 19 of 20, whatever the last digit says.
    place = next((i for i, x in enumerate(reached) if x >= sensitivity - 1e-9), len(reached) - 1)
    low = lower_bound(reached[place], curve["groups"])
    values = {name: float(curve[name][place]) for name in POINT}
    return Point(label=label, low=low, **values)


def lower_bound(share: float, trials: int) -> float:
    """Return the lower end of Clopper and Pearson's 95 % interval; a part of a hit is none."""
    hits = math.floor(share * trials + 1e-9)
    if hits == 0:
        return 0.0
    ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    low, high = 0.0, hits / trials
    for _ in range(50):  # the chance of so many hits or more rises with each one's
        chance = (low + high) / 2
        odds = chance / (1 - chance)
        term = math.exp(ways + hits * math.log(chance) + (trials - hits) * math.log1p(-chance))
        tail, yes = term, hits
        # Each number of hits is less likely than the one before: the rest is soon nothing.
        while term > 1e-17 * tail and yes < trials:
            term *= odds * (trials - yes) / (yes + 1)
            tail, yes = tail + term, yes + 1
        low, high = (chance, high) if tail < DOUBT else (low, chance)
    return low


def points_table(
    operating: Mapping[str, Any], targets: Sequence[float] = TARGETS
) -> list[list[str]]:
    """Return what curves say at the targets, a header first."""
    header = ["class", "to be found", "threshold", "found (at least)", "others passed"]
    rows = []
    for label in operating:
        for target in targets:
            p = threshold(operating, label, target)
            rows.append(
                [
                    label,
                    f"{target:.0%}",
                    f"{p.threshold:.3g}",
                    f"{p.sensitivity:.0%} ({p.low:.0%})",
                    f"{p.specificity:.0%}",
                    f"{p.precision:.0%}",
                    f"{p.alarms:.1f}",
                ]
            )
    return [[*header, "alarms right", "alarms in 100"], *rows]
