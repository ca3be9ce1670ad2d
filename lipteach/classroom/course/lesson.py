"""A lesson taken apart for a course: its cells, each exercise with its stub and its solution."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import jupytext
import nbformat
from jupytext.config import load_jupytext_config
from nbformat import NotebookNode

from lipteach.classroom.marks import CHECK, HEADING
from lipteach.experiments.machine.records import RESULTS

NOTEBOOKS = RESULTS.parent
"""Where the lessons stand: beside the package, in a copy of the repository."""

_FOLDED = re.compile(r"<details><summary>(Hint|Solution)</summary>(.*?)</details>\n*", re.DOTALL)
_CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Assigned:
    """An exercise as its lesson sets it: what stands in its cells and below them."""

    name: str
    points: int  # one for each ●
    minutes: int
    variable: str  # what is handed to the check
    stub: str
    solution: str  # the code that is folded below
    remark: str  # and the words beside it

    @property
    def answer_id(self) -> str:
        """The id of the cell that a student fills: "04-steps-answer"."""
        return f"{self.name.replace('.', '-')}-answer"

    @property
    def own_id(self) -> str:
        """The id of the cell that shows a student's own numbers, where they vary."""
        return f"{self.name.replace('.', '-')}-own"

    @property
    def test_id(self) -> str:
        """The id of the cell that gives the points."""
        return f"{self.name.replace('.', '-')}-test"


@dataclass(frozen=True)
class Lesson:
    """The cells of a lesson, with the places of its exercises among them."""

    stem: str
    book: NotebookNode
    exercises: Mapping[int, Assigned] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What stands in its first line: "04 · Orthonormal by matrix products"."""
        return str(self.book.cells[0].source).splitlines()[0].removeprefix("# ")


def without_solutions(text: str, hints: bool = True) -> str:
    """Return a text cell without its folded solutions, and without its hints if so wished."""
    kept = ("Hint",) if hints else ()
    left = _FOLDED.sub(lambda found: found[0] if found[1] in kept else "", text)
    return left.rstrip() if left != text else text


def lines_of(text: str) -> list[str]:
    """The lines that say something, without what is around them."""
    return [line.strip() for line in text.splitlines() if re.search(r"\w", line)]


def find_lesson(number: str) -> str:
    """The stem of the lesson with that number: "04" or "4" is "04_bjorck"."""
    if not isinstance(number, str):
        raise TypeError(f"a lesson is named by a string such as '04'; got {type(number).__name__}")
    stems = {path.name[:2]: path.stem for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))}
    if not stems:
        raise FileNotFoundError(
            f"the lessons are not beside the package (no {NOTEBOOKS.name}/NN_name.py): "
            "a course is released from a copy of the repository"
        )
    if number.zfill(2) not in stems:
        raise ValueError(f"no lesson {number!r}; there are {', '.join(stems)}")
    return stems[number.zfill(2)]


@cache
def read_lesson(stem: str) -> Lesson:
    """Read a lesson: the cells of its .py, the source, with the outputs of its .ipynb."""
    script = NOTEBOOKS / f"{stem}.py"
    book = jupytext.read(script, config=load_jupytext_config(str(script)))
    executed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    if [cell.source for cell in book.cells] != [cell.source for cell in executed.cells]:
        raise ValueError(f"{stem}.py and {stem}.ipynb differ: run `make notebooks` first")
    for place, (cell, run) in enumerate(zip(book.cells, executed.cells, strict=True)):
        cell["id"] = f"cell-{place:03d}"  # random ones would change at every release
        cell.metadata.pop("lines_to_next_cell", None)  # of the script
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = run.outputs, run.execution_count
    return Lesson(stem, book, _exercises(book))


def _exercises(book: NotebookNode) -> dict[int, Assigned]:
    found: dict[int, Assigned] = {}
    heading: re.Match[str] | None = None
    open_at: int | None = None
    for place, cell in enumerate(book.cells):
        if cell.cell_type == "code":
            call = CHECK.search(cell.source)
            if call and heading:
                stub = cell.source[: call.start()].rstrip()
                found[place] = Assigned(
                    call[1], heading[2].count("●"), int(heading[3]), call[2], stub, "", ""
                )
                open_at = place
            continue
        heading = next(reversed([*HEADING.finditer(cell.source)]), heading)
        folded = dict(_FOLDED.findall(cell.source))
        if open_at is not None and "Solution" in folded:
            code = "\n".join(_CODE.findall(folded["Solution"])).strip()
            remark = _CODE.sub("", folded["Solution"]).strip()
            given = {**vars(found[open_at]), "solution": code, "remark": remark}
            found[open_at], open_at = Assigned(**given), None
    return found
