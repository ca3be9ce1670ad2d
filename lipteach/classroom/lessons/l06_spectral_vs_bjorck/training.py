"""The figures of lesson 06, second part: weights and gradients while a cone is learnt (B.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, LINES, new_figure
from lipteach.theory.linearity import gradient_norms


@dataclass(frozen=True)
class Snapshot:
    """What is kept of a network while it is trained.

    ``sigma`` holds the singular values of each weight, ``norms`` the mean gradient norm in front
    of each module and behind the last, and ``distance`` the estimate of the Wasserstein distance.
    """

    step: int
    distance: float
    sigma: list[Tensor]
    norms: Tensor


Runs = Mapping[str, Sequence[Snapshot]]


def take_snapshot(network: nn.Sequential, step: int, sphere: Tensor, rays: Tensor) -> Snapshot:
    """Measure a network: its distance on the sphere, its gradient norms on the rays to it."""
    with torch.no_grad():
        origin = torch.zeros_like(sphere[:1])
        distance = float(network(origin).mean() - network(sphere).mean())
        sigma = [
            torch.linalg.svdvals(layer.weight) for layer in network if isinstance(layer, nn.Linear)
        ]
    return Snapshot(step, distance, sigma, gradient_norms(network, rays).mean(dim=1))


def _draw_distances(axes: Any, runs: Runs, snapshot: int) -> None:
    for k, (name, run) in enumerate(runs.items()):
        axes.plot([s.step for s in run], [s.distance for s in run], label=name, **LINES[k])
        axes.axvline(run[snapshot].step, color=BLACK, linewidth=1)
    axes.axhline(1, color="#999999", linewidth=1)
    axes.set(xlabel="steps", ylim=(-0.1, 1.05), yticks=[0, 0.5, 1])
    axes.set_title("distance", fontsize=10)


def draw_singular_values(runs: Runs, snapshot: int = -1) -> Figure:
    """All singular values of the square layers at one snapshot of each run."""
    first = next(iter(runs.values()))[0].sigma
    square = [k for k in range(len(first)) if 0 < k < len(first) - 1]
    figure, axes = new_figure(6.8, 2.7, columns=len(square) + 1)
    said = []
    for k, (name, run) in enumerate(runs.items()):
        at = run[snapshot]
        for panel, layer in enumerate(square):
            sigma = at.sigma[layer]
            axes[panel].plot(range(1, len(sigma) + 1), sigma, label=name, **LINES[k])
            axes[panel].set(xlabel="number", ylim=(-0.05, 1.08), yticks=[0, 0.5, 1])
            axes[panel].set_title(f"singular values of W{layer + 1}", fontsize=10)
        smallest = min(float(at.sigma[layer][-1]) for layer in square)
        said.append(f"{smallest:.1f} under {name}")
    _draw_distances(axes[-1], runs, snapshot)
    axes[0].legend(fontsize=8, loc="lower left")
    step = at.step
    figure.set_label(f"After {step} steps the smallest singular value is {' and '.join(said)}.")
    return figure


def draw_layers(runs: Runs, snapshot: int = -1) -> Figure:
    """The mean gradient norm on its way back through every module, at one snapshot."""
    figure, (left, right) = new_figure(6.8, 2.7, columns=2)
    said = []
    for k, (name, run) in enumerate(runs.items()):
        at = run[snapshot]
        norms = at.norms.flip(0)
        left.plot(range(len(norms)), norms, label=name, **(LINES[k] | {"markevery": 1}))
        said.append(f"{norms[-1]:.2f} under {name}")
    layers = len(norms) // 2
    names = ["output"]
    for k in range(layers, 0, -1):
        names += [f"W{k}", "sort"] if k > 1 else ["W1"]
    left.set_xticks(range(len(norms)), names, fontsize=8)
    left.set(xlabel="back through …", ylabel="mean gradient norm", ylim=(0.38, 1.04))
    left.set(yticks=[0.4, 0.6, 0.8, 1])
    left.set_title(f"after {at.step} steps", fontsize=10)
    _draw_distances(right, runs, snapshot)
    right.legend(fontsize=8, loc="lower right")
    figure.set_label(
        f"After {at.step} steps the mean gradient norm at the input is {' and '.join(said)}."
    )
    return figure
