"""Pictures to learn from: a folder or ZIP of PNGs and JPEGs, heartfast's own or anyone's.

A picture of heartfast's carries its provenance (how it was made) in an iTXt chunk; the
labels and groups stand in `metadata.csv`. Foreign pictures have neither: their class is
the name of their folder, and each is its own group.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import ConfigMismatchError, DatasetError, DecodeError
from heartfast.files import read_file, require_file, walk
from heartfast.labels import UNLABELLED
from heartfast.tables import METADATA, METADATA_COLUMNS, parse_table
from heartfast.zips import open_zip, read_member, zip_members

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from heartfast import SpectrogramConfig

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000
# Larger pictures are decoded one at a time: Pillow takes up to 10 bytes a pixel meanwhile.
LARGE_PIXELS = 4_000_000
_LARGE = threading.Lock()
MAX_SIDE = 65_535
MAX_FILE_BYTES = 128 << 20
MAX_SCANS = 100  # of a JPEG: each goes over the whole picture, and may have next to no bytes
MAX_NUMBER = 2.0**53  # of a Provenance: hertz, samples, seconds
_WHOLE = ("sample_rate", "n_fft", "hop_length")


class Provenance(NamedTuple):
    """How one of heartfast's pictures was made; `fmin` and `fmax` are its edge rows in Hz."""

    config: dict[str, object]
    sample_rate: int
    duration_s: float
    n_fft: int
    hop_length: int
    fmin: float
    fmax: float
    version: str

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Parse the text of a `heartfast` chunk; `ValueError` says what is wrong with it."""
        fields = json.loads(text)
        if not isinstance(fields, dict) or not fields.keys() >= set(cls._fields):
            raise ValueError(f"expected the fields {', '.join(cls._fields)}")
        if not isinstance(fields["config"], dict):
            raise ValueError("expected config to be an object")
        _check_config(json.dumps(fields["config"], sort_keys=True))
        for name in cls._fields[1:7]:
            value, whole = fields[name], name in _WHOLE
            kind = int if whole else int | float
            if isinstance(value, bool) or not isinstance(value, kind):
                expected = "a whole number" if whole else "a number"
                raise ValueError(f"expected {name} to be {expected}, found {value!r:.40}")
            if not int(whole) <= value <= MAX_NUMBER:  # nor is NaN
                expected = "above 0" if whole else "0 or more"
                raise ValueError(
                    f"expected {name} to be {expected} and finite, found {value!r:.40}"
                )
        if fields["fmin"] > fields["fmax"]:
            raise ValueError("expected fmin not to be above fmax")
        return cls(**{name: fields[name] for name in cls._fields})

    def seconds_per_column(self, columns: int) -> float:
        """Time between two columns of a picture with this many, in seconds."""
        if self.config.get("size") is None or self.duration_s == 0:
            return self.hop_length / self.sample_rate
        return self.duration_s / columns


class Picture(NamedTuple):
    """A row of `metadata.csv`; `name` is relative to the set's root, with "/"."""

    name: str
    label: str
    group: str = ""
    source: str = ""
    sample_rate: str = ""
    duration_s: str = ""
    sha256: str = ""


