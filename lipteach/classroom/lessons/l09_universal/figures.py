"""The figures of lesson 09."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, GREEN, LINES, ORANGE, SKY, new_figure
from lipteach.theory import approximate, linear, network_size

Target = Callable[[Tensor], Tensor]

LINE_TARGETS: dict[str, Target] = {
    "sine": lambda x: torch.sin(3 * x[..., 0]) / 3,
    "zigzag": lambda x: ((x[..., 0] / 0.6).remainder(1) - 0.5).abs() * 0.6 - 0.15,
    "parabola": lambda x: x[..., 0].square() / 2 - 0.25,
    "zero": lambda x: 0 * x[..., 0],
}
"""Functions of one variable with |g(x) − g(y)| ≤ |x − y| on [−1, 1]."""

PLANE_TARGETS: dict[str, Target] = {
    "saddle": lambda x: x[..., 0] * x[..., 1] / 2,
    "wave": lambda x: torch.sin(2 * x[..., 0] + x[..., 1]) / 3,
    "moat": lambda x: 0.3 - (x.abs().amax(dim=-1) - 0.5).abs(),
}
"""Functions on the square [−1, 1]² that are 1-Lipschitz in the L∞ metric, hence in L2 and L1."""

NORMS = [("L1", 1), ("L2", 2), ("L∞", math.inf)]
"""What a menu of metrics offers."""


def named(p: float) -> str:
    """L1, L2 or L∞."""
    return {value: name for name, value in NORMS}[p]


def centres(n: int, d: int = 1) -> Tensor:
    """The centres of nᵈ equal cubes that fill [−1, 1]ᵈ: covering radius 1/n in the L∞ metric."""
    side = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
    return torch.cartesian_prod(*[side] * d).reshape(-1, d)


def grid(steps: int, d: int = 1) -> Tensor:
    """A grid on [−1, 1]ᵈ, as rows."""
    side = torch.linspace(-1, 1, steps, dtype=torch.float64)
    return torch.cartesian_prod(*[side] * d).reshape(-1, d)


def error(network: nn.Module, g: Target, x: Tensor) -> float:
    """The largest |G − g| on the rows of x."""
    return float((network(x)[:, 0] - g(x)).abs().max())


def draw_line(points: int = 6, target: str | Target = "sine") -> Figure:
    """A function on [−1, 1], the network that meets it at the points, and the band of 2r."""
    figure, (left, right) = new_figure(6.8, 2.7, columns=2)
    g = LINE_TARGETS[target] if isinstance(target, str) else target
    x, t = centres(points), grid(801)
    network = approximate(g, x)
    size, largest = network_size(network), error(network, g, t)
    plain = {"marker": ""}
    left.plot(t, g(t), color="#999999", linewidth=4, label="g")
    left.plot(t, network(t), **(LINES[0] | plain), label="network G")
    left.plot(x, g(x), "o", color=BLACK, markersize=4, zorder=4, label="points")
    left.set(xlabel="x", ylim=(-0.6, 0.6), title="function and network")
    left.legend(fontsize=8, loc="lower right", ncols=3)
    right.axhspan(-2 / points, 2 / points, color=SKY, alpha=0.3, label="within 2r")
    right.plot(t, network(t)[:, 0] - g(t), **(LINES[1] | plain), label="G − g")
    right.plot(x, 0 * x, "o", color=BLACK, markersize=4)
    right.set(xlabel="x", ylim=(-0.6, 0.6), title="error")
    right.legend(fontsize=8, loc="lower right", ncols=2)
    figure.set_label(
        f"With {points} points, r = 1/{points}: the error is {largest:.3f}, and 2r is "
        f"{2 / points:.3f}. The network has {size.pieces} pieces and {size.layers} MaxMin layers."
    )
    return figure


def _contour(axes: Any, steps: int, values: Tensor, levels: Sequence[float] | Tensor) -> None:
    side = torch.linspace(-1, 1, steps)
    z = values.reshape(steps, steps).T
    axes.contourf(side, side, z, levels=levels, cmap="cividis", extend="both")
    axes.contour(side, side, z, levels=levels, colors="white", linewidths=0.5, linestyles="-")
    axes.set(aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1], xlabel="$x_1$")
    axes.grid(visible=False)


def draw_plane(side: int = 3, target: str | Target = "saddle", p: float = math.inf) -> Figure:
    """A function on the square as contours; the network, as contours and as a surface."""
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    left, middle = (figure.add_subplot(1, 3, k) for k in (1, 2))
    right: Any = figure.add_subplot(1, 3, 3, projection="3d")
    g = PLANE_TARGETS[target] if isinstance(target, str) else target
    x, steps = centres(side, 2), 41
    t = grid(steps, 2)
    network = approximate(g, x, p)
    values, size = network(t)[:, 0], network_size(network)
    levels = torch.linspace(-0.5, 0.5, 11)
    _contour(left, steps, g(t), levels)
    _contour(middle, steps, values, levels)
    middle.plot(*x.T, "o", color=ORANGE, markersize=4)
    left.set(ylabel="$x_2$", title="g")
    middle.set(title=f"G, {named(p)}")
    x1, x2, z = (v.reshape(steps, steps).numpy() for v in (*t.T, values))
    right.plot_surface(x1, x2, z, cmap="cividis", vmin=-0.5, vmax=0.5, rcount=21, ccount=21)
    right.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[-0.5, 0, 0.5], zlim=(-0.6, 0.6))
    right.set(xlabel="$x_1$", ylabel="$x_2$", title="G as a surface")
    right.tick_params(labelsize=7, pad=-2)
    right.xaxis.labelpad = right.yaxis.labelpad = -6
    right.set_box_aspect((1, 1, 0.7), zoom=0.95)
    r = {1: 2 / side, 2: math.sqrt(2) / side, math.inf: 1 / side}[p]
    figure.set_label(
        f"In the {named(p)} metric with {side} × {side} points the error is "
        f"{error(network, g, t):.3f} on a grid, and 2r is {2 * r:.3f}; {size.pieces} pieces."
    )
    return figure


FIXED = torch.tensor([[-0.6, -0.5], [0.6, -0.4]], dtype=torch.float64)
FIXED_VALUES = (-0.4, 0.3)


def three_points(x1: float, value: float) -> tuple[Tensor, Target]:
    """Two fixed points and (x₁, ½); and the function that gives them their values."""
    x = torch.cat([FIXED, torch.tensor([[x1, 0.5]], dtype=torch.float64)])
    return x, lambda _: torch.tensor([*FIXED_VALUES, value], dtype=torch.float64)


def _cones(x: Tensor, values: Tensor, t: Tensor, p: float) -> Tensor:
    """McShane's extension from below, by its formula: the 2-norm has no network for it."""
    apart = torch.cdist(t, x, p, compute_mode="donot_use_mm_for_euclid_dist")
    return (values - apart).amax(dim=1)


