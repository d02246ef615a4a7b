"""A real Ray cluster of two nodes, and a real S3 server: the same pictures, whatever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import heartfast
from resuming import HEARTFAST, corpus, tree
from stores import environment, failing, s3_server
from test_stores import no_secrets, same_recordings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stores import Server

COUNT = 400
# Long enough for something to be killed in the middle.
SLOW = ["--overlap", "97"]
SOURCE, OUT = "s3://bucket/in", "s3://bucket/out"


class Cluster:
    """Two nodes; the second can be killed, and replaced."""

    def __init__(self, url: str) -> None:
        self.environment = {**os.environ, **environment(url), "RAY_USAGE_STATS_ENABLED": "0"}
        script = str(Path(__file__).parent / "ray_cluster.py")
        self._process = subprocess.Popen(
            [sys.executable, script],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read()

    def _read(self) -> None:
        line = ""
        while not line.startswith("{"):
            line = self._process.stdout.readline()
            assert line, "Ray does not start"
        known = json.loads(line)
        self.address, self.raylet = known["address"], known["raylet"]

    def replace(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._read()

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with the server's keys in its environment."""
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def start(self, *options: str, source: str = SOURCE, out: str = OUT) -> subprocess.Popen[str]:
        command = [HEARTFAST, "convert", source, "-o", out, "--engine", "ray"]
        command += ["--address", self.address, "--to", "tar", "--shard-mb", "0.3", *options]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


class Bench(NamedTuple):
    server: Server
    cluster: Cluster

    @property
    def out(self) -> Path:
        return self.server.root / "bucket/out"

    def parts(self) -> int:
        return len(list(self.out.glob("parts/*")))

    def until_some_are_done(self, process: subprocess.Popen[str], count: int = 3) -> None:
        while self.parts() < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("ray")
    with s3_server(root) as server:
        corpus(root / "bucket/in", COUNT)
        cluster = Cluster(server.url)
        yield Bench(server, cluster)
        cluster.close()


@pytest.fixture
def bench(running) -> Iterator[Bench]:
    yield running
    shutil.rmtree(running.out, ignore_errors=True)


