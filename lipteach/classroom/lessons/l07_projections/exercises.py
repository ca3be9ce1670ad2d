"""The exercises of lesson 07."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    When,
    call,
    close,
    compare_number,
    compare_tensor,
    need_tensor,
    seeded,
    show_values,
)
from lipteach.classroom.compare_functions import compare_function

THRESHOLD = (0.9 + 0.5 + 0.25 - 1) / 3
"""Of (0.9, 0.5, 0.25, −0.3) and r = 1: three entries stay positive."""


def _judge_threshold(answer: Any) -> None:
    compare_number(
        answer,
        THRESHOLD,
        tol=5e-5,
        mistakes=[
            (-0.1, "This is the value at k = 1: does k = 2 meet the condition as well?"),
            (0.2, "This is the value at k = 2: is it below u₃, too?"),
            (0.0875, "This is the value at k = 4: is it below u₄ = −0.3?"),
            (0.55, "This is the mean of the three: what became of the r = 1 that is taken off?"),
            (0.65, "This is the sum less r: by how many entries is it shared?"),
            (3, "This is K: which τ belongs to it?"),
            (When(lambda got: abs(got - THRESHOLD) < 5e-3), "Nearly: what are its four digits?"),
        ],
    )


def simplex(y: Tensor) -> Tensor:
    """The projection on the unit simplex along the last dimension, as on paper."""
    u = y.sort(dim=-1, descending=True).values
    k = torch.arange(1, y.shape[-1] + 1)
    tau = (u.cumsum(dim=-1) - 1) / k
    K = (tau < u).sum(dim=-1, keepdim=True)
    return (y - tau.gather(-1, K - 1)).clamp(min=0)


def _one_by_one(y: Tensor) -> Tensor:
    flat = y.reshape(-1, y.shape[-1])
    return torch.stack([simplex(row) for row in flat]).reshape(y.shape)


def _not_cut(y: Tensor) -> Tensor:
    u = y.sort(dim=-1, descending=True).values
    tau = (u.cumsum(dim=-1) - 1) / torch.arange(1, y.shape[-1] + 1)
    return y - tau.gather(-1, (tau < u).sum(dim=-1, keepdim=True) - 1)


def _all_entries(y: Tensor) -> Tensor:
    return (y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1]).clamp(min=0)


def _scaled(y: Tensor) -> Tensor:
    positive = y.clamp(min=0)
    return positive / positive.sum(dim=-1, keepdim=True)


def _in_order(y: Tensor) -> Tensor:
    return simplex(y).sort(dim=-1, descending=True).values


_ROWS = "In a batch each row has a τ and a K of its own: which dimension do you sum along?"


def _flattened(y: Tensor) -> Tensor:
    return simplex(y.flatten()).reshape(y.shape)


def _along_first(y: Tensor) -> Tensor:
    return simplex(y.movedim(0, -1)).movedim(-1, 0)


def _judge_simplex(answer: Any) -> None:
    compare_function(
        answer,
        simplex,
        inputs=[torch.tensor([0.9, 0.5, -0.3, 0.25]).double(), seeded(6), 3 * seeded(5, seed=2)],
        layouts=[seeded(4, 3), seeded(2, 3, 5), seeded(3, 4, seed=1).T],
        ties=[torch.zeros(2).double(), torch.ones(2, 4).double()],
        gradient=True,
        mistakes=[
            (_not_cut, "The sum is 1, but some entries are negative: what does max(·, 0) do?"),
            (
                _all_entries,
                "Here τ counts every entry, K = n: is u₁ the greatest, and which stay above?",
            ),
            (_scaled, "Dividing gives the sum 1, but not the nearest point: subtract one number."),
            (_in_order, "The right numbers, sorted: does τ leave u, or y in its own order?"),
            (
                lambda y: y.softmax(dim=-1),
                "Softmax lands on the simplex, but far from y: which single number is taken off?",
            ),
            (_flattened, _ROWS),
            (_along_first, "Each column sums to 1 here: do the vectors lie along dim = −1?"),
            (
                lambda y: y.clamp(-1, 1),
                "This is the L∞ ball: does (0, 0) have the sum 1 that the simplex asks for?",
            ),
        ],
    )


BY_HAND = torch.tensor([0.6, -0.4, 0.0], dtype=torch.float64)


def _judge_by_hand(answer: Any) -> None:
    compare_tensor(
        answer,
        BY_HAND,
        tol=1e-3,
        mistakes=[
            ([0.85, 0, 0.15], "Algorithm 1 as printed gives this: where did the −0.6 go?"),
            ([0.6, 0.4, 0], "These are the sizes |x|: which signs had the entries of y?"),
            (
                [0.8 / 1.5, -0.4, 0.1 / 1.5],
                "Dividing by the L1 norm lands on the ball, but is it the nearest point? What if "
                "the small entry gave up all it has?",
            ),
            ([0.8, -0.6, 0.1], "This is y, the clip to [−1, 1]: what is its L1 norm?"),
            (
                [0.8 - 1 / 6, -0.6 + 1 / 6, 0],
                "This τ counts three entries: is τ = 1/6 below the third, 0.1?",
            ),
            (
                [0.8 - 1 / 6, -0.6 + 1 / 6, -0.1 + 1 / 30],
                "The third entry crossed 0: where does max(·, 0) stop it?",
            ),
            (
                [0.8 / math.sqrt(1.01), -0.6 / math.sqrt(1.01), 0.1 / math.sqrt(1.01)],
                "Divided by the 2-norm: what is the sum of the sizes now?",
            ),
            ([1, 0, 0], "A corner: is the second entry really 1 or more below the first?"),
        ],
    )


def l1_ball(y: Tensor, r: float) -> Tensor:
    """The repaired algorithm, for a vector y of shape (n,)."""
    if y.abs().sum() <= r:
        return y
    return y.sign() * r * simplex(y.abs() / r)


def _as_printed(y: Tensor, r: float) -> Tensor:
    return r * simplex(y / r)


def _no_exit(y: Tensor, r: float) -> Tensor:
    return y.sign() * r * simplex(y.abs() / r)


def _no_signs(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else r * simplex(y.abs() / r)


def _exit_only(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else r * simplex(y / r)


def _radius_one(y: Tensor, _r: float) -> Tensor:
    return l1_ball(y, 1.0)


def _simplex_of_one(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else y.sign() * simplex(y.abs())


def _sizes_lost(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else y.sign() * r * simplex(y / r)


def _divided(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= r else r * y / y.abs().sum()


def _exit_by_2_norm(y: Tensor, r: float) -> Tensor:
    return y if y.square().sum() <= r**2 else _no_exit(y, r)


def _exit_by_sum(y: Tensor, r: float) -> Tensor:
    return y if y.sum() <= r else _no_exit(y, r)


def _exit_by_largest(y: Tensor, r: float) -> Tensor:
    return y if y.abs().max() <= r else _no_exit(y, r)


def _exit_at_one(y: Tensor, r: float) -> Tensor:
    return y if y.abs().sum() <= 1 else _no_exit(y, r)


def _unmoved(y: Tensor, _r: float) -> Tensor:
    return y


def _clipped(y: Tensor, r: float) -> Tensor:
    return y.clamp(-r, r)


_REPAIRS = (
    (_as_printed, "This is Algorithm 1 as printed: what of −0.6?"),
    (_no_exit, "Right outside. But (0.2, −0.1) is in the ball already: what is nearest to it?"),
    (_no_signs, "The sizes are right and the signs are lost: which of y's do you give back?"),
    (_exit_only, "The points inside stay. Outside, what does a negative entry do to the sum?"),
    (_simplex_of_one, "Who tells the simplex that its sum is r?"),
    (
        _sizes_lost,
        "The points inside stay, the signs are back: whose simplex point is it, y's or |y|'s?",
    ),
    (_radius_one, "Right for r = 1: where else does r belong?"),
    (_divided, "Dividing lands on the ball, but not at the nearest point: which algorithm does?"),
    (_exit_by_2_norm, "(0.6, −0.5) stays with you: which norm says whether y is in the ball?"),
    (_exit_by_sum, "(0.8, −0.6, 0.1) stays with you: does its sum say that it is in the ball?"),
    (_exit_by_largest, "(0.6, −0.5) stays with you: its entries are small, but what is their sum?"),
    (_exit_at_one, "Right for r = 1: which points may stay when r is 2, or ½?"),
    (_unmoved, "Nothing is moved: what of (−2, 0)?"),
    (_clipped, "This is the L∞ ball, entry by entry: what is the sum of the sizes?"),
)


def _judge_repair(answer: Any) -> None:
    inputs = [
        (torch.tensor([0.8, -0.6, 0.1]).double(), 1.0),
        (torch.tensor([0.2, -0.1]).double(), 1.0),
        (torch.tensor([-2.0, 0.0]).double(), 1.0),
        (torch.tensor([0.6, -0.5]).double(), 1.0),
        (torch.tensor([0.9, -0.6]).double(), 2.0),
        (torch.tensor([0.4, -0.3]).double(), 0.5),
        (3 * seeded(6), 2.0),
        (seeded(4, seed=1), 0.5),
        (torch.zeros(3).double(), 1.0),
    ]
    compare_function(answer, l1_ball, inputs=inputs, gradient=True, mistakes=_REPAIRS)


def worst(w: Tensor, eps: float) -> Tensor:
    """The δ with ‖δ‖_∞ ≤ eps at which w·δ is greatest."""
    return eps * w.sign()


def _largest_only(w: Tensor, eps: float) -> Tensor:
    return torch.where(w.abs() == w.abs().max(), eps * w.sign(), 0.0)


def _judge_worst(answer: Any) -> None:
    compare_function(
        answer,
        worst,
        inputs=[
            (torch.tensor([2.0, -3.0]).double(), 0.1),
            (seeded(5), 0.5),
            (torch.tensor([0.3, -0.4, 0.1]).double(), 0.2),
        ],
        mistakes=[
            (
                lambda w, eps: eps * w / w.norm(),
                "This is the worst for ‖δ‖₂ ≤ ε: may the small entries of δ grow to ε as well?",
            ),
            (
                _largest_only,
                "One entry alone is the worst for ‖δ‖₁ ≤ ε: may the others move at the same time?",
            ),
            (lambda w, eps: eps * w, "Is the largest |δᵢ| of this equal to ε?"),
            (
                lambda w, eps: eps * w / w.abs().max(),
                "The largest entry is at ε: do the others help by staying smaller?",
            ),
            (lambda w, eps: -eps * w.sign(), "This makes w·δ as small as it gets."),
            (
                lambda w, eps: torch.full_like(w, eps),
                "All upwards: what does a positive δᵢ do where wᵢ is negative?",
            ),
            (lambda w, _eps: w.sign(), "The right corner of the wrong cube: how large may δᵢ be?"),
            (
                lambda w, eps: eps * w.abs().sum(),
                "This is the value w·δ of the worst δ: which δ reaches it?",
            ),
            (
                lambda w, eps: w.clamp(-eps, eps),
                "Small entries of w give small δᵢ here: may those be as large as ε, too?",
            ),
            (
                lambda w, eps: w + eps * w.sign(),
                "This is w + δ: which δ did you add?",
            ),
        ],
    )
    w, eps = torch.tensor([0.3, 0.0, -0.4]).double(), 0.2
    delta = need_tensor(call(answer, w, eps), (3,))  # where wᵢ is 0, each δᵢ up to ε is as good
    if not close(w @ delta, eps * w.abs().sum()) or not float(delta.abs().max()) <= eps + 1e-6:
        text = f"For {show_values(w)} the result is {show_values(delta)}: what if an entry is 0?"
        raise Hint("value", text)


ROWS = torch.tensor(
    [[0.7, -0.6], [0.3, 0.5], [0.9, -0.9], [-0.4, 0.6], [0.6, 0.6]], dtype=torch.float64
)
MOVED = [1.0, 0.0, 1.0, 0.0, 1.0]


def _judge_moved(answer: Any) -> None:
    if isinstance(answer, Tensor) and answer.dtype == torch.bool:
        answer = answer.double()  # True and False are fine here
    compare_tensor(
        answer,
        MOVED,
        mistakes=[
            ([0, 0, 0, 0, 1], "You added the entries with their signs: what is the L1 norm?"),
            ([0, 0, 1, 0, 0], "These have 2-norm above 1: which norm of a row counts here?"),
            ([0, 0, 0, 0, 0], "No entry exceeds 1, but it is a sum that is bounded: of what?"),
            ([1, 0, 1, 1, 1], "Row 4 has the norm 1 exactly: is it outside the ball?"),
            ([1, 1, 1, 1, 1], "Rows 2 and 4 obey already: where is a point of the ball sent to?"),
            ([0, 1, 0, 1, 0], "These are the rows that stay: turn every answer round."),
            ([1, 3, 5], "One answer a row is needed, 0 or 1, not the numbers of the rows."),
            ([0, 2, 4], "One answer for each of the five rows is needed, not their indices."),
            (When(lambda got: got.shape == (2,)), "Two answers: did you look at the columns?"),
        ],
    )


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
        name="07.threshold",
        question="The threshold τ of (0.9, 0.5, 0.25, −0.3) for r = 1.",
        difficulty=1,
        minutes=5,
        judge=_judge_threshold,
        solution=THRESHOLD,
        right={"four digits": 0.2167, "a fraction": 13 / 60, "a tensor": torch.tensor(0.65 / 3)},
        wrong={
            "k = 1": (-0.1, "at k = 1"),
            "k = 2": (0.2, "at k = 2"),
            "k = 4": (0.0875, "at k = 4"),
            "mean": (0.55, "the mean of the three"),
            "not shared": (0.65, "by how many"),
            "K": (3, "This is K"),
            "two digits": (0.22, "four digits"),
            "the point": ([0.683, 0.283, 0.033, 0.0], "A number is needed"),
        },
    ),
    Exercise(
        name="07.simplex",
        question="The projection on the unit simplex along the last dimension.",
        difficulty=2,
        minutes=12,
        judge=_judge_simplex,
        solution=simplex,
        right={
            "one row at a time": _one_by_one,
            "float32": lambda y: simplex(y.float()),
        },
        wrong={
            "not cut": (_not_cut, "some entries are negative"),
            "all entries": (_all_entries, "every entry"),
            "scaled": (_scaled, "Dividing gives"),
            "softmax": (lambda y: y.softmax(dim=-1), "Softmax"),
            "sorted": (_in_order, "The right numbers, sorted"),
            "one threshold": (_flattened, "of its own"),
            "columns": (_along_first, "Each column"),
            "a clip": (lambda y: y.clamp(-1, 1), "the L∞ ball"),
            "detached": (lambda y: simplex(y.detach()), "no gradient"),
        },
    ),
    Exercise(
        name="07.worst",
        question="The δ with ‖δ‖_∞ ≤ ε at which w·δ is greatest.",
        difficulty=1,
        minutes=5,
        judge=_judge_worst,
        solution=worst,
        right={
            "where": lambda w, eps: torch.where(w >= 0, eps, -eps),
            "one by one": lambda w, eps: torch.stack([eps * v / v.abs() if v else v for v in w]),
            "float32": lambda w, eps: worst(w.float(), eps),
        },
        wrong={
            "2-norm": (lambda w, eps: eps * w / w.norm(), "for ‖δ‖₂ ≤ ε"),
            "1-norm": (_largest_only, "One entry alone"),
            "eps w": (lambda w, eps: eps * w, "Is the largest"),
            "scaled": (lambda w, eps: eps * w / w.abs().max(), "staying smaller"),
            "best": (lambda w, eps: -eps * w.sign(), "as small as it gets"),
            "all upwards": (lambda w, eps: torch.full_like(w, eps), "All upwards"),
            "not a number": (lambda w, eps: eps * w / w.abs(), "what if an entry is 0"),
            "clipped": (lambda w, eps: w.clamp(-eps, eps), "Small entries"),
            "added": (lambda w, eps: w + eps * w.sign(), "which δ did you add"),
            "size 1": (lambda w, _eps: w.sign(), "wrong cube"),
            "the value": (lambda w, eps: eps * w.abs().sum(), "This is the value"),
        },
    ),
    Exercise(
        name="07.by-hand",
        question="The projection of (0.8, −0.6, 0.1) on the unit L1 ball.",
        difficulty=1,
        minutes=6,
        judge=_judge_by_hand,
        solution=BY_HAND,
        right={"a list": [0.6, -0.4, 0], "float32": BY_HAND.float(), "a tuple": (0.6, -0.4, 0.0)},
        wrong={
            "as printed": ([0.85, 0, 0.15], "as printed gives this"),
            "no signs": ([0.6, 0.4, 0], "These are the sizes"),
            "divided": ([0.5333, -0.4, 0.0667], "by the L1 norm"),
            "a clip": ([0.8, -0.6, 0.1], "the clip"),
            "three entries": ([0.6333, -0.4333, 0], "counts three"),
            "past 0": ([0.6333, -0.4333, -0.0667], "crossed 0"),
            "by the 2-norm": ([0.796, -0.597, 0.0995], "by the 2-norm"),
            "a corner": ([1, 0, 0], "A corner"),
            "two entries": ([0.6, -0.4], "The shape is"),
        },
    ),
    Exercise(
        name="07.repair",
        question="Algorithm 1 repaired: the projection of a vector on the L1 ball of radius r.",
        difficulty=2,
        minutes=10,
        judge=_judge_repair,
        solution=l1_ball,
        right={
            "where": lambda y, r: torch.where(
                y.abs().sum() <= r, y, y.sign() * r * simplex(y.abs() / r)
            ),
            "float32": lambda y, r: l1_ball(y.float(), r),
        },
        wrong={
            "as printed": (_as_printed, "as printed: what of"),
            "no early exit": (_no_exit, "in the ball already"),
            "no signs": (_no_signs, "signs are lost"),
            "no absolute values": (_exit_only, "The points inside stay"),
            "simplex of sum 1": (_simplex_of_one, "Who tells the simplex"),
            "signs back, no sizes": (_sizes_lost, "whose simplex point"),
            "radius 1": (_radius_one, "Right for r = 1: where else"),
            "exit by the 2-norm": (_exit_by_2_norm, "which norm says"),
            "exit by the sum": (_exit_by_sum, "does its sum say"),
            "exit by the largest": (_exit_by_largest, "what is their sum"),
            "exit at 1": (_exit_at_one, "Right for r = 1: which points"),
            "nothing": (_unmoved, "Nothing is moved"),
            "divided": (_divided, "Dividing lands"),
            "a clip": (_clipped, "the L∞ ball, entry by entry"),
            "detached": (lambda y, r: l1_ball(y.detach(), r), "no gradient"),
        },
    ),
    Exercise(
        name="07.moved-rows",
        question="Which rows of W does a projection on ‖W‖_∞ ≤ 1 move?",
        difficulty=1,
        minutes=4,
        judge=_judge_moved,
        solution=MOVED,
        right={
            "booleans": [True, False, True, False, True],
            "a tensor": ROWS.abs().sum(dim=1) > 1 + 1e-9,
            "integers": [1, 0, 1, 0, 1],
        },
        wrong={
            "signed sums": ([0, 0, 0, 0, 1], "with their signs"),
            "2-norms": ([0, 0, 1, 0, 0], "These have 2-norm"),
            "entries": ([0, 0, 0, 0, 0], "No entry exceeds 1"),
            "the boundary": ([1, 0, 1, 1, 1], "Row 4"),
            "all": ([1, 1, 1, 1, 1], "Rows 2 and 4"),
            "turned round": ([0, 1, 0, 1, 0], "turn every answer"),
            "numbers": ([1, 3, 5], "not the numbers"),
            "columns": ([1, 1], "Two answers"),
        },
    ),
    Exercise(
        name="07.wrong-axis",
        question="A 2 × 3 matrix with columns of L1 norm at most 1 and the largest ∞-norm.",
        difficulty=2,
        minutes=8,
        judge=_judge_wrong_axis,
        solution=LARGEST,
        right={
            "second row": LARGEST.flip(0),
            "signs": [[0, 0, 0], [1, -1, -1]],
            "float32": LARGEST.float(),
        },
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
