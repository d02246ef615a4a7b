"""Contenders of the tile job: processes of their own, what they took, and what they drew."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import NamedTuple

from heartfast.errors import HeartfastError

PEER_SCRIPTS = Path(__file__).resolve().parent / "peers"
# One thread each, the peers' better CPU time (sox has only one), and no setting that holds
# NumPy back.
ENVIRONMENT = os.environ | dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
ENVIRONMENT.pop("OPENBLAS_CORETYPE", None)


class ContenderError(HeartfastError):
    """A contender that ended with an error, or drew something else."""


class MissingError(HeartfastError):
    """A contender or a figure that this machine cannot have, and why."""


class Run(NamedTuple):
    """What one process took, its children included."""

    cpu_s: float
    system_s: float
    wall_s: float
    peak_mb: float
    png_mb: float = 0.0


class Contender(NamedTuple):
    """A way to do the tile job: modules and tools that it needs, and its command.

    In the command `{source}` is the folder of recordings and `{out}` that of the pictures, which
    does not exist yet.
    """

    name: str
    needs: tuple[str, ...]
    command: tuple[str, ...]

    def missing(self) -> str:
        """Why it cannot be run here; empty if it can."""
        gone = [tool for tool in self.needs if not _is_here(tool)]
        return f"{', '.join(gone)} not installed" if gone else ""


class Recording(NamedTuple):
    """A recording, and the height and width of its tile."""

    seconds: float
    height: int
    width: int


class Job(NamedTuple):
    """A folder of recordings, and what they are, by stem."""

    source: Path
    recordings: dict[str, Recording]

    @property
    def seconds(self) -> float:
        """Of all recordings together."""
        return sum(recording.seconds for recording in self.recordings.values())


def heartfast(*options: str, jobs: int = 1) -> Contender:
    """Heartfast itself; `options` are those of convert."""
    script = Path(sys.executable).with_name("heartfast")
    start = (str(script),) if script.exists() else (sys.executable, "-m", "heartfast")
    command = (*start, "convert", "{source}", "-o", "{out}", "--jobs", str(jobs), *options)
    return Contender("heartfast" if jobs == 1 else f"heartfast --jobs {jobs}", (), command)


def _peer(name: str, script: str, needs: str, *options: str) -> Contender:
    path = str(PEER_SCRIPTS / script)
    command = (sys.executable, path, "{source}", "{out}", *options)
    return Contender(name, tuple(needs.split()), command)


PEERS = (
    _peer("NumPy rfft + fpng", "numpy_tiles.py", "numpy fpng", "numpy", "fpng"),
    _peer("scipy.fft + fpng", "numpy_tiles.py", "numpy scipy fpng", "scipy", "fpng"),
    _peer("scipy.fft + OpenCV", "numpy_tiles.py", "numpy scipy cv2", "scipy", "opencv"),
    _peer("scipy.fft + stored", "numpy_tiles.py", "numpy scipy cv2", "scipy", "stored"),
    _peer("scipy.fft + Pillow", "numpy_tiles.py", "numpy scipy PIL"),
    _peer("scipy.signal + Pillow", "scipy_tiles.py", "numpy scipy PIL"),
    _peer("librosa + Pillow", "librosa_tiles.py", "librosa PIL"),
    _peer("torch.stft + Pillow", "torch_tiles.py", "torch numpy PIL"),
    _peer("sox", "sox_tiles.py", "sox"),
)

# The figure job: axes, a title, 900 x 500 pixels.
FIGURE_PEERS = (
    _peer("matplotlib", "matplotlib_figures.py", "matplotlib numpy"),
    _peer("sox", "sox_figures.py", "sox"),
)


def _is_here(tool: str) -> bool:
    return bool(importlib.util.find_spec(tool) or shutil.which(tool))


def cpu_name() -> str:
    """What this machine's CPU calls itself, where the system tells."""
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor()


def make_corpus(folder: Path, name: str) -> Job:
    """The recordings `name` (see `corpus`) in a folder of that name; made unless there."""
    # In a process of its own: with NumPy in this one, Linux would count its memory as the
    # contenders', too.
    script = str(Path(__file__).with_name("corpus.py"))
    finish([sys.executable, script, str(folder), name], "the corpus")
    return read_job(folder / name)


def read_job(source: Path) -> Job:
    """The job of a folder of 16-bit WAVs."""
    recordings = {}
    for path in source.glob("*.wav"):
        with wave.open(str(path)) as file:
            sr, n = file.getframerate(), file.getnframes()
        win_length = int(0.05 * sr + 0.5)
        width = n // int(win_length / 2 + 0.5) + 1
        recordings[path.stem] = Recording(n / sr, win_length // 2 + 1, width)
    return Job(source, recordings)


def figure_job(job: Job) -> Job:
    """The same recordings, of which figures are to be drawn."""
    figures = {stem: Recording(r.seconds, 500, 900) for stem, r in job.recordings.items()}
    return Job(job.source, figures)


def draw(contender: Contender, job: Job, scratch: Path) -> Run:
    """Let a contender do the job in a new folder below `scratch`; measure it, check its pictures.

    Raises
    ------
    ContenderError
        If it ends with an error, or a picture is missing or has another shape.
    """
    out = Path(tempfile.mkdtemp(dir=scratch)) / "png"
    words = [word.format(source=job.source, out=out) for word in contender.command]
    run, _ = finish(words, contender.name)
    return run._replace(png_mb=_check(contender.name, out, job.recordings) / 1e6)


def finish(words: list[str], name: str) -> tuple[Run, str]:
    """Run a process to its end: what it took, and what it wrote to its standard output.

    Raises
    ------
    ContenderError
        If it ends with an error; what it said is in the message.
    MissingError
        If this system does not tell what a process took.
    """
    if not hasattr(os, "wait4"):
        raise MissingError("this system does not tell the CPU time of one process")
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen(words, env=ENVIRONMENT, stdout=printed, stderr=log)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        log.seek(0)
        if process.returncode:
            raise ContenderError(f"{name}: exit code {process.returncode}\n{log.read()}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Run(cpu_s, usage.ru_stime, wall_s, usage.ru_maxrss / 1024), printed.read()


def _check(name: str, out: Path, recordings: dict[str, Recording]) -> int:
    """Bytes of all pictures, once each is there and has its shape."""
    pictures = {path.stem: path for path in out.glob("*.png")}
    if pictures.keys() != recordings.keys():
        raise ContenderError(f"{name}: expected {len(recordings)} pictures, found {len(pictures)}")
    for stem, picture in pictures.items():
        with picture.open("rb") as file:
            width, height = struct.unpack(">16x2I", file.read(24))
        _, h, w = recordings[stem]
        # The rows of sox are near ours, and so is what it makes of the last frame; a figure of its
        # is lower by the oscillogram.
        near = name == "sox" and 0.65 * h < height < 1.5 * h and abs(width - w) <= 2
        if (height, width) != (h, w) and not near:
            raise ContenderError(
                f"{name}: {stem}: expected {w} x {h} pixels, found {width} x {height}"
            )
    return sum(picture.stat().st_size for picture in pictures.values())
