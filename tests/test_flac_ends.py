"""FLAC with something behind its end, in its middle or missing, against ffmpeg and soundfile."""

from __future__ import annotations

import io
import json
import subprocess
import warnings

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.errors import DecodeError, HeartfastWarning

SR = 4000
BLOCK = 4096
TAILS = {
    "ID3v1": b"TAG" + bytes(125),
    "APEv2": b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\x80" + bytes(8),
    "Lyrics3": b"LYRICSBEGININD00002110000110LYRICS200" + b"TAG" + bytes(125),
    "text": b"exported by a program\n" * 40,
    "zeros": bytes(5000),
    "one byte": b"\xff",
    "a sync code": b"\xff\xf8\xc9\x08\0\0\0",
    "much": bytes(range(256)) * 5000,
}


def sound(n, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None] / SR
    y = 0.4 * np.sin(2 * np.pi * t * (200 + 150 * np.arange(channels))) + 0.05
    return y + 0.02 * rng.standard_normal((n, channels))


def flac(n, channels=1, subtype="PCM_16", seed=0):
    """The bytes of a FLAC and its samples, by libFLAC."""
    file = io.BytesIO()
    soundfile.write(file, sound(n, channels, seed), SR, format="FLAC", subtype=subtype)
    return file.getvalue(), soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")[0]


def ffmpegs(tool, path):
    command = [tool("ffmpeg"), "-v", "quiet", "-i", path, "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True).stdout, "<f4")


def frames_of(data):
    """Where frames begin: by sync codes whose numbers follow each other."""
    starts, at, number = [], data.index(b"\xff\xf8"), 0
    while at >= 0:
        if data[at + 4] == number:
            starts.append(at)
            number += 1
        at = data.find(b"\xff\xf8", at + 1)
    return starts


def without_total(data):
    head = bytearray(data)
    head[21] &= 0xF0
    head[22:26] = bytes(4)
    return bytes(head)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("n", [100, 3000, BLOCK, 3 * BLOCK - 7])
def test_what_follows_costs_nothing(tmp_path, tool, tail, n):
    data, samples = flac(n)
    path = tmp_path / "x.flac"
    path.write_bytes(data + TAILS[tail])
    y, sr = heartfast.load(path)
    assert sr == SR
    assert np.array_equal(y, samples)
    assert np.array_equal(y, soundfile.read(path, dtype="float32")[0])
    if tail != "much":  # which ffmpeg takes for a video
        assert np.array_equal(y, ffmpegs(tool, path))


@pytest.mark.parametrize("tail", TAILS)
def test_without_a_length_in_the_header(tmp_path, tail):
    data, samples = flac(2 * BLOCK + 500, channels=2, subtype="PCM_24")
    path = tmp_path / "x.flac"
    path.write_bytes(without_total(data) + TAILS[tail])
    y, _ = heartfast.load(path, mono=False)
    assert np.array_equal(y.T, samples)


def test_in_parts_and_compressed(tmp_path):
    import zipfile

    data, samples = flac(3 * BLOCK)
    path = tmp_path / "x.flac"
    path.write_bytes(data + TAILS["ID3v1"])
    y, _ = heartfast.load(path, offset=1.5, duration=1.0)
    assert np.array_equal(y, samples[6000:10000])
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "x.flac")
    done = heartfast.convert(tmp_path / "x.zip", tmp_path / "out", segment_s=1)
    assert [record.duration_s for record in done.records] == [1.0, 1.0, 1.0, 288 / SR]
    assert not done.errors
    assert not done.notes


def test_another_stream_behind_is_told(tmp_path):
    data, samples = flac(5000)
    path = tmp_path / "x.flac"
    path.write_bytes(data + flac(7000, seed=1)[0])
    with pytest.warns(HeartfastWarning, match="data that is not read .another FLAC stream"):
        y, _ = heartfast.load(path)
    assert np.array_equal(y, samples)


def test_cut_files_go_as_far_as_they_do(tmp_path, tool):
    data, samples = flac(10 * SR)
    starts = frames_of(data)
    for end in (starts[4] + 1, starts[4] + 300, starts[5] - 1, starts[5], starts[5] + 5):
        path = tmp_path / "x.flac"
        path.write_bytes(data[:end])
        whole = BLOCK * sum(start <= end for start in starts[1:])
        said = f"header 10.000 s, found {whole / SR:.3f} s"
        with pytest.warns(HeartfastWarning, match=f"shorter than its header says .{said}"):
            y, _ = heartfast.load(path)
        assert np.array_equal(y, samples[:whole])
        assert np.array_equal(y, ffmpegs(tool, path)[:whole])


