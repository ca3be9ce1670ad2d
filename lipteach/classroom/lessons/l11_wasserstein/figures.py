"""The figures of lesson 11, first part: plans, dual functions and batches (H.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, SKY, new_figure
from lipteach.primitives import exact_wasserstein, transport_plan, wasserstein_dual
from lipteach.training import Cones, three_cones

X, Y = (0.0, 3.0), (1.0, 5.0)
"""The two heaps and the two holes of `draw_two_heaps`, half a unit of earth each."""


def cost_of(t: float) -> float:
    """What the plan costs that moves t from 0 to 1, and ½ − t from 0 to 5."""
    (x1, x2), (y1, y2) = X, Y
    own, crossed = abs(x1 - y1) + abs(x2 - y2), abs(x1 - y2) + abs(x2 - y1)
    return t * own + (0.5 - t) * crossed


def draw_two_heaps(t: float = 0.3) -> Figure:
    """A plan between two heaps and two holes on the line, and the cost of all such plans."""
    figure, (left, right) = new_figure(6.6, 2.6, columns=2)
    masses = {(X[0], Y[0]): t, (X[1], Y[1]): t, (X[0], Y[1]): 0.5 - t, (X[1], Y[0]): 0.5 - t}
    for (x, y), mass in masses.items():
        if mass > 1e-9:
            left.plot([x, y], [1, 0], color=BLUE, linewidth=10 * mass, alpha=0.7)
    left.plot(X, [1, 1], "o", color=BLACK, markersize=9)
    left.plot(Y, [0, 0], "s", color=ORANGE, markersize=9)
    left.set(yticks=[0, 1], yticklabels=["holes y", "heaps x"], ylim=(-0.3, 1.3))
    left.set(xticks=range(6), xlabel="place", title="who sends what to whom")
    right.plot([0, 0.5], [cost_of(0), cost_of(0.5)], **(LINES[0] | {"marker": ""}))
    right.plot([t], [cost_of(t)], "s", color=ORANGE)
    right.set(xlabel="t, moved from 0 to 1", ylabel="cost", ylim=(0, 4), title="cost of the plan")
    for axes in (left, right):
        axes.title.set_fontsize(10)
    figure.set_label(
        f"With t = {t:.2f} of the earth moved from 0 to 1 the plan costs {cost_of(t):.2f}."
    )
    return figure


def draw_outside(slope: float = -0.5) -> Figure:
    """A dual function of one point against two: forced on [−1, 1], free outside."""
    figure, axes = new_figure(5.6, 2.7)
    x = torch.arange(-250, 251, dtype=torch.float64) / 100  # with 0 and ±1 exactly
    inside = -x.abs().clamp(max=1)
    f = inside + slope * (x.abs() - 1).clamp(min=0)
    axes.axvspan(-1, 1, color="#E6E6E6")
    axes.plot(x, -x.abs(), **(LINES[1] | {"marker": ""}), label="−|x|")
    axes.plot(x, f, **(LINES[0] | {"marker": ""}), label="f")
    axes.plot([0], [0], "o", color=BLACK, markersize=8, label="$p_1$")
    axes.plot([-1, 1], [-1, -1], "s", color=ORANGE, markersize=8, label="$p_2$")
    axes.set(xlabel="x", ylabel="f(x)", xlim=(-2.5, 2.5), ylim=(-2.6, 0.8))
    axes.legend(fontsize=9, loc="lower center", ncols=2)
    value = float(f[x == 0][0] - f[x.abs() == 1].mean())
    figure.set_label(
        f"With slope {slope:g} to the right of 1, mirrored on the left, the mean of f over p1 less "
        f"that over p2 is {value:.2f}."
    )
    return figure


@cache
def _distances(points: int = 60) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The exact distance of stratified samples at several spacings."""
    spacings = tuple(k / 8 for k in range(4, 25))
    pairs = (three_cones(d).stratified(3 * points) for d in spacings)
    return spacings, tuple(float(exact_wasserstein(x, y)) for x, y in pairs)


def draw_circles(axes: Any, pair: Cones, colour: str = SKY) -> None:
    """The centres and circles of a pair in the plane."""
    angles = torch.linspace(0, 2 * torch.pi, 97, dtype=torch.float64)
    for a, b in pair.centres.tolist():
        axes.plot(a + angles.cos(), b + angles.sin(), color=colour, linewidth=1.2)
    axes.plot(*pair.centres.T, "o", color=BLACK, markersize=7, zorder=4)
    axes.set(aspect="equal", yticks=[-1, 0, 1], ylim=(-1.15, 1.15))


