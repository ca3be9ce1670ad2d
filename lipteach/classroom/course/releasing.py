"""Release lessons as assignments of nbgrader: stubs for students, solutions for the instructor."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import lipteach
from lipteach.classroom.course.assigned_cells import source_notebook, varies
from lipteach.classroom.course.configuration import (
    application,
    nbgrader_at_work,
    write_configuration,
)
from lipteach.classroom.course.instructor_page import FILE as PAGE
from lipteach.classroom.course.instructor_page import instructor_page
from lipteach.classroom.course.lesson import Lesson, find_lesson, read_lesson
from lipteach.classroom.course.manifest import (
    FILE,
    digest,
    read_manifest,
    write_if_new,
    write_manifest,
)


def release(
    lessons: Iterable[str], folder: str | Path, *, hints: bool = True, vary: int | None = None
) -> Path:
    """Write lessons into a course folder of nbgrader, and return the folder.

    ``source/`` and INSTRUCTOR.md are yours, with the solutions; ``release/`` is what students get,
    with each exercise's own stub, a locked cell that gives its points (one for each ●) and no
    solution. A second release changes nothing but what changed; a source that you have changed
    is kept, and released as it is. With ``vary``, a seed, some exercises of
    kind number give each student numbers of their own, by the name in ``STUDENT``.

    The package that students install holds the bank of exercises with its solutions. A release
    hides them from the notebook, not from whoever looks into the package.

    Raises:
        TypeError, ValueError: no such lesson, or other hints or another seed than the lessons
            which are there already.
        FileNotFoundError: the lessons are not beside the package.
        RuntimeError: nbgrader refused the notebook, as it does where exercises would change which
            have been graded; what was released stays.
    """
    if not isinstance(hints, bool):
        raise TypeError(f"hints must be True or False; got {hints!r}")
    if vary is not None and type(vary) is not int:
        raise TypeError(f"vary must be an integer, the seed of a course, or None; got {vary!r}")
    stems, folder = _stems(lessons), Path(folder)
    manifest = _manifest(folder, set(stems), hints, vary)
    folder.mkdir(parents=True, exist_ok=True)
    write_configuration(folder)
    for stem in stems:
        lesson, before = read_lesson(stem), manifest["assignments"].get(stem, {})
        source = source_notebook(lesson, hints, vary)
        with _kept_if_refused(folder / "source" / stem, folder / "release" / stem):
            noted = _write_source(folder / "source" / stem / f"{stem}.ipynb", source, before)
            released = folder / "release" / stem / f"{stem}.ipynb"
            if noted != {key: before.get(key) for key in noted} or not released.exists():
                noted["sha256"] = _generate(folder, released)
        manifest["assignments"][stem] = before | _entry(lesson, vary) | noted
    write_manifest(folder, manifest)
    write_if_new(folder / PAGE, instructor_page(manifest))
    return folder


@contextmanager
def _kept_if_refused(*places: Path) -> Iterator[None]:
    """Put folders back as they were if what is done to them ends in an error."""
    with tempfile.TemporaryDirectory() as beside:
        before = [Path(beside, str(k)) for k in range(len(places))]
        for place, copied in zip(places, before, strict=True):
            if place.exists():
                shutil.copytree(place, copied)
        try:
            yield
        except BaseException:
            for place, copied in zip(places, before, strict=True):
                shutil.rmtree(place, ignore_errors=True)
                if copied.exists():
                    shutil.copytree(copied, place)
            raise


def _stems(lessons: Iterable[str]) -> list[str]:
    if isinstance(lessons, str) or not isinstance(lessons, Iterable):
        raise TypeError(f"lessons must be a list of numbers such as ['01', '04']; got {lessons!r}")
    stems = sorted({find_lesson(number) for number in lessons})
    if not stems:
        raise ValueError("lessons must name at least 1 lesson; got none")
    return stems


def _manifest(folder: Path, stems: set[str], hints: bool, vary: int | None) -> dict[str, Any]:
    """What stands there already; one course has one seed, and hints in all lessons or in none."""
    manifest: dict[str, Any] = {"assignments": {}}
    if (folder / FILE).exists():
        manifest = read_manifest(folder)
        others = sorted(set(manifest["assignments"]) - stems)
        for name, given in (("hints", hints), ("vary", vary)):
            if others and manifest[name] != given:
                raise ValueError(
                    f"{others[0]} was released here with {name}={manifest[name]!r}; "
                    f"got {name}={given!r}: release all lessons again, or into another folder"
                )
    return manifest | {"lipteach": lipteach.__version__, "vary": vary, "hints": hints}


def _write_source(path: Path, source: NotebookNode, before: dict[str, Any]) -> dict[str, str]:
    """Write the source unless the instructor has changed it; return what tells them apart later.

    "lesson" is a digest of what we would write, "source" one of what stands there.
    """
    text = nbformat.writes(source) + "\n"
    lesson = hashlib.sha256(text.encode()).hexdigest()
    if path.is_file():
        standing = digest(nbformat.read(path, as_version=4))
        if standing not in (before.get("ours"), digest(source)):
            warnings.warn(
                f"source/{path.stem} was changed by hand and is kept; to release the lesson as it "
                "is now, move that folder away first",
                stacklevel=3,
            )
            return {"lesson": lesson, "source": standing, "ours": before.get("ours", "")}
    write_if_new(path, text)
    return {"lesson": lesson, "source": digest(source), "ours": digest(source)}


def _entry(lesson: Lesson, vary: int | None) -> dict[str, Any]:
    return {
        "notebook": f"{lesson.stem}.ipynb",
        "exercises": [
            {
                "name": one.name,
                "answer": one.answer_id,
                "test": one.test_id,
                "points": one.points,
                "variable": one.variable,
                "own": varies(one, vary),
            }
            for one in lesson.exercises.values()
        ],
    }


def _generate(folder: Path, released: Path) -> str:
    """Let nbgrader make the release; it then names the digest of its own cells."""
    with nbgrader_at_work():
        said = application(folder).generate_assignment(released.stem)
    if not said["success"]:
        lines = [*said.get("log", "").splitlines(), said.get("error") or "it gives no reason"]
        why = next((line for line in lines if "ERROR" in line), lines[-1])
        raise RuntimeError(
            f"nbgrader could not release {released.stem}, and nothing was changed: {why} (What has "
            "been graded keeps its exercises: release others into another folder.)"
        )
    book = nbformat.read(released, as_version=4)
    sha = digest(book)
    book.metadata["lipteach"]["release"] = sha
    write_if_new(released, nbformat.writes(book) + "\n")
    return sha
