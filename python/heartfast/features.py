"""What a classifier sees of a spectrogram picture: some 470 numbers, which the core computes.

By family, each over 14 bands of a mel-like scale, 4 broad bands of them (low, mid, high, top: with
0 to 2000 Hz below 200, 600, 1100 and 2000 Hz) or 7 pairs of them:

- `bands`: statistics of each band's decibels over time, and their mean change (flux);
- `spectrum`: each band's share of the power in dB, and its centre, in bands;
- `modulation`: how much of a broad band's variation is in each octave of rates, in Hz;
- `cycle`: the heart's cycles a second, and the autocorrelation within a cycle and beyond it;
- `beats`: the rate of beats (S1 and S2), the gaps from one to the next, the intervals to the next
  but one, and their heights;
- `sounds`: each band at the beats, and in the short and long pauses after them (systole and
  diastole, where all is well), in dB;
- `contrast`: each band in systole over that in diastole, in dB;
- `periodicity`: each pair's autocorrelation at twentieths of a cycle;
- `coupling`: each pair's correlation with the low band, tenths of a cycle earlier;
- `texture`: the share of a broad band's gradients that rise in a direction: 0 degrees along time,
  90 along frequency.

Duration must not give the class away, as it does in many corpora. So levels are relative
to a recording's own 90th percentile, not to its loudest moment, and everything is the mean
over segments of 3 s: much the same on average for 3 s and 12 s of the same heart, which a
linear model can hardly tell apart. What remains: means over more segments scatter less,
and boosted trees can tell that; a recording shorter than a segment differs, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heartfast.provenance import Provenance

    Array = NDArray[np.float64]

FEATURES_VERSION = 2

CORNER_HZ = 200.0  # the band layout is nearly linear below it, logarithmic above
FOREIGN_TOP_HZ = 2000.0  # assumed where nothing tells, as in the default configuration at 4 kHz
FOREIGN_COLUMN_S = 0.025

# Families that hardly depend on a device's gain, noise and frequency response.
LEVEL_FREE = ("modulation", "cycle", "beats", "contrast", "periodicity", "coupling")


class _Scale(NamedTuple):
    """What a picture's rows, columns and levels stand for."""

    bottom_hz: float = 0.0
    top_hz: float = FOREIGN_TOP_HZ
    range_db: float = 80.0
    seconds_per_column: float = FOREIGN_COLUMN_S


def feature_names() -> list[str]:
    """Name every feature, in the order of `extract`."""
    from heartfast import _core

    return [name for _, names in _core.feature_families() for name in names]


def families() -> dict[str, list[int]]:
    """Give the features of every family, by their places in `feature_names`."""
    from heartfast import _core

    places: dict[str, list[int]] = {}
    start = 0
    for family, names in _core.feature_families():
        places[family] = list(range(start, start + len(names)))
        start += len(names)
    return places


def extract(levels: NDArray[np.uint8], provenance: Provenance | None = None) -> Array:
    """Describe one picture.

    Parameters
    ----------
    levels
        uint8 (height, width), row 0 the highest frequency, brighter meaning louder.
    provenance
        How it was made, for features in Hz and seconds; without, 0 to 2000 Hz and 25 ms a
        column are assumed. It may be forged: what is beyond reason is brought to its border.

    Returns
    -------
    ndarray
        float64 (n_features,), finite whatever the picture.

    Raises
    ------
    ValueError
        It has no pixels.
    """
    import numpy as np

    from heartfast import _core

    scale = _Scale()
    if provenance is not None:
        step = provenance.seconds_per_column(levels.shape[1])
        span = provenance.config.get("dynamic_range")
        range_db = float(span) if isinstance(span, int | float) else scale.range_db
        scale = _Scale(provenance.fmin, provenance.fmax, range_db, step)
    return _core.describe(np.ascontiguousarray(levels), *scale)
