"""Every page of the book: it fits the window and the sheet, reads well, and leads where it says."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

pytest.importorskip("playwright.sync_api")
pytest.importorskip("myst_nb")
from axe_playwright_python.sync_playwright import Axe
from browser.bookshelf import CHOSEN, LESSONS, PAGES, ROOT, Links
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]  # built once


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_the_window_and_mathematics_is_drawn(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}{name}.html")
    page.wait_for_function("() => !window.MathJax || MathJax.startup?.promise")
    page.wait_for_load_state("networkidle")
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    given = page.viewport_size or {}
    for width in (given["width"], 800):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(wider) <= 0, width
    # What is folded counts too; a formula within a line must fit, and one of its own may scroll.
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    cut = """[...document.querySelectorAll('article mjx-container:not([display])')]
        .filter(m => m.getBoundingClientRect().right > innerWidth).map(m => m.outerHTML)"""
    page.set_viewport_size(given)
    assert page.evaluate(cut) == []
    raw = page.evaluate(r"document.querySelector('article').innerText.match(/\\\(|\\\[|\$/g)")
    assert raw is None
    assert page.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("name", [*LESSONS, "index", "map", "errata", "results"])
def test_axe_has_no_serious_finding(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}{name}.html")
    page.wait_for_load_state("networkidle")
    found = Axe().run(page, options={"preload": False}).response["violations"]
    serious = {
        one["id"]: [node["html"][:160] for node in one["nodes"][:3]]
        for one in found
        if one["impact"] in ("serious", "critical")
    }
    assert serious == {}


def test_a_lesson_prints_as_still_pictures_on_sheets(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 900})
    page.goto(f"{address}{LESSONS[0]}.html")
    page.wait_for_load_state("networkidle")
    page.emulate_media(media="print")
    expect(page.locator(".lt-slider img").first).to_be_visible()
    for control in (".lt-controls", ".lt-answer", ".bd-sidebar-primary", ".bd-header-article"):
        for found in page.locator(control).all():
            expect(found).to_be_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")
    state = """() => [document.documentElement.dataset.theme,
        document.querySelectorAll('details.hide:not([open])').length]"""
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    before = page.evaluate(state)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(state) == ["light", 0], "paper is light, and nothing on it can be unfolded"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(state) == before
    page.close()


def test_the_first_page_is_light(browser: Browser, address: str) -> None:
    """As a server sends it, compressed; formulas and pictures come when they are looked for."""
    page, found = browser.new_page(), {}
    page.on("response", lambda response: found.update({response.url: response.body()}))
    page.goto(f"{address}index.html")
    page.wait_for_load_state("networkidle")
    packed = {
        url: len(body if url.endswith(".woff2") else gzip.compress(body))
        for url, body in found.items()
    }
    assert not [url for url in packed if "mathjax" in url], "no formula is on it"
    assert sum(packed.values()) < 300_000, packed
    page.close()


def test_equations_and_errata_have_addresses(book: Path) -> None:
    """By lesson: plain numbers are those of the appendix."""
    for lesson in LESSONS:
        text = (book / f"{lesson}.html").read_text(encoding="utf-8")
        number = int(re.search(r"/(\d\d)_", lesson)[1])
        found = re.findall(r'class="eqno">\(([\d.]+)\)', text)
        assert found == [f"{number}.{k + 1}" for k in range(len(found))]
    for page in book.rglob("*.html"):
        assert str(ROOT) not in page.read_text(encoding="utf-8"), page
    errata = (book / "errata.html").read_text(encoding="utf-8")
    assert 'id="erratum-theorem-2"' in errata


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
    if CHOSEN == ["all"]:
        assert lost == []
    other_lesson = re.compile(r"(.*/|#)?\d\d_\w+\.(html|ipynb)(#.*)?")
    assert [pair for pair in lost if not other_lesson.fullmatch(pair[1])] == []
