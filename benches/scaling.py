"""What conversion in tasks costs: `python benches/scaling.py [--turns 5] [--on FOLDER]`.

Corpus L (5,000 recordings) by the local engine and by Ray, in turns, CPU time of all processes with
start-up apart; three times as many by one Ray node of a core and by two, beside one thread and two
of one process, and two tasks of a thread over one of two threads, wall time; memory of the process
that plans; and from the costs of a recording, a task, a byte and a part what an archive of 10^8
recordings takes on 1,000 cores. Writes `benches/results/<date>-scaling.json`.

Files are in memory (`/dev/shm`, 5 GB), unless `--on` names a folder: on a disk, all writers stand
still whenever it catches up.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from heartfast.bench.corpus import copy, write

MEMORY = "/dev/shm"  # noqa: S108 only for folders of tempfile's
RESULTS = Path(__file__).resolve().parent / "results"
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of_children() -> float:
    """CPU seconds of this process and all below it."""
    parents, seconds = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            fields = text[text.rindex(")") + 2 :].split()
            parents[int(entry)] = int(fields[1])
            seconds[int(entry)] = (int(fields[11]) + int(fields[12])) / TICK
    total, me = 0.0, os.getpid()
    for process in seconds:
        above = process
        while above in parents and above != me:
            above = parents[above]
        total += seconds[process] if above == me else 0
    return total


def warm_up(ray: Any, small: str, out: str) -> None:
    """Have a worker on every node that has converted something."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def convert_here(number: int) -> None:
        import heartfast

        heartfast.convert(small, f"{out}-warm/{number}", to="tar", jobs=1)

    remote = ray.remote(num_cpus=1)(convert_here)
    calls = []
    for number, node in enumerate(ray.nodes()):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        calls.append(remote.options(scheduling_strategy=there).remote(number))
    ray.get(calls)


# ---- what runs in a process of its own, and prints a line of JSON ----


def convert(engine: str, nodes: int, source: str, small: str, out: str) -> dict[str, float]:
    """Convert once to warm up, then the corpus: its CPU and wall seconds."""
    import heartfast

    options: dict[str, Any] = {"to": "tar"}
    if engine == "ray":
        import ray
        from ray.cluster_utils import Cluster

        keep = {"idle_worker_killing_time_threshold_ms": 600_000}  # another start is apart, too
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": keep}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)  # for both: starting is apart
        warm_up(ray, small, out)
        options |= {"engine": "ray"}
    else:
        options |= {"shard_mb": 16.0, "jobs": nodes}
    heartfast.convert(small, out + "-warm/all", **options)
    before = -1.0
    while (cpu := cpu_of_children()) - before > 0.4:  # Ray's own processes are still starting
        before = cpu
        time.sleep(2)
    cpu, start = cpu_of_children(), time.perf_counter()
    result = heartfast.convert(source, out, **options)
    wall, cpu = time.perf_counter() - start, cpu_of_children() - cpu
    if engine == "ray":
        ray.shutdown()
        cluster.shutdown()
    return {
        "cpu_s": cpu,
        "wall_s": wall,
        "pictures": result.pictures,
        "tasks": getattr(result, "tasks", 1),
    }


def tasks_of(threads: int, source: str, out: str) -> dict[str, float]:
    """All tasks on one node of two cores: with a thread each, or with two."""
    import ray

    import heartfast
    from heartfast.cluster.plan import Plan, Request
    from heartfast.cluster.task import Work, run_task
    from heartfast.limits import Limits
    from heartfast.manifest import header
    from heartfast.selection import Selection

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    remote = ray.remote(num_cpus=threads)(run_task)
    work = Work(
        out, header({"to": "tar"}, "{}"), "tar", heartfast.SpectrogramConfig(), "fast",
        Selection(), Limits(), {}, 1 << 28, False,
    )  # fmt: skip
    asked = Request([source], True, False, "none", None, False, True, 0, 16 << 20)
    with Plan(asked, Limits()) as plan:
        for turn in range(2):  # the first one warms up
            start = time.perf_counter()
            calls = [remote.remote(work, n, plan.task(n), threads) for n in range(plan.tasks)]
            ray.get(calls)
            wall = time.perf_counter() - start
            del turn
    return {"wall_s": wall}


def recordings(count: int, on: str | None) -> dict[str, float]:
    """Convert recordings of 8 s at 4 kHz by one thread: CPU milliseconds and bytes each."""
    import heartfast
    from heartfast.synth import CLASSES, heart_sound, write_wav

    with tempfile.TemporaryDirectory(dir=on) as folder:
        for i in range(count):
            y, sr = heart_sound(CLASSES[i % 3], seed=i, duration_s=8)
            write_wav(os.path.join(folder, f"{i:06}.wav"), y, sr)
        heartfast.convert(folder, folder + "-warm", to="tar", jobs=1)
        cpu = time.process_time()
        heartfast.convert(folder, folder + "-out", to="tar", jobs=1)
        seconds = time.process_time() - cpu
        size = sum(path.stat().st_size for path in Path(folder + "-out").glob("*.tar"))
        for end in ("-warm", "-out"):
            shutil.rmtree(folder + end)
    return {
        "cpu_ms_each": seconds / count * 1e3,
        "bytes_each": 64_044,
        "picture_bytes": size / count,
    }


