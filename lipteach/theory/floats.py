"""Floats, read as the numbers they were meant to be, and shown so that none reads as another."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

_RADICANDS = (2, 3, 5, 6, 7, 10)
# The largest numerator and denominator, by the number of significant bits.
_LIMITS = {53: 1000, 24: 16}


@lru_cache(maxsize=4096)
def meant(value: float, digits: int) -> tuple[Fraction, int]:
    """The fraction f and the integer m for which f√m is the number that `value` stands for.

    See :func:`lipteach.theory.expressions.read_number`.
    """
    if not math.isfinite(value):
        raise ValueError(f"A weight or number in a proof must be finite; got {value}.")
    exact = Fraction(value)
    limit = _LIMITS.get(digits, 0)
    if exact.denominator <= limit or not limit:
        return exact, 1
    size = abs(exact)
    unit = Fraction(2) ** (math.frexp(value)[1] - digits)
    for m in (1, *_RADICANDS):
        quotient = value / math.sqrt(m)
        if not _may_be_simple(abs(quotient), limit, 2.0 ** (4 - digits)):
            continue
        factor = Fraction(quotient).limit_denominator(limit)
        if (
            0 < abs(factor.numerator) <= limit
            and (size - unit) ** 2 <= factor**2 * m <= (size + unit) ** 2
        ):
            return factor, m
    return exact, 1


def _may_be_simple(x: float, limit: int, blur: float) -> bool:
    """Whether some p/q with p, q ≤ limit may be within x·blur of x > 0; False is certain.

    So close a fraction is a convergent of x's continued fraction (Legendre). Its first few are
    found in floating point, and nearly every weight of a trained network leaves here.
    """
    rest, (p, q), (p_before, q_before) = x, (1, 0), (0, 1)
    while rest < limit + 1:
        whole = math.floor(rest)
        p, p_before = whole * p + p_before, p
        q, q_before = whole * q + q_before, q
        if p > limit or q > limit:
            return False
        if rest == whole or abs(q * x - p) <= blur * p:
            return True
        rest = 1 / (rest - whole)
    return False


def shown(value: float, digits: int = 4, blur: float = 0.0) -> str:
    """A number in a few digits; in all of them where the few would read as another number.

    So 0.3333 stands for 1/3, but 0.9999999999 is not shown as 1. A difference of at most `blur` is
    not shown.

    >>> [shown(x) for x in (1 / 3, 0.9999999999, 1e-300, 12345.0, -0.0)]
    ['0.3333', '0.9999999999', '1e-300', '12345', '0']
    """
    if abs(value) <= blur:
        return "0"
    short = f"{value:.{digits}g}"
    if not abs(float(short) - value) > blur:
        return short
    cut = len(short.partition("e")[0].lstrip("-0.").replace(".", "")) == digits
    rounded = cut and not value.is_integer() and not short.lstrip("-").isdecimal()
    return short if rounded else repr(value).removesuffix(".0")
