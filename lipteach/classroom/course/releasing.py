"""Release lessons as assignments of nbgrader: stubs for students, solutions for the instructor."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

import lipteach
from lipteach.classroom.course.configuration import (
    application,
    nbgrader_at_work,
    write_configuration,
)
from lipteach.classroom.course.lesson import (
    Assigned,
    Lesson,
    find_lesson,
    read_lesson,
    without_solutions,
)
from lipteach.classroom.course.manifest import (
    FILE,
    digest,
    read_manifest,
    write_if_new,
    write_manifest,
)

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"

HONOUR = """\
**Before you begin**, write your name between the quotation marks below, as the course knows it.

The cell below an answer gives its points and cannot be changed: run it as often as you like. By
handing in this notebook you say that its answers are your own, and you name whoever helped you.
The package that checks them holds the solutions, too: to copy one from there is to copy."""


def release(
    lessons: Iterable[str], folder: str | Path, *, hints: bool = True, vary: int | None = None
) -> Path:
    """Write lessons into a course folder of nbgrader, and return the folder.

    ``source/`` is yours, with the solutions; ``release/`` is what students get, with each
    exercise's own stub, a locked cell that gives its points (one for each ●) and no solution.
    A second release changes nothing but what changed.

    The package that students install holds the bank of exercises with its solutions. A release
    hides them from the notebook, not from whoever looks into the package.
    """
    stems = _stems(lessons)
    folder = Path(folder)
    manifest = _manifest(folder, set(stems), hints, vary)
    folder.mkdir(parents=True, exist_ok=True)
    write_configuration(folder)
    for stem in stems:
        lesson = read_lesson(stem)
        source = source_notebook(lesson, hints)
        released = released_notebook(source)
        for book in (source, released):
            book.metadata["lipteach"] = {"assignment": stem, "release": digest(released)}
        path = folder / "source" / stem / f"{stem}.ipynb"
        changed = write_if_new(path, nbformat.writes(source) + "\n")
        if changed or not (folder / "release" / stem / path.name).exists():
            _generate(folder, stem)
        manifest["assignments"][stem] = _entry(lesson, digest(released))
    write_manifest(folder, manifest)
    return folder


def _stems(lessons: Iterable[str]) -> list[str]:
    if isinstance(lessons, str) or not isinstance(lessons, Iterable):
        raise TypeError(f"lessons must be a list of numbers such as ['01', '04']; got {lessons!r}")
    stems = sorted({find_lesson(number) for number in lessons})
    if not stems:
        raise ValueError("lessons must name at least 1 lesson; got none")
    return stems


def _manifest(folder: Path, stems: set[str], hints: bool, vary: int | None) -> dict[str, Any]:
    """What stands there already; one course has one seed, and hints in all lessons or in none."""
    manifest: dict[str, Any] = {"assignments": {}}
    if (folder / FILE).exists():
        manifest = read_manifest(folder)
        others = sorted(set(manifest["assignments"]) - stems)
        for name, given in (("hints", hints), ("vary", vary)):
            if others and manifest[name] != given:
                raise ValueError(
                    f"{others[0]} was released here with {name}={manifest[name]!r}; "
                    f"got {name}={given!r}: release all lessons again, or into another folder"
                )
    return manifest | {"lipteach": lipteach.__version__, "vary": vary, "hints": hints}


def _entry(lesson: Lesson, sha: str) -> dict[str, Any]:
    return {
        "notebook": f"{lesson.stem}.ipynb",
        "sha256": sha,
        "exercises": [
            {
                "name": one.name,
                "answer": one.answer_id,
                "test": one.test_id,
                "points": one.points,
                "variable": one.variable,
            }
            for one in lesson.exercises.values()
        ],
    }


def source_notebook(lesson: Lesson, hints: bool = True) -> NotebookNode:
    """The instructor's notebook: solutions between marks, and each check in a cell of its own."""
    book = copy.deepcopy(lesson.book)
    book.metadata.pop("jupytext", None)  # or saving it would write a .py beside it
    book.metadata["language_info"] = {"name": "python"}
    cells = [
        new_markdown_cell(HONOUR, id="honour"),
        new_code_cell('STUDENT = ""', id="student"),
    ]
    for place, cell in enumerate(book.cells):
        if place in lesson.exercises:
            cells += [_answer_cell(lesson.exercises[place]), _test_cell(lesson.exercises[place])]
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


def test_source(one: Assigned) -> str:
    """The lines of the cell that gives the points: `check` alone raises nothing."""
    return (
        "from lipteach.classroom import check\n\n"
        f'report = check("{one.name}", {one.variable})\n'
        'assert report.passed, report.hint or "not tried yet"'
    )


def _test_cell(one: Assigned) -> NotebookNode:
    metadata = _metadata(one.test_id, one.points)
    metadata["tags"] = ["raises-exception"]  # what is not solved yet does not stop "Run All"
    return new_code_cell(test_source(one), id=one.test_id, metadata=metadata)


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


def _generate(folder: Path, stem: str) -> None:
    with nbgrader_at_work():
        said = application(folder).generate_assignment(stem)
    if not said["success"]:
        raise RuntimeError(f"nbgrader could not release {stem}:\n{said['log']}{said['error']}")
