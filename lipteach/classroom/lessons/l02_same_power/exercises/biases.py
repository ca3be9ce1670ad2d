"""Exercises of lesson 02 about biases and rounds: break-the-gap, chunk-biases, count-rounds."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, compare_number, need_tensor, show_apart
from lipteach.primitives import full_sort, maxmin

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
    first = _biases(answer, 4, *boxes[0])
    sizes = [*itertools.product(boxes, (4, 6, 2)), *itertools.product(boxes[:2], (8, 10, 12))]
    for (low, high), n in sizes:
        b = _biases(answer, n, low, high)
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


def _biases(answer: Any, n: int, low: float, high: float) -> Tensor:
    try:
        return need_tensor(call(answer, n, low, high), (n,))
    except Hint as hint:
        text = f"For n = {n}, low = {low:g}, high = {high:g}: {hint.text}"
        raise Hint(hint.kind, text, (n, low, high)) from None


def _bias_fault(b: Tensor, where: str, low: float, high: float) -> str:
    if not torch.allclose(b[0::2], b[1::2]):
        return f"{where}: the entries of a pair are to be compared fairly. Is their bias the same?"
    if torch.equal(b, b.sort().values) and bool((b[2:] > b[:-2]).any()):
        return f"{where}: these ascend, as an ascending sort would need. Which way do we sort?"
    gaps = b[0:-2:2] - b[2::2]
    gap = float(gaps.min())
    if gap == 0 and high - low > 1:  # or it was rounded to 0
        return f"{where}: two pairs have the same bias. What keeps them apart?"
    if len(gaps) > 1 and math.isclose(float(gaps.sum()), high - low, rel_tol=1e-5):
        return f"{where}: all pairs share one stretch of high - low. How much does each need?"
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
    if math.isclose(gap, (high - low) ** 2, rel_tol=1e-5):
        return f"{where}: the gap is (high - low)²: what is the square of a length below 1?"
    if math.isclose(gap, (high - low) ** 0.5, rel_tol=1e-5):
        return f"{where}: the gap is the root of high - low. What is a root for?"
    if low < 0 and gap in (-low, -2 * low):
        size = "the size" if gap == -low else "twice the size"
        return f"{where}: the gap {gap:g} is {size} of low. Where does high enter?"
    if gap in (math.floor(high - low), round(high - low)):
        return f"{where}: the gap {gap:.4g} was rounded: need high - low be a whole number?"
    if gap > high - low:
        return (
            f"{where}: the gap {gap:.4g} is wide enough, and so large that x + b is rounded: which "
            "gap is just as wide as the box?"
        )
    return (
        f"{where}: the gap {show_apart(gap, high - low)[0]} lets two pairs overlap. How long is "
        "the interval of a pair, from low to high?"
    )


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
            "too wide": (lambda n, _a, _b: 1e20 * chunk_biases(n, 0.0, 1.0), "x + b is rounded"),
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
            "the same for all": (lambda n, a, b: torch.full((n,), b - a), "keeps them apart"),
            "one stretch": (
                lambda n, a, b: chunk_biases(n, a, b) / max(n // 2 - 1, 1),
                "share one stretch",
            ),
            "the square": (lambda n, a, b: (b - a) * chunk_biases(n, a, b), "(high - low)²"),
            "the root": (lambda n, a, b: chunk_biases(n, a, b) / (b - a) ** 0.5, "the root of"),
            "low alone": (lambda n, a, _b: chunk_biases(n, 0.0, abs(a)), "is the size of low"),
            "twice low": (lambda n, a, _b: chunk_biases(n, 2 * a, 0.0), "twice the size of low"),
            "four only": (
                lambda _n, a, b: [b - a, b - a, 0.0, 0.0],
                "For n = 6, low = -2, high = 5",
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
            "the last merge": (
                9,
                "This is one off log2 n: is it the rounds of one merge, or of all?",
                lambda got: got in (9, 11),
            ),
            "doubled": (
                1023,
                "This adds up powers of 2: do the rounds of a merge double, or grow by one?",
                lambda got: got in (511, 1023, 1024 + 1022, 2047),
            ),
            "squares added": (
                385,
                "This adds up squares: how many rounds did blocks of 2, 4 and 8 take?",
            ),
            "multiplied": (
                3628800,
                "The rounds of the merges are multiplied: does one merge follow another?",
            ),
            "half the square": (
                50,
                "This is m²/2: is 1 + 2 + … + m just half of the square?",
            ),
            "three each": (30, "Three rounds for each merge: is the last one as short as that?"),
            "half": (27.5, "This is half of it: what is 1 + 2 + … + m, times two?"),
            "all pairs": (
                523776,
                "So many pairs are there: does a sorter compare each with each, one a round?",
            ),
            "another last merge": (
                36,
                "This is 1 + 2 + … + k for another k: how many merges lead to 1024?",
                lambda got: 0 < got < 1e6 and math.isqrt(int(8 * got + 1)) ** 2 == 8 * got + 1,
            ),
            "all comparisons": (
                28160,
                "These are the single comparisons, 512 a round. How many rounds are they?",
            ),
        },
        wrong={
            "text": ("55 rounds", "number is needed"),
            "one more": (56, "One too many"),
            "another number": (60, "blocks of 16"),
        },
    ),
)
