"""Tables against the standard library's reader and writer."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from heartfast.tables import format_csv

text = st.text(st.sampled_from("ab ,;\"'\n\r\té\udcff"), max_size=4)
cell = st.one_of(text, st.text("abc", max_size=4), st.integers(), st.floats(allow_nan=False))


@given(st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(cell, min_size=n, max_size=n))))
def test_what_is_written_is_read(rows):
    header = [f"column {k}" for k in range(len(rows[0]) if rows else 2)]
    written = format_csv(header, iter(rows))
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert read[0] == header
    for cells, row in zip(read[1:], rows, strict=True):
        # A text that is a formula or a mark begins with a mark.
        assert all(
            found in (str(value), f"'{value}" if isinstance(value, str) else None)
            for found, value in zip(cells, row, strict=True)
        )
    assert ('"' in written) == any(set(',"\r\n') & set(str(value)) for row in rows for value in row)
