"""Charts as XML has them: dots where the axis says, and names that stay text."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heartfast.charts import Interval, interval_chart, nice_ticks

finite = st.floats(-1e6, 1e6)


@given(finite, finite)
@example(0.0, 5e-324)
def test_ticks_reach_around_and_are_few_round_numbers(a: float, b: float) -> None:
    low, high = sorted((a, b))
    ticks = nice_ticks(low, high)
    slack = 1e-6 * (1 + high - low)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 12
    steps = [y - x for x, y in itertools.pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
    digits = f"{steps[0]:.0e}"[0]
    assert digits in "125"


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


@given(st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=8))
@example([(0.0, 0.0, 5e-324)])
@example([(1e6, 1e6, 1e6 + 1e-5)])
def test_dots_and_lines_stand_where_the_axis_says(figures: list[tuple[float, ...]]) -> None:
    rows = [Interval(f"row {i}", *(sorted(f)[k] for k in (1, 0, 2))) for i, f in enumerate(figures)]
    chart = drawn(str(interval_chart(rows, title="title", axis="axis in Hz")))
    ticks = [t for t in chart.findall("text[@class='tick']") if t.text != "axis in Hz"]
    (x0, v0), (x1, v1) = ((float(t.get("x")), float(t.text)) for t in (ticks[0], ticks[-1]))

    def place(value: float) -> float:
        return x0 + (value - v0) / (v1 - v0) * (x1 - x0)

    for row, group in zip(rows, chart.findall("g"), strict=True):
        circle, line = group.find("circle"), group.find("path").get("d")
        assert float(circle.get("cx")) == pytest.approx(place(row.value), abs=0.2)
        start, end = line[1:].split(" ")[0], line.split("H")[1]
        assert [float(start), float(end)] == pytest.approx(
            [place(row.low), place(row.high)], abs=0.2
        )
        assert x0 - 0.2 <= float(start) <= float(end) <= x1 + 0.2


def test_names_are_text_and_the_chart_says_what_it_shows() -> None:
    hostile = '"><script>alert(1)</script>'
    row = Interval(hostile, 0.5, 0.4, 0.6, True)
    chart = drawn(str(interval_chart([row], title=hostile, axis=hostile, reference=(hostile, 0.9))))
    assert not list(chart.iter("script"))
    assert (
        chart.get("aria-label") == f"{hostile}: {hostile} 0.500 (0.400 to 0.600); {hostile} 0.900"
    )
    assert chart.find("g").get("class") == "strong"
