"""Groups from the names of recordings: by a pattern of the user's, or proposed."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from heartfast.errors import DatasetError, UsageError
from heartfast.names import comparable
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from heartfast.corpora import Label
    from heartfast.images import Picture

Row = TypeVar("Row", "Label", "Picture")

# What every proposal begins with.
PROPOSAL = "no groups are known, but names suggest some: "

# When it is proposed that a part of the names is the patient. As many values as this have more
# than one recording, and there are so many to a class: what has fewer is a class, a site or a day.
_LEAST_VALUES, _VALUES_PER_CLASS = 10, 3
# Of all pairs of recordings with the same value, one value has no more than this share. The
# permutation distribution then is near enough to normal for this to be below 1 in 1,000: so many
# standard deviations above its mean, and, for rare classes, so many pairs.
_LARGEST_SHARE = 0.1
_LEAST_Z, _LEAST_EXCESS = 6.0, 5.0
_MOST_NAMES = 200_000  # the rest is not looked at


def name_groups(
    rows: Sequence[Row], names: Iterable[str], group_regex: str | None
) -> tuple[list[Row], list[str]]:
    """Give rows with a label and a group the groups of a pattern; or propose one, if none has any.

    `names` are those of the rows; see `groups_by_pattern` and `propose_groups`, whose notes come
    second.
    """
    if group_regex is not None:
        groups, notes = groups_by_pattern(group_regex, names)
        return [row._replace(group=g) for row, g in zip(rows, groups, strict=True)], notes
    if any(row.group for row in rows):
        return list(rows), []
    proposal = propose_groups(names, (row.label for row in rows))
    return list(rows), [proposal] if proposal else []


def _compile(group_regex: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(comparable(group_regex))
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"group_regex: expected a regular expression, found '{group_regex}' ({error})"
        ) from None
    if not pattern.groups:
        raise UsageError(
            f"group_regex: expected a part in parentheses that is the group, found none in "
            f"'{group_regex}'"
        )
    return pattern


def groups_by_pattern(group_regex: str, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Take the groups of recordings from their names.

    Parameters
    ----------
    group_regex : str
        A regular expression, searched for in each name without its extension, and without its
        folders unless there is a ``/`` in the pattern. The part called ``group``
        (``(?P<group>...)``), else the first one in parentheses, is the group.
    names : iterable of str
        Relative to their source, with ``/``.

    Returns
    -------
    groups : list of str
        Empty where the pattern does not match, or matches nothing.
    notes : list of str
        What was found, and what did not match.

    Raises
    ------
    ValueError
        The pattern is no regular expression, or has no part in parentheses.
    DatasetError
        No name matches.
    """
    pattern = _compile(group_regex)
    part = "group" if "group" in pattern.groupindex else 1
    known: dict[str, str] = {}  # one object for all recordings of a group
    groups: list[str] = []
    first = unmatched = None
    for name in names:
        shown = comparable(_whole(name) if "/" in group_regex else _stem(name))
        found = pattern.search(shown)
        group = (found[part] or "") if found else ""
        groups.append(known.setdefault(group, group))
        first = name if first is None else first
        if not group and unmatched is None:
            unmatched = name
    sizes = Counter(groups)
    missing = sizes.pop("", 0)
    if groups and not sizes:
        raise DatasetError(
            f"group_regex '{group_regex}': expected it to match names, found none of {len(groups)} "
            f"that it does, the first {first!r}"
        )
    notes = []
    if sizes:
        largest = max(sizes, key=sizes.__getitem__)
        notes.append(
            f"--group-regex '{group_regex}': {counted(len(sizes), 'group')}, the largest "
            f"{largest!r} with {counted(sizes[largest], 'recording')}"
        )
    if missing:
        notes.append(
            f"--group-regex '{group_regex}' does not match {counted(missing, 'name')}, each its "
            f"own group ({unmatched}, ...)"
        )
    return groups, notes


def propose_groups(names: Iterable[str], labels: Iterable[str]) -> str:
    r"""Say which part of the names may be the patient, and why; nothing if none is.

    Looked at are, of each name without its extension, the 1st, 2nd, ... number, the 1st, 2nd,
    ... field between separators, and the folder. Recordings of one patient mostly have the same
    class: so it is the part whose values agree in class the most beyond chance. Chance is every
    way to hand out the same classes to the same recordings; the mean and the variance of the
    number of agreeing pairs over these are exact.

    Parameters
    ----------
    names, labels : iterable of str
        Of recordings, of which the first 200,000 are looked at; those without a label are left out.

    References
    ----------
    P. A. P. Moran, "The interpretation of statistical maps", J. R. Statist. Soc. B 10 (1948); A.
    D. Cliff and J. K. Ord, "Spatial Processes" (1981): join counts, here of cliques.

    Examples
    --------
    >>> from heartfast.naming import propose_groups
    >>> names = [f"rec_{i % 60:03d}_{i}.wav" for i in range(180)]
    >>> labels = ["murmur" if i % 60 < 20 else "normal" for i in range(180)]
    >>> propose_groups(names, labels).rpartition(": ")[2]
    "if it is the patient, use --group-regex '^\\D*(\\d+)'"
    """
    pairs = islice(zip(names, labels, strict=True), _MOST_NAMES)
    known = [(name, label) for name, label in pairs if label]
    of = [label for _, label in known]
    best: tuple[float, str] = (_LEAST_Z, "")
    for what, pattern, values in _parts([name for name, _ in known]):
        agreement = _agreement(values, of)
        if agreement and agreement.z > best[0]:
            best = agreement.z, _describe(what, pattern, agreement, known[agreement.first][0])
    return best[1]


