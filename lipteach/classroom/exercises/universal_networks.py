"""The exercises of lesson 09 in which something is built: cones, and the letter N (appendix E)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, seeded
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.classroom.figures.universal_two_norm import letter_n
from lipteach.primitives import MaxMin
from lipteach.theory import linear, maximum, minimum, w_network

# --- 09.cones: McShane's extension on the line.


def cones(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    """The maximum over i of values_i − |z − x_i|: z of shape (M,), x and values of (N,)."""
    return (values - (z[:, None] - x).abs()).amax(dim=1)


def _each(z: Tensor, x: Tensor, values: Tensor, sign: float = -1.0) -> Tensor:
    return values + sign * (z[:, None] - x).abs()


def _nearest(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    near = (z[:, None] - x).abs().argmin(dim=1)
    return _each(z, x, values)[torch.arange(len(z)), near]


def _midway(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    return (cones(z, x, values) + _each(z, x, values, 1.0).amin(dim=1)) / 2


def _of_the_highest(z: Tensor, x: Tensor, values: Tensor) -> Tensor:
    top = int(values.argmax())
    return values[top] - (z - x[top]).abs()


def _judge_cones(answer: Any) -> None:
    two = (
        torch.tensor([-1.0, 0.0, 2.0]).double(),
        torch.tensor([-0.5, 1.0]).double(),
        torch.tensor([0.5, -0.25]).double(),
    )
    compare_function(
        answer,
        cones,
        inputs=[two, (seeded(9), seeded(4, seed=1), 0.5 * seeded(4, seed=2))],
        layouts=[(seeded(3), seeded(3, seed=1), 0.3 * seeded(3, seed=2))],
        mistakes=[
            (
                lambda z, x, v: _each(z, x, v, 1.0).amin(dim=1),
                "These are the cones from above, the smallest of them: which stand below g?",
            ),
            (
                lambda z, x, v: _each(z, x, v, 1.0).amax(dim=1),
                "A cone below g has its tip on top: does its value grow with the distance?",
            ),
            (
                lambda z, x, v: _each(z, x, v).amin(dim=1),
                "All cones stand below g, and you take the lowest: which comes nearest to g?",
            ),
            (
                lambda z, x, v: (v - (z[:, None] - x)).amax(dim=1),
                "Lines instead of cones: what is the distance of z and x?",
            ),
            (
                lambda z, x, v: (v + (z[:, None] - x)).amax(dim=1),
                "Lines that rise, instead of cones: what is the distance of z and x?",
            ),
            (
                _midway,
                "This is the midpoint of both sides: which of the two sides is asked for?",
            ),
            (
                lambda z, x, v: _each(z, x, v).amax(dim=0),
                "The largest over z, for each cone: over which of the two is the maximum?",
            ),
            (
                lambda z, x, v: _each(z, x, v).mean(dim=1),
                "The mean of the cones: does it meet the values at the points?",
            ),
            (
                _nearest,
                "The cone of the nearest point: can another, higher one stand above it?",
            ),
            (_of_the_highest, "One cone, that of the highest value: what of the others?"),
            (_each, "All cones, one in a column: which of them counts at z?"),
        ],
    )


# --- 09.letter-n: N on [−3, 3] by folds.


def _folds(before: float = 1.0, c: float = 2.0, after: float = -1.0) -> nn.Sequential:
    shift = nn.Sequential(linear([[1.0]], [before]))
    return nn.Sequential(*shift, *w_network(c), linear([[1.0]], [after]))


def _lattice_n() -> nn.Sequential:
    up, down = linear([[1.0]], [2.0]), linear([[-1.0]])
    peak = minimum(nn.Sequential(up), nn.Sequential(down))
    return maximum(peak, nn.Sequential(linear([[1.0]], [-2.0])))


def _one_layer_each() -> nn.Sequential:
    """Two folds |x + 1| and |x − 2|, each of two units."""
    r = math.sqrt(0.5)
    first = linear([[r], [-r]], [r, -r])
    second = linear([[0.5, -0.5], [-0.5, 0.5]], [-2 * r, 2 * r])
    return nn.Sequential(first, MaxMin(), second, MaxMin(), linear([[r, -r]], [-1.0]))


def _off_by_a_constant(got: Tensor, want: Tensor, *_x: Tensor) -> bool:
    off = got - want
    return got.shape == want.shape and bool((off - off.mean()).abs().max() < 1e-5)


def _judge_letter_n(answer: Any) -> None:
    corners = torch.tensor([[-3.0], [-1.0], [0.0], [1.0], [3.0]]).double()
    compare_network(
        answer,
        letter_n,
        inputs=[corners, torch.linspace(-3, 3, 241).double()[:, None]],
        allowed=(nn.Linear, MaxMin),
        mistakes=[
            (_folds(after=0.0), "The corners stand at the right places: is the height right?"),
            (When(_off_by_a_constant), "The shape is right: by which constant is it off?"),
            (w_network(2), "This is the W around 0: where is its middle corner, and where N's?"),
            (
                _folds(before=-1.0),
                "This is −N on [−3, 3]: is a sign, or the shift, the other way round?",
            ),
            (_folds(0.0, 2.0, -1.0), "Lowered, not shifted: where is the upper corner of N?"),
            (_folds(1.0, 1.0, -1.0), "The second corner comes too early: how far apart are N's?"),
            (
                _lattice_n(),
                "Exact, by max and min as in the proof of Theorem 3. But what is the 2-norm of "
                "its first layer? Can you fold instead?",
            ),
            (nn.Sequential(linear([[1.0]])), "This is x: where does N fall?"),
            (
                nn.Sequential(linear([[-1.0]])),
                "Right between the corners: who folds the two ends up again?",
            ),
        ],
    )


EXERCISES = (
    Exercise(
        name="09.cones",
        question="McShane's extension from below of values at points of the line.",
        difficulty=2,
        minutes=8,
        judge=_judge_cones,
        solution=cones,
        right={
            "max": lambda z, x, v: (v[None] - (x[None] - z[:, None]).abs()).max(dim=1).values,
            "a loop": lambda z, x, v: torch.stack([(v - (t - x).abs()).max() for t in z]),
            "float32": lambda z, x, v: cones(z.float(), x.float(), v.float()),
            "numpy": lambda z, x, v: cones(z, x, v).numpy(),
        },
        wrong={
            "from above": (lambda z, x, v: _each(z, x, v, 1.0).amin(dim=1), "from above"),
            "upside down": (lambda z, x, v: _each(z, x, v, 1.0).amax(dim=1), "tip on top"),
            "lowest": (lambda z, x, v: _each(z, x, v).amin(dim=1), "take the lowest"),
            "lines": (lambda z, x, v: (v - (z[:, None] - x)).amax(dim=1), "Lines instead"),
            "rising lines": (lambda z, x, v: (v + (z[:, None] - x)).amax(dim=1), "that rise"),
            "midpoint": (_midway, "midpoint of both sides"),
            "over z": (lambda z, x, v: _each(z, x, v).amax(dim=0), "over z"),
            "mean": (lambda z, x, v: _each(z, x, v).mean(dim=1), "The mean of"),
            "nearest": (_nearest, "the nearest point"),
            "highest": (_of_the_highest, "the highest value"),
            "all": (_each, "one in a column"),
            "one number": (lambda z, x, v: _each(z, x, v).max(), "is needed"),
        },
    ),
    Exercise(
        name="09.letter-n",
        question="A network of MaxMin and 2-norms at most 1 that equals N on [−3, 3].",
        difficulty=3,
        minutes=14,
        judge=_judge_letter_n,
        solution=_folds(),
        right={"two units": _one_layer_each(), "float32": _folds().float()},
        wrong={
            "too high": (_folds(after=0.0), "is the height right"),
            "off": (_folds(after=-2.0), "by which constant"),
            "W": (w_network(2), "the W around 0"),
            "other way": (_folds(before=-1.0), "This is −N"),
            "two outputs": (
                nn.Sequential(_folds(), linear([[1.0], [1.0]])),
                "the result has shape (5, 2)",
            ),
            "only lowered": (_folds(0.0, 2.0, -1.0), "Lowered, not"),
            "narrow": (_folds(1.0, 1.0, -1.0), "too early"),
            "by max and min": (_lattice_n(), "fold instead"),
            "the identity": (nn.Sequential(linear([[1.0]])), "This is x"),
            "minus": (nn.Sequential(linear([[-1.0]])), "who folds"),
            "a function": (letter_n, "nn.Module"),
        },
    ),
)
