"""Table 6: wide residual networks on colour images, three ways of training and two activations.

The question is whether MaxMin is a drop-in for ReLU where it was not made for: with batch
normalization and residual connections, and without a constraint. The full profile is the paper's
WRN-28-4 on CIFAR-10, for a GPU, with the usual settings of these networks; the paper gives none of
its own, nor β and λ. Our λ was chosen by the validation error of WRN-10-1 with ReLU after 300 steps
on Fashion-MNIST (2,000 images, a seed of its own): .0001 (20.6 %) rather than .001 (26.8 %; without
a penalty 22.4 %), while .01 ruins three epochs (24 and 42 % with two seeds).

The smaller profiles are of other images, and say so: the laptop's of Fashion-MNIST, which is grey;
the quick one's of digits of the embedded sample in colours that we make up. They are not Table 6.

The constant of each network is bounded at the end, in evaluation mode: above by the norms of
layers, normalizations and sums, below by the Jacobians at test images.

Source: Anil, Lucas and Grosse (2019), appendix G.1, Table 6; the settings are those of S. Zagoruyko
and N. Komodakis (2016), Wide Residual Networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.experiments import Experiment, Record, Run
from lipteach.experiments.machine.classifier import train_classifier
from lipteach.experiments.machine.records import data_folder
from lipteach.primitives import MaxMin, jacobian_spectral_norm
from lipteach.robustness.certified_norms import norms_along
from lipteach.training import (
    Epochs,
    load_cifar10,
    load_digits,
    load_mnist,
    make_scheme,
    wide_resnet,
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"ReLU": nn.ReLU, "MaxMin": partial(MaxMin, 1)}
VALUES = {"Standard": 0.0, "Parseval": 0.001, "Spectral Jac": 0.0001}
PAPER = {  # accuracies in percent, with ReLU and MaxMin
    "Standard": (95.29, 94.57),
    "Parseval": (95.45, 94.83),
    "Spectral Jac": (95.44, 94.62),
}
TITLES = {
    "cifar": "CIFAR-10",
    "fashion": "Fashion-MNIST, not CIFAR-10",
    "coloured": "digits in made-up colours, not CIFAR-10",
}
DECAY = 5e-4
ROWS = 500  # at once, where a whole part is evaluated
SAMPLES = 32  # at which Jacobians are taken


@dataclass(frozen=True)
class Settings:
    """One wide residual network."""

    scheme: str
    activation: str
    value: float  # of the scheme's setting: β or λ
    depth: int = 28
    width: int = 4
    epochs: int = 200
    slower: tuple[int, ...] = (60, 120, 160)  # epochs after which the rate is divided by 5
    data: str = "cifar"
    batch: int = 128
    rate: float = 0.1


def cells(profile: str) -> tuple[Settings, ...]:
    """List the three schemes with two activations."""
    small: dict[str, dict[str, Any]] = {
        "full": {},
        "laptop": {"depth": 10, "width": 1, "epochs": 3, "slower": (2,), "data": "fashion"},
        "quick": {
            **{"depth": 10, "width": 1, "epochs": 3, "slower": (2,)},
            **{"data": "coloured", "batch": 60},
        },
    }
    return tuple(
        Settings(scheme, activation, value, **small[profile])
        for scheme, value in VALUES.items()
        for activation in ACTIVATIONS
    )


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Train one network, on a GPU in mixed precision, and measure it."""
    generator = torch.Generator().manual_seed(seed)
    parts = {s: load_images(settings.data, s) for s in ("train", "validation", "test")}
    scheme = make_scheme(settings.scheme, settings.value)
    channels, activation = parts["train"][0].shape[1], ACTIVATIONS[settings.activation]
    network = wide_resnet(settings.depth, settings.width, activation, generator, channels)
    network = network.to(run.device)
    optimizer = torch.optim.SGD(
        network.parameters(), settings.rate, momentum=0.9, nesterov=True, weight_decay=DECAY
    )
    epochs = Epochs(len(parts["train"][1]), settings.batch, generator)
    milestones = [epochs.steps(epoch) for epoch in settings.slower]
    rate = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, 0.2)
    loss_of = partial(loss_of_moved, generator, settings.data)
    total = epochs.steps(settings.epochs)
    train_classifier(run, scheme, network, optimizer, rate, parts["train"], epochs, total, loss_of)
    return measure(network.eval(), parts)


