"""Array functions against scipy.signal and librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import heartfast
from heartfast import SpectrogramConfig

WINDOWS = ("hann", "hamming", "blackman", "bartlett", "flattop", "rectangular")


def noise(*shape: int, dtype=np.float64) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.3, shape).astype(dtype)


def scipy_name(window):
    return "boxcar" if window == "rectangular" else window


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-4 of the largest value; doubles to rounding."""
    assert actual.shape == expected.shape
    bound = 1e-4 if actual.dtype in (np.complex64, np.float32) else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * np.abs(expected).max())


lengths = st.integers(1, 300)


@settings(max_examples=200, deadline=None)
@given(
    lengths,
    lengths,
    st.integers(0, 100),
    st.integers(1, 400),
    st.sampled_from(["gaussian", *WINDOWS]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
)
def test_stft_is_scipys(n, win_length, padding, hop_length, window, sym, center, dtype):
    n_fft = win_length + padding
    transform = scipy.signal.ShortTimeFFT(
        heartfast.get_window(window, win_length, sym=sym),
        hop_length, 1, mfft=n_fft, fft_mode="onesided", phase_shift=None,
    )  # fmt: skip
    y = noise(n, dtype=dtype)
    frames = n // hop_length + 1 if center else max(n - win_length, 0) // hop_length + 1
    padded = np.concatenate([y, np.zeros(win_length)])
    offset = 0 if center else transform.m_num_mid
    expected = transform.stft(padded, p0=0, p1=frames, k_offset=offset, padding="zeros")
    # Within a longer FFT scipy has the window first, we (and librosa) in the middle.
    shift = (n_fft - win_length) // 2
    expected *= np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) * shift / n_fft)[:, None]
    options = {"hop_length": hop_length, "win_length": win_length, "window": window}
    actual = heartfast.stft(y, n_fft=n_fft, sym=sym, center=center, **options)
    assert actual.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
    scale = max(np.abs(expected).max(), 1e-3)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= (1e-4 if dtype == np.float32 else 1e-12) * scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length"),
    [(512, 512, 128), (512, 400, 100), (512, 401, 100), (255, 255, 64), (255, 200, 50), (101, 7, 3),
     (2, 2, 1), (1024, 1024, 1500)],
)  # fmt: skip
def test_stft_is_librosas(dtype, n_fft, win_length, hop_length):
    y = noise(4000, dtype=dtype)
    # An odd window is not in the very middle of an even FFT: librosa has the FFT's middle at the
    # frame's time, we the window's, one sample to the right.
    late = n_fft % 2 == 0 and win_length % 2 == 1
    actual = heartfast.stft(
        np.concatenate([np.zeros(int(late), dtype), y]),
        n_fft=n_fft, hop_length=hop_length, win_length=win_length, window="hann", sym=False,
    )  # fmt: skip
    assert actual.shape == (n_fft // 2 + 1, 4000 // hop_length + 1)
    expected = librosa.stft(
        y, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window="hann",
        center=True, pad_mode="constant",
    )  # fmt: skip
    frames = min(actual.shape[1], expected.shape[1])
    assert frames >= actual.shape[1] - 1  # librosa drops a last frame that odd FFTs do not fill
    assert_close(actual[:, :frames], expected[:, :frames])
    if win_length == n_fft:
        whole = {"n_fft": n_fft, "hop_length": hop_length, "window": "hann", "center": False}
        assert_close(heartfast.stft(y, sym=False, **whole), librosa.stft(y, **whole))


def test_leading_dimensions_and_layouts():
    y = noise(3, 2, 500)
    options = {"n_fft": 64, "hop_length": 16}
    whole = heartfast.stft(y, **options)
    assert whole.shape == (3, 2, 33, 32)
    for index in np.ndindex(3, 2):
        assert np.array_equal(whole[index], heartfast.stft(y[index], **options))
    single = y.astype(np.float32)
    unaligned = np.frombuffer(b"-" + single.tobytes(), np.float32, offset=1).reshape(y.shape)
    assert not unaligned.flags.aligned
    for same in (np.asfortranarray(y), y.astype(">f8"), np.repeat(y, 2, axis=-1)[..., ::2],
                 np.moveaxis(y, 0, 2).copy().transpose(2, 0, 1)):  # fmt: skip
        assert np.array_equal(heartfast.stft(same, **options), whole)
    assert np.array_equal(heartfast.stft(y[..., ::-1], **options),
                          heartfast.stft(y[..., ::-1].copy(), **options))  # fmt: skip
    assert np.array_equal(heartfast.stft(unaligned, **options), heartfast.stft(single, **options))
    y.flags.writeable = False
    assert np.array_equal(heartfast.stft(y, **options), whole)
    assert heartfast.stft(np.zeros((0, 5)), **options).shape == (0, 33, 1)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int64, np.float16, bool, np.longdouble])
