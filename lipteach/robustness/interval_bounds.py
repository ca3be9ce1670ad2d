r"""Interval bounds: where the outputs of a network lie while its input moves in a box.

Source: interval arithmetic; Gowal et al. (2018), "On the Effectiveness of Interval Bound
Propagation for Training Verifiably Robust Models". Outward rounding as in Higham, "Accuracy and
Stability of Numerical Algorithms", section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers.convolution_norms import convolved
from lipteach.layers.known_modules import AVERAGES
from lipteach.layers.layer_norms import is_layer
from lipteach.layers.module_constants import WITH_CONSTANTS, windows_of
from lipteach.layers.normalizations import NORMALIZATIONS
from lipteach.layers.weights import CONVOLUTIONS, TRANSPOSED
from lipteach.primitives import (
    Abs,
    FullSort,
    GroupSort,
    Householder,
    MaxMin,
    Maxout,
    Scale,
    Selection,
)
from lipteach.primitives.composition import runs_as


class Format(NamedTuple):
    """What a run rounds by, its least normal number, and its largest."""

    eps: float
    tiny: float
    max: float

    @classmethod
    def of(cls, *dtypes: torch.dtype) -> Format:
        """The worst of several dtypes."""
        kinds = [torch.finfo(dtype) for dtype in dtypes]
        return cls(
            max(kind.eps for kind in kinds),
            max(kind.tiny for kind in kinds),
            min(kind.max for kind in kinds),
        )


EXACT = Format.of(torch.float64)
SELECTING = (  # each output is one of the inputs or a constant, and grows with every input
    *(FullSort, GroupSort, MaxMin, Maxout, Selection, nn.ReLU, nn.ReLU6),
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d),
    *(nn.MaxPool1d, nn.MaxPool2d),
)


class Reach(NamedTuple):
    """What the numbers at one place of a network can be, for each sample.

    The exact ones are in [lower, upper], and what a run of the network computes there differs from
    the exact ones by at most error, (batch,).
    """

    lower: Tensor
    upper: Tensor
    error: Tensor


class Affine(NamedTuple):
    """z ↦ A z + b, as what multiplies by A and by |A|, and the number of terms of an output."""

    times: Callable[[Tensor], Tensor]
    times_abs: Callable[[Tensor], Tensor]
    bias: Tensor
    terms: int


def reach_of(steps: list[nn.Module], x: Tensor, eps: float, run: Format) -> Reach:
    """Where the outputs of the steps lie while each pixel moves by ε, within [0, 1]."""
    infinity = torch.tensor(math.inf, dtype=x.dtype, device=x.device)
    low = torch.nextafter(x - eps, -infinity).clamp(0, 1)
    high = torch.nextafter(x + eps, infinity).clamp(0, 1)
    reach = Reach(low, high, x.new_zeros(len(x)))
    for step in steps:
        known = through(step, reach, run)
        if known is None:
            raise ValueError(f"No interval is known behind a {type(step).__name__}.")
        reach = _within_range(known, run)
    return reach


def _within_range(reach: Reach, run: Format) -> Reach:
    """The reach, and where a run may leave the range of its dtype, anything and error ∞."""
    lower, upper, error = reach
    flat = torch.maximum(lower.abs(), upper.abs()).flatten(1).amax(1) + error
    lost = ~(flat < run.max)  # NaN as well
    shaped = lost.view(-1, *[1] * (lower.ndim - 1))
    most = torch.full_like(lower, EXACT.max)
    return Reach(
        torch.where(shaped, -most, lower),
        torch.where(shaped, most, upper),
        torch.where(lost, torch.inf, error),
    )


def through(step: nn.Module, reach: Reach, run: Format) -> Reach | None:
    """The reach behind a module, of a run in that format; None if it is not known.

    The module is in float64 and evaluation mode. Sorts and ReLU grow with each of their inputs, so
    that the ends of a box go to the ends; an affine map takes its centre and half its widths apart.
    Everything is rounded outwards.
    """
    if runs_as(step, SELECTING):
        return Reach(step(reach.lower), step(reach.upper), reach.error)
    if runs_as(step, Abs):
        low = torch.maximum(reach.lower, -reach.upper).clamp(min=0)
        return Reach(low, torch.maximum(reach.upper, -reach.lower), reach.error)
    if runs_as(step, nn.LeakyReLU) and 0 <= step.negative_slope <= 1:
        size = torch.maximum(reach.lower.abs(), reach.upper.abs())
        own = rounding_of(3, EXACT) * size + EXACT.tiny
        theirs = rounding_of(3, run) * size.flatten(1).amax(1) + run.tiny
        error = reach.error * (1 + rounding_of(3, run)) + theirs
        return Reach(step(reach.lower) - own, step(reach.upper) + own, error)
    if runs_as(step, Householder):
        return _reflected(step, reach, run)
    if runs_as(step, Scale) and not run.tiny < abs(step.factor) < run.max:
        return None  # a run may round it to 0, or to infinity
    affine = as_affine(step)
    return None if affine is None else affinely(affine, reach, run)


def as_affine(step: nn.Module) -> Affine | None:
    """The module as an affine map; None if it is none of those that we know."""
    layer: Any = step
    if not is_layer(layer):
        return None
    if isinstance(layer, AVERAGES):  # none of its weights is negative
        terms, zero = windows_of(layer).pixels, torch.zeros((), dtype=torch.float64)
        return Affine(layer, layer, zero, terms)
    if isinstance(layer, (*NORMALIZATIONS, *WITH_CONSTANTS)):
        return None
    if isinstance(layer, Scale):
        factor = layer.factor
        zero = torch.zeros((), dtype=torch.float64)
        return Affine(lambda z: factor * z, lambda z: abs(factor) * z, zero, 2)
    weight, bias = layer.weight, layer.bias
    if bias is None:
        bias = weight.new_zeros(1)
    if isinstance(layer, CONVOLUTIONS):
        across = weight[:, 0] if isinstance(layer, TRANSPOSED) else weight[0]
        return Affine(
            lambda z: convolved(layer, weight, z),
            lambda z: convolved(layer, weight.abs(), z),
            bias.view(-1, *[1] * (weight.ndim - 2)),
            across.numel(),
        )
    return Affine(lambda z: z @ weight.mT, lambda z: z @ weight.abs().mT, bias, weight.shape[1])


def affinely(affine: Affine, reach: Reach, run: Format) -> Reach:
    r"""The reach behind an affine map.

    A sum of n products, added in any order, is off by at most $\gamma_n = n u / (1 - n u)$ times
    the sum of their sizes. That of our own sums is put into the ends, and that of a run into error.
    """
    lower, upper, error = reach
    centre = (lower + upper) / 2
    radius = torch.maximum(upper - centre, centre - lower) * (1 + 4 * EXACT.eps)
    image = affine.times(centre) + affine.bias
    spread = affine.times_abs(radius)
    size = affine.times_abs(centre.abs() + radius) + affine.bias.abs()
    own = rounding_of(affine.terms, EXACT) * size + affine.terms * EXACT.tiny
    rows = affine.times_abs(torch.ones_like(lower[:1]))  # the sums of |A| along the rows
    moved = rows * error.view(-1, *[1] * (lower.ndim - 1))
    theirs = moved + rounding_of(affine.terms, run) * (size + moved) + affine.terms * run.tiny
    # the partial sums of a run may leave its range where the whole sum does not
    theirs = torch.where(size + moved < run.max, theirs, torch.inf)
    worst = theirs.flatten(1).amax(1) * (1 + rounding_of(affine.terms, EXACT))
    return Reach(image - spread - own, image + spread + own, worst)


def _reflected(step: Householder, reach: Reach, run: Format) -> Reach:
    """The reach behind a Householder activation: z + 2 (−vᵀz)⁺ v, in two affine steps."""
    dim = step.dim % reach.lower.ndim
    shape = reach.lower.shape
    angle = step.angle.view(-1, *[1] * (len(shape) - 1 - dim))
    v = torch.stack([angle.cos(), angle.sin()], dim=1)
    zero, at = torch.zeros((), dtype=v.dtype, device=v.device), dim + 1
    paired = (*shape[:dim], -1, 2, *shape[dim + 1 :])
    z = Reach(reach.lower.reshape(paired), reach.upper.reshape(paired), reach.error)
    depth = Affine(
        lambda t: -(v * t).sum(at, keepdim=True),
        lambda t: (v.abs() * t).sum(at, keepdim=True),
        zero,
        6,  # of which four are for what a run makes of v
    )
    behind = affinely(depth, z, run)
    both = Reach(
        torch.cat([z.lower, behind.lower.relu()], at),
        torch.cat([z.upper, behind.upper.relu()], at),
        torch.maximum(z.error, behind.error),
    )
    moved = Affine(
        lambda t: t.narrow(at, 0, 2) + 2 * t.narrow(at, 2, 1) * v,
        lambda t: t.narrow(at, 0, 2) + 2 * t.narrow(at, 2, 1) * v.abs(),
        zero,
        6,
    )
    found = affinely(moved, both, run)
    return Reach(found.lower.reshape(shape), found.upper.reshape(shape), found.error)


def rounding_of(terms: int, kind: Format) -> float:
    """γ of a sum of so many terms, a few roundings more, and a unit that is twice the true one."""
    product = (terms + 8) * kind.eps
    return product / (1 - product) if product < 1 else float("inf")
