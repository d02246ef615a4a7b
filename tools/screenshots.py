#!/usr/bin/env python3
"""Take the pictures of docs/images, of synthetic heart sounds, with Debian's Chromium.

.venv/bin/heartfast demo -o out/heart-sounds
.venv/bin/python tools/screenshots.py out/heart-sounds
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
COLOURS = 255  # what these pages need; a third of the bytes


def main() -> None:
    """Open the pages of a run, do something with each, and keep what is seen."""
    run = Path(sys.argv[1]).resolve()
    IMAGES.mkdir(parents=True, exist_ok=True)
    gallery, report = (run / name for name in ("gallery.html", "report.html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--mute-audio"]
        )

        def take(name: str, path: Path, query: str, width: int, height: int, act, scheme="light"):
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(path.as_uri() + query)
            page.wait_for_timeout(500)
            act(page)
            page.wait_for_timeout(900)
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            image = image.quantize(
                COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            image.save(IMAGES / f"{name}.png", optimize=True)
            print(name, (IMAGES / f"{name}.png").stat().st_size)
            context.close()

        take("gallery-1280", gallery, "#show=scored", 1280, 860, play)
        take("gallery-390", gallery, "#show=scored&sort=wrong", 390, 844, play)
        take("gallery-dark", gallery, "#sort=wrong", 1280, 760, play, "dark")
        take("gallery-zoom", gallery, "#show=scored", 1024, 700, zoom)
        explained = "#looked=true&show=looked&sort=wrong"
        take("explained-1280", gallery, explained, 1280, 860, still)
        take("map", recording_map(run), "", 760, 520, still)
        take("report-1280", report, "", 1280, 1000, lambda page: play(page, 1))
        take("report-390", report, "", 390, 844, confusion)


def still(page: Page) -> None:
    """Do nothing."""


def recording_map(run: Path) -> Path:
    """Write a page with the map of a run's training recordings."""
    from heartfast import explanation
    from heartfast.drawings import map_svg
    from heartfast.extraction import extract_all
    from heartfast.images import PictureSet

    with PictureSet(run / "train.zip") as pictures:
        names = [picture.name for picture in pictures.pictures]
        labels = [picture.label for picture in pictures.pictures]
        points, shares = explanation.recording_map(extract_all(pictures, names).matrix)
    page = run / "map.html"
    svg = map_svg(points, shares, labels, names)
    page.write_text(f"<!doctype html><meta charset=utf-8><body style='margin: 20px'>{svg}")
    return page


def play(page: Page, which: int = 0) -> None:
    """Click into a picture, a third of the way."""
    sheet = page.locator(".sheet").nth(which)
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box() or {}
    page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)


def zoom(page: Page) -> None:
    """Show a picture in full, and play it."""
    page.locator(".card").nth(1).focus()
    page.keyboard.press("z")
    sheet = page.locator("dialog .sheet")
    box = sheet.bounding_box() or {}
    page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)


def confusion(page: Page) -> None:
    """Scroll to the table that leads to the gallery."""
    page.locator(".confusion").evaluate("t => t.scrollIntoView({block: 'center'})")


if __name__ == "__main__":
    main()
