"""Pictures to learn from: a folder or ZIP of PNGs and JPEGs, heartfast's own or anyone's.

A picture of heartfast's carries its provenance (how it was made) in an iTXt chunk; the
labels and groups stand in `metadata.csv`. Foreign pictures have neither: their class is
the name of their folder, and each is its own group. Folders `train`, `val` and `test` with class
folders in them are a split, and no classes.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError, DecodeError
from heartfast.files import read_file, refuse_dash, require_file, walk
from heartfast.names import comparable, is_clutter
from heartfast.partition import UNLABELLED, find_split, looks_like_split, part_of, split_note
from heartfast.provenance import Provenance
from heartfast.shown import levels_shown
from heartfast.tables import METADATA, METADATA_COLUMNS, parse_table
from heartfast.zips import open_zip, read_member, zip_members

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000
# Larger pictures are decoded one at a time: Pillow takes up to 10 bytes a pixel meanwhile.
LARGE_PIXELS = 4_000_000
_LARGE = threading.Lock()
MAX_SIDE = 65_535
MAX_FILE_BYTES = 128 << 20
MAX_SCANS = 100  # of a JPEG: each goes over the whole picture, and may have next to no bytes


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
    refused : dict of str
        Members of a ZIP that are not to be trusted, none of `pictures`, each with why.
    parts : dict of str
        Where the folders are a split, the part of each picture in them by its name: "train", "val"
        or "test".
    notes : list of str
        How `metadata.csv` was read, if not as plain CSV, and what was guessed.

    Raises
    ------
    DatasetError
        `metadata.csv` is malformed, contradicts itself or lists pictures that are not there;
        a ZIP is damaged, or all of its members are refused.
    OSError
        The source cannot be opened, or is no file or folder.
    """

    def __init__(self, source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> None:
        self._archive: zipfile.ZipFile | None = None
        self.refused: dict[str, str] = {}
        self._table = ""  # beside the archive, not in it
        if not isinstance(source, str | os.PathLike):
            self.source = ""
            paths = [os.fspath(path) for path in source]
            for path in paths:
                require_file(path, "a PNG or JPEG")
            self._use({path.replace(os.sep, "/"): path for path in paths})
            return
        self.source = os.fspath(source)
        refuse_dash(self.source, "a folder or ZIP of pictures")
        folder = os.path.isdir(self.source)
        if not folder:
            require_file(self.source, "a folder or ZIP of pictures, or a PNG or JPEG")
        if folder and (archive := _packed(self.source)):
            self._archive = open_zip(archive)
            members = self._members_of(archive)
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
            members = self._members_of(self.source)
        prefix = _wrapping_folder(members)
        self._use({name.removeprefix(prefix): member for name, member in members.items()})

    def _members_of(self, path: str) -> dict[str, str]:
        """List the ZIP, and raise where that leaves nothing, or not which table is meant."""
        assert self._archive is not None  # noqa: S101 - it has just been opened
        members, self.refused = zip_members(self._archive, _wanted)
        for name, why in self.refused.items():
            if not members or name.rpartition("/")[2] == METADATA:
                raise DatasetError(f"{path}: {why}")
        return members

    def _use(self, members: dict[str, str]) -> None:
        """Take these members, by the names they are to have."""
        self._members = members
        self.notes: list[str] = []
        self.has_metadata = METADATA in self._members
        names = sorted(name for name in self._members if name.lower().endswith(SUFFIXES))
        listed = self._read_metadata(names) if self.has_metadata else {}
        self.unlisted = [name for name in names if name not in listed] if listed else []
        depth = _split_depth(names, listed)
        self.pictures = [listed.get(name) or _by_folder(name, depth) for name in names]
        self.parts: dict[str, str] = {}
        if depth is not None:
            found = {name: part_of(_folder(name, depth)) for name in names}
            self.parts = {name: part for name, part in found.items() if part}
        elif not listed and looks_like_split(labels := [p.label for p in self.pictures]):
            self.notes.append(split_note(self.source, labels))

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
        self.notes += table.notes
        there = {comparable(name): name for name in names}
        if len(there) < len(names):
            # Names that differ only in how letters are composed mean what they say.
            there |= dict(zip(names, names, strict=True))
        listed: dict[str, Picture] = {}
        missing = []
        for row in table.records():
            cells = {column: row.get(column, "") for column in METADATA_COLUMNS}
            given = cells["file_name"].replace("\\", "/").removeprefix("./")
            name = there.get(given) or there.get(comparable(given))
            if name is None:
                if given not in self.refused:
                    missing.append(cells["file_name"])
                continue
            for column in ("label", "group", "source"):
                cells[column] = comparable(cells[column])
            cells["duration_s"] = table.with_point(cells["duration_s"])
            picture = Picture(name, *[*cells.values()][1:])
            if listed.setdefault(name, picture) != picture:
                raise DatasetError(
                    f"{where}: expected one row a picture, found different rows of {name!r}"
                )
        if missing:
            raise DatasetError(
                f"{where}: expected every listed picture to be there, found {len(set(missing))} "
                f"missing, the first {min(missing)!r}"
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

    Levels are what a viewer shows: colour becomes luma, 16 bits become 8, what is transparent is
    on white, and a picture that Exif says is turned is turned. In a heartfast PNG the palette index
    is the level, and `invert` is undone. `name` is for the `DecodeError`.
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
                if provenance and image.mode in ("L", "P"):
                    levels = np.asarray(image)
                else:
                    levels = levels_shown(image)
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
    if isinstance(error, MemoryError):  # which says nothing, or NumPy's how much of it
        return "MemoryError"
    text = str(error)[:300] or type(error).__name__
    return "".join(c if c.isprintable() else " " for c in text)


def _folder(name: str, depth: int) -> str:
    """Return the folder at a depth on the way to a picture; "" if there is none."""
    folders = name.split("/")[:-1]
    return folders[depth] if len(folders) > depth else ""


def _by_folder(name: str, split: int | None) -> Picture:
    """Know a picture by its folder, which is in a part of a split where there is one."""
    label = _folder(name, 0 if split is None else split + 1)
    return Picture(name, "" if label == UNLABELLED else comparable(label))


def _split_depth(names: Sequence[str], listed: dict[str, Picture]) -> int | None:
    """Return the depth of folders that are a split and no classes, if there are any."""
    if not listed:
        return find_split(name.rpartition("/")[0] for name in names)
    labelled = [picture for picture in listed.values() if picture.label]
    folders = (picture.name.rpartition("/")[0] for picture in labelled)
    classes = all(p.name.partition("/")[0] == p.label for p in labelled)
    return None if classes else find_split(folders, labelled=True)


def _wanted(name: str) -> bool:
    file = name.rpartition("/")[2].lower()
    return (file == METADATA or file.endswith(SUFFIXES)) and not is_clutter(name)


def _walk(root: str) -> Iterator[str]:
    for folder, folders, files in walk(root):
        folders[:] = [name for name in folders if not is_clutter(name)]
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
