"""Time: what headers claim is bounded, and a call that does not end is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast import synth

SOON_S = 20.0  # of an idle machine a second or two; what is tried for took minutes
STREAM_INFORMATION = (
    struct.pack(">HH", 4096, 4096)
    + bytes(6)
    + ((4000 << 44) | (15 << 36) | 4000).to_bytes(8, "big")
    + bytes(16)
)


def block(kind: int, data: bytes, *, last: bool = False) -> bytes:
    return bytes([kind | last << 7]) + struct.pack(">I", len(data))[1:] + data


def descending(points: int) -> bytes:
    return b"".join(struct.pack(">QQH", points - i, 0, 0) for i in range(points))


@pytest.fixture(scope="module")
def flac(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Path:
    tool("ffmpeg")
    folder = tmp_path_factory.mktemp("flac")
    samples, sr = synth.heart_sound(duration_s=3.0, sr=8000)
    synth.write_wav(folder / "x.wav", samples, sr)
    command = ["ffmpeg", "-v", "error", "-i", folder / "x.wav", folder / "x.flac"]
    subprocess.run(command, check=True)
    return folder / "x.flac"


def within(seconds: float, call: Callable[[], object]) -> object:
    start = time.monotonic()
    result = call()
    assert time.monotonic() - start < seconds
    return result


def test_a_descending_seek_table(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    table = descending(932_000)
    path.write_bytes(b"fLaC" + block(0, STREAM_INFORMATION) + block(3, table, last=True))
    with pytest.raises(heartfast.DecodeError):
        within(SOON_S, lambda: heartfast.load(path))
    result = heartfast.convert_batch({"bytes": [path.read_bytes()]})
    assert result["error"][0]


HOSTILE_BLOCKS = {
    "seek table": block(3, descending(200_000)),
    "seek tables": block(3, descending(1000)) * 3,
    "many paddings": block(1, b"") * 500_000,
    "many applications": block(2, b"test") * 300_000,
    "comments": block(
        4, struct.pack("<II", 0, 2_000_000) + struct.pack("<I", 2) + b"A=" * 8_000_000
    ),
    "many comments": block(4, struct.pack("<II", 0, 1) + struct.pack("<I", 3) + b"A=b") * 100_000,
    "picture": block(6, struct.pack(">II", 3, 0xFFFF_FFFF) + bytes(1000)),
    "pictures": block(6, struct.pack(">8I", 3, 0, 0, 1, 1, 1, 0, 1_000_000) + bytes(10**6)) * 20,
    "cue sheet": block(5, bytes(128) + bytes(8) + b"\0" + bytes(258) + b"\xff" + b"\xff" * 9000),
    "unknown": block(100, bytes(1000)) * 1000,
}


@pytest.mark.parametrize("kind", HOSTILE_BLOCKS)
def test_metadata_of_flac_is_passed_over(kind: str, flac: Path, tmp_path: Path) -> None:
    """The samples are those of the file without it, by soundfile."""
    soundfile = pytest.importorskip("soundfile")
    data = flac.read_bytes()
    assert data[4] & 0x7F == 0
    path = tmp_path / "x.flac"
    head = b"fLaC" + bytes([0]) + data[5:42]
    rest = data[42:] if data[4] < 0x80 else block(1, b"", last=True) + data[42:]
    path.write_bytes(head + HOSTILE_BLOCKS[kind] + rest)
    samples, _ = within(SOON_S, lambda: heartfast.load(path))  # type: ignore[misc]
    expected, _ = soundfile.read(flac, dtype="float32")
    np.testing.assert_array_equal(samples, expected)


def table_of(kind: bytes, count: int, entries: bytes) -> bytes:
    body = bytes(4) + struct.pack(">I", count) + entries
    return struct.pack(">I", len(body) + 8) + kind + body


@pytest.mark.parametrize("kind", [b"stts", b"stsc", b"stsz", b"stco", b"ctts", b"elst", b"stss"])
def test_tables_of_mp4_that_claim_too_much(kind: bytes, flac: Path, tmp_path: Path) -> None:
    """A count beyond the table, in a file that is right otherwise."""
    source = tmp_path / "x.m4a"
    command = ["ffmpeg", "-v", "error", "-i", flac, "-c:a", "aac", source]
    subprocess.run(command, check=True)
    data = bytearray(source.read_bytes())
    at = data.find(kind)
    if at < 0:
        pytest.skip("ffmpeg writes no such table")
    data[at + 8 : at + 12] = b"\xff\xff\xff\xff"
    source.write_bytes(data)

    def load() -> None:
        with contextlib.suppress(heartfast.HeartfastError):
            heartfast.load(source)

    within(SOON_S, load)


def fragmented(flac: Path, folder: Path) -> bytearray:
    path = folder / "fragmented.m4a"
    command = ["ffmpeg", "-v", "error", "-i", flac, "-c:a", "aac"]
    command += ["-movflags", "frag_keyframe+empty_moov", path]
    subprocess.run(command, check=True)
    return bytearray(path.read_bytes())


def test_a_run_of_samples_without_bytes(flac: Path, tmp_path: Path) -> None:
    """Four billion samples that have all their fields from elsewhere, a thousand times."""
    data = fragmented(flac, tmp_path)
    at = data.find(b"trun") - 4
    run = struct.pack(">I4sII", 16, b"trun", 0, 0xFFFF_FFFF) * 1000
    for box in (b"traf", b"moof"):
        place = data.find(box) - 4
        size = struct.unpack_from(">I", data, place)[0]
        struct.pack_into(">I", data, place, size + len(run))
    data[at:at] = run
    path = tmp_path / "x.m4a"
    path.write_bytes(data)

    def load() -> None:
        with contextlib.suppress(heartfast.HeartfastError):
            heartfast.load(path)

    within(SOON_S, load)


def vorbis_bits(*fields: tuple[int, int]) -> bytes:
    """Numbers of so many bits each, the lowest first."""
    number = at = 0
    for value, bits in fields:
        number |= value << at
        at += bits
    return number.to_bytes((at + 7) // 8, "little")


def ogg(packets: Sequence[bytes]) -> bytes:
    table = [0] * 256
    for i in range(256):
        c = i << 24
        for _ in range(8):
            c = (c << 1) ^ (0x04C11DB7 if c & 0x8000_0000 else 0)
        table[i] = c & 0xFFFF_FFFF
    pages = b""
    for number, packet in enumerate(packets):
        lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        assert len(lacing) < 256
        head = (
            b"OggS\0" + bytes([2 if number == 0 else 0]) + bytes(8) + struct.pack("<II", 1, number)
        )
        page = head + bytes(4) + bytes([len(lacing)]) + lacing + packet
        crc = 0
        for byte in page:
            crc = ((crc << 8) & 0xFFFF_FFFF) ^ table[(crc >> 24) ^ byte]
        pages += head + struct.pack("<I", crc) + page[26:]
    return pages


def test_tables_of_vorbis(tmp_path: Path) -> None:
    """A file of some kilobytes whose 256 tables would take gigabytes."""
    rate = struct.pack("<IBIIIIBB", 0, 1, 8000, 0, 64_000, 0, 0xB8, 1)
    comment = b"\x03vorbis" + bytes(8) + b"\1"
    one: list[tuple[int, int]] = [(0x564342, 24), (32, 16), (1 << 17, 24), (1, 1), (16, 5)]
    one += [(1 << 17, 18), (1, 4), (0, 32), (0, 32), (0, 4), (0, 1), (0, 1)]
    setup = b"\x05vorbis" + vorbis_bits((255, 8), *one * 256)
    path = tmp_path / "x.ogg"
    path.write_bytes(ogg([b"\x01vorbis" + rate, comment, setup, b"\0" * 10]))
    with pytest.raises(heartfast.HeartfastError) as caught:
        within(SOON_S, lambda: heartfast.load(path))
    print(caught.value)  # noqa: T201 - pytest -rP shows it


def test_a_header_of_noise_ends_soon(tmp_path: Path) -> None:
    """The marks of each format in front of noise."""
    noise = np.random.default_rng(0).bytes(4_000_000)
    marks = {
        "flac": b"fLaC" + block(0, STREAM_INFORMATION, last=True),
        "ogg": b"OggS\0\2" + bytes(20) + b"\1",
        "m4a": b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
        "caf": b"caff\0\1\0\0desc",
        "mp3": b"ID3\4\0\0\0\0\0\0",
        "wav": b"RIFF\xff\xff\xff\xffWAVE",
        "aiff": b"FORM\xff\xff\xff\xffAIFC",
        "zip": b"PK\3\4",
    }
    for name, mark in marks.items():
        (tmp_path / f"x.{name}").write_bytes(mark + noise)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = within(60, lambda: heartfast.convert(tmp_path, tmp_path / "out", jobs=1))
    assert result.pictures == 0  # type: ignore[attr-defined]


# A recording whose bytes a function gives that does not return for a minute: as a decoder that
# looks at nothing. Signals are sent once it is called.
STUCK = """
import os, signal, sys, threading, time
import heartfast
from heartfast.recordings import Recording
from heartfast.stages import convert
def read(start, length):
    for number in sys.argv[1].split():
        time.sleep(0.1)
        os.kill(os.getpid(), int(number))
    time.sleep(60)
    return b""
