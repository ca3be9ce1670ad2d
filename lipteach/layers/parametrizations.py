"""Parametrizations that keep the weight of a layer in a class: orthonormal, spectral norm, ∞-norm.

Nothing is stored beside the parameters: the weight is computed anew at each use, in training and in
evaluation alike. Within ``torch.nn.utils.parametrize.cached()`` it is computed once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipteach.layers.convolution import KernelClass
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.primitives import polar, project_linf_norm
from lipteach.primitives._validate import check_tensor, plain_precision, transforming


class _Constraint(nn.Module):
    """What they have in common: the weights that they are given have one shape."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape

    def right_inverse(self, W: Tensor) -> Tensor:
        """The parameter for a wanted weight: the member of the class that is made of it."""
        self.check(W)
        weight: Tensor = self.forward(W)
        return weight

    def check(self, W: Tensor) -> None:
        """Require a finite weight of that shape; torch itself would take any."""
        check_tensor(W, "weight")
        if W.shape != self.shape:
            raise ValueError(f"weight must have shape {tuple(self.shape)}; got {tuple(W.shape)}.")


class Orthonormal(_Constraint):
    """The orthonormal polar factor of a matrix, or of a kernel flattened where that is exact."""

    def __init__(self, shape: torch.Size, tol: float, method: str) -> None:
        super().__init__(shape)
        self.tol, self.method = tol, method

    def polar(self, W: Tensor) -> Tensor:
        """The polar factor in the settings of this layer."""
        return polar(W, self.tol, self.method)

    def forward(self, X: Tensor) -> Tensor:
        """The weight."""
        with plain_precision(X):
            return self.polar(X)

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"tol={self.tol}, method={self.method!r}"


class OrthogonalConvolution(Orthonormal):
    """A kernel of a `KernelClass`, from its channel matrix and the bases of its projectors."""

    def __init__(self, shape: torch.Size, kernels: KernelClass, tol: float, method: str) -> None:
        super().__init__(shape, tol, method)
        self.kernels = kernels

    def forward(self, R: Tensor, *bases: Tensor) -> Tensor:
        """The kernel."""
        with plain_precision(R):
            wide = [_wide(B) for B in bases]
            return self.kernels.compose(_wide(R), wide, self.polar).to(R.dtype)

    def right_inverse(self, W: Tensor) -> Tensor | tuple[Tensor, ...]:  # type: ignore[override]
        """The parameters of the wanted kernel, or of one near it in the class."""
        self.check(W)
        with plain_precision(W):
            R, *bases = (p.to(W.dtype) for p in self.kernels.factor(W.double()))
        return (R, *bases) if bases else R


class Spectral(_Constraint):
    """The weight over its spectral norm; of a convolution, over an upper bound for every size."""

    def __init__(self, shape: torch.Size, stride: tuple[int, int]) -> None:
        super().__init__(shape)
        self.stride = stride

    def forward(self, X: Tensor) -> Tensor:
        """The weight."""
        with plain_precision(X):
            if X.ndim == 2:
                norm = _largest_singular_value(_wide(X))
            else:
                norm = convolution_norm_bounds(X, self.stride)[1]
            if not transforming() and not bool(norm.detach() > 0):
                raise ValueError("The weight must not be zero: it has no direction to keep.")
            weight: Tensor = _wide(X) / norm
            return weight.to(X.dtype)


def _largest_singular_value(X: Tensor) -> Tensor:
    norm: Tensor
    try:
        norm = torch.linalg.matrix_norm(X, 2)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # float32 may not converge
        norm = torch.linalg.matrix_norm(X.double(), 2).to(X.dtype)
    return norm


class LInf(_Constraint):
    """The weight with each row projected onto the L1 ball of radius `bound`."""

    def __init__(self, shape: torch.Size, bound: float) -> None:
        super().__init__(shape)
        self.bound = bound

    def forward(self, X: Tensor) -> Tensor:
        """The weight."""
        with plain_precision(X):
            return project_linf_norm(X.flatten(1), self.bound).view(X.shape)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"bound={self.bound}"


def _wide(X: Tensor) -> Tensor:
    """X in a dtype for which decompositions exist."""
    return X if X.itemsize > 2 else X.float()
