r"""The maximum of two functionals within the 2-norm constraint (appendix E, the remark on it).

Source: ours; the question is that of Anil, Lucas and Grosse (2019), appendix E.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipteach.primitives import MaxMin
from lipteach.primitives._validate import check_tensor
from lipteach.theory.frozen import frozen_linear


def maximum_of_functionals(w1: Tensor, w2: Tensor) -> nn.Sequential:
    r"""Build max(w₁·x, w₂·x) of two unit vectors, by layers of 2-norm 1 (appendix E, completed).

    The lattice construction computes w₁·x and w₂·x in one layer, whose 2-norm is √2 if w₁ = w₂.
    But w₁ + w₂ and w₁ − w₂ are orthogonal. With $e_\pm = (w_1 \pm w_2)/2$, c = ‖e₊‖ and s = ‖e₋‖,

    $$\max(w_1 \cdot x, w_2 \cdot x) = e_+ \cdot x + |e_- \cdot x|
      = \tfrac{1}{\sqrt2} (c, c, s, -s)\, \mathrm{MaxMin}\Bigl(\tfrac{1}{\sqrt2}
        (e_+/c,\ e_+/c,\ e_-/s,\ -e_-/s)^\top x\Bigr), \qquad c^2 + s^2 = 1 .$$

    So the remark that the construction fails in the 2-norm is right, and it does not say that the
    maximum of two functions is out of reach.

    Args:
        w1: a unit vector of shape (n,).
        w2: another one.

    Returns:
        A frozen network in float64, from (…, n) to (…, 1).

    Raises:
        ValueError: if w1 or w2 is not of 2-norm 1 up to 1e-6.

    Example:
        >>> f = lt.maximum_of_functionals(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        >>> round(f(torch.tensor([2.0, 3.0]).double()).item(), 9)
        3.0

    Source: ours.
    """
    check_tensor(w1, "w1")
    check_tensor(w2, "w2")
    if w1.ndim != 1 or w1.shape != w2.shape:
        shapes = f"{tuple(w1.shape)} and {tuple(w2.shape)}"
        raise ValueError(f"w1 and w2 must be vectors of the same shape (n,); got {shapes}.")
    a, b = _unit(w1, "w1"), _unit(w2, "w2")
    plus, minus = (a + b) / 2, (a - b) / 2
    if float(a @ b) > 0:  # rounding spoils the right angle where one of them nearly vanishes
        minus = _part_across(minus, plus)
    else:
        plus = _part_across(plus, minus)
    c, s = torch.linalg.vector_norm(plus), torch.linalg.vector_norm(minus)
    up = plus / c if c > 0 else torch.zeros_like(plus)
    across = minus / s if s > 0 else torch.zeros_like(minus)
    half = 0.5**0.5
    first = half * torch.stack([up, up, across, -across])  # (4, n)
    return nn.Sequential(
        frozen_linear(first), MaxMin(), frozen_linear(half * torch.stack([c, c, s, -s])[None])
    )


def _part_across(v: Tensor, w: Tensor) -> Tensor:
    """The part of v that is orthogonal to w; what one pass leaves by rounding, another removes."""
    for _ in range(2):
        v = v - (v @ w) / (w @ w) * w
    return v


def _unit(w: Tensor, name: str) -> Tensor:
    norm = float(torch.linalg.vector_norm(w.detach().double()))
    if abs(norm - 1) > 1e-6:
        raise ValueError(f"{name} must have 2-norm 1; it has {norm:.6g}.")
    return w.detach().double() / norm
