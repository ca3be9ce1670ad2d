"""A reader's session: each notebook opened in JupyterLab and run, and every slider moved.

It needs Chromium (``apt-get install chromium``, ``brew install --cask chromium``, or CHROMIUM=path
of a Chrome). Without it the test skips, unless LIPTEACH_BROWSER=required.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")
from browser.lab import (
    NOTEBOOK,
    close_notebooks,
    jupyter_lab,
    menu,
    open_lab,
    open_notebook,
    picture,
    run_all,
    seconds_to_change,
    settled,
    wait_for_kernel,
)
from playwright.sync_api import Browser, Locator, Page, expect

from lipteach.classroom.figure_view import PREDICT

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]


@pytest.fixture(scope="session")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """JupyterLab on a copy of the notebooks: a run saves nothing into the repository."""
    home = tmp_path_factory.mktemp("lab")
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    folder = shutil.copytree(NOTEBOOKS, home / "notebooks", ignore=ignore)
    with jupyter_lab(folder, home) as (base, token), window(browser) as page:
        open_lab(page, f"{base}/lab?token={token}")
        yield page


@contextlib.contextmanager
def window(browser: Browser) -> Iterator[Page]:
    """A page whose errors are printed."""
    with browser.new_page(viewport={"width": 1300, "height": 1500}) as page:
        page.on("pageerror", lambda error: print("page error:", error))
        yield page


@pytest.fixture
def page(lab: Page, stem: str) -> Iterator[Page]:
    """JupyterLab with a lesson open."""
    try:
        open_notebook(lab, f"{stem}.ipynb")
        yield lab
    finally:
        close_notebooks(lab)


def shots() -> Path:
    folder = Path(os.environ.get("LIPTEACH_SHOTS", ROOT / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("stem", STEMS)
def test_a_reader_runs_the_lesson(stem: str, page: Page) -> None:
    book = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    hidden = sum(cell["metadata"].get("jupyter", {}).get("outputs_hidden", False) for cell in code)
    kept = page.locator(f"{NOTEBOOK} .jp-Cell-outputWrapper .jp-Placeholder")
    expect(kept).to_have_count(hidden)
    assert {text.strip() for text in kept.all_inner_texts()} <= {PREDICT}, "no answer is told"
    folded = [cell["metadata"].get("jupyter", {}).get("source_hidden", False) for cell in code]
    run_all(page, cells=folded.count(False), seconds=180)
    expect(page.locator(f"{NOTEBOOK} .jp-CodeCell .jp-Placeholder")).to_have_count(sum(folded))
    for kind in ("error", "stderr"):
        bad = page.locator(f"{NOTEBOOK} [data-mime-type='application/vnd.jupyter.{kind}']")
        assert bad.count() == 0, bad.first.inner_text()[:500]
    page.screenshot(path=shots() / f"{stem}-run.png")
    expected = sum("slider_figure(" in "".join(cell["source"]) for cell in code)
    views = page.locator(f"{NOTEBOOK} .jp-OutputArea-child:has(.widget-slider, .widget-dropdown)")
    assert views.count() == expected, "every slider_figure shows its controls"
    sliders = page.locator(f"{NOTEBOOK} .widget-slider")
    for number in range(sliders.count()):
        print(f"\n{stem}: {move(page, sliders.nth(number))}", end="")
    menus = page.locator(f"{NOTEBOOK} .widget-dropdown")
    for number in range(menus.count()):
        print(f"\n{stem}: {choose(page, menus.nth(number))}", end="")
    page.screenshot(path=shots() / f"{stem}-end.png")


def test_a_reader_saves_a_copy_and_comes_back(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `make lab` opens: a cell before the first one, a save, and the copy opened again."""
    root = tmp_path / "clone"
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    for folder in ("notebooks", "tools"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    subprocess.run([sys.executable, str(root / "tools" / "lessons.py")], check=True)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(root / "tools" / "lab"))
    monkeypatch.delenv("PYTEST_VERSION")  # by which a kernel knows that nobody looks
    copy = root / "work" / "00_start_here.ipynb"
    with jupyter_lab(root / "work", tmp_path) as (base, token), window(browser) as page:
        note = page.get_by_text("to move the slider")
        # ?reset forgets the workspace, so that the second visit begins as the first one did.
        address = f"{base}/lab/tree/{copy.name}?reset&token={token}"
        open_lab(page, address)
        wait_for_kernel(page)
        expect(note).to_be_visible()
        page.locator(f"{NOTEBOOK} .jp-CodeCell").filter(has_text="first-check").click()
        page.keyboard.press("Shift+Enter")
        expect(page.get_by_text("Run the first cell first")).to_be_visible(timeout=30_000)
        run_all(page, cells=page.locator(f"{NOTEBOOK} .jp-CodeCell").count(), seconds=120)
        expect(note).to_have_count(0)
        before = copy.read_bytes()
        menu(page, "File", "docmanager:save")
        deadline = time.monotonic() + 20
        while copy.read_bytes() == before and time.monotonic() < deadline:
            page.wait_for_timeout(200)
        assert "widget-view" not in copy.read_text(encoding="utf-8")
        slider = page.locator(f"{NOTEBOOK} .widget-slider")
        expect(slider).to_have_count(1)  # alive on the page
        deadline = time.monotonic() + 180
        while not follows_the_hand(page, slider):  # its pictures are being drawn ahead
            assert time.monotonic() < deadline
            page.wait_for_timeout(3000)
        menu(page, "Kernel", "kernelmenu:shutdown")
        page.goto("about:blank")
        open_lab(page, address)
        wait_for_kernel(page)
        expect(note).to_be_visible()
        assert page.get_by_text("Error displaying widget").count() == 0
        names = page.locator(".jp-DirListing-itemText").all_inner_texts()
    lessons = sorted(path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
    assert sorted(names) == [*lessons, "results"]


def follows_the_hand(page: Page, slider: Locator) -> bool:
    """Whether another picture comes while the mouse is still down."""
    slider.scroll_into_view_if_needed()
    area = slider.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-child')][1]")
    image = area.locator("img").first
    _, before = settled(page, image)
    knob = slider.locator(".noUi-handle").bounding_box()
    bar = slider.locator(".noUi-base").bounding_box()
    assert knob
    assert bar
    middle, height = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
    far = 0.3 if middle > bar["x"] + bar["width"] / 2 else 0.7
    page.mouse.move(middle, height)
    page.mouse.down()
    page.mouse.move(bar["x"] + far * bar["width"], height, steps=4)
    page.wait_for_timeout(600)
    followed = picture(image) not in ("", before)
    page.mouse.up()
    return followed


def choose(page: Page, chosen: Locator) -> str:
    """Another entry of a menu, which must give another picture."""
    chosen.scroll_into_view_if_needed()
    area = chosen.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-child')][1]")
    image, entries = area.locator("img").first, chosen.locator("select")
    before = settled(page, image)
    last = entries.locator("option").count() - 1
    entries.select_option(index=0 if entries.evaluate("s => s.selectedIndex") == last else last)
    seconds = seconds_to_change(page, image, before)
    assert not area.get_by_text("could not draw").count()
    return f"menu {chosen.inner_text().splitlines()[0]!r}: picture after {seconds:.2f} s"


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
