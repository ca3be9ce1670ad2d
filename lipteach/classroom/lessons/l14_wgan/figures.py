"""The figures of lesson 14: critics on a toy whose best critic is known (G.2, H.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from lipteach.classroom.lessons.l14_wgan.blind import blind_critic
from lipteach.classroom.lessons.l14_wgan.toy import toy_critics
from lipteach.classroom.style import BLACK, BLUE, LINES, ORANGE, new_figure


def draw_toy(steps: int = 250) -> Figure:
    """Three critics through the origin, beside −‖z‖; what each claims, and how steep it is."""
    figure, (left, right) = new_figure(7.4, 2.8, columns=2)
    along = torch.linspace(-2, 2, 201).double()
    points = torch.stack([along, torch.zeros_like(along)], dim=1)
    left.plot(along, -along.abs(), color=BLACK, linewidth=1, label="best, −‖z‖")
    said = []
    styles = (LINES[0], LINES[1], LINES[3])
    for k, (kind, (critic, found)) in enumerate(toy_critics(steps).items()):
        with torch.no_grad():
            values = (critic(points) - critic(torch.zeros(1, 2).double()))[:, 0]
        left.plot(along, values, **styles[k], label=kind)
        for name, place, alpha in (("claimed", k + 0.2, 1.0), ("lower", k - 0.2, 0.4)):
            right.barh(place, found[name], color=styles[k]["color"], height=0.35, alpha=alpha)
            right.text(found[name] + 0.02, place, f"{found[name]:.3g}", va="center", fontsize=8)
        said.append(
            f"the {kind} critic claims {found['claimed']:.3g} and has a constant of at least "
            f"{found['lower']:.3g} and at most {found['upper']:.3g}"
        )
    left.set(xlabel="$z_1$, on the axis", ylabel="f(z) − f(0)", ylim=(-2.2, 1.7))
    left.legend(fontsize=7, loc="upper center")
    right.axvline(1, color=BLACK, linewidth=1)
    right.set(
        xlim=(0, 1.4),
        yticks=range(3),
        yticklabels=list(toy_critics(steps)),
        xlabel="claim; pale: constant",
    )
    figure.set_label(f"After {steps} steps, of a distance of 1: {'; '.join(said)}.")
    return figure


def dearest(strength: float) -> float:
    """The slope s at which s − λ (s − 1)² is largest."""
    return 1 + 1 / (2 * strength)


def draw_price(
    strengths: Sequence[float], claims: Sequence[float], strength: float = 10.0
) -> Figure:
    """What a slope gains after the penalty's price, and where the gain is largest.

    On the right trained critics, whose penalties have the given strengths, by what they claim.
    """
    figure, (left, right) = new_figure(7.0, 2.8, columns=2)
    slopes = torch.linspace(0, 3, 151)
    for style, each in zip(LINES, (strength, 0.0), strict=False):
        gain = slopes - each * (slopes - 1).square()
        name = f"λ = {each:g}" if each else "no penalty"
        left.plot(slopes, gain, label=name, **style)
    best = dearest(strength)
    top = best - strength * (best - 1) ** 2
    left.plot(best, top, "*", color=BLACK, markersize=11)
    left.set(xlabel="slope s", ylabel="s − λ (s − 1)²", ylim=(-0.5, 3))
    left.legend(fontsize=8, loc="upper left")
    every = torch.linspace(0.5, 20, 196)
    right.plot(every, 1 + 1 / (2 * every), color=BLUE, label="1 + 1/(2λ)")
    right.plot(strengths, claims, "s", color=ORANGE, label="claimed, trained")
    right.plot(strength, best, "*", color=BLACK, markersize=11)
    right.axhline(1, color=BLACK, linewidth=1)
    right.set(xlabel="λ", ylabel="slope, or claim of 1", ylim=(0.9, 2.05))
    right.legend(fontsize=8)
    trained = ", ".join(f"{c:.3f} for {s:g}" for s, c in zip(strengths, claims, strict=True))
    figure.set_label(
        f"With λ = {strength:g} the slope {best:.3f} gains most, {top:.3f}. Trained critics claim, "
        f"of a distance of 1: {trained}."
    )
    return figure


def draw_blind(asked: Sequence[float], steep: float = 6.0) -> Figure:
    """A function whose slope is −1 at the points asked, and which falls far more than they say."""
    figure, axes = new_figure(5.4, 2.8)
    critic = blind_critic(asked, steep)
    along, at = torch.linspace(0, 1, 1001).double(), torch.tensor(asked).double()
    axes.plot(along, critic(along[:, None])[:, 0], color=BLUE, label="f")
    axes.plot(along, -along, color=BLACK, linewidth=1, linestyle=":", label="slope −1 everywhere")
    values = critic(at[:, None])[:, 0]
    for place, value in zip(at.tolist(), values.tolist(), strict=True):
        ends = (place - 0.04, place + 0.04)
        axes.plot(ends, (value + 0.04, value - 0.04), color=ORANGE, linewidth=3)
    axes.plot(at, values, "o", color=ORANGE, markersize=5, label="asked: slope −1")
    axes.set(xlabel="z", ylabel="f(z)", ylim=(-5.6, 0.3))
    axes.legend(fontsize=8, loc="lower left")
    ends = critic(torch.tensor([[0.0], [1.0]]).double())[:, 0]
    figure.set_label(
        f"At {len(asked)} points between 0 and 1 the slope is −1, elsewhere −{steep:g}: from 0 to "
        f"1 the function falls by {float(ends[0] - ends[1]):.2f}."
    )
    return figure
