"""The exercises of lesson 01 about weights of norm 1: numbers, not networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, compare_number, need_tensor

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


def _at_slope(answer: Any, a: float) -> Tensor:
    try:
        return need_tensor(call(answer, a), shape=(2,))
    except Hint as hint:
        raise Hint(hint.kind, f"For a = {a:g}: {hint.text}") from None


def _judge_leaky(answer: Any) -> None:
    if not callable(answer):
        raise Hint("type", "A function of the slope a is needed: it returns the two entries of v.")
    slopes = (0.25, 0.5, -0.5, 0.0, 1.0, -1.0)
    found = [_at_slope(answer, a) for a in slopes]
    got = torch.stack(found)
    if torch.allclose(got, torch.stack([leaky_weights(a) for a in slopes]), atol=1e-4):
        return
    for mistake, hint in _LEAKY_WRONG.values():
        if torch.allclose(got, torch.stack([need_tensor(mistake(a)) for a in slopes]), atol=1e-4):
            raise Hint("value", hint)
    for a, v in zip(slopes, found, strict=True):
        norm, product = v.norm().item(), 2 * (v[0] * v[1]).item()
        if not abs(norm - 1) <= 1e-4:  # NaN too
            raise Hint("constraint", f"For a = {a:g} the norm of v is {norm:.3f}: which is asked?")
        if not abs(product - a) <= 1e-4:
            text = f"For a = {a:g} your v has 2·v₁·v₂ = {product:.3f}: which value is asked?"
            raise Hint("value", text)
    raise Hint("value", "Both equations hold for each a: does v₁ ≥ |v₂| hold as well?")


# --- 01.maxout-norm


def _judge_maxout(answer: Any) -> None:
    compare_number(
        answer,
        3.0,
        mistakes=[
            (9.0, "That is the sum of the squares of all entries: what makes a length of it?"),
            (1.0, "Each row has norm 1: what does the layer do to x = u, the row itself?"),
            (1 / 3, "That is the factor which mends the layer: what is its norm before?"),
            (math.sqrt(2), "That is the norm for two rows: how many are here?"),
        ],
    )


EXERCISES = (
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
            "a tensor's function": (lambda a: torch.asin(a), "For a = 0.25: Your code raised"),
            "a division by zero": (lambda a: [a / a, 0.0], "For a = 0: Your code raised"),
            "not a number": (lambda _a: [math.nan, math.nan], "the norm of v is nan"),
            "other slope": (lambda a: leaky_weights(-a), "your v has"),
            "a list": ([1.0, 0.25], "function of the slope"),
        },
    ),
    Exercise(
        name="01.maxout-norm",
        question="What is the 2-norm of a layer of nine equal unit rows?",
        difficulty=1,
        minutes=3,
        judge=_judge_maxout,
        solution=3,
        right={"root": math.sqrt(9), "tensor": torch.tensor(3.0)},
        wrong={
            "sum": (9, "sum of the squares"),
            "rows": (1, "Each row has norm 1"),
            "factor": (1 / 3, "the factor"),
            "two rows": (math.sqrt(2), "for two rows"),
            "the matrix": ([[1.0, 0.0]] * 9, "number"),
        },
    ),
)
