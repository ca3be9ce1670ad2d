"""The page for a student: each exercise passed, or the hint of the check; no solution."""

from __future__ import annotations

from pathlib import Path

from lipteach.classroom.course.pages import many, text, write_page
from lipteach.classroom.course.verdicts import Graded, Verdict


def write_feedback(folder: Path, assignment: str, title: str, graded: Graded) -> Path:
    """Write it where nbgrader's ``release_feedback`` looks for it, and return the path."""
    path = folder / "feedback" / graded.student / assignment / f"{assignment}.html"
    passed = sum(verdict.passed for verdict in graded.verdicts)
    score = f"{graded.score} of {many(graded.points, 'point')}"
    lines = [f"<p>{score}; {passed} of {len(graded.verdicts)} exercises passed.</p>"]
    if graded.said:
        said = "".join(f"<li>{text(line)}</li>" for line in graded.said)
        lines.append(f"<h2>Your notebook</h2><ul>{said}</ul>")
    lines.append("<h2>Your exercises</h2>")
    lines += [_exercise(verdict) for verdict in graded.verdicts]
    lines.append(
        '<p class="small">A hint is the one that the check gives in your notebook. Cells are '
        "counted from 1, text cells included.</p>"
    )
    write_page(path, title, "\n".join(lines))
    return path


def _exercise(verdict: Verdict) -> str:
    state, sign, words = "open", "○", "not tried yet"
    if verdict.passed:
        state, sign, words = "passed", "✓", "passed"
    elif verdict.tried:
        state, sign, words = "wrong", "✗", "not yet"
    score = f"{verdict.score} of {many(verdict.points, 'point')}"
    head = f'<b><span aria-hidden="true">{sign}</span> {text(verdict.name)}: {words}</b> · {score}'
    hint = f"<p>{text(verdict.hint)}</p>" if verdict.hint else ""
    said = "".join(f'<p class="small">{text(line)}</p>' for line in verdict.said)
    return f'<div class="{state}"><p>{head}</p>{hint}{said}</div>'
