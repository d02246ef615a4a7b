"""The one rule for seeds: what NumPy, scikit-learn, LightGBM and optuna all take."""

from __future__ import annotations

from heartfast.errors import UsageError

# Repeats of the cross-validation add their number; all must fit 31 bits.
MAX_SEED = 2**31 - 1001


def check_seed(seed: int) -> None:
    """Raise `ValueError` unless the seed is within 0 to `MAX_SEED`."""
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed: expected 0 to {MAX_SEED}, found {seed}")
