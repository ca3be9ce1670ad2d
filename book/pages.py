"""The pages of the book that are no lesson: start, map, errata, records, and the package."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from draw import ROOT

from lipteach.appendix import Row, rows
from lipteach.experiments import NAMES, PROFILES, experiment, load_record
from lipteach.experiments.machine.records import RESULTS, command_text, record_path

FLOORS = ("primitives", "layers", "robustness", "theory", "training", "classroom", "experiments")
ROOT_NAMES = importlib.import_module("lipteach").__all__


def own_names(floor: str) -> list[str]:
    """The public names of a floor that `lt` does not have already."""
    if floor == "lipteach":
        return list(ROOT_NAMES)
    names = importlib.import_module(f"lipteach.{floor}").__all__
    return [name for name in names if name not in ROOT_NAMES]


API = tuple(f"api/{name}" for name in ("lipteach", *FLOORS) if own_names(name))
VERDICTS = {
    "erratum": "What is wrong",
    "under conditions": "True under conditions",
    "ambiguous": "Ambiguous",
}
LESSON_ROW = re.compile(
    r"^\| \[\d\d [^\]]*\]\(notebooks/(\w+)\.ipynb\) \| (.*) \| [^|]* \|$", re.MULTILINE
)
START = """\
# lipteach

Learn 1-Lipschitz neural networks: lessons with sliders that move in this page, exercises and
proofs, over the appendix of *Sorting Out Lipschitz Function Approximation* (Anil, Lucas and Grosse,
2019).
Nothing has to be installed to read, to move a slider, or to answer where a number is asked for.
What needs Python is done [in JupyterLab](#to-run-the-lessons).

[Begin with the first lesson](lessons/00_start_here.ipynb), look up a claim in the [map](map.md), or
see what the appendix has [wrong](errata.md), and what our [runs](results.md) found. Those who know
torchlip, orthogonium, geotorch or PyTorch find our names [by theirs](coming_from.md).

## The lessons
"""
RUN = """\
## To run the lessons

With Python 3.11, 3.12 or 3.13, in a copy of the project's repository:

```text
{clone}make lab
```

This sets itself up in some minutes and opens the lessons in JupyterLab, where each cell can be run
and changed, and every answer is checked, functions and networks among them.
"""
MAP = """\
# The map

Every item of the appendix has an address here, such as `map.html#theorem-2`: what it says, our
verdict, and where it is taught, built and tested.
"""


ERRATA = """\
Where what holds differs from what is written, kindly meant. Each has an address of its own, such as
`errata.html#erratum-theorem-2`, the statement of the appendix, what holds in its place with the
counterexample, and the lesson and the test that show it.
"""


def slug(text: str) -> str:
    """An address made of a name.

    >>> slug("A.2 leaky ReLU"), slug("Fig. 10")
    ('a-2-leaky-relu', 'fig-10')
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write_pages(source: Path, stems: list[str]) -> None:
    """Write all of them into the source of the book."""
    texts = {
        "index.md": start(source, stems),
        "map.md": "\n".join([MAP, *(line for row in rows() for line in entry(row, stems))]),
        "errata.md": errata(stems),
        "results.md": results(),
        "coming_from.md": (ROOT / "COMING_FROM.md").read_text(encoding="utf-8"),
        **{f"{page}.md": api(page.removeprefix("api/")) for page in API},
    }
    for name, text in texts.items():
        write_new(source / name, text)


def write_new(path: Path, text: str) -> None:
    """Write what is not there already: Sphinx makes a page anew when its source is younger."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def toctree(pages: Iterable[str], caption: str) -> str:
    """A hidden part of the table of contents."""
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def start(source: Path, stems: list[str]) -> str:
    """The first page: what this is, the lessons with what one can do afterwards, and the parts."""
    able = dict(LESSON_ROW.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    listed = []
    for stem in stems:
        book = nbformat.read(source / "lessons" / f"{stem}.ipynb", as_version=4)
        title = re.search(r"^# (.*)$", book.cells[0].source, re.MULTILINE)
        name = title[1] if title else stem
        listed.append(f"- [{name}](lessons/{stem}.ipynb): {able.get(stem, '')}")
    lessons = toctree((f"lessons/{stem}" for stem in stems), "Lessons")
    others = toctree(("map", "errata", "results", "coming_from"), "Look up")
    parts = [START, *listed, "", RUN.format(clone=clone()), lessons, others]
    return "\n".join([*parts, toctree(API, "The package")])


def clone() -> str:
    """How to get the project."""
    repository = os.environ.get("GITHUB_REPOSITORY")  # a workflow of GitHub's sets it
    return f"git clone https://github.com/{repository}\n" if repository else ""


def section_label(stem: str, anchor: str) -> str:
    """The address of a lesson's section."""
    return slug(f"{stem} {anchor}")


def where(row: Row, stems: list[str]) -> str:
    """Links from a row to its lesson, function and test."""
    if not row.built:
        return f"Not yet built: lesson {row.lesson}."
    found = [f"lesson {row.lesson}"]
    if row.lesson in stems:
        label = section_label(row.lesson, row.anchor) if row.anchor else ""
        target = f"#{label}" if label else f"lessons/{row.lesson}.ipynb"
        found = [f"[lesson {row.lesson[:2]}, {escape(row.anchor or 'as a whole')}]({target})"]
    found.append(f"{{py:obj}}`{row.function}`")
    if row.test:
        found.append(f"`{row.test.rpartition('::')[2]}` in `{row.test.partition('::')[0]}`")
    return " · ".join(found)


def escape(text: str) -> str:
    """Text that is no markup."""
    return re.sub(r"([\\`*_\[\]<>|$])", r"\\\1", text)


def entry(row: Row, stems: list[str]) -> Iterator[str]:
    """A row with an address of its own."""
    yield f"({slug(row.item)})="
    yield f"## {escape(row.item)}: {escape(row.title)}"
    yield ""
    yield escape(row.says)
    yield ""
    yield f"**{row.verdict.capitalize()}.** {escape(row.remark)}"
    yield ""
    yield where(row, stems)
    yield ""


def errata(stems: list[str]) -> str:
    """What a reader of the appendix should be told, each with a counterexample or a condition."""
    lines = ["# Errata", "", ERRATA, ""]
    for verdict, title in VERDICTS.items():
        lines += [f"## {title}", ""]
        for row in (row for row in rows() if row.verdict == verdict):
            lines += [
                f"({slug('erratum ' + row.item)})=",
                f"### {escape(row.item)}: {escape(row.title)}",
            ]
            lines += ["", f"**The text.** {escape(row.says)}", ""]
            lines += [f"**What holds.** {escape(row.remark)}", ""]
            lines += [f"**Shown in** {where(row, stems)} · [in the map](#{slug(row.item)})", ""]
    return "\n".join(lines)


def results() -> str:
    """Each recorded run: the text that compares it with the paper, and how it was made."""
    lines = [
        "# Recorded runs",
        "",
        "Each table and figure beside the paper's, with what made it.",
        "",
    ]
    for name in NAMES:
        one = experiment(name)
        lines += [f"## {one.item}: {one.title}", ""]
        found = [p for p in PROFILES if record_path(RESULTS, name, p).is_file() and p != "quick"]
        if not found:
            lines += [f"No record yet: it waits for `{command_text(name, 'laptop')}`.", ""]
        for profile in found:
            record = load_record(name, profile)
            about = record.about
            cpu = ", ".join(sorted({d["gpu"] or d["cpu"] for d in about["device"]}))
            lines += [
                f"`{about['command']}` · {len(record.seeds)} seeds · {cpu} · {about['date']} · "
                f"{about['seconds'] / 3600:.1f} hours · torch {about['versions']['torch']}", "",
                *blocks(one.compare(record)), "",
            ]  # fmt: skip
        if "full" not in found:
            lines += [f"In full, for a GPU: `{command_text(name, 'full')}`.", ""]
    return "\n".join(lines)


def blocks(text: str) -> Iterator[str]:
    """A comparison: its tables as they stand, its sentences as text."""
    for block in text.split("\n\n"):
        table = re.search(r"\S {2,}\S", block)
        yield f"```text\n{block}\n```" if table else escape(block)
        yield ""


def api(name: str) -> str:
    """The page of one floor."""
    module = importlib.import_module("lipteach" if name == "lipteach" else f"lipteach.{name}")
    lines = [f"# {module.__name__}", "", "```{eval-rst}"]
    for one in sorted(own_names(name), key=str.lower):
        found, made = getattr(module, one), f"{module.__name__}.{one}"
        if isinstance(found, type):
            lines.append(f".. autoclass:: {made}")
            if found.__module__.startswith("lipteach"):
                lines += ["   :members:", "   :undoc-members:"]
        else:
            lines.append(f".. {'autofunction' if callable(found) else 'py:data'}:: {made}")
        lines.append("")
    return "\n".join([*lines, "```", ""])
