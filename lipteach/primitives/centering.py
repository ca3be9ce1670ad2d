"""Centring: the projection onto the vectors of mean 0."""

from __future__ import annotations

import math

from torch import Tensor, nn

from lipteach.primitives._validate import axis, check_integer, check_tensor, leaf_of_fx, shown


class Centering(nn.Module):
    r"""Subtract the mean over some dimensions: $x \mapsto x - \bar x$.

    With n entries to a mean it is the projection $I - \tfrac1n \mathbf 1 \mathbf 1^\top$ onto the
    vectors of mean 0: its singular values are 0, once, and 1, so that its norm is 1 for p = 2; for
    p = 1 and ∞ it is 2 − 2/n. Layer normalization is this and a division by the spread, which
    stretches without bound where the spread is small.

    Args:
        dim: the dimension or dimensions to take the mean over, such as (1, 2, 3) of images, all
            entries of each, or (2, 3), each channel on its own. Not the batch, if bounds are
            wanted.

    Raises:
        ValueError: if, at a call, x has no such dimension, or two of them are the same.

    Example:
        >>> lt.Centering()(torch.tensor([1.0, 2.0, 6.0]))
        tensor([-2., -1.,  3.])

    Source: the first half of J. L. Ba, J. R. Kiros and G. E. Hinton (2016), Layer Normalization.
    """

    def __init__(self, dim: int | tuple[int, ...] = -1) -> None:
        super().__init__()
        dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
        if not dims:
            raise ValueError(f"dim must be an integer or some of them; got {shown(dim)}.")
        self.dim = tuple(check_integer(d, "dim", -math.inf) for d in dims)

    def forward(self, x: Tensor) -> Tensor:
        """Return x less its means."""
        return _centered(x, self.dim)

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"dim={self.dim}"


@leaf_of_fx
def _centered(x: Tensor, dim: tuple[int, ...]) -> Tensor:
    check_tensor(x, finite=False)
    dims = [axis(x, d) for d in dim]
    if len({*dims}) < len(dims):
        raise ValueError(f"dim must name each dimension once; got {dim} for {x.ndim} dimensions.")
    return x - x.mean(dims, keepdim=True)
