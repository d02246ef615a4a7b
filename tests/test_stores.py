"""Recordings and pictures in object stores: a real S3 server, and one that fails."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import heartfast
from heartfast import places as place
from heartfast.cluster import task
from heartfast.places import Store, open_place
from resuming import HEARTFAST, corpus, tree
from stores import KEY, SECRET, environment, failing, s3_server
from test_tasks import MB, lines, pictures, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stores import Server

COUNT = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server with recordings in bucket/in."""
    root = tmp_path_factory.mktemp("s3")
    with s3_server(root) as running:
        corpus(root / "bucket/in", COUNT)
        yield running


@pytest.fixture
def bucket(server, monkeypatch) -> Iterator[Path]:
    """The folder behind s3://bucket."""
    yield from _connected(server.url, server, monkeypatch)


def _connected(url: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    place._store.cache_clear()
    yield server.root / "bucket"
    place._store.cache_clear()
    shutil.rmtree(server.root / "bucket/out", ignore_errors=True)


@pytest.fixture(scope="module")
def local(server, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("local") / "out"
    heartfast.convert(server.root / "bucket/in", out)
    return out


def no_secrets(*texts: str | bytes) -> None:
    for text in texts:
        data = text.encode() if isinstance(text, str) else text
        assert SECRET.encode() not in data
        assert KEY.encode() not in data


def same_recordings(out: Path, local: Path) -> None:
    assert pictures(out) == pictures(local)
    assert rows(out) == rows(local)


@pytest.mark.parametrize("to", ["dir", "tar", "zip", "parquet"])
def test_from_a_bucket_to_the_bucket(bucket, local, to):
    result = heartfast.convert("s3://bucket/in", "s3://bucket/out", to=to, shard_mb=MB)
    same_recordings(bucket / "out", local)
    assert result.failed == 2
    assert [e.path for e in result.errors] == ["s3://bucket/in/bad.wav", "s3://bucket/in/none.flac"]
    paths = {entry["path"] for entry in lines(bucket / "out/manifest.jsonl")[1:]}
    names = [path.relative_to(bucket) for path in (bucket / "in").rglob("*") if path.is_file()]
    assert paths == {f"s3://bucket/{name}" for name in names}
    again = heartfast.convert("s3://bucket/in", "s3://bucket/out", to=to, shard_mb=MB)
    assert again.known == COUNT + 2
    assert again.pictures == result.pictures == COUNT
    no_secrets(*tree(bucket / "out").values())


def test_from_a_bucket_to_a_folder_and_back(bucket, local, tmp_path):
    heartfast.convert("s3://bucket/in/", tmp_path / "out", to="tar")
    same_recordings(tmp_path / "out", local)
    heartfast.convert(bucket / "in", "s3://bucket/out", to="zip")
    same_recordings(bucket / "out", local)


def test_single_recordings_and_labels(bucket, tmp_path):
    heartfast.convert(
        ["s3://bucket/in/0/000.wav", "s3://bucket/in/1"], tmp_path / "out", labels="folders"
    )
    found = pictures(tmp_path / "out")
    assert len(found) == 1 + COUNT // 5
    assert {name.partition("/")[0] for name in found} == {"0", "1"}
    table = tmp_path / "labels.csv"
    table.write_text("file_name,label\n000.wav,a\n001.wav,b\n")
    heartfast.convert("s3://bucket/in", tmp_path / "labelled", labels=table, to="tar")
    labels = {row["file_name"]: row["label"] for row in rows(tmp_path / "labelled")}
    assert labels["a/000.png"] == "a"
    assert labels["b/001.png"] == "b"
    # The table may be in the bucket, too, and name recordings by their URLs.
    (bucket / "out").mkdir()
    (bucket / "out/labels.csv").write_text(
        "file_name,label\ns3://bucket/in/0/000.wav,a\n1/001.wav,b\n"
    )
    heartfast.convert(
        "s3://bucket/in", tmp_path / "far", labels="s3://bucket/out/labels.csv", to="tar"
    )
    assert rows(tmp_path / "far") == rows(tmp_path / "labelled")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_read_by_ranges(server, bucket, local, tmp_path, monkeypatch, kind):
    """A few requests a task, and never the whole archive on the disk."""
    shutil.make_archive(str(bucket / "out/recordings"), kind, bucket / "in")
    asked = []
    with failing(server, asked.append) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        place._store.cache_clear()
        heartfast.convert(f"s3://bucket/out/recordings.{kind}", tmp_path / "out", to="tar", jobs=1)
    same_recordings(tmp_path / "out", local)
    assert len(asked) < 2 * COUNT + 30


def test_long_recordings_are_streamed(bucket, tmp_path):
    import numpy as np
    import soundfile

    noise = np.random.default_rng(3).normal(0, 0.1, 4_000_000)
    (bucket / "out").mkdir()
    soundfile.write(bucket / "out/long.wav", noise, 8000)
    options = {"segment_s": 30.0, "sr": 4000}
    heartfast.convert("s3://bucket/out/long.wav", tmp_path / "far", to="tar", **options)
    heartfast.convert(bucket / "out/long.wav", tmp_path / "near", **options)
    same_recordings(tmp_path / "far", tmp_path / "near")


def test_a_server_that_fails_now_and_then(server, bucket, local, monkeypatch):
    """Every seventh request has 500 or 503 as its answer, some after they were done."""

    def fails(number: int) -> int | None:
        return (500, 503)[number % 2] if number % 7 == 3 else None

    with failing(server, fails) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        place._store.cache_clear()
        result = heartfast.convert("s3://bucket/in", "s3://bucket/out", to="tar", shard_mb=MB)
    assert result.failed == 2
    same_recordings(bucket / "out", local)


def test_a_server_that_stops_for_five_seconds(server, bucket, local):
    command = [
        HEARTFAST,
        "convert",
        "s3://bucket/in",
        "-o",
        "s3://bucket/out",
        "--shard-mb",
        str(MB),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list((bucket / "out").glob("parts/*")):
            assert process.poll() is None
            time.sleep(0.01)
        server.stop()
        time.sleep(5)
        server.start()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "2 failed" in said
    same_recordings(bucket / "out", local)


def test_a_server_that_is_gone(server, bucket, local, monkeypatch):
    """An error, in which nothing secret is; and the next run goes on from there."""
    monkeypatch.setattr(place, "_RETRY_S", 1)
    monkeypatch.setattr(task, "_PAUSES_S", (0.1,))
    place._store.cache_clear()
    stopped = threading.Event()

    def stop(progress: heartfast.Progress) -> None:
        if 0 < progress.done < progress.total and not stopped.is_set():
            stopped.set()
            server.stop()

    try:
        with pytest.raises(OSError, match="s3://bucket") as caught:
            heartfast.convert(
                "s3://bucket/in", "s3://bucket/out", shard_mb=MB, progress=stop, jobs=1
            )
    finally:
        server.start()
    no_secrets(str(caught.value), repr(caught.value))
    result = heartfast.convert("s3://bucket/in", "s3://bucket/out", shard_mb=MB)
    assert result.known
    same_recordings(bucket / "out", local)


def test_what_a_store_refuses(bucket, monkeypatch):
    with pytest.raises(FileNotFoundError, match="expected a recording or a folder"):
        heartfast.convert("s3://bucket/nothing", "s3://bucket/out")
    with pytest.raises(OSError, match="s3://elsewhere"):
        heartfast.convert("s3://elsewhere/in", "s3://bucket/out")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong" + SECRET)
    place._store.cache_clear()
    with pytest.raises(PermissionError, match="s3://bucket/out") as caught:
        heartfast.convert("s3://bucket/in", "s3://bucket/out")
    no_secrets(str(caught.value))
    assert not (bucket / "out").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"s3://{KEY}:{SECRET}@bucket/in", "expected a URL without user and password"),
        (f"https://example.org/x.wav?X-Amz-Signature={SECRET}", "expected a URL without a query"),
    ],
)
def test_secrets_in_urls_are_refused(tmp_path, url, message):
    for arguments in ((url, tmp_path / "out"), (tmp_path, url)):
        with pytest.raises(ValueError, match=message) as caught:
            heartfast.convert(*arguments)
        no_secrets(str(caught.value))


