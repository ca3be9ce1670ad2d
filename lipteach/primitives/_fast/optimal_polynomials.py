"""Odd polynomials of degree 5 that bring singular values to 1 as fast as any can (appendix B.4).

Björck's step of order 2 must suit every σ of its basin and lifts a small one by 15/8 only. If all σ
are known to lie in [low, high], a polynomial can be fitted to that interval: the best one of degree
5 lifts small values by up to 8.5, for the same three matrix products. Best steps, one after the
other, are the best composition (E. S. Gawlik and Y. Nakatsukasa 2021; N. Amsel et al. 2025). The
plain form is Björck's iteration: for a Gaussian matrix of 1024 columns the quintics take 0.67 of
its time, forward and backward (``notebooks/results/bench_orthonormal.json``).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

Coefficients = tuple[float, float, float]
_EXCHANGES = 40
_GRID = 20_000


def best_quintic(low: float, high: float) -> tuple[Coefficients, float]:
    """The odd p(x) = a x + b x³ + c x⁵ nearest to 1 on [low, high], and its largest error.

    By the exchange algorithm of Remez: on four points the error takes the values ±e in turn, and
    the points move to where the error is largest, until they rest.
    """
    grid = torch.linspace(low, high, _GRID, dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    points = low + (high - low) * torch.tensor([0.0, 0.25, 0.75, 1.0], dtype=torch.float64)
    for _ in range(_EXCHANGES):
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
    assert error <= abs(level) * (1 + 1e-6) + 1e-12, "the exchange has not converged"
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
