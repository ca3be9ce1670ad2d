"""Exercises of lesson 01 about weights: leaky-weights, maxout-norm."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    call,
    compare_number,
    nearly,
    need_tensor,
    show_apart,
)
from lipteach.classroom.own import Own

# --- 01.leaky-weights


def leaky_weights(a: float) -> Tensor:
    """The unit vector v = (cos t, sin t) with sin 2t = a."""
    t = math.asin(a) / 2
    return torch.tensor([math.cos(t), math.sin(t)], dtype=torch.float64)


def _by_roots(a: float) -> list[float]:
    """v₁ + v₂ = √(1 + a) and v₁ − v₂ = √(1 − a)."""
    plus, minus = math.sqrt(1 + a), math.sqrt(1 - a)
    return [(plus + minus) / 2, (plus - minus) / 2]


def _at_slope(answer: Any, a: float) -> Tensor:
    try:
        return need_tensor(call(answer, a), shape=(2,))
    except Hint as hint:
        raise Hint(hint.kind, f"For a = {a:g}: {hint.text}") from None


def _three(got: float, want: float) -> str:
    """At three decimals, or as many as it takes to see a difference."""
    return f"{got:.3f}" if f"{got:.3f}" != f"{want:.3f}" else show_apart(got, want)[0]


def _judge_leaky(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if not callable(answer):
        raise Hint("type", "A function of the slope a is needed: it returns the two entries of v.")
    slopes = (0.25, 0.5, -0.5, 0.0, 1.0, -1.0)
    found = [_at_slope(answer, a) for a in slopes]
    got = torch.stack(found)

    def same(function: Callable[[float], Any]) -> bool:
        return torch.allclose(
            got, torch.stack([need_tensor(function(a)) for a in slopes]), atol=1e-4
        )

    if same(leaky_weights):
        return
    for mistake in mistakes:
        if same(mistake.answer):
            raise Hint("value", mistake.hint)
    want = torch.stack([leaky_weights(a) for a in slopes])
    near, one_right = nearly(got, want), ""
    for k, name in enumerate(("v₁", "v₂")):
        if torch.allclose(got[:, k], want[:, k], atol=1e-4):
            one_right = f"Your {name} is right, and the other entry is not. "
    for a, v in zip(slopes, found, strict=True):
        norm, product = v.norm().item(), 2 * (v[0] * v[1]).item()
        if not abs(norm - 1) <= 1e-4:  # NaN too
            text = f"For a = {a:g} the norm of v is {_three(norm, 1.0)}: which is asked?"
            text = one_right + text + f" {NEARLY}" * near
            raise Hint("constraint", text, (a,))
        if not abs(product - a) <= 1e-4:
            shown = _three(product, a)
            text = f"For a = {a:g} your v has 2·v₁·v₂ = {shown}: which value is asked?"
            raise Hint("value", one_right + text, (a,))
    raise Hint("value", "Both equations hold for each a: does v₁ ≥ |v₂| hold as well?")


# --- 01.maxout-norm


def _own_maxout(draw: random.Random) -> Own:
    n = draw.randrange(11, 400)
    value = math.sqrt(n)
    return Own(
        given=f"the maximum is of {n} linear functions",
        value=value,
        judge=partial(compare_number, value=value, decimals=2),
        mistakes={
            "sum": n,
            "rows": 1,
            "factor": 1 / value,
            "two rows": math.sqrt(2),
            "entries of 1": math.sqrt(2 * n),
        },
    )


EXERCISES = (
    Exercise(
        name="01.leaky-weights",
        judge=_judge_leaky,
        solution=leaky_weights,
        right={"roots": _by_roots, "float32": lambda a: leaky_weights(a).float()},
        mistakes={
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
                "Both equations hold, but v₁ ≥ |v₂| does not: "
                "which entry is the first after the sort?",
            ),
            "negative": (
                lambda a: -leaky_weights(a),
                "Both equations hold, but for x > 0 the greater entry comes second: "
                "which sign has v₁?",
            ),
            "roots not halved": (
                lambda a: [
                    math.sqrt(1 + a) + math.sqrt(1 - a),
                    math.sqrt(1 + a) - math.sqrt(1 - a),
                ],
                "These are 2·v₁ and 2·v₂: what do √(1 + a) and √(1 − a) add up to?",
            ),
            "the two roots": (
                lambda a: [math.sqrt((1 + a) / 2), math.sqrt((1 - a) / 2)],
                "This is the v of cos 2t = a, or of (v₁ ± v₂)/√2: which of them is 2·v₁·v₂ = a?",
            ),
            "angle doubled": (
                lambda a: [math.cos(2 * math.asin(a)), math.sin(2 * math.asin(a))],
                "The angle was doubled: sin 2t = a asks for which t?",
            ),
            "no arc sine": (
                lambda a: [math.cos(a / 2), math.sin(a / 2)],
                "sin 2t = a was read as 2t = a: which function undoes the sine?",
            ),
            "without the sign": (
                lambda a: leaky_weights(abs(a)),
                "Right for a ≥ 0: which sign has v₂ if a is negative?",
            ),
            "ReLU": (lambda _a: [1.0, 0.0], "This is ReLU for every a: where does a enter?"),
            "the identity": (
                lambda _a: [math.sqrt(0.5)] * 2,
                "2·v₁·v₂ is 1 for every a, which is the identity: where does the slope enter?",
            ),
            "of −a": (
                lambda a: leaky_weights(-a),
                "This is the v of −a: which sign has v₂ where the slope is negative?",
            ),
            "half of a": (
                lambda a: [math.sqrt(1 - a**2 / 4), a / 2],
                "v₂ = a/2 would be right if v₁ were 1: what is 2·v₁·v₂ with your v₁?",
            ),
            "a first": (
                lambda a: [a, math.sqrt(1 - a**2)],
                "The norm is 1, and v₁ = a: is a the first entry, or twice the product of both?",
            ),
            "the slope as an angle": (
                lambda a: [math.cos(a), math.sin(a)],
                "This is (cos a, sin a): is the slope a the angle, or the sine of an angle?",
            ),
            "arc tangent": (
                lambda a: [math.cos(math.atan(a) / 2), math.sin(math.atan(a) / 2)],
                "Your angle solves tan 2t = a: which function of 2t is 2·cos t·sin t?",
            ),
            "in proportion": (
                lambda a: [math.cos(math.pi * a / 4), math.sin(math.pi * a / 4)],
                "Right for a = 0 and ±1, and your angle grows with a in proportion: does a sine?",
            ),
            "the point halved": (
                lambda a: [math.sqrt(1 - a**2) / 2, a / 2],
                "The point (cos, sin) was halved: is it the point, or the angle, that is halved?",
            ),
            "degrees": (
                lambda a: [f(math.degrees(math.asin(a)) / 2) for f in (math.cos, math.sin)],
                "The angle is in degrees here: in what does math.cos take it?",
            ),
            "swapped, without the sign": (
                lambda a: leaky_weights(abs(a)).flip(0),
                "v₁ ≤ v₂ here, and for a < 0 the product has the wrong sign: which sign of the "
                "inner root is v₁'s?",
            ),
            "squares": (
                lambda a: leaky_weights(a) ** 2,
                "These are v₁² and v₂²: where is the root?",
            ),
            "sum and difference": (
                lambda a: [math.sqrt(1 + a), math.sqrt(1 - a)],
                "These are v₁ + v₂ and v₁ − v₂: how do you get v₁ and v₂ from them?",
            ),
            "difference and sum": (
                lambda a: [math.sqrt(1 - a), math.sqrt(1 + a)],
                "These are v₁ − v₂ and v₁ + v₂: what do half their sum and half their difference "
                "give?",
            ),
            "the first shortened": (
                lambda a: [1 / math.hypot(1, a), a],
                "The first entry of (1, a) is divided by its norm, the second is not: what is the "
                "norm now, and what the product?",
            ),
            "the second shortened": (
                lambda a: [1.0, a / math.hypot(1, a)],
                "The second entry of (1, a) is divided by its norm, the first is not: can v₁ be 1?",
            ),
            "the rest of 1": (
                lambda a: [1 - abs(a), a],
                "Your entries add up to 1, the squares do not: which sum is asked for?",
            ),
            "squares of the halved angle's": (
                lambda a: [(1 + math.sqrt(1 - a**2)) / 2, a / 2],
                "This is v₁², and v₁ v₂: what is v₁, and what v₂ then?",
            ),
            "half of sum and difference": (
                lambda a: [math.sqrt(1 + a) / 2, math.sqrt(1 - a) / 2],
                "These are halves of v₁ + v₂ and of v₁ − v₂: what is their sum?",
            ),
            "squares of sum and difference": (
                lambda a: [(1 + a) / 2, (1 - a) / 2],
                "1 + a and 1 − a are the squares of v₁ + v₂ and v₁ − v₂: where are the roots?",
            ),
            "divided by the root of 2": (
                lambda a: [math.sqrt(2) * v for v in _by_roots(a)],
                "This is √2 times too long: by what is (v₁ + v₂) + (v₁ − v₂) divided?",
            ),
            "half as long": (
                lambda a: leaky_weights(a) / 2,
                "This is half as long as it should be: what is halved a second time?",
            ),
            "shortened by the root of 2": (
                lambda a: [math.sqrt(0.5), a * math.sqrt(0.5)],
                "This is (1, a)/√2, of norm 1 for a = ±1 only: how long is (1, a)?",
            ),
            "by the 1-norm": (
                lambda a: [1 / (1 + abs(a)), a / (1 + abs(a))],
                "Here |v₁| + |v₂| is 1: which norm is asked for?",
            ),
            "both entries equal": (
                lambda a: [math.sqrt(abs(a) / 2)] * 2,
                "v₁ = v₂ gives one of the two equations: what is v₁² + v₂²?",
            ),
            "one slope only": (
                lambda _a: leaky_weights(0.5),
                "The same v for every a: where is the slope used?",
            ),
        },
        wrong={
            "three digits": (
                lambda a: [round(v, 3) for v in leaky_weights(a).tolist()],
                "Nearly",
            ),
            "too long": (lambda a: [1.5, a], "the norm of v is 1.521"),
            "one entry": (
                lambda a: [leaky_weights(a)[0], a / 2],
                "Your v₁ is right, and the other",
            ),
            "a tensor's function": (lambda a: torch.asin(a), "For a = 0.25: Your code raised"),
            "a division by zero": (lambda a: [a / a, 0.0], "For a = 0: Your code raised"),
            "not a number": (lambda _a: [math.nan, math.nan], "the norm of v is nan"),
            "other slope": (lambda a: leaky_weights(0.9 * a), "your v has"),
            "a list": ([1.0, 0.25], "function of the slope"),
        },
    ),
    Exercise(
        name="01.maxout-norm",
        vary=_own_maxout,
        judge=partial(
            compare_number,
            value=3,
            otherwise="What does torch.linalg.matrix_norm(torch.tensor([[0.6, 0.8]] * 2), 2) "
            "give, and why?",
        ),
        solution=3,
        right={"root": math.sqrt(9)},
        mistakes={
            "sum": (9, "That is the sum of the squares of all entries: what makes a length of it?"),
            "the other root": (-3, "This is the other root of 9: can a length be below 0?"),
            "rows": (1, "Each row has norm 1: what does the layer do to x = u, the row itself?"),
            "factor": (1 / 3, "That is the factor which mends the layer: what is its norm before?"),
            "two rows": (math.sqrt(2), "That is the norm for two rows: how many are here?"),
            "square": (81, "This is 9²: is it the number of the rows that is squared?"),
            "a ninth": (1 / 9, "A ninth for each row: what is the length of nine equal numbers?"),
            "entries of 1": (
                math.sqrt(18),
                "Here each row has length √2: which length has u?",
            ),
            "twice the root": (
                6,
                "The nine outputs are equal, of the size 1 at x = u: how long is (1, …, 1)?",
            ),
            "half of nine": (
                4.5,
                "Half of the rows: does one row count less because it stands there twice?",
            ),
            "the cube root": (
                9 ** (1 / 3),
                "This is the third root of 9: which root has a length?",
            ),
            "another number of rows": (
                math.sqrt(8),
                "This is the root of another number than 9: how many rows are there?",
                lambda got: 1 < got < 5 and abs(got**2 - round(got**2)) < 1e-4,
            ),
        },
        wrong={"the matrix": ([[1.0, 0.0]] * 9, "a list of 9")},
    ),
)
