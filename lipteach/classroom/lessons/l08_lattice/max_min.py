"""Lesson 08: the exercise max-min, the maximum of minima through N points."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.slips import slip_of
from lipteach.classroom.watch import need_own_code
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


_Line = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
_Function = Callable[[Tensor, Tensor, Tensor], Tensor]


def _wrong(line: _Line) -> _Function:
    """The same maximum of minima of other lines, line(z, x_i, a_i, x_j, a_j)."""

    def G(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        found = line(z[:, None, None], x[:, None], a[:, None], x, a)
        diagonal = torch.eye(len(x), dtype=torch.bool)
        return found.masked_fill(diagonal, torch.inf).amin(dim=2).amax(dim=1)

    return G


def _with_a_little(number: float) -> _Function:
    """A number is added to each difference, against the division by 0."""
    return _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x + number) * (z - x))


def _only(kept: Callable[[Tensor, Tensor], Tensor]) -> _Function:
    """Only the j for which kept(i, j) take part in the minimum of i, and the i that have one."""

    def G(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        i = torch.arange(len(x))
        pairs = kept(i[:, None], i)
        lines = _lines(z, x, a, torch.inf).masked_fill(~pairs, torch.inf)
        return lines.amin(dim=2)[:, pairs.any(dim=1)].amax(dim=1)

    return G


def _minima(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return _lines(z, x, a, torch.inf).amin(dim=2)


def _nearest_minimum(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    near = (z[:, None] - x).abs().argmin(dim=1)
    return _minima(z, x, a)[torch.arange(len(z)), near]


def _of_the_nearest(count: int) -> _Function:
    """The same through the points that are nearest to z, so many of them."""

    def G(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        near = [(t - x).abs().topk(min(count, len(x)), largest=False).indices for t in z]
        return torch.cat([max_min(t[None], x[k], a[k]) for t, k in zip(z, near, strict=True)])

    return G


def _is(*functions: _Function) -> Callable[..., bool]:
    """The ``when`` of a mistake in several forms, NaN included: a division by 0 is part of it."""

    def when(got: Tensor, _want: Tensor, *given: Tensor) -> bool:
        return any(torch.allclose(got, f(*given), equal_nan=True) for f in functions)

    return when


def _chords(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Straight from point to point."""
    k = torch.searchsorted(x, z).clamp(1, len(x) - 1)
    return a[k - 1] + (a[k] - a[k - 1]) / (x[k] - x[k - 1]) * (z - x[k - 1])


