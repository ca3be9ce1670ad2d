"""The loop of 14.loop: a generator and a clipped critic, with one part or another changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.training import clip_weights_, initialize_

RATE, BOUND = 0.1, 0.5

Given = tuple[nn.Sequential, nn.Sequential, Tensor, list[list[Tensor]]]
Pair = tuple[nn.Module, nn.Module]


class Named(nn.Sequential):
    """A network that a hint can name."""

    said = "network"

    def __repr__(self) -> str:
        return self.said


class Critic(Named):
    """A critic."""

    said = "critic"


class Maker(Named):
    """A generator."""

    said = "maker"


class Rows(list[Any]):
    """Latent points that a hint need not write out."""

    def __repr__(self) -> str:
        return "latents"


def case(seed: int, rounds: int, looks: int = 3) -> Given:
    """A critic of pairs of numbers, a generator of such, 6 of them, and latent points."""
    source = torch.Generator().manual_seed(seed)
    critic = Critic(nn.Linear(2, 4), nn.LeakyReLU(0.2), nn.Linear(4, 1))
    maker = Maker(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for network in (critic, maker):
        initialize_(network, source)
    real = 2 + torch.randn(6, 2, generator=source, dtype=torch.float32)
    drawn = torch.rand(rounds, looks + 1, 6, 3, generator=source, dtype=torch.float32)
    return critic, maker, real, Rows([list(part) for part in drawn])


CASES = [(0, 1), (1, 2), (2, 4)]


def play(
    critic: nn.Module,
    maker: nn.Module,
    real: Tensor,
    latents: Sequence[Sequence[Tensor]],
    *,
    clip: str = "after",
    stale: bool = False,
    maker_sign: float = -1.0,
    critic_sign: float = 1.0,
    looks: slice = slice(None, -1),
    every_look: bool = False,
    clipped: Callable[[nn.Module], Any] = lambda network: clip_weights_(network, BOUND),
    rates: tuple[float, float] = (RATE, RATE),
    keep: bool = False,
    moves_critic: bool = False,
    both: bool = False,
) -> Pair:
    """Play the match; a keyword changes one thing.

    The steps are written out, for the first use of ``torch.optim`` takes seconds.
    """
    weights, own = list(critic.parameters()), list(maker.parameters())
    before = [torch.zeros_like(weight) for weight in weights]
    for rounds in latents:
        left = [torch.zeros_like(weight) for weight in own]
        for z in rounds[looks]:
            if clip == "before":
                clipped(critic)
            loss = critic_sign * (critic(maker(z)).mean() - critic(real).mean())
            slopes = torch.autograd.grad(loss, weights + own, allow_unused=True)
            if clip == "between":
                clipped(critic)
            found = [one + keep * old for one, old in zip(slopes, before, strict=False)]
            before = found
            _step(weights, found, rates[0])
            if stale:
                left = [a + b for a, b in zip(left, slopes[len(weights) :], strict=True)]
            if clip == "after":
                clipped(critic)
            if both:
                clipped(maker)
            if every_look:
                _improve(critic, maker, z, maker_sign, rates[1], left, moves_critic)
        if clip == "each round":
            clipped(critic)
        if not every_look:
            _improve(critic, maker, rounds[-1], maker_sign, rates[1], left, moves_critic)
    if clip == "end":
        clipped(critic)
    return critic, maker


def _improve(
    critic: nn.Module,
    maker: nn.Module,
    z: Tensor,
    sign: float,
    rate: float,
    left: Sequence[Tensor],
    moves_critic: bool,
) -> None:
    """One step of the generator, with what is left of other gradients."""
    weights, own = list(critic.parameters()), list(maker.parameters())
    slopes = torch.autograd.grad(sign * critic(maker(z)).mean(), own + weights)
    found = [a + b for a, b in zip(slopes, left, strict=False)]
    _step(own, found, rate)
    if moves_critic:
        _step(weights, slopes[len(own) :], RATE)


@torch.no_grad()
def _step(weights: Sequence[Tensor], slopes: Sequence[Tensor], rate: float) -> None:
    for weight, slope in zip(weights, slopes, strict=True):
        weight.sub_(slope, alpha=rate)


def changed(**options: Any) -> Callable[..., Pair]:
    """The loop with something changed."""
    return lambda *given: play(*given, **options)


def by_optimizers(
    critic: nn.Module, maker: nn.Module, real: Tensor, latents: Sequence[Sequence[Tensor]]
) -> Pair:
    """The same by PyTorch's optimizers, and with the generator's output detached."""
    critic_sgd, maker_sgd = (
        torch.optim.SGD(network.parameters(), lr=RATE) for network in (critic, maker)
    )
    for rounds in latents:
        for z in rounds[:-1]:
            loss = critic(maker(z).detach()).mean() - critic(real).mean()
            critic_sgd.zero_grad()
            torch.autograd.backward(loss)
            critic_sgd.step()
            clip_weights_(critic, BOUND)
        maker_sgd.zero_grad()
        torch.autograd.backward(-critic(maker(rounds[-1])).mean())
        maker_sgd.step()
    return critic, maker
