"""The class prior, and logistic regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast.fitting.data import Fitted, choice_loss, inner_folds, sample_weights
from heartfast.models import LinearModel, standardise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting.data import Data, Rows, Settings

    Array = NDArray[np.float64]

PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # scikit-learn's C, weak last


def fit_prior(data: Data, settings: Settings) -> Fitted:  # noqa: ARG001
    """Fit nothing: always predict the shares of the classes."""
    import numpy as np

    width = data.features.shape[1]
    shares = np.bincount(data.actual, minlength=data.k) / len(data.actual)
    zeros = np.zeros((data.k, width))
    return Fitted(LinearModel(np.zeros(width), np.ones(width), zeros, np.log(shares)), None)


def fit_logistic(data: Data, settings: Settings) -> Fitted:
    """Multinomial logistic regression; inner folds choose the L2 penalty and the columns."""
    import numpy as np

    folds = inner_folds(data, settings)
    best: tuple[float, Rows, float, Array | None] = (np.inf, data.choices()[0], PENALTIES[0], None)
    for columns in data.choices() if folds else []:
        found = np.full((len(PENALTIES), len(data.actual), data.k), np.nan)
        for rows, held_out in folds:
            path = _path(data.part(rows), columns, PENALTIES, settings)
            for index, model in enumerate(path):
                found[index, held_out] = model.predict_proba(data.features[held_out])
        for penalty, predicted in zip(PENALTIES, found, strict=True):
            if (loss := choice_loss(data, predicted, settings)) < best[0]:
                best = loss, columns, penalty, predicted
    _, columns, penalty, inner = best
    return Fitted(_path(data, columns, (penalty,), settings)[0], inner)


def _path(
    data: Data, columns: Rows, penalties: Sequence[float], settings: Settings
) -> list[LinearModel]:
    """Fit with one penalty after the other; columns that are not used have no weight."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    features, rows = data.fitted_on()
    mean, scale = standardisation(features)
    scaled = standardise(features, mean, scale)[:, columns]
    weights = sample_weights(data, settings)[rows]
    solver = LogisticRegression(max_iter=10_000, warm_start=True)
    models = []
    for penalty in penalties:
        settings.go_on()
        solver.set_params(C=penalty).fit(scaled, data.actual[rows], weights)
        coef, intercept = both_rows(solver.coef_, solver.intercept_)
        whole = np.zeros((data.k, features.shape[1]))
        whole[:, columns] = coef
        models.append(LinearModel(mean, scale, whole, intercept))
    return models


def standardisation(features: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column, 1 where it is constant."""
    import numpy as np

    mean, scale = features.mean(axis=0), features.std(axis=0)
    return mean, np.where(scale > 1e-9, scale, 1.0)


def both_rows(coef: Array, intercept: Array) -> tuple[Array, Array]:
    """Give two classes a row each: of these, scikit-learn keeps only the second."""
    import numpy as np

    if len(coef) == 1:
        return np.vstack([0 * coef, coef]), np.append(0.0, intercept)
    return coef.copy(), intercept.copy()
