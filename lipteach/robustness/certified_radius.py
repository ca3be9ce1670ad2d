r"""How far a class is certain when a Lipschitz constant is known (appendix H.5)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipteach.primitives._validate import check_norm, check_real, check_tensor


def certified_radius(logits: Tensor, L: float, p: float = 2) -> Tensor:
    r"""Return the radius within which the predicted class cannot change (appendix H.5).

    If f is L-Lipschitz from the p-norm of inputs to the p-norm of its logits, the difference of two
    logits is $2^{1 - 1/p} L$-Lipschitz, so the class is certain within

    $$r = \frac{Z_{(1)} - Z_{(2)}}{2^{1 - 1/p}\, L},$$

    the two largest logits' margin over $\sqrt 2 L$ for p = 2, over $2L$ for p = ∞ (where it is
    enough that each single logit is L-Lipschitz) and over $L$ for p = 1. On the sphere of that
    radius a tie is possible: the bound is attained by (x, −x) for p = ∞ and by (x₁, x₂) for p = 2.

    Args:
        logits: Z, of shape (…, classes), with two classes at least.
        L: a Lipschitz constant of f that is certain, in the same p: `lipschitz_bounds`'s upper one.
        p: 1, 2 or ``math.inf``.

    Returns:
        A tensor of shape (…), rounded down; 0 at a tie. The logits and L are taken as exact.

    Example:
        >>> lt.certified_radius(torch.tensor([[0.25, 1.25, 0.0]]), L=1.0, p=math.inf)
        tensor([0.5000])

    Source: Tsuzuku, Sato and Sugiyama (2018), "Lipschitz-Margin Training"; the factor for p = ∞ is
    what the margins of Anil, Lucas and Grosse (2019), appendix H.5, need.
    """
    check_tensor(logits, "logits")
    check_norm(p)
    check_real(L, "L", above=0.0)
    if logits.shape[-1] < 2:
        raise ValueError(f"logits must have two classes at least; got {logits.shape[-1]}.")
    first, second = logits.double().topk(2, dim=-1).values.unbind(-1)
    kind, half = torch.finfo(torch.float64), 2 ** (1 - 1 / p) / 2
    radius = (first / 2 - second / 2) / L / half * (1 - 8 * kind.eps)  # the halves do not overflow
    radius = (radius - 4 * 2.0**-1074).clamp(0, kind.max)  # below the normal range, by digits
    found = radius.to(logits.dtype)
    down = torch.nextafter(found, torch.zeros_like(found))
    return torch.where(found.double() > radius, down, found)
