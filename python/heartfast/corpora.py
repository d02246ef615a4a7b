"""Labels, groups and sources of recordings of known corpora, as these are downloaded."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from heartfast.errors import DatasetError
from heartfast.partition import UNLABELLED
from heartfast.tables import known, read_rows, read_table, warn_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from heartfast.recordings import Recording


T = TypeVar("T")

# Where a corpus says more than the names of its recordings do.
TABLES = {"cinc2016": "REFERENCE.csv", "circor": "training_data.csv"}


class Label(NamedTuple):
    """What is known of a recording; an empty string is "not known".

    `part` is that of a split which its dataset already has: "train", "val" or "test".
    """

    label: str = ""
    group: str = ""
    source: str = ""
    part: str = ""

    @property
    def folder(self) -> str:
        """The folder of its picture."""
        folder = self.label or UNLABELLED
        return f"{self.part}/{folder}" if self.part else folder


def read_corpus(
    scheme: str, recordings: Iterable[Recording], sources: Sequence[str]
) -> tuple[list[Label], list[str]]:
    """Find the labels of a corpus that is named in `CORPORA`; see `labels.read_labels`."""
    found = CORPORA[scheme](recordings, sources)
    missing, first = 0, ""
    for recording, label in zip(recordings, found, strict=True):
        if not label.label:
            missing, first = missing + 1, first or recording.name
    if missing == len(found):
        table = f", and its {TABLES[scheme]} beside or above them" if scheme in TABLES else ""
        raise DatasetError(
            f"{', '.join(sources)}: expected names as in the {scheme} corpus{table}; found no "
            f"label ({first!r})"
        )
    have = "recording has" if missing == 1 else "recordings have"
    notes = [f"{missing} {have} no label ({first}, ...)"] if missing else []
    return found, notes


def each(find: Callable[[T], Label], items: Iterable[T]) -> list[Label]:
    """Find the label of each; those that are equal are one object."""
    known: dict[Label, Label] = {}
    return [known.setdefault(label, label) for label in map(find, items)]


# <class>[_<variant>]__?<patient>_<13-digit time>_<site>: PASCAL CHSC 2011, set B.
_PASCAL_B = re.compile(r"_(\d+)_\d{13}(?:_|$)")
_PASCAL_CLASS = re.compile(r"(artifact|extrahls|extrastole|murmur|normal)_")
_SPELLING = {"extrastole": "extrasystole"}


def _pascal(recordings: Iterable[Recording], _: Sequence[str]) -> list[Label]:
    return each(_of_pascal, recordings)


def _of_pascal(recording: Recording) -> Label:
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


def _cinc2016(recordings: Iterable[Recording], sources: Sequence[str]) -> list[Label]:
    """PhysioNet/CinC Challenge 2016: every REFERENCE.csv beside or above a recording."""

    def read(path: str) -> dict[str, Label]:
        table = read_rows(path, "a CSV of labels")
        warn_of(table)
        return {
            os.path.splitext(row[0].rpartition("/")[2])[0]: Label(
                _CINC_VALUES.get(row[1], known(row[1]))
            )
            for row in table.rows
            if len(row) >= 2
        }

    tables = _Tables(TABLES["cinc2016"], read, sources)

    def find(recording: Recording) -> Label:
        letter = re.match(r"([a-f])\d{4}$", recording.stem)
        source = f"cinc2016-{letter[1]}" if letter else ""
        return tables.find(recording, recording.stem)._replace(source=source)

    return each(find, recordings)


# <patient>_<site>[_<number>], of a site that was recorded more than once.
_CIRCOR = re.compile(r"(\d+)_(?:AV|MV|PV|TV|Phc)(?:_\d+)?$")


def _circor(recordings: Iterable[Recording], sources: Sequence[str]) -> list[Label]:
    """CirCor DigiScope: the patient's murmur by the training_data.csv beside or above."""
    tables = _Tables(TABLES["circor"], _circor_patients, sources)

    def find(recording: Recording) -> Label:
        named = _CIRCOR.match(recording.stem)
        if not named:
            return Label()
        known = tables.find(recording, named[1])
        return known if known.label else Label("", f"circor{named[1]}", "circor")

    return each(find, recordings)


def _circor_patients(path: str) -> dict[str, Label]:
    table = read_table(path, ("Patient ID", "Murmur"), "CirCor's training_data.csv")
    warn_of(table)
    murmur: dict[str, str] = {}
    same: dict[str, str] = {}
    for line, row in zip(table.lines, table.records(), strict=True):
        patient, other = _number(row["Patient ID"]), _number(row.get("Additional ID", ""))
        label = known(row["Murmur"]).strip().lower()
        if not patient:
            raise DatasetError(
                f"{path}, line {line}: expected a number as Patient ID, found {row['Patient ID']!r}"
            )
        if murmur.setdefault(patient, label) != label:
            raise DatasetError(
                f"{path}, line {line}: expected one murmur of patient {patient}, found "
                f"{murmur[patient]!r} and {label!r}"
            )
        if other:
            # Who took part in both campaigns has two numbers, and is one patient.
            same[patient] = same[other] = min(patient, other, key=int)
    return {
        patient: Label(label, f"circor{same.get(patient, patient)}", "circor")
        for patient, label in murmur.items()
    }


def _number(cell: str) -> str:
    """Give a whole number as files are named by it, also where a cell has it as 50001.0."""
    found = re.fullmatch(r"\s*(\d+)(?:\.0*)?\s*", cell, re.ASCII)
    return found[1] if found else ""


# The folders are called AS_New_3주기 and so on, in whatever encoding a ZIP has left of that.
_YASEEN = re.compile(r"(?:^|/)(AS|MR|MS|MVP|N)_New[^/]*/[^/]*$|New_(AS|MR|MS|MVP|N)_\d+$")


def _yaseen(recordings: Iterable[Recording], _: Sequence[str]) -> list[Label]:
    """Yaseen, Son and Kwon 2018: the class by folder or name, and nothing of patients."""

    def find(recording: Recording) -> Label:
        folder = os.path.basename(os.path.dirname(os.path.abspath(recording.path)))
        found = _YASEEN.search(f"{folder}/{recording.stem}")
        return Label(found[1] or found[2], "", "yaseen") if found else Label()

    return each(find, recordings)


CORPORA: Mapping[str, Callable[[Iterable[Recording], Sequence[str]], list[Label]]] = {
    "pascal": _pascal,
    "cinc2016": _cinc2016,
    "circor": _circor,
    "yaseen": _yaseen,
}


class _Tables:
    """Tables of one name, each in a folder beside or above recordings; read once."""

    def __init__(
        self, name: str, read: Callable[[str], dict[str, Label]], sources: Sequence[str]
    ) -> None:
        self._name, self._read = name, read
        self._known: dict[str, dict[str, Label]] = {}
        # No further up than beside what the caller named.
        self._top = {os.path.dirname(os.path.abspath(source)) for source in sources}

    def find(self, recording: Recording, key: str) -> Label:
        """Return what the nearest table with a label for this key says."""
        folder = os.path.dirname(os.path.abspath(recording.path))
        while not (found := self._rows(folder).get(key, Label())).label:
            parent = os.path.dirname(folder)
            if folder in self._top or parent == folder:
                break
            folder = parent
        return found

    def _rows(self, folder: str) -> dict[str, Label]:
        if folder not in self._known:
            path = os.path.join(folder, self._name)
            self._known[folder] = self._read(path) if os.path.isfile(path) else {}
        return self._known[folder]
