"""The figures of lesson 03, second part: the counterexample to Theorem 2 (appendix D)."""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure
from lipteach.theory.theorem2 import theorem2_counterexample


def with_first_weight(W: Tensor) -> nn.Sequential:
    """The network of Theorem 2's counterexample, with another first weight matrix."""
    network, _ = theorem2_counterexample()
    with torch.no_grad():
        network.get_parameter("0.weight").copy_(W)
    return network


def _rotation(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, s], [-s, c]], dtype=torch.float64)


_SIDE = torch.linspace(-1, 1, 81, dtype=torch.float64)


def _contours(axes: Any, network: nn.Sequential, title: str) -> None:
    """Level lines of a function of two inputs, with the points of value 0 in orange."""
    points = torch.cartesian_prod(_SIDE, _SIDE)
    values = network(points).detach().reshape(81, 81).T
    levels = [k / 10 for k in range(15)]
    axes.contourf(_SIDE, _SIDE, values, levels=levels, cmap="Blues")
    lines = axes.contour(
        _SIDE, _SIDE, values, levels=[0.25, 0.5, 0.75], colors=BLACK, linewidths=0.8
    )
    axes.clabel(lines, fontsize=8)
    zero = points[network(points).detach()[:, 0] < 1e-9]
    axes.plot(zero[:, 0], zero[:, 1], "o", color=ORANGE, markersize=4)
    axes.set(xlabel="x₁", ylabel="x₂", title=title, aspect="equal")
    axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.grid(visible=False)


def draw_replaced(angle: float = 45.0) -> Figure:
    """The counterexample's f beside the network whose first matrix is a rotation by `angle`."""
    figure, (left, right) = new_figure(6, 3, columns=2)
    network, _ = theorem2_counterexample()
    replaced = with_first_weight(_rotation(angle))
    _contours(left, network, "f: zero on a line")
    _contours(right, replaced, f"first matrix turned by {angle:.0f}°")
    at = float(replaced(torch.tensor([0.0, 1.0], dtype=torch.float64)))
    figure.set_label(
        f"f is 0 on the whole line x₁ = 0; with a rotation by {angle:.0f}° the network is 0 at one "
        f"point only, and gives {at:.3f} at (0, 1)."
    )
    return figure


def draw_path(t: float = 1.0) -> Figure:
    """The networks on the way from W₁ (t = 1) to its replacement (t = 0)."""
    figure, (left, right) = new_figure(6, 3, columns=2)
    old, new = (network.get_parameter("0.weight").detach() for network in theorem2_counterexample())
    _contours(left, with_first_weight(t * old + (1 - t) * new), f"t = {t:.2f}")
    path = torch.linspace(0, 1, 51, dtype=torch.float64)
    points = torch.tensor([[0.0, 1.0], [0.3, 1.0], [0.6, 1.0]], dtype=torch.float64)
    values = torch.stack(
        [with_first_weight(s * old + (1 - s) * new)(points).detach()[:, 0] for s in path]
    )
    for k, line in enumerate(LINES[:3]):
        name = f"x = ({float(points[k, 0]):.1f}, 1)"
        right.plot(path, values[:, k], **(line | {"marker": ""}), label=name)
    now = with_first_weight(t * old + (1 - t) * new)(points).detach()[:, 0]
    right.plot([t] * 3, now, "o", color=BLUE)
    right.set(xlabel="t", ylabel="output", ylim=(-0.05, 1.05))
    right.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    right.set_title("first matrix t W + (1 − t) W̃", fontsize=10)
    right.legend(fontsize=8, loc="lower left")
    figure.set_label(
        f"At t = {t:.2f} the outputs at (0, 1), (0.3, 1), (0.6, 1) are "
        f"{now[0]:.2f}, {now[1]:.2f}, {now[2]:.2f}; the first network gives 0.00, 0.30, 0.60."
    )
    return figure
