"""15.bound and 15.block: residual blocks in a row, and one that keeps the constant 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, compare_number, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import MaxMin, Residual, Scale

# --- 15.bound: four blocks whose bodies have the constant ½.

BOUND = 81 / 16


# --- 15.block


class Body(nn.Module):
    """A 1-Lipschitz function that a hint can name."""

    def __init__(self, said: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.said, self.function = said, function

    def forward(self, x: Tensor) -> Tensor:
        """Return the function's value."""
        return self.function(x)

    def __repr__(self) -> str:
        return self.said


BODIES = (
    Body("x -> x", lambda x: x + 0.0),
    Body("x -> -x", lambda x: -x),
    Body("x -> 1 - |x|", lambda x: 1 - x.abs()),
    Body("MaxMin()", MaxMin()),
    Body("x -> max(x, 0.5)", lambda x: x.clamp(min=0.5)),
)
CALLS = [(body, 2 * seeded(2, 4, seed=k)) for k, body in enumerate(BODIES)]


def block(body: nn.Module) -> nn.Module:
    """The mean of x and body(x)."""
    return nn.Sequential(Residual(body), Scale(0.5))


@dataclass(frozen=True)
class _Built:
    """What a student's block makes of x."""

    build: Callable[..., Any]

    def __call__(self, body: nn.Module, x: Tensor) -> Any:
        built = self.build(body)
        if built is not None and built is not Ellipsis and not callable(built):
            text = f"my_block returns {a_kind(built)}: a block is asked for, which is called with x"
            raise Hint("type", f"{text} later. What takes x?")
        return built if built is None or built is Ellipsis else built(x)


def _mean(body: nn.Module, x: Tensor) -> Tensor:
    mean: Tensor = (x + body(x)) / 2
    return mean


def _judge_block(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, nn.Module) or not callable(answer):
        text = f"A function of a body is needed, and this is {a_kind(answer)}"
        raise Hint("type", f"{text}: what makes a block of any body?")
    known = [Mistake(m.label, _Built(m.answer), m.hint, m.when) for m in mistakes]
    compare_function(_Built(answer), _mean, CALLS, mistakes=known)


def _another_mean(got: Tensor, _want: Tensor, body: nn.Module, x: Tensor) -> bool | None:
    """Whether it is (1 − t) x + t body(x) for some t in [0, 1]; for x -> x nobody can tell."""
    way = body(x) - x
    if not bool(way.any()):
        return None
    t = float(((got - x) * way).sum() / way.square().sum())
    return 0 <= t <= 1 and bool(torch.allclose(got, x + t * way))


def _sum_in_place(body: nn.Module, x: Tensor) -> Tensor:
    x += body(x)
    x /= 2
    return x


Joined = Callable[[nn.Module, Tensor], Any]


def _of(join: Joined) -> Callable[[nn.Module], Any]:
    """A block that joins x and body(x) so."""
    return lambda body: partial(join, body)


