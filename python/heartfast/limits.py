"""How much of what a file promises is believed."""

from __future__ import annotations

from typing import NamedTuple

from heartfast.errors import UsageError


class Limits(NamedTuple):
    """Limits on what is read and drawn; what goes beyond one fails by its name.

    Parameters
    ----------
    max_channels : int
        Channels of a recording.
    max_sample_rate : int
        Of a recording, in Hz. The default is four times the fastest converter's.
    max_duration_s : float
        Seconds that are decoded into one picture: of a segment, or of a recording taken whole.
    max_image_pixels : int
        Pixels of a picture.
    max_archive_ratio : float
        Bytes of a compressed member of an archive, over those that it takes in there. Members of up
        to 256 MB may have any ratio, as silence does (1029); the default refuses longer ones.
    max_archive_members : int
        Members of an archive.

    Notes
    -----
    The error says the limit's name, what it allows, and what was found.

    Examples
    --------
    >>> heartfast.Limits(max_duration_s=3600).max_channels
    256
    """

    max_channels: int = 256
    max_sample_rate: int = 3_072_000
    max_duration_s: float = 6 * 3600.0
    max_image_pixels: int = 1 << 28
    max_archive_ratio: float = 1000.0
    max_archive_members: int = 20_000_000


def check_limits(limits: Limits | None) -> Limits:
    """Return limits that the core takes, the usual ones for None.

    Raises
    ------
    UsageError
        One of them is no number from 1 to the largest that there is of its kind.
    """
    limits = limits or Limits()
    for name, value in limits._asdict().items():
        usual = Limits._field_defaults[name]
        narrow = name in ("max_channels", "max_sample_rate")
        most = float("inf") if isinstance(usual, float) else 2 ** (32 if narrow else 64) - 1
        number = isinstance(value, (int, type(usual))) and not isinstance(value, bool)
        if not number or not 0 < value <= most:
            kind = "number over 0" if isinstance(usual, float) else f"whole number from 1 to {most}"
            raise UsageError(f"{name}: expected a {kind}, found {value!r}")
    return limits
