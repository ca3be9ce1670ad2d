"""Table 7: digit classifiers under attack, and what is certified of them, all of MNIST.

The margin m belongs to a network whose Lipschitz constant in the ∞-norm is 1: the hinge of a
network L·f has the margin m·L. The paper does not say which constant its margins .1 and .3 belong
to, so that MaxMin networks of other margins stand beside them.

Each image of the test part meets the fast gradient sign method and projected gradient descent, both
with the loss f6, and two certificates: intervals, and the Lipschitz constant. Attacks run in
float32, and what they found is judged in float64. An image that is told wrongly at rest is attacked
no more; PGD begins with an eighth of its steps, and anew with all of them where these did not
succeed.

With a margin the shorter profiles take the authors' rate or three times it, whichever has the least
validation error. In the laptop profile the attacks of Madry's training take 8 steps instead of 40.
Networks under the 2-norm (Björck) are there for their gradients, the main text's Figure 7; all
cells have measures of these, and some have pictures.

Source: Anil, Lucas and Grosse (2019), appendix H.5, Table 7 and Figure 7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.experiments import CellRecord, Experiment, Record, Run, select_and_test
from lipteach.experiments.machine.classifier import Loss, cross_entropy, train_classifier
from lipteach.experiments.machine.optimizers import make_agg_mo
from lipteach.experiments.machine.records import data_folder
from lipteach.primitives import MaxMin
from lipteach.robustness import pgd
from lipteach.training import (
    Epochs,
    Scheme,
    initialize_,
    input_gradients,
    load_digits,
    make_scheme,
    measure_attacks,
    measure_classifier,
    measure_gradients,
    measure_margins,
    orthonormal_network,
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"ReLU": nn.ReLU, "MaxMin": MaxMin}
RADII = (0.1, 0.3)
PAPER = {  # clean error, then FGS and PGD at .1, and at .3, in percent
    ("Standard", "ReLU", 0.0): (1.6, 98.3, 100.0, 100.0, 100.0),
    ("Standard", "MaxMin", 0.0): (1.5, 98.2, 100.0, 100.0, 100.0),
    ("Margin", "ReLU", 0.1): (6.2, 88.3, 89.7, 100.0, 100.0),
    ("Margin", "MaxMin", 0.1): (1.9, 36.3, 44.4, 99.2, 99.8),
    ("Margin", "ReLU", 0.3): (16.9, 70.1, 70.3, 100.0, 100.0),
    ("Margin", "MaxMin", 0.3): (5.3, 20.5, 24.4, 62.2, 77.7),
    ("PGD", "ReLU", 0.1): (1.02, 8.6, 17.9, 74.4, 100.0),
    ("PGD", "ReLU", 0.15): (1.36, 8.1, 15.1, 52.9, 99.7),
}
MARGINS = (0.03, 0.1, 0.3, 0.6, 1.0)  # of MaxMin
OTHERS = (
    *(row for m in MARGINS if (row := ("Margin", "MaxMin", m)) not in PAPER),
    *(("Björck", "MaxMin", L) for L in (1.0, 10.0)),
)
PICTURED = (("Standard", "MaxMin", 0.0), ("Björck", "MaxMin", 1.0))
CLASSES = (1, 2, 3, 4)  # of the pictures
LEVELS = 99  # of a recorded picture, on each side of 0


@dataclass(frozen=True)
class Settings:
    """One classifier: pixels, three hidden layers, 10 outputs."""

    training: str
    activation: str
    value: float  # the margin for L = 1, the radius of PGD's training, or L under Björck
    width: int = 1024
    epochs: int = 200
    data: str = "mnist"
    side: int = 28  # of images of 14 × 14 each pixel is a mean of four
    batch: int = 128
    L: float = 1000.0  # of the networks with a margin
    rate: float = 0.001  # of Adam, or of AggMo with a margin; it falls to 0 along a line
    inner: int = 40  # steps of an attack in training
    inner_size: float = 0.01  # of each
    steps: int = 200  # of PGD on the trained network
    judged: int = 10_000  # test images at most


def cells(profile: str) -> tuple[Settings, ...]:
    """List the rows of Table 7, then other margins, then networks under the 2-norm."""
    small: dict[str, dict[str, Any]] = {
        "full": {},
        "laptop": {"width": 256, "epochs": 20, "inner": 8},
        "quick": {
            **{"width": 32, "epochs": 8, "data": "sample", "side": 14, "batch": 50},
            **{"inner": 4, "steps": 40, "judged": 200},
        },
    }
    rates = {"full": (0.0033,), "laptop": (0.0033, 0.01), "quick": (0.0033, 0.01)}[profile]
    adam = 0.01 if profile == "quick" else 0.001
    grid = []
    for row in (*PAPER, *OTHERS):
        own = small[profile]
        if row[0] == "PGD" and "inner" in own:  # as far as 40 steps of .01 go for .3
            own = {**own, "inner_size": round(4 / 3 * row[2] / own["inner"], 4)}
        for rate in rates if row[0] == "Margin" else (adam,):
            grid.append(Settings(*row, rate=rate, **own))
    return tuple(grid)


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Train one classifier, attack it, and measure what is certified."""
    generator = torch.Generator().manual_seed(seed)
    parts = {split: load_images(settings, split) for split in ("train", "validation", "test")}
    scheme = make_scheme_of(settings)
    network = scheme.prepare(make_network(settings, generator), generator).to(run.device)
    epochs = Epochs(len(parts["train"][1]), settings.batch, generator)
    total = epochs.steps(settings.epochs)
    optimizer = make_optimizer(settings, network)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)
    loss_of = make_loss(settings, generator)
    train_classifier(run, scheme, network, optimizer, rate, parts["train"], epochs, total, loss_of)
    trained = scheme.finish(network.cpu())
    x, y = (tensor[: settings.judged] for tensor in parts["test"])
    found = measure_classifier(trained, parts, math.inf)
    found |= measure_margins(trained, x, y, math.inf)
    found |= measure_readability(settings, trained, x, y)
    L: Any = found["upper"]
    for eps in RADII:
        judged = measure_attacks(trained, x, y, eps, settings.steps, L)
        found |= {f"{name}_{eps:g}": value for name, value in judged.items()}
    return found


