"""Batch normalization whose factors are bounded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_integer, check_real, check_tensor


class BoundedBatchNorm(nn.Module):
    r"""Batch normalization in which no channel is stretched by more than a bound.

    $$y = s\,(x - \mu) + \beta, \qquad
      s = \min\Bigl(\max\Bigl(\frac{\gamma}{\sqrt{v + \varepsilon}}, -b\Bigr), b\Bigr)$$

    for each channel, with μ and v of the batch in training mode, and the running ones in evaluation
    mode; γ and β are learnt. A batch normalization alone stretches a channel of small variance by
    as much as it takes. In evaluation mode this is a diagonal matrix and a constant, of norm
    max |s| ≤ b for every p. In training mode each sample depends on the batch, and nothing is
    bounded.

    Args:
        features: the number of channels, along dimension 1.
        bound: b, positive.
        eps: ε.
        momentum: the share of the batch in a new running mean and variance.

    Example:
        >>> norm = lt.BoundedBatchNorm(2)
        >>> y = norm(torch.tensor([[0.0, 0.0], [0.2, 20.0]]))  # spreads 0.1 and 10
        >>> y.detach().round(decimals=2)
        tensor([[-0.1000, -1.0000],
                [ 0.1000,  1.0000]])

    Source: S. Ioffe and C. Szegedy (2015), Batch Normalization; the bound is that of H. Gouk, E.
    Frank, B. Pfahringer and M. Cree (2021), Regularisation of neural networks by enforcing
    Lipschitz continuity, channel by channel.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, features: int, bound: float = 1.0, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.num_features = check_integer(features, "features")
        self.bound, self.eps, self.momentum = bound, eps, momentum
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; numbers are asked for at each assignment, since bounds believe them."""
        if name in ("bound", "eps"):
            value = check_real(value, name, above=0.0)
        elif name == "momentum":
            value = check_real(value, name, 0.0, 1.0)
        super().__setattr__(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized x, (batch, features, …)."""
        check_tensor(x, min_dim=2, finite=False)
        if x.shape[1] != self.num_features:
            shape = tuple(x.shape)
            raise ValueError(f"x must have {self.num_features} channels; got shape {shape}.")
        mean, var = self._statistics(x) if self.training else (self.running_mean, self.running_var)
        factor = (self.weight / (var + self.eps).sqrt()).clamp(-self.bound, self.bound)
        channels = (-1, *[1] * (x.ndim - 2))
        return (x - mean.view(channels)) * factor.view(channels) + self.bias.view(channels)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the variance of a batch, which move the running ones."""
        count = x.numel() // x.shape[1]
        if count < 2:
            raise ValueError(f"Training needs two values in a channel; got {count}.")
        var, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = var * (count / (count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return mean, var

    def extra_repr(self) -> str:
        """Return the settings, for print."""
        return f"{self.num_features}, bound={self.bound:g}, eps={self.eps:g}"
