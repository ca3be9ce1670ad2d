"""Exercises and their checks: a wrong answer is told what it would be right for."""

from __future__ import annotations

import difflib
import html
import importlib
import pkgutil
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from lipteach.classroom import guard, lessons
from lipteach.classroom.calling import is_stub, runnable
from lipteach.classroom.hints import Hint, Mistake, NotTried
from lipteach.classroom.own import Own, draw_for, plain_name, with_own_numbers
from lipteach.classroom.progress_file import note
from lipteach.classroom.style import GREEN, ORANGE, SKY
from lipteach.primitives._printing import say

__all__ = ["Exercise", "Hint", "Mistake", "Report", "check", "examine", "exercises", "own_numbers"]


@dataclass(frozen=True, eq=False)
class Exercise:
    """An exercise with its judge and the answers which the judge is tested on, all by label.

    ``judge(answer)``, or ``judge(answer, mistakes=known)`` where there are mistakes, raises `Hint`
    on the first fault and returns when the answer is right. ``right`` holds other right answers,
    a looped or vectorized form (float32 is tried for every exercise). A wrong answer recognised by
    what it is stands in ``mistakes``: the answer, its hint and perhaps the ``when`` of `Mistake`;
    any other (a shape, an exception, a gradient) in ``wrong``: an answer and a part of its hint.
    ``vary`` draws other numbers for a student of a course, where the exercise lends itself to it.
    """

    name: str
    judge: Callable[..., None]
    solution: Any
    right: Mapping[str, Any]
    mistakes: Mapping[str, tuple[Any, str] | tuple[Any, str, Callable[..., Any]]] = field(
        default_factory=dict
    )
    wrong: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    vary: Callable[[random.Random], Own] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d\d\.[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"an exercise is named like '01.maxmin'; got {self.name!r}")
        wrong = len(self.mistakes) + len(self.wrong)
        if len(self.right) < 1 or wrong < 3:
            raise ValueError(
                f"{self.name}: at least 1 other right and 3 wrong answers are needed; "
                f"got {len(self.right)} and {wrong}"
            )

    @property
    def known(self) -> list[Mistake]:
        """The mistakes as the judge takes them."""
        return [Mistake(label, *said) for label, said in self.mistakes.items()]


@dataclass(frozen=True)
class Report:
    """What `check` found; it has shown its line, so a notebook shows nothing more.

    ``example`` holds the arguments of a call that went wrong, if there was one: run it again by
    ``my_function(*report.example)``.
    """

    name: str
    passed: bool
    tried: bool = True
    hint: str = ""
    kind: str = ""
    example: tuple[Any, ...] | None = None

    def __str__(self) -> str:
        if not self.tried:
            return f"{self.name}: not tried yet"
        return f"{self.name}: passed" if self.passed else f"{self.name}: not yet. {self.hint}"

    def __repr__(self) -> str:
        return f"<Report {self}>"

    def _repr_html_(self) -> str:
        """The line with a sign and a colour."""
        sign, colour = ("✓", GREEN) if self.passed else ("✗", ORANGE) if self.tried else ("○", SKY)
        style = f"border-left: 0.4em solid {colour}; padding: 0.3em 0.8em"
        mark = f'<b style="color: {colour}" aria-hidden="true">{sign}</b>'
        return f'<div style="{style}">{mark} {html.escape(str(self))}</div>'

    def _ipython_display_(self) -> None:
        """Show nothing: the line is there already."""

    def show(self) -> None:
        """Print the line; what was tried stands in a notebook with its sign and its colour."""
        if self.tried and InteractiveShell.initialized():
            both = {"text/plain": str(self), "text/html": self._repr_html_()}
            display(both, raw=True)  # type: ignore[no-untyped-call]
        else:
            say(self)


@cache
def lesson_exercises(number: str) -> Mapping[str, Exercise]:
    """The exercises of one lesson ("04") by name; none if there is no such lesson."""
    found: dict[str, Exercise] = {}
    for info in pkgutil.iter_modules(lessons.__path__):
        if info.name[1:3] != number:
            continue
        bank = importlib.import_module(f"{lessons.__name__}.{info.name}.exercises")
        for exercise in bank.EXERCISES:
            if exercise.name in found or not exercise.name.startswith(f"{number}."):
                raise ValueError(f"{exercise.name!r} stands twice, or not in its own lesson")
            found[exercise.name] = exercise
    return MappingProxyType(found)


