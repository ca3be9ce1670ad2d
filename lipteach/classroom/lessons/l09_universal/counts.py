"""Lesson 09: the exercises that count points and pieces."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_number
from lipteach.classroom.compare_functions import compare_function

# --- 09.points: how many points a bound needs.

ENOUGH = 20


# --- 09.pieces: the size of the lattice.


def pieces(d: int, eps: float) -> int:
    """N(N − 1)/2 with N = ⌈2/ε⌉ᵈ."""
    N: int = math.ceil(2 / eps) ** d
    return N * (N - 1) // 2


def _with_points(N: Any) -> Any:
    return lambda d, eps: N(d, eps) * (N(d, eps) - 1) / 2


def _of_points(count: Any) -> Any:
    return lambda d, eps: count(math.ceil(2 / eps) ** d)


def _is(*functions: Any) -> Any:
    """The ``when`` of a mistake in several forms; the calls that are right are not asked."""

    def when(got: Any, _want: Any, *given: Any) -> bool:
        return any(math.isclose(float(got), float(f(*given)), rel_tol=1e-5) for f in functions)

    return when


POINTS = Exercise(
    name="09.points",
    judge=partial(
        compare_number,
        value=ENOUGH,
        otherwise="In the middle of 4 equal parts, r = 1/4: what is 2r, and for which N is it 0.1?",
    ),
    solution=ENOUGH,
    right={"a float": 20.0, "computed": 2 / 0.1, "a tensor": torch.tensor(20)},
    mistakes={
        "r": (10, "Ten points give r = 0.1: by how much can the error exceed r?"),
        "both ends": (
            21,
            "These stand on both ends, where half of what a point covers is lost. Must they?",
        ),
        "twice": (
            40,
            "This is 4/0.1: how long is the piece of [−1, 1] that one point covers, r or 2r?",
        ),
        "half of r": (5, "Five points give r = 0.2: what is 2r then?"),
        "pairs": (380, "These are N(N − 1) pieces: how many points N are that?"),
        "half the pairs": (190, "These are the different pieces: how many points are that?"),
        "a length": (
            0.1,
            "This is a length, r or 2r: how many pieces of it has [−1, 1]?",
            lambda n: 0 < n < 1,
        ),
        "squared": (
            400,
            "This is 20²: in how many directions do the points of a line stand?",
            lambda n: n == 400,
        ),
        "not whole": (
            20.5,
            "Points are counted in whole numbers: which one is enough?",
            lambda n: 1 < n < 1e3 and n % 1 != 0,
        ),
        "one less": (19, "With 19 points 2r = 0.105: is that at most 0.1?"),
        "many": (30, "Enough, but do the points need to stand so close?", lambda n: n > ENOUGH),
        "few": (15, "Too few: what is r, and what is 2r?", lambda n: n < ENOUGH),
    },
    wrong={"a list": ([20, 20], "A number is needed")},
)

PIECES = Exercise(
    name="09.pieces",
    judge=partial(
        compare_function,
        reference=pieces,
        inputs=[
            *((1, 0.1), (2, 0.25), (2, 0.5), (1, 0.3), (3, 1.0), (2, 0.3), (1, 0.45)),
            *((1, 2.0), (4, 1.0), (1, 2 / 10.04), (1, 2 / 10.0005)),
        ],
    ),
    solution=pieces,
    right={
        "math.comb": lambda d, eps: math.comb(math.ceil(2 / eps) ** d, 2),
        "a float": lambda d, eps: float(pieces(d, eps)),
        "a tensor": lambda d, eps: torch.tensor(pieces(d, eps)),
    },
    mistakes={
        "ordered pairs": (
            lambda d, eps: 2 * pieces(d, eps),
            "Each piece twice: is f_ij another map than f_ji?",
        ),
        "points": (
            lambda d, eps: math.ceil(2 / eps) ** d,
            "These are the points N: how many pairs do they form?",
        ),
        "a square": (
            lambda d, eps: math.ceil(2 / eps) ** (2 * d),
            "This is N²: a point makes no pair with itself, and i, j is the pair j, i.",
        ),
        "half a square": (
            lambda d, eps: math.ceil(2 / eps) ** (2 * d) / 2,
            "This is N²/2: does a point make a pair with itself?",
        ),
        "r": (
            _with_points(lambda d, eps: math.ceil(1 / eps) ** d),
            "With these points r = ε: which bound does the lattice have?",
        ),
        "one side": (
            _with_points(lambda _, eps: math.ceil(2 / eps)),
            "Right on the line: how many cubes of the same side fill a square?",
        ),
        "d sides": (
            _with_points(lambda d, eps: d * math.ceil(2 / eps)),
            "d times as many: how many cubes of one side fill a square?",
        ),
        "rounded down": (
            _with_points(lambda d, eps: math.floor(2 / eps) ** d),
            "Nearly: with ε = 0.3, do 6 points on [−1, 1] have 2r ≤ 0.3?",
        ),
        "nearest": (
            _with_points(lambda d, eps: round(2 / eps) ** d),
            "Rounded to the nearest: with ε = 0.45, do 4 points on [−1, 1] have 2r ≤ 0.45?",
        ),
        "floor division": (
            _with_points(lambda d, eps: (2 // eps) ** d),
            "`//` rounds down, and 2 // 0.1 is 19: which way must the points be rounded?",
        ),
        "both ends": (
            _with_points(lambda d, eps: (math.ceil(2 / eps) + 1) ** d),
            "These points stand on both ends as well: must they?",
        ),
        "twice the points": (
            _with_points(lambda d, eps: math.ceil(4 / eps) ** d),
            "Twice as many points a side: which length does a point cover, r or 2r?",
        ),
        "a point less": (
            _with_points(lambda d, eps: math.ceil(2 / eps) ** d - 1),
            "These are the pairs of one point less: N(N − 1)/2 takes the one off already.",
        ),
        "pairs, then the power": (
            lambda d, eps: math.comb(math.ceil(2 / eps), 2) ** d,
            "The pairs of a side were raised to d: what is to be raised, and then paired?",
        ),
        "always a square": (
            _with_points(lambda _, eps: math.ceil(2 / eps) ** 2),
            "Right in the plane: how does the number of points depend on d?",
        ),
        "exchanged": (
            _with_points(lambda d, eps: d ** math.ceil(2 / eps)),
            "Base and exponent are exchanged: how many points has a side, and how many sides?",
        ),
        "by the 2-norm": (
            _with_points(lambda d, eps: math.ceil(2 * math.sqrt(d) / eps) ** d),
            "√d is right in the L2 metric: how far is the corner of a cube from its middle "
            "in the metric of the lesson, L∞?",
        ),
        "always 190": (
            lambda _d, _eps: 190,
            "This is right for d = 1 and ε = 0.1: where do d and ε enter?",
        ),
        "with itself": (
            lambda d, eps: pieces(d, eps) + math.ceil(2 / eps) ** d,
            "This is N(N + 1)/2: does a point make a pair with itself?",
        ),
        "not rounded": (
            _with_points(lambda d, eps: (2 / eps) ** d),
            "Right where 2/ε is whole: can there be 6.67 points?",
        ),
        "rounded late": (
            _with_points(lambda d, eps: math.ceil((2 / eps) ** d)),
            "Where does the rounding up belong: to the points on a side, or to all of them?",
        ),
        "rounded late, and down": (
            _with_points(lambda d, eps: math.floor((2 / eps) ** d)),
            "All points together are rounded, and not up: what is rounded up, and why up?",
            _is(
                _with_points(lambda d, eps: math.floor((2 / eps) ** d)),
                _with_points(lambda d, eps: round((2 / eps) ** d)),
            ),
        ),
        "always one more": (
            _with_points(lambda d, eps: (math.floor(2 / eps) + 1) ** d),
            "Rounded down and one more: what does that make where 2/ε is whole?",
        ),
        "doubled late": (
            _with_points(lambda d, eps: (2 * math.ceil(1 / eps)) ** d),
            "1/ε is rounded up before it is doubled: how many points has a side for ε = 0.3?",
        ),
        "half of r": (
            _with_points(lambda d, eps: math.ceil(1 / (2 * eps)) ** d),
            "With these points r = 2ε: what is 2r to be?",
        ),
        "r, not rounded": (
            _with_points(lambda d, eps: (1 / eps) ** d),
            "(1/ε)^d points have r = ε, and need not be whole: which r has the lattice?",
            _is(
                _with_points(lambda d, eps: (1 / eps) ** d),
                lambda d, eps: (1 / eps) ** d * ((1 / eps) ** d - 1) // 2,
            ),
        ),
        "another exponent": (
            _with_points(lambda d, eps: math.ceil(2 / eps) ** (d + 1)),
            "The exponent is not d: how many points has the lattice on the line, d = 1?",
            _is(
                _with_points(lambda d, eps: math.ceil(2 / eps) ** (d - 1)),
                _with_points(lambda d, eps: math.ceil(2 / eps) ** (d + 1)),
                _with_points(lambda d, eps: math.ceil(2 / eps) ** (2 * d)),
            ),
        ),
        "power of 2 only": (
            _with_points(lambda d, eps: math.ceil(2**d / eps)),
            "Only the 2 is raised to d: what stands in the bracket ⌈2/ε⌉^d?",
        ),
        "in L1": (
            _with_points(lambda d, eps: math.ceil(2 * d / eps) ** d),
            "2d/ε fits the L1 metric: how far is the corner of a cube from its middle in L∞?",
        ),
        "d times the pairs": (
            lambda d, eps: d * pieces(1, eps),
            "These are d times the pairs of one side: which points form pairs?",
        ),
        "pairs by d": (
            lambda d, eps: pieces(d, eps) / d,
            "The pairs are divided by d: how many points does a piece meet, in any dimension?",
        ),
        "cones": (
            lambda d, eps: 2 * d * math.ceil(1 / eps) ** d,
            "This grows like N, with a factor 2d: how many pairs do N points form?",
            _is(
                lambda d, eps: 2 * d * math.ceil(1 / eps) ** d,
                lambda d, eps: 2 * d * math.ceil(2 / eps) ** d,
            ),
        ),
        "halved too early": (
            _of_points(lambda N: N // 2 * (N - 1)),
            "`//` rounds N/2 down before it is multiplied: what should be halved?",
        ),
        "partners halved": (
            _of_points(lambda N: N * ((N - 1) // 2)),
            "`//` rounds (N − 1)/2 down before it is multiplied: what should be halved?",
        ),
        "neither factor": (
            _of_points(lambda N: (N - 1) ** 2 / 2),
            "A point has N − 1 partners, and there are N points: what is the product, halved?",
            _is(
                _of_points(lambda N: (N - 1) ** 2 / 2),
                _of_points(lambda N: (N - 1) ** 2 // 2),
                _of_points(lambda N: N * (N - 2) / 2),
                _of_points(lambda N: N * (N - 2) // 2),
            ),
        ),
        "brackets": (
            _of_points(lambda N: (N * N - 1) / 2),
            "A bracket is missing around N − 1: what does Python multiply first?",
            _is(
                _of_points(lambda N: (N * N - 1) / 2),
                _of_points(lambda N: (N * N - 1) // 2),
                _of_points(lambda N: N * N - 1 / 2),
                _of_points(lambda N: N - 1 * N / 2),
                _of_points(lambda N: N - 1 * N // 2),
            ),
        ),
        "halved twice": (
            lambda d, eps: pieces(d, eps) // 2,
            "N(N − 1)/2 is halved once more: how often is each pair counted in N(N − 1)?",
            _is(lambda d, eps: pieces(d, eps) // 2, lambda d, eps: pieces(d, eps) / 2),
        ),
        "triples": (
            _of_points(lambda N: math.comb(N, 3)),
            "These are the choices of three points: how many does a piece meet?",
        ),
        "layers": (
            _of_points(lambda N: 2 * math.ceil(math.log2(N))),
            "These are the layers of the trees: how many pieces do they compare?",
            _is(
                _of_points(lambda N: 2 * math.ceil(math.log2(N))),
                _of_points(lambda N: math.ceil(math.log2(N))),
            ),
        ),
        "partners": (
            _of_points(lambda N: N - 1),
            "These are the partners of one point: how many points have so many?",
        ),
        "a table": (
            lambda d, eps: {(1, 0.1): 190, (2, 0.25): 2016}.get((d, eps), 190),
            "Right for the two cases of the text only: what holds for every d and ε?",
            lambda got, *_: got in (190, 2016),
        ),
        "other points": (
            _with_points(lambda d, eps: math.ceil(1 / eps**2) ** d),
            "These are the pairs of another number of points: how many has a side of length 2, "
            "and how many sides are there?",
            lambda got, *_: (8 * float(got) + 1) ** 0.5 % 1 == 0 if got >= 1 else None,
        ),
        "too many": (
            lambda d, eps: 2.0 ** min(math.ceil(2 / eps) ** d, 60) + pieces(d, eps),
            "These are more than N points have pairs: with how many others does a point make one?",
            lambda got, want, *_: bool(got > want + 2) if want > 0 else None,
        ),
        "too few": (
            lambda d, eps: math.ceil(2 / eps) ** d + 0.5,
            "These are fewer than N points have pairs: which points, or pairs, are left out?",
            lambda got, want, *_: bool(got < want - 2) if got >= 1 and want > 0 else None,
        ),
    },
    wrong={"a number": (190, "A function is needed")},
)
