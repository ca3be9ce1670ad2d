"""Batch normalization in evaluation mode: a factor for each channel, and a constant.

Source: S. Ioffe and C. Szegedy (2015), Batch Normalization.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipteach.layers.magnitudes import in_units
from lipteach.primitives import BoundedBatchNorm

NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, BoundedBatchNorm)


def factors_of(layer: Any) -> tuple[Tensor, int]:
    r"""The sizes of the factors $\gamma / \sqrt{v + \varepsilon}$ of a batch normalization.

    In evaluation mode each channel is multiplied by one of them: γ is its weight, 1 if it has none,
    and v its running variance. They come over a power of two, with the exponent of that power.
    Those of a `BoundedBatchNorm` are at most its bound.
    """
    root = (layer.running_var.detach() + layer.eps).sqrt()
    weight = torch.ones_like(root) if layer.weight is None else layer.weight.detach()
    if isinstance(layer, BoundedBatchNorm):
        return (weight / root).abs().clamp(max=layer.bound), 0
    W, exponent = in_units(weight.abs())
    return W / root, exponent


def has_statistics(norm: Any) -> bool:
    """Whether a batch normalization divides by a variance of its own, and not by the batch's."""
    statistics = norm.running_mean, norm.running_var
    if norm.training or any(t is None or t.ndim != 1 for t in statistics):
        return False
    finite = all(bool(t.isfinite().all()) for t in statistics)
    return finite and len(norm.running_var) > 0 and bool((norm.running_var + norm.eps > 0).all())
