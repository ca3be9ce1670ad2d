"""The exercise of lesson 04 on scaling: a bound for the norm by sums and maxima alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    fault,
    need_tensor,
    recogniser,
    seeded,
    shape_of,
    show_apart,
)
from lipteach.classroom.watch import Seen, watch
from lipteach.primitives import norm_upper_bounds


def scaled(W: Tensor) -> Tensor:
    """W divided by √(‖W‖₁ ‖W‖_∞), at least its largest singular value."""
    return W / norm_upper_bounds(W)["geometric"]


_SIGNED = seeded(4, 3)
_CASES = [
    *(torch.ones(1, 4).double(), torch.ones(4, 1).double(), _SIGNED, 10 * seeded(3, 6)),
    *(torch.tensor([[-3.0, 0.5], [0.5, -2.0]]).double(), 0.01 * seeded(30, 30).abs()),
]

_TOGETHER = torch.tensor([[2.0, 2, 0, 0], [2, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]).double()
_APART = torch.tensor([[2.0, 0, 2, 0], [0, 2, 0, 2], [2, 0, 0, 0], [0, 2, 0, 0]]).double()
"""The same entries in each row and in each column as in `_TOGETHER`, and another norm."""


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

    def same(mistaken: Any) -> bool:
        others = [_divisor(mistaken, W) for W in _CASES]
        return bool(np.allclose(divisors, others, rtol=1e-4))

    matches = recogniser(same, np.array(divisors))
    for W, divisor in zip(_CASES, divisors, strict=True):
        norm = float(torch.linalg.matrix_norm(W, 2)) / divisor
        if norm > 1 + 1e-5:
            said = f"On shape {shape_of(W)} the norm is {show_apart(norm, 1.0)[0]} afterwards"
            text = f"{said}: which sum or maximum of |W|, with which root, is never below it?"
            raise fault("constraint", text, mistakes, matches).at(W)
    _need_sums_alone(answer, seen)
    for W, divisor in zip(_CASES, divisors, strict=True):
        norm = float(torch.linalg.matrix_norm(W, 2)) / divisor
        if norm < 0.9 / W.numel() ** 0.5:
            said = f"On shape {shape_of(W)} the norm is {norm:.2g} afterwards"
            text = f"{said}, smaller than even bound (9) makes it, so that Björck would need more "
            raise fault("value", f"{text}steps.", mistakes, matches).at(W)


def _need_sums_alone(answer: Any, seen: Seen) -> None:
    """No decomposition, no product of matrices, and nothing in which signs cancel."""
    text, divisors = "", [_divisor(answer, W) for W in (_SIGNED, _SIGNED.abs())]
    if seen.decomposition:
        text = f"takes a decomposition, {seen.decomposition}, itself or within a norm"
    elif seen.matrix_products and "norm_upper_bounds" not in seen.lipteach:  # it makes all five
        text = "multiplies two matrices, the price of a whole step or more"
    elif abs(divisors[0] / divisors[1] - 1) > 1e-4:
        text = "finds another number for W than for |W|, so that it is no sum or maximum of |W|"
    else:
        together, apart = (_divisor(answer, W) for W in (_TOGETHER, _APART))
        if abs(together / apart - 1) > 1e-4:
            text = "finds two numbers for two matrices with the same entries in each row and each "
            text += "column, so that it is more than a sum or maximum over these"
            raise Hint("constraint", f"This {text}: which sum is never below σ₁?", (_APART,))
    if text:
        raise Hint("constraint", f"This {text}: which sum is never below σ₁?", (_SIGNED,))


SCALE = Exercise(
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
        "nothing": (
            lambda W: 1 * W,
            "W comes back as it was: by which number is it divided?",
        ),
        "one number for all": (
            lambda W: W / 2,
            "Every matrix is divided by the same number: which sum or maximum depends on W?",
            lambda divisors: bool(np.ptp(divisors) < 1e-6 * abs(divisors[0] - 1)),
        ),
        "the longest row": (
            lambda W: W / W.norm(dim=1).max(),
            "This is the length of the longest row: four ones below each other have rows of "
            "length 1, and σ = 2. What of all the rows together?",
        ),
        "the longest column": (
            lambda W: W / W.norm(dim=0).max(),
            "This is the length of the longest column: the row (1, 1, 1, 1) has columns of length "
            "1, and σ = 2. What of all the columns together?",
        ),
        "the mean square": (
            lambda W: W / W.square().mean().sqrt(),
            "This is the root of the mean of the squares, 1 for the row (1, 1, 1, 1): which sum "
            "bounds σ?",
        ),
        "squares of each column": (
            lambda W: W / W.square().sum(0).mean().sqrt(),
            "The sum of the squares is divided by the number of columns: is a row (1, 1, 1, 1) "
            "of norm 1 then?",
        ),
        "squares of each row": (
            lambda W: W / W.square().sum(1).mean().sqrt(),
            "The sum of the squares is divided by the number of rows: is a column of ones of norm "
            "1 then?",
        ),
        "the mean alone": (
            lambda W: W / W.abs().mean(),
            "A mean of |W| is never above its maximum, and that is too small already: which sum "
            "bounds σ?",
        ),
        "the smallest entry": (
            lambda W: W / W.abs().min(),
            "This is the smallest |W|: which entry does (9) take?",
        ),
        "signs cancel first": (
            lambda W: W / (W.sum(0).abs().max() * W.sum(1).abs().max()).sqrt(),
            "Sums are taken first, and their sizes then, so signs have cancelled: which comes "
            "first in ‖W‖₁?",
        ),
        "half of it": (
            lambda W: W * 2 / (W.abs().sum(0).max() * W.abs().sum(1).max()).sqrt(),
            "Half of a bound need not be one: is √(‖W‖₁ ‖W‖_∞) halved in the text?",
        ),
        "half of the mean": (
            lambda W: W * 4 / (W.abs().sum(0).max() + W.abs().sum(1).max()),
            "Half of the mean of ‖W‖₁ and ‖W‖_∞ need not be a bound: is the whole mean one?",
        ),
        "the fourth root": (
            lambda W: W / W.square().sum() ** 0.25,
            "A root too many is taken of the sum of the squares: is the divisor of 2 W twice that "
            "of W?",
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
        "the singular values": (
            lambda W: W / torch.linalg.svdvals(W)[0],
            "takes a decomposition, linalg_svd",
        ),
        "eigenvalues": (
            lambda W: W / torch.linalg.eigvalsh(W.T @ W)[-1].sqrt(),
            "takes a decomposition, linalg_eigh",
        ),
        "numpy": (
            lambda W: W / np.linalg.norm(W.numpy(), 2),
            "takes a decomposition, numpy.linalg.svd",
        ),
        "one product": (lambda W: W / (W.T @ W).norm().sqrt(), "multiplies two"),
        "the Gram matrix of |W|": (
            lambda W: W / (W.abs()[:, None] * W.abs()).sum(-1).norm().sqrt(),
            "for two matrices with the same entries",
        ),
        "the Gram bound in numpy": (
            lambda W: W / float(np.linalg.norm(W.numpy().T @ W.numpy())) ** 0.5,
            "This finds another number",
        ),
        "in place": (lambda W: W.div_(W.norm()), "divide into a new tensor"),
        "a bound": (lambda W: W.abs().max() * W.numel() ** 0.5, "is needed"),
        "not a function": (2.0, "A function of a matrix"),
    },
)
