"""The tables of a file of results: python benches/report.py RESULTS.json [--into BENCHMARKS.md].

Markdown, or with --plain columns for a terminal; `-` reads standard input. --into replaces what
stands in a document between `<!-- report.py: targets -->` (contenders, stages) and the next
`<!-- end -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

TABLES = {
    "one file": "One recording: start-up",
    "M": "Corpus M",
    "L": "Corpus L",
    "L, for its size": "Corpus L, for the size of its PNGs",
    "nothing written": "Corpus M, PNGs in memory",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="a file of make bench, or -")
    parser.add_argument("--plain", action="store_true", help="columns instead of Markdown")
    parser.add_argument("--into", type=Path, help="a document whose tables are replaced")
    options = parser.parse_args()
    piped = options.results == "-"
    document = json.loads(sys.stdin.read() if piped else Path(options.results).read_text("utf-8"))
    parts = sections(document, plain if options.plain else markdown)
    if options.into:
        text = options.into.read_text(encoding="utf-8")
        options.into.write_text(replaced(text, parts), encoding="utf-8")
    else:
        print("\n\n".join(parts.values()))


def sections(document: dict[str, Any], show: Callable[[list[list[str]]], str]) -> dict[str, str]:
    """The parts of the report by name."""
    about = ", ".join(f"{key} {value}" for key, value in document["machine"].items())
    taken = f"{document['date']}, {document['runs']} turns, {document['minutes']} minutes. {about}."
    found = {"targets": f"{taken}\n\n{show(target_table(document['targets']))}"}
    contenders = document["contenders"]
    tables = [
        f"{title}:\n\n{show(contender_table(contenders[what]))}"
        for what, title in TABLES.items()
        if contenders.get(what)
    ]
    tables += [f"{name}: skipped, {reason}." for name, reason in contenders["skipped"].items()]
    found["contenders"] = "\n\n".join(tables)
    if "stages" in document:
        table = show(stage_table(document["stages"], document["floors"]))
        found["stages"] = f"Corpus M, one thread:\n\n{table}"
    return found


def replaced(text: str, parts: dict[str, str]) -> str:
    """A document with new tables."""
    for name, part in parts.items():
        between = re.compile(f"(<!-- report.py: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = between.sub(lambda found, part=part: f"{found[1]}\n{part}\n\n{found[2]}", text)
    return text


def target_table(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    table = [["what", "at least", "aim", "here", "min-max", "", "note"]]
    for row in rows:
        unit = "x" if row["unit"] == "x" else f" {row['unit']}"
        cells = [row["what"], f"{row['least']:g}{unit}", f"{row['aim']:g}{unit}"]
        if "skipped" in row:
            cells += ["", "", "skipped", row["skipped"]]
        else:
            spread = f"{number(row['min'])}-{number(row['max'])}"
            cells += [f"{number(row['median'])}{unit}", spread, row["verdict"], row["note"]]
        table.append([cell.replace("\n", " ") for cell in cells])
    return table


def contender_table(runs: dict[str, list[dict[str, float]]]) -> list[list[str]]:
    heads = ["", "CPU s", "min-max", "system", "wall s", "peak MB", "PNG MB", "ratio", "min-max"]
    table = [heads]
    first = next(iter(runs.values()), [])
    for name, turns in runs.items():
        cost = [turn["cpu_s"] for turn in turns]
        middle = {key: median(turn[key] for turn in turns) for key in turns[0]}
        ratios = [b / a["cpu_s"] for a, b in zip(first, cost, strict=False)]
        table.append(
            [
                name,
                f"{median(cost):.2f}",
                f"{min(cost):.2f}-{max(cost):.2f}",
                f"{middle['system_s']:.2f}",
                f"{middle['wall_s']:.2f}",
                f"{max(turn['peak_mb'] for turn in turns):.0f}",
                f"{middle['png_mb']:.1f}" if middle["png_mb"] else "",
                f"{median(ratios):.1f}",
                f"{min(ratios):.1f}-{max(ratios):.1f}",
            ]
        )
    return table


# What cannot be done without at each stage, as the harness names it.
FLOORS = {
    "read": "read",
    "checksum": "SHA-256 of the input",
    "decode": "copy of the input",
    "transform": "FFT operations at peak rate",
    "levels": "",
    "PNG": "copy of the PNGs",
    "write": "files created and written",
}


def stage_table(stages: dict[str, float], floors: dict[str, Any]) -> list[list[str]]:
    total = sum(stages.values())
    table = [["stage", "CPU s", "share", "floor, s", "what the floor is"]]
    for stage, seconds in stages.items():
        floor = FLOORS.get(stage, "")
        least = f"{floors[floor]:.4f}" if floor in floors else ""
        table.append([stage, f"{seconds:.4f}", f"{seconds / total:.0%}", least, floor])
    known = sum(floors[floor] for floor in FLOORS.values() if floor in floors)
    return [*table, ["sum", f"{total:.4f}", "100%", f"{known:.4f}", ""]]


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def markdown(table: list[list[str]]) -> str:
    head, *rows = ["| " + " | ".join(cells) + " |" for cells in table]
    return "\n".join([head, "|---" * len(table[0]) + "|", *rows])


def plain(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        for cells in table
    ]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    main()
