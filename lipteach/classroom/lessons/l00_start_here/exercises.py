"""The exercises of lesson 00."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lipteach.appendix import VERDICTS, find
from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_choice, seeded
from lipteach.classroom.compare_functions import compare_function

# --- 00.first-check


def _looped(a: Tensor, b: Tensor) -> Tensor:
    pairs = zip(a.flatten(), b.flatten(), strict=True)
    return torch.stack([x if x >= y else y for x, y in pairs]).reshape(a.shape)


EXERCISES = (
    Exercise(
        name="00.first-check",
        judge=partial(
            compare_function,
            reference=torch.maximum,
            inputs=[
                (torch.tensor([3.0, -1.0]).double(), torch.tensor([2.0, 5.0]).double()),
                (seeded(4), seeded(4, seed=1)),
            ],
            layouts=[(seeded(2, 3, 4), seeded(2, 3, 4, seed=1))],
            gradient=True,
        ),
        solution=torch.maximum,
        right={
            "where": lambda a, b: torch.where(a > b, a, b),
            "looped": _looped,
            "formula": lambda a, b: (a + b + (a - b).abs()) / 2,
        },
        mistakes={
            "minimum": (
                torch.minimum,
                "This is the smaller one: which way does your comparison point?",
            ),
            "one number": (
                lambda a, b: torch.maximum(a.max(), b.max()),
                "This is one number for the whole input: which pairs are we asked to compare?",
            ),
            "absolute values": (
                lambda a, b: torch.maximum(a.abs(), b.abs()),
                "The signs are gone: is -1 larger than 0?",
            ),
        },
        wrong={
            "detached": (lambda a, b: torch.maximum(a, b).detach(), "no gradient flows"),
            "first input": (lambda a, b: a + 0 * b, "is right"),
            "in place": (lambda a, b: a.copy_(torch.maximum(a, b)), "changes its input"),
            "list": (lambda a, b: [max(x, y) for x, y in zip(a, b, strict=True)], "torch.stack"),
        },
    ),
    Exercise(
        name="00.verdict",
        judge=partial(compare_choice, value=find("Theorem 2").verdict, choices=VERDICTS),
        solution=find("Theorem 2").verdict,
        right={"capitals": "Erratum", "blanks": " erratum "},
        mistakes={
            "correct": ("correct", "Its row names a counterexample: which row did you find?"),
            "under conditions": (
                "under conditions",
                "That is the verdict on Theorem 1: what does `find` say of Theorem 2?",
            ),
            "ambiguous": (
                "ambiguous",
                "The text can be read in one way only: is what it says true?",
            ),
        },
        wrong={"the row": (find("Theorem 2"), "The answer is one of")},
    ),
)
