"""What of a recording becomes pictures."""

from __future__ import annotations

from typing import NamedTuple


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

    @property
    def cuts(self) -> bool:
        """Whether a recording may become several pictures."""
        return self.segment_s is not None or self.channel == "each"
