"""The exercises of lesson 06: bounds that are never below the norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lipteach.classroom.calling import call_with
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    close,
    fault,
    need_number,
    need_tensor,
    seeded,
    shape_of,
    show_apart,
    show_values,
)
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.exercises.estimates import estimate
from lipteach.classroom.watch import watch
from lipteach.primitives import norm_upper_bounds, operator_norm, power_iteration
from lipteach.primitives.norms import start_vector

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

_SIGNS = torch.tensor([(-1.0) ** bin(k).count("1") for k in range(16)]).double()
"""Orthogonal to 1, k, k² and k³ (k = 0, …, 15): the signs of Prouhet, Thue and Morse."""

_SPREAD = torch.zeros(18, 18).double()
_SPREAD[:2, :2] = torch.diag(torch.tensor([1.01, 1]))
_SPREAD[2:, 2:] = _SIGNS.outer(_SIGNS) / 4
"""Of norm 4, in 16 small columns: no single column, nor the sum of all, has anything of it."""


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
        *(_BLIND, _SPREAD),
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
    if not bool(got.isfinite().all()):
        raise Hint("value", "Not every entry of the result is finite: what is divided by 0?", (W,))
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


class _Exact(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Note the vectors that code works with; keep those orthogonal to q so, against rounding."""

    def __init__(self, q: Tensor | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.q, self.vectors = q, list[Tensor]()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = [a for a in args if isinstance(a, Tensor) and a.numel() == _SIZE]
        self.vectors += [a.detach().double().flatten().clone() for a in found]
        result = func(*args, **(kwargs or {}))
        if self.q is not None and isinstance(result, Tensor) and result.is_floating_point():
            flat = result.detach().double().flatten()
            if len(flat) == _SIZE and abs(flat @ self.q) <= 1e-6 * flat.norm():
                clean: Tensor = flat - (flat @ self.q) * self.q
                result = clean.reshape(result.shape).to(result.dtype)
        return result


_SIZE = 12


def _search_for_a_start(answer: Any) -> None:
    """Lay the top direction orthogonal to every vector that the answer is seen to start from."""

    def seen(W: Tensor, q: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        torch.manual_seed(0)  # the guard gives the student's state back
        np.random.seed(0)  # noqa: NPY002
        with _Exact(q) as mode:
            return need_tensor(call(answer, W)), mode.vectors

    identity = torch.eye(_SIZE).double()
    usual = [start_vector(_SIZE, None).double(), torch.ones(_SIZE).double(), identity[0]]
    vectors = [v for v in seen(identity)[1] if bool(v.isfinite().all())]
    starts = torch.stack([*usual, *vectors])
    _, sigma, Vh = torch.linalg.svd(starts / starts.norm(dim=1, keepdim=True).clamp(min=1e-300))
    rank = int((sigma > 1e-6).sum())
    q = Vh[-1] if rank < _SIZE else identity[-1]
    for top in (1.1, 1.3, 4.0):
        W = identity + (top - 1) * torch.outer(q, q)
        norm = float(operator_norm(seen(W, q)[0]))
        if norm > 1 + 2e-6:
            text = f"For a matrix of norm {top:g} whose top direction has nothing of your start the"
            ask = "a margin helps a slow iteration; which bound needs no luck with its start?"
            raise Hint(
                "constraint", f"{text} norm becomes {norm:.4f}, without rounding: {ask}", (W,)
            )


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


def _by_numpy(W: Any) -> float:
    if not W.any():
        return 0.0
    A, bound, power = W.T / np.abs(W).max() @ (W / np.abs(W).max()), np.abs(W).max(), 2
    for _ in range(7):
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
    _BLIND,
    _SPREAD,
    *(_orthonormal(m, n) for m, n in ((64, 64), (64, 10), (10, 64))),
    *(scale * seeded(64, 40, seed=3) for scale in (1.0, 1e30, 1e-30)),
]


def _judge_sharper(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, type) or not callable(answer):
        raise Hint("type", "A function of a matrix is needed.")
    bounds = [_bound_of(answer, W) for W in _SHARP]

    def matches(mistake: Mistake) -> bool:
        made = torch.tensor([_bound_of(mistake.answer, W) for W in _SHARP])
        return torch.allclose(made, torch.tensor(bounds), rtol=1e-5, atol=0, equal_nan=True)

    for W, bound in zip(_SHARP, bounds, strict=True):
        if found := _fault_of(answer, W, bound):
            raise fault(found.kind, found.text, mistakes, matches).at(W)
    _search_for_a_start(lambda W: W / _bound_of(answer, W))
    _count_products(answer)


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
        return Hint("value", f"For the zero matrix the result is {bound:.3g}: what divides by 0?")
    if not 0 < bound < math.inf:
        text = f"{on} the result is {bound:.3g}. Powers such as 5^512 or 0.01^512 leave the range"
        return Hint("value", f"{text} of float64: what can be divided off before each product?")
    share = _bound_of(answer, 4 * W) / bound if W.numel() == 4 else 4
    if math.isfinite(share) and abs(share - 4) > 1e-3:
        ask = "which scale or root is not undone?"
        return Hint("value", f"For 4 W the result is {share:.3g} times that for W, not 4: {ask}")
    one = bound / norm
    if one < 1 - 2e-6:  # float32
        ask = "is every σⱼ in your sum, with the weight 1?"
        return Hint("constraint", f"{on} the result is {bound:.5g}, below it: {ask}")
    if one > 1.01 + 2e-6:
        ask = "which power p makes 64^(1/p) at most 1.01?"
        return Hint("value", f"{on} the result is {100 * one - 100:.3g} % too large: {ask}")
    return None


def _count_products(answer: Any) -> None:
    W = _SHARP[7]
    with watch() as seen:
        call(answer, W)
    products, told = seen.matrix_products, "Right, but "
    if seen.decomposition:
        told += f"your code calls {seen.decomposition}: which powers get by with products?"
    elif not products:
        told += "torch sees no product of two matrices: write it with @, where they are counted."
    elif products > 12:
        told += f"by {products} products: what does one square do to the power?"
    else:
        return
    raise Hint("constraint", told, (W,))


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
                "norm becomes 1.1818",
            ),
            "from ones": (
                lambda W: W / estimate(W, torch.ones_like(W[:, 0]), 500),
                "of norm 3 the norm becomes 1.2000",
            ),
            "a random start and a margin": (
                lambda W: W / (1.05 * estimate(W, torch.randn(len(W)).to(W), 100)),
                "matrix of norm 1.1 whose top direction has nothing of your start",
            ),
            "a large margin": (
                lambda W: W / (2 * estimate(W, torch.randn(len(W)).to(W), 200)),
                "becomes 2.0000, without rounding",
            ),
            "the best of three starts": (
                lambda W: W / (3 * max(estimate(W, torch.randn(len(W)).to(W), 9) for _ in "abc")),
                "becomes 1.3333, without rounding",
            ),
            "a start without pattern": (
                lambda W: W / (1.5 * power_iteration(W, 100)[0]),
                "becomes 2.6667, without rounding",
            ),
            "numpy's random start": (
                lambda W: W / (1.25 * estimate(W, torch.as_tensor(np.random.randn(len(W))), 50)),  # noqa: NPY002
                "becomes 1.0400, without rounding",
            ),
            "the largest column": (
                lambda W: W / (1.5 * estimate(W, W[:, W.norm(dim=0).argmax()], 30)),
                "(18, 18) (`example` of the report) of norm 4",
            ),
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
                lambda W: estimate(W, torch.ones_like(W[:, 0]), 99) if W.any() else 0.0,
                "Power iteration stays at or below σ₁: which sum over all σⱼ is above?",
            ),
        },
        wrong={
            "not scaled": (lambda W: _power_bound(W, 7), "leave the range"),
            "zero by zero": (lambda W: sharper(W) if W.any() else W.sum() / 0, "zero matrix"),
            "no root": (lambda W: sharper(W) ** 2, "times that for W"),
            "scale lost": (lambda W: sharper(W / (W.norm() + 1e-99)), "1 times that"),
            "singular values": (lambda W: torch.linalg.svdvals(W).max(), "svd"),
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
