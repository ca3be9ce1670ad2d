"""What the transport of samples, and the pairs of distributions, refuse."""

import torch

import lipteach as lt
from bad_rows.common import integer_rows, number_rows, tensor_rows
from lipteach.training import Cones, absolute_value, cone, three_cones

X, Y = torch.zeros(3, 2), torch.ones(2, 2)


def rows():
    """(callable, arguments, error, part of its message)."""
    value = lambda z: z.sum(dim=-1)  # noqa: E731
    dual = lt.wasserstein_dual
    yield from tensor_rows(lambda x: dual(value, x, Y), "x")
    yield from tensor_rows(lambda y: dual(value, X, y), "y")
    yield dual, [3, X, Y], TypeError, "f must be a function or a module; got int"
    yield dual, [lambda z: 1.0, X, Y], TypeError, "f must return a torch.Tensor; got float"
    for f, shape in ((lambda z: z, "(3, 2)"), (lambda z: z.sum(), "()")):
        yield dual, [f, X, Y], ValueError, f"each of the 3 samples of x; got shape {shape}"
    for call in (lt.exact_wasserstein, lt.transport_plan):
        yield from tensor_rows(lambda x, c=call: c(x, Y), "x")
        yield from tensor_rows(lambda y, c=call: c(X, y), "y")
        yield call, [X[0], Y], ValueError, "x must have at least 2 dimensions; got shape (2,)"
        yield call, [X, Y[:, :1]], ValueError, "must hold points of the same dimension; got 2 and 1"
        yield call, [X, Y, [1.0]], TypeError, "a must be a torch.Tensor; got list"
        yield call, [X, Y, torch.ones(2) / 2], ValueError, "each of the 3 points of x; got shape"
        yield call, [X, Y, None, torch.ones(3) / 3], ValueError, "each of the 2 points of y"
        below = torch.tensor([1.5, -0.5])
        yield call, [X, Y, None, below], ValueError, "b must not be negative; got -0.5"
        yield call, [X, Y, None, torch.ones(2)], ValueError, "b must have sum 1; got 2"
        apart = [X.expand(2, 3, 2), Y.expand(3, 2, 2)]
        yield call, apart, ValueError, "leading dimensions of x, y, a and b must broadcast; got (2,"
    yield from pair_rows()


def pair_rows():
    """What the distributions of H.1 refuse."""
    yield from tensor_rows(Cones, "centres")
    yield Cones, [torch.ones(2)], ValueError, "centres must have at least 2 dimensions; got shape"
    yield Cones, [torch.ones(1, 2, 2)], ValueError, "centres must have shape (k, n); got (1, 2, 2)"
    yield from number_rows(three_cones, "spacing", "greater than 0.0")
    yield from integer_rows(cone, "n")
    g, line, plane = torch.Generator(), absolute_value(), three_cones()
    yield from integer_rows(lambda count: plane.sample(count, g), "count")
    yield from integer_rows(plane.stratified, "count")
    yield line.stratified, [3], ValueError, "count must be a multiple of 2, twice the number of"
    yield plane.stratified, [4], ValueError, "count must be a multiple of 3, that of centres; got 4"
    for call in (plane.sample, plane.stratified, cone(3).stratified):
        yield call, [3, 5], TypeError, "generator must be a torch.Generator; got int"
    yield cone(3).stratified, [3], TypeError, "generator must be a torch.Generator; got NoneType"
