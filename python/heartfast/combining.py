"""Several recordings of a group (a patient's sites, mostly) as one row: its score, its truth."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from heartfast.context import ALONE
from heartfast.errors import DatasetError
from heartfast.names import comparable
from heartfast.naming import groups_by_pattern
from heartfast.tables import METADATA, TEST_METADATA, read_table, warn_of
from heartfast.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from heartfast.tables import Table


def combine(
    probabilities: NDArray[np.float64], groups: NDArray[np.intp], usable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Combine the class probabilities of each group's recordings into one.

    It is their geometric mean, made to sum to 1: the mean of the logarithms. The order of the
    recordings does not matter, nor how many there are where they agree; one that knows nothing
    weakens the others' verdict and does not turn it; and one that is certain does not decide
    alone, as in a product, because `heartfast.probabilities.FLOOR` bounds what it can say.

    Parameters
    ----------
    probabilities : float64 (n, k)
    groups : int (n,)
        The number of each recording's group, from 0 without gaps.
    usable : bool (n,)
        Which recordings count. Where none of a group does, all of them do.

    Returns
    -------
    float64 (groups, k)

    References
    ----------
    The logarithmic opinion pool: C. Genest and J. V. Zidek, "Combining probability distributions",
    Statistical Science 1 (1986).
    """
    import numpy as np

    from heartfast.probabilities import log_probabilities, softmax

    count = int(groups.max()) + 1
    some = np.bincount(groups, usable, count) > 0
    weights = (usable | ~some[groups]).astype(np.float64)
    sums = np.zeros((count, probabilities.shape[1]))
    np.add.at(sums, groups, weights[:, None] * log_probabilities(probabilities))
    return softmax(sums / np.bincount(groups, weights, count)[:, None])


def groups_to_score(
    names: Sequence[str],
    known: Mapping[str, str],
    group_regex: str | None,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    required: bool = True,
) -> tuple[list[str], list[str]]:
    """Return the group of each recording that was scored, its name where none is known; and notes.

    It comes from the pattern, if there is one, else from what is `known` of pictures by their
    names, else from the table that `pack` has put beside them, or `convert` beside their folder.

    Raises
    ------
    DatasetError
        No group is known of any, and that is `required`.
    """
    notes: list[str] = []
    if group_regex is not None:
        groups, notes = groups_by_pattern(group_regex, names)
    else:
        if not any(known.values()) and isinstance(source, str | os.PathLike):
            known = _known_beside(os.fspath(source))
        spelled = {comparable(name): group for name, group in known.items()}
        groups = [known.get(name) or spelled.get(comparable(name), "") for name in names]
        if not any(groups) and not required:
            return list(names), [ALONE]
        if not any(groups):
            raise DatasetError(
                f"{os.fspath(source) if isinstance(source, str | os.PathLike) else names[0]}: "
                f"expected groups in metadata.csv, in {TEST_METADATA} beside the pictures or by a "
                "group_regex; found none"
            )
        if alone := [name for name, group in zip(names, groups, strict=True) if not group]:
            count = counted(len(alone), "recording")
            notes.append(f"{count} without a group, each its own ({alone[0]}, ...)")
    return [group or name for group, name in zip(groups, names, strict=True)], notes


def _known_beside(source: str) -> dict[str, str]:
    """Return the groups of the source's names in a table beside it; nothing without a table."""
    folder, name = os.path.split(os.path.normpath(source))
    columns = ("file_name", "group")
    # Above a folder of convert's, names in the table begin with the folder's.
    for beside, prefix in ((TEST_METADATA, ""), (METADATA, f"{name}/")):
        path = os.path.join(folder, beside)
        if os.path.isfile(path):
            table = read_table(path, (), "a table with file_name and group")
            warn_of(table)
            if set(columns) <= set(table.header):  # a metadata.csv may be of something else
                rows = zip(*map(table.column, columns), strict=True)
                known = {comparable(name): group for name, group in rows}
                prefix = comparable(prefix)
                return {n[len(prefix) :]: g for n, g in known.items() if n.startswith(prefix)}
    return {}


def truth_of_groups(
    truth: Table, groups: Sequence[str], classes: Sequence[str]
) -> tuple[Table, list[str]]:
    """Return a table of the truth with a row a group, and the groups of more than one class.

    Those are not in the table: they have no one truth. `groups` are those of the rows.
    """
    places = [truth.header.index(label) for label in classes]
    found: dict[str, tuple[list[str], int]] = {}
    mixed: dict[str, None] = {}
    for group, row, line in zip(groups, truth.rows, truth.lines, strict=True):
        cells = [row[place] for place in places]
        if found.setdefault(group, (cells, line))[0] != cells:
            mixed[group] = None
    for group in mixed:
        del found[group]
    rows = [[group, *cells] for group, (cells, _) in found.items()]
    lines = [line for _, line in found.values()]
    return truth._replace(header=["group", *classes], rows=rows, lines=lines), list(mixed)
