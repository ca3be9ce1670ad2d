"""Answers that are data, carried from a student's process to one which never ran their code.

Numbers, words, lists and tensors are judged there, so that nothing the student's process does to a
check can make such an answer right. A function or a network has to be judged where it was made.
"""

from __future__ import annotations

import base64
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PLAIN = (bool, int, float, str, type(None))
_MOST = 4 * 2**20  # bytes of a tensor


def pack(value: Any) -> Any | None:
    """The value in terms of JSON, or None where it is no plain data.

    >>> pack([1, 0.5])
    ['list', [['plain', 1], ['plain', 0.5]]]
    """
    kind = type(value)
    if kind in _PLAIN:
        return ["plain", value]
    if kind is Fraction:
        return ["fraction", [value.numerator, value.denominator]]
    if kind in (list, tuple):
        parts = [pack(part) for part in value[:10_000]]
        whole = None not in parts and len(parts) == len(value)
        return [kind.__name__, parts] if whole else None
    if kind is Tensor or isinstance(value, np.generic) or kind is np.ndarray:
        return _pack_tensor(value)
    return None


def _pack_tensor(value: Any) -> Any | None:
    array = value
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.device.type != "cpu":
            return None
        array = value.detach().resolve_conj().resolve_neg()
        if array.dtype == torch.bfloat16:
            return None
        array = array.numpy()
    if array.dtype.kind not in "biuf" or array.nbytes > _MOST or array.dtype.itemsize > 8:
        return None
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    kind = "tensor" if isinstance(value, Tensor) else type(value).__name__
    return [kind if kind in ("tensor", "ndarray") else "scalar",
            [array.dtype.str, list(array.shape), data]]  # fmt: skip


def unpack(packed: Any) -> Any:
    """The value again; ValueError where it was not packed by us.

    >>> unpack(pack((torch.tensor([1.0, 2.0]), "a")))
    (tensor([1., 2.]), 'a')
    """
    try:
        return _unpack(packed)
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise ValueError("this is no packed answer") from error


def _unpack(packed: Any) -> Any:
    kind, value = packed
    if kind == "plain" and isinstance(value, _PLAIN):
        return value
    if kind == "fraction":
        return Fraction(*value)
    if kind in ("list", "tuple"):
        parts = [_unpack(part) for part in value]
        return parts if kind == "list" else tuple(parts)
    dtype, shape, data = value
    if np.dtype(dtype).kind not in "biuf":
        raise ValueError("this is no packed answer")
    array = np.frombuffer(base64.b64decode(data), dtype=dtype).reshape(shape).copy()
    if kind == "tensor":
        return torch.from_numpy(array)
    return array if kind == "ndarray" else array[()]
