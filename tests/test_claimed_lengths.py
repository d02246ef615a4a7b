"""Sizes and lengths in headers that are not those of the file."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import warnings

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.errors import DecodeError, HeartfastWarning

SR = 4000
ORDERS = {b"RIFF": "<", b"RIFX": ">"}


def tone(n, seed=0):
    y = 0.4 * np.sin(2 * np.pi * 300 * np.arange(n) / SR)
    return y + 0.01 * np.random.default_rng(seed).standard_normal(n)


def pcm(y, order="<"):
    return np.round(y * 32767).astype(order + "i2").tobytes()


def wav(y, size=None, tail=b"", magic=b"RIFF", riff=None, fact=None):
    """A WAV of 16 bits whose data chunk says `size`, with `tail` behind it."""
    order = ORDERS.get(magic, "<")
    data = pcm(y, order)
    size = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack(order + "IHHIIHH", 16, 1, 1, SR, 2 * SR, 2, 16)
    if fact is not None:
        body += b"fact" + struct.pack(order + "II", 4, fact)
    body += b"data" + struct.pack(order + "I", size) + data + tail
    return magic + struct.pack(order + "I", len(body) if riff is None else riff) + body


def w64(y, size=None):
    guid = b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a"
    data = pcm(y)
    fmt = b"fmt " + guid + struct.pack("<QHHIIHH", 40, 1, 1, SR, 2 * SR, 2, 16)
    size = 24 + len(data) if size is None else size
    body = b"wave" + guid + fmt + b"data" + guid + struct.pack("<Q", size) + data
    head = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0"
    return head + struct.pack("<Q", 24 + len(body)) + body


def rf64(y, size):
    data = pcm(y)
    body = b"WAVEds64" + struct.pack("<IQQQI", 28, 0, size, 0, 0)
    body += b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, SR, 2 * SR, 2, 16)
    return b"RF64\xff\xff\xff\xff" + body + b"data\xff\xff\xff\xff" + data


def aiff(y, size=None, frames=None):
    data = pcm(y, ">")
    frames = len(y) if frames is None else frames
    rate = struct.pack(">hQ", 16383 + 11, SR << 52)
    body = b"AIFFCOMM" + struct.pack(">IhIh", 18, 1, frames, 16) + rate
    size = 8 + len(data) if size is None else size
    body += b"SSND" + struct.pack(">III", size, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


def au(y, size=None):
    data = pcm(y, ">")
    return struct.pack(">4s5I", b".snd", 24, len(data) if size is None else size, 3, SR, 1) + data


def caf(y, size=None):
    data = pcm(y, ">")
    desc = struct.pack(">dI4x4I", SR, 0x6C70636D, 2, 1, 1, 16)
    desc = struct.pack(">d4sIIIII", SR, b"lpcm", 0, 2, 1, 1, 16)
    head = b"caff\0\1\0\0desc" + struct.pack(">q", len(desc)) + desc
    return head + b"data" + struct.pack(">qI", 4 + len(data) if size is None else size, 0) + data


def load(tmp_path, data, kind=None):
    """The samples, with the one warning that is expected."""
    path = tmp_path / "x"
    path.write_bytes(data)
    if kind is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return heartfast.load(path)[0]
    with pytest.warns(HeartfastWarning, match=kind) as found:
        y, _ = heartfast.load(path)
    assert len(found) == 1
    assert str(path) in str(found[0].message)
    return y


def samples(y):
    return np.frombuffer(pcm(y), "<i2").astype(np.float32) / 32768


FITS_NOT = "a size in its header that does not fit"
N = 16_000


@pytest.mark.parametrize("size", [0, 4, 44, 36, 1001, N, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
@pytest.mark.parametrize("magic", [b"RIFF", b"RIFX"])
def test_sizes_that_were_never_finished(tmp_path, size, magic):
    y = tone(N)
    assert np.array_equal(load(tmp_path, wav(y, size, magic=magic), FITS_NOT), samples(y))


@pytest.mark.parametrize(
    "data",
    [
        w64(tone(N), 0), w64(tone(N), 24), w64(tone(N), 24 + 44), w64(tone(N), 2**63 - 1),
        rf64(tone(N), 0), rf64(tone(N), 44), rf64(tone(N), 2**64 - 1),
        aiff(tone(N), 0, 0), aiff(tone(N), 8, 0), aiff(tone(N), 8 + 44, 0),
        au(tone(N), 0), au(tone(N), 44), caf(tone(N), 4), caf(tone(N), 0), caf(tone(N), 48),
    ],
)  # fmt: skip
def test_those_of_other_formats(tmp_path, data):
    assert np.array_equal(load(tmp_path, data, FITS_NOT), samples(tone(N)))


@pytest.mark.parametrize(
    "data", [w64(tone(N)), aiff(tone(N)), au(tone(N)), au(tone(N), 2**32 - 1), caf(tone(N), -1)]
)
def test_good_ones_say_nothing(tmp_path, data):
    assert np.array_equal(load(tmp_path, data), samples(tone(N)))


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


TRAILING = {
    "LIST": chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 6) + b"Lavf60"),
    "bext": chunk(b"bext", bytes(602)),
    "id3": chunk(b"id3 ", b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)),
    "unknown": chunk(b"abcd", b"\x01\x02\x03\x04" * 50_000),
    "two": chunk(b"LIST", b"INFO") + chunk(b"cue ", bytes(4)),
    "a cut LIST": b"LIST" + struct.pack("<I", 100_000) + b"\x01\x02" * 40_000,
    "ID3v1": b"TAG" + b"x" * 125,
    "APEv2": b"APETAGEX" + b"\x01" * 100_000,
    "another WAV": wav(tone(3 * N, 1)),
    "zeros": bytes(200_000),
    "a few bytes": b"\x11\x22\x33\x44",
}


@pytest.mark.parametrize("tail", TRAILING)
def test_nothing_behind_the_sound_is_read_as_sound(tmp_path, tail):
    y = tone(N)
    data = wav(y, tail=TRAILING[tail])
    assert np.array_equal(load(tmp_path, data), samples(y))
    if tail != "another WAV":  # which soundfile refuses
        assert np.array_equal(soundfile.read(io.BytesIO(data), dtype="float32")[0], samples(y))


@pytest.mark.parametrize("tail", ["LIST", "id3", "two", "ID3v1"])
@pytest.mark.parametrize("size", [0, 44])
def test_nor_where_the_size_is_wrong(tmp_path, tail, size):
    y = tone(N)
    assert np.array_equal(load(tmp_path, wav(y, size, TRAILING[tail]), FITS_NOT), samples(y))


def test_what_is_not_read_is_told(tmp_path):
    y = tone(N)
    for n in (90, 12_000):
        data = wav(y, tail=b"\x91\x02\xf3" * (n // 3))
        said = f"data that is not read .{n} bytes behind the sound"
        assert np.array_equal(load(tmp_path, data, said), samples(y))


def test_sizes_that_wrapped_around(tmp_path):
    """4 GiB and 10 s, sparse: a tone at its end."""
    rate, total = 384_000, 2**32 + 2 * 384_000 * 10
    mark = pcm(tone(1000))
    for size in (total % 2**32, 0x7FFFFFFF, 0xFFFFFFFF):
        path = tmp_path / "x.wav"
        with open(path, "wb") as file:
            file.write(b"RIFF" + struct.pack("<I", (36 + size) & 0xFFFFFFFF) + b"WAVEfmt ")
            file.write(struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16))
            file.write(b"data" + struct.pack("<I", size))
            file.seek(44 + total - len(mark))
            file.write(mark)
        with pytest.warns(HeartfastWarning, match=f"data size {size}, found {total} bytes"):
            y, _ = heartfast.load(path, offset=(total / 2 - 1000) / rate)
        assert np.array_equal(y, np.frombuffer(mark, "<i2").astype(np.float32) / 32768)


def test_cut_files_say_both_lengths(tmp_path):
    y = tone(10 * SR)
    for name, data in {
        "wav": wav(y), "w64": w64(y), "aiff": aiff(y), "au": au(y), "caf": caf(y),
        "fact": wav(y[: 5 * SR], fact=10 * SR),
    }.items():  # fmt: skip
        half = data if name == "fact" else data[: len(data) // 2]
        found = load(tmp_path, half, "header 10.000 s, found [45].[09]..?")
        assert np.array_equal(found, samples(y)[: len(found)])
    one = load(tmp_path, wav(y)[:46], "header 10.000 s, found 1 sample")
    assert np.array_equal(one, samples(y)[:1])


def test_a_batch_counts_them(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    y = tone(10 * SR)
    for k in range(3):
        (folder / f"cut{k}.wav").write_bytes(wav(y)[: 20_044 + 1000 * k])
    (folder / "size.wav").write_bytes(wav(y, 44))
    (folder / "whole.wav").write_bytes(wav(y))
    done = heartfast.convert(folder, tmp_path / "out")
    first = folder / "cut0.wav"
    text = "header 10.000 s, found 2.500 s"
    cut = f"3 recordings are shorter than their headers say, the first: {first} ({text})"
    size = f"1 recording has {FITS_NOT} the file: {folder / 'size.wav'} (data size 44, found 80000"
    assert done.notes == [cut, f"{size} bytes)"]
    assert done.remarks[0] == ("cut", 3, str(first), text)
    text_of = (tmp_path / "out" / "manifest.jsonl").read_text()
    lines = [json.loads(line) for line in text_of.splitlines()][1:]
    remarks = {line["file_name"]: line.get("remarks") for line in lines}
    assert remarks["cut0.png"] == [["cut", text]]
    assert remarks["whole.png"] is None
    # The second run knows it from the manifest.
    again = heartfast.convert(folder, tmp_path / "out")
    assert (again.known, again.notes) == (5, done.notes)
    tasks = heartfast.convert(folder, tmp_path / "tasks", to="zip", shard="1/1", shard_mb=0.1)
    assert tasks.notes[-2:] == done.notes
    batch = {"bytes": [path.read_bytes() for path in sorted(folder.iterdir())]}
    with pytest.warns(HeartfastWarning) as found:
        heartfast.convert_batch(batch)
    assert [str(one.message)[:28] for one in found] == [note[:28] for note in done.notes]


def test_score_says_it(tmp_path):
    folder = tmp_path / "wav"
    heartfast.synth.write_corpus(folder, patients=24, recordings=1)
    png = heartfast.convert(folder, tmp_path / "png", labels="folders").out
    model = tmp_path / "model.heartfast"
    heartfast.train(png, model, folds=2, repeats=1, trials=1)
    (tmp_path / "cut.wav").write_bytes(wav(tone(10 * SR))[:20_044])
    result = heartfast.score(model, tmp_path / "cut.wav")
    said = [note for note in result.notes if "shorter than its header says" in note]
    assert len(said) == 1
    assert "found 2.500 s" in said[0]


# Limits.


def vbr_without_tag(tmp_path, tool):
    """Two seconds of silence and ten of noise: a guess by the first frames is far off."""
    rng = np.random.default_rng(0)
    y = np.concatenate([np.zeros(88_200), (0.5 * rng.standard_normal(441_000)).clip(-1, 1)])
    soundfile.write(tmp_path / "y.wav", y, 44_100)
    path = tmp_path / "vbr.mp3"
    command = [tool("ffmpeg"), "-v", "error", "-i", tmp_path / "y.wav", "-q:a", "4"]
    subprocess.run([*command, "-write_xing", "0", path], check=True)
    return path


def test_an_estimated_length_is_no_limits_business(tmp_path, tool):
    path = vbr_without_tag(tmp_path, tool)
    done = heartfast.convert(path, tmp_path / "out", limits=heartfast.Limits(max_duration_s=20))
    assert not done.errors
    assert not done.notes
    assert done.records[0].duration_s == pytest.approx(12, abs=0.1)
    done = heartfast.convert(path, tmp_path / "no", limits=heartfast.Limits(max_duration_s=10))
    assert done.errors[0].kind == "limit"


def test_a_declared_length_is_not_either(tmp_path):
    file = io.BytesIO()
    soundfile.write(file, tone(2 * SR), SR, format="FLAC")
    data = bytearray(file.getvalue())
    data[22:26] = (100 * SR).to_bytes(4, "big")
    path = tmp_path / "x.flac"
    path.write_bytes(data)
    done = heartfast.convert(path, tmp_path / "out", limits=heartfast.Limits(max_duration_s=3))
    assert not done.errors
    assert "header 100.000 s, found 2.000 s" in done.notes[0]


def test_an_mp3_that_is_cut(tmp_path, tool):
    y = tone(8 * 10 * SR)
    soundfile.write(tmp_path / "y.wav", y, 8 * SR)
    path = tmp_path / "y.mp3"
    command = [tool("ffmpeg"), "-v", "error", "-i", tmp_path / "y.wav", path]
    subprocess.run(command, check=True)
    data = path.read_bytes()
    assert len(load(tmp_path, data)) == len(y)
    half = load(tmp_path, data[: len(data) // 2], "header 10.000 s, found [45].")
    assert len(half) < 0.6 * len(y)


def test_half_a_file_in_segments(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav(tone(10 * SR))[: 44 + 5 * 2 * SR])
    done = heartfast.convert(path, tmp_path / "out", segment_s=2)
    assert len(done.records) == 3
    assert "header 10.000 s, found 5.000 s" in done.notes[0]
    with pytest.raises(DecodeError, match="expected a recording of more than the 6"):
        heartfast.load(path, offset=6.0)


@pytest.mark.parametrize(("codec", "at", "value"), [("ima", 3, 7), ("ima", 2, 200), ("ms", 0, 99)])
def test_a_block_of_adpcm_that_is_none(tmp_path, tool, codec, at, value):
    """What is before and after it stays in place."""
    soundfile.write(tmp_path / "y.wav", tone(3 * SR), SR)
    path = tmp_path / "x.wav"
    command = [tool("ffmpeg"), "-v", "error", "-i", tmp_path / "y.wav", "-c:a", f"adpcm_{codec}"]
    command[-1] += "_wav" if codec == "ima" else ""
    subprocess.run([*command, path], check=True)
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[32:34], "little")
    start = data.index(b"data") + 8
    data[start + 2 * size + at] = value
    path.write_bytes(data)
    block = 1 + (size - 4) * 2 if codec == "ima" else 2 + (size - 7) * 2
    lost = f"found {block / SR:.3f} s missing, {2 * block / SR:.3f} s in"
    with pytest.raises(DecodeError, match=lost):
        heartfast.load(path)
    done = heartfast.convert(path, tmp_path / "out")
    assert done.records[0].duration_s >= 3
    assert lost in done.errors[0].message
