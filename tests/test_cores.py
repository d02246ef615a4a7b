"""`jobs` is by default what the system lets this process have: cores, and quotas of groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heartfast import parallel
from heartfast.parallel import cores


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system of 64 cores; `system(text, files)` says which groups this process is in."""
    (tmp_path / "proc/self").mkdir(parents=True)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(parallel, "_PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(parallel, "_CGROUPS", str(tmp_path / "groups"))

    def make(text: str, files: dict[str, str]) -> None:
        (tmp_path / "proc/self/cgroup").write_text(text)
        for name, content in files.items():
            path: Path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


V2 = "0::/kube/pod/box\n"
V1 = "12:cpuset:/\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/\n"


@pytest.mark.parametrize(
    ("text", "files", "wanted"),
    [
        (V2, {"kube/pod/box/cpu.max": "200000 100000\n"}, 2),
        (V2, {"kube/pod/box/cpu.max": "150000 100000\n"}, 2),
        (V2, {"kube/pod/box/cpu.max": "1000 100000\n"}, 1),
        (V2, {"kube/pod/box/cpu.max": "max 100000\n"}, 64),
        (V2, {"kube/pod/box/cpu.max": "max 100000\n", "kube/cpu.max": "300000 100000\n"}, 3),
        (V2, {"cpu.max": "400000 100000\n"}, 4),  # a container that sees the host's path
        ("0::/../../outside\n", {"cpu.max": "400000 100000\n"}, 4),
        (V2, {"kube/pod/box/cpu.max": ""}, 64),
        (V2, {"kube/pod/box/cpu.max": "0 0\n"}, 64),
        (V2, {}, 64),
        (
            V1,
            {
                "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "50000\n",
            },
            5,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        (V1, {"cpu/cpu.cfs_quota_us": "700000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 7),
        ("nonsense\n\n:::\n", {}, 64),
    ],
)
def test_quotas(system, text, files, wanted):
    system(text, files)
    assert cores(None) == wanted
    assert cores(9) == 9  # who says a number has it


def test_the_smaller_of_both(system, monkeypatch):
    system(V2, {"kube/pod/box/cpu.max": "1000000 100000\n"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert cores(None) == 2


def test_without_control_groups(monkeypatch, tmp_path):
    monkeypatch.setattr(parallel, "_PROC", str(tmp_path / "nowhere"))
    assert cores(None) == len(os.sched_getaffinity(0))
