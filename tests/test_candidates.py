"""Candidates predict as scikit-learn's models of the same settings, and choose on inner folds."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.svm import SVC

from heartfast.fitting import CANDIDATES, SINGLE, Data, Fitted, Settings
from heartfast.fitting.data import choice_loss, inner_folds, out_of_fold, sample_weights
from heartfast.fitting.kernel import fit_svm
from heartfast.fitting.linear import fit_logistic
from heartfast.fitting.pooling import calibrate, pool_weights
from heartfast.fitting.trees import fit_extra_trees, forest_model
from heartfast.forests import ForestModel
from heartfast.models import KernelModel, LinearModel, PooledModel, restored
from heartfast.stored import Stored
from test_models import WIDTH, sample

RNG = np.random.Generator(np.random.PCG64(7))
FRESH = RNG.normal(size=(80, WIDTH)) * 2


def told(**more: object) -> Settings:
    return Settings(seed=0, trials=2, stop=threading.Event())._replace(**more)


def standardised(data: Data, features: np.ndarray) -> np.ndarray:
    mean, scale = data.features.mean(axis=0), data.features.std(axis=0)
    return ((features - mean) / scale).clip(-5, 5)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_machines_score_as_scikit_learns(k):
    data = sample(k)
    model = fit_svm(data, told()).model
    assert isinstance(model, KernelModel)
    assert model.shape == (k, WIDTH)
    got = model.scores(FRESH)
    for label in range(k):
        machine = SVC(C=1.0, gamma=0.5 / WIDTH)
        machine.fit(standardised(data, data.features), data.actual == label)
        wanted = machine.decision_function(standardised(data, FRESH))
        np.testing.assert_allclose(got[:, label], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_scores_are_calibrated_out_of_fold(k):
    """By a logistic regression of the scores that machines of inner folds gave."""
    data, said = sample(k), told()
    scores = np.zeros((len(data.actual), k))
    for fit, test in inner_folds(data, said):
        part = data.part(fit)
        for label in range(k):
            machine = SVC(C=1.0, gamma=0.5 / WIDTH)
            machine.fit(standardised(part, part.features), part.actual == label)
            scores[test, label] = machine.decision_function(standardised(part, data.features[test]))
    model = fit_svm(data, said).model
    assert isinstance(model, KernelModel)
    wanted = LogisticRegression(max_iter=10_000).fit(scores, data.actual)
    got = model.predict_proba(FRESH)
    np.testing.assert_allclose(got, wanted.predict_proba(model.scores(FRESH)), rtol=0, atol=1e-9)
    assert (got[3:9] == model.predict_proba(FRESH[3:9])).all()


@pytest.mark.parametrize("k", [2, 3, 5])
def test_forests_predict_as_scikit_learns(k):
    data = sample(k)
    trees = ExtraTreesClassifier(30, min_samples_leaf=2, random_state=0)
    trees.fit(data.features, data.actual)
    model = forest_model([tree.tree_ for tree in trees.estimators_], WIDTH)
    assert model.shape == (k, WIDTH)
    got = model.predict_proba(FRESH)
    np.testing.assert_allclose(got, trees.predict_proba(FRESH), rtol=0, atol=1e-9)
    # Thresholds are those of float32: these values are on both sides of some by that alone.
    near = np.repeat(trees.estimators_[0].tree_.threshold[:1], WIDTH)[None] * (1 + 1e-9)
    np.testing.assert_allclose(model.predict_proba(near), trees.predict_proba(near), atol=1e-9)
    assert (got[3:9] == model.predict_proba(FRESH[3:9])).all()
    assert model.predict_proba(FRESH[:0]).shape == (0, k)
    assert np.isfinite(model.predict_proba(np.full((1, WIDTH), 1e300))).all()


def test_extra_trees_are_those_of_the_settings():
    data = sample()
    model = fit_extra_trees(data, told()).model
    assert isinstance(model, PooledModel)
    trees = ExtraTreesClassifier(300, min_samples_leaf=3, max_features=0.2, random_state=0)
    wanted = trees.fit(data.features, data.actual).predict_proba(FRESH)
    got = model.parts[0].predict_proba(FRESH)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9)
    # The temperature makes them more certain of themselves, as trees that are averaged need it.
    assert model.weights[0] > 1


def test_a_forest_of_many_classes_stays_small(monkeypatch):
    monkeypatch.setattr("heartfast.fitting.trees.MOST_CELLS", 300 * 3 * 4)
    model = fit_extra_trees(sample(signal=0.0), told()).model
    assert isinstance(model, PooledModel)
    assert isinstance(model.parts[0], ForestModel)
    assert model.parts[0].stored().arrays["leaves"].max() == 4


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 4))
@example(251, 4, 2)  # nearly flat
def test_pools_are_the_best_there_are(seed, members, k):
    """No step to any side is better; with one member there is but the temperature."""
    rng = np.random.Generator(np.random.PCG64(seed))
    data = sample(k, groups=4 * k)
    n = len(data.actual)
    inner = [rng.dirichlet(np.full(k, 2.0), size=n) for _ in range(members)]
    inner = [(each + np.eye(k)[data.actual] * rng.random()) for each in inner]
    inner = [each / each.sum(axis=1, keepdims=True) for each in inner]
    weights = pool_weights(inner, data, told())

    def loss(weights: np.ndarray) -> float:
        powers = np.prod([p**w for p, w in zip(inner, weights, strict=True)], axis=0)
        share = powers / powers.sum(axis=1, keepdims=True)
        return log_loss(data.actual, share, labels=range(k)) + np.var(weights)

    assert (weights >= 0).all()
    for index in range(members):
        for step in (-1e-3, 1e-3):
            other = weights.copy()
            other[index] = min(max(other[index] + step, 0), 20)
            assert loss(other) >= loss(weights) - 1e-9


def test_temperatures_undo_what_was_done_to_probabilities():
    rng = np.random.Generator(np.random.PCG64(1))
    data = sample(3, groups=600)
    true = rng.dirichlet(np.ones(3), size=len(data.actual))
    actual = (true.cumsum(axis=1) < rng.random(len(true))[:, None]).sum(axis=1)
    sharp = true**2.5 / (true**2.5).sum(axis=1, keepdims=True)
    model = SINGLE["class prior"](data, told()).model
    fitted = calibrate(Fitted(model, sharp), data._replace(actual=actual), told())
    assert isinstance(fitted.model, PooledModel)
    assert fitted.model.weights[0] == pytest.approx(1 / 2.5, rel=0.06)
    assert fitted.inner is not None
    assert np.abs(fitted.inner - true).max() < 0.05


def test_blends_weigh_their_members_on_inner_folds():
    data = sample(signal=1.0)
    blend = CANDIDATES["blend"](data, told())
    assert isinstance(blend, PooledModel)
    names = ("logistic regression", "SVM", "extra trees", "LightGBM tuned")
    members = [SINGLE[name](data, told()) for name in names]
    inner = [member.inner for member in members]
    assert all(each is not None for each in inner)
    assert (blend.weights == pool_weights(inner, data, told())).all()
    logs = [
        weight * np.log(member.model.predict_proba(FRESH))
        for weight, member in zip(blend.weights, members, strict=True)
    ]
    wanted = np.exp(np.sum(logs, axis=0))
    wanted /= wanted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(blend.predict_proba(FRESH), wanted, rtol=1e-9)


@pytest.mark.parametrize("name", ["logistic regression", "SVM", "extra trees", "LightGBM tuned"])
def test_inner_predictions_are_of_models_that_did_not_see_them(name):
    """Labels by chance cannot be predicted, as they can be by who has seen them."""
    data = sample(2, groups=60, signal=0.0)
    inner = SINGLE[name](data, told()).inner
    assert inner is not None
    assert roc_auc_score(data.actual, inner[:, 1]) < 0.65


@pytest.mark.parametrize("fit", [fit_logistic, fit_svm])
def test_columns_are_chosen_by_inner_folds(fit):
    """The others are noise, and there is much of it."""
    rng = np.random.Generator(np.random.PCG64(0))
    data = sample(3, signal=1.5)
    noise = rng.normal(size=(len(data.actual), 400))
    wide = data._replace(features=np.hstack([noise, data.features]))
    few = wide._replace(subsets=(np.arange(400, 400 + WIDTH),))
    model, without = fit(few, told()).model, fit(wide, told()).model
    features = np.hstack([rng.normal(size=(80, 400)), FRESH])
    other = features.copy()
    other[:, :400] += 1
    assert (model.predict_proba(features) == model.predict_proba(other)).all()
    assert not np.allclose(without.predict_proba(features), without.predict_proba(other))
    assert model.shape == (3, 400 + WIDTH)
    # And the same as if there were no others, but for where the sums begin.
    alone = fit(data, told()).model.predict_proba(FRESH)
    np.testing.assert_allclose(model.predict_proba(features), alone, atol=1e-4)


def test_weights_make_classes_count_alike():
    actual = np.array([0] * 8 + [1] * 2 + [0] * 1 + [1] * 4)
    sources = np.array([0] * 10 + [1] * 5)
    data = Data(np.zeros((15, 1)), actual, np.arange(15), 2, sources)
    assert (sample_weights(data, told()) == 1).all()
    balanced = sample_weights(data, told(class_weight="balanced"))
    assert balanced[actual == 0].sum() == pytest.approx(balanced[actual == 1].sum())
    by_source = sample_weights(data, told(class_weight="source"))
    for source in (0, 1):
        shares = [by_source[(sources == source) & (actual == c)].sum() for c in (0, 1)]
        assert shares[0] == pytest.approx(shares[1])
    assert by_source[sources == 0].sum() == pytest.approx(10)
    for weights in (balanced, by_source):
        assert weights.mean() == pytest.approx(1)
    alone = sample_weights(data._replace(sources=None), told(class_weight="source"))
    np.testing.assert_allclose(alone, balanced)


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "class prior"])
def test_balanced_candidates_find_more_of_the_rare_class(name):
    rng = np.random.Generator(np.random.PCG64(2))
    actual = (rng.random(300) < 0.15).astype(int)
    features = rng.normal(size=(300, WIDTH)) + 0.7 * actual[:, None] * (np.arange(WIDTH) < 3)
    data = Data(features, actual, np.arange(300), 2)
    plain, balanced = (
        CANDIDATES[name](data, told(class_weight=weight)).predict_proba(FRESH)[:, 1].mean()
        for weight in ("none", "balanced")
    )
    assert balanced > 1.3 * plain


def test_by_source_inner_folds_leave_one_out_and_choices_go_by_ranks_inside():
    data = sample(2, groups=24)
    sources = data.groups // 2 % 3
    data, said = data._replace(sources=sources), told(by_source=True)
    folds = inner_folds(data, said)
    assert [set(sources[test]) for _, test in folds] == [{0}, {1}, {2}]
    predicted = np.random.Generator(np.random.PCG64(0)).dirichlet([1, 1], size=len(sources))
    inside = [
        roc_auc_score(data.actual[sources == s], predicted[sources == s, 1]) for s in range(3)
    ]
    assert choice_loss(data, predicted, said) == pytest.approx(1 - np.mean(inside))
    wanted = log_loss(data.actual, predicted)
    assert choice_loss(data, predicted, told()) == pytest.approx(wanted)
    for name in SINGLE:
        assert SINGLE[name](data, said).model.predict_proba(FRESH).shape == (80, 2)


@pytest.mark.parametrize("name", SINGLE)
def test_variants_are_fitted_on_and_never_held_out(name):
    """Half of what is to be learned is in the variants only, which no inner fold may test."""
    data = sample(3, groups=36, signal=2.0)
    rng = np.random.Generator(np.random.PCG64(4))
    moved = data.features[:, None, :] + rng.normal(size=(len(data.actual), 2, WIDTH)) * 0.1
    found = SINGLE[name](data._replace(variants=moved), told())
    assert found.inner is None or found.inner.shape == (len(data.actual), 3)
    features, rows = data._replace(variants=moved).fitted_on()
    assert features.shape == (3 * len(data.actual), WIDTH)
    np.testing.assert_array_equal(features[: len(rows) // 3], data.features)
    for index in range(len(data.actual), len(rows)):
        assert np.abs(features[index] - data.features[rows[index]]).max() < 1
    plain = SINGLE[name](data, told()).model.predict_proba(FRESH)
    without = name in ("class prior", "LightGBM")  # as they come
    assert np.allclose(found.model.predict_proba(FRESH), plain) == without


def test_a_part_keeps_its_variants():
    data = sample()._replace(variants=RNG.normal(size=(120, 2, WIDTH)), sources=np.arange(120))
    part = data.part(np.array([5, 9]))
    assert part.variants is not None
    assert data.variants is not None
    assert (part.variants == data.variants[[5, 9]]).all()
    assert part.sources is not None
    assert part.sources.tolist() == [5, 9]


def test_out_of_fold_leaves_nothing_to_models_that_saw_it():
    data = sample()
    seen = []

    def fit(part: Data) -> LinearModel:
        seen.append(set(part.groups))
        return SINGLE["class prior"](part, told()).model

    folds = inner_folds(data, told())
    found = out_of_fold(data, folds[:2], fit, told())
    assert found is not None
    assert np.isnan(found[folds[2][1]]).all()
    for groups, (_, test) in zip(seen, folds, strict=False):
        assert not groups & set(data.groups[test])
    assert out_of_fold(data, [], fit, told()) is None


def test_machines_of_many_recordings_take_a_part(monkeypatch):
    monkeypatch.setattr("heartfast.fitting.kernel.MOST", 60)
    data = sample(3)
    found = fit_svm(data, told())
    assert isinstance(found.model, KernelModel)
    assert len(found.model.vectors) <= 60
    assert found.inner is not None
    assert np.isnan(found.inner[:, 0]).sum() == 60
    members = [found.inner, fit_logistic(data, told()).inner]
    assert (pool_weights(members, data, told()) > 0).any()


KERNEL = fit_svm(sample(), told()).model.stored()
FOREST = fit_extra_trees(sample(groups=12), told()).model.parts[0].stored()
POOL = PooledModel([restored(KERNEL)], np.array([0.5])).stored()


@pytest.mark.parametrize(
    ("stored", "change", "message"),
    [
        (KERNEL, {"gamma": np.array([0.0])}, "gamma above 0"),
        (KERNEL, {"gamma": np.array([1e7])}, "gamma above 0, at most 1e6"),
        (KERNEL, {"gamma": np.array([1.0, 1.0])}, "lengths agree"),
        (KERNEL, {"scale": np.zeros(WIDTH)}, "scale to be at least"),
        (KERNEL, {"columns": np.arange(WIDTH) + 0.5}, "columns to be whole numbers from 0 to 11"),
        (KERNEL, {"columns": np.arange(WIDTH) + 1.0}, "columns to be whole numbers from 0 to 11"),
        (KERNEL, {"width": np.array([0.0])}, "width to be whole numbers from 1"),
        (KERNEL, {"width": np.array([1e9])}, "width to be whole numbers from 1"),
        (KERNEL, {"mean": np.zeros(3)}, "lengths agree"),
        (KERNEL, {"vectors": 9 + KERNEL.arrays["vectors"]}, "vectors to be within"),
        (KERNEL, {"vectors": KERNEL.arrays["vectors"][:, :4]}, "lengths agree"),
        (KERNEL, {"weights": KERNEL.arrays["weights"][:, :4]}, "lengths agree"),
        (KERNEL, {"coef": np.zeros((3, 2))}, "lengths agree"),
        (KERNEL, {"coef": np.zeros(3)}, "coef with axes: 2, found 1"),
        (KERNEL, {"offset": np.full(3, np.nan)}, "offset to be finite"),
        (KERNEL, {"more": np.zeros(3)}, "expected the arrays columns, width"),
        (FOREST, {"leaves": np.zeros(0)}, "lengths agree"),
        (FOREST, {"leaves": FOREST.arrays["leaves"] + 1}, "lengths agree"),
        (FOREST, {"leaves": FOREST.arrays["leaves"] + 0.5}, "leaves to be whole numbers from 1"),
        (FOREST, {"leaves": -FOREST.arrays["leaves"]}, "leaves to be whole numbers from 1"),
        (FOREST, {"split_feature": FOREST.arrays["split_feature"] + 12}, "features below 12"),
        (FOREST, {"left_child": FOREST.arrays["right_child"]}, "left_child|in one place"),
        (FOREST, {"left_child": 0 * FOREST.arrays["left_child"]}, "left_child to be further down"),
        (FOREST, {"right_child": FOREST.arrays["right_child"] - 99}, "right_child to be further"),
        (FOREST, {"threshold": FOREST.arrays["threshold"][:-1]}, "lengths agree"),
        (FOREST, {"leaf_value": 2 * FOREST.arrays["leaf_value"]}, "leaf_value to be probabilities"),
        (FOREST, {"leaf_value": FOREST.arrays["leaf_value"] - 0.5}, "leaf_value to be probabil"),
        (FOREST, {"width": np.array([3.0])}, "features below 3"),
        (FOREST, {"width": np.array([3.5])}, "width to be whole numbers"),
        (POOL, {"weights": np.array([-1.0])}, "weights to be from 0"),
        (POOL, {"weights": np.array([1.0, 1.0])}, "lengths agree"),
    ],
)
def test_wrong_arrays_are_named(stored: Stored, change, message):
    assert restored(stored).shape == (3, WIDTH)
    with pytest.raises(ValueError, match=message):
        restored(stored._replace(arrays={**stored.arrays, **change}))


def test_wrong_parts_are_named():
    prior = SINGLE["class prior"](sample(), told()).model.stored()
    other = SINGLE["class prior"](sample(4), told()).model.stored()
    for stored, message in (
        (POOL._replace(parts=()), "1 to 20 parts, found 0"),
        (POOL._replace(parts=(KERNEL,) * 21), "1 to 20 parts, found 21"),
        (KERNEL._replace(parts=(KERNEL,)), "a svm model without parts"),
        (prior._replace(text="x"), "expected the arrays"),
        (Stored("lightgbm", {"x": np.zeros(1)}, "tree"), "expected the text of a lightgbm"),
        (Stored("lightgbm", {}), "expected the text of a lightgbm"),
        (Stored("eval", {}), "expected a model of linear, svm, .*found 'eval'"),
        (
            Stored("pool", {"weights": np.ones(2)}, parts=(prior, other)),
            "of the same classes and features",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            restored(stored)
