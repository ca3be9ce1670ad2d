"""The exercise of lesson 05 on HZ + ZH = K, by division in the basis of eigenvectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import close, seeded
from lipteach.classroom.compare_functions import compare_function


def solve(K: Tensor, sums: Tensor, Vh: Tensor) -> Tensor:
    """The Y of HY + YH = K, where H has the rows of Vh as eigenvectors."""
    return Vh.T @ (Vh @ K @ Vh.T / sums) @ Vh


def kronecker(H: Tensor, K: Tensor) -> Tensor:
    """The solution of one linear system for all entries."""
    eye = torch.eye(len(H), dtype=H.dtype)
    system = torch.kron(H, eye) + torch.kron(eye, H)
    solved: Tensor = torch.linalg.solve(system, K.flatten()).reshape(K.shape)
    return solved


def _eigen(H: Tensor) -> tuple[Tensor, Tensor]:
    """The sums λᵢ + λⱼ of the eigenvalues of H, and its eigenvectors as rows."""
    found: tuple[Tensor, Tensor] = torch.linalg.eigh(H)
    return found[0][:, None] + found[0], found[1].T


def solution(H: Tensor, K: Tensor) -> Tensor:
    """The Z with HZ + ZH = K for a symmetric H of positive eigenvalues."""
    sums, Vh = _eigen(H)
    return solve(K, sums, Vh)


def _divided(by: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The same with another divisor, made of the eigenvalues."""

    def solved(H: Tensor, K: Tensor) -> Tensor:
        sums, Vh = _eigen(H)
        return solve(K, by(sums.diagonal() / 2), Vh)

    return solved


