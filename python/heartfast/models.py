"""The models a bundle can hold, and how each predicts, with NumPy alone.

Fitting is in `heartfast.fitting`. What a saved model says is checked before it is believed, and
scoring needs neither scikit-learn nor LightGBM nor their thread pools. A row's probabilities
never depend on the rows beside it: sums are einsum's, not those of BLAS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.forests import BoostedModel, ForestModel
from heartfast.probabilities import log_probabilities, softmax
from heartfast.stored import (
    LARGEST,
    MAX_WIDTH,
    Stored,
    check_arrays,
    check_lengths,
    check_whole,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CLIP = 5.0  # standardised features beyond this are outliers, not evidence
CHUNK_CELLS = 4_000_000  # rows times vectors compared at once
MAX_PARTS = 20  # of a blend


class LinearModel:
    """Multinomial logistic regression on standardised features; zero `coef` is the prior.

    Parameters
    ----------
    mean, scale
        (n_features,), the standardisation.
    coef
        (k, n_features).
    intercept
        (k,).
    """

    kind = "linear"

    def __init__(self, mean: Array, scale: Array, coef: Array, intercept: Array) -> None:
        self.mean = mean
        self.scale = scale
        self.coef = coef
        self.intercept = intercept

    @property
    def shape(self) -> tuple[int, int]:
        """Number of classes and of features."""
        return self.coef.shape[0], self.coef.shape[1]

    def predict_proba(self, features: Array) -> Array:
        """Class probabilities, float64 (n, k), of features (n, n_features)."""
        import numpy as np

        scaled = standardise(features, self.mean, self.scale)
        return softmax(np.einsum("nf,kf->nk", scaled, self.coef) + self.intercept)

    def stored(self) -> Stored:
        """Return what a bundle keeps."""
        return Stored(self.kind, {name: getattr(self, name) for name in _LINEAR})

    @classmethod
    def restored(cls, stored: Stored) -> LinearModel:
        """Check and take what `stored` gave; `ValueError` says what is wrong with it."""
        model = cls(**check_arrays(stored, _LINEAR))
        k, width = model.shape
        lengths = (len(model.mean), len(model.scale), len(model.intercept))
        check_lengths(lengths == (width, width, k))
        _check_scale(model.scale)
        return model


_LINEAR = {"mean": 1, "scale": 1, "coef": 2, "intercept": 1}


class KernelModel:
    """Support vector machines with Gaussian kernels on standardised features.

    Scores are weighted sums of exp(-gamma |x - vector|^2); a multinomial logistic regression
    of the scores gives the probabilities.

    Parameters
    ----------
    columns, width
        (c,), the features that are used, of (1,) so many.
    mean, scale
        (c,), the standardisation.
    vectors
        (m, c), standardised.
    weights, offset
        (s, m) and (s,), of the s scores.
    gamma
        (1,), above 0.
    coef, intercept
        (k, s) and (k,), of the logistic regression.
    """

    kind = "svm"

    def __init__(
        self,
        columns: Array,
        width: Array,
        mean: Array,
        scale: Array,
        vectors: Array,
        weights: Array,
        offset: Array,
        gamma: Array,
        coef: Array,
        intercept: Array,
    ) -> None:
        self.columns = columns
        self.width = width
        self.mean = mean
        self.scale = scale
        self.vectors = vectors
        self.weights = weights
        self.offset = offset
        self.gamma = gamma
        self.coef = coef
        self.intercept = intercept

    @property
    def shape(self) -> tuple[int, int]:
        """Number of classes and of features."""
        return self.coef.shape[0], int(self.width[0])

    def scores(self, features: Array) -> Array:
        """Return the machines' scores, float64 (n, s), of features (n, n_features)."""
        import numpy as np

        columns = self.columns.astype(np.intp)
        rows = max(1, CHUNK_CELLS // max(1, *self.vectors.shape))
        lengths = np.einsum("mf,mf->m", self.vectors, self.vectors)
        found = [np.zeros((0, len(self.offset)))]
        for start in range(0, len(features), rows):
            part = features[start : start + rows][:, columns]
            scaled = standardise(part, self.mean, self.scale)
            near = np.einsum("nf,mf->nm", scaled, self.vectors)
            own = np.einsum("nf,nf->n", scaled, scaled)[:, None]
            kernel = np.exp(-self.gamma * np.maximum(own + lengths - 2 * near, 0))
            found.append(np.einsum("nm,sm->ns", kernel, self.weights) + self.offset)
        return np.concatenate(found)

    def predict_proba(self, features: Array) -> Array:
        """Class probabilities, float64 (n, k), of features (n, n_features)."""
        import numpy as np

        scores = self.scores(features)
        return softmax(np.einsum("ns,ks->nk", scores, self.coef) + self.intercept)

    def stored(self) -> Stored:
        """Return what a bundle keeps."""
        return Stored(self.kind, {name: getattr(self, name) for name in _KERNEL})

    @classmethod
    def restored(cls, stored: Stored) -> KernelModel:
        """Check and take what `stored` gave; `ValueError` says what is wrong with it."""
        import numpy as np

        model = cls(**check_arrays(stored, _KERNEL))
        used, scores, k = len(model.columns), len(model.offset), len(model.intercept)
        count = len(model.vectors)
        check_lengths(
            scores <= k  # a machine for each class
            and (len(model.mean), len(model.scale)) == (used, used)
            and (model.gamma.shape, model.width.shape) == ((1,), (1,))
            and model.vectors.shape == (count, used)
            and (model.weights.shape, model.coef.shape) == ((scores, count), (k, scores))
        )
        _check_scale(model.scale)
        check_whole("width", model.width, 1, MAX_WIDTH)
        check_whole("columns", model.columns, 0, int(model.width[0]) - 1)
        if not 0 < model.gamma[0] <= 1e6:
            raise ValueError(f"expected gamma above 0, at most 1e6, found {model.gamma[0]:g}")
        if not (np.abs(model.vectors) <= CLIP).all():
            raise ValueError(f"expected vectors to be within +-{CLIP:g}")
        return model


_KERNEL = {
    "columns": 1,
    "width": 1,
    "mean": 1,
    "scale": 1,
    "vectors": 2,
    "weights": 2,
    "offset": 1,
    "gamma": 1,
    "coef": 2,
    "intercept": 1,
}


class PooledModel:
    """A logarithmic opinion pool: probabilities proportional to the parts', to given powers.

    With one part it is that one calibrated by a temperature, which is 1 / weight.

    Parameters
    ----------
    parts
        Models of the same shape.
    weights
        (len(parts),), at least 0.

    References
    ----------
    C. Genest and J. V. Zidek, "Combining probability distributions", Statistical Science 1
    (1986).
    """

    kind = "pool"

    def __init__(self, parts: Sequence[Model], weights: Array) -> None:
        self.parts = tuple(parts)
        self.weights = weights

    @property
    def shape(self) -> tuple[int, int]:
        """Number of classes and of features."""
        return self.parts[0].shape

    def predict_proba(self, features: Array) -> Array:
        """Class probabilities, float64 (n, k), of features (n, n_features)."""
        return pooled([part.predict_proba(features) for part in self.parts], self.weights)

    def stored(self) -> Stored:
        """Return what a bundle keeps."""
        return Stored(
            self.kind, {"weights": self.weights}, parts=tuple(p.stored() for p in self.parts)
        )

    @classmethod
    def restored(cls, stored: Stored) -> PooledModel:
        """Check and take what `stored` gave; `ValueError` says what is wrong with it."""
        weights = check_arrays(stored, {"weights": 1})["weights"]
        if not 1 <= len(stored.parts) <= MAX_PARTS:
            raise ValueError(f"expected 1 to {MAX_PARTS} parts, found {len(stored.parts)}")
        check_lengths(len(weights) == len(stored.parts))
        if not ((weights >= 0) & (weights <= 1e6)).all():
            raise ValueError("expected weights to be from 0 to 1e6")
        parts = [restored(part) for part in stored.parts]
        if len({part.shape for part in parts}) != 1:
            raise ValueError("expected parts of the same classes and features")
        return cls(parts, weights)


Model = LinearModel | KernelModel | ForestModel | BoostedModel | PooledModel
KINDS: dict[str, type[Model]] = {
    kind.kind: kind for kind in (LinearModel, KernelModel, ForestModel, BoostedModel, PooledModel)
}


def restored(stored: Stored) -> Model:
    """Return the model that `stored()` described, checked.

    Raises
    ------
    ValueError
        Its kind is not known, or what it holds cannot be such a model.
    """
    if stored.kind not in KINDS:
        raise ValueError(f"expected a model of {', '.join(KINDS)}, found {stored.kind!r:.40}")
    if stored.parts and stored.kind != PooledModel.kind:
        raise ValueError(f"expected a {stored.kind} model without parts")
    return KINDS[stored.kind].restored(stored)


def pooled(probabilities: Sequence[Array], weights: Array) -> Array:
    """Probabilities (n, k) proportional to the given ones to the powers of `weights`."""
    import numpy as np

    logs = [weight * log_probabilities(p) for p, weight in zip(probabilities, weights, strict=True)]
    return softmax(np.sum(logs, axis=0))


def standardise(features: Array, mean: Array, scale: Array) -> Array:
    """Return (features - mean) / scale, clipped to +-`CLIP`."""
    import numpy as np

    return np.clip((features - mean) / scale, -CLIP, CLIP)


def _check_scale(scale: Array) -> None:
    if not (scale >= 1 / LARGEST).all():
        raise ValueError(f"expected scale to be at least {1 / LARGEST:g}")
