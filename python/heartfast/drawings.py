"""What explanations look like: a layer over a spectrogram, and a map of recordings."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from heartfast.cards import natural

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from markupsafe import Markup
    from numpy.typing import NDArray

    from heartfast.occlusion import OcclusionMap

    Array = NDArray[np.float64]

MOST_POINTS = 2000  # of a map: more are a blot, and a page of megabytes
MOST_KINDS = 9  # with a colour of their own, as in the gallery
WIDTH, HEIGHT = 720, 480
LEFT, RIGHT, BOTTOM = 34, 10, 34  # around the plot; above it is the legend
LEGEND_ROW = 24
LETTER = 7.2  # pixels, rather more than less
MARGIN = 0.05  # of the plot, without points
# The pages' colours, for light paper where a page has none of its own.
COLOURS = (
    *("#2a72b5", "#c8553d", "#2f8f6b", "#8a63b8", "#a77b12"),
    *("#3b9bb3", "#bf5b8d", "#6b7a1f", "#6e7683"),
)
# Of the same area, about: nobody has to tell colours apart.
SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",  # circle
    "M0-5.2L4.8 3.4H-4.8z",  # triangle
    "M-3.6-3.6H3.6V3.6H-3.6z",  # square
    "M0-5.2L5.2 0L0 5.2L-5.2 0z",  # diamond
    "M0 5.2L4.8-3.4H-4.8z",  # triangle, on its head
    "M-1.7-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7z",  # plus
    "M0-4.8L4.6-1.5L2.8 3.9H-2.8L-4.6-1.5z",  # pentagon
    "M-4-2L-2-4L0-2L2-4L4-2L2 0L4 2L2 4L0 2L-2 4L-4 2L-2 0z",  # cross
    "M-5-2.6H5V2.6H-5z",  # bar
)
# Of a layer over a spectrogram: for the class, and against it. Told apart by everyone, and no
# spectrogram's own colours where that is gray.
FOR, AGAINST = (255, 140, 20), (40, 130, 255)
STRENGTHS = 16  # of each colour
MOST_OPAQUE = 200  # of 255: what is below stays to be seen
LEAST_SCALE = 0.1  # nats: a map with smaller changes is faint, as it should be
LAYER_HEIGHT = 64
LAYER_PIXELS = 4  # a column


def gallery_address(name: str, page: str = "gallery.html") -> str:
    """Return the address at which a gallery shows the recording of a picture with this name."""
    stem = os.path.splitext(name.rpartition("/")[2])[0]
    return f"{page}#find={quote(os.fsencode(stem), safe='')}"


def map_svg(
    points: Array,
    shares: tuple[float, float],
    kinds: Sequence[str],
    names: Sequence[str],
    *,
    page: str = "gallery.html",
) -> Markup:
    """Draw a map of recordings as an SVG to be put into a page.

    Parameters
    ----------
    points, shares
        What `heartfast.explanation.recording_map` returned.
    kinds
        (n,), what tells recordings apart by colour and shape: their classes, or sources. The rarer
        ones are drawn last, over the others. The `MOST_KINDS` - 1 commonest of more stand for
        themselves, the rest is "other".
    names
        (n,), the pictures' names: they are seen under the pointer, and a click leads to the card in
        the gallery `page`.

    Notes
    -----
    Both axes have the same scale. Of more than `MOST_POINTS` points as many are drawn, evenly
    spread over the rows; a line says so.
    """
    import numpy as np
    from markupsafe import Markup

    count = min(len(points), MOST_POINTS)
    drawn = np.linspace(0, len(points) - 1, count).round().astype(int).tolist()
    shown = _shown(kinds)
    order = sorted(set(shown), key=lambda kind: (kind == "other", natural(kind)))
    counts = Counter(shown)
    legend, rows = _legend(order, counts)
    top = rows * LEGEND_ROW + 6
    places = _places(points, top)
    parts = [legend, _frame(top, shares, len(drawn), len(points))]
    for kind in sorted(order, key=lambda kind: (-counts[kind], kind)):
        marks = [
            f'<a href="{_text(gallery_address(names[row], page))}" tabindex="-1">'
            f'<path transform="translate({places[row, 0]:.1f} {places[row, 1]:.1f})" '
            f'd="{_shape(order.index(kind))}"/><title>{_text(names[row])}: {_text(kinds[row])}'
            "</title></a>"
            for row in drawn
            if shown[row] == kind
        ]
        parts.append(f'<g style="{_paint(order.index(kind))}">{"".join(marks)}</g>')
    label = f"Map of {len(points)} recordings: " + ", ".join(f"{counts[k]} {k}" for k in order)
    return Markup(  # noqa: S704 - texts are escaped
        f'<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{_text(label)}" '
        f'style="font: 13px system-ui, sans-serif; width: 100%; max-width: {WIDTH}px">'
        f"{''.join(parts)}</svg>"
    )


def layer_png(
    found: OcclusionMap,
    *,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
) -> bytes:
    """Draw an occlusion map as a PNG to be stretched over the spectrogram.

    Orange speaks for the class, blue against it; the stronger, the less transparent.

    Parameters
    ----------
    xlim, ylim
        Seconds and Hz at the edges of what it lies over, such as a figure's axes; by default those
        of the map, which are the picture's that it is of. Frequencies are on a linear scale.
    """
    import io

    import numpy as np
    from PIL import Image

    (left, right), (low, high) = (
        edges[[0, -1]] if limits is None else limits
        for edges, limits in ((found.times, xlim), (found.frequencies, ylim))
    )
    width = LAYER_PIXELS * found.values.shape[1]
    across = left + (np.arange(width) + 0.5) / width * (right - left)
    down = high - (np.arange(LAYER_HEIGHT) + 0.5) / LAYER_HEIGHT * (high - low)
    times, frequencies = (
        (edges[1:] + edges[:-1]) / 2 for edges in (found.times, found.frequencies)
    )
    wide = np.array([np.interp(across, times, row) for row in found.values])
    values = np.array([np.interp(down, frequencies, column) for column in wide.T]).T
    scale = max(float(np.abs(found.values).max()), LEAST_SCALE)
    strengths = np.round(values / scale * STRENGTHS).astype(int)
    image = Image.fromarray((strengths + STRENGTHS).astype(np.uint8), "P")
    steps = range(-STRENGTHS, STRENGTHS + 1)
    image.putpalette([part for step in steps for part in (FOR if step > 0 else AGAINST)])
    opaque = bytes(round(abs(step) / STRENGTHS * MOST_OPAQUE) for step in steps)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=opaque, optimize=True)
    return file.getvalue()


def _shown(kinds: Sequence[str]) -> list[str]:
    """Return the kinds, with those that are too many as "other"."""
    counts = Counter(kinds)
    if len(counts) <= MOST_KINDS:
        return list(kinds)
    common = sorted(counts, key=lambda kind: (-counts[kind], kind))[: MOST_KINDS - 1]
    return [kind if kind in common else "other" for kind in kinds]


def _places(points: Array, top: float) -> Array:
    """Where the points are in the picture, (n, 2), with one scale for both axes."""
    import numpy as np

    corner = np.array([LEFT, top])
    size = np.array([WIDTH - RIGHT, HEIGHT - BOTTOM]) - corner
    low, high = points.min(axis=0), points.max(axis=0)
    scale = ((1 - 2 * MARGIN) * size / np.maximum(high - low, 1e-9)).min()
    from_middle = (points - (low + high) / 2) * scale * [1, -1]
    return np.asarray(corner + size / 2 + from_middle)


def _legend(order: Sequence[str], counts: Counter[str]) -> tuple[str, int]:
    """Return the legend, and how many rows it takes."""
    parts, x, row = [], float(LEFT), 0
    for index, kind in enumerate(order):
        name = kind if len(kind) <= 30 else kind[:29] + "…"
        text = f"{name} ({counts[kind]})"
        width = 18 + LETTER * len(text) + 16
        if x + width > WIDTH and x > LEFT:
            x, row = float(LEFT), row + 1
        y = row * LEGEND_ROW + 14
        parts.append(
            f'<path style="{_paint(index)}" transform="translate({x + 6:.1f} {y - 4.5:.1f})" '
            f'd="{_shape(index)}"/><text x="{x + 18:.1f}" y="{y}" '
            f'style="fill: var(--ink, #1c2430)">{_text(text)}</text>'
        )
        x += width
    return "".join(parts), row + 1


def _frame(top: float, shares: tuple[float, float], drawn: int, count: int) -> str:
    """Return the plot's frame and what the axes say."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    across, up = (f"{100 * share:.0f} % of all differences" for share in shares)
    middle = (top + bottom) / 2
    soft = 'style="fill: var(--soft, #596473)"'
    thinned = ""
    if drawn < count:
        thinned = (
            f'<text x="{right}" y="{HEIGHT - 10}" text-anchor="end" {soft}>'
            f"{drawn:,} of {count:,} drawn</text>"
        )
    return (
        f'<rect x="{LEFT}" y="{top}" width="{right - LEFT}" height="{bottom - top}" rx="6" '
        'style="fill: var(--panel, #f5f7f9); stroke: var(--line, #dde2e9)"/>'
        f'<text x="{(LEFT + right) / 2:g}" y="{HEIGHT - 10}" text-anchor="middle" {soft}>'
        f"First direction: {across}</text>"
        f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle" {soft}>'
        f"Second direction: {up}</text>{thinned}"
    )


def _shape(index: int) -> str:
    return SHAPES[index % len(SHAPES)]


def _paint(index: int) -> str:
    colour = index % len(COLOURS)
    # A line of the paper's colour keeps neighbours apart.
    return (
        f"fill: var(--c{colour}, {COLOURS[colour]}); "
        "stroke: var(--panel, #f5f7f9); stroke-width: .8"
    )


def _text(text: str) -> str:
    from html import escape

    return escape(text, quote=True)
