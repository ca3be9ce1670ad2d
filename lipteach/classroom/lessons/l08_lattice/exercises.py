"""The exercises of lesson 08: affine pieces, exact networks, and the lattice of Theorem 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, close, compare_tensor, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.classroom.lessons.l08_lattice.figures import centres
from lipteach.classroom.watch import watch
from lipteach.primitives import GroupSort, MaxMin, Selection
from lipteach.primitives.composition import walk
from lipteach.theory import approximate, linear, pad_depth

# --- 08.slope


def slope(d: Tensor, c: float) -> Tensor:
    """The w with w·d = c of least 1-norm, the dual of p = ∞: one entry, at the largest |d_k|."""
    k = d.abs().argmax()
    w = torch.zeros_like(d)
    w[k] = c / d[k]
    return w


# --- networks of linear layers and MaxMin: 08.half and 08.affine-depth


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


def _judge_half(answer: Any, mistakes: Sequence[Mistake]) -> None:
    inputs = [
        torch.tensor([[-3.0], [-0.5], [0.0], [0.25], [2.0]]).double(),
        torch.tensor([[-1e6], [-1e4], [-100.0], [100.0], [1e4], [1e6]]).double(),
    ]
    modules = _compare_network(answer, half, inputs, mistakes)
    for k, layer in enumerate(m for m in modules if isinstance(m, nn.Linear)):
        norm = float(torch.linalg.matrix_norm(layer.weight.detach().double(), ord=math.inf))
        if abs(norm - 1) > 1e-5:
            text = f"The function is right, but linear layer {k + 1} has ∞-norm {norm:.4g}"
            raise Hint("constraint", f"{text}: which other unit or weight can carry the 1?")


# --- 08.max-min


def _lines(z: Tensor, x: Tensor, a: Tensor, own: Any) -> Tensor:
    """The lines f_ij through (x_i, a_i) and (x_j, a_j) at z, (M, N, N), with `own` for f_ii."""
    slopes = (a - a[:, None]) / (x - x[:, None])  # (N, N), 0/0 on the diagonal
    lines = a[:, None] + slopes * (z[:, None, None] - x[:, None])
    return torch.where(torch.eye(len(x), dtype=torch.bool), own, lines)


def max_min(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """The max over i of the min over j ≠ i of the line through (x_i, a_i) and (x_j, a_j), at z."""
    return _lines(z, x, a, torch.inf).amin(dim=2).amax(dim=1)


def _by_loops(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    points = list(zip(x, a, strict=True))

    def lower(t: Tensor, s: Tensor, p: Tensor) -> Any:
        return min(p + (q - p) / (y - s) * (t - s) for y, q in points if y != s)

    return torch.stack([torch.stack([lower(t, s, p) for s, p in points]).max() for t in z])


def _half_of_the_pairs(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Only j > i in the minimum of i."""
    lines = _lines(z, x, a, torch.inf).masked_fill(x < x[:, None], torch.inf)
    return lines.amin(dim=2)[:, :-1].amax(dim=1)


