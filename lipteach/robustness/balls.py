"""The perturbations that an attack may choose from: a ball around each image, within [0, 1].

The distance of a result is at most ε exactly, and not up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from lipteach.primitives._validate import check_tensor, in_float64


class Ball(Protocol):
    """A ball around each of the images x, and the steps that suit its norm."""

    def project(self, z: Tensor) -> Tensor:
        """Return points of the ball near z, which are images."""

    def draw(self, radius: float, generator: torch.Generator) -> Tensor:
        """Draw a point of the smaller ball with that radius around each image."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the step of length 1 that gains most; 0 where the gradient is 0."""


def ball(x: Tensor, eps: float, p: float) -> Ball:
    """Make the balls of radius ε in the p-norm, p = 2 or ∞."""
    return Box(x, eps) if p == math.inf else Round(x, eps)


class Box:
    """The ∞-norm's balls: an interval for each pixel, whose ends are floats."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.x = x
        self.low, self.high = _end(x, -eps).clamp(0, 1), _end(x, eps).clamp(0, 1)

    def project(self, z: Tensor) -> Tensor:
        """Cut each entry off at the ends of its interval."""
        return torch.minimum(torch.maximum(z, self.low), self.high)

    def draw(self, radius: float, generator: torch.Generator) -> Tensor:
        """Draw each entry uniformly."""
        noise = _drawn(torch.rand, self.x, generator).mul(2).sub(1)
        return self.project(self.x + radius * noise)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the signs."""
        return gradient.sign()


class Round:
    """The 2-norm's balls."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.x, self.eps = x, eps

    def project(self, z: Tensor) -> Tensor:
        """Shrink each step to the length ε, then cut off at 0 and 1, which shortens it."""
        step = z - self.x
        length = self._lengths(step)
        scale = torch.where(length > self.eps, self.eps / length, torch.ones_like(length))
        shrink = 4 * torch.finfo(z.dtype).eps
        for _ in range(64):  # what rounding makes too long becomes shorter, in the end 0
            found = (self.x + step * scale.to(z.dtype)).clamp(0, 1)
            far = self._lengths(in_float64(found) - in_float64(self.x)) > self.eps
            if not bool(far.any()):
                break
            scale = torch.where(far, scale * max(0.0, 1 - shrink), scale)
            shrink *= 2
        return found

    def draw(self, radius: float, generator: torch.Generator) -> Tensor:
        """Draw a direction uniformly, and a length uniformly."""
        way = _drawn(torch.randn, self.x, generator)
        way = way / self._lengths(way).to(way.dtype)
        length = _drawn(torch.rand, way.flatten(1)[:, :1], generator).view(
            -1, *[1] * (self.x.ndim - 1)
        )
        return self.project(self.x + radius * length * way)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the gradients, divided by their lengths."""
        largest = gradient.flatten(1).abs().amax(1).view(-1, *[1] * (gradient.ndim - 1))
        scaled = gradient / torch.where(largest > 0, largest, torch.ones_like(largest))
        length = self._lengths(scaled)
        return (scaled / torch.where(length > 0, length, torch.ones_like(length))).to(gradient)

    def _lengths(self, step: Tensor) -> Tensor:
        """The 2-norms, rounded up, (batch, 1, …)."""
        flat = in_float64(step).flatten(1)
        kind = torch.finfo(flat.dtype)
        largest = flat.abs().amax(1, keepdim=True).clamp(min=kind.tiny)  # squares may vanish
        lengths: Tensor = torch.linalg.vector_norm(flat / largest, dim=1) * largest[:, 0]
        lengths = lengths * (1 + (flat.shape[1] + 8) * kind.eps)
        return lengths.view(-1, *[1] * (step.ndim - 1))


def _drawn(draw: Callable[..., Tensor], like: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers of a tensor's shape, drawn where the generator is."""
    kind = {"dtype": torch.float32, "device": generator.device}
    return draw(like.shape, generator=generator, **kind).to(like)


def _end(x: Tensor, step: float) -> Tensor:
    """The farthest floats of x's dtype from x towards x + step, and not beyond it."""
    z = (in_float64(x) + step).to(x.dtype)
    for _ in range(2):  # rounding to float64, then to the dtype, may each have been outwards
        z = torch.where(_is_farther(z, x, abs(step)), torch.nextafter(z, x), z)
    return torch.where(_is_farther(z, x, abs(step)), x, z)


def _is_farther(z: Tensor, x: Tensor, eps: float) -> Tensor:
    """Whether |z − x| > ε in exact arithmetic: by the difference, and its rounding (Knuth)."""
    high, low = in_float64(torch.maximum(z, x)), in_float64(torch.minimum(z, x))
    difference = high - low
    taken = high - difference
    rounding = (high - (difference + taken)) - (low - taken)
    return (difference > eps) | ((difference == eps) & (rounding > 0))


def check_images(x: Any, min_dim: int = 2) -> None:
    """Require a batch of images, or a single one: entries in [0, 1]."""
    check_tensor(x, min_dim=min_dim)
    low, high = (float(end) for end in x.detach().aminmax())
    if low < 0 or high > 1:
        raise ValueError(f"x must have entries in [0, 1]; they are from {low:g} to {high:g}.")
