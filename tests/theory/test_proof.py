"""The solver's answers: proofs of what is true, and refutations that hold when torch runs them."""

import math
import subprocess
import sys
import time
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
    linear,
    maxout_network,
    relu_network,
    w_network,
)
from lipteach.theory.proof import Counterexample, Proof, Undecided, prove
from lipteach.theory.question import ask
from lipteach.theory.solver import find_point
from lipteach.theory.terms import If, Max, Min, Not, Or, Sqrt, apply, maxmin, relu
from lipteach.theory.terms import linear as affine
from lipteach.theory.theorem2 import theorem2_counterexample

R = Sqrt(2)
M = [[1 / R, 1 / R], [1 / R, -1 / R]]


def maxmins(x):
    return [f(x[i], x[i + 1]) for i in range(0, len(x), 2) for f in (Max, Min)]


def ran(network, result):
    """What torch computes at a counterexample, which must be what the counterexample says."""
    assert isinstance(result, Counterexample)
    assert not result
    with torch.no_grad():
        output = network(result.input)
    assert torch.equal(output, result.output)
    return output


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


# The clock


def _wide(n):
    torch.manual_seed(0)
    layers = [nn.Linear(64, n), MaxMin(), nn.Linear(n, n), MaxMin(), nn.Linear(n, 1)]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize(
    ("network", "claim", "timeout"),
    [
        (full_sort_from_maxmin(16), FullSort(), 0.3),  # too hard for the solver
        (_wide(128), lambda x, y: y[0] <= 100, 1.0),  # too large to hand over
        (nn.Linear(2000, 1000), lambda x: x, 0.3),  # too large to read
    ],
)
def test_time_runs_out(network, claim, timeout):
    start = time.monotonic()
    result = prove(network, claim, (-1, 1), timeout=timeout)
    assert time.monotonic() - start < timeout + 2
    assert isinstance(result, Undecided)
    assert not result
    assert str(result).endswith(f"within {timeout:g} s")


@pytest.mark.parametrize(
    ("width", "seconds"),
    [(192, 0.2), (96, 1.3)],  # over while the formula is translated, while it is handed over
)
def test_the_clock_runs_before_the_solver_does(width, seconds):
    question = ask(_wide(width), lambda x, y: y[0] <= 100, (-1, 1), tol=0.5)
    formula = question.statement(question.outputs, None)
    start = time.monotonic()
    assert find_point(formula, seconds) == ("unknown", {})
    assert time.monotonic() - start < seconds + 1


# What is printed, and again the same


def test_the_texts():
    unknown = abs_network()
    assert str(prove(unknown, lambda x: abs(x[0]))) == (
        "Proof: for every real input (weights read as algebraic numbers)"
    )
    assert prove(w_network(0.1), w_network(-0.1), tol=1).reading == "stored"
    assert "fractions" in str(prove(w_network(0.1), w_network(0.1)))
    assert str(prove(MaxMin(), MaxMin(), [(0, 1), (-1, None)])) == (
        "Proof: for every input in [0, 1] x [-1, inf)"
    )
    assert str(prove(lambda a, b: a, lambda a, b: a, (0, 1))) == (
        "Proof: for every (a, b) in [0, 1]^2"
    )
    assert repr(prove(nn.ReLU(), lambda x: x[0], [(-1, 1)])) == (
        "Counterexample at (-1): gives (0) instead of (-1)"
    )
    assert str(prove(lambda a: -a, lambda a, y: y <= 0, (-1, 1))) == (
        "Counterexample at a = -1: gives (1), where the claim fails"
    )
    assert str(prove(lambda a: 1 + a, lambda a: 1 + a + 1e-8, (0, 0))) == (
        "Counterexample at a = 0: gives (1) instead of (1) (gap 1e-08)"
    )


def test_answers_do_not_depend_on_earlier_ones():
    def answer():
        return str(prove(maxmin_from_full_sort(6, 0.5), MaxMin(), (-1, 1)))

    said = answer()
    prove(full_sort_from_maxmin(4), FullSort())
    assert answer() == said


