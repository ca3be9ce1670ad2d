"""The sum of a map and a shortcut around it, with a constant that is the sum of theirs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lipteach.primitives._validate import leaf_of_fx


class Residual(nn.Module):
    r"""A residual connection: $x \mapsto s(x) + g(x)$, with a shortcut s and a body g.

    $$\mathrm{Lip}(s + g) \le \mathrm{Lip}(s) + \mathrm{Lip}(g)$$

    in every norm, with equality if g = s: with the identity as its shortcut and a 1-Lipschitz body
    the constant is up to 2, and that of n such blocks up to 2ⁿ. The mean of the two,
    ``lt.Scale(0.5)`` behind the sum, brings it back to 1. `lipschitz_bounds` and `audit` know it.

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
