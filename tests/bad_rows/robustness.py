"""What the Lipschitz bounds refuse."""

import math

import torch
from torch import nn

import lipteach as lt
from bad_rows.common import tensor_rows


class Pair(nn.Module):
    """A model with two outputs that are no tensor."""

    def forward(self, x):
        """Return two."""
        return x, x


def rows():
    """(callable, arguments, error, part of its message)."""
    layer, x = nn.Linear(2, 2), torch.ones(3, 2)
    bounds = lt.lipschitz_bounds
    yield bounds, [None, x], TypeError, "model must be an nn.Module; got NoneType"
    yield bounds, [abs, x], TypeError, "model must be an nn.Module; got builtin_function_or_method"
    yield from tensor_rows(lambda x: bounds(layer, x), "x")
    yield bounds, [layer, torch.ones(2)], ValueError, "x must have at least 2 dimensions; got shape"
    yield bounds, [layer, torch.full((1, 2), math.inf)], ValueError, "x must be finite; it holds"
    for p in (0, 3, 0.5, -1, math.nan):
        yield bounds, [layer, x, p], ValueError, "p must be 1, 2 or math.inf; got"
    for p in ("2", None, True):
        yield bounds, [layer, x, p], TypeError, "p must be 1, 2 or math.inf; got"
    misfit = "x of shape (3, 3) does not fit the model: mat1 and mat2 shapes cannot be multiplied"
    yield bounds, [layer, torch.ones(3, 3)], ValueError, misfit
    yield bounds, [lt.MaxMin(), torch.ones(3, 3)], ValueError, "x of shape (3, 3) does not fit"
    spoilt = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    nn.init.constant_(spoilt[1].bias, math.nan)
    yield bounds, [spoilt, x], ValueError, "1.bias of model must be finite; it holds NaN"
    yield bounds, [Pair(), x], TypeError, "model must return a floating-point tensor; got tuple"
