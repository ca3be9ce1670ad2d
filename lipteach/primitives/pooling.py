"""Pooling by the length of each window, which keeps the norm of what it pools."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_integer, check_tensor, leaf_of_fx, shown


class L2NormPool2d(nn.Module):
    r"""The length of each window of an image: the root of the sum of its squares.

    $$y_{ij} = \Bigl(\sum_{(a, b) \in \mathrm{window}_{ij}} x_{ab}^2\Bigr)^{1/2}$$

    for each channel, over windows side by side; rows and columns that fill no window are left out.
    Its gradient is the window over its length, a vector of length 1: J Jᵀ = I, so that the layer is
    1-Lipschitz for p = 2 (and 1), loses no gradient norm and keeps the norm of the image; for p = ∞
    its constant is the root of the number of pixels in a window. Where a window is 0 it has a
    corner and the gradient is taken as 0, which is a subgradient (`nn.LPPool2d` has NaN there).

    The scaled average, the other pool of constant 1, is a composition: a mean over k × k pixels has
    the 2-norm 1/k, and ``nn.Sequential(nn.AvgPool2d(k), lt.Scale(k))`` has 1, as has
    ``nn.AvgPool2d(k, divisor_override=k)``.

    Args:
        kernel_size: the height and width of a window, one integer or two.

    Raises:
        ValueError: if, at a call, x of shape (…, height, width) is smaller than a window.

    Example:
        >>> lt.L2NormPool2d(2)(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]]))
        tensor([[[5.]]])

    Source: Y. LeCun et al. (1998) pool by sums; of lengths as pools, P. Sermanet et al. (2012).
    """

    def __init__(self, kernel_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the lengths, (…, ⌊height / k⌋, ⌊width / k⌋)."""
        return _lengths(x, *self.kernel_size)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"kernel_size={self.kernel_size}"


@leaf_of_fx
def _lengths(x: Tensor, height: int, width: int) -> Tensor:
    check_tensor(x, min_dim=2, finite=False)
    rows, columns = x.shape[-2] // height, x.shape[-1] // width
    if not (rows and columns):
        size = tuple(x.shape[-2:])
        raise ValueError(f"x must be at least {height} × {width} in size; got {size}.")
    whole = x[..., : rows * height, : columns * width]
    windows = whole.reshape(*x.shape[:-2], rows, height, columns, width)
    found: Tensor = torch.linalg.vector_norm(windows, 2, dim=(-3, -1))
    return found


def _pair(given: Any) -> tuple[int, int]:
    sides = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    if len(sides) != 2:
        raise ValueError(f"kernel_size must be one integer or two; got {shown(given)}.")
    return check_integer(sides[0], "kernel_size"), check_integer(sides[1], "kernel_size")
