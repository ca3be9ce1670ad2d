"""The figures of lesson 12."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure
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
            axes.plot([one["promised"]], [row], "D", color=ORANGE, markersize=6)
        said.append(f"{name} {lower:.3g} to {upper:.3g}")
    axes.set(yticks=range(len(found)), yticklabels=list(found), ylim=(len(found) - 0.4, -0.6))
    _log(axes, "x", (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
    axes.set_xlabel("Lipschitz constant: from the lower to the upper bound; ◆ promised")
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
    """Error, margin and gradient of networks over their constant L; a line at L = 10^power.

    A cell is a network: "scheme", "activation" and "value", L, and what was measured of it.
    """
    figure, panels = new_figure(7.2, 3.0, columns=3)
    titles = ("validation error, %", "margin / steepest", "gradient / steepest")
    chosen = [cell for cell in cells if cell.settings["scheme"] == scheme]
    activations = dict.fromkeys(cell.settings["activation"] for cell in chosen)
    p, said = make_scheme(scheme, 1.0).p, []
    for style, name in zip(LINES, activations, strict=False):
        row = [cell for cell in chosen if cell.settings["activation"] == name]
        L = [float(cell.settings["value"]) for cell in row]
        steepest = [most(p) * value for value in L]
        margins = [c.mean("margins")[2] / top for c, top in zip(row, steepest, strict=True)]
        gradients = [c.mean("gradients")[2] / top for c, top in zip(row, steepest, strict=True)]
        errors = [cell.mean("validation_error") for cell in row]
        for axes, values in zip(panels, (errors, margins, gradients), strict=True):
            axes.plot(L, values, label=name, **(style | {"markevery": 1}))
        at = L.index(10.0**power)
        if name in ("ReLU", "MaxMin"):
            said.append(f"{errors[at]:.2f}%, {margins[at]:.2g} and {gradients[at]:.2f} with {name}")
    for axes, title in zip(panels, titles, strict=True):
        axes.axvline(10.0**power, color=BLACK, linewidth=1)
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
    """A kernel of norm 1 as a vector, and how much its convolution multiplies each frequency."""
    kernel = blurred_kernel(width)
    response = torch.fft.fftshift(torch.fft.fft2(kernel, s=(64, 64)).abs())
    steps = colormaps["viridis"].resampled(15)
    figure, panels = new_figure(6.4, 2.9, columns=2)
    shown = (
        (kernel, "kernel, norm 1 as a vector", colormaps["cividis"], 1, None),
        (response, "frequency response", steps, 5, (-32, 32, -32, 32)),
    )
    for axes, (values, title, colours, high, extent) in zip(panels, shown, strict=True):
        picture = axes.imshow(values.numpy(), cmap=colours, vmin=0, vmax=high, extent=extent)
        axes.grid(visible=False)
        axes.set_title(title, fontsize=10)
        figure.colorbar(picture, ax=axes, shrink=0.85)
    panels[0].set(xticks=[], yticks=[])
    panels[1].set(xticks=[-32, 0, 32], yticks=[-32, 0, 32])
    figure.set_label(
        f"With width {width:g} the kernel has norm 1 as a vector, and its convolution multiplies "
        f"one frequency by {float(response.max()):.2f}."
    )
    return figure
