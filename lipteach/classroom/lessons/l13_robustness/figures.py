"""The figures of lesson 13."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from lipteach.classroom.lessons.l13_robustness.radii import EPS, Radii, Track
from lipteach.classroom.style import BLUE, GREEN, LINES, ORANGE, new_figure
from lipteach.robustness import pgd
from lipteach.robustness.attack_losses import margin


def draw_attack(found: Track, names: Sequence[str], eps: float = 0.1) -> Figure:
    """One image under attack within ε, and its least margins: found and certified."""
    figure, panels = new_figure(7.4, 2.6, columns=3)
    k = min(range(len(EPS)), key=lambda i: abs(EPS[i] - eps))
    side = math.isqrt(len(found.image))
    for axes, image in zip(panels, (found.image, found.adversarial[k]), strict=False):
        axes.imshow(image.view(side, side).numpy(), cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
    panels[0].set_title(f"a {names[found.label]}", fontsize=10)
    panels[1].set_title(f"attacked, told as {names[found.told[k]]}", fontsize=10)
    axes = panels[2]
    axes.plot(EPS, found.attacked, label="attack: not above", **LINES[1])
    axes.plot(EPS, found.intervals, label="intervals: not below", **LINES[0])
    axes.plot(EPS, found.product, label="margin - 2Lε: not below", **LINES[3])
    axes.fill_between(EPS, found.intervals, found.attacked, color="#DDDDDD", zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axvline(EPS[k], color="black", linewidth=1)
    axes.set(xlabel="ε", title="least margin within ε")
    axes.title.set_fontsize(10)
    axes.legend(fontsize=7, loc="lower left")
    if found.attacked[k] <= 0:
        verdict = f"the attack makes it a {names[found.told[k]]}"
    elif found.intervals[k] > 0:
        verdict = "it is certain that no image within ε is told otherwise"
    else:
        verdict = "the attack fails, and the certificate is silent"
    figure.set_label(
        f"ε = {EPS[k]:g}: the least margin lies between {found.intervals[k]:.2f} and "
        f"{found.attacked[k]:.2f}; {verdict}."
    )
    return figure


def draw_saturation(found: Mapping[float, tuple[float, float]]) -> Figure:
    """The shares of images that attacks break, by f6 and by cross entropy, by a factor."""
    figure, axes = new_figure(5.2, 2.7)
    for place, name in enumerate(("f6", "cross entropy")):
        shares = [100 * both[place] for both in found.values()]
        axes.plot(list(found), shares, label=name, **(LINES[place] | {"markevery": 1}))
    axes.set(
        xscale="log", xlabel="factor of the logits", ylabel="images in error, %", ylim=(0, 100)
    )
    axes.set_xticks(list(found), [f"{factor:g}" for factor in found])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    said = "; ".join(f"{100 * a:.1f} and {100 * b:.1f} (× {f:g})" for f, (a, b) in found.items())
    figure.set_label(f"Per cent in error after f6 and after cross entropy: {said}.")
    return figure


def draw_walk(network: nn.Module, x: Tensor, label: int, eps: float, steps: int = 20) -> Figure:
    """The margins around a point of the plane, one step of FGS, and the way of PGD."""
    figure, axes = new_figure(5.4, 3.6)
    low, high = (x - 1.25 * eps).clamp(0, 1), (x + 1.25 * eps).clamp(0, 1)
    across, up = (torch.linspace(float(low[i]), float(high[i]), 121).to(x) for i in (0, 1))
    points = torch.cartesian_prod(across, up)
    with torch.no_grad():
        values = margin(network(points), torch.full((len(points),), label))
    picture = axes.contourf(
        across, up, values.view(121, 121).mT, levels=16, cmap="cividis", alpha=0.9
    )
    axes.contour(across, up, values.view(121, 121).mT, levels=[0.0], colors="white", linewidths=2)
    figure.colorbar(picture, ax=axes, label="margin")
    corner = (float(x[0]) - eps, float(x[1]) - eps)
    axes.add_patch(Rectangle(corner, 2 * eps, 2 * eps, fill=False, edgecolor="white", ls="--"))
    y = torch.tensor([label])
    way = [x] + [pgd(network, x[None], y, eps, k, eps / 5, 0.0)[0] for k in range(1, steps + 1)]
    line = torch.stack(way).numpy()
    axes.plot(line[:, 0], line[:, 1], "o-", color=ORANGE, markersize=4, label="PGD, best so far")
    jump = (x + eps * _sign(network, x, label)).clamp(0, 1)
    axes.plot([x[0], jump[0]], [x[1], jump[1]], "X:", color="white", markersize=8, label="FGS")
    axes.grid(visible=False)
    axes.set(xlabel="first pixel", ylabel="second pixel")
    axes.legend(
        fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, facecolor="#999999"
    )
    margins = [margin_at(network, z, label) for z in (x, jump, way[-1])]
    figure.set_label(
        f"Margins: {margins[0]:.2f} at the start, {margins[1]:.2f} after FGS, "
        f"{margins[2]:.2f} after {steps} steps of PGD."
    )
    return figure


def _sign(network: nn.Module, x: Tensor, label: int) -> Tensor:
    z = x.detach().clone().requires_grad_()
    return -torch.autograd.grad(margin(network(z[None]), torch.tensor([label])), z)[0].sign()


def margin_at(network: nn.Module, x: Tensor, label: int) -> float:
    """Z_y minus the largest other logit, at one image."""
    with torch.no_grad():
        return float(margin(network(x[None]), torch.tensor([label])))


def box_growth(angle: float) -> float:
    """By which factor the sides of an upright box grow when a square in it is turned."""
    turn = math.radians(angle)
    return abs(math.cos(turn)) + abs(math.sin(turn))


def draw_box(angle: float = 30) -> Figure:
    """A square, turned by an angle in degrees, and the box that intervals put around it."""
    figure, (left, right) = new_figure(5.6, 2.8, columns=2)
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = corners @ torch.tensor([[c, s], [-s, c]])
    for axes, shape, title in ((left, corners, "z"), (right, turned, "W z")):
        most = shape.abs().amax(0)
        axes.plot(*(most * corners).T, color=ORANGE, linestyle="--", label="intervals")
        axes.fill(*shape.T, color=BLUE, alpha=0.5, label="what is reached")
        axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
        axes.set_title(title, fontsize=10)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside upper center", ncols=2)
    figure.set_label(
        f"Turned by {angle:g}°, the square has a box whose sides are {box_growth(angle):.2f} times "
        "as long."
    )
    return figure


NAMES = ("clean", "attacked", "intervals", "product")
Errors = Mapping[str, Sequence[float]]
"""By name "clean", "attacked", "intervals" and "product", a share of images for each ε."""


def draw_errors(found: Mapping[str, Errors], eps: Sequence[float]) -> Figure:
    """For each network its errors by ε: clean, attacked, certified in two ways."""
    figure, panels = new_figure(3.3 * len(found), 3.1, columns=len(found))
    said = []
    for axes, (network, errors) in zip(
        panels if len(found) > 1 else [panels], found.items(), strict=True
    ):
        for style, name in zip((LINES[2], LINES[1], LINES[0], LINES[3]), NAMES, strict=True):
            values = [100 * share for share in errors[name]]
            axes.plot(eps, values, label=name, **(style | {"markevery": 1}))
        truth = [[100 * share for share in errors[name]] for name in ("attacked", "intervals")]
        axes.fill_between(eps, *truth, color="#DDDDDD", zorder=0, label="the truth")
        axes.set(ylim=(0, 102), xlabel="ε")
        axes.set_title(network, fontsize=10)
        middle = list(eps).index(0.1)
        numbers = ", ".join(f"{100 * errors[name][middle]:.1f}" for name in NAMES)
        said.append(f"{network} {numbers}")
    figure.axes[0].set_ylabel("images in error, %")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside upper center", ncols=5)
    figure.set_label(f"Per cent in error at ε = 0.1 ({', '.join(NAMES)}): {'; '.join(said)}.")
    return figure


def draw_margins(
    found: Mapping[float, Mapping[str, Sequence[float]]],
    paper: Mapping[float, Sequence[float]],
    eps: Sequence[float],
    margin: float,
) -> Figure:
    """Per cent in error by the margin of training, for each ε, and what PGD finds in the paper.

    `found` has, by margin, "clean", "attacked", "intervals" and "product" for each ε.
    """
    figure, panels = new_figure(3.3 * len(eps), 3.2, columns=len(eps))
    for k, (axes, radius) in enumerate(zip(panels, eps, strict=True)):
        for style, name in zip((LINES[2], LINES[1], LINES[0], LINES[3]), NAMES, strict=True):
            values = [errors[name][k] for errors in found.values()]
            axes.plot(list(found), values, label=name, **(style | {"markevery": 1}))
        theirs = [errors[k] for errors in paper.values()]
        axes.plot(list(paper), theirs, "kx", markersize=8, label="PGD in the paper")
        axes.axvline(margin, color="#999999", linewidth=6, alpha=0.4, zorder=0)
        axes.set(xscale="log", xticks=list(found), ylim=(0, 102), xlabel="margin for L = 1")
        axes.set_xticklabels([f"{one:g}" for one in found])
        axes.minorticks_off()
        axes.set_title(f"ε = {radius:g}", fontsize=10)
    panels[0].set_ylabel("images in error, %")
    figure.legend(
        *panels[0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=5
    )
    own, said = found[margin], []
    for k, radius in enumerate(eps):
        attacked, certified = own["attacked"][k], own["intervals"][k]
        told = f"at ε = {radius:g} {attacked:.1f} attacked, {certified:.1f} by intervals"
        said.append(
            told + (f" (PGD in the paper {paper[margin][k]:.1f})" if margin in paper else "")
        )
    figure.set_label(
        f"Margin {margin:g}, per cent: {own['clean'][0]:.1f} clean; {'; '.join(said)}."
    )
    return figure


def draw_radii(found: Sequence[Radii]) -> Figure:
    """For each image how far it is safe: certified, true, and refuted."""
    figure, axes = new_figure(6.4, 0.28 * len(found) + 1.2)
    rows = sorted(found, key=lambda one: one.exact)
    for row, one in enumerate(rows):
        axes.plot([one.intervals, one.attack], [row, row], color="#BBBBBB", linewidth=4, zorder=1)
    styles = {"product": ("|", GREEN), "intervals": (">", BLUE), "exact": ("D", "black")}
    styles["attack"] = ("<", ORANGE)
    labels = {"product": "constant", "exact": "truth"}
    for name, (marker, color) in styles.items():
        values = [getattr(one, name) for one in rows]
        axes.scatter(
            values,
            range(len(rows)),
            marker=marker,
            color=color,
            s=40,
            label=labels.get(name, name),
            zorder=2,
        )
    axes.set(yticks=[], xlabel="ε", ylabel="images", xlim=(0, None))
    axes.legend(fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    near = sum(one.attack - one.exact < 0.002 for one in rows)
    shares = [one.intervals / one.exact for one in rows]
    figure.set_label(
        f"Of {len(rows)} images the attack comes within 0.002 of the true radius {near} times; "
        f"intervals certify {100 * min(shares):.0f} to {100 * max(shares):.0f} per cent of it."
    )
    return figure


def draw_gradients(found: Mapping[str, tuple[Tensor, float | None]], side: int = 28) -> Figure:
    """Gradients of the loss at a few images, (images, pixels), and a share for each network.

    A row without a share is of the images themselves.
    """
    columns = max(len(rows) for rows, _ in found.values())
    figure, panels = new_figure(1.55 * columns, 1.75 * len(found), len(found), columns)
    for line, (name, (rows, _)) in zip(panels, found.items(), strict=True):
        for axes, gradient in zip(line, rows, strict=True):
            most = float(gradient.abs().max()) or 1.0
            axes.imshow(gradient.view(side, side).numpy(), cmap="PuOr", vmin=-most, vmax=most)
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
        line[0].set_ylabel(name, fontsize=9)
    shares = {name: share for name, (_, share) in found.items() if share is not None}
    said = ", ".join(f"{name} {100 * share:.0f}" for name, share in shares.items())
    figure.set_label(f"Per cent of the squared gradient on the strokes: {said}.")
    return figure
