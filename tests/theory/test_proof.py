"""What the solver proves: identities with known weights, and with unknowns for weights."""

import math

import pytest
import torch
from proof_support import M, R, maxmins, ran
from torch import nn

from lipteach.primitives import Abs, FullSort, GroupSort, MaxMin
from lipteach.theory.conversions import (
    full_sort_from_maxmin,
    maxmin_from_abs,
    maxmin_from_full_sort,
)
from lipteach.theory.exact_networks import (
    abs_network,
    crelu_network,
    leaky_relu_network,
    maxout_network,
    relu_network,
    w_network,
)
from lipteach.theory.frozen import linear
from lipteach.theory.proof import Proof, prove
from lipteach.theory.terms import If, Max, Not, Or, apply, maxmin, relu
from lipteach.theory.terms import linear as affine
from lipteach.theory.theorem2 import theorem2_counterexample

# True of every input


@pytest.mark.parametrize(
    ("network", "claim", "domain"),
    [
        (abs_network(2), lambda x: abs(x[0]), None),
        (abs_network(math.inf), lambda x: [abs(x[0])], None),
        (abs_network(1), lambda x, y: y[0] == abs(x[0]), None),
        (abs_network().float(), Abs(), None),
        (w_network(0.3), lambda x: abs(abs(x[0]) - 0.3), None),
        (relu_network(2), nn.ReLU(), None),
        (crelu_network(2), lambda x: [relu(v) for v in (x[0], x[1], -x[0], -x[1])], None),
        (leaky_relu_network(0), nn.ReLU(), None),
        (
            nn.Sequential(linear([[2.0]]), nn.LeakyReLU(0.2)),
            lambda x: Max(2 * x[0], x[0] * 0.4),
            None,
        ),
        (maxout_network(6, 3), lambda x: [Max(Max(*x[:2]), x[2]), Max(Max(*x[3:5]), x[5])], None),
        (maxmin_from_full_sort(4, 1.0), MaxMin(), (-1, 1)),
        (maxmin_from_full_sort(6, 1.0), maxmins, (-1, 1)),
        (maxmin_from_full_sort(8, 0.1), GroupSort(2), (-0.1, 0.1)),
        (full_sort_from_maxmin(4), FullSort(), None),
        (full_sort_from_maxmin(4), lambda x, y: [y[0] >= y[1], y[1] >= y[2], y[2] >= y[3]], None),
        (maxmin_from_abs(1.9), MaxMin(), (-1.9, 1.9)),
        (maxmin_from_abs(1.9), MaxMin(), lambda x: x[0] + x[1] + 2 * 1.9 >= 0),
        (theorem2_counterexample()[0], lambda x: abs(x[0]), None),
        (theorem2_counterexample()[1], lambda x: Max(abs(x[0]), abs(x[1])), None),
        (nn.ReLU(), nn.Identity(), [(0, None), (2, math.inf)]),
    ],
)
def test_proved(network, claim, domain):
    result = prove(network, claim, domain)
    assert isinstance(result, Proof), result
    assert result


def test_full_sort_of_eight_from_maxmin():
    assert prove(full_sort_from_maxmin(8), FullSort(), timeout=60)


def test_stored_weights_within_a_tolerance():
    result = prove(abs_network(), lambda x: abs(x[0]), (-100, 100), tol=1e-12)
    assert str(result) == "Proof: within 1e-12, for every input in [-100, 100]"
    assert prove(leaky_relu_network(0.5), nn.LeakyReLU(0.5), (-10, 10), tol=1e-12)
    assert not prove(abs_network(), lambda x: abs(x[0]), (-100, 100), tol=1e-17)


def test_a_tolerance_means_the_same_to_both_forms_of_a_claim():
    absolute = (-1, 1), 1e-9
    assert prove(abs_network(), lambda x, y: y[0] == abs(x[0]), *absolute)
    assert prove(abs_network(), lambda x: abs(x[0]), *absolute)
    for tol, holds in ((0.3, True), (0.29, False)):
        shifted = lambda x: abs(x[0]) + 0.3  # noqa: E731
        assert bool(prove(abs_network(math.inf), shifted, None, tol)) is holds
        equal = lambda x, y: y[0] == abs(x[0]) + 0.3  # noqa: E731
        result = prove(abs_network(math.inf), equal, None, tol)
        assert bool(result) is holds
    assert result.gap == pytest.approx(0.3)


@pytest.mark.parametrize(
    "claim",
    [
        lambda a, y: y >= 1,
        lambda a, y: Not(y < 1),
        lambda a, y: Or(y >= 1, y >= 3),
        lambda a, y: [y >= 1, y >= 0.5],
        lambda a: a >= 1,
    ],
)
def test_each_comparison_may_be_missed_by_the_tolerance(claim):
    result = prove(lambda a: a, claim, lambda a: a >= 0.5, 0.5)
    assert str(result) == "Proof: within 0.5, for every real a of the domain"
    assert not prove(lambda a: a, claim, lambda a: a >= 0.49, 0.5)
    assert prove(lambda a: a, claim, lambda a: a >= 0, 0.5).gap > 0.5


