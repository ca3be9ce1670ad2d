"""The exercise of lesson 05 on the gradient of the polar factor, by one linear equation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import NEARLY, call, close, nearly, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l05_fast_orthonormalization.sylvester import (
    by_descent,
    kronecker,
    solve,
)
from lipteach.classroom.watch import watch


def _parts(W: Tensor, G: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of W = QH: Q, QᵀG, the sums λᵢ + λⱼ of eigenvalues of H, and its eigenvectors as rows."""
    U, sigma, Vh = torch.linalg.svd(W)
    return U @ Vh, (U @ Vh).T @ G, sigma[:, None] + sigma, Vh


def implicit_gradient(W: Tensor, G: Tensor) -> Tensor:
    """The gradient of ⟨G, Q(W)⟩ for a square W of full rank and its polar factor Q."""
    Q, K, sums, Vh = _parts(W, G)
    return Q @ solve(K - K.T, sums, Vh)


def _judge_implicit(answer: Any, inputs: Any, layouts: Any, mistakes: Any) -> None:
    """The gradient, by the equation: without autograd and without difference quotients."""
    arguments, known = inputs[-1], None
    try:
        compare_function(answer, implicit_gradient, inputs, layouts=layouts, mistakes=mistakes)
    except Hint as hint:
        if NEARLY not in hint.text:
            raise
        known = hint
    with watch() as seen:
        call(answer, *arguments)
    ask = "which one linear equation gives the gradient?"
    if seen.derivatives:
        raise Hint("constraint", f"Right, but autograd took a derivative: {ask}", arguments)
    if len(seen.decompositions) > 2 * len(arguments[0]):
        text = f"{len(seen.decompositions)} matrices were decomposed, for difference quotients"
        raise Hint("constraint", f"Near, but {text}: {ask}", arguments)
    W, G = arguments
    small = (1e-9 * W, G)
    if not close(need_tensor(call(answer, *small)) / 1e9, implicit_gradient(W, G), 1e-3):
        text = (
            f"{'Near' if known else 'Right'}, but not for 10⁻⁹ W, where the gradient is 10⁹ times "
        )
        text += "as large: is it a difference quotient, or is a constant added?"
        raise Hint("constraint", text, small)
    if known:
        raise known


