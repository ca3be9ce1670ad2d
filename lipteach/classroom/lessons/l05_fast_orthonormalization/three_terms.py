"""The exercise of lesson 05 on a series of Chebyshev polynomials, by products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import call, close, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import watch


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


def _by_rows_of_gram(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """W Wᵀ made row by row, and then kept."""
    gram, odd = torch.stack([W @ row for row in W]), W @ v
    before, result = odd, 0 * odd
    for one in c:
        result = result + one * odd
        before, odd = odd, 4 * gram @ odd - 2 * odd - before
    return result


def _of_another_recurrence(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """The step from an odd T to the next one, 2 T₂ T_j − T_{j−2}, with T₂ = 2x²."""
    before, odd = 0 * W @ v, W @ v
    result = 0 * odd
    for one in c:
        result = result + one * odd
        before, odd = odd, 4 * W @ (W.T @ odd) - before
    return result


def _of_the_other_gram(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """The same with T₂ = 2x² − 1 of WᵀW, for a square W."""
    before, odd = W @ v, W @ v
    result = 0 * odd
    for one in c:
        result = result + one * odd
        other = W.T @ (W @ odd) if len(W) == len(v) else W @ (W.T @ odd)
        before, odd = odd, 4 * other - 2 * odd - before
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


def _by_numpy(W: Tensor, v: Tensor, c: list[float]) -> Any:
    matrix, even, odd = W.numpy(), np.eye(len(v)), W.numpy()
    result = c[0] * odd
    with np.errstate(all="ignore"):
        for coefficient in c[1:]:
            even = 2 * matrix.T @ odd - even
            odd = 2 * matrix @ even - odd
            result = result + coefficient * odd
        return result @ v.numpy()


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


def _loop(
    W: Tensor,
    v: Tensor,
    c: list[float],
    step: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    add: Callable[[int, float, Tensor], Tensor] = lambda _i, one, odd: one * odd,
) -> Tensor:
    """The loop of a student with another step, or with another term that is added."""
    even, odd = v, W @ v
    result = c[0] * odd
    for i, one in enumerate(c[1:]):
        even, odd = step(W, even, odd)
        result = result + add(i, one, odd)
    return result


def _varied(step: Callable[..., tuple[Tensor, Tensor]], *add: Any) -> Callable[..., Tensor]:
    return lambda W, v, c: _loop(W, v, c, step, *add)


def _next(W: Tensor, even: Tensor, odd: Tensor, *factors: float) -> tuple[Tensor, Tensor]:
    """One step; the factors are those of WᵀT, of the even, of W T and of the odd term."""
    a, b, c, d = factors or (2, -1, 2, -1)
    even = a * W.T @ odd + b * even
    return even, c * W @ even + d * odd


def _with_factors(*factors: float) -> Callable[..., Tensor]:
    return _varied(lambda W, even, odd: _next(W, even, odd, *factors))


def _at_once(W: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    return 2 * W.T @ odd - even, 2 * W @ even - odd


def _own_term(W: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    """For a square W."""
    even = 2 * W.T @ odd - odd
    return even, 2 * W @ even - even


def _of_entries(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    angle = torch.arccos(W.clamp(-1, 1))
    terms = [one * torch.cos((2 * i + 1) * angle) @ v for i, one in enumerate(c)]
    return torch.stack(terms).sum(0)


def _thirds(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """T₃ of T₃ of …, as if that were T₅."""
    return _varied(lambda W, even, odd: (even, 4 * W @ (W.T @ odd) - 3 * odd))(W, v, c)


def _added_early(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """Steps first, and adds then: c₁ gets T₃."""
    return odd_series(W, v, [0.0, *c])


def _first_twice(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    return odd_series(W, v, c) + c[0] * (W @ v)


def _running(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    result = c[0] * (W @ v)
    for i, one in enumerate(c[1:]):
        result = (result + odd_series(W, v, [0.0] * (i + 1) + [1.0])) * one
    return result


def _other_first(v: Tensor, factor: float) -> Callable[..., tuple[Tensor, Tensor]]:
    """The step, which takes a multiple of v for T₀ v."""
    return lambda W, even, odd: _next(W, factor * even if even is v else even, odd)


def _varied_start(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """Each even term subtracts v, and not the even term before."""
    return _loop(W, v, c, lambda W, _even, odd: _next(W, v, odd))


def _even(W: Tensor, v: Tensor, i: int) -> Tensor:
    """T₂ᵢ(W) v."""
    even, odd = v, W @ v
    for _ in range(i):
        even, odd = _next(W, even, odd)
    return even


def _even_terms(W: Tensor, v: Tensor, c: list[float]) -> Tensor:
    """T₀, T₂, T₄, … for a square W."""
    even, odd = v, W @ v
    result = c[0] * even
    for one in c[1:]:
        even, odd = _next(W, even, odd)
        result = result + one * even
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

    coarse = getattr(call(answer, *inputs[0]), "dtype", None) == torch.float32
    for matrix, size in (("T_j(W)", 1e30), ("W Wᵀ", 1e200))[: 1 if coarse else 2]:
        large = _with_entry(size)
        if not close(need_tensor(call(answer, *large)), odd_series(*large), 1e-4):
            text = f"Right, but here an entry of {matrix} is too large for a float, and none of "
            text += "T_j(W) v: is a matrix formed where vectors are enough?"
            raise Hint("constraint", text, large)


def _with_entry(size: float) -> tuple[Tensor, Tensor, list[float]]:
    """A matrix of which v leaves the large entry alone.

    What is made of W alone overflows, in numpy and row by row, too, which `watch` cannot count.
    """
    W = torch.diag(torch.tensor([size, 0.5], dtype=torch.float64))
    return W, torch.tensor([0.0, 1.0]).double(), [1.0] * 8


_C = [-0.75, -0.5, 0.25, 2.0]
_SQUARE = _contraction(3, 3)


THREE_TERMS = Exercise(
    name="05.three-terms",
    judge=partial(
        _judge_three_terms,
        inputs=[
            (torch.tensor([[0.5]]).double(), torch.ones(1).double(), [1.0]),
            (torch.tensor([[0.5]]).double(), torch.ones(1).double(), _C),
            (_SQUARE, seeded(3, seed=4), _C),
            (_SQUARE, seeded(3, seed=5), [0.3]),
            (_SQUARE, seeded(3, seed=7), [0.5, -0.2, 0.1, 1.0, -0.7, 0.4, -1.0, 0.6]),
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
        "the loop ends early": (
            lambda W, v, c: odd_series(W, v, c[:-1] or c),
            "Your loop leaves the last coefficient out: where does it end?",
        ),
        "the loop begins late": (
            lambda W, v, c: odd_series(W, v, c[1:] or c),
            "c₃ stands before T₁, c₅ before T₃: which coefficient does the loop begin with?",
        ),
        "at once": (
            _varied(_at_once),
            "Both new terms are made of the old ones: T₃ needs T₂, which is new already. Which "
            "of the two comes first?",
        ),
        "the wrong one before": (
            _varied(_own_term),
            "Subtracted is the last term, and not the one before it: which one has the same "
            "parity as the new one?",
        ),
        "the 2 of the odd step": (
            _with_factors(2, -1, 1, -1),
            "The 2 is there in the step to the even term: and in the one to the odd?",
        ),
        "the 2 of the even step": (
            _with_factors(1, -1, 2, -1),
            "The 2 is there in the step to the odd term: and in the one to the even?",
        ),
        "the sign of the odd step": (
            _with_factors(2, -1, 2, 1),
            "T₃(x) = 2x T₂(x) − T₁(x): with which sign comes the odd term before in?",
        ),
        "the sign of the even step": (
            _with_factors(2, 1, 2, -1),
            "T₂(x) = 2x T₁(x) − T₀(x): with which sign comes the even term before in?",
        ),
        "another factor": (
            _with_factors(4, -1, 4, -1),
            "T₂(x) = 2x T₁(x) − T₀(x): which factor stands before W?",
        ),
        "a factor of 3": (
            _with_factors(3, -1, 3, -1),
            "The recurrence has the factor 2 at every step: which one has yours?",
        ),
        "two steps for one": (
            _varied(lambda W, even, odd: _next(W, *_next(W, even, odd))),
            "T₅ comes after T₁, and T₃ is passed over: how many steps does the loop make for one "
            "coefficient?",
        ),
        "minus T₀": (
            lambda W, v, c: _loop(W, v, c, _other_first(v, -1)),
            "It begins with −v: what is T₀(x)?",
        ),
        "a mean": (
            lambda W, v, c: odd_series(W, v, c) / len(c),
            "The sum is divided by the number of terms: is a mean asked for?",
        ),
        "W of norm 1": (
            lambda W, v, c: odd_series(W / torch.linalg.matrix_norm(W), v, c),
            "W is divided by its norm: of which matrix is the series asked for?",
        ),
        "v added": (
            lambda W, v, c: odd_series(W, v, c) + v,
            "v itself is added, T₀ with the coefficient 1: which terms has the series?",
        ),
        "running sums of c": (
            lambda W, v, c: odd_series(W, v, torch.tensor(c).cumsum(0).tolist()),
            "Each term has the sum of the coefficients so far: which one belongs to it?",
        ),
        "nothing before": (
            _with_factors(2, 0, 2, 0),
            "Nothing is subtracted: what stands behind 2 x T_j(x) in the recurrence?",
        ),
        "nothing before the even": (
            _with_factors(2, 0, 2, -1),
            "In the step to the even term nothing is subtracted: which T stands there?",
        ),
        "nothing before the odd": (
            _with_factors(2, -1, 2, 0),
            "In the step to the odd term nothing is subtracted: which T stands there?",
        ),
        "T₀ is 0": (
            lambda W, v, c: _loop(W, v, c, _other_first(v, 0)),
            "It begins with the even term 0: what is T₀(x), and so T₀ v?",
        ),
        "a product for a term": (
            lambda W, v, c: (
                c[0] * (W @ v) + sum(one * W @ _even(W, v, i + 1) for i, one in enumerate(c[1:]))
            ),
            "W times the even term is added: which step makes T_{j+1} of it?",
        ),
        "T₃ again and again": (
            _thirds,
            "4 W Wᵀ T − 3 T is T₃ of the term before: is T₃(T₃) equal to T₅, of degree 9?",
        ),
        "a step too early": (
            _added_early,
            "The step is made before the term is added: which coefficient does W v get?",
        ),
        "the first twice": (
            _first_twice,
            "c₁ T₁ is there twice: before the loop and in it?",
        ),
        "even terms": (
            _even_terms,
            "These are T₀, T₂, T₄, …: which of the two vectors is added to the result?",
        ),
        "without c": (
            lambda W, v, c: odd_series(W, v, [1.0] * len(c)),
            "All terms are added with the factor 1: where do the coefficients come in?",
        ),
        "the last term": (
            lambda W, v, c: odd_series(W, v, [0.0] * (len(c) - 1) + [1.0]),
            "This is the last T alone, without coefficients: what is added up?",
        ),
        "the first without c": (
            lambda W, v, c: odd_series(W, v, [c[0], *[1.0] * (len(c) - 1)]),
            "Only the first term has its coefficient: and those in the loop?",
        ),
        "signs in turn": (
            lambda W, v, c: odd_series(W, v, [(-1) ** i * one for i, one in enumerate(c)]),
            "Every second term has the other sign: which T comes out as −T?",
        ),
        "times its number": (
            _varied(_next, lambda i, one, odd: (i + 1) * one * odd),
            "Each term is multiplied by its number, too: is the index in the sum?",
        ),
        "half the first": (
            lambda W, v, c: odd_series(W, v, [c[0] / 2, *c[1:]]),
            "The first coefficient is halved, as it is with T₀ in other series: is it here?",
        ),
        "sum times coefficient": (
            _running,
            "The sum so far is multiplied by the next coefficient: which brackets are there?",
        ),
        "without the last but one": (
            lambda W, v, c: odd_series(W, v, [*c[:-2], 0.0, c[-1]] if len(c) > 1 else c),
            "The last but one coefficient gets lost: which ones does your loop read?",
        ),
        "of the entries": (
            _of_entries,
            "T is applied to each entry of W: T₃(W) = 4 W Wᵀ W − 3 W has products of matrices. "
            "Which?",
        ),
        "the sizes of c": (
            lambda W, v, c: odd_series(W, v, [abs(one) for one in c]),
            "The coefficients have lost their signs: where?",
        ),
        "v stays": (
            _varied_start,
            "Each even term subtracts v, T₀ v: which even term comes before T₄?",
        ),
        "some terms at most": (
            lambda W, v, c: odd_series(W, v, c[:3]),
            "This stops after a fixed number of terms: which do the rest of c belong to?",
            lambda got, _, W, v, c: any(close(got, odd_series(W, v, c[:k])) for k in range(3, 8)),
        ),
        "T₂ without −1": (
            _of_another_recurrence,
            "The step multiplies by 2 T₂ = 4x²: what else stands in T₂(x)?",
        ),
        "WᵀW for W Wᵀ": (
            _of_the_other_gram,
            "WᵀW takes a vector of inputs, and T_j(W) v lies among the outputs: which product of W "
            "and Wᵀ leads from outputs to outputs?",
        ),
        "squared coefficients": (
            lambda W, v, c: odd_series(W, v, [one**2 for one in c]),
            "Each coefficient is there twice, as a factor: where is it multiplied again?",
        ),
    },
    wrong={
        "a number": (1.0, "A function is needed"),
        "by the singular values": (_by_svd, "calls linalg_svd"),
        "matrices in numpy": (_by_numpy, "an entry of T_j(W)"),
        "W Wᵀ by rows": (_by_rows_of_gram, "an entry of W Wᵀ"),
        "matrices": (
            lambda W, v, c: _recurrence(W, torch.eye(len(v)).to(v), c, W.T, W) @ v,
            "products of two matrices",
        ),
    },
)
