"""The exercise of lesson 10 that multiplies by a Jacobian without forming it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function


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
)