def draw_metrics(x1: float = 0.0, value: float = 0.4, method: str = "cones") -> Figure:
    """The same three values, extended to the square in the L1, L2 and L∞ metric."""
    figure, panels = new_figure(7.2, 2.7, columns=3)
    steps = 61
    t = grid(steps, 2)
    x, g = three_points(x1, value)
    levels = torch.linspace(-1, 1, 21) if method == "lattice" else torch.linspace(-1.6, 0.6, 23)
    for axes, (name, p) in zip(panels, NORMS, strict=True):
        values = approximate(g, x, p)(t)[:, 0] if method == "lattice" else _cones(x, g(x), t, p)
        _contour(axes, steps, values, levels)
        axes.plot(*x.T, "o", color=ORANGE, markersize=6, markeredgecolor="white")
        axes.set(title=name)
    panels[0].set(ylabel="$x_2$")
    what = "pieces" if method == "lattice" else "cones from below"
    figure.set_label(
        f"Three values, the third {round(value, 2) + 0.0:g} at ({round(x1, 2) + 0.0:g}, 0.5), and "
        f"three extensions by {what}, in the L1, L2 and L∞ metric."
    )
    return figure


def shifted(network: nn.Sequential, by: float) -> nn.Sequential:
    """The same network with one bias added to its output."""
    return nn.Sequential(*network, linear([[1.0]], [by]))


