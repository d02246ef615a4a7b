"""Scores and the truth in; a confusion table and figures with intervals out."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import operating
from heartfast.announcing import announced
from heartfast.combining import truth_of_groups
from heartfast.decisions import Rule, choice, choices, choices_table
from heartfast.errors import DatasetError
from heartfast.groups import group_numbers
from heartfast.metrics import FEW, METRICS, PER_CLASS, estimate, group_sums, prior_baseline
from heartfast.names import comparable
from heartfast.progress import Progress
from heartfast.seeds import check_seed
from heartfast.tables import (
    DECISION,
    METADATA_COLUMNS,
    PREFIX,
    TEST_METADATA,
    format_text,
    read_table,
)
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.decisions import Choice
    from heartfast.metrics import Estimate
    from heartfast.progress import ProgressCallback
    from heartfast.tables import Table

    Path = str | os.PathLike[str]

UNGROUPED = "no groups are known: the intervals resample recordings and may be too narrow"
LABEL = "label"
SUM_TOLERANCE = 1e-3  # of probabilities that others rounded

# Of a table, each of which is a class: the time for intervals grows with rows and classes.
MOST_COLUMNS = 1100


class Evaluation(NamedTuple):
    """How scores compare with the truth.

    `confusion` is int (k, k), actual by predicted; `overall` has an `Estimate` (value and 95 %
    interval) for each of `metrics.METRICS`, `per_class` a list over classes for each of
    `metrics.PER_CLASS`; `prior` has the metrics of always predicting the class shares.
    Where the scores have decisions, predicted means decided, and `decided` says what that and the
    most probable class do; recordings that were refused are in nothing but `n_refused`.
    `curves` are those of `heartfast.operating`, of these recordings.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.intp]
    overall: dict[str, Estimate]
    per_class: dict[str, list[Estimate]]
    prior: dict[str, float]
    n_recordings: int
    n_groups: int
    notes: list[str]
    curves: dict[str, object]
    decided: list[Choice]
    n_refused: int = 0

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
            "n_refused": self.n_refused,
            "curves": self.curves,
            "decided": [choice.to_dict() for choice in self.decided],
            "notes": self.notes,
        }

    def to_text(self) -> str:
        """Return aligned plain-text tables; `notes` are not in them."""
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
        points = operating.points_table(self.curves)
        points[0][0] = "threshold chosen on these recordings"
        tables = [confusion, classes, overall, points]
        if self.decided:
            tables.insert(1, choices_table(self.decided))
        refused = f", {self.n_refused} more refused" if self.n_refused else ""
        blocks = [
            counted(self.n_recordings, "recording")
            + " in "
            + counted(self.n_groups, "group")
            + refused,
            *map(format_text, tables),
        ]
        return "\n\n".join(blocks) + "\n"


