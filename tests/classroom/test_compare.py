"""The building blocks of judges, on answers of many types and with many faults."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from classroom_support import kind_of
from torch import nn

from lipteach.classroom.checks import Mistake, NotTried
from lipteach.classroom.compare import (
    call,
    compare_choice,
    compare_number,
    compare_tensor,
    need_tensor,
    seeded,
    show_apart,
    show_values,
)

F64 = torch.float64


@pytest.mark.parametrize(
    "half",
    [
        0.5,
        Fraction(1, 2),
        np.float32(0.5),
        np.array([0.5]),
        torch.tensor(0.5),
        torch.full((1,), 0.5),
    ],
)
def test_numbers_of_every_type(half):
    compare_number(half, 0.5)


def test_integers_and_infinity():
    compare_number(3, 3.0)
    compare_number(np.int64(3), 3)
    compare_number(math.inf, math.inf)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("0.5", "type"),
        (True, "type"),
        (np.bool_(True), "type"),
        (lambda: 0.5, "type"),
        (1 + 0j, "type"),
        (torch.zeros(2), "shape"),
        ([0.5], "type"),
        (math.nan, "value"),
        (0.51, "value"),
    ],
)
def test_faults_of_numbers(answer, kind):
    assert kind_of(compare_number, answer, 0.5)[0] == kind


def test_mistakes_of_numbers():
    mistakes = [
        Mistake("twice", 2, "twice?"),
        Mistake("negative", -1, "negative?", when=lambda got: got < 0),
    ]
    assert kind_of(compare_number, 2.0, 1, mistakes=mistakes) == ("value", "twice?")
    assert kind_of(compare_number, -7, 1, mistakes=mistakes) == ("value", "negative?")
    assert "3 is not the number" in kind_of(compare_number, 3, 1, mistakes=mistakes)[1]


@pytest.mark.parametrize(
    ("answer", "value", "words"),
    [
        (0.707, math.sqrt(0.5), "Nearly"),
        (0.7, math.sqrt(0.5), "Nearly"),
        (1.333, 4 / 3, "Nearly"),
        (8.999, 9, "Nearly"),
        (torch.tensor(0.707), math.sqrt(0.5), "Nearly"),
        (-0.3, 0.3, "sign"),
        (3.333, 0.3, "reciprocal"),
        (0.09, 0.3, "square"),
        (0.5477, 0.3, "root"),
        (0.6, 0.3, "twice"),
        (0.15, 0.3, "half"),
        (56, 55, "One too many"),
        (54, 55, "One too few"),
        (3, 9, "too small. What is 3²?"),
        (28, 9, "too large. What is 3²?"),
    ],
)
def test_slips_of_numbers(answer, value, words):
    assert words in kind_of(compare_number, answer, value, otherwise="What is 3²?")[1]


def test_a_mistake_is_recognised_with_few_digits():
    mistakes = [Mistake("root", math.sqrt(2), "root?"), Mistake("count", 5120, "count?")]
    assert kind_of(compare_number, 1.41, 9, mistakes=mistakes)[1] == "root?"
    assert kind_of(compare_number, 5121, 9, mistakes=mistakes)[1] != "count?"


def test_decimals_that_are_asked_for():
    compare_number(0.791, math.sqrt(0.625), decimals=3)
    compare_number(0.79057, math.sqrt(0.625), decimals=3)
    for few in (0.79, 0.792):
        assert "3 decimals" in kind_of(compare_number, few, math.sqrt(0.625), decimals=3)[1]
    wrong = kind_of(compare_number, 0.795, math.sqrt(0.625), decimals=3)[1]
    assert "Nearly" not in wrong, "it has its three decimals, and they are others"


def test_numbers_that_differ_are_shown_so():
    assert show_apart(2.1211, 3 / 2**0.5) == ("2.1211", "2.1213")
    assert show_apart(1 + 1e-9, 1.0) == ("1.000000001", "1")
    assert show_apart(torch.tensor([1.0]), torch.tensor([2.0])) == ("[1]", "[2]")


@pytest.mark.parametrize(
    "answer",
    [
        [1, 2],
        (1.0, 2.0),
        [torch.tensor(1.0), 2],
        np.array([1, 2]),
        np.array([2, 1])[::-1],
        torch.tensor([1, 2]),
        torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
        torch.tensor([1.0, 2.0]).to_sparse(),
        nn.Parameter(torch.tensor([1.0, 2.0])),
    ],
)
def test_tensors_of_every_type(answer):
    compare_tensor(answer, [1.0, 2.0])


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ("12", "type", "a str"),
        ([1, "2"], "type", "not a row of numbers"),
        (torch.tensor([1, 2]) > 0, "type", "torch.bool"),
        ([[1, 2]], "shape", "(1, 2); (2,) is needed"),
        ([1, 2.5], "value", "entry 2 of 2 is 2.5: is it?"),
        (torch.tensor([1.0, 2.0]).sort(), "type", "torch.sort returns a pair"),
        (range(1, 3), "type", "A list or tensor of numbers is needed; this is a range."),
        ([1, math.nan], "value", "nan"),
        ([1.001, 2.003], "value", "Nearly"),
        ([-1, -2], "value", "sign"),
        ([3, 6], "value", "3 times"),
        ([4, 5], "value", "off by 3"),
        ([2, 1], "value", "the other way round?"),
        ([3], "shape", "only one?"),
    ],
)
def test_faults_of_tensors(answer, kind, words):
    mistakes = [
        Mistake("turned", [2, 1], "the other way round?"),
        Mistake("short", [3], "only one?"),
    ]
    found = kind_of(compare_tensor, answer, [1, 2], mistakes=mistakes)
    assert found[0] == kind
    assert words in found[1]


def test_float32_rounding_is_no_fault_and_float64_error_is():
    third = torch.tensor([1 / 3], dtype=F64)
    compare_tensor(third.float(), third)
    assert kind_of(compare_tensor, third + 1e-4, third)[0] == "value"


def test_choices():
    compare_choice(" ReLU ", "relu", ["relu", "maxmin"])
    compare_choice(np.bool_(True), True, [True, False])
    mistakes = [Mistake("maxmin", "maxmin", "which one loses gradient norm?")]
    choices = ["relu", "maxmin", "abs"]
    assert kind_of(compare_choice, "MaxMin", "relu", choices, mistakes=mistakes)[1].startswith(
        "which"
    )
    assert kind_of(compare_choice, "abs", "relu", choices, mistakes=mistakes)[0] == "value"
    assert kind_of(compare_choice, 3, "relu", choices) == (
        "type",
        "The answer is one of 'relu', 'maxmin', 'abs'.",
    )


def test_need_tensor_asks_for_a_shape():
    assert need_tensor([1, 2], shape=(2,)).dtype == F64
    assert kind_of(need_tensor, [1, 2], shape=(3,))[0] == "shape"


def test_shown_values_are_short():
    assert show_values(torch.tensor([[1.0, 2 / 3]])) == "[[1, 0.6667]]"
    assert show_values(seeded(3, 3)) == "a tensor of shape (3, 3)"
    assert show_values([4.441e-16, -1e-17, 10240.0, 1e15, math.inf]) == "[0, 0, 10240, 1e+15, inf]"


def test_missing_kernels_are_errors_and_no_stub():
    def no_kernel(x):
        x = x + 1
        raise NotImplementedError("Could not run 'aten::x' with arguments from the 'Meta' backend")

    assert kind_of(call, no_kernel, 1)[0] == "error"
    with pytest.raises(NotTried):
        call(nn.Module(), 1)


def test_an_error_that_ends_in_a_full_stop_is_quoted_without_it():
    def raises(x):
        raise ValueError("choose 1 or 2 instead.")

    assert kind_of(call, raises, 1)[1] == (
        "Your code raised ValueError: choose 1 or 2 instead, in line "
        f'{raises.__code__.co_firstlineno + 1}: `raise ValueError("choose 1 or 2 instead.")`.'
    )
