"""The Rust core. Its array and file functions are wrapped, with the checks, in `spectral`."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Unpack

from heartfast.figures import Caption, FigureConfig
from heartfast.limits import Limits
from heartfast.remarks import Counted
from heartfast.selection import Selection

__all__ = [
    "MAX_N_FFT",
    "Archive",
    "Describer",
    "Recordings",
    "SpectrogramConfig",
    "__version__",
    "apply_effects",
    "build_info",
    "convert",
    "convert_bytes",
    "describe",
    "encode_png",
    "feature_families",
    "figure",
    "figure_of_levels",
    "get_window",
    "left_behind",
    "load",
    "open_archive",
    "paint",
    "palette",
    "selection_json",
    "spectrogram",
    "stage_times",
    "stft",
]

__version__: str
MAX_N_FFT: int

_Window: TypeAlias = str | tuple[str, float]

class _OneWindowFields(TypedDict, total=False):
    """The fields of a `SpectrogramConfig` but for `windows_ms`."""

    window: _Window
    window_ms: float
    overlap: float | None
    hop_ms: float | None
    zero_pad: int
    dynamic_range: float
    ref: float | Literal["max"]
    fmin: float | None
    fmax: float | None
    size: tuple[int, int] | None
    colormap: str
    invert: bool
    center: bool
    detrend: Literal["constant"] | None
    reassign: bool
    noise_reduction: float
    noise_percent: float
    quantile: float | None
    median: tuple[int, int]
    blur: tuple[float, float]
    sharpen: tuple[float, float]
    derivative: Literal["time", "frequency", "both"] | None

class _ConfigFields(_OneWindowFields, total=False):
    """The fields of a `SpectrogramConfig`, for functions that take some of them by name."""

    windows_ms: Sequence[float]
    figure: FigureConfig | None

@final
class SpectrogramConfig:
    """All settings of a spectrogram picture; checked when made, frozen, comparable, hashable.

    Parameters
    ----------
    window : str or ("gaussian", std)
        ``gaussian`` (as in seewave and soundgen: ``exp(-12 (t - 1/2)^2)`` less ``exp(-12)``,
        scaled to 1; its ends are at -26 dB), ``hann``, ``hamming``, ``blackman``, ``bartlett``,
        ``flattop`` or ``rectangular``, all symmetric; or scipy's Gaussian with a standard
        deviation in samples.
    window_ms : float
        Length of the window in milliseconds; ``round(window_ms / 1000 * sr)`` samples, at least 2.
    overlap : float
        Overlap of neighbouring windows in percent, 0 to below 100; 50 unless `hop_ms` is given.
    hop_ms : float
        Distance of windows in milliseconds, instead of `overlap`.
    zero_pad : int
        FFT length in points after padding; below the window's length it means that length.
    dynamic_range : float
        Decibels from the darkest to the lightest gray.
    ref : "max" or float
        The magnitude that is 0 dB: the recording's own maximum, or a fixed one, which keeps
        loudness comparable between recordings.
    fmin, fmax : float, optional
        Lowest and highest frequency shown, in Hz.
    size : (height, width), optional
        Size of the picture in pixels; by default one pixel per bin and frame.
    colormap : str
        ``gray``, ``viridis``, ``magma``, ``inferno``, ``plasma``, ``cividis``, ``turbo``, or, dark
        on light, ``bw``, ``seewave`` or ``heat``.
    invert : bool
        Dark on light, as soundgen draws.
    center : bool
        Frames centred on their time, with silence beyond both ends, as librosa does; without,
        whole frames only.
    detrend : None or "constant"
        Remove the mean of the samples first.
    reassign : bool
        Move each bin's energy to where in time and frequency it comes from; see
        `heartfast.reassigned_spectrogram`.
    windows_ms : tuple of float
        Further windows in milliseconds, up to 8: the geometric mean of the spectrograms with each;
        see `heartfast.multi_resolution`. `overlap` is that of the shortest.
    noise_reduction : float
        Subtract so many times the mean spectrum of the noisiest frames; see
        `heartfast.reduce_noise`.
    noise_percent : float
        How many of the frames are the noisiest, over 0 to 100.
    quantile : float, optional
        Subtract this quantile (0 to 1) of each bin; see `heartfast.subtract_quantile`.
    median : (frames, bins)
        The median of so many, odd numbers; see `heartfast.median_filter`.
    blur, sharpen : (ms, Hz)
        Standard deviations of a Gaussian; see `heartfast.gaussian_blur` and `heartfast.sharpen`.
    derivative : None, "time", "frequency" or "both"
        Show how fast magnitudes change; see `heartfast.spectral_derivative`. The effects from
        `reassign` on are applied in this order.
    figure : FigureConfig, optional
        A figure with axes, with a size and colours of its own; by default a bare tile.

    Raises
    ------
    ValueError
        With the name of the field, what it takes and what was found.

    References
    ----------
    The names and meanings of `window_ms` (windowLength), `overlap`, `zero_pad` (zp), and
    `dynamic_range` are those of the R package soundgen's ``spectrogram``; `center`, `ref` and
    `fmin`, `fmax` librosa's; `detrend` scipy.signal's.

    Examples
    --------
    >>> config = heartfast.SpectrogramConfig(window_ms=25, overlap=75, fmax=1000)
    >>> config.geometry(4000)["hop_length"]
    25
    >>> config.replace(colormap="magma").colormap
    'magma'
    >>> config.replace(reassign=True, median=(3, 3)).median
    (3, 3)
    """

    def __new__(
        cls,
        *,
        window: _Window = "gaussian",
        window_ms: float = 50.0,
        overlap: float | None = None,
        hop_ms: float | None = None,
        zero_pad: int = 0,
        dynamic_range: float = 80.0,
        ref: float | Literal["max"] = "max",
        fmin: float | None = None,
        fmax: float | None = None,
        size: tuple[int, int] | None = None,
        colormap: str = "gray",
        invert: bool = False,
        center: bool = True,
        detrend: Literal["constant"] | None = None,
        reassign: bool = False,
        windows_ms: Sequence[float] = (),
        noise_reduction: float = 0.0,
        noise_percent: float = 10.0,
        quantile: float | None = None,
        median: tuple[int, int] = (1, 1),
        blur: tuple[float, float] = (0.0, 0.0),
        sharpen: tuple[float, float] = (0.0, 0.0),
        derivative: Literal["time", "frequency", "both"] | None = None,
        figure: FigureConfig | None = None,
    ) -> SpectrogramConfig: ...
    @property
    def window(self) -> _Window: ...
    @property
    def window_ms(self) -> float: ...
    @property
    def overlap(self) -> float | None: ...
    @property
    def hop_ms(self) -> float | None: ...
    @property
    def zero_pad(self) -> int: ...
    @property
    def dynamic_range(self) -> float: ...
    @property
    def ref(self) -> float | Literal["max"]: ...
    @property
    def fmin(self) -> float | None: ...
    @property
    def fmax(self) -> float | None: ...
    @property
    def size(self) -> tuple[int, int] | None: ...
    @property
    def colormap(self) -> str: ...
    @property
    def invert(self) -> bool: ...
    @property
    def center(self) -> bool: ...
    @property
    def detrend(self) -> Literal["constant"] | None: ...
    @property
    def reassign(self) -> bool: ...
    @property
    def windows_ms(self) -> tuple[float, ...]: ...
    @property
    def noise_reduction(self) -> float: ...
    @property
    def noise_percent(self) -> float: ...
    @property
    def quantile(self) -> float | None: ...
    @property
    def median(self) -> tuple[int, int]: ...
    @property
    def blur(self) -> tuple[float, float]: ...
    @property
    def sharpen(self) -> tuple[float, float]: ...
    @property
    def derivative(self) -> Literal["time", "frequency", "both"] | None: ...
    @property
    def figure(self) -> FigureConfig | None: ...
    def to_dict(self) -> dict[str, Any]:
        """The fields as a dictionary that JSON can hold, without effects that are not there."""

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SpectrogramConfig:
        """The configuration of such a dictionary; missing fields take their defaults."""

    def replace(self, **changes: Unpack[_ConfigFields]) -> SpectrogramConfig:
        """A copy with these fields changed."""

    def geometry(self, sr: int) -> dict[str, int]:
        """Samples and bins at `sr` Hz: win_length, hop_length, n_fft, first_bin, last_bin."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

