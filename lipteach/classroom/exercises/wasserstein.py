"""The exercises of lesson 11 about plans and distances: two numbers and a matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, compare_number, need_tensor
from lipteach.primitives import exact_wasserstein
from lipteach.training import three_cones

TOL = 2e-4  # of the masses of a plan: four digits of each entry are enough
COST = 0.5 * 1 + 0.25 * 3 + 0.25 * 1
"""Heaps of ¾ at 0 and ¼ at 4, holes of ½ at 1 and at 3: half goes 0 → 1, a quarter 0 → 3."""


def _judge_cost(answer: Any) -> None:
    compare_number(
        answer,
        COST,
        mistakes=[
            (1, "All to the nearest hole costs 1, and −z gives 1: what can the hole at 1 hold?"),
            (2, "This is the plan that shares each heap evenly: which of its routes cross?"),
            (2.5, "This sends ½ from 0 to 3: could the earth at 4 go there instead?"),
            (6, "This adds up the lengths of three routes: how much earth takes each?"),
            (0.5, "This is the first route alone, 0 to 1: what of the other half?"),
            (1.25, "One of three routes is missing: where does the last quarter go?"),
        ],
    )


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
    if torch.allclose(plan.sum(), torch.tensor(12.0).double(), atol=1e-4):
        raise Hint("constraint", "All entries add up to 12: how much mass is there in all?")
    if not torch.allclose(sent, torch.full_like(sent, 1 / 3), atol=TOL):
        raise Hint("constraint", "A row must add up to what its centre has: how much is that?")
    if not torch.allclose(received, torch.full_like(received, 1 / 12), atol=TOL):
        raise Hint("constraint", "The rows are right, but a point gets too much or too little.")
    cost = float((plan * torch.cdist(three_cones().centres, POINTS)).sum())
    best = float(exact_wasserstein(three_cones().centres, POINTS))
    if cost > best + TOL:
        text = f"This is a plan, and it costs {cost:.3f}: does each centre serve its own circle?"
        raise Hint("value", text)


def _looped() -> list[list[float]]:
    return [[1 / 12 if j // 4 == k else 0.0 for j in range(12)] for k in range(3)]


def _one_each() -> Tensor:
    plan = torch.zeros(3, 12)
    plan[torch.arange(3), 4 * torch.arange(3)] = 1 / 3
    return plan


BALL = 4 / 5
"""E‖y‖ of the filled unit ball in four dimensions."""


def _judge_ball(answer: Any) -> None:
    compare_number(
        answer,
        BALL,
        tol=1e-4,
        mistakes=[
            (1, "This is the sphere: how far from the origin are the points inside?"),
            (0.5, "Is the radius spread evenly over [0, 1]? A thin shell at r holds how much?"),
            (4 / 6, "This is the mean of ‖y‖², n/(n + 2): which power of ‖y‖ does W₁ take?"),
            (1 / 5, "This is what is missing to 1: which side is asked for?"),
            (3 / 4, "This is n = 3: what is n here?"),
            (2**-0.25, "This is the median of ‖y‖: which mean is it that W₁ takes?"),
            (When(lambda got: abs(got - BALL) < 0.005), "As near as a sample: which fraction?"),
        ],
    )


EXERCISES = (
    Exercise(
        name="11.cost",
        question="The least cost between heaps ¾ at 0, ¼ at 4 and holes ½ at 1, ½ at 3.",
        difficulty=1,
        minutes=6,
        judge=_judge_cost,
        solution=COST,
        right={"a fraction": 6 / 4, "a tensor": torch.tensor(1.5), "an integer sum": 0.75 + 0.75},
        wrong={
            "nearest hole": (1, "hold?"),
            "shared": (2, "shares each heap"),
            "crossed": (2.5, "could the earth at 4"),
            "lengths": (5 + 1, "lengths"),
            "first route": (0.5, "first route alone"),
            "one missing": (1.25, "last quarter"),
            "a plan": ([[0.5, 0.25], [0.0, 0.25]], "A number is needed"),
        },
    ),
    Exercise(
        name="11.plan",
        question="The best plan from the three centres to four points on each circle.",
        difficulty=2,
        minutes=8,
        judge=_judge_plan,
        solution=PLAN,
        right={
            "a list": _looped(),
            "float32": PLAN.float(),
            "an array": PLAN.numpy(),
            "four digits": PLAN.mul(1e4).round() / 1e4,
        },
        wrong={
            "transposed": (PLAN.T, "which side has three"),
            "no number": (PLAN / 0, "not finite"),
            "square": (torch.eye(3) / 3, "one row a centre"),
            "ones": (12 * PLAN, "in all"),
            "mass of a circle": (4 * PLAN, "what its centre has"),
            "one point each": (_one_each(), "too much or too little"),
            "even": (torch.ones(3, 12) / 36, "its own circle"),
            "negative": (2 * PLAN - torch.ones(3, 12) / 36, "sent back"),
        },
    ),
    Exercise(
        name="11.ball",
        question="The distance of the origin from the filled unit ball in four dimensions.",
        difficulty=2,
        minutes=6,
        judge=_judge_ball,
        solution=BALL,
        right={"four digits": 0.8, "a tensor": torch.tensor(0.8), "sampled well": 0.80005},
        wrong={
            "sphere": (1, "This is the sphere"),
            "even radius": (0.5, "spread evenly"),
            "mean square": (2 / 3, "which power"),
            "the rest": (0.2, "missing to 1"),
            "n = 3": (0.75, "what is n"),
            "median": (0.8409, "median"),
            "a sample's mean": (0.8008, "As near as a sample"),
            "formula": ("n/(n+1)", "A number is needed"),
        },
    ),
)
