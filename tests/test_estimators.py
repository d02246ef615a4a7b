"""The estimators are scikit-learn's by its own checks, and give what the stages give."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import heartfast
from heartfast.errors import ConfigMismatchError, DatasetError, DecodeError
from heartfast.extraction import extract_all
from heartfast.features import extract, feature_names
from heartfast.fitting import CANDIDATES, Data
from heartfast.images import PictureSet, decode

SpectrogramClassifier = heartfast.SpectrogramClassifier
SpectrogramFeatures = heartfast.SpectrogramFeatures


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    """Forests of a few trees: what is tested here does not depend on how many there are."""
    monkeypatch.setattr("heartfast.fitting.trees.TREES", 20)
    monkeypatch.setattr("heartfast.fitting.trees.INNER_TREES", 10)


# All of them, for all candidates: none is expected to fail.
@parametrize_with_checks([SpectrogramClassifier(name, trials=2) for name in CANDIDATES])
def test_scikit_learns_checks_of_a_classifier(estimator, check):
    check(estimator)


# Those that need no matrix; scikit-learn itself runs none for input of another kind.
@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_mixin_order",
    ],
)
def test_scikit_learns_checks_of_a_transformer(check):
    getattr(estimator_checks, check)("SpectrogramFeatures", SpectrogramFeatures())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Recordings, their pictures, classes and patients, three recordings of each."""
    folder = tmp_path_factory.mktemp("corpus")
    heartfast.synth.write_corpus(folder / "wav", patients=18, recordings=2, seed=1)
    made = heartfast.convert(folder / "wav", folder / "png", labels="folders", jobs=1)
    with PictureSet(folder / "png") as pictures:
        listed = [p for p in pictures.pictures if p.label]
    recording = {r.file_name: os.fspath(r.recording) for r in made.records}
    return {
        "pictures": [str(folder / "png" / p.name) for p in listed],
        "recordings": [recording[p.name] for p in listed],
        "labels": np.array([p.label for p in listed]),
        "groups": np.array([p.group or p.name.rsplit("_", 1)[0] for p in listed]),
        "folder": folder,
    }


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_features_are_those_of_the_stages(corpus):
    with PictureSet(corpus["folder"] / "png") as pictures:
        names = [os.path.relpath(p, corpus["folder"] / "png") for p in corpus["pictures"]]
        expected = extract_all(pictures, names, jobs=1)
    features = SpectrogramFeatures()
    got = features.fit_transform(corpus["pictures"])
    assert (got == expected.matrix).all()
    assert features.config_ == expected.config
    assert features.get_feature_names_out().tolist() == feature_names()
    # Any order, any number of times, by any name.
    some = [corpus["pictures"][i] for i in (5, 2, 2)]
    assert (features.transform(some) == got[[5, 2, 2]]).all()
    assert (SpectrogramFeatures(n_jobs=-1).fit_transform(corpus["pictures"]) == got).all()
    assert features.set_output(transform="pandas").transform(some).columns[0] == feature_names()[0]


def test_recordings_are_drawn_as_the_pictures_were(corpus):
    pictures = SpectrogramFeatures().fit(corpus["pictures"])
    got = pictures.transform([corpus["recordings"][i] for i in (3, 0, 3)])
    np.testing.assert_allclose(
        got, pictures.transform(corpus["pictures"])[[3, 0, 3]], rtol=1e-12, atol=1e-12
    )
    other = heartfast.SpectrogramConfig(window_ms=30.0, size=(64, 128))
    drawn = corpus["folder"] / "other"
    heartfast.convert(corpus["recordings"][:3], drawn, config=other, jobs=1)
    found = [str(path) for path in sorted(drawn.glob("**/*.png"))]
    configured = SpectrogramFeatures(other)
    by_name = dict(
        zip(map(os.path.basename, corpus["recordings"]), corpus["recordings"], strict=True)
    )
    wavs = [by_name[os.path.basename(path).replace(".png", ".wav")] for path in found]
    np.testing.assert_allclose(
        configured.fit_transform(wavs), configured.fit_transform(found), rtol=1e-12, atol=1e-12
    )
    default = SpectrogramFeatures().fit(wavs)
    assert default.config_ == json.loads(json.dumps(heartfast.SpectrogramConfig().to_dict()))


