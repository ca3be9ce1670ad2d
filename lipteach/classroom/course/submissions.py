"""What a student handed in, read for what it holds: whatever its name, its cells or its state."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from lipteach.classroom.course.slices import names

_STUDENT = re.compile(r"""^STUDENT = (["'])(.*)\1\s*$""", re.MULTILINE)
_MOST = 20 * 2**20  # bytes of a notebook


@dataclass
class Submission:
    """A student's notebook, where each exercise is answered in it, and what is to be said of it."""

    student: str
    digest: str = ""
    book: NotebookNode | None = None
    answers: dict[str, list[int]] = field(default_factory=dict)
    own: list[int] = field(default_factory=list)  # the code cells that the release does not have
    minutes: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def cells(self) -> list[tuple[int, str]]:
        """The code cells with their places."""
        cells = self.book.cells if self.book else []
        return [(place, c.source) for place, c in enumerate(cells) if c.cell_type == "code"]


def read_submissions(folder: Path, assignment: str) -> dict[str, tuple[str, bytes, list[str]]]:
    """By student: the name of the notebook, its bytes, and what is to be said of how it was found.

    All are read before any is judged, so that none can spoil another.
    """
    found = {}
    for place in sorted((folder / "submitted").glob(f"*/{assignment}")):
        student = place.parent
        if student.name.startswith(".") or not place.is_dir():
            continue
        found[student.name] = _read_folder(place, assignment, student)
    return found


def _read_folder(place: Path, assignment: str, student: Path) -> tuple[str, bytes, list[str]]:
    if student.is_symlink() or place.is_symlink():
        return "", b"", ["Its folder is a link to another; that was not followed."]
    books = [p for p in sorted(place.glob("*.ipynb")) if p.is_file() and not p.is_symlink()]
    if not books:
        return "", b"", ["There is no notebook in its folder."]
    wanted = f"{assignment}.ipynb"
    chosen = next((p for p in books if p.name == wanted), max(books, key=_marks))
    said = []
    if len(books) > 1:
        said.append(f"There are {len(books)} notebooks; {chosen.name} was graded.")
    if chosen.name != wanted:
        said.append(f"The notebook is called {chosen.name}; it was taken for {wanted}.")
    try:
        if chosen.stat().st_size > _MOST:
            return chosen.name, b"", [*said, "The notebook is larger than 20 MB; it was not read."]
        return chosen.name, chosen.read_bytes(), said
    except OSError as error:
        return chosen.name, b"", [*said, f"The notebook cannot be read ({error.strerror})."]


def _marks(path: Path) -> int:
    """How much there is in a notebook that looks like an exercise of ours."""
    try:
        return path.read_bytes()[:_MOST].count(b'"grade_id"')
    except OSError:
        return 0


def understand(
    student: str,
    found: tuple[str, bytes, list[str]],
    entry: Mapping[str, Any],
    released: NotebookNode,
) -> Submission:
    """Find the exercises of a release in what a student handed in."""
    _, data, said = found
    submission = Submission(student, hashlib.sha256(data).hexdigest(), said=list(said))
    submission.book = _parse(data, submission.said) if data or not said else None
    if submission.book is None:
        return submission
    own = {c.source for c in released.cells if c.cell_type == "code"}
    submission.own = [place for place, source in submission.cells if source not in own]
    for exercise in entry["exercises"]:
        places = _find_answers(submission, exercise, entry["exercises"])
        if places:
            submission.answers[exercise["name"]] = places
            minutes = _minutes(submission.book, places[-1])
            if minutes is not None:
                submission.minutes[exercise["name"]] = minutes
    _say_what_differs(submission, entry, released)
    return submission


def misplaced(folder: Path, assignments: Collection[str]) -> list[str]:
    """The notebooks in ``submitted/`` that lie in no student's folder of an assignment."""
    place = folder / "submitted"
    found = (path.relative_to(place) for path in sorted(place.rglob("*.ipynb")))
    hidden = ".ipynb_checkpoints"
    return [
        str(path)
        for path in found
        if hidden not in path.parts and (len(path.parts) < 3 or path.parts[1] not in assignments)
    ]


def name_in(submission: Submission) -> str | None:
    """The name that a student wrote into STUDENT, if the cell is there."""
    for _, source in submission.cells:
        if written := _STUDENT.search(source):
            return written[2]
    return None


def _parse(data: bytes, said: list[str]) -> NotebookNode | None:
    if not data.strip():
        said.append("The notebook is empty: it has no byte in it.")
        return None
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        said.append("The notebook is not valid JSON; nothing in it could be read.")
        return None
    try:
        cells = nbformat.from_dict(read).cells
        known = [c for c in cells if c.get("cell_type") in ("code", "markdown", "raw")]
        for cell in known:
            text = cell.get("source", "")
            text = text if isinstance(text, str) else "".join(text)
            cell.source = text.encode("utf-8", "replace").decode("utf-8")  # half a letter is none
            marks = cell.get("metadata")
            cell.metadata = marks if isinstance(marks, NotebookNode) else NotebookNode()
        metadata = dict(read.get("metadata") or {})
        book = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata})
        book.cells = known
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError):
        said.append("The file is JSON, but no notebook; nothing in it could be read.")
        return None
    if not any(cell.cell_type == "code" and cell.source.strip() for cell in book.cells):
        said.append("The notebook has no cell with code in it.")
    return book


