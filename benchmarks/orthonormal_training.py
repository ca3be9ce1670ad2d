"""Ways to train 784-1024×3-10 with orthonormal weights, for bench_orthonormal.py."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import lipteach as lt

SEED = 0
N = 1024
SIZES = (784, N, N, N, 10)
WAYS = (
    "plain", "retract_ by qr", "retract_ by polar", "lt.orthonormal", "Björck × 15, unrolled",
    "torch orthogonal",
)  # fmt: skip


def orthonormal(m: int, n: int, generator: torch.Generator) -> Tensor:
    """Return a random m × n matrix with orthonormal columns, in float64."""
    Q, R = torch.linalg.qr(torch.randn(m, n, generator=generator, dtype=torch.float64))
    return Q * R.diagonal().sign()


def unrolled(W: Tensor) -> Tensor:
    """Fifteen Björck steps that autograd follows, behind the scale (11): the paper's own way."""
    return lt.bjorck(W / lt.norm_upper_bounds(W.detach())["inf"], steps=15)


def defect(Q: Tensor) -> float:
    """Return ‖QᵀQ − I‖₂ of the smaller Gram side, in float64."""
    A = Q.detach().double()
    gram = A @ A.mT if A.shape[0] < A.shape[1] else A.mT @ A
    return float((torch.linalg.eigvalsh(gram) - 1).abs().max())


@dataclass
class Training:
    """One way to train 784-1024×3-10 with orthonormal weights."""

    model: nn.Sequential
    after: Callable[[nn.Module], object]

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        generator = torch.Generator().manual_seed(SEED)
        self.x = torch.rand(128, SIZES[0], generator=generator)
        self.y = torch.randint(10, (128,), generator=generator)

    def step(self) -> None:
        """Take one step."""
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()
        self.after(self.model)

    def distance(self) -> float:
        """Return the largest |σ − 1| of all weights, from |σ² − 1|."""
        largest = max(defect(m.weight) for m in self.model if isinstance(m, nn.Linear))
        return 1 - math.sqrt(max(0.0, 1 - largest))


def trainings() -> dict[str, Training]:
    """Return the ways of training, from the same orthonormal start."""
    generator = torch.Generator().manual_seed(SEED)
    modules: list[nn.Module] = []
    for n, m in itertools.pairwise(SIZES):
        layer = nn.Linear(n, m)
        W = orthonormal(max(m, n), min(m, n), generator).float()
        layer.weight.data = (W if m >= n else W.T).contiguous()
        modules += [layer, lt.MaxMin()]
    plain = nn.Sequential(*modules[:-1])

    def parametrized(change: Callable[[nn.Linear], object]) -> nn.Sequential:
        model = copy.deepcopy(plain)
        for module in model:
            if isinstance(module, nn.Linear):
                change(module)
        return model

    def nothing(_model: nn.Module) -> None: ...

    def unroll(layer: nn.Linear) -> None:
        nn.utils.parametrize.register_parametrization(layer, "weight", Unrolled())

    made = (
        Training(copy.deepcopy(plain), nothing),
        Training(copy.deepcopy(plain), lambda m: lt.retract_(m, method="qr")),
        Training(copy.deepcopy(plain), lt.retract_),
        Training(parametrized(lt.orthonormal), nothing),
        Training(parametrized(unroll), nothing),
        Training(parametrized(parametrizations.orthogonal), nothing),
    )
    return dict(zip(WAYS, made, strict=True))


class Unrolled(nn.Module):
    """`unrolled` as a parametrization."""

    def forward(self, W: Tensor) -> Tensor:
        """Return the fifteenth iterate."""
        return unrolled(W)
