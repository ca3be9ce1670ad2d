"""The figures of a class report, against hand-made verdicts."""

from dataclasses import replace

import pytest

from lipteach.classroom.checks import Exercise, lesson_exercises
from lipteach.classroom.course.assigned_cells import source_notebook
from lipteach.classroom.course.class_report import points_of_monday, write_report
from lipteach.classroom.course.counting import count, general, recognise
from lipteach.classroom.course.cures import find_cures
from lipteach.classroom.course.hint_bars import draw_hints
from lipteach.classroom.course.lesson import read_lesson
from lipteach.classroom.course.verdicts import Graded, Verdict, keep, kept

BANK = lesson_exercises("04")
STEPS, REGULARIZER = BANK["04.steps"], BANK["04.regularizer"]
TURNED = "For [1.0] the result is 2; 3 is right. The sign is turned: what is taken from what?"
ALSO_TURNED = "For [7.0] the result is 9; 5 is right. The sign is turned: what is taken from what?"


def verdict(exercise: Exercise, hint: str = "", kind: str = "value", **more) -> Verdict:
    return Verdict(exercise.name, 1, passed=not hint, tried=True, hint=hint, kind=kind, **more)


def a_class() -> list[Graded]:
    one_early, growth = (STEPS.mistakes[label][1] for label in ("one early", "growth"))
    first = [one_early] * 4 + [growth] * 2 + [TURNED] * 3 + [""] * 2
    verdicts = [
        (verdict(STEPS, hint), verdict(REGULARIZER, ALSO_TURNED if 6 <= n < 8 else ""))
        for n, hint in enumerate(first)
    ]
    untried = Verdict("04.steps", 1), Verdict("04.regularizer", 1)
    return [Graded(f"s{n}", pair) for n, pair in enumerate([*verdicts, untried])]


def test_hints_are_counted_and_the_most_frequent_comes_first() -> None:
    found = count(a_class(), BANK)
    steps, regularizer = found.exercises
    assert (steps.of, steps.tried, steps.passed) == (12, 11, 2)
    assert [(met.label, met.count) for met in steps.hints] == [
        ("one early", 4),
        ("", 3),
        ("growth", 2),
    ]
    assert (regularizer.tried, regularizer.passed) == (11, 9)
    assert found.scores == [1] * 6 + [0] * 2 + [1] + [2] * 2 + [0]


def test_a_shared_slip_is_one_that_the_same_student_met_twice() -> None:
    """s6 and s7 turn the sign in both exercises, s8 in one."""
    [shared] = count(a_class(), BANK).shared
    assert shared.what == "The sign is turned: what is taken from what?"
    assert (shared.students, shared.exercises) == (2, ("04.regularizer", "04.steps"))
    shapes = [
        Graded("a", (verdict(STEPS, "One.", "shape"), verdict(REGULARIZER, "Two.", "shape"))),
        Graded("b", (verdict(STEPS, "One.", "shape"), verdict(REGULARIZER))),
    ]
    assert [(s.what, s.students) for s in count(shapes, BANK).shared] == [
        ("a result of another shape", 1)
    ]


def test_hints_that_differ_in_numbers_alone_are_one() -> None:
    assert general(TURNED) == general(ALSO_TURNED)
    assert general("Your code raised ValueError: no 3, in line 2: `x = 3`.") == general(
        "Your code raised ValueError: no 4, in line 2: `y = 4`."
    )
    assert recognise("From 7 it runs away: where do", BANK["04.minus-one"]) == (
        "From … it runs away: where do",
        "",
    )


def test_what_is_said_of_several_holds_for_each() -> None:
    """No number and no word of one answer stands beside the count of others."""
    hints = ["The smallest is 0.7. Which?", "The smallest is 1. Which?", "From 3 on", "From 2.5 on"]
    kinds = ["value", "value", "value", "value"]
    hints += ["A list is needed; this is an A.", "The shape is (3,); a list is needed."]
    kinds += ["type", "shape"]
    group = [
        Graded(str(n), (verdict(STEPS, hint, kind),))
        for n, (hint, kind) in enumerate(zip(hints, kinds, strict=True))
    ]
    met = {one.hint: one.count for one in count(group, BANK).exercises[0].hints}
    assert met == {"The smallest is …. Which?": 2, "From … on": 2, hints[4]: 1, hints[5]: 1}


