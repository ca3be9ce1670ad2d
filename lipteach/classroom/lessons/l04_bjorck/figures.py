"""The figures of lesson 04."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lipteach.classroom.style import BLUE, GREEN, LINES, ORANGE, new_figure
from lipteach.primitives.norms import norm_upper_bounds
from lipteach.primitives.orthonormal import bjorck_trajectory, scalar_map

ORDERS = range(1, 7)
AWAY = 1e6
"""Beyond this size a singular value never comes back."""


def scalar_path(sigma: Tensor, steps: int, order: int = 1, beta: float = 0.5) -> Tensor:
    """The iterates 0, 1, …, steps of the map, held at ±AWAY: shape (steps + 1, …)."""
    path = [sigma]
    for _ in range(steps):
        path.append(scalar_map(path[-1], 1, order, beta).clamp(-AWAY, AWAY))
    return torch.stack(path)


def end_of(sigma: float, order: int = 1, beta: float = 0.5) -> str:
    """In words, where the iteration from σ > 0 ends."""
    path = scalar_path(torch.tensor(sigma, dtype=torch.float64), 2000, order, beta)
    one, two = sorted(path[-2:].tolist())
    if two >= AWAY:
        return "it runs away"
    for limit in (1, -1):
        if abs(one - limit) < 0.02 and abs(two - limit) < 0.02:
            return f"it goes to {limit}".replace("-", "−")
    return f"it jumps between {one:.2f} and {two:.2f}".replace("-", "−")


def draw_cobweb(sigma: float = 0.3, beta: float = 0.5, order: int = 1) -> Figure:
    """The map, the diagonal, and the way of one singular value between them."""
    figure, (left, right) = new_figure(6.4, 3.2, columns=2)
    s = torch.linspace(-2.5, 2.5, 401, dtype=torch.float64)
    left.plot(s, s, color="#999999", linewidth=1)
    left.plot(s, scalar_map(s, 1, order, beta), color=BLUE, linewidth=1.8)
    steps = 12
    path = scalar_path(torch.tensor(sigma, dtype=torch.float64), steps, order, beta)
    gone = (path.abs() > 10).cumsum(dim=0) > 1  # one step out of the picture is enough
    path = torch.where(gone, torch.nan, path)
    doubled = path.repeat_interleave(2)
    across, up = doubled[:-1], torch.cat([torch.zeros(1), doubled[2:]])  # it begins on the axis
    left.plot(across, up, color=ORANGE, linewidth=1.2)
    left.plot([sigma], [0], "o", color=ORANGE, markersize=5)
    left.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal", xlabel="σ", ylabel="g(σ)")
    left.set(xticks=[-2, -1, 0, 1, 2], yticks=[-2, -1, 0, 1, 2])
    for limit in (-1, 1):
        right.axhline(limit, color="#999999", linewidth=1)
    right.plot(range(steps + 1), path, color=ORANGE, marker="o", markersize=4, linewidth=1.2)
    right.set(xlabel="step", ylabel="σ", xlim=(-0.5, 12.5), ylim=(-2.5, 2.5))
    right.set(xticks=[0, 4, 8, 12])
    figure.suptitle(f"order {order}, β = {beta:.2f}", fontsize=10)
    figure.set_label(
        f"Order {order}, β = {beta:.2f}: from σ = {sigma:.2f} one step leads to "
        f"{float(path[1]):.3f}, and in the end {end_of(sigma, order, beta)}.".replace("-", "−")
    )
    return figure


def ends(sigma: Tensor, order: int) -> Tensor:
    """Where many starts end: 1, −1, or 0 for those that neither reach (they run away)."""
    last = scalar_path(sigma, 200, order)[-1]
    return torch.where((last.abs() - 1).abs() < 0.1, last.sign(), 0.0)


def draw_basins(low: float = 0.0) -> Figure:
    """For each order, which starts in (low, 2.3) end at 1 (bar up), at −1 (bar down), or away."""
    figure, axes = new_figure(6.4, 3.2)
    high = 2.3
    sigma = torch.linspace(low, high, 4001, dtype=torch.float64)[1:]
    for order in ORDERS:
        end, row = ends(sigma, order), -float(order)
        plus, minus = "ends at 1", "ends at −1"
        axes.fill_between(
            sigma, row, row + 0.38, where=(end == 1).tolist(), color=BLUE, linewidth=0,
            label=plus if order == 1 else None,
        )  # fmt: skip
        axes.fill_between(
            sigma, row - 0.38, row, where=(end == -1).tolist(), color=ORANGE, linewidth=0,
            label=minus if order == 1 else None,
        )  # fmt: skip
        axes.axhline(row, color="#999999", linewidth=0.6)
    axes.axvline(2**0.5, color=GREEN, linestyle="--", linewidth=1.5, label="√2")
    axes.set(xlim=(low, high), ylim=(-6.6, -0.4), xlabel="singular value at the start")
    axes.set_yticks([-order for order in ORDERS], [f"order {order}" for order in ORDERS])
    axes.grid(visible=False)
    axes.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    end = ends(sigma, 1)
    share = [f"{float((end == limit).double().mean()):.1%}" for limit in (1, -1, 0)]
    figure.set_label(
        f"Of the starts between {low:.2f} and {high:.2f}, order 1 takes {share[0]} to 1 and "
        f"{share[1]} to −1; {share[2]} run away."
    )
    return figure


def draw_orders(start: float = 0.2) -> Figure:
    """How far a singular value is from 1 after each step, for several orders."""
    figure, axes = new_figure(6, 2.9)
    steps, said = 12, []
    for order, line in zip((1, 2, 3, 6), LINES, strict=False):
        path = scalar_path(torch.tensor(start, dtype=torch.float64), steps, order)
        off = (path - 1).abs().clamp(min=1e-16)
        axes.semilogy(range(steps + 1), off, label=f"order {order}", **(line | {"markevery": 1}))
        said.append(f"{int((off > 1e-6).sum())} at order {order}")
    axes.set(xlabel="step", ylabel="|σ − 1|", ylim=(1e-17, 3))
    axes.legend(fontsize=9, loc="lower left")
    figure.set_label(f"From σ = {start:.2f}, steps until |σ − 1| ≤ 1e-6: {', '.join(said)}.")
    return figure


BETAS = (0.0003, 0.01, 0.05, 0.1, 0.2, 0.5)
STARTS = (0.01, 0.1, 0.5, 1.5)


def _many_steps(sigma: float, beta: float, steps: int) -> list[float]:
    """The path of one singular value at order 1, in Python's floats: a tensor a step is slow."""
    path = [sigma]
    for _ in range(steps):
        path.append((1 + beta) * path[-1] - beta * path[-1] ** 3)
    return path


