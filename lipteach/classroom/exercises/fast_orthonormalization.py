"""The exercises of lesson 05 on numbers: products counted, a start, a line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, call, compare_number, need_number, need_tensor
from lipteach.primitives import power_iteration

_ORDERS = ((1, 1), (3, 1), (5, 1), (2, 2), (3, 3), (0, 2))


def products(k: int, p: int) -> int:
    """The products with a vector that the recursion makes for k steps of order p."""
    return int((2 * p + 1) ** k)


def _judge_products(answer: Any) -> None:
    if not callable(answer):
        raise Hint("type", "A function of k and p is needed.")
    got = {(k, p): need_number(call(answer, k, p)) for k, p in _ORDERS}
    if all(got[key] == products(*key) for key in _ORDERS):
        return
    marks: tuple[tuple[Callable[[int, int], int], str], ...] = (
        (lambda k, p: (2 * p + 1) * k, "Each step calls the one before: do their products add up?"),
        (
            lambda k, p: 2 * (2 * p + 1) ** k,
            "This counts the products of B_k: how many has A_k, which begins with a single one?",
        ),
        (lambda k, _: 3**k, "Right at order 1; at order p a step multiplies B by f(B) twice."),
        (
            lambda k, p: (p + 2) ** k,
            "Is the degree of a step p + 2? f has degree p in B, and B has degree 2 in W.",
        ),
        (lambda k, p: (p + 1) ** k, "This is the degree of f in B, not of the step in W."),
        (
            lambda k, p: (2 * p + 1) ** (k + 1),
            "One step too many: how many products has A_0 v = W v?",
        ),
    )
    for mark, hint in marks:
        if all(got[key] == mark(*key) for key in _ORDERS):
            raise Hint("value", hint)
    k, p = next(key for key in _ORDERS if got[key] != products(*key))
    raise Hint(
        "value", f"For k = {k} and p = {p} it is not {got[k, p]:g}: what is the degree of A_k in W?"
    )


def _judge_break_even(answer: Any) -> None:
    compare_number(
        answer,
        9,
        mistakes=[
            (8, "At k = 8 the recursion makes 6561 products, the dense iteration 16 · 1000."),
            (10, "It is true of k = 10, but is it the first?"),
            (5, "Is the batch of one vector, and the dense side 2 k · 1000 products?"),
            (7, "Does the dense iteration cost the same for every k? It makes 2 k products."),
            (19683, "This is 3 to the power we look for."),
        ],
    )


def _judge_estimate(answer: Any) -> None:
    u = need_tensor(answer, (2,))
    W = torch.diag(torch.tensor([1.0, 0.1], dtype=torch.float64))
    if not bool(torch.isfinite(u).all()) or not bool(u.any()):
        raise Hint("value", "A start is a vector other than 0, of finite numbers.")
    estimate = float(power_iteration(W, steps=1, u=u)[0])
    if not estimate < 1 / math.sqrt(3) - 1e-9:
        raise Hint(
            "value",
            f"From there one step gives {estimate:.3f}, and 1/{estimate:.3f} is inside the basin: "
            "which singular vector must the start nearly be?",
        )
    sigma = torch.tensor([1.0, 0.1]) / estimate
    if not bool((sigma < math.sqrt(5) - 1e-9).any()) or float(sigma[0]) < math.sqrt(5) + 1e-9:
        raise Hint(
            "constraint",
            f"W/σ̂ has norm {float(sigma[0]):.2f}, outside the basin of 1: but it does not diverge "
            "below √5. Can the estimate be smaller?",
        )


def _judge_best_line(answer: Any) -> None:
    compare_number(
        answer,
        4 / 3,
        tol=1e-4,
        mistakes=[
            (1, "With a = 1 the error is ½, at σ = ½ alone: what happens if a grows?"),
            (2, "Now σ = ½ goes to 1 and σ = 1 to 2: is an error of 1 the best?"),
            (1.5, "This is Björck's slope at 0. Which a makes both ends err alike?"),
            (1 / 3, "This is the error that is reached: which a reaches it?"),
            (0.75, "Upside down: does a < 1 bring σ = ½ nearer to 1?"),
            (math.sqrt(2), "The product of both ends is then 1, but are both errors equal?"),
            (When(lambda got: abs(got - 4 / 3) < 0.01), "Very near: which fraction is it exactly?"),
        ],
    )


def start() -> Tensor:
    """A start of power iteration whose first estimate sends diag(1, 0.1) out of reach."""
    return torch.tensor([0.001, 1.0], dtype=torch.float64)


EXERCISES = (
    Exercise(
        name="05.products",
        question="How many products with a vector does the recursion of k steps of order p make?",
        difficulty=1,
        minutes=5,
        judge=_judge_products,
        solution=products,
        right={
            "counted": lambda k, p: 1 + p * sum(2 * (2 * p + 1) ** j for j in range(k)),
            "float": lambda k, p: float((2 * p + 1) ** k),
            "torch": lambda k, p: torch.tensor(2 * p + 1) ** k,
        },
        wrong={
            "linear": (lambda k, p: (2 * p + 1) * k, "do their products add up"),
            "those of B": (lambda k, p: 2 * (2 * p + 1) ** k, "begins with a single one"),
            "order 1 only": (lambda k, _p: 3**k, "Right at order 1"),
            "p + 2": (lambda k, p: (p + 2) ** k, "B has degree 2 in W"),
            "p + 1": (lambda k, p: (p + 1) ** k, "the degree of f in B"),
            "one step too many": (lambda k, p: (2 * p + 1) ** (k + 1), "One step too many"),
            "nonsense": (lambda k, p: k + p, "what is the degree of A_k in W"),
            "a number": (243, "A function of k and p"),
        },
    ),
    Exercise(
        name="05.break-even",
        question="The first k at which the recursion multiplies more than the dense iteration.",
        difficulty=1,
        minutes=5,
        judge=_judge_break_even,
        solution=9,
        right={"float": 9.0, "array": np.array(9), "tensor": torch.tensor([9])},
        wrong={
            "the last gain": (8, "16 · 1000"),
            "Table 3's loss": (10, "is it the first"),
            "the paper's limit": (5, "2 k · 1000 products"),
            "without 2k": (7, "the same for every k"),
            "the power": (19683, "to the power we look for"),
            "other": (3, "not the number"),
            "all of them": ([9, 10], "this is a list"),
        },
    ),
    Exercise(
        name="05.estimate",
        question="A start of power iteration that makes the scaled diag(1, 0.1) diverge.",
        difficulty=2,
        minutes=8,
        judge=_judge_estimate,
        solution=start(),
        right={
            "longer": [0.0, 5.0],
            "float32": torch.tensor([1e-4, -1.0]),
            "array": np.array([0.02, 1.0]),
        },
        wrong={
            "the top vector": ([1.0, 0.0], "step gives 1.000"),
            "both alike": ([1.0, 1.0], "step gives 0.995"),
            "almost": ([0.05, 1.0], "does not diverge"),
            "zero": ([0.0, 0.0], "other than 0"),
            "three entries": ([0.0, 1.0, 0.0], "(2,) is needed"),
        },
    ),
    Exercise(
        name="05.best-line",
        question="The a for which σ ↦ a σ is nearest to 1 on [½, 1].",
        difficulty=2,
        minutes=6,
        judge=_judge_best_line,
        solution=4 / 3,
        right={"rounded": 1.33333, "float32": np.float32(4 / 3), "tensor": torch.tensor(4 / 3)},
        wrong={
            "identity": (1.0, "what happens if a grows"),
            "doubling": (2.0, "is an error of 1 the best"),
            "Björck": (1.5, "makes both ends err alike"),
            "the error": (1 / 3, "which a reaches it"),
            "inverse": (0.75, "Upside down"),
            "geometric": (math.sqrt(2), "are both errors equal"),
            "two digits": (1.33, "which fraction"),
            "a list": ([1.0, 1.3], "this is a list"),
        },
    ),
)
