"""What stands in a place before its pictures do: the settings, and which parts there are to be."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.manifest import difference
from heartfast.places import SCRATCH, Folder, Store, scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN = "plan.json"
PARTS = "parts"
# Behind the name of a part with failures that may be gone the next time: the task is done then.
AGAIN = "~"


class Planned(NamedTuple):
    """The settings, as the first line of a manifest has them, and the names of the parts."""

    header: dict[str, Any]
    parts: list[str]


def read_plan(place: Folder | Store) -> Planned:
    """Read what is planned.

    Raises
    ------
    FileNotFoundError
        Nothing is.
    DatasetError
        It is damaged.
    """
    data = place.read(PLAN)
    try:
        header = json.loads(data)
        parts = header.pop("parts")
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise TypeError("no names of parts")
        header["settings"]["to"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{place}/{PLAN}: expected a plan of heartfast's, found: {error}"
        ) from None
    return Planned(header, parts)


def require_plan(place: Folder | Store, header: str) -> bool:
    """Raise unless a place is new, empty, or of a conversion with the same settings.

    Returns whether there is such a conversion.

    Raises
    ------
    ConfigMismatchError
        It is of other settings.
    FileExistsError
        It has other files in it.
    """
    try:
        found = read_plan(place)
    except FileNotFoundError:
        require_empty(place)
        return False
    _require_same(place, found, header)
    return True


def _require_same(place: Folder | Store, found: Planned, header: str) -> None:
    if found.header != json.loads(header):
        raise ConfigMismatchError(
            f"{place}: expected the settings of the pictures in there, found "
            f"{difference(json.dumps(found.header), header)}; another place, or --overwrite "
            "(overwrite=True)"
        )


def write_plan(place: Folder | Store, header: str, parts: Sequence[str], *, replace: bool) -> None:
    """Write down which parts there are to be, unless it stands there already.

    Of several that begin at one moment, the settings of the first count.

    Raises
    ------
    ConfigMismatchError
        Others stand there, which are not to be replaced; or other settings.
    """
    with scratch(place) as folder:
        path = os.path.join(folder, PLAN)
        with open(path, "w", encoding="ascii") as file:
            json.dump({**json.loads(header), "parts": list(parts)}, file)
        if place.put_new(PLAN, path):
            return
        found = read_plan(place)
        _require_same(place, found, header)
        if found.parts == list(parts):
            return
        if not replace:
            raise ConfigMismatchError(
                f"{place}: expected the recordings that the other shares were listed from, found "
                "others: some were added, changed or removed; give all shares the same list"
            )
        place.put(PLAN, path)


def require_empty(place: Folder | Store) -> None:
    """Raise `FileExistsError` where a place has files that are none of a killed task's."""
    for found in place.list(""):
        if not found.name.startswith(SCRATCH):
            message = f"expected a new or empty place, found {found.name!r} in it"
            raise FileExistsError(errno.EEXIST, message, str(place))


def finished(place: Folder | Store) -> set[str]:
    """Names of the parts that are there."""
    return {found.name for found in place.list(PARTS)}
