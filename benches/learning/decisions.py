"""What thresholds and costs would do on PASCAL set B: the tables of docs/operating-points.md.

    python benches/learning/decisions.py

`heartfast train` as it is by default, all 461 labelled recordings, patients whole; every figure is
of recordings that were left out of the fit.
"""

from __future__ import annotations

from corpora import pictures, save

import heartfast
from heartfast.decisions import Rule, choices, choices_table, cost_matrix, make_rule
from heartfast.operating import points_table


def show(rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]]:
        print("| " + " | ".join(row) + " |")
    print()


def records(rows: list[list[str]]) -> list[dict[str, str]]:
    """Return the rows of a table by the names of their columns."""
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def main() -> None:
    """Train, print both tables and save them."""
    result = heartfast.train(pictures("pascal_b"))
    operating, classes = result.bundle.operating, result.classes
    print(f"{result.best}, {result.n_recordings} recordings, {result.n_groups} patients\n")
    points = points_table(operating)
    show(points)
    dear = cost_matrix({("murmur", "normal"): 10.0}, classes)
    wanted = [("most probable", Rule(classes))]
    wanted += [
        (f"`--sensitivity murmur={share}`", make_rule(classes, operating, sensitivity=one))
        for share in (0.8, 0.9, 0.95)
        for one in [{"murmur": share}]
    ]
    wanted += [("`--cost murmur:normal=10`", Rule(classes, costs=dear))]
    found = choices(result.actual, result.oof, wanted, dear)
    table = choices_table(found)
    table[0].append("cost of 100")
    for cells, row in zip(table[1:], found, strict=True):
        cells.append(f"{100 * row.cost:.0f}")
    show(table)
    tables = {"points": records(points), "choices": records(table)}
    save("decisions", {"seed": 0, "model": result.best} | tables)


if __name__ == "__main__":
    main()
