"""Models predict as the libraries that fitted them, and believe no text unchecked."""

from __future__ import annotations

import itertools
import re
import threading
import tracemalloc

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from heartfast.fitting import CANDIDATES, Data, Settings, Stopped
from heartfast.fitting.data import grouped_folds, groups_per_class, inner_folds
from heartfast.forests import BoostedModel
from heartfast.metrics import logloss
from heartfast.models import LinearModel, standardise
from heartfast.probabilities import softmax
from heartfast.stored import Stored

WIDTH = 12


def sample(k: int = 3, groups: int = 30, each: int = 4, seed: int = 0, signal: float = 1.5) -> Data:
    rng = np.random.Generator(np.random.PCG64(seed))
    actual = np.repeat(np.arange(groups) % k, each)
    features = rng.normal(size=(groups * each, WIDTH))
    features[:, :k] += signal * np.eye(k)[actual]
    return Data(features, actual, np.repeat(np.arange(groups), each), k)


def told(trials: int = 2) -> Settings:
    return Settings(seed=0, trials=trials, stop=threading.Event())


def booster(k: int = 3, rounds: int = 20, **parameters: object) -> lightgbm.Booster:
    data = sample(k)
    fixed = {"objective": "multiclass", "num_class": k, "verbosity": -1, "use_missing": False}
    table = lightgbm.Dataset(data.features, data.actual)
    return lightgbm.train({**fixed, **parameters}, table, rounds)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_boosted_models_predict_as_lightgbm_does(k):
    original = booster(k, num_leaves=7, min_data_in_leaf=5)
    features = np.random.Generator(np.random.PCG64(1)).normal(size=(500, WIDTH)) * 3
    model = BoostedModel(original.model_to_string())
    assert model.shape == (k, WIDTH)
    got = model.predict_proba(features)
    np.testing.assert_allclose(got, original.predict(features), rtol=1e-12)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=4e-16)
    assert (got[123:130] == model.predict_proba(features[123:130])).all()
    assert model.predict_proba(features[:0]).shape == (0, k)


def test_boosted_models_are_walked_in_chunks(monkeypatch):
    model = BoostedModel(booster().model_to_string())
    features = sample().features
    whole = model.predict_proba(features)
    monkeypatch.setattr("heartfast.forests.CHUNK_CELLS", 7)
    assert (model.predict_proba(features) == whole).all()


def test_trees_without_a_split():
    original = booster(rounds=3, min_data_in_leaf=1000)
    features = sample().features
    got = BoostedModel(original.model_to_string()).predict_proba(features)
    np.testing.assert_allclose(got, original.predict(features), rtol=1e-12)


TEXT = booster(rounds=2, num_leaves=4).model_to_string()


