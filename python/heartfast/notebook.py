"""What notebooks show of results: HTML that is whole by itself, and small."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from heartfast.files import read_file

if TYPE_CHECKING:
    from heartfast.conversion import Conversion, Converted

PICTURES = 12
# A notebook keeps what it has shown, so that this goes into its file.
MOST_BYTES = 2_000_000

_GRID = "display:grid; grid-template-columns:repeat(auto-fill,minmax(11rem,1fr)); gap:.8rem"
_FIGURE = "margin:0; border-radius:8px; overflow:hidden; border:1px solid rgba(128,128,128,.35)"
_IMAGE = "display:block; width:100%; height:6rem; margin:0; object-fit:fill; background:#000"
_FIGURED = _IMAGE.replace("height:6rem", "height:auto")
_CAPTION = "padding:.3rem .6rem .45rem; font-size:.8rem; line-height:1.35; overflow-wrap:anywhere"


def small_gallery(result: Conversion) -> str:
    """A dozen of the pictures, evenly from all, with what is known of them."""
    from html import escape

    hours, errors = result.duration_s / 3600, len(result.errors)
    length = f"{hours:.1f} hours" if hours >= 1 else f"{result.duration_s / 60:.1f} minutes"
    failed = f", <strong>{errors} failed</strong>" if errors else ""
    where = f"<code>{escape(result.out)}</code>"
    figures = "".join(_figures(result))
    page = (
        f"<div><p>{result.pictures} pictures of {length} in {where}{failed}</p>"
        f'<div style="{_GRID}">{figures}</div></div>'
    )
    return page.encode("utf-8", "replace").decode()


def _figures(result: Conversion) -> list[str]:
    records = result.records
    count = min(PICTURES, len(records))
    figures, size = [], 0
    for record in (records[i * len(records) // count] for i in range(count)):
        try:
            path = os.path.join(result.out, *record.file_name.split("/"))
            data = read_file(path, "a picture", MOST_BYTES - size + 1)
        except OSError:
            continue  # it is in an archive, or has gone meanwhile
        size += len(data)
        if size > MOST_BYTES:
            break
        figures.append(_figure(record, path, data))
    return figures


def _figure(record: Converted, path: str, data: bytes) -> str:
    import base64
    from html import escape

    from heartfast.heads import read_head

    name = escape(os.path.splitext(os.path.basename(record.file_name))[0])
    known = [record.label, record.group and f"group {record.group}", f"{record.duration_s:.1f} s"]
    caption = escape(" · ".join(filter(None, known)))
    style = _FIGURED if read_head(path).plot.ratio else _IMAGE
    picture = base64.b64encode(data).decode()
    return (
        f'<figure style="{_FIGURE}"><img style="{style}" alt="Spectrogram of {name}" '
        f'src="data:image/png;base64,{picture}"><figcaption style="{_CAPTION}"><b>{name}</b>'
        f"<br>{caption}</figcaption></figure>"
    )
