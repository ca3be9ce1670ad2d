"""The exercise of lesson 07 beyond the L1 ball: its entries have weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l07_projections.exercises.landing import (
    lands_elsewhere,
    lands_inside,
    lands_outside,
    leaves_a_point_outside,
    moves_a_point_of_the_set,
    one_by_one,
    some_number,
    turns_a_sign,
)
from lipteach.primitives import project_l1_ball, project_simplex


def project_weighted(y: Tensor, c: Tensor, r: float) -> Tensor:
    """The point nearest to y with Σᵢ cᵢ |xᵢ| ≤ r: outside, each size loses τ cᵢ, down to 0."""
    if (c * y.abs()).sum() <= r:
        return y
    order = (y.abs() / c).argsort(descending=True)
    w, u = c[order], y.abs()[order]
    candidates = ((w * u).cumsum(0) - r) / w.square().cumsum(0)
    tau = candidates[int((candidates < u / w).sum()) - 1]
    moved: Tensor = y.sign() * (y.abs() - tau * c).clamp(min=0)
    return moved


def _by_halving(y: Tensor, c: Tensor, r: float) -> Tensor:
    """τ between 0 and the largest |yᵢ|/cᵢ; at the end once more from those that are left."""
    a = y.abs()
    low, high = 0.0, float((a / c).max())
    if (c * a).sum() <= r:
        return y
    for _ in range(60):
        middle = (low + high) / 2
        above = float((c * (a - middle * c).clamp(min=0)).sum()) > r
        low, high = (middle, high) if above else (low, middle)
    left = a > low * c
    tau = ((c * a)[left].sum() - r) / c[left].square().sum()
    return torch.where(left, y - tau * c * y.sign(), 0.0)


def _one_by_one(y: Tensor, c: Tensor, r: float) -> Tensor:
    """Drop the entries that turn negative, until none does."""
    left, a = torch.ones_like(y, dtype=torch.bool), y.abs()
    tau = ((c * a).sum() - r) / c.square().sum()
    while tau > 0 and bool((a[left] < tau * c[left]).any()):
        left = left & (a >= tau * c)
        tau = ((c * a)[left].sum() - r) / c[left].square().sum()
    return y if tau <= 0 else torch.where(left, y.sign() * (a - tau * c), torch.zeros_like(y))


def _taken_off(
    y: Tensor,
    c: Tensor,
    r: float,
    key: Tensor,
    share: Tensor,
    level: Tensor | None = None,
    power: float = 2,
) -> Tensor:
    """The sizes less τ·share; `key` sorts the entries, and those with τ < level stay."""
    if (c * y.abs()).sum() <= r:
        return y
    order = key.argsort(descending=True)
    w, u, s = c[order], y.abs()[order], share[order]
    candidates = ((w * u).cumsum(0) - r) / (w ** (power - 1) * s).cumsum(0)
    tau = candidates[int((candidates < (u / s if level is None else level[order])).sum()) - 1]
    return y.sign() * (y.abs() - tau * share).clamp(min=0)


def _all_of_them(y: Tensor, c: Tensor, r: float) -> Tensor:
    """τ from every entry, also from those that it cuts to 0."""
    tau = ((c * y.abs()).sum() - r).clamp(min=0) / c.square().sum()
    return y.sign() * (y.abs() - tau * c).clamp(min=0)


def _tau(y: Tensor, c: Tensor, r: float) -> Tensor:
    """What is taken off an entry that is left, divided by its weight."""
    return ((y - project_weighted(y, c, r)).abs() / c).max()


def _soft(y: Tensor, level: Tensor) -> Tensor:
    return y.sign() * (y.abs() - level).clamp(min=0)


def _beyond(y: Tensor, c: Tensor, r: float) -> Tensor:
    """Algorithm 1 with weights for a point inside, which moves outwards to the boundary."""
    return y.sign() * (y.abs() + (r - (c * y.abs()).sum()) / c.square().sum() * c)


def _largest_ratio(y: Tensor, c: Tensor, r: float) -> Tensor:
    """The corner at the entry which stays longest."""
    return torch.where(y.abs() / c == (y.abs() / c).max(), y.sign() * r / c, 0.0)


def _shrunk(rounds: int) -> Callable[[Tensor, Tensor, float], Tensor]:
    """In each round all entries that are left share what is too much."""

    def projected(y: Tensor, c: Tensor, r: float) -> Tensor:
        x = y
        for _ in range(rounds):
            excess = ((c * x.abs()).sum() - r).clamp(min=0)
            x = _soft(x, c * excess / c[x != 0].square().sum())
        return x

    return projected


def _of_the_largest(count: int) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Algorithm 1 with weights which looks at no more than so many entries."""

    def projected(y: Tensor, c: Tensor, r: float) -> Tensor:
        order = (y.abs() / c).argsort(descending=True)[:count]
        sums = (c * y.abs())[order].cumsum(0) - r
        return _soft(y, c * (sums / c[order].square().cumsum(0)).max().clamp(min=0))

    return projected


