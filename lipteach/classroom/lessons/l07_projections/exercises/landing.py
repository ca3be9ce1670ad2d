"""Where a wrong projection lands, said of answers in which no single slip is recognised.

Each is a ``when`` of `Mistake`: true for a call that shows it, None for one that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.compare import close
from lipteach.classroom.slips import slip_of

Said = Callable[..., bool | None]
Total = Callable[..., tuple[Tensor, float]]
"""The sum of a point which the set bounds, along the last dimension, and its bound r."""


def one_by_one(c: Tensor, left: int, r: float) -> Tensor:
    """The vector y ≥ 0 whose entries become 0 one in a round, the last first, until `left` stay.

    In a round the entries that are left are y − τc with Σ cᵢxᵢ = r, and the negative ones leave.
    """
    ratios = 1.1 - 0.02 * torch.arange(len(c)).to(c)
    for k in range(left, len(c)):
        squares = c[:k].square()
        tau = ((squares * ratios[:k]).sum() - r) / squares.sum()
        below = 1.05 * (tau - ratios[k - 1]) * squares.sum() / c[k] ** 2
        ratios[k] = tau - 1e-3 / left**2 if k == left else ratios[k - 1] - below
    return c * ratios


def some_number(form: Callable[[int], Callable[..., Tensor]]) -> Callable[..., bool]:
    """The ``when`` of a mistake in which a number of entries or of rounds is fixed."""
    return lambda got, _want, *given: any(close(got, form(k)(*given)) for k in range(2, 9))


def comparable(got: Tensor, want: Tensor) -> bool:
    """Whether to look where it lands: a NaN and a common slip are named by what they are."""
    if got.shape != want.shape or not bool(got.isfinite().all()):
        return False
    slip = slip_of(got, want)
    return not slip or slip.startswith("All of it")  # a factor of one call alone says little


def _some(seen: Callable[..., Any]) -> Said:
    """Whether some row shows it."""

    def when(got: Tensor, want: Tensor, *arguments: Any) -> bool | None:
        if not comparable(got, want):
            return None
        return bool(torch.as_tensor(seen(got, want, *arguments)).any()) or None

    return when


def _apart(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().amax(dim=-1) > 1e-6


def moves_a_point_of_the_set() -> Said:
    """The nearest point is y itself, and the answer is another one."""
    return _some(lambda got, want, y, *_: _apart(got, want) & ~_apart(want, y))


def leaves_a_point_outside() -> Said:
    """Of all points that are to be moved and end wrong, each is left where it is."""

    def when(got: Tensor, want: Tensor, y: Tensor, *_arguments: Any) -> bool | None:
        if not comparable(got, want) or not bool(_apart(want, y).any()):
            return None
        return not bool(_apart(got, y).any())

    return when


def turns_a_sign() -> Said:
    """An entry on the other side of 0 than that of y."""
    return _some(lambda got, want, y, *_: (got * y < -1e-9) & (got - want).abs().gt(1e-6))


def lands_outside(total: Total) -> Said:
    """The sum is above r."""

    def seen(got: Tensor, _want: Tensor, *arguments: Any) -> Tensor:
        size, r = total(got, *arguments)
        return size > r + 1e-5

    return _some(seen)


def lands_inside(total: Total) -> Said:
    """The sum is below r, where that of the nearest point is r."""

    def seen(got: Tensor, want: Tensor, *arguments: Any) -> Tensor:
        (size, r), (right, _) = total(got, *arguments), total(want, *arguments)
        return (size < r - 1e-5) & (right > r - 1e-6)

    return _some(seen)


def lands_elsewhere(total: Total) -> Said:
    """The sum is r, and the point is not the nearest."""

    def seen(got: Tensor, want: Tensor, *arguments: Any) -> Tensor:
        size, r = total(got, *arguments)
        return ((size - r).abs() < 1e-5) & _apart(got, want)

    return _some(seen)
