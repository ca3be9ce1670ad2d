"""Exercises of lesson 01 that build a network: distance, three-folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import (
    seeded,
)
from lipteach.classroom.compare_functions import compare_network
from lipteach.classroom.trials import off_by_a_constant
from lipteach.primitives import GroupSort, MaxMin
from lipteach.theory import linear

# --- 01.distance

R = math.sqrt(0.5)


def distance_network() -> nn.Sequential:
    """(x₁, x₂) to |x₁ − x₂|/√2, the distance from the diagonal."""
    return nn.Sequential(MaxMin(), linear([[R, -R]]))


def _at_most(cap: float, *layers: nn.Module) -> nn.Sequential:
    """The same network, cut off at a height where nobody looks."""
    cut = linear([[1.0], [0.0]], [0.0, cap])
    return nn.Sequential(*layers, cut, MaxMin(), linear([[0.0, 1.0]]))


def _distance(x: Tensor) -> Tensor:
    return (x[..., :1] - x[..., 1:]).abs() / math.sqrt(2)


def _not_finite() -> nn.Sequential:
    layer = linear([[R, -R]])
    layer.weight[0, 0] = math.nan
    return nn.Sequential(MaxMin(), layer)


def _not_0_on_the_diagonal(got: Tensor, want: Tensor, _x: Tensor) -> bool | None:
    even = want.abs() < 1e-9
    return bool(got[even].abs().max() > 1e-6) if even.any() else None


class _Wrapped(nn.Module):
    """The right layers in a class of one's own, which the check does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = distance_network()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(x))


# --- 01.three-folds

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
    layers: list[nn.Module] = [linear([[v] for v in first]), MaxMin()]
    for c in corners:
        layers += [linear(eye, [-c * v for v in shift]), MaxMin()]
    return nn.Sequential(*layers, linear([last or first]))


def _not_even(got: Tensor, _want: Tensor, x: Tensor) -> bool | None:
    return not torch.allclose(got, got.flip(0)) if torch.equal(x, -x.flip(0)) else None


def _other_shifts(got: Tensor, _want: Tensor, x: Tensor) -> bool | None:
    """| ||x| − c| − d | with c + d from the value at 5 and |c − d| from that at 0."""
    if len(x) < 40:
        return None
    both, apart = 5 - got[-1], got[20]
    if max((both - 3).abs(), (apart - 1).abs()) < 0.03:  # the right ones, with too few digits
        return False
    pairs = [((both + s * apart) / 2, (both - s * apart) / 2) for s in (1, -1)]
    return any(torch.allclose(got, ((x.abs() - c).abs() - d).abs(), atol=1e-4) for c, d in pairs)


def _three_folds(x: Tensor) -> Tensor:
    return ((x.abs() - 2).abs() - 1).abs()


