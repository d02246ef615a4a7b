"""How unlike the recordings of the training a new one is.

A model gives probabilities to whatever it is shown: speech, noise, a heart recorded by another
device. So a bundle keeps where the features of its training lie (their mean and covariance) and
how far out recordings of the training lie that were left out of that; a new recording is placed
among those.

The distance is Mahalanobis's, of standardised features, clipped so that one odd number does
not decide alone, their covariance shrunk towards a sphere. docs/operating-points.md has what
spoke for it, beside nearest neighbours and others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heartfast.stored import LARGEST, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

METHOD = "mahalanobis"
CLIP = 10.0  # standard deviations: farther is far
SHRINK = 0.1  # of the covariance, towards a sphere: features outnumber recordings in places
FOLDS = 10  # fewer would make those left out seem farther than new ones are
LEAST_GROUPS = 2
STEPS = 1000  # of the kept quantiles
DIGITS = 4  # of a reported quantile: the order of a sum shows in none of them
MOST_DIRECTIONS = 512  # as many as there are features, or the widest


def fit(features: Array, groups: NDArray[np.intp], seed: int = 0) -> dict[str, object] | None:
    """Learn what recordings are like, for a bundle.

    Parameters
    ----------
    features
        float64 (n, f).
    groups
        int (n,); groups are left out whole, since a patient's recordings are alike.
    seed
        Of the folds.

    Returns
    -------
    dict or None
        `method`, `recordings` (n), and float64 arrays: `mean`, `scale` and `centre` (f,),
        `directions` (f, r) in which features vary the most, `variances` (r,) along these and
        `rest` (1,) across them, `quantiles` (STEPS + 1,) of the distances of recordings whose
        group was left out. None for fewer than `LEAST_GROUPS` groups.

    References
    ----------
    P. C. Mahalanobis, Proc. Natl. Inst. Sci. India 2 (1936). Shrinking: O. Ledoit and M. Wolf,
    J. Multivariate Analysis 88 (2004), whose estimate of the amount changes little here.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    numbers = np.unique(groups, return_inverse=True)[1]
    count = int(numbers.max()) + 1
    if count < LEAST_GROUPS:
        return None
    rng = np.random.Generator(np.random.PCG64(seed))
    fold = (rng.permutation(count) % FOLDS)[numbers]
    left_out = np.empty(len(features))
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        for number in np.unique(fold):
            out = fold == number
            left_out[out] = distances(_shape(features[~out]), features[out])
        shape = _shape(features)
    quantiles = np.quantile(left_out, np.linspace(0, 1, STEPS + 1))
    return {"method": METHOD, "recordings": len(features), **shape, "quantiles": quantiles}


def _shape(features: Array) -> dict[str, Array]:
    """Mean, scale and the main directions of features, all of them where they are few."""
    import numpy as np

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    scaled = np.clip((features - mean) / scale, -CLIP, CLIP)
    centre = scaled.mean(axis=0)
    covariance = (scaled - centre).T @ (scaled - centre) / len(features)
    width = len(covariance)
    sphere = max(np.trace(covariance) / width, 1e-6)  # all alike: any other is far, not infinitely
    covariance = (1 - SHRINK) * covariance + SHRINK * sphere * np.eye(width)
    variances, directions = np.linalg.eigh(covariance)  # the least first
    left = max(0, width - MOST_DIRECTIONS)
    return {
        "mean": mean,
        "scale": scale,
        "centre": centre,
        "directions": directions[:, left:],
        "variances": variances[left:],
        "rest": np.array([variances[:left].mean() if left else sphere]),
    }


def distances(fitted: Mapping[str, Any], features: Array) -> Array:
    """Return Mahalanobis distances, float64 (n,), of features (n, f)."""
    import numpy as np

    scaled = np.clip((features - fitted["mean"]) / fitted["scale"], -CLIP, CLIP)
    scaled -= fitted["centre"]
    with np.errstate(over="ignore"):  # a forged bundle's numbers may be any
        along = scaled @ fitted["directions"]
        across = np.maximum((scaled**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        squares = (along**2 / fitted["variances"]).sum(axis=1) + across / fitted["rest"]
    return np.asarray(np.sqrt(squares))


def novelty(fitted: Mapping[str, Any], features: Array) -> Array:
    """Return, for features (n, f), the share of training-like recordings that are less unlike.

    float64 (n,) from 0 to 1, of `DIGITS` digits. Of recordings like those of the training, one in
    a hundred is above 0.99; 1 is farther out than any of them.
    """
    import numpy as np

    quantiles = fitted["quantiles"]
    found = distances(fitted, features)
    placed = np.interp(found, quantiles, np.linspace(0, 1, len(quantiles)))
    # What is farther out than nearly all must not be rounded to what is farther than all.
    placed = np.where(found > quantiles[-1], 1.0, np.minimum(placed, 1 - 10.0**-DIGITS))
    return np.round(placed, DIGITS)


def check(fitted: Mapping[str, object] | None, width: int) -> None:
    """Raise `ValueError` unless a bundle's `novelty` is None or what `fit` gives."""
    import numpy as np

    if fitted is None:
        return
    directions = fitted.get("directions")
    rank = directions.shape[-1] if isinstance(directions, np.ndarray) and directions.ndim else 0
    shapes = {"mean": (width,), "scale": (width,), "centre": (width,), "directions": (width, rank)}
    if rank > MOST_DIRECTIONS:
        raise ValueError(f"expected novelty of at most {MOST_DIRECTIONS} directions, found {rank}")
    shapes |= {"variances": (rank,), "rest": (1,), "quantiles": (STEPS + 1,)}
    if set(fitted) != {"method", "recordings", *shapes} or fitted["method"] != METHOD:
        raise ValueError(f"expected novelty with method {METHOD!r} and {', '.join(shapes)}")
    if type(fitted["recordings"]) is not int or not 1 <= fitted["recordings"] <= 1 << 40:
        raise ValueError(f"expected novelty of 1 recording or more, found {fitted['recordings']!r}")
    for name, shape in shapes.items():
        values = fitted[name]
        if not isinstance(values, np.ndarray) or values.shape != shape:
            found = values.shape if isinstance(values, np.ndarray) else type(values).__name__
            raise ValueError(f"expected novelty's {name} to be of shape {shape}, found {found}")
        check_size(name, values)
    for name in ("scale", "variances", "rest"):
        if not (np.asarray(fitted[name]) >= 1 / LARGEST).all():
            raise ValueError(f"expected novelty's {name} to be at least {1 / LARGEST:g}")
    if not (np.diff(np.asarray(fitted["quantiles"])) >= 0).all():
        raise ValueError("expected novelty's quantiles in rising order")