def find(*arguments, **named):
    return [Recording("/x.wav", "x.wav", (read, 1000, 0))]
convert.find_recordings = find
if sys.argv[2] == "library":
    try:
        heartfast.convert("x", sys.argv[3])
    except KeyboardInterrupt:
        print("KeyboardInterrupt", flush=True)
        os._exit(7)
from heartfast.cli import main
sys.exit(main(["convert", "x", "-o", sys.argv[3], "--jobs", sys.argv[4]]))
"""
INT, TERM = str(int(signal.SIGINT)), str(int(signal.SIGTERM))


@pytest.mark.parametrize(
    ("signals", "code", "word"),
    [(INT, 130, "interrupted"), (f"{INT} {INT}", 130, "interrupted"), (TERM, 143, "terminated"),
     (f"{TERM} {TERM}", 143, "terminated")],
)  # fmt: skip
def test_a_call_that_does_not_end_is_left_behind(
    signals: str, code: int, word: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", STUCK, signals, "verb", str(tmp_path / "out"), "2"]
    start = time.monotonic()
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert time.monotonic() - start < SOON_S
    assert ran.returncode == code
    first, last = ran.stderr.splitlines()
    assert first == "finishing what is in hand; once more to stop at once"
    assert last.startswith(f"heartfast convert: {word}")
    names = {name for _, _, files in os.walk(tmp_path) for name in files}
    assert not any(name.endswith(".png") for name in names)
    assert "metadata.csv" not in names


def test_a_caller_gets_the_interrupt(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUCK, f"{INT} {INT}", "library", str(tmp_path / "out"), "1"]
    start = time.monotonic()
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert time.monotonic() - start < SOON_S
    assert (ran.returncode, ran.stdout) == (7, "KeyboardInterrupt\n")


@pytest.mark.parametrize("kind", ["flac", "m4a", "mp3", "ogg"])
def test_a_signal_ends_a_reader(kind: str, tmp_path: Path, tool: Callable[[str], str]) -> None:
    """Gigabytes of zeros behind a header: readers search them, and look at nothing."""
    tool("ffmpeg")
    marks = {
        "flac": b"fLaC" + block(0, STREAM_INFORMATION, last=True),
        "ogg": b"OggS\0\2" + bytes(20) + b"\1\x1e\x01vorbis",
        "m4a": b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
        "mp3": b"ID3\4\0\0\0\0\0\0",
    }
    path = tmp_path / f"x.{kind}"
    path.write_bytes(marks[kind])
    os.truncate(path, 20 << 30)
    command = [Path(sys.executable).parent / "heartfast", "convert", path, "-o", tmp_path / "out"]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        time.sleep(2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert time.monotonic() - start < SOON_S
        # Some are known to be none before a signal comes.
        assert process.returncode in (1, 130)
