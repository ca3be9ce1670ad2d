"""Exercises with their checks, and figures with sliders. Opt-in: the package never needs it."""

from lipteach.classroom.checks import Exercise, Hint, Mistake, Report, check, exercises
from lipteach.classroom.figure_view import (
    FigureView,
    predicted,
    show,
    show_benchmark,
    slider_figure,
)

__all__ = [
    "Exercise",
    "FigureView",
    "Hint",
    "Mistake",
    "Report",
    "check",
    "exercises",
    "predicted",
    "show",
    "show_benchmark",
    "slider_figure",
]
