"""Charts for pages: SVG with its own words, in the page's colours, on paper as on a screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

WIDTH, NAMES_WIDTH, VALUES_WIDTH = 720, 190, 150
ROW, TOP, BOTTOM = 28, 30, 46
TICKS = 6


class Interval(NamedTuple):
    """A row of a chart: a figure with its interval; `strong` for the one that matters."""

    name: str
    value: float
    low: float
    high: float
    strong: bool = False


def interval_chart(
    rows: Sequence[Interval],
    *,
    title: str,
    axis: str,
    reference: tuple[str, float] | None = None,
    zero: bool = True,
) -> Markup:
    """Draw figures as dots on lines that are their intervals, one below the other.

    Parameters
    ----------
    title, axis
        What the chart shows, and what the horizontal axis is, with its unit.
    reference
        A name and a value for a dashed line through all rows.
    zero
        Whether the axis has to have zero.
    """
    from markupsafe import Markup, escape

    ends = [x for row in rows for x in (row.value, row.low, row.high)]
    ends += [reference[1]] if reference else []
    ends += [0.0] if zero else []
    ticks = nice_ticks(min(ends), max(ends))
    left, right = NAMES_WIDTH, WIDTH - VALUES_WIDTH
    bottom = TOP + ROW * len(rows)

    def x(value: float) -> str:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return f"{left + share * (right - left):.1f}"

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + BOTTOM}" role="img" '
        f'aria-label="{escape(_in_words(rows, title, reference))}">',
        f'<text class="title" x="0" y="14">{escape(title)}</text>',
    ]
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{x(tick)} {TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{bottom + 17}">{tick:g}</text>')
    parts.append(
        f'<text class="tick" x="{(left + right) / 2}" y="{bottom + 38}">{escape(axis)}</text>'
    )
    if reference:
        name, value = reference
        # Beside the line, on the side where there is more room.
        anchor, at = ("end", -5) if float(x(value)) > (left + right) / 2 else ("start", 5)
        parts.append(f'<path class="reference" d="M{x(value)} {TOP - 8}V{bottom}"/>')
        parts.append(
            f'<text class="note" text-anchor="{anchor}" x="{float(x(value)) + at:.1f}" '
            f'y="{TOP - 4}">{escape(name)}</text>'
        )
    for number, row in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        strong = ' class="strong"' if row.strong else ""
        parts.append(
            f'<g{strong}><text x="0" y="{y + 4.5}">{escape(_short(row.name))}</text>'
            f'<path class="interval" d="M{x(row.low)} {y}H{x(row.high)}"/>'
            f'<circle cx="{x(row.value)}" cy="{y}" r="5"/>'
            f'<text x="{right + 14}" y="{y + 4.5}">{row.value:.3f} '
            f'<tspan class="soft">{row.low:.2f} to {row.high:.2f}</tspan></text></g>'
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - names are escaped above


def nice_ticks(low: float, high: float) -> list[float]:
    """Return about `TICKS` round numbers, the first at most `low`, the last at least `high`.

    Examples
    --------
    >>> from heartfast.charts import nice_ticks
    >>> nice_ticks(0.0, 0.83)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span, largest = high - low, max(abs(low), abs(high))
    if span < max(1e-4 * largest, 1e-9):  # ticks have six digits, and would look the same
        span = max(largest, 1.0)
    rough = span / (TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _in_words(rows: Sequence[Interval], title: str, reference: tuple[str, float] | None) -> str:
    told = [f"{row.name} {row.value:.3f} ({row.low:.3f} to {row.high:.3f})" for row in rows]
    told += [f"{reference[0]} {reference[1]:.3f}"] if reference else []
    return f"{title}: {'; '.join(told)}"


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
