"""The figures of lesson 09 on the 2-norm: the letter N, and training (appendix E)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure
from lipteach.theory import linear, w_network

GREY = {"color": "#BBBBBB", "linewidth": 5}


def letter_n(x: Tensor) -> Tensor:
    """Up to −1 it is x + 2, between −1 and 1 it is −x, and from 1 on x − 2; entry by entry."""
    return torch.maximum(torch.minimum(x + 2, -x), x - 2)


def draw_two_functionals(degrees: int = 60) -> Figure:
    """Two unit vectors with half their sum and difference; and the 2-norm of both as one layer."""
    figure, (left, right) = new_figure(6.4, 2.9, columns=2)
    half = math.radians(degrees) / 2
    c, s = math.cos(half), math.sin(half)
    arrows = {"w₁": (c, s, BLUE), "w₂": (c, -s, BLUE), "e₊": (c, 0, ORANGE), "e₋": (0, s, ORANGE)}
    for name, (x, y, color) in arrows.items():
        style = {"arrowstyle": "-|>", "color": color, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        left.annotate("", (x, y), (0, 0), arrowprops=style)
        left.annotate(name, (x, y), textcoords="offset points", xytext=(6, 5), color=color)
    left.set(xlim=(-0.35, 1.35), ylim=(-1.15, 1.3), aspect="equal", title=f"angle {degrees}°")
    angles = torch.linspace(0, 180, 181)
    norms = (1 + torch.deg2rad(angles).cos().abs()).sqrt()
    norm = math.sqrt(1 + abs(math.cos(2 * half)))
    plain = {"marker": ""}
    right.plot(angles, norms, **(LINES[0] | plain), label="rows w₁, w₂")
    right.plot(angles, 0 * angles + 1, **(LINES[1] | plain), label="rows e₊, e₊, e₋, −e₋")
    right.plot([degrees], [norm], "o", color=BLUE)
    right.set(xlabel="angle between w₁ and w₂", xticks=[0, 45, 90, 135, 180])
    right.set(ylim=(0.9, 1.75), yticks=[1, 1.2, 1.4], title="2-norm of the first layer")
    right.legend(fontsize=9, loc="upper center")
    figure.set_label(
        f"At an angle of {degrees}° the layer with rows w₁, w₂ has 2-norm {norm:.3f}; with rows "
        "along e₊ and e₋ it has 2-norm 1."
    )
    return figure


def half_line() -> nn.Sequential:
    """N from −3 on, by layers of 2-norm 1: the letter W, shifted by one and lowered by one."""
    return nn.Sequential(linear([[1.0]], [1.0]), *w_network(2), linear([[1.0]], [-1.0]))


def draw_letter_n(end: float = 3.0) -> Figure:
    """N, x, and a shifted W, on [−end, end]."""
    figure, axes = new_figure(6.4, 2.9)
    x = end * torch.linspace(-1, 1, 1201, dtype=torch.float64)
    w = half_line()(x[:, None])[:, 0]
    axes.plot(x, letter_n(x), **GREY, label="N(x)")
    axes.plot(x, w, **(LINES[0] | {"marker": ""}), label="||x + 1| − 2| − 1")
    axes.plot(x, x, **(LINES[1] | {"marker": ""}), label="x")
    axes.set(xlabel="x", xlim=(-10, 10), ylim=(-10, 10))
    axes.legend(fontsize=9, loc="lower right")
    far, straight = (float((v - letter_n(x)).abs().max()) for v in (w, x))
    figure.set_label(
        f"On [−{end:g}, {end:g}] the distance to N is {far:.2f} for ||x + 1| − 2| − 1 and "
        f"{straight:.2f} for x."
    )
    return figure


def _above(largest: float) -> float:
    """The next of 0.01, 0.02, 0.05, 0.1, …: training is not the same to the last digit."""
    return next(a * 10.0**k for k in range(-2, 9) for a in (1, 2, 5) if a * 10.0**k > largest)


def draw_fits(x: Tensor, g: Tensor, found: Mapping[str, Tensor]) -> Figure:
    """A function and what several networks make of it; left the functions, right the errors."""
    figure, (left, right) = new_figure(6.8, 2.8, columns=2)
    left.plot(x, g, **GREY, label="target")
    said = []
    for line, (name, values) in zip(LINES, found.items(), strict=False):
        left.plot(x, values, **(line | {"marker": ""}), label=name)
        right.plot(x, values - g, **(line | {"marker": ""}), label=name)
        said.append(f"below {_above(float((values - g).abs().max())):g} for {name}")
    left.set(xlabel="x", title="functions")
    right.set(xlabel="x", title="error")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.set_label(f"The largest error is {' and '.join(said)}.")
    return figure


def draw_climb(climbs: Mapping[str, Tensor], t: Tensor) -> Figure:
    """How far the climb f(t) − f(−t) of several functions falls behind 2t."""
    figure, axes = new_figure(6.4, 2.8)
    grows = []
    for line, (name, climb) in zip(LINES, climbs.items(), strict=False):
        behind = 2 * t - climb
        axes.plot(t, behind, **(line | {"marker": ""}), label=name)
        if behind[-1] > behind[len(t) // 2] + 1e-6:
            grows.append(name)
    axes.set(xlabel="t", ylabel="2t − (f(t) − f(−t))")
    axes.legend(fontsize=9, loc="upper left")
    figure.set_label(
        f"How far f(t) − f(−t) is behind 2t, up to t = {float(t[-1]):g}: it goes on growing for "
        f"{' and '.join(grows) or 'none'}."
    )
    return figure


def draw_unit() -> Figure:
    """The N-activation with its corners at −1 and 1, beside the absolute value and ReLU."""
    figure, axes = new_figure(5.4, 2.6)
    x = torch.linspace(-3, 3, 601)
    curves = {"N": letter_n(x), "abs": x.abs(), "ReLU": x.relu()}
    for line, (name, y) in zip(LINES, curves.items(), strict=False):
        axes.plot(x, y, **(line | {"marker": ""}), label=name)
    axes.plot([-1, 1], [1, -1], "o", color=BLACK, markersize=5)
    axes.set(xlabel="x", ylim=(-1.6, 3.1))
    axes.legend(fontsize=9, loc="upper center")
    figure.set_label("The N-activation has two corners, at −1 and 1, and slope 1 at both ends.")
    return figure


def draw_one_fold(t: float = 6.0) -> Figure:
    """The path of h(x) = (0.6 x, |0.8 x + 1|) for |x| ≤ t, and the climb of 0.6 h₁ + 0.8 h₂."""
    figure, (left, right) = new_figure(6.4, 2.9, columns=2)
    x = t * torch.linspace(-1, 1, 241, dtype=torch.float64)
    h1, h2 = 0.6 * x, 0.8 * x + 1
    plain = {"marker": ""}
    left.plot(h1, h2, **(LINES[1] | plain), label="without the fold")
    left.plot(h1, h2.abs(), **(LINES[0] | plain), label="h(x)")
    ends = [0, -1]
    left.plot(h1[ends], h2.abs()[ends], "o", color=BLUE)
    left.plot(h1[:1], h2[:1], "s", color=ORANGE)
    left.set(xlabel="identity", ylabel="absolute value", aspect="equal")
    left.legend(fontsize=8, loc="lower right", frameon=False)
    s = torch.linspace(0, 2 * t, 121, dtype=torch.float64)
    f = 0.6 * 0.6 * 2 * s + 0.8 * ((0.8 * s + 1).abs() - (1 - 0.8 * s).abs())
    right.plot(s, letter_n(s) - letter_n(-s), **GREY, label="N")
    right.plot(s, f, **(LINES[0] | plain), label="f")
    right.plot(s, 2 * s, **(LINES[1] | plain), label="x")
    right.set(xlabel="t", title="climb from −t to t")
    right.legend(fontsize=8, loc="upper left")
    apart = math.hypot(float(h1[-1] - h1[0]), float(h2.abs()[-1] - h2.abs()[0]))
    figure.set_label(
        f"The path of h(x) from x = −{t:g} to {t:g} is {2 * t:g} long. The fold turns its lower "
        f"arm up, and its ends are {apart:.2f} apart. f climbs by 0.72 for each unit of t, N by 2."
    )
    return figure
