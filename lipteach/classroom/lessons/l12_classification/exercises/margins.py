"""12.slope and 12.slow: how steep a margin can be, and how long Parseval's steps take."""

from __future__ import annotations

import math
from functools import partial

import torch

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_number, compare_tensor

# --- 12.slope: a margin is the difference of two outputs, a step along e_y − e_k.

ROOT = math.sqrt(2)
STEEPEST = [10 * ROOT, 20.0]
"""L times the length of e_y − e_k: its 2-norm, and its 1-norm, the dual of the outputs' ∞-norm."""


# --- 12.slow


def steps_until(bound: float, beta: float, start: float = 2.0, power: int = 3) -> int:
    """How many of Parseval's steps bring one singular value from ``start`` down to ``bound``."""
    sigma, steps = start, 0
    while sigma > bound:
        sigma, steps = (1 + beta) * sigma - beta * sigma**power, steps + 1
    return steps


STEPS = steps_until(1.01, 0.001)


EXERCISES = (
    Exercise(
        name="12.slope",
        judge=partial(
            compare_tensor,
            value=STEEPEST,
            otherwise="The gradient is Jᵀ(e_y − e_k): how long is e_y − e_k, and in which norm?",
        ),
        solution=STEEPEST,
        right={
            "a tuple": (math.hypot(10, 10), 20),
            "by L": [10 * 2**0.5, 10 * 2],
            "a tensor": torch.tensor([200.0, 400.0]).sqrt(),
        },
        mistakes={
            "L twice": (
                [10, 10],
                "This is the slope of one output: how many outputs move in the margin?",
            ),
            "2 L twice": (
                [20, 20],
                "In the 2-norm, can both outputs take the whole slope L, one up and one down?",
            ),
            "exchanged": (
                [20, 10 * ROOT],
                "In which of the two norms is e_y − e_k as long as 1 + 1?",
            ),
            "√2 L twice": (
                [10 * ROOT, 10 * ROOT],
                "√2 is the 2-norm of e_y − e_k: which norm goes with the ∞-norm of outputs?",
            ),
            "the ∞-norm of the step": (
                [10 * ROOT, 10],
                "‖e_y − e_k‖_∞ is 1: but which norm of it is met by the ∞-norm of the outputs?",
            ),
            "one output and 2 L": (
                [10, 20],
                "Right for the ∞-norm: in the 2-norm, may the gradients of both outputs add up?",
            ),
            "without L": ([ROOT, 2], "This is for L = 1: how does the slope grow with L?"),
            "divided": (
                [10 / ROOT, 5],
                "A radius has L in the denominator, margin / (√2 L): and the slope?",
            ),
            "squared": ([200, 400], "These are the squares of the slopes: where is the root?"),
            "L squared": (
                [100 * ROOT, 200],
                "L enters twice here: how often is the network passed?",
            ),
            "a root of L": (
                [math.sqrt(20), 20],
                "√(2 L) and √2 · L differ: what stands under the root?",
            ),
            "4 L": (
                [10 * ROOT, 40],
                "Twice too much: both points of a pair may move in a radius, and one input here?",
            ),
            "2 L and 4 L": (
                [20 * ROOT, 40],
                "Both are twice too large: is Z_y − Z_k taken twice?",
            ),
            "halves": (
                [5 * ROOT, 10],
                "Both are half of it: a radius divides by 2, and what does a slope?",
            ),
            "all ten outputs": (
                [10 * math.sqrt(10), 100],
                "This lets all ten outputs move: how many of them stand in the margin at once?",
            ),
            "nine others": (
                [10 * math.sqrt(10), 20],
                "Of the nine others only the largest counts: how long is e_y − e_k?",
            ),
        },
        wrong={
            "one number": (10 * ROOT, "(2,) is needed"),
            "three digits": ([14.1, 20.0], "Nearly"),
            "a formula": ("√2 L", "a str"),
        },
    ),
    Exercise(
        name="12.slow",
        judge=partial(
            compare_number,
            value=STEPS,
            otherwise="Let a loop count: while σ > 1.01, one step σ ← (1 + β) σ − β σ³.",
        ),
        solution=STEPS,
        right={
            "a float": float(STEPS),
            "a tensor": torch.tensor(STEPS),
            "counted again": steps_until(1.01, 1e-3, start=2),
        },
        mistakes={
            "one too few": (
                STEPS - 1,
                "One too few: is σ at most 1.01 then, or is the first step not counted?",
            ),
            "one too many": (
                STEPS + 1,
                "One too many: is the start counted, or a step after σ is small enough?",
            ),
            "β = 0.01": (steps_until(1.01, 0.01), "This is β = 0.01: how many zeros has β here?"),
            "β = 0.1": (steps_until(1.01, 0.1), "This is β = 0.1: how many zeros has β here?"),
            "β = 0.5": (
                steps_until(1.01, 0.5),
                "One step is enough for β = 0.5: and for β = 0.001?",
            ),
            "half of β": (
                steps_until(1.01, 0.0005),
                "This takes half of β: is there a ½ in (8)? In Björck's step there is.",
            ),
            "twice β": (
                steps_until(1.01, 0.002),
                "This takes 2 β: of which function is β a multiple of the gradient in (8)?",
            ),
            "to 1.001": (
                steps_until(1.001, 0.001),
                "This goes on to 1.001: how many zeros has the bound?",
            ),
            "to 1.1": (steps_until(1.1, 0.001), "This stops at 1.1: how near to 1 is asked for?"),
            "to 1.01 of the square": (
                steps_until(math.sqrt(1.01), 0.001),
                "This stops where σ² is at most 1.01: of what is the bound?",
            ),
            "a square": (
                steps_until(1.01, 0.001, power=2),
                "This takes β σ² away: how many factors W stand in W WᵀW?",
            ),
            "from 1.5": (steps_until(1.01, 0.001, start=1.5), "This starts at 1.5: and σ = 2?"),
            "from 4": (steps_until(1.01, 0.001, start=4), "This starts at σ² = 4 as σ: what is σ?"),
            "from below": (
                2497,  # from 0.5 to 0.99
                "This is the way from ½ up to 0.99: on which side of 1 does σ = 2 begin?",
            ),
            "the rate at the end": (
                math.ceil(math.log(0.01) / math.log(0.998)),
                "This takes the rate 1 − 2β all the way: which rate holds far from 1?",
            ),
            "the rate 1 − β": (
                math.ceil(math.log(0.01) / math.log(0.999)),
                "This takes the rate 1 − β all the way: what is the slope of the step at 1?",
            ),
            "as a flow": (
                1820,
                "So long a smooth flow dσ/dt = β (σ − σ³) takes, and steps differ a little: count.",
                lambda got: 1819 <= got <= 1820,
            ),
            "equal steps": (
                165,
                "So it is if each step were as long as the first, β (8 − 2): what becomes of it?",
                lambda got: 160 <= got <= 170,
            ),
            "epochs": (
                STEPS / 422,
                "This is in epochs of 422 steps: how many steps are that?",
                lambda got: 4 <= got <= 5,
            ),
            "a round number": (
                1800,
                "Near it, but rounded: a loop counts each step.",
                lambda got: got % 50 == 0 and abs(got - STEPS) < 100,
            ),
        },
        wrong={
            "never": (math.inf, "Infinite"),
            "a list": ([2.0, 1.994], "A number is needed"),
        },
    ),
)
