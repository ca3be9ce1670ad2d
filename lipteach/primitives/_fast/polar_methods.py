"""How `polar` finds the factor, in four ways, and its derivative from what finding it has left.

The plain forms are `plain_polar` and `differential` in ``polar.py``. Forward and backward on one
core in float32, "auto" takes 0.6 of the time of the first at n = 16 and 1024, and 0.35 where the
1024 columns are nearly orthonormal; products are what an accelerator is good at. ``make bench
ONLY=orthonormal`` times each way beside torch's own. `by_decomposition` takes 0.14 of the time of
`differential` at n = 64 and 0.33 at n = 1024, and `near_identity` 0.3 and 0.5 for singular values
in [0.95, 1.05].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lipteach.primitives._fast.gram import gram_error, thin_svd, transposed
from lipteach.primitives._fast.polynomials import (
    inverse_root,
    matrix_polynomial,
    optimal_quintics,
    quintic_step,
    rounded_out,
    rounding,
    spectrum_ends,
)
from lipteach.primitives._validate import check_tensor
from lipteach.primitives.norms import gram_bound
from lipteach.primitives.numerical_warnings import ConvergenceWarning, RankWarning
from lipteach.primitives.orthonormal import refuse_zero

BY_PRODUCTS = 160  # columns, from which on a decomposition is not the cheapest way on a CPU
_NEAR = -0.75, 2.0  # the eigenvalues of WᵀW − I for which a polynomial may be the cheapest way
KEPT = 1e-4  # of ‖WᵀW − I‖₂: of a W as near as that the gradient takes H for I
_MOST_STEPS = 100
_RANK = 4  # a singular value below 4 eps of the largest is rounding noise


class Found(NamedTuple):
    """Q, and what its derivative can use: U, σ, V, or two numbers with all of σ between them."""

    Q: Tensor
    bases: tuple[Tensor, Tensor, Tensor] | None = None
    ends: tuple[float, float] | None = None
    warnings: tuple[Warning, ...] = ()


def find(W: Tensor, tol: float, method: str) -> Found:
    """Find Q of W (…, m, n), m ≥ n, in the way that is named, or in the cheapest one."""
    n, on_cpu = W.shape[-1], W.is_cpu
    if method == "svd" or (method == "auto" and on_cpu and n < BY_PRODUCTS):
        found = _by_svd(W, tol)
    else:
        check_tensor(W, "W")
        refuse_zero(W)
        found = _by_products(W, tol, method)
    floor = max(4.0, math.sqrt(n)) * torch.finfo(W.dtype).eps
    if tol < floor:
        text = f"tol = {tol:.1e} is below what {W.dtype} holds for {n} columns, about {floor:.1e}."
        found = found._replace(warnings=(ConvergenceWarning(text), *found.warnings))
    return found


def _by_products(W: Tensor, tol: float, method: str) -> Found:
    """Find Q by matrix products, unless a decomposition is cheaper for "auto"."""
    if method == "bjorck":
        return _by_bjorck(W, tol)
    error = gram_error(W)
    found = _near(W, error, tol)
    if found is not None:
        return found
    if method == "polynomial" or not W.is_cpu:
        return _by_polynomial(W, tol)
    # the Gram matrix again; adding 1 would lose the digits of a small W
    error.diagonal(dim1=-2, dim2=-1).copy_(torch.linalg.vector_norm(W, dim=-2).square())
    return _by_svd(W, tol, error)


def _near(W: Tensor, error: Tensor, tol: float) -> Found | None:
    """Q = W (I + E)^(−½) by a polynomial in E = WᵀW − I; None if W is not near the manifold.

    A W within the tolerance, and within `KEPT`, stays as it is. Else the polynomial takes seven
    tenths of the tolerance, and leaves the rest to rounding: so that a Q that is found stays as it
    is.
    """
    least = torch.linalg.matrix_norm(error).amax() / math.sqrt(W.shape[-1])  # ≤ ‖E‖₂
    if not least.item() <= _NEAR[1]:  # or not finite: squares too large for the dtype
        return None
    low, high = spectrum_ends(error)
    reached = max(-low, high)
    if reached - rounding(W) <= min(tol, KEPT):
        return Found(W.clone(), ends=(1.0, 1.0))
    if low < _NEAR[0] or high > _NEAR[1]:
        return None
    root = inverse_root(*rounded_out(low, high), max(0.7 * tol, 2 * torch.finfo(W.dtype).eps))
    if root is None:
        return None
    Q = W @ matrix_polynomial(*root, error)
    return Found(Q, ends=(math.sqrt(1 + low), math.sqrt(1 + high)))


def _by_svd(W: Tensor, tol: float, gram: Tensor | None = None) -> Found:
    """Q = U Vᵀ; one step of Björck more where tol is less than what U Vᵀ is sure to keep."""
    try:
        U, sigma, V = thin_svd(W, gram, tol)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        check_tensor(W, "W")
        raise
    Q, eps = U @ V.mT, torch.finfo(W.dtype).eps
    if tol < 1.5 * math.sqrt(W.shape[-1]) * eps:
        Q = Q - Q @ gram_error(Q) / 2
    # The cheapest look at W: finite, not zero, of full rank; only if it is strange come others.
    values = sigma.flatten().tolist()
    sound = sum(values) < math.inf and min(values) > _RANK * eps * max(values)
    if sound or not _lacks_rank(W, sigma):
        return Found(Q, (U, sigma, V))
    ratio = float((sigma.amin(dim=-1) / sigma.amax(dim=-1)).min())
    text = (
        f"W lacks full rank: its singular values reach down to {ratio:.0e} of the largest, "
        f"within rounding of 0 in {sigma.dtype}; its polar factor is not unique."
    )
    return Found(Q, warnings=(RankWarning(text),))


def _by_bjorck(W: Tensor, tol: float) -> Found:
    """Björck's steps of order 1 behind a true bound of ‖W‖₂, until the tolerance."""
    X, floor = _scaled(W)
    return _finish(W, X, tol, floor, lambda X, error: X - X @ error / 2)


