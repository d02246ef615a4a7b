"""Memory: files that are far longer than they are worth, in a process with 600 MB of it."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tarfile
import textwrap
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast import synth

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

GB = 1 << 30
LIMIT = 600 << 20  # of addresses, of which some are never used
MOST = 64 << 20  # promised beside what is decoded

# Does argv[1] with the paths behind it, and says what became of it and how much memory that took.
CHILD = """
    import json, os, resource, sys
    import numpy
    import heartfast
    from heartfast import _core
    from heartfast.limits import Limits
    from heartfast.selection import Selection

    heartfast.convert_batch({"bytes": [b"RIFF"]})
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))

    def status(field):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith(field))

    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, verb, path = status("VmRSS"), sys.argv[2], sys.argv[3]
    decoded, said = 0, []
    describer = _core.Describer(heartfast.SpectrogramConfig(), Selection(), Limits())
    try:
        if verb == "load":
            decoded = heartfast.load(path, mono=False)[0].nbytes
        elif verb == "part":
            decoded = heartfast.load(path, duration=1.0)[0].nbytes
        elif verb == "describe":
            rows, told, odd = describer.describe([(path, path)], 1)
            said = [error for _, _, error in told]
        elif verb == "remote":
            file = open(path, "rb")
            def read(start, length):
                file.seek(start)
                return file.read(length)
            far = (read, os.path.getsize(path), 0)
            rows, told, odd = describer.describe([(far, path)], 1)
            said = [error for _, _, error in told]
        else:
            result = heartfast.convert(path, path + "-out", jobs=1)
            said = [error.message for error in result.errors]
    except (heartfast.HeartfastError, OSError, MemoryError) as error:
        said = [f"{type(error).__name__}: {error}"]
    print(json.dumps([said, status("VmHWM") - before, decoded]))
"""


def run(verb: str, path: Path, limit: int = LIMIT) -> tuple[list[str], int, int]:
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(limit), verb, str(path)]
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX")
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
            **dict.fromkeys(names, "1"),
        },
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    said, peak, decoded = json.loads(ran.stdout)
    return said, peak, decoded


def wav_head(rate: int, size: int = 0xFFFF_FFFF) -> bytes:
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"RIFF" + struct.pack("<I", 0xFFFF_FFFF) + b"WAVEfmt " + fmt + b"data" + struct.pack(
        "<I", size
    )  # fmt: skip


FLAC = (
    b"fLaC\x80\0\0\x22"
    + struct.pack(">HH", 4096, 4096)
    + bytes(6)
    + ((4000 << 44) | (15 << 36) | 4000).to_bytes(8, "big")
    + bytes(16)
)


def box(kind: bytes, size: int) -> bytes:
    return struct.pack(">I4s", size, kind)


FTYP = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42"
# How a file begins, that goes on with zeros for gigabytes.
SPARSE = {
    "garbage.wav": b"",
    "ones.wav": b"\xff" * 70_000,
    "too long.wav": wav_head(4000),
    "list.wav": b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\xff",
    "x.aiff": b"FORM\xff\xff\xff\xffAIFFCOMM\xff\xff\xff\xff",
    "x.caf": b"caff\0\1\0\0desc" + struct.pack(">q", 32) + struct.pack(">d", 8000)
    + b"alac" + struct.pack(">5I", 0, 0, 4096, 1, 0) + b"pakt" + struct.pack(">q", GB)
    + struct.pack(">qqii", GB, GB, 0, 0),
    "cookie.caf": b"caff\0\1\0\0desc" + struct.pack(">q", 32) + struct.pack(">d", 8000)
    + b"alac" + struct.pack(">5I", 0, 0, 4096, 1, 0) + b"kuki" + struct.pack(">q", GB),
    "moov.m4a": FTYP + box(b"moov", GB) + box(b"trak", GB - 8) + box(b"mdia", GB - 16)
    + box(b"minf", GB - 24) + box(b"stbl", GB - 32) + box(b"stsz", GB - 40)
    + struct.pack(">III", 0, 0, 200_000_000),
    "moof.m4a": FTYP + box(b"moov", 8) + box(b"moof", GB),
    "x.au": b".snd" + struct.pack(">IIIII", 24, 0xFFFF_FFFF, 3, 4000, 1),
    "x.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f",
}  # fmt: skip


@pytest.mark.parametrize("verb", ["convert", "load", "part", "describe", "remote"])
@pytest.mark.parametrize("name", ["garbage.wav", "ones.wav", "too long.wav"])
def test_sparse_files_everywhere(name: str, verb: str, tmp_path: Path) -> None:
    path = sparse(tmp_path / name, 3 * GB)
    said, peak, decoded = run(verb, path)
    if verb in ("load", "part") and name == "too long.wav":
        # Asked for by name, it is as long as it is, where there is memory for it.
        assert decoded or "fits into memory" in said[0]
    else:
        assert len(said) == 1
        assert said[0]
        assert peak <= MOST


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_files(name: str, tmp_path: Path) -> None:
    said, peak, _ = run("convert", sparse(tmp_path / name, 2 * GB))
    assert len(said) == 1
    assert peak <= MOST
    print(said)  # noqa: T201 - pytest -rP shows it


def sparse(path: Path, size: int) -> Path:
    with open(path, "wb") as file:
        file.write(SPARSE[path.name])
        file.truncate(size)
    return path


def deflated(path: Path, head: bytes, size: int) -> Path:
    """A ZIP of one member of zeros behind a head, whose ratio is below 1000."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest, crc, length, packed = bytes(1 << 20), 0, 0, []
    noise = np.random.default_rng(0)
    parts = [head]
    while length < size:
        for part in parts:
            crc, length = zlib.crc32(part, crc), length + len(part)
            packed.append(packer.compress(part))
        parts = [rest, noise.bytes(60)]
    data = b"".join([*packed, packer.flush()])
    name = b"x.wav"
    local = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(data), length, len(name), 0)
    sizes = (crc, len(data), length, len(name))
    central = struct.pack("<HHHHHHIIIH10xII", 20, 20, 0, 8, 0, 33, *sizes, 0, 0)
    begin = b"PK\3\4" + local + name + data
    directory = b"PK\1\2" + central + name
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), len(begin), 0)
    path.write_bytes(begin + directory + b"PK\5\6" + end)
    return path


