"""Pipes, sockets and devices are not opened, whatever they stand for; each is one clear error."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heartfast
from heartfast import synth
from heartfast.bundle import Bundle
from heartfast.features import feature_names
from heartfast.models import LinearModel

HEARTFAST = Path(sys.executable).parent / "heartfast"
SOON_S = 60  # a call that waits for a pipe waits for ever

# Calls the function that argv names with the arguments that argv spells.
CALL = """
import ast, sys
import heartfast
from heartfast.errors import HeartfastError
name, (positional, named) = sys.argv[1], map(ast.literal_eval, sys.argv[2:])
if "figure" in named:
    figure = heartfast.FigureConfig(**named.pop("figure"))
    named["config"] = heartfast.SpectrogramConfig(figure=figure)
try:
    result = getattr(heartfast, name)(*positional, **named)
except (OSError, HeartfastError, ValueError) as error:
    print("refused:", error)
else:
    print("errors:", getattr(result, "errors", None))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, pictures, a model, scores and a truth that are all right."""
    folder = tmp_path_factory.mktemp("made")
    synth.write_corpus(folder / "wav", patients=30, recordings=1, duration_s=(1.0, 1.2))
    heartfast.convert(folder / "wav", folder / "png", labels="folders")
    classes = sorted({path.parent.name for path in (folder / "png").glob("*/*.png")})
    width = len(feature_names())
    shape = (len(classes), width)
    linear = LinearModel(np.zeros(width), np.ones(width), np.zeros(shape), np.zeros(len(classes)))
    config = heartfast.SpectrogramConfig().to_dict()
    bundle = Bundle(
        model=linear, name="x", classes=tuple(classes), config=config, leaderboard=[], training={}
    )
    bundle.save(folder / "model")
    heartfast.pack(folder / "png", folder / "packed")
    heartfast.score(folder / "model", folder / "packed/test.zip", folder / "scores.csv")
    return folder


@pytest.fixture(params=["pipe", "socket", "device"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "special.csv"
    if request.param == "pipe":
        os.mkfifo(path)
        yield str(path)
    elif request.param == "device":
        yield "/dev/zero"
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            here = os.getcwd()
            os.chdir(tmp_path)  # such a name has 108 bytes at most
            listening.bind(path.name)
            os.chdir(here)
            yield str(path)


def call(name: str, *positional: object, **named: object) -> str:
    command = [sys.executable, "-c", CALL, name, repr(positional), repr(named)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SOON_S, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


# What is called, with the special file (IT) in the place of each input in turn.
WAV, PNG, MODEL = "MADE/wav", "MADE/png", "MADE/model"
SCORES, ACTUAL = "MADE/scores.csv", "MADE/packed/test_actual.csv"
CASES: dict[str, list[Any]] = {
    "convert": ["convert", ["IT"], "OUT"],
    "convert labels": ["convert", WAV, "OUT", {"labels": "IT"}],
    "convert intervals": ["convert", WAV, "OUT", {"intervals": "IT", "figure": {}}],
    "convert font": ["convert", WAV, "OUT", {"figure": {"font": "IT"}}],
    "convert in tasks": ["convert", ["IT"], "OUT", {"shard": "1/1"}],
    "load": ["load", "IT"],
    "load a part": ["load", "IT", {"offset": 0.5}],
    "read_intervals": ["read_intervals", "IT"],
    "merge": ["merge", ["IT"]],
    "pack": ["pack", "IT", "OUT"],
    "train": ["train", "IT", "OUT"],
    "train embed": ["train", PNG, "OUT", {"embed": "IT"}],
    "score model": ["score", "IT", PNG, "OUT"],
    "score": ["score", MODEL, "IT", "OUT"],
    "score list": ["score", MODEL, ["IT"], "OUT"],
    "score embed": ["score", MODEL, PNG, "OUT", {"embed": "IT"}],
    "score costs": ["score", MODEL, PNG, "OUT", {"costs": "IT"}],
    "evaluate scores": ["evaluate", "IT", ACTUAL],
    "evaluate truth": ["evaluate", SCORES, "IT"],
    "evaluate groups": ["evaluate", SCORES, ACTUAL, {"groups": "IT"}],
    "audit": ["audit", "IT"],
    "audit images": ["audit", "MADE/packed", {"images": "IT"}],
    "gallery": ["gallery", "IT"],
    "gallery scores": ["gallery", PNG, {"scores": "IT"}],
    "gallery model": ["gallery", PNG, {"model": "IT"}],
    "run": ["run", ["IT"], "OUT", {"labels": "folders"}],
    "occlusion_map": ["occlusion_map", MODEL, "IT"],
}


def filled(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, path in places.items():
            value = value.replace(name, path)
        return value
    if isinstance(value, dict):
        return {name: filled(item, places) for name, item in value.items()}
    return [filled(item, places) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES)
def test_every_input(case: str, special: str, made: Path, tmp_path: Path) -> None:
    places = {"MADE": str(made), "IT": special, "OUT": str(tmp_path / "out")}
    name, *rest = filled(CASES[case], places)
    named = rest.pop() if isinstance(rest[-1], dict) else {}
    said = call(name, *rest, **named)
    assert said.startswith("refused:") or "a pipe, a socket or a device" in said
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("name", ["metadata.csv", "manifest.jsonl", "x.png", "x.wav"])
def test_in_folders(name: str, made: Path, tmp_path: Path) -> None:
    """A pipe among the files of a folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    heartfast.convert(made / "wav", folder)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    out = str(tmp_path / "out")
    for function, *arguments in [
        ("convert", [str(folder)], out),
        ("convert", str(made / "wav"), str(folder)),
        ("gallery", str(folder)),
        ("pack", str(folder), out + "p"),
        ("train", str(folder), out + "t"),
        ("score", str(made / "model"), str(folder), out + "s"),
        ("audit", str(folder)),
    ]:
        call(function, *arguments)


def test_a_waiting_writer_is_not_woken(tmp_path: Path) -> None:
    """Who opened a pipe's end for reading, if only to look at it, would end its writer."""
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    call("convert", str(path), str(tmp_path / "out"))
    call("load", str(path))
    with pytest.raises(OSError, match="No such device or address") as caught:
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    assert caught.value.errno == errno.ENXIO


def test_process_substitution_is_refused_with_what_to_do(made: Path, tmp_path: Path) -> None:
    wav = next((made / "wav").rglob("*.wav"))
    line = f"exec {HEARTFAST} convert <(cat {wav}) -o {tmp_path / 'out'}"
    ran = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=SOON_S, check=False
    )
    assert ran.returncode == 1
    assert "a pipe, a socket or a device, which is not opened; give a file, or -" in ran.stderr


def test_standard_input_by_name(made: Path, tmp_path: Path) -> None:
    """A file on standard input has a name, and a pipe there is refused."""
    wav = next((made / "wav").rglob("*.wav"))
    command = [HEARTFAST, "convert", "/dev/stdin", "-o"]
    with open(wav, "rb") as file:
        ran = subprocess.run([*command, tmp_path / "a"], stdin=file, timeout=SOON_S, check=False)
    assert ran.returncode == 0
    ran = subprocess.run(
        [*command, tmp_path / "b"], input=b"RIFF", capture_output=True, timeout=SOON_S, check=False
    )
    assert ran.returncode == 1
    assert b"give a file, or -" in ran.stderr
