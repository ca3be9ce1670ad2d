"""Networks that make images, and critics that tell them from others: InfoGAN's shapes.

Both go through the same image sizes, one upwards and one downwards: 28, 14, 7, and each has a
hidden layer of 16 times its width beside the 2 convolutions. "deep" ones have 4 convolutions and no
hidden layer, as the networks of G.2 do.

Source: X. Chen et al. (2016), InfoGAN; Anil, Lucas and Grosse (2019), appendices G.2 and H.3.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_integer
from lipteach.training.networks import check_generator, check_maker, initialize_

LATENT = 62


def make_generator(
    channels: int, side: int, width: int, generator: torch.Generator, deep: bool = False
) -> nn.Sequential:
    r"""Make a network from latent points to images in [0, 1].

    A linear layer of 16w units, w the width; one that gives 2w images of side/4; a transposed
    convolution to w images of side/2, and one to the channels. Batch normalization and ReLU stand
    between. The weights are drawn as PyTorch draws them (`initialize_`).

    Args:
        channels: of the images, 1 or 3.
        side: of the images, at least 4, or 16 if deep.
        width: 64 is InfoGAN's.
        generator: the source of randomness.
        deep: whether there are 4 convolutions, from 8w images, and no layer of 16w units.

    Returns:
        A network from (N, 62) to (N, channels, side, side). In evaluation mode it treats each
        point by itself.

    Example:
        >>> from lipteach.training import draw_latent, make_generator
        >>> source = torch.Generator().manual_seed(0)
        >>> make_generator(1, 28, 8, source)(draw_latent(2, source)).shape
        torch.Size([2, 1, 28, 28])

    Source: X. Chen et al. (2016), InfoGAN.
    """
    sides, widths = _sizes(channels, side, width, deep)
    check_generator(generator)
    first = widths[-1] * sides[-1] ** 2
    with torch.device("meta"):
        modules: list[nn.Module] = []
        units = [LATENT, first] if deep else [LATENT, 16 * width, first]
        for n, m in pairwise(units):
            modules += [nn.Linear(n, m), nn.BatchNorm1d(m), nn.ReLU()]
        modules.append(nn.Unflatten(1, (widths[-1], sides[-1], sides[-1])))
        for k in range(len(sides) - 1, 0, -1):
            taps = 4 + sides[k - 1] % 2  # to twice the side, and one more
            modules.append(nn.ConvTranspose2d(widths[k], widths[k - 1], taps, 2, padding=1))
            if k > 1:
                modules += [nn.BatchNorm2d(widths[k - 1]), nn.ReLU()]
        network = nn.Sequential(*modules, nn.Sigmoid())
    return _drawn(network, generator)


def make_critic_network(
    channels: int,
    side: int,
    width: int,
    activation: Callable[[], nn.Module],
    generator: torch.Generator,
    deep: bool = False,
) -> nn.Sequential:
    r"""Make a network from images to one number, without batch normalization.

    Convolutions 4 × 4 of stride 2 to w and 2w images, a linear layer of 16w units, and one of 1.
    There is no constraint on the weights yet; `CRITICS` has those.

    Args:
        channels: of the images, 1 or 3.
        side: of the images, at least 4, or 16 if deep.
        width: 64 is InfoGAN's.
        activation: what makes one activation of channels, in dimension 1.
        generator: the source of randomness.
        deep: whether there are 4 convolutions, to 8w images, and no layer of 16w units.

    Returns:
        A network from (N, channels, side, side) to (N, 1).

    Example:
        >>> from lipteach.training import make_critic_network
        >>> source = torch.Generator().manual_seed(0)
        >>> critic = make_critic_network(1, 28, 8, lambda: lt.MaxMin(1), source)
        >>> critic(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 1])

    Source: X. Chen et al. (2016), InfoGAN; Anil, Lucas and Grosse (2019), appendix H.3.
    """
    sides, widths = _sizes(channels, side, width, deep)
    check_generator(generator)
    check_maker(activation)
    with torch.device("meta"):
        modules: list[nn.Module] = []
        for n, m in pairwise(widths):
            modules += [nn.Conv2d(n, m, 4, 2, padding=1), activation()]
        modules.append(nn.Flatten())
        last = widths[-1] * sides[-1] ** 2
        if not deep:
            modules += [nn.Linear(last, 16 * width), activation()]
            last = 16 * width
        network = nn.Sequential(*modules, nn.Linear(last, 1))
    return _drawn(network, generator)


def draw_latent(count: int, generator: torch.Generator) -> Tensor:
    """Draw latent points, uniform in [0, 1): (count, 62).

    Args:
        count: how many.
        generator: the source of randomness.

    Example:
        >>> from lipteach.training import draw_latent
        >>> draw_latent(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 62])

    Source: the settings of Anil, Lucas and Grosse (2019), appendix H.3.
    """
    check_integer(count, "count")
    check_generator(generator)
    return torch.rand(count, LATENT, generator=generator)


def _sizes(channels: int, side: int, width: int, deep: bool) -> tuple[list[int], list[int]]:
    """The sides of the images, from the largest, and how many there are of each."""
    check_integer(width, "width")
    count = 4 if deep else 2
    check_integer(side, "side", 2**count)
    sides = [side >> k for k in range(count + 1)]
    widths = [check_integer(channels, "channels"), *(width << k for k in range(count))]
    return sides, widths


def _drawn(network: nn.Sequential, generator: torch.Generator) -> nn.Sequential:
    """Give a network on the meta device its values: the constructors would draw globally."""
    network.to_empty(device="cpu")
    for module in network:  # of those with weights only these draw none
        drawn = isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        if not drawn and [*module.parameters(recurse=False)]:
            module.reset_parameters()  # type: ignore[operator]
    initialize_(network, generator)
    return network
