"""The CSV files that stages hand to each other and users bring, and tables of text.

All tables are read and written here. A reader takes what spreadsheets and statistics programs
save: other separators, UTF-16, Windows-1252, decimal commas, blanks, columns without a name; it
says in `Table.notes` what it found. A writer marks cells that a spreadsheet would run as a formula,
and words that stand for missing values, and a reader takes the mark off again.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError, warn
from heartfast.names import is_utf8, legible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

METADATA = "metadata.csv"
TEST_METADATA = "test_metadata.csv"  # what pack knows of the pictures in test.zip
PREFIX = "Prediction."  # of a class, in scores.csv
DECISION = "Decision"  # in scores.csv, where one was asked for
METADATA_COLUMNS = (
    "file_name", "label", "group", "source", "sample_rate", "duration_s", "sha256",
)  # fmt: skip

MAX_BYTES = 1 << 30  # of a table
MAX_COLUMNS = 10_000
MAX_LINE = 1 << 24  # characters
_MOST_SHOWN = 500  # characters of a header, in a message

# What R and pandas write for a value that is not known, as pandas reads it.
MISSING = frozenset((
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
))  # fmt: skip
_MAY_BE_MISSING = ("label", "group", "source")
# Columns of paths, in which any byte may stand, and a mark must not lead elsewhere.
_PATHS = ("file_name", "fname")
# What a spreadsheet takes for a formula, if a cell begins with it; the last four are full width.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# A line or cell that may need a mark, or have one.
_MAYBE_MARKED = re.compile(
    r"(?m)(?:^|[,;\t|\r])\"? *(?:'|\./|[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]|"
    + "|".join(map(re.escape, sorted(MISSING)))
    + ")"
)

_SEPARATORS = {",": "", ";": "semicolon-separated", "\t": "tab-separated", "|": "bar-separated"}
# UTF-32 first: its mark begins as that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_SPREADSHEETS = {b"PK\3\4": "XLSX, ODS", b"\xd0\xcf\x11\xe0": "XLS"}
_FIRST_LINES = re.compile(r"[\r\n]*([^\r\n]*)(?:\r\n|\r|\n)*([^\r\n]*)")
_DECIMAL_COMMA = re.compile(r"\s*([+-]?\d+),(\d+(?:[eE][+-]?\d+)?)\s*")


class Table(NamedTuple):
    """A CSV; `where` names it, `lines` says where in the file each row ends.

    `header` is empty if the table has none. `notes` say how it was read, if not as plain CSV.
    """

    where: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    notes: tuple[str, ...] = ()
    separator: str = ","

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]

    def records(self) -> Iterator[dict[str, str]]:
        """Give each row as a dictionary."""
        return (dict(zip(self.header, row, strict=True)) for row in self.rows)

    def with_point(self, cell: str) -> str:
        """Return a cell with a decimal point, where commas separate no cells."""
        if self.separator == "," or not (found := _DECIMAL_COMMA.fullmatch(cell)):
            return cell
        return f"{found[1]}.{found[2]}"

    def number(self, cell: str) -> float:
        """Return the number in a cell, or NaN."""
        try:
            return float(self.with_point(cell))
        except ValueError:
            return float("nan")


class _Read(NamedTuple):
    """A table's text, and how it is written."""

    text: str
    separator: str
    skip: int  # lines before the table
    spaced: bool  # blanks behind separators
    said: list[str]


def read_table(path: str | os.PathLike[str], required: Sequence[str], expected: str) -> Table:
    """Read a CSV that must have these columns; see `parse_table`. ``-`` is standard input.

    Raises
    ------
    OSError
        There is no such file (the message says what was `expected`), or it cannot be read.
    """
    return parse_table(_read(path, expected), os.fspath(path), required)


