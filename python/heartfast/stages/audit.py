"""A dataset in; what makes the figures of models on it too good out, worst first."""

from __future__ import annotations

import errno
import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import checks, giveaways
from heartfast.announcing import announced
from heartfast.checks import AMBER, GREEN, RED, Finding, Item
from heartfast.errors import DatasetError, DecodeError
from heartfast.images import PictureSet, decode, reason
from heartfast.manifest import MANIFEST, read_entries
from heartfast.names import comparable
from heartfast.parallel import for_each
from heartfast.partition import kept_note, side_to_test
from heartfast.progress import Progress
from heartfast.seeds import check_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heartfast.images import Picture
    from heartfast.progress import ProgressCallback

TRAIN, TEST = "train.zip", "test.zip"
TEST_METADATA, TEST_ACTUAL = "test_metadata.csv", "test_actual.csv"
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,12})?")  # in metadata.csv; else it is not known
FULL_SCALE = 0.999  # of a sample that counts as clipped


class Audit(NamedTuple):
    """What `audit` found, worst first, on so many recordings; `notes` are of what it lacked."""

    dataset: str
    findings: list[Finding]
    n_recordings: int
    notes: list[str]

    def count(self, level: str) -> int:
        """How many findings are "red", "amber" or "green"."""
        return sum(finding.level == level for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return self._asdict() | {"findings": [finding._asdict() for finding in self.findings]}

    def to_text(self) -> str:
        """Return the findings as lines, worst first, each with its evidence below."""
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.level.upper():6} {finding.check}: {finding.text}")
            if finding.level != GREEN:
                lines += [f"         {line}" for line in finding.evidence]
        return "\n".join(lines)


