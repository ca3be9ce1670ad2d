"""The exercise of lesson 05 about the gradient without the steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import When, seeded
from lipteach.classroom.compare_functions import compare_function


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