def draw_cones(points: int = 4, target: str = "sine") -> Figure:
    """Cones from below, the same raised by r, and the midpoint of the cones from both sides."""
    figure, axes = new_figure(6.4, 3)
    g, x, t = LINE_TARGETS[target], centres(points), grid(801)
    below = approximate(g, x, math.inf, "mcshane")
    ways = {
        "from below": below,
        "raised by r": shifted(below, 1 / points),
        "midpoint": approximate(g, x, math.inf, "mcshane", midpoint=True),
    }
    axes.plot(t, g(t), color="#BBBBBB", linewidth=5, label="g")
    said = []
    for line, (name, network) in zip(LINES, ways.items(), strict=False):
        axes.plot(t, network(t), **(line | {"marker": ""}), label=name)
        said.append(f"{error(network, g, t):.3f} {name}")
    axes.plot(x, g(x), "o", color=BLACK, markersize=5, zorder=4)
    axes.set(xlabel="x", ylim=(-1.25, 1), yticks=[-1, -0.5, 0, 0.5, 1])
    axes.legend(fontsize=9, loc="lower right", ncols=4)
    figure.set_label(
        f"With {points} points, r = {1 / points:.3f}: the error is {', '.join(said[:-1])} and "
        f"{said[-1]}."
    )
    return figure


def draw_beyond(end: float = 4.0) -> Figure:
    """A network that meets the sine at points of [−end, end], also seen outside."""
    figure, axes = new_figure(6.4, 2.6)
    x = end * centres(9)
    t = 12 * grid(1201)
    g: Target = lambda x: torch.sin(x[..., 0])  # noqa: E731
    network = approximate(g, x)
    inside = t.abs()[:, 0] <= end
    axes.axvspan(-end, end, color=SKY, alpha=0.25, label="compact set")
    axes.plot(t, g(t), color="#999999", linewidth=3, label="sin x")
    axes.plot(t, network(t), **(LINES[0] | {"marker": ""}), label="network")
    axes.plot(x, g(x), "o", color=GREEN, markersize=4, zorder=4)
    axes.set(xlabel="x", ylim=(-3, 3), xlim=(-12, 12))
    axes.legend(fontsize=9, loc="lower right", ncols=3)
    figure.set_label(
        f"Nine points on [−{end:g}, {end:g}]: the error is {error(network, g, t[inside]):.2f} "
        f"there, and {error(network, g, t):.2f} on [−12, 12]."
    )
    return figure


def draw_sizes(measured: Mapping[str, Sequence[tuple[int, float, float]]]) -> Figure:
    """Error and its bound against the number of pieces; each row is (pieces, error, bound)."""
    figure, axes = new_figure(6.4, 3.2)
    said = []
    for k, (name, rows) in enumerate(measured.items()):
        pieces, errors, bounds = zip(*rows, strict=True)
        line = LINES[k] | {"markevery": 1}
        axes.loglog(pieces, errors, **line, label=name)
        axes.loglog(pieces, bounds, color=line["color"], linewidth=0.8, linestyle="-")
        said.append(f"{slope(pieces, bounds):.2f} for {name}")
    axes.set(xlabel="pieces", ylabel="error")
    axes.legend(fontsize=9, loc="lower left")
    figure.set_label(
        "Measured errors below their bounds (thin lines); over the last two sizes the bounds fall "
        f"with the slopes {', '.join(said).replace('-', '−')}."
    )
    return figure


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of the last two points on log axes."""
    return math.log(y[-1] / y[-2]) / math.log(x[-1] / x[-2])


def draw_growth(record: Mapping[str, Any]) -> Figure:
    """A recorded run: what more points cost, over the smallest case of each method."""
    results = record["results"]
    figure, panels = new_figure(7.2, 2.8, columns=3)
    said = []
    for k, method in enumerate(dict.fromkeys(case["method"] for case in results)):
        cases = [case for case in results if case["method"] == method]
        points = [case["points"] for case in cases]
        line = LINES[k] | {"markevery": 1, "label": method}
        for axes, what in zip(panels, ("memory", "build", "evaluate"), strict=True):
            axes.loglog(points, [case[what]["ratio"] for case in cases], **line)
            axes.set(xlabel="points N", title=what)
            axes.minorticks_off()
            axes.set_xticks(points[::2], [str(n) for n in points[::2]])
        grown = f"{points[0]} to {points[-1]} points {cases[-1]['memory']['ratio']:.0f} times"
        said.append(f"{method} from {grown} the memory")
    panels[0].set(ylabel="over the smallest")
    panels[0].legend(fontsize=8, loc="upper left")
    figure.set_label(f"In the recorded run: {'; '.join(said)}.")
    return figure
