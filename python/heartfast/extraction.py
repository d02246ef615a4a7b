"""Features of many pictures or recordings, on threads: hardly any of it holds Python's lock."""

from __future__ import annotations

import os
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError, DecodeError
from heartfast.images import Provenance, decode, reason, require_config
from heartfast.parallel import cores, for_each
from heartfast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast import SpectrogramConfig
    from heartfast.images import PictureSet
    from heartfast.progress import ProgressCallback

    Array = NDArray[np.float64]
    Path = str | os.PathLike[str]
    # Features and provenance, or what is wrong with the picture.
    Description = tuple[Array, Provenance | None] | str


class Extracted(NamedTuple):
    """The features (n, f) of the pictures that were readable, and what was learned of all.

    `rows` are their indices among the names asked for, `errors` the other names, each with
    its message (without the name); `config` is the configuration they share, `foreign` counts
    those without. `notes` are what a user should know of recordings.
    """

    matrix: Array
    rows: NDArray[np.intp]
    errors: list[tuple[str, str]]
    config: dict[str, object] | None
    foreign: int
    notes: tuple[str, ...] = ()


def extract_all(
    pictures: PictureSet,
    names: Sequence[str],
    *,
    config: dict[str, object] | None = None,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Extracted:
    """Describe the named pictures of a set, in this order; unreadable ones go to `errors`.

    Parameters
    ----------
    config
        The configuration that pictures with provenance must have been made with; by default
        that of the first.
    jobs
        Threads; all cores by default. The result does not depend on it.

    Raises
    ------
    ConfigMismatchError
        A picture was made with another configuration.
    DatasetError
        There are no names, or no picture is readable.
    """
    import numpy as np

    if not names:
        raise DatasetError(f"{pictures.source}: expected PNG or JPEG pictures, found none")
    expected = None if config is None else ("the model", config)
    features: list[Array] = []
    rows: list[int] = []
    errors: list[tuple[str, str]] = []
    foreign = 0

    def one(name: str) -> Description:
        found = pictures.read_or_reason(name)
        return found if isinstance(found, str) else describe(found)

    def take(result: Description) -> None:
        nonlocal expected, foreign
        index = len(rows) + len(errors)
        if isinstance(result, str):
            errors.append((names[index], result))
        else:
            described, provenance = result
            if provenance is None:
                foreign += 1
            else:
                expected = expected or (names[index], provenance.config)
                require_config(names[index], provenance.config, *expected)
            rows.append(index)
            features.append(described)
        if progress:
            progress(Progress("features", len(rows) + len(errors), len(names), len(errors)))

    for_each(one, names, take, jobs=jobs)
    if not rows:
        raise DatasetError(
            f"{pictures.source or names[0]}: expected readable pictures, found {len(names)} that "
            f"are not, the first: {': '.join(errors[0])}"
        )
    shared = expected[1] if expected else None
    return Extracted(np.stack(features), np.array(rows), errors, shared, foreign)


def extract_recordings(
    sources: Sequence[Path],
    config: SpectrogramConfig,
    *,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[str], Extracted]:
    """Describe the pictures of recordings without writing them.

    The features are those of the pictures that `convert` makes with this configuration, of each
    recording as a whole. The core reads, draws and describes on threads.

    Parameters
    ----------
    sources
        Recordings, and folders and archives to search for them.
    jobs
        Threads; all cores by default. The result does not depend on it.

    Returns
    -------
    names, extracted
        What the recordings are called, sorted (see `recording_name`), and their features; those
        that fail are in its `errors`.

    Raises
    ------
    DatasetError
        There are no recordings, or none is readable.
    OSError
        A source is not there.
    """
    import numpy as np

    from heartfast import _core, remarks
    from heartfast.limits import Limits
    from heartfast.recordings import find_recordings

    recordings = find_recordings(sources)
    named = [(recording_name(recording.path, sources), recording) for recording in recordings]
    named.sort(key=itemgetter(0))
    names = [name for name, _ in named]

    def report(done: int, failed: int) -> None:
        if progress:
            progress(Progress("features", done, len(names), failed))

    matrix, failures, odd = _core.describe_recordings(
        [(recording.member or recording.path, recording.path) for _, recording in named],
        config,
        Limits(),
        cores(jobs),
        report,
    )
    errors = [(name, text) for name, text in zip(names, failures, strict=True) if text is not None]
    if len(errors) == len(names):
        raise DatasetError(
            f"{os.fspath(sources[0])}: expected readable recordings, found {len(names)} that are "
            f"not, the first: {': '.join(errors[0])}"
        )
    rows = np.flatnonzero([text is None for text in failures])
    notes = tuple(remarks.notes(odd))
    return names, Extracted(matrix[rows], rows, errors, config.to_dict(), 0, notes)


def recording_name(recording: str, sources: Sequence[Path]) -> str:
    """Name a recording: relative to the folder, where one was given, else as it was given."""
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
