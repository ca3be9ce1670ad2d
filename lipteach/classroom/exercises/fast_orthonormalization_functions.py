"""The exercise of lesson 05 about a series by matrix-vector products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function


def odd_series(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """Compute c₁ T₁(W) v + c₃ T₃(W) v + … by products with vectors."""
    even, odd = v, W @ v
    result = c[0] * odd
    for coefficient in c[1:]:
        even = 2 * W.T @ odd - even
        odd = 2 * W @ even - odd
        result = result + coefficient * odd
    return result


def _by_svd(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    angle = torch.arccos(sigma.clamp(max=1))
    values = sum(one * torch.cos((2 * i + 1) * angle) for i, one in enumerate(c))
    result: Tensor = U @ (values * (Vh @ v))
    return result


def _powers(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    term = W @ v
    result = c[0] * term
    for coefficient in c[1:]:
        term = W @ (W.T @ term)
        result = result + coefficient * term
    return result


def _every_degree(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """The coefficients given to T_1, T_2, T_3, …, for a square W."""
    before, term = v, W @ v
    result = c[0] * term
    for coefficient in c[1:]:
        before, term = term, 2 * W.T @ term - before
        result = result + coefficient * term
    return result


def _recurrence(
    W: Tensor, v: Tensor, c: list[float], back: Tensor, ahead: Tensor, two: float, sign: float
) -> Tensor:
    """The right one at back = Wᵀ, ahead = W, two = 2, sign = −1."""
    even, odd = v, W @ v
    result = c[0] * odd
    for coefficient in c[1:]:
        even = two * back @ odd + sign * even
        odd = two * ahead @ even + sign * odd
        result = result + coefficient * odd
    return result


def _no_two(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return _recurrence(W, v, c, W.T, W, two=1, sign=-1)


def _plus(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return _recurrence(W, v, c, W.T, W, two=2, sign=1)


def _turned(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return _recurrence(W, v, c, W, W.T, two=2, sign=-1)


def _only_w(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    before, term = v, W @ v
    result = c[0] * term
    for coefficient in c[1:]:
        before, term = term, 2 * W @ term - before
        before, term = term, 2 * W @ term - before
        result = result + coefficient * term
    return result


def _last(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return odd_series(W, v, [0.0] * (len(c) - 1) + [c[-1]])


def _contraction(m: int, n: int, seed: int = 0) -> Tensor:
    W = seeded(m, n, seed=seed)
    norm: Tensor = torch.linalg.matrix_norm(W, 2)
    return 0.9 * W / norm


def _judge_series(answer: Any) -> None:
    c = [1.0, -0.5, 0.25, 2.0]
    square = _contraction(3, 3)
    compare_function(
        answer,
        odd_series,
        inputs=[
            (torch.tensor([[0.5]]).double(), torch.ones(1).double(), [1.0]),
            (torch.tensor([[0.5]]).double(), torch.ones(1).double(), c),
            (square, seeded(3, seed=4), c),
            (square, seeded(3, seed=5), [0.3]),
        ],
        layouts=[(_contraction(5, 3, 1), seeded(3), c), (_contraction(2, 4, 2), seeded(4), c)],
        mistakes=[
            (_powers, "These are the powers W, W Wᵀ W, …: what is T₃(x) = 4x³ − 3x made of?"),
            (_every_degree, "c belongs to T₁, T₃, T₅: what became of the even ones between?"),
            (_no_two, "T_{j+1}(x) = 2 x T_j(x) − T_{j−1}(x): where is the 2?"),
            (_plus, "T₂(x) = 2x² − 1: with which sign does the term before come in?"),
            (_only_w, "W W v is no polynomial of the singular values: is every second W a Wᵀ?"),
            (_turned, "T₂(W) v lies among the inputs: does W or Wᵀ lead from T₁(W) v to there?"),
            (_last, "Only the last term is here: what is added to what?"),
            (lambda W, v, c: c[0] * (W @ v), "This is T₁ alone: what follows?"),
        ],
    )


EXERCISES = (
    Exercise(
        name="05.three-terms",
        question="A function of W, v, [c₁, c₃, …] that computes c₁ T₁(W) v + c₃ T₃(W) v + …",
        difficulty=2,
        minutes=12,
        judge=_judge_series,
        solution=odd_series,
        right={
            "by the singular values": _by_svd,
            "float32": lambda W, v, c: odd_series(W.float(), v.float(), c),
            "a list of terms": lambda W, v, c: sum(
                odd_series(W, v, [0.0] * i + [one]) for i, one in enumerate(c)
            ),
        },
        wrong={
            "powers": (_powers, "T₃(x) = 4x³ − 3x"),
            "every degree": (_every_degree, "the even ones between"),
            "no 2": (_no_two, "where is the 2"),
            "plus": (_plus, "with which sign"),
            "only W": (_only_w, "every second W a Wᵀ"),
            "Wᵀ and W exchanged": (_turned, "does W or Wᵀ lead"),
            "the last": (_last, "Only the last term"),
            "the first": (lambda W, v, c: c[0] * (W @ v), "T₁ alone"),
            "a number": (1.0, "A function is needed"),
        },
    ),
)
