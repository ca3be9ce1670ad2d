"""How `polar` finds the factor: near the manifold, by decomposition, by Björck, by quintics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lipteach.primitives._optimal_polynomials import optimal_quintics, quintic_step
from lipteach.primitives._spectrum import (
    inverse_root,
    matrix_polynomial,
    rounded_out,
    spectrum_ends,
)
from lipteach.primitives._symmetric import symmetric_product
from lipteach.primitives._thin_svd import thin_svd
from lipteach.primitives.cautions import ConvergenceWarning, RankWarning

_NEAR = 0.75  # ‖WᵀW − I‖ up to which the series of (1 + x)^(−½) is the cheapest way
_MOST_STEPS = 100
_LEVEL = 7  # the level of the warnings: the caller of `polar`
RANK = 4  # a singular value below 4 eps of the largest is rounding noise


class Found(NamedTuple):
    """Q, and what its derivative needs: σ with U and V, or two ends of σ and empty U, V."""

    Q: Tensor
    sigma: Tensor
    U: Tensor
    V: Tensor


def gram_error(W: Tensor) -> Tensor:
    """WᵀW − I."""
    error = symmetric_product(W, W)
    error.diagonal(dim1=-2, dim2=-1).sub_(1)
    return error


def near(W: Tensor, error: Tensor, tol: float) -> Found | None:
    """Q = W (I + E)^(−½) by a polynomial in E = WᵀW − I; None if W is not near the manifold.

    The polynomial takes four fifths of the tolerance, and leaves the rest to rounding.
    """
    if not math.isfinite(float(error.sum())):  # squares too large for the dtype
        return None
    low, high = spectrum_ends(error)
    if max(-low, high) > _NEAR:
        return None
    root = inverse_root(*rounded_out(low, high), max(0.8 * tol, 2 * torch.finfo(W.dtype).eps))
    if root is None:
        return None
    Q = W @ matrix_polynomial(*root, error)
    return Found(Q, _ends(W, low, high), *_no_bases(W))


def _ends(W: Tensor, low: float, high: float) -> Tensor:
    ends = torch.tensor([math.sqrt(1 + low), math.sqrt(1 + high)], dtype=W.dtype, device=W.device)
    return ends.expand(*W.shape[:-2], 2)


def _no_bases(W: Tensor) -> tuple[Tensor, Tensor]:
    return W.new_empty(*W.shape[:-2], 0, 0), W.new_empty(*W.shape[:-2], 0, 0)


def by_svd(W: Tensor, tol: float, gram: Tensor | None = None, level: int = _LEVEL) -> Found:
    """Q = U Vᵀ; one step of Björck more where tol is less than what U Vᵀ is sure to keep."""
    U, sigma, V = thin_svd(W, gram)
    _say_rank(sigma, level)
    Q = U @ V.mT
    if tol < 1.5 * math.sqrt(W.shape[-1]) * torch.finfo(W.dtype).eps:
        Q = Q - Q @ gram_error(Q) / 2
    return Found(Q, sigma, U, V)


def by_bjorck(W: Tensor, tol: float) -> Found:
    """Björck's steps of order 1 behind a true bound of ‖W‖₂, until the tolerance."""
    X, floor = _scaled(W)
    return _finish(W, X, tol, floor, lambda X, error: X - X @ error / 2)


def by_polynomial(W: Tensor, tol: float) -> Found:
    """Optimal quintics for σ in [1e-3, 1] of a true bound, then the series near the manifold."""
    X, floor = _scaled(W)
    for a, b, c in optimal_quintics():
        X = quintic_step(X, (a, b, c))
        floor = min(1.0, abs(floor * (a + b * floor**2 + c * floor**4)))

    def step(X: Tensor, error: Tensor) -> Tensor:
        found = near(X, error, tol)
        return X - X @ error / 2 if found is None else found.Q

    return _finish(W, X, tol, floor, step)


def _scaled(W: Tensor) -> tuple[Tensor, float]:
    """W below norm 1, by the bound ‖(WᵀW)²‖_F^¼, and what is noise on that scale."""
    largest = W.abs().amax(dim=(-2, -1), keepdim=True)
    X = W / largest
    gram = X.mT @ X
    bound = torch.linalg.matrix_norm(gram @ gram, keepdim=True).pow(0.25)
    return X / (bound * 1.0001), RANK * torch.finfo(W.dtype).eps  # a little more, for rounding


def _finish(
    W: Tensor, X: Tensor, tol: float, floor: float, step: Callable[[Tensor, Tensor], Tensor]
) -> Found:
    """Repeat the step until ‖XᵀX − I‖ ≤ tol; say what was not reached, and a lack of rank.

    `floor` follows a singular value of rounding noise. Once that has grown, what converges may be
    noise, and only the singular values of W can tell.
    """
    rounding = 4 * math.sqrt(W.shape[-1]) * torch.finfo(W.dtype).eps  # added by `spectrum_ends`
    for _ in range(_MOST_STEPS):
        error = gram_error(X)
        ends = spectrum_ends(error)
        reached = max(-ends[0], ends[1])
        done = reached <= max(tol, 2 * rounding)
        if floor > (0.01 if done else 0.99):
            if _lacks_rank(torch.linalg.svdvals(W)):
                return by_svd(W, tol, level=_LEVEL + 2)
            floor = 0.0  # asked once
        if done:
            if reached - rounding > tol:  # not there yet, and no estimate would show it
                X = X - X @ error / 2
            break
        X = step(X, error)
        floor *= 1.5 - floor**2 / 2
    else:
        text = f"polar stopped after {_MOST_STEPS} steps at ‖QᵀQ − I‖ = {reached:.1e}"
        warnings.warn(f"{text}; tol is {tol:.1e}.", ConvergenceWarning, stacklevel=_LEVEL)
    return Found(X, W.new_empty(*W.shape[:-2], 0), *_no_bases(W))


def _lacks_rank(sigma: Tensor) -> bool:
    least = RANK * torch.finfo(sigma.dtype).eps
    return not bool((sigma.amin(dim=-1) > least * sigma.amax(dim=-1)).all())


def _say_rank(sigma: Tensor, level: int) -> None:
    if _lacks_rank(sigma):
        ratio = float((sigma.amin(dim=-1) / sigma.amax(dim=-1)).min())
        text = (
            f"W lacks full rank: its singular values reach down to {ratio:.0e} of the largest, "
            f"within rounding of 0 in {sigma.dtype}; its polar factor is not unique."
        )
        warnings.warn(text, RankWarning, stacklevel=level)
