"""Pictures of resampled recordings: those of scipy, whole or in segments, on any threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import soundfile

import heartfast
from selections import drawn, noise, pixels, provenance, windows, write

RATES = [(8000, 4000), (4000, 11_025), (11_025, 4000), (4000, 4000)]


@pytest.mark.parametrize(("old", "new"), RATES)
@pytest.mark.parametrize("channel", ["mix", "each"])
def test_resampled_pictures_are_those_of_the_resampled_recording(tmp_path, old, new, channel):
    """Also cut: the borders of segments are no borders of the filter."""
    path = write(tmp_path / "x.wav", noise(60_000, 2), old)
    y, _ = heartfast.load(path, sr=new, mono=channel == "mix")
    y = np.atleast_2d(y)
    whole = heartfast.convert(path, tmp_path / "whole", sr=new, channel=channel)
    cut = heartfast.convert(
        path, tmp_path / "cut", sr=new, channel=channel, segment_s=1.3, segment_overlap=40
    )
    marks = [""] if channel == "mix" else ["_ch1", "_ch2"]
    assert [r.file_name for r in whole.records] == [f"x{mark}.png" for mark in marks]
    length = math.floor(1.3 * new + 0.5)
    parts = windows(y.shape[1], length, math.floor(0.6 * length + 0.5))
    assert len(cut.records) == len(parts) * len(marks)
    for mark, samples in zip(marks, y, strict=True):
        picture = tmp_path / f"whole/x{mark}.png"
        assert np.array_equal(pixels(picture), drawn(samples, new, tmp_path))
        made = provenance(picture)
        assert made["sample_rate"] == new
        assert made.get("resampled_from") == (None if old == new else old)
        for a, b in parts:
            picture = tmp_path / f"cut/x{mark}_{math.floor(1000 * a / new + 0.5)}.png"
            assert np.array_equal(pixels(picture), drawn(samples[a:b], new, tmp_path))
    assert {r.sample_rate for r in whole.records + cut.records} == {new}
    assert all(r.duration_s == y.shape[1] / new for r in whole.records)


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (16_000, 44_100), (48_000, 44_100)])
def test_resampled_pictures_are_scipys(tmp_path, old, new):
    """Noise below 70 % of the lower Nyquist frequency, where both filters pass."""
    y = np.random.default_rng(1).normal(0, 0.1, 2 * old)
    low = scipy.signal.firwin(2001, 0.7 * min(old, new) / old)
    path = write(tmp_path / "x.wav", scipy.signal.oaconvolve(y, low, mode="same"), old)
    divisor = math.gcd(old, new)
    y, _ = soundfile.read(path)
    expected = scipy.signal.resample_poly(y, new // divisor, old // divisor, window=("kaiser", 8.0))
    config = heartfast.SpectrogramConfig(dynamic_range=40)
    heartfast.convert(path, tmp_path / "a", sr=new, config=config)
    heartfast.convert(write(tmp_path / "y.wav", expected, new), tmp_path / "b", config=config)
    a, b = (pixels(p).astype(int) for p in (tmp_path / "a/x.png", tmp_path / "b/y.png"))
    assert a.shape == b.shape
    passed = slice(math.ceil(a.shape[0] * (1 - 0.68 * min(old, new) / new)), None)
    difference = np.abs(a - b)[passed, 10:-10]
    assert difference.max() <= 3  # 0.5 dB
    assert difference.mean() < 0.1


def test_resampling_does_not_depend_on_threads(tmp_path):
    """Each keeps its filters from recording to recording, and of several rates."""
    for k in range(60):
        write(tmp_path / f"in/{k}.wav", noise(3000 + 7 * k), [4000, 8000, 11_025, 44_100, 48_000,
                                                              16_000][k % 6])  # fmt: skip
    made = []
    for jobs in (1, 4):
        out = tmp_path / str(jobs)
        assert heartfast.convert(tmp_path / "in", out, sr=5000, jobs=jobs).errors == []
        made.append({p.name: p.read_bytes() for p in out.iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == 62
