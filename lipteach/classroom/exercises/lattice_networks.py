"""The exercises of lesson 08, third part: networks whose norms or depth are prescribed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import a_kind, seeded
from lipteach.classroom.compare_functions import compare_network
from lipteach.primitives import GroupSort, MaxMin
from lipteach.primitives.composition import walk
from lipteach.theory import linear

ALLOWED = (nn.Linear, MaxMin, GroupSort)


def _need_pairs(answer: Any) -> list[nn.Linear]:
    """The linear layers, nested ones too; a MaxMin that meets an odd width is told first."""
    if isinstance(answer, type) or not isinstance(answer, nn.Sequential):
        raise Hint("type", f"An nn.Sequential is needed, and this is {a_kind(answer)}.")
    layers: list[nn.Linear] = []
    for _, module in walk(answer):
        if isinstance(module, nn.Linear):
            layers.append(module)
        elif isinstance(module, MaxMin | GroupSort) and layers and layers[-1].out_features % 2:
            width = layers[-1].out_features
            text = f"A MaxMin meets a width of {width}: with what is its last number paired?"
            raise Hint("shape", text)
    return layers


def half(z: Tensor) -> Tensor:
    """The map z ↦ z/2."""
    return z / 2


def _judge_half(answer: Any) -> None:
    layers = _need_pairs(answer)
    compare_network(
        answer,
        half,
        [
            torch.tensor([[-3.0], [-0.5], [0.0], [0.25], [2.0]]).double(),
            torch.tensor([[-1e6], [-1e4], [-100.0], [100.0], [1e4], [1e6]]).double(),
        ],
        p=math.inf,
        allowed=ALLOWED,
        mistakes=[
            (lambda z: z, "This is z itself: where can a factor ½ stand without a norm below 1?"),
            (lambda z: z.abs() / 2, "This is |z|/2: what do the weights do for z < 0?"),
            (lambda z: z.clamp(max=0.5), "It meets f(0) = 0 and f(1) = ½, but bends: is it z/2?"),
            (lambda z: 0 * z, "This is 0 everywhere: do the two units cancel altogether?"),
        ],
    )
    for k, layer in enumerate(layers):
        norm = float(torch.linalg.matrix_norm(layer.weight.detach().double(), ord=math.inf))
        if abs(norm - 1) > 1e-4:
            text = f"The function is right, but linear layer {k + 1} has ∞-norm {norm:.4g}"
            raise Hint("constraint", f"{text}: which other unit or weight can carry the 1?")


def half_network() -> nn.Sequential:
    """½ in the first pair, and a dummy pair of norm 1 that is not selected."""
    return nn.Sequential(
        linear([[0.5], [0.5], [1.0], [1.0]]), MaxMin(), linear([[1.0, 0.0, 0.0, 0.0]])
    )


def affine(z: Tensor) -> Tensor:
    """(z₁ + z₂)/2 + ¼."""
    return z.mean(dim=-1, keepdim=True) + 0.25


def affine_network() -> nn.Sequential:
    """The row w twice, sorted twice, and the first of the pair."""
    return nn.Sequential(
        linear([[0.5, 0.5], [0.5, 0.5]], [0.25, 0.25]), MaxMin(), linear(torch.eye(2)), MaxMin(),
        linear([[1.0, 0.0]]),
    )  # fmt: skip


def _judge_affine(answer: Any) -> None:
    _need_pairs(answer)
    kinds = ["Linear" if isinstance(module, nn.Linear) else "MaxMin" for _, module in walk(answer)]
    compare_network(
        answer,
        affine,
        [seeded(6, 2, seed=3)],
        p=math.inf,
        allowed=ALLOWED,
        mistakes=[
            (
                lambda z: 2 * affine(z),
                "This is twice the map: is one of the pair selected, or both?",
            ),
            (lambda z: affine(z) - 0.25, "The offset ¼ is missing: in which layer can it stand?"),
            (
                lambda z: affine(z) + 0.25,
                "The offset is counted twice: in which layers does it stand?",
            ),
            (lambda z: 0 * affine(z), "This is 0: what is the difference of two equal numbers?"),
        ],
    )
    if kinds != ["Linear", "MaxMin", "Linear", "MaxMin", "Linear"]:
        text = "Three linear layers with a MaxMin between each two are needed"
        raise Hint("layout", f"{text}; yours has {', '.join(kinds)}.")


def _affine(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


_W, _TWICE, _B = [[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]], [0.25, 0.25]

EXERCISES = (
    Exercise(
        name="08.half",
        question="z/2 by layers whose norms are exactly 1.",
        difficulty=2,
        minutes=10,
        judge=_judge_half,
        solution=half_network(),
        right={
            "a difference": nn.Sequential(
                linear([[1.0], [1.0]]), MaxMin(), linear([[0.75, -0.25]])
            ),
            "a sum of signs": nn.Sequential(
                linear([[1.0], [0.0], [0.5], [0.5]]), MaxMin(), linear([[0.0, 0.0, 0.5, 0.5]])
            ),
            "float32": half_network().float(),
            "nested": nn.Sequential(half_network()[:2], half_network()[2]),
            "GroupSort": nn.Sequential(
                linear([[0.5], [0.5], [-1.0], [0.0]]), GroupSort(2), linear([[0.0, 1.0, 0.0, 0.0]])
            ),
        },
        wrong={
            "affine, nested": (_affine(_affine(linear([[0.5]]))), "linear layer 1 has ∞-norm 0.5"),
            "bent far away": (
                _affine(linear([[0.5], [1.0]], [0.0, 100.0]), MaxMin(), linear([[0.0, 1.0]])),
                "[-1000000], [-10000]",
            ),
            "last layer": (
                nn.Sequential(linear([[1.0], [1.0]]), MaxMin(), linear([[0.5, 0.0]])),
                "linear layer 2 has ∞-norm 0.5",
            ),
            "identity": (
                nn.Sequential(linear([[1.0], [1.0]]), MaxMin(), linear([[1.0, 0.0]])),
                "This is z itself",
            ),
            "absolute value": (
                nn.Sequential(linear([[0.5], [-0.5]]), MaxMin(), linear([[1.0, 0.0]])),
                "This is |z|/2",
            ),
            "bent": (
                nn.Sequential(linear([[1.0], [0.0]], [0.0, 0.5]), MaxMin(), linear([[0.0, 1.0]])),
                "but bends",
            ),
            "cancelled": (
                nn.Sequential(linear([[1.0], [1.0]]), MaxMin(), linear([[0.5, -0.5]])),
                "cancel altogether",
            ),
            "a width of 3": (
                nn.Sequential(linear([[0.5], [0.5], [1.0]]), MaxMin(), linear([[1.0, 0.0, 0.0]])),
                "a width of 3",
            ),
            "norm 2": (
                nn.Sequential(linear([[1.0], [1.0]]), MaxMin(), linear([[1.25, -0.75]])),
                "above 1",
            ),
            "a function": (half, "An nn.Sequential is needed"),
        },
    ),
    Exercise(
        name="08.affine-depth",
        question="An affine map as a network of three linear layers.",
        difficulty=2,
        minutes=8,
        judge=_judge_affine,
        solution=affine_network(),
        right={
            "the second of the pair": _affine(
                linear(_TWICE), MaxMin(), linear(torch.eye(2), _B), MaxMin(), linear([[0.0, 1.0]])
            ),
            "the mean of the pair": _affine(
                linear(_TWICE, _B), MaxMin(), linear(torch.eye(2)), MaxMin(), linear([[0.5, 0.5]])
            ),
            "float32": affine_network().float(),
            "nested": _affine(affine_network()[:2], affine_network()[2:]),
            "padded by a constant": _affine(
                linear(_TWICE, _B),
                MaxMin(),
                linear([[1.0, 0.0], [1.0, 0.0]]),
                MaxMin(),
                linear([[1.0, 0.0]]),
            ),
        },
        wrong={
            "behind the output": (
                _affine(linear(_W, [0.25]), MaxMin(), linear([[1.0]]), MaxMin(), linear([[1.0]])),
                "a width of 1",
            ),
            "one layer": (_affine(linear(_W, [0.25])), "yours has Linear."),
            "two layers": (
                _affine(linear(_TWICE, _B), MaxMin(), linear([[1.0, 0.0]])),
                "yours has Linear, MaxMin, Linear.",
            ),
            "no MaxMin": (
                _affine(linear(_TWICE, _B), linear(torch.eye(2)), linear([[1.0, 0.0]])),
                "yours has Linear, Linear",
            ),
            "the coordinates sorted": (
                _affine(
                    linear(torch.eye(2)),
                    MaxMin(),
                    linear(torch.eye(2)),
                    MaxMin(),
                    linear([[1.0, 0.0]], [0.25]),
                ),
                "is right",
            ),
            "both selected": (
                _affine(
                    linear(_TWICE, _B),
                    MaxMin(),
                    linear(torch.eye(2)),
                    MaxMin(),
                    linear([[1.0, 1.0]]),
                ),
                "twice the map",
            ),
            "no offset": (
                _affine(linear(_TWICE), MaxMin(), linear(torch.eye(2)), MaxMin(), linear(_W)),
                "offset ¼ is missing",
            ),
            "two offsets": (
                _affine(
                    linear(_TWICE, _B), MaxMin(), linear(torch.eye(2), _B), MaxMin(), linear(_W)
                ),
                "counted twice",
            ),
            "difference": (
                _affine(
                    linear(_TWICE, _B),
                    MaxMin(),
                    linear(torch.eye(2)),
                    MaxMin(),
                    linear([[0.5, -0.5]]),
                ),
                "two equal numbers",
            ),
            "a function": (affine, "An nn.Sequential is needed"),
        },
    ),
)
