"""The orthonormal polar factor of a matrix, with an exact gradient (appendix B)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from lipteach.primitives import _polar_methods as methods
from lipteach.primitives._polar_derivative import derivative
from lipteach.primitives._validate import check_real, check_tensor, transforming
from lipteach.primitives.cautions import ConvergenceWarning
from lipteach.primitives.orthonormal import refuse_zero

METHODS = ("auto", "bjorck", "polynomial", "svd")
FEW = 128  # columns, below which a decomposition on a CPU is the cheapest way


def polar(W: Tensor, tol: float = 1e-5, method: str = "auto") -> Tensor:
    r"""The nearest matrix with orthonormal columns, or rows if W is wide (appendix B.3 and B.4).

    With W = U diag(σ) Vᵀ it is Q = U Vᵀ, the limit of Björck's iteration, nearest to W in the
    Frobenius and in the spectral norm, and unique if W has full rank. For m ≥ n, W = Q H with
    H = (WᵀW)^½. The gradient is exact in each method, by implicit differentiation: for an upstream
    gradient G it is

    $$Q Y + (I - Q Q^\top)\, G H^{-1}, \qquad H Y + Y H = Q^\top G - G^\top Q .$$

    Only W, Q and, after a decomposition, its two bases are kept for it, however many steps the
    forward pass took. It can be differentiated again (not by ``jacfwd(jacfwd(…))``: torch takes
    the second forward derivative of every ``autograd.Function`` for 0).

    The methods:

    - "svd": by a singular value decomposition (for a large matrix on a CPU by the eigenvectors of
      WᵀW, with the small singular values found anew).
    - "bjorck": scaled below norm 1 by the bound "gram" of `norm_upper_bounds`, then steps of order
      1 until the tolerance, two products each.
    - "polynomial": scaled likewise, then the best odd polynomials of degree 5 for singular values
      in [10⁻³, 1] of the bound, three products each; smaller ones take Björck steps at the end.
    - "auto": on a CPU, "svd" for fewer than 128 columns (or rows, if they are fewer). Else, near
      the manifold, ‖WᵀW − I‖₂ ≤ 0.75, a polynomial in WᵀW − I fitted to its spectrum, 3 to 7
      products in all. Elsewhere "svd" on a CPU, and "polynomial" on an accelerator, where products
      are cheap and decompositions slow. ``make bench`` measures the choice.

    Args:
        W: matrices of shape (…, m, n), floating point, finite, none of them zero.
        tol: the largest ‖QᵀQ − I‖₂ (‖QQᵀ − I‖₂ if m < n), positive; estimated by ten steps of
            Lanczos where no theory gives it. Half precision is computed in float32, where tol
            holds, and then rounded.
        method: "auto", "bjorck", "polynomial" or "svd".

    Returns:
        A tensor of W's shape, dtype and device.

    Raises:
        TypeError: if W is not a floating-point tensor, or tol no number.
        ValueError: if W has fewer than two dimensions, is empty, not finite or zero, tol ≤ 0, or
            the method is unknown.

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
    check_tensor(W, "W", min_dim=2)
    check_real(tol, "tol", above=0.0)
    if method not in METHODS:
        names = ", ".join(f'"{name}"' for name in METHODS)
        raise ValueError(f"method must be one of {names}; got {method!r}.")
    refuse_zero(W)
    wide = W.shape[-2] < W.shape[-1]
    A = W.mT if wide else W
    if A.dtype in (torch.float16, torch.bfloat16):
        A = A.float()
    floor = max(4.0, math.sqrt(A.shape[-1])) * torch.finfo(A.dtype).eps
    if tol < floor and not transforming():
        text = f"tol = {tol:.1e} is below what {A.dtype} holds for {A.shape[-1]} columns"
        warnings.warn(f"{text}, about {floor:.1e}.", ConvergenceWarning, stacklevel=2)
    Q: Tensor = _Polar.apply(A, tol, method)[0]  # type: ignore[no-untyped-call]
    return (Q.mT if wide else Q).to(W.dtype)


class _Polar(torch.autograd.Function):
    """Q of W (…, m, n), m ≥ n, and what its derivative needs."""

    @staticmethod
    def forward(W: Tensor, tol: float, method: str) -> methods.Found:
        with torch.autocast(W.device.type, enabled=False):
            return _forward(W, tol, method)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        Q, sigma, U, V = output
        ctx.mark_non_differentiable(sigma, U, V)
        ctx.save_for_backward(inputs[0], Q, sigma, U, V)
        ctx.save_for_forward(inputs[0], Q, sigma, U, V)

    @staticmethod
    def backward(ctx: Any, G: Tensor, *_: Any) -> tuple[Tensor, None, None]:
        W, Q, sigma, U, V = ctx.saved_tensors
        return derivative(W, Q, sigma, U, V, G), None, None

    @staticmethod
    def jvp(ctx: Any, dW: Tensor, *_: Any) -> tuple[Tensor, None, None, None]:
        W, Q, sigma, U, V = ctx.saved_tensors
        return derivative(W, Q, sigma, U, V, dW), None, None, None

    @staticmethod
    def vmap(
        _info: Any, in_dims: tuple[Any, ...], W: Tensor, tol: float, method: str
    ) -> tuple[Any, tuple[int, ...]]:
        return _Polar.apply(W.movedim(in_dims[0], 0), tol, method), (0, 0, 0, 0)  # type: ignore[no-untyped-call]


def _forward(W: Tensor, tol: float, method: str) -> methods.Found:
    on_cpu = W.device.type == "cpu"
    if method == "svd" or (method == "auto" and on_cpu and W.shape[-1] < FEW):
        return methods.by_svd(W, tol)
    if method == "bjorck":
        return methods.by_bjorck(W, tol)
    error = methods.gram_error(W)
    found = methods.near(W, error, tol)
    if found is not None:
        return found
    if method == "polynomial" or not on_cpu:
        return methods.by_polynomial(W, tol)
    # the Gram matrix again; adding 1 would lose the digits of a small W
    error.diagonal(dim1=-2, dim2=-1).copy_(torch.linalg.vector_norm(W, dim=-2).square())
    return methods.by_svd(W, tol, error)
