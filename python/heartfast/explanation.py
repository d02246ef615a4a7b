"""What a model goes by: for recordings together, and where to look among them.

What it looks at in one picture is in `heartfast.occlusion`; what all of this looks like, in
`heartfast.drawings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import UsageError
from heartfast.metrics import RESAMPLES, log_losses
from heartfast.models import standardise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting import Data
    from heartfast.models import Model
    from heartfast.stages.train import TrainResult

    Array = NDArray[np.float64]
    Rows = NDArray[np.intp]

PERMUTATIONS = 5  # of each family in each held-out part


class Importance(NamedTuple):
    """How much worse predictions become without a family of features.

    `increase` is in nats of logloss; `low` and `high` are its 95 % interval from resampling whole
    groups.
    """

    family: str
    increase: float
    low: float
    high: float


class Loss(NamedTuple):
    """A recording, its class, the class that models took it for, and how sure they were.

    `own` is the probability of its own class, `sure` that of the class that was said, `loss` the
    logloss in nats; all are means over repeats, of models that had not seen the recording.
    """

    name: str
    label: str
    said: str
    own: float
    sure: float
    loss: float


def family_importance(
    fit: Callable[[Data], Model],
    data: Data,
    splits: Sequence[tuple[int, tuple[Rows, Rows]]],
    families: Mapping[str, Sequence[int]],
    seed: int,
) -> list[Importance]:
    """Measure what each family of features adds, by giving it from other recordings.

    A model is fitted anew on each training part. In the held-out part the columns of a family are
    then taken, together, from recordings of other groups, and all other columns are left. What a
    family adds beyond the others is seen, not what it could do alone: two that say the same may
    both be found to add little.

    Parameters
    ----------
    fit
        What fits a model on the training part of `data`; it is called once a split.
    splits
        Each repeat's number, and rows to fit on and rows held out.
    families
        Columns of the features by the family's name.
    seed
        Of the permutations and the resampling: the same gives the same rows.

    Returns
    -------
    list of Importance
        The most important first.

    Raises
    ------
    ValueError
        A held-out part is of one group only, so that there is no other to take features from.

    References
    ----------
    L. Breiman, "Random forests", Machine Learning 45 (2001); of columns in groups: B. Gregorutti,
    B. Michel and P. Saint-Pierre, "Grouped variable importance with random forests", Computational
    Statistics and Data Analysis 90 (2015).
    """
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    n = len(data.actual)
    increases, times = np.zeros((len(families), n)), np.zeros(n)
    for _, (rows, held_out) in splits:
        model, part = fit(data.part(rows)), data.part(held_out)
        before = log_losses(part.actual, model.predict_proba(part.features))
        times[held_out] += PERMUTATIONS
        for _ in range(PERMUTATIONS):
            donors = part.features[_others(part.groups, rng)]
            for increase, columns in zip(increases, families.values(), strict=True):
                mixed = part.features.copy()
                mixed[:, columns] = donors[:, columns]
                increase[held_out] += log_losses(part.actual, model.predict_proba(mixed)) - before
    tested = times > 0
    means = increases[:, tested] / times[tested]
    draws = _resampled(means, data.groups[tested], rng)
    low, high = np.percentile(draws, [2.5, 97.5], axis=1)
    found = [
        Importance(*row)
        for row in zip(
            families, means.mean(axis=1).tolist(), low.tolist(), high.tolist(), strict=True
        )
    ]
    return sorted(found, key=lambda row: (-row.increase, row.family))


def _others(groups: Rows, rng: np.random.Generator) -> Rows:
    """For each row a row of another group: each group has one other's, the next in random order."""
    import numpy as np

    codes = np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    if len(members) < 2:
        raise UsageError("splits: expected held-out parts of 2 groups or more, found one of 1")
    order = rng.permutation(len(members))
    donors = np.empty_like(groups)
    for own, other in zip(order, np.roll(order, 1), strict=True):
        # np.resize repeats the rows of a smaller group.
        donors[members[own]] = np.resize(rng.permutation(members[other]), len(members[own]))
    return donors


def _resampled(values: Array, groups: Rows, rng: np.random.Generator) -> Array:
    """Means (rows, RESAMPLES) of values (rows, n), of as many groups drawn with replacement."""
    import numpy as np

    codes = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(codes)
    sums = np.array([np.bincount(codes, row) for row in values])
    draws = np.empty((len(values), RESAMPLES))
    for index in range(RESAMPLES):
        drawn = np.bincount(rng.integers(len(sizes), size=len(sizes)), minlength=len(sizes))
        draws[:, index] = (sums * drawn).sum(axis=1) / (sizes * drawn).sum()
    return draws


def top_losses(result: TrainResult, n: int = 10) -> list[Loss]:
    """Return the n recordings that cross-validation got most wrong, the worst first.

    Among them are the hardest ones, those that sound like another class, and those that may be
    labelled wrongly: they are worth hearing.
    """
    import numpy as np

    losses = np.mean([log_losses(result.actual, oof) for oof in result.oof], axis=0)
    mean = result.oof.mean(axis=0)
    worst = sorted(range(len(losses)), key=lambda row: (-losses[row], result.names[row]))[:n]

    said = mean.argmax(axis=1)
    return [
        Loss(
            name=result.names[row],
            label=result.classes[result.actual[row]],
            said=result.classes[said[row]],
            own=float(mean[row, result.actual[row]]),
            sure=float(mean[row, said[row]]),
            loss=float(losses[row]),
        )
        for row in worst
    ]


def recording_map(matrix: Array) -> tuple[Array, tuple[float, float]]:
    """Place recordings on a plane, so that those with similar features are near each other.

    The first two principal components of standardised features, clipped as the models clip them, so
    that a single odd recording does not push all others into a corner.

    Parameters
    ----------
    matrix
        Features (n, f), finite.

    Returns
    -------
    points, shares
        float64 (n, 2), and the share of all variance that each axis shows. Of the two directions of
        an axis, that is taken in which its largest weight is positive.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    scale = matrix.std(axis=0)
    scaled = standardise(matrix, matrix.mean(axis=0), np.where(scale > 1e-9, scale, 1.0))
    centred = scaled - scaled.mean(axis=0)
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    rank = min(2, len(sizes))
    largest = np.abs(right[:rank]).argmax(axis=1)
    signs = np.sign(right[np.arange(rank), largest])
    points, shares = np.zeros((len(matrix), 2)), np.zeros(2)
    points[:, :rank] = left[:, :rank] * sizes[:rank] * signs
    total = (sizes**2).sum()
    shares[:rank] = sizes[:rank] ** 2 / (total if total > 0 else 1.0)
    return points, (float(shares[0]), float(shares[1]))