def _of_solved(solved: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The gradient with another solution of HZ + ZH = K."""

    def gradient(W: Tensor, G: Tensor) -> Tensor:
        Q, K, sums, Vh = _parts(W, G)
        return Q @ solved(Vh.T @ (sums.diagonal() / 2 * Vh.T).T, K - K.T)

    return gradient


_LEFT, _RIGHT = (torch.linalg.qr(seeded(3, 3, seed=seed)).Q for seed in (5, 6))
_NEARLY_SINGULAR = _LEFT * torch.tensor([1.0, 0.02, 0.01]).double() @ _RIGHT


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


def _orthonormal(got: Tensor, _want: Tensor, W: Tensor, _G: Tensor) -> bool:
    return close(got @ got.T, torch.eye(len(W)).to(W)) and not close(got, _parts(W, W)[0])


def _turns(got: Tensor, _want: Tensor, W: Tensor, _G: Tensor) -> bool:
    """Whether a result is Q times an antisymmetric matrix."""
    Y = _parts(W, W)[0].T @ got
    return close(Y, -Y.T)


def _differences(sums: Tensor) -> Tensor:
    """λᵢ − λⱼ, and a little on the diagonal, where K is 0."""
    eigenvalues = sums.diagonal() / 2
    return eigenvalues[:, None] - eigenvalues + 1e-9 * torch.eye(len(sums)).to(sums)


def _roots(sums: Tensor) -> Tensor:
    roots = (sums.diagonal() / 2).sqrt()
    return roots[:, None] + roots


def _larger(sums: Tensor) -> Tensor:
    eigenvalues = sums.diagonal() / 2
    return torch.maximum(eigenvalues[:, None], eigenvalues)


def _v_mistaken(W: Tensor, G: Tensor) -> Tensor:
    U, sigma, V = torch.linalg.svd(W)
    Q = U @ V.T
    K = Q.T @ G - G.T @ Q
    gradient: Tensor = Q @ solve(K, sigma[:, None] + sigma, V.T)
    return gradient


def _products(sums: Tensor) -> Tensor:
    eigenvalues = sums.diagonal() / 2
    return eigenvalues[:, None] * eigenvalues


def _with_left_vectors(W: Tensor, G: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _, K, sums, _ = _parts(W, G)
    return K - K.T, sums, torch.linalg.svd(W).U.T


def _with_factor(W: Tensor, G: Tensor, Q: Tensor) -> Tensor:
    """The gradient with another matrix for the polar factor."""
    _, _, sums, Vh = _parts(W, G)
    return Q @ solve(Q.T @ G - G.T @ Q, sums, Vh)


def _w_for_h(W: Tensor, G: Tensor) -> Tensor:
    Q, K, _, _ = _parts(W, G)
    return Q @ kronecker(W, K - K.T)


def _by_autograd(W: Tensor, G: Tensor) -> Tensor:
    W = W.clone().requires_grad_()
    U, _, Vh = torch.linalg.svd(W)
    gradient: Tensor = torch.autograd.grad((G * (U @ Vh)).sum(), W)[0]
    return gradient


def _by_quotients(W: Tensor, G: Tensor) -> Tensor:
    def value(moved: Tensor) -> Tensor:
        U, _, Vh = torch.linalg.svd(moved)
        total: Tensor = (G * (U @ Vh)).sum()
        return total

    step = 1e-6 * torch.eye(W.numel()).to(W).reshape(-1, *W.shape)
    quotients = [(value(W + E) - value(W - E)) / 2e-6 for E in step]
    return torch.stack(quotients).reshape(W.shape)


def _by_eigh(W: Tensor, G: Tensor) -> Tensor:
    eigen: tuple[Tensor, Tensor] = torch.linalg.eigh(W.T @ W)
    lengths, V = eigen[0].sqrt(), eigen[1]
    Q = W @ V @ torch.diag(1 / lengths) @ V.T
    K = Q.T @ G - G.T @ Q
    return Q @ V @ (V.T @ K @ V / (lengths[:, None] + lengths)) @ V.T


IMPLICIT = Exercise(
    name="05.implicit",
    judge=partial(
        _judge_implicit,
        inputs=[
            (
                torch.tensor([[1.2, 0.3], [-0.4, 0.8]]).double(),
                torch.tensor([[0.0, 1.0], [0.0, 0.0]]).double(),
            ),
            (_NEARLY_SINGULAR, seeded(3, 3, seed=4)),
            (seeded(4, 4), seeded(4, 4, seed=1)),
        ],
        layouts=[(seeded(3, 3, seed=2).T, seeded(3, 3, seed=3).T)],
    ),
    solution=implicit_gradient,
    right={"one linear system": _kronecker, "by eigh": _by_eigh},
    mistakes={
        "some steps of descent": (
            _of_solved(by_descent(200)),
            "Where σᵢ + σⱼ is small, this is too small: is the equation solved by steps that stop "
            "too early?",
            lambda got, _, W, G: any(
                close(got, _of_solved(by_descent(steps))(W, G)) for steps in (50, 100, 200)
            ),
        ),
        "Y alone": (
            _of_parts(lambda _Q, K, sums, Vh: solve(K - K.T, sums, Vh)),
            "This is Y itself: which Y turns Q, and so dQ = ?",
        ),
        "symmetric": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K + K.T, sums, Vh)),
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
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums.diagonal()[:, None], Vh)),
            "HY + YH = K is not 2HY = K: do H and Y commute?",
        ),
        "no basis": (
            _of_parts(lambda Q, K, sums, _Vh: Q @ ((K - K.T) / sums)),
            "Dividing by λᵢ + λⱼ solves it in one basis: in which one is your K?",
        ),
        "V for Vᵀ": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums, Vh.T)),
            "V or Vᵀ? Which of them takes a vector to its part along each vᵢ?",
        ),
        "half of K": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K, sums, Vh)),
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
                    @ solve(
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
        "product": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, _products(sums), Vh)),
            "λᵢ λⱼ belongs to H Y H: by which number does H Y + Y H multiply Y_ij?",
        ),
        "K": (
            _of_parts(lambda _Q, K, *_: K - K.T),
            "This is the right side alone: which Y solves the equation, and which gradient is it?",
        ),
        "the factor of G": (
            lambda _W, G: _parts(G + 1e-3 * torch.eye(len(G)).to(G), G)[0],
            "This is an orthonormal matrix: is a gradient one?",
            _orthonormal,
        ),
        "a long step": (
            lambda W, G: _parts(W + G, G)[0] - _parts(W, G)[0],
            "This is Q(W + G) − Q(W), a step of the whole length of G: what is its derivative?",
        ),
        "difference": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, _differences(sums), Vh)),
            "λᵢ − λⱼ belongs to H Y − Y H: which sign stands in the equation?",
        ),
        "root of the sum": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums.sqrt(), Vh)),
            "A root is taken of λᵢ + λⱼ: are the λ the singular values of W, or their squares?",
        ),
        "roots": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, _roots(sums), Vh)),
            "Roots of the singular values are added: are the λ of H not the singular values?",
        ),
        "the larger": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, _larger(sums), Vh)),
            "The larger of λᵢ and λⱼ divides: do H Y and Y H not add up?",
        ),
        "Vᵀ taken for V": (
            _v_mistaken,
            "torch.linalg.svd returns Vᵀ, not V: what are then Q, and the way into the basis?",
        ),
        "λ of the row": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums.diagonal()[:, None] / 2, Vh)),
            "Only λ of the row divides, which solves H Y = K: and Y H?",
        ),
        "the square of the sum": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums**2, Vh)),
            "It is divided by λᵢ + λⱼ twice: how often does the equation multiply by it?",
        ),
        "multiplied": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, 1 / sums, Vh)),
            "It is multiplied by λᵢ + λⱼ: that leads from Y to K. And back?",
        ),
        "no way back": (
            _of_parts(lambda Q, K, sums, Vh: Q @ (Vh @ (K - K.T) @ Vh.T / sums)),
            "Y is still in the basis of the eigenvectors, and Q is not: how does it come back?",
        ),
        "turned from one side": (
            _of_parts(lambda Q, K, sums, Vh: Q @ Vh.T @ (Vh @ (K - K.T) / sums)),
            "K is turned from one side only: how does a matrix change with the basis?",
        ),
        "U for V": (
            lambda W, G: _parts(W, G)[0] @ solve(*_with_left_vectors(W, G)),
            "The basis is that of U, the eigenvectors of W Wᵀ: whose are those of H?",
        ),
        "Vᵀ turned twice": (
            lambda W, G: _with_factor(W, G, torch.linalg.svd(W).U @ torch.linalg.svd(W).Vh.T),
            "Q is U Vᵀ, and torch.linalg.svd returns Vᵀ already: is it turned once more?",
        ),
        "by qr": (
            lambda W, G: _with_factor(W, G, torch.linalg.qr(W).Q),
            "This Q is the one of a QR decomposition: is R symmetric, as H is?",
        ),
        "W for H": (
            _w_for_h,
            "This solves W Y + Y W = K: which symmetric matrix stands in the equation?",
        ),
        "W for Q": (
            lambda W, G: _of_parts(lambda Q, _K, sums, Vh: Q @ solve(W.T @ G - G.T @ W, sums, Vh))(
                W, G
            ),
            "The right side is made with W: which of the two matrices stands in QᵀG − GᵀQ?",
        ),
        "without Q": (
            lambda W, G: _of_parts(lambda Q, _K, sums, Vh: Q @ solve(G - G.T, sums, Vh))(W, G),
            "The right side is G − Gᵀ: which matrix stands before G, and after Gᵀ?",
        ),
        "Q from the right": (
            lambda W, G: _of_parts(lambda Q, _K, sums, Vh: Q @ solve(G @ Q.T - Q @ G.T, sums, Vh))(
                W, G
            ),
            "The right side is G Qᵀ − Q Gᵀ: on which side of G does Qᵀ stand, and does the "
            "equation hold among rows or columns of W?",
        ),
        "Q G": (
            lambda W, G: _of_parts(lambda Q, _K, sums, Vh: Q @ solve(Q @ G - G @ Q, sums, Vh))(
                W, G
            ),
            "Q G − G Q has no transpose: with which matrix is the equation for dW multiplied?",
        ),
        "Y Q": (
            _of_parts(lambda Q, K, sums, Vh: solve(K - K.T, sums, Vh) @ Q),
            "This is Y Q: on which side of Q does Y stand in dQ?",
        ),
        "Qᵀ Y": (
            _of_parts(lambda Q, K, sums, Vh: Q.T @ solve(K - K.T, sums, Vh)),
            "This is Qᵀ Y: what is dQ, if Qᵀ dQ is Y?",
        ),
        "only Y H": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums.diagonal()[None] / 2, Vh)),
            "Y H = K is solved here: where is H Y?",
        ),
        "2 Y H": (
            _of_parts(lambda Q, K, sums, Vh: Q @ solve(K - K.T, sums.diagonal()[None], Vh)),
            "2 Y H = K is solved here: do H and Y commute?",
        ),
        "the projection at W": (
            lambda W, G: G - W @ G.T @ W,
            "G − W Gᵀ W is made with W: which orthonormal matrix would it need, and where is "
            "the equation?",
        ),
        "W alone": (
            lambda W, G: torch.linalg.solve(W, G),
            "W is inverted here as if Q were linear in it: how does Q move with W?",
        ),
        "nothing": (
            lambda W, _G: 0 * W,
            "All of it is 0: where does the antisymmetric part of QᵀG get lost?",
        ),
        "transposed": (
            lambda W, G: implicit_gradient(W, G).T,
            "The transpose of it: is it Q Y or Y Qᵀ?",
        ),
        "no turn": (
            lambda W, G: W + G,
            "Qᵀ times your gradient is not antisymmetric, and Y in Q Y is: which step loses that?",
            lambda got, want, W, G: not (_turns(got, want, W, G) or nearly(got, want, 0.003)),
        ),
        "another turn": (
            lambda W, G: torch.linalg.det(W) ** 2 * implicit_gradient(W, G),
            "Qᵀ times your gradient is antisymmetric, as Y must be, and H Y + Y H is not K: which "
            "H and K does your equation have, and is it solved?",
            lambda got, want, W, G: _turns(got, want, W, G) and not nearly(got, want, 0.003),
        ),
    },
    wrong={
        "a number": (lambda W, G: (G * W).sum(), "has shape ()"),
        "by autograd": (_by_autograd, "autograd took a derivative"),
        "one quotient": (
            lambda W, G: (_parts(W + 1e-6 * G, G)[0] - _parts(W, G)[0]) / 1e-6,
            "difference quotient, or is a constant",
        ),
        "by quotients": (_by_quotients, "for difference quotients"),
    },
)
