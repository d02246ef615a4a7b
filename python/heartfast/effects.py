"""Spectrograms beyond the transform: made in other ways, smoothed, cleaned, differentiated.

Each function has a field of `SpectrogramConfig` of the same meaning, with which `spectrogram` and
`convert` do the same, all in a fixed order. Values that are no finite numbers count as no
magnitude, with a `HeartfastWarning`, so that they do not spread to their neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from heartfast import _core
from heartfast._core import SpectrogramConfig
from heartfast.errors import UsageError
from heartfast.parallel import cores
from heartfast.picture import Spectrogram, magnitudes, sample_rate
from heartfast.spectral import near_one, spectrogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from heartfast._core import _ConfigFields, _OneWindowFields

# What a configuration says of effects on magnitudes that are not there.
_NONE = {
    name: getattr(SpectrogramConfig(), name)
    for name in (
        "noise_reduction", "noise_percent", "quantile", "median", "blur", "sharpen", "derivative",
    )
}  # fmt: skip


def reassigned_spectrogram(
    y: ArrayLike,
    sr: int,
    *,
    config: SpectrogramConfig | None = None,
    jobs: int | None = None,
    **fields: Unpack[_ConfigFields],
) -> Spectrogram:
    """Spectrogram whose energy is moved to where in time and frequency it comes from.

    Parameters
    ----------
    y, sr, config, jobs, fields
        As in `spectrogram`, of which this is ``reassign=True``.

    Returns
    -------
    Spectrogram
        On the grid of the plain one, `values` of shape (..., bins, frames) and the dtype of `y`:
        the root of the energy that is moved to each bin and frame. Tones are one bin high, and
        clicks one frame wide; nearly all other values are zero.

    Notes
    -----
    Energy of each bin and frame goes to the nearest ones of its centre of gravity, which
    transforms with the window, its derivative and the window times time give. What would leave
    the grid stays, so that the sum of squares is that of the plain spectrogram. `zero_pad` and
    more `overlap` make the grid finer. Where energies are at the rounding of the samples' dtype,
    so are their places.

    References
    ----------
    F. Auger and P. Flandrin, "Improving the readability of time-frequency and time-scale
    representations by the reassignment method", IEEE Trans. Signal Processing 43 (1995).
    `librosa.reassigned_spectrogram` gives the places themselves.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 500 * np.arange(4000) / 4000)
    >>> spec = heartfast.reassigned_spectrogram(tone, 4000)
    >>> np.flatnonzero(spec.values[:, 20] > 0.05 * spec.values.max())
    array([25])
    """
    config = (config or SpectrogramConfig()).replace(**fields)
    return spectrogram(y, sr, config=config, jobs=jobs, reassign=True)


def multi_resolution(
    y: ArrayLike,
    sr: int,
    *,
    windows_ms: Sequence[float],
    config: SpectrogramConfig | None = None,
    jobs: int | None = None,
    **fields: Unpack[_OneWindowFields],
) -> Spectrogram:
    """Geometric mean of spectrograms with several windows: fine in time and in frequency.

    Parameters
    ----------
    y, sr, config, jobs, fields
        As in `spectrogram`.
    windows_ms : sequence of float
        Lengths in milliseconds of up to 8 windows beside `window_ms`.

    Returns
    -------
    Spectrogram
        `values` of shape (..., bins, frames) and the dtype of `y`, with the bins of the longest
        window. `overlap` is that of the shortest, so that it leaves no gaps.

    Notes
    -----
    Windows are scaled so that a tone has the same magnitude in each, and centred on the same
    sample. The mean is narrow where the spectrogram with any of the windows is.

    References
    ----------
    S. Cheung and J. S. Lim, "Combined multiresolution (wide-band/narrow-band) spectrogram", IEEE
    Trans. Signal Processing 40 (1992); that of all combinations the geometric mean has the least
    cross-entropy: P. Loughlin, J. Pitton and B. Hannaford, "Approximating time-frequency density
    functions via optimal combinations of spectrograms", IEEE Signal Processing Letters 1 (1994).

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=3)
    >>> spec = heartfast.multi_resolution(y, sr, window_ms=20, windows_ms=[100])
    >>> float(spec.frequencies[1]), float(spec.times[1])
    (10.0, 0.01)
    """
    config = (config or SpectrogramConfig()).replace(**fields)
    return spectrogram(y, sr, config=config, jobs=jobs, windows_ms=windows_ms)


def reduce_noise(spec: Spectrogram, strength: float = 1.0, *, percent: float = 10.0) -> Spectrogram:
    """Subtract the mean spectrum of the noisiest frames from all frames.

    Parameters
    ----------
    spec : Spectrogram
        `values` of shape (..., bins, frames); each signal by itself.
    strength : float
        How many times the noise is subtracted, 0 or more. Below zero is zero.
    percent : float
        How many of the frames are taken for noise, over 0 to 100; at least one.

    Returns
    -------
    Spectrogram
        Of the same shape and dtype.

    Notes
    -----
    The noisiest frames are those whose power spectra, as distributions over bins, have the
    highest Shannon entropy; silent frames have none. Field `noise_reduction`, with
    `noise_percent`; the R package soundgen documents such a pair as noiseReduction and
    percentNoise.

    References
    ----------
    S. F. Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE Trans.
    ASSP 27 (1979); entropy: J. Shen, J. Hung and L. Lee, "Robust entropy-based endpoint detection
    for speech recognition in noisy environments", Proc. ICSLP (1998).

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=3)
    >>> spec = heartfast.spectrogram(y, sr)
    >>> quiet = heartfast.reduce_noise(spec, 1.5)
    >>> bool((quiet.values <= spec.values).all()), float(quiet.values.min())
    (True, 0.0)
    """
    return _apply(spec, noise_reduction=strength, noise_percent=percent)


def subtract_quantile(spec: Spectrogram, q: float = 0.5) -> Spectrogram:
    """Subtract from each bin its quantile over time: what hums steadily goes.

    Parameters
    ----------
    spec : Spectrogram
        `values` of shape (..., bins, frames).
    q : float
        The quantile, 0 to 1; 0.5 is the median. Below zero is zero.

    Returns
    -------
    Spectrogram
        Of the same shape and dtype.

    Notes
    -----
    Of magnitudes, not of decibels. Field `quantile`; the R package soundgen documents qTime.

    References
    ----------
    `numpy.quantile` with its default, linear interpolation: type 7 of R. Hyndman and Y. Fan,
    "Sample quantiles in statistical packages", The American Statistician 50 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> hum = np.sin(2 * np.pi * 60 * np.arange(4000) / 4000)
    >>> spec = heartfast.spectrogram(hum, 4000, center=False)
    >>> bool(heartfast.subtract_quantile(spec).values.max() < 1e-9 * spec.values.max())
    True
    """
    return _apply(spec, quantile=q)


def median_filter(spec: Spectrogram, *, time: int = 3, frequency: int = 3) -> Spectrogram:
    """Median of each value's neighbourhood: specks go, edges stay.

    Parameters
    ----------
    spec : Spectrogram
        `values` of shape (..., bins, frames).
    time, frequency : int
        Frames and bins of the neighbourhood, odd numbers of a product of at most 255.

    Returns
    -------
    Spectrogram
        Of the same shape and dtype.

    Notes
    -----
    Beyond the edges is the mirror image. The same for magnitudes, powers and decibels. Field
    `median`.

    References
    ----------
    J. W. Tukey, "Exploratory data analysis" (1977); `scipy.ndimage.median_filter`, whose values
    these are.

    Examples
    --------
    >>> import numpy as np
    >>> click = np.zeros(4000)
    >>> click[2000] = 1
    >>> spec = heartfast.spectrogram(click, 4000)
    >>> float(heartfast.median_filter(spec, time=5, frequency=1).values.max())
    0.0
    """
    return _apply(spec, median=(time, frequency))


def gaussian_blur(
    spec: Spectrogram, *, time_ms: float = 0.0, frequency_hz: float = 0.0
) -> Spectrogram:
    """Smooth levels with a Gaussian.

    Parameters
    ----------
    spec : Spectrogram
        `values` of shape (..., bins, frames).
    time_ms, frequency_hz : float
        Standard deviations in milliseconds and in Hz; 0 is none along that axis.

    Returns
    -------
    Spectrogram
        Of the same shape and dtype; magnitudes of the smoothed decibels.

    Notes
    -----
    Decibels are smoothed, as `Spectrogram.to_db` has them, floor and all: of magnitudes, a single
    loud bin would outshine all others over four standard deviations. The Gaussian is cut off
    there; beyond the edges is the mirror image. Field `blur`.

    References
    ----------
    `scipy.ndimage.gaussian_filter`, whose values these are.

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=3)
    >>> spec = heartfast.spectrogram(y, sr, overlap=75)
    >>> smooth = heartfast.gaussian_blur(spec, time_ms=20, frequency_hz=30)
    >>> bool(smooth.values.max() < spec.values.max())
    True
    """
    return _apply(spec, blur=(time_ms, frequency_hz))


def sharpen(spec: Spectrogram, *, time_ms: float = 0.0, frequency_hz: float = 0.0) -> Spectrogram:
    """Add to levels once more what they have beyond their surroundings: the unsharp mask.

    Parameters
    ----------
    spec : Spectrogram
        `values` of shape (..., bins, frames).
    time_ms, frequency_hz : float
        Standard deviations, in milliseconds and in Hz, of the Gaussian that tells what the
        surroundings are; 0 is none along that axis.

    Returns
    -------
    Spectrogram
        Of the same shape and dtype: magnitudes of twice the decibels less those of
        `gaussian_blur`.

    Notes
    -----
    Field `sharpen`.

    References
    ----------
    R. C. Gonzalez and R. E. Woods, "Digital image processing", section on unsharp masking.

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=3)
    >>> spec = heartfast.spectrogram(y, sr, overlap=75)
    >>> sharp = heartfast.sharpen(spec, time_ms=20, frequency_hz=30)
    >>> bool(sharp.values.max() > spec.values.max())
    True
    """
    return _apply(spec, sharpen=(time_ms, frequency_hz))


def spectral_derivative(
    spec: Spectrogram, axis: Literal["time", "frequency", "both"] = "both"
) -> Spectrogram:
    """How fast magnitudes change from frame to frame or from bin to bin: edges.

    Parameters
    ----------
    spec : Spectrogram
        `values` of shape (..., bins, frames).
    axis : str
        ``time``, ``frequency``, or ``both``: the length of the gradient.

    Returns
    -------
    Spectrogram
        Of the same shape and dtype: magnitudes of derivatives, per frame and per bin.

    Notes
    -----
    Central differences of magnitudes, at the edges those of neighbours. Field `derivative`.

    References
    ----------
    O. Tchernichovski et al., "A procedure for an automated measurement of song similarity",
    Animal Behaviour 59 (2000), who take multitapers; `numpy.gradient`, whose values these are.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 500 * np.arange(4000) / 4000)
    >>> spec = heartfast.spectrogram(tone, 4000, center=False)
    >>> edges = heartfast.spectral_derivative(spec, "frequency")
    >>> sorted(np.argsort(edges.values[:, 9])[-2:].tolist())
    [24, 26]
    """
    return _apply(spec, derivative=axis)


def _apply(spec: Spectrogram, **effect: Any) -> Spectrogram:
    """Apply one effect, on the grid of the configuration with which `spec` was made."""
    import numpy as np

    if spec.values.ndim < 2:
        found = spec.values.shape
        raise UsageError(f"spec.values: expected shape (..., bins, frames), found {found}")
    values = np.require(magnitudes(spec)[0], requirements=["C", "A"])
    config = spec.config.replace(**{**_NONE, **effect})
    rate, threads = sample_rate(spec.sr), cores(None)

    def change(values: Any, config: SpectrogramConfig) -> Any:
        return _core.apply_effects(np.ascontiguousarray(values), rate, config, threads)

    changed = near_one(change, values, config, 2)
    return Spectrogram(changed, sr=spec.sr, config=spec.config, silenced=spec.silenced)
