"""Where a claim shall hold: intervals for the inputs, or a condition on them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from lipteach.primitives._validate import MOST
from lipteach.theory.expressions import And, Formula, Term, as_formula, as_term
from lipteach.theory.floats import shown
from lipteach.theory.solver import evaluate

Bound = tuple[Fraction | None, Fraction | None]
Call = Callable[..., Any]


def read_domain(
    domain: Any, inputs: list[Term], call: Call, names: tuple[str, ...]
) -> tuple[Formula, list[Bound], str]:
    """The domain as a condition, as bounds of each input, and in words."""
    n = len(inputs)
    subject = f"real {', '.join(names)}" if names else "real input"
    free: list[Bound] = [(None, None)] * n
    if domain is None:
        return And(), free, subject
    if callable(domain):
        try:
            _signature(domain).bind(*(names or "x"))
        except TypeError as error:
            need = ", ".join(names) or "x, the list of inputs"
            raise ValueError(f"domain must be a function of ({need}): {error}.") from None
        return conjunction(call(domain)), free, f"{subject} of the domain"
    pairs = [domain] * n if is_pair(domain) else domain
    if not isinstance(pairs, Sequence) or not all(is_pair(pair) for pair in pairs):
        raise TypeError(
            "domain must be None, a pair (low, high), a list of pairs or a function of the inputs; "
            f"got {domain!r}."
        )
    if len(pairs) != n:
        raise ValueError(f"domain must have one pair for each of {n} inputs; got {len(pairs)}.")
    bounds = [_read_pair(*pair) for pair in pairs]
    condition = []
    for x, (low, high) in zip(inputs, bounds, strict=True):
        condition += [] if low is None else [x >= low]
        condition += [] if high is None else [x <= high]
    sides = [_interval(*pair) for pair in pairs]
    power = "" if n == 1 else f"^{n}"
    where = sides[0] + power if len(set(sides)) == 1 else " x ".join(sides)
    what = f"({', '.join(names)})" if len(names) > 1 else "".join(names) or "input"
    return And(*condition), bounds, f"{what} in {where}"


def _read_pair(low: Any, high: Any) -> Bound:
    if any(end is not None and end != end for end in (low, high)):
        raise ValueError(f"The ends of a domain must be numbers or None; got ({low}, {high}).")
    # Exact ends can lie beyond every float; infinity, a float, means no bound.
    if any(not isinstance(end, float) and abs(end or 0) > MOST for end in (low, high)):
        raise ValueError(f"The ends of a domain must be within ±{MOST:.1e}, or None for no bound.")
    low = -math.inf if low is None else low
    high = math.inf if high is None else high
    if not (low <= high and low < math.inf and high > -math.inf):
        raise ValueError(f"A domain (low, high) must have low ≤ high; got ({low}, {high}).")
    a, b = [
        None if abs(end) == math.inf else Fraction(evaluate(as_term(end), {}))
        for end in (low, high)
    ]
    return a, b


def _interval(low: Any, high: Any) -> str:
    left = "(-inf" if low in (None, -math.inf) else f"[{shown(float(low), 6)}"
    right = "inf)" if high in (None, math.inf) else f"{shown(float(high), 6)}]"
    return f"{left}, {right}"


def is_pair(value: Any) -> bool:
    """Whether the value is one (low, high) for every input."""
    numbers = (int, float, Fraction, type(None))
    return (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(end, numbers) and not isinstance(end, bool) for end in value)
    )


def parameters(function: Call) -> tuple[str, ...]:
    """The names of the positional parameters without a default."""
    found = _signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in found):
        raise ValueError("A function in a proof must name its arguments; got one with *arguments.")
    return tuple(p.name for p in found if p.kind in kinds and p.default is p.empty)


def _signature(function: Call) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # of some builtins, max among them
        raise ValueError(
            f"A function in a proof must tell its arguments, as def and lambda do; got {function}."
        ) from None


def conjunction(claimed: Any) -> Formula:
    """One comparison, or all of a list, which says something."""
    if isinstance(claimed, Sequence) and not claimed:
        raise ValueError("A claim or domain must compare terms; got an empty list.")
    return And(*claimed) if isinstance(claimed, Sequence) else as_formula(claimed)
