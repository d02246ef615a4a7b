"""What the figures of `make bench` share: corpora, turns, the Rust harness, progress."""

from __future__ import annotations

import functools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from heartfast.bench.jobs import (
    FIGURE_PEERS,
    PEERS,
    Contender,
    Job,
    MissingError,
    Run,
    draw,
    figure_job,
    finish,
    heartfast,
    make_corpus,
    read_job,
)

ROOT = Path(__file__).resolve().parent.parent
HARNESS = ROOT / "target" / "harness" / "release" / "heartfast-harness"


class Figure(NamedTuple):
    """The values of all runs, and what is to be said of them."""

    values: list[float]
    note: str = ""


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


class Bench:
    """One run of the benchmarks: its folders, and the runs of contenders so far."""

    def __init__(self, scratch: Path, cache: Path, runs: int, *, quick: bool) -> None:
        self.scratch, self.cache, self.n_runs, self.quick = scratch, cache, runs, quick
        # By corpus and contender; for the table of contenders and the file of results.
        self.runs: dict[str, dict[str, list[Run]]] = {}
        # Contenders that a figure on the large corpus will ask for: all of them take turns.
        self.wanted: set[str] = set()

    @functools.cached_property
    def medium(self) -> Job:
        """Corpus M."""
        say("making corpus M")
        return make_corpus(self.cache, "quick" if self.quick else "M")

    @functools.cached_property
    def large(self) -> Job:
        """Corpus L."""
        say("making corpus L")
        return make_corpus(self.cache, "quick-L" if self.quick else "L")

    def part(self, job: Job, name: str, times: int = 1) -> Job:
        """The recordings of `job` with `name` in theirs, so many times, in a new folder."""
        folder = self.folder(name)
        for path in sorted(job.source.glob(f"*{name}*.wav")):
            for i in range(times):
                shutil.copyfile(path, folder / f"{i:04}_{path.name}")
        return read_job(folder)

    def folder(self, name: str) -> Path:
        """A new folder; it stays to the end of the benchmarks.

        For minutes after many deletions ext4 takes longer to make files, which would be charged
        to the next contender.
        """
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    def turns(
        self, what: str, contenders: Sequence[Contender], job: Job, *, runs: int = 0
    ) -> dict[str, list[Run]]:
        """Run contenders A B C A B C; those that are not installed are left out."""
        here = [contender for contender in contenders if not contender.missing()]
        table: dict[str, list[Run]] = {contender.name: [] for contender in here}
        for turn in range(runs or self.n_runs):
            for contender in here:
                run = draw(contender, job, self.scratch)
                table[contender.name].append(run)
                say(f"{what}, turn {turn + 1}: {contender.name}: {run.cpu_s:.2f} CPU s")
        self.runs.setdefault(what, {}).update(table)
        return table

    @functools.cached_property
    def on_medium(self) -> dict[str, list[Run]]:
        """Everyone on corpus M."""
        self.warm()
        return self.turns("M", [heartfast(), heartfast(jobs=2), *PEERS], self.medium)

    @functools.cached_property
    def on_large(self) -> dict[str, list[Run]]:
        """Those who are wanted on corpus L."""
        self.warm()
        chosen = [peer for peer in PEERS if peer.name in self.wanted]
        return self.turns("L", [heartfast(), heartfast(jobs=2), *chosen], self.large)

    @functools.cached_property
    def on_figures(self) -> dict[str, list[Run]]:
        """The figure job, on corpus M."""
        contenders = [heartfast("--figure"), *FIGURE_PEERS]
        if not self.quick:
            one = self.folder("one-figure")
            shutil.copy(min(self.medium.source.glob("low*.wav")), one)
            self.turns("one figure", contenders, figure_job(read_job(one)), runs=1)
        return self.turns("figures of M", contenders, figure_job(self.medium))

    def warm(self) -> None:
        """Let everyone draw one recording: this fills the caches of files and of byte code."""
        if "one file" not in self.runs and not self.quick:
            one = self.folder("one")
            shutil.copy(min(self.medium.source.glob("low*.wav")), one)
            self.turns("one file", [heartfast(), heartfast(jobs=2), *PEERS], read_job(one))

    def ratios(self, peer: str, table: dict[str, list[Run]]) -> list[float]:
        """CPU time of a peer over that of heartfast, turn by turn."""
        if peer not in table:
            reason = next(p.missing() for p in (*PEERS, *FIGURE_PEERS) if p.name == peer)
            raise MissingError(reason or "not measured")
        return [b.cpu_s / a.cpu_s for a, b in zip(table["heartfast"], table[peer], strict=True)]

    def harness(self, *words: object) -> tuple[Run, dict[str, Any]]:
        """Run the Rust harness."""
        if not HARNESS.exists():
            raise MissingError(f"{HARNESS.relative_to(ROOT)} is not built (make bench builds it)")
        run, printed = finish([str(HARNESS), *map(str, words)], "the Rust harness")
        return run, json.loads(printed)

    @functools.cached_property
    def options_of_convert(self) -> str:
        """The help of `heartfast convert`."""
        return finish([heartfast().command[0], "convert", "--help"], "heartfast")[1]

    def need_option(self, option: str) -> None:
        """Skip the figure unless `heartfast convert` knows the option."""
        if option not in self.options_of_convert:
            raise MissingError(f"heartfast convert has no {option}")


Measure = Callable[[Bench], Figure]
