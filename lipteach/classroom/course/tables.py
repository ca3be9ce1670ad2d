"""Tables with names, for the instructor alone: each notebook, who is absent, and own numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from lipteach.classroom.checks import lesson_exercises
from lipteach.classroom.course.verdicts import Graded
from lipteach.classroom.own import draw_for, plain_name

NOTEBOOKS, ABSENT, OWN = "notebooks.csv", "absent.csv", "own_numbers.csv"


def write_tables(
    place: Path,
    all_of: Sequence[Graded],
    absent: Iterable[tuple[str, str]],
    vary: int | None,
) -> None:
    """Write them beside a class report; the last one only where numbers vary.

    notebooks.csv has a row for each student and a column for each exercise, with its points, and
    what is said of the notebook; absent.csv those of the gradebook who have nothing in
    ``submitted/``, with the points that the gradebook still has; own_numbers.csv what was given to
    each student, and the answer to it.
    """
    names = [verdict.name for verdict in all_of[0].verdicts]
    rows: list[list[object]] = [["student", "points", *names, "said"]]
    for graded in all_of:
        each = [verdict.score if verdict.tried else "" for verdict in graded.verdicts]
        said = [f"{v.name}: {line}" for v in graded.verdicts for line in v.said]
        rows.append([graded.student, graded.score, *each, " ".join([*graded.said, *said])])
    write_table(place / NOTEBOOKS, rows)
    write_table(place / ABSENT, [("student", "points in the gradebook"), *absent])
    if vary is not None:
        head = ("student", "exercise", "given", "answer")
        students = [graded.student for graded in all_of]
        rows_of = (own_rows(student, names, vary) for student in students)
        write_table(place / OWN, [head, *(row for rows in rows_of for row in rows)])


def own_rows(student: str, names: Iterable[str], vary: int) -> list[tuple[str, str, str, float]]:
    """What one student was given in the exercises whose numbers vary, and the answers."""
    rows = []
    for name in names:
        exercise = lesson_exercises(name[:2])[name]
        if exercise.vary is not None:
            own = exercise.vary(draw_for(name, vary, plain_name(student)))
            rows.append((student, name, own.given, own.value))
    return rows


def write_table(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, in which no name can become a formula."""
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file).writerows([safe(value) for value in row] for row in rows)


def safe(value: object) -> object:
    """A text that begins like a formula must not become one in a spreadsheet.

    >>> safe("=1+1"), safe(-1)
    ("'=1+1", -1)
    """
    formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@")
    return f"'{value}" if formula else value
