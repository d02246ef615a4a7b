"""Figures: what is drawn where, against formulas, NumPy's interpolation and the tiles."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import heartfast
from heartfast import FigureConfig, SpectrogramConfig

SR = 4000


def pixels(figure: heartfast.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))


def plot(figure: heartfast.Figure, part: str = "plot") -> np.ndarray:
    left, top, right, bottom = figure.axes[part]
    return pixels(figure)[top:bottom, left:right].astype(int)


def place(scale: str, hz: float) -> float:
    """The scales, written down once more."""
    return {
        "linear": hz,
        "log": np.log(hz),
        "mel": np.log1p(hz / 700),
        "bark": 26.81 / (1 + 1960 / hz) - 0.53,
        "erb": np.log(1 + 0.00437 * hz),
    }[scale]


@pytest.mark.parametrize("scale", ["linear", "log", "mel", "bark", "erb"])
def test_a_tone_burst_is_where_the_axes_say(scale: str) -> None:
    hz, begin, end = 600.0, 1.0, 1.4
    t = np.arange(3 * SR) / SR
    y = np.where((t >= begin) & (t < end), np.sin(2 * np.pi * hz * t), 0)
    figure = heartfast.figure(y, SR, y_scale=scale, ylim=(50, 2000), colormap="gray")
    levels = plot(figure)[..., 0]
    height, width = levels.shape
    row, column = np.unravel_index(levels.argmax(), levels.shape)
    low, high = place(scale, 50), place(scale, 2000)
    expected = height * (1 - (place(scale, hz) - low) / (high - low))
    # A bin is 20 Hz high; where it is the largest, a few pixels are the same.
    top, bottom = (height * (place(scale, hz + d) - low) / (high - low) for d in (20, -20))
    assert abs(row + 0.5 - expected) <= abs(top - bottom) / 2 + 1
    assert begin / 3 * width - 1 <= column <= end / 3 * width + 1
    assert figure.axes["xlim"] == [0, 3]
    assert figure.axes["ylim"] == [50, 2000]
    # The oscillogram is flat before and after it, and full in between.
    wave = (plot(figure, "osc")[..., 2] < 200).sum(axis=0)
    inside = wave[int(1.05 / 3 * width) : int(1.35 / 3 * width)]
    assert inside.min() > 0.9 * plot(figure, "osc").shape[0]
    assert wave[: int(0.95 / 3 * width)].max() <= 2


def test_between_bins_and_frames_levels_are_interpolated_as_by_numpy() -> None:
    y, sr = heartfast.synth.heart_sound("murmur", seed=3, duration_s=2.0)
    figure = heartfast.figure(y, sr, colormap="gray", osc="none", fmax=500)
    drawn = plot(figure)[..., 0]
    height, width = drawn.shape
    spec = heartfast.spectrogram(y, sr, fmax=500)
    tile = spec.to_image()[::-1].astype(float)  # lowest bin first
    hz = spec.frequencies[: tile.shape[0]]
    at_time = (np.arange(width) + 0.5) / width * len(y) / sr
    at_hz = 500 * (1 - (np.arange(height) + 0.5) / height)
    wide = np.array([np.interp(at_time, spec.times, row) for row in tile])
    expected = np.array([np.interp(at_hz, hz, column) for column in wide.T]).T
    # 96 steps of gray, 2.7 levels each, and two roundings on the way.
    assert np.abs(drawn - expected).max() <= 5
    assert np.abs(drawn - expected).mean() < 1.5


def test_no_click_is_lost_in_a_long_recording() -> None:
    sr = 1000
    y = np.zeros(3600 * sr, np.float32)
    clicks = np.array([100.0, 1234.5, 3599.0])
    y[(clicks * sr).astype(int)] = 0.5
    figure = heartfast.figure(y, sr, colormap="gray")
    levels = plot(figure)[..., 0].max(axis=0)
    width = levels.size
    for at in clicks:
        column = int(at / 3600 * width)
        assert levels[max(column - 1, 0) : column + 2].max() == 255
    # Nothing is drawn where nothing is.
    assert (levels > 0).sum() <= 4 * len(clicks)
    wave = (plot(figure, "osc")[..., 2] < 200).sum(axis=0)
    assert (wave > 40).sum() in range(len(clicks), 2 * len(clicks) + 1)


def test_a_column_of_a_long_recording_is_the_maximum_of_its_frames() -> None:
    rng = np.random.default_rng(5)
    y = (rng.normal(size=400 * SR) * np.repeat(rng.uniform(0, 0.2, 400), SR)).astype(np.float32)
    # More bins than pixels, so that these are maxima in both directions.
    options = {"window_ms": 200, "overlap": 50}
    figure = heartfast.figure(y, SR, colormap="gray", width=300, **options)
    drawn = plot(figure)[..., 0]
    width = drawn.shape[1]
    tile = heartfast.spectrogram(y, SR, **options).to_image().astype(int)
    edges = np.arange(width + 1) / width * 400 / 0.1
    for x in range(2, width - 2):
        first, end = int(edges[x]), int(edges[x + 1])
        inner = tile[:, first + 1 : end].max()
        # Frames are taken together in columns that are half a pixel wide, and may stick out.
        outer = tile[:, first - 14 : end + 14].max()
        assert inner - 4 <= drawn[:, x].max() <= outer + 4


def test_convert_and_figure_and_spectrogram_draw_the_same(tmp_path) -> None:
    y, sr = heartfast.synth.heart_sound("normal", seed=2, duration_s=3.0)
    heartfast.synth.write_wav(tmp_path / "beat.wav", y, sr)
    y, sr = heartfast.load(tmp_path / "beat.wav")
    config = SpectrogramConfig(figure=FigureConfig(theme="dark", grid=True))
    heartfast.convert(tmp_path / "beat.wav", tmp_path / "out", config=config)
    converted = np.asarray(Image.open(tmp_path / "out/beat.png").convert("RGB")).astype(int)
    drawn = pixels(heartfast.figure(y, sr, config=config, title="beat")).astype(int)
    np.testing.assert_array_equal(converted, drawn)
    spec = heartfast.spectrogram(y, sr, config=config).figure(title="beat")
    # Magnitudes are rounded elsewhere: a level of 96 here and there.
    assert np.abs(pixels(spec).astype(int) - drawn).max() <= 16
    assert (pixels(spec) != drawn).any(axis=-1).mean() < 0.02


def test_pngcheck_and_provenance(tmp_path, tool) -> None:
    pngcheck = tool("pngcheck")
    y, sr = heartfast.synth.heart_sound(seed=1)
    line = (np.linspace(0, 5, 50), np.linspace(100, 400, 50))
    for k, options in enumerate([{}, {"contour": line}, {"scale": 2, "colorbar": True}]):
        path = tmp_path / f"{k}.png"
        heartfast.figure(y, sr, **options).save(path)
        subprocess.run([pngcheck, "-q", path], check=True)
        assert '"axes"' in Image.open(path).text["heartfast"]


def test_colour_maps_are_matplotlibs() -> None:
    import matplotlib

    from heartfast import _core

    for name in ("viridis", "magma", "inferno", "plasma", "cividis", "turbo"):
        table = np.frombuffer(_core.palette(name), np.uint8).reshape(256, 3)
        expected = matplotlib.colormaps[name](range(256), bytes=True)[:, :3]
        np.testing.assert_array_equal(table, expected)
    for name in ("bw", "seewave", "heat"):
        table = np.frombuffer(_core.palette(name), np.uint8).reshape(256, 3).astype(int)
        assert table[0].tolist() == [255, 255, 255]
        assert np.abs(np.diff(table, axis=0)).max() <= 8


def test_contrast_and_brightness_do_what_they_say() -> None:
    y, sr = heartfast.synth.heart_sound(seed=1)
    plain = plot(heartfast.figure(y, sr, colormap="gray"))[..., 0] / 255
    faint = plot(heartfast.figure(y, sr, colormap="gray", contrast=0.3))[..., 0] / 255
    assert np.abs(faint - plain ** np.exp(0.9)).max() < 0.02
    light = plot(heartfast.figure(y, sr, colormap="gray", brightness=0.2))[..., 0] / 255
    assert np.abs(light - np.clip(plain + 0.2, 0, 1)).max() < 0.02
    # On a map from light to dark, lighter is less.
    ink = plot(heartfast.figure(y, sr, colormap="bw", brightness=0.2))[..., 0] / 255
    assert np.abs((1 - ink) - np.clip(plain - 0.2, 0, 1)).max() < 0.02


def test_intervals_are_lines_at_their_times() -> None:
    y, sr = np.zeros(4 * SR, np.float32), SR
    marks = [(0.5, 1.0, "S1"), (2.0, 2.0, "S2")]
    figure = heartfast.figure(y, sr, intervals=marks, colormap="bw")
    coloured = np.ptp(plot(figure), axis=-1) > 40
    columns = np.flatnonzero(coloured.any(axis=0))
    expected = np.array([0.5, 1.0, 2.0]) / 4 * coloured.shape[1]
    assert len(columns) == 3
    assert np.abs(columns - expected).max() <= 1.5
    with pytest.raises(ValueError, match=r"intervals: expected from <= to, found \(2.0, 1.0"):
        heartfast.figure(y, sr, intervals=[(2, 1, "x")])


def test_a_contour_runs_through_its_points() -> None:
    y = np.zeros(4 * SR, np.float32)
    times = np.array([0.5, 1.5, np.nan, 3.0, 3.5])
    hz = np.array([500.0, 1500.0, 1000.0, 1000.0, 1000.0])
    figure = heartfast.figure(y, SR, contour=(times, hz), colormap="bw")
    area = plot(figure)
    height, width, _ = area.shape
    red = (area[..., 0] - area[..., 1]) > 100
    for t, f in ((0.75, 750), (1.0, 1000), (1.25, 1250), (3.25, 1000)):
        x, y_at = int(t / 4 * width), (1 - f / 2000) * height
        assert np.abs(np.flatnonzero(red[:, x]) + 0.5 - y_at).max() < 4
    gap = slice(int(1.6 / 4 * width), int(2.9 / 4 * width))
    assert not red[:, gap].any()


def test_times_of_segments_are_those_of_the_recording(tmp_path) -> None:
    y, sr = heartfast.synth.heart_sound(seed=1, duration_s=6.0)
    heartfast.synth.write_wav(tmp_path / "beat.wav", y, sr)
    config = SpectrogramConfig(figure=FigureConfig())
    heartfast.convert(tmp_path / "beat.wav", tmp_path / "out", config=config, segment_s=2.0)
    heard = heartfast.Figure((tmp_path / "out/beat_4000.png").read_bytes())
    assert heard.axes["xlim"] == [4.0, 6.0]


@pytest.mark.parametrize("size", [(900, 500), (300, 200)])
def test_text_is_legible(size: tuple[int, int]) -> None:
    """Figures of an axis are as high as print of 7 points on a screen, and dark on light."""
    y, sr = heartfast.synth.heart_sound(seed=1)
    figure = heartfast.figure(y, sr, width=size[0], height=size[1], title="Heart")
    image = pixels(figure).astype(int)
    _, _, _, bottom = figure.axes["osc"]
    ink = image[bottom + 6 :, :].min(axis=-1) < 110
    rows = np.flatnonzero(ink.any(axis=1))
    blocks = np.split(rows, np.flatnonzero(np.diff(rows) > 2) + 1)
    heights = [len(block) for block in blocks]
    assert len(blocks) == 2, "tick labels and the axis' name, apart from each other"
    assert heights[0] >= 7
    assert heights[1] >= 7


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(100, 1200),
        "height": st.integers(100, 900),
        "scale": st.floats(0.5, 2.0),
        "osc": st.sampled_from(["none", "linear", "db"]),
        "y_scale": st.sampled_from(["linear", "log", "mel", "bark", "erb"]),
        "grid": st.booleans(),
        "colorbar": st.booleans(),
        "theme": st.sampled_from(["light", "dark"]),
        "title": st.text(max_size=300),
        "ylab": st.text(max_size=300),
        "xlim": st.tuples(st.floats(0, 3), st.floats(3.1, 50)),
        "contrast": st.floats(-1, 1),
        "brightness": st.floats(-1, 1),
    },
)


# Titles without a glyph, and names with another unit.
@pytest.mark.filterwarnings("ignore::heartfast.errors.HeartfastWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    options=SETTINGS,
    n=st.integers(1, 30_000),
    sr=st.sampled_from([100, 4000, 44_100, 192_000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_settings_give_a_whole_picture(options, n, sr, seed) -> None:
    y = np.random.default_rng(seed).normal(size=n) * 10.0 ** (seed % 12 - 9)
    figure = heartfast.figure(y, sr, intervals=[(0, n / sr, "x" * (seed % 50))], **options)
    image = Image.open(io.BytesIO(figure.png))
    image.load()
    scale = options.get("scale", 1.0)
    expected = [options.get("width", 900) * scale, options.get("height", 500) * scale]
    assert np.abs(np.subtract(image.size, expected)).max() <= 0.5
    left, top, right, bottom = figure.axes["plot"]
    assert 0 <= left < right <= image.size[0]
    assert 0 <= top < bottom <= image.size[1]
    if (osc := figure.axes.get("osc")) and image.size[1] > 200:
        # 3 to 1, but for pixels.
        assert abs((bottom - top) / (osc[3] - osc[1]) - 3) < 0.4
        assert osc[0] == left
        assert osc[2] == right
        assert osc[1] >= bottom


@pytest.mark.filterwarnings("ignore:y. expected finite numbers")
def test_silence_and_one_sample_are_drawn() -> None:
    for y in (np.zeros(SR), np.ones(1), np.full(100, np.nan)):
        levels = plot(heartfast.figure(y, SR, colormap="gray"))[..., 0]
        assert levels.size
        assert levels.max() <= 255


def test_notebooks_get_figure_and_player() -> None:
    import base64
    import re

    import soundfile

    y, sr = heartfast.synth.heart_sound(seed=1)
    html = heartfast.spectrogram(y, sr)._repr_html_()
    png, wav = (base64.b64decode(data) for data in re.findall(r";base64,([^\"]+)\"", html))
    assert Image.open(io.BytesIO(png)).size == (900, 500)
    heard, rate = soundfile.read(io.BytesIO(wav))
    assert rate == sr
    assert np.abs(heard - np.clip(y, -1, 1)).max() < 2 / 32767


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colormap": "jet"}, 'colormap: expected one of gray, viridis, .*, found "jet"'),
        ({"ylim": (500, 500)}, "fmin: expected less than fmax"),
        ({"ylim": (3000, 5000)}, "fmin: expected a bin between"),
        ({"width": 0}, "width: expected 100 to 16384 points, found 0"),
        ({"width": 100_000}, "width: expected 100 to 16384 points, found 100000"),
        ({"height": -5}, "height: expected"),
        ({"scale": 9}, "scale: expected 0.5 to 4, found 9"),
        ({"theme": "blue"}, 'theme: expected one of light, dark, found "blue"'),
        ({"osc": "log"}, "osc: expected one of none, linear, db"),
        ({"y_scale": "octave"}, "y_scale: expected one of linear, log"),
        ({"xlim": (2, 1)}, "xlim: expected"),
        (
            {"font": "/nowhere.ttf"},
            "font: expected a TrueType or OpenType file, found /nowhere.ttf",
        ),
        ({"contrast": 3}, "contrast: expected a number from -1 to 1, found 3"),
        ({"preset": "cow"}, "preset: expected one of published, heart"),
        ({"contour": ([1, 2], [3])}, "contour: expected times and frequencies"),
    ],
)
def test_bad_settings_are_named(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        heartfast.figure(np.zeros(100), SR, **options)


def test_a_font_that_is_none_ends_a_run(tmp_path) -> None:
    heartfast.synth.write_wav(tmp_path / "a.wav", *heartfast.synth.heart_sound(seed=1))
    config = SpectrogramConfig(figure=FigureConfig(font="/nowhere.ttf"))
    with pytest.raises(ValueError, match=r"font: expected a TrueType or OpenType file, found /no"):
        heartfast.convert(tmp_path / "a.wav", tmp_path / "out", config=config)


def test_a_font_that_is_none_is_named(tmp_path) -> None:
    (tmp_path / "x.ttf").write_bytes(b"\x00\x01\x00\x00" + bytes(200))
    with pytest.raises(ValueError, match="font: expected a TrueType"):
        heartfast.figure(np.zeros(100), SR, font=tmp_path / "x.ttf")


@pytest.mark.filterwarnings("ignore:titles and labels")
def test_glyphs_of_another_font_and_boxes_for_missing_ones() -> None:
    import matplotlib

    font = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"

    def title(text: str, **options: object) -> np.ndarray:
        figure = heartfast.figure(np.zeros(SR), SR, title=text, **options)
        return pixels(figure)[: figure.axes["plot"][1] - 1]

    # Georgian is in DejaVu; nobody has the others, which are all the same box.
    letters = [title(text, font=font) for text in ("\u10d0", "\u10d1")]
    boxes = [title(text, font=f) for text in ("\u0378", "\u0379") for f in (None, font)]
    assert letters[0].tobytes() != letters[1].tobytes()
    assert boxes[0].tobytes() == boxes[2].tobytes()
    assert boxes[1].tobytes() == boxes[3].tobytes()
    for image in (*letters, *boxes):
        assert (image.min(axis=-1) < 128).sum() > 0
