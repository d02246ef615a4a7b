"""`heartfast bench`: the speed of this machine, beside what else is installed on it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.bench.jobs import PEERS, Run, cpu_name, draw, heartfast, make_corpus
from heartfast.bench.stages import time_stages
from heartfast.parallel import cores
from heartfast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heartfast.progress import ProgressCallback


class BenchResult(NamedTuple):
    """What `bench` measured."""

    version: str
    cpu: str
    cores: int
    # The corpus: how many recordings, and their seconds of audio.
    recordings: int
    audio_s: float
    # Seconds of each stage on one thread.
    stages: dict[str, float]
    # By number of threads, and by tool: what the processes took, turn by turn.
    threads: dict[int, list[Run]]
    peers: dict[str, list[Run]]
    # Tools that are not here, and why.
    skipped: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        plain = self._asdict()
        plain["threads"] = {str(n): _plain(runs) for n, runs in self.threads.items()}
        plain["peers"] = {name: _plain(runs) for name, runs in self.peers.items()}
        return plain

    def to_text(self) -> str:
        """Tables of medians."""
        hours = self.audio_s / 3600
        one = _median(self.threads[1])
        turns = len(self.threads[1])
        lines = [
            f"heartfast {self.version} on {self.cpu}, {self.cores} cores",
            f"{self.recordings} recordings, {self.audio_s:,.0f} s of audio, into pictures; median"
            f" of {turns}; h/CPU-s: hours of audio a second of CPU time",
            "",
            f"{'stage, one thread':24}{'s':>8}{'share':>8}{'h/CPU-s':>10}",
        ]
        total = sum(self.stages.values())
        for stage, seconds in self.stages.items():
            share, rate = seconds / total, hours / seconds
            lines.append(f"{stage:24}{seconds:8.3f}{share:8.0%}{rate:10.1f}")
        lines += ["", f"{'whole process, threads':24}{'CPU s':>8}{'wall s':>8}{'h/CPU-s':>10}"]
        for n, runs in self.threads.items():
            run = _median(runs)
            lines.append(f"{n:<24}{run.cpu_s:8.2f}{run.wall_s:8.2f}{hours / run.cpu_s:10.2f}")
        lines += ["", f"{'whole process, tool':24}{'CPU s':>8}{'':8}{'h/CPU-s':>10}  CPU time"]
        for name, runs in self.peers.items():
            cost = _median(runs).cpu_s
            times = f"{cost / one.cpu_s:.1f} x heartfast's"
            lines.append(f"{name:24}{cost:8.2f}{'':8}{hours / cost:10.2f}  {times}")
        lines += [f"{name:24} skipped: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def bench(
    *, quick: bool = False, jobs: int | None = None, progress: ProgressCallback | None = None
) -> BenchResult:
    """Measure the tile job on recordings that are made for it, in a temporary folder.

    Every tool draws the same pictures (50 ms Gaussian window, 50 % overlap, 80 dB, one pixel a
    bin and frame, 8-bit gray PNG), in processes of their own and by turns; CPU time is that of
    the whole process, start-up and writing included.

    Parameters
    ----------
    quick : bool
        8 recordings and one turn, which start-up dominates, instead of 500 and three.
    jobs : int, optional
        Most threads; one per core by default.
    progress : callable, optional
        Gets a `Progress` for each process.

    Raises
    ------
    heartfast.bench.jobs.ContenderError
        If a tool ends with an error or draws something else.
    heartfast.bench.jobs.MissingError
        If this system does not tell what a process took.
    """
    from heartfast._core import __version__

    most = cores(jobs)
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256) if n < most] + [most]
    here = [peer for peer in PEERS if not peer.missing()]
    turns = 1 if quick else 3
    done, total = 0, turns * (len(counts) + len(here))

    def ready(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(Progress("bench", done, total))

    threads: dict[int, list[Run]] = {n: [] for n in counts}
    peers: dict[str, list[Run]] = {peer.name: [] for peer in here}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ready(0)
        job = make_corpus(scratch, "quick" if quick else "M")
        draw(heartfast(), job, scratch)  # fills the caches of files
        for _ in range(turns):
            for n in counts:
                threads[n].append(draw(heartfast(jobs=n), job, scratch))
                ready(1)
            for peer in here:
                peers[peer.name].append(draw(peer, job, scratch))
                ready(1)
        stages = time_stages(job.source)
    return BenchResult(
        version=__version__,
        cpu=cpu_name(),
        cores=cores(None),
        recordings=len(job.recordings),
        audio_s=job.seconds,
        stages=stages,
        threads=threads,
        peers=peers,
        skipped={peer.name: peer.missing() for peer in PEERS if peer.missing()},
    )


def _median(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    return Run(*(median(values) for values in zip(*runs, strict=True)))


def _plain(runs: Sequence[Run]) -> list[dict[str, float]]:
    return [run._asdict() for run in runs]
