"""What is known of the modules of a composition: which have a norm, and which do not stretch.

Source: the composition of Lipschitz maps; the constants are of the modules' derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from lipteach.primitives import (
    Abs,
    ChunkedSequential,
    FullSort,
    GroupSort,
    MaxMin,
    Selection,
)

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
    """Whether a module without a weight matrix is known not to stretch, for p = 1, 2 and ∞."""
    kind = type(module)
    if kind in CONDITIONS:
        return CONDITIONS[kind](module)
    return kind in (*SORTS, *SCALARS, *SHAPES)


def steps(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that a Sequential runs one after the other, at every depth, with their names."""
    if type(module) in (nn.Sequential, ChunkedSequential):
        for key, child in module._modules.items():  # a child that stands twice comes twice
            yield from steps(child, f"{name}.{key}" if name else key)  # type: ignore[arg-type]
    else:
        yield name, module


def is_layer(module: nn.Module) -> bool:
    """Whether a module has a weight matrix or a kernel, and no forward of its own."""
    return type(module) in (nn.Linear, nn.Conv2d, Selection)


def unknown(name: str, module: nn.Module) -> str:
    """The name and the class of a module, as an answer says them."""
    return f"{name} ({type(module).__name__})" if name else type(module).__name__


def product(module: nn.Module, norms: dict[int, float]) -> tuple[float, str]:
    """The product of the norms along a Sequential, or infinity and the module without a bound.

    Args:
        module: the model.
        norms: an upper bound for each layer, by ``id``.

    Returns:
        The bound and "", or infinity and the name and class of the first module without one.
    """
    bound = 1.0
    for name, step in steps(module):
        factor = 1.0 if one_lipschitz(step) else float("inf")
        factor = norms[id(step)] if is_layer(step) else factor
        if not factor < float("inf"):  # NaN too: a layer of which nothing is known
            return float("inf"), unknown(name, step)
        bound *= factor
    return bound, ""


def _apart(pool: Any) -> bool:
    """Whether the windows of a pooling layer do not overlap, and none is cut off."""
    size, step = _both(pool.kernel_size, 1), _both(pool.stride, pool.kernel_size)
    return not pool.ceil_mode and all(s >= k for s, k in zip(step, size, strict=True))


def _both(value: Any, default: Any) -> tuple[int, int]:
    value = default if value is None else value
    return tuple(value) if isinstance(value, tuple | list) else (value, value)
