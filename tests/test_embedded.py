"""A file in which a recording is merely embedded is none; one that begins in a frame is."""

from __future__ import annotations

import gzip
import pickle
import sqlite3
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast import synth

RATE = 44_100


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Path:
    """Ten seconds of sound in every format that is read by its marks."""
    tool("ffmpeg")
    folder = tmp_path_factory.mktemp("recordings")
    samples, sr = synth.heart_sound(duration_s=10.0, sr=RATE)
    synth.write_wav(folder / "x.wav", samples, sr)
    codecs = {"mp3": "libmp3lame", "flac": "flac", "ogg": "libvorbis", "m4a": "aac", "aac": "aac"}
    for extension, codec in codecs.items():
        command = ["ffmpeg", "-v", "error", "-i", folder / "x.wav", "-c:a", codec]
        subprocess.run([*command, folder / f"x.{extension}"], check=True)
    for extension, codec in {"aiff": "pcm_s16be", "caf": "alac"}.items():
        command = ["ffmpeg", "-v", "error", "-i", folder / "x.wav", "-c:a", codec]
        subprocess.run([*command, folder / f"x.{extension}"], check=True)
    return folder


def sqlite(data: bytes, folder: Path) -> bytes:
    base = sqlite3.connect(folder / "x.db")
    base.execute("create table sounds (name text, sound blob)")
    base.execute("insert into sounds values ('x', ?)", [data])
    base.commit()
    base.close()
    return (folder / "x.db").read_bytes()


def pdf(data: bytes, _: Path) -> bytes:
    head = b"%PDF-1.7\n1 0 obj\n<< /Type /EmbeddedFile /Length " + str(len(data)).encode()
    return head + b" >>\nstream\n" + data + b"\nendstream\nendobj\n%%EOF\n"


def png(data: bytes, _: Path) -> bytes:
    picture = heartfast.encode_png(np.zeros((2, 2), np.uint8))
    chunk = b"raWd" + data
    return (
        picture[:33]
        + struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + picture[33:]
    )  # fmt: skip


def mat(data: bytes, folder: Path) -> bytes:
    savemat = pytest.importorskip("scipy.io").savemat
    sound = np.frombuffer(data, np.uint8)
    savemat(folder / "x.mat", {"sound": sound})
    return (folder / "x.mat").read_bytes()


def parquet(data: bytes, folder: Path) -> bytes:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    audio = [{"bytes": data, "path": f"{i}.wav"} for i in range(3)]
    table = pa.table({"audio": audio, "label": [0, 1, 2]})
    pyarrow.parquet.write_table(table, folder / "x.parquet", compression="none")
    return (folder / "x.parquet").read_bytes()


def feather(data: bytes, folder: Path) -> bytes:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import feather

    feather.write_feather(pa.table({"bytes": [data, data]}), folder / "x.f", "uncompressed")
    return (folder / "x.f").read_bytes()


