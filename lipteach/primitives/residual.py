"""A map and a shortcut around it, added or mixed, with a constant that follows from theirs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_real, leaf_of_fx


class Residual(nn.Module):
    r"""A residual connection: $x \mapsto s(x) + g(x)$, with a shortcut s and a body g.

    $$\mathrm{Lip}(s + g) \le \mathrm{Lip}(s) + \mathrm{Lip}(g)$$

    in every norm, with equality if g = s: with the identity as its shortcut and a 1-Lipschitz body
    the constant is up to 2, and that of n such blocks up to 2ⁿ. The mean of the two,
    ``lt.Scale(0.5)`` behind the sum, brings it back to 1; a `ConvexCombination` learns how much of
    each there is. `lipschitz_bounds` and `audit` know both.

    Args:
        body: any module whose result has the shape of the shortcut's.
        skip: the shortcut; the identity if it is not given.

    Raises:
        ValueError: if, at a call, the two results differ in shape; nothing is broadcast.

    Example:
        >>> block = lt.Residual(lt.Scale(2.0))
        >>> block(torch.tensor([1.0, -1.0]))
        tensor([ 3., -3.])

    Source: K. He, X. Zhang, S. Ren and J. Sun (2016), Deep Residual Learning for Image Recognition.
    """

    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body = _module(body, "body")
        self.skip = nn.Identity() if skip is None else _module(skip, "skip")

    def forward(self, x: Tensor) -> Tensor:
        """Return skip(x) + body(x)."""
        return _summed(self.skip(x), self.body(x))


class ConvexCombination(nn.Module):
    r"""A residual connection that does not stretch: $x \mapsto (1 - \alpha)\,s(x) + \alpha\,g(x)$.

    $$\mathrm{Lip}((1 - \alpha) s + \alpha g) \le
      (1 - \alpha) \mathrm{Lip}(s) + \alpha\,\mathrm{Lip}(g)$$

    in every norm: with 1-Lipschitz parts it is 1-Lipschitz, for every α in [0, 1]. α is learnt, as
    $1 / (1 + e^{-a})$ of a parameter a. (With an α that stays it is a composition:
    ``lt.Residual(nn.Sequential(body, lt.Scale(alpha)), lt.Scale(1 - alpha))``.) What it costs is
    gradient norm, wherever the Jacobians of both parts are not the same.

    Args:
        body: g, any module whose result has the shape of the shortcut's.
        skip: s, the shortcut; the identity if it is not given.
        share: α to begin with, in (0, 1).

    Raises:
        ValueError: if, at a call, the two results differ in shape; nothing is broadcast.

    Example:
        >>> block = lt.ConvexCombination(lt.Scale(-1.0), share=0.25)
        >>> block(torch.tensor([1.0, -2.0])).detach(), block.share.item()
        (tensor([ 0.5000, -1.0000]), 0.25)

    Source: the sum of Lipschitz maps; as a block, M. Serrurier et al. (2021), Achieving robustness
    in classification using optimal transport with hinge regularization, and its library.
    """

    def __init__(self, body: nn.Module, skip: nn.Module | None = None, share: float = 0.5) -> None:
        super().__init__()
        self.body = _module(body, "body")
        self.skip = nn.Identity() if skip is None else _module(skip, "skip")
        start = check_real(share, "share", high=math.nextafter(1, 0), above=0.0)
        self.a = nn.Parameter(torch.tensor(math.log(start) - math.log1p(-start)))

    @property
    def share(self) -> Tensor:
        """α, the share of the body."""
        return torch.sigmoid(self.a)

    def forward(self, x: Tensor) -> Tensor:
        """Return (1 − α) skip(x) + α body(x)."""
        share = self.share
        return _summed((1 - share) * self.skip(x), share * self.body(x))

    def extra_repr(self) -> str:
        """Return the share, for print."""
        return f"share={float(self.share.detach()):.3g}"


SUMS = (Residual, ConvexCombination)


def shares_of(block: nn.Module) -> tuple[float, float]:
    """What the shortcut and the body of one of `SUMS` are multiplied by."""
    if not isinstance(block, ConvexCombination):
        return 1.0, 1.0
    share = float(block.share.detach())
    return 1.0 - share, share


@leaf_of_fx
def _summed(shortcut: Tensor, result: Tensor) -> Tensor:
    if shortcut.shape != result.shape:
        raise ValueError(
            "skip and body must return one shape; got "
            f"{tuple(shortcut.shape)} and {tuple(result.shape)}."
        )
    return shortcut + result


def _module(given: Any, name: str) -> nn.Module:
    if not isinstance(given, nn.Module):
        raise TypeError(f"{name} must be an nn.Module; got {type(given).__name__}.")
    return given
