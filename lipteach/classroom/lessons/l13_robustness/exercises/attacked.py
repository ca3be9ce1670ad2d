"""Small networks and images for 13.pgd, in float32 as most code of a reader is."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.compare import seeded
from lipteach.primitives import MaxMin, Scale

Given = tuple[nn.Module, Tensor, Tensor, float, int, float, Tensor]
"""f, x, y, eps, steps, step_size, noise."""


def _linear(into: int, out: int, seed: int, gain: float) -> nn.Linear:
    layer = nn.Linear(into, out)
    layer.weight.data = (gain * seeded(out, into, seed=seed) / into**0.5).float()
    layer.get_parameter("bias").data = (0.3 * seeded(out, seed=seed + 50)).float()
    return layer


def _dense(seed: int, gain: float = 3.0, factor: float = 1.0) -> nn.Sequential:
    """Five pixels, four classes, and folds within a step or two."""
    folds = [_linear(5, 8, seed, gain), MaxMin(), _linear(8, 8, seed + 1, gain), MaxMin()]
    return nn.Sequential(*folds, _linear(8, 4, seed + 2, 1.0), Scale(factor))


def _convolution(seed: int) -> nn.Sequential:
    layer = nn.Conv2d(1, 2, 2)
    layer.weight.data = seeded(2, 1, 2, 2, seed=seed).float()
    layer.get_parameter("bias").data = torch.zeros(2)
    return nn.Sequential(layer, MaxMin(dim=1), nn.Flatten(), _linear(8, 3, seed + 1, 2.0))


def _affine() -> nn.Linear:
    """Three classes, three pixels."""
    layer = nn.Linear(3, 3)
    layer.weight.data = torch.tensor([[1.0, 0.5, -1.0], [-1.0, 1.0, 0.5], [-2.0, -1.5, 0.0]])
    layer.get_parameter("bias").data = torch.tensor([0.5, 0.0, 0.0])
    return layer


def _images(f: nn.Module, seed: int, *shape: int, edge: bool = False) -> tuple[Tensor, Tensor]:
    """Images and labels; the last one is told wrongly. With ``edge`` some pixels are 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, generator=generator)
    if edge:
        x = (3 * x - 1).clamp(0, 1)
    y = f(x).argmax(1)
    y[-1] = f(x)[-1].argsort()[-2]
    return x, y


def _noise(x: Tensor, seed: int) -> Tensor:
    return 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(seed + 1)) - 1


CASES: tuple[dict[str, Any], ...] = (
    {"seed": 18, "eps": 0.2, "steps": 6, "step_size": 0.07},
    {"seed": 52, "eps": 0.3, "steps": 5, "step_size": 0.2, "edge": True},
    {"seed": 52, "eps": 0.1, "steps": 7, "step_size": 0.04, "factor": 1000.0},
    {"seed": 0, "eps": 0.25, "steps": 4, "step_size": 0.15},
    {"seed": 15, "eps": 0.25, "steps": 5, "step_size": 0.1, "conv": True},
)


@cache
def attack_case(k: int) -> Given:
    """The arguments of a call."""
    if k == 0:  # affine, and one step
        x = torch.tensor([[0.5, 0.4, 0.6]])
        return _affine(), x, torch.tensor([0]), 0.1, 1, 0.04, torch.zeros(1, 3)
    if k == 1:  # the same from a start, near 0 and 1, by steps longer than ε
        x = torch.tensor([[0.5, 0.98, 0.005]])
        noise = torch.tensor([[1.0, 0.5, -1.0]])
        return _affine(), x, torch.tensor([0]), 0.1, 3, 0.12, noise
    return made(**CASES[k - 2])


def made(
    seed: int,
    eps: float,
    steps: int,
    step_size: float,
    edge: bool = False,
    factor: float = 1.0,
    conv: bool = False,
) -> Given:
    """A case of several images."""
    with torch.no_grad():
        f = _convolution(seed) if conv else _dense(seed, factor=factor)
        x, y = _images(f, seed, *((4, 1, 3, 3) if conv else (5, 5)), edge=edge)
    return f.eval(), x, y, eps, steps, step_size, _noise(x, seed)


COUNT = len(CASES) + 2
