"""The Householder activation: a reflection of each pair on one side of a line."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import axis, check_integer, check_tensor, leaf_of_fx
from lipteach.primitives.activations import refuse_nan


@leaf_of_fx
def householder(x: Tensor, angle: Tensor, dim: int = -1) -> Tensor:
    r"""Reflect each adjacent pair along `dim` that lies behind its line.

    With the unit vector $v = (\cos\theta, \sin\theta)$ of a pair z,

    $$\sigma(z) = \begin{cases} z & v^\top z \ge 0 \\ z - 2\,(v^\top z)\,v & v^\top z < 0
      \end{cases} \;=\; z + 2\,(-v^\top z)^+\, v.$$

    It is continuous, since both are z on the line $v^\top z = 0$, and its Jacobian is the identity
    or a reflection (on the line automatic differentiation takes the identity): J Jᵀ = I, no
    gradient norm is lost, and it is 1-Lipschitz for p = 2. For p = 1 and ∞ its constant is
    $|\cos 2\theta| + |\sin 2\theta|$, which is 1 where θ is a multiple of 45° and at most √2.
    MaxMin has θ = −45°; with θ = 0 it is the absolute value of each first entry.

    Args:
        x: a tensor of shape (…, 2k, …), 2k along `dim`.
        angle: θ for each pair, in radians, (k,).
        dim: the dimension of the pairs.

    Raises:
        ValueError: if x has not two entries for each angle, or holds NaN, as in `group_sort`.

    Example:
        >>> angle = torch.tensor([0.0, -math.pi / 4])
        >>> lt.householder(torch.tensor([-3.0, 1.0, 2.0, 4.0]), angle)
        tensor([3., 1., 4., 2.])

    Source: S. Singla, S. Singla and S. Feizi (2022), Improved deterministic l2 robustness on
    CIFAR-10 and CIFAR-100.
    """
    check_tensor(x, finite=False)
    check_tensor(angle, "angle", min_dim=0, finite=False)
    dim = axis(x, dim)
    if angle.ndim != 1 or x.shape[dim] != 2 * len(angle):
        raise ValueError(
            "x must have two entries along dim for each angle; got length "
            f"{x.shape[dim]} and angle of shape {tuple(angle.shape)}."
        )
    refuse_nan(x)
    after = x.ndim - 1 - dim
    pairs = x.reshape(*x.shape[:dim], -1, 2, *x.shape[dim + 1 :])
    theta = angle.view(-1, *[1] * after)
    v = torch.stack([theta.cos(), theta.sin()], dim=1)
    v = v if v.dtype == x.dtype else v.to(x.dtype)
    behind = torch.relu(-(v * pairs).sum(dim + 1, keepdim=True))
    return (pairs + 2 * behind * v).reshape(x.shape)


class Householder(nn.Module):
    """`householder` as a module that learns its angles; a new one is MaxMin, up to rounding.

    >>> lt.Householder(4)(torch.tensor([1.0, 2.0, 4.0, 3.0])).detach()
    tensor([2., 1., 4., 3.])
    """

    def __init__(self, features: int, dim: int = -1) -> None:
        super().__init__()
        if check_integer(features, "features") % 2:
            raise ValueError(f"features must be even, since pairs are reflected; got {features}.")
        self.dim = check_integer(dim, "dim", -math.inf)
        self.angle = nn.Parameter(torch.full((features // 2,), -math.pi / 4))

    def forward(self, x: Tensor) -> Tensor:
        """Return `householder(x, angle, dim)`."""
        return householder(x, self.angle, self.dim)

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"features={2 * len(self.angle)}, dim={self.dim}"
