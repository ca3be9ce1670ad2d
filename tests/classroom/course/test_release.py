"""Lessons as assignments: what students get, what the instructor keeps, and what nbgrader says."""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from lesson_support import STEMS, cells

from lipteach.classroom import check_release, exercises, release
from lipteach.classroom.checks import examine
from lipteach.classroom.command_line import main
from lipteach.classroom.course.assigned_cells import released_notebook, source_notebook
from lipteach.classroom.course.configuration import application, nbgrader_at_work
from lipteach.classroom.course.instructor_page import instructor_page
from lipteach.classroom.course.lesson import read_lesson

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
    assert {"nbgrader_config.py", "release.json", "gradebook.db", "INSTRUCTOR.md"} < set(before)
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


def test_the_instructor_is_told_each_solution_and_each_known_mistake(course: Path) -> None:
    page = (course / "INSTRUCTOR.md").read_text(encoding="utf-8")
    for one in read_lesson("00_start_here").exercises.values():
        assert f"| {one.name} | {one.points} | {one.minutes} | fixed |" in page
        assert one.solution in page
        for mistake in exercises()[one.name].known:
            assert f"- *{mistake.label}*: {mistake.hint}" in page
    assert "Reading 9 minutes, exercises 4 · points 2" in page
    manifest = json.loads((course / "release.json").read_text(encoding="utf-8"))
    manifest |= {"vary": 7, "hints": False, "assignments": {"04_bjorck": {}}}
    page = instructor_page(manifest)
    assert "| 04.regularizer | 2 | 6 | each student's own |" in page
    assert "hints: no; numbers: own ones where they vary (seed 7)." in page


def test_a_source_that_the_instructor_changed_is_kept_and_released(
    course: Path, capsys: pytest.CaptureFixture
) -> None:
    path = course / "source" / "00_start_here" / "00_start_here.ipynb"
    original, before = path.read_bytes(), contents(course)
    book = nbformat.read(path, as_version=4)
    book.cells.insert(2, nbformat.v4.new_markdown_cell("Due on Monday.", id="due"))
    book.metadata["widgets"] = {}
    nbformat.write(book, path)
    with pytest.warns(UserWarning, match="source/00_start_here was changed by hand and is kept"):
        release(["00"], course)
    released = nbformat.read(course / "release" / "00_start_here" / path.name, as_version=4)
    assert main(["release", "00", "--folder", str(course)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("source/00_start_here was changed")]
    assert not [line for line in said if "UserWarning" in line], "it is said in plain words"
    assert "Due on Monday." in [cell.source for cell in released.cells]
    assert check_release(course) == []
    path.write_bytes(original)
    release(["00"], course)
    after = contents(course)
    assert {name for name in after if after[name] != before[name]} <= {
        "gradebook.db",
        "nbgrader.log",
    }


def test_the_validator_of_nbgrader_passes_what_is_solved_and_names_what_is_not(
    course: Path, tmp_path: Path
) -> None:
    """A small notebook is run: one exercise as in the source, the other as students get it."""

    slow = "import torch\nfrom lipteach.classroom import guard\nguard.SECONDS = 60"
    taken = [nbformat.v4.new_code_cell(slow, id="torch")]  # on a busy machine
    for kind, name in (("source", "first-check"), ("release", "verdict")):
        path = course / kind / "00_start_here" / "00_start_here.ipynb"
        book = nbformat.read(path, as_version=4)
        taken += [c for c in book.cells if c.id in (f"00-{name}-answer", f"00-{name}-test")]
    book.cells = [*taken, nbformat.v4.new_code_cell("ended = True\nassert ended", id="last")]
    nbformat.write(book, tmp_path / "small.ipynb")
    with nbgrader_at_work():
        from nbgrader.validator import Validator

        validator = Validator(config=application(course).config, validate_all=True)
        said = validator.validate(str(tmp_path / "small.ipynb"))
    assert list(said) == ["failed"], "no cell has changed, except for the answers"
    assert [cell["source"] for cell in said["failed"]] == [taken[-1].source]
    assert said["failed"][0]["raw_error"].endswith("not tried yet")


def test_nbgrader_finds_its_tools_where_no_environment_is_activated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    assert shutil.which("alembic") is None
    with nbgrader_at_work():
        assert shutil.which("alembic")
    assert os.environ["PATH"] == ""


@pytest.mark.parametrize("stem", STEMS)
def test_what_stands_in_the_answer_cells_is_not_tried(stem: str) -> None:
    """The bank itself finds no answer there."""
    book = released_notebook(source_notebook(read_lesson(stem)))
    by_id = {cell.id: cell.source for cell in book.cells}
    for one in read_lesson(stem).exercises.values():
        namespace: dict = {}
        exec(by_id[one.answer_id], namespace)
        report = examine(exercises()[one.name], eval(one.variable, namespace))
        assert (report.passed, report.tried) == (False, False), one.name


def test_a_release_that_nbgrader_refuses_changes_nothing(
    course: Path, tmp_path, monkeypatch
) -> None:
    folder = shutil.copytree(course, tmp_path / "course")
    before = contents(folder)

    class Refuses:
        def generate_assignment(self, stem: str) -> dict[str, object]:
            shutil.rmtree(folder / "release" / stem)  # as nbgrader does
            return {"success": False, "error": "Traceback", "log": "[INFO] a\n[ERROR] graded\n"}

    monkeypatch.setattr("lipteach.classroom.course.releasing.application", lambda _: Refuses())
    with pytest.raises(
        RuntimeError, match=r"nothing was changed: \[ERROR\] graded \(What has been"
    ):
        release(["0"], folder, hints=False)
    assert contents(folder) == before
