"""From scores to probabilities, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FLOOR = 1e-9  # a probability below this is as good as none: one model must not decide alone


def softmax(scores: Array) -> Array:
    """Probabilities (n, k) that are proportional to exp(scores) and sum to 1."""
    import numpy as np

    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_probabilities(probabilities: Array) -> Array:
    """Natural logarithms, of `FLOOR` where a probability is smaller."""
    import numpy as np

    return np.log(np.maximum(probabilities, FLOOR))
