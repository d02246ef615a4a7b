"""Recordings into spectrogram pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast import _core
from heartfast._core import SpectrogramConfig
from heartfast.files import portable_name, require_empty, write_bytes
from heartfast.labels import UNLABELLED, Label, read_labels
from heartfast.limits import Limits
from heartfast.parallel import cores
from heartfast.progress import Progress
from heartfast.recordings import Recording, find_recordings, picture_names
from heartfast.tables import METADATA_COLUMNS, write_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from heartfast.progress import ProgressCallback


class Converted(NamedTuple):
    """A recording (or segment) that became a picture: a row of `metadata.csv`, and its origin."""

    file_name: str
    label: str
    group: str
    source: str
    sample_rate: int
    duration_s: float
    sha256: str
    recording: str


class Failed(NamedTuple):
    """A recording that did not, or only as far as an error: a line of `errors.jsonl`."""

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
        The folder with `metadata.csv` and the pictures, or the archive of them.
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
    segment_s: float | None = None,
    to: Literal["dir", "zip", "tar"] = "dir",
    png: Literal["fast", "small"] = "fast",
    limits: Limits | None = None,
    progress: ProgressCallback | None = None,
) -> Conversion:
    """Draw the spectrogram of every recording.

    One PNG per recording, ``<stem>.png``: with labels in ``out/<class>/`` (without a label of
    its own in ``out/unlabelled/``), else in the tree of folders of its source. Beside them
    ``metadata.csv``, with a row per picture: file_name, label, group, source, sample_rate (Hz),
    duration_s, sha256 (of the recording). The pictures do not depend on `jobs`.

    With `segment_s` every recording is cut, and each segment is drawn as if it were a recording:
    ``<stem>_<start in ms>.png``, in its row its own duration_s, and the recording's sha256 and
    group (its name without extension, where it has none), so that the segments of a recording
    stay on one side of a split. Recordings then may be longer than the memory. The last segment
    is what is left. Where a recording is damaged, the segments before stay.

    Parameters
    ----------
    sources : path or paths
        Recordings, and folders and archives (ZIP, tar) to search for them. Those in an archive
        are read where they are; it must not be compressed as a whole (tar.gz).
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
    segment_s : float, optional
        The length of segments in seconds, at least 0.01; to the nearest sample.
    to : str
        ``dir``: a file per picture; ``zip`` or ``tar``: all in ``out/pictures.zip`` or
        ``out/pictures.tar``, uncompressed, whose bytes do not depend on `jobs` either. It gets
        its name once it is complete.
    png : str
        ``fast``, or ``small``: the same pictures in somewhat smaller files, at some twenty times
        the time for writing them.
    limits : Limits, optional
        How much of what a file promises is believed.
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
    if segment_s is not None and not 0.01 <= segment_s < float("inf"):
        raise ValueError(f"segment_s: expected at least 0.01 seconds, found {segment_s}")
    if to not in ("dir", "zip", "tar"):
        raise ValueError(f"to: expected dir, zip or tar, found {to!r}")
    if png not in ("fast", "small"):
        raise ValueError(f"png: expected fast or small, found {png!r}")
    named = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    paths = [os.fspath(source) for source in named]
    folder = os.fspath(out)
    recordings = find_recordings(paths, recursive=recursive, limits=limits)
    known, notes = read_labels(labels, recordings, paths)
    if os.fspath(labels) == "none":
        folders = [os.path.dirname(recording.name) for recording in recordings]
    else:
        folders = [label.label or UNLABELLED for label in known]
    packed = to != "dir"
    names, renamed = picture_names(recordings, folders, portable_name if packed else None)
    require_empty(folder)

    places = [] if packed else sorted({*folders})
    for place in [folder, *(os.path.join(folder, *place.split("/")) for place in places)]:
        os.makedirs(place, exist_ok=True)

    def report(done: int, failed: int) -> None:
        if progress:
            progress(Progress("convert", done, len(recordings), failed))

    outcomes = _core.convert(
        [(r.member or r.path, name) for r, name in zip(recordings, names, strict=True)],
        folder,
        to,
        png,
        config or SpectrogramConfig(),
        segment_s,
        limits or Limits(),
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
    outcomes: Sequence[_core._Outcome | None],
) -> Conversion:
    records, errors = [], []
    for recording, label, name, outcome in zip(recordings, labels, names, outcomes, strict=True):
        path = recording.path
        if outcome is None:
            # A thread died with it: never silently.
            outcome = ("internal", "lost by the thread that worked on it, please report it")
        if len(outcome) == 3:
            records.append(Converted(name, *label, *outcome, path))
        elif len(outcome) == 2:
            errors.append(Failed(path, *outcome))
        else:
            rate, segments, sha256, error = outcome
            stem = name.removesuffix(".png")
            known = label if label.group else label._replace(group=stem)
            for start, duration in segments:
                file_name = f"{stem}_{start}.png"
                records.append(Converted(file_name, *known, rate, duration, sha256, path))
            if error:
                errors.append(Failed(path, *error))
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
