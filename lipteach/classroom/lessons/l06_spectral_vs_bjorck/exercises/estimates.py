"""The exercises of lesson 06: power iteration, where it is blind, what dividing by it leaves."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    compare_number,
    need_tensor,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import operator_norm, power_iteration

# --- 06.power-iteration


def estimate(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """The estimate ‖W v‖ after `steps` steps v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖."""
    return power_iteration(W, steps, u)[0]


def _by_rayleigh(W: Tensor, u: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        v = torch.nn.functional.normalize(u @ W, dim=0)
        u = torch.nn.functional.normalize(W @ v, dim=0)
    return u @ W @ v


def _grown(W: Tensor, u: Tensor, steps: int) -> Any:
    """The last u if nothing is divided by its length."""
    return torch.linalg.matrix_power(W @ W.T, steps) @ u


def _half_step(W: Tensor, u: Tensor, steps: int) -> Any:
    """‖Wᵀu‖ with the u behind the last step."""
    return (W.T @ _grown(W, u, steps)).norm() / _grown(W, u, steps).norm()


_DIAGONAL = torch.diag(torch.tensor([2.0, 1.0])).double()
_ONES = torch.ones(2).double()

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

OVERSHOOT = 3 / math.sqrt(8.2)
"""The norm of diag(3, 1) divided by its estimate √(82/10), after one step from (1, 1)."""


EXERCISES = (
    Exercise(
        name="06.power-iteration",
        judge=partial(
            compare_function,
            reference=estimate,
            inputs=[
                (_DIAGONAL, _ONES, 1),
                (_DIAGONAL, _ONES, 3),
                (seeded(5, 3, seed=1), seeded(5, seed=2), 4),
                (seeded(3, 5, seed=3), seeded(3, seed=4), 4),
            ],
        ),
        solution=estimate,
        right={
            "uᵀ W v": _by_rayleigh,
            "by W Wᵀ": lambda W, u, steps: (
                _grown(W, u, steps).norm() / (W.T @ _grown(W, u, steps - 1)).norm()
            ),
        },
        mistakes={
            "half a step": (
                lambda W, u, steps: _half_step(W, u, steps - 1),
                "This is ‖Wᵀu‖, before the second half of the last step: what is ‖W v‖?",
            ),
            "one step less": (
                lambda W, u, k: estimate(W, u, k - 1) if k > 1 else _half_step(W, u, 0),
                "One step too few: how often does the loop run?",
            ),
            "one step more": (
                lambda W, u, steps: estimate(W, u, steps + 1),
                "One step too many: how often does the loop run?",
            ),
            "a unit vector": (
                lambda W, *_: W.new_ones(()),
                "This is 1, the length of a unit vector: is it taken before u is divided by it?",
            ),
            "half a step more": (
                _half_step,
                "This is ‖Wᵀu‖ with the last u, half a step too far: where does a step end?",
            ),
            "squared": (
                lambda W, u, steps: estimate(W, u, steps) ** 2,
                "This is σ²: is Wᵀ W v or W v measured at the end?",
            ),
            "not divided": (
                lambda W, u, steps: _grown(W, u, steps).norm(),
                "The vectors grow with every step: where are they divided by length?",
            ),
            "the same start": (
                lambda W, u, _steps: estimate(W, u, 1),
                "Every step starts from the same u: what does the next step begin with?",
            ),
            "first u": (
                lambda W, u, steps: u / u.norm() @ W @ power_iteration(W, steps, u)[2],
                "uᵀ W v with the u of the start: which u belongs to the last v?",
            ),
            "a start of its own": (
                lambda W, _u, steps: power_iteration(W, steps)[0],
                "This starts from a vector of its own: where does u enter?",
            ),
            "a start of ones": (
                lambda W, u, steps: estimate(W, torch.ones_like(u), steps),
                "This starts from ones: where does u enter?",
            ),
            "times the start": (
                lambda W, u, steps: estimate(W, u, steps) * u.norm(),
                "The length of the start is a factor of it: of which length is v to be?",
            ),
            "Frobenius": (
                lambda W, _u, _steps: W.norm(),
                "This is the root of the sum of all squares, the Frobenius norm: which is asked?",
            ),
            "svd": (
                lambda W, _u, _steps: operator_norm(W),
                "This is σ₁ itself, from singular values: what is the estimate after these steps?",
            ),
        },
        wrong={
            "no transpose": (lambda W, u, steps: _by_rayleigh(W.T, u, steps), "raised"),
            "all of it": (lambda W, u, steps: (estimate(W, u, steps), u), "is a tuple"),
        },
    ),
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
        judge=partial(
            compare_number,
            value=OVERSHOOT,
            decimals=4,
            otherwise="Run lt.power_iteration(torch.diag(torch.tensor([3.0, 1.0])), 1, "
            "torch.ones(2)): what is 3 divided by?",
        ),
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
            "two decimals": (
                1.05,
                "Nearly: what are its four decimals?",
                lambda got: abs(got - OVERSHOOT) < 5e-3,
            ),
        },
        wrong={"a matrix": ([[1.0476, 0.0], [0.0, 0.3492]], "A number is needed")},
    ),
)