class PictureSet:
    """The pictures in a folder or ZIP (or a single picture file), in sorted name order.

    Parameters
    ----------
    source
        Folder, ZIP, picture or list of pictures. Class folders, optionally with
        `metadata.csv` at the root; one folder that wraps everything is looked through. A folder
        may have its pictures in a `pictures.zip`. ZIPs are read in memory only.

    Attributes
    ----------
    pictures : list of Picture
    has_metadata : bool
        Whether labels and groups come from `metadata.csv`.
    unlisted : list of str
        Pictures that `metadata.csv` does not list; their class is their folder.

    Raises
    ------
    DatasetError
        `metadata.csv` is malformed, contradicts itself or lists pictures that are not there;
        a ZIP is damaged.
    OSError
        The source cannot be opened, or is no file or folder.
    """

    def __init__(self, source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> None:
        self._archive: zipfile.ZipFile | None = None
        self._table = ""  # beside the archive, not in it
        if not isinstance(source, str | os.PathLike):
            self.source = ""
            paths = [os.fspath(path) for path in source]
            for path in paths:
                require_file(path, "a PNG or JPEG")
            self._use({path.replace(os.sep, "/"): path for path in paths})
            return
        self.source = os.fspath(source)
        folder = os.path.isdir(self.source)
        if not folder:
            require_file(self.source, "a folder or ZIP of pictures, or a PNG or JPEG")
        if folder and (archive := _packed(self.source)):
            self._archive = open_zip(archive)
            members = zip_members(self._archive, archive, _wanted)
            self._table = os.path.join(self.source, METADATA)
            if os.path.lexists(self._table):
                members[METADATA] = METADATA
        elif folder:
            members = {name: name for name in _walk(self.source)}
        elif self.source.lower().endswith(SUFFIXES):
            self.source, name = os.path.split(self.source)
            members = {name: name}
        else:
            self._archive = open_zip(self.source)
            members = zip_members(self._archive, self.source, _wanted)
        prefix = _wrapping_folder(members)
        self._use({name.removeprefix(prefix): member for name, member in members.items()})

    def _use(self, members: dict[str, str]) -> None:
        """Take these members, by the names they are to have."""
        self._members = members
        self.has_metadata = METADATA in self._members
        names = sorted(name for name in self._members if name.lower().endswith(SUFFIXES))
        listed = self._read_metadata(names) if self.has_metadata else {}
        self.unlisted = [name for name in names if name not in listed] if listed else []
        self.pictures = [listed.get(name) or _by_folder(name) for name in names]

    def __len__(self) -> int:
        return len(self.pictures)

    def __enter__(self) -> PictureSet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._archive is not None:
            self._archive.close()

    @property
    def packed(self) -> bool:
        """Whether the pictures are in an archive, and no files."""
        return self._archive is not None

    def path(self, name: str) -> str:
        """Return where a picture that is a file stands."""
        return os.path.join(self.source, *self._members[name].split("/"))

    def read_bytes(self, name: str) -> bytes:
        """Return a picture's file as it is stored. May be called from several threads."""
        member = self._members[name]
        if self._archive is None or (name == METADATA and self._table):
            data = read_file(os.path.join(self.source, member), "a file", MAX_FILE_BYTES + 1)
        else:
            data = read_member(self._archive, member, name, MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise DecodeError(f"{name}: expected at most {MAX_FILE_BYTES >> 20} MB, found more")
        return data

    def read_or_reason(self, name: str) -> bytes | str:
        """Return a picture's file, or a text that says why it cannot be read."""
        try:
            return self.read_bytes(name)
        except (DecodeError, OSError) as error:
            return reason(error, name)

    def _read_metadata(self, names: list[str]) -> dict[str, Picture]:
        where = f"{self.source}: {METADATA}"
        table = parse_table(self.read_bytes(METADATA), where, ("file_name", "label"))
        listed: dict[str, Picture] = {}
        for row in table.records():
            picture = Picture(*(row.get(column, "") for column in METADATA_COLUMNS))
            if listed.setdefault(picture.name, picture) != picture:
                raise DatasetError(
                    f"{where}: expected one row a picture, found different rows of {picture.name!r}"
                )
        missing = sorted(listed.keys() - set(names))
        if missing:
            raise DatasetError(
                f"{where}: expected every listed picture to be there, found {len(missing)} "
                f"missing, the first {missing[0]!r}"
            )
        return listed


def holds_pictures(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> bool:
    """Whether a path is a ZIP or picture, or a folder with at least one picture in it.

    A list is one of pictures where all its files are.
    """
    if not isinstance(source, str | os.PathLike):
        return bool(source) and all(os.fspath(s).lower().endswith(SUFFIXES) for s in source)
    path = os.fspath(source)
    if os.path.isdir(path):
        return bool(_packed(path)) or any(name.lower().endswith(SUFFIXES) for name in _walk(path))
    return path.lower().endswith((".zip", *SUFFIXES))


def decode(data: bytes, name: str) -> tuple[NDArray[np.uint8], Provenance | None]:
    """Decode a PNG or JPEG to levels, uint8 (height, width), brighter meaning louder.

    Colour becomes luma and 16 bits become 8, except in a heartfast PNG, whose palette index
    is the level; `invert` is undone there. `name` is for the `DecodeError`.
    """
    import numpy as np
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    # Not by Image.open, which warns of large pictures before their size can be refused here.
    openers = {b"\x89PNG\r\n\x1a\n": PngImageFile, b"\xff\xd8\xff": JpegImageFile}
    opener = next((opener for magic, opener in openers.items() if data.startswith(magic)), None)
    if opener is None:
        raise DecodeError(f"{name}: expected a PNG or JPEG picture, found neither")
    if opener is JpegImageFile and data.count(b"\xff\xda") > MAX_SCANS:
        raise DecodeError(f"{name}: expected a JPEG of at most {MAX_SCANS} scans, found more")
    try:
        with opener(io.BytesIO(data)) as image:
            if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
                raise ValueError(
                    f"expected at most 64 MP, {MAX_SIDE} a side, found {image.width}x{image.height}"
                )
            large = image.width * image.height > LARGE_PIXELS
            with _LARGE if large else contextlib.nullcontext():
                image.load()
                chunk = image.info.get("heartfast")
                provenance = Provenance.from_json(chunk) if isinstance(chunk, str) else None
                if image.mode.startswith("I"):
                    levels = (np.asarray(image) >> 8).astype(np.uint8)
                elif image.mode == "L" or (image.mode == "P" and provenance):
                    levels = np.asarray(image)
                else:  # by way of RGBA, because Pillow warns of palettes with transparency
                    levels = np.asarray(image.convert("RGBA").convert("L"))
                image.close()
        if provenance and provenance.config.get("invert"):
            levels = 255 - levels
    except Exception as error:  # a damaged picture makes Pillow raise nearly anything
        message = f"expected an intact picture, found: {one_line(error)}"
        raise DecodeError(f"{name}: {message}") from None
    return levels, provenance


def reason(error: DecodeError | OSError, name: str) -> str:
    """Return what is wrong with a picture, for a list that has the name already."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).removeprefix(f"{name}: ")


def one_line(error: Exception) -> str:
    """Return what an error says, of a file that may say anything, as one line of some length."""
    text = str(error)[:300] or type(error).__name__  # a MemoryError says nothing
    return "".join(c if c.isprintable() else " " for c in text)


def spectrogram_config(fields: dict[str, object]) -> SpectrogramConfig:
    """Take a configuration as JSON has it; `ValueError` says what is wrong with it."""
    from heartfast import SpectrogramConfig

    # JSON has no tuples, which the window and the size are.
    taken = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    try:
        return SpectrogramConfig.from_dict(taken)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"expected config to be valid, found: {error}") from None


@functools.lru_cache(maxsize=64)  # most pictures of a set share one
def _check_config(text: str) -> None:
    spectrogram_config(json.loads(text))


def require_config(
    name: str, config: dict[str, object], owner: str, expected: dict[str, object]
) -> None:
    """Raise `ConfigMismatchError` unless a picture's configuration is that of `owner`."""
    differing = [
        f"{field}={expected.get(field)!r}, found {config.get(field)!r}"
        for field in sorted(config.keys() | expected.keys())
        if config.get(field) != expected.get(field)
    ]
    if differing:
        raise ConfigMismatchError(
            f"{name}: expected a picture made as for {owner}, with {'; '.join(differing)}"
        )


def _by_folder(name: str) -> Picture:
    folder, slash, _ = name.partition("/")
    return Picture(name, folder if slash and folder != UNLABELLED else "")


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def _wanted(name: str) -> bool:
    parts = name.split("/")
    file = parts[-1].lower()
    return (file == METADATA or file.endswith(SUFFIXES)) and not any(map(_hidden, parts))


def _walk(root: str) -> Iterator[str]:
    for folder, folders, files in walk(root):
        folders[:] = [name for name in folders if not _hidden(name)]
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        for file in files:
            name = file if below == "." else f"{below}/{file}"
            if _wanted(name):
                yield name


def _packed(folder: str) -> str:
    """Return the archive in which `convert` put the pictures of this folder, if it did."""
    if os.path.isfile(os.path.join(folder, "pictures.tar")):
        raise DatasetError(
            f"{folder}: expected pictures as files or in pictures.zip, found pictures.tar, which "
            "is to be unpacked first"
        )
    path = os.path.join(folder, "pictures.zip")
    return path if os.path.isfile(path) else ""


def _wrapping_folder(names: Iterable[str]) -> str:
    """Return `train/` for train/normal/x.png and the like, else an empty string."""
    names = list(names)
    tops = {name.partition("/")[0] + "/" for name in names}
    if len(tops) != 1:
        return ""
    (top,) = tops
    deep = all(name.count("/") >= 2 for name in names)
    return top if deep or top + METADATA in names else ""
