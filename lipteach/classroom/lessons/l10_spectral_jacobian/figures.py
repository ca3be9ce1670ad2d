"""The figures of lesson 10."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, LINES, ORANGE, new_figure
from lipteach.experiments import CellRecord
from lipteach.experiments.fig16_jacobian import BINS, name_of
from lipteach.primitives import jacobian_singular_values, jacobian_spectral_norm

Function = Callable[[Tensor], Tensor]


def shear_norm(c: float) -> float:
    """The norm of the shear [[1, c], [0, 1]]."""
    return (c + math.sqrt(c * c + 4)) / 2


def draw_shear(c: float) -> Figure:
    """All directions and what the shear makes of them; its eigenvalues beside its norm."""
    figure, (left, right) = new_figure(6.8, 2.9, columns=2)
    t = torch.linspace(0, 2 * math.pi, 241).double()
    circle = torch.stack([t.cos(), t.sin()])
    S = torch.tensor([[1.0, c], [0.0, 1.0]]).double()
    left.plot(*circle, **(LINES[2] | {"marker": "", "linestyle": ":"}), label="directions v")
    left.plot(*(S @ circle), **(LINES[0] | {"marker": ""}), label="J v")
    norm, (v,) = shear_norm(c), torch.linalg.svd(S).Vh[:1]
    v = v if v[1] >= 0 else -v
    for point, colour, line in ((v, BLACK, ":"), (S @ v, ORANGE, "-")):
        left.plot([0, point[0]], [0, point[1]], color=colour, linestyle=line, linewidth=2)
    left.set(xlim=(-4.6, 4.6), ylim=(-1.75, 1.75), yticks=[-1, 0, 1], aspect="equal")
    left.legend(fontsize=8, loc="upper left")
    left.set_title(f"J = [[1, {c:g}], [0, 1]]", fontsize=10)
    grid = [k / 20 for k in range(81)]
    right.plot(grid, [shear_norm(a) for a in grid], label="norm σ(J)", **LINES[0])
    right.plot(grid, [1] * 81, label="spectral radius", **LINES[1])
    right.axvline(c, color=BLACK, linewidth=1)
    right.set(xlabel="c", ylim=(0, 4.5))
    right.legend(fontsize=8)
    figure.set_label(f"For c = {c:g} both eigenvalues are 1, and the norm is {norm:.3f}.")
    return figure


def field_network() -> nn.Sequential:
    """A fixed network from the plane to the plane, 2-8-2 with tanh."""
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    generator = torch.Generator().manual_seed(8)
    for p in network.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64)
    return network.requires_grad_(False)


def draw_field(f: Function, steps: int) -> Figure:
    """The exact norm of the Jacobian over a square, and the share of it that is found."""
    axis = torch.linspace(-2, 2, 31).double()
    x = torch.cartesian_prod(axis, axis)  # x₁ slowest
    exact = jacobian_singular_values(f, x, chunk_size=len(x))[:, 0]
    part = jacobian_spectral_norm(f, x, steps) / exact
    figure, panels = new_figure(6.8, 2.9, columns=2)
    after = f"after {steps} step{'s' * (steps > 1)}"
    shown = (
        (exact, "largest singular value of J(x)", "cividis", None, None),
        (part, f"share found {after}", "viridis", 0, 1),
    )
    for axes, (values, title, colours, low, high) in zip(panels, shown, strict=True):
        picture = axes.imshow(
            values.reshape(31, 31).T.numpy(), origin="lower", extent=(-2, 2, -2, 2), cmap=colours,
            vmin=low, vmax=high,
        )  # fmt: skip
        axes.grid(visible=False)
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        figure.colorbar(picture, ax=axes, shrink=0.9)
    figure.set_label(
        f"The norm is between {exact.min():.1f} and {exact.max():.1f}; {after} the estimate is at "
        f"least {part.min():.2f} of it, and {part.mean():.3f} on average."
    )
    return figure


def two_samples(degrees: float) -> tuple[Function, Tensor]:
    """A network and two samples: J₁ has norm 2 and reaches e₁, J₂ has norm 1 and reaches w.

    Only the first input is positive at the first sample, and only the second at the other; w is
    turned from e₁ by the angle.
    """
    angle = math.radians(degrees)
    columns = [[2.0, math.cos(angle)], [0.0, math.sin(angle)]]
    W = torch.tensor(columns, dtype=torch.float64)
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double()
    return (lambda x: x.relu() @ W.T), x


def limits(degrees: float) -> dict[str, float]:
    """What each reading climbs to on the two samples, if it does not stop before."""
    shared = math.sqrt(5 + 4 * math.cos(math.radians(degrees))) / 2  # ‖2 e₁ + w‖/2
    return {"whole": 2.0, "sample": 1.5, "shared": shared}


def draw_readings(degrees: float) -> Figure:
    """Left, what each u gives at two samples; right, where the three readings end."""
    angle, t = math.radians(degrees), torch.linspace(-90, 180, 271).double()
    first = 2 * torch.deg2rad(t).cos().abs()
    second = (torch.deg2rad(t) - angle).cos().abs()
    figure, (left, right) = new_figure(6.8, 2.9, columns=2)
    curves = ((first, "‖J₁ᵀu‖"), (second, "‖J₂ᵀu‖"), ((first + second) / 2, "their mean"))
    for style, (curve, name) in zip(LINES, curves, strict=False):
        left.plot(t, curve, label=name, **style)
    left.set(xlabel="direction of u in degrees", ylim=(0, 2.9), xticks=[-90, 0, 90, 180])
    left.legend(fontsize=8, ncols=3, loc="upper center", columnspacing=1)
    turns = [float(d) for d in range(0, 91, 5)]
    for style, name in zip((LINES[0], LINES[1], LINES[3]), limits(0), strict=True):
        right.plot(turns, [limits(d)[name] for d in turns], label=name, **style)
    right.axvline(degrees, color=BLACK, linewidth=1)
    right.set(xlabel="angle between the two outputs", ylim=(0.9, 2.2), xticks=[0, 30, 60, 90])
    right.legend(fontsize=8, loc="lower left")
    right.set_title("what each reading climbs to", fontsize=10)
    found = limits(degrees)
    figure.set_label(
        f"At {degrees:g} degrees the penalty climbs to {found['whole']:.3f} (whole), "
        f"{found['sample']:.3f} (sample) and {found['shared']:.3f} (shared)."
    )
    return figure


Kept = Sequence[tuple[int, float, float]]
"""For each moment of a training: the step, the mean spectral norm, and the test loss."""


def draw_penalized(runs: Mapping[str, Kept]) -> Figure:
    """The mean norm at the training images, and the test loss, under different penalties."""
    figure, panels = new_figure(6.8, 2.7, columns=2)
    titles = ("mean spectral norm", "test loss")
    for axes, part, title in zip(panels, (1, 2), titles, strict=True):
        for style, (name, kept) in zip(LINES, runs.items(), strict=False):
            axes.plot([k[0] for k in kept], [k[part] for k in kept], label=name, **style)
        axes.set(xlabel="steps", ylim=(0, None))
        axes.set_title(title, fontsize=10)
    panels[0].legend(fontsize=8)
    said = ", ".join(f"{kept[-1][1]:.0f} with {name}" for name, kept in runs.items())
    figure.set_label(f"After {kept[-1][0]} steps the mean spectral norm is {said}.")
    return figure


def draw_gap(f: Function, seen: Tensor, estimate: float) -> Figure:
    """A function of one number, its slope, and the points at which its slope was estimated."""
    x = torch.linspace(0.001, 1, 501).double()[:, None]
    slope = jacobian_singular_values(f, x, chunk_size=len(x))[:, 0]
    figure, (left, right) = new_figure(6.8, 2.7, columns=2)
    left.plot(x, f(x).detach(), **(LINES[0] | {"marker": ""}))
    left.plot(seen, f(seen).detach(), "o", color=BLACK, markersize=3, label="seen")
    left.set(xlabel="x", ylabel="f(x)")
    left.legend(fontsize=8)
    right.plot(x, slope, label="slope", **(LINES[0] | {"marker": ""}))
    right.axhline(estimate, label="estimate", color=ORANGE, linestyle="--", linewidth=1.8)
    right.plot(seen, 0 * seen, "|", color=BLACK, markersize=8)
    right.set(xlabel="x", ylim=(0, None))
    right.legend(fontsize=8)
    figure.set_label(
        f"The slope is at most {estimate:.1f} at the points seen, and {slope.max():.1f} between."
    )
    return figure


def draw_isometry(values: Mapping[str, Tensor]) -> Figure:
    """The singular values of several networks at some inputs, (inputs, k) each, as histograms."""
    figure, axes = new_figure(6.8, 2.7)
    edges, said = torch.linspace(0, 10, 41), []
    for style, (name, sigma) in zip(LINES, values.items(), strict=False):
        shares = torch.histc(sigma.double().clamp(max=10), 40, 0, 10) / sigma.numel()
        look = {"color": style["color"], "linestyle": style["linestyle"]}
        axes.stairs(shares, edges, label=name, linewidth=1.8, **look)
        axes.stairs(shares, edges, fill=True, color=style["color"], alpha=0.15)
        said.append(f"{sigma.min():.1f} to {sigma.max():.1f} for {name}")
    axes.set(xlabel="singular value", ylabel="share", xlim=(0, 10.5))
    axes.legend(fontsize=8, loc="upper left")
    figure.set_label(f"The singular values run from {', from '.join(said)}.")
    return figure


HATCHES = ("//", "", "..")


def draw_histograms(cells: Sequence[CellRecord]) -> Figure:
    """One panel for each network: the shares of its singular values, quarter by quarter."""
    figure, panels = new_figure(6.8, 1.15 * len(cells) + 0.6, rows=len(cells))
    edges = torch.linspace(0, 10, BINS + 1)
    said = []
    for k, (axes, cell) in enumerate(zip(panels, cells, strict=True)):
        colour, hatch = LINES[k % 3]["color"], HATCHES[k % 3]
        shares = cell.mean("histogram")
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35, hatch=hatch)
        axes.stairs(shares, edges, color=colour, linewidth=1.5)
        axes.set(xlim=(0, 10.2), yticks=[])
        steps = f"{cell.settings['steps']} steps"
        axes.text(0.02, 0.65, f"{name_of(cell)}\n{steps}", transform=axes.transAxes, fontsize=9)
        low, high = cell.mean("low"), cell.mean("high")
        said.append(f"{low:.1f} to {high:.1f} for {name_of(cell)}")
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    panels[-1].set_xlabel("singular value of the Jacobian, L = 10")
    figure.set_label(f"Nine tenths of the singular values lie in {'; '.join(said)}.")
    return figure


def draw_during(cells: Sequence[CellRecord], moment: int = -1) -> Figure:
    """Nine tenths of the singular values and their median while the networks learn, one seed."""
    figure, panels = new_figure(6.8, 2.7, columns=len(cells))
    said = []
    for k, (axes, cell) in enumerate(zip(panels, cells, strict=True)):
        style = LINES[k % 3]
        (steps, low), (_, middle), (_, high) = (
            cell.curves[name][0] for name in ("low", "median", "high")
        )
        axes.fill_between(steps, low, high, color=style["color"], alpha=0.3)
        axes.plot(steps, middle, **style)
        axes.axvline(steps[moment], color=BLACK, linewidth=1)
        axes.set(xlabel="steps", ylim=(0, 10.5))
        axes.set_title(name_of(cell), fontsize=10)
        said.append(
            f"{low[moment]:.1f}, {middle[moment]:.1f}, {high[moment]:.1f} for {name_of(cell)}"
        )
    figure.set_label(f"At step {steps[moment]} the 5%, 50% and 95% values are {'; '.join(said)}.")
    return figure
