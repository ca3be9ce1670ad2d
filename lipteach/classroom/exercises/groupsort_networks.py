"""The exercises of lesson 01 that build networks within the norm constraint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, seeded
from lipteach.classroom.compare_functions import compare_network
from lipteach.primitives import GroupSort, MaxMin


def _linear(weight: Sequence[Sequence[float]], bias: Sequence[float] | None = None) -> nn.Linear:
    """An ``nn.Linear`` in float64 with the given numbers."""
    W = torch.tensor(weight, dtype=torch.float64)
    layer = nn.Linear(W.shape[1], W.shape[0], bias=bias is not None, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(W)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return layer


R = math.sqrt(0.5)


def distance_network() -> nn.Sequential:
    """(x₁, x₂) to |x₁ − x₂|/√2, the distance from the diagonal."""
    return nn.Sequential(MaxMin(), _linear([[R, -R]]))


def _distance(x: Tensor) -> Tensor:
    return (x[..., :1] - x[..., 1:]).abs() / math.sqrt(2)


_DISTANCE_WRONG: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "not divided": (
        lambda: nn.Sequential(MaxMin(), _linear([[1.0, -1.0]])),
        "|x₁ − x₂| itself: how long is the row (1, −1)?",
    ),
    "halved": (
        lambda: nn.Sequential(MaxMin(), _linear([[0.5, -0.5]])),
        "|x₁ − x₂|/2: right for the ∞-norm; what may the row be long in the 2-norm?",
    ),
    "sum": (
        lambda: nn.Sequential(MaxMin(), _linear([[R, R]])),
        "The sum of max and min is x₁ + x₂: which sign gives their difference?",
    ),
    "maximum": (
        lambda: nn.Sequential(MaxMin(), _linear([[1.0, 0.0]])),
        "Your output is max(x₁, x₂): what must be taken from it?",
    ),
    "minimum": (
        lambda: nn.Sequential(MaxMin(), _linear([[0.0, 1.0]])),
        "Your output is min(x₁, x₂): from what must it be taken?",
    ),
    "negative": (
        lambda: nn.Sequential(MaxMin(), _linear([[-R, R]])),
        "Your output is negative: which place of a pair holds the maximum?",
    ),
    "no sort": (
        lambda: nn.Sequential(_linear([[R, -R]])),
        "Without a sort the output is (x₁ − x₂)/√2: where does the sign go?",
    ),
}


def _shifted(got: Tensor, want: Tensor, _x: Tensor) -> bool:
    gap = got - want
    return bool((gap - gap.mean()).abs().max() < 1e-5)


def _judge_distance(answer: Any) -> None:
    compare_network(
        answer,
        _distance,
        inputs=[
            torch.tensor([[3.0, 1.0]]).double(),
            torch.tensor([[1.0, 1.0], [0.0, 3.0], [3.0, 0.0]]).double(),
            seeded(12, 2),
        ],
        allowed=(nn.Linear, nn.Identity, MaxMin, GroupSort),
        mistakes=[(build(), hint) for build, hint in _DISTANCE_WRONG.values()]
        + [
            (When(_shifted), "Off by one constant everywhere: has a layer a bias it does not need?")
        ],
    )


class _Wrapped(nn.Module):
    """The right layers in a class of one's own, which the check does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = distance_network()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(x))


E = (0.5, -0.5, 0.5, -0.5)


PAIR = (R, -R)


def _folds(
    *corners: float,
    first: Sequence[float] = E,
    shift: Sequence[float] | None = None,
    last: Sequence[float] | None = None,
) -> nn.Sequential:
    """A layer of ``first``, one of the identity and the bias −c·shift for each c, then ``last``."""
    shift, eye = shift or first, torch.eye(len(first)).tolist()
    layers: list[nn.Module] = [_linear([[v] for v in first]), MaxMin()]
    for c in corners:
        layers += [_linear(eye, [-c * v for v in shift]), MaxMin()]
    return nn.Sequential(*layers, _linear([last or first]))


