r"""Theorem 1: element-wise activations lose gradient norm, or leave the network affine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipteach.primitives import FullSort, GroupSort, MaxMin, Selection
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_real, check_tensor
from lipteach.primitives.composition import check_sequence, read, runs_as, walk


class HypothesisError(ValueError):
    """A hypothesis of Theorem 1 fails; the message says which, where, and by how much."""


@undisturbed
@torch.enable_grad()
def collapse_affine(
    network: nn.Sequential, x: Tensor, tol: float | None = None
) -> tuple[Tensor, Tensor]:
    r"""Find the affine function that Theorem 1 says a gradient-norm-preserving network is.

    Let f be a network of Linear layers with ‖W‖₂ ≤ 1 and element-wise, monotone, 1-Lipschitz
    activations φ, with one output and ‖∇f‖₂ = 1. From the last layer backwards, with w = W_L,

    $$\|w\|^2 - \|w D\|^2 = \sum_i (1 - D_{ii}^2)\, w_i^2 = 0, \qquad D = \phi'(z) \quad (12),$$

    so that every unit with wᵢ ≠ 0 has slope sᵢ = ±1, hence φ(zᵢ) = sᵢ zᵢ + cᵢ, and the last two
    layers are one: w ← (w ⊙ s) W, with bias b + w·c + (w ⊙ s)·b_W. (The appendix leaves out c.)

    What the batch shows is checked, by its gradients that each activation is element-wise, too.
    Away from the batch that is believed; and a batch cannot show that the domain between its points
    is connected, which the theorem needs.

    Args:
        network: ``nn.Sequential`` of ``nn.Linear`` and element-wise activations in turn, with one
            output.
        x: points of the domain, of shape (batch, n), in the network's dtype.
        tol: what counts as zero; by default 1e-9 in float64 and 1e-4 in float32.

    Returns:
        W of shape (1, n) and b of shape (1,): f(x) = W x + b on the domain, and on the batch up to
        tol times 1 + ‖x‖ + |b|.

    Raises:
        HypothesisError: (a ValueError) if a hypothesis fails; the message names the layer, the unit
            and a point.
        ValueError: if a module has hooks or a forward of its own.

    Example:
        >>> rows = torch.eye(2, dtype=torch.float64)
        >>> f = nn.Sequential(lt.frozen_linear(rows), nn.ReLU(), lt.frozen_linear([[0.6, 0.8]]))
        >>> W, b = lt.collapse_affine(f, torch.tensor([[1.0, 2.0], [3.0, 1.0]]).double())
        >>> W.tolist(), b.tolist()
        ([[0.6, 0.8]], [0.0])

    Source: Anil, Lucas and Grosse (2019), appendix D, Theorem 1 and Equation 12.
    """
    if tol is not None:
        check_real(tol, "tol", above=0.0)
    linears, activations = _layers(network)
    check_points(x, network)
    tol = tol or (1e-9 if x.dtype == torch.float64 else 1e-4)
    _check_weights(linears, tol)
    before, after = _trace(linears, activations, x)
    _check_gradient(network, x, tol)
    w, b = linears[-1].weight.detach(), _bias(linears[-1])
    for k in reversed(range(len(activations))):
        s, c = _unit_lines(before[k], after[k], w[0], k, x, tol)
        b = b + w @ c + (w * s) @ _bias(linears[k])
        w = (w * s) @ linears[k].weight.detach()
    _check_collapse(network, w, b, x, tol)
    return w, b


@undisturbed
@torch.enable_grad()
def gradient_norms(
    network: nn.Sequential, x: Tensor, scalar: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    r"""Compute the norm of the gradient on its way back through the layers (Theorem 1, first step).

    $$\|\partial f / \partial h_l\|_2$$

    for the input h₀ = x, and for what each module returns. Where ‖W‖₂ ≤ 1 and activations are
    1-Lipschitz these norms can only fall on the way from the output to the input.

    Args:
        network: an ``nn.Sequential``.
        x: points of shape (batch, n), in the network's dtype.
        scalar: makes f, one number a point, of the outputs (batch, m); without it there is one
            output, and that is f.

    Returns:
        The norms, of shape (modules + 1, batch), from the input to the output.

    Raises:
        ValueError: if there are several outputs and no `scalar`, `scalar` has no gradient, or a
            module has hooks or a forward of its own.

    Example:
        >>> network = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        >>> _ = [p.data.fill_(1.0) for p in network.parameters()]
        >>> lt.gradient_norms(network, torch.tensor([[-3.0], [3.0]])).tolist()
        [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]

    Source: Anil, Lucas and Grosse (2019), appendix D, the proof of Theorem 1.
    """
    check_sequence(network)
    if scalar is not None and not callable(scalar):
        raise TypeError(f"scalar must be a function of the outputs; got {type(scalar).__name__}.")
    check_points(x, network)
    steps = [x.detach().clone().requires_grad_()]
    for module in network:
        steps.append(module(steps[-1].clone()))  # a module may work in place
    f = steps[-1] if scalar is None else scalar(steps[-1])
    if not isinstance(f, Tensor):
        raise TypeError(f"scalar must return a torch.Tensor; got {type(f).__name__}.")
    if scalar is None and f.shape[-1] != 1:
        raise ValueError(f"network must have one output, or scalar be given; got {f.shape[-1]}.")
    if not f.requires_grad:
        raise ValueError("scalar must depend on the outputs; its result has no gradient.")
    return torch.stack([_row_norms(g) for g in torch.autograd.grad(f.sum(), steps)])


def _layers(network: nn.Sequential) -> tuple[list[nn.Linear], list[nn.Module]]:
    """The Linear layers and, between them, the activations; refuses what Theorem 1 is not about."""
    check_sequence(network)
    modules = [module for _, module in walk(network)]
    linears = [m for m in modules[0::2] if runs_as(m, (nn.Linear, Selection))]
    activations = modules[1::2]
    if len(linears) != len(activations) + 1 or any(isinstance(m, nn.Linear) for m in activations):
        found = ", ".join(type(m).__name__ for m in modules) or "nothing"
        raise ValueError(f"network must alternate Linear and activation layers; got {found}.")
    for k, phi in enumerate(activations):
        if isinstance(phi, (MaxMin, GroupSort, FullSort)):
            found = f"Activation {k + 1} is {type(phi).__name__}"
            raise HypothesisError(f"{found}, not element-wise: Theorem 1 does not apply.")
    if linears[-1].out_features != 1:
        outputs = linears[-1].out_features
        raise HypothesisError(f"Theorem 1 is about one output; the network has {outputs}.")
    return linears, activations


def check_points(x: Tensor, network: nn.Sequential) -> None:
    """Require a batch of points that the network's first Linear layer can take."""
    modules = [module for _, module in network.named_modules(remove_duplicate=False)]
    layers = [module for module in modules if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError("network must have an nn.Linear layer; it has none.")
    first = layers[0]
    check_tensor(x, "x", min_dim=2)
    if x.ndim != 2 or x.shape[1] != first.in_features:
        shape = tuple(x.shape)
        raise ValueError(f"x must have shape (batch, {first.in_features}); got {shape}.")
    if x.dtype != first.weight.dtype:
        raise TypeError(f"x must have the network's dtype, {first.weight.dtype}; got {x.dtype}.")
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x and the network must be float32 or float64; got {x.dtype}.")
    width = first.in_features
    for layer in layers:
        check_tensor(layer.weight, "each weight of network", min_dim=2)
        if layer.bias is not None:
            check_tensor(layer.bias, "each bias of network")
        if layer.in_features != width:
            n = layer.in_features
            raise ValueError(f"network has a layer of {n} inputs after one of {width} outputs.")
        width = layer.out_features


def _bias(layer: nn.Linear) -> Tensor:
    if layer.bias is None or isinstance(layer, Selection):  # which adds none, whatever it holds
        return layer.weight.new_zeros(layer.out_features)
    return read(layer, "bias")


def _row_norms(g: Tensor) -> Tensor:
    """‖g‖₂ of each row, also where squares overflow or vanish."""
    norm, largest = g.norm(dim=1), g.abs().amax(dim=1)
    unit = torch.where(largest > 0, largest, 1.0)
    tiny = torch.finfo(g.dtype).tiny ** 0.5
    plain = norm.isfinite() & (largest > tiny)
    return torch.where(plain, norm, largest * (g / unit[:, None]).norm(dim=1))


def _check_weights(linears: list[nn.Linear], tol: float) -> None:
    for k, layer in enumerate(linears):
        norm = float(torch.linalg.matrix_norm(read(layer), ord=2))
        if not norm <= 1 + tol:
            excess = f"1 + {norm - 1:.1e}"
            raise HypothesisError(f"Layer {k + 1} has ‖W‖₂ = {excess}; Theorem 1 needs ≤ 1.")


def _trace(
    linears: list[nn.Linear], activations: list[nn.Module], x: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Pre-activations (batch, m) of each hidden layer, with their own graphs, and activations."""
    before, after = [], []
    h = x.detach().clone()
    for layer, phi in zip(linears, activations, strict=False):
        z = layer(h).detach().requires_grad_()
        before.append(z)
        after.append(phi(z.clone()))  # an activation may work in place
        h = after[-1].detach()
    return before, after


def _check_gradient(network: nn.Sequential, x: Tensor, tol: float) -> None:
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    norm = _row_norms(gradient)
    worst = int((norm - 1).abs().argmax())
    if not abs(float(norm[worst]) - 1) <= tol:
        raise HypothesisError(
            f"‖∇f‖₂ = {_near(float(norm[worst]))} at x = {_point(x, worst)}; Theorem 1 needs 1."
        )


def _unit_lines(
    z: Tensor, h: Tensor, w: Tensor, k: int, x: Tensor, tol: float
) -> tuple[Tensor, Tensor]:
    """Slopes s and offsets c with φ(zᵢ) = sᵢ zᵢ + cᵢ on the batch, for each unit that w uses."""
    (slope,) = torch.autograd.grad(h.sum(), z, retain_graph=True)
    # No combination of cos 1, cos 2, … is 0; with 1, 2, 3 it is for (z₁ + z₂, z₂, z₂ + z₃).
    weights = 2 + torch.arange(1, h.shape[1] + 1, dtype=h.dtype, device=h.device).cos()
    (weighted,) = torch.autograd.grad((h * weights).sum(), z)
    h, z = h.detach(), z.detach()
    if not bool(((weighted - slope * weights).abs() <= tol * weights).all()):
        raise HypothesisError(f"Activation {k + 1} is not element-wise: Theorem 1 does not apply.")
    s = slope[0].sign()
    c = h - s * z  # (batch, m)
    off = (slope.abs() - 1).abs()  # from slope ±1
    share = w.square() * (1 - slope.square()).abs()  # of what (12) says is lost
    for i in range(len(w)):
        row = int(off[:, i].argmax())
        if share[row, i] > tol:
            problem = f"slope {_near(float(slope[row, i]))} at x = {_point(x, row)}, not ±1"
        elif off[row, i] > tol:
            s[i], c[:, i] = 0, 0  # a unit whose weight is as good as zero
            continue
        elif w[i].abs() > tol and bool((slope[:, i] * s[i] < 0).any()):
            problem = "slopes +1 and −1: the activation is not monotone"
        elif w[i].abs() * (c[:, i].max() - c[:, i].min()) > tol * (1 + h[:, i].abs().max()):
            problem = "slope ±1 but different offsets: the domain is not connected"
        else:
            continue
        raise HypothesisError(f"Hidden layer {k + 1}, unit {i + 1} has {problem}.")
    return s, c[0]


def _check_collapse(network: nn.Sequential, W: Tensor, b: Tensor, x: Tensor, tol: float) -> None:
    """A unit of weight w is as good as zero in (12) up to √tol; its values may not be."""
    off = (network(x) - (x @ W.mT + b)).detach().abs().amax(dim=1)
    size = torch.linalg.vector_norm(x, dim=1) + float(b.abs())
    row = int((off / (1 + size)).argmax())
    if off[row] > tol * (1 + size[row]):
        raise HypothesisError(
            f"The network is no affine function on the batch up to tol: at x = {_point(x, row)} "
            f"the collapsed one is off by {float(off[row]):.1e}."
        )


def _near(value: float) -> str:
    """The number in four decimals, unless it would read as the 1 that it is not."""
    short = f"{value:.4f}"
    return short if short.lstrip("-") != "1.0000" else repr(value)


def _point(x: Tensor, row: int) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in x[row].tolist()) + ")"
