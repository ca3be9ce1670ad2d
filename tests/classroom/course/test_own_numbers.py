"""Own numbers: each student's answer is right, measured in another way, and no other one's is."""

import csv
import dataclasses
import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import lipteach as lt
from lipteach.classroom import check, exercises, own_numbers
from lipteach.classroom.checks import NAMELESS, examine
from lipteach.classroom.course.counting import recognise
from lipteach.classroom.course.tables import write_tables
from lipteach.classroom.course.verdicts import Graded, Verdict
from lipteach.classroom.own import ANOTHERS, THE_TEXTS, draw_for, plain_name, with_own_numbers

VARIED = {name: e for name, e in exercises().items() if e.vary}
STUDENTS = [f"student {k}" for k in range(12)]
SEED = 2027


def numbers(text: str) -> list[float]:
    """The numbers of a text in the order in which they stand there."""
    return [float(x) for x in re.findall(r"(?<![\d₀-₉])\d+(?:\.\d+)?", text)]


def maxout(n: float) -> float:
    row = torch.tensor([0.6, 0.8], dtype=torch.float64)
    return float(torch.linalg.matrix_norm(row.expand(int(n), 2), 2))


def offset(first: float, second: float) -> float:
    z, phi = torch.tensor([5.0, -5.0]).double(), nn.Softshrink(1.0)
    weights = torch.tensor([first, second], dtype=torch.float64)
    return float(weights @ phi(z) - weights @ z)


def regularizer(beta: float) -> float:
    W = torch.tensor([[0.5, 0.2], [0.1, 0.4]], dtype=torch.float64, requires_grad=True)
    penalty = (W.T @ W - torch.eye(2)).square().sum()
    (gradient,) = torch.autograd.grad(penalty, W)
    step = W.detach() - lt.parseval_step(W.detach(), beta)
    return float((step / gradient).mean())


def kept(one: float, s: float) -> float:
    t = torch.linspace(0, 2 * math.pi, 1001, dtype=torch.float64)[:-1]
    return float((one**2 * t.cos() ** 2 + s**2 * t.sin() ** 2).mean().sqrt())


def overshoot(a: float, b: float) -> float:
    W, u = (
        torch.diag(torch.tensor([a, b], dtype=torch.float64)),
        torch.ones(2).double() / math.sqrt(2),
    )
    return float(lt.operator_norm(W / lt.power_iteration(W, steps=1, u=u)[0]))


def shared(a: float, zero: float, other: float, b: float) -> float:
    t = torch.linspace(0, math.pi / 2, 20001, dtype=torch.float64)
    assert zero == other == 0
    return float((a * t.cos() + b * t.sin()).max() / 2)


def tall(n: float, *_others: float) -> float:
    """Of a random direction in 1024 dimensions, what lies in n of them."""
    squares = torch.randn(500, 1024, generator=torch.Generator().manual_seed(0)).double() ** 2
    return 10 * float((squares[:, : int(n)].sum(1) / squares.sum(1)).mean().sqrt())


MEASURED = {
    "01.maxout-norm": (maxout, 1e-9),
    "03.offset": (offset, 1e-6),
    "04.regularizer": (regularizer, 1e-9),
    "06.kept": (kept, 1e-9),
    "06.overshoot": (overshoot, 1e-9),
    "10.shared": (shared, 1e-6),
    "10.tall": (tall, 0.05),
}


@pytest.mark.parametrize("name", VARIED)
def test_the_answer_of_each_student_is_measured(name: str) -> None:
    measure, tol = MEASURED[name]
    for student in STUDENTS[:10]:
        own = VARIED[name].vary(draw_for(name, SEED, student))
        assert math.isclose(measure(*numbers(own.given)), own.value, abs_tol=tol), own


@pytest.mark.parametrize("name", VARIED)
def test_a_copied_number_fails(name: str) -> None:
    """Of two students, of the lesson itself, and of the same student under another seed."""
    theirs = {student: with_own_numbers(VARIED[name], SEED, student) for student in STUDENTS}
    for student, exercise in theirs.items():
        assert examine(exercise, exercise.solution).passed, student
        assert examine(exercise, torch.tensor(exercise.solution, dtype=torch.float32)).passed
        assert not examine(exercise, VARIED[name].solution).passed, student
    copied = [(a, b) for a in STUDENTS for b in STUDENTS if a != b]
    passed = sum(examine(theirs[a], theirs[b].solution).passed for a, b in copied)
    assert passed <= 0.02 * len(copied), "two of them may have been given the same by chance"
    other = with_own_numbers(VARIED[name], SEED + 1, STUDENTS[0])
    assert not examine(theirs[STUDENTS[0]], other.solution).passed


