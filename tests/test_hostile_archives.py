"""Archives that lie: each odd member is refused and named, all others are converted.

Python's zipfile and tarfile are the oracles of good ones: what is read is known by its SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

import heartfast

CASE = "expected a name that differs from all others in more than case, found also "
SHARED = "expected a member with bytes of its own, found bytes that belong to another one, too"


def wav(seed: int = 0, n: int = 300) -> bytes:
    """A WAV whose samples are its seed's."""
    data = bytes((seed * 31 + k * k) % 256 for k in range(2 * n))
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1,
                         4000, 8000, 2, 16, b"data", len(data))  # fmt: skip
    return header + data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(path: Path, out: Path, **limits: float) -> tuple[dict[str, str], dict[str, str]]:
    """SHA-256 of the members that are read, and why others are not, by name."""
    try:
        result = heartfast.convert(path, out, limits=heartfast.Limits(**limits))
    except heartfast.DatasetError:  # no recordings
        return {}, {}
    name = str(path) + "/"
    return (
        {record.recording.removeprefix(name): record.sha256 for record in result.records},
        {error.path.removeprefix(name): error.message for error in result.errors},
    )


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def directory(data: bytes) -> list[tuple[int, zipfile.ZipInfo]]:
    """Where each entry of a ZIP's directory is, and the entry."""
    entries, at = [], zipfile.ZipFile(io.BytesIO(data)).start_dir
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        entries.append((at, info))
        at = data.index(b"PK\1\2", at + 1) if b"PK\1\2" in data[at + 1 :] else at
    return entries


def changed(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    copy = bytearray(data)
    for at, new in changes:
        copy[at : at + len(new)] = new
    return bytes(copy)


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def quoted_overlap() -> bytes:
    """Fifield's: the first member's deflate stream has the second's header as a stored block."""
    kernel = wav(7)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(kernel) + deflate.flush()

    def header(name: bytes, data: bytes, size: int) -> bytes:
        fields = (b"PK\3\4", 20, 0, 8, 0, 0, zlib.crc32(data), size, len(data), len(name), 0)
        return struct.pack("<4s5H3I2H", *fields) + name

    inner = header(b"inner.wav", kernel, len(packed)) + packed
    quoted = inner[: 30 + 9]
    outer_data = quoted + kernel
    outer_packed = b"\0" + struct.pack("<HH", len(quoted), len(quoted) ^ 0xFFFF) + quoted + packed
    outer = header(b"outer.wav", outer_data, len(outer_packed))
    body = outer + outer_packed
    entries = b""
    for name, data, size, at in (
        (b"outer.wav", outer_data, len(outer_packed), 0),
        (b"inner.wav", kernel, len(packed), len(outer) + 5),
    ):
        fields = (b"PK\1\2", 20, 20, 0, 8, 0, 0, zlib.crc32(data), size, len(data), len(name))
        entries += struct.pack("<4s6H3IH", *fields) + bytes(12) + u32(at) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(entries), len(body), 0)
    return body + entries + end


def test_cve_2024_0450_quoted_overlap(tmp_path):
    (tmp_path / "x.zip").write_bytes(quoted_overlap())
    good, bad = read(tmp_path / "x.zip", tmp_path / "out")
    assert good == {}
    assert bad == {"outer.wav": SHARED, "inner.wav": SHARED}


def test_cve_2019_9674_bombs(tmp_path):
    """Many names for one kernel; a large ratio; a length that is a lie."""
    data = zipped({f"{k}.wav": wav(k) for k in range(4)})
    entries = directory(data)
    same = changed(data, *((at + 42, u32(entries[0][1].header_offset)) for at, _ in entries[1:3]))
    (tmp_path / "x.zip").write_bytes(same)
    good, bad = read(tmp_path / "x.zip", tmp_path / "a")
    assert good == {"3.wav": sha256(wav(3))}
    assert bad == dict.fromkeys(("0.wav", "1.wav", "2.wav"), SHARED)

    # Nothing says how long this is but the directory, and that is asked before anything is read.
    silence = wav(1)[:44] + bytes(30_000_000)
    data = zipped({"bomb.wav": silence, "good.wav": wav()})
    (at, info), _ = directory(data)
    length = u32((256 << 20) + 1)
    (tmp_path / "y.zip").write_bytes(
        changed(data, (at + 24, length), (info.header_offset + 22, length))
    )
    good, bad = read(tmp_path / "y.zip", tmp_path / "b")
    assert good == {"good.wav": sha256(wav())}
    expected = "expected a member of at most 256 MB or 1000 times its packed size"
    assert bad["bomb.wav"].startswith(f"{expected} (limit max_archive_ratio), found 268435457 ")
    _, bad = read(tmp_path / "y.zip", tmp_path / "c", max_archive_ratio=20_000)
    assert "max_archive_ratio" not in bad["bomb.wav"]
    # An hour of silence is a recording.
    (tmp_path / "silence.zip").write_bytes(data)
    good, bad = read(tmp_path / "silence.zip", tmp_path / "silence")
    assert good == {"good.wav": sha256(wav()), "bomb.wav": sha256(silence)}

    lie = changed(data, (at + 24, u32(1000)), (info.header_offset + 22, u32(1000)))
    (tmp_path / "z.zip").write_bytes(lie)
    good, bad = read(tmp_path / "z.zip", tmp_path / "d")
    assert good == {"good.wav": sha256(wav())}
    assert bad == {"bomb.wav": "expected 1000 bytes in the archive, found more"}


def zip64(members: dict[str, bytes]) -> bytes:
    """A ZIP with the ZIP64 end of directory and its locator."""
    data = zipped(members)
    end = data.rindex(b"PK\5\6")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    classic = changed(data[end:], (8, b"\xff" * 4), (12, b"\xff" * 8))
    return data[:end] + record + locator + classic


