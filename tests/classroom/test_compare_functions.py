"""The judges of functions and networks: their stages, mistakes and hints."""

import math

import pytest
import torch
from classroom_support import kind_of
from torch import nn

import lipteach as lt
from lipteach.classroom import guard
from lipteach.classroom.checks import Mistake
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function, compare_network

F64 = torch.float64


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
    mistakes = [
        Mistake("sign", torch.neg, "the sign?"),
        Mistake("zero", lambda x: 0, "zero?", when=lambda got, want, x: not got.any()),
    ]

    def hint(answer):
        return kind_of(compare_function, answer, double, [seeded(3)], mistakes=mistakes)[1]

    assert hint(lambda x: -1 * x) == "the sign?"
    assert hint(lambda x: 0 * x) == "zero?"
    assert "is right" in hint(lambda x: x)


@pytest.mark.parametrize(
    ("inputs", "answer", "reference", "words"),
    [
        (torch.tensor([3.0, -5.0]).double(), torch.neg, torch.abs, "For [3, -5] the result is"),
        (
            torch.linspace(5, -5, 41).double()[:, None],
            lambda x: x,
            torch.abs,
            "At x = -0.25 the result is -0.25; 0.25 is right.",
        ),
        (
            torch.tensor([[0.0, 1, 2, 3], [4, 0, 0, 0], [5, 0, 0, 0]]).double(),
            lambda x: x[:, 3:],
            lambda x: x.amax(-1, keepdim=True),
            "shape (3, 4), in the row [4, 0, 0, 0], the result is [0]; [4] is right.",
        ),
        (
            (torch.tensor([2.0, 1.0]).double(), torch.eye(2).double().repeat(3, 1)),
            lambda w, d: (w * d).amin(-1),
            lambda w, d: (w * d).sum(-1),
            "shape (6, 2), in the row [2, 1], [1, 0], the result is 0; 2 is right.",
        ),
        (
            seeded(2, 9),
            lambda x: 0 * x,
            lambda x: x.ceil().abs() + 1,
            "On an input of shape (2, 9) (`example` of the report) entry (0, 0) is 0; 3 is right.",
        ),
        (
            torch.arange(9).double(),
            lambda x: 0 * x,
            lambda x: x,
            "For [0, 1, 2, 3, 4, 5, 6, 7, 8] entry 1 is 0; 1 is right. All of it is 0:",
        ),
    ],
)
def test_a_wrong_value_is_shown_with_its_own_input(inputs, answer, reference, words):
    """Of a batch the first wrong row is shown; long rows are left to their first wrong entry."""
    kind, text = kind_of(compare_function, answer, reference, [inputs])
    assert kind == "value"
    assert words in text


def test_a_mistake_of_a_later_stage_explains_the_earlier_ones_too():
    """On two rows, cutting them in groups of two is sorting everything; on a vector it is not."""

    def in_pairs(x):
        return x.unflatten(-1, (-1, 2)).sort(dim=-1).values.flatten(-2)

    def first_dim(x):
        return torch.cat([x[i : i + 2].sort(dim=-1).values for i in range(0, len(x), 2)])

    mistakes = [
        Mistake("all", lambda x: x.sort(dim=-1).values, "all?"),
        Mistake("first dim", lambda x: first_dim(x), "which dim?"),
    ]
    found = kind_of(
        compare_function,
        first_dim,
        in_pairs,
        [torch.tensor([1.0, 4, 3, 2]).double()],
        layouts=[seeded(2, 4)],
        mistakes=mistakes,
    )
    assert found == ("layout", "which dim?")


def test_a_mistake_without_gradient_does_not_explain_a_cut_graph():
    mistakes = [Mistake("indices", lambda x: x.sort().indices, "indices?")]
    answer, checked = (lambda x: double(x).detach()), {"gradient": True, "mistakes": mistakes}
    assert kind_of(compare_function, answer, double, [seeded(3)], **checked)[1] != "indices?"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_gradients_are_judged_at_the_precision_of_the_answer(dtype):
    compare_function(lambda x: x.to(dtype) ** 2, torch.square, [seeded(5)], gradient=True)
    kind, _ = kind_of(
        compare_function,
        lambda x: ((x + x.detach()) / 2).to(dtype),
        lambda x: x,
        [seeded(5)],
        gradient=True,
    )
    assert kind == "gradient"


