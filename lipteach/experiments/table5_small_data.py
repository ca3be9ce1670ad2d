"""Table 5: LeNet-5 learns digits from few images, under four ways of training.

The network is two convolutions and max-pooling, then 320-50-10; MaxMin acts over the channels. The
training images are drawn by the seed, as many of each digit; all of the validation part tell which
Lipschitz constant is chosen, and only then the test error of the chosen one is read.

The paper's Björck column has its kernels orthonormal as flattened matrices, and says L = 1. That is
no constraint on the convolutions: their norms as operators are measured beside it. The column
"Björck" has convolutions whose operators have norm 1, so that the network has the constant L; the
paper does not have it.

The laptop profile trains the paper's 200 epochs on up to 1,000 images, where it searches L and the
paper's columns have twice as many seeds; above it trains 80 epochs of 5,000 and 40 of 10,000, which
are twice the steps of 1,000, and keeps to one L.

Source: Anil, Lucas and Grosse (2019), appendix G.1 and Table 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lipteach.experiments import CellRecord, Experiment, Record, Run, Selected, select_and_test
from lipteach.experiments.machine.classifier import train_classifier
from lipteach.experiments.machine.records import data_folder
from lipteach.primitives import MaxMin
from lipteach.training import (
    Epochs,
    draw_balanced,
    initialize_,
    load_digits,
    make_scheme,
    measure_classifier,
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"ReLU": nn.ReLU, "MaxMin": partial(MaxMin, 1)}
GRID: dict[str, tuple[float, ...]] = {
    "Standard": (0.0,),
    "Dropout": (0.5,),
    "Weight decay": (5e-4,),
    "Björck, flattened": (1.0,),
    "Björck": (1.0, 3.0, 10.0, 30.0),
}
MANY = 10.0
"""L in the laptop profile where there are more than 1,000 images."""
BJORCK = {300: (8.12, 7.81), 500: (5.96, 6.98), 1000: (4.45, 4.54)}
BJORCK |= {5000: (2.23, 2.31), 10_000: (1.66, 1.64)}
PAPER = {  # test errors in percent by the number of images, with ReLU and MaxMin
    "Standard": {
        **{300: (12.40, 12.14), 500: (8.57, 9.13), 1000: (5.95, 6.23)},
        **{5000: (2.54, 2.51), 10_000: (1.77, 1.76)},
    },
    "Dropout": {
        **{300: (7.30, 10.64), 500: (5.54, 6.15), 1000: (3.70, 4.58)},
        **{5000: (1.84, 2.15), 10_000: (1.26, 1.70)},
    },
    "Weight decay": {
        **{300: (11.06, 10.81), 500: (7.33, 7.50), 1000: (5.14, 6.05)},
        **{5000: (2.31, 2.55), 10_000: (1.58, 1.57)},
    },
    "Björck, flattened": BJORCK,  # and none with operators of norm 1
}


@dataclass(frozen=True)
class Settings:
    """One LeNet."""

    scheme: str
    activation: str
    value: float  # of the scheme's setting: L, λ or q
    images: int
    epochs: int = 200
    slower: tuple[int, ...] = (100, 150)  # epochs after which the rate is divided by 10
    series: int = 0  # another one has other seeds
    data: str = "mnist"
    side: int = 28  # of images of 14 × 14 each pixel is a mean of four, and kernels are 3 × 3
    batch: int = 32


def cells(profile: str) -> tuple[Settings, ...]:
    """List the grid, the fewest images first."""
    own: dict[str, Any] = {}
    if profile == "quick":
        own = {"epochs": 8, "slower": (5, 7), "data": "sample", "side": 14, "batch": 15}
    grid = []
    for images in (300,) if profile == "quick" else (300, 500, 1000, 5000, 10_000):
        few = images <= 1000
        if profile == "laptop" and not few:
            epochs = 400_000 // images
            own = {"epochs": epochs, "slower": (epochs // 2, epochs * 3 // 4)}
        for scheme, values in GRID.items():
            series: tuple[int, ...] = (0,)
            if profile == "laptop" and few and scheme != "Björck":
                series = (0, 1)
            if profile == "laptop" and not few and scheme == "Björck":
                values = (MANY,)
            for activation, value, k in product(ACTIVATIONS, values, series):
                grid.append(Settings(scheme, activation, value, images, series=k, **own))
    return tuple(grid)


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Train one network on images of its own, and measure it."""
    generator = torch.Generator().manual_seed(1000 * settings.series + seed)
    parts = {split: load_images(settings, split) for split in ("train", "validation", "test")}
    drawn = draw_balanced(parts["train"][1], settings.images, generator)
    parts["train"] = (parts["train"][0][drawn], parts["train"][1][drawn])
    scheme = make_scheme(settings.scheme, settings.value)
    network = scheme.prepare(make_network(settings, generator), generator)
    lay_out(network.to(run.device), torch.channels_last)
    epochs = Epochs(len(parts["train"][1]), settings.batch, generator)
    total = epochs.steps(settings.epochs)
    optimizer = make_optimizer(settings, network)
    milestones = [epochs.steps(epoch) for epoch in settings.slower]
    rate = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    train_classifier(run, scheme, network, optimizer, rate, parts["train"], epochs, total)
    lay_out(network, torch.contiguous_format)
    return measure_classifier(scheme.finish(network.cpu()), parts)


