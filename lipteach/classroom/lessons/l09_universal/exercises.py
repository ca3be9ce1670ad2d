"""The exercises of lesson 09."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import NEARLY, need_tensor, seeded, show_apart
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.classroom.lessons.l09_universal.counts import PERMUTATION, PIECES, POINTS
from lipteach.classroom.lessons.l09_universal.two_norm import letter_n
from lipteach.classroom.trials import off_by_a_constant
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


# --- 09.between: a row allowed in one metric only.


def _judge_between(answer: Any) -> None:
    w = need_tensor(answer).flatten()
    if w.shape != (2,):
        raise Hint("shape", f"A row of two numbers is needed; this has {len(w)}.")
    one, two = float(w.abs().sum()), float(torch.linalg.vector_norm(w))
    if not math.isfinite(one):
        raise Hint("value", "Both entries must be finite.")
    if two > 1 + 1e-6:
        text = f"‖w‖₂ = {show_apart(two, 1.0)[0]}: in the L2 metric w·x is not 1-Lipschitz."
        text += f" {NEARLY}" if two < 1.015 else " Can it be made shorter?"
        raise Hint("constraint", text)
    if one == 0:
        raise Hint("value", "w·x is constant then, and 1-Lipschitz in every metric.")
    if bool((w == 0).any()):
        raise Hint("value", "On an axis ‖w‖₁ = ‖w‖₂: what if both entries are not 0?")
    if one <= 1 + 1e-6:
        raise Hint(
            "value",
            f"‖w‖₁ = {one:.6g}, at most 1: w·x is 1-Lipschitz in the L∞ metric as well. Which "
            "vectors of the disc lie outside the diamond?",
        )


# --- 09.letter-n: N on [−3, 3] by folds.


def _folds(before: float = 1.0, c: float = 2.0, after: float = -1.0) -> nn.Sequential:
    return nn.Sequential(linear([[1.0]], [before]), *w_network(c), linear([[1.0]], [after]))


def _one_layer_each() -> nn.Sequential:
    """Two folds |x + 1| and |x − 2|, each of two units."""
    r = math.sqrt(0.5)
    first = linear([[r], [-r]], [r, -r])
    second = linear([[0.5, -0.5], [-0.5, 0.5]], [-2 * r, 2 * r])
    return nn.Sequential(first, MaxMin(), second, MaxMin(), linear([[r, -r]], [-1.0]))


def _too_long_folds() -> nn.Sequential:
    first = linear([[1.0], [-1.0]], [1.0, -1.0])
    second = linear([[1.0, 0.0], [-1.0, 0.0]], [-2.0, 2.0])
    return nn.Sequential(first, MaxMin(), second, MaxMin(), linear([[1.0, 0.0]], [-1.0]))


def _lattice_n() -> nn.Sequential:
    up, down = linear([[1.0]], [2.0]), linear([[-1.0]])
    peak = minimum(nn.Sequential(up), nn.Sequential(down))
    return maximum(peak, nn.Sequential(linear([[1.0]], [-2.0])))


EXERCISES = (
    POINTS,
    PIECES,
    Exercise(
        name="09.cones",
        judge=partial(
            compare_function,
            reference=cones,
            inputs=[
                (
                    torch.tensor([-1.0, 0.0, 2.0]).double(),
                    torch.tensor([-0.5, 1.0]).double(),
                    torch.tensor([0.5, -0.25]).double(),
                ),
                (seeded(9), seeded(4, seed=1), 0.5 * seeded(4, seed=2)),
            ],
            layouts=[
                (seeded(3), seeded(3, seed=1), 0.3 * seeded(3, seed=2)),
                (seeded(1), seeded(4, seed=1), 0.3 * seeded(4, seed=2)),
                (seeded(3), seeded(1, seed=1), seeded(1, seed=2)),
            ],
        ),
        solution=cones,
        right={
            "max": lambda z, x, v: (v[None] - (x[None] - z[:, None]).abs()).max(dim=1).values,
            "a loop": lambda z, x, v: torch.stack([(v - (t - x).abs()).max() for t in z]),
            "numpy": lambda z, x, v: cones(z, x, v).numpy(),
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
            "highest": (
                lambda z, x, v: v.max() - (z - x[v.argmax()]).abs(),
                "One cone, that of the highest value: what of the others?",
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
        },
        wrong={"one number": (lambda z, x, v: _each(z, x, v).max(), "is needed")},
    ),
    Exercise(
        name="09.between",
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
            "rounded up": ([0.7072, 0.7072], "‖w‖₂ = 1.0001: "),
            "zero": ([0.0, 0.0], "constant then"),
            "three": ([0.6, 0.8, 0.0], "A row of two"),
        },
    ),
    PERMUTATION,
    Exercise(
        name="09.letter-n",
        judge=partial(
            compare_network,
            reference=letter_n,
            inputs=[
                torch.tensor([[-3.0], [-1.0], [0.0], [1.0], [3.0]]).double(),
                torch.linspace(-3, 3, 241).double()[:, None],
            ],
            allowed=(nn.Linear, MaxMin),
        ),
        solution=_folds(),
        right={"two units": _one_layer_each()},
        mistakes={
            "too high": (
                _folds(after=0.0),
                "The corners stand at the right places: is the height right?",
            ),
            "off": (
                _folds(after=-2.0),
                "The shape is right: by which constant is it off?",
                off_by_a_constant,
            ),
            "W": (
                w_network(2),
                "This is the W around 0: where is its middle corner, and where N's?",
            ),
            "other way": (
                _folds(before=-1.0),
                "This is −N on [−3, 3]: is a sign, or the shift, the other way round?",
            ),
            "only lowered": (
                _folds(before=0.0),
                "Lowered, not shifted: where is the upper corner of N?",
            ),
            "narrow": (_folds(c=1.0), "The second corner comes too early: how far apart are N's?"),
            "by max and min": (
                _lattice_n(),
                "Exact, by max and min as in the proof of Theorem 3. But what is the 2-norm of "
                "its first layer? Can you fold instead?",
            ),
            "the identity": (nn.Sequential(linear([[1.0]])), "This is x: where does N fall?"),
            "minus": (
                nn.Sequential(linear([[-1.0]])),
                "Right between the corners: who folds the two ends up again?",
            ),
        },
        wrong={
            "two outputs": (
                nn.Sequential(_folds(), linear([[1.0], [1.0]])),
                "the result has shape (5, 2)",
            ),
            "folds of norm √2": (_too_long_folds(), "2-norm of '0.weight' is 1.414, above 1"),
            "a function": (letter_n, "nn.Module"),
        },
    ),
)
