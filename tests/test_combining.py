"""A score for each group: combined from its recordings, and compared with the group's truth."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gmean

import heartfast
from heartfast.combining import combine, truth_of_groups
from heartfast.errors import DatasetError
from heartfast.probabilities import FLOOR
from heartfast.tables import parse_table


@st.composite
def scored(draw):
    """Probabilities, groups without gaps, and which recordings count."""
    k, n = draw(st.integers(2, 4)), draw(st.integers(1, 12))
    weights = draw(
        st.lists(st.lists(st.floats(1e-6, 1.0), min_size=k, max_size=k), min_size=n, max_size=n)
    )
    probabilities = np.array(weights)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    groups = np.unique(
        draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), return_inverse=True
    )[1]
    usable = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return probabilities, groups, usable


@given(scored())
def test_it_is_the_geometric_mean_of_scipy(case):
    probabilities, groups, usable = case
    found = combine(probabilities, groups, usable)
    for group in range(groups.max() + 1):
        rows = np.flatnonzero((groups == group) & usable)
        if not len(rows):
            rows = np.flatnonzero(groups == group)
        mean = gmean(probabilities[rows], axis=0)
        np.testing.assert_allclose(found[group], mean / mean.sum(), rtol=1e-9)


@given(scored(), st.randoms(use_true_random=False))
def test_order_and_copies_do_not_matter(case, random):
    probabilities, groups, usable = case
    found = combine(probabilities, groups, usable)
    order = list(range(len(groups)))
    random.shuffle(order)
    np.testing.assert_allclose(
        combine(probabilities[order], groups[order], usable[order]), found, rtol=1e-12
    )
    twice = combine(*(np.concatenate([values, values]) for values in case))
    np.testing.assert_allclose(twice, found, rtol=1e-12)


def test_a_silent_site_turns_no_verdict_and_a_certain_one_does_not_decide_alone():
    one = np.zeros(3, dtype=int)
    all_of_them = np.ones(3, dtype=bool)
    silent = combine(np.array([[0.1, 0.9], [0.2, 0.8], [0.5, 0.5]]), one, all_of_them)
    assert 0.5 < silent[0, 1] < 0.9
    # Nothing is left of a class in a product of probabilities, one of which is 0.
    certain = np.array([[1.0, 0.0], [1e-7, 1 - 1e-7], [1e-7, 1 - 1e-7]])
    expected = (2 * math.log(1e7) + math.log(FLOOR)) / 3
    found = combine(certain, one, all_of_them)
    assert np.log(found[0, 1] / found[0, 0]) == pytest.approx(expected, abs=1e-3)
    assert found[0, 1] > 0.9


def test_the_truth_of_groups():
    table = parse_table(
        b"row_id,a,b,file_name\n0,1,0,x\n1,0,1,y\n2,1,0,z\n3,0,1,u\n4,1,0,v\n", "t", ()
    )
    truth, mixed = truth_of_groups(table, ["p", "q", "p", "q", "q"], ["a", "b"])
    assert (truth.header, truth.rows, mixed) == (["group", "a", "b"], [["p", "1", "0"]], ["q"])


# Through the stages: 40 people with three recordings each.


@pytest.fixture(scope="module")
def trained(tmp_path_factory, with_few_candidates):
    root = tmp_path_factory.mktemp("combining")
    heartfast.synth.write_corpus(root / "wav", patients=40, recordings=3)
    heartfast.convert(root / "wav", root / "png", labels=root / "wav/labels.csv")
    heartfast.pack(root / "png", root / "sets", test_size=0.4)
    quick = {"trials": 1, "folds": 2, "repeats": 1, "time_budget": 5}
    with with_few_candidates():
        heartfast.train(root / "sets/train.zip", root / "model", **quick)
    return root


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_a_patient(trained, tmp_path):
    test = trained / "sets/test.zip"
    alone = heartfast.score(trained / "model", test)
    result = heartfast.score(
        trained / "model", test, tmp_path / "s.csv", by_group=True, columns="full"
    )
    group_of = {row["file_name"]: row["group"] for row in read(trained / "sets/test_metadata.csv")}
    rows = read(tmp_path / "s.csv")
    assert list(rows[0]) == [
        "group", *(f"Prediction.{label}" for label in result.classes), "recordings", "predicted",
        "novelty",
    ]  # fmt: skip
    assert [row["group"] for row in rows] == sorted(set(group_of.values()))
    for index, row in enumerate(rows):
        mine = [i for i, name in enumerate(alone.names) if group_of[name] == row["group"]]
        assert result.members[index] == [alone.names[i] for i in mine]
        assert int(row["recordings"]) == len(mine) == 3
        mean = gmean(alone.probabilities[mine], axis=0)
        found = [float(row[f"Prediction.{label}"]) for label in result.classes]
        np.testing.assert_allclose(found, mean / mean.sum(), rtol=1e-9)
        assert float(row["novelty"]) == alone.novelty[mine].min()
    assert json.loads(json.dumps(result.to_dict()))["members"] == result.members


def test_groups_of_recordings_by_their_names(trained):
    folder = trained / "wav/murmur"
    with pytest.raises(DatasetError, match=r"expected groups in metadata\.csv, in test_metadata"):
        heartfast.score(trained / "model", folder, by_group=True)
    with pytest.raises(ValueError, match="group_regex: expected by_group or a model with"):
        heartfast.score(trained / "model", folder, group_regex="(.)")
    result = heartfast.score(trained / "model", folder, by_group=True, group_regex=r"^([^_]*)_")
    stems = {path.name.partition("_")[0] for path in folder.glob("*.wav")}
    assert result.names == sorted(stems)
    assert any(f"{len(stems)} groups" in note for note in result.notes)


def test_evaluate_compares_groups(trained, tmp_path):
    scores = tmp_path / "s.csv"
    actual = trained / "sets/test_actual.csv"
    result = heartfast.score(trained / "model", trained / "sets/test.zip", scores, by_group=True)
    evaluation = heartfast.evaluate(scores, actual)
    truth: dict[str, set[str]] = {}
    label_of = {
        row["file_name"]: next(c for c in result.classes if row[c] == "1") for row in read(actual)
    }
    for row in read(trained / "sets/test_metadata.csv"):
        truth.setdefault(row["group"], set()).add(label_of[row["file_name"]])
    mixed = [group for group, labels in truth.items() if len(labels) > 1]
    assert mixed, "the corpus has people with and without extrasystoles"
    pure = {group: labels.pop() for group, labels in truth.items() if len(labels) == 1}
    assert evaluation.n_recordings == evaluation.n_groups == len(pure)
    expected = np.zeros((3, 3), dtype=int)
    for group, predicted in zip(result.names, result.predicted, strict=True):
        if group in pure:
            expected[result.classes.index(pure[group]), result.classes.index(predicted)] += 1
    assert evaluation.confusion.tolist() == expected.tolist()
    assert any(f"several classes, left out: {len(mixed)} (" in note for note in evaluation.notes)
    assert any("of groups, not of recordings" in note for note in evaluation.notes)


def test_decisions_are_of_groups(trained, tmp_path):
    scores = tmp_path / "s.csv"
    result = heartfast.score(
        trained / "model", trained / "sets/test.zip", scores, by_group=True, reject=0.3,
        costs={("murmur", "normal"): 5.0},
    )  # fmt: skip
    refused = [decision == "" for decision in result.decisions]
    assert refused == (result.novelty > 0.7).tolist()
    assert sum(refused) == heartfast.evaluate(
        scores, trained / "sets/test_actual.csv"
    ).n_refused + sum(
        no and len(set(labels)) > 1
        for no, labels in zip(refused, labels_of(trained, result), strict=True)
    )


def labels_of(trained, result):
    label_of = {
        row["file_name"]: next(c for c in result.classes if row[c] == "1")
        for row in read(trained / "sets/test_actual.csv")
    }
    return [[label_of[name] for name in members] for members in result.members]


def test_scores_and_truth_of_other_groups(trained, tmp_path):
    actual = trained / "sets/test_actual.csv"
    head = "group,Prediction.extrasystole,Prediction.murmur,Prediction.normal\n"
    (tmp_path / "s.csv").write_text(head + "nobody,0,0,1\n")
    with pytest.raises(DatasetError, match=r"missing, the first group "):
        heartfast.evaluate(tmp_path / "s.csv", actual)
    (tmp_path / "s.csv").write_text(head.replace("group", "patient") + "nobody,0,0,1\n")
    with pytest.raises(DatasetError, match="file_name, row_id or group, found patient, "):
        heartfast.evaluate(tmp_path / "s.csv", actual)
    (tmp_path / "a.csv").write_text("row_id,a,b,file_name\n0,1,0,x\n1,0,1,y\n")
    (tmp_path / "test_metadata.csv").write_text("file_name,group\nx,p\ny,p\n")
    (tmp_path / "s.csv").write_text("group,Prediction.a,Prediction.b\np,0,1\n")
    with pytest.raises(DatasetError, match="groups of one class each, found 1 of several, the fir"):
        heartfast.evaluate(tmp_path / "s.csv", tmp_path / "a.csv")
