"""Inside a student's process: run the cells that an answer needs, and judge it.

Every line that it sends bears a word which it was told before the code ran, and says where it is
before it goes there: whatever ends the process, the other side knows in which cell.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from lipteach.classroom import guard
from lipteach.classroom.checks import Exercise, Report, examine, lesson_exercises
from lipteach.classroom.course.answers import pack
from lipteach.classroom.course.seal import Seal
from lipteach.classroom.course.slices import names
from lipteach.classroom.own import plain_name, with_own_numbers

LONGEST = 2_000  # letters of a hint


class Counted(io.TextIOBase):
    """A stream that keeps nothing of what is written, and counts it."""

    size = 0

    def write(self, text: str) -> int:
        """Count the letters."""
        self.size += len(text)
        return len(text)

    def isatty(self) -> bool:
        """Whether a person reads it: no."""
        return False


def make_shell() -> InteractiveShell:
    """A shell as a kernel has it, without history; made once, before processes are forked."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    shell = InteractiveShell.instance(config=config)
    shell.user_ns["__name__"] = "__main__"
    shell.ask_exit = _end  # type: ignore[attr-defined]  # what `exit` calls in a kernel
    return shell


def _end() -> None:
    raise SystemExit("exit() was called")


def exercise_for(name: str, vary: int | None, student: str, others: Sequence[str] = ()) -> Exercise:
    """The exercise as a student of the course has it, with numbers of their own where they vary."""
    exercise = lesson_exercises(name[:2])[name]
    if vary is None or exercise.vary is None:
        return exercise
    return with_own_numbers(exercise, vary, plain_name(student), map(plain_name, others))


def report_of(report: Report) -> dict[str, Any]:
    """A report in terms of JSON."""
    hint = report.hint[:LONGEST]
    return {"passed": report.passed, "tried": report.tried, "hint": hint, "kind": report.kind}


def judge_attempt(attempt: dict[str, Any], write: Callable[[bytes], object], seal: Seal) -> None:
    """Run the cells of an attempt, judge the answer, and send what was found."""
    word = attempt["word"]
    exercise = exercise_for(attempt["exercise"], attempt.get("vary"), attempt.get("student", ""))

    def send(**said: Any) -> None:
        write(json.dumps({"word": word} | said).encode() + b"\n")

    shell, printed = make_shell(), Counted()
    sys.stdout = sys.stderr = printed
    errors = {}
    *_, (last, _) = attempt["cells"]  # the answer's
    for place, source in attempt["cells"]:
        send(at=place)
        if place == last:
            _forget(shell, attempt["variable"], source)
        error = run_cell(shell, source)
        if error is not None:
            errors[place] = guard.describe(error)
            send(errors=errors)
    send(at="check")
    changed = seal.mend()
    found: dict[str, Any] = {"errors": errors, "changed": changed}
    found |= _judge(exercise, attempt, shell.user_ns, seal)
    send(found=found | {"printed": printed.size})


def _forget(shell: InteractiveShell, variable: str, source: str) -> None:
    """Remove what an earlier cell calls as the answer, if this one makes it anew, or fails to."""
    with suppress(SyntaxError, ValueError, RecursionError):
        own = names(source)
        for name in (names(variable).read & own.made) - own.read:
            shell.user_ns.pop(name, None)


def run_cell(shell: InteractiveShell, source: str) -> BaseException | None:
    """What a cell raised, or None."""
    try:
        result: Any = shell.run_cell(source, store_history=False)  # type: ignore[no-untyped-call]
    except BaseException as stop:  # exit() in a cell is no end of the judge
        return stop
    error: BaseException | None = result.error_before_exec or result.error_in_exec
    return error


def examine_patiently(exercise: Exercise, answer: Any, seconds: float) -> dict[str, Any]:
    """Judge with all the time of a grading: a check's five seconds are short where many run."""
    before = guard.SECONDS
    guard.SECONDS = max(before, seconds)
    try:
        return report_of(examine(exercise, answer))
    finally:
        guard.SECONDS = before


def _judge(
    exercise: Exercise, attempt: dict[str, Any], values: dict[str, Any], seal: Seal
) -> dict[str, Any]:
    try:
        answer = eval(attempt["variable"], values)
    except BaseException as error:
        return {"missing": guard.describe(error)}
    packed = None if answer is None else pack(answer)
    if packed is not None:
        return {"value": packed}
    report = examine_patiently(exercise, answer, attempt["seconds"])
    return {"report": report, "late": seal.mend()}


def silence() -> None:
    """Send to nowhere what is written past Python's own streams."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
