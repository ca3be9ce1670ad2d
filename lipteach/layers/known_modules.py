"""The modules without a weight matrix that are known not to stretch distances.

A module stands here if it is continuous and its Jacobian has norm at most 1 for p = 1, 2 and ∞,
wherever it exists. Softplus is missing, for torch's own jumps by 2e-9 at its threshold, and
overlapping windows, whose maxima count more than once. What has another constant that is known
without a weight matrix stands in `module_constants`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from lipteach.primitives import (
    Abs,
    Centering,
    FullSort,
    GroupSort,
    Householder,
    MaxMin,
    Maxout,
)
from lipteach.primitives.composition import runs_as

Sizes = dict[int, set[tuple[int, ...]]]  # the shapes that a module receives, by its ``id``

SORTS = (Abs, FullSort, GroupSort, MaxMin, Maxout)
SCALARS = (
    *(nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Softsign),
    *(nn.Hardsigmoid, nn.Tanhshrink),
)
SOFTMAX = (nn.Softmax, nn.Softmin, nn.Softmax2d)  # diag(s) − s sᵀ: at most 1/2
SHAPES = (
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle),
    nn.ChannelShuffle,
)
ZEROS = (nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d)  # around a copy, of which a negative padding
CONSTANTS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)  # leaves out a part
ALWAYS = (*SORTS, *SCALARS, *SOFTMAX, *SHAPES, *ZEROS, *CONSTANTS)

DROPOUTS = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)
AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LENGTHS = (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
ADAPTIVE: dict[type[nn.Module], int] = {  # and the dimensions of their images
    nn.AdaptiveAvgPool1d: 1,
    nn.AdaptiveAvgPool2d: 2,
    nn.AdaptiveAvgPool3d: 3,
    nn.AdaptiveMaxPool1d: 1,
    nn.AdaptiveMaxPool2d: 2,
    nn.AdaptiveMaxPool3d: 3,
}

# The first dimension that a module acts on, and of its last ones how many; of others, none.
FIRST: dict[tuple[type[nn.Module], ...], Callable[[Any], Any]] = {
    (FullSort, GroupSort, MaxMin, nn.Softmax, nn.Softmin, nn.Unflatten): lambda m: m.dim,
    (Householder,): lambda m: m.dim,
    (nn.Flatten,): lambda m: m.start_dim,
}
LAST: dict[type[nn.Module], int] = {
    **dict.fromkeys((nn.Linear, Maxout), 1),
    **dict.fromkeys((nn.Conv1d, nn.ConvTranspose1d), 2),
    **dict.fromkeys((nn.Conv2d, nn.ConvTranspose2d, nn.Softmax2d), 3),
    **dict.fromkeys((nn.PixelShuffle, nn.PixelUnshuffle), 3),
    **{k: n for ks in (AVERAGES, LENGTHS, MAXIMA) for n, k in enumerate(ks, 1)},
    **ADAPTIVE,
}

CONDITIONS: dict[type[nn.Module], Callable[[Any], bool]] = {
    nn.LeakyReLU: lambda m: abs(m.negative_slope) <= 1,
    nn.PReLU: lambda m: float(m.weight.detach().abs().max()) <= 1,
    nn.RReLU: lambda m: not m.training and abs(m.lower + m.upper) <= 2,
    nn.ELU: lambda m: 0 <= m.alpha <= 1,
    nn.CELU: lambda m: m.alpha > 0,
    nn.Softshrink: lambda m: m.lambd >= 0,
    nn.Threshold: lambda m: m.value == m.threshold,  # max(x, threshold); else it jumps
    **{kind: lambda m: not m.training or m.p == 0 for kind in DROPOUTS},
    **{kind: lambda m: _apart(m) and set(each(m.dilation)) == {1} for kind in MAXIMA},
}
KNOWN = (*ALWAYS, *CONDITIONS, *ADAPTIVE)


def one_lipschitz(module: nn.Module, sizes: Sizes) -> bool:
    """Whether a module is known not to stretch, for p = 1, 2 and ∞, on images of these sizes."""
    if runs_as(module, ALWAYS):
        return True
    if any(holds(module) for kind, holds in CONDITIONS.items() if runs_as(module, kind)):
        return True
    given = sizes.get(id(module), set())
    return any(_divides(module, n, given) for kind, n in ADAPTIVE.items() if runs_as(module, kind))


def mixes(module: nn.Module, sizes: Sizes) -> bool:
    """Whether a layer or a known module acts on the first dimension of its input, the batch.

    Without a shape of its input a dimension counted from the end may be that one, unless the module
    needs so many.
    """
    last = next((n for kind, n in LAST.items() if isinstance(module, kind)), 0)
    if isinstance(module, (*ZEROS, *CONSTANTS)):  # two numbers for each dimension
        last = len(each(module.padding)) // 2
    chosen = [first(module) for kinds, first in FIRST.items() if isinstance(module, kinds)]
    if isinstance(module, Centering):
        chosen = [*module.dim]
    dims = chosen or [-last or 1]
    if any(type(dim) is not int for dim in dims):  # None, a name, or what may say another number
        return True
    shapes = sizes.get(id(module))
    if shapes and isinstance(module, nn.Flatten):  # samples stand one after the other, unless what
        return False  # follows acts along them, as its shapes tell
    shapes = shapes or {(1,) * (1 + max(last, 1))}
    return any((dim if dim >= 0 else dim + len(shape)) < 1 for shape in shapes for dim in dims)


def _apart(pool: Any) -> bool:
    """Whether the windows of a pooling layer do not overlap, and none is cut off."""
    size = each(pool.kernel_size)
    step = size if pool.stride is None else each(pool.stride) or size
    n = max(len(size), len(step))  # one number stands for all dimensions
    size, step = (t * n if len(t) == 1 else t for t in (size, step))
    return not pool.ceil_mode and all(s >= k for s, k in zip(step, size, strict=True))


def _divides(pool: Any, n: int, sizes: set[tuple[int, ...]]) -> bool:
    """Whether the windows of an adaptive layer do not overlap: equal parts of each image."""
    parts = each(pool.output_size)
    parts = parts * n if len(parts) == 1 else parts
    if all(part == 1 for part in parts):
        return True
    images = [size[-n:] for size in sizes]
    return bool(images) and all(
        part is None or (part > 0 and length % part == 0)
        for image in images
        for length, part in zip(image, parts, strict=True)
    )


def each(value: Any) -> tuple[Any, ...]:
    """A setting as a tuple, one number standing alone."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
