r"""The exact derivative of the polar factor, by implicit differentiation (appendix B.4).

W = Q H with H = (WᵀW)^½, for W (…, m, n) with m ≥ n. Differentiate H = QᵀW, which is symmetric, and
QᵀQ = I: a change dW turns Q by

    dQ = Q Y + (I − Q Qᵀ) dW H⁻¹,    H Y + Y H = Qᵀ dW − dWᵀ Q,    Y antisymmetric.

This linear map of dW is its own transpose, so that one function serves forward and backward mode.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def derivative(W: Tensor, Q: Tensor, sigma: Tensor, U: Tensor, V: Tensor, G: Tensor) -> Tensor:
    """Apply the derivative at W to G, both (…, m, n), by what the forward pass has left.

    Where it left the singular values with U and V, they solve the equation in closed form. Where it
    left only two ends of the spectrum, σ is near 1 and Chebyshev's iteration solves it. Where it
    left nothing, or a graph is asked for, functions do it that can be differentiated again. They
    serve vmap too, torch.func's and the one of torch.autograd, where the others write in place.
    """
    with torch.autocast(W.device.type, enabled=False):
        G = G.to(W.dtype)
        if torch.is_grad_enabled() or _batched(G) or not sigma.numel():
            return _with_graph(W, Q, G)
        if V.numel():
            return _by_decomposition(sigma, U, V, G)
        return _near_identity(W, Q, sigma, G)


def _batched(G: Tensor) -> bool:
    functorch = torch._C._functorch
    return torch._C._are_functorch_transforms_active() or functorch.is_legacy_batchedtensor(G)


def _with_graph(W: Tensor, Q: Tensor, G: Tensor) -> Tensor:
    QtG, H = Q.mT @ G, Q.mT @ W
    result = Q @ solve_sylvester(H, QtG - QtG.mT)
    if W.shape[-2] > W.shape[-1]:
        result = result + torch.linalg.solve(H, G - Q @ QtG, left=False)
    return result


def _by_decomposition(sigma: Tensor, U: Tensor, V: Tensor, G: Tensor) -> Tensor:
    """In the bases U and V the equation is a division; four products."""
    GV = G @ V
    A = U.mT @ GV
    M = (A - A.mT) * _inverse(sigma[..., :, None] + sigma[..., None, :])
    if U.shape[-2] == U.shape[-1]:
        return U @ M @ V.mT
    over = _inverse(sigma)[..., None, :]
    return (U @ M.addcmul_(A, over, value=-1) + GV.mul_(over)) @ V.mT


def _inverse(x: Tensor) -> Tensor:
    """1/x, and 0 where rounding has the last word: there no derivative exists."""
    least = torch.finfo(x.dtype).eps * x.amax(dim=-1, keepdim=True)
    return torch.where(x > least, 1 / x, 0.0)


def _near_identity(W: Tensor, Q: Tensor, ends: Tensor, G: Tensor) -> Tensor:
    """Chebyshev's iteration: with Y antisymmetric, Y H = −(H Y)ᵀ, so that a step is one product."""
    low, high = float(ends[..., 0].min()), float(ends[..., 1].max())
    A, H = Q.mT @ G, Q.mT @ W
    Y = _chebyshev_sylvester(H, A - A.mT, low, high)
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
        residual.sub_(product).add_(product.mT)
        new = 1 / (2 * middle / half - rho)
        step.mul_(rho * new).add_(residual, alpha=2 * new / half)
        Y.add_(step)
        rho = new
    return Y


class _Sylvester(torch.autograd.Function):
    """Y with HY + YH = K, H symmetric: a division between the eigenvectors of H."""

    @staticmethod
    def forward(H: Tensor, K: Tensor) -> Tensor:
        eigenvalues, V = torch.linalg.eigh((H + H.mT) / 2)
        return _divide(eigenvalues, V, K)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        H, Y = ctx.saved_tensors
        K = solve_sylvester(H, grad)  # the operator is its own transpose
        return -(K @ Y.mT + Y.mT @ K), K

    @staticmethod
    def jvp(ctx: Any, dH: Tensor, dK: Tensor) -> Tensor:
        H, Y = ctx.saved_tensors
        return solve_sylvester(H, dK - dH @ Y - Y @ dH)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, Any], H: Tensor, K: Tensor) -> tuple[Tensor, int]:
        H, K = (
            x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip((H, K), in_dims, strict=True)
        )
        while H.ndim < K.ndim:
            H = H.unsqueeze(1)
        return solve_sylvester(H, K), 0


def _divide(eigenvalues: Tensor, V: Tensor, K: Tensor) -> Tensor:
    inside = V.mT @ K @ V
    return V @ (inside * _inverse(eigenvalues[..., :, None] + eigenvalues[..., None, :])) @ V.mT


def solve_sylvester(H: Tensor, K: Tensor) -> Tensor:
    """Y with HY + YH = K for symmetric positive H, differentiable any number of times."""
    result: Tensor = _Sylvester.apply(H, K)  # type: ignore[no-untyped-call]
    return result
