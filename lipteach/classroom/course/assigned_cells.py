"""The cells of an assignment: each exercise an answer to be filled and a locked check."""

from __future__ import annotations

import copy
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from lipteach.classroom.checks import find_exercise
from lipteach.classroom.course.lesson import Assigned, Lesson, without_solutions

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"

HONOUR = """\
**Before you begin**, write your name between the quotation marks below, as the course knows it.

The cell below an answer gives its points and cannot be changed: run it as often as you like. By
handing in this notebook you say that its answers are your own, and you name whoever helped you.
The package that checks them holds the solutions, too: to copy one from there is to copy."""


def varies(one: Assigned, vary: int | None) -> bool:
    """Whether each student has other numbers there."""
    return vary is not None and find_exercise(one.name).vary is not None


def source_notebook(lesson: Lesson, hints: bool = True, vary: int | None = None) -> NotebookNode:
    """The instructor's notebook: solutions between marks, and each check in a cell of its own."""
    book = copy.deepcopy(lesson.book)
    book.metadata.pop("jupytext", None)  # or saving it would write a .py beside it
    book.metadata |= {
        "language_info": {"name": "python"},
        "lipteach": {"assignment": lesson.stem},
    }
    cells = [
        new_markdown_cell(HONOUR, id="honour"),
        new_code_cell('STUDENT = ""', id="student"),
    ]
    for place, cell in enumerate(book.cells):
        if place in lesson.exercises:
            one = lesson.exercises[place]
            cells += [_own_cell(one, vary)] * varies(one, vary)
            cells += [_answer_cell(one), _test_cell(one, vary)]
            continue
        if cell.cell_type == "markdown":
            cell.source = without_solutions(cell.source, hints)
            if not cell.source.strip():
                continue
        cells.append(cell)
    book.cells = cells
    return book


def _answer_cell(one: Assigned) -> NotebookNode:
    source = f"{one.stub}\n{BEGIN}\n{one.solution}\n{END}"
    return new_code_cell(source, id=one.answer_id, metadata=_metadata(one.answer_id))


def _own_cell(one: Assigned, vary: int | None) -> NotebookNode:
    metadata = _metadata(one.own_id)
    metadata["nbgrader"] |= {"solution": False, "locked": True}
    return new_code_cell(own_source(one, vary), id=one.own_id, metadata=metadata)


def own_source(one: Assigned, vary: int | None) -> str:
    """The lines of the cell that shows a student's numbers."""
    return (
        "# Your own numbers: take these instead of those in the text above.\n"
        "from lipteach.classroom import own_numbers\n\n"
        f'print(own_numbers("{one.name}", {vary}, STUDENT))'
    )


def check_source(one: Assigned, vary: int | None = None) -> str:
    """The lines of the cell that gives the points: `check` alone raises nothing."""
    own = f", own=({vary}, STUDENT)" if varies(one, vary) else ""
    return (
        "from lipteach.classroom import check\n\n"
        f'report = check("{one.name}", {one.variable}{own})\n'
        'assert report.passed, report.hint or "not tried yet"'
    )


def _test_cell(one: Assigned, vary: int | None) -> NotebookNode:
    metadata = _metadata(one.test_id, one.points)
    metadata["tags"] = ["raises-exception"]  # what is not solved yet does not stop "Run All"
    return new_code_cell(check_source(one, vary), id=one.test_id, metadata=metadata)


def _metadata(grade_id: str, points: int | None = None) -> dict[str, Any]:
    """The marks of nbgrader: an answer is to be filled, a cell with points is locked."""
    marks: dict[str, Any] = {
        "schema_version": 3,
        "grade_id": grade_id,
        "solution": points is None,
        "grade": points is not None,
        "locked": points is not None,
        "task": False,
    }
    return {"nbgrader": marks | ({} if points is None else {"points": points})}


def released_notebook(source: NotebookNode) -> NotebookNode:
    """What nbgrader makes of the source: what stands between the marks is gone."""
    book = copy.deepcopy(source)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.partition(BEGIN)[0]
    return book
