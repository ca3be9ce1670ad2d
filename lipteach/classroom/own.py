"""Own numbers: an exercise with other constants for each student, so that a copied number fails."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipteach.classroom.checks import Exercise


@dataclass(frozen=True)
class Own:
    """One student's numbers: what the text gives, the answer, its judge, and known mistakes.

    ``mistakes`` has the values of wrong answers by the labels of the exercise's own ones, whose
    hints say them: those whose words name no constant of the lesson's text.
    """

    given: str
    value: float
    judge: Callable[..., None]
    mistakes: Mapping[str, float]


def draw_for(name: str, seed: int, student: str) -> random.Random:
    """The draws of one student in one exercise, the same on every machine.

    >>> round(draw_for("04.regularizer", 7, "Ada ").random(), 3)
    0.135
    """
    words = f"{seed}/{name}/{plain_name(student)}"
    return random.Random(int.from_bytes(hashlib.sha256(words.encode()).digest()))


def plain_name(student: str) -> str:
    """A name without what is typed in two ways: outer blanks, capitals, and composed letters."""
    return unicodedata.normalize("NFC", " ".join(student.split()).casefold())


THE_TEXTS = "This answers the numbers of the text: which are your own, above the answer?"
ANOTHERS = "This would be right for other numbers than yours: which are given above the answer?"


def with_own_numbers(
    exercise: Exercise, seed: int, student: str, others: Iterable[str] = ()
) -> Exercise:
    """The exercise as that student has it; one whose numbers do not vary is returned as it is.

    Known as mistakes are the answer to the text's numbers, and those to the numbers of ``others``.
    """
    if exercise.vary is None:
        return exercise
    own = exercise.vary(draw_for(exercise.name, seed, student))
    mistakes = {
        label: (value, exercise.mistakes[label][1]) for label, value in own.mistakes.items()
    }
    taken = {"the text's numbers": (exercise.solution, THE_TEXTS)}
    for other in others:
        value = exercise.vary(draw_for(exercise.name, seed, other)).value
        taken[f"another's numbers, {len(taken)}"] = (value, ANOTHERS)
    for label, (value, hint) in taken.items():
        if all(value != known for known in (own.value, *(v for v, _ in mistakes.values()))):
            mistakes[label] = (value, hint)
    right = {"the number": own.value}
    return replace(
        exercise,
        judge=own.judge,
        solution=own.value,
        right=right,
        mistakes=mistakes,
        wrong={},
        vary=None,
    )