def _last_sort_forgotten() -> nn.Sequential:
    layers = list(_folds(2.0, 1.0))
    return nn.Sequential(*layers[:-2], layers[-1])


def _three_folds(x: Tensor) -> Tensor:
    return ((x.abs() - 2).abs() - 1).abs()


_FOLDS_WRONG: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "other order": (
        lambda: _folds(1.0, 2.0),
        "This is | ||x| − 1| − 2 |: which fold comes first?",
    ),
    "two folds": (
        lambda: _folds(2.0),
        "This is ||x| − 2|, two folds: which hidden layer is still missing?",
    ),
    "biases added": (
        lambda: _folds(-2.0, -1.0),
        "This is |x| + 3: which sign must the biases have to bring a corner below 0?",
    ),
    "shifted in one step": (
        lambda: _folds(3.0),
        "This is ||x| − 3|: can two shifts without a sort between them fold twice?",
    ),
    "the same bias for all": (
        lambda: _folds(2.0, 1.0, shift=(1.0,) * 4),
        "This is |x|: what does eᵀ make of a shift that is equal for all units?",
    ),
    "last sort forgotten": (
        _last_sort_forgotten,
        "This is ||x| − 2| − 1: which layer makes an absolute value of it?",
    ),
    "unscaled biases on two units": (
        lambda: _folds(2.0, 1.0, first=PAIR, shift=(1.0, -1.0)),
        "This is | ||x| − 2√2| − √2 |: your two units hold |x|/√2; how much of it is a shift by 2?",
    ),
    "unscaled biases on four units": (
        lambda: _folds(2.0, 1.0, shift=(1.0, -1.0, 1.0, -1.0)),
        "This is | ||x| − 4| − 2 |: your units hold |x|/2; how much of it is a shift by 2?",
    ),
    "the infinity norm's weights": (
        lambda: _folds(2.0, 1.0, first=(1.0, -1.0), last=(0.5, -0.5)),
        "The function is right and these weights suit the ∞-norm: how long is (1, −1)?",
    ),
}


def _judge_folds(answer: Any) -> None:
    compare_network(
        answer,
        _three_folds,
        inputs=[torch.linspace(-5, 5, 41).double()[:, None]],
        allowed=(nn.Linear, nn.Identity, MaxMin, GroupSort),
        mistakes=[(build(), hint) for build, hint in _FOLDS_WRONG.values()],
    )


EXERCISES = (
    Exercise(
        name="01.distance",
        question="Build |x₁ − x₂|/√2 from MaxMin and weights of 2-norm at most 1.",
        difficulty=2,
        minutes=8,
        judge=_judge_distance,
        solution=distance_network(),
        right={
            "float32": distance_network().float(),
            "turned first": nn.Sequential(
                _linear([[0.5, -0.5], [-0.5, 0.5]]), MaxMin(), _linear([[R, -R]])
            ),
        },
        wrong={
            **{name: (build(), hint[:28]) for name, (build, hint) in _DISTANCE_WRONG.items()},
            "ReLU": (nn.Sequential(nn.ReLU(), _linear([[R, -R]])), "uses ReLU"),
            "default bias": (nn.Sequential(MaxMin(), _linear([[R, -R]], [0.3])), "one constant"),
            "a module of one's own": (_Wrapped(), "in an nn.Sequential"),
            "not finite": (nn.Sequential(MaxMin(), _linear([[math.nan, R]])), "not finite"),
            "a function": (_distance, "A network"),
        },
    ),
    Exercise(
        name="01.three-folds",
        question="Build | ||x| − 2| − 1 | from MaxMin and weights of 2-norm at most 1.",
        difficulty=3,
        minutes=12,
        judge=_judge_folds,
        solution=_folds(2.0, 1.0),
        right={"two units": _folds(2.0, 1.0, first=PAIR), "float32": _folds(2.0, 1.0).float()},
        wrong={
            **{name: (build(), hint[:32]) for name, (build, hint) in _FOLDS_WRONG.items()},
            "a function": (_three_folds, "A network"),
        },
    ),
)
