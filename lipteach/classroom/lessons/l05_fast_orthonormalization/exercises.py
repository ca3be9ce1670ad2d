"""The exercises of lesson 05."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    compare_number,
    fault,
    need_number,
    need_tensor,
    recogniser,
)
from lipteach.classroom.lessons.l05_fast_orthonormalization.implicit import IMPLICIT
from lipteach.classroom.lessons.l05_fast_orthonormalization.sylvester import SYLVESTER
from lipteach.classroom.lessons.l05_fast_orthonormalization.three_terms import THREE_TERMS
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
            by_order = dict(zip(_ORDERS, got, strict=True))
            same = recogniser(lambda one: got == [one(k, p) for k, p in _ORDERS], by_order)
            hint = fault("value", f"{said}: what is the degree of A_k in W?", mistakes, same)
            raise hint.at(k, p)


def _right(by_order: dict[tuple[int, int], float], place: int) -> bool:
    """Whether all numbers with k = 1 (place 0) or p = 1 (place 1) are right."""
    return all(n == products(*order) for order, n in by_order.items() if order[place] == 1)


# --- 05.best-line


def _judge_best_line(answer: Any, mistakes: Sequence[Mistake]) -> None:
    a = need_number(answer)
    low, high = abs(a / 2 - 1), abs(a - 1)
    worse = "worse" if low > high else "better"
    said = f"With it the errors are {low:.4g} at σ = ½ and {high:.4g} at σ = 1, "
    ask = f"so the lower end is {worse} than the upper: does a larger a help, or a smaller one?"
    compare_number(answer, 4 / 3, tol=1e-4, mistakes=mistakes, otherwise=said + ask)


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
            "added up, without A": (
                lambda k, p: 2 * p * k,
                "2 p products are added for each step: how often does a step call the one before?",
            ),
            "a square too many": (
                lambda k, p: (2 * p + 1) ** (2 * k),
                "This is the square of the number: does A_k v take B_k's products twice?",
            ),
            "all added": (
                lambda k, p: 2 * p + 1 + k,
                "2 p + 1 and k are added: what happens to degrees if one step is put into another?",
            ),
            "3 k p": (
                lambda k, p: 3 * k * p,
                "3 at order 1 is no 3 p at order p, and steps do not add up: what is the degree of "
                "one step, and of two?",
            ),
            "one more": (
                lambda k, p: (2 * p + 1) ** k + 1,
                "One product too many: k = 0 takes one, W v itself. What is counted besides?",
            ),
            "one less": (
                lambda k, p: (2 * p + 1) ** k - 1,
                "One product is left out: how many does W v take, at k = 0?",
            ),
            "p to the k": (
                lambda k, p: 2 * p**k + 1,
                "Only p is raised to the power k: the whole degree of a step is.",
            ),
            "1 added at the end": (
                lambda k, p: (2 * p) ** k + 1,
                "The 1 of A is added once, at the end: does it come in at every step?",
            ),
            "doubled": (
                lambda k, p: (2 * p + 1) * 2**k,
                "From step to step this doubles: by which factor does the degree grow?",
            ),
            "doubled, with p": (
                lambda k, p: p * 2**k + 1,
                "This doubles with each step: does a step of order p only double the degree?",
            ),
            "p times order 1": (
                lambda k, p: p * 3**k,
                "p times the number of order 1: is f(B) of degree p called p times, or does the "
                "degree of each step grow?",
            ),
            "p added to order 1": (
                lambda k, p: 3**k + p,
                "p is added once, to the number of order 1: does every step have order p?",
            ),
            "order 1, p + 1 times": (
                lambda k, p: (p + 1) * 3**k,
                "p enters once, and 3 is the degree at order 1: which has a step of order p?",
            ),
            "3 p": (
                lambda k, p: (3 * p) ** k,
                "3 p is the degree p + 2 p: where from? f(B) A has degree 2 p and one more.",
            ),
            "2^p + 1": (
                lambda k, p: (2**p + 1) ** k,
                "B^p has degree 2 p in W, not 2ᵖ: what is the degree of a step?",
            ),
            "p² + 1": (
                lambda k, p: (p**2 + 1) ** k,
                "B² is not meant: f has degree p in B, and B which degree in W?",
            ),
            "p (p + 1)": (
                lambda k, p: (p * (p + 1)) ** k,
                "p (p + 1) counts every power of B anew: what is the degree of the highest one?",
            ),
            "2 to the k p": (
                lambda k, p: 2 ** (k * p),
                "At k = p = 1 this is 2, and A_1 v has W three times: which one is left out?",
            ),
            "p to the 3 k": (
                lambda k, p: p ** (3 * k),
                "Base and exponent: which of them is the degree of one step, 2 p + 1?",
            ),
            "p to the 2 k + 1": (
                lambda k, p: p ** (2 * k + 1),
                "k and p have changed places: which of them counts the steps, one in another?",
            ),
            "k to the p": (
                lambda k, p: k**p,
                "Neither is the degree of a step: which number is raised to the power k?",
            ),
            "all steps": (
                lambda k, p: sum((2 * p + 1) ** j for j in range(k)),
                "These are the products of the steps before, added: does A_k v call them so often?",
            ),
            "all steps with the last": (
                lambda k, p: sum((2 * p + 1) ** j for j in range(k + 1)),
                "The numbers of all steps are added: but A_k v contains those before already.",
            ),
            "without the first": (
                lambda k, p: 2 * p * (2 * p + 1) ** (k - 1),
                "These are the products of f(B) alone in the last step: and those of A v?",
            ),
            "the dense iteration": (
                lambda k, p: k * (p + 1),
                "k (p + 1) products of two matrices make the dense iteration: here each is with a "
                "vector.",
            ),
            "exclusive or": (
                lambda k, p: (2 * p + 1) ^ k,
                "In Python ^ is the exclusive or of two integers: which sign is the power?",
            ),
            "a logarithm": (
                lambda k, p: k * math.log(2 * p + 1),
                "This is the logarithm of the number: where is it undone?",
            ),
            "a factor": (
                lambda k, p: (2 * p + 1) ** k / 3,
                "Your numbers are all the same multiple of the right ones: what is counted so "
                "often, or too seldom?",
                lambda got: len({round(n / products(*o), 9) for o, n in got.items()}) == 1,
            ),
            "without k": (
                lambda _k, p: 3 * p,
                "Your number is the same for every k: how many products does each step add?",
                lambda got: got[1, 1] == got[2, 1] == got[5, 1],
            ),
            "without p": (
                lambda k, _p: 2 * 3**k,
                "Your number is the same for every p: what does a higher order cost?",
                lambda got: got[1, 1] == got[1, 2] and got[2, 1] == got[2, 2],
            ),
            "right after one step": (
                lambda k, p: 2 * p + k,
                "Right for k = 1: what becomes of the degree if one step is put into the next?",
                lambda got: _right(got, 0),
            ),
            "right at order 1": (
                lambda k, p: 3**k + (p - 1) * k,
                "Right at order 1: which degree has a step of order 2, f(B) W with f of degree 2?",
                lambda got: _right(got, 1),
            ),
            "no whole numbers": (
                lambda k, p: (2 * p + 1) ** (k / 2),
                "Products are counted, and yours are not whole: where does a fraction or root come "
                "in?",
                lambda got: not all(float(n).is_integer() for n in got.values()),
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
            "Table 3's loss": (
                10,
                "It is true of k = 10, but is it the first?",
            ),
            "later": (
                12,
                "There it multiplies more often, too: at which k does it so for the first time?",
                lambda got: 10 < got < 60,
            ),
            "between two": (
                8.148,
                "There 3ᵏ = 2000 k, but steps are counted: which whole k comes next?",
                lambda got: 8 < got < 9 and got != 8.5,
            ),
            "a count": (
                6561,
                "This is a number of products: at which number of steps k does it stand?",
                lambda got: got >= 60 and abs(got - 19683) > 1,
            ),
            "dense products counted once": (
                1,
                "3 > 2 · 1, but a product of two matrices counts as 1000 with a vector.",
            ),
            "a large batch": (
                3,
                "At 256 vectors it is so; here it is a single one. What are 3³ and 2 · 3 · 1000?",
            ),
            "a batch": (
                4,
                "At 128 vectors it is so; here it is a single one. What are 3⁴ and 2 · 4 · 1000?",
            ),
            "no step": (
                0,
                "Without a step the recursion makes one product, and the dense iteration none: at "
                "which k ≥ 1 does it lose?",
            ),
            "below": (
                6,
                "3⁶ = 729, and the dense iteration costs 2 · 6 · 1000: which of them is more?",
                lambda got: 1.5 < got < 5 or 5 < got < 7,
            ),
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
        wrong={"a half": (8.5, "not the number"), "all of them": ([9, 10], "this is a list")},
    ),
    THREE_TERMS,
    Exercise(
        name="05.best-line",
        judge=_judge_best_line,
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
            "least squares": (
                9 / 7,
                "This makes the mean of the squared errors least: which error is asked for?",
                lambda got: abs(got - 9 / 7) < 2e-3,
            ),
            "least squares at the ends": (
                1.2,
                "This makes the sum of both squared errors least: 0.4 at one end and 0.2 at the "
                "other. Which a makes the larger of them least?",
            ),
            "zero": (0, "Everything goes to 0, and both errors are 1: which a makes both smaller?"),
            "negative": (
                -1,
                "With a negative a every σ becomes negative: how far is that from 1?",
                lambda got: got < 0 and abs(got + 4 / 3) > 1e-3,
            ),
            "two digits": (
                1.33,
                "Very near: which fraction is it exactly?",
                lambda got: abs(got - 4 / 3) < 0.01,
            ),
        },
        wrong={"a list": ([1.0, 1.3], "this is a list")},
    ),
    SYLVESTER,
    IMPLICIT,
)
