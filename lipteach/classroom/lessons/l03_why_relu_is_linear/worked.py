"""The picture of lesson 03's worked example: a singular value is raised behind one MaxMin."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure


def draw_worked(x: tuple[float, float] = (0.6, 1.0)) -> Figure:
    """F(z) = max(z₁, z₂) by its level lines, and what F gives at (x₁, σ x₂) for σ from ½ to 1."""
    figure, (left, right) = new_figure(6, 3, columns=2)
    side = torch.linspace(0, 1.2, 61, dtype=torch.float64)
    F = torch.maximum(side[None, :], side[:, None])  # (z₂, z₁)
    lines = left.contour(
        side, side, F, levels=[0.2, 0.4, 0.6, 0.8, 1.0], colors="#888888", linewidths=0.8
    )
    left.clabel(lines, fontsize=8)
    left.plot([0, 1.2], [0, 1.2], ":", color=BLACK, linewidth=1)
    start, end = (x[0], x[1] / 2), x
    left.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 2})
    delta = (start[0] + 0.3, start[1])
    left.annotate("", delta, start, arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 2})
    left.text(delta[0], delta[1] - 0.1, "δ", color=BLUE)
    left.text(x[0] - 0.1, x[1] / 2 - 0.02, "u₂", color=ORANGE, ha="right")
    left.set(xlabel="z₁", ylabel="z₂", title="level lines of F", aspect="equal")
    left.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    left.grid(visible=False)
    sigma = torch.linspace(0.5, 1, 51, dtype=torch.float64)
    right.plot(sigma, (sigma * x[1]).clamp(min=x[0]), **LINES[1] | {"marker": ""})
    right.set(xlabel="σ₂", ylabel="output", title=f"F at ({x[0]:g}, σ₂)", ylim=(0, 1.1))
    right.set(xticks=[0.5, 0.75, 1], yticks=[0, 0.5, 1])
    figure.set_label(
        f"As σ₂ grows from ½ to 1, z climbs from ({x[0]:g}, {x[1] / 2:g}) along u₂, at right "
        f"angles to δ. The output stays {x[0]:g} up to the diagonal, at σ₂ = {x[0] / x[1]:g}; "
        "behind it the level lines have turned, and it climbs to 1."
    )
    return figure
