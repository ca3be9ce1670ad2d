"""The exercises of lesson 01."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    call,
    compare_number,
    compare_tensor,
    need_tensor,
    seeded,
    show_apart,
)
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.classroom.trials import off_by_a_constant
from lipteach.primitives import GroupSort, MaxMin
from lipteach.primitives import group_sort as package_group_sort
from lipteach.theory import linear

# --- 01.group-sort


def _groups(x: Tensor, size: int) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, size)


def _sorted(x: Tensor, size: int, dim: int) -> Tensor:
    return _groups(x, size).sort(dim=dim, descending=True).values.reshape(x.shape)


def group_sort(x: Tensor, size: int) -> Tensor:
    """Each group of ``size`` neighbours of the last dimension in descending order."""
    return _sorted(x, size, dim=-1)


def _ascending(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1).values.reshape(x.shape)


def _looped(x: Tensor, size: int) -> Tensor:
    parts = [x[..., i : i + size] for i in range(0, x.shape[-1], size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts], dim=-1)


def _ends(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return torch.stack([groups.amax(-1), groups.amin(-1)], dim=-1).flatten(-2)


def _first_dim(x: Tensor, size: int) -> Tensor:
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts])


# --- 01.tie


def _judge_tie(answer: Any) -> None:
    x = need_tensor(answer, shape=(4,))
    if isinstance(answer, (list, tuple)):
        x = x.float()  # as torch.tensor(answer) rounds them
    if not torch.isfinite(x).all():
        raise Hint("value", "The entries must be finite numbers.")
    a, b, c, d = x.tolist()
    if a == b or c == d:
        return
    if len({a, b, c, d}) < 4:
        raise Hint("ties", "Two entries are equal, but in which groups do they stand?")
    gap = min(abs(a - b), abs(c - d))
    if gap < 1e-3:
        raise Hint("ties", "Nearly equal is still ordered: what happens when they are equal?")
    raise Hint(
        "value",
        "In each pair one entry is the greater, and both versions have the same Jacobian: "
        "when does a pair have no greater entry?",
    )


# --- 01.distance

R = math.sqrt(0.5)


def distance_network() -> nn.Sequential:
    """(x₁, x₂) to |x₁ − x₂|/√2, the distance from the diagonal."""
    return nn.Sequential(MaxMin(), linear([[R, -R]]))


def _distance(x: Tensor) -> Tensor:
    return (x[..., :1] - x[..., 1:]).abs() / math.sqrt(2)


def _not_finite() -> nn.Sequential:
    layer = linear([[R, -R]])
    layer.weight[0, 0] = math.nan
    return nn.Sequential(MaxMin(), layer)


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


def _three_folds(x: Tensor) -> Tensor:
    return ((x.abs() - 2).abs() - 1).abs()


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
    for a, v in zip(slopes, found, strict=True):
        norm, product = v.norm().item(), 2 * (v[0] * v[1]).item()
        if not abs(norm - 1) <= 1e-4:  # NaN too
            text = f"For a = {a:g} the norm of v is {_three(norm, 1.0)}: which is asked?"
            if 0 < abs(norm - 1) <= 0.01:
                text += f" {NEARLY}"
            raise Hint("constraint", text, (a,))
        if not abs(product - a) <= 1e-4:
            shown = _three(product, a)
            text = f"For a = {a:g} your v has 2·v₁·v₂ = {shown}: which value is asked?"
            raise Hint("value", text, (a,))
    raise Hint("value", "Both equations hold for each a: does v₁ ≥ |v₂| hold as well?")


EXERCISES = (
    Exercise(
        name="01.predict-sort",
        judge=partial(
            compare_tensor,
            value=[3, 2, 1, 6, 5, 4],
            otherwise="Run lt.group_sort(torch.tensor([1.0, 2.0, 3.0, 4.0]), 2): what are its "
            "groups?",
        ),
        solution=[3, 2, 1, 6, 5, 4],
        right={"tuple": (3, 2, 1, 6, 5, 4)},
        mistakes={
            "count": (
                [2, 1, 4, 3, 6, 5],
                "That is three groups: is the 3 the number of groups, or the size of each?",
            ),
            "ascending": (
                [1, 2, 3, 4, 5, 6],
                "Each group is in ascending order here: which end does GroupSort put first?",
            ),
            "all": ([6, 5, 4, 3, 2, 1], "That is FullSort: may the 6 leave its group?"),
            "every second": (
                [5, 3, 1, 6, 4, 2],
                "That sorts every second entry: which entries are neighbours?",
            ),
            "one group only": (
                [3, 2, 1, 4, 5, 6],
                "The first group is sorted: what becomes of 4, 5 and 6?",
            ),
            "the second group first": (
                [6, 5, 4, 1, 2, 3],
                "Two groups, but a group stays where it is: which three come first?",
            ),
            "from 0": (
                [2, 1, 0, 5, 4, 3],
                "These are places, counted from 0: which numbers stand there?",
            ),
            "interleaved": (
                [3, 6, 2, 5, 1, 4],
                "The groups are right, and taken in turns: where does each group stay?",
            ),
            "halves exchanged": (
                [4, 5, 6, 1, 2, 3],
                "The groups change places and are not sorted: which of the two is asked for?",
            ),
            "only the first": (
                [3, 1, 2, 6, 4, 5],
                "Only the greatest comes first: which comes second?",
            ),
            "maxima": (
                [3, 6],
                "Those are the maxima of the groups: where do the other entries go?",
            ),
        },
        wrong={
            "a word": ("321654", "A list or tensor of numbers is needed"),
            "two exchanged": ([3, 2, 1, 6, 4, 5], "entry 5 of 6 is 4"),
        },
    ),
    Exercise(
        name="01.group-sort",
        judge=partial(
            compare_function,
            reference=group_sort,
            inputs=[
                (torch.tensor([1.0, 3.0, 2.0, 6.0, 4.0, 5.0]).double(), 3),
                (seeded(8), 2),
                (seeded(6), 6),
            ],
            layouts=[(seeded(2, 3, 8), 4), (seeded(6, 5).T, 3)],
            ties=[(torch.tensor([2.0, 2.0, 1.0, 1.0]).double(), 2), (torch.zeros(4).double(), 4)],
            gradient=True,
            permutation_at_ties=True,
        ),
        solution=group_sort,
        right={
            "looped": _looped,
            "bfloat16": lambda x, size: group_sort(x.bfloat16(), size),
            "float16": lambda x, size: group_sort(x.half(), size),
            "the package's": package_group_sort,
            "negated": lambda x, size: -_ascending(-x, size),
        },
        mistakes={
            "ascending": (_ascending, "Ascending order: which end of the group comes first?"),
            "count": (
                lambda x, size: group_sort(x, x.shape[-1] // size),
                "You make `size` groups: what is `size` the size of?",
            ),
            "strided": (
                lambda x, size: (
                    x.reshape(*x.shape[:-1], size, -1)
                    .sort(dim=-2, descending=True)
                    .values.reshape(x.shape)
                ),
                "Your groups take entries from far apart: which are neighbours?",
            ),
            "sizes": (
                lambda x, size: _sorted(x.abs(), size, dim=-1),
                "The signs are gone: is −2 larger than 1?",
            ),
            "only the first group": (
                lambda x, size: torch.cat(
                    [x[..., :size].sort(dim=-1, descending=True).values, x[..., size:]], dim=-1
                ),
                "The first group is sorted, the others are not: which loop or shape is missing?",
                lambda got, _want, x, size: (
                    None if torch.equal(got, x) else torch.equal(got[..., size:], x[..., size:])
                ),
            ),
            "negated": (
                lambda x, size: _ascending(-x, size),
                "This sorts −x: which sign is to be turned back?",
            ),
            "pairs": (
                lambda x, _size: group_sort(x, 2),
                "These are pairs, whatever `size` is: where does it enter?",
            ),
            "maxima": (
                lambda x, size: (
                    _groups(x, size).amax(-1, keepdim=True).expand(_groups(x, size).shape)
                ).reshape(x.shape),
                "Every place of a group holds its maximum: where are the other entries?",
            ),
            "ranks": (
                lambda x, size: (
                    _groups(group_sort(x, size), size).transpose(-1, -2).reshape(x.shape)
                ),
                "All first places, then all second ones: do the groups stay put?",
            ),
            "one vector": (
                lambda x, size: x.view(-1, size).sort(dim=-1, descending=True).values.view(-1),
                "Right for one vector: what does `view` do to a batch of them?",
            ),
            "first dimension": (
                _first_dim,
                "Right for one vector: which dimension does `x[i:i+size]` cut in a batch?",
            ),
            "dimension 1": (
                lambda x, size: _sorted(x, size, dim=1),
                "Right for one vector: which dimension has the number 1 in a batch?",
            ),
            "across": (
                lambda x, size: _sorted(x, size, dim=-2),
                "You sort across the groups: which dimension holds one group?",
            ),
            "reversed": (
                lambda x, size: _groups(x, size).flip(-1).reshape(x.shape),
                "You turn each group around: what if it does not ascend?",
            ),
            "flipped": (
                lambda x, size: _ascending(x, size).flip(-1),
                "After the flip the last group comes first: which dimension is to be flipped?",
            ),
            "indices": (
                lambda x, size: (
                    _groups(x, size).sort(dim=-1, descending=True).indices.reshape(x.shape)
                ),
                "These are the indices of the sort: where are the values?",
            ),
            "two of size": (
                _ends,
                "Two entries a group are left: where is the middle of a group of 3?",
            ),
            "all": (
                lambda x, _size: group_sort(x, x.shape[-1]),
                "That sorts everything: where does one group end?",
            ),
            "input": (
                lambda x, _size: x.clone(),
                "Your function returns its input.",
                lambda got, _want, x, _size: torch.equal(got, x),
            ),
        },
        wrong={
            "the pair": (lambda x, _size: x.sort(), "returns a pair"),
            "detached": (lambda x, size: group_sort(x, size).detach(), "no gradient flows"),
        },
    ),
    Exercise(
        name="01.tie",
        judge=_judge_tie,
        solution=[1, 1, 3, 2],
        right={
            "second pair": torch.tensor([4.0, 3.0, 0.0, 0.0]),
            "all": [0, 0, 0, 0],
            "equal in float32": [1, 1 + 1e-9, 3, 2],
        },
        wrong={
            "distinct": ([3, 1, 2, 4], "no greater entry"),
            "across groups": ([1, 2, 2, 3], "in which groups"),
            "nearly": ([1, 1 + 1e-5, 3, 2], "Nearly equal"),
            "a pair": ([1, 1], "is needed"),
            "not a number": ([math.inf, math.inf, 1, 2], "finite"),
        },
    ),
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
        },
        wrong={
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
                torch.tensor([[-1e3], [-40.0], [15.0], [300.0]]).double(),
            ],
            allowed=(nn.Linear, nn.Identity, MaxMin, GroupSort),
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
                "This is half of it, one unit alone: what do the other units hold?",
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
                "This is |x|: what does eᵀ make of a shift that is equal for all units?",
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
            "the infinity norm's weights": (
                _folds(2.0, 1.0, first=(1.0, -1.0), last=(0.5, -0.5)),
                "The function is right and these weights suit the ∞-norm: how long is (1, −1)?",
            ),
        },
        wrong={"a function": (_three_folds, "A network")},
    ),
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
        },
        wrong={
            "three digits": (
                lambda a: [round(v, 3) for v in leaky_weights(a).tolist()],
                "Nearly",
            ),
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
            "rows": (1, "Each row has norm 1: what does the layer do to x = u, the row itself?"),
            "factor": (1 / 3, "That is the factor which mends the layer: what is its norm before?"),
            "two rows": (math.sqrt(2), "That is the norm for two rows: how many are here?"),
        },
        wrong={"the matrix": ([[1.0, 0.0]] * 9, "number")},
    ),
)
