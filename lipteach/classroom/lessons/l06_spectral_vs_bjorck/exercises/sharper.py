"""The exercise of lesson 06 on a bound within one percent, by products alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    fault,
    need_number,
    seeded,
    show_values,
)
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises.blind_starts import (
    BLIND,
    SPREAD,
    search_for_a_start,
)
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises.certificates import certified
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises.estimates import estimate
from lipteach.classroom.watch import watch
from lipteach.primitives import norm_upper_bounds, operator_norm

# --- 06.sharper


def sharper(W: Tensor, squares: int = 7) -> Tensor:
    """(Σⱼ σⱼᵖ)^(1/p) for p = 4 · 2^squares, each power divided by its size before it is squared."""
    largest = bound = W.abs().max()
    if largest == 0:
        return largest
    A = (W / largest).T @ (W / largest)
    power = 2
    for _ in range(squares):
        size = A.norm()
        bound = bound * size ** (1 / power)
        A = (A / size) @ (A / size)
        power = 2 * power
    sharp: Tensor = bound * A.norm() ** (1 / power)
    return sharp


def _by_trace(W: Tensor) -> float:
    """(tr (WWᵀ)^256)^(1/512), near enough to 1 for its powers if W is divided by "gram"."""
    if not W.any():
        return 0.0
    A = W / W.abs().max()
    gram = (A.T @ A @ (A.T @ A)).norm() ** 0.25
    power = torch.linalg.matrix_power((A / gram) @ (A / gram).T, 256)
    return float(W.abs().max() * gram * power.trace() ** (1 / 512))


def _by_row_sums(W: Tensor) -> float:
    """‖(WᵀW)^(2^k)‖_∞^(1/(2·2^k)), the logarithm of the scale kept beside it."""
    if not W.any():
        return 0.0
    A, logarithm = W.T / W.abs().max() @ (W / W.abs().max()), 2 * float(W.abs().max().log())
    for _ in range(9):
        size = A.abs().sum(dim=1).max()
        A, logarithm = A / size @ (A / size), 2 * (logarithm + float(size.log()))
    return math.exp((logarithm + float(A.abs().sum(dim=1).max().log())) / 2**10)


def _with_slip(
    W: Tensor,
    growth: int = 2,
    root: bool = True,
    back: bool = True,
    last: Callable[[Tensor], Tensor] = torch.linalg.matrix_norm,
) -> Any:
    """The solution with one slip: the power, the root of a size, its return, the last norm."""
    largest = bound = W.abs().max()
    if largest == 0:
        return largest
    A, power = (W / largest).T @ (W / largest), 2
    for _ in range(7):
        size = A.norm()
        bound = bound * (size ** (1 / power if root else 1) if back else 1)
        A, power = (A / size) @ (A / size), growth * power
    return bound * last(A) ** (1 / power)


def _by_numpy(W: Any, squares: int = 7) -> float:
    if not W.any():
        return 0.0
    A, bound, power = W.T / np.abs(W).max() @ (W / np.abs(W).max()), np.abs(W).max(), 2
    for _ in range(squares):
        size = np.linalg.norm(A)
        A, bound, power = A / size @ (A / size), bound * size ** (1 / power), 2 * power
    return float(bound * np.linalg.norm(A) ** (1 / power))


def _power_bound(W: Tensor, squares: int) -> Any:
    """The same without a scale: powers beyond the range of float64."""
    A = W.T @ W
    for _ in range(squares):
        A = A @ A
    return A.norm() ** (1 / 2 ** (squares + 1))


def _orthonormal(m: int, n: int) -> Tensor:
    Q: Tensor = torch.linalg.qr(seeded(max(m, n), min(m, n), seed=m)).Q
    return Q if m >= n else Q.T


_SHARP = [
    torch.tensor([[2.0, 2.0], [1.0, 2.0]]).double(),
    torch.tensor([[0.0, 1.0], [0.0, 0.0]]).double(),  # its square is 0
    torch.zeros(3, 2).double(),
    torch.full((4, 1), -2.0).double(),
    seeded(8, 8),
    BLIND,
    SPREAD,
    *(_orthonormal(m, n) for m, n in ((64, 64), (64, 10), (10, 64))),
    *(scale * seeded(64, 40, seed=3) for scale in (1.0, 1e30, 1e-30)),
]


def _judge_sharper(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, type) or not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    bounds = [_bound_of(answer, W) for W in _SHARP]

    def matches(mistake: Mistake) -> bool:
        pairs = zip(_SHARP, bounds, strict=True)
        return all(_same(_bound_of(mistake.answer, W), bound) for W, bound in pairs)

    for W, bound in zip(_SHARP, bounds, strict=True):
        if found := _fault_of(answer, W, bound):
            raise fault(found.kind, found.text, mistakes, matches).at(W)
    search_for_a_start(lambda W: W / _bound_of(answer, W))
    _count_products(answer)


def _same(one: float, other: float) -> bool:
    return one == other or math.isclose(one, other, rel_tol=1e-5) or (one != one and other != other)


def _bound_of(answer: Any, W: Tensor) -> float:
    given = W.clone()
    try:
        bound = need_number(call_with(answer, (given,)))
    except Hint as hint:
        raise hint.at(W) from None
    if not torch.equal(W, given):
        raise Hint("mutation", "Your function changes its input: work on a copy.", (W,))
    return bound


def _fault_of(answer: Any, W: Tensor, bound: float) -> Hint | None:
    """What is wrong with this bound: a size that is not followed, a value below, or far above."""
    norm = float(operator_norm(W))
    on = f"For {show_values(W, most=16)} of norm {norm:.3g}"
    if norm == 0:
        if bound == 0:
            return None
        ask = (
            "which number is added to its entries?"
            if math.isfinite(bound)
            else "what divides by 0?"
        )
        return Hint("value", f"For the zero matrix the result is {bound:.3g}: {ask}")
    if not 0 < bound < math.inf:
        text = f"{on} the result is {bound:.3g}. Powers such as 5^512 or 0.01^512 leave the range"
        return Hint("value", f"{text} of float64: what can be divided off before each product?")
    share = _bound_of(answer, 4 * W) / bound if W.numel() == 4 else 4
    if math.isfinite(share) and abs(share - 4) > 0.04:
        ask = "which scale or root is not undone?"
        return Hint("value", f"For 4 W the result is {share:.3g} times that for W, not 4: {ask}")
    one = bound / norm
    if one < 1 - 2e-6 and _iterates(answer, W):
        ask = "your code makes products with vectors alone, as power iteration does; is such an "
        ask += "estimate above σ₁ for certain, with whatever margin?"
        return Hint("constraint", f"{on} the result is {bound:.5g}, below it: {ask}")
    if one < 1 - 2e-6:  # float32
        ask = "is every σⱼ in the sum, with the weight 1, and each scale given back under its root?"
        return Hint("constraint", f"{on} the result is {bound:.5g}, below it: {ask}")
    if one > 1.01 + 2e-6:
        ask = "is 64^(1/p) at most 1.01, and each scale given back under its root?"
        return Hint("value", f"{on} the result is {100 * one - 100:.3g} % too large: {ask}")
    return None


def _iterates(answer: Any, W: Tensor) -> bool:
    with watch() as seen:
        call(answer, W)
    return seen.vector_products > 2 and not seen.matrix_products


def _equal_values(count: int) -> Tensor:
    """A matrix of norm 1 with `count` singular values 1, and the other 16 − count equal to ½."""
    Q = _orthonormal(16, 16) if count > 1 else torch.eye(16).double()
    sigma = torch.where(torch.arange(16) < count, 1.0, 0.5).double()
    product: Tensor = Q * sigma @ Q.T
    return product


def _count_products(answer: Any) -> None:
    W = _SHARP[7]
    with watch() as seen:
        call(answer, W)
    products, told = seen.matrix_products, "Right, but "
    if seen.decomposition:
        told += f"your code calls {seen.decomposition}: which powers get by with products?"
    elif products > 12:
        told += f"by {products} products: what does one square do to the power?"
    elif (excess := _excess_of_eight(answer)) < 5e-7:
        told += (
            "a matrix with eight equal σⱼ gets the same number as one with a single largest: is "
        )
        told += "it a singular value itself, and by which sum of powers would it be larger?"
    elif not products:
        told += "torch sees no product of two matrices: write it with @, where they are counted."
    elif excess < 2e-5:
        told += "its power is above 4096, to which twelve products lead: where are the others?"
    else:
        return
    raise Hint("constraint", told, (W,))


def _excess_of_eight(answer: Any) -> float:
    """By how much eight equal σ bring more than one: 8^(1/p) − 1 for the sum of powers."""
    one, eight = (_bound_of(answer, _equal_values(count)) for count in (1, 8))
    return abs(eight / one - 1)


EXERCISES = (
    Exercise(
        name="06.sharper",
        judge=_judge_sharper,
        solution=sharper,
        right={
            "by the trace": _by_trace,
            "by row sums": _by_row_sums,
            "a square more": lambda W: float(sharper(W, 8)),
        },
        mistakes={
            "Frobenius": (
                lambda W: W.norm(),
                "This is the Frobenius norm, p = 2, 8 times too large for 64 equal σⱼ: which p is "
                "enough?",
            ),
            "gram": (
                lambda W: norm_upper_bounds(W)["gram"],
                'This is "gram", p = 8, 68 % too large for 64 equal σⱼ: how do you get to higher '
                "powers?",
            ),
            "geometric": (
                lambda W: norm_upper_bounds(W)["geometric"],
                "The root of ‖W‖₁ ‖W‖_∞ may be 8 times too large: of which matrix is it closer?",
            ),
            "a square less": (
                lambda W: sharper(W, 6),
                "Nearly: p = 256 leaves 1.6 % for 64 equal σⱼ. How many squares are missing?",
            ),
            "the power stays": (
                lambda W: _with_slip(W, growth=1),
                "A is squared, and the root that gives its size back stays the same: which is it "
                "now?",
            ),
            "no root": (
                lambda W: _with_slip(W, root=False),
                "The sizes are given back as they are: of which power of W are they the norm?",
            ),
            "sizes lost": (
                lambda W: _with_slip(W, back=False),
                "The sizes are divided off, and not given back: where do they enter the bound?",
            ),
            "the largest entry": (
                lambda W: _with_slip(W, last=lambda A: A.abs().max()),
                "The largest entry of the last power may be below its norm: which norm is not?",
            ),
            "W squared": (
                lambda W: (W @ W).norm().sqrt() if len(W) == W.shape[1] else W.norm(),
                "W² may be 0 where W is not, and a tall W has no square: which matrix has the "
                "eigenvalues σⱼ²?",
            ),
            "a mean": (
                lambda W: sharper(W) / min(W.shape) ** (1 / 512),
                "This is the mean of the σⱼᵖ, and not their sum: on which side of σ₁ᵖ is a mean?",
            ),
            "sharpened from below": (
                lambda W: estimate(W, torch.ones_like(W[:, 0]), 20) if W.any() else 0.0,
                "Power iteration stays at or below σ₁: which sum over all σⱼ is above?",
            ),
        },
        wrong={
            "not scaled": (lambda W: _power_bound(W, 7), "leave the range"),
            "zero by zero": (lambda W: sharper(W) if W.any() else W.sum() / 0, "zero matrix"),
            "no root at the end": (lambda W: sharper(W) ** 2, "times that for W"),
            "scale lost": (lambda W: sharper(W / (W.norm() + 1e-99)), "1 times that"),
            "singular values": (lambda W: torch.linalg.svdvals(W).max(), "svd"),
            "a margin": (
                lambda W: 1.005 * estimate(W, torch.ones_like(W[:, 0]), 99) if W.any() else 0.0,
                "products with vectors alone",
            ),
            "σ₁ itself": (lambda W: _by_numpy(W.numpy(), 30), "eight equal"),
            "products in numpy, and one with @": (
                lambda W: _by_numpy(W.numpy(), 18) + 0 * float((W @ W.T).sum()),
                "above 4096",
            ),
            "NaN": (
                lambda W: sharper(W) if len(W) != 12 else math.nan,
                "a number is not finite",
            ),
            "by numpy": (
                lambda W: _by_numpy(W.numpy()),
                "no product",
            ),
            "one factor at a time": (
                lambda W: sharper(W) + 0 * sum((W @ W.T).sum() for _ in range(5)),
                "by 13 products",
            ),
            "far above": (lambda W: 2 * sharper(W), "100 % too large"),
            "in place": (lambda W: W.mul_(1.0).add_(1.0).norm(), "changes its input"),
            "a matrix": (certified, "One number"),
            "not a function": (1.01, "A function of a matrix"),
        },
    ),
)
