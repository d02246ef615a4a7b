"""Several commands that begin in one folder at one moment, in processes of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import heartfast
from resuming import HEARTFAST, SLOW, corpus, tree


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = corpus(tmp_path_factory.mktemp("races") / "in", 12)
    for name in ("bad.wav", "none.flac"):
        (folder / name).unlink()
    return folder


def at_once(*commands: list[object]) -> list[tuple[int, str]]:
    """Exit codes and messages, of commands that begin together."""
    started = [
        subprocess.Popen([str(c) for c in command], stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    ended = [(process.communicate(timeout=120)[1], process) for process in started]
    return [(process.returncode, said) for said, process in ended]


def inverted(out: Path) -> set[bool]:
    """The setting by which each picture was made, and the one in the manifest."""
    first = json.loads((out / "manifest.jsonl").read_bytes().partition(b"\n")[0])
    found = {first["settings"]["config"]["invert"]}
    for path in out.rglob("*.png"):
        with Image.open(path) as image:
            image.load()
            found.add(json.loads(image.info["heartfast"])["config"]["invert"])
    return found


@pytest.mark.parametrize("options", [[], ["--overwrite"], ["--to", "zip"]])
def test_two_settings_never_mix(recordings: Path, tmp_path: Path, options: list[str]) -> None:
    """Always one winner; the other says why, in one line."""
    convert = [HEARTFAST, "convert", recordings, "--jobs", "1", *options]
    for k in range(14):
        out = tmp_path / str(k)
        ended = at_once([*convert, "-o", out], [*convert, "-o", out, "--invert"])
        codes = sorted(code for code, _ in ended)
        # With --overwrite the second may well come after the first.
        assert codes == [0, 1] or (codes == [0, 0] and "--overwrite" in options), ended
        for code, said in ended:
            if code:
                assert len(said.splitlines()) == 1, said
                assert "another run is at work" in said or "expected the settings" in said
        assert len(inverted(out)) == 1
        assert len((out / "metadata.csv").read_text().splitlines()) == 13


def test_the_same_settings_at_once(recordings: Path, tmp_path: Path) -> None:
    convert = [HEARTFAST, "convert", recordings, *SLOW]
    assert at_once([*convert, "-o", tmp_path / "fresh"])[0][0] == 0
    for k in range(6):
        out = tmp_path / str(k)
        ended = at_once([*convert, "-o", out], [*convert, "-o", out])
        assert sorted(code for code, _ in ended) in ([0, 1], [0, 0])
        assert all("another run is at work" in said for code, said in ended if code)
        assert tree(out) == tree(tmp_path / "fresh")


def test_the_header_is_compared_when_the_list_is_there(recordings: Path, tmp_path: Path) -> None:
    """The first passes the check of the folder, and then waits for its list."""
    out = tmp_path / "out"
    command = [HEARTFAST, "convert", "-", "-o", str(out), "--invert"]
    waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    heartfast.convert(recordings, out)
    before = tree(out)
    _, said = waiting.communicate("\n".join(map(str, recordings.rglob("*.wav"))), timeout=60)
    assert waiting.returncode == 1
    assert "invert True (there False)" in said
    assert len(said.splitlines()) == 1
    assert tree(out) == before


@pytest.mark.parametrize("to", ["dir", "tar"])
@pytest.mark.parametrize("what", ["removed", "renamed", "replaced"])
def test_a_folder_that_goes_away(recordings: Path, tmp_path: Path, to: str, what: str) -> None:
    out = tmp_path / "out"
    many = tmp_path / "in"
    for k in range(400):
        shutil.copytree(recordings, many / str(k))
    command = [HEARTFAST, "convert", str(many), "-o", str(out), "--to", to, "--jobs", "1", *SLOW]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (out / "manifest.jsonl").exists():
        time.sleep(0.001)
    time.sleep(0.3)
    out.rename(tmp_path / "elsewhere")
    if what == "removed":
        shutil.rmtree(tmp_path / "elsewhere")
    elif what == "replaced":
        out.mkdir()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert str(out) in said
    assert not (out / "metadata.csv").exists()


def test_tasks_of_two_settings(recordings: Path, tmp_path: Path) -> None:
    convert = [HEARTFAST, "convert", recordings, "--shard", "1/1", "--to", "tar"]
    for k in range(6):
        out = tmp_path / str(k)
        ended = at_once([*convert, "-o", out], [*convert, "-o", out, "--invert"])
        codes = sorted(code for code, _ in ended)
        assert codes == [0, 1], ended
        assert all(len(said.splitlines()) == 1 for code, said in ended if code)
        plain = codes and ended[0][0] == 0
        fresh = tmp_path / f"fresh{k}"
        heartfast.convert(
            recordings,
            fresh,
            config=heartfast.SpectrogramConfig(invert=not plain),
            shard="1/1",
            to="tar",
        )
        for name in ("metadata.csv", "pictures-000000.tar"):
            assert (out / name).read_bytes() == (fresh / name).read_bytes()


def test_pack_convert_and_run_in_one_folder(recordings: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    heartfast.convert(recordings, pictures, labels="folders")
    pack = [HEARTFAST, "pack", pictures, "--no-join-duplicates", "--test-size", "0.3"]
    run = [HEARTFAST, "run", recordings, "--labels", "folders", "--folds", "2"]
    for k in range(3):
        out = tmp_path / str(k)
        ended = at_once([*pack, "-o", out, "--seed", "1"], [*pack, "-o", out, "--seed", "2"])
        assert sorted(code for code, _ in ended) == [0, 1], ended
        assert all(len(said.splitlines()) <= 2 for code, said in ended if code)
        seed = 1 if ended[0][0] == 0 else 2
        fresh = tmp_path / f"fresh{k}"
        heartfast.pack(pictures, fresh, test_size=0.3, seed=seed, join_duplicates=False)
        assert tree(out) == tree(fresh)
    out = tmp_path / "both"
    ended = at_once([*pack, "-o", out], [*run, "-o", out])
    assert 1 in [code for code, _ in ended]
    assert not {"images", "train.zip"} <= set(tree(out)) or ended[0][0] == 1


HOLD = """
import sys, time
from heartfast.files import holding
with holding(sys.argv[1]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_run_says_that_another_is_at_work(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(out), "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "held\n"
        for verb in (["convert"], ["run", "--labels", "folders"]):
            ((code, said),) = at_once([HEARTFAST, verb[0], recordings, "-o", out, *verb[1:]])
            assert code == 1
            assert said.count("another run is at work in this folder") == 1
        held.kill()
    assert list(out.iterdir()) == []
