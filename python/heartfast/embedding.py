"""What a pretrained network sees of a picture: numbers beside the features, or instead of them.

The network is an ONNX file of the user's, run by onnxruntime (`pip install heartfast[embed]`).
Nothing is downloaded. A bundle keeps the file's SHA-256, not the file: scoring needs the same.

The file is not trusted. onnxruntime itself would read weights from other files, by any path that
the network names; so the file is read here first, and one that names others, has operators
that are not ONNX's own, or loops, is refused. What is left can still take memory and time.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import BundleError, ConfigMismatchError, DatasetError, UsageError
from heartfast.extras import require_package
from heartfast.features import feature_names
from heartfast.files import read_file
from heartfast.images import decode, one_line
from heartfast.onnx_file import check_network
from heartfast.parallel import for_each
from heartfast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.extraction import Extracted
    from heartfast.images import PictureSet
    from heartfast.inputs import PicturesInMemory
    from heartfast.progress import ProgressCallback
    from heartfast.provenance import Provenance

    Array = NDArray[np.float64]

MAX_NETWORK_BYTES = 512 << 20
MAX_OUTPUTS = 4096
MAX_SIDE = 2048  # of the pictures that a network takes
DEFAULT_SIDE = 224  # where the network leaves it open: ImageNet's
# As for the features: pictures are seen in segments, and taken for so much where nothing tells.
SEGMENT_S = 3.0
FOREIGN_COLUMN_S = 0.025
MOST_SEGMENTS = 8
# ImageNet's mean and standard deviation of red, green and blue: what its networks expect.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Described(NamedTuple):
    """What a bundle keeps of a network: its file's digest, and what becomes of its outputs.

    `only` says that the features are nothing but the outputs.
    """

    sha256: str
    outputs: int
    only: bool

    @property
    def names(self) -> list[str]:
        """Name all features of a model that was trained with it, in order."""
        outputs = [f"embedding{index:04d}" for index in range(self.outputs)]
        return outputs if self.only else [*feature_names(), *outputs]

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> Described:
        """Check and take what a bundle has; `ValueError` says what is wrong with it."""
        found = dict(fields)
        outputs, only, sha256 = found.get("outputs"), found.get("only"), found.get("sha256")
        if set(found) != set(cls._fields) or not isinstance(sha256, str) or type(only) is not bool:
            raise ValueError(f"expected an embedding with {', '.join(cls._fields)}")
        if not re.fullmatch("[0-9a-f]{1,64}", sha256):
            raise ValueError(f"expected the SHA-256 of an embedding's file, found {sha256:.70}")
        if type(outputs) is not int or not 1 <= outputs <= MAX_OUTPUTS:
            raise ValueError(f"expected an embedding of 1 to {MAX_OUTPUTS}, found {outputs!r}")
        return cls(sha256, outputs, only)


class Network:
    """An ONNX network that describes pictures.

    Its one input is a batch of pictures, (n, channels, height, width) or (n, height, width,
    channels), 1 or 3 channels, float32 or uint8; sizes that it leaves open are 224. uint8 gets
    gray levels; float32 gets levels / 255, for 3 channels less ImageNet's mean and divided
    by its standard deviation, for 1 channel as they are. Its first output is the embedding: (1, d),
    or (1, d, h, w) or (1, d, n), of which the mean over the last axes is taken.

    Raises
    ------
    BundleError
        The file is no such network, or one that is not to be trusted (see the module).
    OSError
        It cannot be read.
    HeartfastError
        onnxruntime is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import hashlib

        require_package("onnxruntime", "embed")
        import onnxruntime

        self.path = os.fspath(path)
        data = read_file(path, "an ONNX network", MAX_NETWORK_BYTES + 1)
        self.sha256 = hashlib.sha256(data).hexdigest()
        if len(data) > MAX_NETWORK_BYTES:
            raise BundleError(
                f"{self.path}: expected at most {MAX_NETWORK_BYTES >> 20} MB, found more"
            )
        options = onnxruntime.SessionOptions()
        # One order of sums, whatever the cores; pictures are what goes side by side.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what goes wrong is raised, too
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            check_network(data)
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
            self._take_input()
            self.outputs = len(self._run(self._blank()))
        except MemoryError:
            raise BundleError(f"{self.path}: expected a network that fits into memory") from None
        except Exception as error:  # onnxruntime's have no base of their own
            raise BundleError(
                f"{self.path}: expected an ONNX network for pictures, found: {one_line(error)}"
            ) from None
        if not 1 <= self.outputs <= MAX_OUTPUTS:
            raise BundleError(
                f"{self.path}: expected 1 to {MAX_OUTPUTS} outputs, found {self.outputs}"
            )

    def described(self, *, only: bool) -> Described:
        """Return what a bundle keeps of it."""
        return Described(self.sha256, self.outputs, only)

    def describe(self, levels: NDArray[np.uint8], provenance: Provenance | None = None) -> Array:
        """Return the mean embedding, float64 (outputs,), of a picture's segments of 3 s.

        At most `MOST_SEGMENTS` evenly spread ones count, half over each other where there are
        fewer: for the same reason as in `heartfast.features`, the duration does not show.
        """
        import numpy as np

        columns = levels.shape[1]
        step = provenance.seconds_per_column(columns) if provenance else FOREIGN_COLUMN_S
        length = min(max(1, round(SEGMENT_S / max(step, 1e-6))), columns)
        count = min(max(1, -(-2 * columns // length) - 1), MOST_SEGMENTS)
        starts = np.linspace(0, columns - length, count).round().astype(int)
        parts = [self._run(self._resized(levels[:, at : at + length])) for at in starts]
        return np.asarray(np.mean(parts, axis=0))

    def _take_input(self) -> None:
        inputs = self._session.get_inputs()
        found = ", ".join(f"{each.type} {each.shape}" for each in inputs)
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or inputs[0].type not in ("tensor(float)", "tensor(uint8)"):
            raise ValueError(f"inputs {found}")
        self._name, self._floats = inputs[0].name, inputs[0].type == "tensor(float)"
        self._last = shape[3] in (1, 3) and shape[1] not in (1, 3)
        height, width, self._channels = (
            (shape[1], shape[2], shape[3]) if self._last else (shape[2], shape[3], shape[1])
        )
        self._size = tuple(
            side if isinstance(side, int) else DEFAULT_SIDE for side in (height, width)
        )
        if self._channels not in (1, 3) or not all(1 <= side <= MAX_SIDE for side in self._size):
            raise ValueError(f"inputs {found}")

    def _blank(self) -> NDArray[np.uint8]:
        import numpy as np

        return np.zeros(self._size, dtype=np.uint8)

    def _resized(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import numpy as np
        from PIL import Image

        height, width = self._size
        if levels.shape == self._size:
            return levels
        picture = Image.fromarray(np.ascontiguousarray(levels))
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))

    def _run(self, levels: NDArray[np.uint8]) -> Array:
        """Run the network on one picture of its size."""
        import numpy as np

        batch: NDArray[Any] = np.repeat(levels[None, None], self._channels, axis=1)
        if self._floats:
            batch = batch.astype(np.float32) / np.float32(255)
            if self._channels == 3:
                mean, deviation = (np.array(x, np.float32)[:, None, None] for x in IMAGENET)
                batch = (batch - mean) / deviation
        if self._last:
            batch = np.moveaxis(batch, 1, 3)
        output = self._session.run(None, {self._name: np.ascontiguousarray(batch)})[0]
        found = np.asarray(output, dtype=np.float64)
        if found.ndim < 2 or len(found) != 1:
            raise ValueError(f"an output of shape {found.shape}")
        return np.asarray(found[0].reshape(found.shape[1], -1).mean(axis=1))


def embed(
    network: Network,
    pictures: PictureSet | PicturesInMemory,
    names: Sequence[str],
    *,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Array:
    """Describe readable pictures by a network, float64 (n, outputs), the same for any `jobs`.

    Raises
    ------
    DatasetError
        The network gives something else than finite numbers for a picture.
    """
    import numpy as np

    found: list[Array] = []

    def one(name: str) -> Array:
        levels, provenance = decode(pictures.read_bytes(name), name)
        try:
            values = network.describe(levels, provenance)
        except Exception as error:
            raise DatasetError(
                f"{name}: expected {network.path} to run, found: {one_line(error)}"
            ) from None
        if values.shape != (network.outputs,) or not np.isfinite(values).all():
            raise DatasetError(
                f"{name}: expected {network.outputs} finite numbers of {network.path}, found others"
            )
        return values

    def take(values: Array) -> None:
        found.append(values)
        if progress:
            progress(Progress("embedding", len(found), len(names)))

    for_each(one, names, take, jobs=jobs)
    return np.stack(found)


def widened(
    found: Extracted,
    network: Network | None,
    only: bool,
    pictures: PictureSet | PicturesInMemory,
    names: Sequence[str],
    *,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Extracted:
    """Return what `extract_all` found for these names with the network's outputs as well.

    Without a network that is what it was; with `only`, nothing but the outputs.
    """
    import numpy as np

    if network is None:
        return found
    readable = [names[row] for row in found.rows]
    outputs = embed(network, pictures, readable, jobs=jobs, progress=progress)
    return found._replace(matrix=outputs if only else np.hstack([found.matrix, outputs]))


def given_network(path: str | os.PathLike[str] | None, only: bool) -> Network | None:
    """Return the network to train with, if there is to be one."""
    if path is None:
        if only:
            raise UsageError("embed_only: expected a network (embed), found none")
        return None
    return Network(path)


def require_network(
    described: Described | None, path: str | os.PathLike[str] | None
) -> Network | None:
    """Return the network that a bundle's model needs, if it needs one.

    Raises
    ------
    ConfigMismatchError
        The file is another.
    ValueError
        None was given, or one that the model does not need.
    """
    if described is None:
        if path is not None:
            raise UsageError("embed: expected no network for a model trained without, found one")
        return None
    if path is None:
        raise UsageError(
            "embed: expected the network that the model was trained with (sha256 "
            f"{described.sha256}), found none"
        )
    network = Network(path)
    if (network.sha256, network.outputs) != (described.sha256, described.outputs):
        raise ConfigMismatchError(
            f"{network.path}: expected the network that the model was trained with, sha256 "
            f"{described.sha256}, found {network.sha256}"
        )
    return network
