"""The figures of lesson 11, second part: what networks learn of the distances (H.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from lipteach.classroom.lessons.l11_wasserstein.figures import draw_circles
from lipteach.classroom.style import LINES, ORANGE, new_figure
from lipteach.experiments import Record
from lipteach.primitives import wasserstein_dual
from lipteach.training import three_cones


def draw_learning(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> Figure:
    """Estimates against steps."""
    figure, axes = new_figure(5.6, 2.8)
    said = []
    for line, (name, (steps, values)) in zip(LINES, curves.items(), strict=False):
        axes.plot(steps, values, label=name, **line)
        said.append(f"{values[-1]:.2f} for {name}")
    axes.axhline(1, color="#999999", linewidth=1)
    axes.set(xlabel="steps", ylabel="dual value", ylim=(-0.05, 1.08))
    axes.legend(fontsize=9, loc="lower right")
    figure.set_label(
        f"After {steps[-1]} steps the dual value is {', '.join(said)}; the distance is 1."
    )
    return figure


def draw_learnt_surface(network: nn.Module) -> Figure:
    """A function that was learnt on three cones beside the best one, as level lines."""
    figure, panels = new_figure(7.4, 2.3, columns=2)
    pair = three_cones()
    side, depth = torch.linspace(-3.4, 3.4, 137).double(), torch.linspace(-1.4, 1.4, 57).double()
    grid = torch.cartesian_prod(side, depth)
    with torch.no_grad():
        learnt = network(grid)[:, 0]
        at = network(pair.centres).mean()
        x, y = pair.stratified(600)
        value = float(wasserstein_dual(network, x, y))
    levels = [-1.4 + 0.2 * k for k in range(8)]
    for axes, f, name in zip(
        panels, (learnt - at, pair.dual(grid)), ("learnt", "best"), strict=True
    ):
        shaped = f.reshape(137, 57).T.numpy()
        axes.contourf(side, depth, shaped, levels=levels, cmap="Blues", extend="both")
        lines = {"colors": "#444444", "linewidths": 0.6, "linestyles": "solid"}
        axes.contour(side, depth, shaped, levels=levels, **lines)
        draw_circles(axes, pair, ORANGE)
        axes.grid(visible=False)
        axes.set(title=name, xticks=[-2, 0, 2], ylim=(-1.4, 1.4))
    figure.set_label(
        f"Level lines of the learnt function, of value {value:.2f}, and of the best one, of value "
        "1."
    )
    return figure


def draw_record(record: Record) -> Figure:
    """The estimates of a recorded run: a panel for each pair and shape of the network."""
    groups: dict[tuple[str, int, int], list[Any]] = {}
    for cell in record.cells:
        hidden = cell.settings["hidden"]
        groups.setdefault((cell.settings["pair"], len(hidden), hidden[0]), []).append(cell)
    figure, panels = new_figure(7.6, 3.1, columns=len(groups))
    shares = [0.6 + len({c.settings["activation"] for c in cells}) for cells in groups.values()]
    panels[0].get_subplotspec().get_gridspec().set_width_ratios(shares)
    constraints = list(dict.fromkeys(cell.settings["constraint"] for cell in record.cells))
    for axes, ((pair, layers, width), cells) in zip(panels, groups.items(), strict=True):
        activations = list(dict.fromkeys(cell.settings["activation"] for cell in cells))
        for k, constraint in enumerate(constraints):
            own = [c for c in cells if c.settings["constraint"] == constraint]
            places = [activations.index(c.settings["activation"]) + 0.2 * (k - 1) for c in own]
            low = [min(c.metrics["estimate"]) for c in own]
            high = [max(c.metrics["estimate"]) for c in own]
            axes.vlines(places, low, high, color=LINES[k]["color"], linewidth=1.5)
            style = {"color": LINES[k]["color"], "marker": LINES[k]["marker"], "linestyle": ""}
            axes.plot(places, [c.mean("estimate") for c in own], label=constraint, **style)
        axes.axhline(1, color="#999999", linewidth=1)
        axes.set_xticks(range(len(activations)), activations, rotation=55, ha="right", fontsize=8)
        axes.set(ylim=(0.2, 1.05), xlim=(-0.6, len(activations) - 0.4))
        axes.set_title(f"{pair}\n{layers} × {width}", fontsize=8.5)
    panels[0].set_ylabel("estimated distance")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    best = {
        pair: max(
            c.mean("estimate") for key, cells in groups.items() if key[0] == pair for c in cells
        )
        for pair in dict.fromkeys(key[0] for key in groups)
    }
    said = ", ".join(f"{value:.3f} for the {pair}" for pair, value in best.items())
    figure.set_label(f"The best mean estimates over {len(record.seeds)} seeds are {said}.")
    return figure
