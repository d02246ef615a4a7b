"""Our PNGs as pngcheck, Pillow and plain formulas see them."""

from __future__ import annotations

import importlib
import io
import struct
import subprocess
import warnings
import zlib

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import heartfast
from heartfast import EncodeError, SpectrogramConfig

COLORMAPS = ("viridis", "magma", "inferno", "plasma")


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + data
        )
        found.append((kind, data))
        at += 12 + length
    return found


@st.composite
def pictures(draw, *, channels=()):
    height, width = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    if draw(st.integers(0, 9)) == 0:
        height, width = draw(st.sampled_from([(1, 5000), (5000, 1), (300, 400), (129, 1023)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (height, width, *channels)
    kind = draw(st.sampled_from(["noise", "few", "flat", "ramp", "walk", "patches"]))
    if kind == "noise":
        pixels = rng.integers(0, 256, shape)
    elif kind == "few":
        pixels = rng.choice([0, 7, 255], shape, p=[0.9, 0.05, 0.05])
    elif kind == "flat":
        pixels = np.full(shape, rng.integers(256))
    elif kind == "ramp":
        pixels = np.arange(np.prod(shape)).reshape(shape) * rng.integers(1, 5)
    elif kind == "walk":
        pixels = rng.integers(-3, 4, shape).cumsum(axis=1) + 100
    else:
        pixels = np.repeat(rng.integers(0, 256, (height, -(-width // 300), *channels)), 300, axis=1)
        pixels = pixels[:, :width]
    return (pixels % 256).astype(np.uint8)


@settings(max_examples=200, deadline=None)
@given(pictures())
def test_gray(pixels):
    image = opened(heartfast.encode_png(pixels))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), pixels)


@settings(max_examples=100, deadline=None)
@given(pictures(channels=(3,)))
def test_rgb(pixels):
    image = opened(heartfast.encode_png(pixels))
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), pixels)


@settings(max_examples=100, deadline=None)
@given(pictures(), st.integers(1, 256), st.integers(0, 2**32))
def test_indexed(pixels, colours, seed):
    palette = np.random.default_rng(seed).integers(0, 256, (colours, 3)).astype(np.uint8)
    pixels = (pixels.astype(int) % colours).astype(np.uint8)
    image = opened(heartfast.encode_png(pixels, colormap=palette))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), pixels)
    assert np.array_equal(np.asarray(image.convert("RGB")), palette[pixels])


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=79),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200),
        max_size=3,
    )
)
def test_texts(texts):
    png = heartfast.encode_png(np.zeros((2, 2), np.uint8), text=texts)
    assert opened(png).text == texts
    kinds = [kind for kind, _ in chunks(png)]
    assert kinds == [b"IHDR", *[b"iTXt"] * len(texts), b"IDAT", b"IEND"]


@given(pictures())
@settings(deadline=None)
def test_the_small_preset_has_the_same_pixels(pixels):
    np.testing.assert_array_equal(opened(heartfast.encode_png(pixels, preset="small")), pixels)


def test_the_small_preset_finds_repeats():
    rng = np.random.default_rng(5)
    pixels = np.tile(rng.integers(0, 256, (60, 50), np.uint8), (1, 8))
    assert len(heartfast.encode_png(pixels, preset="small")) < pixels.size / 4
    with pytest.raises(ValueError, match=r"png: expected fast or small, found \"tiny\""):
        heartfast.encode_png(pixels, preset="tiny")


def test_converted_pictures_are_the_same_in_small_files(tool, tmp_path):
    paths = heartfast.synth.write_corpus(tmp_path / "wav", patients=6, recordings=1)
    sizes = []
    for preset in ("fast", "small"):
        out = tmp_path / preset
        heartfast.convert(tmp_path / "wav", out, png=preset)
        files = sorted(out.rglob("*.png"))
        assert len(files) == len(paths)
        subprocess.run([tool("pngcheck"), "-q", *files], check=True)
        sizes.append(
            (sum(f.stat().st_size for f in files), [opened(f.read_bytes()) for f in files])
        )
    (fast, drawn), (small, again) = sizes
    assert small < fast
    for a, b in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="png: expected fast or small, found 'tiny'"):
        heartfast.convert(tmp_path / "wav", tmp_path / "tiny", png="tiny")


def test_layouts_of_memory():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8)).astype(np.uint8)
    for view in (pixels.T, pixels[::-1], pixels[:, ::2], np.asfortranarray(pixels)):
        assert np.array_equal(np.asarray(opened(heartfast.encode_png(view))), view)
    palette = np.arange(768, dtype=np.uint8).reshape(3, 256).T
    image = opened(heartfast.encode_png(pixels, colormap=palette))
    assert np.array_equal(np.asarray(image.convert("RGB")), palette[pixels])


def test_size_of_what_compresses_well_and_of_what_does_not():
    flat = heartfast.encode_png(np.full((1000, 1000), 9, np.uint8))
    assert len(flat) < 6000  # a run takes some 2 bits for 258 bytes
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000)).astype(np.uint8)
    assert len(heartfast.encode_png(noise)) < 1_000_000 * 1.002 + 100


