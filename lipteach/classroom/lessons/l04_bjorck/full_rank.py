"""The exercises of lesson 04 on the matrices that the iteration makes orthonormal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    NEARLY,
    close,
    need_tensor,
    seeded,
    show_apart,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import bjorck, is_orthonormal

# --- 04.condition


def _off(gram: Tensor) -> float:
    """How far a Gram matrix is from I, in the 2-norm."""
    return float(torch.linalg.matrix_norm(gram - torch.eye(len(gram), dtype=gram.dtype), 2))


def meets_condition(W: Tensor) -> bool:
    """‖G − I‖₂ < 1 for the smaller Gram matrix G of W: full rank, and σ in (0, √2)."""
    return _off(_smaller(W)) < 1


def _smaller(W: Tensor) -> Tensor:
    return W @ W.T if W.shape[0] < W.shape[1] else W.T @ W


def _converges(W: Tensor) -> bool:
    sigma = torch.linalg.svdvals(W)
    return float(sigma[-1]) > 1e-9 and float(sigma[0]) < 3**0.5


def _ends_orthonormal(W: Tensor) -> bool:
    """Whether the iteration gets there, also by turning a direction round."""
    try:
        return bool(is_orthonormal(bjorck(W, steps=60)))
    except ValueError:  # it has left the range of float64
        return False


def _with_values(m: int, n: int, *sigma: float) -> Tensor:
    """A matrix of shape (m, n) with these singular values."""
    Q, P = torch.linalg.qr(seeded(m, len(sigma))).Q, torch.linalg.qr(seeded(n, len(sigma))).Q
    product: Tensor = Q * torch.tensor(sigma, dtype=torch.float64) @ P.T
    return product


def _bounded(W: Tensor) -> bool:
    return float(torch.linalg.matrix_norm(W, 2)) < 3**0.5


def _judge_condition(answer: Any, mistakes: Sequence[Mistake]) -> None:
    # Where an eigenvalue 0 makes ‖G − I‖ = 1, the matrices are diagonal: no rounding decides.
    wide, flat = torch.zeros(2, 3).double(), torch.diag(torch.tensor([0.5, 0.75, 0.0]).double())
    wide[0, 1], wide[1, 0] = 1.25, 0.25
    compare_function(
        answer,
        meets_condition,
        inputs=[
            *(_with_values(3, 3, 1.2, 0.6, 0.3), wide, _with_values(3, 3, 1.5, 1.0, 0.5)),
            *(_with_values(2, 2, 0.5, 0.5), flat, 0.5 * wide.T),
            *(torch.diag(torch.tensor([1.5, 0.5])).double(), _with_values(2, 2, 1.9, 0.5)),
            *(
                _with_values(2, 2, 2.5, 0.5),
                _with_values(2, 2, 2.1, 0.5),
                _with_values(2, 2, 1.1, 0.9),
                1.2 * torch.eye(6),
            ),
            *(_with_values(3, 3, 1.1, 0.75, 0.72), _with_values(2, 2, 1.39, 0.9)),
            *(torch.tensor([[0.9]]).double(), _with_values(3, 3, 1.0, 1.0, 1.0)),
            *(_with_values(2, 2, 1.41, 0.9), _with_values(2, 2, 0.9, 0.005)),
            *(
                torch.tensor([[0.5], [0.0]]).double(),
                0.5 * torch.eye(3).double()[:, :2] * torch.eye(2).double()[0],
            ),
        ],
        layouts=[wide.T, _with_values(5, 2, 1.6, 1.0), _with_values(2, 4, 1.6, 0.4)],
        mistakes=mistakes,
    )


# --- 04.lost-direction


def _judge_lost_direction(answer: Any) -> None:
    """A 2 × 2 matrix without zero entries, of norm at most 1 and rank 1."""
    W = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "Every entry must be a finite number.")
    if bool((W == 0).any()):
        text = "diag(1, 0) would do, but one of your entries is 0: can the rank be lost without?"
        raise Hint("constraint", text)
    largest, smallest = torch.linalg.svdvals(W).tolist()
    V = W / W.abs().max()  # no product is lost below the smallest number
    products = (V[0, 0] * V[1, 1], V[0, 1] * V[1, 0])
    rounding = 1.1e-7 if isinstance(answer, Tensor) and answer.dtype != torch.float64 else 1e-15
    if largest > 1 + 1e-6 and largest < 1.015:
        text = f"The largest singular value is {show_apart(largest, 1.0)[0]}, above 1. {NEARLY}"
        raise Hint("constraint", text)
    if largest > 1 + 1e-6:
        text = f"The largest singular value is {largest:.4g}: scale the matrix down."
        raise Hint("constraint", text)
    if abs(products[0] - products[1]) > rounding * (abs(products[0]) + abs(products[1])):
        raise Hint(
            "value",
            f"The smallest singular value is {smallest:.4g}: it grows by 3/2 a step and gets to 1. "
            "Which one never grows?",
        )


FULL_RANK = (
    Exercise(
        name="04.condition",
        judge=_judge_condition,
        solution=meets_condition,
        right={
            "by singular values": lambda W: bool(
                (torch.linalg.svdvals(W) ** 2 - 1).abs().max() < 1
            ),
            "a tensor": lambda W: torch.tensor(meets_condition(W)),
        },
        mistakes={
            "the paper": (
                lambda W: _off(W.T @ W) < 1,
                "WᵀW of a wide W has eigenvalues 0, and ‖WᵀW − I‖ ≥ 1: which Gram matrix can "
                "become I there?",
            ),
            "always rows": (
                lambda W: _off(W @ W.T) < 1,
                "Right for wide matrices. WWᵀ of a tall W has eigenvalues 0: which one can become "
                "I there?",
            ),
            "run": (
                _ends_orthonormal,
                "This runs the iteration and looks, and from some W of norm above √2 it gets to an "
                "orthonormal matrix, too: which question about G has the condition?",
            ),
            "the larger": (
                lambda W: _off(W.T @ W if W.shape[0] < W.shape[1] else W @ W.T) < 1,
                "The larger Gram matrix always has eigenvalues 0: which one is smaller?",
            ),
            "frobenius": (
                lambda W: float((torch.linalg.svdvals(W) ** 2 - 1).norm()) < 1,
                "Which norm is this? Many small errors add up in it.",
            ),
            "norm only": (
                lambda W: float(torch.linalg.matrix_norm(W, 2)) < 2**0.5,
                "The largest singular value is below √2, but what of a singular value 0?",
            ),
            "scaling": (
                lambda W: float(torch.linalg.matrix_norm(W, 2)) <= 1,
                "This asks σ ≤ 1, the scaling. Which larger σ does the condition admit? And σ = 0?",
            ),
            "it converges": (
                _converges,
                "This asks for convergence, and the condition is stricter: what is 1.5² − 1?",
            ),
            "always": (
                lambda _W: True,
                "True for each of our matrices. Some have σ = 1.5 or σ = 0: what is σ² − 1 there?",
            ),
            "never": (
                lambda _W: False,
                "False for each of our matrices. One has σ = 1.1 and 0.9: what is σ² − 1 there?",
            ),
            "below √3": (
                _bounded,
                "This asks σ < √3, and lets σ = 0 through: what is σ² − 1 for 1.5 and for 0?",
            ),
            "of W": (
                lambda W: bool((torch.linalg.svdvals(W) - 1).abs().max() < 1),
                "This asks |σ − 1| < 1: the eigenvalues of G are σ². What does the condition ask?",
            ),
            "full rank": (
                lambda W: bool(torch.linalg.matrix_rank(W) == min(W.shape)),
                "This asks for full rank alone: how large may a singular value be?",
            ),
            "the largest entry": (
                lambda W: bool((_smaller(W) - torch.eye(min(W.shape)).to(W)).abs().max() < 1),
                "This looks at the entries of G − I, each alone: which of its norms is asked for?",
            ),
            "sums of rows": (
                lambda W: bool(
                    torch.linalg.matrix_norm(_smaller(W) - torch.eye(min(W.shape)).to(W), 1) < 1
                ),
                "The largest sum of a column or row of |G − I| is its 1-norm or ∞-norm: is that "
                "the norm with the index 2?",
            ),
            "nuclear": (
                lambda W: float((torch.linalg.svdvals(W) ** 2 - 1).abs().sum()) < 1,
                "This adds all |σ² − 1| up: which one of them is the 2-norm?",
            ),
            "mean": (
                lambda W: float((torch.linalg.svdvals(W) ** 2 - 1).abs().mean()) < 1,
                "This is the mean of all |σ² − 1|: which one of them is the 2-norm?",
            ),
            "trace": (
                lambda W: abs(float((torch.linalg.svdvals(W) ** 2 - 1).sum())) < 1,
                "In a trace errors of both signs cancel each other: which norm is asked for?",
            ),
            "W minus I": (
                lambda W: (
                    float(torch.linalg.matrix_norm(W - torch.eye(*W.shape, dtype=W.dtype), 2)) < 1
                ),
                "This compares W itself with I: which matrix must be near I if W is orthonormal?",
            ),
            "minus 1": (
                lambda W: float(torch.linalg.matrix_norm(_smaller(W) - 1, 2)) < 1,
                "G − 1 takes 1 from every entry of G: from which ones does G − I?",
            ),
            "below a half": (
                lambda W: _off(_smaller(W)) < 0.5,
                "This is stricter than the condition: below which number must the norm be?",
            ),
            "above": (
                lambda W: _off(_smaller(W)) > 1,
                "True where the norm is above 1: on which side does the condition want it?",
            ),
            "orthonormal": (
                lambda W: _off(_smaller(W)) < 1e-3,
                "This asks whether W is orthonormal already: how far from it may W be?",
            ),
            "a norm": (
                lambda W: torch.linalg.matrix_norm(W, 2),
                "True or False is asked: which number is the norm compared with?",
                lambda got, _, W: close(got, torch.linalg.matrix_norm(W, 2)),
            ),
            "the norm of G − I": (
                lambda W: _off(_smaller(W)),
                "This is ‖G − I‖₂ itself: what must it be compared with?",
                lambda got, _, W: (
                    None
                    if float(got) in (0.0, 1.0)  # as good as False or True
                    else close(got, torch.tensor(_off(_smaller(W))).double())
                ),
            ),
            "a number": (
                lambda W: torch.linalg.det(_smaller(W)),
                "True or False is asked, and this is a number: what is it compared with?",
                lambda got, *_: None if float(got) in (0, 1) else True,
            ),
            "turned": (
                lambda W: not meets_condition(W),
                "Just the other way round: is the norm below 1?",
            ),
        },
        wrong={"not a function": (True, "A function is needed")},
    ),
    Exercise(
        name="04.lost-direction",
        judge=_judge_lost_direction,
        solution=[[0.5, 0.5], [0.5, 0.5]],
        right={
            "another line": [[0.1, 0.2], [0.2, 0.4]],
            "signs": torch.tensor([[0.5, -0.5], [-0.5, 0.5]]),
            "float32": torch.tensor([[0.3, 0.6], [0.1, 0.2]]),
        },
        wrong={
            "diagonal": ([[1.0, 0.0], [0.0, 0.0]], "can the rank be lost without"),
            "too large": ([[1.0, 1.0], [1.0, 1.0]], "scale the matrix down"),
            "nearly": ([[0.5, 0.5], [0.5, 0.4]], "Which one never grows"),
            "nearer": ([[0.5, 0.5], [0.5, 0.4999999]], "value is 5e-08"),
            "small": ([[1e-9, 1e-9], [1e-9, -1e-9]], "value is 1.414e-09"),
            "tiny": ([[1e-200, 1e-200], [1e-200, 2e-200]], "3.82e-201"),
            "full": ([[0.6, 0.8], [-0.8, 0.6]], "value is 1: it grows"),
            "rounded": ([[0.709, 0.709], [-0.709, 0.709]], "above 1. Nearly"),
            "a row": ([0.5, 0.5], "(2, 2) is needed"),
            "not finite": ([[float("nan"), 1], [1, 1]], "a finite number"),
        },
    ),
)
