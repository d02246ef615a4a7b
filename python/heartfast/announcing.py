"""The notes of results, for `warnings` and `logging` as well: once for each call of a user's."""

from __future__ import annotations

import contextlib
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING

from heartfast.errors import warn

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
        warn(*result.notes)
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
