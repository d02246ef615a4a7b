"""PASCAL set B, patients kept whole: `python benches/learning/pascal_b.py [--context]`.

The leaderboard by 5 folds, repeated; the best model's figures of single classes, each recording by
itself and with the score of its patient (as `score --by-group` combines them); the same on the half
of the patients that features and models were not chosen on; the learning curve; and what the labels
themselves allow. With `--context`, models see the mean of each patient's features, too
(`heartfast train --context`), and what does not depend on that is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from corpora import Corpus, corpus, development, save, say

import heartfast
from heartfast.combining import combine
from heartfast.fitting import SINGLE, Data, Settings
from heartfast.fitting.data import grouped_folds
from heartfast.metrics import estimate, group_sums
from heartfast.stages.train import TrainResult

FOLDS = 5
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the training patients, for the learning curve


def figure(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def figures(actual: np.ndarray, oof: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, str]:
    """The figures of the table of targets, with 95 % intervals over patients."""
    overall, per_class = estimate(group_sums(actual, oof, groups), seed=seed)
    murmur, extrasystole = 1, 0  # in the alphabet
    wanted = {
        "logloss": overall["logloss"],
        "macro-F1": overall["macro_f1"],
        "AUC": overall["macro_auc"],
        "murmur F1": per_class["f1"][murmur],
        "extrasystole AP": per_class["average_precision"][extrasystole],
    }
    return {name: figure(*one) for name, one in wanted.items()}


def by_patient(oof: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Give each recording the score of its patient."""
    usable = np.ones(len(groups), dtype=bool)
    return np.stack([combine(repeat, groups, usable)[groups] for repeat in oof])


def by_half(
    data: Corpus, result: TrainResult, oof: np.ndarray, seed: int
) -> dict[str, dict[str, str]]:
    """All patients, and each half of them, by the same out-of-fold predictions."""
    looked_at = np.array([development(key) for key in data.keys])
    parts = {
        "all patients": np.ones(len(looked_at), dtype=bool),
        "half not looked at": ~looked_at,
        "half of development": looked_at,
    }
    return {
        name: figures(result.actual[rows], oof[:, rows], result.groups[rows], seed)
        for name, rows in parts.items()
    }


def curve(data: Corpus, repeats: int, seed: int) -> dict[str, str]:
    """Logloss of logistic regression, trained on a share of the training patients."""
    whole = Data(data.features, data.actual, data.groups, len(data.classes))
    settings = Settings(seed=seed, trials=1, stop=threading.Event())
    lines = {}
    for share in SHARES:
        oof = np.zeros((repeats, len(data.actual), len(data.classes)))
        for repeat in range(repeats):
            rng = np.random.Generator(np.random.PCG64(seed + repeat))
            for train, test in grouped_folds(whole, FOLDS, seed + repeat):
                patients = np.unique(data.groups[train])
                kept = rng.permutation(patients)[: round(share * len(patients))]
                part = whole.part(train[np.isin(data.groups[train], kept)])
                model = SINGLE["logistic regression"](part, settings).model
                oof[repeat, test] = model.predict_proba(data.features[test])
        overall, _ = estimate(group_sums(data.actual, oof, data.groups), seed=seed)
        lines[f"{share:.0%} of the training patients"] = figure(*overall["logloss"])
        say(f"learning curve, {share:.0%}: {lines[f'{share:.0%} of the training patients']}")
    return lines


def ceilings(data: Corpus, seed: int) -> dict[str, dict[str, str]]:
    """What two judges reach who know the labels, but only so far."""
    k = len(data.classes)
    own, murmurs = np.zeros((2, len(data.actual), k))
    for patient in np.unique(data.groups):
        rows = data.groups == patient
        own[rows] = np.bincount(data.actual[rows], minlength=k) / rows.sum()
    has_murmur = own[:, 1] > 0
    rest = np.bincount(data.actual[~has_murmur], minlength=k) / (~has_murmur).sum()
    murmurs[:] = np.where(has_murmur[:, None], np.eye(k)[1], rest)
    return {
        "knows who has a murmur, and nothing of extrasystoles": figures(
            data.actual, murmurs[None], data.groups, seed
        ),
        "knows each patient's share of each class, and hears nothing": figures(
            data.actual, own[None], data.groups, seed
        ),
    }


def default_train(pictures: str) -> float:
    """Seconds of `heartfast train` with its defaults, whole process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "heartfast", "train", pictures, "-o", f"{folder}/model"]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--context", action="store_true")
    given = parser.parse_args()
    data = corpus("pascal_b")
    results: dict[str, object] = {
        "protocol": f"patients whole, {FOLDS} folds, {given.repeats} repeats",
        "seed": given.seed,
        "context": given.context,
    }
    out = []
    if not given.context:
        seconds = default_train(data.pictures)
        say(f"heartfast train, defaults: {seconds:.1f} s")
        results["default train, s"] = seconds
        out.append(f"`heartfast train` with its defaults: {seconds:.1f} s\n")
    start = time.perf_counter()
    result = heartfast.train(
        data.pictures,
        folds=FOLDS,
        repeats=given.repeats,
        seed=given.seed,
        context=given.context,
    )
    say(f"the leaderboard: {time.perf_counter() - start:.0f} s")
    out += ["```", result.to_text(), "```\n"]
    results["leaderboard"] = result.to_dict()["leaderboard"]
    for title, oof in (
        (f"{result.best}, each recording by itself", result.oof),
        (f"{result.best}, by patient", by_patient(result.oof, result.groups)),
    ):
        halves = by_half(data, result, oof, given.seed)
        results[title] = halves
        out += table(title, halves)
    if not given.context:
        results["ceilings"] = ceilings(data, given.seed)
        results["learning curve"] = curve(data, min(given.repeats, 5), given.seed)
        out += table("judge", results["ceilings"])
        out += ["| logistic regression, trained on | logloss |", "|---|---|"]
        out += [f"| {name} | {value} |" for name, value in results["learning curve"].items()]
    save("pascal-b-context" if given.context else "pascal-b", results)
    sys.stdout.write("\n".join(out) + "\n")


def table(title: str, rows: dict[str, dict[str, str]]) -> list[str]:
    columns = list(next(iter(rows.values())))
    return [
        f"| {title} | {' | '.join(columns)} |",
        "|---|" + "---|" * len(columns),
        *(f"| {name} | {' | '.join(row.values())} |" for name, row in rows.items()),
        "",
    ]


if __name__ == "__main__":
    main()
