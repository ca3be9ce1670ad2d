"""The exercises of lesson 08: affine pieces, exact networks, and the lattice of Theorem 3."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, close, compare_tensor, need_tensor
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l08_lattice.figures import centres
from lipteach.classroom.lessons.l08_lattice.max_min import MAX_MIN, max_min
from lipteach.classroom.lessons.l08_lattice.networks import AFFINE_DEPTH, HALF

# --- 08.slope


def slope(d: Tensor, c: float) -> Tensor:
    """The w with w·d = c of least 1-norm, the dual of p = ∞: one entry, at the largest |d_k|."""
    k = d.abs().argmax()
    w = torch.zeros_like(d)
    w[k] = c / d[k]
    return w


def _one_entry(got: Tensor, want: Tensor, *_arguments: Any) -> bool | None:
    if got.shape != want.shape:
        return False
    return bool((got[want == 0] == 0).all()) if got.any() else None


def _several_entries(got: Tensor, want: Tensor, *_arguments: Any) -> bool | None:
    return bool(got.count_nonzero() > 1) if got.shape == want.shape != (1,) else None


# --- 08.worst-target


def roof(z: Tensor) -> Tensor:
    """−|z|: the values on both sides pull the pieces down, and g has its top between two points."""
    return -z.abs()


def _judge_worst(answer: Any) -> None:
    """1-Lipschitz on [−1, 1], and the lattice through 8 points errs by 1.7 r at least."""
    if not callable(answer):
        raise Hint("type", "A function of a tensor is needed, such as torch.abs.")
    z = torch.arange(-800, 801, dtype=torch.float64) / 800  # exact: a jump may be at 0 alone
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
                    ([1.0, 2.0, -3.0, 4.0, 5.0], 1.0),
                    ([1.0, 0.5, -1.01], 0.5),  # nearly of one size: no soft choice will do
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
            "one size": (
                lambda d, c: torch.where(d == d.abs().max(), c / d, 0.0),
                "All of w is 0 where the largest entry in size is negative: how is it found?",
            ),
            "minus": (
                lambda d, c: -slope(d, c),
                "w·d is −c: which sign has the one entry of w, if d_k or c is negative?",
            ),
            "c forgotten": (
                lambda d, c: slope(d, 1.0) + 0.0 * c,
                "w·d is 1 for every c: where does c come in?",
            ),
            "only a sign": (
                lambda d, c: slope(d, 1.0).sign() + 0.0 * c,
                "A sign stands at the right place: how large must the entry be, so that w·d = c?",
            ),
            "size of c": (
                lambda d, c: slope(d, abs(c)),
                "Right for c > 0: what is asked of w·d where c is negative?",
            ),
            "c itself": (
                lambda d, c: (slope(d, c) != 0) * c,
                "c stands at the right place, and w·d is c·d_k: by what must c be divided?",
            ),
            "upside down": (
                lambda d, c: (slope(d, c) != 0) * d / c,
                "d_k/c at the right place: what is that times d_k?",
            ),
            "all entries": (
                lambda d, c: c / d,
                "More than one entry is at work, and together they do not bring c: how many does "
                "the w of least ‖w‖₁ need?",
                _several_entries,
            ),
            "by a norm": (
                lambda d, c: slope(d, c) * d.abs().max() / d.abs().sum(),
                "The right entry, and not the right size: w·d must be c, and no other entry brings "
                "anything. By what is c divided?",
                _one_entry,
            ),
            "multiplied": (
                lambda d, c: slope(d, c).roll(1),
                "w·d is not c: what does each entry of w bring to this product?",
                lambda got, want, *_: got.shape == want.shape,
            ),
        },
        wrong={"one entry": (lambda d, c: c / d[d.abs().argmax()], "result has shape ()")},
    ),
    HALF,
    MAX_MIN,
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
            "a jump at one point": (
                lambda z: torch.where(z == 0, 0.3, -z.abs()),
                "Near z = 0.00 the slope is",
            ),
            "too steep": (lambda z: -2 * z.abs(), "Near z = -1.00 the slope is ±2"),
            "one value": (lambda z: -z.abs().sum(), "for each entry"),
            "not a function": (1.0, "A function of a tensor"),
        },
    ),
    AFFINE_DEPTH,
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
            "layers for 0.1": (
                [780, 10],
                "The pieces are right, and 10 is the depth for 20 points: how many rounds has a "
                "tree over 40?",
            ),
            "not rounded": (
                [780, 10.6],
                "The pieces are right; a tree has whole rounds: which way is each rounded?",
                lambda got: got[0] == 780 and got[1] % 1 != 0,
            ),
            "other layers": (
                [780, 11],
                "The pieces are right: how often must 39, and then 40, be halved until 1 is left?",
                lambda got: got[0] == 780,
            ),
            "points": (
                [40, 6],
                "This counts points, or the pieces through one of them: how many are there in all?",
                lambda got: got[0] in (19, 20, 39, 40),
            ),
            "with itself": (
                [820, 12],
                "40·41/2 pairs each point with itself, too: is there a piece f_ii?",
                lambda got: got[0] in (820, 1640),
            ),
            "squared": (
                [800, 12],
                "This is N², or half of it: with how many others does a point make a piece?",
                lambda got: got[0] in (800, 1600),
            ),
            "ordered pairs for 0.1": (
                [380, 10],
                "These are the pieces of 20 points: is 2/20 at most 0.05?",
                lambda got: got[0] in (190, 380),
            ),
            "another N": (
                [741, 12],
                "These are the pieces of another number of points: which N has 2/N = 0.05?",
                lambda got: got[0] in [N * (N - 1) / 2 for N in range(3, 200) if N != 40],
            ),
            "other pieces": (
                [760, 12],
                "The layers are right: how many pairs are there among the points you need?",
                lambda got: got[1] == 12,
            ),
            "ordered pairs, one tree": (
                [1560, 6],
                "Each piece is counted twice, and of the layers: 39 and 40 members need how many?",
                lambda got: got[0] == 1560,
            ),
        },
        wrong={"three numbers": ([780, 12, 0], "The shape is (3,)"), "one number": (780, "shape")},
    ),
)
