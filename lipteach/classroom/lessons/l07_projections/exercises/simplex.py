"""The exercises of lesson 07: the threshold, and the unit simplex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import call, close, compare_number, seeded, show_values
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l07_projections.exercises.landing import (
    comparable,
    lands_elsewhere,
    lands_inside,
    lands_outside,
    one_by_one,
    some_number,
)
from lipteach.classroom.reading import read_like
from lipteach.classroom.watch import need_own_code
from lipteach.primitives import project_l1_ball, project_simplex

# --- 07.threshold

THRESHOLD = (0.9 + 0.5 + 0.25 - 1) / 3
"""Of (0.9, 0.5, 0.25, −0.3) and r = 1: three entries stay positive."""

# --- 07.simplex


def _one_by_one(y: Tensor) -> Tensor:
    flat = y.reshape(-1, y.shape[-1])
    return torch.stack([simplex(row) for row in flat]).reshape(y.shape)


def _cut_at_k(y: Tensor, off: int, exact: bool = True) -> Tensor:
    """Algorithm 1 with K + off for K; if not exact, with a τ that carries no gradient."""
    u = y.sort(dim=-1, descending=True).values
    candidates = (u.cumsum(dim=-1) - 1) / torch.arange(1, y.shape[-1] + 1)
    K = (candidates < u).sum(dim=-1, keepdim=True)
    tau = candidates.gather(-1, (K - 1 + off).clamp(0, y.shape[-1] - 1))
    return (y - (tau if exact else tau.detach())).clamp(min=0)


def simplex(y: Tensor) -> Tensor:
    """Algorithm 1 along the last dimension."""
    return _cut_at_k(y, 0)


def _of_the_largest(count: int) -> Callable[[Tensor], Tensor]:
    """The same from no more than so many of the largest entries."""

    def projected(y: Tensor) -> Tensor:
        u = y.sort(dim=-1, descending=True).values[..., :count]
        candidates = (u.cumsum(dim=-1) - 1) / torch.arange(1, u.shape[-1] + 1)
        return (y - candidates.amax(dim=-1, keepdim=True)).clamp(min=0)

    return projected


def _shrunk(rounds: int) -> Callable[[Tensor], Tensor]:
    """In each round τ is that of the entries above the last one."""

    def projected(y: Tensor) -> Tensor:
        left = torch.ones_like(y)
        for _ in range(rounds):
            tau = ((left * y).sum(-1, keepdim=True) - 1) / left.sum(-1, keepdim=True)
            left = (y > tau).to(y)
        return (y - tau).clamp(min=0)

    return projected


def _one_k(y: Tensor) -> Tensor:
    """The largest K of all rows."""
    u = y.sort(dim=-1, descending=True).values
    candidates = (u.cumsum(dim=-1) - 1) / torch.arange(1, y.shape[-1] + 1)
    K = int((candidates < u).sum(dim=-1).max())
    return (y - candidates[..., K - 1 : K]).clamp(min=0)


def _total(x: Tensor, _y: Tensor) -> tuple[Tensor, float]:
    return x.sum(dim=-1), 1.0


def _negative(got: Tensor, want: Tensor, *_arguments: Any) -> bool | None:
    return (comparable(got, want) and bool((got < -1e-6).any())) or None


def _third(got: float) -> bool:
    return abs(got - 1 / 3) < 1e-3  # no neighbour with few digits


_INPUTS = [
    torch.tensor([0.9, 0.5, -0.3, 0.25]).double(),
    seeded(6),
    3 * seeded(5, seed=2),
    *(one_by_one(torch.ones(n).double(), K, 1.0).roll(1) for n, K in ((8, 2), (10, 6))),
]


def _judge_simplex(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(
        answer,
        simplex,
        _INPUTS,
        layouts=[
            seeded(4, 3),
            seeded(2, 3, 5),
            seeded(3, 4, seed=1).T,
            *(seeded(1), seeded(3, 1), seeded(1, 4), seeded(2, 1, 3)),
        ],
        ties=[torch.zeros(2).double(), torch.ones(2, 4).double()],
        gradient=True,
        mistakes=mistakes,
    )
    large = 1e5 + seeded(6)
    got = read_like(call(answer, large), large, gradient=True)
    if got.dtype == torch.float64 and not close(got, simplex(large)):
        text = "Right, but with 1e5 added to each entry, which moves no projection, digits are lost"
        raise Hint("value", f"{text}: which step works in float32?", (large,))
    ask = "which sums of the sorted entries does Algorithm 1 compare?"
    need_own_code(answer, [(y,) for y in _INPUTS], ask)


def _judge_threshold(answer: Any, mistakes: Sequence[Mistake]) -> None:
    def left(tau: float) -> float:
        return float((torch.tensor([0.9, 0.5, 0.25, -0.3]).double() - tau).clamp(min=0).sum())

    ask = ""
    if isinstance(answer, (int, float)) and abs(answer) < 1e6:
        ask = f"With this τ the positive parts of y − τ add up to {show_values(left(answer))}, "
        ask += "not to 1: from which k does it come?"
    compare_number(answer, THRESHOLD, decimals=4, mistakes=mistakes, otherwise=ask)


EXERCISES = (
    Exercise(
        name="07.threshold",
        judge=_judge_threshold,
        solution=THRESHOLD,
        right={"four digits": 0.2167, "a fraction": 13 / 60},
        mistakes={
            "k = 1": (-0.1, "This is the value at k = 1: does k = 2 meet the condition as well?"),
            "k = 2": (0.2, "This is the value at k = 2: is it below u₃, too?"),
            "k = 4": (0.0875, "This is the value at k = 4: is it below u₄ = −0.3?"),
            "mean": (
                0.55,
                "This is the mean of the three: what became of the r = 1 that is taken off?",
            ),
            "not shared": (0.65, "This is the sum less r: by how many entries is it shared?"),
            "an entry": (
                0.25,
                "This is an entry of y: how far below the smallest that stays is τ?",
                lambda got: any(abs(got - u) < 1e-9 for u in (0.9, 0.5, 0.25, -0.3)),
            ),
            "divided by 4": (
                0.65 / 4,
                "The sum of three entries, shared by 4: how many share it?",
            ),
            "r added": (2.65 / 3, "Here r is added to the sum: is it to be taken off?"),
            "sizes": (0.95 / 4, "−0.3 counts as 0.3 here: does Algorithm 1 take sizes?"),
            "the sum": (1.65, "This is the sum of the three: what of r, and of their number?"),
            "a share of r": (1 / 3, "This is r/K: what became of the sum of the entries?", _third),
            "an entry of x": (
                0.9 - THRESHOLD,
                "This is an entry of the projection: what was taken off y for it?",
                lambda got: any(abs(got - u + THRESHOLD) < 1e-3 for u in (0.9, 0.5, 0.25)),
            ),
            "K": (3, "This is K: which τ belongs to it?"),
            "two digits": (
                0.22,
                "Nearly: what are its four digits?",
                lambda got: abs(got - THRESHOLD) < 5e-3,
            ),
        },
        wrong={"the point": ([0.683, 0.283, 0.033, 0.0], "A number is needed")},
    ),
    Exercise(
        name="07.simplex",
        judge=_judge_simplex,
        solution=simplex,
        right={"one row at a time": _one_by_one},
        mistakes={
            "not cut": (
                lambda y: y - (y - project_simplex(y)).amax(dim=-1, keepdim=True),
                "The sum is 1, but some entries are negative: what does max(·, 0) do?",
            ),
            "all entries": (
                lambda y: (y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1]).clamp(min=0),
                "Here τ counts every entry, K = n: is u₁ the greatest, and which stay above?",
            ),
            "scaled": (
                lambda y: y.clamp(min=0) / y.clamp(min=0).sum(dim=-1, keepdim=True),
                "Dividing gives the sum 1, but not the nearest point: subtract one number.",
            ),
            "sorted": (
                lambda y: project_simplex(y).sort(dim=-1, descending=True).values,
                "The right numbers, sorted: does τ leave u, or y in its own order?",
            ),
            "softmax": (
                lambda y: y.softmax(dim=-1),
                "Softmax lands on the simplex, but far from y: which single number is taken off?",
            ),
            "one threshold": (
                lambda y: project_simplex(y.flatten()).reshape(y.shape),
                "In a batch each row has a τ and a K of its own: which dimension do you sum along?",
            ),
            "columns": (
                lambda y: project_simplex(y, dim=0),
                "Each column sums to 1 here: do the vectors lie along dim = −1?",
            ),
            "the ball": (
                project_l1_ball,
                "This is the L1 ball, which has negative entries too: what is the sum here?",
            ),
            "the sizes": (
                lambda y: project_simplex(y.abs()),
                "These are the projections of the sizes |y|: what is nearest to a negative entry?",
            ),
            "radius 2": (
                lambda y: project_simplex(y, 2.0),
                "The sum is 2 here: which simplex is the unit one?",
            ),
            "divided by the sum": (
                lambda y: y / y.sum(dim=-1, keepdim=True),
                "Divided by the sum, some entries stay negative: which number is subtracted?",
            ),
            "divided by the size": (
                lambda y: y.abs() / y.abs().sum(dim=-1, keepdim=True),
                "The sizes, divided by their sum: which point of the simplex is nearest to y?",
            ),
            "a corner": (
                lambda y: torch.nn.functional.one_hot(y.argmax(-1), y.shape[-1]).to(y),
                "One entry takes all: may the next one not keep a part?",
            ),
            "summed to 1": (
                lambda y: y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1],
                "The sum is 1, and nothing is cut at 0: which entries may take part in τ?",
            ),
            "a clip": (
                lambda y: y.clamp(-1, 1),
                "This is the L∞ ball: does (0, 0) have the sum 1 that the simplex asks for?",
            ),
            "one too many": (
                lambda y: _cut_at_k(y, 1),
                "This is the τ of K + 1 entries: is the index of the K-th one K?",
            ),
            "one too few": (
                lambda y: _cut_at_k(y, -1),
                "This is the τ of K − 1 entries: is the index of the K-th one K − 1 or K − 2?",
            ),
            "cut only": (
                lambda y: y.clamp(min=0),
                "Only cut at 0: which number is taken off before, so that the sum is 1?",
            ),
            "one K": (
                _one_k,
                "All rows get the largest K of them all: which of the rows does a K belong to?",
            ),
            "some entries": (
                _of_the_largest(3),
                "Only some of the largest entries of a row are looked at: how many may stay?",
                some_number(_of_the_largest),
            ),
            "some rounds": (
                _shrunk(3),
                "Round by round entries leave, and it ends before the last has left: when is it "
                "done?",
                some_number(_shrunk),
            ),
            "the largest less 1": (
                lambda y: (y - y.amax(dim=-1, keepdim=True) + 1).clamp(min=0),
                "This τ is the candidate of k = 1 for each row: what about larger k?",
            ),
            "the mean": (
                lambda y: (y - y.mean(dim=-1, keepdim=True)).clamp(min=0),
                "The mean is taken off: where do the 1 and the K entries that stay come in?",
            ),
            "uniform": (
                lambda y: torch.full_like(y, 1 / y.shape[-1]),
                "The centre of the simplex: where does y enter?",
            ),
            "turned": (
                lambda y: project_simplex(-y),
                "These are the projections of −y: which entries of y are the largest?",
            ),
            "negative": (
                lambda y: 0.9 * project_simplex(y) - 0.1,
                "An entry is negative: is a point of the simplex allowed to have one?",
                _negative,
            ),
            "above 1": (
                lambda y: 1.2 * project_simplex(y).clamp(max=0.9) + 0.1,
                "The entries of a row add up to more than 1: is your τ too small?",
                lands_outside(_total),
            ),
            "below 1": (
                lambda y: project_simplex(y).clamp(max=0.5),
                "The entries of a row add up to less than 1: is your τ too large?",
                lands_inside(_total),
            ),
            "elsewhere": (
                lambda y: (3 * y).softmax(dim=-1),
                "On the simplex, but not nearest: has each entry that is left lost the same τ?",
                lands_elsewhere(_total),
            ),
            "halved": (
                lambda y: _cut_at_k(y, 0, exact=False),
                "The values are right, and to the gradient τ is a constant: does it depend on y?",
            ),
        },
        wrong={
            "detached": (lambda y: project_simplex(y.detach()), "no gradient"),
            "in float32": (lambda y: simplex(y.float()).to(y.dtype), "works in float32"),
            "by the package": (project_simplex, "calls lt.project_simplex"),
        },
    ),
)
