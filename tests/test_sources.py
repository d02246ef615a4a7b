"""Patterns, lists on standard input, and names of every kind: all are found, none is lost."""

from __future__ import annotations

import glob
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import heartfast
from heartfast import DatasetError
from heartfast.patterns import expand
from heartfast.recordings import Recording, find_recordings, picture_names

HEARTFAST = [sys.executable, "-m", "heartfast"]


def record(path: Path, n: int = 500) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Through memory: soundfile opens no names that are not UTF-8.
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(n).normal(0, 0.1, n), 4000, format="WAV")
    path.write_bytes(buffer.getvalue())
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


TREE = ["a.wav", "b.flac", "b.wav", "notes.txt", ".hidden.wav", "in/a.wav", "in/deep/c.wav",
        "in/.git/d.wav", "other/a.wav", "x[1].wav", "x1.wav", "é ü.wav", "-dash.wav"]  # fmt: skip
PATTERNS = ["*.wav", "?.wav", "[ab].*", "[!a].wav", "**/*.wav", "in/**/*.wav", "*/a.wav",
            "**/a.wav", "i*/*/c.wav", ".*.wav", "**/deep", "./*.wav", "in/../*.wav", "**/**/c.wav",
            "in*", "é*.wav", "[-]*"]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_globs(tmp_path, monkeypatch, pattern):
    touch(tmp_path, *TREE)
    monkeypatch.chdir(tmp_path)
    expected = {os.path.normpath(p) for p in glob.glob(pattern, recursive=True)}
    assert {os.path.normpath(p) for p in expand(pattern)} == expected
    assert expected
    absolute = expand(os.path.join(tmp_path, pattern))
    assert {os.path.relpath(p) for p in absolute} == expected
    assert absolute == sorted(absolute)


def test_what_matches_is_as_named_outright(tmp_path, monkeypatch):
    touch(tmp_path, *TREE)
    monkeypatch.chdir(tmp_path)
    found = [(r.path, r.name) for r in find_recordings(["in*", "**/a.wav", "n*"])]
    assert found == [
        ("a.wav", "a.wav"), ("in/a.wav", "a.wav"), ("other/a.wav", "a.wav"),
        ("in/deep/c.wav", "deep/c.wav"), ("notes.txt", "notes.txt"),
    ]  # fmt: skip
    # A name that is there means itself.
    assert [r.path for r in find_recordings("x[1].wav")] == ["x[1].wav"]
    os.remove("x[1].wav")
    assert [r.path for r in find_recordings("x[1].wav")] == ["x1.wav"]
    with pytest.raises(FileNotFoundError) as caught:
        find_recordings(["a.wav", "*.ogg"])
    assert caught.value.filename == "*.ogg"
    assert caught.value.strerror == "expected recordings that match this pattern, found none"


def test_patterns_survive_loops(tmp_path):
    touch(tmp_path, "a/x.wav", "b/y.wav")
    for k in range(3):
        os.symlink(tmp_path, tmp_path / f"a/up{k}")
        os.symlink(tmp_path, tmp_path / f"b/up{k}")
    found = find_recordings(f"{tmp_path}/**/*.wav")
    assert [r.name for r in found] == ["x.wav", "y.wav"]


