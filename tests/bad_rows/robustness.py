"""What the Lipschitz bounds and the exact radius refuse."""

import math

import torch
from torch import nn

import lipteach as lt
from bad_rows.common import raising_rows, tensor_rows


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
    yield from raising_rows(lambda model: bounds(model, x))
    spoilt = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    nn.init.constant_(spoilt[1].bias, math.nan)
    yield bounds, [spoilt, x], ValueError, "1.bias of model must be finite; it holds NaN"
    yield bounds, [Pair(), x], TypeError, "model must return a floating-point tensor; got tuple"
    yield from exact_radius_rows(layer, spoilt)


def exact_radius_rows(layer, spoilt):
    """The same for lt.exact_radius."""
    radius, x = lt.exact_radius, torch.full((2,), 0.5)
    yield radius, [None, x, 0], TypeError, "model must be an nn.Module; got NoneType"
    yield from tensor_rows(lambda x: radius(layer, x, 0), "x")
    yield (
        radius,
        [layer, 3 * x, 0],
        ValueError,
        "x must have entries in [0, 1]; they are from 1.5 to",
    )
    yield radius, [layer, -x, 0], ValueError, "x must have entries in [0, 1]; they are from -0.5 to"
    yield radius, [layer, x[:1], 0], ValueError, "x of shape (1, 1) does not fit the model: mat1"
    one_row = "model must give one row of at least 2 logits for one x; got shape"
    yield radius, [layer, torch.ones(2, 2), 0], ValueError, f"{one_row} (1, 2, 2)"
    yield radius, [nn.Linear(2, 1), x, 0], ValueError, f"{one_row} (1, 1)"
    for y in (2, 10):
        part = f"y must be less than the number of logits, 2; got {y}"
        yield radius, [layer, x, y], ValueError, part
    yield radius, [layer, x, -1], ValueError, "y must be at least 0; got -1"
    for y in (True, 1.0, None, torch.tensor(1)):
        yield radius, [layer, x, y], TypeError, "y must be an integer; got"
    for timeout in (0, -1.0, math.nan):
        yield radius, [layer, x, 0, timeout], ValueError, "timeout must be"
    yield radius, [spoilt, x, 0], ValueError, "1.bias of model must be finite; it holds NaN"
    tanh, rows = nn.Sequential(layer, nn.Tanh()), nn.Sequential(layer, lt.FullSort(dim=0))
    yield (
        radius,
        [tanh, x, 0],
        ValueError,
        "An exact radius knows Flatten, Linear, Selection, Scale",
    )
    yield radius, [rows, x, 0], ValueError, "along the last dimension; model has 1 (FullSort)"
    late = nn.Sequential(nn.ReLU(), nn.Flatten(), layer)
    part = "model must begin with Flatten for an x of shape (1, 2); got 0 (ReLU)"
    yield radius, [late, x[None], 0], ValueError, part
    huge = nn.Sequential(lt.Scale(1e300), lt.Scale(1e300), layer)
    yield radius, [huge, x, 0], ValueError, "1 (Scale) of model has weights too large for bounds"
    hooked = nn.Sequential(nn.Linear(2, 2))
    hooked[0].register_forward_hook(lambda module, given, output: -output)
    yield radius, [hooked, x, 0], ValueError, "made of plain layers; its 0 (Linear) has hooks"
