"""The slips that every exercise has: a sign, a root, a factor, too few digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

NEARLY = (
    "Nearly: were digits cut short, or is it an approximation? Write math.sqrt(0.5), not 0.707."
)

SHARE = 0.015  # of a number, up to which its digits may have been cut short
_Same = Callable[[Tensor, Tensor], bool]


def nearly(got: Tensor, want: Tensor, share: float = SHARE) -> bool:
    """Whether each entry is within this share of the largest; whole numbers are never near."""
    if got.shape != want.shape or not got.numel() or bool((got == got.round()).all()):
        return False
    return bool((got - want).abs().max() <= share * want.abs().max())


def slip_of(got: Tensor, want: Tensor, tol: float = 1e-4, share: float = SHARE) -> str:
    """One question for a slip that explains all of these values, or "".

    Both are of one shape: a number, or what a function returned in all its calls.

    >>> slip_of(torch.tensor([2.0, -3.0]), torch.tensor([-2.0, 3.0]))
    'The sign is turned: what is taken from what?'
    """
    if bool(got.isnan().any()) and not bool(want.isnan().any()):
        return "NaN: what is divided by 0, or has no root or logarithm?"
    if bool(got.isinf().any()) and bool(want.isfinite().all()):
        return "Infinite: what is divided by 0, or grows without end?"
    if not bool(got.isfinite().all()) or not bool(want.any()):
        return ""
    if nearly(got, want, share):
        return NEARLY

    def same(one: Tensor, other: Tensor) -> bool:
        return torch.allclose(one, other, rtol=tol, atol=tol * float(other.abs().max()))

    for matches, question in _SLIPS:
        if matches(same, got, want):
            return question
    if got.numel() == 1:
        return _of_one(same, got, want)
    factor = float((got * want).sum() / want.square().sum())
    if factor and same(got, factor * want):
        return f"All of it is {factor:.4g} times what it should be: which factor is that?"
    if same(got - want, (got - want).mean().expand_as(got)):
        off = float((got - want).mean())
        return f"All of it is off by {off:.4g}: which constant is that?"
    return ""


def _of_one(same: _Same, got: Tensor, want: Tensor) -> str:
    """The same for one number, by the factors which go astray."""
    ratio = abs(float(got) / float(want))
    for number, factor in _FACTORS.items():
        if math.isclose(ratio, factor, rel_tol=1e-3):
            return f"This is {number} times what we look for: which factor is that?"
        if math.isclose(ratio * factor, 1, rel_tol=1e-3):
            return f"This is what we look for, divided by {number}: which factor is missing?"
    if 0 < float(want) < 1 and same(got, 1 - want):
        return "This is 1 minus what we look for: which of the two parts is asked for?"
    if float(want) > 0 and same(got, want.log()):
        return "This is the logarithm of what we look for: how is it undone?"
    if same(got.log(), want):
        return "This is e to the power that we look for: is the exponent asked for?"
    return ""


_FACTORS = {"√2": 2**0.5, "√3": 3**0.5, "π": math.pi, "2": 2, "3": 3, "4": 4, "8": 8} | {
    str(10**k): 10**k for k in range(1, 7)
}


def count_slip(got: float, want: float) -> str:
    """The same for a whole number, most of all a count."""
    if not want.is_integer() or not got.is_integer():
        return ""
    by_size = {
        want + 1: "One too many: what is counted that does not belong to it?",
        want - 1: "One too few: what is left out?",
        2 * want: "Twice too many: what is counted twice?",
        want / 2: "Half of it: what is counted once and stands there twice?",
        -want: "The sign is turned: what is taken from what?",
    }
    return by_size.get(got, "")


_SLIPS: tuple[tuple[Callable[[_Same, Tensor, Tensor], bool], str], ...] = (
    (
        lambda same, got, want: same(got, -want),
        "The sign is turned: what is taken from what?",
    ),
    (
        lambda same, got, want: same(got, want.abs()),
        "The size is right, and the signs are lost: what takes them away?",
    ),
    (
        lambda same, got, want: bool(want.all()) and same(got, 1 / want),
        "This is the reciprocal, 1 over what we look for: what is divided by what?",
    ),
    (
        lambda same, got, want: same(got, want.square()),
        "This is the square of what we look for: where is the root?",
    ),
    (
        lambda same, got, want: not bool((got < 0).any()) and same(got.square(), want),
        "This is the root of what we look for: is there a root too many?",
    ),
    (
        lambda same, got, want: same(got, 2 * want),
        "This is twice what we look for: what is counted twice?",
    ),
    (
        lambda same, got, want: same(2 * got, want),
        "This is half of what we look for: what is missing, or halved?",
    ),
)