def _in_basis(combine: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The same with another way into the basis of eigenvectors, or out of it."""
    return lambda H, K: combine(K, *_eigen(H))


def _listed(H: Tensor, K: Tensor) -> list[list[float]]:
    """Entry by entry in the basis, and as a list."""
    eigenvalues, V = np.linalg.eigh(H.numpy())
    turned = V.T @ K.numpy() @ V
    for i, one in enumerate(eigenvalues):
        for j, other in enumerate(eigenvalues):
            turned[i, j] /= one + other
    back: list[list[float]] = (V @ turned @ V.T).tolist()
    return back


def _in_line(got: Tensor, other: Tensor) -> bool:
    """Whether one is a multiple of the other."""
    factor = (got * other).sum() / other.square().sum()
    return close(got, factor * other)


def _of_another_order(H: Tensor, K: Tensor) -> Tensor:
    sums, Vh = _eigen(H)
    return solve(K, sums.flip(0, 1), Vh)


def _is_difference(got: Tensor, _want: Tensor, H: Tensor, K: Tensor) -> bool:
    """Whether HZ − ZH has the entries of K beside the diagonal, in the basis of H."""
    sums, Vh = _eigen(H)
    eigenvalues, turned, Z = sums.diagonal() / 2, Vh @ K @ Vh.T, Vh @ got @ Vh.T
    beside = ~torch.eye(len(H), dtype=torch.bool)
    made = (eigenvalues[:, None] - eigenvalues) * Z
    return bool(torch.isclose(made, turned)[beside].all()) or not bool(got.isfinite().all())


def _positive(n: int, seed: int) -> Tensor:
    A = seeded(n, n, seed=seed)
    return A @ A.T / n + 0.3 * torch.eye(n).double()


def _conditioned(number: float) -> Tensor:
    """A symmetric H with the eigenvalues 1, 0.1 and 1/number, where a few steps solve nothing."""
    Q = torch.linalg.qr(seeded(3, 3, seed=10)).Q
    conditioned: Tensor = Q * torch.tensor([1.0, 0.1, 1 / number]).double() @ Q.T
    return (conditioned + conditioned.T) / 2


def by_descent(steps: int) -> Callable[[Tensor, Tensor], Tensor]:
    """So many steps of gradient descent on ‖HZ + ZH − K‖, from 0."""

    def solved(H: Tensor, K: Tensor) -> Tensor:
        Z, rate = torch.zeros_like(K), 0.5 / torch.linalg.matrix_norm(H, 2)
        for _ in range(steps):
            Z = Z - rate * (H @ Z + Z @ H - K)
        return Z

    return solved


def _small_where_the_sums_are(got: Tensor, want: Tensor, H: Tensor, _K: Tensor) -> bool:
    """Whether the entries in the basis of H are parts of the right ones that grow with λᵢ + λⱼ."""
    sums, Vh = _eigen(H)
    part = (Vh @ got @ Vh.T / (Vh @ want @ Vh.T)).flatten()[sums.flatten().argsort()]
    inside = bool((part > -1e-6).all()) and bool((part < 1 + 1e-6).all())
    return inside and bool((part.diff() > -1e-3).all()) and bool(part[0] < part[-1])


_PAIRS = [
    (
        torch.diag(torch.tensor([1.0, 3.0])).double(),
        torch.tensor([[2.0, 8.0], [4.0, 6.0]]).double(),
    ),
    (
        torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double(),
        torch.tensor([[0.0, 1.0], [3.0, 0.0]]).double(),
    ),
    (_positive(4, 5), seeded(4, 4, seed=6)),
    (_conditioned(1e3), seeded(3, 3, seed=9)),
]

SYLVESTER = Exercise(
    name="05.sylvester",
    judge=partial(
        compare_function,
        reference=solution,
        inputs=_PAIRS,
        layouts=[(_positive(3, 7), seeded(3, 3, seed=8).T)],
    ),
    solution=solution,
    right={"one linear system": kronecker, "a list": _listed},
    mistakes={
        "product": (
            _divided(lambda e: e[:, None] * e),
            "λᵢ λⱼ belongs to H Z H: which number has H Z + Z H at the place i, j?",
        ),
        "difference": (
            _divided(lambda e: e[:, None] - e + 1e-9 * torch.eye(len(e)).to(e)),
            "λᵢ − λⱼ belongs to H Z − Z H: which sign stands in the equation?",
            _is_difference,
        ),
        "squares": (
            _divided(lambda e: e[:, None] ** 2 + e**2),
            "λᵢ² + λⱼ² belongs to H² Z + Z H²: which powers of H are there?",
        ),
        "the square of the sum": (
            _divided(lambda e: (e[:, None] + e) ** 2),
            "It is divided by λᵢ + λⱼ twice: how often does the equation multiply by it?",
        ),
        "the root of the sum": (
            _divided(lambda e: (e[:, None] + e) ** 0.5),
            "The root of λᵢ + λⱼ is no eigenvalue of Z ↦ H Z + Z H: which is?",
        ),
        "roots": (
            _divided(lambda e: e[:, None] ** 0.5 + e**0.5),
            "Roots of the λ belong to the root of H: is H here what Wᵀ W was?",
        ),
        "multiplied": (
            _divided(lambda e: 1 / (e[:, None] + e)),
            "It is multiplied by λᵢ + λⱼ, as H K + K H does: that makes K of Z. And Z of K?",
        ),
        "λ of the row": (
            _divided(lambda e: e[:, None].expand(len(e), len(e))),
            "Only λ of the row divides, which solves H Z = K: and Z H?",
        ),
        "λ of the column": (
            _divided(lambda e: e.expand(len(e), len(e))),
            "Only λ of the column divides, which solves Z H = K: and H Z?",
        ),
        "twice λ of the row": (
            _divided(lambda e: 2 * e[:, None].expand(len(e), len(e))),
            "2 H Z = K is solved here: do H and Z commute?",
        ),
        "twice λ of the column": (
            _divided(lambda e: 2 * e.expand(len(e), len(e))),
            "2 Z H = K is solved here: do H and Z commute?",
        ),
        "the larger": (
            _divided(lambda e: torch.maximum(e[:, None], e)),
            "The larger of λᵢ and λⱼ alone: do H Z and Z H not add up?",
        ),
        "no basis": (
            _in_basis(lambda K, sums, _Vh: K / sums),
            "Dividing by λᵢ + λⱼ solves it in one basis only: in which one is your K?",
        ),
        "no way back": (
            _in_basis(lambda K, sums, Vh: Vh @ K @ Vh.T / sums),
            "This is Z in the basis of the eigenvectors: how does it come back?",
        ),
        "no way in": (
            _in_basis(lambda K, sums, Vh: Vh.T @ (K / sums) @ Vh),
            "K is divided as it came, and only then turned: in which basis does the division hold?",
        ),
        "one side": (
            _in_basis(lambda K, sums, Vh: Vh.T @ (Vh @ K / sums)),
            "K is turned from one side only: how does the matrix of a map change with the basis?",
        ),
        "the other side": (
            _in_basis(lambda K, sums, Vh: (K @ Vh.T / sums) @ Vh),
            "K is turned from the right only: what stands on its left in the new basis?",
        ),
        "V for Vᵀ": (
            _in_basis(lambda K, sums, Vh: solve(K, sums, Vh.T)),
            "V or Vᵀ? eigh has the eigenvectors in the columns of V: which of both takes a "
            "vector to its parts along them?",
        ),
        "diagonal": (
            lambda H, K: K / (H.diagonal()[:, None] + H.diagonal()),
            "These are the diagonal entries of H, not its eigenvalues: when are they the same?",
        ),
        "entries": (
            lambda H, K: K / (2 * H),
            "K is divided by H entry by entry: which product is H Z?",
            lambda got, _, H, K: (
                torch.allclose(got, K / (2 * H)) or torch.allclose(got, K / (H + H.T))
            ),
        ),
        "two inverses": (
            lambda H, K: (torch.linalg.solve(H, K) + K @ torch.linalg.inv(H)) / 4,
            "H⁻¹K and K H⁻¹ belong to two other equations, H Z = K and Z H = K: is H Z + Z H equal "
            "to K if they are put together?",
            lambda got, _, H, K: _in_line(got, torch.linalg.solve(H, K) + K @ torch.linalg.inv(H)),
        ),
        "a number for H": (
            lambda H, K: K / torch.trace(H),
            "This is a multiple of K, as if H were a number: which Z_ij does each K_ij make?",
            lambda got, _, _H, K: _in_line(got, K),
        ),
        "the antisymmetric half": (
            lambda H, K: solution(H, (K - K.T) / 2),
            "Only the antisymmetric half of K is used: is K given as antisymmetric?",
        ),
        "the symmetric half": (
            lambda H, K: solution(H, K + K.T),
            "Only the symmetric half of K is used: is K given as symmetric?",
            lambda got, _, H, K: _in_line(got, solution(H, K + K.T)),
        ),
        "another order": (
            lambda H, K: _of_another_order(H, K),
            "The eigenvalues stand in another order than the eigenvectors: which functions "
            "returned them?",
        ),
        "turned": (
            lambda H, K: solution(H, K.T),
            "This is Zᵀ, the solution for Kᵀ: where are rows and columns exchanged?",
        ),
        "some steps": (
            by_descent(200),
            "Where λᵢ + λⱼ is small, this Z is too small: is it an iteration that stops too early, "
            "or a divisor with something added?",
            _small_where_the_sums_are,
        ),
        "antisymmetric": (
            lambda H, K: solution(H, K - K.T),
            "This is the solution for K − Kᵀ, as the gradient needs it: which K is given?",
        ),
    },
    wrong={
        "a number": (lambda H, K: (H * K).sum(), "has shape ()"),
        "a matrix": (torch.eye(2), "A function is needed"),
    },
)
