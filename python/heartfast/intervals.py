"""Tables of labelled parts of recordings, such as the heart sounds S1 and S2."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError, warn
from heartfast.names import comparable
from heartfast.tables import known, read_rows
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from heartfast.tables import Table

# PASCAL's places are samples of its set A.
_PASCAL_RATE = 44_100
# What CirCor's numbers stand for; 0 is what nobody has labelled.
_CIRCOR = {"1": "S1", "2": "systole", "3": "S2", "4": "diastole"}


class Interval(NamedTuple):
    """A labelled part of a recording.

    Parameters
    ----------
    start, end : float
        Seconds; a moment ends where it begins.
    label : str

    Notes
    -----
    What `read_intervals` reads, and what figures show above their spectrogram.

    Examples
    --------
    >>> heartfast.Interval(0.1, 0.2, "S1").label
    'S1'
    """

    start: float
    end: float
    label: str


def read_intervals(path: str | os.PathLike[str]) -> dict[str, list[Interval]]:
    """Read labelled parts of recordings.

    Parameters
    ----------
    path : path
        A CSV with start, end, label (seconds) and, unless it is of the one recording that it is
        named after, file_name; PASCAL's ``set_a_timing.csv`` (fname, cycle, sound, location in
        samples of 44.1 kHz); CirCor's ``<recording>.tsv`` (start, end, and 1 to 4 for S1,
        systole, S2, diastole; 0 is passed over), or a folder of such files.

    Returns
    -------
    dict of list of Interval
        By the recording's name without folders and extension, each in the order of time.

    Raises
    ------
    OSError
        The file cannot be read.
    DatasetError
        It is none of these tables, or a row of it is not.

    References
    ----------
    Bentley et al., "The PASCAL Classifying Heart Sounds Challenge 2011"; Oliveira et al., "The
    CirCor DigiScope dataset", IEEE JBHI 26 (2022).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "beats.csv"
    >>> _ = path.write_text("file_name,start,end,label\\nbeat.wav,0.1,0.2,S1\\n")
    >>> heartfast.read_intervals(path)
    {'beat': [Interval(start=0.1, end=0.2, label='S1')]}
    """
    found, notes = intervals_and_notes(path)
    if notes:
        warn("; ".join(notes))
    return found


def intervals_and_notes(
    path: str | os.PathLike[str],
) -> tuple[dict[str, list[Interval]], list[str]]:
    """Do what `read_intervals` does, and say how the tables were read."""
    path = os.fspath(path)
    found: dict[str, list[Interval]] = {}
    notes: list[str] = []
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if name.lower().endswith((".csv", ".tsv")))
        if not names:
            raise DatasetError(f"{path}: expected tables of intervals (.csv, .tsv), found none")
        for name in names:
            notes += _read(os.path.join(path, name), found)
    else:
        notes += _read(path, found)
    for intervals in found.values():
        intervals.sort()
    return found, notes


def of_recordings(
    intervals: dict[str, list[Interval]], stems: Iterable[str]
) -> tuple[dict[str, list[Interval]], list[str]]:
    """Return intervals by the recordings' own names, and a note of those that are of none."""
    spelled = {comparable(name): name for name in intervals}
    found = {}
    for stem in stems:
        name = stem if stem in intervals else spelled.get(comparable(stem))
        if name is not None:
            found[stem] = intervals[name]
            spelled.pop(comparable(stem), None)
    left = sorted(set(spelled.values()) - found.keys())
    if not left:
        return found, []
    names = counted(len(left), "name")
    return found, [f"intervals: {names} of no recording here ({left[0]!r}, ...)"]


def digest(intervals: dict[str, list[Interval]]) -> str:
    """What tells these intervals from others, whatever file they stand in."""
    import hashlib

    return hashlib.sha256(repr(sorted(intervals.items())).encode()).hexdigest()[:12]


def _read(path: str, found: dict[str, list[Interval]]) -> tuple[str, ...]:
    expected = "a table of intervals: start, end, label"
    table = read_rows(path, expected)
    own = _stem(path)
    header = [cell.strip().lower() for cell in table.rows[0]] if table.rows else []
    taken: Callable[[Table, Sequence[str]], tuple[str, Interval]] = _pascal
    rows = table.rows[1:]
    if header == ["fname", "cycle", "sound", "location"]:
        pass
    elif {"start", "end", "label"} <= set(header):
        taken = _named(header, own)
    else:
        taken, rows = _circor(own), table.rows
    for line, row in zip(table.lines[len(table.rows) - len(rows) :], rows, strict=True):
        try:
            name, interval = taken(table, row)
            if interval.end < interval.start:
                raise ValueError
        except (ValueError, IndexError):
            raise DatasetError(
                f"{path}, line {line}: expected {expected}, found {','.join(row)!r}"
            ) from None
        if interval.label:
            found.setdefault(name, []).append(interval)
    return table.notes


def _pascal(table: Table, row: Sequence[str]) -> tuple[str, Interval]:
    name, _, label, place = row
    at = _seconds(table, place) / _PASCAL_RATE
    return _stem(name), Interval(at, at, label)


def _named(
    header: Sequence[str], own: str
) -> Callable[[Table, Sequence[str]], tuple[str, Interval]]:
    of = header.index("file_name") if "file_name" in header else None
    columns = [header.index(name) for name in ("start", "end", "label")]

    def take(table: Table, row: Sequence[str]) -> tuple[str, Interval]:
        start, end, label = (row[column] for column in columns)
        interval = Interval(_seconds(table, start), _seconds(table, end), known(label))
        return own if of is None else _stem(row[of]), interval

    return take


def _circor(own: str) -> Callable[[Table, Sequence[str]], tuple[str, Interval]]:
    def take(table: Table, row: Sequence[str]) -> tuple[str, Interval]:
        start, end, number = row
        if number not in (*_CIRCOR, "0"):
            raise ValueError
        label = _CIRCOR.get(number, "")
        return own, Interval(_seconds(table, start), _seconds(table, end), label)

    return take


def _stem(name: str) -> str:
    return os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[0]


def _seconds(table: Table, text: str) -> float:
    value = table.number(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
