"""The models a bundle can hold, and how each predicts, with NumPy alone.

Fitting is in `heartfast.fitting`. A LightGBM model is kept as LightGBM's own text and its
trees are walked here: what a saved model says is checked before it is believed, and scoring
needs neither LightGBM nor its thread pool.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"expected {name} to be finite")
        model = cls(**arrays)
        k, width = model.shape
        if (len(model.mean), len(model.scale), len(model.intercept)) != (width, width, k):
            raise ValueError("expected arrays whose lengths agree")
        if not (model.scale > 0).all():
            raise ValueError("expected scale to be above 0")
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
        It is not such a text, or has categories, missing-value splits or linear leaves.
    """

    kind = "lightgbm"

    def __init__(self, text: str) -> None:
        import numpy as np

        header, *sections = re.split(r"^Tree=", text, flags=re.MULTILINE)
        fields = _fields(header)
        if not header.startswith("tree\n") or fields.get("version") != "v4":
            raise ValueError("expected the text of a LightGBM model, version v4")
        k, width = _count(fields, "num_class"), _count(fields, "max_feature_idx") + 1
        objective = fields.get("objective", "")
        if objective.split(" ")[0] != "multiclass" or fields.get("num_tree_per_iteration") != str(
            k
        ):
            raise ValueError(f"expected a multiclass model, found {objective!r}")
        if not sections or len(sections) % k:
            raise ValueError(f"expected trees in multiples of {k}, found {len(sections)}")
        trees = [_tree(section.partition("\n\n")[0], width) for section in sections]

        # One table of nodes for all trees: inner ones, then leaves that lead to themselves.
        inner = max(len(tree["threshold"]) for tree in trees)
        size = inner + max(len(tree["leaf_value"]) for tree in trees)
        shape = (len(trees), size)
        self._feature = np.zeros(shape, dtype=np.int64)
        self._threshold = np.zeros(shape)
        self._value = np.zeros(shape)
        self._left, self._right = (np.tile(np.arange(size), (len(trees), 1)) for _ in range(2))
        for index, tree in enumerate(trees):
            splits, leaves = len(tree["threshold"]), len(tree["leaf_value"])
            self._value[index, inner : inner + leaves] = tree["leaf_value"]
            self._feature[index, :splits] = tree["split_feature"]
            self._threshold[index, :splits] = tree["threshold"]
            for table, side in ((self._left, "left_child"), (self._right, "right_child")):
                child = tree[side].astype(np.int64)
                table[index, :splits] = np.where(child < 0, inner + ~child, child)
        self._root = np.array([0 if len(tree["threshold"]) else inner for tree in trees])
        self._inner = inner
        self.text = text
        self.shape = (k, width)

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

        tree = np.arange(len(self._root))
        row = np.arange(len(features))[:, None]
        node = np.tile(self._root, (len(features), 1))
        while (node < self._inner).any():  # ends: a child's number is above its parent's
            left = features[row, self._feature[tree, node]] <= self._threshold[tree, node]
            node = np.where(left, self._left[tree, node], self._right[tree, node])
        return np.asarray(self._value[tree, node])


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


def _fields(section: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in section.splitlines())
    return {key: value for key, equals, value in pairs if equals}


def _count(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not re.fullmatch(r"[0-9]{1,7}", text):
        raise ValueError(f"expected {name} to be a number, found {text[:20]!r}")
    return int(text)


def _tree(section: str, width: int) -> dict[str, Array]:
    """Read one tree and check that walking it stays inside it and ends."""
    import numpy as np

    fields = _fields(section)
    leaves = _count(fields, "num_leaves")
    names = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
    tree = {}
    for name in (*names, "leaf_value"):
        tree[name] = np.array(fields.get(name, "").split(), dtype=np.float64)
        expected = leaves if name == "leaf_value" else leaves - 1
        if len(tree[name]) != expected:
            raise ValueError(f"expected {expected} of {name}, found {len(tree[name])}")
        if not np.isfinite(tree[name]).all():
            raise ValueError(f"expected {name} to be finite")
    if not np.isin(tree["decision_type"], (0, 2)).all() or fields.get("is_linear", "0") != "0":
        raise ValueError("expected plain numerical splits")
    if not np.isin(tree["split_feature"], np.arange(width)).all():
        raise ValueError(f"expected splits on features below {width}")
    parent = np.arange(leaves - 1)
    for side in ("left_child", "right_child"):
        child = tree[side]
        inside = np.where(child < 0, child >= -leaves, (child > parent) & (child < leaves - 1))
        if not (inside & (child == np.round(child))).all():
            raise ValueError(f"expected {side} to be further down the same tree")
    return tree
