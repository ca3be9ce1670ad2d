"""How MaxMin is made fast with torch alone, in three ways that each win where they are used.

MaxMin swaps some pairs of x, and its derivative swaps the same pairs of a gradient. So one linear
map, its own transpose, gives the values and all derivatives: swap the pairs where a mask says so.

The plain form is `sort_groups` in ``activations.py``. Forward and backward on one core
(``make bench ONLY=activations``):

- from 10⁴ to 10⁵ entries on a CPU each pair is read in the order that the mask says: 0.6 of the
  plain form's time at 256 × 256;
- beyond, memory is the cost. The entries are worked on in the order in which they lie there, a
  chunk at a time, so that what passes between the steps stays in the cache: a pass reads its input
  once and writes its result once. 0.3 of the plain form's time at 256 × 1024;
- other devices, torch.func and torch.compile take `torch.where`, which they can follow.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._torch_private import is_batched

_CHUNK = 1 << 17  # pairs
_FEW = 1 << 14  # entries, up to which a sort by torch is the quickest
_SOME = 1 << 17  # entries of neighbouring pairs, up to which reading them by index is


def worth_it(x: Tensor) -> bool:
    """Whether x is so large that `sort_pairs` is quicker than a sort."""
    return x.numel() > _FEW or not x.is_contiguous()  # a sort would lose the layout


def sort_pairs(x: Tensor, dim: int, descending: bool) -> Tensor:
    """Sort each adjacent pair along `dim` (counted from the front) of a tensor of even length."""
    if not in_plain_memory(x):
        return _swap_where(_misplaced(_pairs(x.detach(), dim), dim, descending), x, dim)
    if x.is_contiguous() and x.numel() <= (_SOME if x.stride(dim) == 1 else _SOME // 8):
        refuse_nan(x)
        return _sort_by_index(x, dim, descending)
    if not x.is_contiguous() and torch.empty_like(x).stride() != x.stride():
        x = x.contiguous()  # gaps or overlaps in memory
    return _SortPairs.apply(x, dim, x.stride(), descending)  # type: ignore[no-any-return, no-untyped-call]


def in_plain_memory(x: Tensor) -> bool:
    """Whether x's entries may be looked at without waiting, and its memory written by hand."""
    # a subclass may stand for something else
    plain = x.is_cpu and type(x) in (Tensor, nn.Parameter)
    if not plain or torch.compiler.is_compiling() or is_batched(x):
        return False
    return not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def refuse_nan(x: Tensor, total: float | None = None) -> None:
    """Raise if x holds NaN, given the sum of its entries or not.

    A sum is the cheapest look at every entry. It is NaN wherever an entry is, but also for
    infinities of both signs; only then are the entries asked one by one.
    """
    total = x.detach().sum().item() if total is None else total
    if total != total and bool(x.isnan().any()):
        raise ValueError("x must not hold NaN, which has no place in an order; got at least one.")


def _pairs(x: Tensor, dim: int) -> Tensor:
    return x.reshape(*x.shape[:dim], -1, 2, *x.shape[dim + 1 :])


def _misplaced(pairs: Tensor, dim: int, descending: bool) -> Tensor:
    """Whether the entries of each pair stand in the wrong order; equal ones never do."""
    first, second = pairs.unbind(dim + 1)
    return first < second if descending else first > second


def _sort_by_index(x: Tensor, dim: int, descending: bool) -> Tensor:
    """To place j comes the entry from place j, or j XOR 1 where its pair is misplaced."""
    swap = _misplaced(_pairs(x.detach(), dim), dim, descending).unsqueeze(dim + 1)
    j = torch.arange(x.shape[dim]).view(-1, 2, *[1] * (x.ndim - 1 - dim))
    return x.gather(dim, (j ^ swap).view(x.shape))


def _swap_where(swap: Tensor, x: Tensor, dim: int) -> Tensor:
    """Exchange the entries of each adjacent pair along `dim` for which `swap` is true."""
    pairs = _pairs(x, dim)
    return torch.where(swap.unsqueeze(dim + 1), pairs.flip(dim + 1), pairs).reshape(x.shape)


class _SwapPairs(torch.autograd.Function):
    """`_swap_where` on a CPU; `where`, (runs, length of a run), is in the order of `strides`."""

    @staticmethod
    def swap(x: Tensor, where: Tensor, dim: int, strides: tuple[int, ...]) -> Tensor:
        """Swap pairs of x, whatever x is."""
        if not in_plain_memory(x):
            half = (*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :])
            steps = [s if s <= strides[dim] else s // 2 for s in strides]
            return _swap_where(where.as_strided(half, steps), x, dim)
        if not torch.is_grad_enabled():  # most backward passes: nothing to record
            return _exchange(x, where, strides)
        return _SwapPairs.apply(x, dim, strides, where)  # type: ignore[no-any-return, no-untyped-call]

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, strides: tuple[int, ...], where: Any) -> Tensor:
        _SwapPairs.remember(ctx, dim, strides, where)
        return _exchange(x, where, strides)

    @staticmethod
    def remember(ctx: Any, dim: int, strides: tuple[int, ...], where: Tensor) -> None:
        """Keep what the derivatives need: one byte a pair."""
        ctx.save_for_backward(where)
        ctx.save_for_forward(where)
        ctx.dim, ctx.strides = dim, strides

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (where,) = ctx.saved_tensors
        return _SwapPairs.swap(gradients[0], where, ctx.dim, ctx.strides), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (where,) = ctx.saved_tensors
        return _SwapPairs.swap(tangents[0], where, ctx.dim, ctx.strides)


