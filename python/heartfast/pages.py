"""HTML pages that work from a disk: one file each, which the browser lets fetch nothing else."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from heartfast.files import require_output, write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_page(
    path: str | os.PathLike[str], template: str, *, scripts: Sequence[str] = (), **parts: Any
) -> None:
    """Fill a template of `templates/` in and write the page.

    `scripts` are files of `templates/` that the template gets as `script`. Their digest stands in
    `policy`: a browser runs these and no other, whatever a file's name may have brought along.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from heartfast._core import __version__

    require_output(path, kind="page")
    loader = PackageLoader("heartfast")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def asset(name: str) -> str:
        # As it is: braces of CSS and JavaScript are no template's.
        return loader.get_source(environment, name)[0]

    script = "\n".join(map(asset, scripts))
    page = environment.get_template(template).render(
        version=__version__,
        policy=_policy(script),
        script=Markup(script),  # noqa: S704 - our own
        style=Markup(asset("page.css")),  # noqa: S704
        **parts,
    )
    write_bytes(path, page.encode("utf-8", "replace"))


def embedded_json(value: object) -> str:
    """JSON for an element of a page; ASCII, and nothing in it ends the element."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - "<" occurs in strings only


def _policy(script: str) -> str:
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # "self" and "file:" are the disk, and "self" the place where somebody puts the page online.
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src 'self' file: data:; media-src 'self' file: data:; base-uri 'none'; "
        "form-action 'none'"
    )
