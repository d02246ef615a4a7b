"""Runs that are killed, interrupted or hindered, and continued: the same bytes in the end."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.errors import ConfigMismatchError, StoppedError
from resuming import HEARTFAST, SINKS, SLOW, convert, corpus, tree

# Killed runs for each of them; `make soak` asks for more.
KILLS = int(os.environ.get("HEARTFAST_KILLS", "4"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    return corpus(tmp_path_factory.mktemp("resume") / "in", 60)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """A fifth of a second's work."""
    return corpus(tmp_path_factory.mktemp("many") / "in", 300)


@pytest.fixture(scope="module")
def undisturbed(many, tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """What each sink has to show after one run."""
    found = {}
    for sink, options in SINKS.items():
        out = tmp_path_factory.mktemp("undisturbed") / "out"
        assert convert(many, out, *options, *SLOW).returncode == 3
        found[sink] = tree(out)
    return found


def whole(out: Path, expected: dict[str, bytes]) -> None:
    """What is seen under a final name is what it will be in the end, or an archive's beginning."""
    for name, content in tree(out).items():
        base = os.path.basename(name)
        if base.startswith(".") or base == "manifest.jsonl":
            continue
        # The table of a run that was stopped has fewer rows.
        if base in ("metadata.csv", "errors.jsonl"):
            assert content.endswith(b"\n")
        else:
            assert content == expected[name], name


def test_the_same_bytes_from_all_sinks(undisturbed):
    """The pictures, and what is said of them, do not depend on where they are put."""
    loose = {n: c for n, c in undisturbed["dir"].items() if n.endswith(".png")}
    assert len(loose) == 300
    for sink in ("tar", "zip", "tar shards", "zip shards, synced"):
        members: dict[str, bytes] = {}
        shards = sorted(n for n in undisturbed[sink] if n.startswith("pictures"))
        assert (len(shards) > 3) == ("shards" in sink)
        for shard in shards:
            content = undisturbed[sink][shard]
            if "shards" in sink:
                # A picture that is larger has an archive of its own.
                assert len(content) < max(0.05e6, *map(len, loose.values())) + 4096
            file = io.BytesIO(content)
            if "tar" in sink:
                with tarfile.open(fileobj=file) as archive:
                    members |= {m.name: archive.extractfile(m).read() for m in archive}
            else:
                with zipfile.ZipFile(file) as archive:
                    assert archive.testzip() is None
                    members |= {name: archive.read(name) for name in archive.namelist()}
        assert {n: c for n, c in members.items() if n.endswith(".png")} == loose
        assert undisturbed[sink]["metadata.csv"] == undisturbed["dir"]["metadata.csv"]
        rows = undisturbed["dir"]["metadata.csv"].decode().splitlines()[1:]
        for row in rows:
            name, _, _, _, rate, seconds, sha256 = row.split(",")
            told = json.loads(members[name.removesuffix(".png") + ".json"])
            assert (told["file_name"], told["sample_rate"]) == (name, int(rate))
            assert (told["duration_s"], told["sha256"]) == (float(seconds), sha256)


@pytest.mark.parametrize("sink", SINKS)
def test_killed_at_any_moment(many, undisturbed, tmp_path, sink):
    chance = random.Random(sink)  # noqa: S311
    options = [*SINKS[sink], *SLOW, "--jobs", str(1 + len(sink) % 2)]
    amid = 0
    for kill in range(KILLS):
        out = tmp_path / str(kill)
        killed = 0
        # Once more in the middle of the continued run.
        for _ in range(1 + kill % 2):
            command = [HEARTFAST, "convert", str(many), "-o", str(out), *options]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            if chance.random() < 0.9:
                while not (out / "manifest.jsonl").exists():
                    time.sleep(0.0005)
            time.sleep(chance.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
            if out.exists():
                whole(out, undisturbed[sink])
                begun, ended = out / "manifest.jsonl", out / "metadata.csv"
                amid += begun.exists() and not ended.exists()
        assert convert(many, out, *options).returncode == 3
        assert tree(out) == undisturbed[sink], (kill, killed)
    print(f"{sink}: {amid} killed in the middle of the work")  # noqa: T201
    assert amid >= KILLS // 4 or KILLS < 20


@pytest.fixture(scope="module")
def shim(tool, tmp_path_factory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "fault.so"
    source = Path(__file__).parent / "faults" / "fault.c"
    subprocess.run([tool("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("sink", ["dir", "zip shards, synced", "tar"])
def test_every_call_fails_in_turn(shim, tmp_path, sink):
    """What went wrong is named, and a second run makes up for it."""
    source = corpus(tmp_path / "in", 6)
    options = [*SINKS[sink], "--jobs", "1"]
    assert convert(source, tmp_path / "expected", *options).returncode == 3
    expected = tree(tmp_path / "expected")
    codes = []
    for at in range(1, 500):
        out, seen = tmp_path / f"out{at}", tmp_path / f"seen{at}"
        faults = {"FAULT_DIR": str(out), "FAULT_AT": str(at), "FAULT_SEEN": str(seen)}
        env = {**os.environ, "LD_PRELOAD": str(shim), **faults}
        hindered = convert(source, out, *options, env=env)
        if not seen.exists():
            assert hindered.returncode == 3
            break
        where = seen.read_text()
        codes.append(hindered.returncode)
        assert hindered.returncode in (1, 3), (where, hindered)
        assert "Traceback" not in hindered.stderr, hindered.stderr
        if hindered.returncode == 1:
            assert str(out) in hindered.stderr, (where, hindered.stderr)
        if out.exists():
            whole(out, expected)
        assert convert(source, out, *options).returncode == 3
        assert tree(out) == expected, where
    assert 15 < len(codes) < 490
    assert 1 in codes


def test_only_what_is_missing_is_done(recordings, tmp_path):
    out = tmp_path / "out"
    first = heartfast.convert(recordings, out)
    before = tree(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    again = heartfast.convert(recordings, out)
    assert (first.known, again.known, again.pictures) == (0, 62, 60)
    assert [e[1:] for e in again.errors] == [e[1:] for e in first.errors]
    assert again.records == first.records
    gone = sorted(times)[7]
    gone.unlink()
    assert heartfast.convert(recordings, out).known == 61
    assert tree(out) == before
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert [path for path in times if after[path] != times[path]] == [gone]


@pytest.mark.parametrize("sink", ["dir", "tar shards", "zip"])
def test_changed_and_new_and_gone_recordings(tmp_path, sink):
    source = corpus(tmp_path / "in", 12)
    out, options = tmp_path / "out", SINKS[sink]
    convert(source, out, *options)
    rng = np.random.default_rng(1)
    soundfile.write(source / "1" / "001.wav", rng.normal(0, 0.1, 2000), 4000)
    soundfile.write(source / "1" / "new.wav", rng.normal(0, 0.1, 2500), 4000)
    assert convert(source, out, *options).returncode == 3
    (source / "2" / "002.wav").rename(tmp_path / "elsewhere.wav")
    # Its picture stays, though nothing is left to make it from.
    assert convert(source, out, *options).returncode == 3
    result = sorted(line.split(",")[0] for line in (out / "metadata.csv").read_text().splitlines())
    assert {"1/new.png", "2/002.png"} <= set(result)
    (tmp_path / "elsewhere.wav").rename(source / "2" / "002.wav")
    assert convert(source, out, *options).returncode == 3
    fresh = tmp_path / "fresh"
    convert(source, fresh, *options)
    for name in ("metadata.csv", "errors.jsonl"):
        assert (out / name).read_bytes() == (fresh / name).read_bytes()
    if sink == "dir":
        assert tree(out) == tree(fresh)


def test_a_gap_among_the_archives(tmp_path):
    """All are made anew, and none of the old ones stays behind the gap."""
    source, out = corpus(tmp_path / "in", 40), tmp_path / "out"
    options = SINKS["tar shards"]
    convert(source, out, *options)
    assert len(list(out.glob("pictures-*.tar"))) > 3
    (out / "pictures-000001.tar").unlink()
    for path in source.glob("[1-4]/*.wav"):
        path.unlink()
    assert convert(source, out, *options).returncode == 3
    convert(source, tmp_path / "fresh", *options)
    assert tree(out) == tree(tmp_path / "fresh")


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_outside_of_the_folder_is_removed(recordings, tmp_path, overwrite):
    """Whatever a manifest says that someone else has written."""
    out, beside = tmp_path / "out", tmp_path / "out2"
    heartfast.convert(recordings, out)
    beside.mkdir()
    (beside / "x.png").write_bytes(b"mine")
    line = (out / "manifest.jsonl").read_text().splitlines()[2]
    for field in ("file_name", "pictures"):
        for led in ("../out2/x.png", str(beside / "x.png")):
            entry = json.loads(line)
            (picture,) = entry["pictures"]
            entry["pictures"] = [[led, *picture[1:]]]
            if field == "file_name":
                entry["file_name"] = led
            with (out / "manifest.jsonl").open("a") as file:
                file.write(json.dumps(entry) + "\n")
            heartfast.convert(recordings, out, overwrite=overwrite)
            assert (beside / "x.png").read_bytes() == b"mine"


def test_fewer_segments_leave_no_picture_behind(tmp_path):
    source, out = tmp_path / "x.wav", tmp_path / "out"
    rng = np.random.default_rng(1)
    soundfile.write(source, rng.normal(0, 0.1, 20_000), 4000)
    heartfast.convert(source, out, segment_s=1.0)
    assert len(list(out.glob("*.png"))) == 5
    soundfile.write(source, rng.normal(0, 0.1, 9000), 4000)
    assert [r.file_name for r in heartfast.convert(source, out, segment_s=1.0).records] == [
        "x_0.png",
        "x_1000.png",
        "x_2000.png",
    ]
    assert len(list(out.glob("*.png"))) == 3


def test_other_settings_are_refused_with_the_difference(recordings, tmp_path):
    out = tmp_path / "out"
    heartfast.convert(recordings, out)
    before = tree(out)
    config = heartfast.SpectrogramConfig(overlap=75, colormap="magma")
    with pytest.raises(ConfigMismatchError) as caught:
        heartfast.convert(recordings, out, config=config, png="small")
    said = str(caught.value)
    assert "overlap 75.0 (there 50.0)" in said
    assert "colormap magma (there gray)" in said
    assert "png small (there fast)" in said
    assert "window" not in said
    assert tree(out) == before
    heartfast.convert(recordings, out, config=config, overwrite=True)
    heartfast.convert(recordings, tmp_path / "fresh", config=config)
    assert tree(out) == tree(tmp_path / "fresh")


def test_overwrite_removes_only_its_own(recordings, tmp_path):
    out = tmp_path / "out"
    heartfast.convert(recordings, out)
    (out / "notes.txt").write_text("mine")
    heartfast.convert(recordings, out, overwrite=True, to="zip")
    assert {path.name for path in out.rglob("*") if path.is_file()} == {
        "notes.txt", "pictures.zip", "manifest.jsonl", "metadata.csv", "errors.jsonl",
    }  # fmt: skip
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"found 'notes\.txt' in it"):
        heartfast.convert(recordings, tmp_path / "other", overwrite=True)


def test_check_finds_changed_pictures(recordings, tmp_path):
    out = tmp_path / "out"
    heartfast.convert(recordings, out)
    before = tree(out)
    path = sorted(out.rglob("*.png"))[3]
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert heartfast.convert(recordings, out).known == 62
    checked = heartfast.convert(recordings, out, check=True)
    assert checked.known == 61
    assert "converted once more" in checked.notes[0]
    assert tree(out) == before


def test_too_many_errors(tmp_path):
    source, out = corpus(tmp_path / "in", 6), tmp_path / "out"
    with pytest.raises(StoppedError, match=r"at most 0 errors, found 1 in \d of 8 recordings"):
        heartfast.convert(source, out, max_errors=0, jobs=1)
    stopped = convert(source, tmp_path / "b", "--on-error", "stop", "--jobs", "1")
    assert stopped.returncode == 1
    assert "failed: " in stopped.stderr
    assert heartfast.convert(source, out).pictures == 6
    heartfast.convert(source, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def test_two_runs_in_one_folder(recordings, tmp_path):
    import fcntl

    out = tmp_path / "out"
    heartfast.convert(recordings, out)
    with (out / "manifest.jsonl").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another run is at work in this folder"):
            heartfast.convert(recordings, out)


def test_leftovers_are_swept(recordings, tmp_path):
    out = tmp_path / "out"
    heartfast.convert(recordings, out)
    before = tree(out)
    (out / "1" / ".heartfast-99-3.part").write_bytes(b"half of a picture")
    (out / ".heartfast-99-4.part").write_bytes(b"half of a table")
    heartfast.convert(recordings, out)
    assert tree(out) == before


def test_a_folder_that_cannot_be_written_to(recordings, tmp_path):
    if os.geteuid() == 0:
        # Root may write anywhere but here.
        out = Path("/proc/heartfast")
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        out = tmp_path / "locked" / "out"
    ended = convert(recordings, out)
    assert ended.returncode == 1
    assert str(out) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
