"""Points, targets and exact measurements for the tests of the lattice."""

import itertools
import math

import torch
from support import uniform
from torch import Tensor, nn

import lipteach as lt


def cones(points: Tensor, heights: Tensor, p: float):
    """The maximum of cones of slope 1 in the p-norm: 1-Lipschitz, whatever the heights."""

    def g(x: Tensor) -> Tensor:
        apart = (x[:, None] - points).abs()  # (N, cones, n)
        return (heights - torch.linalg.vector_norm(apart, ord=p, dim=-1)).amax(dim=1)

    return g


def random_cones(n: int, p: float, seed: int, count: int = 5):
    return cones(uniform(count, n, seed=seed), uniform(count, seed=seed + 1), p)


def cell_centres(k: int, n: int) -> Tensor:
    """Centres of the kⁿ cells of [−1, 1]ⁿ: in the ∞-norm each point is within 1/k of one."""
    line = (2 * torch.arange(k).double() + 1) / k - 1
    return torch.cartesian_prod(*[line] * n).view(-1, n)


def random_network(sizes: list[int], p: float, seed: int = 0) -> nn.Sequential:
    """A member of the class of Theorem 3 with random weights and biases."""
    q = {1: math.inf, 2: 2.0, math.inf: 1.0}[p]
    modules: list[nn.Module] = []
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        W = uniform(m, n, seed=seed + 2 * k)
        W = W / torch.linalg.vector_norm(W, ord=1 if k else q, dim=1, keepdim=True)
        modules += [lt.linear(W, uniform(m, seed=seed + 2 * k + 1)), lt.MaxMin()]
    return nn.Sequential(*modules[:-1])


def largest_gradient(network: nn.Sequential, x: Tensor, p: float) -> float:
    """The largest dual norm of a gradient at the points: the local Lipschitz constants."""
    q = {1: math.inf, 2: 2.0, math.inf: 1.0}[p]
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    return float(torch.linalg.vector_norm(gradient, ord=q, dim=1).max())


def largest_slope(network: nn.Sequential, low: float, high: float) -> float:
    """The exact Lipschitz constant on [low, high] of a network of one input.

    A lattice network has its kinks where two of its affine pieces cross: between two neighbouring
    crossings it is affine, and its slope there is that of the chord.
    """
    first = network[0]
    w, b = first.weight[:, 0], first.bias
    i, j = torch.triu_indices(len(w), len(w), offset=1)
    crossing = ((b[j] - b[i]) / (w[i] - w[j]))[w[i] != w[j]]
    inside = crossing[(crossing > low) & (crossing < high)]
    knots = torch.cat([inside, torch.tensor([low, high]).double()]).unique()
    knots = knots[torch.cat([knots.diff() > 1e-6, torch.tensor([True])])]  # no 0/0 of neighbours
    middles = (knots[1:] + knots[:-1]) / 2
    return max(
        largest_gradient(network, middles[:, None], math.inf),
        float((network(knots[:, None])[:, 0].diff() / knots.diff()).abs().max()),
    )
