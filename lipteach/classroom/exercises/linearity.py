"""The exercises of lesson 03 about Theorem 1: numbers, a function, a counterexample."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, call, compare_number, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function

MEAN_NORM = (1 + math.sqrt(2)) / 4
"""Over four equal quarters of [−1, 1]² the gradient norm is 1, √½, √½ and 0."""


def _judge_mean_norm(answer: Any) -> None:
    compare_number(
        answer,
        MEAN_NORM,
        tol=2e-3,
        mistakes=[
            (1, "This holds on [0, 1]²: what happens to a unit whose input is negative?"),
            (0.5, "Half of the units are active, but is the norm of (1, 0)/√2 one half?"),
            (0.25, "Only one quarter counts here: is the gradient 0 where one unit is active?"),
            (math.sqrt(0.5), "This is the root of the mean square: which mean is asked for?"),
            ((1 + math.sqrt(2)) / 3, "One quarter is left out: where are both units off?"),
            (
                (2 + math.sqrt(2)) / 4,
                "Is the factor 1/√2 in every gradient, and are all four quarters in the mean?",
            ),
            (1 + math.sqrt(2), "This is the integral: what is the area of the square?"),
            (When(lambda got: abs(got - MEAN_NORM) < 5e-3), "Nearly: what are its three digits?"),
        ],
    )


def lost(w: Tensor, d: Tensor) -> Tensor:
    """‖w‖² − ‖w D‖² for D = diag(d): w of shape (n,), d of shape (…, n)."""
    return ((1 - d.square()) * w.square()).sum(-1)


_ONE_NUMBER = "All points are in one number: along which dimension do the units lie?"


def _judge_lost(answer: Any) -> None:
    w = torch.tensor([0.6, -0.8]).double()
    slopes = torch.tensor([1.0, 0.5]).double()
    many = seeded(5, 4, seed=1).clamp(-1, 1)
    compare_function(
        answer,
        lost,
        inputs=[(w, slopes), (seeded(4), seeded(4, seed=2).clamp(-1, 1))],
        layouts=[(seeded(4), many)],
        mistakes=[
            (
                lambda w, d: ((1 - d) * w).sum(-1),
                "No squares yet: ‖w‖² is a sum of squares, and so is ‖w D‖².",
            ),
            (
                lambda w, d: ((1 - d) * w.square()).sum(-1),
                "The slope enters ‖w D‖² squared as well: (dᵢ wᵢ)² = ?",
            ),
            (
                lambda w, d: w.norm() - (w * d).norm(dim=-1),
                "This is the difference of the norms; Equation (12) has that of their squares.",
            ),
            (
                lambda w, d: ((1 - d.square()) * w.square()).mean(-1),
                "A mean over the units instead of their sum: which one is a norm made of?",
            ),
            (lambda w, d: ((1 - d.square()) * w.square()).sum(), _ONE_NUMBER),
            (lambda w, d: w.square().sum() - (w * d).square().sum(), _ONE_NUMBER),
            (
                lambda w, d: ((1 - d.square()) * w.square()).sum(0),
                "For w of shape (4,) and d of shape (5, 4) you return one number for each unit: "
                "which of the two dimensions is summed?",
            ),
            (
                lambda w, d: (1 - d.square()) * w.square(),
                "For w and d of shape (2,) you return both terms of (12): what is left to do?",
            ),
            (lambda w, d: (w * d).square().sum(-1), "This is what is left: what was lost?"),
        ],
    )


OFFSET = 0.28 * (-1) + 0.96 * (+1)


def _judge_offset(answer: Any) -> None:
    compare_number(
        answer,
        OFFSET,
        mistakes=[
            (0, "This is the paper's collapse, which leaves out c: what is φ(5) − 5?"),
            (-1.24, "The second unit sits below −1: is its offset −1, too?"),
            (1.24, "The first unit sits above 1: is φ(z) − z positive there?"),
            (-OFFSET, "Both signs are turned: φ(z) = z − 1 for z > 1, so c = ?"),
            (-2.72, "This is f itself at z = (5, −5): by how much is it above 0.28 z₁ + 0.96 z₂?"),
            (-0.28, "This comes from the first unit: what does the second one add?"),
            (0.96, "This comes from the second unit: what does the first one add?"),
        ],
    )


_STEPS = torch.linspace(-1, 1, 2001, dtype=torch.float64)


def _rounded(number: Tensor) -> float:
    return round(float(number), 2) + 0.0  # no minus before a zero


def _near(step: int) -> str:
    return f"Near x = {_rounded(_STEPS[step]):.2f}"


def _judge_not_monotone(answer: Any) -> None:
    """Slope ±1 almost everywhere on [−1, 1], 1-Lipschitz, entry by entry, and not affine."""
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.relu.")
    got = need_tensor(call(answer, _STEPS.clone()))
    if got.shape != _STEPS.shape:
        raise Hint("shape", "An activation works entry by entry: one output for every input.")
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "Some of the outputs on [−1, 1] are not finite.")
    turned = need_tensor(call(answer, _STEPS.flip(0))).flip(0)
    if not torch.allclose(turned, got, atol=1e-5):
        raise Hint("layout", "An activation works entry by entry; yours depends on the others.")
    slope = got.diff() / _STEPS.diff()
    steep = int(slope.abs().argmax())
    if (rise := float(slope[steep].abs())) > 1.01:
        how = "it jumps" if rise > 100 else f"the slope is ±{rise:.3g}"
        raise Hint("constraint", f"{_near(steep)} {how}: is it 1-Lipschitz?")
    flat = slope.abs() < 0.99
    if bool((flat[1:] & flat[:-1]).any()):  # a kink spoils one step, a flat piece two in a row
        flattest = int(slope.abs().argmin())
        text = f"{_near(flattest)} the slope is {_rounded(slope[flattest]):.2f}"
        raise Hint(
            "value", f"{text}: the gradient norm is lost there. Which other slope has norm 1?"
        )
    if torch.allclose(got, got[0] + slope[1000] * (_STEPS + 1), atol=1e-3):
        raise Hint("value", "This one is affine, as Theorem 1 says: can the slope change its sign?")


EXERCISES = (
    Exercise(
        name="03.mean-norm",
        question="The mean gradient norm of (relu x1 + relu x2)/√2 over [−1, 1]².",
        difficulty=1,
        minutes=5,
        judge=_judge_mean_norm,
        solution=MEAN_NORM,
        right={"three digits": 0.604, "a tensor": torch.tensor(MEAN_NORM), "four digits": 0.6036},
        wrong={
            "the positive quadrant": (1.0, "This holds on"),
            "half": (0.5, "Half of the units"),
            "a quarter": (0.25, "Only one quarter"),
            "root mean square": (math.sqrt(0.5), "root of the mean square"),
            "three quarters": (0.8047, "left out"),
            "no factor": (0.8536, "factor 1/√2"),
            "not divided": (2.414, "the integral"),
            "one digit": (0.6, "three digits"),
            "a function": (lost, "A number is needed"),
        },
    ),
    Exercise(
        name="03.lost-norm",
        question="The left side of Equation (12), from w and the slopes.",
        difficulty=1,
        minutes=5,
        judge=_judge_lost,
        solution=lost,
        right={
            "two norms": lambda w, d: w.norm() ** 2 - (w * d).norm(dim=-1) ** 2,
            "a product": lambda w, d: (1 - d**2) @ w**2,
            "float32": lambda w, d: lost(w.float(), d.float()),
        },
        wrong={
            "no squares": (lambda w, d: ((1 - d) * w).sum(-1), "No squares yet"),
            "slope not squared": (lambda w, d: ((1 - d) * w**2).sum(-1), "squared as well"),
            "norms": (lambda w, d: w.norm() - (w * d).norm(dim=-1), "difference of the norms"),
            "mean": (lambda w, d: lost(w, d) / len(w), "mean over the units"),
            "one number": (lambda w, d: ((1 - d**2) * w**2).sum(), "All points"),
            "over the points": (lambda w, d: ((1 - d**2) * w**2).sum(0), "for each unit"),
            "the rest": (lambda w, d: (w * d).square().sum(-1), "This is what is left"),
            "terms": (lambda w, d: (1 - d**2) * w**2, "both terms"),
        },
    ),
    Exercise(
        name="03.offset",
        question="The bias of a collapsed softshrink network.",
        difficulty=2,
        minutes=6,
        judge=_judge_offset,
        solution=OFFSET,
        right={"a tensor": torch.tensor(0.68), "a row": torch.tensor([0.68]), "sum": -0.28 + 0.96},
        wrong={
            "the paper": (0, "leaves out c"),
            "same side": (-1.24, "too?"),
            "both turned": (1.24, "above 1"),
            "sign": (-0.68, "Both signs"),
            "f itself": (-2.72, "f itself"),
            "first unit": (-0.28, "from the first"),
            "second unit": (0.96, "from the second"),
            "weights": ([0.28, 0.96], "A number is needed"),
        },
    ),
    Exercise(
        name="03.not-monotone",
        question="A 1-Lipschitz activation of slope ±1 on [−1, 1] that is not affine.",
        difficulty=2,
        minutes=6,
        judge=_judge_not_monotone,
        solution=torch.abs,
        right={
            "downwards": lambda x: -x.abs(),
            "shifted": lambda x: (x - 0.3).abs(),
            "the letter W": lambda x: (x.abs() - 0.5).abs(),
            "float32": lambda x: x.float().abs(),
            "where": lambda x: torch.where(x > 0.25, x, 0.5 - x),
        },
        wrong={
            "relu": (torch.relu, "slope is 0.00"),
            "clamped": (lambda x: x.clamp(max=0.9), "Near x = 0.90 the slope"),
            "a narrow shrink": (torch.nn.Softshrink(0.02), "Near x = -0.02 the slope"),
            "tanh": (torch.tanh, "slope is 0.42"),
            "identity": (lambda x: x, "affine, as Theorem 1"),
            "too steep": (lambda x: 2 * x.abs(), "slope is ±2"),
            "a jump": (torch.sign, "it jumps"),
            "a number": (lambda x: x.abs().sum(), "entry by entry"),
            "sorted": (lambda x: (x.sort().values - 0.3).abs(), "the others"),
            "not a function": (1.0, "A function of a tensor"),
        },
    ),
)
