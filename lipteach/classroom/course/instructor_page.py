"""INSTRUCTOR.md: what was released, each solution, and the wrong answers that its check knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lipteach.classroom.checks import find_exercise
from lipteach.classroom.course.lesson import Assigned, Lesson, read_lesson

FILE = "INSTRUCTOR.md"
OWN_NUMBERS = (
    "- The solutions below answer the numbers of the text. What was given to each student, and the "
    "answers to that, `grade` writes into `reports/ASSIGNMENT/own_numbers.csv`."
)
_MINUTES = re.compile(r"^Reading: (\d+) minutes.* · exercises: (\d+) minutes", re.MULTILINE)


def instructor_page(manifest: dict[str, Any]) -> str:
    """The page as Markdown, for all that stands in a manifest; the same for the same release."""
    vary, hints = manifest["vary"], manifest["hints"]
    numbers = "the same for all" if vary is None else f"own ones where they vary (seed {vary})"
    own = [] if vary is None else [OWN_NUMBERS]
    lines = [
        "# For the instructor",
        "",
        f"Released by lipteach {manifest['lipteach']}; hints: {'yes' if hints else 'no'}; "
        f"numbers: {numbers}.",
        "",
        "- Hand out `release/`, and nothing else: `source/`, `gradebook.db` and this page hold "
        "solutions.",
        "- The package that students install holds them as well: the honour note in each notebook "
        "says so. What must be safe is asked for in an exam without the package, or with own "
        "numbers.",
        "- Collect into `submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb`.",
        "- What you change in `source/` stays: release again, and it goes into `release/`.",
        *own,
        "",
    ]
    for stem in sorted(manifest["assignments"]):
        lines += _lesson(read_lesson(stem), vary)
    return "\n".join(lines).rstrip() + "\n"


def _lesson(lesson: Lesson, vary: int | None) -> Iterator[str]:
    minutes = _MINUTES.search(lesson.book.cells[0].source)
    said = "Reading {} minutes, exercises {} · ".format(*minutes.groups()) if minutes else ""
    all_ = list(lesson.exercises.values())
    yield f"## {lesson.title}"
    yield ""
    yield f"{said}points {sum(one.points for one in all_)}"
    yield ""
    yield "| exercise | points | minutes | numbers |"
    yield "|---|---|---|---|"
    for one in all_:
        yield f"| {one.name} | {one.points} | {one.minutes} | {_numbers(one, vary)} |"
    yield ""
    for one in all_:
        yield from _exercise(one)


def _numbers(one: Assigned, vary: int | None) -> str:
    if find_exercise(one.name).vary is None:
        return "fixed"
    return "may vary" if vary is None else "each student's own"


def _exercise(one: Assigned) -> Iterator[str]:
    known = find_exercise(one.name).known
    yield f"### {one.name}"
    yield ""
    yield f"```python\n{one.solution}\n```"
    yield ""
    if one.remark:
        yield one.remark
        yield ""
    if known:
        yield f"<details><summary>{len(known)} wrong answers that its check knows</summary>"
        yield ""
        yield from (f"- *{mistake.label}*: {mistake.hint}" for mistake in known)
        yield ""
        yield "</details>"
        yield ""
