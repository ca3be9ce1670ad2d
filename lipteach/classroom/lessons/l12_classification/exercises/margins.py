"""12.slope and 12.slow: how steep a margin can be, and how long Parseval's steps take."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_number, compare_tensor

# --- 12.slope: a margin is the difference of two outputs, a step along e_y − e_k.

ROOT = math.sqrt(2)
STEEPEST = [10 * ROOT, 20.0]
"""L times the length of e_y − e_k: its 2-norm, and its 1-norm, the dual of the outputs' ∞-norm."""


def _entry(place: int, *values: float) -> Callable[[Tensor], bool]:
    """Whether the entry at this place is one of these values, to three digits."""
    return lambda got: any(abs(float(got[place]) - value) < 5e-3 * value for value in values)


def _between(low: float, high: float) -> Callable[[float], bool]:
    return lambda got: low <= got <= high


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
            # both at once
            "exchanged": (
                [20, 10 * ROOT],
                "In which of the two norms is e_y − e_k as long as 1 + 1?",
            ),
            "without L": ([ROOT, 2], "This is for L = 1: how does the slope grow with L?"),
            "divided": (
                [10 / ROOT, 5],
                "A radius has L in the denominator, margin / (√2 L): and the slope?",
            ),
            "a radius": (
                [0.1 / ROOT, 1 / 20],
                "These are radii of a margin 1: is a slope asked for, or what it certifies?",
            ),
            "squared": ([200, 400], "These are the squares of the slopes: where is the root?"),
            "L squared": (
                [100 * ROOT, 200],
                "L enters twice here: how often is the network passed?",
            ),
            "2 L and 4 L": (
                [20 * ROOT, 40],
                "Both are twice too large: is Z_y − Z_k taken twice?",
            ),
            "halves": (
                [5 * ROOT, 10],
                "Both are half of it: a radius divides by 2, and what does a slope?",
            ),
            "1 and √2": (
                [10, 10 * ROOT],
                "Both are divided by √2: how long is e_y − e_k in the 2-norm, and in the 1-norm?",
            ),
            "L twice": (
                [10, 10],
                "This is the slope of one output: how many outputs move in the margin?",
            ),
            "2 L and L": (
                [20, 10],
                "2 L belongs to the other norm, and L is the slope of one output: how long is "
                "e_y − e_k in each norm?",
            ),
            "lengths squared": (
                [20, 40],
                "20 is L times ‖e_y − e_k‖², and 40 twice that: which length is not squared?",
            ),
            "all ten outputs": (
                [10 * math.sqrt(10), 100],
                "This lets all ten outputs move: how many of them stand in the margin at once?",
            ),
            "nothing": (
                [0, 0],
                "Can no input move a margin? How far apart may two outputs drift?",
            ),
            # the first
            "first: 2 L": (
                [20, 20],
                "In the 2-norm, can both outputs take the whole slope L, one up and one down?",
                _entry(0, 20),
            ),
            "first: L": (
                [10, 20],
                "In the 2-norm L is the slope of one output: what does the second one add?",
                _entry(0, 10),
            ),
            "first: a root of L": (
                [math.sqrt(20), 20],
                "√(2 L) and √2 · L differ: what stands under the root?",
                _entry(0, math.sqrt(20)),
            ),
            "first: many outputs": (
                [10 * math.sqrt(10), 20],
                "Of the others only the largest counts: how long is e_y − e_k?",
                _entry(0, 10 * math.sqrt(10), 30, 90, 100, 10 * math.sqrt(3)),
            ),
            "first: twice too large": (
                [20 * ROOT, 20],
                "2 √2 L: is the length of e_y − e_k taken twice?",
                _entry(0, 20 * ROOT),
            ),
            "first: less than L": (
                [5, 20],
                "The first is below L: but one output alone can have the slope L, and if the other "
                "moves against it?",
                lambda got: 0 < float(got[0]) < 10,
            ),
            # the second
            "second: √2 L": (
                [10 * ROOT, 10 * ROOT],
                "√2 is the 2-norm of e_y − e_k: which norm goes with the ∞-norm of outputs?",
                _entry(1, 10 * ROOT),
            ),
            "second: L": (
                [10 * ROOT, 10],
                "‖e_y − e_k‖_∞ is 1: but which norm of it is met by the ∞-norm of the outputs?",
                _entry(1, 10),
            ),
            "second: twice too large": (
                [10 * ROOT, 40],
                "4 L: both points of a pair may move in a radius, and one input here?",
                _entry(1, 40, 20 * ROOT),
            ),
            "second: many outputs": (
                [10 * ROOT, 100],
                "Nine or ten outputs do not move the margin at once: how many do?",
                _entry(1, 90, 100, 180, 200),
            ),
            "second: with the pixels": (
                [10 * ROOT, 20 * 28],
                "Is the number of pixels in it? The rows of J have the 1-norm L at most, whatever "
                "their length.",
                lambda got: float(got[1]) > 200,
            ),
            "second: less than L": (
                [10 * ROOT, 5],
                "The second is below L: but one row of J alone can have the 1-norm L, and the "
                "difference of two?",
                lambda got: 0 < float(got[1]) < 10,
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
            "as a flow": (
                1820,
                "So long a smooth flow dσ/dt = β (σ − σ³) takes, and steps differ a little: count.",
                _between(1819, 1820),
            ),
            "β = 0.0001": (
                steps_until(1.01, 0.0001),
                "This is β = 0.0001, or near it: how many zeros has β here?",
                _between(18_150, 18_250),
            ),
            "β = 0.01": (
                steps_until(1.01, 0.01),
                "This is β = 0.01, or near it: how many zeros has β here?",
                _between(178, 184),
            ),
            "β = 0.1": (
                steps_until(1.01, 0.1),
                "This is β = 0.1, or near it: how many zeros has β here?",
                _between(13, 18),
            ),
            "β = 0.5": (
                steps_until(1.01, 0.5),
                "One step is enough for β = 0.5: and for β = 0.001?",
            ),
            "β = 0.0003": (
                steps_until(1.01, 0.0003),
                "This is β = 0.0003, of another experiment: which β is asked for?",
                _between(6055, 6070),
            ),
            "half of β": (
                steps_until(1.01, 0.0005),
                "This takes half of β: is there a ½ in (8)? In Björck's step there is.",
                _between(3630, 3642),
            ),
            "twice β": (
                steps_until(1.01, 0.002),
                "This takes 2 β: of which function is β a multiple of the gradient in (8)?",
                _between(904, 911),
            ),
            "to 1.001": (
                steps_until(1.001, 0.001),
                "This goes on to 1.001: how many zeros has the bound?",
                _between(2955, 2968),
            ),
            "to 1.1": (
                steps_until(1.1, 0.001),
                "This stops at 1.1: how near to 1 is asked for?",
                _between(728, 735),
            ),
            "to 1.02": (
                steps_until(1.02, 0.001),
                "This stops at 1.02: how near to 1 is asked for?",
                _between(1470, 1486),
            ),
            "to 1.05": (
                steps_until(1.05, 0.001),
                "This stops at 1.05: how near to 1 is asked for?",
                _between(1035, 1048),
            ),
            "to 1.01 of the square": (
                steps_until(math.sqrt(1.01), 0.001),
                "This stops where σ² is at most 1.01: of what is the bound?",
                _between(2145, 2170),
            ),
            "a square": (
                steps_until(1.01, 0.001, power=2),
                "This takes β σ² away: how many factors W stand in W WᵀW?",
                lambda got: abs(got - steps_until(1.01, 0.001, power=2)) <= 3,
            ),
            "from 1.5": (
                steps_until(1.01, 0.001, start=1.5),
                "This starts at 1.5: and σ = 2?",
                lambda got: abs(got - steps_until(1.01, 0.001, start=1.5)) <= 3,
            ),
            "from 4": (
                steps_until(1.01, 0.001, start=4),
                "This starts at σ² = 4 as σ: what is σ?",
                lambda got: abs(got - steps_until(1.01, 0.001, start=4)) <= 3,
            ),
            "from below": (
                2497,  # from 0.5 to 0.99
                "This is the way from ½ up to 0.99: on which side of 1 does σ = 2 begin?",
                _between(2490, 2504),
            ),
            "the rate at the end": (
                math.ceil(math.log(0.01) / math.log(0.998)),
                "This takes the rate 1 − 2β all the way: which rate holds far from 1?",
                _between(2290, 2312),
            ),
            "the rate 1 − β": (
                math.ceil(math.log(0.01) / math.log(0.999)),
                "This takes the rate 1 − β all the way: what is the slope of the step at 1?",
                _between(4590, 4615),
            ),
            "a decay to 0": (
                math.ceil(math.log(2 / 1.01) / 0.001),
                "So it is if σ shrank by the factor 1 − β a step, (ln 2 − ln 1.01)/β: where does "
                "(8) lead σ, and how fast?",
                lambda got: 680 <= got <= 697 or 1380 <= got <= 1390,
            ),
            "steps of β": (
                990,
                "So it is if each step took β away, (2 − 1.01)/β: how far is a step at σ?",
                _between(985, 1001),
            ),
            "equal steps": (
                165,
                "So it is if each step were as long as the first, β (8 − 2): what becomes of it?",
                _between(160, 170),
            ),
            "steps without the σ": (
                330,
                "So it is if each step took 3 β away, β (σ² − 1) at the start: which factor is "
                "missing, and does it stay so large?",
                _between(325, 335),
            ),
            "epochs": (
                STEPS / 422,
                "This is in epochs of 422 steps: how many steps are that?",
                _between(4, 5),
            ),
            "not forwards": (
                -STEPS,
                "A number of steps is not below 0: what is taken from what?",
                lambda got: got < 0,
            ),
            "near": (
                1800,
                "Near it, but rounded or estimated: a loop counts each step.",
                _between(STEPS - 120, STEPS + 120),
            ),
            "a few": (
                40,
                "The first step, the longest, leads from 2 to 1.994: can so few do?",
                _between(0, 150),
            ),
            "far too many": (
                10_000,
                "More than twice too many: does the loop end at 1.01, or at 1 itself, which no "
                "step reaches?",
                lambda got: 4000 < got < math.inf,
            ),
        },
        wrong={
            "never": (math.inf, "Infinite"),
            "a list": ([2.0, 1.994], "A number is needed"),
        },
    ),
)
