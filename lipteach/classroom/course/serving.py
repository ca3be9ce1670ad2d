"""A process that judges submissions, one after the other: it never runs a student's code itself.

It imports torch once and forks for each exercise. Jobs come as lines of JSON, and results go back
the same way; ``python -m lipteach.classroom.course.serving`` is started by `grade` alone.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any

import torch
from IPython.core.inputtransformer2 import TransformerManager

from lipteach.classroom import lessons
from lipteach.classroom.checks import Exercise, lesson_exercises
from lipteach.classroom.course.answers import pack, unpack
from lipteach.classroom.course.attempts import Ended, Launch, apart, attempt_here, launcher
from lipteach.classroom.course.judging import examine_patiently, exercise_for, make_shell, run_cell
from lipteach.classroom.course.sandbox import Limits
from lipteach.classroom.course.seal import Seal
from lipteach.classroom.course.slices import needed_before

_IMPORTED_LATE = ("z3", "torch.fx.experimental.symbolic_shapes", "torch.func", "torch._refs")
"""What checks would import anew in each process, within the time of the answer."""

_BY_TRAINING = ("torch._dynamo",)
"""What optimizers import besides, in lessons that train."""

_LOUD = 2**20  # letters from which on we say that much was printed


def judge_submission(job: Mapping[str, Any], launch: Launch) -> dict[str, Any]:
    """Judge each exercise by itself; of a cell that stands twice the better one counts."""
    sources = _plain_python(job["cells"])
    results, walls = {}, Ended()
    for wanted in job["exercises"]:
        tries = [_judge_answer(job, wanted, place, sources, launch) for place in wanted["places"]]
        for _, ended in tries:
            walls.up, walls.lacking = ended.up or walls.up, ended.lacking or walls.lacking
        if tries:
            best = max((result for result, _ in tries), key=lambda r: (r["passed"], r["tried"]))
            results[wanted["name"]] = best
    return {"results": results, "up": walls.up, "lacking": walls.lacking}


def _plain_python(cells: list[list[Any]]) -> dict[int, str]:
    """What IPython makes of magics and shell commands, in terms that can be read."""
    manager: Any = TransformerManager()  # type: ignore[no-untyped-call]
    sources = {}
    for place, source in cells:
        try:
            sources[place] = manager.transform_cell(source)
        except (SyntaxError, ValueError, RecursionError):
            sources[place] = source
    return sources


def _judge_answer(
    job: Mapping[str, Any],
    wanted: Mapping[str, Any],
    place: int,
    sources: Mapping[int, str],
    launch: Launch,
) -> tuple[dict[str, Any], Ended]:
    """One cell with an answer. A student's other cell that stops it is left out the next time."""
    exercise = exercise_for(wanted["name"], job["vary"], job["student"], job.get("others", ()))
    given, said = dict(job["cells"]), []
    limits = Limits(job["seconds"], job["megabytes"], "", job["hidden"], job["number"])
    left_out: set[int] = set()
    while True:
        kept = {at: text for at, text in sources.items() if at not in left_out}
        cells = [[at, given[at]] for at in needed_before(kept, place)]
        attempt = {"cells": cells, "exercise": exercise.name, "variable": wanted["variable"]}
        attempt |= {name: job[name] for name in ("student", "vary", "seconds")}
        ended = launch(attempt, limits)
        stopped_by = None if ended.found else _stopped_by(ended, set(job["own"]) - {place})
        if stopped_by is None or stopped_by in left_out or len(left_out) == 2:
            break
        left_out.add(stopped_by)
        said.append(f"{_how(ended, limits)} Cell {stopped_by + 1} was left out.")
    if ended.forged:
        said.append("The notebook wrote into the channel of the judge; this was not read.")
    result = _result(exercise, ended, limits, place, set(job["own"]))
    return result | {"said": said + result["said"]}, ended


def _stopped_by(ended: Ended, own: set[int]) -> int | None:
    """The student's own cell that an attempt did not survive, or that went wrong on the way."""
    raised = (int(place) for place in ended.errors)
    reached = [ended.at] if isinstance(ended.at, int) else []
    return next((place for place in (*reached, *raised) if place in own), None)


