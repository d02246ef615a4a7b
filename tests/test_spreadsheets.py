"""Tables as spreadsheets, R and pandas save them, and ours as spreadsheets open them."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

import heartfast
from heartfast.errors import DatasetError
from heartfast.tables import (
    MISSING,
    format_csv,
    known,
    parse_table,
    read_rows,
    read_table,
    write_csv,
)

LABELS = {
    "r0.wav": "normal",
    "r1.wav": "Herzger\u00e4usch",
    "r2.wav": "normal",
    "r3.wav": "5 \u20ac",
}
PLAIN = [["file_name", "label"], *([name, label] for name, label in LABELS.items())]
FORMULAS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"

cells = st.one_of(
    st.text(st.sampled_from("ab ,;\"'./=+-@\t\n\ré\uff1d%"), max_size=5),
    st.sampled_from(sorted(MISSING)).flatmap(lambda w: st.sampled_from([w, "'" + w, f" {w} "])),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)


def joined(separator: str = ",", end: str = "", *, sep: str = "") -> str:
    return sep + "".join(separator.join(row) + end + "\r\n" for row in PLAIN)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (joined().encode(), ""),
        (joined().encode("utf-8-sig"), ""),
        (joined(";").encode("utf-8-sig"), "semicolon-separated"),
        (joined("\t").encode(), "tab-separated"),
        (joined("|").encode(), "bar-separated"),
        (joined("\t").encode("utf-16"), "tab-separated, UTF-16"),
        (joined().encode("utf-16-be"), "UTF-16"),
        (joined().encode("utf-16-le"), "UTF-16"),
        (joined().encode("utf-32"), "UTF-32"),
        (joined().encode("cp1252"), "Windows-1252 ('Herzger\u00e4usch', ...)"),
        (joined(";").encode("cp1252"),
         "semicolon-separated, Windows-1252 ('Herzger\u00e4usch', ...)"),
        (joined(",", ",,").encode(), ""),
        (joined(";", ";;").encode("utf-8"), "semicolon-separated"),
        (joined(sep="sep=,\r\n").encode(), ""),
        (joined(";", sep="sep=;\r\n").encode(), "semicolon-separated"),
        (joined().replace("file_name,label", "file_name, label").encode(),
         "without the blanks in its header"),
        (joined().replace("file_name,label", " File_Name ,LABEL ").encode(),
         "without the blanks in its header"),
        (joined().replace(",", ' , "').replace("\r\n", '"\r\n').encode(),
         "without the blanks in its header"),
        ("".join(f"{i},{','.join(row)}\n" for i, row in enumerate(PLAIN)).replace("0,f", ",f", 1)
         .encode(), "without the columns that have no name"),
        (joined().replace("\r\n", "\r").encode(), ""),
        (joined(";").replace("\r\n", "\r").encode(), "semicolon-separated"),
        (("\r\n" + joined(";") + ";\r\n;\r\n").encode(), "semicolon-separated"),
    ],
)  # fmt: skip
def test_what_is_saved_is_read_and_said(data: bytes, said: str) -> None:
    table = parse_table(data, "t.csv", ("file_name", "label"))
    found = {row["file_name"].strip(): row["label"] for row in table.records()}
    assert found == LABELS
    assert table.notes == ((f"t.csv: read as {said}",) if said else ())


def test_labels_of_a_german_spreadsheet(tmp_path: Path) -> None:
    for seed, name in enumerate(LABELS):
        noise = np.random.Generator(np.random.PCG64(seed)).normal(0, 0.1, 2000)
        (tmp_path / "wav").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "wav" / name, noise, 4000)
    (tmp_path / "t.csv").write_bytes(joined(";").encode("cp1252"))
    done = heartfast.convert(tmp_path / "wav", tmp_path / "out", labels=tmp_path / "t.csv")
    assert {record.label for record in done.records} == set(LABELS.values())
    assert [note for note in done.notes if "read as" in note] == [
        f"{tmp_path}/t.csv: read as semicolon-separated, Windows-1252 ('Herzger\u00e4usch', ...)"
    ]
    # And what convert wrote, saved anew by a spreadsheet.
    own = tmp_path / "out/metadata.csv"
    rows = list(csv.reader(io.StringIO(own.read_text("utf-8"))))
    for row in rows[1:]:
        row[5] = row[5].replace(".", ",")
    own.write_bytes("".join(";".join(row) + "\r\n" for row in rows).encode("cp1252"))
    from heartfast.images import PictureSet

    with PictureSet(own.parent) as pictures:
        assert {picture.label for picture in pictures.pictures} == set(LABELS.values())
        assert {picture.duration_s for picture in pictures.pictures} == {"0.5"}
        assert "decimal commas" in pictures.notes[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\3\4" + bytes(100), r"t\.csv: expected a CSV table, found a spreadsheet \(XLSX, O"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), r"found a spreadsheet \(XLS\)"),
        (b"name;class\n1;2\n", r"the columns file_name and label, found name, class \(semi"),
        (b"file_name,label\nx,\x81\n", r"line 2: expected text in UTF-8, UTF-16 or Windows-1252"),
        (b"sep=:\nfile_name:label\n", r"separated by a comma, found sep=:"),
        (b"a," * 20_000 + b"file_name,label\n", r"expected at most 10000 columns, found 20002"),
        (b"file_name,label\nx,\"" + b"y" * 200_000, r"expected a CSV table, found: field larger"),
        (b"file_name,label,label\nx,y,z\n", "expected different column names"),
        (bytes(range(1, 256)) * 40, r"expected the columns file_name and label, found .{,600}$"),
        (b"\xff\xfe\x00\xd8" + "x\n".encode("utf-16-le"), "expected UTF-16 text"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(data: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        parse_table(data, "t.csv", ("file_name", "label"))
    assert "\n" not in str(caught.value)


def test_a_table_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with open(path, "wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(DatasetError, match="expected at most 1024 MB"):
        read_table(path, ("file_name",), "a table")


def test_decimal_commas_are_numbers_where_commas_separate_nothing() -> None:
    table = parse_table(b"row_id;Prediction.a;Prediction.b\n0;0,25;7,5e-1\n", "t", ("row_id",))
    assert [table.number(cell) for cell in table.rows[0]] == [0, 0.25, 0.75]
    assert table.notes == ("t: read as semicolon-separated, decimal commas",)
    comma = parse_table(b'row_id,x\n0,"1,234"\n', "t", ("row_id",))
    assert np.isnan(comma.number(comma.rows[0][1]))


@pytest.mark.parametrize(
    "text",
    ["0,1;0,3;S1\n0,5;0,8;S2\n", "0.1\t0.3\tS1\n0.5\t0.8\tS2\n", "0.1,0.3,S1\n0.5,0.8,S2\n"],
)
def test_tables_without_a_header(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    table = read_rows(tmp_path / "t.csv", "intervals")
    assert [[table.number(a), table.number(b), c] for a, b, c in table.rows] == [
        [0.1, 0.3, "S1"], [0.5, 0.8, "S2"],
    ]  # fmt: skip


def test_missing_words_are_those_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    words = [*sorted(MISSING), "", "none", "Na", "NAN", "unknown", "0", "nil", "normal"]
    text = "x,word\n" + "".join(f"1,{word}\n" for word in words)
    read = pandas.read_csv(io.StringIO(text))["word"].isna().tolist()
    assert [not known(word) for word in words] == read


def test_what_r_does_not_know_is_no_class_and_no_patient(tmp_path: Path) -> None:
    heartfast.synth.write_corpus(tmp_path / "wav", patients=12, recordings=2)
    rows = list(csv.DictReader((tmp_path / "wav/labels.csv").read_text().splitlines()))
    text = '"file_name","label","group"\n'
    for i, row in enumerate(rows):
        label = "NA" if i % 4 == 0 else f'"{row["label"]}"'
        text += (
            f'"{row["file_name"]}",{label},{"NA" if i % 2 else chr(34) + row["group"] + chr(34)}\n'
        )
    (tmp_path / "r.csv").write_text(text)
    done = heartfast.convert(tmp_path / "wav", tmp_path / "out", labels=tmp_path / "r.csv")
    assert {record.label for record in done.records} == {row["label"] for row in rows} | {""}
    assert "NA" not in {record.group for record in done.records}
    assert [note.partition(": ")[2] for note in done.notes[:2]] == [
        f"NA in column label is read as not known, {-(-len(rows) // 4)} times "
        "(where it is a name, write 'NA)",
        f"NA in column group is read as not known, {len(rows) // 2} times "
        "(where it is a name, write 'NA)",
    ]


def test_a_class_that_is_called_na_can_be(tmp_path: Path) -> None:
    for seed in range(8):
        noise = np.random.Generator(np.random.PCG64(seed)).normal(0, 0.1, 2000)
        folder = tmp_path / "wav" / ("NA" if seed % 2 else "None")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"r{seed}.wav", noise, 4000)
    heartfast.convert(tmp_path / "wav", tmp_path / "out", labels="folders")
    packed = heartfast.pack(tmp_path / "out", tmp_path / "sets")
    assert packed.classes == ["NA", "None"]
    truth = read_table(tmp_path / "sets/test_actual.csv", ("row_id", "NA", "None"), "the truth")
    assert len(truth.rows) == 2
    table = tmp_path / "labels.csv"
    table.write_text("file_name,label\n" + "".join(f"r{i}.wav,'NA\n" for i in range(8)))
    done = heartfast.convert(tmp_path / "wav", tmp_path / "own", labels=table)
    assert {record.label for record in done.records} == {"NA"}


@given(st.lists(st.tuples(cells, cells).filter(any), min_size=1))
@example([("=x.png", "'=1"), ("./=x.png", "''NA"), ("'", "-1"), (" =1", " NA")])
def test_what_is_written_reads_back_and_is_no_formula(rows: list[tuple[str, str]]) -> None:
    text = format_csv(["file_name", "group"], rows)
    for cell in (cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row):
        assert not cell.startswith(tuple(FORMULAS))
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))
    table = parse_table(text.encode("utf-8"), "t", ("file_name", "group"))
    assert [tuple(row) for row in table.rows] == rows
    assert not table.notes


@given(st.binary(max_size=6).map(lambda b: b.decode("utf-8", "surrogateescape")))
def test_names_of_any_bytes_read_back(name: str) -> None:
    data = format_csv(["row_id", "file_name"], [[0, name]]).encode("utf-8", "surrogateescape")
    assert parse_table(data, "t", ("file_name",)).column("file_name") == [name]


def test_numbers_are_not_marked(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ["row_id", "x"], [[-1, -0.5], [0, float("nan")]])
    assert (tmp_path / "t.csv").read_text() == "row_id,x\n-1,-0.5\n0,nan\n"


NAMES = ("=cmd|' calc'!A0.wav", "@SUM(1+1).wav", "-1.wav", "+1,2.wav", "\t=1.wav", "'=1.wav")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formulas")
    (folder / "in").mkdir()
    table = ""
    for seed, name in enumerate(NAMES):
        noise = np.random.Generator(np.random.PCG64(seed)).normal(0, 0.1, 2000)
        soundfile.write(folder / "in" / name, noise, 4000)
    heartfast.convert(folder / "in", folder / "out")
    table = format_csv(
        ["file_name", "label", "group", "source"],
        [[name, "=1+1" if i % 2 else "'@x", f"=p{i}", "-s"] for i, name in enumerate(NAMES)],
    )
    (folder / "labels.csv").write_text(table)
    heartfast.convert(folder / "in", folder / "labelled", labels=folder / "labels.csv")
    return folder


def formulas_in(path: Path) -> list[str]:
    with open(path, newline="") as file:
        return [
            cell for row in csv.reader(file) for cell in row if cell.startswith(tuple(FORMULAS))
        ]


def test_formulas_in_names_are_none_in_tables(pictures: Path) -> None:
    from heartfast.images import PictureSet

    for out in ("out", "labelled"):
        assert not formulas_in(pictures / out / "metadata.csv")
    with PictureSet(pictures / "out") as found:
        assert len(found) == len(NAMES)
        assert not found.unlisted
    with PictureSet(pictures / "labelled") as found:
        assert {picture.label for picture in found.pictures} == {"=1+1", "'@x"}
        assert {picture.group for picture in found.pictures} == {f"=p{i}" for i in range(6)}
        assert {picture.source for picture in found.pictures} == {"-s"}
    heartfast.pack(pictures / "labelled", pictures / "sets", test_size=0.4)
    for name in ("test_actual.csv", "test_metadata.csv"):
        assert not formulas_in(pictures / "sets" / name)
    truth = read_table(pictures / "sets/test_actual.csv", ("row_id",), "the truth")
    assert set(truth.header) == {"row_id", "=1+1", "'@x", "file_name"}


def test_marked_names_lead_any_reader_to_the_file(pictures: Path) -> None:
    """As Hugging Face's ImageFolder does: the path of the table joined to its folder."""
    with open(pictures / "out/metadata.csv", newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    assert all((pictures / "out" / name).is_file() for name in names)
    ran = subprocess.run(
        ["ls", "--", *names], cwd=pictures / "out", check=False, capture_output=True
    )
    assert ran.returncode == 0
