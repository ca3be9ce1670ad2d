"""Lesson 08: the exercise max-min, the maximum of minima through N points."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import watch
from lipteach.theory import approximate


def _lines(z: Tensor, x: Tensor, a: Tensor, own: Any) -> Tensor:
    """The lines f_ij through (x_i, a_i) and (x_j, a_j) at z, (M, N, N), with `own` for f_ii."""
    slopes = (a - a[:, None]) / (x - x[:, None])  # (N, N), 0/0 on the diagonal
    lines = a[:, None] + slopes * (z[:, None, None] - x[:, None])
    return torch.where(torch.eye(len(x), dtype=torch.bool), own, lines)


def max_min(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """The max over i of the min over j ≠ i of the line through (x_i, a_i) and (x_j, a_j), at z."""
    return _lines(z, x, a, torch.inf).amin(dim=2).amax(dim=1)


def _by_loops(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    points = list(zip(x, a, strict=True))

    def lower(t: Tensor, s: Tensor, p: Tensor) -> Any:
        return min(p + (q - p) / (y - s) * (t - s) for y, q in points if y != s)

    return torch.stack([torch.stack([lower(t, s, p) for s, p in points]).max() for t in z])


def _half_of_the_pairs(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Only j > i in the minimum of i."""
    lines = _lines(z, x, a, torch.inf).masked_fill(x < x[:, None], torch.inf)
    return lines.amin(dim=2)[:, :-1].amax(dim=1)


def _chords(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Straight from point to point."""
    k = torch.searchsorted(x, z).clamp(1, len(x) - 1)
    return a[k - 1] + (a[k] - a[k - 1]) / (x[k] - x[k - 1]) * (z - x[k - 1])


def _by_the_package(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    def value(points: Tensor) -> Tensor:
        return a[(points - x).abs().argmin(dim=1)]

    found: Tensor = approximate(value, x[:, None], p=2)(z[:, None])[:, 0]
    return found.detach()


def _judge_max_min(answer: Any, inputs: Any, mistakes: Any) -> None:
    compare_function(answer, max_min, inputs, mistakes=mistakes)
    for arguments in inputs:
        with watch() as seen:
            call(answer, *arguments)
        if seen.lipteach:
            text = f"Right, but your code calls lt.{seen.lipteach[0]}"
            ask = "which two operations of torch take the minimum and the maximum?"
            raise Hint("constraint", f"{text}: {ask}", arguments)


_X = torch.tensor([-1.0, -0.4, 0.1, 0.5, 1.0]).double()
_Z = 2 * seeded(12, seed=8)  # beyond the points as well


MAX_MIN = Exercise(
    name="08.max-min",
    judge=partial(
        _judge_max_min,
        inputs=[
            (
                torch.tensor([-0.5, 0.75]).double(),
                torch.tensor([-1.0, 0.0, 1.0]).double(),
                torch.tensor([0.0, 0.5, -0.25]).double(),
            ),
            (_Z, _X, (3 * _X).sin() / 3),
            (_Z, _X, 0.6 * _X + 0.2 * _X.abs()),
            (_X, _X, (2 * _X).cos() / 2),
            (_Z[:1], _X[:2], 0.5 * _X[:2]),
        ],
    ),
    solution=max_min,
    right={"a loop": _by_loops},
    mistakes={
        "minimum of maxima": (
            lambda z, x, a: -max_min(z, x, -a),
            "This is the minimum of the maxima: which comes first for the lattice here?",
        ),
        "diagonal": (
            lambda z, x, a: _lines(z, x, a, a[:, None]).amin(dim=2).amax(dim=1),
            "A constant a_i takes part as the piece j = i: is it to be there?",
        ),
        "zero": (
            lambda z, x, a: _lines(z, x, a, 0.0).amin(dim=2).amax(dim=1),
            "A 0 takes part as the piece j = i: which number is never the minimum?",
        ),
        "maximum of maxima": (
            lambda z, x, a: _lines(z, x, a, -torch.inf).amax(dim=2).amax(dim=1),
            "The greatest of all lines: which of the two steps takes the least?",
        ),
        "minimum of minima": (
            lambda z, x, a: _lines(z, x, a, torch.inf).amin(dim=2).amin(dim=1),
            "The least of all lines: which of the two steps takes the greatest?",
        ),
        "mean of minima": (
            lambda z, x, a: _lines(z, x, a, torch.inf).amin(dim=2).mean(dim=1),
            "A mean over i: at x_k, which of the minima is g(x_k), and which are below?",
        ),
        "one minimum": (
            lambda z, x, a: _lines(z, x, a, torch.inf).amin(dim=2)[:, 0],
            "The minimum of the first point alone: over which i is the maximum?",
        ),
        "points and values": (
            lambda z, x, a: max_min(z, a, x),
            "x and a change places: through (x_i, a_i) the slope is a difference of what "
            "over a difference of what?",
        ),
        "nearest value": (
            lambda z, x, a: a[(z[:, None] - x).abs().argmin(dim=1)],
            "The value at the nearest point: which line goes through it?",
        ),
        "minus infinity": (
            lambda z, x, a: max_min(z, x, a) - torch.inf,
            "−∞ takes part as the piece j = i: which number is never the minimum?",
        ),
        "half of the pairs": (
            _half_of_the_pairs,
            "Only j > i takes part: each line is there once, but does each i meet all its j?",
        ),
        "cones": (
            lambda z, x, a: (a - (z[:, None] - x).abs()).amax(dim=1),
            "These are cones of slope ±1 on each point: which slope does the piece f_ij have?",
        ),
        "chords": (
            _chords,
            "This goes straight from point to point: what do the other pieces do there?",
        ),
        "nan": (
            lambda z, x, a: max_min(z, x, a) * torch.nan,
            "Some values are NaN: what is the slope of f_ii, and who needs it?",
            lambda got, *_: got.isnan().any(),
        ),
        "one number": (
            lambda z, x, a: max_min(z, x, a).max(),
            "One number for all z: along which dimensions run i and j?",
        ),
    },
    wrong={"by lt": (_by_the_package, "calls lt.approximate")},
)
