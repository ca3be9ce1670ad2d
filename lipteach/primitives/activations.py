"""Activations that sort: GroupSort, MaxMin, FullSort, and the absolute value (appendix A).

Sorting is a permutation of its input, chosen by the input. Its Jacobian is that permutation's
matrix, so that it is orthogonal everywhere, ties included: J Jᵀ = I. Nothing here averages a
gradient over equal entries, as `torch.maximum` and `torch.minimum` do.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_integer, check_tensor, transforming


def group_sort(x: Tensor, size: int, dim: int = -1, descending: bool = True) -> Tensor:
    r"""Sort each group of `size` adjacent entries along `dim` (appendix A.1).

    The groups are $(x_1, \dots, x_k), (x_{k+1}, \dots, x_{2k}), \dots$ with k = `size`: the size
    of a group, not their number. Equal entries keep their order, so that the Jacobian is a
    permutation matrix everywhere and every gradient returns to the entry it came from.

    Shapes: x is (…, n, …) with n along `dim` a multiple of `size`; the result has x's shape,
    dtype and device. Differentiable any number of times, and safe under `torch.func`.

    Raises TypeError where x is no floating-point tensor or `size` or `dim` no integer, and
    ValueError where x is empty or holds NaN, `size` does not divide n, or x has no such `dim`.
    Infinities are sorted like any number. On an accelerator, under `torch.func` and under
    `torch.compile` the look for NaN is left out: it would wait for the device.

    >>> group_sort(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), size=3)
    tensor([3., 2., 1., 6., 5., 4.])

    Source: Anil, Lucas and Grosse (2019), appendix A.1.
    """
    check_tensor(x, finite=False)
    check_integer(size, "size")
    dim = _axis(x, dim)
    length = x.shape[dim]
    if length % size:
        raise ValueError(
            f"size must divide the length along dim; got length {length} along dim {dim} "
            f"and size {size}."
        )
    return _sort_groups(x, size, dim, descending)


def maxmin(x: Tensor, dim: int = -1) -> Tensor:
    r"""Sort each adjacent pair along `dim`, the greater first: GroupSort of size 2 (appendix A.1).

    $(x_1, x_2, x_3, x_4, \dots) \mapsto (\max(x_1, x_2), \min(x_1, x_2), \max(x_3, x_4), \dots)$.

    Shapes, errors and gradients are those of `group_sort`; the length along `dim` must be even.

    >>> maxmin(torch.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor([3., 1., 4., 2.])

    Source: Anil, Lucas and Grosse (2019), appendix A.1.
    """
    check_tensor(x, finite=False)
    dim = _axis(x, dim)
    if x.shape[dim] % 2:
        raise ValueError(
            f"maxmin needs an even length along dim; got length {x.shape[dim]} along dim {dim}."
        )
    return _sort_groups(x, 2, dim, True)


def full_sort(x: Tensor, dim: int = -1, descending: bool = True) -> Tensor:
    r"""Sort all entries along `dim`: GroupSort with one group (appendix A.1).

    Shapes, errors and gradients are those of `group_sort`.

    >>> full_sort(torch.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor([4., 3., 2., 1.])

    Source: Anil, Lucas and Grosse (2019), appendix A.1.
    """
    check_tensor(x, finite=False)
    dim = _axis(x, dim)
    return _sort_groups(x, x.shape[dim], dim, descending)


def _axis(x: Tensor, dim: Any) -> int:
    """Return `dim` counted from the front."""
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"dim must be an integer; got {dim!r} ({type(dim).__name__}).")
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(f"dim must be in [{-x.ndim}, {x.ndim - 1}] for this x; got {dim}.")
    return dim % x.ndim


def _sort_groups(x: Tensor, size: int, dim: int, descending: bool) -> Tensor:
    """Sort groups of `size` along `dim`, all arguments known to be good."""
    quick = _may_be_quick(x)
    if quick:
        _refuse_nan(x.detach())
    if quick and size == 2:
        return _QuickPairs.sort(x, dim, descending)
    groups = x.unflatten(dim, (-1, size))
    if size == 2:
        first, second = groups.detach().unbind(dim + 1)
        return _swap_where(first < second if descending else first > second, x, dim)
    return groups.sort(dim=dim + 1, descending=descending, stable=True).values.reshape(x.shape)


def _may_be_quick(x: Tensor) -> bool:
    """Whether x's entries may be looked at without waiting, and its memory written by hand."""
    return x.device.type == "cpu" and not transforming()


def _refuse_nan(x: Tensor) -> None:
    # A sum is the cheapest look at every entry. It is NaN wherever an entry is, but also for
    # infinities of both signs; only then are the entries asked one by one.
    total = x.sum().item()
    if total != total and bool(x.isnan().any()):
        raise ValueError("x must not hold NaN, which has no place in an order; got at least one.")


# MaxMin swaps some pairs of x, and its derivative the same pairs of a gradient. So one linear map,
# its own transpose, gives the values and all derivatives: swap the pairs where a mask says so.


def _swap_where(swap: Tensor, x: Tensor, dim: int) -> Tensor:
    """Exchange the entries of each adjacent pair along `dim` for which `swap` is true."""
    pairs = x.unflatten(dim, (-1, 2))
    return torch.where(swap.unsqueeze(dim + 1), pairs.flip(dim + 1), pairs).reshape(x.shape)


class _QuickPairs(torch.autograd.Function):
    """`_swap_where` on a CPU, for an x whose entries fill a piece of memory, in any order."""

    @staticmethod
    def sort(x: Tensor, dim: int, descending: bool) -> Tensor:
        """Sort each pair along `dim`."""
        if not x.is_contiguous() and torch.empty_like(x).stride() != x.stride():
            x = x.contiguous()  # gaps or overlaps in memory
        first, second = _in_memory(x.detach()).view(-1, 2, x.stride(dim)).unbind(1)
        swap = first < second if descending else first > second
        result: Tensor = _QuickPairs.apply(x, swap, dim, x.stride())  # type: ignore[no-untyped-call]
        return result

    @staticmethod
    def forward(ctx: Any, x: Tensor, swap: Tensor, dim: int, strides: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(swap)
        ctx.save_for_forward(swap)
        ctx.dim, ctx.strides = dim, strides
        if x.stride() != strides:
            x = torch.empty_strided(x.shape, strides, dtype=x.dtype).copy_(x)
        y = torch.empty_like(x)
        _exchange(_in_memory(x), _in_memory(y), swap)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _QuickPairs.jvp(ctx, *gradients), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (swap,), tangent = ctx.saved_tensors, tangents[0]
        if _may_be_quick(tangent):
            result: Tensor = _QuickPairs.apply(tangent, swap, ctx.dim, ctx.strides)  # type: ignore[no-untyped-call]
            return result
        shape, strides, inner = list(tangent.shape), list(ctx.strides), ctx.strides[ctx.dim]
        shape[ctx.dim] //= 2
        strides = [s if s <= inner else s // 2 for s in strides]
        return _swap_where(swap.as_strided(shape, strides), tangent, ctx.dim)


def _in_memory(x: Tensor) -> Tensor:
    """Return the entries of x, which fill a piece of memory, in the order they lie there."""
    return x.as_strided((x.numel(),), (1,))


# `torch.where` branches on a CPU, and mispredicts half of a random mask. Instead read the floats as
# integers: differences wrap round and lose nothing, so that for any bits
#     difference = second - first,   first + mask * difference,   second - mask * difference
# are the pair, swapped where the mask is 1: three steps on whole vector registers.

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_CHUNK = 1 << 16  # pairs worked on at a time, so that what passes between the steps stays in cache


def _exchange(x: Tensor, y: Tensor, swap: Tensor) -> None:
    """Write x to y with the pairs swapped where `swap`, of shape (runs, length of a run), is true.

    The first entries of a run of pairs lie before its second entries.
    """
    runs, inner = swap.shape
    integer = _INTEGERS[x.element_size()]
    x, y = x.view(integer), y.view(integer)
    exchange = _exchange_neighbours if inner == 1 else _exchange_runs
    step = max(1, _CHUNK // inner)
    for start in range(0, runs, step):
        part = slice(2 * inner * start, 2 * inner * (start + step))
        exchange(x[part], y[part], swap[start : start + step])


def _exchange_runs(x: Tensor, y: Tensor, swap: Tensor) -> None:
    first, second = x.view(-1, 2, swap.shape[1]).unbind(1)
    new_first, new_second = y.view(-1, 2, swap.shape[1]).unbind(1)
    mask = swap.to(x.dtype)
    difference = second - first
    torch.addcmul(first, mask, difference, out=new_first)
    torch.addcmul(second, mask, difference, value=-1, out=new_second)


def _exchange_neighbours(x: Tensor, y: Tensor, swap: Tensor) -> None:
    # Every entry has its difference to the next taken, wanted or not: all is faster than every
    # other one. A 0 in the mask at the second entry of each pair drops what is not wanted.
    mask = _with_zeros(swap, x.dtype)
    difference = torch.empty_like(x)
    torch.sub(x[1:], x[:-1], out=difference[:-1])
    torch.addcmul(x, mask, difference, out=y)
    y[1:].addcmul_(mask[:-1], difference[:-1], value=-1)


def _with_zeros(swap: Tensor, integer: torch.dtype) -> Tensor:
    """Return swap as 0s and 1s with a 0 after each."""
    if integer is not torch.int64 and sys.byteorder == "little":
        # An integer twice as wide, 0 or 1, is in memory the wanted digit and a 0 after it.
        return swap.to(torch.int32 if integer is torch.int16 else torch.int64).view(integer).view(-1)
    return torch.cat((swap, torch.zeros_like(swap)), dim=1).view(-1).to(integer)


class GroupSort(nn.Module):
    """`group_sort` as a module.

    >>> GroupSort(3)(torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 2., 1.])
    """

    def __init__(self, size: int, dim: int = -1) -> None:
        super().__init__()
        self.size = check_integer(size, "size")
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return `group_sort(x, size, dim)`."""
        return group_sort(x, self.size, self.dim)

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"size={self.size}, dim={self.dim}"


class MaxMin(nn.Module):
    """`maxmin` as a module.

    >>> MaxMin()(torch.tensor([1.0, 2.0]))
    tensor([2., 1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return `maxmin(x, dim)`."""
        return maxmin(x, self.dim)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"dim={self.dim}"


class FullSort(nn.Module):
    """`full_sort` as a module.

    >>> FullSort()(torch.tensor([1.0, 3.0, 2.0]))
    tensor([3., 2., 1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return `full_sort(x, dim)`."""
        return full_sort(x, self.dim)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"dim={self.dim}"


class Abs(nn.Module):
    r"""The absolute value of each entry, with derivative +1 at zero (appendix A.3).

    Where $|x|$ has a corner any slope in [-1, 1] is a subgradient. `torch.abs` takes 0 and so
    loses the gradient there; we take +1, so that the Jacobian is orthogonal everywhere, as
    it is for MaxMin. Raises as `group_sort` does.

    >>> Abs()(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([2., 0., 3.])

    Source: Anil, Lucas and Grosse (2019), appendix A.3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return |x|."""
        check_tensor(x, min_dim=0, finite=False)
        if x.device.type == "cpu" and not transforming():
            _refuse_nan(x.detach())
        return torch.where(x < 0, -x, x)
