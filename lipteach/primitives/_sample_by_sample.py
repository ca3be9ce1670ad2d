"""Derivatives of a function at each sample of a batch, by vmap, or one by one where it fails.

`torch.func` refuses what asks for data or counts, what draws numbers, and many an operation (PReLU,
``.item()``, an ``autograd.Function`` of the older kind, …). What it refuses is done by
`torch.autograd`, sample by sample: the same numbers, only slower.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jacrev, vjp, vmap

from lipteach.primitives._validate import first_line, transforming

Function = Callable[[Tensor], Tensor]


def jacobians(f: Function, x: Tensor) -> Tensor:
    """The Jacobian of f at each sample of x, by reverse passes: (batch, outputs, inputs)."""
    run = leaving(f)

    def one(sample: Tensor) -> Tensor:
        return run(sample[None]).flatten()

    with _refused() as refused:
        J: Tensor = vmap(jacrev(one))(x)
    if refused:
        with _explained():
            J = torch.stack([_jacobian(one, sample) for sample in x])
    return J.flatten(2)


def pull_and_push(one: Function, x: Tensor, u: Tensor) -> tuple[Tensor, Function]:
    """Jᵀu of shape (batch, …), and the function v ↦ J v; u has shape (batch, m).

    The samples are kept apart by vmap, so that one backward pass serves them all.
    """

    def by_autograd(v: Tensor) -> Tensor:
        return _pull_and_push(one, x, u)[1](v)

    with _refused() as refused:
        pull = vjp(vmap(one), x)[1]
        g, push = vjp(lambda u: pull(u)[0], u)[:2]
    if refused:
        return _pull_and_push(one, x, u)

    def forward(v: Tensor) -> Tensor:
        with _refused() as refused:
            h: Tensor = push(v)[0]
        return by_autograd(v) if refused else h

    return g, forward


def _jacobian(one: Function, sample: Tensor) -> Tensor:
    """The Jacobian at one sample, (outputs, …)."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        leaf, y = _traced(one, sample[None])
        rows = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)[:, None]
        found = [
            torch.autograd.grad(y, leaf, row, retain_graph=True, create_graph=graph)[0][0]
            for row in rows
        ]
    return torch.stack(found)


def _pull_and_push(one: Function, x: Tensor, u: Tensor) -> tuple[Tensor, Function]:
    graph = torch.is_grad_enabled()
    with torch.enable_grad(), _explained():
        leaf, y = _traced(one, x)
        dual = u.detach().clone().requires_grad_()
        (g,) = torch.autograd.grad(y, leaf, dual, create_graph=True)

    def push(v: Tensor) -> Tensor:
        with torch.enable_grad(), _explained():  # g is linear in u, and its derivative gives J v
            (h,) = torch.autograd.grad(g, dual, v, create_graph=True)
        return h if graph else h.detach()

    return (g if graph else g.detach()), push


def _traced(one: Function, x: Tensor) -> tuple[Tensor, Tensor]:
    """The samples and what f makes of each, with a graph, even where f leaves them out."""
    leaf = x if x.requires_grad else x.detach().requires_grad_()
    y = torch.stack([one(sample.clone()) for sample in leaf])  # f may work in place
    if not torch.allclose(one(leaf[0].clone()), y[0], equal_nan=True):
        raise ValueError("f must not draw random numbers; its output differs from call to call.")
    return leaf, y + 0 * leaf.flatten(1)[:, :1]


@contextmanager
def _refused() -> Iterator[list[Exception]]:
    """What torch.func refuses within, as the only entry of a list; raised where it must be."""
    refused: list[Exception] = []
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")  # nothing to act on
            yield refused
    except Exception as error:
        if transforming():
            raise
        refused.append(error)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        said = first_line(error)
        raise ValueError(f"The Jacobian of f cannot be computed: {said}") from error


def leaving(f: Function) -> Function:
    """What f does, of which its modules, where it has some, keep nothing (`untouched`)."""
    if not isinstance(f, nn.Module):
        return f

    def call(x: Tensor) -> Any:
        if torch.compiler.is_compiling():
            return f(x)
        with untouched(f):
            return f(x)

    return call


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """A model of which, afterwards, each module holds what it held before.

    A model may count in a buffer, or hold its last output; a tensor that it took from within
    torch.func would be of no use outside. A buffer that changes in place is a copy meanwhile.
    """
    modules = [m for m in model.modules() if isinstance(m._buffers, dict)]  # no script
    before = [(m, dict(vars(m)), dict(m._buffers)) for m in modules]
    try:
        for module, _, buffers in before:
            copies = {name: b if b is None else b.clone() for name, b in buffers.items()}
            module._buffers.update(copies)
        yield
    finally:
        for module, held, buffers in before:
            vars(module).clear()
            vars(module).update(held)
            module._buffers.clear()
            module._buffers.update(buffers)
