"""Figures of lesson 02: pairs kept apart, wires that sort, a plane that is folded."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import nn

from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, SKY, new_figure
from lipteach.primitives import full_sort, maxmin
from lipteach.theory import full_sort_from_maxmin

_PALE = LinearSegmentedColormap.from_list("pale", ["#FFFFFF", SKY])


# --- MaxMin from FullSort: two pairs, kept apart by a gap between their biases.


def worst_chunk_error(gap: float) -> float:
    """How far sort(x + b) − b is from MaxMin at x = (−1, −1, 1, 1), b = (g, g, 0, 0)."""
    x = torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    b = torch.tensor([gap, gap, 0.0, 0.0], dtype=torch.float64)
    return float((full_sort(x + b) - b - maxmin(x)).abs().max())


def draw_chunks(gap: float = 1.0) -> Figure:
    """Two pairs in [−1, 1], the first moved up by ``gap``, and the error at the worst corner."""
    figure, (line, errors) = new_figure(height=4.2, rows=2)
    for row, (name, b, colour) in enumerate([("pair 2", 0.0, ORANGE), ("pair 1", gap, BLUE)]):
        line.plot([b - 1, b + 1], [row, row], color=colour, linewidth=9, solid_capstyle="butt")
        line.text(b + 1.12, row, f"{name}: b = {b:g}", va="center", fontsize=9)
    line.plot([gap - 1] * 2, [1.0, 1.0], **_dot("o"))
    line.plot([1.0] * 2, [0.0, 0.0], **_dot("s"))
    if gap < 2:
        line.axvspan(gap - 1, 1, facecolor="#EEEEEE", edgecolor="#999999", hatch="//", linewidth=0)
    line.set(ylim=(-0.6, 1.6), xlim=(-1.2, 4.9), yticks=[], xlabel="$x_i + b_i$")
    line.set_title("where each pair may lie; dots: x = (−1, −1, 1, 1)", fontsize=10, loc="left")

    gaps = [0.05 * step for step in range(61)]
    errors.plot(gaps, [worst_chunk_error(g) for g in gaps], **LINES[0] | {"marker": ""})
    errors.plot([gap], [worst_chunk_error(gap)], **_dot("o"))
    errors.set(xlabel="gap g between the biases", ylabel="error")

    wrong = worst_chunk_error(gap)
    apart = round(gap - 2, 2)
    state = f"overlap by {-apart:.2f}" if apart < 0 else f"are {apart:.2f} apart"
    state = state if apart else "touch"
    figure.set_label(
        f"Gap {gap:.2f}: the two intervals {state}, and the error at (−1, −1, 1, 1) is {wrong:.2f}."
    )
    return figure


def _dot(marker: str) -> dict[str, Any]:
    return {"color": BLACK, "marker": marker, "linestyle": "", "markersize": 7, "zorder": 3}


# --- FullSort from MaxMin: a sorting network.


def rounds_of(network: nn.Sequential) -> list[list[tuple[int, int]]]:
    """The wires which each MaxMin of a sorting network compares; the first receives the maximum.

    Read off the weights: the product of the permutations so far says which wire lies where.

    >>> rounds_of(full_sort_from_maxmin(4))
    [[(0, 1), (2, 3)], [(0, 3), (1, 2)], [(0, 1), (2, 3)]]
    """
    weights = [layer.weight.detach() for layer in network if isinstance(layer, nn.Linear)]
    order, rounds = torch.eye(weights[0].shape[1], dtype=weights[0].dtype), []
    for weight in weights[:-1]:
        order = weight @ order
        wires = order.argmax(dim=1).tolist()
        rounds.append(list(zip(wires[::2], wires[1::2], strict=True)))
    return rounds


def stages(values: Sequence[float], rounds: Sequence[Sequence[tuple[int, int]]]) -> list[Any]:
    """The values on the wires before the first round and after each one."""
    found = [list(values)]
    for pairs in rounds:
        now = list(found[-1])
        for high, low in pairs:
            now[high], now[low] = max(now[high], now[low]), min(now[high], now[low])
        found.append(now)
    return found


def draw_sorting_network(
    done: int = 0, shuffle: int = 0, values: Sequence[float] | None = None
) -> Figure:
    """A bitonic sorter on 8 wires after ``done`` rounds, on a shuffle of 1 … 8 or on ``values``."""
    if values is None:
        values = random.Random(shuffle).sample(range(1, 9), 8)
    rounds = rounds_of(full_sort_from_maxmin(len(values)))
    done = min(done, len(rounds))  # values of the reader's own may need fewer
    now = stages(values, rounds)[: done + 1]
    low, high = min(values), max(values)

    figure, axes = new_figure(height=3.6)
    axes.grid(visible=False)
    columns = _columns(rounds)
    ends = [spots[0] - 0.55 for spots in columns] + [columns[-1][-1] + 0.55]
    for wire in range(len(values)):
        axes.plot([ends[0], ends[-1]], [wire, wire], color="#999999", linewidth=1, zorder=1)
    for r, (pairs, spots) in enumerate(zip(rounds, columns, strict=True)):
        for pair, spot in zip(pairs, spots, strict=True):
            colour, style = (BLACK, "-") if r < done else ("#AAAAAA", ":")
            axes.plot([spot] * 2, pair, color=colour, linestyle=style, marker="o", markersize=4)
    for place, state in zip(ends, now, strict=False):
        for wire, value in enumerate(state):
            shade = _PALE((value - low) / (high - low) if high > low else 0.5)
            box = {"boxstyle": "round,pad=0.22", "facecolor": shade, "edgecolor": BLACK}
            axes.text(place, wire, f"{value:g}", ha="center", va="center", fontsize=9, bbox=box)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    middle = [(one + two) / 2 for one, two in itertools.pairwise(ends)]
    axes.set_xticks(middle, [f"round {r + 1}" for r in range(len(rounds))], fontsize=9)
    axes.set_yticks(range(len(values)), [f"wire {w + 1}" for w in range(len(values))], fontsize=9)
    axes.tick_params(length=0)

    wires = ", ".join(f"{value:g}" for value in now[-1])
    state = "sorted" if now[-1] == sorted(values, reverse=True) else "not sorted yet"
    figure.set_label(f"After {done} of {len(rounds)} rounds the wires carry {wires}: {state}.")
    return figure


def _columns(rounds: Sequence[Sequence[tuple[int, int]]]) -> list[list[float]]:
    """A place for every comparator of a round; those that would cross stand side by side."""
    columns, start = [], 0.0
    for pairs in rounds:
        spots: list[float] = []
        taken: list[list[tuple[int, int]]] = []
        for high, low in pairs:
            lane = 0
            while lane < len(taken) and any(high <= b and a <= low for a, b in taken[lane]):
                lane += 1
            taken[lane:lane] = [] if lane < len(taken) else [[]]
            taken[lane].append((high, low))
            spots.append(start + 0.22 * lane)
        columns.append(spots)
        start = max(spots) + 1.1
    return columns


# --- MaxMin from the absolute value: a fold of the plane.


def fold(B: float, lower: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """81 points z of [−2, 2]², M z + (√2 B, 0) folded, and M of that − (B, lower) − MaxMin(z)."""
    grid = torch.linspace(-2, 2, 9, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)
    M = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=z.dtype) / math.sqrt(2)
    after = (z @ M + torch.tensor([math.sqrt(2) * B, 0], dtype=z.dtype)).abs()  # (81, 2)
    return z, after, after @ M - torch.tensor([B, lower], dtype=z.dtype) - maxmin(z)


def draw_last_shift(lower: float = 0.0) -> Figure:
    """The error of M|Mz + (√2 B, 0)| − (B, lower) on [−2, 2]² at B = 2, entry by entry."""
    shifts = torch.linspace(0, 4, 33).tolist()
    errors = torch.stack([fold(2.0, shift)[2].abs().amax(dim=0) for shift in shifts])
    now = fold(2.0, lower)[2].abs().amax(dim=0).tolist()
    figure, axes = new_figure(height=2.8)
    for i, name in enumerate(("first entry (max)", "second entry (min)")):
        line = dict(LINES[i])
        axes.plot(shifts, errors[:, i], **(line | {"marker": ""}), label=name)
        axes.plot([lower], [now[i]], "o", color=line["color"], markersize=8)
    axes.set(xlabel="taken off the second entry (B = 2)", ylabel="largest error")
    axes.set_ylim(-0.15, 2.2)
    axes.legend(loc="upper center", fontsize=9)
    figure.set_label(
        f"With (2, {lower:.2f}) taken off at the end, the maximum is off by {now[0]:.2f} and the "
        f"minimum by {now[1]:.2f}."
    )
    return figure


def draw_fold(B: float = 1.0) -> Figure:
    """Where M|Mz + (√2 B, 0)| − (B, B) is MaxMin on [−2, 2]², before and after the fold."""
    z, after, error = fold(B, B)
    right = error.abs().amax(dim=1) < 1e-9

    figure, (plane, folded) = new_figure(width=7, height=3.6, columns=2)
    plane.get_gridspec().set_width_ratios([4.8, 7.2])  # one unit is as long in both
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    _points(plane, z[:, 0], z[:, 1], right)
    plane.plot([-2 * B - 2.4, 2.4], [2.4, -2 * B - 2.4], color=BLACK, linestyle="--", linewidth=1.2)
    plane.set(xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), xlabel="x", ylabel="y", aspect="equal")
    plane.set_title("input; dashed: x + y + 2B = 0", fontsize=10)
    _points(folded, after[:, 0], after[:, 1], right)
    folded.set(xlim=(-0.4, 6.8), ylim=(-0.4, 4.0), aspect="equal")
    folded.set(xlabel=r"$|x + y + 2B|/\sqrt{2}$", ylabel=r"$|x - y|/\sqrt{2}$")
    folded.set_title("after the fold", fontsize=10)

    count = int((~right).sum())
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    figure.set_label(f"B = {B:.2f}: MaxMin is wrong at {count} of the 81 points of the grid.")
    return figure


def _points(axes: Axes, x: torch.Tensor, y: torch.Tensor, right: torch.Tensor) -> None:
    first = not axes.get_subplotspec().colspan.start  # type: ignore[union-attr]
    good, bad = ("right", "wrong") if first else ("_right", "_wrong")
    axes.plot(x[right], y[right], "o", color=BLUE, markersize=4, label=good)
    axes.plot(x[~right], y[~right], "x", color=ORANGE, markersize=7, label=bad)