def parse_table(data: bytes, where: str, required: Sequence[str]) -> Table:
    """Take a CSV with a header from bytes.

    Rows that are shorter than the header are continued with empty cells. Names of files that are
    not valid UTF-8 keep their bytes; in other columns these are Windows-1252. In the columns
    label, group and source the words of `MISSING` are empty cells.

    Raises
    ------
    DatasetError
        It is no CSV, lacks a column or has one twice, or a row is longer than the header.
    """
    read = _recognised(data, where, required)
    (_, first), *numbered = list(_parse(read, where)) or [(0, [])]
    header = [legible(cell.strip()) for cell in first]
    said = list(read.said)
    if read.spaced or any(cell != cell.strip() for cell in first):
        said.append("without the blanks in its header")
    header = [_unmarked(_known_as(name, required, header), path=False) for name in header]
    if missing := [name for name in required if name not in header]:
        wanted, found = " and ".join(missing), _shown(header) or "an empty file"
        plural = "s" if len(missing) > 1 else ""
        how = f" ({', '.join(read.said)})" if read.said else ""
        raise DatasetError(f"{where}: expected the column{plural} {wanted}, found {found}{how}")
    width, kept = len(header), [place for place, name in enumerate(header) if name]
    rows = []
    for line, cells in numbered:
        if any(cells[width:]):
            raise DatasetError(
                f"{where}, line {line}: expected {width} columns, found {len(cells)}"
            )
        rows.append([*cells[:width], *[""] * (width - len(cells))])
    lines = [line for line, _ in numbered]
    if len(kept) < width:
        unnamed = [place for place, name in enumerate(header) if not name]
        if any(row[place] for row in rows for place in unnamed):
            said.append("without the columns that have no name")
        header = [header[place] for place in kept]
        rows = [[row[place] for place in kept] for row in rows]
    if len(set(header)) != len(header):
        raise DatasetError(f"{where}: expected different column names, found {_shown(header)}")
    notes = _clean(rows, header, read, where, lines, said)
    return Table(where, header, rows, lines, notes, read.separator)


def _shown(header: Sequence[str]) -> str:
    """Return column names for a message, of a file that may be anything."""
    text = ", ".join(header)
    return "".join(c if c.isprintable() else " " for c in text[:_MOST_SHOWN])


def read_rows(path: str | os.PathLike[str], expected: str) -> Table:
    """Read a CSV without a header: all its rows that are not empty; the first cell is a name."""
    where = os.fspath(path)
    read = _recognised(_read(path, expected), where, ())
    numbered = list(_parse(read, where))
    rows, lines = [cells for _, cells in numbered], [line for line, _ in numbered]
    said = list(read.said)
    if where.lower().endswith(".tsv") and read.separator == "\t":
        said.remove(_SEPARATORS["\t"])
    width = max(map(len, rows), default=0)
    header = ["file_name", *[""] * (width - 1)]
    notes = _clean(rows, header, read, where, lines, said)
    return Table(where, [], rows, lines, notes, read.separator)


def known(cell: str) -> str:
    """Return a cell, or nothing where it stands for a value that is not known."""
    return "" if cell.strip(" ") in MISSING else cell


def warn_of(table: Table) -> None:
    """Say how a table was read, by a warning, where a result has no place for notes."""
    if table.notes:
        warn("; ".join(table.notes))


def _read(path: str | os.PathLike[str], expected: str) -> bytes:
    from heartfast.files import is_url, read_file

    name = os.fspath(path)
    if is_url(name):
        from heartfast.places import read_url

        return read_url(name)
    if name == "-":
        from heartfast.standard_input import read_standard_input

        return read_standard_input(expected)
    return read_file(path, expected, MAX_BYTES + 1)


