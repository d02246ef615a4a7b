"""Decoding against soundfile, scipy, sox and ffmpeg."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import heartfast
from heartfast import DecodeError, HeartfastError, UnsupportedFormatError

# What soundfile writes and we read: sample for sample the same.
EXACT = [
    *(("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW",
                           "ALAW")),
    *(("WAVEX", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *(("FLAC", s) for s in ("PCM_S8", "PCM_16", "PCM_24")),
    *(("AIFF", s) for s in ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE",
                            "ULAW", "ALAW")),
    *(("RF64", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")),
    *(("RF64", s) for s in ("DOUBLE", "ULAW", "ALAW")),
    *(("W64", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW",
                           "ALAW")),
    *(("AU", s) for s in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW",
                          "ALAW")),
    *(("CAF", s) for s in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW",
                           "ALAW")),
]  # fmt: skip
# Decoders of these may round otherwise: samples to so much.
CLOSE = [
    ("OGG", "VORBIS", 1e-5),
    ("MP3", "MPEG_LAYER_III", 1e-5),
    ("WAV", "IMA_ADPCM", 2e-3),
    ("WAV", "MS_ADPCM", 1e-2),
]
UNREAD = [
    ("WAV", "GSM610"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_16"), ("AIFF", "GSM610"),
    ("AU", "G721_32"), ("OGG", "OPUS"),
]  # fmt: skip


def noise(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(n + channels).uniform(-1, 1, (n, channels))


def both(path) -> tuple[np.ndarray, np.ndarray]:
    """Samples (n, channels) as we read them and as soundfile does."""
    y, sr = heartfast.load(path, mono=False)
    expected, expected_sr = soundfile.read(path, dtype="float32", always_2d=True)
    assert sr == expected_sr
    assert y.dtype == np.float32
    assert y.ndim == (1 if expected.shape[1] == 1 else 2)
    return np.atleast_2d(y).T, expected


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(("form", "subtype"), EXACT)
def test_samples_are_soundfiles(tmp_path, form, subtype, channels):
    for n in (1, 2, 5000):
        # The name does not count.
        soundfile.write(tmp_path / "x.mp3", noise(n, channels), 8000, format=form, subtype=subtype)
        y, expected = both(tmp_path / "x.mp3")
        assert np.array_equal(y, expected)
        mono, _ = heartfast.load(tmp_path / "x.mp3")
        assert mono.shape == expected.shape[:1]
        np.testing.assert_allclose(mono, expected.mean(axis=1), rtol=0, atol=3e-7)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("form", "subtype", "error"), CLOSE)
def test_lossy_samples_are_soundfiles(tmp_path, form, subtype, error, channels):
    path = tmp_path / "x"
    soundfile.write(path, 0.5 * noise(5000, channels), 8000, format=form, subtype=subtype)
    y, expected = both(path)
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() < error


@pytest.mark.parametrize(("form", "subtype"), UNREAD)
def test_what_is_not_read_is_said_to_be_unsupported(tmp_path, form, subtype):
    sr = 48000 if subtype == "OPUS" else 8000
    soundfile.write(tmp_path / "x", noise(5000), sr, format=form, subtype=subtype)
    with pytest.raises(UnsupportedFormatError) as caught:
        heartfast.load(tmp_path / "x")
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'x'}: expected a WAV, AIFF, AU, FLAC, OGG Vorbis")
    assert ", found " in said
    assert "\n" not in said


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=200), st.integers(1, 9))
def test_any_16_bit_samples(tmp_path_factory, samples, channels):
    samples = np.array(samples, np.int16)
    samples = samples[: len(samples) // channels * channels].reshape(-1, channels)
    if not len(samples):
        return
    path = tmp_path_factory.getbasetemp() / "sixteen.wav"
    soundfile.write(path, samples, 44100, subtype="PCM_16")
    y, _ = heartfast.load(path, mono=False)
    assert np.array_equal(np.atleast_2d(y).T * np.float32(32768), samples)


def chunk(kind: bytes, data: bytes, declared: int | None = None) -> bytes:
    size = len(data) if declared is None else declared
    return kind + struct.pack("<I", size) + data + b"\0" * (len(data) % 2)


def wav(*chunks: bytes, declared: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return chunk(b"RIFF", body, declared)


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 4000, 8000, 2, 16))
SAMPLES = (1000 * np.sin(np.arange(3000))).astype("<i2")
DATA = SAMPLES.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        wav(FMT, chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf58.29.100\0"), chunk(b"data", DATA)),
        wav(chunk(b"JUNK", b"x" * 28), FMT, chunk(b"odd ", b"abc"), chunk(b"data", DATA)),
        wav(FMT, chunk(b"data", DATA), chunk(b"LIST", b"INFOICMT\4\0\0\0abc\0")),
        wav(FMT, chunk(b"data", DATA)) + b"left over",
        # Written to a pipe: the sizes were not known.
        wav(FMT, chunk(b"data", DATA, 2**32 - 1), declared=2**32 - 1),
        wav(FMT, chunk(b"data", DATA, 4_000_000_000)),
    ],
    ids=[
        "LIST before data",
        "odd chunk",
        "LIST after data",
        "bytes behind",
        "sizes unknown",
        "over-declared",
    ],
)
def test_chunks(tmp_path, content):
    (tmp_path / "x.wav").write_bytes(content)
    y, sr = heartfast.load(tmp_path / "x.wav")
    assert sr == 4000
    assert np.array_equal(y * np.float32(32768), SAMPLES)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("cut", [100, 1001, 20001, 100003])
def test_what_is_there_of_a_truncated_wav(tmp_path, subtype, cut):
    soundfile.write(tmp_path / "x.wav", noise(50000, 2), 8000, subtype=subtype)
    os.truncate(tmp_path / "x.wav", cut)
    y, expected = both(tmp_path / "x.wav")
    assert np.array_equal(y, expected)


@pytest.mark.parametrize("cut", [5001, 9999, 14002])
@pytest.mark.parametrize(
    ("form", "subtype"),
    [("AIFF", "PCM_16"), ("AIFF", "ULAW"), ("CAF", "PCM_24"), ("AU", "FLOAT"), ("W64", "PCM_16"),
     ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM")],
)  # fmt: skip
def test_what_is_there_of_other_truncated_files(tmp_path, form, subtype, cut):
    path = tmp_path / "x"
    soundfile.write(path, 0.5 * noise(30000), 8000, format=form, subtype=subtype)
    whole, size = heartfast.load(path)[0], os.path.getsize(path)
    os.truncate(path, cut)
    y, _ = heartfast.load(path)
    assert np.array_equal(y, whole[: len(y)])
    # All but what the header takes, in proportion.
    assert (cut - 4096) / size < len(y) / len(whole) <= cut / size


def test_a_flac_with_a_hole_is_damaged(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(50000), 8000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=r"found 0\.512 s missing, \d+\.\d+ s in$"):
        heartfast.load(path)


def test_what_is_there_of_a_truncated_flac(tmp_path):
    whole = noise(50000)
    soundfile.write(tmp_path / "x.flac", whole, 8000)
    os.truncate(tmp_path / "x.flac", os.path.getsize(tmp_path / "x.flac") // 2)
    y, _ = heartfast.load(tmp_path / "x.flac")
    assert 20000 < len(y) <= 25000
    assert np.abs(y - whole[: len(y), 0]).max() < 1e-4


READABLE = "a WAV, AIFF, AU, FLAC, OGG Vorbis, MP3, CAF or M4A recording"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", DecodeError, f"expected {READABLE}, found an empty file"),
        (b"%PDF-1.7 is no sound" * 20, UnsupportedFormatError,
         f"expected {READABLE}, found a PDF document"),
        (b"Dear diary, " * 20, UnsupportedFormatError,
         f'expected {READABLE}, found a file that starts with "Dear diary, "'),
        (wav(FMT, chunk(b"data", b"")), DecodeError, "expected at least one sample, found none"),
        (wav(FMT, chunk(b"data", DATA))[:44], DecodeError,
         "expected at least one sample, found none"),
        (wav(FMT, chunk(b"data", DATA))[:30], DecodeError,
         "expected a WAV format of at least 14 bytes, found 10"),
        (wav(FMT), DecodeError, 'expected a "data" chunk in the WAV file, found none'),
    ],
    ids=["empty", "foreign", "text", "no data", "cut after header", "cut in header",
         "no data chunk"],
)  # fmt: skip
def test_bad_recordings(tmp_path, content, error, message):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        heartfast.load(path)
    assert str(caught.value) == f"{path}: {message}"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_headers_never_crash(tmp_path_factory, data):
    """Any bytes changed or cut off: samples, or one line that names the file."""
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    content = bytearray(wav(FMT, chunk(b"LIST", b"INFOISFT\2\0\0\0ab"), chunk(b"data", DATA[:200])))
    for at, byte in data.draw(
        st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255)), max_size=6)
    ):
        content[at] = byte
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        y, sr = heartfast.load(path)
        said = f"{path}: expected {sr}" if y.size > 0 and sr > 0 else "nothing"
    except HeartfastError as error:
        said = str(error)
    assert said.startswith(f"{path}: expected ")
    assert "\n" not in said


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        heartfast.load(tmp_path / "nothing.wav")
    assert caught.value.filename == str(tmp_path / "nothing.wav")
    assert str(caught.value) == (
        f"[Errno 2] expected a recording, found nothing: '{tmp_path}/nothing.wav'"
    )
    with pytest.raises(IsADirectoryError) as caught:
        heartfast.load(tmp_path)
    assert str(caught.value) == f"[Errno 21] expected a recording, found a folder: '{tmp_path}'"
    with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object, not int"):
        heartfast.load(5)


def test_unreadable(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav(FMT, chunk(b"data", DATA)))
    path.chmod(0)
    # Root reads everything: be nobody.
    code = f"""
