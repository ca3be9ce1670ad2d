"""The exercises of lesson 10."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, compare_number, need_number, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function


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
        raise Hint("constraint", f"An eigenvalue has the size {radius:.4g}: above ½.")
    if norm < 10 - 1e-9:
        text = f"The eigenvalues are small enough, and the norm is {norm:.4g}"
        raise Hint("value", f"{text}: which entry may grow and leaves them alone?")


SHARED = 2.5
"""‖(3, 4)‖/2: the mean of 3 |a| and 4 |b| over two samples, at the best unit (a, b)."""


def _judge_shared(answer: Any) -> None:
    compare_number(
        answer,
        SHARED,
        tol=5e-4,
        mistakes=[
            (3.5, "This is the mean of the two norms: can one u give 3 and 4 at once?"),
            (4, 'This is the largest of the two: which reading was it, "shared" or "whole"?'),
            (7, "This is the sum of both norms: can one u give both, and is it a mean?"),
            (5, "This is the largest sum of ‖J₁ᵀu‖ and ‖J₂ᵀu‖: how many samples are there?"),
            (2, "This is what u = e₂ gives: does it pay to turn it a little towards e₁?"),
            (1.5, "This is what u = e₁ gives, and e₂ alone gives more: and between them?"),
            (7 / math.sqrt(8), "u = (1, 1)/√2 treats both alike: which direction is (3, 4)?"),
            (math.sqrt(12.5), "The root of the mean of the squares belongs to another penalty."),
        ],
    )


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


TALL = 10 * math.sqrt(784 / 1024)
"""The root mean square singular value of 784-1024³-10 with random orthonormal weights, times 10."""


def _judge_tall(answer: Any) -> None:
    near = "Near it: is this rounded, or of one draw? On average the share is a plain fraction."
    compare_number(
        answer,
        TALL,
        tol=5e-3,  # for the mistakes, which come rounded too
        mistakes=[
            (When(lambda got: abs(got - TALL) < 0.1), near),
            (10, "So it is if every layer is square: what does the first layer do going back?"),
            (10 * 784 / 1024, "This share is kept of the squared length: and of the length?"),
            (10 * math.sqrt(1024 / 784), "Above L = 10: can an orthonormal layer make longer?"),
            (TALL / 10, "And the factor L at the output?"),
            (784 / 1024, "This share is of the squared length, and of f/10: and for L = 10?"),
            (10 / math.sqrt(8), "ReLU keeps an eighth of the squares: what does sorting keep?"),
            (10 * math.sqrt(784 / 1024 / 8), "This is for ReLU: does sorting switch units off?"),
            (10 * math.sqrt(10 / 1024), "The last layer is wide, and going back loses nothing."),
            (10 * math.sqrt(784 / 1024) ** 3, "How many of the layers are tall?"),
        ],
    )
    if abs(need_number(answer) - TALL) > 0.0055:
        raise Hint("value", near)


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


def push(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """J v at each sample, by two reverse passes."""
    x = x.detach().requires_grad_()
    y = f(x)
    u = torch.zeros_like(y).requires_grad_()
    g = torch.autograd.grad(y, x, u, create_graph=True)[0]
    pushed: Tensor = torch.autograd.grad(g, u, v)[0]
    return pushed


def _pull(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    pulled: Tensor = torch.autograd.grad(f(x), x, v)[0]
    return pulled


def _quotient(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor, h: float = 1e-2) -> Tensor:
    return (f(x + h * v) - f(x)) / h


def _difference(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    return _quotient(f, x, v, h=1)


def _ones(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    return push(f, x, torch.ones_like(v))


def _unit(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    return push(f, x, v / v.norm(dim=1, keepdim=True))


def _own(f: Any, x: Tensor, v: Tensor) -> Any:
    own: Any = torch.autograd.functional.jvp
    return own(f, x, v)[1]


def _explicit(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    jacobian: Any = torch.autograd.functional.jacobian
    rows = [jacobian(f, row[None])[0, :, 0] @ w for row, w in zip(x, v, strict=True)]
    return torch.stack(rows)


def _vmapped(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    J = vmap(jacrev(f))(x)
    return torch.einsum("bmn,bn->bm", J, v)


def _x_without(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    y = f(x)
    u = torch.zeros_like(y).requires_grad_()
    g = torch.autograd.grad(y, x, u, create_graph=True)[0]
    pushed: Tensor = torch.autograd.grad(g, u, v)[0]
    return pushed


def _no_graph(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    y = f(x)
    u = torch.ones_like(y).requires_grad_()
    g = torch.autograd.grad(y, x, u)[0]
    pushed: Tensor = torch.autograd.grad(g, u, v)[0]
    return pushed


def _constant_u(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    y = f(x)
    u = torch.ones_like(y)
    g = torch.autograd.grad(y, x, u, create_graph=True)[0]
    pushed: Tensor = torch.autograd.grad(g, u, v)[0]
    return pushed


def _judge_push(answer: Any) -> None:
    far = "This is a difference quotient, exact for a linear f only: which derivative is exact?"
    compare_function(
        answer,
        push,
        PUSHES,
        mistakes=[
            (_ones, "Where does v enter? This is J times a vector of ones."),
            (_unit, "Is v to be made a unit vector here? J v of a longer v is longer."),
            (_quotient, far),
            (_difference, far),
            (_pull, "On a square Jacobian this gives Jᵀv: through which pass does v go?"),
            (_no_graph, "A pass finds no graph: does x require one, what keeps the graph of g?"),
            (_constant_u, "g is differentiated by u: does PyTorch know that u will be asked?"),
        ],
    )


EXERCISES = (
    Exercise(
        name="10.radius",
        question="A 2 × 2 Jacobian with eigenvalues of size at most ½ and norm at least 10.",
        difficulty=1,
        minutes=5,
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
        question="J v at each sample of a batch, without forming J.",
        difficulty=2,
        minutes=10,
        judge=_judge_push,
        solution=push,
        right={
            "float32": lambda f, x, v: push(f, x.float(), v.float()),
            "torch's own": _own,
            "explicit": _explicit,
            "explicit, by vmap": _vmapped,
            "a fine quotient": lambda f, x, v: (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6,
        },
        wrong={
            "the transpose": (_pull, "gives Jᵀv"),
            "a coarse quotient": (_quotient, "difference quotient"),
            "no v": (_ones, "vector of ones"),
            "a unit v": (_unit, "made a unit vector"),
            "no graph": (_no_graph, "the graph of g"),
            "u is a constant": (_constant_u, "differentiated by u"),
            "of one sample": (lambda f, x, v: push(f, x, v)[0], "the result has shape"),
            "a tuple of one": (lambda f, x, v: (push(f, x, v),), "only entry"),
            "a number": (1.0, "A function"),
        },
    ),
    Exercise(
        name="10.shared",
        question="What one u for two samples climbs to, with Jacobians diag(3, 0) and diag(0, 4).",
        difficulty=2,
        minutes=8,
        judge=_judge_shared,
        solution=SHARED,
        right={"a fraction": 5 / 2, "a tensor": torch.tensor(2.5), "an integer ratio": 50 / 20},
        wrong={
            "the mean of norms": (3.5, "3 and 4 at once"),
            "the largest": (4, "whole"),
            "the sum": (5.0, "largest sum"),
            "the sum of norms": (7, "sum of both"),
            "along the second": (2.0, "towards e₁"),
            "along the first": (1.5, "and between them"),
            "diagonal": (2.4749, "treats both alike"),
            "root mean square": (3.5355, "another penalty"),
            "a direction": ([0.6, 0.8], "a list"),
        },
    ),
    Exercise(
        name="10.unseen",
        question="Two points that a network, rescaled by its estimate on [0, 1], stretches by 2.5.",
        difficulty=1,
        minutes=5,
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
        question="The root mean square singular value of a random network 784-1024³-10, L = 10.",
        difficulty=2,
        minutes=8,
        judge=_judge_tall,
        solution=TALL,
        right={"two decimals": 8.75, "by 28 and 32": 10 * 28 / 32, "a tensor": torch.tensor(8.75)},
        wrong={
            "one decimal": (8.8, "rounded"),
            "the share": (0.7656, "of f/10"),
            "ReLU, square": (3.5355, "what does sorting keep"),
            "all square": (10, "every layer is square"),
            "squared": (7.65625, "squared length"),
            "upside down": (11.4286, "make longer"),
            "no factor": (0.875, "factor L"),
            "ReLU": (3.09359, "switch units off"),
            "the last layer": (0.98821, "The last layer is wide"),
            "three tall layers": (6.69922, "How many"),
            "a list": ([8.75, 8.75], "a list"),
        },
    ),
)
