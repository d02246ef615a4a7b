"""The whole path in one call: recordings in, a report out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast._core import SpectrogramConfig
from heartfast.announcing import announced
from heartfast.arguments import check_training
from heartfast.continued import continued
from heartfast.conversion import Conversion
from heartfast.embedding import given_network
from heartfast.errors import DatasetError
from heartfast.files import is_url
from heartfast.labels import SCHEMES
from heartfast.naming import PROPOSAL
from heartfast.occlusion import can_explain
from heartfast.partition import UNLABELLED
from heartfast.progress import Progress
from heartfast.report import SYNTHETIC, write_report
from heartfast.selection import Selection
from heartfast.stages.audit import Audit, audit
from heartfast.stages.convert import convert
from heartfast.stages.evaluate import Evaluation, evaluate
from heartfast.stages.gallery import write_gallery
from heartfast.stages.pack import FILES, Packing, check_split, pack_into
from heartfast.stages.score import score
from heartfast.stages.train import TrainResult, train

if TYPE_CHECKING:
    from collections.abc import Iterable

    from heartfast.progress import ProgressCallback


# What a run writes after its conversion.
_MADE = (
    *FILES, "model.heartfast", "scores.csv", "unlabelled_scores.csv", "report.html", "gallery.html",
)  # fmt: skip


class Run(NamedTuple):
    """What `run` did, stage by stage; `report` and `gallery` are the paths of its pages.

    `synthetic` says that the recordings are the package's own (`demo`).
    """

    out: str
    conversion: Conversion
    packing: Packing
    audit: Audit
    training: TrainResult
    evaluation: Evaluation
    report: str
    gallery: str
    synthetic: bool

    @property
    def notes(self) -> list[str]:
        """What a user should know, from all stages."""
        stages = (self.conversion, self.packing, self.audit, self.training, self.evaluation)
        found: dict[str, str] = {}
        for note in (note for stage in stages for note in stage.notes):
            # Stages propose groups, each from its own pictures: the first saw all of them.
            found.setdefault(PROPOSAL if note.startswith(PROPOSAL) else note, note)
        return list(found.values())

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Recordings and pictures that failed, and why."""
        failed = [(error.path, error.message) for error in self.conversion.errors]
        return failed + self.packing.errors + self.training.errors

    def to_dict(self) -> dict[str, object]:
        """The results as JSON can hold them."""
        return {
            "out": self.out,
            "synthetic": self.synthetic,
            "convert": self.conversion.to_dict(),
            "pack": self.packing.to_dict(),
            "audit": self.audit.to_dict(),
            "train": self.training.to_dict(),
            "evaluate": self.evaluation.to_dict(),
            "report": self.report,
            "gallery": self.gallery,
        }

    def to_text(self) -> str:
        """The tables of the stages; `notes` are not in them."""
        parts = {
            "Recordings": self.packing.to_text(),
            "Audit": self.audit.to_text(),
            "Leaderboard (cross-validation on the training set)": self.training.to_text(),
            f"Test set ({self.training.best})": self.evaluation.to_text(),
        }
        blocks = [f"{title}\n\n{text.strip()}" for title, text in parts.items()]
        return "\n\n".join([SYNTHETIC] * self.synthetic + blocks)


@announced
def run(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str],
    group_regex: str | None = None,
    join_duplicates: bool = True,
    config: SpectrogramConfig | None = None,
    recursive: bool = True,
    any_extension: bool = False,
    channel: str | int = "mix",
    sr: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    segment_s: float | None = None,
    segment_overlap: float = 0.0,
    test_size: float = 0.2,
    metric: str = "logloss",
    trials: int = 12,
    folds: int = 5,
    repeats: int = 2,
    cv: str = "group",
    class_weight: str | None = None,
    augment: int = 0,
    context: bool = False,
    time_budget: float | None = None,
    embed: str | os.PathLike[str] | None = None,
    embed_only: bool = False,
    seed: int = 0,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Run:
    """Convert, pack, train, score and evaluate recordings, and write a report.

    Writes into `out`: ``images/`` (see `convert`), ``train.zip``, ``test.zip``,
    ``test_actual.csv``, ``test_metadata.csv`` (`pack`), ``model.heartfast`` (`train`),
    ``scores.csv`` and, for recordings without a label, ``unlabelled_scores.csv`` (`score`), and
    the pages ``report.html`` and ``gallery.html`` (`gallery`), which link to each other. With the
    same seed all pictures, ZIPs and tables are the same bytes.

    A run that was killed or interrupted goes on when it is called again in the same way: what was
    converted is kept, the later stages are done anew, and the bytes are those of a run that was
    not stopped. Until it is complete, ``run.json`` in `out` has its settings, and other ones are
    refused. After an error they are not: correct what was wrong, and call it again.

    Parameters
    ----------
    sources, labels, group_regex, config, jobs, recursive, any_extension
        As in `convert`.
    channel, sr, start, duration, segment_s, segment_overlap
        As in `convert`. A segment then is what is learned from and scored. The model does not keep
        them: to score other recordings, `convert` them with the same ones first.
    out : path
        A new or empty folder, or one in which a run of the same settings was stopped.
    join_duplicates : bool
        As in `pack`.
    test_size : float
        The share of each class that is kept for the test.
    metric, trials, folds, repeats, cv, class_weight, augment, context, time_budget, embed
        As in `train`, and so is `embed_only`; the budget is the training's.
    seed : int
        Of the split and the training.
    progress : callable, optional

    Raises
    ------
    OSError, DatasetError
        As the stages do.
    ConfigMismatchError
        A run of other settings was stopped in `out`; the message has the difference.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=60, recordings=1)
    >>> result = heartfast.run(folder + "/wav", folder + "/out", labels="folders")
    >>> sorted(result.evaluation.classes)
    ['extrasystole', 'murmur', 'normal']
    """
    training: dict[str, Any] = {
        "metric": metric,
        "trials": trials,
        "folds": folds,
        "repeats": repeats,
        "cv": cv,
        "class_weight": class_weight,
        "augment": augment,
        "time_budget": time_budget,
        "embed": embed,
    }
    check_training(**training, seed=seed)
    check_split(test_size=test_size, seed=seed)
    given_network(embed, embed_only)  # to know now, not when all is converted
    training |= {"embed_only": embed_only, "context": context}
    selection = Selection(channel, sr, start, duration, segment_s, segment_overlap)
    converting: dict[str, Any] = {
        "group_regex": group_regex,
        "recursive": recursive,
        "any_extension": any_extension,
        **selection._asdict(),
    }
    named = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    paths = [os.fspath(source) for source in named]
    scheme = os.fspath(labels)
    settings = {
        "sources": [
            path if path == "-" or is_url(path) else os.path.abspath(path) for path in paths
        ],
        "convert": {
            "config": (config or SpectrogramConfig()).to_dict(),
            "labels": scheme if scheme in SCHEMES or is_url(scheme) else os.path.abspath(scheme),
            **converting,
        },
        "pack": {"join_duplicates": join_duplicates, "test_size": test_size},
        "train": {**training, "embed": None if embed is None else os.path.abspath(embed)},
        "seed": seed,
    }
    folder = os.fspath(out)
    with continued(folder, settings, _MADE) as other_conversion:
        return _run(
            paths,
            folder,
            labels=labels,
            config=config,
            converting={**converting, "overwrite": other_conversion},
            join_duplicates=join_duplicates,
            test_size=test_size,
            training=training,
            seed=seed,
            jobs=jobs,
            progress=progress,
        )


