"""A notebook is read for what it holds, without a process that runs it."""

import json
from pathlib import Path

import nbformat
import pytest
from course_support import RIGHT, SMALLER, STEM, answered, cell, hand_in
from nbformat.v4 import new_code_cell

from lipteach.classroom.checks import examine, lesson_exercises
from lipteach.classroom.course.gradebook import autograded
from lipteach.classroom.course.judging import exercise_for
from lipteach.classroom.course.manifest import read_manifest
from lipteach.classroom.course.submissions import (
    Submission,
    grade_id,
    misplaced,
    name_in,
    read_submissions,
    understand,
)
from lipteach.classroom.course.verdicts import Graded, Verdict


def understood(course: Path, tmp_path: Path, book) -> Submission:
    hand_in(tmp_path, "ada", book)
    found = read_submissions(tmp_path, STEM)["ada"]
    released = nbformat.read(course / "release" / STEM / f"{STEM}.ipynb", as_version=4)
    return understand("ada", found, read_manifest(course)["assignments"][STEM], released)


def sources(submission: Submission, name: str) -> list[str]:
    cells = dict(submission.cells)
    return [cells[place] for place in submission.answers[name]]


def test_an_untouched_notebook_has_no_cell_of_its_own(course: Path, tmp_path: Path) -> None:
    book = nbformat.read(course / "release" / STEM / f"{STEM}.ipynb", as_version=4)
    submission = understood(course, tmp_path, book)
    assert submission.own == []
    assert submission.said == []
    assert list(submission.answers) == ["00.first-check", "00.verdict"]


def test_an_answer_in_a_cell_of_its_own_below_counts(course: Path, tmp_path: Path) -> None:
    book = answered(course, SMALLER)
    book.cells.insert(book.cells.index(cell(book, "00-first-check-test")), new_code_cell(RIGHT))
    assert sources(understood(course, tmp_path, book), "00.first-check") == [RIGHT]


def test_a_test_that_was_moved_is_not_that_of_other_answers(course: Path, tmp_path: Path) -> None:
    book = answered(course)
    first = cell(book, "00-first-check-test")
    book.cells.remove(first)
    book.cells.append(first)
    book.cells.insert(book.cells.index(cell(book, "00-verdict-answer")) + 1, new_code_cell(SMALLER))
    assert sources(understood(course, tmp_path, book), "00.first-check") == [RIGHT]


def test_minutes_are_those_that_lab_notes(course: Path, tmp_path: Path) -> None:
    book = answered(course)
    for number, one in enumerate(c for c in book.cells if c.cell_type == "code"):
        when = f"2026-01-01T10:{3 * number:02d}:00+00:00"
        one.metadata["execution"] = {"iopub.execute_input": when}
    cell(book, "00-verdict-answer").metadata["execution"] = {"iopub.execute_input": "yesterday"}
    assert understood(course, tmp_path, book).minutes == {"00.first-check": 3.0}


def test_the_notebook_of_another_lesson_is_called_that(course: Path, tmp_path: Path) -> None:
    book = answered(course)
    book.metadata["lipteach"] = {"assignment": "04_bjorck", "release": "0" * 64}
    said = understood(course, tmp_path, book).said
    assert said == [f"It is the notebook of 04_bjorck: hand in {STEM}.ipynb."]


def test_links_are_not_followed(course: Path, tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", answered(course))
    try:
        (tmp_path / "submitted" / "bob").symlink_to(tmp_path / "submitted" / "ada")
    except OSError:
        pytest.skip("no links here")
    place = tmp_path / "submitted" / "eve" / STEM
    place.mkdir(parents=True)
    (place / f"{STEM}.ipynb").symlink_to("/etc/hostname")
    found = read_submissions(tmp_path, STEM)
    assert found["ada"][1]
    assert found["bob"][1] == found["eve"][1] == b""


def test_of_two_notebooks_the_one_with_exercises_is_taken(course: Path, tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", answered(course), "mine.ipynb")
    hand_in(tmp_path, "ada", "{}", "a scratch.ipynb")
    name, _, said = read_submissions(tmp_path, STEM)["ada"]
    assert name == "mine.ipynb"
    assert len(said) == 2


@pytest.mark.parametrize(
    "text",
    ['{"cells": 3}', '{"cells": [3]}', '{"cells": [{"cell_type": "code", "source": 3}]}', "\x00",
     '{"cells": [{"cell_type": "code", "source": "\\ud800", "metadata": 7}]}', "[" * 9999, '"text"',
     '{"metadata": [], "cells": [{"cell_type": "code", "source": ["a = 1"]}]}'],
)  # fmt: skip
def test_nothing_that_a_file_holds_is_an_error_of_ours(course, tmp_path, text: str) -> None:
    submission = understood(course, tmp_path, text)
    assert submission.said
    assert submission.answers == {}


def test_the_graded_notebook_has_the_released_tests_and_each_mark_once(course, tmp_path) -> None:
    book = answered(course)
    cell(book, "00-first-check-test").source = "pass"
    book.cells.append(new_code_cell("x", metadata=dict(cell(book, "00-verdict-answer").metadata)))
    book.cells.remove(cell(book, "00-verdict-test"))
    submission = understood(course, tmp_path, book)
    entry = read_manifest(course)["assignments"][STEM]
    released = nbformat.read(course / "release" / STEM / f"{STEM}.ipynb", as_version=4)
    verdicts = Verdict("00.first-check", 1, True, True), Verdict("00.verdict", 1, hint="Why?")
    graded = autograded(submission, Graded("ada", verdicts), entry, released)
    nbformat.validate(json.loads(nbformat.writes(graded)))
    marks = [grade_id(one) for one in graded.cells if grade_id(one)]
    assert sorted(marks) == sorted({grade_id(one) for one in released.cells if grade_id(one)})
    first, second = (cell(graded, f"00-{name}-test") for name in ("first-check", "verdict"))
    assert first.source == cell(released, "00-first-check-test").source
    assert first.outputs[0].text == "00.first-check: passed\n"
    assert (second.outputs[0].output_type, second.outputs[0].evalue) == ("error", "Why?")


def test_the_name_in_the_notebook_is_found(course: Path, tmp_path: Path) -> None:
    book = answered(course)
    for one in book.cells:
        one.source = one.source.replace('STUDENT = ""', "STUDENT = 'Ada L.'")
    assert name_in(understood(course, tmp_path, book)) == "Ada L."


def test_numbers_of_their_own_are_those_of_the_folder() -> None:
    plain = lesson_exercises("04")["04.regularizer"]
    ada, bob = (exercise_for("04.regularizer", 7, name) for name in ("Ada", "bob"))
    assert exercise_for("04.regularizer", None, "Ada") is plain
    assert examine(ada, ada.solution).passed
    assert not examine(bob, ada.solution).passed
    assert exercise_for("04.steps", 7, "Ada") is lesson_exercises("04")["04.steps"]


def test_notebooks_in_no_students_folder_are_named(tmp_path: Path) -> None:
    for path in ("a/00_start_here/x.ipynb", "b/y.ipynb", "c/00/z.ipynb", "w.ipynb"):
        place = tmp_path / "submitted" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    found = misplaced(tmp_path, {"00_start_here": {}})
    assert found == [str(Path("b/y.ipynb")), str(Path("c/00/z.ipynb")), "w.ipynb"]
