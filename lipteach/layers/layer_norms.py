r"""Norms of layers, of modules without weights, of what they compose, and of Jacobians at samples.

All that `audit` and `lipschitz_bounds` know of a module is said here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lipteach.layers.constrain import kernel_class
from lipteach.layers.norm_bounds import convolution_norm_bounds
from lipteach.primitives import (
    Abs,
    FullSort,
    GroupSort,
    MaxMin,
    Maxout,
    Scale,
    Selection,
    mixed_norm,
    operator_norm,
)
from lipteach.primitives.composition import runs_as, walk
from lipteach.primitives.jacobian import jacobians

LAYERS = (nn.Linear, nn.Conv2d, Selection, Scale)  # the modules that have a norm
MOST_PIXELS, MOST_ENTRIES = 2000, 4_000_000  # the largest matrix of a convolution that we build
MOST_JACOBIAN_ENTRIES = 2**22  # of those that are in memory together: 32 MiB in float64
Sizes = dict[int, set[tuple[int, ...]]]

SORTS = (Abs, FullSort, GroupSort, MaxMin, Maxout)
SCALARS = (nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Softsign)
SHAPES = (nn.Identity, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle)

CONDITIONS: dict[type[nn.Module], Callable[[Any], bool]] = {
    nn.LeakyReLU: lambda m: abs(m.negative_slope) <= 1,
    nn.PReLU: lambda m: float(m.weight.detach().abs().max()) <= 1,
    nn.ELU: lambda m: 0 <= m.alpha <= 1,
    nn.Dropout: lambda m: not m.training or m.p == 0,
    nn.AvgPool2d: lambda m: _apart(m) and m.divisor_override is None and m.count_include_pad,
    nn.MaxPool2d: lambda m: _apart(m) and _both(m.dilation, 1) == (1, 1),
}


class Spectrum(NamedTuple):
    """The singular values of a layer, NaN if not known, and its 2-norm between two numbers."""

    smallest: float
    largest: float
    lower: float
    upper: float
    method: str


def input_sizes(model: nn.Module, x: Tensor) -> Sizes:
    """The shapes (channels, height, width) that each convolution receives, by its ``id``."""
    sizes: Sizes = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.setdefault(id(module), set()).add(tuple(inputs[0].shape[-3:]))

    hooks = [
        module.register_forward_pre_hook(note)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    model(x[:1])
    for hook in hooks:
        hook.remove()
    return sizes


def spectrum(layer: Any, sizes: set[tuple[int, ...]]) -> Spectrum:
    r"""The singular values of a layer, or bounds of its 2-norm, and how they were found.

    A convolution is decomposed where its images have one size and its matrix is small enough.
    Otherwise the bounds are those for all sizes (`convolution_norm_bounds`), and where these do
    not know it (groups, …), $\sqrt{\|\cdot\|_1 \|\cdot\|_\infty}$ at the sizes that are given.
    `layer` is one of `LAYERS`, in float64; `sizes` are those of its images, empty if not known.
    """
    if isinstance(layer, Scale):
        return _exact(torch.tensor([abs(layer.factor)]), "its factor")
    if isinstance(layer, Selection):  # its matrix may be too large to be made
        times = layer.index.bincount(minlength=layer.in_features).double()
        sigma = times.sqrt().sort(descending=True).values
        return _exact(sigma[: layer.out_features], "counted")
    if isinstance(layer, nn.Linear):
        return _exact(torch.linalg.svdvals(layer.weight), "SVD")
    matrix = _matrix(layer, sizes)
    if matrix is not None:
        (size,) = sizes
        sigma = torch.linalg.svdvals(matrix)
        return _exact(sigma, f"SVD of the map at {size[-2]}×{size[-1]}")
    nan = math.nan
    try:
        stride = kernel_class(layer, layer.weight).stride
    except ValueError:
        if not sizes:
            return Spectrum(nan, nan, nan, nan, "none for this convolution")
        high = math.sqrt(upper_norm(layer, 1, sizes) * upper_norm(layer, math.inf, sizes))
        return Spectrum(nan, nan, 0.0, high, "row and column sums")
    low, high = (float(b) for b in convolution_norm_bounds(layer.weight, stride))
    return Spectrum(nan, nan, low, high, "grid, all sizes")


def upper_norm(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> float:
    """An upper bound of the induced p → p norm of a layer, p = 1, 2 or ∞; exact with a matrix.

    A convolution is exact for p = 1 and ∞, unless its padding repeats or reflects pixels.
    """
    if p == 2:
        return spectrum(layer, sizes).upper
    if isinstance(layer, Scale):
        return abs(layer.factor)
    if isinstance(layer, Selection):
        return float(layer.index.bincount().max()) if p == 1 else 1.0
    if isinstance(layer, nn.Linear):
        return float(operator_norm(layer.weight, p))
    return max(_largest_sum(layer, p, size) for size in sizes)


def upper_norm_to_max(layer: Any, p: float, sizes: set[tuple[int, ...]]) -> float:
    """An upper bound of the norm from the p-norm to the ∞-norm: ‖W‖_{p,∞} of a linear layer."""
    if isinstance(layer, Selection):
        return 1.0
    if isinstance(layer, nn.Linear):
        return float(mixed_norm(layer.weight, p))
    return upper_norm(layer, p, sizes)


def _exact(sigma: Tensor, method: str) -> Spectrum:
    small, large = float(sigma[-1]), float(sigma[0])
    return Spectrum(small, large, large, large, method)


def _matrix(conv: nn.Conv2d, sizes: set[tuple[int, ...]]) -> Tensor | None:
    """The matrix of the convolution, if its images have one size, and one that is small enough."""
    if len(sizes) != 1:
        return None
    (size,) = sizes
    pixels = math.prod(size)
    if pixels > MOST_PIXELS:
        return None
    images = torch.eye(pixels, dtype=conv.weight.dtype, device=conv.weight.device)
    matrix = convolved(conv, conv.weight, images.view(-1, *size)).flatten(1).mT
    return matrix if matrix.numel() <= MOST_ENTRIES else None


@torch.enable_grad()
def _largest_sum(conv: nn.Conv2d, p: float, size: tuple[int, ...]) -> float:
    """The largest row sum (p = ∞) or column sum (p = 1) of |matrix|, by the map with kernel |K|.

    On an image of ones it gives the row sums, and the gradient of their total is the column sums.
    Pixels that padding repeats or reflects may meet in one entry, whose terms we then add: a bound.
    """
    image = torch.ones(1, *size, dtype=conv.weight.dtype, device=conv.weight.device)
    image.requires_grad_()
    rows = convolved(conv, conv.weight.detach().abs(), image)
    sums = rows if p == math.inf else torch.autograd.grad(rows.sum(), image)[0]
    return float(sums.detach().max())


def convolved(conv: nn.Conv2d, kernel: Tensor, images: Tensor) -> Tensor:
    """The images under the layer with another kernel and without its bias, whatever its padding."""
    held = {"weight": kernel}
    if conv.bias is not None:
        held["bias"] = torch.zeros_like(conv.bias)
    found: Tensor = functional_call(conv, held, (images,))
    return found


def one_lipschitz(module: nn.Module) -> bool:
    """Whether a module without a weight matrix is known not to stretch, for p = 1, 2 and ∞."""
    if runs_as(module, (*SORTS, *SCALARS, *SHAPES)):
        return True
    return any(holds(module) for kind, holds in CONDITIONS.items() if runs_as(module, kind))


def unknown(name: str, module: nn.Module) -> str:
    """The name and the class of a module, as an answer says them."""
    return f"{name} ({type(module).__name__})" if name else type(module).__name__


def product(module: nn.Module, norms: dict[int, float]) -> tuple[float, str]:
    """The product of the norms along a Sequential and "", or infinity and the module without one.

    `norms` holds an upper bound for each layer, by its ``id``.
    """
    bound = 1.0
    for name, step in walk(module):
        factor = 1.0 if one_lipschitz(step) else math.inf
        factor = norms[id(step)] if runs_as(step, LAYERS) else factor
        if not factor < math.inf:  # NaN too: a layer of which nothing is known
            return math.inf, unknown(name, step)
        bound *= factor
    return bound, ""


def _apart(pool: Any) -> bool:
    """Whether the windows of a pooling layer do not overlap, and none is cut off."""
    size, step = _both(pool.kernel_size, 1), _both(pool.stride, pool.kernel_size)
    return not pool.ceil_mode and all(s >= k for s, k in zip(step, size, strict=True))


def _both(value: Any, default: Any) -> tuple[int, int]:
    value = default if value is None else value
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


@torch.no_grad()  # a forward of its own may hold weights that ask for gradients
def jacobian_norms(model: nn.Module, x: Tensor, p: float) -> Tensor:
    """The induced p → p norm of the Jacobian at each sample of x, for p = 1, 2 or ∞.

    It is 0 where the Jacobian is not finite: of what overflows nothing is known.
    """
    entries = model(x[:1]).numel() * x[0].numel()
    parts = torch.split(x, max(1, min(128, MOST_JACOBIAN_ENTRIES // entries)))
    return torch.cat([_norms(jacobians(model, part), p) for part in parts])


def _norms(J: Tensor, p: float) -> Tensor:
    finite = J.isfinite().all(dim=(1, 2))
    J = torch.where(finite[:, None, None], J, 0.0)
    norms: Tensor
    if p != 2:
        norms = torch.linalg.matrix_norm(J, p)
        return norms
    # The largest eigenvalue of the smaller Gram matrix: several times cheaper than an SVD.
    largest = J.abs().amax(dim=(1, 2))
    A = J / torch.where(largest > 0, largest, 1.0)[:, None, None]  # no square overflows
    gram = A @ A.mT if A.shape[1] <= A.shape[2] else A.mT @ A
    norms = largest * torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0).sqrt()
    return norms
