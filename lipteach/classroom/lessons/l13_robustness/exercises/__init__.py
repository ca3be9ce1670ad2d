"""The exercises of lesson 13: what an attack finds, what is certified, and how both are counted."""

from __future__ import annotations

from lipteach.classroom.lessons.l13_robustness.exercises import (
    certificates,
    counts,
    descent,
    intervals,
    losses,
    worst,
)

EXERCISES = tuple(
    exercise
    for group in (worst, losses, descent, certificates, intervals, counts)
    for exercise in group.EXERCISES
)
