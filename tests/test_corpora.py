"""CirCor and Yaseen, as they are downloaded. PASCAL and CinC 2016 are in test_labels."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartfast.corpora import CORPORA, Label, read_corpus
from heartfast.errors import DatasetError
from heartfast.recordings import Recording, find_recordings

# The columns of the published table, in its order.
COLUMNS = (
    "Patient ID,Recording locations:,Age,Sex,Height,Weight,Pregnancy status,Murmur,"
    "Murmur locations,Most audible location,Systolic murmur timing,Systolic murmur shape,"
    "Systolic murmur grading,Systolic murmur pitch,Systolic murmur quality,"
    "Diastolic murmur timing,Diastolic murmur shape,Diastolic murmur grading,"
    "Diastolic murmur pitch,Diastolic murmur quality,Outcome,Campaign,Additional ID"
)


def row(patient: str, murmur: str, other: str = "nan") -> str:
    outcome = "Normal" if murmur == "Absent" else "Abnormal"
    return (
        f"{patient},AV+PV+TV+MV,Child,Female,98.0,15.9,False,{murmur},nan,nan,{'nan,' * 10}"
        f"{outcome},CC2015,{other}"
    )


def circor(root: Path, *rows: str, names: tuple[str, ...]) -> Path:
    folder = root / "circor"
    (folder / "training_data").mkdir(parents=True)
    (folder / "training_data.csv").write_text("\n".join((COLUMNS, *rows)) + "\n")
    for name in names:
        (folder / "training_data" / name).touch()
    return folder


def labels_of(scheme: str, source: Path) -> tuple[dict[str, Label], list[str]]:
    found = find_recordings(source)
    labels, notes = read_corpus(scheme, found, [str(source)])
    return {r.name.rpartition("/")[2]: label for r, label in zip(found, labels, strict=True)}, notes


def test_circor_patients_have_one_label_and_one_group(tmp_path):
    names = (
        "2530_AV.wav", "2530_MV.wav", "2530_PV_1.wav", "2530_PV_2.wav", "9979_Phc.wav",
        "13918_TV.wav",
    )  # fmt: skip
    rows = row("2530", "Absent"), row("9979", "Present"), row("13918", "Unknown")
    folder = circor(tmp_path, *rows, names=names)
    (folder / "training_data/2530_AV.hea").touch()
    labels, notes = labels_of("circor", folder)
    assert labels == {
        **dict.fromkeys(names[:4], Label("absent", "circor2530", "circor")),
        names[4]: Label("present", "circor9979", "circor"),
        names[5]: Label("unknown", "circor13918", "circor"),
    }
    assert notes == []
    # The folder of the recordings alone has its table beside it, and so has one recording above.
    assert labels_of("circor", folder / "training_data") == (labels, [])


def test_circor_in_a_zip(tmp_path):
    """As it is downloaded, with the table unpacked beside it."""
    (tmp_path / "training_data.csv").write_text(f"{COLUMNS}\n{row('2530', 'Absent')}\n")
    with zipfile.ZipFile(tmp_path / "circor.zip", "w") as archive:
        archive.writestr("circor-1.0.3/training_data/2530_AV.wav", b"")
    labels, _ = labels_of("circor", tmp_path / "circor.zip")
    assert labels == {"2530_AV.wav": Label("absent", "circor2530", "circor")}


@pytest.mark.parametrize("other", [("49691.0", "nan"), ("nan", "2530"), ("49691", "2530.0")])
def test_circor_knows_who_came_twice(tmp_path, other):
    rows = row("2530", "Absent", other[0]), row("49691", "Present", other[1])
    folder = circor(tmp_path, *rows, names=("2530_AV.wav", "49691_AV.wav"))
    labels, _ = labels_of("circor", folder)
    assert labels == {
        "2530_AV.wav": Label("absent", "circor2530", "circor"),
        "49691_AV.wav": Label("present", "circor2530", "circor"),
    }


def test_circor_without_a_row_keeps_its_patient(tmp_path):
    names = ("2530_AV.wav", "7_AV.wav", "2530.wav", "2530_XX.wav")
    folder = circor(tmp_path, row("2530", "Absent"), names=names)
    labels, notes = labels_of("circor", folder)
    assert labels["7_AV.wav"] == Label("", "circor7", "circor")
    assert labels["2530.wav"] == labels["2530_XX.wav"] == Label()
    assert notes == ["3 recordings have no label (training_data/2530.wav, ...)"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("x,,Present",), ", line 2: expected a number as Patient ID, found 'x'"),
        (("1,,Present", "1,,Absent"),
         ", line 3: expected one murmur of patient 1, found 'present' and 'absent'"),
    ],
)  # fmt: skip
def test_bad_circor_tables(tmp_path, rows, message):
    (tmp_path / "training_data.csv").write_text("Patient ID,Age,Murmur\n" + "\n".join(rows))
    (tmp_path / "1_AV.wav").touch()
    with pytest.raises(DatasetError) as caught:
        labels_of("circor", tmp_path)
    assert str(caught.value) == f"{tmp_path}/training_data.csv{message}"


def test_circor_without_its_table_or_columns(tmp_path):
    (tmp_path / "1_AV.wav").touch()
    expected = r"and its training_data\.csv beside or above them; found no label \('1_AV\.wav'\)"
    with pytest.raises(DatasetError, match=expected):
        labels_of("circor", tmp_path)
    (tmp_path / "training_data.csv").write_text("Patient,Murmur\n1,Absent\n")
    with pytest.raises(DatasetError, match="expected the column Patient ID, found Patient, Murmur"):
        labels_of("circor", tmp_path)


def test_yaseen_by_folder_and_by_name(tmp_path):
    names = {
        "AS_New_3주기/New_AS_001.wav": "AS",
        "MR_New_3주기/New_MR_002.wav": "MR",
        # As some programs unpack it, and as others have copied it.
        "MS_New_3ÁÖ±â/New_MS_003.wav": "MS",
        "mitral/New_MVP_004.wav": "MVP",
        "N_New_3주기/005.wav": "N",
    }
    for name in (*names, "NEW/other.wav", "AS/x.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    labels, notes = labels_of("yaseen", tmp_path)
    for name, label in names.items():
        assert labels[name.rpartition("/")[2]] == Label(label, "", "yaseen")
    assert labels["other.wav"] == labels["x.wav"] == Label()
    assert notes == ["2 recordings have no label (AS/x.wav, ...)"]
    # One class folder alone.
    labels, _ = labels_of("yaseen", tmp_path / "N_New_3주기")
    assert labels == {"005.wav": Label("N", "", "yaseen")}


@given(st.sampled_from(sorted(CORPORA)), st.lists(st.text(max_size=30), max_size=5))
def test_any_name_is_none_of_a_corpus_or_has_a_label(scheme, names):
    names = [name.replace("\0", "") + ".wav" for name in names]
    found = [Recording(os.path.join("/nowhere", ""), name) for name in names]
    labels = CORPORA[scheme](found, ["/nowhere"])
    assert len(labels) == len(names)
    # What is of no corpus has no group of it either.
    assert all(label.source or label == Label() for label in labels)
