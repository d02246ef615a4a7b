"""Changed copies of pictures, for training parts of folds only: as other recordings of the same.

A copy begins elsewhere, is a little louder or softer, has noise in it, and lacks a stretch of time
and a band of frequencies. It is never mirrored: time runs on, and high is not low.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.parallel import for_each
from heartfast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.images import PictureSet
    from heartfast.progress import ProgressCallback

    Levels = NDArray[np.uint8]

MOST_COPIES = 100
RANGE_DB = 80.0  # of pictures that do not say theirs
GAIN_DB = 3.0  # up or down, at most
NOISE_DB = (-60.0, -30.0)  # its mean power, below full scale
MASKED = 0.1  # of the columns, and of the rows, at most


def change(levels: Levels, rng: np.random.Generator, range_db: float = RANGE_DB) -> Levels:
    """Return a copy of a picture, changed in every way at once.

    Parameters
    ----------
    levels
        uint8 (height, width), row 0 the highest frequency, brighter meaning louder.
    rng
        What decides how.
    range_db
        What the levels span.

    References
    ----------
    Masks of time and frequency: D. S. Park et al., "SpecAugment", Interspeech 2019; they are filled
    with the mean of their rows, as nothing is not what a picture of silence shows.
    """
    import numpy as np

    height, width = levels.shape
    shifted = np.roll(levels, int(rng.integers(width)), axis=1)
    # One number for each level, and no more bytes a pixel than float32 has.
    table = (np.arange(256) / 255 - 1) * range_db + rng.uniform(-GAIN_DB, GAIN_DB)
    power = (10 ** (table / 10)).astype(np.float32)[shifted]
    # Power of noise in a bin is exponential, as that of a complex Gaussian.
    noise = rng.standard_exponential((height, width), dtype=np.float32)
    power += noise * np.float32(10 ** (rng.uniform(*NOISE_DB) / 10))
    decibels = np.multiply(np.log10(power, out=power), 10, out=power)
    means = decibels.mean(axis=1, keepdims=True)
    start, end = _stretch(width, rng)
    decibels[:, start:end] = means
    start, end = _stretch(height, rng)
    decibels[start:end] = means.mean()
    return np.round(np.clip((decibels / range_db + 1) * 255, 0, 255)).astype(np.uint8)


def _stretch(length: int, rng: np.random.Generator) -> tuple[int, int]:
    count = int(rng.integers(int(MASKED * length) + 1))
    start = int(rng.integers(length - count + 1))
    return start, start + count


def describe_copies(
    pictures: PictureSet,
    names: Sequence[str],
    count: int,
    *,
    seed: int,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> NDArray[np.float64]:
    """Describe so many changed copies of each picture, float64 (n, count, n_features).

    What becomes of a picture depends on its name and the seed, not on the others or on `jobs`.

    Raises
    ------
    DecodeError
        A picture cannot be read.
    """
    import zlib

    import numpy as np

    from heartfast.features import extract
    from heartfast.images import decode

    def one(name: str) -> NDArray[np.float64]:
        levels, provenance = decode(pictures.read_bytes(name), name)
        span = provenance.config.get("dynamic_range") if provenance else None
        range_db = float(span) if isinstance(span, int | float) else RANGE_DB
        rng = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
        return np.stack([extract(change(levels, rng, range_db), provenance) for _ in range(count)])

    found: list[NDArray[np.float64]] = []

    def take(described: NDArray[np.float64]) -> None:
        found.append(described)
        if progress:
            progress(Progress("augment", len(found), len(names)))

    for_each(one, names, take, jobs=jobs)
    return np.stack(found)
