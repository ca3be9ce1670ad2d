"""Exercises of lesson 02 about networks: second-largest, bound-b, four-by-abs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lipteach import linear
from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_number, seeded
from lipteach.classroom.compare_functions import compare_network
from lipteach.classroom.trials import off_by_a_constant
from lipteach.primitives import Abs, MaxMin, maxmin
from lipteach.theory import full_sort_from_maxmin, maxmin_from_abs

R = math.sqrt(0.5)

# --- 02.second-largest


def _second_largest() -> nn.Sequential:
    swap = torch.eye(4)[[0, 2, 1, 3]]
    select = torch.eye(4)[[1, 2]]
    return nn.Sequential(
        MaxMin(), linear(swap), MaxMin(), linear(select), MaxMin(), linear([[1.0, 0.0]])
    )


def _kth(k: int) -> nn.Sequential:
    return nn.Sequential(full_sort_from_maxmin(4), linear(torch.eye(4)[[k]]))


def _two_rounds(k: int) -> nn.Sequential:
    return nn.Sequential(*list(_second_largest())[:3], linear(torch.eye(4)[[k]]))


_ROW = torch.tensor([0.5, -2.0, 3.0, 1.0]).double()  # a small row, for hints that show values


# --- 02.four-by-abs


def _four_by_abs(
    bound: float = 3.0,
    before: tuple[float, float] = (math.sqrt(2), 0.0),
    after: tuple[float, float] = (1.0, 1.0),
    halves: bool = False,
    scale: float = R,
    order: Sequence[int] = (),
) -> nn.Sequential:
    M = scale * torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    W = torch.kron(M, eye) if halves else torch.kron(eye, M)
    first = bound * torch.tensor(before, dtype=torch.float64)
    second = -bound * torch.tensor(after, dtype=torch.float64)
    places = list(order) or ([0, 0, 1, 1] if halves else [0, 1, 0, 1])
    return nn.Sequential(linear(W, first[places]), Abs(), linear(W, second[places]))


_EYE = torch.eye(2, dtype=torch.float64)
_M = R * torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
_HALF_PAIR = torch.kron(_EYE[0].diag(), _M) + torch.kron(_EYE[1].diag(), _EYE)
_MINUS_MINIMUM = torch.kron(_EYE, R * torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).double())
_MINIMUM_FIRST = torch.kron(_EYE, R * torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double())


def _pair_errors(got: Tensor, want: Tensor) -> Tensor:
    """The errors by pair and by entry: (…, 2, 2), the maximum of a pair before its minimum."""
    return (got - want).reshape(-1, 2, 2)


def _one_pair_is_right(got: Tensor, want: Tensor, _x: Tensor) -> bool:
    first, second = _pair_errors(got, want).abs().amax((0, 2)) < 1e-5
    return bool(first != second)


def _one_entry_is_right(place: int) -> Callable[..., bool]:
    """Whether of each pair the maximum (0) or the minimum (1) is right, and the other is not."""

    def says(got: Tensor, want: Tensor, _x: Tensor) -> bool:
        right = _pair_errors(got, want).abs().amax((0, 1)) < 1e-5
        return bool(right[place] and not right[1 - place])

    return says


def _constant_where_sums_are_large(got: Tensor, want: Tensor, x: Tensor) -> bool | None:
    """The same error, more than a digit's, in all entries of the rows with no negative sum."""
    large = (x.reshape(-1, 2, 2).sum(-1) >= 0).all(-1)
    off = (got - want).reshape(-1, 4)[large]
    alike = bool(off.numel() and (off - off.mean()).abs().max() < 1e-5)
    return alike and bool(off.mean().abs() > 0.02) if large.any() else None


def _only_where_sums_are_small(got: Tensor, want: Tensor, x: Tensor) -> bool:
    sums = x.reshape(-1, 2, 2).sum(-1)  # (…, 2)
    wrong = (got - want).abs().reshape(-1, 2, 2).amax(-1) > 1e-5
    return bool(sums[wrong].max() < min(0.0, float(sums[~wrong].min())))


_CORNERS = torch.tensor(list(itertools.product([-3.0, 3.0], repeat=4))).double()
_INSIDE = 6 * torch.rand(200, 4, generator=torch.Generator().manual_seed(0)).double() - 3


