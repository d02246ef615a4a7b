"""Ctrl-C and SIGTERM end every verb at once: one line, its own exit code, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import heartfast
from heartfast import synth
from heartfast.bundle import Bundle
from heartfast.features import feature_names
from heartfast.models import LinearModel

HEARTFAST = Path(sys.executable).parent / "heartfast"
CLASSES = ("extrasystole", "murmur", "normal")
SOON_S = 3.0  # a second is promised of an idle machine


class Ended(NamedTuple):
    code: int
    lines: list[str]
    seconds: float
    left: list[str]


def interrupt(
    arguments: Sequence[object],
    folder: Path,
    ready: Callable[[], object],
    signals: Sequence[signal.Signals] = (signal.SIGINT,),
) -> Ended:
    """Start the command line in `folder`, and send it signals once `ready` gives true.

    `left` is what is then in the folder for temporary files.
    """
    temporary = folder / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [str(HEARTFAST), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    assert process.poll() is None, process.communicate()
    start = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.02)
    output, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - start
    assert output == ""
    left = [path.name for path in temporary.rglob("*")]
    return Ended(process.returncode, errors.splitlines(), seconds, left)


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Minutes of work: 400 recordings of a minute each."""
    folder = tmp_path_factory.mktemp("archive")
    samples, sr = synth.heart_sound(duration_s=60.0, sr=44_100)
    synth.write_wav(folder / "0.wav", samples, sr)
    for i in range(1, 400):
        os.link(folder / "0.wav", folder / f"{i}.wav")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    width = len(feature_names())
    linear = LinearModel(np.zeros(width), np.ones(width), np.zeros((3, width)), np.zeros(3))
    config = heartfast.SpectrogramConfig(overlap=95.0).to_dict()
    made = Bundle(
        model=linear, name="x", classes=CLASSES, config=config, leaderboard=[], training={}
    )
    made.save(tmp_path / "model")
    return tmp_path / "model"


ONCE, OFTEN, TERMINATED = [signal.SIGINT], [signal.SIGINT] * 5, [signal.SIGTERM]


def expect(ended: Ended, verb: str, signals: Sequence[signal.Signals] = ONCE) -> None:
    word, code = ("terminated", 143) if signals == TERMINATED else ("interrupted", 130)
    # How far it was, twice a minute, is told where it takes that long.
    lines = [line for line in ended.lines if not re.match(r"\d+ s: ", line)]
    assert (ended.code, lines) == (code, [f"heartfast {verb}: {word}"])
    assert ended.left == []
    assert ended.seconds < SOON_S