def test_cve_2025_8291_zip64_locator(tmp_path):
    members = {"a.wav": wav(1), "b.wav": wav(2)}
    data = zip64(members)
    (tmp_path / "good.zip").write_bytes(data)
    assert read(tmp_path / "good.zip", tmp_path / "a") == (
        {name: sha256(content) for name, content in members.items()}, {},
    )  # fmt: skip
    at = data.rindex(b"PK\6\7")
    record = data.rindex(b"PK\6\6")
    # The locator leads elsewhere, while the usual directory is right; and a gap before it.
    end = data.rindex(b"PK\5\6")
    plain = zipped(members)
    usual = plain[plain.rindex(b"PK\5\6") :]
    elsewhere = changed(data[:end], (at + 8, (record - 7).to_bytes(8, "little"))) + usual
    gap = data[:at] + bytes(8) + data[at:]
    other = changed(data[:end], (record + 48, (5).to_bytes(8, "little"))) + usual
    for k, hostile in enumerate((elsewhere, gap, other)):
        (tmp_path / f"{k}.zip").write_bytes(hostile)
        good, bad = read(tmp_path / f"{k}.zip", tmp_path / f"out{k}")
        assert good == {}
        (message,) = bad.values()
        assert "ZIP" in message


def test_headers_that_contradict_the_directory(tmp_path):
    data = zipped({f"{k}.wav": wav(k) for k in range(6)})
    offsets = [info.header_offset for _, info in directory(data)]
    hostile = changed(
        data,
        (offsets[0] + 22, u32(99)),
        (offsets[1] + 18, u32(99)),
        (offsets[2] + 14, u32(99)),
        (offsets[3] + 30, b"9"),
        (offsets[4] + 8, u16(0)),
    )
    (tmp_path / "x.zip").write_bytes(hostile)
    good, bad = read(tmp_path / "x.zip", tmp_path / "out")
    assert good == {"5.wav": sha256(wav(5))}
    for k, what in enumerate(("length", "packed size", "checksum", "name", "method")):
        assert bad[f"{k}.wav"].startswith(f"expected the {what} ")
        assert "that the archive's directory says" in bad[f"{k}.wav"] or k == 3


def test_a_directory_that_says_another_number_of_members(tmp_path):
    data = zipped({"a.wav": wav(1), "b.wav": wav(2)})
    end = data.rindex(b"PK\5\6")
    (tmp_path / "x.zip").write_bytes(changed(data, (end + 8, u16(1) + u16(1))))
    good, bad = read(tmp_path / "x.zip", tmp_path / "out")
    assert set(good) == {"a.wav", "b.wav"}
    assert bad == {str(tmp_path / "x.zip"): "expected 1 members, as the ZIP says, found 2"}


def tarred(members: list[tuple[str, bytes | str]], **options: int) -> bytes:
    """A tar of files, and of links where the content is a text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                kind, _, info.linkname = content.partition(" ")
                info.type = {"soft": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}[kind]
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_cve_2007_4559_tar_traversal(tmp_path):
    data = tarred([
        ("good.wav", wav(1)),
        ("../up.wav", wav(2)),
        ("/etc/absolute.wav", wav(3)),
        ("a/../../b.wav", wav(4)),
        ("C:/drive.wav", wav(5)),
        ("soft.wav", "soft ../../etc/passwd"),
        ("hard.wav", "hard good.wav"),
        ("soft.wav.d", "soft /etc"),
        ("last.wav", wav(6)),
    ])  # fmt: skip
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/x.tar").write_bytes(data)
    before = set(tmp_path.rglob("*"))
    good, bad = read(tmp_path / "deep/x.tar", tmp_path / "deep/out")
    assert good == {"good.wav": sha256(wav(1)), "last.wav": sha256(wav(6))}
    inside = "expected a name inside of the archive, found "
    link = "expected a file in the archive, found a link"
    assert bad == {
        "up.wav": f'{inside}"../up.wav"', "etc/absolute.wav": f'{inside}"/etc/absolute.wav"',
        "a/b.wav": f'{inside}"a/../../b.wav"', "drive.wav": f'{inside}"C:/drive.wav"',
        "soft.wav": link, "hard.wav": link,
    }  # fmt: skip
    new = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "deep/out") for path in new)


def test_twins(tmp_path):
    members = [("X.wav", wav(1)), ("x.wav", wav(2)), ("y.wav", wav(3)), ("z.wav", wav(4))]
    (tmp_path / "x.tar").write_bytes(tarred([*members, ("z.wav", wav(5))]))
    good, bad = read(tmp_path / "x.tar", tmp_path / "out")
    assert good == {"y.wav": sha256(wav(3))}
    assert bad == {
        "X.wav": f'{CASE}"x.wav"', "x.wav": f'{CASE}"X.wav"',
        "z.wav": "expected one member of this name, found several",
    }  # fmt: skip


def test_the_number_of_members_is_limited(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped({f"{k}.wav": wav(k) for k in range(9)}))
    good, bad = read(tmp_path / "x.zip", tmp_path / "out", max_archive_members=4)
    assert set(good) == {f"{k}.wav" for k in range(4)}
    message = "expected an archive of at most 4 members (limit max_archive_members), found more"
    assert bad == {str(tmp_path / "x.zip"): message}


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_compressed_tar_is_called_so(tmp_path, mode):
    path = tmp_path / f"x.tar.{mode}"
    with tarfile.open(path, f"w:{mode}") as archive:
        archive.add(__file__)
    _, bad = read(path, tmp_path / "out")
    (message,) = bad.values()
    assert "a ZIP or tar that is not compressed as a whole, found a" in message
    assert "; unpack it first (" in message
