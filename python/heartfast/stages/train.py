"""Pictures of known class in, a leaderboard that can be believed and a saved model out."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import novelty, operating
from heartfast.bundle import Bundle
from heartfast.errors import DatasetError
from heartfast.extraction import extract_all
from heartfast.files import require_output
from heartfast.fitting import CANDIDATES, Data, Settings, grouped_folds, groups_per_class
from heartfast.groups import picture_groups
from heartfast.images import PictureSet
from heartfast.metrics import FEW, estimate, group_sums, logloss
from heartfast.parallel import for_each
from heartfast.progress import Progress
from heartfast.seeds import check_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.fitting import Fold
    from heartfast.images import Picture
    from heartfast.progress import ProgressCallback

METRICS = ("logloss", "macro_f1", "balanced_accuracy")
MAX_COUNT = 1000  # of folds and repeats; seeds count up from the given one by the latter


class LeaderboardRow(NamedTuple):
    """One candidate; each `_ci` is a 95 % interval from resampling whole groups.

    `logloss_sd` is the spread between folds. The figures are means over the repeats;
    `fit_seconds` is the time of all its fits in the cross-validation.
    """

    model: str
    logloss: float
    logloss_sd: float
    logloss_ci: tuple[float, float]
    macro_f1: float
    macro_f1_ci: tuple[float, float]
    balanced_accuracy: float
    balanced_accuracy_ci: tuple[float, float]
    fit_seconds: float


def rank(metric: str) -> Callable[[LeaderboardRow], float]:
    """Return the key that sorts a leaderboard, best first."""
    sign = 1 if metric == "logloss" else -1
    return lambda row: sign * float(getattr(row, metric))


class TrainResult(NamedTuple):
    """What `train` found; `bundle` is what it saves.

    `names` and `actual` (indices into `classes`) are the recordings of `oof`, the best
    candidate's out-of-fold probabilities, float64 (repeats, n, k).
    """

    leaderboard: list[LeaderboardRow]
    best: str
    classes: tuple[str, ...]
    n_recordings: int
    n_groups: int
    names: list[str]
    actual: NDArray[np.intp]
    oof: NDArray[np.float64]
    notes: list[str]
    errors: list[tuple[str, str]]
    bundle: Bundle

    def to_dict(self) -> dict[str, object]:
        """Return everything but the arrays and the bundle, ready for JSON."""
        plain = {"best", "classes", "n_recordings", "n_groups", "notes", "errors"}
        fields = {name: value for name, value in self._asdict().items() if name in plain}
        return fields | {"leaderboard": [row._asdict() for row in self.leaderboard]}

    def to_text(self) -> str:
        """Return the leaderboard, best first, as an aligned table."""
        from heartfast.tables import format_text

        def figure(value: float, interval: tuple[float, float]) -> str:
            return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"

        header = ["model", "logloss (95 % interval)", "spread", "macro-F1", "balanced accuracy"]
        rows = [
            [
                ("* " if row.model == self.best else "  ") + row.model,
                figure(row.logloss, row.logloss_ci),
                f"{row.logloss_sd:.3f}",
                figure(row.macro_f1, row.macro_f1_ci),
                figure(row.balanced_accuracy, row.balanced_accuracy_ci),
            ]
            for row in sorted(self.leaderboard, key=rank(str(self.bundle.training["metric"])))
        ]
        return format_text([header, *rows])


def train(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    metric: str = "logloss",
    trials: int = 12,
    folds: int = 5,
    repeats: int = 2,
    seed: int = 0,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> TrainResult:
    """Compare models by grouped cross-validation, and fit the best on everything.

    The candidates are the class prior, logistic regression, LightGBM with its defaults and
    LightGBM tuned; the last tunes anew inside each fold, so its figures are as honest as the
    others'. The same seed gives the same bundle, byte for byte, for any `jobs`.

    Parameters
    ----------
    source
        ZIP or folder of class folders of PNG or JPEG, heartfast's own or not.
    output
        Where to save the model; a file that is there is replaced, unless it is the source.
        None does not save it.
    metric
        What the best is best at: "logloss", "macro_f1" or "balanced_accuracy".
    trials
        Settings that tuning tries, in every fold.
    folds, repeats
        Cross-validation: stratified by class, groups whole, shuffled anew each repeat.
    jobs
        Processes for pictures and threads for fits; all cores by default.

    Raises
    ------
    DatasetError
        No pictures, fewer than two classes, or a class with fewer groups than folds.
    ConfigMismatchError
        The pictures were not all made with one configuration.
    ValueError
        An argument out of range.
    OSError
        The source cannot be opened or the output not be written.

    References
    ----------
    Choosing settings anew inside each fold: S. Varma and R. Simon, "Bias in error estimation when
    using cross-validation for model selection", BMC Bioinformatics 7 (2006). LightGBM: G. Ke et
    al., NeurIPS 2017; tuned by TPE, J. Bergstra et al., NeurIPS 2011. Intervals: see `evaluate`.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=24, recordings=1)
    >>> png = heartfast.convert(folder + "/wav", folder + "/png", labels="folders").out
    >>> result = heartfast.train(png, folds=2, repeats=1, trials=1)
    >>> result.classes, len(result.leaderboard)
    (('extrasystole', 'murmur', 'normal'), 4)
    """
    import threading

    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    check_training(metric=metric, trials=trials, folds=folds, repeats=repeats, seed=seed)
    where = os.fspath(source)
    # NumPy integers are taken, but not kept: JSON has none.
    trials, folds, repeats, seed = int(trials), int(folds), int(repeats), int(seed)
    if output is not None:
        require_output(output, source)
    with PictureSet(source) as pictures:
        labelled = [picture for picture in pictures.pictures if picture.label]
        names = [picture.name for picture in labelled]
        if not names and len(pictures):
            raise DatasetError(
                f"{where}: expected pictures in class folders or labelled in "
                f"metadata.csv, found {len(pictures)} without a class"
            )
        found = extract_all(pictures, names, jobs=jobs, progress=progress)
        labelled = [labelled[row] for row in found.rows]
        groups = picture_groups(labelled, pictures, jobs=jobs)
    classes, data = _data(found.matrix, labelled, groups)
    _check_classes(where, classes, data, folds)
    splits = _splits(where, data, folds=folds, repeats=repeats, seed=seed)

    settings = Settings(seed=seed, trials=trials, stop=threading.Event())
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        oof, seconds = _cross_validate(data, splits, settings, jobs, progress)
        board = [
            _row(name, data, splits, oof[name], seconds[name], seed=seed) for name in CANDIDATES
        ]
        best = min(board, key=rank(metric)).model
        model = _refit(best, data, settings)

    notes = _notes(pictures, found.foreign, found.config, found.errors)
    counts = {label: int((data.actual == index).sum()) for index, label in enumerate(classes)}
    notes += [
        f"class {label!r} has {count} recordings: figures for it say little"
        for label, count in counts.items()
        if count < FEW
    ]
    if best == next(iter(CANDIDATES)):
        notes.append("no model is better than predicting the class shares")
    bundle = Bundle(
        model=model,
        name=best,
        classes=classes,
        config=found.config,
        leaderboard=[
            {name: value for name, value in row._asdict().items() if name != "fit_seconds"}
            for row in board
        ],
        training={
            "recordings": counts,
            "groups": int(data.groups.max()) + 1,
            "grouped": any(picture.group for picture in labelled),
            "metric": metric,
            "trials": trials,
            "folds": folds,
            "repeats": repeats,
            "seed": seed,
        },
        operating=operating.curves(data.actual, oof[best], classes, data.groups),
        novelty=novelty.fit(data.features, data.groups, seed),
    )
    if output is not None:
        bundle.save(output)
    return TrainResult(
        leaderboard=board,
        best=best,
        classes=classes,
        n_recordings=len(data.actual),
        n_groups=int(data.groups.max()) + 1,
        names=[picture.name for picture in labelled],
        actual=data.actual,
        oof=oof[best],
        notes=notes,
        errors=found.errors,
        bundle=bundle,
    )


def check_training(*, metric: str, trials: int, folds: int, repeats: int, seed: int) -> None:
    """Raise `ValueError` where `train` would not take one of these."""
    if metric not in METRICS:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, found {metric!r}")
    if trials < 1:
        raise ValueError(f"trials: expected at least 1, found {trials}")
    for name, value, least in (("folds", folds, 2), ("repeats", repeats, 1)):
        if not least <= value <= MAX_COUNT:
            raise ValueError(f"{name}: expected {least} to {MAX_COUNT}, found {value}")
    check_seed(seed)


def _data(
    matrix: NDArray[np.float64], labelled: list[Picture], groups: list[int]
) -> tuple[tuple[str, ...], Data]:
    import numpy as np

    classes, actual = np.unique([picture.label for picture in labelled], return_inverse=True)
    return tuple(classes.tolist()), Data(matrix, actual, np.array(groups), len(classes))


def _check_classes(source: str, classes: tuple[str, ...], data: Data, folds: int) -> None:
    if len(classes) < 2:
        raise DatasetError(f"{source}: expected at least 2 classes, found only {classes[0]!r}")
    for label, groups in zip(classes, groups_per_class(data), strict=True):
        if groups < folds:
            advice = f", or --folds {groups}" if groups > 1 else ""
            raise DatasetError(
                f"{source}: expected at least {folds} groups of class {label!r} for {folds} "
                f"folds{advice}, found {groups}"
            )


def _splits(
    source: str, data: Data, *, folds: int, repeats: int, seed: int
) -> list[tuple[int, Fold]]:
    """All folds of all repeats, each with its repeat's number."""
    splits = []
    for repeat in range(repeats):
        found = grouped_folds(data, folds, seed + repeat)
        if len(found) < folds:
            raise DatasetError(
                f"{source}: expected every class in the training part of all {folds} folds, found "
                f"it in {len(found)}: a class is concentrated in few groups; fewer folds may do"
            )
        splits += [(repeat, fold) for fold in found]
    return splits


