"""Pictures against a straight NumPy and scipy computation, in double precision."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

import heartfast
from heartfast import SpectrogramConfig

# Single-precision transforms err by about this much of a recording's largest magnitude.
NOISE = 1e-6
LARGE = float(np.float32(1e30))


def half_up(x: float) -> int:
    return int(np.floor(x + 0.5))


def window_samples(window, n: int) -> np.ndarray:
    if window == "gaussian":
        t = np.linspace(0, 1, n)
        floor = np.exp(-12)
        return (np.exp(-12 * (t - 0.5) ** 2) - floor) / (1 - floor)
    name = "boxcar" if window == "rectangular" else window
    samples = scipy.signal.get_window(name, n, fftbins=False)
    if window == "blackman":  # its ends are zero, but for rounding
        samples[[0, -1]] = 0
    return samples


def magnitudes(y: np.ndarray, sr: int, config: SpectrogramConfig) -> np.ndarray:
    """All bins and frames, lowest frequency first."""
    y = y.astype(np.float64)
    if config.detrend:
        y = y - y.mean()
    n = max(2, half_up(config.window_ms / 1000 * sr))
    step = n * (1 - config.overlap / 100) if config.hop_ms is None else config.hop_ms / 1000 * sr
    hop = max(1, half_up(step))
    if config.center:
        frames = len(y) // hop + 1
        y = np.concatenate([np.zeros(n // 2), y, np.zeros(n)])
    else:
        frames = max(len(y) - n, 0) // hop + 1
        y = np.concatenate([y, np.zeros(n)])
    cut = np.lib.stride_tricks.sliding_window_view(y, n)[: frames * hop : hop]
    assert len(cut) == frames
    return np.abs(scipy.fft.rfft(cut * window_samples(config.window, n), max(n, config.zero_pad))).T


def levels(values: np.ndarray, reference: float, config: SpectrogramConfig) -> np.ndarray:
    """Gray levels, before rounding, of magnitudes; silence is black."""
    with np.errstate(divide="ignore"):
        db = 20 * (np.log10(values) - np.log10(reference)) if reference else -np.inf * (values + 1)
    gray = np.clip(255 * (1 + db / config.dynamic_range), 0, 255)
    return 255 - gray if config.invert else gray


def assert_tile(pixels: np.ndarray, y: np.ndarray, sr: int, config: SpectrogramConfig) -> None:
    """One gray level apart at most.

    Only where the picture reaches deeper below the recording's maximum than 100 dB does the
    rounding of single precision show, too.
    """
    values = magnitudes(y, sr, config)
    peak = values.max()
    reference = peak if config.ref == "max" else config.ref
    n_fft = max(max(2, half_up(config.window_ms / 1000 * sr)), config.zero_pad)
    frequencies = np.arange(len(values)) * sr / n_fft
    low = 0 if config.fmin is None else config.fmin
    high = np.inf if config.fmax is None else config.fmax
    slack = 1e-9 * sr / n_fft
    shown = values[(frequencies >= low - slack) & (frequencies <= high + slack)][::-1]
    assert pixels.shape == shown.shape
    floor = reference * 10 ** (-config.dynamic_range / 20)
    noise = 0 if floor >= 1e-5 * peak else NOISE * peak
    ends = [levels(np.maximum(shown + d, 0), reference, config) for d in (-noise, noise)]
    above = pixels - np.floor(np.maximum(*ends) + 0.5)
    below = np.floor(np.minimum(*ends) + 0.5) - pixels
    assert max(above.max(), below.max()) <= 1


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def spread(paths, count: int) -> list[Path]:
    paths = sorted(paths)
    return paths[:: max(1, len(paths) // count)][:count]


@pytest.mark.parametrize(
    "config",
    [
        SpectrogramConfig(),
        SpectrogramConfig(
            window="hann", window_ms=25, overlap=75, zero_pad=1024, ref=0.5, center=False,
            invert=True, detrend="constant", fmin=50, fmax=900,
        ),
    ],
    ids=["default", "other"],
)  # fmt: skip
def test_real_recordings(shared_data, tmp_path, config):
    recordings = [
        *spread((shared_data / "pascal/set_b").glob("*.wav"), 20),
        *spread((shared_data / "pascal/set_a").glob("*.flac"), 10),
        *spread((shared_data / "soundgen_reference").glob("*.wav"), 10),
        *spread((shared_data / "cinc2016").rglob("*.flac"), 10),
    ]
    assert len(recordings) == 50
    result = heartfast.convert(recordings, tmp_path / "png", config=config)
    assert len(result.records) == 50
    for record in result.records:
        y, sr = soundfile.read(record.recording, dtype="float32")
        y = y if y.ndim == 1 else y.mean(axis=1)
        assert_tile(pixels_of(tmp_path / "png" / record.file_name), y, sr, config)


def shaped(kind: str, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    return {
        "silence": lambda: np.zeros(n),
        "constant": lambda: np.full(n, rng.uniform(-1, 1)),
        "noise": lambda: rng.normal(0, 0.1, n),
        "tone": lambda: np.sin(t * rng.uniform(0, np.pi)),
        "clipped": lambda: np.clip(4 * np.sin(t * rng.uniform(0, np.pi)), -1, 1),
        "click": lambda: np.where(t == rng.integers(n), 1.0, 0.0),
        "fading": lambda: rng.normal(0, 1, n) * np.exp(-20 * t / n),
        "offset": lambda: 1 + 1e-6 * rng.normal(0, 1, n),
    }[kind]()


KINDS = ("silence", "constant", "noise", "tone", "clipped", "click", "fading", "offset")
GAINS = (1.0, 1e-3, 1e-30, 1e30)
WINDOWS = ("gaussian", "hann", "hamming", "blackman", "bartlett", "flattop", "rectangular")

signals = st.one_of(
    st.builds(
        lambda kind, n, seed, gain: (gain * shaped(kind, n, seed)).astype(np.float32),
        st.sampled_from(KINDS),
        st.one_of(st.integers(1, 40), st.integers(1, 3000)),
        st.integers(0, 2**32),
        st.sampled_from(GAINS),
    ),
    st.lists(st.floats(-LARGE, LARGE, width=32), min_size=1, max_size=50).map(
        lambda values: np.array(values, np.float32)
    ),
)


@st.composite
def configs(draw):
    frequencies = st.none() | st.integers(0, 4000).map(lambda k: k / 2)
    fields = {
        "window": draw(st.sampled_from(WINDOWS) | st.tuples(st.just("gaussian"), st.floats(1, 50))),
        "window_ms": draw(st.floats(0.1, 100)),
        "zero_pad": draw(st.integers(0, 700)),
        "dynamic_range": draw(st.floats(5, 140)),
        "ref": draw(st.just("max") | st.floats(-30, 30).map(lambda e: 10.0**e)),
        "fmin": draw(frequencies),
        "fmax": draw(frequencies),
        "invert": draw(st.booleans()),
        "center": draw(st.booleans()),
        "detrend": draw(st.sampled_from([None, "constant"])),
    }
    if draw(st.booleans()):
        fields["overlap"] = draw(st.floats(0, 99))
    else:
        fields["hop_ms"] = draw(st.floats(0.5, 200))
    try:
        return SpectrogramConfig(**fields)
    except ValueError:
        assert fields["fmin"] >= fields["fmax"]
        assume(False)


@settings(max_examples=400, deadline=None)
@given(signals, st.sampled_from([200, 1000, 4000, 11025]), configs())
def test_any_recording(y, sr, config):
    try:
        config.geometry(sr)
    except ValueError:
        assume(False)  # no bin between fmin and fmax
    # A signal that stands in the far tail of a narrow window only, 200 dB down, is silence to
    # single precision.
    seen = magnitudes(y, sr, config).max()
    assume(seen == 0 or seen > 1e-10 * np.abs(y).max())
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "x.wav")
        soundfile.write(recording, y, sr, subtype="FLOAT")
        result = heartfast.convert(recording, Path(folder, "png"), config=config, jobs=1)
        assert result.errors == []
        assert_tile(pixels_of(Path(folder, "png", "x.png")), y, sr, config)
    # The array route. Arrays are not scaled first: single precision ends near 1e-38.
    peak = np.abs(y).max()
    assert_tile(heartfast.to_image(heartfast.spectrogram(y.astype(float), sr, config=config)),
                y, sr, config)  # fmt: skip
    if peak == 0 or peak > 1e-30:
        spectrogram = heartfast.spectrogram(y, sr, config=config)
        assert spectrogram.values.dtype == np.float32
        assert_tile(heartfast.to_image(spectrogram), y, sr, config)


def test_integer_and_stereo_recordings(tmp_path):
    rng = np.random.default_rng(5)
    y = rng.uniform(-1, 1, (3000, 2))
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "DOUBLE"):
        soundfile.write(tmp_path / f"{subtype}.wav", y, 8000, subtype=subtype)
    result = heartfast.convert(tmp_path, tmp_path / "png")
    assert len(result.records) == 5
    for record in result.records:
        stereo, sr = soundfile.read(record.recording, dtype="float32")
        pixels = pixels_of(tmp_path / "png" / record.file_name)
        assert_tile(pixels, stereo.mean(axis=1), sr, SpectrogramConfig())


def test_samples_that_are_not_numbers_are_silence(tmp_path):
    y = np.random.default_rng(6).normal(0, 0.1, 4000).astype(np.float32)
    broken = y.copy()
    y[100:200] = 0
    broken[100:200] = np.nan
    broken[150] = np.inf
    soundfile.write(tmp_path / "x.wav", broken, 4000, subtype="FLOAT")
    heartfast.convert(tmp_path / "x.wav", tmp_path / "png")
    assert_tile(pixels_of(tmp_path / "png/x.png"), y, 4000, SpectrogramConfig())


@pytest.mark.parametrize("size", [None, (64, 100)])
def test_same_bytes_on_any_number_of_threads(tmp_path, size):
    rng = np.random.default_rng(7)
    for k, n in enumerate(rng.integers(1, 20000, 24)):
        folder = tmp_path / "in" / str(k % 3)
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{k}.wav", shaped(KINDS[k % 8], n, k), 1000 * (1 + k % 4))
    config = SpectrogramConfig(size=size, colormap="magma")
    made = []
    for jobs in (1, 2, 3, 8):
        out = tmp_path / f"out{jobs}"
        heartfast.convert(tmp_path / "in", out, config=config, jobs=jobs)
        made.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert len(made[0]) == 26
    assert all(files == made[0] for files in made)


def test_provenance(tmp_path):
    config = SpectrogramConfig(window="hann", window_ms=20, fmin=100, fmax=1500, size=(30, 40))
    soundfile.write(tmp_path / "x.wav", np.zeros(6001), 4000)
    heartfast.convert(tmp_path / "x.wav", tmp_path / "png", config=config)
    with Image.open(tmp_path / "png/x.png") as image:
        said = json.loads(image.text["heartfast"])
    assert SpectrogramConfig.from_dict(said["config"]) == config
    assert said == {
        "config": config.to_dict(),
        "sample_rate": 4000,
        "duration_s": 6001 / 4000,
        "win_length": 80,
        "hop_length": 40,
        "n_fft": 80,
        "fmin": 100.0,
        "fmax": 1500.0,
        "version": heartfast.__version__,
    }
