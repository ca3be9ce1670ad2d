r"""The class of networks of Theorem 3: a membership test, and the size of a network."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.primitives import GroupSort, MaxMin, Selection
from lipteach.primitives._validate import check_real
from lipteach.primitives.composition import check_sequence, linear_layers, runs_as, walk


class Size(NamedTuple):
    """How large a network is.

    pieces: the rows of the first weight matrix, each an affine piece of the input.
    layers: the MaxMin layers.
    weights: the entries of weights and biases that are not zero.
    """

    pieces: int
    layers: int
    weights: int


def in_lipschitz_class(network: nn.Module, p: float = 2, tol: float = 1e-12) -> bool:
    r"""Tell whether a network is in the class of Theorem 3, written with "at most" (appendix E).

    $$\|W_1\|_{p,\infty} \le 1, \qquad \|W_i\|_\infty \le 1 \quad (i \ge 2),$$

    with MaxMin between the layers. Every member is 1-Lipschitz from the p-norm to the ∞-norm: the
    first layer by Hölder's inequality, each other by the largest row sum of |W|, and a sort always.
    The class contains affine functions and is closed under maximum and minimum. Of two linear
    layers without MaxMin between them each is asked for its norm.

    Args:
        network: an ``nn.Sequential``.
        p: the norm of the inputs, any number from 1 to ``math.inf``.
        tol: how far a norm may exceed 1, at least 0; the norms are computed in float64. A network
            cast to float32 needs about 1e-6.

    Returns:
        True or False. A network with any other module is not a member.

    Example:
        >>> lt.in_lipschitz_class(lt.abs_network(math.inf), p=2)
        True
        >>> lt.in_lipschitz_class(lt.abs_network(2), p=2)  # ‖(1, −1)/√2‖_∞ = √2
        False

    Source: Anil, Lucas and Grosse (2019), appendix E, Theorem 3.
    """
    check_exponent(p)
    check_real(tol, "tol", low=0.0)
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"network must be an nn.Sequential; got {type(network).__name__}.")
    modules = [module for _, module in walk(network)]
    linears = [module for module in modules if runs_as(module, (nn.Linear, Selection))]
    if not linears or modules[0] is not linears[0]:
        return False
    if len(linears) + sum(map(_sorts_pairs, modules)) < len(modules):
        return False
    for layer in linears:
        if not layer.weight.is_floating_point() or not torch.equal(layer.weight, layer.weight):
            return False  # complex, NaN, or another each time it is read
        if layer.bias is not None and bool(layer.bias.isnan().any()):
            return False
    norms = [
        1.0 if isinstance(layer, Selection) else _largest_row(layer.weight, math.inf if k else p)
        for k, layer in enumerate(linears)
    ]
    return all(norm <= 1 + tol for norm in norms)


def network_size(network: nn.Module) -> Size:
    """Count the affine pieces, the MaxMin layers and the nonzero weights of a network.

    Args:
        network: an ``nn.Sequential`` with an ``nn.Linear`` in it.

    Returns:
        A named tuple (pieces, layers, weights).

    Raises:
        ValueError: if it has no linear layer, has other modules with weights, or a module has hooks
            or a forward of its own.

    Example:
        >>> lt.network_size(lt.w_network())
        Size(pieces=4, layers=2, weights=16)
    """
    check_sequence(network)
    linears = linear_layers(network)
    if not linears:
        raise ValueError("network must have a linear layer; it has none.")
    modules = [module for _, module in walk(network)]
    for module in modules:
        if not isinstance(module, nn.Linear) and next(module.parameters(), None) is not None:
            kind = type(module).__name__
            raise ValueError(f"network must have its weights in linear layers; it has a {kind}.")
    sorts = sum(map(_sorts_pairs, modules))
    weights = sum(_nonzero(layer) for layer in linears)
    return Size(linears[0].out_features, sorts, weights)


def _largest_row(W: Tensor, p: float) -> float:
    """‖W‖_{p,∞}, the largest dual norm of a row, for any p from 1 to infinity, in float64."""
    return float(torch.linalg.vector_norm(W.detach().double(), ord=dual(p), dim=-1).max())


def dual(p: float) -> float:
    """The exponent q with 1/p + 1/q = 1."""
    if p == 1:
        return math.inf
    return 1.0 if p == math.inf else p / (p - 1)


def check_exponent(p: Any) -> None:
    """Require a number from 1 to infinity."""
    if isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"p must be a number from 1 to math.inf; got {p!r} ({type(p).__name__}).")
    if not p >= 1:
        raise ValueError(f"p must be from 1 to math.inf; got {p}.")


def _sorts_pairs(module: nn.Module) -> bool:
    if runs_as(module, GroupSort):
        return module.size == 2 and module.dim == -1
    return runs_as(module, MaxMin) and module.dim == -1


def _nonzero(layer: nn.Linear) -> int:
    if isinstance(layer, Selection):
        return layer.out_features
    bias = 0 if layer.bias is None else int(layer.bias.count_nonzero())
    return int(layer.weight.count_nonzero()) + bias
