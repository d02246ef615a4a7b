"""Folders of recordings into folders of pictures: layout, tables, failures, Ctrl-C."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import heartfast
from heartfast import DatasetError, Progress, SpectrogramConfig

HEADER = ["file_name", "label", "group", "source", "sample_rate", "duration_s", "sha256"]


def record(path: Path, n: int = 2000, sr: int = 4000, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y = np.random.default_rng(seed + n).normal(0, 0.1, n)
    soundfile.write(path, y, sr, format="FLAC" if path.suffix == ".flac" else "WAV")
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def metadata(out: Path) -> list[dict[str, str]]:
    text = (out / "metadata.csv").read_bytes().decode("utf-8", "surrogateescape")
    assert "\r" not in text
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    assert list(rows[0]) == HEADER
    return rows


def test_tree_of_folders_without_labels(tmp_path):
    source = tmp_path / "in"
    for k, name in enumerate(["b.wav", "a.flac", "one/c.WAV", "one/deep/d.wav", "two/c.wav"]):
        record(source / name, 1000 + k, 4000 * (1 + k % 2))
    (source / "notes.txt").write_text("no recording")
    result = heartfast.convert(source, tmp_path / "out")
    pictures = ["a.png", "b.png", "one/c.png", "one/deep/d.png", "two/c.png"]
    assert files(tmp_path / "out") == sorted([*pictures, "manifest.jsonl", "metadata.csv"])
    assert [r.file_name for r in result.records] == pictures
    assert result.out == str(tmp_path / "out")
    assert result.errors == []
    assert result.notes == []
    rows = metadata(tmp_path / "out")
    assert [row["file_name"] for row in rows] == pictures
    for row, kept in zip(rows, result.records, strict=True):
        info = soundfile.info(kept.recording)
        assert (row["label"], row["group"], row["source"]) == ("", "", "")
        assert int(row["sample_rate"]) == kept.sample_rate == info.samplerate
        assert float(row["duration_s"]) == kept.duration_s == info.frames / info.samplerate
        digest = hashlib.sha256(Path(kept.recording).read_bytes()).hexdigest()
        assert row["sha256"] == kept.sha256 == digest
        with Image.open(tmp_path / "out" / row["file_name"]) as image:
            assert image.mode == "L"


def test_folders_of_classes(tmp_path):
    for name in ("normal/a.wav", "murmur/b.wav", "murmur/more/c.wav", "unlabelled/d.wav"):
        record(tmp_path / "in" / name)
    result = heartfast.convert(tmp_path / "in", tmp_path / "out", labels="folders")
    pictures = ["more/c.png", "murmur/b.png", "normal/a.png", "unlabelled/d.png"]
    assert files(tmp_path / "out") == sorted([*pictures, "manifest.jsonl", "metadata.csv"])
    assert [row["label"] for row in metadata(tmp_path / "out")] == ["more", "murmur", "normal", ""]
    assert [r.label for r in result.records] == ["more", "murmur", "normal", ""]


def test_table_of_labels(tmp_path):
    for name in ("x/1.wav", "y/1.wav", "y/2.wav"):
        record(tmp_path / "in" / name, seed=len(name))
    table = tmp_path / "labels.csv"
    table.write_text("file_name,label,group,source\nx/1.wav,é,p1,s\ny/1.wav,é,p2,s\n")
    result = heartfast.convert(tmp_path / "in", tmp_path / "out", labels=table)
    pictures = ["unlabelled/2.png", "é/x__1.wav.png", "é/y__1.wav.png"]
    assert files(tmp_path / "out") == sorted([*pictures, "manifest.jsonl", "metadata.csv"])
    assert [(r.file_name, *r[1:4]) for r in result.records] == [
        ("unlabelled/2.png", "", "", ""),
        ("é/x__1.wav.png", "é", "p1", "s"),
        ("é/y__1.wav.png", "é", "p2", "s"),
    ]
    assert result.notes[0] == f"{table}: no row for y/2.wav"
    assert len(result.notes) == 3
    assert metadata(tmp_path / "out")[1]["group"] == "p1"


def test_one_stem_with_two_extensions(tmp_path):
    record(tmp_path / "in/x.wav", 3000)
    record(tmp_path / "in/x.flac", 5000)
    record(tmp_path / "in/y.wav")
    result = heartfast.convert(tmp_path / "in", tmp_path / "out")
    assert [r.file_name for r in result.records] == ["x.flac.png", "x.wav.png", "y.png"]
    assert [r.duration_s for r in result.records] == [1.25, 0.75, 0.5]
    (note,) = result.notes
    assert "2 recordings share 1 picture name" in note
    assert "x.png: x.flac.png" in note


STRANGE = ["ü ö.wav", "emoji 🫀.wav", "line\nbreak.wav", 'quote",comma.wav', "-x.wav", "a%s.wav",
           "trailing .wav", "tab\t.wav", "back\\slash.wav", "a.b.c.wav", "x" * 251 + ".wav",
           "carriage\rreturn.wav", "<b>&amp;.wav", "~.wav", "''.wav"]  # fmt: skip


def test_strange_names(tmp_path):
    for k, name in enumerate(STRANGE):
        record(tmp_path / "in" / name, 500 + k)
    os.rename(tmp_path / "in/~.wav", os.fsencode(tmp_path / "in") + b"/\xff\xfe.wav")
    result = heartfast.convert(tmp_path / "in", tmp_path / "out", jobs=3)
    assert result.errors == []
    assert len(result.records) == len(STRANGE)
    expected = {os.fsencode(f"{name[:-4]}.png") for name in STRANGE if name != "~.wav"}
    assert {os.fsencode(r.file_name) for r in result.records} == expected | {b"\xff\xfe.png"}
    with open(tmp_path / "out/metadata.csv", encoding="utf-8", errors="surrogateescape",
              newline="") as file:  # fmt: skip
        rows = list(csv.DictReader(file))
    # A spreadsheet would run a name that begins like a formula.
    named = [re.sub(r"^\./(?=[-=+@])", "", row["file_name"]) for row in rows]
    assert named == [r.file_name for r in result.records]
    for row, kept in zip(rows, result.records, strict=True):
        assert (tmp_path / "out" / row["file_name"]).is_file()
        assert row["sha256"] == hashlib.sha256(Path(kept.recording).read_bytes()).hexdigest()


def test_bad_recordings_among_good_ones(tmp_path):
    source = tmp_path / "in"
    for k in range(8):
        record(source / f"good{k}.wav", 3000 + k)
    good = heartfast.convert(source, tmp_path / "only good")
    (source / "empty.wav").write_bytes(b"")
    (source / "garbage.mp3").write_bytes(os.urandom(64) * 50)
    (source / "page.wav").write_text("<html>" * 99)
    whole = record(source / "cut.wav").read_bytes()
    (source / "cut.wav").write_bytes(whole[:44])
    os.symlink("nowhere", source / "gone\n.wav")
    os.mkfifo(source / "pipe.wav")
    result = heartfast.convert(source, tmp_path / "out")
    assert [r[:7] for r in result.records] == [r[:7] for r in good.records]
    for kept in good.records:
        other = (tmp_path / "only good" / kept.file_name).read_bytes()
        assert (tmp_path / "out" / kept.file_name).read_bytes() == other
    assert files(tmp_path / "out") == sorted(
        [*(f"good{k}.png" for k in range(8)), "errors.jsonl", "manifest.jsonl", "metadata.csv"]
    )
    assert not (tmp_path / "only good/errors.jsonl").exists()
    kinds = {os.path.basename(e.path): e.kind for e in result.errors}
    garbage = kinds.pop("garbage.mp3")
    assert garbage in ("unsupported", "decode")
    assert kinds == {
        "empty.wav": "decode", "page.wav": "unsupported", "cut.wav": "decode",
        "gone\n.wav": "missing", "pipe.wav": "io",
    }  # fmt: skip
    lines = (tmp_path / "out/errors.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line) for line in lines] == [e.to_dict() for e in result.errors]
    for error in result.errors:
        assert error.message
        assert "\n" not in error.message
    messages = {os.path.basename(e.path): e.message for e in result.errors}
    assert messages["empty.wav"].endswith("found an empty file")
    assert messages["cut.wav"] == "expected at least one sample, found none"
    assert messages["pipe.wav"] == (
        "expected a recording, found a pipe, a socket or a device, which is not opened; give a "
        "file, or - for standard input"
    )


def test_all_recordings_bad(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"")
    result = heartfast.convert(tmp_path / "x.wav", tmp_path / "out")
    assert (len(result.records), len(result.errors)) == (0, 1)
    assert files(tmp_path / "out") == ["errors.jsonl", "manifest.jsonl", "metadata.csv"]
    assert (tmp_path / "out/metadata.csv").read_text() == ",".join(HEADER) + "\n"


def test_frequencies_that_one_rate_does_not_have(tmp_path):
    record(tmp_path / "in/high.wav", sr=44100)
    record(tmp_path / "in/low.wav", sr=2000)
    config = SpectrogramConfig(fmin=5000)
    result = heartfast.convert(tmp_path / "in", tmp_path / "out", config=config)
    assert [r.file_name for r in result.records] == ["high.png"]
    (error,) = result.errors
    assert error.kind == "value"
    assert error.message == (
        "fmin: expected a bin between fmin and fmax (bins every 20 Hz), found none up to 1000 Hz, "
        "half of the sample rate"
    )


def test_target_is_new_or_empty(tmp_path):
    source = record(tmp_path / "x.wav")
    (tmp_path / "empty").mkdir()
    assert len(heartfast.convert(source, tmp_path / "empty").records) == 1
    before = files(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    with pytest.raises(FileExistsError) as caught:
        heartfast.convert(source, tmp_path / "full")
    assert caught.value.filename == str(tmp_path / "full")
    assert "expected a new or empty folder, found '" in str(caught.value)
    assert files(tmp_path / "empty") == before
    with pytest.raises(NotADirectoryError):
        heartfast.convert(source, source)
    assert len(heartfast.convert(source, tmp_path / "new/in/new").records) == 1


def test_errors_before_anything_is_written(tmp_path):
    source = record(tmp_path / "in/x.wav")
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError):
        heartfast.convert(tmp_path / "nothing", out)
    with pytest.raises(DatasetError, match="expected recordings"):
        heartfast.convert([], out)
    with pytest.raises(FileNotFoundError, match="expected none, folders"):
        heartfast.convert(source, out, labels="nothing.csv")
    with pytest.raises(ValueError, match="jobs: expected at least 1, found 0"):
        heartfast.convert(source, out, jobs=0)
    assert not out.exists()


def test_not_recursive(tmp_path):
    record(tmp_path / "in/a.wav")
    record(tmp_path / "in/deep/b.wav")
    result = heartfast.convert(tmp_path / "in", tmp_path / "out", recursive=False)
    assert [r.file_name for r in result.records] == ["a.png"]


def test_progress(tmp_path):
    for k in range(30):
        record(tmp_path / f"in/{k}.wav", 20_000)
    (tmp_path / "in/bad.wav").write_bytes(b"bad")
    seen: list[Progress] = []
    heartfast.convert(tmp_path / "in", tmp_path / "out", progress=seen.append)
    assert seen[-1] == Progress("convert", 31, 31, 1)
    assert all(type(p) is Progress and p.total == 31 and p.failed <= 1 for p in seen)
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_an_error_of_the_callback_stops_the_work(tmp_path):
    for k in range(300):
        record(tmp_path / f"in/{k}.wav", 200_000)

    def stop(progress: Progress) -> None:
        raise RuntimeError(f"enough at {progress.done}")

    started = time.monotonic()
    with pytest.raises(RuntimeError, match="enough at"):
        heartfast.convert(tmp_path / "in", tmp_path / "out", progress=stop, jobs=2,
                          config=SpectrogramConfig(overlap=97))  # fmt: skip
    assert time.monotonic() - started < 2
    made = files(tmp_path / "out")
    assert len(made) < 300
    assert not [name for name in made if name.endswith(".part")]


def test_real_recordings_of_two_corpora(shared_data, tmp_path):
    sources = [shared_data / "pascal/set_a", shared_data / "soundgen_reference"]
    result = heartfast.convert(sources, tmp_path / "out", config=SpectrogramConfig(size=(64, 64)))
    assert len(result.records) == 124 + 26
    assert result.errors == []
    for kept in result.records[::10]:
        info = soundfile.info(kept.recording)
        assert kept.duration_s == info.frames / info.samplerate
        with Image.open(tmp_path / "out" / kept.file_name) as image:
            assert image.size == (64, 64)


@pytest.mark.parametrize("jobs", [1, 4])
def test_ctrl_c_is_answered_within_a_second(tmp_path, jobs):
    y = np.random.default_rng(0).normal(0, 0.1, 1_000_000)
    soundfile.write(tmp_path / "long.wav", y, 44100)
    (tmp_path / "in").mkdir()
    for k in range(500):
        os.link(tmp_path / "long.wav", tmp_path / f"in/{k}.wav")
    code = f"""
import heartfast
def report(progress):
    if progress.done:
        print(progress.done, flush=True)
try:
    heartfast.convert({str(tmp_path / "in")!r}, {str(tmp_path / "out")!r}, jobs={jobs},
                      config=heartfast.SpectrogramConfig(overlap=95), progress=report)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().strip().isdigit()
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        output, errors = process.communicate(timeout=30)
        took = time.monotonic() - started
    assert took < 1
    assert process.returncode == -signal.SIGINT
    assert output.splitlines()[-1] == "interrupted"
    (last,) = errors.splitlines()[-1:]
    assert last.startswith("KeyboardInterrupt: ")
    assert last.endswith(" of 500 recordings are done, the same command goes on from there")
    made = files(tmp_path / "out")
    assert 0 < len(made) < 500
    assert f" {len(made) - 2} of 500" in last
    for name in made:
        if name in ("manifest.jsonl", "metadata.csv"):
            continue
        assert name.endswith(".png")
        with Image.open(tmp_path / "out" / name) as image:
            image.load()