def test_a_mistake_in_place_spoils_nothing():
    x = seeded(3)
    mistakes = [
        Mistake("three", lambda x: x.mul_(3), "three?"),
        Mistake("sign", torch.neg, "the sign?"),
    ]
    found = kind_of(compare_function, lambda x: -x, double, [x], mistakes=mistakes)
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
        "The network uses Tanh; allowed are Linear, in an nn.Sequential.",
    )
    assert found(linear([[1.0, 0.0]]))[0] == "shape"
    assert found(linear([[1.0, 0.0], [0.0, 1.0]]))[0] == "value"
    stretched = nn.Sequential(linear([[0.0, 2.0], [2.0, 0.0]]), linear([[0.5, 0.0], [0.0, 0.5]]))
    assert found(stretched) == (
        "constraint",
        "The 2-norm of '0.weight' is 2, above 1. By what is it divided?",
    )
    half = [[0.5, 0.5], [0.5, -0.5]]
    assert found(linear(half))[0] == "value"
    assert found(linear([[0.8, 0.6], [0.6, -0.8]]), p=math.inf)[1].startswith("The ∞-norm")
    not_finite = linear([[math.nan, 1.0], [1.0, 0.0]])
    assert found(not_finite)[1].startswith("'weight' holds a number that is not finite")
    assert found(nn.Linear(2, 2, device="meta"))[0] == "error"
    assert found(nn.Linear(3, 2))[0] == "error"


def test_a_long_weight_is_not_taken_for_another_exact_network():
    """A mistake of the same function speaks only where its weights are as long."""

    def twice(first):
        return nn.Sequential(linear([[first]]), linear([[1 / first]]))

    mistakes = [Mistake("four", twice(4.0), "four?"), Mistake("same", twice(1.0), "same?")]
    checked = {"inputs": [seeded(5, 1)], "mistakes": mistakes}

    def hint(network):
        return kind_of(compare_network, network, lambda x: 1 * x, **checked)[1]

    assert hint(twice(4.0)) == "four?"
    assert hint(twice(2.0)) == "The 2-norm of '0.weight' is 2, above 1. By what is it divided?"
    assert "is 1.0002, above 1. Nearly" in hint(linear([[1.0002]]))
    compare_network(linear([[1.0]]), lambda x: 1 * x, [seeded(5, 1)])


def test_the_rows_of_a_matrix_are_not_shown_for_themselves():
    def gram(W):
        return W.T @ W

    text = kind_of(compare_function, lambda W: W.T @ W + W, gram, [seeded(3, 3)])[1]
    assert text.startswith("For [[")
    assert "in the row" not in text


def test_norm_is_that_of_the_weight_in_use():
    network = nn.utils.parametrizations.orthogonal(linear([[0.0, 5.0], [5.0, 0.0]]))
    weight = network.weight.detach().double()
    compare_network(network, lambda x: x @ weight.T, [seeded(5, 2)], allowed=(nn.Linear,))


def test_no_block_touches_the_global_generator():
    before = torch.get_rng_state()
    compare_function(double, double, [seeded(3)], gradient=True, ties=[seeded(2)])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_norm_of_a_selection_counts():
    twice = nn.Sequential(lt.Selection([0, 0], 1))
    checked = {"inputs": [seeded(5, 1)], "allowed": (nn.Linear,)}

    def double(x):
        return x.repeat_interleave(2, dim=-1)

    compare_network(twice, double, p=math.inf, **checked)
    assert kind_of(compare_network, twice, double, p=2, **checked) == (
        "constraint",
        "The 2-norm of '0.weight' is 1.414, above 1. By what is it divided?",
    )


def test_an_answer_stopped_midway_leaves_the_inputs_as_they_were():
    def answer(x):
        x.zero_()
        raise guard.TimeUp

    x = torch.ones(3).double()
    with pytest.raises(guard.TimeUp):
        compare_function(answer, torch.neg, [x])
    assert x.tolist() == [1, 1, 1]
