"""10.push: J v by two reverse passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import NEARLY, call, close, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import watch


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


def _pull_ones(f: Any, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    pulled: Tensor = torch.autograd.grad(f(x).sum(), x)[0]
    return pulled


def _quotient(f: Any, x: Tensor, v: Tensor, h: float = 1e-2) -> Tensor:
    quotient: Tensor = (f(x + h * v) - f(x)) / h
    return quotient


def _is_quotient(got: Tensor, _want: Tensor, f: Any, x: Tensor, v: Tensor) -> bool:
    steps = (1, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
    one_sided = [_quotient(f, x, v, h) for h in steps]
    central = [(_quotient(f, x, v, h) + _quotient(f, x, v, -h)) / 2 for h in steps]
    return any(close(got, quotient, 1e-6) for quotient in (*one_sided, *central))


_RAISED = {  # what PyTorch says, and what it asks
    "does not require grad and does not have": "A pass finds no graph: does x require one, what "
    "keeps the graph of g?",
    "One of the differentiated Tensors does not require grad": "g is differentiated by u: does "
    "PyTorch know that u will be asked?",
    "to not have been used in the graph": "What you differentiate does not depend on what you "
    "differentiate it by: was it made before, or detached?",
    "through the graph a second time": "A pass has thrown its graph away: which of the two must "
    "keep it for the other?",
    "Mismatch in shape: grad_output": "v does not fit the pass that it was given to: of the "
    "inputs and the outputs, which does v belong to, and which the first pass?",
    "grad can be implicitly created only for scalar": "A pass from many outputs needs a vector "
    "to start from: which one stands there in Jᵀu?",
}
"""By a part of the exception's text; a student's own line stands in it, too."""


def _judge_push(answer: Any, mistakes: Sequence[Mistake]) -> None:
    arguments, known = PUSHES[0], None
    try:
        compare_function(answer, push, PUSHES, mistakes=mistakes)
    except Hint as hint:
        for raised, said in _RAISED.items():
            if raised in hint.text:
                raise Hint(hint.kind, said, hint.example) from None
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


PUSH = Exercise(
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
            "This is a difference quotient, exact for a linear f only: which derivative is exact?",
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
        "f after a step": (
            lambda f, x, v: f(x + v),
            "This is f(x + v), a value: what does f change by, and in the limit?",
        ),
        "f itself": (
            lambda f, x, _v: f(x),
            "This is f(x): of a pair (f(x), J v), which part is asked for?",
        ),
        "at zero": (
            lambda f, x, v: push(f, torch.zeros_like(x), v),
            "This is J at 0: u may stand at 0, and where does x stand?",
        ),
        "a unit result": (
            lambda f, x, v: torch.nn.functional.normalize(push(f, x, v), dim=1),
            "This has length 1, as the next u: is J v itself to be divided?",
        ),
        "one v for all": (
            lambda f, x, v: push(f, x, v[:1].expand_as(v)),
            "This takes the first v for every sample: which v belongs to the second?",
        ),
        "the mean v": (
            lambda f, x, v: push(f, x, v.mean(dim=0).expand_as(v)),
            "This takes the mean of all v: has each sample its own?",
        ),
        "the mean of all": (
            lambda f, x, v: push(f, x, v).mean(dim=0).expand(len(x), -1),
            "This gives each sample the mean over the batch: is J v asked for at each?",
        ),
        "a gradient, times v": (
            lambda f, x, v: v * _pull_ones(f, x),
            "This is the gradient of the sum of all outputs times v: has J v an entry for "
            "each input, or for each output?",
        ),
        "a gradient": (
            lambda f, x, _v: _pull_ones(f, x),
            "This is Jᵀ(1, …, 1), one backward pass: where does v enter?",
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
)
