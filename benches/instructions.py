"""Instruction counts of three kernels against those on record: `make bench-check`.

    python benches/instructions.py [--update]

callgrind counts a kernel 1 and 5 times; a quarter of the difference is the kernel, without
start-up and plans. The counts are the same on every x86-64 CPU with AVX2, busy or not (valgrind
knows no AVX-512, so the code takes the AVX2 path), and for one compiler: with another version
than that on record nothing is compared. A rise over 3 % fails. --update writes the counts anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORD = HERE / "instructions.json"
PROGRAM = HERE.parent / "target" / "release" / "instructions"
KERNELS = ("tile-4k", "tile-44k", "png")
FEW, MANY = 1, 5
ALLOWED = 0.03


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the counts anew")
    options = parser.parse_args()
    if reason := cannot_count():
        print(f"bench-check: skipped, {reason}")
        return 0
    record = json.loads(RECORD.read_text(encoding="ascii")) if RECORD.exists() else {}
    if not options.update and record.get("rustc") != rustc():
        print(f"bench-check: skipped, counts on record are of rustc {record.get('rustc')}, "
              f"this is {rustc()}")  # fmt: skip
        return 0
    counts = {kernel: count(kernel) for kernel in KERNELS}
    if options.update:
        document = {"command": "make bench-check UPDATE=1", "rustc": rustc(), "kernels": counts}
        RECORD.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
        print(f"bench-check: {RECORD.name} has {counts}")
        return 0
    worse = compare(record["kernels"], counts)
    for line in worse:
        print(f"bench-check: {line}", file=sys.stderr)
    if not worse:
        changes = [f"{k} {counts[k] / record['kernels'][k] - 1:+.2%}" for k in KERNELS]
        print(f"bench-check: {', '.join(changes)} instructions against those on record")
    return 1 if worse else 0


def compare(before: dict[str, int], now: dict[str, int]) -> list[str]:
    """What is to be said of each kernel that takes over 3 % more, or is not on record."""
    lines = []
    for kernel, count in now.items():
        if kernel not in before:
            lines.append(f"{kernel}: no count on record, {count} now")
        elif count > before[kernel] * (1 + ALLOWED):
            rise = count / before[kernel] - 1
            counts = f"{before[kernel]} instructions before, {count} now"
            lines.append(f"{kernel}: {counts}, {rise:+.1%}")
    return lines


def cannot_count() -> str:
    """Why instructions cannot be counted here; empty if they can."""
    if platform.machine() != "x86_64":
        return f"the counts on record are of x86_64, this is {platform.machine()}"
    if not shutil.which("valgrind"):
        return "it needs the system tool valgrind"
    if not shutil.which("setarch"):
        return "it needs the system tool setarch"
    if "avx2" not in Path("/proc/cpuinfo").read_text(encoding="ascii").split():
        return "this CPU has no AVX2"
    return ""


def rustc() -> str:
    """The compiler's version."""
    words = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return words.stdout.split()[1]


def count(kernel: str) -> int:
    """Instructions of a kernel."""
    few, many = (collected(kernel, times) for times in (FEW, MANY))
    return (many - few) // (MANY - FEW)


def collected(kernel: str, times: int) -> int:
    """Instructions of a process that runs a kernel so many times."""
    # Without the environment and with fixed addresses, or the stack would lie elsewhere.
    words = ["setarch", "-R", shutil.which("valgrind") or "valgrind", "--tool=callgrind"]
    words += ["--callgrind-out-file=/dev/null", str(PROGRAM), kernel, str(times)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={})
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
