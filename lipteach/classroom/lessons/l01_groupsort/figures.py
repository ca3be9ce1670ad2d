"""The figures of lesson 01: a sort as routing, the networks of Figures 10 and 11, leaky ReLU."""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, LINES, new_figure
from lipteach.primitives import group_sort
from lipteach.theory import abs_network, leaky_relu_network, w_network

_GRID = torch.linspace(-3, 3, 121, dtype=torch.float64)  # 0 and the corners are among them


def _number(value: float, decimals: int = 2) -> str:
    """At most so many decimals, no trailing zeros, no minus before a zero."""
    text = f"{round(value, decimals) + 0.0:.{decimals}f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _tuple(values: Tensor, decimals: int = 2) -> str:
    return "(" + ", ".join(_number(v, decimals) for v in values.tolist()) + ")"


def _line(i: int, **changes: Any) -> dict[str, Any]:
    return {**LINES[i], "marker": "", **changes}


# --- A sort moves values and changes none.


def draw_sorting(first: float = 3.0, size: int = 2) -> Figure:
    """Where each of the values (first, 1, 2, 4) goes when groups of ``size`` are sorted."""
    x = torch.tensor([first, 1.0, 2.0, 4.0], dtype=torch.float64)
    out = group_sort(x, size)
    starts = torch.arange(0, len(x), size)[:, None]
    order = x.reshape(-1, size).sort(dim=-1, descending=True, stable=True).indices + starts

    figure, axes = new_figure(height=2.6)
    for group in range(len(starts)):
        low = group * size + 0.6
        axes.axvspan(low, low + size - 0.2, color="#EEEEEE", zorder=0)
    for target, source in enumerate(order.flatten().tolist()):
        style = _line(source, linewidth=2.4)
        axes.plot([source + 1, target + 1], [1, 0], **style, zorder=2)
        disc = {"marker": "o", "markersize": 32, "markerfacecolor": "white", "markeredgewidth": 1.8}
        for place, row in ((source + 1, 1), (target + 1, 0)):
            axes.plot([place], [row], color=style["color"], **disc, zorder=3)
            value = _number(x[source].item())
            axes.text(place, row, value, ha="center", va="center_baseline", fontsize=11, zorder=4)
    axes.set(xlim=(0.4, 4.6), ylim=(-0.45, 1.45), yticks=[0, 1], yticklabels=["output", "input"])
    axes.set(xticks=range(1, 5), xlabel="place (grey: the groups)", title=f"groups of {size}")
    axes.grid(visible=False)
    figure.set_label(f"Groups of {size} turn {_tuple(x)} into {_tuple(out)}: values only move.")
    return figure


# --- Networks watched layer by layer.


