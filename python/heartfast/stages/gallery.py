"""Pictures, and what is known of them, in; a page to look at and to listen to out."""

from __future__ import annotations

import errno
import math
import os
from typing import TYPE_CHECKING, NamedTuple

from heartfast.cards import Card, write_cards
from heartfast.errors import DatasetError, DecodeError, UsageError
from heartfast.files import refuse_dash, require_output
from heartfast.heads import read_head
from heartfast.images import PictureSet
from heartfast.matching import RecordingNames, ScoresByPicture, recordings_of_manifest
from heartfast.names import comparable
from heartfast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heartfast.bundle import Bundle
    from heartfast.heads import Head
    from heartfast.images import Picture
    from heartfast.progress import ProgressCallback

    Path = str | os.PathLike[str]

GALLERY = "gallery.html"
EXPLAINED = 12  # pictures


class Gallery(NamedTuple):
    """What `gallery` wrote: the page, and how many pictures it has, with sound, and so on."""

    path: str
    pictures: int
    sounds: int
    scored: int
    explained: int

    def to_dict(self) -> dict[str, object]:
        """Return it ready for JSON."""
        return self._asdict()


def gallery(
    images: Path,
    *,
    output: Path | None = None,
    scores: Path | None = None,
    audio: Path | None = None,
    model: Path | None = None,
    explain: int = EXPLAINED,
    progress: ProgressCallback | None = None,
) -> Gallery:
    """Write a page that shows pictures and plays their recordings.

    It works from a disk, without a network: a click into a picture plays from there, with a line
    that moves along. It can be filtered, searched, sorted, and used by keyboard.

    Parameters
    ----------
    images : path
        A folder: what `convert` wrote, or class folders of PNGs and JPEGs. Where no picture has a
        label, folders take the place of classes.
    output : path, optional
        The page, ``gallery.html`` in `images` by default; replaced if it is there. It links to
        pictures and recordings relative to its folder.
    scores : path, optional
        A table of `score`. Which picture a row is of, is told by its column ``file_name``, else by
        ``test_actual.csv`` beside the table, else by the place among as many pictures.
    audio : path, optional
        A folder of recordings, with subfolders, that have the pictures' names. By default
        they are where `convert` found them, or beside the pictures.
    model : path, optional
        The saved model that gave the scores: the page shows what it looked at (see
        `heartfast.occlusion_map`).
    explain : int
        In how many pictures: those with the lowest probability of their own class, or where
        that is not known of the class that was said.
    progress : callable, optional

    Returns
    -------
    Gallery

    Raises
    ------
    OSError
        `images`, `scores` or `audio` is not there, or `output` cannot be written.
    DatasetError
        No pictures, no recording of any picture's name, or scores that are malformed or of other
        pictures; with a model, pictures whose frequencies are not on a linear scale.
    BundleError, ConfigMismatchError
        As in `occlusion_map`.
    ValueError
        A model without scores, or one that was trained with a network or does not know a class.

    Notes
    -----
    It takes the place of the page ``00_clickable_plots.html`` of soundgen's ``spectrogramFolder``.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=8, recordings=1)
    >>> pictures = heartfast.convert(folder + "/wav", folder + "/png", labels="folders").out
    >>> heartfast.gallery(pictures)
    Gallery(path='.../png/gallery.html', pictures=8, sounds=8, scored=0, explained=0)
    """
    if explain < 1:
        raise UsageError(f"explain: expected at least 1, found {explain}")
    bundle = None
    if model is not None:
        from heartfast.bundle import Bundle

        if scores is None:
            raise UsageError("model: expected scores, too, found none")
        bundle = Bundle.load(model)
    return write_gallery(
        images,
        output=output,
        scores=[] if scores is None else [(scores, "")],
        audio=audio,
        model=bundle,
        explain=explain,
        progress=progress,
    )


