"""Exercises with their checks, and figures with sliders. Opt-in: the package never needs it."""

# The folder of exercises is loaded first: loading it later would set the name `exercises`
# here to the folder, and hide the function.
import lipteach.classroom.exercises as _folder  # noqa: F401
from lipteach.classroom.checks import Exercise, Hint, Report, check, exercises
from lipteach.classroom.figure_view import FigureView, show, slider_figure

__all__ = [
    "Exercise",
    "FigureView",
    "Hint",
    "Report",
    "check",
    "exercises",
    "show",
    "slider_figure",
]
