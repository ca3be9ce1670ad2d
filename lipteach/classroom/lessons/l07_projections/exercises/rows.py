"""The exercises of lesson 07: the ∞-norm of matrices, by rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    close,
    compare_tensor,
    need_tensor,
    seeded,
    show_values,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l07_projections.exercises.landing import comparable

# --- 07.worst


def worst(w: Tensor, eps: float) -> Tensor:
    """The δ with ‖δ‖_∞ ≤ eps at which w·δ is greatest."""
    return eps * w.sign()


def _leaves_the_cube(got: Tensor, want: Tensor, _w: Tensor, eps: float) -> bool | None:
    return (comparable(got, want) and bool((got.abs() > eps + 1e-6).any())) or None


def _against_w(got: Tensor, want: Tensor, w: Tensor, _eps: float) -> bool | None:
    return (comparable(got, want) and bool((got * w < -1e-9).any())) or None


def _below_eps(got: Tensor, want: Tensor, _w: Tensor, eps: float) -> bool | None:
    return (comparable(got, want) and bool((got.abs() < eps - 1e-6).any())) or None


def _judge_worst(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(
        answer,
        worst,
        inputs=[
            (torch.tensor([2.0, -3.0]).double(), 0.1),
            (seeded(5), 0.5),
            (torch.tensor([0.3, -0.4, 0.1]).double(), 0.2),
            (torch.tensor([0.5, 0.2, 0.1]).double(), 0.3),  # all of one sign
        ],
        mistakes=mistakes,
    )
    w, eps = torch.tensor([0.3, 0.0, -0.4]).double(), 0.2
    delta = need_tensor(call(answer, w, eps), (3,))  # where wᵢ is 0, each δᵢ up to ε is as good
    if not close(w @ delta, eps * w.abs().sum()) or not float(delta.abs().max()) <= eps + 1e-6:
        text = f"For {show_values(w)} the result is {show_values(delta)}: what if an entry is 0?"
        raise Hint("value", text)


# --- 07.moved-rows

ROWS = torch.tensor(
    [[0.7, -0.6], [0.3, 0.5], [0.9, -0.9], [-0.4, 0.6], [0.6, 0.6]], dtype=torch.float64
)

MOVED = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0], dtype=torch.float64)


def _judge_moved(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, (Tensor, np.ndarray)) and answer.dtype in (torch.bool, np.bool_):
        answer = torch.as_tensor(answer).double()  # True and False are fine here
    compare_tensor(answer, MOVED, mistakes=mistakes, otherwise=_which_row(answer))


def _which_row(answer: Any) -> str:
    """A question about the first row that is answered wrong."""
    got = need_tensor(answer)
    if got.shape != MOVED.shape:
        return ""
    if not bool(((got == 0) | (got == 1)).all()):
        return "Each answer is 0 or 1: which of the two is it if a row is in the ball?"
    k = int((got != MOVED).nonzero()[0]) if bool((got != MOVED).any()) else 0
    a, b = (show_values(round(v, 1)) for v in ROWS[k].abs().tolist())
    does = "moves" if got[k] else "stays"
    return f"You say that row {k + 1} {does}: is {a} + {b} above 1?"


# --- 07.wrong-axis

LARGEST = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def _judge_wrong_axis(answer: Any) -> None:
    """A 2 × 3 matrix whose columns are in the L1 ball, of the largest ∞-norm, which is 3."""
    W = need_tensor(answer)
    if tuple(W.shape) == (3, 2):
        raise Hint("shape", "This is 3 × 2: which of the two numbers counts the rows?")
    W = need_tensor(answer, (2, 3))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "A number in this matrix is not finite.")
    columns, rows = W.abs().sum(dim=0), W.abs().sum(dim=1)
    if float(columns.max()) > 1 + 1e-6:
        k = int(columns.argmax())
        text = f"Column {k + 1} has the L1 norm {show_values(float(columns[k]))}"
        raise Hint("constraint", f"{text}: a projection of the columns would move it.")
    norm = float(rows.max())
    if norm < 3 - 1e-6:
        if abs(norm - 1) < 1e-6:
            ask = "can several columns put their weight in one row?"
        elif float(columns.min()) < 1 - 1e-6:
            ask = "do all three columns use the whole of their norm?"
        else:
            ask = "how much of each column lies in the largest row?"
        raise Hint("value", f"The ∞-norm is {show_values(norm)}, and more is possible: {ask}")


EXERCISES = (
    Exercise(
        name="07.worst",
        judge=_judge_worst,
        solution=worst,
        right={
            "where": lambda w, eps: torch.where(w >= 0, eps, -eps),
            "one by one": lambda w, eps: torch.stack([eps * v / v.abs() if v else v for v in w]),
        },
        mistakes={
            "2-norm": (
                lambda w, eps: eps * w / w.norm(),
                "This is the worst for ‖δ‖₂ ≤ ε: may the small entries of δ grow to ε as well?",
            ),
            "1-norm": (
                lambda w, eps: torch.where(w.abs() == w.abs().max(), eps * w.sign(), 0.0),
                "One entry alone is the worst for ‖δ‖₁ ≤ ε: may the others move at the same time?",
            ),
            "eps w": (lambda w, eps: eps * w, "Is the largest |δᵢ| of this equal to ε?"),
            "scaled": (
                lambda w, eps: eps * w / w.abs().max(),
                "The largest entry is at ε: do the others help by staying smaller?",
            ),
            "best": (lambda w, eps: -eps * w.sign(), "This makes w·δ as small as it gets."),
            "all upwards": (
                lambda w, eps: torch.full_like(w, eps),
                "All upwards: what does a positive δᵢ do where wᵢ is negative?",
            ),
            "size 1": (
                lambda w, _eps: w.sign(),
                "The right corner of the wrong cube: how large may δᵢ be?",
            ),
            "the value": (
                lambda w, eps: eps * w.abs().sum(),
                "This is the value w·δ of the worst δ: which δ reaches it?",
            ),
            "unsigned": (
                lambda w, eps: eps * w.abs(),
                "Is a product w·δ with δ = ε |w| helped by the negative wᵢ?",
            ),
            "eps squared": (
                lambda w, eps: eps**2 * w.sign(),
                "ε stands there twice: how large may each |δᵢ| be?",
            ),
            "only upwards": (
                lambda w, eps: eps * (w > 0).to(w),
                "Where wᵢ is negative δᵢ is 0: would a negative δᵢ add to w·δ?",
            ),
            "a share": (
                lambda w, eps: eps * w / w.abs().sum(),
                "The sizes |δᵢ| add up to ε: is it their sum or their largest that is bounded?",
            ),
            "clipped": (
                lambda w, eps: w.clamp(-eps, eps),
                "Small entries of w give small δᵢ here: may those be as large as ε, too?",
            ),
            "w less δ": (
                lambda w, eps: w - eps * w.sign(),
                "This is w − δ, moved towards 0: which δ is asked for?",
            ),
            "above the mean": (
                lambda w, eps: torch.where(w > w.mean(), eps, -eps),
                "The sign of δᵢ says whether wᵢ is above the mean: above which number is it up?",
            ),
            "one entry": (
                lambda w, eps: torch.where(w.abs() == w.abs().max(), eps, 0.0),
                "One entry alone moves, and upwards: may the others move at the same time?",
            ),
            "only downwards": (
                lambda w, eps: eps * (w < 0).to(w),
                "δᵢ is ε where wᵢ is negative: what does that do to the product wᵢ δᵢ?",
            ),
            "by the length": (
                lambda w, eps: eps * w.sign() / math.sqrt(len(w)),
                "Each |δᵢ| is ε/√n: is it ‖δ‖₂ that is bounded by ε?",
            ),
            "by the number": (
                lambda w, eps: eps * w.sign() / len(w),
                "Each |δᵢ| is ε/n: is it the sum of the |δᵢ| that is bounded by ε?",
            ),
            "the reciprocals": (
                lambda w, eps: eps / w,
                "Divided by wᵢ: where wᵢ is small δᵢ leaves the cube. Which part of wᵢ matters?",
            ),
            "added": (lambda w, eps: w + eps * w.sign(), "This is w + δ: which δ did you add?"),
            "outside": (
                lambda w, eps: w.sign() * (eps + 0.1 * w.abs()),
                "An entry of δ is larger than ε: how large may each be?",
                _leaves_the_cube,
            ),
            "a wrong sign": (
                lambda w, eps: torch.where(w > 0.4, eps, -eps),
                "An entry of δ has not the sign of its wᵢ: what does it do to wᵢ δᵢ?",
                _against_w,
            ),
            "too small": (
                lambda w, eps: eps * torch.tanh(w),
                "An entry of δ is smaller than ε: would w·δ grow if it grew?",
                _below_eps,
            ),
        },
        wrong={"not a number": (lambda w, eps: eps * w / w.abs(), "what if an entry is 0")},
    ),
    Exercise(
        name="07.moved-rows",
        judge=_judge_moved,
        solution=[1.0, 0.0, 1.0, 0.0, 1.0],
        right={
            "booleans": [True, False, True, False, True],
            "a tensor": ROWS.abs().sum(dim=1) > 1 + 1e-9,
            "integers": [1, 0, 1, 0, 1],
        },
        mistakes={
            "the sums": (
                [1.3, 0.8, 1.8, 1.0, 1.2],
                "These are the L1 norms: which of them does the projection change? Answer 0 or 1.",
            ),
            "what is too much": (
                [0.3, 0, 0.8, 0, 0.2],
                "This is how far each row is outside: answer 1 where that is more than 0.",
            ),
            "minus and plus": (
                [1, -1, 1, -1, 1],
                "A row that stays is asked for as 0: which rows are those?",
                lambda got: got.shape == (5,) and bool((got.abs() == 1).all()) and got.min() < 0,
            ),
            "first sums": (
                [1, 0, 1, 0, 0],
                "Row 5 stays with you: do two equal entries count only once?",
            ),
            "pairs": (
                [[1, 0], [0, 0], [1, 0], [0, 0], [1, 0]],
                "One answer for a row, not for an entry: does a row move as a whole?",
                lambda got: got.shape == (5, 2),
            ),
            "signed sums": (
                [0, 0, 0, 0, 1],
                "You added the entries with their signs: what is the L1 norm?",
            ),
            "2-norms": (
                [0, 0, 1, 0, 0],
                "These have 2-norm above 1: which norm of a row counts here?",
            ),
            "entries": (
                [0, 0, 0, 0, 0],
                "No entry exceeds 1, but it is a sum that is bounded: of what?",
            ),
            "the boundary": (
                [1, 0, 1, 1, 1],
                "Row 4 has the norm 1 exactly: is it outside the ball?",
            ),
            "all": (
                [1, 1, 1, 1, 1],
                "Rows 2 and 4 obey already: where is a point of the ball sent to?",
            ),
            "turned round": (
                [0, 1, 0, 1, 0],
                "These are the rows that stay: turn every answer round.",
            ),
            "numbers": (
                [1, 3, 5],
                "One answer a row is needed, 0 or 1, not the numbers of the rows.",
            ),
            "indices": (
                [0, 2, 4],
                "One answer for each of the five rows is needed, not their indices.",
            ),
            "columns": (
                [1, 1],
                "Two answers: did you look at the columns?",
                lambda got: got.shape == (2,),
            ),
        },
    ),
    Exercise(
        name="07.wrong-axis",
        judge=_judge_wrong_axis,
        solution=LARGEST,
        right={"second row": LARGEST.flip(0), "signs": [[0, 0, 0], [1, -1, -1]]},
        wrong={
            "rows": ([[1, 0, 0], [0, 1, 0]], "several columns"),
            "halves": ([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], "is 1.5"),
            "two columns": ([[1, 1, 0], [0, 0, 0]], "all three columns"),
            "ones": ([[1, 1, 1], [1, 1, 1]], "Column 1"),
            "one too large": ([[1, 1, 2], [0, 0, 0]], "Column 3"),
            "transposed": ([[1, 0], [1, 0], [1, 0]], "This is 3 × 2"),
            "a vector": ([1, 1, 1], "The shape is"),
        },
    ),
)
