"""The figures of lesson 14, second part: a generator and its critic on digits (H.2, H.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lipteach.classroom.style import BLACK, BLUE, GREEN, LINES, ORANGE, SKY, new_figure
from lipteach.experiments.machine.adversarial import MOMENTS

Found = Mapping[str, float]


def tile(images: Tensor, across: int) -> Tensor:
    """Lay grey images (N, 1, h, w) out in rows: (rows · h, across · w)."""
    _, _, h, w = images.shape
    rows = images[: len(images) // across * across].view(-1, across, h, w)
    return rows.permute(0, 2, 1, 3).reshape(-1, across * w)


def draw_samples(samples: Mapping[int, Tensor], moment: int = 0, across: int = 14) -> Figure:
    """Samples of the same latent points at one of the kept moments, counted from 0.

    ``samples`` holds images of 256 levels, (N, 1, h, w), by the generator's steps.
    """
    figure, axes = new_figure(6.4, 1.7)
    step = list(samples)[moment]
    shown = samples[step][: 3 * across]
    _picture(axes, tile(shown, across))
    lit = float((shown > 127).double().mean())
    figure.set_label(
        f"{len(shown)} samples after {step} of {max(samples)} steps of the generator; {lit:.0%} of "
        "their pixels are brighter than half."
    )
    return figure


def draw_recorded_samples(pages: Mapping[str, Tensor], match: str) -> Figure:
    """What a generator made in a recorded run, a row for each moment of `MOMENTS`.

    ``pages`` holds by match the rows of images, one below the other, from 0 to 255.
    """
    page = pages[match]
    height = len(page) // len(MOMENTS)
    figure, axes = new_figure(6.4, 6.4 * len(page) / page.shape[1])
    _picture(axes, page)
    axes.set_yticks([(k + 0.5) * height for k in range(len(MOMENTS))])
    axes.set_yticklabels([f"{moment:.0%}" for moment in MOMENTS])
    axes.set_ylabel("of the steps")
    lit = float((page[-height:] > 127).double().mean())
    figure.set_label(
        f"{match}: samples of {page.shape[1] // height} latent points at {len(MOMENTS)} moments; "
        f"at the last one {lit:.0%} of their pixels are brighter than half."
    )
    return figure


def draw_match(claims: Sequence[float], moments: Mapping[int, Found], rounds: int) -> Figure:
    """The critic's claims in training, ``rounds`` to a step; at some steps also what is exact."""
    figure, (left, right) = new_figure(7.2, 2.8, columns=2)
    steps = [k / rounds for k in range(len(claims))]
    left.plot(steps, claims, color=BLUE, linewidth=1, label="claimed, batches of 64")
    for style, name in zip(LINES[1:], ("exact", "claimed"), strict=False):
        values = [found[name] for found in moments.values()]
        label = f"{name}, the same test images"
        left.plot(list(moments), values, label=label, **style | {"markevery": 1})
    left.set(xlabel="steps of the generator", ylabel="distance", ylim=(0, None))
    left.legend(fontsize=7)
    for style, name in zip(LINES, ("upper", "lower"), strict=False):
        values = [found[name] for found in moments.values()]
        right.plot(list(moments), values, label=f"{name} bound", **style | {"markevery": 1})
    right.set(xlabel="steps of the generator", ylabel="Lipschitz constant", ylim=(0.6, 1.05))
    right.legend(fontsize=8, loc="lower right")
    first, last = moments[min(moments)], moments[max(moments)]
    lower = min(found["lower"] for found in moments.values())
    upper = max(found["upper"] for found in moments.values())
    figure.set_label(
        f"On the same images and samples the critic claims {first['claimed']:.2f} of "
        f"{first['exact']:.2f} before the first step, and {last['claimed']:.2f} of "
        f"{last['exact']:.2f} after the last; its constant stays between {lower:.3f} and "
        f"{upper:.3f}."
    )
    return figure


@torch.no_grad()
def draw_between(maker: nn.Module, first: Tensor, second: Tensor, share: float = 0.5) -> Figure:
    """Rows of samples: of some latent points, of others, and of points between, one framed.

    ``first`` and ``second`` have shape (N, latent).
    """
    shares = [k / 10 for k in range(11)]
    path = torch.cat([torch.lerp(first, second, each) for each in (*shares, share)])
    images = maker(path)
    *walk, chosen = images.split(len(first))
    figure, (left, right) = new_figure(7.2, 2.0, columns=2)
    left.get_subplotspec().get_gridspec().set_width_ratios([1, 11])
    _picture(left, tile(chosen, 1))
    left.set_title(f"share {share:g}", fontsize=9)
    _picture(right, tile(torch.stack(walk, dim=1).flatten(0, 1), len(shares)))
    right.set_title("from one latent point (left) to another (right), in tenths", fontsize=9)
    side = images.shape[-1]
    right.axvspan(share * 10 * side - 0.5, share * 10 * side + side - 0.5, fill=False, ec=ORANGE)
    far = (walk[0] - walk[-1]).flatten(1).norm(dim=1).mean()
    steps = [(a - b).flatten(1).norm(dim=1).mean() for a, b in pairwise(walk)]
    figure.set_label(
        f"{len(first)} walks between latent points, at share {share:g} on the left. The ends are "
        f"{float(far):.2f} apart on average; a tenth of the way moves an image by "
        f"{float(min(steps)):.2f} to {float(max(steps)):.2f}."
    )
    return figure


def draw_distances(found: Mapping[str, Found]) -> Figure:
    """Of each space: exact distances to the generator and to other data, and what critics find."""
    figure, panels = new_figure(7.2, 2.7, columns=len(found))
    said = []
    bars = {"exact": BLACK, "real": SKY, "MaxMin": BLUE, "ReLU": ORANGE}
    names = ["exact", "data to data", "by MaxMin", "by ReLU"]
    for axes, (space, values) in zip(panels, found.items(), strict=True):
        for place, (name, color) in enumerate(bars.items()):
            axes.barh(place, values[name], color=color, height=0.6)
            if f"{name}_held" in values:
                held = values[f"{name}_held"]
                axes.plot(held, place, "D", color=GREEN, markersize=6, markeredgecolor="white")
        axes.set(yticks=range(4), yticklabels=names, xlabel="diamond: on unseen samples")
        axes.invert_yaxis()
        axes.set_title(space, fontsize=10)
        said.append(
            f"in {space} the exact distance is {values['exact']:.2f}, of data to data "
            f"{values['real']:.2f}, MaxMin finds {values['MaxMin']:.2f} and ReLU "
            f"{values['ReLU']:.2f}"
        )
    text = "; ".join(said)
    figure.set_label(f"{text[0].upper()}{text[1:]}.")
    return figure


def _picture(axes: object, image: Tensor) -> None:
    """Show a grey picture, its range 0 to 1 or 0 to 255."""
    top = 1.0 if image.is_floating_point() else 255
    axes.imshow(image.numpy(), cmap="gray", vmin=0, vmax=top)  # type: ignore[attr-defined]
    axes.set(xticks=[], yticks=[])  # type: ignore[attr-defined]
    axes.grid(visible=False)  # type: ignore[attr-defined]
