"""The figures of lesson 10, second part: recorded runs of Fig. 16 (G.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from lipteach.classroom.style import BLACK, LINES, new_figure
from lipteach.experiments.fig16_jacobian import BINS, name_of
from lipteach.experiments.record import CellRecord

HATCHES = ("//", "", "..")


def draw_histograms(cells: Sequence[CellRecord]) -> Figure:
    """One panel for each network: the shares of its singular values, quarter by quarter."""
    figure, panels = new_figure(6.8, 1.15 * len(cells) + 0.6, rows=len(cells))
    edges = torch.linspace(0, 10, BINS + 1)
    said = []
    for k, (axes, cell) in enumerate(zip(panels, cells, strict=True)):
        colour, hatch = LINES[k % 3]["color"], HATCHES[k % 3]
        shares = cell.mean("histogram")
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35, hatch=hatch)
        axes.stairs(shares, edges, color=colour, linewidth=1.5)
        axes.set(xlim=(0, 10.2), yticks=[])
        steps = f"{cell.settings['steps']} steps"
        axes.text(0.02, 0.65, f"{name_of(cell)}\n{steps}", transform=axes.transAxes, fontsize=9)
        low, high = cell.mean("low"), cell.mean("high")
        said.append(f"{low:.1f} to {high:.1f} for {name_of(cell)}")
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    panels[-1].set_xlabel("singular value of the Jacobian, L = 10")
    figure.set_label(f"Nine tenths of the singular values lie in {'; '.join(said)}.")
    return figure


def draw_during(cells: Sequence[CellRecord], moment: int = -1) -> Figure:
    """Nine tenths of the singular values and their median while the networks learn, one seed."""
    figure, panels = new_figure(6.8, 2.7, columns=len(cells))
    said = []
    for k, (axes, cell) in enumerate(zip(panels, cells, strict=True)):
        style = LINES[k % 3]
        (steps, low), (_, middle), (_, high) = (
            cell.curves[name][0] for name in ("low", "median", "high")
        )
        axes.fill_between(steps, low, high, color=style["color"], alpha=0.3)
        axes.plot(steps, middle, **style)
        axes.axvline(steps[moment], color=BLACK, linewidth=1)
        axes.set(xlabel="steps", ylim=(0, 10.5))
        axes.set_title(name_of(cell), fontsize=10)
        said.append(
            f"{low[moment]:.1f}, {middle[moment]:.1f}, {high[moment]:.1f} for {name_of(cell)}"
        )
    figure.set_label(f"At step {steps[moment]} the 5%, 50% and 95% values are {'; '.join(said)}.")
    return figure
