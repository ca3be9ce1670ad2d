"""Linear layers without a matrix, and networks that evaluate many points in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import (
    check_dense,
    check_integer,
    check_numbers,
    check_real,
    check_tensor,
    exporting,
    leaf_of_fx,
    shown,
)

MOST_ENTRIES = 2**20  # of the widest layer at once: 8 MiB in float64, which caches hold


class Selection(nn.Linear):
    r"""The linear layer whose rows each have a single 1: $y_i = x_{s(i)}$ (appendix E).

    Permutations, the choice of each first entry of a pair, and the repetition of entries are of
    this kind. Its ∞-norm is 1; its 1-norm is the number of times that an entry is used most, and
    its 2-norm the root of that.

    The layer stores the indices s alone: as a matrix, k entries among n are k·n numbers, and a
    lattice of N points selects N². `weight` is the matrix, made anew each time it is read, in the
    dtype that the layer was cast to; writing to it changes nothing.

    Args:
        index: s, the entry that each output takes, as a list of integers or an int64 tensor.
        in_features: the number of inputs.

    Example:
        >>> swap = lt.Selection([1, 0], in_features=2)
        >>> swap(torch.tensor([3.0, 5.0])).tolist(), swap.weight.tolist()
        ([5.0, 3.0], [[0.0, 1.0], [1.0, 0.0]])

    Source: the vectors [1, 0] and [0, 1] and the permutation of Anil, Lucas and Grosse (2019),
    appendix E.
    """

    index: Tensor
    _one: Tensor

    def __init__(self, index: Sequence[int] | Tensor, in_features: int) -> None:
        nn.Module.__init__(self)
        self.in_features = check_integer(in_features, "in_features")
        self.register_buffer("index", _indices(index, in_features))
        self.register_buffer("_one", torch.ones((), dtype=torch.float64), persistent=False)
        self.register_parameter("bias", None)
        self.out_features = len(self.index)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The matrix, (out_features, in_features): zeros, and one 1 in each row."""
        shape = len(self.index), self.in_features
        rows = torch.zeros(shape, dtype=self._one.dtype, device=self.index.device)
        return rows.scatter_(1, self.index[:, None], 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the selected entries of x, (…, out_features)."""
        return _selected(x, self.index, self.in_features)

    def extra_repr(self) -> str:
        """Return the sizes and the first indices, for print."""
        first = ", ".join(str(i) for i in self.index[:6].tolist())
        more = ", …" if len(self.index) > 6 else ""
        return f"{self.in_features}→{self.out_features}, index=[{first}{more}]"


@leaf_of_fx
def _selected(x: Tensor, index: Tensor, in_features: int) -> Tensor:
    check_tensor(x, min_dim=0, finite=False)
    if x.shape[-1:] != (in_features,):
        raise ValueError(
            f"x must have {in_features} entries along its last dimension; got shape "
            f"{tuple(x.shape)}."
        )
    return x.index_select(-1, index)


def _indices(index: Any, in_features: int) -> Tensor:
    try:
        read = torch.as_tensor(index)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise TypeError(f"index must be a list of integers; got {shown(index)}.") from None
    if read.numel() == 0 or read.ndim != 1:
        raise ValueError(
            f"index must be a list of at least 1 entry; got shape {tuple(read.shape)}."
        )
    if read.dtype != torch.int64:
        raise TypeError(f"index must hold int64 integers; got {read.dtype}.")
    if read.layout is not torch.strided:
        raise TypeError(f"index must be a dense tensor; got layout {read.layout}.")
    check_numbers(read, "index")
    low, high = (int(i) for i in read.aminmax())
    if low < 0 or high >= in_features:
        wrong = low if low < 0 else high
        raise ValueError(f"index must be in [0, {in_features}); it holds {wrong}.")
    return read.detach().clone()


class Scale(nn.Module):
    r"""Multiply by a constant: $x \mapsto a\,x$, with norm |a| in every p-norm (appendix H.4).

    A network of 1-Lipschitz layers and scaling layers has the product of the scales as its
    constant. Since sorts and ReLU are homogeneous, φ(a x) = a φ(x) for a ≥ 0 (not for a < 0:
    MaxMin(−x) ≠ −MaxMin(x)), scaling inside is scaling of the output, if each later bias is
    multiplied by the scales before it. a is no parameter: training leaves it alone. Behind
    ``nn.AvgPool2d(k)``, whose 2-norm is 1/k, a = k makes a pool of norm 1, and no less.

    >>> lt.Scale(10.0)(torch.tensor([1.0, -0.5]))
    tensor([10., -5.])

    Source: Anil, Lucas and Grosse (2019), appendix H.4.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; the factor is asked for at each assignment, since bounds believe it."""
        given: Any = check_real(value, name) if name == "factor" else value
        super().__setattr__(name, given)

    def forward(self, x: Tensor) -> Tensor:
        """Return factor · x."""
        return _scaled(x, self.factor)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"factor={self.factor:g}"


@leaf_of_fx
def _scaled(x: Tensor, factor: float) -> Tensor:
    check_tensor(x, min_dim=0, finite=False)
    return factor * x


class ChunkedSequential(nn.Sequential):
    """An ``nn.Sequential`` that evaluates a large batch in parts, so that memory stays bounded.

    The points are rows of x: every leading dimension is a batch dimension. No part fills the widest
    layer with more than 2²⁰ numbers.

    >>> f = lt.ChunkedSequential(lt.Selection([0, 0], 1), lt.MaxMin())
    >>> f(torch.ones(3, 1)).shape
    torch.Size([3, 2])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return what ``nn.Sequential`` does, computed part by part."""
        if not exporting(x):
            check_dense(x, "x")
            if x.shape[:-1].numel() > 0:  # of an empty batch the modules have their own opinion
                check_tensor(x, finite=False)
        rows = x.reshape(-1, x.shape[-1])
        parts = [rows] if exporting(x) else torch.split(rows, self._most_rows())
        y = torch.cat([*map(super().forward, parts)])
        return y.view(x.shape[:-1] + y.shape[-1:])

    def _most_rows(self) -> int:
        widths = [m.out_features for m in self.modules() if isinstance(m, nn.Linear)]
        return max(1, MOST_ENTRIES // max([1, *widths]))
