"""Labels, groups and sources, from folders, tables and the names of known corpora."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from heartfast.corpora import Label
from heartfast.errors import DatasetError
from heartfast.labels import read_labels
from heartfast.recordings import Recording, find_recordings

PATHS = ("site1/x.wav", "site1/y.wav", "site2/x.wav", "z.flac")


def recordings(*names: str, root: str = "/r") -> list[Recording]:
    return [Recording(f"{root}/{name}", name) for name in names]


def labels_of(scheme, found, sources=("/r",)):
    return read_labels(scheme, found, list(sources))


def test_none():
    assert labels_of("none", recordings(*PATHS)) == ([Label()] * 4, [])


def test_folders():
    found = recordings("normal/a.wav", "unlabelled/b.wav", "deep/murmur/c.wav", "é ü/d.wav")
    labels, notes = labels_of("folders", found)
    assert [label.label for label in labels] == ["normal", "", "murmur", "é ü"]
    assert {label.group for label in labels} == {""}
    assert notes == []
    # A recording right in its source belongs to the source's folder.
    assert labels_of("folders", recordings("a.wav", root="/data/murmur"))[0] == [Label("murmur")]


def table(tmp_path, text: str, name: str = "labels.csv") -> str:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return str(path)


def test_table_by_path_name_and_stem(tmp_path):
    path = table(
        tmp_path,
        "file_name,label,group,source,remark\n"
        "site1/x.wav,normal,p1,s1,by path\n"
        "./site2/x.wav,murmur,p2,,by path with a dot\n"
        "y.wav,normal,p1,s1,by name\n"
        "z, normal ,,,by stem\n",
    )
    labels, notes = labels_of(path, recordings(*PATHS))
    assert labels == [
        Label("normal", "p1", "s1"),
        Label("normal", "p1", "s1"),
        Label("murmur", "p2", ""),
        Label("normal", "", ""),
    ]
    assert notes == []


@pytest.mark.parametrize(
    "text",
    [
        "\ufefffile_name,label\r\nz.flac,normal\r\n",
        '"label","file_name"\n"normal","z.flac"\n',
        "file_name,label\nz.flac,normal",
        "file_name,label,group\nz.flac,normal\n",
        "file_name,label\nz.flac,normal\nz.flac,normal\n\n",
        "file_name,label\nz\\..\\..\\z.flac,no\nz.flac,normal\n",
    ],
    ids=["BOM and CRLF", "quotes, other order", "no last line end", "too short", "twice",
         "backslashes"],
)  # fmt: skip
def test_tables_as_they_come(tmp_path, text):
    labels, _ = labels_of(table(tmp_path, text), recordings("z.flac"))
    assert labels == [Label("normal")]


def test_backslashes_are_slashes(tmp_path):
    path = table(tmp_path, "file_name,label\nsite1\\x.wav,normal\n")
    assert labels_of(path, recordings("site1/x.wav"))[0] == [Label("normal")]


def test_what_does_not_match_is_listed(tmp_path):
    path = table(
        tmp_path,
        "file_name,label\nsite1/x.wav,normal\nx.wav,murmur\nnothing.wav,murmur\n,murmur\ny,normal\n",
    )
    labels, notes = labels_of(path, recordings(*PATHS))
    assert [label.label for label in labels] == ["normal", "normal", "", ""]
    assert notes == [
        f"{path}, line 3: 'x.wav' matches 2 recordings",
        f"{path}, line 4: 'nothing.wav' matches no recording",
        f"{path}, line 5: '' matches no recording",
        f"{path}: no row for site2/x.wav",
        f"{path}: no row for z.flac",
    ]


def test_names_that_are_not_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.wav")
    path = table(tmp_path, f"file_name,label\n{name},normal\n")
    assert labels_of(path, recordings(name))[0] == [Label("normal")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns file_name and label, found an empty file"),
        ("file,label\nz.flac,normal\n", "expected the column file_name, found file, label"),
        ("file;label\nz.flac;a\n",
         "expected the column file_name, found file, label (semicolon-separated)"),
        ("file_name,label\nz.flac,a\nz,b\n",
         ", line 3: expected one label for 'z', found 'a' and 'b'"),
        ("file_name,label\nz.flac,a,more,columns\n", ", line 2: expected 2 columns, found 4"),
        ("file_name,label\nq,a\nr,b\n",
         "expected rows for the recordings ('site1/x.wav', ...), found 2 rows that match none"),
    ],
)  # fmt: skip
def test_bad_tables(tmp_path, text, message):
    path = table(tmp_path, text)
    with pytest.raises(DatasetError) as caught:
        labels_of(path, recordings(*PATHS))
    assert str(caught.value).startswith(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_of_other_bytes(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b'file_name,label\nz.flac,"' + b"x" * 200_000 + b'"\n')
    with pytest.raises(DatasetError, match=r"labels\.csv: expected a CSV table, found"):
        labels_of(path, recordings("z.flac"))


@pytest.mark.parametrize("label", ["../x", "a/b", "/etc", "a\\b", ".", "..", "a\nb", "a\0b"])
def test_labels_that_cannot_name_a_folder(tmp_path, label):
    path = table(tmp_path, f'file_name,label\nz.flac,"{label}"\n')
    with pytest.raises(DatasetError) as caught:
        labels_of(path, recordings("z.flac"))
    assert "\n" not in str(caught.value)
    assert "z.flac: expected a label that can name a folder, found" in str(caught.value) or (
        label == "a\0b" and "expected a CSV table" in str(caught.value)
    )


def test_unknown_scheme(tmp_path):
    missing = str(tmp_path / "nothing.csv")
    with pytest.raises(FileNotFoundError) as caught:
        labels_of(missing, recordings("a.wav"))
    assert caught.value.filename == missing
    assert caught.value.strerror == (
        "expected none, folders, pascal, cinc2016, circor, yaseen or a CSV of labels, found nothing"
    )


def test_table_by_absolute_path(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "x.wav").touch()
    # The same name in two sources: only the absolute path tells them apart.
    found = find_recordings(folders)
    rows = f"{folders[0]}/x.wav,normal\n{folders[1]}/../two/x.wav,murmur\n"
    path = table(tmp_path, f"file_name,label\n{rows}")
    labels, notes = labels_of(path, found, [str(folder) for folder in folders])
    assert [label.label for label in labels] == ["normal", "murmur"]
    assert notes == []
    # And no path that is absolute means another file of that name.
    path = table(tmp_path, f"file_name,label\n{tmp_path}/x.wav,normal\n{rows}")
    assert labels_of(path, found)[1] == [f"{path}, line 2: '{tmp_path}/x.wav' matches no recording"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("normal__103_1305031931979_B.wav", Label("normal", "b103", "pascal-b")),
        ("normal_noisynormal_101_1305030823364_B.wav", Label("normal", "b101", "pascal-b")),
        ("murmur__112_1306243000964_A.wav", Label("murmur", "b112", "pascal-b")),
        ("murmur_noisymurmur_162_1307101835989_B_1.wav", Label("murmur", "b162", "pascal-b")),
        ("extrastole__127_1306764300147_C2.wav", Label("extrasystole", "b127", "pascal-b")),
        ("Bunlabelledtest__146_1306778707532_D31.wav", Label("", "b146", "pascal-b")),
        ("Bunlabelledtest__101_1305030823364_E.wav", Label("", "b101", "pascal-b")),
        # As the published tables have them.
        ("Btraining_extrastole_127_1306764300147_C2.wav",
         Label("extrasystole", "b127", "pascal-b")),
        ("Btraining_normal_Btraining_noisynormal_101_1305030823364_B.wav",
         Label("normal", "b101", "pascal-b")),
        ("Btraining_murmur_Btraining_noisymurmur_162_1307101835989_B_1.wav",
         Label("murmur", "b162", "pascal-b")),
        ("Bunlabelledtest_146_1306778707532_D31.wav", Label("", "b146", "pascal-b")),
        # Set A: the number is a time.
        ("artifact__201012172012.flac", Label("artifact", "", "pascal-a")),
        ("extrahls__201101070953.wav", Label("extrahls", "", "pascal-a")),
        ("normal__201102081321.wav", Label("normal", "", "pascal-a")),
        ("Aunlabelledtest__201101051104.wav", Label("", "", "pascal-a")),
    ],
)  # fmt: skip
def test_pascal_names(name, label):
    other = "normal__201102081321.wav"
    assert labels_of("pascal", recordings("in/" + name, other))[0][0] == label


def test_pascal_notes_and_errors():
    found = recordings("normal__103_1305031931979_B.wav", "song.wav")
    labels, notes = labels_of("pascal", found)
    assert [label.label for label in labels] == ["normal", ""]
    assert notes == ["1 recording has no label (song.wav, ...)"]
    with pytest.raises(DatasetError) as caught:
        labels_of("pascal", recordings("song.wav"), ["/r", "/q"])
    assert str(caught.value) == (
        "/r, /q: expected names as in the pascal corpus; found no label ('song.wav')"
    )


def test_cinc2016_table_beside(tmp_path):
    """As PhysioNet has it: no header, -1 and 1, in each folder."""
    for letter, rows in {"a": "a0001,1\na0002,-1\n", "b": "b0001,-1\nb0002,0\n"}.items():
        folder = tmp_path / f"training-{letter}"
        folder.mkdir()
        (folder / "REFERENCE.csv").write_text(rows)
        for k in (1, 2, 3):
            (folder / f"{letter}000{k}.wav").touch()
    found = find_recordings(tmp_path)
    labels, notes = labels_of("cinc2016", found, [str(tmp_path)])
    assert {r.stem: label.label for r, label in zip(found, labels, strict=True)} == {
        "a0001": "abnormal", "a0002": "normal", "a0003": "",
        "b0001": "normal", "b0002": "unsure", "b0003": "",
    }  # fmt: skip
    assert [label.source for label in labels] == ["cinc2016-a"] * 3 + ["cinc2016-b"] * 3
    assert {label.group for label in labels} == {""}
    assert notes == ["2 recordings have no label (training-a/a0003.wav, ...)"]
    # A file named outright has its table beside it, too.
    one = tmp_path / "training-a/a0001.wav"
    labels, _ = labels_of("cinc2016", find_recordings(one), [str(one)])
    assert labels == [Label("abnormal", "", "cinc2016-a")]


def test_cinc2016_table_above(tmp_path):
    """One table for all, with a header, paths and words."""
    (tmp_path / "REFERENCE.csv").write_text(
        "file_name,label,source\ntraining-a/a0001.flac,abnormal,a\ntraining-b/b0001.flac,normal,b\n"
    )
    for name in ("training-a/a0001.flac", "training-b/b0001.flac"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    labels, notes = labels_of("cinc2016", find_recordings(tmp_path), [str(tmp_path)])
    assert labels == [Label("abnormal", "", "cinc2016-a"), Label("normal", "", "cinc2016-b")]
    assert notes == []


def test_cinc2016_without_a_table(tmp_path):
    (tmp_path / "a0001.wav").touch()
    expected = (
        r"in the cinc2016 corpus, and its REFERENCE\.csv beside or above them; found no label"
    )
    with pytest.raises(DatasetError, match=expected):
        labels_of("cinc2016", find_recordings(tmp_path), [str(tmp_path)])


def test_real_pascal(shared_data):
    folder = shared_data / "pascal/set_b"
    labels, _ = labels_of("pascal", find_recordings(folder), [str(folder)])
    count = {"normal": 320, "murmur": 95, "extrasystole": 46, "": 195}
    assert Counter(label.label for label in labels) == count
    assert all(label.group and label.source == "pascal-b" for label in labels)
    assert len({label.group for label in labels if label.label}) == 165
    kinds = {}
    for label in labels:
        kinds.setdefault(label.group, set()).add(label.label)
    assert sum({"normal", "extrasystole"} <= kind for kind in kinds.values()) == 34
    folder = shared_data / "pascal/set_a"
    labels, _ = labels_of("pascal", find_recordings(folder), [str(folder)])
    assert Counter(label.label for label in labels) == {
        "normal": 31, "murmur": 34, "extrahls": 19, "artifact": 40,
    }  # fmt: skip
    assert {(label.group, label.source) for label in labels} == {("", "pascal-a")}


def test_real_cinc2016(shared_data):
    folder = shared_data / "cinc2016"
    labels, notes = labels_of("cinc2016", find_recordings(folder), [str(folder)])
    assert notes == []
    assert Counter((label.source[-1], label.label) for label in labels) == {
        ("a", "normal"): 117, ("a", "abnormal"): 292, ("b", "normal"): 386, ("b", "abnormal"): 104,
        ("c", "normal"): 7, ("c", "abnormal"): 24, ("d", "normal"): 27, ("d", "abnormal"): 28,
        ("f", "normal"): 80, ("f", "abnormal"): 34,
    }  # fmt: skip


SPLIT = (
    "train/cat/a.wav",
    "Valid/dog/b.wav",
    "test/c.wav",
    "test/cat/d.wav",
    "train/unlabelled/e.wav",
)


@pytest.mark.parametrize("below", ["", "downloaded/data/"])
def test_folders_of_a_split_are_no_classes(below):
    labels, notes = labels_of("folders", recordings(*(below + name for name in SPLIT)))
    assert [(label.label, label.part) for label in labels] == [
        ("cat", "train"), ("dog", "val"), ("", ""), ("cat", "test"), ("", ""),
    ]  # fmt: skip
    assert [label.folder for label in labels] == [
        "train/cat", "val/dog", "unlabelled", "test/cat", "unlabelled",
    ]  # fmt: skip
    assert notes == []


@pytest.mark.parametrize(
    "names",
    [
        ("train/day1/a.wav", "car/day1/b.wav"),  # sounds of trains
        ("train/a.wav", "car/b.wav", "test/c.wav"),
        ("train/cat/a.wav", "train/dog/b.wav"),  # one part is no split
    ],
)
def test_folders_that_are_called_so_may_be_classes(names):
    labels, notes = labels_of("folders", recordings(*names))
    assert [label.label for label in labels] == [name.split("/")[-2] for name in names]
    assert {label.part for label in labels} == {""}
    assert notes == []


def test_classes_that_may_be_a_split_are_said():
    labels, notes = labels_of("folders", recordings("train/a.wav", "test/b.wav"))
    assert [label.label for label in labels] == ["train", "test"]
    assert notes == [
        "/r: the folders test, train are taken for classes, as there are no class folders in them; "
        "if they are the parts of a split, put class folders into them"
    ]
