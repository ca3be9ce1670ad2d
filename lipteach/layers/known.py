"""Upper bounds of the Lipschitz constant of a composition, for p = 2, module by module.

Source: the composition of Lipschitz maps; the constants are of the modules' derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from lipteach.primitives import Abs, FullSort, GroupSort, MaxMin

SORTS = (Abs, FullSort, GroupSort, MaxMin)
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
    """Whether a module without a weight matrix is known not to stretch Euclidean distances."""
    kind = type(module)
    if kind in CONDITIONS:
        return CONDITIONS[kind](module)
    return kind in (*SORTS, *SCALARS, *SHAPES)


def product(module: nn.Module, norms: dict[int, float], name: str = "") -> tuple[float, str]:
    """The product of the norms along a Sequential, or infinity and the module without a bound.

    Args:
        module: the model.
        norms: an upper bound for each layer, by ``id``.
        name: where the module stands in the model.

    Returns:
        The bound and "", or infinity and the name and class of the first module without one.
    """
    if type(module) in (nn.Linear, nn.Conv2d):
        bound = norms[id(module)]
    elif type(module) is nn.Sequential:
        bound = 1.0
        for key, child in module._modules.items():  # a child that stands twice counts twice
            factor, unknown = product(child, norms, f"{name}.{key}" if name else key)
            if unknown:
                return factor, unknown
            bound *= factor
    else:
        bound = 1.0 if one_lipschitz(module) else float("inf")
    if not bound < float("inf"):  # NaN too: a layer of which nothing is known
        return float("inf"), f"{name} ({type(module).__name__})" if name else type(module).__name__
    return bound, ""


def _apart(pool: Any) -> bool:
    """Whether the windows of a pooling layer do not overlap, and none is cut off."""
    size, step = _both(pool.kernel_size, 1), _both(pool.stride, pool.kernel_size)
    return not pool.ceil_mode and all(s >= k for s, k in zip(step, size, strict=True))


def _both(value: Any, default: Any) -> tuple[int, int]:
    value = default if value is None else value
    return tuple(value) if isinstance(value, tuple | list) else (value, value)
