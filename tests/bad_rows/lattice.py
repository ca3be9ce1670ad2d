"""What the room of the lattice refuses."""

import math

import torch
from torch import nn

import lipteach as lt
from bad_rows.common import tensor_rows

X, Y = torch.zeros(2).double(), torch.ones(2).double()
LINE = torch.linspace(-1, 1, 5).double()[:, None]
F, ODD = lt.w_network(), nn.Sequential(nn.Linear(1, 3), lt.MaxMin(), nn.Linear(3, 1))
PLANE = nn.Sequential(nn.Linear(2, 2), lt.MaxMin(), nn.Linear(2, 1))


def absolute(x):
    return x[:, 0].abs()


def rows():
    """(callable, arguments, error, part of its message)."""
    yield from separation_rows()
    yield from joining_rows()
    yield from approximate_rows()
    yield from tensor_rows(lambda w: lt.maximum_of_functionals(w, Y), "w1")
    yield lt.maximum_of_functionals, [X + 1, X], ValueError, "w1 must have 2-norm 1; it has 1.41421"
    wrong = [torch.eye(2), torch.eye(2)]
    yield lt.maximum_of_functionals, wrong, ValueError, "must be vectors of the same shape (n,)"
    yield lt.network_size, [None], TypeError, "network must be an nn.Sequential; got NoneType"
    yield lt.network_size, [nn.Sequential(lt.MaxMin())], ValueError, "must have a linear layer"
    yield lt.in_lipschitz_class, [3], TypeError, "network must be an nn.Sequential; got int"
    yield from exponent_rows(lambda p: lt.in_lipschitz_class(F, p))
    yield lt.in_lipschitz_class, [F, 2, -1.0], ValueError, "tol must be at least 0.0; got -1.0"
    yield lt.in_lipschitz_class, [F, 2, "0"], TypeError, "tol must be a real number; got '0'"

    yield lt.Selection, ["ab", 2], TypeError, "index must be a list of integers; got 'ab'"
    yield lt.Selection, [[0.5], 2], TypeError, "index must hold int64 integers; got torch.float32"
    narrow = torch.zeros(1, dtype=torch.int32)
    yield lt.Selection, [narrow, 2], TypeError, "index must hold int64 integers; got torch.int32"
    yield (
        lt.Selection,
        [[], 2],
        ValueError,
        "index must be a list of at least 1 entry; got shape (0,)",
    )
    yield (
        lt.Selection,
        [[[0]], 2],
        ValueError,
        "index must be a list of at least 1 entry; got shape (1, 1)",
    )
    for bad in (-1, 2):
        yield lt.Selection, [[0, bad], 2], ValueError, f"must be in [0, 2); it holds {bad}"
    yield lt.Selection, [[0], 1.0], TypeError, "in_features must be an integer; got 1.0"
    for x in (LINE, LINE[0, 0]):
        yield (
            lt.Selection([0], 2),
            [x],
            ValueError,
            "x must have 2 entries along its last dimension",
        )


def exponent_rows(call):
    """What a function of p from 1 to infinity refuses."""
    for bad in ("2", None, True):
        yield call, [bad], TypeError, "p must be a number from 1 to math.inf; got"
    for bad in (0.5, -math.inf, math.nan):
        yield call, [bad], ValueError, "p must be from 1 to math.inf; got"


def separation_rows():
    """What the affine maps through two points refuse."""
    for through in (lt.affine_through, lt.unit_affine_through):
        yield from tensor_rows(lambda x, f=through: f(x, Y, 0.0, 1.0), "x")
        yield from tensor_rows(lambda y, f=through: f(X, y, 0.0, 1.0), "y")
        yield through, [X, X, 0.0, 0.0], ValueError, "x and y must be two points; they are equal"
        yield through, [X, Y[:1], 0.0, 0.0], ValueError, "same shape (n,); got (2,) and (1,)"
        yield through, [X, Y, "0", 0.0], TypeError, "a must be a real number; got '0'"
        yield through, [X, Y, 0.0, math.nan], ValueError, "b must be finite; got nan"
        yield through, [X, Y, 0.0, 2.0], ValueError, "at most the distance of x and y, 1.41421"
        yield through, [X, Y, 0.0, 1.5], ValueError, "got 1.5, which is 8.6e-02 more"
        yield through, [X - 1e308, Y + 1e308, 0.0, 1.0], ValueError, "x and y must be closer"
        yield from exponent_rows(lambda p, f=through: f(X, Y, 0.0, 0.5, p))
    one = torch.ones(1)
    yield lt.unit_affine_through, [0 * one, one, 0.0, 0.5], ValueError, "only the slope 0.5 meets"


