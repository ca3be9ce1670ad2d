"""The exercises of lesson 08, first part: two points, and what N points cost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, close, compare_tensor
from lipteach.classroom.compare_functions import compare_function


def slope(d: Tensor, c: float) -> Tensor:
    """The w with w·d = c of least 1-norm, the dual of p = ∞: one entry, at the largest |d_k|."""
    k = d.abs().argmax()
    w = torch.zeros_like(d)
    w[k] = c / d[k]
    return w


def _rows_of_d() -> list[tuple[Tensor, float]]:
    given = ([0.5, -2.0, 1.0], [3.0, 1.0], [0.25, 0.5, -0.75, 1.0], [-1.5])
    return [
        (torch.tensor(d).double(), c) for d, c in zip(given, (1.5, -2.0, 0.25, 1.0), strict=True)
    ]


def _judge_slope(answer: Any) -> None:
    compare_function(
        answer,
        slope,
        _rows_of_d(),
        mistakes=[
            (
                lambda d, c: c * d / (d @ d),
                "This is right for p = 2: what does ‖w‖₁ ask for?",
            ),
            (
                lambda d, c: c * d.sign() / d.abs().sum(),
                "This is right for p = 1, with ‖w‖_∞ least: which w has the least ‖w‖₁?",
            ),
            (
                lambda d, c: slope(d, c).abs() * (1 if c > 0 else -1),
                "Right wherever the largest entry of d is positive: what if it is negative?",
            ),
            (
                lambda d, c: c * slope(d, 1.0).sign(),
                "w·d is not c: by what must c be divided?",
            ),
            (
                lambda d, c: torch.where(d == d.max(), c / d, 0.0),
                "This takes the largest entry: is it the largest in size?",
            ),
            (
                lambda d, c: c / d / len(d),
                "w·d = c holds, with the work shared by all entries: does that make ‖w‖₁ least?",
            ),
            (
                When(lambda got, _, d, c: close(got @ d, torch.tensor(c).double())),
                "w·d = c holds, but ‖w‖₁ can be less: which entry brings most for each unit?",
            ),
            (
                When(lambda got, want, *_: got.shape == want.shape),
                "w·d is not c: what does each entry of w bring to this product?",
            ),
        ],
    )


SIZE = [780.0, 12.0]


def _judge_pieces(answer: Any) -> None:
    compare_tensor(
        answer,
        SIZE,
        mistakes=[
            ([1560.0, 12.0], "Each piece is counted twice: f_ij and f_ji are the same line."),
            ([190.0, 10.0], "This reaches 0.1: how many points make 2r = 0.05?"),
            ([190.0, 12.0], "The layers fit, the pieces are those of 20 points: is 2/20 = 0.05?"),
            ([12.0, 780.0], "Both numbers are right: which of them is asked for first?"),
            ([780.0, 6.0], "The pieces are right; a tree for the minima takes 6 layers: and then?"),
            (
                [780.0, 77.0],
                "The pieces are right; 38 + 39 is a chain: how deep is a balanced tree?",
            ),
            ([780.0, 78.0], "The pieces are right; that is a chain: how deep is a balanced tree?"),
            (
                When(lambda got: len(got) == 2 and got[0] == 780),
                "The pieces are right: how often must 39, and then 40, be halved until 1 is left?",
            ),
            (
                When(lambda got: len(got) == 2 and got[1] == 12),
                "The layers are right: how many pairs are there among the points you need?",
            ),
            (
                When(lambda got: len(got) == 2 and got[0] == 1560),
                "Each piece is counted twice, and of the layers: 39 and 40 members need how many?",
            ),
            (
                When(lambda got: len(got) == 2 and got[0] in (190, 380)),
                "These are the pieces of 20 points: is 2/20 at most 0.05?",
            ),
            (
                When(lambda got: len(got) == 2 and got[0] in (39, 40)),
                "This counts points, or the pieces through one of them: how many are there in all?",
            ),
        ],
    )


EXERCISES = (
    Exercise(
        name="08.slope",
        question="The slope of the separating map for p = ∞.",
        difficulty=1,
        minutes=8,
        judge=_judge_slope,
        solution=slope,
        right={
            "one-hot": lambda d, c: torch.nn.functional.one_hot(d.abs().argmax(), len(d)) * (c / d),
            "float32": lambda d, c: slope(d.float(), c),
            "by sign": lambda d, c: torch.where(
                torch.arange(len(d)) == d.abs().argmax(), c * d.sign() / d.abs().max(), 0.0
            ),
        },
        wrong={
            "p = 2": (lambda d, c: c * d / (d @ d), "right for p = 2"),
            "p = 1": (lambda d, c: c * d.sign() / d.abs().sum(), "right for p = 1"),
            "no sign": (
                lambda d, c: (slope(d, c) != 0) * c / d.abs().max(),
                "what if it is negative",
            ),
            "not divided": (
                lambda d, c: c * slope(d, 1.0).sign(),
                "by what must c be divided",
            ),
            "largest, signed": (
                lambda d, c: torch.where(d == d.max(), c / d, 0.0),
                "largest in size",
            ),
            "shared": (lambda d, c: c / d / len(d), "shared by all"),
            "smallest entry": (
                lambda d, c: torch.where(d.abs() == d.abs().min(), c / d, 0.0),
                "brings most for each unit",
            ),
            "multiplied": (lambda d, c: slope(d, c) * d * d, "bring to this product"),
            "one entry": (lambda d, c: c / d[d.abs().argmax()], "result has shape ()"),
        },
    ),
    Exercise(
        name="08.pieces",
        question="Pieces and MaxMin layers of the lattice for an error of 0.05 on [−1, 1].",
        difficulty=1,
        minutes=6,
        judge=_judge_pieces,
        solution=[780, 12],
        right={"a tensor": torch.tensor([780, 12]), "computed": (40 * 39 // 2, 6 + 6)},
        wrong={
            "ordered pairs": ([1560, 12], "counted twice"),
            "for 0.1": ([190, 10], "This reaches 0.1"),
            "pieces for 0.1": ([190, 12], "those of 20 points"),
            "one tree": ([780, 6], "and then"),
            "a chain": ([780, 77], "38 + 39"),
            "a longer chain": ([780, 78], "that is a chain"),
            "other layers": ([780, 11], "halved until"),
            "other pieces": ([800, 12], "how many pairs"),
            "the other way round": ([12, 780], "asked for first"),
            "ordered pairs, one tree": ([1560, 6], "and of the layers"),
            "ordered pairs for 0.1": ([380, 10], "pieces of 20 points"),
            "points": ([40, 6], "This counts points"),
            "three numbers": ([780, 12, 0], "The shape is (3,)"),
            "one number": (780, "shape"),
        },
    ),
)
