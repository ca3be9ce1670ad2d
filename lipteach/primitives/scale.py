"""Scaling: a linear layer that is a number, which sets the Lipschitz constant of a network.

Source: Anil, Lucas and Grosse (2019), appendix H.4.
"""

from __future__ import annotations

from torch import Tensor, nn

from lipteach.primitives._validate import check_real, check_tensor


class Scale(nn.Module):
    r"""Multiply by a constant: $x \mapsto a\,x$, with norm |a| in every p-norm (appendix H.4).

    A network of 1-Lipschitz layers and scaling layers has the product of the scales as its
    constant. Since sorts and ReLU are homogeneous, φ(a x) = a φ(x) for a ≥ 0 (not for a < 0:
    MaxMin(−x) ≠ −MaxMin(x)), scaling inside is scaling of the output, if each later bias is
    multiplied by the scales before it.

    Args:
        factor: a, any finite real number. It is no parameter: training leaves it alone.

    Raises:
        TypeError: if factor is no number, or the input no floating-point tensor.

    Example:
        >>> lt.Scale(10.0)(torch.tensor([1.0, -0.5]))
        tensor([10., -5.])

    Source: Anil, Lucas and Grosse (2019), appendix H.4; the conditions are ours.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = check_real(factor, "factor")

    def forward(self, x: Tensor) -> Tensor:
        """Return factor · x."""
        check_tensor(x, min_dim=0, finite=False)
        return self.factor * x

    def extra_repr(self) -> str:
        """Return the setting, for print."""
        return f"factor={self.factor:g}"