@pytest.fixture(scope="module")
def local(running, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("local") / "out"
    config = heartfast.SpectrogramConfig(overlap=97)
    heartfast.convert(running.server.root / "bucket/in", out, config=config)
    return out


def ended(process: subprocess.Popen[str], bench: Bench, local: Path) -> str:
    """The run ends well, with every recording once."""
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 3, said  # two recordings are damaged
    assert f"{COUNT} pictures in {OUT}, 2 failed" in said
    assert "bad.wav" in said
    assert "none.flac" in said
    same_recordings(bench.out, local)
    entries = (bench.out / "manifest.jsonl").read_text().splitlines()[1:]
    assert len({json.loads(line)["path"] for line in entries}) == len(entries) == COUNT + 2
    no_secrets(said, *tree(bench.out).values())
    return said


def test_two_nodes(bench, local):
    said = ended(bench.cluster.start(*SLOW), bench, local)
    assert "Traceback" not in said


def test_a_node_that_is_killed(bench, local):
    process = bench.cluster.start(*SLOW)
    bench.until_some_are_done(process)
    os.kill(bench.cluster.raylet, signal.SIGKILL)
    ended(process, bench, local)
    bench.cluster.replace()


def workers() -> list[int]:
    """Processes at work on a task."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if (entry / "cmdline").read_bytes().startswith(b"ray::run_task"):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def test_workers_that_are_killed(bench, local):
    process = bench.cluster.start(*SLOW)
    killed = 0
    while killed < 3 and process.poll() is None:
        bench.until_some_are_done(process)
        for pid in workers()[:1]:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        time.sleep(0.3)
    assert killed
    ended(process, bench, local)


def test_a_driver_that_is_killed(bench, local):
    for _ in range(2):
        before = bench.parts()
        process = bench.cluster.start(*SLOW)
        bench.until_some_are_done(process, before + 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    done = bench.parts()
    said = ended(bench.cluster.start(*SLOW), bench, local)
    assert done >= 4
    assert "recordings by an earlier run" in said


def test_an_interrupted_run_says_how_it_goes_on(bench, local):
    process = bench.cluster.start(*SLOW)
    bench.until_some_are_done(process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "the same command goes on from there" in said
    ended(bench.cluster.start(*SLOW), bench, local)


def test_a_server_that_stops_and_fails(running, local):
    """500 and 503 now and then, and five seconds without an answer."""

    def fails(number: int) -> int | None:
        return (500, 503)[number % 2] if number % 11 == 5 else None

    with failing(running.server, fails) as url:
        cluster = Cluster(url)
        bench = Bench(running.server, cluster)
        process = cluster.start(*SLOW)
        bench.until_some_are_done(process)
        running.server.stop()
        time.sleep(5)
        running.server.start()
        ended(process, bench, local)
        cluster.close()
    shutil.rmtree(running.out, ignore_errors=True)


def test_real_recordings(bench, shared_data, tmp_path):
    """PASCAL's set B, from the bucket to shards in the bucket."""
    source = shared_data / "pascal/set_b"
    shutil.copytree(source, bench.server.root / "bucket/pascal")
    options = ["--labels", "pascal"]
    process = bench.cluster.start(*options, "--shard-mb", "2", source="s3://bucket/pascal")
    said = process.communicate(timeout=240)[1]
    assert process.returncode in (0, 3), said
    heartfast.convert(source, tmp_path / "local", labels="pascal")
    same_recordings(bench.out, tmp_path / "local")
    assert len(list(bench.out.glob("pictures-*.tar"))) > 5


def test_batches_of_ray_data(bench, tmp_path):
    """The pipeline of somebody who has one."""
    script = """
        import sys
        import ray
        import heartfast

        ray.init(address=sys.argv[1], log_to_driver=False)
        recordings = ray.data.read_binary_files(sys.argv[2], include_paths=True)
        config = heartfast.SpectrogramConfig(overlap=75)
        pictures = recordings.map_batches(heartfast.convert_batch, fn_kwargs={"config": config})
        pictures.write_parquet(sys.argv[3])
    """
    source = bench.server.root / "bucket/in"
    arguments = [bench.cluster.address, str(source), str(tmp_path / "out")]
    ran = bench.cluster.run(sys.executable, "-c", textwrap.dedent(script), *arguments)
    assert ran.returncode == 0, ran.stderr[-3000:]
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "out").to_pylist()
    config = heartfast.SpectrogramConfig(overlap=75)
    expected = heartfast.convert(source, tmp_path / "local", config=config)
    known = {r.recording: (tmp_path / "local" / r.file_name).read_bytes() for r in expected.records}
    assert {row["path"]: row["image"] for row in table if row["image"]} == known
    failed = {row["path"]: row["error"] for row in table if row["error"]}
    assert failed == {error.path: error.message for error in expected.errors}


def test_features_and_fits_on_the_cluster(bench, tmp_path):
    """From recordings in the bucket to a model: only features come to this process."""
    folder = bench.server.root / "bucket/hearts"
    heartfast.synth.write_corpus(folder, patients=24, recordings=2, seed=3)
    options = ["--labels", "folders", "--features"]
    process = bench.cluster.start(*options, source="s3://bucket/hearts")
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said
    model = tmp_path / "far.heartfast"
    command = [HEARTFAST, "train", OUT, "-o", str(model), "--engine", "ray"]
    command += ["--address", bench.cluster.address, "--json"]
    few = ["--folds", "2", "--repeats", "1", "--trials", "1"]
    ran = bench.cluster.run(*command, *few)
    assert ran.returncode == 0, ran.stderr
    heartfast.convert(folder, tmp_path / "pictures", labels="folders")
    here = heartfast.train(
        tmp_path / "pictures",
        tmp_path / "near.heartfast",
        folds=2,
        repeats=1,
        trials=1,
        join_duplicates=False,
    )
    assert json.loads(ran.stdout)["best"] == here.best
    assert model.read_bytes() == (tmp_path / "near.heartfast").read_bytes()
    budget = bench.cluster.run(*command, "--time-budget", "3s")
    assert budget.returncode == 0, budget.stderr
    assert "the time budget of 3 s was over" in budget.stderr


def test_no_cluster_there(tmp_path):
    (tmp_path / "in").mkdir()
    command = [HEARTFAST, "convert", str(corpus(tmp_path / "in", 3)), "-o", str(tmp_path / "out")]
    command += ["--engine", "ray", "--address", "ray://127.0.0.1:1"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 1
    assert "heartfast convert: ray: expected a cluster at ray://127.0.0.1:1, found: " in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_the_package_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(heartfast.HeartfastError, match=r"pip install 'heartfast\[ray\]'"):
        heartfast.convert(corpus(tmp_path / "in", 3), tmp_path / "out", engine="ray")
