r"""The Lipschitz constant of a network, between a lower and an upper bound.

Source: the composition of Lipschitz maps; Anil, Lucas and Grosse (2019), section 2 and appendix E.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers.jacobian_norms import is_large, jacobian_norms, largest_norm, stretched
from lipteach.layers.layer_norms import (
    draws,
)
from lipteach.layers.magnitudes import lower_bound
from lipteach.layers.measured import measured, why_none
from lipteach.primitives._sample_by_sample import jacobians
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_norm, check_tensor
from lipteach.primitives.jacobian import run_once
from lipteach.primitives.norms import normalized, start_vector
from lipteach.primitives.numerical_warnings import warn_caller
from lipteach.robustness.certified_norms import certified

BEST, GOALS, DIRECTIONS, ROUNDS, ROUNDS_OF_LARGE = 4, 8, 2, 20, 3
LENGTHS = [2.0**-k for k in range(-1, 5)]  # of a jump, in spreads of the points
NUDGE = 1e-7  # in spreads


class LipschitzBounds(NamedTuple):
    """lower ≤ Lip ≤ upper, in float64."""

    lower: float
    upper: float


class UnknownBoundWarning(UserWarning):
    """A model has no certified upper bound; the text names the first module without one."""


@undisturbed
def lipschitz_bounds(model: nn.Module, x: Tensor, p: float = 2) -> LipschitzBounds:
    r"""Bound the Lipschitz constant of a model in the p-norm, from below and from above.

    $$\mathrm{Lip}(f) = \sup_{x \ne y} \frac{\|f(x) - f(y)\|_p}{\|x - y\|_p}
                      = \sup_x \|J(x)\|_p,$$

    the supremum of the operator p-norms of the Jacobian, where it exists (`operator_norm`).

    - **lower** is the largest $\|J\|_p$ found: at the points x, and in a short search that jumps
      from the best of them along the directions which J stretches most, and towards other points.
      It ends where lower reaches upper. No random numbers are drawn. Each point is moved by about
      1e-7 of the spread of x, so that none lies on a kink, where a program's derivative may belong
      to no side. A forward that bends its own gradient (by ``detach``, ``no_grad``, ``data``,
      numbers read off, a backward of its own or a hook on a tensor) is not seen through.
    - **upper** is certified: the smallest product of norms along an ``nn.Sequential`` of layers and
      of modules that are known not to stretch (sorts, ReLU, Flatten, …). A layer counts with its
      p → p norm, or with that of another q = 1, 2, ∞ where the way through it,
      $\|z\|_q \le k^{\max(0, 1/q - 1/p)} \|z\|_p$ for k numbers, is shorter; also with
      $\|W\|_{q,\infty}$, as the first layer in Theorem 3. Norms of convolutions (in one or two
      dimensions, transposed or not) are those at the image size of x, or bounds of them. A batch
      normalization counts with its largest factor, an `lt.Residual` with the sum of the bounds of
      its two parts. The forward of a class that is not of torch is traced by ``torch.fx``: the
      bounds of sums add, those of a concatenation are combined as the norm combines its parts (for
      p = 1 their sum, for 2 the root of the sum of squares, for ∞ the largest), and slices,
      reshapes, means, multiples by constants and the activations as functions are known. What it
      does else has no bound; nor has a forward that branches on its input, or whose code asks or
      changes what could make a run differ from the trace, a module with forward hooks, with a
      forward of its own or the like (what it computes is not what its class does), or one that
      acts along the batch, as a sort with ``dim=0`` does. Of a model that draws random numbers, of
      which a weight changes at each reading, or which is not what a copy of it is (its class may
      say how it is copied), nothing is known: the bounds are 0 and infinity.

    The model is taken in evaluation mode and in float64, with its weights as they are read now, and
    left as it is. Both bounds hold up to rounding, about 1e-12 of their size for a few layers.
    No product of norms overflows or vanishes on the way; a bound below the range of floats is
    rounded up.

    Args:
        model: any module that treats the samples of a batch one by one.
        x: points of shape (batch, …), floating point, finite.
        p: 1, 2 or ``math.inf``.

    Returns:
        ``(lower, upper)``, two floats. upper is infinite where a module has no known bound.

    Raises:
        ValueError: if x does not fit the model.
        RuntimeError: if a Jacobian at a sample refutes the upper bound.

    Warns:
        UnknownBoundWarning: if upper is infinite; it names the module.

    Example:
        >>> x = torch.linspace(-2, 2, 9)[:, None]
        >>> [round(bound, 6) for bound in lt.lipschitz_bounds(lt.abs_network(), x)]
        [1.0, 1.0]
        >>> up, down = lt.frozen_linear([[1.0], [-1.0]]), lt.frozen_linear([[1.0, 1.0]])
        >>> relu = nn.Sequential(up, nn.ReLU(), down)
        >>> [round(bound, 6) for bound in lt.lipschitz_bounds(relu, x)]  # of |x| as well
        [1.0, 2.0]

    Source: the chain of ‖W₁‖_{p,∞} and ∞-norms is that of appendix E.
    """
    check_tensor(x, min_dim=2)
    check_norm(p)
    devices = [x.device] if x.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        plain, unlike = measured(model)
        check_parameters(plain)
        points = x.detach().double().clone()
        run_once(plain, points, "model")
        points, spread = _moved(points)
        upper, missing, lower = None, why_none(model, plain, unlike), 0.0
        if not missing and draws(plain, points):
            missing = f"{type(model).__name__}, which draws random numbers"
        if not missing:
            bounds, missing = certified(plain, points, p)
            upper = bounds[p] if bounds else None
            most = float(upper) if upper else math.inf
            lower = _steepest(plain, points, p, spread, most * (1 - 1e-12))
        if missing:
            text = f"The upper bound is infinite: none is known for {missing}."
            warn_caller(UnknownBoundWarning(text))
    return LipschitzBounds(lower_bound(lower, upper), float(upper) if upper else math.inf)


def check_parameters(model: nn.Module) -> None:
    """Require finite parameters."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ValueError(f"{name} of model must be finite; it holds NaN or infinity.")


