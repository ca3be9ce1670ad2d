r"""The operator norm of a convolution between two bounds, for every image size."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lipteach.primitives._validate import check_integer, check_tensor

LEVELS = (8, 24, 72)  # points for each degree of the symbol, a dimension: 1.19, 1.017, 1.0019
MOST_WORK = 1.5e10  # points times n³; a refinement that needs more is left out


def convolution_norm_bounds(
    kernel: Tensor, stride: int | tuple[int, int] = 1
) -> tuple[Tensor, Tensor]:
    r"""Bound the 2-norm of a convolution, over all image sizes, from both sides.

    On the infinite grid the norm is $\sup_\omega \|\hat K(\omega)\|_2$ with the symbol
    $\hat K(\omega) = \sum_t K_t e^{i \omega \cdot t}$; a finite image with zero padding sees a
    compression of that operator, whose norm is at most this. A stride s is treated exactly: the s·s
    places of a step become input channels (polyphase form).

    We look at a grid of 8n points a dimension, n the degree there. For the best direction u,
    $\|\hat K(\omega) u\|_2^2$ is a trigonometric polynomial; by M. Riesz it falls from its maximum
    M no faster than $M \cos(n_1 \delta_1 + n_2 \delta_2)$ at a distance δ. Points below cos(2π/8)
    times the best cannot be next to the maximum; around the others the grid is refined, to 24n
    and 72n. The bounds are then within a factor 1.002. Where the norm is so flat that too many
    points remain, the refinement stops, at 1.017 or 1.19. A second upper bound, from the
    autocorrelation, is sharp for orthogonal kernels; the smaller one is returned.

    Args:
        kernel: of shape (c_out, c_in, k1, k2), floating point, finite.
        stride: of the convolution, one integer or one for each dimension.

    Returns:
        The lower bound of the supremum and the upper bound, scalars in float64, differentiable.

    Example:
        >>> low, high = lt.convolution_norm_bounds(torch.ones(1, 1, 3, 3))
        >>> round(low.item(), 2), round(high.item(), 2)
        (9.0, 9.0)

    Source: M. Riesz (1914) for trigonometric polynomials.
    """
    check_tensor(kernel, "kernel")
    if kernel.ndim != 4:
        raise ValueError(f"kernel must have 4 dimensions; got shape {tuple(kernel.shape)}.")
    steps = stride if isinstance(stride, tuple) else (stride, stride)
    if len(steps) != 2:
        raise ValueError(f"stride must be one integer or two; got {len(steps)}.")
    for step in steps:
        check_integer(step, "stride")
    largest = kernel.detach().double().abs().amax()
    unit = torch.exp2(torch.where(largest > 0, largest, 1.0).log2().floor())
    K = _polyphase(kernel.double() / unit, steps)  # no square overflows or vanishes
    if K.shape[0] > K.shape[1]:
        K = K.transpose(0, 1).contiguous()  # the transposed operator; torch.compile mistakes a view
    simple = _autocorrelation_bound(K)
    peak, share = _Peak.apply(K.detach(), simple.detach() ** 2)  # type: ignore[no-untyped-call]
    lower = torch.linalg.matrix_norm(_symbol(K, peak), 2).amax()
    upper = torch.minimum(lower / share.sqrt(), simple)
    return unit * lower, unit * torch.maximum(upper, lower)  # against rounding


def _polyphase(K: Tensor, stride: tuple[int, int]) -> Tensor:
    """The kernel of the same map from space-to-depth images, which has stride 1."""
    s1, s2 = (min(s, k) for s, k in zip(stride, K.shape[2:], strict=True))
    K = F.pad(K, (0, -K.shape[3] % s2, 0, -K.shape[2] % s1))
    c_out, c_in, k1, k2 = K.shape
    K = K.view(c_out, c_in, k1 // s1, s1, k2 // s2, s2)
    return K.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _symbol(K: Tensor, omega: Tensor) -> Tensor:
    """The symbol at the frequencies omega (points, 2): shape (points, c_out, c_in), complex."""
    taps = torch.cartesian_prod(*(torch.arange(k, device=K.device) for k in K.shape[2:]))
    phase = omega @ taps.to(omega).mT
    waves = torch.polar(torch.ones_like(phase), phase)
    return torch.einsum("gt,oct->goc", waves, K.flatten(2).to(waves.dtype))


class _Peak(torch.autograd.Function):
    """`_peak` under torch.func, which hands it tensors whose entries can be asked, one by one."""

    @staticmethod
    def forward(K: Tensor, ceiling: Tensor) -> tuple[Tensor, Tensor]:
        peak, share = _peak(K, float(ceiling))
        return peak, ceiling.new_tensor(share)

    @staticmethod
    def setup_context(ctx: Any, _inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[int, int], *inputs: Tensor) -> tuple[Any, tuple[int, int]]:
        pairs = zip(*map(torch.unbind, inputs, in_dims), strict=True)
        found = zip(*(_Peak.apply(*pair) for pair in pairs), strict=True)  # type: ignore[no-untyped-call]
        return tuple(map(torch.stack, found)), (0, 0)


def _peak(K: Tensor, ceiling: float) -> tuple[Tensor, float]:
    """A frequency whose ‖K̂‖₂² is the largest found, and the least share of the supremum it is."""
    degree = [k - 1 for k in K.shape[2:]]
    active = [n > 0 for n in degree]
    sizes = torch.tensor([LEVELS[0] * n or 1 for n in degree], device=K.device)
    half = (int(sizes[0]) // 2 + 1, int(sizes[1]))  # the symbol at −ω is the conjugate
    points = torch.cartesian_prod(*(torch.arange(n, device=K.device) for n in half))
    offsets = torch.cartesian_prod(*(torch.arange(-1, 2, device=K.device) * a for a in active))
    omega = 2 * math.pi * points.to(K.dtype) / sizes
    peak = omega[torch.linalg.vector_norm(_symbol(K, omega), dim=(1, 2)).argmax()][None]
    best, share = float(_squared_norms(K, peak)), 0.0
    for level in LEVELS:
        if share and len(points) * K.shape[0] ** 3 > MOST_WORK:
            break
        share = math.cos(sum(active) * math.pi / level)
        omega = 2 * math.pi * points.to(K.dtype) / sizes
        higher = omega[_may_exceed(K, omega, best)]
        if len(higher):
            squares = _squared_norms(K, higher)
            best, peak = float(squares.max()), higher[squares.argmax()][None]
        if best == 0 or not any(active) or ceiling <= 1.001 * best:
            break
        near = points[_may_exceed(K, omega, share * best)]
        grown = torch.tensor([3 if a else 1 for a in active], device=K.device)
        sizes = sizes * grown
        points = torch.unique(((near * grown)[:, None] + offsets).flatten(0, 1) % sizes, dim=0)
    return peak, share


def _gram(K: Tensor, omega: Tensor) -> Tensor:
    symbol = _symbol(K, omega)
    return symbol @ symbol.mH


def _may_exceed(K: Tensor, omega: Tensor, square: float) -> Tensor:
    """Where ‖K̂(ω)‖₂² > `square` is not excluded by Cholesky, cheaper than eigenvalues."""
    eye = square * (1 + 1e-12) * torch.eye(K.shape[0], dtype=K.dtype, device=K.device)
    rest = (eye - _gram(K, chunk) for chunk in torch.split(omega, 256))
    return torch.cat([torch.linalg.cholesky_ex(A).info > 0 for A in rest])


def _squared_norms(K: Tensor, omega: Tensor) -> Tensor:
    """‖K̂(ω)‖₂² at each frequency, some hundreds at a time."""
    chunks = torch.split(omega, 256)
    return torch.cat([torch.linalg.eigvalsh(_gram(K, chunk))[:, -1] for chunk in chunks])


def _autocorrelation_bound(K: Tensor) -> Tensor:
    r"""The root of $\|S_0\|_2 + \sum_{t \ne 0} \|S_t\|_F$; K̂ K̂ᴴ is the Fourier series of S."""
    k1, k2 = K.shape[2:]
    S = F.conv2d(K, K, padding=(k1 - 1, k2 - 1))  # (n, n, 2 k1 − 1, 2 k2 − 1)
    S = S.permute(2, 3, 0, 1).flatten(0, 1)
    centre = len(S) // 2
    rest = torch.cat([S[:centre], S[centre + 1 :]])
    sides = torch.linalg.vector_norm(rest, dim=(1, 2)).sum()
    square: Tensor = torch.linalg.matrix_norm(S[centre], 2) + sides
    return square.sqrt()
