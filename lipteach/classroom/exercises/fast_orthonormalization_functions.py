"""The exercises of lesson 05 that are functions: a series by products, an implicit gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, seeded
from lipteach.classroom.compare_functions import compare_function


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


EXERCISES = (
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


def _by_eigh(W: Tensor, G: Tensor) -> Tensor:
    eigen: tuple[Tensor, Tensor] = torch.linalg.eigh(W.T @ W)
    lengths, V = eigen[0].sqrt(), eigen[1]
    Q = W @ V @ torch.diag(1 / lengths) @ V.T
    K = Q.T @ G - G.T @ Q
    return Q @ V @ (V.T @ K @ V / (lengths[:, None] + lengths)) @ V.T
