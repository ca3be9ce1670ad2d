"""What can be done with terms: evaluate them at a point, and ask the SMT solver z3 for a point."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from lipteach.theory.expressions import And, Formula, Node, Not, Or, Term

Number = Fraction | float
Point = dict[str, Fraction]


class OutOfTime(Exception):
    """The time that `prove` was given is over."""


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


def fails_by(formula: Formula, margin: Fraction, fails: bool = True) -> Formula:
    """The formula fails, and each comparison that makes it fail does so by at least the margin.

    With ``fails=False`` it holds by the margin: a formula inside Not.
    """
    a: tuple[Any, ...] = formula.args
    match formula.op:
        case "at most":
            return _at_least(a[0] - a[1] if fails else a[1] - a[0], margin)
        case "equal":
            difference = a[0] - a[1]
            apart = Or(_at_least(difference, margin), _at_least(-difference, margin))
            return apart if fails else formula
        case "not":
            return fails_by(a[0], margin, not fails)
        case _:
            join = Or if (formula.op == "and") == fails else And
            return join(*(fails_by(part, margin, fails) for part in a))


def _at_least(term: Term, least: Term | Fraction) -> Formula:
    return term >= least


def relaxed(formula: Formula, by: Term, weaker: bool = True) -> Formula:
    """The formula with each comparison made weaker by the same amount: a ≤ b becomes a − b ≤ by.

    Inside Not the comparisons are made stronger, so that the whole is weaker.
    """
    a: tuple[Any, ...] = formula.args
    match formula.op:
        case "at most":
            return _at_least(a[1] + by if weaker else a[1] - by, a[0])
        case "equal":
            if not weaker:
                raise ValueError(
                    "With tol > 0 a claim must not say that two terms differ (!=, or == inside "
                    "Not), since any two then do; use tol = 0."
                )
            return And(a[0] - a[1] <= by, a[1] - a[0] <= by)
        case "not":
            return Not(relaxed(a[0], by, not weaker))
        case _:
            return Formula(formula.op, *(relaxed(part, by, weaker) for part in a))


def defined(root: Node) -> Formula:
    """Where no division by 0 is met: to the solver 1/0 is some number, and x/x = x/x everywhere.

    Of an If only the branch that is taken counts.
    """
    where: dict[int, list[Formula]] = {}  # what must hold, of each node
    for node in ordered(root):
        parts = [where[id(a)] if isinstance(a, Node) else [] for a in node.args]
        if node.op == "if" and (parts[1] or parts[2]):
            chosen, then, otherwise = node.args[0], And(*parts[1]), And(*parts[2])
            parts[1:] = [[Or(And(chosen, then), And(Not(chosen), otherwise))]]
        if node.op == "divide":
            parts.append([node.args[1] != 0])
        where[id(node)] = list({id(one): one for part in parts for one in part}.values())
    return And(*where[id(root)])


def variables(root: Node) -> set[str]:
    """The names of what a formula leaves open."""
    return {node.args[0] for node in ordered(root) if node.op == "variable"}


def find_point(formula: Formula, seconds: float, effort: int = 0) -> tuple[str, Point]:
    """Ask for a point where the formula holds.

    Returns ("sat", the point), ("unsat", {}) or ("unknown", {}).

    An effort, the solver's own measure of work, stops it at the same place on every machine. The
    irrational coordinates of a point are rounded to some 20 digits.
    """
    end = time.monotonic() + seconds
    z3 = _import_z3()
    context = z3.Context()  # a context of its own: the answer does not depend on earlier ones
    solver = z3.Solver(ctx=context)
    if effort:
        solver.set("rlimit", effort)
    unknowns = _load(formula, z3, context, solver, end)
    left = end - time.monotonic()
    if unknowns is None or left <= 0:
        return "unknown", {}
    solver.set("timeout", max(1, int(left * 1000)))
    status = str(solver.check())
    if status != "sat":
        return status, {}
    model = solver.model()
    return status, {name: _fraction(model.eval(v, True), z3) for name, v in unknowns.items()}


def _load(
    formula: Formula, z3: Any, context: Any, solver: Any, end: float
) -> dict[str, Any] | None:
    """Hand the formula to the solver and return its unknowns, or None if the time runs out."""
    # The solver's own timeout does not cover `add`, which takes seconds for a large network.
    alarm = threading.Timer(max(0.0, end - time.monotonic()), context.interrupt)
    alarm.daemon = True
    alarm.start()
    try:
        translated, unknowns = _to_z3(formula, z3, context, solver, end)
        solver.add(translated)
    except (OutOfTime, z3.Z3Exception):
        if time.monotonic() < end:
            raise
        return None
    finally:
        alarm.cancel()
    return unknowns


def _to_z3(
    root: Node, z3: Any, context: Any, solver: Any, end: float
) -> tuple[Any, dict[str, Any]]:
    """The formula in the solver's terms, and its unknowns. A root is defined by its square."""
    unknowns: dict[str, Any] = {}
    value: dict[int, Any] = {}
    for node in ordered(root):
        if time.monotonic() > end:
            raise OutOfTime
        args = [value[id(a)] if isinstance(a, Node) else a for a in node.args]
        if node.op == "variable":
            new = unknowns.setdefault(args[0], z3.Real(args[0], context))
        elif node.op == "root":
            new = z3.Real(f"root of {args[0]}", context)
            solver.add(new * new == z3.RealVal(args[0], context), new > 0)
        else:
            new = _operation(node.op, args, z3, context)
        value[id(node)] = new
    return value[id(root)], unknowns


def _operation(op: str, args: list[Any], z3: Any, context: Any) -> Any:
    match op, args:
        case "number", [number]:
            return z3.RealVal(number, context)
        case "add", _:
            return z3.Sum(args)
        case "multiply", [a, b]:
            return a * b
        case "divide", [a, b]:
            return a / b
        case "if", [condition, then, otherwise]:
            return z3.If(condition, then, otherwise, context)
        case "at most", [a, b]:
            return a <= b
        case "equal", [a, b]:
            return a == b
        case "not", [a]:
            return z3.Not(a, context)
        case "and", _:
            return z3.And(args) if args else z3.BoolVal(True, context)
        case _:
            return z3.Or(args) if args else z3.BoolVal(False, context)


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
