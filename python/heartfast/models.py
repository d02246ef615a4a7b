"""The models a bundle can hold, and how each predicts, with NumPy alone.

Fitting is in `heartfast.fitting`. A LightGBM model is kept as LightGBM's own text and its
trees are walked here: what a saved model says is checked before it is believed, and scoring
needs neither LightGBM nor its thread pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.trees import LARGEST, check_size, read_trees

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CLIP = 5.0  # standardised features beyond this are outliers, not evidence
CHUNK_CELLS = 4_000_000  # rows times trees walked at once


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

        # einsum, not BLAS: a row's result must not depend on the rows beside it.
        scaled = standardise(features, self.mean, self.scale)
        return softmax(np.einsum("nf,kf->nk", scaled, self.coef) + self.intercept)

    def to_json(self) -> dict[str, object]:
        """Return the arrays as lists of floats, which Python writes so that they read back."""
        return {name: getattr(self, name).tolist() for name in _LINEAR_ARRAYS}

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> LinearModel:
        """Check and take what `to_json` gave; `ValueError` says what is wrong with it."""
        import numpy as np

        if set(fields) != set(_LINEAR_ARRAYS):
            raise ValueError(f"expected the arrays {', '.join(_LINEAR_ARRAYS)}")
        arrays = {}
        for name in _LINEAR_ARRAYS:
            try:
                arrays[name] = np.array(fields[name], dtype=np.float64)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"expected {name} to be an array of numbers") from None
            if arrays[name].ndim != (axes := 2 if name == "coef" else 1):
                raise ValueError(f"expected {name} with axes: {axes}, found {arrays[name].ndim}")
            check_size(name, arrays[name])
        model = cls(**arrays)
        k, width = model.shape
        if (len(model.mean), len(model.scale), len(model.intercept)) != (width, width, k):
            raise ValueError("expected arrays whose lengths agree")
        if not (model.scale >= 1 / LARGEST).all():
            raise ValueError(f"expected scale to be at least {1 / LARGEST:g}")
        return model


_LINEAR_ARRAYS = ("mean", "scale", "coef", "intercept")


class BoostedModel:
    """A LightGBM multiclass model, from the text that LightGBM saves.

    Parameters
    ----------
    text
        What `Booster.model_to_string` gave; kept as it is.

    Raises
    ------
    ValueError
        It is not such a text, has categories, missing-value splits or linear leaves, or more
        trees, leaves or larger numbers than any sensible model.
    """

    kind = "lightgbm"

    def __init__(self, text: str) -> None:
        import numpy as np

        self.text = text
        self.shape, leaves, table = read_trees(text)

        # One list of nodes for all trees: inner ones, then leaves.
        splits = leaves - 1
        inner = int(splits.sum())
        first_split, first_leaf = np.cumsum(splits) - splits, inner + np.cumsum(leaves) - leaves

        def numbered(child: Array) -> NDArray[np.intp]:
            split, leaf = np.repeat(first_split, splits), np.repeat(first_leaf, splits)
            number = child.astype(np.intp)
            return np.where(number < 0, leaf + ~number, split + number)

        self._feature = table["split_feature"].astype(np.intp)
        self._threshold = table["threshold"]
        self._left, self._right = numbered(table["left_child"]), numbered(table["right_child"])
        self._value = table["leaf_value"]
        self._root = np.where(splits > 0, first_split, first_leaf)

    def predict_proba(self, features: Array) -> Array:
        """Class probabilities, float64 (n, k), of features (n, n_features)."""
        import numpy as np

        k, trees = self.shape[0], len(self._root)
        rows = max(1, CHUNK_CELLS // trees)
        scores = [
            self._leaf_values(features[start : start + rows]).reshape(-1, trees // k, k).sum(axis=1)
            for start in range(0, len(features), rows)
        ]
        return softmax(np.concatenate(scores) if scores else np.zeros((0, k)))

    def _leaf_values(self, features: Array) -> Array:
        import numpy as np

        trees, inner = len(self._root), len(self._feature)
        node = np.tile(self._root, len(features))
        under_way = np.flatnonzero(node < inner)
        while len(under_way):  # ends: a child's number is above its parent's
            at = node[under_way]
            left = features[under_way // trees, self._feature[at]] <= self._threshold[at]
            node[under_way] = at = np.where(left, self._left[at], self._right[at])
            under_way = under_way[at < inner]
        return np.asarray(self._value[node - inner]).reshape(-1, trees)


Model = LinearModel | BoostedModel


def standardise(features: Array, mean: Array, scale: Array) -> Array:
    """Return (features - mean) / scale, clipped to +-`CLIP`."""
    import numpy as np

    return np.clip((features - mean) / scale, -CLIP, CLIP)


def softmax(scores: Array) -> Array:
    """Probabilities (n, k) that are proportional to exp(scores) and sum to 1."""
    import numpy as np

    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
