"""Grading with nbgrader's own gradebook: right, wrong and hostile notebooks, each by itself."""

import csv
import json
import os
import re
from pathlib import Path

import pytest
from course_support import BROKEN, STEM, ZOO, fill

from lipteach.classroom.checks import lesson_exercises
from lipteach.classroom.course import grading, judges, verdicts
from lipteach.classroom.course.configuration import application, nbgrader_at_work
from lipteach.classroom.course.lesson import read_lesson
from lipteach.classroom.course.verdicts import Graded, kept

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the zoo runs where processes fork")
LIMITS = {"workers": 1, "seconds": 1, "megabytes": 512}


@pytest.fixture(scope="module")
def stopped_and_graded(course: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The zoo, with what stood there when the first run was stopped."""
    folder = fill(course, tmp_path_factory.mktemp("zoo"))
    before = _digests(folder / "submitted")

    def keep(path: Path, graded: Graded) -> None:
        if len(_kept(folder)) == 3:  # as a kill while the fourth is written
            path.with_suffix(".part").write_text("{", encoding="utf-8")
            raise KeyboardInterrupt
        verdicts.keep(path, graded)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            grading.grade(folder, **LIMITS)
    done = _kept(folder)
    assert list(grading.grade(folder, **LIMITS | {"workers": 2})) == [STEM]
    assert _digests(folder / "submitted") == before, "nobody has changed what was handed in"
    return folder, done


@pytest.fixture(scope="module")
def zoo(stopped_and_graded: tuple[Path, dict]) -> Path:
    return stopped_and_graded[0]


def _kept(folder: Path) -> dict[str, int]:
    place = folder / "reports" / STEM / "graded"
    return {path.name: path.stat().st_mtime_ns for path in place.glob("*.json")}


def _digests(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def result(folder: Path, student: str) -> Graded:
    path = folder / "reports" / STEM / "graded" / f"{student}.json"
    found = kept(path, json.loads(path.read_text(encoding="utf-8"))["key"])
    assert found is not None
    return found


def everything_said(graded: Graded) -> str:
    lines = [line for v in graded.verdicts for line in (v.hint, *v.said)]
    return "\n".join([*graded.said, *lines])


@pytest.mark.parametrize("name", ZOO)
def test_a_hostile_notebook_is_graded_for_what_it_holds(zoo: Path, name: str) -> None:
    _, _, passes, said = ZOO[name]
    graded = result(zoo, name)
    first, second = graded.verdicts
    assert first.passed == passes, first
    assert second.passed == (name != "older"), "what one exercise does hurts no other"
    assert said in everything_said(graded)
    assert first.passed or first.hint.endswith((".", "?")), "a sentence says what happened"


@pytest.mark.parametrize("name", [*BROKEN, "without a notebook"])
def test_what_cannot_be_read_is_said_and_gets_nothing(zoo: Path, name: str) -> None:
    graded = result(zoo, name)
    said = BROKEN[name][2] if name in BROKEN else "There is no notebook"
    assert said in everything_said(graded)
    assert [verdict.tried for verdict in graded.verdicts] == [False, False]


def test_right_renamed_untouched_and_wrong(zoo: Path) -> None:
    assert [v.passed for v in result(zoo, "right").verdicts] == [True, True]
    assert result(zoo, "right").said == ()
    assert result(zoo, "renamed").score == result(zoo, "right").score == 2
    assert "my homework.ipynb" in everything_said(result(zoo, "renamed"))
    assert not any(v.tried or v.hint for v in result(zoo, "untouched").verdicts)
    wrong = result(zoo, "wrong 0")
    hint = lesson_exercises("00")["00.first-check"].mistakes["minimum"][1]
    assert wrong.verdicts[0].hint == hint


def test_the_gradebook_is_that_of_nbgrader(zoo: Path) -> None:
    """Its own interface, exporter and feedback read what we wrote."""
    with nbgrader_at_work(), application(zoo).gradebook as book:
        from nbgrader.plugins.export import CsvExportPlugin

        for name in ("right", "loops", "patches", "empty"):
            submission = book.find_submission(STEM, name)
            assert submission.score == result(zoo, name).score
            assert submission.max_score == 2
            assert not submission.needs_manual_grade
        CsvExportPlugin(to=str(zoo / "all.csv")).export(book)
    with (zoo / "all.csv").open(encoding="utf-8") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    students = {path.name for path in (zoo / "submitted").iterdir()}
    assert scores == {name: result(zoo, name).score for name in students}


def test_a_mark_given_by_hand_stays(zoo: Path) -> None:
    with nbgrader_at_work(), application(zoo).gradebook as book:
        grade = book.find_grade("00-verdict-test", STEM, STEM, "wrong 1")
        grade.manual_score = 1
        book.db.commit()
    grading.grade(zoo, **LIMITS)
    with nbgrader_at_work(), application(zoo).gradebook as book:
        grade = book.find_grade("00-verdict-test", STEM, STEM, "wrong 1")
        assert (grade.manual_score, grade.auto_score, grade.score) == (1, 0, 1)
        grade.manual_score = None
        book.db.commit()


def test_who_handed_in_nothing_is_named_beside_the_report(zoo: Path) -> None:
    """A student of the gradebook, and one whose folder is gone: points that stand are kept."""
    place, gone = zoo / "submitted" / "right", zoo / "elsewhere"
    with nbgrader_at_work(), application(zoo).gradebook as book:
        book.update_or_create_student("never here")
    place.rename(gone)
    try:
        grading.grade(zoo, **LIMITS)
        with (zoo / "reports" / STEM / "absent.csv").open(encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        report = (zoo / "reports" / STEM / "report.html").read_text(encoding="utf-8")
    finally:
        gone.rename(place)
        with nbgrader_at_work(), application(zoo).gradebook as book:
            book.remove_student("never here")
        grading.grade(zoo, **LIMITS)
    assert rows == [["never here", ""], ["right", "2"]]
    assert "2 students of the gradebook have nothing in submitted/: absent.csv" in report
    assert "never here" not in report


def test_each_notebook_has_a_row_with_what_is_said_of_it(zoo: Path) -> None:
    with (zoo / "reports" / STEM / "notebooks.csv").open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert set(rows) == {path.name for path in (zoo / "submitted").iterdir()}
    assert rows["right"] | {"said": ""} == rows["right"]
    assert (rows["right"]["points"], rows["right"]["00.first-check"]) == ("2", "1")
    assert "wrote into the channel of the judge" in rows["forges"]["said"]
    assert (rows["empty"]["points"], rows["empty"]["00.first-check"]) == ("0", "")
    assert not (zoo / "reports" / STEM / "own_numbers.csv").exists(), "they are the same for all"


def test_feedback_bears_the_student_and_their_answers(zoo: Path) -> None:
    page = (zoo / "feedback" / "wrong 0" / STEM / f"{STEM}.html").read_text(encoding="utf-8")
    assert "<b>wrong 0</b>: 0 of 2 points" in page
    assert "return torch.minimum(a, b)</pre>" in page
    assert "answer = &#x27;correct&#x27;</pre>" in page
    untouched = (zoo / "feedback" / "untouched" / STEM / f"{STEM}.html").read_text(encoding="utf-8")
    assert "<pre>" not in untouched


def test_learning_platforms_get_their_columns(zoo: Path) -> None:
    place = zoo / "reports" / STEM
    with (place / "grades_moodle.csv").open(encoding="utf-8") as file:
        moodle = {row["ID number"]: row for row in csv.DictReader(file)}
    with (place / "grades_canvas.csv").open(encoding="utf-8") as file:
        canvas = {row["SIS Login ID"]: row for row in csv.DictReader(file)}
    assert float(canvas[""][STEM]) == 2, "the row of the points possible"
    assert canvas[""]["Student"].strip() == "Points Possible"
    for name in ("right", "loops"):
        score = float(result(zoo, name).score)
        assert float(moodle[name][f"Assignment: {STEM} (Real)"]) == score
        assert float(canvas[name][STEM]) == score


def test_pages_give_hints_away_and_no_solution_and_no_name(zoo: Path) -> None:
    folded = "\n".join(one.solution for one in read_lesson(STEM).exercises.values())
    lines = [line.strip() for line in folded.splitlines() if "=" in line or "return" in line]
    assert lines
    report = (zoo / "reports" / STEM / "report.html").read_text(encoding="utf-8")
    table = (zoo / "reports" / STEM / "report.csv").read_text(encoding="utf-8")
    pages = [path.read_text(encoding="utf-8") for path in zoo.glob("feedback/*/*/*.html")]
    students = [path.name for path in (zoo / "submitted").iterdir()]
    assert len(pages) == len(students)
    for text in (report, table, *pages):
        assert not [line for line in lines if line in text]
    for name in ("renamed", "wrong 0", "loses its marks", "my homework"):
        assert name not in report + table
    hint = lesson_exercises("00")["00.first-check"].mistakes["minimum"][1]
    met = [name for name in students if hint in everything_said(result(zoo, name))]
    assert f"<b>{len(met)} of {len(students)}</b> in 00.first-check (minimum)" in report
    assert len(met) > 3


def test_the_walls_that_stood_are_on_the_report(zoo: Path) -> None:
    report = (zoo / "reports" / STEM / "report.html").read_text(encoding="utf-8")
    graded = result(zoo, "right")
    assert graded.up or graded.lacking
    for line in (*graded.up, *graded.lacking):
        assert line in report


def test_a_stopped_run_goes_on_where_it_was(stopped_and_graded: tuple[Path, dict]) -> None:
    folder, done = stopped_and_graded
    after = _kept(folder)
    assert 3 <= len(done) < len(after) == len(list((folder / "submitted").iterdir()))
    assert {name: after[name] for name in done} == done, "none was judged a second time"


def test_nothing_is_judged_twice_unless_it_changed(
    zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(jobs, _lessons, _workers, take):
        asked.append(sorted(jobs))
        for name in jobs:
            take(name, {"results": {}, "up": [], "lacking": []})

    monkeypatch.setattr(grading, "judge_all", note)
    grading.grade(zoo, **LIMITS)
    path = zoo / "submitted" / "wrong 2" / STEM / f"{STEM}.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("minimum", "fmin"), encoding="utf-8")
    grading.grade(zoo, **LIMITS)
    assert asked == [[], ["wrong 2"]]


def test_a_judge_that_cannot_start_is_an_error_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judges, "__package__", "no_such_package")
    with pytest.raises(RuntimeError, match=r"did not start: .*no_such_package"):
        judges.judge_all({"a": {"exercises": [], "seconds": 1}}, ["00"], 1, print)


def test_the_report_needs_no_network_and_its_picture_is_there(zoo: Path) -> None:
    place = zoo / "reports" / STEM
    text = (place / "report.html").read_text(encoding="utf-8")
    assert (place / "hints.png").read_bytes()[:4] == b"\x89PNG"
    assert re.findall(r'(?:src|href)="([^"]+)"', text) == ["hints.png"]
    assert 'alt="' in text


def test_pages_bear_the_title_of_the_lesson(zoo: Path) -> None:
    pages = [zoo / "reports" / STEM / "report.html", *zoo.glob("feedback/right/*/*.html")]
    assert all("<h1>00 · Start here" in path.read_text(encoding="utf-8") for path in pages)
