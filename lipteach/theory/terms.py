"""Terms: a construction written as it stands on paper, or read off a network's layers.

A term is an exact real number that may depend on unknowns. ``prove`` hands terms to the functions
that state a claim; a construction may also be written in terms from the start, with unknowns for
its weights. The functions below do to lists of terms what the layers do to tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives import (
    Abs,
    FullSort,
    GroupSort,
    Householder,
    MaxMin,
    Maxout,
    Scale,
    Selection,
)
from lipteach.primitives.composition import alteration, read, runs_as, walk
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
    """Groups of `size` adjacent terms, each in descending order.

    Example:
        >>> lt.prove(lambda a, b: lt.terms.group_sort([a, b], 2)[1], lambda a, b, least: least <= a)
        Proof: for every real a, b
    """
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
    """Pairs of adjacent terms, the greater first.

    Example:
        >>> lt.prove(lambda x, y: sum(lt.terms.maxmin([x, y])), lambda x, y: x + y)
        Proof: for every real x, y
    """
    return group_sort(x, 2)


def full_sort(x: Sequence[Any]) -> list[Term]:
    """All terms in descending order.

    Example:
        >>> lt.prove(lambda x, y, z: lt.terms.full_sort([x, y, z])[0], lambda x, y, z, s: s >= z)
        Proof: for every real x, y, z
    """
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


def apply(network: nn.Module, x: Sequence[Any], reader: Reader = read_number) -> list[Term]:
    """The outputs of a network, as terms, at a list of terms or numbers.

    It knows ``nn.Sequential``, ``Linear``, ``Identity``, ``ReLU``, ``LeakyReLU`` and this package's
    Selection, Scale, Abs, and MaxMin, GroupSort, FullSort, Maxout and Householder along the last
    dimension. The weights are read as :func:`read_number` says.

    Raises:
        ValueError: if a layer is of another kind, has hooks or a forward of its own, or does not
            fit its input.

    Example:
        >>> apply(nn.Linear(2, 1, bias=False).requires_grad_(False), [0, 0])
        [0]
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be an nn.Module; got {type(network).__name__}.")
    h = [as_term(v) for v in x]
    for _, layer in walk(network):
        h = _layer(layer, h, reader)
    return h


def input_size(network: nn.Module) -> int | None:
    """The number of inputs, if a Linear layer tells it: but for Maxout, others keep the width."""
    groups = 1
    for _, layer in walk(network):
        _refuse_altered(layer)
        if isinstance(layer, nn.Linear):
            return groups * layer.in_features
        groups *= layer.size if isinstance(layer, Maxout) else 1
    return None


def _layer(layer: nn.Module, h: list[Term], reader: Reader) -> list[Term]:
    if runs_as(layer, nn.Linear):
        return _linear(layer, h, reader)
    if runs_as(layer, Selection):
        _check_width(layer, h)
        index = layer.index.tolist()
        if not all(0 <= i < len(h) for i in index):
            raise ValueError(f"A Selection of {len(h)} inputs has an index that is none of them.")
        return [h[i] for i in index]
    if runs_as(layer, Scale):
        return [reader(layer.factor, 53) * z for z in h]
    if runs_as(layer, MaxMin):
        return _sorted(h, 2, layer.dim)
    if runs_as(layer, GroupSort):
        return _sorted(h, layer.size, layer.dim)
    if runs_as(layer, FullSort):
        return _sorted(h, len(h), layer.dim)
    if runs_as(layer, Maxout):
        return _maxima(h, layer.size)
    if runs_as(layer, Abs):
        return [abs(z) for z in h]
    if runs_as(layer, Householder):
        return _reflected(layer, h, reader)
    if runs_as(layer, nn.ReLU):
        return [Max(z, 0) for z in h]
    if runs_as(layer, nn.LeakyReLU):
        slope = reader(layer.negative_slope, 53)
        return [Max(z, 0) + slope * Min(z, 0) for z in h]
    if runs_as(layer, nn.Identity):
        return h
    _refuse_altered(layer)
    raise ValueError(
        "A proof knows Sequential, Linear, Selection, Scale, Identity, ReLU, LeakyReLU, Abs, "
        "MaxMin, GroupSort, FullSort, Maxout and Householder layers; "
        f"the network has a {type(layer).__name__}."
    )


def _refuse_altered(layer: nn.Module) -> None:
    if said := alteration(layer):
        raise ValueError(
            f"network must be made of plain layers; its {type(layer).__name__} has {said}, whose "
            "effect a proof cannot see."
        )


def _maxima(h: list[Term], size: int) -> list[Term]:
    if len(h) % size:
        raise ValueError(f"Maxout needs a length that its size divides; got {len(h)} and {size}.")
    return [reduce(Max, h[k : k + size]) for k in range(0, len(h), size)]


def _reflected(layer: Householder, h: list[Term], reader: Reader) -> list[Term]:
    """Z + 2 (−vᵀz)⁺ v of each pair z, with v = (cos θ, sin θ) as a run computes it."""
    if layer.dim != -1 or len(h) != 2 * len(layer.angle):
        got = f"dim {layer.dim}, and {len(h)} entries for {len(layer.angle)} angles"
        raise ValueError(f"A Householder must fit the last dimension in a proof; got {got}.")
    angle, found = _stored(layer.angle), []
    v = zip(_read(angle.cos(), reader), _read(angle.sin(), reader), strict=True)
    for a, b, (c, s) in zip(h[::2], h[1::2], v, strict=True):
        twice = 2 * Max(-(c * a + s * b), 0)
        found += [a + twice * c, b + twice * s]
    return found


def _sorted(h: list[Term], size: int, dim: int) -> list[Term]:
    if dim != -1:
        raise ValueError(f"A sorting layer must have dim = -1 in a proof; got {dim}.")
    return group_sort(h, size)


def _linear(layer: nn.Linear, h: list[Term], reader: Reader) -> list[Term]:
    _check_width(layer, h)
    rows = [_read(row, reader) for row in _stored(read(layer))]
    shift = None if layer.bias is None else _read(_stored(read(layer, "bias")), reader)
    return linear(rows, h, shift)


def _check_width(layer: nn.Linear, h: list[Term]) -> None:
    if layer.in_features != len(h):
        kind = type(layer).__name__
        raise ValueError(f"A {kind} layer with {layer.in_features} inputs was given {len(h)}.")


def _stored(weight: Tensor) -> Tensor:
    if not weight.dtype.is_floating_point:
        raise TypeError(
            f"A Linear layer must have a floating-point dtype in a proof; got {weight.dtype}."
        )
    if weight.is_meta:
        raise ValueError("A Linear layer on the meta device has no weights to read.")
    return weight.detach().cpu()


def _read(weights: Tensor, reader: Reader) -> list[Term]:
    digits = 1 - round(math.log2(torch.finfo(weights.dtype).eps))  # 53 for float64
    return [reader(value, digits) for value in weights.double().tolist()]
