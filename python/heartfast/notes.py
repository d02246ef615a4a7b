"""What a user should know of a training, beside its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.crossvalidation import BUDGET, INTERRUPTED
from heartfast.fitting import PRIOR
from heartfast.metrics import FEW
from heartfast.protocols import NAIVE
from heartfast.wording import counted

if TYPE_CHECKING:
    from heartfast.cluster.feature_table import FeatureSet
    from heartfast.crossvalidation import Comparison
    from heartfast.extraction import Extracted
    from heartfast.images import PictureSet


def of_training(
    done: Comparison, best: str, counts: dict[str, int], cv: str, time_budget: float | None
) -> list[str]:
    """Say what was left out and why, what the protocol does, and which classes are small."""
    left_out = ", ".join(done.left_out)
    notes = []
    if done.ended == BUDGET:
        notes.append(
            f"the time budget of {time_budget:g} s was over before all was done: without "
            f"{left_out}; the same command may leave out others next time"
        )
    if done.ended == INTERRUPTED:
        notes.append(f"interrupted before all was done: without {left_out}")
    if cv == NAIVE:
        notes.append(
            "random folds: recordings of one group are on both sides, so the figures are too good "
            "for patients or devices not seen before"
        )
    notes += [
        f"class {label!r} has {counted(count, 'recording')} to train on: figures for it say little"
        for label, count in counts.items()
        if count < FEW
    ]
    if best == PRIOR:
        notes.append("no model is better than predicting the class shares")
    return notes


def of_pictures(pictures: PictureSet | FeatureSet, own: int, found: Extracted) -> list[str]:
    """Say which pictures are not what they might be, `own` that have no known group."""
    unlabelled = sum(not picture.label for picture in pictures.pictures)
    notes = []
    if own:
        notes.append(
            f"pictures without a known group, each its own: {own}; if some show the same patient "
            "or device, the figures will be too good"
        )
    if pictures.unlisted:
        notes.append(f"pictures that metadata.csv does not list: {len(pictures.unlisted)}")
    if unlabelled:
        notes.append(f"pictures without a class, left out: {unlabelled}")
    if found.errors:
        first = ": ".join(found.errors[0])
        notes.append(f"pictures that could not be read: {len(found.errors)}, the first: {first}")
    if 0 < len(found.marked) < len(found.rows):
        notes.append(
            f"pictures with labelled intervals drawn on them: {len(found.marked)} of "
            f"{len(found.rows)}"
        )
    if len(found.rates) > 1:
        shown = ", ".join(f"{rate} Hz ({n})" for rate, n in sorted(found.rates.items())[:5])
        notes.append(f"pictures of recordings with {len(found.rates)} sample rates: {shown}")
    if found.foreign and found.config is not None:
        notes.append(f"pictures that do not say how they were made: {found.foreign}")
    return notes