def lay_out(network: nn.Module, order: torch.memory_format) -> None:
    """Lay the kernels out in memory: channels last train a third faster, and measure slower."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)


def load_images(settings: Settings, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Load images of one channel, and labels."""
    images, labels = load_digits(settings.data, split, data_folder())
    return functional.avg_pool2d(images[:, None], 28 // settings.side), labels


def make_network(settings: Settings, generator: torch.Generator) -> nn.Sequential:
    """Make a LeNet-5 with weights as PyTorch draws them."""
    activation = ACTIVATIONS[settings.activation]
    kernel, features = (5, 320) if settings.side == 28 else (3, 80)
    with torch.device("meta"):
        first, second = nn.Conv2d(1, 10, kernel), nn.Conv2d(10, 20, kernel)
        third, last = nn.Linear(features, 50), nn.Linear(50, 10)
    network = nn.Sequential(
        *(first, nn.MaxPool2d(2), activation()),
        *(second, nn.MaxPool2d(2), activation(), nn.Flatten()),
        *(third, activation(), last),
    ).to_empty(device="cpu")
    initialize_(network, generator)
    return network


def make_optimizer(settings: Settings, network: nn.Module) -> torch.optim.Optimizer:
    """Make the authors' optimizer: Adam under Björck, otherwise gradient descent with momentum."""
    if settings.scheme.startswith("Björck"):
        return torch.optim.Adam(network.parameters(), lr=0.001)
    return torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)


def select(record: Record, scheme: str, activation: str, images: int) -> Selected:
    """Choose the value of a scheme's setting on the validation errors, and read its test error."""
    wanted = {"scheme": scheme, "activation": activation, "images": images}
    return select_and_test(
        join_series([c for c in record.cells if c.settings.items() >= wanted.items()])
    )


def select_all(record: Record) -> dict[tuple[str, str, int], Selected]:
    """The chosen one of each scheme, activation and number of images."""
    sizes = dict.fromkeys(cell.settings["images"] for cell in record.cells)
    return {key: select(record, *key) for key in product(GRID, ACTIVATIONS, sizes)}


def join_series(found: list[CellRecord]) -> list[CellRecord]:
    """Make one cell of those that differ in their series alone, with the seeds of all."""
    joined: dict[float, dict[str, list[Any]]] = {}
    for cell in found:
        metrics = joined.setdefault(cell.settings["value"], {})
        for name, values in cell.metrics.items():
            metrics[name] = metrics.get(name, []) + values
    first = {cell.settings["value"]: cell.settings for cell in found[::-1]}
    return [CellRecord(first[value], metrics, {}) for value, metrics in joined.items()]


def compare(record: Record) -> str:
    """Show the chosen networks beside the paper's, and what their Lipschitz constants are."""
    lines = ["Test error in percent: mean over the seeds (largest - smallest) / the paper's."]
    chosen = select_all(record)
    sizes = dict.fromkeys(images for _, _, images in chosen)
    for activation, place in (("ReLU", 0), ("MaxMin", 1)):
        lines += ["", f"{activation:7}" + "".join(f"{name:>21}" for name in GRID)]
        for images in sizes:
            row = []
            for scheme in GRID:
                own = chosen[scheme, activation, images]
                theirs = f"{PAPER[scheme][images][place]:.2f}" if scheme in PAPER else "   -"
                row.append(f"{own.error:.2f} ({own.spread:.2f}) / {theirs}")
            lines.append(f"{images:7}" + "".join(f"{text:>21}" for text in row))
    lines += [
        "",
        "Björck: what is said of the Lipschitz constant, and what is (bounds); train error",
    ]
    for images in sizes:
        for scheme in ("Björck, flattened", "Björck"):
            for activation in ACTIVATIONS:
                cell = chosen[scheme, activation, images].cell
                norms = ", ".join(f"{norm:.2f}" for norm in cell.mean("norms"))
                lines.append(
                    f"{images:7}  {scheme:18} {activation:7} L = {cell.settings['value']:3g}: "
                    f"{cell.mean('lower'):5.2f} to {cell.mean('upper'):5.2f}, norms {norms}; "
                    f"{cell.mean('train_error'):.2f}"
                )
    return "\n".join(lines)


EXPERIMENT = Experiment(
    name="table5_small_data",
    item="Table 5",
    title="LeNet-5 and MNIST with little data",
    cells=cells,
    train=train,
    compare=compare,
)
