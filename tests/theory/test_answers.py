"""What `prove` answers reads as what it is: no number as another, no claim beyond what there is."""

import math
from fractions import Fraction

import pytest
import torch
from torch import nn

import lipteach as lt
from lipteach.theory.floats import shown

NEAR = 0.9999999999


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.3333"),
        (0.9701425, "0.9701"),
        (-1.8, "-1.8"),
        (NEAR, "0.9999999999"),
        (1 + 1e-12, "1.000000000001"),
        (0.01 + 2e-10, "0.0100000002"),
        (1e-300, "1e-300"),
        (5e-324, "4.941e-324"),
        (-0.0, "0"),
        (99999.0, "99999"),
        (1234.4, "1234.4"),
        (12.344, "12.34"),
        (123456789.0, "123456789"),
        (123456.789, "1.235e+05"),
        (1e300, "1e+300"),
        (math.inf, "inf"),
    ],
)
def test_a_number_reads_as_itself_or_as_rounded(value: float, text: str) -> None:
    assert shown(value) == text
    assert shown(-value).lstrip("-") == text.lstrip("-")


def test_what_rounding_may_be_is_not_shown() -> None:
    assert shown(0.1 + 0.2, blur=1e-15) == "0.3"
    assert shown(5e-17, blur=1e-12) == "0"
    assert shown(1.0000001, blur=1e-12) == "1.0000001"


@pytest.mark.parametrize(
    ("claim", "domain", "text"),
    [
        (lambda x: 0, (1e-300, 1e-300), "(1e-300): gives (1e-300) instead of (0)"),
        (lambda x: 2, (NEAR, NEAR), "(0.9999999999): gives (0.9999999999) instead of (2)"),
        (lambda x: 1, (NEAR, NEAR), "(0.9999999999): gives (1) instead of (1) (gap 1e-10)"),
        (lambda x: 0, (123456789, 123456789), "(123456789): gives (123456789) instead of (0)"),
        (lambda x: 0, (Fraction(1, 3), Fraction(1, 3)), "(0.3333): gives (0.3333) instead of (0)"),
        (lambda x: x[0] + 1, (0, 0), "(0): gives (0) instead of (1)"),
    ],
)  # fmt: skip
def test_a_counterexample_is_shown_truthfully(claim, domain, text: str) -> None:
    assert repr(lt.prove(nn.Identity(), claim, [domain])) == f"Counterexample at {text}"


def test_named_inputs_ends_of_a_domain_and_tolerances_are_shown_truthfully() -> None:
    found = lt.prove(lambda a: a, lambda a, y: y <= 0, (1e-300, 1e-300))
    assert repr(found) == "Counterexample at a = 1e-300: gives (1e-300), where the claim fails"
    proof = lt.prove(nn.Identity(), lambda x: x[0], [(0.9999999999, 1234567)], tol=1 + 1e-9)
    assert repr(proof) == "Proof: within 1.000000001, for every input in [0.9999999999, 1234567]"
    undecided = lt.prove(lambda a: 1 / (a - 10**9 - 1), lambda a: 0, (10**9 + 1, 10**9 + 1))
    assert repr(undecided) == "Undecided: the claim divides by zero at a = 1000000001"


@pytest.mark.parametrize(
    ("claim", "domain"),
    [
        (lambda x, y: y[3] <= 1, None),
        (lambda x, y: y[-2] <= 1, None),
        (lambda x: x[2], None),
        (lambda x, y: [y[0] <= 0, y[1] <= 0], None),
        (lambda x, y: y[0] <= 1, lambda x: x[5] <= 1),
    ],
)
def test_an_index_beyond_what_there_is(claim, domain) -> None:
    network = nn.Sequential(lt.linear([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="can index 2 inputs and 1 outputs; list index out of"):
        lt.prove(network, claim, domain)
    with pytest.raises(ValueError, match="can index 2 inputs and 2 outputs"):
        lt.prove(lambda a, b: [a, b], lambda a, b, y: y[2] <= 1)


def test_a_claim_that_says_nothing_is_not_proved() -> None:
    with pytest.raises(ValueError, match="must compare terms; got an empty list"):
        lt.prove(nn.ReLU(), lambda x, y: [], [(0, 1)])


def scaled(*weights: float, dtype=torch.float64) -> nn.Sequential:
    return nn.Sequential(*(lt.linear([[w]]) for w in weights)).to(dtype)


def test_a_proof_is_about_the_reals_where_a_run_overflows_or_vanishes() -> None:
    """1e200 · 1e200 overflows, 1e-200 · 1e-200 is 0 in a run; as real numbers they are neither."""
    small = scaled(1e-200, 1e-200)
    assert small(torch.ones(1).double()) == 0
    assert not lt.prove(small, lambda x: 0, [(0, 1)])
    assert lt.prove(small, lambda x, y: y[0] >= 0, [(0, 1)])
    large = scaled(1e200, 1e200)
    assert not lt.prove(large, lambda x: 0, [(0, 1)])
    assert lt.prove(large, lambda x, y: y[0] >= x[0], [(0, 1)])
    assert lt.prove(scaled(1e-200, 1e200), lambda x, y: y[0] <= 1.1 * x[0], [(0, 1)])


@pytest.mark.parametrize("tol", [0.0, 0.1])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_weight_that_is_not_finite_is_refused(value: float, tol: float) -> None:
    for layer, name in ((nn.Linear(1, 1), "weight"), (nn.Linear(1, 1), "bias")):
        getattr(layer, name).data.fill_(value)
        with pytest.raises(ValueError, match="must be finite"):
            lt.prove(nn.Sequential(layer), lambda x: x[0], [(0, 1)], tol)


def test_float32_weights_are_read_as_few_fractions_and_else_as_stored() -> None:
    tenth = lt.prove(scaled(0.1, dtype=torch.float32), lambda x: x[0] / 10, [(0, 1)])
    assert (bool(tenth), tenth.reading) == (True, "fractions")
    hundredth = scaled(0.01, dtype=torch.float32)
    found = lt.prove(hundredth, lambda x: x[0] / 100, [(0, 1)])
    assert float(found.output) == float(hundredth[0].weight.double())
    stored = Fraction(float(hundredth[0].weight))
    assert lt.prove(hundredth, lambda x: x[0] * stored, [(0, 1)]).reading == "stored"
