"""What `prove` is asked: a network, a claim and a domain, turned into formulas."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from lipteach.primitives.composition import walk
from lipteach.theory.domain import Bound, Call, conjunction, is_pair, parameters, read_domain
from lipteach.theory.expressions import And, Formula, Term, as_term, read_number
from lipteach.theory.solver import OutOfTime, Point, evaluate, relaxed
from lipteach.theory.terms import apply, input_size

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


def ask(network: Any, claim: Any, domain: Any, tol: float, end: float = math.inf) -> Question:
    """Translate the arguments of `prove`; every wrong argument is told here.

    Raises OutOfTime at the time `end`, if the weights are not read by then.
    """
    module = isinstance(network, nn.Module)
    if not module and not callable(network):
        kind = type(network).__name__
        raise TypeError(f"network must be an nn.Module or a function of terms; got {kind}.")
    names = () if module else parameters(network)
    if not module and not names:
        raise ValueError("network must take at least one argument; it takes none.")
    inputs = [Term("variable", name) for name in names]
    if module:
        inputs = [Term("variable", f"x{i + 1}") for i in range(_width(network, claim, domain))]
    reader = _Reader(exact=tol > 0, end=end)
    answer = apply(network, inputs, reader) if module else network(*inputs)
    outputs = _listed(answer)
    if not outputs:
        raise ValueError("network must return a term or a list of terms; the list is empty.")

    def call(function: Call, *more: Any) -> Any:
        own = [list(y) if isinstance(y, list) else y for y in more]  # a function may change a list
        try:
            return function([*inputs], *own) if module else function(*inputs, *own)
        except IndexError as error:
            have = f"{len(inputs)} inputs and {len(outputs)} outputs"
            raise ValueError(f"The claim and the domain can index {have}; {error}.") from error

    condition, bounds, text = read_domain(domain, inputs, call, names)
    expected, compare = _read_claim(claim, inputs, call, names, reader)
    if expected is not None and len(expected) != len(outputs):
        raise ValueError(
            f"The claim must have as many outputs as the network, {len(outputs)}; got "
            f"{len(expected)}."
        )
    several = module or isinstance(answer, Sequence)

    def statement(y: list[Term], e: list[Term] | None) -> Formula:
        if e is not None:
            said = And(*(a == b for a, b in zip(y, e, strict=True)))
        else:
            said = conjunction(compare(y if several else y[0]))
        return relaxed(said, as_term(tol)) if tol else said

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
        reading=reader.reading if module or isinstance(claim, nn.Module) else "written",
    )


def _read_claim(
    claim: Any, inputs: list[Term], call: Call, names: tuple[str, ...], reader: _Reader
) -> tuple[list[Term] | None, Call]:
    """The expected outputs, if the claim tells them, and what it says of given outputs if not."""
    if isinstance(claim, nn.Module):
        return apply(claim, inputs, reader), call
    if not callable(claim):
        raise TypeError(f"claim must be an nn.Module or a function; got {type(claim).__name__}.")
    form, count = names or ("x",), len(parameters(claim))
    if count == len(form) + 1:
        return None, lambda output: call(claim, output)
    if count != len(form):
        need = f"({', '.join(names)}), with or without the output" if names else "(x) or (x, y)"
        raise ValueError(f"claim must take {need}; it takes {count} arguments.")
    claimed = call(claim)
    return None if _is_statement(claimed) else _listed(claimed), lambda _: claimed


class _Reader:
    """Reads weights until the time ends, and remembers whether any was not read as stored."""

    def __init__(self, exact: bool, end: float) -> None:
        self.exact = exact
        self.end = end
        self.reading = "stored"

    def __call__(self, value: float, digits: int) -> Term:
        if time.monotonic() > self.end:
            raise OutOfTime
        if self.exact and math.isfinite(value):
            return Term("number", Fraction(value))
        term = read_number(value, digits)
        if term.op != "number":
            self.reading = "algebraic numbers"
        elif term.args[0] != Fraction(value) and self.reading == "stored":
            self.reading = "fractions"
        return term


def _width(network: nn.Module, claim: Any, domain: Any) -> int:
    n = input_size(network)
    if n is None and isinstance(claim, nn.Module):
        n = input_size(claim)
    if n is None and isinstance(domain, Sequence) and not is_pair(domain):
        n = len(domain)
    if not n:
        raise ValueError(
            "The network has no Linear layer that tells its number of inputs; give the domain as a "
            "list with one pair for each input, such as [(0, 1)] * 2."
        )
    return n


def _listed(answer: Any) -> list[Term]:
    return [as_term(v) for v in answer] if isinstance(answer, Sequence) else [as_term(answer)]


def _is_statement(claimed: Any) -> bool:
    parts = claimed if isinstance(claimed, Sequence) else [claimed]
    return bool(parts) and all(isinstance(part, (Formula, bool)) for part in parts)


def _runner(network: Any, outputs: list[Term], inputs: list[Term]) -> Runner:
    """The network as it runs in float64; terms are evaluated and then rounded."""
    if not isinstance(network, nn.Module):
        return lambda point: [float(evaluate(term, point)) for term in outputs]

    def run(point: Point) -> list[float]:
        x = torch.tensor([float(point[v.args[0]]) for v in inputs], dtype=torch.float64)
        for _, layer in walk(network):
            if isinstance(layer, nn.Linear):
                b = None if layer.bias is None else layer.bias.detach().cpu().double()
                x = nn.functional.linear(x, layer.weight.detach().cpu().double(), b)
            else:
                x = layer(x)
        values: list[float] = x.tolist()
        return values

    return run
