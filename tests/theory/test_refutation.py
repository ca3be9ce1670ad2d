"""What the solver refutes, with an input that fails when torch runs it."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proof_support import ran
from torch import nn

from lipteach.primitives import FullSort, GroupSort, MaxMin
from lipteach.theory.conversions import (
    maxmin_from_full_sort,
)
from lipteach.theory.exact_networks import (
    leaky_relu_network,
    relu_network,
)
from lipteach.theory.frozen import linear
from lipteach.theory.proof import Counterexample, Proof, Undecided, prove
from lipteach.theory.terms import If, Max
from lipteach.theory.theorem2 import theorem2_counterexample

# Refuted, with an input


@pytest.mark.parametrize("n", [4, 6, 8])
@pytest.mark.parametrize("gap", [1.0, 1.99])
def test_a_chunking_gap_below_twice_the_bound_is_refuted(n, gap):
    network = maxmin_from_full_sort(n, bound=gap / 2)
    result = prove(network, MaxMin(), (-1, 1))
    output = ran(network, result)
    assert result.input.abs().max() <= 1
    true = MaxMin()(result.input)
    assert torch.equal(true, result.expected)
    assert float((output - true).abs().max()) == pytest.approx(result.gap)
    assert result.gap == pytest.approx(1.0 if gap == 1 else 0.01)


def test_the_paper_s_ascending_biases_are_refuted():
    b = [1.0, 1.0, 3.0, 3.0]
    network = nn.Sequential(
        linear(torch.eye(4), b), FullSort(), linear(torch.eye(4), [-v for v in b])
    )
    ran(network, prove(network, MaxMin(), (-1, 1)))


def test_the_replaced_network_of_theorem_2_is_refuted():
    f, replaced = theorem2_counterexample()
    result = prove(replaced, f)
    assert not torch.allclose(ran(replaced, result), f(result.input))


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
def test_a_perturbed_network_is_refuted(size):
    generator = torch.Generator().manual_seed(7)
    layers = [nn.Linear(2, 4), MaxMin(), nn.Linear(4, 2)]
    network = nn.Sequential(*layers).double()
    other = nn.Sequential(nn.Linear(2, 4), MaxMin(), nn.Linear(4, 2)).double()
    with torch.no_grad():
        for a, b in zip(network.parameters(), other.parameters(), strict=True):
            a.copy_(torch.randn(a.shape, generator=generator, dtype=torch.float64))
            b.copy_(a)
        assert prove(network, other)
        other[0].weight[1, 1] += size
    result = prove(network, other, (-2, 2))
    output = ran(network, result)
    assert torch.equal(other(result.input), result.expected)
    assert float((output - result.expected).abs().max()) == pytest.approx(result.gap)
    assert prove(network, other, (-2, 2), tol=100 * size)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=12, max_size=12), st.integers(-2, 2))
def test_every_answer_about_small_networks_is_right(weights, extra):
    W = torch.tensor(weights, dtype=torch.float64).reshape(4, 3)
    network = nn.Sequential(linear(W[:, :2], W[:, 2]), GroupSort(4), linear([[1, 0, 0, extra]]))
    result = prove(network, lambda x: Max(x[0], x[1]), (-1, 1))
    grid = torch.cartesian_prod(*[torch.linspace(-1, 1, 21, dtype=torch.float64)] * 2)
    with torch.no_grad():
        same = torch.allclose(network(grid)[:, 0], grid.amax(1), atol=1e-9)
    assert isinstance(result, Proof | Counterexample)
    assert bool(result) <= same
    if not result:
        assert abs(ran(network, result).item() - result.input.max().item()) > 0


def test_counterexamples_at_irrational_points():
    result = prove(lambda x: x, lambda x, y: y <= 1, lambda x: [x * x == 2, x > 0])
    assert result.input.item() == pytest.approx(math.sqrt(2))


def test_what_rounding_hides_is_not_called_a_counterexample():
    result = prove(leaky_relu_network(0.5), nn.LeakyReLU(0.5))
    assert isinstance(result, Undecided)
    assert "rounding" in str(result)


@pytest.mark.parametrize("error", [-1, 1])
def test_a_tolerance_is_for_both_signs(error):
    assert prove(lambda a: a, lambda a: a + error / 2, tol=0.5)
    result = prove(lambda a: a, lambda a: a + error, tol=0.5)
    assert result.gap == 1


def test_counterexamples_are_simple_points_of_the_domain():
    result = prove(lambda a: a, lambda a: -a, lambda a: a > 4 / 3)
    assert str(result) == "Counterexample at a = 2: gives (2) instead of (-2)"
    result = prove(lambda a: a, lambda a, y: y <= 1 / 3)
    assert str(result) == "Counterexample at a = 2: gives (2), where the claim fails"


def test_a_point_at_which_torch_sees_no_failure_is_not_believed(monkeypatch):
    point = {"x1": Fraction(1)}
    monkeypatch.setitem(prove.__globals__, "find_point", lambda *_: ("sat", point))
    assert isinstance(prove(nn.Linear(1, 1), nn.Identity()), Counterexample)
    assert isinstance(prove(relu_network(1), nn.ReLU()), Undecided)


@pytest.mark.parametrize("answers", [("unknown", "unsat"), ("sat", "unknown")])
def test_no_proof_without_an_input_and_a_refutation(monkeypatch, answers):
    said = iter(answers)
    monkeypatch.setitem(prove.__globals__, "find_point", lambda *_: (next(said), {}))
    assert isinstance(prove(relu_network(1), nn.ReLU()), Undecided)


def test_a_point_outside_the_domain_is_not_believed(monkeypatch):
    point = {"x1": Fraction(3)}
    monkeypatch.setitem(prove.__globals__, "find_point", lambda *_: ("sat", point))
    assert isinstance(prove(nn.ReLU(), lambda x: -x[0], [(2, 4)]), Counterexample)
    assert isinstance(prove(nn.ReLU(), lambda x: -x[0], [(0, 2)]), Undecided)


def test_division_by_zero_is_said():
    result = prove(lambda x: x / x, lambda x: 1)
    assert str(result) == "Undecided: the claim divides by zero at x = 0"
    assert prove(lambda x: x / x, lambda x: 1, lambda x: x != 0)
    found = prove(lambda x: x / x, lambda x: If(x * x <= 9, 1, 2))
    assert abs(found.input.item()) > 3
