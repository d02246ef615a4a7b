"""The features once more, in NumPy: what the core's are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heartfast.images import Provenance

    Array = NDArray[np.float64]

BANDS = 14
CORNER_HZ = 200.0  # the band layout is nearly linear below it, logarithmic above
BROAD = ((0, 4), (4, 8), (8, 11), (11, 14))  # with 0-2000 Hz: below 200, 600, 1100, 2000 Hz
COLUMN_S = 0.02  # columns are averaged to about this, so that features hardly depend on the hop
FOREIGN_COLUMN_S = 0.025  # assumed where nothing tells: the hop of the default configuration
SEGMENT_S = 3.0  # twice the longest cycle
LEAST_COLUMNS = 8  # shorter pictures are continued with their last column
MOST_SEGMENTS = 1000  # 25 minutes; of what is longer, as many, evenly spread
BLOCK_PIXELS = 1_000_000  # of a picture taken at once, eight bytes each
FOREIGN_TOP_HZ = 2000.0
RANGE_DB = 80.0
MODULATION_HZ = (0.4, 0.8, 1.2, 1.6, 2.4, 3.2, 4.8, 6.4, 9.6, 16.0)
CYCLE_S = (0.4, 1.5)  # 40 to 150 beats a minute
BEAT_GAP_S = 0.12  # no two beats (S1, S2) are closer
PHASES = 10  # of the autocorrelation within a cycle


def extract(levels: NDArray[np.uint8], provenance: Provenance | None = None) -> Array:
    """Describe one picture, as `heartfast.features.extract` does."""
    step = provenance.seconds_per_column(levels.shape[1]) if provenance else FOREIGN_COLUMN_S
    step = min(max(step, 1e-6), 10.0)  # a forged chunk may say anything
    decibels, power = _bands(levels, provenance)
    factor = max(1, round(COLUMN_S / step))
    if factor > 1:
        decibels, power = (_average_columns(x, factor) for x in (decibels, power))
        step *= factor
    if (missing := LEAST_COLUMNS - decibels.shape[1]) > 0:
        decibels, power = (
            np.pad(x, ((0, 0), (0, missing)), mode="edge") for x in (decibels, power)
        )
    decibels = decibels - _quantiles(decibels.mean(axis=0), 0.9)
    columns = decibels.shape[1]
    length = min(max(LEAST_COLUMNS, round(SEGMENT_S / step)), columns)
    # Half over each other, so that no interval between beats is missed at a boundary.
    count = min(max(1, -(-2 * columns // length) - 1), MOST_SEGMENTS)
    starts = np.linspace(0, columns - length, count).round().astype(int)
    segments = [slice(start, start + length) for start in starts]
    described = [_describe(decibels[:, part], power[:, part], step) for part in segments]
    return np.asarray(np.mean(described, axis=0))


def _describe(decibels: Array, power: Array, step: float) -> Array:
    """Features (n_features,) of one segment."""
    envelopes = np.stack([decibels[low:high].mean(axis=0) for low, high in BROAD])
    rhythm, cycle = _rhythm(envelopes, step)
    parts = [
        _band_statistics(decibels),
        _spectrum(power),
        rhythm,
        _beats(decibels, envelopes[0], step, cycle),
        _periodicity(decibels, step, cycle),
        _texture(decibels, step),
    ]
    return np.concatenate(parts)


def _bands(levels: NDArray[np.uint8], provenance: Provenance | None) -> tuple[Array, Array]:
    """Mean dB above the floor, and mean power, of every band: (BANDS, columns) each."""
    bottom, top = (provenance.fmin, provenance.fmax) if provenance else (0.0, FOREIGN_TOP_HZ)
    span = provenance.config.get("dynamic_range") if provenance else None
    range_db = min(max(span, 1.0), 400.0) if isinstance(span, int | float) else RANGE_DB
    height = len(levels)
    mel = np.linspace(np.log1p(bottom / CORNER_HZ), np.log1p(top / CORNER_HZ), BANDS + 1)
    hertz = np.expm1(mel) * CORNER_HZ
    edges = np.round((hertz - bottom) / max(top - bottom, 1e-9) * height).astype(int)
    starts = np.minimum(edges[:-1], height - 1)
    counts = np.maximum(np.diff(np.append(starts, height)), 1)[:, None]
    upward = levels[::-1]
    table = 10 ** (np.linspace(-range_db, 0, 256) / 10)
    sums, powers = np.empty((2, BANDS, levels.shape[1]))
    columns = max(1, BLOCK_PIXELS // height)
    for start in range(0, levels.shape[1], columns):
        block = slice(start, start + columns)
        part = upward[:, block]
        sums[:, block] = np.add.reduceat(part, starts, axis=0, dtype=np.float64)
        powers[:, block] = np.add.reduceat(table[part], starts)
    return sums / counts * (range_db / 255), powers / counts


def _average_columns(values: Array, factor: int) -> Array:
    starts = np.arange(0, values.shape[1], factor)
    counts = np.diff(np.append(starts, values.shape[1]))
    return np.add.reduceat(values, starts, axis=1) / counts


def _quantiles(values: NDArray[Any], *fractions: float) -> Array:
    """Nearest-rank quantiles over the last axis, the fractions first."""
    ordered = np.sort(values, axis=-1)
    ranks = np.round(np.array(fractions) * (values.shape[-1] - 1)).astype(int)
    return np.moveaxis(ordered[..., ranks], -1, 0)


def _band_statistics(decibels: Array) -> Array:
    mean = decibels.mean(axis=1)
    centred = decibels - mean[:, None]
    std = np.sqrt((centred**2).mean(axis=1))
    skew = (centred**3).mean(axis=1) / np.maximum(std, 1.0) ** 3
    p10, p90 = _quantiles(decibels, 0.1, 0.9)
    flux = np.abs(np.diff(decibels, axis=1)).mean(axis=1)
    return np.concatenate([mean, std, skew, p10, p90, flux])


def _spectrum(power: Array) -> Array:
    total = power.sum(axis=1)
    share = 10 * np.log10(total / total.sum() + 1e-8)
    centroid = np.arange(BANDS) @ power / power.sum(axis=0)
    p10, p90 = _quantiles(centroid, 0.1, 0.9)
    return np.concatenate([share, [centroid.mean(), centroid.std(), p10, p90]])


def _rhythm(envelopes: Array, step: float) -> tuple[Array, float]:
    """Modulation spectra and autocorrelation of the broad bands, and the cycle's seconds."""
    columns = envelopes.shape[1]
    centred = envelopes - envelopes.mean(axis=1, keepdims=True)
    padded = 1 << (2 * columns - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, padded, axis=1)) ** 2

    below = np.cumsum(power, axis=1)
    below /= np.maximum(below[:, -1:], 1e-9)
    bins = np.array(MODULATION_HZ) * step * padded
    at = np.stack([np.interp(bins, np.arange(len(row)), row) for row in below])
    modulation = np.log10(np.diff(at, axis=1) + 1e-3)

    overlap = np.maximum(1 - np.arange(columns) / columns, 0.25)  # bounds the noise of long lags
    lagged = np.fft.irfft(power, padded, axis=1)[:, :columns] / overlap
    lagged /= np.maximum(lagged[:, :1], 1e-9)
    lags = np.arange(columns) * step
    beating = lagged[:2].mean(axis=0)  # heart sounds and murmurs live in the two lower bands

    def at_lag(seconds: Any) -> Any:
        return np.interp(seconds, lags, beating)  # beyond the last lag: its value

    candidates = np.arange(CYCLE_S[0], CYCLE_S[1], step / 2)
    # A true cycle repeats; the weight keeps twice the cycle from winning by a hair.
    repeats = at_lag(candidates) + 0.5 * at_lag(2 * candidates)
    cycle = float(candidates[np.argmax(repeats - 0.1 * np.log2(candidates))])
    profile = at_lag(cycle * np.arange(1, PHASES) / PHASES)
    strength = at_lag(cycle)
    each = [np.interp(cycle, lags, row) for row in lagged]
    summary = [1 / cycle, strength, strength - profile.min(), at_lag(2 * cycle)]
    return np.concatenate([modulation.ravel(), summary, profile, each]), cycle


