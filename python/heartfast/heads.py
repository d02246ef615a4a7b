"""The heads of picture files: what time a picture shows, and where in it. Without decoding it."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO, NamedTuple

from heartfast.files import open_file

_MAGIC = b"\x89PNG\r\n\x1a\n"
_MOST_TEXT = 1 << 16
_MOST_SIDE = (1 << 31) - 1  # as PNG has it
_MOST_SECONDS = 1e9  # of a recording: 30 years
_MOST_RATIO = 1e5
_IHDR = 13  # bytes of the chunk
_MOST_CHUNKS = 64  # before the pixels


class Plot(NamedTuple):
    """Where in a picture its spectrogram is, as shares of the width and the height from 0 to 1.

    `ratio` is the picture's width by its height: 0 where it can be stretched to any, being nothing
    but a spectrogram, and None where it is not known.
    """

    ratio: float | None
    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0


TILE = Plot(0)


class Head(NamedTuple):
    """What a picture shows: seconds of its recording, from the left to the right of its `plot`.

    `start` and `seconds` are the part of the recording; `part` says that its name may tell them, or
    a channel. Unknown times are None.
    """

    plot: Plot
    start: float = 0.0
    seconds: float | None = None
    left: float | None = None
    right: float | None = None
    part: bool = False


def read_head(path: str) -> Head:
    """Read what a picture's file says of itself; of one that is not heartfast's that is little."""
    try:
        with open_file(path, "a picture") as file:
            return head_of(file)
    except OSError:
        return Head(Plot(None))


def head_of(file: BinaryIO) -> Head:
    """Read what an open file says of itself, as `read_head` does."""
    width, height, text = _chunks(file)
    known = 0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE
    unknown = Head(Plot(round(width / height, 4) if known else None))
    try:
        return _checked(_head(json.loads(text), width)) if text and known else unknown
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError):
        return unknown  # whoever wrote it, a picture is still to be seen


def part_of(file: BinaryIO) -> tuple[object, ...]:
    """Return which part of its recording an open file shows: channel, start and duration in s.

    A file that is not heartfast's shows an unknown part, which is the same for all such files.
    """
    _, _, text = _chunks(file)
    try:
        made = json.loads(text) if text else {}
        return made.get("channel"), made.get("start_s", 0), made.get("duration_s")
    except (ValueError, AttributeError):
        return ()


def _chunks(file: BinaryIO) -> tuple[int, int, bytes]:
    """Width, height and the text of heartfast's chunk, from what is before the pixels."""
    if file.read(8) != _MAGIC:
        return 0, 0, b""
    width = height = 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"IDAT", b"IEND", b""):
            break
        if kind == b"IHDR" and size == _IHDR:
            data = file.read(size)
            width, height = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4))
        elif kind == b"iTXt" and size <= _MOST_TEXT:
            data = file.read(size)
            # The keyword, not compressed, in no language and not translated.
            if data.startswith(b"heartfast\0\0\0"):
                return width, height, data.split(b"\0", 5)[-1]
        else:
            file.seek(size, 1)
        file.seek(4, 1)  # its checksum
    return width, height, b""


def _head(made: dict[str, Any], width: int) -> Head:
    start, seconds = _number(made.get("start_s", 0)), _number(made["duration_s"])
    part = "start_s" in made or "channel" in made
    if axes := made.get("axes"):
        across, down = map(_number, axes["size"])
        edges = zip(axes["plot"], (across, down, across, down), strict=True)
        plot = Plot(round(across / down, 4), *(round(_number(x) / of, 5) for x, of in edges))
        left, right = map(_number, axes["xlim"])
        return Head(plot, start, seconds, left, right, part)
    # A column is centred on its frame, so that the picture begins half a hop before the first.
    rate, hop, window = (
        _number(made[name]) for name in ("sample_rate", "hop_length", "win_length")
    )
    centred, samples = made["config"].get("center", True), round(seconds * rate)
    first = -hop / 2 if centred else (window - hop) / 2
    if made["config"].get("size"):
        frames = (samples if centred else max(0, samples - window)) // hop + 1
    else:
        frames = width
    left = start + first / rate
    return Head(TILE, start, seconds, left, left + frames * hop / rate, part)


def _checked(head: Head) -> Head:
    """Raise `ValueError` for what no picture shows."""
    left, top, right, bottom = head.plot[1:]
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError("expected a plot inside of the picture")
    if head.plot.ratio and not 1 / _MOST_RATIO <= head.plot.ratio <= _MOST_RATIO:
        raise ValueError("expected a picture that can be seen")
    times = (head.start, head.seconds, head.left, head.right)
    if any(time is not None and abs(_number(time)) > _MOST_SECONDS for time in times):
        raise ValueError("expected times of a recording")
    if head.left is not None and head.right is not None and not head.left < head.right:
        raise ValueError("expected a picture of some time")
    return head


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value}")
    return value