def grade_id(cell: NotebookNode) -> str:
    """The name by which nbgrader knows a cell, or ""."""
    marks = cell.metadata.get("nbgrader") or {}
    return str(marks.get("grade_id", "")) if isinstance(marks, Mapping) else ""


def _makes(source: str, variable: str) -> bool:
    try:
        return bool(names(source).made & names(variable).read)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _find_answers(
    submission: Submission, exercise: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
) -> list[int]:
    """The cells with an answer: by their mark, else by the check that they call, else by name."""
    cells, variable = submission.cells, exercise["variable"]
    marks = {place: grade_id(submission.book.cells[place]) for place, _ in cells}  # type: ignore[union-attr]
    places = [place for place, _ in cells if marks[place] == exercise["answer"]]
    if places:
        tests = [p for p, mark in marks.items() if mark == exercise["test"] and p > places[-1]]
        answers = {other["answer"] for other in others}
        ends = [p for p, mark in marks.items() if mark in answers and p > places[-1]] + tests
        between = [  # a test may have been moved to behind other answers
            place
            for place, source in cells
            if tests and places[-1] < place < min(ends) and _makes(source, variable)
        ]
        return [*places[:-1], (between or places)[-1]]  # an answer in a cell of its own below
    called = re.compile(rf"""check\(\s*["']{re.escape(exercise["name"])}["']""")
    places = [place for place, source in cells if called.search(source)]
    if not places and [one["variable"] for one in others].count(variable) == 1:
        places = [place for place, source in cells if _makes(source, variable)][-1:]
    if places:
        text = f"The cell of {exercise['name']} has lost its mark; it was recognised by its code."
        submission.said.append(text)
    return places


def _minutes(book: NotebookNode, place: int) -> float | None:
    """From the last run of what stands above to the last run of the answer, where Lab notes it."""
    times = [_run_at(cell) for cell in book.cells[: place + 1]]
    before = [time for time in times[:-1] if time is not None]
    if times[-1] is None or not before:
        return None
    minutes = (times[-1] - before[-1]) / 60
    return round(minutes, 1) if 0 < minutes <= 180 else None


def _run_at(cell: NotebookNode) -> float | None:
    noted = cell.metadata.get("execution") or {}
    try:
        return datetime.fromisoformat(str(noted["iopub.execute_input"])).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _say_what_differs(
    submission: Submission, entry: Mapping[str, Any], released: NotebookNode
) -> None:
    book = submission.book
    if book is None:
        return
    of = book.metadata.get("lipteach") or {}
    of = of if isinstance(of, Mapping) else {}
    here, named = Path(entry["notebook"]).stem, of.get("assignment")
    if isinstance(named, str) and named != here:
        submission.said[:] = [f"It is the notebook of {named:.40}: hand in {entry['notebook']}."]
        return
    if of.get("release", entry["sha256"]) != entry["sha256"]:
        submission.said.append(
            "It comes from another release of the lesson; the checks of the present one counted."
        )
    tests = {grade_id(cell): cell.source for cell in released.cells if grade_id(cell)}
    sources: dict[str, list[str]] = {}
    for cell in book.cells:
        sources.setdefault(grade_id(cell), []).append(cell.source)
    said: dict[str, list[str]] = {}
    for one in entry["exercises"]:
        test, name = sources.get(one["test"], []), one["name"]
        if len(submission.answers.get(name, [])) > 1:
            said.setdefault(
                "More than one cell with an answer, of which the best counts", []
            ).append(name)
        if name not in submission.answers:
            said.setdefault("No cell with an answer found", []).append(name)
        elif not test:
            said.setdefault("No test cell; the released one counted", []).append(name)
        elif any(source != tests.get(one["test"]) for source in test):
            said.setdefault("A changed test cell; the released one counted", []).append(name)
    submission.said += [f"{what}: {', '.join(found)}." for what, found in said.items()]
