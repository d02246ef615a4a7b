"""What can go wrong, as exceptions.

Bad arguments raise `UsageError` (a `ValueError`) or `TypeError`, files that cannot be
opened the `OSError` family; everything else below is about the content of files. Every
message names the thing, what was expected and what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heartfast.conversion import Failed


class HeartfastError(Exception):
    """Base of all errors that heartfast raises about the content of files."""


class HeartfastWarning(UserWarning):
    """What a user should know of a result that is there all the same."""


def warn(*texts: str) -> None:
    """Give notes to the logger ``heartfast``, and then to `warnings`, as of the caller's line.

    The caller is the innermost one that is not in heartfast.
    """
    import sys
    import warnings

    frame, level = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__", "")).split(".")[0] == "heartfast":
        frame, level = frame.f_back, level + 1
    # Without it nobody can have asked for its lines, and importing it takes time.
    if "logging" in sys.modules:
        import logging

        logger = logging.getLogger("heartfast")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # else they would go to standard error
        for text in texts:
            logger.warning("%s", text)
    for text in texts:
        warnings.warn(text, HeartfastWarning, stacklevel=level)


class UsageError(ValueError):
    """An argument that a function or a configuration does not take.

    Any other `ValueError` that leaves heartfast is a defect.
    """


class DecodeError(HeartfastError):
    """A recording or picture that is damaged, truncated, empty or beyond a limit."""


class UnsupportedFormatError(DecodeError):
    """A file whose container or codec heartfast does not read."""


class EncodeError(HeartfastError):
    """A picture that cannot be written as PNG (no pixels, or too many)."""


class DatasetError(HeartfastError):
    """Recordings, pictures, labels or tables that do not fit together."""


class StoppedError(HeartfastError):
    """More recordings failed than `convert` was to accept; the same call goes on from there.

    `errors` are those that did.
    """

    errors: Sequence[Failed] = ()


class BundleError(HeartfastError):
    """A saved model that is truncated, altered, foreign or of another version."""


class ConfigMismatchError(HeartfastError):
    """Pictures that were made with another configuration than a model's."""
