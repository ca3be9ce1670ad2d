"""The exercises of lesson 07 about the simplex: a threshold, and the algorithm for batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, compare_number, seeded
from lipteach.classroom.compare_functions import compare_function

THRESHOLD = (0.9 + 0.5 + 0.25 - 1) / 3
"""Of (0.9, 0.5, 0.25, −0.3) and r = 1: three entries stay positive."""


def _judge_threshold(answer: Any) -> None:
    compare_number(
        answer,
        THRESHOLD,
        tol=5e-5,
        mistakes=[
            (-0.1, "This is the value at k = 1: does k = 2 meet the condition as well?"),
            (0.2, "This is the value at k = 2: is it below u₃, too?"),
            (0.0875, "This is the value at k = 4: is it below u₄ = −0.3?"),
            (0.55, "This is the mean of the three: what became of the r = 1 that is taken off?"),
            (0.65, "This is the sum less r: by how many entries is it shared?"),
            (3, "This is K: which τ belongs to it?"),
            (When(lambda got: abs(got - THRESHOLD) < 5e-3), "Nearly: what are its four digits?"),
        ],
    )


def simplex(y: Tensor) -> Tensor:
    """The projection on the unit simplex along the last dimension, as on paper."""
    u = y.sort(dim=-1, descending=True).values
    k = torch.arange(1, y.shape[-1] + 1)
    tau = (u.cumsum(dim=-1) - 1) / k
    K = (tau < u).sum(dim=-1, keepdim=True)
    return (y - tau.gather(-1, K - 1)).clamp(min=0)


def _one_by_one(y: Tensor) -> Tensor:
    flat = y.reshape(-1, y.shape[-1])
    return torch.stack([simplex(row) for row in flat]).reshape(y.shape)


def _not_cut(y: Tensor) -> Tensor:
    u = y.sort(dim=-1, descending=True).values
    tau = (u.cumsum(dim=-1) - 1) / torch.arange(1, y.shape[-1] + 1)
    return y - tau.gather(-1, (tau < u).sum(dim=-1, keepdim=True) - 1)


def _all_entries(y: Tensor) -> Tensor:
    return (y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1]).clamp(min=0)


def _scaled(y: Tensor) -> Tensor:
    positive = y.clamp(min=0)
    return positive / positive.sum(dim=-1, keepdim=True)


def _in_order(y: Tensor) -> Tensor:
    return simplex(y).sort(dim=-1, descending=True).values


_ROWS = "In a batch each row has a τ and a K of its own: which dimension do you sum along?"


def _flattened(y: Tensor) -> Tensor:
    return simplex(y.flatten()).reshape(y.shape)


def _along_first(y: Tensor) -> Tensor:
    return simplex(y.movedim(0, -1)).movedim(-1, 0)


def _judge_simplex(answer: Any) -> None:
    compare_function(
        answer,
        simplex,
        inputs=[torch.tensor([0.9, 0.5, -0.3, 0.25]).double(), seeded(6), 3 * seeded(5, seed=2)],
        layouts=[seeded(4, 3), seeded(2, 3, 5), seeded(3, 4, seed=1).T],
        ties=[torch.zeros(2).double(), torch.ones(2, 4).double()],
        gradient=True,
        mistakes=[
            (_not_cut, "The sum is 1, but some entries are negative: what does max(·, 0) do?"),
            (
                _all_entries,
                "Here τ counts every entry, K = n: is u₁ the greatest, and which stay above?",
            ),
            (_scaled, "Dividing gives the sum 1, but not the nearest point: subtract one number."),
            (_in_order, "The right numbers, sorted: does τ leave u, or y in its own order?"),
            (
                lambda y: y.softmax(dim=-1),
                "Softmax lands on the simplex, but far from y: which single number is taken off?",
            ),
            (_flattened, _ROWS),
            (_along_first, "Each column sums to 1 here: do the vectors lie along dim = −1?"),
            (
                lambda y: y.clamp(-1, 1),
                "This is the L∞ ball: does (0, 0) have the sum 1 that the simplex asks for?",
            ),
        ],
    )


EXERCISES = (
    Exercise(
        name="07.threshold",
        question="The threshold τ of (0.9, 0.5, 0.25, −0.3) for r = 1.",
        difficulty=1,
        minutes=5,
        judge=_judge_threshold,
        solution=THRESHOLD,
        right={"four digits": 0.2167, "a fraction": 13 / 60, "a tensor": torch.tensor(0.65 / 3)},
        wrong={
            "k = 1": (-0.1, "at k = 1"),
            "k = 2": (0.2, "at k = 2"),
            "k = 4": (0.0875, "at k = 4"),
            "mean": (0.55, "the mean of the three"),
            "not shared": (0.65, "by how many"),
            "K": (3, "This is K"),
            "two digits": (0.22, "four digits"),
            "the point": ([0.683, 0.283, 0.033, 0.0], "A number is needed"),
        },
    ),
    Exercise(
        name="07.simplex",
        question="The projection on the unit simplex along the last dimension.",
        difficulty=2,
        minutes=12,
        judge=_judge_simplex,
        solution=simplex,
        right={
            "one row at a time": _one_by_one,
            "float32": lambda y: simplex(y.float()),
        },
        wrong={
            "not cut": (_not_cut, "some entries are negative"),
            "all entries": (_all_entries, "every entry"),
            "scaled": (_scaled, "Dividing gives"),
            "softmax": (lambda y: y.softmax(dim=-1), "Softmax"),
            "sorted": (_in_order, "The right numbers, sorted"),
            "one threshold": (_flattened, "of its own"),
            "columns": (_along_first, "Each column"),
            "a clip": (lambda y: y.clamp(-1, 1), "the L∞ ball"),
            "detached": (lambda y: simplex(y.detach()), "no gradient"),
        },
    ),
)
