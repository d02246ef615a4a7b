"""A saved model as an object: loaded once, it predicts the classes of recordings and pictures."""

from __future__ import annotations

import os
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from heartfast import remarks
from heartfast.announcing import announced
from heartfast.bundle import Bundle
from heartfast.combining import groups_to_score
from heartfast.described import Described, joined, with_failed
from heartfast.embedding import require_network, widened
from heartfast.errors import ConfigMismatchError, DatasetError, UsageError
from heartfast.extraction import (
    Given,
    describe_given,
    extract_all,
    extract_recordings,
    gathered,
    recording_name,
)
from heartfast.images import MAX_PIXELS, PictureSet, holds_pictures
from heartfast.inputs import PICTURE, RECORDING, SOURCE, PicturesInMemory, items_of
from heartfast.provenance import FONT_DIGEST, font_of, spectrogram_config, with_font
from heartfast.scoring import GROUP, combined, decided, decisions, predict
from heartfast.scoring import RECORDING as BY_RECORDING
from heartfast.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heartfast import SpectrogramConfig, _core
    from heartfast.decisions import Costs
    from heartfast.extraction import Extracted
    from heartfast.inputs import Input, Item
    from heartfast.progress import ProgressCallback
    from heartfast.scoring import Decisions, ScoreResult

    Path = str | os.PathLike[str]
    Pictures = PictureSet | PicturesInMemory


class Rows(NamedTuple):
    """How rows are combined and decided; see `Model.predict`."""

    by_recording: bool
    by_group: bool
    group_regex: str | None
    decide: Decisions | None


class Run(NamedTuple):
    """How a call works: its threads, and whom it tells."""

    jobs: int | None = None
    progress: ProgressCallback | None = None


