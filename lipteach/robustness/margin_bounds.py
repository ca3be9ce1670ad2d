r"""Certificates: how far the right logit stays above the others, whatever the perturbation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers.copies import said_name
from lipteach.layers.known_modules import Sizes, mixes
from lipteach.layers.layer_norms import input_sizes
from lipteach.layers.measured import measured, why_none
from lipteach.primitives import Scale
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_norm, check_real
from lipteach.primitives.composition import walk
from lipteach.primitives.numerical_warnings import warn_caller
from lipteach.robustness.attacks import check_logits
from lipteach.robustness.balls import check_images
from lipteach.robustness.certified_norms import norms_along
from lipteach.robustness.interval_bounds import EXACT, Format, Reach, reach_of, rounding_of, through
from lipteach.robustness.lipschitz_bounds import UnknownBoundWarning, check_parameters
from lipteach.theory.lipschitz_class import dual

ROWS = 500  # of a batch at once
EASY = (1e-4, 1e4)  # of factors that may be taken together: far from any dtype's range
SLACK = 1e-9  # relative: norms are computed to about 1e-12


@undisturbed
@torch.no_grad()
def margin_bounds(
    model: nn.Module, x: Tensor, y: Tensor, eps: float, p: float = math.inf
) -> Tensor:
    r"""Bound from below how far the right logit stays above each other one, within ε of an image.

    $$\underline m_k \le \min_{x'} \bigl(Z_y(x') - Z_k(x')\bigr) \quad\text{over}\quad
      \|x' - x\|_p \le \varepsilon,\; x' \in [0, 1]^n .$$

    Where all others are above 0, no image of the ball is told as another class. Each bound is the
    larger one of two:

    - intervals: an interval for each entry of each layer, exact through sorts and ReLU alone,
      $Wc + b \pm |W| r$ through a layer of centre c and radius r; and the last layer as the
      differences $w_y - w_k$ of its rows, for the difference of two intervals would be wider;
    - the Lipschitz constant of $Z_y - Z_k$, a product of norms along the layers with that of
      $w_y - w_k$ as the last, times ε, taken off the margin at x itself.

    Both are rounded outwards: they hold for the exact network with the weights as they are read
    now, and for a run of it as it is, x in the dtype of its weights, or in float64, however its
    sums of products are ordered (but not in lower precision, as autocast has it, and TF32 by
    default in convolutions on CUDA; nor by the transforms of Winograd and Fourier). The model is
    taken in evaluation mode, and left as it is.

    Args:
        model: a classifier: an ``nn.Sequential`` of linear layers, convolutions, `Scale`,
            GroupSort and its relatives, ReLU and LeakyReLU, Abs, max-pooling, dropout and Flatten.
        x: images, (batch, …), with entries in [0, 1].
        y: their true labels, integers (batch,).
        eps: ε ≥ 0, in the units of x.
        p: the norm of the ball, 1, 2 or ``math.inf``.

    Returns:
        A float64 tensor of shape (batch, classes), with 0 at y itself. It is −∞ where the model has
        a module that is not known.

    Warns:
        UnknownBoundWarning: then, with the name of the module.

    Example:
        >>> model = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
        >>> x, y = torch.tensor([[0.5, 0.25]]).double(), torch.tensor([0])
        >>> lt.margin_bounds(model, x, y, eps=0.0625).round(decimals=9).tolist()
        [[0.0, 0.125]]

    Source: Gowal et al. (2018) for the intervals and the differences of rows; Tsuzuku, Sato and
    Sugiyama (2018) for the constants of pairs.
    """
    check_images(x)
    check_norm(p)
    eps = check_real(eps, "eps", low=0.0)
    plain, unlike = measured(model)
    check_parameters(plain)
    points = x.detach().double()
    y = check_logits(plain, points, y)
    run = Format.of(*({weight.dtype for weight in model.parameters()} or {x.dtype}))
    parts: _Parts | str = why_none(model, plain, unlike)
    parts = parts or _take_apart(plain, points, p, run)
    if isinstance(parts, str):
        warn_caller(UnknownBoundWarning(f"No margin is certified: no bound is known for {parts}."))
        nothing: Tensor = plain(points[:1]).new_tensor(-math.inf)
        return nothing.expand(len(points), plain(points[:1]).shape[1]).clone()
    pairs = zip(torch.split(points, ROWS), torch.split(y, ROWS), strict=True)
    return torch.cat([_bound(parts, rows, labels, eps, run) for rows, labels in pairs])


def certain(bounds: Tensor, y: Tensor) -> Tensor:
    """Whether `margin_bounds` are above 0 for every class but y, for each image."""
    own = torch.arange(bounds.shape[1], device=bounds.device) == y[:, None].to(bounds.device)
    found: Tensor = ((bounds > 0) | own).all(dim=1)
    return found


class _Parts(NamedTuple):
    """A classifier as its last layer, and what runs before."""

    features: list[nn.Module]
    W: Tensor
    b: Tensor
    terms: int  # that round in a logit
    norms: dict[float, float]  # of the features, from p to each q


def _take_apart(plain: nn.Module, x: Tensor, p: float, run: Format) -> _Parts | str:
    """The parts, or the first module that is not known."""
    steps = list(walk(plain))
    if missing := _unknown(steps, input_sizes(plain, x), x, run):
        return missing
    features, factor = [step for _, step in steps], 1.0
    while features and isinstance(features[-1], Scale):
        scale: Any = features[-1]
        if not EASY[0] < abs(factor * scale.factor) < EASY[1]:
            break
        factor *= scale.factor
        features.pop()
    scales = len(steps) - len(features)
    if features and isinstance(features[-1], nn.Linear):
        last: Any = features.pop()
        W, b = last.weight, last.bias
    else:  # the differences are taken of what comes out
        features, factor = [step for _, step in steps], 1.0
        W, b = torch.eye(plain(x[:1]).shape[1], dtype=torch.float64, device=x.device), None
    b = W.new_zeros(len(W)) if b is None else b
    norms = norms_along(nn.Sequential(*features), x, p)
    return _Parts(features, factor * W, factor * b, W.shape[1] + 4 * scales, norms)


def _unknown(steps: list[tuple[str, nn.Module]], sizes: Sizes, x: Tensor, run: Format) -> str:
    """The first step through which no interval is known; "" if there is none.

    A ChunkedSequential gives its modules rows: they may receive other shapes than they do here.
    """
    z: Any = x[:1]
    for name, step in steps:
        known = through(step, Reach(z, z, z.new_zeros(1)), run)
        here = tuple(z.shape)
        if known is None or mixes(step, sizes) or here not in sizes.get(id(step), {here}):
            return said_name(name, step)
        z = step(z)
    return ""


def _bound(parts: _Parts, x: Tensor, y: Tensor, eps: float, run: Format) -> Tensor:
    """The bounds for some of the images."""
    point, box = (reach_of(parts.features, x, radius, run) for radius in (0.0, eps))
    bounds = x.new_zeros(len(x), len(parts.W))
    for own in sorted(set(y.tolist())):
        rows = y == own
        W, b = parts.W[own] - parts.W, parts.b[own] - parts.b
        largest = W.abs().amax(1, keepdim=True).clamp(min=EXACT.tiny)  # squares would underflow
        lengths = [
            norm * largest[:, 0] * torch.linalg.vector_norm(W / largest, dual(q), dim=1)
            for q, norm in parts.norms.items()
        ]
        constants = torch.stack(lengths).nan_to_num(nan=math.inf, posinf=math.inf).amin(0)
        constants = constants.mul(1 + SLACK).clamp(min=EXACT.tiny)
        here, _ = _differences(parts, W, b, own, point, rows, run)
        there, rounding = _differences(parts, W, b, own, box, rows, run)
        if eps > 0:
            there = torch.maximum(there, here - eps * constants)
        found = (there - rounding).nan_to_num(-math.inf, math.inf, -math.inf)
        found[:, own] = 0.0
        bounds[rows] = found
    return bounds


def _differences(
    parts: _Parts, W: Tensor, b: Tensor, own: int, reach: Reach, rows: Tensor, run: Format
) -> tuple[Tensor, Tensor]:
    """Lower bounds of W z + b, and by how much a run may fall below the exact values."""
    lower, upper, error = reach.lower[rows], reach.upper[rows], reach.error[rows, None]
    centre = (lower + upper) / 2
    radius = torch.maximum(upper - centre, centre - lower) * (1 + 4 * EXACT.eps)
    size = (centre.abs() + radius + error) @ parts.W.abs().mT + parts.b.abs()
    both = size + size[:, [own]]  # a run computes the two logits, and then subtracts
    off = rounding_of(parts.terms, EXACT) * both + parts.terms * EXACT.tiny
    exact = centre @ W.mT + b - radius @ W.abs().mT - off
    moved = W.abs().sum(1) * error * (1 + SLACK)
    lost = moved + rounding_of(parts.terms, run) * both + 2 * parts.terms * run.tiny / EASY[0]
    return exact, torch.where(both < run.max * EASY[0], lost, math.inf)
