"""A figure of lesson 06: the recorded run of Fig. 14, estimates of the distance while learning."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lipteach.classroom.style import LINES, new_figure
from lipteach.experiments import CellRecord, Record

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
