"""The exercises of lesson 05."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    compare_number,
    fault,
    need_number,
    need_tensor,
    recogniser,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import watch
from lipteach.primitives import power_iteration

# --- 05.estimate


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
    if 1 / estimate < math.sqrt(5) + 1e-9:
        raise Hint(
            "constraint",
            f"W/σ̂ has norm {1 / estimate:.2f}, outside the basin of 1: but it does not diverge "
            "below √5. Can the estimate be smaller?",
        )


# --- 05.products

_ORDERS = ((1, 1), (1, 2), (2, 1), (3, 1), (5, 1), (2, 2), (3, 3), (0, 2))


def products(k: int, p: int) -> int:
    """The products with a vector that the recursion makes for k steps of order p."""
    return int((2 * p + 1) ** k)


def _judge_products(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if not callable(answer):
        raise Hint("type", "A function of k and p is needed.")
    got = [need_number(call(answer, k, p)) for k, p in _ORDERS]
    for (k, p), number in zip(_ORDERS, got, strict=True):
        if number != products(k, p):
            said = f"For k = {k} and p = {p} you have {number:g}, and {products(k, p)} is right"
            same = recogniser(lambda mistake: got == [mistake(k, p) for k, p in _ORDERS])
            hint = fault("value", f"{said}: what is the degree of A_k in W?", mistakes, same)
            raise hint.at(k, p)


# --- 05.three-terms


def _recurrence(
    W: Tensor, v: Tensor, c: list[float], back: Tensor, ahead: Tensor, two: int = 2, sign: int = -1
) -> Tensor:
    """c₁ T₁(W) v + c₃ T₃(W) v + … if `back` is Wᵀ and `ahead` is W."""
    even, odd = v, W @ v
    result = c[0] * odd
    for coefficient in c[1:]:
        even = two * back @ odd + sign * even
        odd = two * ahead @ even + sign * odd
        result = result + coefficient * odd
    return result


def odd_series(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """c₁ T₁(W) v + c₃ T₃(W) v + … by products with vectors."""
    return _recurrence(W, v, c, W.T, W)


def _by_svd(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    angle = torch.arccos(sigma.clamp(max=1))
    values = sum(one * torch.cos((2 * i + 1) * angle) for i, one in enumerate(c))
    result: Tensor = U @ (values * (Vh @ v))
    return result


def _emptied(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """The same by `torch.einsum`, with coefficients that are used up."""
    even, odd = v, torch.einsum("ij,j->i", W, v)
    result = c.pop(0) * odd
    while c:
        even = 2 * torch.einsum("ij,i->j", W, odd) - even
        odd = 2 * torch.einsum("ij,j->i", W, even) - odd
        result = result + c.pop(0) * odd
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


def _contraction(m: int, n: int, seed: int = 0) -> Tensor:
    W = seeded(m, n, seed=seed)
    norm: Tensor = torch.linalg.matrix_norm(W, 2)
    return 0.9 * W / norm


def _judge_three_terms(answer: Any, inputs: Any, layouts: Any, mistakes: Any) -> None:
    compare_function(answer, odd_series, inputs, layouts=layouts, mistakes=mistakes)
    for arguments in [*inputs, *layouts]:
        with watch() as seen:
            call(answer, *arguments)
        if seen.decomposition:
            text = f"Right, but your code calls {seen.decomposition}"
            ask = "how does the recurrence get by with products?"
            raise Hint("constraint", f"{text}: {ask}", arguments)
        if seen.matrix_products:
            text = f"Right, but for {len(arguments[2])} coefficients your code makes "
            text += f"{seen.matrix_products} products of two matrices"
            ask = "which two vectors are enough to keep?"
            raise Hint("constraint", f"{text}: {ask}", arguments)


_C = [-0.75, -0.5, 0.25, 2.0]
_SQUARE = _contraction(3, 3)


# --- 05.implicit


def _parts(W: Tensor, G: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of W = QH: Q, QᵀG, the sums λᵢ + λⱼ of eigenvalues of H, and its eigenvectors as rows."""
    U, sigma, Vh = torch.linalg.svd(W)
    return U @ Vh, (U @ Vh).T @ G, sigma[:, None] + sigma, Vh


