"""A run that goes on leaves what a fresh run over the same sources would leave, in every sink."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from resuming import tree

LOCAL = {
    "dir": {},
    "dir with a page": {"gallery": True},
    "zip": {"to": "zip"},
    "tar shards": {"to": "tar", "shard_mb": 0.05},
    "dir, segments": {"segment_s": 0.3},
    "zip shards, segments": {"to": "zip", "shard_mb": 0.05, "segment_s": 0.3},
}
TASKS = {
    "dir in tasks": {"shard": "1/1", "shard_mb": 0.02},
    "tar in tasks": {"shard": "1/1", "shard_mb": 0.02, "to": "tar"},
    "parquet": {"to": "parquet"},
    "features": {"shard": "1/1", "shard_mb": 0.02, "features": True},
}


class Archive:
    """A folder of recordings that is changed at random."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.folder = folder
        self.chance = random.Random(seed)  # noqa: S311
        self.count = 0
        for label in "ab":
            (folder / label).mkdir(parents=True)
        for _ in range(10):
            self.add(None)

    def sound(self, path: Path, samples: int = 3000) -> None:
        self.count += 1
        rng = np.random.default_rng(self.count)
        soundfile.write(path, rng.normal(0, 0.1, samples + self.count), 4000)

    def new(self) -> Path:
        self.count += 1
        return (
            self.folder / self.chance.choice("ab") / f"{self.chance.randrange(99)}_{self.count}.wav"
        )

    def add(self, _: Path | None) -> None:
        self.sound(self.new())

    def damage(self, path: Path) -> None:
        path.write_bytes(b"garbage")

    def cut(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:50])

    def replace(self, path: Path) -> None:
        self.sound(path)

    def shrink(self, path: Path) -> None:
        self.sound(path, 700)

    def rename(self, path: Path) -> None:
        path.rename(path.with_name(self.new().name))

    def relabel(self, path: Path) -> None:
        path.rename(path.parent.parent / ("b" if path.parent.name == "a" else "a") / path.name)

    def copy(self, path: Path) -> None:
        self.new().write_bytes(path.read_bytes())

    def touch(self, path: Path) -> None:
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 5))

    def swap(self, path: Path) -> None:
        other = self.chance.choice(sorted(self.folder.glob("*/*.wav")))
        aside = path.with_name("aside")
        path.rename(aside)
        if other != path:
            other.rename(path)
        aside.rename(other)

    def delete(self, path: Path) -> None:
        path.unlink()

    def change(self, names: list[str]) -> str:
        name = self.chance.choice(names)
        getattr(self, name)(self.chance.choice(sorted(self.folder.glob("*/*.wav"))))
        return name


EDITS = ["add", "damage", "cut", "replace", "shrink", "rename", "relabel", "copy", "touch", "swap"]


def holds(folder: Path) -> tuple[dict[str, bytes], set[str]]:
    """All files and all folders."""
    return tree(folder), {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_dir()}


def check(archive: Archive, tmp_path: Path, edits: list[str], at_once: int, **options) -> None:
    out, done = tmp_path / "run" / "out", []
    for step in range(6):
        heartfast.convert(archive.folder, out, labels="folders", **options)
        fresh = tmp_path / f"fresh{step}" / "out"
        heartfast.convert(archive.folder, fresh, labels="folders", **options)
        assert holds(out) == holds(fresh), done
        done.append([archive.change(edits) for _ in range(archive.chance.randint(1, at_once))])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sink", LOCAL)
def test_one_change_between_runs(tmp_path: Path, sink: str, seed: int) -> None:
    """Without a word of what is to be removed."""
    archive = Archive(tmp_path / "in", f"{sink} {seed}")
    check(archive, tmp_path, EDITS, 1, **LOCAL[sink])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sink", LOCAL)
def test_many_changes_between_runs(tmp_path: Path, sink: str, seed: int) -> None:
    archive = Archive(tmp_path / "in", f"{sink} {seed}")
    check(archive, tmp_path, [*EDITS, "delete"], 5, prune=True, **LOCAL[sink])


@pytest.mark.parametrize("sink", TASKS)
def test_in_tasks(tmp_path: Path, sink: str) -> None:
    if TASKS[sink].get("to") == "parquet" or "features" in TASKS[sink]:
        pytest.importorskip("pyarrow")
    archive = Archive(tmp_path / "in", sink)
    check(archive, tmp_path, [*EDITS, "delete"], 5, **TASKS[sink])


def test_tables_of_labels(tmp_path: Path) -> None:
    """Labels, groups and sources that are corrected in a table, in all their columns."""
    chance = random.Random(0)  # noqa: S311
    archive = Archive(tmp_path / "in", "table")
    names = sorted(str(p.relative_to(archive.folder)) for p in archive.folder.glob("*/*.wav"))
    table = tmp_path / "labels.csv"
    for step in range(5):
        rows = [[name, *(chance.choice(["", "x", "y"]) for _ in range(3))] for name in names]
        lines = ["file_name,label,group,source", *map(",".join, rows)]
        table.write_text("\n".join(lines))
        for to in ("dir", "tar"):
            heartfast.convert(archive.folder, tmp_path / to, labels=table, to=to)
            fresh = tmp_path / f"fresh{step}" / to
            heartfast.convert(archive.folder, fresh, labels=table, to=to)
            assert holds(tmp_path / to) == holds(fresh)


def test_all_damaged_leaves_no_page(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "in", "page")
    heartfast.convert(archive.folder, tmp_path / "out", gallery=True)
    for path in archive.folder.glob("*/*.wav"):
        archive.damage(path)
    heartfast.convert(archive.folder, tmp_path / "out", gallery=True)
    heartfast.convert(archive.folder, tmp_path / "fresh", gallery=True)
    assert holds(tmp_path / "out") == holds(tmp_path / "fresh")
    assert not (tmp_path / "out" / "gallery.html").exists()
