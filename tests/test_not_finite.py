"""Samples and values that are no finite numbers: silence, counted, and nothing beside them changes.

Oracles: the definition, a discrete Fourier transform per frame in NumPy; scipy; the pictures of
`convert`.
"""

from __future__ import annotations

import io

import librosa
import numpy as np
import pytest
import scipy.signal
from PIL import Image

import heartfast
from heartfast.errors import HeartfastWarning

SR = 4000
BAD = [np.nan, np.inf, -np.inf]
# Lanes of a register, pairs of frames, and lengths with other prime factors.
LENGTHS = [(200, 100), (256, 64), (1103, 551), (22, 11)]


def tone(n: int = 6000, dtype: type = np.float64) -> np.ndarray:
    return (0.3 * np.sin(np.arange(n) / 5) + 0.1 * np.cos(np.arange(n) ** 1.3)).astype(dtype)


def naive(y: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """The definition, in double precision: frame k has the window's middle on sample k * hop."""
    window = heartfast.get_window("gaussian", n_fft)
    lead = n_fft // 2
    padded = np.concatenate([np.zeros(lead), y.astype(np.float64), np.zeros(n_fft)])
    starts = range(0, len(y) + 1, hop)
    return np.array([np.fft.rfft(padded[s : s + n_fft] * window) for s in starts]).T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_fft", "hop"), LENGTHS)
@pytest.mark.parametrize("bad", BAD)
def test_each_frame_is_that_of_silence_there(dtype, n_fft: int, hop: int, bad: float) -> None:
    y = tone(dtype=dtype)
    places = [0, 1, 2500, 2501, y.size - 1]
    y[places] = bad
    with pytest.warns(HeartfastWarning, match="found 5 samples that are not: they count as silen"):
        found = heartfast.stft(y, n_fft=n_fft, hop_length=hop)
    y[places] = 0
    expected = naive(y, n_fft, hop)
    assert found.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
    most = 1e-5 if dtype == np.float32 else 1e-12
    assert np.abs(found - expected).max() < most * np.abs(expected).max()


def test_frames_without_it_are_scipys() -> None:
    y = tone()
    y[2500] = np.nan
    with pytest.warns(HeartfastWarning):
        found = np.abs(heartfast.stft(y, n_fft=200, hop_length=100, window="hann"))
    _, _, theirs = scipy.signal.stft(
        y, nperseg=200, noverlap=100, window=heartfast.get_window("hann", 200), scaling="spectrum"
    )
    theirs = np.abs(theirs) * heartfast.get_window("hann", 200).sum()
    whole = ~np.isnan(theirs).any(axis=0)
    assert (~whole).sum() == 2
    columns = min(found.shape[1], theirs.shape[1])
    apart = np.abs(found[:, :columns] - theirs[:, :columns])[:, whole[:columns]]
    assert apart.max() < 1e-9


@pytest.mark.parametrize(
    ("dtype", "huge", "most"), [(np.float32, 3e38, 1e-5), (np.float64, 1.5e308, 1e-12)]
)
@pytest.mark.parametrize(("n_fft", "hop"), LENGTHS)
def test_what_overflows_stays_in_its_frames(dtype, huge: float, most, n_fft: int, hop: int) -> None:
    """Alone and in a batch; two frames that share a transform do not hear of each other."""
    y = tone(dtype=dtype)
    y[3000:3100] = huge
    with np.errstate(over="ignore"):
        found = heartfast.stft(np.stack([y, tone(dtype=dtype)]), n_fft=n_fft, hop_length=hop)
    assert not np.isnan(found).any()
    # In the scale at which all can be represented.
    expected = naive(y / dtype(huge), n_fft, hop)
    with np.errstate(over="ignore"):
        there = np.isfinite(found[0]) & (np.abs(expected) * huge < np.finfo(dtype).max / 2)
    apart = np.abs(found[0][there] / huge - expected[there])
    assert there.mean() > 0.8
    assert apart.max() < most * np.abs(expected).max()
    clean = naive(tone(dtype=dtype), n_fft, hop)
    assert np.abs(found[1] - clean).max() < most * np.abs(clean).max()


MAKERS = {
    "spectrogram": lambda y: heartfast.spectrogram(y, SR),
    "detrended": lambda y: heartfast.spectrogram(y, SR, detrend="constant"),
    "reassigned": lambda y: heartfast.reassigned_spectrogram(y, SR),
    "several windows": lambda y: heartfast.multi_resolution(y, SR, windows_ms=(20,)),
    "effects": lambda y: heartfast.spectrogram(
        y, SR, noise_reduction=1, quantile=0.1, median=(3, 3), blur=(10, 20), derivative="both"
    ),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectrograms_count_them(name: str, dtype) -> None:
    y = np.stack([tone(dtype=dtype), tone(dtype=dtype)[::-1]])
    y[0, [7, 999]], y[1, -1] = np.nan, np.inf
    with pytest.warns(HeartfastWarning) as warned:
        found = MAKERS[name](y)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    expected = MAKERS[name](np.where(np.isfinite(y), y, 0).astype(dtype))
    np.testing.assert_array_equal(found.values, expected.values)
    assert (found.silenced, expected.silenced) == (3, 0)
    assert found.values.dtype == dtype


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("dtype", "factor"), [(np.float32, 2.0**118), (np.float64, 2.0**1000)])
@pytest.mark.parametrize("down", [False, True])
def test_loud_and_faint_signals_are_those_of_one(name, dtype, factor: float, down: bool) -> None:
    """All that is done to magnitudes is proportional to them, so that a factor comes out again."""
    factor = 1 / factor if down else factor
    y = tone(dtype=dtype)
    found = MAKERS[name]((y * dtype(factor)).astype(dtype)).values
    expected = MAKERS[name](y).values
    assert np.isfinite(found).all()
    apart = np.abs(found / dtype(factor) - expected)
    assert apart.max() < (1e-4 if dtype == np.float32 else 1e-9) * expected.max()


@pytest.mark.parametrize("bad", BAD)
def test_pictures_are_those_of_convert(bad: float, tmp_path) -> None:
    import soundfile

    y = tone(dtype=np.float32)
    y[[100, 3000]] = bad
    soundfile.write(tmp_path / "x.wav", y, SR, subtype="FLOAT")
    result = heartfast.convert(tmp_path / "x.wav", tmp_path / "out")
    assert any("2 samples that are no finite numbers" in note for note in result.notes)
    drawn = np.asarray(Image.open(tmp_path / "out/x.png"))
    with pytest.warns(HeartfastWarning):
        spec = heartfast.spectrogram(*heartfast.load(tmp_path / "x.wav"))
    found = heartfast.to_image(spec)
    assert np.abs(found.astype(int) - drawn).max() <= 1
    assert len(np.unique(found)) > 50
    with pytest.warns(HeartfastWarning, match="1 recordings have 2 samples"):
        batch = heartfast.convert_batch({"bytes": [(tmp_path / "x.wav").read_bytes()]})
    image = np.asarray(Image.open(io.BytesIO(batch["image"][0])))
    np.testing.assert_array_equal(image, drawn)


CHANGES = {
    "to_db": lambda spec: spec.to_db(),
    "to_image": lambda spec: spec.to_image(),
    "reduce_noise": lambda spec: heartfast.reduce_noise(spec).values,
    "subtract_quantile": lambda spec: heartfast.subtract_quantile(spec).values,
    "median_filter": lambda spec: heartfast.median_filter(spec).values,
    "gaussian_blur": lambda spec: heartfast.gaussian_blur(spec, time_ms=20).values,
    "sharpen": lambda spec: heartfast.sharpen(spec, frequency_hz=20).values,
    "spectral_derivative": lambda spec: heartfast.spectral_derivative(spec).values,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("bad", BAD)
def test_values_that_are_none_count_as_no_magnitude(name: str, bad: float) -> None:
    spec = heartfast.spectrogram(tone(), SR)
    values = spec.values.copy()
    values[3, 5] = 0
    expected = CHANGES[name](heartfast.Spectrogram(values, sr=SR, config=spec.config))
    values[3, 5] = bad
    with pytest.warns(HeartfastWarning, match=r"spec.values: expected finite numbers, found 1 "):
        found = CHANGES[name](heartfast.Spectrogram(values, sr=SR, config=spec.config))
    np.testing.assert_array_equal(found, expected)
    assert values[3, 5] == bad or np.isnan(bad), "the array itself is left alone"


def test_effects_keep_the_count() -> None:
    y = tone()
    y[5] = np.nan
    with pytest.warns(HeartfastWarning):
        spec = heartfast.spectrogram(y, SR)
    assert heartfast.median_filter(spec).silenced == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("ref", ["max", 1.0])
def test_decibels_of_powers_change_only_where_they_are_none(bad: float, ref) -> None:
    power = np.abs(tone()) ** 2
    theirs = librosa.power_to_db(power, ref=np.max if ref == "max" else ref)
    power[17] = bad
    found = heartfast.power_to_db(power, ref=ref)
    assert found[17] == bad or np.isnan(found[17])
    np.testing.assert_allclose(np.delete(found, 17), np.delete(theirs, 17), atol=1e-9)


def test_figures_draw_silence_and_say_so() -> None:
    y = tone(8000, np.float32)
    clean = y.copy()
    y[[4, 4000]], clean[[4, 4000]] = np.inf, 0
    with pytest.warns(HeartfastWarning, match="found 2 samples"):
        figure = heartfast.figure(y, SR)
    expected = heartfast.figure(clean, SR)
    assert pixels(figure).tobytes() == pixels(expected).tobytes()
    with pytest.warns(HeartfastWarning):
        spec = heartfast.spectrogram(y, SR)
    # Of these there was a warning; now there is none.
    again, expected = spec.figure(), heartfast.spectrogram(clean, SR).figure()
    assert pixels(again).tobytes() == pixels(expected).tobytes()
    # What single precision, in which figures are drawn, cannot have.
    loud = tone(8000)
    loud[4000] = 1e39
    with pytest.warns(HeartfastWarning, match="found 1 samples"):
        heartfast.figure(loud, SR)


def pixels(figure: heartfast.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))


def test_a_spectrogram_is_an_array_to_numpy() -> None:
    spec = heartfast.spectrogram(tone(), SR)
    assert np.asarray(spec) is spec.values or np.shares_memory(np.asarray(spec), spec.values)
    np.testing.assert_array_equal(np.asarray(spec), spec.values)
    assert np.asarray(spec, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(spec), spec.values)
    assert not np.shares_memory(np.array(spec, copy=True), spec.values)
    assert np.asarray(spec).shape == spec.values.shape
    assert np.mean(spec) == spec.values.mean()
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        assert np.shares_memory(np.asarray(spec, copy=False), spec.values)
        with pytest.raises(ValueError, match="copy: expected True or None for dtype float32"):
            np.asarray(spec, dtype=np.float32, copy=False)
    # It is no sequence: its rows are nothing that anyone would expect to count.
    with pytest.raises(TypeError):
        len(spec)
    with pytest.raises(TypeError):
        iter(spec)
    assert bool(spec)
