"""Conversion in tasks on local folders: the plan, the sinks, shares and merging."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import heartfast
from heartfast.cluster.plan import Plan, Request
from heartfast.cluster.spool import Sorted, repeated
from heartfast.errors import ConfigMismatchError, DatasetError, StoppedError
from heartfast.limits import Limits
from heartfast.recordings import find_recordings, picture_names
from resuming import HEARTFAST, SLOW, convert, corpus, tree

MB = 0.05  # some dozen recordings to a task
COUNT = 60


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    return corpus(tmp_path_factory.mktemp("tasks") / "in", COUNT)


@pytest.fixture(scope="module")
def local(recordings, tmp_path_factory) -> Path:
    """What one machine's batch makes of them."""
    out = tmp_path_factory.mktemp("local") / "out"
    heartfast.convert(recordings, out)
    return out


def pictures(out: Path) -> dict[str, bytes]:
    """All pictures in a folder, whatever they are in."""
    found = {n: c for n, c in tree(out).items() if n.endswith(".png") and not n.startswith(".")}
    for path in out.glob("pictures*"):
        if path.suffix == ".tar":
            with tarfile.open(path) as archive:
                members = {m.name: archive.extractfile(m).read() for m in archive}
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        else:
            import pyarrow.parquet as pq

            images = pq.read_table(path).column("image").to_pylist()
            members = {image["path"]: image["bytes"] for image in images}
        for name, content in members.items():
            if name.endswith(".png"):
                assert name not in found
                found[name] = content
    return found


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "metadata.csv", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: row["file_name"])


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def shares(recordings: Path, out: Path, count: int, **options) -> list[heartfast.Conversion]:
    return [
        heartfast.convert(recordings, out, shard=f"{i + 1}/{count}", shard_mb=MB, **options)
        for i in range(count)
    ]


def request(sources: list[Path], **changes) -> Request:
    paths = [str(source) for source in sources]
    plain = Request(paths, True, False, "none", None, False, False, 0, round(MB * 1e6))
    return plain._replace(**changes)


@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9)), max_size=60),
    st.integers(1, 7),
)
@settings(max_examples=60)
def test_sorting_on_the_disk(items, piece):
    import tempfile

    from heartfast.cluster import spool

    before, spool._PIECE = spool._PIECE, piece
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = Sorted(iter(items), folder)
            assert list(found) == sorted(items)
            assert list(found) == sorted(items)  # as often as wanted
    finally:
        spool._PIECE = before


@given(st.lists(st.text(alphabet="abc", max_size=3), max_size=200))
@settings(max_examples=60)
def test_what_is_there_twice(keys):
    import tempfile

    count = Counter(keys)
    with tempfile.TemporaryDirectory() as folder:
        assert repeated(keys, folder) == {i for i, key in enumerate(keys) if count[key] > 1}
        assert not os.listdir(folder)


def test_every_recording_is_in_one_task(recordings):
    with Plan(request([recordings]), Limits()) as plan:
        tasks = [json.loads(plan.task(i)) for i in range(plan.tasks)]
        assert [len(task) for task in tasks] == list(plan.counts)
    found = find_recordings(recordings)
    paths = [row[0] for task in tasks for row in task]
    assert paths == [recording.path for recording in found]
    assert plan.recordings == len(paths)
    assert plan.tasks > 5
    # By size, as far as that goes with whole recordings.
    weights = [sum(row[3] + 8192 for row in task) for task in tasks]
    assert max(weights) <= MB * 1e6
    assert min(weights[:-1]) > 0.4 * MB * 1e6
    for task in tasks:
        for path, _, _, size, mtime_ns, *_ in task:
            known = os.stat(path)
            assert (size, mtime_ns) == (known.st_size, known.st_mtime_ns)


def test_a_plan_is_always_the_same(recordings):
    def made() -> list[bytes]:
        with Plan(request([recordings]), Limits()) as plan:
            return [plan.task(i) for i in range(plan.tasks)]

    assert made() == made()


