"""The largest singular value of a large matrix, from above, for the price of about two products.

A singular value decomposition of 1024 × 1024 takes as long as nine products of that size, and the
training step of a layer with 512 samples makes one and a half. Lanczos' method finds σ₁ from below
in some fifty products with a vector; that nothing lies above it is certified by the Cholesky
decomposition of c²I − WᵀW, which exists if and only if ‖W‖₂ < c. Where it does not exist (the start
was orthogonal to the top), the plain form is taken: ``torch.linalg.matrix_norm(W, 2)``.

Nothing is kept from call to call: what was found does not depend on what came before. What a
training step costs, ``make bench ONLY=constraints`` measures.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lipteach.primitives._fast.gram import symmetric_product

MARGIN = 1e-4  # c over what Lanczos found; Cholesky in float32 tells 1e-5 from 0
_FROM = 160  # rows or columns, up to which a decomposition is as quick
_STEPS, _LOOK, _CONVERGED = 60, 10, 1e-5
_SMALL = 1e-6


def worth_it(W: Tensor) -> bool:
    """Whether `norm_from_above` is quicker: for a large float32 matrix, on a CPU or CUDA."""
    large = W.ndim == 2 and min(W.shape) > _FROM
    return large and W.dtype == torch.float32 and W.device.type in ("cpu", "cuda")


def over_norm(W: Tensor) -> Tensor | None:
    """W/c with ‖W‖₂ < c < (1 + 2e-4) ‖W‖₂ up to rounding; None where that is not certified.

    Its gradient is that of W/c with ∂c/∂W = (1 + MARGIN) u vᵀ; there is no second derivative.
    """
    A = W.detach() if W.shape[0] >= W.shape[1] else W.detach().mT
    scale = float(torch.linalg.vector_norm(A, torch.inf))
    if scale == 0:
        return None
    if not _SMALL < scale < 1 / _SMALL:  # squares would vanish or overflow
        A = A / scale
    else:
        scale = 1.0
    gram = symmetric_product(A, A)
    v = _top_eigenvector(gram)
    u = A @ v
    sigma = torch.linalg.vector_norm(u)
    c = (1 + MARGIN) * sigma
    if not _is_below(gram, c.square()) or not bool(torch.isfinite(scale * c)):
        return None
    u = u / sigma
    u, v = (u, v) if W.shape[0] >= W.shape[1] else (v, u)
    return _Ratio.apply(W, scale * c, u, v)  # type: ignore[no-any-return, no-untyped-call]


def _top_eigenvector(G: Tensor) -> Tensor:
    """The eigenvector of the largest eigenvalue by Lanczos' method, all vectors kept orthogonal."""
    n = len(G)
    Q, alpha, beta = G.new_zeros(_STEPS + 1, n), G.new_zeros(_STEPS), G.new_zeros(_STEPS)
    start = torch.arange(1, n + 1, dtype=torch.float64).square().cos()  # without pattern
    Q[0] = torch.nn.functional.normalize(start, dim=0).to(G)
    for j in range(_STEPS):
        w, before = G @ Q[j], Q[: j + 1]
        alpha[j] = w @ Q[j]
        for _ in range(2):  # once is not enough in rounding, twice is
            w = w - before.mT @ (before @ w)
        beta[j] = torch.linalg.vector_norm(w)
        Q[j + 1] = w / beta[j].clamp(min=torch.finfo(G.dtype).tiny)
        if (j + 1) % _LOOK == 0:
            side = beta[:j].diag(1)
            values, vectors = torch.linalg.eigh(alpha[: j + 1].diag() + side + side.mT)
            if bool(beta[j] * vectors[-1, -1].abs() <= _CONVERGED * values[-1]):
                break
    return torch.nn.functional.normalize(before.mT @ vectors[:, -1], dim=0)


def _is_below(G: Tensor, bound: Tensor) -> bool:
    """Whether all eigenvalues of G, which is spent, are below the bound."""
    G.neg_().diagonal().add_(bound)
    return int(torch.linalg.cholesky_ex(G).info) == 0


class _Ratio(torch.autograd.Function):
    """W/c, where u and v are the singular vectors that c stands for."""

    @staticmethod
    def forward(ctx, W, c, u, v):  # type: ignore[no-untyped-def]
        ratio = W / c
        ctx.save_for_backward(ratio, c, u, v)
        return ratio

    @staticmethod
    @once_differentiable
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        ratio, c, u, v = ctx.saved_tensors
        share = torch.dot(g.flatten(), ratio.flatten()) * (1 + MARGIN) / c
        return (g / c).addr_(-share * u, v), None, None, None
