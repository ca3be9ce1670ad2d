"""Three critics on a pair whose best critic is known: the origin and the unit circle (lesson 11).

The distance is 1, and −‖z‖ finds it. What a critic claims is held to that: one that claims more
cheats, and its Lipschitz constant shows how it could.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from lipteach.primitives import MaxMin, wasserstein_dual
from lipteach.training import (
    CRITICS,
    cone,
    gradient_penalty,
    initialize_,
    measure_critic,
    points_between,
)

KINDS = ("clipped", "penalty, LeakyReLU", "Lipschitz, MaxMin")
WIDTH, ROWS = 64, 48
RATES = {"clipped": 1e-3, "penalty, LeakyReLU": 3e-3, "Lipschitz, MaxMin": 3e-2}


def train_toy_critic(kind: str, steps: int, seed: int = 0, strength: float = 10.0) -> nn.Sequential:
    """Let a critic of `CRITICS` look for the distance of the origin to the unit circle.

    Args:
        kind: its name there.
        steps: of Adam, at a rate that falls to 0.
        seed: of all random numbers.
        strength: λ of the penalty, where there is one.

    Returns:
        The critic, 2-64-64-1, with plain weights in float64.
    """
    row, source = CRITICS[kind], torch.Generator().manual_seed(seed)
    activation = MaxMin if row.scheme.constant else row.activation
    layers = nn.Sequential(
        *(nn.Linear(2, WIDTH), activation(), nn.Linear(WIDTH, WIDTH), activation()),
        nn.Linear(WIDTH, 1),
    )
    initialize_(layers, source)
    critic = row.scheme.prepare(layers, source)
    row.scheme.after_step(critic)
    optimizer = torch.optim.Adam(critic.parameters(), lr=RATES[kind], betas=(0.5, 0.9))
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(1, steps))
    for _ in range(steps):
        x, y = (side.float() for side in cone(2).sample(ROWS, source))
        loss = -wasserstein_dual(critic, x, y)
        if row.scheme.penalty:
            loss = loss + strength * gradient_penalty(critic, points_between(x, y, source))
        row.scheme.step(critic, loss, optimizer)
        rate.step()
    return row.scheme.finish(critic)


@cache
def toy_critics(steps: int) -> dict[str, tuple[nn.Sequential, dict[str, float]]]:
    """Train the three, and measure each on the origin and points all around the circle."""
    x, y = cone(2).stratified(120)
    made = {kind: train_toy_critic(kind, steps) for kind in KINDS}
    return {kind: (critic, measure_critic(critic, x, y, 60)) for kind, critic in made.items()}


@cache
def penalized_claims(steps: int, strengths: tuple[float, ...]) -> list[float]:
    """What penalized critics claim of the distance 1, for some strengths of the penalty."""
    x, y = cone(2).stratified(120)
    kind = "penalty, LeakyReLU"
    made = [train_toy_critic(kind, steps, strength=strength) for strength in strengths]
    with torch.no_grad():
        return [float(wasserstein_dual(critic, x, y)) for critic in made]
