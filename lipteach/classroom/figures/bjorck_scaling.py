"""The figures of lesson 04, second part: step sizes, rank and scaling (appendix B.1 and B.3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lipteach.classroom.figures.bjorck import scalar_path
from lipteach.classroom.style import LINES, new_figure
from lipteach.primitives.norms import norm_upper_bounds
from lipteach.primitives.orthonormal import bjorck_trajectory

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


def draw_noise(W: Tensor, steps: int = 150) -> Figure:
    """Singular values of a matrix of low rank on their way, in float32 and in float64."""
    figure, axes = new_figure(6, 2.9)
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
