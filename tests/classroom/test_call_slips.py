"""Slips that show in whole results: each is named, and only where it explains every call."""

import pytest
import torch
from classroom_support import kind_of

from lipteach.classroom.compare import compare_number, compare_tensor, seeded
from lipteach.classroom.compare_functions import compare_function

VECTORS = [seeded(4), seeded(3, seed=1)]
PAIRS = [(seeded(3, 3), seeded(3, 3, seed=1)), (seeded(2, 2, seed=2), seeded(2, 2, seed=3))]


def positive(x):
    return x.amax(-1) > 1


def rising(x):
    return x.exp() + x


@pytest.mark.parametrize(
    ("answer", "reference", "inputs", "words"),
    [
        (lambda x: x.cumsum(0).flip(0), lambda x: x.cumsum(0), VECTORS, "but reversed"),
        (lambda x: x.cumsum(0).roll(1), lambda x: x.cumsum(0), VECTORS, "moved by one place"),
        (lambda x: x.sin().round(decimals=1), torch.sin, VECTORS, "rounded to few decimals"),
        (lambda x: x.sin().relu(), torch.sin, VECTORS, "What is negative has become 0"),
        (lambda x: x.sin().clamp(max=0.2), torch.sin, [seeded(9)], "Beyond some bound"),
        (lambda x: x.sin().abs() * x.sign().roll(1), torch.sin, VECTORS, "some signs are not"),
        (
            lambda x: torch.cat((x[:-1].sin(), 2 * x[-1:])),
            torch.sin,
            [*VECTORS, -seeded(4)],
            "Only the last one is wrong",
        ),
        (lambda x: torch.cat((x[:1], x[1:].sin())), torch.sin, VECTORS, "Only the first one"),
        (lambda A, B: A + B @ A, lambda A, B: B + A @ B, PAIRS, "argument exchanged"),
        (lambda A, B: A.T @ B, lambda A, B: A @ B, PAIRS, "the transpose of the first argument"),
        (lambda x: (-x).exp() - x, rising, VECTORS, "Right for minus x"),
        (lambda x: (2 * x).exp() + 2 * x, rising, VECTORS, "Right for twice x"),
        (lambda x: rising(x.abs()), rising, VECTORS, "Right for the absolute values of x"),
        (torch.sum, torch.mean, VECTORS, "times the number of entries"),
        (lambda x: x.norm() / len(x) ** 0.5, torch.norm, VECTORS, "divided by the root of the"),
        (lambda x: x.exp() / x.norm(), torch.exp, VECTORS, "Each result is a multiple"),
        (
            lambda x: torch.where(x < 0, 3 * x, x.sin()),
            torch.sin,
            VECTORS,
            "where the input is negative",
        ),
        (lambda x: torch.ones(()), torch.norm, VECTORS, "the same for every input"),
        (lambda x: ~positive(x), positive, [*VECTORS, seeded(5)], "Just the other way round"),
        (lambda x: False, positive, [*VECTORS, seeded(5)], "the same for every input"),
        (torch.sum, lambda x: x.sum(0), [seeded(2, 3)], "the sum of it over all entries"),
        (lambda x: x.mean(0), torch.sin, [seeded(2, 3)], "(2, 3) is needed."),
        (lambda x: x.square(), lambda x: x.square().sum(-1), [seeded(2, 3)], "Its sum over dim"),
    ],
)
def test_slips_of_calls(answer, reference, inputs, words):
    assert words in kind_of(compare_function, answer, reference, inputs)[1]


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: torch.cat((x[:-1].sin(), x[-1:])) if len(x) == 4 else x.cos(),
        lambda x: x.exp() / x.norm() if len(x) == 4 else x.cos(),
        lambda x: (-x).sin() if len(x) == 4 else x.cos(),
        lambda x: x.sin().flip(0) if len(x) == 4 else x.cos(),
        torch.cos,
    ],
)
def test_a_slip_must_explain_every_call(answer):
    text = kind_of(compare_function, answer, torch.sin, VECTORS)[1]
    assert "Which of your steps makes the difference?" in text


def test_one_entry_may_be_wrong_by_chance():
    text = kind_of(
        compare_function, lambda x: torch.cat((x[:-1].sin(), x[-1:])), torch.sin, VECTORS[:1]
    )[1]
    assert "Only the last" not in text


@pytest.mark.parametrize(
    ("answer", "value", "words"),
    [
        (0.4242, 0.3, "√2 times"),
        (0.2121, 0.3, "divided by √2"),
        (-0.6, 0.3, "2 times"),
        (0.7, 0.3, "1 minus"),
        (30, 0.3, "100 times"),
        (0.009425, 0.003, "π times"),
        (-1.204, 0.3, "logarithm"),
        (1.35, 0.3, "e to the power"),
        (2.236, 5, "root"),
    ],
)
def test_factors_of_numbers(answer, value, words):
    assert words in kind_of(compare_number, answer, value)[1]


def test_slips_of_lists():
    assert "reversed" in kind_of(compare_tensor, [3.0, 1.0, 2.0], [2.0, 1.0, 3.0])[1]
    assert "moved by one" in kind_of(compare_tensor, [3.0, 5.0, 1.0, 2.0], [5.0, 1.0, 2.0, 3.0])[1]
    assert "Transposed" in kind_of(compare_tensor, [[1, 2], [3, 4]], [[1, 3], [2, 4]])[1]


def test_a_truth_value_that_is_sometimes_wrong_is_not_turned():
    inputs = [*VECTORS, 3 * seeded(5)]
    text = kind_of(compare_function, lambda x: x.amax(-1) > 1.6, positive, inputs)[1]
    assert "other way round" not in text


def test_what_is_not_finite():
    assert "NaN" in kind_of(compare_number, float("nan"), 0.3)[1]
    assert "Infinite" in kind_of(compare_number, float("inf"), 3)[1]
    assert "Infinite" in kind_of(compare_function, lambda x: x / 0, torch.sin, VECTORS)[1]
