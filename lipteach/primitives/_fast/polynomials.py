"""Odd polynomials that bring singular values to 1: of degree 5 from afar, and W p(WᵀW − I) near it.

Björck's step of order 2 must suit every σ of its basin and lifts a small one by 15/8 only. If all σ
are known to lie in [low, high], a polynomial can be fitted to that interval: the best one of degree
5 lifts small values by up to 8.5, for the same three matrix products. Best steps, one after the
other, are the best composition (E. S. Gawlik and Y. Nakatsukasa 2021; N. Amsel et al. 2025).

The plain forms are Björck's iteration and a decomposition. For a Gaussian matrix of 1024 columns
the quintics take 0.67 of Björck's time, forward and backward; at 2 % noise "auto" of `polar` takes
0.68 of the time of "svd" (``notebooks/results/bench_orthonormal.json``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import torch
from torch import Tensor

from lipteach.primitives._fast.gram import symmetric_product

Coefficients = tuple[float, float, float]
_LANCZOS_STEPS = 10
_MARGIN = 0.1  # ten steps miss an end by 4 % of the width at n = 1024, by 9 at worst at n = 40


def best_quintic(low: float, high: float) -> tuple[Coefficients, float]:
    """The odd p(x) = a x + b x³ + c x⁵ nearest to 1 on [low, high], and its largest error.

    By the exchange algorithm of Remez: on four points the error takes the values ±e in turn, and
    the points move to where the error is largest, until they rest.
    """
    grid = torch.linspace(low, high, 20_000, dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    points = low + (high - low) * torch.tensor([0.0, 0.25, 0.75, 1.0], dtype=torch.float64)
    for _ in range(40):
        system = torch.stack((points, points**3, points**5, signs), dim=1)
        a, b, c, level = torch.linalg.solve(system, torch.ones(4, dtype=torch.float64)).tolist()
        # The error has two extrema inside, where its derivative a + 3b x² + 5c x⁴ is 0.
        root = max(9 * b * b - 20 * a * c, 0.0) ** 0.5
        inner = sorted(((-3 * b + s * root) / (10 * c)) ** 0.5 for s in (-1, 1))
        moved = torch.tensor([low, *inner, high], dtype=torch.float64).clamp(low, high)
        if torch.allclose(moved, points, rtol=1e-13, atol=0):
            break
        points = moved
    error = float((1 - (a * grid + b * grid**3 + c * grid**5)).abs().max())
    if not error <= abs(level) * (1 + 1e-6) + 1e-12:
        raise ArithmeticError(f"The exchange has not converged on [{low}, {high}].")
    return (a, b, c), error


@cache
def optimal_quintics(low: float = 1e-3, error: float = 0.25) -> tuple[Coefficients, ...]:
    """Best quintics, one after the other, that bring every σ in [low, 1] to within `error` of 1.

    Each is the best one on the interval that the one before leaves.

    >>> len(optimal_quintics(1e-3)), len(optimal_quintics(0.5))
    (5, 1)
    """
    high, steps = 1.0, []
    while True:
        coefficients, worst = best_quintic(low, high)
        steps.append(coefficients)
        if worst <= error:
            return tuple(steps)
        low, high = 1 - worst, 1 + worst


def quintic_step(W: Tensor, coefficients: Coefficients) -> Tensor:
    """W (a I + b WᵀW + c (WᵀW)²): three products, for W (…, m, n) with m ≥ n."""
    a, b, c = coefficients
    gram = W.mT @ W
    factor = b * gram + c * (gram @ gram)
    return a * W + W @ factor


def spectrum_ends(S: Tensor) -> tuple[float, float]:
    """An interval around the eigenvalues of symmetric S (…, n, n), of all matrices of the batch.

    Exact up to n = 32; beyond, ten steps of Lanczos from a fixed random start, with a margin of
    10 % of the width on both sides: ten matrix-vector products, a hundredth of a matrix product
    each.
    """
    n = S.shape[-1]
    matrix, margin = (S, 0.0) if n <= 32 else (_lanczos(S), _MARGIN)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    low, high = float(eigenvalues.min()), float(eigenvalues.max())
    wider = margin * (high - low) + rounding(S)
    return low - wider, high + wider


def rounding(S: Tensor) -> float:
    """What `spectrum_ends` adds for the rounding of products."""
    return 4 * math.sqrt(S.shape[-1]) * torch.finfo(S.dtype).eps


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
        new = new - known.mT @ (known @ new)  # once more: a short rest would not be orthogonal
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
