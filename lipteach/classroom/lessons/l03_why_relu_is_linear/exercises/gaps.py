"""Exercises of lesson 03 about the gap of a ReLU network: half, beyond-half."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    NEARLY,
    call,
    nearly,
    need_tensor,
    show_apart,
)
from lipteach.classroom.lessons.l03_why_relu_is_linear.exercises.layers import (
    R,
    need_layers,
    one_activation,
    relus,
)
from lipteach.primitives import MaxMin
from lipteach.theory.frozen import linear

# --- both


def _need_scalar_network(answer: Any, count: int) -> list[float]:
    """The norms, at most 1, of the layers of a ReLU network from 1 to 1."""
    norms, inputs = [], 1
    for k, layer in enumerate(need_layers(answer, nn.ReLU, count)):
        W = layer.weight.detach().double()
        if W.shape[1] != inputs:
            text = f"W{k + 1} has the shape {tuple(W.shape)} and gets an input of size {inputs}"
            raise Hint("shape", f"{text}: does it have one row for each of its outputs?")
        norms.append(float(torch.linalg.matrix_norm(W, ord=2)))
        if norms[-1] > 1 + 1e-5:
            shown, ask = show_apart(norms[-1], 1.0)[0], "by what is it divided?"
            if norms[-1] < 1.015:
                ask = NEARLY
            raise Hint("constraint", f"Layer {k + 1} has ‖W‖₂ = {shown}, and 1 is allowed: {ask}")
        inputs = len(W)
    return norms


def _gap(answer: nn.Module) -> float:
    points = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    f = need_tensor(call(answer, points), (3, 1)).flatten()
    return round(float((f[0] + f[2]) / 2 - f[1]), 7) + 0.0  # no minus before a zero


# --- 03.half

_HALF = relus([[R], [-R]], [[R, R]])
_NAN = relus([[1.0]], [[1.0]])
_NAN.get_parameter("2.weight").fill_(math.nan)


class _OwnForward(nn.Sequential):
    """A network that does something else than its layers."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs() / 2


def _judge_half(answer: Any) -> None:
    norms = _need_scalar_network(answer, 2)
    gap = _gap(answer)
    if gap >= 0.5 - 2e-6:
        return
    short = min(norms) < 1 - 1e-6  # at full length the proportion is at fault
    if short and nearly(torch.tensor(gap), torch.tensor(0.5)):
        raise Hint("value", f"The gap is {show_apart(gap, 0.5)[0]}, below ½. {NEARLY}", (_ENDS,))
    first, second = need_layers(answer, nn.ReLU, 2)
    shares = (first.weight[:, 0] * second.weight[0]).double()
    if first.bias is not None and bool(first.bias.any()):
        ask = "where is the kink of a unit with a bias, and where is it needed?"
    elif bool((second.weight[0] * first.weight[:, 0].abs() < 0).any()):
        ask = "an output weight points downwards. What does it do to the gap?"
    elif min(norms) <= 0.99:
        ask = "does each weight use the whole of its norm?"
    else:
        ask = f"both norms are 1, but Σ|vᵢ wᵢ| is {float(shares.abs().sum()):.3g}. When is it 1?"
    raise Hint("value", f"The gap is {gap:.4g}, below ½: {ask}", (_ENDS,))


# --- 03.beyond-half

_c, _s = math.sqrt(2 / 3), math.sqrt(1 / 3)
BEST = relus([[_c], [-_s]], [[_c, -_s], [_s, _c]], [[_s, _c]])
"""Gap 1/√3 = 0.577: we know of no two hidden layers with a larger one."""


def rotation(degrees: float) -> list[list[float]]:
    """The matrix [[c, −s], [s, c]]."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [[c, -s], [s, c]]


def _judge_beyond_half(answer: Any) -> None:
    norms = _need_scalar_network(answer, 3)
    gap = _gap(answer)
    if gap >= 0.55 - 1e-6:
        return
    if gap < 0:
        text = f"The gap is {gap:.4g}: which sign do the output weights have?"
        raise Hint("value", text, (_ENDS,))
    said = f"One hidden layer can do the gap {gap:.4g}, too"
    if gap > 0.5 + 1e-5:
        said = f"The gap is {gap:.4g}, beyond ½ but below 0.55"
    first, second, _ = (copy.deepcopy(one).double() for one in need_layers(answer, nn.ReLU, 3))
    hidden = first(_ENDS).relu()
    best = _best_last(hidden, second)
    if len(hidden[0]) == 1 or len(second.weight) == 1:
        ask = "a hidden layer has one unit only. What could a rotation turn there?"
    elif (short := min(norms)) < 0.99:
        ask = f"W{norms.index(short) + 1} has the norm {short:.3g}. Is there norm to spare?"
    elif best >= 0.55:
        ask = f"W1 and W2 would allow {best:.3g}. Which W3 makes the most of them?"
    elif any(layer.bias is not None and bool(layer.bias.any()) for layer in (first, second)):
        ask = "is there a bias which moves the kink away from 0?"
    elif len(hidden[0]) == 2 and max(_best_last(hidden, turn) for turn in _TURNS) < 0.55:
        ask = "no W2 makes 0.55 of this W1. Which share of its norm has x > 0, and which x < 0?"
    elif gap > 0.5 + 1e-5:
        ask = "does a smaller or a larger turn of W2 give more?"
    else:
        ask = "which turn of W2 helps x > 0 more than it costs x < 0?"
    raise Hint("value", f"{said}: {ask}", (_ENDS,))


_ROUND = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in range(0, 360, 3)]
_ENDS = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)


def _best_last(hidden: Tensor, second: nn.Linear) -> float:
    """The largest gap that any last row gives to the first layer's outputs at −1, 0 and 1."""
    h = second(hidden).relu()
    return float(((h[0] + h[2]) / 2 - h[1]).norm())