def _beats(decibels: Array, envelope: Array, step: float, cycle: float) -> Array:
    """Intervals and heights of the beats (S1 and S2), and the bands at and between them."""
    smooth = np.convolve(np.pad(envelope, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    reach = max(1, round(BEAT_GAP_S / step))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, reach), 2 * reach + 1)
    median, loud = _quantiles(smooth, 0.5, 0.95)
    is_peak = (smooth >= around.max(axis=1)) & (smooth > median + 0.3 * (loud - median))
    peaks = np.flatnonzero(is_peak)
    seconds = len(smooth) * step
    rate = [len(peaks) / seconds, loud - median]
    if len(peaks) < 4:  # too few for intervals of intervals: say nothing rather than noise
        count = min(max(4, round(2 * seconds / cycle)), len(smooth))
        peaks = np.linspace(0, len(smooth) - 1, count).astype(int)

    gaps = np.diff(peaks) * step
    low, middle, high = _quantiles(gaps, 0.1, 0.5, 0.9)
    quarter, three = _quantiles(gaps, 0.25, 0.75)
    turns = np.diff(gaps)
    alternation = -(turns[1:] * turns[:-1]).mean() / max((turns**2).mean(), 1e-6)
    gap = [middle / cycle, three - quarter, low, high, np.abs(turns).mean(), alternation]

    intervals = (peaks[2:] - peaks[:-2]) * step
    quarter, centre, three = _quantiles(intervals, 0.25, 0.5, 0.75)
    swings = np.diff(intervals) / centre
    interval = [
        *(centre / cycle, (three - quarter) / centre),
        *(intervals.min() / centre, intervals.max() / centre),
        *(np.abs(swings).mean(), swings.max()),
    ]
    heights = smooth[peaks]
    low, middle, high = _quantiles(heights, 0.1, 0.5, 0.9)
    height = [heights.std(), middle - low, high - middle, np.abs(np.diff(heights)).mean()]

    column = np.arange(len(smooth))
    after = np.clip(np.searchsorted(peaks, column, side="right") - 1, 0, len(gaps) - 1)
    within = (column - peaks[after]) * step / gaps[after]
    between = (within > 0.3) & (within < 0.7)
    short = gaps[after] < cycle / 2
    overall = decibels.mean(axis=1)
    at_beats = decibels[:, peaks].mean(axis=1)
    systole, diastole = (
        decibels[:, where].mean(axis=1) if where.any() else overall
        for where in (between & short, between & ~short)
    )
    bands = [at_beats - overall, systole - at_beats, diastole - at_beats, systole - diastole]
    return np.concatenate([rate, gap, interval, height, *bands])