def planning(count: int, labels: str) -> dict[str, Any]:
    """List and plan recordings that are nowhere: seconds each, and the most memory."""
    from heartfast.cluster import plan as planned
    from heartfast.limits import Limits
    from heartfast.recordings import Recording

    def search(*_: object) -> Any:
        for k in range(count):
            yield Recording("s3://bucket/", f"{k % 1000:03}/{k:09}.wav", None, (64_044, k))

    planned.search = search
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asked = planned.Request(["s3://bucket"], True, False, labels, None, False, True, 1, 256 << 20)
    cpu, start = time.process_time(), time.perf_counter()
    with planned.Plan(asked, Limits()) as plan:
        seconds = time.process_time() - cpu
        wall = time.perf_counter() - start
        size = sum(len(plan.task(n)) for n in range(plan.tasks))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "recordings": count,
        "labels": labels,
        "cpu_us_each": seconds / count * 1e6,
        "wall_us_each": wall / count * 1e6,
        "bytes_each": size / count,
        "tasks": plan.tasks,
        "memory_mb": most / 1024,
        "memory_before_mb": before / 1024,
    }


def merging(parts: int, each: int) -> dict[str, float]:
    """Join parts of so many recordings: seconds each, and the most memory."""
    from heartfast.cluster.merge import merge_parts
    from heartfast.cluster.plan_file import Planned
    from heartfast.cluster.task import Part
    from heartfast.places import Folder

    line = json.dumps({"path": "s3://bucket/" + "x" * 40, "sha256": "0" * 64, "rest": "y" * 180})
    row = f"{'x' * 24}.png,,,,4000,8.0,{'0' * 64}\n"
    with tempfile.TemporaryDirectory() as folder:
        tables = [(line + "\n").encode() * each, row.encode() * each, b""]
        lengths = tuple(map(len, tables))
        part = Part(each, each, 8.0 * each, 0, (0, 0), [], lengths)
        os.makedirs(os.path.join(folder, "parts"))
        for n in range(parts):
            data = json.dumps(part._asdict()).encode() + b"\n" + b"".join(tables)
            Path(folder, f"parts/{n:06}").write_bytes(data)
        names = [f"parts/{n:06}" for n in range(parts)]
        cpu, start = time.process_time(), time.perf_counter()
        merge_parts([Folder(folder)], Planned({"settings": {}}, names), Folder(folder))
        seconds, wall = time.process_time() - cpu, time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "recordings": parts * each,
        "cpu_us_each": seconds / parts / each * 1e6,
        "wall_us_each": wall / parts / each * 1e6,
        "memory_mb": most / 1024,
    }


WORK = {
    "convert": convert,
    "tasks_of": tasks_of,
    "recordings": recordings,
    "planning": planning,
    "merging": merging,
}


def apart(name: str, *arguments: object) -> dict[str, float]:
    """Call one of the above in a process of its own."""
    command = [sys.executable, __file__, "--apart", name, json.dumps(arguments)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--listed", type=int, default=10_000_000)
    parser.add_argument("--on", default=MEMORY if os.path.isdir(MEMORY) else None)
    parser.add_argument("--apart", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.apart:
        name, arguments = options.apart
        print(json.dumps(WORK[name](*json.loads(arguments))), flush=True)
        return
    found: dict[str, Any] = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count()}
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="heartfast-scaling-", dir=options.on) as folder:
        out, small = os.path.join(folder, "out"), os.path.join(folder, "small")
        files = write(Path(folder), "L")
        copy(files, Path(folder, "3L"), 3)
        os.makedirs(small)
        for path in files[:16]:
            shutil.copy(path, small)
        found["bytes"] = sum(path.stat().st_size for path in files)

        def run(name: str, work: str, *arguments: object) -> None:
            os.makedirs(out + "-warm")
            runs.setdefault(name, []).append(apart(work, *arguments, out))
            print(name, runs[name][-1], flush=True)
            for path in (out, out + "-warm"):
                shutil.rmtree(path)

        for _ in range(options.turns):
            for corpus in ("L", "3L"):
                source = os.path.join(folder, corpus)
                run(f"{corpus}, one thread", "convert", "local", 1, source, small)
                run(f"{corpus}, one node", "convert", "ray", 1, source, small)
                run(f"{corpus}, two threads", "convert", "local", 2, source, small)
                run(f"{corpus}, two nodes", "convert", "ray", 2, source, small)
            for threads in (1, 2):
                source = os.path.join(folder, "L")
                run(f"L, tasks of {threads} threads", "tasks_of", threads, source)
    for name, turns in runs.items():
        found[name] = {key: spread([turn[key] for turn in turns]) for key in turns[0]}

    def ratio(a: str, b: str, what: str) -> dict[str, float]:
        pairs = zip(runs[a], runs[b], strict=True)
        return spread([one[what] / other[what] for one, other in pairs])

    found["L, CPU, a node over a thread"] = ratio("L, one node", "L, one thread", "cpu_s")
    found["L, CPU, two nodes over two threads"] = ratio("L, two nodes", "L, two threads", "cpu_s")
    for corpus in ("L", "3L"):
        for one, two in (("one node", "two nodes"), ("one thread", "two threads")):
            pair = f"{corpus}, {one}", f"{corpus}, {two}"
            found[f"{corpus}, wall, {one} over {two}"] = ratio(*pair, "wall_s")
    found["L, wall, a node's threads over a task a core"] = ratio(
        "L, tasks of 2 threads", "L, tasks of 1 threads", "wall_s"
    )
    found["recordings"] = apart("recordings", 2000, options.on)
    found["planning"] = [
        apart("planning", options.listed // part, labels)
        for part in (100, 10, 1)
        for labels in ("none", "folders")
    ]
    found["merging"] = [apart("merging", 4, 4000), apart("merging", 400, 4000)]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{found['date']}-scaling.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
