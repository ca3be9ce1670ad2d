"""The exercise of lesson 06 on power iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Mistake
from lipteach.classroom.compare import (
    close,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.slips import slip_of
from lipteach.classroom.watch import need_own_code
from lipteach.primitives import operator_norm, power_iteration

# --- 06.power-iteration


def estimate(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """The estimate ‖W v‖ after `steps` steps v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖."""
    return power_iteration(W, steps, u)[0]


def by_hand(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """The same without the package."""
    for _ in range(steps):
        v = W.T @ u
        u = W @ (v / v.norm())
        sigma = u.norm()
        u = u / sigma
    length: Tensor = sigma
    return length


def _by_rayleigh(W: Tensor, u: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        v = torch.nn.functional.normalize(u @ W, dim=0)
        u = torch.nn.functional.normalize(W @ v, dim=0)
    return u @ W @ v


def _grown(W: Tensor, u: Tensor, steps: int) -> Any:
    """The last u if nothing is divided by its length."""
    return torch.linalg.matrix_power(W @ W.T, steps) @ u


def _half_step(W: Tensor, u: Tensor, steps: int) -> Any:
    """‖Wᵀu‖ with the u behind the last step."""
    return (W.T @ _grown(W, u, steps)).norm() / _grown(W, u, steps).norm()


def _by(W: Tensor, u: Tensor, steps: int, shorten: Callable[[Tensor], Tensor]) -> Tensor:
    """‖W v‖ with a v that `shorten` has made of Wᵀu."""
    for _ in range(steps):
        v = shorten(W.T @ u)
        u = W @ v
        size = u.norm()
        u = u / size
    length: Tensor = size
    return length


def _slip(got: Tensor, want: Tensor) -> bool:
    """Whether the value is named by what it is, a sign, a factor, or nearly right."""
    return bool(slip_of(got, want, share=0.003))


def _above_the_norm(got: Tensor, want: Tensor, W: Tensor, *_arguments: Any) -> bool | None:
    return (not _slip(got, want) and bool(got > 1.00001 * operator_norm(W))) or None


_DIAGONAL = torch.diag(torch.tensor([2.0, 1.0])).double()
_ONES = torch.ones(2).double()

_STARTS = [
    (_DIAGONAL, _ONES, 1),
    (_DIAGONAL, _ONES, 3),
    (seeded(5, 3, seed=1), seeded(5, seed=2), 4),
    (seeded(3, 5, seed=3), seeded(3, seed=4), 4),
    (torch.diag(torch.tensor([1.0, 0.95])).double(), torch.tensor([0.05, 1.0]).double(), 20),
]


def _judge_estimate(answer: Any, mistakes: Sequence[Mistake]) -> None:
    compare_function(answer, estimate, _STARTS, mistakes=mistakes)
    need_own_code(answer, _STARTS, "which two products make one step?")


EXERCISES = (
    Exercise(
        name="06.power-iteration",
        judge=_judge_estimate,
        solution=by_hand,
        right={
            "uᵀ W v": _by_rayleigh,
            "by W Wᵀ": lambda W, u, steps: (
                _grown(W, u, steps).norm() / (W.T @ _grown(W, u, steps - 1)).norm()
            ),
        },
        mistakes={
            "half a step": (
                lambda W, u, steps: _half_step(W, u, steps - 1),
                "This is ‖Wᵀu‖, before the second half of the last step: what is ‖W v‖?",
            ),
            "one step less": (
                lambda W, u, k: estimate(W, u, k - 1) if k > 1 else _half_step(W, u, 0),
                "One step too few: how often does the loop run?",
            ),
            "one step more": (
                lambda W, u, steps: estimate(W, u, steps + 1),
                "One step too many: how often does the loop run?",
            ),
            "a unit vector": (
                lambda W, *_: W.new_ones(()),
                "This is 1, the length of a unit vector: is it taken before u is divided by it?",
            ),
            "half a step more": (
                _half_step,
                "This is ‖Wᵀu‖ with the last u, half a step too far: where does a step end?",
            ),
            "squared": (
                lambda W, u, steps: estimate(W, u, steps) ** 2,
                "This is σ²: is Wᵀ W v or W v measured at the end?",
            ),
            "not divided": (
                lambda W, u, steps: _grown(W, u, steps).norm(),
                "The vectors grow with every step: where are they divided by length?",
            ),
            "the same start": (
                lambda W, u, _steps: estimate(W, u, 1),
                "Every step starts from the same u: what does the next step begin with?",
            ),
            "first u": (
                lambda W, u, steps: u / u.norm() @ W @ power_iteration(W, steps, u)[2],
                "uᵀ W v with the u of the start: which u belongs to the last v?",
            ),
            "a start of its own": (
                lambda W, _u, steps: power_iteration(W, steps)[0],
                "This starts from a vector of its own: where does u enter?",
            ),
            "a start of ones": (
                lambda W, u, steps: estimate(W, torch.ones_like(u), steps),
                "This starts from ones: where does u enter?",
            ),
            "times the start": (
                lambda W, u, steps: estimate(W, u, steps) * u.norm(),
                "The length of the start is a factor of it: of which length is v to be?",
            ),
            "Frobenius": (
                lambda W, _u, _steps: W.norm(),
                "This is the root of the sum of all squares, the Frobenius norm: which is asked?",
            ),
            "svd": (
                lambda W, _u, _steps: operator_norm(W),
                "This is σ₁ itself, from singular values: what is the estimate after these steps?",
            ),
            "the largest entry": (
                lambda W, u, steps: _by(W, u, steps, lambda v: v / v.abs().max()),
                "v is divided by its largest entry: which length does ‖W v‖ ask of it?",
            ),
            "the sum of the sizes": (
                lambda W, u, steps: _by(W, u, steps, lambda v: v / v.abs().sum()),
                "v is divided by the sum of its sizes: which length does ‖W v‖ ask of it?",
            ),
            "its own square": (
                lambda W, u, steps: _by(W, u, steps, lambda v: v / (v @ v)),
                "v is divided by v·v: is that its length, or the square of it?",
            ),
            "a mean of all": (
                lambda W, u, steps: sum(estimate(W, u, k + 1) for k in range(steps)) / steps,
                "This is the mean of all estimates: which one is the last and largest?",
            ),
            "a sum of all": (
                lambda W, u, steps: sum(estimate(W, u, k + 1) for k in range(steps)),
                "The estimates of all steps, added up: which of them is asked for?",
            ),
            "growth of u": (
                lambda W, u, k: _grown(W, u, k).norm() / _grown(W, u, k - 1).norm(),
                "This is by how much a whole step makes u longer: how many products with W or Wᵀ "
                "are in it?",
            ),
            "root of the growth": (
                lambda W, u, k: (_grown(W, u, k).norm() / _grown(W, u, k - 1).norm()).sqrt(),
                "The root of what a whole step does to the length of u: what does its second half "
                "alone do?",
            ),
            "uᵀ W Wᵀ u": (
                lambda W, u, steps: _half_step(W, u, steps) ** 2,
                "This is uᵀ W Wᵀ u with the last u, an estimate of σ²: is ‖W v‖ a square?",
            ),
            "W Wᵀ for W": (
                lambda W, u, steps: estimate(W @ W.T, u, steps),
                "W Wᵀ stands where W should: whose singular values does it have?",
            ),
            "WᵀW for W": (
                lambda W, u, steps: estimate(W.T @ W, W.T @ u, steps),
                "WᵀW stands where W should: whose singular values does it have?",
            ),
            "twice the steps": (
                lambda W, u, steps: estimate(W, u, 2 * steps),
                "Twice as many steps: does each pass of the loop do one or two?",
            ),
            "the sum of u": (
                lambda W, u, steps: (W @ power_iteration(W, steps, u)[2]).sum(),
                "The entries of W v are added up: what is its length?",
            ),
            "the largest of u": (
                lambda W, u, steps: (W @ power_iteration(W, steps, u)[2]).abs().max(),
                "This is the largest entry of W v: what is its length?",
            ),
            "row sums": (
                lambda W, _u, _steps: W.abs().sum(dim=1).max(),
                "This is the largest row sum, ‖W‖_∞: where do u and the steps enter?",
            ),
            "the diagonal": (
                lambda W, _u, _steps: W.diagonal().max(),
                "This reads an entry of the diagonal: what if W is not diagonal?",
            ),
            "W divided": (
                lambda W, u, steps: estimate(W / W.norm(), u, steps),
                "W is divided by its Frobenius norm before: what has to be given back?",
            ),
            "above σ₁": (
                lambda W, _u, _steps: 1.1 * operator_norm(W),
                "Above σ₁, where no ‖W v‖ with ‖v‖ = 1 can be: which vector is longer than 1?",
                _above_the_norm,
            ),
            "more": (
                lambda W, u, steps: estimate(W, u, steps + 3),
                "More than these steps from u give, though not above σ₁: are there more of them, "
                "or is it another start?",
                lambda got, want, *_: (not _slip(got, want) and got > want) or None,
            ),
            "at most six steps": (
                lambda W, u, steps: estimate(W, u, min(steps, 6)),
                "Right for a few steps, and not for 20: does your loop end before `steps`?",
                lambda got, _, W, u, steps: (
                    steps > 4 and any(close(got, estimate(W, u, k)) for k in range(2, steps - 1))
                ),
            ),
            "less": (
                lambda W, u, steps: 0.7 * estimate(W, u.abs(), steps),
                "Less than these steps from u give: are there fewer, or is a vector shorter than "
                "1?",
                lambda got, want, *_: (not _slip(got, want) and got < want) or None,
            ),
        },
        wrong={
            "no transpose": (lambda W, u, steps: _by_rayleigh(W.T, u, steps), "raised"),
            "by the package": (estimate, "calls lt.power_iteration"),
            "all of it": (lambda W, u, steps: (estimate(W, u, steps), u), "is a tuple"),
        },
    ),
)
