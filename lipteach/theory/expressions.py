"""Exact real expressions in unknowns: terms, and formulas that compare them.

Terms know ``+ - * / **``, ``abs`` and the comparisons. Choices are made by ``If``, ``Max`` and
``Min``: the outcome of a comparison is not known yet, so that ``max(x, y)`` and ``if x > y`` raise
an error instead of deciding by chance. Numbers are exact: see :func:`read_number` for floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from numbers import Rational, Real
from typing import Any, NoReturn, Self

from lipteach.theory.floats import meant


class Node:
    """An operation and what it is applied to; operands are shared, so that a term is a graph."""

    __slots__ = ("args", "divides", "op")
    __array_ufunc__ = None  # NumPy scalars leave the arithmetic to the term

    def __init__(self, op: str, *args: Any) -> None:
        self.op = op
        self.args = args
        self.divides: bool = op == "divide" or any(isinstance(a, Node) and a.divides for a in args)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A term, or a comparison of terms, has no truth value yet; use Max, Min, If, And, Or "
            "and Not of lipteach.theory.terms instead of max, min, if, and, or, not."
        )

    def __ne__(self, other: object) -> Formula:  # type: ignore[override]
        return Not(self == other)

    def __repr__(self) -> str:
        if self.op in ("number", "variable"):
            return str(self.args[0])
        return f"{self.op}({', '.join(map(str, self.args))})"


class Formula(Node):
    """A statement about terms, true or false once the unknowns are known."""

    __slots__ = ()
    __hash__ = Node.__hash__

    def __eq__(self, other: object) -> Formula:  # type: ignore[override]
        other = as_formula(other)
        return Or(And(self, other), Not(Or(self, other)))


class Term(Node):
    """A real number that may depend on unknowns."""

    __slots__ = ()
    __hash__ = Node.__hash__

    def __add__(self, other: Any) -> Term:
        return add([self, other]) if _is_number(other) else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> Term:
        return self * -1

    def __pos__(self) -> Self:
        return self

    def __sub__(self, other: Any) -> Term:
        return add([self, -as_term(other)]) if _is_number(other) else NotImplemented

    def __rsub__(self, other: Any) -> Term:
        return add([other, -self])

    def __mul__(self, other: Any) -> Term:
        return _multiply(self, as_term(other)) if _is_number(other) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Term:
        if not _is_number(other):
            return NotImplemented
        divisor = as_term(other)
        if divisor.op == "number":
            if divisor.args[0] == 0:
                raise ValueError("A term cannot be divided by the number 0.")
            return _multiply(Term("number", 1 / divisor.args[0]), self)
        return Term("divide", self, divisor)

    def __rtruediv__(self, other: Any) -> Term:
        return as_term(other) / self

    def __pow__(self, exponent: int) -> Term:
        if not isinstance(exponent, int) or exponent < 1:
            raise ValueError(
                f"The exponent of a term must be a positive integer; got {exponent!r}."
            )
        return math.prod([self] * (exponent - 1), start=self)

    def __abs__(self) -> Term:
        return If(self >= 0, self, -self)

    def __le__(self, other: Any) -> Formula:
        return Formula("at most", self, as_term(other))

    def __ge__(self, other: Any) -> Formula:
        return Formula("at most", as_term(other), self)

    def __lt__(self, other: Any) -> Formula:
        return Not(self >= other)

    def __gt__(self, other: Any) -> Formula:
        return Not(self <= other)

    def __eq__(self, other: object) -> Formula:  # type: ignore[override]
        return Formula("equal", self, as_term(other))


def read_number(value: float, digits: int = 53) -> Term:
    r"""The exact number that a float of `digits` significant bits was meant to be.

    In this order: a fraction p/q, or (p/q)√m with m in 2, 3, 5, 6, 7, 10, within one unit in the
    last place; otherwise the very fraction that the float is. Here p and q are at most 1000 in
    float64 and 16 in float32. Numbers of shorter formats are taken as they are, since there any
    float is near some root.

    Example:
        >>> read_number(0.7071067811865476), read_number(0.1), read_number(0.1234567)
        (multiply(1/2, root(2)), 1/10, 4447996384931129/36028797018963968)
    """
    factor, radicand = meant(value, digits)
    term = Term("number", factor)
    return term if radicand == 1 else _multiply(term, Sqrt(radicand))


def _is_number(value: Any) -> bool:
    return isinstance(value, (Term, Real)) and not isinstance(value, bool)


def as_term(value: Any) -> Term:
    """`value` itself if it is a term, a number read exactly otherwise."""
    if isinstance(value, Term):
        return value
    if not _is_number(value):
        kind = type(value).__name__
        raise TypeError(f"A term or a real number is needed here; got {value!r} ({kind}).")
    if isinstance(value, Rational):  # NumPy's integers and sympy's rationals too
        return Term("number", Fraction(int(value.numerator), int(value.denominator)))
    if float(value) != value == value:  # NaN is told where floats are read
        raise ValueError(
            f"A number must be a rational one or a float; {value!r} ({type(value).__name__}) is "
            "neither."
        )
    return read_number(float(value))


def add(terms: Iterable[Any]) -> Term:
    """The sum, without its zeros and with its numbers gathered."""
    number, rest = Fraction(0), []
    for term in map(as_term, terms):
        parts = term.args if term.op == "add" else (term,)
        for part in parts:
            if part.op == "number":
                number += part.args[0]
            else:
                rest.append(part)
    if number or not rest:
        rest.append(Term("number", number))
    return rest[0] if len(rest) == 1 else Term("add", *rest)


def _multiply(a: Term, b: Term) -> Term:
    if b.op == "number":
        a, b = b, a
    if a.op != "number":
        return Term("multiply", a, b)
    factor = a.args[0]
    if b.op == "number":
        return Term("number", factor * b.args[0])
    if b.op == "multiply" and b.args[0].op == "number":
        return _multiply(Term("number", factor * b.args[0].args[0]), b.args[1])
    if factor == 0 and not b.divides:  # 0 · (1/x) is nothing at x = 0
        return a
    return b if factor == 1 else Term("multiply", a, b)


def Sqrt(n: int | Fraction) -> Term:
    """√n as the exact algebraic number, for a rational n ≥ 0.

    >>> lt.prove(lambda x: (lt.terms.Sqrt(2) * x) ** 2, lambda x: 2 * x**2)
    Proof: for every real x
    """
    if isinstance(n, bool) or not isinstance(n, (int, Fraction)):
        raise TypeError(f"Sqrt needs an integer or a Fraction; got {n!r} ({type(n).__name__}).")
    if n < 0:
        raise ValueError(f"Sqrt needs a number that is not negative; got {n}.")
    n = Fraction(n)
    root = Fraction(math.isqrt(n.numerator), math.isqrt(n.denominator))
    return Term("number", root) if root * root == n else Term("root", n)


def If(condition: Formula, then: Any, otherwise: Any) -> Term:
    """`then` where the condition holds, `otherwise` elsewhere.

    >>> lt.prove(lt.abs_network(), lambda x: lt.terms.If(x[0] > 0, x[0], -x[0]))
    Proof: for every real input (weights read as algebraic numbers)
    """
    return Term("if", as_formula(condition), as_term(then), as_term(otherwise))


def Max(a: Any, b: Any) -> Term:
    """The greater of two terms.

    >>> lt.prove(nn.ReLU(), lambda x: lt.terms.Max(x[0], 0), [(None, None)])
    Proof: for every input in (-inf, inf)
    """
    a, b = as_term(a), as_term(b)
    return If(a >= b, a, b)


def Min(a: Any, b: Any) -> Term:
    """The lesser of two terms."""
    a, b = as_term(a), as_term(b)
    return If(a >= b, b, a)


def as_formula(value: Any) -> Formula:
    """`value` itself, which is a formula.

    Python answers by itself where no term is compared: a list with a number, by ``!=``; terms by
    ``is``, in sets or as texts. Such an answer says nothing about the inputs.
    """
    if isinstance(value, Formula):
        return value
    kind = type(value).__name__
    if isinstance(value, bool):
        raise TypeError(
            f"A comparison of terms is needed here; got {value}, which Python answers without the "
            "inputs. Is a list compared, or are terms by is, in or a set?"
        )
    raise TypeError(f"A comparison of terms is needed here; got {value!r} ({kind}).")


def And(*formulas: Any) -> Formula:
    """All of the formulas; true if there are none."""
    return Formula("and", *map(as_formula, formulas))


def Or(*formulas: Any) -> Formula:
    """At least one of the formulas; false if there are none."""
    return Formula("or", *map(as_formula, formulas))


def Not(formula: Any) -> Formula:
    """The opposite of the formula."""
    return Formula("not", as_formula(formula))