def _cross_validate(
    data: Data,
    splits: list[tuple[int, Fold]],
    settings: Settings,
    jobs: int | None,
    progress: ProgressCallback | None,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Out-of-fold probabilities (repeats, n, k) and seconds of every candidate."""
    import numpy as np

    # The costliest first, so that no thread is left alone with it at the end.
    tasks = [(name, split) for name in reversed(CANDIDATES) for split in splits]
    shape = (splits[-1][0] + 1, len(data.actual), data.k)
    oof = {name: np.zeros(shape) for name in CANDIDATES}
    seconds = dict.fromkeys(CANDIDATES, 0.0)
    done = 0

    def fit(task: tuple[str, tuple[int, Fold]]) -> float:
        name, (repeat, (rows, held_out)) = task
        start = time.perf_counter()
        model = CANDIDATES[name](data.part(rows), settings)
        oof[name][repeat, held_out] = model.predict_proba(data.features[held_out])
        return time.perf_counter() - start

    def take(elapsed: float) -> None:
        nonlocal done
        seconds[tasks[done][0]] += elapsed
        done += 1
        if progress:
            progress(Progress("train", done, len(tasks)))

    for_each(fit, tasks, take, jobs=jobs, stop=settings.stop)
    return oof, seconds


def _refit(name: str, data: Data, settings: Settings) -> Any:
    """Fit on everything, in a thread: a tuned fit answers Ctrl-C as those of the folds do."""
    fitted: list[Any] = []
    for_each(
        lambda candidate: candidate(data, settings),
        [CANDIDATES[name]],
        fitted.append,
        jobs=1,
        stop=settings.stop,
    )
    return fitted[0]


def _row(
    name: str,
    data: Data,
    splits: list[tuple[int, Fold]],
    oof: NDArray[np.float64],
    seconds: float,
    *,
    seed: int,
) -> LeaderboardRow:
    import numpy as np

    overall, _ = estimate(group_sums(data.actual, oof, data.groups), seed=seed)
    by_fold = [logloss(data.actual[held], oof[repeat, held]) for repeat, (_, held) in splits]
    figures: dict[str, Any] = {}
    for metric in METRICS:
        value, low, high = overall[metric]
        figures |= {metric: value, f"{metric}_ci": (low, high)}
    return LeaderboardRow(
        model=name, logloss_sd=float(np.std(by_fold)), fit_seconds=seconds, **figures
    )


def _notes(
    pictures: PictureSet,
    foreign: int,
    config: dict[str, object] | None,
    errors: list[tuple[str, str]],
) -> list[str]:
    unlabelled = sum(not picture.label for picture in pictures.pictures)
    own = sum(not picture.group for picture in pictures.pictures if picture.label)
    notes = []
    if own:
        notes.append(
            f"pictures without a known group, each its own: {own}; if some show the same patient "
            "or device, the figures will be too good"
        )
    if pictures.unlisted:
        notes.append(f"pictures that metadata.csv does not list: {len(pictures.unlisted)}")
    if unlabelled:
        notes.append(f"pictures without a class, left out: {unlabelled}")
    if errors:
        first = ": ".join(errors[0])
        notes.append(f"pictures that could not be read: {len(errors)}, the first: {first}")
    if foreign and config is not None:
        notes.append(f"pictures that do not say how they were made: {foreign}")
    return notes