def test_what_a_choice_asks_is_not_relaxed():
    def chosen(a, y):
        return If(y >= 1, 2, 0) >= 2

    assert prove(lambda a: a, chosen, lambda a: a >= 1, 0.5)
    assert not prove(lambda a: a, chosen, lambda a: a >= 0.9, 0.5)


def test_a_strict_comparison_stays_strict():
    assert prove(lambda a: a, lambda a, y: y > 1, lambda a: a > 0.5, 0.5)
    result = prove(lambda a: a, lambda a, y: y > 1, lambda a: a >= 0.5, 0.5)
    assert result.input.tolist() == [0.5]


# With unknowns for weights, as a lesson writes them


def test_w_for_every_c():
    e = [0.5, -0.5, 0.5, -0.5]

    def w(x, c):
        h = maxmin([v * x for v in e])
        return affine([e], maxmin([a - c * v for a, v in zip(h, e, strict=True)]))

    assert prove(w, lambda x, c: abs(abs(x) - c))


def maxmin_by_abs(x, y, B, last=None):
    h = [abs(v) for v in affine(M, [x, y], [R * B, 0])]
    return affine(M, h, last or [-B, -B])


def test_maxmin_from_abs_for_every_bound():
    result = prove(
        maxmin_by_abs, lambda x, y, B: maxmin([x, y]), lambda x, y, B: x + y + 2 * B >= 0
    )
    assert str(result) == "Proof: for every real x, y, B of the domain"


def test_maxmin_from_abs_needs_its_condition():
    result = prove(maxmin_by_abs, lambda x, y, B: maxmin([x, y]))
    x, y, B = result.input.tolist()
    assert x + y + 2 * B < 0
    assert result.names == ("x", "y", "B")
    assert result.expected.tolist() == [max(x, y), min(x, y)]


def test_the_papers_last_bias_is_refuted():
    literal = prove(
        lambda x, y, B: maxmin_by_abs(x, y, B, last=[-B, 0]),
        lambda x, y, B: maxmin([x, y]),
        lambda x, y, B: x + y + 2 * B >= 0,
    )
    x, y, B = literal.input.tolist()
    assert x + y + 2 * B >= 0
    assert literal.output.tolist() == pytest.approx([max(x, y), min(x, y) + B])
    network = maxmin_from_abs(2.0)
    with torch.no_grad():
        network[-1].bias[1] = 0.0
    result = prove(network, MaxMin(), (-2, 2))
    x = result.input
    assert torch.allclose(ran(network, result), MaxMin()(x) + torch.tensor([0.0, 2.0]).double())


def test_leaky_relu_for_every_slope():
    result = prove(
        lambda x, a, v1, v2: affine([[v1, v2]], maxmin([v1 * x, v2 * x])),
        lambda x, a, v1, v2: If(x >= 0, x, a * x),
        lambda x, a, v1, v2: [v1**2 + v2**2 == 1, 2 * v1 * v2 == a, v1 >= abs(v2)],
    )
    assert result


def test_the_papers_leaky_relu_breaks_the_norm():
    assert prove(lambda a: 1 + a**2, lambda a, norm2: norm2 > 1, lambda a: a != 0)
    assert prove(lambda a: 1 + a**2, lambda a, norm2: norm2 <= 1, lambda a: a != 0).gap > 0


def test_one_hidden_layer_of_relu_gains_at_most_a_half():
    def one(u, v, b):
        f = lambda x: v * relu(u * x + b)  # noqa: E731
        return (f(1) + f(-1)) / 2 - f(0)

    def two(u1, u2, v1, v2, b1, b2):
        f = lambda x: v1 * relu(u1 * x + b1) + v2 * relu(u2 * x + b2)  # noqa: E731
        return (f(1) + f(-1)) / 2 - f(0)

    ball = lambda u, v, b: [u**2 <= 1, v**2 <= 1]  # noqa: E731
    assert prove(one, lambda u, v, b, gain: gain <= 1 / 2, ball)
    attained = prove(one, lambda u, v, b, gain: gain < 1 / 2, ball)
    assert attained.output.tolist() == [0.5]
    assert prove(
        two,
        lambda u1, u2, v1, v2, b1, b2, gain: gain <= 1 / 2,
        lambda u1, u2, v1, v2, b1, b2: [u1**2 + u2**2 <= 1, v1**2 + v2**2 <= 1],
    )


@pytest.mark.parametrize("det", [1, -1])
def test_no_orthogonal_first_layer_repairs_the_counterexample_to_theorem_2(det):
    # f vanishes on the axis x₁ = 0. No replaced network does so even at three of its points.
    rest = theorem2_counterexample()[0][1:]

    def replaced(c, s, b1, b2):
        return [apply(rest, [-det * s * t + b1, det * c * t + b2])[0] for t in (-1, 0, 1)]

    assert prove(
        replaced,
        lambda c, s, b1, b2, f: Or(*(value != 0 for value in f)),
        lambda c, s, b1, b2: c**2 + s**2 == 1,
    )
