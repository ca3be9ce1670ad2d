"""The function itself: its clock, its texts, its solver, and bad input."""

import math
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from proof_support import maxmins
from torch import nn

from lipteach.primitives import FullSort, MaxMin
from lipteach.theory import terms
from lipteach.theory.conversions import (
    full_sort_from_maxmin,
    maxmin_from_full_sort,
)
from lipteach.theory.exact_networks import (
    abs_network,
    w_network,
)
from lipteach.theory.frozen import frozen_linear
from lipteach.theory.proof import Proof, Undecided, prove
from lipteach.theory.question import ask
from lipteach.theory.solver import find_point

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


# Division: to the solver 1/0 is some number


@pytest.mark.parametrize(
    ("network", "claim"),
    [
        (lambda x: x / x, lambda x: x / x),
        (lambda x: x / x - x / x, lambda x: 0),
        (lambda x: (1 / x) ** 2, lambda x, y: y >= 0),
        (lambda x: 0 * (1 / x), lambda x: 0),
        (lambda x: (1 / x) * 0 + x, lambda x: x),
        (lambda x: terms.If(x >= 0, 1 / x, 1 / x), lambda x: 1 / x),
        (lambda x: 1 / (1 / x), lambda x: 1 / (1 / x)),
    ],
)
def test_nothing_is_proved_where_the_claim_divides_by_zero(network, claim):
    assert str(prove(network, claim)) == "Undecided: the claim divides by zero at x = 0"
    assert prove(network, claim, domain=lambda x: x > 0)


@pytest.mark.parametrize("number", [np.int64(2**53 + 1), sympy.Integer(2**53 + 1)])
def test_a_large_integer_is_read_in_every_digit(number):
    """Found by an attack: it was rounded to a float, 2⁵³, and that was proved."""
    assert not isinstance(prove(lambda x: x * number, lambda x: x * 2**53), Proof)
    assert not isinstance(prove(lambda x: x + number, lambda x: x + 2**53), Proof)
    assert prove(lambda x: number * x, lambda x: x * (2**53 + 1))
    assert terms.apply(nn.Identity(), [number])[0].args[0] == 2**53 + 1


def test_a_rational_number_of_sympy_is_read_exactly_and_what_is_no_float_is_refused():
    near = sympy.Rational(10**20 + 1, 10**20)
    assert not isinstance(prove(lambda x: x * near, lambda x: x), Proof)
    assert prove(lambda x: x * sympy.Rational(1, 1009), lambda x: x / 1009)
    with pytest.raises(ValueError, match=r"a rational one or a float; .* \(Float\) is neither"):
        prove(lambda x: x * sympy.Float("0.1234567890123456789012345", 30), lambda x: x)
    with pytest.raises(ValueError, match="must be finite; got nan"):
        prove(lambda x: x * math.nan, lambda x: x)


@pytest.mark.parametrize(
    "claim",
    [
        lambda x, y: y != 0,
        lambda x, y: terms.Not(y == 0),
        lambda x, y: [y != 0, y[0] == x[0]],
        lambda x, y: len(set(y)) == len(y),
        lambda x, y: terms.Or(y[0] is not x[0], y[0] == x[0]),
        lambda x, y: str(y[0]) != str(x[0]),
        lambda x, y: terms.If(y == 0, 1, 0) == 0,
    ],
)
def test_an_answer_of_python_s_own_is_no_claim(claim):
    """Found by an attack: what is true of every list was proved of every input."""
    for asked in ({"claim": claim}, {"claim": lambda x, y: y[0] == x[0], "domain": None}):
        if "domain" in asked:
            asked["domain"] = lambda x: claim(x, list(x))
        with pytest.raises(TypeError, match="which Python answers without the inputs"):
            prove(nn.Sequential(frozen_linear([[1.0]])), **asked)


def test_a_network_without_outputs_is_refused():
    with pytest.raises(ValueError, match="the list is empty"):
        prove(lambda x: [], lambda x: [])


def test_a_division_counts_where_it_is_made():
    assert prove(lambda x: terms.If(x == 0, 0, 1 / x) * x, lambda x: terms.If(x == 0, 0, 1))


def test_a_domain_holds_nothing_where_it_divides_by_zero():
    with pytest.raises(ValueError, match="The domain is empty"):
        prove(lambda x: x, lambda x, y: y == 0, domain=lambda x: [1 / x == 5, x == 0])
    assert prove(lambda x: x, lambda x, y: y > 0, domain=lambda x: terms.Or(x == 0, 1 / x > 0))


def test_a_function_that_changes_its_list_changes_no_other():
    first = frozen_linear([[1.0, 0.0]])

    def turned(x):
        x.reverse()
        return x[0] >= 0

    assert not prove(first, lambda x, y: y[0] == x[1], domain=turned)
    assert prove(first, lambda x, y: y[0] == x[0], domain=turned)

    def zeroed(x):
        x[0] = x[0] * 0
        return x[1] >= 0

    assert not prove(first, lambda x, y: x[0] == 0, domain=zeroed)


def test_a_claim_speaks_of_the_inputs_alone():
    free = terms.Term("variable", "root of 2")
    with pytest.raises(ValueError, match="speaks of root of 2, which is no input"):
        prove(lambda x: x * terms.Sqrt(2), lambda x, y: y >= free * x)
