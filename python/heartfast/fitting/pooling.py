"""Calibration by temperature, and blends, both on predictions of inner folds only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.fitting.data import Fitted, sample_weights
from heartfast.models import PooledModel, pooled
from heartfast.probabilities import log_probabilities, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting.data import Data, Settings

    Array = NDArray[np.float64]

SHRINK = 1.0  # nats for each squared difference of weights: few recordings cannot tell them apart
MOST_WEIGHT = 20.0  # of one part: a temperature of 1/20


def calibrate(fitted: Fitted, data: Data, settings: Settings) -> Fitted:
    """Give a model the temperature at which its inner predictions have the least log loss."""
    if fitted.inner is None:
        return fitted
    weights = pool_weights([fitted.inner], data, settings)
    return Fitted(PooledModel([fitted.model], weights), pooled([fitted.inner], weights))


def blend_weights(inner: Sequence[Array | None], data: Data, settings: Settings) -> Array:
    """Return the weights (m,) of a blend; where a member has no inner predictions, equal ones."""
    import numpy as np

    known = [each for each in inner if each is not None]
    if len(known) < len(inner):
        return np.full(len(inner), 1 / len(inner))
    return pool_weights(known, data, settings)


def pool_weights(inner: Sequence[Array], data: Data, settings: Settings) -> Array:
    """Return the powers (m,) at which m predictions (n, k) have the least log loss, multiplied.

    They are at least 0. Their sum is a matter of the temperature; differences between them cost
    `SHRINK` times their variance. The problem is convex: it is a conditional logit.

    References
    ----------
    Linear and logarithmic pools, and their weights: T. Heskes, "Selecting weighting factors in
    logarithmic opinion pools", NIPS 10 (1997). Temperature: C. Guo et al., "On calibration of
    modern neural networks", ICML 2017.
    """
    import numpy as np
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    known = np.flatnonzero(~np.isnan(np.sum(inner, axis=0)[:, 0]))
    logs = np.stack([log_probabilities(each[known]) for each in inner])
    actual = data.actual[known]
    counts = sample_weights(data, settings)[known]
    counts = counts / counts.sum()
    onehot = np.eye(data.k)[actual]

    def loss(weights: Array) -> tuple[float, Array]:
        probabilities = softmax(np.tensordot(weights, logs, 1))
        given = np.maximum(probabilities[np.arange(len(actual)), actual], 1e-300)
        apart = weights - weights.mean()
        slope = np.einsum("n,nk,mnk->m", counts, probabilities - onehot, logs)
        return (
            float(-counts @ np.log(given) + SHRINK * np.mean(apart**2)),
            slope + 2 * SHRINK * apart / len(weights),
        )

    found = minimize(
        loss,
        np.full(len(inner), 1 / len(inner)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, MOST_WEIGHT)] * len(inner),
        # The slope alone says that it is there: with temperatures of 1/17 the loss is flat before.
        options={"ftol": 0.0, "gtol": 1e-8},
    )
    return np.asarray(found.x)
