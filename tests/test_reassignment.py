"""The reassigned spectrogram against librosa, and against what the signals are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.signal

import heartfast
from heartfast import Spectrogram

SR = 4000


def regridded(y: np.ndarray, sr: int, n: int, hop: int, n_fft: int) -> np.ndarray:
    """Energy that librosa's places put into each bin and frame."""
    librosa = pytest.importorskip("librosa")
    window = np.hanning(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frequencies, times, values = librosa.reassigned_spectrogram(
            y=y, sr=sr, n_fft=n_fft, hop_length=hop, win_length=n, window=window,
            center=True, pad_mode="constant", ref_power=1e-12, clip=False,
        )  # fmt: skip
    bins = np.floor(frequencies / sr * n_fft + 0.5)
    frames = np.floor(times * sr / hop + 0.5)
    inside = (bins >= 0) & (bins < values.shape[0]) & (frames >= 0) & (frames < values.shape[1])
    energy = np.zeros(values.shape)
    np.add.at(energy, (bins[inside].astype(int), frames[inside].astype(int)), values[inside] ** 2)
    return energy


def signals() -> dict[str, np.ndarray]:
    t = np.arange(8000) / SR
    clicks = np.zeros(8000)
    clicks[[1403, 4017, 6666]] = 1
    return {
        "tone": np.sin(2 * np.pi * 333 * t),
        "chirp": scipy.signal.chirp(t, 100, 2, 1500),
        "two chirps": scipy.signal.chirp(t, 100, 2, 900) + scipy.signal.chirp(t, 700, 2, 1500),
        "clicks": clicks,
    }


@pytest.mark.parametrize("name", signals())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reassignment_puts_energy_where_librosa_does(name, dtype):
    y = signals()[name]
    fields = {"window": "hann", "window_ms": 50, "hop_ms": 10, "zero_pad": 256}
    spec = heartfast.reassigned_spectrogram(y.astype(dtype), SR, **fields)
    energy, expected = spec.values.astype(np.float64) ** 2, regridded(y, SR, 200, 40, 256)
    assert energy.shape == expected.shape
    # Nearest places are a matter of rounding: half a bin or frame apart is the same place.
    off = np.abs(energy - expected).sum() / expected.sum()
    assert off < 0.02, f"{off:.4f} of the energy is somewhere else"


def test_chirps_are_as_narrow_as_they_are():
    y = signals()["chirp"]
    fields = {"hop_ms": 5, "zero_pad": 400}
    plain = heartfast.spectrogram(y, SR, **fields)
    spec = heartfast.reassigned_spectrogram(y, SR, **fields)
    truth = 100 + 700 * spec.times
    inside = slice(20, -20)

    def share(spec: Spectrogram) -> float:
        """Of the energy, no further than a bin from the truth."""
        energy = spec.values[:, inside] ** 2
        return energy[np.abs(spec.frequencies[:, None] - truth[inside]) <= 10].sum() / energy.sum()

    assert share(plain) < 0.7
    assert share(spec) > 0.99
    assert np.sum(spec.values**2) == pytest.approx(np.sum(plain.values**2), rel=1e-9)


def test_click_is_one_frame_wide():
    y = signals()["clicks"]
    spec = heartfast.reassigned_spectrogram(y, SR, hop_ms=2)
    energy = (spec.values**2).sum(axis=0)
    assert {*np.argsort(energy)[-3:]} == {round(k / 8) for k in (1403, 4017, 6666)}
    assert np.sort(energy)[-3:].sum() > 0.999 * energy.sum()