def _trace(network: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What each layer gives for every entry of x (n,): a list of (n, units)."""
    outputs, h = [], x[:, None]
    with torch.no_grad():
        for layer in network:
            h = layer(h)
            outputs.append(h)
    return outputs


def _mark(axes: Any, i: int, x: float, y: float, markersize: float) -> None:
    shape, color = LINES[i]["marker"], LINES[i]["color"]
    axes.plot([x], [y], marker=shape, color=color, markersize=markersize, clip_on=False, zorder=3)


def _draw_units(axes: Any, curves: Tensor, x: float, at_x: Tensor, title: str) -> None:
    """The curves (n, units) of a layer over the grid, with a marker on each at x."""
    for i, value in enumerate(at_x.tolist()):
        width, style = LINES[i]["linewidth"] + 1.4, LINES[i]["linestyle"]
        if i >= 2:  # these lie on units 1 and 2 and must not hide them
            width, style = 1.2, "-"
        line = _line(i, linewidth=width, linestyle=style)
        axes.plot(_GRID, curves[:, i], **line, label=f"unit {i + 1}")
        _mark(axes, i, x, value, markersize=3 * width + 1)
    _finish(axes, x, title)


def _draw_output(axes: Any, curve: Tensor, x: float, at_x: float, title: str) -> None:
    axes.plot(_GRID, curve, **_line(4, linestyle="-"))
    _mark(axes, 4, x, at_x, markersize=8)
    _finish(axes, x, title)


def _finish(axes: Any, x: float, title: str) -> None:
    axes.axvline(x, color=BLACK, linewidth=0.8)
    axes.set_title(title, fontsize=10)
    axes.set(xlim=(-3, 3), xticks=range(-3, 4), yticks=range(-2, 4))
    axes.label_outer()


def draw_abs(x: float = -2.0) -> Figure:
    """Figure 10, exactly: pre-activations, activations and output of the absolute value."""
    network = abs_network()
    curves, here = _trace(network, _GRID), _trace(network, torch.tensor([x], dtype=torch.float64))
    figure, axes = new_figure(height=2.7, columns=3)
    _draw_units(axes[0], curves[0], x, here[0][0], "pre-activations z")
    _draw_units(axes[1], curves[1], x, here[1][0], "activations h")
    _draw_output(axes[2], curves[2][:, 0], x, here[2].item(), "output f")
    for one in axes:
        one.set(xlabel="input x", ylim=(-2.4, 3.2))
    axes[0].legend(fontsize=8, loc="upper center", ncols=2, handlelength=1.8, columnspacing=0.8)
    figure.set_label(
        f"At x = {_number(x)}: z = {_tuple(here[0][0])}, sorted h = {_tuple(here[1][0])}, "
        f"output {_number(here[2].item())}."
    )
    return figure


def draw_w(x: float = 1.5, c: float = 1.0) -> Figure:
    """Figure 11, exactly: both hidden layers of the letter W, and what each has computed."""
    network = w_network(c)
    curves, here = _trace(network, _GRID), _trace(network, torch.tensor([x], dtype=torch.float64))
    with torch.no_grad():
        folded, folded_here = network[4](curves[1])[:, 0], network[4](here[1]).item()
    figure, axes = new_figure(height=4, rows=2, columns=3)
    for row, layer in enumerate((0, 2)):
        name = f"layer {row + 1}"
        _draw_units(axes[row, 0], curves[layer], x, here[layer][0], f"{name}: pre-activations")
        _draw_units(axes[row, 1], curves[layer + 1], x, here[layer + 1][0], f"{name}: activations")
    _draw_output(axes[0, 2], folded, x, folded_here, "read after layer 1")
    _draw_output(axes[1, 2], curves[4][:, 0], x, here[4].item(), "output f")
    for one in axes.flat:
        one.set_ylim(-2.2, 3.2)
    for one in axes[:, 2]:  # |x| − c reaches 4 at c = −1
        one.set(ylim=(-0.4, 4.4), yticks=range(5))
        one.tick_params(labelleft=True)
    for one in axes[1]:
        one.set_xlabel("input x")
    axes[0, 0].legend(fontsize=7, loc="upper center", ncols=2, handlelength=1.8, columnspacing=0.8)
    figure.set_label(
        f"At x = {_number(x)} and c = {_number(c)}: the first layer holds {_number(folded_here)}, "
        f"the output is {_number(here[4].item())}."
    )
    return figure


# --- Leaky ReLU within the 2-norm.


def draw_leaky(slope: float = 0.25) -> Figure:
    """The appendix's weights (1, a) and the unit vector v, and what each of them computes."""
    a, norm = slope, math.hypot(1, slope)
    network = leaky_relu_network(a)
    v = next(network.parameters()).detach().flatten()
    exact = _trace(network, _GRID)[-1][:, 0]
    scaled = torch.maximum(_GRID, a * _GRID) / norm

    figure, (left, right) = new_figure(height=3.2, columns=2)
    left.plot(_GRID, exact, **_line(0, linewidth=3), label="v MaxMin(v x)")
    left.plot(_GRID, scaled, **_line(1), label="(1, a) rescaled")
    left.set(xlim=(-3, 3), ylim=(-3.2, 3.2), xlabel="input x", ylabel="output")
    left.legend(fontsize=8, loc="lower right")

    turn = torch.linspace(0, 2 * math.pi, 361)
    right.plot(turn.cos(), turn.sin(), color="#777777", linewidth=1)
    for i, (first, second) in enumerate((v.tolist(), (1.0, a))):
        right.plot([0, first], [0, second], **_line(i))
        _mark(right, i, first, second, markersize=8)
    below = -0.12 if a >= 0 else 0.12  # v is the nearer of the two to the horizontal
    right.text(0.55 * v[0].item(), 0.55 * v[1].item() + below, "v", va="center", fontsize=11)
    right.text(1.1, a, "(1, a)", va="center", fontsize=11)
    right.set(xlim=(-0.4, 1.6), ylim=(-1.15, 1.15), aspect="equal")
    right.set(xlabel="first weight", ylabel="second weight")
    right.set_title("the circle: norm 1", fontsize=10)
    figure.set_label(
        f"Slope a = {_number(a, 3)}: (1, a) has norm {norm:.3f} and, rescaled, slope "
        f"{1 / norm:.3f}; v = {_tuple(v, 3)} has norm 1."
    )
    return figure
