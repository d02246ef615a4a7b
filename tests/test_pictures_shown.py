"""Levels of pictures are those that a viewer shows; oracles are Pillow and a browser."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

import heartfast
from heartfast.images import PictureSet, decode

RNG = np.random.default_rng(4)
GRAY, ALPHA, OTHER = (RNG.integers(0, 256, (23, 37), dtype=np.uint8) for _ in range(3))


def by_pillow(data: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("L"))


def saved(image: Image.Image, kind: str = "PNG", turned: int = 1, **more: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turned
    file = io.BytesIO()
    image.save(file, kind, exif=exif.tobytes(), **more)
    return file.getvalue()


def images() -> dict[str, tuple[Image.Image, dict[str, object]]]:
    colour = Image.fromarray(np.dstack([GRAY, ALPHA, OTHER]))
    palette = colour.quantize(16)
    opacity = Image.merge("LA", [Image.new("L", (37, 23), 0), Image.fromarray(ALPHA)])
    return {
        "L": (Image.fromarray(GRAY), {}),
        "L, one gray clear": (Image.fromarray(GRAY), {"transparency": int(GRAY[3, 3])}),
        "1": (Image.fromarray(GRAY).convert("1"), {}),
        "LA": (Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(ALPHA)]), {}),
        "all in alpha": (opacity, {}),
        "P": (palette, {}),
        "P, one clear": (palette, {"transparency": 5}),
        "P, with tRNS": (palette, {"transparency": bytes(range(0, 256, 16))}),
        "RGB": (colour, {}),
        "RGB, one clear": (colour, {"transparency": tuple(np.asarray(colour)[3, 3].tolist())}),
        "RGBA": (Image.fromarray(np.dstack([GRAY, OTHER, GRAY, ALPHA])), {}),
    }


@pytest.mark.parametrize("name", images())
@pytest.mark.parametrize("turned", range(1, 9))
def test_as_pillow_shows_it(name, turned):
    image, more = images()[name]
    data = saved(image, turned=turned, **more)
    np.testing.assert_array_equal(decode(data, "x")[0], by_pillow(data))
    if name == "L":
        assert decode(data, "x")[0].shape == ((37, 23) if turned > 4 else (23, 37))


@pytest.mark.parametrize("turned", range(1, 9))
def test_jpeg(turned):
    for image in (Image.fromarray(GRAY), Image.fromarray(np.dstack([GRAY, ALPHA, OTHER]))):
        data = saved(image, "JPEG", turned, quality=90)
        np.testing.assert_array_equal(decode(data, "x")[0], by_pillow(data))


def deep(colour_type: int, *channels: np.ndarray, extra: bytes = b"") -> bytes:
    """A PNG of 16 bits, written by the specification: Pillow writes none with alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = channels[0].shape
    rows = np.dstack(channels).astype(">u2").reshape(height, -1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def test_sixteen_bits():
    gray, alpha = (RNG.integers(0, 65536, (23, 37)) for _ in range(2))
    found, _ = decode(deep(0, gray), "x")
    np.testing.assert_array_equal(found, gray >> 8)
    # Composed by the definition, of numbers from 0 to 1.
    found, _ = decode(deep(4, gray, alpha), "x")
    wanted = 255 * (gray / 65535 * (alpha / 65535) + 1 - alpha / 65535)
    assert np.abs(found - wanted).max() < 2
    clear = struct.pack(">IBBBBH", 2, *b"tRNS", int(gray[3, 3]))
    clear += struct.pack(">I", zlib.crc32(clear[4:]))
    found, _ = decode(deep(0, gray, extra=clear), "x")
    np.testing.assert_array_equal(found, np.where(gray == gray[3, 3], 255, gray >> 8))


def test_as_a_browser_shows_it(browser):
    page = browser.new_page()
    for name in ("LA", "all in alpha", "P, with tRNS", "RGBA"):
        for turned in (1, 3, 6, 8):
            image, more = images()[name]
            kind = "PNG" if turned == 1 else "JPEG"
            image = image if kind == "PNG" else image.convert("RGBA").convert("L")
            data = saved(image, kind, turned, **(more if kind == "PNG" else {"quality": 95}))
            page.set_content(
                '<body style="margin:0;background:white"><img style="display:block" src="data:'
                f'image/{kind.lower()};base64,{base64.b64encode(data).decode()}">'
            )
            shot = page.locator("img").screenshot()
            shown = np.asarray(Image.open(io.BytesIO(shot)).convert("L")).astype(int)
            found = decode(data, "x")[0]
            assert found.shape == shown.shape
            assert np.abs(found - shown).max() <= 4


def test_a_damaged_exif_turns_nothing():
    cut = b"MM\0*\0\0\0\x08\xff\xff" + bytes(9)
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", cut):
        file = io.BytesIO()
        Image.fromarray(GRAY).save(file, "PNG", exif=exif)
        np.testing.assert_array_equal(decode(file.getvalue(), "x")[0], GRAY)


def test_pictures_of_heartfast_are_what_they_were(tmp_path):
    y, sr = heartfast.synth.heart_sound(seed=1)
    spec = heartfast.spectrogram(y, sr)
    for colormap, invert in (("gray", True), ("viridis", False)):
        config = heartfast.SpectrogramConfig(colormap=colormap, invert=invert)
        heartfast.synth.write_wav(tmp_path / "x.wav", y, sr)
        out = heartfast.convert(tmp_path / "x.wav", tmp_path / colormap, config=config).out
        found, provenance = decode((tmp_path / colormap / "x.png").read_bytes(), "x")
        assert provenance is not None
        plain = heartfast.to_image(spec, config=config.replace(invert=False))
        # Its 16-bit levels and double precision may differ by one.
        assert np.abs(found.astype(int) - plain).max() <= 1
        assert out


def evil_zip(path, good: bytes) -> list[str]:
    """A ZIP with bad members of every kind among good ones; the names of the bad."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6):
            own = saved(Image.fromarray(np.roll(GRAY, number + 1)))
            archive.writestr(f"{'ab'[number % 2]}/ok{number}.png", own)
        for name in ("../evil.png", "/evil.png", "C:/evil.png", "a/../../evil.png"):
            archive.writestr(name, good)
        archive.writestr("a/twice.png", good)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/twice.png", good)
        archive.writestr("b/long.png", good)
        archive.writestr("b/last.png", good)
    data = bytearray(path.read_bytes())
    # One member claims the bytes of the next as well.
    at = data.index(b"b/long.png", data.index(b"PK\1\2")) - 46
    data[at + 20 : at + 24] = struct.pack("<I", len(good) + 500)
    path.write_bytes(data)
    return [
        "../evil.png", "/evil.png", "C:/evil.png", "a/../../evil.png", "a/twice.png", "b/long.png",
    ]  # fmt: skip


def test_a_bad_member_costs_itself_alone(tmp_path, few_candidates):
    del few_candidates
    good = saved(Image.fromarray(GRAY))
    bad = evil_zip(tmp_path / "p.zip", good)
    with PictureSet(tmp_path / "p.zip") as pictures:
        names = [picture.name for picture in pictures.pictures]
        assert names == ["a/ok0.png", "a/ok2.png", "a/ok4.png", "b/last.png", "b/ok1.png",
                         "b/ok3.png", "b/ok5.png"]  # fmt: skip
        assert pictures.read_bytes("b/last.png") == good
        assert sorted(pictures.refused) == sorted(bad)
    packed = heartfast.pack(tmp_path / "p.zip", tmp_path / "sets", test_size=0.5, groups=False)
    trained = heartfast.train(tmp_path / "p.zip", tmp_path / "m", folds=2, repeats=1, trials=1,
                              join_duplicates=False)  # fmt: skip
    scored = heartfast.score(tmp_path / "m", tmp_path / "p.zip")
    for result in (packed, trained, scored):
        assert sorted(name for name, _ in result.errors) == sorted(bad)
    assert scored.names == names
    audited = heartfast.audit(tmp_path / "p.zip")
    assert audited.n_recordings == len(names)
    assert any(f"could not be read: {len(bad)}, the first: " in note for note in audited.notes)
