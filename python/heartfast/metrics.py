"""How good predictions are, with intervals that respect groups.

Recordings of one patient are alike, so the 95 % intervals come from resampling whole groups
(percentile bootstrap). What is kept of each group is what a resample adds up: how often each
class was taken for which, the log losses and the Brier scores. Few of all possible confusions occur
in a group, so only those that do are kept: 100,000 groups or 1000 classes are no trouble. What
depends on ranks is computed from the recordings, sorted once (`heartfast.ranking`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.ranking import areas, rank_class

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from heartfast.ranking import Ranking

    Array = NDArray[np.float64]

RESAMPLES = 2000
BLOCK_CELLS = 400_000  # resamples times recordings at once
RANK_CELLS = 1_000_000_000  # resamples times recordings, classes and repeats: some ten seconds
FEWEST_RANKED = 100  # of the resamples, however many recordings there are
MANY_GROUPS = 10_000  # more are drawn one by one
FEW = 20  # fewer positives than this say little about a class
METRICS = ("logloss", "macro_f1", "balanced_accuracy", "accuracy", "macro_auc", "brier")
LOSSES = ("logloss", "brier")  # of which less is better
PER_CLASS = ("precision", "recall", "f1", "auc", "average_precision")


class Estimate(NamedTuple):
    """A figure and its 95 % interval; None where it is undefined (a class never seen)."""

    value: float | None
    low: float | None
    high: float | None


class GroupSums(NamedTuple):
    """What happened in each of G groups.

    `counts` (m,) say how often the class `actual` (m,) was taken for `predicted` (m,) in
    `group` (m,), for the combinations that occur, sorted by the classes; the mean over
    repeats is a fraction. `logloss` and `brier` (G,) are sums, `k` is the number of classes.
    `members` (n,) has each recording's group, `rankings` those of each class, by repeat and
    stratum.
    """

    group: NDArray[np.intp]
    actual: NDArray[np.intp]
    predicted: NDArray[np.intp]
    counts: Array
    logloss: Array
    brier: Array
    k: int
    members: NDArray[np.intp]
    rankings: list[list[Ranking]]

    @property
    def confusion(self) -> Array:
        """Counts of all groups, float64 (k, k), actual by predicted."""
        import numpy as np

        confusion = np.zeros((self.k, self.k))
        np.add.at(confusion, (self.actual, self.predicted), self.counts)
        return confusion


class Tally(NamedTuple):
    """What all figures follow from: counts (..., k) of each class, and sums (...).

    `hits` are the right predictions, `support` is actual, `predicted` is predicted; `auc` and
    `average_precision` (..., k) are done already.
    """

    hits: Array
    support: Array
    predicted: Array
    logloss: Array
    brier: Array
    auc: Array
    average_precision: Array


def log_losses(actual: NDArray[np.intp], probabilities: Array) -> Array:
    """Return -ln of the probability given to each actual class (n,), clipped at 1e-15."""
    import numpy as np

    given = np.take_along_axis(probabilities, actual[:, None], axis=1)[:, 0]
    return np.asarray(-np.log(np.clip(given, 1e-15, 1.0)))


def logloss(actual: NDArray[np.intp], probabilities: Array, weights: Array | None = None) -> float:
    """Mean log loss in nats, of recordings of these weights (n,) if there are any."""
    import numpy as np

    return float(np.average(log_losses(actual, probabilities), weights=weights))


def brier_scores(actual: NDArray[np.intp], probabilities: Array) -> Array:
    """Return the squared differences to 0 and 1, summed over the classes: (n,), from 0 to 2."""
    import numpy as np

    return np.asarray(((probabilities - np.eye(probabilities.shape[1])[actual]) ** 2).sum(axis=1))


def group_sums(
    actual: NDArray[np.intp],
    probabilities: Array,
    groups: ArrayLike,
    decided: NDArray[np.intp] | None = None,
    strata: NDArray[np.intp] | None = None,
) -> GroupSums:
    """Sum up predictions by group.

    Parameters
    ----------
    actual
        int (n,), the index of each recording's class.
    probabilities
        float (n, k), or (repeats, n, k), over which the sums are averaged; the predicted class
        is the most probable, the first among equals.
    groups
        (n,) labels of any kind.
    decided
        int (n,), the class that was decided for each, where that is not the most probable.
    strata
        (n,) of recordings whose scores can be compared, as those by one model can; what depends on
        ranks is then the mean over the strata. None compares all.
    """
    import numpy as np

    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    count, k = int(codes.max()) + 1, probabilities.shape[-1]
    repeats = probabilities.reshape(-1, len(actual), k)
    predicted = repeats.argmax(axis=2) if decided is None else decided[None]
    cells, times = np.unique((actual * k + predicted) * count + codes, return_counts=True)
    alike = [np.arange(len(actual))]
    if strata is not None:
        alike = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]

    def summed(score: Callable[[NDArray[np.intp], Array], Array]) -> Array:
        sums = [np.bincount(codes, score(actual, each), minlength=count) for each in repeats]
        return np.asarray(np.mean(sums, axis=0))

    return GroupSums(
        group=cells % count,
        actual=cells // count // k,
        predicted=cells // count % k,
        counts=times / len(repeats),
        logloss=summed(log_losses),
        brier=summed(brier_scores),
        k=k,
        members=codes,
        rankings=[
            [
                rank_class(actual == label, each[:, label], rows)
                for each in repeats
                for rows in alike
            ]
            for label in range(k)
        ],
    )


def tally(sums: GroupSums) -> Tally:
    """Add up the groups."""
    import numpy as np

    once = _summed(sums, np.ones((1, len(sums.logloss))), ranked=True)
    return Tally(*(values[0] for values in once))


def _resampled(sums: GroupSums, seed: int) -> Tally:
    """Add up as many groups as there are, drawn with replacement, `RESAMPLES` times.

    What depends on ranks takes longer; where it would take too long, later resamples have NaN.
    """
    import numpy as np

    groups = len(sums.logloss)
    rng = np.random.Generator(np.random.PCG64(seed))
    # BLAS adds up rows by fours; so the last digit does not depend on the block.
    rows = max(4, BLOCK_CELLS // len(sums.members) // 4 * 4)
    cells = len(sums.members) * sum(map(len, sums.rankings))
    ranked = max(FEWEST_RANKED, RANK_CELLS // cells)
    blocks = [
        _summed(sums, draw_groups(rng, groups, min(rows, RESAMPLES - start)), start < ranked)
        for start in range(0, RESAMPLES, rows)
    ]
    return Tally(*(np.concatenate(values) for values in zip(*blocks, strict=True)))


def _summed(sums: GroupSums, drawn: Array, ranked: bool) -> Tally:
    """Add up groups as often as each resample, (resamples, G), has them."""
    import numpy as np

    both = np.full((2, len(drawn), sums.k), np.nan)
    if ranked:
        times = drawn[:, sums.members]
        for label, rankings in enumerate(sums.rankings):
            both[:, :, label] = _mean_defined(np.array([areas(each, times) for each in rankings]))
    hits, support, predicted = _counts(sums, drawn)
    return Tally(hits, support, predicted, drawn @ sums.logloss, drawn @ sums.brier, *both)


def _counts(sums: GroupSums, drawn: Array) -> Array:
    """Count hits, actual and predicted by class, (3, resamples, k), of (resamples, G) groups."""
    import numpy as np

    # Groups of one confusion stand together, so that two steps do: by confusion, then by class.
    starts = np.flatnonzero(np.diff(sums.actual * sums.k + sums.predicted, prepend=-1))
    actual, predicted = sums.actual[starts], sums.predicted[starts]
    right = np.flatnonzero(actual == predicted)
    counts = np.empty((3, len(drawn), sums.k))
    for index, times in enumerate(drawn):
        confused = np.add.reduceat(times[sums.group] * sums.counts, starts)
        counts[0, index] = np.bincount(actual[right], confused[right], sums.k)
        counts[1, index] = np.bincount(actual, confused, sums.k)
        counts[2, index] = np.bincount(predicted, confused, sums.k)
    return counts


def draw_groups(rng: np.random.Generator, groups: int, resamples: int) -> Array:
    """How often each resample has each group, float64 (resamples, groups)."""
    import numpy as np

    if groups <= MANY_GROUPS:
        share = np.full(groups, 1 / groups)
        return rng.multinomial(groups, share, size=resamples).astype(np.float64)
    drawn = np.empty((resamples, groups))
    for row in drawn:  # the same distribution, several times faster for so many
        row[:] = np.bincount(rng.integers(groups, size=groups, dtype=np.uint32), minlength=groups)
    return drawn


def figures(counted: Tally) -> dict[str, Array]:
    """Return every metric of one tally or of many.

    As in scikit-learn, precision is 0 for a class that is there and never predicted. A class
    that is neither actual nor predicted has no precision and no F1, one that is not actual no
    recall (NaN); the macro averages leave them out.
    """
    import numpy as np

    hits, support, predicted, losses, brier, auc, average_precision = counted
    count = support.sum(axis=-1)

    def mean(values: Array) -> Array:
        return _mean_defined(np.moveaxis(values, -1, 0))

    recall = _ratio(hits, support, np.nan)
    f1 = _ratio(2 * hits, support + predicted, np.nan)
    return {
        "logloss": _ratio(losses, count, np.nan),
        "macro_f1": mean(f1),
        "balanced_accuracy": mean(recall),
        "accuracy": _ratio(hits.sum(axis=-1), count, np.nan),
        "macro_auc": mean(auc),
        "brier": _ratio(brier, count, np.nan),
        "precision": _ratio(hits, predicted, np.where(support > 0, 0.0, np.nan)),
        "recall": recall,
        "f1": f1,
        "auc": auc,
        "average_precision": average_precision,
    }


def _ratio(top: Array, bottom: Array, undefined: float | Array) -> Array:
    import numpy as np

    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), undefined)


def _mean_defined(values: Array) -> Array:
    """Mean over the first axis of what is not NaN."""
    import numpy as np

    return _ratio(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0), np.nan)


def resampled(sums: GroupSums, seed: int = 0) -> dict[str, Array]:
    """Return every metric of `RESAMPLES` resamples; the same ones for the same groups and seed."""
    return figures(_resampled(sums, seed))


def estimate(
    sums: GroupSums, *, seed: int = 0, spread: dict[str, Array] | None = None
) -> tuple[dict[str, Estimate], dict[str, list[Estimate]]]:
    """Return the overall metrics, and the per-class ones (a list over classes), with intervals.

    The interval is the 2.5th to 97.5th percentile over `RESAMPLES` resamples of the groups;
    the same seed gives the same interval. `spread` is what `resampled` gave, if it is there
    already. Where that is from 0 to 0 or from 1 to 1, resampling cannot say how far the truth
    may be: the open end is then the Clopper-Pearson bound for 0, or all, of n groups, n being the
    groups with a recording that counts (of the class for recall, F1 and what depends on ranks,
    predicted as it for precision where there are any, any at all for the overall figures; for the
    averages over classes the class with the fewest).
    """
    import numpy as np

    values = figures(tally(sums))
    spread = resampled(sums, seed) if spread is None else spread

    def groups_with(classes: NDArray[np.intp]) -> NDArray[np.intp]:
        pairs = np.unique(np.stack([classes, sums.group]), axis=1)
        return np.bincount(pairs[0], minlength=sums.k)

    with_class, predicted = groups_with(sums.actual), groups_with(sums.predicted)
    fewest = int(with_class[with_class > 0].min())
    trials: dict[str, Any] = {
        "macro_f1": fewest,
        "balanced_accuracy": fewest,
        "accuracy": len(sums.logloss),
        "macro_auc": fewest,
        "precision": np.where(predicted > 0, predicted, with_class),
        "recall": with_class,
        "f1": np.where(with_class > 0, with_class, predicted),
        "auc": with_class,
        "average_precision": with_class,
    }

    def one(value: float, draws: Array, n: int | None) -> Estimate:
        found = interval(value, draws)
        if n and value in (0, 1) and found.low == found.high == value:
            low, high = (0.0, 1 - 0.025 ** (1 / n)) if value == 0 else (0.025 ** (1 / n), 1.0)
            return Estimate(float(value), low, high)
        return found

    overall = {name: one(float(values[name]), spread[name], trials.get(name)) for name in METRICS}
    per_class = {
        name: [
            one(float(values[name][c]), spread[name][:, c], int(trials[name][c]))
            for c in range(sums.k)
        ]
        for name in PER_CLASS
    }
    return overall, per_class


def interval(value: float, draws: Array) -> Estimate:
    """A figure and the 2.5th to 97.5th percentile of its values in resamples, where defined.

    Of a difference, paired, `draws` are differences between the same resamples.
    """
    import numpy as np

    defined = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(defined):
        return Estimate(None, None, None)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def prior_baseline(actual: NDArray[np.intp], k: int) -> dict[str, float]:
    """Return the metrics of always predicting the class shares of these very recordings."""
    import numpy as np

    n = len(actual)
    shares = np.bincount(actual, minlength=k) / n
    sums = group_sums(actual, np.broadcast_to(shares, (n, k)), np.zeros(n))
    values = figures(tally(sums))
    return {name: float(values[name]) for name in METRICS}
