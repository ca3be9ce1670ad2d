"""12.biases: H.4's scaling layers, and what becomes of the biases between them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    a_kind,
    call,
    fault,
    need_tensor,
    recogniser,
    seeded,
    shape_of,
    show_values,
)
from lipteach.classroom.slips import NEARLY
from lipteach.primitives import maxmin

TOL = 1e-4


def spread(biases: list[Tensor], K: float) -> list[Tensor]:
    """Each bias times the scales that the signal has met before it."""
    s = K ** (1 / 3)
    return [biases[0], s * biases[1], s**2 * biases[2]]


def _in_a_loop(biases: list[Tensor], K: float) -> list[Tensor]:
    found, before = [], 1.0
    for b in biases:
        found.append(b * before)
        before *= K ** (1 / len(biases))
    return found


def network(biases: Sequence[Tensor], x: Tensor, scale: float = 1.0) -> Tensor:
    """Three linear layers with fixed weights and MaxMin between; each layer times ``scale``."""
    sizes, h = [2, *map(len, biases)], x
    for k, b in enumerate(biases):
        W = seeded(sizes[k + 1], sizes[k], seed=k) / sizes[k] ** 0.5
        h = scale * (h @ W.T + b)
        h = maxmin(h) if k + 1 < len(biases) else h
    return h


def _powers(*powers: float, sign: int = 1) -> Callable[..., list[Tensor]]:
    """Each bias times a power of K."""
    return lambda biases, K: [sign * K**p * b for p, b in zip(powers, biases, strict=True)]


_GIVEN: list[tuple[list[Tensor], float]] = [
    ([seeded(4, seed=3), seeded(4, seed=4), seeded(2, seed=5)], 8.0),
    ([seeded(2, seed=6), seeded(6, seed=7), seeded(1, seed=8)], 0.125),
    ([seeded(4, seed=9), torch.zeros(2).double(), seeded(3, seed=10)], 100.0),
    ([seeded(2, seed=11), seeded(2, seed=12), seeded(2, seed=13)], 1.0),
]


def _after(answer: Any, given: tuple[list[Tensor], float]) -> list[Tensor]:
    """The three biases that an answer returns, each of the shape that it had."""
    held: list[Tensor] = []

    def kept(biases: list[Tensor], K: float) -> Any:
        held[:] = biases  # the list itself may be used up
        return answer(biases, K)

    result = call(kept, *copy.deepcopy(given))
    if isinstance(result, (Tensor, float, int)):
        text = f"A list of three biases is needed; this is {a_kind(result)}"
        raise Hint("type", f"{text}: what of the other layers?", given)
    if not isinstance(result, (list, tuple)):
        text = f"A list of three biases is needed; this is {a_kind(result)}"
        raise Hint("type", f"{text}: what makes a list of it?", given)
    if len(result) != 3:
        text = f"Three biases are needed; this is {a_kind(result)} of {len(result)}: which layer"
        raise Hint("shape", f"{text} has none, or two?", given)
    found = [need_tensor(b) for b in result]
    if all(not b.ndim for b in found):
        text = "These are three numbers, as factors are: where are the biases that they are taken"
        raise Hint("shape", f"{text} times?", given)
    for k, (got, b) in enumerate(zip(found, given[0], strict=True), start=1):
        if len(got) == len(given[0][-k]) != len(b):
            text = "The shapes come back in the reverse order: which bias is the first layer's?"
            raise Hint("shape", text, given)
        if got.shape != b.shape:
            text = f"b{_SUB[k]} has shape {shape_of(got)}; it had {shape_of(b)}."
            raise Hint("shape", f"{text} What changes it?", given)
        if not bool(torch.isfinite(got).all()):
            raise Hint("value", f"b{_SUB[k]} is not finite for K = {given[1]:g}.", given)
    if any(not torch.equal(a, b) for a, b in zip(held, given[0], strict=True)):
        text = "Your function changes the biases that it was given: return new tensors."
        raise Hint("mutation", text, given)
    return found


_SUB = "₀₁₂₃"


def _same(one: Sequence[Tensor], other: Sequence[Tensor], tol: float = TOL) -> bool:
    return all(
        torch.allclose(a.double(), b.double(), rtol=tol, atol=tol * (1e-9 + float(b.abs().max())))
        for a, b in zip(one, other, strict=True)
    )


def _judge_biases(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if not callable(answer):
        raise Hint("type", f"A function is needed, and this is {a_kind(answer)}.")
    got = [_after(answer, given) for given in _GIVEN]
    for found, given in zip(got, _GIVEN, strict=True):
        if not _same(found, spread(*given)):

            def alike(wrong: Any) -> bool:
                pairs = zip(got, _GIVEN, strict=True)
                return all(_same(a, [need_tensor(b) for b in wrong(*g)]) for a, g in pairs)

            raise fault("value", _what(found, given), mistakes, recogniser(alike, got)).at(*given)


def _what(found: list[Tensor], given: tuple[list[Tensor], float]) -> str:
    """The first bias that is wrong, by its factor if it has one, and what the networks return."""
    biases, K = given
    want = spread(*given)
    if _same(found, want, 0.02):
        return NEARLY
    k = next(i for i in range(3) if not _same(found[i : i + 1], want[i : i + 1]))
    factor = float(found[k] @ biases[k] / biases[k].square().sum().clamp(min=1e-300))
    zero = torch.zeros(2).double()
    mine, whole = network(found, zero, K ** (1 / 3)), K * network(biases, zero)
    name = f"b{_SUB[k + 1]}"
    if not _same([found[k]], [factor * biases[k]]):
        text = f"For K = {K:g} each entry of {name} is changed in its own way"
        return f"{text}: does a scale act on each entry alike?"
    text = f"For K = {K:g} {name} is taken times {_as_power(factor, K)}"
    if not torch.allclose(mine, whole):
        shown = f"{show_values(mine)} at x = 0 in place of {show_values(whole)}"
        text = f"{text}, and a network so spread returns {shown}"
    return f"{text}. {_ASKS[k]}"


def _as_power(factor: float, K: float) -> str:
    """A factor, and the power of K that it is if its exponent is a fraction of sixths."""
    sixths = 6 * math.log(abs(factor)) / math.log(K) if factor and K != 1 else 0.5
    if factor <= 0 or abs(sixths - round(sixths)) > 1e-6:
        return f"{factor:.4g}"
    power = Fraction(round(sixths), 6)
    return "1" if power == 0 else "K" if power == 1 else f"{factor:.4g} = K^({power})"


_ASKS = (
    "Has the signal met a scale when b₁ is added?",
    "One scale stands before b₂: what is it?",
    "How many scales stand before b₃, and what is their product?",
)


def _within(biases: list[Tensor], K: float) -> list[Tensor]:
    for k in range(3):
        biases[k] = K ** (k / 3) * biases[k]
    return biases


def _used_up(biases: list[Tensor], K: float) -> list[Tensor]:
    return [K ** (k / 3) * biases.pop(0) for k in range(3)]


def _in_place(biases: list[Tensor], K: float) -> list[Tensor]:
    for k, b in enumerate(biases):
        b.mul_(K ** (k / 3))
    return biases


EXERCISES = (
    Exercise(
        name="12.biases",
        judge=_judge_biases,
        solution=spread,
        right={
            "in a loop": _in_a_loop,
            "in the given list": _within,
            "which it uses up": _used_up,
            "a tuple": lambda biases, K: tuple(K ** (k / 3) * b for k, b in enumerate(biases)),
            "lists": lambda biases, K: [
                [K ** (k / 3) * e for e in b.tolist()] for k, b in enumerate(biases)
            ],
            "in float32": lambda biases, K: [b.float() for b in spread(biases, K)],
        },
        mistakes={
            "unchanged": (
                _powers(0, 0, 0),
                "The biases are as they were: K f(x) has K b₃ in it, and the spread network?",
            ),
            "all by s": (
                _powers(1 / 3, 1 / 3, 1 / 3),
                "Each bias is taken times one and the same K^(1/3): b₁ is added to W₁x before any "
                "scale, and b₃ after how many?",
            ),
            "off by one": (
                _powers(1 / 3, 2 / 3, 1),
                "Each bias has one factor too many: is it added before the scale of its own layer, "
                "or after it?",
            ),
            "upside down": (
                _powers(2 / 3, 1 / 3, 0),
                "The order is upside down: the scales after a bias take it along by themselves. "
                "Which ones do not?",
            ),
            "upside down, off by one": (
                _powers(1, 2 / 3, 1 / 3),
                "These are the factors that the scales behind each bias bring about by "
                "themselves: which ones are still missing?",
            ),
            "all by K": (
                _powers(1, 1, 1),
                "Each bias is taken times all of K, and then scales follow: how much of K is "
                "still to come after b₃?",
            ),
            "divided": (
                _powers(0, -1 / 3, -2 / 3),
                "These biases become smaller where the signal has become larger: should they not "
                "keep up with it?",
            ),
            "all divided by s": (
                _powers(-1 / 3, -1 / 3, -1 / 3),
                "Each bias is divided by K^(1/3), as if its own scale were to be undone: does "
                "K f(x) not scale biases, too?",
            ),
            "all divided by K": (
                _powers(-1, -1, -1),
                "Each bias is divided by K: does the spread network scale the biases too much, or "
                "too little?",
            ),
            "divided by what follows": (
                _powers(-1, -2 / 3, -1 / 3),
                "So no scale changes a bias in the end, as in W x · K + b: is K f(x) that?",
            ),
            "two scales": (
                _powers(0, 1 / 2, 1),
                "Right for three layers with K^(1/2): how many scales share K here?",
            ),
            "only the last": (
                _powers(0, 0, 2 / 3),
                "Right but for b₂: which scale has the signal met before it is added?",
            ),
            "only the second": (
                _powers(0, 1 / 3, 0),
                "Right but for b₃, which is as it was: how many scales come before it?",
            ),
            "alike": (
                _powers(0, 1 / 3, 1 / 3),
                "b₂ is right, and b₃ has the same factor: is there no scale between the two?",
            ),
            "K at the end": (
                _powers(0, 0, 1),
                "b₃ times K is right where one scale of K stands before it and none after: and "
                "here?",
            ),
            "K at the end, after s": (
                _powers(0, 1 / 3, 1),
                "b₂ is right, and b₃ has all of K before a scale has yet to come: which one?",
            ),
            "one factor at the end": (
                _powers(0, 0, 1 / 3),
                "b₂ is as it was and b₃ has one factor: how many scales come before each?",
            ),
            "K for each": (
                _powers(0, 1, 2),
                "So it is if each scale were K: what is the factor of one of three?",
            ),
            "squares": (
                _powers(0, 2 / 3, 4 / 3),
                "Each factor is the square of what it should be: what does one scale do to the "
                "signal?",
            ),
            "roots": (
                _powers(0, 1 / 6, 1 / 3),
                "Each factor is the root of what it should be: is s itself K^(1/3), or K^(1/6)?",
            ),
            "powers of powers": (
                _powers(0, 1 / 3, 1 / 9),
                "b₃ has the cube root of the cube root: do two scales multiply, or is one the "
                "exponent of the other?",
            ),
            "thirds of K": (
                lambda biases, K: [biases[0], K / 3 * biases[1], 2 * K / 3 * biases[2]],
                "K/3 and 2K/3 share K as a sum: how do scales one behind the other act?",
            ),
            "twice s": (
                lambda biases, K: [
                    biases[0],
                    K ** (1 / 3) * biases[1],
                    2 * K ** (1 / 3) * biases[2],
                ],
                "b₃ has 2 K^(1/3): are two scales one behind the other added, or multiplied?",
            ),
            "K divided by 3": (
                lambda biases, K: [(K / 3) ** k * b for k, b in enumerate(biases)],
                "So it is for scales of K/3: three of them multiply to what?",
            ),
            "for K = 8": (
                lambda biases, _K: [2.0**k * b for k, b in enumerate(biases)],
                "Right for K = 8 only: where does K enter?",
            ),
            "added": (
                lambda biases, K: [b + K ** (k / 3) for k, b in enumerate(biases)],
                "The factors are added to the biases: how does a scale act on what it is given?",
            ),
            "never below 1": (
                lambda biases, K: [max(1.0, K) ** (k / 3) * b for k, b in enumerate(biases)],
                "Right for K above 1; below it no bias is changed: may a scale not shrink?",
            ),
            "whole scales": (
                lambda biases, K: [round(K ** (1 / 3)) ** k * b for k, b in enumerate(biases)],
                "Right for K = 8, where the scale is whole: what rounds it for other K?",
            ),
            "four scales": (
                _powers(0, 1 / 4, 1 / 2),
                "So it is if four scales shared K: how many layers has the network?",
            ),
            "all of K twice": (
                _powers(0, 1, 1),
                "b₂ and b₃ are taken times all of K: has the signal met all three scales before?",
            ),
            "K² and K³": (
                _powers(0, 3, 6),
                "Here a scale is K³: which power of it makes K in three steps?",
            ),
            "b₁, too": (
                _powers(1 / 3, 1 / 3, 2 / 3),
                "b₂ and b₃ are right, and b₁ has a factor, too: which scale stands before it?",
            ),
            "upside down for b₂": (
                _powers(0, 2 / 3, 1 / 3),
                "b₁ is right, and the factors of b₂ and b₃ are exchanged: which of the two comes "
                "after more scales?",
            ),
            "half undone": (
                _powers(-1 / 3, 0, 1 / 3),
                "Each bias has one factor too few: does its own scale not act on it as well?",
            ),
            "what follows, undone": (
                _powers(-2 / 3, -1 / 3, 0),
                "Each bias is divided by the scales that come after its own: are those to leave it "
                "alone? In K f(x) every bias has grown by K.",
            ),
            "all undone, growing": (
                _powers(-1 / 3, -2 / 3, -1),
                "Each bias is divided by all scales up to its own: are K f(x)'s biases smaller?",
            ),
            "as a sum": (
                lambda biases, K: [(1 + k * (K ** (1 / 3) - 1)) * b for k, b in enumerate(biases)],
                "The growth by one scale is added for each layer: do scales one behind the other "
                "add up, or multiply?",
            ),
            "no biases": (
                lambda biases, _K: [torch.zeros_like(b) for b in biases],
                "All biases are 0: so H.4's sentence is true, but is it the same network?",
            ),
            "turned": (
                _powers(0, 1 / 3, 2 / 3, sign=-1),
                "The factors are right and every sign is turned: what is taken from what?",
            ),
        },
        wrong={
            "in place": (_in_place, "that it was given"),
            "one tensor": (lambda biases, K: torch.cat(spread(biases, K)), "of the other layers"),
            "two biases": (lambda biases, K: spread(biases, K)[1:], "a list of 2: which"),
            "few digits": (
                lambda biases, K: [round(K ** (k / 3), 2) * b for k, b in enumerate(biases)],
                "Nearly",
            ),
            "a tenth more": (
                lambda biases, K: [1.1 * b for b in spread(biases, K)],
                "b₁ is taken times 1.1",
            ),
            "their norms": (
                lambda biases, K: [b.norm() for b in spread(biases, K)],
                "as factors are",
            ),
            "clipped": (
                lambda biases, K: [b.clamp(-1, 1) for b in spread(biases, K)],
                "act on each entry alike",
            ),
            "not finite": (
                lambda biases, K: [b / (K - 1) for b in spread(biases, K)],
                "is not finite",
            ),
            "a list of numbers": ([1.0, 2.0, 4.0], "A function"),
        },
    ),
)
