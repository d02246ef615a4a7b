"""The CSV files that stages hand to each other, and tables of text."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

METADATA = "metadata.csv"
TEST_METADATA = "test_metadata.csv"  # what pack knows of the pictures in test.zip
PREFIX = "Prediction."  # of a class, in scores.csv
DECISION = "Decision"  # in scores.csv, where one was asked for
METADATA_COLUMNS = (
    "file_name", "label", "group", "source", "sample_rate", "duration_s", "sha256",
)  # fmt: skip


class Table(NamedTuple):
    """A CSV with a header; `where` names it, `lines` says where in the file each row ends."""

    where: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]

    def records(self) -> Iterator[dict[str, str]]:
        """Give each row as a dictionary."""
        return (dict(zip(self.header, row, strict=True)) for row in self.rows)


def read_table(path: str | os.PathLike[str], required: Sequence[str], expected: str) -> Table:
    """Read a CSV that must have these columns; see `parse_table`.

    Raises
    ------
    OSError
        There is no such file (the message says what was `expected`), or it cannot be read.
    """
    return parse_table(_read(path, expected), os.fspath(path), required)


def parse_table(data: bytes, where: str, required: Sequence[str]) -> Table:
    """Take a CSV with a header from bytes. Names that are not valid UTF-8 keep their bytes.

    Rows that are shorter than the header are continued with empty cells.

    Raises
    ------
    DatasetError
        It is no CSV, lacks a column or has one twice, or a row is longer than the header.
    """
    (_, header), *numbered = list(_parse(data, where)) or [(0, [])]
    if missing := [name for name in required if name not in header]:
        wanted, found = " and ".join(missing), ", ".join(header) or "an empty file"
        plural = "s" if len(missing) > 1 else ""
        raise DatasetError(f"{where}: expected the column{plural} {wanted}, found {found}")
    if len(set(header)) != len(header):
        raise DatasetError(f"{where}: expected different column names, found {', '.join(header)}")
    width = len(header)
    rows = []
    for line, cells in numbered:
        if any(cells[width:]):
            raise DatasetError(
                f"{where}, line {line}: expected {width} columns, found {len(cells)}"
            )
        rows.append([*cells[:width], *[""] * (width - len(cells))])
    return Table(where, header, rows, [line for line, _ in numbered])


def read_rows(path: str | os.PathLike[str], expected: str) -> list[list[str]]:
    """Read a CSV without a header: all its rows that are not empty."""
    return [cells for _, cells in _parse(_read(path, expected), os.fspath(path))]


def _read(path: str | os.PathLike[str], expected: str) -> bytes:
    from heartfast.files import is_url, read_file

    if is_url(name := os.fspath(path)):
        from heartfast.places import read_url

        return read_url(name)
    return read_file(path, expected)


def _parse(data: bytes, where: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with the number of its last line."""
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig", "surrogateescape"), newline=""))
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DatasetError(f"{where}: expected a CSV table, found: {error}") from None


def format_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with "\\n" at the ends of lines; floats as their shortest exact decimals."""
    table = [header, *rows]
    text = "".join([",".join(map(str, row)) + "\n" for row in table])
    # As quickly as that where there is nothing to quote: no more of these than between cells.
    commas = sum(map(len, table)) - len(table)
    if (text.count(","), text.count("\n")) == (commas, len(table)) and not (
        '"' in text or "\r" in text
    ):
        return text
    file = io.StringIO(newline="")
    # The writer quotes what its line ends are made of: "\r" in a name, too.
    csv.writer(file, lineterminator="\r\n").writerows(table)
    # Between quotes, ends of lines are a name's own.
    parts = file.getvalue().split('"')
    parts[::2] = [part.replace("\r\n", "\n") for part in parts[::2]]
    return '"'.join(parts)


def write_csv(
    path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a table. Names that are not valid UTF-8 keep their bytes."""
    from heartfast.files import write_bytes

    write_bytes(path, format_csv(header, rows).encode("utf-8", "surrogateescape"))


def format_text(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)
