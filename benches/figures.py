"""One function for each figure in the table of `make bench`."""

from __future__ import annotations

import json
import random
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path
from statistics import median

from bench import Bench, Figure, Measure, say
from heartfast.bench.jobs import (
    PEER_SCRIPTS,
    PEERS,
    ContenderError,
    Job,
    MissingError,
    Run,
    draw,
    finish,
    heartfast,
)

DAY_S = 24 * 3600


def against(peer: str) -> Measure:
    """CPU time of a peer over ours, corpus L."""

    def measure(bench: Bench) -> Figure:
        return Figure(bench.ratios(peer, bench.on_large))

    return measure


def figures_against(peer: str) -> Measure:
    """CPU time of a peer over ours, figures of corpus M."""

    def measure(bench: Bench) -> Figure:
        count = len(bench.medium.recordings)
        cost = median(run.cpu_s for run in bench.on_figures["heartfast"])
        return Figure(bench.ratios(peer, bench.on_figures), f"{1000 * cost / count:.2f} ms each")

    return measure


def figure_size(bench: Bench) -> Figure:
    """Bytes of our figures over those of sox, corpus M."""
    if "sox" not in bench.on_figures:
        raise MissingError("sox not installed")
    ours, theirs = bench.on_figures["heartfast"], bench.on_figures["sox"]
    return Figure([a.png_mb / b.png_mb for a, b in zip(ours, theirs, strict=True)])


def against_the_fastest(bench: Bench) -> Figure:
    """CPU time over ours, corpus L, of the peer that was the fastest on corpus M."""
    costs = {
        peer.name: median(run.cpu_s for run in bench.on_medium[peer.name])
        for peer in PEERS
        if peer.name in bench.on_medium
    }
    if not costs:
        raise MissingError("no peer is installed")
    fastest = min(costs, key=lambda name: costs[name])
    bench.wanted.add(fastest)  # corpus L is not run yet: this row comes first
    return Figure(bench.ratios(fastest, bench.on_large), fastest)


def against_realfft(bench: Bench) -> Figure:
    """CPU time of realfft and png over that of our core, nothing written, corpus M."""
    values = []
    for _ in range(bench.n_runs):
        ours, _ = bench.harness("core", bench.medium.source)
        theirs, _ = bench.harness("realfft", bench.medium.source)
        say(f"core {ours.cpu_s:.3f}, realfft + png Fastest {theirs.cpu_s:.3f} CPU s")
        bench.runs.setdefault("nothing written", {}).setdefault("core", []).append(ours)
        bench.runs["nothing written"].setdefault("realfft + png", []).append(theirs)
        values.append(theirs.cpu_s / ours.cpu_s)
    return Figure(values)


def two_threads(bench: Bench) -> Figure:
    """Elapsed time of one thread over that of two, corpus L."""
    one, two = (bench.on_large[name] for name in ("heartfast", "heartfast --jobs 2"))
    load = sum(run.wall_s / run.cpu_s for run in one) / len(one)
    note = f"one thread waited {load - 1:.0%} of its CPU time"
    return Figure([a.wall_s / b.wall_s for a, b in zip(one, two, strict=True)], note)


