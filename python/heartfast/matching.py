"""Which files belong together, by their names: pictures, their recordings, rows of scores."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

from heartfast.errors import DatasetError
from heartfast.files import portable_name
from heartfast.manifest import MANIFEST, read_entries
from heartfast.names import comparable, folded
from heartfast.tables import PREFIX, read_table, warn_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heartfast.images import Picture
    from heartfast.tables import Table

TRUTH = "test_actual.csv"
# What channel and start put behind a recording's name.
_PART = re.compile(r"(_ch\d+)?(_\d+)?$")
_FIRST = re.compile(r"_0$")


def flat_names(pictures: Sequence[Picture]) -> list[str]:
    """Each picture's name without its folders, where that tells it apart, else with them."""
    full = [portable_name(p.name) for p in pictures]
    base = [name.rpartition("/")[2] for name in full]
    count = Counter(map(folded, base))
    # First those that keep their names, which others then must not take.
    taken = {folded(name) for name in base if count[folded(name)] == 1}
    names = []
    for name, path in zip(base, full, strict=True):
        flat = name
        if count[folded(name)] > 1:
            stem, dot, extension = path.replace("/", "__").rpartition(".")
            number = 1
            while (flat := f"{stem}{f'~{number}' if number > 1 else ''}{dot}{extension}") and (
                folded(flat) in taken
            ):
                number += 1
            taken.add(folded(flat))
        names.append(flat)
    return names