def _how(ended: Ended, limits: Limits) -> str:
    """A sentence for what stopped an attempt."""
    where = (
        f"Cell {ended.at + 1}" if isinstance(ended.at, int) else "The answer, when it was called,"
    )
    if ended.at is None:
        where = "The process"
    if ended.how == "time":
        return f"{where} did not end within {limits.seconds:g} seconds of computing."
    if ended.how == "flood":
        return f"{where} wrote megabytes into the channel of the judge."
    if ended.failed:
        return f"{where} could not be judged ({ended.failed})."
    kind, _, number = ended.how.partition(" ")
    if kind == "signal":
        return f"{where} was killed (signal {number}): by its own code, or for what it took."
    return f"{where} ended its own process (exit code {number or 0})."


def _result(
    exercise: Exercise, ended: Ended, limits: Limits, place: int, own: set[int]
) -> dict[str, Any]:
    """What counts, from what the attempt sent; what is data is judged here."""
    failed = {"passed": False, "tried": True, "said": []}
    found = ended.found
    if found is None:
        kind = "time" if ended.how == "time" else "error"
        ask = " Is there a loop that never ends, or a wait?" if kind == "time" else ""
        return failed | {"kind": kind, "hint": _how(ended, limits) + ask}
    said = []
    if found["changed"]:
        first, *more = found["changed"]
        others = f" and {len(more)} more" if more else ""
        said.append(f"The notebook replaces {first}{others}; the judge's own counted.")
    if found["printed"] > _LOUD:
        said.append(f"Its cells print {found['printed'] / 1e6:.0f} million letters; none was kept.")
    raised = {int(at): text for at, text in found["errors"].items()}
    said += [f"Cell {at + 1} raised {raised[at]}." for at in raised if at in own - {place}]
    if "value" in found:
        value = unpack(found["value"])
        judge = partial(examine_patiently, exercise, value, limits.seconds)
        return apart(judge) | {"said": said}
    if "missing" in found:
        text = f"There is no answer to judge ({found['missing']})."
        if place in raised:
            text = f"The cell of the answer raised {raised[place]}."
        return failed | {"kind": "error", "hint": text, "said": said}
    if place in raised:
        said.append(f"The cell of the answer raised {raised[place]}.")
    report: dict[str, Any] = found["report"]
    if report["passed"] and found["late"]:
        text = f"While it was judged your code replaced {found['late'][0]}: that is no answer."
        return failed | {"kind": "constraint", "hint": text, "said": said}
    if report["passed"] and pack(exercise.solution) is not None:
        text = "The answer is to be plain data: a number, a list or a tensor."
        return failed | {"kind": "type", "hint": text, "said": said}
    return report | {"said": said}


def prepare(numbers: list[str]) -> Callable[[], Seal]:
    """Import what the lessons need, and note what the judge is made of."""
    torch.set_num_threads(1)
    run_cell(make_shell(), "None")  # the first cell of a shell imports what all need
    bank: dict[str, Exercise] = {}
    for number in numbers:
        bank |= lesson_exercises(number)
    for info in pkgutil.iter_modules(lessons.__path__):
        if info.name[1:3] in numbers:
            importlib.import_module(f"{lessons.__name__}.{info.name}.figures")
    late = [*_IMPORTED_LATE, *_BY_TRAINING * ("lipteach.training" in sys.modules)]
    for name in late:
        with suppress(ImportError):
            importlib.import_module(name)
    return cache(lambda: Seal(bank))


def serve(numbers: list[str]) -> None:
    """Judge what comes, until nothing comes any more."""
    jobs, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    seal = prepare(numbers)
    launch = launcher(seal)
    seal()
    results.write(b"ready\n")
    results.flush()
    for line in jobs:
        result = judge_submission(json.loads(line), launch)
        results.write(json.dumps(result).encode() + b"\n")
        results.flush()


if __name__ == "__main__":
    if sys.argv[1] == "attempt":
        given = sys.stdin.buffer.read()
        number = json.loads(given)[0]["exercise"][:2]
        attempt_here(given, prepare([number]))
    else:
        serve(sys.argv[2:])
