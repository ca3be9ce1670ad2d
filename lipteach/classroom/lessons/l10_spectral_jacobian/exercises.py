"""The exercises of lesson 10."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    call,
    close,
    compare_number,
    need_tensor,
    seeded,
    show_apart,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l10_spectral_jacobian.guarantee import GUARANTEE
from lipteach.classroom.lessons.l10_spectral_jacobian.penalty import REPAIR
from lipteach.classroom.watch import watch

# --- 10.radius: a small spectral radius and a large norm.


def _judge_radius(answer: Any) -> None:
    J = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(J).all()):
        raise Hint("value", "An entry is not finite: a large one will do.")
    radius = float(torch.linalg.eigvals(J).abs().max())
    norm = float(torch.linalg.matrix_norm(J, 2))
    if radius > 0.5 + 1e-6 and norm >= 10 - 1e-9:
        text = f"The norm is {norm:.4g}, and an eigenvalue has the size {radius:.4g}"
        raise Hint("constraint", f"{text}: which matrices show their eigenvalues at once?")
    if radius > 0.5 + 1e-6:
        raise Hint(
            "constraint", f"An eigenvalue has the size {show_apart(radius, 0.5)[0]}: above ½."
        )
    if norm < 10 - 1e-9:
        text = f"The eigenvalues are small enough, and the norm is {norm:.4g}"
        raise Hint("value", f"{text}: which entry may grow and leaves them alone?")


# --- 10.push: J v by two reverse passes.


@dataclass(frozen=True)
class _Network:
    """A function that a hint can name."""

    call: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return self.call(x)

    def __repr__(self) -> str:
        return "f"


# Drawn here, not when f is called: an answer may call f under vmap, which refuses randomness.
_V, _W = seeded(3, 3, seed=1), seeded(4, 3, seed=3)
_SQUARE = _Network(lambda x: torch.tanh(x @ _V.to(x)) ** 2)
_WIDER = _Network(lambda x: torch.tanh(x @ _W.T.to(x)))
_CURVED = _Network(lambda x: (x**2).sum(-1, keepdim=True) * x)
PUSHES = [
    (f, seeded(size, 3, seed=k), seeded(size, 3, seed=10 + k))
    for k, (f, size) in enumerate([(_SQUARE, 4), (_WIDER, 5), (_CURVED, 1)])
]


def push(
    f: Any, x: Tensor, v: Tensor, *, keep_graph: bool = True, ask_for_u: bool = True
) -> Tensor:
    """J v at each sample, by two reverse passes; without either option the second pass fails."""
    x = x.detach().requires_grad_()
    y = f(x)
    u = torch.zeros_like(y).requires_grad_(ask_for_u)
    g = torch.autograd.grad(y, x, u, create_graph=keep_graph)[0]
    pushed: Tensor = torch.autograd.grad(g, u, v)[0]
    return pushed


def _own(f: Any, x: Tensor, v: Tensor) -> Any:
    own: Any = torch.autograd.functional.jvp
    return own(f, x, v)[1]


_jacobian: Any = torch.autograd.functional.jacobian


def _pull(f: Any, x: Tensor, v: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    pulled: Tensor = torch.autograd.grad(f(x), x, v)[0]
    return pulled


def _quotient(f: Any, x: Tensor, v: Tensor, h: float = 1e-2) -> Tensor:
    quotient: Tensor = (f(x + h * v) - f(x)) / h
    return quotient


def _is_quotient(got: Tensor, _want: Tensor, f: Any, x: Tensor, v: Tensor) -> bool:
    steps = (1, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
    one_sided = [_quotient(f, x, v, h) for h in steps]
    central = [(_quotient(f, x, v, h) + _quotient(f, x, v, -h)) / 2 for h in steps]
    return any(close(got, quotient, 1e-6) for quotient in (*one_sided, *central))


def _judge_push(answer: Any, mistakes: Sequence[Mistake]) -> None:
    arguments, known = PUSHES[0], None
    try:
        compare_function(answer, push, PUSHES, mistakes=mistakes)
    except Hint as hint:
        if NEARLY not in hint.text:
            raise
        known = hint
    with watch() as seen:
        out = need_tensor(call(answer, *arguments))
    passes = seen.entries("tanh_backward") / out.numel()  # every derivative of f goes through tanh
    if passes == 0:
        text = "Near, but no derivative was taken: f was called at other points, for a quotient."
        raise Hint("constraint", f"{text} Which two backward passes are exact?", arguments)
    if known:
        raise known
    if passes > 2:
        text = f"Right, but {passes:g} backward passes a sample went through f, so that J is formed"
        ask = "which two are enough?"
        raise Hint("constraint", f"{text}: {ask}", arguments)


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
            "diagonal": ([[10.0, 0.0], [0.0, 0.5]], "show their eigenvalues"),
            "a swap": ([[0.0, 2.0], [2.0, 0.0]], "above ½"),
            "too tame": ([[0.5, 1.0], [0.0, 0.5]], "may grow"),
            "not finite": ([[0.0, math.inf], [0.0, 0.0]], "not finite"),
            "a vector": ([10.0, 0.5], "(2, 2) is needed"),
        },
    ),
    Exercise(
        name="10.push",
        judge=_judge_push,
        solution=push,
        right={
            "torch's own": _own,
            "forward mode": lambda f, x, v: jvp(f, (x,), (v,))[1],
            "one by one": lambda f, x, v: torch.cat(
                [push(f, x[k : k + 1], v[k : k + 1]) for k in range(len(x))]
            ),
        },
        mistakes={
            "no v": (
                lambda f, x, v: push(f, x, torch.ones_like(v)),
                "Where does v enter? This is J times a vector of ones.",
            ),
            "a unit v": (
                lambda f, x, v: push(f, x, v / v.norm(dim=1, keepdim=True)),
                "Is v to be made a unit vector here? J v of a longer v is longer.",
            ),
            "a coarse quotient": (
                _quotient,
                "This is a difference quotient, exact for a linear f only: which derivative is "
                "exact?",
                _is_quotient,
            ),
            "f at v": (
                lambda f, _x, v: f(v),
                "This is f(v), as if f were linear: at which point is the derivative taken?",
            ),
            "exchanged": (
                lambda f, x, v: push(f, v, x),
                "x and v change places: which is the point, and which the direction?",
            ),
            "half": (
                lambda f, x, v: push(f, x, v) / 2,
                "Half of it: is the second pass a mean?",
            ),
            "twice": (
                lambda f, x, v: 2 * push(f, x, v),
                "Twice of it: does a pass add its gradient to one that is there already?",
            ),
            "the transpose": (
                _pull,
                "On a square Jacobian this gives Jᵀv: through which pass does v go?",
            ),
            "no graph": (
                lambda f, x, v: push(f, x, v, keep_graph=False),
                "A pass finds no graph: does x require one, what keeps the graph of g?",
            ),
            "u is a constant": (
                lambda f, x, v: push(f, x, v, ask_for_u=False),
                "g is differentiated by u: does PyTorch know that u will be asked?",
            ),
        },
        wrong={
            "explicit": (
                lambda f, x, v: torch.stack(
                    [_jacobian(f, row[None])[0, :, 0] @ w for row, w in zip(x, v, strict=True)]
                ),
                "3 backward passes",
            ),
            "a fine quotient": (
                lambda f, x, v: (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6,
                "no derivative was taken",
            ),
            "of one sample": (lambda f, x, v: push(f, x, v)[0], "the result has shape"),
            "a tuple of one": (lambda f, x, v: (push(f, x, v),), "only entry"),
            "a number": (1.0, "A function"),
        },
    ),
    Exercise(
        name="10.shared",
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
