"""Networks of lesson 03's exercises, and how their layers are read."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from lipteach.classroom.checks import Hint
from lipteach.classroom.compare import (
    a_kind,
)
from lipteach.primitives.composition import walk
from lipteach.theory.frozen import Matrix, linear

R = math.sqrt(0.5)


def relus(*weights: Matrix) -> nn.Sequential:
    """A ReLU network of these weight matrices, without biases."""
    modules = [module for W in weights for module in (linear(W), nn.ReLU())]
    return nn.Sequential(*modules[:-1])


def one_activation(network: nn.Sequential) -> nn.Sequential:
    """The same network, with its first activation standing in all the places."""
    return nn.Sequential(*[network[1] if k % 2 else m for k, m in enumerate(network)])


def need_layers(answer: Any, activation: type[nn.Module], count: int) -> list[nn.Linear]:
    """The Linear layers of a network of `count` of them, with the activation between them."""
    if isinstance(answer, type):
        raise Hint("type", f"This is the class {answer.__name__}: hand in an instance of it.")
    if type(answer) is not nn.Sequential:
        raise Hint("type", f"An nn.Sequential is needed, and this is {a_kind(answer)}.")
    leaves = [module for _, module in walk(answer)]
    for module in leaves:
        if not isinstance(module, nn.Linear | activation):
            text = f"Only Linear and {activation.__name__} are allowed here"
            raise Hint("type", f"{text}; this network uses {type(module).__name__}.")
    wanted = [isinstance(module, nn.Linear) for module in leaves]
    if wanted != [k % 2 == 0 for k in range(2 * count - 1)]:
        text = f"{count} Linear layers with a {activation.__name__} between each two are needed"
        names = ", ".join(type(module).__name__ for module in leaves)
        raise Hint("shape", f"{text}; this network is {names or 'empty'}.")
    layers = [module for module in leaves if isinstance(module, nn.Linear)]
    for k, layer in enumerate(layers):
        if not all(bool(torch.isfinite(p).all()) for p in layer.parameters()):
            raise Hint("constraint", f"Layer {k + 1} holds a number that is not finite.")
    return layers
