"""What bjorck_apply refuses."""

import math

import torch

import lipteach as lt
from bad_rows.common import integer_rows, number_rows, tensor_rows

MATRIX, VECTOR = torch.eye(2) / 2, torch.ones(2)


def rows():
    """(callable, arguments, error, part of its message)."""
    apply = lt.bjorck_apply
    for method in ("chebyshev", "recursion"):
        yield from tensor_rows(lambda W, m=method: apply(W, VECTOR, 2, method=m), "W")
        yield from tensor_rows(lambda v, m=method: apply(MATRIX, v, 2, method=m), "v")
        zero = lambda W, m=method: apply(W, VECTOR, 2, method=m)  # noqa: E731
        yield zero, [0 * MATRIX], ValueError, "W must not be a zero matrix"
        yield zero, [torch.stack([MATRIX, 0 * MATRIX])], ValueError, "W must not be a zero matrix"
        yield zero, [MATRIX * math.inf], ValueError, "W must be finite"
    yield from integer_rows(lambda steps: apply(MATRIX, VECTOR, steps), "steps")
    yield from integer_rows(lambda order: apply(MATRIX, VECTOR, 2, order), "order")
    yield apply, [MATRIX, VECTOR, 2, 7], ValueError, "order must be in 1, …, 6; got 7"
    yield apply, [MATRIX, VECTOR, 99], ValueError, "steps must be fewer: 99 of order 1"
    for method in ("dense", None, 1):
        text = f'method must be "chebyshev" or "recursion"; got {method!r}'
        yield apply, [MATRIX, VECTOR, 2, 1, method], ValueError, text
    tolerance = lambda tol: apply(MATRIX, VECTOR, 2, tol=tol)  # noqa: E731
    yield from number_rows(tolerance, "tol", "greater than 0.0")
    yield tolerance, [0.0], ValueError, "tol must be greater than 0.0; got 0.0"
    yield apply, [VECTOR, VECTOR, 2], ValueError, "W must have at least 2 dimensions"
    yield apply, [MATRIX, torch.ones(3), 2], ValueError, "v must have shape (…, 2) for W of shape"
    yield apply, [MATRIX, torch.tensor(1.0), 2], ValueError, "v must have at least 1 dimension"
    yield apply, [MATRIX, VECTOR.double(), 2], TypeError, "v must have the dtype of W"
    batch = MATRIX.expand(3, 2, 2)
    text = "The leading dimensions of W and v must broadcast; got (3,) and (2,)"
    yield apply, [batch, torch.ones(2, 2), 2], ValueError, text
