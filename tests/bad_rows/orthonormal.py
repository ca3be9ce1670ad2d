"""What the primitives of appendix B refuse."""

import math

import torch

import lipteach as lt
from bad_rows.common import integer_rows, number_rows, tensor_rows

MATRIX = torch.eye(2)


def rows():
    """(callable, arguments, error, part of its message)."""
    for iterate in (lt.bjorck, lt.bjorck_trajectory):
        yield from tensor_rows(iterate, "W")
        yield from integer_rows(lambda steps, f=iterate: f(MATRIX, steps), "steps")
        yield from integer_rows(lambda order, f=iterate: f(MATRIX, 1, order), "order")
        yield iterate, [MATRIX, 1, 7], ValueError, "order must be in 1, …, 6; got 7"
        yield from number_rows(lambda b, f=iterate: f(MATRIX, 1, 1, b), "beta", "greater than 0.0")
    yield from tensor_rows(lambda W: lt.parseval_step(W, 0.5), "W")
    yield from number_rows(lambda b: lt.parseval_step(MATRIX, b), "beta", "greater than 0.0")
    yield from tensor_rows(lt.norm_upper_bounds, "W")
    yield from tensor_rows(lt.power_iteration, "W")
    yield from tensor_rows(lt.polar, "W")
    zero = torch.stack([MATRIX, 0 * MATRIX])
    for call in (lt.bjorck, lt.bjorck_trajectory, lambda W: lt.parseval_step(W, 0.5)):
        yield call, [zero], ValueError, "W must not be a zero matrix"
        yield call, [MATRIX[0]], ValueError, "W must have at least 2 dimensions; got shape (2,)"
    yield lt.power_iteration, [zero], ValueError, "W must not be a zero matrix"
    yield from integer_rows(lambda steps: lt.power_iteration(MATRIX, steps), "steps")
    start = lambda u: lt.power_iteration(torch.diag(torch.tensor([1.0, 0.0])), u=u)  # noqa: E731
    yield start, [torch.ones(3)], ValueError, "u must have shape (2,) or (2,); got (3,)"
    yield start, [[1.0, 1.0]], TypeError, "u must be a torch.Tensor; got list"
    yield start, [torch.tensor([math.nan, 1.0])], ValueError, "u must be finite"
    yield start, [torch.tensor([0.0, 1.0])], ValueError, "u must not be orthogonal to the range of"
    seeded = lambda g: lt.power_iteration(MATRIX, generator=g)  # noqa: E731
    yield seeded, [3], TypeError, "generator must be a torch.Generator or None; got int"
