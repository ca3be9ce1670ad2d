"""What `prove` is asked: a network, a claim and a domain, turned into formulas."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from lipteach.theory.expressions import And, Formula, Term, as_formula, as_term, read_number
from lipteach.theory.solver import Point, evaluate
from lipteach.theory.terms import apply, as_stored, input_size, layers

Bound = tuple[Fraction | None, Fraction | None]
Runner = Callable[[Point], list[float]]


@dataclass(frozen=True, eq=False)
class Question:
    """Does `statement(outputs, expected)` hold wherever `domain` does?"""

    inputs: list[Term]
    names: tuple[str, ...]  # for a function of terms
    domain: Formula
    bounds: list[Bound]
    domain_text: str
    outputs: list[Term]
    expected: list[Term] | None  # None if the claim is a comparison
    statement: Callable[[list[Term], list[Term] | None], Formula]
    run: Runner
    run_expected: Runner
    reading: str

    @property
    def variables(self) -> list[str]:
        """The names of the unknowns, in the order of the inputs."""
        return [str(x.args[0]) for x in self.inputs]


def ask(network: Any, claim: Any, domain: Any, tol: float) -> Question:
    """Translate the arguments of `prove`; every wrong argument is told here."""
    module = isinstance(network, nn.Module)
    if not module and not callable(network):
        kind = type(network).__name__
        raise TypeError(f"network must be an nn.Module or a function of terms; got {kind}.")
    names = () if module else _parameters(network)
    inputs = [Term("variable", name) for name in names]
    if module:
        n = _count_inputs(network, claim, domain)
        inputs = [Term("variable", f"x{i + 1}") for i in range(n)]
    reader = _Reader(exact=tol > 0)
    answer = apply(network, inputs, reader) if module else network(*inputs)
    outputs = _listed(answer)

    def call(function: Callable[..., Any], *more: Any) -> Any:
        return function(inputs, *more) if module else function(*inputs, *more)

    condition, bounds, text = _read_domain(domain, inputs, call, names)
    expected = apply(claim, inputs, reader) if isinstance(claim, nn.Module) else None
    takes_output = expected is None and _takes_output(claim, names, len(inputs), module)
    claimed: Any = None
    if expected is None and not takes_output:
        claimed = call(claim)
        if not _is_statement(claimed):
            expected = _listed(claimed)
    if expected is not None and len(expected) != len(outputs):
        raise ValueError(
            f"The claim must have as many outputs as the network, {len(outputs)}; got "
            f"{len(expected)}."
        )

    def statement(y: list[Term], e: list[Term] | None) -> Formula:
        if e is not None:
            return And(*(_near(a, b, tol) for a, b in zip(y, e, strict=True)))
        given = y if module or isinstance(answer, Sequence) else y[0]
        return _conjunction(call(claim, given) if takes_output else claimed)

    return Question(
        inputs=inputs,
        names=names,
        domain=condition,
        bounds=bounds,
        domain_text=text,
        outputs=outputs,
        expected=expected,
        statement=statement,
        run=_runner(network, outputs, inputs),
        run_expected=_runner(claim, expected or [], inputs),
        reading=reader.reading if module else "written",
    )


def _takes_output(claim: Any, names: tuple[str, ...], n: int, module: bool) -> bool:
    """Whether the claim, a function of the inputs, takes the output beside them."""
    if not callable(claim):
        raise TypeError(f"claim must be an nn.Module or a function; got {type(claim).__name__}.")
    count = len(_parameters(claim))
    extra = count - (1 if module else n)
    if extra not in (0, 1):
        need = "(x) or (x, y)" if module else f"({', '.join(names)}), with or without the output"
        raise ValueError(f"claim must take {need}; it takes {count} arguments.")
    return extra == 1


class _Reader:
    """Reads weights, and remembers whether any was not the fraction that its float is."""

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.reading = "stored"

    def __call__(self, value: float, digits: int) -> Term:
        if self.exact and math.isfinite(value):
            return as_stored(value, digits)
        term = read_number(value, digits)
        if term.op != "number":
            self.reading = "algebraic numbers"
        elif term.args[0] != Fraction(value) and self.reading == "stored":
            self.reading = "fractions"
        return term


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the positional parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        raise ValueError("A function in a proof must name its arguments; got one with *arguments.")
    return tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)


def _count_inputs(network: nn.Module, claim: Any, domain: Any) -> int:
    n = input_size(network)
    if n is None and isinstance(claim, nn.Module):
        n = input_size(claim)
    if n is None and isinstance(domain, Sequence) and not _is_pair(domain):
        n = len(domain)
    if n is None:
        raise ValueError(
            "The network has no Linear layer that tells its number of inputs; give the domain as a "
            "list with one pair for each input."
        )
    return n


def _listed(answer: Any) -> list[Term]:
    return [as_term(v) for v in answer] if isinstance(answer, Sequence) else [as_term(answer)]


def _is_statement(claimed: Any) -> bool:
    parts = claimed if isinstance(claimed, Sequence) else [claimed]
    return bool(parts) and all(isinstance(part, Formula | bool) for part in parts)


def _conjunction(claimed: Any) -> Formula:
    return And(*claimed) if isinstance(claimed, Sequence) else as_formula(claimed)


def _near(a: Term, b: Term, tol: float) -> Formula:
    if tol == 0:
        return a == b
    limit = Term("number", Fraction(tol))
    return And(a - b <= limit, b - a <= limit)


def _runner(network: Any, outputs: list[Term], inputs: list[Term]) -> Runner:
    """The network as it runs in float64; terms are evaluated and then rounded."""
    if not isinstance(network, nn.Module):
        return lambda point: [float(evaluate(term, point)) for term in outputs]

    def run(point: Point) -> list[float]:
        x = torch.tensor([float(point[v.args[0]]) for v in inputs], dtype=torch.float64)
        for layer in layers(network):
            if isinstance(layer, nn.Linear):
                b = None if layer.bias is None else layer.bias.detach().cpu().double()
                x = nn.functional.linear(x, layer.weight.detach().cpu().double(), b)
            else:
                x = layer(x)
        values: list[float] = x.tolist()
        return values

    return run


def _is_pair(value: Any) -> bool:
    numbers = (int, float, Fraction, type(None))
    return (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(end, numbers) and not isinstance(end, bool) for end in value)
    )


def _read_domain(
    domain: Any, inputs: list[Term], call: Callable[..., Any], names: tuple[str, ...]
) -> tuple[Formula, list[Bound], str]:
    """The domain as a condition, as bounds of each input, and in words."""
    n = len(inputs)
    subject = f"real {', '.join(names)}" if names else "real input"
    free: list[Bound] = [(None, None)] * n
    if domain is None:
        return And(), free, subject
    if callable(domain):
        return _conjunction(call(domain)), free, f"{subject} of the domain"
    pairs = [domain] * n if _is_pair(domain) else domain
    if not isinstance(pairs, Sequence) or not all(_is_pair(pair) for pair in pairs):
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
    shown = [_interval(*pair) for pair in pairs]
    power = "" if n == 1 else f"^{n}"
    where = shown[0] + power if len(set(shown)) == 1 else " x ".join(shown)
    what = f"({', '.join(names)})" if len(names) > 1 else "".join(names) or "input"
    return And(*condition), bounds, f"{what} in {where}"


def _read_pair(low: Any, high: Any) -> Bound:
    if any(end is not None and math.isnan(end) for end in (low, high)):
        raise ValueError(f"The ends of a domain must be numbers or None; got ({low}, {high}).")
    low = -math.inf if low is None else low
    high = math.inf if high is None else high
    if not (low <= high and low < math.inf and high > -math.inf):
        raise ValueError(f"A domain (low, high) must have low ≤ high; got ({low}, {high}).")
    a, b = [
        None if math.isinf(end) else Fraction(evaluate(as_term(end), {})) for end in (low, high)
    ]
    return a, b


def _interval(low: Any, high: Any) -> str:
    left = "(-inf" if low in (None, -math.inf) else f"[{low:g}"
    right = "inf)" if high in (None, math.inf) else f"{high:g}]"
    return f"{left}, {right}"
