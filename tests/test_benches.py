"""The benchmarks compare like with like: every contender draws the same pictures."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import types
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import heartfast
from heartfast.bench.jobs import (
    PEERS,
    Contender,
    ContenderError,
    draw,
    finish,
    make_corpus,
    read_job,
)

BENCHES = Path(__file__).resolve().parent.parent / "benches"
TOOL = Path(sys.executable).with_name("heartfast")


def run(*words: object) -> str:
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True).stdout


def script(name: str) -> types.ModuleType:
    """A module of benches/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BENCHES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels(folder: Path) -> dict[str, np.ndarray]:
    tiles = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            tiles[path.stem] = np.asarray(image.convert("L"), dtype=np.int16)
    return tiles


@pytest.fixture(scope="module")
def wavs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), "quick").source


@pytest.fixture(scope="module")
def ours(wavs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("ours") / "png"
    heartfast.convert(wavs, out)
    return pixels(out)


def test_the_corpus_is_always_the_same(wavs: Path, tmp_path: Path) -> None:
    again = {
        path.name: path.read_bytes() for path in make_corpus(tmp_path, "quick").source.iterdir()
    }
    assert again == {path.name: path.read_bytes() for path in wavs.iterdir()}
    assert len(again) == 6 + 2 + 1


def test_the_large_corpus_is_the_other_several_times(wavs: Path, tmp_path: Path) -> None:
    copies = make_corpus(tmp_path, "quick-L").source
    one = sorted(path.read_bytes() for path in wavs.glob("*.wav"))
    assert sorted(path.read_bytes() for path in copies.glob("*.wav")) == sorted(2 * one)
    assert all(path.stat().st_nlink == 1 for path in copies.iterdir())


# The pictures of sox have other rows: they have a test of their own.
@pytest.mark.parametrize(
    "peer", [peer for peer in PEERS if peer.name != "sox"], ids=lambda peer: peer.name
)
def test_a_peer_draws_our_pictures(
    peer: Contender, wavs: Path, ours: dict[str, np.ndarray], tmp_path: Path
) -> None:
    if peer.missing():
        pytest.skip(peer.missing())
    measured = draw(peer, read_job(wavs), tmp_path)
    (out,) = tmp_path.glob("*/png")
    theirs = pixels(out)
    assert theirs.keys() == ours.keys()
    for stem, tile in ours.items():
        assert theirs[stem].shape == tile.shape
        assert abs(theirs[stem] - tile).max() <= 1, stem
    assert measured.cpu_s > 0
    size = sum(path.stat().st_size for path in out.iterdir())
    assert measured.png_mb == pytest.approx(size / 1e6)


def test_sox_draws_much_the_same(tool, wavs: Path, ours: dict[str, np.ndarray], tmp_path: Path):
    tool("sox")
    draw(next(peer for peer in PEERS if peer.name == "sox"), read_job(wavs), tmp_path)
    (out,) = tmp_path.glob("*/png")
    theirs = pixels(out)
    assert theirs.keys() == ours.keys()
    for stem, tile in ours.items():
        assert abs(theirs[stem].shape[1] - tile.shape[1]) <= 2
        # Another FFT length gives other noise, the same pattern.
        patterns = [
            np.ravel(Image.fromarray(x.astype(np.uint8)).resize((32, 32), Image.Resampling.BOX))
            for x in (theirs[stem], tile)
        ]
        assert np.corrcoef(patterns)[0, 1] > 0.9, stem


def test_array_functions_give_the_same_magnitudes() -> None:
    # The script itself compares them with heartfast's.
    peers = Path(heartfast.__file__).parent / "bench" / "peers"
    times = json.loads(run(sys.executable, peers / "array_spectrograms.py", 2, 1))
    for name in ("heartfast.spectrogram", "librosa.stft", "scipy.signal.stft"):
        assert len(times[name]) == 2
    for name in ("torch.stft", "spectrograms"):
        assert len(times[name]) == 2 or times[name].startswith("skipped: ")


def test_a_tool_that_is_not_here_is_named() -> None:
    contender = Contender("x", ("numpy", "no_such_library", "no-such-tool"), ())
    assert contender.missing() == "no_such_library, no-such-tool not installed"


def test_a_contender_that_fails_is_an_error_with_its_words(wavs: Path, tmp_path: Path) -> None:
    with pytest.raises(ContenderError, match=r"x: exit code 3\n.*went wrong"):
        finish(
            [sys.executable, "-c", "import sys; print('went wrong', file=sys.stderr); exit(3)"], "x"
        )
    lazy = Contender("lazy", (), (sys.executable, "-c", "import os; os.mkdir('{out}')"))
    with pytest.raises(ContenderError, match="lazy: expected 8 pictures, found 0"):
        draw(lazy, read_job(wavs), tmp_path)


def test_a_contender_that_draws_something_else_is_an_error(wavs: Path, tmp_path: Path) -> None:
    words = (
        "import sys, heartfast; heartfast.convert(sys.argv[1], sys.argv[2],"
        " config=heartfast.SpectrogramConfig(overlap=75))"
    )
    other = Contender("other", (), (sys.executable, "-c", words, "{source}", "{out}"))
    with pytest.raises(ContenderError, match=r"other: \w+: expected \d+ x \d+ pixels, found"):
        draw(other, read_job(wavs), tmp_path)


def test_stage_times(wavs: Path, tmp_path: Path) -> None:
    from heartfast._core import SpectrogramConfig, stage_times

    recording = next(wavs.glob("low*.wav"))
    picture = tmp_path / "picture.png"
    stages = stage_times([(str(recording), str(picture))], SpectrogramConfig(), 2)
    assert list(stages) == ["read", "checksum", "decode", "transform", "levels", "PNG", "write"]
    assert all(0 <= seconds < 60 for seconds in stages.values())
    # What is timed is the real thing.
    heartfast.convert(recording, tmp_path / "out")
    with Image.open(picture) as a, Image.open(tmp_path / "out" / f"{recording.stem}.png") as b:
        assert np.array_equal(a, b)
    with pytest.raises(OSError, match="expected a recording"):
        stage_times([("no_such.wav", str(picture))], SpectrogramConfig(), 1)


def test_the_verb_prints_json() -> None:
    found = json.loads(run(TOOL, "bench", "--quick", "--json", "--jobs", 2))
    assert found["recordings"] == 8
    assert found["audio_s"] == pytest.approx(56.77, abs=0.01)
    assert set(found["threads"]) == {"1", "2"}
    assert {"librosa + Pillow", "scipy.signal + Pillow"} <= found["peers"].keys()
    assert found["peers"].keys() | found["skipped"].keys() == {peer.name for peer in PEERS}
    for runs in [*found["threads"].values(), *found["peers"].values()]:
        assert len(runs) == 1
        assert runs[0]["cpu_s"] > 0
        assert runs[0]["png_mb"] > 0.1


def test_the_verb_prints_tables() -> None:
    from heartfast.bench.jobs import Run
    from heartfast.bench.verb import BenchResult

    runs = [Run(cpu_s, 0.1, cpu_s, 20, 35) for cpu_s in (2, 9, 1)]
    text = BenchResult(
        version="1.2", cpu="a CPU", cores=1, recordings=500, audio_s=3600, stages={"read": 0.5},
        threads={1: runs}, peers={"slow": [Run(8, 0, 8, 1, 35)] * 3}, skipped={"gone": "not here"},
    ).to_text()  # fmt: skip
    # An hour of audio: half a second of reading, two of everything, eight for the slow one.
    lines = [line.split() for line in text.splitlines()]
    assert ["read", "0.500", "100%", "2.0"] in lines
    assert ["1", "2.00", "2.00", "0.50"] in lines
    assert ["slow", "8.00", "0.12", "4.0", "x", "heartfast's"] in lines
    assert ["gone", "skipped:", "not", "here"] in lines


def test_the_quick_bench(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    words = [sys.executable, BENCHES / "targets.py", "--quick", "--runs", 1, "--results", results]
    printed = run(*words)
    document = json.loads(results.read_text(encoding="utf-8"))
    assert document["contenders"]["M"]["heartfast"][0]["cpu_s"] > 0
    rows = {row["key"]: row for row in document["targets"]}
    assert {"librosa", "fastest", "sox", "realfft", "memory-day", "arrays"} <= rows.keys()
    for row in rows.values():
        assert row["what"] in printed
        if "skipped" in row:
            assert row["skipped"]
            assert not row["skipped"].startswith("failed"), row
        else:
            assert row["min"] <= row["median"] <= row["max"]
            assert row["verdict"] in ("missed", "met", "aim met")
    assert "median" in rows["librosa"]
    assert document["stages"]["transform"] > 0
    report = run(sys.executable, BENCHES / "report.py", results)
    assert "| what | at least | aim | here |" in report
    assert f"| {rows['help']['what']} | 0.15 s | 0.1 s |" in report


@pytest.mark.parametrize("bits", [8, 16])
def test_a_long_recording_is_a_recording(bits: int, tmp_path: Path, monkeypatch) -> None:
    import soundfile

    monkeypatch.syspath_prepend(BENCHES)
    script("figures").write_long(tmp_path / "long.wav", 120, bits)
    with soundfile.SoundFile(tmp_path / "long.wav") as file:
        assert (file.samplerate, file.channels, file.frames) == (44100, 1, 120 * 44100)
        assert file.format == ("RF64" if bits == 16 else "WAV")
        samples = file.read(dtype="float32")
    assert np.array_equal(samples[: 60 * 44100], samples[60 * 44100 :])
    assert samples.std() > 0.5
    if bits == 8:
        with wave.open(str(tmp_path / "long.wav")) as file:
            assert file.getnframes() == 120 * 44100


def test_a_rise_of_instructions_is_named() -> None:
    compare = script("instructions").compare
    before = {"tile": 1000, "png": 1000}
    assert compare(before, {"tile": 1029, "png": 400}) == []
    (line,) = compare(before, {"tile": 1031, "png": 1000})
    assert line == "tile: 1000 instructions before, 1031 now, +3.1%"
    assert compare(before, {"new": 5}) == ["new: no count on record, 5 now"]
