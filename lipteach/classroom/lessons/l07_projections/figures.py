"""The figures of lesson 07: thresholds, three sets, an octahedron, and rows (appendix C)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from torch import Tensor

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, SKY, new_figure
from lipteach.primitives import operator_norm, project_l1_ball, project_linf_norm, project_simplex

ENTRIES = (1.4, 1.1, 0.8, 0.7, 0.2, -0.3)
"""The vector of `draw_threshold`, in descending order."""


def _shown(values: Sequence[float] | Tensor) -> str:
    """A point at two digits, without a minus before a zero."""
    return "(" + ", ".join(f"{round(float(v), 2) + 0.0:g}" for v in values) + ")"


def draw_threshold(radius: float = 1.0) -> Figure:
    """The level at which the parts of the bars above it add up to the radius."""
    figure, (left, right) = new_figure(6.4, 2.8, columns=2)
    u = torch.tensor(ENTRIES, dtype=torch.float64)
    x = project_simplex(u, radius)
    K = int((x > 0).sum())
    tau = float(u[0] - x[0])
    places = range(1, len(ENTRIES) + 1)
    above = {"bottom": (u - x).tolist(), "hatch": "//", "edgecolor": "white"}
    left.bar(places, ENTRIES, color=SKY, width=0.7)
    left.bar(places, x.tolist(), color=ORANGE, width=0.7, **above)
    left.axhline(tau, color=BLACK, linestyle="--")
    left.text(6.5, tau + 0.04, "τ", ha="right")
    left.set_xticks(places)
    left.set(xlabel="k", ylabel="$u_k$", ylim=(-0.5, 1.6), title=f"r = {radius:g}")

    levels = torch.linspace(-0.4, 1.5, 200, dtype=torch.float64)
    sums = (u - levels[:, None]).clamp(min=0).sum(dim=-1)
    right.plot(levels, sums, **(LINES[0] | {"marker": ""}))
    right.plot([-0.4, tau, tau], [radius, radius, 0], color=BLACK, linestyle="--")
    right.plot([tau], [radius], "s", color=ORANGE)
    right.set(xlabel="τ", ylabel="sum above τ", xlim=(-0.4, 1.5), ylim=(0, 5.5))
    entries = "entry stands" if K == 1 else "entries stand"
    figure.set_label(
        f"For r = {radius:g} the threshold is τ = {round(tau, 3) + 0.0:g}: {K} {entries} above it, "
        "and what stands above adds up to r."
    )
    return figure


_DIAMOND = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)]
_SQUARE = [(1, 1), (-1, 1), (-1, -1), (1, -1), (1, 1)]


def _corner_regions(axes: Any) -> None:
    """Where the nearest point of the L1 ball is a corner, as far as the picture reaches."""
    for wedge in ([(1, 0), (3, 2), (3, -2)], [(0, 1), (2, 3), (-2, 3)]):
        for sign in (1, -1):
            axes.fill(*zip(*[(sign * a, sign * b) for a, b in wedge], strict=True), color="#FBE9C6")


def draw_three_sets(y1: float = 0.8, y2: float = -0.6) -> Figure:
    """A point of the plane, and the nearest points of the square, the simplex and the L1 ball."""
    figure, panels = new_figure(7.2, 2.9, columns=3)
    y = torch.tensor([y1, y2], dtype=torch.float64)
    nearest = (y.clamp(-1, 1), project_simplex(y), project_l1_ball(y))
    titles = ("L∞ ball: a clip", "simplex: Algorithm 1", "L1 ball")
    _corner_regions(panels[2])
    for axes, outline in zip(panels, (_SQUARE, None, _DIAMOND), strict=True):
        if outline:
            axes.fill(*zip(*outline, strict=True), color=SKY, alpha=0.5)
            axes.plot(*zip(*outline, strict=True), color=BLUE, linewidth=1)
        else:
            axes.plot([1, 0], [0, 1], color=BLUE, linewidth=4, solid_capstyle="round")
    for axes, x, title in zip(panels, nearest, titles, strict=True):
        axes.plot([y1, x[0]], [y2, x[1]], color=BLACK, linestyle="--", linewidth=1)
        axes.plot([y1], [y2], "o", color=BLACK, markersize=5, zorder=4, label="y")
        axes.plot([x[0]], [x[1]], "s", color=ORANGE, markersize=8, zorder=3, label="x")
        axes.set(xlim=(-2.1, 2.1), ylim=(-2.1, 2.1), aspect="equal", title=title)
        axes.set(xticks=[-2, -1, 0, 1, 2], yticks=[-2, -1, 0, 1, 2])
        axes.title.set_fontsize(10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    cube, simplex, ball = map(_shown, nearest)
    figure.set_label(
        f"y = {_shown(y)} goes to {cube} on the L∞ ball, to {simplex} on the simplex, and to "
        f"{ball} on the L1 ball."
    )
    return figure


_PLACES = {1: "a corner", 2: "an edge", 3: "a face"}


_TOWARDS_US = (0.79, 0.49, 0.37)
"""The direction of the camera at an elevation of 22° and an azimuth of 32°."""


def _octahedron(axes: Any) -> None:
    """The far faces as dotted outlines, the near ones filled."""
    for signs in itertools.product((1, -1), repeat=3):
        corners = [tuple(s * (i == k) for i in range(3)) for k, s in enumerate(signs)]
        near = sum(s * c for s, c in zip(signs, _TOWARDS_US, strict=True)) > 0
        style = {"facecolor": SKY, "alpha": 0.35} if near else {"facecolor": "none"}
        face = Poly3DCollection(
            [corners], edgecolor=BLUE, linestyle="-" if near else ":", zorder=1 + near, **style
        )
        axes.add_collection3d(face)


def draw_octahedron(y1: float = 1.2, y2: float = 0.9, y3: float = 0.5) -> Figure:
    """The L1 ball of three dimensions, a point, and the nearest point of the ball."""
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    y = torch.tensor([y1, y2, y3], dtype=torch.float64)
    x = project_l1_ball(y)
    _octahedron(axes)
    between = zip(y.tolist(), x.tolist(), strict=True)
    axes.plot(*between, color=BLACK, linestyle="--", linewidth=1, zorder=3)
    axes.plot([y1], [y2], [y3], "o", color=BLACK, markersize=5, zorder=5, label="y")
    axes.plot(*x[:, None].tolist(), "s", color=ORANGE, markersize=8, zorder=4, label="x")
    ticks = [-1, 0, 1]
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), zlim=(-1.5, 1.5))
    axes.set(xticks=ticks, yticks=ticks, zticks=ticks)
    for k, axis in enumerate((axes.xaxis, axes.yaxis, axes.zaxis)):
        axis.set_rotate_label(False)
        axis.set_label_text(f"$y_{k + 1}$", rotation=0)
    axes.set_box_aspect((1, 1, 1), zoom=0.9)
    axes.view_init(elev=22, azim=32)
    axes.legend(fontsize=9, loc="upper left")
    kept = int((x != 0).sum())
    total = float(y.abs().sum())
    if total <= 1:
        said = f"lies in the ball, since its L1 norm is {total:.2f}, and stays."
    else:
        entries = "entry is" if kept == 1 else "entries are"
        said = f"goes to {_shown(x)} on {_PLACES[kept]}: {kept} {entries} not 0."
    figure.set_label(f"y = {_shown(y)} {said}")
    return figure


def wide_matrix(columns: int) -> Tensor:
    """Four rows of uniform numbers from [−1, 1], the same for each number of columns."""
    generator = torch.Generator().manual_seed(7)
    return 2 * torch.rand(24, 4, generator=generator, dtype=torch.float64).T[:, :columns] - 1


def draw_rows(columns: int = 6) -> Figure:
    """The L1 norms of the rows, after a projection of the rows and after one of the columns."""
    figure, panels = new_figure(6.4, 2.6, columns=2)
    W = wide_matrix(columns)
    projected = (project_linf_norm(W), project_l1_ball(W, dim=-2))
    places = range(1, len(W) + 1)
    hatched = {"color": ORANGE, "hatch": "//", "edgecolor": "white"}
    for axes, X, name in zip(panels, projected, ("rows", "columns"), strict=True):
        before, after = (A.abs().sum(dim=-1).tolist() for A in (W, X))
        axes.bar([k - 0.2 for k in places], before, width=0.4, color=SKY, label="before")
        axes.bar([k + 0.2 for k in places], after, width=0.4, label="after", **hatched)
        axes.axhline(1, color=BLACK, linestyle="--", linewidth=1)
        axes.set(xlabel="row", ylabel="L1 norm", ylim=(0, 18), title=f"{name} projected")
        axes.set_xticks(places)
    panels[0].legend(fontsize=9, loc="upper center", ncols=2)
    by_rows, by_columns = (float(operator_norm(X, math.inf)) for X in projected)
    figure.set_label(
        f"4 × {columns}: with its rows projected the matrix has ∞-norm {by_rows:.2f}, with its "
        f"columns projected {by_columns:.2f}."
    )
    return figure


def draw_first_weights(weights: dict[str, Tensor]) -> Figure:
    """The first rows of first weight matrices, as images of 28 × 28 pixels; white is 0."""
    figure, panels = new_figure(7, 1.25 * len(weights), rows=len(weights), columns=6)
    said = []
    for row, (name, W) in zip(panels, weights.items(), strict=True):
        for axes, w in zip(row, W, strict=False):
            top = float(w.abs().max())
            axes.imshow(w.reshape(28, 28).numpy(), cmap="PuOr", vmin=-top, vmax=top)
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            axes.spines[["top", "right"]].set_visible(True)
        row[0].set_ylabel(name, fontsize=9)
        said.append(f"{100 * float((W == 0).double().mean()):.0f}% under the {name}")
    figure.set_label(f"Weights of the first layer that are exactly 0: {' and '.join(said)}.")
    return figure


def draw_certified(radii: dict[str, Tensor]) -> Figure:
    """The share of images whose label is right and cannot change within ε in the ∞-norm."""
    figure, axes = new_figure(5.4, 2.9)
    epsilon = torch.linspace(0, 0.1, 51, dtype=torch.float64)
    said = []
    for line, (name, radius) in zip(LINES, radii.items(), strict=False):
        share = (radius > epsilon[:, None]).double().mean(dim=-1)
        axes.plot(epsilon, 100 * share, label=name, **line)
        said.append(f"{100 * share[0]:.0f}% and {100 * share[25]:.0f}% under the {name}")
    axes.set(xlabel="ε", ylabel="certified, in %", ylim=(0, 100), xlim=(0, 0.1))
    axes.legend(fontsize=9)
    figure.set_label(f"Certified at ε = 0 and at ε = 0.05: {', '.join(said)}.")
    return figure