def _periodicity(decibels: Array, step: float, cycle: float) -> Array:
    """Autocorrelations of pairs of bands, and their correlations with the lowest earlier."""
    columns = decibels.shape[1]
    pairs = decibels.reshape(BANDS // 2, 2, columns).mean(axis=1)
    pairs = pairs - pairs.mean(axis=1, keepdims=True)
    low = pairs[:2].mean(axis=0)
    overlap = np.maximum(1 - np.arange(columns) / columns, 0.25)
    lags = np.arange(columns) * step

    def lagged(row: Array, earlier: Array) -> Array:
        return np.correlate(row, earlier, mode="full")[columns - 1 :] / overlap

    own, with_low = [], []
    for row in pairs:
        one = lagged(row, row) / max((row**2).sum(), 1e-9)
        own.append(np.interp(cycle * np.arange(1, 21) / 20, lags, one))
        one = lagged(row, low) / np.sqrt(max((row**2).sum(), 1.0) * max((low**2).sum(), 1.0))
        with_low.append(np.interp(cycle * np.arange(10) / 10, lags, one))
    return np.concatenate([*own, *with_low])


def _texture(decibels: Array, step: float) -> Array:
    """Shares of the gradients of the broad bands by their direction."""
    up, along = np.gradient(decibels)
    along = along * (COLUMN_S / step)
    direction = np.round(np.degrees(np.arctan2(up, along)) / 45).astype(int) % 8
    size = np.hypot(up, along)
    shares = []
    for low, high in BROAD:
        part = size[low:high]
        each = [part[direction[low:high] == d].sum() / part.size for d in range(8)]
        shares.append(np.array(each) / (part.mean() + 0.01))
    return np.concatenate(shares)
