"""The exercises of lesson 04."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    call,
    close,
    compare_number,
    need_number,
    need_tensor,
    seeded,
    shape_of,
    show_apart,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import watch
from lipteach.primitives import norm_upper_bounds, parseval_step, power_iteration

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


# --- 04.parseval-step


def _by_svd(W: Tensor, beta: float) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    product: Tensor = U * ((1 + beta) * sigma - beta * sigma**3) @ Vh
    return product


_SMALL = torch.tensor([[0.5, 0.2], [0.1, 0.4]], dtype=torch.float64)


# --- 04.condition


def _off(gram: Tensor) -> float:
    """How far a Gram matrix is from I, in the 2-norm."""
    return float(torch.linalg.matrix_norm(gram - torch.eye(len(gram), dtype=gram.dtype), 2))


def meets_condition(W: Tensor) -> bool:
    """‖G − I‖₂ < 1 for the smaller Gram matrix G of W: full rank, and σ in (0, √2)."""
    return _off(_smaller(W)) < 1


def _smaller(W: Tensor) -> Tensor:
    return W @ W.T if W.shape[0] < W.shape[1] else W.T @ W


def _converges(W: Tensor) -> bool:
    sigma = torch.linalg.svdvals(W)
    return float(sigma[-1]) > 1e-9 and float(sigma[0]) < 3**0.5


def _with_values(m: int, n: int, *sigma: float) -> Tensor:
    """A matrix of shape (m, n) with these singular values."""
    Q, P = torch.linalg.qr(seeded(m, len(sigma))).Q, torch.linalg.qr(seeded(n, len(sigma))).Q
    product: Tensor = Q * torch.tensor(sigma, dtype=torch.float64) @ P.T
    return product


def _judge_condition(answer: Any, mistakes: Sequence[Mistake]) -> None:
    # Where an eigenvalue 0 makes ‖G − I‖ = 1, the matrices are diagonal: no rounding decides.
    wide, flat = torch.zeros(2, 3).double(), torch.diag(torch.tensor([0.5, 0.75, 0.0]).double())
    wide[0, 1], wide[1, 0] = 1.25, 0.25
    compare_function(
        answer,
        meets_condition,
        inputs=[
            *(_with_values(3, 3, 1.2, 0.6, 0.3), wide, _with_values(3, 3, 1.5, 1.0, 0.5)),
            *(_with_values(2, 2, 0.5, 0.5), flat, 0.5 * wide.T),
        ],
        layouts=[wide.T, _with_values(5, 2, 1.6, 1.0), _with_values(2, 4, 1.6, 0.4)],
        mistakes=mistakes,
    )


# --- 04.lost-direction


def _judge_lost_direction(answer: Any) -> None:
    """A 2 × 2 matrix without zero entries, of norm at most 1 and rank 1."""
    W = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "Every entry must be a finite number.")
    if bool((W == 0).any()):
        text = "diag(1, 0) would do, but one of your entries is 0: can the rank be lost without?"
        raise Hint("constraint", text)
    largest, smallest = torch.linalg.svdvals(W).tolist()
    V = W / W.abs().max()  # no product is lost below the smallest number
    products = (V[0, 0] * V[1, 1], V[0, 1] * V[1, 0])
    rounding = 1.1e-7 if isinstance(answer, Tensor) and answer.dtype != torch.float64 else 1e-15
    if largest > 1 + 1e-6 and largest < 1.015:
        text = f"The largest singular value is {show_apart(largest, 1.0)[0]}, above 1. {NEARLY}"
        raise Hint("constraint", text)
    if largest > 1 + 1e-6:
        text = f"The largest singular value is {largest:.4g}: scale the matrix down."
        raise Hint("constraint", text)
    if abs(products[0] - products[1]) > rounding * (abs(products[0]) + abs(products[1])):
        raise Hint(
            "value",
            f"The smallest singular value is {smallest:.4g}: it grows by 3/2 a step and gets to 1. "
            "Which one never grows?",
        )


# --- 04.scale


def scaled(W: Tensor) -> Tensor:
    """W divided by √(‖W‖₁ ‖W‖_∞), at least its largest singular value."""
    return W / norm_upper_bounds(W)["geometric"]


def _judge_scale(answer: Any) -> None:
    """A positive multiple of W whose norm is at most 1, and not needlessly small."""
    if not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    cases = [torch.ones(1, 4).double(), torch.ones(4, 1).double(), seeded(4, 3), 10 * seeded(3, 6)]
    negative = torch.tensor([[-3.0, 0.5], [0.5, -2.0]]).double()
    norms = []
    for W in [*cases, negative, 0.01 * seeded(30, 30).abs()]:
        with watch() as seen:
            got = need_tensor(call(answer, W), tuple(W.shape))
        if not bool(torch.isfinite(got).all()):
            raise Hint("value", "An entry is not finite: what was divided by what?", (W,))
        ratio = float((got * W).sum() / (W * W).sum())
        if not torch.allclose(got, ratio * W, atol=1e-4 * float(got.abs().max())):
            text = "Your result is no multiple of W: a scaling divides by one number."
            raise Hint("value", text, (W,))
        if ratio <= 0:
            text = "Scaling by a negative number or 0 changes the limit: see sign(α)."
            raise Hint("value", text, (W,))
        norms.append((W, float(torch.linalg.matrix_norm(got, 2)), seen))
    for W, norm, _ in norms:
        if norm > 1 + 1e-5:
            text = (
                "are √m and √n in their places? Do negative entries count? Is the divisor of 2 W "
                "twice that of W?"
            )
            said = f"On shape {shape_of(W)} the norm is {show_apart(norm, 1.0)[0]} afterwards"
            raise Hint("constraint", f"{said}: {text}", (W,))
    for W, norm, seen in norms:
        if seen.decomposition or (abs(norm - 1) < 1e-5 and min(W.shape) > 1):
            text = "This divides by σ₁ itself, which no sum or maximum of |W| gives"
            if seen.decomposition:
                text = f"This calls {seen.decomposition}, a decomposition"
            ask = "which sum or maximum is never below σ₁?"
            raise Hint("constraint", f"{text}: {ask}", (W,))
        if norm < 0.9 / W.numel() ** 0.5:
            text = "smaller than even bound (9) makes it, so that Björck would need more steps."
            said = f"On shape {shape_of(W)} the norm is {norm:.2g} afterwards"
            raise Hint("value", f"{said}, {text}", (W,))


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
            "one late": (11, "One step fewer is enough: is σ = 0.1 itself step 0 or step 1?"),
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
            "root 3": (math.sqrt(3), "neither of them"),
            "too far": (2.3, "it runs away"),
            "two turns": (2.2, "into which interval"),
            "infinite": (math.inf, "A finite number is needed"),
            "words": ("2", "A number is needed"),
        },
    ),
    Exercise(
        name="04.parseval-step",
        judge=partial(
            compare_function,
            reference=parseval_step,
            inputs=[(_SMALL, 0.5), (_SMALL, 0.1)],
            layouts=[(seeded(2, 4) / 2, 0.3), (seeded(4, 2) / 2, 0.3)],
        ),
        solution=parseval_step,
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
        },
        wrong={
            "not a function": (torch.eye(2), "A function is needed"),
            "one number": (lambda W, beta: parseval_step(W, beta).norm(), "the result has shape"),
        },
    ),
    Exercise(
        name="04.regularizer",
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
            "sign": (-0.075, "(8) subtracts the gradient: with which sign does W(WᵀW − I) enter?"),
        },
        wrong={"a function": (parseval_step, "A number is needed")},
    ),
    Exercise(
        name="04.condition",
        judge=_judge_condition,
        solution=meets_condition,
        right={
            "by singular values": lambda W: bool(
                (torch.linalg.svdvals(W) ** 2 - 1).abs().max() < 1
            ),
            "a tensor": lambda W: torch.tensor(meets_condition(W)),
        },
        mistakes={
            "the paper": (
                lambda W: _off(W.T @ W) < 1,
                "WᵀW of a wide W has eigenvalues 0, and ‖WᵀW − I‖ ≥ 1: which Gram matrix can "
                "become I there?",
            ),
            "always rows": (
                lambda W: _off(W @ W.T) < 1,
                "Right for wide matrices. WWᵀ of a tall W has eigenvalues 0: which one can become "
                "I there?",
            ),
            "the larger": (
                lambda W: _off(W.T @ W if W.shape[0] < W.shape[1] else W @ W.T) < 1,
                "The larger Gram matrix always has eigenvalues 0: which one is smaller?",
            ),
            "frobenius": (
                lambda W: float((torch.linalg.svdvals(W) ** 2 - 1).norm()) < 1,
                "Which norm is this? Many small errors add up in it.",
            ),
            "norm only": (
                lambda W: float(torch.linalg.matrix_norm(W, 2)) < 2**0.5,
                "The largest singular value is below √2, but what of a singular value 0?",
            ),
            "scaling": (
                lambda W: float(torch.linalg.matrix_norm(W, 2)) <= 1,
                "This asks σ ≤ 1, the scaling. Which larger σ does the condition admit? And σ = 0?",
            ),
            "it converges": (
                _converges,
                "This asks for convergence, and the condition is stricter: what is 1.5² − 1?",
            ),
            "always": (
                lambda _W: True,
                "True for each of our matrices. Some have σ = 1.5 or σ = 0: what is σ² − 1 there?",
            ),
            "a norm": (
                lambda W: torch.linalg.matrix_norm(W, 2),
                "True or False is asked: which number is the norm compared with?",
                lambda got, _, W: close(got, torch.linalg.matrix_norm(W, 2)),
            ),
            "the norm of G − I": (
                lambda W: _off(_smaller(W)),
                "This is ‖G − I‖₂ itself: what must it be compared with?",
                lambda got, _, W: close(got, torch.tensor(_off(_smaller(W))).double()),
            ),
            "a number": (
                lambda W: torch.linalg.det(_smaller(W)),
                "True or False is asked, and this is a number: what is it compared with?",
                lambda got, *_: None if float(got) in (0, 1) else True,
            ),
            "turned": (
                lambda W: not meets_condition(W),
                "Just the other way round: is the norm below 1?",
            ),
        },
        wrong={"not a function": (True, "A function is needed")},
    ),
    Exercise(
        name="04.lost-direction",
        judge=_judge_lost_direction,
        solution=[[0.5, 0.5], [0.5, 0.5]],
        right={
            "another line": [[0.1, 0.2], [0.2, 0.4]],
            "signs": torch.tensor([[0.5, -0.5], [-0.5, 0.5]]),
            "float32": torch.tensor([[0.3, 0.6], [0.1, 0.2]]),
        },
        wrong={
            "diagonal": ([[1.0, 0.0], [0.0, 0.0]], "can the rank be lost without"),
            "too large": ([[1.0, 1.0], [1.0, 1.0]], "scale the matrix down"),
            "nearly": ([[0.5, 0.5], [0.5, 0.4]], "Which one never grows"),
            "nearer": ([[0.5, 0.5], [0.5, 0.4999999]], "value is 5e-08"),
            "small": ([[1e-9, 1e-9], [1e-9, -1e-9]], "value is 1.414e-09"),
            "tiny": ([[1e-200, 1e-200], [1e-200, 2e-200]], "3.82e-201"),
            "full": ([[0.6, 0.8], [-0.8, 0.6]], "value is 1: it grows"),
            "rounded": ([[0.709, 0.709], [-0.709, 0.709]], "above 1. Nearly"),
            "a row": ([0.5, 0.5], "(2, 2) is needed"),
            "not finite": ([[float("nan"), 1], [1, 1]], "a finite number"),
        },
    ),
    Exercise(
        name="04.scale",
        judge=_judge_scale,
        solution=scaled,
        right={
            "bound (9)": lambda W: W / (W.numel() ** 0.5 * W.abs().max()),
            "bound (10)": lambda W: W / (W.shape[1] ** 0.5 * W.abs().sum(0).max()),
            "bound (11)": lambda W: W / (W.shape[0] ** 0.5 * W.abs().sum(1).max()),
            "root of the sum of squares": lambda W: W / W.norm(),
        },
        wrong={
            "rows": (lambda W: W / W.norm(dim=1, keepdim=True), "no multiple of W"),
            "swapped": (
                lambda W: W / (W.shape[0] ** 0.5 * W.abs().sum(0).max()),
                "On shape (1, 4) the norm is 2",
            ),
            "swapped (11)": (
                lambda W: W / (W.shape[1] ** 0.5 * W.abs().sum(1).max()),
                "On shape (4, 1) the norm is 2",
            ),
            "largest, with its sign": (
                lambda W: W / (W.numel() ** 0.5 * W.max()),
                "Do negative entries count",
            ),
            "no root": (lambda W: W / (W**2).sum(), "twice that of W"),
            "largest entry": (lambda W: W / W.abs().max() / 3, "On shape (30, 30) the norm"),
            "too small": (lambda W: W / W.abs().sum() / W.numel(), "Björck would need more steps"),
            "negative": (lambda W: -scaled(W), "see sign(α)"),
            "by 0": (lambda W: W / 0, "An entry is not finite"),
            "the singular values": (lambda W: W / torch.linalg.svdvals(W)[0], "calls linalg_svd"),
            "eigenvalues": (
                lambda W: W / torch.linalg.eigvalsh(W.T @ W)[-1].sqrt(),
                "calls linalg_eigh",
            ),
            "numpy": (lambda W: W / np.linalg.norm(W.numpy(), 2), "calls numpy.linalg.svd"),
            "many steps": (lambda W: W / power_iteration(W, 200)[0], "divides by σ₁ itself"),
            "a bound": (lambda W: W.abs().max() * W.numel() ** 0.5, "is needed"),
            "not a function": (2.0, "A function of a matrix"),
        },
    ),
)
