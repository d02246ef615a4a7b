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
    archive: zipfile.ZipFile, wanted: Callable[[str], bool]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names of the members that are `wanted`, by what they are called with "/".

    And those that are refused, each with why: a name that leads out of the ZIP or is there twice,
    bytes that are another member's, too. The others are not the worse for them.
    """
    import re

    members: dict[str, str] = {}
    refused: dict[str, str] = {}
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    starts = [info.header_offset for info in infos]
    for place, info in enumerate(infos):
        name = info.filename.replace("\\", "/")
        outside = re.match("/|[A-Za-z]:", name) or ".." in name.split("/")
        if info.is_dir() or not wanted(name.rpartition("/")[2] if outside else name):
            continue
        start, following = starts[place], (*starts[place + 1 : place + 2], archive.start_dir)[0]
        end = start + HEADER_BYTES + info.compress_size
        # Who packs pictures anew gives them the names that they have.
        if outside:
            refused[name] = f"expected names inside of the ZIP, found {name!r}"
        elif end > following or starts[max(0, place - 1) : place] == [start]:
            refused[name] = "expected members with bytes of their own, found those of another one"
        elif name in members or name in refused:
            refused[name] = f"expected each name once, found {name!r} twice"
            members.pop(name, None)
        else:
            members[name] = info.filename
    return members, refused


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
