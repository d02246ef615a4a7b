"""Channels, parts, rates and overlapping segments: as if they were recordings of their own."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import heartfast
from heartfast._core import selection_json
from heartfast.selection import Selection
from selections import FORMATS, drawn, noise, pixels, provenance, windows, write


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels(tmp_path, name, channels):
    path = write(tmp_path / name, noise(5000, channels))
    y, _ = soundfile.read(path, dtype="float32", always_2d=True)
    wanted = {"left": 0, "right": min(1, channels - 1)} | {k + 1: k for k in range(channels)}
    for channel, index in wanted.items():
        out = tmp_path / f"out{channel}"
        result = heartfast.convert(path, out, channel=channel)
        (row,) = result.records
        assert row[:5] == (f"{path.stem}.png", "", "", "", 4000)
        assert row.duration_s == 1.25
        assert np.array_equal(pixels(out / row.file_name), drawn(y[:, index], 4000, tmp_path))
        assert provenance(out / row.file_name)["channel"] == index + 1
    result = heartfast.convert(path, tmp_path / "each", channel="each")
    assert [r.file_name for r in result.records] == [
        f"{path.stem}_ch{k + 1}.png" for k in range(channels)
    ]
    for k, row in enumerate(result.records):
        assert (row.group, row.sha256) == (path.stem, result.records[0].sha256)
        assert np.array_equal(pixels(tmp_path / "each" / row.file_name),
                              drawn(y[:, k], 4000, tmp_path))  # fmt: skip
        assert provenance(tmp_path / "each" / row.file_name)["channel"] == k + 1
    mixed = heartfast.convert(path, tmp_path / "mix", channel="mix")
    usual = heartfast.convert(path, tmp_path / "usual")
    a, b = (Path(r.out) / r.records[0].file_name for r in (mixed, usual))
    assert a.read_bytes() == b.read_bytes()
    assert "channel" not in provenance(a)


def test_a_channel_that_is_not_there(tmp_path):
    write(tmp_path / "in/two.wav", noise(900, 2))
    write(tmp_path / "in/three.wav", noise(900, 3))
    for more in ({}, {"segment_s": 0.1}):
        result = heartfast.convert(tmp_path / "in", tmp_path / f"out{len(more)}", channel=3, **more)
        assert {Path(r.recording).name for r in result.records} == {"three.wav"}
        (error,) = result.errors
        assert error == (
            str(tmp_path / "in/two.wav"), "value",
            "channel: expected a recording with a channel 3, found one with 2 channels", None,
        )  # fmt: skip


@pytest.mark.parametrize("name", [*FORMATS, "in.zip"])
def test_start_and_duration(tmp_path, name):
    n, sr = 30_011, 4000
    path = write(tmp_path / name.replace("in.zip", "pcm.wav"), noise(n, 2), sr)
    y, _ = soundfile.read(path, dtype="float32", always_2d=True)
    if name == "in.zip":
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
    for start, duration in [(0, 1.5), (2, None), (3.1, 2), (7, 100), (5.00012, 0.0001)]:
        out = tmp_path / f"out{start}"
        result = heartfast.convert(
            tmp_path / name, out, start=start, duration=duration, channel="left"
        )
        first = round(start * sr)
        last = n if duration is None else min(n, first + max(1, round(duration * sr)))
        (row,) = result.records
        assert row.file_name == f"{path.stem}.png"
        assert row.duration_s == (last - first) / sr
        assert row.group == ""
        expected = drawn(y[first:last, 0], sr, tmp_path)
        assert np.array_equal(pixels(out / row.file_name), expected)
        assert provenance(out / row.file_name).get("start_s", 0) == first / sr
        whole = heartfast.convert(path, tmp_path / f"whole{start}").records[0]
        assert row.sha256 == whole.sha256


def test_a_recording_that_ends_before_the_start(tmp_path):
    for name in FORMATS:
        write(tmp_path / "in" / name, noise(4000))
    for start in (1, 1.5, 1e300):
        result = heartfast.convert(tmp_path / "in", tmp_path / f"out{start}", start=start)
        assert result.records == []
        assert len(result.errors) == len(FORMATS)
        for error in result.errors:
            assert error.kind == "decode"
            assert error.message.startswith("expected a recording of more than the ")
            assert error.message.endswith(" s that are skipped, found one of 1 s")


@settings(max_examples=60)
@given(st.integers(1, 4000), st.integers(10, 500), st.floats(0, 98), st.sampled_from([1000, 1450]))
def test_segments_that_overlap(tmp_path_factory, n, milliseconds, overlap, sr):
    folder = tmp_path_factory.mktemp("overlap")
    segment_s = milliseconds / 1000
    length = math.floor(segment_s * sr + 0.5)
    hop = max(1, math.floor(length * (1 - overlap / 100) + 0.5))
    path = write(folder / "x.wav", noise(n), sr)
    convert = lambda: heartfast.convert(  # noqa: E731
        path, folder / "out", segment_s=segment_s, segment_overlap=overlap
    )
    if segment_s * (1 - overlap / 100) < 0.002:
        with pytest.raises(ValueError, match=r"segment_overlap: expected segments that begin"):
            convert()
        return
    got = {r.file_name: r.duration_s for r in convert().records}
    expected = windows(n, length, hop)
    assert len(got) == len(expected)  # no two of one name
    assert got == {f"x_{math.floor(1000 * a / sr + 0.5)}.png": (b - a) / sr for a, b in expected}


@pytest.mark.parametrize("channel", ["mix", "each", 2])
def test_pictures_of_segments_that_overlap(tmp_path, channel):
    path = write(tmp_path / "x.wav", noise(9000, 2))
    y, _ = soundfile.read(path, dtype="float32")
    result = heartfast.convert(
        path, tmp_path / "out", segment_s=0.5, segment_overlap=75, channel=channel, start=0.25
    )
    kinds = {"mix": {"": y.mean(axis=1)}, "each": {"_ch1": y[:, 0], "_ch2": y[:, 1]},
             2: {"": y[:, 1]}}  # fmt: skip
    expected = {}
    for mark, samples in kinds[channel].items():
        for a, b in windows(8000, 2000, 500):
            a, b = a + 1000, b + 1000
            expected[f"x{mark}_{a // 4}.png"] = samples[a:b]
    assert {r.file_name for r in result.records} == set(expected)
    for name, samples in expected.items():
        assert np.array_equal(pixels(tmp_path / "out" / name), drawn(samples, 4000, tmp_path))
        start_ms = int(name[:-4].split("_")[-1])
        assert provenance(tmp_path / "out" / name)["start_s"] == start_ms / 1000
    assert {r.group for r in result.records} == {"x"}


def test_names_count_from_the_start_of_the_file(tmp_path):
    path = write(tmp_path / "x.wav", noise(44_100), 44_100)
    result = heartfast.convert(
        path, tmp_path / "out", sr=16_000, start=0.5, duration=0.25, segment_s=0.1, channel="each"
    )
    assert sorted((r.file_name, r.duration_s) for r in result.records) == [
        ("x_ch1_500.png", 0.1), ("x_ch1_600.png", 0.1), ("x_ch1_700.png", 0.05),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": 0}, "channel: expected mix, left, right, each or a number from 1, found 0"),
        ({"channel": -1}, "channel: expected mix, left, right, each or a number from 1, found -1"),
        ({"channel": "middle"}, "channel: expected mix, left, right, each or a number from 1, "
         'found "middle"'),
        ({"sr": 0}, "sr: expected a sample rate of 1 to 3072000 Hz, found 0"),
        ({"sr": -1}, "sr: expected a sample rate of 1 to 3072000 Hz, found -1"),
        ({"sr": 3_072_001}, "sr: expected a sample rate of 1 to 3072000 Hz, found 3072001"),
        ({"start": -1}, "start: expected at least 0 seconds, found -1"),
        ({"start": float("nan")}, "start: expected at least 0 seconds, found NaN"),
        ({"start": float("inf")}, "start: expected at least 0 seconds, found inf"),
        ({"duration": 0}, "duration: expected more than 0 seconds, found 0"),
        ({"duration": float("nan")}, "duration: expected more than 0 seconds, found NaN"),
        ({"segment_overlap": 10}, "segment_overlap: expected segments (segment_s), found none"),
        ({"segment_s": 1, "segment_overlap": 100},
         "segment_overlap: expected 0 to below 100 percent, found 100"),
        ({"segment_s": 1, "segment_overlap": -1},
         "segment_overlap: expected 0 to below 100 percent, found -1"),
        ({"segment_s": 0.25, "segment_overlap": 99.5},
         "segment_overlap: expected segments that begin at least 2 ms apart, found 1.250 ms"),
    ],
)  # fmt: skip
def test_what_cannot_be_selected(tmp_path, options, message):
    path = write(tmp_path / "x.wav", noise(900))
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        heartfast.convert(path, tmp_path / "out", **options)
    assert str(caught.value) == message
    assert not (tmp_path / "out").exists()


def test_selections_as_json():
    assert json.loads(selection_json(Selection())) == Selection()._asdict()
    changed = Selection("each", 8000, 1.5, 20.0, 2.0, 12.5)
    assert json.loads(selection_json(changed)) == changed._asdict()
    changed = changed._replace(segment_overlap=0.0)
    texts = {
        selection_json(Selection()._replace(**{name: value}))
        for name, value in changed._asdict().items()
    }
    assert len(texts) == len(changed)
    assert json.loads(selection_json(Selection(channel=3)))["channel"] == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what librosa imports
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("mono", [True, False])
def test_load_a_part(tmp_path, name, mono):
    path = write(tmp_path / name, noise(9000, 2))
    for offset, duration in [(0.5, None), (0.25, 1.5), (0.0, 1.0), (2.0, 1000.0)]:
        y, sr = heartfast.load(path, mono=mono, offset=offset, duration=duration)
        expected, _ = librosa.load(path, sr=None, mono=mono, offset=offset, duration=duration)
        assert sr == 4000
        assert y.shape == expected.shape
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-7)
        y, sr = heartfast.load(path, sr=8000, mono=mono, offset=offset, duration=duration)
        assert (sr, y.shape[-1]) == (8000, 2 * expected.shape[-1])
    with pytest.raises(heartfast.DecodeError, match=r"expected a recording of more than the 3 s"):
        heartfast.load(path, offset=3)
    with pytest.raises(ValueError, match=r"offset: expected at least 0 seconds, found -1"):
        heartfast.load(path, offset=-1)
    with pytest.raises(ValueError, match=r"duration: expected more than 0 seconds, found 0"):
        heartfast.load(path, duration=0)


@given(
    n=st.integers(1, 3000),
    sr=st.sampled_from([1000, 4000, 11_025]),
    offset=st.floats(0, 1),
    duration=st.none() | st.floats(1e-6, 2),
    channels=st.integers(1, 3),
    form=st.sampled_from([("WAV", "PCM_16"), ("WAV", "DOUBLE"), ("FLAC", "PCM_24")]),
)
def test_any_part(tmp_path_factory, n, sr, offset, duration, channels, form):
    path = tmp_path_factory.getbasetemp() / "part"
    soundfile.write(path, noise(n, channels), sr, format=form[0], subtype=form[1])
    y, _ = soundfile.read(path, dtype="float32", always_2d=True)
    start = math.floor(offset * sr + 0.5)
    stop = n if duration is None else start + max(1, math.floor(duration * sr + 0.5))
    if start >= n:
        with pytest.raises(heartfast.DecodeError, match="expected a recording of more than"):
            heartfast.load(path, offset=offset, duration=duration)
        return
    got, _ = heartfast.load(path, offset=offset, duration=duration, mono=False)
    assert np.array_equal(np.atleast_2d(got).T, y[start:stop])


def test_a_part_of_what_can_only_be_read_on(tmp_path):
    """A compressed member too long to be kept in memory."""
    n, sr = 17_500_000, 44_100
    y = np.tile(np.random.default_rng(0).integers(-9999, 9999, 25_000, np.int16), n // 25_000)
    soundfile.write(tmp_path / "x.wav", y, sr, subtype="PCM_16")
    assert (tmp_path / "x.wav").stat().st_size > 33 << 20
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(tmp_path / "x.wav", "x.wav")
    rows = [
        heartfast.convert(tmp_path / f"x.{kind}", tmp_path / kind, start=300.3, duration=2).records
        for kind in ("wav", "zip")
    ]
    assert [row[:7] for row in rows[0]] == [row[:7] for row in rows[1]]
    first = math.floor(300.3 * sr + 0.5)
    expected = drawn(y[first : first + 2 * sr] / np.float32(32768), sr, tmp_path)
    for kind in ("wav", "zip"):
        assert np.array_equal(pixels(tmp_path / kind / "x.png"), expected)


def long_wav(path: Path, seconds: int, sr: int = 96_000) -> None:
    """Silence as 32-bit float stereo, of which the disk holds next to nothing."""
    n = seconds * sr * 8
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", n + 36, b"WAVE", b"fmt ", 16, 3, 2, sr,
                         8 * sr, 8, 32, b"data", n)  # fmt: skip
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + n)


@pytest.mark.parametrize(
    "options",
    [
        {"sr": 8000, "segment_s": 10, "segment_overlap": 50},
        {"start": 900, "duration": 10},
        {"channel": "each", "segment_s": 10},
    ],
)
def test_memory_is_flat(tmp_path, options):
    long_wav(tmp_path / "x.wav", 1000)  # 768 MB
    code = f"""
