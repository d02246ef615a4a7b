"""CinC 2016, sources a, b, c, d, f: `python benches/learning/cinc2016.py`.

Leave one source out (trained on the others), and 5 folds inside each source; the mean AUC over
sources is the figure. The interval is over recordings, within sources: no patients are known.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile

import numpy as np
from corpora import corpus, development, save, say
from sklearn.metrics import roc_auc_score

import heartfast
from heartfast.stages.train import TrainResult

RESAMPLES = 2000


def mean_auc(
    actual: np.ndarray, scores: np.ndarray, sources: np.ndarray, seed: int
) -> tuple[dict[str, float], tuple[float, float, float]]:
    """AUC of each source, and the mean with its 95 % interval."""
    rng = np.random.Generator(np.random.PCG64(seed))
    each, draws = {}, []
    for source in np.unique(sources):
        rows = np.flatnonzero(sources == source)
        each[str(source)] = float(np.mean([roc_auc_score(actual[rows], s[rows]) for s in scores]))
        positive, negative = (rows[actual[rows] == value] for value in (1, 0))
        found = []
        for _ in range(RESAMPLES):
            drawn = np.concatenate([rng.choice(part, len(part)) for part in (positive, negative)])
            found.append(roc_auc_score(actual[drawn], scores[0][drawn]))
        draws.append(found)
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    return each, (float(np.mean(list(each.values()))), float(low), float(high))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data = corpus("cinc2016")
    result = heartfast.train(data.pictures, cv="source", metric="macro_auc", seed=given.seed)
    sources = np.array(result.sources)
    looked_at = np.array([development(key) for key in result.names])
    everything = np.ones(len(looked_at), dtype=bool)
    parts = {"all": everything, "not looked at": ~looked_at, "development": looked_at}
    abnormal = result.classes.index("abnormal")
    rows, results = [], {"seed": given.seed, "leaderboard": result.to_dict()["leaderboard"]}

    def take(title: str, oof: np.ndarray) -> None:
        for name, part in parts.items():
            actual = (result.actual[part] != result.classes.index("normal")).astype(int)
            each, figure = mean_auc(actual, oof[:, part], sources[part], given.seed)
            cells = [f"{value:.3f}" for value in each.values()]
            mean = "{:.3f} ({:.3f}-{:.3f})".format(*figure)
            rows.append(f"| {title} | {name} | {mean} | {' | '.join(cells)} |")
            results[f"{title}, {name}"] = {"mean": figure, "each": each}

    take(f"leave one source out ({result.best})", result.oof[:, :, abnormal])
    take("inside each source", within(data.pictures, result, given.repeats, given.seed))
    save("cinc2016", results)
    names = " | ".join(sorted(set(result.sources)))
    head = [
        f"| protocol | recordings | mean AUC | {names} |",
        "|---" * (3 + len(set(result.sources))) + "|",
    ]
    sys.stdout.write("\n".join(["```", result.to_text(), "```", "", *head, *rows]) + "\n")


def within(pictures_of: str, result: TrainResult, repeats: int, seed: int) -> np.ndarray:
    """Out-of-fold probabilities of "abnormal" (repeats, n), of models of one source each."""
    oof = np.zeros((repeats, len(result.names)))
    sources, place = np.array(result.sources), {name: i for i, name in enumerate(result.names)}
    for source in sorted(set(result.sources)):
        with tempfile.TemporaryDirectory() as folder:
            for name in np.array(result.names)[sources == source]:
                target = os.path.join(folder, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(pictures_of, name), target)
            fewest = min(len(os.listdir(os.path.join(folder, label))) for label in result.classes)
            found = heartfast.train(
                folder, folds=min(5, fewest), repeats=repeats, metric="macro_auc", seed=seed
            )
        say(f"{source}: {found.best}")
        rows = [place[name] for name in found.names]
        oof[:, rows] = found.oof[:, :, found.classes.index("abnormal")]
    return oof


if __name__ == "__main__":
    main()
