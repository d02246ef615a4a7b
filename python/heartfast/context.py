"""A recording in the company of its group: its features, and behind them the group's mean.

Of a patient with several recordings, one may be too noisy to tell what the others do. With
context, a model sees beside each recording's own features the mean of those of all recordings of
its group, itself included; so a group of one has its own features twice. No label of any recording
is looked at. It asks that groups are known wherever the model is used, so it is never the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

CAUTION = (
    "Context: beside its own features, each recording has the mean of those of its group (patient) "
    "that are at hand. Without groups, or with fewer recordings of each, expect worse."
)
ALONE = "no groups are known for the model's context: each recording counts as its own group"


def with_context(features: Array, groups: ArrayLike) -> Array:
    """Put the mean of each recording's group behind its own features.

    Parameters
    ----------
    features
        float64 (n, f).
    groups
        (n,) labels of any kind.

    Returns
    -------
    float64 (n, 2 f)
    """
    import numpy as np

    _, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    sums = np.add.reduceat(features[np.argsort(codes, kind="stable")], starts)
    return np.hstack([features, (sums / sizes[:, None])[codes]])


def in_company(features: Array, others: Array) -> Array:
    """Put the same behind features (m, f) of which each is one more beside these others (o, f)."""
    import numpy as np

    return np.hstack([features, (features + others.sum(axis=0)) / (1 + len(others))])


def context_names(names: Sequence[str]) -> list[str]:
    """Name the features of a model with context, whose own have these names."""
    return [*names, *(f"group mean of {name}" for name in names)]


def in_both(columns: ArrayLike, width: int) -> NDArray[np.intp]:
    """Return columns of `width` own features, and behind them the same ones of the mean."""
    import numpy as np

    own = np.asarray(columns, dtype=np.intp)
    return np.concatenate([own, own + width])
