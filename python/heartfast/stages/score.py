"""A saved model and pictures, or recordings, in; class probabilities out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from heartfast.announcing import announced
from heartfast.bundle import Bundle
from heartfast.errors import UsageError
from heartfast.files import require_output
from heartfast.model import Model
from heartfast.scoring import ScoreResult as ScoreResult
from heartfast.tables import write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heartfast.decisions import Costs
    from heartfast.progress import ProgressCallback

    Path = str | os.PathLike[str]

COLUMNS = ("short", "full")


@announced
def score(
    model: Path | Bundle,
    source: Path | Sequence[Path],
    output: Path | None = None,
    *,
    columns: str = "short",
    sensitivity: Mapping[str, float] | None = None,
    costs: Costs | None = None,
    reject: float | None = None,
    by_recording: bool = False,
    by_group: bool = False,
    group_regex: str | None = None,
    embed: Path | None = None,
    font: Path | None = None,
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
        folder, a file or a list of both), which are converted as those of the training were:
        by the same configuration, the same channel, sample rate, part and segments. Where these
        cut a recording, it has a row for each picture, called as `convert` calls it.
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
    by_recording
        One row a recording instead of one a segment or channel: the geometric mean of their
        probabilities. With `columns` "full", `pictures` counts them.
    by_group
        One row a group (patient) instead of one a recording, with `group` instead of `row_id`:
        the geometric mean of its recordings' probabilities (see `heartfast.combining.combine`),
        without those that are refused, unless all are. Groups come from the pictures'
        `metadata.csv`, or that above their folder, or from `test_metadata.csv` beside them.
    group_regex
        With `by_group`, or a model with context: groups come from the names, as in `convert`.
    embed
        The ONNX network that the model was trained with, if it was.
    font
        The font file of the figures that the model was trained on, if they had one of their own.
    jobs
        Threads; all cores by default.

    Raises
    ------
    BundleError
        The model is not an intact bundle of this version.
    ConfigMismatchError
        A picture was made with another configuration than the model's, or shows another part of
        its recording; or the network or the font is another.
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
        raise UsageError(f"columns: expected one of {', '.join(COLUMNS)}, found {columns!r}")
    if not isinstance(source, str | os.PathLike):
        source = list(source)
    if output is not None:
        sources = [source] if isinstance(source, str | os.PathLike) else source
        require_output(output, model, embed, font, costs, *sources, kind="scores")
    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    loaded = Model(bundle, embed=embed, font=font)
    rows = loaded.rows(
        sensitivity=sensitivity,
        costs=costs,
        reject=reject,
        by_recording=by_recording,
        by_group=by_group,
        group_regex=group_regex,
    )
    described = loaded.describe(source, jobs=jobs, progress=progress)
    result = loaded.score(described, rows, source)
    if output is not None:
        write_csv(output, *result.table(columns))
    return result
