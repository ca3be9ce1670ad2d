"""The exercises of lesson 07: the threshold, and the unit simplex."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import (
    compare_number,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import project_l1_ball, project_simplex

# --- 07.threshold

THRESHOLD = (0.9 + 0.5 + 0.25 - 1) / 3
"""Of (0.9, 0.5, 0.25, −0.3) and r = 1: three entries stay positive."""

# --- 07.simplex


def _one_by_one(y: Tensor) -> Tensor:
    flat = y.reshape(-1, y.shape[-1])
    return torch.stack([project_simplex(row) for row in flat]).reshape(y.shape)


EXERCISES = (
    Exercise(
        name="07.threshold",
        judge=partial(
            compare_number,
            value=THRESHOLD,
            decimals=4,
            otherwise="With τ = 0.3 the positive parts of y − τ add up to 0.8: which τ makes it 1?",
        ),
        solution=THRESHOLD,
        right={"four digits": 0.2167, "a fraction": 13 / 60},
        mistakes={
            "k = 1": (-0.1, "This is the value at k = 1: does k = 2 meet the condition as well?"),
            "k = 2": (0.2, "This is the value at k = 2: is it below u₃, too?"),
            "k = 4": (0.0875, "This is the value at k = 4: is it below u₄ = −0.3?"),
            "mean": (
                0.55,
                "This is the mean of the three: what became of the r = 1 that is taken off?",
            ),
            "not shared": (0.65, "This is the sum less r: by how many entries is it shared?"),
            "K": (3, "This is K: which τ belongs to it?"),
            "two digits": (
                0.22,
                "Nearly: what are its four digits?",
                lambda got: abs(got - THRESHOLD) < 5e-3,
            ),
        },
        wrong={"the point": ([0.683, 0.283, 0.033, 0.0], "A number is needed")},
    ),
    Exercise(
        name="07.simplex",
        judge=partial(
            compare_function,
            reference=project_simplex,
            inputs=[
                torch.tensor([0.9, 0.5, -0.3, 0.25]).double(),
                seeded(6),
                3 * seeded(5, seed=2),
            ],
            layouts=[
                seeded(4, 3),
                seeded(2, 3, 5),
                seeded(3, 4, seed=1).T,
                *(seeded(1), seeded(3, 1), seeded(1, 4), seeded(2, 1, 3)),
            ],
            ties=[torch.zeros(2).double(), torch.ones(2, 4).double()],
            gradient=True,
        ),
        solution=project_simplex,
        right={"one row at a time": _one_by_one},
        mistakes={
            "not cut": (
                lambda y: y - (y - project_simplex(y)).amax(dim=-1, keepdim=True),
                "The sum is 1, but some entries are negative: what does max(·, 0) do?",
            ),
            "all entries": (
                lambda y: (y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1]).clamp(min=0),
                "Here τ counts every entry, K = n: is u₁ the greatest, and which stay above?",
            ),
            "scaled": (
                lambda y: y.clamp(min=0) / y.clamp(min=0).sum(dim=-1, keepdim=True),
                "Dividing gives the sum 1, but not the nearest point: subtract one number.",
            ),
            "sorted": (
                lambda y: project_simplex(y).sort(dim=-1, descending=True).values,
                "The right numbers, sorted: does τ leave u, or y in its own order?",
            ),
            "softmax": (
                lambda y: y.softmax(dim=-1),
                "Softmax lands on the simplex, but far from y: which single number is taken off?",
            ),
            "one threshold": (
                lambda y: project_simplex(y.flatten()).reshape(y.shape),
                "In a batch each row has a τ and a K of its own: which dimension do you sum along?",
            ),
            "columns": (
                lambda y: project_simplex(y, dim=0),
                "Each column sums to 1 here: do the vectors lie along dim = −1?",
            ),
            "the ball": (
                project_l1_ball,
                "This is the L1 ball, which has negative entries too: what is the sum here?",
            ),
            "the sizes": (
                lambda y: project_simplex(y.abs()),
                "These are the projections of the sizes |y|: what is nearest to a negative entry?",
            ),
            "radius 2": (
                lambda y: project_simplex(y, 2.0),
                "The sum is 2 here: which simplex is the unit one?",
            ),
            "divided by the sum": (
                lambda y: y / y.sum(dim=-1, keepdim=True),
                "Divided by the sum, some entries stay negative: which number is subtracted?",
            ),
            "divided by the size": (
                lambda y: y.abs() / y.abs().sum(dim=-1, keepdim=True),
                "The sizes, divided by their sum: which point of the simplex is nearest to y?",
            ),
            "a corner": (
                lambda y: torch.nn.functional.one_hot(y.argmax(-1), y.shape[-1]).to(y),
                "One entry takes all: may the next one not keep a part?",
            ),
            "summed to 1": (
                lambda y: y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1],
                "The sum is 1, and nothing is cut at 0: which entries may take part in τ?",
            ),
            "a clip": (
                lambda y: y.clamp(-1, 1),
                "This is the L∞ ball: does (0, 0) have the sum 1 that the simplex asks for?",
            ),
        },
        wrong={"detached": (lambda y: project_simplex(y.detach()), "no gradient")},
    ),
)
