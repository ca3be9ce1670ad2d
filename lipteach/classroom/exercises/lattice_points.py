"""The exercises of lesson 08, second part: the maximum of minima through N points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, call, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function


def max_min(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """The max over i of the min over j ≠ i of the line through (x_i, a_i) and (x_j, a_j), at z."""
    i, j = x[:, None], x[None, :]
    slopes = (a[None, :] - a[:, None]) / (j - i)  # (N, N), 0/0 on the diagonal
    lines = a[:, None] + slopes * (z[:, None, None] - i)  # (M, N, N)
    lines[:, range(len(x)), range(len(x))] = torch.inf
    return lines.amin(dim=2).amax(dim=1)


def _min_max(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return -max_min(z, x, -a)


def _with_diagonal(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """With the constant a_i as f_ii."""
    i = x[:, None]
    slopes = ((a[None, :] - a[:, None]) / (x[None, :] - i)).nan_to_num(0.0)
    return (a[:, None] + slopes * (z[:, None, None] - i)).amin(dim=2).amax(dim=1)


def _with_zero(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """With 0 as f_ii."""
    i = x[:, None]
    lines = a[:, None] + (a[None, :] - a[:, None]) / (x[None, :] - i) * (z[:, None, None] - i)
    return lines.nan_to_num(0.0).amin(dim=2).amax(dim=1)


def _half_of_the_pairs(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Only j > i in the minimum of i."""
    return torch.stack([_first(z, x[i:], a[i:]) for i in range(len(x) - 1)]).amax(dim=0)


def _first(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """The minimum over the lines through the first point."""
    slopes = (a[1:] - a[0]) / (x[1:] - x[0])
    return (a[0] + slopes * (z[:, None] - x[0])).amin(dim=1)


def _cones(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return (a - (z[:, None] - x).abs()).amax(dim=1)


def _chords(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Straight from point to point."""
    k = torch.searchsorted(x, z).clamp(1, len(x) - 1)
    return a[k - 1] + (a[k] - a[k - 1]) / (x[k] - x[k - 1]) * (z - x[k - 1])


def _has_nan(got: Tensor, *_: Any) -> bool:
    return bool(got.isnan().any())


def _judge_max_min(answer: Any) -> None:
    x = torch.tensor([-1.0, -0.4, 0.1, 0.5, 1.0]).double()
    z = 2 * seeded(12, seed=8)  # beyond the points as well
    compare_function(
        answer,
        max_min,
        [(z, x, (3 * x).sin() / 3), (z, x, 0.6 * x + 0.2 * x.abs()), (x, x, (2 * x).cos() / 2)],
        mistakes=[
            (
                _min_max,
                "This is the minimum of the maxima: which comes first for the lattice here?",
            ),
            (_with_diagonal, "A constant a_i takes part as the piece j = i: is it to be there?"),
            (_with_zero, "A 0 takes part as the piece j = i: which number is never the minimum?"),
            (
                _half_of_the_pairs,
                "Only j > i takes part: each line is there once, but does each i meet all its j?",
            ),
            (
                _cones,
                "These are cones of slope ±1 on each point: which slope does the piece f_ij have?",
            ),
            (_chords, "This goes straight from point to point: what do the other pieces do there?"),
            (When(_has_nan), "Some values are NaN: what is the slope of f_ii, and who needs it?"),
            (
                lambda z, x, a: max_min(z, x, a).max(),
                "One number for all z: along which dimensions run i and j?",
            ),
        ],
    )


_POINTS = (2 * torch.arange(8, dtype=torch.float64) + 1) / 8 - 1
_GRID = torch.linspace(-1, 1, 1601, dtype=torch.float64)


def roof(z: Tensor) -> Tensor:
    """−|z|: the values on both sides pull the pieces down, and g has its top between two points."""
    return -z.abs()


def _judge_worst(answer: Any) -> None:
    """1-Lipschitz on [−1, 1], and the lattice through 8 points errs by 1.7 r at least."""
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.abs.")
    got = need_tensor(call(answer, _GRID.clone()))
    if got.shape != _GRID.shape:
        raise Hint("shape", "One value is needed for each entry of z.")
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "Some of the values on [−1, 1] are not finite.")
    steepness = (got.diff() / _GRID.diff()).abs()
    if float(steepness.max()) > 1.001:
        at = round(float(_GRID[int(steepness.argmax())]), 2) + 0.0
        raise Hint(
            "constraint",
            f"Near z = {at:.2f} the slope is ±{float(steepness.max()):.3g}: is g 1-Lipschitz?",
        )
    a = got[100::200]  # the values at the 8 points
    ratio = 8 * float((max_min(_GRID, _POINTS, a) - got).abs().max())
    if ratio < 0.01:
        raise Hint("value", "G equals this g everywhere: what must g do that no chord can?")
    if ratio < 1.01:
        text = "which way must the values left and right go, so that G falls where g rises?"
        raise Hint("value", f"The largest error is {ratio:.2f} r: {text}")
    if ratio < 1.695:
        text = "can your top have more points on both of its sides, or steeper slopes?"
        raise Hint("value", f"The largest error is {ratio:.2f} r, more than a chord's: {text}")


EXERCISES = (
    Exercise(
        name="08.max-min",
        question="The maximum of minima through N points of a line.",
        difficulty=2,
        minutes=12,
        judge=_judge_max_min,
        solution=max_min,
        right={
            "a loop": lambda z, x, a: torch.stack(
                [
                    torch.stack(
                        [
                            min(
                                p + (q - p) / (y - s) * (t - s)
                                for y, q in zip(x, a, strict=True)
                                if y != s
                            )
                            for s, p in zip(x, a, strict=True)
                        ]
                    ).max()
                    for t in z
                ]
            ),
            "float32": lambda z, x, a: max_min(z.float(), x.float(), a.float()),
        },
        wrong={
            "minimum of maxima": (_min_max, "which comes first"),
            "diagonal": (_with_diagonal, "piece j = i"),
            "zero": (_with_zero, "A 0 takes part"),
            "half of the pairs": (_half_of_the_pairs, "Only j > i"),
            "cones": (_cones, "cones of slope"),
            "chords": (_chords, "straight from point to point"),
            "nan": (lambda z, x, a: max_min(z, x, a) * torch.nan, "NaN"),
            "one number": (lambda z, x, a: max_min(z, x, a).max(), "One number for all z"),
        },
    ),
    Exercise(
        name="08.worst-target",
        question="A 1-Lipschitz g for which 8 points leave an error of 1.7 r.",
        difficulty=3,
        minutes=15,
        judge=_judge_worst,
        solution=roof,
        right={
            "higher": lambda z: 3 - z.abs(),
            "float32": lambda z: -z.float().abs(),
            "minimum": lambda z: torch.minimum(z, -z),
            "roof with feet": lambda z: -z.abs().clamp(max=0.9),
        },
        wrong={
            "valley": (torch.abs, "left and right go"),
            "a line": (lambda z: 0.3 * z, "equals this g everywhere"),
            "roof aside": (lambda z: -(z - 0.25).abs(), "more points on both"),
            "flat roof": (lambda z: -0.9 * z.abs(), "steeper slopes"),
            "zigzag": (lambda z: (4 * z).remainder(0.5).sub(0.25).abs(), "1-Lipschitz?"),
            "too steep": (lambda z: -2 * z.abs(), "Near z = -1.00 the slope is ±2"),
            "one value": (lambda z: -z.abs().sum(), "for each entry"),
            "not a function": (1.0, "A function of a tensor"),
        },
    ),
)
