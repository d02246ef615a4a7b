"""The tile job side by side: whole processes, CPU time, by turns.

    python benches/tile_job.py [--runs 5] [--cache FOLDER] [--results FILE]
    python benches/tile_job.py --quick

Every contender turns the WAVs of corpus M into 8-bit gray PNG tiles (50 ms Gaussian window,
50 % overlap, 80 dB, native size), in a new process and into a new folder each time, in turns
A B C A B C. How to read the table: README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import wave
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
# One thread each, the peers' better CPU time. sox has only one.
ENVIRONMENT = os.environ | dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
PEERS = {
    "NumPy tuned + Pillow": "numpy",
    "scipy + Pillow": "scipy",
    "librosa + Pillow": "librosa",
    "sox": "sox",
}
VERSIONS = ("heartfast", *PEERS.values(), "pillow")
COLUMNS = "{:21}{:>6}{:>11}{:>8}{:>7}{:>9}{:>9}{:>7}{:>11}{:>8}{:>7}"


class Run(NamedTuple):
    """What one process took, its children included."""

    cpu_s: float
    system_s: float
    wall_s: float
    peak_mb: float
    png_mb: float


class Recording(NamedTuple):
    """A recording, and the height and width of its tile."""

    seconds: float
    height: int
    width: int


class Job(NamedTuple):
    """A folder of recordings, and what they are, by stem."""

    source: Path
    recordings: dict[str, Recording]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--quick", action="store_true", help="8 recordings, to see that it runs")
    parser.add_argument("--cache", type=Path, help="where to keep the corpus (default: nowhere)")
    parser.add_argument("--results", type=Path, help="default: benches/results/<date>.json")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs: expected at least 1, found {options.runs}")
    date = datetime.now(timezone.utc).date().isoformat()

    with tempfile.TemporaryDirectory() as scratch:
        # Nothing in it is deleted before the end: for minutes afterwards ext4 takes longer to
        # make files, which would be charged to the next contender.
        job = read_job(make_corpus(options.cache or Path(scratch), quick=options.quick))
        one = Path(scratch, "one")
        one.mkdir()
        shutil.copy(job.source / "low_000.wav", one)
        single = read_job(one)
        about, seconds = machine(), sum(r.seconds for r in job.recordings.values())
        print(f"{len(job.recordings)} recordings, {seconds:,.0f} s; {options.runs} runs, by turns")
        print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
        commands = contenders()
        for name in commands:  # fills the caches of files and of byte code
            run(name, commands[name], single, scratch)
        ones: dict[str, list[Run]] = {name: [] for name in commands}
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, command in commands.items():
                ones[name].append(run(name, command, single, scratch))
                runs[name].append(run(name, command, job, scratch))

    print_table(runs, ones, seconds)
    if options.results or not options.quick:
        results = options.results or HERE / "results" / f"{date}.json"
        document = {"date": date, "machine": about, "recordings": len(job.recordings)}
        document |= {"seconds": seconds, "one_file": plain(ones), "all_files": plain(runs)}
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(f"written to {results}")


def contenders() -> dict[str, list[str]]:
    """The command of each contender that is here; heartfast comes first."""
    heartfast = [str(Path(sys.executable).with_name("heartfast")), "convert", "{source}"]
    heartfast += ["-o", "{out}", "--json", "--jobs"]
    commands = {"heartfast": [*heartfast, "1"], "heartfast --jobs 2": [*heartfast, "2"]}
    for name, tool in PEERS.items():
        if importlib.util.find_spec(tool) or shutil.which(tool):
            peer = str(HERE / "peers" / f"{tool}_tiles.py")
            commands[name] = [sys.executable, peer, "{source}", "{out}"]
        else:
            print(f"{name}: skipped, {tool} is not installed")
    return commands


def make_corpus(cache: Path, *, quick: bool) -> Path:
    # In a process of its own: with NumPy in this one, Linux would count its memory as the
    # contenders', too.
    words = [sys.executable, str(HERE / "corpus.py"), str(cache)] + ["--quick"] * quick
    subprocess.run(words, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    return cache / ("quick" if quick else "M")


def read_job(source: Path) -> Job:
    recordings = {}
    for path in source.glob("*.wav"):
        with wave.open(str(path)) as file:
            sr, n = file.getframerate(), file.getnframes()
        win_length = int(0.05 * sr + 0.5)
        width = n // int(win_length / 2 + 0.5) + 1
        recordings[path.stem] = Recording(n / sr, win_length // 2 + 1, width)
    return Job(source, recordings)


def run(name: str, command: list[str], job: Job, scratch: str) -> Run:
    """Measure one process and check its pictures."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    out = folder / "png"
    words = [word.format(source=job.source, out=out) for word in command]
    with (folder / "log").open("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen(words, env=ENVIRONMENT, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{name}: exit code {process.returncode}\n{log.read()}")
    size = check(name, out, job.recordings)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Run(cpu_s, usage.ru_stime, wall_s, usage.ru_maxrss / 1024, size / 1e6)


