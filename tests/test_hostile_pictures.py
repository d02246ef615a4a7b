"""Pictures, and ZIPs of them, that would take memory or time without bound, or lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from PIL import Image

from heartfast.errors import DatasetError, DecodeError
from heartfast.images import PictureSet, decode


def encoded(form: str, **options: bool) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 30), 7).save(buffer, form, **options)
    return buffer.getvalue()


PNG, JPEG = encoded("PNG"), encoded("JPEG", progressive=True)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMB = zlib.compress(bytes(20 << 20), 9)


@pytest.mark.parametrize("at", [33, len(PNG) - 12], ids=["before", "behind"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"zTXt", b"heartfast\0\0" + BOMB),
        (b"iTXt", b"heartfast\0\1\0\0\0" + BOMB),
        (b"iCCP", b"x\0\0" + BOMB),
    ],
)
def test_texts_that_grow_are_refused(kind, data, at):
    if kind == b"iCCP" and at != 33:
        return
    with pytest.raises(DecodeError, match=r"^x\.png: expected an intact picture, found: "):
        decode(PNG[:at] + chunk(kind, data) + PNG[at:], "x.png")


def test_a_jpeg_of_absurd_size_is_refused_before_it_is_decoded():
    at = JPEG.index(b"\xff\xc2") + 5
    data = JPEG[:at] + b"\xff\xff\xff\xff" + JPEG[at + 4 :]
    with pytest.raises(DecodeError, match="at most 64 MP, 65535 a side, found 65535x65535"):
        decode(data, "x.jpg")


def test_a_jpeg_of_endless_scans():
    start = JPEG.index(b"\xff\xda")
    scan = JPEG[start : JPEG.index(b"\xff", start + 2)]
    with pytest.raises(DecodeError, match="expected a JPEG of at most 100 scans, found more"):
        decode(JPEG[:start] + scan * 101 + JPEG[start:], "x.jpg")
    assert decode(JPEG, "x.jpg")[0].shape == (30, 40)


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["PNG", "JPEG"])
def test_pictures_cut_short(data):
    for end in range(3, len(data) - 30, 7):  # further on only marks and sums are missing
        with pytest.raises(DecodeError, match=r"^x: expected "):
            decode(data[:end], "x")


def test_zips_of_pictures(tmp_path):
    for name in ("../x.png", "/x.png", "C:/x.png", "a/../../x.png"):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr(name, PNG)
        with pytest.raises(DatasetError, match="expected names inside of the ZIP, found "):
            PictureSet(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a/1.png", PNG)
        archive.writestr("b/2.png", PNG)
        second = archive.start_dir
    data = bytearray((tmp_path / "x.zip").read_bytes())
    second = data.index(b"PK\1\2", second + 4)
    data[second + 42 : second + 46] = bytes(4)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DatasetError, match="expected members with bytes of their own"):
        PictureSet(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/1.png", PNG)
    stored = "a ZIP member that is stored or deflated"
    with PictureSet(tmp_path / "x.zip") as pictures, pytest.raises(DecodeError, match=stored):
        pictures.read_bytes("a/1.png")
