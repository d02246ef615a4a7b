"""Ctrl-C and SIGTERM, for the command line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# A user who presses Ctrl-C twice must not break into the clean-up that the first began.
DEAF_S = 2.0


class Signals(list[int]):
    """Those that came; while it is `patient`, the first is for work that ends by itself."""

    patient = False


@contextlib.contextmanager
def listening(signals: Signals, *, for_good: bool) -> Iterator[None]:
    """Make SIGTERM the same orderly end as Ctrl-C; which of them came is put into `signals`."""
    import signal
    import threading
    import time

    deaf_until = 0.0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal deaf_until
        now = time.monotonic()
        if now >= deaf_until:
            # A batch finishes what is in hand first, and hears a second one.
            patient = signals.patient and not signals
            deaf_until = now if patient else now + DEAF_S
            signals.append(number)
            if patient:
                from heartfast.console import say

                say("finishing what is in hand; once more to stop at once")
            raise KeyboardInterrupt

    # Where the caller has them ignored, or handles them, that stays.
    usual: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    ours = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            # The work is over: what comes now ends the process without a word, or is too late.
            late = signal.SIG_IGN if signals else signal.SIG_DFL
            signal.signal(number, late if for_good else usual[number])
