"""Parametrizations that keep the weight of a layer in a class: orthonormal, spectral norm, ∞-norm.

Nothing is stored beside the parameters: the weight is computed anew at each use, in training and in
evaluation alike. (`Orthonormal` moves a large parameter in training, which leaves the weight as it
is.) Within ``torch.nn.utils.parametrize.cached()`` it is computed once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipteach.layers.convolution import KernelClass
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.primitives import polar, project_linf_norm
from lipteach.primitives._fast import largest_singular
from lipteach.primitives._fast.polar_methods import BY_PRODUCTS
from lipteach.primitives._validate import (
    check_tensor,
    exporting,
    has_data,
    plain_precision,
    transforming,
)
from lipteach.primitives.polar import polar_


class Constraint(nn.Module):
    """What they have in common: one shape, full precision, and the parameter's memory format."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape

    def weight(self, X: Tensor, *others: Tensor) -> Tensor:
        """The weight of its parameters."""
        raise NotImplementedError

    def invert(self, W: Tensor) -> tuple[Tensor, ...]:
        """The parameters of the member of the class that is made of W."""
        return (self.weight(W) if has_data(W) else W,)

    def forward(self, X: Tensor, *others: Tensor) -> Tensor:
        """The weight; where its parameters hold no data, neither does it."""
        if X.device.type == "meta":
            return X.new_empty(self.shape)
        with plain_precision(X):
            return laid_out(self.weight(X, *others), X)

    def right_inverse(self, W: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The parameters for a wanted weight: of the member of the class that is made of it."""
        if has_data(W):
            check_tensor(W, "weight")
        if W.shape != self.shape:  # torch itself would take any
            raise ValueError(f"weight must have shape {tuple(self.shape)}; got {tuple(W.shape)}.")
        with plain_precision(W):
            X, *others = self.invert(W)
        X = laid_out(X, W)
        return (X, *others) if others else X


class Orthonormal(Constraint):
    """The orthonormal polar factor of a matrix, or of a kernel flattened where that is exact."""

    def __init__(self, shape: torch.Size, tol: float, method: str) -> None:
        super().__init__(shape)
        self.tol, self.method = tol, method

    def polar(self, W: Tensor) -> Tensor:
        """The polar factor in the settings of this layer."""
        return polar(W, self.tol, self.method)

    def weight(self, X: Tensor, *_: Tensor) -> Tensor:
        """The polar factor; a large parameter that is being trained is moved onto it first."""
        if self.training and self.method == "auto" and _can_be_moved(X):
            return polar_(X, self.tol)
        return self.polar(X)

    def invert(self, W: Tensor) -> tuple[Tensor, ...]:
        """The polar factor of W, which is left as it is."""
        return (self.polar(W) if has_data(W) else W,)

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"tol={self.tol}, method={self.method!r}"


def _can_be_moved(X: Tensor) -> bool:
    """Whether X is a parameter about to be trained, of a size for which products are cheap."""
    trained = isinstance(X, nn.Parameter) and X.requires_grad and torch.is_grad_enabled()
    large = min(X.shape) >= BY_PRODUCTS and X.itemsize > 2
    return trained and large and not transforming()


class OrthogonalConvolution(Orthonormal):
    """A kernel of a `KernelClass`, from its channel matrix and the bases of its projectors."""

    def __init__(self, shape: torch.Size, kernels: KernelClass, tol: float, method: str) -> None:
        super().__init__(shape, tol, method)
        self.kernels = kernels

    def weight(self, X: Tensor, *others: Tensor) -> Tensor:
        """The kernel."""
        return self.kernels.compose(_wide(X), [*map(_wide, others)], self.polar).to(X.dtype)

    def invert(self, W: Tensor) -> tuple[Tensor, ...]:
        """The parameters of W, or of a kernel near it in the class."""
        return tuple(p.to(W.dtype) for p in self.kernels.factor(W.double()))


class Spectral(Constraint):
    """The weight over its spectral norm; of a convolution, over an upper bound for every size."""

    def __init__(self, shape: torch.Size, kernels: KernelClass | None) -> None:
        super().__init__(shape)
        self.kernels = kernels

    def weight(self, X: Tensor, *_: Tensor) -> Tensor:
        """The ratio."""
        wide = _wide(X)
        if largest_singular.worth_it(wide) and not transforming() and not exporting(X):
            ratio = largest_singular.over_norm(wide)
            if ratio is not None:
                return ratio.to(X.dtype)
        if self.kernels is None:
            norm = _largest_singular_value(wide)
        else:
            steps = self.kernels.stride[4 - X.ndim :]
            norm = convolution_norm_bounds(X, steps, groups=self.kernels.groups)[1]
            norm = norm / self.kernels.scale
        if not transforming() and not 0 < float(norm.detach()) < math.inf:
            if X.detach().any():
                raise ValueError(f"The spectral norm of the weight must fit {wide.dtype}.")
            raise ValueError("The weight must not be zero: it has no direction to keep.")
        return (wide / norm).to(X.dtype)


def _largest_singular_value(X: Tensor) -> Tensor:
    norm: Tensor
    try:
        norm = torch.linalg.matrix_norm(X, 2)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # float32 may not converge
        norm = torch.linalg.matrix_norm(X.double(), 2).to(X.dtype)
    return norm


class LInf(Constraint):
    """The weight with each row projected onto the L1 ball of radius `bound`.

    A transposed convolution, which comes with the class of its kernels, has a row for each output
    channel and place of a stride step: the taps that meet there.
    """

    def __init__(self, shape: torch.Size, bound: float, kernels: KernelClass | None = None) -> None:
        super().__init__(shape)
        self.bound, self.kernels = bound, kernels

    def weight(self, X: Tensor, *_: Tensor) -> Tensor:
        """The projection."""
        rows = project_linf_norm(self.rows(X), self.bound)
        if self.kernels is None:
            return rows.view(X.shape)
        groups, c_out, c_in, k1, k2, s1, s2, m1, m2 = _phases(self.kernels)
        K = rows.view(groups, c_in, s1, s2, c_out, m1, m2).permute(0, 4, 1, 5, 2, 6, 3)
        return K.reshape(-1, c_in, m1 * s1, m2 * s2)[:, :, :k1, :k2].reshape(X.shape)

    def rows(self, W: Tensor) -> Tensor:
        """The rows of the operator, each once and without its zeros."""
        if self.kernels is None:
            return W.flatten(1)
        groups, c_out, c_in, k1, k2, s1, s2, m1, m2 = _phases(self.kernels)
        K = W.reshape(-1, c_in, k1, k2)
        K = F.pad(K, (0, m2 * s2 - k2, 0, m1 * s1 - k1))
        K = K.view(groups, c_out, c_in, m1, s1, m2, s2).permute(0, 2, 4, 6, 1, 3, 5)
        return K.reshape(groups * c_in * s1 * s2, -1)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"bound={self.bound}"


def _phases(kernels: KernelClass) -> tuple[int, ...]:
    """The shape of its kernels, the places of a stride step, and the most taps at one of these."""
    taps = (-(-k // s) for k, s in zip(kernels.kernel_size, kernels.base, strict=True))
    channels = kernels.groups, kernels.c_out, kernels.c_in
    return *channels, *kernels.kernel_size, *kernels.base, *taps


def _wide(X: Tensor) -> Tensor:
    """X in a dtype for which decompositions exist."""
    return X if X.itemsize > 2 else X.float()


def laid_out(X: Tensor, like: Tensor) -> Tensor:
    """X with the strides of the memory format of `like`: torch lays a layer's output out so.

    Strides are compared, not ``is_contiguous``: with one channel or one tap both formats are
    contiguous, and torch still reads the format from the strides.
    """
    formats = torch.contiguous_format, torch.channels_last
    last = X.ndim == 4 and [_strides(like, f) == like.stride() for f in formats] == [
        False,
        True,
    ]
    return X if X.stride() == _strides(X, formats[last]) else X.clone(memory_format=formats[last])


def _strides(X: Tensor, memory_format: torch.memory_format) -> tuple[int, ...]:
    return torch.empty(X.shape, device="meta", memory_format=memory_format).stride()
