"""The picture of lesson 03's worked example: a singular value is raised behind one MaxMin."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure


def draw_worked() -> Figure:
    """F(z) = max(z₁, z₂) by its level lines, and what F gives at (0.6, σ₂) for σ₂ from ½ to 1."""
    figure, (left, right) = new_figure(6, 3, columns=2)
    side = torch.linspace(0, 1.2, 61, dtype=torch.float64)
    F = torch.maximum(side[None, :], side[:, None])  # (z₂, z₁)
    levels = [0.2, 0.4, 0.6, 0.8, 1.0]
    lines = left.contour(side, side, F, levels=levels, colors="#888888", linewidths=0.8)
    left.clabel(lines, fontsize=8)
    left.plot([0, 1.2], [0, 1.2], ":", color=BLACK, linewidth=1)
    for name, end, color in (("u₂", (0.6, 1.0), ORANGE), ("δ", (0.9, 0.5), BLUE)):
        arrow = {"arrowstyle": "->", "color": color, "lw": 2}
        left.annotate("", end, (0.6, 0.5), arrowprops=arrow)
        left.annotate(name, end, textcoords="offset points", xytext=(5, -4), color=color)
    left.set(xlabel="z₁", ylabel="z₂", title="level lines of F", aspect="equal")
    left.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    left.grid(visible=False)
    sigma = torch.linspace(0.5, 1, 51, dtype=torch.float64)
    right.plot(sigma, sigma.clamp(min=0.6), **LINES[1] | {"marker": ""})
    right.set(xlabel="σ₂", ylabel="output", title="F at (0.6, σ₂)", ylim=(0, 1.1))
    right.set(xticks=[0.5, 0.75, 1], yticks=[0, 0.5, 1])
    figure.set_label(
        "As σ₂ grows from ½ to 1, z climbs from (0.6, 0.5) along u₂, at right angles to δ. The "
        "output stays 0.6 up to the diagonal; behind it the level lines have turned, and it climbs "
        "to 1."
    )
    return figure
