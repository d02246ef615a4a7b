"""heartfast: archives of recordings into spectrogram pictures and honest classifiers.

The five stages are `convert`, `pack`, `train`, `score` and `evaluate`; `run` chains
them. The array functions (`load`, `stft`, `spectrogram`, ...) use the names and habits
of librosa and scipy.signal.

>>> import heartfast
>>> y, sr = heartfast.synth.heart_sound("murmur", seed=1)
>>> spec = heartfast.spectrogram(y, sr, fmax=800)
>>> spec.values.ndim
2
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heartfast import errors as errors
    from heartfast import synth as synth
    from heartfast._core import SpectrogramConfig as SpectrogramConfig
    from heartfast._core import __version__ as __version__
    from heartfast.batches import convert_batch as convert_batch
    from heartfast.cluster.merge import merge as merge
    from heartfast.effects import gaussian_blur as gaussian_blur
    from heartfast.effects import median_filter as median_filter
    from heartfast.effects import multi_resolution as multi_resolution
    from heartfast.effects import reassigned_spectrogram as reassigned_spectrogram
    from heartfast.effects import reduce_noise as reduce_noise
    from heartfast.effects import sharpen as sharpen
    from heartfast.effects import spectral_derivative as spectral_derivative
    from heartfast.effects import subtract_quantile as subtract_quantile
    from heartfast.errors import BundleError as BundleError
    from heartfast.errors import ConfigMismatchError as ConfigMismatchError
    from heartfast.errors import DatasetError as DatasetError
    from heartfast.errors import DecodeError as DecodeError
    from heartfast.errors import EncodeError as EncodeError
    from heartfast.errors import HeartfastError as HeartfastError
    from heartfast.errors import HeartfastWarning as HeartfastWarning
    from heartfast.errors import StoppedError as StoppedError
    from heartfast.errors import UnsupportedFormatError as UnsupportedFormatError
    from heartfast.errors import UsageError as UsageError
    from heartfast.estimators import SpectrogramClassifier as SpectrogramClassifier
    from heartfast.estimators import SpectrogramFeatures as SpectrogramFeatures
    from heartfast.figures import Figure as Figure
    from heartfast.figures import FigureConfig as FigureConfig
    from heartfast.figures import figure as figure
    from heartfast.figures import preset as preset
    from heartfast.intervals import Interval as Interval
    from heartfast.intervals import read_intervals as read_intervals
    from heartfast.limits import Limits as Limits
    from heartfast.model import Model as Model
    from heartfast.occlusion import OcclusionMap as OcclusionMap
    from heartfast.occlusion import occlusion_map as occlusion_map
    from heartfast.picture import Spectrogram as Spectrogram
    from heartfast.picture import encode_png as encode_png
    from heartfast.picture import to_image as to_image
    from heartfast.progress import Progress as Progress
    from heartfast.soundgen import spectrogram_folder as spectrogram_folder
    from heartfast.spectral import get_window as get_window
    from heartfast.spectral import load as load
    from heartfast.spectral import power_to_db as power_to_db
    from heartfast.spectral import spectrogram as spectrogram
    from heartfast.spectral import stft as stft
    from heartfast.stages.audit import audit as audit
    from heartfast.stages.convert import convert as convert
    from heartfast.stages.evaluate import evaluate as evaluate
    from heartfast.stages.gallery import gallery as gallery
    from heartfast.stages.pack import pack as pack
    from heartfast.stages.run import demo as demo
    from heartfast.stages.run import run as run
    from heartfast.stages.score import score as score
    from heartfast.stages.train import train as train

# Where each public name lives. Loaded on first use: the command line starts without NumPy.
_HOME = {
    "read_intervals": "intervals",
    "preset": "figures",
    "figure": "figures",
    "Interval": "intervals",
    "FigureConfig": "figures",
    "Figure": "figures",
    "BundleError": "errors",
    "ConfigMismatchError": "errors",
    "DatasetError": "errors",
    "DecodeError": "errors",
    "EncodeError": "errors",
    "HeartfastError": "errors",
    "HeartfastWarning": "errors",
    "Limits": "limits",
    "Model": "model",
    "OcclusionMap": "occlusion",
    "Progress": "progress",
    "Spectrogram": "picture",
    "SpectrogramClassifier": "estimators",
    "SpectrogramConfig": "_core",
    "SpectrogramFeatures": "estimators",
    "StoppedError": "errors",
    "UnsupportedFormatError": "errors",
    "UsageError": "errors",
    "__version__": "_core",
    "audit": "stages.audit",
    "convert": "stages.convert",
    "convert_batch": "batches",
    "demo": "stages.run",
    "encode_png": "picture",
    "evaluate": "stages.evaluate",
    "gallery": "stages.gallery",
    "gaussian_blur": "effects",
    "get_window": "spectral",
    "load": "spectral",
    "median_filter": "effects",
    "merge": "cluster.merge",
    "multi_resolution": "effects",
    "occlusion_map": "occlusion",
    "pack": "stages.pack",
    "power_to_db": "spectral",
    "reassigned_spectrogram": "effects",
    "reduce_noise": "effects",
    "run": "stages.run",
    "score": "stages.score",
    "sharpen": "effects",
    "spectral_derivative": "effects",
    "spectrogram": "spectral",
    "spectrogram_folder": "soundgen",
    "stft": "spectral",
    "subtract_quantile": "effects",
    "to_image": "picture",
    "train": "stages.train",
}
_MODULES = ("errors", "synth")

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(_import_module(f"heartfast.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return _import_module(f"heartfast.{name}")
    raise AttributeError(f"module 'heartfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
