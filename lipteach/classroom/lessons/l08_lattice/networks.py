"""Lesson 08: the exercises on networks of linear layers and MaxMin, half and affine-depth."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, nearly, seeded, show_apart, show_values
from lipteach.classroom.compare_functions import compare_network
from lipteach.classroom.trials import off_by_a_constant
from lipteach.primitives import GroupSort, MaxMin, Selection
from lipteach.primitives.composition import walk
from lipteach.theory import Counterexample, linear, pad_depth, prove


def _compare_network(
    answer: Any, reference: Any, inputs: list[Tensor], mistakes: Sequence[Mistake]
) -> list[nn.Module]:
    """Return the modules, nested ones too; a MaxMin that meets an odd width is told first."""
    if isinstance(answer, type) or not isinstance(answer, nn.Sequential):
        raise Hint("type", f"An nn.Sequential is needed, and this is {a_kind(answer)}.")
    modules, width = [module for _, module in walk(answer)], 0
    for module in modules:
        if isinstance(module, nn.Linear):
            width = module.out_features
        elif isinstance(module, MaxMin | GroupSort) and width % 2:
            text = f"A MaxMin meets a width of {width}: with what is its last number paired?"
            raise Hint("shape", text)
    allowed = (nn.Linear, MaxMin, GroupSort)
    compare_network(answer, reference, inputs, p=math.inf, allowed=allowed, mistakes=mistakes)
    return modules


def _need_everywhere(network: nn.Sequential, claim: Callable[..., Any]) -> None:
    """Let the solver decide; where weights are rounded, on growing cubes with their tolerance."""
    exact = copy.deepcopy(network).double()
    if prove(exact, claim, timeout=_SECONDS):
        return
    offsets = [b.abs().max() for name, b in exact.named_parameters() if name.endswith("bias")]
    largest = max(map(float, offsets), default=0.0)
    for power in range(math.ceil(math.log10(1 + largest)) + 5):
        size = 10.0**power
        found = prove(exact, claim, (-size, size), tol=1e-6 * size, timeout=_SECONDS)
        if isinstance(found, Counterexample) and found.expected is not None:
            got, want = show_apart(found.output, found.expected)
            ask = "are the two numbers that MaxMin compares in the same order everywhere?"
            text = f"Right near 0. For {show_values(found.input)} the result is {got}, not {want}"
            raise Hint("value", f"{text}: {ask}", (found.input[None],))


_SECONDS = 1.0


def _sorting(*layers: nn.Linear) -> nn.Sequential:
    """The layers with a MaxMin between each two."""
    return nn.Sequential(*[module for layer in layers for module in (MaxMin(), layer)][1:])


# --- 08.half


def half(z: Tensor) -> Tensor:
    """The map z ↦ z/2."""
    return z / 2


def half_network() -> nn.Sequential:
    """½ in the first pair, and a dummy pair of norm 1 that is not selected."""
    return _sorting(linear([[0.5], [0.5], [1.0], [1.0]]), linear([[1.0, 0.0, 0.0, 0.0]]))


def _slopes(got: Tensor, z: Tensor) -> list[float]:
    """The slopes left and right of 0, of what is linear on each side."""
    found = [(got / z)[side] for side in (z < 0, z > 0)]
    return [round(float(s[0]), 6) for s in found if bool((s - s[0]).abs().max() < 1e-6)]


def _judge_half(answer: Any, mistakes: Sequence[Mistake]) -> None:
    inputs = [
        torch.tensor([[-3.0], [-0.5], [0.0], [0.25], [2.0]]).double(),
        torch.tensor([[-1e6], [-1e4], [-100.0], [100.0], [1e4], [1e6]]).double(),
    ]
    modules = _compare_network(answer, half, inputs, mistakes)
    _need_everywhere(answer, lambda z: z[0] / 2)
    for k, layer in enumerate(m for m in modules if isinstance(m, nn.Linear)):
        norm = float(torch.linalg.matrix_norm(layer.weight.detach().double(), ord=math.inf))
        if abs(norm - 1) > 1e-5:
            text = f"The function is right, but linear layer {k + 1} has ∞-norm {norm:.4g}"
            raise Hint("constraint", f"{text}: which other unit or weight can carry the 1?")


# --- 08.affine-depth


def affine(z: Tensor) -> Tensor:
    """(z₁ + z₂)/2 + ¼."""
    return z.mean(dim=-1, keepdim=True) + 0.25


_W, _TWICE, _B = [[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]], [0.25, 0.25]
_MEANS, _SAME = linear(_TWICE, _B), linear(torch.eye(2))


def affine_network() -> nn.Sequential:
    """The row w twice, sorted twice, and the first of the pair."""
    return _sorting(linear(_TWICE, _B), linear(torch.eye(2)), linear([[1.0, 0.0]]))


def _affine_too(got: Tensor, want: Tensor, z: Tensor) -> bool | None:
    """Whether the result on many inputs is some affine map."""
    if len(z) < 10 or got.shape != want.shape:
        return None
    columns = torch.cat([z, torch.ones_like(z[:, :1])], dim=1)
    fit = columns @ torch.linalg.lstsq(columns, got).solution
    return bool((fit - got).abs().max() < 1e-6 * z.abs().max()) and not nearly(got, want, 0.003)


def _judge_affine(answer: Any, mistakes: Sequence[Mistake]) -> None:
    inputs = [seeded(6, 2, seed=3), 1e3 * seeded(40, 2)]
    modules = _compare_network(answer, affine, inputs, mistakes)
    _need_everywhere(answer, lambda z: (z[0] + z[1]) / 2 + 0.25)
    if any(isinstance(module, Selection) for module in modules):
        text = "A Selection is what lt.pad_depth puts there"
        raise Hint("constraint", f"{text}: which matrix is it, written by `linear`?")
    kinds = ["Linear" if isinstance(module, nn.Linear) else "MaxMin" for module in modules]
    if kinds != ["Linear", "MaxMin", "Linear", "MaxMin", "Linear"]:
        text = "Three linear layers with a MaxMin between each two are needed"
        raise Hint("layout", f"{text}; yours has {', '.join(kinds)}.")


HALF = Exercise(
    name="08.half",
    judge=_judge_half,
    solution=half_network(),
    right={
        "a difference": _sorting(linear([[1.0], [1.0]]), linear([[0.75, -0.25]])),
        "a sum of signs": _sorting(
            linear([[1.0], [0.0], [0.5], [0.5]]), linear([[0.0, 0.0, 0.5, 0.5]])
        ),
        "nested": nn.Sequential(half_network()[:2], half_network()[2]),
        "in sevenths": _sorting(
            linear([[1.0]] * 4), linear([[0.75 - 1 / 7, 1 / 7, -0.25, 0.0]])
        ).float(),
        "GroupSort": nn.Sequential(
            linear([[0.5], [0.5], [-1.0], [0.0]]), GroupSort(2), linear([[0.0, 1.0, 0.0, 0.0]])
        ),
    },
    mistakes={
        "identity": (
            _sorting(linear([[1.0], [1.0]]), linear([[1.0, 0.0]])),
            "This is z itself: where can a factor ½ stand without a norm below 1?",
        ),
        "absolute value": (
            _sorting(linear([[0.5], [-0.5]]), linear([[1.0, 0.0]])),
            "This is |z|/2: what do the weights do for z < 0?",
        ),
        "bent": (
            _sorting(linear([[1.0], [0.0]], [0.0, 0.5]), linear([[0.0, 1.0]])),
            "It meets f(0) = 0 and f(1) = ½, but bends: is it z/2?",
        ),
        "both selected": (
            _sorting(linear([[0.5], [0.5]]), linear([[1.0, 1.0]])),
            "Both units of the pair are added, in a row of norm 2: which of them is needed?",
        ),
        "dummy selected": (
            _sorting(linear([[0.5], [0.5], [1.0], [1.0]]), linear([[1.0, 0.0, 1.0, 0.0]])),
            "The dummy pair is added as well: which weight keeps it out?",
        ),
        "minus": (
            _sorting(linear([[1.0], [1.0]]), linear([[0.25, -0.75]])),
            "This is −z/2: which of the last two weights must be the positive one?",
        ),
        "relu": (
            _sorting(linear([[0.5], [0.0], [1.0], [1.0]]), linear([[1.0, 0.0, 0.0, 0.0]])),
            "This is 0 for z < 0: which number is z compared with?",
        ),
        "offset": (
            _sorting(
                linear([[0.5], [0.5], [1.0], [1.0]], [1.0] * 4), linear([[1.0, 0.0, 0.0, 0.0]])
            ),
            "This is z/2 and a constant: which bias brings it in?",
            off_by_a_constant,
        ),
        "cancelled": (
            _sorting(linear([[1.0], [1.0]]), linear([[0.5, -0.5]])),
            "This is 0 everywhere: do the two units cancel altogether?",
        ),
        "a multiple": (
            _sorting(linear([[1.0], [1.0]]), linear([[0.5, -0.25]])),
            "This is a multiple of z, but not ½ z: what do the selected weights add up to?",
            lambda got, want, z: _slopes(got, z)[0] == _slopes(got, z)[1] and not nearly(got, want),
        ),
        "two slopes": (
            _sorting(linear([[0.5], [1.0]]), linear([[1.0, 0.0]])),
            "There is one slope for z > 0 and another for z < 0: which of the pairs changes "
            "its order at 0?",
            lambda got, _, z: len(set(_slopes(got, z))) == 2,
        ),
        "a part": (
            _sorting(linear([[0.5], [1.0]], [0.0, 100.0]), linear([[0.0, 1.0]])),
            "Right on a part of the line only: are the two numbers that MaxMin compares in the "
            "same order everywhere?",
            lambda got, want, _: (
                got.shape == want.shape and int(torch.isclose(got, want).sum()) > 1
            ),
        ),
    },
    wrong={
        "affine, nested": (
            nn.Sequential(nn.Sequential(linear([[0.5]]))),
            "linear layer 1 has ∞-norm 0.5",
        ),
        "bent beyond 1e9": (
            _sorting(linear([[1.0], [0.5]], [1e9, 0.0]), linear([[0.0, 1.0]])),
            "Right near 0",
        ),
        "last layer": (
            _sorting(linear([[1.0], [1.0]]), linear([[0.5, 0.0]])),
            "linear layer 2 has ∞-norm 0.5",
        ),
        "a width of 3": (
            _sorting(linear([[0.5], [0.5], [1.0]]), linear([[1.0, 0.0, 0.0]])),
            "a width of 3",
        ),
        "norm 2": (_sorting(linear([[1.0], [1.0]]), linear([[1.25, -0.75]])), "above 1"),
        "a function": (half, "An nn.Sequential is needed"),
    },
)

AFFINE_DEPTH = Exercise(
    name="08.affine-depth",
    judge=_judge_affine,
    solution=affine_network(),
    right={
        "the second of the pair": _sorting(
            linear(_TWICE), linear(torch.eye(2), _B), linear([[0.0, 1.0]])
        ),
        "the mean of the pair": _sorting(_MEANS, _SAME, linear(_W)),
        "nested": nn.Sequential(affine_network()[:2], affine_network()[2:]),
        "padded by a constant": _sorting(
            _MEANS, linear([[1.0, 0.0], [1.0, 0.0]]), linear([[1.0, 0.0]])
        ),
    },
    mistakes={
        "both selected": (
            _sorting(_MEANS, _SAME, linear([[1.0, 1.0]])),
            "This is twice the map: is one of the pair selected, or both?",
        ),
        "no offset": (
            _sorting(linear(_TWICE), _SAME, linear(_W)),
            "The offset ¼ is missing: in which layer can it stand?",
        ),
        "two offsets": (
            _sorting(_MEANS, linear(torch.eye(2), _B), linear(_W)),
            "The offset is counted twice: in which layers does it stand?",
        ),
        "minus": (
            _sorting(_MEANS, _SAME, linear([[-1.0, 0.0]])),
            "This is −f: which sign selects the first of the pair?",
        ),
        "minus the offset": (
            _sorting(linear(_TWICE, [-0.25, -0.25]), _SAME, linear(_W)),
            "The offset is subtracted: which sign has ¼ in f?",
        ),
        "absolute value": (
            _sorting(
                linear([[0.5, 0.5], [-0.5, -0.5]], [0.25, -0.25]), _SAME, linear([[1.0, 0.0]])
            ),
            "This is |f|: which two numbers does MaxMin compare?",
        ),
        "half a difference": (
            _sorting(linear([[0.5, -0.5], [0.5, -0.5]], _B), _SAME, linear(_W)),
            "This has ½(z₁ − z₂): which sign has z₂ in f?",
        ),
        "another offset": (
            _sorting(linear(_TWICE, [0.125, 0.125]), _SAME, linear(_W)),
            "Only the constant is not right: which offset arrives at the output?",
            off_by_a_constant,
        ),
        "the coordinates sorted": (
            _sorting(linear(torch.eye(2)), _SAME, linear([[1.0, 0.0]], [0.25])),
            "This is max(z₁, z₂) + ¼: which two numbers does MaxMin compare, and which should it?",
        ),
        "half of each": (
            _sorting(linear([[0.5, 0.0], [0.0, 0.5]], _B), _SAME, linear([[1.0, 0.0]])),
            "This is the greater of z₁/2 and z₂/2, with the offset: where are they added?",
        ),
        "relu": (
            _sorting(_MEANS, linear([[1.0, 0.0], [0.0, 0.0]]), linear([[1.0, 0.0]])),
            "This is max(f, 0): with which number is f compared?",
        ),
        "difference": (
            _sorting(_MEANS, _SAME, linear([[0.5, -0.5]])),
            "This is 0: what is the difference of two equal numbers?",
        ),
        "a part": (
            _sorting(linear([[0.5, 0.5], [0.25, 0.25]], _B), _SAME, linear([[1.0, 0.0]])),
            "Right on a part of the plane only: are the two numbers that MaxMin compares "
            "equal everywhere?",
            lambda got, want, _: got.shape == want.shape and bool(torch.isclose(got, want).any()),
        ),
        "other weights": (
            _sorting(linear([[0.25, 0.5], [0.25, 0.5]], _B), _SAME, linear(_W)),
            "It is affine, with other weights than f: which have z₁ and z₂?",
            _affine_too,
        ),
        "bent": (
            _sorting(linear([[0.5, 0.0], [0.0, 0.25]], _B), _SAME, linear([[1.0, 0.0]])),
            "It bends, and f does not: which two numbers does MaxMin compare, and is their order "
            "the same everywhere?",
            lambda got, want, z: (
                len(z) > 10
                and got.shape == want.shape
                and not _affine_too(got, want, z)
                and not nearly(got, want, 0.003)
                if len(z) > 10
                else None
            ),
        ),
    },
    wrong={
        "cut off above 1e8": (
            _sorting(linear([[0.5, 0.5], [0.0, 0.0]], [0.25, 1e8]), _SAME, linear([[0.0, 1.0]])),
            "Right near 0",
        ),
        "behind the output": (
            _sorting(linear(_W, [0.25]), linear([[1.0]]), linear([[1.0]])),
            "a width of 1",
        ),
        "one layer": (nn.Sequential(linear(_W, [0.25])), "yours has Linear."),
        "two layers": (
            _sorting(_MEANS, linear([[1.0, 0.0]])),
            "yours has Linear, MaxMin, Linear.",
        ),
        "no MaxMin": (
            nn.Sequential(_MEANS, _SAME, linear([[1.0, 0.0]])),
            "yours has Linear, Linear",
        ),
        "by pad_depth": (
            pad_depth(nn.Sequential(_MEANS, MaxMin(), linear([[1.0, 0.0]])), 3),
            "what lt.pad_depth puts there",
        ),
        "a function": (affine, "An nn.Sequential is needed"),
    },
)