def decode_text(data: bytes, where: str) -> tuple[str, str]:
    """Decode text of unknown encoding; returns it, and the encoding's name if it is not UTF-8.

    Bytes that are neither stand for themselves, as in names of files (``surrogateescape``).
    """
    mark, codec, name = next((m for m in _MARKS if data.startswith(m[0])), (b"", "utf-8", ""))
    if not mark:
        head = data[:400]
        for codec_16, nulls in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            # Latin letters in UTF-16 without a mark.
            if (
                len(head) > 3
                and 2 * nulls.count(0) > len(nulls)
                and head.count(0) < len(head) / 2 + 1
            ):
                codec, name = codec_16, "UTF-16"
    try:
        return data[len(mark) :].decode(codec, "surrogateescape" if not name else "strict"), name
    except UnicodeDecodeError as error:
        raise DatasetError(f"{where}: expected {name} text, found: {error.reason}") from None


def _recognised(data: bytes, where: str, required: Sequence[str]) -> _Read:
    """Decode a table and find out what separates its cells."""
    if len(data) > MAX_BYTES:
        raise DatasetError(f"{where}: expected at most {MAX_BYTES >> 20} MB, found more")
    for magic, kind in _SPREADSHEETS.items():
        if data.startswith(magic):
            raise DatasetError(
                f"{where}: expected a CSV table, found a spreadsheet ({kind}); save it as CSV UTF-8"
            )
    text, encoding = decode_text(data, where)
    first, second = _FIRST_LINES.match(text[:MAX_LINE]).groups("")  # type: ignore[union-attr]
    skip, separator = 0, ""
    if declared := re.fullmatch(r'"?sep=(.)"?', first):  # as Excel reads and writes it
        skip, separator = 1, declared[1]
        if separator not in _SEPARATORS:
            found = f"found sep={separator}"
            raise DatasetError(f"{where}: expected cells separated by a comma, {found}")
        first = second
    separator = separator or _separator(first, required)
    said = [word for word in (_SEPARATORS[separator], encoding) if word]
    spaced = any(cell.startswith(" ") for cell in _split(first, separator)[1:])
    return _Read(text, separator, skip, spaced, said)


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []  # the table's reader says what is wrong


def _separator(first: str, required: Sequence[str]) -> str:
    """Find what separates the cells of a line: of a header with these columns, or of any."""
    split = {separator: _split(first, separator) for separator in _SEPARATORS}
    if required:
        # The one that has the columns; else the one that has more of them, for the message.
        return max(split, key=lambda separator: _has(split[separator], required))
    most = max(split, key=lambda separator: len(split[separator]))
    # Commas between digits are decimal, if anything else separates.
    other = max((s for s in split if s != ","), key=lambda separator: len(split[separator]))
    if len(split[other]) > 1 and not re.search(r"(?<!\d),|,(?!\d)", first):
        return other
    return most


def _has(cells: Sequence[str], required: Sequence[str]) -> tuple[int, int]:
    alike = {_alike(cell.strip()) for cell in cells}
    return sum(_alike(name) in alike for name in required), len(cells)


def _alike(name: str) -> str:
    return name.casefold().replace(" ", "_")


def _known_as(name: str, required: Sequence[str], header: Sequence[str]) -> str:
    """Return a required column that is meant by a name, in other case, say; else the name."""
    if name in required:
        return name
    meant = [want for want in required if want not in header and _alike(want) == _alike(name)]
    return meant[0] if meant else name


def _lines(read: _Read, where: str) -> Iterator[str]:
    lines = iter(io.StringIO(read.text, newline=""))
    for _ in range(read.skip):
        next(lines, None)
    for line in lines:
        if len(line) > MAX_LINE:
            raise DatasetError(f"{where}: expected lines of at most {MAX_LINE} characters")
        yield line


