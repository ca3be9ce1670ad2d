"""The building blocks of judges, on answers of many types and with many faults."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from lipteach.classroom.checks import Hint, NotTried
from lipteach.classroom.compare import (
    When,
    call,
    compare_choice,
    compare_number,
    compare_tensor,
    need_tensor,
    seeded,
    show_values,
)
from lipteach.classroom.compare_functions import compare_function, compare_network

F64 = torch.float64


def kind_of(block, *args, **kwargs):
    with pytest.raises(Hint) as caught:
        block(*args, **kwargs)
    return caught.value.kind, caught.value.text


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
    mistakes = [(2, "twice?"), (When(lambda got: got < 0), "negative?")]
    assert kind_of(compare_number, 2.0, 1, mistakes=mistakes) == ("value", "twice?")
    assert kind_of(compare_number, -7, 1, mistakes=mistakes) == ("value", "negative?")
    assert "3 is not the number" in kind_of(compare_number, 3, 1, mistakes=mistakes)[1]


@pytest.mark.parametrize(
    "answer",
    [
        [1, 2],
        (1.0, 2.0),
        [torch.tensor(1.0), 2],
        np.array([1, 2]),
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
        ([1, 2.5], "value", "at index (1,) is 2.5"),
        ([1, math.nan], "value", "nan"),
        ([2, 1], "value", "the other way round?"),
        ([3], "shape", "only one?"),
    ],
)
def test_faults_of_tensors(answer, kind, words):
    mistakes = [([2, 1], "the other way round?"), ([3], "only one?")]
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
    mistakes = [("maxmin", "which one loses gradient norm?")]
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


def test_missing_kernels_are_errors_and_no_stub():
    def no_kernel(x):
        raise NotImplementedError("Could not run 'aten::x' with arguments from the 'Meta' backend")

    assert kind_of(call, no_kernel, 1)[0] == "error"
    with pytest.raises(NotTried):
        call(nn.Module(), 1)


def double(x):
    return 2 * x


def test_functions_with_float32_constants_pass():
    weight = torch.eye(3) * 2
    compare_function(lambda x: x @ weight, double, [seeded(4, 3)], gradient=True)
    compare_function(nn.Linear(3, 3, bias=False).requires_grad_(False), lambda x: 0 * x, [])


def test_handed_out_buffer_is_read_at_once():
    buffer = torch.zeros(3, dtype=F64)
    compare_function(lambda x: buffer.copy_(2 * x), double, [seeded(3), seeded(3, seed=1)])


def test_input_is_left_as_it_was():
    x = seeded(3)
    assert kind_of(compare_function, lambda x: x.mul_(2), double, [x])[0] == "mutation"
    assert torch.equal(x, seeded(3))


def test_stages_of_a_function():
    def stage(answer, **kwargs):
        return kind_of(compare_function, answer, torch.abs, [seeded(4)], **kwargs)[0]

    assert stage(lambda x: x.abs()[:2]) == "shape"
    assert stage(lambda x: x) == "value"
    flat = seeded(2, 3, 4)
    assert stage(lambda x: torch.stack([a.abs() for a in x.tolist()]), layouts=[flat]) == "error"
    assert stage(lambda x: x.abs().flatten(), layouts=[flat]) == "layout"
    assert stage(lambda x: x.abs().view(-1).view(x.shape), layouts=[seeded(3, 4).T]) == "layout"
    assert stage(lambda x: x * x / x.abs(), ties=[torch.zeros(2, dtype=F64)]) == "ties"
    assert stage(lambda x: x.abs().detach(), gradient=True) == "gradient"
    assert stage(lambda x: x.abs() + (x - x.detach()), gradient=True) == "gradient"


def test_mistakes_of_a_function_are_recognised_by_what_they_do():
    mistakes = [(torch.neg, "the sign?"), (When(lambda got, want, x: not got.any()), "zero?")]

    def hint(answer):
        return kind_of(compare_function, answer, double, [seeded(3)], mistakes=mistakes)[1]

    assert hint(lambda x: -1 * x) == "the sign?"
    assert hint(lambda x: 0 * x) == "zero?"
    assert "is right" in hint(lambda x: x)


def test_mark_in_place_spoils_nothing():
    x = seeded(3)
    marks = [(lambda x: x.mul_(3), "three?"), (torch.neg, "the sign?")]
    found = kind_of(compare_function, lambda x: -x, double, [x], mistakes=marks)
    assert found == ("value", "the sign?")
    assert torch.equal(x, seeded(3))


def test_reference_that_returns_its_input():
    found = kind_of(compare_function, lambda x: x.mul_(2), lambda x: x, [seeded(3)])
    assert found[0] == "mutation"


def test_jacobian_at_ties():
    tie = torch.tensor([1.0, 1.0], dtype=F64)

    def halves(x):
        return torch.stack([x.amax(), x.amin()])

    def routed(x):
        return x.sort(descending=True).values

    checked = {"inputs": [seeded(2)], "ties": [tie], "permutation_at_ties": True}
    compare_function(routed, routed, **checked)
    kind, text = kind_of(compare_function, halves, routed, **checked)
    assert kind == "ties"
    assert "at the tie [1, 1]" in text
    assert (
        kind_of(compare_function, lambda x: routed(x).detach(), routed, **checked)[0] == "gradient"
    )


def linear(rows, dtype=torch.float32):
    layer = nn.Linear(len(rows[0]), len(rows), bias=False, dtype=dtype)
    layer.weight.data = torch.tensor(rows, dtype=dtype)
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_right_networks(dtype):
    network = nn.Sequential(linear([[0.0, 1.0], [1.0, 0.0]], dtype), nn.ReLU())
    for p in (1, 2, math.inf):
        compare_network(network, lambda x: x.flip(-1).relu(), [seeded(5, 2)], p=p)


def test_faults_of_networks():
    inputs, allowed = [seeded(5, 2)], (nn.Linear,)

    def flip(x):
        return x.flip(-1)

    def found(network, p=2):
        return kind_of(compare_network, network, flip, inputs, p=p, allowed=allowed)

    assert found(flip)[0] == "type"
    assert found(nn.Linear)[0] == "type"
    assert found(nn.Sequential(nn.Linear(2, 2), nn.Tanh())) == (
        "type",
        "The network uses Tanh; allowed are Linear.",
    )
    assert found(linear([[1.0, 0.0]]))[0] == "shape"
    assert found(linear([[1.0, 0.0], [0.0, 1.0]]))[0] == "value"
    stretched = nn.Sequential(linear([[0.0, 2.0], [2.0, 0.0]]), linear([[0.5, 0.0], [0.0, 0.5]]))
    assert found(stretched) == (
        "constraint",
        "The 2-norm of '0.weight' is 2, above 1.",
    )
    half = [[0.5, 0.5], [0.5, -0.5]]
    assert found(linear(half))[0] == "value"
    assert found(linear([[0.8, 0.6], [0.6, -0.8]]), p=math.inf)[1].startswith("The ∞-norm")
    assert found(nn.Linear(2, 2, device="meta"))[0] == "error"
    assert found(nn.Linear(3, 2))[0] == "error"


def test_norm_is_that_of_the_weight_in_use():
    network = nn.utils.parametrizations.orthogonal(linear([[0.0, 5.0], [5.0, 0.0]]))
    weight = network.weight.detach().double()
    compare_network(network, lambda x: x @ weight.T, [seeded(5, 2)], allowed=(nn.Linear,))


def test_no_block_touches_the_global_generator():
    before = torch.get_rng_state()
    compare_function(double, double, [seeded(3)], gradient=True, ties=[seeded(2)])
    assert torch.equal(torch.get_rng_state(), before)
