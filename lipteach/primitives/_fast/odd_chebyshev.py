r"""The scalar polynomial of Björck's iteration, cut to the degree that a tolerance needs.

k steps of order p carry a singular value σ to $g_k(\sigma)$, an odd polynomial of degree
$(2p + 1)^k$. Its series $\sum_j c_j T_j(\sigma / r)$ in odd Chebyshev polynomials on [0, r] falls
geometrically from a degree of about $1.5^k$ (order 1): what is left out beyond degree d is E.

The plain form is `bjorck` and a product. On one vector, 1000 × 1000 scaled by (11), the series is
160 to 390 times faster for 1 to 10 steps (``notebooks/results/bench_bjorck_apply.json``).
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from lipteach.primitives._torch_private import assume_constant
from lipteach.primitives.orthonormal import scalar_map

LARGEST_BASIN = (math.sqrt(3), math.sqrt(7 / 3), 1.5893, 1.4944, 1.5384, 1.4776)
"""By order: where the basin of 1 that begins at 0 ends; from the third on rounded up."""

GROWTH = 1.25
"""How long T_d(W/r) v may be, over v, before r is rejected as no bound of ‖W‖₂."""

MOST_SAMPLES = 2**18


class Series(NamedTuple):
    """The coefficients c_1, c_3, …, how many of them are `enough` for most v, and their error."""

    c: list[float]
    enough: int
    error: float


@assume_constant
def odd_series(steps: int, order: int, radius: float, tol: float, certain: bool) -> Series:
    r"""The coefficients $c_1, c_3, \dots, c_d$ of the shortest series p that tol admits.

    On (0, radius] it holds that |p − g| ≤ tol g, so that p(W) v errs by at most tol ‖A_k v‖ for
    every v if ‖W‖₂ ≤ radius. With only the first `enough` of them, |p − g| ≤ `error`, about
    ¾ tol: as good for a v which A_k does not shorten by much more than that.

    If radius is not ``certain`` to bound ‖W‖₂, it holds for both beyond it, up to the end of the
    basin, that |p(σ) − g(σ)| ≤ tol T_d(σ/radius) / `GROWTH`: a part of v there does no more harm
    than tol ‖v‖, unless it makes ‖T_d(W/radius) v‖ exceed `GROWTH` ‖v‖.
    """
    return _odd_series(steps, order, radius, tol, certain)


@functools.lru_cache(maxsize=256)
def _odd_series(steps: int, order: int, radius: float, tol: float, certain: bool) -> Series:
    c = chebyshev_coefficients(steps, order, radius)
    degree = torch.arange(len(c), dtype=torch.float64)
    # Beyond degree d, with |T_j(x)| ≤ min(1, j x): |p − g|(radius · x) ≤ min(E, J x). On [0, 1] g
    # is increasing and concave, so that min(E, J x)/g is largest where x = E/J; above 1, g is at
    # least what it is at 1 or at the end.
    E = c.abs().flip(0).cumsum(0).flip(0)[1:]
    J = (degree * c.abs()).flip(0).cumsum(0).flip(0)[1:]
    ends = torch.stack([torch.where(J > 0, radius * E / J, radius), torch.full_like(E, radius)])
    within = E / scalar_map(ends.clamp(max=radius), steps, order).amin(dim=0)
    degrees = [
        1 + 2 * int((error[1::2] > limit).sum())
        for error, limit in ((within, tol), (E, 0.75 * tol))
    ]
    if not certain:
        degrees = [_enough_beyond(c, d, steps, order, radius, tol) for d in degrees]
    d, enough = degrees
    coefficients = [float(one) for one in c[1 : d + 1 : 2]]
    return Series(coefficients, (min(enough, d) + 1) // 2, float(E[min(enough, d)]))


def _enough_beyond(c: Tensor, d: int, steps: int, order: int, radius: float, tol: float) -> int:
    """The degree d, raised until no part of v beyond the radius does harm unseen."""
    while d < len(c) - 3 and GROWTH * _beyond(c[: d + 1], steps, order, radius) > tol:
        d = min(d + 2 + 2 * (d // 100), len(c) - 2)
    return d


def chebyshev_coefficients(steps: int, order: int, radius: float) -> Tensor:
    """c_0, c_1, …, by the fast Fourier transform; rounding noise and even entries are 0."""
    samples = 64
    while samples <= MOST_SAMPLES:
        angle = torch.arange(samples, dtype=torch.float64) * (2 * math.pi / samples)
        values = scalar_map(radius * angle.cos(), steps, order)
        c: Tensor = torch.fft.rfft(values).real * (2 / samples)
        c[::2] = 0
        c[c.abs() < 1e-15 * c.abs().max()] = 0
        if not bool(c[3 * len(c) // 4 :].any()):
            return c
        samples *= 4
    limit = f"a polynomial of degree above {MOST_SAMPLES // 8}"
    raise ValueError(f"steps must be fewer: {steps} of order {order} need {limit}; use bjorck.")


def _beyond(c: Tensor, steps: int, order: int, radius: float) -> float:
    """The largest |p − g| / T_d on [radius, end of the basin]."""
    d = len(c) - 1
    a = torch.linspace(0, math.acosh(LARGEST_BASIN[order - 1] / radius), 400, dtype=torch.float64)
    j = torch.arange(1, d + 1, 2, dtype=torch.float64)[:, None]
    # T_j(cosh a) / T_d(cosh a) = cosh(j a) / cosh(d a), without overflow
    ratios = (((j - d) * a).exp() + (-(j + d) * a).exp()) / (1 + (-2 * d * a).exp())
    g = scalar_map(radius * a.cosh(), steps, order) / (d * a).cosh()
    return float((c[1::2] @ ratios - g).abs().max())
