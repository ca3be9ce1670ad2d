"""The exercises of lesson 02."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach import linear
from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, compare_number, need_tensor, seeded, show_apart
from lipteach.classroom.compare_functions import compare_network
from lipteach.primitives import Abs, MaxMin, full_sort, maxmin
from lipteach.theory import full_sort_from_maxmin

# --- 02.break-the-gap


def _judge_break(answer: Any) -> None:
    x = need_tensor(answer, (4,))
    if not bool(x.isfinite().all()):
        raise Hint("value", "An entry is NaN or infinite: which four finite numbers do you mean?")
    if not bool((x.abs() <= 1).all()):
        raise Hint("constraint", "An entry lies outside [-1, 1]: what is the farthest you may go?")
    b = torch.tensor([1.6, 1.6, 0.0, 0.0], dtype=torch.float64)
    error = float((full_sort(x + b) - b - maxmin(x)).abs().max())
    if error >= 0.3 - 1e-6:
        return
    if error > 1e-9:
        text = f"The pairs mix, but the error is only {error:.4g}: can the overlap grow?"
    elif x[:2].min() > x[2:].max():
        text = "This moves the pairs further apart: which pair is the upper one after adding b?"
    else:
        text = "No entry crosses to the other pair here: what must be greater than what to mix?"
    raise Hint("value", text)


# --- 02.chunk-biases


def chunk_biases(n: int, low: float, high: float) -> Tensor:
    """Biases b with FullSort(x + b) − b = MaxMin(x) on [low, high]ⁿ."""
    pair = torch.arange(n // 2 - 1, -1, -1, dtype=torch.float64)
    return (high - low) * pair.repeat_interleave(2)


def _judge_biases(answer: Any) -> None:
    if not callable(answer):
        raise Hint("type", "A function of n, low and high is needed: hand it in without calling.")
    boxes = [(-2.0, 5.0), (-1.0, 1.0), (0.0, 1.0), (-5.0, 1.0), (-40.0, -10.0)]
    boxes += [
        (0.25, 0.5),
        (0.25, 0.875),
        (-0.5, 2.25),
        (-2e5, 1e5),
    ]  # no whole lengths, and no constant gap
    first = need_tensor(call(answer, 4, *boxes[0]), (4,))
    for (low, high), n in itertools.product(boxes, (4, 6, 2)):
        b = need_tensor(call(answer, n, low, high), (n,))
        if not bool(b.isfinite().all()):
            text = f"On [{low:g}, {high:g}]^{n} a bias is not finite: what is divided by what?"
            raise Hint("value", text, (n, low, high))
        x = torch.tensor(list(itertools.product((low, high), repeat=n)), dtype=torch.float64)
        if (full_sort(x + b) - b - maxmin(x)).abs().max() > 1e-6:
            text = _bias_fault(b, f"On [{low:g}, {high:g}]^{n}", low, high)
            if n == 4 and (low, high) != boxes[0] and torch.equal(b, first):
                text = f"On [{low:g}, {high:g}]^4 and [-2, 5]^4 your biases are the same: can one "
                text += "gap suit every box?"
            raise Hint("value", text, (n, low, high))


def _bias_fault(b: Tensor, where: str, low: float, high: float) -> str:
    if not torch.allclose(b[0::2], b[1::2]):
        return f"{where}: the entries of a pair are to be compared fairly. Is their bias the same?"
    if torch.equal(b, b.sort().values) and bool((b[2:] > b[:-2]).any()):
        return f"{where}: these ascend, as an ascending sort would need. Which way do we sort?"
    gap = float((b[0:-2:2] - b[2::2]).min())
    if math.isclose(gap, max(abs(low), abs(high)), rel_tol=1e-5):
        return (
            f"{where}: the gap is the largest |x|, which would be right if no entry were negative. "
            "How far apart can two entries of the box be?"
        )
    if math.isclose(gap, 2 * high, rel_tol=1e-5):
        return f"{where}: the gap is 2·high, right if low = -high. What if low lies further down?"
    if math.isclose(gap, high + low, rel_tol=1e-5):
        return f"{where}: the gap is high + low. How long is the interval from low to high?"
    if math.isclose(gap, (high - low) / 2, rel_tol=1e-5) and high > 1:  # 1 + 2 is not meant
        return f"{where}: the gap is half of high - low. How far apart can two entries be?"
    if gap in (math.floor(high - low), round(high - low)):
        return f"{where}: the gap {gap:.4g} was rounded: need high - low be a whole number?"
    return (
        f"{where}: the gap {show_apart(gap, high - low)[0]} lets two pairs overlap. How long is "
        "the interval of a pair, from low to high?"
    )


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
    scale: float = math.sqrt(0.5),
) -> nn.Sequential:
    M = scale * torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    W = torch.kron(M, eye) if halves else torch.kron(eye, M)
    first = bound * torch.tensor(before, dtype=torch.float64)
    second = -bound * torch.tensor(after, dtype=torch.float64)
    order = [0, 0, 1, 1] if halves else [0, 1, 0, 1]
    return nn.Sequential(linear(W, first[order]), Abs(), linear(W, second[order]))


def _only_where_sums_are_small(got: Tensor, want: Tensor, x: Tensor) -> bool:
    sums = x.reshape(-1, 2, 2).sum(-1)  # (…, 2)
    wrong = (got - want).abs().reshape(-1, 2, 2).amax(-1) > 1e-5
    return bool(sums[wrong].max() < min(0.0, float(sums[~wrong].min())))


_CORNERS = torch.tensor(list(itertools.product([-3.0, 3.0], repeat=4))).double()
_INSIDE = 6 * torch.rand(200, 4, generator=torch.Generator().manual_seed(0)).double() - 3


EXERCISES = (
    Exercise(
        name="02.break-the-gap",
        judge=_judge_break,
        solution=[-1.0, -1.0, 1.0, 1.0],
        right={
            "mixed pairs": torch.tensor([-1.0, 1.0, -1.0, 1.0]),
            "less": [-0.95, 0.3, 0.95, 0.0],
        },
        wrong={
            "pairs apart": ([1.0, 1.0, -1.0, -1.0], "further apart"),
            "no crossing": ([1.0] * 4, "No entry crosses"),
            "too little": ([-0.9, -0.9, 0.9, 0.9], "only 0.2"),
            "nan": ([math.nan, -1.0, 1.0, 1.0], "NaN"),
            "outside": ([-2.0, -1.0, 1.0, 1.0], "outside"),
            "one pair": ([-1.0, 1.0], "shape"),
        },
    ),
    Exercise(
        name="02.chunk-biases",
        judge=_judge_biases,
        solution=chunk_biases,
        right={
            "wider and raised": lambda n, a, b: chunk_biases(n, a, b) * 2 + 7,
            "looped": lambda n, a, b: [(a - b) * (i // 2) for i in range(n)],
        },
        wrong={
            "ascending": (lambda n, a, b: chunk_biases(n, a, b).flip(0), "ascend"),
            "x_max": (
                lambda n, a, b: chunk_biases(n, 0.0, max(abs(a), abs(b))),
                "no entry were negative",
            ),
            "half the gap": (lambda n, a, b: chunk_biases(n, a, b) / 2, "gap is half"),
            "an int": (lambda n, a, b: chunk_biases(n, 0.0, int(b - a)), "gap 0 was rounded"),
            "a hundred": (
                lambda n, _a, _b: chunk_biases(n, 0.0, 100.0),
                "On [-200000, 100000]^4 and",
            ),
            "the sum": (lambda n, a, b: chunk_biases(n, 0.0, b + a), "high + low"),
            "a little less": (lambda n, a, b: chunk_biases(n, a, b) * 0.99999, "gap 6.9999 lets"),
            "divided by zero": (lambda n, a, b: chunk_biases(n, a, b) / 0, "is not finite"),
            "a gap for each entry": (
                lambda n, a, b: (b - a) * torch.arange(n - 1, -1, -1.0),
                "Is their bias the same",
            ),
            "twice high": (lambda n, _a, b: 2 * b * chunk_biases(n, 0.0, 1.0), "2·high"),
            "high + 2": (lambda n, _a, b: chunk_biases(n, -2.0, b), "gap 3 lets"),
            "ten": (lambda n, _a, _b: chunk_biases(n, 0.0, 10.0), "On [-40, -10]^4 and"),
            "one for each pair": (
                lambda n, a, b: (b - a) * torch.arange(n // 2 - 1, -1, -1.0),
                "shape",
            ),
            "called": (chunk_biases(4, -1.0, 1.0), "without calling"),
        },
    ),
    Exercise(
        name="02.count-rounds",
        judge=partial(
            compare_number,
            value=55,
            otherwise="Blocks of 8 took 1 + 2 + 3 rounds: how many do blocks of 16 take?",
        ),
        solution=55,
        right={"float": 55.0, "sum": sum(range(11))},
        mistakes={
            "log": (
                10,
                "This is log2 of 1024: each of these ten merges has rounds of its own. How many?",
            ),
            "one merge short": (
                45,
                "The last merge is missing: do the rounds 1 + 2 + ... stop before m or at m?",
            ),
            "square": (100, "This is m². Does every merge need as many rounds as the last?"),
            "twice": (110, "This is m(m + 1), twice too many: what is 1 + 2 + ... + m?"),
            "transposition": (
                1024,
                "So many does odd-even transposition take. How many does the bitonic one?",
            ),
            "one merge long": (66, "This counts a merge too many: 1024 is 2 to which power?"),
            "twice the log": (
                20,
                "This is 2 log2 n: do all merges take two rounds?",
            ),
            "half of n": (512, "So many comparisons has one round: how many rounds are there?"),
            "comparisons of a merge": (
                5120,
                "This is (n/2) log2 n: comparisons of one merge. How many rounds, in all merges?",
            ),
            "operations": (10240, "This is n log2 n. How many rounds, not comparisons?"),
            "all comparisons": (
                28160,
                "These are the single comparisons, 512 a round. How many rounds are they?",
            ),
        },
        wrong={"text": ("55 rounds", "number is needed")},
    ),
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
            "first pair": (
                nn.Sequential(MaxMin(), linear([[0.0, 1.0, 0.0, 0.0]])),
                "This looks at the first pair only: what if the second pair has the two largest?",
            ),
        },
        wrong={
            "vector": (full_sort_from_maxmin(4), "shape"),
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
            "B small": (
                _four_by_abs(bound=2.0),
                "Right for large sums, wrong where x + y is most negative: is B large enough?",
                _only_where_sums_are_small,
            ),
        },
        wrong={
            "no root": (_four_by_abs(scale=1.0), "2-norm"),
            "one pair": (nn.Sequential(linear(torch.eye(2)), Abs()), "raised"),
        },
    ),
)