@announced
def audit(
    dataset: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Audit:
    """Look for what lets a model seem better than it is.

    Groups on both sides of a split, copies (the same bytes, or as good as the same sounds, with
    gain, noise, shifted or cut), copies with different labels, what predicts the class without a
    sound being heard (duration, sample rate, level, clipping, source, recording order), and whether
    the source can be told from the pictures.

    Parameters
    ----------
    dataset
        What `convert` wrote, or any folder or ZIP of class folders of pictures; or what `pack` or
        `run` wrote: then also the two sides of the split. Level and clipping need the recordings,
        where the manifest of the pictures says that they are.
    images
        Where `convert` put the pictures and their manifest; by default the dataset itself, or
        `images` in it, as `run` has it.
    seed
        Of the resampling.
    jobs
        Threads; all cores by default.

    Raises
    ------
    DatasetError
        There are no labelled pictures, or a table is malformed.
    OSError
        The dataset cannot be opened.

    References
    ----------
    Areas under ROC curves with intervals from resampled groups; red only beyond what a chance of
    `giveaways.MISTAKE` over all areas allows (C. E. Bonferroni, 1936).

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder + "/wav", patients=24, recordings=2)
    >>> labels = folder + "/wav/labels.csv"
    >>> png = heartfast.convert(folder + "/wav", folder + "/png", labels=labels).out
    >>> heartfast.audit(png).count("red")
    0
    """
    import numpy as np

    from heartfast.fingerprint import find_copies
    from heartfast.groups import group_numbers

    check_seed(seed)
    where = os.fspath(dataset)
    items, courses, features, failed, notes = _read(where, jobs, progress)
    measured = _measure(where, images, items, jobs, progress)
    items = [
        item._replace(measured=item.measured | measured.get(item.sha256, {})) for item in items
    ]
    if failed:
        notes.append(f"pictures that could not be read: {len(failed)}, the first: {failed[0]}")
    if not measured:
        notes.append(
            "the recordings are not where the manifest of the pictures says, or there is none: "
            "level and clipping were not looked at"
        )
    groups = np.array(group_numbers((item.group, item.sha256) for item in items))
    found = [checks.check_groups(items), checks.check_size(items)]
    found += checks.check_copies(items, find_copies(courses))
    found += giveaways.check_giveaways(items, groups, seed)
    source = giveaways.check_source(features, items, groups, seed)
    found += [source] if source else []
    order = (RED, AMBER, GREEN)
    if progress:
        progress(Progress("audit", len(items), len(items)))
    return Audit(
        where, sorted(found, key=lambda finding: order.index(finding.level)), len(items), notes
    )


def write_audit(path: str | os.PathLike[str], result: Audit) -> None:
    """Write the findings as a page."""
    from heartfast.pages import write_page

    write_page(path, "audit_page.html", audit=result)


def _read(
    where: str, jobs: int | None, progress: ProgressCallback | None
) -> tuple[list[Item], list[Any], NDArray[np.float64], list[str], list[str]]:
    """Every labelled picture: what is known of it, its fingerprint and its features; and notes."""
    import numpy as np

    from heartfast.features import extract
    from heartfast.fingerprint import fingerprint
    from heartfast.groups import digest

    items: list[Item] = []
    courses: list[Any] = []
    features: list[Any] = []
    failed: list[str] = []
    opened = ExitStack()
    notes: list[str] = []
    sides = _sides(where, opened, notes)
    sourced = len({picture.source for _, _, pictures in sides for picture in pictures}) > 1

    def look(entry: tuple[str, PictureSet, Picture]) -> Any:
        side, files, picture = entry
        try:
            data = files.read_bytes(picture.name)
            levels, provenance = decode(data, picture.name)
        except (DecodeError, OSError) as error:
            return f"{picture.name}: {reason(error, picture.name)}"
        seen = extract(levels, provenance) if sourced else np.zeros(0)
        picture = picture._replace(sha256=digest(picture, data))
        return _item(side, picture), fingerprint(levels, provenance), seen

    entries = [(side, files, picture) for side, files, found in sides for picture in found]
    for _, files, _ in sides:
        failed += [": ".join(each) for each in files.refused.items()]

    def take(result: Any) -> None:
        if isinstance(result, str):
            failed.append(result)
        else:
            for kept, value in zip((items, courses, features), result, strict=True):
                kept.append(value)
        if progress:
            progress(Progress("audit", len(items), len(entries), len(failed)))

    with opened:
        for_each(look, entries, take, jobs=jobs)
    if not items:
        raise DatasetError(f"{where}: expected readable pictures of known class, found none")
    return items, courses, np.array(features), failed, notes


def _sides(
    where: str, opened: ExitStack, notes: list[str]
) -> list[tuple[str, PictureSet, list[Picture]]]:
    """The sides of the split, or the whole where there is none, with their labelled pictures."""
    if not os.path.isfile(os.path.join(where, TRAIN)):
        files = opened.enter_context(PictureSet(where))
        notes += files.notes
        labelled = [p for p in files.pictures if p.label]
        parts = [files.parts.get(p.name, "") for p in labelled]
        if not (tested := side_to_test(parts)):
            return [("", files, labelled)]
        notes.append(kept_note(parts, tested))
        both = list(zip(labelled, parts, strict=True))
        return [
            ("train", files, [p for p, part in both if part != tested]),
            ("test", files, [p for p, part in both if part == tested]),
        ]
    train, test = (
        opened.enter_context(PictureSet(os.path.join(where, name))) for name in (TRAIN, TEST)
    )
    return [
        ("train", train, [p for p in train.pictures if p.label]),
        ("test", test, _labelled(where, test)),
    ]


def _labelled(where: str, test: PictureSet) -> list[Picture]:
    """The pictures of a test set, which have their labels in tables beside it."""
    from heartfast.tables import read_table

    truth = read_table(os.path.join(where, TEST_ACTUAL), ("file_name",), "what pack writes")
    classes = [name for name in truth.header if name not in ("row_id", "file_name")]
    label_of = {
        comparable(row["file_name"]): next(
            (name for name in classes if truth.number(row[name]) == 1), ""
        )
        for row in truth.records()
    }
    path = os.path.join(where, TEST_METADATA)
    known: dict[str, dict[str, str]] = {}
    if os.path.isfile(path):
        table = read_table(path, ("file_name",), "what pack writes")
        known = {comparable(row["file_name"]): row for row in table.records()}
    found = []
    for picture in test.pictures:
        name = comparable(picture.name)
        row = known.get(name, {}) | {"name": picture.name}
        told = {field: row[field] for field in picture._fields if field in row}
        found.append(picture._replace(**told | {"label": label_of.get(name, "")}))
    return [picture for picture in found if picture.label]


def _item(side: str, picture: Picture) -> Item:
    told = {"duration": picture.duration_s, "sample rate": picture.sample_rate}
    measured = {name: float(text) for name, text in told.items() if _NUMBER.fullmatch(text)}
    return Item(
        picture.name, picture.label, picture.group, picture.source, picture.sha256, side, measured
    )


def _measure(
    where: str,
    images: str | os.PathLike[str] | None,
    items: list[Item],
    jobs: int | None,
    progress: ProgressCallback | None,
) -> dict[str, dict[str, float]]:
    """Level, peak (dBFS) and clipped share of recordings that are found, by their digest."""
    wanted = {item.sha256 for item in items if item.sha256}
    places = [where, os.path.join(where, "images")] if images is None else [os.fspath(images)]
    folder = next(
        (place for place in places if os.path.isfile(os.path.join(place, MANIFEST))),
        None,
    )
    if folder is None:
        if images is not None:
            message = f"expected a folder of pictures with {MANIFEST}, found none"
            raise FileNotFoundError(errno.ENOENT, message, os.fspath(images))
        return {}
    paths: dict[str, str] = {}
    for entry in read_entries(folder):
        digest, path = entry.get("sha256"), entry.get("path")
        if digest in wanted and isinstance(path, str) and os.path.isfile(path):
            paths.setdefault(digest, path)
    found: dict[str, dict[str, float]] = {}

    def take(result: tuple[str, dict[str, float]] | None) -> None:
        if result is not None:
            found[result[0]] = result[1]
        if progress:
            progress(Progress("listen", len(found), len(paths)))

    for_each(_listen, paths.items(), take, jobs=jobs)
    return found


def _listen(entry: tuple[str, str]) -> tuple[str, dict[str, float]] | None:
    import numpy as np

    from heartfast.errors import HeartfastError
    from heartfast.spectral import load

    digest, path = entry
    try:
        samples = np.abs(load(path)[0])
    except (HeartfastError, OSError):
        return None
    if not samples.size:
        return None
    level, peak = np.sqrt(np.mean(np.square(samples, dtype=np.float64))), samples.max()
    decibels = 20 * np.log10(np.maximum([level, peak], 1e-6))
    clipped = float(np.mean(samples >= FULL_SCALE))
    return digest, {"level": float(decibels[0]), "peak": float(decibels[1]), "clipping": clipped}
