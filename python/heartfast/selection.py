"""What of a recording becomes pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes that channel and start take behind a name: `_ch256_`, and milliseconds of 300 years.
_SUFFIX_BYTES = 20


class Selection(NamedTuple):
    """The options of `heartfast.convert` that choose from a recording, and cut it.

    Parameters
    ----------
    channel : str or int
        ``mix`` (the mean of all), ``left`` (the first), ``right`` (the second, or the only one),
        ``each`` (a picture of each), or a number, counted from 1 as by sox.
    sr : int, optional
        Samples per second to resample to.
    start, duration : float
        Seconds.
    segment_s : float, optional
        Length of segments in seconds.
    segment_overlap : float
        Of neighbouring segments, in percent of their length.

    Notes
    -----
    `heartfast._core.selection_json` checks it.
    """

    channel: str | int = "mix"
    sr: int | None = None
    start: float = 0.0
    duration: float | None = None
    segment_s: float | None = None
    segment_overlap: float = 0.0

    @classmethod
    def from_json(cls, fields: object) -> Selection:
        """Check and take what JSON has; `ValueError` says what is wrong with it."""
        from heartfast._core import selection_json

        if not isinstance(fields, dict) or fields.keys() != set(cls._fields):
            raise ValueError(f"expected a selection with {', '.join(cls._fields)}")
        selection = cls(**fields)
        try:
            selection_json(selection)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"expected a valid selection, found: {error}") from None
        return selection

    @property
    def cuts(self) -> bool:
        """Whether a recording may become several pictures."""
        return self.segment_s is not None or self.channel == "each"

    @property
    def room(self) -> int:
        """Bytes that names of pictures may have more than their recording's."""
        return _SUFFIX_BYTES * self.cuts

    def recording_of(self, picture: str) -> str:
        """Return a picture's name without what `convert` adds for its channel and segment."""
        import re

        stem, dot, _ = picture.rpartition(".")
        pattern = r"_ch\d+" * (self.channel == "each") + r"_\d+" * (self.segment_s is not None)
        return re.sub(f"{pattern}$", "", stem if dot else picture) if self.cuts else picture

    def words(self) -> str:
        """Say what it selects."""
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        if self == Selection():
            yield "whole recordings, the mix of their channels at their own sample rate"
            return
        if self.segment_s is not None:
            yield f"segments of {self.segment_s:g} s"
            if self.segment_overlap:
                yield f"with an overlap of {self.segment_overlap:g} %"
        else:
            whole = self.duration is None and not self.start
            yield "whole recordings" if whole else "parts of recordings"
        if self.channel != "mix":
            names = {"each": "each channel", "left": "left channel", "right": "right channel"}
            yield names.get(str(self.channel), f"channel {self.channel}")
        if self.start:
            yield f"from {self.start:g} s on"
        if self.duration is not None:
            yield f"{self.duration:g} s in all"
        if self.sr is not None:
            yield f"resampled to {self.sr} Hz"
