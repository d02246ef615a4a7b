"""Scores and the truth in; a confusion table and figures with intervals out."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import DatasetError
from heartfast.groups import group_numbers
from heartfast.metrics import FEW, METRICS, PER_CLASS, estimate, group_sums, prior_baseline
from heartfast.progress import Progress
from heartfast.seeds import check_seed
from heartfast.tables import format_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.metrics import Estimate
    from heartfast.progress import ProgressCallback

    Path = str | os.PathLike[str]

PREFIX = "Prediction."
TEST_METADATA = "test_metadata.csv"
UNGROUPED = "no groups are known: the intervals resample recordings and may be too narrow"
SUM_TOLERANCE = 1e-3  # of probabilities that others rounded


class Evaluation(NamedTuple):
    """How scores compare with the truth.

    `confusion` is int (k, k), actual by predicted; `overall` has an `Estimate` (value and 95 %
    interval) for each of `metrics.METRICS`, `per_class` a list over classes for each of
    `metrics.PER_CLASS`; `prior` has the metrics of always predicting the class shares.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.intp]
    overall: dict[str, Estimate]
    per_class: dict[str, list[Estimate]]
    prior: dict[str, float]
    n_recordings: int
    n_groups: int
    notes: list[str]

    @property
    def support(self) -> list[int]:
        """Recordings of each class."""
        return [int(count) for count in self.confusion.sum(axis=1)]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain lists, dictionaries and numbers, ready for JSON."""
        return {
            "classes": list(self.classes),
            "n_recordings": self.n_recordings,
            "n_groups": self.n_groups,
            "confusion": self.confusion.tolist(),
            "overall": {
                name: value._asdict() | {"prior": self.prior[name]}
                for name, value in self.overall.items()
            },
            "per_class": [
                {"class": label, "support": support}
                | {name: self.per_class[name][index]._asdict() for name in PER_CLASS}
                for index, (label, support) in enumerate(
                    zip(self.classes, self.support, strict=True)
                )
            ],
            "notes": self.notes,
        }

    def to_text(self) -> str:
        """Return aligned plain-text tables."""
        confusion = [
            ["actual \\ predicted", *self.classes],
            *(
                [label, *map(str, row)]
                for label, row in zip(self.classes, self.confusion.tolist(), strict=True)
            ),
        ]
        classes = [
            ["class", *PER_CLASS, "support"],
            *(
                [label, *(_figure(self.per_class[name][i]) for name in PER_CLASS), str(support)]
                for i, (label, support) in enumerate(zip(self.classes, self.support, strict=True))
            ),
        ]
        overall = [
            ["overall", "value (95 % interval)", "class prior"],
            *(
                [name.replace("_", " "), _figure(self.overall[name]), f"{self.prior[name]:.3f}"]
                for name in METRICS
            ),
        ]
        blocks = [
            f"{self.n_recordings} recordings in {self.n_groups} groups",
            *map(format_text, (confusion, classes, overall)),
            "\n".join(f"note: {note}" for note in self.notes),
        ]
        return "\n\n".join(filter(None, blocks)) + "\n"


def evaluate(
    scores: Path,
    actual: Path,
    *,
    groups: Path | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Compare scores with the truth, joined by `row_id`.

    Parameters
    ----------
    scores
        CSV of `score`: `row_id` and `Prediction.<class>` columns.
    actual
        CSV of `pack`: `row_id`, a 0/1 column per class, `file_name`.
    groups
        CSV with `file_name` and `group`, whose groups the intervals resample whole;
        `test_metadata.csv` beside `actual` by default. Recordings with the same `sha256`, if
        that is a column, are one group, too. Without, recordings are resampled.
    seed
        Of the resampling.

    Raises
    ------
    DatasetError
        A table is malformed, or the two do not have the same rows and classes.
    OSError
        A file cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> scores = "row_id,Prediction.a,Prediction.b\\n0,0.9,0.1\\n1,0.6,0.4\\n"
    >>> n = (folder / "scores.csv").write_text(scores)
    >>> n = (folder / "actual.csv").write_text("row_id,a,b\\n0,1,0\\n1,0,1\\n")
    >>> heartfast.evaluate(folder / "scores.csv", folder / "actual.csv").confusion
    array([[1, 0],
           [1, 0]])
    """
    import numpy as np

    check_seed(seed)
    truth = _read(actual, ("row_id",))
    given = _read(scores, ("row_id",))
    columns = [name for name in truth.columns if name not in ("row_id", "file_name")]
    predicted = [name for name in given.columns if name.startswith(PREFIX)]
    classes = tuple(columns)
    if len(classes) < 2:
        raise DatasetError(f"{truth.path}: expected a column per class, found {classes}")
    if {PREFIX + label for label in classes} != set(predicted):
        found = ", ".join(name.removeprefix(PREFIX) for name in predicted) or "none"
        raise DatasetError(f"{given.path}: expected classes {', '.join(classes)}, found {found}")
    order = _join(given, truth)

    onehot = truth.numbers(columns)
    if not (np.isin(onehot, (0, 1)).all() and (onehot.sum(axis=1) == 1).all()):
        bad = int(np.argmax((~np.isin(onehot, (0, 1))).any(axis=1) | (onehot.sum(axis=1) != 1)))
        raise DatasetError(
            f"{truth.path}: expected one 1 and else 0 in every row, found "
            f"{onehot[bad].tolist()} in row_id {truth.columns['row_id'][bad]}"
        )
    probabilities = given.numbers([PREFIX + label for label in classes])[order]
    proper = (probabilities >= 0).all(axis=1)
    proper &= np.abs(probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE
    if not proper.all():
        bad = int(np.argmin(proper))
        raise DatasetError(
            f"{given.path}: expected probabilities that sum to 1, found "
            f"{probabilities[bad].tolist()} in row_id {truth.columns['row_id'][bad]}"
        )

    notes: list[str] = []
    members = _groups(truth, groups, notes)
    labels = onehot.argmax(axis=1)
    sums = group_sums(labels, probabilities, members)
    overall, per_class = estimate(sums, seed=seed)
    confusion = sums.confusion.sum(axis=0).astype(np.intp)
    notes += [
        f"class {label!r} has {support} recordings: figures for it say little"
        for label, support in zip(classes, confusion.sum(axis=1), strict=True)
        if support < FEW
    ]
    if progress:
        progress(Progress("evaluate", len(labels), len(labels)))
    return Evaluation(
        classes=classes,
        confusion=confusion,
        overall=overall,
        per_class=per_class,
        prior=prior_baseline(labels, len(classes)),
        n_recordings=len(labels),
        n_groups=len(sums.logloss),
        notes=notes,
    )


class _Table(NamedTuple):
    path: str
    columns: dict[str, list[str]]

    def numbers(self, names: Sequence[str]) -> NDArray[np.float64]:
        import numpy as np

        for name in names:
            try:
                if np.isfinite(np.array(self.columns[name], dtype=np.float64)).all():
                    continue
            except ValueError:
                pass
            raise DatasetError(f"{self.path}: expected finite numbers in column {name}")
        return np.array([self.columns[name] for name in names], dtype=np.float64).T


def _read(path: Path, required: Sequence[str]) -> _Table:
    where = os.fspath(path)
    with open(where, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
        except csv.Error as error:
            raise DatasetError(f"{where}: expected a CSV table, found: {error}") from None
    if not set(required) <= set(header):
        wanted, found = " and ".join(required), ", ".join(header) or "an empty file"
        raise DatasetError(f"{where}: expected a column {wanted}, found {found}")
    if len(set(header)) != len(header):
        raise DatasetError(f"{where}: expected different column names, found {', '.join(header)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DatasetError(
                f"{where}: expected {len(header)} columns, found {len(row)} in row {number}"
            )
    if not rows:
        raise DatasetError(f"{where}: expected rows, found none")
    return _Table(where, dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)))


