"""Features and models of the leaderboard as scikit-learn's estimators.

This is the only module that needs scikit-learn when it is imported; `heartfast` loads it when
one of the two names is first used.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from heartfast.errors import DatasetError, DecodeError, UsageError, warn
from heartfast.extraction import extract_all
from heartfast.features import extract, feature_names
from heartfast.fitting import CANDIDATES, Data, Settings
from heartfast.images import SUFFIXES, PictureSet
from heartfast.parallel import cores
from heartfast.provenance import Made, spectrogram_config
from heartfast.seeds import MAX_SEED
from heartfast.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from heartfast import SpectrogramConfig

    Array = NDArray[np.float64]
    Item = str | os.PathLike[str] | NDArray[np.uint8]


class SpectrogramFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn pictures, recordings or arrays of levels into the features that `train` uses.

    Parameters
    ----------
    config
        How recordings are drawn, and what pictures must have been made with. None takes that of
        the pictures `fit` sees, or the defaults where it sees recordings only.
    n_jobs
        Cores for pictures and recordings: None or 1 for one, -1 for all, as in scikit-learn. The
        result does not depend on it.

    Attributes
    ----------
    config_ : dict or None
        The configuration in force; None after pictures or arrays that do not say how they were
        made.
    selection_ : heartfast.selection.Selection or None
        What of their recordings the pictures show (a channel, another sample rate). Recordings are
        treated alike. None where it is not known; recordings are then taken whole.

    Notes
    -----
    What is transformed is a sequence with, in any mixture, paths of PNG or JPEG pictures, paths
    of recordings, and levels: uint8 (height, width), row 0 the highest frequency, brighter
    meaning louder. Levels, like foreign pictures, are taken for 0 to 2000 Hz at 25 ms a
    column. `fit` learns nothing but `config_`, so that a pipeline refuses pictures of another
    kind than those it was fitted on, as `score` does: `ConfigMismatchError`. A file that cannot be
    read is a `DecodeError` with its name, because a matrix has a row for each input.

    Examples
    --------
    >>> import numpy as np
    >>> levels = np.random.default_rng(0).integers(0, 256, (101, 120), dtype=np.uint8)
    >>> features = heartfast.SpectrogramFeatures()
    >>> features.fit_transform([levels]).shape == (1, len(features.get_feature_names_out()))
    True
    """

    def __init__(
        self, config: SpectrogramConfig | None = None, *, n_jobs: int | None = None
    ) -> None:
        self.config = config
        self.n_jobs = n_jobs

    def fit(self, X: Sequence[Item], y: object = None) -> SpectrogramFeatures:
        """Read all of X, to see that it can be, and learn its configuration."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Sequence[Item], y: object = None) -> Array:  # noqa: ARG002
        """Return the features, float64 (n, n_features), and keep the configuration."""
        config = None
        if self.config is not None:
            import json

            # As pictures and bundles have it: JSON knows no tuples.
            config = json.loads(json.dumps(self.config.to_dict()))
        expected = None if config is None else Made(config, None)
        matrix, made = self._describe(X, expected, fitting=True)
        self.config_: dict[str, object] | None = made.config if made else None
        self.selection_: Selection | None = made.selection if made else None
        return matrix

    def transform(self, X: Sequence[Item]) -> Array:
        """Return the features, float64 (n, n_features)."""
        check_is_fitted(self)
        made = None if self.config_ is None else Made(self.config_, self.selection_)
        return self._describe(X, made, fitting=False)[0]

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Name every column, in order."""
        return np.asarray(feature_names(), dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the input is no matrix."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.no_validation = True
        return tags

    def _describe(
        self, items: Sequence[Item], made: Made | None, *, fitting: bool
    ) -> tuple[Array, Made | None]:
        """Return features of everything, and the configuration and selection that were used."""
        if isinstance(items, str | os.PathLike):
            raise TypeError(f"X: expected a sequence of paths or arrays, found {items!r}")
        places: dict[str, list[int]] = {"levels": [], "pictures": [], "recordings": []}
        for place, item in enumerate(items):
            places[_kind(item)].append(place)
        if not len(items):
            raise UsageError("X: expected at least one path or array, found none")
        matrix = np.empty((len(items), len(feature_names())))
        for place in places["levels"]:
            matrix[place] = extract(np.asarray(items[place]))
        jobs = None if self.n_jobs == -1 else self.n_jobs or 1
        if found := [os.fspath(items[place]) for place in places["pictures"]]:  # type: ignore[arg-type]
            with PictureSet(found) as pictures:
                names = [path.replace(os.sep, "/") for path in found]
                try:
                    config, selection = made or (None, None)
                    described = extract_all(
                        pictures, names, config=config, selection=selection, jobs=jobs
                    )
                except DatasetError as error:  # none of them can be read
                    raise DecodeError(str(error)) from None
            _require_all(described.errors)
            matrix[places["pictures"]] = described.matrix
            if made is None and described.config is not None:
                made = Made(described.config, described.selection)
        if found := [os.fspath(items[place]) for place in places["recordings"]]:  # type: ignore[arg-type]
            if made is None:
                if not fitting or len(found) < len(items):
                    raise DatasetError(
                        f"{found[0]}: expected pictures or levels, because those the features were "
                        "fitted on do not say how they were made; found a recording"
                    )
                made = Made(spectrogram_config({}).to_dict())
            matrix[places["recordings"]] = _describe_recordings(found, made, jobs)
        return matrix, made


def _kind(item: object) -> str:
    if isinstance(item, str | os.PathLike):
        return "pictures" if os.fspath(item).lower().endswith(SUFFIXES) else "recordings"
    if isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim == 2 and item.size:
        return "levels"
    shape = f"{item.dtype} {item.shape}" if isinstance(item, np.ndarray) else type(item).__name__
    raise TypeError(f"X: expected paths or levels, uint8 (height, width), found {shape}")


def _require_all(errors: Sequence[tuple[str, str]]) -> None:
    if errors:
        raise DecodeError(": ".join(errors[0]))


def _describe_recordings(paths: list[str], made: Made, jobs: int | None) -> Array:
    """Describe the pictures that recordings would have: (n, f), in the order of the paths."""
    from heartfast import _core, remarks
    from heartfast.limits import Limits

    for path in paths:
        os.stat(path)  # what is not there is no damaged recording, but an OSError
    selection = made.selection or Selection()
    if selection.cuts:
        raise DatasetError(
            f"{paths[0]}: expected pictures of {selection.words()}, as the features were fitted "
            "on, found a recording, which would become several; convert it first"
        )
    describer = _core.Describer(spectrogram_config(made.config), selection, Limits())
    matrix, described, odd = describer.describe([(path, path) for path in paths], cores(jobs))
    failed = zip(paths, described, strict=True)
    _require_all([(path, text) for path, (_, _, text) in failed if text is not None])
    for note in remarks.notes(odd):
        warn(note)
    return matrix


class SpectrogramClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A candidate of the leaderboard as a classifier of feature matrices.

    Parameters
    ----------
    model
        The candidate's name: one of `heartfast.fitting.CANDIDATES`, "logistic regression" or
        "LightGBM" for example.
    trials
        Settings that tuning tries, where the model is tuned.
    random_state
        As in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray (k,)
        The labels, sorted.
    n_features_in_ : int
    model_
        The fitted model, which predicts with NumPy alone and which a bundle can hold.

    Notes
    -----
    What a candidate chooses for itself (penalty, rounds, tree sizes) it chooses by
    cross-validation inside of `fit`. That keeps groups whole if `fit` is given `groups` (n,):
    in a pipeline or a search by metadata routing, `set_fit_request(groups=True)`. Fitting is
    on one core; search in parallel with scikit-learn's own `n_jobs`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = np.where(X[:, 0] > 0, "murmur", "normal")
    >>> patients = np.repeat(np.arange(20), 3)
    >>> fitted = heartfast.SpectrogramClassifier(random_state=0).fit(X, y, groups=patients)
    >>> fitted.predict(X[:2]).tolist() == y[:2].tolist()
    True
    """

    def __init__(
        self,
        model: str = "logistic regression",
        *,
        trials: int = 12,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.trials = trials
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
    ) -> SpectrogramClassifier:
        """Fit the candidate on features (n, f), labels (n,) and, if they are known, groups (n,)."""
        if self.model not in CANDIDATES:
            raise UsageError(
                f"model: expected one of {', '.join(CANDIDATES)}, found {self.model!r}"
            )
        if self.trials < 1:
            raise UsageError(f"trials: expected at least 1, found {self.trials}")
        features, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, actual = np.unique(labels, return_inverse=True)
        k = len(self.classes_)
        if k < 2:
            raise UsageError(f"y: expected at least 2 classes, found 1 class, {labels[0]!r}")
        if groups is None:
            numbers = np.arange(len(labels))
        else:
            check_consistent_length(labels, groups)
            numbers = np.unique(column_or_1d(groups), return_inverse=True)[1]
        seed = check_random_state(self.random_state).randint(MAX_SEED + 1)
        settings = Settings(seed=int(seed), trials=self.trials, stop=threading.Event())
        with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
            self.model_ = CANDIDATES[self.model](Data(features, actual, numbers, k), settings)
        return self

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the prior is no good, as for its own dummy."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = self.model == next(iter(CANDIDATES))
        return tags

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probabilities of the classes, float64 (n, k)."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        return self.model_.predict_proba(features)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row, the first among equals."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])
