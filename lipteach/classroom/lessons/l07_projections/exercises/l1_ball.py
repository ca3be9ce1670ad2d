"""The exercises of lesson 07: the L1 ball."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Mistake
from lipteach.classroom.compare import compare_tensor, need_tensor, seeded, show_values
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
from lipteach.classroom.watch import need_own_code
from lipteach.primitives import project_l1_ball, project_simplex

# --- 07.by-hand

BY_HAND = torch.tensor([0.6, -0.4, 0.0], dtype=torch.float64)

# --- 07.repair


def _moved(y: Tensor, r: float) -> Tensor:
    """The sizes projected and the signs back: right for each y outside the ball."""
    return y.sign() * project_simplex(y.abs(), r)


def repaired(y: Tensor, r: float) -> Tensor:
    """A point of the ball stays; any other one is moved."""
    return y if y.abs().sum() <= r else _moved(y, r)


def _of_the_largest(count: int) -> Callable[[Tensor, float], Tensor]:
    """Algorithm 1 which looks at no more than so many sizes."""

    def projected(y: Tensor, r: float) -> Tensor:
        sizes = y.abs().sort(descending=True).values[:count]
        tau = ((sizes.cumsum(0) - r) / torch.arange(1, len(sizes) + 1)).max().clamp(min=0)
        return y.sign() * (y.abs() - tau).clamp(min=0)

    return projected


def _shrunk(rounds: int) -> Callable[[Tensor, float], Tensor]:
    """In each round all entries that are left share what is too much."""

    def projected(y: Tensor, r: float) -> Tensor:
        for _ in range(rounds):
            share = _excess(y, r) / (y != 0).sum().clamp(min=1)
            y = y.sign() * (y.abs() - share).clamp(min=0)
        return y

    return projected


def _excess(y: Tensor, r: float) -> Tensor:
    return (y.abs().sum() - r).clamp(min=0)


def _total(x: Tensor, _y: Tensor, r: float) -> tuple[Tensor, float]:
    return x.abs().sum(dim=-1), r


_REPAIRED = [
    (torch.tensor([0.8, -0.6, 0.1]).double(), 1.0),
    (torch.tensor([0.2, -0.1]).double(), 1.0),
    (torch.tensor([-2.0, 0.0]).double(), 1.0),
    (torch.tensor([0.6, -0.5]).double(), 1.0),
    (torch.tensor([0.9, -0.6]).double(), 2.0),
    (torch.tensor([0.4, -0.3]).double(), 0.5),
    (3 * seeded(6), 2.0),
    (seeded(4, seed=1), 0.5),
    (torch.zeros(3).double(), 1.0),
    (torch.tensor([1.0, -1.0, 1.0, 1.0]).double(), 1.0),  # all stay
    *((one_by_one(torch.ones(n).double(), K, 1.0).roll(1), 1.0) for n, K in ((7, 2), (9, 5))),
]


def _judge_repair(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(answer, repaired, _REPAIRED, gradient=True, mistakes=mistakes)
    ask = "what does lt.project_simplex leave to be done?"
    need_own_code(answer, _REPAIRED, ask, "project_simplex")


def _judge_by_hand(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_tensor(answer, BY_HAND, tol=1e-3, mistakes=mistakes, otherwise=_found_at(answer))


def _found_at(answer: Any) -> str:
    """Where this point lies, and what is wrong with that."""
    x, y = need_tensor(answer), torch.tensor([0.8, -0.6, 0.1]).double()
    if x.shape != y.shape:
        return ""
    total = float(x.abs().sum())
    if bool((x * y < -1e-9).any()):
        return "An entry is on the other side of 0 than that of y: is that nearer than 0?"
    if abs(total - 1) > 2e-3:
        side, take = ("out", "little") if total > 1 else ("in", "much")
        return f"The sizes add up to {show_values(total)}, {side}side: is too {take} taken off?"
    lost = ", ".join(show_values(round(v, 4)) for v in (y.abs() - x.abs()).tolist())
    return f"On the sphere; but the sizes have lost {lost}: do all that stay lose the same?"


EXERCISES = (
    Exercise(
        name="07.by-hand",
        judge=_judge_by_hand,
        solution=BY_HAND,
        right={"a list": [0.6, -0.4, 0], "a tuple": (0.6, -0.4, 0.0)},
        mistakes={
            "as printed": (
                [0.85, 0, 0.15],
                "Algorithm 1 as printed gives this: where did the −0.6 go?",
            ),
            "no signs": (
                [0.6, 0.4, 0],
                "These are the sizes |x|: which signs had the entries of y?",
            ),
            "divided": (
                [0.8 / 1.5, -0.4, 0.1 / 1.5],
                "Dividing by the L1 norm lands on the ball, but is it the nearest point? What if "
                "the small entry gave up all it has?",
            ),
            "a clip": ([0.8, -0.6, 0.1], "This is y, the clip to [−1, 1]: what is its L1 norm?"),
            "three entries": (
                [0.8 - 1 / 6, -0.6 + 1 / 6, 0],
                "This τ counts three entries: is τ = 1/6 below the third, 0.1?",
            ),
            "past 0": (
                [0.8 - 1 / 6, -0.6 + 1 / 6, -0.1 + 1 / 30],
                "The third entry crossed 0: where does max(·, 0) stop it?",
            ),
            "by the 2-norm": (
                [0.8 / math.sqrt(1.01), -0.6 / math.sqrt(1.01), 0.1 / math.sqrt(1.01)],
                "Divided by the 2-norm: what is the sum of the sizes now?",
            ),
            "a corner": (
                [1, 0, 0],
                "A corner: is the second entry really 1 or more below the first?",
            ),
        },
        wrong={"two entries": ([0.6, -0.4], "The shape is")},
    ),
    Exercise(
        name="07.repair",
        judge=_judge_repair,
        solution=repaired,
        right={"where": lambda y, r: torch.where(y.abs().sum() <= r, y, _moved(y, r))},
        mistakes={
            "as printed": (project_simplex, "This is Algorithm 1 as printed: what of −0.6?"),
            "no early exit": (
                _moved,
                "Right outside. But (0.2, −0.1) is in the ball already: what is nearest to it?",
            ),
            "by the 2-norm": (
                lambda y, r: y if y.abs().sum() <= r else r * y / y.norm(),
                "This lands on the sphere of radius r: what is the sum of the sizes there?",
            ),
            "times y": (
                lambda y, r: y if y.abs().sum() <= r else y * project_simplex(y.abs(), r),
                "y itself is multiplied in: which part of it gives back the sign?",
            ),
            "negatives cut": (
                lambda y, r: (
                    y if y.abs().sum() <= r else project_simplex(y.abs(), r) * (y > 0).to(y)
                ),
                "The negative entries become 0: which sign do their sizes get?",
            ),
            "twice the radius": (
                lambda y, r: project_l1_ball(y, 2 * r),
                "This is the ball of radius 2r: how large is r here?",
            ),
            "no signs": (
                lambda y, r: y if y.abs().sum() <= r else project_simplex(y.abs(), r),
                "The sizes are right and the signs are lost: which of y's do you give back?",
            ),
            "no absolute values": (
                lambda y, r: y if y.abs().sum() <= r else project_simplex(y, r),
                "The points inside stay. Outside, what does a negative entry do to the sum?",
            ),
            "simplex of sum 1": (
                lambda y, r: y if y.abs().sum() <= r else _moved(y, 1.0),
                "Who tells the simplex that its sum is r?",
            ),
            "signs back, no sizes": (
                lambda y, r: y if y.abs().sum() <= r else y.sign() * project_simplex(y, r),
                "The points inside stay, the signs are back: whose simplex point is it, y's or "
                "|y|'s?",
            ),
            "radius 1": (
                lambda y, _r: project_l1_ball(y),
                "Right for r = 1: where else does r belong?",
            ),
            "divided": (
                lambda y, r: y if y.abs().sum() <= r else r * y / y.abs().sum(),
                "Dividing lands on the ball, but not at the nearest point: which algorithm does?",
            ),
            "exit by the 2-norm": (
                lambda y, r: y if y.square().sum() <= r**2 else _moved(y, r),
                "(0.6, −0.5) stays with you: which norm says whether y is in the ball?",
            ),
            "exit by the sum": (
                lambda y, r: y if y.sum() <= r else _moved(y, r),
                "(0.8, −0.6, 0.1) stays with you: does its sum say that it is in the ball?",
            ),
            "exit by the largest": (
                lambda y, r: y if y.abs().max() <= r else _moved(y, r),
                "(0.6, −0.5) stays with you: its entries are small, but what is their sum?",
            ),
            "exit at 1": (
                lambda y, r: y if y.abs().sum() <= 1 else _moved(y, r),
                "Right for r = 1: which points may stay when r is 2, or ½?",
            ),
            "nothing": (lambda y, _r: y, "Nothing is moved: what of (−2, 0)?"),
            "a clip": (
                lambda y, r: y.clamp(-r, r),
                "This is the L∞ ball, entry by entry: what is the sum of the sizes?",
            ),
            "τ of all": (
                lambda y, r: y.sign() * (y.abs() - _excess(y, r) / len(y)).clamp(min=0),
                "This τ shares what is too much among all entries: do those that end at 0 pay it?",
            ),
            "not cut": (
                lambda y, r: y.sign() * (y.abs() - _excess(y, r) / len(y)),
                "Some sizes become negative and turn the sign: what stops them at 0?",
            ),
            "soft by r": (
                lambda y, r: y.sign() * (y.abs() - r * (_excess(y, r) > 0)).clamp(min=0),
                "r itself is taken off each size: which τ makes r the sum of what is left?",
            ),
            "some entries": (
                _of_the_largest(2),
                "Only some of the largest sizes are looked at: how many of (1, −1, 1, 1) stay?",
                some_number(_of_the_largest),
            ),
            "some rounds": (
                _shrunk(3),
                "Round by round entries fall to 0, and it ends before the last has fallen: when "
                "is it done?",
                some_number(_shrunk),
            ),
            "no exit, a τ of 0": (
                lambda y, r: _of_the_largest(len(y))(y, r),
                "The values are right. But y = 0 lies inside: does sign(y) let a gradient through "
                "an entry 0, as y itself does?",
            ),
            "divided by the norm alone": (
                lambda y, r: y if y.abs().sum() <= r else y / y.abs().sum(),
                "Divided by its L1 norm, y has the norm 1: where is r, and is that point nearest?",
            ),
            "normalized": (
                lambda y, r: r * torch.nn.functional.normalize(y, p=1, dim=0),
                "Every point goes to the boundary, by dividing: may one inside stay, and what is "
                "nearest outside?",
            ),
            "a corner": (
                lambda y, r: project_l1_ball(1e9 * y, r) if y.abs().sum() > r else y,
                "Outside, one entry takes all: by how much must it lead the next?",
            ),
            "the exit turned round": (
                lambda y, r: _moved(y, r) if y.abs().sum() <= r else y,
                "Points outside stay and points inside are moved: which way round is the ≤?",
            ),
            "no exit, no radius": (
                lambda y, _r: _moved(y, 1.0),
                "(0.2, −0.1) is moved to the sphere of radius 1: which points stay? And r?",
            ),
            "times r": (
                lambda y, r: r * project_l1_ball(y, r),
                "Multiplied by r at the end: which sum has it then, and which had it before?",
            ),
            "moved inside": (
                lambda y, r: project_l1_ball(y, r) + 0.05 * (y.abs().sum() <= r),
                "A point of the ball is moved: where is its nearest point?",
                moves_a_point_of_the_set(),
            ),
            "left outside": (
                lambda y, r: y if y.abs().max() < 0.9 else project_l1_ball(y, r),
                "A point outside stays where it is: what does its L1 norm say of it?",
                leaves_a_point_outside(),
            ),
            "a sign": (
                lambda y, r: y if y.abs().sum() <= r else _moved(y, r).roll(1),
                "An entry is on the other side of 0 than that of y: which sign does it have?",
                turns_a_sign(),
            ),
            "outside": (
                lambda y, r: y if y.abs().sum() <= r else project_l1_ball(y, 1.3 * r),
                "The sizes add up to more than r: is what you take off too little?",
                lands_outside(_total),
            ),
            "inside": (
                lambda y, r: y if y.abs().sum() <= r else _moved(y, 0.7 * r),
                "y lies outside, and the sizes add up to less than r: do you take off too much?",
                lands_inside(_total),
            ),
            "elsewhere": (
                lambda y, r: y if y.abs().sum() <= r else r * y.abs().softmax(0).copysign(y),
                "On the sphere, but not nearest: has each entry that is left lost the same τ?",
                lands_elsewhere(_total),
            ),
        },
        wrong={
            "detached": (lambda y, r: project_l1_ball(y.detach(), r), "no gradient"),
            "by the package": (project_l1_ball, "calls lt.project_l1_ball"),
        },
    ),
)
