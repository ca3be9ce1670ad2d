"""The norm of a convolution by the DFT of its kernel, and what else one may take of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def spectra(kernel: Tensor, *size: int) -> Tensor:
    """The DFT at each frequency, as matrices: (size, size, out, in)."""
    found: Tensor = torch.fft.fft2(kernel, s=size).permute(2, 3, 0, 1)
    return found


def largest(matrices: Tensor) -> Tensor:
    """The largest singular value of all of them."""
    found: Tensor = torch.linalg.svdvals(matrices).max()
    return found


def norm(A: Tensor) -> Tensor:
    """The norm of one matrix."""
    found: Tensor = torch.linalg.matrix_norm(A, 2)
    return found


def transfer(kernel: Tensor, size: int) -> Tensor:
    """The largest singular value of all frequencies' matrices."""
    return largest(spectra(kernel, size, size))


def dense(kernel: Tensor, size: int, circular: bool = True) -> Tensor:
    """The matrix of the convolution, (out·size², in·size²), column by column."""
    k, n = kernel.shape[-1], kernel.shape[1] * size**2
    images = torch.eye(n, dtype=kernel.dtype).view(n, kernel.shape[1], size, size)
    margins = ((k - 1) // 2, k // 2) * 2
    padded = functional.pad(images, margins, mode="circular" if circular else "constant")
    return functional.conv2d(padded, kernel).flatten(1).T


def by_frequency(
    reduce: Callable[[Tensor], Tensor],
    sizes: Callable[[int, int], int] | None = None,
) -> Callable[[Tensor, int], Tensor]:
    """Something else of the matrices at all frequencies, or at those of another size."""

    def found(kernel: Tensor, size: int) -> Tensor:
        n = sizes(size, kernel.shape[-1]) if sizes else size
        return reduce(spectra(kernel, n, n))

    return found