def test_a_recording_on_the_web(local, server, tmp_path):
    """A server of files, which knows no ranges and lists nothing that is understood."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(server.root / "bucket/in"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{web.server_port}/0/000.wav"
        result = heartfast.convert(url, tmp_path / "out")
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
    assert result.records[0].recording == url
    assert pictures(tmp_path / "out")["000.png"] == pictures(local)["0/000.png"]


@pytest.mark.usefixtures("bucket")
def test_a_place_lists_reads_and_writes(tmp_path):
    for where in ("s3://bucket/out/a b", str(tmp_path / "a b")):
        here = open_place(where)
        assert str(here) == where
        assert list(here.list("")) == []
        for name in ("é x.bin", "sub/y.bin", "sub/deep/z.bin"):
            with place.scratch(here) as folder:
                path = Path(folder) / "file"
                path.write_bytes(name.encode() * 1000)
                here.put(name, str(path))
                assert not path.exists()
        assert [found.name for found in here.list("")] == ["é x.bin"]
        assert [(found.name, found.size) for found in here.list("sub")] == [("sub/y.bin", 9000)]
        assert here.read("é x.bin") == "é x.bin".encode() * 1000
        here.delete("é x.bin")
        here.delete("é x.bin")
        with pytest.raises(FileNotFoundError):
            here.read("é x.bin")
        assert list(here.list("none")) == []
    walked = [found.name for found in Store("s3://bucket/out/a b").walk()]
    assert sorted(walked) == ["sub/deep/z.bin", "sub/y.bin"]


def test_without_the_package_it_says_so(monkeypatch, tmp_path):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(heartfast.HeartfastError, match=r"pip install 'heartfast\[cloud\]'"):
        heartfast.convert("s3://bucket/in", tmp_path / "out")