def _chords(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """Straight from point to point."""
    k = torch.searchsorted(x, z).clamp(1, len(x) - 1)
    return a[k - 1] + (a[k] - a[k - 1]) / (x[k] - x[k - 1]) * (z - x[k - 1])


def _by_the_package(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
    def value(points: Tensor) -> Tensor:
        return a[(points - x).abs().argmin(dim=1)]

    found: Tensor = approximate(value, x[:, None], p=2)(z[:, None])[:, 0]
    return found.detach()


def _judge_max_min(answer: Any, inputs: Any, mistakes: Any) -> None:
    compare_function(answer, max_min, inputs, mistakes=mistakes)
    for arguments in inputs:
        with watch() as seen:
            call(answer, *arguments)
        if seen.lipteach:
            text = f"Right, but your code calls lt.{seen.lipteach[0]}"
            ask = "which two operations of torch take the minimum and the maximum?"
            raise Hint("constraint", f"{text}: {ask}", arguments)


_X = torch.tensor([-1.0, -0.4, 0.1, 0.5, 1.0]).double()
_Z = 2 * seeded(12, seed=8)  # beyond the points as well


# --- 08.worst-target


def roof(z: Tensor) -> Tensor:
    """−|z|: the values on both sides pull the pieces down, and g has its top between two points."""
    return -z.abs()


def _judge_worst(answer: Any) -> None:
    """1-Lipschitz on [−1, 1], and the lattice through 8 points errs by 1.7 r at least."""
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.abs.")
    z = torch.linspace(-1, 1, 1601, dtype=torch.float64)
    got = need_tensor(call(answer, z.clone()))
    if got.shape != z.shape:
        raise Hint("shape", "One value is needed for each entry of z.")
    if not bool(torch.isfinite(got).all()):
        raise Hint("value", "Some of the values on [−1, 1] are not finite.")
    steepness = (got.diff() / z.diff()).abs()
    if float(steepness.max()) > 1.001:
        k = int(steepness.argmax())
        at, slope_there = round(float(z[k]), 2) + 0.0, float(steepness.max())
        text = f"Near z = {at:.2f} the slope is ±{slope_there:.3g}: is g 1-Lipschitz?"
        raise Hint("constraint", text, (z[k : k + 2],))
    a = got[100::200]  # the values at the 8 points
    ratio = 8 * float((max_min(z, centres(8), a) - got).abs().max())
    if ratio < 0.01:
        raise Hint("value", "G equals this g everywhere: what must g do that no chord can?")
    if ratio < 1.01:
        text = "which way must the values left and right go, so that G falls where g rises?"
        raise Hint("value", f"The largest error is {ratio:.2f} r: {text}")
    if ratio < 1.695:
        text = "can your top have more points on both of its sides, or steeper slopes?"
        raise Hint("value", f"The largest error is {ratio:.2f} r, more than a chord's: {text}")


# --- 08.affine-depth


def affine(z: Tensor) -> Tensor:
    """(z₁ + z₂)/2 + ¼."""
    return z.mean(dim=-1, keepdim=True) + 0.25


_W, _TWICE, _B = [[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]], [0.25, 0.25]
_MEANS, _SAME = linear(_TWICE, _B), linear(torch.eye(2))


def affine_network() -> nn.Sequential:
    """The row w twice, sorted twice, and the first of the pair."""
    return _sorting(linear(_TWICE, _B), linear(torch.eye(2)), linear([[1.0, 0.0]]))


def _judge_affine(answer: Any, mistakes: Sequence[Mistake]) -> None:
    inputs = [seeded(6, 2, seed=3), 1e3 * seeded(40, 2)]
    modules = _compare_network(answer, affine, inputs, mistakes)
    if [type(module) for module in modules[2::2]] == [Selection, Selection]:
        text = "The second and third layers are what lt.pad_depth puts there"
        raise Hint("constraint", f"{text}: which two matrices are they, written by `linear`?")
    kinds = ["Linear" if isinstance(module, nn.Linear) else "MaxMin" for module in modules]
    if kinds != ["Linear", "MaxMin", "Linear", "MaxMin", "Linear"]:
        text = "Three linear layers with a MaxMin between each two are needed"
        raise Hint("layout", f"{text}; yours has {', '.join(kinds)}.")


EXERCISES = (
    Exercise(
        name="08.slope",
        judge=partial(
            compare_function,
            reference=slope,
            inputs=[
                (torch.tensor(d).double(), c)
                for d, c in [
                    ([0.5, -2.0, 1.0], 1.5),
                    ([3.0, 1.0], -2.0),
                    ([0.25, 0.5, -0.75, 1.0], 0.25),
                    ([-1.5], 1.0),
                ]
            ],
        ),
        solution=slope,
        right={
            "one-hot": lambda d, c: torch.nn.functional.one_hot(d.abs().argmax(), len(d)) * (c / d),
            "by sign": lambda d, c: torch.where(
                torch.arange(len(d)) == d.abs().argmax(), c * d.sign() / d.abs().max(), 0.0
            ),
        },
        mistakes={
            "p = 2": (
                lambda d, c: c * d / (d @ d),
                "This is right for p = 2: what does ‖w‖₁ ask for?",
            ),
            "p = 1": (
                lambda d, c: c * d.sign() / d.abs().sum(),
                "This is right for p = 1, with ‖w‖_∞ least: which w has the least ‖w‖₁?",
            ),
            "no sign": (
                lambda d, c: (slope(d, c) != 0) * c / d.abs().max(),
                "Right wherever the largest entry of d is positive: what if it is negative?",
            ),
            "not divided": (
                lambda d, c: c * slope(d, 1.0).sign(),
                "w·d is not c: by what must c be divided?",
            ),
            "largest, signed": (
                lambda d, c: torch.where(d == d.max(), c / d, 0.0),
                "This takes the largest entry: is it the largest in size?",
            ),
            "shared": (
                lambda d, c: c / d / len(d),
                "w·d = c holds, with the work shared by all entries: does that make ‖w‖₁ least?",
            ),
            "smallest entry": (
                lambda d, c: torch.where(d.abs() == d.abs().min(), c / d, 0.0),
                "w·d = c holds, but ‖w‖₁ can be less: which entry brings most for each unit?",
                lambda got, _, d, c: close(got @ d, torch.tensor(c).double()),
            ),
            "multiplied": (
                lambda d, c: slope(d, c) * d * d,
                "w·d is not c: what does each entry of w bring to this product?",
                lambda got, want, *_: got.shape == want.shape,
            ),
        },
        wrong={"one entry": (lambda d, c: c / d[d.abs().argmax()], "result has shape ()")},
    ),
    Exercise(
        name="08.half",
        judge=_judge_half,
        solution=half_network(),
        right={
            "a difference": _sorting(linear([[1.0], [1.0]]), linear([[0.75, -0.25]])),
            "a sum of signs": _sorting(
                linear([[1.0], [0.0], [0.5], [0.5]]), linear([[0.0, 0.0, 0.5, 0.5]])
            ),
            "nested": nn.Sequential(half_network()[:2], half_network()[2]),
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
            "cancelled": (
                _sorting(linear([[1.0], [1.0]]), linear([[0.5, -0.5]])),
                "This is 0 everywhere: do the two units cancel altogether?",
            ),
        },
        wrong={
            "affine, nested": (
                nn.Sequential(nn.Sequential(linear([[0.5]]))),
                "linear layer 1 has ∞-norm 0.5",
            ),
            "bent far away": (
                _sorting(linear([[0.5], [1.0]], [0.0, 100.0]), linear([[0.0, 1.0]])),
                "[-1000000], [-10000]",
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
    ),
    Exercise(
        name="08.max-min",
        judge=partial(
            _judge_max_min,
            inputs=[
                (
                    torch.tensor([-0.5, 0.75]).double(),
                    torch.tensor([-1.0, 0.0, 1.0]).double(),
                    torch.tensor([0.0, 0.5, -0.25]).double(),
                ),
                (_Z, _X, (3 * _X).sin() / 3),
                (_Z, _X, 0.6 * _X + 0.2 * _X.abs()),
                (_X, _X, (2 * _X).cos() / 2),
                (_Z[:1], _X[:2], 0.5 * _X[:2]),
            ],
        ),
        solution=max_min,
        right={"a loop": _by_loops},
        mistakes={
            "minimum of maxima": (
                lambda z, x, a: -max_min(z, x, -a),
                "This is the minimum of the maxima: which comes first for the lattice here?",
            ),
            "diagonal": (
                lambda z, x, a: _lines(z, x, a, a[:, None]).amin(dim=2).amax(dim=1),
                "A constant a_i takes part as the piece j = i: is it to be there?",
            ),
            "zero": (
                lambda z, x, a: _lines(z, x, a, 0.0).amin(dim=2).amax(dim=1),
                "A 0 takes part as the piece j = i: which number is never the minimum?",
            ),
            "maximum of maxima": (
                lambda z, x, a: _lines(z, x, a, -torch.inf).amax(dim=2).amax(dim=1),
                "The greatest of all lines: which of the two steps takes the least?",
            ),
            "minimum of minima": (
                lambda z, x, a: _lines(z, x, a, torch.inf).amin(dim=2).amin(dim=1),
                "The least of all lines: which of the two steps takes the greatest?",
            ),
            "mean of minima": (
                lambda z, x, a: _lines(z, x, a, torch.inf).amin(dim=2).mean(dim=1),
                "A mean over i: at x_k, which of the minima is g(x_k), and which are below?",
            ),
            "one minimum": (
                lambda z, x, a: _lines(z, x, a, torch.inf).amin(dim=2)[:, 0],
                "The minimum of the first point alone: over which i is the maximum?",
            ),
            "points and values": (
                lambda z, x, a: max_min(z, a, x),
                "x and a change places: through (x_i, a_i) the slope is a difference of what "
                "over a difference of what?",
            ),
            "nearest value": (
                lambda z, x, a: a[(z[:, None] - x).abs().argmin(dim=1)],
                "The value at the nearest point: which line goes through it?",
            ),
            "minus infinity": (
                lambda z, x, a: max_min(z, x, a) - torch.inf,
                "−∞ takes part as the piece j = i: which number is never the minimum?",
            ),
            "half of the pairs": (
                _half_of_the_pairs,
                "Only j > i takes part: each line is there once, but does each i meet all its j?",
            ),
            "cones": (
                lambda z, x, a: (a - (z[:, None] - x).abs()).amax(dim=1),
                "These are cones of slope ±1 on each point: which slope does the piece f_ij have?",
            ),
            "chords": (
                _chords,
                "This goes straight from point to point: what do the other pieces do there?",
            ),
            "nan": (
                lambda z, x, a: max_min(z, x, a) * torch.nan,
                "Some values are NaN: what is the slope of f_ii, and who needs it?",
                lambda got, *_: got.isnan().any(),
            ),
            "one number": (
                lambda z, x, a: max_min(z, x, a).max(),
                "One number for all z: along which dimensions run i and j?",
            ),
        },
        wrong={"by lt": (_by_the_package, "calls lt.approximate")},
    ),
    Exercise(
        name="08.worst-target",
        judge=_judge_worst,
        solution=roof,
        right={
            "higher": lambda z: 3 - z.abs(),
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
            "difference": (
                _sorting(_MEANS, _SAME, linear([[0.5, -0.5]])),
                "This is 0: what is the difference of two equal numbers?",
            ),
        },
        wrong={
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
            "the coordinates sorted": (
                _sorting(linear(torch.eye(2)), _SAME, linear([[1.0, 0.0]], [0.25])),
                "is right",
            ),
            "by pad_depth": (
                pad_depth(nn.Sequential(linear(_W, [0.25])), 3),
                "what lt.pad_depth puts there",
            ),
            "a function": (affine, "An nn.Sequential is needed"),
        },
    ),
    Exercise(
        name="08.pieces",
        judge=lambda answer, mistakes: compare_tensor(
            need_tensor(answer, (2,)),
            [780, 12],
            mistakes=mistakes,
            otherwise="Of 4 points there are 6 pieces, and 2 + 2 layers: which N has 2/N = 0.05?",
        ),
        solution=[780, 12],
        right={"a tensor": torch.tensor([780, 12]), "computed": (40 * 39 // 2, 6 + 6)},
        mistakes={
            "ordered pairs": (
                [1560, 12],
                "Each piece is counted twice: f_ij and f_ji are the same line.",
            ),
            "for 0.1": ([190, 10], "This reaches 0.1: how many points make 2r = 0.05?"),
            "pieces for 0.1": (
                [190, 12],
                "The layers fit, the pieces are those of 20 points: is 2/20 = 0.05?",
            ),
            "the other way round": (
                [12, 780],
                "Both numbers are right: which of them is asked for first?",
            ),
            "one tree": (
                [780, 6],
                "The pieces are right; a tree for the minima takes 6 layers: and then?",
            ),
            "a chain": (
                [780, 77],
                "The pieces are right; 38 + 39 is a chain: how deep is a balanced tree?",
            ),
            "a longer chain": (
                [780, 78],
                "The pieces are right; that is a chain: how deep is a balanced tree?",
            ),
            "other layers": (
                [780, 11],
                "The pieces are right: how often must 39, and then 40, be halved until 1 is left?",
                lambda got: got[0] == 780,
            ),
            "other pieces": (
                [800, 12],
                "The layers are right: how many pairs are there among the points you need?",
                lambda got: got[1] == 12,
            ),
            "ordered pairs, one tree": (
                [1560, 6],
                "Each piece is counted twice, and of the layers: 39 and 40 members need how many?",
                lambda got: got[0] == 1560,
            ),
            "ordered pairs for 0.1": (
                [380, 10],
                "These are the pieces of 20 points: is 2/20 at most 0.05?",
                lambda got: got[0] in (190, 380),
            ),
            "points": (
                [40, 6],
                "This counts points, or the pieces through one of them: how many are there in all?",
                lambda got: got[0] in (39, 40),
            ),
        },
        wrong={"three numbers": ([780, 12, 0], "The shape is (3,)"), "one number": (780, "shape")},
    ),
)
