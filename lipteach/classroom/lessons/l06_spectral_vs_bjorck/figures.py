"""The figures of lesson 06."""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from lipteach.classroom.style import BLACK, LINES, ORANGE, new_figure
from lipteach.experiments import CellRecord, Record
from lipteach.primitives import operator_norm, power_iteration

_STEPS = 20


def spectra(ratio: float) -> dict[str, Tensor]:
    """Three rows of 32 singular values: the first is 1, the second `ratio`, by what follows."""
    second = torch.full((32,), ratio, dtype=torch.float64)
    second[0] = 1
    one = torch.zeros(32, dtype=torch.float64)
    one[:2] = second[:2]
    falling = ratio ** torch.arange(32, dtype=torch.float64)
    return {"one value": one, "falling values": falling, "31 values": second}


def estimates(sigma: Tensor) -> Tensor:
    """Power iteration on diag(sigma) after each of `_STEPS` steps, from (1, …, 1)."""
    W, u = torch.diag(sigma), torch.ones_like(sigma)
    found = []
    for _ in range(_STEPS):
        estimate, u, _ = power_iteration(W, steps=1, u=u)
        found.append(estimate)
    return torch.stack(found)


def norm_after(sigma: Tensor, steps: int) -> Tensor:
    """The norm of diag(sigma) divided by its estimate; sigma has the shape (…, n), σ₁ = 1."""
    return 1 / power_iteration(torch.diag_embed(sigma), steps, u=torch.ones_like(sigma))[0]


def draw_power_iteration(ratio: float = 0.9, steps: int = 5) -> Figure:
    """The estimate over the steps, and the norm that is left after dividing by it."""
    figure, (left, right) = new_figure(6.4, 2.9, columns=2)
    count = torch.arange(1, _STEPS + 1)
    ratios = torch.linspace(0.5, 1, 201, dtype=torch.float64)  # the peaks near 1 are narrow
    along = [spectra(float(r)) for r in ratios]
    left.axhline(1, color="#999999", linewidth=1)
    said = []
    for line, (name, sigma) in zip(LINES, spectra(ratio).items(), strict=False):
        left.plot(count, estimates(sigma), label=name, **line)
        right.plot(ratios, norm_after(torch.stack([s[name] for s in along]), steps), **line)
        norm = float(norm_after(sigma, steps))
        right.plot([ratio], [norm], "o", color=line["color"], markersize=8, markeredgecolor=BLACK)
        said.append(f"{norm:.3f} with {name}")
    left.axvline(steps, color=BLACK, linewidth=1)
    left.set(xlabel="steps", ylabel="estimate of σ₁ = 1", ylim=(0.47, 1.03))
    left.set(xticks=[1, 5, 10, 15, 20], yticks=[0.5, 0.75, 1])
    left.legend(fontsize=8, loc="lower right", title="at or below σ₂", title_fontsize=8)
    times = "1 step" if steps == 1 else f"{steps} steps"
    right.set(xlabel="σ₂ / σ₁", ylabel="norm after dividing", xticks=[0.5, 0.75, 1])
    right.set_title(f"after {times}", fontsize=10)
    figure.set_label(f"At σ₂/σ₁ = {ratio:g} the norm after {times} is {', '.join(said)}.")
    return figure


def draw_gradients(second: float = 0.5) -> Figure:
    """Gradients of length 1 before and behind a layer with singular values 1 and `second`."""
    figure, axes = new_figure(6.4, 2.9, columns=2)
    angle = torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])  # (2, 181)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    kept = torch.tensor([1.0, second], dtype=torch.float64)
    spectral, polar = turn @ torch.diag(kept) @ circle, turn @ circle
    lengths = spectral.norm(dim=0)
    axes[0].plot(*circle, color="#999999", linewidth=1, linestyle=(0, (1, 2)))
    axes[0].plot(*spectral, **(LINES[0] | {"marker": ""}))
    axes[0].plot(*polar[:, ::15], "s", color=ORANGE, markersize=4)
    for direction in (0, 45):  # the one kept, and the one lost
        tip = spectral[:, direction]
        axes[0].annotate("", tip, (0, 0), arrowprops={"arrowstyle": "->", "color": BLACK})
        axes[0].text(*(1.25 * polar[:, direction]), f"{lengths[direction]:.2f}", ha="center")
    axes[0].set(xlim=(-1.6, 1.6), ylim=(-1.4, 1.4), aspect="equal")
    axes[0].set_title("gradients behind Wᵀ", fontsize=10)
    axes[0].set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    degrees = angle * 180 / math.pi
    axes[1].plot(degrees, lengths, label="W / σ₁", **LINES[0])
    axes[1].plot(degrees, polar.norm(dim=0), label="U Vᵀ", **LINES[1])
    axes[1].set(
        xlabel="direction of the gradient, degrees", ylabel="length kept", ylim=(-0.05, 1.35)
    )
    axes[1].set(xticks=[0, 90, 180, 270, 360], yticks=[0, 0.5, 1])
    axes[1].legend(fontsize=9, loc="upper center", ncols=2)
    figure.set_label(
        f"With singular values 1 and {second:g} the gradient keeps between {lengths.min():.2f} and "
        "1.00 of its length; with 1 and 1 it keeps all."
    )
    return figure


