"""Folds keep apart what they say, budgets and Ctrl-C end comparisons with what is done."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from heartfast import crossvalidation
from heartfast.bundle import Bundle
from heartfast.crossvalidation import BUDGET, INTERRUPTED, compare, end_of_comparison
from heartfast.errors import DatasetError
from heartfast.fitting import BLEND, SINGLE, Data, Settings
from heartfast.leaderboard import make_rows
from heartfast.protocols import Plan, make_plan, other_plan
from heartfast.stages.train import train
from test_models import sample
from test_train import QUICK, corpus, picture

SPLITTING: dict[str, Any] = {"classes": "abc", "folds": 3, "seed": 0, "where": "here"}


def sourced(k: int = 3, sources: int = 4) -> Data:
    """Groups of four, of which the first has a recording in every source."""
    data = sample(k, groups=12 * k)
    found = data.groups // k % sources
    found[data.groups == 0] = np.arange(4) % sources
    return data._replace(sources=found)


def told(**more: object) -> Settings:
    return Settings(seed=0, trials=1, stop=threading.Event())._replace(**more)


def test_by_group_each_group_is_whole():
    data = sample()
    plan = make_plan("group", data, repeats=2, **SPLITTING)
    assert plan.repeats == 2
    assert [repeat for repeat, _ in plan.splits] == [0, 0, 0, 1, 1, 1]
    for _, (fit, test) in plan.splits:
        assert not set(data.groups[fit]) & set(data.groups[test])


def test_by_source_each_is_left_out_once():
    data = sourced()
    assert data.sources is not None
    plan = make_plan("source", data, repeats=5, **SPLITTING)
    assert (plan.repeats, len(plan.splits)) == (1, 4)
    for source, (_, (fit, test)) in enumerate(plan.splits):
        assert set(data.sources[test]) == {source}
        assert source not in data.sources[fit]
        assert not set(data.groups[fit]) & set(data.groups[test])


def test_at_random_groups_are_on_both_sides():
    data = sample()
    plan = make_plan("random", data, repeats=1, **SPLITTING)
    shared = [set(data.groups[fit]) & set(data.groups[test]) for _, (fit, test) in plan.splits]
    assert all(shared)
    tested = np.concatenate([test for _, (_, test) in plan.splits])
    assert sorted(tested) == list(range(len(data.actual)))


def test_what_is_naive_is_compared_with_what_is_not():
    data = sample()
    for protocol, expected in (("group", "random"), ("random", "group")):
        other = other_plan(make_plan(protocol, data, repeats=2, **SPLITTING), data, **SPLITTING)
        assert other is not None
        assert (other.protocol, other.repeats) == (expected, 1)
    alone = data._replace(groups=np.arange(len(data.actual)))
    for protocol in ("group", "random"):
        plan = make_plan(protocol, alone, repeats=1, **SPLITTING)
        assert other_plan(plan, alone, **SPLITTING) is None


@pytest.mark.parametrize("sources", [None, 1])
def test_one_source_cannot_be_left_out(sources):
    data = sample()._replace(sources=sources and np.zeros(120, dtype=int))
    with pytest.raises(DatasetError, match=r"^here: expected pictures of two or more sources, in"):
        make_plan("source", data, repeats=1, **SPLITTING)


def test_a_class_of_one_source_cannot_be_learned_from_the_others():
    data = sample()
    data = data._replace(sources=(data.actual == 2).astype(int))
    with pytest.raises(DatasetError, match=r"found a class missing without one of 2 sources$"):
        make_plan("source", data, repeats=1, **SPLITTING)


def run(plan: Plan, settings: Settings, **more: Any) -> crossvalidation.Comparison:
    given = {"jobs": 1, "until": None, "keep_interrupted": False, "progress": None, **more}
    return compare(plan, None, settings, **given)


def test_a_stop_keeps_the_candidates_that_are_done(monkeypatch):
    """As the timer does it, in the middle of the extra trees."""
    plan, settings = make_plan("group", sample(), repeats=1, **SPLITTING), told()
    seen = []

    def trees(data: Data, settings: Settings):
        seen.append(len(data.actual))
        if len(seen) == 2:
            settings.stop.set()
            settings.go_on()
        return SINGLE["class prior"](data, settings)

    monkeypatch.setitem(SINGLE, "extra trees", trees)
    found = run(plan, settings)
    assert found.ended == BUDGET
    assert list(found.tested) == ["class prior", "logistic regression", "SVM", BLEND]
    assert found.left_out == ["extra trees", "LightGBM", "LightGBM tuned"]
    whole = run(plan, told())
    assert (found.tested["SVM"].oof == whole.tested["SVM"].oof).all()


def test_a_budget_that_is_over_leaves_the_class_prior():
    plan = make_plan("group", sample(), repeats=1, **SPLITTING)
    stopped = told()
    stopped.stop.set()
    found = run(plan, stopped)
    assert (found.ended, list(found.tested)) == (BUDGET, ["class prior"])


def test_the_timer_stops_fits_that_take_for_ever(monkeypatch):
    plan = make_plan("group", sample(), repeats=1, **SPLITTING)

    def endless(_: Data, settings: Settings):
        settings.stop.wait(60)
        settings.go_on()

    monkeypatch.setitem(SINGLE, "SVM", endless)
    found = run(plan, told(), until=time.monotonic() + 2)
    assert found.ended == BUDGET
    assert "SVM" in found.left_out


def interrupting(monkeypatch, name: str) -> None:
    """Ctrl-C arrives in the main thread when this candidate's first result is taken."""
    names = [each for each in SINGLE for _ in range(3)]

    def progress(report):
        if names[report.done - 1] == name:
            raise KeyboardInterrupt

    monkeypatch.setattr(crossvalidation, "for_each", wrapped(progress, crossvalidation.for_each))


