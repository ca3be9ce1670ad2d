"""The slopes of small piecewise linear networks, one piece after the other."""

import itertools

import torch
from torch import Tensor, nn

import lipteach as lt


def slopes_of_a_line(network: nn.Sequential, reach: float = 1e4) -> Tensor:
    """The slopes, (pieces, outputs), of a network with one input, between -reach and reach.

    The values of all units are kept at the points between which the network is linear so far; an
    activation adds the points where units change sign, or two of a pair cross.
    """
    t = torch.tensor([-reach, reach], dtype=torch.float64)
    values = t[:, None]
    for module in network:
        if isinstance(module, nn.Linear):
            values = module(values)
            continue
        ties = values[:, ::2] - values[:, 1::2] if isinstance(module, lt.MaxMin) else values
        left, right = ties[:-1], ties[1:]
        share = left / (left - right)  # where the straight line between them is zero
        cut = (left * right < 0).nonzero()
        share = share[cut[:, 0], cut[:, 1]]
        start, end = cut[:, 0], cut[:, 0] + 1
        new = t[start] + share * (t[end] - t[start])
        added = values[start] + share[:, None] * (values[end] - values[start])
        t, order = torch.cat([t, new]).sort()
        values = module(torch.cat([values, added])[order])
    wide = t.diff() > 1e-9
    return (values.diff(dim=0) / t.diff()[:, None])[wide]


def slopes_of_a_plane(network: nn.Sequential) -> Tensor:
    """The Jacobians of a ReLU network with two inputs and one hidden layer.

    Its lines cut the plane into cells, and each cell has a corner where two lines cross; there the
    two units may be on or off, while the others are what they are.
    """
    first, _, last = network
    W, b = first.weight, first.bias
    found = []
    for i, j in itertools.combinations(range(len(b)), 2):
        corner = torch.linalg.solve(W[[i, j]], -b[[i, j]])
        for on in itertools.product([0.0, 1.0], repeat=2):
            active = (W @ corner + b > 0).double()
            active[[i, j]] = torch.tensor(on, dtype=torch.float64)
            found.append(last.weight @ (active[:, None] * W))
    return torch.stack(found)