@pytest.mark.parametrize(
    ("pattern", "new", "message"),
    [
        (r"^tree\n", "forest\n", "text of a LightGBM model"),
        (r"version=v4", "version=v9", "version v4"),
        (r"num_class=3", "num_class=4", "multiclass"),
        (r"num_class=3", "num_class=-3", "num_class"),
        (r"objective=multiclass ", "objective=binary ", "multiclass"),
        (r"max_feature_idx=11", "max_feature_idx=0", "split"),
        (r"num_leaves=4", "num_leaves=5", "expected 4 of split_feature, found 3"),
        (r"num_leaves=4", "num_leaves=99999999999", "num_leaves"),
        (r"left_child=\S+", "left_child=0", "left_child"),
        (r"left_child=\S+", "left_child=77", "left_child"),
        (r"right_child=\S+", "right_child=-9", "right_child"),
        (r"decision_type=\S+", "decision_type=1", "numerical splits"),
        (r"decision_type=\S+", "decision_type=8", "numerical splits"),
        (r"leaf_value=\S+", "leaf_value=nan", "leaf_value to be finite"),
        (r"threshold=\S+", "threshold=x", "expected threshold to be numbers"),
        (r"threshold=", "threshold=0.5 ", "expected 3 of threshold, found more"),
        (r"leaf_value=\S+", "leaf_value=1e101", r"leaf_value to be finite, at most 1e\+100"),
        (r"split_feature=\S+", "split_feature=0.5", "features below 12"),
        (r"num_leaves=4", "num_leaves=1001", "1 to 1000 leaves a tree, found 1001"),
        (r"num_leaves=4", "num_leaves=0", "1 to 1000 leaves a tree, found 0"),
        (r"num_leaves=4", "num_leaves=4" + 100 * "\nx", "at most 100 lines a tree"),
        (r"num_leaves=4", "num_leaves=4\né=", "in ASCII"),
        (r"is_linear=0", "is_linear=1", "numerical splits"),
        (r"num_cat=0", "num_cat=1", "numerical splits"),
        (r"right_child=(\S+) \S+", r"right_child=\1 \1", "each child in one place|right_child"),
        (r"left_child=(\S+) (\S+) \S+", r"left_child=\1 \2 \2", "in one place|left_child"),
        (r"leaf_count=\S+", "leaf_count=", "expected 4 of leaf_count, found 3"),
        (r"internal_count=", "internal_count=1 ", "expected 3 of internal_count, found more"),
        (r"internal_value=\S+", "internal_value=inf", "numbers of a tree to be finite"),
        (r"shrinkage=1", "shrinkage=", "expected 1 of shrinkage, found 0"),
        (r"num_cat=0", "num_cat=0\ncat_threshold=1 2", "otherwise: cat_threshold"),
        (r"num_cat=0", "num_cat=0\nnum_cat=0", "otherwise: one twice"),
        (r"label_index=0", "label_index=0\naverage_output", "otherwise: one twice"),
        (r"label_index=0", "label_index=0\nmonotone=1", "otherwise: monotone"),
        (r"num_class:3", "num_class:9", "multiclass"),
        (r"feature_names=\S+ ", "feature_names=", "expected 12 of feature_names, found 11"),
        (r"feature_infos=", "feature_infos=none ", "expected 12 of feature_infos, found 13"),
        (r"tree_sizes=\d", "tree_sizes=9", "tree_sizes to be the trees' sizes"),
        (r"tree_sizes=\d+ ", "tree_sizes=", "tree_sizes to be the trees' sizes"),
        (r"shrinkage=1\n\n\nTree", "shrinkage=1\n\nx\nTree", "a blank line after it|sizes"),
        (r"Tree=1", "Tree=7", "expected tree 1"),
        (r"end of trees", "end of tree", "the end of the trees"),
        (r"(?s)Tree=5.*", "", "multiples of 3, found 5"),
        (r"(?s)Tree=0.*", "", "found 0"),
    ],
)
def test_a_text_that_is_not_what_we_save_is_refused(pattern, new, message):
    changed, count = re.subn(pattern, new, TEXT, count=1)
    assert count == 1
    with pytest.raises(ValueError, match=message):
        BoostedModel(changed)


def resized(text: str) -> str:
    """Give a text the sizes that its trees have."""
    _, *trees = re.split(r"(?m)^(?=Tree=)", text.partition("end of trees\n")[0])
    sizes = " ".join(str(len(tree)) for tree in trees)
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", text, count=1)


tokens = re.findall(r"[^\s=]+", TEXT.partition("end of trees")[0])


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(tokens) - 1),
    st.sampled_from(["0", "1", "2", "-1", "-2", "1e9", "inf", "nan", "", "x", "0.5", "7 7"]),
)
def test_any_change_is_refused_or_harmless(index, new):
    spans = list(itertools.islice(re.finditer(r"[^\s=]+", TEXT), index, index + 1))
    start, end = spans[0].span()
    try:
        model = BoostedModel(resized(TEXT[:start] + new + TEXT[end:]))
    except ValueError:
        return
    features = sample().features[:, : model.shape[1]]
    if features.shape[1] == model.shape[1]:
        assert np.allclose(model.predict_proba(features).sum(axis=1), 1)


