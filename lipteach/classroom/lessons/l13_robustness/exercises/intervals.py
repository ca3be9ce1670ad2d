"""13.interval: the exact range of an affine map over a box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, seeded, shape_of, show_apart
from lipteach.classroom.compare_functions import compare_function

Pair = tuple[Tensor, Tensor]


def interval(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
    """By centre and radius."""
    centre, radius = (low + high) / 2, (high - low) / 2
    middle, reach = centre @ W.mT + b, radius @ W.abs().mT
    return middle - reach, middle + reach


def _both(found: Pair) -> Tensor:
    return torch.stack([torch.as_tensor(part) for part in found])


def stacked(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Both ends, (2, N, m)."""
    return _both(interval(W, b, low, high))


def _by_signs(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
    up, down = W.clamp(min=0), W.clamp(max=0)
    return low @ up.T + high @ down.T + b, high @ up.T + low @ down.T + b


def _by_terms(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
    ends = torch.stack([W * low[:, None], W * high[:, None]])  # (2, N, m, n)
    return ends.amin(0).sum(-1) + b, ends.amax(0).sum(-1) + b


def _by_loop(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> tuple[Any, Any]:
    lower: list[list[float]] = []
    upper: list[list[float]] = []
    for least, most in zip(low, high, strict=True):
        lower.append([])
        upper.append([])
        for row, shift in zip(W, b, strict=True):
            worst = torch.where(row > 0, least, most)
            best = torch.where(row > 0, most, least)
            lower[-1].append(float(row @ worst + shift))
            upper[-1].append(float(row @ best + shift))
    return lower, upper


def _with(
    centre: Callable[..., Tensor] = lambda W, b, low, high: (low + high) / 2 @ W.mT + b,
    reach: Callable[..., Tensor] = lambda W, low, high: (high - low) / 2 @ W.abs().mT,
) -> Callable[..., Pair]:
    """Another centre or another radius."""

    def found(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
        middle, far = centre(W, b, low, high), reach(W, low, high)
        return middle - far, middle + far

    return found


def _images(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
    return low @ W.mT + b, high @ W.mT + b


def _sorted(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
    ends = torch.stack(_images(W, b, low, high))
    return ends.amin(0), ends.amax(0)


def _after(change: Callable[[Tensor, Tensor], Pair]) -> Callable[..., Pair]:
    return lambda W, b, low, high: change(*interval(W, b, low, high))


def _spread(ends: Pair, *shape: int) -> Pair:
    """The same for all boxes, or for all rows."""
    low, high = (end.expand(*shape) for end in ends)
    return low, high


def _corners(W: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Pair:
    """At all 2^n corners of each box."""
    which = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).to(low)] * low.shape[1])
    images = (low[:, None] + which * (high - low)[:, None]) @ W.mT + b
    return images.amin(1), images.amax(1)


def _box(count: int, n: int, seed: int, shift: float = 0.0) -> Pair:
    low = seeded(count, n, seed=seed) + shift
    return low, low + seeded(count, n, seed=seed + 9).abs()


_POINT = seeded(2, 2, seed=31)
_GIVEN = [
    (
        torch.tensor([[1.0, -2.0], [3.0, 0.5]]).double(),
        torch.tensor([0.25, -1.0]).double(),
        torch.tensor([[0.0, 1.0]]).double(),
        torch.tensor([[2.0, 2.0]]).double(),
    ),
    (seeded(3, 2, seed=1), seeded(3, seed=2), *_box(4, 2, seed=3)),
    (seeded(2, 4, seed=4), seeded(2, seed=5), *_box(3, 4, seed=6, shift=-3)),
    (seeded(3, 3, seed=7), seeded(3, seed=8), *_box(2, 3, seed=9, shift=2)),
    (seeded(1, 3, seed=10), seeded(1, seed=11), *_box(5, 3, seed=12)),
]
_POINTS = [(seeded(3, 2, seed=30), seeded(3, seed=32), _POINT, _POINT)]
_ASK = "Which of your steps makes the difference?"


def _need_pair(answer: Any) -> None:
    for given in _GIVEN[:2]:
        found = call(answer, *given)
        if not isinstance(found, (tuple, list)) and getattr(found, "ndim", 0) != 3:
            text = f"Your function returns {a_kind(found)}"
            raise Hint("type", f"{text}: a pair (low', high') is needed.", given)
        if len(found) != 2:
            text = f"Your function returns {len(found)} values"
            raise Hint("type", f"{text}: a pair (low', high') is needed.", given)
        shapes = [tuple(torch.as_tensor(part).shape) for part in found]
        want = (len(given[2]), len(given[0]))
        if shapes != [want, want]:
            text = f"For W of shape {shape_of(given[0])} and {len(given[2])} boxes the two parts"
            text = f"{text} have the shapes {shapes[0]} and {shapes[1]}; {want} is needed"
            ask = "are they transposed?" if shapes[0] == want[::-1] else "what has each box?"
            raise Hint("shape", f"{text}: {ask}", given)


def _judge_interval(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if callable(answer):
        _need_pair(answer)
    packed = (lambda *given: _both(answer(*given))) if callable(answer) else answer
    try:
        compare_function(packed, stacked, _GIVEN, ties=_POINTS, mistakes=mistakes)
    except Hint as hint:
        if _ASK not in hint.text or not hint.example:
            raise
        raise Hint(hint.kind, _beside(packed, hint.example), hint.example) from None


def _beside(packed: Callable[..., Tensor], given: tuple[Any, ...]) -> str:
    """Which end is wrong, and on which side."""
    got, want = call(packed, *given).double(), stacked(*given)
    off = got - want
    side = 0 if float(off[0].abs().max()) > 1e-6 else 1
    box, row = divmod(int(off[side].abs().argmax()), want.shape[2])
    mine, right = show_apart(float(got[side, box, row]), float(want[side, box, row]))
    text = f"{('low', 'high')[side]}' of box {box}, row {row}, is {mine}; {right} is right"
    if bool((got[0] > got[1] + 1e-9).any()):
        return f"{text}, and some low' is above its high': which end does a weight below 0 ask for?"
    inwards = off[side] if side == 0 else -off[side]
    if bool((inwards > -1e-6).all()):
        return f"{text}: some z of the box leads outside. Which end of the box is the worst one?"
    if bool((inwards < 1e-6).all()):
        return f"{text}: no z of the box leads so far. Where is more added than one z can reach?"
    return f"{text}: some ends are too wide, and others too narrow. Which end has each weight?"


def _wrapped(found: Callable[..., Pair]) -> Callable[..., Tensor]:
    return lambda *given: _both(found(*given))


_WRONG: dict[str, tuple[Callable[..., Pair], str]] = {
    "the images of the ends": (
        _images,
        "These are W low + b and W high + b, the centre and W r with its signs: which end makes a "
        "term w z least, if w is below 0?",
    ),
    "the images, in order": (
        _sorted,
        "These are the smaller and the larger of W low + b and W high + b, the radius is |W r|: "
        "does each pixel stand at the same end, and may its terms cancel?",
    ),
    "not halved": (
        _with(reach=lambda W, low, high: (high - low) @ W.abs().mT),
        "The radius is |W| (high − low): how far is an end from the centre?",
    ),
    "halved twice": (
        _with(reach=lambda W, low, high: (high - low) / 4 @ W.abs().mT),
        "The radius is halved twice: how far is an end from the centre?",
    ),
    "no bias": (
        _with(centre=lambda W, _b, low, high: (low + high) / 2 @ W.mT),
        "b is left out: what does it move?",
    ),
    "bias twice": (
        _with(centre=lambda W, b, low, high: (low + high) / 2 @ W.mT + 2 * b),
        "b is added twice: is it in each of two products?",
    ),
    "minus the bias": (
        _with(centre=lambda W, b, low, high: (low + high) / 2 @ W.mT - b),
        "b is taken away: which sign has it?",
    ),
    "the bias in the radius": (
        lambda W, b, low, high: _with(
            centre=lambda W, _b, low, high: (low + high) / 2 @ W.mT,
            reach=lambda W, low, high: (high - low) / 2 @ W.abs().mT + b.abs(),
        )(W, b, low, high),
        "|b| is in the radius: does a bias widen a range, or move it?",
    ),
    "the bias in the radius alone": (
        lambda W, b, low, high: _with(
            centre=lambda W, _b, low, high: (low + high) / 2 @ W.mT,
            reach=lambda W, low, high: (high - low) / 2 @ W.abs().mT + b,
        )(W, b, low, high),
        "b is in the radius alone: does a bias widen a range, or move it?",
    ),
    "the bias in both": (
        lambda W, b, low, high: _with(reach=lambda W, low, high: (high - low) / 2 @ W.abs().mT + b)(
            W, b, low, high
        ),
        "b is in the centre and in the radius: does a bias widen a range?",
    ),
    "one end of each": (
        lambda W, b, low, high: (interval(W, b, low, high)[0], high @ W.mT + b),
        "low' is right, and high' is W high + b: which end makes w z largest, if w is below 0?",
    ),
    "the other end of each": (
        lambda W, b, low, high: (low @ W.mT + b, interval(W, b, low, high)[1]),
        "high' is right, and low' is W low + b: which end makes w z least, if w is below 0?",
    ),
    "low twice": (
        _after(lambda low, _high: (low, low)),
        "high' is low' again: which sign has the radius there?",
    ),
    "high twice": (
        _after(lambda _low, high: (high, high)),
        "low' is high' again: which sign has the radius there?",
    ),
    "the centre for the radius": (
        _with(reach=lambda W, low, high: (high + low) / 2 @ W.abs().mT),
        "The radius is (low + high) / 2: which of the two halves is a radius?",
    ),
    "sizes for the radius": (
        _with(reach=lambda W, low, high: (high.abs() + low.abs()) / 2 @ W.abs().mT),
        "The radius is that of the sizes |low| and |high|: how wide is a box?",
    ),
    "the size of the bias": (
        _with(centre=lambda W, b, low, high: (low + high) / 2 @ W.mT + b.abs()),
        "|b| is added: is the absolute value taken of W, or of b?",
    ),
    "bias below": (
        lambda W, b, low, high: (
            interval(W, b, low, high)[0],
            interval(W, b * 0, low, high)[1],
        ),
        "b is added to low' alone: what of high'?",
    ),
    "bias above": (
        lambda W, b, low, high: (
            interval(W, b * 0, low, high)[0],
            interval(W, b, low, high)[1],
        ),
        "b is added to high' alone: what of low'?",
    ),
    "squares": (
        _with(reach=lambda W, low, high: (high - low) / 2 @ W.square().mT),
        "The radius is W² r: are the weights squared to lose their signs?",
    ),
    "the root of squares": (
        _with(reach=lambda W, low, high: (((high - low) / 2).square() @ W.square().mT).sqrt()),
        "The radius is √(Σ w² r²), as of independent errors: do they all hit at once in the worst "
        "case?",
    ),
    "2-norms": (
        _with(
            reach=lambda W, low, high: ((high - low) / 2).norm(dim=1, keepdim=True) * W.norm(dim=1)
        ),
        "The radius is ‖w‖₂ ‖r‖₂, that of the ball around the box: which is reached in the box?",
    ),
    "the largest radius": (
        _with(reach=lambda W, low, high: ((high - low) / 2).amax(1, keepdim=True) * W.abs().sum(1)),
        "Each pixel gets the largest radius of its box: has it one of its own?",
    ),
    "the norm of W": (
        _with(
            reach=lambda W, low, high: (
                ((high - low) / 2).amax(1, keepdim=True) * W.abs().sum(1).amax()
            ).expand(-1, len(W))
        ),
        "The radius is ‖W‖_∞ ‖r‖_∞ for every row, the Lipschitz bound: what has each row of its "
        "own?",
    ),
    "the largest weight": (
        _with(reach=lambda W, low, high: ((high - low) / 2).sum(1, keepdim=True) * W.abs().amax(1)),
        "Each pixel gets the largest weight of its row: has it one of its own?",
    ),
    "sizes in the centre": (
        _with(centre=lambda W, b, low, high: (low + high) / 2 @ W.abs().mT + b),
        "|W| is in the centre, too: where does W keep its signs?",
    ),
    "around low": (
        _with(centre=lambda W, b, low, _high: low @ W.mT + b),
        "The centre is that of low: where is the middle of the box?",
    ),
    "around high": (
        _with(centre=lambda W, b, _low, high: high @ W.mT + b),
        "The centre is that of high: where is the middle of the box?",
    ),
    "the sum for the centre": (
        _with(centre=lambda W, b, low, high: (low + high) @ W.mT + b),
        "The centre is low + high: where is the middle of the box?",
    ),
    "the difference for the centre": (
        _with(centre=lambda W, b, low, high: (high - low) / 2 @ W.mT + b),
        "The centre is (high − low) / 2: where is the middle of the box?",
    ),
    "the point": (
        _with(reach=lambda W, low, high: (high - low) @ W.mT * 0),
        "Both ends are those of the centre: where does the radius go?",
    ),
    "exchanged": (
        _after(lambda low, high: (high, low)),
        "The pair is (high', low'): which end comes first, and which end of the box does a weight "
        "above 0 have there?",
    ),
    "centre and radius": (
        _after(lambda low, high: ((low + high) / 2, (high - low) / 2)),
        "This is the pair (centre, radius): which two ends belong to it?",
    ),
    "low and width": (
        _after(lambda low, high: (low, high - low)),
        "The second is the width high' − low': is an end asked for?",
    ),
    "W⁺ alone": (
        lambda W, b, low, high: (low @ W.relu().mT + b, high @ W.relu().mT + b),
        "Only the weights above 0 are used: what of those below?",
    ),
    "W⁻ is lost below": (
        lambda W, b, low, high: (
            low @ W.relu().mT + b,
            high @ W.relu().mT + low @ W.clamp(max=0).mT + b,
        ),
        "high' is right, and the weights below 0 do not enter low': which end do they ask for?",
    ),
    "|W⁻|": (
        lambda W, b, low, high: (
            low @ W.relu().mT + high @ (-W).relu().mT + b,
            high @ W.relu().mT + low @ (-W).relu().mT + b,
        ),
        "The weights below 0 are taken by their size: which sign has W⁻?",
    ),
    "cut at 0": (
        _after(lambda low, high: (low.relu(), high.relu())),
        "A ReLU cuts both ends at 0: is one asked for?",
    ),
    "cut at 0 and 1": (
        _after(lambda low, high: (low.clamp(0, 1), high.clamp(0, 1))),
        "Both ends are kept within [0, 1]: are these images, or outputs of a layer?",
    ),
    "one box for all": (
        lambda W, b, low, high: _spread(
            interval(W, b, low.amin(0, keepdim=True), high.amax(0, keepdim=True)), len(low), -1
        ),
        "One box around all boxes is taken: how many boxes has the batch?",
    ),
    "the first box": (
        lambda W, b, low, high: _spread(interval(W, b, low[:1], high[:1]), len(low), -1),
        "All boxes get the result of the first: which line takes one row?",
    ),
    "the whole layer": (
        lambda W, b, low, high: _spread(
            (
                interval(W, b, low, high)[0].amin(1, keepdim=True),
                interval(W, b, low, high)[1].amax(1, keepdim=True),
            ),
            -1,
            len(W),
        ),
        "All rows get one range: has each row of W z + b one of its own?",
    ),
}

EXERCISES = (
    Exercise(
        name="13.interval",
        judge=_judge_interval,
        solution=interval,
        right={
            "by W⁺ and W⁻": _by_signs,
            "term by term": _by_terms,
            "in loops": _by_loop,
            "by corners": _corners,
            "a list": lambda *given: list(_by_signs(*given)),
        },
        mistakes={label: (_wrapped(found), hint) for label, (found, hint) in _WRONG.items()},
        wrong={
            "one tensor": (lambda *given: interval(*given)[0], "a Tensor: a pair"),
            "three": (lambda *given: (*interval(*given), 0), "returns 3 values"),
            "transposed": (
                lambda *given: tuple(end.T for end in interval(*given)),
                "are they transposed",
            ),
            "each term": (
                lambda W, _b, low, high: (W * low[:, None], W * high[:, None]),
                "what has each box",
            ),
            "W @ low": (lambda W, b, low, high: (W @ low + b, W @ high + b), "mat1"),
            "low changed": (
                lambda W, b, low, high: interval(W, b, low.sub_(0.5), high),
                "changes its input",
            ),
            "wider": (
                lambda W, b, low, high: tuple(
                    end + sign * W.abs().sum(1) * low.norm() / 9
                    for sign, end in zip((-1, 1), interval(W, b, low, high), strict=True)
                ),
                "no z of the box leads so far",
            ),
            "narrower": (
                lambda W, b, low, high: tuple(
                    end - sign * W.abs().sum(1) * (high - low).norm() / 99
                    for sign, end in zip((-1, 1), interval(W, b, low, high), strict=True)
                ),
                "some z of the box leads outside",
            ),
            "a function of one": (lambda W: W, "TypeError"),
            "no function": (1.0, "A function is needed"),
        },
    ),
)
