"""The configuration of a course folder, and nbgrader's own application on it."""

from __future__ import annotations

import os
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from traitlets.config.loader import Config, PyFileConfigLoader

FILE = "nbgrader_config.py"
TEXT = '''\
"""nbgrader's settings for this course. `release` writes the file once; what you change stays."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "lipteach"
c.NbGrader.logfile = "nbgrader.log"

# Nothing leaves this folder: hand out release/, collect into submitted/. On a JupyterHub name the
# folder that all its users share, and nbgrader's own exchange is on.
c.Exchange.root = ""

# A source cell holds the exercise's own stub, and below it the solution between two marks. What is
# between them goes, and nothing comes in its place.
c.ClearSolutions.code_stub = {"python": ""}

# A cell of a lesson may train for a while, on a machine that does other things as well.
c.Execute.timeout = 300
c.Execute.iopub_timeout = 60

# As nbgrader has them, but the lesson's figures stay: an exercise's cells come without outputs.
c.GenerateAssignment.preprocessors = [
    f"nbgrader.preprocessors.{name}"
    for name in (
        "LockCells",
        "ClearSolutions",
        "CheckCellMetadata",
        "ComputeChecksums",
        "SaveCells",
        "ClearHiddenTests",
        "ClearMarkScheme",
        "ComputeChecksums",
        "CheckCellMetadata",
    )
]
'''


def write_configuration(folder: Path) -> None:
    """Write the file if there is none."""
    if not (folder / FILE).exists():
        (folder / FILE).write_text(TEXT, encoding="utf-8")


@contextmanager
def nbgrader_at_work() -> Iterator[None]:
    """Let nbgrader find its own tools, and keep its warnings about others from the reader.

    It runs `alembic` by name, which stands beside Python: on the path only where an environment is
    activated. And its tables make SQLAlchemy warn of a release to come.
    """
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), before])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.environ["PATH"] = before


def application(folder: Path) -> Any:
    """The interface of nbgrader to a course folder, with the folder's own configuration.

    It is made, and used, within `nbgrader_at_work`. Raises FileNotFoundError where there is no
    course, ModuleNotFoundError where there is no nbgrader.
    """
    try:
        from nbgrader.apps import NbGraderAPI
        from nbgrader.coursedir import CourseDirectory
    except ModuleNotFoundError as error:
        text = f"a course needs nbgrader: pip install 'lipteach[course]' ({error})"
        raise ModuleNotFoundError(text) from None
    folder = folder.resolve()
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"{folder.name} is no course folder: it has no {FILE}")
    config = Config(PyFileConfigLoader(FILE, path=os.fspath(folder)).load_config())
    config.CourseDirectory.root = os.fspath(folder)
    return NbGraderAPI(CourseDirectory(config=config), config=config)
