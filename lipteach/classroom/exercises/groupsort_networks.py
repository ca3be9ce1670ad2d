"""The exercises of lesson 01 that build networks within the norm constraint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, need_tensor, seeded
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
    "negative": (
        lambda: nn.Sequential(MaxMin(), _linear([[-R, R]])),
        "Your output is negative: which place of a pair holds the maximum?",
    ),
    "no sort": (
        lambda: nn.Sequential(_linear([[R, -R]])),
        "Without a sort the output is (x₁ − x₂)/√2: where does the sign go?",
    ),
}


def _judge_distance(answer: Any) -> None:
    compare_network(
        answer,
        _distance,
        inputs=[seeded(12, 2), torch.tensor([[1.0, 1.0], [0.0, 3.0], [3.0, 0.0]]).double()],
        allowed=(nn.Linear, nn.Identity, MaxMin, GroupSort),
        mistakes=[(build(), hint) for build, hint in _DISTANCE_WRONG.values()],
    )


E = (0.5, -0.5, 0.5, -0.5)


def _folds(*corners: float, signs: float = -1.0) -> nn.Sequential:
    layers: list[nn.Module] = [_linear([[v] for v in E]), MaxMin()]
    for c in corners:
        layers += [_linear(torch.eye(4).tolist(), [signs * c * v for v in E]), MaxMin()]
    return nn.Sequential(*layers, _linear([E]))


def _two_units() -> nn.Sequential:
    """The same function with two units a layer: four are the habit of Figure 11, no need."""
    eye = [[1.0, 0.0], [0.0, 1.0]]
    hidden = [_linear(eye, [-c * R, c * R]) for c in (2.0, 1.0)]
    first, last = _linear([[R], [-R]]), _linear([[R, -R]])
    return nn.Sequential(first, MaxMin(), hidden[0], MaxMin(), hidden[1], MaxMin(), last)


def _unscaled() -> nn.Sequential:
    one, eye = (1.0, -1.0), torch.eye(2).tolist()
    first, last = _linear([[v] for v in one]), _linear([[0.5, -0.5]])
    hidden = [_linear(eye, [-c, c]) for c in (2.0, 1.0)]
    return nn.Sequential(first, MaxMin(), hidden[0], MaxMin(), hidden[1], MaxMin(), last)


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
        lambda: _folds(2.0, 1.0, signs=1.0),
        "This is |x| + 3: which sign must the biases have to bring a corner below 0?",
    ),
    "shifted in one step": (
        lambda: _folds(3.0),
        "This is ||x| − 3|: can two shifts without a sort between them fold twice?",
    ),
    "the infinity norm's weights": (
        _unscaled,
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


# --- 01.leaky-weights


def leaky_weights(a: float) -> Tensor:
    """The unit vector v = (cos t, sin t) with sin 2t = a."""
    t = math.asin(a) / 2
    return torch.tensor([math.cos(t), math.sin(t)], dtype=torch.float64)


def _by_roots(a: float) -> list[float]:
    """v₁ + v₂ = √(1 + a) and v₁ − v₂ = √(1 − a)."""
    plus, minus = math.sqrt(1 + a), math.sqrt(1 - a)
    return [(plus + minus) / 2, (plus - minus) / 2]


_LEAKY_WRONG: dict[str, tuple[Callable[[float], Any], str]] = {
    "the appendix's": (
        lambda a: [1.0, a],
        "(1, a) computes leaky ReLU with the readout (1, 0): what is its 2-norm?",
    ),
    "rescaled": (
        lambda a: [1 / math.hypot(1, a), a / math.hypot(1, a)],
        "(1, a) made short enough: what is 2·v₁·v₂ now?",
    ),
    "half the slope": (
        lambda a: [1.0, a / 2],
        "2·v₁·v₂ is a, as it should be: what is v₁² + v₂²?",
    ),
    "angle not halved": (
        lambda a: [math.cos(math.asin(a)), a],
        "The angle t solves sin t = a here: which angle does 2·v₁·v₂ ask for?",
    ),
    "swapped": (
        lambda a: leaky_weights(a).flip(0),
        "Both equations hold, but v₁ ≥ |v₂| does not: which entry is the first after the sort?",
    ),
    "negative": (
        lambda a: -leaky_weights(a),
        "Both equations hold, but for x > 0 the greater entry comes second: which sign has v₁?",
    ),
    "ReLU": (lambda _a: [1.0, 0.0], "This is ReLU for every a: where does a enter?"),
}


def _judge_leaky(answer: Any) -> None:
    if not callable(answer):
        raise Hint("type", "A function of the slope a is needed: it returns the two entries of v.")
    slopes = (0.25, 0.5, -0.5, 0.0, 1.0, -1.0)
    found = [need_tensor(call(answer, a), shape=(2,)) for a in slopes]
    got = torch.stack(found)
    if torch.allclose(got, torch.stack([leaky_weights(a) for a in slopes]), atol=1e-4):
        return
    for mistake, hint in _LEAKY_WRONG.values():
        if torch.allclose(got, torch.stack([need_tensor(mistake(a)) for a in slopes]), atol=1e-4):
            raise Hint("value", hint)
    for a, v in zip(slopes, found, strict=True):
        norm, product = v.norm().item(), 2 * (v[0] * v[1]).item()
        if abs(norm - 1) > 1e-4:
            raise Hint("constraint", f"For a = {a:g} the norm of v is {norm:.3f}: which is asked?")
        if abs(product - a) > 1e-4:
            text = f"For a = {a:g} your v has 2·v₁·v₂ = {product:.3f}: which value is asked?"
            raise Hint("value", text)
    raise Hint("value", "Both equations hold for each a: does v₁ ≥ |v₂| hold as well?")


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
            "ReLU": (nn.Sequential(nn.ReLU(), _linear([[R, -R]])), "allowed are"),
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
        right={"two units": _two_units(), "float32": _folds(2.0, 1.0).float()},
        wrong={
            **{name: (build(), hint[:28]) for name, (build, hint) in _FOLDS_WRONG.items()},
            "a function": (_three_folds, "A network"),
        },
    ),
    Exercise(
        name="01.leaky-weights",
        question="Write v(a) with v₁² + v₂² = 1, 2·v₁·v₂ = a and v₁ ≥ |v₂|.",
        difficulty=2,
        minutes=8,
        judge=_judge_leaky,
        solution=leaky_weights,
        right={
            "roots": _by_roots,
            "float32": lambda a: leaky_weights(a).float(),
        },
        wrong={
            **{name: (f, hint[:28]) for name, (f, hint) in _LEAKY_WRONG.items()},
            "too long": (lambda a: [1.5, a], "norm of v"),
            "other slope": (lambda a: leaky_weights(-a), "your v has"),
            "a list": ([1.0, 0.25], "function of the slope"),
        },
    ),
)
