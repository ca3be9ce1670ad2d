"""What attacks and certificates refuse."""

import math
from functools import partial

import torch
from torch import nn

import lipteach as lt
from bad_rows.common import tensor_rows

X, Y = torch.full((2, 4), 0.5), torch.tensor([0, 1])


def rows():
    """(callable, arguments, error, part of its message)."""
    yield from f6_rows()
    for call in (lt.fgs, lt.pgd, lt.margin_bounds, lt.sandwich):
        yield from image_rows(call)
    for attack in (lt.fgs, lt.pgd):
        given = partial(attack, nn.Linear(4, 3), X, Y)
        yield given, [0.0], ValueError, "eps must be greater than 0"
        yield partial(given, loss="f6"), [0.1], ValueError, 'loss must be "cw" or "ce"; got \'f6\''
        none = partial(given, targets="none")
        yield none, [0.1], ValueError, 'targets must be "runner-up" or "all"; got \'none\''
        yield partial(given, p=1), [0.1], ValueError, "p must be 2 or math.inf; got 1"
    steps = partial(lt.pgd, nn.Linear(4, 3), X, Y, 0.1)
    yield steps, [0], ValueError, "steps must be at least 1; got 0"
    yield steps, [1.5], TypeError, "steps must be an integer; got 1.5"
    yield steps, [5, 0.0], ValueError, "step_size must be greater than 0"
    for start in (-0.1, 1.5):
        yield steps, [5, None, start], ValueError, f"start must be in [0.0, 1.0]; got {start}"
    yield partial(steps, generator=0), [], TypeError, "generator must be a torch.Generator or None"
    bounds = partial(lt.margin_bounds, nn.Linear(4, 3), X, Y)
    yield bounds, [-0.1], ValueError, "eps must be at least 0"
    yield bounds, [0.1, 3], ValueError, "p must be 1, 2 or math.inf; got 3"
    yield from radius_rows()


def f6_rows():
    """Labels that do not fit logits."""
    Z = torch.tensor([[2.0, 5.0, 1.0]])
    for t in (3, -1):
        said = f"target must be in [0, 3), one of the classes; it holds {t}"
        yield lt.cw_f6, [Z, torch.tensor([t])], ValueError, said
    yield lt.cw_f6, [Z, torch.tensor([1.0])], TypeError, "must hold integers; got torch.float32"
    yield lt.cw_f6, [Z, torch.tensor([True])], TypeError, "must hold integers; got torch.bool"
    yield lt.cw_f6, [Z, torch.tensor([0, 1])], ValueError, "must have shape (1,), one integer for"
    yield lt.cw_f6, [Z, 1], TypeError, "target must be a tensor of integers; got 1"
    yield lt.cw_f6, [Z[:, :1], torch.tensor([0])], ValueError, "two classes at least; got 1"
    yield from tensor_rows(lambda z: lt.cw_f6(z, torch.tensor([0])), "logits")


def image_rows(call):
    """Models, images, labels and ε that do not fit."""
    model = nn.Linear(4, 3)
    yield call, [len, X, Y, 0.1], TypeError, "model must be an nn.Module; got builtin"
    yield call, [model, X + 1, Y, 0.1], ValueError, "x must have entries in [0, 1]; they are from"
    yield call, [model, X - 1, Y, 0.1], ValueError, "they are from -0.5 to -0.5"
    yield call, [model, X[:, :3], Y, 0.1], ValueError, "x of shape (2, 3) does not fit the model"
    yield call, [model, X[0], Y, 0.1], ValueError, "x must have at least 2 dimensions"
    yield from tensor_rows(lambda x: call(model, x, Y, 0.1), "x")
    for t in (3, -1):
        said = f"y must be in [0, 3), one of the classes; it holds {t}"
        yield call, [model, X, torch.tensor([0, t]), 0.1], ValueError, said
    yield call, [model, X, torch.tensor([0]), 0.1], ValueError, "y must have shape (2,)"
    yield call, [model, X, Y.float(), 0.1], TypeError, "y must hold integers; got torch.float32"
    yield call, [model, X, [0, 1], 0.1], TypeError, "y must be a tensor of integers; got [0, 1]"
    for eps in (math.inf, math.nan):
        yield call, [model, X, Y, eps], ValueError, "eps must be finite"
    yield call, [model, X, Y, "0.1"], TypeError, "eps must be a real number"
    yield call, [nn.Linear(4, 1), X, Y, 0.1], ValueError, "two classes at least; got 1"
    flat = nn.Unflatten(1, (2, 2))
    yield call, [flat, X, Y, 0.1], ValueError, "model must return logits (batch, classes); got"


def radius_rows():
    """What has no radius."""
    Z = torch.tensor([2.0, 5.0, 1.0])
    yield from tensor_rows(lambda z: lt.certified_radius(z, 1.0), "logits")
    yield lt.certified_radius, [Z[:1], 1.0], ValueError, "logits must have two classes at least"
    for L in (0.0, -1.0):
        yield lt.certified_radius, [Z, L], ValueError, "L must be greater than 0"
    yield lt.certified_radius, [Z, math.inf], ValueError, "L must be finite"
    yield lt.certified_radius, [Z, 1.0, 3], ValueError, "p must be 1, 2 or math.inf; got 3"