def test_levels_and_mixtures(corpus):
    levels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (101, 90), dtype=np.uint8)
    features = SpectrogramFeatures()
    assert (features.fit_transform([levels])[0] == extract(levels)).all()
    assert features.config_ is None
    assert features.fit_transform(np.stack([levels] * 3)).shape == (3, len(feature_names()))
    path = corpus["pictures"][0]
    mixed = SpectrogramFeatures().fit_transform([corpus["recordings"][0], levels, path])
    with open(path, "rb") as file:
        expected = extract(*decode(file.read(), path))
    np.testing.assert_allclose(mixed[0], expected, rtol=1e-12, atol=1e-12)
    assert (mixed[1] == extract(levels)).all()
    assert (mixed[2] == expected).all()


def test_what_features_refuse(corpus, tmp_path):
    one = corpus["pictures"][:1]
    other = SpectrogramFeatures(heartfast.SpectrogramConfig(window_ms=25.0))
    with pytest.raises(ConfigMismatchError, match="window_ms"):
        other.fit(one)
    fitted = SpectrogramFeatures(heartfast.SpectrogramConfig(window_ms=25.0)).fit(
        corpus["recordings"][:1]
    )
    with pytest.raises(ConfigMismatchError, match="window_ms"):
        fitted.transform(one)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        SpectrogramFeatures().transform(one)
    levels = np.zeros((20, 20), dtype=np.uint8)
    with pytest.raises(DatasetError, match="found a recording"):
        SpectrogramFeatures().fit([levels]).transform(corpus["recordings"][:1])
    (tmp_path / "bad.png").write_bytes(b"no")
    with pytest.raises(DecodeError, match=r"bad\.png: expected a PNG or JPEG"):
        SpectrogramFeatures().fit([*one, tmp_path / "bad.png"])
    (tmp_path / "bad.wav").write_bytes(b"RIFF no")
    with pytest.raises(DecodeError, match=r"bad\.wav: "):
        SpectrogramFeatures().fit([corpus["recordings"][0], tmp_path / "bad.wav"])
    for name in ("bad.png", "bad.wav"):  # also where there is nothing else
        with pytest.raises(DecodeError, match=re.escape(name)):
            SpectrogramFeatures().fit([tmp_path / name])
    for name in ("none.png", "none.wav"):
        with pytest.raises(FileNotFoundError, match=re.escape(name)):
            SpectrogramFeatures().fit([tmp_path / name])
    for items, message in (
        (one[0], "expected a sequence of paths or arrays"),
        ([levels.astype(float)], r"uint8 \(height, width\), found float64 \(20, 20\)"),
        ([levels[0]], r"found uint8 \(20,\)"),
        ([levels[:0]], r"found uint8 \(0, 20\)"),
        ([7], "found int"),
    ):
        with pytest.raises(TypeError, match=message):
            SpectrogramFeatures().fit(items)
    with pytest.raises(ValueError, match="at least one path or array, found none"):
        SpectrogramFeatures().fit([])


@pytest.mark.usefixtures("routing")
def test_a_pipeline_in_cross_validation_with_groups(corpus):
    model = make_pipeline(
        SpectrogramFeatures(),
        SpectrogramClassifier(random_state=0).set_fit_request(groups=True),
    )
    found = cross_validate(
        model,
        corpus["pictures"],
        corpus["labels"],
        cv=GroupKFold(3),
        params={"groups": corpus["groups"]},
        scoring="neg_log_loss",
        return_estimator=True,
    )
    assert len(found["test_score"]) == 3
    assert np.exp(found["test_score"]).min() > 0.3
    assert found["estimator"][0][-1].classes_.tolist() == sorted(set(corpus["labels"]))