def draw_spacing(spacing: float = 2.0) -> Figure:
    """The best plan between three centres and the circles about them, and the distance."""
    figure, (left, right) = new_figure(7.4, 2.6, columns=2)
    left.get_subplotspec().get_gridspec().set_width_ratios([1.7, 1])
    pair = three_cones(spacing)
    x, y = pair.centres, pair.stratified(36)[1]
    plan = transport_plan(x, y)
    foreign = 0.0
    for k, row in enumerate(plan):
        for j in row.nonzero()[:, 0].tolist():
            own = j // 12 == k
            foreign += 0.0 if own else float(row[j])
            line = {"color": BLUE, "linewidth": 1} if own else {"color": ORANGE, "linestyle": "--"}
            left.plot(*zip(x[k].tolist(), y[j].tolist(), strict=True), **line)
    draw_circles(left, pair)
    left.plot(*y.T, "s", color=ORANGE, markersize=3.5, zorder=3)
    left.set(xlim=(-4.2, 4.2), xticks=[-4, -2, 0, 2, 4], title=f"d = {spacing:g}")
    right.plot(*_distances(), **(LINES[0] | {"marker": ""}))
    distance = float(exact_wasserstein(*pair.stratified(180)))
    right.plot([spacing], [distance], "s", color=ORANGE)
    right.set(xlabel="spacing d of the centres", ylabel="$W_1$", ylim=(0.4, 1.05))
    sent = f"{100 * foreign:.0f}% of the mass" if foreign > 1e-9 else "nothing"
    figure.set_label(
        f"Centres {spacing:g} apart: the distance is {distance:.3f}, and the best plan sends "
        f"{sent} to another centre's circle."
    )
    return figure


def lifted(spacing: float, heights: Sequence[float]) -> Any:
    """The function max_c (h_c − ‖z − c‖) for three centres and their heights."""
    centres = three_cones(spacing).centres
    lift = torch.as_tensor(heights, dtype=torch.float64)

    def f(z: Tensor) -> Tensor:
        cones = lift - torch.linalg.vector_norm(z[..., None, :] - centres, dim=-1)
        highest: Tensor = cones.amax(dim=-1)
        return highest

    return f


def draw_heights(spacing: float = 2.0, lift: float = 0.3) -> Figure:
    """Three cones, the middle one lifted: as a surface, and along the line of the centres."""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    surface: Any = figure.add_subplot(1, 2, 1, projection="3d")
    axes = figure.add_subplot(1, 2, 2)
    pair, f = three_cones(spacing), lifted(spacing, (0, lift, 0))
    value = float(wasserstein_dual(f, *pair.stratified(360)))
    side, depth = torch.linspace(-4, 4, 65).double(), torch.linspace(-1.5, 1.5, 25).double()
    grid = torch.cartesian_prod(side, depth).reshape(65, 25, 2)
    surface.plot_surface(
        grid[..., 0].numpy(), grid[..., 1].numpy(), f(grid).numpy(), cmap="Blues", vmin=-2.5,
        rstride=1, cstride=1, linewidth=0,
    )  # fmt: skip
    surface.set_box_aspect((8, 3, 3), zoom=1.25)
    surface.view_init(elev=32, azim=-70)
    surface.set(xticks=[-4, 0, 4], yticks=[-1, 1], zticks=[-2, 0], xlabel="$x_1$")
    fine = torch.linspace(-4, 4, 801).double()
    along = f(torch.stack([fine, torch.zeros_like(fine)], dim=1))
    axes.plot(fine, along, **(LINES[0] | {"marker": ""}), label="f on the axis")
    axes.plot(pair.centres[:, 0], f(pair.centres), "o", color=BLACK, label="centres")
    ends = torch.cat([pair.centres[:, 0] - 1, pair.centres[:, 0] + 1])
    ends = torch.stack([ends, torch.zeros_like(ends)], dim=1)
    axes.plot(ends[:, 0], f(ends), "s", color=ORANGE, label="circles")
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="$x_1$", ylabel="f", xlim=(-4, 4), ylim=(-2.6, 1.8))
    axes.legend(fontsize=8, loc="upper center", ncols=3)
    best = float(exact_wasserstein(*pair.stratified(180)))
    figure.set_label(
        f"Centres {spacing:g} apart, the middle cone lifted by {lift:g}: the dual value is "
        f"{value:.3f}, the distance {best:.3f}."
    )
    return figure


def draw_batches(n: int = 30) -> Figure:
    """Exact distances of random batches, with the centres drawn as well and without."""
    figure, axes = new_figure(5.8, 2.7)
    generator, pair = torch.Generator().manual_seed(0), three_cones()
    batches = [pair.sample(n, generator) for _ in range(60)]
    both = torch.stack([exact_wasserstein(x, y) for x, y in batches])
    circles = torch.stack([exact_wasserstein(pair.centres, y) for _, y in batches])
    bins = [1 + 0.02 * k for k in range(31)]
    for distances, name, line in (
        (circles, "circles drawn", LINES[0]),
        (both, "both drawn", LINES[1]),
    ):
        axes.hist(
            distances.clamp(max=bins[-1]).tolist(), bins=bins, histtype="step", linewidth=1.8,
            color=line["color"], linestyle=line["linestyle"], label=name,
        )  # fmt: skip
    axes.axvline(1, color=BLACK, linewidth=1)
    axes.set(xlabel="exact distance of a batch", ylabel="how many of 60 batches", title=f"n = {n}")
    axes.legend(fontsize=9)
    figure.set_label(
        f"60 batches of {n}: the mean distance is {circles.mean():.3f} with the centres exact and "
        f"{both.mean():.3f} with both sides drawn; the distributions are at 1."
    )
    return figure
