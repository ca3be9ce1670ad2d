"""H.1: networks look for distances that are known, under four activations and three constraints.

The three pairs of distributions all have Wasserstein distance 1. A network whose weights have norm
1 is 1-Lipschitz, so that the difference of its means is at most 1; training makes it as large as it
can. What is measured is divided by the product of the exact norms of the trained weights, so that
no rounding is counted as distance.

The paper's batches are random. "stratified" ones meet every centre equally often: with few steps
the noise of random batches costs more than it does in the paper's long runs.

Source: Anil, Lucas and Grosse (2019), appendix H.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.experiments import Experiment, Record, Run
from lipteach.experiments.machine.optimizers import make_agg_mo
from lipteach.layers import export, make_tangent_, orthonormal, retract_, spectral
from lipteach.primitives import (
    FullSort,
    GroupSort,
    MaxMin,
    exact_wasserstein,
    operator_norm,
    wasserstein_dual,
)
from lipteach.primitives.composition import linear_layers
from lipteach.training import Cones, absolute_value, cone, orthonormal_network, three_cones

PAIRS = ("absolute value", "three cones", "cone")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "MaxMin": MaxMin,
    "GroupSort(4)": partial(GroupSort, 4),
    "FullSort": FullSort,
    "ReLU": nn.ReLU,
}
CONSTRAINTS = ("Björck", "spectral", "retraction")
PAPER: dict[str, Any] = {"rate": 0.01, "slower": (512, 1024)}  # 32 and 64 epochs of 16 steps
CIRCLES: dict[str, Any] = {"batch": 48, "stratified": True}
WIDE: dict[str, Any] = {"constraint": "Björck", "hidden": 3 * (312,), "steps": 9600, "rate": 0.02}
DEEP: dict[str, Any] = {"constraint": "retraction", "hidden": 5 * (128,), "steps": 2000}
OTHERS = (("MaxMin", WIDE), ("MaxMin", DEEP), ("ReLU", DEEP))
"""What the laptop profile also trains on the three cones; the first is the paper's size."""


@dataclass(frozen=True)
class Settings:
    """One network that looks for one distance."""

    pair: str
    activation: str
    constraint: str
    hidden: tuple[int, ...]
    steps: int
    n: int = 16  # the dimension of "cone"
    batch: int = 32
    rate: float = 0.05
    slower: tuple[int, ...] = ()  # the steps at which the rate falls by a tenth; else it falls to 0
    stratified: bool = False


