"""The figures of lesson 12."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from lipteach.classroom.style import BLUE, LINES, ORANGE, new_figure
from lipteach.experiments import CellRecord
from lipteach.training import make_scheme

Measured = Mapping[str, Any]
"""What `lipteach.training.measure_classifier` measures, and the constant that was promised."""


def draw_constants(found: Mapping[str, Measured]) -> Figure:
    """Each network's Lipschitz constant between its bounds, and what its scheme promised."""
    figure, axes = new_figure(6.4, 0.36 * len(found) + 0.9)
    said = []
    for row, (name, one) in enumerate(found.items()):
        lower, upper = one["lower"], one["upper"]
        axes.plot([lower, upper], [row, row], color=BLUE, linewidth=5, solid_capstyle="butt")
        axes.plot([lower], [row], "|", color=BLUE, markersize=13, markeredgewidth=2.5)
        if one["promised"]:
            hollow = {"color": ORANGE, "markersize": 11, "markeredgewidth": 1.8}
            axes.plot([one["promised"]], [row], "D", markerfacecolor="none", **hollow)
        said.append(f"{name} {lower:.3g} to {upper:.3g}")
    axes.set(yticks=range(len(found)), yticklabels=list(found), ylim=(len(found) - 0.4, -0.6))
    _log(axes, "x", (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
    axes.set_xlabel("Lipschitz constant: from the lower to the upper bound; ◇ promised")
    figure.set_label(f"The constants lie between their bounds: {', '.join(said)}.")
    return figure


def _log(axes: Any, side: str, ticks: Sequence[float]) -> None:
    """Make an axis, "x" or "y", logarithmic, with those of the ticks that it shows as numbers."""
    axes.set(**{f"{side}scale": "log"})
    low, high = getattr(axes, f"get_{side}lim")()
    shown = [tick for tick in ticks if min(low, high) <= tick <= max(low, high)]
    axes.set(**{f"{side}ticks": shown, f"{side}ticklabels": [f"{tick:g}" for tick in shown]})
    axes.minorticks_off()


PERCENTS = (1, 2, 3, 5, 10, 20, 50, 80)


def most(p: float) -> float:
    """How large the gradient of a margin can be if L = 1: √2 in the 2-norm, 2 in the ∞-norm."""
    return 2.0 if p == math.inf else math.sqrt(2)


def draw_price(cells: Sequence[CellRecord], scheme: str = "Björck", power: int = 1) -> Figure:
    """Error, margin and gradient of networks up to a constant L = 10^power.

    A cell is a network: "scheme", "activation" and "value", L, and what was measured of it.
    """
    figure, panels = new_figure(7.2, 3.0, columns=3)
    titles = ("validation error, %", "median margin / steepest", "median gradient / steepest")
    chosen = [cell for cell in cells if cell.settings["scheme"] == scheme]
    activations = dict.fromkeys(cell.settings["activation"] for cell in chosen)
    top, said = most(make_scheme(scheme, 1.0).p), []
    for style, name in zip(LINES, activations, strict=False):
        row = [cell for cell in chosen if cell.settings["activation"] == name]
        L = [float(cell.settings["value"]) for cell in row]
        errors = [cell.mean("validation_error") for cell in row]
        margins, gradients = (
            [cell.mean(part)[2] / (top * value) for cell, value in zip(row, L, strict=True)]
            for part in ("margins", "gradients")
        )
        last = L.index(10.0**power)
        for axes, values in zip(panels, (errors, margins, gradients), strict=True):
            axes.plot(L, values, alpha=0)  # the limits are those of all
            axes.plot(L[: last + 1], values[: last + 1], label=name, **(style | {"markevery": 1}))
        said.append(f"{errors[last]:.1f}%, {margins[last]:.2g} and {gradients[last]:.2f} ({name})")
    for axes, title in zip(panels, titles, strict=True):
        _log(axes, "x", (0.1, 1, 10, 100))
        axes.set_xlabel("L")
        axes.set_title(title, fontsize=9)
    _log(panels[0], "y", PERCENTS)
    panels[2].set_ylim(0, 1.05)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=8, loc="outside upper center", ncols=len(names))
    figure.set_label(
        f"{scheme}, L = {10.0**power:g}: error, median margin and median gradient over the "
        f"steepest are {'; '.join(said)}."
    )
    return figure


def blurred_kernel(width: float, taps: int = 5) -> Tensor:
    """A kernel of Frobenius norm 1: a Gaussian of that width, in taps; at 0 a single tap."""
    t = torch.arange(taps).double() - taps // 2
    line = torch.exp(-(t**2) / (2 * max(width, 1e-3) ** 2))
    kernel = torch.outer(line, line)
    unit: Tensor = kernel / kernel.norm()
    return unit


def draw_kernel(width: float) -> Figure:
    """A kernel of norm 1 as a vector, and by how much its convolution multiplies waves."""
    kernel = blurred_kernel(width)
    gains = torch.fft.fft2(kernel, s=(128, 128)).abs()
    figure, (left, right) = new_figure(6.4, 2.7, columns=2)
    shades = colormaps["cividis"].resampled(8)
    picture = left.imshow(kernel.numpy(), cmap=shades, vmin=0, vmax=1)
    left.set(xticks=[], yticks=[])
    left.grid(visible=False)
    left.set_title("kernel, norm 1 as a vector", fontsize=10)
    figure.colorbar(picture, ax=left, shrink=0.85)
    turns = torch.linspace(0, 1, 65)
    ways = {"along a row": gains[0, :65], "along the diagonal": gains.diagonal()[:65]}
    for style, (name, values) in zip(LINES, ways.items(), strict=False):
        right.plot(turns, values, label=name, **style)
    right.set(xlabel="frequency, in π", ylim=(0, 1.15 * max(2.0, float(gains.max()))))
    right.set_title("gain of a wave", fontsize=10)
    right.legend(fontsize=8)
    figure.set_label(
        f"With width {width:g} the kernel has norm 1 as a vector, and its convolution multiplies "
        f"one wave by {float(gains.max()):.2f}."
    )
    return figure
