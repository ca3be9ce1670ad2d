"""A reader's session: each notebook opened in JupyterLab and run, and every slider moved.

It needs Chromium (``apt-get install chromium``, ``brew install --cask chromium``, or CHROMIUM=path
of a Chrome). Without it the test skips, unless LIPTEACH_BROWSER=required.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")
from browser.lab import (
    NOTEBOOK,
    jupyter_lab,
    open_notebook,
    run_all,
    seconds_to_change,
    settled,
)
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=FLAGS + ["--no-sandbox"] * root
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """JupyterLab on a copy of the notebooks: a run saves nothing into the repository."""
    home = tmp_path_factory.mktemp("lab")
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    folder = shutil.copytree(NOTEBOOKS, home / "notebooks", ignore=ignore)
    with jupyter_lab(folder, home) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1300, "height": 1500})
    opened.on("pageerror", lambda error: print("page error:", error))
    yield opened
    opened.close()


def shots() -> Path:
    folder = Path(os.environ.get("LIPTEACH_SHOTS", ROOT / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("stem", STEMS)
def test_a_reader_runs_the_lesson(stem: str, server: tuple[str, str], page: Page) -> None:
    base, token = server
    book = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    # ?reset forgets the workspace, so that the tabs of the test before do not return.
    open_notebook(page, f"{base}/lab/tree/{stem}.ipynb?reset&token={token}")
    folded = [cell["metadata"].get("jupyter", {}).get("source_hidden", False) for cell in code]
    run_all(page, cells=folded.count(False), seconds=180)
    expect(page.locator(f"{NOTEBOOK} .jp-CodeCell .jp-Placeholder")).to_have_count(sum(folded))
    for kind in ("error", "stderr"):
        bad = page.locator(f"{NOTEBOOK} [data-mime-type='application/vnd.jupyter.{kind}']")
        assert bad.count() == 0, bad.first.inner_text()[:500]
    page.screenshot(path=shots() / f"{stem}-run.png")
    expected = sum("slider_figure(" in "".join(cell["source"]) for cell in code)
    views = page.locator(f"{NOTEBOOK} .jp-OutputArea-child:has(.widget-slider)")
    assert views.count() == expected, "every slider_figure shows its sliders"
    sliders = page.locator(f"{NOTEBOOK} .widget-slider")
    for number in range(sliders.count()):
        print(f"\n{stem}: {move(page, sliders.nth(number))}", end="")
    page.screenshot(path=shots() / f"{stem}-end.png")


def move(page: Page, slider: Locator) -> str:
    """One step by key, then a drag; each must give another picture."""
    slider.scroll_into_view_if_needed()
    label = slider.locator(".widget-label").first.inner_text()
    area = slider.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-child')][1]")
    image, handle = area.locator("img").first, slider.locator(".noUi-handle")
    expect(image).to_be_visible(timeout=15_000)
    assert not area.get_by_text("could not draw").count()
    before = settled(page, image)
    handle.focus()
    page.keyboard.press("ArrowRight")
    by_key = seconds_to_change(page, image, before)
    before = settled(page, image)
    knob, bar = handle.bounding_box(), slider.locator(".noUi-base").bounding_box()
    assert knob
    assert bar
    middle, height = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
    far = 0.1 if middle > bar["x"] + bar["width"] / 2 else 0.9  # to the other side
    page.mouse.move(middle, height)
    page.mouse.down()
    page.mouse.move(bar["x"] + far * bar["width"], height, steps=8)
    page.mouse.up()
    by_drag = seconds_to_change(page, image, before)
    assert not area.get_by_text("could not draw").count()
    return f"slider {label!r}: picture after {by_key:.2f} s by key, {by_drag:.2f} s by drag"
