"""Pictures are read as Pillow reads them, and hostile ones are refused in one line."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from heartfast.errors import DatasetError, DecodeError
from heartfast.images import PictureSet, Provenance, decode, holds_pictures

CHUNK = {
    "config": {"window_ms": 50.0, "invert": False, "size": None},
    "sample_rate": 4000,
    "duration_s": 2.0,
    "n_fft": 200,
    "hop_length": 100,
    "fmin": 0.0,
    "fmax": 2000.0,
    "version": "0.1.0",
}
LEVELS = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4


def encoded(image: Image.Image, form: str = "PNG", chunk: object = None) -> bytes:
    info = PngInfo()
    if chunk is not None:
        info.add_itxt("heartfast", chunk if isinstance(chunk, str) else json.dumps(chunk))
    buffer = io.BytesIO()
    image.save(buffer, form, **({"pnginfo": info} if form == "PNG" else {}))
    return buffer.getvalue()


def zipped(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


GRAY = encoded(Image.fromarray(LEVELS))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK"])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_every_mode_is_pillows_luma(mode, form):
    if (form, mode) in {("JPEG", "RGBA"), ("JPEG", "LA"), ("JPEG", "P"), ("PNG", "CMYK")}:
        form = {"PNG": "JPEG", "JPEG": "PNG"}[form]  # the one that stores this mode
    data = encoded(Image.fromarray(LEVELS).convert("RGB").convert(mode), form)
    levels, provenance = decode(data, "x")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").convert("L"))
    assert provenance is None
    assert levels.dtype == np.uint8
    assert np.abs(levels.astype(int) - expected).max() <= 1


def test_sixteen_bits_keep_the_upper_eight():
    wide = LEVELS.astype(np.uint16) * 257
    levels, _ = decode(encoded(Image.fromarray(wide)), "x")
    assert (levels == LEVELS).all()


def test_transparent_palettes_do_not_warn():
    image = Image.fromarray(LEVELS).convert("P")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=bytes(range(256)))
    assert decode(buffer.getvalue(), "x")[0].shape == LEVELS.shape


def test_own_palettes_give_their_index_and_invert_is_undone():
    image = Image.fromarray(LEVELS, "L").convert("P")
    image = Image.frombytes("P", image.size, LEVELS.tobytes())
    image.putpalette([value for index in range(256) for value in (255 - index, index, 0)])
    levels, provenance = decode(encoded(image, chunk=CHUNK), "x")
    assert (levels == LEVELS).all()
    assert provenance == Provenance(**CHUNK)
    inverted = CHUNK | {"config": CHUNK["config"] | {"invert": True}}
    assert (decode(encoded(image, chunk=inverted), "x")[0] == 255 - LEVELS).all()


def test_seconds_per_column():
    native = Provenance(**CHUNK)
    assert native.seconds_per_column(81) == 0.025
    resized = native._replace(config={"size": [10, 50]})
    assert resized.seconds_per_column(50) == 2.0 / 50


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": None}, "config"),
        ({"sample_rate": "4000"}, "sample_rate"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": 4000.5}, "sample_rate to be a whole number, found 4000.5"),
        ({"n_fft": 200.0}, "n_fft to be a whole number"),
        ({"hop_length": 10**400}, "hop_length to be above 0 and finite, found 1000"),
        ({"hop_length": 0}, "hop_length to be above 0"),
        ({"config": {"window_ms": -1}}, "config to be valid, found: window_ms"),
        ({"config": {"shape": 3}}, "config to be valid, found: .*shape"),
        ({"config": {"fmin": float("nan")}}, "config to be valid, found: fmin"),
        ({"config": {"size": [0, 5]}}, "config to be valid, found: size"),
        ({"config": {"zero_pad": 10**30}}, "config to be valid, found: zero_pad"),
        ({"fmax": float("nan")}, "fmax"),
        ({"fmax": True}, "fmax"),
        ({"duration_s": -1}, "duration_s"),
        ({"fmin": 3000.0}, "fmin"),
    ],
)
def test_a_wrong_chunk_is_named(change, named):
    with pytest.raises(DecodeError, match=rf"^x\.png: .*{named}"):
        decode(encoded(Image.fromarray(LEVELS), chunk=CHUNK | change), "x.png")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(CHUNK)), json_values) | json_values)
def test_any_json_parses_or_raises_value_error(value):
    text = json.dumps(CHUNK | value if isinstance(value, dict) else value)
    try:
        provenance = Provenance.from_json(text)
    except ValueError:
        return
    assert provenance.seconds_per_column(3) >= 0


@settings(max_examples=150)
@given(st.binary(max_size=80), st.integers(0, len(GRAY) - 1), st.booleans())
def test_damaged_pictures_raise_decode_error_only(noise, position, cut):
    data = GRAY[:position] + noise + (b"" if cut else GRAY[position + len(noise) :])
    try:
        message = f"x.png: expected {decode(data, 'x.png')[0].ndim}"
    except DecodeError as error:
        message = str(error)
    assert message.startswith("x.png: expected")
    assert "\n" not in message


@pytest.mark.parametrize("size", [(9000, 9000), (12_000, 12_000), (65_536, 1), (1, 65_536)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size, recwarn):
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = GRAY[:8] + struct.pack(">I", 13) + b"IHDR" + header + crc + GRAY[33:]
    message = rf"expected at most 64 MP, 65535 a side, found {size[0]}x{size[1]}$"
    with pytest.raises(DecodeError, match=message):
        decode(data, "big.png")
    assert not recwarn.list  # Pillow would warn of 90 megapixels


def test_pictures_as_long_as_allowed_are_read():
    assert decode(encoded(Image.new("L", (65_535, 1), 7)), "x")[0].shape == (1, 65_535)


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
def test_no_memory_is_an_error_of_the_picture():
    """8000 x 8000 in colour take half a gigabyte, of which there is a quarter."""
    script = """
        import io, resource, sys
        import numpy, PIL.PngImagePlugin, PIL.JpegImagePlugin
        from heartfast.errors import DecodeError
        from heartfast.images import decode
        data = sys.stdin.buffer.read()
        pages = int(open("/proc/self/statm").read().split()[0])
        most = pages * resource.getpagesize() + (256 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        try:
            decode(data, "x.png")
        except DecodeError as error:
            print(error)
    """
    data = encoded(Image.new("RGB", (8000, 8000)))
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], input=data, capture_output=True, check=True
    )
    assert ran.stdout == b"x.png: expected an intact picture, found: MemoryError\n"


def test_other_formats_are_refused():
    with pytest.raises(DecodeError, match="expected a PNG or JPEG picture, found neither"):
        decode(encoded(Image.fromarray(LEVELS), "GIF"), "x.png")


MEMBERS = {
    "b/2.PNG": GRAY,
    "a/1.png": GRAY,
    "a/deeper/3.jpg": GRAY,
    "a/.hidden.png": GRAY,
    "__MACOSX/a/1.png": GRAY,
    "a/Thumbs.db": b"",
    "a/.DS_Store": b"",
}
FOUND = [("a/1.png", "a"), ("a/deeper/3.jpg", "a"), ("b/2.PNG", "b")]


@pytest.mark.parametrize("prefix", ["", "train/", "./"])
def test_zip_and_folder_give_the_same_pictures(tmp_path, prefix):
    prefix = prefix if prefix != "./" else ""
    archive = zipped(tmp_path / "x.zip", {prefix + name: data for name, data in MEMBERS.items()})
    for name, data in MEMBERS.items():
        (tmp_path / "folder" / prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / prefix / name).write_bytes(data)
    for source in (archive, tmp_path / "folder"):
        with PictureSet(source) as pictures:
            assert [(p.name, p.label) for p in pictures.pictures] == FOUND
            assert (decode(pictures.read_bytes("a/1.png"), "a/1.png")[0] == LEVELS).all()
            assert not pictures.has_metadata
        assert holds_pictures(source)
    (tmp_path / "none").mkdir()
    assert not holds_pictures(tmp_path / "none")


def test_one_class_folder_is_not_a_wrapping(tmp_path):
    with PictureSet(zipped(tmp_path / "x.zip", {"a/1.png": GRAY, "a/2.png": GRAY})) as pictures:
        assert [p.label for p in pictures.pictures] == ["a", "a"]


def test_a_single_picture(tmp_path):
    (tmp_path / "x.png").write_bytes(GRAY)
    with PictureSet(tmp_path / "x.png") as pictures:
        assert [p.name for p in pictures.pictures] == ["x.png"]
        assert (decode(pictures.read_bytes("x.png"), "x.png")[0] == LEVELS).all()


EXPECTED = "expected a folder or ZIP of pictures, or a PNG or JPEG, found "


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("name", ["x.png", "x.zip", "x"])
def test_sources_that_are_no_files(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match=EXPECTED + "nothing") as caught:
        PictureSet(path)
    assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError, match="expected a PNG or JPEG, found nothing"):
        PictureSet([path])
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=EXPECTED + "a link to nothing"):
        PictureSet(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match=EXPECTED + "a pipe"):  # and does not wait for it
        PictureSet(path)
    with pytest.raises(OSError, match="expected a PNG or JPEG, found a pipe"):
        PictureSet([path])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_among_pictures_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with PictureSet(tmp_path) as pictures, pytest.raises(OSError, match="found a pipe"):
        decode(pictures.read_bytes("x.png"), "x.png")


@pytest.mark.parametrize("prefix", ["", "wrapped/"])
def test_metadata_rules(tmp_path, prefix):
    table = (
        "\ufefffile_name,label,group,source,sha256,sample_rate\r\n"
        'a/1.png,"murmur, soft",p1,s,00,4000\r\nb/2.PNG,,,,,\r\n'
    )
    members = {**MEMBERS, "metadata.csv": table.encode()}
    source = zipped(tmp_path / "x.zip", {prefix + name: data for name, data in members.items()})
    with PictureSet(source) as pictures:
        assert pictures.has_metadata
        assert [tuple(p) for p in pictures.pictures] == [
            ("a/1.png", "murmur, soft", "p1", "s", "4000", "", "00"),
            ("a/deeper/3.jpg", "a", "", "", "", "", ""),
            ("b/2.PNG", "", "", "", "", "", ""),
        ]
        assert pictures.unlisted == ["a/deeper/3.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,label\n", "expected the column file_name, found name, label"),
        ("file_name\n", "expected the column label, found file_name"),
        ("file_name,label\na/1.png,a,,x\n", "line 2: expected 2 columns, found 4"),
        ("file_name,label\na/1.png,a\na/1.png,b\n", "found different rows of 'a/1.png'"),
        ("", "found an empty file"),
        ("file_name,label\nz.png,a\ny.png,a\n", "found 2 missing, the first 'y.png'"),
        ("file_name,label\nz.png\n", "found 1 missing"),
        ("label,file_name\na\n", "found 1 missing, the first ''"),
        ("file_name,label\n" + "x" * 200_000, "expected a CSV table"),
    ],
)
def test_bad_metadata(tmp_path, table, message):
    source = zipped(tmp_path / "x.zip", {"a/1.png": GRAY, "metadata.csv": table.encode()})
    with pytest.raises(DatasetError, match=message):
        PictureSet(source)


def test_damaged_archives(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK not really")
    with pytest.raises(DatasetError, match=r"x\.zip: expected .* intact ZIP"):
        PictureSet(tmp_path / "x.zip")
    with pytest.raises(FileNotFoundError):
        PictureSet(tmp_path / "none.zip")
    source = zipped(tmp_path / "y.zip", {"a/1.png": GRAY, "a\\1.png": GRAY})
    with pytest.raises(DatasetError, match=r"expected each name once, found 'a/1\.png' twice"):
        PictureSet(source)
    data = bytearray(zipped(tmp_path / "z.zip", {"a/1.png": GRAY}).read_bytes())
    data[60] ^= 1  # inside the stored picture: the CRC no longer fits
    (tmp_path / "z.zip").write_bytes(data)
    with PictureSet(tmp_path / "z.zip") as pictures, pytest.raises(DecodeError, match=r"a/1\.png"):
        decode(pictures.read_bytes("a/1.png"), "a/1.png")


def test_oversized_files(tmp_path, monkeypatch):
    monkeypatch.setattr("heartfast.images.MAX_FILE_BYTES", 50)
    for source in (zipped(tmp_path / "x.zip", {"1.png": GRAY}), tmp_path):
        (tmp_path / "1.png").write_bytes(GRAY)
        with PictureSet(source) as pictures, pytest.raises(DecodeError, match="at most"):
            decode(pictures.read_bytes("1.png"), "1.png")
