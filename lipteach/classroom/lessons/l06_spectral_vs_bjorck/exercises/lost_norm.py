"""The exercises of lesson 06: what a norm of 1 leaves open."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    compare_number,
    need_tensor,
    show_apart,
    show_values,
)
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.figures import convolution_matrix
from lipteach.classroom.own import Own
from lipteach.primitives import operator_norm

# --- 06.kept


def _judge_kept(answer: Any, mistakes: Sequence[Mistake]) -> None:
    ask = ""
    if isinstance(answer, (int, float)) and not 0.5 <= answer <= 1:
        ask = "At least ½ and at most 1 is kept in each direction: can their mean be outside?"
    elif isinstance(answer, (int, float)):
        ask = f"The mean of the squares would be {show_values(round(answer**2, 3))}: what is that "
        ask += "of cos² t, and what that of sin² t / 4?"
    compare_number(answer, KEPT, decimals=3, mistakes=mistakes, otherwise=ask)


KEPT = math.sqrt((1 + 0.25) / 2)
"""The root mean square of √(cos²t + sin²t/4) over all directions t."""


def _own_kept(draw: random.Random) -> Own:
    s = draw.randrange(201, 900, 2) / 1000
    value = math.sqrt((1 + s**2) / 2)
    return Own(
        given=f"the singular values are 1 and {s}",
        value=value,
        judge=partial(compare_number, value=value, decimals=3),
        mistakes={
            "squared": value**2,
            "Frobenius": math.sqrt(1 + s**2),
            "divided late": math.sqrt(1 + s**2) / 2,
            "all": 1,
            "the least": s,
        },
    )


# --- 06.one-direction

LOST = torch.tensor([0.6, 0.8], dtype=torch.float64)
KEPT_DIRECTION = torch.tensor([0.8, -0.6], dtype=torch.float64)
_OUTER = torch.outer(KEPT_DIRECTION, torch.tensor([1.0, 0.0], dtype=torch.float64))


def _judge_one_direction(answer: Any) -> None:
    """Norm 1 and Wᵀ(0.6, 0.8) = 0, so that ‖Wᵀ(0.8, −0.6)‖ is 1."""
    W = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "An entry of W is not finite.")
    norm = float(operator_norm(W))
    lost = float((W.T @ LOST).norm())
    if norm < 1e-9:
        raise Hint("constraint", "The zero matrix has norm 0: which matrix of norm 1 has rank 1?")
    if lost > 1e-5 and float((W @ LOST).norm()) < 1e-5:
        text = "W (0.6, 0.8) is 0, so this input is lost; does a gradient go through W or through"
        raise Hint("layout", f"{text} Wᵀ?")
    if lost < 1e-5 and abs(norm - 1) > 1e-5:
        text = f"The gradient is lost, but σ₁ = {show_apart(norm, 1.0)[0]}"
        ask = NEARLY if abs(norm - 1) < 0.015 else "what makes it 1?"
        raise Hint("constraint", f"{text}: {ask}")
    if abs(norm - 1) > 1e-5:
        text = f"σ₁ is {show_apart(norm, 1.0)[0]} and not 1"
        raise Hint("constraint", f"{text}: by what can W be divided?")
    if lost > 1e-5:
        ask = "to which vector must the columns of W be orthogonal?"
        raise Hint("value", f"Of (0.6, 0.8) the length {lost:.3f} is kept: {ask}")


# --- 06.kernel

_MEAN = torch.full((3, 3), 1 / 3, dtype=torch.float64)
_BOARD = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]).double()
_EDGE = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]]).double() / 3


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


EXERCISES = (
    Exercise(
        name="06.kept",
        vary=_own_kept,
        judge=_judge_kept,
        solution=KEPT,
        right={"three digits": 0.791, "a root": 0.625**0.5},
        mistakes={
            "root of the mean": (
                math.sqrt(0.75),
                "This is the root of the mean of 1 and ½: were they squared before?",
            ),
            "sum of squares": (
                1.25,
                "This is 1² + (½)²: which mean of cos² t comes to it?",
                lambda got: abs(got - 1.25) < 1e-3,
            ),
            "the other share": (
                math.sqrt(0.125),
                "This is what the direction of ½ adds alone: what does the other one add?",
            ),
            "shares of the ½": (
                math.sqrt(0.375),
                "Here ½ and ¼ are averaged: which two squares are there to average?",
            ),
            "mean of both": (
                0.75,
                "This is the mean of 1 and ½: which mean of the lengths is asked for?",
            ),
            "the least": (
                0.5,
                "This is the least that is kept: what do the other directions keep?",
            ),
            "all": (1, "Only one direction keeps all: which share does the other one keep?"),
            "squared": (0.625, "This is the mean of the squares: what is left to do?"),
            "Frobenius": (
                math.sqrt(1.25),
                "This is the Frobenius norm of W: the mean of cos² t is not 1.",
            ),
            "mean length": (
                0.7710,
                "This is the mean length: what is the mean of its square, and the root?",
            ),
            "divided late": (
                math.sqrt(1.25) / 2,
                "Divided after the root: is it a mean of lengths or of their squares?",
            ),
            "one direction": (
                math.sqrt(0.5),
                "As if the second singular value were 0: what does the ½ still keep?",
            ),
            "the least, squared": (
                0.25,
                "This is the square of ½: how much does the other direction add?",
            ),
        },
        wrong={"two digits": (0.79, "3 decimals"), "a pair": ([1.0, 0.5], "A number is needed")},
    ),
    Exercise(
        name="06.one-direction",
        judge=_judge_one_direction,
        solution=_OUTER,
        right={
            "projection": [[0.64, -0.48], [-0.48, 0.36]],
            "another row": torch.outer(KEPT_DIRECTION, LOST),
            "sign": -_OUTER,
        },
        wrong={
            "transposed": (_OUTER.T, "through Wᵀ"),
            "orthogonal": ([[0.6, -0.8], [0.8, 0.6]], "length 1.000 is kept"),
            "too large": (2 * _OUTER, "σ₁ = 2"),
            "three digits": ([[0.566, 0.566], [-0.424, -0.424]], "σ₁ is 1.0001 and"),
            "a little more": ([[0.8, 0.0], [-0.6, 0.01]], "σ₁ is 1.00002 and not 1"),
            "zero": (torch.zeros(2, 2), "zero matrix"),
            "first axis": ([[1.0, 0.0], [0.0, 0.0]], "length 0.600 is kept"),
            "not normalized": ([[1.0, 2.0], [3.0, 4.0]], "is 5.465"),
            "a vector": ([0.8, -0.6], "(2, 2) is needed"),
        },
    ),
    Exercise(
        name="06.kernel",
        judge=_judge_kernel,
        solution=_MEAN,
        right={
            "checkerboard": _MEAN * _BOARD,
            "a batch of one": _MEAN[None, None],
            "negative": -_MEAN,
        },
        wrong={
            "the centre": (
                [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
                "1.000, below 2.7: which entries are 0",
            ),
            "ones": (torch.ones(3, 3), "has norm 3"),
            "the mean": (torch.full((3, 3), 1 / 9), "only 0.333 is used"),
            "a row": ([[0.0] * 3, [math.sqrt(1 / 3)] * 3, [0.0] * 3], "1.6"),
            "an edge": (_EDGE, "if all inputs are 1"),
            "two by two": (torch.full((2, 2), 0.5), "shape (2, 2)"),
        },
    ),
)
