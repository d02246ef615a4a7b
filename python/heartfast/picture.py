"""A spectrogram with its axes, and how it becomes a picture."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Literal

from heartfast import _core
from heartfast._core import SpectrogramConfig
from heartfast.errors import UsageError, warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from heartfast.figures import Figure


def to_image(spec: Spectrogram, *, config: SpectrogramConfig | None = None) -> NDArray[np.uint8]:
    """Gray levels of a spectrogram: the pixels that `convert` writes.

    Parameters
    ----------
    spec : Spectrogram
        Of one signal: `values` of shape (bins, frames).
    config : SpectrogramConfig, optional
        Other settings of the picture (dynamic_range, ref, fmin, fmax, size, invert) than the
        spectrogram's own.

    Returns
    -------
    uint8 array, shape (height, width)
        Row 0 is the highest frequency, time runs right. For a colour map these are the indexes
        of its colours.

    Notes
    -----
    Gray is ``round(255 * (1 + dB / dynamic_range))`` between 0 and 255, where
    ``dB = 20 * log10(magnitude / ref)``. `size` averages areas exactly where it shrinks, and
    interpolates linearly where it grows. Values that are no finite numbers count as no magnitude,
    with a `HeartfastWarning`.

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(duration_s=4.0)
    >>> heartfast.to_image(heartfast.spectrogram(y, sr, fmax=1000, size=(64, 128))).shape
    (64, 128)
    """
    import numpy as np

    if spec.values.ndim != 2:
        raise UsageError(f"spec.values: expected shape (bins, frames), found {spec.values.shape}")
    values = np.require(magnitudes(spec)[0], requirements=["C", "A"])
    return _core.paint(values, sample_rate(spec.sr), config or spec.config)


def encode_png(
    pixels: NDArray[np.uint8],
    *,
    colormap: str | NDArray[np.uint8] = "gray",
    text: dict[str, str] | None = None,
    preset: Literal["fast", "small"] = "fast",
) -> bytes:
    """A PNG file of an array.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width) or (height, width, 3)
        Gray levels or colour indexes, or sRGB.
    colormap : str or uint8 array, shape (n, 3)
        A colour map's name, or a palette of 1 to 256 sRGB colours, for (height, width) pixels;
        written as indexed colour.
    text : dict, optional
        Texts by keyword (1 to 79 printable ASCII characters), as iTXt chunks.
    preset : str
        ``fast``, or ``small``: more filters and a search for repeats, at some twenty times the
        time; worth it where large areas repeat.

    Returns
    -------
    bytes

    Raises
    ------
    EncodeError
        There are no pixels or too many, or an index beyond the palette.

    References
    ----------
    W3C, "Portable Network Graphics (PNG) Specification", third edition; RFC 1950 (zlib) and
    RFC 1951 (DEFLATE).

    Examples
    --------
    >>> import numpy as np
    >>> heartfast.encode_png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    import re

    import numpy as np

    if isinstance(colormap, str):
        colours = _core.palette(colormap)
        palette = None if colours is None else np.frombuffer(colours, np.uint8).reshape(256, 3)
    else:
        palette = np.asarray(colormap)
        if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] != 3:
            raise UsageError(
                f"colormap: expected a name or a uint8 palette of shape (n, 3), found "
                f"{palette.dtype} of shape {palette.shape}"
            )
        palette = np.require(palette, requirements=["C", "A"])
    texts = list((text or {}).items())
    for keyword, content in texts:
        # PNG 11.3.3.2: single spaces, inside only. A zero byte would end a text early.
        if len(keyword) > 79 or not re.fullmatch("[!-~]+( [!-~]+)*", keyword):
            raise UsageError(
                f"text: expected keywords of 1 to 79 printable ASCII characters, found {keyword!r}"
            )
        if "\0" in content:
            raise UsageError(f"text: expected no zero bytes, found one in {keyword!r}")
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        raise TypeError(f"pixels: expected dtype uint8, found {pixels.dtype}")
    return _core.encode_png(np.require(pixels, requirements=["C", "A"]), palette, texts, preset)


