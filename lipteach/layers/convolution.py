r"""Orthogonal convolutions: kernels whose operator norm is 1 for every image size.

A kernel acts on the infinite grid as $y_p = \sum_t K_t x_{sp + t}$, with the symbol
$K(z) = \sum_t K_t z^t$. On that grid the operator is an isometry (or the adjoint of one). A finite
image with zero padding sees a compression of it: zeros are written around the image, and some
outputs are not read. Neither can raise the norm, so ‖conv‖₂ ≤ 1 for every size and padding.

Groups are blocks of the operator: each has an orthogonal kernel of its own. With a dilation d and a
stride s two patches have a pixel in common only if s divides d(t − t′) for two of their taps, which
is to say that s / gcd(s, d) divides t − t′: the operator is orthogonal if and only if the one with
the stride s / gcd(s, d) and no dilation is. Where gcd(s, d) > 1, pixels are left out. A transposed
convolution is the adjoint of the convolution with its weight, cut or filled with zeros.

Source: L. Xiao et al. (2018); Q. Li et al. (2019), block convolution orthogonal parameterization;
T. Boissin et al. (2025) for strides. The blocks of thin kernels are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lipteach.primitives import polar
from lipteach.primitives._validate import has_data

Pair = tuple[int, int]
Taps = tuple[tuple[int, bool], ...]  # one factor: the dimension it shifts, and which part it shifts


@dataclass(frozen=True)
class KernelClass:
    r"""The orthogonal kernels of one shape and stride, and the way from and to their parameters.

    $$K(z) = R(z) \prod_i \bigl(P_i + (I - P_i) z_{d_i}\bigr)$$

    with projectors P_i of rank ⌊c/2⌋ on the c input channels: each factor is an isometry of the
    infinite grid. R has one tap for each place of a stride step, so that its patches do not
    overlap, and is orthonormal once flattened to (c_out, c_in·taps). Every second factor of a
    dimension shifts P_i instead of I − P_i, which keeps the kernel centred.

    At stride 1 the projectors stand on the side with more channels, c; where that is the output,
    everything is transposed. A thin kernel, c > 4n with n the other side, is a row of blocks of at
    most 4n channels, each orthogonal and weighted by the root of its share: only then do its taps
    determine its projectors (`factor`).

    The channels are those of one group, the stride is divided by what it has in common with the
    dilation, and `skips` says whether that is more than 1. All kernels are multiplied by `scale`.
    Those of images with one dimension lack k1, as R does.
    """

    c_out: int
    c_in: int
    kernel_size: Pair
    stride: Pair
    groups: int = 1
    skips: bool = False
    scale: float = 1.0

    @cached_property
    def transposed(self) -> bool:
        """Whether the projectors, if there are any, stand on the output side."""
        return self.stride == (1, 1) != self.kernel_size and self.c_out > self.c_in

    @cached_property
    def base(self) -> Pair:
        """The taps of R."""
        (k1, k2), (s1, s2) = self.kernel_size, self.stride
        return min(k1, s1), min(k2, s2)

    @cached_property
    def is_empty(self) -> bool:
        """Whether there is none: pixels that no patch sees, and more outputs than those seen."""
        unseen = self.skips or self.base != self.stride
        return unseen and self.c_out > self.c_in * math.prod(self.base)

    @cached_property
    def factors(self) -> Taps:
        """The factors in the order in which they multiply R: (dimension, whether P is shifted)."""
        degree = [k - r for k, r in zip(self.kernel_size, self.base, strict=True)]
        return tuple((d, i % 2 == 1) for i in range(max(degree)) for d in (0, 1) if i < degree[d])

    @cached_property
    def blocks(self) -> list[int]:
        """The numbers of channels of the blocks, on the side of the projectors."""
        n, c = sorted((self.c_out, self.c_in)) if self.transposed else (self.c_out, self.c_in)
        count = math.ceil(c / (4 * n)) if self.factors else 1
        return [c // count + (i < c % count) for i in range(count)]

    def grouped(self, K: Tensor, dim: int = 0) -> Tensor:
        """K with a dimension of its own for the groups, which stand one below the other in one."""
        return K.view(*K.shape[:dim], self.groups, -1, *K.shape[dim + 1 :])

    def compose(self, R: Tensor, bases: Sequence[Tensor], matrix: Callable[..., Tensor]) -> Tensor:
        """The kernel of R and, for each block, a basis of each projector.

        The bases are (factors, groups·c, ⌊c/2⌋), those of the groups one below the other.
        """
        flat = R.ndim == 3
        R = self.grouped(R.unsqueeze(2) if flat else R)
        kernels = []
        for i, K in enumerate(torch.split(R, self.blocks, dim=2)):
            share = self.scale * math.sqrt(K.shape[2] / R.shape[2])
            K = share * matrix(K.flatten(2)).view(K.shape)
            K = K.permute(3, 4, 0, 1, 2)  # channels last, for the products
            none = [None] * len(self.factors)
            projectors = _projectors(self.grouped(bases[i], 1)) if bases else none
            for (dim, flip), P in zip(self.factors, projectors, strict=True):
                kept, shifted = _parts(K, P, flip)
                K = _add_shifted(kept, shifted, dim)
            kernels.append(K.permute(2, 3, 4, 0, 1))
        kernel = torch.cat(kernels, dim=2)
        kernel = (kernel.transpose(1, 2) if self.transposed else kernel).flatten(0, 1)
        return kernel.squeeze(2) if flat else kernel

    def factor(self, kernel: Tensor) -> tuple[Tensor, ...]:
        """Parameters (R, one basis for each block) of a kernel near `kernel`; of itself, if it is
        orthogonal in this class.

        The last factor is peeled off first. Its taps of degree 0 lie in one of its two ranges and
        those of highest degree in the other, so that it shows in the difference of their Gram
        matrices. Of a kernel outside the class, what is dropped is the least possible.
        """
        flat = kernel.ndim == 3
        kernel = self.grouped(kernel.unsqueeze(2) if flat else kernel)
        kernel = kernel.transpose(1, 2) if self.transposed else kernel  # its scale does not matter
        rests, bases = [], []
        for K in torch.split(kernel, self.blocks, dim=2):
            K = K.permute(3, 4, 0, 1, 2)
            found = []
            for dim, flip in reversed(self.factors):
                n = K.shape[dim]
                ends = K.select(dim, 0), K.select(dim, n - 1)
                low, high = (torch.einsum("tgoc,tgod->gcd", T, T) for T in ends)
                gap = low - high
                half = K.shape[-1] // 2
                A = torch.linalg.eigh(-gap if flip else gap).eigenvectors[..., K.shape[-1] - half :]
                kept, shifted = _parts(K, A @ A.mT if half else None, flip)
                K = kept.narrow(dim, 0, n - 1) + shifted.narrow(dim, 1, n - 1)
                found.append(A)
            K = K.permute(2, 3, 4, 0, 1)
            rests.append(polar(K.flatten(2), 1e-12, "svd").view(K.shape) if has_data(K) else K)
            if found and found[0].numel():
                bases.append(torch.stack(found[::-1]).flatten(1, 2))
        R = torch.cat(rests, dim=2).flatten(0, 1)
        return R.squeeze(2) if flat else R, *bases


def _projectors(A: Tensor) -> tuple[Tensor, ...]:
    """The projectors onto the ranges of the matrices A; QR finds an orthonormal basis of each."""
    Q = torch.linalg.qr(A).Q
    return torch.unbind(Q @ Q.mT)


def _parts(K: Tensor, P: Tensor | None, flip: bool) -> tuple[Tensor, Tensor]:
    """K restricted to the channels which a factor keeps in place, and to those which it shifts."""
    KP = torch.zeros_like(K) if P is None else K @ P
    return (K - KP, KP) if flip else (KP, K - KP)


def _add_shifted(kept: Tensor, shifted: Tensor, dim: int) -> Tensor:
    gap = torch.zeros_like(kept.narrow(dim, 0, 1))
    return torch.cat([kept, gap], dim) + torch.cat([gap, shifted], dim)
