"""How a stage tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One report of a running stage; `done` of `total` includes the `failed`."""

    stage: str
    done: int
    total: int
    failed: int = 0


ProgressCallback = Callable[[Progress], None]
