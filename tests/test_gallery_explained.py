"""What a model looked at, as the gallery shows it: which pictures, where, and by which keys."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import heartfast
from heartfast.bundle import Bundle
from heartfast.cards import Card, write_cards
from heartfast.drawings import layer_png
from test_gallery import index_of, pictures_of
from test_gallery_browser import open_page, until  # noqa: F401 - a fixture

HEARTFAST = Path(sys.executable).parent / "heartfast"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, a model, its scores of them, and a gallery with five of them explained."""
    from heartfast.extraction import extract_all
    from heartfast.images import PictureSet
    from heartfast.models import LinearModel

    folder = tmp_path_factory.mktemp("explained")
    heartfast.synth.write_corpus(
        folder / "wav", patients=12, recordings=2, duration_s=(2, 3), unlabelled=2
    )
    heartfast.convert(folder / "wav", folder / "png", labels=folder / "wav/labels.csv")
    with PictureSet(folder / "png") as found:
        known = [picture for picture in found.pictures if picture.label]
        extracted = extract_all(found, [picture.name for picture in known])
    classes, actual = np.unique([picture.label for picture in known], return_inverse=True)
    mean, scale = extracted.matrix.mean(axis=0), extracted.matrix.std(axis=0) + 1e-6
    # Towards the mean of its class, not far: there are doubtful ones.
    scaled = (extracted.matrix - mean) / scale
    coef = np.stack([scaled[actual == k].mean(axis=0) for k in range(len(classes))]) / 20
    model = LinearModel(mean, scale, coef, np.zeros(len(classes)))
    bundle = Bundle(model, "means", tuple(classes.tolist()), extracted.config, [], {})
    bundle.save(folder / "model.heartfast")
    heartfast.score(bundle, folder / "png", folder / "scores.csv", columns="full")
    arguments = ["gallery", "png", "--scores", "scores.csv", "--model", "model.heartfast"]
    ran = subprocess.run(
        [HEARTFAST, *arguments, "--explain", "5"], cwd=folder, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.endswith("with scores, 5 explained\n")
    return folder


def test_the_least_certain_are_explained(made: Path) -> None:
    page = made / "png/gallery.html"
    index, pictures = index_of(page), pictures_of(page)
    rows = [line.split(",") for line in (made / "scores.csv").read_text().split()]
    classes = [name.removeprefix("Prediction.") for name in rows[0][1:-2]]
    certainty = {}
    for _, *values, name, _ in (row[: len(classes) + 3] for row in rows[1:]):
        label = name.partition("/")[0]
        numbers = [float(value) for value in values]
        certainty[name] = numbers[classes.index(label)] if label in classes else max(numbers)
    expected = set(sorted(certainty, key=certainty.__getitem__)[:5])
    explained = [pictures[int(number)] for number in index["looked"]]
    assert {path.relative_to(made / "png").as_posix() for path in explained} == expected
    for number, (layer, text) in index["looked"].items():
        said = classes[index["said"][int(number)]]
        found = heartfast.occlusion_map(made / "model.heartfast", pictures[int(number)], said)
        assert base64.b64decode(layer) == layer_png(found)
        assert text == found.describe()


def test_a_button_and_a_key_show_what_was_looked_at(made: Path, open_page) -> None:  # noqa: F811
    page = open_page(made / "png/gallery.html", query="#sort=name")
    button = page.get_by_role("button", name="What the model looked at").first
    count = page.evaluate("shown.length")
    assert page.locator(".layer:visible").count() == 0
    # By keyboard alone: Tab gets there.
    page.locator("#find").focus()
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "looked":
            break
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.evaluate("shown.length") == 5
    assert page.locator("#grid .layer:visible").count() == 5
    assert page.get_by_text("speaks for what the model said").is_visible()
    assert "looked=true" in page.url
    for card in page.locator("#grid .card").all():
        assert "what speaks most for it is" in card.get_attribute("aria-label")
    page.keyboard.press("e")
    assert page.locator(".layer:visible").count() == 0
    assert page.evaluate("shown.length") == count
    assert page.locator("#grid .layer").count() > 0  # there, and not seen
    page.keyboard.press("e")
    page.keyboard.press("z")
    view = page.get_by_role("dialog")
    assert view.get_by_text("Orange speaks for it, blue against it.").is_visible()
    boxes = [view.locator(place).bounding_box() for place in (".picture", ".sheet > img", ".layer")]
    assert boxes[0] == boxes[1] == boxes[2]
    view.get_by_role("button", name="What the model looked at").click()
    assert not view.locator(".layer").is_visible()
    page.keyboard.press("e")
    assert view.locator(".layer").is_visible()
    page.keyboard.press("ArrowRight")
    assert view.locator(".layer").count() == 1


def test_without_a_model_nothing_is_said_of_it(made: Path, tmp_path: Path, open_page) -> None:  # noqa: F811
    scores = made / "scores.csv"
    found = heartfast.gallery(made / "png", scores=scores, output=tmp_path / "gallery.html")
    assert found.explained == 0
    page = open_page(Path(found.path))
    assert "looked at" not in page.locator("body").inner_text()
    page.keyboard.press("e")
    assert page.evaluate("state.looked") is False
    assert page.locator("#show option").all_inner_texts()[-1] == "right ones"


def test_the_layer_lies_in_the_plot_of_a_figure(tmp_path: Path, open_page) -> None:  # noqa: F811
    y, sr = heartfast.synth.heart_sound("normal", duration_s=3.0, seed=2)
    figure = heartfast.figure(y, sr)
    (tmp_path / "x.png").write_bytes(figure.png)
    blue = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 255, 255)).save(blue, "PNG")
    card = Card(
        str(tmp_path / "x.png"), scores=[0.1, 0.9], layer=blue.getvalue(), looked="all of it"
    )
    write_cards(tmp_path / "g.html", [card], title="One", scored=("a", "b"))
    page = open_page(tmp_path / "g.html", query="#looked=true")
    until(page, "document.querySelector('.card .sheet > img').naturalWidth > 0")
    sheet, layer = (page.locator(f"#grid {place}").bounding_box() for place in (".sheet", ".layer"))
    left, top, right, bottom = figure.axes["plot"]
    width, height = figure.axes["size"]
    assert (layer["x"] - sheet["x"]) / sheet["width"] == pytest.approx(left / width, abs=0.005)
    assert (layer["y"] - sheet["y"]) / sheet["height"] == pytest.approx(top / height, abs=0.005)
    assert layer["width"] / sheet["width"] == pytest.approx((right - left) / width, abs=0.005)
    assert layer["height"] / sheet["height"] == pytest.approx((bottom - top) / height, abs=0.005)