def _by_polynomial(W: Tensor, tol: float) -> Found:
    """Optimal quintics for σ in [1e-3, 1] of a true bound, then the series near the manifold."""
    X, floor = _scaled(W)
    for a, b, c in optimal_quintics():
        X = quintic_step(X, (a, b, c))
        floor = min(1.0, abs(floor * (a + b * floor**2 + c * floor**4)))

    def step(X: Tensor, error: Tensor) -> Tensor:
        found = _near(X, error, tol)
        return X - X @ error / 2 if found is None else found.Q

    return _finish(W, X, tol, floor, step)


def _scaled(W: Tensor) -> tuple[Tensor, float]:
    """W below norm 1, and what is noise on that scale."""
    X = W / W.abs().amax(dim=(-2, -1), keepdim=True)  # no eighth power overflows
    bound = gram_bound(X)[..., None, None]
    return X / (bound * 1.0001), _noise(W)  # a little more, for rounding


def _finish(
    W: Tensor, X: Tensor, tol: float, floor: float, step: Callable[[Tensor, Tensor], Tensor]
) -> Found:
    """Repeat the step until ‖XᵀX − I‖ ≤ tol; say what was not reached, and a lack of rank.

    `floor` follows a singular value of rounding noise. Once that has grown, what converges may be
    noise, and only the singular values of W can tell.
    """
    noise = rounding(W)
    for _ in range(_MOST_STEPS):
        error = gram_error(X)
        ends = spectrum_ends(error)
        reached = max(-ends[0], ends[1])
        done = reached <= max(tol, 2 * noise)
        if floor > (0.01 if done else 0.99):
            if _lacks_rank(W, torch.linalg.svdvals(W)):
                return _by_svd(W, tol)
            floor = 0.0  # asked once
        if done:
            if reached - noise > tol:  # not there yet, and no estimate would show it
                X = X - X @ error / 2
            break
        X = step(X, error)
        floor *= 1.5 - floor**2 / 2
    else:
        text = f"polar stopped after {_MOST_STEPS} steps at ‖QᵀQ − I‖ = {reached:.1e}"
        return Found(X, warnings=(ConvergenceWarning(f"{text}; tol is {tol:.1e}."),))
    return Found(X)


def _lacks_rank(W: Tensor, sigma: Tensor) -> bool:
    check_tensor(W, "W")
    refuse_zero(W)
    return not bool((sigma.amin(dim=-1) > _noise(sigma) * sigma.amax(dim=-1)).all())


def _noise(x: Tensor) -> float:
    return _RANK * torch.finfo(x.dtype).eps


def by_decomposition(U: Tensor, sigma: Tensor, V: Tensor, G: Tensor) -> Tensor:
    """Divide in the bases U and V, where the equation is diagonal; four products."""
    GV = G @ V
    A = U.mT @ GV
    M = (A - transposed(A)).div_(sigma[..., :, None] + sigma[..., None, :])
    if U.shape[-2] == U.shape[-1]:
        return U @ M @ V.mT
    over = sigma[..., None, :]
    return GV.div_(over).add_(U @ M.addcdiv_(A, over, value=-1)) @ V.mT


def near_identity(W: Tensor, Q: Tensor, low: float, high: float, G: Tensor) -> Tensor:
    """Iterate after Chebyshev: with Y antisymmetric, Y H = −(H Y)ᵀ, so a step is one product."""
    A = Q.mT @ G
    if low == high == 1:  # H = I: G is projected on the tangent space
        return G - Q @ (transposed(A).add_(A).mul_(0.5))
    H = Q.mT @ W
    Y = _chebyshev_sylvester(H, A - transposed(A), low, high)
    if W.shape[-2] == W.shape[-1]:
        return Q @ Y
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(H))
    return Q @ Y.sub_(A @ inverse) + G @ inverse


def _chebyshev_sylvester(H: Tensor, K: Tensor, low: float, high: float) -> Tensor:
    """Solve HY + YH = K for antisymmetric K, which is overwritten, and low ≤ H ≤ high, low > 0.

    The operator Y ↦ HY + YH has eigenvalues in [2 low, 2 high]. After k steps the residual is at
    most 2 ρ^(−k) of K, ρ = (√κ + 1)/(√κ − 1), κ = high/low.
    """
    middle, half = low + high, high - low
    root = math.sqrt(high / low)
    rate = (root - 1) / (root + 1)
    tol = 16 * torch.finfo(H.dtype).eps
    steps = max(1, math.ceil(math.log(tol / 2) / math.log(rate))) if rate > 0 else 1
    residual, step = K, K / middle  # K is not needed again; nothing large is allocated in the loop
    Y, product, rho = step.clone(), torch.empty_like(step), half / middle
    for _ in range(steps - 1):
        torch.matmul(H, step, out=product)
        residual.sub_(product).add_(transposed(product))
        new = 1 / (2 * middle / half - rho)
        step.mul_(rho * new).add_(residual, alpha=2 * new / half)
        Y.add_(step)
        rho = new
    return Y
