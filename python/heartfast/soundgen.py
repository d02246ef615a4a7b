"""The R function `soundgen::spectrogramFolder`, which left soundgen in 2021."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from heartfast._core import SpectrogramConfig
from heartfast.errors import UsageError
from heartfast.figures import FigureConfig

if TYPE_CHECKING:
    from typing import Literal

    from heartfast.conversion import Failed

# The page of all pictures, as soundgen 1.8 called it.
PAGE = "00_clickable_plots.html"
# R's names of windows that differ.
_WINDOWS = {"hanning": "hann", "rectangle": "rectangular"}


def spectrogram_folder(
    folder: str | os.PathLike[str],
    html_plots: bool = True,
    window_length: float = 50,
    step: float | None = None,
    overlap: float = 50,
    wn: str = "gaussian",
    zp: int = 0,
    ylim: tuple[float, float] | None = None,
    osc: bool | Literal["none", "linear", "db"] = True,
    xlab: str | None = None,
    ylab: str | None = None,
    width: int = 900,
    height: int = 500,
    *,
    dynamic_range: float = 80,
    contrast: float = 0.2,
    brightness: float = 0,
    color_theme: str = "bw",
    y_scale: Literal["linear", "log", "mel", "bark", "erb"] = "linear",
    title: str | None = None,
    jobs: int | None = None,
    **spellings: Any,
) -> list[Failed]:
    """Draw a figure beside every WAV and MP3 in a folder, and a page that plays them.

    Parameters
    ----------
    folder : path
        Its recordings; those in folders inside are left alone.
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
        or ``rectangle``.
    zp : int
        FFT length in points; below the window's length it means that length.
    ylim : (float, float), optional
        Frequencies shown, in kHz; all by default.
    osc : bool or str
        Draw the oscillogram: linear, or in decibels (``"db"``).
    xlab, ylab : str, optional
        Names of the axes; by default with their units.
    width, height : int
        Pixels.
    dynamic_range : float
        dB shown below the maximum.
    contrast, brightness : float
        As `heartfast.FigureConfig` has them.
    color_theme : str
        ``bw``, ``seewave``, ``heat``, or another colour map.
    y_scale : str
        ``linear``, ``log``, ``mel``, ``bark`` or ``erb``.
    title : str, optional
        Of all of them; by default each file's name.
    jobs : int, optional
        Threads; by default one per core.
    **spellings
        R's spellings of these: ``htmlPlots``, ``windowLength``, ``dynamicRange``, ``colorTheme``,
        ``yScale``.

    Returns
    -------
    list of Failed
        The recordings that could not be drawn; the others are.

    Raises
    ------
    OSError
        The folder is missing or cannot be written.
    ValueError, TypeError
        An argument out of range, or unknown.

    Notes
    -----
    ``x.wav`` becomes ``x.png``, unless there is an ``x.mp3`` as well: then they are ``x.wav.png``
    and ``x.mp3.png``. Of several channels their mean is drawn (soundgen takes the left one).
    Pictures that are there are drawn anew.

    References
    ----------
    A. Anikin, "Soundgen: an open-source tool for synthesizing nonverbal vocalizations", Behavior
    Research Methods 51 (2019); names and defaults are those of version 1.8.2.

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
    html_plots = spellings.pop("htmlPlots", html_plots)
    window_length = spellings.pop("windowLength", window_length)
    dynamic_range = spellings.pop("dynamicRange", dynamic_range)
    color_theme = spellings.pop("colorTheme", color_theme)
    y_scale = spellings.pop("yScale", y_scale)
    if spellings:
        raise TypeError(f"spectrogram_folder got an unexpected argument {min(spellings)!r}")
    if ylim is not None and len(ylim) != 2:
        raise UsageError(f"ylim: expected (from, to) in kHz, found {ylim!r}")
    config = SpectrogramConfig(
        window=_WINDOWS.get(wn, wn),
        window_ms=window_length,
        overlap=overlap if step is None else None,
        hop_ms=step,
        zero_pad=zp,
        dynamic_range=dynamic_range,
        fmin=None if ylim is None else ylim[0] * 1000,
        fmax=None if ylim is None else ylim[1] * 1000,
        detrend="constant",
        figure=FigureConfig(
            width=width,
            height=height,
            osc=osc if isinstance(osc, str) else "linear" if osc else "none",
            y_scale=y_scale,
            xlab=xlab,
            ylab=ylab,
            title=title,
            colormap=color_theme,
            contrast=contrast,
            brightness=brightness,
        ),
    )
    return _draw(os.fspath(folder), config, html_plots, jobs)


def _draw(folder: str, config: SpectrogramConfig, page: bool, jobs: int | None) -> list[Failed]:
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
        result = convert(sources, place, config=config, jobs=jobs)
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
