"""The page for a student: their answers, each passed or with the hint of the check; no solution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lipteach.classroom.course.pages import many, text, write_page
from lipteach.classroom.course.submissions import Submission
from lipteach.classroom.course.verdicts import Graded, Verdict

_MOST = 3000  # letters of an answer


def write_feedback(
    folder: Path,
    assignment: str,
    title: str,
    submission: Submission,
    graded: Graded,
    given: Mapping[str, str],
) -> Path:
    """Write it where nbgrader's ``release_feedback`` looks for it, and return the path.

    ``given`` are the student's own numbers by the name of an exercise.
    """
    path = folder / "feedback" / graded.student / assignment / f"{assignment}.html"
    passed = sum(verdict.passed for verdict in graded.verdicts)
    score = f"{graded.score} of {many(graded.points, 'point')}"
    found = f"{score}; {passed} of {len(graded.verdicts)} exercises passed."
    lines = [f"<p><b>{text(graded.student)}</b>: {found}</p>"]
    if graded.said:
        said = "".join(f"<li>{text(line)}</li>" for line in graded.said)
        lines.append(f"<h2>Your notebook</h2><ul>{said}</ul>")
    lines.append("<h2>Your exercises</h2>")
    cells = dict(submission.cells)
    for verdict in graded.verdicts:
        places = submission.answers.get(verdict.name, [])
        own = given.get(verdict.name, "")
        lines.append(_exercise(verdict, [cells[place] for place in places], own))
    lines.append(
        '<p class="small">A hint is the one that the check gives in your notebook. Cells are '
        "counted from 1, text cells included.</p>"
    )
    write_page(path, title, "\n".join(lines))
    return path


def _exercise(verdict: Verdict, answers: Sequence[str], given: str) -> str:
    state, sign, words = "open", "○", "not tried yet"
    if verdict.passed:
        state, sign, words = "passed", "✓", "passed"
    elif verdict.tried:
        state, sign, words = "wrong", "✗", "not yet"
    score = f"{verdict.score} of {many(verdict.points, 'point')}"
    head = f'<b><span aria-hidden="true">{sign}</span> {text(verdict.name)}: {words}</b> · {score}'
    own = f"<p>Your numbers: {text(given)}.</p>" if given else ""
    hint = f"<p>{text(verdict.hint)}</p>" if verdict.hint else ""
    said = "".join(f'<p class="small">{text(line)}</p>' for line in verdict.said)
    shown = "".join(f"<pre>{text(_short(answer))}</pre>" for answer in answers if verdict.tried)
    return f'<div class="{state}"><p>{head}</p>{own}{hint}{said}{shown}</div>'


def _short(answer: str) -> str:
    return answer if len(answer) <= _MOST else f"{answer[:_MOST]} …"
