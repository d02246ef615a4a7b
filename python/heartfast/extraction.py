"""Features of many pictures or recordings, on threads: hardly any of it holds Python's lock."""

from __future__ import annotations

import os
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from heartfast.errors import ConfigMismatchError, DatasetError, DecodeError
from heartfast.features import feature_names
from heartfast.images import decode, reason
from heartfast.parallel import cores, for_each
from heartfast.progress import Progress
from heartfast.provenance import (
    FONT_DIGEST,
    MODEL,
    Made,
    Provenance,
    font_of,
    require_made,
)
from heartfast.selection import Selection
from heartfast.standard_input import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast import SpectrogramConfig, _core
    from heartfast.progress import ProgressCallback

    Array = NDArray[np.float64]
    Path = str | os.PathLike[str]
    # Features and provenance, or what is wrong with the picture.
    Description = tuple[Array, Provenance | None] | str


class Readable(Protocol):
    """Pictures that are read by name, such as a `heartfast.images.PictureSet`."""

    source: str
    refused: dict[str, str]

    def read_or_reason(self, name: str) -> bytes | str:
        """Return a picture's file, or a text that says why it cannot be read."""


class Extracted(NamedTuple):
    """The features (n, f) of the pictures that were readable, and what was learned of all.

    `rows` are their indices among the names asked for, `errors` the other names, each with
    its message (without the name); `config` is the configuration they share, `foreign` counts
    those without. `selection` is what of recordings they show; `marked` names those with
    labelled intervals drawn on them, and `rates` counts them by their samples per second.
    `recordings` has the recording of each of the names, where that is known. `notes` are what a
    user should know of recordings.
    """

    matrix: Array
    rows: NDArray[np.intp]
    errors: list[tuple[str, str]]
    config: dict[str, object] | None
    foreign: int
    selection: Selection | None = Selection()
    marked: Sequence[str] = ()
    rates: Counter[int] = Counter()  # noqa: RUF012 - a default of a tuple, never changed
    recordings: Sequence[str] = ()
    notes: tuple[str, ...] = ()


