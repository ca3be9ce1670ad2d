"""11.critic: a critic that is trained, and the audit that says what it is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, need_tensor, seeded, shape_of
from lipteach.classroom.compare_functions import compare_function
from lipteach.layers import audit, export, orthonormal, retract_
from lipteach.primitives import (
    Abs,
    FullSort,
    GroupSort,
    MaxMin,
    Scale,
    norm_upper_bounds,
    operator_norm,
    power_iteration,
    wasserstein_dual,
)
from lipteach.primitives.norms import start_vector
from lipteach.training import orthonormal_network

TOL = 1e-4  # of bounds and values in float32
SHARE = 0.8  # sorts find nine tenths and more, ReLU two thirds at most
_SORTS = (MaxMin, GroupSort, FullSort, Abs)

X = torch.tensor([[1.0, 0.5]]).double()
Y = X + torch.tensor([[1.2, 1.6], [-1.2, -1.6]]).double()
"""One point between two, at distance 2, on a line through the plane: W₁ = 2."""


def distance(x: Tensor, y: Tensor) -> Tensor:
    """The exact distance where one side is a single point, so that there is one plan only."""
    return torch.cdist(x, y).mean()


# --- The audit, on critics that nobody has held.


class _Critic(nn.Sequential):
    """A network that a hint can name."""

    def __repr__(self) -> str:
        return "critic"


def _critic(norms: Sequence[float], width: int, seed: int) -> _Critic:
    """A network of linear layers of these norms, not orthonormal, in float32."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [2, *(width for _ in norms[1:]), 1]
    network = orthonormal_network(sizes, MaxMin, generator, torch.float32)
    for layer, norm in zip(_linear(network), norms, strict=True):
        weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32)
        layer.weight.data = weight * (norm / operator_norm(weight))
    return _Critic(*network)


def _linear(network: nn.Module) -> Iterator[nn.Linear]:
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
    (_slow(24, seed=6), _points(2, 7), _points(3, 8)),
]


