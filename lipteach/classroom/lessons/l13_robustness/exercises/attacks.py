"""The attack of 13.pgd: as it should be, and with one step or another changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Goal = Callable[[Tensor, Tensor], Tensor]
"""What is ascended, from logits and labels, for each image."""


def excess(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of y."""
    return logits.scatter(1, y[:, None], -torch.inf).amax(1) - logits.gather(1, y[:, None])[:, 0]


def of_probabilities(logits: Tensor, y: Tensor) -> Tensor:
    """The same after softmax."""
    return excess(logits.softmax(1), y)


def entropy(logits: Tensor, y: Tensor) -> Tensor:
    """The cross entropy of y."""
    return functional.cross_entropy(logits, y, reduction="none")


def of_the_prediction(logits: Tensor, _y: Tensor) -> Tensor:
    """Away from the class that is told."""
    return excess(logits, logits.argmax(1))


def with_y(logits: Tensor, y: Tensor) -> Tensor:
    """The maximum includes y itself."""
    return logits.amax(1) - logits.gather(1, y[:, None])[:, 0]


def cut(logits: Tensor, y: Tensor) -> Tensor:
    """The positive part, which is 0 as long as y wins."""
    return excess(logits, y).relu()


def to_the_next(logits: Tensor, y: Tensor) -> Tensor:
    """The class after y is the target, whichever comes second."""
    t = (y + 1) % logits.shape[1]
    return (logits.gather(1, t[:, None]) - logits.gather(1, y[:, None]))[:, 0]


def away(logits: Tensor, y: Tensor) -> Tensor:
    """The logit of y falls, and no other counts."""
    return -logits.gather(1, y[:, None])[:, 0]


def up(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit rises, and that of y does not count."""
    return logits.scatter(1, y[:, None], -torch.inf).amax(1)


def improbable(logits: Tensor, y: Tensor) -> Tensor:
    """The probability of y falls."""
    return -logits.softmax(1).gather(1, y[:, None])[:, 0]


def all_others(logits: Tensor, y: Tensor) -> Tensor:
    """The sum of all others rises, and Z_y falls."""
    return logits.sum(1) - 2 * logits.gather(1, y[:, None])[:, 0]


def least_likely(logits: Tensor, y: Tensor) -> Tensor:
    """The least of the others is the target."""
    return logits.scatter(1, y[:, None], torch.inf).amin(1) - logits.gather(1, y[:, None])[:, 0]


def gradient_of(f: nn.Module, z: Tensor, y: Tensor, goal: Goal) -> Tensor:
    """The gradients of the goal at z."""
    inputs = z.detach().requires_grad_()
    (found,) = torch.autograd.grad(goal(f(inputs), y).sum(), inputs)
    return found


def into(z: Tensor, x: Tensor, eps: float) -> Tensor:
    """Project on the images of the ball: by min and max, for the ends are tensors."""
    return torch.minimum(torch.maximum(z, x - eps), x + eps).clamp(0, 1)


def ascend(
    f: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    steps: int,
    step_size: float,
    noise: Tensor,
    *,
    goal: Goal = excess,
    way: Callable[[Tensor], Tensor] = torch.sign,
    start: Callable[..., Tensor] = lambda x, eps, noise: x + 0.1 * eps * noise,
    keep_start: bool = True,
    project: Callable[..., Tensor] = lambda z, x, eps, **_: into(z, x, eps),
    rank: Callable[..., Tensor] = excess,
    count: Callable[[int], int] = lambda steps: steps,
    length: Callable[..., float] = lambda step_size, _eps, _steps, _k: step_size,
    add: float = 0.0,
    first: int = 0,
    after: Callable[..., Tensor] = lambda found, _x: found,
    choose: Callable[..., Tensor] | None = None,
) -> Tensor:
    """The attack; a keyword changes one thing."""
    z = start(x, eps, noise)
    z = z.clamp(0, 1) if keep_start else z
    begun, met, gradient = z, [x, z], torch.zeros_like(x)
    for k in range(count(steps)):
        gradient = add * gradient + gradient_of(f, z, y, goal)
        moved = z + length(step_size, eps, steps, k) * way(gradient)
        z = project(moved, x, eps, before=z, begun=begun, step=moved - z).detach()
        met.append(z)
    if choose is not None:
        return after(choose(f, y, met), x)
    images = torch.stack(met[first:])
    with torch.no_grad():
        scores = torch.stack([rank(f(z), y) for z in images])
    best = scores.argmax(0)
    return after(images[best, torch.arange(len(x))], x)


def changed(**options: Any) -> Callable[..., Tensor]:
    """The attack with something changed."""
    return lambda *given: ascend(*given, **options)


def the_last(_f: nn.Module, _y: Tensor, met: list[Tensor]) -> Tensor:
    """The last iterate."""
    return met[-1]


@torch.no_grad()
def best_of_the_batch(f: nn.Module, y: Tensor, met: list[Tensor]) -> Tensor:
    """One iterate for the whole batch: that with the largest sum."""
    return max(met, key=lambda z: float(excess(f(z), y).sum()))


@torch.no_grad()
def first_wrong(f: nn.Module, y: Tensor, met: list[Tensor]) -> Tensor:
    """For each image the first that is told wrongly, else the last."""
    found = met[-1]
    for z in reversed(met):
        found = torch.where(_wide(excess(f(z), y) > 0, z), z, found)
    return found


@torch.no_grad()
def best_if_wrong(f: nn.Module, y: Tensor, met: list[Tensor]) -> Tensor:
    """The best, where it is told wrongly; else x."""
    scores = torch.stack([excess(f(z), y) for z in met])
    found = torch.stack(met)[scores.argmax(0), torch.arange(len(y))]
    return torch.where(_wide(scores.amax(0) > 0, found), found, met[0])


@torch.no_grad()
def last_or_x(f: nn.Module, y: Tensor, met: list[Tensor]) -> Tensor:
    """The last or x, whichever has the smaller margin."""
    better = excess(f(met[-1]), y) > excess(f(met[0]), y)
    return torch.where(_wide(better, met[0]), met[-1], met[0])


def _wide(which: Tensor, like: Tensor) -> Tensor:
    return which.view(-1, *[1] * (like.ndim - 1))
