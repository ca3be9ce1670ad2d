"""Products of many norms, which neither overflow nor vanish on the way."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field

from torch import Tensor

MOST_REACH = 900  # powers of two; float64 has some 1000 on each side of 1


@dataclass(frozen=True, order=True)
class Magnitude:
    """A number ≥ 0 as mantissa · 2^exponent, with the mantissa in [0.5, 1); 0 has exponent −∞.

    A product of mantissas is rounded as that of the floats is. `reach` adds up how far the factors
    are from 1, in powers of two: as long as it is small, floats hold each part of the product.
    """

    exponent: float
    mantissa: float
    reach: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, value: float, exponent: int = 0) -> Magnitude:
        """The number value · 2^exponent."""
        mantissa, own = math.frexp(value)
        power = own + exponent
        return cls(power if mantissa else -math.inf, mantissa, abs(power) if mantissa else 0.0)

    def __mul__(self, other: Magnitude) -> Magnitude:
        """The product, in which 0 absorbs all."""
        mantissa, carry = math.frexp(self.mantissa * other.mantissa)
        power = self.exponent + other.exponent + carry
        return Magnitude(power, mantissa, self.reach + other.reach)

    def __add__(self, other: Magnitude) -> Magnitude:
        """The sum."""
        small, large = sorted((self, other))
        if small.mantissa == 0:
            return large
        part = math.ldexp(small.mantissa, int(max(small.exponent - large.exponent, -1100)))
        mantissa, carry = math.frexp(large.mantissa + part)
        return Magnitude(large.exponent + carry, mantissa, max(self.reach, other.reach))

    def __float__(self) -> float:
        """The nearest float; above the range infinity, and below it one that is not smaller."""
        if self.mantissa == 0:
            return 0.0
        if self.exponent > sys.float_info.max_exp:
            return math.inf
        power = int(self.exponent)
        if power < sys.float_info.min_exp - sys.float_info.mant_dig:
            return math.nextafter(0.0, 1.0)
        found = math.ldexp(self.mantissa, power)
        return math.nextafter(found, 1.0) if math.ldexp(found, -power) < self.mantissa else found


ONE = Magnitude.of(1.0)


def root_of_squares(parts: list[Magnitude]) -> Magnitude:
    """The root of the sum of the squares."""
    most = max(parts)
    if most.mantissa == 0:
        return most
    lengths = [
        math.ldexp(part.mantissa, int(max(part.exponent - most.exponent, -1100))) for part in parts
    ]
    mantissa, carry = math.frexp(math.hypot(*lengths))
    return Magnitude(most.exponent + carry, mantissa, max(part.reach for part in parts))


def in_units(W: Tensor) -> tuple[Tensor, int]:
    """W over a power of two, so that no entry exceeds 1, and the exponent of that power.

    Entries keep their digits, unless they are 2⁵⁰⁰ times smaller than the largest.
    """
    exponent = math.frexp(float(W.abs().max()))[1] if W.numel() else 0
    half = exponent // 2
    return W * 2.0**-half * 2.0 ** (half - exponent), exponent


def lower_bound(found: float, upper: Magnitude | None) -> float:
    """What was found as a lower bound, which rounding may have lifted above the upper one.

    Where it exceeds by more, the upper bound is false. Rounding is some 1e-12 of it for a few
    layers, unless derivatives leave the range of floats on the way.
    """
    if upper is None:
        return found
    most = float(upper)
    if found > most * (1 + 1e-9) and upper.reach < MOST_REACH:
        raise RuntimeError(
            f"The upper bound {most:.10g} is refuted: the Jacobian has norm {found:.10g} at a "
            "sample. Some module does not compute what its class does (is a class patched?); if "
            "not, please report it."
        )
    return min(found, most)