def draw_small_beta(beta: float = 0.0003) -> Figure:
    """The paper's Figure 12: singular values over 10,000 steps of one small β."""
    figure, axes = new_figure(6, 2.9)
    starts, at, said = (2.0, 0.5, 0.1), [50, 1000, 5000, 10_000], []
    path = torch.tensor(
        [_many_steps(start, beta, 10_000) for start in starts], dtype=torch.float64
    ).T
    axes.axhline(1, color="#999999", linewidth=1)
    for k, line in enumerate(LINES[: len(starts)]):
        axes.plot(range(10_001), path[:, k], label=f"from {starts[k]:g}", **line)
        said.append(f"from {starts[k]:g}: {', '.join(f'{v:.4f}' for v in path[at, k].tolist())}")
    axes.set(xlabel="step", ylabel="singular value", ylim=(0, 2.05), title=f"β = {beta:g}")
    axes.legend(fontsize=9, loc="upper right")
    text = "; ".join(said)
    figure.set_label(f"β = {beta:g}, after 50, 1000, 5000 and 10,000 steps, {text}.")
    return figure


def draw_betas(steps: int = 50) -> Figure:
    """The paper's Figure 13: singular values after some steps, for several β."""
    figure, axes = new_figure(6, 2.9)
    axes.axhline(1, color="#999999", linewidth=1)
    sigma = torch.tensor(STARTS, dtype=torch.float64)
    after = torch.stack([scalar_path(sigma, steps, beta=beta)[-1] for beta in BETAS])
    for k, line in enumerate(LINES[: len(STARTS)]):
        drawn = line | {"markevery": 1}
        axes.plot(range(len(BETAS)), after[:, k], label=f"from {STARTS[k]:g}", **drawn)
    axes.set_xticks(range(len(BETAS)), [f"{beta:g}" for beta in BETAS])
    axes.set(xlabel="β", ylabel="singular value", ylim=(-0.05, 1.55), title=f"after {steps} steps")
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    values = ", ".join(f"{value:.4f}" for value in after[:, 1].tolist())
    figure.set_label(
        f"After {steps} steps with β = {', '.join(map(str, BETAS))}: from 0.1, {values}."
    )
    return figure


