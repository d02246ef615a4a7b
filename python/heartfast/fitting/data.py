"""What models are fitted on, how recordings are weighted, and folds that keep groups whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heartfast.metrics import logloss
from heartfast.ranking import macro_auc

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.models import Model

    Array = NDArray[np.float64]
    Rows = NDArray[np.intp]
    Fold = tuple[Rows, Rows]

INNER_FOLDS = 3
CLASS_WEIGHTS = ("none", "balanced", "source")


class Data(NamedTuple):
    """What a model is fitted on.

    Parameters
    ----------
    features
        (n, f).
    actual
        (n,), the index of each recording's class.
    groups
        (n,), what must not be on both sides of a fold.
    k
        The number of classes.
    sources
        (n,), where each recording came from; None where nothing is known of it.
    variants
        (n, v, f), the features of v changed copies of each recording, which are for fitting only.
    subsets
        Columns of the features that a candidate may try alone, beside all of them.
    """

    features: Array
    actual: NDArray[np.intp]
    groups: NDArray[np.intp]
    k: int
    sources: NDArray[np.intp] | None = None
    variants: Array | None = None
    subsets: tuple[Rows, ...] = ()

    def part(self, rows: Rows) -> Data:
        """Return the same with only these rows."""
        return self._replace(
            features=self.features[rows],
            actual=self.actual[rows],
            groups=self.groups[rows],
            sources=None if self.sources is None else self.sources[rows],
            variants=None if self.variants is None else self.variants[rows],
        )

    def fitted_on(self) -> tuple[Array, Rows]:
        """Return the features to fit on, (m, f), and which recording each is of, (m,).

        These are the recordings' own, and those of their variants behind them.
        """
        import numpy as np

        rows = np.arange(len(self.actual))
        if self.variants is None:
            return self.features, rows
        n, copies, width = self.variants.shape
        return (
            np.concatenate([self.features, self.variants.reshape(n * copies, width)]),
            np.concatenate([rows, np.repeat(rows, copies)]),
        )

    def choices(self) -> list[Rows]:
        """Return the columns that a candidate may choose among: all, and each subset."""
        import numpy as np

        return [np.arange(self.features.shape[1]), *self.subsets]


class Settings(NamedTuple):
    """What every fit is told.

    Parameters
    ----------
    seed
        Of everything random.
    trials
        Settings that tuning tries.
    stop
        Set by another thread, it ends a fit early.
    class_weight
        How recordings count: "none" alike, "balanced" so that classes count alike, "source" so that
        they do inside each source.
    by_source
        Whether inner folds leave out a source each, and choices go by the ranks inside of it.
    """

    seed: int
    trials: int
    stop: threading.Event
    class_weight: str = "none"
    by_source: bool = False

    def go_on(self) -> None:
        """Raise `Stopped` once `stop` is set."""
        if self.stop.is_set():
            raise Stopped


class Fitted(NamedTuple):
    """A model, and its kind's predictions (n, k) for the recordings that it was fitted on.

    These are by models that had not seen them, in inner folds, with the settings that were chosen
    there; NaN where there was no such fold, None where there was none at all.
    """

    model: Model
    inner: Array | None


class Stopped(Exception):  # noqa: N818 - not an error: the caller was interrupted
    """A fit that ended because `stop` was set."""


def grouped_folds(data: Data, folds: int, seed: int) -> list[Fold]:
    """Stratified folds that keep groups whole, as (training rows, test rows).

    Folds whose training part lacks a class are left out, so there may be fewer, or none.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return _complete(data, splitter.split(data.features, data.actual, data.groups))


def source_folds(data: Data) -> list[Fold]:
    """One fold a source, which is its test part; groups that are there, too, are in no other.

    Folds whose training part lacks a class are left out.
    """
    import numpy as np

    sources = np.zeros_like(data.actual) if data.sources is None else data.sources
    found = []
    for source in np.unique(sources):
        held_out = sources == source
        fit = ~held_out & ~np.isin(data.groups, data.groups[held_out])
        found.append((np.flatnonzero(fit), np.flatnonzero(held_out)))
    return _complete(data, found)


def _complete(data: Data, folds: Iterable[Fold]) -> list[Fold]:
    import numpy as np

    return [(fit, test) for fit, test in folds if len(np.unique(data.actual[fit])) == data.k]


def groups_per_class(data: Data) -> NDArray[np.intp]:
    """Return how many groups have a recording of each class, int (k,)."""
    import numpy as np

    pairs = np.unique(np.stack([data.actual, data.groups]), axis=1)
    return np.bincount(pairs[0], minlength=data.k)


def inner_folds(data: Data, settings: Settings) -> list[Fold]:
    """Folds for choosing a candidate's own settings; none where a class has one group only.

    They are the same for every candidate, so that a blend can compare what comes of them.
    """
    if settings.by_source and len(found := source_folds(data)) > 1:
        return found
    folds = min(INNER_FOLDS, int(groups_per_class(data).min()))
    return grouped_folds(data, folds, settings.seed) if folds > 1 else []


def out_of_fold(
    data: Data, folds: Sequence[Fold], fit: Callable[[Data], Model], settings: Settings
) -> Array | None:
    """Predictions (n, k) for each fold's test part, by what was fitted on its training part."""
    import numpy as np

    if not folds:
        return None
    found = np.full((len(data.actual), data.k), np.nan)
    for rows, held_out in folds:
        settings.go_on()
        found[held_out] = fit(data.part(rows)).predict_proba(data.features[held_out])
    return found


def sample_weights(data: Data, settings: Settings) -> Array:
    """Return how much each recording counts, float64 (n,), 1 on average."""
    import numpy as np

    n = len(data.actual)
    if settings.class_weight == "none":
        return np.ones(n)
    sources = np.zeros(n, dtype=np.intp)
    if settings.class_weight == "source" and data.sources is not None:
        sources = data.sources
    cell = sources * data.k + data.actual
    of_source, of_cell = np.bincount(sources)[sources], np.bincount(cell)[cell]
    weights = of_source / of_cell
    return np.asarray(weights / weights.mean())


def choice_loss(data: Data, predicted: Array, settings: Settings) -> float:
    """How bad inner predictions (n, k) are, to choose by: log loss, or 1 - AUC inside sources."""
    import numpy as np

    known = np.flatnonzero(~np.isnan(predicted[:, 0]))
    part, predicted = data.part(known), predicted[known]
    if settings.by_source and part.sources is not None:
        inside = [
            macro_auc(part.actual[rows], predicted[rows])
            for source in np.unique(part.sources)
            for rows in [part.sources == source]
        ]
        defined = [area for area in inside if not np.isnan(area)]
        if defined:
            return 1 - float(np.mean(defined))
    return logloss(part.actual, predicted, sample_weights(part, settings))
