r"""Theorem 2: its counterexample, and the first-order statement that its proof does establish."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives import MaxMin, Selection
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_integer
from lipteach.primitives.composition import check_sequence, runs_as
from lipteach.theory.frozen import frozen_linear
from lipteach.theory.linearity import check_points


def theorem2_counterexample() -> tuple[nn.Sequential, nn.Sequential]:
    r"""Build two networks that Theorem 2 calls equal, and that differ (an erratum of appendix D).

    The first computes f(x) = |x₁| on ℝ², with ‖∇f‖₂ = 1 almost everywhere. Its first matrix

    $$W_1 = \tfrac1{\sqrt2}\begin{pmatrix} 1 & 0 \\ -1 & 0 \end{pmatrix}$$

    has the singular values 1 and 0; all others are orthonormal. In the second network W₁ = UΣVᵀ is
    replaced by UVᵀ, as Theorem 2 allows: it computes max(|x₁|, |x₂|). No other orthogonal matrix
    helps: each gives a norm, which vanishes at one point, while f vanishes on a line.

    Returns:
        The network of f and the one after the replacement, each from (…, 2) to (…, 1).

    Example:
        >>> f, replaced = lt.theorem2_counterexample()
        >>> x = torch.tensor([0.0, 1.0]).double()
        >>> f(x).abs().item(), round(replaced(x).item(), 9)
        (0.0, 1.0)

    Source: Theorem 2 is in Anil, Lucas and Grosse (2019), appendix D.
    """
    r = math.sqrt(0.5)
    W2 = torch.tensor([[1, -1], [1, -1], [1, 1], [-1, -1]]) / 2
    W3 = torch.tensor([[1, 1, 0, 0], [0, 0, 1, -1]], dtype=torch.float64) * r

    def with_first(W1: list[list[float]]) -> nn.Sequential:
        rest = [frozen_linear(W2), MaxMin(), frozen_linear(W3), MaxMin(), frozen_linear([[1, 0]])]
        return nn.Sequential(frozen_linear(W1), MaxMin(), *rest)

    return with_first([[r, 0.0], [-r, 0.0]]), with_first([[r, r], [-r, r]])


@undisturbed
@torch.enable_grad()
def singular_value_derivatives(
    network: nn.Sequential, layer: int, x: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Compute how f changes, to first order, with each singular value of one weight matrix.

    With W = Σⱼ σⱼ uⱼ vⱼᵀ, input h of the layer and gradient δ = ∂f/∂z after it,

    $$\partial f / \partial \sigma_j = (u_j^\top \delta)\,(v_j^\top h).$$

    This is what the proof of Theorem 2 establishes: if ‖∇f‖₂ = 1, the derivative is 0 wherever
    σⱼ < 1. It says nothing about σⱼ after a change of finite size.

    Args:
        network: ``nn.Sequential`` with one output.
        layer: the index in `network` of an ``nn.Linear``.
        x: points of shape (batch, n).

    Returns:
        The singular values σ, of shape (k,) with k = min(m, n), and ∂f/∂σ, of shape (batch, k).

    Raises:
        ValueError: if layer is no index of an ``nn.Linear``.

    Example:
        >>> f, _ = lt.theorem2_counterexample()
        >>> x = torch.tensor([[2.0, 5.0]]).double()
        >>> sigma, derivative = lt.singular_value_derivatives(f, 0, x)
        >>> sigma.round(decimals=9).tolist(), derivative.abs().round(decimals=9).tolist()
        ([1.0, 0.0], [[2.0, 0.0]])

    Source: Anil, Lucas and Grosse (2019), appendix D, the proof of Theorem 2 read to first order.
    """
    check_sequence(network)
    check_integer(layer, "layer", low=0)
    linear_layer = network[layer] if layer < len(network) else nn.Identity()
    if not runs_as(linear_layer, (nn.Linear, Selection)):
        raise ValueError(f"layer must be the index of an nn.Linear in the network; got {layer}.")
    check_points(x, network)
    h = network[:layer](x.detach().clone()).detach()  # (batch, n_layer)
    z = linear_layer(h).detach().requires_grad_()
    f = network[layer + 1 :](z.clone())  # (batch, 1); an activation may work in place
    if f.shape[-1] != 1:
        raise ValueError(f"network must have one output; got {f.shape[-1]}.")
    (delta,) = torch.autograd.grad(f.sum(), z)
    U, sigma, Vh = torch.linalg.svd(linear_layer.weight.detach(), full_matrices=False)
    return sigma, (delta @ U) * (h @ Vh.mT)