@pytest.mark.parametrize("k", [2, 4])
def test_linear_models_predict_as_scikit_learn_does(k):
    data = sample(k)
    model = CANDIDATES["logistic regression"](data, told())
    assert isinstance(model, LinearModel)
    scaled = standardise(data.features, data.features.mean(axis=0), data.features.std(axis=0))
    got = model.predict_proba(data.features)
    # The penalty is chosen inside; the right one is among the grid's.
    penalties = [
        np.abs(
            LogisticRegression(C=c, max_iter=5000).fit(scaled, data.actual).predict_proba(scaled)
            - got
        ).max()
        for c in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    ]
    assert min(penalties) < 2e-3
    assert model.shape == (k, WIDTH)
    assert (got[5:9] == model.predict_proba(data.features[5:9])).all()


def test_linear_models_read_back_exactly():
    data = sample()
    model = CANDIDATES["logistic regression"](data, told())
    assert isinstance(model, LinearModel)
    again = LinearModel.restored(model.stored())
    assert (again.predict_proba(data.features) == model.predict_proba(data.features)).all()


GOOD = LinearModel(np.zeros(2), np.ones(2), np.zeros((3, 2)), np.zeros(3)).stored().arrays


def linear_of(arrays: dict[str, object]) -> LinearModel:
    return LinearModel.restored(Stored("linear", {k: np.array(v) for k, v in arrays.items()}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [0.0]}, "lengths agree"),
        ({"coef": [1.0, 2.0]}, "^expected coef with axes: 2, found 1$"),
        ({"mean": [[0.0, 0.0]]}, "^expected mean with axes: 1, found 2$"),
        ({"scale": [1.0, 0.0]}, "scale to be at least 1e-100"),
        ({"scale": [1.0, -1.0]}, "scale to be at least 1e-100"),
        ({"scale": [1.0, 1e-101]}, "scale to be at least 1e-100"),
        ({"mean": [1e101, 0.0]}, r"mean to be finite, at most 1e\+100 in size"),
        ({"coef": [[1e308, 1e308]] * 3}, r"coef to be finite, at most 1e\+100"),
        ({"intercept": [-1e308, 0.0, 0.0]}, r"intercept to be finite, at most 1e\+100"),
        ({"intercept": [1.0, float("inf"), 0.0]}, "intercept to be finite"),
        ({"more": []}, "expected the arrays mean, scale, coef, intercept"),
    ],
)
def test_wrong_linear_arrays_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        linear_of({**GOOD, **change})


def chain(leaves: int, number: int) -> str:
    """Return a tree whose every left child is a leaf, of the value of its number."""
    splits = range(leaves - 1)
    lines = {
        "num_leaves": [leaves],
        "num_cat": [0],
        "split_feature": [0 for _ in splits],
        "split_gain": splits,
        "threshold": splits,
        "decision_type": [2 for _ in splits],
        "left_child": [~split for split in splits],
        "right_child": [split + 1 if split + 2 < leaves else ~(split + 1) for split in splits],
        "leaf_value": range(leaves),
        "leaf_weight": range(leaves),
        "leaf_count": range(leaves),
        "internal_value": splits,
        "internal_weight": splits,
        "internal_count": splits,
        "is_linear": [0],
        "shrinkage": [1],
    }
    text = "".join(f"{name}={' '.join(map(str, values))}\n" for name, values in lines.items())
    return f"Tree={number}\n{text}\n\n"


def forest(leaves: list[int]) -> str:
    trees = [chain(n, number) for number, n in enumerate(leaves)]
    fields = (
        "num_class=2\nnum_tree_per_iteration=2\nlabel_index=0\nmax_feature_idx=0\n"
        "objective=multiclass num_class:2\nfeature_names=x\nfeature_infos=[0:1]\n"
        f"tree_sizes={' '.join(str(len(tree)) for tree in trees)}"
    )
    return f"tree\nversion=v4\n{fields}\n\n{''.join(trees)}end of trees\n"