EXERCISES = (
    Exercise(
        name="02.second-largest",
        judge=partial(
            compare_network,
            reference=lambda x: x.sort(dim=-1, descending=True).values[..., 1:2],
            inputs=[
                _ROW,
                torch.tensor(list(itertools.permutations([-2.0, 0.5, 1.0, 3.0]))).double(),
                torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).double(),
                seeded(50, 4),
                1e3 * seeded(50, 4, seed=1),
            ],
            allowed=(nn.Linear, MaxMin),
            tol=2e-6,
            everywhere=True,
        ),
        solution=_second_largest(),
        right={"sorted": _kth(1)},
        mistakes={
            "largest": (_kth(0), "This is the largest: which entry do you select in the end?"),
            "third": (_kth(2), "This is the third: which entry do you select in the end?"),
            "smaller winner": (
                _two_rounds(1),
                "This is the smaller of the two winners. Can a loser be second?",
            ),
            "larger loser": (
                _two_rounds(2),
                "This is the larger of the two losers. Can a winner be second?",
            ),
            "smallest": (_kth(3), "This is the smallest: which entry do you select in the end?"),
            "mean of the two": (
                nn.Sequential(*list(_two_rounds(1))[:3], linear([[0.0, 0.5, 0.5, 0.0]])),
                "This is the mean of the lesser winner and the better loser: which is the greater?",
            ),
            "mean of all": (
                nn.Sequential(linear([[0.25] * 4])),
                "This is the mean of all four: where is the order looked at?",
            ),
            "no exchange": (
                nn.Sequential(
                    MaxMin(), MaxMin(), linear(torch.eye(4)[[1, 2]]), MaxMin(), linear([[1.0, 0.0]])
                ),
                "The same pairs meet twice: what brings the two winners side by side?",
            ),
            "negative": (
                nn.Sequential(*list(_second_largest())[:-1], linear([[-1.0, 0.0]])),
                "This is minus the second largest: which sign selects an entry?",
            ),
            "the first pair's larger": (
                nn.Sequential(MaxMin(), linear([[1.0, 0.0, 0.0, 0.0]])),
                "This is the larger of the first pair: where do the other two entries come in?",
            ),
            "the second pair's larger": (
                nn.Sequential(MaxMin(), linear([[0.0, 0.0, 1.0, 0.0]])),
                "This is the larger of the second pair: when is it the second of all four?",
            ),
            "the second pair's lesser": (
                nn.Sequential(MaxMin(), linear([[0.0, 0.0, 0.0, 1.0]])),
                "This is the lesser of the second pair: what if both largest stand in the first?",
            ),
            "not selected": (
                full_sort_from_maxmin(4),
                "Several entries come out: which row selects the one that is asked for?",
                lambda got, *_: got.shape[-1] > 1,
            ),
            "winner with loser": (
                nn.Sequential(
                    MaxMin(),
                    linear(torch.eye(4)[[3, 2, 1, 0]]),
                    MaxMin(),
                    linear(torch.eye(4)[[1, 2]]),
                    MaxMin(),
                    linear([[1.0, 0.0]]),
                ),
                "The first winner meets its own loser again: who is to meet whom in round two?",
            ),
            "their sum": (
                nn.Sequential(*list(_second_largest())[:-1], linear([[R, R]])),
                "This adds the lesser winner and the better loser: which of them is the greater?",
            ),
            "their difference": (
                nn.Sequential(*list(_second_largest())[:-1], linear([[R, -R]])),
                "This takes the lesser of the last two from the greater: which is asked for?",
            ),
            "half": (
                nn.Sequential(full_sort_from_maxmin(4), linear([[0.0, 0.5, 0.0, 0.0]])),
                "This is half of the second largest: how long is the row that selects an entry?",
            ),
            "one place": (
                nn.Sequential(linear([[0.0, 1.0, 0.0, 0.0]])),
                "This is one entry as it came, whatever the others are: where are they compared?",
                lambda got, _want, x: any(
                    torch.allclose(got[..., 0], x[..., k], atol=1e-5) for k in range(4)
                ),
            ),
            "a bias": (
                nn.Sequential(full_sort_from_maxmin(4), linear([[0.0, 1.0, 0.0, 0.0]], [0.1])),
                "Off by one constant everywhere: does a layer have a bias?",
                off_by_a_constant,
            ),
            "first pair": (
                nn.Sequential(MaxMin(), linear([[0.0, 1.0, 0.0, 0.0]])),
                "This looks at the first pair only: what if the second pair has the two largest?",
            ),
        },
        wrong={
            "at most 1e8": (
                nn.Sequential(
                    *list(_second_largest())[:-1],
                    linear([[1.0, 0.0], [0.0, 0.0]], [0.0, 1e8]),
                    MaxMin(),
                    linear([[0.0, 1.0]]),
                ),
                "where does a bias cut it off",
            ),
            "norm": (
                nn.Sequential(full_sort_from_maxmin(4), linear([[0.0, 2.0, 0.0, 0.0]])),
                "above 1",
            ),
            "torch sort": (lambda x: x.sort().values[..., 2:3], "nn.Module"),
        },
    ),
    Exercise(
        name="02.bound-b",
        judge=partial(
            compare_number,
            value=1,
            otherwise="MaxMin gives (-2, -2) at (-2, -2): what does the network give there?",
        ),
        solution=1.0,
        right={"integer": 1, "tensor": torch.tensor([1.0])},
        mistakes={
            "once": (
                0.5,
                "This is 2 - B, of one entry. The fold acts on x + y + 2B: how negative is that?",
            ),
            "value": (2, "At (-2, -2) the network gives (-1, -1). What does MaxMin give there?"),
            "no error": (0, "Is x + y + 2B at least 0 in the corner (-2, -2)?"),
            "the sum": (4, "This is 4, the size of x + y: what is added to it before the fold?"),
            "shifted up": (7, "x + y + 2B is largest at (2, 2): at which corner is it negative?"),
            "half of once": (0.25, "Half of 2 − B: is the error that of one entry, or a mean?"),
            "2B": (3, "This is 2B: how large is x + y + 2B at (-2, -2)?"),
            "B": (1.5, "This is B itself: what does the network give at (-2, -2)?"),
            "output": (-2, "This is the right output there. By how much is the network off?"),
            "sign": (-1, "The size of an error is asked, which has no sign. Which entry is it of?"),
            "s itself": (
                2 * math.sqrt(2),
                "This is |s| in the corner, 4/√2: how much of it does the shift leave below 0?",
                lambda got: abs(got - 2 * math.sqrt(2)) < 0.01,
            ),
            "of s": (
                math.sqrt(2),
                "By so much |s + √2 B| differs from s + √2 B: what does the second M make of it?",
                lambda got: abs(got - math.sqrt(2)) < 0.01,
            ),
            "the shift": (
                3 / math.sqrt(2),
                "This is √2 B, the shift of s: is s + √2 B below 0 in a corner, and how far?",
                lambda got: abs(got - 3 / math.sqrt(2)) < 0.01,
            ),
            "B, turned": (
                1.5 / math.sqrt(2),
                "This is B/√2: which corner was looked at, and which entry?",
                lambda got: abs(got - 1.5 / math.sqrt(2)) < 0.01,
            ),
            "x + y": (-4, "This is x + y in the corner: where does B come in?"),
            "B added": (3.5, "This is 2 + B: is the shift added to a sum of −4, or taken from it?"),
            "B less 2": (
                -0.5,
                "This is B − 2, of one entry: the fold acts on x + y + 2B. How negative is that?",
            ),
            "half of B": (
                0.75,
                "This is B/2: in which corner does the fold go wrong, how far?",
            ),
            "turned": (
                0.7071,
                "This is in the turned coordinates: what does the second M make of it?",
                lambda got: abs(got - math.sqrt(0.5)) < 0.01,
            ),
        },
        wrong={"point": (torch.tensor([-2.0, -2.0]), "One number")},
    ),
    Exercise(
        name="02.four-by-abs",
        judge=partial(
            compare_network,
            reference=maxmin,
            inputs=[_ROW, torch.cat([_CORNERS, _INSIDE])],
            allowed=(nn.Linear, Abs),
            tol=5e-6,
        ),
        solution=_four_by_abs(),
        right={"larger B": _four_by_abs(bound=5.0)},
        mistakes={
            "printed formula": (
                _four_by_abs(after=(1.0, 0.0)),
                "Each minimum is too large by B, as in the printed formula. What is subtracted?",
            ),
            "halves": (
                _four_by_abs(halves=True),
                "Each half is compared with the other. Which entries form a pair?",
            ),
            "shift B": (
                _four_by_abs(before=(1.0, 0.0)),
                "All is too small by one constant: what does M make of the shift (B, 0)?",
            ),
            "of both": (
                _four_by_abs(before=(math.sqrt(2), math.sqrt(2))),
                "s and d are shifted here: which of the two shall the fold act on?",
            ),
            "maximum too large": (
                _four_by_abs(after=(0.0, 1.0)),
                "Each maximum is too large by B: from which outputs is the shift taken back?",
            ),
            "half taken back": (
                _four_by_abs(after=(0.5, 0.5)),
                "All is too large by B/2: how much of the shift is still there?",
            ),
            "2B": (
                _four_by_abs(before=(2.0, 0.0)),
                "All is too large by (√2 − 1) B: which shift of s becomes B behind the second M?",
            ),
            "root taken back": (
                _four_by_abs(after=(math.sqrt(2), math.sqrt(2))),
                "All is too small by (√2 − 1) B: M has turned the shift, and how long is it now?",
            ),
            "only |x|": (
                nn.Sequential(Abs()),
                "This is |x| of each entry: which two numbers are to be compared?",
            ),
            "shift on d": (
                _four_by_abs(before=(0.0, math.sqrt(2))),
                "Your shift is on d. Which of s and d must not change its sign?",
            ),
            "not turned back": (
                _four_by_abs()[:2],
                "These are still s and |d|: what turns them back?",
            ),
            "not taken back": (
                _four_by_abs(after=(0.0, 0.0)),
                "All is too large by B. What takes the shift back?",
            ),
            "added": (
                _four_by_abs(after=(-1.0, -1.0)),
                "All is too large by 2B: add B or take it away?",
            ),
            "minus B": (
                _four_by_abs(bound=-3.0),
                "The shift has the wrong sign: where shall s be positive?",
            ),
            "one pair alone": (
                nn.Sequential(
                    linear(_HALF_PAIR, [math.sqrt(2) * 3, 0.0, 0.0, 0.0]),
                    Abs(),
                    linear(_HALF_PAIR, [-3.0, -3.0, 0.0, 0.0]),
                ),
                "One pair is right and the other is not: what do its rows and its biases do?",
                _one_pair_is_right,
            ),
            "minimum first": (
                nn.Sequential(*list(_four_by_abs())[:2], linear(_MINIMUM_FIRST, [-3.0] * 4)),
                "Each minimum stands before its maximum: which of the two rows adds s and |d|?",
            ),
            "weights of halves": (
                _four_by_abs(halves=True, order=(0, 1, 0, 1)),
                "Your weights compare the entries 1 and 3, your biases are for neighbours: which "
                "entries form a pair?",
            ),
            "sizes first": (
                nn.Sequential(Abs(), linear(torch.kron(_EYE, _M))),
                "Here |x| is taken before two entries meet: of which sums is it to be taken?",
            ),
            "neither shifted nor turned back": (
                _four_by_abs(before=(0.0, 0.0))[:2],
                "These are |s| and |d|: what saves the sign of s, and what turns them back?",
            ),
            "rows of M exchanged": (
                nn.Sequential(
                    linear(torch.kron(_EYE, _M.flip(0)), [3 * math.sqrt(2), 0.0] * 2),
                    *list(_four_by_abs())[1:],
                ),
                "The first row of your M gives d, and the shift stands there: which one needs it?",
            ),
            "all signs turned": (
                nn.Sequential(*list(_four_by_abs())[:2], linear(torch.kron(_EYE, -_M), [-3.0] * 4)),
                "Your second M turns all signs: what undoes M, M itself or −M?",
            ),
            "the shift's sign": (
                nn.Sequential(
                    linear(torch.kron(_EYE, _M), [-3 * math.sqrt(2), 0.0] * 2),
                    *list(_four_by_abs())[1:],
                ),
                "s is pushed below 0 by the shift: on which side of 0 does |s| change nothing?",
            ),
            "B for all": (
                _four_by_abs(before=(1.0, 1.0)),
                "B is added to s and to d: which sign may not be lost, and which may?",
            ),
            "two entries": (
                nn.Sequential(*list(maxmin_from_abs(3.0))),
                "A layer takes two entries and gets four: how does M act on each pair of them?",
            ),
            "not turned back, less B": (
                nn.Sequential(*list(_four_by_abs())[:2], linear(torch.eye(4), [-3.0] * 4)),
                "These are s + √2 B and |d|, each less B: what turns them back before B is taken?",
            ),
            "the minimum's sign": (
                nn.Sequential(*list(_four_by_abs())[:2], linear(_MINUS_MINIMUM, [-3.0] * 4)),
                "Each maximum is right and each minimum is not: which signs have s and |d| in its "
                "row, and what is taken back?",
                _one_entry_is_right(0),
            ),
            "the maximum's bias": (
                _four_by_abs(after=(-1.0, 1.0)),
                "Each minimum is right and each maximum is not: what is taken back from it?",
                _one_entry_is_right(1),
            ),
            "B small": (
                _four_by_abs(bound=2.0),
                "Right for large sums, wrong where x + y is most negative: is B large enough?",
                _only_where_sums_are_small,
            ),
            "another shift": (
                _four_by_abs(before=(math.sqrt(0.5), 0.0)),
                "Where x + y is large all is off by one constant: how long is the shift behind the "
                "second M, and how much is taken back?",
                _constant_where_sums_are_large,
            ),
        },
        wrong={
            "no root": (_four_by_abs(scale=1.0), "2-norm"),
            "four digits": (_four_by_abs(before=(1.4142, 0.0)), "Nearly"),
            "three units": (nn.Sequential(linear(torch.eye(3)), Abs()), "raised"),
        },
    ),
)
