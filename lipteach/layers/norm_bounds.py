r"""The operator norm of a convolution between two bounds, for every image size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lipteach.primitives._validate import check_integer, check_tensor, transforming

LEVELS = (6, 18, 36)  # points for each degree of the symbol, a dimension: 1.077, 1.008, 1.0020
FINEST = 576  # likewise, of the grid on which the peak is sought
MARGIN = 1e-4  # by which a square may exceed the best one: the finest grid misses it by 3e-5
MOST_WORK = 1.5e10  # points times n³; a refinement that needs more is left out


def convolution_norm_bounds(
    kernel: Tensor,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    r"""Bound the 2-norm of a convolution, over all image sizes, from both sides.

    On the infinite grid the norm is $\sup_\omega \|\hat K(\omega)\|_2$ with the symbol
    $\hat K(\omega) = \sum_t K_t e^{i \omega \cdot t}$; a finite image with zero padding sees a
    compression of that operator, whose norm is at most this, and so is that of circular padding
    where the stride divides the sides of the image. A stride s is treated exactly: the s·s
    places of a step become input channels (polyphase form). With a dilation d it counts as
    s / gcd(s, d): two patches meet only where s divides d times the difference of two taps. Groups
    are blocks, of which the largest norm counts; a transposed convolution has the norm of the
    convolution with the same weight.

    Let M be the largest $\|\hat K(\omega) u\|_2^2$. For the best direction u it is a trigonometric
    polynomial between 0 and M, of degree n in a dimension, whose second derivative is at most
    n²M/2 there (S. Bernstein). Hence on a grid of Nn points a dimension it is at least
    $(1 - \pi^2 / 2N^2) M$ at a corner of the cell of its maximum, as linear interpolation shows. We
    look at 6n points a dimension, keep the cells with a corner that high over the best one, and
    refine these to 18n and 36n; a Cholesky decomposition at each point shows what it is below. The
    bounds are then within a factor 1.002. Where too many points remain, the refinement stops, at
    1.008 or 1.077. A second upper bound, from the autocorrelation, is sharp for orthogonal kernels;
    the smaller one is returned.

    Args:
        kernel: the weight, of shape (c_out, c_in / groups, k1, k2) or, of images with one
            dimension, (c_out, c_in / groups, k), floating point, finite.
        stride: of the convolution, one integer or one for each dimension.
        dilation: likewise.
        groups: of its channels; they divide c_out.

    Returns:
        The lower bound of the supremum and the upper bound, scalars in float64, differentiable.

    Example:
        >>> low, high = lt.convolution_norm_bounds(torch.ones(1, 1, 3, 3))
        >>> round(low.item(), 2), round(high.item(), 2)
        (9.0, 9.0)

    Source: S. Bernstein (1912) for trigonometric polynomials.
    """
    check_tensor(kernel, "kernel")
    if kernel.ndim not in (3, 4):
        raise ValueError(f"kernel must have 3 or 4 dimensions; got shape {tuple(kernel.shape)}.")
    if len(kernel) % check_integer(groups, "groups"):
        raise ValueError(f"groups must divide the length of kernel; got {groups}, {len(kernel)}.")
    dims = kernel.ndim - 2
    both = zip(_each(stride, "stride", dims), _each(dilation, "dilation", dims), strict=True)
    steps = [s // math.gcd(s, d) for s, d in both]
    kernel = kernel.view(groups, -1, *kernel.shape[1:])
    if dims == 1:
        kernel, steps = kernel.unsqueeze(3), [1, *steps]
    largest = kernel.detach().double().abs().amax()
    unit = torch.exp2(torch.where(largest > 0, largest, 1.0).log2().floor())
    K = _polyphase(kernel.double() / unit, steps)  # no square overflows or vanishes
    if K.shape[1] > K.shape[2]:
        K = K.transpose(1, 2).contiguous()  # the transposed operator; torch.compile mistakes a view
    S = _autocorrelation(K)
    simple = _simple_bound(S)
    wide = S.detach() if kernel.dtype == torch.float64 else S.detach().float()
    peak, share = _Peak.apply(wide, simple.detach() ** 2)  # type: ignore[no-untyped-call]
    lower = torch.linalg.matrix_norm(_symbol(K, peak.to(K)), 2).amax()
    upper = lower / share.sqrt()
    if transforming() or simple < upper:  # else its gradient is not asked for
        upper = torch.minimum(upper, simple)
    return unit * lower, unit * torch.maximum(upper, lower)  # against rounding


def _each(value: int | tuple[int, ...], name: str, dims: int) -> tuple[int, ...]:
    """The numbers for each dimension."""
    values = value if isinstance(value, tuple) else (value,) * dims
    if len(values) != dims:
        raise ValueError(f"{name} must be one integer or a tuple of {dims}; got {len(values)}.")
    for each in values:
        check_integer(each, name)
    return values


def _polyphase(K: Tensor, stride: Sequence[int]) -> Tensor:
    """The kernels (groups, …) of the same map from space-to-depth images, which has stride 1."""
    s1, s2 = (min(s, k) for s, k in zip(stride, K.shape[3:], strict=True))
    K = F.pad(K, (0, -K.shape[4] % s2, 0, -K.shape[3] % s1))
    groups, c_out, c_in, k1, k2 = K.shape
    K = K.view(groups, c_out, c_in, k1 // s1, s1, k2 // s2, s2)
    return K.permute(0, 1, 2, 4, 6, 3, 5).flatten(2, 4)


def _symbol(K: Tensor, omega: Tensor) -> Tensor:
    """The symbol at the frequencies omega (points, 2): shape (points, groups, c_out, c_in)."""
    taps = torch.cartesian_prod(*(torch.arange(k, device=K.device) for k in K.shape[3:]))
    phase = omega @ taps.to(omega).mT
    waves = torch.polar(torch.ones_like(phase), phase)
    return torch.einsum("pt,goct->pgoc", waves, K.flatten(3).to(waves.dtype))


def _autocorrelation(K: Tensor) -> Tensor:
    r"""$S_d = \sum_t K_{t + d} K_t^\top$, of which $\hat K \hat K^H$ is the Fourier series.

    Of the shape (k1, 2 k2 − 1, groups, n, n), for d₁ ≥ 0 and all d₂; S_{−d} = S_dᵀ, so that where
    d₁ = 0 those of d₂ < 0 are left at 0.
    """
    k1, k2 = K.shape[3:]
    rows = []
    for a, b in product(range(k1), range(1 - k2, k2)):
        later = K[..., a:, max(b, 0) : k2 + min(b, 0)].flatten(2)
        sooner = K[..., : k1 - a, max(-b, 0) : k2 - max(b, 0)].flatten(2)
        S = later @ sooner.mT
        rows.append(S if (a, b) >= (0, 0) else torch.zeros_like(S))
    return torch.stack(rows).view(k1, 2 * k2 - 1, *S.shape)


def _simple_bound(S: Tensor) -> Tensor:
    r"""The root of $\|S_0\|_2 + \sum_{d \ne 0} \|S_d\|_F$, the largest of the groups."""
    middle = S.shape[1] // 2
    norms = torch.linalg.vector_norm(S, dim=(-2, -1)).flatten(0, 1)
    sides = norms[:middle].sum(0) + norms[middle + 1 :].sum(0)
    square: Tensor = torch.linalg.matrix_norm(S[0, middle], 2) + 2 * sides
    return square.amax().sqrt()


class _Peak(torch.autograd.Function):
    """`_Search` under torch.func, which hands it tensors whose entries can be asked, one by one."""

    @staticmethod
    def forward(S: Tensor, ceiling: Tensor) -> tuple[Tensor, Tensor]:
        peak, share = _Search(S).run(float(ceiling))
        return peak, ceiling.new_tensor(share)

    @staticmethod
    def setup_context(ctx: Any, _inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[int, int], *inputs: Tensor) -> tuple[Any, tuple[int, int]]:
        pairs = zip(*map(torch.unbind, inputs, in_dims), strict=True)
        found = zip(*(_Peak.apply(*pair) for pair in pairs), strict=True)  # type: ignore[no-untyped-call]
        return tuple(map(torch.stack, found)), (0, 0)


class _Search:
    """The search for the peak of ‖K̂(ω)‖₂², the largest of all groups.

    S is its series, and points are integers, (…, 2).
    """

    def __init__(self, S: Tensor) -> None:
        k1, k2 = S.shape[0], S.shape[1] // 2 + 1
        self.degree, self.n, self.groups = (k1 - 1, k2 - 1), S.shape[-1], S.shape[2]
        self.active = sum(n > 0 for n in self.degree)
        self.sizes = torch.tensor([FINEST * n or 1 for n in self.degree], device=S.device)
        ranges = range(k1), range(1 - k2, k2)
        self.shifts = torch.tensor([*product(*ranges)], device=S.device, dtype=torch.float64)
        self.S = S.flatten(0, 1).clone()
        self.S[k2 - 1] /= 2  # d = 0, which is its own mirror image
        self.even, self.odd = self.S + self.S.mT, self.S - self.S.mT

    def run(self, ceiling: float) -> tuple[Tensor, float]:
        """A frequency whose square is the largest found, and the least share of the supremum."""
        origin = torch.zeros_like(self.sizes)[None]
        points = self.refine(origin, FINEST // LEVELS[0], LEVELS[0] * max(self.degree) // 2)
        traces = self.waves(points)[0] @ self.even.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        best, peak = self.climb(points[traces.amax(dim=1).argmax()])
        if best == 0 or not self.active:
            return self.omega(peak), 1.0
        share = 0.0
        for level, finer in zip(LEVELS, (*LEVELS[1:], 0), strict=True):
            if share and len(points) * self.groups * self.n**3 > MOST_WORK:
                break
            share = 1 - self.active * (math.pi / level) ** 2 / 4
            points = points[self.may_exceed(points, share * best)]
            best, peak = self.raise_over(points, best, peak)
            if ceiling <= 1.001 * best or not finer:
                break
            points = self.refine(points, FINEST // finer, finer // level)
        return self.omega(peak), share / (1 + MARGIN)

    def raise_over(self, points: Tensor, best: float, peak: Tensor) -> tuple[float, Tensor]:
        """Climb on from the highest of the points until none is above the best, up to MARGIN."""
        while True:
            points = points[self.may_exceed(points, (1 + MARGIN) * best)]
            if not len(points):
                return best, peak
            squares = self.squares(points)
            if float(squares.max()) <= best:  # a matter of rounding
                return best, peak
            best, peak = self.climb(points[squares.argmax()])

    def climb(self, point: Tensor) -> tuple[float, Tensor]:
        """From a point to where the polynomial of its best direction is largest, and so on."""
        for step in (24, 6, 1, 1):
            squares, vectors = torch.linalg.eigh(self.grams(point[None])[0])
            group = squares[:, -1].argmax()
            u = vectors[group, :, -1]
            p = (self.S[:, group].to(u.dtype) @ u) @ u.conj()
            window = point + self.moves(step, 4)
            cos, sin = self.waves(window)
            point = window[(cos @ p.real - sin @ p.imag).argmax()]
        return float(self.squares(point[None])), point

    def moves(self, step: int, reach: int) -> Tensor:
        """All multiples of the step up to so many, in each dimension that counts."""
        far = [reach if n else 0 for n in self.degree]
        steps = (step * torch.arange(-r, r + 1, device=self.sizes.device) for r in far)
        return torch.cartesian_prod(*steps)

    def refine(self, points: Tensor, step: int, reach: int) -> Tensor:
        """The points around the points; of ω and −ω, which have the same square, one."""
        grown = (points[:, None] + self.moves(step, reach)).flatten(0, 1)
        both = (p % self.sizes for p in (grown, -grown))
        numbers = torch.unique(torch.minimum(*(p[:, 0] * self.sizes[1] + p[:, 1] for p in both)))
        return torch.stack([numbers // self.sizes[1], numbers % self.sizes[1]], dim=1)

    def omega(self, points: Tensor) -> Tensor:
        """Their frequencies, (…, 2)."""
        return 2 * math.pi * points.double().reshape(-1, 2) / self.sizes

    def waves(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The cosine and sine of each point with each shift."""
        phase = self.omega(points) @ self.shifts.mT
        return phase.cos().to(self.S), phase.sin().to(self.S)

    def grams(self, points: Tensor) -> Tensor:
        """K̂ K̂ᴴ at the points."""
        cos, sin = self.waves(points)
        real, imaginary = cos @ self.even.flatten(1), sin @ self.odd.flatten(1)
        return torch.complex(real, imaginary).view(-1, self.groups, self.n, self.n)

    def chunks(self, points: Tensor) -> Iterator[Tensor]:
        """K̂ K̂ᴴ, some points at a time."""
        return map(self.grams, torch.split(points, max(1, 2**18 // (self.groups * self.n**2))))

    def may_exceed(self, points: Tensor, square: float) -> Tensor:
        """Where a square above the given one is not excluded by Cholesky."""
        found = []
        for G in self.chunks(points):
            G.neg_().diagonal(dim1=-2, dim2=-1).add_(square)
            found.append((torch.linalg.cholesky_ex(G).info > 0).any(dim=1))
        return torch.cat(found)

    def squares(self, points: Tensor) -> Tensor:
        """‖K̂(ω)‖₂² at each of the points."""
        return torch.cat([torch.linalg.eigvalsh(G)[..., -1].amax(dim=1) for G in self.chunks(points)])
