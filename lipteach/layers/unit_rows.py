"""Rows of length 1: each output of a layer is 1-Lipschitz, and the layer as a whole is not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipteach.layers.constrain import check_layer, register
from lipteach.layers.parametrizations import Constraint
from lipteach.primitives._validate import has_data, transforming


def unit_rows(module: nn.Linear, name: str = "weight") -> nn.Linear:
    r"""Keep each row of the weight of an ``nn.Linear`` at length 1.

    Each row is divided by its 2-norm: $W_i / \|W_i\|_2$. Each output is then 1-Lipschitz from the
    2-norm, $\|W\|_{2,\infty} = 1$ (`mixed_norm`), and its gradient has length 1. The layer as a
    whole is not 1-Lipschitz: ‖W‖₂ is between 1 and the root of the number of rows.

    As the last layer of a 1-Lipschitz network it gives logits that are 1-Lipschitz one by one. The
    difference of two of them is 2-Lipschitz, so that a class is certain within half its margin:
    ``lt.certified_radius(logits, 1.0, p=math.inf)``, a radius in the 2-norm of the inputs, whatever
    the number of classes. (If ‖W‖₂ ≤ 1 for the layer, the margin over √2 holds.)

    Args:
        module: an ``nn.Linear``.
        name: the name of the parameter.

    Returns:
        The module, with the parametrization registered on it.

    Raises:
        ValueError: if it has no such parameter, or one which is parametrized already; when the
            weight is read, if a row is zero.

    Example:
        >>> layer = lt.unit_rows(nn.Linear(2, 2))
        >>> layer.weight = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
        >>> layer.weight.detach()
        tensor([[ 0.6000,  0.8000],
                [ 0.0000, -1.0000]])

    Source: S. Singla, S. Singla and S. Feizi (2022), Improved deterministic l2 robustness on
    CIFAR-10 and CIFAR-100, "last layer normalization".
    """
    if not isinstance(module, nn.Linear):
        raise TypeError(f"module must be an nn.Linear; got {type(module).__name__}.")
    weight = check_layer(module, name)
    return register(module, name, UnitRows(weight.shape))


class UnitRows(Constraint):
    """The weight with each row over its length."""

    def weight(self, X: Tensor, *_: Tensor) -> Tensor:
        """The rows over their lengths, which are found without overflow."""
        most = X.detach().abs().amax(dim=1, keepdim=True)
        if has_data(X) and not transforming() and not bool((most > 0).all()):
            raise ValueError("Each row of the weight must have a direction; one is zero.")
        rows = X / most
        lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return rows / lengths
