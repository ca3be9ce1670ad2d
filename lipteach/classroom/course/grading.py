"""Grade what students handed in: each exercise in a process of its own, by the released checks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from tqdm.auto import tqdm

import lipteach
from lipteach.classroom.checks import lesson_exercises
from lipteach.classroom.course.class_report import write_report
from lipteach.classroom.course.counting import count
from lipteach.classroom.course.cures import find_cures
from lipteach.classroom.course.feedback import write_feedback
from lipteach.classroom.course.gradebook import absent, autograded, record, write_autograded
from lipteach.classroom.course.judges import judge_all
from lipteach.classroom.course.manifest import read_manifest
from lipteach.classroom.course.submissions import (
    Submission,
    misplaced,
    name_in,
    read_submissions,
    understand,
)
from lipteach.classroom.course.tables import own_rows, write_tables
from lipteach.classroom.course.verdicts import Graded, Verdict, keep, kept, key_of
from lipteach.classroom.own import plain_name

HIDDEN = ("source", "submitted", "autograded", "feedback", "reports", "gradebook.db")


def grade(
    folder: str | Path, *, workers: int = 2, seconds: float = 20, megabytes: int = 2048
) -> dict[str, Path]:
    """Grade all that lies in ``submitted/`` of a course; return the class report of each lesson.

    Scores go into nbgrader's gradebook, ``autograded/`` and ``feedback/`` are what it shows, and
    ``reports/`` holds the class report and the tables for Moodle and Canvas. What was judged before
    and has not changed is not judged again, so that an interrupted run goes on where it was.

    So many ``workers`` judge side by side. Each exercise may compute for so many ``seconds`` (and
    wait three times as long) and take so many ``megabytes``, in a process of its own which runs the
    cells that the answer needs and no other. On Linux it has no network, no sight of other
    processes or of the course, and nothing to write on but a home in memory; the report says which
    of these walls stood. The checks are those of this package, not those in the notebook; an answer
    that is a number, a list or a tensor is judged in a process which never ran a student's code.

    What is not protected: a function or a network is judged inside the process that made it, and
    whoever knows Python well can reach the judge there, through the frames of the interpreter, its
    garbage collector or `ctypes`, and send a verdict of their own. The package holds the solutions,
    and an answer that imports one passes. Where a wall is missing, code can do what its user can.

    Raises FileNotFoundError where there is no release, ValueError or TypeError for limits that are
    none, RuntimeError where the process that judges cannot start.
    """
    folder = Path(folder).resolve()
    _need_limits(workers, seconds, megabytes)
    manifest = read_manifest(folder)
    reports = {}
    for assignment in sorted(manifest["assignments"]):
        if any((folder / "submitted").glob(f"*/{assignment}")):
            limits = {"workers": workers, "seconds": float(seconds), "megabytes": megabytes}
            reports[assignment] = _grade_one(folder, assignment, manifest, **limits)
    if elsewhere := misplaced(folder, manifest["assignments"]):
        warnings.warn(
            "not graded, since they are not in submitted/STUDENT/ASSIGNMENT/: "
            + ", ".join(elsewhere),
            stacklevel=2,
        )
    if not reports:
        raise FileNotFoundError(
            f"nothing is handed in: {folder.name}/submitted/STUDENT/ASSIGNMENT/ has no folder"
        )
    return reports


def _need_limits(workers: int, seconds: float, megabytes: int) -> None:
    for name, value in (("workers", workers), ("seconds", seconds), ("megabytes", megabytes)):
        whole = name != "seconds"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "an integer" if whole else "a number"
            raise TypeError(f"{name} must be {kind}; got {value!r:.40}")
        if not 1 <= value < 1e6:
            raise ValueError(f"{name} must be at least 1 and below a million; got {value!r:.40}")


def _grade_one(folder: Path, assignment: str, manifest: Mapping[str, Any], **limits: Any) -> Path:
    from lipteach.classroom.course.exporters import export_grades  # it is made of nbgrader's

    entry = manifest["assignments"][assignment]
    released, source = (
        nbformat.read(folder / kind / assignment / entry["notebook"], as_version=4)
        for kind in ("release", "source")
    )
    lines = [line for cell in released.cells for line in cell.source.splitlines()]
    title = next((line[2:] for line in lines if line.startswith("# ")), assignment)
    pairs = judge_assignment(folder, assignment, manifest, released, **limits)
    all_of = [graded for _, graded in pairs]
    record(folder, assignment, entry, all_of)
    vary = manifest.get("vary")
    for submission, graded in pairs:
        book = autograded(submission, graded, entry, released)
        write_autograded(folder, assignment, graded.student, entry["notebook"], book)
        names = [verdict.name for verdict in graded.verdicts]
        own = [] if vary is None else own_rows(graded.student, names, vary)
        given = {name: text for _, name, text, _ in own}
        write_feedback(folder, assignment, title, submission, graded, given)
    place = folder / "reports" / assignment
    found = count(all_of, lesson_exercises(assignment[:2]))
    missing = absent(folder, assignment, [graded.student for graded in all_of])
    found.absent = len(missing)
    report = write_report(place, title, found, find_cures(source, entry))
    write_tables(place, all_of, missing, vary)
    export_grades(folder, assignment, place)
    return report


def judge_assignment(
    folder: Path,
    assignment: str,
    manifest: Mapping[str, Any],
    released: NotebookNode,
    *,
    workers: int,
    seconds: float,
    megabytes: int,
) -> list[tuple[Submission, Graded]]:
    """Submissions with their verdicts; what has not changed is not judged again."""
    entry = manifest["assignments"][assignment]
    done: dict[str, Graded] = {}
    jobs, read = {}, {}
    handed_in = read_submissions(folder, assignment)
    for student, found in handed_in.items():
        submission = understand(student, found, entry, released)
        _say_whose_numbers(submission, manifest.get("vary"))
        key = key_of(submission.digest, found[0], found[2], entry, manifest.get("vary"),
                     lipteach.__version__, seconds, megabytes)  # fmt: skip
        before = kept(_path(folder, assignment, student), key)
        read[student] = (submission, key)
        if before is not None:
            done[student] = before
            continue
        jobs[student] = _job(folder, submission, entry, manifest, seconds, megabytes)
        jobs[student]["others"] = [name for name in handed_in if name != student]
    with tqdm(total=len(done) + len(jobs), initial=len(done), desc=assignment, disable=None) as bar:

        def take(student: str, result: dict[str, Any]) -> None:
            submission, key = read[student]
            done[student] = _graded(submission, entry, result, key)
            keep(_path(folder, assignment, student), done[student])
            bar.update()

        judge_all(jobs, [assignment[:2]], workers, take)
    return [(read[student][0], done[student]) for student in sorted(done)]


def _say_whose_numbers(submission: Submission, vary: int | None) -> None:
    written = name_in(submission)
    if (
        vary is not None
        and written is not None
        and plain_name(written) != plain_name(submission.student)
    ):
        found = f"is {written!r:.60}" if written else "was left empty"
        submission.said.append(
            f"STUDENT {found}; the course knows you as {submission.student}, and the numbers of "
            "that name counted."
        )


def _path(folder: Path, assignment: str, student: str) -> Path:
    return folder / "reports" / assignment / "graded" / f"{student}.json"


def _job(
    folder: Path,
    submission: Submission,
    entry: Mapping[str, Any],
    manifest: Mapping[str, Any],
    seconds: float,
    megabytes: int,
) -> dict[str, Any]:
    exercises = [
        {
            "name": one["name"],
            "variable": one["variable"],
            "places": submission.answers.get(one["name"], []),
        }
        for one in entry["exercises"]
    ]
    return {
        "student": submission.student,
        "vary": manifest.get("vary"),
        "cells": submission.cells,
        "own": submission.own,
        "exercises": exercises,
        "seconds": seconds,
        "megabytes": megabytes,
        "hidden": [str((folder / name).resolve()) for name in HIDDEN],
    }


def _graded(
    submission: Submission, entry: Mapping[str, Any], result: Mapping[str, Any], key: str
) -> Graded:
    verdicts, everywhere = [], _common(result["results"])
    for one in entry["exercises"]:
        found = dict(result["results"].get(one["name"], {}))
        found["said"] = tuple(line for line in found.get("said", ()) if line not in everywhere)
        minutes = submission.minutes.get(one["name"])
        verdicts.append(Verdict(one["name"], one["points"], **found, minutes=minutes))
    said = (*submission.said, *everywhere, *result.get("said", ()))
    walls = tuple(result["up"]), tuple(result["lacking"])
    return Graded(submission.student, tuple(verdicts), said, *walls, key)


def _common(results: Mapping[str, Any]) -> list[str]:
    """What is said of more than one exercise is said once, of the notebook."""
    said = [line for found in results.values() for line in dict.fromkeys(found["said"])]
    return list(dict.fromkeys(line for line in said if said.count(line) > 1))
