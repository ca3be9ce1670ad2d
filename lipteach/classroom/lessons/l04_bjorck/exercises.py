"""The exercises of lesson 04."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    close,
    compare_number,
    need_number,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l04_bjorck.full_rank import FULL_RANK
from lipteach.classroom.lessons.l04_bjorck.scale import SCALE
from lipteach.classroom.own import Own
from lipteach.classroom.watch import need_own_code
from lipteach.primitives import parseval_step

# --- 04.steps

STEPS = 10
"""From σ = 0.1 on, the first step of order 1 after which |σ − 1| ≤ 1e-6."""

# --- 04.minus-one


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
        text = "At √3 one step gives 0, and at √5 it gives −√5: which of those between goes to −1?"
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


# --- 04.parseval-step


def _by_svd(W: Tensor, beta: float) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    product: Tensor = U * ((1 + beta) * sigma - beta * sigma**3) @ Vh
    return product


def _factors(got: Tensor, W: Tensor) -> tuple[float, float]:
    """The a and b of a result a W + b W Wᵀ W; any other raises."""
    terms = torch.stack([W.flatten(), (W @ W.mT @ W).flatten()], dim=1)
    found = torch.linalg.lstsq(terms, got.flatten()[:, None]).solution
    if not close(terms @ found, got.flatten()[:, None]):
        raise ValueError("it is no sum of these two")
    a, b = found.flatten().tolist()
    return a, b


def _has(factor: str) -> Callable[..., bool]:
    """The ``when`` of a wrong factor before W, before W Wᵀ W, or before any of them."""

    def when(got: Tensor, _want: Tensor, W: Tensor, beta: float) -> bool:
        a, b = _factors(got, W)
        right = {"W": abs(b + beta) < 1e-4, "W Wᵀ W": abs(a - 1 - beta) < 1e-4, "any": True}
        return abs(b) > 1e-4 and right[factor]

    return when


def _alone(got: Tensor, _want: Tensor, W: Tensor, _beta: float) -> bool:
    a, b = _factors(got, W)
    return abs(b) < 1e-4 and min(abs(a), abs(a - 1)) > 1e-4


_SMALL = torch.tensor([[0.5, 0.2], [0.1, 0.4]], dtype=torch.float64)


def _judge_step(answer: Any, mistakes: Sequence[Mistake]) -> None:
    inputs = [(_SMALL, 0.5), (_SMALL, 0.1), (_SMALL, 1.0), (3 * _SMALL, 0.1)]
    layouts = [(seeded(2, 4) / 2, 0.3), (seeded(4, 2) / 2, 0.3)]
    compare_function(answer, parseval_step, inputs, layouts=layouts, mistakes=mistakes)
    need_own_code(answer, inputs, "which two products are in (8)?")


# --- 04.regularizer


def _own_regularizer(draw: random.Random) -> Own:
    beta = draw.randrange(51, 950, 2) / 1000
    parts = {"the paper": 1 / 2, "beta": 1, "twice": 2, "times four": 4, "an eighth": 1 / 8}
    parts |= {"sign": -1 / 4, "nothing": 0, "a third": 1 / 3, "three halves": 3 / 2}
    return Own(
        given=f"β = {beta}",
        value=beta / 4,
        judge=partial(compare_number, value=beta / 4),
        mistakes={label: part * beta for label, part in parts.items()},
    )


EXERCISES = (
    Exercise(
        name="04.steps",
        judge=partial(
            compare_number,
            value=STEPS,
            otherwise="Print lt.bjorck_trajectory(torch.tensor([[0.1]]).double(), "
            "steps=12).flatten() - 1: when is it small enough?",
        ),
        solution=STEPS,
        right={"a tensor": torch.tensor(10), "a float": 10.0},
        mistakes={
            "growth": (
                5,
                "Five steps lead from 0.1 to 0.66: how many more are there to within 1e-6?",
            ),
            "two short": (8, "After 8 steps |σ − 1| is 2e-3: what does the next step make of it?"),
            "start": (0, "At step 0 stands σ = 0.1: how far is it from 1?"),
            "one early": (9, "After this step |σ − 1| is still above 1e-6: do you count from 0?"),
            "one late": (11, "It is small enough before that: is σ = 0.1 itself step 0 or step 1?"),
            "order 2": (
                6,
                "So many steps has order 2; with order 1, σ has only come out of its growth by "
                "3/2 then. Which order did you take, and how far is σ from 1?",
            ),
            "a rough look": (7, "After 7 steps σ has passed 0.96: how far is it from 1?"),
            "small beta": (
                14153,
                "This is β = 0.0003, and only to within 0.01: which β is Björck's?",
            ),
            "a fraction": (
                9.5,
                "Steps are counted: which whole number is it?",
                lambda got: got != int(got),
            ),
            "few": (
                4,
                "After so few steps σ is below ½ still: 3/2 a step takes it no further. Did your "
                "loop stop too early?",
                lambda got: 0.5 < got < 5,
            ),
            "at rest": (
                12,
                "By then nothing changes any more in float64: which is the first step with "
                "|σ − 1| ≤ 1e-6?",
                lambda got: 11 < got <= 15,
            ),
            "negative": (
                -10,
                "A negative number of steps: is it an exponent, or a difference taken the wrong "
                "way?",
                lambda got: got < 0,
            ),
            "many": (
                100,
                "Did your loop stop at |σ − 1| ≤ 1e-6, and is β = ½?",
                lambda got: got > 15,
            ),
        },
        wrong={"a list": ([10, 11], "this is a list")},
    ),
    Exercise(
        name="04.minus-one",
        judge=_judge_minus_one,
        solution=2.0,
        right={"near the left end": 1.74, "a tensor": torch.tensor(2.1), "far right": 2.23},
        wrong={
            "below": (1.7, "look to the right"),
            "negative": (-2.0, "A singular value is not negative"),
            "root 3": (math.sqrt(3), "which of those between"),
            "too far": (2.3, "it runs away"),
            "two turns": (2.2, "into which interval"),
            "infinite": (math.inf, "A finite number is needed"),
            "words": ("2", "A number is needed"),
        },
    ),
    Exercise(
        name="04.parseval-step",
        judge=_judge_step,
        solution=lambda W, beta: (1 + beta) * W - beta * W @ W.mT @ W,
        right={
            "the gradient": lambda W, beta: W - beta * W @ (W.mT @ W - torch.eye(W.shape[1])),
            "from the left": lambda W, beta: (1 + beta) * W - beta * (W @ W.T) @ W,
            "by the svd": _by_svd,
        },
        mistakes={
            "broadcast": (
                lambda W, beta: W @ (torch.eye(len(W.T)).to(W) + beta) - beta * W @ W.mT @ W,
                "W(I + β) taken at its word adds β to every entry of I: which number stands on "
                "the diagonal, and which beside it?",
            ),
            "twice": (
                lambda W, beta: W - 2 * beta * (W @ W.mT @ W - W),
                "This step is twice as long: it descends β/2 · ‖WᵀW − I‖², and (8) does not.",
            ),
            "wrong side": (
                lambda W, beta: (1 + beta) * W - beta * W.mT @ W @ W,
                "This is WᵀW W: on which side of W does WᵀW stand in (8)?",
            ),
            "entries": (
                lambda W, beta: (1 + beta) * W - beta * W**3,
                "W**3 cubes the entries: it would be right for a diagonal matrix. Which products "
                "cube the singular values?",
            ),
            "no growth": (
                lambda W, beta: W - beta * W @ W.mT @ W,
                "The singular values only shrink here: what does (8) add to W first?",
            ),
            "one beta": (
                lambda W, beta: (1 + beta) * W - W @ W.mT @ W,
                "Where is the second β? A step leaves σ = 1 where it is.",
            ),
            "plus": (
                lambda W, beta: (1 + beta) * W + beta * W @ W.mT @ W,
                "Every singular value grows here: which of the two terms does (8) subtract?",
            ),
            "signs of both": (
                lambda W, beta: (1 - beta) * W + beta * W @ W.mT @ W,
                "Both signs are turned, away from orthonormal: does σ = ½ grow or shrink?",
            ),
            "half as long": (
                lambda W, beta: parseval_step(W, beta / 2),
                "This step is half as long: where does (8) have a factor ½?",
            ),
            "four times": (
                lambda W, beta: parseval_step(W, 4 * beta),
                "This is the whole gradient of ‖WᵀW − I‖², with its 4: where has (8) put it?",
            ),
            "growth alone": (
                lambda W, beta: (1 + beta) * W,
                "Every singular value grows alike: which term holds back those near 1?",
            ),
            "two factors": (
                lambda W, beta: W - beta * (W.mT @ W - torch.eye(W.shape[1]).to(W)),
                "β(WᵀW − I) stands alone here: by which W is it multiplied?",
            ),
            "transposed at the end": (
                lambda W, beta: (1 + beta) * W - beta * (W.mT @ W) @ W.mT,
                "WᵀWWᵀ is the transpose of what (8) has: how does it begin?",
            ),
            "no beta": (
                lambda W, _beta: parseval_step(W, 0.5),
                "Right for β = ½: where does the other β enter?",
            ),
            "no transpose": (
                lambda W, beta: (1 + beta) * W - beta * W @ W @ W,
                "Right for a symmetric W: which of the three factors is transposed?",
            ),
            "the last transposed": (
                lambda W, beta: (1 + beta) * W - beta * W @ W @ W.mT,
                "This is W W Wᵀ, which no wide W has: which of the three factors is transposed?",
            ),
            "the first two transposed": (
                lambda W, beta: (1 + beta) * W - beta * W.mT @ W.mT @ W,
                "This is Wᵀ Wᵀ W: how many of the three factors are transposed in (8), and which?",
            ),
            "the step alone": (
                lambda W, beta: parseval_step(W, beta) - W,
                "This is only what is added to W: where is W itself?",
            ),
            "a power too many": (
                lambda W, beta: (1 + beta) * W - beta * W @ W.mT @ W @ W.mT @ W,
                "This has W five times, and σ⁵ in it: how many factors has the product in (8)?",
            ),
            "beta to every entry": (
                lambda W, beta: W + beta - beta * W @ W.mT @ W,
                "β is added to each entry of W: W is multiplied by I + β. What is W times β I?",
            ),
            "minus 1": (
                lambda W, beta: W - beta * (W @ W.mT - 1) @ W,
                "W @ W.T − 1 takes 1 from every entry: which matrix is meant by 1?",
            ),
            "the squares alone": (
                lambda W, beta: (1 + beta) * W - beta * W @ torch.diag((W.mT @ W).diagonal()),
                "Only the diagonal of WᵀW is there: what do its other entries do?",
            ),
            "two factors of three": (
                lambda W, beta: (1 + beta) * W - beta * W @ W.mT,
                "W Wᵀ has no W behind it, and its σ are squares: which power has (8)?",
            ),
            "two steps": (
                lambda W, beta: parseval_step(parseval_step(W, beta), beta),
                "These are two steps, one after the other: which is the first?",
            ),
            "the limit": (
                lambda W, _beta: (
                    torch.linalg.svd(W, full_matrices=False).U
                    @ torch.linalg.svd(W, full_matrices=False).Vh
                ),
                "This is the end of all steps, the polar factor: how far does one step go?",
            ),
            "the factor of W": (
                lambda W, beta: (1 + 2 * beta) * W - beta * W @ W.mT @ W,
                "W Wᵀ W has its factor, and W has not: what do W I and W β I add up to?",
                _has("W"),
            ),
            "the factor of W Wᵀ W": (
                lambda W, beta: (1 + beta) * W - beta**2 * W @ W.mT @ W,
                "W has its factor 1 + β: which one stands before W Wᵀ W in (8), and where is it "
                "multiplied again?",
                _has("W Wᵀ W"),
            ),
            "both factors": (
                lambda W, beta: 2 * W - beta / 2 * W @ W.mT @ W,
                "W and W Wᵀ W are the two matrices of (8), and neither has its factor: which ones "
                "stand there?",
                _has("any"),
            ),
            "a multiple of W": (
                lambda W, beta: (1 + beta - beta * W.square().sum()) * W,
                "The result is W times one number, so all σ change alike: which product of three "
                "matrices moves each by its own amount?",
                _alone,
            ),
        },
        wrong={
            "by the package": (parseval_step, "calls lt.parseval_step"),
            "not a function": (torch.eye(2), "A function is needed"),
            "one number": (lambda W, beta: parseval_step(W, beta).norm(), "the result has shape"),
        },
    ),
    Exercise(
        name="04.regularizer",
        vary=_own_regularizer,
        judge=partial(
            compare_number,
            value=0.075,
            otherwise="For c = 1 the step would be W − 4 W(WᵀW − I): what does (8) subtract?",
        ),
        solution=0.075,
        right={"a fraction": 0.3 / 4},
        mistakes={
            "the paper": (
                0.15,
                "This is the paper's β/2: what is the gradient of ‖WᵀW − I‖² in W?",
            ),
            "beta": (0.3, "This is β itself: which factor does the gradient of ‖WᵀW − I‖² bring?"),
            "twice": (0.6, "Twice β: does the factor of the gradient multiply c, or divide it?"),
            "times four": (
                1.2,
                "You multiplied β by 4: does the gradient bring its factor to β, or to c?",
            ),
            "a quarter": (0.25, "This is c/β: what is c for β = 0.3?"),
            "an eighth": (0.0375, "Half of it: is there a factor 8 anywhere?"),
            "sign": (
                -0.075,
                "(8) subtracts the gradient: with which sign does W(WᵀW − I) enter?",
                lambda got: got < 0,
            ),
            "squared": (
                0.0225,
                "This has β²: how often is β in (8), and how often in the gradient of c ‖…‖²?",
                lambda got: min(abs(got - b) for b in (0.09, 0.0225, 0.36, 0.045)) < 1e-4,
            ),
            "one over": (
                1 / 1.2,
                "β stands in the denominator here: if β is doubled, is c doubled, or halved?",
                lambda got: min(abs(got - b) for b in (1 / 0.3, 1 / 1.2, 4 / 0.3, 2 / 0.3)) < 1e-2,
            ),
            "nothing": (0, "With c = 0 nothing moves: what is left of (8) then?"),
            "without beta": (
                1,
                "This does not depend on β: for c = 1 the step is W − 4 W(WᵀW − I). And (8)?",
                lambda got: got in (1, 0.5, 2, 4, 8),
            ),
            "two decimals": (
                0.08,
                "Rounded: which fraction of β is it, exactly?",
                lambda got: 0.069 < got < 0.081,
            ),
            "a third": (
                0.1,
                "A third of β: the gradient of a fourth power brings which factor?",
            ),
            "three halves": (
                0.45,
                "3/2 β: the 3/2 is the growth of small σ at β = ½. Which factor has the gradient?",
            ),
        },
        wrong={"a function": (parseval_step, "A number is needed")},
    ),
    *FULL_RANK,
    SCALE,
)
