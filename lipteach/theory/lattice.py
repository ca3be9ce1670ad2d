r"""Universal approximation by hand: a network that meets a 1-Lipschitz function at given points.

Lemma 1 takes a maximum of minima of functions that meet g at two points each. For finitely many
points it is a program, and Theorem 3 makes a network of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives import ChunkedSequential, MaxMin, Selection
from lipteach.primitives._validate import check_norm, check_tensor
from lipteach.theory.frozen import frozen_linear
from lipteach.theory.joining import compose, stack
from lipteach.theory.separation import distances, dual_vector

DIGITS = 2.0**44
Function = Callable[[Tensor], Tensor]


def approximate(
    g: Function, points: Tensor, p: float = 2, method: str = "lattice", midpoint: bool = False
) -> ChunkedSequential:
    r"""Build a network of the class of Theorem 3 that meets a 1-Lipschitz g at points (appendix E).

    - "lattice", for p = 1, 2, ∞: Lemma 1 with the affine maps f_ij of `affine_through`,

      $$G(z) = \max_i \min_{j \ne i} f_{ij}(z), \qquad f_{ij}(x_i) = g(x_i), \quad
        f_{ij}(x_j) = g(x_j).$$

      N(N − 1)/2 different pieces at most, since f_ij = f_ji; of parallel pieces in one minimum only
      the lowest is kept.
    - "mcshane", for p = 1 and ∞: the largest cones below g, which are polyhedra,

      $$G(z) = \max_i \bigl(g(x_i) - \|z - x_i\|_p\bigr)
             = \max_i \min_s \bigl(g(x_i) - s \cdot (z - x_i)\bigr),$$

      with s = ±e_k for p = ∞ (2nN pieces) and s in {−1, 1}ⁿ for p = 1 (2ⁿN pieces). The balls of
      the 2-norm are round: no finite number of pieces makes such a cone.

    Both are exact at the points, and 1-Lipschitz in the p-norm. If each point of a domain has one
    of the N points within r, then |G − g| ≤ 2r on it (2r(1 − 1/N) occurs), and G ≤ g for
    "mcshane". With `midpoint` the mean of the cones from below and from above is taken, twice as
    many pieces:

    $$\tfrac12 \max_i \bigl(g(x_i) - \|z - x_i\|_p\bigr) + \tfrac12 \min_i \bigl(g(x_i) +
      \|z - x_i\|_p\bigr), \qquad \text{error} \le r .$$

    The trees are balanced: 2⌈log₂ N⌉ MaxMin layers at most for "lattice". Each layer selects or
    compares, so that memory to store and time to evaluate one point grow like N² ("lattice") and N
    ("mcshane"), time to build like N² log N. Many points are evaluated in parts of bounded memory.

    Args:
        g: takes points (N, n), in float64 on the CPU, to values (N,), or (N, m) for m functions at
            once. It must be 1-Lipschitz on the points in the p-norm, each of the m by itself.
        points: of shape (N, n); points that occur again are left out.
        p: 1, 2 or ``math.inf``, the norm of the inputs.
        method: "lattice" or "mcshane".
        midpoint: for "mcshane", whether to halve the bound of the error as above.

    Returns:
        A frozen network in float64, from (…, n) to (…, 1), or (…, m): one network an output, side
        by side. `network_size` tells its size.

    Raises:
        ValueError: if "mcshane" is asked for p = 2 or midpoint without "mcshane", or g is not
            1-Lipschitz: the message names two points.

    Example:
        >>> points = torch.linspace(-1, 1, 5).double()[:, None]
        >>> f = lt.approximate(lambda x: x[:, 0].abs(), points)
        >>> f(points).flatten().tolist(), lt.network_size(f)
        ([1.0, 0.5, 0.0, 0.5, 1.0], Size(pieces=6, layers=5, weights=51))

    Source: Anil, Lucas and Grosse (2019), appendix E; E. J. McShane (1934), H. Whitney (1934).
    """
    check_norm(p)
    if method not in ("lattice", "mcshane"):
        raise ValueError(f'method must be "lattice" or "mcshane"; got {method!r}.')
    if not isinstance(midpoint, bool):
        raise TypeError(f"midpoint must be True or False; got {midpoint!r}.")
    if midpoint and method != "mcshane":
        raise ValueError('midpoint needs method "mcshane", whose cones lie on one side of g.')
    if method == "mcshane" and p == 2:
        raise ValueError(
            'method "mcshane" needs p = 1 or math.inf, whose cones are polyhedra; with p = 2 they '
            'are round, and "lattice" is the method.'
        )
    x, values = _read(g, points, p)
    one = _lattice if method == "lattice" else _midway if midpoint else _cones
    network = one(x, values[:, 0], p)
    for k in range(1, values.shape[1]):
        network = stack(network, one(x, values[:, k], p))
    return ChunkedSequential(*network)


def _lattice(x: Tensor, values: Tensor, p: float) -> nn.Sequential:
    """Lemma 1: the maximum over i of the minimum over j of f_ij."""
    N = len(x)
    if N == 1:
        return nn.Sequential(frozen_linear(torch.zeros_like(x), values))
    i, j = torch.triu_indices(N, N, offset=1)  # f_ij = f_ji: one of both is enough
    d = x[j] - x[i]  # (pairs, n)
    slope = (values[j] - values[i]) / distances(d, p)
    W = slope.clamp(-1, 1)[:, None] * dual_vector(d, p)
    b = values[i] - (W * x[i]).sum(dim=1)
    number = torch.zeros(N, N, dtype=torch.int64)
    number[i, j] = number[j, i] = torch.arange(len(i))
    others = ~torch.eye(N, dtype=torch.bool)
    return _max_of_min(W, b, number[others].view(N, N - 1))


def _cones(x: Tensor, values: Tensor, p: float, upper: bool = False) -> nn.Sequential:
    """McShane's extension from below; from above it is that of −g, with its sign changed."""
    N, n = x.shape
    if p == 1:
        s = torch.tensor(list(itertools.product((1.0, -1.0), repeat=n)), dtype=torch.float64)
    else:
        s = torch.cat([torch.eye(n), -torch.eye(n)]).double()
    sign = -1.0 if upper else 1.0
    W = -s.repeat(N, 1)  # (N·|s|, n)
    b = (sign * values).repeat_interleave(len(s)) + (x @ s.T).flatten()
    below = _max_of_min(W, b, torch.arange(len(W)).view(N, len(s)))
    return _weighed(below, [[-1.0]]) if upper else below


