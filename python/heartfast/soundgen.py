"""The R function `soundgen::spectrogramFolder`, which left soundgen in 2021."""

from __future__ import annotations

import inspect
import os
import time
from typing import TYPE_CHECKING, Any

from heartfast._core import SpectrogramConfig
from heartfast.errors import UsageError, warn
from heartfast.figures import FigureConfig
from heartfast.soundgen_arguments import (
    by_python_names,
    choice,
    flag,
    is_missing,
    number,
    size_in_points,
    whole,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from heartfast.conversion import Failed
    from heartfast.progress import Progress

# The page of all pictures, as soundgen 1.8 called it.
PAGE = "00_clickable_plots.html"
_WINDOWS = {
    "gaussian": "gaussian", "hanning": "hann", "hann": "hann", "hamming": "hamming",
    "blackman": "blackman", "bartlett": "bartlett", "flattop": "flattop",
    "rectangular": "rectangular", "rectangle": "rectangular",
}  # fmt: skip
_OSC = {"none": "none", "linear": "linear", "db": "db", "true": "linear", "false": "none"}
_SCALES = {name: name for name in ("linear", "log", "mel", "bark", "erb")}
_COLORS = {
    name: name
    for name in (
        "bw", "seewave", "heat", "gray", "viridis", "magma", "inferno", "plasma", "cividis",
        "turbo",
    )
} | {"heat.colors": "heat", "gray.colors": "gray", "grey.colors": "gray"}  # fmt: skip
# R's palettes that heartfast does not have.
_OTHER_PALETTES = (
    "cm.colors", "topo.colors", "terrain.colors", "rainbow", "hcl.colors", "matlab",
)  # fmt: skip
_METHODS = {
    "spectrum": "", "spectralderivative": "derivative", "derivative": "derivative",
    "reassigned": "reassign",
}  # fmt: skip


def spectrogram_folder(
    folder: str | os.PathLike[str] | None = None,
    html_plots: bool = True,
    window_length: float = 50,
    step: float | None = None,
    overlap: float = 50,
    wn: str = "gaussian",
    zp: int = 0,
    ylim: tuple[float, float] | None = None,
    osc: bool | Literal["none", "linear", "db", "dB"] = True,
    xlab: str | None = None,
    ylab: str | None = None,
    width: float = 900,
    height: float = 500,
    *,
    units: Literal["px", "in", "cm", "mm"] = "px",
    res: float | None = None,
    verbose: bool = False,
    dynamic_range: float = 80,
    contrast: float = 0.2,
    brightness: float = 0,
    color_theme: str = "bw",
    y_scale: str = "linear",
    title: str | None = None,
    time_unit: Literal["auto", "ms", "s", "min"] = "ms",
    frequency_unit: Literal["auto", "Hz", "kHz"] = "kHz",
    font: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    **spellings: Any,
) -> list[Failed]:
    """Draw a figure beside every WAV and MP3 in a folder, and a page that plays them.

    Takes every argument of soundgen 1.8.2's ``spectrogramFolder`` and of the ``spectrogram`` to
    which it passes others on, in R's spelling (``htmlPlots``, ``windowLength``) or in Python's
    (``html_plots``, ``window_length``), with R's values: ``"heat.colors"``, ``"ERB"``, ``"dB"``,
    None for NULL, NaN for NA. NULL and NA stand for the default.

    Parameters
    ----------
    folder : path
        Its recordings; those in folders inside are left alone. R calls it ``myfolder``.
    html_plots : bool
        Write ``00_clickable_plots.html`` into it.
    window_length : float
        Of the analysis window, in ms.
    step : float, optional
        From window to window, in ms, instead of `overlap`.
    overlap : float
        Of neighbouring windows, in percent.
    wn : str
        The window: ``gaussian``, ``hanning``, ``hamming``, ``blackman``, ``bartlett``, ``flattop``
        or ``rectangular``.
    zp : int
        FFT length in points; below the window's length it means that length.
    ylim : (float, float), optional
        Frequencies shown, in kHz; all by default.
    osc : bool or str
        Draw the oscillogram: linear, or in decibels (``"dB"``).
    xlab, ylab : str, optional
        Names of the axes: ``Time, ms`` and ``kHz`` by default. Another unit than the axis has is a
        `HeartfastWarning`.
    width, height : float
        In `units`.
    units : str
        ``px``, ``in``, ``cm`` or ``mm``; all but the first need `res`.
    res : float, optional
        Pixels per inch: of `units`, and for the size of text, which is that of 72 by default.
    verbose : bool
        Print on standard error how far it is. R's default is True.
    dynamic_range : float
        dB shown below the maximum.
    contrast, brightness : float
        As `heartfast.FigureConfig` has them.
    color_theme : str
        ``bw``, ``seewave``, ``heat.colors`` (or ``heat``), or another colour map of
        `heartfast.SpectrogramConfig`.
    y_scale : str
        ``linear``, ``log``, ``mel``, ``bark`` or ``ERB``.
    title : str, optional
        Of all of them; by default each file's name. R calls it ``main``.
    time_unit, frequency_unit : str
        Of the axes, as in `heartfast.FigureConfig`; soundgen's by default.
    font : path, optional
        As in `heartfast.FigureConfig`; R's numbers of fonts have no effect.
    jobs : int, optional
        Threads; by default one per core. Later versions of soundgen call it ``cores``.
    **spellings
        R's spellings of these, and further arguments of soundgen's ``spectrogram``. These have an
        effect: ``smoothFreq``, ``smoothTime`` (the median of so many bins and frames), ``qTime``,
        ``percentNoise``, ``noiseReduction``, ``method="spectralDerivative"``, ``osc_dB``,
        ``padWithSilence``, ``grid`` (at the ticks), and of later versions ``specType`` and
        ``blur`` (Hz, ms; below 0 it sharpens). Others (``output``, ``heights``, ``maxPoints``,
        ``mar``, ``cex``, ...) have none: a `HeartfastWarning` names each whose value is not
        soundgen's default.

    Returns
    -------
    list of Failed
        The recordings that could not be drawn; the others are.

    Raises
    ------
    OSError
        The folder is missing or cannot be written.
    ValueError
        An argument out of range, or given in two spellings.
    TypeError
        An argument that neither soundgen nor heartfast knows; the message has the nearest one.

    Notes
    -----
    ``x.wav`` becomes ``x.png``, unless there is an ``x.mp3`` as well: then they are ``x.wav.png``
    and ``x.mp3.png``. Every note of `convert`, this one too, is a `HeartfastWarning`. Of several
    channels their mean is drawn (soundgen takes the left one). Pictures that are there are drawn
    anew. The file does not record `res`.

    References
    ----------
    A. Anikin, "Soundgen: an open-source tool for synthesizing nonverbal vocalizations", Behavior
    Research Methods 51 (2019); names and defaults are those of version 1.8.2, and those of `units`
    and `res` of R's ``png``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> heartfast.synth.write_wav(folder / "beat.wav", *heartfast.synth.heart_sound(seed=1))
    >>> heartfast.spectrogram_folder(folder, windowLength=50, overlap=50)
    []
    >>> sorted(path.name for path in folder.iterdir())
    ['00_clickable_plots.html', 'beat.png', 'beat.wav']
    """
    given = {
        "folder": folder, "html_plots": html_plots, "window_length": window_length, "step": step,
        "overlap": overlap, "wn": wn, "zp": zp, "ylim": ylim, "osc": osc, "xlab": xlab,
        "ylab": ylab, "width": width, "height": height, "units": units, "res": res,
        "verbose": verbose, "dynamic_range": dynamic_range, "contrast": contrast,
        "brightness": brightness, "color_theme": color_theme, "y_scale": y_scale, "title": title,
        "time_unit": time_unit, "frequency_unit": frequency_unit, "font": font,
        "jobs": jobs,
    }  # fmt: skip
    taken = by_python_names(given, _DEFAULTS, spellings)
    if taken["folder"] is None:
        raise TypeError("spectrogram_folder: expected a folder, found none")
    config = _config(taken)
    jobs = None if taken["jobs"] is None else whole("jobs", taken["jobs"])
    page, verbose = flag("html_plots", taken["html_plots"]), flag("verbose", taken["verbose"])
    return _draw(os.fspath(taken["folder"]), config, page, jobs, verbose)


_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(spectrogram_folder).parameters.items()
    if name != "spellings"
}


