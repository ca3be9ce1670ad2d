"""Table 4: digits under seven ways of training and five activations, all of MNIST.

Every scheme is searched over H.4's values of its setting, each with every seed. The setting is
chosen by the validation error, and only then the test error of the chosen one is read.

Each network that was trained ends with its Lipschitz constant, bounded from both sides in the norm
of its scheme, and with the quantiles of its margins and of their gradients on the validation part,
which tell what the constant costs and buys. Before it is measured, a constraint is applied once
more, in float64; the authors' last 5 epochs with more Björck steps are left out.

Maxout takes pairs, so that of 1024 units 512 go on.

Source: Anil, Lucas and Grosse (2019), appendices G.1 and H.4, Table 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lipteach.experiments import CellRecord, Experiment, Record, Run, Selected, select_and_test
from lipteach.experiments.machine.classifier import train_classifier
from lipteach.experiments.machine.records import data_folder
from lipteach.primitives import FullSort, GroupSort, MaxMin, Maxout
from lipteach.training import (
    SCHEMES,
    Epochs,
    initialize_,
    load_digits,
    make_scheme,
    measure_classifier,
    measure_margins,
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "MaxMin": MaxMin,
    "GS(4)": partial(GroupSort, 4),
    "FullSort": FullSort,
    "Maxout": partial(Maxout, 2),
}
PAPER = {  # test errors in percent, in the order of the activations
    "Standard": (1.61, 1.47, 1.62, 3.53, 1.40),
    "Dropout": (1.27, 1.37, 1.29, 3.62, 1.27),
    "Björck": (1.54, 1.25, 1.43, 2.06, 1.43),
    "Spectral Norm": (1.54, 1.26, 1.32, 2.94, 1.26),
    "Spectral Jac": (1.05, 1.09, 1.24, 1.93, 1.02),
    "Parseval": (1.43, 1.40, 1.44, 3.36, 1.35),
    "L∞": (2.25, 2.28, 2.22, 4.88, 1.98),
}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Settings:
    """One classifier: pixels, three hidden layers, 10 outputs."""

    scheme: str
    activation: str
    value: float  # of the scheme's setting: L, β, λ or q
    width: int = 1024
    epochs: int = 200
    slower: tuple[int, ...] = (60, 100, 150)  # epochs after which the rate is divided by 10
    data: str = "mnist"
    side: int = 28  # of images of 14 × 14 each pixel is a mean of four
    batch: int = 128
    rate: float = 0.001


def cells(profile: str) -> tuple[Settings, ...]:
    """List the grid: all schemes, activations and values of H.4.

    In full the rest is the authors'. The shorter runs have larger batches and a rate that falls to
    0 as a cosine.
    """
    small: dict[str, dict[str, Any]] = {
        "full": {},
        "laptop": {"width": 256, "epochs": 10, "slower": (), "batch": 512, "rate": 0.002},
        "quick": {
            **{"width": 32, "epochs": 3, "slower": (), "batch": 100, "rate": 0.01},
            **{"data": "sample", "side": 14},
        },
    }
    return tuple(
        Settings(scheme, activation, value, **small[profile])
        for scheme in PAPER
        for activation in ACTIVATIONS
        for value in SCHEMES[scheme].grid
    )


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Train one classifier and measure it."""
    generator = torch.Generator().manual_seed(seed)
    parts = {split: load_images(settings, split) for split in SPLITS}
    scheme = make_scheme(settings.scheme, settings.value)
    network = scheme.prepare(make_network(settings, generator), generator).to(run.device)
    epochs = Epochs(len(parts["train"][1]), settings.batch, generator)
    total = epochs.steps(settings.epochs)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(share_of_rate, settings, total))
    train_classifier(run, scheme, network, optimizer, rate, parts["train"], epochs, total)
    trained = scheme.finish(network.cpu())
    margins = measure_margins(trained, *parts["validation"], scheme.p)
    return {**measure_classifier(trained, parts, scheme.p), **margins}


def load_images(settings: Settings, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Load images as rows, and labels."""
    images, labels = load_digits(settings.data, split, data_folder())
    return functional.avg_pool2d(images, 28 // settings.side).flatten(1), labels


def make_network(settings: Settings, generator: torch.Generator) -> nn.Sequential:
    """Make the network, with weights as PyTorch draws them."""
    activation = ACTIVATIONS[settings.activation]
    left = settings.width // 2 if settings.activation == "Maxout" else settings.width
    inputs = [settings.side**2, left, left, left]
    outputs = [*3 * [settings.width], 10]
    modules: list[nn.Module] = []
    for n, m in zip(inputs, outputs, strict=True):
        modules += [nn.Linear(n, m, device="meta").to_empty(device="cpu"), activation()]
    network = nn.Sequential(*modules[:-1])
    initialize_(network, generator)
    return network


def share_of_rate(settings: Settings, total: int, step: int) -> float:
    """Return what is left of the learning rate after some steps of all."""
    if settings.slower:
        done = step * settings.epochs // total
        return float(0.1 ** sum(done >= epoch for epoch in settings.slower))
    return (1 + math.cos(math.pi * step / total)) / 2


def select(record: Record, scheme: str, activation: str) -> Selected:
    """Choose the value of a scheme's setting on the validation errors, and read its test error."""
    wanted = {"scheme": scheme, "activation": activation}
    return select_and_test([c for c in record.cells if c.settings.items() >= wanted.items()])


def compare(record: Record) -> str:
    """Show the chosen networks beside the paper's, and the Lipschitz constants they end with."""
    found = {(s, a): select(record, s, a) for s in PAPER for a in ACTIVATIONS}
    first = record.cells[0].settings
    lines = [
        f"Test error in percent, {first['side'] ** 2}-{first['width']}³-10 after {first['epochs']} "
        "epochs: ours as mean (largest - smallest) over the seeds, / the paper's.",
        "The setting of each is that of the least validation error.",
        "",
        f"{'':14}" + "".join(f"{name:21}" for name in ACTIVATIONS).rstrip(),
    ]
    for scheme, paper in PAPER.items():
        pairs = zip(ACTIVATIONS, paper, strict=True)
        own = [(found[scheme, activation], theirs) for activation, theirs in pairs]
        row = [f"{s.error:.2f} ({s.spread:.2f}) / {theirs:.2f}" for s, theirs in own]
        lines.append(f"{scheme:14}" + "".join(f"{text:21}" for text in row).rstrip())
    lines += ["", "Chosen setting, and between which bounds the Lipschitz constant lies:"]
    for scheme in PAPER:
        row = [setting_text(scheme, found[scheme, activation].cell) for activation in ACTIVATIONS]
        lines.append(f"{scheme:14}" + "".join(f"{text:21}" for text in row).rstrip())
    return "\n".join(lines)


def setting_text(scheme: str, cell: CellRecord) -> str:
    """Write "L=10, 7.3-10"."""
    symbol, value = SCHEMES[scheme].symbol, cell.settings["value"]
    said = f"{symbol}={value:g}, " if symbol else ""
    return f"{said}{cell.mean('lower'):.3g}-{cell.mean('upper'):.3g}"


EXPERIMENT = Experiment(
    name="table4_mnist",
    item="Table 4",
    title="MNIST under seven ways of training",
    cells=cells,
    train=train,
    compare=compare,
)
