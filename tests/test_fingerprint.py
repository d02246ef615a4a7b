"""Copies are found whatever was done to them, and other recordings are not taken for copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

import heartfast
from heartfast.fingerprint import (
    LEAST_S,
    LEAST_SHARE,
    STEP_S,
    compare,
    find_copies,
    fingerprint,
    signature,
)
from heartfast.images import Provenance


def course(y: np.ndarray, sr: int = 4000) -> np.ndarray:
    spec = heartfast.spectrogram(y, sr)
    shape = spec.config.geometry(sr)
    told = (shape["n_fft"], shape["hop_length"], 0.0, sr / 2, "")
    return fingerprint(spec.to_image(), Provenance({}, sr, len(y) / sr, *told))


def sound(seed: int, **options: object) -> np.ndarray:
    return heartfast.synth.heart_sound(("normal", "murmur")[seed % 2], seed=seed, **options)[0]


def noisy(y: np.ndarray, decibels: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(y))
    return y + noise * np.sqrt(np.mean(y**2)) * 10 ** (-decibels / 20)


CHANGES = {
    "gain": lambda y: 0.05 * y,
    "noise 20 dB below": lambda y: noisy(y, 20, 1),
    "noise 14 dB below": lambda y: noisy(y, 14, 2),
    "a second later": lambda y: y[4000:],
    "silence before": lambda y: np.concatenate([np.zeros(1500), y]),
    "cut": lambda y: y[: len(y) * 2 // 3],
    "all of it": lambda y: 0.3 * noisy(y, 20, 3)[2700:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_others(change: str) -> None:
    originals = [sound(seed) for seed in range(30)]
    copies = [CHANGES[change](y) for y in originals[:10]]
    found = find_copies([course(y) for y in originals + copies])
    assert {(pair.first, pair.second) for pair in found} == {(i, 30 + i) for i in range(10)}


def test_other_recordings_of_a_patient_are_no_copies() -> None:
    courses = [course(sound(seed, patient=seed // 4)) for seed in range(80)]
    assert find_copies(courses) == []


def test_cinc_pieces_of_one_recording_are_no_copies(shared_data: Path) -> None:
    # The same heart, device and minute: as alike as other recordings can be.
    courses = []
    for path in sorted((shared_data / "cinc2016").rglob("*.flac"))[::25]:
        y, sr = heartfast.load(path)
        courses += [course(y[start : start + 6 * sr], sr) for start in (0, 6 * sr, 12 * sr)
                    if start + 6 * sr <= len(y)]  # fmt: skip
    assert len(courses) > 80
    assert find_copies(courses) == []


courses = st.integers(0, 10_000).flatmap(
    lambda seed: st.integers(60, 300).map(
        lambda n: np.random.default_rng(seed).standard_normal((5, n)).astype(np.float32)
    )
)


@settings(deadline=None, max_examples=40)
@given(courses, courses)
def test_likeness_is_the_best_correlation_over_shifts(a: np.ndarray, b: np.ndarray) -> None:
    likeness, seconds = compare([a, b], np.array([[0, 1]]))
    least = max(LEAST_S / STEP_S, LEAST_SHARE * min(a.shape[1], b.shape[1]))
    best = 0.0, 0
    for shift in range(-b.shape[1] + 1, a.shape[1]):  # of b's start in a
        x = a[:, max(0, shift) : shift + b.shape[1]]
        y = b[:, max(0, -shift) : max(0, -shift) + x.shape[1]]
        if x.shape[1] >= least - 0.5:
            best = max(best, ((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()), x.shape[1]))
    assert likeness[0] == pytest.approx(best[0], abs=1e-4)
    if best[0] > 0:
        assert seconds[0] == pytest.approx(best[1] * STEP_S)


@settings(deadline=None)
@given(courses)
def test_signatures_are_autocorrelations_of_length_one(a: np.ndarray) -> None:
    found = signature(a).reshape(5, -1)
    lags = found.shape[1]
    for band, row in zip(a.astype(np.float64), found, strict=True):
        lagged = correlate(band, band, "full")[len(band) - 1 :][:lags]
        lagged = np.pad(lagged, (0, lags - len(lagged)))
        lagged /= np.maximum(len(band) - np.arange(lags), len(band) / 4)
        scale = row[0] / lagged[0]
        np.testing.assert_allclose(row, lagged * scale, atol=1e-5)
    assert np.sqrt((found**2).sum()) == pytest.approx(1, abs=1e-5)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 400), st.integers(0, 2**31))
def test_any_picture_has_a_fingerprint(height: int, width: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    found = fingerprint(levels)
    assert found.shape == (5, width)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-3)
    assert np.isfinite(signature(found)).all()
