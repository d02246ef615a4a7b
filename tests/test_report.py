"""The report in a real browser, on screens and on paper, and what it says in words."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path

import pytest

from heartfast.summary import class_by_class, headline, remarks

CHECKS = (Path(__file__).parent / "report_checks.js").read_text()


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 390)], ids=str)
def page(request, browser, small_run):
    scheme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(Path(small_run.report).as_uri())
    page.evaluate(CHECKS)
    yield page
    context.close()


def test_it_is_readable_by_eye_and_by_ear(page) -> None:
    ratios = page.evaluate("contrasts()")
    assert len(ratios) > 200
    assert [entry for entry in ratios if entry[0] < 4.5] == []
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room
    levels = page.evaluate("headingLevels()")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.evaluate("unnamed()") == []
    charts = page.locator("svg.chart")
    assert charts.count() >= 3
    for index in range(charts.count()):  # each has a title and an axis in words
        texts = charts.nth(index).locator("text").all_text_contents()
        assert texts[0] in charts.nth(index).get_attribute("aria-label")
        assert any("95 % interval" in text for text in texts)
    assert page.evaluate("overlappingTexts()") == []


def test_on_paper_nothing_is_cut_or_left_alone(browser, small_run, tool, tmp_path: Path) -> None:
    context = browser.new_context(color_scheme="dark")  # paper is white all the same
    page = context.new_page()
    page.goto(Path(small_run.report).as_uri())
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    headings = [text for text in page.locator("h1, h2, h3").all_inner_texts() if text.strip()]
    charts = [
        chart.locator("text").all_text_contents() for chart in page.locator("svg.chart").all()
    ]
    pictures = page.locator(".examples img").count()
    tables = [table.inner_text() for table in page.locator("table").all()]
    context.close()

    text = subprocess.run(
        [tool("pdftotext"), "-layout", tmp_path / "report.pdf", "-"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    pages = [re.sub(r"\s+", " ", page).strip() for page in text.split("\f")[:-1]]
    assert len(pages) >= 3
    assert all(len(page) > 80 for page in pages), "a page that is as good as blank"
    for heading in headings:
        ends = [page for page in pages if page.endswith(heading)]
        assert not ends, f"{heading} stands alone at the end of a page"
    for title, *rest in charts:
        axis = next(text for text in rest if "95 % interval" in text)
        together = [page for page in pages if title in page and axis in page]
        assert together, f"{title} is not on one page with its axis"
    for table in tables:  # none is so long that it needs two pages
        assert any(set(table.split()) <= set(page.split()) for page in pages), f"torn: {table}"
    # A picture that a page's end cuts is drawn on two pages.
    listed = subprocess.run(
        [tool("pdfimages"), "-list", tmp_path / "report.pdf"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()[2:]  # fmt: skip
    assert [line.split()[2] for line in listed].count("image") == pictures
    # The map's marks are drawn on the page of its axes.
    number = next(n for n, page in enumerate(pages, 1) if "First direction:" in page)
    drawn = subprocess.run(
        [tool("pdftocairo"), "-svg", "-f", str(number), "-l", str(number),
         tmp_path / "report.pdf", "-"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert drawn.count("<path") > len(small_run.training.names)


def test_the_first_words_are_those_of_the_evaluation(small_run) -> None:
    evaluation = small_run.evaluation
    right = 100 * evaluation.confusion.trace() / evaluation.confusion.sum()
    commonest = 100 * max(evaluation.support) / sum(evaluation.support)
    said = headline(evaluation)
    assert f"right class for {right:.0f} of 100" in said
    assert said.endswith(f"every time gives {commonest:.0f}.")
    for index, text in enumerate(class_by_class(evaluation)):
        found = 100 * evaluation.confusion[index, index] / evaluation.support[index]
        assert f"it finds {found:.0f} (" in text
        assert evaluation.classes[index] in text


def test_what_undermines_the_figures_comes_first(small_run) -> None:
    training = small_run.training
    order = ("bad", "doubt", "good")
    ungrouped = training.bundle.training | {"grouped": False}
    for changed in (
        training,
        training._replace(protocol="random"),
        training._replace(bundle=training.bundle._replace(training=ungrouped)),
    ):
        found = remarks(small_run.evaluation, changed, small_run.audit)
        assert [r.mark for r in found] == sorted((r.mark for r in found), key=order.index)
    assert found[0].mark == "bad"
    assert "one patient" in " ".join(remark.text for remark in found)
    kept = " ".join(
        remark.text for remark in remarks(small_run.evaluation, training, small_run.audit)
    )
    assert "No patient, device or site (group) that it was tested on was trained on." in kept
