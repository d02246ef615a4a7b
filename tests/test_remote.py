"""Recordings that a function reads: those of files, and what goes wrong with them."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast import _core
from heartfast.conversion import BatchOptions
from heartfast.limits import Limits
from heartfast.selection import Selection
from resuming import corpus, tree


def convert(rows, out: Path, **selection) -> dict[str, object]:
    """Give rows to the core, of `(origin, name, picture)`."""
    out.mkdir()
    for _, _, picture in rows:
        (out / picture).parent.mkdir(parents=True, exist_ok=True)
    options = BatchOptions(
        folder=str(out), header="{}", to="dir", shard_bytes=None, fsync=False, check=False,
        overwrite=False, prune=False,
        png="fast", selection=Selection(**selection), limits=Limits(), max_errors=None, threads=4,
        intervals={},
    )  # fmt: skip
    full = [(origin, name, picture, "", "", "") for origin, name, picture in rows]
    return _core.convert(full, heartfast.SpectrogramConfig(), options, None)


def reader(data: bytes, fails_from: int | None = None, error: Exception | None = None):
    def read(start: int, length: int) -> bytes:
        if fails_from is not None and start + length > fails_from:
            raise error
        return data[start : start + length]

    return read


@pytest.mark.parametrize("selection", [{}, {"segment_s": 0.5}, {"sr": 2000, "start": 0.1}])
def test_as_from_files(tmp_path, selection):
    source = corpus(tmp_path / "in", 20)
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    names = [str(path.relative_to(source).with_suffix(".png")) for path in paths]
    near = [(str(path), str(path), name) for path, name in zip(paths, names, strict=True)]
    far = [
        ((reader(data := path.read_bytes()), len(data), 5), f"s3://b/{path.name}", name)
        for path, name in zip(paths, names, strict=True)
    ]
    here, there = (
        convert(rows, tmp_path / place, **selection) for rows, place in ((near, "a"), (far, "b"))
    )
    assert here["pictures"] == there["pictures"] > 15
    assert [failure[1:] for failure in here["failures"]] == [
        failure[1:] for failure in there["failures"]
    ]
    for name in ("metadata.csv", *names):
        assert tree(tmp_path / "a").get(name) == tree(tmp_path / "b").get(name)
    entry = json.loads((tmp_path / "b/manifest.jsonl").read_text().splitlines()[-1])
    assert entry["path"].startswith("s3://b/")
    assert entry["mtime_ns"] == 5


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (FileNotFoundError(errno.ENOENT, "gone", "s3://b/x"), "missing", "found nothing"),
        (PermissionError(errno.EACCES, "no access", "s3://b/x"), "permission", "may not be read"),
        (OSError(errno.EIO, "no answer", "s3://b/x"), "io", "found no answer"),
        (RuntimeError("two\nlines"), "io", "found two lines"),
    ],
)
def test_exceptions_are_that_recordings_error(tmp_path, error, kind, text):
    rows = [
        ((reader(b"", 0, error), 100, 0), "s3://b/x.wav", "x.png"),
        ((reader(b"", 0, error), 100, 0), "s3://b/y.wav", "y.png"),
    ]
    found = convert(rows, tmp_path / "out")["failures"]
    assert [failure[:2] for failure in found] == [("s3://b/x.wav", kind), ("s3://b/y.wav", kind)]
    assert all(failure[2].endswith(text) for failure in found)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda _, length: b"x" * (length + 1), "101 bytes where 100 were asked for"),
        (lambda *_: "text", "bytes"),
        (lambda *_: b"short", "expected 100 bytes, found 5"),
    ],
)
def test_answers_that_are_none(tmp_path, answer, text):
    rows = [((answer, 100, 0), "s3://b/x.wav", "x.png")]
    assert text in convert(rows, tmp_path / "out")["failures"][0][2]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("selection", [{"segment_s": 2.0}, {"sr": 8000}])
def test_a_request_that_fails_in_the_middle(tmp_path, suffix, selection):
    """Is an error, and not the recording's end."""
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(5).normal(0, 0.2, 44100 * 240)
    with soundfile.SoundFile(path, "w", 44100, 1) as file:
        for part in np.array_split(noise, 1000):  # libsndfile's Vorbis takes no more at a time
            file.write(part)
    data = path.read_bytes()
    assert len(data) > 1_500_000
    failing = reader(data, len(data) // 2, OSError(errno.EIO, "no answer"))
    rows = [((failing, len(data), 0), f"s3://b/x.{suffix}", "x.png")]
    failures = convert(rows, tmp_path / "out", **selection)["failures"]
    assert [failure[1] for failure in failures] == ["io"]
    assert failures[0][2].endswith("no answer")


def test_readers_run_side_by_side(tmp_path):
    """Four threads wait at the same time, or none would go on."""
    source = corpus(tmp_path / "in", 8)
    barrier = threading.Barrier(4, timeout=30)
    rows = []
    for path in sorted(source.rglob("*.wav"))[:8]:
        data = path.read_bytes()

        def read(start: int, length: int, data: bytes = data) -> bytes:
            barrier.wait()
            return data[start : start + length]

        rows.append(((read, len(data), 0), f"s3://b/{path.name}", f"{path.stem}.png"))
    assert convert(rows, tmp_path / "out")["pictures"] == 8
