"""What `train` learns from: features of labelled pictures, what belongs together, and notes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast import duplicates
from heartfast import notes as notes_on
from heartfast.augment import describe_copies
from heartfast.bundle_checks import check_classes, check_plain
from heartfast.cluster.feature_table import FeatureSet, has_features
from heartfast.embedding import widened
from heartfast.errors import DatasetError, UsageError
from heartfast.extraction import extract_all
from heartfast.groups import picture_groups
from heartfast.images import PictureSet
from heartfast.naming import name_groups
from heartfast.partition import kept_note, side_to_test
from heartfast.wording import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heartfast.embedding import Network
    from heartfast.extraction import Extracted
    from heartfast.images import Picture
    from heartfast.progress import ProgressCallback


class TrainingSet(NamedTuple):
    """Labelled pictures that could be described, and what is known of each.

    `groups` are numbers, of all that is to stay together; `company` names the group that `score`
    will know; `copies` are the features of changed copies, or None.
    """

    labelled: list[Picture]
    found: Extracted
    groups: list[int]
    company: list[str]
    copies: NDArray[np.float64] | None
    notes: list[str]


def read_training_set(
    source: str | os.PathLike[str],
    *,
    network: Network | None,
    embed_only: bool,
    group_regex: str | None,
    context: bool,
    join_duplicates: bool,
    augment: int,
    seed: int,
    jobs: int | None,
    progress: ProgressCallback | None,
) -> TrainingSet:
    """Read and describe what `heartfast.train` is given, whose arguments these are."""
    where = os.fspath(source)
    described = has_features(source)
    if described and (network is not None or augment):
        raise UsageError(f"{where}: expected pictures to describe anew, found their features only")
    with FeatureSet(where) if described else PictureSet(source) as pictures:
        labelled = [picture for picture in pictures.pictures if picture.label]
        notes, labelled = _without_test_set(pictures, labelled)
        names = [picture.name for picture in labelled]
        if not names and len(pictures):
            raise DatasetError(
                f"{where}: expected pictures in class folders or labelled in "
                f"metadata.csv, found {len(pictures)} without a class"
            )
        _check_names(where, labelled)
        labelled, of_names = name_groups(labelled, names, group_regex)
        own = sum(not picture.group for picture in labelled)
        if isinstance(pictures, FeatureSet):
            found = pictures.extract(names)
        else:
            found = extract_all(pictures, names, jobs=jobs, progress=progress)
            found = widened(
                found, network, embed_only, pictures, names, jobs=jobs, progress=progress
            )
        labelled = [labelled[row] for row in found.rows]
        # As `score` will know them: what else is found to belong together is for the folds only.
        company = [picture.group or picture.name for picture in labelled]
        if context and not any(picture.group for picture in labelled):
            raise DatasetError(
                f"{where}: expected groups, from metadata.csv or a group_regex, for a context of "
                "recordings; found none"
            )
        notes += notes_on.of_pictures(pictures, own, found) + of_names
        copies = None
        if isinstance(pictures, FeatureSet):
            notes += [CHANGED] * join_duplicates
            groups = pictures.groups(labelled)
        else:
            if join_duplicates:
                labelled, joined = duplicates.join_duplicates(
                    labelled, pictures, jobs=jobs, progress=progress
                )
                notes += joined
            groups = picture_groups(labelled, pictures, jobs=jobs)
            if augment:
                names = [picture.name for picture in labelled]
                copies = describe_copies(
                    pictures, names, augment, seed=seed, jobs=jobs, progress=progress
                )
    return TrainingSet(labelled, found, groups, company, copies, notes)


def _without_test_set(
    pictures: PictureSet | FeatureSet, labelled: list[Picture]
) -> tuple[list[str], list[Picture]]:
    """Leave out the test set of a split that the dataset has already; say so, and what was read."""
    if isinstance(pictures, FeatureSet):
        return [], labelled
    parts = [pictures.parts.get(picture.name, "") for picture in labelled]
    tested = side_to_test(parts)
    if not tested:
        return [*pictures.notes], labelled
    kept = [picture for picture, part in zip(labelled, parts, strict=True) if part != tested]
    left = counted(len(labelled) - len(kept), "picture")
    note = f"{kept_note(parts, tested)}, and its {left} are not trained on"
    return [*pictures.notes, note], kept


def _check_names(where: str, labelled: list[Picture]) -> None:
    """Raise `DatasetError` for names that no model can keep, before the work begins."""
    labels = sorted({picture.label for picture in labelled})
    try:
        check_plain("sources", sorted({picture.source for picture in labelled}))
        if len(labels) > 1:  # fewer are refused where it is known which pictures can be read
            check_classes(labels)
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from None


CHANGED = (
    "of features beside pictures, only copies with the same bytes are kept together; audit finds "
    "those that were changed, in the pictures"
)
