r"""Norms of one convolution, of whichever class: by its matrix, by its kernel, by sums."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lipteach.layers.convolution_settings import kernel_class
from lipteach.layers.jacobian_norms import stretched
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.layers.padding import padding_norm
from lipteach.layers.weights import TRANSPOSED, Convolution

MOST_PIXELS, MOST_ENTRIES = 2000, 4_000_000  # the largest matrix that we build
Images = set[tuple[int, ...]]  # their sizes, (channels, height, width) or (channels, length)


def matrix_at(conv: Convolution, kernel: Tensor, sizes: Images) -> Tensor | None:
    """The matrix of the convolution, if its images have one size, and one that is small enough."""
    if len(sizes) != 1:
        return None
    (size,) = sizes
    pixels = math.prod(size)
    if pixels > MOST_PIXELS:
        return None
    if pixels * convolved(conv, kernel, kernel.new_zeros(1, *size)).numel() > MOST_ENTRIES:
        return None
    images = torch.eye(pixels, dtype=kernel.dtype, device=kernel.device)
    return convolved(conv, kernel, images.view(-1, *size)).flatten(1).mT


def bounds_without_matrix(conv: Any, kernel: Tensor, sizes: Images) -> tuple[float, float, str]:
    """A lower bound of the 2-norm over all sizes, an upper one of that at the sizes given, and how
    the upper one was found; it is infinite if there is none.
    """
    low, high, padding, method = 0.0, math.inf, math.inf, "none for this convolution"
    try:
        kernels = kernel_class(conv, conv.weight)
    except ValueError:  # its padding is not what it says
        pass
    else:
        steps, padding = kernels.stride[4 - kernel.ndim :], padding_norm(conv, sizes)
        low, high = map(float, convolution_norm_bounds(kernel, steps, groups=kernels.groups))
        high *= padding
        method = "grid, all sizes" if padding == padding_norm(conv) else "grid at such sizes"
    if sizes and padding > 1:
        sums = math.prod(largest_sum(conv, kernel, p, sizes) for p in (1, math.inf))
        if math.sqrt(sums) < high:
            return low, math.sqrt(sums), "row and column sums"
    return low, high, method


def largest_sum(conv: Convolution, kernel: Tensor, p: float, sizes: Images) -> float:
    """The largest row sum (p = ∞) or column sum (p = 1) of |matrix|, by the map with kernel |K|.

    On an image of ones it gives the row sums, and the gradient of their total is the column sums.
    Pixels that padding repeats or reflects may meet in one entry, whose terms we then add: a bound.
    """
    found = []
    for size in sizes:
        image = torch.ones(1, *size, dtype=kernel.dtype, device=kernel.device)
        with torch.enable_grad():
            rows = convolved(conv, kernel.abs(), image.requires_grad_())
            sums = rows if p == math.inf else torch.autograd.grad(rows.sum(), image)[0]
        found.append(float(sums.detach().max()))
    return max(found)


def reached_at(conv: Convolution, size: tuple[int, ...]) -> float:
    """What the convolution stretches some image of that size by, found by power iteration."""
    image = torch.zeros(1, *size, dtype=conv.weight.dtype, device=conv.weight.device)
    return float(stretched(conv, image, 2)[0])


def convolved(conv: Any, kernel: Tensor, images: Tensor) -> Tensor:
    """The images under the layer with another kernel and without its bias, whatever its padding."""
    found: Tensor
    if isinstance(conv, TRANSPOSED):
        settings = conv.stride, conv.padding, conv.output_padding, conv.groups, conv.dilation
        call: Any = F.conv_transpose1d if kernel.ndim == 3 else F.conv_transpose2d
        found = call(images, kernel, None, *settings)
    else:
        found = conv._conv_forward(images, kernel, None)  # which reads no weight of the layer
    return found