def _at_k(y: Tensor, c: Tensor, r: float, off: int) -> Tensor:
    """The candidate of K + off for τ."""
    order = (y.abs() / c).argsort(descending=True)
    w, u = c[order], y.abs()[order]
    candidates = ((w * u).cumsum(0) - r) / w.square().cumsum(0)
    K = int((candidates < u / w).sum())
    return _soft(y, c * candidates[min(max(K - 1 + off, 0), len(y) - 1)])


def _outside(move: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A point inside stays; `move` is for the others."""
    return lambda y, c, r: y if (c * y.abs()).sum() <= r else move(y, c, r)


_GROWING = 1.2 ** torch.arange(9).double()
_WEIGHTED = [
    ([0.8, -0.6, 0.1], [1.0, 2.0, 1.0], 1.0),
    ([0.9, -0.5], [0.5, 1.0], 1.0),  # inside, though the L1 norm is 1.4
    ([0.4, -0.3], [2.0, 3.0], 1.0),  # outside, though the L1 norm is 0.7
    ([1.0, 0.9, -0.2], [3.0, 1.0, 0.5], 2.0),  # the largest entry goes first
    ([-1.0, 0.0, 2.0], [1.0, 1.0, 1.0], 0.5),
    ([0.7, -0.6], [1.0, 1.1], 1.0),  # outside, though each product is below 1
    ([0.95, -0.4], [1.0, 0.9], 1.0),  # and so is the sum of cᵢxᵢ²
    ([0.6, -0.9], [1.0, 1.0], 2.0),  # inside, though above 1
    ([0.3, -0.2], [2.0, 1.0], 0.5),  # outside, though below 1
]


def _total(x: Tensor, _y: Tensor, c: Tensor, r: float) -> tuple[Tensor, float]:
    return (c * x.abs()).sum(dim=-1), r


EXERCISES = (
    Exercise(
        name="07.weighted",
        judge=partial(
            compare_function,
            reference=project_weighted,
            inputs=[
                *((torch.tensor(y).double(), torch.tensor(c).double(), r) for y, c, r in _WEIGHTED),
                (3 * seeded(8), 0.5 + seeded(8, seed=1).abs(), 2.0),
                (seeded(6, seed=4), 0.2 + seeded(6, seed=5).square(), 1.5),
                *((one_by_one(_GROWING, K, 1.0).flip(0), _GROWING.flip(0), 1.0) for K in (3, 5)),
            ],
            gradient=True,
        ),
        solution=project_weighted,
        right={"by halving": _by_halving, "dropped by and by": _one_by_one},
        mistakes={
            "no weights": (
                lambda y, _c, r: project_l1_ball(y, r),
                "This is the L1 ball with all weights 1: where do the cᵢ come in?",
            ),
            "stretched": (
                lambda y, c, r: project_l1_ball(c * y, r) / c,
                "On the set, but nearest only after each axis is stretched by cᵢ: does stretching "
                "keep distances?",
            ),
            "shrunk": (
                lambda y, c, r: c * project_l1_ball(y / c, r),
                "Divided by c and multiplied again: is Σ cᵢ|xᵢ| of this at most r?",
            ),
            "stretched, not back": (
                lambda y, c, r: project_l1_ball(c * y, r),
                "These are the products cᵢxᵢ of a stretched space: how large are the xᵢ?",
            ),
            "one number for all": (
                lambda y, c, r: _taken_off(y, c, r, y.abs(), torch.ones_like(c)),
                "Every size loses the same τ: which entries lower Σ cᵢ|xᵢ| most for the same loss?",
            ),
            "c squared": (
                lambda y, c, r: _taken_off(y, c, r, y.abs() / c**2, c**2),
                "The sizes lose τ cᵢ²: where does the derivative of Σ cᵢ|xᵢ| have a square?",
            ),
            "order of the sizes": (
                lambda y, c, r: _taken_off(y, c, r, y.abs(), c),
                "Sorted by |yᵢ|: as τ grows, which |yᵢ| − τ cᵢ reaches 0 first?",
            ),
            "compared with the size": (
                lambda y, c, r: _taken_off(y, c, r, y.abs() / c, c, y.abs()),
                "Your K asks τ < |yᵢ|: below what must τ be so that |yᵢ| − τ cᵢ is positive?",
            ),
            "compared with the product": (
                lambda y, c, r: _taken_off(y, c, r, y.abs() / c, c, c * y.abs()),
                "Your K asks τ < cᵢ|yᵢ|: below what must τ be so that |yᵢ| − τ cᵢ is positive?",
            ),
            "every entry": (
                _all_of_them,
                "This τ counts every entry: which of them stay above τ cᵢ?",
            ),
            "divided by c": (
                _outside(lambda y, c, r: y.sign() * project_simplex(y.abs() / c, r)),
                "The simplex of |y|/c: by what is it to be multiplied, and which sum is r?",
            ),
            "scaled": (
                _outside(lambda y, c, r: r * y / (c * y.abs()).sum()),
                "Dividing lands on the boundary, but not at the nearest point: what is taken off?",
            ),
            "some rounds": (
                _shrunk(3),
                "Round by round entries fall to 0, and it ends before the last has fallen: when "
                "is it done?",
                some_number(_shrunk),
            ),
            "some entries": (
                _of_the_largest(2),
                "Only some of the entries with the largest |yᵢ|/cᵢ are looked at: how many may "
                "stay?",
                some_number(_of_the_largest),
            ),
            "the sum of c": (
                lambda y, c, r: _taken_off(y, c, r, y.abs() / c, c, None, 1),
                "τ is divided by Σ cᵢ: by how much does Σ cᵢ|xᵢ| fall if each size loses τ cᵢ?",
            ),
            "order of the products": (
                lambda y, c, r: _taken_off(y, c, r, c * y.abs(), c),
                "Sorted by cᵢ|yᵢ|: as τ grows, which |yᵢ| − τ cᵢ reaches 0 first?",
            ),
            "one too many": (
                _outside(lambda y, c, r: _at_k(y, c, r, 1)),
                "This is the τ of K + 1 entries: is the index of the K-th one K?",
            ),
            "one too few": (
                _outside(lambda y, c, r: _at_k(y, c, r, -1)),
                "This is the τ of K − 1 entries: is the index of the K-th one K − 1 or K − 2?",
            ),
            "stretched by the root": (
                lambda y, c, r: project_l1_ball(c.sqrt() * y, r) / c.sqrt(),
                "Each axis is stretched by √cᵢ: which sum does the ball bound then, and does "
                "stretching keep distances?",
            ),
            "no early exit": (
                lambda y, c, r: (
                    project_weighted(y, c, r) if (c * y.abs()).sum() > r else _beyond(y, c, r)
                ),
                "Right outside. But (0.9, −0.5) with c = (0.5, 1) is in the set: what is nearest?",
            ),
            "exit by the L1 norm": (
                lambda y, c, r: y if y.abs().sum() <= r else project_weighted(y, c, r),
                "(0.4, −0.3) stays with you: what is 2 · 0.4 + 3 · 0.3?",
            ),
            "exit by the sum": (
                lambda y, c, r: y if (c * y).sum() <= r else project_weighted(y, c, r),
                "(0.8, −0.6, 0.1) stays with you: do its entries count with their signs?",
            ),
            "no signs": (
                _outside(lambda y, c, r: project_weighted(y, c, r).abs()),
                "The sizes are right and the signs are lost: which of y's do you give back?",
            ),
            "not cut": (
                _outside(lambda y, c, r: y - _tau(y, c, r) * c * y.sign()),
                "Some entries cross 0 and change their sign: what stops them?",
            ),
            "radius 1": (
                lambda y, c, _r: project_weighted(y, c, 1.0),
                "Right for r = 1: where else does r belong?",
            ),
            "a fixed τ": (
                _outside(lambda y, c, r: _soft(y, _tau(y, c, r).detach() * c)),
                "The values are right, and to the gradient τ is a constant: does it depend on y?",
            ),
            "nothing": (lambda y, _c, _r: y, "Nothing is moved: what of (0.4, −0.3)?"),
            "exit by the products": (
                lambda y, c, r: y if (c * y.abs()).max() <= r else project_weighted(y, c, r),
                "(0.7, −0.6) with c = (1, 1.1) stays with you: each product is small, and their "
                "sum?",
            ),
            "exit by the squares": (
                lambda y, c, r: y if (c * y * y).sum() <= r else project_weighted(y, c, r),
                "(0.7, −0.6) with c = (1, 1.1) stays with you: is it Σ cᵢ yᵢ² that is bounded?",
            ),
            "exit at 1": (
                lambda y, c, r: y if (c * y.abs()).sum() <= 1 else project_weighted(y, c, r),
                "(0.3, −0.2) with c = (2, 1) and r = 0.5 stays with you: where else does r belong?",
            ),
            "moved inside": (
                lambda y, c, _r: y + 0.1 * c,
                "A point of the set is moved: where is the nearest point of one that is in it?",
                moves_a_point_of_the_set(),
            ),
            "left outside": (
                lambda y, c, r: y if len(y) == 2 else project_weighted(y, c, r),
                "A point outside stays where it is: what does Σ cᵢ|yᵢ| say of it?",
                leaves_a_point_outside(),
            ),
            "a sign": (
                _outside(lambda y, c, r: project_weighted(y, c, r).roll(1)),
                "An entry is on the other side of 0 than that of y: which sign does it have?",
                turns_a_sign(),
            ),
            "outside": (
                _outside(lambda y, c, r: project_weighted(y, c, 1.5 * r)),
                "Σ cᵢ|xᵢ| is above r: is what you take off too little?",
                lands_outside(_total),
            ),
            "inside": (
                _outside(lambda y, c, r: project_weighted(y, c, 0.7 * r)),
                "Σ cᵢ|xᵢ| is below r, though y lies outside: is what you take off too much?",
                lands_inside(_total),
            ),
            "elsewhere": (
                _outside(_largest_ratio),
                "On the boundary, but not nearest: what has each entry lost that is left, and in "
                "which proportion to cᵢ?",
                lands_elsewhere(_total),
            ),
            "c detached": (
                lambda y, c, r: project_weighted(y, c.detach(), r),
                "The values are right, but c is a constant to the gradient: what cuts it off?",
            ),
        },
        wrong={
            "detached": (
                lambda y, c, r: project_weighted(y.detach(), c.detach(), r),
                "no gradient",
            ),
        },
    ),
)
