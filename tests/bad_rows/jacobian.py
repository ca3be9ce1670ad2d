"""What the primitives of appendix F refuse."""

import math

import torch

import lipteach as lt
from bad_rows.common import integer_rows, tensor_rows

X = torch.ones(3, 2)
ONE_NUMBER = torch.tensor([1.0])


def double(x):
    return 2 * x


def rows():
    """(callable, arguments, error, part of its message)."""
    calls = (
        lt.jacobian_power_iteration,
        lt.jacobian_spectral_norm,
        lt.jacobian_singular_values,
        lt.spectral_jacobian_penalty,
    )
    for call in calls:
        for mode in (torch.nn.Dropout(), torch.nn.BatchNorm1d(2)):
            model = torch.nn.Sequential(torch.nn.Linear(2, 2), mode)
            yield (
                call,
                [model, X],
                ValueError,
                "f must be in evaluation mode, f.eval() or `with lt.evaluating(f)`, for",
            )
        yield from tensor_rows(lambda x, c=call: c(double, x), "x")
        yield call, [double, X[0]], ValueError, "x must have at least 2 dimensions; got shape (2,)"
        yield call, [X, X], TypeError, "f must be a function or an nn.Module; got Tensor"
        yield call, [lambda x: 1.0, X], TypeError, "f must return a torch.Tensor; got float"
        yield (
            call,
            [lambda x: x > 0, X],
            TypeError,
            "must return a floating-point tensor; got torch",
        )
        yield call, [lambda x: x[:, :0], X], ValueError, "at least one number for each sample"
        root = [lambda x: x.sqrt(), 0 * X]
        yield call, root, ValueError, "The Jacobian of f must be finite at each sample; it is not"
    for call in (*calls[:2], calls[3]):
        begin = lambda u, c=call: c(double, X, u=u)  # noqa: E731
        yield begin, [[1.0, 1.0]], TypeError, "u must be a torch.Tensor; got list"
        yield begin, [torch.ones(3)], ValueError, "u must have shape (2,)"
        yield begin, [torch.tensor([math.nan, 1.0])], ValueError, "u must be finite"
        yield begin, [torch.zeros(2)], ValueError, "u must not be zero"
        seeded = lambda g, c=call: c(double, X, generator=g)  # noqa: E731
        yield seeded, [3], TypeError, "generator must be a torch.Generator or None; got int"
    for call in calls[:2]:
        yield from integer_rows(lambda steps, c=call: c(double, X, steps), "steps")
        yield lambda c=call: c(double, X, u=torch.eye(2)), [], ValueError, "(3, 2); got (2, 2)"
    yield from integer_rows(lambda size: lt.jacobian_singular_values(double, X, size), "chunk_size")
    penalty = lambda batch, u=None: lt.spectral_jacobian_penalty(double, X, u, batch=batch)  # noqa: E731
    yield penalty, ["mean"], ValueError, 'must be "shared", "sample" or "whole"; got \'mean\''
    yield penalty, [None], TypeError, "batch must be a string; got NoneType"
    shape = "u must have shape (2,) for"
    yield penalty, ["shared", torch.ones(3, 2)], ValueError, shape
    yield penalty, ["sample", torch.ones(3, 1)], ValueError, "must have shape (2,) or (rows, 2) for"
    yield penalty, ["sample", torch.tensor([[1.0, 0.0], [0.0, 0.0]])], ValueError, "not be zero"
