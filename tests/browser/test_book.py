"""A reader's visit to the book, without a kernel and without a network: sliders, boxes, search."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("playwright.sync_api")
pytest.importorskip("myst_nb")
from browser.bookshelf import LESSONS, ROOT
from playwright.sync_api import Browser, Page, expect

sys.path.insert(0, str(ROOT / "book"))
from answers import answer_data

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]  # built once


def test_a_slider_moves_picture_and_sentence_by_key_and_by_drag(page: Page, address: str) -> None:
    page.goto(f"{address}{LESSONS[0]}.html")
    figure = page.locator(".lt-slider").first
    figure.scroll_into_view_if_needed()
    slider, image, said = (figure.locator(one) for one in ("input", "img", "figcaption"))
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


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_control_of_every_slider_moves(page: Page, address: str, lesson: str) -> None:
    """To its other end by key: the picture is another one."""
    page.goto(f"{address}{lesson}.html")
    figures = page.locator(".lt-slider")
    assert figures.count() == page.locator(".lt-slider .lt-controls:has(label)").count() > 0
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        image = figure.locator("img")
        page.wait_for_load_state("networkidle")
        for control in figure.locator("input, select").all():
            before = image.get_attribute("src")
            at_end = control.evaluate("c => Number(c.value) * 2 > Number(c.max ?? c.length - 1)")
            control.press("Home" if at_end else "End")
            page.wait_for_function("i => i.complete && i.naturalWidth", arg=image.element_handle())
            assert image.get_attribute("src") != before, control.evaluate("c => c.outerHTML")


def test_a_box_answers_with_the_words_of_the_check(page: Page, address: str) -> None:
    """And the last answer is there again when the reader comes back."""
    from lipteach.classroom import exercises

    exercise = exercises()["00.verdict"]
    page.goto(f"{address}{LESSONS[0]}.html")
    box = page.locator(".lt-answer").first
    said = box.locator("output")
    expect(said).to_have_text("○ 00.verdict: not tried yet")
    for wrong, hint in list(exercise.mistakes.values())[:2]:
        box.locator("input").fill(f" {wrong}. ")
        box.locator("input").press("Enter")
        expect(said).to_have_text(f"✗ 00.verdict: not yet. {hint}".replace("`", ""))
    box.locator("input").fill("nothing of the kind")
    box.locator("button").click()
    expect(said).to_contain_text("The answer is one of")
    box.locator("input").fill(str(exercise.solution).upper())
    box.locator("button").click()
    expect(said).to_have_text("✓ 00.verdict: passed")
    page.reload()
    expect(said).to_have_text("✓ 00.verdict: passed")


def test_every_number_is_judged_in_the_page_as_by_the_check(browser: Browser, address: str) -> None:
    """The right one, its roundings, and each known mistake."""
    from lipteach.classroom import exercises
    from lipteach.classroom.checks import examine

    page = browser.new_page()
    page.goto(f"{address}{LESSONS[0]}.html")
    found = 0
    for exercise in exercises().values():
        data = answer_data(exercise)
        if data is None or not data["number"]:
            continue
        given = [exercise.solution, *(value for value, _ in data["mistakes"]), 12345.678]
        given += [round(exercise.solution, digits) for digits in range(1, 8)]
        given += [exercise.solution * part for part in (0.99, 1.01)]
        said = page.evaluate("([d, all]) => all.map(x => judge(d, String(x)))", [data, given])
        for value, verdict in zip(given, said, strict=True):
            report = examine(exercise, value)
            assert verdict["passed"] == report.passed, (exercise.name, value)
            if value in [known for known, _ in data["mistakes"]] and not report.passed:
                assert verdict["hint"] == report.hint, (exercise.name, value)
            elif report.hint.startswith("Nearly"):
                assert verdict["hint"].startswith("Nearly"), (exercise.name, value)
        found += 1
    page.close()
    assert found >= 12


def test_a_number_is_read_as_people_write_it(page: Page, address: str) -> None:
    page.goto(f"{address}{LESSONS[0]}.html")
    written = {"0.5": [0.5], "0,5": [0.5], "−1/2": [-0.5], "sqrt(2)/2": [2**0.5 / 2], "3*√4": [6]}
    written |= {"1e-3": [1e-3], ".5": [0.5], "+2": [2], "(3/2)^4": [1.5**4], "-2**2": [-4]}
    written |= {"1.01-0.82": [1.01 - 0.82], "(1+2)/4": [0.75], "1,817": [1.817, 1817]}
    written |= {"1 817": [1817], "12,345.5": [12345.5]}
    found = page.evaluate("all => all.map(readings)", list(written))
    assert dict(zip(written, found, strict=True)) == written
    refused = ["alert(1)", "1//2", "two", "", "1/", "0x10", "()", "8 3/4", "1/0", "(1", "18 steps"]
    for text in refused:
        assert page.evaluate("readings", text) == [], text


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
