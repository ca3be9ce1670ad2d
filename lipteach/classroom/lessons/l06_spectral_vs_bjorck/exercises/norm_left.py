"""The exercises of lesson 06 on a blind start, and on the norm that dividing leaves."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    compare_number,
    need_tensor,
    show_values,
)
from lipteach.classroom.own import Own

# --- 06.blind-start


def _judge_blind(answer: Any) -> None:
    """For W with singular values 3, 2, 1 along (1, 1, 0), (0, 0, 1) and (1, −1, 0)."""
    u = need_tensor(answer, (3,))
    if not bool(torch.isfinite(u).all()):
        raise Hint("value", "An entry is not finite: power iteration cannot start there.")
    length = float(torch.linalg.vector_norm(u))
    if length < 1e-12:
        raise Hint("constraint", "The zero vector has no direction: which other vectors see no σ₁?")
    top = float(u[0] + u[1]) / math.sqrt(2) / length
    if abs(abs(top) - 1) < 1e-6:
        raise Hint("value", "From here the estimate is 3 at once: which vectors are orthogonal?")
    rounding = 1.2e-7 if isinstance(answer, Tensor) and answer.dtype != torch.float64 else 1e-15
    if abs(top) > rounding:
        share = f"A share {abs(top):.2g} of it points along (1, 1, 0)"
        raise Hint("value", f"{share}, grows in every step, and wins: can it be exactly 0?")


# --- 06.overshoot


def _judge_overshoot(answer: Any, mistakes: Sequence[Mistake]) -> None:
    ask = ""
    if isinstance(answer, (int, float)) and 0 < answer < 1e6:
        estimate = show_values(3 / answer)
        ask = f"The estimate would be 3 divided by it, {estimate}: what is ‖W v‖ with v along "
        ask += "(3, 1), and can it be above 3?" if answer < 1 else "(3, 1)?"
    compare_number(answer, OVERSHOOT, decimals=4, mistakes=mistakes, otherwise=ask)


OVERSHOOT = 3 / math.sqrt(8.2)
"""The norm of diag(3, 1) divided by its estimate √(82/10), after one step from (1, 1)."""


def _own_overshoot(draw: random.Random) -> Own:
    a = draw.randrange(201, 600, 2) / 100
    estimate = math.sqrt((a**4 + 1) / (a**2 + 1))
    return Own(
        given=f"the matrix is diag({a}, 1)",
        value=a / estimate,
        judge=partial(compare_number, value=a / estimate, decimals=4),
        mistakes={
            "the estimate": estimate,
            "no length": a / math.sqrt(a**4 + 1),
            "the norm": a,
            "its square": estimate**2,
            "the excess": a / estimate - 1,
            "percent": 100 * (a / estimate - 1),
            "the other value": 1 / estimate,
        },
    )


EXERCISES = (
    Exercise(
        name="06.blind-start",
        judge=_judge_blind,
        solution=[1.0, -1.0, 0.0],
        right={
            "the second vector": [0, 0, 1],
            "a mixture": [1.0, -1.0, 5.0],
            "a tensor": torch.tensor([-2.0, 2.0, 0.0]),
        },
        wrong={
            "the first vector": ([1.0, 1.0, 0.0], "3 at once"),
            "a unit vector": ([1.0, 0.0, 0.0], "share 0.71"),
            "nearly": ([1.0, -1.01, 0.0], "share 0.005"),
            "nearer": ([1.0, -0.999999, 0.0], "share 5e-07"),
            "a trace": ([0.0, 1e-9, 1.0], "share 7.1e-10"),
            "zero": ([0.0, 0.0, 0.0], "no direction"),
            "not finite": ([math.nan, 0.0, 0.0], "not finite"),
            "two entries": ([1.0, -1.0], "(3,) is needed"),
        },
    ),
    Exercise(
        name="06.overshoot",
        vary=_own_overshoot,
        judge=_judge_overshoot,
        solution=OVERSHOOT,
        right={"four decimals": 1.0476, "by the formula": 3 * math.sqrt(10 / 82)},
        mistakes={
            "the estimate": (
                math.sqrt(8.2),
                "This is the estimate: which norm is left when W is divided by it?",
            ),
            "one": (1, "This is what the division aims at: is the estimate equal to 3?"),
            "upside down": (
                math.sqrt(8.2) / 3,
                "This is estimate/3, below 1: which of the two is divided?",
            ),
            "half a step": (
                3 / math.sqrt(5),
                "‖Wᵀu‖ = √5 is only half of the step: what is ‖W v‖?",
            ),
            "the lesson's": (
                2 / math.sqrt(3.4),
                "This is right for diag(2, 1): what changes for diag(3, 1)?",
            ),
            "the norm": (
                3,
                "This is the norm before: which norm is left after dividing by the estimate?",
            ),
            "no root": (3 / 8.2, "82/10 is the square of the estimate: what is its root?"),
            "no length": (
                3 / math.sqrt(82),
                "Is v divided by its length before W is applied to it?",
            ),
            "a length": (math.sqrt(10), "This is the length of (3, 1), to divide by: what by?"),
            "a length before": (math.sqrt(82), "This is ‖W (3, 1)‖: by what is (3, 1) divided?"),
            "its square": (8.2, "This is the square of the estimate: which norm does it leave?"),
            "the excess": (OVERSHOOT - 1, "This is what is above 1: which norm is left in all?"),
            "percent": (
                100 * (OVERSHOOT - 1),
                "This is by how many percent the norm is above 1: which norm is it?",
            ),
            "the other value": (
                1 / math.sqrt(8.2),
                "This is the smaller singular value after dividing: which one is the norm?",
            ),
            "the difference": (
                3 - math.sqrt(8.2),
                "This is 3 less the estimate: is W divided by it, or is it subtracted?",
            ),
            "two decimals": (
                1.05,
                "Nearly: what are its four decimals?",
                lambda got: abs(got - OVERSHOOT) < 5e-3,
            ),
        },
        wrong={"a matrix": ([[1.0476, 0.0], [0.0, 0.3492]], "A number is needed")},
    ),
)
