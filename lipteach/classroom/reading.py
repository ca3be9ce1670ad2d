"""Numbers and tensors from what a student hands in or returns, of whatever type."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.hints import Hint
from lipteach.classroom.showing import a_kind, shape_of


def need_number(answer: Any) -> float:
    """The answer as a float: Python and numpy numbers, fractions and one-element tensors."""
    if callable(answer):
        raise Hint("type", "A number is needed, and this is a function: hand in what it returns.")
    if isinstance(answer, (Tensor, np.ndarray)):
        values = need_tensor(answer)
        if values.numel() != 1:
            raise Hint("shape", f"One number is needed; this has shape {shape_of(values)}.")
        return float(values.reshape(()))
    real = isinstance(answer, numbers.Real) and not isinstance(answer, (bool, np.bool_))
    if not real:
        more = "."
        if type(answer) in (list, tuple) and len(answer) > 1:
            more = f" of {len(answer)}: which of its entries is asked for?"
        raise Hint("type", f"A number is needed; this is {a_kind(answer)}{more}")
    try:
        return float(answer)
    except OverflowError:
        raise Hint("value", "This number is far too large: is it a power of a power?") from None


def need_tensor(answer: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """The answer as a detached float64 tensor: tensors, arrays, numbers and lists of numbers."""
    _need_no_pair(answer)
    if isinstance(answer, (list, tuple)):
        if shape is not None:
            _need_no_tuple_around(answer, shape)
        answer = _from_list(answer)
    elif not isinstance(answer, (Tensor, np.ndarray, numbers.Real, np.bool_)):
        raise Hint("type", f"A list or tensor of numbers is needed; this is {a_kind(answer)}.")
    values = read(answer, boolean=False).to(torch.float64)
    if shape is not None and tuple(values.shape) != tuple(shape):
        raise Hint("shape", f"The shape is {shape_of(values)}; {shape_of(shape)} is needed.")
    return values


def read_like(result: Any, want: Tensor, gradient: bool) -> Tensor:
    """What a function returned where `want` is right; a list has no gradient."""
    _need_no_pair(result)
    if isinstance(result, (list, tuple)):
        _need_no_tuple_around(result, want.shape)
        values = _from_list(result)
        if gradient:
            more = "torch.stack makes one tensor of it"
            if not any(isinstance(part, Tensor) for part in result):
                more = "which tensor operations make it, so that a gradient can flow"
            raise Hint("type", f"A tensor is needed; this is {a_kind(result)}: {more}.")
        return values
    return read(result, want.dtype == torch.bool)


def _from_list(answer: Any) -> Tensor:
    if len(answer) == 0:
        return torch.zeros(0, dtype=torch.float64)
    try:
        parts = [
            _from_list(part) if isinstance(part, (list, tuple)) else read(part, boolean=True)
            for part in answer
        ]
        return torch.stack([part.to(torch.float64) for part in parts])
    except (Hint, RuntimeError):
        raise Hint("type", "The list holds something that is not a row of numbers.") from None


def _need_no_tuple_around(result: Any, shape: Any) -> None:
    """A result that is handed on with others, as (σ, u, v) is."""

    def has_shape(value: Any) -> bool:
        try:
            whole = _from_list(value) if isinstance(value, (list, tuple)) else read(value, True)
        except Hint:
            return False
        return tuple(whole.shape) == tuple(shape)

    if not result or has_shape(result) or not has_shape(result[0]):
        return
    more = "is its only entry meant?"
    if len(result) > 1:
        more = f"of its {len(result)} parts only the first is asked for."
    raise Hint("type", f"A tensor is needed; this is {a_kind(result)}: {more}")


def _need_no_pair(result: Any) -> None:
    kind = type(result)
    if kind.__module__ == "torch.return_types" and {"values", "indices"} <= set(dir(result)):
        text = (
            f"torch.{kind.__name__} returns a pair (values, indices): which of them is asked for?"
        )
        raise Hint("type", text)


def read(result: Any, boolean: bool) -> Tensor:
    """A real, dense tensor on the CPU from what a student returned."""
    _need_no_pair(result)
    if isinstance(result, (bool, np.bool_)) and not boolean:
        raise Hint("type", "Numbers are needed; this is True or False.")
    if isinstance(result, (numbers.Real, np.ndarray, np.bool_)):
        try:
            result = torch.as_tensor(
                np.array(_plain(result), order="C")
            )  # a view may run backwards
        except (TypeError, ValueError):
            raise Hint("type", "The array holds something that is not a number.") from None
    if not isinstance(result, Tensor):
        raise Hint("type", f"A tensor is needed; this is {a_kind(result)}.")
    if result.device.type != "cpu":
        raise Hint("type", f"A tensor on the CPU is needed; this is on {result.device.type!r}.")
    if result.is_complex() or (result.dtype == torch.bool and not boolean):
        raise Hint("type", f"Real numbers are needed; the tensor's dtype is {result.dtype}.")
    dense = result if result.layout == torch.strided else result.to_dense()
    return torch.clone(dense.detach())  # the caller may write over a buffer it hands out again


def _plain(result: Any) -> Any:
    """A fraction or a numpy scalar as a float; arrays stay as they are."""
    return result if isinstance(result, (np.ndarray, bool, np.bool_)) else float(result)
