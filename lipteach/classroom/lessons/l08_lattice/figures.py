"""The figures of lesson 08."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure
from lipteach.theory import affine_through, approximate, linear, maximum, minimum, pad_depth

RISE = 0.7
"""Of `draw_separation`: below the ∞-norm of every unit vector of the plane."""
COLOURS = [str(line["color"]) for line in LINES if line["color"] != BLACK]
TARGETS: dict[str, Callable[[Tensor], Tensor]] = {
    "wave": lambda z: (6 * z).sin() / 6,
    "valley": lambda z: z.abs(),
    "zigzag": lambda z: ((4 * z) % 2 - 1).abs() / 4,
}
"""1-Lipschitz functions of [−1, 1], entry by entry."""


def draw_separation(angle: int = 20) -> Figure:
    """Level lines of the affine maps through two points of the plane, for p = 1, 2 and ∞."""
    figure, panels = new_figure(7, 2.9, columns=3)
    turned = math.radians(angle)
    x = torch.zeros(2, dtype=torch.float64)
    y = torch.tensor([math.cos(turned), math.sin(turned)], dtype=torch.float64)
    side = torch.linspace(-1.3, 1.3, 61, dtype=torch.float64)
    points = torch.cartesian_prod(side, side)
    levels = [round(0.2 * k, 1) for k in range(-9, 10)]
    said = []
    for axes, p, ball in zip(panels, (1, 2, math.inf), _balls(), strict=True):
        f = affine_through(x, y, 0.0, RISE, p)
        heights = f(points).reshape(61, 61).T
        lines = axes.contour(side, side, heights, levels=levels, colors="#777777", linewidths=0.9)
        axes.clabel(lines, [-0.8, -0.4, 0, 0.4, 0.8], fontsize=7, fmt=lambda v: f"{v:g}")
        axes.plot(*ball, color=BLUE, linewidth=1.8)
        axes.plot([0], [0], "o", color=BLACK)
        axes.plot([y[0]], [y[1]], "s", color=ORANGE)
        layer: Any = f[0]
        w = [round(v, 2) + 0.0 for v in layer.weight[0].tolist()]
        name = "∞" if p == math.inf else str(p)
        axes.set_title(f"p = {name}: w = ({w[0]:.2f}, {w[1]:.2f})", fontsize=10)
        axes.set(aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        axes.grid(visible=False)
        said.append(f"{RISE / float(torch.linalg.vector_norm(y, ord=p)):.2f} for p = {name}")
    figure.set_label(
        f"y at {angle}° and a rise of {RISE}: the dual norm of w is {', '.join(said[:2])} and "
        f"{said[2]}. Blue: the unit circle of each norm."
    )
    return figure


def _balls() -> list[tuple[list[float], list[float]]]:
    """The unit circles of the 1-, 2- and ∞-norm, as closed lines."""
    t = torch.linspace(0, 2 * math.pi, 181)
    diamond = ([1.0, 0.0, -1.0, 0.0, 1.0], [0.0, 1.0, 0.0, -1.0, 0.0])
    square = ([1.0, 1.0, -1.0, -1.0, 1.0], [-1.0, 1.0, 1.0, -1.0, -1.0])
    return [diamond, (t.cos().tolist(), t.sin().tolist()), square]


def _bars(axes: Axes, z: Tensor, sets: Tensor, names: Sequence[float]) -> None:
    """One row for each set of points of z: bars where it holds, and its name."""
    step = float(z[1] - z[0])
    for row, (inside, colour) in enumerate(zip(sets.tolist(), itertools.cycle(COLOURS))):
        runs, start = [], 0
        for holds, run in itertools.groupby(inside):
            count = len(list(run))
            if holds:
                runs.append((float(z[start]) - step / 2, count * step))
            start += count
        axes.broken_barh(runs, (-row - 0.35, 0.7), color=colour)
    shown = range(0, len(names), 1 + len(names) // 8)
    axes.set_yticks([-k for k in shown], [f"{round(names[k], 2) + 0.0:.2f}" for k in shown])
    axes.tick_params(axis="y", labelsize=8)
    axes.set(ylim=(-max(len(names), 3) + 0.4, 0.6), xlabel="z", xlim=(-1.02, 1.02))


def _steps() -> tuple[Figure, Axes, Axes]:
    """A tall panel for functions above a low one for sets."""
    figure, (above, below) = new_figure(6.4, 4.6, rows=2)
    above.get_gridspec().set_height_ratios([1.7, 1])
    above.set(xlim=(-1.02, 1.02), ylabel="height")
    above.tick_params(labelbottom=False)
    return figure, above, below


def _sets(count: int, name: str) -> str:
    return f"1 set {name} covers" if count == 1 else f"{count} sets {name} cover"


def _say_cover(axes: Axes) -> None:
    axes.legend(fontsize=9, loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.2), frameon=False)


def draw_cover(
    z: Tensor, g: Tensor, pieces: Tensor, y: Sequence[float], x: float, eps: float
) -> Figure:
    """Step 1 of Lemma 1: the chosen pieces f_y (rows of `pieces`), their minimum, the sets V_y."""
    figure, above, below = _steps()
    F = pieces.amin(dim=0)
    for piece, at, colour in zip(pieces, y, itertools.cycle(COLOURS)):
        above.plot(z, piece, color=colour, linewidth=1)
        place = int((z - at).abs().argmin())
        above.plot([at], [g[place]], "o", color=colour, markersize=5, zorder=3)
    above.plot(z, g, color="#999999", linewidth=4, label="g")
    above.plot(z, g + eps, color="#555555", linewidth=1.2, linestyle=":", label="g + ε")
    above.plot(z, F, color=BLACK, linewidth=1.8, label="F = min of the pieces")
    start = int((z - x).abs().argmin())
    above.plot([x], [g[start]], "*", color=BLACK, markersize=13, label="x")
    above.set_ylim(float(F.min()) - 0.1, float(g.max()) + max(0.3, eps + 0.1))
    _say_cover(above)
    _bars(below, z, pieces < g + eps, y)
    below.set_ylabel("V for y =")
    figure.set_label(
        f"x = {round(x, 2) + 0.0:.2f}, ε = {eps:.2f}: {_sets(len(y), 'V')} the interval, "
        f"and the minimum of their pieces exceeds g by at most {(F - g).max():.4f}."
    )
    return figure


def draw_second_cover(
    z: Tensor, g: Tensor, minima: Tensor, x: Sequence[float], eps: float
) -> Figure:
    """Step 2 of Lemma 1: the chosen minima F_x (rows of `minima`), their maximum, the sets U_x."""
    figure, above, below = _steps()
    G = minima.amax(dim=0)
    for lower, colour in zip(minima, itertools.cycle(COLOURS)):
        above.plot(z, lower, color=colour, linewidth=1)
    above.fill_between(z, g - eps, g + eps, color="#E6E6E6", label="g ± ε")
    above.plot(z, g, color="#999999", linewidth=4, label="g")
    above.plot(z, G, color=BLACK, linewidth=1.8, label="G = max of the minima")
    above.set_ylim(float(g.min()) - max(0.35, eps + 0.1), float(g.max()) + max(0.2, eps + 0.1))
    _say_cover(above)
    _bars(below, z, minima > g - eps, x)
    below.set_ylabel("U for x =")
    figure.set_label(
        f"ε = {eps:.2f}: {_sets(len(x), 'U')} the interval, and the maximum of their minima "
        f"is within {(G - g).abs().max():.4f} of g."
    )
    return figure


def centres(N: int) -> Tensor:
    """The centres of N equal parts of [−1, 1]: no point of it is farther away than r = 1/N."""
    return (2 * torch.arange(N, dtype=torch.float64) + 1) / N - 1


def draw_points(points: int = 4, target: str = "wave") -> Figure:
    """The maximum of minima through N points of a target, and its error beside the bound 2r."""
    g = TARGETS[target]
    x = centres(points)
    z = torch.linspace(-1, 1, 961, dtype=torch.float64)  # the centres for N up to 16 are near
    G = approximate(lambda t: g(t[:, 0]), x[:, None])(z[:, None])[:, 0]
    error = G - g(z)
    figure, (left, right) = new_figure(7, 2.8, columns=2)
    left.plot(z, g(z), color="#999999", linewidth=4, label="g")
    left.plot(z, G, **(LINES[0] | {"marker": ""}), label="G")
    left.plot(x, g(x), "o", color=BLACK, markersize=4)
    left.set(xlabel="z", title=f"{points} points")
    left.legend(fontsize=9)
    right.plot(z, error, **(LINES[0] | {"marker": ""}))
    for bound in (2 / points, -2 / points):
        right.axhline(bound, color=ORANGE, linestyle="--", linewidth=1.5)
    right.plot(x, torch.zeros_like(x), "o", color=BLACK, markersize=4)
    right.set(xlabel="z", title="G − g, and ±2r", ylim=(-2.3 / points, 2.3 / points))
    worst = float(error.abs().max())
    figure.set_label(
        f"{points} points, r = {1 / points:.3f}: the largest error found is {worst:.3f}, "
        f"{worst * points:.2f} r, and the bound is 2r = {2 / points:.3f}."
    )
    return figure


def _linears(network: nn.Sequential) -> list[Any]:
    return [module for module in network if isinstance(module, nn.Linear)]


def draw_blocks(f: nn.Sequential, g: nn.Sequential) -> Figure:
    """The weights of max(f, g) as pictures, with the blocks of f and of g framed."""
    layers = _linears(maximum(f, g))
    own = _linears(pad_depth(f, len(layers) - 1))
    figure, panels = new_figure(7, 2.9, columns=len(layers))
    panels[0].get_gridspec().set_width_ratios([max(2, W.in_features) for W in layers])
    for k, (axes, layer) in enumerate(zip(panels, layers, strict=True)):
        m, n = layer.weight.shape
        picture = axes.imshow(layer.weight.detach().numpy(), cmap="PuOr", vmin=-1, vmax=1)
        axes.set_title(f"W{k + 1}\n{m} × {n}", fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        if k < len(own):
            rows, columns = own[k].weight.shape
            shared = 0 if k == 0 else columns  # the first layer of both reads the same inputs
            corners = [(0, 0, rows, columns), (rows, shared, m - rows, n - shared)]
            for (top, left, height, width), colour in zip(corners, (BLUE, ORANGE), strict=True):
                axes.add_patch(
                    Rectangle(
                        (left - 0.5, top - 0.5), width, height, fill=False, clip_on=False,
                        edgecolor=colour, linewidth=2.2, linestyle="-" if colour == BLUE else "--",
                    )
                )  # fmt: skip
    figure.colorbar(picture, ax=list(panels), shrink=0.8, ticks=[-1, 0, 1])
    outside = sum(int(layer.weight.numel()) for layer in layers[1:-1])
    inside = sum(a.weight.numel() for a in own[1:]) + sum(
        (w.out_features - a.out_features) * (w.in_features - a.in_features)
        for w, a in zip(layers[1:-1], own[1:], strict=True)
    )
    figure.set_label(
        f"The {len(layers)} weight matrices of max(f, g). Solid: f; dashed: g. Between them "
        f"{outside - inside} entries are 0 by construction."
    )
    return figure


def draw_joined(f: nn.Sequential, g: nn.Sequential, lift: float = 0.0) -> Figure:
    """Two networks of one input, the second lifted by a number, and their maximum and minimum."""
    last: Any = g[-1]
    bias = torch.zeros(1) if last.bias is None else last.bias.detach()
    lifted = nn.Sequential(*list(g)[:-1], linear(last.weight, bias.double() + lift))
    z = torch.linspace(-1, 1, 401, dtype=torch.float64)
    high, low = (join(f, lifted)(z[:, None])[:, 0] for join in (maximum, minimum))
    figure, (left, right) = new_figure(7, 2.8, columns=2)
    for axes, pair, names in (
        (left, (f, lifted), ("f", "g")),
        (right, (maximum(f, lifted), minimum(f, lifted)), ("max(f, g)", "min(f, g)")),
    ):
        for network, name, line in zip(pair, names, LINES, strict=False):
            values = network(z[:, None])[:, 0].detach()
            axes.plot(z, values, label=name, **(line | {"marker": ""}))
        axes.set(xlabel="z", xticks=[-1, 0, 1], ylim=(-1.7, 2.7))
        axes.legend(fontsize=9, loc="upper center", ncols=2)
    above = float((lifted(z[:, None])[:, 0] > f(z[:, None])[:, 0]).double().mean())
    figure.set_label(
        f"g is lifted by {round(lift, 2) + 0.0:.1f}: it is the greater one on "
        f"{100 * above:.0f} % of the interval; the maximum is between "
        f"{float(high.min()):.2f} and {float(high.max()):.2f}, the minimum between "
        f"{float(low.min()):.2f} and {float(low.max()):.2f}."
    )
    return figure
