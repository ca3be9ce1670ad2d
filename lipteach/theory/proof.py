r"""Proofs for every real input, by an SMT solver, of what a small network computes.

A network of affine layers and sorts is a piecewise-linear function; that it equals another one is a
statement about real numbers which a solver decides, with a point of difference if it is false.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from lipteach.primitives._validate import check_real
from lipteach.theory.answers import BLUR, Counterexample, Proof, Undecided
from lipteach.theory.domain import Bound
from lipteach.theory.expressions import And, Formula, Not, Or, Term
from lipteach.theory.floats import shown
from lipteach.theory.question import Question, ask
from lipteach.theory.solver import (
    OutOfTime,
    Point,
    defined,
    evaluate,
    fails_by,
    find_point,
    variables,
)

__all__ = ["Counterexample", "Proof", "Undecided", "prove"]

# Margins by which a counterexample shall fail the claim: the clearest that exists is shown.
_MARGINS = [Fraction(1), Fraction(1, 2), Fraction(1, 10), Fraction(1, 100), Fraction(1, 10**4)]
# What the solver may spend on each attempt to find a simpler counterexample.
_EFFORT = 300_000


def prove(
    network: nn.Module | Callable[..., Any],
    claim: nn.Module | Callable[..., Any],
    domain: Any = None,
    tol: float = 0.0,
    timeout: float = 10.0,
) -> Proof | Counterexample | Undecided:
    r"""Decide whether a claim about a network holds for every real input of a domain.

    $$\forall x \in \text{domain}:\quad \text{claim}(x, \text{network}(x)).$$

    The network is translated into exact arithmetic, each sort into a sorting network of
    comparisons, and a solver looks for an input that fails the claim. What is proved is a statement
    about real numbers; the rounding of a run in floating point is no part of it.

    With ``tol = 0`` the claim is an exact identity. A float64 weight within one unit in the last
    place of p/q or (p/q)√m, with p, q ≤ 1000 and m in 2, 3, 5, 6, 7, 10, is then read as that
    number (in float32 with p, q ≤ 16); all others are the fractions that the floats are. Numbers in
    the claim and the ends of the domain are read alike; `Proof.reading` tells how the weights were.

    With ``tol > 0`` each weight is the fraction that its float is, and outputs may differ by tol.
    Each comparison that a claim makes may be missed by tol as well: a == b then means
    |a − b| ≤ tol, and a ≤ b means a ≤ b + tol. What only the inputs shall meet belongs to `domain`,
    which has no tolerance.

    Args:
        network: an ``nn.Sequential`` of the layers that :func:`lipteach.theory.terms.apply`
            knows, with n inputs; or a function of n terms that returns a term or a list of terms.
        claim: what is claimed, as one of

            - a second network that shall have the same outputs,
            - ``claim(x)``: the expected outputs (or a comparison) in the list x of input terms,
            - ``claim(x, y)``: a comparison of input terms x and output terms y, or a list of them.

            If `network` is a function, say of (x, y, B), then the claim takes the same arguments,
            or these and the output: ``claim(x, y, B)`` or ``claim(x, y, B, output)``.
        domain: None for all of ℝⁿ; a pair (low, high) for every input; a list of n pairs, in which
            None stands for no bound; or a function as above that returns comparisons of the inputs
            (an input at which one of its divisions is by 0 does not belong to it).
            Where neither network nor claim has a Linear layer, only a list tells n.
        tol: the greatest difference allowed, at least 0; read as the numbers in the claim are.
        timeout: seconds after which the answer is Undecided; a large network may take a little
            longer.

    Returns:
        A :class:`Proof`; a :class:`Counterexample`, whose `input` can be run; or
        :class:`Undecided`.

    Raises:
        TypeError: if a term is used as a truth value, or a claim, a domain or a part of one is True
            or False: Python has answered it without the inputs (for a list ``y != 0`` is true).
        ValueError: if the domain is empty, a layer is not known or has hooks, a term is divided by
            0, or tol is positive with a claim that terms differ.
        ImportError: if z3 is not installed.

    Example:
        >>> from lipteach.theory.exact_networks import abs_network
        >>> lt.prove(lt.abs_network(), lambda x: abs(x[0]))
        Proof: for every real input (weights read as algebraic numbers)
        >>> lt.prove(nn.ReLU(), lambda x: abs(x[0]), domain=[(-3, 1)])
        Counterexample at (-1): gives (0) instead of (1)

    Source: Anil, Lucas and Grosse (2019), appendix A.1 to A.3, for the claims it serves.
    """
    start = time.monotonic()
    tol = check_real(tol, "tol", low=0.0)
    end = start + check_real(timeout, "timeout", above=0.0)
    try:
        return _decide(ask(network, claim, domain, tol, end), tol, end)
    except OutOfTime:
        return Undecided(f"the solver found neither a proof nor an input within {timeout:g} s")


def _decide(q: Question, tol: float, end: float) -> Proof | Counterexample | Undecided:
    def left() -> float:
        return end - time.monotonic()

    claimed = q.statement(q.outputs, q.expected)
    if strange := variables(And(q.domain, claimed)) - set(q.variables):
        raise ValueError(f"The claim speaks of {min(strange)}, which is no input of the network.")
    domain, known = And(q.domain, defined(q.domain)), defined(claimed)
    inhabited, _ = find_point(domain, left())
    if inhabited == "unsat":
        raise ValueError("The domain is empty: no real input meets its conditions.")
    answer, first = find_point(And(domain, Or(Not(claimed), Not(known))), left())
    if answer == "unsat" and inhabited == "sat":
        return Proof(q.domain_text, tol, q.reading)
    if answer != "sat":
        raise OutOfTime
    for wanted in _simpler(q, claimed):
        if left() <= 0:
            break
        answer, point = find_point(And(domain, wanted, known), left(), _EFFORT)
        found = _confirm(q, point, tol) if answer == "sat" else None
        if found is not None:
            return found
    found = _confirm(q, first, tol)
    return Undecided(_why_not(q, claimed, first)) if found is None else found


def _why_not(q: Question, claimed: Formula, point: Point) -> str:
    """Why the point, at which the claim fails for the solver, is no counterexample."""
    x = {name: point.get(name, Fraction(0)) for name in q.variables}
    try:
        evaluate(claimed, x)
    except ZeroDivisionError:
        where = ", ".join(f"{name} = {shown(float(value))}" for name, value in x.items())
        return f"the claim divides by zero at {where}"
    return "the claim fails only by what rounding hides in float64; allow a tol on a bounded domain"


def _simpler(q: Question, claimed: Formula) -> Iterator[Formula]:
    """What to ask of a counterexample, the neatest first: a clear failure at small numbers."""
    for margin in _MARGINS:
        failure = fails_by(claimed, margin)
        for grid in ([-1, 0, 1], [-2, -1, 0, 1, 2], [Fraction(k, 2) for k in range(-6, 7)]):
            at_grid = [
                Or(*(x == value for value in _within(grid, bound)))
                for x, bound in zip(q.inputs, q.bounds, strict=True)
            ]
            yield And(failure, *at_grid)
        yield failure


def _within(grid: list[Any], bound: Bound) -> list[Any]:
    """The values of the grid within the bounds, and the bounds themselves on the finest grid."""
    low, high = bound
    ends = [end for end in bound if end is not None]
    inside = [v for v in grid if (low is None or v >= low) and (high is None or v <= high)]
    return inside + ends if len(grid) > 5 or not inside else inside


def _confirm(q: Question, point: Point, tol: float) -> Counterexample | None:
    """The counterexample, if the claim fails clearly when the network is run in float64."""
    try:
        x = {name: Fraction(float(point.get(name, 0))) for name in q.variables}
        y, e = q.run(x), q.run_expected(x)
        if not all(map(math.isfinite, y + e)):
            return None
        exact = [evaluate(term, x) for term in (*q.outputs, *(q.expected or []))]
        fixed = [Term("number", Fraction(value)) for value in y + e]
        claimed = q.statement(fixed[: len(y)], fixed[len(y) :] if q.expected else None)
        inside, slack = evaluate(q.domain, x)
        holds, margin = evaluate(claimed, x)
    except (OverflowError, ZeroDivisionError):  # beyond float64, or a division by zero
        return None
    blur = BLUR * max(1.0, *map(abs, map(float, x.values())), *map(abs, y), *map(abs, e))
    unrounded = all(isinstance(a, Fraction) and a == b for a, b in zip(exact, y + e, strict=True))
    moved = any(x[name] != value for name, value in point.items())
    if holds or not (unrounded or -margin > blur) or not (inside or (moved and -slack <= blur)):
        return None
    expected = torch.tensor(e, dtype=torch.float64) if q.expected else None
    return Counterexample(
        input=torch.tensor([float(v) for v in x.values()], dtype=torch.float64),
        output=torch.tensor(y, dtype=torch.float64),
        expected=expected,
        gap=float(-margin) + tol,
        names=q.names,
    )
