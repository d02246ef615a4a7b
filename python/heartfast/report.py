"""The report: one HTML file that shows what was done and how much of it can be believed."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.heads import read_head
from heartfast.metrics import LOSSES
from heartfast.pages import write_page
from heartfast.sounds import embedded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heartfast.conversion import Converted
    from heartfast.leaderboard import LeaderboardRow
    from heartfast.metrics import Estimate
    from heartfast.stages.evaluate import Evaluation
    from heartfast.stages.run import Run

# What is said first where no one was recorded.
SYNTHETIC = "The recordings are synthetic: the figures are no clinical result."
# Example pictures of each class.
EXAMPLES = 3
METRIC_NAMES = {
    "logloss": "Logloss",
    "macro_f1": "Macro-F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "macro_auc": "AUC, one class against the rest",
    "brier": "Brier score",
}


class Example(NamedTuple):
    """A recording to look at and listen to; `times` and `plot` are JSON for the player."""

    name: str
    group: str
    seconds: float
    picture: str
    sound: str
    times: str
    plot: str


class Bar(NamedTuple):
    """A figure with its interval, and where they lie on a scale from 0 to 100."""

    text: str
    interval: str
    at: float
    low: float
    high: float


def write_report(run: Run) -> None:
    """Write the report of a whole run to `run.report`."""
    records = run.conversion.records
    labelled = [record for record in records if record.label]
    classes = [
        _class_row(run, name, [record for record in labelled if record.label == name])
        for name in run.packing.classes
    ]
    _write(
        run.report,
        run=run,
        classes=classes,
        rates=sorted({record.sample_rate for record in records}),
        unlabelled=len(records) - len(labelled),
        failed=run.conversion.errors,
        leaderboard=_leaderboard(run.training.leaderboard, run.training.best),
        config=run.training.bundle.config or {},
        evaluation=run.evaluation,
        caution=SYNTHETIC if run.synthetic else "",
    )


def write_evaluation(path: str | os.PathLike[str], evaluation: Evaluation) -> None:
    """Write a report of an evaluation alone."""
    _write(path, run=None, caution="", evaluation=evaluation)


def _write(path: str | os.PathLike[str], *, evaluation: Evaluation, **parts: Any) -> None:
    write_page(
        path,
        "report.html",
        scripts=("player.js", "report.js") if parts["run"] else (),
        evaluation=evaluation,
        overall=_overall(evaluation),
        per_class=_per_class(evaluation),
        confusion=_confusion(evaluation),
        never=_never_said(evaluation),
        **parts,
    )


def _class_row(run: Run, name: str, records: Sequence[Converted]) -> dict[str, Any]:
    train, test = run.packing.table[name]
    return {
        "name": name,
        "train": train,
        "test": test,
        "minutes": sum(record.duration_s for record in records) / 60,
        "records": records,
        "examples": _examples(run.conversion.out, records),
    }


def _examples(folder: str, records: Sequence[Converted]) -> list[Example]:
    """Recordings of typical length, each of another group, with the pictures in `folder`."""
    import statistics

    middle = statistics.median(record.duration_s for record in records)
    typical = sorted(records, key=lambda r: (abs(r.duration_s - middle), r.file_name))
    chosen: dict[str, Converted] = {}
    for record in typical:
        chosen.setdefault(record.group or record.file_name, record)
    return [_example(folder, record) for record in list(chosen.values())[:EXAMPLES]]


def _example(folder: str, record: Converted) -> Example:
    path = os.path.join(folder, *record.file_name.split("/"))
    with open(path, "rb") as file:
        picture = base64.b64encode(file.read()).decode()
    head = read_head(path)
    ends = {"start": head.start, "end": head.start + record.duration_s}
    return Example(
        name=os.path.basename(record.recording),
        group=record.group,
        seconds=record.duration_s,
        picture=f"data:image/png;base64,{picture}",
        sound=embedded(record.recording, record.sample_rate),
        times=json.dumps(ends | {"left": head.left, "right": head.right}),
        plot=json.dumps(head.plot),
    )


def _leaderboard(rows: Sequence[LeaderboardRow], best: str) -> list[dict[str, Any]]:
    # One scale for all rows: from the best end of an interval to the worst.
    worst = max(row.logloss_ci[1] for row in rows)
    return [
        {
            "model": row.model,
            "best": row.model == best,
            "logloss": _bar(row.logloss, *row.logloss_ci, worst),
            "spread": f"{row.logloss_sd:.3f}",
            "macro_f1": _bar(row.macro_f1, *row.macro_f1_ci, 1.0),
            "balanced_accuracy": _bar(row.balanced_accuracy, *row.balanced_accuracy_ci, 1.0),
            "seconds": f"{row.fit_seconds:.1f}",
        }
        for row in sorted(rows, key=lambda row: row.logloss)
    ]


def _overall(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "name": METRIC_NAMES[name],
            "bar": _estimate_bar(value, _worst(value) if name in LOSSES else 1.0),
            "prior": evaluation.prior[name],
            "better": "lower" if name in LOSSES else "higher",
        }
        for name, value in evaluation.overall.items()
    ]


def _worst(value: Estimate) -> float:
    return max(value.high or 1.0, 1.0)


def _per_class(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "support": support,
            **{
                measure: _estimate_bar(values[i], 1.0)
                for measure, values in evaluation.per_class.items()
            },
        }
        for i, (name, support) in enumerate(
            zip(evaluation.classes, evaluation.support, strict=True)
        )
    ]


def _confusion(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Rows of the heat map; the shade is the share of the actual class."""
    from urllib.parse import urlencode

    rows = []
    for name, support, counts in zip(
        evaluation.classes, evaluation.support, evaluation.confusion.tolist(), strict=True
    ):
        cells = [
            {
                "count": count,
                "share": count / support if support else 0.0,
                "said": said,
                # The gallery's own address of these recordings.
                "query": urlencode({"label": name, "said": said}),
            }
            for count, said in zip(counts, evaluation.classes, strict=True)
        ]
        rows.append({"name": name, "support": support, "cells": cells})
    return rows


def _never_said(evaluation: Evaluation) -> list[str]:
    """Classes that the model does not predict once."""
    said = evaluation.confusion.sum(axis=0).tolist()
    return [name for name, count in zip(evaluation.classes, said, strict=True) if not count]


def _estimate_bar(value: Estimate, scale: float) -> Bar:
    if value.value is None or value.low is None or value.high is None:
        return Bar("undefined", "", 0.0, 0.0, 0.0)
    return _bar(value.value, value.low, value.high, scale)


def _bar(value: float, low: float, high: float, scale: float) -> Bar:
    def place(x: float) -> float:
        return round(100 * min(max(x / scale, 0.0), 1.0), 2)

    interval = f"{low:.2f} to {high:.2f}"
    return Bar(f"{value:.3f}", interval, place(value), place(low), place(high))
