"""The figures of lesson 08, second part: two networks joined into one."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from lipteach.classroom.style import BLUE, LINES, ORANGE, new_figure
from lipteach.theory import linear, maximum, minimum, pad_depth


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
