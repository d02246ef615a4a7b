"""Pictures of known class in, a leaderboard that can be believed and a saved model out."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import notes as notes_on
from heartfast import novelty, operating
from heartfast.announcing import announced
from heartfast.arguments import check_training
from heartfast.bundle import Bundle
from heartfast.bundle_checks import MAX_RATES
from heartfast.card import model_card
from heartfast.cluster.engine import check_engine
from heartfast.context import CAUTION, in_both, with_context
from heartfast.crossvalidation import (
    INTERRUPTED,
    OTHER,
    compare,
    end_of_comparison,
    refit,
)
from heartfast.embedding import given_network
from heartfast.errors import DatasetError
from heartfast.features import LEVEL_FREE, families
from heartfast.files import require_output
from heartfast.fitting import Data, Settings
from heartfast.leaderboard import compare_naive, format_naive, format_rows, make_rows, rank
from heartfast.protocols import make_plan, other_plan
from heartfast.selection import Selection
from heartfast.training_set import read_training_set

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heartfast.images import Picture
    from heartfast.leaderboard import LeaderboardRow
    from heartfast.progress import ProgressCallback


class TrainResult(NamedTuple):
    """What `train` found; `bundle` is what it saves.

    `names` and `actual` (indices into `classes`) are the recordings of `matrix`, their own
    features, float64 (n, f), and of `oof`, the best candidate's out-of-fold probabilities, float64
    (repeats, n, k); `groups` int (n,) and `sources`, empty where unknown, are theirs.
    `protocol` is how they were split. `naive` has the figures of a quick candidate by that
    protocol and by the naive one, random folds, each by its name (chosen random folds have those by
    group beside them); it is None where the two are the same. `interrupted` says that Ctrl-C ended
    the comparison.
    """

    leaderboard: list[LeaderboardRow]
    best: str
    classes: tuple[str, ...]
    n_recordings: int
    n_groups: int
    names: list[str]
    actual: NDArray[np.intp]
    matrix: NDArray[np.float64]
    groups: NDArray[np.intp]
    sources: list[str]
    protocol: str
    naive: dict[str, Any] | None
    oof: NDArray[np.float64]
    notes: list[str]
    errors: list[tuple[str, str]]
    interrupted: bool
    bundle: Bundle

    def to_dict(self) -> dict[str, object]:
        """Return everything but the arrays and the bundle, ready for JSON."""
        plain = (
            *("best", "classes", "n_recordings", "n_groups", "protocol", "naive"),
            *("notes", "errors", "interrupted"),
        )
        fields = {name: getattr(self, name) for name in plain}
        fields["context"] = self.bundle.context
        return fields | {"leaderboard": [row._asdict() for row in self.leaderboard]}

    def to_text(self) -> str:
        """Return the leaderboard, best first, as aligned tables, and what other folds give."""
        metric = str(self.bundle.training["metric"])
        text = format_rows(self.leaderboard, self.best, metric)
        return text + (f"\n\n{format_naive(self.naive)}" if self.naive else "")


@announced
def train(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    metric: str = "logloss",
    trials: int = 12,
    folds: int = 5,
    repeats: int = 2,
    cv: str = "group",
    group_regex: str | None = None,
    join_duplicates: bool = True,
    class_weight: str | None = None,
    augment: int = 0,
    context: bool = False,
    time_budget: float | None = None,
    keep_interrupted: bool = False,
    embed: str | os.PathLike[str] | None = None,
    embed_only: bool = False,
    engine: str = "local",
    address: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> TrainResult:
    """Compare models by grouped cross-validation, and fit the best on everything.

    The candidates are the class prior, logistic regression, support vector machines, extra trees,
    LightGBM with its defaults, LightGBM tuned, and a blend. What a candidate chooses (penalties,
    columns, trees, temperatures, weights) it chooses anew inside each fold, so that its figures are
    as honest as the others'. The same seed gives the same bundle, byte for byte, for any `jobs`,
    unless the time budget or Ctrl-C ended it.

    Parameters
    ----------
    source
        ZIP or folder of class folders of PNG or JPEG, heartfast's own or not; or a folder or URL
        with features beside its pictures (`convert` with `features`), of which only these are read.
    output
        Where to save the model; a file that is there is replaced, unless it is the source.
        None does not save it.
    metric
        What the best is best at: "logloss", "macro_f1", "balanced_accuracy", "macro_auc" (one class
        against the rest) or "brier".
    trials
        Settings that tuning tries, in every fold.
    folds, repeats
        Cross-validation: stratified by class, shuffled anew each repeat.
    cv
        What a fold keeps apart. "group": groups stay whole. "source": each fold is one source of
        `metadata.csv`, so that the figures are those of a device or clinic not seen before; `folds`
        and `repeats` do not matter then. "random": nothing; where recordings of one patient are
        alike, the figures are too good.
    group_regex
        Takes groups from the names of pictures, as `convert` does from those of recordings.
    join_duplicates
        Copies of a recording stay together, also those that were changed; see `pack`.
    class_weight
        How recordings count in fitting: "none" alike, "balanced" so that every class counts the
        same, "source" so that it does inside each source. By default "source" where `cv` is, else
        "none".
    augment
        So many changed copies of each picture (`heartfast.augment`) are fitted on, too; what is
        tested on is never a copy. None by default; a network does not describe copies.
    context
        Beside its own features, each recording has the mean of those of its group, itself included
        (`heartfast.context`). The figures then are those of recordings that are scored together
        with all others of their group: `score` has to know the groups, too.
    time_budget
        Seconds for all of it. Candidates that are not done by then are left out, the costly ones
        first, and what is left out is noted.
    keep_interrupted
        While models are compared, Ctrl-C ends the comparison with what is done so far, once that is
        more than the class prior, instead of raising `KeyboardInterrupt`.
    embed, embed_only
        An ONNX network, whose outputs are features, too, or all of them (`heartfast.embedding`).
    engine, address
        Who compares the models: "local", or "ray", a fit a core of the cluster; see `convert`. The
        figures are the same, where the machines' processors round alike.
    jobs
        Threads; all cores by default.

    Raises
    ------
    DatasetError
        No pictures, fewer than two classes, a class with fewer groups than folds, `cv` by source
        without sources, context without groups, or a pattern that matches no name.
    ConfigMismatchError
        The pictures were not all made with one configuration.
    ValueError
        An argument out of range, or no regular expression.
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
    (('extrasystole', 'murmur', 'normal'), 7)
    """
    import threading

    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    check_training(
        metric=metric,
        trials=trials,
        folds=folds,
        repeats=repeats,
        seed=seed,
        cv=cv,
        class_weight=class_weight,
        augment=augment,
        embed=embed,
        time_budget=time_budget,
    )
    check_engine(engine, address)
    start = time.monotonic()
    where = os.fspath(source)
    # NumPy integers are taken, but not kept: JSON has none.
    trials, folds, repeats, seed = int(trials), int(folds), int(repeats), int(seed)
    augment = int(augment)
    if output is not None:
        require_output(output, source, embed, kind="model")
    network = given_network(embed, embed_only)
    given = read_training_set(
        source,
        network=network,
        embed_only=embed_only,
        group_regex=group_regex,
        context=context,
        join_duplicates=join_duplicates,
        augment=augment,
        seed=seed,
        jobs=jobs,
        progress=progress,
    )
    found, labelled = given.found, given.labelled
    classes, data = _data(found.matrix, labelled, given.groups)
    data = data._replace(variants=given.copies, subsets=() if embed_only else (_level_free(),))
    if context:
        data = _in_context(data, given.company)
    if len(classes) < 2:
        raise DatasetError(f"{where}: expected at least 2 classes, found only {classes[0]!r}")
    _check_sources(where, cv, labelled)
    settings = Settings(
        seed=seed,
        trials=trials,
        stop=threading.Event(),
        class_weight=class_weight or ("source" if cv == "source" else "none"),
    )
    splitting: dict[str, Any] = {"classes": classes, "folds": folds, "seed": seed, "where": where}
    plan = make_plan(cv, data, repeats=repeats, **splitting)
    other = other_plan(plan, data, **splitting)

    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        done = compare(
            plan,
            other,
            settings,
            jobs=jobs,
            until=end_of_comparison(start, time_budget, plan),
            keep_interrupted=keep_interrupted,
            engine=engine,
            address=address,
            progress=progress,
        )
        settings = settings._replace(stop=threading.Event())
        tested = {name: each for name, each in done.tested.items() if name != OTHER}
        board = make_rows(tested, plan, data.groups, metric=metric, seed=seed)
        best = min(board, key=rank(metric)).model
        model = refit(best, tested, plan, settings, jobs=jobs)
        naive = compare_naive(plan, other, done.tested, data.groups, seed)

    counts = {label: int((data.actual == index).sum()) for index, label in enumerate(classes)}
    notes = given.notes + notes_on.of_training(done, best, counts, cv, time_budget)
    notes += [CAUTION] * context
    bundle = Bundle(
        model=model,
        name=best,
        classes=classes,
        config=found.config,
        leaderboard=[row.without_times() for row in board],
        training={
            "recordings": counts,
            "groups": int(data.groups.max()) + 1,
            "grouped": any(picture.group for picture in labelled),
            "sources": _sources(labelled),
            "metric": metric,
            "trials": trials,
            "folds": len(plan.splits) // plan.repeats,
            "repeats": plan.repeats,
            "cv": cv,
            "class_weight": settings.class_weight,
            "augment": augment,
            "context": bool(context),
            "naive": naive,
            "left_out": done.left_out,
            "seed": seed,
        },
        operating=operating.curves(data.actual, tested[best].oof, classes, data.groups),
        novelty=novelty.fit(found.matrix, data.groups, seed),
        embedding=network.described(only=embed_only) if network else None,
        selection=found.selection or Selection(),
        marked=len(found.marked),
        sample_rates=dict(sorted(found.rates.most_common(MAX_RATES))),
    )
    bundle = bundle._replace(card=model_card(bundle))
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
        matrix=found.matrix,
        groups=data.groups,
        sources=[picture.source for picture in labelled],
        protocol=cv,
        naive=naive,
        oof=tested[best].oof,
        notes=notes,
        errors=found.errors,
        interrupted=done.ended == INTERRUPTED,
        bundle=bundle,
    )


def _data(
    matrix: NDArray[np.float64], labelled: list[Picture], groups: list[int]
) -> tuple[tuple[str, ...], Data]:
    import numpy as np

    classes, actual = np.unique([picture.label for picture in labelled], return_inverse=True)
    sources = None
    if any(picture.source for picture in labelled):
        sources = np.unique([picture.source for picture in labelled], return_inverse=True)[1]
    data = Data(matrix, actual, np.array(groups), len(classes), sources)
    return tuple(classes.tolist()), data


def _in_context(data: Data, company: list[str]) -> Data:
    """Return the same with the means of these groups; a copy is in the company of copies."""
    import numpy as np

    variants = data.variants
    if variants is not None:
        rounds = [with_context(each, company) for each in variants.swapaxes(0, 1)]
        variants = np.stack(rounds, axis=1)
    width = data.features.shape[1]
    return data._replace(
        features=with_context(data.features, company),
        variants=variants,
        subsets=tuple(in_both(columns, width) for columns in data.subsets),
    )


def _sources(labelled: list[Picture]) -> dict[str, int]:
    """How many recordings each source has; none where no source is known."""
    counts = Counter(picture.source for picture in labelled)
    return dict(sorted(counts.items())) if any(counts) else {}


def _level_free() -> NDArray[np.intp]:
    """Return the columns of features that do not depend on a device's gain, noise and response."""
    import numpy as np

    known = families()
    return np.array(sorted(column for family in LEVEL_FREE for column in known[family]))


def _check_sources(where: str, cv: str, labelled: list[Picture]) -> None:
    unknown = [picture.name for picture in labelled if not picture.source]
    if cv == "source" and 0 < len(unknown) < len(labelled):
        raise DatasetError(
            f"{where}: expected a source of every picture to leave out one in turn, found "
            f"{len(unknown)} without, the first {unknown[0]}"
        )
