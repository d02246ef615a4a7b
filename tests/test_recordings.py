"""Which recordings are found, and that every one has a picture of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartfast.errors import DatasetError
from heartfast.recordings import EXTENSIONS, Recording, find_recordings, picture_names


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(*arguments, **options) -> list[str]:
    return [recording.name for recording in find_recordings(*arguments, **options)]


def test_extensions_in_any_case(tmp_path):
    known = [f"a{k}{extension}" for k, extension in enumerate(EXTENSIONS)]
    known += ["B.WAV", "c.Flac", "d.tar.Mp3", "é.wav", "with space.wav", ".a/../z.wav"]
    touch(tmp_path, *known, "x.wav.txt", "x.png", "wav", "x.wav~", "notes.txt", ".hidden.wav",
          ".git/x.wav", "x.wa", "xwav")  # fmt: skip
    assert names(tmp_path) == sorted([*known[:-1], "z.wav"])


def test_folders_in_folders(tmp_path):
    touch(tmp_path, "b/2.wav", "b/1.wav", "a/z/3.wav", "c.wav", "a.wav", "x.wav/y.wav")
    assert names(tmp_path) == ["a.wav", "a/z/3.wav", "b/1.wav", "b/2.wav", "c.wav", "x.wav/y.wav"]
    assert names(tmp_path, recursive=False) == ["a.wav", "c.wav"]
    found = find_recordings(str(tmp_path))
    assert all(Path(r.path) == tmp_path / r.name for r in found)
    assert [r.stem for r in found] == ["a", "3", "1", "2", "c", "y"]


def test_files_named_outright_are_always_tried(tmp_path):
    touch(tmp_path, "odd.dat", ".hidden.wav", "a/b.wav")
    os.symlink("nowhere", tmp_path / "broken.wav")
    sources = [
        tmp_path / "odd.dat",
        tmp_path / ".hidden.wav",
        tmp_path / "a",
        tmp_path / "broken.wav",
    ]
    assert names(sources) == [".hidden.wav", "b.wav", "broken.wav", "odd.dat"]


def test_each_once(tmp_path, monkeypatch):
    touch(tmp_path, "a/x.wav", "b/x.wav")
    monkeypatch.chdir(tmp_path)
    again = ["a", "./a/", tmp_path / "a", "a/x.wav", "b/../a", "b"]
    assert [(r.path, r.name) for r in find_recordings(again)] == [
        (os.path.join("a", "x.wav"), "x.wav"),
        (os.path.join("b", "x.wav"), "x.wav"),
    ]
    assert names(".") == ["a/x.wav", "b/x.wav"]
    assert names(reversed(again)) == ["x.wav", "x.wav"]


def test_loops_of_links(tmp_path):
    touch(tmp_path, "a/x.wav", "a/b/y.wav")
    os.symlink(tmp_path, tmp_path / "a/b/up")
    os.symlink(".", tmp_path / "a/here")
    os.symlink("self.wav", tmp_path / "self.wav")
    os.symlink(tmp_path / "a/x.wav", tmp_path / "link.wav")
    assert names(tmp_path) == ["a/b/y.wav", "a/x.wav", "link.wav", "self.wav"]


def test_names_that_are_not_utf8(tmp_path):
    touch(tmp_path, "ok.wav")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))).write_bytes(b"")
    found = find_recordings(tmp_path)
    assert [os.fsencode(r.name) for r in found] == [b"caf\xe9.wav", b"ok.wav"]
    assert os.path.exists(found[0].path)


def test_nothing_there(tmp_path):
    touch(tmp_path, "x.txt")
    with pytest.raises(DatasetError) as caught:
        find_recordings(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: expected recordings (aif aifc aiff au bwf caf flac m4a mp3 oga ogg "
        "rf64 snd w64 wav wave), found none"
    )
    with pytest.raises(FileNotFoundError) as missing:
        find_recordings([tmp_path, tmp_path / "nothing"])
    assert missing.value.filename == str(tmp_path / "nothing")
    assert "expected a recording or a folder of recordings, found nothing" in str(missing.value)
    with pytest.raises(DatasetError, match="no source: expected recordings"):
        find_recordings([])


def of(*paths: str) -> list[Recording]:
    return [Recording(path, os.path.basename(path)) for path in paths]


@pytest.mark.parametrize(
    ("paths", "folders", "pictures"),
    [
        (["/r/a.wav", "/r/b.mp3"], ["", ""], ["a.png", "b.png"]),
        (["/r/a.wav", "/r/a.mp3", "/r/b.mp3"], ["", "", ""], ["a.wav.png", "a.mp3.png", "b.png"]),
        (["/r/a.wav", "/r/a.mp3"], ["one", "two"], ["one/a.png", "two/a.png"]),
        (["/r/one/a.wav", "/r/two/a.wav"], ["c", "c"], ["c/one__a.wav.png", "c/two__a.wav.png"]),
        (["/r/one/in/a.wav", "/r/two/in/a.wav"], ["", ""],
         ["one__in__a.wav.png", "two__in__a.wav.png"]),
        # A file that is already called as another's new name would be.
        (["/r/a.wav", "/r/a.mp3", "/r/q/a.wav.flac"], ["", "", ""],
         ["r__a.wav.png", "a.mp3.png", "q__a.wav.flac.png"]),
        # Names that differ in case only are one file on some systems.
        (["/r/a.WAV", "/r/a.wav"], ["", ""], ["a.WAV.png", "a.wav~2.png"]),
        (["/r/one/A.wav", "/r/two/a.wav"], ["c", "c"], ["c/one__A.wav.png", "c/two__a.wav.png"]),
        (["/r/a.wav", "/r/b.wav"], ["normal", "Normal"], ["normal/a.png", "Normal/b.png"]),
    ],
)  # fmt: skip
def test_picture_names(paths, folders, pictures):
    made, notes = picture_names(of(*paths), folders)
    assert made == pictures
    plain = [
        f"{folder}/{r.stem}.png".lstrip("/") for folder, r in zip(folders, of(*paths), strict=True)
    ]
    assert bool(notes) == (made != plain)
    assert all("\n" not in note for note in notes)


def test_a_new_name_is_said():
    _, notes = picture_names(of("/r/a.wav", "/r/a.mp3", "/r/b.wav"), ["c", "c", "c"])
    assert notes == [
        "2 recordings share 1 picture name, so they keep the extension in it (c/a.png: c/a.wav.png)"
    ]


def test_names_that_nothing_tells_apart():
    """Contrived: folders joined by "__" and names that have it give the same."""
    paths = ["/r/b__c/x.wav", "/r/q/x.wav", "/r/b/c__x.wav", "/r/z/c__x.wav"]
    with pytest.raises(DatasetError, match="pictures can be named apart"):
        picture_names(of(*paths), [""] * 4)


part = st.sampled_from(["a", "A", "b", "a.wav", "b__a", "é", " "])


@settings(max_examples=300)
@given(
    st.sets(
        st.builds(
            lambda folders, stem, extension: "/r/" + "/".join([*folders, stem + extension]),
            st.lists(part, max_size=3),
            part,
            st.sampled_from([".wav", ".WAV", ".mp3", ""]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([lambda _: "class", lambda path: os.path.dirname(path)[2:].strip("/")]),
)
def test_no_picture_is_overwritten(paths, folder_of):
    recordings = of(*sorted(paths))
    folders = [folder_of(recording.path) for recording in recordings]
    try:
        made, _ = picture_names(recordings, folders)
    except DatasetError:
        return
    assert len({name.casefold() for name in made}) == len(made)
    for name, folder in zip(made, folders, strict=True):
        assert os.path.dirname(name) == folder
        assert name.endswith(".png")
    assert (made, _) == picture_names(recordings, folders)


def test_looking_for_recordings_loads_no_numpy():
    code = "import heartfast.recordings, heartfast.labels, sys; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
