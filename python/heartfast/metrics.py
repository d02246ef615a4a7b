"""How good predictions are, with intervals that respect groups.

Recordings of one patient are alike, so the 95 % intervals come from resampling whole groups
(percentile bootstrap). Everything is a function of per-group sums: confusion counts and log
losses, so that 2000 resamples are one matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

RESAMPLES = 2000
FEW = 20  # fewer positives than this say little about a class
METRICS = ("logloss", "macro_f1", "balanced_accuracy", "accuracy")
PER_CLASS = ("precision", "recall", "f1")


class Estimate(NamedTuple):
    """A figure and its 95 % interval; None where it is undefined (a class never seen)."""

    value: float | None
    low: float | None
    high: float | None


class GroupSums(NamedTuple):
    """Per group, (G, k, k) actual by predicted counts and (G,) summed log losses.

    Sums of several repeats may be averaged, so counts are floats.
    """

    confusion: Array
    logloss: Array


def log_losses(actual: NDArray[np.intp], probabilities: Array) -> Array:
    """Return -ln of the probability given to each actual class (n,), clipped at 1e-15."""
    import numpy as np

    given = np.take_along_axis(probabilities, actual[:, None], axis=1)[:, 0]
    return np.asarray(-np.log(np.clip(given, 1e-15, 1.0)))


def logloss(actual: NDArray[np.intp], probabilities: Array) -> float:
    """Mean log loss in nats."""
    return float(log_losses(actual, probabilities).mean())


def group_sums(actual: NDArray[np.intp], probabilities: Array, groups: ArrayLike) -> GroupSums:
    """Sum up predictions by group.

    Parameters
    ----------
    actual
        int (n,), the index of each recording's class.
    probabilities
        float (n, k); the predicted class is the most probable, the first among equals.
    groups
        (n,) labels of any kind.
    """
    import numpy as np

    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    count, k = int(codes.max()) + 1, probabilities.shape[1]
    confusion = np.zeros((count, k, k))
    np.add.at(confusion, (codes, actual, probabilities.argmax(axis=1)), 1)
    losses = np.bincount(codes, log_losses(actual, probabilities), minlength=count)
    return GroupSums(confusion, losses.astype(np.float64))


def figures(sums: GroupSums) -> dict[str, Array]:
    """Return every metric from (..., k, k) confusions and (...,) summed log losses.

    As in scikit-learn, precision is 0 for a class that is there and never predicted. A class
    that is neither actual nor predicted has no precision and no F1, one that is not actual no
    recall (NaN); the macro averages leave them out.
    """
    import numpy as np

    confusion, losses = sums
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    count = support.sum(axis=-1)

    def ratio(top: Array, bottom: Array, undefined: float | Array) -> Array:
        return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), undefined)

    def mean_defined(values: Array) -> Array:
        return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1), np.nan)

    recall = ratio(hits, support, np.nan)
    f1 = ratio(2 * hits, support + predicted, np.nan)
    return {
        "logloss": ratio(losses, count, np.nan),
        "macro_f1": mean_defined(f1),
        "balanced_accuracy": mean_defined(recall),
        "accuracy": ratio(hits.sum(axis=-1), count, np.nan),
        "precision": ratio(hits, predicted, np.where(support > 0, 0.0, np.nan)),
        "recall": recall,
        "f1": f1,
    }


def estimate(
    sums: GroupSums, *, seed: int = 0
) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """Return the overall metrics, and the per-class ones (a list over classes), with intervals.

    The interval is the 2.5th to 97.5th percentile over `RESAMPLES` resamples of the groups;
    the same seed gives the same interval. Where that is from 0 to 0 or
    from 1 to 1, resampling cannot say how far the truth may be: the open end is then the
    Clopper-Pearson bound for 0, or all, of n groups, n being the groups with a recording
    that counts (of the class for recall and F1, predicted as it for precision where there
    are any, any at all for the overall figures; for the two averages over classes the class
    with the fewest).
    """
    import numpy as np

    confusion, losses = sums
    count, k = confusion.shape[:2]
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    resampled = GroupSums(
        (drawn @ confusion.reshape(count, k * k)).reshape(-1, k, k), drawn @ losses
    )
    values = figures(GroupSums(confusion.sum(axis=0), losses.sum()))
    spread = figures(resampled)

    with_class = (confusion.sum(axis=2) > 0).sum(axis=0)
    predicted = (confusion.sum(axis=1) > 0).sum(axis=0)
    fewest = int(with_class[with_class > 0].min())
    trials: dict[str, Any] = {
        "macro_f1": fewest,
        "balanced_accuracy": fewest,
        "accuracy": count,
        "precision": np.where(predicted > 0, predicted, with_class),
        "recall": with_class,
        "f1": np.where(with_class > 0, with_class, predicted),
    }

    def one(value: float, draws: Array, n: int | None) -> Estimate:
        defined = draws[~np.isnan(draws)]
        if np.isnan(value) or not len(defined):
            return Estimate(None, None, None)
        low, high = np.percentile(defined, [2.5, 97.5])
        if n and value in (0, 1) and low == high == value:
            low, high = (0.0, 1 - 0.025 ** (1 / n)) if value == 0 else (0.025 ** (1 / n), 1.0)
        return Estimate(float(value), float(low), float(high))

    overall = {name: one(float(values[name]), spread[name], trials.get(name)) for name in METRICS}
    per_class = {
        name: [
            one(float(values[name][c]), spread[name][:, c], int(trials[name][c])) for c in range(k)
        ]
        for name in PER_CLASS
    }
    return overall, per_class


def prior_baseline(actual: NDArray[np.intp], k: int) -> dict[str, float]:
    """Return the metrics of always predicting the class shares of these very recordings."""
    import numpy as np

    shares = np.bincount(actual, minlength=k) / len(actual)
    sums = group_sums(actual, np.tile(shares, (len(actual), 1)), np.zeros(len(actual)))
    values = figures(GroupSums(sums.confusion[0], sums.logloss[0]))
    return {name: float(values[name]) for name in METRICS}