@announced
def demo(
    out: str | os.PathLike[str] = "demo",
    *,
    seed: int = 0,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Run:
    """`run` on synthetic heart sounds, which it writes to ``out/recordings`` first.

    They show that everything works, by eye and ear; their figures say nothing about patients,
    and the report says so.

    Parameters
    ----------
    out : path
        A new or empty folder, or one in which a demo of the same seed was stopped.
    seed : int
        Of the heart sounds, the split and the training.
    jobs, progress
        As in `run`.

    Examples
    --------
    >>> import tempfile
    >>> result = heartfast.demo(tempfile.mkdtemp())
    >>> result.packing.classes, result.evaluation.n_groups
    (['extrasystole', 'murmur', 'normal'], 12)
    """
    from heartfast import synth

    folder = os.fspath(out)
    recordings = os.path.join(folder, "recordings")
    labels = os.path.join(recordings, "labels.csv")
    with continued(folder, {"demo": True, "seed": seed}, _MADE):
        if progress:
            progress(Progress("synthesise", 0, 1))
        if not os.path.exists(labels):  # which is written last
            synth.write_corpus(recordings, seed=seed, unlabelled=6)
        if progress:
            progress(Progress("synthesise", 1, 1))
        return _run(
            recordings,
            folder,
            labels=labels,
            seed=seed,
            jobs=jobs,
            progress=progress,
            synthetic=True,
        )


def _run(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    folder: str,
    *,
    labels: str | os.PathLike[str],
    config: SpectrogramConfig | None = None,
    converting: dict[str, Any] | None = None,
    join_duplicates: bool = True,
    test_size: float = 0.2,
    training: dict[str, Any] | None = None,
    seed: int,
    jobs: int | None,
    progress: ProgressCallback | None,
    synthetic: bool = False,
) -> Run:
    def at(name: str) -> str:
        return os.path.join(folder, name)

    conversion = convert(
        sources,
        at("images"),
        config=config,
        labels=labels,
        jobs=jobs,
        progress=progress,
        prune=True,  # what an earlier run had from other recordings
        **(converting or {}),
    )
    if not conversion.pictures:
        first = conversion.errors[0]
        raise DatasetError(
            f"{first.path}: {first.message}; expected readable recordings, found none among "
            f"{len(conversion.errors)}"
        )
    packing = pack_into(
        folder,
        at("images"),
        test_size=test_size,
        seed=seed,
        join_duplicates=join_duplicates,
        jobs=jobs,
        progress=progress,
    )
    audited = audit(folder, seed=seed, jobs=jobs, progress=progress)
    trained = train(
        at("train.zip"),
        at("model.heartfast"),
        join_duplicates=False,  # their groups stand in train.zip by now
        seed=seed,
        jobs=jobs,
        progress=progress,
        **(training or {}),
    )
    same: dict[str, Any] = {"embed": (training or {}).get("embed"), "jobs": jobs}
    score(trained.bundle, at("test.zip"), at("scores.csv"), progress=progress, **same)
    scores = [(at("scores.csv"), "")]
    unlabelled = os.path.join(at("images"), UNLABELLED)
    if os.path.isdir(unlabelled):
        score(
            trained.bundle,
            unlabelled,
            at("unlabelled_scores.csv"),
            columns="full",
            progress=progress,
            **same,
        )
        scores.append((at("unlabelled_scores.csv"), f"{UNLABELLED}/"))
    evaluation = evaluate(at("scores.csv"), at("test_actual.csv"), seed=seed)
    report, gallery = at("report.html"), at("gallery.html")
    title = os.path.basename(os.path.abspath(folder))
    write_gallery(
        at("images"),
        output=gallery,
        scores=scores,
        title=title,
        report=report,
        model=trained.bundle if can_explain(trained.bundle) else None,
        progress=progress,
    )
    result = Run(
        folder, conversion, packing, audited, trained, evaluation, report, gallery, synthetic
    )
    write_report(result)
    if progress:
        progress(Progress("report", 1, 1))
    return result
