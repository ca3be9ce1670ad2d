"""Lessons as assignments: what students get, what the instructor keeps, and what nbgrader says."""

import json
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from lesson_support import STEMS, cells

from lipteach.classroom import exercises, release
from lipteach.classroom.course.lesson import read_lesson
from lipteach.classroom.course.releasing import released_notebook, source_notebook

FOLDED = re.compile(r"<summary>Solution</summary>(.*?)</details>", re.DOTALL)


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if re.search(r"\w", line)]


@pytest.mark.parametrize("hints", [True, False])
@pytest.mark.parametrize("stem", STEMS)
def test_a_release_holds_no_line_of_a_solution(stem: str, hints: bool) -> None:
    """Counted: a line that the lesson itself has elsewhere may stand there, and no more often."""
    book = released_notebook(source_notebook(read_lesson(stem), hints))
    original = "\n".join(cell.source for cell in cells(stem))
    folded = [line for part in FOLDED.findall(original) for line in lines(part)]
    elsewhere = Counter(lines(FOLDED.sub("", original)))
    released = Counter(lines("\n".join(cell.source for cell in book.cells)))
    assert len(folded) >= len([name for name in exercises() if name[:2] == stem[:2]])
    assert not [line for line in folded if released[line] > elsewhere[line]]
    assert not any("Solution</summary>" in cell.source for cell in book.cells)
    assert any("Hint</summary>" in cell.source for cell in book.cells) == hints


@pytest.mark.parametrize("stem", STEMS)
def test_every_exercise_has_its_stub_and_its_points(stem: str) -> None:
    book = released_notebook(source_notebook(read_lesson(stem)))
    text = "\n".join(cell.source for cell in cells(stem))
    points = {
        f"{stem[:2]}.{m[2]}": len(m[1])
        for m in re.finditer(
            r"^### Exercise \d+ (●+)○* · \d+ min · ([a-z0-9-]+)$", text, re.MULTILINE
        )
    }
    assert sorted(points) == sorted(name for name in exercises() if name[:2] == stem[:2])
    by_id = {cell.id: place for place, cell in enumerate(book.cells)}
    for name, worth in points.items():
        place = by_id[f"{name.replace('.', '-')}-answer"]
        answer, test = book.cells[place : place + 2]
        call = re.search(rf'^check\("{name}", .*\)$', text, re.MULTILINE)[0]
        assert f"{answer.source.rstrip()}\n" in text
        assert "..." in answer.source
        assert call in test.source
        assert test.metadata.nbgrader.points == worth
        assert (test.metadata.nbgrader.locked, answer.metadata.nbgrader.solution) == (True, True)
        assert not answer.outputs + test.outputs


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_nbgrader_makes_the_notebook_that_we_say(course: Path) -> None:
    name = "00_start_here/00_start_here.ipynb"
    ours = released_notebook(source_notebook(read_lesson("00_start_here")))
    book = nbformat.read(course / "release" / name, as_version=4)
    assert [(c.id, c.source) for c in book.cells] == [(c.id, c.source) for c in ours.cells]
    manifest = json.loads((course / "release.json").read_text(encoding="utf-8"))
    (entry,) = manifest["assignments"].values()
    assert book.metadata.lipteach.release == entry["sha256"]
    assert [one["name"] for one in entry["exercises"]] == ["00.first-check", "00.verdict"]


def test_a_second_release_changes_nothing(course: Path) -> None:
    before = contents(course)
    assert {"nbgrader_config.py", "release.json", "gradebook.db"} < set(before)
    release(["00"], course)
    assert contents(course) == before


def test_own_numbers_stand_before_the_answer() -> None:
    book = released_notebook(source_notebook(read_lesson("04_bjorck"), vary=7))
    ids = [cell.id for cell in book.cells]
    place = ids.index("04-regularizer-own")
    own, answer, test = book.cells[place : place + 3]
    assert (answer.id, answer.source) == ("04-regularizer-answer", "answer = ...\n")
    assert own.source.endswith('print(own_numbers("04.regularizer", 7, STUDENT))')
    assert 'check("04.regularizer", answer, own=(7, STUDENT))' in test.source
    assert own.metadata.nbgrader.locked
    assert "points" not in own.metadata.nbgrader
    assert [name for name in ids if name.endswith("-own")] == ["04-regularizer-own"]
    sources = [cell.source for cell in book.cells]
    assert sources.index('STUDENT = ""') < place
    assert not any("own=" in source for source in sources if "04.steps" in source)


def test_one_course_has_one_seed(course: Path) -> None:
    before = contents(course)
    with pytest.raises(ValueError, match="00_start_here was released here with vary=None; got"):
        release(["01"], course, vary=7)
    with pytest.raises(ValueError, match="was released here with hints=True; got hints=False"):
        release(["01"], course, hints=False)
    assert contents(course) == before
