"""What a scheme does to a network before training: scaling layers, dropout, flattened kernels.

Source: Anil, Lucas and Grosse (2019), appendix H.4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers.copies import evaluating, said_name
from lipteach.layers.known_modules import mixes, one_lipschitz
from lipteach.layers.layer_norms import is_layer
from lipteach.layers.module_constants import WITH_CONSTANTS, constant
from lipteach.layers.normalizations import NORMALIZATIONS
from lipteach.primitives import Scale, Selection, polar
from lipteach.primitives._validate import NORMS, check_real
from lipteach.primitives.composition import walk
from lipteach.training.networks import check_generator

INPUT_RATE = 0.2


def layers_of(network: nn.Module) -> list[Any]:
    """List the linear and convolutional layers at every depth, but no `lt.Selection`."""
    layers = (nn.Linear, nn.Conv2d)
    found = network.modules()
    return [m for m in found if isinstance(m, layers) and not isinstance(m, Selection)]


def check_steps(network: nn.Sequential) -> nn.Sequential:
    """Require that nothing but the layers can stretch, as it must where a constant is promised.

    The layers are plain. Every other module is one that is known not to stretch, in evaluation mode
    and for images of every size, and that learns nothing.

    >>> check_steps(nn.Sequential(nn.Linear(2, 3), nn.GELU()))
    Traceback (most recent call last):
    ...
    ValueError: network must consist of plain nn.Linear, nn.Conv2d and modules that are known not \
to stretch, or no constant can be promised; got 1 (GELU).
    """
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"network must be an nn.Sequential; got {type(network).__name__}.")
    with evaluating(network):
        for name, step in walk(network):
            if is_layer(step) and not isinstance(step, (Scale, Selection, *NORMALIZATIONS)):
                known = isinstance(step, (nn.Linear, nn.Conv2d))
                kept = known and not parametrize.is_parametrized(step)
                if isinstance(step, WITH_CONSTANTS):
                    kept = all(constant(step, p, set()) <= 1 for p in NORMS)
                    kept &= not [*step.parameters()]
            else:
                kept = one_lipschitz(step, {}) and not [*step.parameters()]
            if not kept or mixes(step, {}):
                raise ValueError(
                    "network must consist of plain nn.Linear, nn.Conv2d and modules that are known "
                    f"not to stretch, or no constant can be promised; got {said_name(name, step)}."
                )
    return network


@torch.no_grad()
def spread_scale(network: nn.Sequential, L: float) -> nn.Sequential:
    r"""Multiply a network by L, spread over a scaling layer after each of its k layers (H.4).

    With $s = L^{1/k}$, each layer is followed by ``lt.Scale(s)``, and the bias of layer l is
    multiplied by $s^{l-1}$, the product of the scales before it. The new network is L times the old
    one, wherever what stands between the layers is positively homogeneous, $\varphi(a x) =
    a \varphi(x)$ for a ≥ 0, as ReLU, sorts, maxout and max-pooling are. Without the factor at the
    biases it is not (H.4 does not say so).

    Args:
        network: its ``nn.Linear`` and ``nn.Conv2d`` stand in it directly; they go on in the result,
            their biases changed in place.
        L: greater than 0.

    Returns:
        The new network.

    Raises:
        ValueError: if the network has no such layer, or one of them twice.

    Example:
        >>> from lipteach.training import spread_scale
        >>> network = spread_scale(nn.Sequential(nn.Linear(3, 4), lt.MaxMin(), nn.Linear(4, 1)), 9)
        >>> [type(module).__name__ for module in network]
        ['Linear', 'Scale', 'MaxMin', 'Linear', 'Scale']

    Source: Anil, Lucas and Grosse (2019), appendix H.4.
    """
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"network must be an nn.Sequential; got {type(network).__name__}.")
    check_real(L, "L", above=0.0)
    layers = [module for module in network if isinstance(module, (nn.Linear, nn.Conv2d))]
    k = len(layers)
    if k == 0:
        raise ValueError("network must have an nn.Linear or nn.Conv2d in it; it has none.")
    if len(set(layers)) < k:
        raise ValueError("network must have each layer once; one bias cannot follow two scales.")
    s, before = L ** (1 / k), 1.0
    modules: list[nn.Module] = []
    for module in network:
        modules.append(module)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            modules.append(Scale(s))
            if module.bias is not None:
                module.bias.mul_(before)
            before *= s
    return nn.Sequential(*modules)


class Dropout(nn.Module):
    """As ``nn.Dropout``, but drawn from a generator of its own and not from the global one.

    >>> drop = Dropout(0.5, torch.Generator().manual_seed(0))
    >>> sorted(set(drop(torch.ones(100)).tolist())), drop.eval()(torch.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate = check_real(rate, "rate", 0.0, 0.99)
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Return x, in training with a share of its entries 0 and the others enlarged."""
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.rate
        return x * (kept.to(x) / (1 - self.rate))

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"rate={self.rate:g}"


def insert_dropout(
    rate: float, network: nn.Sequential, generator: torch.Generator
) -> nn.Sequential:
    """Put dropout between two linear layers, and at `INPUT_RATE` before one that comes first.

    What convolutions hand on is left alone.
    """
    check_generator(generator)
    modules: list[nn.Module] = []
    for module in network:
        if isinstance(module, nn.Linear):
            if not modules:
                modules.append(Dropout(INPUT_RATE, generator))
            elif any(isinstance(before, nn.Linear) for before in modules):
                modules.append(Dropout(rate, generator))
        modules.append(module)
    return nn.Sequential(*modules)


class FlattenedKernel(nn.Module):
    """A kernel that is orthonormal as a matrix (c_out, c_in·k₁·k₂), as the paper's Björck makes it.

    This is no constraint on the convolution: its norm can be up to the root of the number of taps.
    """

    def forward(self, X: Tensor) -> Tensor:
        """The polar factor of the flattened kernel."""
        return polar(X.flatten(1)).view(X.shape)


def flatten_and_orthonormalize(network: nn.Sequential) -> nn.Sequential:
    """Keep the kernel of each convolution orthonormal as a flattened matrix, `FlattenedKernel`."""
    for layer in layers_of(network):
        if isinstance(layer, nn.Conv2d):
            parametrize.register_parametrization(layer, "weight", FlattenedKernel())
    return network