def _moved(x: Tensor) -> tuple[Tensor, float]:
    """The points, each moved off the kinks, and their spread."""
    flat = x.flatten(1)
    spread = float((flat - flat.mean(0)).norm(dim=1).max()) or float(flat.norm(dim=1).max()) or 1.0
    return x + NUDGE * spread * _generic(x[0]), spread


def _steepest(model: nn.Module, x: Tensor, p: float, spread: float, enough: float) -> float:
    r"""The largest ‖J‖_p at the points x, and at those that jumps from the best of them reach.

    The Jacobian of a piecewise linear model is constant on each piece: there is no slope to climb,
    only other pieces to jump to. In each round the best points jump, by a few lengths, to either
    side along the directions that their Jacobians stretch most, and along those to other points.
    The result is 0 if no Jacobian found is finite. One that is `enough` ends the search.
    """
    goals = x[torch.linspace(0, len(x) - 1, GOALS, dtype=torch.float64).long()]
    points, norms = x[:1], jacobian_norms(model, x[:1], p)
    if norms[0] < enough:
        points, norms = _best(x, jacobian_norms(model, x, p))
    for _ in range(ROUNDS_OF_LARGE if is_large(model, x) else ROUNDS):
        if norms[0] >= enough:
            break
        ways = torch.cat([_stretched(model, points, p), _towards(points, goals)], dim=1)
        jumps = spread * torch.cat([length * ways for length in LENGTHS], dim=1)
        reached = torch.cat([points[:, None] + jumps, points[:, None] - jumps], dim=1)
        reached = reached.flatten(0, 1)
        before = float(norms[0])
        found = torch.cat([norms, jacobian_norms(model, reached, p)])
        points, norms = _best(torch.cat([points, reached]), found)
        if not float(norms[0]) > before * (1 + 1e-6):
            break
    return float(norms[0]) if norms[0] >= enough else largest_norm(model, points, p)


def _generic(sample: Tensor) -> Tensor:
    """A fixed vector of length 1 and of the sample's shape, in no particular direction."""
    vector = start_vector(sample.numel(), None).to(sample)
    return vector.div(vector.norm()).view_as(sample)


def _best(points: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
    """The points with the largest norms, the largest first."""
    found = norms.topk(min(BEST, len(norms)))
    return points[found.indices], found.values


def _stretched(model: nn.Module, points: Tensor, p: float) -> Tensor:
    """The directions that the Jacobian of each point stretches most: (points, directions, …)."""
    if is_large(model, points):
        ways = normalized(stretched(model, points, p)[1])
        return ways.reshape(len(points), 1, *points.shape[1:])
    J = jacobians(model, points).nan_to_num(0.0, 0.0, 0.0)
    if p == 2:
        ways = torch.linalg.svd(J, full_matrices=False).Vh[:, :DIRECTIONS]
    elif p == 1:  # the axes of the largest columns
        columns = J.abs().sum(1)
        largest = columns.topk(min(DIRECTIONS, columns.shape[1])).indices
        ways = torch.nn.functional.one_hot(largest, columns.shape[1]).to(J)
    else:  # the signs of the largest rows
        rows = J.abs().sum(2)
        largest = rows.topk(min(DIRECTIONS, rows.shape[1])).indices
        ways = J.gather(1, largest[..., None].expand(-1, -1, J.shape[2])).sign()
        ways = ways / math.sqrt(J.shape[2])
    return ways.reshape(len(points), -1, *points.shape[1:])


def _towards(points: Tensor, goals: Tensor) -> Tensor:
    """The directions of length 1 from each point to each goal: (points, goals, …)."""
    ways = goals[None] - points[:, None]
    length = ways.flatten(2).norm(dim=-1)
    length = torch.where(length > 0, length, 1.0)
    return ways / length[(..., *[None] * (points.ndim - 1))]
