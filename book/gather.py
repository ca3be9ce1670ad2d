"""From lessons to the pages of the book: sliders and boxes for answers in place of widgets.

The saved outputs stay. The output of a cell that makes a slider becomes a frame for its pictures,
which `sliders.js` fills; below a check whose answer is a number or a choice stands a box, which
`answers.js` judges by the values and hints of the bank.
"""

from __future__ import annotations

import html
import itertools
import re
from pathlib import Path
from typing import Any

import nbformat
from answers import answer_data, box_html, elsewhere_html, in_script
from draw import ROOT, drawn, slider_keys
from nbformat import NotebookNode
from nbformat.v4 import new_output
from pages import escape, section_label, slug, write_new
from references import with_references

from lipteach.appendix import rows
from lipteach.classroom.checks import lesson_exercises

CHECK = re.compile(r"""^check\(\s*["'](\d\d\.[\w-]+)["']""", re.MULTILINE)
NOTEBOOKS = ROOT / "notebooks"
AS_A_PAGE = """

*You read this as a page: its sliders move at once, and where a number or a word is asked for stands
a box that judges it. What is said of cells, of this machine and of `make lab` is for those who
[run the lessons](../index.md#to-run-the-lessons). The outputs are those of a run of ours.*
"""


def gather_lesson(stem: str, frames: Path, to: Path) -> dict[str, int]:
    """Write the page of a lesson as a notebook; count its sliders, those that move, its boxes."""
    book = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    found = drawn(stem, frames)
    sliders = {place: found[key] for place, key in slider_keys(stem).items()}
    if not all("slider_figure(" in book.cells[place].source for place in sliders):
        raise ValueError(f"the .ipynb of {stem} is not that of its .py: make notebooks")
    bank = lesson_exercises(stem[:2])
    counted = {"sliders": len(sliders), "live": 0, "boxes": 0}
    numbers = itertools.count(1)
    by_anchor: dict[str, list[str]] = {}
    for row in rows():
        if row.lesson == stem and row.built:
            by_anchor.setdefault(row.anchor, []).append(row.item)
    for place, cell in enumerate(book.cells):
        if cell.cell_type == "markdown":
            text = with_references(cell.source, stem, numbers)
            cell.source = with_addresses(text, stem, by_anchor)
            if place == 0 and stem.startswith("00"):
                cell.source += AS_A_PAGE
        if place in sliders:
            cell.outputs = [page_output(slider_html(sliders[place], stem))]
            counted["live"] += "still" not in sliders[place]
        elif cell.cell_type == "code" and (called := CHECK.search(cell.source)):
            data = answer_data(bank[called[1]])
            counted["boxes"] += data is not None
            # In place of an output that would say for ever that it has not been tried.
            said = box_html(called[1], data) if data else elsewhere_html(called[1], stem)
            cell.outputs = [page_output(said)]
        if cell.cell_type == "code":
            cell.metadata.pop("jupyter", None)
            lead_to_pages(cell)
            name_pictures(cell)
            if not any(re.search(r"\S {2,}\S", text) for text in printed(cell)):
                cell.metadata.setdefault("tags", []).append("prose")  # its lines may be broken
    write_new(to / f"{stem}.ipynb", nbformat.writes(book))
    return counted


def printed(cell: NotebookNode) -> list[str]:
    """What a cell has printed."""
    return [str(output.text) for output in cell.outputs if output.output_type == "stream"]


def lead_to_pages(cell: NotebookNode) -> None:
    """Let the links of an output, which go to notebooks, lead to the pages of these.

    Where the map or the errata are printed whole, their page is named in place of them.
    """
    if found := re.search(r"appendix\.markdown_(errata|table)\(\)", cell.source):
        page = {"errata": "errata", "table": "map"}[found[1]]
        link = f'<a href="../{page}.html">has a page of its own</a>'
        cell.outputs = [page_output(f'<p class="lt-elsewhere">In this book it {link}.</p>')]
    for output in cell.outputs:
        for kind in ("text/markdown", "text/html"):
            text = output.get("data", {}).get(kind)
            if isinstance(text, str):
                output.data[kind] = re.sub(r"(\d\d_\w+)\.ipynb(#[^\s)\"]*)?", page_of, text)


def page_of(link: re.Match[str]) -> str:
    """The address of a section that the map names, or of a lesson."""
    stem, anchor = link[1], (link[2] or "").lstrip("#")
    named = {row.anchor.replace(" ", "-"): row.anchor for row in rows() if row.lesson == stem}
    section = f"#{section_label(stem, named[anchor])}" if anchor in named and anchor else ""
    return f"{stem}.html{section}"


def name_pictures(cell: NotebookNode) -> None:
    """Give the pictures of a cell their statement as alternative text, and their own colours."""
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            said = output.metadata.get("image/png", {})
            image = {"alt": said.get("alt", "A figure."), "classes": "dark-light"}
            if "width" in said:
                image["width"] = f"{said['width']}px"
            cell.metadata["mystnb"] = {"image": image}


def with_addresses(text: str, stem: str, by_anchor: dict[str, list[str]]) -> str:
    """Give the sections that the map names an address, and links to their items in the map."""

    def address(heading: re.Match[str]) -> str:
        items = by_anchor.get(heading[2])
        if items is None:
            return heading[0]
        links = ", ".join(f"[{escape(item)}](#{slug(item)})" for item in items)
        said = f"<small>In the map: {links}</small>"
        return f"({section_label(stem, heading[2])})=\n{heading[0]}\n\n{said}\n"

    return re.sub(r"^(##+) (.*)$", address, text, flags=re.MULTILINE)


def greek(name: str) -> str:
    """The name of a control as the text writes it.

    >>> greek("sigma"), greek("eps"), greek("steps")
    ('σ', 'ε', 'steps')
    """
    letters = {"alpha": "α", "beta": "β", "sigma": "σ", "eps": "ε", "epsilon": "ε", "theta": "θ"}
    return letters.get(name, name)


def page_output(text: str) -> NotebookNode:
    """An output of HTML."""
    return new_output("display_data", {"text/html": text})


def slider_html(slider: dict[str, Any], stem: str) -> str:
    """The frame of a slider: its controls, the first picture, and its statement."""
    if "still" in slider:
        return f'<p class="lt-still">{html.escape(slider["still"])} Its picture stands above.</p>'
    controls, sizes = slider["controls"], [len(one["labels"]) for one in slider["controls"]]
    start = 0
    for one, size in zip(controls, sizes, strict=True):
        start = start * size + one["start"]
    for one in controls:
        one["name"] = greek(one["name"])
    data = in_script(slider)
    width, height = slider["size"]
    statement = html.escape(slider["statements"][start])
    left_out = [greek(html.escape(one["name"])) for one in controls if one["left_out"]]
    note = f"<small>In the notebook, {' and '.join(left_out)} can be set more finely.</small>"
    return (
        f'<figure class="lt-slider" data-start="{start}">'
        f'<script type="application/json">{data}</script>'
        f'<div class="lt-controls"></div>'
        f'<img class="dark-light" width="{width}" height="{height}" alt="{statement}" '
        f'src="../_static/frames/{stem}/{slider["pictures"][start]}">'
        f'<figcaption aria-live="polite">{statement}</figcaption>{note * bool(left_out)}</figure>'
    )
