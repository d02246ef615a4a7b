"""The gallery: a page that shows pictures, and plays the recording of each with a moving line."""

from __future__ import annotations

import functools
import os
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from heartfast.heads import Head, read_head
from heartfast.pages import embedded_json, write_page
from heartfast.sounds import Sound, find_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    T = TypeVar("T", bound=Hashable)

SCRIPTS = ("player.js", "index.js", "grid.js", "cards.js", "view.js", "gallery.js")
SHOWN_DIGITS = 4  # of probabilities and of seconds


class Card(NamedTuple):
    """A picture of a gallery.

    `picture` and `recording` are paths; without a `recording` it is silent. Where they are not
    given, `title` is the picture's name without extension, and `head` is read from the picture.
    `scores` are the probabilities of the gallery's `scored` classes. `layer` is a PNG to lay over
    the plot, of what the model looked at, and `looked` says it in words.
    """

    picture: str
    recording: str = ""
    title: str = ""
    label: str = ""
    group: str = ""
    seconds: float | None = None
    scores: Sequence[float] | None = None
    head: Head | None = None
    layer: bytes = b""
    looked: str = ""


class Row(NamedTuple):
    """A card as the page has it: addresses, and numbers that stand for what occurs repeatedly."""

    folder: str
    file: str
    title: str
    label: str
    group: str
    seconds: float | None
    start: float
    left: float | None
    right: float | None
    plot: Hashable
    sound: Sound
    place: str
    recording: str
    said: int | None


# Columns that are numbers of entries in a list of their own.
LISTED = ("folder", "label", "group", "plot", "sound", "place")


def write_cards(
    path: str | os.PathLike[str],
    cards: Iterable[Card],
    *,
    title: str,
    facet: str = "class",
    scored: Sequence[str] = (),
    report: str = "",
) -> int:
    """Write a gallery, and return how many recordings it plays.

    Parameters
    ----------
    path
        The page. It links to pictures, recordings and the report relative to its folder.
    cards
        In any order.
    title
        What the page is called.
    facet
        The word for what the cards' labels are.
    scored
        The classes that the cards' scores are of.
    report
        The path of a report to link to.
    """
    place = os.path.dirname(os.path.abspath(path))
    ordered = sorted(cards, key=lambda card: (natural(_title(card)), card.picture))
    address = functools.cache(functools.partial(_folder, place=place))
    rows = [_row(card, address) for card in ordered]
    looked = {
        number: (b64encode(card.layer).decode(), card.looked)
        for number, card in enumerate(ordered)
        if card.layer
    }
    write_page(
        path,
        "gallery.html",
        scripts=SCRIPTS,
        title=title,
        facet=facet,
        scored=scored,
        looked=len(looked),
        count=len(rows),
        report=report and address(os.path.dirname(report)) + _quote(os.path.basename(report)),
        index=embedded_json(
            {"count": len(rows), "facet": facet, "scored": list(scored), "looked": looked}
            | _columns(rows)
            | {"scores": [_rounded(card.scores) for card in ordered] if scored else []}
        ),
    )
    return sum(bool(row.sound.type) for row in rows)


def natural(text: str) -> list[tuple[int, int | str]]:
    """Sort key by which "2" is before "10"."""
    parts = re.split(r"([0-9]{1,18})", text.casefold())
    return [(0, int(p)) if i % 2 else (1, p) for i, p in enumerate(parts)]


def _title(card: Card) -> str:
    return card.title or os.path.splitext(os.path.basename(card.picture))[0]


def _row(card: Card, folder: Callable[[str], str]) -> Row:
    head, sound = card.head or read_head(card.picture), find_sound(card.recording)
    at, name = os.path.split(card.picture)
    stem, title = os.path.splitext(name)[0], _title(card)
    place, recording = os.path.split(card.recording) if sound.type else (at, "")
    # Mostly they are called the same, which then is said once.
    same = recording.startswith(stem + ".")
    return Row(
        folder=folder(at),
        file=_quote(name),
        title="" if title == stem else title,
        label=card.label,
        group=card.group,
        seconds=_rounded_one(head.seconds if card.seconds is None else card.seconds),
        start=round(head.start, SHOWN_DIGITS),
        left=_rounded_one(head.left),
        right=_rounded_one(head.right),
        plot=head.plot,
        sound=sound,
        place=folder(place),
        recording=_quote(recording[len(stem) :] if same else recording),
        said=card.scores.index(max(card.scores)) if card.scores else None,
    )


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    """A list of every field, or where it is the same in all rows that alone."""
    columns: dict[str, Any] = {}
    for place, name in enumerate(Row._fields):
        values = [row[place] for row in rows]
        if name in LISTED:
            listed = list(dict.fromkeys(values))
            if name in ("label", "group"):
                listed.sort(key=lambda text: (not text, natural(str(text))))
            number = {value: index for index, value in enumerate(listed)}
            values = [number[value] for value in values]
            columns[name + "s"] = listed
        columns[name] = values[0] if len(set(values)) == 1 else values
    return columns


def _folder(folder: str, place: str) -> str:
    """The address of a folder from a page in `place`, with a "/" at its end."""
    try:
        relative = os.path.relpath(folder or ".", place)
    except ValueError:  # another drive of Windows
        return "file:///" + _quote(os.path.abspath(folder), safe="/:") + "/"
    return "" if relative == "." else _quote(relative, safe="/") + "/"


def _quote(name: str, safe: str = "") -> str:
    from urllib.parse import quote

    return quote(os.fsencode(name.replace(os.sep, "/")), safe=safe)


def _rounded_one(number: float | None) -> float | None:
    return None if number is None else round(number, SHOWN_DIGITS)


def _rounded(numbers: Iterable[float] | None) -> list[float] | None:
    return None if numbers is None else [round(number, SHOWN_DIGITS) for number in numbers]
