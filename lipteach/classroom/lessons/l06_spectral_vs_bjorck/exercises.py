"""The exercises of lesson 06."""

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
    need_tensor,
    seeded,
    shape_of,
    show_values,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.figures import convolution_matrix
from lipteach.primitives import norm_upper_bounds, operator_norm


def _length(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x)
    return length


def power_iteration(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """The estimate ‖W v‖ after `steps` steps v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖."""
    for _ in range(steps):
        v = W.T @ u
        v = v / _length(v)
        u = W @ v
        sigma = _length(u)
        u = u / sigma
    return sigma


def _one_less(W: Tensor, u: Tensor, steps: int) -> Tensor:
    return power_iteration(W, u, steps - 1) if steps > 1 else _length(W.T @ u) / _length(u)


def _half_step(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """‖Wᵀu‖ with the u before the last half of a step."""
    for _ in range(steps):
        v = W.T @ u / _length(u)
        u = W @ (v / _length(v))
    return _length(v)


def _half_more(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """‖Wᵀu‖ with the u behind the last step."""
    return _half_step(W, u, steps + 1)


def _unit_length(W: Tensor, u: Tensor, steps: int) -> Tensor:
    return power_iteration(W, u, steps) ** 0


def _never_divided(W: Tensor, u: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        v = W.T @ u
        u = W @ v
    return _length(u)


def _start_kept(W: Tensor, u: Tensor, _steps: int) -> Tensor:
    return power_iteration(W, u, 1)


def _last_u_first(W: Tensor, u: Tensor, steps: int) -> Tensor:
    first = u / _length(u)
    for _ in range(steps):
        v = W.T @ u
        v = v / _length(v)
        u = W @ v
        u = u / _length(u)
    return first @ W @ v


def _judge_power_iteration(answer: Any) -> None:
    diagonal = torch.diag(torch.tensor([2.0, 1.0])).double()
    ones = torch.ones(2).double()
    compare_function(
        answer,
        power_iteration,
        inputs=[
            (diagonal, ones, 1),
            (diagonal, ones, 3),
            (seeded(5, 3, seed=1), seeded(5, seed=2), 4),
            (seeded(3, 5, seed=3), seeded(3, seed=4), 4),
        ],
        mistakes=[
            (
                _half_step,
                "This is ‖Wᵀu‖, before the second half of the last step: what is ‖W v‖?",
            ),
            (_one_less, "One step too few: how often does the loop run?"),
            (
                lambda W, u, steps: power_iteration(W, u, steps + 1),
                "One step too many: how often does the loop run?",
            ),
            (
                _unit_length,
                "This is 1, the length of a unit vector: is it taken before u is divided by it?",
            ),
            (
                _half_more,
                "This is ‖Wᵀu‖ with the last u, half a step too far: where does a step end?",
            ),
            (
                lambda W, u, steps: power_iteration(W, u, steps) ** 2,
                "This is σ²: is Wᵀ W v or W v measured at the end?",
            ),
            (_never_divided, "The vectors grow with every step: where are they divided by length?"),
            (
                _start_kept,
                "Every step starts from the same u: what does the next step begin with?",
            ),
            (
                _last_u_first,
                "uᵀ W v with the u of the start: which u belongs to the last v?",
            ),
            (
                lambda W, _u, _steps: torch.linalg.matrix_norm(W, ord=2),
                "This is σ₁ itself, from singular values: what is the estimate after these steps?",
            ),
        ],
    )


def _by_rayleigh(W: Tensor, u: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        v = torch.nn.functional.normalize(u @ W, dim=0)
        u = torch.nn.functional.normalize(W @ v, dim=0)
    return u @ W @ v


def _by_gram(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """All divisions at the end: σ = ‖(W Wᵀ)^k u‖ / ‖Wᵀ (W Wᵀ)^(k−1) u‖."""
    for _ in range(steps):
        v = W.T @ u
        u = W @ v
    return _length(u) / _length(v)


OVERSHOOT = 3 / math.sqrt(8.2)
"""The norm of diag(3, 1) divided by its estimate √(82/10), after one step from (1, 1)."""


def _judge_overshoot(answer: Any) -> None:
    compare_number(
        answer,
        OVERSHOOT,
        tol=5e-5,
        mistakes=[
            (math.sqrt(8.2), "This is the estimate: which norm is left when W is divided by it?"),
            (1, "This is what the division aims at: is the estimate equal to 3?"),
            (math.sqrt(8.2) / 3, "This is estimate/3, below 1: which of the two is divided?"),
            (3 / math.sqrt(5), "‖Wᵀu‖ = √5 is only half of the step: what is ‖W v‖?"),
            (2 / math.sqrt(3.4), "This is right for diag(2, 1): what changes for diag(3, 1)?"),
            (3, "This is the norm before: which norm is left after dividing by the estimate?"),
            (3 / 8.2, "82/10 is the square of the estimate: what is its root?"),
            (3 / math.sqrt(82), "Is v divided by its length before W is applied to it?"),
            (When(lambda got: abs(got - OVERSHOOT) < 5e-3), "Nearly: what are its four decimals?"),
        ],
    )


BLIND = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
"""Singular values 3, 2, 1 along (1, 1, 0), (0, 0, 1) and (1, −1, 0)."""


def _judge_blind(answer: Any) -> None:
    u = need_tensor(answer, (3,))
    if not bool(torch.isfinite(u).all()):
        raise Hint("value", "An entry is not finite: power iteration cannot start there.")
    length = float(torch.linalg.vector_norm(u))
    if length < 1e-12:
        raise Hint("constraint", "The zero vector has no direction: which other vectors see no σ₁?")
    top = float(u[0] + u[1]) / math.sqrt(2) / length
    if abs(abs(top) - 1) < 1e-6:
        raise Hint("value", "From here the estimate is 3 at once: which vectors are orthogonal?")
    if abs(top) > 1e-6:
        share = f"A share {abs(top):.2g} of it points along (1, 1, 0)"
        raise Hint("value", f"{share}, grows in every step, and wins: can it be exactly 0?")


def certified(W: Tensor) -> Tensor:
    """W divided by an upper bound of its norm."""
    return W / norm_upper_bounds(W)["gram"]


def _judge_certified(answer: Any) -> None:
    if isinstance(answer, type) or not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double()
    special = [signs, torch.diag(torch.tensor([5.0, 0.0])).double()]
    wide = torch.full((1, 4), 2.0).double()  # ‖W‖₁ is below its norm, and ‖Wᵀ‖_∞
    for W in [
        seeded(8, 8),
        seeded(3, 12, seed=1),
        wide.T,
        wide,
        0.01 * seeded(6, 4, seed=2),
        *special,
    ]:
        kept = W.clone()
        got = need_tensor(call(answer, W))
        if not torch.equal(W, kept):
            raise Hint("mutation", "Your function changes its input: return a new matrix instead.")
        if got.shape != W.shape:
            raise Hint("shape", f"For W of shape {shape_of(W)} the result is {shape_of(got)}.")
        factor = float((got * W).sum() / W.square().sum())
        if not close(got, factor * W, 1e-4) or not factor > 0:
            raise Hint("value", "Is the result W divided by one positive number?")
        norm = float(operator_norm(got))
        on = f"For {show_values(W)} of norm {float(operator_norm(W)):.3g}"
        if abs(factor - 1) < 1e-6 and norm > 1:
            raise Hint("constraint", f"{on} nothing is divided: by what could it be?")
        if norm > 1 + 1e-5:
            ask = "is what you divide by never below σ₁?"
            raise Hint("constraint", f"{on} the norm becomes {norm:.4f}: {ask}")
        if norm < 0.3:
            raise Hint("value", f"{on} the norm becomes {norm:.2g}: is there a closer bound?")


def _power_normalized(W: Tensor) -> Tensor:
    return W / power_iteration(W, torch.ones_like(W[:, 0]), 3)


def _clipped(W: Tensor) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    clipped: Tensor = (U * sigma.clamp(max=1)) @ Vh
    return clipped


KEPT = math.sqrt((1 + 0.25) / 2)
"""The root mean square of √(cos²t + sin²t/4) over all directions t."""


def _judge_kept(answer: Any) -> None:
    compare_number(
        answer,
        KEPT,
        tol=5e-4,
        mistakes=[
            (0.75, "This is the mean of 1 and ½: which mean of the lengths is asked for?"),
            (0.5, "This is the least that is kept: what do the other directions keep?"),
            (1, "Only one direction keeps all: which share does the other one keep?"),
            (0.625, "This is the mean of the squares: what is left to do?"),
            (math.sqrt(1.25), "This is the Frobenius norm of W: the mean of cos² t is not 1."),
            (0.7710, "This is the mean length: what is the mean of its square, and the root?"),
            (
                math.sqrt(1.25) / 2,
                "Divided after the root: is it a mean of lengths or of their squares?",
            ),
            (math.sqrt(0.5), "As if the second singular value were 0: what does the ½ still keep?"),
            (0.25, "This is the square of ½: how much does the other direction add?"),
        ],
    )


LOST = torch.tensor([0.6, 0.8], dtype=torch.float64)
KEPT_DIRECTION = torch.tensor([0.8, -0.6], dtype=torch.float64)


def _judge_one_direction(answer: Any) -> None:
    """Norm 1, Wᵀ(0.6, 0.8) = 0 and ‖Wᵀ(0.8, −0.6)‖ = 1."""
    W = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "An entry of W is not finite.")
    norm = float(operator_norm(W))
    lost, kept = float((W.T @ LOST).norm()), float((W.T @ KEPT_DIRECTION).norm())
    if norm < 1e-9:
        raise Hint("constraint", "The zero matrix has norm 0: which matrix of norm 1 has rank 1?")
    if lost > 1e-5 and float((W @ LOST).norm()) < 1e-5:
        text = "W (0.6, 0.8) is 0, so this input is lost; does a gradient go through W or through"
        raise Hint("layout", f"{text} Wᵀ?")
    if lost < 1e-5 and abs(norm - 1) > 1e-5:
        raise Hint("constraint", f"The gradient is lost, but σ₁ = {norm:.4g}: what makes it 1?")
    if abs(norm - 1) > 1e-5:
        raise Hint("constraint", f"σ₁ is {norm:.4g} and not 1: by what can W be divided?")
    if lost > 1e-5:
        ask = "to which vector must the columns of W be orthogonal?"
        raise Hint("value", f"Of (0.6, 0.8) the length {lost:.3f} is kept: {ask}")
    if abs(kept - 1) > 1e-5:
        raise Hint("value", f"Of (0.8, −0.6) the length {kept:.3f} is kept, and it should be all.")


def _judge_kernel(answer: Any) -> None:
    """Flattened norm at most 1, and an operator norm of at least 2.7 on 8 × 8 images."""
    kernel = need_tensor(answer)
    if kernel.numel() == 9 and kernel.shape != (3, 3):
        kernel = kernel.squeeze()
    if kernel.shape != (3, 3):
        text = f"A kernel of shape (3, 3) is needed; this one has shape {tuple(kernel.shape)}."
        raise Hint("shape", text)
    if not bool(torch.isfinite(kernel).all()):
        raise Hint("value", "An entry of the kernel is not finite.")
    flat = float(kernel.norm())
    if flat > 1 + 1e-5:
        text = f"The flattened kernel, a row of 9, has norm {flat:.4g}: by what can it be divided?"
        raise Hint("constraint", text)
    norm = float(operator_norm(convolution_matrix(kernel[None, None], 8)))
    if norm < 2.7:
        ask = "how large is one output pixel if all inputs are 1?"
        if flat < 0.99:
            ask = f"and of the flattened norm only {flat:.3g} is used. Is there room?"
        elif int((kernel.abs() > 1e-6).sum()) < 9:
            ask = "which entries are 0, and could they help?"
        raise Hint("value", f"The operator norm on 8 × 8 images is {norm:.3f}, below 2.7: {ask}")


_OUTER = torch.outer(KEPT_DIRECTION, torch.tensor([1.0, 0.0], dtype=torch.float64))
_MEAN = torch.full((3, 3), 1 / 3, dtype=torch.float64)
_CENTRE = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
_MIDDLE_ROW = [[0.0] * 3, [math.sqrt(1 / 3)] * 3, [0.0] * 3]
_EDGE = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]]).double() / 3


def _signs(matrix: Tensor) -> Tensor:
    """The checkerboard of a kernel: it has the same operator norm."""
    board = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])
    return matrix * board


