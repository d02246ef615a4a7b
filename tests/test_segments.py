"""Recordings cut into segments: each drawn as a recording of its own would be, in flat memory."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.images import decode
from heartfast.selection import Selection

FORMATS = {
    "pcm.wav": ("WAV", "PCM_16"),
    "bytes.wav": ("WAV", "PCM_U8"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "large.wav": ("RF64", "PCM_24"),
    "x.flac": ("FLAC", "PCM_16"),
    "x.aiff": ("AIFF", "PCM_16"),
    "x.ogg": ("OGG", "VORBIS"),
}


def cut(n: int, length: int) -> list[tuple[int, int]]:
    return [(k, min(k + length, n)) for k in range(0, n, length)]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("sr", "segment_s", "length"), [(4000, 0.5, 2000), (11025, 0.333, 3671)])
def test_each_as_a_recording_of_its_own(tmp_path, name, channels, sr, segment_s, length):
    kind, subtype = FORMATS[name]
    y = np.random.default_rng(1).normal(0, 0.1, (3 * length + 700, channels))
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / name
    soundfile.write(path, y, sr, format=kind, subtype=subtype)
    result = heartfast.convert(path, tmp_path / "out", segment_s=segment_s)
    assert result.errors == []
    stem = path.stem
    # What soundfile reads, in files of its own.
    read, _ = soundfile.read(path, dtype="float32", always_2d=True)
    (tmp_path / "parts").mkdir()
    expected = {}
    for a, b in cut(len(read), length):
        ms = int(1000 * a / sr + 0.5)
        soundfile.write(tmp_path / f"parts/{stem}_{ms}.wav", read[a:b], sr, subtype="FLOAT")
        expected[f"{stem}_{ms}.png"] = (b - a) / sr
    parts = heartfast.convert(tmp_path / "parts", tmp_path / "drawn")
    assert {r.file_name: r.duration_s for r in result.records} == expected
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for mine, theirs in zip(result.records, parts.records, strict=True):
        assert mine[:3] == (theirs.file_name, "", stem)
        assert mine[4:7] == (sr, theirs.duration_s, digest)
        (a, told), (b, own) = (
            decode((tmp_path / folder / mine.file_name).read_bytes(), "x")
            for folder in ("out", "drawn")
        )
        if name != "x.ogg":  # whose samples differ by rounding between decoders
            assert np.array_equal(a, b)
            assert told.selection == Selection(segment_s=segment_s)
            assert told._replace(selection=own.selection) == own


def test_longer_than_the_recording(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.random.default_rng(0).normal(0, 0.1, 900), 4000)
    whole = heartfast.convert(tmp_path / "x.wav", tmp_path / "a")
    cut = heartfast.convert(tmp_path / "x.wav", tmp_path / "b", segment_s=1e9)
    assert [r.file_name for r in cut.records] == ["x_0.png"]
    assert cut.records[0][4:] == whole.records[0][4:]
    (a, whole_told), (b, told) = (
        decode((tmp_path / name).read_bytes(), "x") for name in ("a/x.png", "b/x_0.png")
    )
    assert np.array_equal(a, b)
    assert told == whole_told._replace(selection=Selection(segment_s=1e9))


@pytest.mark.parametrize("segment_s", [0, 0.009, -1, float("nan"), float("inf")])
def test_too_short(tmp_path, segment_s):
    soundfile.write(tmp_path / "x.wav", np.zeros(900), 4000)
    with pytest.raises(ValueError, match=r"segment_s: expected at least 0.01 seconds, found "):
        heartfast.convert(tmp_path / "x.wav", tmp_path / "out", segment_s=segment_s)
    assert not (tmp_path / "out").exists()


def test_segments_of_a_recording_stay_together(tmp_path):
    """In its group, or where that is not known, by its name and its bytes."""
    rng = np.random.default_rng(0)
    rows = ["file_name,label,group"]
    for k in range(12):
        soundfile.write(tmp_path / f"{k}.wav", rng.normal(0, 0.1, 8000), 4000)
        rows.append(f"{k}.wav,{'ab'[k % 2]},{f'patient{k // 4}' if k < 4 else ''}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    result = heartfast.convert(
        tmp_path, tmp_path / "out", labels=tmp_path / "labels.csv", segment_s=0.3
    )
    groups: dict[str, set[str]] = {}
    for r in result.records:
        groups.setdefault(os.path.basename(r.recording), set()).add(r.group)
    assert groups == {
        f"{k}.wav": {"patient0" if k < 4 else f"{'ab'[k % 2]}/{k}"} for k in range(12)
    }
    heartfast.pack(tmp_path / "out", tmp_path / "sets", groups=False)
    heartfast.pack(tmp_path / "out", tmp_path / "sets2")
    for sets in ("sets", "sets2"):
        sides = []
        for name in ("train", "test"):
            with heartfast.images.PictureSet(tmp_path / sets / f"{name}.zip") as pictures:
                sides.append(
                    {p.name.rpartition("/")[2].partition("_")[0] for p in pictures.pictures}
                )
        assert sides[0]
        assert sides[1]
        assert not sides[0] & sides[1]


def test_damage_in_the_middle_keeps_what_is_around_it(tmp_path):
    path = tmp_path / "x.wav"
    y = np.random.default_rng(0).normal(0, 0.1, 100_000)
    soundfile.write(path, y, 8000, subtype="MS_ADPCM")
    whole = heartfast.convert(path, tmp_path / "whole", segment_s=1)
    data = bytearray(path.read_bytes())
    block = struct.unpack_from("<H", data, 32)[0]
    data[data.index(b"data") + 8 + 100 * block] = 0xFF  # there is no such predictor
    path.write_bytes(data)
    result = heartfast.convert(path, tmp_path / "out", segment_s=1)
    (error,) = result.errors
    assert error.path == str(path)
    assert error.kind in ("decode", "unsupported")
    assert len(result.records) == 13
    lost = 100 * (2 * (block - 7) + 2) // 8000  # the second in which the block is
    digest = hashlib.sha256(data).hexdigest()
    for r in result.records:
        assert r.sha256 == digest
        same = (tmp_path / "whole" / r.file_name).read_bytes()
        expected = r.file_name != f"x_{lost}000.png"
        assert ((tmp_path / "out" / r.file_name).read_bytes() == same) == expected
    assert len(result.records) == sum(p.suffix == ".png" for p in (tmp_path / "out").iterdir())
    (line,) = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    assert json.loads(line) == error.to_dict()
    command = [sys.executable, "-m", "heartfast", "convert", str(path), "-o",
               str(tmp_path / "again"), "--segment-s", "1"]  # fmt: skip
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3
    assert len(whole.records) == 13


@pytest.mark.parametrize(
    ("form", "subtype"), [("W64", "DOUBLE"), ("AIFF", "DOUBLE"), ("WAV", "MS_ADPCM")]
)
def test_what_is_compressed_is_read_on(tmp_path, form, subtype):
    """Members too long to be inflated at once: their headers are looked at before."""
    path = tmp_path / "x.wav"
    size = 8 if subtype == "DOUBLE" else 0.5
    y = np.tile(np.sin(np.arange(100_000) / 10), int(34e6 / size / 100_000) + 1)
    soundfile.write(path, 0.5 * y, 96_000, format=form, subtype=subtype)
    assert path.stat().st_size > 32 << 20
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zip_:
        zip_.write(path, "x.wav")
    made = []
    for source in (path, tmp_path / "x.zip"):
        out = tmp_path / f"out{len(made)}"
        result = heartfast.convert(source, out, segment_s=100)
        assert not result.errors
        made.append([(r.sha256, (out / r.file_name).read_bytes()) for r in result.records])
    assert made[0] == made[1]
    assert len(made[0]) == -(-len(y) // 9_600_000)


def sparse_wav(path: Path, seconds: int, sr: int = 96_000) -> None:
    """Silence as 32-bit float stereo, of which the disk holds next to nothing."""
    n = seconds * sr * 8
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", n + 36, b"WAVE", b"fmt ", 16, 3, 2, sr,
                         8 * sr, 8, 32, b"data", n)  # fmt: skip
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + n)


def test_memory_is_flat(tmp_path):
    sparse_wav(tmp_path / "x.wav", 1000)  # 768 MB
    code = f"""
