"""Own numbers: an exercise with other constants for each student, so that a copied number fails."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from collections.abc import Callable, Mapping
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


def with_own_numbers(exercise: Exercise, seed: int, student: str) -> Exercise:
    """The exercise as that student has it; one whose numbers do not vary is returned as it is."""
    if exercise.vary is None:
        return exercise
    own = exercise.vary(draw_for(exercise.name, seed, student))
    mistakes = {
        label: (value, exercise.mistakes[label][1]) for label, value in own.mistakes.items()
    }
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