class _SortPairs(_SwapPairs):
    """The swap that sorts: its derivatives are those of the swap it found."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, strides: tuple[int, ...], down: Any) -> Tensor:
        y, where = _sort(x, dim, down)
        _SwapPairs.remember(ctx, dim, strides, where)
        return y


def _in_memory(x: Tensor) -> Tensor:
    """Return the entries of x, which fill a piece of memory, in the order they lie there."""
    return x.as_strided((x.numel(),), (1,))


def _parts(runs: int, inner: int) -> list[slice]:
    """Cut the runs into slices of about a chunk of pairs."""
    threads = torch.get_num_threads()
    # With several threads larger chunks, or waking them for each step costs more than it brings.
    pairs = _CHUNK if threads == 1 else 2 * threads * _CHUNK
    step = max(1, pairs // inner)
    return [slice(start, start + step) for start in range(0, runs, step)]


def _sort(x: Tensor, dim: int, descending: bool) -> tuple[Tensor, Tensor]:
    """Return a dense x with its pairs sorted, and where they were swapped, (runs, inner)."""
    y = torch.empty_like(x)
    inner = x.stride(dim)
    # Read as integers and back: so that nothing below is taken for a step of a derivative.
    source, target = (_bits(_in_memory(t)).view(x.dtype).view(-1, 2, inner) for t in (x, y))
    where = torch.empty(len(source), inner, dtype=torch.bool)
    total = 0.0
    for part in _parts(len(source), inner):
        pairs, sorted_pairs, swap = source[part], target[part], where[part]
        total += pairs.sum().item()
        first, second = pairs.unbind(1)
        torch.lt(first, second, out=swap) if descending else torch.gt(first, second, out=swap)
        if inner == 1:
            _exchange_neighbours(_bits(pairs), _bits(sorted_pairs), swap)
        else:
            highest, lowest = sorted_pairs.unbind(1) if descending else sorted_pairs.unbind(1)[::-1]
            torch.maximum(first, second, out=highest)
            torch.minimum(first, second, out=lowest)
    refuse_nan(x, total)
    return y, where


# `torch.where` branches on a CPU, and mispredicts half of a random mask. Instead read the floats as
# integers: differences wrap round and lose nothing, so that for any bits
#     difference = second - first,   first + mask * difference,   second - mask * difference
# are the pair, swapped where the mask is 1: three steps on whole vector registers.

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def _bits(x: Tensor) -> Tensor:
    return x.view(_INTEGERS[x.element_size()])


def _exchange(x: Tensor, where: Tensor, strides: tuple[int, ...]) -> Tensor:
    """Return a dense x, laid out by `strides`, with the pairs of runs swapped `where` true."""
    if x.stride() != strides:
        x = torch.empty_strided(x.shape, strides, dtype=x.dtype).copy_(x)
    y = torch.empty_like(x)
    runs, inner = where.shape
    source, target = (_bits(_in_memory(t)).view(-1, 2, inner) for t in (x, y))
    exchange = _exchange_neighbours if inner == 1 else _exchange_runs
    for part in _parts(runs, inner):
        exchange(source[part], target[part], where[part])
    return y


def _exchange_runs(x: Tensor, y: Tensor, swap: Tensor) -> None:
    """Swap the pairs of x (runs, 2, inner), each a pair of runs of memory, into y."""
    first, second = x.unbind(1)
    new_first, new_second = y.unbind(1)
    mask = swap.to(x.dtype)
    difference = second - first
    torch.addcmul(first, mask, difference, out=new_first)
    torch.addcmul(second, mask, difference, value=-1, out=new_second)


def _exchange_neighbours(x: Tensor, y: Tensor, swap: Tensor) -> None:
    """Swap the pairs of x (runs, 2, 1), whose entries are neighbours in memory, into y."""
    # Every entry has its difference to the next taken, wanted or not: all is faster than every
    # other one. A 0 in the mask at the second entry of each pair drops what is not wanted.
    x, y = x.view(-1), y.view(-1)
    mask = _with_zeros(swap, x.dtype)
    difference = torch.empty_like(x)
    used = difference[:-1]  # the last entry has no next, and its mask is 0
    torch.sub(x[1:], x[:-1], out=used)
    torch.addcmul(x, mask, difference, out=y)
    y[1:].addcmul_(mask[:-1], used, value=-1)


def _with_zeros(swap: Tensor, integer: torch.dtype) -> Tensor:
    """Return swap as 0s and 1s with a 0 after each."""
    if integer is not torch.int64 and sys.byteorder == "little":
        # An integer twice as wide, 0 or 1, is in memory the wanted digit and a 0 after it.
        wide = torch.int32 if integer is torch.int16 else torch.int64
        return swap.to(wide).view(integer).view(-1)
    return torch.cat((swap, torch.zeros_like(swap)), dim=1).view(-1).to(integer)
