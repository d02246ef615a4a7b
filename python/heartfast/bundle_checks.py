"""Bounds on what a saved model says of itself, checked before anything of it is used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from heartfast import operating
from heartfast.images import MAX_PIXELS
from heartfast.members import typed, wrong
from heartfast.provenance import FONT_DIGEST, MAX_NUMBER, font_of, spectrogram_config
from heartfast.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CLASSES = 500
MAX_NAME = 200  # characters of a class or a model
MAX_ROWS = 100  # of the leaderboard
MAX_TEXT = 10_000  # characters of any other text
MAX_VALUES = 200_000  # of all of one field: training, leaderboard, config
MAX_NESTING = 6
MAX_RATES = 1000  # sample rates of recordings


def check_classes(classes: Sequence[object]) -> None:
    """Raise `ValueError` unless these are two or more names that a bundle can hold."""
    if len(classes) < 2:
        wrong("two or more different classes", f"{classes[0]!s:.40}" if classes else "none")
    if len(classes) > MAX_CLASSES:
        wrong(f"two or more different classes, at most {MAX_CLASSES}", len(classes))
    if not all(isinstance(label, str) and 0 < len(label) <= MAX_NAME for label in classes):
        raise ValueError(f"expected classes to be names of 1 to {MAX_NAME} characters")
    if odd := [label for label in classes if not _is_unicode(str(label))]:
        wrong("classes to be text that UTF-8 can hold", ascii(odd[0]))
    if len(set(classes)) != len(classes):
        twice = next(label for label in classes if classes.count(label) > 1)
        wrong("two or more different classes", f"{twice!r} twice")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_fields(manifest: dict[str, object]) -> None:
    """Raise `ValueError` unless what is only told of a model is text and numbers, and not much."""
    name = typed(manifest, "name", str)
    if not 0 < len(name) <= MAX_NAME or not _is_unicode(name):
        wrong(f"name to be text of 1 to {MAX_NAME} characters", f"{name!a:.40}")
    leaderboard = typed(manifest, "leaderboard", list)
    if not all(isinstance(row, dict) for row in leaderboard):
        raise ValueError("expected leaderboard to be a list of objects")
    if len(leaderboard) > MAX_ROWS:
        wrong(f"leaderboard to have at most {MAX_ROWS} rows", len(leaderboard))
    for field in ("leaderboard", "training", "config"):
        check_plain(field, manifest.get(field))


def check_plain(field: str, value: object) -> None:
    """Raise `ValueError` unless this is JSON of bounded size, depth, texts and numbers."""
    left = MAX_VALUES
    level = [value]
    for _ in range(MAX_NESTING):
        left -= len(level)
        if left < 0:
            wrong(f"{field} to have at most {MAX_VALUES} values", "more")
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner += [*each, *each.values()]
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, str) and (len(each) > MAX_TEXT or not _is_unicode(each)):
                wrong(f"{field} to have Unicode texts of at most {MAX_TEXT} characters", "others")
            elif isinstance(each, int | float) and not abs(each) <= MAX_NUMBER:
                wrong(f"{field} to have numbers of at most 2^53", "larger ones")
        level = inner
    if level:
        wrong(f"{field} to be nested no deeper than {MAX_NESTING}", "it deeper")


def check_config(config: dict[str, object]) -> None:
    """Raise `ValueError` unless pictures of this configuration can be drawn, and read again."""
    font = font_of(config)
    if font is not None and not re.fullmatch(f"{FONT_DIGEST}[0-9a-f]{{64}}", font):
        wrong(
            f"config to name a font by its digest ({FONT_DIGEST}...)",
            f"{font[:60]!r}: no file that a model names is opened",
        )
    known = spectrogram_config(config)
    height, width = known.size or (1, 1)
    if known.figure is not None:
        height = round(known.figure.height * known.figure.scale)
        width = round(known.figure.width * known.figure.scale)
    if height * width > MAX_PIXELS:
        wrong(f"config of pictures of at most {MAX_PIXELS} pixels", f"{width} x {height}")


def read_pictures(fields: object) -> tuple[Selection | None, int, dict[int, int]]:
    """Take what a bundle says of its pictures; an earlier heartfast said nothing."""
    if fields is None:
        return None, 0, {}
    names = {"selection", "marked", "sample_rates"}
    if not isinstance(fields, dict) or fields.keys() != names:
        raise ValueError(f"expected pictures with {', '.join(sorted(names))}")
    marked, rates = fields["marked"], typed(fields, "sample_rates", dict)
    counts = [marked, *rates.values()]
    if len(rates) > MAX_RATES or not all(re.fullmatch("[1-9][0-9]{0,15}", rate) for rate in rates):
        raise ValueError(f"expected at most {MAX_RATES} sample_rates, whole numbers of Hz")
    if not all(type(count) is int and 0 <= count <= operating.MOST_RECORDINGS for count in counts):
        raise ValueError("expected counts of pictures")
    selection = Selection.from_json(fields["selection"])
    return selection, marked, {int(rate): count for rate, count in rates.items()}
