"""The CSV files that stages hand to each other."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

METADATA = "metadata.csv"
METADATA_COLUMNS = (
    "file_name", "label", "group", "source", "sample_rate", "duration_s", "sha256",
)  # fmt: skip


def format_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with "\\n" at the ends of lines; floats as their shortest exact decimals."""
    lines = _Lines()
    # The writer quotes what its line ends are made of: "\r" in a name, too.
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return "".join(lines)


class _Lines(list[str]):
    """A file for `csv.writer`, which writes a row at a time."""

    def write(self, row: str) -> None:
        self.append(row.removesuffix("\r\n") + "\n")


def write_csv(
    path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a table. Names that are not valid UTF-8 keep their bytes."""
    from heartfast.atomic import write_bytes

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
