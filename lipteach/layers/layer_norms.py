r"""The norms of one layer: of an ``nn.Linear``, and of an ``nn.Conv2d`` at the size of its input.

Source: the definitions; what is said of kernels is ours.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.layers.constrain import kernel_class
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.primitives import Selection, mixed_norm, operator_norm

MOST_PIXELS, MOST_ENTRIES = 2000, 4_000_000  # the largest matrix of a convolution that we build
Sizes = dict[int, set[tuple[int, ...]]]


def input_sizes(model: nn.Module, x: Tensor) -> Sizes:
    """The shapes (channels, height, width) that each convolution receives, by its ``id``."""
    sizes: Sizes = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.setdefault(id(module), set()).add(tuple(inputs[0].shape[-3:]))

    hooks = [
        module.register_forward_pre_hook(note)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    model(x[:1])
    for hook in hooks:
        hook.remove()
    return sizes


def convolution_matrix(conv: nn.Conv2d, sizes: set[tuple[int, ...]]) -> Tensor | None:
    """The matrix of the convolution, if its images have one size, and one that is small enough."""
    if len(sizes) != 1:
        return None
    (size,) = sizes
    pixels = math.prod(size)
    if pixels > MOST_PIXELS:
        return None
    images = torch.eye(pixels, dtype=conv.weight.dtype, device=conv.weight.device)
    matrix = conv._conv_forward(images.view(-1, *size), conv.weight, None).flatten(1).mT
    return matrix if matrix.numel() <= MOST_ENTRIES else None


def upper_norm(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> float:
    r"""An upper bound of the induced p → p norm of a layer; exact where a matrix is at hand.

    A convolution is exact for p = 1 and ∞, unless its padding repeats or reflects pixels. For p = 2
    it is exact where it is small, and otherwise `convolution_norm_bounds`; where that does not know
    it (groups, …), $\sqrt{\|\cdot\|_1 \|\cdot\|_\infty}$.

    Args:
        layer: an ``nn.Linear``, ``nn.Conv2d`` or `Selection`, in float64.
        p: 1, 2 or ``math.inf``.
        sizes: of the images that a convolution receives.

    Returns:
        The bound.
    """
    if isinstance(layer, Selection):  # its matrix may be too large to be made
        used = float(layer.index.bincount().max())
        return math.pow(used, 1 / p)
    if isinstance(layer, nn.Linear):
        return float(operator_norm(layer.weight, p))
    if p != 2:
        return max(_largest_sum(layer, p, size) for size in sizes)
    matrix = convolution_matrix(layer, sizes)
    if matrix is not None:
        return float(operator_norm(matrix, 2))
    try:
        stride = kernel_class(layer, layer.weight).stride
    except ValueError:
        return math.sqrt(upper_norm(layer, 1, sizes) * upper_norm(layer, math.inf, sizes))
    return float(convolution_norm_bounds(layer.weight, stride)[1])


def upper_norm_to_max(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> float:
    """An upper bound of the norm from the p-norm to the ∞-norm: ‖W‖_{p,∞} of a linear layer."""
    if isinstance(layer, Selection):
        return 1.0
    if isinstance(layer, nn.Linear):
        return float(mixed_norm(layer.weight, p))
    return upper_norm(layer, p, sizes)


@torch.enable_grad()
def _largest_sum(conv: nn.Conv2d, p: float, size: tuple[int, ...]) -> float:
    """The largest row sum (p = ∞) or column sum (p = 1) of |matrix|, by the map with kernel |K|.

    On an image of ones it gives the row sums, and the gradient of their total is the column sums.
    Pixels that padding repeats or reflects may meet in one entry, whose terms we then add: a bound.
    """
    image = torch.ones(1, *size, dtype=conv.weight.dtype, device=conv.weight.device)
    image.requires_grad_()
    rows = conv._conv_forward(image, conv.weight.detach().abs(), None)
    sums = rows if p == math.inf else torch.autograd.grad(rows.sum(), image)[0]
    return float(sums.detach().max())
