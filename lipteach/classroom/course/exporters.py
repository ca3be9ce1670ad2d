"""Grades as learning platforms import them, as exporters of nbgrader.

``nbgrader export --exporter=lipteach.classroom.course.exporters.MoodleExport`` writes all
assignments into one file; `grade` writes one for each assignment.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lipteach.classroom.course.configuration import application, nbgrader_at_work
from lipteach.classroom.course.tables import safe

with nbgrader_at_work():
    from nbgrader.api import MissingEntry
    from nbgrader.plugins import ExportPlugin


class _TableExport(ExportPlugin):  # type: ignore[misc]
    """Rows of a table from the gradebook; students without a submission have an empty grade."""

    name = "grades.csv"

    def export(self, gradebook: Any) -> None:
        """Write the table to ``to``, or to a file of its own name."""
        wanted = [str(one) for one in self.assignment]
        chosen = [a for a in gradebook.assignments if not wanted or a.name in wanted]
        students = [s for s in gradebook.students if not self.student or s.id in self.student]
        with open(self.to or self.name, "w", encoding="utf-8", newline="") as file:
            rows = self.rows(gradebook, chosen, students)
            csv.writer(file).writerows([safe(value) for value in row] for row in rows)

    def rows(self, gradebook: Any, assignments: Any, students: Any) -> Iterator[list[Any]]:
        """The head, and a row for each student."""
        raise NotImplementedError


def _score(gradebook: Any, assignment: Any, student: Any) -> Any:
    try:
        found = gradebook.find_submission(assignment.name, student.id)
    except MissingEntry:
        return ""
    return max(0.0, found.score - (found.late_submission_penalty or 0.0))


class MoodleExport(_TableExport):
    """Moodle: grades are mapped by "ID number" or "Email address" when the file is imported."""

    name = "grades_moodle.csv"

    def rows(self, gradebook: Any, assignments: Any, students: Any) -> Iterator[list[Any]]:
        """One column of points for each assignment."""
        who = ["First name", "Last name", "ID number", "Email address"]
        yield [*who, *(f"Assignment: {one.name} (Real)" for one in assignments)]
        for one in students:
            scores = [_score(gradebook, assignment, one) for assignment in assignments]
            yield [one.first_name or "", one.last_name or "", one.id, one.email or "", *scores]


class CanvasExport(_TableExport):
    """Canvas: the folder's name of a student is the login; a row says what each is worth."""

    name = "grades_canvas.csv"

    def rows(self, gradebook: Any, assignments: Any, students: Any) -> Iterator[list[Any]]:
        """One column for each assignment, and the points possible above the students."""
        columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        yield [*columns, *(one.name for one in assignments)]
        yield ["    Points Possible", "", "", "", "", *(one.max_score for one in assignments)]
        for one in students:
            name = ", ".join(filter(None, (one.last_name, one.first_name))) or one.id
            scores = [_score(gradebook, assignment, one) for assignment in assignments]
            yield [name, "", "", one.id, "", *scores]


def export_grades(folder: Path, assignment: str, to: Path) -> None:
    """Write both tables of one assignment."""
    with nbgrader_at_work(), application(folder).gradebook as book:
        for kind in (MoodleExport, CanvasExport):
            own = kind(to=str(to / kind.name), assignment=[assignment])
            own.export(book)