def many_files(bench: Bench) -> Figure:
    """CPU time a file of 50,000 files over that of 500, the same 50 recordings of 4 kHz."""
    few, many = (2, 4) if bench.quick else (500, 50_000)
    shortest = sorted(bench.medium.source.glob("low*.wav"), key=lambda path: path.stat().st_size)
    chosen = bench.folder("shortest")
    for path in shortest[: min(50, few)]:
        shutil.copy(path, chosen)
    count = len(list(chosen.iterdir()))
    source = Job(chosen, {})
    small, big = (bench.part(source, "low", n // count) for n in (few, many))
    values, marginal = [], []
    for _ in range(bench.n_runs):
        a, b = (draw(heartfast(), job, bench.scratch).cpu_s for job in (small, big))
        say(f"{few} files {1000 * a / few:.3f} ms each, {many} files {1000 * b / many:.3f} ms")
        values.append((b / many) / (a / few))
        marginal.append(1000 * (b - a) / (many - few))
    return Figure(values, f"{median(marginal):.3f} ms for each further file")


def memory_large(bench: Bench) -> Figure:
    """Peak memory of two threads on corpus L."""
    return Figure([run.peak_mb for run in bench.on_large["heartfast --jobs 2"]])


def memory_day(bench: Bench) -> Figure:
    """Peak memory on one recording of 24 h at 44.1 kHz that is cut into tiles of 10 s."""
    bench.need_option("--segment-s")
    seconds = 60 if bench.quick else DAY_S
    free = shutil.disk_usage(bench.scratch).free
    if free < 12e9 and not bench.quick:
        raise MissingError(f"12 GB of disk needed, {free / 1e9:.1f} GB free")
    refused = ""
    for name, bits in (("RF64, 16 bits", 16), ("WAV, 8 bits", 8)):
        folder = bench.folder("day")
        say(f"writing {seconds / 3600:.1f} h as {name}")
        write_long(folder / "day.wav", seconds, bits)
        try:
            runs = [_segments(bench, folder) for _ in range(1 if bench.quick else 3)]
        except ContenderError as error:
            refused = f"; RF64 refused: {str(error).splitlines()[-1]}"
        else:
            cost = median(run.cpu_s for run in runs)
            return Figure([run.peak_mb for run in runs], f"{name}; {cost:.1f} CPU s{refused}")
        finally:
            shutil.rmtree(folder)
    raise MissingError(refused.removeprefix("; "))


def _segments(bench: Bench, folder: Path) -> Run:
    out = bench.folder("segments")
    command = heartfast("--segment-s", "10", jobs=2).command
    try:
        words = [word.format(source=folder, out=out / "png") for word in command]
        return finish(words, "heartfast --segment-s 10")[0]
    finally:
        shutil.rmtree(out)


def write_long(path: Path, seconds: int, bits: int) -> None:
    """Noise, a minute of which repeats. 16 bits for a day are more than WAV's 4 GiB: RF64."""
    sr, size = 44100, bits // 8
    minute = random.Random(0).randbytes(60 * sr * size)
    count = sr * seconds
    form = struct.pack("<4sI2H2I2H", b"fmt ", 16, 1, 1, sr, sr * size, size, bits)
    if bits == 16:
        sizes = struct.pack("<4sI3QI", b"ds64", 28, count * size + 72, count * size, count, 0)
        head = b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff"
    else:
        data = struct.pack("<4sI", b"data", count * size)
        head = struct.pack("<4sI4s", b"RIFF", count * size + 36, b"WAVE") + form + data
    with path.open("wb") as file:
        file.write(head)
        for _ in range(seconds // 60):
            file.write(minute)


def png_size(bench: Bench) -> Figure:
    """Bytes of our PNGs over those of Pillow's default level, corpus L."""
    pillow = next(peer for peer in PEERS if peer.name == "scipy.fft + Pillow")
    if pillow.missing():
        raise MissingError(pillow.missing())
    # Sizes do not vary: one run.
    theirs = bench.turns("L, for its size", [pillow], bench.large, runs=1)[pillow.name][0]
    ours = bench.on_large["heartfast"][0]
    return Figure([ours.png_mb / theirs.png_mb], f"{ours.png_mb:.1f} MB")


def many_frames(bench: Bench) -> Figure:
    """CPU time at 87.5 % overlap over that of the transforms alone, corpus M."""
    return _over_ffts(bench, 87.5, 1)


def zero_padding(bench: Bench) -> Figure:
    """CPU time with FFTs of 8 windows' length over that of the transforms alone, corpus M."""
    return _over_ffts(bench, 50.0, 8)


def _over_ffts(bench: Bench, overlap: float, pad: int) -> Figure:
    # The FFT's length is given in points: one process for each sample rate.
    jobs = [(bench.part(bench.medium, name), n) for name, n in (("low", 200), ("high", 2205))]
    values, ffts, fastest = [], [], {}
    for _ in range(bench.n_runs):
        cpu_s = 0.0
        for job, n in jobs:
            out = bench.folder("frames") / "png"
            command = heartfast("--overlap", str(overlap), "--zero-pad", str(pad * n)).command
            words = [word.format(source=job.source, out=out) for word in command]
            cpu_s += finish(words, "heartfast")[0].cpu_s
        fastest = bench.harness("ffts", bench.medium.source, overlap, pad)[1]
        ffts.append(fastest.pop("fastest"))
        values.append(cpu_s / ffts[-1])
        say(f"overlap {overlap}, FFT x {pad}: {cpu_s:.2f} CPU s, transforms alone {ffts[-1]:.2f}")
    kinds = ", ".join(f"{name} {seconds:.2f}" for name, seconds in fastest.items())
    return Figure(values, f"transforms alone {median(ffts):.2f} CPU s ({kinds})")


def help_wall(bench: Bench) -> Figure:
    """Elapsed time of `heartfast --help`."""
    words = [heartfast().command[0], "--help"]
    return Figure([finish(words, "heartfast --help")[0].wall_s for _ in range(4 * bench.n_runs)])


def arrays(bench: Bench) -> Figure:
    """CPU time of the fastest other array function over that of `heartfast.spectrogram`."""
    script = str(PEER_SCRIPTS / "array_spectrograms.py")
    rounds, seconds = (2, 2) if bench.quick else (4 * bench.n_runs, 60)
    words = [sys.executable, script, str(rounds), str(seconds)]
    times = json.loads(finish(words, "array functions")[1])
    ours = times.pop("heartfast.spectrogram")
    costs = {name: median(t) for name, t in times.items() if isinstance(t, list)}
    if not costs:
        raise MissingError("no other library is installed")
    fastest = min(costs, key=lambda name: costs[name])
    listed = [f"{name} {1000 * cost:.1f}" for name, cost in costs.items()]
    listed += [f"{name} {said}" for name, said in times.items() if isinstance(said, str)]
    note = f"{fastest}; ms: heartfast {1000 * median(ours):.1f}, {', '.join(listed)}"
    return Figure([b / a for a, b in zip(ours, times[fastest], strict=True)], note)


def archive_read(kind: str, part: str) -> Measure:
    """CPU time on loose recordings over that on the same ones in a ZIP or tar."""

    def measure(bench: Bench) -> Figure:
        job = bench.part(bench.medium, part, 1 if bench.quick else 5)
        archive = bench.folder(kind) / f"recordings.{kind}"
        files = sorted(job.source.glob("*.wav"))
        if kind == "zip":
            with zipfile.ZipFile(archive, "w") as packed:
                for path in files:
                    packed.write(path, path.name)
        else:
            with tarfile.open(archive, "w") as tar:
                for path in files:
                    tar.add(path, path.name)
        return _beside_loose(bench, job.source, archive, ())

    return measure


def archive_written(kind: str, part: str) -> Measure:
    """CPU time with loose pictures over that with a ZIP or tar of them."""

    def measure(bench: Bench) -> Figure:
        bench.need_option("--to")
        job = bench.part(bench.medium, part, 1 if bench.quick else 5)
        return _beside_loose(bench, job.source, job.source, ("--to", kind))

    return measure


def _beside_loose(bench: Bench, loose: Path, source: Path, options: tuple[str, ...]) -> Figure:
    expected = len(list(loose.glob("*.wav")))
    values = []
    for _ in range(bench.n_runs):
        costs = []
        for recordings, more in ((loose, ()), (source, options)):
            out = bench.folder("pictures") / "out"
            command = heartfast(*more).command
            words = [word.format(source=recordings, out=out) for word in command]
            try:
                costs.append(finish(words, "heartfast")[0].cpu_s)
            except ContenderError as error:
                raise MissingError(str(error).splitlines()[-1]) from None
            if (found := count_pictures(out)) != expected:
                raise MissingError(f"expected {expected} pictures of {source.name}, found {found}")
        values.append(costs[0] / costs[1])
    return Figure(values)


def count_pictures(out: Path) -> int:
    """PNGs in a folder, in its folders, and in the ZIPs and tars there."""
    names = [path.name for path in out.rglob("*.png")]
    for path in out.rglob("*.zip"):
        names += zipfile.ZipFile(path).namelist()
    for path in out.rglob("*.tar"):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    return sum(name.endswith(".png") for name in names)
