"""The candidates of the leaderboard: how each is fitted, deterministically, on one core.

Whatever a candidate chooses for itself (penalty, columns, tree sizes, rounds, temperature, weights)
it chooses by inner cross-validation, grouped like the outer one, on nothing but the recordings it
is given.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from heartfast.fitting.data import Data, Fitted, Settings, Stopped
from heartfast.fitting.kernel import fit_svm
from heartfast.fitting.linear import fit_logistic, fit_prior
from heartfast.fitting.pooling import blend_weights
from heartfast.fitting.trees import fit_boosted, fit_extra_trees, fit_tuned
from heartfast.models import PooledModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heartfast.models import Model

__all__ = [
    "BLEND",
    "BLENDED",
    "CANDIDATES",
    "PRIOR",
    "QUICK",
    "SINGLE",
    "Data",
    "Fitted",
    "Settings",
    "Stopped",
    "blended",
]

PRIOR, QUICK, BLEND = "class prior", "logistic regression", "blend"
# Those that stand for themselves, the quickest first.
SINGLE: dict[str, Callable[[Data, Settings], Fitted]] = {
    PRIOR: fit_prior,
    QUICK: fit_logistic,
    "SVM": fit_svm,
    "extra trees": fit_extra_trees,
    "LightGBM": fit_boosted,
    "LightGBM tuned": fit_tuned,
}
BLENDED = (QUICK, "SVM", "extra trees", "LightGBM tuned")


def blended(members: Sequence[Fitted], data: Data, settings: Settings) -> PooledModel:
    """Blend models that were fitted on these data by what their inner folds say."""
    weights = blend_weights([member.inner for member in members], data, settings)
    return PooledModel([member.model for member in members], weights)


def _fit_single(name: str, data: Data, settings: Settings) -> Model:
    return SINGLE[name](data, settings).model


def _fit_blend(data: Data, settings: Settings) -> Model:
    return blended([SINGLE[name](data, settings) for name in BLENDED], data, settings)


CANDIDATES: dict[str, Callable[[Data, Settings], Model]] = {
    **{name: partial(_fit_single, name) for name in SINGLE},
    BLEND: _fit_blend,
}
