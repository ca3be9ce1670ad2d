"""10.guarantee: from the norms of a Jacobian at samples to a bound that is certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import call, close
from lipteach.classroom.compare_functions import compare_function


def certain(norms: Any, M: float) -> Tensor:
    """The least bound: half the way between neighbours, half a part at the ends."""
    s = torch.as_tensor(norms)
    h = 1 / len(s)
    between = (s[1:] + s[:-1] + M * h) / 2
    ends = s[[0, -1]] + M * h / 2
    return torch.cat([between, ends]).max()


def _in_a_loop(norms: Any, M: float) -> float:
    n = len(norms)
    best = max(float(norms[0]), float(norms[-1])) + M / (2 * n)
    for k in range(n - 1):
        best = max(best, (float(norms[k]) + float(norms[k + 1]) + M / n) / 2)
    return best


def _by_tents(norms: Any, M: float) -> Tensor:
    """The largest of the least of all tents; the best points are the middles and the ends."""
    n = len(norms)
    at = (torch.arange(n) + 0.5) / n
    s = torch.as_tensor(norms)
    crossings = (at[None] + at[:, None]) / 2 + (s[None] - s[:, None]) / (2 * max(M, 1e-9))
    tried = torch.cat([torch.tensor([0.0, 1.0]), at, crossings.flatten().clamp(0, 1)])
    return (s + M * (tried[:, None] - at).abs()).amin(dim=1).amax()


def _on_a_grid(norms: Tensor, M: float, points: int) -> Tensor:
    n, tried = len(norms), torch.linspace(0, 1, points).double()[:, None]
    return (norms + M * (tried - (torch.arange(n) + 0.5) / n).abs()).amin(dim=1).amax()


def _beside_the_largest(norms: Tensor, M: float) -> Tensor:
    i = int(norms.argmax())
    near = (norms[max(i - 1, 0) : i] + norms[i]) / 2, (norms[i + 1 : i + 2] + norms[i]) / 2
    return torch.cat([*near, norms[[0, -1]]]).max() + M / (2 * len(norms))


def _the_two_largest(norms: Tensor, M: float) -> Tensor:
    pair = norms.sort().values[-2:].mean(0, keepdim=len(norms) > 1).flatten()
    return torch.cat([pair, norms[[0, -1]]]).max() + M / (2 * len(norms))


def _is_between_only(got: Tensor, _want: Tensor, norms: Tensor, M: float) -> bool | None:
    """The largest between two samples; of a single one this says nothing."""
    if len(norms) == 1:
        return None
    return close(got, ((norms[1:] + norms[:-1] + M / len(norms)) / 2).max())


def _by_threes(norms: Tensor, M: float) -> Tensor:
    padded = torch.cat([norms[:1], norms, norms[-1:]])
    return padded.unfold(0, 3, 1).mean(dim=1).max() + M / (2 * len(norms))


def _simple(norms: Tensor, M: float, share: float = 0.5) -> Tensor:
    """The largest norm and a share of what a whole part may add."""
    return norms.max() + share * M / len(norms)


def _varied(
    part: Callable[[int], float] = lambda n: 1 / n,
    meet: Callable[[Tensor, Tensor], Tensor] = lambda one, other: (one + other) / 2,
    half: float = 0.5,
    end: float = 0.5,
) -> Callable[..., Tensor]:
    """The bound with another length of a part, another norm between two, or other shares of M."""

    def bound(norms: Tensor, M: float) -> Tensor:
        rise = M * part(len(norms))
        between = meet(norms[1:], norms[:-1]) + half * rise
        return torch.cat([between, norms[[0, -1]] + end * rise]).max()

    return bound


_PEAK = torch.zeros(97).double()
_PEAK[36:38] = 10.0

# All are norms that an M-Lipschitz function can have: neighbours differ by at most M/n.
_GIVEN = [
    (torch.tensor([1.0, 1.5, 1.25, 0.5]).double(), 4.0),  # best between the first two
    (torch.tensor([0.5, 1.0, 2.0]).double(), 6.0),  # at the right end
    (torch.tensor([2.0, 1.0, 0.0, 0.25, 0.5]).double(), 10.0),  # at the left end
    (torch.tensor([1.0, 2.0, 2.0, 1.0]).double(), 4.0),  # in the middle, flat
    (torch.tensor([0.0, 1.0, 2.0, 1.0, 0.0]).double(), 5.0),  # the peak was a sample
    (torch.tensor([1.0, 1.75, 1.5, 1.0]).double(), 4.0),
    (torch.tensor([2.0, 1.5, 1.9]).double(), 1.5),  # at an end, and high at both
    (torch.tensor([0.75]).double(), 2.0),  # one sample
    (torch.tensor([0.5, 0.5]).double(), 0.0),  # an affine function
    (torch.tensor([0.5, 1.0, 0.5, 0.9, 0.9, 0.5]).double(), 3.0),  # not beside the largest
    (torch.tensor([0.5, 1.0, 0.5, 1.0, 0.5]).double(), 2.5),  # the two largest apart
    (torch.tensor([1.0, 0.5] * 3 + [0.9, 0.9, 0.5, 1.0, 0.5]).double(), 5.5),
    (_PEAK, 970.0),  # no grid of a power of 10 has a point near 37/97
]


_ASK = "Which of your steps makes the difference?"


def _judge_guarantee(answer: Any, mistakes: Sequence[Mistake]) -> None:
    """The least bound; of another it is said whether it is too low, or higher than needed."""
    try:
        compare_function(answer, certain, _GIVEN, mistakes=mistakes)
    except Hint as hint:
        if _ASK not in hint.text or hint.example is None:
            raise
        ask = (
            "No function with these norms is that steep: where does it meet its neighbour's bound?"
        )
        if float(call(answer, *hint.example)) < float(certain(*hint.example)):
            ask = "A function with these norms may be steeper than that: between which samples?"
        raise Hint("value", hint.text.replace(_ASK, ask), hint.example) from None


GUARANTEE = Exercise(
    name="10.guarantee",
    judge=_judge_guarantee,
    solution=certain,
    right={"in a loop": _in_a_loop, "by tents": _by_tents},
    mistakes={
        "the largest norm": (
            lambda norms, _M: norms.max(),
            "This is the largest norm that was seen: what may the function do between two samples?",
        ),
        "a whole part": (
            partial(_simple, share=1),
            "The largest norm and M/n: how far from the nearest sample can a point be?",
        ),
        "the simple bound": (
            _simple,
            "Certain, and not the least: half a part from the largest norm, what does the other "
            "neighbour allow?",
        ),
        "M": (
            lambda norms, M: norms.max() + M,
            "This rises by M all the way from 0 to 1: how far is it to the nearest sample?",
        ),
        "a circle": (
            lambda norms, M: ((norms + norms.roll(1) + M / len(norms)) / 2).max(),
            "The first and the last sample are neighbours here: is [0, 1] a circle, and how far "
            "from each is the nearer end?",
        ),
        "the other end": (
            lambda norms, M: torch.stack(
                [_varied(end=0)(norms, M), norms.max(), norms[-1] + M / len(norms) / 2]
            ).max(),
            "Right from the first sample to 1: what of the way from 0 to it?",
        ),
        "beside the largest": (
            _beside_the_largest,
            "Only beside the largest norm is it looked at: can the bounds of two lower ones cross "
            "higher up?",
        ),
        "the two largest": (
            _the_two_largest,
            "The two largest norms are taken together, wherever they stand: which samples have a "
            "part of [0, 1] between them?",
        ),
        "the geometric mean": (
            _varied(meet=lambda one, other: (one * other).sqrt()),
            "Two neighbours meet here in their geometric mean: at which height do two lines of "
            "slope M and −M cross?",
        ),
        "a root of squares": (
            _varied(meet=lambda one, other: ((one**2 + other**2) / 2).sqrt()),
            "Two neighbours meet here in the root of the mean of their squares: at which height "
            "do two lines of slope M and −M cross?",
        ),
        "the mean of three": (
            _by_threes,
            "This is a mean of three neighbours: how many samples have a part of [0, 1] between "
            "them?",
        ),
        "a quarter": (
            _varied(half=0.25),
            "Between two samples this rises by M/(4n) only: how far is each from their middle?",
        ),
        "a grid": (
            partial(_on_a_grid, points=100_001),
            "A little too low: is the least number looked for among points, or where two bounds "
            "cross exactly?",
            lambda got, want, *_: bool(0.95 * want < got < want),
        ),
        "a whole part at the ends": (
            _varied(end=1),
            "At the ends this rises over a whole part: where in its part lies a sample?",
        ),
        "a whole part between": (
            _varied(half=1),
            "Between two samples this rises over a whole part: from both of them at once?",
        ),
        "the smaller neighbour": (
            lambda norms, M: torch.maximum(_varied(meet=torch.minimum)(norms, M), norms.max()),
            "In the middle of two samples this is right: is the middle where two bounds cross?",
        ),
        "one end": (
            lambda norms, M: torch.stack(
                [_varied(end=0)(norms, M), norms.max(), norms[0] + M / len(norms) / 2]
            ).max(),
            "Right from 0 to the last sample: what of the way from there to 1?",
        ),
        "no ends": (
            lambda norms, M: torch.cat([_varied(end=0)(norms, M)[None], norms]).max(),
            "Certain between the samples: what of the way from the last sample to the end?",
            _is_between_only,
        ),
        "one part less, simple": (
            lambda norms, M: norms.max() + M / (2 * max(len(norms) - 1, 1)),
            "This is the largest norm and M/(2(n − 1)): how long is a part, and what does the "
            "other neighbour allow?",
        ),
        "one part less": (
            _varied(lambda n: 1 / max(n - 1, 1)),
            "This takes neighbours to be 1/(n − 1) apart: how far are the middles of n parts?",
        ),
        "one part more": (
            _varied(lambda n: 1 / (n + 1)),
            "This takes neighbours to be 1/(n + 1) apart: how far are the middles of n parts?",
        ),
        "no parts": (
            _varied(lambda _n: 1),
            "This is right if neighbours are 1 apart: how long is one of n parts?",
        ),
        "falling": (
            _varied(half=-0.5, end=-0.5),
            "This takes M away: must the norm fall between two samples, or may it rise?",
        ),
        "of the mean": (
            lambda norms, M: norms.mean() + M / (2 * len(norms)),
            "This starts from the mean of the norms: may a bound lie below a norm that was seen?",
        ),
    },
    wrong={
        "too much": (lambda norms, M: certain(norms, M) + M / 50, "where does it meet"),
        "too little": (_varied(half=0.4, end=0.4), "may be steeper than that"),
        "no sample between": (
            lambda norms, M: ((norms[1:] + norms[:-1] + M / len(norms)) / 2).max(),
            "Your code raised",
        ),
        "one for each": (lambda norms, M: norms + M / (2 * len(norms)), "has shape (4,)"),
        "a number": (2.0, "A function"),
    },
)
