"""A run that was stopped goes on: what its folder says of it as long as it is not complete."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.files import holding, require_empty, write_bytes
from heartfast.manifest import difference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

RUN = "run.json"


@contextlib.contextmanager
def continued(folder: str, settings: dict[str, Any], files: Collection[str]) -> Iterator[bool]:
    """Begin a run in `folder`, or go on with one of the same settings; hold the folder meanwhile.

    The settings stand in ``run.json`` until the block ends well. Of a run that was stopped, the
    conversion is kept, and `files`, which the later stages write, are removed. A run that failed
    may be followed by one of other settings. The block gets whether the conversion has other ones
    (``settings["convert"]``), so that it cannot go on.

    Raises
    ------
    OSError
        The folder has something else in it, another run is at work in there, or it was moved,
        removed or replaced meanwhile.
    ConfigMismatchError
        A run of other settings was stopped in there; the message has the difference.
    DatasetError
        ``run.json`` is none of heartfast's.
    """
    from heartfast._core import __version__

    # As they are read back.
    known = json.loads(json.dumps({"heartfast": __version__, "settings": settings}))
    if not os.path.lexists(os.path.join(folder, RUN)):
        require_empty(folder)
    with holding(folder):
        found = _read(folder)
        if found is None:
            require_empty(folder)
        else:
            _require_same(folder, found, known)
            _clear(folder, files)
        _write(folder, known, failed=False)
        try:
            own = known["settings"].get("convert")
            yield found is not None and found["settings"].get("convert") != own
        except Exception:
            with contextlib.suppress(OSError):
                _give_way(folder, known)
            raise
        os.unlink(os.path.join(folder, RUN))


def _read(folder: str) -> dict[str, Any] | None:
    path = os.path.join(folder, RUN)
    try:
        with open(path, "rb") as file:
            found = json.load(file)
        if not isinstance(found["failed"], bool) or not isinstance(found["settings"], dict):
            raise TypeError("no settings")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: expected the settings of a run, found: {error}") from None
    return dict(found)


def _require_same(folder: str, found: dict[str, Any], known: dict[str, Any]) -> None:
    failed = found["failed"]
    there = {name: value for name, value in found.items() if name != "failed"}
    if not failed and there != known:
        raise ConfigMismatchError(
            f"{folder}: expected the settings of the run that was stopped in there, found "
            f"{difference(json.dumps(there), json.dumps(known))}; another folder, or remove this "
            "one first"
        )


def _clear(folder: str, files: Collection[str]) -> None:
    """Remove files, and what a killed process has left of them half-written."""
    with os.scandir(folder) as entries:
        for name in [entry.name for entry in entries]:
            whole = re.sub(r"\.[0-9a-f]{8}\.part$", "", name)
            if whole in files or (whole == RUN and whole != name):
                os.unlink(os.path.join(folder, name))


def _write(folder: str, known: dict[str, Any], *, failed: bool) -> None:
    write_bytes(os.path.join(folder, RUN), json.dumps({**known, "failed": failed}).encode())


def _give_way(folder: str, known: dict[str, Any]) -> None:
    """After a failure, let a run of other settings follow; leave nothing where nothing is done."""
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(folder, name))  # where it is an empty folder
    if os.listdir(folder) == [RUN]:
        os.unlink(os.path.join(folder, RUN))
    else:
        _write(folder, known, failed=True)
