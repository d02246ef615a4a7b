"""Pictures, and ZIPs of them, that would take memory or time without bound, or lie."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import pytest
from PIL import Image

from heartfast.errors import DatasetError, DecodeError
from heartfast.heads import read_head
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


PROVENANCE = {
    "config": {"center": True, "size": None},
    "sample_rate": 4000, "duration_s": 5.0, "win_length": 200, "hop_length": 100, "n_fft": 200,
    "fmin": 0.0, "fmax": 2000.0, "version": "0.1.0",
}  # fmt: skip
AXES = {"size": [900, 500], "plot": [90, 50, 850, 400], "xlim": [0, 5]}
HUGE = 10**400


def with_text(text: str) -> bytes:
    return PNG[:33] + chunk(b"iTXt", b"heartfast\0\0\0\0\0" + text.encode()) + PNG[33:]


def texts() -> dict[str, str]:
    """What somebody may write where a picture says how it was made."""
    wrong = {
        "axes": [
            {**AXES, "size": [1e308, 1e-308]}, {**AXES, "size": [0, 0]}, {**AXES, "size": [-9, 5]},
            {**AXES, "plot": [0, 0, 1e308, 1]}, {**AXES, "plot": [5, 5, 1, 1]},
            {**AXES, "xlim": [1e308, -1e308]}, {**AXES, "xlim": [0, HUGE]},
            {**AXES, "plot": [[]] * 4}, {**AXES, "size": "ab"}, [], "x", 7,
        ],
        "sample_rate": [1e-308, 0, -1, HUGE, None, "4000", [], 5e-324],
        "hop_length": [1e308, 0, HUGE, {}, 1e300],
        "duration_s": [1e308, -5, HUGE, None, 1e18],
        "start_s": [1e308, HUGE, -1e300, "0", None],
        "config": [None, [], "x", {"center": []}, {"size": 1}],
    }  # fmt: skip
    made = {
        f"{name} {number}": json.dumps(PROVENANCE | {name: value})
        for name, values in wrong.items()
        for number, value in enumerate(values)
    }
    deep = '{"config":' + "[" * 60000
    infinite = json.dumps(PROVENANCE | {"hop_length": float("inf"), "duration_s": float("nan")})
    return made | {"deep": deep, "infinite": infinite, "digits": "9" * 60000, "empty": ""}


@pytest.mark.parametrize("text", texts().values(), ids=texts())
def test_a_head_is_plausible_or_unknown(tmp_path, text):
    (tmp_path / "x.png").write_bytes(with_text(text))
    head = read_head(str(tmp_path / "x.png"))
    numbers = [head.start, head.seconds, head.left, head.right, *head.plot]
    assert all(x is None or (math.isfinite(x) and abs(x) <= 1e9) for x in numbers)
    assert 0 <= head.plot.left < head.plot.right <= 1
    assert 0 <= head.plot.top < head.plot.bottom <= 1
    json.dumps(numbers, allow_nan=False)


def test_a_chunk_that_claims_gigabytes_is_not_read(tmp_path):
    for kind in (b"IHDR", b"iTXt", b"tEXt", b"zzzz"):
        data = PNG[:8] + struct.pack(">I", 0xFFFFFFF0) + kind + bytes(180)
        (tmp_path / "x.png").write_bytes(data)
        tracemalloc.start()
        read_head(str(tmp_path / "x.png"))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


def test_the_gallery_shows_the_others(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "ok.png").write_bytes(with_text(json.dumps(PROVENANCE)))
    for name, text in texts().items():
        (folder / f"{name}.png").write_bytes(with_text(text))
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    ran = subprocess.run(
        [sys.executable, "-m", "heartfast", "gallery", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (0, 1), ran.stderr
    page = (tmp_path / "gallery.html").read_text()
    for name in ("ok", "deep", "pipe"):
        assert f"{name}.png" in page
