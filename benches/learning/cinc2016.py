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
from collections.abc import Callable

import numpy as np
from corpora import corpus, development, pictures, save, say
from sklearn.metrics import roc_auc_score

import heartfast
from heartfast.stages.train import TrainResult

RESAMPLES = 2000
Rows = dict[str, np.ndarray]


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
    raise SystemExit("written when train has --cv source")


if __name__ == "__main__":
    main()