def test_the_solver_is_imported_only_to_prove():
    code = "import sys, lipteach, lipteach.theory.proof; print('z3' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_without_the_solver(monkeypatch):
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(ImportError, match="pip install z3-solver"):
        prove(nn.ReLU(), nn.ReLU(), [(0, 1)])


# Bad input


def _infinite():
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, math.inf)
    return layer


NET = abs_network()


def SAME(x):
    return abs(x[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((NET, lambda x: [x[0], x[0]]), "as many outputs as the network, 1; got 2"),
        ((NET, lambda x, y, z: x), r"must take \(x\) or \(x, y\); it takes 3"),
        ((NET, lambda: 0), "it takes 0"),
        ((lambda a, b: a, lambda x: x[0]), r"must take \(a, b\), with or without the output"),
        ((lambda *a: a[0], lambda x: x), r"got one with \*arguments"),
        ((NET, SAME, [(0, 1), (0, 1)]), "one pair for each of 1 inputs; got 2"),
        ((NET, SAME, (1, 0)), r"low ≤ high; got \(1, 0\)"),
        ((NET, SAME, (math.nan, 0)), "numbers or None; got"),
        ((NET, SAME, (math.inf, None)), "low ≤ high; got"),
        ((NET, SAME, lambda x: [x[0] > 1, x[0] < 0]), "domain is empty"),
        (
            (NET, SAME, lambda x, y: x[0] > 0),
            r"function of \(x, the list of inputs\): missing .* 'y'",
        ),
        ((lambda a: a, lambda a: a, lambda: True), r"function of \(a\): too many"),
        ((NET, max), "tell its arguments, as def and lambda do; got <built-in function max>"),
        ((lambda: 1, lambda: 1), "network must take at least one argument"),
        ((NET, lambda x: x[0] / 0), "cannot be divided by the number 0"),
        ((NET, lambda x, y: y[0] != 3, None, 0.1), "must not say that two terms differ"),
        ((nn.Linear(1, 1, device="meta"), SAME), "meta device has no weights"),
        ((NET, SAME, None, -1.0), "tol must be at least 0"),
        ((NET, SAME, None, math.nan), "tol must be finite"),
        ((NET, SAME, None, 0.0, 0.0), "timeout must be greater than 0"),
        ((nn.Sequential(nn.Linear(1, 1), nn.Tanh()), SAME), "has a Tanh"),
        ((MaxMin(), maxmins), "list with one pair for each input"),
        ((MaxMin(), maxmins, (0, 1)), r"such as \[\(0, 1\)\] \* 2"),
        ((_infinite(), SAME), "finite; got inf"),
        ((_infinite(), SAME, None, 0.1), "finite; got inf"),
    ],
)
def test_wrong_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        prove(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net", SAME), "nn.Module or a function of terms; got str"),
        ((NET, "claim"), "nn.Module or a function; got str"),
        ((NET, SAME, "domain"), "domain must be None, a pair"),
        ((NET, SAME, 3), "domain must be None, a pair"),
        ((NET, SAME, lambda x: x[0]), "comparison of terms is needed"),
        ((NET, lambda x, y: y[0]), "comparison of terms is needed"),
        ((NET, lambda x: max(x[0], -x[0])), "Max, Min"),
        ((NET, lambda x: "x"), "term or a real number"),
        ((NET, SAME, None, "0"), "tol must be a real number"),
        ((NET, SAME, None, 0.0, True), "timeout must be a real number"),
    ],
)
def test_wrong_types(arguments, message):
    with pytest.raises(TypeError, match=message):
        prove(*arguments)


def test_ends_of_a_domain_may_be_fractions() -> None:
    proof = prove(abs_network(), lambda x: abs(x[0]), (Fraction(-1, 3), 1))
    assert proof
    assert str(proof).startswith("Proof: for every input in [-0.333333, 1]")


def test_the_weights_of_a_claimed_network_are_said_to_be_read() -> None:
    assert prove(lambda x: abs(x), abs_network()).reading == "algebraic numbers"
