"""Fig. 14: orthonormal weights by Björck against spectral normalization, on cones.

The origin against the unit sphere of ℝⁿ: their Wasserstein distance is 1 (appendix H.1). Two
networks of the same start look for it; the figure shows what they have found after each step.

Spectral normalization is PyTorch's, as in the paper. It divides by an estimate of the norm from
below, so its network need not be 1-Lipschitz, and its own estimate of the distance may be too
large. Divided by the product of the exact norms of all weights it is one again, and its estimate a
true lower bound of the distance: each is kept, as "raw" and as "estimate".

Source: Anil, Lucas and Grosse (2019), appendix B.2 and Fig. 14.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from lipteach.experiments import CellRecord, Experiment, Record, Run
from lipteach.layers import orthonormal
from lipteach.primitives import MaxMin, operator_norm, wasserstein_dual
from lipteach.primitives.composition import linear_layers
from lipteach.training import cone, orthonormal_network

METHODS = ("orthonormal", "spectral")
RATE = {"orthonormal": 0.01, "spectral": 0.0033}  # the paper's, tuned
DIMENSIONS = (2, 16, 128, 512)


@dataclass(frozen=True)
class Settings:
    """One network on one cone."""

    n: int
    method: str
    width: int = 512
    batch: int = 128
    steps: int = 5000


def cells(profile: str) -> tuple[Settings, ...]:
    """List the grid: the network and the rates are the paper's; batch and steps are ours."""
    size = {
        "quick": {"width": 32, "batch": 64, "steps": 60},
        "laptop": {"steps": 1500},
        "full": {},
    }[profile]
    return tuple(Settings(n, method, **size) for n in DIMENSIONS for method in METHODS)


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Let one network look for the distance."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [settings.n, *3 * [settings.width], 1]
    network = orthonormal_network(sizes, MaxMin, generator, torch.float32)
    for layer in linear_layers(network):
        constrain(layer, settings.method, generator)
    network.to(run.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE[settings.method])
    pair = cone(settings.n)

    def sample(count: int) -> tuple[Tensor, Tensor]:
        x, y = (side.to(run.device, torch.float32) for side in pair.sample(count, generator))
        return x[:1], y  # every x is the origin

    test = sample(2048)
    state = {"network": network, "optimizer": optimizer, "generator": generator}
    for step in run.steps(settings.steps, **state):
        with parametrize.cached():  # one weight for both sides, and one step of power iteration
            loss = -wasserstein_dual(network, *sample(settings.batch))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % max(1, settings.steps // 30) == 0:
            for name, value in measure(network, *test).items():
                run.log(name, value)
    return measure(network, *test)


def constrain(layer: nn.Linear, method: str, generator: torch.Generator) -> None:
    """Put the constraint on a layer; the vectors of power iteration come from the generator."""
    if method == "orthonormal":
        orthonormal(layer)
        return
    with torch.random.fork_rng(devices=[]):  # PyTorch draws its own, which are then replaced
        parametrizations.spectral_norm(layer)
    constraints: Any = layer.parametrizations
    for vector in constraints.weight[0].buffers():
        drawn = torch.randn(vector.shape, generator=generator)
        vector.copy_(drawn / drawn.norm())
    for _ in range(15):
        _ = layer.weight  # in training mode each reading is a step of power iteration


@torch.no_grad()
def measure(network: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, float]:
    """Return the network's own value, the product of its norms, and the value over the product."""
    network.eval()
    raw = float(wasserstein_dual(network, x, y))
    norms: float = math.prod(float(operator_norm(layer.weight)) for layer in linear_layers(network))
    network.train()
    return {"estimate": raw / norms, "raw": raw, "norms": norms}


def compare(record: Record) -> str:
    """Show the last estimates, and when the orthonormal network had the other's."""
    lines = [
        "Estimated distance (exact: 1): mean over the seeds (largest - smallest).",
        "",
        "   n   orthonormal      spectral         undivided        norms   caught up after",
    ]
    for n in DIMENSIONS:
        ours, theirs = (record.cell(n=n, method=method) for method in METHODS)
        shown = [(ours, "estimate"), (theirs, "estimate"), (theirs, "raw")]
        numbers = [f"{c.mean(name):.3f} ({c.spread(name):.3f})    " for c, name in shown]
        soon = steps_to(ours, theirs.mean("estimate"))
        of = f"{soon} of {ours.settings['steps']} steps" if soon else "never"
        lines.append(f"{n:4d}   {''.join(numbers)}{theirs.mean('norms'):5.3f}   {of}")
    lines += [
        "",
        "The paper shows curves without numbers: Björck converges sooner and higher than spectral",
        "normalization, and the more so the larger n is.",
    ]
    return "\n".join(lines)


def steps_to(cell: CellRecord, estimate: float) -> int:
    """Find the first step by which every seed's curve has that estimate; 0 if one never has."""
    reached = [
        next((step for step, value in zip(*curve, strict=True) if value >= estimate), 0)
        for curve in cell.curves["estimate"]
    ]
    return max(reached) if all(reached) else 0


EXPERIMENT = Experiment(
    name="fig14_spectral",
    item="Fig. 14",
    title="Björck against spectral normalization on cones",
    cells=cells,
    train=train,
    compare=compare,
)
