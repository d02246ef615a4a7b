"""Odd arguments and a system that gives little: one clear error, or less of everything."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heartfast
from heartfast import synth
from heartfast.errors import UsageError

SOUND = np.random.default_rng(0).standard_normal(8000).astype(np.float32)


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    samples, sr = synth.heart_sound(duration_s=1.0, sr=4000)
    synth.write_wav(path, samples, sr)
    return path.read_bytes()


@pytest.mark.parametrize(
    "sr",
    [float("inf"), -float("inf"), float("nan"), 0, -1, 1e300, 0.5, 4000.5, 2**40, "4000", None],
)
def test_sample_rates(sr: Any) -> None:
    with pytest.raises(UsageError, match="sr: expected a whole number of samples per second"):
        heartfast.spectrogram(SOUND, sr)


@pytest.mark.parametrize("name", ["n_fft", "hop_length", "win_length"])
@pytest.mark.parametrize("value", [2**22, 2**63, 2**70, 0, -1, float("inf")])
def test_lengths_of_transforms(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expected at "):
        heartfast.stft(SOUND, **{name: value})


@pytest.mark.parametrize(
    "column", [5, None, b"bytes", "text", {"a": 1}, [1], ["x"], [[b"x"]], [1.5]]
)
def test_batches_of_no_bytes(column: Any) -> None:
    with pytest.raises(TypeError, match="batch: expected "):
        heartfast.convert_batch({"bytes": column})


def test_batches(wav: bytes) -> None:
    given = {"bytes": [wav, None, memoryview(wav), bytearray(wav), b""]}
    drawn = heartfast.convert_batch(given)
    first, null, *others, empty = drawn["image"]
    assert first[:4] == b"\x89PNG"
    assert all(other == first for other in others)
    assert null == empty == b""
    assert "an empty file" in drawn["error"][1]
    assert len(heartfast.convert_batch({"bytes": []})["image"]) == 0
    with pytest.raises(UsageError, match="a 'path' for each of 1 recordings, found 0"):
        heartfast.convert_batch({"bytes": [wav], "path": []})
    named = heartfast.convert_batch({"bytes": [wav], "path": ["\udcff.wav"]})
    assert named["image"][0] == first


def test_merge_of_odd_folders(tmp_path: Path) -> None:
    synth.write_corpus(tmp_path / "wav", patients=8, recordings=1, duration_s=(1.0, 1.2))
    for shard in ("1/2", "2/2"):
        out = tmp_path / shard[0]
        heartfast.convert(tmp_path / "wav", out, shard=shard, shard_mb=0.05)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/plan.json").write_text("{}")
    odd = ("empty", "file", "foreign", "missing")
    for name in odd:
        with pytest.raises((OSError, heartfast.HeartfastError)):
            heartfast.merge([tmp_path / name])
        with pytest.raises((OSError, heartfast.HeartfastError)):
            heartfast.merge([tmp_path / "1", tmp_path / name], tmp_path / "out")
        assert not (tmp_path / "out/metadata.csv").exists()
    with pytest.raises(heartfast.DatasetError, match="once"):
        heartfast.merge([tmp_path / "1", tmp_path / "1"], tmp_path / "out")
    with pytest.raises(UsageError):
        heartfast.merge([])
    with pytest.raises(heartfast.DatasetError, match="expected all"):
        heartfast.merge(tmp_path / "1")
    assert heartfast.merge([tmp_path / "1", tmp_path / "2"], tmp_path / "out").pictures == 8


def test_evaluation_of_too_many_classes(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(3000)]
    for file, prefix in (("scores.csv", "Prediction."), ("actual.csv", "")):
        rows = [",".join(["row_id", *(prefix + name for name in names)])]
        rows += [
            ",".join([str(i), *("1" if i == k else "0" for k in range(3000))]) for i in range(9)
        ]
        (tmp_path / file).write_text("\n".join(rows))
    with pytest.raises(heartfast.DatasetError, match="columns"):
        heartfast.evaluate(tmp_path / "scores.csv", tmp_path / "actual.csv")


DECODE = """
    import sys, threading
    from heartfast.images import decode
    data = open(sys.argv[1], "rb").read()
    decode(data, "x")
    def status(field):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith(field))
    one = status("VmHWM")
    threads = [threading.Thread(target=lambda: decode(data, "x")) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(one, status("VmHWM"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_large_pictures_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    """Eight of 24 megapixels at once take what one takes, and their levels."""
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new("RGB", (6000, 4000)).save(file, "PNG", compress_level=1)
    (tmp_path / "x.png").write_bytes(file.getvalue())
    command = [sys.executable, "-c", textwrap.dedent(DECODE), str(tmp_path / "x.png")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    one, eight = map(int, ran.stdout.split())
    assert eight - one < 8 * 24_000_000 + (64 << 20)


def test_threads_that_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that do take all the work; where none does, that is one error."""
    from heartfast.parallel import for_each

    start, started = threading.Thread.start, [0]

    def few(thread: threading.Thread) -> None:
        if started[0] >= most:
            raise RuntimeError("can't start new thread")
        started[0] += 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    most = 2
    results: list[int] = []
    for_each(lambda x: x * x, range(1000), results.append, jobs=8)
    assert results == [x * x for x in range(1000)]
    most, started[0] = 0, 0
    with pytest.raises(OSError, match="expected the system to give a thread"):
        for_each(lambda x: x, range(10), results.append, jobs=8)


THREADLESS = """
    import os, resource, sys
    import numpy
    import heartfast
    heartfast.convert(sys.argv[2], sys.argv[3] + "-before", jobs=1)  # while modules may be read
    most = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    os.setgid(54321)
    os.setuid(54321)
    try:
        result = heartfast.convert(sys.argv[2], sys.argv[3], jobs=64)
        print(result.pictures, result.notes)
    except OSError as error:
        print("OSError", error)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs another user")
@pytest.mark.parametrize(
    ("most", "said"),
    [
        (1, "OSError [Errno 11] expected the system to give a thread to work on"),
        (8, "100 ['the system gave "),
    ],
)
def test_a_system_without_threads(most: int, said: str, wav: bytes) -> None:
    """A user who may have so many processes, each thread being one."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = os.path.join(folder, "in"), os.path.join(folder, "out")
        os.mkdir(given)
        os.mkdir(out)
        for i in range(100):
            Path(given, f"{i}.wav").write_bytes(wav)
        os.chmod(folder, 0o755)  # noqa: S103
        os.chmod(out, 0o777)  # noqa: S103 somebody else writes there
        command = [sys.executable, "-c", textwrap.dedent(THREADLESS), str(most), given, out]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=environment
        )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.startswith(said)
