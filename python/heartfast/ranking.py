"""How well scores rank a class's recordings above the others, for many resamples at once.

The area under the ROC curve and the average precision depend on a resample through how often it
has each recording, so the recordings are sorted once, and a resample is two running sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Ranking(NamedTuple):
    """Some or all recordings, from the highest score of a class to the lowest.

    `order` (m,) are their indices; of each that is of the class, `place` (p,) is where it is in
    that order, and `before` and `end` (p,) are where those of the same score begin and end.
    """

    order: NDArray[np.intp]
    place: NDArray[np.intp]
    before: NDArray[np.intp]
    end: NDArray[np.intp]


def rank_class(
    positive: NDArray[np.bool_], scores: Array, rows: NDArray[np.intp] | None = None
) -> Ranking:
    """Sort recordings by their scores (n,) for a class that the `positive` (n,) ones are of.

    With `rows` only these are compared.
    """
    import numpy as np

    order = np.argsort(-scores if rows is None else -scores[rows], kind="stable")
    order = order if rows is None else rows[order]
    place = np.flatnonzero(positive[order])
    falling = -scores[order]
    before = np.searchsorted(falling, falling[place], side="left")
    end = np.searchsorted(falling, falling[place], side="right")
    return Ranking(order, place, before, end)


def areas(ranking: Ranking, times: Array) -> tuple[Array, Array]:
    """Areas under the ROC curve, and average precisions.

    Parameters
    ----------
    ranking
        Of n recordings.
    times
        How often each resample has each recording, (resamples, n).

    Returns
    -------
    auc, average_precision
        float64 (resamples,); NaN where a resample has none of the class, the former also where
        it has nothing else. Equal scores count one half in the former, and as one threshold in
        the latter, as in `sklearn.metrics`.
    """
    import numpy as np

    order, place, before, end = ranking
    sorted_times = times[:, order]
    of_class = sorted_times[:, place]
    zero = np.zeros((len(times), 1))
    total = np.hstack([zero, np.cumsum(sorted_times, axis=1)])
    # How many of the class are among the first i, by way of how many places it has there.
    found = np.hstack([zero, np.cumsum(of_class, axis=1)])
    hits_before = found[:, np.searchsorted(place, before)]
    hits = found[:, np.searchsorted(place, end)]
    total_end = total[:, end]
    others = total[:, -1] - found[:, -1]
    above = (total[:, before] - hits_before + total_end - hits) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (of_class * (others[:, None] - above)).sum(axis=1) / (found[:, -1] * others)
        precision = np.where(total_end > 0, hits / total_end, 0.0)
        average_precision = (of_class * precision).sum(axis=1) / found[:, -1]
    return auc, average_precision


def macro_auc(actual: NDArray[np.intp], probabilities: Array) -> float:
    """Area under the ROC curve, one class against the rest, averaged over those that have both.

    NaN where none has. `actual` is int (n,), `probabilities` float (n, k).
    """
    import numpy as np

    once = np.ones((1, len(actual)))
    found = [
        areas(rank_class(actual == label, probabilities[:, label]), once)[0][0]
        for label in range(probabilities.shape[1])
    ]
    defined = [value for value in found if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
