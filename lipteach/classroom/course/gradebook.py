"""Scores in nbgrader's own gradebook, and the notebooks that its form grader shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output

from lipteach.classroom.course.configuration import application, nbgrader_at_work
from lipteach.classroom.course.submissions import Submission, grade_id
from lipteach.classroom.course.verdicts import Graded, Verdict


def record(
    folder: Path, assignment: str, entry: Mapping[str, Any], all_of: Iterable[Graded]
) -> None:
    """Write the automatic scores; what a person has graded or remarked stays."""
    with nbgrader_at_work(), application(folder).gradebook as book:
        notebook = Path(entry["notebook"]).stem
        _prepare(book, assignment, notebook, entry)
        for graded in all_of:
            book.update_or_create_student(graded.student)
            when = _handed_in(folder, assignment, graded.student)
            book.update_or_create_submission(assignment, graded.student, **when)
            verdicts = {verdict.name: verdict for verdict in graded.verdicts}
            for one in entry["exercises"]:
                grade = book.find_grade(one["test"], notebook, assignment, graded.student)
                grade.auto_score = verdicts[one["name"]].score
                grade.needs_manual_grade = False
            book.db.commit()


def absent(folder: Path, assignment: str, present: Collection[str]) -> list[tuple[str, str]]:
    """Who is in the gradebook and has nothing in ``submitted/``, with the points that stand there.

    What once was handed in keeps its points, "" are those of nobody's submission.
    """
    found = []
    with nbgrader_at_work(), application(folder).gradebook as book:
        from nbgrader.api import MissingEntry

        for student in sorted({one.id for one in book.students} - set(present)):
            try:
                points = f"{book.find_submission(assignment, student).score:g}"
            except MissingEntry:
                points = ""
            found.append((student, points))
    return found


def _prepare(book: Any, assignment: str, notebook: str, entry: Mapping[str, Any]) -> None:
    """The assignment as it was released, if the gradebook has lost it."""
    from nbgrader.api import MissingEntry

    try:
        book.find_assignment(assignment)
        return
    except MissingEntry:
        book.update_or_create_assignment(assignment)
        book.update_or_create_notebook(notebook, assignment)
    for one in entry["exercises"]:
        book.update_or_create_solution_cell(one["answer"], notebook, assignment)
        own = {"max_score": one["points"], "cell_type": "code"}
        book.update_or_create_grade_cell(one["test"], notebook, assignment, **own)


def _handed_in(folder: Path, assignment: str, student: str) -> dict[str, str]:
    """When, by the file that nbgrader's exchange leaves."""
    path = folder / "submitted" / student / assignment / "timestamp.txt"
    try:
        text = "" if path.is_symlink() else path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        text = ""
    return {"timestamp": text} if text and len(text) < 64 else {}


def autograded(
    submission: Submission, graded: Graded, entry: Mapping[str, Any], released: NotebookNode
) -> NotebookNode:
    """The student's notebook with the released tests, and under each what the judge said."""
    book = submission.book or released
    verdicts = {verdict.name: verdict for verdict in graded.verdicts}
    tests = {one["test"]: verdicts[one["name"]] for one in entry["exercises"]}
    official = {grade_id(cell): cell for cell in released.cells if grade_id(cell)}
    cells, seen = [], set()
    for cell in book.cells:
        mark = grade_id(cell)
        if mark in seen or (mark and mark not in official):
            mark = ""  # a second cell of that name, or of another release
        seen.add(mark)
        cells.append(_cell(cell, official.get(mark), tests.get(mark)))
    for mark, cell in official.items():
        if mark not in seen:
            cells.append(_cell(cell, cell, tests.get(mark)))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:03d}"
    return nbformat.v4.new_notebook(cells=cells, metadata=released.metadata)


def _cell(
    cell: NotebookNode, official: NotebookNode | None, verdict: Verdict | None
) -> NotebookNode:
    kind = official.cell_type if official is not None else cell.cell_type
    make = getattr(nbformat.v4, f"new_{kind}_cell")
    source = official.source if official is not None and verdict is not None else cell.source
    own = make(source, metadata=dict(official.metadata) if official is not None else {})
    if verdict is not None:
        own.outputs = [_output(verdict)]
        own.execution_count = 1
    return own


def _output(verdict: Verdict) -> NotebookNode:
    """An error where points are lost: that is how nbgrader's pages tell."""
    if verdict.passed:
        return new_output("stream", name="stdout", text=f"{verdict.name}: passed\n")
    hint = verdict.hint or "not tried yet"
    lines = [f"{verdict.name}: {hint}", *verdict.said]
    return new_output("error", ename="AssertionError", evalue=hint, traceback=lines)


def write_autograded(folder: Path, assignment: str, student: str, name: str, book: Any) -> None:
    """Put it where nbgrader looks for it."""
    place = folder / "autograded" / student / assignment
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(nbformat.writes(book) + "\n", encoding="utf-8", errors="replace")