def test_pictures_are_named_as_by_one_machine(tmp_path):
    """Where names would be the same: by extension, folder and case."""
    for name in ("a/x.wav", "a/x.flac", "b/x.wav", "b/X.wav", "y.wav", "c/.wav.wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "labels.csv").write_text("file_name,label\n" + "".join(
        f"{path},m\n" for path in sorted((tmp_path / "in").rglob("*.*")) if path.is_file()
    ))  # fmt: skip
    found = find_recordings(tmp_path / "in")
    for labels, folders in (
        ("none", [os.path.dirname(r.name) for r in found]),
        (str(tmp_path / "labels.csv"), ["m"] * len(found)),
    ):
        with Plan(request([tmp_path / "in"], labels=labels), Limits()) as plan:
            named = [row[5] for i in range(plan.tasks) for row in json.loads(plan.task(i))]
        expected, _ = picture_names(found, folders)
        assert sorted(n.casefold() for n in named) == sorted({n.casefold() for n in named})
        assert set(named) == set(expected)
    # A name that is one only because others were renamed.
    (tmp_path / "in/x.wav.mp3").write_bytes(b"")
    with open(tmp_path / "labels.csv", "a") as file:
        file.write(f"{tmp_path / 'in/x.wav.mp3'},m\n")
    with Plan(request([tmp_path / "in"], labels=str(tmp_path / "labels.csv")), Limits()) as plan:
        named = [row[5] for i in range(plan.tasks) for row in json.loads(plan.task(i))]
    assert len({name.casefold() for name in named}) == len(found) + 1


@pytest.mark.parametrize("to", ["dir", "tar", "zip", "parquet"])
def test_shares_make_what_one_machine_makes(recordings, local, tmp_path, to):
    out = tmp_path / "out"
    done = shares(recordings, out, 3, to=to)
    assert sum(one.done for one in done) == done[0].tasks > 5
    assert not (out / "metadata.csv").exists()  # nobody knows of all of it yet
    merged = heartfast.merge([str(out)])
    assert pictures(out) == pictures(local)
    packed = to in ("tar", "zip")
    assert rows(out) == rows(local)
    assert merged.pictures == len(rows(local)) == sum(one.pictures for one in done)
    assert merged.recordings == COUNT + 2
    assert merged.failed == 2
    errors, expected = lines(out / "errors.jsonl"), lines(local / "errors.jsonl")
    assert sorted(errors, key=str) == sorted(expected, key=str)
    for entry in lines(out / "manifest.jsonl")[1:]:
        if packed and entry["pictures"]:
            with (tarfile.open if to == "tar" else zipfile.ZipFile)(
                out / entry["archive"]
            ) as found:
                names = found.getnames() if to == "tar" else found.namelist()
            assert entry["pictures"][0][0] in names
    assert not [name for name in os.listdir(out) if name.startswith(".heartfast")]


def test_one_command_does_all_tasks_and_merges(recordings, local, tmp_path):
    done = convert(recordings, tmp_path / "out", "--to", "parquet", "--shard-mb", str(MB), "--json")
    assert done.returncode == 3
    result = json.loads(done.stdout)
    assert result["failed"] == 2
    assert result["tasks"] == result["done"]
    assert "failed: " in done.stderr
    assert "bad.wav" in done.stderr
    again = heartfast.convert(recordings, tmp_path / "out", to="parquet", shard_mb=MB)
    assert again.known == COUNT + 2
    assert [e.path for e in again.errors] == [str(recordings / n) for n in ("bad.wav", "none.flac")]
    assert [r.file_name for r in again.records] == [row["file_name"] for row in rows(local)]


