"""11.critic, the audit: what a critic's value and its certified bound are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.auditing import audit
from lipteach.classroom.compare import seeded
from lipteach.layers import retract_
from lipteach.primitives import (
    MaxMin,
    norm_upper_bounds,
    operator_norm,
    power_iteration,
    wasserstein_dual,
)
from lipteach.primitives.norms import start_vector
from lipteach.training import orthonormal_network

TOL = 1e-4  # of bounds and values in float32


def distance(x: Tensor, y: Tensor) -> Tensor:
    """The exact distance where one side is a single point, so that there is one plan only."""
    return torch.cdist(x, y).mean()


class _Critic(nn.Sequential):
    """A network that a hint can name."""

    def __repr__(self) -> str:
        return "critic"


def _critic(norms: Sequence[float], width: int, seed: int) -> _Critic:
    """A network of linear layers of these norms, not orthonormal, in float32."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [2, *(width for _ in norms[1:]), 1]
    network = orthonormal_network(sizes, MaxMin, generator, torch.float32)
    for layer, norm in zip(linear_layers(network), norms, strict=True):
        weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32)
        layer.weight.data = weight * (norm / operator_norm(weight))
    return _Critic(*network)


def linear_layers(network: nn.Module) -> Iterator[nn.Linear]:
    """The linear layers of a network, the first one first."""
    return (module for module in network.modules() if isinstance(module, nn.Linear))


def _points(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, generator=generator, dtype=torch.float32)


def _slow(width: int, seed: int) -> _Critic:
    """A critic whose second weight stretches one direction more than all others, by 0.03 %.

    Power iteration needs thousands of steps for that, and the direction has nothing of its start.
    """
    critic = _critic([1.0, 1.0, 1.0], width, seed)
    start = torch.stack([start_vector(width, None), torch.ones(width), torch.eye(width)[0]])
    top = torch.linalg.svd(start.double()).Vh[-1]
    turn = torch.linalg.qr(seeded(width, width)).Q
    critic[2].weight.data = (turn @ (0.9997 * torch.eye(width) + 0.0003 * top.outer(top))).float()
    return critic


AUDITED = [
    (_critic([1.5137, 0.8046], 4, seed=0), _points(1, 1), _points(4, 2)),
    (_critic([0.5092, 1.3357, 1.1231], 6, seed=3), _points(5, 4) + 1, _points(1, 5)),
    (_slow(24, seed=6), _points(1, 7), _points(3, 8)),
]