class _Framing(Protocol):
    """How a signal is cut into frames."""

    @property
    def window(self) -> NDArray[np.float64]: ...
    @property
    def hop_length(self) -> int: ...
    @property
    def n_fft(self) -> int: ...
    @property
    def center(self) -> bool: ...

@final
class Archive:
    """A ZIP or tar that is read in place; its members are known by their place in its list."""

    def size(self, member: int) -> int:
        """Bytes of a member, inflated."""

@final
class Describer:
    """Describes recordings by one configuration and selection, from any thread."""

    def __new__(
        cls, config: SpectrogramConfig, selection: Selection, limits: Limits
    ) -> Describer: ...
    def describe(
        self,
        recordings: Sequence[tuple[str | bytes | tuple[Archive, int] | _Remote, str]],
        threads: int,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[NDArray[np.float64], list[tuple[list[str], int, str | None]], list[Counted]]:
        """The features (n, features) of all pictures that recordings would become.

        Recordings are given with what the caller calls them. For each: what the name of each
        picture has after its own, samples per second, and what is wrong with it or None. Last, what
        was odd about recordings.
        """

@final
class Recordings:
    """The recordings of a batch."""

    def named(self) -> dict[str, str]:
        """What the caller called each, by its picture."""

# What reads so many bytes from a place on, the size, and when it was written to, in nanoseconds.
_Remote: TypeAlias = tuple[Callable[[int, int], bytes], int, int]
# A recording, what the caller calls it, its picture, label, group and source.
_Row: TypeAlias = tuple[str | tuple[Archive, int] | _Remote, str, str, str, str, str]

class _Outcome(TypedDict):
    recordings: Recordings
    pictures: int
    duration_s: float
    # Path, kind, message, offset.
    failures: list[tuple[str, str, str, int | None]]
    finished: int
    known: int
    remade: int
    # How many recordings have samples that are no finite numbers, and how many such samples.
    silenced: tuple[int, int]
    remarks: list[Counted]
    interrupted: bool
    too_many_errors: bool
    notes: list[str]

def get_window(window: _Window, n: int, sym: bool) -> NDArray[np.float64]: ...
def stft(y: NDArray[Any], framing: _Framing, threads: int) -> NDArray[Any]: ...
def spectrogram(
    y: NDArray[Any], sr: int, config: SpectrogramConfig, threads: int
) -> NDArray[Any]: ...
def apply_effects(
    values: NDArray[Any], sr: int, config: SpectrogramConfig, threads: int
) -> NDArray[Any]: ...
def load(
    path: str | os.PathLike[str],
    sr: int | None,
    mono: bool,
    offset: float,
    duration: float | None,
) -> tuple[NDArray[np.float32], int, list[tuple[str, str]]]: ...
def convert(
    rows: Iterable[_Row],
    config: SpectrogramConfig,
    options: object,
    progress: Callable[[int, int], object] | None,
) -> _Outcome: ...
def convert_bytes(
    recordings: Sequence[bytes],
    names: Sequence[str],
    config: SpectrogramConfig,
    png: str,
    limits: Limits,
    threads: int,
) -> tuple[
    list[tuple[bytes | None, int, float, tuple[str, str] | None]], list[Counted], list[str]
]: ...
def figure(
    samples: NDArray[np.float32], sr: int, config: SpectrogramConfig, caption: Caption
) -> tuple[bytes, list[str]]: ...
def figure_of_levels(
    levels: NDArray[np.uint8],
    samples: NDArray[np.float32] | None,
    sr: int,
    config: SpectrogramConfig,
    caption: Caption,
) -> tuple[bytes, list[str]]: ...
def encode_png(
    pixels: NDArray[np.uint8],
    palette: NDArray[np.uint8] | None,
    texts: Sequence[tuple[str, str]],
    preset: str,
) -> bytes: ...
def describe(
    levels: NDArray[np.uint8],
    bottom_hz: float,
    top_hz: float,
    range_db: float,
    seconds_per_column: float,
) -> NDArray[np.float64]: ...
def feature_families() -> list[tuple[str, list[str]]]: ...
def open_archive(
    place: str | os.PathLike[str] | _Remote, limits: Limits
) -> tuple[Archive, list[str]] | None: ...
def paint(magnitudes: NDArray[Any], sr: int, config: SpectrogramConfig) -> NDArray[np.uint8]: ...
def palette(colormap: str) -> bytes | None: ...
def build_info() -> dict[str, Any]: ...
def left_behind() -> int: ...
def selection_json(selection: Selection) -> str: ...
def stage_times(
    tasks: Sequence[tuple[str, str]], config: SpectrogramConfig, passes: int
) -> dict[str, float]: ...