def test_an_end_that_is_missing_is_an_error(tmp_path):
    data, _ = flac(10 * SR)
    starts = frames_of(data)
    kept = BLOCK * (len(starts) - 1)
    lost = f"found {10 - kept / SR:.3f} s missing, {kept / SR:.3f} s in"
    path = tmp_path / "x.flac"
    path.write_bytes(data[: starts[-1]] + TAILS["ID3v1"])
    with pytest.raises(DecodeError, match=lost):
        heartfast.load(path)
    done = heartfast.convert(path, tmp_path / "out")
    assert [record.duration_s for record in done.records] == [kept / SR]
    (error,) = done.errors
    assert error.kind == "decode"
    assert lost in error.message
    assert error.offset == starts[-1]


def test_a_last_block_that_is_damaged_is_told(tmp_path):
    """It may look as if more of it were to come: then it is a cut file."""
    data, samples = flac(10 * SR)
    starts = frames_of(data)
    kept = BLOCK * (len(starts) - 1)
    path = tmp_path / "x.flac"
    for at in range(starts[-1] + 20, len(data) - 2, 97):
        bad = bytearray(data)
        bad[at] ^= 0x10
        path.write_bytes(bad)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            try:
                y, _ = heartfast.load(path)
            except DecodeError as error:
                assert f"s missing, {kept / SR:.3f} s in" in str(error)  # noqa: PT017
                continue
        assert np.array_equal(y, samples[:kept])
        assert f"found {kept / SR:.3f} s" in str(found[0].message)


@pytest.mark.parametrize("how", ["flipped", "dropped", "zeroed", "header"])
@pytest.mark.parametrize("total", [True, False])
def test_what_is_before_and_after_damage_stays_in_place(tmp_path, how, total):
    data, samples = flac(10 * SR)
    starts = frames_of(data)
    at = starts[3] + 100
    bad = bytearray(data)
    if how == "flipped":
        bad[at] ^= 0x55
    elif how == "dropped":
        del bad[at : at + 50]
    elif how == "zeroed":
        bad[at : at + 200] = bytes(200)
    else:
        bad[starts[3]] ^= 0xFF
    path = tmp_path / "x.flac"
    path.write_bytes(bytes(bad) if total else without_total(bad))
    lost = f"found {BLOCK / SR:.3f} s missing, {3 * BLOCK / SR:.3f} s in"
    with pytest.raises(DecodeError, match=lost):
        heartfast.load(path)
    config = heartfast.SpectrogramConfig(ref=1.0)
    silent = samples.copy()
    silent[3 * BLOCK : 4 * BLOCK] = 0
    soundfile.write(tmp_path / "silent.wav", silent, SR, subtype="PCM_16")
    done = heartfast.convert([path, tmp_path / "silent.wav"], tmp_path / "out", config=config)
    (error,) = done.errors
    assert error.kind == "decode"
    assert lost in error.message
    assert error.offset == starts[3]
    names = {record.recording: record.file_name for record in done.records}
    pictures = [heartfast_levels(tmp_path / "out" / name) for name in names.values()]
    assert np.array_equal(*pictures)
    lines = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["decode"]


def heartfast_levels(path):
    from PIL import Image

    return np.asarray(Image.open(path))


def test_a_block_that_is_there_twice_is_told(tmp_path):
    data, samples = flac(10 * SR)
    starts = frames_of(data)
    path = tmp_path / "x.flac"
    path.write_bytes(data[: starts[3]] + data[starts[2] :])
    with pytest.warns(HeartfastWarning, match="a block 2.048 s in is there twice"):
        y, _ = heartfast.load(path)
    assert np.array_equal(y, samples)


def test_more_than_the_header_says_is_read_and_told(tmp_path, tool):
    data, samples = flac(10 * SR)
    bad = bytearray(data)
    bad[22:26] = (4 * BLOCK).to_bytes(4, "big")
    path = tmp_path / "x.flac"
    path.write_bytes(bad)
    with pytest.warns(HeartfastWarning, match="header 4.096 s, found 10.000 s"):
        y, _ = heartfast.load(path)
    assert np.array_equal(y, samples)
    assert np.array_equal(y, ffmpegs(tool, path))


def test_a_claimed_gap_makes_no_endless_silence(tmp_path):
    """A frame number that leads beyond the limit, with a right checksum."""
    data, _ = flac(2 * BLOCK)
    starts = frames_of(data)
    frame = bytearray(data[starts[1] :])
    far = 0x7FFFFFF
    number = bytes([0xFC, *(0x80 | far >> shift & 0x3F for shift in (24, 18, 12, 6, 0))])
    head = bytes(frame[:4]) + number + bytes(frame[5:6])  # its rate in kHz
    head += bytes([crc(head, 8, 0x07)])
    body = head + bytes(frame[7:-2])
    body += crc(body, 16, 0x8005).to_bytes(2, "big")
    path = tmp_path / "x.flac"
    path.write_bytes(without_total(data[: starts[1]] + body))
    with pytest.raises(DecodeError, match="samples missing"):
        heartfast.load(path)
    done = heartfast.convert(path, tmp_path / "out")
    assert not done.pictures
    assert len(done.errors) == 1


def crc(data, bits, polynomial):
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            top = value >> (bits - 1)
            value = (value << 1 & (1 << bits) - 1) ^ (polynomial if top else 0)
    return value