def audited(critic: Any, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """The dual value of a critic and the product of the norms of its weights."""
    norms = [float(operator_norm(layer.weight)) for layer in _linear(critic)]
    return wasserstein_dual(critic, x, y), math.prod(norms)


def _reference(critic: Any, x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([torch.as_tensor(part).double() for part in audited(critic, x, y)])


def _product(measure: Callable[[Tensor], Any]) -> Callable[..., Any]:
    """An audit with another measure of a weight than its norm."""
    return lambda critic, x, y: (
        wasserstein_dual(critic, x, y),
        math.prod(float(measure(layer.weight)) for layer in _linear(critic)),
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
    for layer in _linear(critic):
        W = layer.weight.detach() @ W
    return float(operator_norm(W))


def _between_points(critic: Any, x: Tensor, y: Tensor) -> float:
    z = torch.cat([x, y])
    f, apart = critic(z), torch.cdist(z, z) + torch.eye(len(z))
    return float(((f - f.T).abs() / apart).max())


def _with_biases(critic: Any, _x: Tensor, _y: Tensor) -> float:
    both = (torch.cat([layer.weight, layer.bias[:, None]], dim=1) for layer in _linear(critic))
    return math.prod(float(operator_norm(W.detach())) for W in both)


def _value_is_right(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape == (2,) and bool((got[0] - want[0]).abs() < TOL)


def _a_little_low(got: Tensor, want: Tensor, *_given: Any) -> bool:
    return _value_is_right(got, want) and bool(0.98 * want[1] < got[1] < want[1])


def _too_low(got: Tensor, want: Tensor, *_given: Any) -> bool:
    return _value_is_right(got, want) and bool(got[1] < want[1])


def _too_high(got: Tensor, want: Tensor, *_given: Any) -> bool:
    return _value_is_right(got, want) and bool(got[1] > want[1])


def _slope_seen(critic: Any, x: Tensor, y: Tensor) -> float:
    z = torch.cat([x, y]).requires_grad_()
    slopes = torch.autograd.grad(critic(z).sum(), z)[0].norm(dim=1)
    return float(slopes.max())


def _held_and_audited(critic: Any, x: Tensor, y: Tensor) -> Any:
    """An audit of the critic after it has been held."""
    retract_(critic)
    return audited(critic, x, y)


def _by_hand(critic: Any, x: Tensor, y: Tensor) -> list[float]:
    norms = [torch.linalg.svdvals(layer.weight)[0].item() for layer in critic[::2]]
    return [(critic(x).sum() / len(x) - critic(y).sum() / len(y)).item(), math.prod(norms)]


def _by_the_package(critic: Any, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    return critic(x).mean() - critic(y).mean(), audit(critic).upper


# --- The training.


def _climb(
    critic: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 30,
    rate: float = 0.3,
    hold: Callable[[nn.Module], Any] = lambda _: None,
) -> nn.Module:
    """Gradient ascent on the dual value, each step held.

    Without an optimizer of PyTorch, whose first use takes seconds.
    """
    weights = list(critic.parameters())
    for _ in range(steps):
        slopes = torch.autograd.grad(wasserstein_dual(critic, x, y), weights)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                weight.add_(slope, alpha=rate)
        hold(critic)
    return critic


def _network(x: Tensor, hidden: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Module:
    sizes, generator = [x.shape[1], *hidden, 1], torch.Generator().manual_seed(0)
    return orthonormal_network(sizes, activation, generator, x.dtype)


def trained(
    x: Tensor, y: Tensor, activation: Callable[[], nn.Module] = MaxMin, **options: Any
) -> nn.Module:
    """A critic of two hidden layers, held by its parametrization at every step."""
    critic = _network(x, [8, 8], activation)
    for layer in _linear(critic):
        orthonormal(layer)
    return export(_climb(critic, x, y, **options))


def _held(x: Tensor, y: Tensor, hold: Callable[[nn.Module], Any]) -> nn.Module:
    """A critic whose weights are put in place after each step."""
    return _climb(_network(x, [4], FullSort), x, y, steps=80, rate=0.05, hold=hold)


def _not_held_last(x: Tensor, y: Tensor) -> nn.Module:
    return _climb(_held(x, y, retract_), x, y, steps=1, rate=0.05)


@torch.no_grad()
def _clip(critic: nn.Module, most: float) -> None:
    for layer in _linear(critic):
        layer.weight.clamp_(-most, most)


@torch.no_grad()
def _divide(critic: nn.Module) -> None:
    for layer in _linear(critic):
        layer.weight /= 2 * operator_norm(layer.weight)


def _untrained(x: Tensor, y: Tensor) -> Any:
    """A critic that happens to be higher on y."""
    critic: Any = trained(x, y, steps=0)
    critic[-1].weight.data *= -1
    return critic


def _two_outputs(x: Tensor, _y: Tensor) -> nn.Module:
    return nn.Linear(x.shape[1], 2, dtype=x.dtype)


class _Hidden(nn.Module):
    """A critic whose forward is its own."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor) -> Any:
        return self.critic(x)


def _judge_bound(critic: nn.Module) -> float:
    """The certified bound of the critic, which is at most 1."""
    bounds = audit(critic)
    if bounds.unknown:
        text = f"Of {bounds.unknown} no bound is known, and so none of the critic"
        raise Hint("type", f"{text}: what is a nn.Sequential of linear layers and sorts?")
    if not bounds.upper > 1 + TOL:
        return bounds.upper
    text = f"The certified bound of your critic is {bounds.upper:.6g}, above 1"
    if most := _clipped_at(critic):
        ask = "has a matrix of small entries a small norm?"
        raise Hint("constraint", f"{text}: its entries are clipped at {most:.3g}; {ask}")
    factors = [m.factor for m in critic.modules() if isinstance(m, Scale) and abs(m.factor) > 1]
    if factors:
        ask = f"what does its Scale({factors[0]:g}) do to the norms of all its layers?"
        raise Hint("constraint", f"{text}: {ask}")
    if bounds.upper < 4:
        ask = "does a step of the optimizer follow the last projection, or only a penalty hold it?"
        raise Hint("constraint", f"{text}, and not far: {ask}")
    raise Hint("constraint", f"{text} by far: what holds the norms of the weights at 1?")


def _clipped_at(critic: nn.Module) -> float:
    """The largest entry in size of all weights if several share it, else 0."""
    entries = torch.cat([layer.weight.detach().abs().flatten() for layer in _linear(critic)])
    most = entries.max()
    return float(most) if int((entries == most).sum()) > 2 else 0.0


def _judge_share(critic: nn.Module, value: float, bound: float) -> None:
    """The dual value is a large share of the distance."""
    share = value / float(distance(X, Y))
    if share >= SHARE:
        return
    if share < -0.05:
        text = f"The dual value of your critic is {value:.3f}, below 0"
        if share > -0.4:  # one that is trained upside down goes further
            raise Hint("value", f"{text}, and not far: has it been trained, and how many steps?")
        raise Hint("value", f"{text}: where is it to be high, and what does an optimizer make low?")
    text = f"The critic finds {100 * share:.0f}% of the distance"
    if bound < SHARE:  # not even with this slope everywhere
        why = "its entries are clipped" if _clipped_at(critic) else "its weights are held too low"
        raise Hint(
            "value", f"{text}. Its bound is {bound:.3f}, for {why}: which slope may it have?"
        )
    modules = list(critic.modules())
    if not any(isinstance(module, _SORTS) for module in modules):
        if all(isinstance(module, (nn.Linear, nn.Sequential)) for module in modules):
            raise Hint("value", f"{text}, and is affine: what stands between the linear layers?")
        raise Hint("value", f"{text}: which activation bends, and keeps a gradient's norm at 1?")
    raise Hint("value", f"{text}, and could find more: are there enough steps, and large enough?")


def _judge_critic(answer: Any, mistakes: Sequence[Mistake]) -> None:
    """The audit on critics of the judge; then the critic by the exact norms and distance."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Hint("type", "Two functions are needed: (my_critic, my_audit).")
    train, own_audit = answer
    audits = [replace(mistake, answer=mistake.answer[1]) for mistake in mistakes]
    compare_function(own_audit, _reference, AUDITED, tol=TOL, mistakes=audits)
    critic = call(train, X, Y)
    if isinstance(critic, (tuple, list)):
        text = f"my_critic returns {a_kind(critic)}: only the network is asked for"
        raise Hint("type", f"{text}. Which part of it is that?", (X, Y))
    if not isinstance(critic, nn.Module):
        text = f"my_critic returns {a_kind(critic)}: where is the trained network, an nn.Module?"
        raise Hint("type", text, (X, Y))
    both = need_tensor(call(critic, torch.cat([X, Y])))
    if both.shape not in {(3,), (3, 1)}:
        text = f"For 3 points the critic returns the shape {shape_of(both)}: one number a point?"
        raise Hint("shape", text, (X, Y))
    if not bool(torch.isfinite(both).all()):
        raise Hint("value", "The critic returns numbers that are not finite: what grew in it?")
    bound, f = _judge_bound(critic), both.flatten()
    value = float(f[:1].mean() - f[1:].mean())
    _judge_share(critic, value, bound)


CRITIC = Exercise(
    name="11.critic",
    judge=_judge_critic,
    solution=(trained, audited),
    right={
        "by hand": (trained, _by_hand),
        "by the package": (trained, _by_the_package),
        "projected, all sorted": (lambda x, y: _held(x, y, retract_), audited),
    },
    mistakes={
        "the largest norm": (
            (
                trained,
                lambda critic, x, y: (
                    wasserstein_dual(critic, x, y),
                    max(float(operator_norm(layer.weight)) for layer in _linear(critic)),
                ),
            ),
            "The bound is the largest norm of a layer: what do two layers do, one after the other?",
        ),
        "the sum of norms": (
            (
                trained,
                lambda critic, x, y: (
                    wasserstein_dual(critic, x, y),
                    sum(float(operator_norm(layer.weight)) for layer in _linear(critic)),
                ),
            ),
            "The bound is a sum of norms: two layers that double, by how much do they stretch?",
        ),
        "Frobenius": (
            (trained, _product(torch.linalg.matrix_norm)),
            "The norms are Frobenius norms, the root of all squares: how far is a unit vector "
            "stretched?",
        ),
        "the largest entry": (
            (trained, _product(lambda W: W.abs().max())),
            "The largest entry is no bound: what does (1, 1) become under the matrix of ones?",
        ),
        "nothing measured": (
            (trained, lambda critic, x, y: (wasserstein_dual(critic, x, y), 1.0)),
            "This audit says 1 of every critic: what of one whose weights are doubled?",
        ),
        "the last norm": (
            (trained, _bounded(lambda critic, _x, _y: float(operator_norm(critic[-1].weight)))),
            "This is the norm of the last layer alone: what have those before it done to x?",
        ),
        "the mean norm": (
            (
                trained,
                _bounded(
                    lambda critic, _x, _y: (
                        sum(float(operator_norm(layer.weight)) for layer in _linear(critic))
                        / len(list(_linear(critic)))
                    )
                ),
            ),
            "This is the mean of the norms: two layers that double, by how much do they stretch?",
        ),
        "the ∞-norm": (
            (trained, _product(lambda W: torch.linalg.matrix_norm(W, torch.inf))),
            "These are ∞-norms, of row sums: in which norm are the distances of points measured?",
        ),
        "the smallest": (
            (trained, _product(lambda W: torch.linalg.svdvals(W)[-1])),
            "These are the smallest singular values: which direction is stretched most?",
        ),
        "seen": (
            (trained, _bounded(_slope_seen)),
            "This is the largest slope at the points x and y: what of the points between them?",
        ),
        "but the last": (
            (
                trained,
                _bounded(
                    lambda critic, _x, _y: math.prod(
                        [float(operator_norm(layer.weight)) for layer in _linear(critic)][:-1]
                    )
                ),
            ),
            "The last layer is left out of the bound: may it not stretch?",
        ),
        "but the first": (
            (
                trained,
                _bounded(
                    lambda critic, _x, _y: math.prod(
                        [float(operator_norm(layer.weight)) for layer in _linear(critic)][1:]
                    )
                ),
            ),
            "The first layer is left out of the bound: may it not stretch?",
        ),
        "the norm of the product": (
            (trained, _bounded(_of_the_product)),
            "This is the norm of the product of the weights, as if nothing stood between them: "
            "which product does a network with sorts need?",
        ),
        "between points": (
            (trained, _bounded(_between_points)),
            "This is the largest slope between two of the points: what of all other pairs?",
        ),
        "with the biases": (
            (trained, _bounded(_with_biases)),
            "The biases are in these norms: by how much does a shift move two points apart?",
        ),
        "nuclear": (
            (trained, _product(lambda W: torch.linalg.svdvals(W).sum())),
            "These are sums of all singular values: how far is one unit vector stretched?",
        ),
        "the 1-norm": (
            (trained, _product(lambda W: torch.linalg.matrix_norm(W, 1))),
            "These are 1-norms, of column sums: in which norm are the distances measured?",
        ),
        "squares": (
            (trained, _product(lambda W: operator_norm(W) ** 2)),
            "These are the squares of the norms: which root is missing?",
        ),
        "each at least 1": (
            (trained, _product(lambda W: max(1.0, float(operator_norm(W))))),
            "A norm below 1 counts as 1 here: may one layer not make up for another?",
        ),
        "normalized": (
            (trained, lambda *given: (audited(*given)[0] / audited(*given)[1], 1.0)),
            "Value and bound are those of the critic divided by its bound: which are its own?",
        ),
        "medians": (
            (trained, _valued(lambda critic, x, y: critic(x).median() - critic(y).median())),
            "The value is made of medians: which mean stands in the dual value?",
        ),
        "the shorter": (
            (trained, _valued(lambda *given: _pairs(*given).mean())),
            "Points are left out of the value where one side has more: what counts each side?",
        ),
        "the size of the value": (
            (trained, _valued(lambda *given: audited(*given)[0].abs())),
            "The value has lost its sign: what is a critic worth that is high on y?",
        ),
        "at most 1": (
            (trained, _bounded(lambda *given: min(1.0, audited(*given)[1]))),
            "This audit never says more than 1: what would it say of a critic that is too steep?",
        ),
        "at least 1": (
            (trained, _bounded(lambda *given: max(1.0, audited(*given)[1]))),
            "This audit never says less than 1: may a critic have a bound below it?",
        ),
        "upside down": (
            (
                trained,
                lambda critic, x, y: (wasserstein_dual(critic, y, x), audited(critic, x, y)[1]),
            ),
            "The value is turned: is the critic to be high on x, or on y?",
        ),
        "sums": (
            (
                trained,
                lambda critic, x, y: (critic(x).sum() - critic(y).sum(), audited(critic, x, y)[1]),
            ),
            "The value is made of sums: what if y has more points than x?",
        ),
        "divided": (
            (
                trained,
                lambda critic, x, y: (
                    audited(critic, x, y)[0] / audited(critic, x, y)[1],
                    audited(critic, x, y)[1],
                ),
            ),
            "The value is divided by the bound already: what is asked for is the critic's own.",
        ),
        "exchanged": (
            (trained, lambda critic, x, y: audited(critic, x, y)[::-1]),
            "The bound comes first: which of the two is asked for first?",
        ),
        "the distance": (
            (
                trained,
                lambda critic, x, y: (distance(x, y), audited(critic, x, y)[1]),
            ),
            "This is the distance of x and y, whatever the critic says: what is its own value?",
        ),
        "power iteration": (
            (trained, _product(lambda W: power_iteration(W, 40)[0])),
            "The bound is a little too low, as an iteration or rounded digits leave it: which "
            "call gives the largest singular value exactly?",
            _a_little_low,
        ),
        "three steps": (
            (trained, _product(lambda W: power_iteration(W, 3)[0])),
            "The bound is below the product of the norms: is each norm exact, and is each weight "
            "in it once?",
            _too_low,
        ),
        "by the Gram matrix": (
            (trained, _product(lambda W: norm_upper_bounds(W)["gram"])),
            "The bound is above the product of the norms: certain, but is each norm exact, and "
            "each weight in it once?",
            _too_high,
        ),
    },
    wrong={
        "upside down, trained": (
            (lambda x, y: trained(x, y, rate=-0.3), audited),
            "where is it to be high",
        ),
        "untrained": ((_untrained, audited), "has it been trained"),
        "scaled": (
            (lambda x, y: nn.Sequential(*trained(x, y), Scale(2.0)), audited),  # type: ignore[misc]
            "its Scale",
        ),
        "held within the audit": ((trained, _held_and_audited), "changes its input"),
        "not held": ((lambda x, y: _held(x, y, lambda _: None), audited), "above 1 by far"),
        "clipped": (
            (lambda x, y: _held(x, y, lambda critic: _clip(critic, 1.0)), audited),
            "clipped at 1;",
        ),
        "clipped low": (
            (lambda x, y: _held(x, y, lambda critic: _clip(critic, 0.1)), audited),
            "for its entries are clipped",
        ),
        "not after the last step": (
            (_not_held_last, audited),
            "follow the last projection",
        ),
        "held too low": ((lambda x, y: _held(x, y, _divide), audited), "held too low"),
        "ReLU": ((lambda x, y: trained(x, y, nn.ReLU), audited), "which activation bends"),
        "affine": (
            (lambda x, y: _climb(_network(x, [], MaxMin), x, y, hold=retract_), audited),
            "affine",
        ),
        "one step": ((lambda x, y: trained(x, y, steps=1), audited), "enough steps"),
        "a hidden forward": (
            (lambda x, y: _Hidden(trained(x, y)), audited),
            "no bound is known",
        ),
        "two outputs": ((_two_outputs, audited), "the shape (3, 2)"),
        "with its value": (
            (lambda x, y: (trained(x, y), 1.0), audited),
            "only the network is asked for",
        ),
        "a number": ((lambda _x, _y: 1.0, audited), "where is the trained network"),
        "one function": (trained, "Two functions"),
    },
)
