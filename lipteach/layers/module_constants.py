r"""The modules without a weight matrix that have a known Lipschitz constant, for each p another.

A mean over n pixels is 1/n times n ones: with windows of which each pixel meets at most m, the sum
of a row of the matrix is 1, that of a column m/n, and the 2-norm at most their geometric mean
(Schur), which it reaches where windows are apart (m = 1). The length of a window, the root of the
sum of its squares, moves by at most the length of its pixels' move: the constant is √m for p = 2,
m for p = 1 and √n for p = ∞. Where windows are apart and none is 0, its gradients are orthonormal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import nn

from lipteach.layers.known_modules import AVERAGES, LENGTHS, each
from lipteach.primitives import Centering, Householder
from lipteach.primitives.composition import runs_as

WITH_CONSTANTS = (*AVERAGES, *LENGTHS, Centering, Householder)
Shapes = set[tuple[int, ...]]


class Windows(NamedTuple):
    """The pixels of a window, how many windows meet in a pixel at most, and the divisor."""

    pixels: int
    meetings: int
    divisor: float


def has_constant(module: nn.Module) -> bool:
    """Whether a module is one of `WITH_CONSTANTS`, with settings for which we know it."""
    if not runs_as(module, WITH_CONSTANTS):
        return False
    if isinstance(module, AVERAGES):
        return _are_whole(module) and windows_of(module).divisor > 0
    return not isinstance(module, LENGTHS) or (module.norm_type == 2 and not module.ceil_mode)


def constant(module: Any, p: float, shapes: Shapes) -> float:
    """An upper bound of the constant from the p-norm to the p-norm, p = 1, 2 or ∞."""
    if isinstance(module, AVERAGES):
        pixels, meetings, divisor = windows_of(module)
        row, column = pixels / divisor, meetings / divisor
        return {1: column, 2: math.sqrt(row * column), math.inf: row}[p]
    if isinstance(module, LENGTHS):  # ‖z‖₂ ≤ √n ‖z‖_∞, and ‖z‖₂ ≤ ‖z‖₁
        pixels, meetings, _ = windows_of(module)
        return {1: float(meetings), 2: math.sqrt(meetings), math.inf: math.sqrt(pixels)}[p]
    if p == 2:
        return 1.0
    if isinstance(module, Centering):
        return max((2 - 2 / n for n in _counts(module, shapes)), default=2.0)
    twice = 2 * module.angle.detach().double()
    return max(1.0, float((twice.cos().abs() + twice.sin().abs()).max()))


def constant_to_max(module: Any, p: float, shapes: Shapes) -> float:
    """An upper bound of the constant from the p-norm to the ∞-norm."""
    if p == math.inf:
        return constant(module, p, shapes)
    if isinstance(module, AVERAGES):
        pixels, _, divisor = windows_of(module)
        return (math.sqrt(pixels) if p == 2 else 1.0) / divisor
    return 1.0  # no entry, and no row's length, is above 1


def said_of(module: Any) -> tuple[float, float, str]:
    """The smallest and the largest singular value of the Jacobians, NaN if not known; and how."""
    if isinstance(module, AVERAGES):
        whole = windows_of(module).meetings == 1 and not any(each(module.padding))
        sigma = constant(module, 2, set())
        return (sigma, sigma, "its windows") if whole else (math.nan, math.nan, "its windows")
    if isinstance(module, Centering):
        return 0.0, 1.0, "a projection"
    if isinstance(module, LENGTHS):
        apart = windows_of(module).meetings == 1
        return math.nan, 1.0 if apart else math.nan, "lengths of windows"
    return 1.0, 1.0, "reflections"


def windows_of(pool: Any) -> Windows:
    """The windows of one of `AVERAGES` or `LENGTHS`."""
    size = each(pool.kernel_size)
    step = size if pool.stride is None else each(pool.stride) or size
    kinds = enumerate((*AVERAGES, *LENGTHS))
    dims = 1 + next(n for n, kind in kinds if isinstance(pool, kind)) % 3
    size, step = (t * dims if len(t) == 1 else t for t in (size, step))
    meetings = math.prod(math.ceil(k / s) for k, s in zip(size, step, strict=True))
    pixels = math.prod(size)
    return Windows(pixels, meetings, float(getattr(pool, "divisor_override", None) or pixels))


def _are_whole(pool: Any) -> bool:
    """Whether no window is divided by less than all of its pixels, as one that is cut off may."""
    padded = any(each(pool.padding))
    return not pool.ceil_mode and (bool(pool.count_include_pad) or not padded)


def _counts(module: Centering, shapes: Shapes) -> set[int]:
    """The number of entries to a mean, for each shape."""
    return {math.prod(shape[d] for d in module.dim) for shape in shapes}
