"""The report: one HTML file that shows what was done and how much of it can be believed."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import decisions, summary
from heartfast.charts import Interval, interval_chart
from heartfast.files import read_file
from heartfast.fitting import PRIOR
from heartfast.heads import read_head
from heartfast.insights import insights
from heartfast.leaderboard import METRICS, NAMES, PROTOCOL_NAMES, rank
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
    from heartfast.stages.train import TrainResult

# What is said first where no one was recorded.
SYNTHETIC = "The recordings are synthetic: the figures are no clinical result."
# Example pictures of each class.
EXAMPLES = 3
# Of the whole test; what each says, for who does not know it.
MEANINGS = {
    "accuracy": ("Right", "share of recordings whose class is named"),
    "balanced_accuracy": ("Balanced accuracy", "share found of each class, averaged over classes"),
    "macro_f1": ("Macro-F1", "finding and being right when it says so, averaged over classes"),
    "macro_auc": ("AUC", "how often a recording of a class ranks above one that is not"),
    "logloss": ("Logloss", "how far the probabilities are off; confident mistakes cost most"),
    "brier": ("Brier", "squared distance of the probabilities from the truth"),
}
CLASS_FIGURES = {
    "precision": "Right when it says so",
    "recall": "Found",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "Average precision",
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
        board=_board(run.training),
        protocols=_protocols(run.training),
        choices=_choices(run.training),
        protocol=PROTOCOL_NAMES[run.training.protocol],
        remarks=summary.remarks(run.evaluation, run.training, run.audit),
        goes_by=insights(run),
        audit=run.audit,
        config=run.training.bundle.config or {},
        evaluation=run.evaluation,
        caution=SYNTHETIC if run.synthetic else "",
    )


def write_evaluation(path: str | os.PathLike[str], evaluation: Evaluation) -> None:
    """Write a report of an evaluation alone."""
    remarks = summary.remarks(evaluation, None, None)
    _write(path, run=None, caution="", evaluation=evaluation, remarks=remarks)


def _write(path: str | os.PathLike[str], *, evaluation: Evaluation, **parts: Any) -> None:
    write_page(
        path,
        "report.html",
        scripts=("player.js", "report.js") if parts["run"] else (),
        evaluation=evaluation,
        overall=_overall(evaluation),
        per_class=_per_class(evaluation),
        confusion=_confusion(evaluation),
        headline=summary.headline(evaluation),
        found=summary.class_by_class(evaluation),
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
    picture = base64.b64encode(read_file(path)).decode()
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


def _board(training: TrainResult) -> dict[str, Any]:
    """The leaderboard: a chart of the metric that was asked for, and all figures, best first."""
    metric = str(training.bundle.training["metric"])
    rows = sorted(training.leaderboard, key=rank(metric))
    prior = next((row for row in rows if row.model == PRIOR), None)
    chart = interval_chart(
        [
            Interval(row.model, *_three(row, metric), strong=row.model == training.best)
            for row in rows
            if row is not prior
        ],
        title="Candidates, best first",
        axis=f"{NAMES[metric]} ({_better(metric)} is better), 95 % interval",
        reference=(PRIOR, getattr(prior, metric)) if prior else None,
    )
    table = [
        {
            "model": row.model,
            "best": row.model == training.best,
            "figures": [_row_figure(row, name) for name in METRICS],
            "difference": None
            if row.model == training.best
            else (f"{row.difference:+.3f}", "{:+.2f} to {:+.2f}".format(*row.difference_ci)),
            "fit": f"{row.fit_seconds:.1f}",
            "score": f"{row.score_seconds:.2f}",
        }
        for row in rows
    ]
    headers = [f"{_title(NAMES[name])} ({_better(name)})" for name in METRICS]
    return {"chart": chart, "headers": headers, "rows": table, "metric": NAMES[metric]}


def _protocols(training: TrainResult) -> dict[str, Any] | None:
    """The same quick candidate by two protocols."""
    naive = training.naive
    if naive is None:
        return None
    shown = [name for name in PROTOCOL_NAMES if name in naive]
    metric = "logloss"
    chart = interval_chart(
        [
            Interval(
                PROTOCOL_NAMES[name],
                naive[name][metric]["value"],
                naive[name][metric]["low"],
                naive[name][metric]["high"],
                name == training.protocol,
            )
            for name in shown
        ],
        title=f"The same {naive['model']}, tested in two ways",
        axis="logloss (lower is better), 95 % interval",
    )
    return {"chart": chart, "model": naive["model"]}


def _choices(training: TrainResult) -> list[list[str]]:
    """The table of what deciding by other thresholds costs; a header first."""
    found = decisions.standard_choices(
        training.actual, training.oof, training.classes, training.groups
    )
    return decisions.choices_table(found)


def _overall(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "name": MEANINGS[name][0],
            "meaning": MEANINGS[name][1],
            "figure": _estimate(value),
            "prior": f"{evaluation.prior[name]:.3f}",
            "better": _better(name),
        }
        for name, value in sorted(
            evaluation.overall.items(), key=lambda item: list(MEANINGS).index(item[0])
        )
    ]


def _per_class(evaluation: Evaluation) -> dict[str, Any]:
    """A chart of what is found of each class, and all figures."""
    found = [
        Interval(name, value.value, value.low, value.high)
        for name, value in zip(evaluation.classes, evaluation.per_class["recall"], strict=True)
        if value.value is not None and value.low is not None and value.high is not None
    ]
    chart = interval_chart(
        found, title="Found of each class", axis="share of its recordings, 95 % interval"
    )
    rows = [
        {
            "name": name,
            "support": support,
            "figures": [_estimate(values[i]) for values in evaluation.per_class.values()],
        }
        for i, (name, support) in enumerate(
            zip(evaluation.classes, evaluation.support, strict=True)
        )
    ]
    headers = [CLASS_FIGURES[name] for name in evaluation.per_class]
    return {"chart": chart if found else "", "rows": rows, "headers": headers}


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


def _estimate(value: Estimate) -> tuple[str, str]:
    if value.value is None or value.low is None or value.high is None:
        return "undefined", ""
    return _ranged(value.value, (value.low, value.high))


def _three(row: LeaderboardRow, metric: str) -> tuple[float, float, float]:
    """A figure of a candidate, and the ends of its interval."""
    low, high = getattr(row, f"{metric}_ci")
    return getattr(row, metric), low, high


def _row_figure(row: LeaderboardRow, metric: str) -> tuple[str, str]:
    value, low, high = _three(row, metric)
    return _ranged(value, (low, high))


def _ranged(value: float, interval: tuple[float, float]) -> tuple[str, str]:
    """A figure and its interval, as the tables have them."""
    return f"{value:.3f}", f"{interval[0]:.2f} to {interval[1]:.2f}"


def _better(metric: str) -> str:
    return "lower" if metric in LOSSES else "higher"


def _title(text: str) -> str:
    return text[0].upper() + text[1:]