_TURNS = [linear([[c, k * s], [s, -k * c]]) for c, s in _ROUND for k in (-1, 1)]
"""Rotations of two hidden units, and reflections."""


EXERCISES = (
    Exercise(
        name="03.half",
        judge=_judge_half,
        solution=_HALF,
        right={
            "ReLU itself": relus([[1.0]], [[1.0]]),
            "uneven": relus([[0.6], [-0.8]], [[0.6, 0.8]]),
            "nested": nn.Sequential(nn.Sequential(_HALF[0], _HALF[1]), _HALF[2]),
            "wide": relus([[0.5], [-0.5], [0.5], [-0.5]], [[0.5] * 4]),
        },
        wrong={
            "|x| by ReLU": (relus([[1.0], [-1.0]], [[1.0, 1.0]]), "‖W‖₂ = 1.414"),
            "three digits": (relus([[0.707], [-0.707]], [[0.707, 0.707]]), "below ½. Nearly"),
            "rounded up": (relus([[0.7072], [-0.7072]], [[R, R]]), "1 is allowed: Nearly"),
            "halved": (relus([[0.5], [-0.5]], [[0.5, 0.5]]), "gap is 0.25"),
            "downwards": (relus([[R], [-R]], [[-R, -R]]), "gap is -0.5, below"),
            "one downwards": (relus([[R], [-R]], [[R, -R]]), "gap is 0, below"),
            "a little out of proportion": (relus([[R], [R]], [[0.6, 0.8]]), "Σ|vᵢ wᵢ| is 0.99."),
            "out of proportion": (relus([[R], [-R]], [[1.0, 0.0]]), "Σ|vᵢ wᵢ| is 0.707."),
            "four digits": (relus([[0.7071], [-0.7071]], [[0.7071, 0.7071]]), "is 0.49999"),
            "kink beside 0": (
                nn.Sequential(linear([[1.0]], [0.5]), nn.ReLU(), linear([[1.0]])),
                "kink of a unit with a bias",
            ),
            "a row": (relus([[R, -R]], [[R], [R]]), "W1 has the shape (1, 2)"),
            "not finite": (_NAN, "not finite"),
            "ReLU at the end": (nn.Sequential(*_HALF, nn.ReLU()), "Linear, ReLU, Linear, ReLU."),
            "own forward": (_OwnForward(*_HALF), "a _OwnForward"),
            "a class": (nn.Sequential, "the class Sequential"),
            "MaxMin": (nn.Sequential(linear([[R], [-R]]), MaxMin(), linear([[R, -R]])), "MaxMin"),
            "deeper": (BEST, "ReLU, Linear, ReLU, Linear."),
            "a function": (torch.relu, "a builtin"),
        },
    ),
    Exercise(
        name="03.beyond-half",
        judge=_judge_beyond_half,
        solution=relus([[R], [-R]], rotation(30), [[R, R]]),
        right={
            "1/√3": BEST,
            "float32": relus([[R], [-R]], rotation(25), [[R, R]]).float(),
            "one ReLU twice": one_activation(BEST),
            "turned the other way": relus([[-R], [R]], rotation(28), [[R, R]]),
        },
        wrong={
            "not mixed": (relus([[R], [-R]], rotation(0), [[R, R]]), "the gap 0.5, too"),
            "turned a little": (relus([[R], [-R]], rotation(8), [[R, R]]), "below 0.55"),
            "turned too far": (relus([[R], [-R]], rotation(45), [[R, R]]), "gap is 0.5303"),
            "downwards": (relus([[R], [-R]], rotation(30), [[-R, -R]]), "which sign"),
            "one unit read": (relus([[R], [-R]], rotation(30), [[1.0, 0.0]]), "Which W3"),
            "uneven W3": (relus([[R], [-R]], rotation(30), [[0.8, 0.6]]), "W1 and W2 would allow"),
            "halved W1": (relus([[0.5], [-0.5]], rotation(30), [[R, R]]), "norm to spare"),
            "one unit": (relus([[1.0]], [[1.0]], [[1.0]]), "one unit only"),
            "a bias": (
                nn.Sequential(
                    *list(relus([[R], [-R]], rotation(30)))[:2],
                    linear(rotation(30), [-0.1, -0.1]),
                    nn.ReLU(),
                    linear([[R, R]]),
                ),
                "is there a bias",
            ),
            "one-sided W1": (relus([[1.0], [0.0]], rotation(30), [[R, R]]), "no W2 makes"),
            "too large": (relus([[1.0], [-1.0]], rotation(30), [[R, R]]), "Layer 1 has"),
            "one hidden layer": (relus([[R], [-R]], [[R, R]]), "is Linear, ReLU, Linear."),
            "not a network": (0.55, "a float"),
        },
    ),
)
