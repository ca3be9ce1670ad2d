"""The gate before a release goes out: each exercise as its lesson sets it, and no solution left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from lipteach.classroom.course.assigned_cells import check_source, own_source, varies
from lipteach.classroom.course.configuration import nbgrader_at_work
from lipteach.classroom.course.lesson import (
    Assigned,
    Lesson,
    lines_of,
    read_lesson,
    without_solutions,
)
from lipteach.classroom.course.manifest import digest, read_manifest

_HINT = re.compile(r"<summary>[^<]*hint|^\**hint\b", re.IGNORECASE | re.MULTILINE)
_SOLUTION = re.compile(r"<summary>[^<]*solution", re.IGNORECASE)


def check_release(folder: str | Path) -> list[str]:
    """Return what is wrong with the released notebooks of a course, a sentence each.

    An empty list means: every exercise of the lessons has its own stub, followed by its own
    locked check with its points; nbgrader takes the marks of all cells and finds none changed; and
    no line of a solution stands anywhere in ``release/``. Nothing is run.

    Raises:
        FileNotFoundError: nothing was released there.
        ValueError: release.json cannot be read.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    return [
        f"{stem}: {fault}"
        for stem, entry in sorted(manifest["assignments"].items())
        for fault in _faults(folder / "release" / stem, read_lesson(stem), entry, manifest)
    ]


def _faults(
    place: Path, lesson: Lesson, entry: dict[str, Any], manifest: dict[str, Any]
) -> Iterator[str]:
    path = place / str(entry["notebook"])
    try:
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
    except FileNotFoundError:
        yield "its notebook is not in release/: release it again."
        return
    except Exception as error:  # whatever else a file may hold
        yield f"its notebook cannot be read ({type(error).__name__}): release it again."
        return
    yield from _marks(book)
    for one in lesson.exercises.values():
        yield from _exercise(book, one, manifest["vary"])
    if not manifest["hints"] and any(_HINT.search(c.source) for c in book.cells):
        yield (
            "it was to have no hints, and it has: a source changed by hand keeps its own. Take "
            f"them out of source/{lesson.stem}, or move that folder away, and release it again."
        )
    if any(_SOLUTION.search(cell.source) for cell in book.cells):
        yield "a folded solution stands in it."
    if digest(book) != entry["sha256"]:
        yield "its cells are not those that release.json has noted: release it again."
    for file in sorted(p for p in place.rglob("*") if p.is_file()):
        text = file.read_text(encoding="utf-8", errors="ignore")
        if file == path:
            text = "\n".join(cell.source for cell in book.cells)
        for line in leaks(lesson, text):
            yield f"{file.name} holds a line of a solution: {line}"


def leaks(lesson: Lesson, text: str) -> list[str]:
    """The lines of a text that stand in solutions, and more often than the lesson has them else."""
    solutions = [line for one in lesson.exercises.values() for line in lines_of(one.solution)]
    remarks = [line for one in lesson.exercises.values() for line in lines_of(one.remark)]
    allowed = Counter(
        line for cell in lesson.book.cells for line in lines_of(without_solutions(cell.source))
    )
    found = Counter(lines_of(text))
    return [x for x in dict.fromkeys(solutions + remarks) if found[x] > allowed[x]]


def _marks(book: NotebookNode) -> Iterator[str]:
    """What nbgrader says of the marks, and the cells which were changed since it made them."""
    with nbgrader_at_work():
        from nbgrader.nbgraderformat import MetadataValidator, ValidationError
        from nbgrader.utils import compute_checksum

        try:
            MetadataValidator().validate_nb(book)
        except ValidationError as error:
            yield f"nbgrader refuses the marks of its cells ({str(error).splitlines()[0]})."
            return
        for cell in book.cells:
            marks = cell.metadata.get("nbgrader", {})
            if marks.get("grade_id") and marks.get("checksum") != compute_checksum(cell):
                yield f"the cell {marks['grade_id']} was changed after nbgrader made it."


def _exercise(book: NotebookNode, one: Assigned, vary: int | None) -> Iterator[str]:
    by_id = {
        cell.metadata.nbgrader.get("grade_id"): place
        for place, cell in enumerate(book.cells)
        if "nbgrader" in cell.metadata
    }
    if one.answer_id not in by_id:
        yield f"the cell for the answer to {one.name} is gone."
    if one.test_id not in by_id:
        yield f"the check of {one.name} is gone."
    if not {one.answer_id, one.test_id} <= set(by_id):
        return
    answer, test = (book.cells[by_id[name]] for name in (one.answer_id, one.test_id))
    marks = test.metadata.nbgrader
    shown = [book.cells[by_id[one.own_id]].source] if one.own_id in by_id else []
    if shown != [own_source(one, vary)] * varies(one, vary):
        yield (
            f"the cell that shows each student's own numbers for {one.name} is not as it was; a "
            "source changed by hand keeps the numbers it had until its folder is moved away."
        )
    if by_id[one.test_id] != by_id[one.answer_id] + 1:
        yield f"the check of {one.name} does not follow its answer: names are used again."
    if answer.source.rstrip() != one.stub:
        yield f"the answer to {one.name} is not the stub of the lesson: {_first_line(one.stub)}"
    if not answer.metadata.nbgrader.get("solution") or answer.metadata.nbgrader.get("grade"):
        yield f"the cell for the answer to {one.name} is not marked as one to be filled."
    if test.source != check_source(one, vary):
        yield f"the check of {one.name} is not: {check_source(one, vary).splitlines()[-2]} …"
    if not (marks.get("locked") and marks.get("grade")) or test.metadata.get("editable", True):
        yield f"the check of {one.name} is not locked."
    if marks.get("points") != one.points:
        dots = "●" * one.points
        yield f"{one.name} is worth {one.points} ({dots}), and has {marks.get('points')} points."
    if answer.get("outputs") or test.get("outputs"):
        yield f"the cells of {one.name} have outputs: the solution was run there."


def _first_line(text: str) -> str:
    return text.splitlines()[0]
