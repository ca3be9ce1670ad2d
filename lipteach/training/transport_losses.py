r"""The Kantorovich–Rubinstein losses: of a 1-Lipschitz critic, alone and with a hinge.

As in `lipteach.training.losses`, each is to be made small.
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
    transforming,
)
from lipteach.training.losses import class_labels


def kr_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    r"""Return the Kantorovich–Rubinstein loss of one output and two classes.

    $$\ell_{KR} = E_{-}[f(x)] - E_{+}[f(x)],$$

    the mean output over the negative samples less that over the positive ones. Making it small
    makes $E_{+} f - E_{-} f$ large, which is `lt.wasserstein_dual` of the two classes: if f is
    1-Lipschitz, $-\ell_{KR}$ is at most their distance in the batch, `lt.exact_wasserstein`. It
    certifies no single sample: adding a constant to f changes the signs and not the loss.

    Args:
        outputs: f(x), of shape (N,) or (N, 1).
        labels: of shape (N,) or (N, 1): 1 for positive, and 0 or −1 for negative; or booleans.

    Returns:
        A scalar.

    Raises:
        ValueError: if one of the classes has no sample.

    Example:
        >>> from lipteach.training import kr_loss
        >>> kr_loss(torch.tensor([3.0, 1.0, -2.0]), torch.tensor([1, 1, -1])).item()
        -4.0

    Source: the dual of Kantorovich and Rubinstein; Anil, Lucas and Grosse (2019), Equation (1).
    """
    f, positive = _two_classes(outputs, labels)
    return _kr(f[:, None], positive[:, None]).to(outputs.dtype)


def hkr_loss(outputs: Tensor, labels: Tensor, alpha: float, margin: float = 1.0) -> Tensor:
    r"""Return the hinge-regularized Kantorovich–Rubinstein loss of one output and two classes.

    $$\ell = (1 - \alpha)\, \ell_{KR} + \alpha\, E\bigl[(m - s f(x))^+\bigr], \quad s = \pm 1,$$

    `kr_loss` at α = 0 and the hinge alone at α = 1; between them
    $\ell / (1 - \alpha) = \ell_{KR} + \lambda E[(m - s f)^+]$ with λ = α / (1 − α). It needs a
    Lipschitz f: over all functions it has no minimum unless α = 1, since 2f for an f of the right
    signs is better without end.

    A sample whose hinge is 0 has s f(x) ≥ m: if f is L-Lipschitz, no perturbation shorter than
    m / L changes its sign. The mean certifies no single sample.

    Args:
        outputs: f(x), of shape (N,) or (N, 1).
        labels: of shape (N,) or (N, 1): 1 for positive, and 0 or −1 for negative; or booleans.
        alpha: α, the share of the hinge, in [0, 1].
        margin: m, positive; the two classes are to be 2 m apart.

    Returns:
        A scalar.

    Raises:
        ValueError: if one of the classes has no sample.

    Example:
        >>> from lipteach.training import hkr_loss
        >>> f, labels = torch.tensor([3.0, 0.5, -2.0]), torch.tensor([1, 1, 0])
        >>> [hkr_loss(f, labels, alpha).item() for alpha in (0.0, 0.25, 1.0)]
        [-3.75, -2.7708332538604736, 0.1666666716337204]

    Source: Serrurier et al. (2021), "Achieving robustness in classification using optimal transport
    with hinge regularization".
    """
    f, positive = _two_classes(outputs, labels)
    check_real(alpha, "alpha", 0.0, 1.0)
    check_real(margin, "margin", above=0.0)
    hinge = functional.relu(margin - torch.where(positive, f, -f)).mean()
    return ((1 - alpha) * _kr(f[:, None], positive[:, None]) + alpha * hinge).to(outputs.dtype)


def hkr_multiclass_loss(
    logits: Tensor, labels: Tensor, alpha: float, margin: float = 1.0
) -> Tensor:
    r"""Return the hinge-regularized Kantorovich–Rubinstein loss of classes, one versus rest.

    $$\ell = (1 - \alpha)\, \frac{1}{|K|} \sum_{k \in K} \bigl(E_{y \ne k} Z_k - E_{y = k} Z_k\bigr)
      + \alpha\, E\Bigl[\tfrac{C - 1}{C} (m - Z_y)^+ + \tfrac1C \sum_{k \ne y} (m + Z_k)^+\Bigr]$$

    with C classes, of which those in K have samples in the batch. The own class weighs as much as
    the C − 1 others. With two logits (−f, f) it is `hkr_loss` of f. If each logit is 1-Lipschitz,
    a term of the first sum is, with its sign changed, at most the Wasserstein distance of a class
    from the rest; that is made large.

    A sample whose hinges are all 0 has Z_y ≥ m and all others at most −m. If the vector Z is
    L-Lipschitz, its class is certain within √2 m / L; if only each logit is, within m / L.

    Args:
        logits: Z, of shape (N, classes), with two classes at least.
        labels: y, integers of shape (N,).
        alpha: α, the share of the hinge, in [0, 1].
        margin: m, positive.

    Returns:
        A scalar.

    Raises:
        ValueError: if all samples have one class.

    Example:
        >>> from lipteach.training import hkr_multiclass_loss
        >>> hkr_multiclass_loss(2 * torch.eye(3), torch.arange(3), alpha=0.0).item()
        -2.0

    Source: Serrurier et al. (2021), as for `hkr_loss`.
    """
    y = class_labels(logits, labels)
    check_real(alpha, "alpha", 0.0, 1.0)
    check_real(margin, "margin", above=0.0)
    own = functional.one_hot(y, logits.shape[1]).bool()
    if not transforming() and int(own.any(0).sum()) < 2:
        raise ValueError(f"labels must name two classes at least; got only {int(y[0])}.")
    Z, classes = in_float64(logits), logits.shape[1]
    hinge = functional.relu(margin - torch.where(own, Z, -Z))
    hinge = torch.where(own, (classes - 1) * hinge, hinge).mean()
    return ((1 - alpha) * _kr(Z, own) + alpha * hinge).to(logits.dtype)


def _kr(f: Tensor, positive: Tensor) -> Tensor:
    """The mean of −f over the positive and of f over the negative samples, (N, k), over columns.

    A column that has no positive sample does not count.
    """
    weights = positive.to(f.dtype)
    count = weights.sum(0)
    ups = (f * weights).sum(0) / count.clamp(min=1)
    downs = (f * (1 - weights)).sum(0) / (len(f) - count).clamp(min=1)
    present = (count > 0).to(f.dtype)
    return ((downs - ups) * present).sum() / present.sum()


def _two_classes(outputs: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """The outputs in float64, (N,), and which of them are of the positive class."""
    check_tensor(outputs, "outputs")
    N = len(outputs)
    if outputs.shape not in {(N,), (N, 1)}:
        raise ValueError(f"outputs must have shape (N,) or (N, 1); got {tuple(outputs.shape)}.")
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor; got {shown(labels)}.")
    if labels.shape not in {(N,), (N, 1)}:
        need = f"({N},) or ({N}, 1), one for each of outputs"
        raise ValueError(f"labels must have shape {need}; got {tuple(labels.shape)}.")
    if labels.is_complex():
        raise TypeError(f"labels must be real numbers; got {labels.dtype}.")
    labels = labels.detach().to(outputs.device).flatten()
    if not transforming():
        found = [float(label) for label in labels.unique()]
        if found not in ([0.0, 1.0], [-1.0, 1.0]):
            several = ", ".join(f"{label:g}" for label in found[:4])
            raise ValueError(f"labels must hold 0 and 1, or -1 and 1, both; got {several}.")
    return in_float64(outputs).flatten(), labels > 0
