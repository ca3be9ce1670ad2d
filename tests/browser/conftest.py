"""One Chromium for all tests of a worker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api")
from browser.bookshelf import address, book, page  # their fixtures
from playwright.sync_api import Browser, sync_playwright

__all__ = ["address", "book", "browser", "page"]

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium() -> str:
    """The browser's path, or a skip that says how to get one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    how = "no Chromium: apt-get install chromium, or set CHROMIUM to the path of a Chrome"
    if os.environ.get("LIPTEACH_BROWSER") == "required":
        pytest.fail(how)
    pytest.skip(how)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=FLAGS + ["--no-sandbox"] * root
        )
        yield started
        started.close()