def audited(critic: Any, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """The dual value of a critic and the product of the norms of its weights."""
    norms = [float(operator_norm(layer.weight)) for layer in linear_layers(critic)]
    return wasserstein_dual(critic, x, y), math.prod(norms)


def expected(critic: Any, x: Tensor, y: Tensor) -> Tensor:
    """The right audit as a tensor: the value and the bound."""
    return torch.stack([torch.as_tensor(part).double() for part in audited(critic, x, y)])


def _product(measure: Callable[[Tensor], Any]) -> Callable[..., Any]:
    """An audit with another measure of a weight than its norm."""
    return lambda critic, x, y: (
        wasserstein_dual(critic, x, y),
        math.prod(float(measure(layer.weight)) for layer in linear_layers(critic)),
    )


def _bounded(bound: Callable[[Any, Tensor, Tensor], float]) -> Callable[..., Any]:
    """An audit with another bound."""
    return lambda critic, x, y: (wasserstein_dual(critic, x, y), bound(critic, x, y))


def _valued(value: Callable[[Any, Tensor, Tensor], Any]) -> Callable[..., Any]:
    """An audit with another value."""
    return lambda critic, x, y: (value(critic, x, y), audited(critic, x, y)[1])


def _pairs(critic: Any, x: Tensor, y: Tensor) -> Tensor:
    """f(xᵢ) − f(yᵢ), as far as both sides have points."""
    n = min(len(x), len(y))
    difference: Tensor = critic(x[:n]) - critic(y[:n])
    return difference


def _of_the_product(critic: Any, _x: Tensor, _y: Tensor) -> float:
    W = torch.eye(2)
    for layer in linear_layers(critic):
        W = layer.weight.detach() @ W
    return float(operator_norm(W))


def _between_points(critic: Any, x: Tensor, y: Tensor) -> float:
    z = torch.cat([x, y])
    f, apart = critic(z), torch.cdist(z, z) + torch.eye(len(z))
    return float(((f - f.T).abs() / apart).max())


def _with_biases(critic: Any, _x: Tensor, _y: Tensor) -> float:
    both = (
        torch.cat([layer.weight, layer.bias[:, None]], dim=1) for layer in linear_layers(critic)
    )
    return math.prod(float(operator_norm(W.detach())) for W in both)


def _value_is_right(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape == (2,) and bool((got[0] - want[0]).abs() < TOL)


def _nearly(got: Tensor, want: Tensor, *_given: Any) -> bool:
    return _value_is_right(got, want) and bool((got[1] / want[1] - 1).abs() < 0.02)


def _too_low(got: Tensor, want: Tensor, *_given: Any) -> bool:
    return _value_is_right(got, want) and bool(got[1] < want[1])


def _too_high(got: Tensor, want: Tensor, *_given: Any) -> bool:
    return _value_is_right(got, want) and bool(got[1] > want[1])


def _from_norms(combine: Callable[[list[float]], float]) -> Callable[..., Any]:
    """An audit whose bound is made of the right norms in another way."""
    return _bounded(
        lambda critic, _x, _y: combine(
            [float(operator_norm(layer.weight)) for layer in linear_layers(critic)]
        )
    )


def _slope_seen(critic: Any, x: Tensor, y: Tensor) -> float:
    z = torch.cat([x, y]).requires_grad_()
    slopes = torch.autograd.grad(critic(z).sum(), z)[0].norm(dim=1)
    return float(slopes.max())


def held_and_audited(critic: Any, x: Tensor, y: Tensor) -> Any:
    """An audit of the critic after it has been held."""
    retract_(critic)
    return audited(critic, x, y)


def by_hand(critic: Any, x: Tensor, y: Tensor) -> list[float]:
    """The same from sums and singular values."""
    norms = [torch.linalg.svdvals(layer.weight)[0].item() for layer in critic[::2]]
    return [(critic(x).sum() / len(x) - critic(y).sum() / len(y)).item(), math.prod(norms)]


def by_the_package(critic: Any, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """The same by the audit of the package."""
    return critic(x).mean() - critic(y).mean(), audit(critic).upper


AUDITS: dict[str, tuple[Any, ...]] = {
    "the largest norm": (
        _from_norms(max),
        "The bound is the largest norm of a layer: what do two layers do, one after the other?",
    ),
    "the sum of norms": (
        _from_norms(sum),
        "The bound is a sum of norms: two layers that double, by how much do they stretch?",
    ),
    "Frobenius": (
        _product(torch.linalg.matrix_norm),
        "The norms are Frobenius norms, the root of all squares: how far is a unit vector"
        " stretched?",
    ),
    "the largest entry": (
        _product(lambda W: W.abs().max()),
        "The largest entry is no bound: what does (1, 1) become under the matrix of ones?",
    ),
    "nothing measured": (
        lambda critic, x, y: (wasserstein_dual(critic, x, y), 1.0),
        "This audit says 1 of every critic: what of one whose weights are doubled?",
    ),
    "the last norm": (
        _from_norms(lambda norms: norms[-1]),
        "This is the norm of the last layer alone: what have those before it done to x?",
    ),
    "the mean norm": (
        _from_norms(lambda norms: sum(norms) / len(norms)),
        "This is the mean of the norms: two layers that double, by how much do they stretch?",
    ),
    "the ∞-norm": (
        _product(lambda W: torch.linalg.matrix_norm(W, torch.inf)),
        "These are ∞-norms, of row sums: in which norm are the distances of points measured?",
    ),
    "the smallest": (
        _product(lambda W: torch.linalg.svdvals(W)[-1]),
        "These are the smallest singular values: which direction is stretched most?",
    ),
    "seen": (
        _bounded(_slope_seen),
        "This is the largest slope at the points x and y: what of the points between them?",
    ),
    "but the last": (
        _from_norms(lambda norms: math.prod(norms[:-1])),
        "The last layer is left out of the bound: may it not stretch?",
    ),
    "but the first": (
        _from_norms(lambda norms: math.prod(norms[1:])),
        "The first layer is left out of the bound: may it not stretch?",
    ),
    "the norm of the product": (
        _bounded(_of_the_product),
        "This is the norm of the product of the weights, as if nothing stood between "
        "them: which product does a network with sorts need?",
    ),
    "between points": (
        _bounded(_between_points),
        "This is the largest slope between two of the points: what of all other pairs?",
    ),
    "with the biases": (
        _bounded(_with_biases),
        "The biases are in these norms: by how much does a shift move two points apart?",
    ),
    "nuclear": (
        _product(lambda W: torch.linalg.svdvals(W).sum()),
        "These are sums of all singular values: how far is one unit vector stretched?",
    ),
    "the 1-norm": (
        _product(lambda W: torch.linalg.matrix_norm(W, 1)),
        "These are 1-norms, of column sums: in which norm are the distances measured?",
    ),
    "squares": (
        _product(lambda W: operator_norm(W) ** 2),
        "These are the squares of the norms: which root is missing?",
    ),
    "each at least 1": (
        _product(lambda W: max(1.0, float(operator_norm(W)))),
        "A norm below 1 counts as 1 here: may one layer not make up for another?",
    ),
    "normalized": (
        lambda *given: (audited(*given)[0] / audited(*given)[1], 1.0),
        "Value and bound are those of the critic divided by its bound: which are its own?",
    ),
    "medians": (
        _valued(lambda critic, x, y: critic(x).median() - critic(y).median()),
        "The value is made of medians: which mean stands in the dual value?",
    ),
    "the shorter": (
        _valued(lambda *given: _pairs(*given).mean()),
        "Points are left out of the value where one side has more: what counts each side?",
    ),
    "the size of the value": (
        _valued(lambda *given: audited(*given)[0].abs()),
        "The value has lost its sign: what is a critic worth that is high on y?",
    ),
    "at most 1": (
        _from_norms(lambda norms: min(1.0, math.prod(norms))),
        "This audit never says more than 1: what would it say of a critic that is too steep?",
    ),
    "at least 1": (
        _from_norms(lambda norms: max(1.0, math.prod(norms))),
        "This audit never says less than 1: may a critic have a bound below it?",
    ),
    "upside down": (
        lambda critic, x, y: (wasserstein_dual(critic, y, x), audited(critic, x, y)[1]),
        "The value is turned: is the critic to be high on x, or on y?",
    ),
    "sums": (
        lambda critic, x, y: (critic(x).sum() - critic(y).sum(), audited(critic, x, y)[1]),
        "The value is made of sums: what if y has more points than x?",
    ),
    "divided": (
        lambda critic, x, y: (
            audited(critic, x, y)[0] / audited(critic, x, y)[1],
            audited(critic, x, y)[1],
        ),
        "The value is divided by the bound already: what is asked for is the critic's own.",
    ),
    "exchanged": (
        lambda critic, x, y: audited(critic, x, y)[::-1],
        "The bound comes first: which of the two is asked for first?",
    ),
    "the distance": (
        lambda critic, x, y: (distance(x, y), audited(critic, x, y)[1]),
        "This is the distance of x and y, whatever the critic says: what is its own value?",
    ),
    "power iteration": (
        _product(lambda W: power_iteration(W, 40)[0]),
        "The bound is a little off, as an iteration or rounded digits leave it: which "
        "call gives the largest singular value exactly?",
        _nearly,
    ),
    "three steps": (
        _product(lambda W: power_iteration(W, 3)[0]),
        "The bound is below the product of the norms: is each norm exact, and is each "
        "weight in it once?",
        _too_low,
    ),
    "by the Gram matrix": (
        _product(lambda W: norm_upper_bounds(W)["gram"]),
        "The bound is above the product of the norms: certain, but is each norm exact, "
        "and each weight in it once?",
        _too_high,
    ),
}
"""Wrong audits, each with its hint, and perhaps by what it is known."""
