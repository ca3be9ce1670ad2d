"""The exercises of lesson 06: power iteration, spectral normalization and what it loses."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    NEARLY,
    call,
    close,
    compare_number,
    need_tensor,
    seeded,
    shape_of,
    show_apart,
    show_values,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.figures import convolution_matrix
from lipteach.classroom.watch import watch
from lipteach.primitives import norm_upper_bounds, operator_norm, power_iteration
from lipteach.primitives.norms import start_vector

# --- 06.power-iteration


def estimate(W: Tensor, u: Tensor, steps: int) -> Tensor:
    """The estimate ‖W v‖ after `steps` steps v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖."""
    return power_iteration(W, steps, u)[0]


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


_DIAGONAL = torch.diag(torch.tensor([2.0, 1.0])).double()
_ONES = torch.ones(2).double()


# --- 06.blind-start


def _judge_blind(answer: Any) -> None:
    """For W with singular values 3, 2, 1 along (1, 1, 0), (0, 0, 1) and (1, −1, 0)."""
    u = need_tensor(answer, (3,))
    if not bool(torch.isfinite(u).all()):
        raise Hint("value", "An entry is not finite: power iteration cannot start there.")
    length = float(torch.linalg.vector_norm(u))
    if length < 1e-12:
        raise Hint("constraint", "The zero vector has no direction: which other vectors see no σ₁?")
    top = float(u[0] + u[1]) / math.sqrt(2) / length
    if abs(abs(top) - 1) < 1e-6:
        raise Hint("value", "From here the estimate is 3 at once: which vectors are orthogonal?")
    rounding = 1.2e-7 if isinstance(answer, Tensor) and answer.dtype != torch.float64 else 1e-15
    if abs(top) > rounding:
        share = f"A share {abs(top):.2g} of it points along (1, 1, 0)"
        raise Hint("value", f"{share}, grows in every step, and wins: can it be exactly 0?")


# --- 06.overshoot

OVERSHOOT = 3 / math.sqrt(8.2)
"""The norm of diag(3, 1) divided by its estimate √(82/10), after one step from (1, 1)."""

# --- 06.certified


def certified(W: Tensor) -> Tensor:
    """W divided by an upper bound of its norm."""
    return W / norm_upper_bounds(W)["gram"]


def _clipped(W: Tensor) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    clipped: Tensor = (U * sigma.clamp(max=1)) @ Vh
    return clipped


_BLIND = torch.tensor([[2.5, 0, 0, 0], [0, 2, -1, 0], [0, -1, 2, 0], [0, 0, 0, 2]]).double()
"""Of norm 3 along (0, 1, −1, 0): neither a start of ones nor a first axis has anything of it."""


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
        _BLIND,
        *(_clustered(n, gap) for n, gap in ((4, 1e-3), (8, 1e-4), (8, 0.05))),
    ]:
        _certify(answer, W)
    _search_for_a_start(answer)


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
    factor = float((got * W).sum() / W.square().sum())
    if not close(got, factor * W, 1e-4) or not factor > 0:
        raise Hint("value", "Is the result W divided by one positive number?", (W,))
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


def _search_for_a_start(answer: Any) -> None:
    """Lay the top direction orthogonal to the starts that are fixed or seen to be drawn."""
    usual = torch.stack([start_vector(6, None), torch.ones(6), torch.eye(6)[0]]).double()
    for top in (1.3, 1.1):
        torch.manual_seed(0)
        with watch() as seen:
            call(answer, torch.eye(6).double())
        drawn = [one.double().flatten() for one in seen.drawn if one.numel() == 6][:2]
        starts = torch.stack([*usual, *drawn])
        q = torch.linalg.qr(torch.cat([starts, seeded(6, 6)]).T).Q[:, -1]
        torch.manual_seed(0)
        _certify(answer, torch.eye(6).double() + (top - 1) * torch.outer(q, q))


# --- 06.kept

KEPT = math.sqrt((1 + 0.25) / 2)
"""The root mean square of √(cos²t + sin²t/4) over all directions t."""

# --- 06.one-direction

LOST = torch.tensor([0.6, 0.8], dtype=torch.float64)
KEPT_DIRECTION = torch.tensor([0.8, -0.6], dtype=torch.float64)
_OUTER = torch.outer(KEPT_DIRECTION, torch.tensor([1.0, 0.0], dtype=torch.float64))


def _judge_one_direction(answer: Any) -> None:
    """Norm 1 and Wᵀ(0.6, 0.8) = 0, so that ‖Wᵀ(0.8, −0.6)‖ is 1."""
    W = need_tensor(answer, (2, 2))
    if not bool(torch.isfinite(W).all()):
        raise Hint("value", "An entry of W is not finite.")
    norm = float(operator_norm(W))
    lost = float((W.T @ LOST).norm())
    if norm < 1e-9:
        raise Hint("constraint", "The zero matrix has norm 0: which matrix of norm 1 has rank 1?")
    if lost > 1e-5 and float((W @ LOST).norm()) < 1e-5:
        text = "W (0.6, 0.8) is 0, so this input is lost; does a gradient go through W or through"
        raise Hint("layout", f"{text} Wᵀ?")
    if lost < 1e-5 and abs(norm - 1) > 1e-5:
        text = f"The gradient is lost, but σ₁ = {show_apart(norm, 1.0)[0]}"
        ask = NEARLY if abs(norm - 1) < 0.015 else "what makes it 1?"
        raise Hint("constraint", f"{text}: {ask}")
    if abs(norm - 1) > 1e-5:
        text = f"σ₁ is {show_apart(norm, 1.0)[0]} and not 1"
        raise Hint("constraint", f"{text}: by what can W be divided?")
    if lost > 1e-5:
        ask = "to which vector must the columns of W be orthogonal?"
        raise Hint("value", f"Of (0.6, 0.8) the length {lost:.3f} is kept: {ask}")


# --- 06.kernel

_MEAN = torch.full((3, 3), 1 / 3, dtype=torch.float64)
_BOARD = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]).double()
_EDGE = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]]).double() / 3


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


EXERCISES = (
    Exercise(
        name="06.power-iteration",
        judge=partial(
            compare_function,
            reference=estimate,
            inputs=[
                (_DIAGONAL, _ONES, 1),
                (_DIAGONAL, _ONES, 3),
                (seeded(5, 3, seed=1), seeded(5, seed=2), 4),
                (seeded(3, 5, seed=3), seeded(3, seed=4), 4),
            ],
        ),
        solution=estimate,
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
        },
        wrong={
            "no transpose": (lambda W, u, steps: _by_rayleigh(W.T, u, steps), "raised"),
            "all of it": (lambda W, u, steps: (estimate(W, u, steps), u), "is a tuple"),
        },
    ),
    Exercise(
        name="06.blind-start",
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
            "nearer": ([1.0, -0.999999, 0.0], "share 5e-07"),
            "a trace": ([0.0, 1e-9, 1.0], "share 7.1e-10"),
            "zero": ([0.0, 0.0, 0.0], "no direction"),
            "not finite": ([math.nan, 0.0, 0.0], "not finite"),
            "two entries": ([1.0, -1.0], "(3,) is needed"),
        },
    ),
    Exercise(
        name="06.overshoot",
        judge=partial(
            compare_number,
            value=OVERSHOOT,
            decimals=4,
            otherwise="Run lt.power_iteration(torch.diag(torch.tensor([3.0, 1.0])), 1, "
            "torch.ones(2)): what is 3 divided by?",
        ),
        solution=OVERSHOOT,
        right={"four decimals": 1.0476, "by the formula": 3 * math.sqrt(10 / 82)},
        mistakes={
            "the estimate": (
                math.sqrt(8.2),
                "This is the estimate: which norm is left when W is divided by it?",
            ),
            "one": (1, "This is what the division aims at: is the estimate equal to 3?"),
            "upside down": (
                math.sqrt(8.2) / 3,
                "This is estimate/3, below 1: which of the two is divided?",
            ),
            "half a step": (
                3 / math.sqrt(5),
                "‖Wᵀu‖ = √5 is only half of the step: what is ‖W v‖?",
            ),
            "the lesson's": (
                2 / math.sqrt(3.4),
                "This is right for diag(2, 1): what changes for diag(3, 1)?",
            ),
            "the norm": (
                3,
                "This is the norm before: which norm is left after dividing by the estimate?",
            ),
            "no root": (3 / 8.2, "82/10 is the square of the estimate: what is its root?"),
            "no length": (
                3 / math.sqrt(82),
                "Is v divided by its length before W is applied to it?",
            ),
            "two decimals": (
                1.05,
                "Nearly: what are its four decimals?",
                lambda got: abs(got - OVERSHOOT) < 5e-3,
            ),
        },
        wrong={"a matrix": ([[1.0476, 0.0], [0.0, 0.3492]], "A number is needed")},
    ),
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
                "norm becomes 1.1818",
            ),
            "from ones": (
                lambda W: W / estimate(W, torch.ones_like(W[:, 0]), 500),
                "of norm 3 the norm becomes 1.2000",
            ),
            "a random start and a margin": (
                lambda W: W / (1.05 * estimate(W, torch.randn(len(W)).to(W), 100)),
                "norm becomes 1.0476",
            ),
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
        judge=partial(
            compare_number,
            value=KEPT,
            decimals=3,
            otherwise="At t = 45° the square of what is kept is ½ + ⅛: what is its mean over all "
            "t?",
        ),
        solution=KEPT,
        right={"three digits": 0.791, "a root": 0.625**0.5},
        mistakes={
            "mean of both": (
                0.75,
                "This is the mean of 1 and ½: which mean of the lengths is asked for?",
            ),
            "the least": (
                0.5,
                "This is the least that is kept: what do the other directions keep?",
            ),
            "all": (1, "Only one direction keeps all: which share does the other one keep?"),
            "squared": (0.625, "This is the mean of the squares: what is left to do?"),
            "Frobenius": (
                math.sqrt(1.25),
                "This is the Frobenius norm of W: the mean of cos² t is not 1.",
            ),
            "mean length": (
                0.7710,
                "This is the mean length: what is the mean of its square, and the root?",
            ),
            "divided late": (
                math.sqrt(1.25) / 2,
                "Divided after the root: is it a mean of lengths or of their squares?",
            ),
            "one direction": (
                math.sqrt(0.5),
                "As if the second singular value were 0: what does the ½ still keep?",
            ),
            "the least, squared": (
                0.25,
                "This is the square of ½: how much does the other direction add?",
            ),
        },
        wrong={"two digits": (0.79, "3 decimals"), "a pair": ([1.0, 0.5], "A number is needed")},
    ),
    Exercise(
        name="06.one-direction",
        judge=_judge_one_direction,
        solution=_OUTER,
        right={
            "projection": [[0.64, -0.48], [-0.48, 0.36]],
            "another row": torch.outer(KEPT_DIRECTION, LOST),
            "sign": -_OUTER,
        },
        wrong={
            "transposed": (_OUTER.T, "through Wᵀ"),
            "orthogonal": ([[0.6, -0.8], [0.8, 0.6]], "length 1.000 is kept"),
            "too large": (2 * _OUTER, "σ₁ = 2"),
            "three digits": ([[0.566, 0.566], [-0.424, -0.424]], "σ₁ is 1.0001 and"),
            "a little more": ([[0.8, 0.0], [-0.6, 0.01]], "σ₁ is 1.00002 and not 1"),
            "zero": (torch.zeros(2, 2), "zero matrix"),
            "first axis": ([[1.0, 0.0], [0.0, 0.0]], "length 0.600 is kept"),
            "not normalized": ([[1.0, 2.0], [3.0, 4.0]], "is 5.465"),
            "a vector": ([0.8, -0.6], "(2, 2) is needed"),
        },
    ),
    Exercise(
        name="06.kernel",
        judge=_judge_kernel,
        solution=_MEAN,
        right={
            "checkerboard": _MEAN * _BOARD,
            "a batch of one": _MEAN[None, None],
            "negative": -_MEAN,
        },
        wrong={
            "the centre": (
                [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
                "1.000, below 2.7: which entries are 0",
            ),
            "ones": (torch.ones(3, 3), "has norm 3"),
            "the mean": (torch.full((3, 3), 1 / 9), "only 0.333 is used"),
            "a row": ([[0.0] * 3, [math.sqrt(1 / 3)] * 3, [0.0] * 3], "1.6"),
            "an edge": (_EDGE, "if all inputs are 1"),
            "two by two": (torch.full((2, 2), 0.5), "shape (2, 2)"),
        },
    ),
)