def joining_rows():
    """What stack, maximum and minimum refuse."""
    for join in (lt.stack, lt.maximum, lt.minimum):
        yield join, [None, F], TypeError, "f must be an nn.Sequential; got NoneType"
        yield join, [F, lt.linear([[1.0]])], TypeError, "g must be an nn.Sequential; got Linear"
        yield join, [F, PLANE], ValueError, "must have the same number of inputs; got 1 and 2"
        yield join, [ODD, F], ValueError, "Hidden widths must be even"
        relu = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
        yield join, [F, relu], ValueError, "g must be linear layers with MaxMin between; it has a"
        other = nn.Sequential(nn.Linear(1, 2), lt.MaxMin(dim=0), nn.Linear(2, 1))
        yield (
            join,
            [other, F],
            ValueError,
            "must be linear layers with MaxMin between; it has a Max",
        )
        yield join, [nn.Sequential(), F], ValueError, "f must end with a linear layer"
        yield join, [F, nn.Sequential(*F, lt.MaxMin())], ValueError, "Hidden widths must be even"
    two = nn.Sequential(nn.Linear(1, 2))
    for join in (lt.maximum, lt.minimum):
        yield join, [F, two], ValueError, "must have the same number of outputs; got 1 and 2"
        yield join, [F, F, 1], TypeError, "permutation must be True or False; got 1"
    yield lt.pad_depth, [None, 2], TypeError, "f must be an nn.Sequential; got NoneType"
    yield lt.pad_depth, [F, 2], ValueError, "depth must be at least that of f, 3; got 2"
    yield lt.pad_depth, [F, 2.0], TypeError, "depth must be an integer; got 2.0"


def approximate_rows():
    """What approximate refuses."""
    build = lt.approximate
    yield from tensor_rows(lambda x: build(absolute, x), "points")
    yield build, [3, LINE], TypeError, "g must be a function of points; got int"
    yield build, [absolute, LINE[:, 0]], ValueError, "points must have shape (N, n); got shape (5,)"
    yield (
        build,
        [lambda x: x.sum(), LINE],
        ValueError,
        "g(points) must have at least 1 dimension; got shape ()",
    )
    yield build, [lambda x: x[1:, 0], LINE], ValueError, "must have shape (5,) or (5, m); got (4,)"
    yield build, [lambda x: [0.0] * 5, LINE], TypeError, "g(points) must be a torch.Tensor"
    yield build, [lambda x: x[:, 0] / 0, LINE], ValueError, "g(points) must be finite"
    yield build, [lambda x: 2 * x[:, 0], LINE], ValueError, "g must be 1-Lipschitz in the 2-norm"
    nearly = [lambda x: (1 + 1e-9) * x[:, 0], LINE, 1.0]
    yield build, nearly, ValueError, "in the 1-norm; between points 0 and 4 it changes by 2 over"
    yield build, nearly, ValueError, "over a distance of 2, 2.0e-09 too much"
    for bad in ("2", None, True):
        yield build, [absolute, LINE, bad], TypeError, "p must be 1, 2 or math.inf; got"
    yield build, [absolute, LINE, 3], ValueError, "p must be 1, 2 or math.inf; got 3"
    yield build, [absolute, LINE, 1, "cone"], ValueError, 'method must be "lattice" or "mcshane"'
    yield build, [absolute, LINE, 2, "mcshane"], ValueError, "whose cones are polyhedra; with p = 2"
    yield build, [absolute, LINE, 2, "lattice", True], ValueError, 'midpoint needs method "mcshane"'
    yield build, [absolute, LINE, 1, "mcshane", 1], TypeError, "midpoint must be True or False"
