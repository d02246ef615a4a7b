"""A saved model and pictures, or recordings, in; class probabilities out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast import remarks
from heartfast.bundle import Bundle
from heartfast.combining import combine, groups_to_score
from heartfast.context import with_context
from heartfast.decisions import make_rule
from heartfast.embedding import require_network, widened
from heartfast.errors import DatasetError
from heartfast.extraction import extract_all, extract_recordings, recording_name
from heartfast.files import require_output
from heartfast.images import PictureSet, holds_pictures
from heartfast.tables import DECISION, PREFIX, write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast import SpectrogramConfig
    from heartfast.decisions import Costs, Rule
    from heartfast.embedding import Network
    from heartfast.extraction import Extracted
    from heartfast.progress import ProgressCallback

    Path = str | os.PathLike[str]

COLUMNS = ("short", "full")
UNLIKE = 0.01  # of recordings like the training's: the share that is called unlike it


class Decisions(NamedTuple):
    """How `score` decides; see there."""

    rule: Rule
    reject: float | None


class ScoreResult(NamedTuple):
    """Probabilities float64 (n, k) of what could be scored, in the order of its names.

    `row_ids` are the positions among all inputs, the unreadable ones (`errors`: name and
    message) included, so that a bad file does not shift the rows after it. `novelty`, float64
    (n,), says which share of recordings like those of the training are less unlike them; None
    where the model does not know. `decisions` are class names, empty for what was refused; None
    where none were asked for. Where rows are groups, `names` are theirs, `members` the recordings
    of each, and `novelty` is that of the least unlike of these.
    """

    row_ids: list[int]
    names: list[str]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    errors: list[tuple[str, str]]
    notes: list[str]
    novelty: NDArray[np.float64] | None = None
    decisions: list[str] | None = None
    members: list[list[str]] | None = None

    @property
    def predicted(self) -> list[str]:
        """The most probable class of every row, the first among equals."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]

    def to_dict(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        fields = self._asdict() | {"probabilities": self.probabilities.tolist()}
        novelty = None if self.novelty is None else self.novelty.tolist()
        return fields | {"predicted": self.predicted, "novelty": novelty}

    def table(self, columns: str = "short") -> tuple[list[str], list[list[object]]]:
        """Return the header and rows of scores.csv."""
        of_class = zip(self.classes, self.probabilities.T.tolist(), strict=True)
        found: dict[str, Sequence[object]] = {"row_id": self.row_ids}
        of: dict[str, Sequence[object]] = {"file_name": self.names}
        if self.members is not None:
            found = {"group": self.names}
            of = {"recordings": [len(recordings) for recordings in self.members]}
        found |= {PREFIX + label: values for label, values in of_class}
        if columns == "full":
            found |= of | {"predicted": self.predicted}
            if self.novelty is not None:
                found["novelty"] = self.novelty.tolist()
        if self.decisions is not None:
            found[DECISION] = self.decisions
        return list(found), [list(row) for row in zip(*found.values(), strict=True)]


def score(
    model: Path | Bundle,
    source: Path | Sequence[Path],
    output: Path | None = None,
    *,
    columns: str = "short",
    sensitivity: Mapping[str, float] | None = None,
    costs: Costs | None = None,
    reject: float | None = None,
    by_group: bool = False,
    group_regex: str | None = None,
    embed: Path | None = None,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> ScoreResult:
    """Predict the class probabilities of pictures or recordings.

    A model with context (see `train`) looks at each together with the others of its group, among
    all that can be read here. Groups are those of `by_group`; where none is known, each recording
    counts as its own, and a note says so.

    Parameters
    ----------
    model
        A saved model, or one already loaded.
    source
        A ZIP or folder of pictures, one picture or a list of them; else recordings (a
        folder, a file or a list of both), which are converted with the configuration of the
        model's pictures: each whole, the mix of its channels, at its own rate.
        Recordings beside pictures in a folder are passed over. Rows are in sorted order of
        the names.
    output
        CSV to write: `row_id` and `Prediction.<class>` of each class. A file that is there is
        replaced, unless it is the model or a source. None writes none.
    columns
        "short", or "full" for `file_name`, `predicted` and, where the model knows its training
        data, `novelty` as well.
    sensitivity
        Classes and the share of each that is to be found, such as `{"murmur": 0.95}`: such a
        class is decided wherever its probability is at or above the threshold that found so
        many in cross-validation. Adds a column `Decision`.
    costs
        The cost of each pair (actual, decided), 1 by default for a mistake, or a CSV of all (see
        `heartfast.decisions.cost_matrix`): what costs least on average is decided. Adds a column
        `Decision`.
    reject
        Refuse recordings that are unlike those of the training, as unlike as only this share
        of its own kind is (0.01: one in a hundred). Adds a column `Decision`, empty for them.
    by_group
        One row a group (patient) instead of one a recording, with `group` instead of `row_id`:
        the geometric mean of its recordings' probabilities (see `heartfast.combining.combine`),
        without those that are refused, unless all are. Groups come from the pictures'
        `metadata.csv`, or that above their folder, or from `test_metadata.csv` beside them.
    group_regex
        With `by_group`, or a model with context: groups come from the names, as in `convert`.
    embed
        The ONNX network that the model was trained with, if it was.
    jobs
        Threads; all cores by default.

    Raises
    ------
    BundleError
        The model is not an intact bundle of this version.
    ConfigMismatchError
        A picture was made with another configuration than the model's, or the network is
        another.
    DatasetError
        There is nothing to score, nothing readable, or no group known to score by.
    ValueError
        An argument out of range, a class that the model does not know, both a sensitivity
        and costs, or a model that lacks what is asked for.
    OSError
        A file cannot be opened or written.

    Notes
    -----
    The columns are those of the published proof of concept's platform, which its R code reads by
    position: row_id first, then the classes in sorted order.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=24, recordings=1)
    >>> png = heartfast.convert(folder + "/wav", folder + "/png", labels="folders").out
    >>> model = folder + "/model.heartfast"
    >>> trained = heartfast.train(png, model, folds=2, repeats=1, trials=1)
    >>> heartfast.score(model, folder + "/wav/murmur").probabilities.shape[1]
    3
    """
    if columns not in COLUMNS:
        raise ValueError(f"columns: expected one of {', '.join(COLUMNS)}, found {columns!r}")
    if not isinstance(source, str | os.PathLike):
        source = list(source)
    if output is not None:
        sources = [source] if isinstance(source, str | os.PathLike) else source
        require_output(output, model, embed, costs, *sources)
    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    if group_regex is not None and not (by_group or bundle.context):
        raise ValueError("group_regex: expected by_group or a model with context, found neither")
    decide = _decisions(bundle, sensitivity, costs, reject)
    network = require_network(bundle.embedding, embed)
    known: dict[str, str] = {}
    groups: list[str] = []
    notes: list[str] = []
    if holds_pictures(source):
        with PictureSet(source) as pictures:
            names = [picture.name for picture in pictures.pictures]
            known = {picture.name: picture.group for picture in pictures.pictures}
            found = _extract(bundle, network, pictures, names, jobs, progress)
        if passed_over := _recordings_in(source):
            notes.append(f"recordings passed over, as there are pictures: {passed_over}")
    else:
        names, found = _recordings(bundle, source, network, jobs=jobs, progress=progress)
    if by_group or bundle.context:
        scored = [names[row] for row in found.rows]
        groups, said = groups_to_score(scored, known, group_regex, source, required=by_group)
        notes += said
    result = _predict(bundle, names, found, groups)
    result.notes.extend(notes)
    if by_group:
        result = _combined(result, groups, reject)
    if decide is not None:
        result = _decided(result, decide)
    if output is not None:
        write_csv(output, *result.table(columns))
    return result


def _decisions(
    bundle: Bundle,
    sensitivity: Mapping[str, float] | None,
    costs: Costs | None,
    reject: float | None,
) -> Decisions | None:
    if reject is not None and not 0 < reject < 1:
        raise ValueError(f"reject: expected above 0 and below 1, found {reject}")
    if reject is not None and bundle.novelty is None:
        raise ValueError("reject: expected a model that knows its training data, found none of it")
    if not sensitivity and costs is None and reject is None:
        return None
    rule = make_rule(bundle.classes, bundle.operating, sensitivity=sensitivity, costs=costs)
    return Decisions(rule, reject)


def _extract(
    bundle: Bundle,
    network: Network | None,
    pictures: PictureSet,
    names: Sequence[str],
    jobs: int | None,
    progress: ProgressCallback | None,
) -> Extracted:
    """Describe pictures as those were that the model was trained on."""
    found = extract_all(pictures, names, config=bundle.config, jobs=jobs, progress=progress)
    only = bundle.embedding is not None and bundle.embedding.only
    return widened(found, network, only, pictures, names, jobs=jobs, progress=progress)


def _predict(
    bundle: Bundle, names: Sequence[str], found: Extracted, groups: Sequence[str]
) -> ScoreResult:
    from heartfast.novelty import novelty

    notes = list(found.notes)
    if found.foreign and bundle.config is not None:
        notes.append(
            f"pictures that do not say how they were made: {found.foreign}; the model's were made "
            "by heartfast, so what it says of them is doubtful"
        )
    if found.config is not None and bundle.config is None:
        notes.append("the model was trained on pictures that do not say how they were made")
    placed = None if bundle.novelty is None else novelty(bundle.novelty, found.matrix)
    if placed is not None:
        notes += _unlike(placed)
    features = with_context(found.matrix, groups) if bundle.context else found.matrix
    return ScoreResult(
        row_ids=found.rows.tolist(),
        names=[names[row] for row in found.rows],
        classes=bundle.classes,
        probabilities=bundle.model.predict_proba(features),
        errors=found.errors,
        notes=notes,
        novelty=placed,
    )


def _combined(result: ScoreResult, groups: Sequence[str], reject: float | None) -> ScoreResult:
    """Return a row for each group, sorted by name."""
    import numpy as np

    names, number = np.unique(groups, return_inverse=True)
    usable: NDArray[np.bool_] = np.ones(len(groups), dtype=bool)
    least = None
    if result.novelty is not None:
        least = np.full(len(names), np.inf)
        np.minimum.at(least, number, result.novelty)
        if reject is not None:
            usable = result.novelty <= 1 - reject
    members: list[list[str]] = [[] for _ in names]
    for group, name in zip(number, result.names, strict=True):
        members[group].append(name)
    return result._replace(
        row_ids=list(range(len(names))),
        names=names.tolist(),
        probabilities=combine(result.probabilities, number, usable),
        novelty=least,
        members=members,
    )


def _decided(result: ScoreResult, decide: Decisions) -> ScoreResult:
    decisions = [result.classes[index] for index in decide.rule.decide(result.probabilities)]
    notes = [point.describe() for point in decide.rule.points]
    if decide.reject is not None and result.novelty is not None:
        refused = result.novelty > 1 - decide.reject
        decisions = ["" if no else d for no, d in zip(refused, decisions, strict=True)]
        notes.append(f"refused, as unlike the training data: {refused.sum()} of {len(refused)}")
    return result._replace(decisions=decisions, notes=result.notes + notes)


def _unlike(placed: NDArray[np.float64]) -> list[str]:
    """Return a note where clearly more are unlike the training data than of its own kind."""
    count, expected = int((placed > 1 - UNLIKE).sum()), UNLIKE * len(placed)
    if count <= expected + 2 * expected**0.5:
        return []
    return [
        f"{count} of {len(placed)} recordings are unlike the training data, where "
        f"{max(1, round(expected))} or fewer would be of its kind: what the model says of them is "
        "doubtful (--reject refuses such)"
    ]


def _recordings(
    bundle: Bundle,
    source: Path | Sequence[Path],
    network: Network | None,
    *,
    jobs: int | None,
    progress: ProgressCallback | None,
) -> tuple[list[str], Extracted]:
    """Name and describe recordings as `extract_recordings` does, for a network as well."""
    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    config = bundle.spectrogram_config()
    if config is None:
        raise DatasetError(
            f"{sources[0]}: expected a folder or ZIP with pictures, because the model was trained "
            "on pictures that do not say how they were made; found none"
        )
    if network is not None:
        return _drawn(bundle, sources, config, network, jobs=jobs, progress=progress)
    return extract_recordings(sources, config, jobs=jobs, progress=progress)


def _drawn(
    bundle: Bundle,
    sources: Sequence[Path],
    config: SpectrogramConfig,
    network: Network,
    *,
    jobs: int | None,
    progress: ProgressCallback | None,
) -> tuple[list[str], Extracted]:
    """Describe recordings by way of pictures, which a network sees itself."""
    import tempfile

    import numpy as np

    from heartfast.stages.convert import convert

    with tempfile.TemporaryDirectory(prefix="heartfast-") as folder:
        images = os.path.join(folder, "images")
        made = convert(sources, images, config=config, labels="none", jobs=jobs, progress=progress)
        picture_of = {
            recording_name(record.recording, sources): record.file_name for record in made.records
        }
        failed = {recording_name(error.path, sources): error.message for error in made.errors}
        # A recording of which sound is missing has a picture, too.
        picture_of = {name: file for name, file in picture_of.items() if name not in failed}
        if not picture_of:
            first = ": ".join(next(iter(failed.items())))
            raise DatasetError(
                f"{sources[0]}: expected readable recordings, found {len(failed)} that are not, "
                f"the first: {first}"
            )
        names = sorted(picture_of.keys() | failed.keys())
        scored = [name for name in names if name in picture_of]
        with PictureSet(images) as pictures:
            drawn = [picture_of[name] for name in scored]
            found = _extract(bundle, network, pictures, drawn, jobs, progress)
    position = {name: index for index, name in enumerate(names)}
    return names, found._replace(
        rows=np.array([position[scored[row]] for row in found.rows]),
        errors=[(name, failed[name]) for name in names if name in failed] + found.errors,
        notes=tuple(remarks.notes(made.remarks)),
    )


def _recordings_in(source: Path | Sequence[Path]) -> int:
    """How many recordings a folder has."""
    from heartfast.recordings import find_recordings

    if not isinstance(source, str | os.PathLike) or not os.path.isdir(source):
        return 0
    try:
        return len(find_recordings(source))
    except DatasetError:  # none
        return 0
