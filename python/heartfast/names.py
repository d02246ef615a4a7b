"""How names of files are compared, and which files systems leave beside those of users."""

from __future__ import annotations

import re

_NO_UTF8 = re.compile("[\udc80-\udcff]")
# What stands for a byte that is no UTF-8 in a container of text only, and what looks like it.
_ESCAPED = re.compile("%((?:25)*)([89A-F][0-9A-F])")
# What is hidden, or what Windows and macOS put into folders, with all that is in it.
_CLUTTER = re.compile(
    r"(?:^|/)(?:\.|(?:__macosx|thumbs\.db|desktop\.ini|icon\r)(?:/|$))", re.IGNORECASE
)


def comparable(name: str) -> str:
    """Return what is the same for two spellings of one name; files keep their own bytes.

    macOS decomposes letters (``u`` and a combining diaeresis), keyboards compose them (``ü``), and
    old systems write Windows-1252 where others write UTF-8.

    Examples
    --------
    >>> from heartfast.names import comparable
    >>> comparable("Mu\\u0308ller.wav") == comparable("M\\u00fcller.wav")
    True
    """
    if name.isascii():
        return name
    from unicodedata import normalize

    return normalize("NFC", legible(name))


def folded(name: str) -> str:
    """Return what is the same for two names that are one file on some system."""
    return name.casefold() if name.isascii() else comparable(comparable(name).casefold())


def legible(text: str) -> str:
    """Read bytes that are no UTF-8 as Windows-1252, as far as these are letters there."""
    return _NO_UTF8.sub(
        lambda found: bytes([ord(found[0]) & 0xFF]).decode("cp1252", "surrogateescape"), text
    )


def is_utf8(text: str) -> bool:
    """Whether a text has no bytes that are no UTF-8."""
    return text.isascii() or not _NO_UTF8.search(text)


def text_of_name(name: str) -> str:
    """Return a name as UTF-8: bytes that are none become ``%E9``; `name_of_text` undoes it."""
    if "%" in name:
        name = _ESCAPED.sub(r"%25\1\2", name)
    if is_utf8(name):
        return name
    return _NO_UTF8.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", name)


def name_of_text(text: str) -> str:
    """Return the name that `text_of_name` has made this text of."""

    def undo(found: re.Match[str]) -> str:
        again, byte = found.groups()
        return f"%{again[2:]}{byte}" if again else chr(0xDC00 + int(byte, 16))

    return _ESCAPED.sub(undo, text) if "%" in text else text


def is_clutter(name: str) -> bool:
    """Whether a file, by its name with "/", is hidden or left by a system, or its folder is."""
    return _CLUTTER.search(name) is not None
