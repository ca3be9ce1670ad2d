"""Networks to start a training from.

Source: the initialization usual for the networks of Anil, Lucas and Grosse (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from lipteach.primitives._validate import check_integer, shown


def orthonormal_network(
    sizes: Sequence[int],
    activation: Callable[[], nn.Module],
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:
    r"""Make linear layers with random orthonormal weights, and an activation between each two.

    Every weight W has σⱼ(W) = 1 for all j at the start; training does not keep it, and
    `orthonormal` on each layer does. The biases are drawn uniformly from (−½, ½).

    Args:
        sizes: a list or tuple of widths, inputs first and outputs last, at least two.
        activation: what makes one activation, such as ``nn.ReLU`` or ``lt.MaxMin``.
        generator: the source of randomness.
        dtype: of the parameters, float32 or float64.

    Returns:
        A network from (…, sizes[0]) to (…, sizes[-1]).

    Example:
        >>> from lipteach.training import orthonormal_network
        >>> network = orthonormal_network([1, 4, 1], nn.ReLU, torch.Generator().manual_seed(0))
        >>> [type(module).__name__ for module in network]
        ['Linear', 'ReLU', 'Linear']

    Source: the initialization usual for the networks of Anil, Lucas and Grosse (2019).
    """
    widths: Any = sizes
    if not isinstance(widths, list | tuple):
        raise TypeError(f"sizes must be a list or tuple of widths; got {type(widths).__name__}.")
    check_maker(activation)
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"dtype must be torch.float32 or torch.float64; got {shown(dtype)}.")
    check_generator(generator)
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least 2 widths; got {len(sizes)}.")
    modules: list[nn.Module] = []
    for n, m in pairwise(check_integer(size, "a width in sizes") for size in sizes):
        layer = _bare_linear(n, m, dtype)
        nn.init.orthogonal_(layer.weight, generator=generator)
        nn.init.uniform_(layer.bias, -0.5, 0.5, generator=generator)
        modules += [layer, activation()]
    return nn.Sequential(*modules[:-1])


@torch.no_grad()
def initialize_(model: nn.Module, generator: torch.Generator) -> nn.Module:
    r"""Draw linear and convolutional layers as PyTorch does, but from a generator, in place.

    Weights and biases are uniform on $\pm 1/\sqrt{n}$, n the number of inputs of an output (of a
    transposed convolution, as there, the number of outputs of an input).

    Args:
        model: its ``nn.Linear``, ``nn.Conv2d`` and ``nn.ConvTranspose2d`` are found at every depth.
        generator: the source of randomness.

    Returns:
        The model itself.

    Example:
        >>> from lipteach.training import initialize_
        >>> layer = initialize_(nn.Linear(4, 100), torch.Generator().manual_seed(0))
        >>> 0.4 < layer.weight.abs().max().item() <= 0.5
        True

    Source: ``reset_parameters`` of these classes.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    check_generator(generator)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    parameter.uniform_(-bound, bound, generator=generator)
    return model


def _bare_linear(n: int, m: int, dtype: torch.dtype) -> nn.Linear:
    """Make a layer without values: the usual constructor would draw from the global generator."""
    with torch.device("meta"):
        layer = nn.Linear(n, m, dtype=dtype)
    return layer.to_empty(device="cpu")


def check_generator(generator: Any) -> None:
    """Require a torch.Generator: nothing here draws from the global one."""
    if not isinstance(generator, torch.Generator):
        found = type(generator).__name__
        raise TypeError(f"generator must be a torch.Generator; got {found}.")


def check_maker(activation: Any) -> None:
    """Require what makes an activation: nn.ReLU, not nn.ReLU()."""
    if not callable(activation) or isinstance(activation, nn.Module):
        found = type(activation).__name__
        raise TypeError(f"activation must make a module, such as nn.ReLU does; got {found}.")