def load_images(settings: Settings, split: str) -> tuple[Tensor, Tensor]:
    """Load images as rows, and labels."""
    images, labels = load_digits(settings.data, split, data_folder())
    return functional.avg_pool2d(images, 28 // settings.side).flatten(1), labels


def make_scheme_of(settings: Settings) -> Scheme:
    """Make the scheme that goes with a training."""
    if settings.training == "Margin":
        return make_scheme("L∞", settings.L)
    return make_scheme("Björck", settings.value) if settings.training == "Björck" else Scheme()


def make_network(settings: Settings, generator: torch.Generator) -> nn.Sequential:
    """Make the network: with orthonormal weights for a margin, otherwise as PyTorch draws them."""
    sizes = [settings.side**2, *3 * [settings.width], 10]
    activation = ACTIVATIONS[settings.activation]
    network = orthonormal_network(sizes, activation, generator, torch.float32)
    if settings.training != "Margin":
        initialize_(network, generator)
    return network


def make_optimizer(settings: Settings, network: nn.Module) -> torch.optim.Optimizer:
    """Make the authors' AggMo for a margin, otherwise Adam."""
    if settings.training == "Margin":
        return make_agg_mo(network.parameters(), settings.rate)
    return torch.optim.Adam(network.parameters(), lr=settings.rate)


def make_loss(settings: Settings, generator: torch.Generator) -> Loss:
    """Make the loss: the hinge, or cross entropy, of images that PGD has changed if it is asked."""
    if settings.training == "Margin":
        return partial(hinge, settings.value * settings.L)
    return cross_entropy if settings.training != "PGD" else partial(worst, settings, generator)


def hinge(least: float, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    r"""Return the mean over a batch of the sum over k ≠ y of (least - Z_y + Z_k)⁺, over classes."""
    return functional.multi_margin_loss(network(x), y, margin=least)


def worst(
    settings: Settings, generator: torch.Generator, network: nn.Module, x: Tensor, y: Tensor
) -> Tensor:
    """Return the cross entropy of what PGD makes of a batch (Madry et al., 2018); it climbs f6."""
    step = settings.inner_size
    found = pgd(network, x, y, settings.value, settings.inner, step, start=1.0, generator=generator)
    return cross_entropy(network, found, y)


def measure_readability(
    settings: Settings, trained: nn.Module, x: Tensor, y: Tensor
) -> dict[str, Any]:
    """Measure the gradients of the loss over the images, and keep four of some networks.

    These are of the first image of each class in the embedded sample's test part, as whole numbers
    from -99 to 99, row by row.
    """
    shape = (-1, settings.side, settings.side)
    found = measure_gradients(input_gradients(trained, x, y).view(shape), x.view(shape))
    if (settings.training, settings.activation, settings.value) not in PICTURED:
        return found
    images, labels = load_images(replace(settings, data="sample"), "test")
    for digit in CLASSES:
        first = int((labels == digit).nonzero()[0, 0])
        (gradient,) = input_gradients(trained, images[[first]], labels[[first]])
        largest = gradient.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
        found[f"gradient_of_{digit}"] = (LEVELS * gradient / largest).round().int().tolist()
    return found


def compare(record: Record) -> str:
    """Show Table 7 beside the paper's and the certificates, then the margins, and the gradients."""
    parts = (paper_lines, margin_lines, gradient_lines)
    return "\n\n".join("\n".join(lines_of(record)) for lines_of in parts)


def paper_lines(record: Record) -> list[str]:
    """Show Table 7 beside the paper's, and what two certificates say."""
    rows = {row: select(record, *row) for row in PAPER}
    first = record.cells[0].settings
    lines = [
        f"Errors in percent, {first['side'] ** 2}-{first['width']}³-10 after {first['epochs']} "
        "epochs: ours as mean (largest - smallest) over the seeds,",
        "/ the paper's. Attacked: by FGS or PGD. Intervals, product: what they do not certify.",
        "Crossings: images that were attacked in spite of a certificate, of all seeds.",
    ]
    heads = ("clean", "FGS", "PGD", "attacked", "intervals", "product", "crossings")
    for k, eps in enumerate(RADII):
        lines += ["", f"ε = {eps:<14g}" + "".join(f"{head:>21}" for head in heads[:3])]
        lines[-1] += "".join(f"{head:>11}" for head in heads[3:])
        for row, cell in rows.items():
            paper = (PAPER[row][0], *PAPER[row][1 + 2 * k : 3 + 2 * k])
            names = ("test_error", f"fgs_{eps:g}", f"pgd_{eps:g}")
            beside = zip(names, paper, strict=True)
            ours = "".join(f"{f'{spread_text(cell, n)} / {t:g}':>21}" for n, t in beside)
            others = [cell.mean(f"{n}_{eps:g}") for n in ("attacked", "intervals", "product")]
            numbers = "".join(f"{number:11.2f}" for number in others)
            crossings = round(len(record.seeds) * cell.mean(f"crossings_{eps:g}"))
            lines.append(f"{name_text(row):18}{ours}{numbers}{crossings:11}")
    return lines


def margin_lines(record: Record) -> list[str]:
    """Show what the margin of MaxMin networks buys."""
    heads = ("clean", *(f"{kind}, {eps:g}" for eps in RADII for kind in ("attacked", "intervals")))
    lines = ["MaxMin: errors by the margin; the constant (bounds), and the middle margin over L"]
    heads += ("constant / L", "margin / L")
    lines.append(f"{'margin':>8}" + "".join(f"{head:>16}" for head in heads))
    for margin in MARGINS:
        cell = select(record, "Margin", "MaxMin", margin)
        kinds = [f"{kind}_{eps:g}" for eps in RADII for kind in ("attacked", "intervals")]
        numbers = "".join(f"{cell.mean(name):16.2f}" for name in ("test_error", *kinds))
        L = cell.settings["L"]
        bounds = f"{cell.mean('lower') / L:.3f}-{cell.mean('upper') / L:.3f}"
        middle = f"{cell.mean('margins')[2] / L:.3f}"
        lines.append(f"{margin:8g}{numbers}{bounds:>16}{middle:>16}")
    return lines


def gradient_lines(record: Record) -> list[str]:
    """Show how readable the gradients of MaxMin networks are."""
    lines = ["MaxMin: gradients on the strokes (share of the pixels), their variation; clean error"]
    for training, value in (("Standard", 0.0), ("Björck", 10.0), ("Björck", 1.0), ("Margin", 0.3)):
        cell = select(record, training, "MaxMin", value)
        shares = f"{cell.mean('on_strokes'):.3f} ({cell.mean('strokes'):.3f})"
        error = f"{cell.mean('test_error'):6.2f}"
        name = f"{training} {value:g}" if value else training
        lines.append(f"{name:15}{shares:>16}{cell.mean('variation'):8.3f}{error:>8}")
    return lines


def select(record: Record, training: str, activation: str, value: float) -> CellRecord:
    """Return the cell of a row, by the validation error where several rates were tried."""
    wanted = {"training": training, "activation": activation, "value": value}
    return select_and_test([c for c in record.cells if c.settings.items() >= wanted.items()]).cell


def spread_text(cell: CellRecord, name: str) -> str:
    """Write "20.50 (0.30)"."""
    return f"{cell.mean(name):.2f} ({cell.spread(name):.2f})"


def name_text(row: tuple[str, str, float]) -> str:
    """Write "Margin .3 MaxMin", as the paper calls a row."""
    training, activation, value = row
    return f"{training} {activation if training == 'Standard' else f'{value:g} {activation}'}"


EXPERIMENT = Experiment(
    name="table7_robustness",
    item="Table 7",
    title="MNIST under attack, and certified",
    cells=cells,
    train=train,
    compare=compare,
)