def _below(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """McShane's extension; `_above` is the other one."""
    return (a - (z[:, None] - x).abs()).amax(dim=1)


def _above(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return -_below(z, x, -a)


def _by_the_package(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    def value(points: Tensor) -> Tensor:
        return a[(points - x).abs().argmin(dim=1)]

    found: Tensor = approximate(value, x[:, None], p=2)(z[:, None])[:, 0]
    return found.detach()


def _judge_max_min(answer: Any, inputs: Any, mistakes: Any) -> None:
    compare_function(answer, max_min, inputs, mistakes=mistakes)
    high = (_X, _X, 1e12 + _X.abs())  # no number but ∞ stands above every line
    try:
        compare_function(answer, max_min, [high])
    except Hint as hint:
        text = "Right for small values a, and wrong with 1e12 added to each"
        ask = "does a number stand for j = i, and what is greater than every number?"
        raise Hint(hint.kind, f"{text}: {ask}", high) from None
    ask = "which two operations of torch take the minimum and the maximum?"
    need_own_code(answer, inputs, ask)


def _has_another_name(got: Tensor, want: Tensor) -> bool:
    """A wrong shape, a NaN, and what `slip_of` names better than a place."""
    return got.shape != want.shape or not got.isfinite().all() or bool(slip_of(got, want))


def _off_at_the_points(got: Tensor, want: Tensor, z: Tensor, x: Tensor, _: Tensor) -> bool | None:
    if _has_another_name(got, want):
        return None
    return True if torch.equal(z, x) else None


_upside_down = _wrong(lambda z, x, a, y, b: a + (y - x) / (b - a) * (z - x))
_X = torch.tensor([-1.0, -0.4, 0.1, 0.5, 1.0]).double()
_MANY = torch.linspace(-1, 1, 12).double().square() * torch.linspace(-1, 1, 12).sign().double()
_NEAR = torch.tensor([-0.5, -0.48, 0.01, 0.03]).double()  # no number is small beside the gaps
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
            (_Z, _NEAR, _NEAR.abs()),
            (_Z, _MANY, (4 * _MANY).sin() / 4),
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
            "The minimum of one point alone: over which i is the maximum?",
            _is(lambda *given: _minima(*given)[:, 0], lambda *given: _minima(*given)[:, -1]),
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
            _only(lambda i, j: j > i),
            "Only j > i takes part: each line is there once, but does each i meet all its j?",
            _is(_only(lambda i, j: j > i), _only(lambda i, j: j < i)),
        ),
        "cones": (
            _below,
            "These are cones of slope ±1 on each point: which slope does the piece f_ij have?",
            _is(_below, _above, lambda *given: (_below(*given) + _above(*given)) / 2),
        ),
        "chords": (
            _chords,
            "This goes straight from point to point: what do the other pieces do there?",
        ),
        "held": (
            lambda z, x, a: _chords(z.clamp(x.min(), x.max()), x, a),
            "This goes straight from point to point, and is constant beyond them: which lines are "
            "there?",
        ),
        "inside": (
            lambda z, x, a: max_min(z.clamp(x.min(), x.max()), x, a),
            "Right between the points, and constant beyond them: where do the lines end?",
            _is(
                lambda z, x, a: max_min(z.clamp(x.min(), x.max()), x, a),
                lambda z, x, a: max_min(z.clamp(-1, 1), x, a),
            ),
        ),
        "upside down": (
            _upside_down,
            "The slope is upside down: which of the two differences is divided by which?",
            _is(_upside_down),
        ),
        "falling": (
            _wrong(lambda z, x, a, y, b: a - (b - a) / (y - x) * (z - x)),
            "The lines fall where they should rise: does yours meet (x_j, a_j) at z = x_j?",
        ),
        "mixed": (
            _wrong(lambda z, x, a, y, b: b + (b - a) / (y - x) * (z - x)),
            "The height is that of one point, the place that of the other: what is your line at "
            "z = x_i?",
            _is(
                _wrong(lambda z, x, a, y, b: b + (b - a) / (y - x) * (z - x)),
                _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x) * (z - y)),
            ),
        ),
        "no height": (
            _wrong(lambda z, x, a, y, b: (b - a) / (y - x) * (z - x)),
            "Each line is 0 at its first point: which height has it there?",
        ),
        "no place": (
            _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x) * z),
            "Each line has the height a_i at 0: where should it have it?",
        ),
        "signs for slopes": (
            _wrong(lambda z, x, a, _, b: a + (b - a).sign() * (z - x)),
            "The slopes are 1 and −1: by what is the difference of the values divided?",
            _is(
                _wrong(lambda z, x, a, _, b: a + (b - a).sign() * (z - x)),
                _wrong(lambda z, x, a, y, b: a + ((b - a) / (y - x)).sign() * (z - x)),
            ),
        ),
        "the nearest points": (
            _of_the_nearest(5),
            "Only the points that are nearest to z take part: over which i and j do the maximum "
            "and the minimum go?",
            _is(*(_of_the_nearest(count) for count in range(3, 9))),
        ),
        "a little added": (
            _with_a_little(1e-6),
            "A small number is added to each x_j − x_i, which changes every slope: where alone is "
            "the difference 0, and which piece is left out there?",
            _is(*(_with_a_little(sign * 10.0**-k) for k in (3, 4, 5, 6) for sign in (1, -1))),
        ),
        "no run": (
            _wrong(lambda z, x, a, _, b: a + (b - a) * (z - x)),
            "The difference of the values is not divided: how far apart are the two points?",
        ),
        "sizes": (
            _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x).abs() * (z - x)),
            "A size stands where a signed difference belongs: which slope has a line to the left?",
            _is(
                _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x).abs() * (z - x)),
                _wrong(lambda z, x, a, y, b: a + ((b - a) / (y - x)).abs() * (z - x)),
                _wrong(lambda z, x, a, y, b: a + (b - a).abs() / (y - x) * (z - x)),
                _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x) * (z - x).abs()),
            ),
        ),
        "half a slope": (
            _wrong(lambda z, x, a, y, b: a + (b - a) / (y - x) * (z - x) / 2),
            "The lines start right and reach half of the height: what is halved?",
        ),
        "neighbours": (
            _only(lambda i, j: (i - j).abs() == 1),
            "Each i meets its neighbours only: over which j is the minimum?",
        ),
        "lines of neighbours": (
            _only(lambda i, j: j == i + 1),
            "Only the lines from a point to the next take part: which other pairs are there?",
            _is(
                _only(lambda i, j: j == i + 1),
                lambda z, x, a: -_only(lambda i, j: j == i + 1)(z, x, -a),
            ),
        ),
        "a point left out": (
            lambda z, x, a: _minima(z, x, a)[:, :-1].amax(dim=1),
            "One point has no minimum of its own: over which i is the maximum?",
            _is(
                lambda *given: _minima(*given)[:, :-1].amax(dim=1),
                lambda *given: _minima(*given)[:, 1:].amax(dim=1),
            ),
        ),
        "nearest minimum": (
            _nearest_minimum,
            "The minimum that belongs to the nearest point: can that of another be higher?",
        ),
        "mean of lines": (
            lambda z, x, a: (_lines(z, x, a, 0.0).sum(dim=2) / (len(x) - 1)).amax(dim=1),
            "A mean over j: at x_k, is the mean of the lines of another i below g(x_k)?",
            _is(
                lambda z, x, a: (_lines(z, x, a, 0.0).sum(dim=2) / (len(x) - 1)).amax(dim=1),
                lambda z, x, a: _lines(z, x, a, 0.0).sum(dim=2).div(len(x)).amax(dim=1),
            ),
        ),
        "infinity": (
            lambda z, x, a: max_min(z, x, a) + torch.inf,
            "The result is ∞: which comes first, the maximum or the minimum, and which takes ∞?",
        ),
        "a number": (
            lambda z, x, a: _lines(z, x, a, 1.0).amin(dim=2).amax(dim=1),
            "A 1 takes part as the piece j = i, and some lines are higher: which value is above "
            "all of them?",
        ),
        "nan": (
            lambda z, x, a: max_min(z, x, a) * torch.nan,
            "Some values are NaN: what is the slope of f_ii, and who needs it?",
            lambda got, *_: got.isnan().any(),
        ),
        "not at the points": (
            lambda z, x, a: _minima(z, x, a).sum(dim=1),
            "At a point x_k the result is not a_k: which lines go through (x_k, a_k), and what is "
            "the minimum of the others there?",
            _off_at_the_points,
        ),
        "at the points only": (
            lambda z, x, a: max_min(z, x, a).clamp(a.min(), a.max()),
            "Right at the points x_k, and wrong elsewhere: which lines are there, and how far do "
            "they go?",
            lambda got, want, *_: None if _has_another_name(got, want) else True,
        ),
        "one number": (
            lambda z, x, a: max_min(z, x, a).max(),
            "One number for all z: along which dimensions run i and j?",
        ),
    },
    wrong={
        "by lt": (_by_the_package, "calls lt.approximate"),
        "a great number": (
            lambda z, x, a: _lines(z, x, a, 1e6).amin(dim=2).amax(dim=1),
            "with 1e12 added",
        ),
    },
)
