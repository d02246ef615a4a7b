"""Standard input: a list of paths, a recording, or a table."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from heartfast.errors import DatasetError
from heartfast.tables import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STANDARD_INPUT = "standard input"
NAME = "stdin"  # of a recording that comes from there
MAX_BYTES = 1 << 30
_LONGEST = 1 << 16  # bytes of a path
# What recordings begin with, at a place in the file; the last two are MP3 and ADTS without a tag.
_SOUNDS = (
    (0, rb"RIFF|RIFX|RF64|BW64|FORM|fLaC|OggS|\.snd|caff|ID3|riff\x2e\x91\xcf\x11"),
    (4, rb"ftyp|moov|mdat"),
    (0, rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\xef]|\xff[\xf0\xf1\xf8\xf9]"),
)
# What is in no text. A path may have it, if a NUL ends each.
_NO_TEXT = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_standard_input(expected: str) -> bytes:
    """Read all of standard input.

    Raises
    ------
    OSError
        It is closed; the message says what was `expected`.
    DatasetError
        It has more than `MAX_BYTES`.
    """
    if sys.stdin is None:
        raise OSError(f"{STANDARD_INPUT}: expected {expected}, found it closed")
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DatasetError(
            f"{STANDARD_INPUT}: expected at most {MAX_BYTES >> 20} MB, found more; name the file"
        )
    return data


def is_sound(data: bytes) -> bool:
    """Whether bytes begin as a recording does, and not as a list of paths."""
    if not any(re.compile(magic).match(data, at) for at, magic in _SOUNDS):
        return False
    first = data[:_LONGEST].split(b"\0", 1)[0]  # of folders that are called like a format
    return _NO_TEXT.search(data) is not None or (b"\0" in data and not os.path.lexists(first))


def sound_reader(data: bytes) -> tuple[Callable[[int, int], bytes], int, int]:
    """Return a recording in memory as the core takes it: what reads it, its size, and its time.

    The time is a number by which other bytes are other recordings, as it has no time.
    """
    from hashlib import sha256

    time = int.from_bytes(sha256(data).digest()[:7], "big")
    return lambda start, length: data[start : start + length], len(data), time


def listed_paths(data: bytes, note: Callable[[str], object]) -> Iterator[str]:
    """Give the paths of a list one by one; one of millions stands in memory as bytes only.

    A path a line, in UTF-8 or UTF-16, with line ends of any system; or with a NUL behind each.

    Raises
    ------
    DatasetError
        It is no list.
    """
    separator = b"\0"
    if _is_utf16(data) or data.startswith((b"\xef\xbb\xbf", b"\xff\xfe\0\0")):
        text, encoding = decode_text(data, STANDARD_INPUT)
        if encoding:
            note(f"{STANDARD_INPUT}: read as {encoding}")
        data = os.fsencode(text)
    if b"\0" not in data:
        separator = b"\n"
        if found := _NO_TEXT.search(data):
            raise _no_list(f"the byte 0x{found[0][0]:02x} in place {found.start()}")
    for _ in _paths(data, separator):
        pass  # all of it is a list, before any folder is searched
    yield from map(os.fsdecode, _paths(data, separator))


def _paths(data: bytes, separator: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(separator, start)
        if end < 0:
            end = len(data)
        path = data[start:end]
        if separator == b"\n":
            path = path.removesuffix(b"\r")
        elif not path and len(data) > 1:
            raise _no_list(f"two NULs in place {start}")
        if len(path) > _LONGEST:
            raise _no_list(f"one of {len(path)} bytes")
        if separator == b"\0" and _NO_TEXT.search(path) and not os.path.lexists(path):
            raise _no_list(f"other bytes in place {start}")
        if path:
            yield path
        start = end + 1


def _is_utf16(data: bytes) -> bool:
    """Whether it is UTF-16, which has a mark; or else ASCII with a NUL to each letter."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    head = data[: 1 << 12]
    for own, nulls in ((head[::2], head[1::2]), (head[1::2], head[::2])):
        # Paths of one letter and a NUL each have no dot, slash or line end.
        if nulls and not any(nulls) and 0 not in own and re.search(rb"[./\\\r\n]", own):
            return True
    return False


def _no_list(found: str) -> DatasetError:
    return DatasetError(
        f"{STANDARD_INPUT}: expected a recording, or a list of paths, a path a line or with a NUL "
        f"behind each, found {found}"
    )
