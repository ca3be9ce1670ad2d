"""Björck's iteration on a vector, by matrix-vector products alone (appendix B.4)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from lipteach.primitives._fast.odd_chebyshev import GROWTH, Series
from lipteach.primitives._fast.odd_chebyshev import chebyshev_coefficients as chebyshev_coefficients
from lipteach.primitives._fast.odd_chebyshev import odd_series as odd_series
from lipteach.primitives._validate import (
    check_integer,
    check_numbers,
    check_real,
    check_tensor,
    shown,
    transforming,
)
from lipteach.primitives.numerical_warnings import ConvergenceWarning, warn_caller
from lipteach.primitives.orthonormal import HIGHEST_ORDER, refuse_zero, series_coefficients

METHODS = ("chebyshev", "recursion")
MOST_PRODUCTS = 3**10
RADII = (1.05, math.sqrt(2))
"""Where ‖W‖_F says too little: first what scaling by an estimated norm leaves, then B.3's limit."""


def bjorck_apply(
    W: Tensor, v: Tensor, steps: int, order: int = 1, method: str = "chebyshev", tol: float = 1e-5
) -> Tensor:
    r"""Return A_k v for A_k = ``bjorck(W, steps=k, order=p)`` without forming A_k (appendix B.4).

    "recursion" is the paper's: with $B_k = A_k A_k^\top$ and $w = A_k v$, at order 1

    $$A_{k+1} v = \tfrac32 w - \tfrac12 B_k w, \qquad
      B_{k+1} = \tfrac94 B_k - \tfrac32 B_k^2 + \tfrac14 B_k^3,$$

    exactly $3^k$ products of W or Wᵀ with a vector; $(2p + 1)^k$ at order p.

    "chebyshev" knows that $A_k v = g_k(W) v$, where the odd polynomial $g_k$ acts on the singular
    values. Its series $\sum_{j\text{ odd}} c_j T_j(\sigma / r)$ on [0, r] is cut at the degree
    that `tol` needs, about $1.5^k$ times a constant at order 1, and $T_j(W/r) v$ comes from the
    three-term recurrence: as many products as the degree says, and fewer where the result turns
    out not much shorter than v. It takes r from ‖W‖_F where that is at most 1.05, else 1.05, and √2
    if the recurrence shows a singular value above. Where $(2p + 1)^k$ is the smaller number of
    products, it is the recursion.

    The error of the polynomial is at most ``tol`` · ‖A_k v‖ for **every** v if ‖W‖₂ ≤ r, which
    ‖W‖_F proves. Else a singular value between r and the end of the basin (√3 at order 1) either
    shows, and r is enlarged, or its part of v adds at most tol · ‖v‖. Rounding comes on top,
    some units of the dtype times ‖v‖, and grows with the degree; half precision is computed in
    float32. A single vector profits: a batch of b vectors costs b times the products.

    Args:
        W: matrices of shape (…, m, n), scaled into the basin as for `bjorck`.
        v: vectors of shape (…, n), with W's dtype and device; their leading dimensions are
            broadcast with W's. For one W a batch of vectors is a batch of rows, as in nn.Linear.
        steps: k, at least 1.
        order: p, from 1 to 6.
        method: "chebyshev" or "recursion".
        tol: of "chebyshev": the error of the polynomial relative to ‖A_k v‖, positive.

    Returns:
        The vectors A_k v, of shape (…, m), with W's dtype, differentiable in v and in W: the
        gradient is that of the polynomial used, with r held fixed.

    Raises:
        ValueError: if a matrix is zero; for "chebyshev" also where a singular value above √2 shows
            and the recursion would make more than 3¹⁰ products, or where no degree below 2¹⁵ is
            enough.

    Warns:
        ConvergenceWarning: if tol is below what the dtype can resolve (2e-6 in float32, 1e-13 in
            float64), if a singular value above √2 shows (then it is the recursion, for which no
            bound is needed), or if the result is not finite.

    Example:
        >>> W, v = torch.diag(torch.tensor([0.5, 1.0])), torch.ones(2)
        >>> lt.bjorck_apply(W, v, steps=2)
        tensor([0.8688, 1.0000])

    Source: Anil, Lucas and Grosse (2019), appendix B.4 and Table 3; the truncated series is ours.
    """
    _check(W, v, steps, order, method, tol)
    tol = float(tol)
    product = _Products(W, v) if W.itemsize > 2 else _Products(W.float(), v.float())
    y = product.chebyshev(steps, order, tol) if method == "chebyshev" else None
    if y is None:
        y = product.recursion(steps, order)
    _look_at(y, W, v)
    return y.to(W.dtype)


