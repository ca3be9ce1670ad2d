"""Maxout: the maximum of each group of neighbours (appendix A.2).

Source: I. Goodfellow et al. (2013); Anil, Lucas and Grosse (2019), appendix A.2.
"""

from __future__ import annotations

from torch import Tensor, nn

from lipteach.primitives._validate import check_integer
from lipteach.primitives.activations import group_sort


class Maxout(nn.Module):
    r"""Keep the maximum of each group of `size` adjacent entries of the last dimension.

    It is the first entry of each group that `group_sort` gives, so that at a tie the gradient goes
    to one of the entries, whole. 1-Lipschitz for p = 1, 2 and ∞, as the groups are apart.

    Args:
        size: the number of entries in a group; n/size numbers are left of n.

    Raises:
        ValueError: if size does not divide n, and as `group_sort` does.

    Example:
        >>> lt.Maxout(3)(torch.tensor([1.0, 5.0, 2.0, -1.0, -7.0, -3.0]))
        tensor([ 5., -1.])

    Source: Anil, Lucas and Grosse (2019), appendix A.2; `maxout_network` builds it of layers.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = check_integer(size, "size")

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima, (…, n / size)."""
        return group_sort(x, self.size)[..., :: self.size]

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"size={self.size}"