EXERCISES = (
    Exercise(
        name="01.distance",
        judge=partial(
            compare_network,
            reference=_distance,
            inputs=[
                torch.tensor([[3.0, 1.0]]).double(),
                torch.tensor([[1.0, 1.0], [0.0, 3.0], [3.0, 0.0]]).double(),
                seeded(12, 2),
                1e3 * seeded(12, 2, seed=1),
            ],
            allowed=(nn.Linear, nn.Identity, MaxMin, GroupSort),
            tol=2e-6,
            everywhere=True,
        ),
        solution=distance_network(),
        right={
            "turned first": nn.Sequential(
                linear([[0.5, -0.5], [-0.5, 0.5]]), MaxMin(), linear([[R, -R]])
            )
        },
        mistakes={
            "not divided": (
                nn.Sequential(MaxMin(), linear([[1.0, -1.0]])),
                "|x₁ − x₂| itself: how long is the row (1, −1)?",
            ),
            "halved": (
                nn.Sequential(MaxMin(), linear([[0.5, -0.5]])),
                "|x₁ − x₂|/2: right for the ∞-norm; what may the row be long in the 2-norm?",
            ),
            "sum": (
                nn.Sequential(MaxMin(), linear([[R, R]])),
                "The sum of max and min is x₁ + x₂: which sign gives their difference?",
            ),
            "maximum": (
                nn.Sequential(MaxMin(), linear([[1.0, 0.0]])),
                "Your output is max(x₁, x₂): what must be taken from it?",
            ),
            "minimum": (
                nn.Sequential(MaxMin(), linear([[0.0, 1.0]])),
                "Your output is min(x₁, x₂): from what must it be taken?",
            ),
            "negative": (
                nn.Sequential(MaxMin(), linear([[-R, R]])),
                "Your output is negative: which place of a pair holds the maximum?",
            ),
            "no sort": (
                nn.Sequential(linear([[R, -R]])),
                "Without a sort the output is (x₁ − x₂)/√2: where does the sign go?",
            ),
            "default bias": (
                nn.Sequential(MaxMin(), linear([[R, -R]], [0.3])),
                "Off by one constant everywhere: has a layer a bias it does not need?",
                off_by_a_constant,
            ),
            "no row": (
                nn.Sequential(MaxMin()),
                "These are the maximum and the minimum: which row makes their difference?",
            ),
            "two rows": (
                nn.Sequential(MaxMin(), linear([[R, -R], [-R, R]])),
                "Two outputs come out, and a distance is one number: which of your rows makes it?",
                lambda got, *_: got.shape[-1] == 2,
            ),
            "one input": (
                nn.Sequential(linear([[R], [-R]]), MaxMin(), linear([[R, -R]])),
                "A layer takes one number and gets two: how many columns has its matrix?",
            ),
            "not on the diagonal": (
                nn.Sequential(MaxMin(), linear([[0.6, -0.8]])),
                "At (1, 1), on the diagonal, your output is not 0: what cancels what there?",
                _not_0_on_the_diagonal,
            ),
        },
        wrong={
            "at most 1e4": (_at_most(1e4, *distance_network()), "where does a bias cut it off"),
            "four digits": (nn.Sequential(MaxMin(), linear([[0.7071, -0.7071]])), "Nearly"),
            "ReLU": (nn.Sequential(nn.ReLU(), linear([[R, -R]])), "uses ReLU"),
            "a module of one's own": (_Wrapped(), "in an nn.Sequential"),
            "not finite": (_not_finite(), "not finite"),
            "a function": (_distance, "A network"),
        },
    ),
    Exercise(
        name="01.three-folds",
        judge=partial(
            compare_network,
            reference=_three_folds,
            inputs=[
                torch.linspace(-5, 5, 41).double()[:, None],
                torch.tensor([[-60.0], [-40.0], [15.0], [50.0]]).double(),
            ],
            allowed=(nn.Linear, nn.Identity, MaxMin, GroupSort),
            tol=2e-6,
            everywhere=True,
        ),
        solution=_folds(2.0, 1.0),
        right={"two units": _folds(2.0, 1.0, first=PAIR)},
        mistakes={
            "a fold too many": (
                _folds(2.0, 1.0, 1.0),
                "This folds once more than asked: how many bars has the formula?",
            ),
            "both corners 2": (
                _folds(2.0, 2.0),
                "This is | ||x| − 2| − 2 |: by how much is the last shift?",
            ),
            "both corners 1": (
                _folds(1.0, 1.0),
                "This is | ||x| − 1| − 1 |: by how much is the first shift?",
            ),
            "the first bias added": (
                _folds(-2.0, 1.0),
                "This is |x| + 1: which bias has the wrong sign?",
            ),
            "the last bias added": (
                _folds(2.0, -1.0),
                "This is ||x| − 2| + 1: which bias has the wrong sign?",
            ),
            "two folds by 1": (
                _folds(1.0),
                "This is ||x| − 1|: where is the shift by 2?",
            ),
            "minus": (
                _folds(2.0, 1.0, last=[-v for v in E]),
                "This is minus the function: which sign has the last row?",
            ),
            "halved": (
                _folds(2.0, 1.0, last=(1.0, 0.0, 0.0, 0.0)),
                "This is half of it: what do the units hold that your last row leaves out?",
            ),
            "cancelled": (
                _folds(2.0, 1.0, last=(0.5, 0.5, 0.5, 0.5)),
                "The units cancel: which signs has e?",
            ),
            "other order": (_folds(1.0, 2.0), "This is | ||x| − 1| − 2 |: which fold comes first?"),
            "two folds": (
                _folds(2.0),
                "This is ||x| − 2|, two folds: which hidden layer is still missing?",
            ),
            "biases added": (
                _folds(-2.0, -1.0),
                "This is |x| + 3: which sign must the biases have to bring a corner below 0?",
            ),
            "shifted in one step": (
                _folds(3.0),
                "This is ||x| − 3|: can two shifts without a sort between them fold twice?",
            ),
            "the same bias for all": (
                _folds(2.0, 1.0, shift=(1.0,) * 4),
                "This is |x|: where is a shift, and what does eᵀ make of one equal for all units?",
            ),
            "last sort forgotten": (
                nn.Sequential(*list(_folds(2.0, 1.0))[:-2], linear([E])),
                "This is ||x| − 2| − 1: which layer makes an absolute value of it?",
            ),
            "unscaled biases on two units": (
                _folds(2.0, 1.0, first=PAIR, shift=(1.0, -1.0)),
                "This is | ||x| − 2√2| − √2 |: your two units hold |x|/√2; "
                "how much of it is a shift by 2?",
            ),
            "unscaled biases on four units": (
                _folds(2.0, 1.0, shift=(1.0, -1.0, 1.0, -1.0)),
                "This is | ||x| − 4| − 2 |: your units hold |x|/2; how much of it is a shift by 2?",
            ),
            "a half and a quarter": (
                _folds(2.0, 1.0, shift=(1.0, 0.0, 0.0, 0.0)),
                "This is | ||x| − 1| − ½ |: your biases take half of what they should from the "
                "output. What does eᵀ make of them?",
            ),
            "the root left out": (
                _folds(2.0, 1.0, first=PAIR, shift=(0.5, -0.5)),
                "This is | ||x| − √2| − √½ |: what does the row (√½, −√½) make of the biases?",
            ),
            "signs kept": (
                _folds(2.0, 1.0, first=[-v for v in E]),
                "This is −|x| − 3: after the first sort the units hold |x| e, whatever their signs "
                "were. Which signs have the biases and the last row?",
            ),
            "one fold, shifted by 3": (
                nn.Sequential(linear([[R], [-R]]), MaxMin(), linear([[R, -R]], [-3.0])),
                "This is |x| − 3: which layers fold it again?",
            ),
            "shifted before the first sort": (
                nn.Sequential(
                    linear([[v] for v in E], [-2 * v for v in E]), *list(_folds(0.0, 1.0))[1:]
                ),
                "This is ||x − 2| − 1|: which fold comes before the shift by 2?",
            ),
            "last bias": (
                nn.Sequential(*list(_folds(2.0, 1.0))[:-1], linear([E], [0.3])),
                "All is off by one constant: does the last layer need a bias?",
                off_by_a_constant,
            ),
            "a short row": (
                _folds(2.0, 1.0, last=(R, -R, 0.0, 0.0)),
                "This is √½ of it: how long is the last row, and does it read every unit?",
            ),
            "no last row": (
                nn.Sequential(*list(_folds(2.0, 1.0))[:-1]),
                "Your units hold the function times e: which row makes one number of them?",
                lambda got, *_: got.shape[-1] > 1,
            ),
            "other shifts": (
                _folds(2.0, 3.0),
                "The corners lie elsewhere: which numbers are subtracted, and in which order?",
                _other_shifts,
            ),
            "not even": (
                _folds(2.0, 1.0, first=(0.5,) * 4),
                "It differs at x and −x, and |x| does not: what does the first sort get?",
                _not_even,
            ),
            "the infinity norm's weights": (
                _folds(2.0, 1.0, first=(1.0, -1.0), last=(0.5, -0.5)),
                "The function is right and these weights suit the ∞-norm: how long is (1, −1)?",
            ),
        },
        wrong={
            "a function": (_three_folds, "A network"),
            "at most 1e8": (_at_most(1e8, *_folds(2.0, 1.0)), "where does a bias cut it off"),
        },
    ),
)
