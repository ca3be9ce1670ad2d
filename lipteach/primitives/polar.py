"""The orthonormal polar factor of a matrix, with an exact gradient (appendix B).

W = Q H with QᵀQ = I and H = (WᵀW)^½, for W (…, m, n) with m ≥ n. First the plain form of Q and of
its gradient; then `polar`, which takes the cheapest way to both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lipteach.primitives._fast.polar_methods import (
    KEPT,
    Found,
    by_decomposition,
    find,
    near_identity,
)
from lipteach.primitives._fast.polynomials import optimal_quintics as optimal_quintics
from lipteach.primitives._torch_private import is_batched
from lipteach.primitives._validate import (
    check_numbers,
    check_real,
    check_tensor,
    plain_precision,
    shown,
    transforming,
)
from lipteach.primitives.numerical_warnings import warn_caller

METHODS = ("auto", "bjorck", "polynomial", "svd")


def factor(W: Tensor) -> Tensor:
    """Compute Q = U Vᵀ of W = U diag(σ) Vᵀ."""
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    Q: Tensor = U @ Vh
    return Q


def differential(W: Tensor, Q: Tensor, dW: Tensor) -> Tensor:
    """Compute the change dQ of Q with W, by implicit differentiation.

    Differentiate H = QᵀW, which is symmetric, and QᵀQ = I:

        dQ = Q Y + (I − Q Qᵀ) dW H⁻¹,    H Y + Y H = Qᵀ dW − dWᵀ Q,    Y antisymmetric.

    This linear map of dW is its own transpose: it takes the gradient of Q to that of W.
    """
    H, A = Q.mT @ W, Q.mT @ dW
    dQ = Q @ solve_sylvester(H, A - A.mT)
    if W.shape[-2] > W.shape[-1]:
        dQ = dQ + (dW - Q @ A) @ solve_sylvester(H, 2 * torch.eye(H.shape[-1]).to(H).expand_as(H))
    return dQ


def solve_sylvester(H: Tensor, K: Tensor) -> Tensor:
    """Return Y with HY + YH = K for symmetric positive H, both (…, n, n)."""
    return _Sylvester.apply(H, K)  # type: ignore[no-any-return, no-untyped-call]


class _Sylvester(torch.autograd.Function):
    """A division between the eigenvectors of H, whose own derivative would break at ties."""

    @staticmethod
    def forward(H: Tensor, K: Tensor) -> Tensor:
        eigenvalues, V = torch.linalg.eigh((H + H.mT) / 2)
        sums = eigenvalues[..., :, None] + eigenvalues[..., None, :]
        least = torch.finfo(H.dtype).eps * sums.amax(dim=-1, keepdim=True)
        # 0 where rounding has the last word: there no derivative exists.
        Y: Tensor = V @ (V.mT @ K @ V * torch.where(sums > least, 1 / sums, 0.0)) @ V.mT
        return Y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        H, Y = ctx.saved_tensors
        K = solve_sylvester(H, grad)  # the operator is its own transpose
        return -(K @ Y.mT + Y.mT @ K), K

    @staticmethod
    def jvp(ctx: Any, dH: Tensor, dK: Tensor) -> Tensor:
        H, Y = ctx.saved_tensors
        return solve_sylvester(H, dK - dH @ Y - Y @ dH)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, Any], H: Tensor, K: Tensor) -> tuple[Tensor, int]:
        H, K = (
            x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip((H, K), in_dims, strict=True)
        )
        while H.ndim < K.ndim:
            H = H.unsqueeze(1)
        return solve_sylvester(H, K), 0


def plain_polar(W: Tensor) -> Tensor:
    """Compute `factor`, differentiable any number of times by `differential`."""
    return _Polar.apply(W, factor)  # type: ignore[no-any-return, no-untyped-call]


class _Polar(torch.autograd.Function):
    """Q of W by a function such as `factor`, and its derivatives, under every transform."""

    @staticmethod
    def forward(W: Tensor, way: Callable[[Tensor], Tensor]) -> Tensor:
        return way(W)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, G: Tensor) -> tuple[Tensor, None]:
        return _Polar.jvp(ctx, G), None

    @staticmethod
    def jvp(ctx: Any, dW: Tensor, *_: Any) -> Tensor:
        W, Q = ctx.saved_tensors
        with plain_precision(W):
            return differential(W, Q, dW.to(W.dtype))

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[Any, ...], W: Tensor, way: Any) -> tuple[Any, int]:
        return _Polar.apply(W.movedim(in_dims[0], 0), way), 0  # type: ignore[no-untyped-call]


def polar(W: Tensor, tol: float = 1e-5, method: str = "auto") -> Tensor:
    r"""The nearest matrix with orthonormal columns, or rows if W is wide (appendix B.3 and B.4).

    With W = U diag(σ) Vᵀ it is Q = U Vᵀ, the limit of Björck's iteration if all 0 < σ < √3. No
    other is as near to W in the Frobenius norm, and none is nearer in the spectral norm; Q is
    unique if W has full rank. For m ≥ n, W = Q H with H = (WᵀW)^½. The gradient comes by implicit
    differentiation, in each method as exact as Q is: for an upstream gradient G it is

    $$Q Y + (I - Q Q^\top)\, G H^{-1}, \qquad H Y + Y H = Q^\top G - G^\top Q .$$

    Only W, Q and, after a decomposition, its two bases are kept for it, however many steps the
    forward pass took. It can be differentiated again (not by ``jacfwd(jacfwd(…))``: torch takes
    the second forward derivative of every ``autograd.Function`` for 0). The methods:

    - "svd": by a singular value decomposition (for a large matrix on a CPU by the eigenvectors of
      WᵀW, with the small singular values found anew).
    - "bjorck": scaled below norm 1 by the bound "gram" of `norm_upper_bounds`, then steps of order
      1 until the tolerance, two products each.
    - "polynomial": scaled likewise, then the best odd polynomials of degree 5 for singular values
      in [10⁻³, 1] of the bound, three products each; smaller ones take Björck steps at the end.
    - "auto": on a CPU, "svd" for fewer than 160 columns (or rows, if they are fewer). Else, near
      the manifold, −0.75 ≤ WᵀW − I ≤ 2, a polynomial in WᵀW − I fitted to its spectrum, 3 to 7
      products in all; a W within tol, and within 10⁻⁴, stays as it is, and the gradient takes its
      H for I. Elsewhere "svd" on a CPU, and "polynomial" on an accelerator, where products are
      cheap. ``make bench`` measures the choice.

    Args:
        W: matrices of shape (…, m, n).
        tol: the largest ‖QᵀQ − I‖₂ (‖QQᵀ − I‖₂ if m < n), positive; estimated by ten steps of
            Lanczos where no theory gives it. Half precision is computed in float32, where tol
            holds, and then rounded.
        method: one of them.

    Raises:
        ValueError: if a matrix is zero.

    Warns:
        RankWarning: if a singular value is below 4 eps of the largest: then Q is not determined,
            and in each method it is completed as the decomposition gives it.
        ConvergenceWarning: if the iteration ends before the tolerance, or the tolerance is below
            what the dtype can hold.

    Example:
        >>> lt.polar(torch.tensor([[2.0, 0.0], [0.0, -0.5]])) + 0.0
        tensor([[ 1.,  0.],
                [ 0., -1.]])

    Source: Anil, Lucas and Grosse (2019), appendix B; N. J. Higham, Functions of Matrices (2008),
    chapter 8; the polynomials: N. Amsel et al. (2025).
    """
    check_tensor(W, "W", min_dim=2, finite=False)  # `find` looks at the entries, and for zeros
    check_real(tol, "tol", above=0.0)
    if method not in METHODS:
        names = ", ".join(f'"{name}"' for name in METHODS)
        raise ValueError(f"method must be one of {names}; got {shown(method)}.")
    wide = W.shape[-2] < W.shape[-1]
    A = W.mT if wide else W
    A = A if A.itemsize > 2 else A.float()
    if transforming():
        Q, warnings = _under_transforms(A, tol, method)
    else:
        check_numbers(W, "W")
        with plain_precision(A):
            found = find(A.detach(), tol, method)
        Q, warnings = _Found.apply(A, found), [*found.warnings]  # type: ignore[no-untyped-call]
    return _told(Q, W, warnings)


def polar_(W: Tensor, tol: float) -> Tensor:
    """`polar` of a leaf W of two dimensions, which is moved onto it first, in place.

    Its gradient is that at the W that it has become. There H = I, and of an upstream gradient G
    its part along the manifold remains, G − Q (QᵀG + GᵀQ)/2: two products. A W on the manifold, up
    to a few times the tolerance, is not written to (nor is W twice), nor one of deficient rank.
    """
    wide = W.shape[-2] < W.shape[-1]
    tol = min(tol, KEPT)  # where H is taken for I
    with plain_precision(W), torch.no_grad():
        check_tensor(W, "W")
        found = find(W.mT if wide else W, tol, "auto")
        ends = found.ends or (0.0, math.inf)
        if not found.warnings and max(abs(end - 1) for end in ends) > 4 * tol:
            W.copy_(found.Q.mT if wide else found.Q)
            found = Found(found.Q, ends=(1.0, 1.0))
    Q: Tensor = _Found.apply(W.mT if wide else W, found)  # type: ignore[no-untyped-call]
    return _told(Q, W, found.warnings)


def _told(Q: Tensor, W: Tensor, warnings: Iterable[Warning]) -> Tensor:
    for warning in warnings:
        warn_caller(warning)
    return (Q if Q.shape == W.shape else Q.mT).to(W.dtype)


def _under_transforms(W: Tensor, tol: float, method: str) -> tuple[Tensor, list[Warning]]:
    """Return Q and what is to be said; torch.func hands the entries of W to `_Polar` alone."""
    said: list[Warning] = []

    def way(W: Tensor) -> Tensor:
        with plain_precision(W):
            found = find(W, tol, method)
        said.extend(found.warnings)
        return found.Q

    return _Polar.apply(W, way), said  # type: ignore[no-untyped-call]


class _Found(torch.autograd.Function):
    """`_Polar` where no transform is at work: the derivative uses what finding Q has left."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, found: Found) -> Tensor:
        tensors = (W, found.Q, *(found.bases or ()))
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.ends = found.ends
        return found.Q

    @staticmethod
    def backward(ctx: Any, G: Tensor) -> tuple[Tensor, None]:
        return _Found.jvp(ctx, G), None

    @staticmethod
    def jvp(ctx: Any, dW: Tensor, *_: Any) -> Tensor:
        W, Q, *bases = ctx.saved_tensors
        with plain_precision(W):
            dW = dW.to(W.dtype)
            if not (torch.is_grad_enabled() or is_batched(dW)):  # else it must be plain
                if bases:
                    U, sigma, V = bases
                    return by_decomposition(U, sigma, V, dW)
                if ctx.ends:
                    low, high = ctx.ends
                    return near_identity(W, Q, low, high, dW)
            return differential(W, Q, dW)
