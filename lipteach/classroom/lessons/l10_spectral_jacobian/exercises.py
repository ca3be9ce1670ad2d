"""The exercises of lesson 10."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    compare_number,
    need_tensor,
    show_apart,
)
from lipteach.classroom.lessons.l10_spectral_jacobian.guarantee import GUARANTEE
from lipteach.classroom.lessons.l10_spectral_jacobian.penalty import REPAIR
from lipteach.classroom.lessons.l10_spectral_jacobian.push import PUSH
from lipteach.classroom.own import Own

# --- 10.radius: a small spectral radius and a large norm.


def _judge_radius(answer: Any) -> None:
    J = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(J).all()):
        raise Hint("value", "An entry is not finite: a large one will do.")
    radius = float(torch.linalg.eigvals(J).abs().max())
    norm = float(torch.linalg.matrix_norm(J, 2))
    if radius > 0.5 + 1e-6:
        raise Hint("constraint", f"{_why_large(J, radius)} (The norm is {norm:.4g}.)")
    if norm < 10 - 1e-9:
        shown = show_apart(norm, 10.0)[0]
        text = f"The eigenvalues are small enough, and the norm is {shown}"
        raise Hint("value", f"{text}: which entry may grow and leaves them alone?")


def _why_large(J: Tensor, radius: float) -> str:
    """Where an eigenvalue above ½ comes from."""
    text = f"An eigenvalue has the size {show_apart(radius, 0.5)[0]}, above ½"
    (a, b), (c, d) = J.tolist()
    if b == 0 or c == 0:
        return f"{text}: it stands on the diagonal. Which entry is no eigenvalue here?"
    if a == d == 0:
        return f"{text}: its square is the product of your two entries. Must both be there?"
    return f"{text}: trace and determinant fix it. Which matrices show their eigenvalues at once?"


# --- 10.shared: one u for two samples.

SHARED = 2.5
"""‖(3, 4)‖/2: the mean of 3 |a| and 4 |b| over two samples, at the best unit (a, b)."""


# --- 10.unseen: a slope where no sample was.


def bent(x: Tensor) -> Tensor:
    """The function of the exercise: slope 1 up to 2, and slope 3 beyond."""
    return torch.maximum(x, 3 * x - 4)


def _judge_unseen(answer: Any) -> None:
    x = need_tensor(answer, (2,))
    if not bool(torch.isfinite(x).all()):
        raise Hint("value", "A point is not finite.")
    apart = float((x[1] - x[0]).abs())
    if apart < 1e-6:
        raise Hint("constraint", "Two different points are needed, and these are one.")
    ratio = float((bent(x)[1] - bent(x)[0]).abs()) / apart
    if ratio > 2.5:
        return
    if float(x.max()) <= 1:
        raise Hint(
            "value", "Here the network was seen, and there its slope is 1: where was it not?"
        )
    if ratio > 1 + 1e-9:
        text = f"A stretch by {ratio:.4g}, and not more"
        raise Hint("value", f"{text}: how much of the way has slope 1 still?")
    raise Hint(
        "value", "The slope is 1 from here to there: from where on is 3 x − 4 larger than x?"
    )


# --- 10.tall: what one tall layer costs.

TALL = 10 * math.sqrt(784 / 1024)
"""The root mean square singular value of 784-1024³-10 with random orthonormal weights, times 10."""


def _own_shared(draw: random.Random) -> Own:
    a, b = draw.randrange(21, 50) / 10, draw.randrange(51, 100) / 10
    value = math.hypot(a, b) / 2
    return Own(
        given=f"J₁ = diag({a}, 0) and J₂ = diag(0, {b})",
        value=value,
        judge=partial(compare_number, value=value, tol=5e-4),
        mistakes={
            "the largest": b,
            "the sum of norms": a + b,
            "the sum": 2 * value,
            "along the second": b / 2,
            "along the first": a / 2,
            "halves": (a + b) / 4,
            "the smaller norm": a,
            "the product": a * b,
            "root mean square": math.sqrt(2) * value,
        },
    )


def _own_tall(draw: random.Random) -> Own:
    n = draw.randrange(301, 1000, 2)
    value = 10 * math.sqrt(n / 1024)
    return Own(
        given=f"the network is {n}-1024-1024-1024-10, times L = 10",
        value=value,
        judge=partial(compare_number, value=value, decimals=2),
        mistakes={
            "all square": 10,
            "squared": value**2 / 10,
            "upside down": 100 / value,
            "no factor": value / 10,
            "ReLU, square": 10 / math.sqrt(8),
            "ReLU": value / math.sqrt(8),
            "one singular value": value * math.sqrt(10),
            "L in the root": value / math.sqrt(10),
            "three tall layers": value**3 / 100,
        },
    )


EXERCISES = (
    Exercise(
        name="10.radius",
        judge=_judge_radius,
        solution=[[0.5, 10.0], [0.0, 0.5]],
        right={
            "nilpotent": [[0, 10], [0, 0]],
            "lower": torch.tensor([[0.1, 0.0], [-30.0, -0.2]]),
            "complex eigenvalues": [[0.0, 100.0], [-0.0025, 0.0]],
        },
        wrong={
            "diagonal": ([[10.0, 0.0], [0.0, 0.5]], "on the diagonal"),
            "a swap": ([[0.0, 20.0], [2.0, 0.0]], "the product of your two entries"),
            "full": ([[5.0, 10.0], [-2.5, -5.2]], "show their eigenvalues"),
            "the trace halved": ([[0.51, 10.0], [0.0, 0.5]], "the size 0.51,"),
            "too tame": ([[0.5, 1.0], [0.0, 0.5]], "may grow"),
            "not finite": ([[0.0, math.inf], [0.0, 0.0]], "not finite"),
            "a vector": ([10.0, 0.5], "(2, 2) is needed"),
        },
    ),
    PUSH,
    Exercise(
        name="10.shared",
        vary=_own_shared,
        judge=partial(
            compare_number,
            value=SHARED,
            tol=5e-4,
            otherwise="u = (1, 0) gives the norms 3 and 0, with the mean 1.5: which u gives more?",
        ),
        solution=SHARED,
        right={"a fraction": 5 / 2, "an integer ratio": 50 / 20},
        mistakes={
            "the mean of norms": (
                3.5,
                "This is the mean of the two norms: can one u give 3 and 4 at once?",
            ),
            "the largest": (
                4,
                'This is the largest of the two: which reading was it, "shared" or "whole"?',
            ),
            "the sum of norms": (
                7,
                "This is the sum of both norms: can one u give both, and is it a mean?",
            ),
            "the sum": (
                5,
                "This is the largest sum of ‖J₁ᵀu‖ and ‖J₂ᵀu‖: how many samples are there?",
            ),
            "along the second": (
                2,
                "This is what u = e₂ gives: does it pay to turn it a little towards e₁?",
            ),
            "along the first": (
                1.5,
                "This is what u = e₁ gives, and e₂ alone gives more: and between them?",
            ),
            "diagonal": (
                7 / math.sqrt(8),
                "u = (1, 1)/√2 treats both alike: which direction is (3, 4)?",
            ),
            "exchanged": (
                2.4,
                "This is what u = (4, 3)/5 gives: which of the two entries meets the 4?",
            ),
            "halves": (
                1.75,
                "This is what a = b = ½ gives: is (½, ½) of length 1?",
            ),
            "one alone": (
                1.8,
                "This is 3 · 0.6, one sample of the best u: what does the other add, and where "
                "is the mean?",
            ),
            "the smaller norm": (
                3,
                "This is the norm of J₁ alone: what does the mean over two samples give at e₁?",
            ),
            "squares": (
                12.5,
                "This is the mean of the squares 9 and 16: is anything squared in the penalty?",
            ),
            "the sum of squares": (
                25,
                "This is 9 + 16: is there no root, and no mean, in the largest (3 a + 4 b)/2?",
            ),
            "the product": (
                12,
                "This is the product of the norms: are J₁ and J₂ two layers, or two samples?",
            ),
            "root mean square": (
                math.sqrt(12.5),
                "The root of the mean of the squares belongs to another penalty.",
            ),
        },
        wrong={"a direction": ([0.6, 0.8], "a list")},
    ),
    Exercise(
        name="10.unseen",
        judge=_judge_unseen,
        solution=[3.0, 4.0],
        right={
            "far apart": [2.5, 100.0],
            "backwards": torch.tensor([10.0, 2.0]),
            "mostly beyond": [1.9, 9.0],
        },
        wrong={
            "seen": ([0.0, 1.0], "was seen"),
            "on the left": ([1.2, 1.9], "larger than x"),
            "half of the way": ([0.0, 4.0], "stretch by 2,"),
            "not more": ([0.0, 8.0], "stretch by 2.5"),
            "one point": ([3.0, 3.0], "these are one"),
            "not finite": ([3.0, math.inf], "not finite"),
            "three points": ([1.0, 2.0, 3.0], "(2,) is needed"),
        },
    ),
    Exercise(
        name="10.tall",
        vary=_own_tall,
        judge=partial(
            compare_number,
            value=TALL,
            decimals=2,
            otherwise="Of a random direction in 1024 dimensions, which share of the square lies "
            "in 784 of them?",
        ),
        solution=TALL,
        right={"two decimals": 8.75, "by 28 and 32": 10 * 28 / 32},
        mistakes={
            "one decimal": (
                8.8,
                "Near it: is this rounded, or of one draw? On average the share is a plain "
                "fraction.",
                lambda got: abs(got - TALL) < 0.1,
            ),
            "all square": (
                10,
                "So it is if every layer is square: what does the first layer do going back?",
            ),
            "squared": (
                10 * 784 / 1024,
                "This share is kept of the squared length: and of the length?",
            ),
            "upside down": (
                10 * math.sqrt(1024 / 784),
                "Above L = 10: can an orthonormal layer make longer?",
            ),
            "no factor": (TALL / 10, "And the factor L at the output?"),
            "the share": (
                784 / 1024,
                "This share is of the squared length, and of f/10: and for L = 10?",
            ),
            "ReLU, square": (
                10 / math.sqrt(8),
                "ReLU keeps an eighth of the squares: what does sorting keep?",
            ),
            "ReLU": (
                10 * math.sqrt(784 / 1024 / 8),
                "This is for ReLU: does sorting switch units off?",
            ),
            "one singular value": (
                TALL * math.sqrt(10),
                "This is the root of the sum of the squares: of how many is it the mean?",
            ),
            "L in the root": (
                math.sqrt(10 * 784 / 1024),
                "Here L = 10 stands within the root: by what are singular values of 10 f larger?",
            ),
            "what is lost": (
                10 * math.sqrt(240 / 1024),
                "This is the part that is lost, 240 of 1024: which part is kept?",
            ),
            "the share that is lost": (
                10 * 240 / 1024,
                "This is the share of the squares that is lost: which is kept, and of the length?",
            ),
            "outputs by inputs": (
                10 * math.sqrt(10 / 784),
                "Are 10 outputs of 784 inputs a loss? A wide orthonormal layer keeps all of u.",
            ),
            "of one": (
                1,
                "This is f, if every layer is square: where is L, and which layer is not square?",
            ),
            "a trained one": (
                9.5,
                "So it may be after training: with random weights, what does the tall layer keep?",
                lambda got: 9 <= got < 10,
            ),
            "the last layer": (
                10 * math.sqrt(10 / 1024),
                "The last layer is wide, and going back loses nothing.",
            ),
            "three tall layers": (
                10 * math.sqrt(784 / 1024) ** 3,
                "How many of the layers are tall?",
            ),
        },
        wrong={"a list": ([8.75, 8.75], "a list")},
    ),
    REPAIR,
    GUARANTEE,
)
