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
LARGEST = 1e100  # of a model's numbers: sums and products of them stay finite
# Of boosted models, well above what `heartfast.fitting` makes: no text takes long to load.
MAX_TREES = 100_000
MAX_LEAVES = 1000  # of a tree
MAX_ALL_LEAVES = 1_000_000
MAX_LINES = 100  # of a tree


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
            _check_size(name, arrays[name])
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

        if not text.isascii():
            raise ValueError("expected the text of a LightGBM model in ASCII")
        if (trees := text.count("\nTree=")) > MAX_TREES:
            raise ValueError(f"expected at most {MAX_TREES} trees, found {trees}")
        header, *sections = text.split("\nTree=")
        fields = _fields(header)
        if not header.startswith("tree\n") or fields.get("version") != "v4":
            raise ValueError("expected the text of a LightGBM model, version v4")
        k, width = _count(fields, "num_class"), _count(fields, "max_feature_idx") + 1
        objective = fields.get("objective", "")
        if objective.split(" ")[0] != "multiclass" or fields.get("num_tree_per_iteration") != str(
            k
        ):
            raise ValueError(f"expected a multiclass model, found {objective!r:.40}")
        if not trees or trees % k:
            raise ValueError(f"expected trees in multiples of {k}, found {trees}")
        table, leaves = _trees(sections, width)

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


def _check_size(name: str, values: Array) -> None:
    import numpy as np

    if not (np.abs(values) <= LARGEST).all():  # nor is NaN
        raise ValueError(f"expected {name} to be finite, at most {LARGEST:g} in size")


def _fields(section: str) -> dict[str, str]:
    if (lines := section.count("\n")) > MAX_LINES:
        raise ValueError(f"expected at most {MAX_LINES} lines a tree, found {lines}")
    pairs = (line.partition("=") for line in section.split("\n"))
    return {key: value for key, equals, value in pairs if equals}


def _count(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not re.fullmatch(r"[0-9]{1,7}", text):
        raise ValueError(f"expected {name} to be a number, found {text[:20]!r}")
    return int(text)


def _trees(sections: list[str], width: int) -> tuple[dict[str, Array], NDArray[np.intp]]:
    """Read the trees, end to end, and the number of leaves of each (trees,).

    Walking a tree stays inside it and ends.
    """
    import numpy as np

    names = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
    parts: dict[str, list[Array]] = {name: [] for name in (*names, "leaf_value")}
    counts = []
    total = 0
    for section in sections:
        fields = _fields(section.partition("\n\n")[0])
        if fields.get("is_linear", "0") != "0":
            raise ValueError("expected plain numerical splits")
        counts.append(leaves := _count(fields, "num_leaves"))
        total += leaves
        if not 1 <= leaves <= MAX_LEAVES:
            raise ValueError(f"expected 1 to {MAX_LEAVES} leaves a tree, found {leaves}")
        if total > MAX_ALL_LEAVES:
            raise ValueError(f"expected at most {MAX_ALL_LEAVES} leaves, found more")
        for name, arrays in parts.items():
            expected = leaves if name == "leaf_value" else leaves - 1
            arrays.append(_numbers(name, fields.get(name, ""), expected))

    table = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    for name, values in table.items():
        _check_size(name, values)
    if not np.isin(table["decision_type"], (0, 2)).all():
        raise ValueError("expected plain numerical splits")
    feature = table["split_feature"]
    if not ((feature >= 0) & (feature < width) & (feature == np.round(feature))).all():
        raise ValueError(f"expected splits on features below {width}")
    leaves_of = np.array(counts, dtype=np.intp)
    splits = leaves_of - 1
    parent = np.arange(splits.sum()) - np.repeat(np.cumsum(splits) - splits, splits)
    most = np.repeat(leaves_of, splits)
    for side in ("left_child", "right_child"):
        child = table[side]
        inside = np.where(child < 0, child >= -most, (child > parent) & (child < most - 1))
        if not (inside & (child == np.round(child))).all():
            raise ValueError(f"expected {side} to be further down the same tree")
    return table, leaves_of


def _numbers(name: str, text: str, expected: int) -> Array:
    import numpy as np

    cells = text.split(maxsplit=expected)
    if len(cells) != expected:
        found = len(cells) if len(cells) < expected else "more"
        raise ValueError(f"expected {expected} of {name}, found {found}")
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        raise ValueError(f"expected {name} to be numbers") from None
