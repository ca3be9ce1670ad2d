"""Exercises of lesson 03 about norms and offsets: lost-norm, offset, mean-norm."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import (
    compare_number,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function

# --- 03.lost-norm


def lost(w: Tensor, d: Tensor) -> Tensor:
    """‖w‖² − ‖w D‖² for D = diag(d): w of shape (n,), d of shape (…, n)."""
    return ((1 - d.square()) * w.square()).sum(-1)


# --- 03.offset

OFFSET = 0.28 * (-1) + 0.96 * (+1)

# --- 03.mean-norm

MEAN_NORM = (1 + math.sqrt(2)) / 4
"""Over four equal quarters of [−1, 1]² the gradient norm is 1, √½, √½ and 0."""


EXERCISES = (
    Exercise(
        name="03.lost-norm",
        judge=partial(
            compare_function,
            reference=lost,
            inputs=[
                (torch.tensor([0.6, -0.8]).double(), torch.tensor([1.0, 0.5]).double()),
                (seeded(4), seeded(4, seed=2).clamp(-1, 1)),
            ],
            layouts=[
                (seeded(4), seeded(5, 4, seed=1).clamp(-1, 1)),
                (seeded(4), seeded(2, 3, 4, seed=1).clamp(-1, 1)),
            ],
        ),
        solution=lost,
        right={
            "two norms": lambda w, d: w.norm() ** 2 - (w * d).norm(dim=-1) ** 2,
            "a product": lambda w, d: (1 - d**2) @ w**2,
        },
        mistakes={
            "no squares": (
                lambda w, d: ((1 - d) * w).sum(-1),
                "No squares yet: ‖w‖² is a sum of squares, and so is ‖w D‖².",
            ),
            "slope not squared": (
                lambda w, d: ((1 - d) * w**2).sum(-1),
                "The slope enters ‖w D‖² squared as well: (dᵢ wᵢ)² = ?",
            ),
            "norms": (
                lambda w, d: w.norm() - (w * d).norm(dim=-1),
                "This is the difference of the norms; Equation (12) has that of their squares.",
            ),
            "mean": (
                lambda w, d: lost(w, d) / len(w),
                "A mean over the units instead of their sum: which one is a norm made of?",
            ),
            "one number": (
                lambda w, d: ((1 - d**2) * w**2).sum(),
                "All points are in one number: along which dimension do the units lie?",
                lambda got, want, *_: got.ndim < want.ndim,  # however it was summed
            ),
            "over the points": (
                lambda w, d: ((1 - d**2) * w**2).sum(0),
                "For w of shape (4,) and d of shape (5, 4) you return one number for each unit: "
                "which of the two dimensions is summed?",
            ),
            "terms": (
                lambda w, d: (1 - d**2) * w**2,
                "For w and d of shape (2,) you return both terms of (12): what is left to do?",
            ),
            "the square of 1 − d": (
                lambda w, d: ((1 - d) ** 2 * w**2).sum(-1),
                "(1 − d)² is not 1 − d²: for d = ½, what are they?",
            ),
            "w itself": (
                lambda w, d: ((1 - d**2) * w).sum(-1),
                "w is not squared here: which power has it in ‖w‖²?",
            ),
            "all of it": (
                lambda w, d: (w**2).sum().expand(d.shape[:-1]),
                "This is ‖w‖², all there is: which part of it does D keep?",
            ),
            "a square of a sum": (
                lambda w, d: w @ w - (d @ w) ** 2,
                "(Σ dᵢ wᵢ)² is not Σ (dᵢ wᵢ)²: which of them is ‖w D‖²?",
            ),
            "a product of sums": (
                lambda w, d: (1 - d**2).sum(-1) * (w @ w),
                "A product of two sums is not the sum of the products: which is asked for?",
            ),
            "plus": (
                lambda w, d: ((1 + d**2) * w**2).sum(-1),
                "What is kept is added here: what is lost is ‖w‖² minus what?",
            ),
            "the rest": (
                lambda w, d: (w * d).square().sum(-1),
                "This is what is left: what was lost?",
            ),
        },
    ),
    Exercise(
        name="03.offset",
        judge=partial(
            compare_number,
            value=OFFSET,
            otherwise="What is φ(5) − 5, and what is φ(−5) + 5, by softshrink = "
            "nn.Softshrink(1.0)?",
        ),
        solution=OFFSET,
        right={"a row": torch.tensor([0.68]), "sum": -0.28 + 0.96},
        mistakes={
            "the paper": (0, "This is the paper's collapse, which leaves out c: what is φ(5) − 5?"),
            "same side": (-1.24, "The second unit sits below −1: is its offset −1, too?"),
            "both turned": (1.24, "The first unit sits above 1: is φ(z) − z positive there?"),
            "sign": (-OFFSET, "Both signs are turned: φ(z) = z − 1 for z > 1, so c = ?"),
            "f itself": (
                -2.72,
                "This is f itself at z = (5, −5): by how much is it above 0.28 z₁ + 0.96 z₂?",
            ),
            "first unit": (-0.28, "This comes from the first unit: what does the second one add?"),
            "second unit": (0.96, "This comes from the second unit: what does the first one add?"),
        },
        wrong={"weights": ([0.28, 0.96], "A number is needed")},
    ),
    Exercise(
        name="03.mean-norm",
        judge=partial(
            compare_number,
            value=MEAN_NORM,
            decimals=3,
            otherwise="At (½, −½) one unit is on: how long is the gradient there, and in the "
            "other quarters?",
        ),
        solution=MEAN_NORM,
        right={"three digits": 0.604, "four digits": 0.6036},
        mistakes={
            "the positive quadrant": (
                1,
                "This holds on [0, 1]²: what happens to a unit whose input is negative?",
            ),
            "half": (0.5, "Half of the units are active, but is the norm of (1, 0)/√2 one half?"),
            "a quarter": (
                0.25,
                "Only one quarter counts here: is the gradient 0 where one unit is active?",
            ),
            "root mean square": (
                math.sqrt(0.5),
                "This is the root of the mean square: which mean is asked for?",
            ),
            "three quarters": (
                (1 + math.sqrt(2)) / 3,
                "One quarter is left out: where are both units off?",
            ),
            "no factor": (
                (2 + math.sqrt(2)) / 4,
                "Is the factor 1/√2 in every gradient, and are all four quarters in the mean?",
            ),
            "not divided": (
                1 + math.sqrt(2),
                "This is the integral: what is the area of the square?",
            ),
            "one digit": (
                0.6,
                "Nearly: what are its three digits?",
                lambda got: abs(got - MEAN_NORM) < 5e-3,
            ),
        },
        wrong={"a function": (lost, "A number is needed")},
    ),
)
