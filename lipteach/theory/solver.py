"""What can be done with terms: evaluate them at a point, and ask the SMT solver z3 for a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from lipteach.theory.expressions import And, Formula, Node, Or, Term

Number = Fraction | float
Point = dict[str, Fraction]


def ordered(root: Node) -> Iterator[Node]:
    """Every node of the graph once, operands first."""
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, operands_done = stack.pop()
        if operands_done:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(a, False) for a in reversed(node.args) if isinstance(a, Node)]


def evaluate(root: Node, point: Mapping[str, Number]) -> Any:
    """The value of a term, or of a formula (whether it holds, by how much), at a point.

    A term without roots has an exact value, a Fraction, wherever the point is given in Fractions.
    The margin of a formula is what one could add to its right-hand sides before it changes.
    """
    value: dict[int, Any] = {}
    for node in ordered(root):
        args = [value[id(a)] if isinstance(a, Node) else a for a in node.args]
        value[id(node)] = _apply(node.op, args, point)
    return value[id(root)]


def _apply(op: str, args: list[Any], point: Mapping[str, Number]) -> Any:
    match op, args:
        case "number", [number]:
            return number
        case "variable", [name]:
            return point[name]
        case "root", [number]:
            return math.sqrt(number)
        case "add", _:
            return sum(args)
        case "multiply", [a, b]:
            return a * b
        case "divide", [a, b]:
            return a / b
        case "if", [(holds, _), then, otherwise]:
            return then if holds else otherwise
        case "at most", [a, b]:
            return a <= b, b - a
        case "equal", [a, b]:
            return a == b, -abs(a - b)
        case "not", [(holds, margin)]:
            return not holds, -margin
        case "and", _:
            return all(h for h, _ in args), min((m for _, m in args), default=math.inf)
        case "or", _:
            return any(h for h, _ in args), max((m for _, m in args), default=-math.inf)
        case _:
            raise ValueError(f"{op!r} is no operation of a term.")


def _at_least(term: Term, margin: Fraction) -> Formula:
    return term >= margin


def fails_by(formula: Formula, margin: Fraction) -> Formula:
    """The formula fails, and each comparison that makes it fail does so by at least the margin."""
    a: tuple[Any, ...] = formula.args
    match formula.op:
        case "at most":
            return _at_least(a[0] - a[1], margin)
        case "equal":
            difference = a[0] - a[1]
            return Or(_at_least(difference, margin), _at_least(-difference, margin))
        case "and":
            return Or(*(fails_by(part, margin) for part in a))
        case "or":
            return And(*(fails_by(part, margin) for part in a))
        case _:
            return _holds_by(a[0], margin)


def _holds_by(formula: Formula, margin: Fraction) -> Formula:
    a: tuple[Any, ...] = formula.args
    match formula.op:
        case "at most":
            return _at_least(a[1] - a[0], margin)
        case "equal":
            return formula
        case "and":
            return And(*(_holds_by(part, margin) for part in a))
        case "or":
            return Or(*(_holds_by(part, margin) for part in a))
        case _:
            return fails_by(a[0], margin)


def find_point(formula: Formula, seconds: float, effort: int = 0) -> tuple[str, Point]:
    """Ask for a point where the formula holds.

    Returns ("sat", the point), ("unsat", {}) or ("unknown", {}).

    An effort, the solver's own measure of work, stops it at the same place on every machine. The
    irrational coordinates of a point are rounded to some 20 digits.
    """
    z3 = _import_z3()
    context = z3.Context()  # a context of its own: the answer does not depend on earlier ones
    solver = z3.Solver(ctx=context)
    solver.set("timeout", max(1, int(seconds * 1000)))
    if effort:
        solver.set("rlimit", effort)
    translated, unknowns = _to_z3(formula, z3, context, solver)
    solver.add(translated)
    status = str(solver.check())
    if status != "sat":
        return status, {}
    model = solver.model()
    return status, {name: _fraction(model.eval(v, True), z3) for name, v in unknowns.items()}


def _to_z3(root: Node, z3: Any, context: Any, solver: Any) -> tuple[Any, dict[str, Any]]:
    """The formula in the solver's terms, and its unknowns. A root is defined by its square."""
    unknowns: dict[str, Any] = {}
    value: dict[int, Any] = {}
    for node in ordered(root):
        args = [value[id(a)] if isinstance(a, Node) else a for a in node.args]
        match node.op, args:
            case "number", [number]:
                new = z3.RealVal(number, context)
            case "variable", [name]:
                new = unknowns.setdefault(name, z3.Real(name, context))
            case "root", [number]:
                new = z3.Real(f"root of {number}", context)
                solver.add(new * new == z3.RealVal(number, context), new > 0)
            case "add", _:
                new = z3.Sum(args)
            case "multiply", [a, b]:
                new = a * b
            case "divide", [a, b]:
                new = a / b
            case "if", [condition, then, otherwise]:
                new = z3.If(condition, then, otherwise, context)
            case "at most", [a, b]:
                new = a <= b
            case "equal", [a, b]:
                new = a == b
            case "not", [a]:
                new = z3.Not(a, context)
            case "and", _:
                new = z3.And(args) if args else z3.BoolVal(True, context)
            case _:
                new = z3.Or(args) if args else z3.BoolVal(False, context)
        value[id(node)] = new
    return value[id(root)], unknowns


def _fraction(value: Any, z3: Any) -> Fraction:
    rational = value if z3.is_rational_value(value) else value.approx(20)
    return Fraction(rational.numerator_as_long(), rational.denominator_as_long())


def _import_z3() -> Any:
    try:
        import z3
    except ImportError as error:
        raise ImportError(
            "A proof needs the solver z3; install it with: pip install z3-solver"
        ) from error
    return z3