@pytest.mark.usefixtures("routing")
def test_groups_arrive(monkeypatch):
    seen = []

    def fit(data, settings):
        seen.append((data, settings))
        return CANDIDATES["class prior"](data, settings)

    monkeypatch.setitem(CANDIDATES, "seen", fit)
    X = np.random.Generator(np.random.PCG64(0)).normal(size=(24, 3))
    y = np.array(["b", "a"] * 12)
    groups = np.repeat([f"p{i}" for i in range(8)], 3)
    search = GridSearchCV(
        make_pipeline(
            StandardScaler(),
            SpectrogramClassifier("seen", random_state=7).set_fit_request(groups=True),
        ),
        {"spectrogramclassifier__trials": [3, 4]},
        cv=GroupKFold(2),
    )
    search.fit(X, y, groups=groups)
    assert [settings.trials for _, settings in seen] == [3, 3, 4, 4, 3]
    assert len({settings.seed for _, settings in seen}) == 1
    parts = list(GroupKFold(2).split(X, y, groups))
    for (data, _), rows in zip(seen, [*(fit for fit, _ in parts * 2), np.arange(24)], strict=True):
        assert isinstance(data, Data)
        assert (data.groups == np.unique(groups[rows], return_inverse=True)[1]).all()
        assert (data.actual == (y[rows] == "b")).all()
    SpectrogramClassifier("seen").fit(X, y)
    assert len(set(seen[-1][0].groups)) == 24  # each its own


@pytest.mark.parametrize("name", CANDIDATES)
def test_same_seed_same_model_also_pickled_and_cloned(name):
    rng = np.random.Generator(np.random.PCG64(0))
    X, y = rng.normal(size=(90, 6)), np.repeat(["a", "b", "c"], 30)
    X[:, 0] += np.repeat([0, 1, 2], 30)
    groups = np.arange(90) // 3
    fitted = SpectrogramClassifier(name, trials=2, random_state=3).fit(X, y, groups=groups)
    expected = fitted.predict_proba(X)
    again = clone(fitted).fit(X, y, groups=groups)
    assert (again.predict_proba(X) == expected).all()
    assert (pickle.loads(pickle.dumps(fitted)).predict_proba(X) == expected).all()  # noqa: S301
    assert (fitted.predict(X) == np.array(["a", "b", "c"])[expected.argmax(axis=1)]).all()
    assert fitted.n_features_in_ == 6


def test_features_are_cloned_and_pickled(corpus):
    config = heartfast.SpectrogramConfig(window_ms=40.0)
    fitted = SpectrogramFeatures(config).fit(corpus["recordings"][:2])
    assert clone(fitted).config == config
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    first = corpus["recordings"][:1]
    assert (again.transform(first) == fitted.transform(first)).all()


def test_what_a_classifier_refuses():
    X, y = np.zeros((6, 2)), [0, 0, 0, 1, 1, 1]
    for parameters, message in (
        ({"model": "forest"}, "model: expected one of class prior, .*, found 'forest'"),
        ({"trials": 0}, "trials: expected at least 1, found 0"),
    ):
        with pytest.raises(ValueError, match=message):
            SpectrogramClassifier(**parameters).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SpectrogramClassifier().fit(X, y, groups=[1, 2])


def test_scikit_learn_is_loaded_only_for_the_estimators():
    code = (
        "import sys, heartfast, heartfast.stages.score\n"
        "assert 'SpectrogramClassifier' in dir(heartfast)\n"
        "print('sklearn' in sys.modules, 'numpy' in sys.modules)\n"
        "heartfast.SpectrogramClassifier\n"
        "print('sklearn' in sys.modules, 'lightgbm' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "False"]