def test_the_deepest_tree_beside_many_small_ones_takes_little():
    """A table as wide as the largest tree would take 1.6 GB, a walk of all cells 20 s a row."""
    text = forest([1000] + [2] * 19_999)
    tracemalloc.start()
    model = BoostedModel(text)
    features = np.array([[-1.0], [400.5], [5000.0]])
    probabilities = model.predict_proba(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6
    # The small trees all say 0 to 1 alike; the second class has one more of them.
    scores = np.array([[0, 0], [401 + 9_999, 10_000], [999 + 9_999, 10_000]], dtype=float)
    np.testing.assert_allclose(probabilities, softmax(scores))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tree\n" + "\nTree=" * 100_002, "expected at most 100000 trees, found 100002"),
        (forest([1000] * 1002), "expected at most 1000000 leaves, found more"),
    ],
    ids=["trees", "leaves"],
)
def test_too_many_trees_or_leaves_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        BoostedModel(text)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_numbers_give_finite_probabilities(sign):
    extreme = {
        "mean": [sign * 1e100] * 2,
        "scale": [1e-100] * 2,
        "coef": [[1e100] * 2, [-1e100] * 2, [0.0] * 2],
        "intercept": [1e100, -1e100, 0.0],
    }
    features = np.array([[0.0, 1e6], [-1e6, 1.0]])
    probabilities = linear_of(extreme).predict_proba(features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    text = resized(re.sub(r"leaf_value=\S+", f"leaf_value={sign}e100", TEXT))
    probabilities = BoostedModel(text).predict_proba(sample().features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_softmax_is_a_distribution(rows):
    got = softmax(np.array(rows))
    assert (got >= 0).all()
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-15)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("name", CANDIDATES)
def test_candidates_learn_and_repeat_themselves(name, k):
    data, fresh = sample(k, groups=36, each=6, signal=2.0), sample(k, seed=9, signal=2.0)
    first, second = (CANDIDATES[name](data, told()).predict_proba(fresh.features) for _ in range(2))
    assert (first == second).all()
    loss = logloss(fresh.actual, first)
    if name == "class prior":
        assert loss == pytest.approx(np.log(k), abs=0.01)
    else:
        assert loss < 0.7 * np.log(k)


@pytest.mark.parametrize("name", CANDIDATES)
def test_constant_and_outlying_features_do_no_harm(name):
    data = sample()
    features = data.features.copy()
    features[:, 5], features[3, 6] = 7.0, 1e12
    probabilities = CANDIDATES[name](data._replace(features=features), told()).predict_proba(
        features
    )
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "class prior"])
def test_a_stopped_fit_ends(name):
    settings = told()
    settings.stop.set()
    with pytest.raises(Stopped):
        CANDIDATES[name](sample(), settings)


def test_a_tuned_fit_that_is_stopped_midway_says_nothing(capfd):
    class Midway(threading.Event):
        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            if self.asked == 40:  # in the first trial or the second
                self.set()
            return super().is_set()

    with pytest.raises(Stopped):
        CANDIDATES["LightGBM tuned"](sample(), Settings(seed=0, trials=5, stop=Midway()))
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_class_in_one_group_can_still_be_fitted():
    data = sample(groups=12)
    data.groups[data.actual == 2] = 99
    assert groups_per_class(data).tolist() == [4, 4, 1]
    assert inner_folds(data, told()) == []
    for candidate in CANDIDATES.values():
        assert candidate(data, told()).predict_proba(data.features).shape == (48, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000), st.integers(2, 4))
def test_folds_keep_groups_whole_and_classes_balanced(folds, seed, k):
    data = sample(k, groups=10 * k, seed=seed)
    found = grouped_folds(data, folds, seed)
    assert len(found) == folds
    assert sorted(np.concatenate([test for _, test in found])) == list(range(len(data.actual)))
    for fit, test in found:
        assert not set(data.groups[fit]) & set(data.groups[test])
        assert set(data.actual[fit]) == set(range(k))
        shares = np.bincount(data.actual[test], minlength=k) / len(test)
        assert np.abs(shares - 1 / k).max() < 0.2
    other = grouped_folds(data, folds, seed + 1)
    assert any(set(a[1]) != set(b[1]) for a, b in zip(found, other, strict=True))
