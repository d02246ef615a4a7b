"""Notes of results are warnings and log lines as well, once for each call."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings

import pytest

import heartfast
from heartfast import HeartfastWarning


@pytest.fixture(scope="module")
def place(tmp_path_factory, with_few_candidates):
    """Recordings of which one has samples that are no numbers, and what becomes of them."""
    root = tmp_path_factory.mktemp("warnings")
    heartfast.synth.write_corpus(root / "wav", patients=12, recordings=2)
    heartfast.convert(root / "wav", root / "png", labels="folders")
    with with_few_candidates():
        heartfast.train(root / "png", root / "model", folds=2, repeats=1, trials=1)
    heartfast.pack(root / "png", root / "sets")
    heartfast.score(root / "model", root / "sets/test.zip", root / "scores.csv")
    return root


def calls(place, tmp_path):
    quick = {"folds": 2, "repeats": 1, "trials": 1}
    yield lambda: heartfast.pack(place / "png", tmp_path / "sets")
    yield lambda: heartfast.train(place / "png", **quick)
    yield lambda: heartfast.score(place / "model", place / "wav")
    yield lambda: heartfast.evaluate(place / "scores.csv", place / "sets/test_actual.csv")
    yield lambda: heartfast.audit(place / "png")
    yield lambda: heartfast.run(place / "wav", tmp_path / "run", labels="folders", **quick)


@pytest.mark.usefixtures("few_candidates")
def test_each_note_is_a_warning_and_a_line_of_the_log(place, tmp_path, caplog):
    told = 0
    for call in calls(place, tmp_path):
        caplog.clear()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = call()
        assert [str(w.message) for w in caught] == result.notes
        assert {w.category for w in caught} <= {HeartfastWarning}
        assert {w.filename for w in caught} <= {__file__}  # where the user's call is
        lines = [r.getMessage() for r in caplog.records if r.name == "heartfast"]
        assert lines == result.notes
        assert {r.levelno for r in caplog.records} <= {logging.WARNING}
        told += len(result.notes)
    assert told > 5


def test_a_warning_can_be_an_error(place, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", HeartfastWarning)
        with pytest.raises(HeartfastWarning, match="no groups are known"):
            heartfast.evaluate(place / "scores.csv", place / "sets/test_actual.csv")
    # And the next call is announced as well.
    with pytest.warns(HeartfastWarning):
        heartfast.pack(place / "png", tmp_path / "sets")


def test_the_command_line_says_each_note_once(place):
    code = "import logging, sys; from heartfast.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-W", "always", "-c", code]
    command += ["evaluate", "scores.csv", "sets/test_actual.csv"]
    ran = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    lines = ran.stderr.splitlines()
    assert (ran.returncode, len(lines)) == (0, len(set(lines)))
    assert lines
    assert all(line.startswith("note: ") for line in lines)


def test_the_logger_is_silent_unless_it_is_asked(place):
    code = "import logging, heartfast; heartfast.evaluate('scores.csv', 'sets/test_actual.csv')"
    command = [sys.executable, "-W", "ignore", "-c", code]
    ran = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    loud = "import logging; logging.basicConfig(); " + code
    command = [*command[:-1], loud]
    ran = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert ran.stderr.startswith("WARNING:heartfast:")
