r"""Input gradients of a classifier's loss, and how readable they are (Figure 7, appendix H.5)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.layers.copies import evaluating
from lipteach.primitives._validate import check_tensor
from lipteach.robustness.attacks import check_logits

ROWS = 2000  # at once


def input_gradients(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    r"""Return the directions in which the cross entropy of each image grows fastest.

    Cross entropy is $\log(1 + e^u)$ with $u = \log \sum_{k \ne y} e^{Z_k} - Z_y$. Its gradient is
    that of u times a number in (0, 1), which rounds to 0 where the network is sure; the gradient of
    u has the same direction and does not vanish.

    Args:
        network: in float64, from (batch, …) to logits (batch, classes); it is taken in evaluation
            mode.
        x: images, (batch, …).
        y: their labels, integers (batch,).

    Returns:
        The gradients of u, of the shape of x, in float64.

    Example:
        >>> from lipteach.training import input_gradients
        >>> network = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
        >>> input_gradients(network, torch.tensor([[0.9, 0.1]]), torch.tensor([0])).tolist()
        [[-1.0, 1.0]]

    Source: ours; Anil, Lucas and Grosse (2019), appendix H.5, take the gradient of the loss.
    """
    check_tensor(x, "x", min_dim=2)
    y = check_logits(network, x.detach().double(), y)
    found: list[Tensor] = []
    with evaluating(network), torch.enable_grad():
        for part, labels in zip(torch.split(x, ROWS), torch.split(y, ROWS), strict=True):
            inputs = part.detach().double().requires_grad_()
            logits = network(inputs)
            own = functional.one_hot(labels, logits.shape[1]).bool()
            u = logits.masked_fill(own, -math.inf).logsumexp(1) - logits[own]
            found += torch.autograd.grad(u.sum(), inputs)
    return torch.cat(found)


def measure_gradients(gradients: Tensor, images: Tensor) -> dict[str, Any]:
    r"""Measure how readable gradients are: whether they lie on the strokes, and how smooth.

    Args:
        gradients: as pictures, (N, height, width).
        images: the pictures at which they are taken, of the same shape, in [0, 1]: bright strokes
            on a dark ground.

    Returns:
        By name, each a mean over the pictures:

        - "on_strokes": the share of $\sum g^2$ that lies on the strokes, the pixels of 0.5 at least
          and their eight neighbours;
        - "strokes": the share of the pixels that are such, what noise would have on them;
        - "variation": the total variation $\sum |g_{i+1,j} - g_{ij}| + |g_{i,j+1} - g_{ij}|$ over
          $\sum |g|$: for independent normal entries about $2 \sqrt 2$, less where neighbours
          agree. A gradient that is 0 counts as 0 in both.

    Example:
        >>> from lipteach.training import measure_gradients
        >>> image, gradient = torch.zeros(1, 5, 5), torch.zeros(1, 5, 5)
        >>> image[0, 1, 1], gradient[0, 1, 1], gradient[0, 4, 4] = 1, 3, -1
        >>> found = measure_gradients(gradient, image)
        >>> {name: round(value, 6) for name, value in found.items()}
        {'on_strokes': 0.9, 'strokes': 0.36, 'variation': 3.5}

    Source: ours.
    """
    check_tensor(gradients, "gradients", min_dim=3)
    check_tensor(images, "images", min_dim=3)
    if gradients.shape != images.shape or images.ndim != 3:
        raise ValueError(
            "gradients and images must have the same shape (N, height, width); got "
            f"{tuple(gradients.shape)} and {tuple(images.shape)}."
        )
    g = gradients.double()
    bright = (images >= 0.5).double()
    strokes = functional.max_pool2d(bright[:, None], 3, stride=1, padding=1)[:, 0]
    variation = g.diff(dim=1).abs().sum((1, 2)) + g.diff(dim=2).abs().sum((1, 2))
    return {
        "on_strokes": mean_share((g.square() * strokes).sum((1, 2)), g.square().sum((1, 2))),
        "strokes": float(strokes.mean()),
        "variation": mean_share(variation, g.abs().sum((1, 2))),
    }


def mean_share(part: Tensor, whole: Tensor) -> float:
    """Return the mean of part / whole, where 0 / 0 is 0."""
    return float((part / torch.where(whole > 0, whole, 1.0)).mean())
