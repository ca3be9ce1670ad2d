"""A reader's visit to the book, without a kernel and without a network: sliders, boxes, search."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

pytest.importorskip("playwright.sync_api")
pytest.importorskip("myst_nb")
from axe_playwright_python.sync_playwright import Axe
from filelock import FileLock
from playwright.sync_api import Browser, Page, Route, expect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))
from gather import answer_data  # noqa: E402

pytestmark = pytest.mark.browser
LESSON = "lessons/00_start_here.html"
OTHERS = ("index", "map", "errata", "results", "api/layers")


class Silent(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Links(HTMLParser):
    """The links and the addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name in ("id", "name") and value:
                self.ids.add(value)


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book of one lesson, as `make book` builds it; a warning is an error.

    The first of several workers builds it, the others wait for it.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "book"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            environment = os.environ | {"LIPTEACH_BOOK": str(folder)}
            program = [sys.executable, str(ROOT / "book" / "build.py"), "00"]
            done = subprocess.run(program, env=environment, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
            assert "1 sliders, 1 live, 1 boxes" in done.stdout
            (folder / "done").touch()
    return folder / "book"


@pytest.fixture(scope="session")
def address(book: Path) -> Iterator[str]:
    handler = functools.partial(Silent, directory=str(book))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(params=[("light", 1400), ("dark", 390)], ids=str)
def page(request, browser: Browser, address: str) -> Iterator[Page]:
    """A window in which no request may leave the page's own host, and no script may fail."""
    scheme, width = request.param
    window = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    opened, faults = window.new_page(), []

    def abort(route: Route) -> None:
        faults.append(route.request.url)
        route.abort()

    own = (address, "data:", "blob:")
    opened.route(lambda url: not url.startswith(own), abort)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("response", lambda r: faults.append(r.url) if r.status >= 400 else None)
    yield opened
    window.close()
    assert faults == []


def test_a_slider_moves_picture_and_sentence_by_key_and_by_drag(page: Page, address: str) -> None:
    page.goto(address + LESSON)
    figure = page.locator(".lt-slider")
    figure.scroll_into_view_if_needed()
    slider, image, said = (figure.locator(one) for one in ("input", "img", "figcaption"))
    expect(slider).to_have_count(1)
    page.wait_for_load_state("networkidle")
    seen = {(image.get_attribute("src"), said.inner_text())}
    slider.press("ArrowRight")
    seen.add((image.get_attribute("src"), said.inner_text()))
    box = slider.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=4)
    seen.add((image.get_attribute("src"), said.inner_text()))
    page.mouse.up()
    assert len({src for src, _ in seen}) == len({text for _, text in seen}) == 3
    assert slider.get_attribute("aria-valuetext")
    expect(said).to_have_attribute("aria-live", "polite")
    assert image.evaluate("i => i.complete && i.naturalWidth > 2 * 390")


def test_a_box_answers_with_the_words_of_the_check(page: Page, address: str) -> None:
    from lipteach.classroom import exercises

    exercise = exercises()["00.verdict"]
    page.goto(address + LESSON)
    box = page.locator(".lt-answer")
    for wrong, hint in list(exercise.mistakes.values())[:2]:
        box.locator("input").fill(str(wrong))
        box.locator("input").press("Enter")
        expect(box.locator("output")).to_have_text(f"✗ 00.verdict: not yet. {hint}")
    box.locator("input").fill(str(exercise.solution))
    box.locator("button").click()
    expect(box.locator("output")).to_have_text("✓ 00.verdict: passed")


def test_every_number_is_judged_in_the_page_as_by_the_check(page: Page, address: str) -> None:
    """The right one, its roundings, each known mistake, and how a number may be written."""
    from lipteach.classroom import exercises
    from lipteach.classroom.checks import examine

    page.goto(address + LESSON)
    found = 0
    for exercise in exercises().values():
        data = answer_data(exercise)
        if data is None or not data["number"]:
            continue
        given = [exercise.solution, *(value for value, _ in data["mistakes"]), 12345.678]
        given += [round(exercise.solution, digits) for digits in range(1, 8)]
        said = page.evaluate("([d, all]) => all.map(x => judge(d, String(x)))", [data, given])
        for value, verdict in zip(given, said, strict=True):
            report = examine(exercise, value)
            assert verdict["passed"] == report.passed, (exercise.name, value)
            if value in [known for known, _ in data["mistakes"]]:
                assert verdict["hint"] == report.hint, (exercise.name, value)
        found += 1
    assert found >= 12
    written = {"0.5": 0.5, "0,5": 0.5, "−1/2": -0.5, "sqrt(2)/2": 2**0.5 / 2, "3*sqrt(4)": 6}
    written |= {"1e-3": 1e-3, ".5": 0.5}
    assert page.evaluate("all => all.map(readNumber)", list(written)) == list(written.values())
    for text in ("alert(1)", "1//2", "two", "", "1/", "0x10", "()"):
        assert page.evaluate("text => Number.isNaN(readNumber(text))", text), text


def test_pages_fit_the_window_and_mathematics_is_drawn(page: Page, address: str) -> None:
    for name in (LESSON.removesuffix(".html"), *OTHERS):
        page.goto(f"{address}{name}.html")
        page.wait_for_function("() => !window.MathJax || MathJax.startup?.promise")
        page.wait_for_load_state("networkidle")
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0, name
        raw = page.evaluate(r"document.querySelector('article').innerText.match(/\\\(|\\\[|\$/g)")
        assert raw is None, (name, raw)


def test_search_finds_other_spellings(page: Page, address: str) -> None:
    found = {}
    for word in ("Björck", "bjorck", "polar"):
        page.goto(f"{address}search.html?q={word}")
        expect(page.locator("#search-results .search-summary")).to_contain_text(
            "found", timeout=30_000
        )
        found[word] = set(page.locator("#search-results ul.search > li > a").all_inner_texts())
    assert found["Björck"]
    assert found["Björck"] <= found["bjorck"], "who has no ö on the keyboard"
    assert found["Björck"] <= found["polar"], "who knows it by another name"


def test_axe_has_no_serious_finding(page: Page, address: str) -> None:
    for name in (LESSON.removesuffix(".html"), "index"):
        page.goto(f"{address}{name}.html")
        page.wait_for_load_state("networkidle")
        found = Axe().run(page, options={"preload": False}).response["violations"]
        serious = {
            one["id"]: [node["html"][:160] for node in one["nodes"][:3]]
            for one in found
            if one["impact"] in ("serious", "critical")
        }
        assert serious == {}, name


def test_every_link_within_the_book_leads_somewhere(book: Path) -> None:
    pages = {}
    for path in book.rglob("*.html"):
        if "_static" not in path.parts:
            pages[path] = Links()
            pages[path].feed(path.read_text(encoding="utf-8"))
    lost = []
    for path, read in pages.items():
        for link in read.links:
            target, anchor = urldefrag(link)
            if target.startswith(("http:", "https:", "mailto:", "data:")):
                continue
            to = (path.parent / unquote(target).partition("?")[0]).resolve() if target else path
            if not to.exists() or (anchor and to in pages and unquote(anchor) not in pages[to].ids):
                lost.append((path.name, link))
    other_lesson = re.compile(r"(.*/|#)?(?!00_)\d\d_\w+\.(html|ipynb)(#.*)?")
    assert [pair for pair in lost if not other_lesson.fullmatch(pair[1])] == []
