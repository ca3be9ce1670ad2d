"""The book, built for its tests, and a window without a network to read it in."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, Page, Route

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = os.environ.get("LIPTEACH_LESSONS", "00").split()
"""The lessons of the book under test; `make book-test` asks for all of them."""
LESSONS = [
    f"lessons/{path.stem}"
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.py"))
    if CHOSEN == ["all"] or path.stem[:2] in CHOSEN
]
OTHERS = ("index", "map", "errata", "results", "coming_from", "api/lipteach", "api/training")
PAGES = (*LESSONS, *OTHERS)


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
    """The book: that of `make book`, or one with few lessons; a warning is an error.

    The first of several workers builds it, the others wait for it.
    """
    if CHOSEN == ["all"]:
        return ROOT / "build" / "book"
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "book"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            environment = os.environ | {"LIPTEACH_BOOK": str(folder)}
            program = [sys.executable, str(ROOT / "book" / "build.py"), *CHOSEN]
            done = subprocess.run(program, env=environment, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
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