class _Products:
    """Products of W with vectors (…, n), of Wᵀ with (…, m), and what is computed from them."""

    def __init__(self, W: Tensor, v: Tensor) -> None:
        self.W, self.Wt, self.v = W, W.mT, v
        self.w = self.times_w(v)  # both methods begin with it

    def times_w(self, x: Tensor) -> Tensor:
        return _times(self.W, self.Wt, x)

    def times_wt(self, y: Tensor) -> Tensor:
        return _times(self.Wt, self.W, y)

    def recursion(self, steps: int, order: int) -> Tensor:
        """Compute A_k v: A_{j+1} = f(B_j) A_j and B_{j+1} = f(B_j)² B_j, f being the step."""
        f = _step_polynomial(order)

        def times_b(j: int, y: Tensor) -> Tensor:
            if j == 0:
                return self.times_w(self.times_wt(y))
            return times_b(j - 1, times_f(j - 1, times_f(j - 1, y)))

        def times_f(j: int, y: Tensor) -> Tensor:  # Σ_i f_i B_jⁱ y by Horner's rule
            result = f[-1] * y
            for coefficient in reversed(f[:-1]):
                result = torch.add(times_b(j, result), y, alpha=coefficient)
            return result

        y = self.w
        for j in range(steps):
            y = times_f(j, y)
        return y

    def chebyshev(self, steps: int, order: int, tol: float) -> Tensor | None:
        """Compute p(W) v; None where the recursion is cheaper, or needed."""
        exact_degree = (2 * order + 1) ** steps
        if exact_degree <= 3:  # not worth a look at ‖W‖_F
            return None
        for radius, certain in self.radii():
            p = odd_series(steps, order, radius, tol, certain)
            if exact_degree <= 2 * len(p.c) - 1:
                return None
            y, last = self.series(p, radius, 0.0 if certain or transforming() else tol)
            if certain or transforming() or _shorter(1 / GROWTH, last, self.v):
                return y
        text = f"a singular value above √2 needs the recursion's {exact_degree} products"
        if exact_degree > MOST_PRODUCTS:
            raise ValueError(f"W must be scaled first: {text}.")
        warn_caller(ConvergenceWarning(f"W was not scaled: {text}."))
        return None

    def radii(self) -> Iterable[tuple[float, bool]]:
        """Radii r to try, and whether each is certain to bound ‖W‖₂."""
        W = self.W.detach()
        if transforming():  # nothing can be measured
            return [(RADII[-1], False)]
        # ‖W‖_F is worth a look where ‖W v‖/‖v‖ suggests that it is small: as for a random v.
        length = torch.linalg.vector_norm
        w, v = float(length(self.w.detach())), float(length(self.v.detach()))
        if not w < math.inf:  # a NaN is told apart from a singular value that is too large
            check_tensor(self.W, "W")
            check_tensor(self.v, "v")
        if w * math.sqrt(min(W.shape[-2:])) > 2 * RADII[0] * v:
            return [(r, False) for r in RADII]
        frobenius = 1.01 * float(torch.linalg.matrix_norm(W).max())  # 1 %: rounding of the sum
        if not 0 < frobenius <= RADII[0]:
            return [(r, False) for r in RADII]
        # up to the next eighth of an octave, so that few series are ever computed
        return [(2 ** (math.ceil(8 * math.log2(frobenius)) / 8), True)]

    def series(self, p: Series, radius: float, tol: float) -> tuple[Tensor, Tensor]:
        """Compute Σ_j c_j T_j(W/r) v, and the last T_d(W/r) v up to its sign."""
        # t_{j+1} = (2/r) W t_j − t_{j−1}, with Wᵀ for W where j is odd. The signs of every second
        # pair are turned, which makes one operation of each step: even = ±t_{j−1}, odd = ±t_j.
        even, odd, a = self.v, self.w / radius, 2 / radius
        y = p.c[0] * odd
        for i, coefficient in enumerate(p.c[1:], start=1):
            if i == p.enough and tol and _shorter(p.error * (1 + tol) / tol, self.v, y):
                break
            even = torch.sub(even, self.times_wt(odd), alpha=a)
            odd = torch.add(odd, self.times_w(even), alpha=a)
            y = torch.add(y, odd, alpha=-coefficient if i % 2 else coefficient)
        return y, odd


