"""Extremely randomised trees, and LightGBM with its defaults and tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heartfast.fitting.data import Fitted, Stopped, inner_folds, out_of_fold, sample_weights
from heartfast.fitting.pooling import calibrate
from heartfast.forests import BoostedModel, ForestModel
from heartfast.ranking import macro_auc

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting.data import Data, Fold, Settings

    Array = NDArray[np.float64]

TREES = 300
INNER_TREES = 100  # enough for a temperature and a weight, in a third of the time
LEAST_IN_LEAF = 3
COLUMNS = 0.2  # that a split of extra trees looks at
MOST_CELLS = 2_000_000  # of leaves of all trees times classes: 16 MB of a saved model
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


def fit_extra_trees(data: Data, settings: Settings) -> Fitted:
    """Average many random trees, at a temperature that inner folds choose."""
    inner = out_of_fold(
        data,
        inner_folds(data, settings),
        lambda part: _forest(part, INNER_TREES, settings),
        settings,
    )
    return calibrate(Fitted(_forest(data, TREES, settings), inner), data, settings)


def _forest(data: Data, count: int, settings: Settings) -> ForestModel:
    import numpy as np
    from sklearn.ensemble import ExtraTreesClassifier

    features, rows = data.fitted_on()
    most = max(2, MOST_CELLS // (TREES * data.k))
    trees = ExtraTreesClassifier(
        count,
        min_samples_leaf=LEAST_IN_LEAF,
        max_features=COLUMNS,
        max_leaf_nodes=most if len(rows) > most * LEAST_IN_LEAF else None,
        random_state=settings.seed,
    )
    largest = np.finfo(np.float32).max
    trees.fit(
        np.clip(features, -largest, largest),
        data.actual[rows],
        sample_weights(data, settings)[rows],
    )
    return forest_model([tree.tree_ for tree in trees.estimators_], features.shape[1])


def forest_model(trees: list[Any], width: int) -> ForestModel:
    """Take trees from scikit-learn's classifiers (their `tree_`) on this many features."""
    import numpy as np

    parts: dict[str, list[Array]] = {
        name: []
        for name in ("split_feature", "threshold", "left_child", "right_child", "leaf_value")
    }
    leaves = []
    for tree in trees:
        is_leaf = tree.children_left < 0
        # Inner nodes and leaves are numbered apart, each in the order that they had.
        number = np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1)
        leaves.append(float(is_leaf.sum()))
        parts["split_feature"].append(tree.feature[~is_leaf].astype(np.float64))
        parts["threshold"].append(tree.threshold[~is_leaf])
        parts["left_child"].append(number[tree.children_left[~is_leaf]].astype(np.float64))
        parts["right_child"].append(number[tree.children_right[~is_leaf]].astype(np.float64))
        value = tree.value[is_leaf, 0]
        parts["leaf_value"].append(value / value.sum(axis=1, keepdims=True))
    return ForestModel(
        leaves=np.array(leaves),
        width=np.array([float(width)]),
        **{name: np.concatenate(arrays) for name, arrays in parts.items()},
    )


def fit_boosted(data: Data, settings: Settings) -> Fitted:
    """LightGBM with its defaults, 100 rounds, as it comes: not calibrated, without variants."""
    data = data._replace(variants=None)
    return Fitted(_boost(data, _parameters(data, settings), 100, settings), None)


def fit_tuned(data: Data, settings: Settings) -> Fitted:
    """LightGBM with parameters, rounds and a temperature chosen on inner folds, by optuna."""
    folds = inner_folds(data, settings)
    chosen, rounds = START, 50
    if folds:
        chosen, rounds = _tune(data, folds, settings)
    parameters = _parameters(data, settings) | {"max_bin": 63} | chosen
    inner = out_of_fold(
        data, folds, lambda part: _boost(part, parameters, rounds, settings), settings
    )
    model = _boost(data, parameters, rounds, settings)
    return calibrate(Fitted(model, inner), data, settings)


def _tune(data: Data, folds: list[Fold], settings: Settings) -> tuple[dict[str, float], int]:
    """Return the best parameters of so many trials, and their rounds."""
    import lightgbm
    import numpy as np
    import optuna

    features, rows = data.fitted_on()
    # A fold's variants are fitted on with their recordings, and never held out.
    wide = [(np.flatnonzero(np.isin(rows, fit)), held_out) for fit, held_out in folds]
    fixed = _parameters(data, settings) | {"feature_pre_filter": False, "max_bin": 63}
    by = {"feval": _by_ranks} if settings.by_source else {}
    if by:
        fixed["metric"] = "None"
    table = lightgbm.Dataset(
        features,
        data.actual[rows],
        weight=_weights(data, settings),
        params=fixed,
        free_raw_data=False,
    )

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
                folds=wide,
                callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False), _stopper(settings)],
                **by,
            )["valid auc-mean" if by else "valid multi_logloss-mean"]
        except Stopped:  # optuna would log it as a failure, with a traceback
            trial.study.stop()
            raise optuna.TrialPruned from None
        trial.set_user_attr("rounds", len(curve))
        return float(-curve[-1] if by else curve[-1])

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=5)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial(START)
    study.optimize(objective, n_trials=settings.trials)
    settings.go_on()
    best = study.best_trial
    return best.params, best.user_attrs["rounds"]


def _by_ranks(predicted: Array, table: Any) -> tuple[str, float, bool]:
    """How well a held-out source is ranked, for LightGBM: name, value, whether more is better."""
    import numpy as np

    area = macro_auc(table.get_label().astype(np.intp), predicted)
    return "auc", 0.5 if np.isnan(area) else area, True


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


def _weights(data: Data, settings: Settings) -> Array | None:
    """Weights of all that is fitted on; none at all is what LightGBM does by default."""
    if settings.class_weight == "none":
        return None
    return sample_weights(data, settings)[data.fitted_on()[1]]


def _stopper(settings: Settings) -> Callable[[object], None]:
    return lambda environment: settings.go_on()  # noqa: ARG005 - LightGBM's way to call back


def _boost(data: Data, parameters: dict[str, Any], rounds: int, settings: Settings) -> BoostedModel:
    import lightgbm

    features, rows = data.fitted_on()
    table = lightgbm.Dataset(
        features, data.actual[rows], weight=_weights(data, settings), params=parameters
    )
    booster = lightgbm.train(parameters, table, rounds, callbacks=[_stopper(settings)])
    return BoostedModel(booster.model_to_string())
