"""A saved model and pictures, or recordings, in; class probabilities out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast.bundle import Bundle
from heartfast.errors import DatasetError
from heartfast.extraction import extract_all
from heartfast.files import require_output
from heartfast.images import PictureSet, holds_pictures
from heartfast.tables import PREFIX, write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.extraction import Extracted
    from heartfast.progress import ProgressCallback

    Path = str | os.PathLike[str]

COLUMNS = ("short", "full")


class ScoreResult(NamedTuple):
    """Probabilities float64 (n, k) of what could be scored, in the order of its names.

    `row_ids` are the positions among all inputs, the unreadable ones (`errors`: name and
    message) included, so that a bad file does not shift the rows after it.
    """

    row_ids: list[int]
    names: list[str]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    errors: list[tuple[str, str]]
    notes: list[str]

    @property
    def predicted(self) -> list[str]:
        """The most probable class of every row, the first among equals."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]

    def to_dict(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        fields = self._asdict() | {"probabilities": self.probabilities.tolist()}
        return fields | {"predicted": self.predicted}

    def table(self, columns: str = "short") -> tuple[list[str], list[list[object]]]:
        """Return the header and rows of scores.csv."""
        header = ["row_id", *(PREFIX + label for label in self.classes)]
        rows: list[list[object]] = [
            [row_id, *values]
            for row_id, values in zip(self.row_ids, self.probabilities.tolist(), strict=True)
        ]
        if columns == "short":
            return header, rows
        full = [
            [*row, name, predicted]
            for row, name, predicted in zip(rows, self.names, self.predicted, strict=True)
        ]
        return [*header, "file_name", "predicted"], full


def score(
    model: Path | Bundle,
    source: Path | Sequence[Path],
    output: Path | None = None,
    *,
    columns: str = "short",
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> ScoreResult:
    """Predict the class probabilities of pictures or recordings.

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
        "short", or "full" for `file_name` and `predicted` as well.
    jobs
        Threads for recordings and processes for pictures; all cores by default.

    Raises
    ------
    BundleError
        The model is not an intact bundle of this version.
    ConfigMismatchError
        A picture was made with another configuration than the model's.
    DatasetError
        There is nothing to score, or nothing readable.
    ValueError
        An argument out of range.
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
        require_output(output, model, *sources)
    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    if holds_pictures(source):
        with PictureSet(source) as pictures:
            names = [picture.name for picture in pictures.pictures]
            found = extract_all(pictures, names, config=bundle.config, jobs=jobs, progress=progress)
        result = _predict(bundle, names, found)
        if passed_over := _recordings_in(source):
            result.notes.append(f"recordings passed over, as there are pictures: {passed_over}")
    else:
        result = _score_recordings(bundle, source, jobs=jobs, progress=progress)
    if output is not None:
        write_csv(output, *result.table(columns))
    return result


def _predict(bundle: Bundle, names: Sequence[str], found: Extracted) -> ScoreResult:
    notes = []
    if found.foreign and bundle.config is not None:
        notes.append(
            f"pictures that do not say how they were made: {found.foreign}; the model's were made "
            "by heartfast, so what it says of them is doubtful"
        )
    if found.config is not None and bundle.config is None:
        notes.append("the model was trained on pictures that do not say how they were made")
    return ScoreResult(
        row_ids=found.rows.tolist(),
        names=[names[row] for row in found.rows],
        classes=bundle.classes,
        probabilities=bundle.model.predict_proba(found.matrix),
        errors=found.errors,
        notes=notes,
    )


def _score_recordings(
    bundle: Bundle,
    source: Path | Sequence[Path],
    *,
    jobs: int | None,
    progress: ProgressCallback | None,
) -> ScoreResult:
    import tempfile

    from heartfast.stages.convert import convert

    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    config = bundle.spectrogram_config()
    if config is None:
        raise DatasetError(
            f"{sources[0]}: expected a folder or ZIP with pictures, because the model was trained "
            "on pictures that do not say how they were made; found none"
        )
    with tempfile.TemporaryDirectory(prefix="heartfast-") as folder:
        images = os.path.join(folder, "images")
        made = convert(sources, images, config=config, labels="none", jobs=jobs, progress=progress)
        picture_of = {_name(record.recording, sources): record.file_name for record in made.records}
        failed = {_name(error.path, sources): error.message for error in made.errors}
        if not picture_of:
            first = ": ".join(next(iter(failed.items())))
            raise DatasetError(
                f"{sources[0]}: expected readable recordings, found {len(failed)} that are not, "
                f"the first: {first}"
            )
        names = sorted(picture_of.keys() | failed.keys())
        scored = [name for name in names if name in picture_of]
        with PictureSet(images) as pictures:
            found = extract_all(
                pictures,
                [picture_of[name] for name in scored],
                config=bundle.config,
                jobs=jobs,
                progress=progress,
            )
    result = _predict(bundle, scored, found)
    position = {name: index for index, name in enumerate(names)}
    return result._replace(
        row_ids=[position[name] for name in result.names],
        errors=[(name, failed[name]) for name in names if name in failed] + result.errors,
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


def _name(recording: Path, sources: Sequence[Path]) -> str:
    """Name a recording: relative to the folder, where one was given, else as it was given."""
    path = os.fspath(recording)
    if len(sources) == 1:
        root = os.fspath(sources[0])
        path = os.path.relpath(path, root if os.path.isdir(root) else os.path.dirname(root) or ".")
    return path.replace(os.sep, "/")