def draw_noise(W: Tensor) -> Figure:
    """Singular values of a matrix of low rank on their way, in float32 and in float64."""
    figure, axes = new_figure(6, 2.9)
    steps = 150
    full: dict[int, list[str]] = {steps // 2: [], steps: []}
    for dtype, line in zip((torch.float32, torch.float64), LINES, strict=False):
        path = bjorck_trajectory(W.to(dtype), steps)
        sigma = torch.linalg.svdvals(path.double()).clamp(min=1e-18)  # (steps + 1, k)
        name = str(dtype).removeprefix("torch.")
        axes.semilogy(range(steps + 1), sigma[:, -1], label=f"smallest, {name}", **line)
        for k in full:
            full[k] += [name] if sigma[k, -1] > 0.5 else []
    axes.semilogy(range(steps + 1), sigma[:, 0], color="#999999", linewidth=3, label="largest")
    axes.set(xlabel="step", ylabel="singular value", ylim=(1e-19, 10))
    axes.legend(fontsize=9, loc="lower right")
    text = ", ".join(f"after {k} steps in {' and '.join(full[k]) or 'neither'}" for k in full)
    figure.set_label(
        f"The smallest singular value, 0 but for rounding at the start, is above one half: {text}."
    )
    return figure


def draw_bounds(matrices: Mapping[str, Tensor]) -> Figure:
    """How far each bound is above the norm, for several matrices."""
    figure, axes = new_figure(6.4, 3)
    said = []
    for k, (name, W) in enumerate(matrices.items()):
        norm = float(torch.linalg.matrix_norm(W.double(), 2))
        ratios = {b: float(v) / norm for b, v in norm_upper_bounds(W.double()).items()}
        line = LINES[k] | {"linestyle": "", "markersize": 8}
        places = [bound + (k - (len(matrices) - 1) / 2) / 8 for bound in range(len(ratios))]
        axes.semilogy(places, list(ratios.values()), label=name, **line | {"markevery": 1})
        said.append(f"{ratios['inf']:.1f} by (11) and {ratios['gram']:.2f} by gram for {name}")
    axes.axhline(1, color="#999999", linewidth=1)
    axes.set_xticks(range(len(ratios)), ["max (9)", "one (10)", "inf (11)", "geometric", "gram"])
    ticks = [1, 2, 5, 10, 20, 50, 100]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set(ylabel="bound / norm", ylim=(0.8, 130))
    axes.minorticks_off()
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.set_label(f"Bound over norm: {'; '.join(said)}.")
    return figure


def draw_scaling(sigma: Tensor, scales: Mapping[str, float], steps: int = 6) -> Figure:
    """All singular values after some steps, the matrix divided by one or another bound before."""
    figure, axes = new_figure(6.4, 2.9)
    axes.axhline(1, color="#999999", linewidth=1)
    said = []
    for (name, scale), line in zip(scales.items(), LINES, strict=False):
        after = scalar_path(sigma / scale, steps)[-1]
        axes.plot(range(1, len(after) + 1), after, label=name, **line)
        said.append(f"{float(after.min()):.3f} by {name}")
    axes.set(xlabel="singular values, in order", ylabel="singular value", ylim=(0, 1.08))
    axes.set_title(f"after {steps} steps", fontsize=10)
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.set_label(f"After {steps} steps the smallest singular value is {', '.join(said)}.")
    return figure
