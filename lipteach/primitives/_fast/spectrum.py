"""What polar factors near the manifold need: the ends of a spectrum, and a polynomial of a matrix.

The plain form is a decomposition: the whole way, "auto" of `polar`, takes 0.68 of the time of "svd"
at 1024 columns with 2 % noise (``notebooks/results/bench_orthonormal.json``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lipteach.primitives._fast.symmetric import symmetric_product

_LANCZOS_STEPS = 10
_MARGIN = 0.08  # ten steps miss an end by some 4 % of the width at n = 1024


def spectrum_ends(S: Tensor) -> tuple[float, float]:
    """An interval around the eigenvalues of symmetric S (…, n, n), of all matrices of the batch.

    Exact up to n = 32; beyond, ten steps of Lanczos from a fixed random start, with a margin of
    8 % of the width on both sides: ten matrix-vector products, a hundredth of a matrix product
    each.
    """
    n = S.shape[-1]
    if n <= 32:
        eigenvalues = torch.linalg.eigvalsh(S)
        margin = 0.0
    else:
        eigenvalues = torch.linalg.eigvalsh(_lanczos(S))
        margin = _MARGIN
    low, high = float(eigenvalues.min()), float(eigenvalues.max())
    wider = margin * (high - low) + 4 * math.sqrt(n) * torch.finfo(S.dtype).eps
    return low - wider, high + wider


def rounded_out(low: float, high: float) -> tuple[float, float]:
    """The interval in whole hundredths, a little wider: so that `inverse_root` meets it again."""
    return math.floor(100 * low) / 100, math.ceil(100 * high + 1e-6) / 100


def _lanczos(S: Tensor) -> Tensor:
    """The tridiagonal matrix of Lanczos, every vector orthogonalized against all before it."""
    start = torch.randn(S.shape[-1], generator=torch.Generator().manual_seed(0)).to(S)
    basis = S.new_zeros(*S.shape[:-2], _LANCZOS_STEPS + 1, S.shape[-1])  # its vectors are rows
    basis[..., 0, :] = start / start.norm()
    T = S.new_zeros(*S.shape[:-2], _LANCZOS_STEPS, _LANCZOS_STEPS)
    for j in range(_LANCZOS_STEPS):
        known = basis[..., : j + 1, :]
        new = S @ basis[..., j, :, None]
        along = known @ new
        T[..., j, j] = along[..., j, 0]
        noise = 50 * torch.finfo(S.dtype).eps * torch.linalg.vector_norm(new, dim=(-2, -1))
        new = new - known.mT @ along
        length = torch.linalg.vector_norm(new, dim=(-2, -1))
        more = length > noise  # else the space is exhausted: zeros, and not noise, go on
        basis[..., j + 1, :] = new[..., 0] / torch.where(more, length, math.inf)[..., None]
        if j + 1 < _LANCZOS_STEPS:
            T[..., j, j + 1] = T[..., j + 1, j] = torch.where(more, length, 0.0)
    return T


# The highest degree that a number of matrix products reaches, and the powers that are formed
# (Paterson and Stockmeyer): degree, block length.
SCHEMES = ((1, 1), (2, 2), (4, 2), (6, 3), (9, 3), (12, 4), (16, 4))


@lru_cache(maxsize=64)
def inverse_root(low: float, high: float, tol: float) -> tuple[list[float], int] | None:
    """Coefficients of p, near (1 + x)^(−½) on [low, high], and a block length for them.

    p interpolates at Chebyshev's points, in the least scheme of ``SCHEMES`` for which, on a fine
    grid, |(1 + x) p(x)² − 1| ≤ tol: so much is ‖QᵀQ − I‖ for Q = W p(WᵀW − I). None if no scheme
    does, or if the interval comes near to −1.
    """
    if low <= -0.99:
        return None
    grid = torch.linspace(low, high, 200, dtype=torch.float64)
    for degree, block in SCHEMES:
        angles = (torch.arange(degree + 1, dtype=torch.float64) + 0.5) * math.pi / (degree + 1)
        nodes = (low + high) / 2 + (high - low) / 2 * torch.cos(angles)
        powers = torch.linalg.vander(nodes, N=degree + 1)
        coefficients = torch.linalg.solve(powers, (1 + nodes).rsqrt())
        p = torch.linalg.vander(grid, N=degree + 1) @ coefficients
        if float(((1 + grid) * p.square() - 1).abs().max()) <= tol:
            return coefficients.tolist(), block
    return None


def matrix_polynomial(coefficients: Sequence[float], block: int, E: Tensor) -> Tensor:
    """Σ_k c_k E^k for symmetric E (…, n, n), by Horner's rule over blocks of `block` powers."""
    powers = [E]
    while len(powers) < block:
        powers.append(symmetric_product(powers[-1], E))
    if len(coefficients) == block + 1:  # one block and the highest power, which is free to be used
        result = powers.pop().mul_(coefficients[-1]) if block > 1 else coefficients[-1] * E
        return _add(result, coefficients[:-1], powers)
    chunks = [coefficients[i : i + block] for i in range(0, len(coefficients), block)]
    if len(chunks) > 1 and len(chunks[-1]) == 1:  # the highest power needs no block of its own
        *chunks, (top,) = chunks
        result = _combine(chunks.pop(), powers).add_(powers[-1], alpha=top)
    else:
        result = _combine(chunks.pop(), powers)
    while chunks:
        result = _combine(chunks.pop(), powers).add_(symmetric_product(result, powers[-1]))
    return result


def _combine(chunk: Sequence[float], powers: Sequence[Tensor]) -> Tensor:
    """c₀ I + c₁ E + c₂ E² + …."""
    if len(chunk) == 1:
        return _add(torch.zeros_like(powers[0]), chunk, [])
    return _add(chunk[1] * powers[0], [chunk[0], *chunk[2:]], powers[1:])


def _add(result: Tensor, chunk: Sequence[float], powers: Sequence[Tensor]) -> Tensor:
    """Add c₀ I and the other coefficients times the powers, in place."""
    for c, power in zip(chunk[1:], powers, strict=False):
        result.add_(power, alpha=c)
    result.diagonal(dim1=-2, dim2=-1).add_(chunk[0])
    return result
