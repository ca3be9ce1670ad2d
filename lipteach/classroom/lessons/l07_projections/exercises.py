"""The exercises of lesson 07: the simplex, the L1 ball, and the ∞-norm of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    close,
    compare_number,
    compare_tensor,
    need_tensor,
    seeded,
    show_values,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import project_l1_ball, project_simplex

# --- 07.threshold

THRESHOLD = (0.9 + 0.5 + 0.25 - 1) / 3
"""Of (0.9, 0.5, 0.25, −0.3) and r = 1: three entries stay positive."""

# --- 07.simplex


def _one_by_one(y: Tensor) -> Tensor:
    flat = y.reshape(-1, y.shape[-1])
    return torch.stack([project_simplex(row) for row in flat]).reshape(y.shape)


# --- 07.worst


def worst(w: Tensor, eps: float) -> Tensor:
    """The δ with ‖δ‖_∞ ≤ eps at which w·δ is greatest."""
    return eps * w.sign()


def _judge_worst(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(
        answer,
        worst,
        inputs=[
            (torch.tensor([2.0, -3.0]).double(), 0.1),
            (seeded(5), 0.5),
            (torch.tensor([0.3, -0.4, 0.1]).double(), 0.2),
        ],
        mistakes=mistakes,
    )
    w, eps = torch.tensor([0.3, 0.0, -0.4]).double(), 0.2
    delta = need_tensor(call(answer, w, eps), (3,))  # where wᵢ is 0, each δᵢ up to ε is as good
    if not close(w @ delta, eps * w.abs().sum()) or not float(delta.abs().max()) <= eps + 1e-6:
        text = f"For {show_values(w)} the result is {show_values(delta)}: what if an entry is 0?"
        raise Hint("value", text)


# --- 07.by-hand

BY_HAND = torch.tensor([0.6, -0.4, 0.0], dtype=torch.float64)

# --- 07.repair


def _moved(y: Tensor, r: float) -> Tensor:
    """The sizes projected and the signs back: right for each y outside the ball."""
    return y.sign() * project_simplex(y.abs(), r)


# --- 07.moved-rows

ROWS = torch.tensor(
    [[0.7, -0.6], [0.3, 0.5], [0.9, -0.9], [-0.4, 0.6], [0.6, 0.6]], dtype=torch.float64
)


def _judge_moved(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, Tensor) and answer.dtype == torch.bool:
        answer = answer.double()  # True and False are fine here
    ask = "Row 1 has the L1 norm 0.7 + 0.6 = 1.3, above 1: what is it for each other row?"
    compare_tensor(answer, [1, 0, 1, 0, 1], mistakes=mistakes, otherwise=ask)


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
        name="07.threshold",
        judge=partial(
            compare_number,
            value=THRESHOLD,
            decimals=4,
            otherwise="With τ = 0.3 the positive parts of y − τ add up to 0.8: which τ makes it 1?",
        ),
        solution=THRESHOLD,
        right={"four digits": 0.2167, "a fraction": 13 / 60},
        mistakes={
            "k = 1": (-0.1, "This is the value at k = 1: does k = 2 meet the condition as well?"),
            "k = 2": (0.2, "This is the value at k = 2: is it below u₃, too?"),
            "k = 4": (0.0875, "This is the value at k = 4: is it below u₄ = −0.3?"),
            "mean": (
                0.55,
                "This is the mean of the three: what became of the r = 1 that is taken off?",
            ),
            "not shared": (0.65, "This is the sum less r: by how many entries is it shared?"),
            "K": (3, "This is K: which τ belongs to it?"),
            "two digits": (
                0.22,
                "Nearly: what are its four digits?",
                lambda got: abs(got - THRESHOLD) < 5e-3,
            ),
        },
        wrong={"the point": ([0.683, 0.283, 0.033, 0.0], "A number is needed")},
    ),
    Exercise(
        name="07.simplex",
        judge=partial(
            compare_function,
            reference=project_simplex,
            inputs=[
                torch.tensor([0.9, 0.5, -0.3, 0.25]).double(),
                seeded(6),
                3 * seeded(5, seed=2),
            ],
            layouts=[
                seeded(4, 3),
                seeded(2, 3, 5),
                seeded(3, 4, seed=1).T,
                *(seeded(1), seeded(3, 1), seeded(1, 4), seeded(2, 1, 3)),
            ],
            ties=[torch.zeros(2).double(), torch.ones(2, 4).double()],
            gradient=True,
        ),
        solution=project_simplex,
        right={"one row at a time": _one_by_one},
        mistakes={
            "not cut": (
                lambda y: y - (y - project_simplex(y)).amax(dim=-1, keepdim=True),
                "The sum is 1, but some entries are negative: what does max(·, 0) do?",
            ),
            "all entries": (
                lambda y: (y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1]).clamp(min=0),
                "Here τ counts every entry, K = n: is u₁ the greatest, and which stay above?",
            ),
            "scaled": (
                lambda y: y.clamp(min=0) / y.clamp(min=0).sum(dim=-1, keepdim=True),
                "Dividing gives the sum 1, but not the nearest point: subtract one number.",
            ),
            "sorted": (
                lambda y: project_simplex(y).sort(dim=-1, descending=True).values,
                "The right numbers, sorted: does τ leave u, or y in its own order?",
            ),
            "softmax": (
                lambda y: y.softmax(dim=-1),
                "Softmax lands on the simplex, but far from y: which single number is taken off?",
            ),
            "one threshold": (
                lambda y: project_simplex(y.flatten()).reshape(y.shape),
                "In a batch each row has a τ and a K of its own: which dimension do you sum along?",
            ),
            "columns": (
                lambda y: project_simplex(y, dim=0),
                "Each column sums to 1 here: do the vectors lie along dim = −1?",
            ),
            "the ball": (
                project_l1_ball,
                "This is the L1 ball, which has negative entries too: what is the sum here?",
            ),
            "the sizes": (
                lambda y: project_simplex(y.abs()),
                "These are the projections of the sizes |y|: what is nearest to a negative entry?",
            ),
            "radius 2": (
                lambda y: project_simplex(y, 2.0),
                "The sum is 2 here: which simplex is the unit one?",
            ),
            "divided by the sum": (
                lambda y: y / y.sum(dim=-1, keepdim=True),
                "Divided by the sum, some entries stay negative: which number is subtracted?",
            ),
            "divided by the size": (
                lambda y: y.abs() / y.abs().sum(dim=-1, keepdim=True),
                "The sizes, divided by their sum: which point of the simplex is nearest to y?",
            ),
            "a corner": (
                lambda y: torch.nn.functional.one_hot(y.argmax(-1), y.shape[-1]).to(y),
                "One entry takes all: may the next one not keep a part?",
            ),
            "summed to 1": (
                lambda y: y - (y.sum(dim=-1, keepdim=True) - 1) / y.shape[-1],
                "The sum is 1, and nothing is cut at 0: which entries may take part in τ?",
            ),
            "a clip": (
                lambda y: y.clamp(-1, 1),
                "This is the L∞ ball: does (0, 0) have the sum 1 that the simplex asks for?",
            ),
        },
        wrong={"detached": (lambda y: project_simplex(y.detach()), "no gradient")},
    ),
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
            "added": (lambda w, eps: w + eps * w.sign(), "This is w + δ: which δ did you add?"),
        },
        wrong={"not a number": (lambda w, eps: eps * w / w.abs(), "what if an entry is 0")},
    ),
    Exercise(
        name="07.by-hand",
        judge=partial(
            compare_tensor,
            value=BY_HAND,
            tol=1e-3,
            otherwise="With τ = 0.1 the sizes become 0.7, 0.5 and 0, in all 1.2: which τ makes it "
            "1?",
        ),
        solution=BY_HAND,
        right={"a list": [0.6, -0.4, 0], "a tuple": (0.6, -0.4, 0.0)},
        mistakes={
            "as printed": (
                [0.85, 0, 0.15],
                "Algorithm 1 as printed gives this: where did the −0.6 go?",
            ),
            "no signs": (
                [0.6, 0.4, 0],
                "These are the sizes |x|: which signs had the entries of y?",
            ),
            "divided": (
                [0.8 / 1.5, -0.4, 0.1 / 1.5],
                "Dividing by the L1 norm lands on the ball, but is it the nearest point? What if "
                "the small entry gave up all it has?",
            ),
            "a clip": ([0.8, -0.6, 0.1], "This is y, the clip to [−1, 1]: what is its L1 norm?"),
            "three entries": (
                [0.8 - 1 / 6, -0.6 + 1 / 6, 0],
                "This τ counts three entries: is τ = 1/6 below the third, 0.1?",
            ),
            "past 0": (
                [0.8 - 1 / 6, -0.6 + 1 / 6, -0.1 + 1 / 30],
                "The third entry crossed 0: where does max(·, 0) stop it?",
            ),
            "by the 2-norm": (
                [0.8 / math.sqrt(1.01), -0.6 / math.sqrt(1.01), 0.1 / math.sqrt(1.01)],
                "Divided by the 2-norm: what is the sum of the sizes now?",
            ),
            "a corner": (
                [1, 0, 0],
                "A corner: is the second entry really 1 or more below the first?",
            ),
        },
        wrong={"two entries": ([0.6, -0.4], "The shape is")},
    ),
    Exercise(
        name="07.repair",
        judge=partial(
            compare_function,
            reference=project_l1_ball,
            inputs=[
                (torch.tensor([0.8, -0.6, 0.1]).double(), 1.0),
                (torch.tensor([0.2, -0.1]).double(), 1.0),
                (torch.tensor([-2.0, 0.0]).double(), 1.0),
                (torch.tensor([0.6, -0.5]).double(), 1.0),
                (torch.tensor([0.9, -0.6]).double(), 2.0),
                (torch.tensor([0.4, -0.3]).double(), 0.5),
                (3 * seeded(6), 2.0),
                (seeded(4, seed=1), 0.5),
                (torch.zeros(3).double(), 1.0),
            ],
            gradient=True,
        ),
        solution=project_l1_ball,
        right={"where": lambda y, r: torch.where(y.abs().sum() <= r, y, _moved(y, r))},
        mistakes={
            "as printed": (project_simplex, "This is Algorithm 1 as printed: what of −0.6?"),
            "no early exit": (
                _moved,
                "Right outside. But (0.2, −0.1) is in the ball already: what is nearest to it?",
            ),
            "by the 2-norm": (
                lambda y, r: y if y.abs().sum() <= r else r * y / y.norm(),
                "This lands on the sphere of radius r: what is the sum of the sizes there?",
            ),
            "times y": (
                lambda y, r: y if y.abs().sum() <= r else y * project_simplex(y.abs(), r),
                "y itself is multiplied in: which part of it gives back the sign?",
            ),
            "negatives cut": (
                lambda y, r: (
                    y if y.abs().sum() <= r else project_simplex(y.abs(), r) * (y > 0).to(y)
                ),
                "The negative entries become 0: which sign do their sizes get?",
            ),
            "twice the radius": (
                lambda y, r: project_l1_ball(y, 2 * r),
                "This is the ball of radius 2r: how large is r here?",
            ),
            "no signs": (
                lambda y, r: y if y.abs().sum() <= r else project_simplex(y.abs(), r),
                "The sizes are right and the signs are lost: which of y's do you give back?",
            ),
            "no absolute values": (
                lambda y, r: y if y.abs().sum() <= r else project_simplex(y, r),
                "The points inside stay. Outside, what does a negative entry do to the sum?",
            ),
            "simplex of sum 1": (
                lambda y, r: y if y.abs().sum() <= r else _moved(y, 1.0),
                "Who tells the simplex that its sum is r?",
            ),
            "signs back, no sizes": (
                lambda y, r: y if y.abs().sum() <= r else y.sign() * project_simplex(y, r),
                "The points inside stay, the signs are back: whose simplex point is it, y's or "
                "|y|'s?",
            ),
            "radius 1": (
                lambda y, _r: project_l1_ball(y),
                "Right for r = 1: where else does r belong?",
            ),
            "divided": (
                lambda y, r: y if y.abs().sum() <= r else r * y / y.abs().sum(),
                "Dividing lands on the ball, but not at the nearest point: which algorithm does?",
            ),
            "exit by the 2-norm": (
                lambda y, r: y if y.square().sum() <= r**2 else _moved(y, r),
                "(0.6, −0.5) stays with you: which norm says whether y is in the ball?",
            ),
            "exit by the sum": (
                lambda y, r: y if y.sum() <= r else _moved(y, r),
                "(0.8, −0.6, 0.1) stays with you: does its sum say that it is in the ball?",
            ),
            "exit by the largest": (
                lambda y, r: y if y.abs().max() <= r else _moved(y, r),
                "(0.6, −0.5) stays with you: its entries are small, but what is their sum?",
            ),
            "exit at 1": (
                lambda y, r: y if y.abs().sum() <= 1 else _moved(y, r),
                "Right for r = 1: which points may stay when r is 2, or ½?",
            ),
            "nothing": (lambda y, _r: y, "Nothing is moved: what of (−2, 0)?"),
            "a clip": (
                lambda y, r: y.clamp(-r, r),
                "This is the L∞ ball, entry by entry: what is the sum of the sizes?",
            ),
        },
        wrong={"detached": (lambda y, r: project_l1_ball(y.detach(), r), "no gradient")},
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
