"""The exercises of lesson 09."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import NEARLY, nearly, need_tensor, show_apart
from lipteach.classroom.compare_functions import compare_network
from lipteach.classroom.lessons.l09_universal.cones import CONES
from lipteach.classroom.lessons.l09_universal.counts import PIECES, POINTS
from lipteach.classroom.lessons.l09_universal.permutation import PERMUTATION
from lipteach.classroom.lessons.l09_universal.two_norm import letter_n
from lipteach.classroom.trials import off_by_a_constant
from lipteach.primitives import MaxMin
from lipteach.theory import linear, maximum, minimum, w_network

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


def _corners(got: Tensor, want: Tensor, x: Tensor) -> list[float] | None:
    """Where a result on the fine grid changes its slope; None for the few points and no column."""
    if len(x) < 100 or got.shape != want.shape:
        return None
    bends = (got[2:] - 2 * got[1:-1] + got[:-2]).abs()[:, 0] > 1e-4
    found = x[1:-1, 0][bends].tolist()
    return [b for a, b in zip([-math.inf, *found], found, strict=False) if b - a > 0.04]


def _has(which: Callable[[list[float]], bool]) -> Callable[..., bool | None]:
    """The ``when`` of a mistake seen in the corners."""

    def when(*trial: Tensor) -> bool | None:
        found = _corners(*trial)
        return None if found is None else which(found) and not nearly(trial[0], trial[1])

    return when


def _flat(got: Tensor, _want: Tensor, x: Tensor) -> bool | None:
    slopes = got.diff(dim=0).abs() / x.diff(dim=0)
    return None if len(x) < 100 else bool(slopes.max() < 0.99)


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
    CONES,
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
            "upside down": (
                nn.Sequential(*_folds(after=0.0), linear([[-1.0]], [-1.0])),
                "The corners stand at the right places, and it rises where N falls: which sign is "
                "turned?",
                lambda got, want, _: bool((got + want - (got + want).mean()).abs().max() < 1e-4),
            ),
            "flat": (
                nn.Sequential(linear([[0.5]], [0.5]), *w_network(1), linear([[1.0]], [-1.0])),
                "It is too flat: with which slopes does N rise and fall?",
                _flat,
            ),
            "a line": (
                nn.Sequential(linear([[1.0]], [1.0])),
                "A straight line on [−3, 3]: how often does N change its direction?",
                _has(lambda corners: len(corners) == 0),
            ),
            "one corner": (
                nn.Sequential(
                    *list(_one_layer_each())[:2], linear([[math.sqrt(0.5), -math.sqrt(0.5)]])
                ),
                "One corner on [−3, 3]: how many has N, and how many folds do they take?",
                _has(lambda corners: len(corners) == 1),
            ),
            "more corners": (
                w_network(1),
                "More than two corners on [−3, 3]: which of them must be moved out of it?",
                _has(lambda corners: len(corners) > 2),
            ),
            "elsewhere": (
                _folds(before=-1.0, after=1.0, c=3.0),
                "Two corners, and not where N has its own: where are those?",
                _has(lambda corners: len(corners) == 2),
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
