"""Effects against NumPy and scipy, as functions and as options of `convert`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import heartfast
from heartfast import Spectrogram, SpectrogramConfig
from heartfast.cli import main

SR = 4000
# 9 bins of 250 Hz, a frame every 1 ms.
SMALL = SpectrogramConfig(window_ms=4, hop_ms=1, zero_pad=16, dynamic_range=60)

EFFECTS = {
    "reduce_noise": (heartfast.reduce_noise, {"noise_reduction": 1.0}),
    "reduce_noise more": (
        lambda spec: heartfast.reduce_noise(spec, 2.0, percent=40),
        {"noise_reduction": 2.0, "noise_percent": 40.0},
    ),
    "subtract_quantile": (heartfast.subtract_quantile, {"quantile": 0.5}),
    "median_filter": (heartfast.median_filter, {"median": (3, 3)}),
    "median_filter time": (
        lambda spec: heartfast.median_filter(spec, time=7, frequency=1),
        {"median": (7, 1)},
    ),
    "gaussian_blur": (
        lambda spec: heartfast.gaussian_blur(spec, time_ms=30, frequency_hz=25),
        {"blur": (30, 25)},
    ),
    "sharpen": (
        lambda spec: heartfast.sharpen(spec, time_ms=30, frequency_hz=25),
        {"sharpen": (30, 25)},
    ),
    **{
        f"spectral_derivative {axis}": (
            lambda spec, axis=axis: heartfast.spectral_derivative(spec, axis),
            {"derivative": axis},
        )
        for axis in ("time", "frequency", "both")
    },
}
SOURCES = {"reassign": {"reassign": True}, "windows_ms": {"windows_ms": (10.0, 100.0)}}
ALL_FIELDS = [*(fields for _, fields in EFFECTS.values()), *SOURCES.values()]


def sound(seconds: float = 2.0, seed: int = 3) -> np.ndarray:
    return heartfast.synth.heart_sound("murmur", seed=seed, duration_s=seconds)[0]


def write(path: Path) -> None:
    path.parent.mkdir()
    heartfast.synth.write_wav(path, sound(), SR)


def magnitudes(max_side: int = 30) -> st.SearchStrategy[np.ndarray]:
    return st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            st.tuples(st.just(9), st.integers(1, max_side)),
            elements=st.floats(0, 1000, width=np.dtype(dtype).itemsize * 8)
            .filter(lambda x: x == 0 or x > 1e-6),
        )
    )  # fmt: skip


def spec_of(values: np.ndarray) -> Spectrogram:
    return Spectrogram(values, sr=SR, config=SMALL)


def close(spec: Spectrogram, expected: np.ndarray, scale: float = 1.0) -> None:
    assert spec.values.shape == expected.shape
    tolerance = scale * (3e-5 if spec.values.dtype == np.float32 else 1e-10)
    np.testing.assert_allclose(spec.values, expected, rtol=tolerance, atol=tolerance * 1000)


# Against definitions.


@given(magnitudes(), st.integers(0, 4), st.integers(0, 3))
def test_median_is_that_of_scipy(values, time, frequency):
    size = (2 * frequency + 1, 2 * time + 1)
    found = heartfast.median_filter(spec_of(values), time=size[1], frequency=size[0])
    assert found.values.dtype == values.dtype
    assert np.array_equal(found.values, scipy.ndimage.median_filter(values, size=size))


@given(magnitudes(), st.floats(0, 1))
def test_quantile_is_that_of_numpy(values, q):
    quantiles = np.quantile(values.astype(np.float64), q, axis=1, keepdims=True)
    found = heartfast.subtract_quantile(spec_of(values), q)
    close(found, np.maximum(values - quantiles, 0))


@given(magnitudes(), st.floats(0, 3), st.floats(1, 100))
def test_noise_is_the_mean_of_the_frames_of_highest_entropy(values, strength, percent):
    power = values.astype(np.float64) ** 2
    total = power.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = power / total
        entropy = -np.where(p > 0, p * np.log(p), 0).sum(axis=0)
    frames = np.flatnonzero(total > 0)
    frames = frames[np.argsort(-entropy[frames], kind="stable")]
    count = min(int(np.ceil(percent / 100 * values.shape[1])), len(frames))
    if 0 < count < len(frames) and entropy[frames[count - 1]] - entropy[frames[count]] < 1e-9:
        return  # which one it is depends on rounding
    noise = values[:, frames[:count]].astype(np.float64).sum(axis=1, keepdims=True) / max(count, 1)
    found = heartfast.reduce_noise(spec_of(values), strength, percent=percent)
    close(found, np.maximum(values - strength * noise, 0))


def smoothed(values: np.ndarray, frames: float, bins: float) -> tuple[np.ndarray, np.ndarray]:
    """Decibels with their floor, and smoothed ones."""
    levels = 20 * np.log10(np.maximum(values, values.max() * 1e-3), dtype=np.float64)
    return levels, scipy.ndimage.gaussian_filter(levels, (bins, frames))


@given(magnitudes(), st.floats(0, 4), st.floats(0, 2))
def test_gaussians_are_those_of_scipy(values, frames, bins):
    if not values.any() or not (frames or bins):
        return
    levels, smooth = smoothed(values.astype(np.float64), frames, bins)
    arguments = {"time_ms": frames, "frequency_hz": bins * SR / 16}
    spec = spec_of(values)
    close(heartfast.gaussian_blur(spec, **arguments), 10 ** (smooth / 20))
    sharp = 10 ** ((2 * levels - smooth) / 20)
    close(heartfast.sharpen(spec, **arguments), sharp, scale=max(1, sharp.max() / 1000))


@given(magnitudes())
def test_derivatives_are_those_of_numpy(values):
    double = values.astype(np.float64)
    time = np.gradient(double, axis=1) if values.shape[1] > 1 else np.zeros_like(double)
    frequency = np.gradient(double, axis=0)
    expected = {
        "time": np.abs(time),
        "frequency": np.abs(frequency),
        "both": np.hypot(time, frequency),
    }
    for axis, derivative in expected.items():
        close(heartfast.spectral_derivative(spec_of(values), axis), derivative)


def test_several_windows_are_the_geometric_mean_of_spectrograms():
    y = sound()
    for dtype in (np.float32, np.float64):
        found = heartfast.multi_resolution(
            y.astype(dtype), SR, window_ms=20, windows_ms=[100, 50], window="hann"
        )
        logs = []
        for ms in (20, 100, 50):
            n = ms * SR // 1000
            window = np.hanning(n)
            # scipy: whatever the window's length, frames a hop of 40 samples, half of 20 ms.
            stft = scipy.signal.ShortTimeFFT(
                np.pad(window, (400 - n) // 2), 40, SR, mfft=400, phase_shift=None
            )
            z = (
                np.abs(stft.stft(y, p0=0, p1=len(y) // 40 + 1))
                / window.sum()
                * np.hanning(80).sum()
            )
            logs.append(np.log(np.maximum(z, 1e-30)))
        expected = np.exp(np.mean(logs, axis=0))
        assert found.values.dtype == dtype
        assert found.values.shape == expected.shape
        np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-5 * expected.max())
        assert found.times[1] == 0.01
        assert found.frequencies[1] == 10


# Properties.


@given(magnitudes(), st.sampled_from(sorted(EFFECTS)))
def test_any_magnitudes_give_magnitudes(values, name):
    spec = spec_of(values)
    before = values.copy()
    found = EFFECTS[name][0](spec)
    assert np.array_equal(values, before)  # the argument is left alone
    assert found is not spec
    assert (found.sr, found.config) == (spec.sr, spec.config)
    assert found.values.shape == values.shape
    assert found.values.dtype == values.dtype
    assert np.isfinite(found.values).all()
    assert (found.values >= 0).all()
    if not values.any():
        assert not found.values.any()


@pytest.mark.parametrize("name", EFFECTS)
def test_what_is_constant(name):
    spec = spec_of(np.full((9, 20), 7.5))
    found = EFFECTS[name][0](spec).values
    kept = name.startswith(("median", "gaussian", "sharpen"))
    np.testing.assert_allclose(found, 7.5 if kept else 0, rtol=1e-12)


@pytest.mark.parametrize("name", EFFECTS)
def test_leading_axes_are_signals_by_themselves(name):
    effect, fields = EFFECTS[name]
    y = np.stack([sound(seed=1), 20 * sound(seed=2)]).reshape(1, 2, -1)
    many = effect(heartfast.spectrogram(y, SR)).values
    for i in range(2):
        one = effect(heartfast.spectrogram(y[0, i], SR)).values
        assert np.array_equal(many[0, i], one)
    for jobs in (1, 3):
        assert np.array_equal(heartfast.spectrogram(y, SR, jobs=jobs, **fields).values, many)


@pytest.mark.parametrize("fields", SOURCES.values(), ids=list(SOURCES))
def test_other_transforms_of_many_signals(fields):
    y = np.stack([sound(seed=1), sound(seed=2)])
    for jobs in (1, 2):
        many = heartfast.spectrogram(y, SR, jobs=jobs, **fields).values
        for signal, values in zip(y, many, strict=True):
            assert np.array_equal(values, heartfast.spectrogram(signal, SR, **fields).values)
    silent = heartfast.spectrogram(np.zeros(1000, np.float32), SR, **fields).values
    assert not silent.any()
    assert np.isfinite(silent).all()


# As fields.


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fields_are_the_functions(name, dtype):
    effect, fields = EFFECTS[name]
    y = sound().astype(dtype)
    by_field = heartfast.spectrogram(y, SR, **fields)
    assert np.array_equal(by_field.values, effect(heartfast.spectrogram(y, SR)).values)
    assert by_field.values.dtype == dtype
    # On another grid, too: sigmas are in ms and Hz.
    by_field = heartfast.spectrogram(y, SR, windows_ms=(20,), **fields)
    plain = heartfast.multi_resolution(y, SR, windows_ms=(20,))
    assert np.array_equal(by_field.values, effect(plain).values)


def test_the_order_of_fields():
    y = sound()
    fields = {
        "derivative": "time", "sharpen": (20, 20), "blur": (10, 40), "median": (3, 5),
        "quantile": 0.2, "noise_reduction": 0.5, "noise_percent": 20, "windows_ms": (20,),
    }  # fmt: skip
    spec = heartfast.multi_resolution(y, SR, windows_ms=(20,))
    spec = heartfast.reduce_noise(spec, 0.5, percent=20)
    spec = heartfast.subtract_quantile(spec, 0.2)
    spec = heartfast.median_filter(spec, time=3, frequency=5)
    spec = heartfast.gaussian_blur(spec, time_ms=10, frequency_hz=40)
    spec = heartfast.sharpen(spec, time_ms=20, frequency_hz=20)
    spec = heartfast.spectral_derivative(spec, "time")
    assert np.array_equal(heartfast.spectrogram(y, SR, **fields).values, spec.values)


@pytest.mark.parametrize("fields", ALL_FIELDS, ids=str)
def test_convert_draws_what_arrays_give(fields, tmp_path):
    write(tmp_path / "in" / "a.wav")
    y, sr = heartfast.load(tmp_path / "in" / "a.wav")
    plain = SpectrogramConfig(fmax=1500, overlap=75, dynamic_range=70)
    for config in (plain.replace(**fields), plain.replace(size=(40, 90), ref=20.0, **fields)):
        out = tmp_path / f"out{config.size}"
        heartfast.convert(tmp_path / "in", out, config=config)
        with Image.open(out / "a.png") as image:
            pixels = np.asarray(image).astype(int)
            provenance = image.info["heartfast"]
        expected = heartfast.to_image(heartfast.spectrogram(y, sr, config=config))
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() <= 1
        without = heartfast.to_image(heartfast.spectrogram(y, sr, config=plain))
        if config.size is None and "windows_ms" not in fields:
            assert np.abs(without.astype(int) - pixels).max() > 10
        assert next(iter(fields)) in provenance


def test_options_of_the_command_line(tmp_path):
    write(tmp_path / "in" / "a.wav")
    options = [
        *("--windows-ms", "10,100", "--noise-reduction", "1.5", "--noise-percent", "20"),
        *("--quantile", "0.25", "--median", "3,5", "--blur", "10,40", "--sharpen", "20,20"),
        *("--derivative", "both"),
    ]
    fields = {
        "windows_ms": (10, 100), "noise_reduction": 1.5, "noise_percent": 20, "quantile": 0.25,
        "median": (3, 5), "blur": (10, 40), "sharpen": (20, 20), "derivative": "both",
    }  # fmt: skip
    assert main(["convert", str(tmp_path / "in"), "-o", str(tmp_path / "a"), *options]) == 0
    heartfast.convert(tmp_path / "in", tmp_path / "b", config=SpectrogramConfig(**fields))
    picture = (tmp_path / "a" / "a.png").read_bytes()
    assert picture == (tmp_path / "b" / "a.png").read_bytes()
    assert main(["convert", str(tmp_path / "in"), "-o", str(tmp_path / "c"), "--reassign"]) == 0
    heartfast.convert(tmp_path / "in", tmp_path / "d", config=SpectrogramConfig(reassign=True))
    picture = (tmp_path / "c" / "a.png").read_bytes()
    assert picture == (tmp_path / "d" / "a.png").read_bytes()


def test_pictures_without_effects_say_nothing_of_them(tmp_path):
    write(tmp_path / "in" / "a.wav")
    heartfast.convert(tmp_path / "in", tmp_path / "out")
    explicit = SpectrogramConfig(median=(1, 1), blur=(0, 0), windows_ms=[], noise_reduction=-0.0)
    assert explicit == SpectrogramConfig()
    heartfast.convert(tmp_path / "in", tmp_path / "same", config=explicit)
    picture = (tmp_path / "out" / "a.png").read_bytes()
    assert picture == (tmp_path / "same" / "a.png").read_bytes()
    for field in ("reassign", "windows", "noise", "quantile", "median", "blur", "derivative"):
        assert field.encode() not in picture


# On real recordings.


@pytest.mark.parametrize("fields", ALL_FIELDS, ids=str)
def test_real_recordings(fields, shared_data):
    paths = sorted(Path(shared_data, "pascal").rglob("*.wav"))[:200:25]
    paths += sorted(Path(shared_data, "soundgen_reference").glob("*.wav"))[:2]
    assert paths
    for path in paths:
        y, sr = heartfast.load(path, duration=5)
        single = heartfast.spectrogram(y, sr, **fields)
        double = heartfast.spectrogram(y.astype(np.float64), sr, **fields)
        assert np.isfinite(single.values).all()
        assert (single.values >= 0).all()
        if "reassign" in fields:  # places of next to no energy are a matter of rounding
            energy, expected = (s.values.astype(np.float64) ** 2 for s in (single, double))
            assert np.abs(energy - expected).sum() < 0.01 * expected.sum()
        else:
            scale = double.values.max()
            np.testing.assert_allclose(single.values, double.values, rtol=1e-2, atol=1e-5 * scale)
