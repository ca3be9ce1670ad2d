"""The exercises of lesson 01."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    When,
    call,
    compare_number,
    compare_tensor,
    need_tensor,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.primitives import GroupSort, MaxMin
from lipteach.primitives import group_sort as package_group_sort

# --- 01.predict-sort


def _judge_predict(answer: Any) -> None:
    compare_tensor(
        answer,
        [3.0, 2.0, 1.0, 6.0, 5.0, 4.0],
        mistakes=[
            (
                [2.0, 1.0, 4.0, 3.0, 6.0, 5.0],
                "That is three groups: is the 3 the number of groups, or the size of each?",
            ),
            (
                [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "Each group is in ascending order here: which end does GroupSort put first?",
            ),
            ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], "That is FullSort: may the 6 leave its group?"),
            (
                [5.0, 3.0, 1.0, 6.0, 4.0, 2.0],
                "That sorts every second entry: which entries are neighbours?",
            ),
            ([3.0, 6.0], "Those are the maxima of the groups: where do the other entries go?"),
        ],
    )


# --- 01.group-sort


def _groups(x: Tensor, size: int) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, size)


def group_sort(x: Tensor, size: int) -> Tensor:
    """Each group of ``size`` neighbours of the last dimension in descending order."""
    return _groups(x, size).sort(dim=-1, descending=True).values.reshape(x.shape)


def _ascending(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1).values.reshape(x.shape)


def _by_count(x: Tensor, size: int) -> Tensor:
    return group_sort(x, x.shape[-1] // size)


def _strided(x: Tensor, size: int) -> Tensor:
    apart = x.reshape(*x.shape[:-1], size, -1)
    return apart.sort(dim=-2, descending=True).values.reshape(x.shape)


def _ranks_together(x: Tensor, size: int) -> Tensor:
    return _groups(group_sort(x, size), size).transpose(-1, -2).reshape(x.shape)


def _one_vector(x: Tensor, size: int) -> Tensor:
    return x.view(-1, size).sort(dim=-1, descending=True).values.view(-1)


def _ends(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return torch.stack([groups.amax(-1), groups.amin(-1)], dim=-1).flatten(-2)


def _all(x: Tensor, _size: int) -> Tensor:
    return group_sort(x, x.shape[-1])


def _first_dim(x: Tensor, size: int) -> Tensor:
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts])


def _dim_one(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=1, descending=True).values.reshape(x.shape)


def _across(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-2, descending=True).values.reshape(x.shape)


def _reversed(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).flip(-1).reshape(x.shape)


def _flipped(x: Tensor, size: int) -> Tensor:
    return _ascending(x, size).flip(-1)


def _indices(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1, descending=True).indices.reshape(x.shape)


def _judge_group_sort(answer: Any) -> None:
    compare_function(
        answer,
        group_sort,
        inputs=[
            (torch.tensor([1.0, 3.0, 2.0, 6.0, 4.0, 5.0]).double(), 3),
            (seeded(8), 2),
            (seeded(6), 6),
        ],
        layouts=[(seeded(2, 3, 8), 4), (seeded(6, 5).T, 3)],
        ties=[(torch.tensor([2.0, 2.0, 1.0, 1.0]).double(), 2), (torch.zeros(4).double(), 4)],
        gradient=True,
        permutation_at_ties=True,
        mistakes=[
            (_ascending, "Ascending order: which end of the group comes first?"),
            (_by_count, "You make `size` groups: what is `size` the size of?"),
            (_strided, "Your groups take entries from far apart: which are neighbours?"),
            (_ranks_together, "All first places, then all second ones: do the groups stay put?"),
            (_one_vector, "Right for one vector: what does `view` do to a batch of them?"),
            (
                _first_dim,
                "Right for one vector: which dimension does `x[i:i+size]` cut in a batch?",
            ),
            (_dim_one, "Right for one vector: which dimension has the number 1 in a batch?"),
            (_across, "You sort across the groups: which dimension holds one group?"),
            (_reversed, "You turn each group around: what if it does not ascend?"),
            (
                _flipped,
                "After the flip the last group comes first: which dimension is to be flipped?",
            ),
            (_indices, "These are the indices of the sort: where are the values?"),
            (_ends, "Two entries a group are left: where is the middle of a group of 3?"),
            (_all, "That sorts everything: where does one group end?"),
            (
                When(lambda got, _want, x, _size: torch.equal(got, x)),
                "Your function returns its input.",
            ),
        ],
    )


def _looped(x: Tensor, size: int) -> Tensor:
    parts = [x[..., i : i + size] for i in range(0, x.shape[-1], size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts], dim=-1)


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
        name="01.predict-sort",
        question="What is group_sort of (1, 2, 3, 4, 5, 6) with size 3?",
        difficulty=1,
        minutes=2,
        judge=_judge_predict,
        solution=[3, 2, 1, 6, 5, 4],
        right={
            "tensor": torch.tensor([3.0, 2.0, 1.0, 6.0, 5.0, 4.0]),
            "tuple": (3, 2, 1, 6, 5, 4),
        },
        wrong={
            "count": ([2, 1, 4, 3, 6, 5], "number of groups"),
            "ascending": ([1, 2, 3, 4, 5, 6], "ascending order"),
            "all": ([6, 5, 4, 3, 2, 1], "That is FullSort"),
            "every second": ([5, 3, 1, 6, 4, 2], "every second entry"),
            "maxima": ([3, 6], "maxima of the groups"),
            "a word": ("321654", "A list or tensor of numbers is needed"),
            "two exchanged": ([3, 2, 1, 6, 4, 5], "entry 5 of 6 is 4"),
        },
    ),
    Exercise(
        name="01.group-sort",
        question="Sort each group of `size` neighbours of the last dimension, descending.",
        difficulty=2,
        minutes=8,
        judge=_judge_group_sort,
        solution=group_sort,
        right={
            "looped": _looped,
            "float32": lambda x, size: group_sort(x.float(), size),
            "bfloat16": lambda x, size: group_sort(x.bfloat16(), size),
            "float16": lambda x, size: group_sort(x.half(), size),
            "the package's": package_group_sort,
            "negated": lambda x, size: -_ascending(-x, size),
        },
        wrong={
            "ascending": (_ascending, "Ascending order"),
            "count": (_by_count, "You make `size` groups"),
            "strided": (_strided, "far apart"),
            "ranks": (_ranks_together, "All first places"),
            "one vector": (_one_vector, "Right for one vector"),
            "first dimension": (_first_dim, "cut in a batch"),
            "dimension 1": (_dim_one, "has the number 1"),
            "across": (_across, "across the groups"),
            "reversed": (_reversed, "turn each group around"),
            "flipped": (_flipped, "After the flip"),
            "indices": (_indices, "indices of the sort"),
            "the pair": (lambda x, _size: x.sort(), "returns a pair"),
            "two of size": (_ends, "Two entries a group are left"),
            "all": (_all, "sorts everything"),
            "input": (lambda x, _size: x.clone(), "returns its input"),
            "detached": (lambda x, size: group_sort(x, size).detach(), "no gradient flows"),
        },
    ),
    Exercise(
        name="01.tie",
        question="Find four numbers at which the Jacobian of by_maximum is no permutation.",
        difficulty=1,
        minutes=3,
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
