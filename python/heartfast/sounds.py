"""Recordings as a browser plays them, or why it does not."""

from __future__ import annotations

import os
from typing import NamedTuple

from heartfast.files import read_file

# Chromium plays no lower rates, as some stethoscopes have; Safari and Firefox play few.
LEAST_RATE = 3000
# What a recording of a lower rate is resampled to where it becomes part of a page.
EMBEDDED_RATE = 8000
# Larger recordings are not put into the page: it should open at once and go by e-mail.
MAX_EMBEDDED_BYTES = 400_000
_HEAD_BYTES = 4096
# Codecs of WAV that one browser or another plays, by their tags; 0xFFFE says it further on.
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_WAV_CODECS = {0x02: "ADPCM", 0x11: "ADPCM", 0x31: "GSM 6.10", 0x50: "MPEG", 0x55: "MP3"}
_WAV_CODECS |= {_A_LAW: "A-law", _MU_LAW: "mu-law"}
# How files begin, at a place; what they are, and the type by which a browser says if it plays them.
_KINDS = (
    (0, b"fLaC", "FLAC", "audio/flac"),
    (0, b"OggS", "Ogg", "audio/ogg"),
    (0, b"ID3", "MP3", "audio/mpeg"),
    (4, b"ftyp", "M4A", "audio/mp4"),
    (8, b"AIFF", "AIFF", "audio/aiff"),
    (8, b"AIFC", "AIFF-C", "audio/aiff"),
    (0, b"caff", "CAF", "audio/x-caf"),
    (0, b".snd", "AU", "audio/basic"),
    (0, b"riff", "W64", ""),
    (0, b"RIFX", "RIFX", ""),
)


class Sound(NamedTuple):
    """Whether a page can play a recording.

    `type` is what a browser is asked for, "" where none plays it; `reason` is what the page says
    where it does not.
    """

    type: str
    reason: str


NONE = Sound("", "no recording")
NOT_FOUND = Sound("", "recording not found")
ARCHIVED = Sound("", "recording in an archive")


def find_sound(path: str) -> Sound:
    """Look at the head of a recording."""
    if not path:
        return NONE
    try:
        # Nothing else is opened: who waits for a pipe may wait for ever.
        if not os.path.isfile(path):
            return ARCHIVED if _in_archive(path) else NOT_FOUND
        head = read_file(path, "a recording", _HEAD_BYTES)
    except OSError:
        return Sound("", "recording cannot be read")
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav(head)
    for place, magic, name, kind in _KINDS:
        if head.startswith(magic, place):
            rate = _flac_rate(head) if kind == "audio/flac" else LEAST_RATE
            return _refused(f"{rate} Hz") if rate < LEAST_RATE else _asked(name, kind)
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _asked("MP3", "audio/mpeg")
    return _refused("this format")


def _wav(head: bytes) -> Sound:
    """A WAV: which browsers play depends on its codec."""

    def number(place: int, size: int) -> int:
        return int.from_bytes(head[place : place + size], "little")

    place = 12
    while place + 24 <= len(head) and head[place : place + 4] != b"fmt ":
        place += 8 + number(place + 4, 4) + number(place + 4, 4) % 2
    tag, rate, bits = number(place + 8, 2), number(place + 12, 4), number(place + 22, 2)
    if tag == _EXTENSIBLE:
        tag = number(place + 32, 2)
    if tag not in (_PCM, _FLOAT, _A_LAW, _MU_LAW):
        return _refused(_WAV_CODECS.get(tag, "this codec"))
    if tag == _FLOAT and bits == 64:
        return _refused("64-bit floats")
    if 0 < rate < LEAST_RATE:
        return _refused(f"{rate} Hz")
    return _asked(_WAV_CODECS.get(tag, "WAV"), "audio/wav")


def _flac_rate(head: bytes) -> int:
    return int.from_bytes(head[18:21], "big") >> 4 or LEAST_RATE


def _asked(name: str, kind: str) -> Sound:
    return Sound(kind, f"browser cannot play {name}")


def _refused(name: str) -> Sound:
    return _asked(name, "")


def _in_archive(path: str) -> bool:
    """Whether a path leads on below a file."""
    parent = os.path.dirname(path)
    while parent not in ("", path) and not os.path.exists(parent):
        path, parent = parent, os.path.dirname(parent)
    return os.path.isfile(parent)


def embedded(path: str, sample_rate: int) -> str:
    """Return a recording as part of a page, a `data:` address; "" where that is not possible."""
    import base64

    from heartfast import synth
    from heartfast.errors import HeartfastError
    from heartfast.spectral import load

    kind = find_sound(path).type
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > MAX_EMBEDDED_BYTES:
            return ""
        if kind and sample_rate >= LEAST_RATE:
            data = read_file(path, "a recording", MAX_EMBEDDED_BYTES)
        else:
            samples, sr = load(path, sr=max(sample_rate, EMBEDDED_RATE))
            if 2 * len(samples) > MAX_EMBEDDED_BYTES:
                return ""
            kind, data = "audio/wav", synth.wav_bytes(samples, sr)
    except (OSError, HeartfastError):
        return ""  # it went away meanwhile; its picture is still worth showing
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
