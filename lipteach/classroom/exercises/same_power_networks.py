"""The exercises of lesson 02 in which a network is built."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach import linear
from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, seeded
from lipteach.classroom.compare_functions import compare_network
from lipteach.primitives import Abs, MaxMin, maxmin
from lipteach.theory import full_sort_from_maxmin

# --- 02.second-largest: a network of MaxMin.


def _second_largest() -> nn.Sequential:
    swap = torch.eye(4)[[0, 2, 1, 3]]
    select = torch.eye(4)[[1, 2]]
    return nn.Sequential(
        MaxMin(), linear(swap), MaxMin(), linear(select), MaxMin(), linear([[1.0, 0.0]])
    )


def _kth(k: int) -> nn.Sequential:
    return nn.Sequential(full_sort_from_maxmin(4), linear(torch.eye(4)[[k]]))


def _two_rounds(k: int) -> nn.Sequential:
    return nn.Sequential(*list(_second_largest())[:3], linear(torch.eye(4)[[k]]))


def _judge_second(answer: Any) -> None:
    one = torch.tensor([0.5, -2.0, 3.0, 1.0]).double()  # a small row, for hints that show values
    orders = torch.tensor(list(itertools.permutations([-2.0, 0.5, 1.0, 3.0]))).double()
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).double()
    compare_network(
        answer,
        lambda x: x.sort(dim=-1, descending=True).values[..., 1:2],
        inputs=[one, orders, bits, seeded(50, 4)],
        allowed=(nn.Linear, MaxMin),
        mistakes=[
            (_kth(0), "This is the largest: which entry do you select in the end?"),
            (_kth(2), "This is the third: which entry do you select in the end?"),
            (_two_rounds(1), "This is the smaller of the two winners. Can a loser be second?"),
            (_two_rounds(2), "This is the larger of the two losers. Can a winner be second?"),
            (
                nn.Sequential(MaxMin(), linear(torch.eye(4)[[1]])),
                "This looks at the first pair only: what if the second pair has the two largest?",
            ),
        ],
    )


# --- 02.four-by-abs: two pairs at once, from absolute values.


def _four_by_abs(
    bound: float = 3.0,
    before: tuple[float, float] = (math.sqrt(2), 0.0),
    after: tuple[float, float] = (1.0, 1.0),
    halves: bool = False,
    scale: float = math.sqrt(0.5),
) -> nn.Sequential:
    M = scale * torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    W = torch.kron(M, eye) if halves else torch.kron(eye, M)
    first = bound * torch.tensor(before, dtype=torch.float64)
    second = -bound * torch.tensor(after, dtype=torch.float64)
    order = [0, 0, 1, 1] if halves else [0, 1, 0, 1]
    return nn.Sequential(linear(W, first[order]), Abs(), linear(W, second[order]))


def _only_where_sums_are_small(got: Tensor, want: Tensor, x: Tensor) -> bool:
    sums = x.reshape(-1, 2, 2).sum(-1)  # (…, 2)
    wrong = (got - want).abs().reshape(-1, 2, 2).amax(-1) > 1e-5
    return bool(sums[wrong].max() < min(0.0, float(sums[~wrong].min())))


def _judge_four(answer: Any) -> None:
    one = torch.tensor([0.5, -2.0, 3.0, 1.0]).double()
    corners = torch.tensor(list(itertools.product([-3.0, 3.0], repeat=4))).double()
    inside = 6 * torch.rand(200, 4, generator=torch.Generator().manual_seed(0)).double() - 3
    compare_network(
        answer,
        maxmin,
        inputs=[one, torch.cat([corners, inside])],
        allowed=(nn.Linear, Abs),
        mistakes=[
            (
                _four_by_abs(after=(1.0, 0.0)),
                "Each minimum is too large by B, as in the printed formula. What is subtracted?",
            ),
            (
                _four_by_abs(halves=True),
                "Each half is compared with the other. Which entries form a pair?",
            ),
            (
                _four_by_abs(before=(1.0, 0.0)),
                "All is too small by one constant: what does M make of the shift (B, 0)?",
            ),
            (
                _four_by_abs(before=(0.0, math.sqrt(2))),
                "Your shift is on d. Which of s and d must not change its sign?",
            ),
            (_four_by_abs()[:2], "These are still s and |d|: what turns them back?"),
            (_four_by_abs(after=(0.0, 0.0)), "All is too large by B. What takes the shift back?"),
            (_four_by_abs(after=(-1.0, -1.0)), "All is too large by 2B: add B or take it away?"),
            (_four_by_abs(bound=-3.0), "The shift has the wrong sign: where shall s be positive?"),
            (
                When(_only_where_sums_are_small),
                "Right for large sums, wrong where x + y is most negative: is B large enough?",
            ),
        ],
    )


EXERCISES = (
    Exercise(
        name="02.second-largest",
        question="Build a network of MaxMin and norm-1 weights for the second largest of four.",
        difficulty=3,
        minutes=15,
        judge=_judge_second,
        solution=_second_largest(),
        right={"sorted": _kth(1), "float32": _second_largest().float()},
        wrong={
            "largest": (_kth(0), "the largest"),
            "third": (_kth(2), "the third"),
            "smaller winner": (_two_rounds(1), "two winners"),
            "larger loser": (_two_rounds(2), "two losers"),
            "first pair": (nn.Sequential(MaxMin(), linear([[0.0, 1.0, 0.0, 0.0]])), "first pair"),
            "vector": (full_sort_from_maxmin(4), "shape"),
            "norm": (
                nn.Sequential(full_sort_from_maxmin(4), linear([[0.0, 2.0, 0.0, 0.0]])),
                "above 1",
            ),
            "torch sort": (lambda x: x.sort().values[..., 2:3], "nn.Module"),
        },
    ),
    Exercise(
        name="02.four-by-abs",
        question="Build MaxMin of four entries in [-3, 3] from Abs and weights of 2-norm 1.",
        difficulty=2,
        minutes=12,
        judge=_judge_four,
        solution=_four_by_abs(),
        right={"larger B": _four_by_abs(bound=5.0), "float32": _four_by_abs().float()},
        wrong={
            "printed formula": (_four_by_abs(after=(1.0, 0.0)), "printed formula"),
            "halves": (_four_by_abs(halves=True), "form a pair"),
            "B small": (_four_by_abs(bound=2.0), "large enough"),
            "shift B": (_four_by_abs(before=(1.0, 0.0)), "shift (B, 0)"),
            "shift on d": (_four_by_abs(before=(0.0, math.sqrt(2))), "Which of s and d"),
            "not turned back": (_four_by_abs()[:2], "still s and |d|"),
            "added": (_four_by_abs(after=(-1.0, -1.0)), "by 2B"),
            "not taken back": (_four_by_abs(after=(0.0, 0.0)), "takes the shift back"),
            "no root": (_four_by_abs(scale=1.0), "2-norm"),
            "one pair": (nn.Sequential(linear(torch.eye(2)), Abs()), "raised"),
        },
    ),
)
