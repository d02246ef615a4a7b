"""Labels, groups and sources of recordings: from folders, tables and known corpora."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from heartfast.corpora import CORPORA, Label, each, read_corpus
from heartfast.errors import DatasetError
from heartfast.files import is_url
from heartfast.names import comparable
from heartfast.partition import UNLABELLED, find_split, looks_like_split, part_of, split_note
from heartfast.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heartfast.recordings import Recording
    from heartfast.tables import Table

# What `read_labels` takes beside the path of a table.
SCHEMES = ("none", "folders", *CORPORA)


def read_labels(
    labels: str | os.PathLike[str],
    recordings: Iterable[Recording],
    sources: Sequence[str],
) -> tuple[list[Label], list[str]]:
    """Find the label of each recording.

    Parameters
    ----------
    labels : str
        ``none``; ``folders`` (class = the name of the parent folder, or archive; folders
        ``train``, ``val`` and ``test`` around class folders are a split, which is kept);
        ``pascal``, ``cinc2016``, ``circor`` or ``yaseen``, corpora as they are downloaded; or a CSV
        with the columns file_name (an absolute path, a path relative to a source, a name, or a
        stem), label, and optionally group and source. Names match however letters are composed.
    recordings : iterable of Recording
        It is gone through twice, and kept in memory only where `labels` is a table.
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
    scheme = os.fspath(labels)
    notes: list[str] = []
    if scheme == "none":
        found = each(lambda _: Label(), recordings)
    elif scheme == "folders":
        depth = find_split(recording.name.rpartition("/")[0] for recording in recordings)
        found = each(lambda recording: _by_folder(recording, depth), recordings)
        names = {label.label for label in found}
        if depth is None and looks_like_split(names):
            notes.append(split_note(", ".join(sources), names))
    elif scheme in CORPORA:
        found, notes = read_corpus(scheme, recordings, sources)
    else:
        expected = f"{', '.join(SCHEMES)} or a CSV of labels"
        table = read_table(scheme, ("file_name", "label"), expected)
        found, notes = _from_table(table, [*recordings])
    unseen = {label.label for label in found}
    for recording, label in zip(recordings, found, strict=True):
        if not unseen:  # mostly soon: there are few labels, and many recordings
            break
        if label.label in unseen:
            check_label(label.label, recording.name)
            unseen.remove(label.label)
    return found, notes


# Names that mean something else in the folders and tables that stages write.
_TAKEN = ("__MACOSX", "metadata.csv", "errors.jsonl", "file_name", "row_id")


def check_label(label: str, where: str) -> None:
    """Raise `DatasetError` unless a label can name a folder and a column."""
    odd = re.search(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", label)
    if odd or label.startswith(".") or label in _TAKEN:
        raise DatasetError(f"{where}: expected a label that can name a folder, found {label!r}")


def _by_folder(recording: Recording, split: int | None) -> Label:
    if recording.path == "-":
        return Label()  # on standard input there is no folder
    folders = recording.name.split("/")[:-1]
    part = part_of(folders[split]) if split is not None and len(folders) > split else ""
    if part and len(folders) == (split or 0) + 1:
        return Label()  # right in a part of a split, as recordings without a class are
    folder = os.path.basename(os.path.dirname(os.path.abspath(recording.path)))
    if recording.member and "/" not in recording.name:
        folder = os.path.splitext(folder)[0]  # the archive is the folder
    label = "" if folder == UNLABELLED else comparable(folder)
    return Label(label, part=part if label else "")


def _from_table(table: Table, recordings: Sequence[Recording]) -> tuple[list[Label], list[str]]:
    path = table.where
    # A row means the recording with that absolute path; else with that path relative to its
    # source; else with that name; else that stem.
    index: list[dict[str, list[tuple[str, int]]]] = [{}, {}, {}, {}]
    for i, recording in enumerate(recordings):
        absolute = recording.path
        if not is_url(absolute):
            absolute = os.path.abspath(absolute).replace(os.sep, "/")
        keys = (absolute, recording.name, os.path.basename(recording.name), recording.stem)
        for level, key in zip(index, keys, strict=True):
            level.setdefault(comparable(key), []).append((key, i))

    found: dict[int, Label] = {}
    notes = [*table.notes]
    for number, row in zip(table.lines, table.records(), strict=True):
        name = row["file_name"].replace("\\", "/").removeprefix("./")
        if os.path.isabs(name):
            name = os.path.abspath(name).replace(os.sep, "/")
        matches = _matching(name, index) or _matching(name.strip(), index)
        if len(matches) != 1:
            what = f"matches {len(matches)} recordings" if matches else "matches no recording"
            notes.append(f"{path}, line {number}: {row['file_name']!r} {what}")
            continue
        columns = ("label", "group", "source")
        label = Label(*(comparable(row.get(column, "").strip()) for column in columns))
        if label.label == UNLABELLED:
            label = label._replace(label="")
        earlier = found.setdefault(matches[0], label)
        if earlier != label:
            what = "label" if earlier.label != label.label else "group and source"
            first, second = (
                (earlier.label, label.label) if what == "label" else (earlier[1:3], label[1:3])
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


def _matching(name: str, index: Sequence[dict[str, list[tuple[str, int]]]]) -> list[int]:
    """Return the recordings that a row means, by the first kind of name that any has."""
    wanted = comparable(name)
    alike = next((level[wanted] for level in index if wanted in level), [])
    # Names that differ only in how their letters are composed are told apart by that.
    return [i for key, i in alike if key == name] or [i for _, i in alike]
