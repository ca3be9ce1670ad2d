"""What is known of the modules of a composition: which do not stretch, and what bounds the whole.

Source: the composition of Lipschitz maps; the constants are of the modules' derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from lipteach.layers.layer_norms import LAYERS
from lipteach.primitives import Abs, FullSort, GroupSort, MaxMin, Maxout
from lipteach.primitives.composition import runs_as, walk

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