def load_images(data: str, split: str) -> tuple[Tensor, Tensor]:
    """Load images (N, channels, height, width), roughly centred and scaled, and labels."""
    if data == "cifar":
        images, labels = load_cifar10(data_folder(), split)
    elif data == "fashion":
        grey, labels = load_mnist(data_folder(), split, "fashion")
        images = grey[:, None]
    else:
        grey, labels = load_digits("sample", split, data_folder())
        images = colour(functional.pad(functional.avg_pool2d(grey, 2), 4 * [1]), split)
    return (images - 0.4) / 0.3, labels


def colour(grey: Tensor, split: str) -> Tensor:
    """Draw each image in two colours of its own: (N, h, w) to (N, 3, h, w)."""
    seed = ("train", "validation", "test").index(split)
    generator = torch.Generator().manual_seed(seed)
    paper, ink = torch.rand(2, len(grey), 3, 1, 1, generator=generator) / 2
    return torch.lerp(paper, ink + 0.5, grey[:, None])  # the ink is brighter


def loss_of_moved(
    generator: torch.Generator, data: str, network: nn.Module, x: Tensor, y: Tensor
) -> Tensor:
    """Return the mean cross entropy of a batch, of which each image is moved and may be mirrored.

    An eighth of its size each way, 4 pixels of 32, as is usual; a digit is not mirrored.
    """
    moved = move(x, generator, mirrored=data != "coloured")
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
        logits = network(moved)
    loss: Tensor = functional.cross_entropy(logits.float(), y)
    return loss


def move(x: Tensor, generator: torch.Generator, mirrored: bool) -> Tensor:
    """Cut an image of the same size out of each padded one, and mirror half of them."""
    count, _, height, width = x.shape
    most = height // 8
    padded = functional.pad(x, 4 * [most], mode="reflect")
    down, right = torch.randint(2 * most + 1, (2, count, 1), generator=generator).to(x.device)
    rows = down + torch.arange(height, device=x.device)
    columns = right + torch.arange(width, device=x.device)
    flipped = torch.rand(count, 1, generator=generator).to(x.device) < 0.5
    if mirrored:
        columns = torch.where(flipped, columns.flip(1), columns)
    one = torch.arange(count, device=x.device)[:, None, None]
    return padded[one, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def measure(network: nn.Sequential, parts: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Measure the errors in percent, in float32, and the Lipschitz constant from both sides."""
    device = next(network.parameters()).device
    errors = {}
    with torch.no_grad():
        for name, (x, y) in parts.items():
            logits = torch.cat([network(rows.to(device)).cpu() for rows in torch.split(x, ROWS)])
            errors[f"{name}_error"] = 100 * float((logits.argmax(1) != y).double().mean())
    x = parts["test"][0][:SAMPLES]
    lower = jacobian_spectral_norm(network, x.to(device), steps=20).max()
    upper = norms_along(network.cpu().double(), x[:1].double(), 2)[2]
    return {**errors, "lower": float(lower.detach()), "upper": upper}


def compare(record: Record) -> str:
    """Show the accuracies; beside the paper's only where the images are CIFAR-10's."""
    first = record.cells[0].settings
    theirs = first["data"] == "cifar"
    lines = [
        f"WRN-{first['depth']}-{first['width']} on {TITLES[first['data']]}; "
        f"{first['epochs']} epochs.",
        "Test accuracy in percent: mean (largest - smallest) over the seeds"
        + (" / the paper's." if theirs else "."),
        "",
        f"{'':14}" + "".join(f"{name:26}" for name in ACTIVATIONS).rstrip(),
    ]
    for scheme, paper in PAPER.items():
        row = []
        for activation, value in zip(ACTIVATIONS, paper, strict=True):
            cell = record.cell(scheme=scheme, activation=activation)
            own = f"{100 - cell.mean('test_error'):.2f} ({cell.spread('test_error'):.2f})"
            row.append(own + (f" / {value:.2f}" if theirs else ""))
        lines.append(f"{scheme:14}" + "".join(f"{text:26}" for text in row).rstrip())
    lines += ["", "Lipschitz constant of the network, between:"]
    for scheme in PAPER:
        cells_ = [record.cell(scheme=scheme, activation=name) for name in ACTIVATIONS]
        row = [f"{cell.mean('lower'):.3g} and {cell.mean('upper'):.3g}" for cell in cells_]
        lines.append(f"{scheme:14}" + "".join(f"{text:26}" for text in row).rstrip())
    return "\n".join(lines)


EXPERIMENT = Experiment(
    name="table6_cifar",
    item="Table 6",
    title="Wide residual networks on colour images",
    cells=cells,
    train=train,
    compare=compare,
)