class _Agreement(NamedTuple):
    """How far recordings with the same value have the same class: in pairs of recordings."""

    values: int  # all, also those of one recording
    most: int  # recordings of one
    recordings: int  # that have a value
    same: float  # the share of pairs that agree
    chance: float
    z: float
    first: int  # recording that has a value, and that
    value: str


def _describe(what: str, pattern: str, found: _Agreement, name: str) -> str:
    return (
        f"{PROPOSAL}{what} ({found.value} in {_whole(name)}) has {found.values} values in "
        f"{found.recordings} recordings, up to {found.most} each; of two with the same value, "
        f"{found.same:.0%} have the same class, by chance {found.chance:.0%} (p < 0.001): if it is "
        f"the patient, use --group-regex '{pattern}'"
    )


_LETTER = re.compile(r"[^\W\d_]")
_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")


def _parts(names: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Give the parts that names may have: what it is, a pattern that finds it, and its values."""
    kinds = {
        "number": (r"^\D*(\d+)", r"^\D*(?:\d+\D+){%d}(\d+)"),
        "field": (r"^[\W_]*([^\W_]+)", r"^[\W_]*(?:[^\W_]+[\W_]+){%d}([^\W_]+)"),
    }
    stems = list(map(_stem, names))
    for kind, (first, nth) in kinds.items():
        for place, ordinal in enumerate(_ORDINALS):
            pattern = nth % place if place else first
            values = _found(pattern, stems)
            if not any(values):
                break
            yield f"the {ordinal} {kind}", pattern, values
    yield "the folder", "^(.*)/", _found("^(.*)/", names)


def _found(pattern: str, texts: Sequence[str]) -> list[str]:
    search = re.compile(pattern).search
    return [found[1] if (found := search(text)) else "" for text in texts]


def _agreement(values: Sequence[str], labels: Sequence[str]) -> _Agreement | None:
    """Return how far a part of the names agrees with the class, or None if it is no patient."""
    cells = Counter(zip(values, labels, strict=True))
    sizes = Counter(values)
    del sizes[""]
    of_class: Counter[str] = Counter()
    agreeing = named = 0
    for (value, label), count in cells.items():
        if sizes[value] > 1:
            of_class[label] += count
            agreeing += _pairs(count)
        if _LETTER.search(label) and label.casefold() in value.casefold():
            named += count
    repeated = [size for size in sizes.values() if size > 1]
    if 2 * named > sizes.total() or len(of_class) < 2:  # it has the name of the class in it
        return None
    if len(repeated) < max(_LEAST_VALUES, _VALUES_PER_CLASS * len(of_class)):
        return None
    pairs = sum(map(_pairs, repeated))
    if _pairs(max(repeated)) > _LARGEST_SHARE * pairs:
        return None
    mean, variance = permuted_pairs(repeated, list(of_class.values()))
    if variance <= 0 or agreeing - mean < _LEAST_EXCESS:
        return None
    first = next(i for i, value in enumerate(values) if sizes[value] > 1)
    return _Agreement(
        values=len(sizes),
        most=max(repeated),
        recordings=sizes.total(),
        same=agreeing / pairs,
        chance=mean / pairs,
        z=(agreeing - mean) / math.sqrt(variance),
        first=first,
        value=values[first],
    )


def permuted_pairs(groups: Sequence[int], classes: Sequence[int]) -> tuple[float, float]:
    """Mean and variance of how many pairs in a group are of one class, over all permutations.

    Parameters
    ----------
    groups, classes : sequence of int
        Their sizes, which have the same sum, of at least 4.
    """
    n = sum(groups)

    def falling(size: int, k: int) -> int:
        return math.prod(range(size - k + 1, size + 1)) if size >= k else 0

    pairs = sum(map(_pairs, groups))
    # Of two different pairs, both in groups: those that share a recording, in either order.
    sharing = sum(falling(size, 3) for size in groups)
    twos = [falling(size, 2) for size in classes]
    same2 = sum(twos) / falling(n, 2)
    same3 = sum(falling(size, 3) for size in classes) / falling(n, 3)
    fours = sum(falling(size, 4) for size in classes) + sum(twos) ** 2 - sum(two**2 for two in twos)
    apart = (pairs * (pairs - 1) - sharing) * fours / falling(n, 4)
    mean = pairs * same2
    return mean, mean + sharing * same3 + apart - mean**2


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


def _whole(name: str) -> str:
    return os.path.splitext(name)[0]


def _stem(name: str) -> str:
    return os.path.splitext(name.rpartition("/")[2])[0]
