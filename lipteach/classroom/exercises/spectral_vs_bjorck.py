"""The exercises of lesson 06 about a norm found from below: a number, a start, a certificate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    When,
    call,
    close,
    compare_number,
    need_tensor,
    seeded,
    shape_of,
    show_values,
)
from lipteach.classroom.exercises.spectral_vs_bjorck_power import power_iteration
from lipteach.primitives import norm_upper_bounds, operator_norm

OVERSHOOT = 3 / math.sqrt(8.2)
"""The norm of diag(3, 1) divided by its estimate √(82/10), after one step from (1, 1)."""


def _judge_overshoot(answer: Any) -> None:
    compare_number(
        answer,
        OVERSHOOT,
        tol=5e-5,
        mistakes=[
            (math.sqrt(8.2), "This is the estimate: which norm is left when W is divided by it?"),
            (1, "This is what the division aims at: is the estimate equal to 3?"),
            (math.sqrt(8.2) / 3, "This is estimate/3, below 1: which of the two is divided?"),
            (3 / math.sqrt(5), "‖Wᵀu‖ = √5 is only half of the step: what is ‖W v‖?"),
            (2 / math.sqrt(3.4), "This is right for diag(2, 1): what changes for diag(3, 1)?"),
            (3, "This is the norm before: which norm is left after dividing by the estimate?"),
            (3 / 8.2, "82/10 is the square of the estimate: what is its root?"),
            (3 / math.sqrt(82), "Is v divided by its length before W is applied to it?"),
            (When(lambda got: abs(got - OVERSHOOT) < 5e-3), "Nearly: what are its four decimals?"),
        ],
    )


BLIND = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
"""Singular values 3, 2, 1 along (1, 1, 0), (0, 0, 1) and (1, −1, 0)."""


def _judge_blind(answer: Any) -> None:
    u = need_tensor(answer, (3,))
    if not bool(torch.isfinite(u).all()):
        raise Hint("value", "An entry is not finite: power iteration cannot start there.")
    length = float(torch.linalg.vector_norm(u))
    if length < 1e-12:
        raise Hint("constraint", "The zero vector has no direction: which other vectors see no σ₁?")
    top = float(u[0] + u[1]) / math.sqrt(2) / length
    if abs(abs(top) - 1) < 1e-6:
        raise Hint("value", "From here the estimate is 3 at once: which vectors are orthogonal?")
    if abs(top) > 1e-6:
        share = f"A share {abs(top):.2g} of it points along (1, 1, 0)"
        raise Hint("value", f"{share}, grows in every step, and wins: can it be exactly 0?")


def certified(W: Tensor) -> Tensor:
    """W divided by an upper bound of its norm."""
    return W / norm_upper_bounds(W)["gram"]


def _judge_certified(answer: Any) -> None:
    if isinstance(answer, type) or not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double()
    special = [signs, torch.diag(torch.tensor([5.0, 0.0])).double()]
    wide = torch.full((1, 4), 2.0).double()  # ‖W‖₁ is below its norm, and ‖Wᵀ‖_∞
    for W in [
        seeded(8, 8),
        seeded(3, 12, seed=1),
        wide.T,
        wide,
        0.01 * seeded(6, 4, seed=2),
        *special,
    ]:
        kept = W.clone()
        got = need_tensor(call(answer, W))
        if not torch.equal(W, kept):
            raise Hint("mutation", "Your function changes its input: return a new matrix instead.")
        if got.shape != W.shape:
            raise Hint("shape", f"For W of shape {shape_of(W)} the result is {shape_of(got)}.")
        factor = float((got * W).sum() / W.square().sum())
        if not close(got, factor * W, 1e-4) or not factor > 0:
            raise Hint("value", "Is the result W divided by one positive number?")
        norm = float(operator_norm(got))
        on = f"For {show_values(W)} of norm {float(operator_norm(W)):.3g}"
        if abs(factor - 1) < 1e-6 and norm > 1:
            raise Hint("constraint", f"{on} nothing is divided: by what could it be?")
        if norm > 1 + 1e-5:
            ask = "is what you divide by never below σ₁?"
            raise Hint("constraint", f"{on} the norm becomes {norm:.4f}: {ask}")
        if norm < 0.3:
            raise Hint("value", f"{on} the norm becomes {norm:.2g}: is there a closer bound?")


def _power_normalized(W: Tensor) -> Tensor:
    return W / power_iteration(W, torch.ones_like(W[:, 0]), 3)


def _clipped(W: Tensor) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    clipped: Tensor = (U * sigma.clamp(max=1)) @ Vh
    return clipped


EXERCISES = (
    Exercise(
        name="06.overshoot",
        question="The norm of diag(3, 1) divided by its estimate after one step from (1, 1).",
        difficulty=1,
        minutes=5,
        judge=_judge_overshoot,
        solution=OVERSHOOT,
        right={
            "four decimals": 1.0476,
            "a tensor": torch.tensor(OVERSHOOT),
            "by the formula": 3 * math.sqrt(10 / 82),
        },
        wrong={
            "the estimate": (math.sqrt(8.2), "This is the estimate"),
            "one": (1, "aims at"),
            "the norm": (3, "norm before"),
            "upside down": (0.95452, "below 1"),
            "half a step": (1.34164, "half of the step"),
            "the lesson's": (1.08465, "diag(2, 1)"),
            "no length": (0.331295, "divided by its length"),
            "two decimals": (1.05, "four decimals"),
            "a matrix": ([[1.0476, 0.0], [0.0, 0.3492]], "A number is needed"),
        },
    ),
    Exercise(
        name="06.blind-start",
        question="A start from which power iteration never finds the largest singular value.",
        difficulty=2,
        minutes=6,
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
            "zero": ([0.0, 0.0, 0.0], "no direction"),
            "not finite": ([math.nan, 0.0, 0.0], "not finite"),
            "two entries": ([1.0, -1.0], "(3,) is needed"),
        },
    ),
    Exercise(
        name="06.certified",
        question="Divide a matrix by a number that is never below its norm.",
        difficulty=2,
        minutes=8,
        judge=_judge_certified,
        solution=certified,
        right={
            "exact": lambda W: W / torch.linalg.matrix_norm(W, ord=2),
            "Frobenius": lambda W: W / W.norm(),
            "float32": lambda W: certified(W.float()),
            "geometric": lambda W: W / norm_upper_bounds(W)["geometric"],
        },
        wrong={
            "power iteration": (_power_normalized, "norm becomes 1.0"),
            "largest entry": (lambda W: W / W.abs().max(), "norm becomes 1.7"),
            "row sums": (lambda W: W / W.abs().sum(dim=1).max(), "[[2], [2], [2], [2]] of norm 4"),
            "column sums": (lambda W: W / W.abs().sum(dim=0).max(), "[[2, 2, 2, 2]] of norm 4"),
            "nothing": (lambda W: W, "nothing is divided"),
            "far too small": (lambda W: W / (100 * W.norm()), "closer bound"),
            "clipped": (_clipped, "one positive number"),
            "in place": (lambda W: W.div_(W.norm()), "changes its input"),
            "a norm": (lambda W: torch.linalg.matrix_norm(W, ord=2), "the result is ()"),
            "a number": (1.0, "A function"),
        },
    ),
)
