"""Every figure agrees with scikit-learn, and the intervals with resampling by hand."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from heartfast.metrics import (
    RESAMPLES,
    brier_scores,
    estimate,
    figures,
    group_sums,
    interval,
    logloss,
    prior_baseline,
    resampled,
    tally,
)
from heartfast.ranking import areas, macro_auc, rank_class


def predictions(seed: int, n: int, k: int, groups: int):
    rng = np.random.Generator(np.random.PCG64(seed))
    actual = rng.integers(k, size=n)
    probabilities = rng.dirichlet(np.full(k, 0.7), size=n) + 0.6 * np.eye(k)[actual]
    return actual, probabilities / probabilities.sum(1, keepdims=True), rng.integers(groups, size=n)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 5), st.integers(1, 10))
def test_figures_agree_with_scikit_learn(seed, n, k, n_groups):
    actual, probabilities, groups = predictions(seed, n, k, n_groups)
    sums = group_sums(actual, probabilities, groups)
    assert len(sums.logloss) == len(set(groups.tolist()))
    got = figures(tally(sums))
    predicted, labels = probabilities.argmax(axis=1), np.arange(k)
    assert (sums.confusion == reference.confusion_matrix(actual, predicted, labels=labels)).all()
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        actual, predicted, labels=labels, zero_division=np.nan
    )
    # Never predicted is a precision of 0 where there was something to predict, else undefined.
    wanted = np.where(np.isnan(precision) & (support > 0), 0, precision)
    np.testing.assert_allclose(got["precision"], wanted)
    np.testing.assert_allclose(got["recall"][support > 0], recall[support > 0])
    assert np.isnan(got["recall"][support == 0]).all()
    np.testing.assert_allclose(got["f1"], f1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes not in `actual`
        balanced = reference.balanced_accuracy_score(actual, predicted)
    np.testing.assert_allclose(
        got["macro_f1"], reference.f1_score(actual, predicted, average="macro", zero_division=0)
    )
    np.testing.assert_allclose(got["balanced_accuracy"], balanced)
    np.testing.assert_allclose(got["accuracy"], reference.accuracy_score(actual, predicted))
    np.testing.assert_allclose(
        got["logloss"], reference.log_loss(actual, probabilities, labels=labels)
    )
    onehot = np.eye(k)[actual]
    np.testing.assert_allclose(got["brier"], ((probabilities - onehot) ** 2).sum() / n)
    assert_ranks_agree(got, actual, probabilities)


def ranks_by_scikit_learn(positive, scores, weights) -> tuple[float, float]:
    """AUC and average precision, NaN without one of the class, or of the others."""
    some, others = weights[positive].sum() > 0, weights[~positive].sum() > 0
    given = {"sample_weight": weights}
    return (
        reference.roc_auc_score(positive, scores, **given) if some and others else np.nan,
        reference.average_precision_score(positive, scores, **given) if some else np.nan,
    )


def assert_ranks_agree(got, actual, probabilities):
    wanted = [
        ranks_by_scikit_learn(actual == label, probabilities[:, label], np.ones(len(actual)))
        for label in range(probabilities.shape[1])
    ]
    aucs, precisions = np.array(wanted).T
    np.testing.assert_allclose(got["auc"], aucs)
    np.testing.assert_allclose(got["average_precision"], precisions)
    defined = aucs[~np.isnan(aucs)]
    mean = defined.mean() if len(defined) else np.nan
    np.testing.assert_allclose(got["macro_auc"], mean)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 5))
def test_ranks_of_resamples_are_scikit_learns_weights(seed, n, levels):
    """Many equal scores, and recordings that a resample has several times or not at all."""
    rng = np.random.Generator(np.random.PCG64(seed))
    positive, scores = rng.random(n) < 0.4, rng.integers(levels, size=n) / levels
    times = rng.integers(3, size=(4, n)).astype(float)
    got = np.array(areas(rank_class(positive, scores), times)).T
    wanted = [ranks_by_scikit_learn(positive, scores, weights) for weights in times]
    np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_macro_auc_is_scikit_learns():
    actual, probabilities, _ = predictions(5, 90, 4, 1)
    wanted = reference.roc_auc_score(actual, probabilities, multi_class="ovr", average="macro")
    assert macro_auc(actual, probabilities) == pytest.approx(wanted)
    assert np.isnan(macro_auc(np.zeros(3, dtype=int), np.ones((3, 1))))


def test_brier_is_scikit_learns():
    actual, probabilities, _ = predictions(6, 70, 3, 1)
    wanted = reference.brier_score_loss(actual, probabilities, labels=[0, 1, 2])
    assert brier_scores(actual, probabilities).mean() == pytest.approx(wanted)


def test_repeats_are_averaged():
    actual, first, groups = predictions(3, 50, 3, 8)
    second = predictions(4, 50, 3, 8)[1]
    sums = group_sums(actual, np.stack([first, second]), groups)
    apart = [group_sums(actual, probabilities, groups) for probabilities in (first, second)]
    assert (sums.confusion == np.mean([each.confusion for each in apart], axis=0)).all()
    np.testing.assert_allclose(sums.logloss, np.mean([each.logloss for each in apart], axis=0))
    got, separate = figures(tally(sums)), [figures(tally(each)) for each in apart]
    for name in ("accuracy", "recall", "balanced_accuracy", "logloss"):  # linear in the sums
        np.testing.assert_allclose(got[name], np.mean([each[name] for each in separate], axis=0))


def test_logloss_clips():
    assert logloss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-np.log(1e-15))


def test_intervals_are_those_of_resampled_groups():
    actual, probabilities, groups = predictions(1, 80, 3, 12)
    overall, per_class = estimate(group_sums(actual, probabilities, groups), seed=5)
    rng = np.random.Generator(np.random.PCG64(5))
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    count = len(members)
    accuracies, losses, recalls, briers, aucs, precisions = [], [], [], [], [], []
    for drawn in rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES):
        rows = np.concatenate([np.tile(members[g], times) for g, times in enumerate(drawn)])
        hit = probabilities[rows].argmax(axis=1) == actual[rows]
        accuracies.append(hit.mean())
        losses.append(-np.log(probabilities[rows, actual[rows]]).mean())
        recalls.append(hit[actual[rows] == 2].mean())
        briers.append(((probabilities[rows] - np.eye(3)[actual[rows]]) ** 2).sum(axis=1).mean())
        aucs.append(
            reference.roc_auc_score(
                actual[rows], probabilities[rows], multi_class="ovr", average="macro"
            )
        )
        precisions.append(
            reference.average_precision_score(actual[rows] == 2, probabilities[rows, 2])
        )
    shown = {"accuracy": accuracies, "logloss": losses, "brier": briers, "macro_auc": aucs}
    np.testing.assert_allclose(
        per_class["average_precision"][2][1:], np.percentile(precisions, [2.5, 97.5])
    )
    for name, draws in shown.items():
        np.testing.assert_allclose(overall[name][1:], np.percentile(draws, [2.5, 97.5]))
        assert overall[name].low <= overall[name].value <= overall[name].high
    np.testing.assert_allclose(per_class["recall"][2][1:], np.percentile(recalls, [2.5, 97.5]))


@pytest.mark.parametrize("setting", ["BLOCK_CELLS", "MANY_GROUPS"])
def test_many_groups_are_resampled_like_few(monkeypatch, setting):
    sums = group_sums(*predictions(2, 400, 4, 60))
    expected, _ = estimate(sums)
    monkeypatch.setattr(f"heartfast.metrics.{setting}", 59)
    got, _ = estimate(sums)
    for name, (value, low, high) in got.items():
        assert value == expected[name].value
        # A few resamples at a time are the same, groups one by one have the same distribution.
        tolerance = 0 if setting == "BLOCK_CELLS" else 0.1 * (high - low)
        assert (low, high) == pytest.approx(expected[name][1:], abs=tolerance)


@pytest.mark.parametrize(("n", "k", "groups"), [(60_000, 20, 60_000), (3000, 300, 3000)])
def test_memory_is_bounded(monkeypatch, n, k, groups):
    """Dense tables would take 190 MB and 2 GB, and 1 GB and 1.4 GB for the resamples."""
    monkeypatch.setattr("heartfast.metrics.RESAMPLES", 100)  # the blocks are the same
    actual, probabilities, _ = predictions(0, n, k, 1)
    tracemalloc.start()
    overall, _ = estimate(group_sums(actual, probabilities, np.arange(groups)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6
    hits = (probabilities.argmax(axis=1) == actual).sum()
    assert overall["accuracy"].value == hits / n
    assert overall["accuracy"][1:] == pytest.approx(exact(hits, n), abs=0.01)


def test_differences_are_between_the_same_resamples():
    """A shift of all log losses alike has no spread, however wide that of each is."""
    actual, probabilities, groups = predictions(7, 100, 2, 15)
    worse = probabilities.copy()
    worse[np.arange(100), actual] *= np.exp(-0.25)
    first, second = (resampled(group_sums(actual, each, groups)) for each in (probabilities, worse))
    found = interval(0.25, second["logloss"] - first["logloss"])
    assert found == pytest.approx((0.25, 0.25, 0.25))


def test_many_recordings_are_ranked_in_fewer_resamples(monkeypatch):
    sums = group_sums(*predictions(2, 400, 4, 60))
    whole = resampled(sums)
    monkeypatch.setattr("heartfast.metrics.RANK_CELLS", 1)
    monkeypatch.setattr("heartfast.metrics.BLOCK_CELLS", 40_000)
    some = resampled(sums)
    assert (some["auc"][:100] == whole["auc"][:100]).all()
    assert np.isnan(some["auc"][100:]).all()
    assert (some["brier"] == whole["brier"]).all()
    assert estimate(sums, spread=some)[0]["macro_auc"].low > 0.5


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.Generator(np.random.PCG64(0))
    covered = 0
    for seed in range(100):
        skill = rng.normal(0.7, 0.1, size=60).clip(0, 1)  # of a group, its recordings share it
        right = rng.random((60, 5)) < skill[:, None]
        probabilities = np.where(right.ravel()[:, None], [0.9, 0.1], [0.1, 0.9])
        sums = group_sums(np.zeros(300, dtype=int), probabilities, np.repeat(np.arange(60), 5))
        accuracy = estimate(sums, seed=seed)[0]["accuracy"]
        covered += accuracy.low <= 0.7 <= accuracy.high
    assert covered >= 88


def exact(hits: int, n: int) -> tuple[float, float]:
    return tuple(stats.binomtest(hits, n).proportion_ci(0.95, method="exact"))


def test_an_extreme_figure_has_the_exact_bound_of_its_groups():
    """Class 0 always right in 12 groups, class 1 never in 5, class 2 always in 7."""
    group = np.repeat(np.arange(24), 4)
    actual = np.repeat([0] * 12 + [1] * 5 + [2] * 7, 4)
    predicted = np.where(actual == 1, 0, actual)
    overall, per_class = estimate(group_sums(actual, np.eye(3)[predicted], group))
    assert [e.value for e in per_class["recall"]] == [1, 0, 1]
    for found, expected in zip(
        per_class["recall"], (exact(12, 12), exact(0, 5), exact(7, 7)), strict=True
    ):
        assert found[1:] == pytest.approx(expected)
    assert per_class["f1"][1] == (0, 0, pytest.approx(exact(0, 5)[1]))
    assert per_class["precision"][1] == (0, 0, pytest.approx(exact(0, 5)[1]))
    assert per_class["precision"][2] == (1, pytest.approx(exact(7, 7)[0]), 1)
    overall, _ = estimate(group_sums(actual, np.eye(3)[actual], group))
    assert overall["accuracy"] == (1, pytest.approx(exact(24, 24)[0]), 1)
    for name in ("macro_f1", "balanced_accuracy", "macro_auc"):
        assert overall[name] == (1, pytest.approx(exact(5, 5)[0]), 1)
    assert overall["logloss"].value == 0  # not a proportion


def test_undefined_figures_are_none():
    overall, per_class = estimate(
        group_sums(np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]), ["x", "y"])
    )
    assert per_class["recall"][1] == (None, None, None)
    assert per_class["f1"][1] == (None, None, None)
    assert overall["balanced_accuracy"].value == 1.0


def test_the_prior_baseline():
    baseline = prior_baseline(np.array([0, 0, 0, 1, 2]), 3)
    shares = np.array([0.6, 0.2, 0.2])
    assert baseline["logloss"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert baseline["accuracy"] == pytest.approx(0.6)
    assert baseline["balanced_accuracy"] == pytest.approx(1 / 3)
    assert baseline["macro_f1"] == pytest.approx(2 * 0.6 / 1.6 / 3)
    assert baseline["macro_auc"] == 0.5
    assert baseline["brier"] == pytest.approx(1 - (shares**2).sum())
