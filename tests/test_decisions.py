"""`score` decides by thresholds and costs, and refuses what is unlike the training data."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

import heartfast
from heartfast import cli
from heartfast.bundle import Bundle
from heartfast.errors import DatasetError
from heartfast.stages.score import score


@pytest.fixture(scope="module")
def trained(tmp_path_factory, with_few_candidates):
    folder = tmp_path_factory.mktemp("decisions")
    heartfast.synth.write_corpus(folder / "wav", patients=60, recordings=2, seed=1)
    heartfast.synth.write_corpus(folder / "new", patients=30, recordings=1, seed=2)
    rng = np.random.Generator(np.random.PCG64(0))
    (folder / "noise").mkdir()
    for number in range(5):
        heartfast.synth.write_wav(
            folder / "noise" / f"{number}.wav", rng.normal(size=16_000).astype(np.float32) / 8, 4000
        )
    heartfast.convert(folder / "wav", folder / "png", labels="folders")
    with with_few_candidates():
        result = heartfast.train(folder / "png", folder / "m", folds=2, repeats=2, trials=1)
    return folder, result


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_train_keeps_what_decisions_need(trained):
    folder, result = trained
    loaded = Bundle.load(folder / "m")
    assert loaded.operating == result.bundle.operating
    for index, label in enumerate(result.classes):
        curve = loaded.operating[label]
        positives = result.oof[:, result.actual == index, index]
        for place in (0, len(curve["threshold"]) // 2, -1):
            found = (positives >= curve["threshold"][place]).mean()
            assert curve["sensitivity"][place] == pytest.approx(found)
    assert loaded.novelty["recordings"] == result.n_recordings


def test_scores_are_what_they_were_where_nothing_is_asked_for(trained, tmp_path):
    folder, result = trained
    score(folder / "m", folder / "new", tmp_path / "s.csv")
    plain = ["row_id", *(f"Prediction.{label}" for label in result.classes)]
    assert list(rows(tmp_path / "s.csv")[0]) == plain
    score(folder / "m", folder / "new", tmp_path / "s.csv", columns="full")
    assert list(rows(tmp_path / "s.csv")[0]) == [*plain, "file_name", "predicted", "novelty"]


def test_a_sensitivity_decides_by_the_threshold_of_cross_validation(trained, tmp_path):
    folder, result = trained
    positives = result.oof[:, result.actual == 1, 1].ravel()
    threshold = np.sort(positives)[::-1][int(np.ceil(0.95 * len(positives))) - 1]
    found = score(folder / "m", folder / "new", tmp_path / "s.csv", sensitivity={"murmur": 0.95})
    for row, decided in zip(rows(tmp_path / "s.csv"), found.decisions, strict=True):
        murmur = float(row["Prediction.murmur"])
        others = {c: float(row[f"Prediction.{c}"]) for c in ("extrasystole", "normal")}
        expected = "murmur" if murmur >= threshold else max(others, key=lambda c: others[c])
        assert row["Decision"] == decided == expected
    assert any(f"from a probability of {threshold:.3g}" in note for note in found.notes)
    assert list(rows(tmp_path / "s.csv")[0])[-1] == "Decision"


def test_costs_on_the_command_line(trained, tmp_path):
    folder, result = trained
    out, table = tmp_path / "s.csv", tmp_path / "costs.csv"
    base = ["score", str(folder / "m"), str(folder / "new"), "-o", str(out), "--columns", "full"]
    assert cli.main([*base, "--cost", "murmur:normal=8", "--cost", "murmur:extrasystole=8"]) == 0
    by_pairs = out.read_bytes()
    for row in rows(out):
        p = {c: float(row[f"Prediction.{c}"]) for c in result.classes}
        cost = {c: 1 - p[c] + (7 * p["murmur"] if c != "murmur" else 0) for c in p}
        assert row["Decision"] == min(cost, key=lambda c: cost[c])
    table.write_text(
        "actual,extrasystole,murmur,normal\nextrasystole,0,1,1\nmurmur,8,0,8\nnormal,1,1,0\n"
    )
    assert cli.main([*base, "--costs", str(table)]) == 0
    assert out.read_bytes() == by_pairs
    assert {row["Decision"] for row in rows(out)} >= {"murmur"}


def test_noise_is_refused_and_told(trained, tmp_path, capsys):
    folder, _ = trained
    out = tmp_path / "s.csv"
    sources = [str(folder / "new"), str(folder / "noise")]
    command = ["score", str(folder / "m"), *sources, "-o", str(out), "--columns", "full"]
    assert cli.main([*command, "--reject", "0.01", "--json"]) == 0
    told = capsys.readouterr()
    assert "unlike the training data" in told.err
    found = json.loads(told.out)
    noise = [row for row in rows(out) if "/noise/" in row["file_name"]]
    assert len(noise) == 5
    assert all(row["Decision"] == "" and float(row["novelty"]) == 1 for row in noise)
    for row in rows(out):
        unlike = float(row["novelty"]) > 0.99
        assert row["Decision"] == ("" if unlike else row["predicted"])
    hearts = [row for row in rows(out) if "/new/" in row["file_name"]]
    assert np.mean([row["Decision"] != "" for row in hearts]) > 0.8
    assert found["decisions"] == [row["Decision"] for row in rows(out)]
    assert found["novelty"] == [float(row["novelty"]) for row in rows(out)]
    # One that is like the training's gets no note.
    like = [row["file_name"] for row in hearts if float(row["novelty"]) < 0.9]
    assert not any("unlike" in note for note in score(folder / "m", like).notes)


def test_a_sensitivity_and_a_refusal_together(trained):
    folder, _ = trained
    both = score(
        folder / "m", [folder / "new", folder / "noise"], sensitivity={"murmur": 0.9}, reject=0.05
    )
    alone = score(folder / "m", [folder / "new", folder / "noise"], sensitivity={"murmur": 0.9})
    expected = ["" if n > 0.95 else d for n, d in zip(both.novelty, alone.decisions, strict=True)]
    assert both.decisions == expected


def test_what_is_refused(trained, tmp_path):
    folder, result = trained
    bare = result.bundle._replace(operating={}, novelty=None)
    new = folder / "new"
    for arguments, message in (
        ({"reject": 0.0}, "reject: expected above 0 and below 1, found 0.0"),
        ({"reject": float("nan")}, "reject: expected above 0 and below 1"),
        ({"sensitivity": {"mumur": 0.9}}, "found 'mumur'"),
        ({"sensitivity": {"murmur": 0.9}, "costs": {}}, "found both"),
    ):
        with pytest.raises(ValueError, match=message):
            score(folder / "m", new, **arguments)
    with pytest.raises(ValueError, match="expected a model that knows its training data"):
        score(bare, new, reject=0.01)
    with pytest.raises(ValueError, match="none: it was trained without"):
        score(bare, new, sensitivity={"murmur": 0.9})
    (tmp_path / "c.csv").write_text("actual,a\nb,1\n")
    with pytest.raises(DatasetError, match=r"c\.csv: expected the columns"):
        score(folder / "m", new, costs=tmp_path / "c.csv")
    assert score(bare, new).novelty is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--sensitivity", "murmur"], "expected CLASS=SHARE, found 'murmur'"),
        (["--sensitivity", "murmur=x"], "expected CLASS=SHARE, found 'murmur=x'"),
        (["--cost", "murmur=5"], "expected ACTUAL:DECIDED=COST, found 'murmur=5'"),
        (["--cost", "a:b=1", "--sensitivity", "a=1"], "not allowed with argument"),
        (["--reject", "x"], "expected a number, found 'x'"),
    ],
)
def test_options_are_checked(option, message, capsys):
    assert cli.main(["score", "m", "x", "-o", "y", *option]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("source", ["png", "new"])
def test_scoring_loads_nothing_that_fits(trained, tmp_path, source):
    folder, _ = trained
    code = (
        "import sys\n"
        "from heartfast import cli\n"
        "assert cli.main(sys.argv[1:]) == 0\n"
        "fitting = ('sklearn', 'lightgbm', 'optuna', 'scipy', 'joblib', 'onnxruntime', 'jinja2')\n"
        "print([name for name in fitting if name in sys.modules])\n"
    )
    options = ["--sensitivity", "murmur=0.9", "--reject", "0.01", "--jobs", "1"]
    command = ["score", folder / "m", folder / source, "-o", tmp_path / "s.csv", *options]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
