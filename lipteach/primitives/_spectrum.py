"""What polar factors need of symmetric matrices: the ends of a spectrum, and a polynomial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lipteach.primitives._symmetric import symmetric_product

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
    start = torch.randn(S.shape[-1], 1, generator=torch.Generator().manual_seed(0)).to(S)
    basis = (start / start.norm()).expand(*S.shape[:-1], 1)  # (…, n, j)
    diagonal, beside = [], []
    noise = torch.zeros(())
    for _ in range(_LANCZOS_STEPS):
        last = basis[..., -1:]
        new = S @ last
        noise = torch.maximum(noise.to(S), 50 * torch.finfo(S.dtype).eps * _length(new))
        diagonal.append((last * new).sum((-2, -1)))
        new = new - basis @ (basis.mT @ new)
        length = _length(new)
        more = length > noise  # else the space is exhausted: zeros, and not noise, go on
        beside.append(torch.where(more, length, 0.0)[..., 0, 0])
        basis = torch.cat((basis, torch.where(more, new / length, 0.0)), dim=-1)
    off = torch.stack(beside[:-1], dim=-1)
    return (
        torch.diag_embed(torch.stack(diagonal, dim=-1))
        + torch.diag_embed(off, 1)
        + torch.diag_embed(off, -1)
    )


def _length(column: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(column, dim=-2, keepdim=True)
    return length


# The highest degree that a number of matrix products reaches, and the powers that are formed
# (Paterson and Stockmeyer): degree, block length.
SCHEMES = ((1, 2), (2, 2), (4, 2), (6, 3), (9, 3), (12, 4), (16, 4))


def fit_polynomial(
    function: Callable[[Tensor], Tensor], low: float, high: float, tol: float
) -> tuple[list[float], int] | None:
    """Coefficients of a polynomial within tol of the function on [low, high], and a block length.

    It interpolates at Chebyshev's points, in the least scheme of ``SCHEMES`` that is good enough;
    the error is measured on a fine grid. None if the highest degree does not suffice.
    """
    grid = torch.linspace(low, high, 200, dtype=torch.float64)
    for degree, block in SCHEMES:
        angles = (torch.arange(degree + 1, dtype=torch.float64) + 0.5) * math.pi / (degree + 1)
        nodes = (low + high) / 2 + (high - low) / 2 * torch.cos(angles)
        powers = torch.linalg.vander(nodes, N=degree + 1)
        coefficients = torch.linalg.solve(powers, function(nodes))
        values = torch.linalg.vander(grid, N=degree + 1) @ coefficients
        if float((values - function(grid)).abs().max()) <= tol:
            return coefficients.tolist(), block
    return None


@lru_cache(maxsize=64)
def inverse_root(low: float, high: float, tol: float) -> tuple[list[float], int] | None:
    """`fit_polynomial` of (1 + x)^(−½), which needs low > −1."""
    return fit_polynomial(lambda x: (1 + x).rsqrt(), low, high, tol) if low > -0.99 else None


def matrix_polynomial(coefficients: Sequence[float], block: int, E: Tensor) -> Tensor:
    """Σ_k c_k E^k for symmetric E (…, n, n), by Horner's rule over blocks of `block` powers."""
    powers = [E]
    while len(powers) < block:
        powers.append(symmetric_product(powers[-1], E))
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
    result = chunk[1] * powers[0] if len(chunk) > 1 else torch.zeros_like(powers[0])
    for c, power in zip(chunk[2:], powers[1:], strict=False):
        result.add_(power, alpha=c)
    result.diagonal(dim1=-2, dim2=-1).add_(chunk[0])
    return result
