"""The exercises of lesson 05."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, call, compare_number, need_number, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import power_iteration

_ORDERS = ((1, 1), (3, 1), (5, 1), (2, 2), (3, 3), (0, 2))


def products(k: int, p: int) -> int:
    """The products with a vector that the recursion makes for k steps of order p."""
    return int((2 * p + 1) ** k)


def _judge_products(answer: Any) -> None:
    if not callable(answer):
        raise Hint("type", "A function of k and p is needed.")
    got = {(k, p): need_number(call(answer, k, p)) for k, p in _ORDERS}
    if all(got[key] == products(*key) for key in _ORDERS):
        return
    marks: tuple[tuple[Callable[[int, int], int], str], ...] = (
        (lambda k, p: (2 * p + 1) * k, "Each step calls the one before: do their products add up?"),
        (
            lambda k, p: 2 * (2 * p + 1) ** k,
            "This counts the products of B_k: how many has A_k, which begins with a single one?",
        ),
        (lambda k, _: 3**k, "Right at order 1; at order p a step multiplies B by f(B) twice."),
        (
            lambda k, p: (p + 2) ** k,
            "Is the degree of a step p + 2? f has degree p in B, and B has degree 2 in W.",
        ),
        (lambda k, p: (p + 1) ** k, "This is the degree of f in B, not of the step in W."),
        (
            lambda k, p: (2 * p + 1) ** (k + 1),
            "One step too many: how many products has A_0 v = W v?",
        ),
    )
    for mark, hint in marks:
        if all(got[key] == mark(*key) for key in _ORDERS):
            raise Hint("value", hint)
    k, p = next(key for key in _ORDERS if got[key] != products(*key))
    raise Hint(
        "value", f"For k = {k} and p = {p} it is not {got[k, p]:g}: what is the degree of A_k in W?"
    )


def _judge_break_even(answer: Any) -> None:
    compare_number(
        answer,
        9,
        mistakes=[
            (8, "At k = 8 the recursion makes 6561 products, the dense iteration 16 · 1000."),
            (10, "It is true of k = 10, but is it the first?"),
            (5, "Is the batch of one vector, and the dense side 2 k · 1000 products?"),
            (7, "Does the dense iteration cost the same for every k? It makes 2 k products."),
            (19683, "This is 3 to the power we look for."),
        ],
    )


def _judge_estimate(answer: Any) -> None:
    u = need_tensor(answer, (2,))
    W = torch.diag(torch.tensor([1.0, 0.1], dtype=torch.float64))
    if not bool(torch.isfinite(u).all()) or not bool(u.any()):
        raise Hint("value", "A start is a vector other than 0, of finite numbers.")
    estimate = float(power_iteration(W, steps=1, u=u)[0])
    if not estimate < 1 / math.sqrt(3) - 1e-9:
        raise Hint(
            "value",
            f"From there one step gives {estimate:.3f}, and 1/{estimate:.3f} is inside the basin: "
            "which singular vector must the start nearly be?",
        )
    sigma = torch.tensor([1.0, 0.1]) / estimate
    if not bool((sigma < math.sqrt(5) - 1e-9).any()) or float(sigma[0]) < math.sqrt(5) + 1e-9:
        raise Hint(
            "constraint",
            f"W/σ̂ has norm {float(sigma[0]):.2f}, outside the basin of 1: but it does not diverge "
            "below √5. Can the estimate be smaller?",
        )


def _judge_best_line(answer: Any) -> None:
    compare_number(
        answer,
        4 / 3,
        tol=1e-4,
        mistakes=[
            (1, "With a = 1 the error is ½, at σ = ½ alone: what happens if a grows?"),
            (2, "Now σ = ½ goes to 1 and σ = 1 to 2: is an error of 1 the best?"),
            (1.5, "This is Björck's slope at 0. Which a makes both ends err alike?"),
            (1 / 3, "This is the error that is reached: which a reaches it?"),
            (0.75, "Upside down: does a < 1 bring σ = ½ nearer to 1?"),
            (math.sqrt(2), "The product of both ends is then 1, but are both errors equal?"),
            (When(lambda got: abs(got - 4 / 3) < 0.01), "Very near: which fraction is it exactly?"),
        ],
    )


def start() -> Tensor:
    """A start of power iteration whose first estimate sends diag(1, 0.1) out of reach."""
    return torch.tensor([0.001, 1.0], dtype=torch.float64)


def odd_series(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """Compute c₁ T₁(W) v + c₃ T₃(W) v + … by products with vectors."""
    even, odd = v, W @ v
    result = c[0] * odd
    for coefficient in c[1:]:
        even = 2 * W.T @ odd - even
        odd = 2 * W @ even - odd
        result = result + coefficient * odd
    return result


def _by_svd(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    angle = torch.arccos(sigma.clamp(max=1))
    values = sum(one * torch.cos((2 * i + 1) * angle) for i, one in enumerate(c))
    result: Tensor = U @ (values * (Vh @ v))
    return result


def _powers(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    term = W @ v
    result = c[0] * term
    for coefficient in c[1:]:
        term = W @ (W.T @ term)
        result = result + coefficient * term
    return result


def _every_degree(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """The coefficients given to T_1, T_2, T_3, …, for a square W."""
    before, term = v, W @ v
    result = c[0] * term
    for coefficient in c[1:]:
        before, term = term, 2 * W.T @ term - before
        result = result + coefficient * term
    return result


def _recurrence(
    W: Tensor, v: Tensor, c: list[float], back: Tensor, ahead: Tensor, two: float, sign: float
) -> Tensor:
    """The right one at back = Wᵀ, ahead = W, two = 2, sign = −1."""
    even, odd = v, W @ v
    result = c[0] * odd
    for coefficient in c[1:]:
        even = two * back @ odd + sign * even
        odd = two * ahead @ even + sign * odd
        result = result + coefficient * odd
    return result


def _no_two(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return _recurrence(W, v, c, W.T, W, two=1, sign=-1)


def _plus(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return _recurrence(W, v, c, W.T, W, two=2, sign=1)


def _turned(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return _recurrence(W, v, c, W, W.T, two=2, sign=-1)


def _only_w(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    before, term = v, W @ v
    result = c[0] * term
    for coefficient in c[1:]:
        before, term = term, 2 * W @ term - before
        before, term = term, 2 * W @ term - before
        result = result + coefficient * term
    return result


def _last(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return odd_series(W, v, [0.0] * (len(c) - 1) + [c[-1]])


def _contraction(m: int, n: int, seed: int = 0) -> Tensor:
    W = seeded(m, n, seed=seed)
    norm: Tensor = torch.linalg.matrix_norm(W, 2)
    return 0.9 * W / norm


def _judge_series(answer: Any) -> None:
    c = [1.0, -0.5, 0.25, 2.0]
    square = _contraction(3, 3)
    compare_function(
        answer,
        odd_series,
        inputs=[
            (torch.tensor([[0.5]]).double(), torch.ones(1).double(), [1.0]),
            (torch.tensor([[0.5]]).double(), torch.ones(1).double(), c),
            (square, seeded(3, seed=4), c),
            (square, seeded(3, seed=5), [0.3]),
        ],
        layouts=[(_contraction(5, 3, 1), seeded(3), c), (_contraction(2, 4, 2), seeded(4), c)],
        mistakes=[
            (_powers, "These are the powers W, W Wᵀ W, …: what is T₃(x) = 4x³ − 3x made of?"),
            (_every_degree, "c belongs to T₁, T₃, T₅: what became of the even ones between?"),
            (_no_two, "T_{j+1}(x) = 2 x T_j(x) − T_{j−1}(x): where is the 2?"),
            (_plus, "T₂(x) = 2x² − 1: with which sign does the term before come in?"),
            (_only_w, "W W v is no polynomial of the singular values: is every second W a Wᵀ?"),
            (_turned, "T₂(W) v lies among the inputs: does W or Wᵀ lead from T₁(W) v to there?"),
            (_last, "Only the last term is here: what is added to what?"),
            (lambda W, v, c: c[0] * (W @ v), "This is T₁ alone: what follows?"),
        ],
    )


def _svd(W: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    U, sigma, Vh = torch.linalg.svd(W)
    return U, sigma, Vh


def implicit_gradient(W: Tensor, G: Tensor) -> Tensor:
    """The gradient of ⟨G, Q(W)⟩ for a square W of full rank and its polar factor Q."""
    U, sigma, Vh = _svd(W)
    Q, K = U @ Vh, (U @ Vh).T @ G
    inside = Vh @ (K - K.T) @ Vh.T / (sigma[:, None] + sigma)
    return Q @ Vh.T @ inside @ Vh


def _kronecker(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    Q, H, eye = U @ Vh, Vh.T @ torch.diag(sigma) @ Vh, torch.eye(len(W), dtype=W.dtype)
    K = Q.T @ G - G.T @ Q
    system = torch.kron(H, eye) + torch.kron(eye, H)
    Y: Tensor = torch.linalg.solve(system, K.reshape(-1)).reshape(K.shape)
    return Q @ Y


def _no_basis(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    K = (U @ Vh).T @ G
    return U @ Vh @ ((K - K.T) / (sigma[:, None] + sigma))


def _wrong_basis(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    K = (U @ Vh).T @ G
    return U @ Vh @ Vh @ (Vh.T @ (K - K.T) @ Vh / (sigma[:, None] + sigma)) @ Vh.T


def _half_k(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    inside = U.T @ G @ Vh.T / (sigma[:, None] + sigma)
    return U @ inside @ Vh


def _projected(W: Tensor, G: Tensor) -> Tensor:
    U, _, Vh = _svd(W)
    Q = U @ Vh
    return G - Q @ (Q.T @ G + G.T @ Q) / 2


def _twice_w(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    return U @ torch.diag(sigma) @ Vh @ (U @ Vh).T @ implicit_gradient(W, G)


def _one_sided(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    Q = U @ Vh
    K = Q.T @ G - G.T @ Q
    return Q @ Vh.T @ (Vh @ K @ Vh.T / (2 * sigma[:, None])) @ Vh


def _without_q(W: Tensor, G: Tensor) -> Tensor:
    U, _, Vh = _svd(W)
    return (U @ Vh).T @ implicit_gradient(W, G)


def _symmetric(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, Vh = _svd(W)
    Q, K = U @ Vh, (U @ Vh).T @ G
    inside = Vh @ (K + K.T) @ Vh.T / (sigma[:, None] + sigma)
    return Q @ Vh.T @ inside @ Vh


def _judge_implicit(answer: Any) -> None:
    one = torch.tensor([[1.2, 0.3], [-0.4, 0.8]]).double()
    compare_function(
        answer,
        implicit_gradient,
        inputs=[
            (one, torch.tensor([[0.0, 1.0], [0.0, 0.0]]).double()),
            (seeded(4, 4), seeded(4, 4, seed=1)),
        ],
        layouts=[(seeded(3, 3, seed=2).T, seeded(3, 3, seed=3).T)],
        mistakes=[
            (_without_q, "This is Y itself: which Y turns Q, and so dQ = ?"),
            (_symmetric, "Is Y symmetric or antisymmetric? Look at the sign between QᵀG and GᵀQ."),
            (lambda W, G: -implicit_gradient(W, G), "The sign is turned: is it QᵀG − GᵀQ?"),
            (lambda W, G: 2 * implicit_gradient(W, G), "Twice too much: is it H Y + Y H, once?"),
            (
                lambda W, G: implicit_gradient(W, G) / 2,
                "Half of it: divide by λᵢ + λⱼ, not by twice that?",
            ),
            (_one_sided, "HY + YH = K is not 2HY = K: do H and Y commute?"),
            (_no_basis, "Dividing by λᵢ + λⱼ solves it in one basis: in which one is your K?"),
            (_wrong_basis, "V or Vᵀ? Which of them takes a vector to its part along each vᵢ?"),
            (_half_k, "Only QᵀG is here: the right side of the equation has a second term."),
            (_projected, "Right only where W is orthonormal already: where are its λ?"),
            (_twice_w, "A factor H too many: is it Q Y or W Y?"),
            (lambda _W, G: G, "This is the gradient by Q: how does Q move with W?"),
            (
                When(lambda got, want, *_: torch.allclose(got, want.mT, atol=1e-6)),
                "The transpose of it: is it Q Y or Y Qᵀ?",
            ),
        ],
    )


def _by_eigh(W: Tensor, G: Tensor) -> Tensor:
    eigen: tuple[Tensor, Tensor] = torch.linalg.eigh(W.T @ W)
    lengths, V = eigen[0].sqrt(), eigen[1]
    Q = W @ V @ torch.diag(1 / lengths) @ V.T
    K = Q.T @ G - G.T @ Q
    return Q @ V @ (V.T @ K @ V / (lengths[:, None] + lengths)) @ V.T


EXERCISES = (
    Exercise(
        name="05.estimate",
        question="A start of power iteration that makes the scaled diag(1, 0.1) diverge.",
        difficulty=2,
        minutes=8,
        judge=_judge_estimate,
        solution=start(),
        right={
            "longer": [0.0, 5.0],
            "float32": torch.tensor([1e-4, -1.0]),
            "array": np.array([0.02, 1.0]),
        },
        wrong={
            "the top vector": ([1.0, 0.0], "step gives 1.000"),
            "both alike": ([1.0, 1.0], "step gives 0.995"),
            "almost": ([0.05, 1.0], "does not diverge"),
            "zero": ([0.0, 0.0], "other than 0"),
            "three entries": ([0.0, 1.0, 0.0], "(2,) is needed"),
        },
    ),
    Exercise(
        name="05.products",
        question="How many products with a vector does the recursion of k steps of order p make?",
        difficulty=1,
        minutes=5,
        judge=_judge_products,
        solution=products,
        right={
            "counted": lambda k, p: 1 + p * sum(2 * (2 * p + 1) ** j for j in range(k)),
            "float": lambda k, p: float((2 * p + 1) ** k),
            "torch": lambda k, p: torch.tensor(2 * p + 1) ** k,
        },
        wrong={
            "linear": (lambda k, p: (2 * p + 1) * k, "do their products add up"),
            "those of B": (lambda k, p: 2 * (2 * p + 1) ** k, "begins with a single one"),
            "order 1 only": (lambda k, _p: 3**k, "Right at order 1"),
            "p + 2": (lambda k, p: (p + 2) ** k, "B has degree 2 in W"),
            "p + 1": (lambda k, p: (p + 1) ** k, "the degree of f in B"),
            "one step too many": (lambda k, p: (2 * p + 1) ** (k + 1), "One step too many"),
            "nonsense": (lambda k, p: k + p, "what is the degree of A_k in W"),
            "a number": (243, "A function of k and p"),
        },
    ),
    Exercise(
        name="05.break-even",
        question="The first k at which the recursion multiplies more than the dense iteration.",
        difficulty=1,
        minutes=5,
        judge=_judge_break_even,
        solution=9,
        right={"float": 9.0, "array": np.array(9), "tensor": torch.tensor([9])},
        wrong={
            "the last gain": (8, "16 · 1000"),
            "Table 3's loss": (10, "is it the first"),
            "the paper's limit": (5, "2 k · 1000 products"),
            "without 2k": (7, "the same for every k"),
            "the power": (19683, "to the power we look for"),
            "other": (3, "not the number"),
            "all of them": ([9, 10], "this is a list"),
        },
    ),
    Exercise(
        name="05.three-terms",
        question="A function of W, v, [c₁, c₃, …] that computes c₁ T₁(W) v + c₃ T₃(W) v + …",
        difficulty=2,
        minutes=12,
        judge=_judge_series,
        solution=odd_series,
        right={
            "by the singular values": _by_svd,
            "float32": lambda W, v, c: odd_series(W.float(), v.float(), c),
            "a list of terms": lambda W, v, c: sum(
                odd_series(W, v, [0.0] * i + [one]) for i, one in enumerate(c)
            ),
        },
        wrong={
            "powers": (_powers, "T₃(x) = 4x³ − 3x"),
            "every degree": (_every_degree, "the even ones between"),
            "no 2": (_no_two, "where is the 2"),
            "plus": (_plus, "with which sign"),
            "only W": (_only_w, "every second W a Wᵀ"),
            "Wᵀ and W exchanged": (_turned, "does W or Wᵀ lead"),
            "the last": (_last, "Only the last term"),
            "the first": (lambda W, v, c: c[0] * (W @ v), "T₁ alone"),
            "a number": (1.0, "A function is needed"),
        },
    ),
    Exercise(
        name="05.best-line",
        question="The a for which σ ↦ a σ is nearest to 1 on [½, 1].",
        difficulty=2,
        minutes=6,
        judge=_judge_best_line,
        solution=4 / 3,
        right={"rounded": 1.33333, "float32": np.float32(4 / 3), "tensor": torch.tensor(4 / 3)},
        wrong={
            "identity": (1.0, "what happens if a grows"),
            "doubling": (2.0, "is an error of 1 the best"),
            "Björck": (1.5, "makes both ends err alike"),
            "the error": (1 / 3, "which a reaches it"),
            "inverse": (0.75, "Upside down"),
            "geometric": (math.sqrt(2), "are both errors equal"),
            "two digits": (1.33, "which fraction"),
            "a list": ([1.0, 1.3], "this is a list"),
        },
    ),
    Exercise(
        name="05.implicit",
        question="The gradient of ⟨G, Q⟩ by a square W, where Q is its polar factor.",
        difficulty=3,
        minutes=15,
        judge=_judge_implicit,
        solution=implicit_gradient,
        right={
            "one linear system": _kronecker,
            "float32": lambda W, G: implicit_gradient(W.float(), G.float()),
            "by eigh": lambda W, G: _by_eigh(W, G),
        },
        wrong={
            "Y alone": (_without_q, "This is Y itself"),
            "symmetric": (_symmetric, "antisymmetric"),
            "sign": (lambda W, G: -implicit_gradient(W, G), "The sign is turned"),
            "twice": (lambda W, G: 2 * implicit_gradient(W, G), "Twice too much"),
            "half": (lambda W, G: implicit_gradient(W, G) / 2, "Half of it"),
            "one side": (_one_sided, "do H and Y commute"),
            "no basis": (_no_basis, "in which one is your K"),
            "V for Vᵀ": (_wrong_basis, "V or Vᵀ"),
            "half of K": (_half_k, "a second term"),
            "the projection": (_projected, "orthonormal already"),
            "W Y": (_twice_w, "A factor H too many"),
            "G": (lambda _W, G: G, "how does Q move"),
            "a number": (lambda W, G: (G * W).sum(), "has shape ()"),
            "transposed": (lambda W, G: implicit_gradient(W, G).T, "Y Qᵀ"),
        },
    ),
)
