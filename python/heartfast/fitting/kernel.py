"""Support vector machines with Gaussian kernels, whose scores a logistic regression calibrates.

Scores for calibrating are those of inner folds: a machine's scores of the recordings that it was
fitted on are farther apart than those of others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.fitting.data import Fitted, choice_loss, inner_folds, sample_weights
from heartfast.fitting.linear import both_rows, standardisation
from heartfast.models import KernelModel, standardise
from heartfast.probabilities import softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting.data import Data, Fold, Rows, Settings

    Array = NDArray[np.float64]

COST = 1.0  # scikit-learn's C
WIDTH = 0.5  # gamma times the number of columns
MOST = 5000  # recordings that machines are fitted on: time and memory grow with the square


class Calibration(NamedTuple):
    """A logistic regression of scores: `coef` (k, s) and `intercept` (k,)."""

    coef: Array
    intercept: Array

    def predict_proba(self, scores: Array) -> Array:
        """Class probabilities (n, k) of scores (n, s)."""
        return softmax(scores @ self.coef.T + self.intercept)


def fit_svm(data: Data, settings: Settings) -> Fitted:
    """One machine a class against the rest; inner folds choose the columns and calibrate.

    Where there are no inner folds to calibrate in, the class shares are all that is predicted.
    """
    import numpy as np

    if len(chosen := _at_most(data, MOST, settings.seed)) < len(data.actual):
        part = fit_svm(data.part(chosen), settings)
        if part.inner is None:
            return part
        whole = np.full((len(data.actual), data.k), np.nan)
        whole[chosen] = part.inner
        return Fitted(part.model, whole)
    folds = inner_folds(data, settings)
    weights = sample_weights(data, settings)
    if not folds:
        shares = np.log(np.bincount(data.actual, weights, data.k) / weights.sum())
        machine = _machine(data, data.choices()[0], settings)
        return Fitted(_with(machine, Calibration(np.zeros_like(machine.coef), shares)), None)
    best: tuple[float, Rows, Array, Array] | None = None
    for columns in data.choices():
        scores = np.full((len(data.actual), data.k), np.nan)
        for rows, held_out in folds:
            machine = _machine(data.part(rows), columns, settings)
            scores[held_out] = machine.scores(data.features[held_out])
        predicted = _calibrated_in_turn(data, scores, weights, folds)
        if best is None or (choice_loss(data, predicted, settings) < best[0]):
            best = choice_loss(data, predicted, settings), columns, scores, predicted
    assert best is not None  # noqa: S101 - there is at least one choice
    _, columns, scores, predicted = best
    known = np.flatnonzero(~np.isnan(scores[:, 0]))
    calibration = _calibration(scores[known], data.actual[known], weights[known])
    return Fitted(_with(_machine(data, columns, settings), calibration), predicted)


def _at_most(data: Data, most: int, seed: int) -> Rows:
    """Return random recordings with the same shares of classes."""
    import numpy as np

    if (n := len(data.actual)) <= most:
        return np.arange(n)
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = [
        rng.permutation(members)[: max(1, len(members) * most // n)]
        for label in range(data.k)
        for members in [np.flatnonzero(data.actual == label)]
    ]
    return np.sort(np.concatenate(rows))


def _machine(data: Data, columns: Rows, settings: Settings) -> KernelModel:
    """Fit a machine for each class; the scores stand for themselves until they are calibrated."""
    import numpy as np
    from sklearn.svm import SVC

    features, rows = data.fitted_on()
    mean, scale = standardisation(features[:, columns])
    scaled = standardise(features[:, columns], mean, scale)
    weights = sample_weights(data, settings)[rows]
    gamma = WIDTH / len(columns)
    coef, offset = np.zeros((data.k, len(scaled))), np.zeros(data.k)
    for label in range(data.k):
        settings.go_on()
        machine = SVC(C=COST, gamma=gamma, cache_size=500)
        machine.fit(scaled, data.actual[rows] == label, weights)
        coef[label, machine.support_] = machine.dual_coef_[0]
        offset[label] = machine.intercept_[0]
    used = np.flatnonzero(coef.any(axis=0))
    return KernelModel(
        columns=columns.astype(np.float64),
        width=np.array([float(features.shape[1])]),
        mean=mean,
        scale=scale,
        vectors=scaled[used],
        weights=coef[:, used],
        offset=offset,
        gamma=np.array([gamma]),
        coef=np.eye(data.k),
        intercept=np.zeros(data.k),
    )


def _with(machine: KernelModel, calibration: Calibration) -> KernelModel:
    machine.coef, machine.intercept = calibration
    return machine


def _calibrated_in_turn(data: Data, scores: Array, weights: Array, folds: list[Fold]) -> Array:
    """Probabilities of each fold's scores, calibrated on those of the other folds."""
    import numpy as np

    predicted = np.full(scores.shape, np.nan)
    known = ~np.isnan(scores[:, 0])
    for _, held_out in folds:
        others = known.copy()
        others[held_out] = False
        there = len(np.unique(data.actual[others])) == data.k
        rows = np.flatnonzero(others if there else known)
        calibration = _calibration(scores[rows], data.actual[rows], weights[rows])
        predicted[held_out] = calibration.predict_proba(scores[held_out])
    return predicted


def _calibration(scores: Array, actual: NDArray[np.intp], weights: Array) -> Calibration:
    from sklearn.linear_model import LogisticRegression

    solver = LogisticRegression(max_iter=10_000).fit(scores, actual, weights)
    return Calibration(*both_rows(solver.coef_, solver.intercept_))