def _config(taken: Mapping[str, Any]) -> SpectrogramConfig:
    """The settings that the arguments mean."""
    low, high = _ylim(taken["ylim"])
    step, overlap = taken["step"], taken["overlap"]
    if step is not None:
        step, overlap = number("step", step, "a number of ms"), None
    else:
        overlap = number("overlap", overlap, "a number in percent")
    return SpectrogramConfig(
        window=choice("wn", taken["wn"], _WINDOWS),
        window_ms=number("window_length", taken["window_length"], "a number of ms"),
        overlap=number("overlap", taken["overlap"], "a number in percent")
        if step is None
        else None,
        hop_ms=None if step is None else number("step", step, "a number of ms"),
        zero_pad=whole("zp", taken["zp"]),
        dynamic_range=number("dynamic_range", taken["dynamic_range"], "a number of dB"),
        fmin=low,
        fmax=high,
        detrend="constant",
        center=flag("pad_with_silence", taken["pad_with_silence"]),
        figure=_figure(taken),
        **_effects(taken),
    )


def _ylim(ylim: Any) -> tuple[float | None, float | None]:
    if ylim is None:
        return None, None
    limits = list(ylim) if hasattr(ylim, "__iter__") and not isinstance(ylim, str) else []
    if len(limits) == 2 and all(map(is_missing, limits)):
        return None, None
    if len(limits) != 2 or any(map(is_missing, limits)):
        raise UsageError(f"ylim: expected (from, to) in kHz, found {ylim!r}")
    low, high = (number("ylim", limit, "(from, to) in kHz") * 1000 for limit in limits)
    return low, high