import os, numpy, heartfast
load = heartfast.load
if os.geteuid() == 0:
    os.seteuid(65534)
load({str(path)!r})
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "expected a recording, found a file that may not be read"
    said = f"PermissionError: [Errno 13] {said}: '{path}'"
    assert result.stderr.splitlines()[-1] == said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    with pytest.raises(OSError, match="expected a recording, found a pipe") as caught:
        heartfast.load(tmp_path / "x.wav")
    assert str(tmp_path / "x.wav") in str(caught.value)
    with pytest.raises(OSError, match="expected a recording, found a pipe"):
        heartfast.load("/dev/zero")


RATES = [(44100, 16000), (16000, 44100), (44100, 48000), (48000, 44100), (4000, 2000),
         (2000, 4000), (8000, 4001), (11025, 8000)]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), RATES)
def test_resampled_tones(tmp_path, old, new):
    """Level and place of tones that fit, silence of those that do not."""
    t = np.arange(2 * old) / old
    nyquist = min(old, new) / 2
    middle = slice(new // 2, 3 * new // 2)
    for share in (0.02, 0.3, 0.7, 0.9):
        f = share * nyquist
        soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * f * t), old, subtype="FLOAT")
        y, sr = heartfast.load(tmp_path / "x.wav", sr=new)
        assert sr == new
        assert len(y) == 2 * new
        expected = 0.5 * np.sin(2 * np.pi * f * np.arange(2 * new) / new)
        error = np.sqrt(np.mean((y - expected)[middle] ** 2) / np.mean(expected**2))
        # 0.1 dB, or as much of a phase error, would be 0.012.
        assert error < 1e-4
    for share in (1.1, 1.3):
        f = share * nyquist
        if f < 0.95 * old / 2:
            soundfile.write(tmp_path / "x.wav", np.sin(2 * np.pi * f * t), old, subtype="FLOAT")
            y, _ = heartfast.load(tmp_path / "x.wav", sr=new)
            assert 20 * np.log10(np.abs(y[middle]).max()) < -60


