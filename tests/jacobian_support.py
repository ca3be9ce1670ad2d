"""Smooth networks and their explicit Jacobians, for the tests of appendix F."""

import torch
from support import normal as random
from torch import nn


def network(n: int, m: int, seed: int = 0) -> nn.Sequential:
    """A smooth network with random weights; tanh has no kinks to step over."""
    f = nn.Sequential(nn.Linear(n, 6), nn.Tanh(), nn.Linear(6, m)).double().requires_grad_(False)
    for k, p in enumerate(f.parameters()):
        p.copy_(random(*p.shape, seed=1000 * seed + k))
    return f.requires_grad_()


def jacobians(f, x: torch.Tensor) -> torch.Tensor:
    """(batch, m, n), sample by sample, by autograd's own Jacobian of the whole batch."""
    J = torch.autograd.functional.jacobian(f, x)
    each = [J[i, ..., i, :].reshape(-1, x[0].numel()) for i in range(len(x))]
    return torch.stack(each)
