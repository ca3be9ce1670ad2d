"""The figures of lesson 12."""

from __future__ import annotations

import math
import statistics
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
    if len(shown) < 4:
        shown = [tick for tick in FINER if min(low, high) <= tick <= max(low, high)]
    axes.set(**{f"{side}ticks": shown, f"{side}ticklabels": [f"{tick:g}" for tick in shown]})
    axes.minorticks_off()


PERCENTS = (1, 2, 3, 5, 10, 20, 50, 80)
FINER = (1, 1.2, 1.5, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15)


def most(p: float) -> float:
    """How large the gradient of a margin can be if L = 1: √2 in the 2-norm, 2 in the ∞-norm."""
    return 2.0 if p == math.inf else math.sqrt(2)


def draw_price(cells: Sequence[CellRecord], scheme: str = "Björck", power: int = 1) -> Figure:
    """Error, margin and gradient of networks up to a constant L = 10^power.

    A cell is a network: "scheme", "activation" and "value", L, and what was measured of it, with
    each seed. Marks are means; bars reach from the least to the largest over the seeds.
    """
    figure, panels = new_figure(7.2, 3.0, columns=3)
    titles = ("validation error, %", "median margin / steepest", "median gradient / steepest")
    chosen = [cell for cell in cells if cell.settings["scheme"] == scheme]
    activations = dict.fromkeys(cell.settings["activation"] for cell in chosen)
    top, said = most(make_scheme(scheme, 1.0).p), []
    for style, name in zip(LINES, activations, strict=False):
        row = [cell for cell in chosen if cell.settings["activation"] == name]
        L = [float(cell.settings["value"]) for cell in row]
        errors = [cell.metrics["validation_error"] for cell in row]
        margins, gradients = (
            [[one[2] / (top * c.settings["value"]) for one in c.metrics[part]] for c in row]
            for part in ("margins", "gradients")
        )
        last = L.index(10.0**power)
        for axes, values in zip(panels, (errors, margins, gradients), strict=True):
            axes.plot([L, L], [[min(v) for v in values], [max(v) for v in values]], alpha=0)
            look = style | {"markevery": 1, "label": name}
            axes.errorbar(L[: last + 1], *_means_and_bars(values[: last + 1]), **look)
        three = [statistics.fmean(values[last]) for values in (errors, margins, gradients)]
        said.append("{:.1f}%, {:.2g} and {:.2f} ({})".format(*three, name))
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


def _means_and_bars(values: Sequence[Sequence[float]]) -> tuple[list[float], list[list[float]]]:
    """The mean of each, and how far the least and the largest lie from it."""
    means = [statistics.fmean(one) for one in values]
    pairs = list(zip(means, values, strict=True))  # the mean of equal numbers is rounded: hence 0
    down = [max(0.0, mean - min(one)) for mean, one in pairs]
    up = [max(0.0, max(one) - mean) for mean, one in pairs]
    return means, [down, up]


def draw_table(
    ours: Mapping[str, Sequence[Sequence[float]]],
    paper: Mapping[str, Sequence[float]],
    columns: Sequence[str],
) -> Figure:
    """Test errors by scheme and activation, ours with each seed, beside the paper's.

    A scheme that the paper does not have is left out on its side.
    """
    figure, panels = new_figure(7.2, 4.2, columns=2)
    for k, (style, name) in enumerate(zip(LINES, columns, strict=False)):
        shifted = [row + 0.15 * (k - (len(columns) - 1) / 2) for row in range(len(ours))]
        look = {name: style[name] for name in ("color", "marker")} | {"linestyle": ""}
        means, bars = _means_and_bars([row[k] for row in ours.values()])
        panels[0].errorbar(means, shifted, xerr=bars, markersize=5, label=name, **look)
        theirs = [paper[row][k] if row in paper else math.nan for row in ours]
        panels[1].plot(theirs, shifted, markersize=5, **look)
    limits = [limit for axes in panels for limit in axes.dataLim.intervalx]
    for axes, title in zip(panels, ("ours", "the paper's"), strict=True):
        axes.set(xlim=(0.9 * min(limits), 1.1 * max(limits)), yticks=range(len(ours)))
        axes.set(xlabel="test error, % (log scale)", ylim=(len(ours) - 0.5, -0.5))
        _log(axes, "x", PERCENTS)
        axes.hlines([row + 0.5 for row in range(len(ours) - 1)], *axes.get_xlim(), BLACK, lw=0.5)
        axes.grid(visible=False, axis="y")
        axes.set_title(title, fontsize=10)
    panels[0].set_yticklabels(list(ours))
    panels[1].set_yticklabels([""] * len(ours))
    figure.legend(fontsize=8, loc="outside upper center", ncols=len(columns))
    average = {name: [statistics.fmean(one) for one in row] for name, row in ours.items()}
    best = [min(average, key=lambda name, k=k: average[name][k]) for k in range(len(columns))]  # type: ignore[misc]
    said = ", ".join(f"{b} with {name}" for b, name in zip(best, columns, strict=True))
    figure.set_label(f"The least test error of our runs: {said}.")
    return figure


def draw_little(
    ours: Mapping[int, Mapping[str, Sequence[Sequence[float]]]],
    paper: Mapping[str, Mapping[int, Sequence[float]]],
    images: int = 300,
) -> Figure:
    """Table 5 for a number of training images: ours, from the least to the largest, and theirs."""
    theirs = {scheme: column[images] for scheme, column in paper.items()}
    figure = draw_table(ours[images], theirs, ("ReLU", "MaxMin"))
    left, right = figure.axes
    left.set_title(f"ours, {images:,} training images", fontsize=10)
    for row in [row for row, scheme in enumerate(ours[images]) if scheme not in paper]:
        place: dict[str, Any] = {
            "transform": right.get_yaxis_transform(),
            "ha": "center",
            "va": "center",
        }
        right.text(0.5, row, "not in the paper", fontsize=8, **place)
    figure.set_label(f"{images:,} training images. {figure.get_label()}")
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
