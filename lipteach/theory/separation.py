r"""Separation of points: an affine map with two given values (appendix E)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_real, check_tensor
from lipteach.theory.frozen import frozen_linear
from lipteach.theory.lipschitz_class import check_exponent, dual


def affine_through(x: Tensor, y: Tensor, a: float, b: float, p: float = 2) -> nn.Sequential:
    r"""Build the affine map through two points, with the least Lipschitz constant (appendix E).

    $$f(z) = a + w \cdot (z - x), \qquad w = \frac{b - a}{\|d\|_p}\, J_p(d), \quad d = y - x,$$

    where J_p(d) is the vector of dual norm 1 with $J_p(d) \cdot d = \|d\|_p$:

    - p = 1: the signs of d;
    - p = 2: $d / \|d\|_2$;
    - p = ∞: the sign of d at the first entry of largest |d_k|, and 0 elsewhere;
    - any other p: $\operatorname{sign}(d_k)\, |d_k|^{p-1} / \|d\|_p^{p-1}$.

    So f(x) = a, f(y) = b, and ‖w‖_q = |a − b| / ‖x − y‖_p, which no 1-Lipschitz map may exceed 1.

    Args:
        x: a point of shape (n,).
        y: another point of shape (n,).
        a: the value at x.
        b: the value at y.
        p: the norm of the inputs, any number from 1 to ``math.inf``.

    Returns:
        A frozen network of one layer, from (…, n) to (…, 1), in float64.

    Raises:
        ValueError: if the points are equal, or |a − b| exceeds ‖x − y‖_p by more than rounding.

    Example:
        >>> x, y = torch.tensor([0.0, 0.0]), torch.tensor([2.0, 1.0])
        >>> f = lt.affine_through(x, y, a=0.0, b=2.0, p=math.inf)
        >>> f[0].weight.tolist(), f(y.double()).tolist()
        ([[1.0, 0.0]], [2.0])

    Source: Anil, Lucas and Grosse (2019), appendix E.
    """
    w, offset, _ = _two_values(x, y, a, b, p)
    return nn.Sequential(frozen_linear(w[None], [offset]))


def unit_affine_through(x: Tensor, y: Tensor, a: float, b: float, p: float = 2) -> nn.Sequential:
    r"""Build the affine map through two points with dual norm exactly 1 (appendix E, Theorem 3).

    Theorem 3 asks ‖W₁‖_{p,∞} = 1, not "at most". In two or more dimensions there is room for it:
    to w of `affine_through` we add a multiple of some z orthogonal to d = y − x,

    $$w + s z, \qquad z \cdot d = 0, \quad \|w + s z\|_q = 1 .$$

    z has two entries, at the largest |d_k| and at the first other. In one dimension no z is left:
    f(0) = 0 and f(1) = ½ are met by one affine map only, and its slope is ½.

    The arguments and what is returned are those of `affine_through`.

    Raises:
        ValueError: as `affine_through` does, and if n = 1 and |a − b| < |x − y|.

    Example:
        >>> x, y = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])
        >>> f = lt.unit_affine_through(x, y, a=0.0, b=0.5)
        >>> [round(w, 6) for w in f[0].weight[0].tolist()]
        [0.5, 0.866025]

    Source: the question is that of Anil, Lucas and Grosse (2019), appendix E.
    """
    w, offset, d = _two_values(x, y, a, b, p)
    norm = float(torch.linalg.vector_norm(w, ord=dual(p)))
    if norm < 1 - 1e-12:
        if len(d) == 1:
            raise ValueError(
                f"In one dimension only the slope {norm:.6g} meets the two values, not 1; an "
                "unused pair of units can carry the norm."
            )
        w = _lengthen(w, d / d.abs().amax(), dual(p))
        offset = float(a) - float(w @ x.detach().double())
    return nn.Sequential(frozen_linear(w[None], [offset]))


def distances(d: Tensor, p: float) -> Tensor:
    """‖d‖_p of shape (…), for differences d of shape (…, n), where squares may not overflow."""
    largest = d.abs().amax(dim=-1)
    unit = torch.where(largest > 0, largest, 1.0)
    norms: Tensor = largest * torch.linalg.vector_norm(d / unit[..., None], ord=p, dim=-1)
    return norms


def dual_vector(d: Tensor, p: float) -> Tensor:
    """J_p(d) of shape (…, n): dual norm 1, and J_p(d)·d = ‖d‖_p. No row of d may be zero."""
    e = d / d.abs().amax(dim=-1, keepdim=True)  # no power of it overflows
    if p == float("inf"):
        largest = e.abs().argmax(dim=-1, keepdim=True)
        return torch.zeros_like(e).scatter(-1, largest, e.gather(-1, largest).sign())
    power = e.sign() * e.abs() ** (p - 1) if p > 1 else e.sign()
    vector: Tensor = power / torch.linalg.vector_norm(power, ord=dual(p), dim=-1, keepdim=True)
    return vector


def _two_values(x: Any, y: Any, a: Any, b: Any, p: Any) -> tuple[Tensor, float, Tensor]:
    """The slope w, the offset a − w·x and the difference y − x."""
    check_tensor(x, "x")
    check_tensor(y, "y")
    check_exponent(p)
    rise = check_real(b, "b") - check_real(a, "a")
    if x.ndim != 1 or x.shape != y.shape:
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"x and y must be points of the same shape (n,); got {shapes}.")
    start = x.detach().double()
    d = y.detach().double() - start  # float16 would overflow or round
    distance = float(distances(d, p))
    if distance == 0:
        raise ValueError("x and y must be two points; they are equal.")
    if not distance < float("inf"):  # NaN too
        raise ValueError("x and y must be closer; their distance is too large for float64.")
    scale = max(1.0, abs(a), abs(b), float(start.abs().max()), distance)
    excess = abs(rise) - distance
    if excess > 1e-12 * scale:
        raise ValueError(
            f"|a - b| must be at most the distance of x and y, {distance:.6g}; got "
            f"{abs(rise):.6g}, which is {excess:.1e} more."
        )
    w = max(-1.0, min(1.0, rise / distance)) * dual_vector(d, p)
    return w, float(a) - float(w @ start), d


def _lengthen(w: Tensor, d: Tensor, q: float) -> Tensor:
    """Return w + s z with ‖w + s z‖_q = 1 and s > 0, by bisection: the norm is convex in s."""
    k = int(d.abs().argmax())
    other = 1 if k == 0 else 0
    z = torch.zeros_like(d)
    z[other], z[k] = d[k], -d[other]
    low, high = 0.0, 4.0 / float(torch.linalg.vector_norm(z, ord=q))
    for _ in range(100):
        middle = (low + high) / 2
        if float(torch.linalg.vector_norm(w + middle * z, ord=q)) <= 1:
            low = middle
        else:
            high = middle
    return w + low * z
