"""The exercise of lesson 06 that writes power iteration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import (
    seeded,
)
from lipteach.classroom.compare_functions import compare_function


def _length(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x)
    return length


def power_iteration(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """The estimate ‖W v‖ after `steps` steps v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖."""
    for _ in range(steps):
        v = W.T @ u
        v = v / _length(v)
        u = W @ v
        sigma = _length(u)
        u = u / sigma
    return sigma


def _one_less(W: Tensor, u: Tensor, steps: int) -> Tensor:
    return power_iteration(W, u, steps - 1) if steps > 1 else _length(W.T @ u) / _length(u)


def _half_step(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """‖Wᵀu‖ with the u before the last half of a step."""
    for _ in range(steps):
        v = W.T @ u / _length(u)
        u = W @ (v / _length(v))
    return _length(v)


def _half_more(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """‖Wᵀu‖ with the u behind the last step."""
    return _half_step(W, u, steps + 1)


def _unit_length(W: Tensor, u: Tensor, steps: int) -> Tensor:
    return power_iteration(W, u, steps) ** 0


def _never_divided(W: Tensor, u: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        v = W.T @ u
        u = W @ v
    return _length(u)


def _start_kept(W: Tensor, u: Tensor, _steps: int) -> Tensor:
    return power_iteration(W, u, 1)


def _last_u_first(W: Tensor, u: Tensor, steps: int) -> Tensor:
    first = u / _length(u)
    for _ in range(steps):
        v = W.T @ u
        v = v / _length(v)
        u = W @ v
        u = u / _length(u)
    return first @ W @ v


def _judge_power_iteration(answer: Any) -> None:
    diagonal = torch.diag(torch.tensor([2.0, 1.0])).double()
    ones = torch.ones(2).double()
    compare_function(
        answer,
        power_iteration,
        inputs=[
            (diagonal, ones, 1),
            (diagonal, ones, 3),
            (seeded(5, 3, seed=1), seeded(5, seed=2), 4),
            (seeded(3, 5, seed=3), seeded(3, seed=4), 4),
        ],
        mistakes=[
            (
                _half_step,
                "This is ‖Wᵀu‖, before the second half of the last step: what is ‖W v‖?",
            ),
            (_one_less, "One step too few: how often does the loop run?"),
            (
                lambda W, u, steps: power_iteration(W, u, steps + 1),
                "One step too many: how often does the loop run?",
            ),
            (
                _unit_length,
                "This is 1, the length of a unit vector: is it taken before u is divided by it?",
            ),
            (
                _half_more,
                "This is ‖Wᵀu‖ with the last u, half a step too far: where does a step end?",
            ),
            (
                lambda W, u, steps: power_iteration(W, u, steps) ** 2,
                "This is σ²: is Wᵀ W v or W v measured at the end?",
            ),
            (_never_divided, "The vectors grow with every step: where are they divided by length?"),
            (
                _start_kept,
                "Every step starts from the same u: what does the next step begin with?",
            ),
            (
                _last_u_first,
                "uᵀ W v with the u of the start: which u belongs to the last v?",
            ),
            (
                lambda W, _u, _steps: torch.linalg.matrix_norm(W, ord=2),
                "This is σ₁ itself, from singular values: what is the estimate after these steps?",
            ),
        ],
    )


def _by_rayleigh(W: Tensor, u: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        v = torch.nn.functional.normalize(u @ W, dim=0)
        u = torch.nn.functional.normalize(W @ v, dim=0)
    return u @ W @ v


def _by_gram(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """All divisions at the end: σ = ‖(W Wᵀ)^k u‖ / ‖Wᵀ (W Wᵀ)^(k−1) u‖."""
    for _ in range(steps):
        v = W.T @ u
        u = W @ v
    return _length(u) / _length(v)


EXERCISES = (
    Exercise(
        name="06.power-iteration",
        question="Power iteration as a function of W, a start u and the number of steps.",
        difficulty=2,
        minutes=10,
        judge=_judge_power_iteration,
        solution=power_iteration,
        right={
            "uᵀ W v": _by_rayleigh,
            "float32": lambda W, u, steps: power_iteration(W.float(), u.float(), steps),
            "by W Wᵀ": _by_gram,
        },
        wrong={
            "half a step": (_half_step, "second half"),
            "one step less": (_one_less, "too few"),
            "one step more": (lambda W, u, k: power_iteration(W, u, k + 1), "too many"),
            "half a step more": (_half_more, "half a step too far"),
            "a unit vector": (_unit_length, "length of a unit vector"),
            "squared": (lambda W, u, steps: power_iteration(W, u, steps).square(), "σ²"),
            "not divided": (_never_divided, "grow"),
            "the same start": (_start_kept, "same u"),
            "first u": (_last_u_first, "u of the start"),
            "svd": (lambda W, _u, _steps: torch.linalg.svdvals(W)[0], "σ₁ itself"),
            "no transpose": (lambda W, u, steps: _by_rayleigh(W.T, u, steps), "raised"),
            "all of it": (lambda W, u, steps: (power_iteration(W, u, steps), u), "is a tuple"),
        },
    ),
)
