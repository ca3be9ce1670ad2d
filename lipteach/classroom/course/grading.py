"""Grade what students handed in: each exercise in a process of its own, by the released checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from tqdm.auto import tqdm

import lipteach
from lipteach.classroom.course.judges import judge_all
from lipteach.classroom.course.manifest import read_manifest
from lipteach.classroom.course.submissions import Submission, read_submissions, understand
from lipteach.classroom.course.verdicts import Graded, Verdict, keep, kept, key_of

HIDDEN = ("source", "submitted", "autograded", "feedback", "reports", "gradebook.db")


def judge_assignment(
    folder: Path, assignment: str, *, workers: int, seconds: float, megabytes: int
) -> list[Graded]:
    """The verdicts on an assignment, by student; what has not changed is not judged again."""
    manifest = read_manifest(folder)
    entry = manifest["assignments"][assignment]
    released = nbformat.read(folder / "release" / assignment / entry["notebook"], as_version=4)
    done, jobs, read = {}, {}, {}
    for student, found in read_submissions(folder, assignment).items():
        submission = understand(student, found, entry, released)
        key = key_of(submission.digest, found[0], found[2], entry, manifest.get("vary"),
                     lipteach.__version__, seconds, megabytes)  # fmt: skip
        before = kept(_path(folder, assignment, student), key)
        if before is not None:
            done[student] = before
            continue
        read[student] = (submission, key)
        jobs[student] = _job(folder, submission, entry, manifest, seconds, megabytes)
    with tqdm(total=len(done) + len(jobs), initial=len(done), desc=assignment, disable=None) as bar:

        def take(student: str, result: dict[str, Any]) -> None:
            submission, key = read[student]
            done[student] = _graded(submission, entry, result, key)
            keep(_path(folder, assignment, student), done[student])
            bar.update()

        judge_all(jobs, [assignment[:2]], workers, take)
    return [done[student] for student in sorted(done)]


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
