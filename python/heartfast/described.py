"""What was described of a model's inputs, put together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from heartfast.extraction import Extracted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Described(NamedTuple):
    """Names, the features of those that are readable, and notes.

    `groups` are those that are known of pictures by their names, None of recordings.
    """

    names: list[str]
    found: Extracted
    groups: Mapping[str, str] | None = None
    notes: Sequence[str] = ()


def with_failed(
    called: Mapping[str, str],
    recordings: Mapping[str, str],
    failed: Mapping[str, str],
    found: Extracted,
) -> tuple[list[str], Extracted]:
    """Put recordings that failed among the pictures of the others, sorted by name."""
    import numpy as np

    of_row = [list(recordings)[row] for row in found.rows]
    alone = failed.keys() - set(recordings.values())
    names = sorted([*called.values(), *alone])
    position = {name: index for index, name in enumerate(names)}
    rows = np.array([position[called[picture]] for picture in of_row], dtype=np.intp)
    order = np.argsort(rows)
    owner = {called[picture]: recording for picture, recording in recordings.items()}
    return names, found._replace(
        matrix=found.matrix[order],
        rows=rows[order],
        errors=sorted(failed.items()) + found.errors,
        recordings=[owner.get(name, name) for name in names],
    )


def joined(parts: Sequence[Described]) -> Described:
    """Put what was described one behind the other."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    names: list[str] = []
    rows, recordings, rates = [], list[str](), Counter[int]()
    groups: dict[str, str] = {}
    for part in parts:
        rows.append(part.found.rows + len(names))
        names += part.names
        recordings += part.found.recordings
        groups.update(part.groups or {})
        rates.update(part.found.rates)
    everything = [part.found for part in parts]
    config = next((found.config for found in everything if found.config is not None), None)
    found = Extracted(
        matrix=np.concatenate([found.matrix for found in everything]),
        rows=np.concatenate(rows),
        errors=[error for found in everything for error in found.errors],
        config=config,
        foreign=sum(found.foreign for found in everything),
        selection=everything[0].selection,
        marked=[name for found in everything for name in found.marked],
        rates=rates,
        recordings=recordings,
        notes=tuple(note for found in everything for note in found.notes),
    )
    known = groups if any(part.groups is not None for part in parts) else None
    return Described(names, found, known, [note for part in parts for note in part.notes])
