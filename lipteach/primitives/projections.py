r"""Projections on the simplex, the L1 ball, and the ∞-norm ball of matrices (appendix C).

Appendix C prints Algorithm 1 under the name of the L∞ ball. What it computes is the projection on
the unit simplex, and what an ∞-norm constraint on weights needs is the L1 ball, row by row. The
L∞ ball of vectors needs no algorithm: ``y.clamp(-radius, radius)``.

The threshold of Algorithm 1 is found without its sort, and only for vectors outside of the ball
(``make bench ONLY=constraints``); where no value may be asked for, as in torch.func, it is sorted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lipteach.primitives._torch_private import is_batched
from lipteach.primitives._validate import (
    axis,
    check_real,
    check_tensor,
    exporting,
    in_float64,
    transforming,
)

_PIECE = 1 << 17  # entries worked on at a time on a CPU: what passes between steps stays in cache


def project_simplex(y: Tensor, radius: float = 1.0, dim: int = -1) -> Tensor:
    r"""Project on the simplex of non-negative vectors with sum r: what Algorithm 1 computes.

    With u the entries of y in descending order,

    $$x_i = \max(y_i - \tau, 0), \qquad \tau = \frac{\sum_{i \le K} u_i - r}{K}, \qquad
      K = \max\Bigl\{k : \frac{\sum_{i \le k} u_i - r}{k} < u_k\Bigr\},$$

    the nearest x with x ≥ 0 and $\sum_i x_i = r$. It is computed in float64; the sum is r up to the
    rounding of x to y's dtype. With S the set of the K positive entries, the Jacobian is
    $I_S - 1_S 1_S^\top / K$ wherever x is differentiable.

    Args:
        y: vectors of length n along `dim`, in a tensor of shape (…, n, …).
        radius: r, the sum, positive.
        dim: the dimension along which the vectors lie.

    Example:
        >>> lt.project_simplex(torch.tensor([0.8, -0.6, 0.1]))
        tensor([0.8500, 0.0000, 0.1500])

    Source: L. Condat (2016); Anil, Lucas and Grosse (2019), appendix C, Algorithm 1.
    """
    radius = _check(y, radius, dim)
    return _simplex(in_float64(y), radius, dim).to(y.dtype)


def project_l1_ball(y: Tensor, radius: float = 1.0, dim: int = -1) -> Tensor:
    r"""Project on the L1 ball of radius r: what appendix C needs for ∞-norm constraints.

    $$x = \begin{cases} y & \text{if } \|y\|_1 \le r, \\
      \mathrm{sign}(y) \odot \text{simplex}_r(|y|) & \text{otherwise,} \end{cases}$$

    with `project_simplex` as simplex_r, whose arguments it takes. A point of the ball is returned
    as it is, and the Jacobian that is taken there is the identity. The L1 norm of x is at most r up
    to the rounding of its entries (see `in_l1_ball`).

    >>> lt.project_l1_ball(torch.tensor([[0.8, -0.6, 0.1], [0.2, -0.1, 0.0]]))
    tensor([[ 0.6000, -0.4000,  0.0000],
            [ 0.2000, -0.1000,  0.0000]])

    Source: J. Duchi et al. (2008); L. Condat (2016); Anil, Lucas and Grosse (2019), appendix C.
    """
    radius = _check(y, radius, dim)
    rows = y.movedim(dim, -1)
    if _in_a_graph(y):
        x = torch.where(_outside(rows, radius), _onto_sphere(rows, radius), rows)
        return x.movedim(-1, dim)
    many = _PIECE if y.is_cpu else y.numel()
    pieces = rows.reshape(-1, rows.shape[-1]).tensor_split(-(-y.numel() // many))
    x = torch.cat([_rows_onto_ball(piece, radius) for piece in pieces])
    return x.reshape(rows.shape).movedim(-1, dim)


def project_linf_norm(W: Tensor, bound: float = 1.0) -> Tensor:
    r"""Project W (…, m, n), in the Frobenius norm, on the matrices with ∞-norm at most `bound`.

    $$\|W\|_\infty = \max_i \|w_i\|_1 = \max_{x \ne 0} \|W x\|_\infty / \|x\|_\infty$$

    is the largest L1 norm of a *row* w_i, so that each row is projected on the L1 ball by itself.

    >>> lt.project_linf_norm(torch.tensor([[0.5, 0.5], [1.0, -0.5]]))
    tensor([[ 0.5000,  0.5000],
            [ 0.7500, -0.2500]])

    Source: Anil, Lucas and Grosse (2019), section 4.2, appendix C and H.5.
    """
    check_tensor(W, "W", min_dim=2)
    return project_l1_ball(W, check_real(bound, "bound", above=0.0))


def in_l1_ball(y: Tensor, radius: float = 1.0, dim: int = -1, tol: float = 1e-6) -> Tensor:
    r"""Whether $\|y\|_1 \le (1 + \text{tol})\, r$ along `dim`, with the sum taken in float64.

    The answers are Booleans of y's shape without `dim`. Rounding moves an entry in float16 by up to
    5e-4 of itself, or 3e-8 below 6e-5, and in bfloat16 by 2e-3: there a `tol` must allow for it.

    >>> lt.in_l1_ball(torch.tensor([[0.6, -0.4], [0.6, 0.6]]))
    tensor([ True, False])

    Source: Anil, Lucas and Grosse (2019), appendix C.
    """
    radius = _check(y, radius, dim)
    check_real(tol, "tol", above=0.0)
    return (in_float64(y.detach()) / radius).abs().sum(
        dim=dim
    ) <= 1 + tol  # the sum may overflow, r not


def _check(y: Tensor, radius: float, dim: int) -> float:
    """Require what all of these need, and return the radius as a float."""
    check_tensor(y, "y")
    axis(y, dim, "y")
    return check_real(radius, "radius", above=0.0)


def _in_a_graph(y: Tensor) -> bool:
    """Whether what is done to y is written down for other values, and must not ask for these."""
    return transforming() or exporting(y) or is_batched(y)


def _outside(y: Tensor, radius: float) -> Tensor:
    return in_float64(y.detach()).abs().sum(dim=-1, keepdim=True) > radius


def _rows_onto_ball(y: Tensor, radius: float) -> Tensor:
    """The same for rows, of which those inside cost one sum."""
    outside = _outside(y, radius).squeeze(-1)
    few = int(outside.sum())
    if few == 0:
        return y
    if few == len(y):
        return _onto_sphere(y, radius)
    return y.index_put((outside,), _onto_sphere(y[outside], radius))


def _onto_sphere(y: Tensor, radius: float) -> Tensor:
    """The projection of points outside of the ball: of norm r."""
    return y.detach().sign() * _simplex(in_float64(y).abs(), radius, -1).to(y.dtype)


def _simplex(y: Tensor, radius: float, dim: int) -> Tensor:
    """Algorithm 1, with a second sum, over what stands above the threshold: it is near r."""
    y = y.movedim(dim, -1)
    z = y - y.detach().amax(dim=-1, keepdim=True)  # x does not change, and no large number is left
    excess = (z - radius * _threshold(z.detach() / radius)).relu()
    support = excess.detach().sign()
    count = support.sum(dim=-1, keepdim=True)
    x = excess - (excess.sum(dim=-1, keepdim=True) - radius) / count  # mends the rounding of tau
    return (x.clamp(min=0.0) * support).movedim(-1, dim)


def _threshold(z: Tensor) -> Tensor:
    """The τ of Algorithm 1 at r = 1, for rows z whose greatest entry is 0: it lies in [−1, 0)."""
    z = z.clamp(min=-1.0)  # what lies lower is of no support
    return _threshold_by_sort(z) if _in_a_graph(z) else _threshold_by_newton(z)


def _threshold_by_newton(z: Tensor) -> Tensor:
    """Newton's method from the left on the convex, piecewise linear Σ max(zᵢ − τ, 0) − 1.

    It rises to the root and stops there, after as many steps as the support shrinks.
    """
    tau = ((z.sum(dim=-1, keepdim=True) - 1) / z.shape[-1]).clamp(min=-1.0)
    excess = torch.empty_like(z)
    while True:
        above = torch.sub(z, tau, out=excess).relu_().sum(dim=-1, keepdim=True) - 1
        new = tau + above / excess.sign_().sum(dim=-1, keepdim=True)
        if not bool((new > tau).any()):
            return tau
        tau = torch.maximum(new, tau)


def _threshold_by_sort(z: Tensor) -> Tensor:
    """The same by sorting, without a question: Algorithm 1 as it is printed.

    Its condition is Σ_{i≤k} (u_i − u_k) < 1, summed here over the steps k (u_k − u_{k+1}): nothing
    cancels, and the sum stays below 1 until the threshold is passed.
    """
    u = z.sort(dim=-1, descending=True).values
    k = torch.arange(1, u.shape[-1] + 1, dtype=u.dtype, device=u.device)
    steps = k[:-1] * (u[..., :-1] - u[..., 1:])
    above = torch.nn.functional.pad(steps, (1, 0)).cumsum(dim=-1)  # Σ_{i≤k} (u_i − u_k)
    K = (above < 1).sum(dim=-1, keepdim=True)
    return u.gather(-1, K - 1) - (1 - above.gather(-1, K - 1)) / K
