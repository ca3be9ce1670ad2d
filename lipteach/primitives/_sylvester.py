"""The Sylvester equation of a symmetric matrix, differentiable any number of times."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def solve_sylvester(H: Tensor, K: Tensor) -> Tensor:
    """Return Y with HY + YH = K for symmetric positive H, both (…, n, n)."""
    Y: Tensor = _Sylvester.apply(H, K)  # type: ignore[no-untyped-call]
    return Y


class _Sylvester(torch.autograd.Function):
    """A division between the eigenvectors of H, whose own derivative would break at ties."""

    @staticmethod
    def forward(H: Tensor, K: Tensor) -> Tensor:
        eigenvalues, V = torch.linalg.eigh((H + H.mT) / 2)
        inside: Tensor = V.mT @ K @ V
        inside = inside * _inverse(eigenvalues[..., :, None] + eigenvalues[..., None, :])
        Y: Tensor = V @ inside @ V.mT
        return Y

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


def _inverse(x: Tensor) -> Tensor:
    """Return 1/x, and 0 where rounding has the last word: there no derivative exists."""
    least = torch.finfo(x.dtype).eps * x.amax(dim=-1, keepdim=True)
    return torch.where(x > least, 1 / x, 0.0)
