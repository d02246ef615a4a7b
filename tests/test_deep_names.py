"""A thousand nested folders: on the disk, in archives, and deeper than the system has names for."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import heartfast
from heartfast import synth
from heartfast.files import make_folders, remove_tree, walk


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    samples, sr = synth.heart_sound(duration_s=1.0, sr=4000)
    synth.write_wav(path, samples, sr)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def removed(tmp_path: Path) -> Iterator[None]:
    """Not left for pytest to remove, which such depths exhaust."""
    yield
    subprocess.run(["rm", "-rf", tmp_path], check=True)


def nested(top: Path, depth: int, wav: bytes) -> None:
    """Folders one in another, made from inside, since their path may be too long for a call."""
    top.mkdir()
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        Path("good.wav").write_bytes(wav)
        for _ in range(depth):
            os.mkdir("a")
            os.chdir("a")
        Path("x.wav").write_bytes(wav)
    finally:
        os.fchdir(here)
        os.close(here)


def archives(folder: Path, depth: int, wav: bytes) -> list[Path]:
    name = "a/" * depth + "x.wav"
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("good.wav", wav)
        archive.writestr(name, wav)
    with tarfile.open(folder / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for member in ("good.wav", name):
            info = tarfile.TarInfo(member)
            info.size = len(wav)
            tar.addfile(info, io.BytesIO(wav))
    return [folder / "x.zip", folder / "x.tar"]


def test_a_thousand_folders(wav: bytes, tmp_path: Path) -> None:
    nested(tmp_path / "disk", 1200, wav)
    for source in [tmp_path / "disk", *archives(tmp_path, 1000, wav)]:
        out = tmp_path / f"{source.name} out"
        result = heartfast.convert(source, out, gallery=True)
        assert (result.pictures, result.errors) == (2, [])
        assert sum(len(files) for _, _, files in walk(out) if _ != out) >= 2
        assert heartfast.gallery(out).pictures == 2
        assert heartfast.convert(source, out, check=True).pictures == 2
        assert heartfast.convert(source, out, overwrite=True).pictures == 2
        assert heartfast.convert(source, tmp_path / f"{source.name} zip", to="zip").pictures == 2
        tasks = heartfast.convert(source, tmp_path / f"{source.name} tasks", shard="1/1")
        assert tasks.pictures == 2
        remove_tree(out)
        assert not out.exists()


def test_deeper_than_the_system_has_names_for(wav: bytes, tmp_path: Path) -> None:
    """That member's error, by name; the other one is converted."""
    for source in archives(tmp_path, 3000, wav):
        result = heartfast.convert(source, tmp_path / f"{source.name} out")
        assert result.pictures == 1
        (error,) = result.errors
        assert error.path.endswith("a/x.wav")
        assert "File name too long" in error.message
    nested(tmp_path / "disk", 3000, wav)
    result = heartfast.convert(tmp_path / "disk", tmp_path / "disk out")
    assert result.pictures == 1
    (error,) = result.errors
    assert "File name too long" in error.message


def test_names_that_are_too_long(wav: bytes, tmp_path: Path) -> None:
    """Long parts of a name are shortened, so that all are converted."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("good.wav", wav)
        archive.writestr("b" * 3000 + "/" + "c" * 3000 + ".wav", wav)
    result = heartfast.convert(tmp_path / "x.zip", tmp_path / "out")
    assert (result.pictures, result.errors) == (2, [])


def test_make_folders_is_makedirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_folders("a/b/c")
    make_folders("a/b/c")
    make_folders(tmp_path / "a/d")
    make_folders(".")
    assert sorted(os.listdir("a")) == ["b", "d"]
    Path("file").write_text("")
    for path in ("file", "file/x", "file/x/y"):
        with pytest.raises((FileExistsError, NotADirectoryError)):
            make_folders(path)
    os.symlink("a/b", "link")
    make_folders("link/e")
    assert os.path.isdir("a/b/e")


def test_walk_is_that_of_the_system(tmp_path: Path) -> None:
    for name in ("a/b/c/1", "a/2", "d/3", "e/f/4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    ours = {folder: (sorted(folders), sorted(files)) for folder, folders, files in walk(tmp_path)}
    assert ours == {
        folder: (sorted(folders), sorted(files)) for folder, folders, files in os.walk(tmp_path)
    }
