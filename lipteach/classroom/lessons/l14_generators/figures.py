"""The figures of lesson 14: three critics on a toy whose best critic is known (G.2, H.3)."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from lipteach.classroom.lessons.l14_generators.toy import toy_critics
from lipteach.classroom.style import BLACK, LINES, new_figure


def draw_toy(steps: int = 250) -> Figure:
    """Three critics through the origin, beside −‖z‖; what each claims, and how steep it is."""
    figure, (left, right) = new_figure(7.4, 2.8, columns=2)
    along = torch.linspace(-2, 2, 201).double()
    points = torch.stack([along, torch.zeros_like(along)], dim=1)
    left.plot(along, -along.abs(), color=BLACK, linewidth=1, label="best, −‖z‖")
    said = []
    for k, (kind, (critic, found)) in enumerate(toy_critics(steps).items()):
        with torch.no_grad():
            values = (critic(points) - critic(torch.zeros(1, 2).double()))[:, 0]
        left.plot(along, values, **LINES[k], label=kind)
        bar = {"color": LINES[k]["color"], "height": 0.35}
        right.barh(k + 0.2, found["claimed"], **bar)
        right.barh(k - 0.2, found["lower"], **bar, alpha=0.4)
        said.append(
            f"the {kind} critic claims {found['claimed']:.3g} and has a constant of at least "
            f"{found['lower']:.3g} and at most {found['upper']:.3g}"
        )
    left.set(xlabel="$z_1$, on the axis", ylabel="f(z) − f(0)", ylim=(-2.2, 1.7))
    left.legend(fontsize=7, loc="upper center")
    right.axvline(1, color=BLACK, linewidth=1)
    right.set(yticks=range(3), yticklabels=list(toy_critics(steps)), xlabel="claim; pale: constant")
    figure.set_label(f"After {steps} steps, of a distance of 1: {'; '.join(said)}.")
    return figure
