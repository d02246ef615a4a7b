"""The notes of results, for `warnings` and `logging` as well: once for each call of a user's."""

from __future__ import annotations

import contextlib
import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import ParamSpec, Protocol, TypeVar

    class Noted(Protocol):
        """A result with notes."""

        @property
        def notes(self) -> Sequence[str]:
            """What a user should know of it."""

    P = ParamSpec("P")
    R = TypeVar("R", bound=Noted)

# Inside of a call whose result will have the notes, or that tells them in its own way.
_told = ContextVar("_told", default=False)


def announced(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function's notes warnings as well, unless another one called it."""

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        if _told.get():
            return function(*arguments, **named)
        with unannounced():
            result = function(*arguments, **named)
        announce(result.notes, stacklevel=3)
        return result

    return call


@contextlib.contextmanager
def unannounced() -> Iterator[None]:
    """Leave it to the caller to tell the notes of what is called in here."""
    token = _told.set(True)
    try:
        yield
    finally:
        _told.reset(token)


def announce(notes: Sequence[str], *, stacklevel: int = 2) -> None:
    """Give notes to the logger ``heartfast``, and then to `warnings`."""
    import warnings

    from heartfast.errors import HeartfastWarning

    # Without it nobody can have asked for its lines, and importing it takes time.
    if "logging" in sys.modules:
        import logging

        logger = logging.getLogger("heartfast")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # else they would go to standard error
        for note in notes:
            logger.warning("%s", note)
    for note in notes:
        warnings.warn(note, HeartfastWarning, stacklevel=stacklevel)
