"""Recordings that were moved, relabelled or removed between runs, and one label for each."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

import heartfast
from heartfast.errors import DatasetError
from resuming import HEARTFAST, SLOW, convert, corpus, tree
from test_continued import holds


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Forty in two classes."""
    folder = corpus(tmp_path / "in", 40)
    for name in ("bad.wav", "none.flac"):
        (folder / name).unlink()
    for label, parts in (("cat", "01"), ("dog", "234")):
        (folder / label).mkdir()
        for part in parts:
            for path in (folder / part).iterdir():
                path.rename(folder / label / path.name)
            (folder / part).rmdir()
    return folder


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "metadata.csv", newline="") as file:
        return list(csv.DictReader(file))


def move(recordings: Path) -> Path:
    moved = sorted((recordings / "cat").glob("*.wav"))[3]
    target = recordings / "dog" / moved.name
    moved.rename(target)
    return target


@pytest.mark.parametrize(
    "sink", [{}, {"to": "zip"}, {"to": "tar", "shard_mb": 0.05}, {"shard": "1/1"}]
)
def test_a_corrected_label_has_one_row(recordings: Path, tmp_path: Path, sink: dict) -> None:
    out = tmp_path / "out"
    heartfast.convert(recordings, out, labels="folders", **sink)
    target = move(recordings)
    result = heartfast.convert(recordings, out, labels="folders", **sink)
    found = rows(out)
    assert len(found) == result.pictures == 40
    assert max(Counter(row["sha256"] for row in found).values()) == 1
    same = [row for row in found if row["file_name"].endswith(f"/{target.stem}.png")]
    assert [(row["file_name"], row["label"]) for row in same] == [(f"dog/{target.stem}.png", "dog")]
    if "shard" not in sink:
        assert "1 recordings of earlier runs were moved" in " ".join(result.notes)
    heartfast.convert(recordings, tmp_path / "fresh" / "out", labels="folders", **sink)
    assert holds(out) == holds(tmp_path / "fresh" / "out")


def test_what_is_gone_stays_until_prune(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    heartfast.convert(recordings, out, labels="folders")
    before = tree(out)
    gone = sorted((recordings / "cat").glob("*.wav"))[:4]
    for path in gone:
        path.unlink()
    kept = convert(recordings, out, "--labels", "folders")
    assert kept.returncode == 0
    assert "4 recordings of earlier runs are not among the sources (4 are on no disk any more)" in (
        kept.stderr
    )
    assert tree(out) == before
    pruned = convert(recordings, out, "--labels", "folders", "--prune")
    assert pruned.returncode == 0
    assert "note: 4 recordings of earlier runs are not among the sources: their" in pruned.stderr
    heartfast.convert(recordings, tmp_path / "fresh", labels="folders")
    assert holds(out) == holds(tmp_path / "fresh")


def test_another_source_is_another_run(recordings: Path, tmp_path: Path) -> None:
    """Each brings its own, and what is on the disk is not gone."""
    out = tmp_path / "out"
    heartfast.convert(recordings / "cat", out)
    result = heartfast.convert(recordings / "dog", out)
    assert len(rows(out)) == 40
    assert "(0 are on no disk any more)" in " ".join(result.notes)
    # A copy of what is still there is another recording.
    shutil.copy(next((recordings / "cat").iterdir()), recordings / "dog" / "copy.wav")
    heartfast.convert(recordings / "dog", out)
    assert len(rows(out)) == 41


def test_prune_does_not_wipe_what_is_not_mounted(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sources = [recordings / "cat", recordings / "dog"]
    heartfast.convert(sources, out)
    before = tree(out)
    aside = tmp_path / "aside"
    (recordings / "cat").rename(aside)
    with pytest.raises(FileNotFoundError):
        heartfast.convert(sources, out, prune=True)
    (recordings / "cat").mkdir()
    with pytest.raises(DatasetError, match="expected recordings in every source"):
        heartfast.convert(sources, out, prune=True)
    assert tree(out) == before
    assert "are not among the sources" in " ".join(heartfast.convert(sources, out).notes)
    assert tree(out) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_prune_keeps_what_could_not_be_listed(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    heartfast.convert(recordings, out)
    (recordings / "cat").chmod(0)
    try:
        assert heartfast.convert(recordings, out, prune=True).failed == 1
    finally:
        (recordings / "cat").chmod(0o700)
    assert len(rows(out)) == 40


def test_an_archive_loses_nothing(recordings: Path, tmp_path: Path) -> None:
    """What is gone stands in the middle; before it something changes."""
    out = tmp_path / "out"
    heartfast.convert(recordings, out, to="zip")
    before = tree(out)
    names = sorted((recordings / "cat").glob("*.wav"))
    names[5].unlink()
    names[2].write_bytes(b"garbage")
    with pytest.raises(OSError, match=r"the 1 recordings of earlier runs .* --prune"):
        heartfast.convert(recordings, out, to="zip")
    assert tree(out) == before
    heartfast.convert(recordings, out, to="zip", prune=True)
    heartfast.convert(recordings, tmp_path / "fresh", to="zip")
    assert tree(out) == tree(tmp_path / "fresh")


def test_killed_while_labels_are_corrected(recordings: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    assert convert(recordings, start, "--labels", "folders", *SLOW).returncode == 0
    for path in sorted((recordings / "cat").glob("*.wav"))[::2]:
        path.rename(recordings / "dog" / path.name)
    fresh = tmp_path / "fresh"
    assert convert(recordings, fresh, "--labels", "folders", *SLOW).returncode == 0
    for kill in range(6):
        out = tmp_path / f"out{kill}"
        shutil.copytree(start, out)
        command = [HEARTFAST, "convert", str(recordings), "-o", str(out), "--labels", "folders"]
        process = subprocess.Popen([*command, *SLOW], stderr=subprocess.DEVNULL)
        time.sleep(0.05 + 0.05 * kill)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert convert(recordings, out, "--labels", "folders", *SLOW).returncode == 0
        assert holds(out) == holds(fresh)


def test_pack_refuses_two_labels_for_one_recording(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = sorted((recordings / "cat").glob("*.wav"))[0]
    shutil.copy(path, recordings / "dog" / "other.wav")
    heartfast.convert(recordings, out, labels="folders", segment_s=0.4)
    with pytest.raises(DatasetError) as caught:
        heartfast.pack(out, tmp_path / "sets")
    said = str(caught.value)
    assert "'cat'" in said
    assert "'dog/other_0.png'" in said
    assert not (tmp_path / "sets").exists()


def test_segments_may_have_labels_of_their_own(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    heartfast.convert(recordings, out, labels="folders", segment_s=0.4)
    table = rows(out)
    for row in table:
        row["label"] = "early" if row["file_name"].endswith("_0.png") else "late"
        row["group"] = row["sha256"]
    with open(out / "metadata.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    assert heartfast.pack(out, tmp_path / "sets").classes == ["early", "late"]
