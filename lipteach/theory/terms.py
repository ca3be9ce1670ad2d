"""Terms: a construction written as it stands on paper, or read off a network's layers.

A term is an exact real number that may depend on unknowns. ``prove`` hands terms to the functions
that state a claim; a construction may also be written in terms from the start, with unknowns for
its weights. The functions below do to lists of terms what the layers do to tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives import Abs, FullSort, GroupSort, MaxMin
from lipteach.theory.expressions import (
    And,
    Formula,
    If,
    Max,
    Min,
    Not,
    Or,
    Sqrt,
    Term,
    add,
    as_term,
    read_number,
)

__all__ = [
    "And",
    "Formula",
    "If",
    "Max",
    "Min",
    "Not",
    "Or",
    "Sqrt",
    "Term",
    "apply",
    "full_sort",
    "group_sort",
    "linear",
    "maxmin",
    "read_number",
    "relu",
]

Reader = Callable[[float, int], Term]


def relu(x: Any) -> Term:
    """max(x, 0)."""
    return Max(x, 0)


def linear(W: Any, x: Sequence[Any], b: Any = None) -> list[Term]:
    """W x + b for W of m rows, x of n entries and b of m, each of terms or numbers.

    Example:
        >>> lt.terms.linear([[1, -1]], [Term("variable", "x"), 3], [0.5])
        [add(x, -5/2)]
    """
    rows = [list(row) for row in (W.tolist() if isinstance(W, Tensor) else W)]
    shift = [0] * len(rows) if b is None else list(b.tolist() if isinstance(b, Tensor) else b)
    if any(len(row) != len(x) for row in rows) or len(shift) != len(rows):
        widths = sorted({len(row) for row in rows})
        raise ValueError(
            f"linear needs rows as long as x and one bias a row; got {len(rows)} rows of length "
            f"{widths}, {len(x)} entries of x and {len(shift)} biases."
        )
    return [
        add([*(as_term(w) * v for w, v in zip(row, x, strict=True)), c])
        for row, c in zip(rows, shift, strict=True)
    ]


def group_sort(x: Sequence[Any], size: int) -> list[Term]:
    """Groups of `size` adjacent terms, each in descending order."""
    if size < 1 or len(x) % size:
        raise ValueError(f"group_sort needs a length that size divides; got {len(x)} and {size}.")
    out = [as_term(v) for v in x]
    for start in range(0, len(out), size):
        for i, j in comparators(size):
            a, b = out[start + i], out[start + j]
            high = Max(a, b)
            out[start + i], out[start + j] = high, a + b - high
    return out


def maxmin(x: Sequence[Any]) -> list[Term]:
    """Pairs of adjacent terms, the greater first."""
    return group_sort(x, 2)


def full_sort(x: Sequence[Any]) -> list[Term]:
    """All terms in descending order."""
    return group_sort(x, len(x))


def comparators(n: int) -> list[tuple[int, int]]:
    """Batcher's merge exchange: pairs i < j whose comparison, in this order, sorts any n entries.

    Source: D. E. Knuth, The Art of Computer Programming 3, section 5.2.2, Algorithm M.
    """
    pairs = []
    p = top = 1 << max((n - 1).bit_length() - 1, 0)
    while p:
        q, offset, distance = top, 0, p
        while True:
            pairs += [(i, i + distance) for i in range(n - distance) if i & p == offset]
            if q == p:
                break
            distance, q, offset = q - p, q // 2, p
        p //= 2
    return pairs


def as_stored(value: float, digits: int) -> Term:  # noqa: ARG001
    """The fraction that a float is."""
    return Term("number", Fraction(value))


def apply(network: nn.Module, x: Sequence[Any], reader: Reader = read_number) -> list[Term]:
    """The outputs of a network, as terms, at a list of terms or numbers.

    It knows ``nn.Sequential``, ``Linear``, ``Identity``, ``ReLU``, ``LeakyReLU`` and this package's
    MaxMin, GroupSort, FullSort and Abs along the last dimension. The weights are read as
    :func:`read_number` says.

    Raises:
        TypeError: if the network is not an ``nn.Module``.
        ValueError: if a layer is of another kind, has hooks, or does not fit its input.

    Example:
        >>> apply(nn.Linear(2, 1, bias=False).requires_grad_(False), [0, 0])
        [0]
    """
    h = [as_term(v) for v in x]
    for layer in layers(network):
        h = _layer(layer, h, reader)
    return h


def layers(network: nn.Module) -> Iterator[nn.Module]:
    """The layers of nested ``nn.Sequential``, in order."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be an nn.Module; got {type(network).__name__}.")
    if network._forward_hooks or network._forward_pre_hooks:
        raise ValueError(
            f"network must be made of plain layers; its {type(network).__name__} has hooks, whose "
            "effect a proof cannot see."
        )
    if isinstance(network, nn.Sequential) and type(network).forward is nn.Sequential.forward:
        for child in network:
            yield from layers(child)
    else:
        yield network


def input_size(network: nn.Module) -> int | None:
    """The number of inputs, if a Linear layer tells it: the other layers keep the width."""
    found = (layer.in_features for layer in layers(network) if isinstance(layer, nn.Linear))
    return next(found, None)


def _layer(layer: nn.Module, h: list[Term], reader: Reader) -> list[Term]:
    if isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward:
        return _linear(layer, h, reader)
    if isinstance(layer, MaxMin | GroupSort | FullSort):
        if layer.dim != -1:
            raise ValueError(f"A sorting layer must have dim = -1 in a proof; got {layer.dim}.")
        return group_sort(h, _group_size(layer, len(h)))
    if isinstance(layer, Abs):
        return [abs(z) for z in h]
    if isinstance(layer, nn.ReLU):
        return [Max(z, 0) for z in h]
    if isinstance(layer, nn.LeakyReLU):
        slope = reader(layer.negative_slope, 53)
        return [Max(z, 0) + slope * Min(z, 0) for z in h]
    if isinstance(layer, nn.Identity):
        return h
    raise ValueError(
        "A proof knows Sequential, Linear, Identity, ReLU, LeakyReLU, Abs, MaxMin, GroupSort and "
        f"FullSort layers; the network has a {type(layer).__name__}."
    )


def _group_size(layer: MaxMin | GroupSort | FullSort, width: int) -> int:
    if isinstance(layer, FullSort):
        return width
    return 2 if isinstance(layer, MaxMin) else layer.size


def _linear(layer: nn.Linear, h: list[Term], reader: Reader) -> list[Term]:
    if layer.in_features != len(h):
        raise ValueError(f"A Linear layer with {layer.in_features} inputs was given {len(h)}.")
    digits = 1 - round(math.log2(torch.finfo(layer.weight.dtype).eps))  # 53 for float64

    def read(weight: Tensor) -> list[Term]:
        values: list[float] = weight.detach().to("cpu", torch.float64).tolist()
        return [reader(value, digits) for value in values]

    shift = None if layer.bias is None else read(layer.bias)
    return linear([read(row) for row in layer.weight], h, shift)