def _figure(taken: Mapping[str, Any]) -> FigureConfig:
    osc = taken["osc"]
    if not isinstance(osc, str):
        osc = "true" if flag("osc", osc) else "false"
    way: Any = choice("osc", osc, _OSC)
    if flag("osc_dB", taken["osc_db"]):
        way = "db"
    scale: Any = choice("y_scale", taken["y_scale"], _SCALES)
    width, height, density = size_in_points(taken)
    xlab, ylab = taken["xlab"], taken["ylab"]
    # soundgen's own, as long as the axes are soundgen's.
    if xlab is None and taken["time_unit"] == "ms":
        xlab = "Time, ms"
    if ylab is None and taken["frequency_unit"] == "kHz":
        ylab = "kHz"
    return FigureConfig(
        width=width,
        height=height,
        scale=density,
        osc=way,
        y_scale=scale,
        xlab=xlab,
        ylab=ylab,
        title=taken["title"],
        grid=_grid(taken["grid"]),
        colormap=_colormap(taken["color_theme"]),
        contrast=within("contrast", taken["contrast"], -1, 1),
        brightness=within("brightness", taken["brightness"], -1, 1),
        time_unit=taken["time_unit"],
        frequency_unit=taken["frequency_unit"],
        font=_font(taken["font"]),
    )


def _font(font: Any) -> str | None:
    if font is None or isinstance(font, (str, os.PathLike)):
        return None if font is None else os.fspath(font)
    warn(f"font: expected the path of a font, found {font!r}: ignored")
    return None