@announced
def evaluate(
    scores: Path,
    actual: Path,
    *,
    groups: Path | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Compare scores with the truth, joined by `file_name`, or by `row_id` where one has no names.

    Parameters
    ----------
    scores
        CSV of `score`: `row_id` or `file_name`, and `Prediction.<class>` columns. Where there is a
        column `Decision`, it is what was predicted, and rows where it is empty were refused. With
        `group` instead of `row_id`, figures are of groups; those of several classes are left out.
    actual
        CSV of `pack`: `row_id`, a 0/1 column per class, `file_name`. Or a table with `file_name`
        (or `row_id`) and `label`, such as `metadata.csv`: recordings that only one of the two
        tables has are left out and counted, and so are those without a label.
    groups
        CSV with `file_name` and `group`, whose groups the intervals resample whole;
        `test_metadata.csv` beside `actual` by default, or `actual` itself if it has a column
        `group`. Recordings with the same `sha256`, if that is a column, are one group, too.
        Without, recordings are resampled.
    seed
        Of the resampling.

    Raises
    ------
    DatasetError
        A table is malformed, or the two do not have the same rows and classes; or names and
        `row_id` contradict each other.
    OSError
        A file cannot be opened.

    References
    ----------
    Precision, recall, F1 and logloss as in `sklearn.metrics`. Intervals: percentile bootstrap (B.
    Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993) over whole groups; C. J.
    Clopper and E. S. Pearson, Biometrika 26 (1934), where all resamples agree on 0 or 1.

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
    truth = _read(actual, (), "a table of the truth, as pack writes it")
    given = _read(scores, (), "a table of scores, as score writes it")
    truth, given = (t._replace(header=[*map(comparable, t.header)]) for t in (truth, given))
    notes = [*truth.notes, *given.notes]
    key = _key(given, truth)
    predicted = [name.removeprefix(PREFIX) for name in given.header if name.startswith(PREFIX)]
    source, partial = truth, False
    if LABEL in truth.header and not set(predicted) <= set(truth.header):
        truth, source, given = _of_labels(truth, given, predicted, key, notes)
        partial = True
    beside = {"row_id", *METADATA_COLUMNS} - set(predicted)
    classes = tuple(name for name in truth.header if name not in beside)
    if len(classes) < 2:
        found = ", ".join(classes) or "none"
        raise DatasetError(f"{truth.where}: expected a column per class, found {found}")
    if set(classes) != set(predicted):
        found = ", ".join(predicted) or "none"
        raise DatasetError(f"{given.where}: expected classes {', '.join(classes)}, found {found}")
    known = _groups(source, groups, notes)
    members = group_numbers(known)
    if key == "group":
        given, truth = _by_group(given, truth, [group for group, _ in known], classes, notes)
        if partial:
            given, truth = _groups_of_both(given, truth, notes)
        members = list(range(len(truth.rows)))
    order = _join(given, truth, key)

    onehot = _numbers(truth, classes)
    if not (np.isin(onehot, (0, 1)).all() and (onehot.sum(axis=1) == 1).all()):
        bad = int(np.argmax((~np.isin(onehot, (0, 1))).any(axis=1) | (onehot.sum(axis=1) != 1)))
        raise DatasetError(
            f"{truth.where}: expected one 1 and else 0 in every row, found "
            f"{onehot[bad].tolist()} in {key} {truth.column(key)[bad]}"
        )
    probabilities = _numbers(given, [PREFIX + label for label in classes])[order]
    proper = (probabilities >= 0).all(axis=1)
    proper &= np.abs(probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE
    if not proper.all():
        bad = int(np.argmin(proper))
        raise DatasetError(
            f"{given.where}: expected probabilities that sum to 1, found "
            f"{probabilities[bad].tolist()} in {key} {truth.column(key)[bad]}"
        )

    labels = onehot.argmax(axis=1)
    decisions = _decisions(given, classes, order) if DECISION in given.header else None
    refused = 0
    if decisions is not None:
        kept = np.flatnonzero(decisions >= 0)
        refused = len(decisions) - len(kept)
        if not len(kept):
            raise DatasetError(f"{given.where}: expected decisions, found all rows refused")
        labels, probabilities, decisions = labels[kept], probabilities[kept], decisions[kept]
        members = [members[row] for row in kept]
        notes.append(
            "the confusion table, and what follows from it, is of the column Decision; the rest "
            "of the probabilities"
        )
    if refused:
        notes.append(f"recordings that were refused, and are in no figure: {refused}")
    sums = group_sums(labels, probabilities, members, decisions)
    overall, per_class = estimate(sums, seed=seed)
    confusion = sums.confusion.astype(np.intp)
    notes += [
        f"class {label!r} has {counted(int(support), 'recording')} in the evaluation: figures for "
        "it say little"
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
        curves=operating.curves(labels, probabilities, classes, members),
        decided=[] if decisions is None else _compared(confusion, labels, probabilities, classes),
        n_refused=refused,
    )


def _decisions(given: Table, classes: Sequence[str], order: list[int]) -> NDArray[np.intp]:
    """Return the number of each row's class, -1 where it was refused."""
    import numpy as np

    number = {label: index for index, label in enumerate(classes)} | {"": -1}
    cells = list(map(comparable, given.column(DECISION)))
    for line, cell in zip(given.lines, cells, strict=True):
        if cell not in number:
            raise DatasetError(
                f"{given.where}, line {line}: expected a {DECISION} of {', '.join(classes)}, or "
                f"none, found {cell!r}"
            )
    return np.array([number[cells[row]] for row in order])


def _compared(
    confusion: NDArray[np.intp],
    labels: NDArray[np.intp],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
) -> list[Choice]:
    rule = Rule(tuple(classes))
    plain = choices(labels, probabilities, [("most probable", rule)])
    return [choice("as decided", confusion, classes), *plain]


def _read(path: Path, required: Sequence[str], expected: str) -> Table:
    table = read_table(path, required, expected)
    if not table.rows:
        found = "none" if table.header else "an empty file"
        raise DatasetError(f"{table.where}: expected rows, found {found}")
    if len(table.header) > MOST_COLUMNS:
        raise DatasetError(
            f"{table.where}: expected at most {MOST_COLUMNS} columns, of so many classes, found "
            f"{len(table.header)}; evaluate groups of classes one by one"
        )
    return table


def _numbers(table: Table, columns: Sequence[str]) -> NDArray[np.float64]:
    """Columns of finite numbers, float64 (rows, columns)."""
    import numpy as np

    numbers = np.empty((len(table.rows), len(columns)))
    for place, name in enumerate(columns):
        cells = table.column(name)
        numbers[:, place] = [table.number(cell) for cell in cells]
        finite = np.isfinite(numbers[:, place])
        if not finite.all():
            bad = int(np.argmin(finite))
            raise DatasetError(
                f"{table.where}, line {table.lines[bad]}: expected a finite number in column "
                f"{name}, found {cells[bad]!r}"
            )
    return numbers


def _key(given: Table, truth: Table) -> str:
    """Return the column by which two tables are joined."""
    if "group" in given.header and "row_id" not in given.header:
        return "group"
    shared = [name for name in ("file_name", "row_id") if name in given.header]
    if not shared:
        found = ", ".join(given.header)
        raise DatasetError(
            f"{given.where}: expected the column file_name, row_id or group, found {found}"
        )
    if key := next((name for name in shared if name in truth.header), ""):
        return key
    expected, found = " or ".join(shared), ", ".join(truth.header)
    help_ = " (score --columns full writes names)" if "file_name" in truth.header else ""
    raise DatasetError(
        f"{truth.where}: expected the column {expected} as in {given.where}, found {found}{help_}"
    )


def _of_labels(
    truth: Table, given: Table, classes: Sequence[str], key: str, notes: list[str]
) -> tuple[Table, Table, Table]:
    """Return a table of labels as `pack` writes the truth, the same rows of it, and of the scores.

    Rows that only one of the two has, and those without a label, are left out and counted.
    """
    labels = list(map(comparable, truth.column(LABEL)))
    if unknown := sorted(set(labels) - {"", *classes}):
        line = truth.lines[labels.index(unknown[0])]
        raise DatasetError(
            f"{truth.where}, line {line}: expected a label of the scores' classes "
            f"({', '.join(classes)}), found {unknown[0]!r}"
        )
    kept = [row for row, label in enumerate(labels) if label]
    left_out = {f"{truth.where}: rows without a label": len(labels) - len(kept)}
    if key != "group":
        kept, twice = _each_once(truth, kept, key)
        pairs = _pairs(given, truth, kept, key)
        left_out |= {
            f"{truth.where}: rows that are there twice": twice,
            f"{truth.where}: rows without scores": len(kept) - len(pairs),
            f"{given.where}: rows without a label": len(given.rows) - len(pairs),
        }
        if not pairs:
            raise DatasetError(
                f"{truth.where}: expected the {key} of {given.where}, found none, as for "
                f"{given.column(key)[0]!r}"
            )
        kept = list(pairs)
        given = _only(given, sorted(pairs.values()))
    notes += [f"{what}, left out: {count}" for what, count in left_out.items() if count]
    source = _only(truth, kept)
    own = [name for name in ("row_id", "file_name") if name in truth.header]
    columns = [source.column(name) for name in own]
    of = [labels[row] for row in kept]
    cells = [[str(int(label == name)) for label in of] for name in classes]
    rows_of = [list(row) for row in zip(*columns, *cells, strict=True)]
    return source._replace(header=[*own, *classes], rows=rows_of), source, given


def _only(table: Table, kept: Sequence[int]) -> Table:
    """Return a table of these rows."""
    return table._replace(
        rows=[table.rows[row] for row in kept], lines=[table.lines[row] for row in kept]
    )


def _each_once(table: Table, rows: Sequence[int], key: str) -> tuple[list[int], int]:
    """Return rows without those that say the same once more, and how many these are."""
    ids, labels = table.column(key), table.column(LABEL)
    first: dict[str, int] = {}
    for row in rows:
        earlier = first.setdefault(comparable(ids[row]), row)
        if labels[earlier] != labels[row]:
            raise DatasetError(
                f"{table.where}, line {table.lines[row]}: expected one label for {ids[row]!r}, "
                f"found {labels[earlier]!r} and {labels[row]!r}"
            )
    return list(first.values()), len(rows) - len(first)


def _join(given: Table, truth: Table, key: str) -> list[int]:
    """Return the row of `given` for every row of `truth`."""
    pairs = _pairs(given, truth, range(len(truth.rows)), key)
    there = set(pairs.values())
    if key == "file_name" and len(pairs) < len(truth.rows):
        _require_same_names(given, truth, pairs)
    for table, other, missing in (
        (given, truth, [i for row, i in enumerate(truth.column(key)) if row not in pairs]),
        (truth, given, sorted(i for row, i in enumerate(given.column(key)) if row not in there)),
    ):
        if missing:
            raise DatasetError(
                f"{table.where}: expected the rows of {other.where}, found {len(missing)} missing, "
                f"the first {key} {missing[0]}"
            )
    if key == "file_name" and all("row_id" in table.header for table in (given, truth)):
        ids, others = truth.column("row_id"), given.column("row_id")
        for row, there_row in sorted(pairs.items()):
            if ids[row] != others[there_row]:
                raise DatasetError(
                    f"{truth.where}, line {truth.lines[row]}: expected the row_id that "
                    f"{truth.column(key)[row]!r} has in {given.where} ({others[there_row]}), found "
                    f"{ids[row]}; are these tables of the same recordings?"
                )
    return [pairs[row] for row in range(len(truth.rows))]


def _require_same_names(given: Table, truth: Table, pairs: Mapping[int, int]) -> None:
    """Raise `DatasetError` where one `row_id` has another name in each table."""
    if not all("row_id" in table.header for table in (given, truth)):
        return
    name_of = dict(zip(given.column("row_id"), given.column("file_name"), strict=True))
    for row, (row_id, name) in enumerate(
        zip(truth.column("row_id"), truth.column("file_name"), strict=True)
    ):
        if row not in pairs and row_id in name_of:
            raise DatasetError(
                f"{truth.where}, line {truth.lines[row]}: expected the file_name that row_id "
                f"{row_id} has in {given.where} ({name_of[row_id]!r}), found {name!r}; are these "
                "tables of the same recordings?"
            )


def _pairs(given: Table, truth: Table, rows: Iterable[int], key: str) -> dict[int, int]:
    """Return the row of `given` for each of these rows of `truth` that has one.

    Names match however their letters are composed; else, where that is unambiguous, those of
    recordings match those of their pictures, without folders and extensions.
    """
    wanted = truth.column(key)
    kinds = (comparable, _plain_name) if key == "file_name" else (comparable,)
    pairs: dict[int, int] = {}
    for kind in kinds:
        position = _positions(given, key, kind)
        names = {row: kind(wanted[row]) for row in rows}
        once = Counter(names.values())
        twice = [row for row, name in names.items() if once[name] > 1]
        if twice and kind is comparable:
            raise _repeated(truth, key, twice[1])
        pairs = {
            row: position[name]
            for row, name in names.items()
            if name in position and once[name] == 1
        }
        if pairs:
            break
    return pairs


def _positions(given: Table, key: str, kind: Callable[[str], str]) -> dict[str, int]:
    """Return the rows by their names, those that are there once; twice the same is an error."""
    names = list(map(kind, given.column(key)))
    count = Counter(names)
    twice = [row for row, name in enumerate(names) if count[name] > 1]
    if twice and kind is comparable:
        raise _repeated(given, key, twice[1])
    return {name: row for row, name in enumerate(names) if count[name] == 1}


def _repeated(table: Table, key: str, row: int) -> DatasetError:
    found = f"{table.column(key)[row]!r} repeated in line {table.lines[row]}"
    return DatasetError(f"{table.where}: expected every {key} once, found {found}")


def _plain_name(name: str) -> str:
    return os.path.splitext(comparable(name).replace("\\", "/").rpartition("/")[2])[0]


def _by_group(
    given: Table, truth: Table, known: Sequence[str], classes: Sequence[str], notes: list[str]
) -> tuple[Table, Table]:
    """Return both tables with a row a group, as `score` with `by_group` writes the first."""
    if "file_name" not in truth.header:
        raise DatasetError(f"{truth.where}: expected a column file_name to find groups by")
    names = [
        comparable(group or name)
        for group, name in zip(known, truth.column("file_name"), strict=True)
    ]
    truth, mixed = truth_of_groups(truth, names, classes)
    left_out = set(mixed)
    kept = [i for i, group in enumerate(given.column("group")) if comparable(group) not in left_out]
    if not truth.rows:
        raise DatasetError(
            f"{truth.where}: expected groups of one class each, found {len(mixed)} of several, the "
            f"first {mixed[0]!r}"
        )
    notes.append("every row is a group: the figures are of groups, not of recordings")
    if mixed:
        notes.append(
            f"groups whose recordings are of several classes, left out: {len(mixed)} ({mixed[0]}, "
            "...)"
        )
    return _only(given, kept), truth


def _groups_of_both(given: Table, truth: Table, notes: list[str]) -> tuple[Table, Table]:
    """Return only the groups that both tables have; those left out are counted."""
    shared = {*map(comparable, given.column("group"))} & {*map(comparable, truth.column("group"))}
    both = []
    for table, other in ((given, truth), (truth, given)):
        kept = [i for i, name in enumerate(table.column("group")) if comparable(name) in shared]
        if not kept:
            raise DatasetError(f"{table.where}: expected groups of {other.where}, found none")
        if left_out := len(table.rows) - len(kept):
            notes.append(f"{table.where}: groups that {other.where} has not, left out: {left_out}")
        both.append(_only(table, kept))
    return both[0], both[1]


def _groups(truth: Table, path: Path | None, notes: list[str]) -> list[tuple[str, str]]:
    """Return the group and the digest of every row, empty where they are not known."""
    beside = os.path.join(os.path.dirname(truth.where), TEST_METADATA)
    own = path is None and "group" in truth.header
    if path is None and os.path.exists(beside) and "file_name" in truth.header:
        path = beside
    if path is None and not own:
        notes.append(UNGROUPED)
        return [("", "")] * len(truth.rows)
    if "file_name" not in truth.header:
        raise DatasetError(f"{truth.where}: expected a column file_name to find groups by")
    table = truth
    if path is not None and not own:
        table = _read(path, ("file_name", "group"), "a table with file_name and group")
        notes += table.notes
    known: dict[str, tuple[str, str]] = {}
    for line, row in zip(table.lines, table.records(), strict=True):
        found = comparable(row["group"]), row.get("sha256", "")
        if known.setdefault(comparable(row["file_name"]), found) != found:
            raise DatasetError(
                f"{table.where}, line {line}: expected one group for {row['file_name']!r}, found "
                "two"
            )
    names = list(map(comparable, truth.column("file_name")))
    missing = [name for name in names if name not in known]
    if missing:
        raise DatasetError(
            f"{table.where}: expected the files of {truth.where}, found {len(missing)} missing, "
            f"the first {missing[0]!r}"
        )
    if not any(known[name][0] for name in names):
        notes.append(UNGROUPED)
    return [known[name] for name in names]


def _figure(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    return f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"