@pytest.mark.parametrize(("old", "new"), RATES)
def test_resampling_is_scipys(tmp_path, old, new):
    """Noise below 70 % of the lower Nyquist frequency, where both filters pass."""
    y = np.random.default_rng(4).normal(0, 0.1, (old, 2))
    low = scipy.signal.firwin(2001, 0.7 * min(old, new) / old)
    y = scipy.signal.oaconvolve(y, low[:, None], mode="same", axes=0)
    soundfile.write(tmp_path / "x.wav", y, old, subtype="FLOAT")
    actual, _ = heartfast.load(tmp_path / "x.wav", sr=new, mono=False)
    divisor = math.gcd(old, new)
    expected = scipy.signal.resample_poly(y, new // divisor, old // divisor, window=("kaiser", 8.0))
    assert actual.shape == expected.T.shape
    middle = slice(new // 10, -new // 10)
    error = np.abs(actual.T - expected)[middle].max() / np.abs(expected).max()
    assert error < 5e-3
    mono, _ = heartfast.load(tmp_path / "x.wav", sr=new)
    np.testing.assert_allclose(mono, actual.mean(axis=0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 999, 1000])
def test_resampled_lengths(tmp_path, n):
    soundfile.write(tmp_path / "x.wav", noise(n), 44100)
    for new in (16000, 44100, 44101, 96000):
        y, sr = heartfast.load(tmp_path / "x.wav", sr=new)
        assert (sr, len(y)) == (new, -(-n * new // 44100))
    assert np.array_equal(heartfast.load(tmp_path / "x.wav", sr=44100)[0],
                          heartfast.load(tmp_path / "x.wav")[0])  # fmt: skip


@pytest.mark.parametrize("sr", [0, -1, 16000.5, 2**40])
def test_bad_rates(tmp_path, sr):
    soundfile.write(tmp_path / "x.wav", noise(10), 8000)
    with pytest.raises(ValueError, match=r"^sr: expected a whole number of samples per second"):
        heartfast.load(tmp_path / "x.wav", sr=sr)
    with pytest.raises(ValueError, match="sr: expected a sample rate of 1 to 3072000 Hz, found"):
        heartfast.load(tmp_path / "x.wav", sr=4_000_000)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_what_sox_writes(tool, tmp_path, bits):
    path = tmp_path / "x.wav"
    made = ["-n", "-r", "8000", "-b", str(bits), path, "synth", "1", "pinknoise"]
    subprocess.run([tool("sox"), "-R", *made], check=True)
    raw = subprocess.run(
        [tool("sox"), path, "-t", "f64", "-"], check=True, capture_output=True
    ).stdout
    y, sr = heartfast.load(path)
    assert sr == 8000
    assert np.array_equal(y, np.frombuffer(raw, np.float64).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "codec", "error"),
    [
        ("x.wav", "pcm_s16le", 0), ("x.wav", "pcm_s24le", 0), ("x.wav", "pcm_f32le", 0),
        ("x.aiff", "pcm_s16be", 0), ("x.flac", "flac", 0), ("x.caf", "pcm_s16le", 0),
        ("x.m4a", "alac", 0), ("x.m4a", "aac", 1e-3), ("x.wav", "adpcm_ima_wav", 2e-3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2])
def test_what_ffmpeg_writes(tool, tmp_path, name, codec, error, channels):
    ffmpeg = [tool("ffmpeg"), "-v", "error", "-y"]
    source = f"anoisesrc=d=1:r=8000:c=pink:a=0.2:s=7,aformat=channel_layouts={channels}c"
    path = tmp_path / name
    subprocess.run([*ffmpeg, "-f", "lavfi", "-i", source, "-ac", str(channels), "-c:a", codec,
                    "-bitexact", path], check=True)  # fmt: skip
    raw = subprocess.run([*ffmpeg, "-i", path, "-f", "f32le", "-"], check=True,
                         capture_output=True).stdout  # fmt: skip
    expected = np.frombuffer(raw, np.float32).reshape(-1, channels)
    y = np.atleast_2d(heartfast.load(path, mono=False)[0]).T
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= error