@pytest.mark.parametrize("name", VARIED)
def test_a_mistake_gets_its_hint_with_own_numbers_too(name: str) -> None:
    """And no hint names a number of the lesson's text."""
    for student in STUDENTS[:10]:
        exercise = with_own_numbers(VARIED[name], SEED, student)
        said = {m.label: (examine(exercise, m.answer), m.hint) for m in exercise.known}
        assert len(said) >= 3
        for label, (report, hint) in said.items():
            assert (report.passed, report.hint) == (False, hint), (label, student)
    known = VARIED[name].mistakes
    of_the_text = {"01": "nine", "03": "0.28|0.96", "04": "0.3", "06": "½|diag|3", "10": "784"}
    pattern = of_the_text[name[:2]] + "|3 and 4|" * (name == "10.shared")
    assert not [m.hint for m in exercise.known if re.search(pattern.rstrip("|"), m.hint)]
    assert set(exercise.mistakes) - {"the text's numbers"} <= set(known)


@pytest.mark.parametrize("name", VARIED)
def test_the_text_s_and_another_s_number_are_told_from_other_mistakes(name: str) -> None:
    others = STUDENTS[1:]
    exercise = with_own_numbers(VARIED[name], SEED, STUDENTS[0], others)
    plain = with_own_numbers(VARIED[name], SEED, STUDENTS[0])
    known = [value for value, _ in plain.mistakes.values()]
    if VARIED[name].solution in known:
        assert examine(exercise, VARIED[name].solution).hint == THE_TEXTS
    told = 0
    for other in others:
        value = with_own_numbers(VARIED[name], SEED, other).solution
        hint = examine(exercise, value).hint
        assert (hint == ANOTHERS) == (value not in [exercise.solution, *known])
        told += hint == ANOTHERS
    assert told > 8
    found = recognise(ANOTHERS, VARIED[name])
    assert found == recognise(ANOTHERS, VARIED["04.regularizer"])
    assert found[1] == "the numbers of another student"


def test_own_numbers_are_listed_for_the_instructor(tmp_path: Path) -> None:
    names = ["04.steps", "04.regularizer"]
    graded = [Graded(who, tuple(Verdict(name, 1) for name in names)) for who in ("ada", "=bob")]
    write_tables(tmp_path, graded, [], 7)
    with (tmp_path / "own_numbers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["student"] for row in rows] == ["ada", "'=bob"]
    assert {row["exercise"] for row in rows} == {"04.regularizer"}, "04.steps does not vary"
    assert own_numbers("04.regularizer", 7, "ada") == f"The numbers of ada: {rows[0]['given']}."
    assert check("04.regularizer", float(rows[0]["answer"]), own=(7, "ada")).passed


def test_some_exercises_vary_and_all_of_them_are_measured() -> None:
    assert set(VARIED) == set(MEASURED)
    assert len(VARIED) >= 4
    for exercise in VARIED.values():
        assert isinstance(exercise.solution, int | float), "they are of kind number"


def test_a_check_takes_own_numbers(capsys: pytest.CaptureFixture) -> None:
    own = (7, "Ada")
    (beta,) = numbers(own_numbers("04.regularizer", *own).partition(":")[2])
    assert check("04.regularizer", beta / 4, own=own).passed
    assert check("04.regularizer", beta / 4, own=(7, " ADA ")).passed
    assert not check("04.regularizer", beta / 4, own=(7, "Bob")).passed
    assert not check("04.regularizer", beta / 4).passed
    assert check("04.steps", 10, own=own).passed, "it does not vary"
    assert not check("04.regularizer", ..., own=(7, "")).tried
    nameless = check("04.regularizer", beta / 4, own=(7, " "))
    assert (nameless.tried, nameless.hint) == (True, NAMELESS)
    assert own_numbers("04.regularizer", 7, "") == NAMELESS
    capsys.readouterr()


def test_an_exercise_without_own_numbers_stays_as_it_is() -> None:
    exercise = exercises()["04.steps"]
    assert with_own_numbers(exercise, 7, "ada") is exercise
    assert dataclasses.replace(exercise, vary=None).vary is None


def test_a_letter_may_be_composed_or_not() -> None:
    """As folders are on a Mac, and names in a notebook."""
    composed, apart = "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", "Zoe\N{COMBINING DIAERESIS}"
    assert composed != apart
    assert plain_name(composed) == plain_name(apart)
