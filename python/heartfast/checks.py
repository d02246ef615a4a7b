"""What makes figures too good: each check looks at a dataset for one way and says what it found."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from heartfast.groups import components
from heartfast.metrics import FEW
from heartfast.wording import counted, of_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heartfast.fingerprint import Pair

RED, AMBER, GREEN = "red", "amber", "green"
FEW_GROUPS = 5
SHOWN = 5  # examples of a finding


class Item(NamedTuple):
    """A recording: what is known of it, and the side of the split, if there is one.

    `measured` has numbers by name (`duration`, `level`, ...), NaN where unknown.
    """

    name: str
    label: str
    group: str
    source: str
    sha256: str
    side: str
    measured: dict[str, float]


class Finding(NamedTuple):
    """What one check says: a level, its name, a sentence, and what the sentence rests on."""

    level: str
    check: str
    text: str
    evidence: list[str]


def check_groups(items: Sequence[Item]) -> Finding:
    """Groups that are on both sides of the split, or not known at all."""
    known = [item for item in items if item.group]
    if not known:
        text = (
            "It is not known which recordings belong to one patient (group). If several show the "
            "same one, figures will be too good, and this audit cannot see it."
        )
        return Finding(AMBER, "groups", text, ["--group-regex or a column group say it"])
    sides: dict[str, set[str]] = defaultdict(set)
    for item in known:
        sides[item.group].add(item.side)
    shared = sorted(group for group, found in sides.items() if len(found) > 1)
    if shared:
        have = "has" if len(shared) == 1 else "have"
        text = (
            f"{len(shared)} of {counted(len(sides), 'patient')} (groups) {have} recordings on "
            "both sides of the split. The test then shows how well they are recognised, not what "
            "is heard."
        )
        return Finding(RED, "groups", text, _named(shared, "group"))
    several = len(known) - len(sides)
    if len(known) < len(items):
        text = f"The group of {counted(len(items) - len(known), 'recording')} is not known."
        return Finding(AMBER, "groups", text, [])
    if not several:
        text = "No group has a second recording: perhaps what is taken for the patient is none."
        return Finding(AMBER, "groups", text, [])
    where = "No group is on both sides of the split." if _split(items) else "All groups are known."
    text = (
        f"{where} There are {counted(len(known), 'recording')} in {counted(len(sides), 'group')}."
    )
    return Finding(GREEN, "groups", text, [])


def check_copies(items: Sequence[Item], pairs: Sequence[Pair]) -> list[Finding]:
    """Recordings that are there twice: the same bytes, or as good as the same sounds."""
    couples = [
        *((a, b, "the same bytes") for a, b in _same_bytes(items)),
        *((p.first, p.second, f"{p.likeness:.2f} alike over {p.seconds:.0f} s") for p in pairs),
    ]
    seen: dict[tuple[int, int], str] = {}
    for a, b, how in couples:
        seen.setdefault((min(a, b), max(a, b)), how)
    # A family of copies hangs together, whichever of its pairs were compared.
    chain = components(len(items), seen)
    sides = Counter(number for number, _ in {(chain[i], item.side) for i, item in enumerate(items)})
    kinds: dict[str, list[str]] = defaultdict(list)
    for (a, b), how in seen.items():
        one, other = items[a], items[b]
        told = f"{one.name} and {other.name}: {how}"
        if one.label and other.label and one.label != other.label:
            labels = f"{of_class(one.label)} and {of_class(other.label)}"
            kinds["conflict"].append(f"{told}, but {labels}")
        if one.side != other.side:
            kinds["across"].append(told)
        elif sides[chain[a]] > 1:
            kinds["across"].append(f"{told}, and by way of others one on the other side")
        elif not one.group or one.group != other.group:
            kinds["within"].append(told)
    found = []
    if across := kinds["across"]:
        text = (
            f"{counted(len(across), 'pair')} of recordings are copies of each "
            "other, or nearly so, one on each side of the split. A model that remembers does well "
            "on them."
        )
        found.append(Finding(RED, "copies across the split", text, across[:SHOWN]))
    if conflict := kinds["conflict"]:
        have = "has" if len(conflict) == 1 else "have"
        text = (
            f"{counted(len(conflict), 'pair')} of copies {have} different labels. One of each pair "
            "is wrong, and no model can be right on both."
        )
        found.append(Finding(RED, "labels that contradict each other", text, conflict[:SHOWN]))
    if within := kinds["within"]:
        share = len({name for a, b in seen for name in (a, b)}) / len(items)
        text = (
            f"{counted(len(within), 'pair')} of recordings are copies, or nearly so, and not "
            "known to be of one group. When recordings are split, both may not go to the same side."
        )
        # A few happen; where many do, any split that does not know them is worthless.
        level = RED if share > 0.2 else AMBER
        found.append(Finding(level, "copies", text, within[:SHOWN]))
    if not found:
        copies = len({index for pair in seen for index in pair})
        text = "No recording is a copy of another."
        if copies:
            # `pack` may have given them one group; they still are copies.
            text = (
                f"{copies} of {len(items)} recordings are copies of others, or nearly so. Each is "
                "in the group of its copies: a split by groups keeps them on one side."
            )
        found.append(Finding(GREEN, "copies", text, []))
    return found


def _same_bytes(items: Sequence[Item]) -> Iterable[tuple[int, int]]:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.sha256 and (other := first.setdefault(item.sha256, index)) != index:
            yield other, index


def check_size(items: Sequence[Item]) -> Finding:
    """Classes with so few recordings or groups that their figures say little, on either side."""
    few = []
    sides = sorted({item.side for item in items}, reverse=True)
    for side in sides:
        where = f" in the {side} set" if side else ""
        here = [item for item in items if item.side == side]
        for label, count in sorted(Counter(item.label for item in here).items()):
            groups = {item.group or item.name for item in here if item.label == label}
            if count < FEW or len(groups) < FEW_GROUPS:
                sizes = f"{counted(count, 'recording')} in {counted(len(groups), 'group')}"
                few.append(f'class "{label}": {sizes}{where}')
    if few:
        text = "Classes are small: another few recordings could give quite other figures."
        return Finding(AMBER, "size", text, few)
    where = " on each side of the split" if len(sides) > 1 else ""
    return Finding(GREEN, "size", f"Every class has {FEW} recordings or more{where}.", [])


def _split(items: Sequence[Item]) -> bool:
    return len({item.side for item in items}) > 1


def _named(names: Sequence[str], word: str) -> list[str]:
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"{word} {name}" for name in names[:SHOWN]] + more