@pytest.mark.parametrize("signals", [ONCE, OFTEN, TERMINATED], ids=["once", "often", "terminated"])
def test_convert(archive: Path, tmp_path: Path, signals: list[signal.Signals]) -> None:
    out = tmp_path / "out"
    command = ["convert", archive, "-o", "out", "--overlap", "95", "--jobs", "1"]
    ended = interrupt(command, tmp_path, lambda: any(out.rglob("*.png")), signals)
    word, code = ("terminated", 143) if signals == TERMINATED else ("interrupted", 130)
    first, last = ended.lines
    assert first == "finishing what is in hand; once more to stop at once"
    # The second one drops what is in hand: nothing is told of it.
    said = r": \d+ of 400 recordings are done, the same command goes on from there"
    said_so = re.fullmatch(f"heartfast convert: {word}{said}", last)
    assert said_so or last == f"heartfast convert: {word}"
    if signals != OFTEN:
        assert said_so
    assert (ended.code, ended.left) == (code, [])
    assert ended.seconds < SOON_S
    assert not said_so or (out / "metadata.csv").exists()
    for path in out.rglob("*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("signals", [OFTEN, TERMINATED], ids=["often", "terminated"])
def test_score_of_recordings(
    archive: Path, tmp_path: Path, model: Path, signals: list[signal.Signals]
) -> None:
    arguments = ["score", model, archive, "-o", "scores.csv"]
    ended = interrupt(arguments, tmp_path, after(1.5), signals)
    expect(ended, "score", signals)
    assert not list(tmp_path.glob("scores.csv*"))


def test_score_of_pictures(tmp_path: Path, model: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 255, (256, 1024), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/0.png").write_bytes(heartfast.encode_png(levels))
    for i in range(1, 8000):
        os.link(tmp_path / "in/0.png", tmp_path / f"in/{i}.png")
    ended = interrupt(["score", model, "in", "-o", "scores.csv"], tmp_path, after(2.5))
    expect(ended, "score")
    assert not list(tmp_path.glob("scores.csv*"))


def test_pack(tmp_path: Path) -> None:
    picture = heartfast.encode_png(np.zeros((2, 2), np.uint8))
    rows = ["file_name,label,group"]
    for i in range(25_000):
        name = f"in/{i % 2}/{i}.png"
        if i < 2:
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(picture + b"%d" % i)
        else:
            os.link(tmp_path / f"in/{i % 2}/{i % 2}.png", tmp_path / name)
        rows.append(f"{i % 2}/{i}.png,{i % 2},{i},{i:064x}")
    rows[0] += ",sha256"
    (tmp_path / "in/metadata.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    command = ["pack", "in", "-o", "out"]
    ended = interrupt(command, tmp_path, lambda: any(out.glob("train.zip.*")), OFTEN)
    expect(ended, "pack")
    assert not out.exists()  # it was made for this


def test_evaluate(tmp_path: Path) -> None:
    classes = [f"c{i}" for i in range(30)]
    n = 100_000
    with open(tmp_path / "actual.csv", "w") as file:
        file.write(",".join(["row_id", *classes]) + "\n")
        ones = [",".join("1" if i == k else "0" for i in range(30)) for k in range(30)]
        file.writelines(f"{row},{ones[row % 30]}\n" for row in range(n))
    with open(tmp_path / "scores.csv", "w") as file:
        file.write(",".join(["row_id", *(f"Prediction.{name}" for name in classes)]) + "\n")
        same = ",".join([repr(1 / 30)] * 30)
        file.writelines(f"{row},{same}\n" for row in range(n))
    command = ["evaluate", "scores.csv", "actual.csv", "--html", "report.html"]
    ended = interrupt(command, tmp_path, after(1.5))
    expect(ended, "evaluate")
    assert not list(tmp_path.glob("report.html*"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupt") / "wav"
    synth.write_corpus(folder, patients=60, recordings=1, duration_s=(2.0, 3.0))
    return folder


def test_run(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["run", corpus, "-o", "out", "--labels", "folders", "--trials", "500"]
    ended = interrupt(command, tmp_path, (out / "test_metadata.csv").exists)
    expect(ended, "run")
    made = ["images", "run.json", "test.zip", "test_actual.csv", "test_metadata.csv", "train.zip"]
    assert sorted(path.name for path in out.iterdir()) == made
    assert zipfile.ZipFile(out / "train.zip").testzip() is None


# Runs the command line; the candidate in argv[1] sends the signals in argv[2] and waits.
INTERRUPTED_FIT = """
import os, sys
from heartfast.cli import main
from heartfast.fitting import SINGLE
def fit(data, settings):
    for number in sys.argv[2].split():
        os.kill(os.getpid(), int(number))
    settings.stop.wait(60)
    settings.go_on()
SINGLE[sys.argv[1]] = fit
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("signals", [ONCE, OFTEN, TERMINATED], ids=["once", "often", "terminated"])
@pytest.mark.parametrize("name", ["logistic regression", "LightGBM tuned"])
def test_train(corpus: Path, tmp_path: Path, name: str, signals: list[signal.Signals]) -> None:
    """Nothing is left of one that had no model yet; else the best of those that were done is."""
    heartfast.convert(corpus, tmp_path / "png", labels="folders")
    numbers = " ".join(str(int(number)) for number in signals)
    command = [sys.executable, "-c", INTERRUPTED_FIT, name, numbers, "train", "png", "-o", "model"]
    ran = subprocess.run(
        [*command, "--jobs", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    word, code = ("terminated", 143) if signals == TERMINATED else ("interrupted", 130)
    lines = ran.stderr.splitlines()
    assert (ran.returncode, lines[-1]) == (code, f"heartfast train: {word}")
    if name == "logistic regression":
        assert (ran.stdout, len(lines)) == ("", 1)
        assert not list(tmp_path.glob("model*"))
        return
    assert "note: interrupted before all was done: without LightGBM tuned" in lines
    assert "extra trees" in ran.stdout
    assert "tuned" not in ran.stdout
    made = Bundle.load(tmp_path / "model")
    assert made.training["left_out"] == ["LightGBM tuned"]
    assert f"{made.name}, fitted on all 60 pictures, is in model" in lines


# Runs the command line, and sends SIGINT to itself when the module in argv[1] is imported.
INTERRUPTED_IMPORT = """
import os, signal, sys
from heartfast.cli import main
def hook(event, arguments):
    if event == "import" and arguments[0] == sys.argv[1] and not seen:
        seen.append(event)
        os.kill(os.getpid(), signal.SIGINT)
seen = []
sys.addaudithook(hook)
code = main(sys.argv[2:])
assert seen
sys.exit(code)
"""


@pytest.mark.parametrize("module", ["argparse", "heartfast._core", "numpy.random", "lightgbm"])
def test_in_the_middle_of_an_import(corpus: Path, tmp_path: Path, module: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, module, "run", str(corpus)]
    command += ["-o", str(tmp_path / "out"), "--labels", "folders"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    # Once the verb is parsed, the line names it.
    verb = "" if module == "argparse" else " run"
    # On a busy machine a line says every 30 s how far it is.
    lines = [line for line in ran.stderr.splitlines() if not re.match(r"\d+ s: ", line)]
    assert lines == [f"heartfast{verb}: interrupted"]
    assert (ran.returncode, ran.stdout) == (130, "")


def test_sigint_that_the_caller_ignores_stays_ignored(corpus: Path, tmp_path: Path) -> None:
    # As a shell script has it for what it starts in the background.
    command = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", sys.executable, "-c"]
    command += [INTERRUPTED_IMPORT, "heartfast.stages.convert", "convert", str(corpus)]
    command += ["-o", str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, f"60 pictures in {tmp_path}/out, 0 failed\n")


def test_a_caller_keeps_its_signals() -> None:
    from heartfast.cli import main

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["info", "--json"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
