"""Curves, thresholds and costs agree with scikit-learn, scipy and what they are defined as."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_score, recall_score, roc_curve

from heartfast.decisions import (
    Rule,
    choices,
    choices_table,
    cost_matrix,
    make_rule,
    standard_choices,
)
from heartfast.errors import DatasetError
from heartfast.operating import (
    MOST_POINTS,
    check_curves,
    curves,
    lower_bound,
    points_table,
    threshold,
)

CLASSES = ("extrasystole", "murmur", "normal")


def sample(n=300, seed=0, repeats=None):
    rng = np.random.Generator(np.random.PCG64(seed))
    actual = rng.choice(3, p=[0.1, 0.3, 0.6], size=n)
    raw = rng.dirichlet(np.ones(3), size=(repeats or 1, n)) + 0.7 * np.eye(3)[actual]
    oof = raw / raw.sum(axis=2, keepdims=True)
    return actual, oof if repeats else oof[0]


def test_curves_are_scikit_learns_roc_at_these_thresholds():
    actual, oof = sample()
    found = json.loads(json.dumps(curves(actual, oof, CLASSES)))
    check_curves(found, CLASSES)
    for index, label in enumerate(CLASSES):
        curve, truth = found[label], actual == index
        fpr, tpr, at = roc_curve(truth, oof[:, index], drop_intermediate=False)
        points = dict(zip(at.tolist(), zip(tpr, fpr, strict=True), strict=True))
        for place, value in enumerate(curve["threshold"]):
            alarm = oof[:, index] >= value
            assert curve["sensitivity"][place] == pytest.approx(points[value][0])
            assert curve["specificity"][place] == pytest.approx(1 - points[value][1])
            assert curve["precision"][place] == pytest.approx(precision_score(truth, alarm))
            assert curve["alarms"][place] == pytest.approx(100 * alarm.mean())
        assert curve["sensitivity"][-1] == 1
        assert curve["recordings"] == curve["groups"] == truth.sum()


def test_repeats_are_taken_together_and_curves_stay_short():
    actual, oof = sample(400, repeats=3)
    groups = np.arange(400) // 4
    found = curves(actual, oof, CLASSES, groups)
    whole = curves(np.tile(actual, 3), oof.reshape(-1, 3), CLASSES)
    for index, label in enumerate(CLASSES):
        curve = found[label]
        assert curve["sensitivity"] == whole[label]["sensitivity"]
        assert len(curve["threshold"]) <= MOST_POINTS
        assert curve["recordings"] == (actual == index).sum()
        assert curve["groups"] == len(set(groups[actual == index]))
        # No sensitivity is farther away than half a percent and a recording.
        steps = np.diff([0, *curve["sensitivity"]])
        assert steps.max() <= 1 / MOST_POINTS + 2 / (3 * curve["recordings"])


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])),
             min_size=2, max_size=60),
    st.floats(0.01, 1.0),
)  # fmt: skip
def test_the_threshold_is_the_highest_that_reaches_the_target(rows, target):
    actual = np.array([int(positive) for positive, _ in rows])
    p = np.array([value for _, value in rows])
    found = curves(actual, np.stack([1 - p, p], axis=1), ("no", "yes"))
    check_curves(found, ("no", "yes"))
    if not actual.any():
        assert "yes" not in found
        return
    point = threshold(found, "yes", target)
    reached = {t: (p[actual == 1] >= t).mean() for t in set(p[actual == 1])}
    good = [t for t, share in reached.items() if share >= target - 1e-9]
    assert point.threshold == max(good)
    assert point.sensitivity == pytest.approx(reached[point.threshold])
    decided = Rule(("no", "yes"), (point,)).decide(np.stack([1 - p, p], axis=1))
    assert (decided == (p >= max(point.threshold, 1e-300))).all()


@given(st.integers(1, 400), st.floats(0, 1))
def test_the_lower_bound_is_clopper_and_pearsons(trials, share):
    hits = int(np.floor(share * trials + 1e-9))
    expected = binomtest(hits, trials).proportion_ci(0.95, "exact").low
    assert lower_bound(share, trials) == pytest.approx(expected, abs=1e-9)


def test_the_bound_counts_groups():
    actual, oof = sample(400)
    alone = threshold(curves(actual, oof, CLASSES), "murmur", 0.9)
    whole = threshold(curves(actual, oof, CLASSES, np.arange(400) // 8), "murmur", 0.9)
    assert alone[1:3] == whole[1:3]
    assert whole.low < alone.low < 0.9 <= alone.sensitivity


def test_costs_decide_for_the_least_expected_cost():
    _, p = sample()
    costs = np.random.Generator(np.random.PCG64(3)).uniform(0, 9, size=(3, 3))
    decided = Rule(CLASSES, costs=costs).decide(p)
    expected = [
        min(range(3), key=lambda j: sum(row[i] * costs[i, j] for i in range(3))) for row in p
    ]
    assert decided.tolist() == expected
    # Where every mistake costs the same, the most probable.
    assert (Rule(CLASSES, costs=1.0 - np.eye(3)).decide(p) == p.argmax(axis=1)).all()
    assert (Rule(CLASSES).decide(p) == p.argmax(axis=1)).all()
    # With two classes, a miss at nine times a false alarm's cost is a threshold of 0.1.
    p = np.linspace(0.005, 0.995, 100)
    dear = cost_matrix({("sick", "well"): 9.0}, ("sick", "well"))
    decided = Rule(("sick", "well"), costs=dear).decide(np.stack([p, 1 - p], axis=1))
    assert ((decided == 0) == (p > 0.1)).all()


def test_several_thresholds():
    actual, oof = sample()
    found = curves(actual, oof, CLASSES)
    wanted = {"murmur": 0.9, "extrasystole": 0.8}
    one = make_rule(CLASSES, found, sensitivity=wanted)
    t = {point.label: point.threshold for point in one.points}
    for row, decided in zip(oof, one.decide(oof), strict=True):
        excess = {label: row[CLASSES.index(label)] / t[label] for label in t}
        best = max(excess, key=lambda label: excess[label])
        assert CLASSES[decided] == (best if excess[best] >= 1 else "normal")
    everything = make_rule(CLASSES, found, sensitivity=dict.fromkeys(CLASSES, 0.5))
    t = np.array([threshold(found, label, 0.5).threshold for label in CLASSES])
    assert (everything.decide(oof) == (oof / t).argmax(axis=1)).all()


def test_choices_are_scikit_learns_figures():
    actual, oof = sample()
    costs = cost_matrix({("murmur", "normal"): 5.0}, CLASSES)
    found = curves(actual, oof, CLASSES)
    one = make_rule(CLASSES, found, sensitivity={"murmur": 0.95})
    row, plain = choices(actual, oof, [("careful", one), ("plain", Rule(CLASSES))], costs)
    decided = one.decide(oof)
    recall = recall_score(actual, decided, average=None)
    assert list(row.sensitivity.values()) == pytest.approx(recall.tolist())
    assert row.sensitivity["murmur"] >= 0.95 > plain.sensitivity["murmur"]
    for index, label in enumerate(CLASSES):
        specificity = recall_score(actual != index, decided != index)
        assert row.specificity[label] == pytest.approx(specificity)
        assert row.alarms[label] == pytest.approx(100 * (decided == index).mean())
    assert row.wrong == pytest.approx(100 * (decided != actual).mean())
    confusion = confusion_matrix(actual, decided)
    assert row.cost == pytest.approx((confusion * costs).sum() / len(actual))
    assert plain.wrong == pytest.approx(100 * (oof.argmax(axis=1) != actual).mean())


def test_tables_have_a_row_a_choice():
    actual, oof = sample(repeats=2)
    rows = choices_table(standard_choices(actual, oof, CLASSES))
    assert [row[0] for row in rows[:3]] == ["decision", "most probable", "extrasystole found 80%"]
    assert len(rows) == 2 + 9
    assert {len(row) for row in rows} == {8}
    points = points_table(curves(actual, oof, CLASSES))
    assert len(points) == 1 + 9
    assert {len(row) for row in points} == {7}


def test_cost_tables(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text(
        "actual,normal,murmur,extrasystole\nmurmur,5,0,1\nextrasystole,2,1,0\nnormal,0,1,1\n"
    )
    assert cost_matrix(path, CLASSES).tolist() == [[0, 1, 2], [1, 0, 5], [1, 1, 0]]
    assert cost_matrix({("murmur", "normal"): 5}, CLASSES).tolist() == [
        [0, 1, 1], [1, 0, 5], [1, 1, 0],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actual,normal,murmur\nmurmur,1,2\n", "expected the column extrasystole"),
        ("actual,normal,murmur,extrasystole\nmurmur,1,2,3\n", "a row and a column for each"),
        ("actual,normal,murmur,extrasystole,x\nmurmur,1,2,3,4\n", "a row and a column for each"),
        (
            "actual,normal,murmur,extrasystole\nmurmur,1,2,3\nmurmur,1,2,3\nnormal,1,2,3\n",
            "found rows murmur, murmur, normal",
        ),
        (
            "actual,normal,murmur,extrasystole\nmurmur,1,2,3\nextrasystole,1,-2,3\nnormal,1,2,3\n",
            "cost of extrasystole:murmur: expected 0 to 1e[+]09, found '-2'",
        ),
        (
            "actual,normal,murmur,extrasystole\nmurmur,1,2,x\nextrasystole,1,2,3\nnormal,1,2,3\n",
            "cost of murmur:extrasystole: expected 0 to 1e[+]09, found 'x'",
        ),
    ],
)
def test_bad_cost_tables(tmp_path, text, message):
    (tmp_path / "costs.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        cost_matrix(tmp_path / "costs.csv", CLASSES)


def test_bad_requests():
    found = curves(*sample(), CLASSES)
    for wanted, message in (
        ({"murmer": 0.9}, "expected a class that has thresholds .*, found 'murmer'"),
        ({"murmur": 0.0}, "sensitivity of 'murmur': expected above 0 to 1, found 0.0"),
        ({"murmur": 95}, "expected above 0 to 1, found 95"),
    ):
        with pytest.raises(ValueError, match=message):
            make_rule(CLASSES, found, sensitivity=wanted)
    with pytest.raises(ValueError, match="none: it was trained without"):
        make_rule(CLASSES, {}, sensitivity={"murmur": 0.9})
    for costs, message in (
        ({("murmur", "x"): 1.0}, "expected classes of .*, found murmur:x"),
        ({("murmur", "normal"): float("nan")}, "cost of murmur:normal: expected 0 to 1e[+]09"),
        ({("murmur", "normal"): -1}, "found -1"),
    ):
        with pytest.raises(ValueError, match=message):
            cost_matrix(costs, CLASSES)
    with pytest.raises(ValueError, match="expected a sensitivity or costs, found both"):
        make_rule(CLASSES, found, sensitivity={"murmur": 0.9}, costs={("murmur", "normal"): 2})


GOOD = curves(*sample(50), CLASSES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 0}, "counts of at least 1"),
        ({"recordings": 2.5}, "counts of at least 1"),
        ({"threshold": []}, "1 to 200 operating points"),
        ({"threshold": "no"}, "1 to 200 operating points"),
        ({"sensitivity": [0.5] * 201}, "1 to 200 operating points"),
        ({"more": []}, "operating points of 'murmur' with"),
        ({"alarms": [float("nan")]}, "alarms of 'murmur' to be numbers from 0 to 100"),
        ({"precision": [True]}, "precision of 'murmur' to be numbers from 0 to 1"),
        ({"threshold": [0.1, 0.9]}, "threshold of 'murmur' to be in order"),
        ({"sensitivity": [0.9, 0.1]}, "sensitivity of 'murmur' to be in order"),
    ],
)
def test_curves_that_are_not_ours_are_refused(change, message):
    ((name, values),) = change.items()
    curve = dict(GOOD["murmur"])
    if isinstance(values, list) and len(values) in (1, 2):
        for other in ("threshold", "sensitivity", "specificity", "precision", "alarms"):
            curve[other] = {"threshold": [0.9, 0.1], "sensitivity": [0.1, 0.9]}.get(
                other, [0.5, 0.5]
            )[: len(values)]
    with pytest.raises(ValueError, match=message):
        check_curves({"murmur": {**curve, name: values}}, CLASSES)
    with pytest.raises(ValueError, match="expected operating points of"):
        check_curves({"x": curve}, CLASSES)
    with pytest.raises(ValueError, match="operating points of 'murmur' with"):
        check_curves({"murmur": 5}, CLASSES)