def extract_all(
    pictures: Readable,
    names: Sequence[str],
    *,
    config: dict[str, object] | None = None,
    selection: Selection | None = None,
    allow_none: bool = False,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Extracted:
    """Describe the named pictures of a set, in this order; unreadable ones go to `errors`.

    Parameters
    ----------
    config, selection
        The configuration that pictures with provenance must have been made with, and what of
        recordings they must show, None where that is not known; by default those of the first.
    allow_none
        Whether it is fine that no picture is readable.
    jobs
        Threads; all cores by default. The result does not depend on it.

    Raises
    ------
    ConfigMismatchError
        A picture was made with another configuration, or shows another selection.
    DatasetError
        There are no names, or no picture is readable.
    """
    import numpy as np

    if not names:
        raise DatasetError(f"{pictures.source}: expected PNG or JPEG pictures, found none")
    expected = None if config is None else (MODEL, Made(config, selection))
    features: list[Array] = []
    rows: list[int] = []
    errors: list[tuple[str, str]] = []
    marked: list[str] = []
    rates: Counter[int] = Counter()

    def one(name: str) -> Description:
        found = pictures.read_or_reason(name)
        return found if isinstance(found, str) else describe(found)

    def take(result: Description) -> None:
        nonlocal expected
        index = len(rows) + len(errors)
        if isinstance(result, str):
            errors.append((names[index], result))
        else:
            described, provenance = result
            if provenance is not None:
                expected = expected or (names[index], _known(names[index], provenance))
                require_made(names[index], provenance.made, *expected)
                rates[provenance.sample_rate] += 1
                marked.extend([names[index]] * provenance.marked)
            rows.append(index)
            features.append(described)
        if progress:
            progress(Progress("features", len(rows) + len(errors), len(names), len(errors)))

    for_each(one, names, take, jobs=jobs)
    if not rows and not allow_none:
        raise DatasetError(
            f"{pictures.source or names[0]}: expected readable pictures, found {len(names)} that "
            f"are not, the first: {': '.join(errors[0])}"
        )
    errors += pictures.refused.items()
    made = expected[1] if expected else Made({}, None)
    return Extracted(
        matrix=np.stack(features) if rows else np.empty((0, len(feature_names()))),
        rows=np.array(rows, dtype=np.intp),
        errors=errors,
        config=made.config if expected else None,
        foreign=len(rows) - rates.total(),
        selection=made.selection,
        marked=marked,
        rates=rates,
    )


def _known(name: str, provenance: Provenance) -> Made:
    if provenance.selection is None:
        raise ConfigMismatchError(
            f"{name}: expected a picture that says what of its recording it shows, found one of an "
            "earlier heartfast; convert the recordings again"
        )
    font = font_of(provenance.config)
    if font is not None and not font.startswith(FONT_DIGEST):
        raise ConfigMismatchError(
            f"{name}: expected a figure that names its font by its content, found one of an "
            "earlier heartfast; convert the recordings again"
        )
    return provenance.made


class Given(NamedTuple):
    """A recording to be described: what it is called, where it is, and its picture's name.

    `recording` is a path, bytes, or a member of an archive; `named` is what a figure's title is
    taken from.
    """

    name: str
    recording: str | bytes | tuple[_core.Archive, int] | _core._Remote
    named: str
    picture: str


class Found(NamedTuple):
    """What was found of a recording: a row of `matrix` for each of its `names`."""

    given: Given
    names: list[str]
    matrix: Array
    sample_rate: int
    error: str | None


def describe_given(
    given: Sequence[Given],
    describer: _core.Describer,
    *,
    cuts: bool,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[Found], tuple[str, ...]]:
    """Describe recordings by a describer, whose selection cuts them or does not; with notes."""
    from heartfast import remarks

    def report(done: int, failed: int) -> None:
        if progress:
            progress(Progress("features", done, len(given), failed))

    matrix, described, odd = describer.describe(
        [(each.recording, each.named) for each in given], cores(jobs), report
    )
    found, start = [], 0
    for each, (suffixes, rate, error) in zip(given, described, strict=True):
        stem = each.picture.removesuffix(".png")
        names = [f"{stem}{suffix}.png" for suffix in suffixes] if cuts else [each.name]
        end = start + len(suffixes)
        found.append(Found(each, names[: len(suffixes)], matrix[start:end], rate, error))
        start = end
    return found, tuple(remarks.notes(odd))


def gathered(
    found: Iterable[Found],
    notes: tuple[str, ...],
    config: dict[str, object],
    selection: Selection,
) -> tuple[list[str], Extracted]:
    """Return the names of all rows, and of recordings without any, and what was extracted."""
    import numpy as np

    names: list[str] = []
    rows: list[int] = []
    recordings: list[str] = []
    errors: list[tuple[str, str]] = []
    rates: Counter[int] = Counter()
    blocks = []
    for each in found:
        rows += range(len(names), len(names) + len(each.names))
        new = each.names or [each.given.name]
        names += new
        recordings += [each.given.name] * len(new)
        blocks.append(each.matrix)
        rates[each.sample_rate] += len(each.names)
        if each.error is not None:
            errors.append((each.given.name, each.error))
    matrix = np.concatenate(blocks)
    return names, Extracted(
        matrix=matrix,
        rows=np.array(rows, dtype=np.intp),
        errors=errors,
        config=config,
        foreign=0,
        selection=selection,
        rates=+rates,
        recordings=recordings,
        notes=notes,
    )


def extract_recordings(
    sources: Sequence[Path],
    config: SpectrogramConfig,
    *,
    selection: Selection = Selection(),  # noqa: B008 - a tuple
    describer: _core.Describer | None = None,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[str], Extracted]:
    """Describe the pictures of recordings without writing them.

    The features are those of the pictures that `convert` makes with this configuration and
    selection. The core reads, draws and describes on threads.

    Parameters
    ----------
    sources
        Recordings, and folders and archives to search for them.
    describer
        One of this configuration and selection, whose plans are used again.
    jobs
        Threads; all cores by default. The result does not depend on it.

    Returns
    -------
    names, extracted
        What the rows are called, sorted: as the recordings (see `recording_name`), or, where the
        selection cuts these, as their pictures. Recordings that fail are in its `errors`.

    Raises
    ------
    DatasetError
        There are no recordings, or none is readable.
    OSError
        A source is not there.
    """
    from heartfast import _core
    from heartfast.limits import Limits

    given = given_recordings(sources, selection)
    describer = describer or _core.Describer(config, selection, Limits())
    found, notes = describe_given(
        given, describer, cuts=selection.cuts, jobs=jobs, progress=progress
    )
    if not any(each.names for each in found):
        first = f"{found[0].given.name}: {found[0].error}"
        raise DatasetError(
            f"{os.fspath(sources[0])}: expected readable recordings, found {len(found)} that are "
            f"not, the first: {first}"
        )
    return in_order_of_names(*gathered(found, notes, config.to_dict(), selection))


def in_order_of_names(names: list[str], found: Extracted) -> tuple[list[str], Extracted]:
    """Return the same, sorted by name."""
    import numpy as np

    order = sorted(range(len(names)), key=names.__getitem__)
    if order == list(range(len(names))):
        return names, found
    place = np.empty(len(names), dtype=np.intp)
    place[order] = np.arange(len(names))
    rows = place[found.rows]
    by_row = np.argsort(rows)
    return [names[i] for i in order], found._replace(
        matrix=found.matrix[by_row],
        rows=rows[by_row],
        recordings=[found.recordings[i] for i in order],
    )


def given_recordings(sources: Sequence[Path], selection: Selection) -> list[Given]:
    """List the recordings of files, folders and archives, sorted by what they are called.

    Raises
    ------
    DatasetError
        There are none.
    OSError
        A source is not there.
    """
    from heartfast.recordings import find_recordings, picture_names

    recordings = find_recordings(sources)
    pictures = [""] * len(recordings)
    if selection.cuts:
        folders = [os.path.dirname(recording.name) for recording in recordings]
        pictures, _ = picture_names(recordings, folders, None, selection.room)
    given = [
        Given(recording_name(each.path, sources), each.member or each.path, each.path, picture)
        for each, picture in zip(recordings, pictures, strict=True)
    ]
    given.sort(key=itemgetter(0))
    return given


def recording_name(recording: str, sources: Sequence[Path]) -> str:
    """Name a recording: relative to the folder, where one was given, else as it was given."""
    if recording == "-":
        return NAME
    if len(sources) > 1:
        return recording.replace(os.sep, "/")
    root = os.fspath(sources[0])
    folder = root if os.path.isdir(root) else os.path.dirname(root) or "."
    name = recording.removeprefix(os.path.join(folder, ""))
    if name == recording:
        name = os.path.relpath(recording, folder)
    return name.replace(os.sep, "/")


def describe(data: bytes) -> Description:
    """Decode and describe one picture's file."""
    from heartfast.features import extract

    try:
        levels, provenance = decode(data, "picture")
        return extract(levels, provenance), provenance
    except DecodeError as error:
        return reason(error, "picture")
    except MemoryError:
        return "expected a picture that fits into memory, found a larger one"
