"""A critic that a gradient penalty does not see: slope 1 wherever it is asked, and steep between.

Such a function is a ReLU network of one hidden layer (lesson 03: a kink for each unit).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def blind_critic(asked: Sequence[float], steep: float, wide: float = 0.04) -> nn.Sequential:
    """Make a network of one number: slope −1 near each point that is asked, −steep elsewhere.

    Args:
        asked: points, at least 2 · wide apart.
        steep: the steepness between, greater than 1.
        wide: how far to each side of a point the slope is −1.

    Returns:
        1-h-1 in float64, with the value 0 at 0.
    """
    ends = sorted((point + side * wide, -side) for point in asked for side in (-1, 1))
    knots = torch.tensor([place for place, _ in ends]).double()
    bends = torch.tensor([float(turn) for _, turn in ends]).double() * (steep - 1)
    first, last = nn.Linear(1, len(ends) + 1).double(), nn.Linear(len(ends) + 1, 1).double()
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.copy_(torch.cat([torch.tensor([10.0]).double(), -knots]))  # one never kinks
        last.weight.copy_(torch.cat([torch.tensor([-steep]).double(), bends])[None])
        last.bias.zero_()
        critic = nn.Sequential(first, nn.ReLU(), last)
        last.bias.copy_(-critic(torch.zeros(1, 1).double())[0])
    return critic.requires_grad_(False)
