"""Linear layers whose weights are known: the building block of the exact networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_numbers, check_tensor, shown

INTEGERS = (
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
)
Matrix = Tensor | Sequence[Sequence[float]]


def frozen_linear(W: Matrix, b: Tensor | Sequence[float] | None = None) -> nn.Linear:
    """Make a frozen ``nn.Linear`` in float64, x ↦ W x + b, of weights that are known.

    ``lt.linear`` is the same function.

    Args:
        W: the weight, (m, n), as a tensor or a list of rows.
        b: the bias, (m,), or None for a layer without one.

    Returns:
        A layer from (…, n) to (…, m).

    Example:
        >>> lt.frozen_linear([[1.0, 2.0]], [0.5])(torch.tensor([3.0, 4.0]).double()).tolist()
        [11.5]
    """
    weight, bias = _numbers(W, "W", 2), None if b is None else _numbers(b, "b", 1)
    if bias is not None and len(bias) != len(weight):
        raise ValueError(
            f"b must have one entry for each of the {len(weight)} rows of W; got {len(bias)}."
        )
    m, n = weight.shape
    layer = nn.Linear(n, m, bias=bias is not None, dtype=torch.float64)
    layer.weight.data.copy_(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer.requires_grad_(False)


linear = frozen_linear


def _numbers(values: Any, name: str, ndim: int) -> Tensor:
    """Return finite real numbers as a float64 tensor with `ndim` dimensions."""
    if hasattr(values, "mask"):  # of NumPy; torch would read what is masked
        raise TypeError(f"{name} must be a plain array; got {type(values).__name__}.")
    try:
        read = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        shape = "a matrix: rows of equal length" if ndim == 2 else "a list"
        raise TypeError(f"{name} must be {shape} of real numbers; got {shown(values)}.") from None
    if read.dtype in INTEGERS:
        read = read.double()
    if read.dtype.is_complex or read.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers; got {read.dtype}.")
    check_tensor(read, name, min_dim=0, finite=False)
    check_numbers(read, name)
    if read.ndim != ndim or read.numel() == 0:
        need = f"{ndim} dimension{'s' * (ndim > 1)} and at least one entry"
        raise ValueError(f"{name} must have {need}; got shape {tuple(read.shape)}.")
    numbers = torch.as_tensor(values, dtype=torch.float64).detach()
    if not bool(torch.isfinite(numbers).all()):
        raise ValueError(f"{name} must be finite; it holds NaN or infinity.")
    return numbers
