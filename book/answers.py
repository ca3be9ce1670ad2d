"""Exercises in the book: a box where the answer is a number or a word, else where to solve them."""

from __future__ import annotations

import json
import math
import os
from typing import Any

from lipteach.classroom.checks import Exercise, examine
from lipteach.classroom.slips import NEARLY, SHARE


def in_script(data: dict[str, Any]) -> str:
    """Data as JSON that cannot end the element in which it stands."""
    return json.dumps(data, ensure_ascii=False).replace("</", "<\\/")


def answer_data(exercise: Exercise) -> dict[str, Any] | None:
    """What a page needs to judge a number or a choice; None where the answer is another thing.

    Values and hints alone: no code. A page knows fewer mistakes than the check, where these are
    recognised by a rule.
    """
    solution = exercise.solution
    if isinstance(solution, bool) or not isinstance(solution, int | float | str):
        return None
    number = not isinstance(solution, str)
    if number and examine(exercise, 1.01 * float(solution)).passed:
        return None  # any of many is right, by a rule
    known = [(m.answer, m.hint) for m in exercise.known if isinstance(m.answer, int | float | str)]
    if not number:
        return {
            "number": False,
            "right": sorted({solution, *exercise.right.values()}),
            "mistakes": known,
            "otherwise": examine(exercise, "another word").hint,
        }
    value = float(solution)
    known = [(answer, hint) for answer, hint in known if math.isfinite(float(answer))]
    return {
        "number": True,
        "value": value,
        "right": edges(exercise),
        "mistakes": known + slips(exercise, value),
        "nearly": hint_near(exercise, value),
        "share": SHARE,
        "otherwise": getattr(exercise.judge, "keywords", {}).get("otherwise", ""),
    }


def slips(exercise: Exercise, value: float) -> list[tuple[float, str]]:
    """What the check says to what comes of one slip, where it says more than too large or small."""
    made = [-value, 2 * value, value / 2, value**2, abs(value) ** 0.5, value + 1, value - 1]
    made += [1 / value, 100 * value] if value else []
    said = [(one, examine(exercise, one)) for one in made]
    return [(one, report.hint) for one, report in said if not report.passed
            and "the number we look for" not in report.hint]  # fmt: skip


def hint_near(exercise: Exercise, value: float) -> str:
    """What the check says to an answer with too few digits, `{got}` for it; nothing if not that."""
    probes = [value * (1 + part * SHARE) + 1e-9 for part in (-0.9, 0.9, 0.7)]
    for got in (*probes, round(value, 1), round(value, 2)):
        hint = examine(exercise, got).hint
        if hint == NEARLY or hint.startswith("Nearly"):
            return hint.replace(f"{got:.10g}", "{got}")
    return ""


def edges(exercise: Exercise) -> list[float]:
    """The least and the greatest number around the solution that the check accepts, by asking it.

    A check may allow for rounding, by a rule of its own.
    """
    solution, found = float(exercise.solution), []
    for side in (-0.01, 0.01):
        inside, outside = solution, solution + side * abs(solution)
        for _ in range(20):
            middle = (inside + outside) / 2
            passed = examine(exercise, middle).passed
            inside, outside = (middle, outside) if passed else (inside, middle)
        found.append(inside)
    return found


def box_html(name: str, data: dict[str, Any]) -> str:
    """A box to write an answer into."""
    return (
        f'<form class="lt-answer" data-name="{name}">'
        f'<script type="application/json">{in_script(data)}</script>'
        f'<label>Your answer to {name}: <input name="answer" autocomplete="off" '
        'autocapitalize="off" spellcheck="false"></label> '
        '<button type="submit">Check</button><output role="status"></output></form>'
    )


def elsewhere_html(name: str, stem: str) -> str:
    """Where an answer is judged that is code: no page runs that."""
    places = ['<a href="../index.html#to-run-the-lessons">JupyterLab</a>']
    if repository := os.environ.get("GITHUB_REPOSITORY"):  # a workflow of GitHub's sets it
        path = f"notebooks/{stem}.ipynb"
        binder = f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath={path}"
        colab = f"https://colab.research.google.com/github/{repository}/blob/HEAD/{path}"
        places += [f'<a href="{binder}">Binder</a>', f'<a href="{colab}">Colab</a>']
    return (
        f'<p class="lt-elsewhere">No page can judge {name}: solve it in {" or ".join(places)}.</p>'
    )