import resource
import heartfast
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
result = heartfast.convert({str(tmp_path / "x.wav")!r}, {str(tmp_path / "out")!r}, **{options!r})
assert not result.errors, result
assert peak() - before < 60, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_picture_has_a_longest_duration(tmp_path):
    write(tmp_path / "x.wav", noise(9000))
    limits = heartfast.Limits(max_duration_s=2)
    for options in ({"channel": "left"}, {"segment_s": 2.1}):
        result = heartfast.convert(
            tmp_path / "x.wav", tmp_path / f"out{options}", limits=limits, **options
        )
        (error,) = result.errors
        assert error.kind == "limit"
        assert error.message.startswith("expected at most 2 s in one picture (")
    fine = heartfast.convert(tmp_path / "x.wav", tmp_path / "fine", limits=limits, segment_s=2)
    assert [r.file_name for r in fine.records] == ["x_0.png", "x_2000.png"]


def test_command_line(tmp_path):
    write(tmp_path / "x.wav", noise(9000, 2))
    command = [sys.executable, "-m", "heartfast", "convert", "x.wav", "-o", "a",
               "--channel", "each", "--sr", "2000", "--start", "0.5", "--duration", "1",
               "--segment-s", "0.5", "--segment-overlap", "50"]  # fmt: skip
    subprocess.run(command, check=True, cwd=tmp_path)
    heartfast.convert(tmp_path / "x.wav", tmp_path / "b", channel="each", sr=2000, start=0.5,
                      duration=1, segment_s=0.5, segment_overlap=50)  # fmt: skip
    names = sorted(os.listdir(tmp_path / "a"))
    assert names == sorted(["manifest.jsonl", "metadata.csv", *(f"x_ch{c}_{ms}.png" for c in (1, 2)
                                              for ms in (500, 750, 1000))])  # fmt: skip
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    command = [sys.executable, "-m", "heartfast", "convert", "x.wav", "-o", "c", "--channel", "0"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("heartfast convert: channel: expected mix, left, right, each or")
    assert not (tmp_path / "c").exists()


def test_run_on_segments(tmp_path):
    heartfast.synth.write_corpus(tmp_path / "in", patients=60, recordings=1)
    result = heartfast.run(
        tmp_path / "in", tmp_path / "out", labels="folders", trials=1, folds=2, repeats=1,
        segment_s=1.5, sr=2000, channel="left",
    )  # fmt: skip
    records = result.conversion.records
    assert len(records) > 60
    assert {r.sample_rate for r in records} == {2000}
    groups: dict[str, set[str]] = {}
    for r in records:
        groups.setdefault(r.recording, set()).add(r.group)
    assert all(len(group) == 1 for group in groups.values())