def _midway(x: Tensor, values: Tensor, p: float) -> nn.Sequential:
    """Half of the cones from below and half of those from above."""
    both = stack(_cones(x, values, p), _cones(x, values, p, upper=True))
    return _weighed(both, [[0.5, 0.5]])


def _weighed(network: nn.Sequential, W: list[list[float]]) -> nn.Sequential:
    """W times the outputs of a network, as its last layer."""
    layers: list[Any] = list(network)
    return nn.Sequential(*layers[:-1], compose(frozen_linear(W), layers[-1]))


def _max_of_min(W: Tensor, b: Tensor, groups: Tensor) -> nn.Sequential:
    """The max over the rows of `groups` of the min along each of the pieces W[k]·z + b[k]."""
    W, b, groups = _merge(W, b, groups)
    if len(W) == 1:
        return nn.Sequential(frozen_linear(W, b))
    modules: list[nn.Module] = [frozen_linear(W, b)]
    width = len(W)
    for place in (1, 0):  # of each sorted pair the minimum, then the maximum
        while groups.shape[1] > 1:
            if groups.shape[1] % 2:
                groups = torch.cat([groups, groups[:, -1:]], dim=1)  # the last meets itself
            modules += [Selection(groups.flatten(), width), MaxMin()]
            width = groups.numel()
            groups = torch.arange(width).view(groups.shape)[:, place::2]
        groups = groups.T  # (1, number of minima)
    return nn.Sequential(*modules, Selection(groups.flatten(), width))