EXERCISES = (
    Exercise(
        name="06.power-iteration",
        question="Power iteration as a function of W, a start u and the number of steps.",
        difficulty=2,
        minutes=10,
        judge=_judge_power_iteration,
        solution=power_iteration,
        right={
            "uᵀ W v": _by_rayleigh,
            "float32": lambda W, u, steps: power_iteration(W.float(), u.float(), steps),
            "by W Wᵀ": _by_gram,
        },
        wrong={
            "half a step": (_half_step, "second half"),
            "one step less": (_one_less, "too few"),
            "one step more": (lambda W, u, k: power_iteration(W, u, k + 1), "too many"),
            "half a step more": (_half_more, "half a step too far"),
            "a unit vector": (_unit_length, "length of a unit vector"),
            "squared": (lambda W, u, steps: power_iteration(W, u, steps).square(), "σ²"),
            "not divided": (_never_divided, "grow"),
            "the same start": (_start_kept, "same u"),
            "first u": (_last_u_first, "u of the start"),
            "svd": (lambda W, _u, _steps: torch.linalg.svdvals(W)[0], "σ₁ itself"),
            "no transpose": (lambda W, u, steps: _by_rayleigh(W.T, u, steps), "raised"),
            "all of it": (lambda W, u, steps: (power_iteration(W, u, steps), u), "is a tuple"),
        },
    ),
    Exercise(
        name="06.blind-start",
        question="A start from which power iteration never finds the largest singular value.",
        difficulty=2,
        minutes=6,
        judge=_judge_blind,
        solution=[1.0, -1.0, 0.0],
        right={
            "the second vector": [0, 0, 1],
            "a mixture": [1.0, -1.0, 5.0],
            "a tensor": torch.tensor([-2.0, 2.0, 0.0]),
        },
        wrong={
            "the first vector": ([1.0, 1.0, 0.0], "3 at once"),
            "a unit vector": ([1.0, 0.0, 0.0], "share 0.71"),
            "nearly": ([1.0, -1.01, 0.0], "share 0.005"),
            "zero": ([0.0, 0.0, 0.0], "no direction"),
            "not finite": ([math.nan, 0.0, 0.0], "not finite"),
            "two entries": ([1.0, -1.0], "(3,) is needed"),
        },
    ),
    Exercise(
        name="06.overshoot",
        question="The norm of diag(3, 1) divided by its estimate after one step from (1, 1).",
        difficulty=1,
        minutes=5,
        judge=_judge_overshoot,
        solution=OVERSHOOT,
        right={
            "four decimals": 1.0476,
            "a tensor": torch.tensor(OVERSHOOT),
            "by the formula": 3 * math.sqrt(10 / 82),
        },
        wrong={
            "the estimate": (math.sqrt(8.2), "This is the estimate"),
            "one": (1, "aims at"),
            "the norm": (3, "norm before"),
            "upside down": (0.95452, "below 1"),
            "half a step": (1.34164, "half of the step"),
            "the lesson's": (1.08465, "diag(2, 1)"),
            "no length": (0.331295, "divided by its length"),
            "two decimals": (1.05, "four decimals"),
            "a matrix": ([[1.0476, 0.0], [0.0, 0.3492]], "A number is needed"),
        },
    ),
    Exercise(
        name="06.certified",
        question="Divide a matrix by a number that is never below its norm.",
        difficulty=2,
        minutes=8,
        judge=_judge_certified,
        solution=certified,
        right={
            "exact": lambda W: W / torch.linalg.matrix_norm(W, ord=2),
            "Frobenius": lambda W: W / W.norm(),
            "float32": lambda W: certified(W.float()),
            "geometric": lambda W: W / norm_upper_bounds(W)["geometric"],
        },
        wrong={
            "power iteration": (_power_normalized, "norm becomes 1.0"),
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
    Exercise(
        name="06.kept",
        question="The root mean square of the gradient length kept by singular values 1 and ½.",
        difficulty=1,
        minutes=5,
        judge=_judge_kept,
        solution=KEPT,
        right={"three digits": 0.791, "a tensor": torch.tensor(KEPT), "a root": 0.625**0.5},
        wrong={
            "mean of both": (0.75, "mean of 1 and ½"),
            "the least": (0.5, "the least"),
            "all": (1, "Only one direction"),
            "squared": (0.625, "mean of the squares"),
            "Frobenius": (1.118, "Frobenius"),
            "mean length": (0.771, "mean length"),
            "divided late": (0.559, "after the root"),
            "one direction": (0.7071, "were 0"),
            "two digits": (0.8, "not the number"),
            "a pair": ([1.0, 0.5], "A number is needed"),
        },
    ),
    Exercise(
        name="06.one-direction",
        question="A matrix of norm 1 that loses one gradient and keeps the one orthogonal to it.",
        difficulty=2,
        minutes=8,
        judge=_judge_one_direction,
        solution=_OUTER,
        right={
            "projection": [[0.64, -0.48], [-0.48, 0.36]],
            "float32": _OUTER.float(),
            "another row": torch.outer(KEPT_DIRECTION, LOST),
            "sign": -_OUTER,
        },
        wrong={
            "transposed": (_OUTER.T, "through Wᵀ"),
            "orthogonal": ([[0.6, -0.8], [0.8, 0.6]], "length 1.000 is kept"),
            "too large": (2 * _OUTER, "σ₁ = 2"),
            "zero": (torch.zeros(2, 2), "zero matrix"),
            "first axis": ([[1.0, 0.0], [0.0, 0.0]], "length 0.600 is kept"),
            "not normalized": ([[1.0, 2.0], [3.0, 4.0]], "is 5.465"),
            "a vector": ([0.8, -0.6], "(2, 2) is needed"),
        },
    ),
    Exercise(
        name="06.kernel",
        question="A 3 × 3 kernel of flattened norm 1 and operator norm at least 2.7.",
        difficulty=2,
        minutes=6,
        judge=_judge_kernel,
        solution=_MEAN,
        right={
            "checkerboard": _signs(_MEAN),
            "float32": _MEAN.float(),
            "a batch of one": _MEAN[None, None],
            "negative": -_MEAN,
        },
        wrong={
            "the centre": (_CENTRE, "1.000, below 2.7: which entries are 0"),
            "ones": (torch.ones(3, 3), "has norm 3"),
            "the mean": (torch.full((3, 3), 1 / 9), "only 0.333 is used"),
            "a row": (_MIDDLE_ROW, "1.6"),
            "an edge": (_EDGE, "if all inputs are 1"),
            "two by two": (torch.full((2, 2), 0.5), "shape (2, 2)"),
        },
    ),
)
