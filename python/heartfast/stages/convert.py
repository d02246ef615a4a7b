"""Recordings into spectrogram pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast import _core
from heartfast._core import SpectrogramConfig
from heartfast.files import require_empty, write_bytes
from heartfast.labels import UNLABELLED, Label, read_labels
from heartfast.parallel import cores
from heartfast.progress import Progress
from heartfast.recordings import Recording, find_recordings, picture_names
from heartfast.tables import METADATA_COLUMNS, write_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heartfast.progress import ProgressCallback


class Converted(NamedTuple):
    """A recording that became a picture: a row of `metadata.csv`, and where it came from."""

    file_name: str
    label: str
    group: str
    source: str
    sample_rate: int
    duration_s: float
    sha256: str
    recording: str


class Failed(NamedTuple):
    """A recording that did not: a line of `errors.jsonl`."""

    path: str
    kind: str
    message: str


class TableError(OSError):
    """`metadata.csv` or `errors.jsonl` could not be written; `errors` are those of recordings."""

    errors: Sequence[Failed] = ()


class Conversion(NamedTuple):
    """What `convert` did.

    Attributes
    ----------
    out : str
        The folder with the pictures and `metadata.csv`.
    records : list of Converted
        Sorted by the picture's name.
    errors : list of Failed
        Also in `errors.jsonl` of `out`, which is there only if something failed.
    notes : list of str
        What a user should know: names that changed, rows and recordings without a match.
    """

    out: str
    records: list[Converted]
    errors: list[Failed]
    notes: list[str]

    def to_dict(self) -> dict[str, object]:
        """The result as JSON can hold it; the pictures themselves stand in `metadata.csv`."""
        return {
            "out": self.out,
            "pictures": len(self.records),
            "duration_s": sum(record.duration_s for record in self.records),
            "errors": [error._asdict() for error in self.errors],
            "notes": self.notes,
        }


def convert(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    config: SpectrogramConfig | None = None,
    labels: str | os.PathLike[str] = "none",
    jobs: int | None = None,
    recursive: bool = True,
    progress: ProgressCallback | None = None,
) -> Conversion:
    """Draw the spectrogram of every recording.

    One PNG per recording, ``<stem>.png``: with labels in ``out/<class>/`` (without a label of
    its own in ``out/unlabelled/``), else in the tree of folders of its source. Beside them
    ``metadata.csv``, with a row per picture: file_name, label, group, source, sample_rate (Hz),
    duration_s, sha256 (of the recording). The pictures do not depend on `jobs`.

    Parameters
    ----------
    sources : path or paths
        Recordings, and folders to search for them.
    out : path
        A new or empty folder.
    config : SpectrogramConfig, optional
    labels : str
        ``none``, ``folders``, ``pascal``, ``cinc2016``, or the path of a CSV; see
        `heartfast.labels.read_labels`.
    jobs : int, optional
        Threads; by default one per core.
    recursive : bool
        Search folders in folders, too.
    progress : callable, optional
        Gets a `Progress` some 20 times a second.

    Returns
    -------
    Conversion
        A bad recording is in its `errors` and leaves the others alone.

    Raises
    ------
    OSError
        A source is missing, or `out` cannot be written or is not empty. Where only the tables
        cannot, it is a `TableError`.
    DatasetError
        No recordings, or labels that do not fit them.

    Notes
    -----
    What soundgen's ``spectrogramFolder`` did until version 2 (2021), with its defaults; the rows of
    `metadata.csv` are those of Hugging Face's ImageFolder.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=8, recordings=1)
    >>> result = heartfast.convert(folder + "/wav", folder + "/png", labels="folders")
    >>> len(result.records), len(result.errors)
    (8, 0)
    """
    threads = cores(jobs)
    named = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    paths = [os.fspath(source) for source in named]
    folder = os.fspath(out)
    recordings = find_recordings(paths, recursive=recursive)
    known, notes = read_labels(labels, recordings, paths)
    if os.fspath(labels) == "none":
        folders = [os.path.dirname(recording.name) for recording in recordings]
    else:
        folders = [label.label or UNLABELLED for label in known]
    names, renamed = picture_names(recordings, folders)
    require_empty(folder)

    pictures = [os.path.join(folder, *name.split("/")) for name in names]
    for place in sorted({os.path.dirname(picture) for picture in pictures} | {folder}):
        os.makedirs(place, exist_ok=True)

    def report(done: int, failed: int) -> None:
        if progress:
            progress(Progress("convert", done, len(recordings), failed))

    outcomes = _core.convert(
        [(r.path, picture) for r, picture in zip(recordings, pictures, strict=True)],
        config or SpectrogramConfig(),
        threads,
        report,
    )
    result = _collect(folder, recordings, known, names, outcomes)
    result.notes.extend(notes + renamed)
    try:
        _write_tables(result)
    except OSError as error:
        # What failed is known now, and nowhere else.
        failure = TableError(error.errno, error.strerror, error.filename)
        failure.errors = result.errors
        raise failure from None
    return result


def _collect(
    out: str,
    recordings: Sequence[Recording],
    labels: Sequence[Label],
    names: Sequence[str],
    outcomes: Sequence[tuple[int, float, str] | tuple[str, str] | None],
) -> Conversion:
    records, errors = [], []
    for recording, label, name, outcome in zip(recordings, labels, names, outcomes, strict=True):
        if outcome is None:
            # A thread died with it: never silently.
            outcome = ("internal", "lost by the thread that worked on it, please report it")
        if len(outcome) == 3:
            records.append(Converted(name, *label, *outcome, recording.path))
        else:
            errors.append(Failed(recording.path, *outcome))
    records.sort()
    return Conversion(out, records, errors, [])


def _write_tables(result: Conversion) -> None:
    columns = len(METADATA_COLUMNS)
    rows = (record[:columns] for record in result.records)
    write_csv(os.path.join(result.out, "metadata.csv"), METADATA_COLUMNS, rows)
    if result.errors:
        import json

        # ASCII escapes keep names that are not valid UTF-8, which JSON else cannot.
        lines = "".join(json.dumps(error._asdict()) + "\n" for error in result.errors)
        write_bytes(os.path.join(result.out, "errors.jsonl"), lines.encode())