def test_other_numbers_become_doubles(dtype):
    y = (100 * np.abs(noise(300))).astype(dtype)
    z = heartfast.stft(y, n_fft=32)
    assert z.dtype == np.complex128
    assert np.array_equal(z, heartfast.stft(y.astype(np.float64), n_fft=32))
    assert np.array_equal(z, heartfast.stft(y.tolist(), n_fft=32))


def test_defaults():
    y = noise(5000)
    assert heartfast.stft(y).shape == (1025, 5000 // 512 + 1)
    assert heartfast.stft(y, win_length=100).shape == (51, 5000 // 25 + 1)
    assert heartfast.stft(y, n_fft=100).shape == (51, 5000 // 25 + 1)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11])
@pytest.mark.parametrize("center", [True, False])
def test_short_signals_are_padded(n, center):
    y = noise(n)
    z = heartfast.stft(y, n_fft=10, hop_length=3, window="hann", center=center)
    assert z.shape == (6, n // 3 + 1 if center else max(n - 10, 0) // 3 + 1)
    padded = np.concatenate([np.zeros(5 if center else 0), y, np.zeros(20)])
    for k in range(z.shape[1]):
        frame = padded[3 * k : 3 * k + 10] * scipy.signal.get_window("hann", 10, fftbins=False)
        np.testing.assert_allclose(z[:, k], np.fft.rfft(frame), atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": []}, ValueError, "y: expected at least one sample, found shape (0,)"),
        ({"y": 1.0}, ValueError, "y: expected at least one sample, found shape ()"),
        ({"y": [1j]}, TypeError, "y: expected real numbers, found dtype complex128"),
        ({"y": ["a"]}, TypeError, "y: expected real numbers, found dtype <U1"),
        ({"n_fft": 0}, ValueError, "n_fft: expected at least 1, found 0"),
        ({"hop_length": 0}, ValueError, "hop_length: expected at least 1, found 0"),
        ({"hop_length": -3}, ValueError, "hop_length: expected at least 1, found -3"),
        ({"n_fft": 4, "win_length": 0}, ValueError, "win_length: expected at least 1, found 0"),
        ({"n_fft": 4, "win_length": 5}, ValueError,
         "n_fft: expected at least win_length (5), found 4"),
        ({"window": "kaiser"}, ValueError,
         'window: expected one of gaussian, hann, hamming, blackman, bartlett, flattop, '
         'rectangular, or ("gaussian", std), found "kaiser"'),
        ({"window": ("gaussian", 0.0)}, ValueError,
         'window: expected ("gaussian", std) with std > 0 in samples, found 0'),
        ({"window": 7}, TypeError, 'window: expected a name or ("gaussian", std), found 7'),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        heartfast.stft(**{"y": [0.0, 1.0], **arguments})
    assert str(caught.value) == message


def test_long_transforms_answer_no_one_with_garbage():
    """A transform of one long prime length, where the FFT takes its slowest path."""
    y = noise(10007, dtype=np.float32)
    z = heartfast.stft(y, n_fft=10007, hop_length=20000, window="rectangular", center=False)
    assert_close(z[:, 0], np.fft.rfft(y.astype(np.float64)))


@settings(deadline=None)
@given(st.sampled_from(WINDOWS), st.integers(0, 600), st.booleans())
def test_windows_are_scipys(window, n, sym):
    actual = heartfast.get_window(window, n, sym=sym)
    assert actual.dtype == np.float64
    expected = scipy.signal.get_window(scipy_name(window), n, fftbins=not sym) if n else []
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)


@settings(deadline=None)
@given(st.integers(1, 600), st.floats(0.1, 1000), st.booleans())
def test_gaussian_of_std_is_scipys(n, std, sym):
    expected = scipy.signal.get_window(("gaussian", std), n, fftbins=not sym)
    np.testing.assert_allclose(heartfast.get_window(("gaussian", std), n, sym=sym), expected,
                               rtol=1e-12, atol=1e-300)  # fmt: skip


@settings(deadline=None)
@given(st.integers(3, 600))
def test_gaussian_is_seewaves(n):
    t = np.arange(n) / (n - 1)
    expected = (np.exp(-12 * (t - 0.5) ** 2) - np.exp(-12)) / (1 - np.exp(-12))
    actual = heartfast.get_window("gaussian", n)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)
    # Not quite symmetric in the last bit, but close.
    np.testing.assert_allclose(actual, actual[::-1], rtol=0, atol=1e-14)
    assert np.array_equal(heartfast.get_window("gaussian", n - 1, sym=False), actual[:-1])


def test_bad_window_length():
    with pytest.raises(ValueError, match=r"^n: expected a number of 0 or more, found -1$"):
        heartfast.get_window("hann", -1)


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1e12), min_size=1, max_size=30),
    st.sampled_from([1.0, 0.5, 1e3]),
    st.sampled_from([1e-10, 1e-3]),
    st.sampled_from([80.0, 3.0, None]),
    st.sampled_from([np.float32, np.float64]),
)
def test_power_to_db_is_librosas(power, ref, amin, top_db, dtype):
    power = np.array(power, dtype)
    actual = heartfast.power_to_db(power, ref=ref, amin=amin, top_db=top_db)
    expected = librosa.power_to_db(power, ref=ref, amin=amin, top_db=top_db)
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)
    loudest = heartfast.power_to_db(power, ref="max", amin=amin, top_db=top_db)
    expected = librosa.power_to_db(power, ref=np.max, amin=amin, top_db=top_db)
    np.testing.assert_allclose(loudest, expected, rtol=1e-5, atol=1e-4)


