"""Recordings into spectrogram pictures."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from heartfast import _core, remarks
from heartfast._core import SpectrogramConfig
from heartfast.announcing import announced
from heartfast.cluster import SHARD_MB
from heartfast.conversion import BatchOptions, Conversion, Failed
from heartfast.errors import ConfigMismatchError, StoppedError, UsageError
from heartfast.extras import require_engine
from heartfast.files import (
    check_urls,
    is_url,
    make_folders,
    refuse_dash,
    require_apart,
    webdataset_name,
)
from heartfast.intervals import digest, intervals_and_notes, of_recordings
from heartfast.labels import SCHEMES, read_labels
from heartfast.limits import check_limits
from heartfast.manifest import header, require_own
from heartfast.naming import name_groups
from heartfast.parallel import cores
from heartfast.progress import Progress
from heartfast.recordings import find_recordings, picture_names, require_recordings
from heartfast.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from heartfast.corpora import Label
    from heartfast.intervals import Interval
    from heartfast.limits import Limits
    from heartfast.progress import ProgressCallback
    from heartfast.recordings import Recording


@announced
def convert(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    config: SpectrogramConfig | None = None,
    labels: str | os.PathLike[str] = "none",
    group_regex: str | None = None,
    jobs: int | None = None,
    recursive: bool = True,
    any_extension: bool = False,
    channel: str | int = "mix",
    sr: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    segment_s: float | None = None,
    segment_overlap: float = 0.0,
    to: Literal["dir", "zip", "tar", "parquet"] = "dir",
    png: Literal["fast", "small"] = "fast",
    shard_mb: float | None = None,
    overwrite: bool = False,
    prune: bool = False,
    check: bool = False,
    fsync: bool = False,
    max_errors: int | None = None,
    gallery: bool = False,
    limits: Limits | None = None,
    intervals: str | os.PathLike[str] | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    shard: str | None = None,
    features: bool = False,
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
    is what is left. Where a recording is damaged, the segments before stay. With
    ``channel="each"`` it is the same with channels: ``<stem>_ch1.png``, ``<stem>_ch1_0.png``.

    A name of more than 255 bytes is shortened: its start, ``~``, and 12 digits of the SHA-256 of
    all of it.

    Parameters
    ----------
    sources : path or paths
        Recordings, and folders and archives (ZIP, tar) to search for them. Those in an archive
        are read where they are; it must not be compressed as a whole (tar.gz). A path that is
        not there is a pattern, if it has ``*``, ``?``, ``[...]`` or ``**``. ``-`` is a recording on
        standard input, or a list: a path a line, or a NUL behind each, as from ``find -print0``.
        URLs
        (``s3://``, ``gs://``, ``az://``; ``http://`` and ``https://`` of single files) are read
        with the credentials of the environment, and need ``heartfast[cloud]``.
    out : path
        A new or empty folder, or one of an earlier run with the same settings, which is continued;
        or the URL of such a place in an object store.
    config : SpectrogramConfig, optional
    labels : str
        ``none``, ``folders``, ``pascal``, ``cinc2016``, ``circor``, ``yaseen``, or the path of a
        CSV; see `heartfast.labels.read_labels`.
    group_regex : str, optional
        A regular expression whose part in parentheses is the group (patient), in the name of a
        recording without its extension; with a ``/`` in it, in the path below the source. What
        `labels` says of groups then does not count. See `heartfast.naming.groups_by_pattern`.
    jobs : int, optional
        Threads; by default one per core.
    recursive : bool
        Search folders in folders, too.
    any_extension : bool
        Try every file in a folder or archive, whatever its name, except hidden ones.
    channel : str or int
        ``mix`` (the mean of all channels), ``left`` (the first), ``right`` (the second, or the
        only one), ``each`` (a picture of each), or a number, counted from 1 as by sox. A channel
        that a recording does not have is that recording's error.
    sr : int, optional
        Resample to so many samples per second, as `load` does; the rate in rows and pictures.
        Segments are then exactly the parts of the resampled recording.
    start, duration : float
        Draw only this part, in seconds to the nearest sample; a recording that ends before it is
        an error. It is resampled as if there were silence around it.
    segment_s : float, optional
        The length of segments in seconds, at least 0.01; to the nearest sample. Their names count
        from the recording's start, not from `start`.
    segment_overlap : float
        The share of a segment, in percent, that the next one has, too: 0 to below 100, with
        segments that begin at least 2 ms apart. The last one has something of its own.
    to : str
        ``dir``: a file per picture; ``zip`` or ``tar``: all in ``out/pictures.zip`` or
        ``out/pictures.tar``, uncompressed, each ``<key>.png`` with its row as ``<key>.json``
        behind it, as WebDataset has it. The bytes do not depend on `jobs` either. An archive gets
        its name once it is complete. ``parquet``: tables with the pictures, as an ``Image`` of
        Hugging Face's datasets, and their rows.
    png : str
        ``fast``, or ``small``: the same pictures in somewhat smaller files, at some twenty times
        the time for writing them.
    shard_mb : float, optional
        The size of archives in megabytes (10^6 bytes): ``pictures-000000.tar`` and so on. In tasks
        (see `engine`) so many of recordings are one at most; 256 by default.
    overwrite : bool
        Remove the pictures of an earlier run first, whatever its settings were.
    prune : bool
        Remove the pictures and rows of recordings that are not among the sources any more, which
        otherwise stay; a note counts them. A source without a recording then is an error: a
        drive may not be mounted. In tasks (see `engine`) it is always so.
    check : bool
        Read the pictures of an earlier run, and make those anew that are not as the manifest says.
    fsync : bool
        Have pictures on the disk before the manifest tells of them: it then outlives a power
        failure, at a much lower speed.
    max_errors : int, optional
        Stop once more recordings have failed than this.
    gallery : bool
        Also write ``gallery.html``, a page of the pictures that plays the recordings; see
        `heartfast.gallery`.
    limits : Limits, optional
        How much of what a file promises is believed.
    intervals : path, optional
        Labelled parts of recordings that figures show; see `heartfast.read_intervals`.
    engine : str
        ``local``: this process. ``ray``: a Ray cluster (``heartfast[ray]``). Recordings are cut
        into tasks, each of which writes archives of its own, ``pictures-000012.tar``, and a part
        of the manifest, in ``parts/``; at the end these are joined. So it is with `shard`,
        `features`, URLs and Parquet, too.
    address : str, optional
        Of the cluster: ``auto``, or ``ray://host:port``; by default the one that Ray finds, or a
        new one on this machine.
    shard : str, optional
        ``I/N``: only every N-th task from the I-th on, for array jobs; `heartfast.merge` joins
        what they have made.
    features : bool
        Compute the features of the pictures, too: ``features-000012.parquet``, from which `train`
        learns without a look at the pictures.
    progress : callable, optional
        Gets a `Progress` some 20 times a second.

    Returns
    -------
    Conversion
        A bad recording is in its `errors` and leaves the others alone.

    Raises
    ------
    OSError
        A source is missing, or `out` cannot be written or has other files in it.
    ConfigMismatchError
        `out` is of an earlier run with other settings.
    StoppedError
        More recordings failed than `max_errors`.
    ValueError
        An argument out of range, or no regular expression; or a URL with a password or a query.
    HeartfastError
        Ray, or what reads URLs, is not installed; or there is no such cluster.
    KeyboardInterrupt
        On Ctrl-C: after what was in hand is finished, or at once if it is pressed once more.
    DatasetError
        No recordings, or labels or a pattern that do not fit them.

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
    selection = Selection(channel, sr, start, duration, segment_s, segment_overlap)
    checked = _core.selection_json(selection)  # before anything is written
    limits = check_limits(limits)
    if to not in ("dir", "zip", "tar", "parquet"):
        raise UsageError(f"to: expected dir, zip, tar or parquet, found {to!r}")
    if png not in ("fast", "small"):
        raise UsageError(f"png: expected fast or small, found {png!r}")
    named = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    paths = [os.fspath(source) for source in named]
    folder = os.fspath(out)
    scheme = os.fspath(labels)
    refuse_dash(folder, "a folder to write to")
    check_urls((*paths, folder, scheme))
    far = any(map(is_url, (*paths, folder)))
    in_tasks = engine != "local" or shard is not None or to == "parquet" or features or far
    if shard_mb is not None and ((not in_tasks and to == "dir") or not 0 < shard_mb < float("inf")):
        raise UsageError(f"shard_mb: expected above 0, with to zip or tar, found {shard_mb}")
    if max_errors is not None and max_errors < 0:
        raise UsageError(f"max_errors: expected 0 or more, found {max_errors}")
    if gallery and to != "dir":
        raise UsageError(f"gallery: expected pictures as files, with to dir, found to {to}")
    if overwrite and not is_url(folder):
        tables = [path for path in (labels, intervals) if path is not None and path not in SCHEMES]
        require_apart(folder, [*paths, *tables])
    require_engine(to, features, far, engine, address)
    config = config or SpectrogramConfig()
    settings = {
        "config": config.to_dict(),
        "to": to,
        "shard_mb": shard_mb,
        "png": png,
        "labels": scheme if scheme in SCHEMES or is_url(scheme) else os.path.abspath(scheme),
    }
    marks: dict[str, list[Interval]] = {}
    notes: list[str] = []
    if intervals is not None:
        if not config.figure:
            raise UsageError("intervals: expected figures to show them in, found tiles")
        marks, notes = intervals_and_notes(intervals)
        settings["intervals"] = digest(marks)
    if group_regex is not None:
        settings["group_regex"] = group_regex
    packed = to in ("zip", "tar")
    # In an archive, a name ends in .json, too.
    room = selection.room + packed
    if in_tasks:
        from heartfast.cluster.convert import convert_in_tasks
        from heartfast.cluster.plan import Request
        from heartfast.cluster.task import Work

        if gallery or check or fsync:
            raise UsageError("gallery, check, fsync: expected on one machine only, found in tasks")
        if features:
            settings["features"] = True
        settings["shard_mb"] = shard_mb = shard_mb or SHARD_MB
        shard_bytes = max(1, round(shard_mb * 1e6))
        done = convert_in_tasks(
            Request(
                paths,
                recursive,
                any_extension,
                scheme,
                group_regex,
                selection.cuts,
                packed,
                room,
                shard_bytes,
            ),
            Work(
                folder,
                header(settings, checked),
                to,
                config,
                png,
                selection,
                limits,
                marks,
                shard_bytes,
                features,
            ),
            engine=engine,
            address=address,
            shard=shard,
            jobs=jobs,
            overwrite=overwrite,
            max_errors=max_errors,
            progress=progress,
        )
        done.notes[:0] = notes
        return done
    line = header(settings, checked)
    require_own(folder, line, overwrite=overwrite)
    if prune:
        require_recordings(paths, recursive, any_extension, limits)
    recordings = find_recordings(
        paths, recursive=recursive, any_extension=any_extension, limits=limits, notes=notes
    )
    known, said = read_labels(labels, recordings, paths)
    notes += said
    marks, said = of_recordings(
        marks, [recording.stem for recording in recordings] if marks else ()
    )
    notes += said
    if scheme != "none" or group_regex is not None:
        known, found = name_groups(known, [r.name for r in recordings], group_regex)
        notes += found
    if scheme == "none":
        one: dict[str, str] = {}  # for all recordings in it
        folders = [
            one.setdefault(folder, folder)
            for folder in (os.path.dirname(r.name) for r in recordings)
        ]
    else:
        folders = [label.folder for label in known]
    names, renamed = picture_names(recordings, folders, webdataset_name if packed else None, room)
    make_folders(folder)
    total = len(recordings)

    def report(done: int, failed: int) -> None:
        if progress:
            progress(Progress("convert", done, total, failed))

    batch = BatchOptions(
        folder,
        line,
        to,
        None if shard_mb is None else max(1, round(shard_mb * 1e6)),
        fsync,
        check,
        overwrite,
        prune,
        png,
        selection,
        limits,
        max_errors,
        threads,
        marks,
    )
    rows = _rows(recordings, names, known, grouped=selection.cuts)
    try:
        outcome = _core.convert(rows, config, batch, report)
    except ConfigMismatchError:
        require_own(folder, line)  # a run that began in between; this names the difference
        raise
    errors = [Failed(*failure) for failure in outcome["failures"]]
    count = f"{outcome['finished']} of {total} recordings"
    if outcome["too_many_errors"]:
        stopped = StoppedError(
            f"{folder}: expected at most {max_errors} errors, found {len(errors)} in {count}; the "
            "same command goes on from there"
        )
        stopped.errors = errors
        raise stopped
    if outcome["interrupted"] and outcome["finished"] < total:
        raise KeyboardInterrupt(f"{count} are done, the same command goes on from there")
    if outcome["remade"]:
        notes.append(
            f"{outcome['remade']} recordings had changed, had failed for now, or their pictures "
            "were not as the manifest says: converted once more"
        )
    with_silenced, silenced = outcome["silenced"]
    if silenced:
        notes.append(
            f"{with_silenced} recordings have {silenced} samples that are no finite numbers: "
            "they count as silence"
        )
    notes += remarks.notes(outcome["remarks"])
    if gallery:
        _write_gallery(folder)
    return Conversion(folder, outcome, errors, notes + outcome["notes"] + renamed)


def _write_gallery(folder: str) -> None:
    """Write the page of all pictures in a folder; without any, there is none."""
    from heartfast.manifest import read_entries
    from heartfast.stages.gallery import write_gallery

    if any(entry["pictures"] for entry in read_entries(folder)):
        write_gallery(folder)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, "gallery.html"))


def _rows(
    recordings: list[Recording], names: list[str], known: list[Label], *, grouped: bool
) -> Iterator[_core._Row]:
    """Give the rows that the core asks for, and empty the lists: it keeps them in less memory."""
    for rows in (recordings, names, known):
        rows.reverse()  # what is taken from a list's end does not move the rest
    while recordings:
        recording, name, label = recordings.pop(), names.pop(), known.pop()
        # The segments and channels of a recording stay together.
        group = label.group or (name.removesuffix(".png") if grouped else "")
        path = recording.path
        yield recording.member or path, path, name, label.label, group, label.source