@cache
def exercises() -> Mapping[str, Exercise]:
    """All exercises by name, from the folder of each lesson."""
    numbers = sorted(info.name[1:3] for info in pkgutil.iter_modules(lessons.__path__))
    banks = [lesson_exercises(number) for number in numbers]
    return MappingProxyType(dict(sorted((name, e) for bank in banks for name, e in bank.items())))


def examine(exercise: Exercise, answer: Any) -> Report:
    """Judge an answer and print nothing; what tests call."""
    if _untouched(answer):
        return Report(exercise.name, passed=False, tried=False)
    outcome = guard.run(lambda: _judge(exercise, answer))
    error = outcome.error
    if outcome.timed_out:
        text = (
            f"Your answer was stopped after {guard.SECONDS:g} seconds: "
            "is there a loop that never ends, or a wait?"
        )
        return Report(exercise.name, passed=False, hint=text, kind="time")
    if isinstance(error, NotTried):
        return Report(exercise.name, passed=False, tried=False)
    if isinstance(error, Hint):
        return Report(exercise.name, False, True, error.text, error.kind, error.example)
    if error is not None:
        text = "The check could not read your answer."
        return Report(exercise.name, passed=False, hint=text, kind="error")
    return Report(exercise.name, passed=True)


def _judge(exercise: Exercise, answer: Any) -> None:
    try:
        exercise.judge(answer, **({"mistakes": exercise.known} if exercise.mistakes else {}))
    except Hint as hint:
        if hint.example is not None:
            hint.example = runnable(answer, hint.example)
        raise
    except (NotTried, guard.TimeUp):
        raise
    except BaseException as error:  # described here, in the guard: an error's text is code too
        text = f"The check could not read your answer ({guard.describe(error)})."
        raise Hint("error", text) from None


def _untouched(answer: Any) -> bool:
    if type(answer) in (tuple, list):
        return any(part is Ellipsis for part in answer)
    return answer is None or answer is Ellipsis or is_stub(answer)


def find_exercise(name: str) -> Exercise:
    """The exercise of that name; any other name raises ValueError, with the nearest one."""
    if not isinstance(name, str):
        raise TypeError(f"the name of an exercise is a string; got {type(name).__name__}")
    exercise = lesson_exercises(name[:2]).get(name)
    if exercise is None:
        near = difflib.get_close_matches(name, exercises(), n=1, cutoff=0.0)
        raise ValueError(f"no exercise is named {name!r}; the nearest name is {near[0]!r}")
    return exercise


def own_numbers(name: str, seed: int, student: str) -> str:
    """What the text of an exercise gives to that student of a course, in place of its own numbers.

    >>> own_numbers("04.regularizer", 7, "Ada")
    'The numbers of ada: β = 0.189.'
    """
    exercise, (seed, student) = find_exercise(name), _read_own((seed, student))
    if exercise.vary is None:
        raise ValueError(f"the numbers of {name} do not vary")
    if not student:
        return NAMELESS
    return f"The numbers of {student}: {exercise.vary(draw_for(name, seed, student)).given}."


NAMELESS = "Write your name into STUDENT, at the top, and run that cell: your numbers come from it."


def _read_own(own: Any) -> tuple[int, str]:
    """The seed of a course and the name of a student."""
    kinds = [type(part) for part in own] if isinstance(own, tuple) else []
    if kinds != [int, str]:
        raise TypeError(f"own must be a seed and a student's name, (7, 'ada'); got {own!r:.60}")
    return own[0], plain_name(own[1])


def check(name: str, answer: Any, own: tuple[int, str] | None = None) -> Report:
    """Judge the answer to an exercise, show one line, and return the report.

    An untouched stub is "not tried yet" and raises nothing, so that a fresh notebook runs to
    its end. An unknown name raises ValueError. In a course ``own`` is its seed and the student's
    name: an exercise whose numbers vary is judged with those of that student.

    >>> report = check("00.first-check", ...)
    00.first-check: not tried yet
    """
    exercise = find_exercise(name)
    if own is not None and exercise.vary is not None:
        seed, student = _read_own(own)
        if student:
            exercise = with_own_numbers(exercise, seed, student)
        elif not _untouched(answer):
            report = Report(name, passed=False, hint=NAMELESS, kind="type")
            report.show()
            return report
    report = examine(exercise, answer)
    report.show()
    note(report)
    return report
