"""Options that say who does the work, where that is not this process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_engine(p: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of who does the work; return their group."""
    group = p.add_argument_group("on many machines")
    group.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="who does the work: this process, or a Ray cluster",
    )
    group.add_argument(
        "--address", metavar="A", help="of the Ray cluster: auto, or ray://HOST:PORT (one here)"
    )
    return group


def add_tasks(p: argparse.ArgumentParser) -> None:
    """Add the options of conversions in tasks."""
    group = add_engine(p)
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="do the I-th of N parts, for array jobs; heartfast merge joins them",
    )
    group.add_argument(
        "--features",
        action="store_true",
        help="compute the features of the pictures, too: train then reads these only",
    )