def wrapped(progress, original):
    def for_each(function, items, take, **more):
        from heartfast.progress import Progress

        done = 0

        def taking(result):
            nonlocal done
            take(result)
            done += 1
            progress(Progress("train", done, 0))

        original(function, items, taking, **more)

    return for_each


def test_an_interruption_keeps_what_is_done_where_that_is_asked_for(monkeypatch):
    plan = make_plan("group", sample(), repeats=1, **SPLITTING)
    interrupting(monkeypatch, "extra trees")
    found = run(plan, told(), keep_interrupted=True)
    assert found.ended == INTERRUPTED
    assert {"class prior", "logistic regression", "SVM", BLEND} <= found.tested.keys()
    assert "LightGBM tuned" in found.left_out
    with pytest.raises(KeyboardInterrupt):
        run(plan, told())


def test_an_interruption_before_there_is_a_model_is_one(monkeypatch):
    plan = make_plan("group", sample(), repeats=1, **SPLITTING)
    monkeypatch.setitem(SINGLE, "logistic regression", lambda _, settings: settings.stop.wait(9))
    interrupting(monkeypatch, "class prior")
    with pytest.raises(KeyboardInterrupt):
        run(plan, told(), keep_interrupted=True)


def test_the_end_leaves_time_for_fitting_on_everything():
    plan = make_plan("group", sample(), repeats=2, **SPLITTING)
    assert end_of_comparison(0.0, None, plan) is None
    now = time.monotonic()
    end = end_of_comparison(now, 80.0, plan)
    assert end == pytest.approx(now + 60, abs=1)
    assert end_of_comparison(now - 100, 80.0, plan) == pytest.approx(now, abs=1)


