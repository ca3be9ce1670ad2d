r"""The Lipschitz constant of a network, between a lower and an upper bound.

Source: the composition of Lipschitz maps; Anil, Lucas and Grosse (2019), section 2 and appendix E.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers.export import to_measure
from lipteach.layers.known import one_lipschitz, unknown
from lipteach.layers.layer_norms import LAYERS, input_sizes, upper_norm, upper_norm_to_max
from lipteach.primitives._validate import NORMS, check_norm, check_tensor
from lipteach.primitives.composition import alteration, runs_as, walk
from lipteach.primitives.numerical_warnings import warn_caller
from lipteach.robustness.steepest import steepest


class LipschitzBounds(NamedTuple):
    """lower ≤ Lip ≤ upper, in float64."""

    lower: float
    upper: float


class UnknownBoundWarning(UserWarning):
    """A model has no certified upper bound; the text names the first module without one."""


def lipschitz_bounds(model: nn.Module, x: Tensor, p: float = 2) -> LipschitzBounds:
    r"""Bound the Lipschitz constant of a model in the p-norm, from below and from above.

    $$\mathrm{Lip}(f) = \sup_{x \ne y} \frac{\|f(x) - f(y)\|_p}{\|x - y\|_p}
                      = \sup_x \|J(x)\|_p,$$

    the supremum of the operator p-norms of the Jacobian, where it exists (`operator_norm`).

    - **lower** is the largest $\|J\|_p$ found: at the points x, and in a short search that jumps
      from the best of them along the directions which J stretches most, and towards other points.
      No random numbers are drawn. Each point is moved by about 1e-7 of the spread of x, so that
      none lies on a kink, where a program's derivative may belong to no side.
    - **upper** is certified: the smallest product of norms along an ``nn.Sequential`` of layers and
      of modules that are known not to stretch (sorts, ReLU, Flatten, …). A layer counts with its
      p → p norm, or with that of another q = 1, 2, ∞ where the way through it,
      $\|z\|_q \le k^{\max(0, 1/q - 1/p)} \|z\|_p$ for k numbers, is shorter; also with
      $\|W\|_{q,\infty}$, as the first layer in Theorem 3. Norms of convolutions are those at the
      image size of x, or bounds of them. A module with forward hooks, a forward of its own or the
      like has no bound: what it computes is not what its class does.

    The model is taken in evaluation mode and in float64, and left as it is. Both bounds hold up to
    rounding there, about 1e-12 of their size for a few layers.

    Args:
        model: any module that treats the samples of a batch one by one.
        x: points of shape (batch, …), floating point, finite.
        p: 1, 2 or ``math.inf``.

    Returns:
        ``(lower, upper)``, two floats. upper is infinite where a module has no known bound.

    Raises:
        ValueError: if x does not fit the model.

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

    Source: ours; the chain of ‖W₁‖_{p,∞} and ∞-norms is that of appendix E.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    check_tensor(x, min_dim=2)
    check_norm(p)
    with torch.inference_mode(False), torch.no_grad():
        plain = to_measure(model)
        _check_parameters(plain)
        points = x.detach().double().clone()
        _run_once(plain, points)
        upper, missing = _certified(plain, points, p)
        if missing:
            text = f"The upper bound is infinite: none is known for {missing}."
            warn_caller(UnknownBoundWarning(text))
        lower = steepest(plain, points, p)
    return LipschitzBounds(min(lower, upper), upper)  # against rounding


def _check_parameters(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ValueError(f"{name} of model must be finite; it holds NaN or infinity.")


def _run_once(model: nn.Module, x: Tensor) -> None:
    """Require that the model takes a sample of x and returns numbers."""
    try:
        y: Any = model(x[:1])
    except (RuntimeError, ValueError, IndexError) as error:
        said = str(error).splitlines()[0][:120]
        raise ValueError(f"x of shape {tuple(x.shape)} does not fit the model: {said}") from error
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = y.dtype if isinstance(y, Tensor) else type(y).__name__
        raise TypeError(f"model must return a floating-point tensor; got {got}.")


def _certified(model: nn.Module, x: Tensor, p: float) -> tuple[float, str]:
    """The upper bound and "", or infinity and the first module without a bound.

    bounds[q] is an upper bound of the steps so far, from the p-norm to the q-norm.
    """
    sizes = input_sizes(model, x)
    z = x[:1]
    bounds = _converted({q: 1.0 if q == p else math.inf for q in NORMS}, z.numel())
    for name, step in walk(model):
        z = step(z)
        if runs_as(step, LAYERS):
            places = sizes.get(id(step), set())
            to_max = min(bounds[q] * upper_norm_to_max(step, q, places) for q in NORMS)
            bounds = {q: bounds[q] * upper_norm(step, q, places) for q in NORMS}
            bounds[math.inf] = min(bounds[math.inf], to_max)
        elif not one_lipschitz(step):
            said = alteration(step)
            return math.inf, unknown(name, step) + (f", which has {said}" if said else "")
        bounds = _converted(bounds, z.numel())
    return bounds[p], ""


def _converted(bounds: dict[float, float], m: int) -> dict[float, float]:
    """The bounds for each norm of m numbers, by that norm or by another one and its conversion."""
    return {
        q: min(bounds[r] * m ** max(0.0, 1 / q - 1 / r) for r in NORMS)  # ‖·‖_q ≤ … ‖·‖_r
        for q in NORMS
    }
