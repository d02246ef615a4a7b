"""The candidates of the leaderboard: how each is fitted, deterministically, on one core.

Whatever a candidate chooses for itself (penalty, tree sizes, rounds) it chooses by inner
cross-validation, grouped like the outer one, on nothing but the recordings it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.forests import BoostedModel
from heartfast.metrics import logloss
from heartfast.models import LinearModel, standardise

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.models import Model

    Array = NDArray[np.float64]
    Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # scikit-learn's C, weak last
INNER_FOLDS = 3
MAX_ROUNDS = 300
PATIENCE = 15
# A sensible start for a few hundred recordings and features: the first trial of every study.
START = {
    "num_leaves": 5,
    "min_data_in_leaf": 10,
    "feature_fraction": 0.1,
    "lambda_l2": 5.0,
    "learning_rate": 0.08,
}


class Data(NamedTuple):
    """What a model is fitted on: features (n, f), class indices (n,), groups (n,), classes k."""

    features: Array
    actual: NDArray[np.intp]
    groups: NDArray[np.intp]
    k: int

    def part(self, rows: NDArray[np.intp]) -> Data:
        """Return the same with only these rows."""
        return Data(self.features[rows], self.actual[rows], self.groups[rows], self.k)


class Settings(NamedTuple):
    """What every fit is told; `stop` set by another thread ends it early."""

    seed: int
    trials: int
    stop: threading.Event


class Stopped(Exception):  # noqa: N818 - not an error: the caller was interrupted
    """A fit that ended because `stop` was set."""


def grouped_folds(data: Data, folds: int, seed: int) -> list[Fold]:
    """Stratified folds that keep groups whole, as (training rows, test rows).

    Folds whose training part lacks a class are left out, so there may be fewer, or none.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found = splitter.split(data.features, data.actual, data.groups)
    return [(fit, test) for fit, test in found if len(np.unique(data.actual[fit])) == data.k]


def groups_per_class(data: Data) -> NDArray[np.intp]:
    """Return how many groups have a recording of each class, int (k,)."""
    import numpy as np

    pairs = np.unique(np.stack([data.actual, data.groups]), axis=1)
    return np.bincount(pairs[0], minlength=data.k)


def inner_folds(data: Data, seed: int) -> list[Fold]:
    """Folds for choosing a candidate's own settings; none where a class has one group only."""
    folds = min(INNER_FOLDS, int(groups_per_class(data).min()))
    return grouped_folds(data, folds, seed) if folds > 1 else []


def fit_prior(data: Data, settings: Settings) -> Model:  # noqa: ARG001
    """Fit nothing: always predict the shares of the classes."""
    import numpy as np

    width = data.features.shape[1]
    shares = np.bincount(data.actual, minlength=data.k) / len(data.actual)
    zeros = np.zeros((data.k, width))
    return LinearModel(np.zeros(width), np.ones(width), zeros, np.log(shares))


def fit_logistic(data: Data, settings: Settings) -> Model:
    """Multinomial logistic regression, L2 penalty chosen by inner cross-validation."""
    import numpy as np

    losses = np.zeros(len(PENALTIES))
    for fit, test in inner_folds(data, settings.seed):
        held_out = data.part(test)
        for index, model in enumerate(_logistic_path(data.part(fit), PENALTIES, settings)):
            losses[index] += logloss(held_out.actual, model.predict_proba(held_out.features))
    return _logistic_path(data, (PENALTIES[int(losses.argmin())],), settings)[0]


def _logistic_path(
    data: Data, penalties: tuple[float, ...], settings: Settings
) -> list[LinearModel]:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    mean, scale = data.features.mean(axis=0), data.features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    scaled = standardise(data.features, mean, scale)
    solver = LogisticRegression(max_iter=10_000, warm_start=True)
    models = []
    for penalty in penalties:
        if settings.stop.is_set():
            raise Stopped
        solver.set_params(C=penalty).fit(scaled, data.actual)
        coef, intercept = solver.coef_.copy(), solver.intercept_.copy()
        if data.k == 2:  # scikit-learn keeps one row of coefficients for two classes
            coef, intercept = np.vstack([0 * coef, coef]), np.append(0.0, intercept)
        models.append(LinearModel(mean, scale, coef, intercept))
    return models


def fit_boosted(data: Data, settings: Settings) -> Model:
    """LightGBM with its default parameters, 100 rounds."""
    return _boost(data, _parameters(data, settings), 100, settings)


def fit_tuned(data: Data, settings: Settings) -> Model:
    """LightGBM with parameters and rounds chosen by optuna on inner folds."""
    import lightgbm
    import optuna

    folds = inner_folds(data, settings.seed)
    if not folds or settings.trials < 1:
        return _boost(data, _parameters(data, settings) | START, 50, settings)
    fixed = _parameters(data, settings) | {"feature_pre_filter": False, "max_bin": 63}
    table = lightgbm.Dataset(data.features, data.actual, params=fixed, free_raw_data=False)

    def objective(trial: optuna.Trial) -> float:
        chosen = {
            "num_leaves": trial.suggest_int("num_leaves", 3, 15, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, 40, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.03, 0.5, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 50.0, log=True),
            "learning_rate": trial.suggest_float("learning_rate", 0.04, 0.15, log=True),
        }
        try:
            curve = lightgbm.cv(
                fixed | chosen,
                table,
                MAX_ROUNDS,
                folds=folds,
                callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False), _stopper(settings)],
            )["valid multi_logloss-mean"]
        except Stopped:  # optuna would log it as a failure, with a traceback
            trial.study.stop()
            raise optuna.TrialPruned from None
        trial.set_user_attr("rounds", len(curve))
        return float(curve[-1])

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=5)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial(START)
    study.optimize(objective, n_trials=settings.trials)
    if settings.stop.is_set():
        raise Stopped
    best = study.best_trial
    return _boost(data, fixed | best.params, best.user_attrs["rounds"], settings)


CANDIDATES: dict[str, Callable[[Data, Settings], Model]] = {
    "class prior": fit_prior,
    "logistic regression": fit_logistic,
    "LightGBM": fit_boosted,
    "LightGBM tuned": fit_tuned,
}


def _parameters(data: Data, settings: Settings) -> dict[str, object]:
    return {
        "objective": "multiclass",
        "num_class": data.k,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "use_missing": False,
        "verbosity": -1,
    }


def _stopper(settings: Settings) -> Callable[[object], None]:
    def check(environment: object) -> None:  # noqa: ARG001
        if settings.stop.is_set():
            raise Stopped

    return check


def _boost(
    data: Data, parameters: dict[str, object], rounds: int, settings: Settings
) -> BoostedModel:
    import lightgbm

    table = lightgbm.Dataset(data.features, data.actual, params=parameters)
    booster = lightgbm.train(parameters, table, rounds, callbacks=[_stopper(settings)])
    return BoostedModel(booster.model_to_string())
