"""A wide residual network for small images.

Source: S. Zagoruyko and N. Komodakis (2016), Wide Residual Networks; He et al. (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from lipteach.primitives import Residual
from lipteach.primitives._validate import check_integer
from lipteach.training.networks import check_generator, check_maker

CHANNELS = (16, 32, 64)  # of the three groups, at width 1


def wide_resnet(
    depth: int,
    width: int,
    activation: Callable[[], nn.Module],
    generator: torch.Generator,
    channels: int = 3,
    classes: int = 10,
) -> nn.Sequential:
    r"""Make a Wide ResNet of that depth and width, such as WRN-28-4 of Table 6.

    A convolution, three groups of $n = (d - 4)/6$ residual blocks with 16k, 32k and 64k channels
    for the width k, of which the last two halve the image, a mean over its pixels, and a linear
    layer. Each convolution follows a batch normalization and an activation. MaxMin is a drop-in:
    ``partial(lt.MaxMin, 1)`` sorts channels pair by pair, where ReLU clips each.

    Args:
        depth: d, 6 n + 4, such as 10, 16, 22 or 28: the number of convolutions, with those of the
            three shortcuts where k > 1.
        width: k.
        activation: what makes one activation.
        generator: the source of the weights; convolutions are normal with the variance
            $2 / (k_1 k_2 c_\text{out})$, the weights of the last layer are
            uniform as PyTorch's, and its biases 0.
        channels: of the images.
        classes: the number of outputs.

    Returns:
        A network from (batch, channels, h, w), with h and w divisible by 4, to (batch, classes).

    Example:
        >>> from lipteach.training import wide_resnet
        >>> network = wide_resnet(10, 1, nn.ReLU, torch.Generator().manual_seed(0))
        >>> network(torch.zeros(2, 3, 32, 32)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([2, 10]), 77850)

    Source: S. Zagoruyko and N. Komodakis (2016), Wide Residual Networks, Table 1.
    """
    check_integer(depth, "depth", 10)
    if (depth - 4) % 6:
        raise ValueError(f"depth must be 6 n + 4, such as 10, 16, 22 or 28; got {depth}.")
    for value, name in ((width, "width"), (channels, "channels"), (classes, "classes")):
        check_integer(value, name)
    check_maker(activation)
    check_generator(generator)
    sizes = [CHANNELS[0], *(width * c for c in CHANNELS)]
    with torch.device("meta"):
        modules: list[nn.Module] = [_conv(channels, sizes[0], 3)]
        for group, (before, after) in enumerate(pairwise(sizes)):
            for k in range((depth - 4) // 6):
                stride = 2 if k == 0 and group else 1
                modules += _block(after if k else before, after, stride, activation)
        modules += [nn.BatchNorm2d(sizes[-1]), activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        network = nn.Sequential(*modules, nn.Linear(sizes[-1], classes)).to_empty(device="cpu")
    _draw_(network, generator)
    return network


def _block(
    before: int, after: int, stride: int, activation: Callable[[], nn.Module]
) -> list[nn.Module]:
    """One residual block; where the shape changes, the shortcut is a convolution of one pixel."""
    start = [nn.BatchNorm2d(before), activation()]
    rest = [
        *(_conv(before, after, 3, stride), nn.BatchNorm2d(after), activation()),
        _conv(after, after, 3),
    ]
    if before == after and stride == 1:
        return [Residual(nn.Sequential(*start, *rest))]
    return [*start, Residual(nn.Sequential(*rest), _conv(before, after, 1, stride))]


def _conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)


@torch.no_grad()
def _draw_(network: nn.Module, generator: torch.Generator) -> None:
    """Fill the weights and the statistics."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
            nn.init.zeros_(module.bias)
        elif [*module.parameters(recurse=False)]:  # a normalization, or an activation that learns
            reset: Any = module
            reset.reset_parameters()
