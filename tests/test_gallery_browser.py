"""The gallery and the report as a browser shows them: clicks, keys and sounds, from the disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import heartfast
from heartfast.cards import Card, write_cards

HOSTILE = "<img src=x onerror=alert(1)>"
LONGEST_TASK_MS = 100
INTERACTIVE_S = 2.0


class Watched:
    """A page of which every complaint and every request is kept."""

    def __init__(self, browser, width: int, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("requestfailed", lambda request: self.failed(request))
        self.context.on("request", lambda request: self.requests.append(request.url))

    def failed(self, request) -> None:
        # What scrolled out of view, or was passed over for another recording, is not waited for.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.complaints.append(f"{request.url}: {request.failure}")

    def check(self) -> None:
        assert self.complaints == []
        assert {url.partition(":")[0] for url in self.requests} <= {"file", "data", "blob"}


@pytest.fixture
def open_page(browser) -> Iterator:
    opened: list[Watched] = []

    def go(path: Path, width: int = 1280, scheme: str = "light", query: str = ""):
        watched = Watched(browser, width, scheme)
        opened.append(watched)
        watched.page.goto(path.as_uri() + query)
        return watched.page

    yield go
    try:
        for watched in opened:
            watched.check()
    finally:
        for watched in opened:
            watched.context.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, with_few_candidates) -> Path:
    """A run on synthetic heart sounds, one of them with a hostile name."""
    folder = tmp_path_factory.mktemp("browser")
    heartfast.synth.write_corpus(
        folder / "wav", patients=60, recordings=1, duration_s=(3, 4), unlabelled=2
    )
    recordings = sorted((folder / "wav/normal").iterdir())
    recordings[0].rename(folder / "wav/normal" / f"{HOSTILE}.wav")
    (folder / "wav/labels.csv").unlink()
    options = {"folds": 2, "repeats": 1, "trials": 1}
    with with_few_candidates():
        heartfast.run(folder / "wav", folder / "out", labels="folders", **options)
    return folder


def state(page) -> dict:
    return page.evaluate(
        """() => ({
          at: player.at, playing: player.playing, name: player.sound && titleOf(player.sound.i),
          line: current && current.querySelector(".plot i").getBoundingClientRect().left,
          box: current && current.querySelector(".plot").getBoundingClientRect().toJSON(),
        })"""
    )


def until(page, condition: str) -> None:
    """Wait; not by `wait_for_function`, which needs a page that evaluates strings."""
    for _ in range(250):
        if page.evaluate(f"Boolean({condition})"):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"expected {condition} within 5 s")


def click(page, card, share: float) -> None:
    card.locator(".sheet").scroll_into_view_if_needed()
    box = card.locator(".sheet").bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + 0.4 * box["height"])


def names(page) -> list[str]:
    return page.locator("#grid .card .name").all_inner_texts()


def test_a_click_plays_from_there_and_the_line_moves(made: Path, open_page) -> None:
    page = open_page(made / "out/gallery.html")
    card = page.locator("#grid .card").nth(1)
    until(page, "document.querySelector('.card img').naturalWidth > 0")
    for share in (0.25, 0.6):  # the second one seeks
        click(page, card, share)
        until(page, "player.playing && current && player.audio.duration")
        first = state(page)
        duration = page.evaluate("player.audio.duration")
        assert first["at"] / duration == pytest.approx(share, abs=0.12)
        page.wait_for_timeout(400)
        later = state(page)
        assert later["at"] > first["at"] + 0.15
        assert later["line"] > first["line"] + 3
        middle = (later["line"] + 1 - later["box"]["left"]) / later["box"]["width"]
        assert middle == pytest.approx(later["at"] / duration, abs=0.05)
        assert later["name"] == card.locator(".name").inner_text()
    assert page.locator("#said").inner_text() == f"Playing {first['name']}"
    page.locator("#bar-play").click()
    assert not state(page)["playing"]


def test_the_keys(made: Path, open_page) -> None:
    page = open_page(made / "out/gallery.html", query="#sort=name")
    cards = page.locator("#grid .card")
    order = names(page)
    page.keyboard.press("ArrowRight")  # shows where one is
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    focused = page.evaluate("document.activeElement.querySelector('.name').textContent")
    assert focused == order[1]
    page.keyboard.press("Enter")
    until(page, "player.playing")
    assert state(page)["name"] == order[1]
    page.keyboard.press("Space")
    assert not state(page)["playing"]
    page.keyboard.press("Space")
    until(page, "player.playing")
    page.keyboard.press("End")
    assert page.evaluate("active") == 61
    page.keyboard.press("Home")
    page.keyboard.press("z")
    view = page.get_by_role("dialog")
    assert view.get_by_role("heading").inner_text() == order[0]
    page.keyboard.press("ArrowRight")
    assert view.get_by_role("heading").inner_text() == order[1]
    assert view.locator(".sheet > img").evaluate(
        "image => image.complete || image.decode().then(() => 1)"
    )
    click(page, view, 0.5)
    until(page, "player.playing && player.at > 1.2")
    page.keyboard.press("Escape")
    assert not view.is_visible()
    # Back at the picture that was seen last.
    until(page, f"document.activeElement.dataset.i === '{page.evaluate('shown[1]')}'")
    page.keyboard.press("2")
    assert page.get_by_role("button", name="murmur").get_attribute("aria-pressed") == "true"
    assert set(page.locator("#grid .facts").all_inner_texts()) == {"murmur"} or all(
        "murmur" in text for text in page.locator("#grid .facts").all_inner_texts()
    )
    page.keyboard.press("0")
    page.keyboard.press("/")
    page.keyboard.type("IMG SRC")
    assert names(page) == [HOSTILE]
    page.keyboard.press("Escape")
    assert cards.count() > 10
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()


def test_sorted_and_filtered_as_the_scores_say(made: Path, open_page) -> None:
    rows = np.genfromtxt(made / "out/scores.csv", delimiter=",", skip_header=1)[:, 1:]
    truth = [line.split(",") for line in (made / "out/test_actual.csv").read_text().split()[1:]]
    actual = [row[1:4].index("1") for row in truth]
    lowest = sorted(zip(rows[range(len(rows)), actual], [row[4] for row in truth], strict=True))
    page = open_page(made / "out/gallery.html", query="#show=scored&sort=wrong")
    assert (
        page.locator("#count").inner_text() == f"{len(rows) + 2} of 62 pictures"
    )  # two without a label
    shown = [Path(name).stem for _, name in lowest]
    assert page.evaluate("shown.map(titleOf)")[:5] == shown[:5]
    wrong = [
        name for row, a, (*_, name) in zip(rows, actual, truth, strict=True) if row.argmax() != a
    ]
    page.select_option("#show", "wrong")
    assert sorted(page.evaluate("shown.map(titleOf)")) == sorted(Path(n).stem for n in wrong)
    if wrong:
        assert page.locator(".badge.wrong").count() == len(wrong)
    page.select_option("#show", "")
    page.select_option("#sort", "p2")
    first = page.evaluate("scoresOf(shown[0])[2]")
    assert first == page.evaluate("Math.max(...index.scores.map((s) => s?.[2] ?? 0))")
    page.select_option("#sort", "seconds")
    page.locator("#reverse").click()
    seconds = page.evaluate("shown.map(secondsOf)")
    assert seconds == sorted(seconds, reverse=True)
    card = page.locator("#grid .card", has=page.locator(".badge")).first
    numbers = [float(text) for text in card.locator(".scores output").all_inner_texts()]
    assert sum(numbers) == pytest.approx(1, abs=0.02)


def test_the_report_plays_and_leads_to_the_recordings(made: Path, open_page) -> None:
    page = open_page(made / "out/report.html")
    picture = page.locator("figure .picture").nth(2)
    click(page, picture, 0.3)
    until(page, "player.playing && player.at > 0.8")
    assert picture.evaluate("p => p.classList.contains('playing')")
    picture.get_by_role("button").click()
    assert page.evaluate("player.audio.paused")
    cell = page.locator(".confusion a").first
    count = int(cell.inner_text())
    cell.click()
    page.wait_for_selector("#grid .card")
    assert page.evaluate("shown.length") == count
    said = page.evaluate("state.said")
    assert all(said == page.evaluate(f"index.scored[saidOf({i})]") for i in page.evaluate("shown"))
    assert page.get_by_role("link", name="Report").get_attribute("href") == "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["gallery.html", "report.html"])
def test_a_phone_scrolls_one_way_only(made: Path, open_page, name: str, scheme: str) -> None:
    page = open_page(made / "out" / name, width=390, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    if name == "gallery.html":
        assert page.evaluate("columns") == 1
        page.locator("#grid .zoom").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.locator("#view").evaluate("v => v.scrollWidth <= v.clientWidth")


def test_what_a_screen_reader_is_told(made: Path, open_page) -> None:
    page = open_page(made / "out/gallery.html")
    tree = page.locator("body").aria_snapshot()
    for line in (
        r'- heading "out" \[level=1\]',
        r"- status: 62 pictures",
        r'- searchbox "Search names"',
        r'- combobox "Sort"',
        r'- grid "Pictures"',
        r'- gridcell "[^"]*, extrasystole, \d\.\d seconds',
        r'- img "Spectrogram of ',
        r'- button "Play ',
        r'- button "Zoom ',
        r'- group "Show one class"',
        r'- button "Keys"',
    ):
        assert re.search(line, tree), f"{line} in {tree[:2000]}"
    grid = page.get_by_role("grid")
    assert int(grid.get_attribute("aria-rowcount")) > int(grid.get_by_role("row").count()) - 1
    # One stop for Tab, whatever the number of pictures; everything that can be pressed has a name.
    assert page.locator('#grid [tabindex="0"]').count() == 1
    for button in page.locator("button").all():
        assert button.evaluate("b => (b.ariaLabel || b.textContent || b.title).trim()") or (
            button.get_attribute("id") == "bar-name"
        )
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(100)
    assert page.locator('#grid [tabindex="0"]').count() == 1
    page.locator('#grid [tabindex="0"]').focus()
    page.keyboard.press("Enter")
    until(page, "player.playing")
    assert page.locator("#said").inner_text().startswith("Playing ")
    page.locator("#grid").get_by_role("button", name="Pause ").wait_for()


def test_formats_that_do_not_play_say_so(tmp_path: Path, open_page) -> None:
    (tmp_path / "wav").mkdir()
    y = 0.3 * np.sin(np.arange(32000) * 0.2)
    for name, sr, codec in (
        *[("a.aiff", 8000, "PCM_16"), ("b.wav", 8000, "IMA_ADPCM"), ("c.wav", 2000, "PCM_16")],
        *[("d.flac", 8000, "PCM_16"), ("e.wav", 8000, "ALAW"), ("f.wav", 8000, "PCM_24")],
    ):
        soundfile.write(tmp_path / "wav" / name, y, sr, subtype=codec)
    heartfast.convert(tmp_path / "wav", tmp_path / "out", gallery=True)
    # It says that it is a WAV, and then is none.
    (tmp_path / "wav/f.wav").write_bytes((tmp_path / "wav/f.wav").read_bytes()[:40])
    page = open_page(tmp_path / "out/gallery.html", query="#sort=name")
    said = dict(zip(names(page), page.locator(".card .note").all_inner_texts(), strict=True))
    assert said == {
        "a": "browser cannot play AIFF",
        "b": "browser cannot play ADPCM",
        "c": "browser cannot play 2000 Hz",
        **dict.fromkeys("def", ""),
    }
    for place in (3, 4):
        click(page, page.locator(".card").nth(place), 0.1)
        until(page, "player.playing && player.at > 0.3")
    click(page, page.locator(".card").nth(0), 0.5)
    assert "browser cannot play AIFF" in page.locator("#said").inner_text()
    click(page, page.locator(".card").nth(5), 0.5)
    until(page, "document.querySelectorAll('.note')[5].textContent !== ''")
    assert "or it is gone" in page.locator(".note").nth(5).inner_text()


def test_a_segment_ends_where_its_picture_ends(tmp_path: Path, open_page) -> None:
    y, sr = heartfast.synth.heart_sound("normal", duration_s=4.0, seed=2)
    heartfast.synth.write_wav(tmp_path / "x.wav", y, sr)
    heartfast.convert(tmp_path / "x.wav", tmp_path / "out", segment_s=1.0, gallery=True)
    page = open_page(tmp_path / "out/gallery.html")
    page.locator(".card .play").nth(2).click()
    until(page, "player.playing")
    start = state(page)
    assert 2.0 <= start["at"] < 2.9
    until(page, "!player.playing")
    assert state(page)["at"] == pytest.approx(3.0, abs=0.15)
    page.keyboard.press("Space")  # from its own start again
    until(page, "player.playing")
    assert 1.99 <= state(page)["at"] < 2.9


def test_the_line_stays_in_the_plot_of_a_figure(tmp_path: Path, open_page) -> None:
    import json

    from PIL import Image, PngImagePlugin

    y, sr = heartfast.synth.heart_sound("normal", duration_s=3.0, seed=2)
    heartfast.synth.write_wav(tmp_path / "x.wav", y, sr)
    info = PngImagePlugin.PngInfo()
    axes = {"size": [900, 500], "plot": [90, 50, 810, 350], "xlim": [0.0, 3.0]}
    made = {"duration_s": 3.0, "sample_rate": sr, "config": {}, "axes": axes}
    info.add_itxt("heartfast", json.dumps(made))
    Image.new("L", (900, 500), 255).save(tmp_path / "x.png", pnginfo=info)
    page = open_page(Path(heartfast.gallery(tmp_path).path))
    box = page.locator(".card .sheet").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(1.8, rel=0.01)
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"])
    until(page, "player.playing && current")
    found = state(page)
    assert found["at"] == pytest.approx(1.5, abs=0.3)
    share = (found["line"] + 1 - box["x"]) / box["width"]
    assert share == pytest.approx(0.1 + 0.8 * found["at"] / 3.0, abs=0.05)


def test_twenty_thousand_pictures_stay_smooth(made: Path, tmp_path: Path, open_page) -> None:
    pictures = sorted((made / "out/images").rglob("*.png"))
    rng = np.random.default_rng(0)
    cards = []
    for i in range(20_000):
        picture = pictures[i % len(pictures)]
        copy = tmp_path / f"{i:05d}.png"
        os.link(picture, copy)
        recording = made / "wav" / picture.parent.name / f"{picture.stem}.wav"
        scores = rng.dirichlet([1, 1, 1]).round(4).tolist()
        cards.append(
            Card(
                str(copy),
                str(recording),
                f"{i:05d}",
                picture.parent.name,
                f"{i % 500}",
                scores=scores,
            )
        )
    page_path = tmp_path / "gallery.html"
    write_cards(page_path, cards, title="Many", scored=("extrasystole", "murmur", "normal"))
    assert page_path.stat().st_size < 3e6
    page = open_page(page_path)
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert page.locator("#grid .card").count() < 100
    click(page, page.locator("#grid .card").first, 0.1)
    until(page, "player.playing")
    trace: list[dict] = []
    ended: list[object] = []
    session = page.context.new_cdp_session(page)
    session.on("Tracing.dataCollected", lambda data: trace.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda data: ended.append(data))
    session.send(
        "Tracing.start",
        {
            "categories": "disabled-by-default-devtools.timeline,devtools.timeline",
            "transferMode": "ReportEvents",
        },
    )
    for _ in range(25):
        page.mouse.wheel(0, 2500)
        page.wait_for_timeout(30)
    for share in (0.3, 0.9, 0.1):
        page.evaluate(f"scrollTo(0, {share} * document.body.scrollHeight)")
        page.wait_for_timeout(60)
    page.keyboard.press("End")
    session.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(20)
    # Processor time of the page's own thread: what other processes do meanwhile does not count.
    main = {(e["pid"], e["tid"]) for e in trace if e["name"] == "FireAnimationFrame"}
    tasks = [
        e.get("tdur", 0) / 1000
        for e in trace
        if e["name"] == "RunTask" and (e["pid"], e["tid"]) in main
    ]
    assert len(tasks) > 25
    print(f"interactive after {ready:.0f} ms, longest task {max(tasks):.0f} ms")  # noqa: T201
    assert ready < 1000 * INTERACTIVE_S
    assert max(tasks) < LONGEST_TASK_MS
    assert page.evaluate("active") == 19_999
    assert page.locator("#grid .card").last.locator("img").evaluate("i => i.decode().then(() => 1)")
    page.keyboard.press("/")
    page.keyboard.type("04242")
    assert names(page) == ["04242"]


def test_pascal_set_b(shared_data: Path, tmp_path: Path, open_page) -> None:
    out = tmp_path / "out"
    heartfast.convert(shared_data / "pascal/set_b", out, labels="pascal", gallery=True)
    page = open_page(out / "gallery.html")
    assert page.locator("#count").inner_text() == "656 pictures"
    for i in range(3):
        card = page.locator("#grid .card").nth(i)
        assert card.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") > 10
        card.locator(".play").click()
        until(page, "player.playing && player.at > 0.2")
    assert page.locator(".note", has_text="cannot").count() == 0
    counts = dict(
        re.findall(r"^(\w+?)(\d+)$", text.replace("\n", "")).pop()
        for text in page.locator("#classes button").all_inner_texts()
    )
    expected = {"all": 656, "normal": 320, "murmur": 95, "extrasystole": 46, "unlabelled": 195}
    assert {name: int(count) for name, count in counts.items()} == expected
    page.keyboard.press("1")
    assert page.locator("#count").inner_text() == "46 of 656 pictures"
    page.keyboard.press("0")
    page.locator("#find").fill("murmur__112")
    assert 0 < page.evaluate("shown.length") < 20


def test_a_name_that_is_a_program_does_nothing(made: Path, open_page) -> None:
    page = open_page(made / "out/gallery.html", query="#find=onerror")
    assert names(page) == [HOSTILE]
    assert (
        page.locator("#grid .sheet > img").evaluate("i => i.decode().then(() => i.naturalWidth)")
        > 10
    )
    page.locator(".card .play").click()
    until(page, "player.playing")
    page.keyboard.press("z")
    assert page.get_by_role("dialog").get_by_role("heading").inner_text() == HOSTILE
    assert page.locator('img[src="x"]').count() == 0
