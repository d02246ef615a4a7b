"""Recordings and arrays into spectrograms, in the habits of librosa and scipy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from heartfast import _core, remarks
from heartfast._core import MAX_N_FFT, SpectrogramConfig
from heartfast.errors import UsageError, warn
from heartfast.parallel import cores
from heartfast.picture import Spectrogram, sample_rate, silence, warn_of_silenced

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from heartfast._core import _ConfigFields


def load(
    path: str | os.PathLike[str],
    *,
    sr: int | None = None,
    mono: bool = True,
    offset: float = 0.0,
    duration: float | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Read a recording.

    Parameters
    ----------
    path : path
        A WAV, AIFF, AU, FLAC, OGG Vorbis, MP3, CAF or M4A file, whatever its name ends in.
    sr : int, optional
        Resample to this many samples per second; by default the recording's own rate is kept.
    mono : bool
        Mix all channels to one, their mean.
    offset, duration : float
        Read only this part, in seconds to the nearest sample (librosa.load drops fractions of
        samples). The rest is not decoded, or not kept: it may be longer than the memory.

    Returns
    -------
    y : float32 array, shape (n,) or, for several channels with ``mono=False``, (channels, n)
        Samples; full scale is 1.0.
    sr : int
        Samples per second.

    Raises
    ------
    OSError
        The file cannot be read.
    UnsupportedFormatError, DecodeError
        It is not a recording, or a damaged one, or one that ends before `offset`; sound is missing
        in it.
    ValueError
        An argument out of range.

    Warns
    -----
    HeartfastWarning
        The recording is shorter than its header says, a size in there does not fit the file, or
        there is data that is not read.

    Notes
    -----
    Samples are those of soundfile's ``read(dtype="float32")``. Resampling is band-limited, by FFT
    (the rubato library); within its passband it gives what `scipy.signal.resample_poly` gives.

    Examples
    --------
    >>> import heartfast, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "beat.wav"
    >>> heartfast.synth.write_wav(path, *heartfast.synth.heart_sound(duration_s=2.0))
    >>> y, sr = heartfast.load(path)
    >>> y.shape, y.dtype.name, sr
    ((8000,), 'float32', 4000)
    """
    import numpy as np  # noqa: F401 - here, where Ctrl-C may end it; the core would import it

    if not 0 <= offset < float("inf"):
        raise UsageError(f"offset: expected at least 0 seconds, found {offset}")
    rate = None if sr is None else sample_rate(sr)
    samples, rate, odd = _core.load(path, rate, mono, offset, duration)
    for kind, text in odd:
        said = f"{os.fspath(path)}: {remarks.sentence(kind, text)}"
        warn(said)
    if samples.shape[1] == 1:
        return samples[:, 0], rate
    return samples.T, rate


