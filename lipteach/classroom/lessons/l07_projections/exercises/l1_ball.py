"""The exercises of lesson 07: the L1 ball."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import project_l1_ball, project_simplex

# --- 07.by-hand

BY_HAND = torch.tensor([0.6, -0.4, 0.0], dtype=torch.float64)

# --- 07.repair


def _moved(y: Tensor, r: float) -> Tensor:
    """The sizes projected and the signs back: right for each y outside the ball."""
    return y.sign() * project_simplex(y.abs(), r)


EXERCISES = (
    Exercise(
        name="07.by-hand",
        judge=partial(
            compare_tensor,
            value=BY_HAND,
            tol=1e-3,
            otherwise="With τ = 0.1 the sizes become 0.7, 0.5 and 0, in all 1.2: which τ makes it "
            "1?",
        ),
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
        judge=partial(
            compare_function,
            reference=project_l1_ball,
            inputs=[
                (torch.tensor([0.8, -0.6, 0.1]).double(), 1.0),
                (torch.tensor([0.2, -0.1]).double(), 1.0),
                (torch.tensor([-2.0, 0.0]).double(), 1.0),
                (torch.tensor([0.6, -0.5]).double(), 1.0),
                (torch.tensor([0.9, -0.6]).double(), 2.0),
                (torch.tensor([0.4, -0.3]).double(), 0.5),
                (3 * seeded(6), 2.0),
                (seeded(4, seed=1), 0.5),
                (torch.zeros(3).double(), 1.0),
            ],
            gradient=True,
        ),
        solution=project_l1_ball,
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
        },
        wrong={"detached": (lambda y, r: project_l1_ball(y.detach(), r), "no gradient")},
    ),
)
