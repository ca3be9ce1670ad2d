"""A network of which each weight has norm 1, and which stretches distances nevertheless."""

from __future__ import annotations

import torch
from torch import nn

from lipteach.primitives import MaxMin, polar


def suspect() -> nn.Sequential:
    """Return a classifier of images of 10 × 10 pixels, in float64, the same at every call.

    The windows of its convolution do not overlap, so that the norm of the flattened kernel, 1, is
    that of the operator. The windows of its pooling overlap.

    >>> suspect()(torch.zeros(1, 1, 10, 10).double()).shape
    torch.Size([1, 10])
    """
    generator = torch.Generator().manual_seed(4)
    convolution = nn.Conv2d(1, 4, 2, stride=2, bias=False)
    linear = nn.Linear(16, 10)
    with torch.no_grad():
        for layer in (convolution, linear):
            drawn = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
            layer.weight.data = polar(drawn.flatten(1)).view(drawn.shape)
        linear.bias.data = torch.randn(10, generator=generator, dtype=torch.float64)
    pool = nn.MaxPool2d(3, stride=2)
    return nn.Sequential(convolution, MaxMin(dim=1), pool, nn.Flatten(), linear)