class Model:
    """A saved model, ready to predict: loaded once, it keeps its plans from call to call.

    May be used from several threads at a time.

    Parameters
    ----------
    bundle
        What `heartfast.train` returns as `bundle`; `Model.load` reads one from a file.
    embed : path, optional
        The ONNX network that the model was trained with, if it was.
    font : path, optional
        The font file of the figures that the model was trained on, if they had one of their own.

    Attributes
    ----------
    name : str
        The candidate's name on the leaderboard.
    classes : tuple of str
        In the order of the probabilities.
    config : SpectrogramConfig or None
        What recordings are drawn with; None for a model of pictures that do not say how they were
        made.
    selection : heartfast.selection.Selection or None
        What of recordings is drawn: channel, sample rate, start, duration and segments. None in a
        model that an earlier heartfast saved.
    metrics : dict
        The model's row of the leaderboard: figures of cross-validation with 95 % intervals.
    card : str
        The model card, Markdown.

    Raises
    ------
    ConfigMismatchError
        The network or the font is another than that of the training.
    UsageError
        A network or a font was given that the model does not need, or no network that it needs.

    Notes
    -----
    `heartfast.score` is the same on files: both describe, predict, combine and decide alike.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=24, recordings=1)
    >>> png = heartfast.convert(folder + "/wav", folder + "/png", labels="folders").out
    >>> trained = heartfast.train(png, folder + "/m.heartfast", folds=2, repeats=1, trials=1)
    >>> model = heartfast.Model.load(folder + "/m.heartfast")
    >>> found = model.predict([paths[0], heartfast.load(paths[1])])
    >>> found.probabilities.shape, len(found.labels)
    ((2, 3), 2)
    """

    def __init__(
        self, bundle: Bundle, *, embed: Path | None = None, font: Path | None = None
    ) -> None:
        self._bundle = bundle
        self._network = require_network(bundle.embedding, embed)
        self._font = _require_font(bundle, font)
        # Now, and not in the first of several threads that ask for it.
        self._describer = self._new_describer()

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        embed: Path | None = None,
        font: Path | None = None,
    ) -> Model:
        """Read and check a model that `train` saved.

        Raises
        ------
        BundleError
            The file is foreign, truncated, altered, too large or of another version.
        ConfigMismatchError, UsageError
            See `Model`.
        OSError
            A file cannot be opened.
        """
        return cls(Bundle.load(path), embed=embed, font=font)

    @property
    def name(self) -> str:
        """The candidate's name on the leaderboard."""
        return self._bundle.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self._bundle.classes

    @cached_property
    def config(self) -> SpectrogramConfig | None:
        """What recordings are drawn with."""
        if self._bundle.config is None or self._font is None:
            return self._bundle.spectrogram_config()
        return spectrogram_config(with_font(self._bundle.config, self._font))

    @property
    def selection(self) -> Selection | None:
        """What of recordings is drawn."""
        return self._bundle.selection

    @property
    def metrics(self) -> dict[str, object]:
        """The model's row of the leaderboard; empty where there is none."""
        rows = (row for row in self._bundle.leaderboard if row.get("model") == self.name)
        return dict(next(rows, {}))

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self._bundle.card

    def __repr__(self) -> str:
        return f"<Model {self.name!r} of {len(self.classes)} classes: {', '.join(self.classes)}>"

    @announced
    def predict(
        self,
        inputs: Input | Sequence[Input],
        *,
        names: Sequence[str] | None = None,
        sensitivity: Mapping[str, float] | None = None,
        costs: Costs | None = None,
        reject: float | None = None,
        by_recording: bool = False,
        by_group: bool = False,
        group_regex: str | None = None,
        jobs: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> ScoreResult:
        """Predict the class probabilities of recordings or pictures.

        Recordings become pictures as those of the training did (`config`, `selection`), which are
        described without being written. Probabilities are those that `heartfast.score` gives.

        Parameters
        ----------
        inputs
            A recording or picture: a path, all bytes of a file, or samples and their rate
            ``(y, sr)`` as `heartfast.load` gives them, float (n,) or (channels, n). Or a list of
            any of these, whose order the rows keep. A folder, ZIP or tar stands for all in it,
            sorted by name. Where `selection` cuts recordings, each has a row a picture.
        names
            What the inputs are called, instead of their paths or ``input 0``, ``input 1`` ...;
            figures show names of recordings without their extension.
        sensitivity, costs, reject
            How classes are decided; see `heartfast.score`.
        by_recording, by_group, group_regex
            How rows are combined; see `heartfast.score`.
        jobs
            Threads; all cores by default.

        Returns
        -------
        ScoreResult
            `names`, `classes`, `probabilities` float64 (n, k), `labels`, `novelty`, `notes`, and
            `errors`: name and message of each input that cannot be read, which has no row.

        Raises
        ------
        ConfigMismatchError
            A picture was made in another way than the model's.
        DatasetError
            Nothing is readable, or no group is known to score by, or the model cannot take
            recordings; the message says why.
        UsageError
            An argument out of range.
        OSError
            A folder or an archive cannot be opened.
        """
        rows = self.rows(
            sensitivity=sensitivity,
            costs=costs,
            reject=reject,
            by_recording=by_recording,
            by_group=by_group,
            group_regex=group_regex,
        )
        items = items_of(inputs, names)
        if not items:
            raise UsageError("inputs: expected at least one, found none")
        run = Run(jobs, progress)
        blocks = groupby(items, lambda item: item.kind)
        given = joined([self._block(kind, list(block), run) for kind, block in blocks])
        if not len(given.found.rows):
            first = ": ".join(given.found.errors[0])
            raise DatasetError(f"expected readable inputs, found none; the first: {first}")
        where = items[0].value if len(items) == 1 and items[0].kind == SOURCE else given.names
        return self.score(given, rows, where)

    def rows(
        self,
        *,
        sensitivity: Mapping[str, float] | None = None,
        costs: Costs | None = None,
        reject: float | None = None,
        by_recording: bool = False,
        by_group: bool = False,
        group_regex: str | None = None,
    ) -> Rows:
        """Check how rows are to be combined and decided; see `predict`."""
        if by_recording and by_group:
            raise UsageError("by_recording, by_group: expected one of the two, found both")
        if group_regex is not None and not (by_group or self._bundle.context):
            raise UsageError(
                "group_regex: expected by_group or a model with context, found neither"
            )
        decide = decisions(self._bundle, sensitivity, costs, reject)
        return Rows(by_recording, by_group, group_regex, decide)

    def describe(
        self,
        source: Path | Sequence[Path],
        *,
        jobs: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> Described:
        """Describe what `heartfast.score` is given, sorted by name."""
        run = Run(jobs, progress)
        if not holds_pictures(source):
            paths = [source] if isinstance(source, str | os.PathLike) else list(source)
            return self._recordings(paths, run)
        with PictureSet(source) as pictures:
            names = [picture.name for picture in pictures.pictures]
            known = {picture.name: picture.group for picture in pictures.pictures}
            found = self._pictures(pictures, names, run)
        passed_over = _recordings_in(source)
        note = f"recordings passed over, as there are pictures: {passed_over}"
        return Described(names, found, known, [note] * bool(passed_over))

    def score(
        self, given: Described, rows: Rows, source: Path | Sequence[Path] | bytes
    ) -> ScoreResult:
        """Predict what was described, and combine and decide its rows."""
        bundle = self._bundle
        names, found, known, notes = given
        groups: list[str] = []
        if rows.by_group or bundle.context:
            # Segments and channels of a recording are of one group, as `convert` has it.
            called = names if known is not None else found.recordings
            scored = [called[row] for row in found.rows]
            where = names if isinstance(source, bytes) else source
            groups, said = groups_to_score(
                scored, known or {}, rows.group_regex, where, required=rows.by_group
            )
            notes = [*notes, *said]
        result = predict(bundle, names, found, groups)
        result.notes.extend(notes)
        reject = rows.decide.reject if rows.decide else None
        if rows.by_group:
            result = combined(result, groups, reject, GROUP)
        elif rows.by_recording:
            result = self._by_recording(result, given, reject)
        return result if rows.decide is None else decided(result, rows.decide)

    def _by_recording(
        self, result: ScoreResult, given: Described, reject: float | None
    ) -> ScoreResult:
        recordings = given.found.recordings
        owners = [recordings[row] for row in given.found.rows]
        result = combined(result, owners, reject, BY_RECORDING)
        place = {name: number for number, name in enumerate(dict.fromkeys(recordings))}
        return result._replace(row_ids=[place[name] for name in result.names])

    def _block(self, kind: str, items: list[Item], run: Run) -> Described:
        """Describe inputs of one kind, in their order."""
        names = [item.name for item in items]
        if kind == SOURCE:
            return joined([self.describe(str(item.value), **run._asdict()) for item in items])
        if kind == RECORDING:
            return self._given(items, run)
        if kind == PICTURE:
            paths = [str(item.value) for item in items]
            with PictureSet(paths) as pictures:
                stored = [path.replace(os.sep, "/") for path in paths]
                found = self._pictures(pictures, stored, run, allow_none=True)
            called = dict(zip(stored, names, strict=True))
            errors = [(called[name], text) for name, text in found.errors]
            return Described(names, found._replace(errors=errors), {})
        files = {item.name: bytes(item.value) for item in items}  # type: ignore[arg-type]
        found = self._pictures(PicturesInMemory(files), names, run, allow_none=True)
        return Described(names, found, {})

    def _pictures(
        self, pictures: Pictures, names: Sequence[str], run: Run, *, allow_none: bool = False
    ) -> Extracted:
        """Describe pictures as those were that the model was trained on."""
        bundle = self._bundle
        made = {"config": bundle.config, "selection": bundle.selection}
        found = extract_all(pictures, names, **made, **run._asdict(), allow_none=allow_none)  # type: ignore[arg-type]
        if found.marked and not bundle.marked and bundle.selection is not None:
            raise ConfigMismatchError(
                f"{found.marked[0]}: expected figures without labelled intervals drawn on them, as "
                f"the model was trained on, found {len(found.marked)} with some"
            )
        selection = bundle.selection or Selection()
        found = found._replace(recordings=[selection.recording_of(name) for name in names])
        only = bundle.embedding is not None and bundle.embedding.only
        return widened(found, self._network, only, pictures, names, **run._asdict())

    def _given(self, items: list[Item], run: Run) -> Described:
        """Describe recordings that are files, or bytes of files."""
        if self._network is not None:
            if odd := [item.name for item in items if isinstance(item.value, bytes)]:
                raise UsageError(
                    f"{odd[0]}: expected the path of a recording, because the model has a network "
                    "(embed), found bytes or samples"
                )
            return joined([self._recordings([str(item.value)], run) for item in items])
        describer, config, selection = self._require_describer(items[0].name)
        given = [
            Given(item.name, item.value, item.title, os.path.splitext(item.name)[0] + ".png")
            for item in items
        ]
        found, notes = describe_given(given, describer, cuts=selection.cuts, **run._asdict())
        return Described(*gathered(found, notes, config.to_dict(), selection))

    def _recordings(self, sources: Sequence[Path], run: Run) -> Described:
        """Describe recordings, which are searched for."""
        describer, config, selection = self._require_describer(os.fspath(sources[0]))
        if self._network is not None:
            return Described(*self._drawn(sources, run))
        return Described(
            *extract_recordings(
                sources, config, selection=selection, describer=describer, **run._asdict()
            )
        )

    def _drawn(self, sources: Sequence[Path], run: Run) -> tuple[list[str], Extracted]:
        """Describe recordings by way of pictures, which a network sees itself."""
        import tempfile

        from heartfast.stages.convert import convert

        _, config, selection = self._require_describer(os.fspath(sources[0]))
        with tempfile.TemporaryDirectory(prefix="heartfast-") as folder:
            images = os.path.join(folder, "images")
            made = convert(
                sources,
                images,
                config=config,
                labels="none",
                **selection._asdict(),
                **run._asdict(),
            )
            recordings = {r.file_name: recording_name(r.recording, sources) for r in made.records}
            failed = {recording_name(error.path, sources): error.message for error in made.errors}
            if not selection.cuts:  # a recording of which sound is missing has a picture, too
                recordings = {p: name for p, name in recordings.items() if name not in failed}
            if not recordings:
                first = ": ".join(next(iter(failed.items())))
                raise DatasetError(
                    f"{sources[0]}: expected readable recordings, found {len(failed)} that are "
                    f"not, the first: {first}"
                )
            with PictureSet(images) as pictures:
                found = self._pictures(pictures, list(recordings), run)
        found = found._replace(notes=tuple(remarks.notes(made.remarks)))
        called = {p: p if selection.cuts else name for p, name in recordings.items()}
        return with_failed(called, recordings, failed, found)

    def _refusal(self) -> str | None:
        """Say why the model cannot take recordings, if it cannot."""
        bundle = self._bundle
        if bundle.config is None:
            return "the model was trained on pictures that do not say how they were made"
        if bundle.selection is None:
            return (
                "an earlier heartfast saved the model, without what of recordings it was trained "
                "on (train it again)"
            )
        if bundle.marked:
            return (
                f"{bundle.marked} of the pictures that the model was trained on have labelled "
                "intervals drawn on them (convert --intervals)"
            )
        if (digest := font_of(bundle.config)) is not None and self._font is None:
            return (
                "the figures that the model was trained on have a font of their own, which a model "
                f"does not hold: give its file ({digest}) as font"
            )
        return None

    def _new_describer(self) -> _core.Describer | None:
        from heartfast._core import Describer
        from heartfast.limits import Limits

        if self._refusal() or self.config is None or self.selection is None:
            return None
        # Larger ones could not have been trained on.
        return Describer(self.config, self.selection, Limits(max_image_pixels=MAX_PIXELS))

    def _require_describer(self, name: str) -> tuple[_core.Describer, SpectrogramConfig, Selection]:
        config, selection = self.config, self.selection
        if self._describer is None or config is None or selection is None:
            raise DatasetError(
                f"{name}: expected a folder or ZIP with pictures, because {self._refusal()}; found "
                "none"
            )
        return self._describer, config, selection


def _require_font(bundle: Bundle, font: Path | None) -> str | None:
    """Return the path of the figures' font, if they have one and it was given."""
    import hashlib

    from heartfast.files import require_file

    digest = None if bundle.config is None else font_of(bundle.config)
    if font is None:
        return None
    if digest is None:
        raise UsageError(
            "font: expected none for a model of pictures without a font of their own, found one"
        )
    require_file(font, "a font")
    with open(font, "rb") as file:
        found = FONT_DIGEST + hashlib.sha256(file.read()).hexdigest()
    if found != digest:
        raise ConfigMismatchError(
            f"{os.fspath(font)}: expected the font of the figures that the model was trained on, "
            f"{digest}, found {found}"
        )
    return os.fspath(font)


def _recordings_in(source: Path | Sequence[Path]) -> int:
    """How many recordings a folder has."""
    from heartfast.recordings import find_recordings

    if not isinstance(source, str | os.PathLike) or not os.path.isdir(source):
        return 0
    try:
        return len(find_recordings(source))
    except DatasetError:  # none
        return 0
