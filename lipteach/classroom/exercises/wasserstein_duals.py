"""The exercises of lesson 11 about dual functions: a function, a counterexample, two matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, need_tensor, seeded
from lipteach.classroom.figures.wasserstein import lifted
from lipteach.primitives import operator_norm, wasserstein_dual
from lipteach.training import three_cones

TOL = 1e-4  # of answers in float32


def dual(z: Tensor) -> Tensor:
    """Minus the distance from the nearest of the three centres: (n, 2) to (n,)."""
    centres = torch.tensor([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]]).to(z)
    return -torch.cdist(z, centres).amin(dim=1)


def _looped(z: Tensor) -> Tensor:
    return torch.stack([-min((p - torch.tensor([c, 0.0])).norm() for c in (-2, 0, 2)) for p in z])


def _folded(z: Tensor) -> Tensor:
    return 5 - ((z[:, :1].abs() - 1).abs() - 1).square().add(z[:, 1:].square()).sqrt()[:, 0]


def _values(answer: Any, points: Tensor) -> Tensor:
    got = need_tensor(call(answer, points.clone()))
    if got.shape not in {(len(points),), (len(points), 1)}:
        text = f"For {len(points)} points the shape is {tuple(got.shape)}: one number a point?"
        raise Hint("shape", text)
    return got.flatten()


def _judge_dual(answer: Any) -> None:
    """1-Lipschitz on many pairs, and as high above the circles at the centres as can be."""
    if not callable(answer):
        raise Hint("type", "A function of points is needed, such as lambda z: -z.norm(dim=1).")
    x, y = three_cones().stratified(240)
    z = torch.cat([x[::80], y, 2.5 * seeded(100, 2)])
    f = _values(answer, z)
    if not bool(torch.isfinite(f).all()):
        raise Hint("value", "Some values are not finite.")
    value = float(f[:3].mean() - f[3:243].mean())
    apart = torch.cdist(z, z) + torch.eye(len(z)).double()
    steepest = float(((f[:, None] - f).abs() / apart).max())
    if abs(value + 1) < TOL and steepest <= 1 + TOL:
        raise Hint("value", "The value is −1: on which side should f be high?")
    if steepest > 1 + 50 * TOL or value > 1 + TOL:
        raise Hint("constraint", f"Between two points the slope is {steepest:.3f}: 1-Lipschitz?")
    if value < 1 - TOL:
        at = f[:3] - f[3:243].reshape(3, 80).mean(1)
        if float(at.max() - at.min()) > 0.02:
            worst = int(at.argmin())
            text = f"From {three_cones().centres[worst, 0]:g} to its circle f falls by"
            mean = f"{float(at[worst]):.2f} on average"
            raise Hint("value", f"{text} {mean}: is that whole circle on a cone of its own?")
        raise Hint("value", f"1-Lipschitz, but the value is {value:.3f}: how steep may a cone be?")


def heights_value(heights: Tensor) -> float:
    """The dual value of three lifted cones whose centres are 2.5 apart."""
    return float(wasserstein_dual(lifted(2.5, heights.tolist()), *three_cones(2.5).stratified(360)))


def _judge_heights(answer: Any) -> None:
    heights = need_tensor(answer)
    if heights.shape != (3,):
        raise Hint("shape", f"Three heights are needed; the shape is {tuple(heights.shape)}.")
    if not bool(torch.isfinite(heights).all()):
        raise Hint("value", "A height is not finite.")
    if float(heights.max() - heights.min()) < 1e-3:
        raise Hint("constraint", "These heights are equal: which gap is there to use?")
    steps = heights.diff().abs()
    if float(steps.max()) > 0.5 + TOL / 2:  # the gap; a smaller excess is rounding
        value = heights_value(heights)
        said = f"{value:.4f}" if value < 0.99995 else "a little below 1"
        where = "first two" if steps[0] >= steps[1] else "last two"
        text = f"The value is {said}: the {where} differ by {float(steps.max()):g}, and the gap"
        raise Hint("value", f"{text} between their circles is how wide?")


def ceiling_gap(W1: Tensor, b1: Tensor, W2: Tensor) -> float:
    """The value f(0) − (f(−1) + f(1))/2 of f(x) = W2 relu(W1 x + b1)."""
    x = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    f = (x @ W1.T + b1).relu() @ W2.T
    return float(f[1, 0] - (f[0, 0] + f[2, 0]) / 2)


HALF = (
    torch.tensor([[1.0], [-1.0]]) / math.sqrt(2),
    torch.zeros(2),
    torch.tensor([[-1.0, -1.0]]) / math.sqrt(2),
)


def _judge_ceiling(answer: Any) -> None:
    if not isinstance(answer, (tuple, list)) or len(answer) != 3:
        raise Hint("type", "Three tensors are needed: (W1, b1, W2).")
    W1, b1, W2 = (need_tensor(part) for part in answer)
    width = len(W1) if W1.ndim == 2 else 0
    if W1.shape != (width, 1) or b1.shape != (width,) or W2.shape != (1, width) or width == 0:
        shapes = f"{tuple(W1.shape)}, {tuple(b1.shape)} and {tuple(W2.shape)}"
        raise Hint("shape", f"The shapes are {shapes}; for m units: (m, 1), (m,) and (1, m).")
    if not all(bool(torch.isfinite(part).all()) for part in (W1, b1, W2)):
        raise Hint("value", "Some numbers are not finite.")
    for name, W in (("W1", W1), ("W2", W2)):
        if (norm := float(operator_norm(W))) > 1 + TOL:
            raise Hint("constraint", f"‖{name}‖₂ is {norm:.3f}: what may it be at most?")
    gap = ceiling_gap(W1, b1, W2)
    if abs(gap + 0.5) < TOL:
        raise Hint("value", "The value is −½: which sign turns the corner upwards?")
    if abs(gap - 0.25) < TOL:
        raise Hint("value", "The value is ¼, half of what is asked: how long is (½, −½)?")
    if gap < 0.5 - 10 * TOL:  # three digits of √½ are enough
        text = "which of the three bounds of the proof is not reached"
        raise Hint("value", f"The value is {round(gap, 3) + 0.0:.3f}: {text}?")


def _three_units() -> tuple[list[list[float]], list[float], list[list[float]]]:
    """A third unit that never wakes, and biases that cancel nothing."""
    a = math.sqrt(0.5)
    return [[a], [-a], [0.0]], [0.0, 0.0, -1.0], [[-a, -a, 0.0]]


_RIGHT: dict[str, Callable[[Tensor], Tensor]] = {
    "looped": _looped,
    "folded": _folded,
    "a column": lambda z: dual(z)[:, None],
    "float32": lambda z: dual(z.float()),
    "steeper nowhere": lambda z: dual(z).clamp(min=-1),
}

EXERCISES = (
    Exercise(
        name="11.dual",
        question="A 1-Lipschitz function of the plane which reaches the three cones' distance.",
        difficulty=2,
        minutes=8,
        judge=_judge_dual,
        solution=dual,
        right=_RIGHT,
        wrong={
            "upside down": (lambda z: -dual(z), "on which side"),
            "one cone": (lambda z: -z.norm(dim=1), "a cone of its own"),
            "a little too steep": (lambda z: 1.002 * dual(z), "the slope is 1.002"),
            "half as steep": (lambda z: dual(z) / 2, "how steep may"),
            "too steep": (lambda z: 2 * dual(z), "the slope is 2"),
            "squared": (lambda z: -dual(z).square(), "1-Lipschitz?"),
            "all points": (lambda z: dual(z).mean(), "one number a point"),
            "a number": (1.0, "A function of points"),
        },
    ),
    Exercise(
        name="11.heights",
        question="Three heights, not all equal, whose cones at spacing 2.5 reach the distance.",
        difficulty=2,
        minutes=6,
        judge=_judge_heights,
        solution=[0.0, 0.5, 0.0],
        right={
            "a stair": [0.0, 0.5, 1.0],
            "one side": torch.tensor([0.25, 0.0, 0.0]),
            "below": [-3.0, -3.2, -3.1],
        },
        wrong={
            "equal": ([1.0, 1.0, 1.0], "equal"),
            "too far": ([0.0, 0.8, 0.0], "first two differ by 0.8"),
            "a little too far": ([0.0, 0.5002, 0.0], "a little below 1"),
            "too far at the end": ([0.0, 0.0, 2.0], "last two differ by 2"),
            "two heights": ([0.0, 0.5], "Three heights"),
            "one number": (0.5, "the shape is ()"),
        },
    ),
    Exercise(
        name="11.ceiling",
        question="W1, b1, W2 of a ReLU network with norms 1 that reaches the value ½.",
        difficulty=3,
        minutes=10,
        judge=_judge_ceiling,
        solution=HALF,
        right={
            "float64": tuple(part.double() for part in HALF),
            "a third unit": _three_units(),
            "turned": (-HALF[0], HALF[1], HALF[2]),
            "one unit": ([[1.0]], [0.0], [[-1.0]]),
            "three digits": ([[0.707], [-0.707]], [0.0, 0.0], [[-0.707, -0.707]]),
        },
        wrong={
            "not scaled": (([[1.0], [-1.0]], [0.0, 0.0], [[-1.0, -1.0]]), "‖W1‖₂ is 1.414"),
            "output not scaled": ((HALF[0], HALF[1], [[-1.0, -1.0]]), "‖W2‖₂ is 1.414"),
            "halves": (([[0.5], [-0.5]], [0.0, 0.0], [[-0.5, -0.5]]), "how long is"),
            "turned up": ((HALF[0], HALF[1], -HALF[2]), "which sign"),
            "MaxMin's": ((HALF[0], HALF[1], -HALF[0].T), "The value is 0.000"),
            "no number": ((HALF[0], [0.0, math.nan], HALF[2]), "not finite"),
            "a row": (([1.0, -1.0], [0.0, 0.0], [[-1.0, -1.0]]), "The shapes are"),
            "two parts": ((HALF[0], HALF[2]), "Three tensors"),
        },
    ),
)