@pytest.mark.parametrize("head", [b"", wav_head(4000), FLAC], ids=["zeros", "wav", "flac"])
def test_members_of_archives(head: bytes, tmp_path: Path) -> None:
    path = deflated(tmp_path / "x.zip", head, GB)
    assert path.stat().st_size < 3_000_000
    said, peak, _ = run("convert", path)
    assert len(said) == 1
    assert peak <= MOST
    print(said)  # noqa: T201 - pytest -rP shows it


def test_members_of_tars(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x.wav")
    info.size = 3 * GB
    path = tmp_path / "x.tar"
    path.write_bytes(info.tobuf())
    with open(path, "r+b") as file:
        file.truncate(3 * GB + 2048)
    said, peak, _ = run("convert", path)
    assert len(said) == 1
    assert peak <= MOST


def test_good_ones_beside_it_are_converted(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    synth.write_corpus(folder, patients=3, recordings=1, duration_s=(1.0, 1.2))
    sparse(folder / "garbage.wav", 3 * GB)
    said, peak, _ = run("convert", folder)
    assert len(said) == 1
    assert peak <= 2 * MOST
    assert len(list((tmp_path / "in-out").rglob("*.png"))) == 3


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two channels that is too long to be read in one go."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    noise = np.random.default_rng(0).integers(-9000, 9000, (9_000_000, 2), dtype=np.int16)
    fmt = struct.pack("<IHHIIHH", 16, 1, 2, 8000, 32_000, 4, 16)
    data = noise.tobytes()
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + fmt
        + b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip
    return path


def test_long_recordings_have_the_same_pictures(long: Path, tmp_path: Path) -> None:
    """As a stream, from memory, and from a ZIP in which they are compressed."""
    config = heartfast.SpectrogramConfig(size=(64, 64))
    heartfast.convert(long, tmp_path / "a", config=config, jobs=1)
    streamed = (tmp_path / "a/long.png").read_bytes()
    in_memory = heartfast.convert_batch({"bytes": [long.read_bytes()]}, config=config)
    assert streamed == in_memory["image"][0]
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(long, "long.wav")
    heartfast.convert(tmp_path / "x.zip", tmp_path / "b", config=config, jobs=1)
    assert (tmp_path / "b/long.png").read_bytes() == streamed
    table = (tmp_path / "a/metadata.csv").read_text().replace("a/", "")
    assert (tmp_path / "b/metadata.csv").read_text() == table


def test_long_recordings_have_the_same_samples(long: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    expected, rate = soundfile.read(long, dtype="float32")
    samples, sr = heartfast.load(long, mono=False)
    assert sr == rate
    np.testing.assert_array_equal(samples, expected.T)


def test_memory_of_a_long_recording(long: Path) -> None:
    said, peak, decoded = run("load", long, 2 * GB)
    assert (said, decoded) == ([], 9_000_000 * 2 * 4)
    assert peak <= 4 * decoded + MOST
