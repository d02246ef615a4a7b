"""Distances are scipy's, one percent means it, and what is not like the training is told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import shrunk_covariance

import heartfast
from heartfast.features import extract
from heartfast.novelty import CLIP, SHRINK, check, distances, fit, novelty

WIDTH = 12


def sample(n, seed=0, width=WIDTH):
    rng = np.random.Generator(np.random.PCG64(seed))
    mixing = np.random.Generator(np.random.PCG64(99)).normal(size=(width, width))
    return rng.normal(size=(n, width)) @ mixing + 3.0


def alone(n):
    return np.arange(n)


def test_distances_are_mahalanobis_with_a_shrunk_covariance():
    train, new = sample(80), sample(20, seed=1) * 1.7
    new[3, 4] = 1e9  # clipped
    fitted = fit(train, alone(80))
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scaled = np.clip((train - mean) / scale, -CLIP, CLIP)
    covariance = shrunk_covariance(np.cov(scaled.T, bias=True), SHRINK)
    inverse = np.linalg.inv(covariance)
    expected = [
        mahalanobis(np.clip((row - mean) / scale, -CLIP, CLIP), scaled.mean(axis=0), inverse)
        for row in new
    ]
    np.testing.assert_allclose(distances(fitted, new), expected, rtol=1e-9)


def test_one_percent_means_it():
    fitted = fit(sample(1000), alone(1000))
    found = novelty(fitted, sample(20_000, seed=5))
    for share in (0.01, 0.05, 0.2, 0.5):
        # The quantile of 1000 is itself within sqrt(p(1-p)/1000); 4 of these.
        assert abs((found > 1 - share).mean() - share) < 4 * np.sqrt(share * (1 - share) / 1000)


def test_with_more_features_than_recordings_no_more_are_refused_than_said():
    fitted = fit(sample(200, width=250), alone(200))
    found = novelty(fitted, sample(5000, seed=5, width=250))
    for share in (0.05, 0.2):
        assert (found > 1 - share).mean() < share + 4 * np.sqrt(share * (1 - share) / 200)


def test_groups_are_left_out_whole():
    # Of each patient five nearly equal recordings: left out one by one, each has its twins.
    base = np.repeat(sample(60, width=40), 5, axis=0)
    base += np.random.Generator(np.random.PCG64(2)).normal(size=base.shape) * 1e-3
    new = sample(5000, seed=3, width=40)
    whole = fit(base, np.repeat(np.arange(60), 5))
    torn = fit(base, alone(300))
    assert (novelty(whole, new) > 0.95).mean() < 0.12
    assert (novelty(torn, new) > 0.95).mean() > 0.3


def test_what_is_farther_than_all_is_one_and_nothing_else_is():
    train = sample(300)
    fitted = fit(train, alone(300))
    far = train.mean(axis=0) + 1e6
    assert novelty(fitted, far[None]).tolist() == [1.0]
    found = novelty(fitted, np.vstack([train, sample(500, seed=1)]))
    beyond = distances(fitted, np.vstack([train, sample(500, seed=1)])) > fitted["quantiles"][-1]
    assert ((found == 1.0) == beyond).all()
    assert (novelty(fitted, train.mean(axis=0)[None]) <= 0.01).all()


def test_constant_features_and_few_recordings():
    train = sample(6)
    train[:, 2] = 7.0
    fitted = fit(train, alone(6))
    assert np.isfinite(novelty(fitted, sample(5, seed=1))).all()
    assert np.isfinite(novelty(fit(np.ones((4, 3)), alone(4)), np.zeros((1, 3)))).all()
    assert fit(train, np.zeros(6, dtype=int)) is None
    assert novelty(fitted, np.zeros((0, WIDTH))).shape == (0,)


def test_the_same_seed_gives_the_same_numbers():
    a, b = (fit(sample(100), alone(100), seed=4) for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["quantiles"], fit(sample(100), alone(100), seed=5)["quantiles"])


FITTED = fit(sample(40), alone(40))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "x"}, "method 'mahalanobis'"),
        ({"more": 1}, "method 'mahalanobis'"),
        ({"recordings": 0}, "1 recording or more, found 0"),
        ({"recordings": True}, "1 recording or more, found True"),
        ({"mean": np.zeros(3)}, r"mean to be of shape \(12,\), found \(3,\)"),
        ({"mean": [0.0] * WIDTH}, "mean to be of shape .* found list"),
        ({"directions": np.full((WIDTH, WIDTH), np.nan)}, "directions to be finite"),
        ({"directions": np.full((WIDTH, WIDTH), 1e101)}, "directions to be finite"),
        ({"directions": np.eye(WIDTH)[:, :3]}, r"variances to be of shape \(3,\)"),
        ({"directions": np.float64(1)}, "directions to be of shape"),
        ({"scale": np.zeros(WIDTH)}, "scale to be at least"),
        ({"variances": np.full(WIDTH, -1.0)}, "variances to be at least"),
        ({"rest": np.zeros(1)}, "rest to be at least"),
        ({"quantiles": np.linspace(1, 0, 1001)}, "quantiles in rising order"),
        ({"quantiles": np.zeros(5)}, "quantiles to be of shape"),
    ],
)
def test_what_is_not_ours_is_refused(change, message):
    check(FITTED, WIDTH)
    check(None, WIDTH)
    with pytest.raises(ValueError, match=message):
        check({**FITTED, **change}, WIDTH)


def test_the_largest_numbers_that_pass_give_quantiles():
    names = ("mean", "centre", "directions")
    huge = {name: np.full_like(FITTED[name], 1e100) for name in names}
    tiny = {"scale": np.full(WIDTH, 1e-100), "variances": np.full(WIDTH, 1e-100)}
    hostile = {**FITTED, **huge, **tiny, "rest": np.array([1e-100])}
    check(hostile, WIDTH)
    found = novelty(hostile, sample(5))
    assert ((found >= 0) & (found <= 1)).all()


def test_of_many_features_the_main_directions_are_kept(monkeypatch):
    train, new = sample(300, width=40), sample(50, seed=1, width=40)
    whole = fit(train, alone(300))
    monkeypatch.setattr("heartfast.novelty.MOST_DIRECTIONS", 25)
    some = fit(train, alone(300))
    check(some, 40)
    assert some["directions"].shape == (40, 25)
    # By definition: all variances but the 25 largest are replaced by their mean.
    variances = np.sort(whole["variances"])
    variances[:15] = variances[:15].mean()
    order = np.argsort(whole["variances"])
    scaled = np.clip((new - whole["mean"]) / whole["scale"], -CLIP, CLIP) - whole["centre"]
    along = (scaled @ whole["directions"][:, order]) ** 2
    np.testing.assert_allclose(distances(some, new), np.sqrt((along / variances).sum(axis=1)))


def heart(seed):
    y, sr = heartfast.synth.heart_sound("normal", seed=seed, duration_s=4.0)
    return levels(y, sr)


def levels(y, sr):
    return extract(heartfast.spectrogram(y, sr, fmax=2000).to_image())


def test_noise_and_tones_are_not_heart_sounds():
    hearts = np.stack([heart(seed) for seed in range(60)])
    fitted = fit(hearts[:40], alone(40))
    rng = np.random.Generator(np.random.PCG64(0))
    t = np.arange(16_000) / 4000
    others = [
        rng.normal(size=16_000),
        np.cumsum(rng.normal(size=16_000)),
        np.sin(2 * np.pi * 440 * t),
        np.sin(2 * np.pi * (100 * t + 100 * t**2)),
    ]
    found = [levels((y / np.abs(y).max() * 0.5).astype(np.float32), 4000) for y in others]
    assert (novelty(fitted, np.stack(found)) == 1.0).all()
    assert (novelty(fitted, hearts[40:]) < 1.0).mean() > 0.8
