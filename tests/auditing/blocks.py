"""Models that audits meet in several tests: a block over a part, and a weight that moves on."""

import torch
from torch import nn

import lipteach as lt


class Over(nn.Module):
    """A function of an orthonormal part, of the input and of the mode."""

    def __init__(self, function) -> None:
        super().__init__()
        self.part = lt.orthonormal(nn.Linear(4, 4, bias=False).double())
        self.function = [function]

    def forward(self, x):
        return self.function[0](self, x)


class Counting(nn.Module):
    """A weight that is another one at each reading."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("reads", torch.zeros(()))

    def forward(self, W):
        self.reads = self.reads + 1
        return W * (1 + 1 / self.reads)
