"""ZIPs of pictures: read in memory only, and not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.errors import DatasetError, DecodeError
from heartfast.files import require_file

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable

HEADER_BYTES = 30  # of a member's header, at least


def open_zip(path: str) -> zipfile.ZipFile:
    """Open a ZIP; `DatasetError` says what is wrong with it."""
    import zipfile

    try:
        require_file(path, "a folder, a picture or an intact ZIP")
        return zipfile.ZipFile(path)
    except Exception as error:  # damage makes zipfile raise more than its own
        if isinstance(error, OSError) and error.filename is not None:
            raise
        expected = "a folder, a picture or an intact ZIP"
        raise DatasetError(f"{path}: expected {expected}, found: {error}") from None


def zip_members(
    archive: zipfile.ZipFile, path: str, wanted: Callable[[str], bool]
) -> dict[str, str]:
    """Return the names of the members that are `wanted`, by what they are called with "/".

    Raises
    ------
    DatasetError
        Two members have one name or share bytes, or a name leads out of the ZIP.
    """
    import re

    members: dict[str, str] = {}
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            found = f"those of {info.filename!r} in another one"
            raise DatasetError(f"{path}: expected members with bytes of their own, found {found}")
        end = info.header_offset + HEADER_BYTES + info.compress_size
        name = info.filename.replace("\\", "/")
        # Who packs pictures anew gives them the names that they have.
        if re.match("/|[A-Za-z]:", name) or ".." in name.split("/"):
            raise DatasetError(f"{path}: expected names inside of the ZIP, found {name!r}")
        if info.is_dir() or not wanted(name):
            continue
        if name in members:
            raise DatasetError(f"{path}: expected each name once, found {name!r} twice")
        members[name] = info.filename
    return members


def read_member(archive: zipfile.ZipFile, member: str, name: str, most: int) -> bytes:
    """Return up to `most` bytes of a member; a `DecodeError` calls it `name`."""
    import zipfile

    # Of other compressions some say how much memory they take.
    if archive.getinfo(member).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DecodeError(f"{name}: expected a ZIP member that is stored or deflated")
    try:
        with archive.open(member) as file:
            return file.read(most)
    except Exception as error:  # damage, encryption and odd compressions each raise their own
        raise DecodeError(f"{name}: expected an intact ZIP member, found: {error}") from None
