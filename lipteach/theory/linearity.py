r"""Why element-wise activations lose gradient norm, or leave the network affine.

Theorem 1 as a procedure, the counterexample to Theorem 2, and the first-order statement that
Theorem 2's proof does establish.

Source: Anil, Lucas and Grosse (2019), appendix D.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives import FullSort, GroupSort, MaxMin
from lipteach.primitives._validate import check_integer, check_real, check_tensor
from lipteach.theory.exact_networks import linear


class HypothesisError(ValueError):
    """A hypothesis of Theorem 1 fails; the message says which, where, and by how much."""


def collapse_affine(network: nn.Sequential, x: Tensor, tol: float = 1e-9) -> tuple[Tensor, Tensor]:
    r"""The affine function that Theorem 1 says a gradient-norm-preserving network is.

    Let f be a network of Linear layers with ‖W‖₂ ≤ 1 and element-wise, monotone, 1-Lipschitz
    activations φ, with one output and ‖∇f‖₂ = 1. From the last layer backwards, with w = W_L,

    $$\|w\|^2 - \|w D\|^2 = \sum_i (1 - D_{ii}^2)\, w_i^2 = 0, \qquad D = \phi'(z) \quad (12),$$

    so that every unit with wᵢ ≠ 0 has slope sᵢ = ±1, hence φ(zᵢ) = sᵢ zᵢ + cᵢ, and the last two
    layers are one: w ← (w ⊙ s) W, with bias b + w·c + (w ⊙ s)·b_W. (The appendix leaves out c.)

    What the batch shows is checked; a batch cannot show that the domain between its points is
    connected, which the theorem needs.

    Args:
        network: ``nn.Sequential`` of ``nn.Linear`` and element-wise activations in turn, with one
            output.
        x: points of the domain, of shape (batch, n), in the network's dtype.
        tol: what counts as zero.

    Returns:
        W of shape (1, n) and b of shape (1,): f(x) = W x + b on the domain.

    Raises:
        TypeError: if network or x is of another type.
        HypothesisError: (a ValueError) if a hypothesis fails; the message names the layer, the unit
            and a point.
        ValueError: if x does not fit the network.

    Example:
        >>> rows = torch.eye(2, dtype=torch.float64)
        >>> f = nn.Sequential(linear(rows), nn.ReLU(), linear([[0.6, 0.8]]))
        >>> W, b = collapse_affine(f, torch.tensor([[1.0, 2.0], [3.0, 1.0]]).double())
        >>> W.tolist(), b.tolist()
        ([[0.6, 0.8]], [0.0])

    Source: Anil, Lucas and Grosse (2019), appendix D, Theorem 1 and Equation 12.
    """
    check_real(tol, "tol", above=0.0)
    linears, activations = _layers(network)
    _check_points(x, linears[0])
    _check_weights(linears, tol)
    before, after = _trace(linears, activations, x)
    _check_gradient(network, x, tol)
    w, b = linears[-1].weight.detach(), _bias(linears[-1])
    for k in reversed(range(len(activations))):
        s, c = _unit_lines(before[k], after[k], w[0], k, x, tol)
        b = b + w @ c + (w * s) @ _bias(linears[k])
        w = (w * s) @ linears[k].weight.detach()
    return w, b


def _layers(network: nn.Sequential) -> tuple[list[nn.Linear], list[nn.Module]]:
    """The Linear layers and, between them, the activations; refuses what Theorem 1 is not about."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"network must be an nn.Sequential; got {type(network).__name__}.")
    modules = list(network)
    linears = [m for m in modules[0::2] if isinstance(m, nn.Linear)]
    activations = modules[1::2]
    if len(linears) != len(activations) + 1 or any(isinstance(m, nn.Linear) for m in activations):
        found = ", ".join(type(m).__name__ for m in modules) or "nothing"
        raise ValueError(f"network must alternate Linear and activation layers; got {found}.")
    for k, phi in enumerate(activations):
        if isinstance(phi, MaxMin | GroupSort | FullSort):
            found = f"Activation {k + 1} is {type(phi).__name__}"
            raise HypothesisError(f"{found}, not element-wise: Theorem 1 does not apply.")
    if linears[-1].out_features != 1:
        outputs = linears[-1].out_features
        raise HypothesisError(f"Theorem 1 is about one output; the network has {outputs}.")
    return linears, activations


def _check_points(x: Tensor, first: nn.Linear) -> None:
    check_tensor(x, "x", min_dim=2)
    if x.ndim != 2 or x.shape[1] != first.in_features:
        shape = tuple(x.shape)
        raise ValueError(f"x must have shape (batch, {first.in_features}); got {shape}.")
    if x.dtype != first.weight.dtype:
        raise TypeError(f"x must have the network's dtype, {first.weight.dtype}; got {x.dtype}.")


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach()


def _check_weights(linears: list[nn.Linear], tol: float) -> None:
    for k, layer in enumerate(linears):
        norm = float(torch.linalg.matrix_norm(layer.weight.detach(), ord=2))
        if not norm <= 1 + tol:
            raise HypothesisError(f"Layer {k + 1} has ‖W‖₂ = {norm:.4f}; Theorem 1 needs ≤ 1.")


