r"""Losses for networks whose Lipschitz constant is known, and what a small value certifies.

Each is to be made small, as torch's own are. Where something is to be large, its negative is
taken, and the docstring says so. With f or the vector Z of logits L-Lipschitz in the 2-norm, a
margin is a radius: `lt.certified_radius` of the logits, and |f| / L of a single output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lipteach.primitives._validate import (
    check_real,
    check_tensor,
    in_float64,
    shown,
)
from lipteach.robustness.attack_losses import check_labels

REDUCTIONS = ("mean", "sum", "none")


def multiclass_hinge_loss(
    logits: Tensor, labels: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    r"""Return the margin hinge loss in its sum form.

    $$\ell = \sum_{k \ne y} (m - Z_y + Z_k)^+$$

    ``nn.MultiMarginLoss`` is this divided by the number of classes C, so that its margin m and
    its rate of learning mean something else for another C.

    A sample whose loss is ℓ has the margin $Z_y - \max_{k \ne y} Z_k \ge m - \ell$: where ℓ < m and
    Z is L-Lipschitz, its class is certain within (m − ℓ) / (√2 L). At 0 that is m / (√2 L).

    Args:
        logits: Z, of shape (N, classes), with two classes at least.
        labels: y, integers of shape (N,).
        margin: m, positive.
        reduction: "mean" or "sum" over the samples, or "none".

    Returns:
        A scalar, or a tensor of shape (N,).

    Example:
        >>> from lipteach.training import multiclass_hinge_loss
        >>> logits = torch.tensor([[1.0, 0.5, -2.0]])
        >>> [multiclass_hinge_loss(logits, torch.tensor([y])).item() for y in (0, 1)]
        [0.5, 1.5]

    Source: Weston and Watkins (1999), "Support vector machines for multi-class pattern
    recognition".
    """
    y = class_labels(logits, labels)
    check_real(margin, "margin", above=0.0)
    _check_reduction(reduction)
    terms = functional.relu(margin - logits.gather(1, y[:, None]) + logits)
    own = functional.one_hot(y, logits.shape[1]).bool()
    return _reduced(terms.masked_fill(own, 0.0).sum(1), reduction)


def tau_cross_entropy(
    logits: Tensor, labels: Tensor, tau: float, reduction: str = "mean"
) -> Tensor:
    r"""Return cross entropy at the inverse temperature τ, in units of the logits.

    $$\ell_\tau = -\frac1\tau \log \operatorname{softmax}(\tau Z)_y
                = \frac1\tau \log \sum_k e^{\tau (Z_k - Z_y)}$$

    The logits of a 1-Lipschitz network cannot grow, so that plain cross entropy (τ = 1) keeps
    asking for larger margins; τ says which margins are large. The division keeps the gradient's
    size: its entries sum to 0 and those of the other classes to at most 1. The limits:

    - τ → ∞: $\max_k Z_k - Z_y$, a hinge of margin 0; it is at most log(C) / τ less than ℓ_τ.
    - τ → 0: $\ell_\tau - \log(C) / \tau \to \frac1C \sum_k Z_k - Z_y$, linear in Z as is
      `kr_loss`, and as blind to each sample's sign.

    A sample whose loss is ℓ < log(2) / τ is classified rightly, and with Z L-Lipschitz within the
    radius $-\log(e^{\tau \ell} - 1) / (\sqrt 2 \tau L)$: its margin is not below
    $-\log(e^{\tau \ell} - 1) / \tau$, with equality for two classes.

    Args:
        logits: Z, of shape (N, classes), with two classes at least.
        labels: y, integers of shape (N,).
        tau: τ, positive; 1 is cross entropy. The temperature is 1 / τ.
        reduction: "mean" or "sum" over the samples, or "none".

    Returns:
        A scalar, or a tensor of shape (N,).

    Example:
        >>> from lipteach.training import tau_cross_entropy
        >>> logits, y = torch.tensor([[1.0, 0.5, -2.0]]), torch.tensor([1])
        >>> [round(tau_cross_entropy(logits, y, tau).item(), 3) for tau in (1.0, 10.0, 1000.0)]
        [1.005, 0.501, 0.5]

    Source: Béthune et al. (2022), "Pay attention to your loss: understanding misconceptions about
    1-Lipschitz neural networks".
    """
    y = class_labels(logits, labels)
    check_real(tau, "tau", above=0.0)
    _check_reduction(reduction)
    losses = functional.cross_entropy(tau * in_float64(logits), y, reduction="none") / tau
    return _reduced(losses.to(logits.dtype), reduction)


def orthogonality_penalty(W: Tensor) -> Tensor:
    r"""Return how far a matrix is from orthonormal rows or columns, whichever are fewer.

    $$\|W^T W - I\|_F^2 = \sum_i (\sigma_i^2 - 1)^2$$

    for m ≥ n, and $\|W W^T - I\|_F^2$ for m < n, where the other side could not vanish. It is a
    penalty and not a constraint: training leaves some P > 0, and what that certifies is
    $\sqrt{1 - \sqrt P} \le \sigma_{min}$ (for P ≤ 1) and $\sigma_{max} \le \sqrt{1 + \sqrt P}$. Its
    gradient is $4 W (W^T W - I)$, so that a step against it at the rate η is `lt.parseval_step`
    with β = 4η; at W = 0 it vanishes too. The norm of a convolution is not that of its flattened
    kernel (`lt.convolution_norm_bounds`).

    Args:
        W: shape (…, m, n).

    Returns:
        A tensor of shape (…).

    Example:
        >>> from lipteach.training import orthogonality_penalty
        >>> orthogonality_penalty(torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).item()
        9.0

    Source: Cissé et al. (2017), "Parseval networks"; Anil, Lucas and Grosse (2019), appendix B.
    """
    check_tensor(W, "W", min_dim=2)
    tall = W.shape[-2] >= W.shape[-1]
    gram = W.mT @ W if tall else W @ W.mT
    I = torch.eye(gram.shape[-1], dtype=W.dtype, device=W.device)  # noqa: E741
    return (gram - I).square().sum(dim=(-2, -1))


def class_labels(logits: Any, labels: Any) -> Tensor:
    """The labels of logits of shape (N, classes)."""
    check_tensor(logits, "logits", min_dim=2)
    if logits.ndim != 2:
        raise ValueError(f"logits must have shape (N, classes); got {tuple(logits.shape)}.")
    return check_labels(labels, logits, "labels")


def _check_reduction(reduction: Any) -> None:
    if reduction not in REDUCTIONS:
        named = '"mean", "sum" or "none"'
        error = ValueError if isinstance(reduction, str) else TypeError
        raise error(f"reduction must be {named}; got {shown(reduction)}.")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses, (N,), or their mean or sum."""
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
