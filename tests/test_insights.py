"""What the report shows of what the model goes by, against the run that it is of."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote

import numpy as np
import pytest

import heartfast
from heartfast.features import families
from heartfast.insights import MEANINGS, MISTAKES, insights
from test_gallery import index_of, pictures_of
from test_gallery_browser import browser, open_page  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> heartfast.Run:
    folder = tmp_path_factory.mktemp("insights")
    heartfast.synth.write_corpus(folder / "wav", patients=40, recordings=2, seed=5)
    labels = folder / "wav/labels.csv"
    return heartfast.run(
        folder / "wav", folder / "out", labels=labels, folds=2, repeats=1, trials=1
    )


def test_every_family_is_charted_and_explained(ran) -> None:
    found = insights(ran)
    assert set(found["meanings"]) == set(families()) <= set(MEANINGS)
    words = re.sub(r"<[^>]+>", " ", str(found["families"]))
    assert all(family in words.split() for family in families())
    assert "on the test set" in words


def test_the_mistakes_are_those_of_the_cross_validation(ran) -> None:
    training = ran.training
    given = training.oof.mean(axis=0)[np.arange(len(training.actual)), training.actual]
    # One repeat: the highest logloss is the lowest probability.
    worst = [training.names[row] for row in np.argsort(given, kind="stable")[:MISTAKES]]
    mistakes = insights(ran)["mistakes"]
    assert [mistake.name for mistake in mistakes] == [n.rpartition("/")[2] for n in worst]
    gallery = pictures_of(ran.gallery)
    for mistake, name in zip(mistakes, worst, strict=True):
        assert mistake.label == name.partition("/")[0]
        address, _, fragment = mistake.address.partition("#")
        (sought,) = parse_qs(fragment)["find"]
        assert address == Path(ran.gallery).name
        assert [path.stem for path in gallery].count(unquote(sought)) == 1


def test_marks_of_the_map_lead_to_the_gallery(ran, open_page) -> None:  # noqa: F811
    page = open_page(Path(ran.report))
    marks = page.locator("svg.map a")
    assert marks.count() == len(ran.training.names)
    title = marks.nth(3).locator("title").text_content()
    marks.nth(3).click()
    page.wait_for_selector("#grid .card")
    shown = page.evaluate("shown")
    assert len(shown) == 1
    name = pictures_of(ran.gallery)[shown[0]].name
    assert title.partition(": ")[0].rpartition("/")[2] == name


def test_the_report_leads_to_what_was_looked_at(ran, open_page) -> None:  # noqa: F811
    page = open_page(Path(ran.report))
    page.get_by_role("link", name="the gallery", exact=True).last.click()
    page.wait_for_selector("#grid .card")
    assert page.evaluate("shown.length") == len(index_of(ran.gallery)["looked"]) > 0
    assert page.locator("#grid .layer:visible").count() > 0


def test_a_network_beside_the_features_is_not_charted(ran) -> None:
    from heartfast.embedding import Described

    bundle = ran.training.bundle._replace(embedding=Described("0" * 64, 4, False))
    other = ran._replace(training=ran.training._replace(bundle=bundle))
    assert insights(other)["families"] is None


def test_sources_have_a_map_of_their_own(ran) -> None:
    assert [name for name, _ in insights(ran)["maps"]] == ["class"]
    training = ran.training
    sources = ["a" if row % 2 else "" for row in range(len(training.names))]
    found = insights(ran._replace(training=training._replace(sources=sources)))["maps"]
    assert [name for name, _ in found] == ["class", "source"]
    assert "unknown (" in str(found[1][1])
