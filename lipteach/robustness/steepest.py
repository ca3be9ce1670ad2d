r"""The largest Jacobian norm that a short search finds, without random numbers.

Source: ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.layers.jacobian_norms import jacobian_norms
from lipteach.primitives.jacobian import jacobians
from lipteach.primitives.norms import start_vector

BEST, GOALS, DIRECTIONS, ROUNDS = 4, 8, 2, 20
LENGTHS = [2.0**-k for k in range(-1, 5)]  # of a jump, in spreads of the points
NUDGE = 1e-7  # in spreads


def steepest(model: nn.Module, x: Tensor, p: float) -> float:
    r"""The largest ‖J‖_p at the points x, and at those that jumps from the best of them reach.

    The Jacobian of a piecewise linear model is constant on each piece: there is no slope to climb,
    only other pieces to jump to. In each round the best points jump, by a few lengths, to either
    side along the directions that their Jacobians stretch most, and along those to other points.
    The result is 0 if no Jacobian found is finite.
    """
    flat = x.flatten(1)
    spread = float((flat - flat.mean(0)).norm(dim=1).max()) or float(flat.norm(dim=1).max()) or 1.0
    x = x + NUDGE * spread * _generic(x[0])
    goals = x[torch.linspace(0, len(x) - 1, GOALS, dtype=torch.float64).long()]
    points, norms = _best(x, jacobian_norms(model, x, p))
    for _ in range(ROUNDS):
        ways = torch.cat([_stretched(model, points, p), _towards(points, goals)], dim=1)
        jumps = spread * torch.cat([length * ways for length in LENGTHS], dim=1)
        reached = torch.cat([points[:, None] + jumps, points[:, None] - jumps], dim=1)
        reached = reached.flatten(0, 1)
        before = float(norms[0])
        found = torch.cat([norms, jacobian_norms(model, reached, p)])
        points, norms = _best(torch.cat([points, reached]), found)
        if not float(norms[0]) > before * (1 + 1e-6):
            break
    return float(norms[0])


def _generic(sample: Tensor) -> Tensor:
    """A fixed vector of length 1 and of the sample's shape, in no particular direction."""
    vector = start_vector(sample.numel(), None).to(sample)
    return vector.div(vector.norm()).view_as(sample)


def _best(points: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
    """The points with the largest norms, the largest first."""
    found = norms.topk(min(BEST, len(norms)))
    return points[found.indices], found.values


def _stretched(model: nn.Module, points: Tensor, p: float) -> Tensor:
    """The directions that the Jacobian of each point stretches most: (points, directions, …)."""
    J = jacobians(model, points).nan_to_num(0.0, 0.0, 0.0)
    ways: Tensor
    if p == 2:
        ways = torch.linalg.svd(J, full_matrices=False).Vh[:, :DIRECTIONS]
    elif p == 1:  # the axes of the largest columns
        columns = J.abs().sum(1)
        largest = columns.topk(min(DIRECTIONS, columns.shape[1])).indices
        ways = torch.nn.functional.one_hot(largest, columns.shape[1]).to(J)
    else:  # the signs of the largest rows
        rows = J.abs().sum(2)
        largest = rows.topk(min(DIRECTIONS, rows.shape[1])).indices
        ways = J.gather(1, largest[..., None].expand(-1, -1, J.shape[2])).sign()
        ways = ways / math.sqrt(J.shape[2])
    return ways.reshape(len(points), -1, *points.shape[1:])


def _towards(points: Tensor, goals: Tensor) -> Tensor:
    """The directions of length 1 from each point to each goal: (points, goals, …)."""
    ways = goals[None] - points[:, None]
    length = ways.flatten(2).norm(dim=-1)
    length = torch.where(length > 0, length, 1.0)
    return ways / length[(..., *[None] * (points.ndim - 1))]