def _merge(W: Tensor, b: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same function with each piece once, and without pieces that never decide.

    Of parallel pieces in one minimum the lowest decides; equal rows of `groups` are one. Slopes
    and offsets count as equal if they agree to 13 digits.
    """
    scale = max(1.0, float(b.abs().max()))
    _, parallel = torch.unique((W * DIGITS).round(), dim=0, return_inverse=True)
    key = torch.stack([parallel.double(), (b / scale * DIGITS).round()], dim=1)
    distinct, piece = torch.unique(key, dim=0, return_inverse=True)  # sorted by slope, then offset
    groups = piece[groups].sort(dim=1).values
    direction = distinct[:, 0][groups]
    first = torch.ones_like(groups, dtype=torch.bool)
    first[:, 1:] = direction[:, 1:] != direction[:, :-1]
    order = (~first).long().sort(dim=1, stable=True).indices  # those kept come first
    kept = first.gather(1, order)
    groups = torch.where(kept, groups.gather(1, order), groups[:, :1])
    groups = torch.unique(groups[:, : int(first.sum(dim=1).max())], dim=0)
    used, groups = torch.unique(groups, return_inverse=True)
    chosen = _first_places(piece)[used]
    return W[chosen], b[chosen], groups


def _first_places(inverse: Tensor) -> Tensor:
    """Where each entry stands first, of those that ``torch.unique`` found."""
    places = torch.full((int(inverse.max()) + 1,), len(inverse))
    return places.scatter_reduce(0, inverse, torch.arange(len(inverse)), "amin")


def _read(g: Any, points: Any, p: float) -> tuple[Tensor, Tensor]:
    """The points, each once, and the values (N, m), of which 1-Lipschitz is asked."""
    if not callable(g):
        raise TypeError(f"g must be a function of points; got {type(g).__name__}.")
    check_tensor(points, "points")
    if points.ndim != 2:
        raise ValueError(f"points must have shape (N, n); got shape {tuple(points.shape)}.")
    x = points.detach().double().cpu()
    with torch.no_grad():
        values = g(x)
    check_tensor(values, "g(points)")
    if values.ndim not in (1, 2) or len(values) != len(x):
        got = tuple(values.shape)
        raise ValueError(f"g(points) must have shape ({len(x)},) or ({len(x)}, m); got {got}.")
    eps = torch.finfo(values.dtype).eps
    values = values.detach().double().cpu().view(len(x), -1)
    _check_lipschitz(x, values, p, 16 * eps)
    _, inverse = torch.unique(x, dim=0, return_inverse=True)
    first = _first_places(inverse).sort().values
    return x[first], values[first]


def _check_lipschitz(x: Tensor, values: Tensor, p: float, eps: float) -> None:
    """Compare all pairs, some rows at a time."""
    tol = eps * max(1.0, float(values.abs().max()), float(x.abs().max()))
    worst, pair = tol, None
    for start in range(0, len(x), 256):
        rows = slice(start, start + 256)
        apart = torch.cdist(x[rows], x, p, compute_mode="donot_use_mm_for_euclid_dist")
        rise = torch.cdist(values[rows], values, math.inf)
        excess = rise - apart
        if float(excess.max()) > worst:
            worst = float(excess.max())
            i, j = divmod(int(excess.argmax()), len(x))
            pair = (start + i, j, float(rise[i, j]), float(apart[i, j]))
    if pair is not None:
        i, j, rise_ij, apart_ij = pair
        raise ValueError(
            f"g must be 1-Lipschitz in the {p:g}-norm; between points {min(i, j)} and {max(i, j)} "
            f"it changes by {rise_ij:.6g} over a distance of {apart_ij:.6g}, {worst:.1e} too much."
        )