def _parse(read: _Read, where: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with anything in them, each with the number of its last line."""
    reader = csv.reader(_lines(read, where), delimiter=read.separator, skipinitialspace=read.spaced)
    try:
        for cells in reader:
            if len(cells) > MAX_COLUMNS:
                raise DatasetError(
                    f"{where}: expected at most {MAX_COLUMNS} columns, found {len(cells)}"
                )
            if any(cells):
                yield reader.line_num + read.skip, cells
    except csv.Error as error:
        raise DatasetError(f"{where}: expected a CSV table, found: {error}") from None


def _clean(
    rows: list[list[str]],
    header: Sequence[str],
    read: _Read,
    where: str,
    lines: Sequence[int],
    said: list[str],
) -> tuple[str, ...]:
    """Read old encodings, missing values and marks in the cells, in place; return notes."""
    notes = []
    if not is_utf8(read.text) and (example := _read_legacy(rows, header, where, lines)):
        said.append(f"Windows-1252 ({example!r}, ...)")
    if read.separator != "," and any(
        _DECIMAL_COMMA.fullmatch(cell) for row in rows[:1000] for cell in row
    ):
        said.append("decimal commas")
    if said:
        notes.append(f"{where}: read as {', '.join(said)}")
    if _MAYBE_MARKED.search(read.text):
        for place, name in enumerate(header):
            counts: dict[str, int] = {}
            for row in rows:
                if place >= len(row) or not row[place]:
                    continue
                cell = row[place]
                if name in _MAY_BE_MISSING and cell.strip(" ") in MISSING:
                    word = cell.strip(" ")
                    counts[word] = counts.get(word, 0) + 1
                    row[place] = ""
                else:
                    row[place] = _unmarked(cell, path=name in _PATHS)
            notes += [
                f"{where}: {word} in column {name} is read as not known, {count} times (where it "
                f"is a name, write '{word})"
                for word, count in counts.items()
            ]
    return tuple(notes)


def _read_legacy(
    rows: list[list[str]], header: Sequence[str], where: str, lines: Sequence[int]
) -> str:
    """Read cells that are no UTF-8 as Windows-1252, except names of files; return the first."""
    first = ""
    for row, line in zip(rows, lines, strict=True):
        for place, cell in enumerate(row):
            if (place < len(header) and header[place] in _PATHS) or is_utf8(cell):
                continue
            row[place] = legible(cell)
            first = first or row[place]
            if not is_utf8(row[place]):
                raise DatasetError(
                    f"{where}, line {line}: expected text in UTF-8, UTF-16 or Windows-1252, found "
                    f"{cell!r}; save it as CSV UTF-8"
                )
    return first


def _needs_mark(cell: str, path: bool) -> bool:
    """Whether a cell, without the marks that it may begin with, is a formula or no value."""
    if path:
        while cell.startswith("./"):
            cell = cell[2:]
        return cell.lstrip(" ").startswith(_FORMULA)
    cell = cell.lstrip("'")
    return cell.lstrip(" ").startswith(_FORMULA) or cell.strip(" ") in MISSING


def marked(cell: str, *, path: bool) -> str:
    """Return a cell as it is written: one that a spreadsheet would run begins with a mark.

    It is ``./`` for a path, which means the same file to every reader, and else an apostrophe.
    """
    return ("./" if path else "'") + cell if _needs_mark(cell, path) else cell


def _unmarked(cell: str, *, path: bool) -> str:
    mark = "./" if path else "'"
    return cell[len(mark) :] if cell.startswith(mark) and _needs_mark(cell, path) else cell


def _mark_all(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[list[object]]:
    paths = [name in _PATHS for name in header]
    return [
        [marked(name, path=False) for name in header],
        *(
            [
                marked(cell, path=path) if isinstance(cell, str) else cell
                for cell, path in zip(row, paths, strict=True)
            ]
            for row in rows
        ),
    ]


def format_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with "\\n" at the ends of lines; floats as their shortest exact decimals.

    Texts that a spreadsheet would run, or a reader take for missing, are marked; see `marked`.
    """
    table: list[Sequence[object]] = [header, *rows]
    text = "".join([",".join(map(str, row)) + "\n" for row in table])
    if _MAYBE_MARKED.search(text):
        table = [*_mark_all(header, table[1:])]
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