def get_window(window: str | tuple[str, float], n: int, *, sym: bool = True) -> NDArray[np.float64]:
    """Samples of an analysis window.

    Parameters
    ----------
    window : str or ("gaussian", std)
        A name that `SpectrogramConfig` takes; ``("gaussian", std)`` has its standard
        deviation in samples, as `scipy.signal.windows.gaussian`.
    n : int
        Length in samples.
    sym : bool
        Symmetric, as soundgen uses windows; without, periodic, as `scipy.signal.get_window`.

    Returns
    -------
    float64 array, shape (n,)

    References
    ----------
    ``gaussian`` is that of the R packages seewave and soundgen. The others are those of
    `scipy.signal.windows`; F. J. Harris, "On the use of windows for harmonic analysis with the
    discrete Fourier transform", Proc. IEEE 66 (1978).

    Examples
    --------
    >>> heartfast.get_window("hann", 5)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    if n < 0:
        raise UsageError(f"n: expected a number of 0 or more, found {n}")
    if n > MAX_N_FFT:
        raise UsageError(f"n: expected at most {MAX_N_FFT} samples, found {n}")
    return _core.get_window(window, n, sym)


def stft(
    y: ArrayLike,
    *,
    n_fft: int | None = None,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: str | tuple[str, float] = "gaussian",
    sym: bool = True,
    center: bool = True,
    jobs: int | None = None,
) -> NDArray[Any]:
    """Short-time Fourier transform of real signals.

    Parameters
    ----------
    y : float32 or float64 array, shape (..., n)
        Signals along the last axis. Other dtypes are converted to float64. C-contiguous arrays
        are read in place.
    n_fft : int, optional
        FFT length; `win_length` by default, or 2048.
    hop_length : int, optional
        Samples from frame to frame; a quarter of `win_length` by default.
    win_length : int, optional
        Length of the window, at most `n_fft`, which is the default. Within a longer FFT the
        window stands in the middle, as in librosa.
    window, sym
        As in `get_window`.
    center : bool
        Frame k has the window's sample ``win_length // 2`` on sample ``k * hop_length``, with
        silence beyond both ends; without, frame k starts there and only whole frames count. A
        signal shorter than one window is padded with silence.
    jobs : int, optional
        Threads; one per core by default. The result does not depend on it.

    Returns
    -------
    complex64 (for float32) or complex128 array, shape (..., 1 + n_fft // 2, frames)
        With `center`, ``frames = 1 + n // hop_length``.

    Raises
    ------
    ValueError
        A length is not positive, the window is longer than the FFT, or `y` has no samples.

    Notes
    -----
    Samples that are no finite numbers count as silence, as in `convert`, with a `HeartfastWarning`
    that counts them. (scipy and librosa let them make all frames NaN in whose windows they are.)

    References
    ----------
    J. B. Allen and L. R. Rabiner, "A unified approach to short-time Fourier analysis and
    synthesis", Proc. IEEE 65 (1977). Frames, padding and shape are those of `librosa.stft` with
    ``pad_mode="constant"``; magnitudes also those of `scipy.signal.ShortTimeFFT`.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 500 * np.arange(4000) / 4000)
    >>> z = heartfast.stft(tone, n_fft=200, hop_length=100)
    >>> z.shape, int(np.abs(z[:, 20]).argmax())
    ((101, 41), 25)
    """
    signal, silenced = _signal(y)
    framing = _framing(n_fft, hop_length, win_length, window, sym, center)
    warn_of_silenced(silenced)
    return near_one(lambda part, _: _core.stft(part, framing, cores(jobs)), signal, None, 1)


def spectrogram(
    y: ArrayLike,
    sr: int,
    *,
    config: SpectrogramConfig | None = None,
    jobs: int | None = None,
    **fields: Unpack[_ConfigFields],
) -> Spectrogram:
    """Magnitude spectrogram with its axes.

    Parameters
    ----------
    y : float32 or float64 array, shape (..., n)
        Signals along the last axis, taken as they are (full scale 1.0).
    sr : int
        Samples per second.
    config : SpectrogramConfig, optional
        The settings; or give its fields by name (``window_ms=25, overlap=75``), which also
        change those of a given `config`.
    jobs : int, optional
        Threads; one per core by default. The result does not depend on it.

    Returns
    -------
    Spectrogram
        Its `values` have shape (..., bins, frames) and the dtype of `y`; `fmin`, `fmax` and the
        picture's settings (`size`, `colormap`, ...) apply when it is drawn.

    Notes
    -----
    The magnitude of `stft`, not scaled, and what the effects of `config` make of it: the same as
    the functions of their names, one after the other in the order of the fields. Lengths in
    milliseconds, overlap in percent and zero padding in points are those of soundgen's
    ``spectrogram``. Samples that are no finite numbers count as silence, as in `convert`:
    `Spectrogram.silenced` counts them, and a `HeartfastWarning` says so.

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=3)
    >>> spec = heartfast.spectrogram(y, sr, window_ms=50, overlap=50)
    >>> spec.values.shape == (spec.frequencies.size, spec.times.size)
    True
    """
    import numpy as np

    config = (config or SpectrogramConfig()).replace(**fields)
    given = np.asarray(y)
    signal, silenced = _signal(given)
    if given.dtype != signal.dtype or not silenced:
        given = signal
    rate, threads = sample_rate(sr), cores(jobs)

    def magnitudes(signals: NDArray[Any], config: SpectrogramConfig) -> NDArray[Any]:
        if config.detrend:
            # The mean in double precision: rounded, it would leave a step in a faint signal.
            mean = signals.mean(axis=-1, keepdims=True, dtype=np.float64)
            signals = (signals - mean).astype(signals.dtype)
        return _core.spectrogram(np.ascontiguousarray(signals), rate, config, threads)

    values = near_one(magnitudes, signal, config, 1)
    warn_of_silenced(silenced)
    return Spectrogram(values, sr=sr, config=config, signal=given, silenced=silenced)


def near_one(
    work: Callable[[NDArray[Any], Any], NDArray[Any]],
    signals: NDArray[Any],
    config: SpectrogramConfig | None,
    axes: int,
) -> NDArray[Any]:
    """Do what scales with its input, on signals along the last `axes`.

    Those whose peak is far from 1 are brought there by a power of two and worked on one by one, so
    that no sum or square overflows or vanishes: what overflows in one frame would make its
    neighbours NaN.
    """
    import numpy as np

    along = tuple(range(-axes, 0))
    peaks = np.maximum(signals.max(axis=along), -signals.min(axis=along))
    tame = (peaks == 0) | ((peaks > 1e-8) & (peaks < 1e8))
    if tame.all():
        return work(signals, config)
    exponents = np.where(tame, 0, np.frexp(peaks)[1])
    leading = signals.shape[: signals.ndim - axes]
    rows = signals.reshape(-1, *signals.shape[-axes:])
    done = []
    for row, exponent in zip(rows, exponents.ravel().tolist(), strict=True):
        settings = config
        if config is not None and not isinstance(config.ref, str):
            ref = float(np.clip(np.ldexp(config.ref, -exponent), 5e-324, 1.7e308))
            settings = config.replace(ref=ref)
        made = work(_times(row, -exponent), settings)
        done.append(_times(made, exponent))
    return np.stack(done).reshape(*leading, *done[0].shape)


def _times(values: NDArray[Any], exponent: int) -> NDArray[Any]:
    """Return values times a power of two, in two steps: it may be no number of their dtype."""
    import numpy as np

    half = exponent // 2
    with np.errstate(over="ignore", invalid="ignore"):
        return values * 2.0**half * 2.0 ** (exponent - half)


def power_to_db(
    power: ArrayLike,
    *,
    ref: float | Literal["max"] = 1.0,
    amin: float = 1e-10,
    top_db: float | None = 80.0,
) -> NDArray[Any]:
    """Power in decibels, ``10 log10(power / ref)``, as `librosa.power_to_db`.

    Parameters
    ----------
    power : array, any shape
        Squared magnitudes.
    ref : float or "max"
        The power that is 0 dB.
    amin : float
        Smaller powers count as this one.
    top_db : float, optional
        Values further below the largest are raised to that distance.

    Returns
    -------
    float array of the same shape
        NaN and infinite powers stay what they are, in their places only: ``ref="max"`` and `top_db`
        are of the others.

    References
    ----------
    `librosa.power_to_db`, whose values these are; its ``ref=np.max`` is ``ref="max"`` here.

    Examples
    --------
    >>> heartfast.power_to_db([1.0, 0.1, 1e-12])
    array([  0., -10., -80.])
    """
    import math

    import numpy as np

    if not amin > 0:
        raise UsageError(f"amin: expected a positive number, found {amin}")
    if top_db is not None and top_db < 0:
        raise UsageError(f"top_db: expected a number of 0 or more, found {top_db}")
    power = np.asarray(power)
    if power.dtype.kind != "f":
        power = power.astype(np.float64)
    known = silence(power)[0]
    reference = float(known.max(initial=0.0)) if ref == "max" else abs(float(ref))
    # A Python number, not NumPy's: single precision stays single.
    zero = 10.0 * math.log10(max(reference, amin))
    decibels: NDArray[Any] = 10.0 * np.log10(np.maximum(power, amin)) - zero
    if top_db is not None and decibels.size:
        loudest = decibels.max(where=np.isfinite(decibels), initial=-np.inf)
        decibels = np.maximum(decibels, loudest - top_db)
    return decibels


class _Framing(NamedTuple):
    window: NDArray[np.float64]
    hop_length: int
    n_fft: int
    center: bool


def _framing(
    n_fft: int | None,
    hop_length: int | None,
    win_length: int | None,
    window: str | tuple[str, float],
    sym: bool,
    center: bool,
) -> _Framing:
    if n_fft is None:
        n_fft = 2048 if win_length is None else win_length
    if win_length is None:
        win_length = n_fft
    if hop_length is None:
        hop_length = max(1, win_length // 4)
    for name, value in (("n_fft", n_fft), ("hop_length", hop_length), ("win_length", win_length)):
        if value < 1:
            raise UsageError(f"{name}: expected at least 1, found {value}")
        if value > MAX_N_FFT:
            raise UsageError(f"{name}: expected at most {MAX_N_FFT} samples, found {value}")
    return _Framing(get_window(window, win_length, sym=sym), hop_length, n_fft, center)


def _signal(y: ArrayLike) -> tuple[NDArray[Any], int]:
    """A signal as the core takes it, and how many of its samples were no finite numbers."""
    import numpy as np

    signal = np.asarray(y)
    if signal.dtype.kind not in "fiub":
        raise TypeError(f"y: expected real numbers, found dtype {signal.dtype}")
    if signal.dtype not in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            signal = signal.astype(np.float64)
    if signal.ndim == 0 or signal.shape[-1] == 0:
        raise UsageError(f"y: expected at least one sample, found shape {signal.shape}")
    signal, silenced = silence(signal)
    return np.require(signal, requirements=["C", "A"]), silenced
