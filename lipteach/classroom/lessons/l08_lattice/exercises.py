"""The exercises of lesson 08."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    When,
    a_kind,
    call,
    close,
    compare_tensor,
    need_tensor,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.primitives import GroupSort, MaxMin
from lipteach.theory import linear
from lipteach.theory.lipschitz_class import flat


def max_min(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """The max over i of the min over j ≠ i of the line through (x_i, a_i) and (x_j, a_j), at z."""
    i, j = x[:, None], x[None, :]
    slopes = (a[None, :] - a[:, None]) / (j - i)  # (N, N), 0/0 on the diagonal
    lines = a[:, None] + slopes * (z[:, None, None] - i)  # (M, N, N)
    lines[:, range(len(x)), range(len(x))] = torch.inf
    return lines.amin(dim=2).amax(dim=1)


def _min_max(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return -max_min(z, x, -a)


def _with_diagonal(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """With the constant a_i as f_ii."""
    i = x[:, None]
    slopes = ((a[None, :] - a[:, None]) / (x[None, :] - i)).nan_to_num(0.0)
    return (a[:, None] + slopes * (z[:, None, None] - i)).amin(dim=2).amax(dim=1)


def _with_zero(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """With 0 as f_ii."""
    i = x[:, None]
    lines = a[:, None] + (a[None, :] - a[:, None]) / (x[None, :] - i) * (z[:, None, None] - i)
    return lines.nan_to_num(0.0).amin(dim=2).amax(dim=1)


def _half_of_the_pairs(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Only j > i in the minimum of i."""
    return torch.stack([_first(z, x[i:], a[i:]) for i in range(len(x) - 1)]).amax(dim=0)


