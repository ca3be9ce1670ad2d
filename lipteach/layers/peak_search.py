r"""The search for the frequency at which the symbol of a convolution is largest.

What it finds, and how much a grid may miss, `convolution_norm_bounds` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

LEVELS = (6, 18, 36)  # points for each degree of the symbol, a dimension: 1.077, 1.008, 1.0020
FINEST = 576  # likewise, of the grid on which the peak is sought
MARGIN = 1e-4  # by which a square may exceed the best one: the finest grid misses it by 3e-5
MOST_WORK = 1.5e10  # points times n³; a refinement that needs more is left out


def find_peak(S: Tensor, ceiling: Tensor) -> tuple[Tensor, Tensor]:
    """A frequency at which the square whose series is S is near its supremum, and its share of it.

    The ceiling is an upper bound of the square. No gradient flows through.
    """
    return _Peak.apply(S, ceiling)  # type: ignore[no-any-return, no-untyped-call]


class _Peak(torch.autograd.Function):
    """`Search` under torch.func, which hands it tensors whose entries can be asked, one by one."""

    @staticmethod
    def forward(S: Tensor, ceiling: Tensor) -> tuple[Tensor, Tensor]:
        peak, share = Search(S).run(float(ceiling))
        return peak, ceiling.new_tensor(share)

    @staticmethod
    def setup_context(ctx: Any, _inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[int, int], *inputs: Tensor) -> tuple[Any, tuple[int, int]]:
        pairs = zip(*map(torch.unbind, inputs, in_dims), strict=True)
        found = zip(*(_Peak.apply(*pair) for pair in pairs), strict=True)  # type: ignore[no-untyped-call]
        return tuple(map(torch.stack, found)), (0, 0)


class Search:
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
        found = [torch.linalg.eigvalsh(G)[..., -1] for G in self.chunks(points)]
        return torch.cat(found).amax(dim=1)