def test_pngcheck(tool, tmp_path):
    rng = np.random.default_rng(1)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    for k, (h, w) in enumerate([(1, 1), (1, 7), (7, 1), (101, 41), (400, 3000), (3000, 11)]):
        noise = rng.integers(0, 256, (h, w, 3)).astype(np.uint8)
        smooth = np.clip(rng.normal(100, 4, (h, w)), 0, 255).astype(np.uint8)
        text = {"heartfast": '{"ü": 1}', "Title": "a"}
        for name, png in {
            "noise": heartfast.encode_png(noise[..., 0], text=text),
            "smooth": heartfast.encode_png(smooth),
            "flat": heartfast.encode_png(np.full((h, w), 200, np.uint8)),
            "rgb": heartfast.encode_png(noise),
            "indexed": heartfast.encode_png(smooth, colormap=palette, text=text),
            "sums": heartfast.encode_png(np.cumsum(smooth % 3, axis=1, dtype=np.uint8)),
            "repeats": heartfast.encode_png(np.resize(noise[:5, :30], (h, w))),
            **{
                f"{n} colours": heartfast.encode_png(smooth % n, colormap=palette[:n])
                for n in (1, 2, 3, 16, 17, 255)
            },
        }.items():
            (tmp_path / f"{k}-{name}.png").write_bytes(png)
    y = rng.normal(0, 0.1, 30000)
    y[5000:12000] = 0
    soundfile.write(tmp_path / "x.wav", y, 4000)
    for k, fields in enumerate([{}, {"colormap": "magma"}, {"size": (64, 64)}, {"zero_pad": 1000}]):
        config = SpectrogramConfig(**fields)
        heartfast.convert(tmp_path / "x.wav", tmp_path / f"made{k}", config=config)
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 82
    checked = subprocess.run([tool("pngcheck"), "-v", *files], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert "No errors were detected in 82 of the 82 files" in checked.stdout
    assert "warning" not in checked.stdout.lower()
    assert "additional data after" not in checked.stdout


def unfiltered(png: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The filters of the rows, and what PNG's rules (9.2) make of the bytes, one by one."""
    found = dict(chunks(png))
    width, height = struct.unpack(">II", found[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, width + 1)
    above, rows = [0] * width, []
    for line in lines.tolist():
        row: list[int] = []
        for x, byte in enumerate(line[1:]):
            left, corner = (row[-1], above[x - 1]) if x else (0, 0)
            expected = {0: 0, 1: left, 2: above[x], 3: (left + above[x]) // 2}
            if line[0] == 4:
                ahead = left + above[x] - corner
                expected[4] = min((left, above[x], corner), key=lambda v, p=ahead: abs(p - v))
            row.append((byte + expected[line[0]]) % 256)
        rows.append(row)
        above = row
    return lines[:, 0], np.array(rows, np.uint8)


def test_bands_have_the_filters_that_suit_them():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 3, (200, 400))
    y, x = np.mgrid[:200, :400]
    pictures = {
        0: 100 + noise,  # each pixel for itself
        1: 100 + np.cumsum(noise, axis=1),
        2: 100 + np.cumsum(noise, axis=0),
        # The mean of two neighbours has less noise than each.
        3: 100 + 40 * np.sin(x / 40) + 40 * np.sin(y / 40) + noise,
    }
    for number, levels in pictures.items():
        pixels = (levels.round().astype(int) % 256).astype(np.uint8)
        filters, read = unfiltered(heartfast.encode_png(pixels))
        assert np.array_equal(read, pixels)
        assert set(filters[1:]) == {number}


def average(n: int, to: int) -> np.ndarray:
    """Weights (to, n) of the average over each output pixel's share of the input."""
    edges = np.arange(to + 1) * n / to
    left, right = np.arange(n), np.arange(1, n + 1)
    share = np.minimum(edges[1:, None], right) - np.maximum(edges[:-1, None], left)
    return np.maximum(share, 0) * to / n


def linear(n: int, to: int) -> np.ndarray:
    """Weights (to, n) of linear interpolation between the pixels' middles."""
    middles = (np.arange(to) + 0.5) * n / to - 0.5
    return np.maximum(0, 1 - np.abs(np.clip(middles, 0, n - 1)[:, None] - np.arange(n)))


def resized(levels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    down, across = (
        (average if n > to else linear)(n, to) for n, to in zip(levels.shape, size, strict=True)
    )
    return down @ levels @ across.T


def native_and_sized(y, size):
    spec = heartfast.spectrogram(y, 4000, window_ms=25, overlap=60)
    native = spec.to_image()
    return native, heartfast.to_image(spec, config=spec.config.replace(size=size))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 3000), st.tuples(st.integers(1, 130), st.integers(1, 130)), st.integers(0, 2**32)
)
def test_size_is_the_formulas(n, size, seed):
    native, sized = native_and_sized(np.random.default_rng(seed).normal(0, 0.1, n), size)
    assert sized.shape == size
    assert np.abs(sized - resized(native.astype(float), size)).max() <= 0.51


def pillow(levels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One axis after the other, each by Pillow's filter for its direction."""
    image = Image.fromarray(levels)
    for axis, to in ((1, size[1]), (0, size[0])):
        width, height = image.size
        if axis:
            shrinks, target = to < width, (to, height)
        else:
            shrinks, target = to < height, (width, to)
        how = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
        image = image.resize(target, how)
    return np.asarray(image)


# Where Pillow's box takes parts of pixels it takes them whole or not at all; so whole factors.
@pytest.mark.parametrize(
    "size", [(17, 16), (17, 6), (1, 1), (51, 24), (102, 96), (200, 150), (300, 12), (3, 400)]
)
def test_size_is_pillows(size):
    native, sized = native_and_sized(np.random.default_rng(0).normal(0, 0.1, 40 * 47), size)
    assert native.shape == (51, 48)
    assert np.abs(sized.astype(int) - pillow(native, size)).max() <= 1


def test_converted_pictures_are_sized_as_arrays_are(tmp_path):
    y = np.random.default_rng(2).normal(0, 0.1, 5000).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", y, 4000, subtype="FLOAT")
    config = SpectrogramConfig(size=(33, 257), colormap="viridis")
    heartfast.convert(tmp_path / "x.wav", tmp_path / "png", config=config)
    pixels = np.asarray(Image.open(tmp_path / "png/x.png"))
    expected = heartfast.to_image(heartfast.spectrogram(y, 4000, config=config))
    assert np.abs(pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", COLORMAPS)
def test_colour_maps(name):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    png = heartfast.encode_png(pixels, colormap=name)
    image = opened(png)
    assert image.mode == "P"
    assert dict(chunks(png))[b"PLTE"] == np.asarray(image.convert("RGB")).tobytes()
    # Perceptually uniform maps grow brighter all along.
    luma = np.asarray(image.convert("RGB")).reshape(-1, 3) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luma) > -0.8)
    assert luma[-1] - luma[0] > 130
    y = np.random.default_rng(0).normal(0, 0.1, 900)
    spec = heartfast.spectrogram(y, 4000, colormap=name)
    assert np.array_equal(np.asarray(opened(spec.to_png())), spec.to_image())
    assert "data:image/png;base64," in spec._repr_html_()


@pytest.mark.parametrize("name", COLORMAPS)
def test_colour_maps_are_matplotlibs(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib = importlib.import_module("matplotlib")
    pixels = np.arange(256, dtype=np.uint8)[None]
    image = opened(heartfast.encode_png(pixels, colormap=name)).convert("RGB")
    expected = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    assert np.array_equal(np.asarray(image)[0], expected)


ONE = np.zeros((1, 1), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"pixels": np.zeros((0, 3), np.uint8)}, EncodeError,
         "expected a width and a height of 1 to 2147483647 pixels, found 3 x 0"),
        ({"pixels": np.zeros((2, 2))}, TypeError, "pixels: expected dtype uint8, found float64"),
        ({"pixels": np.zeros((2, 2, 4), np.uint8)}, ValueError,
         "pixels: expected shape (height, width), or (height, width, 3) without a palette, "
         "found [2, 2, 4]"),
        ({"pixels": np.zeros((2, 2, 3), np.uint8), "colormap": "magma"}, ValueError,
         "pixels: expected shape (height, width), or (height, width, 3) without a palette, "
         "found [2, 2, 3]"),
        ({"colormap": "jet"}, ValueError,
         "colormap: expected one of gray, viridis, magma, inferno, plasma, "
         "cividis, turbo, bw, seewave, heat, found \"jet\""),
        ({"pixels": ONE + 5, "colormap": np.zeros((3, 3), np.uint8)}, EncodeError,
         "expected indexes below 3, the palette's length, found 5"),
        ({"colormap": np.zeros((0, 3), np.uint8)}, EncodeError,
         "expected a palette of 1 to 256 colours, found 0"),
        ({"colormap": np.zeros((257, 3), np.uint8)}, EncodeError,
         "expected a palette of 1 to 256 colours, found 257"),
        ({"colormap": np.zeros((2, 3))}, ValueError,
         "colormap: expected a name or a uint8 palette of shape (n, 3), found float64 of shape "
         "(2, 3)"),
        ({"colormap": np.zeros(3, np.uint8)}, ValueError,
         "colormap: expected a name or a uint8 palette of shape (n, 3), found uint8 of shape (3,)"),
        *(({"text": {keyword: ""}}, ValueError,
           "text: expected keywords of 1 to 79 printable ASCII characters, found " + repr(keyword))
          for keyword in ("", "k" * 80, "ü", "a\nb", " a", "a ", "a  b", "a\0")),
        ({"text": {"a": "b\0c"}}, ValueError, "text: expected no zero bytes, found one in 'a'"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        heartfast.encode_png(**{"pixels": ONE, **arguments})
    assert str(caught.value) == message


def test_pictures_that_no_viewer_opens_are_refused():
    vast = np.lib.stride_tricks.as_strided(ONE, (1, 1), (0, 0))
    assert np.array_equal(np.asarray(opened(heartfast.encode_png(vast))), ONE)
    with pytest.raises(ValueError, match=r"^size: expected \(height, width\), each 1 to 65535"):
        SpectrogramConfig(size=(1, 70000))
