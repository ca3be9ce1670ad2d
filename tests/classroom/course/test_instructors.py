"""The guide for instructors says what is there: minutes, exercises, headings, and ten lines."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from lesson_support import EXERCISE, NOTEBOOKS, STEMS, cells, header

from lipteach.classroom import check, checks, exercises, lessons
from lipteach.classroom.command_line import COMMANDS
from lipteach.classroom.course import lesson
from lipteach.classroom.course.assigned_cells import released_notebook, source_notebook

GUIDE = (NOTEBOOKS / "INSTRUCTORS.md").read_text(encoding="utf-8")
MAKEFILE = (NOTEBOOKS.parent / "Makefile").read_text(encoding="utf-8")
BY_NUMBER = {stem[:2]: stem for stem in STEMS}
NAME = re.compile(r"\b\d\d\.[a-z0-9-]+\b")


def rows(section: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    part = GUIDE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def minutes_of() -> dict[str, int]:
    return {
        f"{stem[:2]}.{name}": int(minutes)
        for stem in STEMS
        for cell in cells(stem)
        if cell.cell_type == "markdown"
        for _, _, minutes, name in EXERCISE.findall(cell.source)
    }


def test_the_minutes_of_two_weeks_are_those_of_the_lessons() -> None:
    worth = minutes_of()
    for _, read, reading, in_class, during, at_home, after in rows("Two weeks"):
        stems = [BY_NUMBER[number] for number in read.split(", ")]
        assert int(reading) == sum(header(stem)["reading"] for stem in stems)
        assert int(during) == sum(worth[name] for name in NAME.findall(in_class))
        assert int(after) == sum(worth[name] for name in NAME.findall(at_home))
        assert int(reading) + int(during) <= 90
        named = NAME.findall(in_class + " " + at_home)
        assert sorted(named) == sorted(n for n in worth if BY_NUMBER[n[:2]] in stems)


def test_the_minutes_of_six_weeks_are_those_of_the_lessons() -> None:
    seen = []
    for _, listed, reading, tasks in rows("Six weeks"):
        stems = [BY_NUMBER[number] for number in listed.split(", ")]
        assert int(reading) == sum(header(stem)["reading"] for stem in stems)
        assert int(tasks) == sum(header(stem)["exercises"] for stem in stems)
        seen += stems
    assert sorted(seen) == STEMS


def test_every_exercise_and_every_heading_is_there() -> None:
    named = {name for row in rows("Which exercises for what") for name in NAME.findall(row[1])}
    assert named <= set(exercises())
    exam = next(row[1] for row in rows("Which exercises for what") if row[0] == "exam")
    assert NAME.findall(exam) == [name for name, e in exercises().items() if e.vary]
    for number, _, part in rows("What is often believed, and the part that cures it"):
        text = "\n".join(cell.source for cell in cells(BY_NUMBER[number]))
        assert re.search(rf"^##+ {re.escape(part)}$", text, re.MULTILINE), part


def test_the_commands_are_there() -> None:
    typed = set(re.findall(r"-m lipteach\.classroom ([a-z-]+)", GUIDE))
    assert typed == {*COMMANDS}
    assert all(re.search(rf"^{name}:", MAKEFILE, re.MULTILINE) for name in ("course", "lab"))


@pytest.fixture
def own_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The two texts of the guide, each where the guide puts it."""
    part = GUIDE.partition("## An exercise of your own")[2]
    bank, notebook = re.findall(r"^```python\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert len([line for line in bank.splitlines() if line]) == 10
    (tmp_path / "l90_mine").mkdir()
    (tmp_path / "l90_mine" / "__init__.py").touch()
    (tmp_path / "l90_mine" / "exercises.py").write_text(bank, encoding="utf-8")
    (tmp_path / "90_mine.py").write_text(notebook, encoding="utf-8")
    nbformat.write(jupytext.reads(notebook, fmt="py:percent"), tmp_path / "90_mine.ipynb")
    monkeypatch.setattr(lessons, "__path__", [*lessons.__path__, str(tmp_path)])
    monkeypatch.setattr(lesson, "NOTEBOOKS", tmp_path)
    for cached in (checks.lesson_exercises, checks.exercises):
        cached.cache_clear()
    yield
    for cached in (checks.lesson_exercises, checks.exercises, lesson.read_lesson):
        cached.cache_clear()


@pytest.mark.usefixtures("own_lesson")
def test_ten_lines_make_an_exercise(capsys: pytest.CaptureFixture) -> None:
    assert check("90.halves", 0.5**3).passed
    assert check("90.halves", 0.25).hint == "This is a half of a half: how many halves are there?"
    assert "How many" not in check("90.halves", 7.0).hint
    assert "A number is needed" in check("90.halves", "an eighth").hint
    assert not check("90.halves", ...).tried
    capsys.readouterr()
    assert lesson.find_lesson("90") == "90_mine"
    own = lesson.read_lesson("90_mine")
    (one,) = own.exercises.values()
    assert (one.name, one.points, one.minutes) == ("90.halves", 1, 3)
    source = source_notebook(own)
    assert "answer = 0.5**3" in "\n".join(cell.source for cell in source.cells)
    text = "\n".join(cell.source for cell in released_notebook(source).cells)
    assert "0.5**3" not in text
    assert 'check("90.halves", answer)' in text
