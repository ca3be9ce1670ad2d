"""The exercises of lesson 04 on what must hold before the iteration: condition, rank and scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    close,
    fault,
    need_tensor,
    seeded,
    shape_of,
    show_apart,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import Seen, watch
from lipteach.primitives import norm_upper_bounds

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


def _bounded(W: Tensor) -> bool:
    return float(torch.linalg.matrix_norm(W, 2)) < 3**0.5


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
            *(torch.diag(torch.tensor([1.5, 0.5])).double(), _with_values(2, 2, 1.9, 0.5)),
            *(_with_values(2, 2, 2.5, 0.5), _with_values(2, 2, 1.1, 0.9), 1.2 * torch.eye(6)),
            *(_with_values(3, 3, 1.1, 0.75, 0.72), _with_values(2, 2, 1.39, 0.9)),
            *(torch.tensor([[0.9]]).double(), _with_values(3, 3, 1.0, 1.0, 1.0)),
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


_SIGNED = seeded(4, 3)
_CASES = [
    *(torch.ones(1, 4).double(), torch.ones(4, 1).double(), _SIGNED, 10 * seeded(3, 6)),
    *(torch.tensor([[-3.0, 0.5], [0.5, -2.0]]).double(), 0.01 * seeded(30, 30).abs()),
]


def _divisor(answer: Any, W: Tensor) -> float:
    """The number by which an answer divides W."""
    given = W.clone()
    got = need_tensor(call_with(answer, (given,)), tuple(W.shape))
    if not torch.equal(given, W):
        raise Hint("mutation", "Your function changes its input: divide into a new tensor.", (W,))
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "An entry is not finite: what was divided by what?", (W,))
    ratio = float((got * W).sum() / (W * W).sum())
    if not torch.allclose(got, ratio * W, atol=1e-4 * float(got.abs().max())):
        text = "Your result is no multiple of W: a scaling divides by one number."
        raise Hint("value", text, (W,))
    if ratio <= 0:
        text = "Scaling by a negative number or 0 changes the limit: see sign(α)."
        raise Hint("value", text, (W,))
    return 1 / ratio


def _judge_scale(answer: Any, mistakes: Sequence[Mistake]) -> None:
    """A positive multiple of W whose norm is at most 1, and not needlessly small."""
    if not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    with watch() as seen:
        divisors = [_divisor(answer, W) for W in _CASES]

    def same(mistake: Mistake) -> bool:
        others = [_divisor(mistake.answer, W) for W in _CASES]
        return bool(np.allclose(divisors, others, rtol=1e-4))

    for W, divisor in zip(_CASES, divisors, strict=True):
        norm = float(torch.linalg.matrix_norm(W, 2)) / divisor
        if norm > 1 + 1e-5:
            said = f"On shape {shape_of(W)} the norm is {show_apart(norm, 1.0)[0]} afterwards"
            text = f"{said}: which sum or maximum of |W|, with which root, is never below it?"
            raise fault("constraint", text, mistakes, same).at(W)
    _need_sums_alone(answer, seen)
    for W, divisor in zip(_CASES, divisors, strict=True):
        norm = float(torch.linalg.matrix_norm(W, 2)) / divisor
        if norm < 0.9 / W.numel() ** 0.5:
            said = f"On shape {shape_of(W)} the norm is {norm:.2g} afterwards"
            text = f"{said}, smaller than even bound (9) makes it, so that Björck would need more "
            raise fault("value", f"{text}steps.", mistakes, same).at(W)


def _need_sums_alone(answer: Any, seen: Seen) -> None:
    """No decomposition, no product of matrices, and nothing in which signs cancel."""
    text, divisors = "", [_divisor(answer, W) for W in (_SIGNED, _SIGNED.abs())]
    if seen.decomposition:
        text = f"calls {seen.decomposition}, a decomposition"
    elif seen.matrix_products and "norm_upper_bounds" not in seen.lipteach:  # it makes all five
        text = "multiplies two matrices, the price of a whole step or more"
    elif not np.isclose(*divisors, rtol=1e-4):
        text = "finds another number for W than for |W|, so that it is no sum or maximum of |W|"
    if text:
        raise Hint("constraint", f"This {text}: which sum is never below σ₁?", (_SIGNED,))


BEFORE_THE_ITERATION = (
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
            "never": (
                lambda _W: False,
                "False for each of our matrices. One has σ = 1.1 and 0.9: what is σ² − 1 there?",
            ),
            "below √3": (
                _bounded,
                "This asks σ < √3, and lets σ = 0 through: what is σ² − 1 for 1.5 and for 0?",
            ),
            "of W": (
                lambda W: bool((torch.linalg.svdvals(W) - 1).abs().max() < 1),
                "This asks |σ − 1| < 1: the eigenvalues of G are σ². What does the condition ask?",
            ),
            "full rank": (
                lambda W: bool(torch.linalg.matrix_rank(W) == min(W.shape)),
                "This asks for full rank alone: how large may a singular value be?",
            ),
            "the largest entry": (
                lambda W: bool((_smaller(W) - torch.eye(min(W.shape)).to(W)).abs().max() < 1),
                "This looks at the entries of G − I, each alone: which of its norms is asked for?",
            ),
            "sums of rows": (
                lambda W: bool(
                    torch.linalg.matrix_norm(_smaller(W) - torch.eye(min(W.shape)).to(W), 1) < 1
                ),
                "The largest sum of a column or row of |G − I| is its 1-norm or ∞-norm: is that "
                "the norm with the index 2?",
            ),
            "nuclear": (
                lambda W: float((torch.linalg.svdvals(W) ** 2 - 1).abs().sum()) < 1,
                "This adds all |σ² − 1| up: which one of them is the 2-norm?",
            ),
            "mean": (
                lambda W: float((torch.linalg.svdvals(W) ** 2 - 1).abs().mean()) < 1,
                "This is the mean of all |σ² − 1|: which one of them is the 2-norm?",
            ),
            "trace": (
                lambda W: abs(float((torch.linalg.svdvals(W) ** 2 - 1).sum())) < 1,
                "In a trace errors of both signs cancel each other: which norm is asked for?",
            ),
            "W minus I": (
                lambda W: (
                    float(torch.linalg.matrix_norm(W - torch.eye(*W.shape, dtype=W.dtype), 2)) < 1
                ),
                "This compares W itself with I: which matrix must be near I if W is orthonormal?",
            ),
            "minus 1": (
                lambda W: float(torch.linalg.matrix_norm(_smaller(W) - 1, 2)) < 1,
                "G − 1 takes 1 from every entry of G: from which ones does G − I?",
            ),
            "below a half": (
                lambda W: _off(_smaller(W)) < 0.5,
                "This is stricter than the condition: below which number must the norm be?",
            ),
            "above": (
                lambda W: _off(_smaller(W)) > 1,
                "True where the norm is above 1: on which side does the condition want it?",
            ),
            "orthonormal": (
                lambda W: _off(_smaller(W)) < 1e-3,
                "This asks whether W is orthonormal already: how far from it may W be?",
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
        mistakes={
            "swapped": (
                lambda W: W / (W.shape[0] ** 0.5 * W.abs().sum(0).max()),
                "This is (10) with √m: a row (1, 1, 1, 1) has m = 1 and norm 2. Which root belongs "
                "to the column sums?",
            ),
            "swapped (11)": (
                lambda W: W / (W.shape[1] ** 0.5 * W.abs().sum(1).max()),
                "This is (11) with √n: a column of four ones has n = 1 and norm 2. Which root "
                "belongs to the row sums?",
            ),
            "columns alone": (
                lambda W: W / W.abs().sum(0).max(),
                "This is the 1-norm alone: the row (1, 1, 1, 1) has 1-norm 1 and σ = 2. What "
                "does (10) multiply it by?",
            ),
            "rows alone": (
                lambda W: W / W.abs().sum(1).max(),
                "This is the ∞-norm alone: four ones below each other have ∞-norm 1 and σ = 2. "
                "What does (11) multiply it by?",
            ),
            "the smaller of both": (
                lambda W: W / min(W.abs().sum(0).max(), W.abs().sum(1).max()),
                "The smaller of the 1-norm and the ∞-norm can be below σ: what is it for the row "
                "(1, 1, 1, 1)?",
            ),
            "no root of the product": (
                lambda W: W / (W.abs().sum(0).max() * W.abs().sum(1).max()),
                "The product of the 1-norm and the ∞-norm bounds σ²: what bounds σ?",
            ),
            "one root": (
                lambda W: W / (W.abs().sum(0).max().sqrt() * W.abs().sum(1).max()),
                "Only one of the two norms stands under the root: is the divisor of 2 W twice "
                "that of W?",
            ),
            "largest, with its sign": (
                lambda W: W / (W.numel() ** 0.5 * W.max()),
                "This takes the largest entry with its sign: do negative entries count?",
            ),
            "sums with signs": (
                lambda W: W / (W.sum(0).max() * W.sum(1).max()).abs().sqrt(),
                "Entries of both signs cancel in these sums: of which matrix are they in the text?",
            ),
            "largest entry": (
                lambda W: W / W.abs().max(),
                "This is the largest entry alone (W.norm(inf), too): what does (9) multiply it by?",
            ),
            "one side of (9)": (
                lambda W: W / (W.shape[0] ** 0.5 * W.abs().max()),
                "(9) has the root of m n: is √m enough for the row (1, 1, 1, 1)?",
            ),
            "the other side of (9)": (
                lambda W: W / (W.shape[1] ** 0.5 * W.abs().max()),
                "(9) has the root of m n: is √n enough for four ones below each other?",
            ),
            "m times the largest": (
                lambda W: W / (W.shape[0] * W.abs().max()),
                "m max|W| is a bound for the column sums, not for σ: what does (9) have?",
            ),
            "n times the largest": (
                lambda W: W / (W.shape[1] * W.abs().max()),
                "n max|W| is a bound for the row sums, not for σ: what does (9) have?",
            ),
            "the shorter side": (
                lambda W: W / (min(W.shape) * W.abs().max()),
                "min(m, n) max|W| is 1 for the row (1, 1, 1, 1), where σ = 2: what does (9) have?",
            ),
            "no root": (
                lambda W: W / W.square().sum(),
                "The sum of the squares bounds σ²: what bounds σ? (The divisor of 2 W is twice "
                "that of W.)",
            ),
            "root of the sum": (
                lambda W: W / W.abs().sum().sqrt(),
                "This is the root of the sum of |W|, not of the squares: is the divisor of 2 W "
                "twice that of W?",
            ),
            "multiplied": (
                lambda W: W * W.norm(),
                "This multiplies: does a large W become smaller, or larger?",
            ),
            "mean": (
                lambda W: W / (W.numel() ** 0.5 * W.abs().mean()),
                "This takes the mean of |W| where (9) has its maximum: does one large entry count?",
            ),
            "no root in (9)": (
                lambda W: W / (W.numel() * W.abs().max()),
                "This is m n max|W|: (9) has a root, without it Björck needs more steps. Where?",
            ),
        },
        wrong={
            "rows": (lambda W: W / W.norm(dim=1, keepdim=True), "no multiple of W"),
            "a third": (lambda W: W / W.abs().max() / 3, "which sum or maximum of |W|, with"),
            "too small": (lambda W: W / W.abs().sum() / W.numel(), "Björck would need more steps"),
            "negative": (lambda W: -scaled(W), "see sign(α)"),
            "by 0": (lambda W: W / 0, "An entry is not finite"),
            "the singular values": (lambda W: W / torch.linalg.svdvals(W)[0], "calls linalg_svd"),
            "eigenvalues": (
                lambda W: W / torch.linalg.eigvalsh(W.T @ W)[-1].sqrt(),
                "calls linalg_eigh",
            ),
            "numpy": (lambda W: W / np.linalg.norm(W.numpy(), 2), "calls numpy.linalg.svd"),
            "one product": (lambda W: W / (W.T @ W).norm().sqrt(), "multiplies two"),
            "the Gram bound in numpy": (
                lambda W: W / float(np.linalg.norm(W.numpy().T @ W.numpy())) ** 0.5,
                "This finds another number",
            ),
            "in place": (lambda W: W.div_(W.norm()), "divide into a new tensor"),
            "a bound": (lambda W: W.abs().max() * W.numel() ** 0.5, "is needed"),
            "not a function": (2.0, "A function of a matrix"),
        },
    ),
)
