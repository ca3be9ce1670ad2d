"""Exercises of lesson 03 about norms and offsets: lost-norm, offset, mean-norm."""

from __future__ import annotations

import math
import random
from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import (
    compare_number,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.own import Own

# --- 03.lost-norm


def lost(w: Tensor, d: Tensor) -> Tensor:
    """‖w‖² − ‖w D‖² for D = diag(d): w of shape (n,), d of shape (…, n)."""
    return ((1 - d.square()) * w.square()).sum(-1)


# --- 03.offset

OFFSET = 0.28 * (-1) + 0.96 * (+1)


def _own_offset(draw: random.Random) -> Own:
    first, second = draw.randrange(111, 400, 2) / 1000, draw.randrange(501, 1000, 2) / 1000
    b = second - first
    return Own(
        given=f"f(x) = {first} φ(z₁) + {second} φ(z₂)",
        value=b,
        judge=partial(compare_number, value=b),
        mistakes={
            "the paper": 0,
            "same side": -first - second,
            "both turned": first + second,
            "sign": -b,
            "halves for c": b / 2,
            "twice c": 2 * b,
            "first unit turned": first,
            "second unit turned": -second,
            "first unit": -first,
            "second unit": second,
            "no weights": 1,
        },
    )


# --- 03.mean-norm

R = math.sqrt(0.5)
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
            "a norm of a difference": (
                lambda w, d: (w - w * d).norm(dim=-1),
                "This is ‖w − w D‖, the length of a difference: which lengths does (12) compare?",
            ),
            "squares of sums": (
                lambda w, d: w.sum() ** 2 - (w * d).sum(-1) ** 2,
                "(Σ wᵢ)² is not Σ wᵢ²: what is squared first?",
            ),
            "sizes of the slopes": (
                lambda w, d: ((1 - d.abs()) * w**2).sum(-1),
                "This has 1 − |dᵢ|: with which power does the slope stand in ‖w D‖²?",
            ),
            "sizes of w": (
                lambda w, d: ((1 - d**2) * w.abs()).sum(-1),
                "This has |wᵢ|, as a 1-norm has: which norm stands in (12)?",
            ),
            "the 1-norms": (
                lambda w, d: w.abs().sum() - (w * d).abs().sum(-1),
                "This is the difference of the 1-norms: which norms are compared, and squared?",
            ),
            "w not squared beside D": (
                lambda w, d: w @ w - (d**2 * w).sum(-1),
                "‖w‖² is right, and in the second sum only dᵢ is squared: what is (dᵢ wᵢ)²?",
            ),
            "no w": (
                lambda _w, d: (1 - d**2).sum(-1),
                "This depends on the slopes alone: where does w enter?",
            ),
            "the second not squared": (
                lambda w, d: w.norm() ** 2 - (w * d).norm(dim=-1),
                "‖w‖ is squared and ‖w D‖ is not: how do both stand in (12)?",
            ),
            "the first not squared": (
                lambda w, d: w.norm() - (w * d).norm(dim=-1) ** 2,
                "‖w D‖ is squared and ‖w‖ is not: how do both stand in (12)?",
            ),
            "minus a product": (
                lambda w, d: w @ w - (w * d).sum(-1),
                "From ‖w‖² the sum of dᵢ wᵢ is taken: what is missing in ‖w D‖²?",
            ),
            "a square of a product": (
                lambda w, d: (w * d).sum(-1) ** 2,
                "This is (Σ dᵢ wᵢ)²: is that ‖w D‖², and is it lost or kept?",
            ),
            "a share": (
                lambda w, d: lost(w, d) / (w @ w),
                "This is the share of ‖w‖² that is lost: is (12) divided by anything?",
            ),
            "squared twice": (
                lambda w, d: ((1 - d**2) ** 2 * w**2).sum(-1),
                "1 − d² is squared once more: what stands before wᵢ² in (12)?",
            ),
            "the root": (
                lambda w, d: lost(w, d).sqrt(),
                "This is the root of it: is the left side of (12) a length, or made of squares?",
            ),
            "exchanged": (
                lambda w, d: ((1 - w**2) * d**2).sum(-1),
                "w and d have changed places: which of them holds the slopes?",
            ),
            "1 for w": (
                lambda w, d: (1 - (w * d) ** 2).sum(-1),
                "Each term is 1 − (dᵢ wᵢ)²: is wᵢ² equal to 1?",
                lambda got, _want, w, d: any(
                    torch.allclose(got, n - (w * d).square().sum(-1), atol=1e-4)
                    for n in (1, len(w))
                ),
            ),
            "d for w D": (
                lambda w, d: (w**2 - d**2).sum(-1),
                "This is ‖w‖² minus the squares of the slopes: what is w D?",
            ),
            "slopes from 0 on": (
                lambda w, d: lost(w, d.clamp(min=0)),
                "A slope below 0 counts as 0 here: what does its square keep?",
            ),
            "0 or 1": (
                lambda w, d: lost(w, (d > 0).to(w.dtype)),
                "Each slope counts as 0 or 1 here, as a ReLU's: what if it lies between them?",
            ),
            "the largest term": (
                lambda w, d: ((1 - d**2) * w**2).amax(-1),
                "This is the largest of the terms: what does a norm make of all of them?",
            ),
            "a list of terms": (
                lambda w, d: [(1 - d[i] ** 2) * w[i] ** 2 for i in range(len(w))],
                "You return a list of the terms of (12): what is left to do?",
            ),
            "a dimension kept": (
                lambda w, d: ((1 - d**2) * w**2).sum(-1, keepdim=True),
                "The sums stand in a dimension of length 1: does keepdim belong there?",
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
        vary=_own_offset,
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
            "the linear part": (
                -3.4,
                "This is 0.28·5 + 0.96·(−5), the linear part at z = (5, −5): how far is f from it?",
            ),
            "minus f": (
                2.72,
                "This is −f at z = (5, −5): b is the difference of f and which other number?",
            ),
            "minus the linear part": (
                3.4,
                "This is 0.96·5 − 0.28·5: how far is f from 0.28 z₁ + 0.96 z₂ at z = (5, −5)?",
            ),
            "one output": (
                1.12,
                "This is 0.28·φ(5), an output: by how much does φ(5) differ from 5?",
                lambda got: math.isclose(abs(got), 1.12, abs_tol=1e-4),
            ),
            "the other output": (
                -3.84,
                "This is 0.96·φ(−5), an output: by how much does φ(−5) differ from −5?",
                lambda got: math.isclose(abs(got), 3.84, abs_tol=1e-4),
            ),
            "outputs added": (
                4.96,
                "This is 4·(0.28 + 0.96): which sign has φ(−5), and is f asked for, or b?",
                lambda got: math.isclose(abs(got), 4.96, abs_tol=1e-4),
            ),
            "φ": (
                4,
                "This is φ(5), or φ(−5): how far is φ(z) from z, and with which weight?",
                lambda got: abs(got) == 4,
            ),
            "z": (
                5,
                "This is z itself: what does φ take from it, and with which weight?",
                lambda got: abs(got) == 5,
            ),
            "both without weights": (
                2,
                "Two offsets of size 1 are added: which signs have they, and which weights?",
                lambda got: abs(got) == 2,
            ),
            "no weights": (
                1,
                "This is the offset of one unit: by which weight does it enter f?",
                lambda got: abs(got) == 1,
            ),
            "weights multiplied": (
                0.2688,
                "The weights are multiplied: how do two units come together in f?",
                lambda got: math.isclose(abs(got), 0.2688, abs_tol=1e-4),
            ),
            "halves for c": (
                0.34,
                "This is half of b: by how much does softshrink move a number, ½ or 1?",
            ),
            "twice c": (
                1.36,
                "This is twice b: by how much does softshrink move a number, 1 or 2?",
            ),
            "times z": (
                6.2,
                "Five times the weights: is it φ(z), or φ(z) − z, that stays the same?",
                lambda got: math.isclose(abs(got), 6.2, abs_tol=1e-4),
            ),
            "first unit turned": (
                0.28,
                "This is the first unit alone, its sign turned: is φ(5) above 5?",
            ),
            "second unit turned": (
                -0.96,
                "This is the second unit alone, its sign turned: is φ(−5) below −5?",
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
                R,
                "This is the root of the mean square: which mean is asked for?",
            ),
            "three quarters": (
                (1 + math.sqrt(2)) / 3,
                "One quarter is left out: where are both units off?",
            ),
            "three quarters of norm 1": (
                0.75,
                "Three quarters have an active unit: how long is the gradient where one is active?",
            ),
            "one unit active once": (
                (1 + R) / 4,
                "One quarter with a single active unit is counted: how many are there?",
            ),
            "no quarter with both": (
                R / 2,
                "Two quarters are counted, of norm 1/√2: what is the norm where both are active?",
            ),
            "three quarters of one norm": (
                0.75 * R,
                "1/√2 in three quarters: how long is the gradient where both units are active?",
            ),
            "kinds of quarters": (
                (1 + R) / 3,
                "The three norms 1, 1/√2 and 0 are averaged: how many quarters has each?",
            ),
            "two of three": (
                2 / 3,
                "Two of three: how many quarters are there, and how long is the gradient in each?",
            ),
            "without the factor": (
                math.sqrt(2),
                "This is the length of (1, 1): what stands before the units in f?",
            ),
            "0": (0, "f is flat in one quarter only: what is its gradient in the other three?"),
            "twice": (
                (1 + math.sqrt(2)) / 2,
                "This is twice the mean: over which area, 2 or 4, is it taken?",
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
