"""What a model looks at in one picture: planted effects, a naive loop, and the layer drawn."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import heartfast
from heartfast import occlusion
from heartfast.bundle import Bundle
from heartfast.drawings import LEAST_SCALE, layer_png
from heartfast.extraction import extract_all
from heartfast.features import feature_names
from heartfast.heads import Head, Plot
from heartfast.images import PictureSet, Provenance
from heartfast.models import LinearModel
from heartfast.occlusion import OcclusionMap, occlusion_map

SR = 4000
BURST_HZ = 900.0
BURST_S = 0.3


def sound(at: float | None, seed: int, duration: float = 4.0) -> np.ndarray:
    """Beats in noise, and where `at` is given a tone there."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(duration * SR)) / SR
    y = 0.003 * rng.normal(size=len(time))
    for beat in np.arange(rng.uniform(0.1, 0.5), duration, 0.8):
        y += 0.3 * np.exp(-(((time - beat) / 0.02) ** 2)) * np.sin(2 * np.pi * 80 * time)
    if at is not None:
        inside = (time >= at) & (time < at + BURST_S)
        y[inside] += 0.1 * np.sin(2 * np.pi * BURST_HZ * time[inside])
    return y


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two classes that differ by the tone only, which is anywhere."""
    folder = tmp_path_factory.mktemp("planted")
    for number in range(40):
        at = 0.3 + 3.2 * number / 40 if number % 2 else None
        path = folder / "wav" / ("tone" if number % 2 else "none") / f"{number:02d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        heartfast.synth.write_wav(path, sound(at, number), SR)
    heartfast.synth.write_wav(folder / "wav/tone/probe.wav", sound(2.6, 99), SR)
    heartfast.convert(folder / "wav", folder / "png", labels="folders")
    return folder / "png"


@pytest.fixture(scope="module")
def bundle(pictures: Path) -> Bundle:
    from sklearn.linear_model import LogisticRegression

    with PictureSet(pictures) as found:
        known = [picture for picture in found.pictures if "probe" not in picture.name]
        extracted = extract_all(found, [picture.name for picture in known])
    x, actual = extracted.matrix, np.array([picture.label == "tone" for picture in known])
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    fitted = LogisticRegression(C=0.01).fit(np.clip((x - mean) / scale, -5, 5), actual)
    coef = np.vstack([0 * fitted.coef_, fitted.coef_])
    model = LinearModel(mean, scale, coef, np.append(0.0, fitted.intercept_))
    return Bundle(model, "planted", ("none", "tone"), extracted.config, [], {})


def test_the_map_shows_where_the_difference_was_planted(pictures: Path, bundle: Bundle) -> None:
    found = occlusion_map(bundle, pictures / "tone/probe.png")
    assert found.label == "tone"
    assert found.probability > 0.9
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    assert found.frequencies[row] < BURST_HZ + 150
    assert found.frequencies[row + 1] > BURST_HZ - 150
    assert found.times[column] < 2.6 + BURST_S
    assert found.times[column + 1] > 2.6
    # Above the beats next to nothing else speaks for it.
    far = (found.times[:-1] > 3.3) | (found.times[1:] < 2.2)
    above = found.frequencies[:-1] > 300
    assert np.abs(found.values[above][:, far]).max() < 0.2 * found.values.max()
    against = occlusion_map(bundle, pictures / "tone/probe.png", "none")
    np.testing.assert_allclose(against.values, -found.values, atol=1e-6)
    assert against.probability == pytest.approx(1 - found.probability)


def test_times_and_frequencies_are_those_of_the_recording(pictures: Path, bundle: Bundle) -> None:
    found = occlusion_map(bundle, pictures / "none/00.png")
    assert found.values.shape == (10, 16)
    # 50 ms windows, half over each other: the outer columns are centred on 0 and 4 s.
    assert found.times[[0, -1]] == pytest.approx([-0.0125, 4.0125])
    assert found.frequencies[[0, -1]] == pytest.approx([0, 2000])
    assert (np.diff(found.frequencies) > 0).all()
    assert np.diff(found.frequencies)[0] < 80
    assert np.diff(found.times) == pytest.approx(4.025 / 16, abs=0.03)


class PixelModel:
    """Log-odds that are a weighted sum of pixels."""

    kind = "pixels"

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        self.shape = (2, weights.size)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-(features @ self.weights.ravel())))
        return np.stack([1 - p, p], axis=1)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 999))
def test_it_is_what_a_naive_loop_finds(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(256, size=(height, width)).astype(np.uint8)
    path = tmp_path_factory.mktemp("naive") / "x.png"
    Image.fromarray(levels).save(path)
    weights = rng.normal(size=(height, width)) / levels.size / 100
    model = Bundle(PixelModel(weights), "pixels", ("a", "b"), None, [], {})  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occlusion, "extract", lambda seen, _: seen.ravel().astype(float))
        found = occlusion_map(model, path, "b")
    # Of pictures that say nothing, a row is a share of 2 kHz and a column 25 ms.
    rows = np.rint(found.frequencies / 2000 * height).astype(int)
    columns = np.rint(found.times / 0.025).astype(int)
    assert found.values.shape == (len(rows) - 1, len(columns) - 1)
    assert (rows[0], rows[-1]) == (0, height)
    assert (columns[0], columns[-1]) == (0, width)
    expected = np.zeros(found.values.shape)
    for r in range(len(rows) - 1):
        for c in range(len(columns) - 1):
            changes = []
            for top in range(max(0, r - 1), min(r, max(0, len(rows) - 3)) + 1):
                for left in range(max(0, c - 1), min(c, max(0, len(columns) - 3)) + 1):
                    seen = levels.astype(float)
                    last_row = rows[min(top + 2, len(rows) - 1)]
                    last_column = columns[min(left + 2, len(columns) - 1)]
                    for y in range(rows[top], last_row):
                        row = height - 1 - y
                        for x in range(columns[left], last_column):
                            seen[row, x] = np.round(np.median(levels[row]))
                    changes.append(((levels - seen) * weights).sum())
            expected[r, c] = np.mean(changes)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-(levels * weights).sum())))


anything = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 90)),
    st.builds(Plot, st.none(), anything, anything, anything, anything),
    st.one_of(st.none(), anything),
    st.one_of(st.none(), anything),
    st.tuples(st.floats(0, 2.0**53), st.floats(0, 2.0**53)).map(sorted),
)
def test_whatever_a_head_says_cells_cover_pixels(size, plot, left, right, hertz) -> None:
    provenance = Provenance({}, 4000, 1.0, 200, 100, *hertz, "0")
    levels = np.arange(size[0] * size[1]).reshape(size).astype(np.uint8)
    grid = occlusion._grid("x", levels, provenance, Head(plot, left=left, right=right))
    for edges, values in ((grid.rows, grid.frequencies), (grid.columns, grid.times)):
        assert len(edges) == len(values) >= 2
        assert (np.diff(edges) > 0).all()
        assert np.isfinite(values).all()
        assert (np.diff(values) >= 0).all()
    assert grid.bottom - grid.rows[-1] >= 0 == grid.rows[0]
    assert 0 <= grid.columns[0] < grid.columns[-1] <= size[1]
    assert grid.frequencies[0] >= hertz[0]
    # Every cell is hidden, and nothing but the plot.
    hidden = np.zeros((len(grid.rows) - 1, len(grid.columns) - 1), dtype=bool)
    for window in grid.windows():
        hidden[window] = True
        changed = grid.hide(levels, *window) != levels
        assert not changed[:, : grid.columns[0]].any()
        assert not changed[grid.bottom :].any()
    assert hidden.all()


def test_only_the_plot_of_a_figure_is_hidden(tmp_path: Path) -> None:
    y, sr = heartfast.synth.heart_sound("murmur", seed=1, duration_s=3.0)
    for scale in ("linear", "log"):
        figure = heartfast.figure(y, sr, y_scale=scale, fmax=800)
        (tmp_path / f"{scale}.png").write_bytes(figure.png)
    with pytest.raises(heartfast.DatasetError, match="linear scale of frequencies, found 'log'"):
        occlusion_map(constant(), tmp_path / "log.png")
    seen: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occlusion, "extract", lambda x, _: seen.append(x) or np.zeros(1))
        found = occlusion_map(constant(1), tmp_path / "linear.png")
    changed = np.any([x != seen[0] for x in seen[1:]], axis=0)
    left, top, right, bottom = heartfast.figure(y, sr, fmax=800).axes["plot"]
    assert changed[top:bottom, left:right].mean() > 0.5
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert found.times[[0, -1]] == pytest.approx([0, 3])
    assert found.frequencies[[0, -1]] == pytest.approx([0, 800])


def constant(width: int = len(feature_names())) -> Bundle:
    zeros = np.zeros((2, width))
    model = LinearModel(zeros[0], zeros[0] + 1, zeros, zeros[:, 0])
    return Bundle(model, "class prior", ("a", "b"), None, [], {})


def test_a_model_that_looks_at_nothing_has_an_empty_map(pictures: Path) -> None:
    found = occlusion_map(constant(), pictures / "none/00.png")
    assert not found.values.any()
    assert found.describe() == "a, 50%; no part of it speaks for that more than the rest."
    assert np.asarray(Image.open(io.BytesIO(layer_png(found))).convert("RGBA"))[..., 3].max() == 0


def test_what_does_not_fit_is_refused(pictures: Path, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label: expected one of none, tone, found 'murmur'"):
        occlusion_map(bundle, pictures / "none/00.png", "murmur")
    config = heartfast.SpectrogramConfig(window_ms=30)
    heartfast.convert(pictures.parent / "wav/none", tmp_path / "other", config=config)
    with pytest.raises(heartfast.ConfigMismatchError, match=r"window_ms=50.0, found 30.0"):
        occlusion_map(bundle, tmp_path / "other/00.png")
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(heartfast.DecodeError, match=r"no\.png: expected a PNG or JPEG"):
        occlusion_map(bundle, tmp_path / "no.png")
    with pytest.raises(FileNotFoundError):
        occlusion_map(bundle, tmp_path / "gone.png")


def planted_map() -> OcclusionMap:
    values = np.zeros((4, 8))
    values[1, 2], values[3, 6] = 2.0, -1.0
    return OcclusionMap(values, np.linspace(0, 2, 9), np.linspace(0, 800, 5), "murmur", 0.8)


def rgba(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)


def test_the_layer_lies_where_the_values_are() -> None:
    found = planted_map()
    layer = rgba(layer_png(found))
    height, width = layer.shape[:2]

    def at(seconds: float, hertz: float) -> np.ndarray:
        return layer[int((1 - hertz / 800) * height), int(seconds / 2 * width)]

    red, _, blue, opaque = at(0.625, 300)
    assert red > blue
    assert 120 < opaque < 255
    red, _, blue, half = at(1.625, 700)
    assert blue > red
    assert half == pytest.approx(opaque / 2, abs=20)
    assert at(1.1, 300)[3] == 0
    # Over axes that show more than the picture, and another part of it.
    layer = rgba(layer_png(found, xlim=(0.5, 0.75), ylim=(200, 400)))
    assert layer[height // 2, width // 2, 3] > 120
    assert layer[..., 3].min() > 0
    assert len(layer_png(found)) < 2000


@given(
    st.integers(1, 12),
    st.integers(1, 70),
    st.integers(0, 999),
    st.floats(0, 50),
)
def test_cells_have_the_colour_of_their_sign(
    rows: int, columns: int, seed: int, size: float
) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, columns)) * size
    edges = np.linspace(0, 2, columns + 1), np.linspace(0, 2000, rows + 1)
    layer = rgba(layer_png(OcclusionMap(values, *edges, "a", 0.5)))
    assert layer.shape[1] == 4 * columns
    assert layer[..., 3].max() <= 200
    strongest = np.abs(values).max()
    # Four pixels to a column: the two in its middle are nearest to its own value.
    for row, column in np.argwhere(np.abs(values) > 0.9 * strongest):
        y = min(int((1 - (row + 0.5) / rows) * len(layer)), len(layer) - 1)
        red, _, blue, opaque = layer[y, 4 * column + 1]
        if strongest > 0.2 and opaque > 100:
            assert (red > blue) == (values[row, column] > 0)


def test_small_changes_stay_faint() -> None:
    found = planted_map()
    faint = found._replace(values=found.values * LEAST_SCALE / 20)
    assert 0 < rgba(layer_png(faint))[..., 3].max() < 0.2 * rgba(layer_png(found))[..., 3].max()


def test_it_is_said_what_speaks_for_the_class() -> None:
    found = planted_map()
    # Odds of 4, less by a factor of e^2.
    assert found.describe() == (
        "murmur, 80%; what speaks most for it is 0.5 to 0.8 s at 200 to 400 Hz, without it 35%."
    )
    sure = found._replace(probability=0.9999999)
    assert "murmur, over 99%" in sure.describe()
