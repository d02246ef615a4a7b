"""The benchmarks compare like with like: every contender draws the same pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import heartfast

BENCHES = Path(__file__).resolve().parent.parent / "benches"


def run(*words: object) -> str:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pixels(folder: Path) -> dict[str, np.ndarray]:
    tiles = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            tiles[path.stem] = np.asarray(image.convert("L"), dtype=np.int16)
    return tiles


@pytest.fixture(scope="module")
def wavs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    run(BENCHES / "corpus.py", folder, "--quick")
    return folder / "quick"


@pytest.fixture(scope="module")
def ours(wavs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("ours") / "png"
    heartfast.convert(wavs, out)
    return pixels(out)


def test_the_corpus_is_always_the_same(wavs: Path, tmp_path: Path) -> None:
    run(BENCHES / "corpus.py", tmp_path, "--quick")
    again = {path.name: path.read_bytes() for path in (tmp_path / "quick").iterdir()}
    assert again == {path.name: path.read_bytes() for path in wavs.iterdir()}
    assert len(again) == 6 + 2 + 1


@pytest.mark.parametrize("peer", ["librosa", "numpy", "scipy"])
def test_a_peer_draws_our_pictures(
    peer: str, wavs: Path, ours: dict[str, np.ndarray], tmp_path: Path
) -> None:
    run(BENCHES / "peers" / f"{peer}_tiles.py", wavs, tmp_path / "png")
    theirs = pixels(tmp_path / "png")
    assert theirs.keys() == ours.keys()
    for stem, tile in ours.items():
        assert theirs[stem].shape == tile.shape
        assert abs(theirs[stem] - tile).max() <= 1, stem


def test_sox_draws_much_the_same(tool, wavs: Path, ours: dict[str, np.ndarray], tmp_path: Path):
    tool("sox")
    run(BENCHES / "peers" / "sox_tiles.py", wavs, tmp_path / "png")
    theirs = pixels(tmp_path / "png")
    assert theirs.keys() == ours.keys()
    for stem, tile in ours.items():
        assert abs(theirs[stem].shape[1] - tile.shape[1]) <= 2
        # Another FFT length gives other noise, the same pattern.
        patterns = [
            np.ravel(Image.fromarray(x.astype(np.uint8)).resize((32, 32), Image.Resampling.BOX))
            for x in (theirs[stem], tile)
        ]
        assert np.corrcoef(patterns)[0, 1] > 0.9, stem


def test_the_quick_bench(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    words = run(BENCHES / "tile_job.py", "--quick", "--runs", 1, "--results", results)
    document = json.loads(results.read_text(encoding="utf-8"))
    assert document["recordings"] == 8
    for name, (measured,) in document["all_files"].items():
        assert name in words
        assert measured["cpu_s"] > 0
        assert measured["png_mb"] > 0.1
    assert {"heartfast", "librosa + Pillow", "scipy + Pillow"} <= document["all_files"].keys()
