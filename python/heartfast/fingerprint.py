"""Fingerprints of pictures: which recordings are copies of each other, changed or not.

A fingerprint is how loud a few bands are over time, as far as that stands out of the noise: gain
does not change it, some noise hardly, and a copy that is cut or shifted has the same course. Two
are compared by the correlation of their courses, at the shift where it is highest. Not all pairs
can be compared so: first, numbers that do not depend on shifts (the course's autocorrelations) say
which few neighbours are worth it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.provenance import Provenance

    Array = NDArray[np.float32]

EDGES_HZ = (20.0, 45.0, 70.0, 100.0, 140.0, 200.0)  # where heart sounds are the loudest
STEP_S = 0.025
MOST_COLUMNS = 1200  # 30 s
LEAST_S = 2.0  # of two recordings over each other, for anything to be said
LEAST_SHARE = 0.5  # of the shorter one
DEPTH_DB = 15.0  # below a band's loud moments; what is further down is noise
LAGS = 100  # of the autocorrelations: 2.5 s
DIRECTIONS = 64  # of the signatures, that tell the most: a tenth of the time, and as good
NEIGHBOURS = 6  # compared in full
FOREIGN_STEP_S, FOREIGN_TOP_HZ, FOREIGN_RANGE_DB = 0.025, 2000.0, 80.0
# The correlation of copies: higher for short ones, which are alike more often by chance. Pieces of
# one CinC recording correlate by 0.92 at most (4 s; 0.86 with 12 s), shifted copies by 0.91 in all
# but 1 %; copies of 30 s with noise 20 dB below by 0.75 to 1, others of that length by 0.69.
ALIKE, ALIKE_LESS_A_SECOND, ALIKE_LEAST = 0.95, 0.005, 0.8
BLOCK = 512  # recordings whose neighbours are looked for at once
CHUNK = 128
PAIRS = 256  # compared at once


class Pair(NamedTuple):
    """Two recordings, by their indices, the correlation at the best shift, and how long that is."""

    first: int
    second: int
    likeness: float
    seconds: float


def fingerprint(levels: NDArray[np.uint8], provenance: Provenance | None = None) -> Array:
    """Return the course of each band, float32 (bands, columns of `STEP_S`), mean 0.

    Parameters
    ----------
    levels
        uint8 (height, width) of a picture, row 0 the highest frequency.
    provenance
        How it was made; without, 0 to 2000 Hz, 25 ms a column and 80 dB are assumed.
    """
    import numpy as np

    height, width = levels.shape
    bottom, top = (provenance.fmin, provenance.fmax) if provenance else (0.0, FOREIGN_TOP_HZ)
    step = provenance.seconds_per_column(width) if provenance else FOREIGN_STEP_S
    span = provenance.config.get("dynamic_range") if provenance else None
    range_db = min(max(span, 1.0), 400.0) if isinstance(span, int | float) else FOREIGN_RANGE_DB
    rows = np.round((np.array(EDGES_HZ) - bottom) / max(top - bottom, 1e-9) * height)
    edges = np.clip(rows, 0, height - 1).astype(int)
    # Columns are averaged, or repeated, to the common step.
    columns = max(1, min(MOST_COLUMNS, round(width * min(max(step, 1e-6), 10.0) / STEP_S)))
    kept = min(width, max(1, round(columns * STEP_S / max(step, 1e-6))))
    upward = levels[::-1, :kept]
    bands = np.stack(
        [
            upward[low : max(high, low + 1)].mean(axis=0, dtype=np.float32)
            for low, high in itertools.pairwise(edges)
        ]
    ) * np.float32(range_db / 255)
    sums = np.concatenate([np.zeros((len(bands), 1), np.float32), np.cumsum(bands, axis=1)], axis=1)
    at = np.linspace(0, kept, columns + 1)
    whole = np.arange(kept + 1)
    course = np.stack([np.diff(np.interp(at, whole, row)) for row in sums]) * (columns / kept)
    loud = np.quantile(course, 0.95, axis=1, keepdims=True)
    course = np.maximum(course - loud, -DEPTH_DB)
    return np.asarray(course - course.mean(axis=1, keepdims=True), dtype=np.float32)


def signature(course: Array) -> Array:
    """Return numbers that a shift does not change, float32 (bands * (`LAGS` + 1),), length 1."""
    import numpy as np

    length = 1 << (2 * max(course.shape[1], LAGS + 1) - 1).bit_length()
    spectrum = np.fft.rfft(course, length, axis=1)
    lagged = np.fft.irfft(np.abs(spectrum) ** 2, length, axis=1)[:, : LAGS + 1]
    overlap = np.maximum(course.shape[1] - np.arange(LAGS + 1), course.shape[1] / 4)
    lagged = lagged / overlap / max(float(lagged[:, 0].sum()) / course.shape[1], 1e-9)
    lagged /= max(float(np.sqrt((lagged**2).sum())), 1e-9)
    return np.asarray(lagged.ravel(), dtype=np.float32)


def find_copies(courses: Sequence[Array]) -> list[Pair]:
    """Find the pairs whose courses are alike as those of copies are, the most alike first."""
    import numpy as np

    if len(courses) < 2:
        return []
    candidates = _neighbours(np.stack([signature(course) for course in courses]))
    likeness, seconds = compare(courses, candidates)
    wanted = np.maximum(ALIKE - ALIKE_LESS_A_SECOND * seconds, ALIKE_LEAST)
    found = [
        Pair(int(a), int(b), float(likeness[row]), float(seconds[row]))
        for row, (a, b) in enumerate(candidates.tolist())
        if likeness[row] >= wanted[row]
    ]
    return sorted(found, key=lambda pair: (-pair.likeness, pair.first, pair.second))


def _neighbours(signatures: Array) -> NDArray[np.intp]:
    """Return pairs (m, 2) of each and those whose signatures are the nearest, each pair once."""
    import numpy as np

    count = len(signatures)
    centred = signatures - signatures.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, -DIRECTIONS:]
    centred = centred @ directions
    centred /= np.maximum(np.sqrt((centred**2).sum(axis=1, keepdims=True)), 1e-9)
    most = min(NEIGHBOURS, count - 1)
    others = np.zeros((-(-count // CHUNK) * CHUNK, centred.shape[1]), dtype=np.float32)
    others[:count] = centred
    pairs = []
    for start in range(0, count, BLOCK):
        near = centred[start : start + BLOCK] @ others.T
        rows = np.arange(len(near))
        near[:, count:] = near[rows, start + rows] = -2
        # The nearest few are in the chunks whose nearest are: a look at each chunk's best does.
        chunks = near.reshape(len(near), -1, CHUNK)
        best = np.argsort(-chunks.max(axis=2), axis=1, kind="stable")[:, :most]
        within = np.take_along_axis(chunks, best[:, :, None], axis=1).reshape(len(near), -1)
        place = np.argsort(-within, axis=1, kind="stable")[:, :most]
        found = np.take_along_axis(best, place // CHUNK, axis=1) * CHUNK + place % CHUNK
        pairs.append(np.stack([np.repeat(start + rows, most), found.ravel()], axis=1))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def compare(
    courses: Sequence[Array], pairs: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the highest correlation of each pair's courses over all shifts, and its overlap.

    Both are float64 (m,), the overlap in seconds. Shifts count that leave
    `LEAST_S`, and half of the shorter one, over each other; what has none correlates by 0.
    """
    import numpy as np

    likeness, seconds = np.zeros((2, len(pairs)))
    lengths = np.array([course.shape[1] for course in courses])
    # Pairs of similar length go together, so that little is padded.
    longest = lengths[pairs].max(axis=1) if len(pairs) else np.zeros(0)
    order = np.argsort(longest, kind="stable")
    for start in range(0, len(order), PAIRS):
        rows = order[start : start + PAIRS]
        found = _compare_some(courses, pairs[rows], int(longest[rows[-1]]))
        likeness[rows], seconds[rows] = found
    return likeness, seconds