def write_gallery(
    images: Path,
    *,
    output: Path | None = None,
    scores: Sequence[tuple[Path, str]] = (),
    audio: Path | None = None,
    title: str = "",
    report: str = "",
    model: Bundle | None = None,
    explain: int = EXPLAINED,
    progress: ProgressCallback | None = None,
) -> Gallery:
    """`gallery` with a title, a link to a report, and scores from several tables.

    Each table stands with the folder in `images`, "" or one that ends in "/", that its names are
    relative to.
    """
    folder = os.fspath(images)
    page = os.path.join(folder, GALLERY) if output is None else os.fspath(output)
    pictures, path_of = _pictures(folder)
    inputs = [folder, audio, *(table for table, _ in scores)]
    require_output(page, *inputs, kind="page")
    heads = [read_head(path_of(picture.name)) for picture in pictures]
    recordings = _recordings(folder, audio, [comparable(p.name) for p in pictures], heads)
    require_output(page, *inputs, *recordings, kind="page")
    found = ScoresByPicture(pictures)
    for table, below in scores:
        found.add(table, below)
    labels = [p.label or found.truth.get(i, "") for i, p in enumerate(pictures)]
    facet = "class" if any(labels) else "folder"
    looked: dict[int, tuple[bytes, str]] = {}
    if model is not None:
        said = {i: found.classes[row.index(max(row))] for i, row in found.rows.items()}
        chosen = _least_certain(found, labels)[:explain]
        paths = {i: path_of(pictures[i].name) for i in chosen}
        company: dict[int, list[str]] = {}
        if model.context:
            company = {i: list(map(path_of, _company(pictures, found, i))) for i in chosen}
        looked = _look(model, paths, said, company, progress)
    cards = [
        Card(
            picture=path_of(p.name),
            recording=recordings[i],
            label=label or ("" if facet == "class" else p.name.rpartition("/")[0]),
            group=p.group,
            seconds=_seconds(p.duration_s),
            scores=found.rows.get(i),
            head=head,
            layer=looked[i][0] if i in looked else b"",
            looked=looked[i][1] if i in looked else "",
        )
        for i, (p, label, head) in enumerate(zip(pictures, labels, heads, strict=True))
    ]
    sounds = write_cards(
        page,
        cards,
        title=title or os.path.basename(os.path.abspath(folder)),
        facet=facet,
        scored=found.classes,
        report=report,
    )
    return Gallery(page, len(cards), sounds, len(found.rows), len(looked))


def _least_certain(found: ScoresByPicture, labels: Sequence[str]) -> list[int]:
    """Pictures with scores, from the lowest probability of their own class, or of what was said."""

    def certainty(i: int) -> tuple[float, int]:
        row = found.rows[i]
        known = labels[i] in found.classes
        return row[found.classes.index(labels[i])] if known else max(row), i

    return sorted(found.rows, key=certainty)


def _company(pictures: Sequence[Picture], found: ScoresByPicture, i: int) -> list[str]:
    """Return the other pictures of one's group that were scored together with it."""
    own = pictures[i].group
    together = [j for j, table in found.table.items() if table == found.table[i] and j != i]
    return [pictures[j].name for j in together if own and pictures[j].group == own]


def _look(
    model: Bundle,
    paths: dict[int, str],
    said: dict[int, str],
    company: dict[int, list[str]],
    progress: ProgressCallback | None,
) -> dict[int, tuple[bytes, str]]:
    """Give for each picture what the model looked at, as a layer and in words."""
    from heartfast.drawings import layer_png
    from heartfast.occlusion import occlusion_map

    looked = {}
    for done, (i, path) in enumerate(paths.items(), 1):
        try:
            seen = occlusion_map(model, path, said[i], company=company.get(i, ()))
            looked[i] = layer_png(seen), seen.describe()
        except (DecodeError, OSError):  # it is as damaged without
            pass
        if progress:
            progress(Progress("explain", done, len(paths)))
    return looked


def _pictures(folder: str) -> tuple[list[Picture], Callable[[str], str]]:
    refuse_dash(folder, "a folder of pictures")
    if not os.path.isdir(folder):
        kind, what = (
            (NotADirectoryError, "a file")
            if os.path.exists(folder)
            else (FileNotFoundError, "nothing")
        )
        raise kind(errno.ENOENT, f"expected a folder of pictures, found {what}", folder)
    with PictureSet(folder) as found:
        if found.packed:
            raise DatasetError(
                f"{folder}: expected pictures as files, found pictures.zip, which is to be "
                "unpacked first"
            )
        if not found.pictures:
            raise DatasetError(f"{folder}: expected pictures (PNG, JPEG), found none")
        return found.pictures, found.path


def _recordings(
    folder: str, audio: Path | None, names: Sequence[str], heads: Sequence[Head]
) -> list[str]:
    """The path of each picture's recording; "" where none is known."""
    known = recordings_of_manifest(folder)
    try:
        named = RecordingNames(folder if audio is None else os.fspath(audio))
    except DatasetError:  # no recording at all
        if audio is not None:
            raise
        return [known.get(name, "") for name in names]
    found = [
        named.find(name, known=known.get(name, ""), part=head.part)
        for name, head in zip(names, heads, strict=True)
    ]
    if audio is not None and not any(found):
        raise DatasetError(
            f"{os.fspath(audio)}: expected recordings of the pictures' names, found none, as for "
            f"{names[0]!r}"
        )
    if audio is None:
        return [known.get(name) or beside for name, beside in zip(names, found, strict=True)]
    return [given or known.get(name, "") for name, given in zip(names, found, strict=True)]


def _seconds(cell: str) -> float | None:
    try:
        seconds = float(cell)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