def convolution_matrix(kernel: Tensor, size: int) -> Tensor:
    """The whole linear map of a convolution with zero padding on size × size images.

    The kernel has the shape (outputs, inputs, k, k) with k odd, the matrix (outputs·size²,
    inputs·size²).
    """
    inputs = kernel.shape[1]
    images = torch.eye(inputs * size**2, dtype=kernel.dtype).reshape(-1, inputs, size, size)
    columns = torch.nn.functional.conv2d(images, kernel, padding=kernel.shape[-1] // 2)
    return columns.flatten(1).T


def draw_convolution(size: int = 8) -> Figure:
    """The mean kernel, flattened norm 1: all singular values of its map on size × size images."""
    figure, (left, right) = new_figure(6.4, 2.7, columns=2)
    kernel = torch.full((1, 1, 3, 3), 1 / 3, dtype=torch.float64)
    sigma = torch.linalg.svdvals(convolution_matrix(kernel, size))
    flat = float(operator_norm(kernel.flatten(1)))
    every = max(1, len(sigma) // 8)
    left.plot(range(1, len(sigma) + 1), sigma, **(LINES[0] | {"markevery": every}))
    left.set_xlim(0, len(sigma) + 1)
    left.xaxis.get_major_locator().set_params(integer=True)
    left.axhline(flat, **(LINES[1] | {"marker": ""}), label="flattened kernel")
    left.set(xlabel="number", ylabel="singular value", ylim=(-0.1, 3.1), yticks=[0, 1, 2, 3])
    left.set_title(f"{size} × {size} pixels", fontsize=10)
    left.legend(fontsize=9)
    sizes = torch.arange(1, 17)
    norms = (1 + 2 * torch.cos(math.pi / (sizes + 1).double())).square() / 3
    right.plot(sizes, norms, **(LINES[0] | {"markevery": 1}))
    right.plot([size], [sigma[0]], "o", color=ORANGE, markersize=8)
    right.axhline(3, color="#999999", linewidth=1)
    right.set(xlabel="pixels a side", ylabel="operator norm", ylim=(-0.1, 3.1), yticks=[0, 1, 2, 3])
    right.set_xticks([1, 4, 8, 12, 16])
    above = int((sigma > 1 + 1e-9).sum())
    figure.set_label(
        f"On {size} × {size} images the largest singular value is {sigma[0]:.3f}, and {above} of "
        f"{len(sigma)} are above 1; the flattened kernel has norm {flat:.0f}."
    )
    return figure


NAMES = {"orthonormal": "orthonormal weights", "spectral": "spectral normalization"}
OWN = "the same, before dividing"


def dimensions(record: Record) -> list[int]:
    """The dimensions of the recorded cones."""
    return sorted({cell.settings["n"] for cell in record.cells})


def _draw(axes: Any, cell: CellRecord, name: str, style: dict[str, Any], label: str) -> None:
    """The mean of a curve over the seeds, in the band from the smallest to the largest."""
    steps = cell.curves[name][0][0]
    values = list(zip(*(values for _, values in cell.curves[name]), strict=True))
    axes.plot(steps, [sum(v) / len(v) for v in values], label=label, **style)
    low, high = [min(v) for v in values], [max(v) for v in values]
    axes.fill_between(steps, low, high, color=style["color"], alpha=0.2, linewidth=0)


def draw_fig_14(record: Record) -> Figure:
    """Estimated distance against steps, one panel for each dimension."""
    figure, panels = new_figure(8.6, 2.8, columns=len(dimensions(record)))
    said = []
    for axes, n in zip(panels, dimensions(record), strict=True):
        ends = []
        for k, (method, label) in enumerate(NAMES.items()):
            cell = record.cell(n=n, method=method)
            _draw(axes, cell, "estimate", LINES[k], label)
            ends.append(f"{cell.mean('estimate'):.2f}")
        _draw(axes, cell, "raw", LINES[3] | {"linewidth": 1, "markersize": 3}, OWN)
        axes.axhline(1, color="#999999", linewidth=1)
        axes.set(ylim=(0, 1.05), yticks=[0, 0.25, 0.5, 0.75, 1], xlabel="steps")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_title(f"n = {n}", fontsize=10)
        said.append(f"{ends[0]} against {ends[1]} in {n}")
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    panels[0].set_ylabel("estimated distance")
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, fontsize=8, loc="outside upper center", ncols=3)
    figure.set_label(
        f"After {cell.settings['steps']} steps, mean over {len(record.seeds)} seeds, orthonormal "
        f"weights against spectral normalization: {', '.join(said)} dimensions."
    )
    return figure
