"""The exercises of lesson 07 about the L1 ball: a point by hand, and Algorithm 1 repaired."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.exercises.projections import simplex

BY_HAND = torch.tensor([0.6, -0.4, 0.0], dtype=torch.float64)


def _judge_by_hand(answer: Any) -> None:
    compare_tensor(
        answer,
        BY_HAND,
        tol=1e-3,
        mistakes=[
            ([0.85, 0, 0.15], "Algorithm 1 as printed gives this: where did the −0.6 go?"),
            ([0.6, 0.4, 0], "These are the sizes |x|: which signs had the entries of y?"),
            (
                [0.8 / 1.5, -0.4, 0.1 / 1.5],
                "Dividing by the L1 norm lands on the ball, but is it the nearest point? What if "
                "the small entry gave up all it has?",
            ),
            ([0.8, -0.6, 0.1], "This is y, the clip to [−1, 1]: what is its L1 norm?"),
            (
                [0.8 - 1 / 6, -0.6 + 1 / 6, 0],
                "This τ counts three entries: is τ = 1/6 below the third, 0.1?",
            ),
            (
                [0.8 - 1 / 6, -0.6 + 1 / 6, -0.1 + 1 / 30],
                "The third entry crossed 0: where does max(·, 0) stop it?",
            ),
            (
                [0.8 / math.sqrt(1.01), -0.6 / math.sqrt(1.01), 0.1 / math.sqrt(1.01)],
                "Divided by the 2-norm: what is the sum of the sizes now?",
            ),
            ([1, 0, 0], "A corner: is the second entry really 1 or more below the first?"),
        ],
    )


def l1_ball(y: Tensor, r: float) -> Tensor:
    """The repaired algorithm, for a vector y of shape (n,)."""
    if y.abs().sum() <= r:
        return y
    return y.sign() * r * simplex(y.abs() / r)


def _as_printed(y: Tensor, r: float) -> Tensor:
    return r * simplex(y / r)


def _no_exit(y: Tensor, r: float) -> Tensor:
    return y.sign() * r * simplex(y.abs() / r)


def _no_signs(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else r * simplex(y.abs() / r)


def _exit_only(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else r * simplex(y / r)


def _radius_one(y: Tensor, _r: float) -> Tensor:
    return l1_ball(y, 1.0)


def _simplex_of_one(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else y.sign() * simplex(y.abs())


def _sizes_lost(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else y.sign() * r * simplex(y / r)


def _divided(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else r * y / y.abs().sum()


def _exit_by_2_norm(y: Tensor, r: float) -> Tensor:
    return y if y.square().sum() <= r**2 else _no_exit(y, r)


def _exit_by_sum(y: Tensor, r: float) -> Tensor:
    return y if y.sum() <= r else _no_exit(y, r)


def _exit_by_largest(y: Tensor, r: float) -> Tensor:
    return y if y.abs().max() <= r else _no_exit(y, r)


def _exit_at_one(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= 1 else _no_exit(y, r)


def _unmoved(y: Tensor, _r: float) -> Tensor:
    return y


def _clipped(y: Tensor, r: float) -> Tensor:
    return y.clamp(-r, r)


_REPAIRS = (
    (_as_printed, "This is Algorithm 1 as printed: what of −0.6?"),
    (_no_exit, "Right outside. But (0.2, −0.1) is in the ball already: what is nearest to it?"),
    (_no_signs, "The sizes are right and the signs are lost: which of y's do you give back?"),
    (_exit_only, "The points inside stay. Outside, what does a negative entry do to the sum?"),
    (_simplex_of_one, "Who tells the simplex that its sum is r?"),
    (
        _sizes_lost,
        "The points inside stay, the signs are back: whose simplex point is it, y's or |y|'s?",
    ),
    (_radius_one, "Right for r = 1: where else does r belong?"),
    (_divided, "Dividing lands on the ball, but not at the nearest point: which algorithm does?"),
    (_exit_by_2_norm, "(0.6, −0.5) stays with you: which norm says whether y is in the ball?"),
    (_exit_by_sum, "(0.8, −0.6, 0.1) stays with you: does its sum say that it is in the ball?"),
    (_exit_by_largest, "(0.6, −0.5) stays with you: its entries are small, but what is their sum?"),
    (_exit_at_one, "Right for r = 1: which points may stay when r is 2, or ½?"),
    (_unmoved, "Nothing is moved: what of (−2, 0)?"),
    (_clipped, "This is the L∞ ball, entry by entry: what is the sum of the sizes?"),
)


def _judge_repair(answer: Any) -> None:
    inputs = [
        (torch.tensor([0.8, -0.6, 0.1]).double(), 1.0),
        (torch.tensor([0.2, -0.1]).double(), 1.0),
        (torch.tensor([-2.0, 0.0]).double(), 1.0),
        (torch.tensor([0.6, -0.5]).double(), 1.0),
        (torch.tensor([0.9, -0.6]).double(), 2.0),
        (torch.tensor([0.4, -0.3]).double(), 0.5),
        (3 * seeded(6), 2.0),
        (seeded(4, seed=1), 0.5),
        (torch.zeros(3).double(), 1.0),
    ]
    compare_function(answer, l1_ball, inputs=inputs, gradient=True, mistakes=_REPAIRS)


EXERCISES = (
    Exercise(
        name="07.by-hand",
        question="The projection of (0.8, −0.6, 0.1) on the unit L1 ball.",
        difficulty=1,
        minutes=6,
        judge=_judge_by_hand,
        solution=BY_HAND,
        right={"a list": [0.6, -0.4, 0], "float32": BY_HAND.float(), "a tuple": (0.6, -0.4, 0.0)},
        wrong={
            "as printed": ([0.85, 0, 0.15], "as printed gives this"),
            "no signs": ([0.6, 0.4, 0], "These are the sizes"),
            "divided": ([0.5333, -0.4, 0.0667], "by the L1 norm"),
            "a clip": ([0.8, -0.6, 0.1], "the clip"),
            "three entries": ([0.6333, -0.4333, 0], "counts three"),
            "past 0": ([0.6333, -0.4333, -0.0667], "crossed 0"),
            "by the 2-norm": ([0.796, -0.597, 0.0995], "by the 2-norm"),
            "a corner": ([1, 0, 0], "A corner"),
            "two entries": ([0.6, -0.4], "The shape is"),
        },
    ),
    Exercise(
        name="07.repair",
        question="Algorithm 1 repaired: the projection of a vector on the L1 ball of radius r.",
        difficulty=2,
        minutes=10,
        judge=_judge_repair,
        solution=l1_ball,
        right={
            "where": lambda y, r: torch.where(
                y.abs().sum() <= r, y, y.sign() * r * simplex(y.abs() / r)
            ),
            "float32": lambda y, r: l1_ball(y.float(), r),
        },
        wrong={
            "as printed": (_as_printed, "as printed: what of"),
            "no early exit": (_no_exit, "in the ball already"),
            "no signs": (_no_signs, "signs are lost"),
            "no absolute values": (_exit_only, "The points inside stay"),
            "simplex of sum 1": (_simplex_of_one, "Who tells the simplex"),
            "signs back, no sizes": (_sizes_lost, "whose simplex point"),
            "radius 1": (_radius_one, "Right for r = 1: where else"),
            "exit by the 2-norm": (_exit_by_2_norm, "which norm says"),
            "exit by the sum": (_exit_by_sum, "does its sum say"),
            "exit by the largest": (_exit_by_largest, "what is their sum"),
            "exit at 1": (_exit_at_one, "Right for r = 1: which points"),
            "nothing": (_unmoved, "Nothing is moved"),
            "divided": (_divided, "Dividing lands"),
            "a clip": (_clipped, "the L∞ ball, entry by entry"),
            "detached": (lambda y, r: l1_ball(y.detach(), r), "no gradient"),
        },
    ),
)
