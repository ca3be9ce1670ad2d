"""The exercises of lesson 00."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.appendix import VERDICTS, find
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import compare_choice, seeded
from lipteach.classroom.compare_functions import compare_function

# --- 00.first-check


def _looped(a: Tensor, b: Tensor) -> Tensor:
    pairs = zip(a.flatten(), b.flatten(), strict=True)
    return torch.stack([x if x >= y else y for x, y in pairs]).reshape(a.shape)


def _last_forgotten(a: Tensor, b: Tensor) -> Tensor:
    out = a.clone()
    for i in range(len(a) - 1):
        if b[i] > a[i]:
            out[i] = b[i]
    return out


def _is_one_input(got: Tensor, _want: Tensor, a: Tensor, b: Tensor) -> bool:
    return torch.equal(got, a) or torch.equal(got, b)


def _is_rounded(got: Tensor, want: Tensor, *_: Tensor) -> bool:
    return torch.equal(got, got.round()) and bool((got - want).abs().max() < 1)


def _other_mixture(got: Tensor, _want: Tensor, a: Tensor, b: Tensor) -> bool | None:
    """A sum of a, b and |a − b| with factors of its own; three entries always are one."""
    if len(a) < 4:
        return None
    parts = torch.stack([a, b, (a - b).abs()], dim=1)
    factors = torch.linalg.lstsq(parts, got[:, None]).solution
    return torch.allclose(parts @ factors, got[:, None], atol=1e-5)


def _largest_of_all(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], -1).topk(a.shape[-1]).values


# --- 00.verdict


def _judge_verdict(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, type(find("Theorem 2"))):
        text = "This is a whole row of the map: which of its attributes is the verdict?"
        raise Hint("type", text)
    compare_choice(answer, find("Theorem 2").verdict, VERDICTS, mistakes=mistakes)


EXERCISES = (
    Exercise(
        name="00.first-check",
        judge=partial(
            compare_function,
            reference=torch.maximum,
            inputs=[
                (torch.tensor([3.0, -1, -2]).double(), torch.tensor([2.0, 5, -4]).double()),
                (seeded(4), seeded(4, seed=1)),
            ],
            layouts=[(seeded(2, 3, 4), seeded(2, 3, 4, seed=1))],
            ties=[(torch.tensor([1.0, 2, -3]).double(), torch.tensor([1.0, 0, -3]).double())],
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
            "the sign taken afterwards": (
                lambda a, b: torch.maximum(a, b).abs(),
                "Each pair is compared rightly, and then a sign is lost: what is max(-2, -4)?",
            ),
            "by size": (
                lambda a, b: torch.where(a.abs() > b.abs(), a, b),
                "The sizes are compared, without their signs: which is larger, -4 or -2?",
            ),
            "minus the smaller": (
                lambda a, b: torch.maximum(-a, -b),
                "This is minus the smaller one: what does a minus do to the order?",
            ),
            "places": (
                lambda a, b: torch.stack([a, b]).argmax(0),
                "These are places, 0 for a and 1 for b: which values stand there?",
            ),
            "the comparison": (
                lambda a, b: a > b,
                "This is True or False for each pair: which value is to stand there?",
            ),
            "sum": (lambda a, b: a + b, "This is a + b: where are they compared?"),
            "mean": (
                lambda a, b: (a + b) / 2,
                "This is the mean of each pair, halfway between: how far is the larger from it?",
            ),
            "difference": (
                lambda a, b: a - b,
                "This is a - b: what does its sign tell, and which value follows from it?",
            ),
            "how much larger": (
                lambda a, b: torch.relu(a - b),
                "This is by how much a is larger than b: to what must it be added?",
            ),
            "product": (lambda a, b: a * b, "This is a * b: where are they compared?"),
            "not below 0": (
                lambda a, b: torch.maximum(a, b).relu(),
                "Where both are negative you return 0: which of -2 and -4 is larger?",
            ),
            "nothing for b": (
                lambda a, b: a * (a > b),
                "Where a is not larger there stands 0: what belongs there?",
            ),
            "nothing for a": (
                lambda a, b: b * (b > a),
                "Where b is not larger there stands 0: what belongs there?",
            ),
            "no ties": (
                lambda a, b: a * (a > b) + b * (b > a),
                "Where a and b are equal you return 0: which of your comparisons is true there?",
            ),
            "ties twice": (
                lambda a, b: a * (a >= b) + b * (b >= a),
                "Where a and b are equal they are added: how many of your comparisons are true?",
            ),
            "smooth": (
                torch.logaddexp,
                "This is log(exp a + exp b), which is above both: what is it for two equal ones?",
            ),
            "one input": (
                lambda a, _b: a.clone(),
                "You return one of the inputs as a whole: is each entry of it the larger one?",
                _is_one_input,
            ),
            "the last entry": (
                _last_forgotten,
                "The last entry is left as it was in a: how far does your loop go?",
                lambda got, want, a, _b: (
                    torch.equal(got[..., :-1], want[..., :-1]) and torch.equal(got[-1], a[-1])
                ),
            ),
            "another mixture": (
                lambda a, b: a + (a - b).abs(),
                "You add up a, b and |a - b|: how much of each makes the larger one?",
                _other_mixture,
            ),
            "rounded": (
                lambda a, b: torch.maximum(a, b).round(),
                "The decimals are gone: which step makes whole numbers of them?",
                _is_rounded,
            ),
            "largest of all": (
                _largest_of_all,
                "These are the largest of all entries of both: with which one is each compared?",
            ),
            "sorted first": (
                lambda a, b: torch.maximum(a.sort().values, b.sort().values),
                "Both were sorted before they were compared: does each entry still meet its own?",
            ),
            "signs": (
                lambda a, b: torch.sign(a - b),
                "This is the sign of a - b: which value does each sign choose?",
            ),
            "positive parts": (
                lambda a, b: a.relu() + b.relu(),
                "Two positive parts are added: which one number of a pair is to be kept?",
            ),
            "one for each input": (
                lambda a, b: torch.stack([a.max(), b.max()]),
                "These are the largest of a and the largest of b: what is compared with what?",
            ),
            "both of them": (
                lambda a, b: torch.stack([a, b], -1).sort(-1).values,
                "Two numbers for each pair are returned: which of them is asked for?",
                lambda got, want, *_: got.shape in ((*want.shape, 2), (2, *want.shape)),
            ),
        },
        wrong={
            "detached": (lambda a, b: torch.maximum(a, b).detach(), "no gradient flows"),
            "in place": (lambda a, b: a.copy_(torch.maximum(a, b)), "changes its input"),
            "list": (lambda a, b: [max(x, y) for x, y in zip(a, b, strict=True)], "torch.stack"),
        },
    ),
    Exercise(
        name="00.verdict",
        judge=_judge_verdict,
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
        wrong={
            "the row": (find("Theorem 2"), "a whole row"),
            "another word": ("refuted", "The answer is one of"),
        },
    ),
)
