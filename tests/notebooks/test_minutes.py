"""Headings of exercises have one form, and the minutes that a lesson promises are honest.

The text counts at 100 to 150 words a minute. An exercise's own text counts in its own minutes.
"""

import ast
import re

import pytest
from lesson_support import CHECK, EXERCISE, NOTEBOOKS, OPTIONAL, STEMS, Part, cells, header, parts

from lipteach.classroom import exercises

README = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
SLOW, FAST = 100, 150


def headings(stem: str) -> list[re.Match[str]]:
    """The headings of the exercises, each in the one form."""
    lines = [part.heading for part in parts(stem) if re.match(r"#+ *exercise", part.heading, re.I)]
    found = [EXERCISE.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return found


@pytest.mark.parametrize("stem", STEMS)
def test_each_exercise_has_one_heading_in_the_one_form(stem: str) -> None:
    found = headings(stem)
    assert [int(match[1]) for match in found] == list(range(1, len(found) + 1))
    assert all(len(match[2]) == 3 for match in found)
    names = [f"{stem[:2]}.{match[4]}" for match in found]
    checks = [name for cell in cells(stem) for name in CHECK.findall(cell.source)]
    assert names == checks, "the name is that of the check below (is the notebook executed anew?)"
    assert sorted(names) == sorted(name for name in exercises() if name.startswith(stem[:2]))


@pytest.mark.parametrize("stem", STEMS)
def test_the_minutes_of_exercises_are_the_sum_of_their_headings(stem: str) -> None:
    total = sum(int(match[3]) for match in headings(stem))
    assert header(stem)["exercises"] == total, f"the header of {stem} must say {total} minutes"


@pytest.mark.parametrize("stem", STEMS)
def test_reading_minutes_are_honest(stem: str) -> None:
    main = [p for p in parts(stem) if not (p.optional or EXERCISE.match(p.heading))]
    low, high = (sum(part.minutes(rate) for part in main) for rate in (FAST, SLOW))
    stated = header(stem)["reading"]
    assert low <= stated <= high, f"{stem}: {stated} minutes, and it takes {low:.0f} to {high:.0f}"
    assert stated <= 45, f"{stem}: what is over 45 minutes is marked as optional"


@pytest.mark.parametrize("stem", STEMS)
def test_optional_parts_are_marked_and_counted(stem: str) -> None:
    marked = [part for part in parts(stem) if part.optional]
    for part in marked:
        low, high = part.minutes(FAST), part.minutes(SLOW)
        assert low - 0.5 <= part.optional <= high + 0.5, f"{part.heading}: {low:.1f} to {high:.1f}"
        assert not EXERCISE.match(part.heading)
    assert header(stem)["optional"] == sum(part.optional for part in marked)
    text = "\n".join(part.text for part in parts(stem))
    assert len(OPTIONAL.findall(text)) == len(marked), "a mark stands first under its heading"


def names(some: list[Part], context: type[ast.expr_context]) -> set[str]:
    """The names that the code of these parts reads (`ast.Load`) or binds (`ast.Store`)."""
    found = set()
    for node in ast.walk(ast.parse("\n".join(part.code for part in some))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef) and context is ast.Store:
            found.add(node.name)
    return found


@pytest.mark.parametrize("stem", STEMS)
def test_what_is_optional_may_be_left_out(stem: str) -> None:
    optional = [part for part in parts(stem) if part.optional]
    others = [part for part in parts(stem) if not part.optional]
    only_there = names(optional, ast.Store) - names(others, ast.Store)
    assert not only_there & names(others, ast.Load)


@pytest.mark.parametrize("stem", STEMS)
def test_both_readmes_name_the_lesson(stem: str) -> None:
    stated = header(stem)
    row = next(line for line in README.splitlines() if f"notebooks/{stem}.ipynb" in line)
    end = f"| {stated['reading']} + {stated['exercises']} |"
    assert row.endswith(end), f"README.md: the row of {stem} must end with {end}"
    title = re.match(r"# (\d\d) · (.+)", cells(stem)[0].source)
    assert row.startswith(f"| [{title[1]} {title[2]}](")


def test_the_course_links_the_lessons_in_order() -> None:
    course = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"^\| \[(\d\d) (\w+)\]\((\w+)\.ipynb\)", course, re.MULTILINE)
    assert [stem for *_, stem in linked] == STEMS == [f"{n}_{name}" for n, name, _ in linked]
    assert re.findall(r"^\| \[\d\d .+?\]\(notebooks/(\w+)\.ipynb\)", README, re.MULTILINE) == STEMS
