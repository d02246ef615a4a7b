"""LightGBM's text of a boosted model, checked before anything of it is believed.

Trees are walked in `heartfast.models`, and LightGBM never sees the text here. Whoever loads it
with LightGBM, however, has its arrays and sections read by the lengths that it gives itself: so
what is not used here has to fit, too, and what is not known is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from heartfast.stored import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Well above what `heartfast.fitting` makes: no text takes long to load.
MAX_TREES = 100_000
MAX_LEAVES = 1000  # of a tree
MAX_ALL_LEAVES = 1_000_000
MAX_LINES = 100  # of a tree

_HEADER = frozenset((
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx",
    "objective", "feature_names", "feature_infos", "tree_sizes",
))  # fmt: skip
_USED = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")
_UNUSED = (
    "split_gain", "internal_value", "internal_weight", "internal_count", "leaf_weight",
    "leaf_count",
)  # fmt: skip
_TREE = frozenset((*_USED, *_UNUSED, "num_leaves", "num_cat", "is_linear", "shrinkage"))


class Trees(NamedTuple):
    """Trees, end to end.

    Attributes
    ----------
    shape : (int, int)
        Number of classes and of features.
    leaves : (trees,) intp
        Leaves of each tree.
    table : dict of arrays
        `split_feature`, `threshold`, `left_child` and `right_child` have a value per split, and
        `leaf_value` has one per leaf. A child below 0 is the leaf `~child` of the same tree.
    """

    shape: tuple[int, int]
    leaves: NDArray[np.intp]
    table: dict[str, Array]


def read_trees(text: str) -> Trees:
    """Read and check what `Booster.model_to_string` gave of a multiclass model.

    Every number is finite, every array as long as it has to be, and walking a tree from its root
    stays inside it, reaches each of its leaves by one way, and ends.

    Raises
    ------
    ValueError
        It is not such a text, has categories, missing-value splits or linear leaves, or more
        trees, leaves or larger numbers than any sensible model.
    """
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
    if (
        objective != f"multiclass num_class:{k}"
        or fields.get("num_tree_per_iteration") != str(k)
        or k < 2
    ):
        raise ValueError(f"expected a multiclass model, found {objective!r:.40}")
    if not trees or trees % k:
        raise ValueError(f"expected trees in multiples of {k}, found {trees}")
    leaves, table = _read(sections)
    check_splits(leaves, table, width)
    _check_header(header, fields, width)
    _check_sizes(fields, sections)
    return Trees((k, width), leaves, table)


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


def _read(sections: list[str]) -> tuple[NDArray[np.intp], dict[str, Array]]:
    import numpy as np

    parts: dict[str, list[Array]] = {name: [] for name in _USED}
    counts = []
    total = 0
    for section in sections:
        lines = section.partition("\n\n")[0]
        fields = _fields(lines)
        if fields.get("is_linear") != "0" or fields.get("num_cat") != "0":
            raise ValueError("expected plain numerical splits")
        counts.append(leaves := _count(fields, "num_leaves"))
        total += leaves
        if not 1 <= leaves <= MAX_LEAVES:
            raise ValueError(f"expected 1 to {MAX_LEAVES} leaves a tree, found {leaves}")
        if total > MAX_ALL_LEAVES:
            raise ValueError(f"expected at most {MAX_ALL_LEAVES} leaves, found more")
        for name, arrays in parts.items():
            expected = leaves if name == "leaf_value" else leaves - 1
            arrays.append(_numbers(name, _cells(name, fields, expected)))
        rest = _cells("shrinkage", fields, 1)
        for name in _UNUSED:
            # LightGBM writes none of a tree without a split.
            bare = leaves == 1 and not fields.get(name)
            expected = leaves if name.startswith("leaf") else leaves - 1
            rest += _cells(name, fields, 0 if bare else expected)
        check_size("numbers of a tree", _numbers("numbers of a tree", rest))
        _check_known(lines.split("\n")[1:], fields, _TREE)

    table = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    for name, values in table.items():
        check_size(name, values)
    if not np.isin(table["decision_type"], (0, 2)).all():
        raise ValueError("expected plain numerical splits")
    return np.array(counts, dtype=np.intp), table


def _cells(name: str, fields: Mapping[str, str], expected: int) -> list[str]:
    cells = fields.get(name, "").split(maxsplit=expected)
    if len(cells) != expected:
        found = len(cells) if len(cells) < expected else "more"
        raise ValueError(f"expected {expected} of {name}, found {found}")
    return cells


def _numbers(name: str, cells: list[str]) -> Array:
    import numpy as np

    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        raise ValueError(f"expected {name} to be numbers") from None


def _check_known(lines: list[str], fields: Mapping[str, str], known: frozenset[str]) -> None:
    """Each line has a field of its own, and all that are known are there."""
    if fields.keys() != known or len(lines) != len(known):
        odd = ", ".join(sorted(fields.keys() ^ known)) or "one twice"
        raise ValueError(f"expected each of LightGBM's fields once, found it otherwise: {odd:.80}")


def check_splits(leaves: NDArray[np.intp], table: Mapping[str, Array], width: int) -> None:
    """Raise `ValueError` unless walking each tree ends, inside it, and reaches each of its leaves.

    `leaves` and `table` are those of `Trees`, of lengths that agree and without NaN.
    """
    import numpy as np

    feature = table["split_feature"]
    if not ((feature >= 0) & (feature < width) & (feature == np.round(feature))).all():
        raise ValueError(f"expected splits on features below {width}")
    splits = leaves - 1
    parent = np.arange(splits.sum()) - np.repeat(np.cumsum(splits) - splits, splits)
    most = np.repeat(leaves, splits)
    for side in ("left_child", "right_child"):
        child = table[side]
        inside = np.where(child < 0, child >= -most, (child > parent) & (child < most - 1))
        if not (inside & (child == np.round(child))).all():
            raise ValueError(f"expected {side} to be further down the same tree")
    # A tree of n leaves has 2 n - 2 children: if none is there twice, none is missing.
    child = np.concatenate([table["left_child"], table["right_child"]]).astype(np.intp)
    first = np.cumsum(2 * leaves) - 2 * leaves
    place = np.tile(np.repeat(first + leaves, splits), 2) + child
    if len(place) and np.bincount(place).max() > 1:
        raise ValueError("expected each child in one place of its tree, found one in two")


def _check_header(header: str, fields: Mapping[str, str], width: int) -> None:
    lines = header.rstrip("\n").split("\n")
    _check_known(lines[1:], fields, _HEADER)
    _count(fields, "label_index")
    for name in ("feature_names", "feature_infos"):
        if (found := len(fields[name].split(" "))) != width:
            raise ValueError(f"expected {width} of {name}, found {found}")


def _check_sizes(fields: Mapping[str, str], sections: list[str]) -> None:
    """Check that trees are where LightGBM looks for them: by their sizes, one behind the other."""
    *others, last = sections
    last, end, _ = last.partition("end of trees\n")
    if not end:
        raise ValueError("expected the end of the trees, found none")
    # With what `split` took, but for the last one's, which nothing follows.
    found = [len("\nTree=") + len(section) for section in others] + [len("Tree=") + len(last)]
    if fields["tree_sizes"] != " ".join(map(str, found)):
        raise ValueError("expected tree_sizes to be the trees' sizes")
    for number, section in enumerate((*others, last)):
        start, blank, rest = section.partition("\n\n")
        if start.partition("\n")[0] != str(number) or not blank or rest.strip("\n"):
            raise ValueError(f"expected tree {number} and a blank line after it")
