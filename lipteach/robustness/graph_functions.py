"""The functions and methods of tensors that a forward may use: what each does to distances.

Each is known by itself, not by its name, but for the methods of tensors. Nothing is known of what
stands in none of these tables.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipteach.primitives import FullSort, GroupSort, MaxMin, full_sort, group_sort, maxmin

Table = dict[Callable[..., Any], Any]


def _methods(names: str) -> tuple[str, ...]:
    return tuple(names.split())


# Each entry of the result is an entry of the input, wherever it is put.
MOVES: set[Any] = {
    *(torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze),
    *(torch.unsqueeze, torch.movedim, torch.moveaxis, torch.swapaxes, torch.swapdims),
    *(torch.flip, torch.roll, torch.narrow, torch.select, torch.chunk, torch.split),
    *(torch.tensor_split, torch.unbind, torch.clone, torch.unflatten),
    *(operator.getitem, F.pixel_shuffle, F.pixel_unshuffle, F.channel_shuffle),
    *_methods("flatten reshape view permute transpose squeeze unsqueeze movedim moveaxis swapaxes"),
    *_methods("swapdims flip roll narrow select chunk split tensor_split unbind clone unflatten"),
    *_methods("contiguous detach expand repeat repeat_interleave"),
}
# Of each entry alone, and 1-Lipschitz, without settings.
CONTRACTIONS: set[Any] = {
    *(torch.relu, torch.tanh, torch.sigmoid, torch.abs, torch.sin, torch.cos, operator.abs, abs),
    *(F.tanh, F.sigmoid, F.softsign, F.logsigmoid, F.tanhshrink),
    *_methods("relu tanh sigmoid abs sin cos"),
}
CLAMPS: set[Any] = {torch.clamp, torch.clip, *_methods("clamp clip clamp_min clamp_max")}
SUMS_OF_TWO: Table = {
    operator.add: 1, torch.add: 1, operator.iadd: 1,
    operator.sub: -1, torch.sub: -1, torch.subtract: -1, operator.isub: -1,
}  # fmt: skip
PRODUCTS: Table = {
    operator.mul: 1, torch.mul: 1, torch.multiply: 1, operator.imul: 1,
    operator.truediv: -1, torch.div: -1, torch.divide: -1, torch.true_divide: -1,
    operator.itruediv: -1,
}  # fmt: skip
IN_PLACE = {operator.iadd, operator.isub, operator.imul, operator.itruediv}
NEGATIVES = {operator.neg, torch.neg, torch.negative, "neg", "negative"}
JOINS = {torch.cat, torch.concat, torch.concatenate, torch.stack}
EXTREMES = {torch.maximum, torch.minimum, "maximum", "minimum"}
TOTALS: set[Any] = {torch.sum, torch.mean, "sum", "mean"}
MEANS: set[Any] = {torch.mean, "mean"}
BY_METHOD: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "subtract": operator.sub,
    "mul": operator.mul, "multiply": operator.mul, "div": operator.truediv,
    "divide": operator.truediv, "true_divide": operator.truediv,
}  # fmt: skip
OF_COUNTS = {operator.getitem, operator.mul}  # what a number of samples may go into
OF_SHAPES = {"size", "dim", "ndimension", "numel", "nelement"}
SHAPES = {"shape", "ndim", "dtype", "device"}
# What a module does as well: its class and the names of its settings, in the function's order.
POOL = ("kernel_size", "stride", "padding")
AVERAGE = (*POOL, "ceil_mode", "count_include_pad")
MAXIMUM = (*POOL, "dilation", "ceil_mode")
AS_MODULES: dict[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    F.relu: (nn.ReLU, ("inplace",)),
    F.relu6: (nn.ReLU6, ("inplace",)),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope", "inplace")),
    F.elu: (nn.ELU, ("alpha", "inplace")),
    F.celu: (nn.CELU, ("alpha", "inplace")),
    F.hardtanh: (nn.Hardtanh, ("min_val", "max_val", "inplace")),
    F.hardsigmoid: (nn.Hardsigmoid, ("inplace",)),
    F.softmax: (nn.Softmax, ("dim",)),
    torch.softmax: (nn.Softmax, ("dim",)),
    "softmax": (nn.Softmax, ("dim",)),
    F.avg_pool1d: (nn.AvgPool1d, AVERAGE),
    F.avg_pool2d: (nn.AvgPool2d, (*AVERAGE, "divisor_override")),
    F.avg_pool3d: (nn.AvgPool3d, (*AVERAGE, "divisor_override")),
    F.max_pool1d: (nn.MaxPool1d, MAXIMUM),
    F.max_pool2d: (nn.MaxPool2d, MAXIMUM),
    F.max_pool3d: (nn.MaxPool3d, MAXIMUM),
    F.adaptive_avg_pool1d: (nn.AdaptiveAvgPool1d, ("output_size",)),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    maxmin: (MaxMin, ("dim",)),
    group_sort: (GroupSort, ("size", "dim")),
    full_sort: (FullSort, ("dim",)),
}

# Methods are known by their names, so what stands behind the names is to be what torch came with.
_OPERATORS = "abs add getitem iadd imul isub itruediv mul neg radd rmul rsub rtruediv sub truediv"
_NAMES = {
    *(f"__{name}__" for name in _OPERATORS.split()),
    *(key for table in (MOVES, CONTRACTIONS, CLAMPS, NEGATIVES, EXTREMES) for key in table),
    *(*TOTALS, *BY_METHOD, *AS_MODULES, *OF_SHAPES, *SHAPES),
}
_METHODS = {name: getattr(Tensor, name) for name in _NAMES if isinstance(name, str)}


def methods_replaced() -> bool:
    """Whether a method of tensors that is known here is another than when this was imported."""
    return any(getattr(Tensor, name, None) is not method for name, method in _METHODS.items())