def cells(profile: str) -> tuple[Settings, ...]:
    """List the grid: in full the paper's, by its text where its authors' settings differ.

    The laptop profile has the paper's network for the absolute value and, with MaxMin under Björck
    only, for the three cones, as many steps as its authors'; otherwise 128 units in each layer.
    """
    sizes: dict[str, dict[str, Any]] = {
        "full": {
            "absolute value": {"hidden": 3 * (128,), "steps": 3600, **PAPER},
            "three cones": {"hidden": 3 * (312,), "steps": 9600, **PAPER},
            "cone": {
                **{"n": 128, "hidden": 6 * (256,), "steps": 19_200, "rate": 0.005},
                "slower": (1920, 3840, 7680, 11_520),
            },
        },
        "laptop": {
            "absolute value": {"hidden": 3 * (128,), "steps": 400},
            "three cones": {"hidden": 3 * (128,), "steps": 1500, **CIRCLES},
            "cone": {"hidden": 3 * (128,), "steps": 500},
        },
        "quick": {pair: {"hidden": 2 * (32,), "steps": 25, "batch": 12} for pair in PAIRS},
    }
    names = product(PAIRS, ACTIVATIONS, CONSTRAINTS)
    grid = [Settings(*own, **sizes[profile][own[0]]) for own in names]
    if profile == "laptop":
        grid += [Settings("three cones", name, **own, **CIRCLES) for name, own in OTHERS]
    return tuple(grid)


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Let one network look for the distance."""
    generator = torch.Generator().manual_seed(seed)
    pair = make_pair(settings)
    network = make_network(settings, generator).to(run.device)
    optimizer = make_agg_mo(network.parameters(), settings.rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(share_of_rate, settings))
    draw = pair.stratified if settings.stratified else pair.sample
    state = {"network": network, "optimizer": optimizer, "rate": rate, "generator": generator}
    for step in run.steps(settings.steps, **state):
        x, y = (side.to(run.device, torch.float32) for side in draw(settings.batch, generator))
        optimizer.zero_grad()
        with parametrize.cached():  # the weights are computed once for x and y
            loss = -wasserstein_dual(network, x, y)
        loss.backward()  # type: ignore[no-untyped-call]
        if settings.constraint == "retraction":
            make_tangent_(network)
        nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        rate.step()
        if settings.constraint == "retraction":
            retract_(network, method="qr")
        if step == 1 or step % max(1, settings.steps // 30) == 0:
            run.log("estimate", measure(network, pair)["estimate"])
    return {**measure(network, pair), "batch_distance": batch_distance(pair, settings.batch, seed)}


def make_pair(settings: Settings) -> Cones:
    """Make the pair of distributions of a cell."""
    if settings.pair == "cone":
        return cone(settings.n)
    return {"absolute value": absolute_value, "three cones": three_cones}[settings.pair]()


def make_network(settings: Settings, generator: torch.Generator) -> nn.Sequential:
    """Make a network with orthonormal weights, and its constraint."""
    inputs = make_pair(settings).centres.shape[1]
    activation = ACTIVATIONS[settings.activation]
    sizes = [inputs, *settings.hidden, 1]
    network = orthonormal_network(sizes, activation, generator, torch.float32)
    for layer in linear_layers(network):
        if settings.constraint == "Björck":
            orthonormal(layer)
        elif settings.constraint == "spectral":
            spectral(layer)
    return network


def share_of_rate(settings: Settings, step: int) -> float:
    """Return what is left of the learning rate after some steps."""
    if settings.slower:
        return float(0.9 ** sum(step >= milestone for milestone in settings.slower))
    return 1 - step / settings.steps


@torch.no_grad()
def measure(network: nn.Sequential, pair: Cones) -> dict[str, float]:
    """Measure what a network has found, in float64, on points that meet every centre equally often.

    Returns:
        By name: "norms", the product of the weights' exact norms; "estimate", the difference of the
        means over that product; "error", the largest distance from the best dual function on these
        points, up to a constant.
    """
    plain = export(network).double().cpu()
    norms = math.prod(float(operator_norm(layer.weight)) for layer in linear_layers(plain))
    x, y = pair.stratified(1200, torch.Generator().manual_seed(0))
    z = torch.cat([x[:: len(x) // len(pair.centres)], y])  # each centre once
    off = plain(z)[:, 0] - pair.dual(z)
    return {
        "estimate": float(wasserstein_dual(plain, x, y)) / norms,
        "norms": norms,
        "error": float(off.max() - off.min()) / 2,
    }


def batch_distance(pair: Cones, batch: int, seed: int) -> float:
    """Return the mean of the exact distances of 20 random batches, which is 1 at least."""
    generator = torch.Generator().manual_seed(seed)
    batches = [pair.sample(batch, generator) for _ in range(20)]
    distances: Tensor = torch.stack([exact_wasserstein(x, y) for x, y in batches])
    return float(distances.mean())


def compare(record: Record) -> str:
    """Show the estimates of every pair, activation and constraint."""
    lines = ["Estimated distance (exact: 1): mean over the seeds (largest - smallest)."]
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for cell in record.cells:
        own = cell.settings
        table = f"{own['pair']}, {'-'.join(map(str, own['hidden']))}, {own['steps']} steps"
        row = tables.setdefault(table, {}).setdefault(own["activation"], {})
        row[own["constraint"]] = f"{cell.mean('estimate'):.3f} ({cell.spread('estimate'):.3f})"
    for table, rows in tables.items():
        lines += ["", table, f"{'':15}" + "".join(f"{name:16}" for name in CONSTRAINTS).rstrip()]
        for activation, row in rows.items():
            numbers = "".join(f"{row.get(name, '-'):16}" for name in CONSTRAINTS)
            lines.append(f"  {activation:13}{numbers}".rstrip())
    lines += [
        "",
        "The paper says that each distance is 1 and gives no table; its authors' settings bring",
        "MaxMin with Björck to about 0.994 for the absolute value.",
    ]
    return "\n".join(lines)


EXPERIMENT = Experiment(
    name="h1_transport",
    item="H.1",
    title="known distances, found by networks of norm 1",
    cells=cells,
    train=train,
    compare=compare,
)
