"""What the report shows of what the model goes by, against the run that it is of."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qs, unquote

import numpy as np

from heartfast.drawings import layer_png
from heartfast.explanation import top_losses
from heartfast.features import families
from heartfast.insights import MEANINGS, MISTAKES, insights
from heartfast.occlusion import occlusion_map
from test_gallery import index_of, pictures_of
from test_gallery_browser import open_page  # noqa: F401 - a fixture


def test_every_family_is_charted_and_explained(small_run) -> None:
    found = insights(small_run)
    assert set(found["meanings"]) == set(families()) <= set(MEANINGS)
    words = re.sub(r"<[^>]+>", " ", str(found["families"]))
    assert all(family in words.split() for family in families())
    assert "on the test set" in words


def test_the_mistakes_are_those_of_the_cross_validation(small_run) -> None:
    training = small_run.training
    given = training.oof.mean(axis=0)[np.arange(len(training.actual)), training.actual]
    # One repeat: the highest logloss is the lowest probability.
    worst = [training.names[row] for row in np.argsort(given, kind="stable")[:MISTAKES]]
    mistakes = insights(small_run)["mistakes"]
    assert [mistake.name for mistake in mistakes] == [n.rpartition("/")[2] for n in worst]
    gallery = pictures_of(small_run.gallery)
    for mistake, name in zip(mistakes, worst, strict=True):
        assert mistake.label == name.partition("/")[0]
        address, _, fragment = mistake.address.partition("#")
        (sought,) = parse_qs(fragment)["find"]
        assert address == Path(small_run.gallery).name
        assert [path.stem for path in gallery].count(unquote(sought)) == 1


def test_mistakes_are_explained_by_the_saved_model(small_run) -> None:
    for mistake, loss in zip(
        insights(small_run)["mistakes"], top_losses(small_run.training, MISTAKES), strict=True
    ):
        picture = Path(small_run.out) / "images" / loss.name
        seen = occlusion_map(Path(small_run.out) / "model.heartfast", picture, loss.said)
        assert mistake.looked == seen.describe()
        assert b64decode(mistake.layer.partition(",")[2]) == layer_png(seen)


def test_what_is_looked_at_is_shown_and_can_be_taken_away(small_run, open_page) -> None:  # noqa: F811
    page = open_page(Path(small_run.report))
    layers = page.locator(".examples .layer")
    assert layers.count() == MISTAKES
    picture = page.locator(".examples figure:has(.layer) .sheet").first.bounding_box()
    assert layers.first.bounding_box() == picture  # a tile's plot is all of it
    page.get_by_label("Show what the model looks at").uncheck()
    assert page.locator(".examples .layer:visible").count() == 0


def test_marks_of_the_map_lead_to_the_gallery(small_run, open_page) -> None:  # noqa: F811
    page = open_page(Path(small_run.report))
    marks = page.locator("svg.map a")
    assert marks.count() == len(small_run.training.names)
    title = marks.nth(3).locator("title").text_content()
    marks.nth(3).click()
    page.wait_for_selector("#grid .card")
    shown = page.evaluate("shown")
    assert len(shown) == 1
    name = pictures_of(small_run.gallery)[shown[0]].name
    assert title.partition(": ")[0].rpartition("/")[2] == name


def test_the_report_leads_to_what_was_looked_at(small_run, open_page) -> None:  # noqa: F811
    page = open_page(Path(small_run.report))
    page.get_by_role("link", name="the gallery", exact=True).last.click()
    page.wait_for_selector("#grid .card")
    assert page.evaluate("shown.length") == len(index_of(small_run.gallery)["looked"]) > 0
    assert page.locator("#grid .layer:visible").count() > 0


def test_a_network_beside_the_features_is_not_charted(small_run) -> None:
    from heartfast.embedding import Described

    bundle = small_run.training.bundle._replace(embedding=Described("0" * 64, 4, False))
    other = small_run._replace(training=small_run.training._replace(bundle=bundle))
    assert insights(other)["families"] is None
    assert {(m.layer, m.looked) for m in insights(other)["mistakes"]} == {("", "")}


def test_sources_have_a_map_of_their_own(small_run) -> None:
    assert [name for name, _ in insights(small_run)["maps"]] == ["class"]
    training = small_run.training
    sources = ["a" if row % 2 else "" for row in range(len(training.names))]
    found = insights(small_run._replace(training=training._replace(sources=sources)))["maps"]
    assert [name for name, _ in found] == ["class", "source"]
    assert "unknown (" in str(found[1][1])
