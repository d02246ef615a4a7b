"""The members of a saved model's ZIP: written alike always, and read within limits."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

from heartfast.errors import BundleError
from heartfast.files import read_file, require_output, write_bytes, zip_member

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zipfile import ZipFile, ZipInfo

MANIFEST = "bundle.json"
CARD = "card.md"
ARRAY = ".f64"
# JSON's many small objects take thirty times their text in memory: they are counted first.
MAX_JSON_BYTES = 16 << 20
MAX_JSON_OBJECTS = 50_000  # and lists
MAX_JSON_VALUES = 1_000_000
MAX_CARD_BYTES = 1 << 20
MAX_BYTES = 80 << 20  # of all members together
MAX_FILE_BYTES = MAX_BYTES + (1 << 20)
MAX_ENTRIES = 500  # many more than a blend of everything has, and far less than fill the memory


def write_members(path: str | os.PathLike[str], members: Mapping[str, bytes]) -> None:
    """Write a ZIP of these members, its bytes the same for the same members.

    Raises
    ------
    BundleError
        `read_members` would not take it.
    OSError
        It cannot be written.
    """
    import zipfile

    require_output(path, kind="model")
    try:
        _check_sizes({name: len(data) for name, data in members.items()})
    except ValueError as error:
        raise BundleError(f"{os.fspath(path)}: {error}") from None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(members.items()):
            archive.writestr(zip_member(name), data, zipfile.ZIP_DEFLATED)
    write_bytes(path, buffer.getvalue())


def read_members(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """Read all members of a ZIP with a manifest.

    Raises
    ------
    ValueError
        It is no intact ZIP, has no manifest, too many members or too large ones.
    OSError
        It cannot be read.
    """
    import zipfile

    data = read_file(path, "a model", MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"expected at most {MAX_FILE_BYTES >> 20} MB, found more")
    # Each entry of a ZIP's directory begins so; by chance, one in 4 GB of anything else does.
    if data.count(b"PK\1\2") > MAX_ENTRIES:
        raise ValueError(f"expected {MANIFEST} and a model, found many members")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_infos(infos)
            # ZipExtFile gives no more than the size checked, and checks the CRC at the end.
            return {info.filename: _content(archive, info) for info in infos}
    except ValueError:
        raise
    except Exception as error:  # zipfile and zlib each raise their own on damage
        raise ValueError(f"expected an intact heartfast model, found: {error}") from None


def _content(archive: ZipFile, info: ZipInfo) -> bytes:
    content = archive.read(info)
    if len(content) != info.file_size:
        wrong(f"{info.file_size} bytes of {info.filename:.80}", len(content))
    return content


def _check_infos(infos: list[ZipInfo]) -> None:
    from zipfile import ZIP_DEFLATED, ZIP_STORED

    sizes = {info.filename: info.file_size for info in infos}
    if len(sizes) != len(infos):
        raise ValueError("expected members of different names, found one twice")
    if MANIFEST not in sizes:
        found = f"{len(infos)} members, {', '.join(list(sizes)[:3])}" if infos else "an empty ZIP"
        raise ValueError(f"expected {MANIFEST} and a model, found {found}")
    _check_sizes(sizes)
    for info in infos:
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others may take any memory
            wrong(f"{info.filename} to be deflated", f"compression {info.compress_type}")


def _check_sizes(sizes: Mapping[str, int]) -> None:
    limits = {".json": MAX_JSON_BYTES, ".md": MAX_CARD_BYTES}
    for name, size in sizes.items():
        if size > (limit := limits.get(os.path.splitext(name)[1], MAX_BYTES)):
            wrong(f"{name} to be at most {limit >> 20} MB", f"{size >> 20} MB")
    if (total := sum(sizes.values())) > MAX_BYTES:
        wrong(f"a model of at most {MAX_BYTES >> 20} MB", f"{total >> 20} MB")
    if len(sizes) > MAX_ENTRIES:
        wrong(f"at most {MAX_ENTRIES} members", len(sizes))


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    import hashlib

    return hashlib.sha256(content).hexdigest()


def dump(value: object, indent: int | None = None) -> str:
    """JSON, the same for the same value."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent, sort_keys=True)


def parse(content: bytes, name: str) -> dict[str, object]:
    """Read a JSON object; `ValueError` names the member where it is none."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number")

    objects, values = content.count(b"{") + content.count(b"["), content.count(b",")
    if objects > MAX_JSON_OBJECTS or values > MAX_JSON_VALUES:
        wrong(f"{name} of at most {MAX_JSON_OBJECTS} lists and {MAX_JSON_VALUES} values", "more")
    try:
        value = json.loads(text_of(content, name), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected {name} to be JSON, found: {error}") from None
    if not isinstance(value, dict):
        wrong(f"{name} to be an object", type(value).__name__)
    return value


def text_of(content: bytes, name: str) -> str:
    """Decode UTF-8; `ValueError` names the member where it is none."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected {name} to be UTF-8 text") from None


def typed(fields: Mapping[str, object], name: str, kind: type) -> Any:
    """Return a field of this type; `ValueError` where it has another."""
    value = fields.get(name)
    if not isinstance(value, kind):
        wrong(f"{name} to be a {kind.__name__}", type(value).__name__)
    return value


def wrong(expected: str, found: object) -> NoReturn:
    """Raise the `ValueError` that says these two."""
    raise ValueError(f"expected {expected}, found {found}")
