"""Small classifiers, and what a grid says of them."""

from itertools import pairwise

import torch
from support import generator
from torch import Tensor, nn

import lipteach as lt
from lipteach.training import initialize_


def differences(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Z_y − Z_k as the model computes it."""
    with torch.no_grad():
        Z = model(x).double()
    return Z.gather(1, y[:, None]) - Z


ACTIVATIONS = {
    "relu": nn.ReLU,
    "maxmin": lt.MaxMin,
    "groups of 3": lambda: lt.GroupSort(3),
    "full sort": lt.FullSort,
    "leaky": lambda: nn.LeakyReLU(0.3),
    "abs": lt.Abs,
    "maxout": lambda: nn.Sequential(lt.Maxout(2), lt.Selection(list(range(3)) * 2, 3)),
    "scaled": lambda: nn.Sequential(lt.Scale(-1.7), lt.MaxMin(), lt.Scale(0.6)),
}


def network(seed: int, activation: str, inputs: int = 2, depth: int = 2) -> nn.Sequential:
    sizes = [inputs, *[6] * depth, 3]
    modules: list[nn.Module] = []
    for n, m in pairwise(sizes):
        modules += [nn.Linear(n, m), ACTIVATIONS[activation]()]
    model = nn.Sequential(*modules[:-1])
    initialize_(model, generator(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def grid(x: Tensor, eps: float, side: int = 41) -> Tensor:
    """All of a square around x, within the unit square, as rows."""
    axes = [
        torch.linspace(max(0.0, float(c) - eps), min(1.0, float(c) + eps), side, dtype=x.dtype)
        for c in x
    ]
    return torch.cartesian_prod(*axes)
