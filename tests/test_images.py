"""Pictures are read as Pillow reads them, and hostile ones are refused in one line."""

from __future__ import annotations

import io
import json
import struct
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


def test_too_many_pixels_are_refused_before_they_are_decoded():
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 0, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = GRAY[:8] + struct.pack(">I", 13) + b"IHDR" + header + crc + GRAY[33:]
    with pytest.raises(DecodeError, match=r"expected at most 64 MP, found 9000x9000"):
        decode(data, "big.png")


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
            assert (pictures.read("a/1.png")[0] == LEVELS).all()
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
        assert (pictures.read("x.png")[0] == LEVELS).all()
    with pytest.raises(FileNotFoundError):
        PictureSet(tmp_path / "y.png")


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
        ("name,label\n", "expected columns file_name and label, found name, label"),
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
        pictures.read("a/1.png")


def test_oversized_files(tmp_path, monkeypatch):
    monkeypatch.setattr("heartfast.images.MAX_FILE_BYTES", 50)
    for source in (zipped(tmp_path / "x.zip", {"1.png": GRAY}), tmp_path):
        (tmp_path / "1.png").write_bytes(GRAY)
        with PictureSet(source) as pictures, pytest.raises(DecodeError, match="at most"):
            pictures.read("1.png")