def test_power_to_db_arguments():
    assert heartfast.power_to_db(np.zeros((0, 3))).shape == (0, 3)
    assert heartfast.power_to_db(np.array([1, 10])).dtype == np.float64
    with pytest.raises(ValueError, match=r"^amin: expected a positive number, found 0$"):
        heartfast.power_to_db([1.0], amin=0)
    with pytest.raises(ValueError, match=r"^top_db: expected a number of 0 or more, found -1$"):
        heartfast.power_to_db([1.0], top_db=-1)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectrogram(center, dtype):
    y = noise(2, 2000, dtype=dtype)
    spec = heartfast.spectrogram(y, 4000, window="hann", window_ms=40, overlap=75, center=center,
                                 zero_pad=256)  # fmt: skip
    z = heartfast.stft(y, n_fft=256, win_length=160, hop_length=40, window="hann", center=center)
    assert spec.values.dtype == dtype
    assert_close(spec.values, np.abs(z))
    frequencies, times = spec.frequencies, spec.times
    np.testing.assert_allclose(frequencies, np.fft.rfftfreq(256, 1 / 4000))
    first = 0 if center else 80
    np.testing.assert_allclose(times, (first + 40 * np.arange(z.shape[-1])) / 4000)
    assert repr(spec) == f"<Spectrogram 2 x 129 x {z.shape[-1]} {np.dtype(dtype)}, 4000 Hz>"


def test_a_tone_is_where_its_axes_say():
    """A burst of 1234 Hz at 0.7 s."""
    sr = 8000
    t = np.arange(sr) / sr
    y = np.sin(2 * np.pi * 1234 * t) * np.exp(-(((t - 0.7) / 0.02) ** 2))
    spec = heartfast.spectrogram(y, sr, window_ms=32, overlap=90)
    bin_, frame = np.unravel_index(spec.values.argmax(), spec.values.shape)
    assert abs(spec.frequencies[bin_] - 1234) <= sr / 256 / 2
    assert abs(spec.times[frame] - 0.7) <= 0.0032