class Spectrogram:
    """Magnitudes over frequency and time.

    Attributes
    ----------
    values : float32 or float64 array, shape (..., bins, frames)
        Magnitudes, lowest frequency first.
    frequencies : float64 array, shape (bins,)
        Hz.
    times : float64 array, shape (frames,)
        Seconds; the middle of each frame.
    sr : int
        Samples per second of the signal.
    config : SpectrogramConfig
        How it was made, and how it is drawn.
    signal : float array, shape (..., n), optional
        What it was made of: the array itself, not a copy. A notebook shows the figure and a player.
    silenced : int
        Samples that were no finite numbers and count as silence, as in `convert`.

    Notes
    -----
    ``np.asarray(spec)`` is its `values`.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    >>> spec = heartfast.spectrogram(tone, 8000)
    >>> spec
    <Spectrogram 201 x 41 float64, 8000 Hz>
    >>> float(spec.frequencies[spec.values[:, 20].argmax()]), float(spec.times[20])
    (440.0, 0.5)
    >>> spec.to_db().max() == 0, spec.to_png()[:4]
    (np.True_, b'\\x89PNG')
    """

    def __init__(
        self,
        values: NDArray[Any],
        *,
        sr: int,
        config: SpectrogramConfig,
        signal: NDArray[Any] | None = None,
        silenced: int = 0,
    ) -> None:
        self.values = values
        self.sr = sr
        self.config = config
        self.signal = signal
        self.silenced = silenced

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Its `values`, for NumPy: not a copy, unless another dtype or `copy` asks for one."""
        import numpy as np

        values = np.asarray(self.values)
        if dtype is None or np.dtype(dtype) == values.dtype:
            return values.copy() if copy else values
        if copy is False:
            raise UsageError(
                f"copy: expected True or None for dtype {np.dtype(dtype)}, found False and values "
                f"of {values.dtype}"
            )
        return values.astype(dtype)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Hz of each bin, float64, shape (bins,)."""
        import numpy as np

        n_fft = self.config.geometry(self.sr)["n_fft"]
        return np.arange(self.values.shape[-2], dtype=np.float64) * (self.sr / n_fft)

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds of the middle of each frame, float64, shape (frames,)."""
        import numpy as np

        shape = self.config.geometry(self.sr)
        first = 0 if self.config.center else shape["win_length"] // 2
        return (first + np.arange(self.values.shape[-1]) * shape["hop_length"]) / self.sr

    def to_db(self) -> NDArray[Any]:
        """Decibels below `config.ref`, no lower than ``-config.dynamic_range``.

        Returns
        -------
        float array, shape (..., bins, frames)
            With ``ref="max"`` each signal's own maximum is 0 dB. Values that are no finite numbers
            count as no magnitude, with a `HeartfastWarning`.
        """
        import numpy as np

        values, _ = magnitudes(self)
        ref = self.config.ref
        if isinstance(ref, str):
            reference = values.max(axis=(-2, -1), keepdims=True)
            # A silent signal is silent against any reference.
            reference = np.where(reference > 0, reference, 1)
        else:
            reference = np.asarray(ref, dtype=values.dtype)
        floor = 10.0 ** (-self.config.dynamic_range / 20)
        decibels: NDArray[Any] = 20 * np.log10(np.maximum(values / reference, floor))
        return decibels

    def to_image(self) -> NDArray[np.uint8]:
        """Gray levels, uint8, shape (height, width); see `heartfast.to_image`."""
        return to_image(self)

    def to_png(self) -> bytes:
        """The picture as a PNG file, in the colours of `config.colormap`."""
        return encode_png(self.to_image(), colormap=self.config.colormap)

    def figure(
        self,
        *,
        intervals: Iterable[tuple[float, float, str]] = (),
        contour: tuple[ArrayLike, ArrayLike] | None = None,
        ylim: tuple[float, float] | None = None,
        **fields: Any,
    ) -> Figure:
        """Draw it with axes, over its signal's oscillogram.

        Parameters
        ----------
        intervals, contour, ylim
            As `heartfast.figure` has them.
        **fields
            Fields of `FigureConfig` (width, title, theme, ...), and those of `SpectrogramConfig`
            that do not concern the transform (dynamic_range, ref, fmin, fmax).

        Returns
        -------
        Figure

        Raises
        ------
        ValueError
            A field out of range, or one of the transform; or several signals.

        Examples
        --------
        >>> y, sr = heartfast.synth.heart_sound(seed=1)
        >>> heartfast.spectrogram(y, sr).figure(colormap="viridis", colorbar=True)
        <Figure 900 x 500, ... bytes>
        """
        from heartfast.figures import figure_of

        return figure_of(self, intervals=intervals, contour=contour, ylim=ylim, **fields)

    def _repr_html_(self) -> str | None:
        """The figure and a player, for notebooks."""
        from base64 import b64encode

        if self.values.ndim != 2:
            return None
        png = b64encode(self.figure().png).decode()
        html = f'<img alt="Spectrogram" style="max-width: 100%" src="data:image/png;base64,{png}">'
        if self.signal is not None:
            wav = b64encode(wav_bytes(self.signal, self.sr)).decode()
            html += f'<br><audio controls src="data:audio/wav;base64,{wav}"></audio>'
        return html

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.values.shape))
        return f"<Spectrogram {shape} {self.values.dtype}, {self.sr} Hz>"


def wav_bytes(signal: NDArray[Any], sr: int) -> bytes:
    """A WAV file, 16 bit, of a signal of shape (n,): louder than full scale is cut off."""
    import io
    import wave

    import numpy as np

    samples = np.clip(silence(signal)[0], -1, 1) * 32767
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((1, 2, sample_rate(sr), 0, "NONE", ""))
        wav.writeframes(np.rint(samples).astype("<i2").tobytes())
    return file.getvalue()


def silence(signal: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """A signal with 0 for what is no finite number, and how many samples that were."""
    import numpy as np

    # A sum is finite only where all samples are, and takes no memory.
    with np.errstate(all="ignore"):
        if np.isfinite(signal.sum()):
            return signal, 0
    damaged = ~np.isfinite(signal)
    count = int(np.count_nonzero(damaged))
    return (np.where(damaged, signal.dtype.type(0), signal), count) if count else (signal, 0)


def magnitudes(spec: Spectrogram) -> tuple[NDArray[Any], int]:
    """A spectrogram's values as float32 or float64, with 0 for what is no finite number.

    Returns how many values that were, too; and warns of them.
    """
    import numpy as np

    values = np.asarray(spec.values)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    values, count = silence(values)
    if count:
        warn(
            f"spec.values: expected finite numbers, found {count} that are not: they count as "
            "no magnitude"
        )
    return values, count


def warn_of_silenced(count: int) -> None:
    """Warn of samples that are no finite numbers."""
    if count:
        warn(
            f"y: expected finite numbers, found {count} samples that are not: they count as silence"
        )


def sample_rate(sr: float) -> int:
    """`sr` as the core takes it; `UsageError` unless it is a whole number over 0."""
    # NaN is in no interval, and infinity no whole number.
    if not isinstance(sr, numbers.Real) or not 0 < sr < 2**32 or sr != int(sr):
        raise UsageError(f"sr: expected a whole number of samples per second, found {sr!r}")
    return int(sr)
