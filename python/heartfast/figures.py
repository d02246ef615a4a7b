"""Pictures for people: a spectrogram with axes over its oscillogram."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import _core
from heartfast._core import SpectrogramConfig
from heartfast.errors import UsageError, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from heartfast.picture import Spectrogram


class FigureConfig(NamedTuple):
    """Settings of a figure, beside those of its spectrogram; checked in a `SpectrogramConfig`.

    Parameters
    ----------
    width, height : int
        Size in points, 100 to 16384.
    scale : float
        Pixels to a point, 0.5 to 4: 2 for screens with a high density, or for print.
    osc : str
        The oscillogram below the spectrogram: ``linear``, ``db`` (decibels below its largest
        amplitude, the same above and below the middle) or ``none``.
    y_scale : str
        How frequencies are spread over the axis: ``linear``, ``log``, ``mel``, ``bark`` or ``erb``.
    xlim : (float, float), optional
        The part shown, in seconds of the recording. Levels stay those of the whole recording. The
        axis of frequencies has the configuration's `fmin` and `fmax`.
    title : str, optional
        By default the recording's name, if it has one.
    xlab, ylab : str, optional
        Names of the axes; by default with their units. A name with another unit than the axis has
        is a `HeartfastWarning`, or a note of `convert`.
    grid : bool
        Dotted lines at the ticks.
    colorbar : bool
        A scale of decibels.
    theme : str
        Colours of page, text and oscillogram: ``light`` or ``dark``.
    colormap : str, optional
        Colours of the spectrogram; by default ``bw`` on light and ``magma`` on dark. See
        `heartfast.SpectrogramConfig`, whose own `colormap` and `invert` are for tiles.
    contrast : float
        -1 to 1. Levels (0 to 1) are raised to the power of ``exp(3 * contrast)``, as in soundgen:
        over 0 faint ones fade.
    brightness : float
        -1 to 1. What levels become lighter by.
    font : path, optional
        A TrueType or OpenType file, for other scripts than Latin, Greek and Cyrillic. What it and
        the built-in font do not have is drawn with a font of this machine; what none has is a box,
        with a warning or a note.
    time_unit : str
        Of the time axis: ``ms``, ``s``, ``min``, or ``auto``: ms below 1 s, min from 10 min on.
    frequency_unit : str
        Of the frequency axis: ``Hz``, ``kHz``, or ``auto``: kHz from 2 kHz on, but for octaves.

    Notes
    -----
    Where there are several bins or frames to a pixel it shows the largest, so that no click is
    lost; where there are several pixels to one, levels between them. The oscillogram has in each
    column what the signal reaches there.

    References
    ----------
    Mel: O'Shaughnessy, "Speech communication" (1987). Bark: Traunmüller, JASA 88 (1990). ERB:
    Glasberg and Moore, Hearing Research 47 (1990).

    Examples
    --------
    >>> figure = heartfast.FigureConfig(theme="dark", y_scale="log")
    >>> heartfast.SpectrogramConfig(fmin=20, figure=figure).figure.theme
    'dark'
    """

    width: int = 900
    height: int = 500
    scale: float = 1.0
    osc: Literal["none", "linear", "db"] = "linear"
    y_scale: Literal["linear", "log", "mel", "bark", "erb"] = "linear"
    xlim: tuple[float, float] | None = None
    title: str | None = None
    xlab: str | None = None
    ylab: str | None = None
    grid: bool = False
    colorbar: bool = False
    theme: Literal["light", "dark"] = "light"
    colormap: str | None = None
    contrast: float = 0.0
    brightness: float = 0.0
    font: str | os.PathLike[str] | None = None
    time_unit: Literal["auto", "ms", "s", "min"] = "auto"
    frequency_unit: Literal["auto", "Hz", "kHz"] = "auto"


# Settings that suit a kind of recordings, as a whole: of the spectrogram, and of the figure.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # soundgen's spectrogramFolder as the published proof of concept called it.
    "published": ({"window_ms": 50, "overlap": 50, "detrend": "constant"}, {"contrast": 0.2}),
    # Heart sounds and murmurs lie below 800 Hz; 50 ms of a slow recording are few points.
    "heart": (
        {"window_ms": 50, "overlap": 85, "zero_pad": 4096, "fmin": 20, "fmax": 800}
        | {"dynamic_range": 55},
        {"colormap": "magma", "contrast": 0.15},
    ),
    # Wide bands, so that pitch periods and formants are seen.
    "speech": (
        {"window": "hann", "window_ms": 12, "overlap": 85, "zero_pad": 1024, "fmax": 8000}
        | {"dynamic_range": 65},
        {"contrast": 0.1},
    ),
    "bird": (
        {"window": "hann", "window_ms": 12, "overlap": 75, "zero_pad": 1024, "fmin": 500}
        | {"fmax": 12000, "dynamic_range": 60},
        {"colormap": "viridis"},
    ),
}


def preset(name: str) -> SpectrogramConfig:
    """The configuration of a preset: ``published``, ``heart``, ``speech`` or ``bird``.

    Parameters
    ----------
    name : str

    Returns
    -------
    SpectrogramConfig
        With a `figure`.

    Raises
    ------
    ValueError
        There is no preset of that name.

    Notes
    -----
    What each looks like, and why: docs/figures.md.

    Examples
    --------
    >>> heartfast.preset("heart").fmax
    800.0
    """
    if name not in PRESETS:
        raise UsageError(f"preset: expected one of {', '.join(PRESETS)}, found {name!r}")
    fields, figure = PRESETS[name]
    return SpectrogramConfig(**fields, figure=FigureConfig(**figure))


class Figure:
    """A figure, as a PNG file. A notebook shows it.

    Attributes
    ----------
    png : bytes
    axes : dict
        Where things are: size (width, height), plot and osc (left, top, right, bottom) in pixels;
        xlim in seconds, ylim in Hz at the plots' borders, whatever the units in which the axes
        count, which are time_unit and frequency_unit. Where texts needed fonts of this machine,
        fonts has the names of their files.

    Notes
    -----
    The PNG's provenance, in its iTXt chunk ``heartfast``, has the same and all settings.

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=1)
    >>> figure = heartfast.figure(y, sr, preset="heart")
    >>> figure.axes["size"], figure.axes["ylim"]
    ([900, 500], [20.0, 800.0])
    """

    def __init__(self, png: bytes) -> None:
        self.png = png

    @property
    def axes(self) -> dict[str, Any]:
        """Where things are: what the PNG's provenance says."""
        import json

        # The first chunk behind the header's, of a text with five zero bytes before it.
        end = 41 + int.from_bytes(self.png[33:37], "big")
        axes: dict[str, Any] = json.loads(self.png[41:end].split(b"\0", 5)[5])["axes"]
        return axes

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the PNG file."""
        from heartfast.files import write_bytes

        write_bytes(os.fspath(path), self.png)

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        width, height = (int.from_bytes(self.png[at : at + 4], "big") for at in (16, 20))
        return f"<Figure {width} x {height}, {len(self.png)} bytes>"


def figure(
    y: ArrayLike,
    sr: int,
    *,
    preset: str | None = None,
    config: SpectrogramConfig | None = None,
    intervals: Iterable[tuple[float, float, str]] = (),
    contour: tuple[ArrayLike, ArrayLike] | None = None,
    ylim: tuple[float, float] | None = None,
    **fields: Any,
) -> Figure:
    """Draw a signal's spectrogram over its oscillogram.

    Parameters
    ----------
    y : float array, shape (n,)
        Samples, full scale 1.0.
    sr : int
        Samples per second.
    preset : str, optional
        ``published``, ``heart``, ``speech`` or ``bird``; see `heartfast.preset`.
    config : SpectrogramConfig, optional
        Instead of a preset.
    intervals : iterable of (from, to, label)
        Labelled parts in seconds, as `heartfast.read_intervals` has them. A moment ends where it
        begins.
    contour : (times, frequencies), optional
        A line over the spectrogram, such as a pitch: seconds and Hz, broken where one is NaN.
    ylim : (float, float), optional
        Hz, for `fmin` and `fmax`.
    **fields
        Fields of `SpectrogramConfig` (window_ms, overlap, ...) and of `FigureConfig` (width, title,
        ...) that are to differ. `colormap` is the figure's.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError, TypeError
        A field or argument out of range, or unknown.

    Notes
    -----
    The same picture as ``heartfast convert --figure`` draws of the recording.

    References
    ----------
    The look is that of the R package soundgen's ``spectrogram``, with its proportions.

    Examples
    --------
    >>> y, sr = heartfast.synth.heart_sound(seed=1)
    >>> heartfast.figure(y, sr, ylim=(0, 500), theme="dark", title="Synthetic")
    <Figure 900 x 500, ... bytes>
    """
    import numpy as np

    from heartfast.picture import sample_rate, silence, warn_of_silenced

    config = figure_config(preset, config, ylim, fields)
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(y, dtype=np.float32)
    if samples.ndim != 1 or not samples.size:
        raise UsageError(f"y: expected shape (n,) with samples, found {samples.shape}")
    samples, silenced = silence(samples)
    caption = Caption("", *_over(intervals, contour))
    png, notes = _core.figure(samples, sample_rate(sr), config, caption)
    warn_of_silenced(silenced)
    return _with_warnings(png, notes)


def figure_of(
    spec: Spectrogram,
    *,
    intervals: Iterable[tuple[float, float, str]] = (),
    contour: tuple[ArrayLike, ArrayLike] | None = None,
    ylim: tuple[float, float] | None = None,
    **fields: Any,
) -> Figure:
    """Draw a spectrogram; see `Spectrogram.figure`."""
    import numpy as np

    from heartfast.picture import sample_rate, silence, to_image, warn_of_silenced

    config = figure_config(None, spec.config, ylim, fields)
    for name in ("window", "window_ms", "overlap", "hop_ms", "zero_pad", "center"):
        if getattr(config, name) != getattr(spec.config, name):
            raise UsageError(
                f"{name}: expected that of the spectrogram, {getattr(spec.config, name)!r}, found "
                f"{getattr(config, name)!r}"
            )
    levels = to_image(spec, config=config.replace(figure=None, size=None, invert=False))
    signal, silenced = spec.signal, 0
    if signal is not None:
        with np.errstate(over="ignore"):
            signal = np.ascontiguousarray(signal, dtype=np.float32)
        signal, silenced = silence(signal)
    caption = Caption("", *_over(intervals, contour))
    rate = sample_rate(spec.sr)
    png, notes = _core.figure_of_levels(levels, signal, rate, config, caption)
    if silenced > spec.silenced:  # of the others there was a warning when it was made
        warn_of_silenced(silenced)
    return _with_warnings(png, notes)


def _with_warnings(png: bytes, notes: Iterable[str]) -> Figure:
    for note in notes:
        warn(note)
    return Figure(png)


def figure_config(
    preset_name: str | None,
    config: SpectrogramConfig | None,
    ylim: Sequence[float] | None,
    fields: dict[str, Any],
) -> SpectrogramConfig:
    """A configuration with a figure, from a preset or another one and fields of both kinds."""
    if preset_name is not None and config is not None:
        raise UsageError("preset, config: expected one of the two, found both")
    base = config or (SpectrogramConfig() if preset_name is None else preset(preset_name))
    if ylim is not None:
        if len(ylim) != 2 or fields.keys() & {"fmin", "fmax"}:
            raise UsageError(
                f"ylim: expected (from, to) in Hz, without fmin and fmax, found {ylim}"
            )
        fields = {**fields, "fmin": ylim[0], "fmax": ylim[1]}
    own = {name: value for name, value in fields.items() if name in FigureConfig._fields}
    others = {name: value for name, value in fields.items() if name not in own}
    drawn = (base.figure or FigureConfig())._replace(**own)
    return base.replace(**others, size=None, figure=drawn)


class Caption(NamedTuple):
    """What a figure says of its recording, for the core."""

    title: str
    intervals: list[tuple[float, float, str]]
    contour: NDArray[np.float64] | list[tuple[float, float]]


def _over(
    intervals: Iterable[tuple[float, float, str]],
    contour: tuple[ArrayLike, ArrayLike] | None,
) -> tuple[list[tuple[float, float, str]], list[tuple[float, float]]]:
    """What lies over a spectrogram, checked."""
    import numpy as np

    marks = [(float(begin), float(end), str(label)) for begin, end, label in intervals]
    for begin, end, label in marks:
        if not begin <= end < float("inf"):
            raise UsageError(f"intervals: expected from <= to, found ({begin}, {end}, {label!r})")
    points: list[tuple[float, float]] = []
    if contour is not None:
        times, frequencies = (np.asarray(part, dtype=np.float64) for part in contour)
        if times.ndim != 1 or times.shape != frequencies.shape:
            raise UsageError(
                "contour: expected times and frequencies of one shape (n,), found "
                f"{times.shape} and {frequencies.shape}"
            )
        points = list(zip(times.tolist(), frequencies.tolist(), strict=True))
    return marks, points