def _compare_some(
    courses: Sequence[Array], pairs: NDArray[np.intp], longest: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    length = 1 << (2 * longest - 1).bit_length()

    def spectra(which: NDArray[np.intp]) -> tuple[Any, Any, Any]:
        """Spectra of the courses, and of their energies and presence."""
        values = np.zeros((len(which), len(EDGES_HZ) - 1, longest), dtype=np.float32)
        present = np.zeros((len(which), longest), dtype=np.float32)
        for row, index in enumerate(which):
            course = courses[index]
            values[row, :, : course.shape[1]] = course
            present[row, : course.shape[1]] = 1
        energy = (values**2).sum(axis=1)
        return tuple(np.fft.rfft(x, length, axis=-1) for x in (values, energy, present))  # type: ignore[return-value]

    values_a, energy_a, present_a = spectra(pairs[:, 0])
    values_b, energy_b, present_b = spectra(pairs[:, 1])

    def at_shifts(a: Any, b: Any) -> Any:
        return np.fft.irfft(a * np.conj(b), length, axis=-1)

    products = at_shifts(values_a, values_b).sum(axis=1)
    overlap = at_shifts(present_a, present_b)
    # Only what lies over the other one counts.
    energies = at_shifts(energy_a, present_b) * at_shifts(present_a, energy_b)
    shorter = overlap.max(axis=1, keepdims=True)
    least = np.maximum(LEAST_S / STEP_S, LEAST_SHARE * shorter)
    floor = 1e-6 * energies.max(axis=1, keepdims=True) + 1e-9
    correlation = products / np.sqrt(np.maximum(energies, floor))
    correlation = np.where(overlap >= least - 0.5, correlation, 0.0)
    best = correlation.argmax(axis=1)
    rows = np.arange(len(best))
    return correlation[rows, best], overlap[rows, best] * STEP_S
