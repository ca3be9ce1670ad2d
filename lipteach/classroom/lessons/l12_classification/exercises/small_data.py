"""Small classifications for the loops of 12.repair, which note what is read."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from lipteach.classroom.compare import seeded
from lipteach.classroom.lessons.l12_classification.exercises.loops import Part
from lipteach.primitives import MaxMin
from lipteach.training import orthonormal_network


class NotedParts(dict[str, Part]):
    """The data by name; it notes which parts are read, in a list that its copies share."""

    def __init__(self, parts: dict[str, Part], read: list[str]) -> None:
        super().__init__(parts)
        self.read = read

    def __getitem__(self, name: str) -> Part:
        self.read.append(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict."""
        self.read.append(name)
        return super().get(name, default)

    def items(self) -> Any:
        """All of them are read."""
        self.read.extend(self)
        return super().items()

    def values(self) -> Any:
        """All of them are read."""
        self.read.extend(self)
        return super().values()

    def __deepcopy__(self, memo: dict[int, Any]) -> NotedParts:
        return NotedParts(copy.deepcopy(dict(self), memo), self.read)


Given = tuple[nn.Module, NotedParts, float, int]


def _part(count: int, seed: int) -> Part:
    """Points of three classes around three centres, each label wrong with probability 1/5."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count,), generator=generator)
    x = 2 * seeded(3, 4, seed=9)[y] / 3 + seeded(count, 4, seed=seed)
    other = torch.randint(3, (count,), generator=generator)
    return x, torch.where(torch.rand(count, generator=generator) < 0.2, other, y)


CASES = (
    (9, 1.0, 1, (0.5, 0.5)),  # nothing is clipped, and the second epoch would be better
    (26, 4.0, 10, (1.0, 0.8)),
    (57, 4.0, 10, (0.8, 1.0)),
    (66, 3.0, 10, (1.0, 0.8)),
)
"""Seed, L, the number of epochs, and factors of both weights.

No two of the loops that a mistake makes have the same results for all.
"""


def small_case(k: int) -> Given:
    """A network, the three parts, L and the number of epochs."""
    seed, L, epochs, factors = CASES[k]
    counts = {"train": 24, "validation": 12, "test": 12}
    parts = {name: _part(n, 10 * seed + i) for i, (name, n) in enumerate(counts.items())}
    generator = torch.Generator().manual_seed(seed)
    network = orthonormal_network([4, 6, 3], MaxMin, generator)
    for layer, factor in zip((network[0], network[-1]), factors, strict=True):
        layer.get_parameter("weight").data *= factor  # what is below 1 is not to be clipped
    return network, NotedParts(parts, []), L, epochs
