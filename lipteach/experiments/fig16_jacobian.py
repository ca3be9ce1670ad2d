"""Fig. 16: all singular values of the Jacobians of digit classifiers with Lipschitz constant 10.

A network of orthonormal weights and ReLU or MaxMin, its output times 10, learns to tell digits
apart. Then its Jacobian (10 × pixels) is taken at test images, and decomposed.

The weights are kept orthonormal by retraction. Before each step the gradient loses what points off
the orthonormal matrices: otherwise Adam would scale by it, and learn more slowly.

The paper's network is 784-1024-1024-1024-10. The laptop profile trains it on all of MNIST, but
shortly, and a network of the same shape on 2,000 digits of 14 × 14 pixels, 196-256-256-256-10. Of
either size there is another one whose first layers are square instead of tall: it loses nothing on
the way back, and each of its singular values is 10.

Source: Anil, Lucas and Grosse (2019), appendix G.3 and Fig. 16; the settings of H.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.experiments import CellRecord, Experiment, Record, Run
from lipteach.experiments.machine.records import data_folder
from lipteach.layers import make_tangent_, retract_
from lipteach.primitives import MaxMin, jacobian_singular_values
from lipteach.training import load_mnist, mnist_sample, orthonormal_network

L = 10.0
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"ReLU": nn.ReLU, "MaxMin": MaxMin}
BINS = 40
"""The bins of the histogram, each a quarter wide, from 0 to 10."""


@dataclass(frozen=True)
class Settings:
    """One classifier. Images have side × side pixels, 28 as MNIST's or 14 as means of four."""

    activation: str
    side: int = 28
    width: int = 1024
    steps: int = 93_750
    slower: tuple[int, ...] = ()
    data: str = "sample"
    batch: int = 128
    rate: float = 0.001
    images: int = 1000


def cells(profile: str) -> tuple[Settings, ...]:
    """List the grid: Adam is the paper's; rate, batch and epochs its authors'; short runs ours."""
    if profile == "full":  # the rate is divided by 10 after 60, 100 and 150 epochs
        return on_mnist(slower=(28_125, 46_875, 70_312))
    steps, images = (1000, 1000) if profile == "laptop" else (40, 100)
    small: dict[str, Any] = {"side": 14, "steps": steps, "images": images}
    grid = [Settings(activation, width=256, **small) for activation in ACTIVATIONS]
    grid.append(Settings("MaxMin", width=196, **small))
    if profile == "laptop":
        grid += on_mnist(steps=600, slower=(360, 510), batch=256, rate=0.002)
    return tuple(grid)


def on_mnist(**size: Any) -> tuple[Settings, ...]:
    """List the paper's two networks, and one with square layers."""
    paper = [Settings(activation, data="mnist", **size) for activation in ACTIVATIONS]
    return (*paper, Settings("MaxMin", width=784, data="mnist", **size))


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Train one classifier and decompose its Jacobians."""
    generator = torch.Generator().manual_seed(seed)
    widths = [settings.side**2, *3 * [settings.width], 10]
    activation = ACTIVATIONS[settings.activation]
    network = orthonormal_network(widths, activation, generator, torch.float32).to(run.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate)
    slower = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(settings.slower))
    x, y = load_digits(settings, "train", run.device)
    test = load_digits(settings, "test", run.device)
    few = (test[0][:: len(test[0]) // 100], test[1][:: len(test[1]) // 100])
    state = {"network": network, "optimizer": optimizer, "slower": slower, "generator": generator}
    for step in run.steps(settings.steps, **state):
        chosen = torch.randint(len(x), (settings.batch,), generator=generator).to(run.device)
        loss = functional.cross_entropy(L * network(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        make_tangent_(network)
        optimizer.step()
        retract_(network, method="qr")
        slower.step()
        if step == 1 or step % max(1, settings.steps // 25) == 0:
            for name, value in measure(network, *few).items():
                if isinstance(value, float):
                    run.log(name, value)
    return measure(network, test[0], test[1], settings.images)


def load_digits(settings: Settings, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Load images as rows, and labels. MNIST lies in ``$LIPTEACH_DATA``, or in ``data``."""
    if settings.data == "mnist":
        part = "train+validation" if split == "train" else split
        images, labels = load_mnist(data_folder(), part)
    else:
        images, labels = mnist_sample(split)
    pooled = functional.avg_pool2d(images, 28 // settings.side)
    return pooled.flatten(1).to(device), labels.to(device)


@torch.no_grad()
def measure(network: nn.Sequential, x: Tensor, y: Tensor, images: int = 100) -> dict[str, Any]:
    """Measure the test error in percent, and the Jacobians' singular values at the first images.

    These are told by their smallest, 5%, median, 95% and largest value, by the share between 4 and
    8 and between 9 and 10, and by the shares of the bins. (10.01 lets float32 pass for 10.)
    """
    sigma = jacobian_singular_values(lambda a: L * network(a), x[:images]).flatten().cpu().double()
    ranks = torch.tensor([0, 0.05, 0.5, 0.95, 1], dtype=torch.float64)
    names = ("smallest", "low", "median", "high", "largest")
    shares = torch.histc(sigma.clamp(max=L), BINS, 0, L) / len(sigma)
    wrong = network(x).argmax(dim=1) != y
    return {
        **dict(zip(names, torch.quantile(sigma, ranks).tolist(), strict=True)),
        "from_4_to_8": share(sigma, 4, 8),
        "from_9_to_10": share(sigma, 9, L + 0.01),
        "test_error": 100 * float(wrong.float().mean()),
        "histogram": shares.tolist(),
    }


def share(sigma: Tensor, low: float, high: float) -> float:
    """Return the part of the values in [low, high]."""
    return float(((low <= sigma) & (sigma <= high)).double().mean())


def name_of(cell: CellRecord) -> str:
    """Name a cell: "ReLU, 196-256³-10"."""
    said = cell.settings
    return f"{said['activation']}, {said['side'] ** 2}-{said['width']}³-10"


def compare(record: Record) -> str:
    """Show our singular values beside what Fig. 16 is said to show."""
    lines = [
        "Singular values of the Jacobian at test images, L = 10; means over the seeds.",
        "",
        "network                steps  error %  smallest    5%  median   95%  largest   4–8   9–10",
    ]
    for cell in record.cells:
        middle = "  ".join(f"{cell.mean(n):5.2f}" for n in ("smallest", "low", "median", "high"))
        shares = "   ".join(f"{100 * cell.mean(n):3.0f}%" for n in ("from_4_to_8", "from_9_to_10"))
        lines.append(
            f"{name_of(cell):22} {cell.settings['steps']:5d}  {cell.mean('test_error'):6.1f}   "
            f"{middle}   {cell.mean('largest'):5.2f}  {shares}"
        )
    return "\n".join(
        [
            *lines,
            "",
            "The paper: ReLU spreads over 4 to 8, and GroupSort concentrates in 9 to 10.",
            "Orthonormal square layers and sorting: all of them 10, whatever has been learnt.",
        ]
    )


EXPERIMENT = Experiment(
    name="fig16_jacobian",
    item="Fig. 16",
    title="Jacobian singular values of digit classifiers",
    cells=cells,
    train=train,
    compare=compare,
)
