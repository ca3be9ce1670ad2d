"""The exercises of lesson 09 about points, sizes and metrics (appendix E)."""

from __future__ import annotations

import math
from typing import Any

import torch

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, compare_number, compare_tensor, need_tensor
from lipteach.classroom.compare_functions import compare_function

# --- 09.points: how many points a bound needs.

POINTS = 20


def _judge_points(answer: Any) -> None:
    compare_number(
        answer,
        POINTS,
        mistakes=[
            (10, "Ten points give r = 0.1: by how much can the error exceed r?"),
            (21, "These stand on both ends, where half of what a point covers is lost. Must they?"),
            (40, "This is 4/0.1: how long is the piece of [−1, 1] that one point covers, r or 2r?"),
            (5, "Five points give r = 0.2: what is 2r then?"),
            (380, "These are N(N − 1) pieces: how many points N are that?"),
            (190, "These are the different pieces: how many points are that?"),
            (When(lambda n: n > POINTS), "Enough, but do the points need to stand so close?"),
            (When(lambda n: n < POINTS), "Too few: what is r, and what is 2r?"),
        ],
    )


# --- 09.pieces: the size of the lattice.


def pieces(d: int, eps: float) -> int:
    """N(N − 1)/2 with N = ⌈2/ε⌉ᵈ."""
    N: int = math.ceil(2 / eps) ** d
    return N * (N - 1) // 2


def _with_points(N: Any) -> Any:
    return lambda d, eps: N(d, eps) * (N(d, eps) - 1) / 2


