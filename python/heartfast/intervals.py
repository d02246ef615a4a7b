"""Tables of labelled parts of recordings, such as the heart sounds S1 and S2."""

from __future__ import annotations

import os
from typing import NamedTuple

from heartfast.errors import DatasetError
from heartfast.tables import read_rows

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
    path = os.fspath(path)
    found: dict[str, list[Interval]] = {}
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if name.lower().endswith((".csv", ".tsv")))
        if not names:
            raise DatasetError(f"{path}: expected tables of intervals (.csv, .tsv), found none")
        for name in names:
            _read(os.path.join(path, name), found)
    else:
        _read(path, found)
    for intervals in found.values():
        intervals.sort()
    return found


def digest(intervals: dict[str, list[Interval]]) -> str:
    """What tells these intervals from others, whatever file they stand in."""
    import hashlib

    return hashlib.sha256(repr(sorted(intervals.items())).encode()).hexdigest()[:12]


def _read(path: str, found: dict[str, list[Interval]]) -> None:
    expected = "a table of intervals: start, end, label"
    rows = read_rows(path, expected)
    own = _stem(path)
    header = [cell.strip().lower() for cell in rows[0]] if rows else []

    def fail(line: int, row: list[str]) -> DatasetError:
        return DatasetError(f"{path}, line {line}: expected {expected}, found {','.join(row)!r}")

    if header == ["fname", "cycle", "sound", "location"]:
        for line, row in enumerate(rows[1:], 2):
            try:
                name, _, label, place = row
                at = _seconds(place) / _PASCAL_RATE
            except ValueError:
                raise fail(line, row) from None
            found.setdefault(_stem(name), []).append(Interval(at, at, label))
    elif {"start", "end", "label"} <= set(header):
        of = header.index("file_name") if "file_name" in header else None
        columns = [header.index(name) for name in ("start", "end", "label")]
        for line, row in enumerate(rows[1:], 2):
            try:
                start, end, label = (row[column] for column in columns)
                interval = Interval(_seconds(start), _seconds(end), label)
                name = own if of is None else _stem(row[of])
            except (ValueError, IndexError):
                raise fail(line, row) from None
            if interval.end < interval.start:
                raise fail(line, row)
            found.setdefault(name, []).append(interval)
    else:
        for line, row in enumerate(rows, 1):
            cells = row[0].split("\t") if len(row) == 1 else row
            try:
                start, end, number = cells
                interval = Interval(_seconds(start), _seconds(end), _CIRCOR.get(number, ""))
                if number not in (*_CIRCOR, "0") or interval.end < interval.start:
                    raise ValueError
            except ValueError:
                raise fail(line, row) from None
            if interval.label:
                found.setdefault(own, []).append(interval)


def _stem(name: str) -> str:
    return os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[0]


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