def test_fields_change_a_config():
    config = SpectrogramConfig(window_ms=20, overlap=75)
    y = noise(1000)
    spec = heartfast.spectrogram(y, 1000, config=config, hop_ms=7)
    assert spec.config == SpectrogramConfig(window_ms=20, hop_ms=7)
    assert heartfast.spectrogram(y, 1000, config=config).config is not None
    sized = SpectrogramConfig(size=(20, 30))
    assert heartfast.spectrogram(y, 1000, config=sized).to_image().shape == (20, 30)


@pytest.mark.parametrize("ref", ["max", 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_to_db(ref, dtype):
    y = noise(2, 2000, dtype=dtype)
    y[1] = 0
    spec = heartfast.spectrogram(y, 4000, ref=ref, dynamic_range=60)
    db = spec.to_db()
    assert db.shape == spec.values.shape
    assert np.all(db[1] == np.float32(-60)) or np.allclose(db[1], -60)
    loud = spec.values[0].astype(np.float64)
    reference = loud.max() if ref == "max" else ref
    np.testing.assert_allclose(db[0], np.maximum(20 * np.log10(loud / reference), -60), atol=1e-3)


def test_extreme_amplitudes():
    for gain in (1e30, 1e-30):
        y = noise(500)
        spec = heartfast.spectrogram((gain * y).astype(np.float32), 1000)
        expected = gain * heartfast.spectrogram(y, 1000).values
        np.testing.assert_allclose(spec.values, expected, rtol=0, atol=1e-6 * expected.max())


def test_detrending_a_faint_signal_on_an_offset():
    y = (1000 + np.float32(2**-10) * np.random.default_rng(1).integers(0, 4, 500)).astype("f4")
    spec = heartfast.spectrogram(y, 1000, detrend="constant")
    exact = y.astype(np.float64) - y.mean(dtype=np.float64)
    expected = heartfast.spectrogram(exact, 1000).values
    np.testing.assert_allclose(spec.values, expected, rtol=0, atol=1e-5 * expected.max())


def test_spectrogram_arguments():
    y = noise(100)
    with pytest.raises(ValueError, match=r"^sr: expected a whole number of samples per second"):
        heartfast.spectrogram(y, 8000.5)
    assert heartfast.spectrogram(y, 8000.0).sr == 8000
    for sr in (0, -1, 2**32):
        with pytest.raises(ValueError, match=f"^sr: expected a whole number .*, found {sr}$"):
            heartfast.spectrogram(y, sr)
    with pytest.raises(ValueError, match=r"^fmin: expected a bin between fmin and fmax"):
        heartfast.spectrogram(y, 8000, fmin=5000)
    with pytest.raises(ValueError, match=r"unexpected field 'foo'"):
        heartfast.spectrogram(y, 8000, foo=1)
    stack = heartfast.spectrogram(noise(2, 100), 8000)
    assert stack._repr_html_() is None
    with pytest.raises(ValueError, match=r"^spec.values: expected shape \(bins, frames\), found"):
        stack.to_image()
    other = SpectrogramConfig(window_ms=25)
    with pytest.raises(ValueError, match=r"^values: expected 101 bins .* found 201 x 1$"):
        heartfast.to_image(heartfast.spectrogram(np.zeros(100), 8000), config=other)


@settings(max_examples=30)
@given(
    shape=st.sampled_from([(300_000,), (3, 90_000), (2, 2, 40_001)]),
    dtype=st.sampled_from([np.float32, np.float64]),
    n_fft=st.sampled_from([64, 255, 1024]),
    hop=st.integers(20, 400),
    jobs=st.integers(2, 5),
)
def test_any_number_of_threads_gives_the_same(shape, dtype, n_fft, hop, jobs):
    y = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    one = heartfast.stft(y, n_fft=n_fft, hop_length=hop, jobs=1)
    assert np.array_equal(heartfast.stft(y, n_fft=n_fft, hop_length=hop, jobs=jobs), one)
    spec = heartfast.spectrogram(y, 8000, jobs=jobs)
    assert np.array_equal(spec.values, heartfast.spectrogram(y, 8000, jobs=1).values)


def test_jobs_out_of_range():
    with pytest.raises(ValueError, match=r"^jobs: expected at least 1, found 0$"):
        heartfast.stft(np.zeros(10), jobs=0)


def test_no_memory_for_the_result():
    with pytest.raises(MemoryError):
        heartfast.stft(np.zeros(1 << 24, np.float32), n_fft=1 << 21, hop_length=1)
