"""A model as plain data, which a bundle can hold: named arrays, or a text, and other models.

Nothing of it is believed before it is checked, and nothing of it is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LARGEST = 1e100  # of a model's numbers: sums and products of them stay finite
MAX_WIDTH = 1_000_000  # features


class Stored(NamedTuple):
    """What a model is made of.

    Parameters
    ----------
    kind
        Which class of `heartfast.models` it is.
    arrays
        float64 arrays by name.
    text
        LightGBM's own text; other models have none.
    parts
        The models that it is made of.
    """

    kind: str
    arrays: Mapping[str, Array]
    text: str | None = None
    parts: tuple[Stored, ...] = ()


def check_arrays(stored: Stored, axes: Mapping[str, int]) -> Mapping[str, Array]:
    """Return the arrays of a model that has just these, with so many axes each.

    Raises
    ------
    ValueError
        It has others, or a text, or a number that is not finite or far too large.
    """
    if stored.arrays.keys() != axes.keys() or stored.text is not None:
        raise ValueError(f"expected the arrays {', '.join(axes)} of a {stored.kind} model")
    for name, count in axes.items():
        values = stored.arrays[name]
        if values.ndim != count:
            raise ValueError(f"expected {name} with axes: {count}, found {values.ndim}")
        check_size(name, values)
    return stored.arrays


def check_size(name: str, values: Array) -> None:
    """Raise `ValueError` unless these numbers are finite, and products of them stay so."""
    import numpy as np

    if not (np.abs(values) <= LARGEST).all():  # nor is NaN
        raise ValueError(f"expected {name} to be finite, at most {LARGEST:g} in size")


def check_lengths(agree: bool) -> None:
    """Raise `ValueError` unless the lengths of a model's arrays agree."""
    if not agree:
        raise ValueError("expected arrays whose lengths agree")


def check_whole(name: str, values: Array, least: int, most: int) -> None:
    """Raise `ValueError` unless these are whole numbers in this range."""
    import numpy as np

    if not ((values >= least) & (values <= most) & (values == np.round(values))).all():
        raise ValueError(f"expected {name} to be whole numbers from {least} to {most}")
