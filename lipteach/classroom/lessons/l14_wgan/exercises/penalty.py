"""14.penalty: the gradient penalty, with a gradient of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import call, close
from lipteach.classroom.compare_functions import compare_function
from lipteach.training import gradient_penalty, initialize_


class _Critic(nn.Sequential):
    """A network that a hint can name."""

    def __repr__(self) -> str:
        return "critic"


def _critic(inputs: int, seed: int) -> _Critic:
    """A critic in float32 that is curved, so that its slope is not the same at two points."""
    layers = nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, 1)
    made = _Critic(nn.Flatten(), *layers)
    initialize_(made, torch.Generator().manual_seed(seed))
    for layer in (layers[0], layers[2]):
        layer.weight.data *= 3
    return made


def _points(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


CALLS = [
    (_critic(3, seed=0), _points(4, 3, seed=1)),
    (_critic(2, seed=2), _points(1, 2, seed=3)),
    (_critic(6, seed=4), _points(5, 1, 2, 3, seed=5)),
]


def _slopes(critic: nn.Module, x: Tensor, graph: bool = True) -> Tensor:
    """The gradient at each point, in the shape of x."""
    inputs = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=graph)
    return found


def _asked(gradients: Tensor) -> Tensor:
    """The mean of (‖g‖ − 1)² over the points."""
    found: Tensor = (gradients.flatten(1).norm(dim=1) - 1).square().mean()
    return found


def _with(join: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    """The penalty as another function of the gradients, (N, …)."""
    return lambda critic, x: join(_slopes(critic, x))


def _rows(join: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    """The penalty as another function of the gradients in rows, (N, n)."""
    return _with(lambda gradients: join(gradients.flatten(1)))


def _lengths(join: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Tensor], Tensor]:
    """The penalty as another function of their lengths, (N,)."""
    return _rows(lambda gradients: join(gradients.norm(dim=1)))


def penalty(critic: nn.Module, x: Tensor) -> Tensor:
    """The mean of (‖∇f‖ − 1)²."""
    return gradient_penalty(critic, x)


def _one_by_one(critic: nn.Module, x: Tensor) -> Tensor:
    """Each point for itself."""
    parts = [(_slopes(critic, point[None]).norm() - 1).square() for point in x]
    return torch.stack(parts).mean()


def _by_roots(critic: nn.Module, x: Tensor) -> Tensor:
    squares = _slopes(critic, x).square().flatten(1).sum(dim=1)
    return (squares - 2 * squares.sqrt() + 1).mean()


def _judge(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(answer, penalty, CALLS, mistakes=mistakes)
    for given in CALLS:
        mine, right = (_pulled(function, *given) for function in (answer, penalty))
        if not close(mine, right, 1e-4):
            text = "The value is right, but not its gradient by the parameters: what is detached?"
            raise Hint("gradient", text, given)


def _pulled(function: Callable[..., Any], critic: nn.Module, x: Tensor) -> Tensor:
    """The gradient of a penalty by the parameters, in one vector."""
    held: list[nn.Module] = []

    def kept(critic: nn.Module, x: Tensor) -> Any:  # the one of which `call` makes a copy
        held.append(critic)
        return function(critic, x)

    value = call(kept, critic, x)
    if not isinstance(value, Tensor) or not value.requires_grad:
        text = (
            "The value is right, but no gradient of it reaches the parameters, so that training "
            "cannot make it smaller: which argument of torch.autograd.grad keeps the graph of "
            "the gradient?"
        )
        raise Hint("gradient", text, (critic, x))
    weights = list(held[0].parameters())
    found = torch.autograd.grad(value, weights, allow_unused=True)
    pairs = zip(found, weights, strict=True)
    return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pairs])


def _of_the_mean(critic: nn.Module, x: Tensor) -> Tensor:
    return _asked(_slopes(critic, x) / len(x))


def _half_detached(critic: nn.Module, x: Tensor) -> Tensor:
    """One of the two factors of the square is a number for the backward pass."""
    off = _slopes(critic, x).flatten(1).norm(dim=1) - 1
    found: Tensor = (off.detach() * off).mean()
    return found


def _no_leaf(critic: nn.Module, x: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return _asked(found)


def _not_summed(critic: nn.Module, x: Tensor) -> Tensor:
    inputs = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(critic(inputs), inputs, create_graph=True)
    return _asked(found)


EXERCISES = (
    Exercise(
        name="14.penalty",
        judge=_judge,
        solution=penalty,
        right={"one by one": _one_by_one, "by roots": _by_roots},
        mistakes={
            "of the batch": (
                _with(lambda g: (g.norm() - 1).square()),
                "This is the norm of all gradients of the batch together: is slope 1 asked of the "
                "batch, or at each point?",
            ),
            "the mean gradient": (
                _with(lambda g: (g.mean(dim=0).norm() - 1).square()),
                "The gradients are averaged before the norm is taken: what is the norm of the "
                "mean, if two points pull in opposite directions?",
            ),
            "the mean length": (
                _lengths(lambda n: (n.mean() - 1).square()),
                "The lengths are averaged before 1 is taken off: what of one of 0 and one of 2?",
            ),
            "the squared norm": (
                _lengths(lambda n: (n.square() - 1).square().mean()),
                "This holds the squared norm to 1: where is the root?",
            ),
            "not squared": (
                _lengths(lambda n: (n - 1).abs().mean()),
                "This is the mean of |‖∇f‖ − 1|: what does the formula do with the difference?",
            ),
            "signed": (
                _lengths(lambda n: (n - 1).mean()),
                "Without the square a flat point makes up for a steep one: where is it?",
            ),
            "steep only": (
                _lengths(lambda n: (n - 1).clamp(min=0).square().mean()),
                "Only what is steeper than 1 pays here: does the formula spare flat points?",
            ),
            "no 1": (
                _lengths(lambda n: n.square().mean()),
                "This asks for slope 0: which slope is to cost nothing?",
            ),
            "the sum": (
                _lengths(lambda n: (n - 1).square().sum()),
                "This is the sum over the batch: does a larger batch cost more?",
            ),
            "the largest": (
                _lengths(lambda n: (n - 1).square().amax()),
                "This is the worst point alone: what does the formula take of all of them?",
            ),
            "half": (
                _lengths(lambda n: (n - 1).square().mean() / 2),
                "Half of it: does the formula have a ½?",
            ),
            "ten times": (
                _lengths(lambda n: 10 * (n - 1).square().mean()),
                "λ = 10 is in it already: is it asked for here?",
            ),
            "the 1-norm": (
                _rows(lambda g: (g.abs().sum(dim=1) - 1).square().mean()),
                "This takes the 1-norm of each gradient: which norm is it?",
            ),
            "the largest entry": (
                _rows(lambda g: (g.abs().amax(dim=1) - 1).square().mean()),
                "This takes the largest entry of each gradient: which norm is it?",
            ),
            "over the batch": (
                _rows(lambda g: (g.norm(dim=0) - 1).square().mean()),
                "The norm is taken along dimension 0: is that the dimension of the numbers, or "
                "of the points?",
            ),
            "of the channels": (
                _with(lambda g: (g.norm(dim=1) - 1).square().mean()),
                "Right for rows of numbers. Of images this is the norm over the channels, at each "
                "pixel: how many numbers has the gradient of an image?",
            ),
            "each entry": (
                _with(lambda g: (g.abs() - 1).square().mean()),
                "Each entry is held to 1 here: of what is the norm to be taken?",
            ),
            "of the mean value": (
                _of_the_mean,
                "The mean of the values is differentiated, so that each gradient is divided by N: "
                "which function of the batch has the gradient of each point in its row?",
            ),
        },
        wrong={
            "no graph": (
                lambda critic, x: _asked(_slopes(critic, x, graph=False)),
                "keeps the graph of",
            ),
            "half of it detached": (_half_detached, "what is detached"),
            "of each point": (_lengths(lambda n: (n - 1).square()), "shape (4,)"),
            "no leaf": (_no_leaf, "does not require grad"),
            "not a sum": (_not_summed, "implicitly created only for scalar"),
            "a number": (10.0, "A function is needed"),
        },
    ),
)