def arrow_stream(data: bytes, _: Path) -> bytes:
    pa = pytest.importorskip("pyarrow")
    batch = pa.record_batch({"bytes": [data, data]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    made: bytes = sink.getvalue().to_pybytes()
    return made


def tfrecord(data: bytes, _: Path) -> bytes:
    """Records of TensorFlow's, without sums, which nobody here looks at."""
    one = struct.pack("<QI", len(data), 0) + data + bytes(4)
    return one * 2


CONTAINERS: dict[str, Callable[[bytes, Path], bytes]] = {
    "sqlite": sqlite,
    "pdf": pdf,
    "png": png,
    "mat": mat,
    "parquet": parquet,
    "feather": feather,
    "arrow stream": arrow_stream,
    "tfrecord": tfrecord,
    "pickle": lambda data, _: pickle.dumps({"sr": RATE, "sound": data}, 4),
    "old pickle": lambda data, _: pickle.dumps([data, data], 2),
    "numpy": lambda data, _: b"\x93NUMPY\x01\0" + b"v\0" + b" " * 118 + data,
    "hdf5": lambda data, _: b"\x89HDF\r\n\x1a\n" + bytes(2040) + data,
    "7z": lambda data, _: b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24) + data,
    "gzip": lambda data, _: gzip.compress(data, 0),
    "text": lambda data, _: b"a line of a protocol\n" * 300 + data,
    "noise": lambda data, _: np.random.default_rng(0).bytes(5000) + data,
    "avi": lambda data, _: b"RIFF" + struct.pack("<I", len(data)) + b"AVI LIST" + data,
    "web page": lambda data, _: b"<!DOCTYPE html><html><body>not found</body></html>" + data * 2,
}
KINDS = ("wav", "mp3", "flac", "ogg", "m4a", "aac", "aiff", "caf")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_are_refused(
    container: str, kind: str, recordings: Path, tmp_path: Path
) -> None:
    data = (recordings / f"x.{kind}").read_bytes()
    path = tmp_path / "sound.wav"
    path.write_bytes(CONTAINERS[container](data, tmp_path))
    with pytest.raises((heartfast.DecodeError, heartfast.UnsupportedFormatError)) as caught:
        heartfast.load(path)
    assert "\n" not in str(caught.value)
    # The same for a recording that is handed over as bytes, and for a part of a file.
    batch = heartfast.convert_batch({"bytes": [path.read_bytes()]})
    assert batch["error"][0]
    with pytest.raises((heartfast.DecodeError, heartfast.UnsupportedFormatError)):
        heartfast.load(path, duration=1.0)


@pytest.mark.parametrize(
    ("container", "name"),
    [("sqlite", "SQLite"), ("parquet", "Parquet"), ("feather", "Arrow"), ("pdf", "PDF"),
     ("png", "PNG"), ("mat", "MAT"), ("hdf5", "HDF5"), ("pickle", "pickle"), ("7z", "7-Zip"),
     ("numpy", "NumPy"), ("avi", "AVI"), ("arrow stream", "Arrow"), ("web page", "web page")],
)  # fmt: skip
def test_messages_say_what_it_is(
    container: str, name: str, recordings: Path, tmp_path: Path
) -> None:
    data = (recordings / "x.wav").read_bytes()
    (tmp_path / "x").write_bytes(CONTAINERS[container](data, tmp_path))
    with pytest.raises(heartfast.UnsupportedFormatError, match=name):
        heartfast.load(tmp_path / "x")


def frames_by_ffmpeg(path: Path, *options: str) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", *options, "-i", path, "-f", "f32le", "-ac", "1", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<f4")


@pytest.mark.parametrize("kind", ["mp3", "aac"])
@pytest.mark.parametrize("seed", range(6))
def test_captures_that_begin_in_a_frame(
    kind: str, seed: int, recordings: Path, tmp_path: Path
) -> None:
    """As ffmpeg reads them, but for the first frames, which lean on those that are not there."""
    data = (recordings / f"x.{kind}").read_bytes()
    at = int(np.random.default_rng(seed).integers(5000, len(data) // 2))
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[at:])
    samples, _ = heartfast.load(path)
    expected = frames_by_ffmpeg(path)
    assert abs(len(samples) - len(expected)) <= 2 * 1152
    n = min(len(samples), len(expected)) - 8 * 1152
    np.testing.assert_allclose(samples[-n:], expected[-n:], atol=2e-3)


@pytest.mark.parametrize(
    "front",
    [
        bytes(3000),
        bytes(30_000),
        b"ICY 200 OK\r\nicy-name: a station\r\nicy-br: 128\r\n\r\n",
        b"ID3\4\0\0\0\0\1\0" + bytes(128) + b"more than the tag says" * 1000,
        b"ID3\4\0\0\0\0\1\0" + bytes(128),
        b"APETAGEX" + struct.pack("<IIII", 2000, 132, 1, 0xA0000000) + bytes(8) + bytes(132),
    ],
    ids=["zeros", "more zeros", "shoutcast", "short tag", "tag", "ape"],
)
def test_what_ffmpeg_passes_over(front: bytes, recordings: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(front + (recordings / "x.mp3").read_bytes())
    samples, _ = heartfast.load(path)
    expected, _ = heartfast.load(recordings / "x.mp3")
    assert len(frames_by_ffmpeg(path)) > 0
    np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize("kind", ["flac", "wav", "aiff", "mp3", "ogg", "caf"])
def test_tags_in_front_of_any_format(kind: str, recordings: Path, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    path.write_bytes(tag * 2 + (recordings / f"x.{kind}").read_bytes())
    samples, _ = heartfast.load(path)
    expected, _ = heartfast.load(recordings / f"x.{kind}")
    np.testing.assert_array_equal(samples, expected)
