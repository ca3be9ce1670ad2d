"""The training loop of 12.repair: as it should be, and with one part or another changed."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.primitives import project_linf_norm
from lipteach.training import clip_singular_values_

RATE = 0.1

Part = tuple[Tensor, Tensor]
Parts = Mapping[str, Part]


def errors(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """How many inputs are put into the wrong class."""
    found: Tensor = (network(x).argmax(dim=1) != y).sum()
    return found


def loss_of(network: nn.Module, x: Tensor, y: Tensor, L: float = 1.0) -> Tensor:
    """The cross-entropy of L times the network."""
    return functional.cross_entropy(L * network(x), y)


def fit(
    network: nn.Module,
    parts: Parts,
    L: float,
    epochs: int,
    *,
    choose: str = "validation",
    clip: str = "after",
    copied: bool = True,
    train: tuple[str, ...] = ("train",),
    score: Callable[..., Tensor] = errors,
    better: Callable[[Any, Any], Any] = operator.lt,
    scale: Callable[[float], float] = lambda L: L,
    rate: float = RATE,
    keep: float = 0.0,
    constraint: Callable[[nn.Module], Any] = clip_singular_values_,
    count: Callable[[int], int] = lambda epochs: epochs,
    stop: bool = False,
) -> nn.Module:
    """Train by one step an epoch, and keep a copy of the weights with the least error.

    A keyword changes one thing: which part chooses, where the weights are clipped, and so on. The
    step is written out, for the first use of ``torch.optim`` takes seconds.
    """
    x, y = (torch.cat([parts[name][k] for name in train]) for k in (0, 1))
    weights = list(network.parameters())
    before = [torch.zeros_like(weight) for weight in weights]
    least, best = math.inf if better(0, 1) else -math.inf, network
    for _ in range(count(epochs)):
        if clip == "before":
            constraint(network)
        slopes = torch.autograd.grad(loss_of(network, x, y, scale(L)), weights)
        if clip == "between":
            constraint(network)
        before = [keep * old + new for old, new in zip(before, slopes, strict=True)]
        with torch.no_grad():
            for weight, slope in zip(weights, before, strict=True):
                weight.sub_(slope, alpha=rate)
        if clip == "after":
            constraint(network)
        with torch.no_grad():
            found = float(score(network, *parts[choose]))
        if better(found, least):
            least, best = found, copy.deepcopy(network) if copied else network
        elif stop:
            break
    if clip == "end":
        constraint(best)
    return best


def changed(**options: Any) -> Callable[..., nn.Module]:
    """The loop with something changed."""
    return lambda *given: fit(*given, **options)


def by_state(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """The same by PyTorch's optimizer; a copy of the weights alone is put back at the end."""
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    x, y = parts["train"]
    least, kept = math.inf, {}
    clip_singular_values_(network)
    for _ in range(epochs):
        optimizer.zero_grad()
        torch.autograd.backward(loss_of(network, x, y, L))
        optimizer.step()
        clip_singular_values_(network)
        wrong = errors(network, *parts["validation"]) / len(parts["validation"][1])
        if wrong < least:
            least, kept = float(wrong), {k: w.clone() for k, w in network.state_dict().items()}
    network.load_state_dict(kept)
    return network


def by_history(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """The same, with a copy of each epoch's network, of which the first best is returned."""
    networks = [changed(better=lambda *_: True)(copy.deepcopy(network), parts, L, 1)]
    while len(networks) < epochs:
        after = changed(better=lambda *_: True)(copy.deepcopy(networks[-1]), parts, L, 1)
        networks.append(after)
    return min(networks, key=lambda net: int(errors(net, *parts["validation"])))


def unclipped(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """The error is measured, and the copy made, before the clipping; the copy is clipped last."""
    least, best = math.inf, network
    for _ in range(epochs):
        fit(network, parts, L, 1, clip="never")
        wrong = float(errors(network, *parts["validation"]))
        if wrong < least:
            least, best = wrong, copy.deepcopy(network)
        clip_singular_values_(network)
    return clip_singular_values_(best)


def between(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """The error is measured, and the copy made, before the step."""
    least, best = math.inf, network
    for _ in range(epochs):
        wrong = float(errors(network, *parts["validation"]))
        if wrong < least:
            least, best = wrong, copy.deepcopy(network)
        fit(network, parts, L, 1)
    return best


def distances(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """How far the classes are from the labels, as numbers."""
    found: Tensor = (network(x).argmax(dim=1) - y).abs().sum()
    return found


def late(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """The error is that of the weights before the step, and the copy is of those after it."""
    least, best = math.inf, network
    for _ in range(epochs):
        wrong = float(errors(network, *parts["validation"]))
        fit(network, parts, L, 1)
        if wrong < least:
            least, best = wrong, copy.deepcopy(network)
    return best


def both(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """Validation and test images choose together."""
    x, y = (torch.cat([parts[name][k] for name in ("validation", "test")]) for k in (0, 1))
    return fit(network, {"train": parts["train"], "validation": (x, y)}, L, epochs)


def by_signs(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """Adam's first step, in every epoch: by the signs of the gradient."""
    for _ in range(epochs):
        slopes = torch.autograd.grad(
            loss_of(network, *parts["train"], L), list(network.parameters())
        )
        for weight, slope in zip(network.parameters(), slopes, strict=True):
            weight.data -= RATE * slope.sign()
        clip_singular_values_(network)
    return network


def early(network: nn.Module, parts: Parts, L: float, epochs: int) -> nn.Module:
    """The start takes part in the choice."""
    best = fit(copy.deepcopy(network), parts, L, epochs)
    before, after = (errors(net, *parts["validation"]) for net in (network, best))
    return network if before <= after else best


@torch.no_grad()
def normalize_(network: nn.Module) -> None:
    """Divide each weight by its norm, also where it is below 1."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight /= torch.linalg.matrix_norm(layer.weight, 2)


@torch.no_grad()
def divide_(network: nn.Module) -> None:
    """Divide each weight by its norm where it is above 1."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight /= torch.linalg.matrix_norm(layer.weight, 2).clamp(min=1)


@torch.no_grad()
def project_rows_(network: nn.Module) -> None:
    """Project each row of each weight on the L1 ball."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(project_linf_norm(layer.weight))


@torch.no_grad()
def shorten_(network: nn.Module) -> None:
    """Divide each weight by its Frobenius norm where that is above 1."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight /= layer.weight.norm().clamp(min=1)