def check(name: str, out: Path, recordings: dict[str, Recording]) -> int:
    """Bytes of all pictures, once each is there and has its shape."""
    pictures = {path.stem: path for path in out.glob("*.png")}
    if pictures.keys() != recordings.keys():
        sys.exit(f"{name}: expected {len(recordings)} pictures, found {len(pictures)}")
    for stem, picture in pictures.items():
        with picture.open("rb") as file:
            width, height = struct.unpack(">16x2I", file.read(24))
        _, h, w = recordings[stem]
        # The rows of sox are near ours, and so is what it makes of the last frame.
        near = name == "sox" and 0.9 * h < height < 1.5 * h and abs(width - w) <= 2
        if (height, width) != (h, w) and not near:
            sys.exit(f"{name}: {stem}: expected {w} x {h} pixels, found {width} x {height}")
    return sum(picture.stat().st_size for picture in pictures.values())


def machine() -> dict[str, object]:
    """What the figures are taken on."""
    about: dict[str, object] = {"CPU": platform.processor(), "cores": os.cpu_count()}
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        about["CPU"] = next((x.split(": ")[1] for x in lines if x.startswith("model name")), "")
    about |= {"load": round(os.getloadavg()[0], 1), "system": platform.platform()}
    about["Python"] = platform.python_version()
    for tool in VERSIONS:
        if importlib.util.find_spec("PIL" if tool == "pillow" else tool):
            about[tool] = version(tool)
        elif shutil.which(tool):
            words = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
            about[tool] = words.stdout.split()[-1].lstrip("v")
    return about


def plain(table: dict[str, list[Run]]) -> dict[str, list[dict[str, float]]]:
    return {name: [measured._asdict() for measured in rows] for name, rows in table.items()}


def print_table(runs: dict[str, list[Run]], ones: dict[str, list[Run]], seconds: float) -> None:
    heads = ("CPU s", "min-max", "system", "wall", "one file", "h/CPU-s", "ratio", "min-max")
    print(COLUMNS.format("", *heads, "peak MB", "PNG MB"))
    ours = runs["heartfast"]
    for name, rows in runs.items():
        cpu, system, wall, peak_mb, png_mb = zip(*rows, strict=True)
        ratios = [theirs.cpu_s / mine.cpu_s for theirs, mine in zip(rows, ours, strict=True)]
        print(
            COLUMNS.format(
                name,
                f"{median(cpu):.2f}",
                f"{min(cpu):.2f}-{max(cpu):.2f}",
                f"{median(system):.2f}",
                f"{median(wall):.2f}",
                f"{median(measured.cpu_s for measured in ones[name]):.2f}",
                f"{seconds / 3600 / median(cpu):.2f}",
                f"{median(ratios):.1f}",
                f"{min(ratios):.1f}-{max(ratios):.1f}",
                f"{max(peak_mb):.0f}",
                f"{png_mb[0]:.1f}",
            )
        )


if __name__ == "__main__":
    main()