def test_a_killed_run_goes_on(recordings, tmp_path):
    """Killed in the middle, again and again: the same files as undisturbed."""
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    options = ["--to", "tar", "--shard", "1/1", "--shard-mb", str(MB), *SLOW]
    assert convert(recordings, undisturbed, *options).returncode == 3
    command = [HEARTFAST, "convert", str(recordings), "-o", str(out), *options]
    killed = 0
    for wait in (0.25, 0.3, 0.35, 0.4, 0.3, 0.3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed
    assert convert(recordings, out, *options).returncode == 3
    assert tree(out) == tree(undisturbed)


def test_what_is_missing_is_named(recordings, tmp_path):
    out = tmp_path / "out"
    heartfast.convert(recordings, out, shard="2/3", shard_mb=MB)
    with pytest.raises(
        DatasetError, match=r"expected all \d+ tasks, found no part of \d+: 1, 3 to 4"
    ):
        heartfast.merge([str(out)])
    for share in ("1/3", "3/3"):
        heartfast.convert(recordings, out, shard=share, shard_mb=MB)
    part = sorted((out / "parts").iterdir())[4]
    part.unlink()
    with pytest.raises(DatasetError, match="no part of 1: 5;"):
        heartfast.merge([str(out)])
    part.write_bytes(b"{}\n")
    with pytest.raises(DatasetError, match=f"{part.name}: expected a part of heartfast's"):
        heartfast.merge([str(out)])
    part.unlink()
    heartfast.convert(recordings, out, shard="2/3", shard_mb=MB)  # its own, once more
    assert heartfast.merge([str(out)]).recordings == COUNT + 2


def test_shares_in_folders_of_their_own(recordings, local, tmp_path):
    places = [tmp_path / f"out{i}" for i in range(3)]
    for i, place in enumerate(places):
        heartfast.convert(recordings, place, shard=f"{i + 1}/3", shard_mb=MB)
    both = [str(places[0]), str(places[1])]
    with pytest.raises(DatasetError, match="found no part of"):
        heartfast.merge(both, str(tmp_path / "merged"))
    every = [*both, str(places[2])]
    merged = heartfast.merge(every, str(tmp_path / "merged"))
    assert rows(tmp_path / "merged") == rows(local)
    assert merged.out == str(tmp_path / "merged")
    shutil.copy(next((places[1] / "parts").iterdir()), places[0] / "parts")
    with pytest.raises(DatasetError, match="expected the part of a task once, found it in"):
        heartfast.merge(every, str(tmp_path / "merged"))
    with pytest.raises(ValueError, match="out: expected a place"):
        heartfast.merge(every)
    other = tmp_path / "other"
    heartfast.convert(
        recordings, other, shard="1/3", shard_mb=MB, config=heartfast.SpectrogramConfig(overlap=75)
    )
    with pytest.raises(ConfigMismatchError, match="expected settings and recordings as of"):
        heartfast.merge([str(other), every[1]], str(tmp_path / "merged"))


def test_recordings_that_were_added(recordings, tmp_path):
    """All but the tasks that changed is kept; shares, which see others, are refused."""
    mine, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(recordings, mine)
    heartfast.convert(mine, out, to="tar", shard="1/1", shard_mb=MB)
    before = tree(out)
    shutil.copy(mine / "4/004.wav", mine / "zz.wav")
    with pytest.raises(ConfigMismatchError, match="expected the recordings that the other shares"):
        heartfast.convert(mine, out, to="tar", shard="1/2", shard_mb=MB)
    again = heartfast.convert(mine, out, to="tar", shard="1/1", shard_mb=MB)
    assert again.known > COUNT / 2
    assert "zz.png" in pictures(out)
    assert len(pictures(out)) == COUNT + 1
    (mine / "zz.wav").unlink()
    heartfast.convert(mine, out, to="tar", shard="1/1", shard_mb=MB)
    assert tree(out) == before  # no part or archive of the time between is left


def test_other_settings_and_other_files(recordings, tmp_path):
    out = tmp_path / "out"
    shares(recordings, out, 1)
    with pytest.raises(ConfigMismatchError, match=r"to tar \(there dir\)"):
        shares(recordings, out, 1, to="tar")
    with pytest.raises(FileExistsError, match="expected a new or empty"):
        heartfast.convert(recordings, tmp_path)  # has a folder in it
    (tmp_path / "more").mkdir()
    (tmp_path / "more/notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"found 'notes\.txt' in it"):
        shares(recordings, tmp_path / "more", 1)
    with pytest.raises(FileExistsError, match=r"found 'notes\.txt' in it"):
        shares(recordings, tmp_path / "more", 1, overwrite=True)
    shares(recordings, out, 1, to="tar", overwrite=True)
    assert not list(out.rglob("*.png"))
    assert len(pictures(out)) == COUNT


def test_too_many_errors(recordings, tmp_path):
    with pytest.raises(StoppedError, match=r"expected at most 0 errors, found \d"):
        heartfast.convert(recordings, tmp_path / "out", shard="1/1", shard_mb=MB, max_errors=0)
    assert convert(
        recordings, tmp_path / "cli", "--shard", "1/1", "--on-error", "stop"
    ).returncode == 1  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": "0/3"}, "expected I/N"),
        ({"shard": "4/3"}, "expected I/N"),
        ({"shard": "3"}, "expected I/N"),
        ({"shard": "a/b"}, "expected I/N"),
        ({"engine": "spark"}, "expected local or ray, found 'spark'"),
        ({"address": "auto"}, "expected it with engine ray"),
        ({"to": "parquet", "gallery": True}, "gallery"),
        ({"shard": "1/1", "shard_mb": 0}, "shard_mb: expected above 0"),
        ({"to": "hdf5"}, "expected dir, zip, tar or parquet"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(recordings, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        heartfast.convert(recordings, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_segments_and_labels(recordings, tmp_path):
    options = {"labels": "folders", "segment_s": 0.3, "channel": "each"}
    heartfast.convert(recordings, tmp_path / "local", **options)
    shares(recordings, tmp_path / "out", 2, to="zip", **options)
    heartfast.merge([str(tmp_path / "out")])
    assert pictures(tmp_path / "out") == pictures(tmp_path / "local")
    assert rows(tmp_path / "out") == rows(tmp_path / "local")


def test_archives_of_recordings(recordings, local, tmp_path):
    """Members are balanced by their own sizes, and read where they lie."""
    for kind in ("zip", "tar"):
        path = shutil.make_archive(str(tmp_path / "in"), kind, recordings)
        out = tmp_path / kind
        shares(Path(path), out, 2)
        heartfast.merge([str(out)])
        assert pictures(out) == pictures(local)
        sizes = {entry["size"] for entry in lines(out / "manifest.jsonl")[1:]}
        assert sizes == {os.path.getsize(path)}


def test_shards_load_elsewhere(recordings, tmp_path):
    """WebDataset and Hugging Face's datasets read pictures, labels and provenance."""
    import datasets
    from PIL import Image

    for to in ("tar", "parquet"):
        shares(recordings, tmp_path / to, 1, to=to, labels="folders")
    known = {row["file_name"]: row for row in rows(tmp_path / "tar")}
    # In a process of its own: it leaves files open.
    script = """
        import glob, sys, webdataset
        shards = sorted(glob.glob(sys.argv[1] + "/pictures-*.tar"))
        for sample in webdataset.WebDataset(shards, shardshuffle=False):
            print(sample["__key__"], sample["png"].hex(), sample["json"].decode())
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "tar")]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(loaded) == len(known) == COUNT
    for line in loaded:
        key, png, text = line.split(maxsplit=2)
        row = json.loads(text)
        image = Image.open(io.BytesIO(bytes.fromhex(png)))
        assert row["file_name"] == key + ".png"
        assert row["label"] == known[row["file_name"]]["label"] == row["file_name"][0]
        assert json.loads(image.text["heartfast"])["sample_rate"] == row["sample_rate"]
    table = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "parquet/*.parquet"), cache_dir=str(tmp_path / "cache")
    )["train"]
    assert isinstance(table.features["image"], datasets.Image)
    assert len(table) == COUNT
    for row in table:
        assert row["label"] == known[row["file_name"]]["label"]
        assert row["sha256"] == known[row["file_name"]]["sha256"]
        assert json.loads(row["image"].text["heartfast"])["sample_rate"] == row["sample_rate"]


def test_paths_are_whole_in_tasks(recordings, local, tmp_path, monkeypatch):
    """Who does a task may have another working directory."""
    from heartfast.cluster import convert as cluster_convert
    from heartfast.cluster.task import run_task

    def elsewhere(*arguments: object) -> object:
        monkeypatch.chdir("/")
        return run_task(*arguments)

    monkeypatch.setattr(cluster_convert, "run_task", elsewhere)
    monkeypatch.chdir(recordings.parent)
    relative = os.path.relpath(tmp_path / "out")
    done = heartfast.convert(recordings.name, relative, shard="1/2", shard_mb=MB)
    assert done.pictures > 0
    monkeypatch.undo()
    heartfast.convert(recordings, tmp_path / "out", shard="2/2", shard_mb=MB)
    heartfast.merge([str(tmp_path / "out")])
    assert pictures(tmp_path / "out") == pictures(local)


def test_failures_that_may_be_gone_are_tried_again(recordings, local, tmp_path, monkeypatch):
    """A recording that could not be read, unlike one that is damaged."""
    from heartfast.cluster import task

    mine, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(recordings, mine)
    before = task._recordings

    def without_one(*arguments: object) -> object:
        for row in before(*arguments):
            gone = row[1].endswith("003.wav")
            yield ("/nowhere.wav", "/nowhere.wav", *row[2:]) if gone else row

    monkeypatch.setattr(task, "_recordings", without_one)
    first = heartfast.convert(mine, out, shard="1/1", shard_mb=MB)
    assert first.failed == 3
    monkeypatch.undo()
    again = heartfast.convert(mine, out, shard="1/1", shard_mb=MB)
    assert again.failed == 2
    assert COUNT / 2 < again.known < COUNT + 2
    assert pictures(out) == pictures(local)
    assert not list((out / "parts").glob("*~"))
    assert heartfast.convert(mine, out, shard="1/1", shard_mb=MB).known == COUNT + 2
