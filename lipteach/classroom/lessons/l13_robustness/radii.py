"""What the figures of lesson 13 show of single images: margins by ε, and radii."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipteach.robustness import certified_radius, lipschitz_bounds, margin_bounds, pgd
from lipteach.robustness.attack_losses import margin
from lipteach.robustness.margin_bounds import certain

EPS = tuple(k / 100 for k in range(0, 31, 2))
"""The radii at which images are attacked for a figure."""


class Track(NamedTuple):
    """What happens to one image while ε grows: least margins found, and certified in two ways."""

    image: Tensor
    label: int
    attacked: list[float]
    intervals: list[float]
    product: list[float]
    adversarial: list[Tensor]
    told: list[int]


def track(network: nn.Module, image: Tensor, label: int, steps: int = 40) -> Track:
    """Attack one image at every radius in `EPS`, and bound its margins there."""
    x, y = image[None], torch.tensor([label])
    attacked, intervals, product, images, told = [], [], [], [], []
    L = lipschitz_bounds(network, x, math.inf).upper
    for eps in EPS:
        found = pgd(network, x, y, eps, steps) if eps else x
        logits = network(found).detach()
        others = torch.arange(logits.shape[1]) != label
        attacked.append(float(margin(logits, y)))
        intervals.append(float(margin_bounds(network, x, y, eps)[0, others].min()))
        product.append(attacked[0] - 2 * L * eps)
        images.append(found[0].detach())
        told.append(int(logits.argmax(1)))
    return Track(image, label, attacked, intervals, product, images, told)


class Radii(NamedTuple):
    """Of one image: radii that are certain, the true one, and one at which an attack succeeds."""

    product: float
    intervals: float
    exact: float
    attack: float


def measure_radii(
    network: nn.Module, x: Tensor, y: Tensor, L: float, exact: Sequence[float]
) -> list[Radii]:
    """Put the radii of several images together, by bisection to 1/1000 where that is needed."""
    found = []
    for image, label, true in zip(x[:, None], y[:, None], exact, strict=True):
        with torch.no_grad():
            product = float(certified_radius(network(image), L, math.inf))
        safe, _ = _last(partial(_is_certain, network, image, label))
        _, broken = _last(partial(_is_unbroken, network, image, label))
        found.append(Radii(product, safe, true, broken))
    return found


def _is_certain(network: nn.Module, x: Tensor, y: Tensor, eps: float) -> bool:
    return bool(certain(margin_bounds(network, x, y, eps), y))


@torch.no_grad()
def _is_unbroken(network: nn.Module, x: Tensor, y: Tensor, eps: float) -> bool:
    return bool(margin(network(pgd(network, x, y, eps, 40)), y) > 0)


def _last(holds: Callable[[float], bool]) -> tuple[float, float]:
    """Two neighbours k/1000 of which something holds at the first and not at the second.

    Where it holds at 1 that is the first, and the second is infinite.
    """
    low, high = 0, 1000
    if holds(1.0):
        return 1.0, math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle / 1000) else (low, middle)
    return low / 1000, high / 1000
