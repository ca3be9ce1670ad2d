"""Lesson 09: the exercise cones, McShane's extension on the line."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, close, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.slips import slip_of
from lipteach.classroom.trials import off_by_a_constant
from lipteach.classroom.watch import need_own_code, watch
from lipteach.theory import approximate


def cones(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    """The maximum over i of values_i − |z − x_i|: z of shape (M,), x and values of (N,)."""
    return (values - (z[:, None] - x).abs()).amax(dim=1)


def _each(z: Tensor, x: Tensor, values: Tensor, sign: float = -1.0) -> Tensor:
    return values + sign * (z[:, None] - x).abs()


_X = torch.tensor([-1.0, 0.1, 0.8, -0.3]).double()
_Z = torch.tensor([-0.5, 0.5]).double()
_MANY = torch.cat([torch.linspace(-0.5, 0.5, 9), torch.tensor([2.0, -2.0])]).double()
_ENDS_HIGH = torch.tensor([0.0] * 9 + [1.4, 1.4]).double()


def _judge_cones(answer: Any, inputs: Any, layouts: Any, mistakes: Any) -> None:
    compare_function(answer, cones, inputs, layouts=layouts, mistakes=mistakes)
    need_own_code(answer, inputs[:1], "how is it written without a network?")
    with watch() as seen:
        call(answer, *inputs[0])
    if any(name in ("addmm", "linear") for name, *_ in seen.operations):
        text = "Right, but a linear layer is in your code: how is it written without a network?"
        raise Hint("constraint", text, inputs[0])


def _by_the_package(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    def value(points: Tensor) -> Tensor:
        return values[(points - x).abs().argmin(dim=1)]

    network = approximate(value, x[:, None], math.inf, "mcshane")
    found: Tensor = network(z[:, None])[:, 0]
    return found.detach()


def _by_both_neighbours(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    """Of values that are 1-Lipschitz no other cone can be higher."""
    order = x.argsort()
    x, values = x[order], values[order]
    k = torch.searchsorted(x, z)
    left, right = (i.clamp(0, len(x) - 1) for i in (k - 1, k))
    pairs = [values[i] - (z - x[i]).abs() for i in (left, right)]
    return torch.maximum(*pairs)


def _is(*functions: Any) -> Any:
    """The ``when`` of a mistake in several forms."""

    def when(got: Tensor, _want: Tensor, *given: Tensor) -> bool:
        return any(close(got, f(*given).double()) for f in functions)

    return when


def _has_another_name(got: Tensor, want: Tensor) -> bool:
    """A wrong shape, a NaN, and what `slip_of` names better than a place among the cones."""
    return got.shape != want.shape or not got.isfinite().all() or bool(slip_of(got, want))


def _above_all(got: Tensor, want: Tensor, z: Tensor, x: Tensor, v: Tensor) -> bool | None:
    """Somewhere above the cones from above; a call where it is not says nothing."""
    if _has_another_name(got, want):
        return None
    highest = _each(z, x, v, 1.0).amin(dim=1)
    return True if bool((got > highest + 1e-6).any()) else None


def _somewhere_below(got: Tensor, want: Tensor, *_arguments: Tensor) -> bool | None:
    if _has_another_name(got, want):
        return None
    return True if bool((got < want - 1e-6).any()) else None


def _too_high_far_out(got: Tensor, want: Tensor, z: Tensor, x: Tensor, _v: Tensor) -> bool:
    high = got > want + 1e-6
    return bool((got >= want - 1e-6).all() and ((z[:, None] - x).abs().amin(dim=1)[high] > 3).all())


def _chords(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    order = x.argsort()
    return torch.as_tensor(np.interp(z, x[order], values[order]))


def _slope_of_the_data(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    order = x.argsort()
    slope = (values[order].diff() / x[order].diff()).abs().amax() if len(x) > 1 else 1
    return (values - slope * (z[:, None] - x).abs()).amax(dim=1)


def _neighbours_by_number(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    """Both neighbours, if the points were in order."""
    k = torch.searchsorted(x, z).clamp(1, max(len(x) - 1, 1))
    pairs = [_each(z, x, values)[torch.arange(len(z)), i % len(x)] for i in (k - 1, k)]
    return torch.maximum(*pairs)


def _nearest_few(z: Tensor, x: Tensor, values: Tensor, most: int = 3) -> Tensor:
    near = (z[:, None] - x).abs().topk(min(most, len(x)), largest=False).indices
    return _each(z, x, values).gather(1, near).amax(dim=1)


def _by_a_layer(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    """A layer of two lines for each cone."""
    layer = nn.Linear(1, 2 * len(x), dtype=z.dtype)
    with torch.no_grad():
        layer.weight[:, 0] = torch.tensor([1.0, -1.0]).repeat_interleave(len(x))
        layer.bias[:] = torch.cat([values - x, values + x])
        return torch.minimum(*layer(z[:, None]).chunk(2, dim=1)).amax(dim=1)


def _nearest(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    near = (z[:, None] - x).abs().argmin(dim=1)
    return _each(z, x, values)[torch.arange(len(z)), near]


CONES = Exercise(
    name="09.cones",
    judge=partial(
        _judge_cones,
        inputs=[
            (
                torch.tensor([-1.0, 0.0, 2.0]).double(),
                torch.tensor([-0.5, 1.0]).double(),
                torch.tensor([0.5, -0.25]).double(),
            ),
            (seeded(9), _X, (2 * _X).sin() / 2),
            (_Z, 3 * _Z, torch.zeros(2).double()),
            (_Z + 0.5, 3 * _Z, torch.zeros(2).double()),  # where two cones meet, and where not
            (100 * _Z, _X, (2 * _X).sin() / 2),  # far out
            (_X, _X[:3], 2 + _X[:3].cos()),  # all above 0
            # the cone that counts is that of the farthest point, and next that of the last but one
            (torch.tensor([0.7, -0.7]).double(), _MANY, _ENDS_HIGH),
        ],
        layouts=[
            (seeded(3), _X[:3], _X[:3].cos() / 2),
            (seeded(1), _X, _X.cos() / 2),
            (seeded(3), seeded(1, seed=1), seeded(1, seed=2)),
        ],
    ),
    solution=cones,
    right={
        "max": lambda z, x, v: (v[None] - (x[None] - z[:, None]).abs()).max(dim=1).values,
        "a loop": lambda z, x, v: torch.stack([(v - (t - x).abs()).max() for t in z]),
        "numpy": lambda z, x, v: cones(z, x, v).numpy(),
        "both neighbours": _by_both_neighbours,
    },
    mistakes={
        "from above": (
            lambda z, x, v: _each(z, x, v, 1.0).amin(dim=1),
            "These are the cones from above, the smallest of them: which stand below g?",
        ),
        "upside down": (
            lambda z, x, v: _each(z, x, v, 1.0).amax(dim=1),
            "A cone below g has its tip on top: does its value grow with the distance?",
        ),
        "lowest": (
            lambda z, x, v: _each(z, x, v).amin(dim=1),
            "All cones stand below g, and you take the lowest: which comes nearest to g?",
        ),
        "lines": (
            lambda z, x, v: (v - (z[:, None] - x)).amax(dim=1),
            "Lines instead of cones: what is the distance of z and x?",
        ),
        "rising lines": (
            lambda z, x, v: (v + (z[:, None] - x)).amax(dim=1),
            "Lines that rise, instead of cones: what is the distance of z and x?",
        ),
        "midpoint": (
            lambda z, x, v: (cones(z, x, v) + _each(z, x, v, 1.0).amin(dim=1)) / 2,
            "This is the midpoint of both sides: which of the two sides is asked for?",
        ),
        "over z": (
            lambda z, x, v: _each(z, x, v).amax(dim=0),
            "The largest over z, for each cone: over which of the two is the maximum?",
        ),
        "mean": (
            lambda z, x, v: _each(z, x, v).mean(dim=1),
            "The mean of the cones: does it meet the values at the points?",
        ),
        "nearest": (
            _nearest,
            "The cone of the nearest point: can another, higher one stand above it?",
        ),
        "the nearest few": (
            _nearest_few,
            "Only the cones of the nearest points are looked at: can a far one be higher?",
            _is(*(partial(_nearest_few, most=k) for k in range(2, 11))),
        ),
        "highest": (
            lambda z, x, v: v.max() - (z - x[v.argmax()]).abs(),
            "One cone, that of the highest value: what of the others?",
        ),
        "one cone": (
            lambda z, x, v: _each(z, x, v)[:, 0],
            "The cone of one point alone: what of the others?",
            _is(lambda *of: _each(*of)[:, 0], lambda *of: _each(*of)[:, -1]),
        ),
        "number of the cone": (
            lambda z, x, v: _each(z, x, v).argmax(dim=1),
            "These are numbers of cones, not heights: what does argmax return?",
        ),
        "raised": (
            lambda z, x, v: cones(z, x, v) + 1 / len(x),
            "This is raised by a constant: at which height is G at the points themselves?",
            off_by_a_constant,
        ),
        "never below the least": (
            lambda z, x, v: cones(z, x, v).clamp(min=v.min()),
            "Never below the least of the values: may a cone not go on falling?",
        ),
        "the slope of the data": (
            _slope_of_the_data,
            "These cones fall with the largest slope between two points: how fast may g fall?",
        ),
        "neighbours by number": (
            _neighbours_by_number,
            "Only two cones that stand side by side in the list: are the points in order, and can "
            "another cone be higher?",
        ),
        "flat far out": (
            lambda z, x, v: (v - (z[:, None] - x).abs().clamp(max=3)).amax(dim=1),
            "Right near the points, and too high far from them: where does a cone end its fall?",
            _too_high_far_out,
        ),
        "never below 0": (
            lambda z, x, v: cones(z, x, v).clamp(min=0),
            "Never below 0: may a cone not go on falling?",
        ),
        "deepest, upside down": (
            lambda z, x, v: (-_each(z, x, v)).amax(dim=1),
            "The distance minus the value: which of the two does a cone take off?",
        ),
        "a size": (
            lambda z, x, v: _each(z, x, v).abs().amax(dim=1),
            "A size is taken of a whole cone, or of more than the distance: which part is one?",
            _is(
                lambda z, x, v: _each(z, x, v).abs().amax(dim=1),
                lambda z, x, v: cones(z, x, v).abs(),
                lambda z, x, v: (v - z[:, None] - x).abs().amax(dim=1),
                lambda z, x, v: (v - (z[:, None] - x)).abs().amax(dim=1),
            ),
        ),
        "a sum": (
            lambda z, x, v: (v - (z[:, None] + x).abs()).amax(dim=1),
            "|z + x| is the distance to −x: how far is z from x?",
        ),
        "one height, low": (
            lambda z, x, v: v.min() - (z[:, None] - x).abs().amin(dim=1),
            "All tips are as low as the lowest: which value belongs to each point?",
        ),
        "sizes of values": (
            lambda z, x, v: cones(z, x, v.abs()),
            "The values have lost their signs: how high is the tip where g is negative?",
        ),
        "half the values": (
            lambda z, x, v: cones(z, x, v / 2),
            "The values are not whole: how high is each tip?",
        ),
        "a product": (
            lambda z, x, v: (v * (1 - (z[:, None] - x).abs())).amax(dim=1),
            "Each cone is multiplied by its value: which slope have all of them?",
        ),
        "smooth": (
            lambda z, x, v: (1e3 * _each(z, x, v)).logsumexp(dim=1) / 1e3,
            "A smooth maximum is above the maximum: what is G where two cones meet?",
            lambda got, want, z, x, v: (
                got.shape == want.shape
                and bool((got >= want - 1e-9).all())
                and bool((got <= _each(z, x, v).logsumexp(dim=1) + 1e-9).all())
            ),
        ),
        "chords": (
            _chords,
            "Straight from point to point: with which slope does a cone fall?",
        ),
        "all distances": (
            lambda z, x, v: v.max() - torch.linalg.vector_norm(z[:, None] - x, dim=1),
            "A norm over all points at once: how far is z from each?",
        ),
        "farthest": (
            lambda z, x, v: v.max() - (z[:, None] - x).abs().amax(dim=1),
            "The distance to the farthest point: which distance belongs to each value?",
        ),
        "median": (
            lambda z, x, v: _each(z, x, v).median(dim=1).values,
            "A cone in the middle: which is the highest?",
        ),
        "distances": (
            lambda z, x, v: (z[:, None] - x).abs().amin(dim=1) + 0 * v.sum(),
            "A distance and no value: where do the tips stand?",
            _is(
                lambda z, x, v: (z[:, None] - x).abs().amin(dim=1) + 0 * v.sum(),
                lambda z, x, v: (z[:, None] - x).abs().amax(dim=1) + 0 * v.sum(),
            ),
        ),
        "sum": (
            lambda z, x, v: _each(z, x, v).sum(dim=1),
            "The cones are added: which one of them counts at z?",
        ),
        "parabolas": (
            lambda z, x, v: (v - (z[:, None] - x) ** 2).amax(dim=1),
            "Parabolas instead of cones: which power has the distance?",
        ),
        "points and values": (
            lambda z, x, v: cones(z, v, x),
            "The points and the values change places: where does each cone have its tip?",
        ),
        "nearest value": (
            lambda z, x, v: v[(z[:, None] - x).abs().argmin(dim=1)],
            "The value at the nearest point: what of the distance to it?",
        ),
        "too steep": (
            lambda z, x, v: (v - 2 * (z[:, None] - x).abs()).amax(dim=1),
            "These cones have slope 2: which slope has a 1-Lipschitz g at most?",
        ),
        "too flat": (
            lambda z, x, v: (v - (z[:, None] - x).abs() / 2).amax(dim=1),
            "These cones have slope ½: do they all stand below a g of slope 1?",
        ),
        "no values": (
            lambda z, x, v: -(z[:, None] - x).abs().amin(dim=1) + 0 * v.sum(),
            "This is minus the distance to the points: at which height is each tip?",
        ),
        "one height": (
            lambda z, x, v: v.max() - (z[:, None] - x).abs().amin(dim=1),
            "All tips are as high as the highest: which value belongs to each point?",
        ),
        "minus": (
            lambda z, x, v: -cones(z, x, v),
            "The whole is turned upside down: is the value at a point g there, or −g?",
        ),
        "all": (_each, "All cones, one in a column: which of them counts at z?"),
        "too high": (
            lambda z, x, v: v.max() + 0 * z + 0 * x.sum(),
            "Somewhere this is above every 1-Lipschitz function with these values: from which "
            "height does a cone fall, and how fast?",
            _above_all,
        ),
        "too low": (
            lambda z, x, v: (v - 3 * (z[:, None] - x).abs()).amax(dim=1),
            "Somewhere this is below the highest cone: how fast does a cone fall, and which one "
            "counts?",
            _somewhere_below,
        ),
        "between": (
            lambda z, x, v: (3 * cones(z, x, v) + _each(z, x, v, 1.0).amin(dim=1)) / 4,
            "This is between the cones from below and those from above: which are asked for?",
            lambda got, want, *_: None if _has_another_name(got, want) else True,
        ),
    },
    wrong={
        "one number": (lambda z, x, v: _each(z, x, v).max(), "is needed"),
        "a network": (_by_the_package, "calls lt.approximate"),
        "a layer": (_by_a_layer, "a linear layer is in your code"),
    },
)