def _join(given: _Table, truth: _Table) -> list[int]:
    """Return the row of `given` for every row of `truth`, matched by row_id."""
    for table in (given, truth):
        ids = table.columns["row_id"]
        if len(set(ids)) != len(ids):
            raise DatasetError(f"{table.path}: expected every row_id once, found one repeated")
    position = {row_id: index for index, row_id in enumerate(given.columns["row_id"])}
    wanted = truth.columns["row_id"]
    for table, other, missing in (
        (given, truth, [row_id for row_id in wanted if row_id not in position]),
        (truth, given, sorted(position.keys() - set(wanted))),
    ):
        if missing:
            raise DatasetError(
                f"{table.path}: expected the rows of {other.path}, found {len(missing)} missing, "
                f"the first row_id {missing[0]}"
            )
    return [position[row_id] for row_id in wanted]


def _groups(truth: _Table, path: Path | None, notes: list[str]) -> list[int]:
    """Return the number of every row's group, its own where none is known."""
    beside = os.path.join(os.path.dirname(truth.path), TEST_METADATA)
    if path is None and os.path.exists(beside) and "file_name" in truth.columns:
        path = beside
    names = truth.columns.get("file_name")
    if path is None:
        notes.append(UNGROUPED)
        return list(range(len(truth.columns["row_id"])))
    if names is None:
        raise DatasetError(f"{truth.path}: expected a column file_name to find groups by")
    table = _read(path, ("file_name", "group"))
    digests = table.columns.get("sha256") or [""] * len(table.columns["group"])
    keys = zip(table.columns["group"], digests, strict=True)
    known = dict(zip(table.columns["file_name"], keys, strict=True))
    missing = [name for name in names if name not in known]
    if missing:
        raise DatasetError(
            f"{table.path}: expected the files of {truth.path}, found {len(missing)} missing, the "
            f"first {missing[0]!r}"
        )
    if not any(known[name][0] for name in names):
        notes.append(UNGROUPED)
    return group_numbers(known[name] for name in names)


def _figure(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    return f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"
