"""The exercises of lesson 11."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    NEARLY,
    compare_number,
    nearly,
    need_tensor,
    show_apart,
    show_values,
)
from lipteach.classroom.lessons.l11_wasserstein.critic import CRITIC
from lipteach.classroom.lessons.l11_wasserstein.dual import DUAL
from lipteach.classroom.lessons.l11_wasserstein.figures import lifted
from lipteach.primitives import operator_norm, wasserstein_dual
from lipteach.training import three_cones

TOL = 1e-4  # of answers in float32

# --- 11.plan

MASS_TOL = 2e-4  # of the masses of a plan: four digits of each entry are enough
POINTS = three_cones().stratified(12)[1]
"""Four points on each of the three circles, in the order of the centres."""

PLAN = torch.kron(torch.eye(3), torch.ones(1, 4)).double() / 12


def _judge_plan(answer: Any) -> None:
    plan = need_tensor(answer)
    if plan.shape == (12, 3):
        raise Hint("shape", "The rows are the senders: which side has three points?")
    if plan.shape != (3, 12):
        text = (
            f"The shape is {tuple(plan.shape)}; one row a centre and one column a point: (3, 12)."
        )
        raise Hint("shape", text)
    if not bool(torch.isfinite(plan).all()):
        raise Hint("value", "Some entries are not finite.")
    if bool((plan < -1e-9).any()):
        raise Hint("constraint", "An entry is negative: can mass be sent back?")
    sent, received = plan.sum(1), plan.sum(0)
    if nearly(plan, PLAN, 0.05) and not torch.allclose(plan, PLAN, rtol=0, atol=MASS_TOL / 4):
        raise Hint("value", NEARLY)
    if abs(float(plan.sum()) - 1) > 0.01:
        text = f"All entries add up to {show_values(float(plan.sum()))}"
        raise Hint("constraint", f"{text}: how much mass is there in all?")
    if not torch.allclose(sent, torch.full_like(sent, 1 / 3), atol=MASS_TOL):
        raise Hint("constraint", "A row must add up to what its centre has: how much is that?")
    if not torch.allclose(received, torch.full_like(received, 1 / 12), atol=MASS_TOL):
        raise Hint("constraint", "The rows are right, but a point gets too much or too little.")
    lengths = torch.cdist(three_cones().centres, POINTS)
    cost = float((plan * lengths).sum())
    if cost > float((PLAN * lengths).sum()) + MASS_TOL:
        text = f"This is a plan, and it costs {cost:.3f}: does each centre serve its own circle?"
        raise Hint("value", text)


def _one_each() -> Tensor:
    plan = torch.zeros(3, 12)
    plan[torch.arange(3), 4 * torch.arange(3)] = 1 / 3
    return plan


# --- 11.heights


def _judge_heights(answer: Any) -> None:
    heights = need_tensor(answer)
    if heights.shape != (3,):
        raise Hint("shape", f"Three heights are needed; the shape is {tuple(heights.shape)}.")
    if not bool(torch.isfinite(heights).all()):
        raise Hint("value", "A height is not finite.")
    if float(heights.max() - heights.min()) < 1e-3:
        raise Hint("constraint", "These heights are equal: which gap is there to use?")
    steps = heights.diff().abs()
    if float(steps.max()) > 0.5 + 2e-6:  # the gap; a smaller excess is rounding
        cones = lifted(2.5, heights.tolist())
        value = float(wasserstein_dual(cones, *three_cones(2.5).stratified(360)))
        said = f"{value:.4f}" if value < 0.99995 else "a little below 1"
        where = "first two" if steps[0] >= steps[1] else "last two"
        apart = show_apart(float(steps.max()), 0.5)[0]
        text = f"The value is {said}: the {where} differ by {apart}, and the gap"
        raise Hint("value", f"{text} between their circles is how wide?")


# --- 11.ceiling

R = math.sqrt(0.5)
HALF = (torch.tensor([[R], [-R]]), torch.zeros(2), torch.tensor([[-R, -R]]))


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
    norms = {name: float(operator_norm(W)) for name, W in (("W1", W1), ("W2", W2))}
    for name, norm in norms.items():
        if norm > 1 + TOL:
            ask = NEARLY if norm < 1.01 else "What may it be at most?"
            raise Hint("constraint", f"‖{name}‖₂ is {show_apart(norm, 1.0)[0]}, above 1. {ask}")
    f = (torch.tensor([[-1.0], [0.0], [1.0]]).double() @ W1.T + b1).relu() @ W2.T
    gap = float(f[1, 0] - (f[0, 0] + f[2, 0]) / 2)
    if gap < 0.5 - TOL:
        text = f"The value is {show_apart(round(gap, 6) + 0.0, 0.5)[0]}"
        raise Hint("value", _what_is_lost(text, gap, norms, W1[:, 0], b1, W2[0]))


def _what_is_lost(
    text: str, gap: float, norms: dict[str, float], w: Tensor, b: Tensor, v: Tensor
) -> str:
    """Which of the three bounds of the proof is not reached, and by what."""
    if gap > 0.495:
        return f"{text}, and ½ is asked for. {NEARLY}"
    if abs(gap + 0.5) < 0.005:
        return "The value is −½: which sign turns the corner upwards?"
    if abs(gap - 0.25) < TOL and max(norms.values()) < 0.8:
        return "The value is ¼, half of what is asked: how long is (½, −½)?"
    units = b.relu() - ((b + w).relu() + (b - w).relu()) / 2
    for k, (unit, most) in enumerate(zip(units.tolist(), (w.abs() / 2).tolist(), strict=True)):
        if most > TOL and -unit < most - TOL:
            ask = f"in unit {k + 1} w is {float(w[k]):.3g} and b is {float(b[k]):.3g}"
            return f"{text}: {ask}. Where does it bend, and where is p₁?"
    if bool((v * units < -TOL).any()) and bool((v * units > TOL).any()):
        return f"{text}: one unit adds and another takes away. Which signs has v?"
    for name, norm in norms.items():
        if norm < 1 - 0.005:
            return f"{text}, and ‖{name}‖₂ is {norm:.3g}: may it be longer?"
    return f"{text}: both weights have norm 1, but |v| is not |w|. When is Cauchy–Schwarz equal?"


EXERCISES = (
    Exercise(
        name="11.cost",
        # ¾ at 0 and ¼ at 4 to ½ at 1 and ½ at 3: half goes 0 → 1, a quarter 0 → 3
        judge=partial(
            compare_number,
            value=1.5,
            otherwise="Send ½ from 0 to 1: what is left in both heaps, and which hole is open?",
        ),
        solution=0.5 * 1 + 0.25 * 3 + 0.25 * 1,
        right={"a fraction": 6 / 4, "an integer sum": 0.75 + 0.75},
        mistakes={
            "nearest hole": (
                1,
                "All to the nearest hole costs 1, and −z gives 1: what can the hole at 1 hold?",
            ),
            "shared": (
                2,
                "This is the plan that shares each heap evenly: which of its routes cross?",
            ),
            "crossed": (2.5, "This sends ½ from 0 to 3: could the earth at 4 go there instead?"),
            "lengths": (5, "This adds up the lengths of three routes: how much earth takes each?"),
            "lengths and masses": (
                math.sqrt(3),
                "This is W₂, of the squared lengths: which power of a length is paid?",
                lambda got: abs(got - math.sqrt(3)) < 2e-3,
            ),
            "squares": (
                3,
                "Twice too much: is it the mean of the squared lengths, or are the halves whole?",
            ),
            "a half": (
                0.75,
                "This is one half of the cost, or the long route alone: where does the rest go?",
            ),
            "mean length": (
                5 / 3,
                "This is the mean length of the routes: has each of them the same mass?",
            ),
            "first route": (0.5, "This is the first route alone, 0 to 1: what of the other half?"),
            "one missing": (
                1.25,
                "One of three routes is missing: where does the last quarter go?",
            ),
        },
        wrong={"a plan": ([[0.5, 0.25], [0.0, 0.25]], "A number is needed")},
    ),
    Exercise(
        name="11.plan",
        judge=_judge_plan,
        solution=PLAN,
        right={
            "a list": [[1 / 12 if j // 4 == k else 0.0 for j in range(12)] for k in range(3)],
            "an array": PLAN.numpy(),
            "four digits": PLAN.mul(1e4).round() / 1e4,
        },
        wrong={
            "transposed": (PLAN.T, "which side has three"),
            "no number": (PLAN / 0, "not finite"),
            "square": (torch.eye(3) / 3, "one row a centre"),
            "ones": (12 * PLAN, "add up to 12:"),
            "a third each": (4 * PLAN, "add up to 4:"),
            "all from one": (torch.eye(3)[:, :1] @ torch.ones(1, 12) / 12, "what its centre has"),
            "two digits": (PLAN.mul(1e2).round() / 1e2, "Nearly"),
            "one point each": (_one_each(), "too much or too little"),
            "even": (torch.ones(3, 12) / 36, "its own circle"),
            "negative": (2 * PLAN - torch.ones(3, 12) / 36, "sent back"),
        },
    ),
    DUAL,
    Exercise(
        name="11.heights",
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
            "nearly": ([0.0, 0.50005, 0.0], "differ by 0.50005"),
            "too far at the end": ([0.0, 0.0, 2.0], "last two differ by 2"),
            "two heights": ([0.0, 0.5], "Three heights"),
            "one number": (0.5, "the shape is ()"),
        },
    ),
    Exercise(
        name="11.ball",
        judge=partial(
            compare_number,
            value=0.8,
            tol=TOL,
            otherwise="In one dimension the ball is [−1, 1], and the distance ½: what is it for a "
            "disc?",
        ),
        solution=4 / 5,
        right={"four digits": 0.8, "sampled well": 0.80005},
        mistakes={
            "sphere": (1, "This is the sphere: how far from the origin are the points inside?"),
            "even radius": (
                0.5,
                "Is the radius spread evenly over [0, 1]? A thin shell at r holds how much?",
            ),
            "mean square": (
                4 / 6,
                "This is the mean of ‖y‖², n/(n + 2): which power of ‖y‖ does W₁ take?",
            ),
            "n = 5": (5 / 6, "This is n = 5: how many dimensions has the ball?"),
            "root mean square": (
                math.sqrt(4 / 6),
                "This is the root of the mean of ‖y‖²: which mean is a cost, and is there a root?",
            ),
            "n/(n − 1)": (
                4 / 3,
                "Above 1: can a point of the unit ball be further from its centre than that?",
                lambda got: got > 1,
            ),
            "1/n": (1 / 4, "This is 1/n: does the mean norm fall in many dimensions, or rise?"),
            "the rest": (1 / 5, "This is what is missing to 1: which side is asked for?"),
            "n = 3": (3 / 4, "This is n = 3: what is n here?"),
            "median": (2**-0.25, "This is the median of ‖y‖: which mean is it that W₁ takes?"),
            "a sample's mean": (
                0.8008,
                "As near as a sample: which fraction?",
                lambda got: abs(got - 0.8) < 0.005,
            ),
        },
        wrong={"formula": ("n/(n+1)", "A number is needed")},
    ),
    Exercise(
        name="11.ceiling",
        judge=_judge_ceiling,
        solution=HALF,
        right={
            "float64": tuple(part.double() for part in HALF),
            "a third unit": (  # it never wakes
                [[R], [-R], [0.0]],
                [0.0, 0.0, -1.0],
                [[-R, -R, 0.0]],
            ),
            "turned": (-HALF[0], HALF[1], HALF[2]),
            "one unit": ([[1.0]], [0.0], [[-1.0]]),
            "four digits": ([[0.7071], [-0.7071]], [0.0, 0.0], [[-0.7071, -0.7071]]),
            "two unlike units": ([[0.6], [-0.8]], [0.0, 0.0], [[-0.6, -0.8]]),
        },
        wrong={
            "not scaled": (([[1.0], [-1.0]], [0.0, 0.0], [[-1.0, -1.0]]), "‖W1‖₂ is 1.414,"),
            "output not scaled": ((HALF[0], HALF[1], [[-1.0, -1.0]]), "‖W2‖₂ is 1.414,"),
            "halves": (([[0.5], [-0.5]], [0.0, 0.0], [[-0.5, -0.5]]), "how long is"),
            "turned up": ((HALF[0], HALF[1], -HALF[2]), "which sign"),
            "MaxMin's": ((HALF[0], HALF[1], -HALF[0].T), "another takes away"),
            "three digits": (([[0.707], [-0.707]], [0.0] * 2, [[-0.707] * 2]), "0.4998, and ½"),
            "rounded up": (([[0.7075], [-0.7075]], [0.0] * 2, [[-0.7075] * 2]), "1.001, above 1."),
            "bent elsewhere": ((HALF[0], [0.5, 0.5], HALF[2]), "b is 0.5. Where"),
            "crossed": (([[0.6], [-0.8]], [0.0] * 2, [[-0.8, -0.6]]), "Cauchy–Schwarz"),
            "a short output": ((HALF[0], HALF[1], [[-0.5, -0.5]]), "‖W2‖₂ is 0.707: may"),
            "no number": ((HALF[0], [0.0, math.nan], HALF[2]), "not finite"),
            "a row": (([1.0, -1.0], [0.0, 0.0], [[-1.0, -1.0]]), "The shapes are"),
            "two parts": ((HALF[0], HALF[2]), "Three tensors"),
        },
    ),
    CRITIC,
)
