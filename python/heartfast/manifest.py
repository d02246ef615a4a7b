"""The manifest of a folder of pictures: what was made of which recording, and by which settings.

The first line is a JSON object with the settings, every other one what became of a recording.
The Rust core writes it while it works, so that a run that was killed is continued.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from heartfast.errors import ConfigMismatchError, DatasetError
from heartfast.files import open_file, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

MANIFEST = "manifest.jsonl"
# How the first line begins.
_HEADER = '{"heartfast": '


def header(settings: dict[str, Any], selection: str) -> str:
    """Return the first line, without its end; `selection` is JSON already."""
    import json

    from heartfast._core import __version__

    whole = settings | {"selection": json.loads(selection)}
    return json.dumps({"heartfast": __version__, "settings": whole})


def read_entries(folder: str) -> Iterator[dict[str, Any]]:
    """Give what became of each recording; what a killed run has left of a line is passed over."""
    import json

    with _open(folder) as file:
        next(file, None)
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _open(folder: str) -> TextIO:
    import io

    return io.TextIOWrapper(open_file(os.path.join(folder, MANIFEST), "a manifest"), "ascii")


def require_own(folder: str, line: str, *, overwrite: bool = False) -> None:
    """Raise unless `folder` is new, empty or left by a run with the same first line.

    The core compares once more when no other run can come between. With `overwrite` any manifest
    of heartfast's will do.

    Raises
    ------
    OSError
        It has other files in it, or cannot be read.
    ConfigMismatchError
        Its manifest is of other settings; the message has the difference.
    """
    try:
        with _open(folder) as file:
            found = file.readline()
    except FileNotFoundError:
        try:
            _require_empty(folder)
        except FileExistsError:
            # Another run has begun in this moment.
            if not os.path.exists(os.path.join(folder, MANIFEST)):
                raise
            require_own(folder, line, overwrite=overwrite)
        return
    except NotADirectoryError:
        message = "expected a new or empty folder, found a file"
        raise NotADirectoryError(errno.ENOTDIR, message, folder) from None
    except UnicodeDecodeError:
        found = "\n"
    begun = found.endswith("\n")
    begins = _HEADER.startswith(found[: len(_HEADER)]) or found.startswith(_HEADER)
    if overwrite:
        if not begins:
            raise DatasetError(
                f"{os.path.join(folder, MANIFEST)}: expected a manifest of heartfast's, found: "
                f"{found[:40]!r}"
            )
    elif found.rstrip("\n") != line and (begun or not begins):
        raise ConfigMismatchError(
            f"{folder}: expected the settings of the pictures in there, found "
            f"{difference(found, line)}; another folder, or --overwrite (overwrite=True)"
        )


def _require_empty(folder: str) -> None:
    """Raise if there is any file in `folder`; those of a run killed at its start do not count."""
    if not os.path.isdir(folder):
        if os.path.lexists(folder):
            message = "expected a new or empty folder, found a file"
            raise NotADirectoryError(errno.ENOTDIR, message, folder)
        return

    for place, _, names in walk(folder):
        for name in names:
            if not (name.startswith(".heartfast-") and name.endswith(".part")):
                found = os.path.relpath(os.path.join(place, name), folder)
                message = f"expected a new or empty folder, found {found!r} in it"
                raise FileExistsError(errno.EEXIST, message, folder)


def difference(found: str, wanted: str) -> str:
    """Name the settings that differ between two first lines."""
    import json

    try:
        old, new = _flat(json.loads(found)), _flat(json.loads(wanted))
    except (ValueError, AttributeError):
        return f"a manifest that is none of heartfast's ({found[:40]!r})"
    return ", ".join(
        f"{name} {_shown(new.get(name))} (there {_shown(old.get(name))})"
        for name in {**new, **old}
        if new.get(name) != old.get(name)
    )


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, part in value.items():
        if isinstance(part, dict):
            flat.update(
                _flat(part, "" if name in ("settings", "config", "selection") else f"{name}.")
            )
        else:
            flat[prefix + name] = part
    return flat


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
