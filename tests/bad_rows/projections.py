"""What the projections refuse."""

import math

import torch

import lipteach as lt
from bad_rows.common import number_rows, tensor_rows

VECTOR, MATRIX = torch.ones(3), torch.eye(2)


def rows():
    """(callable, arguments, error, part of its message)."""
    for project in (lt.project_simplex, lt.project_l1_ball, lt.in_l1_ball):
        yield from tensor_rows(project, "y")
        yield project, [torch.tensor([1.0, math.inf])], ValueError, "y must be finite; it holds"
        yield project, [torch.tensor(1.0)], ValueError, "y must have at least 1 dimension; got"
        yield from number_rows(lambda r, f=project: f(VECTOR, r), "radius", "greater than 0.0")
        yield project, [VECTOR, 0.0], ValueError, "radius must be greater than 0.0; got 0.0"
        for dim in ("0", None, 1.0, True):
            yield project, [VECTOR, 1.0, dim], TypeError, "dim must be an integer; got"
        for dim in (1, 7):
            yield project, [VECTOR, 1.0, dim], ValueError, "dim must be in [-1, 0] for this y; got"
        yield project, [MATRIX, 1.0, -3], ValueError, "dim must be in [-2, 1] for this y; got -3"
    member = lambda tol: lt.in_l1_ball(VECTOR, tol=tol)  # noqa: E731
    yield from number_rows(member, "tol", "greater than 0.0")
    yield from tensor_rows(lt.project_linf_norm, "W")
    yield lt.project_linf_norm, [VECTOR], ValueError, "W must have at least 2 dimensions; got shape"
    bounded = lambda bound: lt.project_linf_norm(MATRIX, bound)  # noqa: E731
    yield from number_rows(bounded, "bound", "greater than 0.0")
    yield bounded, [0], ValueError, "bound must be greater than 0.0; got 0"