def listed(data: bytes, cwd: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [*HEARTFAST, "convert", "-", "-o", "out", "--json", *options]
    return subprocess.run(command, input=data, cwd=cwd, capture_output=True, check=False)


STRANGE = ["plain.wav", "-dash.wav", " spaces .wav", "中文.wav", "emoji 🫀.wav", "new\nline.wav",
           "carriage\rreturn.wav", "*.wav", "tab\t.wav", "'\".wav", "l" * 251 + ".wav",
           "é" * 125 + ".wav", "not utf-8 \udcff\udcfe.wav", "back\\slash.wav"]  # fmt: skip


@pytest.mark.parametrize("separator", [b"\0", b"\n"])
@pytest.mark.parametrize("last", [True, False])
def test_a_list(tmp_path, separator, last):
    names = [n for n in STRANGE if separator == b"\0" or "\n" not in n]
    for k, name in enumerate(STRANGE):
        record(tmp_path / name, 500 + k)
    data = separator.join(map(os.fsencode, names)) + separator * last
    done = listed(data, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pictures"] == len(names)
    made = {os.fsencode(p) for p in os.listdir(tmp_path / "out")}
    made -= {b"metadata.csv", b"manifest.jsonl"}
    assert made == {os.fsencode(name[:-4] + ".png") for name in names}


def test_a_list_with_what_is_not_there(tmp_path):
    record(tmp_path / "in/a.wav")
    record(tmp_path / "in/b.wav")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "in/a.wav", "member.wav")
    done = listed(b"\n\nin/a.wav\ngone.wav\n\nin\n./in/a.wav\nx.zip\n*.ogg\ngone/\n", tmp_path)
    assert done.returncode == 3
    errors = json.loads(done.stdout)["errors"]
    missing = "expected a recording, found nothing"
    assert [(e["path"], e["kind"], e["message"]) for e in errors] == [
        ("*.ogg", "missing", missing), ("gone/", "missing", missing),
        ("gone.wav", "missing", missing),
    ]  # fmt: skip
    made = sorted(os.listdir(tmp_path / "out"))
    tables = ["errors.jsonl", "manifest.jsonl", "metadata.csv"]
    assert made == sorted(["a.png", "b.png", "member.png", *tables])


def test_ctrl_c_while_a_list_is_awaited(tmp_path):
    command = [*HEARTFAST, "convert", "-", "-o", "out"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert process.wait(timeout=30) == 130
        assert time.monotonic() - started < 1
        assert process.stderr.read().startswith(b"heartfast convert: interrupted")


def test_an_empty_list(tmp_path):
    for data in (b"", b"\n\n", b"\0"):
        done = listed(data, tmp_path)
        assert done.returncode == 1
        assert b"heartfast convert: -: expected recordings (" in done.stderr
    command = [*HEARTFAST, "convert", "-", "-o", "out"]
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command], cwd=tmp_path, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 1
    assert b"expected a list of recordings" in done.stderr
    assert b"Traceback" not in done.stderr


def test_any_extension(tmp_path):
    record(tmp_path / "in/a.wav")
    record(tmp_path / "in/deep/b.dat")
    record(tmp_path / "in/c")
    record(tmp_path / "in/.hidden.dat")
    record(tmp_path / "in/.hid/d.dat")
    (tmp_path / "in/notes.txt").write_text("no recording, but of some length")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for path in sorted((tmp_path / "in").rglob("*")):
            archive.write(path, path.relative_to(tmp_path / "in"))
    for source in ("in", "in.zip"):
        usual = heartfast.convert(tmp_path / source, tmp_path / f"{source}.usual")
        assert [r.file_name for r in usual.records] == ["a.png"]
        result = heartfast.convert(
            tmp_path / source, tmp_path / f"{source}.all", any_extension=True
        )
        assert [r.file_name for r in result.records] == ["a.png", "c.png", "deep/b.png"]
        assert [(e.path, e.kind) for e in result.errors] == [
            (str(tmp_path / source / "notes.txt"), "unsupported")
        ]
        command = [*HEARTFAST, "convert", source, "-o", f"{source}.cli", "--any-extension"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 3
    touch(tmp_path / "none", ".hidden")
    with pytest.raises(DatasetError, match=r"expected recordings \(with any name\), found none"):
        find_recordings(tmp_path / "none", any_extension=True)


def as_source(folder: Path, kind: str) -> Path:
    """The folder itself, or an archive of what is in it."""
    if kind == "folder":
        return folder
    path = folder.with_suffix(f".{kind}")
    if kind == "tar":
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
            for name in os.listdir(folder):
                tar.add(folder / name, name)
        return path
    # zipfile writes no names that are not UTF-8: a name of as many bytes stands for each.
    raw = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k, name in enumerate(sorted(os.listdir(folder))):
            member = f"{k:03}".ljust(len(os.fsencode(name)), "_")
            raw[member.encode()] = os.fsencode(name)
            archive.write(folder / name, member)
    data = buffer.getvalue()
    for member, name in raw.items():
        assert data.count(member) == 2
        data = data.replace(member, name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("options", [{}, {"segment_s": 0.05, "channel": "each"}])
@pytest.mark.parametrize("to", ["dir", "zip", "tar"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_names(tmp_path, kind, to, options):
    names = STRANGE.copy()
    for k, name in enumerate(names):
        record(tmp_path / "in" / name, 500 + k)
    if kind == "zip":  # where a backslash is refused, as it may mean a folder
        os.remove(tmp_path / "in/back\\slash.wav")
        names.remove("back\\slash.wav")
    result = heartfast.convert(as_source(tmp_path / "in", kind), tmp_path / "out", to=to, **options)
    assert result.errors == []
    pieces = 1 if not options else 3
    assert len(result.records) == pieces * len(names)
    if to == "dir":
        made = set(os.listdir(tmp_path / "out")) - {"metadata.csv", "manifest.jsonl"}
    elif to == "zip":
        with zipfile.ZipFile(tmp_path / "out/pictures.zip") as archive:
            made = set(archive.namelist())
    else:
        with tarfile.open(tmp_path / "out/pictures.tar") as archive:
            made = set(archive.getnames())
    rows = {f"{r.file_name[:-4]}.json" for r in result.records} if to != "dir" else set()
    assert made == {r.file_name for r in result.records} | rows
    assert max(len(os.fsencode(name)) for name in made) <= 255
    for name in names:
        stem = name[:-4]
        if kind == "zip" and not stem.isprintable() and "\udcff" in stem:
            stem = os.fsencode(stem).decode("cp437")  # ZIP's own letters, where it is not UTF-8
        if to == "dir" and len(os.fsencode(stem)) < 200:
            assert any(f.startswith(stem) for f in made)


def test_long_names_that_would_be_one(tmp_path):
    """251 bytes and an extension: kept in the picture's name, it no longer fits."""
    for name in ("l" * 251 + ".wav", "l" * 250 + ".flac"[:4] + "x", "l" * 251 + ".mp3"):
        record(tmp_path / "in" / name)
    result = heartfast.convert(tmp_path / "in", tmp_path / "a", any_extension=True)
    names = [r.file_name for r in result.records]
    assert len(set(names)) == 3
    assert all(len(name) <= 255 for name in names)
    assert sum("~" in name for name in names) == 2
    again = heartfast.convert(tmp_path / "in", tmp_path / "b", any_extension=True)
    assert [r.file_name for r in again.records] == names
    assert len(result.notes) == 1


@given(
    st.lists(
        st.text(st.sampled_from("aé中🫀\udcff~"), min_size=60, max_size=250),
        min_size=1,
        max_size=8,
        unique_by=str.casefold,
    ),
    st.sampled_from([0, 20]),
)
def test_shortened_names_stay_apart(stems, room):
    recordings = [Recording(f"/r/{stem}.wav", f"{stem}.wav") for stem in stems]
    names, _ = picture_names(recordings, [""] * len(stems), room=room)
    assert len({name.casefold() for name in names}) == len(stems)
    for stem, name in zip(stems, names, strict=True):
        size = len(os.fsencode(name)) + room
        assert size <= 255
        whole = len(os.fsencode(stem)) + 4 + room
        assert (name == f"{stem}.png") == (whole <= 255)
        if whole > 255:
            assert size > 255 - 4  # no more is lost than a letter
            start, _, mark = name[:-4].rpartition("~")
            assert stem.startswith(start)
            assert len(mark) == 12


def test_folders_with_long_names(tmp_path):
    """Only an archive, or a label, can have one."""
    record(tmp_path / "x.wav")
    long = "f" * 300
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(tmp_path / "x.wav", f"{long}/x.wav")
    (row,) = heartfast.convert(tmp_path / "x.tar", tmp_path / "out").records
    folder, name = row.file_name.split("/")
    assert name == "x.png"
    assert len(folder) == 255
    assert (tmp_path / "out" / row.file_name).is_file()


def test_a_long_list_takes_linear_time_and_little_memory(tmp_path):
    code = """
import resource, sys, time
from heartfast.recordings import find_recordings
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, started = peak(), time.process_time()
found = find_recordings("-")
print(len(found), time.process_time() - started, peak() - before)
"""
    took = {}
    for n in (20_000, 80_000):
        data = b"\n".join(b"recordings/site%d/%09d.wav" % (k % 50, k) for k in range(n))
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True,
                              check=True, cwd=tmp_path)  # fmt: skip
        count, seconds, megabytes = map(float, done.stdout.split())
        assert count == n
        took[n] = seconds
        assert megabytes * 2**20 < 1000 * n + 2**23
    assert took[80_000] < 12 * took[20_000] + 1
