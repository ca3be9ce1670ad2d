"""The exercises of lesson 04 about the scalar map and Parseval's step (appendix B.1 and B.3)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, compare_number, need_number, seeded
from lipteach.classroom.compare_functions import compare_function

STEPS = 10
"""From σ = 0.1 on, the first step of order 1 after which |σ − 1| ≤ 1e-6."""


def _judge_steps(answer: Any) -> None:
    compare_number(
        answer,
        STEPS,
        mistakes=[
            (STEPS - 1, "After this step |σ − 1| is still above 1e-6: do you count from 0?"),
            (STEPS + 1, "One step fewer is enough: is σ = 0.1 itself step 0 or step 1?"),
            (6, "This is order 2: which map has order 1?"),
            (7, "After 7 steps σ has passed 0.96: how far is it from 1?"),
            (14153, "This is β = 0.0003, and only to within 0.01: which β is Björck's?"),
            (When(lambda got: got != int(got)), "Steps are counted: which whole number is it?"),
            (When(lambda got: got > 15), "Did your loop stop at |σ − 1| ≤ 1e-6, and is β = ½?"),
        ],
    )


def parseval(W: Tensor, beta: float) -> Tensor:
    """Equation (8): (1 + β) W − β W Wᵀ W."""
    return (1 + beta) * W - beta * W @ W.mT @ W


def _broadcast(W: Tensor, beta: float) -> Tensor:
    return W @ (torch.eye(W.shape[-1], dtype=W.dtype) + beta) - beta * W @ W.mT @ W


def _half(W: Tensor, beta: float) -> Tensor:
    return W - 2 * beta * (W @ W.mT @ W - W)


def _by_svd(W: Tensor, beta: float) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    product: Tensor = U * ((1 + beta) * sigma - beta * sigma**3) @ Vh
    return product


def _judge_parseval(answer: Any) -> None:
    small = torch.tensor([[0.5, 0.2], [0.1, 0.4]], dtype=torch.float64)
    compare_function(
        answer,
        parseval,
        inputs=[(small, 0.5), (small, 0.1)],
        layouts=[(seeded(2, 4) / 2, 0.3), (seeded(4, 2) / 2, 0.3)],
        mistakes=[
            (
                _broadcast,
                "W(I + β) taken at its word adds β to every entry of I: which number stands on "
                "the diagonal, and which beside it?",
            ),
            (_half, "This step is twice as long: it descends β/2 · ‖WᵀW − I‖², and (8) does not."),
            (
                lambda W, beta: (1 + beta) * W - beta * W.mT @ W @ W,
                "This is WᵀW W: on which side of W does WᵀW stand in (8)?",
            ),
            (
                lambda W, beta: (1 + beta) * W - beta * W**3,
                "W**3 cubes the entries: it would be right for a diagonal matrix. Which products "
                "cube the singular values?",
            ),
            (
                lambda W, beta: W - beta * W @ W.mT @ W,
                "The singular values only shrink here: what does (8) add to W first?",
            ),
            (
                lambda W, beta: (1 + beta) * W - W @ W.mT @ W,
                "Where is the second β? A step leaves σ = 1 where it is.",
            ),
            (
                lambda W, beta: (1 + beta) * W + beta * W @ W.mT @ W,
                "Every singular value grows here: which of the two terms does (8) subtract?",
            ),
            (
                lambda W, _beta: parseval(W, 0.5),
                "Right for β = ½: where does the other β enter?",
            ),
            (
                lambda W, beta: (1 + beta) * W - beta * W @ W @ W,
                "Right for a symmetric W: which of the three factors is transposed?",
            ),
        ],
    )


def _judge_regularizer(answer: Any) -> None:
    compare_number(
        answer,
        0.075,
        mistakes=[
            (0.15, "This is the paper's β/2: what is the gradient of ‖WᵀW − I‖² in W?"),
            (0.3, "This is β itself: which factor does the gradient of ‖WᵀW − I‖² bring?"),
            (0.6, "Twice β: does the factor of the gradient multiply c, or divide it?"),
            (1.2, "You multiplied β by 4: does the gradient bring its factor to β, or to c?"),
            (0.25, "This is c/β: what is c for β = 0.3?"),
            (0.0375, "Half of it: is there a factor 8 anywhere?"),
            (-0.075, "(8) subtracts the gradient: with which sign does W(WᵀW − I) enter?"),
        ],
    )


def _judge_minus_one(answer: Any) -> None:
    """σ > √3 such that the iteration of order 1 goes to −1."""
    sigma = start = need_number(answer)
    if not math.isfinite(start):
        raise Hint("type", "A finite number is needed.")
    if start <= 0:
        text = "A singular value is not negative: which σ > √3 does one step send below 0?"
        raise Hint("constraint", text)
    if start < math.sqrt(3):
        raise Hint("constraint", "Between 0 and √3 every start goes to 1: look to the right of √3.")
    if abs(start - math.sqrt(3)) < 1e-12 or abs(start - math.sqrt(5)) < 1e-9:
        text = "At √3 one step gives 0, and at √5 it gives −√5: neither of them goes to −1."
        raise Hint("value", text)
    if start > math.sqrt(5):
        raise Hint("value", f"From {start:.4g} it runs away: where do the starts that stay end?")
    for _ in range(2000):
        sigma = sigma * (3 - sigma**2) / 2
    if abs(sigma + 1) > 1e-6:
        first = start * (3 - start**2) / 2
        raise Hint(
            "value",
            f"One step leads to {first:.3f}, and in the end it goes to 1: into which interval must "
            "g(σ) fall, so that it goes to −1?",
        )


EXERCISES = (
    Exercise(
        name="04.steps",
        question="How many steps of order 1 lead from 0.1 to within 1e-6 of 1?",
        difficulty=1,
        minutes=5,
        judge=_judge_steps,
        solution=STEPS,
        right={"a tensor": torch.tensor(10), "a float": 10.0},
        wrong={
            "one early": (9, "still above 1e-6"),
            "one late": (11, "One step fewer"),
            "order 2": (6, "This is order 2"),
            "a rough look": (7, "passed 0.96"),
            "small beta": (14153, "This is β = 0.0003"),
            "a fraction": (9.5, "Steps are counted"),
            "many": (100, "Did your loop stop"),
            "a list": ([10, 11], "this is a list"),
        },
    ),
    Exercise(
        name="04.parseval-step",
        question="Parseval's update (8) as a function of W and β.",
        difficulty=2,
        minutes=8,
        judge=_judge_parseval,
        solution=parseval,
        right={
            "the gradient": lambda W, beta: W - beta * W @ (W.mT @ W - torch.eye(W.shape[1])),
            "from the left": lambda W, beta: (1 + beta) * W - beta * (W @ W.T) @ W,
            "float32": lambda W, beta: parseval(W.float(), beta),
            "by the svd": lambda W, beta: _by_svd(W, beta),
        },
        wrong={
            "broadcast": (_broadcast, "at its word"),
            "twice": (_half, "twice as long"),
            "wrong side": (
                lambda W, beta: (1 + beta) * W - beta * W.mT @ W @ W,
                "on which side",
            ),
            "entries": (lambda W, beta: (1 + beta) * W - beta * W**3, "cubes the entries"),
            "no growth": (lambda W, beta: W - beta * W @ W.mT @ W, "only shrink"),
            "one beta": (lambda W, beta: (1 + beta) * W - W @ W.mT @ W, "the second β"),
            "plus": (
                lambda W, beta: (1 + beta) * W + beta * W @ W.mT @ W,
                "does (8) subtract",
            ),
            "no beta": (lambda W, _beta: parseval(W, 0.5), "Right for β = ½"),
            "no transpose": (
                lambda W, beta: (1 + beta) * W - beta * W @ W @ W,
                "Right for a symmetric W",
            ),
            "not a function": (torch.eye(2), "A function is needed"),
            "one number": (lambda W, beta: parseval(W, beta).norm(), "the result has shape"),
        },
    ),
    Exercise(
        name="04.regularizer",
        question="The coefficient of the regularizer behind (8), for β = 0.3.",
        difficulty=2,
        minutes=6,
        judge=_judge_regularizer,
        solution=0.075,
        right={"a fraction": 0.3 / 4, "a tensor": torch.tensor(0.075)},
        wrong={
            "the paper": (0.15, "the paper's β/2"),
            "beta": (0.3, "β itself"),
            "twice": (0.6, "Twice β"),
            "times four": (1.2, "You multiplied β by 4"),
            "a quarter": (0.25, "This is c/β"),
            "an eighth": (0.0375, "Half of it"),
            "sign": (-0.075, "with which sign"),
            "a function": (parseval, "A number is needed"),
        },
    ),
    Exercise(
        name="04.minus-one",
        question="A singular value above √3 from which Björck's iteration goes to −1.",
        difficulty=2,
        minutes=5,
        judge=_judge_minus_one,
        solution=2.0,
        right={"near the left end": 1.74, "a tensor": torch.tensor(2.1), "far right": 2.23},
        wrong={
            "below": (1.7, "look to the right"),
            "negative": (-2.0, "A singular value is not negative"),
            "root 3": (math.sqrt(3), "neither of them"),
            "too far": (2.3, "it runs away"),
            "two turns": (2.2, "into which interval"),
            "words": ("2", "A number is needed"),
        },
    ),
)