def _judge_pieces(answer: Any) -> None:
    compare_function(
        answer,
        pieces,
        inputs=[(1, 0.1), (2, 0.25), (2, 0.5), (1, 0.3), (3, 1.0), (2, 0.3), (1, 0.45)],
        mistakes=[
            (lambda d, eps: 2 * pieces(d, eps), "Each piece twice: is f_ij another map than f_ji?"),
            (
                lambda d, eps: math.ceil(2 / eps) ** d,
                "These are the points N: how many pairs do they form?",
            ),
            (
                lambda d, eps: math.ceil(2 / eps) ** (2 * d),
                "This is N²: a point makes no pair with itself, and i, j is the pair j, i.",
            ),
            (
                lambda d, eps: math.ceil(2 / eps) ** (2 * d) / 2,
                "This is N²/2: does a point make a pair with itself?",
            ),
            (
                _with_points(lambda d, eps: math.ceil(1 / eps) ** d),
                "With these points r = ε: which bound does the lattice have?",
            ),
            (
                _with_points(lambda _, eps: math.ceil(2 / eps)),
                "Right on the line: how many cubes of the same side fill a square?",
            ),
            (
                _with_points(lambda d, eps: d * math.ceil(2 / eps)),
                "d times as many: how many cubes of one side fill a square?",
            ),
            (
                _with_points(lambda d, eps: math.floor(2 / eps) ** d),
                "Nearly: with ε = 0.3, do 6 points on [−1, 1] have 2r ≤ 0.3?",
            ),
            (
                _with_points(lambda d, eps: round(2 / eps) ** d),
                "Rounded to the nearest: with ε = 0.45, do 4 points on [−1, 1] have 2r ≤ 0.45?",
            ),
            (
                _with_points(lambda d, eps: (2 // eps) ** d),
                "`//` rounds down, and 2 // 0.1 is 19: which way must the points be rounded?",
            ),
            (
                _with_points(lambda d, eps: (math.ceil(2 / eps) + 1) ** d),
                "These points stand on both ends as well: must they?",
            ),
            (
                lambda d, eps: pieces(d, eps) + math.ceil(2 / eps) ** d,
                "This is N(N + 1)/2: does a point make a pair with itself?",
            ),
            (
                _with_points(lambda d, eps: (2 / eps) ** d),
                "Right where 2/ε is whole: can there be 6.67 points?",
            ),
            (
                _with_points(lambda d, eps: math.ceil((2 / eps) ** d)),
                "Where does the rounding up belong: to the points on a side, or to all of them?",
            ),
        ],
    )


# --- 09.between: a row allowed in one metric only.


def _judge_between(answer: Any) -> None:
    w = need_tensor(answer).flatten()
    if w.shape != (2,):
        raise Hint("shape", f"A row of two numbers is needed; this has {len(w)}.")
    one, two = float(w.abs().sum()), float(torch.linalg.vector_norm(w))
    if not math.isfinite(one):
        raise Hint("value", "Both entries must be finite.")
    if two > 1 + 1e-6:
        raise Hint(
            "constraint",
            f"‖w‖₂ = {two:.4g}: in the L2 metric w·x is not 1-Lipschitz. Can it be made shorter?",
        )
    if one == 0:
        raise Hint("value", "w·x is constant then, and 1-Lipschitz in every metric.")
    if bool((w == 0).any()):
        raise Hint("value", "On an axis ‖w‖₁ = ‖w‖₂: what if both entries are not 0?")
    if one <= 1 + 1e-6:
        raise Hint(
            "value",
            f"‖w‖₁ = {one:.4g}, at most 1: w·x is 1-Lipschitz in the L∞ metric as well. Which "
            "vectors of the disc lie outside the diamond?",
        )


# --- 09.permutation: the order in which MaxMin meets the right pairs.

ORDER = [0, 3, 1, 4, 2, 5]


def _judge_permutation(answer: Any) -> None:
    compare_tensor(
        answer,
        ORDER,
        mistakes=[
            (
                [0, 2, 4, 1, 3, 5],
                "This is the way back, from (f₁, g₁, f₂, …) to (f₁, f₂, f₃, g₁, …): which entry "
                "shall stand second?",
            ),
            (list(range(6)), "Nothing moves: whom would MaxMin compare f₁ with?"),
            ([1, 4, 2, 5, 3, 6], "The right order, counted from 1: where does Python begin?"),
            ([3, 4, 5, 0, 1, 2], "The halves change places, and f₁ still meets f₂: what must it?"),
            ([0, 5, 1, 4, 2, 3], "f₁ meets g₃ here: in which order do the g's come?"),
            ([3, 0, 4, 1, 5, 2], "The pairs are right, but g₁ stands first: which is asked for?"),
        ],
    )


EXERCISES = (
    Exercise(
        name="09.points",
        question="The points in [−1, 1] that an error of at most 0.1 needs by the bound 2r.",
        difficulty=1,
        minutes=5,
        judge=_judge_points,
        solution=POINTS,
        right={"a float": 20.0, "computed": 2 / 0.1, "a tensor": torch.tensor(20)},
        wrong={
            "r": (10, "Ten points"),
            "both ends": (21, "on both ends"),
            "twice": (40, "This is 4/0.1"),
            "half of r": (5, "Five points"),
            "pairs": (380, "N(N − 1) pieces"),
            "half the pairs": (190, "different pieces"),
            "many": (30, "Enough, but"),
            "few": (19, "Too few"),
            "a list": ([20, 20], "A number is needed"),
        },
    ),
    Exercise(
        name="09.pieces",
        question="The number of different pieces of the lattice on [−1, 1]^d for an error of eps.",
        difficulty=2,
        minutes=8,
        judge=_judge_pieces,
        solution=pieces,
        right={
            "math.comb": lambda d, eps: math.comb(math.ceil(2 / eps) ** d, 2),
            "a float": lambda d, eps: float(pieces(d, eps)),
            "a tensor": lambda d, eps: torch.tensor(pieces(d, eps)),
        },
        wrong={
            "ordered pairs": (lambda d, eps: 2 * pieces(d, eps), "Each piece twice"),
            "points": (lambda d, eps: math.ceil(2 / eps) ** d, "These are the points"),
            "a square": (lambda d, eps: math.ceil(2 / eps) ** (2 * d), "This is N²: a"),
            "half a square": (lambda d, eps: math.ceil(2 / eps) ** (2 * d) / 2, "N²/2"),
            "r": (_with_points(lambda d, eps: math.ceil(1 / eps) ** d), "With these points"),
            "one side": (_with_points(lambda _, eps: math.ceil(2 / eps)), "Right on the line"),
            "d sides": (_with_points(lambda d, eps: d * math.ceil(2 / eps)), "d times as many"),
            "rounded down": (_with_points(lambda d, eps: math.floor(2 / eps) ** d), "Nearly: with"),
            "not rounded": (_with_points(lambda d, eps: (2 / eps) ** d), "Right where 2/ε"),
            "rounded late": (
                _with_points(lambda d, eps: math.ceil((2 / eps) ** d)),
                "Where does the rounding",
            ),
            "nearest": (_with_points(lambda d, eps: round(2 / eps) ** d), "to the nearest"),
            "floor division": (_with_points(lambda d, eps: (2 // eps) ** d), "2 // 0.1 is 19"),
            "both ends": (
                _with_points(lambda d, eps: (math.ceil(2 / eps) + 1) ** d),
                "on both ends as well",
            ),
            "with itself": (
                lambda d, eps: pieces(d, eps) + math.ceil(2 / eps) ** d,
                "This is N(N + 1)/2",
            ),
            "a number": (190, "A function is needed"),
        },
    ),
    Exercise(
        name="09.between",
        question="A row w of R² for which w·x is 1-Lipschitz in the L2 metric and not in L∞.",
        difficulty=1,
        minutes=5,
        judge=_judge_between,
        solution=[0.6, 0.8],
        right={
            "the diagonal": [math.sqrt(0.5), -math.sqrt(0.5)],
            "inside the disc": torch.tensor([0.6, 0.6]),
            "a matrix": [[-0.8, 0.6]],
        },
        wrong={
            "an axis": ([1.0, 0.0], "On an axis"),
            "an edge": ([0.5, 0.5], "lie outside the diamond"),
            "too long": ([1.0, 1.0], "Can it be made shorter"),
            "zero": ([0.0, 0.0], "constant then"),
            "three": ([0.6, 0.8, 0.0], "A row of two"),
        },
    ),
    Exercise(
        name="09.permutation",
        question="The indices that bring (f1, f2, f3, g1, g2, g3) to (f1, g1, f2, g2, f3, g3).",
        difficulty=1,
        minutes=5,
        judge=_judge_permutation,
        solution=ORDER,
        right={
            "a tensor": torch.tensor(ORDER),
            "transposed": torch.arange(6).view(2, 3).T.flatten(),
        },
        wrong={
            "the way back": ([0, 2, 4, 1, 3, 5], "the way back"),
            "nothing": ([0, 1, 2, 3, 4, 5], "Nothing moves"),
            "from 1": ([1, 4, 2, 5, 3, 6], "counted from 1"),
            "halves": ([3, 4, 5, 0, 1, 2], "change places"),
            "g first": ([3, 0, 4, 1, 5, 2], "g₁ stands first"),
            "g reversed": ([0, 5, 1, 4, 2, 3], "f₁ meets g₃"),
            "too few": ([0, 3, 1, 4], "The shape is"),
        },
    ),
)
