"""The iteration of Björck and Bowie, and Parseval's update (appendix B.1 and B.3).

Both act on the singular values alone: W = U diag(σ) Vᵀ becomes U diag(g(σ)) Vᵀ with one scalar map
g, so that all that can be said of them is said of g.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lipteach.primitives._validate import (
    check_integer,
    check_real,
    check_tensor,
    shown,
    transforming,
)
from lipteach.primitives.numerical_warnings import ConvergenceWarning, warn_caller

HIGHEST_ORDER = 6


def bjorck(W: Tensor, steps: int = 15, order: int = 1, beta: float = 0.5) -> Tensor:
    r"""Iterate W towards its orthonormal polar factor by matrix products alone (appendix B.3).

    With F = I − WᵀW and $c_j = \binom{2j}{j} 4^{-j}$ = 1/2, 3/8, 5/16, … one step of order p is

    $$W \leftarrow W \Bigl(I + 2\beta \sum_{j=1}^{p} c_j F^j\Bigr),$$

    the series of $(I - F)^{-1/2}$ cut after $F^p$, damped by 2β. At β = ½ it is Björck's, at order
    1 it is (1 + β) W − β W Wᵀ W, Parseval's update (8). Each singular value σ moves by itself,
    under $g(\sigma) = \sigma\,(1 + 2\beta \sum_j c_j (1 - \sigma^2)^j)$. At β = ½ it converges to
    1, with order of convergence p + 1, for every σ in (0, √2); at order 1 for every σ in
    (0, √((1 + β)/β)) if β < 1. A singular value 0 stays 0. Scale W first (`norm_upper_bounds`).

    It keeps the shape of W and can be differentiated any number of times. A step costs p + 1 matrix
    products, one of them with the smaller Gram matrix (WᵀW or WWᵀ).

    Args:
        W: matrices of shape (…, m, n).
        steps: at least 1.
        order: p, from 1 to 6.
        beta: the step size β > 0. From β = 1 on, 1 is no longer attracting, and a warning says so.

    Raises:
        ValueError: if a matrix is zero.

    Warns:
        ConvergenceWarning: if beta ≥ 1, or if the iteration diverged.

    Example:
        >>> W = torch.tensor([[0.5, 0.0], [0.0, 1.2]])
        >>> lt.bjorck(W, steps=1).diagonal()
        tensor([0.6875, 0.9360])

    Source: Å. Björck and C. Bowie (1971); Anil, Lucas and Grosse (2019), Equation (2), B.1 and B.3.
    """
    _check(W, steps, order, beta)
    for _ in range(steps):
        W = _step(W, order, beta)
    if not transforming() and not bool(torch.isfinite(W.detach()).all()):
        text = "bjorck diverged: a singular value lay outside the basin; scale W first."
        warn_caller(ConvergenceWarning(text))
    return W


def bjorck_trajectory(W: Tensor, steps: int = 15, order: int = 1, beta: float = 0.5) -> Tensor:
    """Return every iterate of `bjorck`, W itself first (appendix B.1, Figs 12 and 13).

    The result has shape (steps + 1, …, m, n). The arguments, errors and the warning of β are those
    of `bjorck`; divergence is shown and not warned of.

    >>> lt.bjorck_trajectory(torch.tensor([[0.5]]), steps=3).flatten()
    tensor([0.5000, 0.6875, 0.8688, 0.9753])
    """
    _check(W, steps, order, beta)
    iterates = [W]
    for _ in range(steps):
        iterates.append(_step(iterates[-1], order, beta))
    return torch.stack(iterates)


def parseval_step(W: Tensor, beta: float) -> Tensor:
    r"""One update of Parseval networks, Equation (8) (appendix B.1).

    $$W \leftarrow (1 + \beta) W - \beta W W^\top W,$$

    a step of size 1 down the gradient of $\tfrac{\beta}{4} \|W^\top W - I\|_F^2$ (the paper's β/2
    would make it twice as long). It is one step of `bjorck` of order 1, whose arguments and errors
    it has, and its warning of β.

    >>> lt.parseval_step(torch.tensor([[0.5]]), beta=0.5)
    tensor([[0.6875]])

    Source: M. Cisse et al. (2017); Anil, Lucas and Grosse (2019), Equation (8).
    """
    _check(W, 1, 1, beta)
    return _step(W, 1, beta)


def scalar_map(sigma: Tensor, steps: int = 1, order: int = 1, beta: float = 0.5) -> Tensor:
    r"""Compute what steps of `bjorck` make of singular values: g applied `steps` times.

    >>> scalar_map(torch.tensor([0.5, 1.0]))
    tensor([0.6875, 1.0000])
    """
    coefficients = _step_coefficients(order, beta)
    for _ in range(steps):
        F, series = 1 - sigma.square(), torch.zeros_like(sigma)
        for c in reversed(coefficients):
            series = (series + c) * F
        sigma = sigma * (1 + series)
    return sigma


def series_coefficients(order: int) -> list[float]:
    """The coefficients of (1 − x)^(−½) = Σ_j c_j x^j, which begin 1, 1/2, 3/8, 5/16.

    >>> series_coefficients(3)
    [1.0, 0.5, 0.375, 0.3125]
    """
    return [math.comb(2 * j, j) / 4**j for j in range(order + 1)]


def refuse_zero(W: Tensor) -> None:
    """Raise if a matrix of W is zero: it has no direction to keep."""
    if transforming() or bool(torch.linalg.vector_norm(W.detach(), dim=(-2, -1)).all()):
        return  # the squares of tiny entries may vanish; only then is each entry asked
    if not bool(W.detach().abs().amax(dim=(-2, -1)).all()):
        raise ValueError("W must not be a zero matrix, which no iteration makes orthonormal.")


def _check(W: Tensor, steps: int, order: int, beta: float) -> None:
    check_tensor(W, "W", min_dim=2)
    check_integer(steps, "steps")
    if check_integer(order, "order") > HIGHEST_ORDER:
        raise ValueError(f"order must be in 1, …, {HIGHEST_ORDER}; got {shown(order)}.")
    check_real(beta, "beta", above=0.0)
    refuse_zero(W)
    if beta >= 1:
        text = f"beta = {beta} is outside (0, 1): singular values near 1 are no longer drawn to 1."
        warn_caller(ConvergenceWarning(text))


def _step_coefficients(order: int, beta: float) -> list[float]:
    return [2 * beta * c for c in series_coefficients(order)[1:]]


def _step(W: Tensor, order: int, beta: float) -> Tensor:
    """One step, over the smaller Gram side."""
    wide = W.shape[-2] < W.shape[-1]
    gram = W @ W.mT if wide else W.mT @ W
    eye = torch.eye(gram.shape[-1], dtype=W.dtype, device=W.device)
    F = eye - gram
    *rest, last = _step_coefficients(order, beta)
    factor = last * F  # Σ_j 2β c_j F^j by Horner's rule
    for c in reversed(rest):
        factor = c * F + F @ factor
    factor = eye + factor
    return factor @ W if wide else W @ factor
