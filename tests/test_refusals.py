"""What cannot be read or written is told in one line that names it, at once, with exit code 1."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import heartfast
from heartfast.bundle import Bundle
from heartfast.features import feature_names
from heartfast.models import LinearModel

# The command line again and again in one process, which saves the imports. A line of JSON each,
# so that what hangs is known by what is missing.
MANY = """
import io, json, sys
from heartfast.cli import main
shown = sys.stdout
for arguments in json.loads(sys.argv[1]):
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code = main(arguments)
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    texts = [stream.buffer.getvalue().decode() for stream in streams]
    shown.write(json.dumps([code, *texts]) + "\\n")
    shown.flush()
"""


def refusals(folder: Path, commands: list[list[str]]) -> list[str]:
    """Run commands of which each must fail with code 1 and write nothing but its reasons."""
    ran = subprocess.run(
        [sys.executable, "-c", MANY, json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    for command, (code, output, errors) in zip(commands, results, strict=True):
        assert (code, output) == (1, ""), (command, errors)
        assert "Traceback" not in errors
    return [errors for _, _, errors in results]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good file of each kind, and bad ones whose names end as the good do."""
    folder = tmp_path_factory.mktemp("refusals")
    width = len(feature_names())
    linear = LinearModel(np.zeros(width), np.ones(width), np.zeros((2, width)), np.zeros(2))
    Bundle(
        model=linear,
        name="x",
        classes=("a", "b"),
        config=heartfast.SpectrogramConfig().to_dict(),
        leaderboard=[],
        training={},
    ).save(folder / "model")
    samples, sr = heartfast.synth.heart_sound(duration_s=1.0)
    (folder / "wav").mkdir()
    heartfast.synth.write_wav(folder / "wav/x.wav", samples, sr)
    heartfast.convert(folder / "wav", folder / "png")
    (folder / "scores.csv").write_text("row_id,Prediction.a,Prediction.b\n0,1,0\n1,0,1\n")
    (folder / "actual.csv").write_text("row_id,a,b,file_name\n0,1,0,x\n1,0,1,y\n")
    for end in ("zip", "png", "wav", "csv"):
        os.mkfifo(folder / f"pipe.{end}")
        os.symlink("nowhere", folder / f"link.{end}")
        os.symlink(f"loop.{end}", folder / f"loop.{end}")
        (folder / f"empty.{end}").touch()
        (folder / f"locked.{end}").write_bytes(b"something")
        (folder / f"locked.{end}").chmod(0)
    (folder / "empty").mkdir()
    return folder


KINDS = ("missing", "pipe", "link", "loop", "empty", "locked")


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("convert wav -o out --labels X", "csv"),
        ("convert X -o out-X", "wav"),
        ("run X -o out-X --labels none", "wav"),
        ("pack X -o out", "zip"),
        ("train X -o out", "zip"),
        ("train X -o out", "png"),
        ("score X png -o out", "zip"),
        ("score model X -o out", "zip"),
        ("score model X -o out", "png"),
        ("score model X -o out", "wav"),
        ("evaluate X actual.csv", "csv"),
        ("evaluate scores.csv X", "csv"),
        ("evaluate scores.csv actual.csv --groups X", "csv"),
    ],
)
def test_inputs(place: Path, command: str, end: str) -> None:
    kinds = [kind for kind in KINDS if kind != "locked" or os.geteuid() != 0]
    names = [f"{kind}.{end}" for kind in kinds] + ["empty"] * ("--labels X" not in command)
    found = refusals(place, [command.replace("X", name).split() for name in names])
    for name, errors in zip(names, found, strict=True):
        # A recording that fails is one among many, and a closing line counts them.
        reason, *rest = errors.splitlines()
        assert len(rest) == (reason.startswith("failed:"))
        assert name in reason
        if end == "wav" and name != f"missing.{end}":
            continue  # what is wrong with a recording's file is said by the core
        assert reason.startswith(f"heartfast {command.split()[0]}: ")
        assert re.search(f"{name}: expected .*found", reason)
    assert not (place / "out").exists()


def test_a_folder_is_no_file(place: Path) -> None:
    commands = [
        "convert wav -o out --labels png",
        "score png png -o out",
        "evaluate png actual.csv",
        "evaluate scores.csv png",
        "evaluate scores.csv actual.csv --groups png",
    ]
    for errors in refusals(place, [command.split() for command in commands]):
        assert "png: expected " in errors
        assert errors.endswith(", found a folder\n")
        assert errors.count("\n") == 1


def test_outputs_are_tried_before_any_work(place: Path) -> None:
    # The inputs are no good, and yet it is the output that is told of.
    (place / "bad.csv").write_text("nothing of use\n")
    (place / "bad.zip").write_bytes(b"nothing of use")
    verbs = {
        "train bad.zip -o OUT": "bad.zip",
        "score bad.zip png -o OUT": "bad.zip",
        "score model bad.zip -o OUT": "bad.zip",
        "evaluate bad.csv actual.csv --html OUT": "bad.csv",
        "evaluate scores.csv bad.csv --html OUT": "bad.csv",
        "evaluate scores.csv actual.csv --groups bad.csv --html OUT": "bad.csv",
    }
    for verb, given in verbs.items():
        cases = {
            "png": "expected a file to write, found a folder",
            "new/": "expected a file to write, found a folder",
            "pipe.csv": "expected a file to write, found a pipe, a socket or a device",
            given: "expected another file to write than the input, found the input",
            "actual.csv/out": "expected a folder, found a file",
        }
        found = refusals(place, [verb.replace("OUT", name).split() for name in cases])
        for message, errors in zip(cases.values(), found, strict=True):
            assert errors.endswith(f": {message}\n")
            assert errors.count("\n") == 1
    assert (place / "bad.csv").read_text() == "nothing of use\n"
    assert stat.S_ISFIFO((place / "pipe.csv").stat().st_mode)
    assert not (place / "new").exists()


def test_folders_for_results_are_new_or_empty(place: Path) -> None:
    verbs = ("convert wav", "pack png", "run wav --labels none", "demo")
    for verb in verbs:
        full, file = refusals(place, [[*verb.split(), "-o", out] for out in ("wav", "model")])
        assert "wav: expected a new or empty folder, found '" in full
        assert file.endswith("model: expected a new or empty folder, found a file\n")
        assert full.count("\n") == file.count("\n") == 1
    assert [path.name for path in (place / "wav").iterdir()] == ["x.wav"]


def test_results_are_replaced(place: Path, tmp_path: Path) -> None:
    shutil.copy(place / "model", tmp_path / "scores.csv")
    heartfast.score(place / "model", place / "png", tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().startswith("row_id,")
    assert heartfast.score(place / "model", place / "png").names == ["x.png"]
