"""The figures of lesson 15."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, LINES, new_figure
from lipteach.primitives import MaxMin, Residual, Scale, jacobian_singular_values

BLOCKS = range(1, 9)
WIDTH = 8  # of the inputs of a row of blocks
EPS = nn.BatchNorm1d(1).eps


def draw_images(images: Tensor, labels: Tensor, columns: int = 10) -> Figure:
    """The first images of a data set, (N, 3, h, w) with mean 0.4 and deviation 0.3 taken off."""
    figure, panels = new_figure(7.2, 1.0, columns=columns)
    for axes, image, label in zip(panels, images, labels, strict=False):
        axes.imshow((0.3 * image + 0.4).clamp(0, 1).permute(1, 2, 0).numpy())
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.set_title(str(int(label)), fontsize=9)
    said = ", ".join(str(int(label)) for label in labels[:columns])
    figure.set_label(f"Digits in made-up colours: {said}.")
    return figure


def draw_losses(losses: Mapping[str, Sequence[float]]) -> Figure:
    """The loss of each network on each batch, and its mean over ten."""
    figure, axes = new_figure(6.4, 2.7)
    said = []
    for style, (name, values) in zip(LINES, losses.items(), strict=False):
        mean = torch.tensor(values).unfold(0, 10, 1).mean(dim=1)
        axes.plot(values, color=style["color"], linewidth=0.7, alpha=0.5)
        axes.plot(range(9, len(values)), mean, label=name, **style)
        said.append(f"{name} from {values[0]:.1f} to {mean[-1]:.2f}")
    axes.set(xlabel="step", ylabel="cross entropy", ylim=(0, None))
    axes.legend(fontsize=8)
    figure.set_label(f"The loss, at the end its mean over ten batches: {', '.join(said)}.")
    return figure


def blocks(count: int, size: float, aligned: bool) -> nn.Sequential:
    """Residual blocks in a row, whose bodies are ``size`` times MaxMin behind an isometry.

    Aligned, the isometry is the identity: sorted numbers are sorted already, and each block
    multiplies them by 1 + size. Otherwise it is drawn at random, another one in each block.
    """
    generator, made = torch.Generator().manual_seed(0), list[nn.Module]()
    for _ in range(count):
        body: list[nn.Module] = [MaxMin(), Scale(size)]
        if not aligned:
            turned = nn.Linear(WIDTH, WIDTH, bias=False, dtype=torch.float64)
            draw = torch.randn(WIDTH, WIDTH, dtype=torch.float64, generator=generator)
            turned.weight.data = torch.linalg.qr(draw).Q
            body.insert(0, turned)
        made.append(Residual(nn.Sequential(*body)))
    return nn.Sequential(*made).requires_grad_(False)


def steepest(network: nn.Module, samples: int = 64) -> float:
    """The largest norm of a Jacobian at random points."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, WIDTH, dtype=torch.float64, generator=generator)
    return float(jacobian_singular_values(network, x).max())


def draw_sums(blocks_in_a_row: int = 4, body_norm: float = 0.5) -> Figure:
    """The bound (1 + a)ⁿ of residual blocks, what is found, and the bound if each is a mean."""
    figure, axes = new_figure(6.4, 3.0)
    counts = list(BLOCKS)
    curves = {
        "bound (1 + a)ⁿ": [(1 + body_norm) ** n for n in counts],
        "found, body = a · shortcut": [steepest(blocks(n, body_norm, True)) for n in counts],
        "found, bodies at random": [steepest(blocks(n, body_norm, False)) for n in counts],
        "bound of means, ((1 + a)/2)ⁿ": [((1 + body_norm) / 2) ** n for n in counts],
    }
    for style, (name, values) in zip(LINES, curves.items(), strict=False):
        axes.plot(counts, values, label=name, **style | {"markevery": 1})
    axes.axvline(blocks_in_a_row, color=BLACK, linewidth=1)
    axes.set(xlabel="n, the number of blocks", yscale="log", xticks=counts, ylim=(0.04, 400))
    axes.set(yticks=[0.1, 1, 10, 100], yticklabels=["0.1", "1", "10", "100"])
    axes.legend(fontsize=8, ncols=2, loc="upper left")
    bound, alike, random, mean = (values[blocks_in_a_row - 1] for values in curves.values())
    figure.set_label(
        f"n = {blocks_in_a_row} blocks with bodies of norm a = {body_norm:g}: the bound is "
        f"{bound:.3g}, {alike:.3g} is found with bodies like the shortcut, {random:.3g} with "
        f"random ones; means have the bound {mean:.3g}."
    )
    return figure


def normalized_apart(delta: float, training: bool) -> float:
    """How far apart two numbers come out of a fresh batch normalization."""
    norm = nn.BatchNorm1d(1).double().train(training).requires_grad_(False)
    out = norm(torch.tensor([[0.0], [delta]]).double())
    return float(out[1] - out[0])


def draw_pair(log_distance: float = -1.0) -> Figure:
    """How far apart two numbers come out of a batch normalization, and how many times as far."""
    figure, (left, right) = new_figure(7.0, 2.9, columns=2)
    distances = [10 ** (k / 10) for k in range(-50, 11)]
    delta = 10**log_distance
    for style, training in zip(LINES, (True, False), strict=False):
        name = f"{'training' if training else 'evaluation'} mode"
        out = [normalized_apart(d, training) for d in distances]
        left.loglog(distances, out, label=name, **style)
        right.loglog(distances, [y / d for y, d in zip(out, distances, strict=True)], **style)
    right.axhline(1 / math.sqrt(EPS), color=BLACK, linewidth=1, linestyle=":", label="1/√ε")
    right.legend(fontsize=8, loc="lower left")
    for axes, title in ((left, "distance of the outputs"), (right, "times as far apart")):
        axes.axvline(delta, color=BLACK, linewidth=1)
        axes.set(xlabel="δ, the distance of the inputs")
        axes.set_title(title, fontsize=10)
    left.legend(fontsize=8, loc="lower right")
    apart, same = normalized_apart(delta, True), normalized_apart(delta, False)
    figure.set_label(
        f"Two numbers at the distance {delta:.3g} come out {apart:.3g} apart in training mode, "
        f"{apart / delta:.3g} times as far; in evaluation mode {same / delta:.3g} times."
    )
    return figure


def draw_depth(names: Sequence[str], upper: Sequence[float], found: Sequence[float]) -> Figure:
    """The bound of the first k modules of a network, and the steepest Jacobian found of them."""
    figure, axes = new_figure(6.4, 3.3)
    depths = range(1, len(upper) + 1)
    for style, name, values in zip(LINES, ("bound", "found"), (upper, found), strict=False):
        axes.plot(depths, values, label=name, **style | {"markevery": 1})
    axes.set(yscale="log", xlabel="the network's modules, up to here")
    axes.set_xticks(depths, names, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    axes.legend(fontsize=8)
    figure.set_label(
        f"The bound grows from {upper[0]:.3g} to {upper[-1]:,.0f}; what is found goes from "
        f"{found[0]:.3g} to {found[-1]:.3g}."
    )
    return figure