@pytest.mark.parametrize("name", BANK)
def test_every_mistake_of_the_bank_is_counted_by_its_label(name: str) -> None:
    exercise = BANK[name]
    for mistake in exercise.known:
        assert recognise(mistake.hint, exercise) == (f"known {mistake.label}", mistake.label)


def test_minutes_of_single_persons_are_not_shown() -> None:
    def with_minutes(*minutes: float | None) -> float | None:
        return (
            count(
                [Graded(str(n), (verdict(STEPS, minutes=m),)) for n, m in enumerate(minutes)], BANK
            )
            .exercises[0]
            .minutes
        )

    assert with_minutes(1, 2, None) is None
    assert with_minutes(1, 9, 2, None) == 2


def test_what_happened_is_counted_without_the_names_of_files() -> None:
    said = "The notebook is called Ada Lovelace.ipynb; it was taken for 04_bjorck.ipynb."
    other = "The notebook is called x.ipynb; it was taken for 04_bjorck.ipynb."
    changed = "A changed test cell; the released one counted: 04.steps."
    group = [
        Graded("a", (verdict(STEPS),), (said, changed)),
        Graded("b", (verdict(STEPS),), (other,)),
    ]
    assert count(group, BANK).said == [
        (2, "The notebook has another name; it was taken for 04_bjorck.ipynb."),
        (1, "A changed test cell; the released one counted."),
    ]


def test_monday_speaks_of_what_several_met(tmp_path) -> None:
    found = count(a_class(), BANK)
    spoken = [(one.name, met.label) for one, met in points_of_monday(found)]
    assert spoken[0] == ("04.steps", "one early")
    assert all(met.count > 1 for _, met in points_of_monday(found))
    found.lacking = ["the network is not cut off <x>"]
    page = write_report(tmp_path, "04", found, {"04.steps": "A heading"}).read_text("utf-8")
    assert "<b>4 of 12</b> in 04.steps (one early)" in page
    assert "Show again: <b>A heading</b>" in page
    assert "Fewest passed 04.steps: <b>2 of 12</b>.<br>Show again: <b>A heading</b>" in page
    assert "absent.csv" not in page
    assert "<b>Not here:</b> the network is not cut off &lt;x&gt;" in page
    assert "s6" not in page


def test_the_picture_says_what_it_shows() -> None:
    figure = draw_hints(count(a_class(), BANK).exercises, "04 · Björck")
    figure.canvas.draw()
    assert "04.steps: 2 of 12 passed; most often: one early." in figure.get_label()
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "9 not yet" in words
    assert any(word.startswith("4 of 12 · one early") for word in words)
    hatches = {patch.get_hatch() for patch in figure.axes[0].patches}
    assert len(hatches) > 1, "grey print tells the parts apart"


def test_a_cure_is_the_part_that_makes_what_the_solution_reads() -> None:
    lesson = read_lesson("04_bjorck")
    entry = {
        "exercises": [
            {"name": one.name, "answer": one.answer_id, "test": one.test_id}
            for one in lesson.exercises.values()
        ]
    }
    cures = find_cures(source_notebook(lesson), entry)
    assert cures["04.steps"] == "What one step does to a singular value (B.3)"
    assert set(cures) == set(BANK)
    assert not any(heading.startswith("Exercise") for heading in cures.values())


def test_verdicts_are_kept_and_read_again(tmp_path) -> None:
    path = tmp_path / "deep" / "a.json"
    graded = replace(a_class()[0], key="k", said=("Ä",), up=("one", "two"))
    keep(path, graded)
    assert kept(path, "k") == graded
    assert kept(path, "other") is None
    path.write_text("{", encoding="utf-8")
    assert kept(path, "k") is None