def _times(A: Tensor, At: Tensor, x: Tensor) -> Tensor:
    """Compute A x for vectors x of shape (…, n); a batch for one A is a single product."""
    if A.ndim == 2:
        return A @ x if x.ndim == 1 else x @ At
    return (A @ x.unsqueeze(-1)).squeeze(-1)


def _step_polynomial(order: int) -> list[float]:
    """The coefficients of f(x) = Σ_j c_j (1 − x)^j in powers of x: 3/2, −1/2 for order 1."""
    series = series_coefficients(order)
    return [
        (-1) ** i * sum(math.comb(j, i) * series[j] for j in range(i, order + 1))
        for i in range(order + 1)
    ]


def _shorter(factor: float, x: Tensor, y: Tensor) -> bool:
    """Whether factor · ‖x‖ ≤ ‖y‖ for all vectors of both."""
    length = torch.linalg.vector_norm
    return bool((factor * length(x.detach(), dim=-1) <= length(y.detach(), dim=-1)).all())


def _check(W: Tensor, v: Tensor, steps: int, order: int, method: str, tol: float) -> None:
    # Whether they are finite, and W not zero, shows in the result: `_look_at`.
    check_tensor(W, "W", min_dim=2, finite=False)
    check_tensor(v, "v", finite=False)
    check_numbers(W, "W")
    check_numbers(v, "v")
    if v.dtype != W.dtype:
        raise TypeError(f"v must have the dtype of W, {W.dtype}; got {v.dtype}.")
    if v.shape[-1] != W.shape[-1]:
        need = f"(…, {W.shape[-1]}) for W of shape {tuple(W.shape)}"
        raise ValueError(f"v must have shape {need}; got {tuple(v.shape)}.")
    if W.ndim > 2:
        try:
            torch.broadcast_shapes(W.shape[:-2], v.shape[:-1])  # type: ignore[no-untyped-call]
        except RuntimeError:
            shapes = f"{tuple(W.shape[:-2])} and {tuple(v.shape[:-1])}"
            text = f"The leading dimensions of W and v must broadcast; got {shapes}."
            raise ValueError(text) from None
    check_integer(steps, "steps")
    if check_integer(order, "order") > HIGHEST_ORDER:
        raise ValueError(f"order must be in 1, …, {HIGHEST_ORDER}; got {shown(order)}.")
    if method not in METHODS:
        raise ValueError(f'method must be "chebyshev" or "recursion"; got {shown(method)}.')
    floor = 1e-13 if W.dtype == torch.float64 else 2e-6
    if check_real(tol, "tol", above=0.0) < floor and method == "chebyshev":
        text = f"tol = {tol} is below {floor}, what {W.dtype} resolves: rounding is larger."
        warn_caller(ConvergenceWarning(text))


def _look_at(y: Tensor, W: Tensor, v: Tensor) -> None:
    """Ask the inputs only where the result is strange: reading all of W costs products."""
    if transforming():
        return
    shortest, longest = torch.linalg.vector_norm(y.detach(), dim=-1).aminmax()
    if float(shortest) > 0 and float(longest) < math.inf:
        return
    check_tensor(W, "W")
    check_tensor(v, "v")
    refuse_zero(W)
    if not bool(torch.isfinite(y).all()):
        text = "bjorck_apply diverged: a singular value lay outside the basin; scale W first."
        warn_caller(ConvergenceWarning(text))