def test_a_damaged_picture_is_passed_over(made: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(made / "png", tmp_path / "png")
    index = index_of(made / "png/gallery.html")
    worst = pictures_of(made / "png/gallery.html")[int(next(iter(index["looked"])))]
    (tmp_path / "png" / worst.relative_to(made / "png")).write_bytes(b"no picture")
    model, scores = made / "model.heartfast", made / "scores.csv"
    found = heartfast.gallery(tmp_path / "png", scores=scores, model=model, explain=5)
    assert found.explained == 4


def test_bad_arguments_are_one_clear_line(made: Path, tmp_path: Path) -> None:
    common = ["gallery", "png", "-o", str(tmp_path / "g.html"), "--model"]
    for arguments, code, message in (
        (["model.heartfast"], 2, "model: expected scores, too, found none"),
        (["model.heartfast", "--scores", "scores.csv", "--explain", "0"], 2, "at least 1, found 0"),
        (["scores.csv", "--scores", "scores.csv"], 1, "scores.csv: expected"),
    ):
        ran = subprocess.run(
            [HEARTFAST, *common, *arguments], cwd=made, capture_output=True, text=True
        )
        assert (ran.returncode, ran.stderr.count("\n")) == (code, 1), ran.stderr
        assert message in ran.stderr
    assert not (tmp_path / "g.html").exists()