import resource
import heartfast
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
result = heartfast.convert({str(tmp_path / "x.wav")!r}, {str(tmp_path / "out")!r}, segment_s=10)
assert len(result.records) == 100, result
assert peak() - before < 60, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ctrl_c(tmp_path):
    sparse_wav(tmp_path / "x.wav", 5000)  # 3.8 GB
    command = [sys.executable, "-m", "heartfast", "convert", str(tmp_path / "x.wav"), "-o",
               str(tmp_path / "out"), "--segment-s", "10"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("out/*.png")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - started < 1
    assert process.returncode == 130
    said, last = errors.splitlines()
    assert said == "finishing what is in hand; once more to stop at once"
    assert last == (
        "heartfast convert: interrupted: 0 of 1 recordings are done, the same command goes on "
        "from there"
    )
    tables = {"manifest.jsonl", "metadata.csv"}
    assert all(p.suffix == ".png" or p.name in tables for p in (tmp_path / "out").iterdir())


def test_progress_counts_recordings(tmp_path):
    for k in range(3):
        soundfile.write(tmp_path / f"{k}.wav", np.zeros(40_000), 4000)
    seen: list[heartfast.Progress] = []
    heartfast.convert(tmp_path, tmp_path / "out", segment_s=0.5, progress=seen.append)
    assert seen[-1] == heartfast.Progress("convert", 3, 3, 0)