def recordings_of_manifest(folder: str) -> dict[str, str]:
    """Where the recording of each picture stood when `convert` made it; nothing if it did not.

    Pictures are called by their `comparable` names.
    """
    if not os.path.isfile(os.path.join(folder, MANIFEST)):
        return {}
    try:
        return {
            comparable(name): entry["path"]
            for entry in read_entries(folder)
            for name, *_ in entry["pictures"]
            if isinstance(entry["path"], str)
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        where = os.path.join(folder, MANIFEST)
        raise DatasetError(f"{where}: expected a manifest of heartfast's, found: {error}") from None


class RecordingNames:
    """The recordings in a folder, to be found by the names of their pictures."""

    def __init__(self, folder: str) -> None:
        from heartfast.recordings import find_recordings

        self._paths: dict[str, list[str]] = {}
        for recording in find_recordings(folder):
            path, name = recording.path, recording.name
            stem = os.path.splitext(name)[0]
            # With their folders and without, with the extension and without.
            for key in {name, stem, os.path.basename(name), os.path.basename(stem)}:
                self._paths.setdefault(comparable(key), []).append(path)

    def find(self, picture: str, *, known: str = "", part: bool = False) -> str:
        """Return the path of a picture's recording: "" if there is none, or more than one.

        `known` is where it once stood; `part` says that a segment or a channel is shown.
        """
        # As much of the way there as tells them apart.
        once = known.replace(os.sep, "/").split("/")
        keys = ["/".join(once[i:]) for i in range(len(once))] if known else []
        stem = os.path.splitext(picture)[0]
        # The first segment does not say that it is one.
        stems = [stem, (_PART if part else _FIRST).sub("", stem)]
        for key in [*keys, *stems, *map(os.path.basename, stems)]:
            if len(found := self._paths.get(comparable(key), [])) == 1:
                return found[0]
        return ""


class ScoresByPicture:
    """Scores of pictures, from one table or several of the same classes.

    Attributes
    ----------
    classes : list of str
    rows : dict of list of float
        The probabilities of pictures, by their place.
    truth : dict of str
        The class of pictures, by their place, where a table of it lies beside the scores.
    table : dict of int
        The number of the table that a picture's row is from, by its place.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.classes: list[str] = []
        self.rows: dict[int, list[float]] = {}
        self.truth: dict[int, str] = {}
        self.table: dict[int, int] = {}
        self._count = len(pictures)
        self._places = _places(pictures)

    def add(self, path: str | os.PathLike[str], folder: str = "") -> None:
        """Read a table of `score`, whose names are relative to a folder of the pictures.

        Raises
        ------
        OSError
            It cannot be read.
        DatasetError
            It is malformed, or of other pictures or classes.
        """
        table = read_table(path, (), "a table of scores, as score writes it")
        columns = [name for name in table.header if name.startswith(PREFIX)]
        if not columns or not table.rows:
            found = "no rows" if columns else ", ".join(table.header)
            expected = f"a table of scores with columns {PREFIX}<class>"
            raise DatasetError(f"{table.where}: expected {expected}, found {found}")
        classes = [name.removeprefix(PREFIX) for name in columns]
        if self.classes not in ([], classes):
            expected, found = ", ".join(self.classes), ", ".join(classes)
            raise DatasetError(f"{table.where}: expected the classes {expected}, found {found}")
        warn_of(table)
        self.classes = classes
        number = max(self.table.values(), default=-1) + 1
        for place, row in zip(self._where(table, folder), _numbers(table, columns), strict=True):
            self.rows[place] = row
            self.table[place] = number

    def _where(self, table: Table, folder: str) -> list[int]:
        """Return the place of the picture that each row is of."""
        if "file_name" in table.header:
            return self._named([folder + n for n in table.column("file_name")], table.where)
        if "row_id" not in table.header:
            found = ", ".join(table.header)
            raise DatasetError(
                f"{table.where}: expected a column file_name or row_id, found {found}"
            )
        ids = table.column("row_id")
        beside = os.path.join(os.path.dirname(table.where), TRUTH)
        if os.path.isfile(beside):
            truth = read_table(beside, ("row_id", "file_name"), "a table of the truth")
            name_of = dict(zip(truth.column("row_id"), truth.column("file_name"), strict=True))
            if name_of.keys() == set(ids):
                places = self._named([name_of[row_id] for row_id in ids], beside)
                of = dict(zip(ids, places, strict=True))
                for row in truth.records():
                    label = next((n for n in self.classes if truth.number(row.get(n, "")) == 1), "")
                    self.truth[of[row["row_id"]]] = label
                return places
        if sorted(ids) == sorted(map(str, range(self._count))):
            return [int(row_id) for row_id in ids]
        raise DatasetError(
            f"{table.where}: expected a column file_name (score --columns full), {TRUTH} of the "
            f"same rows beside it, or a row for each of the {self._count} pictures; found "
            f"{len(ids)} rows"
        )

    def _named(self, names: Iterable[str], where: str) -> list[int]:
        """Return the places of pictures that are called so."""
        names = list(names)
        places = [
            self._places.get(n, self._places.get(os.path.splitext(n)[0]))
            for n in map(comparable, names)
        ]
        if missing := [name for name, at in zip(names, places, strict=True) if at is None]:
            raise DatasetError(
                f"{where}: expected names of the pictures, found {len(missing)} others, the first "
                f"{missing[0]!r}"
            )
        if len(set(places)) < len(places):
            twice = Counter(places).most_common(1)[0][0]
            name = names[places.index(twice)]
            raise DatasetError(f"{where}: expected a row a picture, found {name!r} twice")
        return [at for at in places if at is not None]


def _places(pictures: Sequence[Picture]) -> dict[str, int]:
    """The place of each picture by all that tables may call it."""
    places: dict[str, int] = {}
    labelled = [(i, p) for i, p in enumerate(pictures) if p.label]
    kinds = [
        [(i, p.name) for i, p in enumerate(pictures)],
        # As `pack` calls them.
        list(zip([i for i, _ in labelled], flat_names([p for _, p in labelled]), strict=True)),
        list(enumerate(flat_names(pictures))),
    ]
    for named in kinds:
        # Also as their recordings, which are scored by their own names.
        for stem in (False, True):
            for place, name in named:
                known = comparable(name)
                places.setdefault(os.path.splitext(known)[0] if stem else known, place)
    return places


def _numbers(table: Table, columns: Sequence[str]) -> list[list[float]]:
    cells = zip(*map(table.column, columns), strict=True)
    return [
        [_number(cell, table, line, name) for cell, name in zip(row, columns, strict=True)]
        for row, line in zip(cells, table.lines, strict=True)
    ]


def _number(cell: str, table: Table, line: int, column: str) -> float:
    number = table.number(cell)
    if not 0 <= number <= 1:
        raise DatasetError(
            f"{table.where}, line {line}: expected a probability in column {column}, found {cell!r}"
        )
    return number