EXERCISES = (
    Exercise(
        name="15.bound",
        judge=partial(
            compare_number,
            value=BOUND,
            decimals=2,
            otherwise="What is the bound of one block, and what becomes of bounds in a row?",
        ),
        solution=BOUND,
        right={"a fraction": Fraction(81, 16), "two decimals": 5.06, "a power": 1.5**4},
        mistakes={
            "one block": (1.5, "This is one block: what do four of them in a row do?"),
            "two blocks": (2.25, "These are two blocks: how many are there?"),
            "three blocks": (3.375, "These are three blocks: how many are there?"),
            "five blocks": (1.5**5, "These are five blocks: how many are there?"),
            "no shortcut": (
                1 / 16,
                "This is the product of the bodies alone: what does each shortcut add?",
            ),
            "bodies of norm 1": (16, "This is 2⁴, for bodies of norm 1: and for ½?"),
            "added": (6, "The four bounds are added here: what do maps in a row do to bounds?"),
            "bodies added": (
                3,
                "This is 1 + 4 · ½, as if each body began at the input: what does the second one "
                "receive?",
            ),
            "only bodies added": (2, "This is 4 · ½: where is the shortcut, and is it a sum?"),
            "without the straight path": (
                BOUND - 1,
                "One path is missing, the one that takes the shortcut in all four: is it a map, "
                "too?",
            ),
            "means": (
                0.75**4,
                "This is the bound if each block is the mean of its two parts: is it halved here?",
            ),
            "the shortcuts alone": (
                1,
                "So it is if no body did anything: can a body not push the same way?",
            ),
            "halved at the end": (
                BOUND / 2,
                "Half of it: does a factor ½ stand behind the four, or within each body?",
            ),
            "roots": (
                1.25**2,
                "This is as if x and its body were at right angles, 1 + ¼ under a root: must "
                "they be?",
            ),
            "rounded": (5, "Nearly: which number is it exactly, or to two decimals?"),
        },
        wrong={
            "four bounds": ([1.5] * 4, "A number is needed"),
            "infinite": (float("inf"), "Infinite"),
        },
    ),
    Exercise(
        name="15.block",
        judge=_judge_block,
        solution=block,
        right={
            "a function": lambda body: lambda x: (x + body(x)) / 2,
            "halves": lambda body: lambda x: 0.5 * x + 0.5 * body(x),
            "lerp": lambda body: lambda x: torch.lerp(x, body(x), 0.5),
            "halves as modules": lambda body: Residual(nn.Sequential(body, Scale(0.5)), Scale(0.5)),
        },
        mistakes={
            "a plain sum": (
                Residual,
                "This is the plain sum: for the body x -> x it is 2 x. Which factor brings that "
                "back to x?",
            ),
            "the body halved": (
                lambda body: Residual(nn.Sequential(body, Scale(0.5))),
                "Only the body is halved, and 1 + ½ is above 1: what of the shortcut?",
            ),
            "the shortcut halved": (
                lambda body: Residual(body, Scale(0.5)),
                "Only the shortcut is halved, and ½ + 1 is above 1: what of the body?",
            ),
            "a quarter": (
                lambda body: nn.Sequential(Residual(body), Scale(0.25)),
                "This is a quarter of the sum, of constant ½ at most: which factor is the "
                "largest one?",
            ),
            "√½": (
                lambda body: nn.Sequential(Residual(body), Scale(0.5**0.5)),
                "√½ is enough where x and body(x) move at right angles: and for the body x -> x?",
            ),
            "the difference": (
                _of(lambda body, x: (x - body(x)) / 2),
                "The body is taken away: its constant is right, and what is to be added?",
            ),
            "the body alone": (
                lambda body: body,
                "This is the body alone: where is the shortcut?",
            ),
            "the shortcut alone": (
                _of(lambda _body, x: x + 0.0),
                "This is x alone: where is the body?",
            ),
            "half the body": (
                _of(lambda body, x: body(x) / 2),
                "This is half of the body, with no shortcut: which other half is missing?",
            ),
            "halved before": (
                lambda body: nn.Sequential(Scale(0.5), Residual(body)),
                "x is halved before the body sees it, and a body may have a bias: behind what "
                "does the factor stand?",
            ),
            "the body of the half": (
                _of(lambda body, x: x + body(x / 2)),
                "The body receives half of x: on which side of the body does the factor stand, "
                "and whose is it?",
            ),
            "two bodies": (
                _of(lambda body, x: (body(x) + body(body(x))) / 2),
                "The body stands in both parts: what does the shortcut leave as it is?",
            ),
            "body of the sum": (
                _of(lambda body, x: body((x + body(x)) / 2)),
                "The body runs once more behind the mean: how often does it stand in a block?",
            ),
            "unequal parts": (
                _of(lambda body, x: 0.9 * x + 0.1 * body(x)),
                "A mean, and 1-Lipschitz, but of unequal parts: which one factor stands behind a "
                "plain sum?",
                _another_mean,
            ),
            "a product": (
                _of(lambda body, x: x * body(x)),
                "x and body(x) are multiplied: has a product a constant at all?",
            ),
            "the larger": (
                _of(lambda body, x: torch.maximum(x, body(x))),
                "This takes the larger of the two at each place: is that their sum?",
            ),
        },
        wrong={
            "side by side": (
                _of(lambda body, x: torch.cat([x, body(x)], -1) / 2**0.5),
                "(2, 8)",
            ),
            "in place": (_of(_sum_in_place), "changes its input"),
            "one call": (lambda body, x: (x + body(x)) / 2, "missing 1 required"),
            "a number": (lambda _body: 0.5, "my_block returns a float"),
            "applied already": (lambda body: body(torch.zeros(4)), "my_block returns a Tensor"),
            "a block": (Residual(nn.Identity()), "this is a Residual"),
            "by the lengths": (
                _of(lambda body, x: (x + body(x)) / (1 + body(x).norm() / x.norm())),
                "is right.",
            ),
        },
    ),
)
