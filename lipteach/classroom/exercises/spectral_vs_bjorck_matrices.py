"""The exercises of lesson 06 that ask what a norm of 1 leaves open: two matrices and a number."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import compare_number, need_tensor
from lipteach.classroom.figures.spectral_vs_bjorck import convolution_matrix
from lipteach.primitives import operator_norm

KEPT = math.sqrt((1 + 0.25) / 2)
"""The root mean square of √(cos²t + sin²t/4) over all directions t."""


def _judge_kept(answer: Any) -> None:
    compare_number(
        answer,
        KEPT,
        tol=5e-4,
        mistakes=[
            (0.75, "This is the mean of 1 and ½: which mean of the lengths is asked for?"),
            (0.5, "This is the least that is kept: what do the other directions keep?"),
            (1, "Only one direction keeps all: which share does the other one keep?"),
            (0.625, "This is the mean of the squares: what is left to do?"),
            (math.sqrt(1.25), "This is the Frobenius norm of W: the mean of cos² t is not 1."),
            (0.7710, "This is the mean length: what is the mean of its square, and the root?"),
            (
                math.sqrt(1.25) / 2,
                "Divided after the root: is it a mean of lengths or of their squares?",
            ),
            (math.sqrt(0.5), "As if the second singular value were 0: what does the ½ still keep?"),
            (0.25, "This is the square of ½: how much does the other direction add?"),
        ],
    )


LOST = torch.tensor([0.6, 0.8], dtype=torch.float64)
KEPT_DIRECTION = torch.tensor([0.8, -0.6], dtype=torch.float64)


def _judge_one_direction(answer: Any) -> None:
    """Norm 1, Wᵀ(0.6, 0.8) = 0 and ‖Wᵀ(0.8, −0.6)‖ = 1."""
    W = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "An entry of W is not finite.")
    norm = float(operator_norm(W))
    lost, kept = float((W.T @ LOST).norm()), float((W.T @ KEPT_DIRECTION).norm())
    if norm < 1e-9:
        raise Hint("constraint", "The zero matrix has norm 0: which matrix of norm 1 has rank 1?")
    if lost > 1e-5 and float((W @ LOST).norm()) < 1e-5:
        text = "W (0.6, 0.8) is 0, so this input is lost; does a gradient go through W or through"
        raise Hint("layout", f"{text} Wᵀ?")
    if lost < 1e-5 and abs(norm - 1) > 1e-5:
        raise Hint("constraint", f"The gradient is lost, but σ₁ = {norm:.4g}: what makes it 1?")
    if abs(norm - 1) > 1e-5:
        raise Hint("constraint", f"σ₁ is {norm:.4g} and not 1: by what can W be divided?")
    if lost > 1e-5:
        ask = "to which vector must the columns of W be orthogonal?"
        raise Hint("value", f"Of (0.6, 0.8) the length {lost:.3f} is kept: {ask}")
    if abs(kept - 1) > 1e-5:
        raise Hint("value", f"Of (0.8, −0.6) the length {kept:.3f} is kept, and it should be all.")


def _judge_kernel(answer: Any) -> None:
    """Flattened norm at most 1, and an operator norm of at least 2.7 on 8 × 8 images."""
    kernel = need_tensor(answer)
    if kernel.numel() == 9 and kernel.shape != (3, 3):
        kernel = kernel.squeeze()
    if kernel.shape != (3, 3):
        text = f"A kernel of shape (3, 3) is needed; this one has shape {tuple(kernel.shape)}."
        raise Hint("shape", text)
    if not bool(torch.isfinite(kernel).all()):
        raise Hint("value", "An entry of the kernel is not finite.")
    flat = float(kernel.norm())
    if flat > 1 + 1e-5:
        text = f"The flattened kernel, a row of 9, has norm {flat:.4g}: by what can it be divided?"
        raise Hint("constraint", text)
    norm = float(operator_norm(convolution_matrix(kernel[None, None], 8)))
    if norm < 2.7:
        ask = "how large is one output pixel if all inputs are 1?"
        if flat < 0.99:
            ask = f"and of the flattened norm only {flat:.3g} is used. Is there room?"
        elif int((kernel.abs() > 1e-6).sum()) < 9:
            ask = "which entries are 0, and could they help?"
        raise Hint("value", f"The operator norm on 8 × 8 images is {norm:.3f}, below 2.7: {ask}")


_OUTER = torch.outer(KEPT_DIRECTION, torch.tensor([1.0, 0.0], dtype=torch.float64))
_MEAN = torch.full((3, 3), 1 / 3, dtype=torch.float64)
_CENTRE = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
_MIDDLE_ROW = [[0.0] * 3, [math.sqrt(1 / 3)] * 3, [0.0] * 3]
_EDGE = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]]).double() / 3


def _signs(matrix: Tensor) -> Tensor:
    """The checkerboard of a kernel: it has the same operator norm."""
    board = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])
    return matrix * board


EXERCISES = (
    Exercise(
        name="06.kept",
        question="The root mean square of the gradient length kept by singular values 1 and ½.",
        difficulty=1,
        minutes=5,
        judge=_judge_kept,
        solution=KEPT,
        right={"three digits": 0.791, "a tensor": torch.tensor(KEPT), "a root": 0.625**0.5},
        wrong={
            "mean of both": (0.75, "mean of 1 and ½"),
            "the least": (0.5, "the least"),
            "all": (1, "Only one direction"),
            "squared": (0.625, "mean of the squares"),
            "Frobenius": (1.118, "Frobenius"),
            "mean length": (0.771, "mean length"),
            "divided late": (0.559, "after the root"),
            "one direction": (0.7071, "were 0"),
            "two digits": (0.8, "not the number"),
            "a pair": ([1.0, 0.5], "A number is needed"),
        },
    ),
    Exercise(
        name="06.one-direction",
        question="A matrix of norm 1 that loses one gradient and keeps the one orthogonal to it.",
        difficulty=2,
        minutes=8,
        judge=_judge_one_direction,
        solution=_OUTER,
        right={
            "projection": [[0.64, -0.48], [-0.48, 0.36]],
            "float32": _OUTER.float(),
            "another row": torch.outer(KEPT_DIRECTION, LOST),
            "sign": -_OUTER,
        },
        wrong={
            "transposed": (_OUTER.T, "through Wᵀ"),
            "orthogonal": ([[0.6, -0.8], [0.8, 0.6]], "length 1.000 is kept"),
            "too large": (2 * _OUTER, "σ₁ = 2"),
            "zero": (torch.zeros(2, 2), "zero matrix"),
            "first axis": ([[1.0, 0.0], [0.0, 0.0]], "length 0.600 is kept"),
            "not normalized": ([[1.0, 2.0], [3.0, 4.0]], "is 5.465"),
            "a vector": ([0.8, -0.6], "(2, 2) is needed"),
        },
    ),
    Exercise(
        name="06.kernel",
        question="A 3 × 3 kernel of flattened norm 1 and operator norm at least 2.7.",
        difficulty=2,
        minutes=6,
        judge=_judge_kernel,
        solution=_MEAN,
        right={
            "checkerboard": _signs(_MEAN),
            "float32": _MEAN.float(),
            "a batch of one": _MEAN[None, None],
            "negative": -_MEAN,
        },
        wrong={
            "the centre": (_CENTRE, "1.000, below 2.7: which entries are 0"),
            "ones": (torch.ones(3, 3), "has norm 3"),
            "the mean": (torch.full((3, 3), 1 / 9), "only 0.333 is used"),
            "a row": (_MIDDLE_ROW, "1.6"),
            "an edge": (_EDGE, "if all inputs are 1"),
            "two by two": (torch.full((2, 2), 0.5), "shape (2, 2)"),
        },
    ),
)
