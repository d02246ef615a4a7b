"""What a model is given to predict: paths, bytes of files, and samples with their rate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import UsageError
from heartfast.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    Input = str | os.PathLike[str] | bytes | tuple[ArrayLike, int]

# Kinds of inputs: how each is read.
RECORDING, PICTURE, PICTURE_BYTES, SOURCE = "recording", "picture", "picture bytes", "source"
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
_HEADER = 58  # bytes of a WAV file of float samples before these


class Item(NamedTuple):
    """An input, what it is called and how it is read: a path, or bytes of a file.

    `title` is what a figure is named after: nothing where nobody named the input.
    """

    name: str
    value: str | bytes
    kind: str
    title: str


class PicturesInMemory:
    """Pictures that are bytes already, read by name as from a `heartfast.images.PictureSet`."""

    source = ""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.refused: dict[str, str] = {}

    def read_or_reason(self, name: str) -> bytes | str:
        """Return a picture's file."""
        return self._files[name]

    def read_bytes(self, name: str) -> bytes:
        """Return a picture's file."""
        return self._files[name]


def items_of(inputs: Input | Sequence[Input], names: Sequence[str] | None) -> list[Item]:
    """Return inputs, one or a list of them, with their names and kinds.

    Raises
    ------
    UsageError
        An input is of no known kind, or names are not as many, or not different.
    """
    single = isinstance(inputs, str | os.PathLike | bytes | bytearray | memoryview)
    given = [inputs] if single or _is_samples(inputs) else list(inputs)  # type: ignore[arg-type]
    if names is not None and not len(names) == len(set(names)) == len(given):
        raise UsageError(f"names: expected {len(given)} different names, found {len(names)}")
    called: Sequence[str | None] = names or [None] * len(given)
    return [
        _item(value, name, f"input {number}")
        for number, (value, name) in enumerate(zip(given, called, strict=True))
    ]


def _item(value: Any, given: str | None, otherwise: str) -> Item:
    name = otherwise if given is None else given
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        name = path.replace(os.sep, "/") if given is None else given
        plain = os.path.isfile(path) and not path.lower().endswith(_ARCHIVES)
        kind = RECORDING if plain else SOURCE
        return Item(name, path, PICTURE if path.lower().endswith(SUFFIXES) else kind, name)
    title = given or ""
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        kind = PICTURE_BYTES if data.startswith(_PICTURES) else RECORDING
        return Item(name, data, kind, title)
    if _is_samples(value):
        return Item(name, wav_of(*value), RECORDING, title)
    raise UsageError(
        f"{name}: expected a path, bytes of a file or (y, sr), found {type(value).__name__}"
    )


def _is_samples(value: object) -> bool:
    import numbers

    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[1], numbers.Real)
        and not isinstance(value[0], str | bytes | os.PathLike)
    )


def wav_of(y: ArrayLike, sr: int) -> bytes:
    """Return a WAV file of samples, float32, which holds them exactly.

    Parameters
    ----------
    y
        (n,) or (channels, n), full scale 1.0.
    sr
        Samples per second.

    Raises
    ------
    UsageError
        They are no samples, or too many for a WAV file.
    """
    import struct

    import numpy as np

    from heartfast.picture import sample_rate

    samples = np.asarray(y)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or not samples.size:
        raise UsageError(
            "(y, sr): expected float samples (n,) or (channels, n), found "
            f"{samples.dtype} {samples.shape}"
        )
    rate, channels = sample_rate(sr), 1 if samples.ndim == 1 else len(samples)
    data = np.ascontiguousarray(samples.T, dtype="<f4").tobytes()
    if len(data) + _HEADER >= 1 << 32 or channels > 256 or rate * channels * 4 >= 1 << 32:
        raise UsageError(f"(y, sr): expected less than 4 GB, found {len(data)} bytes, {rate} Hz")
    frame = 4 * channels
    form = struct.pack("<HHIIHHH", 3, channels, rate, rate * frame, frame, 32, 0)
    count = struct.pack("<I", len(data) // frame)
    parts = [(b"fmt ", form), (b"fact", count), (b"data", data)]
    body = b"WAVE" + b"".join(tag + struct.pack("<I", len(part)) + part for tag, part in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body
