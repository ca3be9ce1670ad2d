"""Norms of weight matrices: the Lipschitz constants of linear layers, exact, from above and below.

Each takes matrices W of shape (…, m, n); a norm, a bound or an answer has shape (…).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.primitives._validate import (
    check_integer,
    check_norm,
    check_real,
    check_tensor,
    in_float64,
    transforming,
)
from lipteach.primitives.orthonormal import refuse_zero


def operator_norm(W: Tensor, p: float = 2) -> Tensor:
    r"""The induced p → p norm of W (…, m, n): the Lipschitz constant of x ↦ W x in the p-norm.

    $$\|W\|_p = \max_{x \ne 0} \|W x\|_p / \|x\|_p,$$

    the largest column sum of |W| for p = 1, the largest singular value for p = 2, and the largest
    row sum of |W| for p = ∞. It is not the p-norm of the entries, which ``W.norm(p)`` gives. It is
    computed in float64 and rounded to W's dtype, beyond whose range it is infinity.

    >>> W = torch.ones(1, 4)
    >>> [round(lt.operator_norm(W, p).item(), 6) for p in (1, 2, math.inf)]
    [1.0, 2.0, 4.0]

    Source: Anil, Lucas and Grosse (2019), appendix B.3 and C.
    """
    check_norm(p)
    check_tensor(W, "W", min_dim=2)
    norm: Tensor = torch.linalg.matrix_norm(in_float64(W), ord=p)
    return norm.to(W.dtype)


def mixed_norm(W: Tensor, p: float) -> Tensor:
    r"""The mixed norm ‖W‖_{p,∞} of W (…, m, n): the constant of x ↦ W x from p-norm to ∞-norm.

    $$\|W\|_{p,\infty} = \max_i \|w_i\|_q, \qquad 1/p + 1/q = 1,$$

    the largest dual norm of a row w_i, for p = 1, 2 or ∞, and q = ∞, 2 or 1. Theorem 3 asks it of
    the first layer. It is computed in float64, and no square overflows or vanishes.

    >>> W = torch.tensor([[3.0, 4.0], [1.0, -1.0]])
    >>> [lt.mixed_norm(W, p).item() for p in (1, 2, math.inf)]
    [4.0, 5.0, 7.0]

    Source: Anil, Lucas and Grosse (2019), appendix E, Theorem 3.
    """
    check_norm(p)
    check_tensor(W, "W", min_dim=2)
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    A = in_float64(W)
    largest, far = A.detach().abs().amax(dim=-1, keepdim=True), torch.finfo(A.dtype).max ** 0.4
    strange = (largest > far) | ((largest < 1 / far) & (largest > 0))
    scale = torch.where(strange, largest, 1.0)  # elsewhere not a digit changes
    rows: Tensor = torch.linalg.vector_norm(A / scale, ord=q, dim=-1) * scale.squeeze(-1)  # (…, m)
    return rows.amax(dim=-1).to(W.dtype)


def norm_upper_bounds(W: Tensor) -> dict[str, Tensor]:
    r"""Upper bounds of the largest singular value that need no singular values (appendix B.3).

    For W of shape (…, m, n), each of shape (…), by the name of the bound:

    - "max": $\sqrt{mn}\, \max_{ij} |W_{ij}|$ (9);
    - "one": $\sqrt{n}\, \|W\|_1$ (10), with the largest column sum of |W|;
    - "inf": $\sqrt{m}\, \|W\|_\infty$ (11), with the largest row sum of |W|;
    - "geometric": $\sqrt{\|W\|_1 \|W\|_\infty}$, never above the three before;
    - "gram": $\|(W^\top W)^2\|_F^{1/4} = (\sum_j \sigma_j^8)^{1/8}$, at most $\min(m, n)^{1/8}$
      times the norm: 2.4 for 1000 × 1000. It costs two products of the smaller Gram side.

    All five hold for every W, up to rounding; they are computed in float64.

    >>> {name: bound.item() for name, bound in lt.norm_upper_bounds(torch.ones(1, 4)).items()}
    {'max': 2.0, 'one': 2.0, 'inf': 4.0, 'geometric': 2.0, 'gram': 2.0}

    Source: Anil, Lucas and Grosse (2019), Equations (9) to (11); "gram": B. Delattre et al. (2023).
    """
    check_tensor(W, "W", min_dim=2)
    A = in_float64(W)
    m, n = A.shape[-2:]
    largest = A.abs().amax(dim=(-2, -1))
    column_sum, row_sum = A.abs().sum(dim=-2).amax(dim=-1), A.abs().sum(dim=-1).amax(dim=-1)
    scale = torch.where(largest > 0, largest, 1.0)[..., None, None]  # no overflow of eighth powers
    bounds = {
        "max": math.sqrt(m * n) * largest,
        "one": math.sqrt(n) * column_sum,
        "inf": math.sqrt(m) * row_sum,
        "geometric": column_sum.sqrt() * row_sum.sqrt(),  # the product could overflow
        "gram": scale[..., 0, 0] * gram_bound(A / scale),
    }
    return {name: bound.to(W.dtype) for name, bound in bounds.items()}


def gram_bound(W: Tensor) -> Tensor:
    """Compute ‖(WᵀW)²‖_F^¼ ≥ ‖W‖₂ of (…, m, n), without a care for overflow."""
    gram = W @ W.mT if W.shape[-2] < W.shape[-1] else W.mT @ W
    norm: Tensor = torch.linalg.matrix_norm(gram @ gram)
    return norm.pow(0.25)


def power_iteration(
    W: Tensor, steps: int = 10, u: Tensor | None = None, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Estimate the largest singular value of W, and its singular vectors (appendix B.2).

    Each step is $v \leftarrow W^\top u / \|W^\top u\|$, $u \leftarrow W v / \|W v\|$, and in the
    end $\sigma = u^\top W v = \|W v\|$. It is a **lower bound**: σ ≤ ‖W‖₂ always, and σ never falls
    from step to step. Dividing W by it leaves a matrix whose norm is at least 1, up to rounding.

    Args:
        W: matrices of shape (…, m, n).
        steps: at least 1.
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


def is_orthonormal(W: Tensor, tol: float = 1e-4) -> Tensor:
    r"""Whether the rows or the columns of W, whichever are fewer, are orthonormal up to `tol`.

    With W of shape (…, m, n) the smaller Gram matrix G (WᵀW if n ≤ m, else WWᵀ) is compared with I:

    $$\|G - I\|_2 = \max_j |\sigma_j(W)^2 - 1| \le \text{tol}.$$

    A wide W can never satisfy WᵀW = I: it is WWᵀ that is asked. The singular values are computed in
    float64; the answers are Booleans of shape (…).

    >>> lt.is_orthonormal(torch.eye(2, 3)), lt.is_orthonormal(torch.ones(2, 3))
    (tensor(True), tensor(False))

    Source: Anil, Lucas and Grosse (2019), appendix B.3.
    """
    check_tensor(W, "W", min_dim=2)
    tol = check_real(tol, "tol", above=0.0)
    sigma: Tensor = torch.linalg.svdvals(in_float64(W.detach()))  # (…, min(m, n))
    return (sigma.square() - 1).abs().amax(dim=-1) <= tol
