"""Power iteration: the largest singular value of a matrix, from below (appendix B.2)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.primitives._validate import check_integer, check_tensor, transforming
from lipteach.primitives.orthonormal import refuse_zero


def power_iteration(
    W: Tensor,
    steps: int = 10,
    u: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Estimate the largest singular value of W, and its singular vectors (appendix B.2).

    Each step is $v \leftarrow W^\top u / \|W^\top u\|$, $u \leftarrow W v / \|W v\|$, and in the
    end $\sigma = u^\top W v = \|W v\|$. It is a **lower bound**: σ ≤ ‖W‖₂ always, and σ never falls
    from step to step. Dividing W by it leaves a matrix whose norm is at least 1, never less.

    Args:
        W: matrices of shape (…, m, n), floating point, finite, none of them zero.
        steps: the number of steps, at least 1.
        u: where to start, of shape (m,) or (…, m), such as the u of an earlier call; any length.
        generator: the source of a random start where u is not given; without it the start is a
            fixed vector without pattern, cos k² for k = 1, …, m.

    Returns:
        ``(sigma, u, v)`` of shapes (…), (…, m) and (…, n). u and v have length 1 and carry no
        gradient; the gradient of sigma is u vᵀ, which at convergence is that of ‖W‖₂.

    Raises:
        ValueError: if a matrix is zero, or u is orthogonal to the range of W.

    Example:
        >>> W = torch.diag(torch.tensor([2.0, 1.0]))
        >>> sigma, u, v = lt.power_iteration(W, steps=1, u=torch.tensor([1.0, 1.0]))
        >>> sigma  # below ‖W‖₂ = 2
        tensor(1.8439)

    Source: Anil, Lucas and Grosse (2019), appendix B.2; T. Miyato et al. (2018).
    """
    check_tensor(W, "W", min_dim=2)
    check_integer(steps, "steps")
    refuse_zero(W)
    A = W.detach()
    m = W.shape[-2]
    if u is None:
        u = start_vector(m, generator).to(W)
    else:
        check_tensor(u, "u")
        if u.shape not in {(m,), W.shape[:-1]}:
            need = tuple(W.shape[:-1])
            raise ValueError(f"u must have shape {(m,)} or {need}; got {tuple(u.shape)}.")
        u = u.detach().to(W)
    u = u.expand(W.shape[:-1])
    for _ in range(steps):
        v = normalized((A.mT @ u.unsqueeze(-1)).squeeze(-1))
        if not transforming() and not bool(v.any(-1).all()):
            raise ValueError("u must not be orthogonal to the range of W: there Wᵀu is zero.")
        u = normalized((A @ v.unsqueeze(-1)).squeeze(-1))
    sigma = (u.unsqueeze(-2) @ W @ v.unsqueeze(-1)).squeeze(-1).squeeze(-1)
    return sigma, u, v


def start_vector(m: int, generator: Any) -> Tensor:
    """Draw m numbers from the generator, or without it the fixed vector cos k²."""
    if generator is None:  # no random numbers, which vmap and torch.compile would refuse
        return torch.arange(1, m + 1, dtype=torch.float64).square().cos()
    if not isinstance(generator, torch.Generator):
        found = type(generator).__name__
        raise TypeError(f"generator must be a torch.Generator or None; got {found}.")
    return torch.randn(m, generator=generator, device=generator.device)


def normalized(rows: Tensor) -> Tensor:
    """Rows (…, k) divided by their lengths; a row of zeros stays as it is."""
    # Twice, so that neither the squares of tiny entries vanish nor those of large ones overflow.
    for order in (math.inf, 2):
        length = torch.linalg.vector_norm(rows, order, dim=-1, keepdim=True)
        rows = rows / torch.where(length > 0, length, 1)
    return rows
