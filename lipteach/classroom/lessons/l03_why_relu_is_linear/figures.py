"""The figures of lesson 03."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure
from lipteach.theory.frozen import linear
from lipteach.theory.linearity import HypothesisError, collapse_affine, gradient_norms
from lipteach.theory.theorem2 import theorem2_counterexample

Snapshot = tuple[int, Tensor, Tensor]
"""The number of training steps done, and f and its slope on a grid of [−1, 1]."""

GRID = torch.linspace(-1, 1, 200, dtype=torch.float64)
"""Points of [−1, 1] that step over 0, where |x| has no slope."""


def draw_training(runs: Mapping[str, Sequence[Snapshot]], snapshot: int = -1) -> Figure:
    """Functions and slopes of the networks at one snapshot of their training to |x|."""
    figure, (left, right) = new_figure(6, 2.7, columns=2)
    left.plot(GRID, GRID.abs(), color="#999999", linewidth=4, label="|x|")
    said = []
    for (name, run), line in zip(runs.items(), LINES, strict=False):
        steps, values, slopes = run[snapshot]
        left.plot(GRID, values, label=name, **line)
        right.plot(GRID, slopes.abs(), label=name, **line)
        said.append(f"{slopes.abs().mean():.2f} for {name}")
    left.set(ylabel="f(x)", ylim=(-1.1, 1.1), yticks=[-1, 0, 1], title=f"after {steps} steps")
    right.set(ylabel="|f′(x)|", ylim=(0, 1.08), yticks=[0, 0.5, 1], title="slope")
    for axes in (left, right):
        axes.set(xlabel="x", xticks=[-1, 0, 1])
    right.axhline(1, color="#999999", linewidth=1)
    left.legend(fontsize=9, loc="lower left")
    figure.set_label(f"After {steps} steps the mean slope |f′| is {' and '.join(said)}.")
    return figure


def _stages(layers: int) -> list[str]:
    """What the gradient has come through, from the output of a network back to its input."""
    names = ["output"]
    for k in range(layers, 0, -1):
        names += [f"W{k}", f"act. {k - 1}"]
    return names[:-1]


def draw_backward(networks: Mapping[str, nn.Sequential], x: float = -0.4) -> Figure:
    """The gradient norm at one input, on its way back from the output through every module."""
    figure, axes = new_figure(6, 2.8)
    point = torch.tensor([[x]], dtype=torch.float64)
    said = []
    for (name, network), line in zip(networks.items(), LINES, strict=False):
        norms = gradient_norms(network, point)[:, 0].flip(0)
        axes.plot(range(len(norms)), norms, label=name, **(line | {"markevery": 1}))
        said.append(f"{norms[-1]:.2f} for {name}")
    layers, at = len(norms) // 2, f"x = {round(x, 2) + 0.0:g}"  # no minus before a zero
    axes.set_xticks(range(len(norms)), _stages(layers))
    axes.set(ylabel="gradient norm", ylim=(0, 1.08), yticks=[0, 0.5, 1])
    axes.set(xlabel="back through …", title=f"at {at}")
    axes.legend(fontsize=9, loc="lower left")
    figure.set_label(
        f"At {at}, back through {layers} layers, the gradient norm falls from 1 to "
        f"{' and to '.join(said)}."
    )
    return figure


def two_relus() -> nn.Sequential:
    """(relu x₁ + relu x₂)/√2: gradient norm 1 on the positive quadrant."""
    return nn.Sequential(linear(torch.eye(2)), nn.ReLU(), linear([[math.sqrt(0.5)] * 2]))


def draw_square(low: float = -0.5) -> Figure:
    """The gradient norm of (relu x₁ + relu x₂)/√2 on [low, 1]², and what the theorem says there."""
    figure, (left, right) = new_figure(6, 2.8, columns=2)
    steps = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    side = low + (1 - low) * steps
    points = torch.cartesian_prod(side, side)
    network = two_relus()
    norms = gradient_norms(network, points)[0].reshape(200, 200)
    positive = 1 / (1 - low)
    mean = positive**2 + 2 * positive * (1 - positive) * math.sqrt(0.5)
    left.imshow(
        norms.T.numpy(), origin="lower", extent=(low, 1, low, 1), cmap="Blues", vmin=0, vmax=1.3
    )
    left.text(0.5, 0.5, "1", ha="center", va="center", color="white")
    if low < -0.15:  # the quarter below 0 is wide enough for a number
        left.text(low / 2, low / 2, "0", ha="center", va="center")
    left.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    left.set(xlabel="x₁", ylabel="x₂", title="gradient norm")
    left.grid(visible=False)
    along = torch.linspace(-1, 0, 101).double()
    p = 1 / (1 - along)
    line = LINES[0] | {"marker": ""}
    right.plot(along, p**2 + 2 * p * (1 - p) * math.sqrt(0.5), **line)
    right.plot([low], [mean], "o", color=ORANGE)
    right.set(xlabel="lower end of the square", ylabel="mean gradient norm")
    right.set(xticks=[-1, -0.5, 0], yticks=[0.6, 0.8, 1], ylim=(0.55, 1.03))
    try:
        collapse_affine(network, points[::97])
        verdict = "the network is affine there"
    except HypothesisError:
        verdict = "Theorem 1 does not apply"
    side_text = f"[{round(low, 2) + 0.0:g}, 1]²"  # no minus before a zero
    figure.set_label(f"On {side_text} the mean gradient norm is {mean:.3f}: {verdict}.")
    return figure


def draw_window(left: float = -0.5) -> Figure:
    """Softshrink, φ(z) = z ∓ 1 beyond ±1 and 0 between, on the domain (left, left + 1)."""
    figure, axes = new_figure(6, 2.5)
    network = nn.Sequential(linear([[1.0]]), nn.Softshrink(1.0), linear([[1.0]]))
    x = torch.linspace(-3, 3, 301, dtype=torch.float64)
    window = left + torch.linspace(0.01, 0.99, 99, dtype=torch.float64)[:, None]
    axes.axvspan(left, left + 1, color="#E6E6E6", label="domain")
    axes.plot(x, network(x[:, None]), **(LINES[0] | {"marker": ""}), label="f")
    try:
        W, b = collapse_affine(network, window)
        axes.plot(x, W[0, 0] * x + b[0], **(LINES[1] | {"marker": ""}), label="W x + b")
        verdict = f"Theorem 1 gives f(x) = x {'+' if b[0] > 0 else '−'} {abs(float(b[0])):.0f}"
    except HypothesisError:
        verdict = "somewhere the slope is 0, and Theorem 1 does not apply"
    axes.set(xlabel="x", ylabel="f(x)", ylim=(-2.2, 2.2), yticks=[-2, 0, 2])
    axes.legend(fontsize=9, loc="upper left")
    figure.set_label(f"On ({left:.2f}, {left + 1:.2f}): {verdict}.")
    return figure


def draw_digits(images: Tensor, labels: Tensor) -> Figure:
    """The first image of each digit."""
    figure, axes = new_figure(6, 0.9, columns=10)
    for digit in range(10):
        axes[digit].imshow(
            images[labels == digit][0].numpy(), cmap="Greys", interpolation="nearest"
        )
        axes[digit].set_axis_off()
        axes[digit].set_title(str(digit), fontsize=10)
    figure.set_label("One handwritten image of each digit from 0 to 9.")
    return figure


def draw_digit_norms(norms: Mapping[str, Tensor]) -> Figure:
    """Gradient norms of each network on many images: at the input, and layer by layer."""
    figure, (left, right) = new_figure(6, 2.6, columns=2)
    bins = [0.4 + 0.02 * k for k in range(31)]
    said = []
    for (name, values), line in zip(norms.items(), LINES, strict=False):
        at_input = values[0]
        left.hist(
            at_input.clamp(bins[0], bins[-1]).tolist(), bins=bins, histtype="step", label=name,
            linewidth=1.8, color=line["color"], linestyle=line["linestyle"],
        )  # fmt: skip
        means = values.mean(dim=1).flip(0)
        right.plot(range(len(means)), means, label=name, **(line | {"markevery": 1}))
        tenths = int(10 * at_input.mean().clamp(max=0.95))
        said.append(f"between {tenths / 10:g} and {(tenths + 1) / 10:g} for {name}")
    right.set_xticks(range(len(means)), _stages(len(means) // 2), fontsize=8)
    left.set(xlabel="gradient norm at the image", ylabel="images")
    right.set(xlabel="back through …", ylabel="mean gradient norm")
    right.set(ylim=(0.5, 1.03), yticks=[0.5, 0.75, 1])
    left.legend(fontsize=9, loc="upper left")
    figure.set_label(f"On test images the mean gradient norm is {' and '.join(said)}.")
    return figure


def with_first_weight(W: Tensor) -> nn.Sequential:
    """The network of Theorem 2's counterexample, with another first weight matrix."""
    network, _ = theorem2_counterexample()
    network[0] = linear(W)
    return network


def _rotation(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, s], [-s, c]], dtype=torch.float64)


_SIDE = torch.linspace(-1, 1, 81, dtype=torch.float64)


def _contours(axes: Any, network: nn.Sequential, title: str) -> None:
    """Level lines of a function of two inputs, with the points of value 0 in orange."""
    points = torch.cartesian_prod(_SIDE, _SIDE)
    values = network(points).reshape(81, 81).T
    levels = [k / 10 for k in range(15)]
    axes.contourf(_SIDE, _SIDE, values, levels=levels, cmap="Blues")
    lines = axes.contour(
        _SIDE, _SIDE, values, levels=[0.25, 0.5, 0.75], colors=BLACK, linewidths=0.8
    )
    axes.clabel(lines, fontsize=8)
    zero = points[network(points)[:, 0] < 1e-9]
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
    values = torch.stack([with_first_weight(s * old + (1 - s) * new)(points)[:, 0] for s in path])
    for k, line in enumerate(LINES[:3]):
        name = f"x = ({float(points[k, 0]):.1f}, 1)"
        right.plot(path, values[:, k], **(line | {"marker": ""}), label=name)
    now = with_first_weight(t * old + (1 - t) * new)(points)[:, 0]
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
