"""The exercise of lesson 06 on bounds that are never below the norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    close,
    need_tensor,
    seeded,
    shape_of,
    show_apart,
    show_values,
)
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises.blind_starts import (
    BLIND,
    SPREAD,
    search_for_a_start,
)
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises.estimates import estimate
from lipteach.primitives import norm_upper_bounds, operator_norm, power_iteration

# --- 06.certified


def certified(W: Tensor) -> Tensor:
    """W divided by an upper bound of its norm."""
    return W / norm_upper_bounds(W)["gram"]


def _clipped(W: Tensor) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    clipped: Tensor = (U * sigma.clamp(max=1)) @ Vh
    return clipped


def _clustered(n: int, gap: float) -> Tensor:
    """A matrix whose singular values 3, 3 − gap, 3 − 2·gap, … no few steps tell apart."""
    Q = torch.linalg.qr(seeded(n, n, seed=n)).Q
    clustered: Tensor = Q * (3 - gap * torch.arange(n)) @ Q.T
    return clustered


def _judge_certified(answer: Any) -> None:
    if isinstance(answer, type) or not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    for W in [
        torch.tensor([[2.0, 2.0], [1.0, 2.0]]).double(),
        seeded(8, 8),
        seeded(3, 12, seed=1),
        torch.full((4, 1), 2.0).double(),  # ‖W‖_∞ is below its norm
        torch.full((1, 4), 2.0).double(),  # ‖W‖₁ is below its norm
        0.01 * seeded(6, 4, seed=2),
        torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double(),
        torch.diag(torch.tensor([5.0, 0.0])).double(),
        *(BLIND, SPREAD),
        *(_clustered(n, gap) for n, gap in ((4, 1e-3), (8, 1e-4), (8, 0.05))),
    ]:
        _certify(answer, W)
    search_for_a_start(answer)


def _certify(answer: Any, W: Tensor) -> None:
    """Raise the hint of a division which leaves more than norm 1, or far less."""
    given = W.clone()
    try:
        got = need_tensor(call_with(answer, (given,)))
    except Hint as hint:
        raise hint.at(W) from None
    if not torch.equal(W, given):
        raise Hint("mutation", "Your function changes its input: return a new matrix instead.")
    if got.shape != W.shape:
        text = f"For W of shape {shape_of(W)} the result is {shape_of(got)}."
        raise Hint("shape", text, (W,))
    if not bool(got.isfinite().all()):
        raise Hint("value", "Not every entry of the result is finite: what is divided by 0?", (W,))
    factor = float((got * W).sum() / W.square().sum())
    if not close(got, factor * W, 1e-4) or not factor > 0:
        raise Hint("value", "Is the result W divided by one positive number?", (W,))
    _follow_size(answer, W, factor)
    norm = float(operator_norm(got))
    on = "" if W.numel() <= 16 else " (`example` of the report)"
    on = f"For {show_values(W, most=16)}{on} of norm {float(operator_norm(W)):.3g}"
    if abs(factor - 1) < 1e-6 and norm > 1:
        raise Hint("constraint", f"{on} nothing is divided: by what could it be?", (W,))
    if norm > 1 + 2e-6:  # a division in float32
        ask = "is what you divide by never below σ₁?"
        if norm < 1.5:
            ask += " An estimate from below, as of power iteration, is never above it."
        shown = max(f"{norm:.4f}", show_apart(norm, 1.0)[0], key=len)
        raise Hint("constraint", f"{on} the norm becomes {shown}: {ask}", (W,))
    if norm < 0.3:
        ask = "is there a closer bound?"
        raise Hint("value", f"{on} the norm becomes {norm:.2g}: {ask}", (W,))


def _follow_size(answer: Any, W: Tensor, factor: float) -> None:
    """Raise the hint of a divisor with a root too few or too many, told by that of 2 W."""
    twice = need_tensor(call_with(answer, (2 * W,)))
    share = 2 * factor * float(W.square().sum() / (twice * W).sum())
    for power, ask in ((4, "which root is missing?"), (2**0.5, "is there a root too many?")):
        if abs(share / power - 1) < 0.01:
            text = f"For 2 W you divide by {power:.3g} times as much as for W, not by 2 times"
            raise Hint("value", f"{text}: {ask}", (W,))


EXERCISES = (
    Exercise(
        name="06.certified",
        judge=_judge_certified,
        solution=certified,
        right={
            "exact, in float32": lambda W: W / torch.linalg.matrix_norm(W.float(), ord=2),
            "safe by far": lambda W: W / (2 * torch.linalg.matrix_norm(W, ord=2)),
            "exact": lambda W: W / torch.linalg.matrix_norm(W, ord=2),
            "Frobenius": lambda W: W / W.norm(),
            "geometric": lambda W: W / norm_upper_bounds(W)["geometric"],
        },
        wrong={
            "power iteration": (
                lambda W: W / estimate(W, torch.ones_like(W[:, 0]), 3),
                "norm becomes 1.0",
            ),
            "thirty steps": (lambda W: W / power_iteration(W, 30)[0], "An estimate from below"),
            "a margin": (
                lambda W: W / (1.1 * power_iteration(W, 30)[0]),
                "becomes 3.6364, without rounding",
            ),
            "from ones": (
                lambda W: W / estimate(W, torch.ones_like(W[:, 0]), 500),
                "of norm 3 the norm becomes 1.2000",
            ),
            "a random start and a margin": (
                lambda W: W / (1.05 * estimate(W, torch.randn(len(W)).to(W), 100)),
                "becomes 3.8095, without rounding",
            ),
            "a large margin": (
                lambda W: W / (2 * estimate(W, torch.randn(len(W)).to(W), 50)),
                "becomes 2.0000, without rounding",
            ),
            "the best of three starts": (
                lambda W: W / (3 * max(estimate(W, torch.randn(len(W)).to(W), 9) for _ in "abc")),
                "becomes 1.3333, without rounding",
            ),
            "a start without pattern": (
                lambda W: W / (1.5 * power_iteration(W, 40)[0]),
                "becomes 2.6667, without rounding",
            ),
            "numpy's random start": (
                lambda W: W / (1.25 * estimate(W, torch.as_tensor(np.random.randn(len(W))), 50)),  # noqa: NPY002
                "becomes 3.2000, without rounding",
            ),
            "the largest column": (
                lambda W: W / (1.5 * estimate(W, W[:, W.norm(dim=0).argmax()], 30)),
                "(18, 18) (`example` of the report) of norm 4",
            ),
            "row sums of the Gram matrix": (
                lambda W: W / (W @ W.T).abs().sum(dim=1).max(),
                "which root is missing?",
            ),
            "the root of a norm": (lambda W: W / W.norm().sqrt(), "a root too many?"),
            "not finite": (lambda W: W / (W - W).sum(), "divided by 0"),
            "largest entry": (lambda W: W / W.abs().max(), "norm becomes 1.7"),
            "row sums": (lambda W: W / W.abs().sum(dim=1).max(), "[[2], [2], [2], [2]] of norm 4"),
            "column sums": (lambda W: W / W.abs().sum(dim=0).max(), "[[2, 2, 2, 2]] of norm 4"),
            "nothing": (lambda W: W, "nothing is divided"),
            "far too small": (lambda W: W / (100 * W.norm()), "closer bound"),
            "clipped": (_clipped, "one positive number"),
            "in place": (lambda W: W.div_(W.norm()), "changes its input"),
            "a norm": (lambda W: torch.linalg.matrix_norm(W, ord=2), "the result is ()"),
            "a number": (1.0, "A function"),
        },
    ),
)