def _colormap(theme: object) -> str:
    if isinstance(theme, str) and theme.lower() in _OTHER_PALETTES:
        warn(f"color_theme: expected one of {', '.join(_COLORS)}, found {theme!r}: bw is taken")
        return "bw"
    return choice("color_theme", theme, _COLORS)


def _grid(grid: Any) -> bool:
    if isinstance(grid, bool):
        return grid
    lines = number("grid", grid, "a number of lines per kHz")
    if lines > 0:
        warn(f"grid: expected lines at the ticks, found {grid!r} per kHz: they are at the ticks")
    return lines > 0


def _effects(taken: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the configuration for what soundgen does to a spectrogram."""
    fields: dict[str, Any] = {}
    if quantile := number("q_time", taken["q_time"]):
        fields["quantile"] = quantile
    if strength := number("noise_reduction", taken["noise_reduction"]):
        fields["noise_reduction"] = strength
        fields["noise_percent"] = number("percent_noise", taken["percent_noise"])
    median = tuple(_odd(name, taken[name]) for name in ("smooth_time", "smooth_freq"))
    if median != (1, 1):
        fields["median"] = median
    methods = {choice(name, taken[name], _METHODS) for name in ("method", "spec_type")}
    if "derivative" in methods:
        fields["derivative"] = "both"
    if "reassign" in methods:
        fields["reassign"] = True
    blur = taken["blur"]
    hz, ms = blur if isinstance(blur, (list, tuple)) and len(blur) == 2 else (blur, 0)
    hz, ms = (0.0 if is_missing(x) else number("blur", x, "(Hz, ms)") for x in (hz, ms))
    for field, sign in (("blur", 1), ("sharpen", -1)):
        if hz * sign > 0 or ms * sign > 0:
            fields[field] = max(ms * sign, 0.0), max(hz * sign, 0.0)
    return fields


def _odd(name: str, points: object) -> int:
    """The length of a median, of which soundgen also takes 0, which is none, and even ones."""
    length = whole(name, points)
    if length > 1 and length % 2 == 0:
        warn(f"{name}: expected an odd number, found {points!r}: {length + 1} is taken")
        return length + 1
    return max(length, 1) if length >= 0 else length


def _draw(
    folder: str, config: SpectrogramConfig, page: bool, jobs: int | None, verbose: bool
) -> list[Failed]:
    import tempfile

    from heartfast.stages.convert import convert

    sources = sorted(
        os.path.join(folder, name)
        for name in os.listdir(folder)
        if name.lower().endswith((".wav", ".mp3")) and not name.startswith(".")
    )
    if not sources:
        raise FileNotFoundError(f"{folder}: expected WAV or MP3 files, found none")
    # Pictures are whole before they are beside their recordings.
    with tempfile.TemporaryDirectory(prefix=".heartfast-", dir=folder) as place:
        progress = _Printer() if verbose else None
        result = convert(sources, place, config=config, jobs=jobs, progress=progress)
        drawn = [(os.path.join(folder, record.file_name), record) for record in result.records]
        for picture, record in drawn:
            os.replace(os.path.join(place, record.file_name), picture)
    if page and drawn:
        from heartfast.cards import Card, write_cards

        cards = [
            Card(picture, record.recording, seconds=record.duration_s) for picture, record in drawn
        ]
        title = os.path.basename(os.path.abspath(folder))
        write_cards(os.path.join(folder, PAGE), cards, title=title, facet="folder")
    return result.errors


class _Printer:
    """Prints progress, and the time that is left, on standard error: every tenth, or 10 s."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.share = 0

    def __call__(self, report: Progress) -> None:
        from heartfast.console import say

        now, share = time.monotonic(), 10 * report.done // max(1, report.total)
        if not report.done or (share == self.share and now - self.last < 10):
            return
        self.last, self.share = now, share
        left = (now - self.began) / report.done * (report.total - report.done)
        failed = f", {report.failed} failed" if report.failed else ""
        say(f"{report.done} of {report.total} recordings{failed}, about {left:.0f} s left")
