"""Labels, groups and sources of recordings: from folders, tables, and known corpora."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError
from heartfast.tables import read_rows, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heartfast.recordings import Recording
    from heartfast.tables import Table

# The folder of recordings without a label, in what `convert` writes and in what it reads.
UNLABELLED = "unlabelled"


# What `read_labels` takes beside the path of a table.
SCHEMES = ("none", "folders", "pascal", "cinc2016")


class Label(NamedTuple):
    """What is known of a recording; an empty string is "not known"."""

    label: str = ""
    group: str = ""
    source: str = ""


def read_labels(
    labels: str | os.PathLike[str],
    recordings: Sequence[Recording],
    sources: Sequence[str],
) -> tuple[list[Label], list[str]]:
    """Find the label of each recording.

    Parameters
    ----------
    labels : str
        ``none``; ``folders`` (class = the name of the parent folder, or archive); ``pascal`` or
        ``cinc2016``, corpora as they are downloaded; or a CSV with the columns file_name (an
        absolute path, a path relative to a source, a name, or a stem), label, and optionally
        group and source.
    recordings : sequence of Recording
    sources : sequence of str
        The files and folders that the caller named.

    Returns
    -------
    labels : list of Label
        In the order of `recordings`.
    notes : list of str
        One line for every row without a recording and every recording without a row.

    Raises
    ------
    OSError
        `labels` is none of these names, and no file that can be read.
    DatasetError
        The table lacks a column, gives two labels to a recording, or matches none.
    """
    known: dict[str, Callable[[Sequence[Recording], Sequence[str]], list[Label]]] = {
        "none": lambda recordings, _: [Label()] * len(recordings),
        "folders": lambda recordings, _: _each(_by_folder, recordings),
        "pascal": lambda recordings, _: _each(_pascal, recordings),
        "cinc2016": _cinc2016,
    }
    scheme = os.fspath(labels)
    if scheme in known:
        found = known[scheme](recordings, sources)
        notes = []
        if scheme in ("pascal", "cinc2016"):
            missing = [
                r.name for r, label in zip(recordings, found, strict=True) if not label.label
            ]
            if len(missing) == len(recordings):
                raise DatasetError(
                    f"{', '.join(sources)}: expected names as in the {scheme} corpus, found none "
                    f"({missing[0]!r})"
                )
            if missing:
                notes = [f"{len(missing)} recordings have no label ({missing[0]}, ...)"]
    else:
        table = read_table(scheme, ("file_name", "label"), f"{', '.join(known)} or a CSV of labels")
        found, notes = _from_table(table, recordings)
    names: dict[str, str] = {}
    for recording, label in zip(recordings, found, strict=True):
        names.setdefault(label.label, recording.name)
    for name, where in names.items():
        check_label(name, where)
    return found, notes


def _each(find: Callable[[Recording], Label], recordings: Sequence[Recording]) -> list[Label]:
    """Find the label of each; those that are equal are one object."""
    known: dict[Label, Label] = {}
    return [known.setdefault(label, label) for label in map(find, recordings)]


# Names that mean something else in the folders and tables that stages write.
_TAKEN = ("__MACOSX", "metadata.csv", "errors.jsonl", "file_name", "row_id")


def check_label(label: str, where: str) -> None:
    """Raise `DatasetError` unless a label can name a folder and a column."""
    odd = re.search(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", label)
    if odd or label.startswith(".") or label in _TAKEN:
        raise DatasetError(f"{where}: expected a label that can name a folder, found {label!r}")


def _by_folder(recording: Recording) -> Label:
    folder = os.path.basename(os.path.dirname(os.path.abspath(recording.path)))
    if recording.member and "/" not in recording.name:
        folder = os.path.splitext(folder)[0]  # the archive is the folder
    return Label("" if folder == UNLABELLED else folder)


# <class>[_<variant>]__?<patient>_<13-digit time>_<site>: PASCAL CHSC 2011, set B.
_PASCAL_B = re.compile(r"_(\d+)_\d{13}(?:_|$)")
_PASCAL_CLASS = re.compile(r"(artifact|extrahls|extrastole|murmur|normal)_")
_SPELLING = {"extrastole": "extrasystole"}


def _pascal(recording: Recording) -> Label:
    stem = recording.stem
    # The 2011 tables put the set's name in front: Btraining_murmur_...
    found = _PASCAL_CLASS.match(re.sub(r"^[AB]training_", "", stem))
    label = found[1] if found else ""
    patient = _PASCAL_B.search(stem)
    if patient:
        return Label(_SPELLING.get(label, label), f"b{patient[1]}", "pascal-b")
    if label or stem.startswith("Aunlabelledtest"):
        return Label(_SPELLING.get(label, label), "", "pascal-a")
    return Label()


_CINC_VALUES = {"1": "abnormal", "-1": "normal", "0": "unsure"}


def _cinc2016(recordings: Sequence[Recording], sources: Sequence[str]) -> list[Label]:
    """PhysioNet/CinC Challenge 2016: every REFERENCE.csv beside or above a recording."""
    tables: dict[str, dict[str, str]] = {}

    def reference(folder: str) -> dict[str, str]:
        if folder not in tables:
            path = os.path.join(folder, "REFERENCE.csv")
            tables[folder] = {}
            if os.path.isfile(path):
                tables[folder] = {
                    os.path.splitext(row[0].rpartition("/")[2])[0]: _CINC_VALUES.get(row[1], row[1])
                    for row in read_rows(path, "a CSV of labels")
                    if len(row) >= 2
                }
        return tables[folder]

    above = {os.path.dirname(os.path.abspath(source)) for source in sources}
    above |= {os.path.abspath(source) for source in sources}
    found = []
    for recording in recordings:
        folder = os.path.dirname(os.path.abspath(recording.path))
        label = ""
        while not label:
            label = reference(folder).get(recording.stem, "")
            parent = os.path.dirname(folder)
            if folder in above or parent == folder:
                break
            folder = parent
        letter = re.match(r"([a-f])\d{4}$", recording.stem)
        found.append(Label(label, "", f"cinc2016-{letter[1]}" if letter else ""))
    return found


def _from_table(table: Table, recordings: Sequence[Recording]) -> tuple[list[Label], list[str]]:
    path = table.where
    # A row means the recording with that absolute path; else with that path relative to its
    # source; else with that name; else that stem.
    index: list[dict[str, list[int]]] = [{}, {}, {}, {}]
    for i, recording in enumerate(recordings):
        absolute = os.path.abspath(recording.path).replace(os.sep, "/")
        keys = (absolute, recording.name, os.path.basename(recording.name), recording.stem)
        for level, key in zip(index, keys, strict=True):
            level.setdefault(key, []).append(i)

    found: dict[int, Label] = {}
    notes = []
    for number, row in zip(table.lines, table.records(), strict=True):
        name = row["file_name"].replace("\\", "/").removeprefix("./")
        if os.path.isabs(name):
            name = os.path.abspath(name).replace(os.sep, "/")
        matches = next((level[name] for level in index if name in level), [])
        if len(matches) != 1:
            what = f"matches {len(matches)} recordings" if matches else "matches no recording"
            notes.append(f"{path}, line {number}: {row['file_name']!r} {what}")
            continue
        label = Label(*(row.get(column, "").strip() for column in Label._fields))
        if label.label == UNLABELLED:
            label = label._replace(label="")
        earlier = found.setdefault(matches[0], label)
        if earlier != label:
            what = "label" if earlier.label != label.label else "group and source"
            first, second = (
                (earlier.label, label.label) if what == "label" else (earlier[1:], label[1:])
            )
            raise DatasetError(
                f"{path}, line {number}: expected one {what} for {name!r}, found {first!r} and "
                f"{second!r}"
            )
    if not found:
        raise DatasetError(
            f"{path}: expected rows for the recordings ({recordings[0].name!r}, ...), found "
            f"{len(table.rows)} rows that match none"
        )
    notes += [
        f"{path}: no row for {recording.name}"
        for i, recording in enumerate(recordings)
        if i not in found
    ]
    return [found.get(i, Label()) for i in range(len(recordings))], notes