def _trace(
    linears: list[nn.Linear], activations: list[nn.Module], x: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Pre-activations (batch, m) of each hidden layer, with their own graphs, and activations."""
    before, after = [], []
    h = x.detach()
    for layer, phi in zip(linears, activations, strict=False):
        z = layer(h).detach().requires_grad_()
        before.append(z)
        after.append(phi(z))
        h = after[-1].detach()
    return before, after


def _check_gradient(network: nn.Sequential, x: Tensor, tol: float) -> None:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    norm = gradient.norm(dim=1)
    worst = int((norm - 1).abs().argmax())
    if not abs(float(norm[worst]) - 1) <= tol:
        raise HypothesisError(
            f"‖∇f‖₂ = {float(norm[worst]):.4f} at x = {_point(x, worst)}; Theorem 1 needs 1."
        )


def _unit_lines(
    z: Tensor, h: Tensor, w: Tensor, k: int, x: Tensor, tol: float
) -> tuple[Tensor, Tensor]:
    """Slopes s and offsets c with φ(zᵢ) = sᵢ zᵢ + cᵢ on the batch, for each unit that w uses."""
    (slope,) = torch.autograd.grad(h.sum(), z)
    used = w.abs() > tol
    s = slope[0].sign() * used
    c = (h - s * z).detach()  # (batch, m)
    for i in torch.nonzero(used).flatten().tolist():
        lost = int((slope[:, i].abs() - 1).abs().argmax())
        if abs(float(slope[lost, i].abs()) - 1) > tol:
            problem = f"slope {float(slope[lost, i]):.4f} at x = {_point(x, lost)}, not ±1"
        elif bool((slope[:, i] * s[i] < 0).any()):
            problem = "slopes +1 and −1: the activation is not monotone"
        elif float(c[:, i].max() - c[:, i].min()) > tol * (1 + float(h[:, i].detach().abs().max())):
            problem = "slope ±1 but different offsets: the domain is not connected"
        else:
            continue
        raise HypothesisError(f"Hidden layer {k + 1}, unit {i + 1} has {problem}.")
    return s, c[0] * used


def _point(x: Tensor, row: int) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in x[row].tolist()) + ")"


def theorem2_counterexample() -> tuple[nn.Sequential, nn.Sequential]:
    r"""Two networks that Theorem 2 calls equal, and that differ (an erratum of appendix D).

    The first computes f(x) = |x₁| on ℝ², with ‖∇f‖₂ = 1 almost everywhere. Its first matrix

    $$W_1 = \tfrac1{\sqrt2}\begin{pmatrix} 1 & 0 \\ -1 & 0 \end{pmatrix}$$

    has the singular values 1 and 0; all others are orthonormal. In the second network W₁ = UΣVᵀ is
    replaced by UVᵀ, as Theorem 2 allows: it computes max(|x₁|, |x₂|). No other orthogonal matrix
    helps: each gives a norm, which vanishes at one point, while f vanishes on a line.

    Returns:
        The network of f and the one after the replacement, each from (…, 2) to (…, 1).

    Example:
        >>> f, replaced = theorem2_counterexample()
        >>> x = torch.tensor([0.0, 1.0]).double()
        >>> f(x).abs().item(), round(replaced(x).item(), 9)
        (0.0, 1.0)

    Source: ours; Theorem 2 is in Anil, Lucas and Grosse (2019), appendix D.
    """
    r = math.sqrt(0.5)
    W2 = torch.tensor([[1, -1], [1, -1], [1, 1], [-1, -1]]) / 2
    W3 = torch.tensor([[1, 1, 0, 0], [0, 0, 1, -1]], dtype=torch.float64) * r

    def with_first(W1: list[list[float]]) -> nn.Sequential:
        rest = [linear(W2), MaxMin(), linear(W3), MaxMin(), linear([[1, 0]])]
        return nn.Sequential(linear(W1), MaxMin(), *rest)

    return with_first([[r, 0.0], [-r, 0.0]]), with_first([[r, r], [-r, r]])


def singular_value_derivatives(
    network: nn.Sequential, layer: int, x: Tensor
) -> tuple[Tensor, Tensor]:
    r"""How f changes, to first order, with each singular value of one weight matrix.

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
        TypeError: if network, layer or x is of another type.
        ValueError: if layer is no index of an ``nn.Linear``, or x does not fit.

    Example:
        >>> f, _ = theorem2_counterexample()
        >>> x = torch.tensor([[2.0, 5.0]]).double()
        >>> sigma, derivative = singular_value_derivatives(f, 0, x)
        >>> sigma.round(decimals=9).tolist(), derivative.abs().round(decimals=9).tolist()
        ([1.0, 0.0], [[2.0, 0.0]])

    Source: Anil, Lucas and Grosse (2019), appendix D, the proof of Theorem 2 read to first order.
    """
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"network must be an nn.Sequential; got {type(network).__name__}.")
    check_integer(layer, "layer", low=0)
    linear_layer = network[layer] if layer < len(network) else None
    if not isinstance(linear_layer, nn.Linear):
        raise ValueError(f"layer must be the index of an nn.Linear in the network; got {layer}.")
    _check_points(x, next(m for m in network if isinstance(m, nn.Linear)))
    h = network[:layer](x).detach()  # (batch, n_layer)
    z = linear_layer(h).detach().requires_grad_()
    f = network[layer + 1 :](z)  # (batch, 1)
    if f.shape[-1] != 1:
        raise ValueError(f"network must have one output; got {f.shape[-1]}.")
    (delta,) = torch.autograd.grad(f.sum(), z)
    U, sigma, Vh = torch.linalg.svd(linear_layer.weight.detach(), full_matrices=False)
    return sigma, (delta @ U) * (h @ Vh.mT)
