"""What a scheme does to the weights after each step of the optimizer.

Parametrized weights keep their constraint by themselves, and are left alone.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers import retract_
from lipteach.layers.weights import weight_to_change
from lipteach.primitives import parseval_step, project_linf_norm
from lipteach.training.arrangement import layers_of

Model = TypeVar("Model", bound=nn.Module)


def _plain_weights(network: nn.Module) -> list[Tensor]:
    return [
        weight_to_change(type(layer).__name__, layer)
        for layer in layers_of(network)
        if not parametrize.is_parametrized(layer, "weight")
    ]


@torch.no_grad()
def project_rows_(network: Model) -> Model:
    """Project each row of each plain weight on the L1 ball, in place: ‖W‖_∞ ≤ 1."""
    for weight in _plain_weights(network):
        weight.copy_(project_linf_norm(weight.flatten(1)).view(weight.shape))
    return network


@torch.no_grad()
def parseval_(beta: float, network: Model) -> Model:
    """Take Parseval's step (8) on each plain weight, in place; of a kernel on the flattened one."""
    for weight in _plain_weights(network):
        weight.copy_(parseval_step(weight.flatten(1), beta).view(weight.shape))
    return network


def retract_linear_(network: Model, convolutions: bool = False) -> Model:
    """Make plain linear weights orthonormal, in place, and convolutions only where asked."""
    for layer in layers_of(network):
        if convolutions or isinstance(layer, nn.Linear):
            retract_(layer, method="qr")
    return network