def test_by_source_ranks_are_compared_inside_of_each():
    """Each has another model, whose scores the others' are not to be compared with."""
    data = sourced(k=2, sources=2)
    assert data.sources is not None
    plan = make_plan("source", data, repeats=1, **{**SPLITTING, "classes": "ab"})
    found = run(plan, told(class_weight="source"))
    rows = make_rows(found.tested, plan, data.groups, metric="macro_auc", seed=0)
    row = next(row for row in rows if row.model == "logistic regression")
    oof = found.tested["logistic regression"].oof[0]
    inside = [
        roc_auc_score(data.actual[data.sources == s], oof[data.sources == s, 1]) for s in (0, 1)
    ]
    assert row.macro_auc == pytest.approx(np.mean(inside))


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory):
    """A ZIP whose metadata have sources, and one without a source for one picture."""
    import zipfile

    folder = tmp_path_factory.mktemp("sources")
    corpus(folder / "plain.zip", groups=6, each=3)
    with zipfile.ZipFile(folder / "plain.zip") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    rows = contents.pop("metadata.csv").decode().split("\n")
    for name, missing in (("x.zip", False), ("y.zip", True)):
        table = [f"{rows[0]},source"]
        for row in rows[1:]:
            known = not (missing and row.startswith("a/0_0"))
            table.append(f"{row},{['west', 'east'][int(row[2]) % 2] if known else ''}")
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member, data in contents.items():
                archive.writestr(member, data)
            archive.writestr("metadata.csv", "\n".join(table))
    return folder


@pytest.mark.usefixtures("few_candidates")
def test_training_by_source(two_sources):
    result = train(two_sources / "x.zip", **QUICK, cv="source")
    assert (result.protocol, result.oof.shape) == ("source", (1, 54, 3))
    assert set(result.sources) == {"west", "east"}
    assert result.bundle.training["class_weight"] == "source"
    assert result.naive is not None
    assert set(result.naive) == {"model", "source", "random"}
    assert "a source left out in turn" in result.to_text()
    with pytest.raises(
        DatasetError, match=r"a source of every picture .* found 1 without, the fir"
    ):
        train(two_sources / "y.zip", **QUICK, cv="source")


@pytest.mark.usefixtures("few_candidates")
def test_training_at_random_says_what_it_does(tmp_path):
    """Pictures of a group are the same, and its class is one in two by chance."""
    import zipfile

    rng = np.random.Generator(np.random.PCG64(3))
    rows = ["file_name,label,group"]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for group in range(24):
            seed = int(rng.integers(10**6))
            for index in range(4):
                name = f"{'ab'[group % 2]}/{group}_{index}.png"
                same = np.random.Generator(np.random.PCG64(seed))
                archive.writestr(name, picture(int(same.integers(3)), same))
                rows.append(f"{name},{'ab'[group % 2]},{group}")
        archive.writestr("metadata.csv", "\n".join(rows))
    result = train(tmp_path / "x.zip", **QUICK, cv="random")
    assert any(note.startswith("random folds: recordings of one group") for note in result.notes)
    assert result.naive is not None
    naive, honest = (result.naive[name]["macro_auc"]["value"] for name in ("random", "group"))
    assert naive > 0.95
    assert honest < 0.8
    assert "random folds (too good)" in result.to_text()
    assert "groups kept whole" in result.to_text()


def test_a_spent_budget_gives_a_model_and_says_what_is_missing(tmp_path):
    path = corpus(tmp_path / "x.zip", groups=4, each=1)
    result = train(path, tmp_path / "m", **QUICK, time_budget=1e-6)
    assert result.best == "class prior"
    assert any("the time budget of 1e-06 s was over" in note for note in result.notes)
    assert "LightGBM tuned" in Bundle.load(tmp_path / "m").training["left_out"]


@pytest.mark.usefixtures("few_candidates")
def test_a_budget_that_is_not_reached_changes_nothing(tmp_path):
    path = corpus(tmp_path / "x.zip", groups=4, each=2)
    train(path, tmp_path / "a", **QUICK)
    train(path, tmp_path / "b", **QUICK, time_budget=3600, jobs=1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
