"""Models made of many trees: what LightGBM boosted, and forests of averaged trees.

A LightGBM model is kept as LightGBM's own text, a forest as arrays; both are walked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.probabilities import softmax
from heartfast.stored import MAX_WIDTH, Stored, check_arrays, check_lengths, check_whole
from heartfast.trees import MAX_ALL_LEAVES, check_splits, read_trees

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CHUNK_CELLS = 4_000_000  # rows times trees walked at once


class _Walker:
    """Trees end to end, as one list of nodes: inner ones, then leaves.

    `leaves` and `table` are those of `heartfast.trees.Trees`, checked.
    """

    def __init__(self, leaves: NDArray[np.intp], table: Mapping[str, Array]) -> None:
        import numpy as np

        splits = leaves - 1
        self._inner = inner = int(splits.sum())
        first_split, first_leaf = np.cumsum(splits) - splits, inner + np.cumsum(leaves) - leaves

        def numbered(child: Array) -> NDArray[np.intp]:
            split, leaf = np.repeat(first_split, splits), np.repeat(first_leaf, splits)
            number = child.astype(np.intp)
            return np.where(number < 0, leaf + ~number, split + number)

        self._feature = table["split_feature"].astype(np.intp)
        self._threshold = table["threshold"]
        self._left, self._right = numbered(table["left_child"]), numbered(table["right_child"])
        self._root = np.where(splits > 0, first_split, first_leaf)

    def leaves(self, features: Array) -> NDArray[np.intp]:
        """Return which leaf of all each row reaches in each tree, (n, trees)."""
        import numpy as np

        trees = len(self._root)
        node = np.tile(self._root, len(features))
        under_way = np.flatnonzero(node < self._inner)
        while len(under_way):  # ends: a child's number is above its parent's
            at = node[under_way]
            left = features[under_way // trees, self._feature[at]] <= self._threshold[at]
            node[under_way] = at = np.where(left, self._left[at], self._right[at])
            under_way = under_way[at < self._inner]
        return (node - self._inner).reshape(-1, trees)


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
        self.text = text
        self.shape, leaves, table = read_trees(text)
        self._trees, self._value = len(leaves), table["leaf_value"]
        self._walker = _Walker(leaves, table)

    def predict_proba(self, features: Array) -> Array:
        """Class probabilities, float64 (n, k), of features (n, n_features)."""
        import numpy as np

        k = self.shape[0]
        rows = max(1, CHUNK_CELLS // self._trees)
        scores = [np.zeros((0, k))]
        for start in range(0, len(features), rows):
            found = self._value[self._walker.leaves(features[start : start + rows])]
            scores.append(found.reshape(-1, self._trees // k, k).sum(axis=1))
        return softmax(np.concatenate(scores))

    def stored(self) -> Stored:
        """Return what a bundle keeps."""
        return Stored(self.kind, {}, self.text)

    @classmethod
    def restored(cls, stored: Stored) -> BoostedModel:
        """Check and take what `stored` gave; `ValueError` says what is wrong with it."""
        if stored.text is None or stored.arrays:
            raise ValueError(f"expected the text of a {cls.kind} model")
        return cls(stored.text)


class ForestModel:
    """Trees whose leaves' probabilities are averaged.

    Features are rounded to float32 before they are compared, as scikit-learn does it.

    Parameters
    ----------
    leaves
        (trees,), how many each tree has.
    split_feature, threshold, left_child, right_child
        (splits,), of all trees; a child below 0 is the leaf `~child` of the same tree, and any
        other child has a larger number than its parent.
    leaf_value
        (leaves of all trees, k), probabilities.
    width
        (1,), the number of features.

    Raises
    ------
    ValueError
        These are no such trees.
    """

    kind = "forest"

    def __init__(
        self,
        leaves: Array,
        split_feature: Array,
        threshold: Array,
        left_child: Array,
        right_child: Array,
        leaf_value: Array,
        width: Array,
    ) -> None:
        import numpy as np

        self._arrays = {
            "leaves": leaves,
            "split_feature": split_feature,
            "threshold": threshold,
            "left_child": left_child,
            "right_child": right_child,
            "leaf_value": leaf_value,
            "width": width,
        }
        check_lengths(width.shape == (1,) and len(leaves) > 0)
        check_whole("leaves", leaves, 1, MAX_ALL_LEAVES)
        check_whole("width", width, 1, MAX_WIDTH)
        counts = leaves.astype(np.intp)
        # Each is at most a million: their sum is no larger than the arrays that it must fit.
        total, splits = int(counts.sum()), int((counts - 1).sum())
        of_splits = (split_feature, threshold, left_child, right_child)
        check_lengths(
            len(leaf_value) == total and all(len(values) == splits for values in of_splits)
        )
        self.shape = (leaf_value.shape[1], int(width[0]))
        check_splits(counts, self._arrays, self.shape[1])
        if not ((leaf_value >= 0) & (leaf_value <= 1)).all() or not np.allclose(
            leaf_value.sum(axis=1), 1, rtol=0, atol=1e-6
        ):
            raise ValueError("expected leaf_value to be probabilities")
        self._walker = _Walker(counts, self._arrays)

    def predict_proba(self, features: Array) -> Array:
        """Class probabilities, float64 (n, k), of features (n, n_features)."""
        import numpy as np

        largest = np.finfo(np.float32).max
        k, trees = self.shape[0], len(self._arrays["leaves"])
        value = self._arrays["leaf_value"]
        rows = max(1, CHUNK_CELLS // (trees * k))
        means = [np.zeros((0, k))]
        for start in range(0, len(features), rows):
            rounded = np.clip(features[start : start + rows], -largest, largest).astype(np.float32)
            means.append(value[self._walker.leaves(rounded.astype(np.float64))].sum(axis=1) / trees)
        return np.concatenate(means)

    def stored(self) -> Stored:
        """Return what a bundle keeps."""
        return Stored(self.kind, dict(self._arrays))

    @classmethod
    def restored(cls, stored: Stored) -> ForestModel:
        """Check and take what `stored` gave; `ValueError` says what is wrong with it."""
        return cls(**check_arrays(stored, _FOREST))


_FOREST = {
    "leaves": 1,
    "split_feature": 1,
    "threshold": 1,
    "left_child": 1,
    "right_child": 1,
    "leaf_value": 2,
    "width": 1,
}