def _first(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """The minimum over the lines through the first point."""
    slopes = (a[1:] - a[0]) / (x[1:] - x[0])
    return (a[0] + slopes * (z[:, None] - x[0])).amin(dim=1)


def _cones(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    return (a - (z[:, None] - x).abs()).amax(dim=1)


def _chords(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Straight from point to point."""
    k = torch.searchsorted(x, z).clamp(1, len(x) - 1)
    return a[k - 1] + (a[k] - a[k - 1]) / (x[k] - x[k - 1]) * (z - x[k - 1])


def _has_nan(got: Tensor, *_: Any) -> bool:
    return bool(got.isnan().any())


def _judge_max_min(answer: Any) -> None:
    x = torch.tensor([-1.0, -0.4, 0.1, 0.5, 1.0]).double()
    z = 2 * seeded(12, seed=8)  # beyond the points as well
    compare_function(
        answer,
        max_min,
        [(z, x, (3 * x).sin() / 3), (z, x, 0.6 * x + 0.2 * x.abs()), (x, x, (2 * x).cos() / 2)],
        mistakes=[
            (
                _min_max,
                "This is the minimum of the maxima: which comes first for the lattice here?",
            ),
            (_with_diagonal, "A constant a_i takes part as the piece j = i: is it to be there?"),
            (_with_zero, "A 0 takes part as the piece j = i: which number is never the minimum?"),
            (
                _half_of_the_pairs,
                "Only j > i takes part: each line is there once, but does each i meet all its j?",
            ),
            (
                _cones,
                "These are cones of slope ±1 on each point: which slope does the piece f_ij have?",
            ),
            (_chords, "This goes straight from point to point: what do the other pieces do there?"),
            (When(_has_nan), "Some values are NaN: what is the slope of f_ii, and who needs it?"),
            (
                lambda z, x, a: max_min(z, x, a).max(),
                "One number for all z: along which dimensions run i and j?",
            ),
        ],
    )


_POINTS = (2 * torch.arange(8, dtype=torch.float64) + 1) / 8 - 1
_GRID = torch.linspace(-1, 1, 1601, dtype=torch.float64)


def roof(z: Tensor) -> Tensor:
    """−|z|: the values on both sides pull the pieces down, and g has its top between two points."""
    return -z.abs()


def _judge_worst(answer: Any) -> None:
    """1-Lipschitz on [−1, 1], and the lattice through 8 points errs by 1.7 r at least."""
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.abs.")
    got = need_tensor(call(answer, _GRID.clone()))
    if got.shape != _GRID.shape:
        raise Hint("shape", "One value is needed for each entry of z.")
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "Some of the values on [−1, 1] are not finite.")
    steepness = (got.diff() / _GRID.diff()).abs()
    if float(steepness.max()) > 1.001:
        at = round(float(_GRID[int(steepness.argmax())]), 2) + 0.0
        raise Hint(
            "constraint",
            f"Near z = {at:.2f} the slope is ±{float(steepness.max()):.3g}: is g 1-Lipschitz?",
        )
    a = got[100::200]  # the values at the 8 points
    ratio = 8 * float((max_min(_GRID, _POINTS, a) - got).abs().max())
    if ratio < 0.01:
        raise Hint("value", "G equals this g everywhere: what must g do that no chord can?")
    if ratio < 1.01:
        text = "which way must the values left and right go, so that G falls where g rises?"
        raise Hint("value", f"The largest error is {ratio:.2f} r: {text}")
    if ratio < 1.695:
        text = "can your top have more points on both of its sides, or steeper slopes?"
        raise Hint("value", f"The largest error is {ratio:.2f} r, more than a chord's: {text}")


def slope(d: Tensor, c: float) -> Tensor:
    """The w with w·d = c of least 1-norm, the dual of p = ∞: one entry, at the largest |d_k|."""
    k = d.abs().argmax()
    w = torch.zeros_like(d)
    w[k] = c / d[k]
    return w


def _rows_of_d() -> list[tuple[Tensor, float]]:
    given = ([0.5, -2.0, 1.0], [3.0, 1.0], [0.25, 0.5, -0.75, 1.0], [-1.5])
    return [
        (torch.tensor(d).double(), c) for d, c in zip(given, (1.5, -2.0, 0.25, 1.0), strict=True)
    ]


def _judge_slope(answer: Any) -> None:
    compare_function(
        answer,
        slope,
        _rows_of_d(),
        mistakes=[
            (
                lambda d, c: c * d / (d @ d),
                "This is right for p = 2: what does ‖w‖₁ ask for?",
            ),
            (
                lambda d, c: c * d.sign() / d.abs().sum(),
                "This is right for p = 1, with ‖w‖_∞ least: which w has the least ‖w‖₁?",
            ),
            (
                lambda d, c: slope(d, c).abs() * (1 if c > 0 else -1),
                "Right wherever the largest entry of d is positive: what if it is negative?",
            ),
            (
                lambda d, c: c * slope(d, 1.0).sign(),
                "w·d is not c: by what must c be divided?",
            ),
            (
                lambda d, c: torch.where(d == d.max(), c / d, 0.0),
                "This takes the largest entry: is it the largest in size?",
            ),
            (
                lambda d, c: c / d / len(d),
                "w·d = c holds, with the work shared by all entries: does that make ‖w‖₁ least?",
            ),
            (
                When(lambda got, _, d, c: close(got @ d, torch.tensor(c).double())),
                "w·d = c holds, but ‖w‖₁ can be less: which entry brings most for each unit?",
            ),
            (
                When(lambda got, want, *_: got.shape == want.shape),
                "w·d is not c: what does each entry of w bring to this product?",
            ),
        ],
    )


SIZE = [780.0, 12.0]


def _judge_pieces(answer: Any) -> None:
    compare_tensor(
        answer,
        SIZE,
        mistakes=[
            ([1560.0, 12.0], "Each piece is counted twice: f_ij and f_ji are the same line."),
            ([190.0, 10.0], "This reaches 0.1: how many points make 2r = 0.05?"),
            ([190.0, 12.0], "The layers fit, the pieces are those of 20 points: is 2/20 = 0.05?"),
            ([12.0, 780.0], "Both numbers are right: which of them is asked for first?"),
            ([780.0, 6.0], "The pieces are right; a tree for the minima takes 6 layers: and then?"),
            (
                [780.0, 77.0],
                "The pieces are right; 38 + 39 is a chain: how deep is a balanced tree?",
            ),
            ([780.0, 78.0], "The pieces are right; that is a chain: how deep is a balanced tree?"),
            (
                When(lambda got: len(got) == 2 and got[0] == 780),
                "The pieces are right: how often must 39, and then 40, be halved until 1 is left?",
            ),
            (
                When(lambda got: len(got) == 2 and got[1] == 12),
                "The layers are right: how many pairs are there among the points you need?",
            ),
            (
                When(lambda got: len(got) == 2 and got[0] == 1560),
                "Each piece is counted twice, and of the layers: 39 and 40 members need how many?",
            ),
            (
                When(lambda got: len(got) == 2 and got[0] in (190, 380)),
                "These are the pieces of 20 points: is 2/20 at most 0.05?",
            ),
            (
                When(lambda got: len(got) == 2 and got[0] in (39, 40)),
                "This counts points, or the pieces through one of them: how many are there in all?",
            ),
        ],
    )


ALLOWED = (nn.Linear, MaxMin, GroupSort)


def _need_pairs(answer: Any) -> list[nn.Linear]:
    """The linear layers, nested ones too; a MaxMin that meets an odd width is told first."""
    if isinstance(answer, type) or not isinstance(answer, nn.Sequential):
        raise Hint("type", f"An nn.Sequential is needed, and this is {a_kind(answer)}.")
    layers: list[nn.Linear] = []
    for module in flat(answer):
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
    kinds = ["Linear" if isinstance(module, nn.Linear) else "MaxMin" for module in flat(answer)]
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
        name="08.slope",
        question="The slope of the separating map for p = ∞.",
        difficulty=1,
        minutes=8,
        judge=_judge_slope,
        solution=slope,
        right={
            "one-hot": lambda d, c: torch.nn.functional.one_hot(d.abs().argmax(), len(d)) * (c / d),
            "float32": lambda d, c: slope(d.float(), c),
            "by sign": lambda d, c: torch.where(
                torch.arange(len(d)) == d.abs().argmax(), c * d.sign() / d.abs().max(), 0.0
            ),
        },
        wrong={
            "p = 2": (lambda d, c: c * d / (d @ d), "right for p = 2"),
            "p = 1": (lambda d, c: c * d.sign() / d.abs().sum(), "right for p = 1"),
            "no sign": (
                lambda d, c: (slope(d, c) != 0) * c / d.abs().max(),
                "what if it is negative",
            ),
            "not divided": (
                lambda d, c: c * slope(d, 1.0).sign(),
                "by what must c be divided",
            ),
            "largest, signed": (
                lambda d, c: torch.where(d == d.max(), c / d, 0.0),
                "largest in size",
            ),
            "shared": (lambda d, c: c / d / len(d), "shared by all"),
            "smallest entry": (
                lambda d, c: torch.where(d.abs() == d.abs().min(), c / d, 0.0),
                "brings most for each unit",
            ),
            "multiplied": (lambda d, c: slope(d, c) * d * d, "bring to this product"),
            "one entry": (lambda d, c: c / d[d.abs().argmax()], "result has shape ()"),
        },
    ),
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
        name="08.max-min",
        question="The maximum of minima through N points of a line.",
        difficulty=2,
        minutes=12,
        judge=_judge_max_min,
        solution=max_min,
        right={
            "a loop": lambda z, x, a: torch.stack(
                [
                    torch.stack(
                        [
                            min(
                                p + (q - p) / (y - s) * (t - s)
                                for y, q in zip(x, a, strict=True)
                                if y != s
                            )
                            for s, p in zip(x, a, strict=True)
                        ]
                    ).max()
                    for t in z
                ]
            ),
            "float32": lambda z, x, a: max_min(z.float(), x.float(), a.float()),
        },
        wrong={
            "minimum of maxima": (_min_max, "which comes first"),
            "diagonal": (_with_diagonal, "piece j = i"),
            "zero": (_with_zero, "A 0 takes part"),
            "half of the pairs": (_half_of_the_pairs, "Only j > i"),
            "cones": (_cones, "cones of slope"),
            "chords": (_chords, "straight from point to point"),
            "nan": (lambda z, x, a: max_min(z, x, a) * torch.nan, "NaN"),
            "one number": (lambda z, x, a: max_min(z, x, a).max(), "One number for all z"),
        },
    ),
    Exercise(
        name="08.worst-target",
        question="A 1-Lipschitz g for which 8 points leave an error of 1.7 r.",
        difficulty=3,
        minutes=15,
        judge=_judge_worst,
        solution=roof,
        right={
            "higher": lambda z: 3 - z.abs(),
            "float32": lambda z: -z.float().abs(),
            "minimum": lambda z: torch.minimum(z, -z),
            "roof with feet": lambda z: -z.abs().clamp(max=0.9),
        },
        wrong={
            "valley": (torch.abs, "left and right go"),
            "a line": (lambda z: 0.3 * z, "equals this g everywhere"),
            "roof aside": (lambda z: -(z - 0.25).abs(), "more points on both"),
            "flat roof": (lambda z: -0.9 * z.abs(), "steeper slopes"),
            "zigzag": (lambda z: (4 * z).remainder(0.5).sub(0.25).abs(), "1-Lipschitz?"),
            "too steep": (lambda z: -2 * z.abs(), "Near z = -1.00 the slope is ±2"),
            "one value": (lambda z: -z.abs().sum(), "for each entry"),
            "not a function": (1.0, "A function of a tensor"),
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
    Exercise(
        name="08.pieces",
        question="Pieces and MaxMin layers of the lattice for an error of 0.05 on [−1, 1].",
        difficulty=1,
        minutes=6,
        judge=_judge_pieces,
        solution=[780, 12],
        right={"a tensor": torch.tensor([780, 12]), "computed": (40 * 39 // 2, 6 + 6)},
        wrong={
            "ordered pairs": ([1560, 12], "counted twice"),
            "for 0.1": ([190, 10], "This reaches 0.1"),
            "pieces for 0.1": ([190, 12], "those of 20 points"),
            "one tree": ([780, 6], "and then"),
            "a chain": ([780, 77], "38 + 39"),
            "a longer chain": ([780, 78], "that is a chain"),
            "other layers": ([780, 11], "halved until"),
            "other pieces": ([800, 12], "how many pairs"),
            "the other way round": ([12, 780], "asked for first"),
            "ordered pairs, one tree": ([1560, 6], "and of the layers"),
            "ordered pairs for 0.1": ([380, 10], "pieces of 20 points"),
            "points": ([40, 6], "This counts points"),
            "three numbers": ([780, 12, 0], "The shape is (3,)"),
            "one number": (780, "shape"),
        },
    ),
)