def _solve(K: Tensor, sums: Tensor, Vh: Tensor) -> Tensor:
    """The Y of HY + YH = K, where H has the rows of Vh as eigenvectors."""
    return Vh.T @ (Vh @ K @ Vh.T / sums) @ Vh


def implicit_gradient(W: Tensor, G: Tensor) -> Tensor:
    """The gradient of ⟨G, Q(W)⟩ for a square W of full rank and its polar factor Q."""
    Q, K, sums, Vh = _parts(W, G)
    return Q @ _solve(K - K.T, sums, Vh)


def _of_parts(combine: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of W and G by what it does to their parts."""
    return lambda W, G: combine(*_parts(W, G))


def _kronecker(W: Tensor, G: Tensor) -> Tensor:
    U, _, Vh = torch.linalg.svd(W)
    Q = U @ Vh
    H, K, eye = Q.T @ W, Q.T @ G - G.T @ Q, torch.eye(len(W), dtype=W.dtype)
    system = torch.kron(H, eye) + torch.kron(eye, H)
    gradient: Tensor = Q @ torch.linalg.solve(system, K.flatten()).reshape(K.shape)
    return gradient


def _by_eigh(W: Tensor, G: Tensor) -> Tensor:
    eigen: tuple[Tensor, Tensor] = torch.linalg.eigh(W.T @ W)
    lengths, V = eigen[0].sqrt(), eigen[1]
    Q = W @ V @ torch.diag(1 / lengths) @ V.T
    K = Q.T @ G - G.T @ Q
    return Q @ V @ (V.T @ K @ V / (lengths[:, None] + lengths)) @ V.T


EXERCISES = (
    Exercise(
        name="05.estimate",
        judge=_judge_estimate,
        solution=torch.tensor([0.001, 1.0], dtype=torch.float64),
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
        judge=_judge_products,
        solution=products,
        right={
            "counted": lambda k, p: 1 + p * sum(2 * (2 * p + 1) ** j for j in range(k)),
            "float": lambda k, p: float((2 * p + 1) ** k),
            "torch": lambda k, p: torch.tensor(2 * p + 1) ** k,
        },
        mistakes={
            "linear": (
                lambda k, p: (2 * p + 1) * k,
                "Each step calls the one before: do their products add up?",
            ),
            "those of B": (
                lambda k, p: 2 * (2 * p + 1) ** k,
                "This counts the products of B_k: "
                "how many has A_k, which begins with a single one?",
            ),
            "order 1 only": (
                lambda k, _p: 3**k,
                "Right at order 1; at order p a step multiplies B by f(B) twice.",
            ),
            "p + 2": (
                lambda k, p: (p + 2) ** k,
                "Is the degree of a step p + 2? f has degree p in B, and B has degree 2 in W.",
            ),
            "p + 1": (
                lambda k, p: (p + 1) ** k,
                "This counts B as one product: but B = WᵀW, and which degree has B in W?",
            ),
            "powers of p": (
                lambda k, p: p**k,
                "This counts the degree of f in B alone: which degree in W have B, and f(B) W?",
            ),
            "without A": (
                lambda k, p: (2 * p) ** k,
                "f(B) has degree 2p in W: and f(B) A, of which A is the W of the first step?",
            ),
            "one W too many": (
                lambda k, p: (2 * p + 2) ** k,
                "f(B) has degree 2p in W, and A brings one more: where is the other from?",
            ),
            "one W too few": (
                lambda k, p: (2 * p - 1) ** k,
                "A is multiplied by f(B), not divided: is it 2p − 1 or 2p + 1?",
            ),
            "the degree of B": (
                lambda k, p: (4 * p + 1) ** k,
                "f stands in B's step twice, and in A's step how often?",
            ),
            "base and exponent": (
                lambda k, p: k ** (2 * p + 1),
                "Base and exponent are exchanged: which of them grows with every step?",
            ),
            "k and p": (
                lambda k, p: (2 * k + 1) ** p,
                "k and p are exchanged: which of them counts the steps?",
            ),
            "added up": (
                lambda k, p: 2 * p * k + 1,
                "The degrees are added, 2p for each step: what happens to degrees if one "
                "polynomial is put into another?",
            ),
            "precedence": (
                lambda k, p: 2 * p + 1**k,
                "Python reads 2 * p + 1 ** k as 2p + (1ᵏ): where do the brackets belong?",
            ),
            "order 1, p times": (
                lambda k, p: 3 ** (k * p),
                "Is a step of order p worth p steps of order 1? Its degree is 2p + 1, not 3ᵖ.",
            ),
            "one step too few": (
                lambda k, p: (2 * p + 1) ** (k - 1),
                "One step too few: A_0 v = W v is one product, and after one step?",
            ),
            "one step too many": (
                lambda k, p: (2 * p + 1) ** (k + 1),
                "One step too many: how many products has A_0 v = W v?",
            ),
        },
        wrong={
            "nonsense": (lambda k, p: k + p, "what is the degree of A_k in W"),
            "a number": (243, "A function of k and p"),
        },
    ),
    Exercise(
        name="05.break-even",
        judge=partial(
            compare_number,
            value=9,
            otherwise="At k = 6 it is 3⁶ = 729 against 2 · 6 · 1000 = 12000: and from which k on "
            "is it more?",
        ),
        solution=9,
        right={"float": 9.0, "array": np.array(9), "tensor": torch.tensor([9])},
        mistakes={
            "the last gain": (
                8,
                "At k = 8 the recursion makes 6561 products, the dense iteration 16 · 1000.",
            ),
            "Table 3's loss": (10, "It is true of k = 10, but is it the first?"),
            "the paper's limit": (
                5,
                "Is the batch of one vector, and the dense side 2 k · 1000 products?",
            ),
            "without 2k": (
                7,
                "Does the dense iteration cost the same for every k? It makes 2 k products.",
            ),
            "the power": (19683, "This is 3 to the power we look for."),
        },
        wrong={"other": (3, "not the number"), "all of them": ([9, 10], "this is a list")},
    ),
    Exercise(
        name="05.three-terms",
        judge=partial(
            _judge_three_terms,
            inputs=[
                (torch.tensor([[0.5]]).double(), torch.ones(1).double(), [1.0]),
                (torch.tensor([[0.5]]).double(), torch.ones(1).double(), _C),
                (_SQUARE, seeded(3, seed=4), _C),
                (_SQUARE, seeded(3, seed=5), [0.3]),
                (_SQUARE, seeded(3, seed=6), [0.5, -2.0]),
            ],
            layouts=[
                (_contraction(5, 3, 1), seeded(3), _C),
                (_contraction(2, 4, 2), seeded(4), _C),
            ],
        ),
        solution=odd_series,
        right={
            "columns": lambda W, v, c: odd_series(W, v[:, None], c)[:, 0],
            "emptied": _emptied,
            "a list of terms": lambda W, v, c: sum(
                odd_series(W, v, [0.0] * i + [one]) for i, one in enumerate(c)
            ),
        },
        mistakes={
            "powers": (
                _powers,
                "These are the powers W, W Wᵀ W, …: what is T₃(x) = 4x³ − 3x made of?",
            ),
            "every degree": (
                _every_degree,
                "c belongs to T₁, T₃, T₅: what became of the even ones between?",
            ),
            "no 2": (
                lambda W, v, c: _recurrence(W, v, c, W.T, W, two=1),
                "T_{j+1}(x) = 2 x T_j(x) − T_{j−1}(x): where is the 2?",
            ),
            "plus": (
                lambda W, v, c: _recurrence(W, v, c, W.T, W, sign=1),
                "T₂(x) = 2x² − 1: with which sign does the term before come in?",
            ),
            "only W": (
                lambda W, v, c: _recurrence(W, v, c, W, W),
                "W W v is no polynomial of the singular values: is every second W a Wᵀ?",
            ),
            "Wᵀ and W exchanged": (
                lambda W, v, c: _recurrence(W, v, c, W, W.T),
                "T₂(W) v lies among the inputs: does W or Wᵀ lead from T₁(W) v to there?",
            ),
            "backwards": (
                lambda W, v, c: odd_series(W, v, c[::-1]),
                "The coefficients are read backwards: which of them belongs to T₁?",
            ),
            "the first is 1": (
                lambda W, v, c: odd_series(W, v, [1.0, *c[1:]]),
                "T₁ is there once, without its coefficient: what stands first in c?",
            ),
            "shifted": (
                lambda W, v, c: odd_series(W, v, c[1:]) if len(c) > 1 else 0 * W @ v,
                "Every coefficient has moved by one place: to which T does c[0] belong?",
            ),
            "one term short": (
                lambda W, v, c: odd_series(W, v, c[:-1]) if len(c) > 1 else 0 * W @ v,
                "The last coefficient is not used: how often does the loop run?",
            ),
            "up to the second": (
                lambda W, v, c: odd_series(W, v, c[:2]),
                "This stops after T₃: which terms does the rest of c belong to?",
            ),
            "a unit v": (
                lambda W, v, c: odd_series(W, v / v.norm(), c),
                "v was made a unit vector: is the series linear in v?",
            ),
            "W alone": (
                lambda W, v, c: sum(c) * (W @ v),
                "W v takes every coefficient here: what are T₃(W) v and those that follow?",
            ),
            "the last": (
                lambda W, v, c: odd_series(W, v, [0.0] * (len(c) - 1) + c[-1:]),
                "Only the last term is here: what is added to what?",
            ),
            "the first": (lambda W, v, c: c[0] * (W @ v), "This is T₁ alone: what follows?"),
        },
        wrong={
            "a number": (1.0, "A function is needed"),
            "by the singular values": (_by_svd, "calls linalg_svd"),
            "matrices": (
                lambda W, v, c: _recurrence(W, torch.eye(len(v)).to(v), c, W.T, W) @ v,
                "products of two matrices",
            ),
        },
    ),
    Exercise(
        name="05.best-line",
        judge=partial(
            compare_number,
            value=4 / 3,
            tol=1e-4,
            otherwise="With a = 1.2 the errors are 0.4 at σ = ½ and 0.2 at σ = 1: which a makes "
            "the larger one least?",
        ),
        solution=4 / 3,
        right={"rounded": 1.33333, "tensor": torch.tensor(4 / 3)},
        mistakes={
            "identity": (1, "With a = 1 the error is ½, at σ = ½ alone: what happens if a grows?"),
            "doubling": (2, "Now σ = ½ goes to 1 and σ = 1 to 2: is an error of 1 the best?"),
            "Björck": (1.5, "This is Björck's slope at 0. Which a makes both ends err alike?"),
            "the error": (1 / 3, "This is the error that is reached: which a reaches it?"),
            "inverse": (0.75, "Upside down: does a < 1 bring σ = ½ nearer to 1?"),
            "geometric": (
                math.sqrt(2),
                "The product of both ends is then 1, but are both errors equal?",
            ),
            "two digits": (
                1.33,
                "Very near: which fraction is it exactly?",
                lambda got: abs(got - 4 / 3) < 0.01,
            ),
        },
        wrong={"a list": ([1.0, 1.3], "this is a list")},
    ),
    Exercise(
        name="05.implicit",
        judge=partial(
            compare_function,
            reference=implicit_gradient,
            inputs=[
                (
                    torch.tensor([[1.2, 0.3], [-0.4, 0.8]]).double(),
                    torch.tensor([[0.0, 1.0], [0.0, 0.0]]).double(),
                ),
                (seeded(4, 4), seeded(4, 4, seed=1)),
            ],
            layouts=[(seeded(3, 3, seed=2).T, seeded(3, 3, seed=3).T)],
        ),
        solution=implicit_gradient,
        right={"one linear system": _kronecker, "by eigh": _by_eigh},
        mistakes={
            "Y alone": (
                _of_parts(lambda _Q, K, sums, Vh: _solve(K - K.T, sums, Vh)),
                "This is Y itself: which Y turns Q, and so dQ = ?",
            ),
            "symmetric": (
                _of_parts(lambda Q, K, sums, Vh: Q @ _solve(K + K.T, sums, Vh)),
                "Is Y symmetric or antisymmetric? Look at the sign between QᵀG and GᵀQ.",
            ),
            "sign": (lambda W, G: -implicit_gradient(W, G), "The sign is turned: is it QᵀG − GᵀQ?"),
            "twice": (
                lambda W, G: 2 * implicit_gradient(W, G),
                "Twice too much: is it H Y + Y H, once?",
            ),
            "half": (
                lambda W, G: implicit_gradient(W, G) / 2,
                "Half of it: divide by λᵢ + λⱼ, not by twice that?",
            ),
            "one side": (
                _of_parts(lambda Q, K, sums, Vh: Q @ _solve(K - K.T, sums.diagonal()[:, None], Vh)),
                "HY + YH = K is not 2HY = K: do H and Y commute?",
            ),
            "no basis": (
                _of_parts(lambda Q, K, sums, _Vh: Q @ ((K - K.T) / sums)),
                "Dividing by λᵢ + λⱼ solves it in one basis: in which one is your K?",
            ),
            "V for Vᵀ": (
                _of_parts(lambda Q, K, sums, Vh: Q @ _solve(K - K.T, sums, Vh.T)),
                "V or Vᵀ? Which of them takes a vector to its part along each vᵢ?",
            ),
            "half of K": (
                _of_parts(lambda Q, K, sums, Vh: Q @ _solve(K, sums, Vh)),
                "Only QᵀG is here: the right side of the equation has a second term.",
            ),
            "the projection": (
                _of_parts(lambda Q, K, *_: Q @ (K - K.T) / 2),
                "Right only where W is orthonormal already: where are its λ?",
            ),
            "W Y": (
                lambda W, G: W @ _parts(W, G)[0].T @ implicit_gradient(W, G),
                "A factor H too many: is it Q Y or W Y?",
            ),
            "Q": (
                lambda W, _G: _parts(W, W)[0],
                "This is Q itself: how does ⟨G, Q⟩ change with W?",
            ),
            "not divided": (
                lambda W, G: G - _parts(W, G)[0] @ G.T @ _parts(W, G)[0],
                "This is Q K: which equation turns K into Y?",
            ),
            "squared": (
                _of_parts(
                    lambda Q, K, sums, Vh: (
                        Q
                        @ _solve(
                            K - K.T,
                            (sums.diagonal()[:, None] ** 2 + sums.diagonal() ** 2) / 4,
                            Vh,
                        )
                    )
                ),
                "λᵢ² + λⱼ² are the eigenvalues of WᵀW: which matrix stands in H Y + Y H?",
            ),
            "G for W": (
                lambda W, G: implicit_gradient(W.T, G),
                "This is the gradient at Wᵀ: of which matrix is Q the factor?",
            ),
            "G turned": (
                lambda W, G: implicit_gradient(W, G.T),
                "This is the gradient for Gᵀ: which of QᵀG and GᵀQ is subtracted?",
            ),
            "G": (lambda _W, G: G, "This is the gradient by Q: how does Q move with W?"),
            "transposed": (
                lambda W, G: implicit_gradient(W, G).T,
                "The transpose of it: is it Q Y or Y Qᵀ?",
            ),
        },
        wrong={"a number": (lambda W, G: (G * W).sum(), "has shape ()")},
    ),
)
