"""Exercises with their checks, and figures with sliders. Opt-in: the package never needs it."""

from typing import TYPE_CHECKING, Any

from lipteach.classroom.checks import Exercise, Hint, Mistake, Report, check, exercises, own_numbers
from lipteach.classroom.figure_view import (
    FigureView,
    predicted,
    show,
    show_benchmark,
    slider_figure,
)
from lipteach.classroom.progress_file import Progress, progress

if TYPE_CHECKING:
    from lipteach.classroom.course import check_release, grade, release

__all__ = [
    "Exercise",
    "FigureView",
    "Hint",
    "Mistake",
    "Progress",
    "Report",
    "check",
    "check_release",
    "exercises",
    "grade",
    "own_numbers",
    "predicted",
    "progress",
    "release",
    "show",
    "show_benchmark",
    "slider_figure",
]

_OF_THE_COURSE = {"check_release", "grade", "release"}


def __getattr__(name: str) -> Any:
    """Import the course when it is asked for: a lesson does not wait for it."""
    if name in _OF_THE_COURSE:
        from lipteach.classroom import course

        return getattr(course, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
