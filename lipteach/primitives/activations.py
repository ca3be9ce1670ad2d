"""Activations that sort: GroupSort and its relatives, and the absolute value (appendix A).

Sorting is a permutation of its input, chosen by the input. Its Jacobian is that permutation's
matrix: orthogonal, J Jᵀ = I. At a tie there is no derivative; the Jacobian that automatic
differentiation takes is a permutation there too. Nothing here averages a gradient over equal
entries, as `torch.maximum` and `torch.minimum` do. All keep the shape of x, but for Maxout, and can
be differentiated any number of times.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives._fast import pairs
from lipteach.primitives._validate import axis, check_integer, check_tensor, exporting, leaf_of_fx

_SHORT = 16


def sort_groups(x: Tensor, size: int, dim: int, descending: bool) -> Tensor:
    """Sort groups of `size` along `dim` ≥ 0: the plain form of all that stands below.

    A stable sort moves entries and computes none, so that its Jacobian is the permutation it found,
    at ties the identity within each run of equal entries. On a CPU torch sorts short groups by
    insertion, which is stable unasked and takes 0.6 of the time; a test holds that it does so.
    """
    groups = x.reshape(*x.shape[:dim], -1, size, *x.shape[dim + 1 :])  # (…, n / size, size, …)
    if exporting(x):  # values need no stable sort, and ONNX has none
        return groups.sort(dim=dim + 1, descending=descending).values.reshape(x.shape)
    stable = size > _SHORT or not x.is_cpu
    return groups.sort(dim=dim + 1, descending=descending, stable=stable).values.reshape(x.shape)


def _sort(x: Tensor, size: int, dim: int, descending: bool) -> Tensor:
    """Sort groups in the quickest way; all but the type of `descending` and NaN is checked."""
    if not isinstance(descending, bool):
        raise TypeError(f"descending must be True or False; got {descending!r}.")
    if size == 2 and (torch.compiler.is_compiling() or exporting(x) or pairs.worth_it(x)):
        return pairs.sort_pairs(x, dim, descending)
    refuse_nan(x)
    return sort_groups(x, size, dim, descending)


def refuse_nan(x: Tensor) -> None:
    """Refuse NaN where it can be looked for (see `group_sort`)."""
    if pairs.in_plain_memory(x):
        pairs.refuse_nan(x)


@leaf_of_fx
def group_sort(x: Tensor, size: int, dim: int = -1, descending: bool = True) -> Tensor:
    r"""Sort each group of `size` adjacent entries along `dim` (appendix A.1).

    $$(x_1, \dots, x_k,\; x_{k+1}, \dots, x_{2k},\; \dots) \mapsto
      (\mathrm{sort}(x_1, \dots, x_k),\; \mathrm{sort}(x_{k+1}, \dots, x_{2k}),\; \dots)$$

    with k = `size`: the size of a group, not the number of groups. Equal entries keep their order,
    so that the Jacobian J that automatic differentiation takes is a permutation matrix everywhere,
    at ties too, where there is no derivative: J Jᵀ = I, and every gradient returns to the
    entry it came from. Infinities sort like any number; zeros are equal, and may lose their sign.

    Args:
        x: a tensor of shape (…, n, …), n along `dim` being a multiple of `size`.
        size: the number of entries in a group.
        dim: the dimension to sort along.
        descending: whether the greatest entry of a group comes first.

    Raises:
        ValueError: if size does not divide n, or x holds NaN. The look for NaN is left out on an
            accelerator, where it would wait for the device, under ``torch.func`` and under
            ``torch.compile``.

    Example:
        >>> lt.group_sort(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), size=3)
        tensor([3., 2., 1., 6., 5., 4.])

    Source: Anil, Lucas and Grosse (2019), appendix A.1.
    """
    check_tensor(x, finite=False)
    check_integer(size, "size")
    dim = axis(x, dim)
    length = x.shape[dim]
    if length % size:
        raise ValueError(
            f"size must divide the length along dim; got length {length} along dim {dim} "
            f"and size {size}."
        )
    return _sort(x, size, dim, descending)


@leaf_of_fx
def maxmin(x: Tensor, dim: int = -1) -> Tensor:
    r"""Sort each adjacent pair along `dim`, the greater first: GroupSort of size 2 (appendix A.1).

    $$(x_1, x_2, x_3, x_4, \dots) \mapsto
      (\max(x_1, x_2), \min(x_1, x_2), \max(x_3, x_4), \min(x_3, x_4), \dots)$$

    Raises:
        ValueError: if the length of x along `dim` is odd, or x holds NaN, as in `group_sort`.

    Example:
        >>> lt.maxmin(torch.tensor([3.0, 1.0, 2.0, 4.0]))
        tensor([3., 1., 4., 2.])

    Source: Anil, Lucas and Grosse (2019), appendix A.1.
    """
    check_tensor(x, finite=False)
    dim = axis(x, dim)
    if x.shape[dim] % 2:
        raise ValueError(
            f"maxmin needs an even length along dim; got length {x.shape[dim]} along dim {dim}."
        )
    return _sort(x, 2, dim, True)


@leaf_of_fx
def full_sort(x: Tensor, dim: int = -1, descending: bool = True) -> Tensor:
    """Sort all entries along `dim`: `group_sort` with one group (appendix A.1).

    >>> lt.full_sort(torch.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor([4., 3., 2., 1.])

    Source: Anil, Lucas and Grosse (2019), appendix A.1.
    """
    check_tensor(x, finite=False)
    dim = axis(x, dim)
    return _sort(x, x.shape[dim], dim, descending)


class GroupSort(nn.Module):
    """`group_sort` as a module.

    >>> lt.GroupSort(3)(torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 2., 1.])
    """

    def __init__(self, size: int, dim: int = -1) -> None:
        super().__init__()
        self.size = check_integer(size, "size")
        self.dim = check_integer(dim, "dim", -math.inf)

    def forward(self, x: Tensor) -> Tensor:
        """Return `group_sort(x, size, dim)`."""
        return group_sort(x, self.size, self.dim)

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"size={self.size}, dim={self.dim}"


class MaxMin(nn.Module):
    """`maxmin` as a module.

    >>> lt.MaxMin()(torch.tensor([1.0, 2.0]))
    tensor([2., 1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = check_integer(dim, "dim", -math.inf)

    def forward(self, x: Tensor) -> Tensor:
        """Return `maxmin(x, dim)`."""
        return maxmin(x, self.dim)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"dim={self.dim}"


class FullSort(nn.Module):
    """`full_sort` as a module.

    >>> lt.FullSort()(torch.tensor([1.0, 3.0, 2.0]))
    tensor([3., 2., 1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = check_integer(dim, "dim", -math.inf)

    def forward(self, x: Tensor) -> Tensor:
        """Return `full_sort(x, dim)`."""
        return full_sort(x, self.dim)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"dim={self.dim}"


class Maxout(nn.Module):
    r"""Keep the maximum of each group of `size` adjacent entries of the last dimension.

    It is the first entry of each group that `group_sort` gives, so that at a tie the gradient goes
    to one of the entries, whole: (…, n) becomes (…, n / size). 1-Lipschitz for p = 1, 2 and ∞, as
    the groups are apart. `maxout_network` builds it of layers.

    >>> lt.Maxout(3)(torch.tensor([1.0, 5.0, 2.0, -1.0, -7.0, -3.0]))
    tensor([ 5., -1.])

    Source: I. Goodfellow et al. (2013); Anil, Lucas and Grosse (2019), appendix A.2.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = check_integer(size, "size")

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima."""
        return group_sort(x, self.size)[..., :: self.size]

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"size={self.size}"


class Abs(nn.Module):
    r"""The absolute value of each entry, with derivative +1 at zero (appendix A.3).

    Where $|x|$ has a corner any slope in [-1, 1] is a subgradient. `torch.abs` takes 0 and so
    loses the gradient there; with +1 the Jacobian that automatic differentiation takes is
    orthogonal everywhere. NaN is refused.

    >>> lt.Abs()(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([2., 0., 3.])

    Source: Anil, Lucas and Grosse (2019), appendix A.3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return |x|."""
        return _absolute(x)


@leaf_of_fx
def _absolute(x: Tensor) -> Tensor:
    check_tensor(x, min_dim=0, finite=False)
    refuse_nan(x)
    return torch.where(x < 0, -x, x)
