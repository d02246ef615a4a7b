"""How recordings are split to be tested: groups whole, a source at a time, or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import DatasetError
from heartfast.fitting.data import grouped_folds, groups_per_class, source_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heartfast.fitting.data import Data, Fold

PROTOCOLS = ("group", "source", "random")
NAIVE = "random"


class Plan(NamedTuple):
    """What is fitted on, and all folds, each with the number of its repeat.

    At random, each recording is a group of its own in `data`.
    """

    protocol: str
    data: Data
    splits: list[tuple[int, Fold]]

    @property
    def repeats(self) -> int:
        """How often each recording is in a test part."""
        return self.splits[-1][0] + 1


def make_plan(
    protocol: str,
    data: Data,
    *,
    classes: Sequence[str],
    folds: int,
    repeats: int,
    seed: int,
    where: str,
) -> Plan:
    """Split recordings, each once a repeat into a test part; by source there is one repeat.

    Raises
    ------
    DatasetError
        A class has fewer groups than there are folds, or is missing from a training part; there
        are fewer than two sources.
    """
    if protocol == "source":
        return Plan(protocol, data, [(0, fold) for fold in _sources(data, classes, where)])
    if protocol == NAIVE:
        data = _ungrouped(data)
    _check_groups(data, classes, folds, where, "recordings" if protocol == NAIVE else "groups")
    splits = []
    for repeat in range(repeats):
        found = grouped_folds(data, folds, seed + repeat)
        if len(found) < folds:
            raise DatasetError(
                f"{where}: expected every class in the training part of all {folds} folds, found "
                f"it in {len(found)}: a class is concentrated in few groups; fewer folds may do"
            )
        splits += [(repeat, fold) for fold in found]
    return Plan(protocol, data, splits)


def other_plan(plan: Plan, data: Data, **splitting: Any) -> Plan | None:
    """Return random folds to compare with, or grouped ones with random; None where they are alike.

    `splitting` is what `make_plan` takes, but for the repeats: one is enough.
    """
    ungrouped = int(data.groups.max()) + 1 == len(data.actual)
    if plan.protocol != "source" and ungrouped:
        return None
    try:
        return make_plan("group" if plan.protocol == NAIVE else NAIVE, data, repeats=1, **splitting)
    except DatasetError:  # it is only a comparison
        return None


def _ungrouped(data: Data) -> Data:
    import numpy as np

    return data._replace(groups=np.arange(len(data.actual)))


def _sources(data: Data, classes: Sequence[str], where: str) -> list[Fold]:
    import numpy as np

    count = 0 if data.sources is None else len(np.unique(data.sources))
    if count < 2:
        raise DatasetError(
            f"{where}: expected pictures of two or more sources, in the column source of "
            f"metadata.csv, to leave out one in turn, found {count or 'none'}"
        )
    found = source_folds(data)
    if len(found) < count:
        raise DatasetError(
            f"{where}: expected each of the classes {', '.join(classes)} beside any one source, "
            f"found a class missing without one of {count} sources"
        )
    return found


def _check_groups(data: Data, classes: Sequence[str], folds: int, where: str, word: str) -> None:
    for label, groups in zip(classes, groups_per_class(data), strict=True):
        if groups < folds:
            advice = f", or --folds {groups}" if groups > 1 else ""
            raise DatasetError(
                f"{where}: expected at least {folds} {word} of class {label!r} for {folds} "
                f"folds{advice}, found {groups}"
            )
