"""14.clip-bound: what the constant of a clipped network is at most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare_functions import compare_function

CALLS = [([3, 12], 0.5), ([4, 9, 1], 0.1), ([2, 64, 64, 1], 0.01), ([5, 2, 7, 3], 1.5)]


def clip_bound(sizes: Sequence[int], c: float) -> float:
    """The product of c √(mn) over the layers."""
    return math.prod(c * math.sqrt(n * m) for n, m in pairwise(sizes))


def _with(
    layer: Callable[[int, int, float], float],
    join: Callable[[Sequence[float]], float] = math.prod,
) -> Callable[[Sequence[int], float], float]:
    """Another bound of a layer from n to m, and perhaps not their product."""
    return lambda sizes, c: join([layer(n, m, c) for n, m in pairwise(sizes)])


def _root(n: int, m: int, c: float) -> float:
    return c * math.sqrt(n * m)


def _by_matrices(sizes: Sequence[int], c: float) -> Any:
    """The norms of the matrices of c themselves, which are the largest."""
    filled = [torch.full((m, n), c, dtype=torch.float64) for n, m in pairwise(sizes)]
    return math.prod(float(torch.linalg.matrix_norm(W, 2)) for W in filled)


def _telescoped(sizes: Sequence[int], c: float) -> float:
    inner = math.prod(sizes[1:-1])
    return float(c ** (len(sizes) - 1) * inner * math.sqrt(sizes[0] * sizes[-1]))


EXERCISES = (
    Exercise(
        name="14.clip-bound",
        judge=partial(compare_function, reference=clip_bound, inputs=CALLS),
        solution=clip_bound,
        right={"by matrices": _by_matrices, "joined": _telescoped},
        mistakes={
            "no root": (
                _with(lambda n, m, c: c * n * m),
                "This takes c m n of each layer, the sum of its entries: what is the Frobenius "
                "norm of m n numbers c?",
            ),
            "the numbers of inputs": (
                _with(lambda n, _m, c: c * math.sqrt(n)),
                "This is the norm of one row of each layer: how many rows are there?",
            ),
            "the numbers of outputs": (
                _with(lambda _n, m, c: c * math.sqrt(m)),
                "This is the norm of one column of each layer: how many columns are there?",
            ),
            "the ∞-norm": (
                _with(lambda n, _m, c: c * n),
                "This is c n, the bound of the ∞-norm: which one has the 2-norm?",
            ),
            "the 1-norm": (
                _with(lambda _n, m, c: c * m),
                "This is c m, the bound of the 1-norm: which one has the 2-norm?",
            ),
            "the larger side": (
                _with(lambda n, m, c: c * max(n, m)),
                "This takes the larger side of each layer for √(mn): which layer that is not "
                "square has that norm?",
            ),
            "the smaller side": (
                _with(lambda n, m, c: c * min(n, m)),
                "This takes the smaller side of each layer for √(mn): what if all of its entries "
                "are c?",
            ),
            "sizes added": (
                _with(lambda n, m, c: c * math.sqrt(n + m)),
                "√(n + m): how many entries has a matrix of m × n?",
            ),
            "c under the root": (
                _with(lambda n, m, c: math.sqrt(c * n * m)),
                "c stands under the root: what becomes of a norm if all entries double?",
            ),
            "c alone": (
                _with(lambda _n, _m, c: c),
                "This is c of each layer, as if it bounded the singular values: what bounds c?",
            ),
            "one c": (
                lambda sizes, c: c * clip_bound(sizes, 1.0),
                "c enters once: how many layers are clipped?",
            ),
            "no c": (
                lambda sizes, _c: clip_bound(sizes, 1.0),
                "c is missing: to what are the entries clipped?",
            ),
            "added": (
                _with(_root, sum),
                "The layers are added: what do maps in a row do to their constants?",
            ),
            "the largest layer": (
                _with(_root, max),
                "This is the largest layer alone: what do maps in a row do to their constants?",
            ),
            "the ends": (
                lambda sizes, c: c * math.sqrt(sizes[0] * sizes[-1]),
                "This is one matrix from the first size to the last: where are the hidden layers?",
            ),
            "without the last": (
                lambda sizes, c: clip_bound(sizes[:-1], c),
                "The last layer is missing: how many layers lie between so many sizes?",
            ),
            "without the first": (
                lambda sizes, c: clip_bound(sizes[1:], c),
                "The first layer is missing: how many layers lie between so many sizes?",
            ),
            "squared": (
                _with(lambda n, m, c: c**2 * n * m),
                "These are the squares of the Frobenius norms: which power bounds a stretch?",
            ),
            "all entries together": (
                lambda sizes, c: c * math.sqrt(sum(n * m for n, m in pairwise(sizes))),
                "This is the length of all weights in one vector: does each layer not act on what "
                "the one before returns?",
            ),
        },
        wrong={
            "a pair of sizes": (lambda sizes: clip_bound(sizes, 0.01), "positional argument"),
            "a number": (0.64, "A function is needed"),
            "of each layer": (
                lambda sizes, c: torch.tensor([_root(n, m, c) for n, m in pairwise(sizes)]),
                "shape",
            ),
        },
    ),
)
